package keyholder_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

const day = 24 * time.Hour

// urgent is a measure that the minister orders, for the example of LECrim 588 ter d.3.
func (w *world) urgent() record.Digest {
	w.t.Helper()
	if w.people["minister"] == nil {
		w.enrol("minister", record.Enrolment{Roles: []record.Role{record.Minister}, Clearance: "secret"})
	}
	o := w.order()
	o.Urgent = true
	raw := w.sign("minister", record.TypeOrder, o)
	for _, party := range parties {
		_, err := w.keyholder[party].Admit(w.t.Context(), raw)
		must(w.t, err)
	}
	return record.HashStatement(raw)
}

// lapse runs the function at both keyholders after a fresh checkpoint.
func (w *world) lapse() {
	w.t.Helper()
	w.sequence()
	for _, party := range parties {
		must(w.t, w.keyholder[party].Lapse(w.t.Context()))
	}
}

// told are the events of the clocks in a chain's journal, as "lapsed told 2031-01-14T09:00:00Z".
func (w *world) told(party seal.Role, chain record.Digest) (list []string) {
	w.t.Helper()
	lines, err := w.keyholder[party].Journal(w.t.Context(), chain, 1, 10_000)
	must(w.t, err)
	for _, line := range lines {
		switch line.Event.Kind {
		case record.EventLapsed:
			var b record.LapsedEvent
			must(w.t, json.Unmarshal(line.Event.Body, &b))
			if b.Article == "" || len(b.Roles) == 0 {
				w.t.Errorf("%s lapsed without an article or without telling anybody", b.Clock)
			}
			list = append(list, fmt.Sprintf("lapsed %s %s", b.Clock, b.At.Format(time.RFC3339)))
		case record.EventWarned:
			var b record.WarnedEvent
			must(w.t, json.Unmarshal(line.Event.Body, &b))
			list = append(list, fmt.Sprintf("%s %s %s", b.Level, b.Clock, b.Due.Format(time.RFC3339)))
		}
	}
	return list
}

// twice is what a journal holds twice.
func twice(list []string) string {
	seen := map[string]bool{}
	for _, s := range list {
		if seen[s] {
			return s
		}
		seen[s] = true
	}
	return ""
}

func TestWhatEndsByItselfIsJournalledOnceWithItsLawfulInstant(t *testing.T) {
	w := newWorld(t).cast()
	at := w.now()
	chain := w.urgent()
	w.pass(3 * day) // an outage: nothing ran
	w.lapse()
	w.pass(time.Hour)
	w.lapse()
	end := at.Add(24 * time.Hour).Format(time.RFC3339)
	want := []string{"lapsed told " + end, "lapsed term-end " + end, "lapsed access-end " + end}
	for _, party := range parties {
		got := slices.DeleteFunc(w.told(party, chain), func(s string) bool { return !strings.HasPrefix(s, "lapsed") })
		if !slices.Equal(got, want) {
			t.Errorf("%s journals %v, want %v", party, got, want)
		}
	}
	for name, twin := range map[string]func(*keyholder.Keyholder, context.Context) error{
		"one that forgets":                 (*keyholder.Keyholder).LapseForgetting,
		"one that writes down when it ran": (*keyholder.Keyholder).LapseLate,
	} {
		w := newWorld(t).cast()
		chain := w.urgent()
		w.pass(3 * day)
		w.sequence()
		k := w.keyholder[seal.Court]
		must(t, twin(k, t.Context()))
		must(t, twin(k, t.Context()))
		if got := w.told(seal.Court, chain); twice(got) == "" && slices.Contains(got, want[0]) {
			t.Errorf("%s passes: %v", name, got)
		}
	}
}

func TestAfterAnOutageTransitionsComeInTheirOrder(t *testing.T) {
	w := newWorld(t).cast()
	o := w.order()
	chain := w.admit(o)
	w.pass(70 * day)
	w.lapse()
	got := w.told(seal.Court, chain)
	var instants []string
	for _, s := range got {
		instants = append(instants, s[strings.LastIndex(s, " ")+1:])
	}
	if !slices.IsSorted(instants) || len(got) < 4 || twice(got) != "" {
		t.Errorf("out of order, twice, or missing: %v", got)
	}
	for _, want := range []string{"lapsed term-end " + o.Capture.Until.Format(time.RFC3339), "lapsed access-end " + o.AccessEnd.Format(time.RFC3339)} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is missing in %v", want, got)
		}
	}
	if !slices.Equal(got, w.told(seal.Custodian, chain)) {
		t.Error("court and custodian tell different things")
	}
}

// What may be opened is decided anew each time: the function has never run, and everything ends on time all the same.
func TestAccessEndsThoughNothingEverRan(t *testing.T) {
	w := newWorld(t).cast()
	chain := w.admit(w.order())
	urgent := w.urgent()
	status := func(chain record.Digest) string {
		raw, _, err := w.keyholder[seal.Court].Status(t.Context(), newID(), chain)
		must(t, err)
		st, err := record.Peek(raw)
		must(t, err)
		var s record.Status
		must(t, record.Unmarshal(st.Payload, &s))
		return s.Chains[0].State
	}
	if status(chain) != "in-force" || status(urgent) != "in-force" {
		t.Fatal("the orders are not in force")
	}
	w.pass(24 * time.Hour)
	if got := status(urgent); got != "lapsed" {
		t.Errorf("untold for 24 hours the urgent measure is %s", got)
	}
	w.pass(59 * day)
	if got := status(chain); got != "lapsed" {
		t.Errorf("after the end of access the order is %s", got)
	}
	if list := w.told(seal.Court, chain); len(list) > 0 {
		t.Errorf("something did run: %v", list)
	}
}

func TestAClockThatJumpsRefusesAndChangesNothing(t *testing.T) {
	w := newWorld(t).cast()
	w.admit(w.order())
	w.lapse()
	raw, _, err := w.log.Checkpoint(t.Context())
	must(t, err)
	w.pass(32 * day)
	w.lapse()
	w.pass(time.Hour)
	w.sequence()
	k := w.keyholder[seal.Court]
	jumps := map[string]struct{ set, reset func() }{
		"behind by six minutes":   {func() { w.behind["court"] = 6 * time.Minute }, func() { w.behind["court"] = 0 }},
		"ahead by six minutes":    {func() { w.behind["court"] = -6 * time.Minute }, func() { w.behind["court"] = 0 }},
		"back since the last run": {func() { w.pass(-time.Hour - time.Minute); w.sequence() }, func() { w.pass(time.Hour + time.Minute); w.sequence() }},
		"an old checkpoint":       {func() { w.shows = raw }, func() { w.shows = nil }},
		"no checkpoint":           {func() { w.logDown = true }, func() { w.logDown = false }},
	}
	for name, jump := range jumps {
		jump.set()
		before := w.rows[seal.Court].Values()
		err := k.Lapse(t.Context())
		if err == nil || problem.MessageOf(err) == "" || problem.KindOf(err) == problem.Internal {
			t.Errorf("%s: %v", name, err)
		}
		if !maps.EqualFunc(before, w.rows[seal.Court].Values(), slices.Equal) {
			t.Errorf("%s: something was changed", name)
		}
		jump.reset()
	}
	// The twin that trusts its own clock believes that four months have passed.
	w.behind["court"] = -120 * day
	before := w.rows[seal.Court].Values()
	must(t, k.LapseTrusting(t.Context()))
	if maps.EqualFunc(before, w.rows[seal.Court].Values(), slices.Equal) {
		t.Error("a keyholder that trusts its clock is not seen")
	}
	w.behind["court"] = 0
	w.pass(time.Hour)
	w.lapse() // and it goes on when the clock is right
}

func TestNoticesGoToThoseConcernedAndClimb(t *testing.T) {
	w := newWorld(t).cast()
	w.enrol("other judge", record.Enrolment{Roles: []record.Role{record.Judge}, Court: "Court Two", Clearance: "secret"})
	o := w.order()
	chain := w.admit(o)
	sees := func(clock string) (list []string) {
		for _, name := range slices.Sorted(maps.Keys(w.people)) {
			out, err := w.keyholder[seal.Court].NoticesOf(t.Context(), w.person(seal.Court, name), 0)
			must(t, err)
			for _, n := range out.Notices {
				if n.Chain == chain.String() && n.Clock == clock {
					list = append(list, name+" "+n.Level)
				}
			}
		}
		return list
	}
	steps := []struct {
		pass time.Duration
		want []string
	}{
		{0, nil},
		{12*day + time.Hour, []string{"supervisor due"}},
		{3 * day, []string{"judge overdue", "supervisor overdue"}},
		{4 * day, []string{"auditor escalated", "judge escalated", "supervisor escalated"}},
	}
	for _, step := range steps {
		w.pass(step.pass)
		w.lapse()
		w.lapse()
		if got := sees("report"); !slices.Equal(got, step.want) {
			t.Errorf("after %s the notice of the report is seen by %v, want %v", step.pass, got, step.want)
		}
	}
	if s := twice(w.told(seal.Court, chain)); s != "" {
		t.Errorf("told twice: %s", s)
	}
	// A delivered report ends it, and the next one's clock is another.
	w.admit(record.Order{Audience: w.hash, Kind: record.Milestone, Profile: o.Profile, Court: o.Court, Chain: chain, Decided: w.now(),
		Milestone: record.Fact{Name: "report", At: w.now()}, Nonce: newID()})
	if got := sees("report"); got != nil {
		t.Errorf("a report was delivered and it is still demanded of %v", got)
	}
	if got := sees("term-end"); !slices.Equal(got, []string{"clerk due", "judge due", "supervisor due"}) {
		t.Errorf("the end of the measure is announced to %v", got)
	}
	if n, err := w.keyholder[seal.Court].NoticesToAll(t.Context(), w.person(seal.Court, "stranger")); err != nil || n == 0 {
		t.Errorf("a keyholder that asks for no role is not seen: %d %v", n, err)
	}
}

func TestWarningsComeWhenTheSettingSays(t *testing.T) {
	w := newWorld(t).cast()
	k, err := keyholder.Open(t.Context(), keyholder.Config{
		Party: seal.Court, Rows: w.rows[seal.Court], Roots: w.roots[seal.Court], Fingerprint: w.hash, Now: w.now, Warn: map[string]time.Duration{"report": 10 * day},
		Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) { return worldLog{w}, worldPeer{w, seal.Custodian} },
	})
	must(t, err)
	chain := w.admit(w.order())
	w.pass(5 * day)
	w.sequence()
	must(t, k.Lapse(t.Context()))
	if got := w.told(seal.Court, chain); len(got) != 1 || !strings.HasPrefix(got[0], "due report") {
		t.Errorf("ten days before it is due the report is announced as %v", got)
	}
}
