package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"testing"
	"testing/fstest"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/mirror/mirrortest"
	"arca.example/arca/shared/seal"
)

// logFolder is a log of n entries as a folder of its files.
func logFolder(t *testing.T, n int) (*mirrortest.Vault, fstest.MapFS) {
	v := mirrortest.New(t, seal.Geometry{Size: 1 << 18, Slots: 2})
	edge := must(ledger.OpenEdge(ledger.Tree{Origin: mirrortest.Origin, Root: ledger.EmptyRoot()}, nil))
	var list []ledger.Entry
	for i := range n {
		e := ledger.Entry(sha256.Sum256(fmt.Append(nil, i)))
		list = append(list, e)
		v.Log(e)
	}
	_, objects := edge.Append(list)
	folder := fstest.MapFS{"checkpoint": {Data: must(v.Checkpoint(t.Context()))}}
	for _, o := range objects {
		folder[o.Tile.Path()] = &fstest.MapFile{Data: o.Data}
	}
	return v, folder
}

func TestVerifyLog(t *testing.T) {
	v, folder := logFolder(t, 600)
	got, err := bundle.VerifyLog(&v.Trust, folder)
	check(t, err)
	if got.Verdict != bundle.Proven || got.Size != 600 || got.Tiles != len(folder)-1 {
		t.Fatalf("%+v of %d files", got, len(folder))
	}
	for path, file := range folder {
		for _, i := range []int{0, len(file.Data) / 2, len(file.Data) - 1} {
			changed := maps.Clone(folder)
			b := bytes.Clone(file.Data)
			b[i] ^= 1
			changed[path] = &fstest.MapFile{Data: b}
			if _, err := bundle.VerifyLog(&v.Trust, changed); bundle.VerdictOf(err) != bundle.Altered && bundle.VerdictOf(err) != bundle.UnknownRoots {
				t.Errorf("%s, byte %d: %s: %v", path, i, bundle.VerdictOf(err), err)
			}
		}
		without := maps.Clone(folder)
		delete(without, path)
		if _, err := bundle.VerifyLog(&v.Trust, without); bundle.VerdictOf(err) != bundle.Incomplete {
			t.Errorf("without %s: %s: %v", path, bundle.VerdictOf(err), err)
		}
	}
	v.Cosigning = 1
	folder["checkpoint"] = &fstest.MapFile{Data: must(v.Checkpoint(t.Context()))}
	if _, err := bundle.VerifyLog(&v.Trust, folder); bundle.VerdictOf(err) != bundle.Unwitnessed {
		t.Errorf("one witness of two: %v", err)
	}
	other, _ := logFolder(t, 1)
	other.Trust.LogOrigin, other.Trust.LogKey = "elsewhere.example/log", ""
	if _, err := bundle.VerifyLog(&other.Trust, folder); err == nil {
		t.Error("verified under a log without a key")
	}
}
