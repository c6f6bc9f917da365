package collector

import (
	"testing"

	"arca.example/arca/shared/seal"
)

func TestFillPutsADummyUnderAnAbandonedNumber(t *testing.T) {
	w := newWorld(seal.TinyGeometry)
	c, err := Open(w.config(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	first, err := w.vault.Reserve(t.Context(), [16]byte{7}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Fill(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := c.Fill(t.Context(), 0); err == nil {
		t.Fatal("pack 0 was filled")
	}
	list, err := w.vault.Packs(t.Context(), first)
	if err != nil || len(list.Packs) == 0 || list.Packs[0].Number != first {
		t.Fatal(list, err)
	}
}
