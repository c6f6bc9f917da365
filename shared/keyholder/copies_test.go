package keyholder_test

import (
	"strings"
	"testing"

	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// ended is a world with an order that has ended, of which step 1 of the destruction was decided and may be carried out, if only the copies are there.
func ended(t *testing.T, contents ...string) (*world, *batch) {
	w := newWorld(t).cast()
	b := w.batch(w.admit(w.order()), seal.Statement{}, contents...)
	w.closeUnit(b)
	w.end(b.unit.Order)
	raw := w.sign("judge", record.TypeOrder, w.member(b.unit.Order, record.Destruction, func(o *record.Order) { o.Step = record.OperationalCopies }))
	for _, party := range parties {
		_, err := w.keyholder[party].Admit(t.Context(), raw)
		must(t, err)
	}
	w.pass(undo)
	w.sequence()
	return w, b
}

// copied has the clerk seal one recording again, and both keyholders have its act and note.
func (w *world) copied(b *batch, i int, previous seal.Statement) *batch {
	made, file := w.copy(b, i, previous)
	for _, party := range parties {
		must(w.t, file(party))
	}
	return made
}

// copy is copied, with the filing left to the caller.
func (w *world) copy(b *batch, i int, previous seal.Statement) (made *batch, file func(seal.Role) error) {
	w.t.Helper()
	raw, _ := w.ask(b, func(r *record.Request) { r.Purpose, r.Recordings = "as clerk", []record.Reference{b.reference(i)} })
	request := w.send(raw)
	for _, party := range parties {
		_, err := w.release(party, "clerk", request)
		must(w.t, err)
	}
	made, a := w.making("clerk", b, request, record.KindResealed, "clerk", previous)
	a.Recordings[0] = b.reference(i)
	return made, func(party seal.Role) error { return w.filed(party, "clerk", a, made) }
}

// waits demands that both keyholders still have everything of a batch, and say why.
func (w *world) waits(b *batch, words string) {
	w.t.Helper()
	w.destroy()
	for _, party := range parties {
		shown, err := w.keyholder[party].DestructionsOf(w.t.Context(), w.person(party, "judge"), b.unit.Order)
		must(w.t, err)
		last := shown.Destructions[len(shown.Destructions)-1]
		if last.State != record.DestructionWaits || !strings.Contains(last.Why, words) {
			w.t.Errorf("%s: %+v, want %q", party, last, words)
		}
		for i := range b.signed.Members {
			w.wants(string(party), w.plunder(party), true, b.halves(i))
		}
	}
}

// LECrim 588 bis k.1: the originals go when a copy of each lies with the clerk, at both keyholders, and the copies stay.
func TestStep1WaitsForTheClerksCopies(t *testing.T) {
	w, b := ended(t, "one", "two")
	w.waits(b, "2 recordings have no copy in the compartment clerk, where one stays (LECrim 588 bis k.1)")
	first := w.copied(b, 0, seal.Statement{})
	w.waits(b, "1 recordings have no copy")
	second, filed := w.copy(b, 1, first.signed.Statement)
	must(t, filed(seal.Court))
	w.waits(b, "1 recordings have no copy") // the custodian's own notes count as much
	must(t, filed(seal.Custodian))
	w.destroy()
	w.destroy()
	for _, party := range parties {
		spoils := w.plunder(party)
		w.wants(string(party), spoils, false, b.halves(0), b.halves(1))
		w.wants(string(party), spoils, true, first.halves(0), second.halves(0))
	}
}

// A copy that is gone itself stands for nothing.
func TestADestroyedCopyIsNone(t *testing.T) {
	w, b := ended(t, "one")
	made := w.copied(b, 0, seal.Statement{})
	raw := w.sign("collector", record.TypeClosed, record.Closed{ // of a unit in which it sealed nothing
		Audience: w.hash, Chain: b.unit.Order, Classification: made.unit.Classification, Compartment: made.unit.Compartment, Week: made.unit.Week, Issued: w.now(), Nonce: newID(),
	})
	for _, party := range parties {
		must(t, w.keyholder[party].CloseUnit(t.Context(), raw))
	}
	w.admit(w.member(b.unit.Order, record.Hold, func(o *record.Order) { o.Recordings = []record.Reference{b.reference(0)} }))
	hold := w.lastStop(b.unit.Order)
	w.decide(b.unit.Order, made.reference(0))
	w.destroy()
	for _, party := range parties {
		w.wants(string(party), w.plunder(party), false, made.halves(0))
	}
	w.admit(w.member(b.unit.Order, record.Lifting, func(o *record.Order) { o.Lifts = hold }))
	w.destroy()
	for _, party := range parties {
		w.wants(string(party), w.plunder(party), true, b.halves(0))
	}
}

// What the judge excluded from the case, or ordered deleted, leaves no copy.
func TestWhatIsExcludedNeedsNoCopy(t *testing.T) {
	for _, verdict := range []string{record.VerdictExclude, record.VerdictDelete} {
		w, b := ended(t, "one", "two")
		w.copied(b, 0, seal.Statement{})
		w.verdict(b.unit.Order, verdict, nil, b.reference(1))
		w.pass(undo)
		w.sequence()
		w.destroy()
		w.destroy()
		for _, party := range parties {
			w.wants(verdict+" at the "+string(party), w.plunder(party), false, b.halves(0), b.halves(1))
		}
	}
}
