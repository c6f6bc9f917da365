package keyholder_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/keyholder/keyholdertest"
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/keys/kms"
	"arca.example/arca/shared/keys/kms/kmstest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/awscall"
	"arca.example/arca/shared/store/storetest"
)

// closed is the collector's word that nothing more of a batch's unit comes.
func (w *world) closed(last *batch) string {
	st := last.signed.Statement
	return w.sign("collector", record.TypeClosed, record.Closed{
		Audience: w.hash, Chain: last.unit.Order, Classification: last.unit.Classification, Compartment: last.unit.Compartment, Week: last.unit.Week,
		Issued: w.now(), Nonce: newID(), Number: st.Number, Statement: record.Digest(st.Hash()),
	})
}

func (w *world) closeUnit(last *batch) {
	w.t.Helper()
	raw := w.closed(last)
	for _, party := range parties {
		must(w.t, w.keyholder[party].CloseUnit(w.t.Context(), raw))
	}
}

// member is a later member of a chain that names the chain only.
func (w *world) member(chain record.Digest, kind record.OrderKind, change ...func(*record.Order)) record.Order {
	o := record.Order{
		Audience: w.hash, Kind: kind, Profile: "ES-588ter", Court: "Court One", Chain: chain, Decided: w.now(), Reason: "decided so", Nonce: newID(),
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

// decide has a judge order that recordings are destroyed, or with none the whole chain with the clerk's copies, and both admit it.
func (w *world) decide(chain record.Digest, named ...record.Reference) record.Digest {
	w.t.Helper()
	decision := w.condemn(chain, named...)
	w.pass(undo)
	w.sequence()
	return decision
}

func (w *world) condemn(chain record.Digest, named ...record.Reference) record.Digest {
	w.t.Helper()
	raw := w.sign("judge", record.TypeOrder, w.member(chain, record.Destruction, func(o *record.Order) {
		o.Recordings = named
		if len(named) == 0 {
			o.Step = record.ClerksCopies
		}
	}))
	for _, party := range parties {
		_, err := w.keyholder[party].Admit(w.t.Context(), raw)
		must(w.t, err)
	}
	return record.HashStatement(raw)
}

// undo is longer than any time in which a destruction may be taken back.
const undo = 8 * 24 * time.Hour

func (w *world) destroy() {
	w.t.Helper()
	for _, party := range parties {
		must(w.t, w.keyholder[party].Destroy(w.t.Context()))
	}
	w.sequence()
}

// doomed is a world with two orders: of the first, one recording of the first batch and all of the second order are to go.
func doomed(t testing.TB) (w *world, one, other *batch) {
	w, one = ready(t)
	chain := w.admit(w.order())
	return w, one, w.batch(chain, seal.Statement{}, "third call", "fourth call")
}

// snapshots dumps both keyholders' rows.
func (w *world) snapshots() map[seal.Role]storetest.Snapshot {
	dump := map[seal.Role]storetest.Snapshot{}
	for _, party := range parties {
		dump[party] = w.rows[party].Snapshot()
	}
	return dump
}

// plunder opens what rows of these times and the roots of now open at a party.
func (w *world) plunder(party seal.Role, dumps ...storetest.Snapshot) keyholdertest.Spoils {
	w.t.Helper()
	loot := keyholdertest.Loot{Party: party, Roots: w.roots[party]}
	for _, dump := range append(dumps, w.rows[party].Snapshot()) {
		m := storetest.NewMemory()
		m.Restore(dump)
		loot.Rows = append(loot.Rows, m)
	}
	spoils, err := keyholdertest.Plunder(w.t.Context(), loot)
	must(w.t, err)
	return spoils
}

func (b *batch) halves(i int) []keyholdertest.Half {
	var list []keyholdertest.Half
	for _, class := range []seal.Class{seal.IndexClass, seal.ContentClass} {
		list = append(list, keyholdertest.Half{Batch: b.signed.Statement.Batch, Recording: b.signed.Members[i].Recording, Class: class})
	}
	return list
}

// wants holds spoils against what must be openable and what must not.
func (w *world) wants(what string, spoils keyholdertest.Spoils, openable bool, lists ...[]keyholdertest.Half) {
	w.t.Helper()
	for _, list := range lists {
		for _, half := range list {
			if spoils.Halves[half] != openable {
				w.t.Errorf("%s: the %s half of recording %s can be opened: %v", what, half.Class, half.Recording, !openable)
			}
		}
	}
}

// Everything from before a destruction and everything alive after it opens nothing of what was destroyed and all of what was not.
func TestASnapshotOpensNothingOfWhatWasDestroyed(t *testing.T) {
	snapshotOpensNothing(t, func(seal.Role) (store.Rows, keys.Roots) { return nil, nil })
}

// The same with roots in KMS, as far as the stand-in is like it: DeleteImportedKeyMaterial ends a generation.
func TestASnapshotOpensNothingWithKMS(t *testing.T) {
	snapshotOpensNothing(t, func(party seal.Role) (store.Rows, keys.Roots) {
		names := map[string]string{"base": "base", "ring-1": "first", "ring-2": "second"}
		server := httptest.NewServer(kmstest.New(t, "base", "first", "second"))
		t.Cleanup(server.Close)
		roots, err := kms.New(kms.Config{Region: "eu-south-2", Endpoint: server.URL, Credentials: awscall.Static("fictitious", "fictitious"), Keys: names})
		must(t, err)
		return nil, roots
	})
}

func snapshotOpensNothing(t *testing.T, place func(seal.Role) (store.Rows, keys.Roots)) {
	w := newWorldOn(t, place).cast()
	chain := w.admit(w.order())
	w.pass(time.Hour)
	one := w.batch(chain, seal.Statement{}, "first call", "second call")
	other := w.batch(w.admit(w.order()), seal.Statement{}, "third call", "fourth call")
	before := w.snapshots()
	for _, party := range parties {
		w.wants("before", w.plunder(party), true, one.halves(0), one.halves(1), other.halves(0), other.halves(1))
	}
	w.closeUnit(one)
	w.closeUnit(other)
	w.end(other.unit.Order)
	w.decide(one.unit.Order, one.reference(0))
	w.decide(other.unit.Order)
	w.destroy()
	w.destroy() // twice equals once
	for _, party := range parties {
		spoils := w.plunder(party, before[party])
		w.wants(string(party), spoils, false, one.halves(0), other.halves(0), other.halves(1))
		w.wants(string(party), spoils, true, one.halves(1))
		if spoils.Seeds > 0 {
			t.Errorf("%s: %d batches open whole", party, spoils.Seeds)
		}
		old := keyholdertest.Loot{Party: party, Roots: w.roots[party]}
		m := storetest.NewMemory()
		m.Restore(before[party])
		old.Rows = append(old.Rows, m)
		alone, err := keyholdertest.Plunder(t.Context(), old)
		must(t, err)
		if alone.Pages != 0 || alone.Closed == 0 {
			t.Errorf("%s: %d pages of the snapshot open, %d do not", party, alone.Pages, alone.Closed)
		}
		names, err := w.roots[party].Names(t.Context())
		must(t, err)
		if len(names) != 2 || names[0] != "base" || names[1] == "ring-1" {
			t.Errorf("%s has the roots %v", party, names)
		}
	}
}

// end closes the measure, and the case with it.
func (w *world) end(chain record.Digest) {
	w.admit(w.member(chain, record.Closing))
	for _, name := range []string{"final-resolution", "acquittal"} {
		w.admit(w.member(chain, record.Milestone, func(o *record.Order) {
			o.Reason, o.Milestone = "", record.Fact{Name: name, At: w.now()}
		}))
	}
}

// What survives is released as before, what was destroyed is refused as gone, and nothing more is filed in its unit.
func TestSurvivorsAreReleasedAndTheDestroyedAreGone(t *testing.T) {
	w, one, _ := doomed(t)
	w.closeUnit(one)
	w.decide(one.unit.Order, one.reference(0))
	w.destroy()
	raw, _ := w.ask(one)
	w.refused(w.send(raw, "supervisor"), problem.Gone, "destroyed")
	for _, which := range [][]record.Reference{{one.reference(1)}, nil} {
		for _, class := range []string{"content", "index"} {
			raw, seed := w.ask(one, func(r *record.Request) { r.Recordings, r.Class = which, class })
			hash := w.send(raw, "supervisor")
			for _, party := range parties {
				r, err := w.release(party, "investigator", hash)
				must(t, err)
				if r.Total != 1 || len(r.Items) != 1 || r.Items[0].Recording != one.reference(1).Recording {
					t.Fatalf("%s released %d of %d", party, len(r.Items), r.Total)
				}
				w.opens(party, one, 1, seal.Class(class), seed, hash, r.Items[0].Half)
			}
		}
	}
	_, keysOf := w.unit(w.admit(w.order()))
	late := w.sealBatch(one.unit, keysOf, one.signed.Statement, "too late")
	for _, party := range parties {
		_, _, err := w.keyholder[party].FileNotes(t.Context(), w.person(party, "collector"), late.note(t, party))
		if problem.KindOf(err) != problem.Gone {
			t.Errorf("%s files in a unit that is gone: %v", party, err)
		}
		_, _, err = w.keyholder[party].EnsureUnits(t.Context(), one.unit)
		if problem.KindOf(err) != problem.Gone {
			t.Errorf("%s gives keys of a closed unit: %v", party, err)
		}
	}
}

// opens checks that a sealed half is that of a recording.
func (w *world) opens(party seal.Role, b *batch, i int, class seal.Class, seed seal.Seed, request record.Digest, sealedHalf []byte) {
	w.t.Helper()
	key, err := seal.NewUnitKey(seed)
	must(w.t, err)
	m := b.signed.Members[i]
	half, err := seal.OpenHalf(key, party, request, seal.ContextOf(m.Recording, b.signed.Statement.Batch, b.unit), class, sealedHalf)
	must(w.t, err)
	must(w.t, m.Commitments.Check(party, class, half))
}

// A second decision takes from halves that a first one has kept; a third takes the rest.
func TestKeptHalvesAreDestroyedInTheirTurn(t *testing.T) {
	w := newWorld(t).cast()
	chain := w.admit(w.order())
	w.pass(time.Hour)
	b := w.batch(chain, seal.Statement{}, "one", "two", "three", "four")
	w.closeUnit(b)
	var dumps []map[seal.Role]storetest.Snapshot
	for i := range 3 {
		dumps = append(dumps, w.snapshots())
		if i == 2 {
			w.end(chain)
			w.decide(chain)
		} else {
			w.decide(chain, b.reference(i))
		}
		w.destroy()
		for _, party := range parties {
			var old []storetest.Snapshot
			for _, d := range dumps {
				old = append(old, d[party])
			}
			spoils := w.plunder(party, old...)
			for n := range 4 {
				w.wants(fmt.Sprintf("%s after %d", party, i+1), spoils, i < 2 && n > i, b.halves(n))
			}
		}
		if i < 2 {
			raw, _ := w.ask(b, func(r *record.Request) { r.Recordings = nil })
			hash := w.send(raw, "supervisor")
			for _, party := range parties {
				r, err := w.release(party, "investigator", hash)
				must(t, err)
				if r.Total != 3-i {
					t.Errorf("%s releases %d after %d destructions", party, r.Total, i+1)
				}
			}
		}
	}
}

// No destruction without its order, before its unit is closed, under a hold, after it was taken back, while the order is in force, on what only one keyholder
// holds, or before the log shows the decision.
func TestNothingIsDestroyedWithout(t *testing.T) {
	for name, spoil := range map[string]func(w *world, one, other *batch){
		"a decision":           func(w *world, one, other *batch) { w.closeUnit(one) },
		"the collector's word": func(w *world, one, _ *batch) { w.decide(one.unit.Order, one.reference(0)) },
		"the time to take it back": func(w *world, one, _ *batch) {
			w.closeUnit(one)
			w.condemn(one.unit.Order, one.reference(0))
			w.pass(71 * time.Hour)
			w.sequence()
		},
		"the time to take it back, whatever its date says": func(w *world, one, _ *batch) {
			w.closeUnit(one)
			w.pass(undo)
			w.admit(w.member(one.unit.Order, record.Destruction, func(o *record.Order) {
				o.Recordings, o.Decided = []record.Reference{one.reference(0)}, w.now().Add(-undo)
			}))
			w.pass(71 * time.Hour)
			w.sequence()
		},
		"a lifted hold": func(w *world, one, _ *batch) {
			w.closeUnit(one)
			w.decide(one.unit.Order, one.reference(0))
			w.admit(w.member(one.unit.Order, record.Hold))
		},
		"the same holds at both": func(w *world, one, _ *batch) {
			w.closeUnit(one)
			w.decide(one.unit.Order, one.reference(0))
			raw := w.sign("judge", record.TypeOrder, w.member(one.unit.Order, record.Hold))
			_, err := w.keyholder[seal.Custodian].Admit(w.t.Context(), raw)
			must(w.t, err)
		},
		"a judge who stands by it": func(w *world, one, _ *batch) {
			w.closeUnit(one)
			decision := w.condemn(one.unit.Order, one.reference(0))
			w.admit(w.member(one.unit.Order, record.Lifting, func(o *record.Order) { o.Lifts = decision }))
			w.pass(undo)
			w.sequence()
		},
		"the other keyholder": func(w *world, one, _ *batch) {
			w.closeUnit(one)
			w.decide(one.unit.Order, one.reference(0))
			w.peerDown = true
		},
		"the witnessed log": func(w *world, one, _ *batch) {
			w.closeUnit(one)
			w.witnesses = false
			w.decide(one.unit.Order, one.reference(0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, one, other := doomed(t)
			spoil(w, one, other)
			for _, party := range parties {
				must(t, w.keyholder[party].Destroy(t.Context()))
			}
			for _, party := range parties {
				w.wants(string(party), w.plunder(party), true, one.halves(0), one.halves(1), other.halves(0), other.halves(1))
				if names, err := w.roots[party].Names(t.Context()); err != nil || strings.Join(names, " ") != "base ring-1" {
					t.Errorf("%s has the roots %v: %v", party, names, err)
				}
			}
		})
	}
}

// One keyholder has a batch of the unit that the other lacks: nothing of the whole order goes until both have the same list.
func TestListsThatDifferDestroyNothing(t *testing.T) {
	w, one, other := doomed(t)
	more := w.sealBatch(one.unit, w.keysOf(one.unit), one.signed.Statement, "only the court has this")
	_, _, err := w.keyholder[seal.Court].FileNotes(t.Context(), w.person(seal.Court, "collector"), more.note(t, seal.Court))
	must(t, err)
	must(t, w.keyholder[seal.Court].CloseUnit(t.Context(), w.closed(more)))
	must(t, w.keyholder[seal.Custodian].CloseUnit(t.Context(), w.closed(one)))
	w.end(one.unit.Order)
	w.decide(one.unit.Order)
	w.destroy()
	for _, party := range parties {
		w.wants(string(party), w.plunder(party), true, one.halves(0), one.halves(1), other.halves(0))
		shown, err := w.keyholder[party].DestructionsOf(t.Context(), w.person(party, "judge"), one.unit.Order)
		must(t, err)
		if len(shown.Destructions) != 1 || shown.Destructions[0].State != record.DestructionWaits || !strings.Contains(shown.Destructions[0].Why, "same list") {
			t.Errorf("%s: %+v", party, shown.Destructions)
		}
	}
}

// keysOf gives the keys of a unit that exists.
func (w *world) keysOf(u seal.Unit) map[seal.Role]record.UnitKey {
	w.t.Helper()
	found := map[seal.Role]record.UnitKey{}
	for _, party := range parties {
		raw, _, err := w.keyholder[party].EnsureUnits(w.t.Context(), u)
		must(w.t, err)
		list, err := record.OpenUnitKeys(raw, &w.trust, w.hash, string(party), w.now())
		must(w.t, err)
		found[party] = list[0]
	}
	return found
}

// A hold that comes between the writing of the next generation and the switch undoes it: no root is left over, and all opens.
func TestAHoldUndoesWhatWasWritten(t *testing.T) {
	w, one, _ := doomed(t)
	w.closeUnit(one)
	w.decide(one.unit.Order, one.reference(0))
	faulty := w.stopWhen(seal.Court, "written")
	if err := faulty.Destroy(t.Context()); err == nil {
		t.Fatal("the run was not cut off")
	}
	w.admit(w.member(one.unit.Order, record.Hold))
	w.destroy()
	for _, party := range parties {
		w.wants(string(party), w.plunder(party), true, one.halves(0), one.halves(1))
		if names, err := w.roots[party].Names(t.Context()); err != nil || len(names) != 2 {
			t.Errorf("%s has the roots %v: %v", party, names, err)
		}
	}
	lifts := w.lastStop(one.unit.Order)
	w.admit(w.member(one.unit.Order, record.Lifting, func(o *record.Order) { o.Lifts = lifts }))
	w.destroy()
	for _, party := range parties {
		w.wants(string(party), w.plunder(party), false, one.halves(0))
		w.wants(string(party), w.plunder(party), true, one.halves(1))
	}
}

// lastStop is the hash of the chain's youngest member.
func (w *world) lastStop(chain record.Digest) record.Digest {
	w.t.Helper()
	list, err := w.keyholder[seal.Court].OrdersOf(w.t.Context(), w.person(seal.Court, "auditor"), 0)
	must(w.t, err)
	for _, o := range list.Orders {
		if o.Chain == chain.String() {
			return record.HashStatement(o.Members[len(o.Members)-1])
		}
	}
	w.t.Fatal("no such order")
	return record.Digest{}
}

// errKilled is what a process that was cut off does not live to see.
var errKilled = errors.New("killed")

// stops counts the acts of a run that leave something behind, and cuts it off at one of them: before it, or after it landed.
type stops struct {
	mu    sync.Mutex
	count int
	at    int  // 0: never
	after bool // the act lands first
	dead  bool
	when  func() bool
}

func (s *stops) act(do func() error) error {
	s.mu.Lock()
	s.count++
	hit := s.count == s.at || s.when != nil && s.when()
	dead := s.dead || hit
	s.dead = dead
	s.mu.Unlock()
	if dead && !(hit && s.after) {
		return errKilled
	}
	if err := do(); err != nil {
		return err
	}
	if hit {
		return errKilled
	}
	return nil
}

type stoppedRows struct {
	store.Rows
	s *stops
}

func (r stoppedRows) Commit(ctx context.Context, writes ...store.Write) error {
	return r.s.act(func() error { return r.Rows.Commit(ctx, writes...) })
}

type stoppedRoots struct {
	keys.Roots
	s *stops
}

func (r stoppedRoots) Create(ctx context.Context, name string) (root keys.Root, err error) {
	err = r.s.act(func() error { root, err = r.Roots.Create(ctx, name); return err })
	return root, err
}

func (r stoppedRoots) Destroy(ctx context.Context, name string) error {
	return r.s.act(func() error { return r.Roots.Destroy(ctx, name) })
}

// stopped opens a keyholder whose acts are counted.
func (w *world) stopped(party seal.Role, s *stops) *keyholder.Keyholder {
	w.t.Helper()
	other := map[seal.Role]seal.Role{seal.Court: seal.Custodian, seal.Custodian: seal.Court}[party]
	k, err := keyholder.Open(w.t.Context(), keyholder.Config{
		Party: party, Rows: stoppedRows{w.rows[party], s}, Roots: stoppedRoots{w.roots[party], s}, Fingerprint: w.hash, Now: w.clock(string(party)),
		Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) { return worldLog{w}, worldPeer{w, other} },
	})
	must(w.t, err)
	return k
}

// stopWhen opens a keyholder that is cut off once its ring is in a state.
func (w *world) stopWhen(party seal.Role, state string) *keyholder.Keyholder {
	s := &stops{}
	k := w.stopped(party, s)
	s.when = func() bool { return k.RingState(w.t.Context()) == state }
	return k
}

// Whatever act a run is cut off at, before it or after it landed: never is there no root, what survives opens all the time, and running again finishes.
func TestDestructionCutOffAnywhereIsFinished(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			w, one, other := doomed(t)
			w.closeUnit(one)
			w.closeUnit(other)
			w.end(other.unit.Order)
			w.decide(one.unit.Order, one.reference(0))
			w.decide(other.unit.Order)
			before := w.snapshots()
			s := &stops{at: at, after: after}
			err := w.stopped(seal.Court, s).Destroy(t.Context())
			if err == nil {
				if at < 10 {
					t.Errorf("only %d acts", at-1)
				}
				t.Logf("after=%v: cut off at each of %d acts", after, at-1)
				break
			}
			names, nameErr := w.roots[seal.Court].Names(t.Context())
			must(t, nameErr)
			if len(names) < 2 || len(names) > 3 {
				t.Fatalf("cut off at act %d: roots %v", at, names)
			}
			w.wants(fmt.Sprint("cut off at ", at), w.plunder(seal.Court), true, one.halves(1))
			w.destroy()
			w.destroy()
			for _, party := range parties {
				spoils := w.plunder(party, before[party])
				w.wants(fmt.Sprintf("%s, cut off at %d and run again", party, at), spoils, false, one.halves(0), other.halves(0), other.halves(1))
				w.wants(fmt.Sprintf("%s, cut off at %d and run again", party, at), spoils, true, one.halves(1))
				if names, err := w.roots[party].Names(t.Context()); err != nil || len(names) != 2 {
					t.Fatalf("cut off at act %d and run again: roots %v %v", at, names, err)
				}
				if state := w.keyholder[party].RingState(t.Context()); state != "open" {
					t.Fatalf("cut off at act %d and run again: %s", at, state)
				}
			}
		}
	}
}

// Two runs at once at each keyholder, while units are made: one destruction, one certificate of each, every unit's keys work.
func TestDestroyingTwiceAtOnceWhileUnitsAreMade(t *testing.T) {
	w, one, other := doomed(t)
	w.closeUnit(one)
	w.closeUnit(other)
	w.end(other.unit.Order)
	w.decide(one.unit.Order, one.reference(0))
	w.decide(other.unit.Order)
	fresh := w.admit(w.order())
	var group sync.WaitGroup
	for range 3 {
		for _, party := range parties {
			k := w.stopped(party, &stops{})
			group.Go(func() {
				for range 3 {
					_ = k.Destroy(t.Context()) // who comes second may be told to come again
				}
			})
		}
	}
	group.Go(func() {
		for _, compartment := range []string{"main", "privileged"} {
			u := seal.Unit{Order: fresh, Week: seal.WeekOf(w.now()), Compartment: compartment, Classification: "restricted"}
			for _, party := range parties {
				_, _, err := w.stopped(party, &stops{}).EnsureUnits(t.Context(), u)
				if err != nil && problem.KindOf(err) != problem.Unavailable {
					t.Error(err)
				}
			}
		}
	})
	group.Wait()
	w.destroy()
	w.destroy()
	for _, party := range parties {
		spoils := w.plunder(party)
		w.wants(string(party), spoils, false, one.halves(0), other.halves(0), other.halves(1))
		w.wants(string(party), spoils, true, one.halves(1))
		for _, chain := range []record.Digest{one.unit.Order, other.unit.Order} {
			if n := len(w.events(party, chain, record.EventDestroyed)); n != 1 {
				t.Errorf("%s: %d certificates of one destruction", party, n)
			}
		}
	}
	b := w.batch(fresh, seal.Statement{}, "after it")
	for _, party := range parties {
		w.wants(string(party), w.plunder(party), true, b.halves(0))
	}
}

// events lists the events of a kind in a case.
func (w *world) events(party seal.Role, chain record.Digest, kind record.EventKind) (list []record.Event) {
	w.t.Helper()
	lines, err := w.keyholder[party].Journal(w.t.Context(), chain, 1, 1000)
	must(w.t, err)
	for _, line := range lines {
		if line.Event.Kind == kind {
			list = append(list, line.Event)
		}
	}
	return list
}

// A keyholder whose rows are put back to before a destruction opens nothing of them, releases nothing, makes no key, and the other one refuses too.
func TestAKeyholderRolledBackToBeforeADestructionRevivesNothing(t *testing.T) {
	w, one, _ := doomed(t)
	before := w.rows[seal.Court].Snapshot()
	w.closeUnit(one)
	w.decide(one.unit.Order, one.reference(0))
	late := w.rows[seal.Court].Snapshot()
	w.destroy()
	raw, _ := w.ask(one, func(r *record.Request) { r.Recordings = []record.Reference{one.reference(1)} })
	hash := w.send(raw, "supervisor")
	for _, old := range []storetest.Snapshot{before, late} {
		now := w.rows[seal.Court].Snapshot()
		w.rows[seal.Court].Restore(old)
		w.open(seal.Court, w.hash)
		w.wants("rolled back", w.plunder(seal.Court), false, one.halves(0), one.halves(1))
		if _, err := w.release(seal.Custodian, "investigator", hash); problem.KindOf(err) != problem.Denied {
			t.Errorf("the other keyholder releases: %v", err)
		}
		fresh := one.unit
		fresh.Compartment = "privileged"
		if _, _, err := w.keyholder[seal.Court].EnsureUnits(t.Context(), fresh); err == nil {
			t.Error("keys are made under a root that was destroyed")
		}
		if err := w.keyholder[seal.Court].Destroy(t.Context()); err == nil {
			if w.keyholder[seal.Court].RingState(t.Context()) != "open" {
				t.Error("a rolled back ring moves")
			}
		}
		w.rows[seal.Court].Restore(now)
		w.open(seal.Court, w.hash)
	}
	for _, party := range parties {
		if _, err := w.release(party, "investigator", hash); err != nil {
			t.Errorf("put back: %v", err)
		}
	}
}
