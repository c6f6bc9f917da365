package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestUnclear demands that a command line that says nothing useful is answered with what to write.
func TestUnclear(t *testing.T) {
	for line, want := range map[string]string{
		"sael":                        `unknown command "sael"; did you mean seal?; see arca --help`,
		"order show a b":              "the line reads: arca order show [CHAIN]; see arca order show --help",
		"order sgin":                  `unknown command "sgin"; did you mean sign?; see arca order --help`,
		"order":                       "say what to do; see arca order --help",
		"ls first look":               `"first" is one word too many; quote what has spaces; the line reads: arca ls [flags]; see arca ls --help`,
		"backup court":                "a backup needs a file (-o) and a recovery recipient (--recovery), made with arca recovery",
		"bundle make -o x --reason y": "this needs --to or --clear; see arca bundle make --help",
		"open x --bytes 1- --to 2":    "--bytes and --to do not go together; give one of them; see arca open --help",
		"verify x --trust t":          "a trust file proves nothing by itself; give its fingerprint too, with --fingerprint",
		"seal --order x":              "the line reads: arca seal FILES…; see arca seal --help",
		"seal --ordr x":               "unknown flag: --ordr; see arca seal --help",
	} {
		var out, err bytes.Buffer
		code := run(t.Context(), strings.Fields(line), streams{in: strings.NewReader(""), out: &out, err: &err})
		if got := strings.TrimPrefix(strings.TrimSpace(err.String()), "arca: "); code != 2 || got != want {
			t.Errorf("arca %s: exit code %d, %q; want 2 and %q", line, code, got, want)
		}
	}
}
