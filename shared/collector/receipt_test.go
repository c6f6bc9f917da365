package collector

import (
	"context"
	"encoding/json"
	"testing"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/record"
)

func receiptOf(t *testing.T, names ...string) (*world, []byte) {
	t.Helper()
	w := newWorld(smallGeometry)
	chain := w.order("a", nil)
	c := openCollector(t, w.config(memoryFolder(t)))
	var items []Item
	for i, name := range names {
		items = append(items, item(chain, name, 11, pattern(250_000*i+10, 1)))
	}
	results := sealAll(t, c, items)
	flush(t, c)
	return w, must(c.Receipt(context.Background(), results[len(results)-1]))
}

// TestReceiptEveryByte: no byte of a receipt can be changed.
func TestReceiptEveryByte(t *testing.T) {
	w, raw := receiptOf(t, "first", "second")
	if _, err := bundle.VerifyReceipt(w.trust, w.hash, raw); err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for _, bit := range []byte{1 << (i % 8)} {
			raw[i] ^= bit
			if _, err := bundle.VerifyReceipt(w.trust, w.hash, raw); err == nil {
				t.Fatalf("byte %d may be changed", i)
			}
			raw[i] ^= bit
		}
	}
	for _, n := range []int{0, 1, len(raw) / 2, len(raw) - 1} {
		if _, err := bundle.VerifyReceipt(w.trust, w.hash, raw[:n]); err == nil {
			t.Fatalf("cut at %d", n)
		}
	}
	if _, err := bundle.VerifyReceipt(w.trust, w.hash, append(raw, ' ')); err == nil {
		t.Fatal("extended")
	}
}

// TestReceiptParts: parts of two valid receipts do not make a third.
func TestReceiptParts(t *testing.T) {
	w, one := receiptOf(t, "first", "second")
	_, two := receiptOf(t, "third")
	var a, b map[string]any
	if err := json.Unmarshal(one, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(two, &b); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"court", "custodian", "deposit", "note", "packs"} {
		mixed := map[string]any{}
		for k, v := range a {
			mixed[k] = v
		}
		mixed[member] = b[member]
		if _, err := bundle.VerifyReceipt(w.trust, w.hash, must(record.Marshal(mixed))); err == nil {
			t.Errorf("another receipt's %s was accepted", member)
		}
	}
	swapped := map[string]any{}
	for k, v := range a {
		swapped[k] = v
	}
	swapped["court"], swapped["custodian"] = a["custodian"], a["court"]
	if _, err := bundle.VerifyReceipt(w.trust, w.hash, must(record.Marshal(swapped))); err == nil {
		t.Error("each keyholder's receipt was accepted as the other's")
	}
	other := w.hash
	other[0] ^= 1
	if _, err := bundle.VerifyReceipt(w.trust, other, one); err == nil {
		t.Error("accepted under another trust file")
	}
}
