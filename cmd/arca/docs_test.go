package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// updating tells whether docs/cli.md is to be written from the commands. The flag is functionstest's, which a test here links.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

const docsPath = "../../docs/cli.md"

// commands lists every command that does something, in the order of the help.
func commands(root *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, c := range root.Commands() {
		if c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		if c.HasSubCommands() {
			if c.Runnable() && c.Example != "" {
				list = append(list, c)
			}
			list = append(list, commands(c)...)
			continue
		}
		if c.Runnable() {
			list = append(list, c)
		}
	}
	return list
}

func newRoot() *cobra.Command { return (&app{}).root() }

// TestDocs holds docs/cli.md against the commands. Run with -update after changing a command.
func TestDocs(t *testing.T) {
	want := document(newRoot())
	if updating() {
		if err := os.WriteFile(docsPath, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Fatal("docs/cli.md is not what the commands say; run: go test ./cmd/arca -run TestDocs -update")
	}
}

func document(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# arca: the command line\n\nWritten from the commands themselves by `go test ./cmd/arca -run TestDocs -update`; do not edit.\n\n%s\n\n", root.Long)
	b.WriteString("Every command takes these:\n\n")
	flags(&b, root.PersistentFlags())
	b.WriteString("An id may be cut to its first eight digits or more where that is unique. Times are UTC. With `--json` the answer is one JSON\n" +
		"document; a failure is `{\"error\":{\"kind\",\"message\"}}`, or stands in the member `error` of an answer that also says what was done.\n" +
		"`arca completion` prints completion scripts for bash, zsh, fish and PowerShell.\n\n## Exit codes\n\n| Code | Kind | Meaning |\n|---|---|---|\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", e.code, e.kind, e.what)
	}
	for _, c := range commands(root) {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n    %s\n\n%s\n", c.CommandPath(), c.Short, c.UseLine(), c.Long)
		if c.HasLocalFlags() {
			b.WriteString("\n")
			flags(&b, c.LocalNonPersistentFlags())
		} else {
			b.WriteString("\n")
		}
		if c.Example != "" {
			fmt.Fprintf(&b, "Examples:\n\n    %s\n", strings.ReplaceAll(c.Example, "\n", "\n    "))
		}
	}
	return b.Bytes()
}

func flags(b *bytes.Buffer, set *pflag.FlagSet) {
	if !set.HasFlags() {
		return
	}
	b.WriteString("| Flag | Meaning |\n|---|---|\n")
	set.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		usage := f.Usage
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", name, usage)
	})
	b.WriteString("\n")
}

// runElsewhere are examples that another test runs.
var runElsewhere = map[string]string{"arca demo": "make demo"}

// TestExamples demands that every command has a long text and an example, and that a script runs every example literally.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	run := map[string]bool{}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			line = strings.TrimSpace(line)
			if rest, ok := strings.CutPrefix(line, "exec "); ok {
				if i := strings.LastIndex(rest, " &"); i > 0 {
					rest = rest[:i]
				}
				run[rest] = true
			}
		}
	}
	for _, c := range commands(newRoot()) {
		if c.Example == "" || c.Long == "" {
			t.Errorf("%s has no example or no text", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			line = strings.TrimSpace(line)
			if !run[line] && runElsewhere[c.CommandPath()] == "" {
				t.Errorf("no script runs the example: %s", line)
			}
		}
	}
}

// TestHelp runs --help of every command: it must show the example, on standard output, with exit code 0.
func TestHelp(t *testing.T) {
	for _, c := range commands(newRoot()) {
		var out, errs bytes.Buffer
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if code := run(context.Background(), args, streams{in: strings.NewReader(""), out: &out, err: &errs}); code != 0 {
			t.Errorf("%v: exit code %d, %s", args, code, errs.String())
		}
		if !strings.Contains(out.String(), strings.Split(c.Example, "\n")[0]) {
			t.Errorf("%v shows no example", args)
		}
		if !strings.HasPrefix(out.String(), c.Short+".\n") {
			t.Errorf("%v does not begin with what it does", args)
		}
	}
}

// TestNames holds the names of commands that scripts and people rely on.
func TestNames(t *testing.T) {
	var names []string
	for _, c := range commands(newRoot()) {
		names = append(names, strings.TrimPrefix(c.CommandPath(), "arca "))
	}
	for _, want := range []string{"init", "serve", "witness", "status", "enrol", "whoami", "suspend", "order new", "order sign", "order admit",
		"order extend", "order revoke", "order show", "order confirm", "order reject", "order close", "order milestone", "order hold", "order lift", "order destroy", "order notice", "order narrow", "law show", "law check", "law explain", "law clocks", "seal", "spool", "mirror", "audit packs", "ls", "ask", "approve", "deny", "inbox", "open",
		"log", "custody", "backup", "restore", "verify"} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no command %q", want)
		}
	}
}

// TestReadme parses every command line that README and the docs show: names, flags, number of arguments.
func TestReadme(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, page := range append(pages, "../../README.md") {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if !strings.HasPrefix(line, "    arca ") || page == docsPath { // whose lines are the commands' own
				continue
			}
			if err := parses(strings.TrimSpace(line)); err != nil {
				t.Errorf("%s: %s: %v", page, strings.TrimSpace(line), err)
			}
			n++
		}
	}
	if n < 5 {
		t.Fatalf("only %d command lines were found", n)
	}
}

func parses(line string) error {
	line, _, _ = strings.Cut(line, " # ")
	line, _, _ = strings.Cut(line, " > ")
	line, _, _ = strings.Cut(line, " && ")
	line = strings.TrimSuffix(strings.TrimSpace(line), " &")
	var args []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			args = append(args, part) // between quotes
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	root := newRoot()
	c, rest, err := root.Find(args[1:])
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		return err
	}
	return c.ValidateRequiredFlags()
}
