package law

import (
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

var (
	one = record.Reference{Batch: record.ID{1}, Recording: record.ID{1}}
	two = record.Reference{Batch: record.ID{1}, Recording: record.ID{2}}
)

// on makes a member that is decided at an instant.
func on(s State, kind record.OrderKind, when time.Time, change func(*record.Order)) Member {
	return later(s, kind, func(o *record.Order) {
		o.Decided = when
		if change != nil {
			change(o)
		}
	})
}

func milestoneOn(s State, name string, when time.Time) Member {
	return on(s, record.Milestone, when, func(o *record.Order) { o.Milestone = record.Fact{Name: name, At: when} })
}

func destruction(s State, step int, when time.Time, recordings ...record.Reference) Member {
	return on(s, record.Destruction, when, func(o *record.Order) { o.Step, o.Recordings = step, recordings })
}

// blocked wants the destruction that the last member orders to be stopped at t, or to go on if part is empty.
func blocked(t *testing.T, what string, chain []Member, m Member, when time.Time, part string) Doomed {
	t.Helper()
	d, err := Destroyable(chain, m.Hash, m.Order.Decided, when)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return d
	}
	if part == "" && d.Blocked != nil || part != "" && (d.Blocked == nil || !strings.Contains(problem.MessageOf(d.Blocked), part)) {
		t.Errorf("%s: %v, want %q", what, d.Blocked, part)
	}
	return d
}

// LECrim 588 bis k: the originals at the final resolution, the clerk's copy at its own trigger, each on a judge's order only.
func TestTheTwoStepsOfASpanishDestruction(t *testing.T) {
	chain, s := begun(t, "ES-588ter", nil)
	resolved, executed := at("2027-05-01T09:00:00Z"), at("2027-06-01T09:00:00Z")
	refuses(t, "a destruction while the measure runs", chain, destruction(s, 1, s.Capture.Until.Add(-time.Second)), problem.Denied, "the measure runs until")
	refuses(t, "a destruction of an open case", chain, destruction(s, 1, resolved), problem.Conflict, "waits for final-resolution (LECrim 588 bis k.1)")
	chain = append(chain, milestoneOn(s, "final-resolution", resolved))
	step1 := destruction(s, 1, resolved.Add(time.Hour))
	refuses(t, "the clerk's copies at once", chain, destruction(s, 2, resolved.Add(time.Hour)), problem.Conflict, "5 years after sentence-executed, or prescribed, or free-dismissal, or acquittal (LECrim 588 bis k.2)")
	refuses(t, "a third step", chain, destruction(s, 3, resolved.Add(time.Hour)), problem.Invalid, "has no step 3")
	chain = append(chain, step1)
	build(t, chain...)
	ready := at("2027-05-04T10:00:00Z") // 72 hours to think it over
	d := blocked(t, "in the undo window", chain, step1, ready.Add(-time.Second), "can be taken back until 2027-05-04T10:00:00Z")
	if d.Ready != ready || d.Step != 1 || d.Article != "LECrim 588 bis k.1" || d.Keeps != record.ClerkCompartment || d.KeepsBy != "LECrim 588 bis k.1" {
		t.Errorf("%+v", d)
	}
	blocked(t, "after it", chain, step1, ready, "")

	chain = append(chain, milestoneOn(s, "sentence-executed", executed))
	early := destruction(s, 2, executed.AddDate(4, 0, 0))
	refuses(t, "a year early", chain, early, problem.Conflict, "5 years after sentence-executed, which is on 2032-05-31T22:00:00Z")
	step2 := destruction(s, 2, at("2032-06-01T00:00:00Z"))
	chain = append(chain, step2)
	build(t, chain...)
	if d := blocked(t, "step 2", chain, step2, at("2032-06-05T00:00:00Z"), ""); d.Keeps != "" {
		t.Errorf("step 2 keeps %+v", d)
	}
	// A milestone that was recorded late puts the term off again.
	chain = append(chain, milestoneOn(s, "sentence-executed", executed.AddDate(0, 6, 0)))
	blocked(t, "a later execution", chain, step2, at("2032-06-05T00:00:00Z"), "which is on 2032-11-30T23:00:00Z")
}

// Nothing at all is destroyed without an order, whatever has happened.
func TestNothingIsDestroyedWithoutItsOrder(t *testing.T) {
	chain, s := begun(t, "ES-588ter", nil)
	chain = append(chain, milestoneOn(s, "final-resolution", at("2027-05-01T09:00:00Z")), milestoneOn(s, "prescribed", at("2027-05-01T09:00:00Z")), on(s, record.Revocation, at("2027-05-01T09:00:00Z"), nil))
	if all, err := Destructions(chain, far); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	for _, m := range append(chain, Member{}) {
		if _, err := Destroyable(chain, m.Hash, far, far); problem.KindOf(err) != problem.NotFound {
			t.Errorf("%s: %v", m.Order.Kind, err)
		}
	}
}

func TestAHoldAlwaysWins(t *testing.T) {
	chain, s := begun(t, "ES-588ter", nil)
	when := at("2027-05-01T09:00:00Z")
	order, named := destruction(s, 1, when), destruction(s, 0, when, one)
	chain = append(chain, milestoneOn(s, "final-resolution", when), order, named)
	late := when.AddDate(0, 1, 0)
	hold := func(until time.Time, what ...record.Reference) Member {
		return on(s, record.Hold, when.Add(time.Hour), func(o *record.Order) { o.Until, o.Recordings = until, what })
	}
	const stands = "a hold stands, so nothing of it is destroyed (LECrim 588 bis k.2 and 588 ter i.2)"
	blocked(t, "no hold", chain, order, late, "")
	blocked(t, "a hold on everything", append(chain[:4:4], hold(time.Time{})), order, late, stands)
	blocked(t, "the same, of a recording", append(chain[:4:4], hold(time.Time{})), named, late, stands)
	blocked(t, "a hold on one recording, which a step would take with it", append(chain[:4:4], hold(time.Time{}, two)), order, late, stands)
	blocked(t, "another recording", append(chain[:4:4], hold(time.Time{}, two)), named, late, "")
	blocked(t, "this recording", append(chain[:4:4], hold(time.Time{}, one)), named, late, stands)
	blocked(t, "the last second of a hold", append(chain[:4:4], hold(late)), order, late.Add(-time.Second), stands)
	blocked(t, "a hold that ended", append(chain[:4:4], hold(late)), order, late, "")

	held := append(chain[:4:4], hold(time.Time{}), on(s, record.Hold, when.Add(2*time.Hour), nil))
	lift := func(m Member, at time.Time) Member {
		return on(s, record.Lifting, at, func(o *record.Order) { o.Lifts = m.Hash })
	}
	held = append(held, lift(held[4], late))
	blocked(t, "one of two holds lifted", held, order, late, stands)
	held = append(held, lift(held[5], late))
	build(t, held...)
	blocked(t, "both lifted", held, order, late, "")
	refuses(t, "lifting what is no hold", chain, lift(chain[1], late), problem.Conflict, "not known here")
	refuses(t, "a hold that ends before it begins", chain, hold(when), problem.Invalid, "ends before it was decided")
}

// A decision that is dated back, or that a keyholder heard of late, leaves as much time for a hold as one that was heard of at once.
func TestADestructionThatIsHeardOfLate(t *testing.T) {
	chain, s := begun(t, "ES-588ter", nil)
	when := at("2027-05-01T09:00:00Z")
	order := destruction(s, 1, when)
	chain = append(chain, milestoneOn(s, "final-resolution", when), order)
	heard := when.AddDate(0, 0, 30)
	ready := heard.Add(72 * time.Hour)
	for at, part := range map[time.Time]string{
		when.Add(time.Hour): "can be taken back until 2027-05-04T09:00:00Z", heard: "heard of on 2027-05-31T09:00:00Z and is carried out on 2027-06-03T09:00:00Z",
		ready.Add(-time.Second): "until then a hold stops it", ready: "",
	} {
		d, err := Destroyable(chain, order.Hash, heard, at)
		if err != nil || d.Ready != ready || (d.Blocked == nil) != (part == "") || d.Blocked != nil && !strings.Contains(problem.MessageOf(d.Blocked), part) {
			t.Errorf("at %v: %+v, %v, want %q", at, d, err, part)
		}
	}
	if d, err := Destroyable(chain, order.Hash, when.Add(-time.Hour), when); err != nil || d.Ready != when.Add(72*time.Hour) {
		t.Errorf("heard of by a slow clock: %+v, %v", d, err)
	}
}

func TestADestructionIsTakenBackBeforeThePointOfNoReturn(t *testing.T) {
	chain, s := begun(t, "ES-588ter", nil)
	when := at("2027-05-01T09:00:00Z")
	order := destruction(s, 1, when)
	chain = append(chain, milestoneOn(s, "final-resolution", when), order)
	ready := when.Add(72 * time.Hour)
	back := func(at time.Time) Member {
		return on(s, record.Lifting, at, func(o *record.Order) { o.Lifts = order.Hash })
	}
	inTime := append(chain[:3:3], back(ready.Add(-time.Second)))
	build(t, inTime...)
	blocked(t, "taken back", inTime, order, ready, "took the destruction back")
	refuses(t, "taken back as it begins", chain, back(ready), problem.Denied, "could be taken back until 2027-05-04T09:00:00Z")
	// If such a member is there all the same it changes nothing: what is gone is gone.
	blocked(t, "taken back too late", append(chain[:3:3], back(ready)), order, ready, "")
	suspended := append(chain[:3:3], on(s, record.Suspension, when, nil))
	blocked(t, "suspended", suspended, order, ready, "suspended")
}

func TestNamedRecordingsAsTheStatuteAllows(t *testing.T) {
	for name, c := range map[string]struct {
		undo    time.Duration
		refused string // empty: at any time
	}{
		"ES-588ter": {72 * time.Hour, ""}, "DE-100a": {24 * time.Hour, ""}, "GB-IPA2": {24 * time.Hour, ""}, "IT-267": {72 * time.Hour, ""},
		"US-T3": {0, "10 years after end"}, "FR-100-2": {0, "waits for prescribed"},
	} {
		chain, s := begun(t, name, nil)
		when := s.Decided.Add(24 * time.Hour)
		m := destruction(s, 0, when, one)
		if c.refused != "" {
			refuses(t, name, chain, m, problem.Conflict, c.refused)
			continue
		}
		build(t, chain[0], m)
		blocked(t, name, []Member{chain[0], m}, m, when.Add(c.undo), "")
		// A compartment decision that deletes is such an order too (LECrim 118.4, StPO 100d).
		deletes := on(s, record.Compartment, when, func(o *record.Order) { o.Verdict, o.Recordings = record.VerdictDelete, []record.Reference{one} })
		d := blocked(t, name, []Member{chain[0], deletes}, deletes, when.Add(c.undo), "")
		if len(d.Recordings) != 1 || d.Recordings[0] != one {
			t.Errorf("%s: %+v", name, d)
		}
	}
	chain, s := begun(t, "US-T3", nil)
	after := s.Capture.Until.AddDate(10, 0, 1)
	m := destruction(s, 1, after)
	build(t, chain[0], m)
	blocked(t, "ten years later", []Member{chain[0], m}, m, after.AddDate(0, 0, 4), "")
}
