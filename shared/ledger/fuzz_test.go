package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// For every parser: what parses encodes to the same bytes. seeds are the good
// artefacts; testdata/fuzz holds more, which TestCorpusIsThere counts.

func FuzzParseProof(f *testing.F) {
	w := newForest(f, 2, 1)
	w.grow(300)
	f.Add(w.proof(f, 299, w.checkpoint(f, 0, time.Second)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParseProof(b); err == nil && !bytes.Equal(p.Marshal(), b) {
			t.Fatalf("%q", b)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	w := newForest(f, 0, 0)
	w.grow(3)
	f.Add(Request{Old: 1, Path: nil, Checkpoint: w.checkpoint(f)}.Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRequest(b); err == nil && !bytes.Equal(r.Marshal(), b) {
			t.Fatalf("%q", b)
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := ParseEntry(b); err == nil && !bytes.Equal(e[:], b) {
			t.Fatalf("%q", b)
		}
	})
}

func FuzzParseTree(f *testing.F) {
	w := newForest(f, 0, 0)
	w.grow(3)
	f.Add(w.tree().Text())
	f.Fuzz(func(t *testing.T, s string) {
		if tree, err := ParseTree(s); err == nil && tree.Text() != s {
			t.Fatalf("%q", s)
		}
	})
}

func FuzzVerify(f *testing.F) {
	w := newForest(f, 3, 2)
	w.grow(300)
	good := w.checkpoint(f, 0, 0, 0)
	f.Add(good)
	f.Add(w.checkpoint(f, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := w.policy.Verify(b)
		if err == nil && c.Tree != w.tree() {
			t.Fatalf("a tree that nobody signed: %q", b)
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(newForest(f, 2, 2).policy.Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParsePolicy(b); err == nil && !bytes.Equal(p.Marshal(), b) {
			t.Fatalf("%q", b)
		}
	})
}

func FuzzParseTilePath(f *testing.F) {
	for _, s := range []string{"tile/0/000", "tile/1/x001/x234/067.p/17", "tile/entries/x001/000", "tile/data/000", "tile/7/000.p/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if tile, err := ParseTilePath(s); err == nil && (tile.Path() != s || tile.Width < 1 || tile.Width > TileWidth) {
			t.Fatalf("%q", s)
		}
	})
}

func FuzzParseBundle(f *testing.F) {
	f.Add(MarshalBundle([]Entry{entry(1), entry(2)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if list, err := ParseBundle(b); err == nil && !bytes.Equal(MarshalBundle(list), b) {
			t.Fatalf("%q", b)
		}
	})
}

func FuzzParseCosignature(f *testing.F) {
	w := newForest(f, 1, 1)
	w.grow(5)
	signed := w.checkpoint(f)
	want := w.cosigners[0].Cosign(w.tree(), noon).Line
	f.Add([]byte(want))
	f.Fuzz(func(t *testing.T, b []byte) {
		line, err := ParseCosignatures(signed, b, w.policy.Witnesses)
		if err == nil && line != want {
			t.Fatalf("a line that was never signed: %q", line)
		}
	})
}

func TestCorpusIsThere(t *testing.T) {
	for _, target := range []string{"FuzzParseProof", "FuzzParseRequest", "FuzzParseEntry", "FuzzParseTree", "FuzzVerify", "FuzzParsePolicy", "FuzzParseTilePath", "FuzzParseBundle", "FuzzParseCosignature", "FuzzParseEvidence"} {
		files, err := filepath.Glob(filepath.Join("testdata", "fuzz", target, "*"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no committed corpus: %v", target, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil || !bytes.HasPrefix(b, []byte("go test fuzz v1\n")) {
				t.Errorf("%s is no corpus file: %v", file, err)
			}
		}
	}
}
