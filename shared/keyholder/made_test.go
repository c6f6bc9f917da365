package keyholder_test

import (
	"strings"
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// making is a person's batch of one recording, sealed and not filed, and the act that says what it was made of.
func (w *world) making(author string, of *batch, request record.Digest, kind, compartment string, previous seal.Statement) (*batch, record.Act) {
	w.t.Helper()
	u := of.unit
	u.Compartment = compartment
	u, keysOf := w.keyed(u)
	b := w.sealBatchAs(author, u, keysOf, previous, "made")
	a := record.Act{Audience: w.hash, Chain: u.Order, Issued: w.now(), Kind: record.EventAnnotated, Nonce: newID(), Recordings: []record.Reference{of.reference(0)},
		Request: request, Result: record.Completed, Whole: true, Made: record.Made{Batch: b.reference(0).Batch, Compartment: compartment, Kind: kind,
			Recording: b.reference(0).Recording, Statement: record.Digest(b.signed.Statement.Hash())}}
	if kind == record.KindResealed {
		a.Kind, a.Reason = record.EventMoved, "ordered"
	}
	return b, a
}

// filed files an act and the note that it speaks of at one keyholder.
func (w *world) filed(party seal.Role, author string, a record.Act, b *batch) error {
	if err := w.keyholder[party].FileAct(w.t.Context(), w.sign(author, record.TypeAct, a)); err != nil {
		return err
	}
	_, _, err := w.keyholder[party].FileNotes(w.t.Context(), w.person(party, author), b.note(w.t, party))
	return err
}

// content gives a granted and released request of a person's for the first recording of a batch.
func (w *world) content(who string, b *batch, approvers ...string) record.Digest {
	w.t.Helper()
	raw, _ := w.ask(b, func(r *record.Request) { r.Purpose, r.Compartment = "as "+who, b.unit.Compartment })
	hash := w.send(raw, approvers...)
	for _, party := range parties {
		_, err := w.release(party, who, hash)
		must(w.t, err)
	}
	return hash
}

func TestPeopleSealWhatTheyWereGiven(t *testing.T) {
	w, b, request := acted(t)
	clerks, judges := w.content("clerk", b), w.content("judge", b)
	last := map[string]seal.Statement{} // a person's batches of a unit follow each other like a collector's
	for _, tc := range []struct {
		who, kind, compartment string
		request                record.Digest
	}{
		{"investigator", record.KindNote, "main", request}, {"investigator", record.KindTranscript, "main", request},
		{"clerk", record.KindNote, "main", clerks}, {"clerk", record.KindResealed, "clerk", clerks}, {"judge", record.KindResealed, "privileged", judges},
	} {
		made, a := w.making(tc.who, b, tc.request, tc.kind, tc.compartment, last[tc.who+tc.compartment])
		last[tc.who+tc.compartment] = made.signed.Statement
		for _, party := range parties {
			for range 2 { // filing again changes nothing
				if err := w.filed(party, tc.who, a, made); err != nil {
					t.Fatalf("%s, %s to %s: %v", tc.who, tc.kind, tc.compartment, err)
				}
			}
		}
	}
	for _, party := range parties {
		got := w.kinds(party, b.unit.Order)
		if got[record.EventAnnotated] != 3 || got[record.EventMoved] != 2 || got[record.EventNoted] != 6 {
			t.Errorf("%s: %v", party, got)
		}
	}
}

func TestWhatPeopleMayNotSealIsRefused(t *testing.T) {
	w, b, request := acted(t)
	apart := w.batchIn(b.unit.Order, "privileged", seal.Statement{}, "with counsel")
	judges := w.content("judge", apart)
	clerks := w.content("clerk", b)
	k := w.keyholder[seal.Court]
	for name, tc := range map[string]struct {
		who, kind, to string
		of            *batch
		request       record.Digest
		change        func(*record.Act)
	}{
		"an investigator's copy into main of what is privileged": {"investigator", record.KindResealed, "main", apart, request, nil},
		"the same, of what they were given":                      {"investigator", record.KindResealed, "main", b, request, nil},
		"an investigator's copy for the clerk":                   {"investigator", record.KindResealed, "clerk", b, request, nil},
		"an investigator's note among what is privileged":        {"investigator", record.KindNote, "privileged", b, request, func(a *record.Act) { a.Made.Mark = "doubtful" }},
		"a note on what was never released to its author":        {"investigator", record.KindNote, "main", apart, request, nil},
		"a note under another's request":                         {"investigator", record.KindNote, "main", b, clerks, nil},
		"the judge's copy into main without a decision":          {"judge", record.KindResealed, "main", apart, judges, nil},
		"the judge's copy of it for the clerk":                   {"judge", record.KindResealed, "clerk", apart, judges, nil},
		"a clerk's setting apart":                                {"clerk", record.KindResealed, "privileged", b, clerks, nil},
		"a note that leaves the compartment":                     {"clerk", record.KindNote, "clerk", b, clerks, nil},
	} {
		made, a := w.making(tc.who, tc.of, tc.request, tc.kind, tc.to, seal.Statement{})
		if tc.change != nil {
			tc.change(&a)
		}
		if err := k.FileAct(t.Context(), w.sign(tc.who, record.TypeAct, a)); problem.KindOf(err) != problem.Denied && problem.KindOf(err) != problem.NotFound || err == nil {
			t.Errorf("%s: %v", name, err)
		}
		// Without its act the note is taken from nobody, whoever signs it.
		if _, _, err := k.FileNotes(t.Context(), w.person(seal.Court, tc.who), made.note(t, seal.Court)); problem.KindOf(err) != problem.Denied || !strings.Contains(problem.MessageOf(err), "no act of yours") {
			t.Errorf("%s, without its act: %v", name, err)
		}
	}
	if w.kinds(seal.Court, b.unit.Order)[record.EventMoved] != 0 {
		t.Error("a refused move is journalled as done")
	}
	if w.kinds(seal.Court, b.unit.Order)[record.EventRefused] == 0 {
		t.Error("no refusal is journalled")
	}
}

func TestANoteIsTakenFromItsAuthorForItsActAlone(t *testing.T) {
	w, b, request := acted(t)
	k := w.keyholder[seal.Court]
	made, a := w.making("investigator", b, request, record.KindNote, "main", seal.Statement{})
	must(t, k.FileAct(t.Context(), w.sign("investigator", record.TypeAct, a)))
	denied := func(name, who string, note []byte) {
		t.Helper()
		if _, _, err := k.FileNotes(t.Context(), w.person(seal.Court, who), note); problem.KindOf(err) != problem.Denied || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	denied("another person's filing", "clerk", made.note(t, seal.Court))
	denied("a collector's filing of it", "collector", made.note(t, seal.Court))
	denied("an auditor's", "auditor", made.note(t, seal.Court))
	other, _ := w.making("investigator", b, request, record.KindNote, "main", seal.Statement{})
	denied("another batch of theirs", "investigator", other.note(t, seal.Court))
	// A second act on the same batch, to say that it is of something else.
	again := a
	again.Nonce, again.Made.Kind = newID(), record.KindTranscript
	if err := k.FileAct(t.Context(), w.sign("investigator", record.TypeAct, again)); problem.KindOf(err) != problem.Denied {
		t.Error("a second act on one batch:", err)
	}
	_, _, err := k.FileNotes(t.Context(), w.person(seal.Court, "investigator"), made.note(t, seal.Court))
	must(t, err)
}
