package keyholder_test

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// TestManyChains: a country's orders are more than one row holds; they stay in the order of admission, and a list that lost some is
// noticed, not taken for a shorter one.
func TestManyChains(t *testing.T) {
	w := newWorld(t)
	k := w.keyholder[seal.Court]
	var want []record.Digest
	for i := range 2500 {
		want = append(want, sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(i))))
	}
	must(t, k.ListChains(t.Context(), want...))
	got, err := k.Chains(t.Context())
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%d of %d chains (%v)", len(got), len(want), err)
	}
	rows := w.rows[seal.Court].Snapshot()
	for _, page := range []int{0, 2} {
		for _, cut := range []int{1, 32, 1 << 20} {
			must(t, k.CutChains(t.Context(), page, cut))
			if got, err := k.Chains(t.Context()); problem.KindOf(err) != problem.Internal {
				t.Errorf("page %d without its last %d bytes: %d chains (%v)", page, cut, len(got), err)
			}
			if page == 2 {
				if err := k.ListChains(t.Context(), record.Digest{1}); err == nil {
					t.Errorf("a chain was added to a page that lost %d bytes", cut)
				}
			}
			w.rows[seal.Court].Restore(rows)
		}
	}
}
