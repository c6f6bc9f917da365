package functions

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	arca "arca.example/arca"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/local"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew")

// plans are the two groups of the template; court and custodian run the same.
func plans(t *testing.T) map[string]*local.Plan {
	t.Helper()
	all := map[string]*local.Plan{}
	for _, party := range []string{"vault", "court"} {
		plan, err := local.Load(arca.Template, party, map[string]string{"DomainName": party + ".example", "CertificateArn": "arn:x", "Trust": strings.Repeat("00", 32),
			"LogOrigin": "log.example", "Witnesses": "https://witness.example", "LedgerUrl": "https://vault.example", "OtherUrl": "https://other.example"})
		if err != nil {
			t.Fatal(err)
		}
		all[party] = plan
	}
	return all
}

func nothing(edge.Env) edge.Resources { return edge.Resources{} }

// build makes every function from the template's environment alone.
func build(t *testing.T) (all []*edge.Function) {
	t.Helper()
	for _, plan := range plans(t) {
		for _, f := range plan.Functions {
			fn, _, err := Open(f.Name, f.Lookup, nothing)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fn)
		}
	}
	slices.SortFunc(all, func(a, b *edge.Function) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func TestTheTemplateIsTheRegister(t *testing.T) {
	inTemplate := map[string]bool{}
	for party, plan := range plans(t) {
		for _, f := range plan.Functions {
			inTemplate[f.Name] = true
			entry, ok := All[f.Name]
			if !ok {
				t.Errorf("%s: the template has %s, the register has not", party, f.Name)
				continue
			}
			sameSettings(t, f, entry)
			fn, _, err := Open(f.Name, f.Lookup, nothing)
			if err != nil {
				t.Errorf("%s: %v", f.Name, err)
				continue
			}
			if fn.Name != f.Name {
				t.Errorf("%s calls itself %s", f.Name, fn.Name)
			}
			sameRoutes(t, f, fn)
			reacts := len(f.Schedules)+len(f.Created) > 0
			if reacts != (fn.Event != nil) {
				t.Errorf("%s: triggers in the template: %v, reacts to events: %v", f.Name, reacts, fn.Event != nil)
			}
		}
	}
	for name := range All {
		if !inTemplate[name] {
			t.Errorf("the register has %s, the template has not", name)
		}
	}
}

// sameSettings: a variable that is missing stops the function, one that is not
// asked for is told to it for nothing.
func sameSettings(t *testing.T, f local.Function, entry Entry) {
	t.Helper()
	needs := slices.Concat(edge.Always, entry.Needs)
	for _, s := range needs {
		if _, ok := f.Env[string(s)]; !ok {
			t.Errorf("%s needs %s, the template does not give it", f.Name, s)
		}
	}
	for name := range f.Env {
		if !slices.Contains(needs, edge.Setting(name)) {
			t.Errorf("the template gives %s to %s, which does not ask for it", name, f.Name)
		}
	}
}

func sameRoutes(t *testing.T, f local.Function, fn *edge.Function) {
	t.Helper()
	served := edge.Routes(fn)
	for _, r := range f.Routes {
		if !slices.Contains(served, r.Pattern) {
			t.Errorf("the template routes %s to %s, which does not serve it", r.Pattern, f.Name)
		}
	}
	for _, pattern := range served {
		if !slices.ContainsFunc(f.Routes, func(r local.Route) bool { return r.Pattern == pattern }) {
			t.Errorf("%s serves %s, to which the template routes nothing", f.Name, pattern)
		}
	}
}

func TestTheCommittedDescriptionIsTheAPI(t *testing.T) {
	got, err := edge.OpenAPI(build(t)...)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("..", "docs", "openapi.json")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("docs/openapi.json is not what the functions serve; run go test ./functions -run Description -update and read the difference")
	}
}

func TestAFunctionRefusesToStart(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	if _, _, err := Open("canary", none, nothing); err == nil || !strings.Contains(err.Error(), "deposit") || strings.Contains(err.Error(), "canary") {
		t.Errorf("an unknown function: %v", err)
	}
	for name, entry := range All {
		_, _, err := Open(name, none, nothing)
		for _, s := range slices.Concat(edge.Always, entry.Needs) {
			if err == nil || !strings.Contains(err.Error(), string(s)+" is not set: ") {
				t.Errorf("%s without settings does not name %s: %v", name, s, err)
			}
		}
	}
}
