package verify

import (
	"strings"
	"testing"

	"arca.example/arca/shared/record"
)

// FuzzParseFingerprint: whatever is accepted is the one way to write it, and no beginning of one.
func FuzzParseFingerprint(f *testing.F) {
	whole := strings.Repeat("0f", 32)
	for _, s := range []string{whole, strings.ToUpper(whole), whole[:63], whole + "0", " " + whole, ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseFingerprint(s)
		if err == nil && d.String() != s {
			t.Fatalf("%q was read as %s", s, d)
		}
		if err != nil && d != (record.Digest{}) {
			t.Fatalf("%q was refused and read", s)
		}
	})
}

// TestFuzzSeeds proves that the target's cases are what they are meant to be: one is accepted.
func TestFuzzSeeds(t *testing.T) {
	if _, err := ParseFingerprint(strings.Repeat("0f", 32)); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseFingerprint(strings.Repeat("0F", 32)); err == nil {
		t.Fatal("capital letters were accepted")
	}
}
