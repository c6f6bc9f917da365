package law

import (
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

var far = at("2040-01-01T00:00:00Z")

// begun makes a chain under a profile of one authorisation that runs for the whole first term.
func begun(t testing.TB, name string, change func(*record.Order)) ([]Member, State) {
	t.Helper()
	o := lawfulFor(name)
	p := profile(t, name)
	o.Capture.Until, o.AccessEnd = p.End(o.Decided, p.FirstTerm), at("2039-01-01T00:00:00Z")
	if change != nil {
		change(&o)
	}
	chain := []Member{member(o)}
	return chain, build(t, chain...)
}

func urgent(t testing.TB, name string) ([]Member, State) {
	return begun(t, name, func(o *record.Order) { o.Urgent = true })
}

// reached makes a milestone that was reached so long after the decision, and recorded then.
func reached(s State, name string, after time.Duration) Member {
	return later(s, record.Milestone, func(o *record.Order) {
		o.Milestone = record.Fact{Name: name, At: s.Decided.Add(after)}
		o.Decided, o.Reason = o.Milestone.At, ""
	})
}

func decidedAfter(s State, kind record.OrderKind, after time.Duration) Member {
	return later(s, kind, func(o *record.Order) { o.Decided = s.Decided.Add(after) })
}

// refuses admits the last member to the others and wants a refusal.
func refuses(t *testing.T, what string, chain []Member, m Member, kind problem.Kind, part string) {
	t.Helper()
	_, err := Admit(chain, m, far)
	wantRefusal(t, what, err, kind, part)
}

// LECrim 588 ter d.3: told within 24 hours, confirmed within 72, both from the minister's order; else it lapses by itself.
func TestAnUrgentMeasureLapsesByItself(t *testing.T) {
	chain, s := urgent(t, "ES-588ter")
	day := 24 * time.Hour
	for what, c := range map[string]struct {
		more     []Member
		inForce  time.Duration // the last second in which it is
		confirms bool
	}{
		"untold":                             {nil, day - time.Second, false},
		"told at once":                       {[]Member{reached(s, Told, time.Minute)}, 3*day - time.Second, false},
		"told in the last second":            {[]Member{reached(s, Told, day-time.Second)}, 3*day - time.Second, false},
		"confirmed within a day":             {[]Member{decidedAfter(s, record.Confirmation, day-time.Second)}, 0, true},
		"told and confirmed on the last day": {[]Member{reached(s, Told, time.Hour), decidedAfter(s, record.Confirmation, 3*day-time.Second)}, 0, true},
	} {
		got := build(t, append(chain[:1:1], c.more...)...)
		if got.Confirmed != c.confirms {
			t.Errorf("%s: confirmed %v", what, got.Confirmed)
		}
		if c.confirms {
			if got.Word(s.Decided.AddDate(0, 2, 0)) != InForce || got.Capture.Until != chain[0].Order.Capture.Until {
				t.Errorf("%s: %+v", what, got)
			}
			continue
		}
		last := s.Decided.Add(c.inForce)
		if !got.InForce(last) || !got.Capturing(last) || got.Word(last.Add(time.Second)) != Lapsed || got.Capturing(last.Add(time.Second)) {
			t.Errorf("%s: %s at %s", what, got.Word(last), instant(last))
		}
		wantRefusal(t, what, got.Open(last.Add(time.Second)), problem.Gone, "lapsed by itself on")
		wantRefusal(t, what, got.Covers(line, "call", last, last.Add(time.Second)), problem.Denied, "ended after the order's window")
	}
}

func TestWhatComesTooLateToAnUrgentMeasureIsRefusedWithItsArticle(t *testing.T) {
	chain, s := urgent(t, "ES-588ter")
	day := 24 * time.Hour
	told := reached(s, Told, time.Hour)
	refuses(t, "told a day later", chain, reached(s, Told, day), problem.Denied, "after 24 hours, when the urgent measure had lapsed by itself at 2026-03-11T10:00:00Z (LECrim 588 ter d.3)")
	refuses(t, "confirmed untold", chain, decidedAfter(s, record.Confirmation, day), problem.Conflict, "nothing here says that the judge was told within 24 hours")
	refuses(t, "confirmed after three days", append(chain[:1:1], told), decidedAfter(s, record.Confirmation, 3*day), problem.Denied, "lapsed by itself at 2026-03-13T10:00:00Z, unconfirmed for 72 hours")
	refuses(t, "extended unconfirmed", append(chain[:1:1], told), extension(s, s.Capture.Until.AddDate(0, 1, 0)), problem.Conflict, "not been confirmed by a judge")
	rejected := append(chain[:1:1], told, decidedAfter(s, record.Rejection, day))
	refuses(t, "confirmed after the rejection", rejected, decidedAfter(s, record.Confirmation, 2*day), problem.Denied, "does not revive it; a new authorisation is needed (LECrim 588 ter d.3)")
	got := build(t, rejected...)
	if got.Word(s.Decided.Add(time.Hour)) != Rejected || got.Capturing(s.Decided.Add(time.Hour)) {
		t.Error("a rejected measure has effect")
	}
	wantRefusal(t, "open", got.Open(now), problem.Denied, "did not confirm")
	wantRefusal(t, "seal", got.Covers(line, "call", decided, decided), problem.Denied, "did not confirm")
	// A rejection also counts after a confirmation: the stricter of two members that contradict each other.
	both := build(t, append(chain[:1:1], decidedAfter(s, record.Confirmation, time.Hour), decidedAfter(s, record.Rejection, 2*time.Hour))...)
	if both.Word(now) != Rejected {
		t.Error("a confirmation outweighs a rejection")
	}

	plain, p := begun(t, "ES-588ter", nil)
	refuses(t, "a confirmation of a judge's measure", plain, decidedAfter(p, record.Confirmation, time.Hour), problem.Invalid, "nothing to confirm")
	refuses(t, "a judge told of a judge's measure", plain, reached(p, Told, time.Hour), problem.Invalid, "need not be told")
	for _, name := range []string{"FR-100-2", "ES-588quater", "ES-588septies", "ES-579"} {
		o := lawfulFor(name)
		o.Urgent = true
		o.Capture.Until = o.Capture.From.AddDate(0, 0, 3)
		_, err := Admit(nil, member(o), now)
		wantRefusal(t, name, err, problem.Denied, "has no urgent procedure")
	}
}

func TestUrgentMeasuresOfTheOtherCountries(t *testing.T) {
	hours := func(n int) time.Duration { return time.Duration(n) * time.Hour }
	for name, c := range map[string]struct{ tellBy, confirmBy string }{ // decided on Tuesday 10 March 2026, 10:00 UTC
		"IT-267":          {"2026-03-11T10:00:00Z", "2026-03-12T10:00:00Z"},
		"IT-13-152":       {"2026-03-11T10:00:00Z", "2026-03-12T10:00:00Z"},
		"US-T3":           {"2026-03-12T10:00:00Z", "2026-03-12T10:00:00Z"},
		"DE-100a":         {"", "2026-03-13T23:00:00Z"},
		"GB-IPA2":         {"", "2026-03-14T00:00:00Z"},
		"ES-588quinquies": {"2026-03-11T10:00:00Z", "2026-03-11T10:00:00Z"},
	} {
		chain, s := begun(t, name, func(o *record.Order) { o.Urgent = true; o.Capture.Until = o.Capture.From.AddDate(0, 0, 5) })
		want := time.Time{}
		if c.tellBy != "" {
			want = at(c.tellBy)
		}
		if s.TellBy != want || s.ConfirmBy != at(c.confirmBy) {
			t.Errorf("%s: tell by %s, confirm by %s", name, instant(s.TellBy), instant(s.ConfirmBy))
		}
		if got := build(t, chain[0], decidedAfter(s, record.Confirmation, hours(2))); !got.Confirmed || got.Capture.Until != chain[0].Order.Capture.Until {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// The British urgent warrant ends with the fifth working day even when it was approved, and is renewed from then.
	o := lawfulFor("GB-IPA2")
	o.Urgent, o.Capture.Until = true, at("2026-03-18T00:00:01Z")
	_, err := Admit(nil, member(o), now)
	wantRefusal(t, "a sixth working day", err, problem.Denied, "at most 5 working days from the judicial decision, so it ends by 2026-03-18T00:00:00Z")
}

func TestWhoMaySign(t *testing.T) {
	court := lawful().Court
	people := map[string]record.Enrolment{
		"judge": {Roles: []record.Role{record.Judge}, Court: court}, "other judge": {Roles: []record.Role{record.Judge}, Court: "Court 2"},
		"clerk": {Roles: []record.Role{record.Clerk}, Court: court}, "other clerk": {Roles: []record.Role{record.Clerk}, Court: "Court 2"},
		"minister": {Roles: []record.Role{record.Minister}}, "prosecutor": {Roles: []record.Role{record.Prosecutor}, Court: court},
		"other prosecutor": {Roles: []record.Role{record.Prosecutor}, Court: "Court 2"}, "supervisor": {Roles: []record.Role{record.Supervisor}, PoliceUnit: "Unit 7"},
		"other supervisor": {Roles: []record.Role{record.Supervisor}, PoliceUnit: "Unit 8"}, "investigator": {Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit 7"},
		"custodian": {Roles: []record.Role{record.Custodian}}, "clerk of nothing": {Roles: []record.Role{record.Clerk}}, "registrar": {Roles: []record.Role{record.Registrar}},
	}
	for _, c := range []struct {
		profile string
		kind    record.OrderKind
		urgent  bool
		may     []string
	}{
		{"ES-588ter", record.Authorisation, false, []string{"judge"}},
		{"ES-588ter", record.Authorisation, true, []string{"minister"}},
		{"ES-588quinquies", record.Authorisation, true, []string{"supervisor"}},
		{"DE-100a", record.Authorisation, true, []string{"prosecutor"}},
		{"IT-267", record.Authorisation, true, []string{"prosecutor"}},
		{"US-T3", record.Authorisation, true, []string{"prosecutor"}},
		{"GB-IPA2", record.Authorisation, true, []string{"minister"}},
		{"FR-100-2", record.Authorisation, true, nil},
		{"ES-588ter", record.Extension, false, []string{"judge"}},
		{"ES-588ter", record.Milestone, false, []string{"judge", "clerk"}},
		{"ES-588ter", record.Confirmation, false, []string{"judge"}},
		{"ES-588ter", record.Destruction, false, []string{"judge"}},
		{"ES-588ter", record.Hold, false, []string{"judge"}},
		{"ES-588ter", record.Lifting, false, []string{"judge"}},
		{"ES-588ter", record.Notice, false, []string{"judge"}},
		{"ES-588ter", record.Compartment, false, []string{"judge"}},
	} {
		may := map[string]bool{}
		for _, name := range c.may {
			may[name] = true
		}
		for name, e := range people {
			o := record.Order{Kind: c.kind, Profile: c.profile, Court: court, PoliceUnit: "Unit 7", Urgent: c.urgent}
			if err := MaySign(&o, &e); (err == nil) != may[name] || err != nil && problem.KindOf(err) != problem.Denied {
				t.Errorf("%s, %s, urgent %v, by the %s: %v", c.profile, c.kind, c.urgent, name, err)
			}
		}
	}
}

func TestAClosingEndsCaptureAndNothingElse(t *testing.T) {
	chain, s := begun(t, "ES-588ter", nil)
	closing := decidedAfter(s, record.Closing, 30*24*time.Hour)
	got := build(t, chain[0], closing)
	end := closing.Order.Decided
	if got.Capture.Until != end || !got.Capturing(end.Add(-time.Second)) || got.Capturing(end) || !got.InForce(end.AddDate(1, 0, 0)) {
		t.Errorf("%+v", got)
	}
	late := later(s, record.Extension, func(o *record.Order) {
		o.Decided, o.Capture = end, record.Window{From: s.Capture.Until, Until: s.Capture.Until.AddDate(0, 1, 0)}
	})
	refuses(t, "an extension", []Member{chain[0], closing}, late, problem.Denied, "ended before its time and ceased to all effects (LECrim 588 bis e.3 and 588 bis j)")
	// An extension that was decided before, and comes later, is taken, as by a keyholder that had it in time, and changes nothing.
	before := extension(s, s.Capture.Until.AddDate(0, 1, 0))
	for _, order := range [][]Member{{chain[0], closing, before}, {chain[0], before, closing}} {
		if got := build(t, order...); got.Capture.Until != end {
			t.Errorf("%+v", got.Capture)
		}
	}
	if late := build(t, chain[0], decidedAfter(s, record.Closing, 1000*24*time.Hour)); late.Capture.Until != s.Capture.Until {
		t.Error("a closing lengthens the measure")
	}
	if early := build(t, chain[0], decidedAfter(s, record.Closing, 0)); early.Capturing(s.Capture.From) || early.Capture.Until.Before(early.Capture.From) {
		t.Errorf("closed as it began: %+v", early.Capture)
	}
}

// 18 U.S.C. 2518(5): thirty days from the first interception, or from ten days after the order, whichever is earlier.
func TestTheAmericanTermRunsFromTheFirstInterception(t *testing.T) {
	latest := at("2026-04-19T04:00:00Z") // 10 March + 10 days + 30 days
	chain, s := begun(t, "US-T3", func(o *record.Order) { o.Capture.Until = latest })
	if s.Capture.Until != latest || !s.Cap.IsZero() {
		t.Errorf("%+v", s)
	}
	o := lawfulFor("US-T3")
	o.Capture.Until = latest.Add(time.Second)
	_, err := Admit(nil, member(o), now)
	wantRefusal(t, "a second more", err, problem.Denied, "at most 30 days from 10 days after the decision, so it ends by 2026-04-19T04:00:00Z (18 U.S.C. 2518(5))")

	first := reached(s, FirstInterception, 48*time.Hour)
	got := build(t, chain[0], first)
	if want := at("2026-04-11T04:00:00Z"); got.Capture.Until != want {
		t.Errorf("from the first interception the term ends at %s, want %s", instant(got.Capture.Until), instant(want))
	}
	if twice := build(t, chain[0], reached(s, FirstInterception, 72*time.Hour), first); twice.Capture != got.Capture {
		t.Errorf("of two the earlier counts: %+v", twice.Capture)
	}
	refuses(t, "an extension before anything is known", chain, extension(s, latest.AddDate(0, 0, 20)), problem.Conflict, "record the milestone first-interception first")
	more := later(got, record.Extension, func(o *record.Order) {
		o.Decided, o.Capture = at("2026-04-10T00:00:00Z"), record.Window{From: got.Capture.Until, Until: at("2026-05-11T04:00:00Z")}
	})
	extended := build(t, chain[0], first, more)
	if extended.Capture.Until != at("2026-05-11T04:00:00Z") {
		t.Errorf("%+v", extended.Capture)
	}
	refuses(t, "an extension a second too long", []Member{chain[0], first}, later(got, record.Extension, func(o *record.Order) {
		o.Decided, o.Capture = at("2026-04-10T00:00:00Z"), record.Window{From: got.Capture.Until, Until: at("2026-05-11T04:00:01Z")}
	}), problem.Denied, "at most 30 days from the earlier expiry")
	// Long after: ten days have passed without an interception, so the term is known without one.
	silent := later(s, record.Extension, func(o *record.Order) {
		o.Decided, o.Capture = at("2026-04-01T00:00:00Z"), record.Window{From: latest, Until: latest.AddDate(0, 0, 20)}
	})
	build(t, chain[0], silent)
	refuses(t, "a start that moves under an extension", []Member{chain[0], silent}, first, problem.Conflict, "does not move any more")
}

// c.p.p. 267(3) as amended in 2025: past 45 days only for reasons that the decree gives.
func TestTheItalianCapGivesWayToExpressReasons(t *testing.T) {
	chain, s := begun(t, "IT-267", nil)
	p := profile(t, "IT-267")
	reasoned := func(s State, reasons string) Member {
		return later(s, record.Extension, func(o *record.Order) {
			o.Capture = record.Window{From: s.Capture.Until, Until: p.End(s.Capture.Until, p.ExtensionTerm)}
			o.Grounds.Motivation = reasons
		})
	}
	for range 2 {
		chain = append(chain, reasoned(s, ""))
		s = build(t, chain...)
	}
	if s.Capture.Until != s.Cap {
		t.Fatalf("three terms end at %s, the cap is %s", instant(s.Capture.Until), instant(s.Cap))
	}
	refuses(t, "a fourth term without reasons", chain, reasoned(s, ""), problem.Denied, "at most 45 days, so it ends by")
	chain = append(chain, reasoned(s, "a shipment is expected on a date that is known"))
	s = build(t, chain...)
	if !s.Cap.IsZero() {
		t.Errorf("the cap is still %s", instant(s.Cap))
	}
	refuses(t, "a fifth without reasons", chain, reasoned(s, ""), problem.Denied, "expressly reasoned elements")
	build(t, append(chain, reasoned(s, "again"))...)
}

func TestWhatIsExtendedOnceOrNever(t *testing.T) {
	chain, s := begun(t, "FR-706-95", nil)
	chain = append(chain, extension(s, s.Capture.Until.AddDate(0, 0, 5)))
	s = build(t, chain...)
	refuses(t, "a second renewal", chain, extension(s, s.Capture.Until.AddDate(0, 0, 5)), problem.Denied, "extended 1 times at most; a new authorisation is needed (CPP art. 706-95)")
	chain, s = begun(t, "ES-588quater", nil)
	refuses(t, "an extension of an ambient recording", chain, extension(s, s.Capture.Until.AddDate(0, 0, 1)), problem.Denied, "not extended; a new authorisation is needed (LECrim 588 quater e)")
	// Without a cap the measure goes on as long as it is extended in time.
	for _, name := range []string{"DE-100a", "GB-IPA2", "IT-13-152"} {
		p := profile(t, name)
		chain, s := begun(t, name, nil)
		for range 12 {
			chain = append(chain, extension(s, p.End(s.Capture.Until, p.ExtensionTerm)))
			s = build(t, chain...)
		}
		if !s.Cap.IsZero() || s.renewals != 12 {
			t.Errorf("%s: %+v", name, s)
		}
		refuses(t, name+", decided a second late", chain, later(s, record.Extension, func(o *record.Order) {
			o.Decided, o.Capture = s.Capture.Until.Add(time.Second), record.Window{From: s.Capture.Until, Until: s.Capture.Until.AddDate(0, 0, 1)}
		}), problem.Denied, "ceased to all effects")
	}
}

// An extension decided in the last second counts, from the earlier expiry.
func TestAnExtensionOnTheLastDay(t *testing.T) {
	chain, s := begun(t, "ES-588ter", nil)
	for offset, ok := range map[time.Duration]bool{-time.Second: true, 0: true, time.Second: false} {
		m := later(s, record.Extension, func(o *record.Order) {
			o.Decided, o.Capture = s.Capture.Until.Add(offset), record.Window{From: s.Capture.Until, Until: at("2026-09-08T22:00:00Z")}
		})
		if _, err := Admit(chain, m, far); (err == nil) != ok {
			t.Errorf("decided %v from the expiry: %v", offset, err)
		}
	}
}

func TestThePrivilegedListOnlyGrows(t *testing.T) {
	counsel := record.Privilege{Category: "counsel", Identifier: record.Identifier{Kind: "msisdn", Value: "+12025550177"}}
	priest := record.Privilege{Category: "clergy", Identifier: record.Identifier{Kind: "msisdn", Value: "+12025550178"}}
	chain, s := begun(t, "ES-588ter", func(o *record.Order) { o.Privileged = []record.Privilege{counsel} })
	narrow := later(s, record.Narrowing, func(o *record.Order) { o.Privileged = []record.Privilege{priest} })
	got := build(t, chain[0], narrow)
	if len(got.Privileged) != 2 || got.Privileged[0] != counsel || got.Privileged[1] != priest {
		t.Errorf("%v", got.Privileged)
	}
	more := later(got, record.Extension, func(o *record.Order) {
		o.Capture = record.Window{From: got.Capture.Until, Until: got.Capture.Until.AddDate(0, 1, 0)}
		o.Privileged = []record.Privilege{counsel}
	})
	if got := build(t, chain[0], narrow, more); len(got.Privileged) != 2 {
		t.Errorf("%v", got.Privileged)
	}
	o := lawful()
	o.Privileged = []record.Privilege{{Category: "friends", Identifier: line}}
	_, err := Admit(nil, member(o), now)
	wantRefusal(t, "an unknown privilege", err, problem.Invalid, "it has counsel, clergy, parliament, press (LECrim 118.4)")
}

func TestMilestonesAreThoseOfTheStatute(t *testing.T) {
	chain, s := begun(t, "ES-588ter", nil)
	refuses(t, "a milestone of another country", chain, reached(s, FirstInterception, time.Hour), problem.Invalid, "ES-588ter knows no milestone of this name; it knows told, report")
	refuses(t, "one before the decision", chain, later(s, record.Milestone, func(o *record.Order) {
		o.Milestone = record.Fact{Name: Report, At: s.Decided.Add(-time.Second)}
	}), problem.Invalid, "correct the time")
	refuses(t, "one that lies ahead", chain, later(s, record.Milestone, func(o *record.Order) {
		o.Milestone = record.Fact{Name: Report, At: o.Decided.Add(time.Second)}
	}), problem.Invalid, "correct the time")
	build(t, chain[0], reached(s, Report, time.Hour), reached(s, Report, 2*time.Hour))
}

func TestNoticesAsTheStatuteHasThem(t *testing.T) {
	notice := func(s State, verdict string, until time.Time) Member {
		return later(s, record.Notice, func(o *record.Order) { o.Verdict, o.Until = verdict, until })
	}
	es, s := begun(t, "ES-588ter", nil)
	build(t, es[0], notice(s, record.VerdictDefer, at("2027-01-01T00:00:00Z")), notice(s, record.VerdictWaive, time.Time{}))
	refuses(t, "a deferral that has ended", es, notice(s, record.VerdictDefer, s.Decided), problem.Invalid, "ends before it was decided (LECrim 588 ter i.3)")
	us, s := begun(t, "US-T3", nil)
	refuses(t, "a waiver in the United States", us, notice(s, record.VerdictWaive, time.Time{}), problem.Denied, "does not let the notification be waived for good; defer it (18 U.S.C. 2518(8)(d))")
	gb, s := begun(t, "GB-IPA2", nil)
	refuses(t, "a deferral of no duty", gb, notice(s, record.VerdictDefer, far), problem.Invalid, "no duty to notify")
}
