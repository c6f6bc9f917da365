package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "arca.example/arca/"

// layers are the tree's levels, lowest first (design, "Tree and direction"). A package belongs to the longest prefix that
// fits, and imports only from its own level or below.
var layers = [][]string{
	{"shared/problem"},
	{"shared/record"},
	{"shared/seal", "shared/ledger", "shared/store", "shared/keys"},
	{"shared/bundle", "shared/custody", "shared/oversight", "shared/policy", "shared/notify", "shared/law", "shared/stamp", "shared/wire"},
	{"shared/vault", "shared/keyholder", "shared/collector", "shared/mirror", "shared/reader", "shared/witness", "shared/audit"},
	{"shared/edge"},
	{"functions"},
	{"shared/local", "functions/functionstest"}, // hosts of functions
	{"cmd", "tools"},
}

// knowAWS may import AWS's libraries: what reaches a service, what stands where Lambda stands, and the program that is
// deployed. functionstest and the stand-ins are linked by tests only.
var knowAWS = []string{"shared/store", "shared/keys", "shared/edge", "shared/local", "cmd/bootstrap", "functions/functionstest"}

func level(pkg string) (int, bool) {
	found, length := 0, 0
	for i, layer := range layers {
		for _, prefix := range layer {
			if under(pkg, prefix) && len(prefix) > length {
				found, length = i, len(prefix)
			}
		}
	}
	return found, length > 0
}

func under(pkg, prefix string) bool { return pkg == prefix || strings.HasPrefix(pkg, prefix+"/") }

func isAWS(path string) bool {
	return under(path, "github.com/aws")
}

// wrongImport says why a package of this module may not import path, or "".
func wrongImport(pkg, path string) string {
	from, known := level(pkg)
	if !known {
		return fmt.Sprintf("%s has no place among the layers; give it one", pkg)
	}
	if isAWS(path) && !slices.ContainsFunc(knowAWS, func(prefix string) bool { return under(pkg, prefix) }) {
		return fmt.Sprintf("%s imports %s; only stores, keys and edge know AWS", pkg, path)
	}
	inside, ours := strings.CutPrefix(path, module)
	if !ours {
		return ""
	}
	if to, known := level(inside); !known || to > from {
		return fmt.Sprintf("%s imports %s, which lies above it", pkg, inside)
	}
	return ""
}

func TestImportsRunDownward(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg, ours := strings.CutPrefix(fields[0], module)
		if !ours {
			continue // the root package embeds the template and imports nothing of ours
		}
		for _, path := range fields[1:] {
			checked++
			if wrong := wrongImport(pkg, path); wrong != "" {
				t.Error(wrong)
			}
		}
	}
	if checked < 300 {
		t.Errorf("only %d imports were looked at", checked)
	}
}

// The rule must speak: each of these is one that somebody will try.
func TestImportsThatAreRefused(t *testing.T) {
	for _, c := range [][2]string{
		{"shared/record", module + "shared/seal"},
		{"shared/seal", module + "shared/law"},
		{"shared/policy", module + "shared/keyholder"},
		{"shared/vault", module + "shared/edge"},
		{"shared/edge", module + "functions"},
		{"functions/orders", module + "shared/local"},
		{"shared/keyholder", "github.com/aws/aws-sdk-go-v2/service/kms"},
		{"functions/deposit", "github.com/aws/aws-sdk-go-v2/service/s3"},
		{"shared/elsewhere", "fmt"},
	} {
		if wrongImport(c[0], c[1]) == "" {
			t.Errorf("%s may import %s", c[0], c[1])
		}
	}
}

// linked lists everything that a program is built from.
func linked(t *testing.T, program string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-tags", "lambda.norpc", module+program).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// What a program must not link. The verifier is what a court runs on somebody else's evidence: it holds no way to a
// service, a keyholder or a store. The bootstrap must stay small and quick.
func TestWhatProgramsLink(t *testing.T) {
	for program, forbidden := range map[string][]string{
		"cmd/arca-verify": {"github.com/aws", module + "shared/keyholder", module + "shared/vault", module + "shared/store", module + "shared/keys", module + "shared/edge",
			module + "functions", "modernc.org/sqlite", "database/sql"},
		"cmd/bootstrap": {"modernc.org/sqlite", "database/sql", module + "shared/store/sqlite", module + "shared/store/folder", module + "shared/local", module + "shared/store/fault",
			module + "shared/store/storetest", module + "shared/keys/kms/kmstest", module + "functions/functionstest", "github.com/goccy/go-yaml", "github.com/spf13/cobra", "net/rpc", "testing"},
	} {
		all := linked(t, program)
		if len(all) < 50 {
			t.Errorf("%s links only %d packages: the list is not whole", program, len(all))
		}
		for _, path := range all {
			for _, not := range forbidden {
				if under(path, not) {
					t.Errorf("%s links %s", program, path)
				}
			}
		}
	}
}
