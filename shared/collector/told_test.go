package collector

import (
	"slices"
	"testing"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/record"
)

// TestBothKeyholdersAreToldWhereABatchLies: once it is proven, with what opens its packs' entries, in the same words to both, and again nothing.
func TestBothKeyholdersAreToldWhereABatchLies(t *testing.T) {
	w := newWorld(smallGeometry)
	chain := w.order("a", nil)
	folder := memoryFolder(t)
	c := openCollector(t, w.config(folder))
	sealAll(t, c, []Item{item(chain, "long", 11, pattern(900_000, 1)), item(chain, "short", 12, pattern(100, 2))})
	flush(t, c)
	flush(t, c)
	if len(w.court.told) == 0 || !slices.Equal(w.court.told, w.custodian.told) {
		t.Fatalf("the court was told %d things and the custodian %d", len(w.court.told), len(w.custodian.told))
	}
	batches := map[record.ID]int{}
	for _, raw := range w.court.told {
		var d record.Deposited
		if _, err := record.Open(raw, record.TypeDeposited, w.keys["collector"].Public(), &d); err != nil {
			t.Fatal(err)
		}
		if err := d.Validate(); err != nil || d.Audience != w.hash || d.Chain != chain {
			t.Errorf("%+v %v", d, err)
		}
		batches[d.Batch]++
		for _, p := range d.Packs {
			entry := ledger.Commit(ledger.Opening{Event: p.Event, Random: [32]byte(p.Random)})
			proof := must(w.vault.Proof(t.Context(), entry))
			if _, _, err := c.verifier.VerifyInclusion(entry, proof); err != nil {
				t.Errorf("a pack that the log does not hold: %v", err)
			}
		}
	}
	for batch, times := range batches {
		if times != 1 {
			t.Errorf("batch %s is told of %d times", batch, times)
		}
	}
}
