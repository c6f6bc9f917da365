package canary

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/sqlite"
)

func TestEveryFormOfALeakIsFoundAtEveryPlace(t *testing.T) {
	needle := []byte("+12025550111")
	s, err := New(map[string][]byte{"number": needle})
	if err != nil {
		t.Fatal(err)
	}
	small, large := []int{0, 1, 4095}, []int{chunk - 3, chunk, chunk + 1, 2*chunk - 64}
	random := make([]byte, 2*chunk)
	rand.Read(random)
	for form, b := range forms(needle) {
		if len(b) < MinNeedle {
			continue
		}
		places, size := small, 64<<10
		if form == "raw" || form == "base64 at 1" {
			places, size = append(small, large...), len(random) // the seams between two reads
		}
		for _, at := range places {
			hay := bytes.Clone(random[:size])
			copy(hay[at:], b)
			if !found(t, s, hay, int64(at)) {
				t.Fatalf("%s at %d is not found", form, at)
			}
		}
	}
}

func found(t *testing.T, s *Searcher, hay []byte, at int64) bool {
	t.Helper()
	hits, err := s.Reader("hay", bytes.NewReader(hay))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hits {
		if h.Offset == at {
			return true
		}
	}
	return false
}

func TestBase64IsFoundWhateverStandsBeforeIt(t *testing.T) {
	needle := []byte("case-2026/17")
	s, _ := New(map[string][]byte{"case": needle})
	for before := range 7 {
		leak := base64.StdEncoding.EncodeToString(append(bytes.Repeat([]byte("x"), before), append(needle, "yz"...)...))
		if hits, _ := s.Reader("", bytes.NewReader([]byte(leak))); len(hits) == 0 {
			t.Errorf("not found behind %d bytes", before)
		}
	}
}

func TestRandomDataHasNoHits(t *testing.T) {
	s, _ := New(map[string][]byte{"number": []byte("+12025550111"), "name": []byte("investigator")})
	hay := make([]byte, 16<<20)
	rand.Read(hay)
	hits, err := s.Reader("hay", bytes.NewReader(hay))
	if err != nil || len(hits) > 0 {
		t.Fatal(hits, err)
	}
}

func TestFilesAndNamesAreSearched(t *testing.T) {
	dir := t.TempDir()
	name := hex.EncodeToString([]byte("Court One"))
	if err := os.WriteFile(filepath.Join(dir, name), []byte("…court one…"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := New(map[string][]byte{"court": []byte("Court One")})
	hits, read, err := s.Folder(dir)
	if err != nil || read == 0 || len(hits) != 2 {
		t.Fatal(hits, read, err)
	}
}

func TestShortNeedlesAreRefused(t *testing.T) {
	if _, err := New(map[string][]byte{"x": []byte("short")}); err == nil {
		t.Fatal("accepted")
	}
}

func TestRowsAreSearchedKeyAndValue(t *testing.T) {
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, w := range []store.Write{{Key: "of +12025550111"}, {Key: "plain", Value: []byte("x" + base64.StdEncoding.EncodeToString([]byte("+12025550111")))}, {Key: "other", Value: []byte("nothing")}} {
		if err := db.Commit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := New(map[string][]byte{"number": []byte("+12025550111")})
	hits, read, err := s.Rows(t.Context(), db)
	if err != nil || read == 0 || len(hits) != 3 /* raw; base64 and base64url look alike */ {
		t.Fatal(hits, read, err)
	}
}

func TestAPieceIsNotSilence(t *testing.T) {
	content := append(make([]byte, 100), []byte("abcdefghijklmnopqrstuvwxyz")...)
	if p := Piece(content, 10); len(p) != 24 || p[23] < 'a' {
		t.Fatalf("%q", p)
	}
}
