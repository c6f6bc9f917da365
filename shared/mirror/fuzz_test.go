package mirror

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"arca.example/arca/shared/mirror/mirrortest"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

const golden = "testdata/row.json"

// goldenVault has fixed keys, one fixed pack and a fixed clock.
func goldenVault(tb testing.TB) *mirrortest.Vault {
	v := mirrortest.New(tb, small)
	v.Now = func() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC) }
	v.Store(bytes.Repeat([]byte("arca"), small.Size/4))
	return v
}

// TestGoldenRow: a row that an earlier version wrote is still read, verified, and written alike. ARCA_WRITE_GOLDEN=1 makes it anew.
func TestGoldenRow(t *testing.T) {
	v := goldenVault(t)
	m := open(t, v, t.TempDir(), v)
	fetched(t, m)
	raw, err := os.ReadFile(m.rowPath(1))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("ARCA_WRITE_GOLDEN") != "" {
		corpus := filepath.Join("testdata", "fuzz", "FuzzRow")
		_ = os.MkdirAll(corpus, 0o755)
		_ = os.WriteFile(golden, raw, 0o644)
		for name, b := range map[string][]byte{"row": raw, "other-number": bytes.Replace(raw, []byte(`"number":1,`), []byte(`"number":2,`), 1), "cut": raw[:len(raw)/2], "empty": []byte("{}")} {
			_ = os.WriteFile(filepath.Join(corpus, name), []byte("go test fuzz v1\n[]byte("+quote(b)+")\n"), 0o644)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(raw, want) {
		t.Fatalf("the row is another than the golden one: %v", err)
	}
	if err := os.WriteFile(m.rowPath(1), want, 0o600); err != nil {
		t.Fatal(err)
	}
	if area, err := open(t, v, m.cfg.Folder, nil).SlotArea(1); err != nil || len(area) != small.Slots*seal.SlotSize {
		t.Fatal(err)
	}
}

// FuzzRow: what is accepted is written alike, and no event is taken for another number or author.
func FuzzRow(f *testing.F) {
	m := open(f, goldenVault(f), f.TempDir(), nil)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parseRow(raw, 1)
		if err != nil {
			return
		}
		if again, err := record.Marshal(r); err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("another form was accepted: %v", err)
		}
		event, entry, err := m.judge.entry(1, r.Event, r.Random)
		if err != nil {
			return
		}
		if event.Number != 1 {
			t.Fatal("an event of another number")
		}
		_, _ = m.judge.included(1, entry, r.Proof)
	})
}

func TestTheFuzzCorpusIsThere(t *testing.T) {
	files, _ := filepath.Glob("testdata/fuzz/FuzzRow/*")
	raw, err := os.ReadFile(golden)
	if _, parseErr := parseRow(raw, 1); len(files) < 4 || err != nil || parseErr != nil {
		t.Fatalf("%d cases, %v, %v", len(files), err, parseErr)
	}
}

// quote is the form of a corpus file's bytes.
func quote(b []byte) string { return strconv.QuoteToASCII(string(b)) }
