package lint

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	arca "arca.example/arca"
)

func TestTheTemplateKeepsEveryRule(t *testing.T) {
	findings, err := Check(arca.Template)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Error(f)
	}
}

func TestTheSmallTemplateKeepsEveryRule(t *testing.T) {
	raw, err := os.ReadFile("testdata/small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if findings, err := Check(raw); err != nil || len(findings) > 0 {
		t.Fatalf("%v %v", err, findings)
	}
}

// Each broken template is the small one with one fault, named RULE.yaml or
// RULE-what.yaml, and only that rule may speak.
func TestEveryBrokenTemplateFailsWithItsRule(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d broken templates, %v", len(files), err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rule, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".yaml"), "--")
		if Rules[rule] == "" {
			t.Errorf("%s: there is no rule %s", file, rule)
		}
		seen[rule] = true
		findings, err := Check(raw)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if len(findings) == 0 {
			t.Errorf("%s passes", file)
		}
		for _, f := range findings {
			if f.Rule != rule {
				t.Errorf("%s: %s speaks too: %s", file, f.Rule, f)
			}
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(Rules)) {
		if !seen[rule] {
			t.Errorf("the rule %s has no broken template: it may pass vacuously", rule)
		}
	}
}

// Other people's linters run when they are there; the log says what is not.
func TestOtherLinters(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	validate(t, root)
	if path, err := exec.LookPath("cfn-lint"); err != nil {
		skipped(t, "cfn-lint: it is not installed; the template was not held against it")
	} else if out, err := exec.Command(path, filepath.Join(root, "template.yaml")).CombinedOutput(); err != nil {
		t.Errorf("cfn-lint: %v\n%s", err, out)
	}
}

// skipped writes a loud line, also into the file that ARCA_SKIPPED names. A missing linter is a line and never a failure:
// the rules of this package have run.
func skipped(t *testing.T, what string) {
	t.Helper()
	line := "SKIPPED linter: " + what + "\n"
	fmt.Fprint(os.Stderr, line)
	path := os.Getenv("ARCA_SKIPPED")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(line); err != nil {
		t.Fatal(err)
	}
}

func TestSkippedLintersAreListed(t *testing.T) {
	list := filepath.Join(t.TempDir(), "skipped")
	t.Setenv("ARCA_SKIPPED", list)
	t.Setenv("PATH", t.TempDir()) // nothing is installed there
	t.Run("linters", TestOtherLinters)
	raw, err := os.ReadFile(list)
	for _, name := range []string{"SKIPPED linter: cfn-lint: ", "SKIPPED linter: @aws/cloudformation-validate: "} {
		if err != nil || strings.Count(string(raw), name) != 1 {
			t.Errorf("the list holds %q, want %q: %v", raw, name, err)
		}
	}
}

// generated are resources that SAM makes from events: AWS's validator reads the
// template before SAM has expanded it and misses them.
var generated = []string{"ArrivedPackCreated"}

// validate runs AWS's own offline validator.
func validate(t *testing.T, root string) {
	modules := filepath.Join(root, ".tools", "node_modules")
	node, err := exec.LookPath("node")
	if _, absent := os.Stat(filepath.Join(modules, "@aws", "cloudformation-validate")); err != nil || absent != nil {
		skipped(t, "@aws/cloudformation-validate: it or node is not there; run tools/install")
		return
	}
	// It needs gigabytes and minutes for a template of this size, and on some machines breaks down: then it has said nothing of the template.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, filepath.Join(root, "tools", "template", "validate.mjs"), modules, filepath.Join(root, "template.yaml")).Output()
	if err != nil {
		skipped(t, "@aws/cloudformation-validate: it broke down or took longer than three minutes; the template was not held against it ("+err.Error()+")")
		return
	}
	var diagnostics []struct{ RuleID, Severity, Message string }
	if err := json.Unmarshal(out, &diagnostics); err != nil {
		t.Fatalf("cloudformation-validate: %v\n%s", err, out)
	}
	for _, d := range diagnostics {
		excused := d.RuleID == "F1020" && slices.ContainsFunc(generated, func(name string) bool { return strings.Contains(d.Message, "'"+name+"'") })
		if d.Severity != "INFO" && !excused {
			t.Errorf("cloudformation-validate: %s %s: %s", d.Severity, d.RuleID, d.Message)
		}
	}
	if len(diagnostics) == 0 {
		t.Error("cloudformation-validate said nothing at all: it did not read the template")
	}
}
