package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"arca.example/arca/cmd/internal/verify"
	"arca.example/arca/shared/stamp/stamptest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"arca":        func() { os.Exit(runProcess()) },
		"arca-verify": func() { os.Exit(verify.Command(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the real command line against real local parties.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Deadline:            time.Now().Add(4 * time.Minute),
		Setup: func(env *testscript.Env) error {
			samples, err := filepath.Abs("../../samples/recordings")
			env.Setenv("SAMPLES", samples)
			env.Setenv("NEWLINE", "two\nlines")
			authority(t, env)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"get":   getField,
			"await": awaitCommand,
			"ends":  endsWith,
			"edit":  editFile,
			"lines": firstLine,
		},
	})
}

// authority puts a time-stamping authority into a script's folder: authorities.json and its root. While there is a file "down" it is.
func authority(t *testing.T, env *testscript.Env) {
	t.Helper()
	a := stamptest.New(t, "authority-1", time.Now)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := os.Stat(filepath.Join(env.WorkDir, "down")); err == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		a.ServeHTTP(w, r)
	}))
	env.Defer(server.Close)
	list := fmt.Sprintf(`[{"name": "authority-1", "url": "%s/tsa", "root": "authority.pem", "policy": "%s"}]`, server.URL, stamptest.Policy)
	for name, content := range map[string][]byte{"authorities.json": []byte(list), "authority.pem": a.PEM()} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// getField sets a variable from the JSON document of the last command: get NAME path.to.0.member
func getField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get NAME path")
	}
	var v any
	text := ts.ReadFile("stdout")
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		ts.Fatalf("standard output is not one JSON document: %v\n%s", err, text)
	}
	for _, step := range strings.Split(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(at) {
				ts.Fatalf("no element %s in the list", step)
			}
			v = at[i]
		default:
			ts.Fatalf("nothing at %s", step)
		}
	}
	if v == nil {
		ts.Fatalf("nothing at %s in %s", args[1], text)
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// awaitCommand runs a command again until it succeeds: await arca status
func awaitCommand(ts *testscript.TestScript, neg bool, args []string) {
	end := time.Now().Add(30 * time.Second)
	for {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%v never succeeded: %v", args, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// endsWith runs a command that must end with an exit code: ends 3 arca …
func endsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: ends CODE command…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("%v ended with %s, not %s", args[1:], code, args[0])
	}
}

// editFile replaces bytes in a file: edit FILE old new
func editFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE old new")
	}
	path := ts.MkAbs(args[0])
	raw, err := os.ReadFile(path)
	ts.Check(err)
	if !bytes.Contains(raw, []byte(args[1])) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(path, bytes.Replace(raw, []byte(args[1]), []byte(args[2]), 1), 0o600))
}

// firstLine sets a variable from the first line of the last command's output: lines NAME
func firstLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lines NAME")
	}
	line, _, _ := strings.Cut(ts.ReadFile("stdout"), "\n")
	if line == "" {
		ts.Fatalf("there is no output")
	}
	ts.Setenv(args[0], line)
}
