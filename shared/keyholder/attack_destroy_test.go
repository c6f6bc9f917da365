package keyholder_test

import (
	"context"
	"reflect"
	"testing"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/storetest"
)

// A reader who says that somebody else's recording was made of one that will be deleted has it deleted too, if keyholders believe it.
func TestNobodyClaimsToHaveMadeWhatIsOnFile(t *testing.T) {
	w, b, request := acted(t)
	victim := w.batchIn(b.unit.Order, "main", b.signed.Statement, "evidence")
	for name, of := range map[string]*batch{"its own statement": nil, "the statement of what it claims": victim} {
		_, a := w.making("investigator", b, request, record.KindNote, "main", seal.Statement{})
		a.Made.Batch, a.Made.Recording = victim.reference(0).Batch, victim.reference(0).Recording
		if of != nil {
			a.Made.Statement = record.Digest(of.signed.Statement.Hash())
		}
		raw := w.sign("investigator", record.TypeAct, a)
		for _, party := range parties {
			if err := w.keyholder[party].FileAct(t.Context(), raw); problem.KindOf(err) != problem.Denied || err == nil {
				t.Errorf("%s takes an act with %s: %v", party, name, err)
			}
		}
	}
	w.verdict(b.unit.Order, record.VerdictDelete, nil, b.reference(0))
	w.closeUnit(victim)
	w.pass(undo)
	w.sequence()
	w.destroy()
	w.destroy()
	for _, party := range parties {
		spoils := w.plunder(party)
		w.wants(string(party), spoils, false, b.halves(0))
		w.wants(string(party), spoils, true, b.halves(1), victim.halves(0))
	}
}

// A note that bears the id of somebody else's recording does not draw what was made of that one into its own end.
func TestANoteWithAnothersIDTakesNothingOfIt(t *testing.T) {
	w, b, request := acted(t)
	raw, _ := w.ask(b, func(r *record.Request) {
		r.Recordings, r.Purpose = []record.Reference{b.reference(1)}, "as investigator"
	})
	second := w.send(raw, "supervisor")
	for _, party := range parties {
		_, err := w.release(party, "investigator", second)
		must(t, err)
	}
	transcript, a := w.making("investigator", b, second, record.KindTranscript, "main", seal.Statement{})
	a.Recordings = []record.Reference{b.reference(1)}
	_, lie := w.making("investigator", b, request, record.KindNote, "main", transcript.signed.Statement)
	lie.Made.Recording = b.reference(1).Recording
	for _, party := range parties {
		must(t, w.filed(party, "investigator", a, transcript))
		_ = w.keyholder[party].FileAct(t.Context(), w.sign("investigator", record.TypeAct, lie))
	}
	w.verdict(b.unit.Order, record.VerdictDelete, nil, b.reference(0))
	w.closeUnit(b)
	w.pass(undo)
	w.sequence()
	w.destroy()
	w.destroy()
	for _, party := range parties {
		spoils := w.plunder(party)
		w.wants(string(party), spoils, false, b.halves(0))
		w.wants(string(party), spoils, true, b.halves(1), transcript.halves(0))
	}
}

// interrupted does something else once, before a commit for which when says so.
type interrupted struct {
	store.Rows
	when func() bool
	do   func()
	done *bool
}

func (r interrupted) Commit(ctx context.Context, writes ...store.Write) error {
	if !*r.done && r.when() {
		*r.done = true
		r.do()
	}
	return r.Rows.Commit(ctx, writes...)
}

// A process that was halted while it wrote a generation, and goes on when that one was given up and another one counts, spoils nothing.
func TestAHaltedRunSpoilsNothingWhenItGoesOn(t *testing.T) {
	w, one, _ := doomed(t)
	w.closeUnit(one)
	w.decide(one.unit.Order, one.reference(0))
	court := w.keyholder[seal.Court]
	done := false
	halted, err := keyholder.Open(t.Context(), keyholder.Config{
		Party: seal.Court, Roots: w.roots[seal.Court], Fingerprint: w.hash, Now: w.clock("court"),
		Rows: interrupted{Rows: w.rows[seal.Court], done: &done, when: func() bool { return court.RingState(t.Context()) == "closing" }, do: func() {
			w.admit(w.member(one.unit.Order, record.Hold))
			w.destroy()
			_, err := court.FillRing(t.Context(), 256)
			must(t, err)
			lifts := w.lastStop(one.unit.Order)
			w.admit(w.member(one.unit.Order, record.Lifting, func(o *record.Order) { o.Lifts = lifts }))
			w.destroy()
		}},
		Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) { return worldLog{w}, worldPeer{w, seal.Custodian} },
	})
	must(t, err)
	_ = halted.Destroy(t.Context())
	if !done {
		t.Fatal("the run was not halted")
	}
	w.destroy()
	raw, _ := w.ask(one, func(r *record.Request) { r.Recordings = []record.Reference{one.reference(1)} })
	hash := w.send(raw, "supervisor")
	for _, party := range parties {
		if _, err := w.release(party, "investigator", hash); err != nil {
			t.Errorf("%s: what stays is not released: %v", party, err)
		}
	}
}

// A storage that shows the head of a generation that was being written, and a chain without the decision, does not get the root destroyed that counts.
func TestAHeadFromTheMiddleOfADestructionCostsNoRoot(t *testing.T) {
	for _, state := range []string{"closing", "written"} {
		w, one, _ := doomed(t)
		w.closeUnit(one)
		before := w.rows[seal.Court].Snapshot()
		w.condemn(one.unit.Order, one.reference(0))
		after := w.rows[seal.Court].Snapshot()
		w.pass(undo)
		w.sequence()
		if err := w.stopWhen(seal.Court, state).Destroy(t.Context()); err == nil {
			t.Fatal("the run was not cut off")
		}
		shown := w.rows[seal.Court].Snapshot()
		for name, row := range before {
			if !reflect.DeepEqual(row, after[name]) {
				shown[name] = row
			}
		}
		w.destroy()
		now := w.rows[seal.Court].Snapshot()
		w.rows[seal.Court].Restore(shown)
		w.open(seal.Court, w.hash)
		if err := w.keyholder[seal.Court].Destroy(t.Context()); err == nil {
			t.Errorf("%s: nobody is told", state)
		}
		w.rows[seal.Court].Restore(now)
		w.open(seal.Court, w.hash)
		w.wants("put back", w.plunder(seal.Court), true, one.halves(1))
	}
}

// Before the old root goes, every page of the new generation is there: one that was taken away after it was read back stops the destruction while all can be saved.
func TestAPageTakenAwayBeforeTheOldRootGoesStopsIt(t *testing.T) {
	w, one, _ := doomed(t)
	w.closeUnit(one)
	w.decide(one.unit.Order, one.reference(0))
	if err := w.stopWhen(seal.Court, "closing").Destroy(t.Context()); err == nil {
		t.Fatal("the run was not cut off")
	}
	before := w.rows[seal.Court].Snapshot()
	if err := w.stopWhen(seal.Court, "written").Destroy(t.Context()); err == nil {
		t.Fatal("the run was not cut off")
	}
	written := w.rows[seal.Court].Snapshot()
	if err := w.stopWhen(seal.Court, "switched").Destroy(t.Context()); err == nil {
		t.Fatal("the run was not cut off")
	}
	whole := w.rows[seal.Court].Snapshot()
	taken := storetest.Snapshot{}
	for name, row := range whole {
		_, old := before[name]
		if _, since := written[name]; old || !since {
			taken[name] = row // without the new pages and their copies
		}
	}
	w.rows[seal.Court].Restore(taken)
	if err := w.keyholder[seal.Court].Destroy(t.Context()); problem.KindOf(err) != problem.Internal {
		t.Errorf("nobody is told: %v", err)
	}
	w.rows[seal.Court].Restore(whole)
	w.destroy()
	w.wants("put back", w.plunder(seal.Court, before), false, one.halves(0))
	w.wants("put back", w.plunder(seal.Court), true, one.halves(1))
}
