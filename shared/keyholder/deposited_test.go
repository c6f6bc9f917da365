package keyholder_test

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// packOpening is the opening of a pack's entry as the vault makes it.
func packOpening(t *testing.T, number uint64) record.PackOpening {
	t.Helper()
	body, err := record.Marshal(record.PackEvent{Number: number, Pack: record.Digest{1}, Slots: record.Digest{2}})
	must(t, err)
	event, err := record.Event{Author: "vault", Body: jsontext.Value(body), Kind: record.EventPack, Number: int64(number)}.Bytes()
	must(t, err)
	return record.PackOpening{Event: event, Random: make([]byte, 32)}
}

// TestDepositsAreJournalled: where a batch lies is told once, by who sealed it, and by nobody else.
func TestDepositsAreJournalled(t *testing.T) {
	w, b := ready(t)
	st := b.signed.Statement
	good := record.Deposited{Audience: w.hash, Batch: record.ID(st.Batch), Chain: b.unit.Order, Issued: w.now(),
		Packs: []record.PackOpening{packOpening(t, 3), packOpening(t, 4)}, Statement: record.Digest(st.Hash())}
	other := w.batch(w.admit(w.order()), seal.Statement{}, "of another order")
	for _, party := range parties {
		k := w.keyholder[party]
		raw := w.sign("collector", record.TypeDeposited, good)
		for range 2 {
			must(t, k.FileAct(t.Context(), raw))
		}
		if got := w.kinds(party, b.unit.Order); got[record.EventDeposited] != 1 {
			t.Errorf("%s: %v", party, got)
		}
		for name, c := range map[string]struct {
			who    string
			kind   problem.Kind
			change func(*record.Deposited)
		}{
			"another word on the same batch": {"collector", problem.Conflict, func(d *record.Deposited) { d.Packs = d.Packs[:1] }},
			"by somebody else":               {"investigator", problem.Denied, func(d *record.Deposited) { d.From = 100 }},
			"under another order":            {"collector", problem.Denied, func(d *record.Deposited) { d.Chain = other.unit.Order }},
			"of another statement":           {"collector", problem.Denied, func(d *record.Deposited) { d.Statement = record.Digest{1} }},
			"of a batch that nobody filed":   {"collector", problem.NotFound, func(d *record.Deposited) { d.Batch = newID() }},
			"for another installation":       {"collector", problem.Denied, func(d *record.Deposited) { d.Audience = record.Digest{1} }},
			"with packs in no order":         {"collector", problem.Invalid, func(d *record.Deposited) { d.Packs = []record.PackOpening{d.Packs[1], d.Packs[0]} }},
			"with what is no pack": {"collector", problem.Invalid, func(d *record.Deposited) {
				d.Packs = []record.PackOpening{{Event: []byte("{}"), Random: make([]byte, 32)}}
			}},
			"with a short random value": {"collector", problem.Invalid, func(d *record.Deposited) {
				d.Packs = []record.PackOpening{{Event: d.Packs[0].Event, Random: make([]byte, 31)}}
			}},
			"with none": {"collector", problem.Invalid, func(d *record.Deposited) { d.Packs = nil }},
		} {
			d := good
			c.change(&d)
			if err := k.FileAct(t.Context(), w.sign(c.who, record.TypeDeposited, d)); problem.KindOf(err) != c.kind || err == nil {
				t.Errorf("%s, at the %s: %v", name, party, err)
			}
		}
		if got := w.kinds(party, b.unit.Order); got[record.EventDeposited] != 1 {
			t.Errorf("%s: %v", party, got)
		}
	}
}
