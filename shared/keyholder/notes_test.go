package keyholder_test

import (
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

func TestNotesAreRefused(t *testing.T) {
	w := newWorld(t).cast()
	chain := w.admit(w.order())
	first := w.batch(chain, seal.Statement{}, "one")
	u, keysOf := w.unit(chain)
	k := w.keyholder[seal.Court]
	file := func(who string, raw []byte) error {
		_, _, err := k.FileNotes(t.Context(), w.person(seal.Court, who), raw)
		return err
	}
	good := w.sealBatch(u, keysOf, first.signed.Statement, "two")
	t.Run("from somebody who is no collector", func(t *testing.T) {
		if err := file("investigator", good.note(t, seal.Court)); problem.KindOf(err) != problem.Denied {
			t.Error(err)
		}
	})
	t.Run("of another collector", func(t *testing.T) {
		w.enrol("second collector", record.Enrolment{Roles: []record.Role{record.Collector}})
		if err := file("second collector", good.note(t, seal.Court)); problem.KindOf(err) != problem.Denied {
			t.Error(err)
		}
	})
	t.Run("for the other keyholder", func(t *testing.T) {
		if err := file("collector", good.note(t, seal.Custodian)); problem.KindOf(err) != problem.Invalid {
			t.Error(err)
		}
	})
	t.Run("when a batch before it is missing", func(t *testing.T) {
		third := w.sealBatch(u, keysOf, good.signed.Statement, "three")
		if err := file("collector", third.note(t, seal.Court)); problem.KindOf(err) != problem.Conflict {
			t.Error(err)
		}
	})
	t.Run("when it takes a number again", func(t *testing.T) {
		again := w.sealBatch(u, keysOf, seal.Statement{}, "one, differently")
		if err := file("collector", again.note(t, seal.Court)); problem.KindOf(err) != problem.Conflict {
			t.Error(err)
		}
	})
	t.Run("when it was sealed to other keys", func(t *testing.T) {
		wrong := map[seal.Role]record.UnitKey{seal.Court: keysOf[seal.Custodian], seal.Custodian: keysOf[seal.Court]}
		if err := file("collector", w.sealBatch(u, wrong, first.signed.Statement, "two").note(t, seal.Court)); problem.KindOf(err) != problem.Denied {
			t.Error(err)
		}
	})
	t.Run("with any flipped byte", func(t *testing.T) {
		raw := good.note(t, seal.Court)
		for i := range raw {
			raw[i] ^= 0x10
			if file("collector", raw) == nil {
				t.Fatalf("byte %d may be flipped", i)
			}
			raw[i] ^= 0x10
		}
	})
	must(t, file("collector", good.note(t, seal.Court)))
	must(t, file("collector", good.note(t, seal.Court))) // again gives a receipt again
}

func TestUnitsOutsideTheOrderAreNotMade(t *testing.T) {
	w := newWorld(t).cast()
	chain := w.admit(w.order())
	good := seal.Unit{Order: chain, Week: seal.WeekOf(w.now()), Compartment: "main", Classification: "restricted"}
	for name, u := range map[string]seal.Unit{
		"a week before":          {Order: chain, Week: seal.WeekOf(w.now().AddDate(0, 0, -7)), Compartment: "main", Classification: "restricted"},
		"a week after":           {Order: chain, Week: seal.WeekOf(w.now().AddDate(0, 2, 0)), Compartment: "main", Classification: "restricted"},
		"another classification": {Order: chain, Week: good.Week, Compartment: "main", Classification: "secret"},
		"an unknown compartment": {Order: chain, Week: good.Week, Compartment: "side", Classification: "restricted"},
		"an unknown order":       {Order: record.Digest{1}, Week: good.Week, Compartment: "main", Classification: "restricted"},
		"a week that is no week": {Order: chain, Week: "2031-W3", Compartment: "main", Classification: "restricted"},
	} {
		if _, _, err := w.keyholder[seal.Court].EnsureUnits(t.Context(), u); err == nil || problem.KindOf(err) == problem.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := w.keyholder[seal.Court].EnsureUnits(t.Context(), good); err != nil {
		t.Fatal(err)
	}
}

func TestSeedsLiveOnlyInTheRing(t *testing.T) {
	w := newWorld(t).cast()
	w.batch(w.admit(w.order()), seal.Statement{}, "one")
	// The ring's root is destroyed: every unit's secrets must be gone, whatever else is kept.
	for _, party := range parties {
		must(t, w.roots[party].Destroy(t.Context(), "ring-1"))
		w.open(party, w.hash)
	}
	for _, party := range parties {
		chains, err := w.keyholder[party].Chains(t.Context())
		must(t, err)
		if _, _, err := w.keyholder[party].EnsureUnits(t.Context(), seal.Unit{Order: chains[0], Week: seal.WeekOf(w.now()), Compartment: "privileged", Classification: "restricted"}); err == nil {
			t.Errorf("%s wrote to a ring page without its root", party)
		}
	}
}
