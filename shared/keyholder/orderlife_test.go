package keyholder_test

import (
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// after makes a member that names the chain.
func (w *world) after(chain record.Digest, kind record.OrderKind, change ...func(*record.Order)) record.Order {
	o := record.Order{Audience: w.hash, Kind: kind, Profile: "ES-588ter", Court: "Court One", Chain: chain, Decided: w.now(), Reason: "reasons on file", Nonce: newID()}
	for _, f := range change {
		f(&o)
	}
	return o
}

// admitAt admits a member at one keyholder.
func (w *world) admitAt(party seal.Role, who string, o record.Order) error {
	w.t.Helper()
	_, err := w.keyholder[party].Admit(w.t.Context(), w.sign(who, record.TypeOrder, o))
	return err
}

func (w *world) admitBoth(who string, o record.Order) {
	w.t.Helper()
	raw := w.sign(who, record.TypeOrder, o)
	for _, party := range parties {
		_, err := w.keyholder[party].Admit(w.t.Context(), raw)
		must(w.t, err)
	}
}

func milestone(name string) func(*record.Order) {
	return func(o *record.Order) { o.Milestone = record.Fact{Name: name, At: o.Decided} }
}

// Under an urgent order halves are released until it lapses, at the second that the statute sets; told and confirmed it goes on.
func TestHalvesUnderAnUrgentOrderEndWithIt(t *testing.T) {
	w := newWorld(t).cast()
	chain := w.urgent()
	b := w.batch(chain, seal.Statement{}, "hello")
	untilLapse := func(r *record.Request) { r.Expires = w.now().Add(20 * time.Hour) }
	raw, _ := w.ask(b, untilLapse)
	hash := w.send(raw, "supervisor")
	for _, party := range parties {
		if _, err := w.release(party, "investigator", hash); err != nil {
			t.Fatal(party, err)
		}
	}
	// A request may not outlast the hour at which the order may lapse.
	long, _ := w.ask(b, func(r *record.Request) { r.Expires = w.now().Add(25 * time.Hour) })
	if _, err := w.keyholder[seal.Court].Ask(t.Context(), long); problem.KindOf(err) != problem.Denied {
		t.Errorf("a request for 25 hours: %v", err)
	}

	w.admitBoth("clerk", w.after(chain, record.Milestone, milestone(law.Told)))
	w.admitBoth("judge", w.after(chain, record.Confirmation))
	w.pass(4 * day)
	raw, _ = w.ask(b)
	hash = w.send(raw, "supervisor")
	for _, party := range parties {
		if _, err := w.release(party, "investigator", hash); err != nil {
			t.Fatal("confirmed:", party, err)
		}
	}

	other := w.urgent()
	b = w.batch(other, seal.Statement{}, "hello")
	raw, _ = w.ask(b, untilLapse)
	hash = w.send(raw, "supervisor")
	w.admitBoth("judge", w.after(other, record.Rejection))
	w.refused(hash, problem.Denied, "did not confirm")
}

// Each transition is a member: while only one keyholder has it, neither releases.
func TestAKeyholderThatMissedATransitionRefuses(t *testing.T) {
	w := newWorld(t).cast()
	for _, c := range []struct {
		kind   record.OrderKind
		by     string
		change func(*record.Order)
	}{
		{record.Milestone, "clerk", milestone(law.Report)},
		{record.Hold, "judge", func(*record.Order) {}},
		{record.Closing, "judge", func(*record.Order) {}},
		{record.Notice, "judge", func(o *record.Order) { o.Verdict = record.VerdictDone }},
		{record.Destruction, "judge", func(o *record.Order) {
			o.Recordings = []record.Reference{{Batch: record.ID{1}, Recording: record.ID{2}}}
		}},
	} {
		chain := w.admit(w.order())
		b := w.batch(chain, seal.Statement{}, "hello")
		raw, _ := w.ask(b)
		hash := w.send(raw, "supervisor")
		o := w.after(chain, c.kind, c.change)
		signed := w.sign(c.by, record.TypeOrder, o)
		_, err := w.keyholder[seal.Court].Admit(t.Context(), signed)
		must(t, err)
		w.refused(hash, problem.Denied, "do not hold the same orders")
		_, err = w.keyholder[seal.Custodian].Admit(t.Context(), signed)
		must(t, err)
		for _, party := range parties {
			if _, err := w.release(party, "investigator", hash); err != nil {
				t.Errorf("%s at both: %s: %v", c.kind, party, err)
			}
		}
	}
}

// The office, not the word in the statement, decides who may say what.
func TestOnlyWhomTheStatuteNamesSignsAMember(t *testing.T) {
	w := newWorld(t).cast()
	w.enrol("minister", record.Enrolment{Roles: []record.Role{record.Minister}, Clearance: "secret"})
	chain := w.admit(w.order())
	urgent := w.order()
	urgent.Urgent = true
	for who, may := range map[string][]record.OrderKind{
		"judge": {record.Authorisation, record.Milestone, record.Hold, record.Closing, record.Revocation}, "clerk": {record.Milestone}, "minister": {"urgent"},
		"investigator": nil, "supervisor": nil, "auditor": nil, "collector": nil, "stranger": nil,
	} {
		for _, kind := range []record.OrderKind{record.Authorisation, "urgent", record.Milestone, record.Hold, record.Closing, record.Revocation} {
			o := w.after(chain, kind)
			switch kind {
			case record.Authorisation:
				o = w.order()
			case "urgent":
				o = urgent
			case record.Milestone:
				milestone(law.Report)(&o)
			case record.Hold, record.Closing, record.Revocation:
				if who == "judge" {
					o.Chain = w.admit(w.order())
				}
			}
			err := w.admitAt(seal.Court, who, o)
			allowed := false
			for _, k := range may {
				allowed = allowed || k == kind
			}
			if allowed != (err == nil) || err != nil && problem.KindOf(err) != problem.Denied {
				t.Errorf("%s by the %s: %v", kind, who, err)
			}
		}
	}
}

// However many facts are recorded: a suspension and a revocation find room.
func TestMilestonesLeaveRoomForWhatStops(t *testing.T) {
	w := newWorld(t).cast()
	chain := w.admit(w.order())
	long := strings.Repeat("x", 8<<10)
	full := false
	for range 60 {
		o := w.after(chain, record.Milestone, milestone(law.Report))
		o.Reason = long
		if err := w.admitAt(seal.Court, "clerk", o); err != nil {
			full = problem.KindOf(err) == problem.Invalid && strings.Contains(problem.MessageOf(err), "no room for more milestones")
			break
		}
	}
	if !full {
		t.Fatal("milestones fill a chain without end, or end with another refusal")
	}
	must(t, w.admitAt(seal.Court, "judge", w.after(chain, record.Hold)))
	must(t, w.admitAt(seal.Court, "judge", w.after(chain, record.Suspension)))
	must(t, w.admitAt(seal.Court, "judge", w.after(chain, record.Revocation)))
}
