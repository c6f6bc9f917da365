package verify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEvidenceIsShownToAnybody: without a trust file, and not with a changed byte.
func TestEvidenceIsShownToAnybody(t *testing.T) {
	for name, says := range map[string]string{"evidence-fork": "neither contains the other", "evidence-rollback": "later a smaller one"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "ledger", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		shown := func(content []byte) Result {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			return One(Options{}, path)
		}
		r := shown(raw)
		if r.err != nil || r.Kind != KindEvidence || !strings.Contains(r.Line, says) || !strings.Contains(r.Line, "not proven: whose") || len(r.Evidence.Accused) == 0 {
			t.Fatalf("%s: %+v, %v", name, r, r.err)
		}
		for i := range raw {
			changed := append([]byte(nil), raw...)
			changed[i] ^= 1
			if got := shown(changed); got.err == nil {
				t.Fatalf("%s: with byte %d changed it still says: %s", name, i, got.Line)
			}
		}
		if got := shown(append(raw, '\n')); got.err == nil {
			t.Fatalf("%s: with a line more it still says: %s", name, got.Line)
		}
	}
}
