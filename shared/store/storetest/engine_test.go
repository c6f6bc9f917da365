package storetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// observed is a test that notes how it was ended.
type observed struct {
	testing.TB
	skipped, failed bool
}

func (o *observed) Helper()      {}
func (o *observed) Name() string { return "TestObserved" }
func (o *observed) Skip(...any)  { o.skipped = true }
func (o *observed) Fatal(...any) { o.failed = true }

func TestAMissingEngineIsLoud(t *testing.T) {
	file := filepath.Join(t.TempDir(), "skipped")
	t.Setenv("ARCA_SKIPPED", file)
	for _, ci := range []string{"", "true"} {
		t.Setenv("CI", ci)
		o := &observed{TB: t}
		Skipped(o, "some-engine", "it is not there")
		if o.failed != (ci != "") || (!o.failed && !o.skipped) {
			t.Fatalf("with CI=%q: skipped %v, failed %v", ci, o.skipped, o.failed)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil || strings.Count(string(b), "SKIPPED engine: some-engine: TestObserved: it is not there\n") != 2 {
		t.Fatalf("%q %v", b, err)
	}
}
