package vault

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/store"
)

// The store is not trusted: what its rows parse to encodes to the same bytes.

// FuzzParseObject: what is taken for an object's key names something that there can be.
func FuzzParseObject(f *testing.F) {
	for _, key := range []string{"pack/000000000001", "log/tile/0/000", "log/tile/entries/000", "log/tile/0/000.p/3"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if o, ok := parseObject(key); ok && (o.number < 0 || o.level > 63) {
			t.Fatalf("%q is %+v", key, o)
		}
	})
}

func FuzzBatchRow(f *testing.F) {
	f.Add(marshalPending([]ledger.Entry{entry(1), entry(2)}))
	f.Add(marshalPlaced(1234567, 99))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseBatch(store.Row{Value: b})
		if err != nil {
			return
		}
		again := marshalPlaced(got.index, got.count)
		if !got.placed {
			again = marshalPending(got.entries)
		}
		if !bytes.Equal(again, b) || got.count < 1 || got.count > maxBatch || got.index < 0 {
			t.Fatalf("%x: %+v", b, got)
		}
	})
}

func FuzzLeafRow(f *testing.F) {
	f.Add(place{63, 1 << 40, 98}.marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePlace(b); err == nil && (!bytes.Equal(p.marshal(), b) || p.number < 0) {
			t.Fatalf("%x: %+v", b, p)
		}
	})
}

func FuzzHeadRow(f *testing.F) {
	next := emptyMark()
	next.Size = 5
	f.Add(head{Before: emptyMark(), Now: emptyMark(), Plan: &next}.marshal())
	f.Add(head{Before: emptyMark(), Now: next}.marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHead(store.Row{Value: b, Version: 1})
		if err != nil {
			return
		}
		if !bytes.Equal(h.marshal(), b) || h.Now.Size < h.Before.Size || h.last().Size < h.Now.Size {
			t.Fatalf("%s", b)
		}
		for s := range shards {
			if h.Before.Cursors[s] < 0 || h.Now.Cursors[s] < h.Before.Cursors[s] || h.last().Cursors[s] < h.Now.Cursors[s] {
				t.Fatalf("%s", b)
			}
		}
	})
}

func TestLedgerCorpusIsThere(t *testing.T) {
	for _, target := range []string{"FuzzBatchRow", "FuzzLeafRow", "FuzzHeadRow"} {
		files, err := filepath.Glob(filepath.Join("testdata", "fuzz", target, "*"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no committed corpus: %v", target, err)
		}
		for _, file := range files {
			if b, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(b, []byte("go test fuzz v1\n")) {
				t.Errorf("%s is no corpus file: %v", file, err)
			}
		}
	}
}
