package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

func TestMatch(t *testing.T) {
	ids := []string{strings.Repeat("a", 64), strings.Repeat("a", 63) + "b", "0123456789" + strings.Repeat("c", 54)}
	list := func() ([]string, error) { return ids, nil }
	cases := []struct {
		text, want string
		kind       problem.Kind
	}{
		{"01234567", ids[2], ""},
		{strings.ToUpper("01234567"), ids[2], ""},
		{"0123456", "", problem.Invalid},
		{"aaaaaaaa", "", problem.Invalid}, // two begin like this
		{ids[0], ids[0], ""},
		{strings.Repeat("d", 64), strings.Repeat("d", 64), ""}, // a whole id is taken as it is
		{"dddddddd", "", problem.NotFound},
		{"../aaaaa", "", problem.Invalid},
		{strings.Repeat("a", 65), "", problem.Invalid},
		{"", "", problem.Invalid},
	}
	for _, c := range cases {
		got, err := match("thing", c.text, 64, list)
		if got != c.want || (c.kind == "") != (err == nil) || err != nil && problem.KindOf(err) != c.kind {
			t.Errorf("match(%q) = %q, %v", c.text, got, err)
		}
	}
	if _, err := match("thing", "aaaaaaaa", 64, list); !strings.Contains(err.Error(), "2 ids") {
		t.Error("an ambiguous beginning does not say so:", err)
	}
}

func TestParseTime(t *testing.T) {
	base := time.Date(2026, 11, 22, 10, 0, 0, 500, time.UTC)
	for text, want := range map[string]string{
		"2026-11-22T10:00:00+01:00": "2026-11-22T09:00:00Z", "2026-11-22": "2026-11-22T00:00:00Z",
		"+30d": "2026-12-22T10:00:00Z", "+90s": "2026-11-22T10:01:30Z",
	} {
		got, err := parseTime(text, base)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "now", "tomorrow", "+", "+0d", "+-3d", "-3d", "+1e9d", "22.11.2026", "2026-11-22 10:00"} {
		if _, err := parseTime(text, base); problem.KindOf(err) != problem.Invalid {
			t.Errorf("%q was taken: %v", text, err)
		}
	}
}

func TestParseSizesAndIdentifiers(t *testing.T) {
	if n, err := parseSize("16MiB"); n != 16<<20 || err != nil {
		t.Error(n, err)
	}
	for _, text := range []string{"", "MiB", "-1", "0", "9999999999999GiB", "16 MiB"} {
		if _, err := parseSize(text); problem.KindOf(err) != problem.Invalid || err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	id, err := parseIdentifier("sip:alice@example.org:5060")
	if err != nil || id != (record.Identifier{Kind: "sip", Value: "alice@example.org:5060"}) {
		t.Error(id, err)
	}
	for _, text := range []string{"", "msisdn", ":1", "msisdn:", "msisdn:1\n2"} {
		if _, err := parseIdentifier(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// hostile is what data might carry to move a cursor, colour a word, or turn a line around.
const hostile = "a\x1b[2Jb\rc\x07d\u202ee\u2028f\u009bg\x7fh\xff"

func TestNothingMovesTheCursor(t *testing.T) {
	var out bytes.Buffer
	p := &page{w: &out}
	p.line("%s", hostile)
	p.table([]string{"HEAD"}, [][]string{{hostile}, {""}})
	p.pairs("name", hostile, "empty", "")
	a := &app{streams: streams{out: &out, err: &out}}
	a.json = true
	if err := a.show(map[string]string{"x": strings.ToValidUTF8(hostile, "?")}, nil); err != nil {
		t.Fatal(err)
	}
	a.finish(problem.New(problem.Denied, "%s", hostile))
	a.json = false
	a.verbose = true
	a.finish(problem.New(problem.Denied, "%s", hostile))
	if r, moved := moves(out.String()); moved {
		t.Fatalf("%q reaches the terminal in %q", r, out.String())
	}
	// A page that does not clean its cells is what this must catch.
	if _, moved := moves(fmt.Sprintf("%s\n", hostile)); !moved {
		t.Fatal("the check itself sees nothing")
	}
}

// moves finds a rune that a terminal acts on.
func moves(s string) (rune, bool) {
	for _, r := range s {
		if strings.ContainsRune("\x1b\r\x07\u202e\u2028\u009b\x7f", r) {
			return r, true
		}
	}
	return 0, false
}

func TestBegun(t *testing.T) {
	got := begun([]string{"2026-W48", "2026-W47", "2026-W47", "2027-W01", "2025-W52"}, "2026-W47")
	if !slices.Equal(got, []string{"2025-W52", "2026-W47"}) {
		t.Error(got)
	}
}

func TestJSONKeepsItsMeaning(t *testing.T) {
	var out bytes.Buffer
	a := &app{json: true, streams: streams{out: &out}}
	in := map[string]string{"x": "tab\tescape\x1b bidi\u202e quote\" slash\\ c1\u009b end\n"}
	if err := a.show(in, nil); err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["x"] != in["x"] {
		t.Fatalf("%v: %q became %q", err, in["x"], back["x"])
	}
}

func TestExitCodes(t *testing.T) {
	seen := map[int]bool{}
	for _, e := range exitCodes {
		if seen[e.code] {
			t.Error("code used twice:", e.code)
		}
		seen[e.code] = true
	}
	for kind, code := range map[problem.Kind]int{problem.Internal: 1, problem.Invalid: 3, problem.Denied: 4, problem.NotFound: 5,
		problem.Conflict: 6, problem.Gone: 7, problem.Unavailable: 8, "new": 1} {
		if exitCode(string(kind)) != code {
			t.Errorf("%s ends with %d", kind, exitCode(string(kind)))
		}
	}
}

func TestPart(t *testing.T) {
	for _, o := range []openFlags{{bytes: "x"}, {bytes: "1"}, {bytes: "-1"}, {bytes: "5-4"}, {bytes: "1-x"}, {from: "-1"}, {from: "x"}, {to: "1e12"},
		{from: "2", to: "1"}, {from: "1", to: "1"}, {to: "0"}} {
		if _, err := o.part(); problem.KindOf(err) != problem.Invalid || err == nil {
			t.Errorf("%+v was taken: %v", o, err)
		}
	}
	part, err := openFlags{bytes: "10-19"}.part()
	if err != nil || part.Bytes.First != 10 || part.Bytes.Last != 20 {
		t.Error(part.Bytes, err)
	}
	if part, err = (openFlags{bytes: "10-"}).part(); err != nil || part.Bytes.Last != 0 {
		t.Error(part.Bytes, err)
	}
	if part, err = (openFlags{from: "1.5", to: "1m"}).part(); err != nil || part.From != 1500*time.Millisecond || part.To != time.Minute {
		t.Error(part, err)
	}
}

func TestGuard(t *testing.T) {
	for text, passes := range map[string]bool{"hello\nworld ñ\n": true, "a\x1b[2J": false, "RIFF\x00": false, "x\xff": false, "a\u202eb": false} {
		var out bytes.Buffer
		_, err := (&guard{w: &out}).Write([]byte(text))
		if (err == nil) != passes || !passes && out.Len() > 0 {
			t.Errorf("%q: %v, wrote %q", text, err, out.String())
		}
	}
}

func TestDraftRoundTrip(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, d := range []draftFlags{{profile: "ES-588ter", days: 30, access: 90, example: true}, {profile: "ES-588ter", days: 400}} {
		text, err := d.draft(now)
		if err != nil {
			t.Fatal(err)
		}
		o, err := parseDraft([]byte(text))
		if err != nil {
			t.Fatal(err, text)
		}
		if o.Capture.Until.After(now.AddDate(0, 3, 0)) || o.AccessEnd.Before(o.Capture.Until) || !o.Decided.Equal(now) {
			t.Errorf("the draft's dates are not lawful: %+v", o.Capture)
		}
		if !strings.Contains(text, "LECrim 588 bis c.3") {
			t.Error("the draft names no article")
		}
	}
	if _, err := (draftFlags{profile: "XX", days: 1}).draft(now); problem.KindOf(err) != problem.Invalid {
		t.Error(err)
	}
}

func FuzzStripComments(f *testing.F) {
	for _, text := range fuzzSeeds(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out := stripComments(text)
		if len(out) != len(text) || bytes.Count(out, []byte("\n")) != bytes.Count(text, []byte("\n")) {
			t.Fatal("places moved")
		}
		// What is JSON already has no comments outside its strings, so nothing of it may change.
		if json.Valid(text) && !bytes.Equal(out, text) {
			t.Fatalf("%q became %q", text, out)
		}
		_, _ = parseDraft(text) // must not panic
	})
}

// FuzzValues: what people type for times, spans, sizes, places and identifiers is refused, or is within its bounds and read the same
// way every time.
func FuzzValues(f *testing.F) {
	for _, text := range []string{"2026-11-22T10:00:00Z", "2026-11-22", "+30d", "90m", "msisdn:+12025550111", "16MiB", "1048576", "12.5", "1m30s"} {
		f.Add(text)
	}
	base := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := parseTime(text, base); err == nil && strings.HasPrefix(text, "+") && at.Before(base) {
			t.Errorf("%q is earlier", text)
		}
		if d, err := parseSpan(text); err == nil && d <= 0 {
			t.Errorf("%q is nothing", text)
		}
		if d, err := parseSeconds(text); err == nil && d < 0 {
			t.Errorf("%q lies before the beginning", text)
		}
		if id, err := parseIdentifier(text); err == nil && id.Kind+":"+id.Value != text {
			t.Errorf("%q is read as %v", text, id)
		}
		n, err := parseSize(text)
		for range 8 {
			if again, otherwise := parseSize(text); again != n || (err == nil) != (otherwise == nil) {
				t.Errorf("%q is %d and %d", text, n, again)
			}
		}
		if err == nil && (n < 1 || n > 1<<40) {
			t.Errorf("%q is %d bytes", text, n)
		}
	})
}

func fuzzSeeds(t testing.TB) (seeds [][]byte) {
	files, err := filepath.Glob("testdata/drafts/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, raw)
	}
	return seeds
}

// TestFuzzSeeds proves that the fuzz target has cases, and that they are what they are named for.
func TestFuzzSeeds(t *testing.T) {
	if n := len(fuzzSeeds(t)); n < 4 {
		t.Fatalf("only %d drafts", n)
	}
	for name, want := range map[string]bool{"example.jsonc": true, "strings.jsonc": true, "open-comment.jsonc": false, "empty.jsonc": false} {
		raw, err := os.ReadFile(filepath.Join("testdata/drafts", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseDraft(raw); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
