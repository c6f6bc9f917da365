package collector

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// orders admits n orders and gives an item of each.
func (w *world) orders(n int) (chains []record.Digest, items []Item) {
	for i := range n {
		chain := w.order(fmt.Sprint("order ", i), nil)
		chains, items = append(chains, chain), append(items, item(chain, fmt.Sprint("item ", i), 11, pattern(1000, uint32(i))))
	}
	return chains, items
}

// Forty orders are asked for, and their notes filed, in a handful of calls.
func TestManyOrdersTakeFewCalls(t *testing.T) {
	w := newWorld(smallGeometry)
	_, items := w.orders(40)
	c := openCollector(t, w.config(memoryFolder(t)))
	sealAll(t, c, items)
	flush(t, c)
	packs := len(w.vault.packs)
	// One status, two questions for two times 32 units each (the second completes them), and a call for each pack's notes.
	for _, k := range []*fakeKeyholder{w.court, w.custodian} {
		if most := 1 + 2*2 + packs; k.asked > most || k.filed != len(items) {
			t.Errorf("%s was called %d times for %d packs with %d notes, want at most %d", k.role, k.asked, packs, k.filed, most)
		}
	}
}

// What is wrong with one order, at either keyholder, is that order's: everything else is sealed and filed.
func TestOneOrderOfManyIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(w *world, chain record.Digest){
		"unknown to the custodian":      func(w *world, chain record.Digest) { delete(w.custodian.chains, chain) },
		"other members at the court":    func(w *world, chain record.Digest) { w.court.chains[chain] = w.court.chains[w.order("another", nil)] },
		"no unit keys at the custodian": func(w *world, chain record.Digest) { w.custodian.fail = refuses("unit " + chain.String()) },
		"no unit keys at the court":     func(w *world, chain record.Digest) { w.court.fail = refuses("unit " + chain.String()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(smallGeometry)
			chains, items := w.orders(5)
			spoil(w, chains[2])
			c := openCollector(t, w.config(memoryFolder(t)))
			results, err := c.Seal(context.Background(), items, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range results {
				if i == 2 && !r.Refused || i != 2 && r.Err != nil {
					t.Errorf("item %d: %v", i, r.Err)
				}
			}
			flush(t, c)
			if w.court.filed != 4 || w.custodian.filed != 4 {
				t.Errorf("%d and %d notes", w.court.filed, w.custodian.filed)
			}
		})
	}
}

// refuses makes one call fail for good.
func refuses(what string) func(string) error {
	return func(call string) error {
		if call == what {
			return problem.New(problem.Denied, "no")
		}
		return nil
	}
}

// A keyholder that mixes up which chain is in force is not believed about any of them; asked for each alone it is.
func TestAStatusThatMixesUpItsChains(t *testing.T) {
	w := newWorld(smallGeometry)
	chains, items := w.orders(2)
	delete(w.custodian.chains, chains[1])
	w.custodian.says = func(s *record.Status) {
		if len(s.Chains) == 2 { // what it says of one is said of the other; the signature and the nonce are right
			s.Chains[0].Chain, s.Chains[1].Chain = s.Chains[1].Chain, s.Chains[0].Chain
		}
	}
	c := openCollector(t, w.config(memoryFolder(t)))
	results, err := c.Seal(context.Background(), items, nil)
	if err != nil || results[0].Err != nil || !results[1].Refused {
		t.Fatal(err, results[0].Err, results[1].Err)
	}
}

// A status that was given before does not serve again: its nonce is another's.
func TestAReplayedStatus(t *testing.T) {
	w := newWorld(smallGeometry)
	_, items := w.orders(2)
	var nonce record.ID
	w.custodian.says = func(s *record.Status) {
		if nonce == (record.ID{}) {
			nonce = s.Nonce
		}
		s.Nonce = nonce
	}
	c := openCollector(t, w.config(memoryFolder(t)))
	if results, err := c.Seal(context.Background(), items[:1], nil); err != nil || results[0].Err != nil {
		t.Fatal(err, results)
	}
	if results, err := c.Seal(context.Background(), items[1:], nil); err != nil || !results[0].Refused || problem.KindOf(results[0].Err) != problem.Denied {
		t.Fatal(err, results)
	}
}

// A note that a keyholder refuses keeps its pack in the spool; the receipts of the others are kept, and none is believed for another's.
func TestOneNoteOfManyIsRefused(t *testing.T) {
	w := newWorld(smallGeometry)
	chains, items := w.orders(3)
	w.court.fail = refuses("note of " + chains[1].String())
	c := openCollector(t, w.config(memoryFolder(t)))
	sealAll(t, c, items)
	if err := c.Flush(context.Background()); problem.KindOf(err) != problem.Denied {
		t.Fatal(err)
	}
	if w.court.filed != 2 || w.custodian.filed != 3 {
		t.Errorf("%d and %d notes", w.court.filed, w.custodian.filed)
	}
	e := c.waiting()[0]
	if n := strings.Count(strings.Join(e.at.Court, " "), "."); n != 2*3 || e.at.Court[1] != "" {
		t.Errorf("receipts %q", e.at.Court)
	}
	side := must(c.sidecar(e.number))
	note := must(side.Batches[2].note(seal.Court))
	if _, err := bundle.OpenNoteReceipt(w.trust, w.hash, seal.Court, note.Statement, e.at.Court[0]); problem.KindOf(err) != problem.Denied {
		t.Error("a receipt served for another note:", err)
	}
	w.court.fail = nil
	flush(t, c)
	if w.court.filed != 3 {
		t.Errorf("%d notes", w.court.filed)
	}
}
