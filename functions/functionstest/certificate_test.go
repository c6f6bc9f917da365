package functionstest

import (
	"bytes"
	"fmt"
	"testing"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/keyholder/keyholdertest"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/sqlite"
)

// certificate gathers what both keyholders say of the journey's destruction.
func (w *World) certificate() bundle.Destruction {
	w.T.Helper()
	d := bundle.Destruction{Audience: w.Hash, Decision: w.Decision(), Judge: w.Enrolment("judge"), Version: bundle.Version}
	for _, party := range Keyholders {
		list, err := w.Keyholder(party, "judge").Destructions(w.T.Context(), w.Chain())
		w.must(err)
		c := list.Destructions[0].Certificate
		d.Backups = append(d.Backups, list.Backups)
		d.Destruction = append(d.Destruction, bundle.LogProof{Event: c.Event, Proof: string(c.Proof), Random: c.Random})
	}
	return d
}

// shredded is a world in which one recording was destroyed.
func shredded(t *testing.T) *World {
	w := Open(t, Options{Dir: t.TempDir(), Now: clock}).Found()
	w.EnrolAll()
	Condemned(w)
	w.both(w.Destroy)
	w.Shredded()
	return w
}

// A stranger verifies what both keyholders signed, and accepts no other byte, order or side.
func TestACertificateOfDestruction(t *testing.T) {
	w := shredded(t)
	d := w.certificate()
	raw, err := record.Marshal(d)
	w.must(err)
	got, err := bundle.VerifyDestruction(&w.Trust, w.Hash, raw)
	w.must(err)
	if got.Recordings != 1 || got.Chain != w.Chain() || got.Judge != "judge" || len(got.Sides) != 2 || got.Sides[0].Root == "" || got.Sides[1].Generation != 2 || got.Sides[0].Limits == "" {
		t.Fatalf("%+v", got)
	}
	for i := range raw {
		flipped := bytes.Clone(raw)
		flipped[i] ^= 1
		if _, err := bundle.VerifyDestruction(&w.Trust, w.Hash, flipped); err == nil {
			t.Fatalf("byte %d of %d may be another", i, len(raw))
		}
	}
	revocation := w.Sign("judge", record.TypeOrder, record.Order{
		Audience: w.Hash, Kind: record.Hold, Profile: "ES-588ter", Court: "Court One", Chain: w.Chain(), Decided: w.Trust.Issued, Reason: "a hold", Nonce: nonce("a hold"),
	})
	for name, spoil := range map[string]func(*bundle.Destruction){
		"one side twice":          func(d *bundle.Destruction) { d.Destruction[1], d.Backups[1] = d.Destruction[0], d.Backups[0] },
		"the sides exchanged":     func(d *bundle.Destruction) { d.Destruction[0], d.Destruction[1] = d.Destruction[1], d.Destruction[0] },
		"one side only":           func(d *bundle.Destruction) { d.Destruction = d.Destruction[:1] },
		"no word on copies":       func(d *bundle.Destruction) { d.Backups = nil },
		"a member that is a hold": func(d *bundle.Destruction) { d.Decision = revocation },
		"another judge":           func(d *bundle.Destruction) { d.Judge = w.Enrolment("investigator") },
		"another installation":    func(d *bundle.Destruction) { d.Audience = record.Digest{1} },
		"an event of another kind": func(d *bundle.Destruction) {
			log, err := w.Keyholder("court", "auditor").Log(t.Context(), w.Chain(), 1)
			w.must(err)
			d.Destruction[0] = bundle.LogProof{Event: log.Events[0].Event, Proof: string(log.Events[0].Proof), Random: log.Events[0].Random}
		},
	} {
		d := w.certificate()
		spoil(&d)
		raw, err := record.Marshal(d)
		w.must(err)
		if _, err := bundle.VerifyDestruction(&w.Trust, w.Hash, raw); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// A whole dump of both keyholders' databases from before a destruction, with all that is alive after it, opens nothing of what was destroyed and all
// of what was not: on SQLite, through the functions, with roots in a key file. The medium of the roots is no part of the dump: a key file can be copied,
// and its documentation says so.
func TestASnapshotOfTheDatabasesOpensNothing(t *testing.T) {
	dir := t.TempDir()
	w := Open(t, Options{Dir: dir, Now: clock}).Found()
	w.EnrolAll()
	Condemned(w)
	w.Close()
	before := t.TempDir() + "/before"
	copyFolder(t, dir, before)
	w = Open(t, Options{Dir: dir, Now: clock})
	w.both(w.Destroy)
	w.Shredded()
	doomed := w.Doomed()
	for _, party := range Keyholders {
		old, err := sqlite.Open(fmt.Sprintf("%s/%s/rows.db", before, party))
		w.must(err)
		loot := keyholdertest.Loot{Party: seal.Role(party), Roots: w.stores[party].roots, Rows: []store.Rows{old, w.stores[party].rows}}
		spoils, err := keyholdertest.Plunder(t.Context(), loot)
		w.must(err)
		loot.Rows = loot.Rows[:1]
		alone, err := keyholdertest.Plunder(t.Context(), loot)
		w.must(err)
		w.must(old.Close())
		if alone.Pages != 0 || alone.Closed == 0 || spoils.Seeds != 0 {
			t.Errorf("%s: of the dump %d pages open and %d do not; %d batches open whole", party, alone.Pages, alone.Closed, spoils.Seeds)
		}
		note := w.note(party)
		for _, m := range note.Members {
			for _, class := range []seal.Class{seal.IndexClass, seal.ContentClass} {
				opens := spoils.Halves[keyholdertest.Half{Batch: note.Statement.Batch, Recording: m.Recording, Class: class}]
				if gone := record.ID(m.Recording) == doomed.Recording; opens == gone {
					t.Errorf("%s: recording %s, %s: opens %v", party, m.Recording, class, opens)
				}
			}
		}
	}
}
