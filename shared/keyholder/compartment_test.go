package keyholder_test

import (
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// verdict has the judge decide on recordings, at both keyholders.
func (w *world) verdict(chain record.Digest, verdict string, change func(*record.Order), refs ...record.Reference) {
	w.t.Helper()
	w.pass(time.Second)
	o := record.Order{Audience: w.hash, Kind: record.Compartment, Chain: chain, Court: "Court One", Profile: "ES-588ter", Decided: w.now(), Reason: "decided on the recording",
		Recordings: refs, Verdict: verdict, Nonce: newID()}
	if change != nil {
		change(&o)
	}
	w.admit(o)
}

// gets asks for recordings of a unit as somebody, all of it without refs, and gives what both keyholders release and the first refusal.
func (w *world) gets(who, class string, b *batch, refs ...record.Reference) (int, error) {
	w.t.Helper()
	raw, _ := w.ask(b, func(r *record.Request) {
		r.Purpose, r.Class, r.Compartment, r.Recordings = "as "+who, class, b.unit.Compartment, refs
	})
	hash := record.HashStatement(raw)
	for _, party := range parties {
		if _, err := w.keyholder[party].Ask(w.t.Context(), raw); err != nil {
			return 0, err
		}
	}
	if who == "investigator" && class == "content" {
		approval := w.approval("supervisor", hash, true)
		for _, party := range parties {
			must(w.t, w.keyholder[party].Decide(w.t.Context(), approval))
		}
	}
	w.sequence()
	given := 0
	for _, party := range parties {
		r, err := w.release(party, who, hash)
		if err != nil {
			return 0, err
		}
		given += len(r.Items)
	}
	return given, nil
}

func TestWhatIsExcludedIsRefusedToAllButTheJudge(t *testing.T) {
	for _, verdict := range []string{record.VerdictExclude, record.VerdictDelete} {
		w := newWorld(t).cast()
		b := w.batch(w.admit(w.order()), seal.Statement{}, "one", "two", "three")
		granted := w.content("investigator", b, "supervisor")
		transcript, a := w.making("investigator", b, granted, record.KindTranscript, "main", seal.Statement{})
		for _, party := range parties {
			must(t, w.filed(party, "investigator", a, transcript))
		}
		before, err := w.gets("investigator", "index", b)
		must(t, err)
		w.verdict(b.unit.Order, verdict, nil, b.reference(0))
		// Nothing of it comes, by an old request or a new one, of a keyholder or the other, and its transcript goes with it.
		w.refused(granted, problem.Denied, "excluded")
		for _, who := range []string{"investigator", "clerk"} {
			for _, class := range []string{"index", "content"} {
				for name, ref := range map[string]record.Reference{"it": b.reference(0), "its transcript": transcript.reference(0)} {
					if _, err := w.gets(who, class, b, b.reference(1), ref); problem.KindOf(err) != problem.Denied || !strings.Contains(problem.MessageOf(err), "excluded") {
						t.Errorf("%s, %s: %s opens %s: %v", verdict, class, who, name, err)
					}
				}
			}
		}
		after, err := w.gets("investigator", "index", b)
		if err != nil || before != 8 || after != 4 { // of four at each keyholder two are left
			t.Errorf("%s: a whole unit gives %d halves before and %d after, %v", verdict, before, after, err)
		}
		if n, err := w.gets("investigator", "content", b, b.reference(1)); n != 2 || err != nil {
			t.Errorf("%s: another recording of the batch: %d, %v", verdict, n, err)
		}
		if n, err := w.gets("judge", "content", b, b.reference(0)); n != 2 || err != nil {
			t.Errorf("%s: the judge sees what was decided on: %d, %v", verdict, n, err)
		}
		// Nor is a note or a copy made of it any more.
		made, a := w.making("investigator", b, granted, record.KindNote, "main", transcript.signed.Statement)
		if err := w.filed(seal.Court, "investigator", a, made); problem.KindOf(err) != problem.Denied {
			t.Errorf("%s: a note on it: %v", verdict, err)
		}
	}
}

func TestOutOfThePrivilegedCompartmentComesWhatTheJudgeReleases(t *testing.T) {
	w := newWorld(t).cast()
	b := w.batch(w.admit(w.order()), seal.Statement{}, "one")
	apart := w.batchIn(b.unit.Order, "privileged", seal.Statement{}, "with counsel", "with counsel again")
	if _, err := w.gets("clerk", "content", apart, apart.reference(0)); problem.KindOf(err) != problem.Denied {
		t.Fatal("a clerk opens what nobody has released:", err)
	}
	w.verdict(b.unit.Order, record.VerdictRelease, nil, apart.reference(0))
	for name, refs := range map[string][]record.Reference{"the other": {apart.reference(1)}, "both": {apart.reference(0), apart.reference(1)}, "the whole unit": nil} {
		if _, err := w.gets("clerk", "content", apart, refs...); problem.KindOf(err) != problem.Denied {
			t.Errorf("a clerk opens %s: %v", name, err)
		}
	}
	if _, err := w.gets("investigator", "content", apart, apart.reference(0)); problem.KindOf(err) != problem.Denied {
		t.Error("an investigator opens it where it lies:", err)
	}
	clerks := w.content("clerk", apart)
	for to, want := range map[string]problem.Kind{"clerk": problem.Denied, "main": ""} {
		made, a := w.making("clerk", apart, clerks, record.KindResealed, to, seal.Statement{})
		for _, party := range parties {
			if err := w.filed(party, "clerk", a, made); err != nil && problem.KindOf(err) != want || (err == nil) != (want == "") {
				t.Errorf("to %s: %v", to, err)
			}
		}
		if to == "main" {
			if n, err := w.gets("investigator", "content", made, made.reference(0)); n != 2 || err != nil {
				t.Errorf("the copy in main: %d, %v", n, err)
			}
			w.verdict(b.unit.Order, record.VerdictExclude, nil, apart.reference(0))
			if _, err := w.gets("investigator", "content", made, made.reference(0)); problem.KindOf(err) != problem.Denied {
				t.Error("the judge thought better of it, and the copy still opens:", err)
			}
		}
	}
}

func TestWhoScreensOpensWhatTheyAreNamedForToMarkIt(t *testing.T) {
	w := newWorld(t).cast()
	b := w.batch(w.admit(w.order()), seal.Statement{}, "one")
	apart := w.batchIn(b.unit.Order, "privileged", seal.Statement{}, "doubtful", "not doubtful")
	stranger := w.people["stranger"].Public().ID()
	if _, err := w.gets("stranger", "content", apart, apart.reference(0)); problem.KindOf(err) != problem.NotFound {
		t.Fatal("somebody of another unit learns of the order:", err)
	}
	w.verdict(b.unit.Order, record.VerdictScreen, func(o *record.Order) { o.Screener, o.Until = stranger, w.now().Add(48*time.Hour) }, apart.reference(0))
	for _, class := range []string{"index", "content"} {
		if n, err := w.gets("stranger", class, apart, apart.reference(0)); n != 2 || err != nil {
			t.Errorf("who screens and %s: %d, %v", class, n, err)
		}
		for name, refs := range map[string][]record.Reference{"another recording": {apart.reference(1)}, "both": {apart.reference(0), apart.reference(1)}, "the whole unit": nil} {
			if _, err := w.gets("stranger", class, apart, refs...); problem.KindOf(err) != problem.Denied {
				t.Errorf("who screens gets the %s of %s: %v", class, name, err)
			}
		}
		if _, err := w.gets("stranger", class, b, b.reference(0)); problem.KindOf(err) != problem.Denied {
			t.Errorf("who screens gets the %s of what lies in main: %v", class, err)
		}
		if _, err := w.gets("investigator", class, apart, apart.reference(0)); problem.KindOf(err) != problem.Denied {
			t.Errorf("somebody else gets the %s: %v", class, err)
		}
	}
	request := w.content("stranger", apart)
	for name, tc := range map[string]struct {
		kind, mark, to string
		ok             bool
	}{
		"a mark": {record.KindNote, record.MarkPrivileged, "privileged", true}, "a note without a mark": {record.KindNote, "", "privileged", false},
		"a transcript": {record.KindTranscript, "", "privileged", false}, "a mark in main": {record.KindNote, record.MarkCore, "main", false}, "a copy into main": {record.KindResealed, "", "main", false},
	} {
		made, a := w.making("stranger", apart, request, tc.kind, tc.to, seal.Statement{})
		a.Made.Mark = tc.mark
		for _, party := range parties {
			if err := w.filed(party, "stranger", a, made); (err == nil) != tc.ok || err != nil && problem.KindOf(err) != problem.Denied {
				t.Errorf("who screens seals %s: %v", name, err)
			}
		}
	}
	w.pass(48 * time.Hour)
	if _, err := w.gets("stranger", "content", apart, apart.reference(0)); problem.KindOf(err) != problem.NotFound {
		t.Error("after its end who screened knows of nothing:", err)
	}
}

// A deletion that left the transcript of a call alive would delete nothing.
func TestADeletionTakesWhatWasMadeOfIt(t *testing.T) {
	w, b, request := acted(t)
	chain := record.Digest(b.unit.Order)
	transcript, a := w.making("investigator", b, request, record.KindTranscript, "main", seal.Statement{})
	late, lateAct := w.making("investigator", b, request, record.KindNote, "main", transcript.signed.Statement)
	for _, party := range parties {
		must(t, w.filed(party, "investigator", a, transcript))
		must(t, w.keyholder[party].FileAct(t.Context(), w.sign("investigator", record.TypeAct, lateAct))) // its note is still on the way
	}
	w.sequence()
	before := w.snapshots()
	for _, party := range parties {
		w.wants("before", w.plunder(party, before[party]), true, b.halves(0), b.halves(1), transcript.halves(0))
	}
	w.verdict(chain, record.VerdictDelete, nil, b.reference(0))
	for _, party := range parties {
		_, _, err := w.keyholder[party].FileNotes(t.Context(), w.person(party, "investigator"), late.note(t, party))
		if problem.KindOf(err) != problem.Gone {
			t.Errorf("%s: a note on it that comes now: %v", party, err)
		}
	}
	w.closeUnit(b)
	// A hold on the transcript alone keeps both.
	hold := w.sign("judge", record.TypeOrder, w.member(chain, record.Hold, func(o *record.Order) { o.Recordings = []record.Reference{transcript.reference(0)} }))
	for _, party := range parties {
		_, err := w.keyholder[party].Admit(t.Context(), hold)
		must(t, err)
	}
	w.pass(undo)
	w.sequence()
	w.destroy()
	for _, party := range parties {
		w.wants("held", w.plunder(party, before[party]), true, b.halves(0), transcript.halves(0))
	}
	lift := w.sign("judge", record.TypeOrder, w.member(chain, record.Lifting, func(o *record.Order) { o.Lifts = record.HashStatement(hold) }))
	for _, party := range parties {
		_, err := w.keyholder[party].Admit(t.Context(), lift)
		must(t, err)
	}
	w.sequence()
	for range 3 { // the keyholders wait for each other
		w.destroy()
	}
	for _, party := range parties {
		spoils := w.plunder(party, before[party])
		w.wants("destroyed", spoils, false, b.halves(0), transcript.halves(0))
		w.wants("survivor", spoils, true, b.halves(1), b.halves(2))
	}
}
