package keyholder_test

import (
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// acted is a case in which the investigator has been given the first of three recordings.
func acted(t *testing.T) (*world, *batch, record.Digest) {
	w := newWorld(t).cast()
	b := w.batch(w.admit(w.order()), seal.Statement{}, "one", "two", "three")
	raw, _ := w.ask(b)
	hash := w.send(raw, "supervisor")
	for _, party := range parties {
		_, err := w.release(party, "investigator", hash)
		must(t, err)
	}
	return w, b, hash
}

func (w *world) opened(b *batch, request record.Digest, change ...func(*record.Act)) record.Act {
	a := record.Act{Audience: w.hash, Chain: b.unit.Order, Issued: w.now(), Kind: record.EventOpened, Millis: record.Span{From: 5000, Until: 8000}, Nonce: newID(),
		Recordings: []record.Reference{b.reference(0)}, Request: request, Result: record.Begun}
	for _, f := range change {
		f(&a)
	}
	return a
}

// kinds counts a case's events.
func (w *world) kinds(party seal.Role, chain record.Digest) map[record.EventKind]int {
	w.t.Helper()
	lines, err := w.keyholder[party].Journal(w.t.Context(), chain, 1, 1000)
	must(w.t, err)
	count := map[record.EventKind]int{}
	for _, line := range lines {
		count[line.Event.Kind]++
	}
	return count
}

func TestAReadersActsAreJournalledOnce(t *testing.T) {
	w, b, request := acted(t)
	begun := w.sign("investigator", record.TypeAct, w.opened(b, request))
	ended := func(hash record.Digest) string {
		return w.sign("investigator", record.TypeAct, w.opened(b, request, func(a *record.Act) { a.Kind, a.Result, a.Of = record.EventCopied, record.Completed, hash }))
	}
	end := ended(record.HashStatement(begun))
	for _, party := range parties {
		k := w.keyholder[party]
		for _, raw := range []string{begun, end, end, begun} { // filing again changes nothing
			must(t, k.FileAct(t.Context(), raw))
		}
		if got := w.kinds(party, b.unit.Order); got[record.EventOpened] != 1 || got[record.EventCopied] != 1 {
			t.Errorf("%s: %v", party, got)
		}
		if err := k.FileAct(t.Context(), ended(record.HashStatement(begun))); problem.KindOf(err) != problem.Denied {
			t.Error("a second end:", err)
		}
		if err := k.FileAct(t.Context(), ended(record.Digest{1})); problem.KindOf(err) != problem.Denied {
			t.Error("the end of nothing:", err)
		}
	}
	// Who is taken out of service since then still reports what was done before.
	s := record.PersonSuspension{Audience: w.hash, Issued: w.now(), Nonce: newID(), Person: w.people["investigator"].Public().ID(), Reason: "left"}
	must(t, w.keyholder[seal.Court].SuspendPerson(t.Context(), w.sign("judge", record.TypeSuspension, s)))
	must(t, w.keyholder[seal.Court].FileAct(t.Context(), w.sign("investigator", record.TypeAct, w.opened(b, request))))
}

func TestActsAreRefused(t *testing.T) {
	w, b, request := acted(t)
	foreign, _ := w.ask(b, func(r *record.Request) { r.Recordings = []record.Reference{b.reference(1)} })
	pending := w.send(foreign) // asked, and never approved or released
	nonce := newID()
	k := w.keyholder[seal.Court]
	must(t, k.FileAct(t.Context(), w.sign("investigator", record.TypeAct, w.opened(b, request, func(a *record.Act) { a.Nonce = nonce }))))
	for name, tc := range map[string]struct {
		who  string
		kind problem.Kind
		do   func(a *record.Act)
	}{
		"of a recording that was never released":    {"investigator", problem.Denied, func(a *record.Act) { a.Recordings[0] = b.reference(1) }},
		"of a request that was never released":      {"investigator", problem.Denied, func(a *record.Act) { a.Request, a.Recordings[0] = pending, b.reference(1) }},
		"of a request that does not exist":          {"investigator", problem.NotFound, func(a *record.Act) { a.Request = record.Digest{9} }},
		"of another reader's request":               {"supervisor", problem.NotFound, func(*record.Act) {}},
		"by a stranger":                             {"stranger", problem.NotFound, func(*record.Act) {}},
		"with a nonce that was used":                {"investigator", problem.Denied, func(a *record.Act) { a.Nonce, a.Millis.Until = nonce, 9000 }},
		"on seconds before the beginning":           {"investigator", problem.Invalid, func(a *record.Act) { a.Millis.From = -1 }},
		"on seconds that end before they begin":     {"investigator", problem.Invalid, func(a *record.Act) { a.Millis.Until = 10 }},
		"on more seconds than there are in a year":  {"investigator", problem.Invalid, func(a *record.Act) { a.Millis.Until = 1 << 50 }},
		"on seconds and bytes":                      {"investigator", problem.Invalid, func(a *record.Act) { a.Bytes.Until = 10 }},
		"on no part at all":                         {"investigator", problem.Invalid, func(a *record.Act) { a.Millis = record.Span{} }},
		"of two recordings at once":                 {"investigator", problem.Invalid, func(a *record.Act) { a.Recordings = append(a.Recordings, b.reference(2)) }},
		"of another order":                          {"investigator", problem.Denied, func(a *record.Act) { a.Chain = record.Digest{1} }},
		"for another installation":                  {"investigator", problem.Denied, func(a *record.Act) { a.Audience = record.Digest{1} }},
		"listing under a request for content":       {"investigator", problem.Denied, func(a *record.Act) { a.Kind, a.Result, a.Millis = record.EventFound, record.Completed, record.Span{} }},
		"of tomorrow":                               {"investigator", problem.Denied, func(a *record.Act) { a.Issued = a.Issued.Add(24 * time.Hour) }},
		"of before it was asked":                    {"investigator", problem.Denied, func(a *record.Act) { a.Issued = a.Issued.Add(-24 * time.Hour) }},
		"of a kind that only keyholders write down": {"investigator", problem.Invalid, func(a *record.Act) { a.Kind = record.EventReleased }},
		"disclosing no bundle": {"investigator", problem.Invalid, func(a *record.Act) {
			a.Kind, a.Result, a.Millis = record.EventDisclosed, record.Completed, record.Span{}
		}},
	} {
		before := w.kinds(seal.Court, b.unit.Order)
		err := k.FileAct(t.Context(), w.sign(tc.who, record.TypeAct, w.opened(b, request, tc.do)))
		if err == nil || problem.KindOf(err) != tc.kind {
			t.Errorf("an act %s: %v (%s), want %s", name, err, problem.KindOf(err), tc.kind)
		}
		if after := w.kinds(seal.Court, b.unit.Order); after[record.EventOpened] != before[record.EventOpened] {
			t.Errorf("an act %s was journalled as done", name)
		}
	}
	if w.kinds(seal.Court, b.unit.Order)[record.EventRefused] == 0 {
		t.Error("no refusal was journalled")
	}
	raw := w.sign("investigator", record.TypeAct, w.opened(b, request))
	forged := w.sign("supervisor", record.TypeAct, w.opened(b, request))
	if err := k.FileAct(t.Context(), raw[:len(raw)-86]+forged[len(forged)-86:]); problem.KindOf(err) != problem.Denied {
		t.Error("another's signature:", err)
	}
	// Content halves under a request that has ended: nothing new begins, what was begun can end.
	begun := w.sign("investigator", record.TypeAct, w.opened(b, request))
	must(t, k.FileAct(t.Context(), begun))
	w.pass(48 * time.Hour)
	if err := k.FileAct(t.Context(), w.sign("investigator", record.TypeAct, w.opened(b, request))); problem.KindOf(err) != problem.Denied {
		t.Error("begun after its request has ended:", err)
	}
	must(t, k.FileAct(t.Context(), w.sign("investigator", record.TypeAct, w.opened(b, request, func(a *record.Act) {
		a.Result, a.Of = record.Failed, record.HashStatement(begun)
	}))))
}

// TestListingActsNeedTheirPage: of a whole week that was released in part, only that part was found.
func TestListingActsNeedTheirPage(t *testing.T) {
	w := newWorld(t).cast()
	b := w.batch(w.admit(w.order()), seal.Statement{}, "one", "two")
	raw, _ := w.ask(b, func(r *record.Request) { r.Class, r.Recordings = "index", nil })
	request := w.send(raw)
	found := func(refs ...record.Reference) string {
		return w.sign("investigator", record.TypeAct, w.opened(b, request, func(a *record.Act) {
			a.Kind, a.Result, a.Millis, a.Recordings = record.EventFound, record.Completed, record.Span{}, refs
		}))
	}
	k := w.keyholder[seal.Court]
	if err := k.FileAct(t.Context(), found(b.reference(0))); problem.KindOf(err) != problem.Denied {
		t.Error("before any release:", err)
	}
	_, err := w.release(seal.Court, "investigator", request)
	must(t, err)
	must(t, k.FileAct(t.Context(), found(b.reference(0), b.reference(1))))
	later := w.batch(b.unit.Order, b.signed.Statement, "three")
	if err := k.FileAct(t.Context(), found(later.reference(0))); problem.KindOf(err) != problem.Denied {
		t.Error("what was filed after the release:", err)
	}
	_, err = w.release(seal.Court, "investigator", request)
	must(t, err)
	must(t, k.FileAct(t.Context(), found(later.reference(0))))
}

// TestRefusedActsStayInTheirCase: a reader's act that names another order writes nothing in that order's journal, which may be another unit's; and who is out
// of service cannot fill a journal with refusals.
func TestRefusedActsStayInTheirCase(t *testing.T) {
	w, b, request := acted(t)
	other := w.order()
	other.PoliceUnit, other.Case = "Unit B", "DP-0000/18"
	elsewhere := w.admit(other)
	k := w.keyholder[seal.Court]
	file := func() {
		t.Helper()
		raw := w.sign("investigator", record.TypeAct, w.opened(b, request, func(a *record.Act) { a.Chain = elsewhere }))
		if err := k.FileAct(t.Context(), raw); problem.KindOf(err) != problem.Denied {
			t.Error(err)
		}
	}
	file()
	if here, there := w.kinds(seal.Court, b.unit.Order)[record.EventRefused], w.kinds(seal.Court, elsewhere)[record.EventRefused]; here != 1 || there != 0 {
		t.Errorf("%d refusals in the reader's case, %d in the other", here, there)
	}
	s := record.PersonSuspension{Audience: w.hash, Issued: w.now(), Nonce: newID(), Person: w.people["investigator"].Public().ID(), Reason: "left"}
	must(t, k.SuspendPerson(t.Context(), w.sign("judge", record.TypeSuspension, s)))
	file()
	if n := w.kinds(seal.Court, b.unit.Order)[record.EventRefused]; n != 1 {
		t.Errorf("%d refusals after a suspension", n)
	}
}
