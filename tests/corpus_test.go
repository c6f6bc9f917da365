package tests

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fuzzTargets finds every fuzz target below root: package folder → names.
func fuzzTargets(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				found[filepath.Dir(path)] = append(found[filepath.Dir(path)], f.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// corpus counts the committed cases of a target: files in the form that the fuzzer reads, which git knows.
func corpus(dir, target string) int {
	n := 0
	files, _ := filepath.Glob(filepath.Join(dir, "testdata", "fuzz", target, "*"))
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err == nil && bytes.HasPrefix(raw, []byte("go test fuzz v1\n")) && committed(f) {
			n++
		}
	}
	return n
}

// committed tells whether git keeps a file. Outside of a clone, as in an unpacked archive, every file counts.
func committed(path string) bool {
	out, err := exec.Command("git", "-C", filepath.Dir(path), "check-ignore", "-q", filepath.Base(path)).CombinedOutput()
	ignored := err == nil && len(out) == 0
	return !ignored
}

// TestEveryFuzzTargetHasACorpus finds targets by their source, so that a new one cannot be forgotten.
func TestEveryFuzzTargetHasACorpus(t *testing.T) {
	targets, cases := 0, 0
	for dir, names := range fuzzTargets(t, "..") {
		for _, name := range names {
			targets++
			n := corpus(dir, name)
			if cases += n; n == 0 {
				t.Errorf("%s in %s has no corpus in testdata/fuzz: run it for some seconds, or write cases, and commit them", name, dir)
			}
		}
	}
	if targets < 20 {
		t.Errorf("only %d fuzz targets were found; the search is wrong", targets)
	}
	t.Logf("%d fuzz targets, %d committed cases", targets, cases)
}

// TestATargetWithoutCorpusIsNoticed is the twin: a repository in which one target has none.
func TestATargetWithoutCorpusIsNoticed(t *testing.T) {
	dir := t.TempDir()
	source := "package x\n\nimport \"testing\"\n\nfunc FuzzBare(f *testing.F) {}\nfunc FuzzKept(f *testing.F) {}\n"
	if err := os.WriteFile(filepath.Join(dir, "x_test.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, "testdata", "fuzz", "FuzzKept")
	if err := os.MkdirAll(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(kept, "1"), []byte("go test fuzz v1\n[]byte(\"x\")\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := fuzzTargets(t, dir)[dir]
	if len(names) != 2 || corpus(dir, "FuzzBare") != 0 || corpus(dir, "FuzzKept") != 1 {
		t.Fatalf("%v, %d, %d", names, corpus(dir, "FuzzBare"), corpus(dir, "FuzzKept"))
	}
}
