package keyholder_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// line is a unit with what was filed in it last.
type line struct {
	unit seal.Unit
	keys map[seal.Role]record.UnitKey
	last seal.Statement
}

func (w *world) line() *line {
	u, keysOf := w.unit(w.admit(w.order()))
	return &line{unit: u, keys: keysOf}
}

// next seals the line's next batch.
func (w *world) next(l *line) *batch {
	b := w.sealBatch(l.unit, l.keys, l.last, "content")
	l.last = b.signed.Statement
	return b
}

// journalled counts a case's events of the kind.
func (w *world) journalled(k *keyholder.Keyholder, of record.Digest, kind record.EventKind) (n int) {
	w.t.Helper()
	lines, err := k.Journal(w.t.Context(), of, 1, 1000)
	must(w.t, err)
	for _, l := range lines {
		if l.Event.Kind == kind {
			n++
		}
	}
	return n
}

// Whatever is wrong with one note of a call, it alone is refused, in the words in which it would be alone.
func TestOneRefusedNoteDoesNotStopTheOthers(t *testing.T) {
	w := newWorld(t).cast()
	w.enrol("second collector", record.Enrolment{Roles: []record.Role{record.Collector}})
	k, me := w.keyholder[seal.Court], w.person(seal.Court, "collector")
	one, two, bad := w.line(), w.line(), w.line()
	must(t, func() error { _, _, err := k.FileNotes(t.Context(), me, w.next(bad).note(t, seal.Court)); return err }())
	good := w.sealBatch(bad.unit, bad.keys, bad.last, "good")
	swapped := map[seal.Role]record.UnitKey{seal.Court: bad.keys[seal.Custodian], seal.Custodian: bad.keys[seal.Court]}
	flip := func(at int) []byte { raw := good.note(t, seal.Court); raw[at] ^= 1; return raw }
	nowhere := bad.unit
	nowhere.Compartment = "privileged" // a unit that nobody asked for yet
	cases := map[string]struct {
		note []byte
		kind problem.Kind
	}{
		"for the other keyholder":           {good.note(t, seal.Custodian), problem.Invalid},
		"cut short":                         {good.note(t, seal.Court)[:100], problem.Invalid},
		"empty":                             {nil, problem.Invalid},
		"of another collector":              {w.signedBy("second collector", bad, "x").note(t, seal.Court), problem.Denied},
		"with a flipped bit in the half":    {flip(len(good.note(t, seal.Court)) - 1), problem.Denied},
		"with a flipped bit in the members": {flip(len(good.note(t, seal.Court)) - 1168 - 8), problem.Denied},
		"when a batch before it is missing": {w.sealBatch(bad.unit, bad.keys, good.signed.Statement, "third").note(t, seal.Court), problem.Conflict},
		"when it takes a number again":      {w.sealBatch(bad.unit, bad.keys, seal.Statement{}, "again").note(t, seal.Court), problem.Conflict},
		"when it was sealed to other keys":  {w.sealBatch(bad.unit, swapped, bad.last, "other keys").note(t, seal.Court), problem.Denied},
		"of a unit without keys":            {w.sealBatch(nowhere, bad.keys, seal.Statement{}, "nowhere").note(t, seal.Court), problem.NotFound},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, alone := k.FileNotes(t.Context(), me, tc.note)
			if problem.KindOf(alone) != tc.kind {
				t.Fatalf("alone: %v", alone)
			}
			a, b := w.next(one), w.next(two)
			receipts, refused, err := k.FileNotes(t.Context(), me, a.note(t, seal.Court), tc.note, b.note(t, seal.Court))
			must(t, err)
			if refused[0] != nil || refused[2] != nil || problem.KindOf(refused[1]) != tc.kind || problem.MessageOf(refused[1]) != problem.MessageOf(alone) || receipts[1] != "" {
				t.Fatalf("%v", refused)
			}
			for i, of := range map[int]*batch{0: a, 2: b} {
				if _, err := bundle.OpenNoteReceipt(&w.trust, w.hash, seal.Court, of.signed.Statement, receipts[i]); err != nil {
					t.Error(err)
				}
			}
			// The receipt of one note of a call does not serve for another. That it is signed by the keyholder, all that a careless reader would
			// look at, is true of both.
			if _, err := bundle.OpenNoteReceipt(&w.trust, w.hash, seal.Court, b.signed.Statement, receipts[0]); problem.KindOf(err) != problem.Denied {
				t.Error("a receipt served for another note:", err)
			}
			statement, _, err := record.SplitReceipt(receipts[0])
			must(t, err)
			if _, err := record.Open(statement, record.TypeReceipt, k.Online(), nil); err != nil || !strings.HasPrefix(receipts[2], statement+".") {
				t.Error("the weakened check does not even accept it:", err)
			}
		})
	}
	if n := w.journalled(k, bad.unit.Order, record.EventNoted); n != 1 {
		t.Errorf("%d events tell of notes in the unit of the refused ones, want the first one's", n)
	}
	must(t, func() error { _, _, err := k.FileNotes(t.Context(), me, good.note(t, seal.Court)); return err }())
}

// signedBy is a batch that follows the line's last and is another collector's.
func (w *world) signedBy(who string, l *line, content string) *batch {
	own := w.people["collector"]
	defer func() { w.people["collector"] = own }()
	w.people["collector"] = w.people[who]
	return w.sealBatch(l.unit, l.keys, seal.Statement{}, content)
}

// As many notes as a call takes, more than one transaction holds, several of one unit among them: all are on file once, however
// often they are sent, each with its event, and the log knows every event.
func TestManyNotesInOneCall(t *testing.T) {
	w := newWorld(t).cast()
	k, me := w.keyholder[seal.Court], w.person(seal.Court, "collector")
	var lines []*line
	for range 5 {
		lines = append(lines, w.line())
	}
	var notes [][]byte
	var batches []*batch
	for i := range wire.MaxNotes {
		b := w.next(lines[i%len(lines)])
		batches, notes = append(batches, b), append(notes, b.note(t, seal.Court))
	}
	if _, _, err := k.FileNotes(t.Context(), me, append(slices.Clone(notes), notes[0])...); problem.KindOf(err) != problem.Invalid {
		t.Fatal("more notes than a call takes:", err)
	}
	if _, _, err := k.FileNotes(t.Context(), me); problem.KindOf(err) != problem.Invalid {
		t.Fatal("no note at all:", err)
	}
	w.logDown = true
	if _, _, err := k.FileNotes(t.Context(), me, notes...); problem.KindOf(err) != problem.Unavailable {
		t.Fatal("receipts without the log:", err)
	}
	w.logDown = false
	for range 2 {
		receipts, refused, err := k.FileNotes(t.Context(), me, notes...)
		must(t, err)
		for i, b := range batches {
			must(t, refused[i])
			_, err := bundle.OpenNoteReceipt(&w.trust, w.hash, seal.Court, b.signed.Statement, receipts[i])
			must(t, err)
		}
	}
	w.sequence()
	noted := 0
	for _, l := range lines {
		noted += w.journalled(k, l.unit.Order, record.EventNoted)
		log, err := k.ReadLog(t.Context(), w.person(seal.Court, "auditor"), l.unit.Order, 1)
		must(t, err)
		for _, e := range log.Events {
			if e.State != wire.StateProven {
				t.Errorf("an event is %s", e.State)
			}
		}
	}
	if noted != len(notes) {
		t.Errorf("%d events for %d notes", noted, len(notes))
	}
	// One note twice in a call is one note.
	again := w.next(lines[0]).note(t, seal.Court)
	receipts, refused, err := k.FileNotes(t.Context(), me, again, again)
	must(t, err)
	if refused[0] != nil || refused[1] != nil || receipts[0] == "" || receipts[1] == "" {
		t.Error(refused)
	}
	// Two different ones under one number are not.
	fork := *lines[1]
	if _, refused, err = k.FileNotes(t.Context(), me, w.next(lines[1]).note(t, seal.Court), w.next(&fork).note(t, seal.Court)); err != nil || refused[0] != nil || problem.KindOf(refused[1]) != problem.Conflict {
		t.Error(refused, err)
	}
}

// A unit that the order does not cover is refused; those asked for with it get their keys.
func TestOneRefusedUnitDoesNotStopTheOthers(t *testing.T) {
	w := newWorld(t).cast()
	k := w.keyholder[seal.Court]
	one, two := w.admit(w.order()), w.admit(w.order())
	week := seal.WeekOf(w.now())
	good := []seal.Unit{{Order: one, Week: week, Compartment: "main", Classification: "restricted"}, {Order: two, Week: week, Compartment: "main", Classification: "restricted"}}
	for name, bad := range map[string]seal.Unit{
		"a week before":          {Order: one, Week: seal.WeekOf(w.now().AddDate(0, 0, -7)), Compartment: "main", Classification: "restricted"},
		"a week after":           {Order: one, Week: seal.WeekOf(w.now().AddDate(0, 2, 0)), Compartment: "main", Classification: "restricted"},
		"another classification": {Order: one, Week: week, Compartment: "main", Classification: "secret"},
		"an unknown compartment": {Order: one, Week: week, Compartment: "side", Classification: "restricted"},
		"an unknown order":       {Order: record.Digest{1}, Week: week, Compartment: "main", Classification: "restricted"},
		"a week that is no week": {Order: one, Week: "2031-W3", Compartment: "main", Classification: "restricted"},
	} {
		_, _, alone := k.EnsureUnits(t.Context(), bad)
		raw, refused, err := k.EnsureUnits(t.Context(), good[0], bad, good[1])
		must(t, err)
		keys, err := record.OpenUnitKeys(raw, &w.trust, w.hash, "court", w.now())
		must(t, err)
		if len(keys) != 2 || record.Digest(keys[0].Chain) != one || record.Digest(keys[1].Chain) != two {
			t.Errorf("%s: keys of %d units", name, len(keys))
		}
		if refused[0] != nil || refused[2] != nil || alone == nil || problem.MessageOf(refused[1]) != problem.MessageOf(alone) {
			t.Errorf("%s: %v, alone %v", name, refused, alone)
		}
	}
	for name, list := range map[string][]seal.Unit{"none": nil, "one twice": {good[0], good[0]}} {
		if _, _, err := k.EnsureUnits(t.Context(), list...); problem.KindOf(err) != problem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What one keyholder signed of units is not the other's, nor another installation's.
	raw, _, err := k.EnsureUnits(t.Context(), good...)
	must(t, err)
	if _, err := record.OpenUnitKeys(raw, &w.trust, w.hash, "custodian", w.now()); problem.KindOf(err) != problem.Denied {
		t.Error("the court's keys were taken for the custodian's:", err)
	}
	if _, err := record.OpenUnitKeys(raw, &w.trust, record.Digest{1}, "court", w.now()); problem.KindOf(err) != problem.Denied {
		t.Error("keys of another installation were taken:", err)
	}
}

// A status of many chains says of each what it would say alone, of an unknown one that it is unknown, and answers no other question.
func TestOneStatusOfManyChains(t *testing.T) {
	w := newWorld(t).cast()
	k := w.keyholder[seal.Court]
	one, two, unknown := w.admit(w.order()), w.admit(w.order()), record.Digest{1}
	w.admit(record.Order{Audience: w.hash, Kind: record.Revocation, Profile: "ES-588ter", Court: "Court One", Chain: two, Decided: w.now(), Reason: "ended", Nonce: newID()})
	status := func(nonce record.ID, chains ...record.Digest) (s record.Status, members [][]string) {
		raw, members, err := k.Status(t.Context(), nonce, chains...)
		must(t, err)
		_, err = record.Open(raw, record.TypeStatus, k.Online(), &s)
		must(t, err)
		return s, members
	}
	nonce := newID()
	s, members := status(nonce, one, unknown, two)
	for i, want := range []struct {
		state   string
		members int
	}{{"in-force", 1}, {"unknown", 0}, {"revoked", 2}} {
		if s.Chains[i].State != want.state || len(members[i]) != want.members {
			t.Errorf("chain %d: %s with %d members", i, s.Chains[i].State, len(members[i]))
		}
		if alone, _ := status(newID(), s.Chains[i].Chain); !alone.Agrees(record.Status{Audience: s.Audience, Destroyed: s.Destroyed, Enrolled: s.Enrolled, Suspended: s.Suspended, Chains: s.Chains[i : i+1]}, 0) {
			t.Errorf("chain %d: alone it is %+v", i, alone)
		}
	}
	if !s.Answers("court", w.hash, nonce, one, unknown, two) {
		t.Error("it does not answer its own question")
	}
	for name, answers := range map[string]bool{
		"another order of chains": s.Answers("court", w.hash, nonce, two, unknown, one),
		"fewer chains":            s.Answers("court", w.hash, nonce, one),
		"another chain":           s.Answers("court", w.hash, nonce, one, one, two),
		"another nonce":           s.Answers("court", w.hash, newID(), one, unknown, two),
		"the other party":         s.Answers("custodian", w.hash, nonce, one, unknown, two),
		"another installation":    s.Answers("court", record.Digest{1}, nonce, one, unknown, two),
	} {
		if answers {
			t.Errorf("it answers a question with %s", name)
		}
	}
	for name, list := range map[string][]record.Digest{"none": nil, "one twice": {one, one}, "too many": make([]record.Digest, record.MaxChains+1)} {
		for i := range list {
			if name == "too many" {
				list[i][0], list[i][1] = byte(i), 2
			}
		}
		if _, _, err := k.Status(t.Context(), newID(), list...); problem.KindOf(err) != problem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A status of the largest number of chains fits in a statement.
func TestTheLargestStatusAndTheLargestListOfKeysAreStatements(t *testing.T) {
	digest := record.Digest(bytes.Repeat([]byte{0xff}, 32))
	w := newWorld(t)
	s := record.Status{Audience: digest, Issued: w.now(), Nonce: newID(), Party: "custodian", Chains: make([]record.ChainStatus, record.MaxChains)}
	for i := range s.Chains {
		s.Chains[i] = record.ChainStatus{AccessEnd: w.now(), Capture: record.Window{From: w.now(), Until: w.now()}, Chain: digest, Head: digest, State: "suspended", Stops: digest}
	}
	k := record.UnitKeys{Audience: digest, Issued: w.now(), Party: "custodian", Keys: make([]record.UnitKey, record.MaxUnitKeys)}
	label := string(bytes.Repeat([]byte("x"), seal.MaxLabelBytes))
	for i := range k.Keys {
		k.Keys[i] = record.UnitKey{Chain: digest, Classification: label, Compartment: label, Week: "2031-W03", FindKey: make([]byte, 1216), Key: make([]byte, 1216), SealedFind: make([]byte, 1170)}
	}
	for typ, v := range map[record.Type]any{record.TypeStatus: s, record.TypeUnitKeys: k} {
		signer := newSigner(t)
		raw, err := record.Sign(signer, typ, w.now(), v)
		must(t, err)
		if _, err := record.Open(raw, typ, signer.Public(), nil); err != nil {
			t.Errorf("%s of %d bytes: %v", typ, len(raw), err)
		}
	}
}

// The other keyholder answers a question about one chain with what it says of another, or of both: no half leaves on that. The
// statement is genuine, of the other keyholder, and over the nonce of the question, which is all that a careless check would look at. (Where the
// chains differ in anything, comparing them with this keyholder's own state refuses too.)
func TestAStatusOfAnotherChainDoesNotServe(t *testing.T) {
	w, b := ready(t)
	other := w.admit(w.order())
	raw, _ := w.ask(b)
	hash := w.send(raw, "supervisor")
	revoke := record.Order{Audience: w.hash, Kind: record.Revocation, Profile: "ES-588ter", Court: "Court One", Chain: b.unit.Order, Decided: w.now(), Reason: "ended", Nonce: newID()}
	_, err := w.keyholder[seal.Custodian].Admit(t.Context(), w.sign("judge", record.TypeOrder, revoke)) // the court has not heard of it
	must(t, err)
	w.sequence()
	for name, chains := range map[string][]record.Digest{
		"another": {other}, "another first": {other, b.unit.Order}, "another too": {b.unit.Order, other},
	} {
		careless := false
		w.peerSays = func(status string) string {
			var s record.Status
			_, err := record.Open(status, record.TypeStatus, w.keyholder[seal.Custodian].Online(), &s)
			must(t, err)
			lie, _, err := w.keyholder[seal.Custodian].Status(t.Context(), s.Nonce, chains...)
			must(t, err)
			var l record.Status
			_, err = record.Open(lie, record.TypeStatus, w.keyholder[seal.Custodian].Online(), &l)
			careless = err == nil && l.Nonce == s.Nonce && l.Party == "custodian" && l.Audience == w.hash
			return lie
		}
		if _, err := w.release(seal.Court, "investigator", hash); problem.KindOf(err) != problem.Denied {
			t.Errorf("%s: %v", name, err)
		}
		if !careless {
			t.Errorf("%s: the lie would not even pass a careless check", name)
		}
	}
}
