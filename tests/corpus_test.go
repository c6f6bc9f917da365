package tests

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fuzzTargets finds every fuzz target below root: package folder → names.
func fuzzTargets(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	eachSource(t, root, func(path string, file *ast.File) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, d := range file.Decls {
			if name := fuzzTarget(d); name != "" {
				found[filepath.Dir(path)] = append(found[filepath.Dir(path)], name)
			}
		}
	})
	return found
}

// eachSource gives every Go file below root to f.
func eachSource(t *testing.T, root string, f func(path string, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err == nil {
			f(path, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fuzzTarget gives the name of a fuzz target, "" for anything else.
func fuzzTarget(d ast.Decl) string {
	if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
		return f.Name.Name
	}
	return ""
}

func hasFuzzTarget(file *ast.File) bool {
	return slices.ContainsFunc(file.Decls, func(d ast.Decl) bool { return fuzzTarget(d) != "" })
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

// parsers finds the functions below root that parse text or bytes, by their names: package folder → names.
func parsers(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	eachSource(t, root, func(path string, file *ast.File) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !parserName.MatchString(f.Name.Name) || strings.HasSuffix(path, "_test.go") {
				continue
			}
			if kind := types.ExprString(f.Type.Params.List[0].Type); kind == "string" || kind == "[]byte" {
				found[filepath.Dir(path)] = append(found[filepath.Dir(path)], f.Name.Name)
			}
		}
	})
	return found
}

var parserName = regexp.MustCompile("^[Pp]arse($|[A-Z])")

// fuzzed gives the names that are used in the test files of a folder that have a fuzz target.
func fuzzed(t *testing.T, root string) map[string]map[string]bool {
	t.Helper()
	used := map[string]map[string]bool{}
	targets := fuzzTargets(t, root)
	eachSource(t, root, func(path string, file *ast.File) {
		dir := filepath.Dir(path)
		if !strings.HasSuffix(path, "_test.go") || len(targets[dir]) == 0 || !hasFuzzTarget(file) {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				if used[dir] == nil {
					used[dir] = map[string]bool{}
				}
				used[dir][id.Name] = true
			}
			return true
		})
	})
	return used
}

// elsewhere are parsers that a target reaches through another name, with which.
var elsewhere = map[string]string{
	"parseBody":        "FuzzKeyFileBody, through ReencodeForTest",
	"parseReceipt":     "the campaigns flip every byte of a receipt; VerifyReceipt is what reads one",
	"parseInfo":        "FuzzVerify of shared/stamp",
	"parseDecimal":     "FuzzParseTree, FuzzParseRequest",
	"parseVerifierKey": "FuzzParsePolicy",
	"parseHex16":       "FuzzParseRecordingID",
	"ParseBatchID":     "FuzzParseRecordingID: the same reading under another type",
	"parse":            "FuzzPeek",
}

// TestEveryParserIsFuzzed finds parsers by their source, so that a new one cannot be forgotten.
func TestEveryParserIsFuzzed(t *testing.T) {
	used, n := fuzzed(t, ".."), 0
	for dir, names := range parsers(t, "..") {
		for _, name := range names {
			if n++; !used[dir][name] && elsewhere[name] == "" {
				t.Errorf("%s in %s is in no fuzz target", name, dir)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d parsers were found; the search is wrong", n)
	}
	t.Logf("%d parsers", n)
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
