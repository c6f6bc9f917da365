package law

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/record"
)

func clocks(t testing.TB, chain []Member, now time.Time) map[string]Clock {
	t.Helper()
	list, err := Clocks(chain, now)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]Clock{}
	for _, c := range list {
		if _, twice := named[c.Name]; twice && c.Name != ClockHold {
			t.Errorf("two clocks %s", c.Name)
		}
		if c.Article == "" || c.Says == "" || len(c.Concerns) == 0 || c.Due.IsZero() != c.Warn.IsZero() || c.Due.IsZero() == (c.Awaits == "") && c.State != Fulfilled {
			t.Errorf("a clock without its parts: %+v", c)
		}
		named[c.Name] = c
	}
	return named
}

// wantClock wants a clock's due instant ("" for none) and its state at each of the instants.
func wantClock(t *testing.T, chain []Member, name, due string, states map[string]ClockState) {
	t.Helper()
	for when, want := range states {
		c, ok := clocks(t, chain, at(when))[name]
		if !ok || c.State != want || due == "" != c.Due.IsZero() || due != "" && c.Due != at(due) {
			t.Errorf("%s at %s: %+v, want %s, due %s", name, when, c, want, due)
		}
	}
}

func TestTheClocksOfASpanishOrder(t *testing.T) {
	chain, s := begun(t, "ES-588ter", nil) // 10 March to 9 June 2026, reports every 15 days
	if s.Capture.Until != at("2026-06-09T22:00:00Z") {
		t.Fatal(s.Capture.Until)
	}
	wantClock(t, chain, ClockTerm, "2026-06-09T22:00:00Z", map[string]ClockState{"2026-05-26T21:59:59Z": Pending, "2026-05-26T22:00:00Z": Due, "2026-06-09T21:59:59Z": Due, "2026-06-09T22:00:00Z": Ended})
	wantClock(t, chain, ClockCap, "2027-09-09T22:00:00Z", map[string]ClockState{"2026-05-26T21:59:59Z": Pending, "2027-09-09T22:00:00Z": Ended})
	wantClock(t, chain, ClockAccess, "2039-01-01T00:00:00Z", map[string]ClockState{"2026-05-26T21:59:59Z": Pending, "2039-01-01T00:00:00Z": Ended})
	wantClock(t, chain, ClockFinalReport, "2026-06-09T22:00:00Z", map[string]ClockState{"2026-05-01T00:00:00Z": Pending, "2026-06-08T00:00:00Z": Due, "2026-06-09T22:00:00Z": Overdue})
	wantClock(t, chain, ClockNotification, "", map[string]ClockState{"2030-01-01T00:00:00Z": Pending})
	wantClock(t, chain, "destruction-1", "", map[string]ClockState{"2030-01-01T00:00:00Z": Pending})
	wantClock(t, chain, ClockReview, "2029-03-09T23:00:00Z", map[string]ClockState{"2029-01-01T00:00:00Z": Pending, "2029-03-09T00:00:00Z": Due, "2029-03-10T00:00:00Z": Overdue})

	chain = append(chain, milestoneOn(s, FinalReport, at("2026-05-01T00:00:00Z")))
	wantClock(t, chain, ClockFinalReport, "2026-06-09T22:00:00Z", map[string]ClockState{"2026-06-10T00:00:00Z": Overdue}) // delivered before the end it is not the final one
	chain = append(chain, milestoneOn(s, FinalReport, at("2026-06-12T00:00:00Z")), milestoneOn(s, Reviewed, at("2028-03-10T10:00:00Z")))
	wantClock(t, chain, ClockFinalReport, "2026-06-09T22:00:00Z", map[string]ClockState{"2026-06-12T00:00:00Z": Fulfilled})
	wantClock(t, chain, ClockReview, "2031-03-09T23:00:00Z", map[string]ClockState{"2029-03-10T00:00:00Z": Pending})
}

func TestReportsAreDueAtTheOrdersCadence(t *testing.T) {
	chain, s := begun(t, "ES-588ter", nil) // every 15 days: 25 March, 9 and 24 April, 9 and 24 May, 8 June
	report := func(when string) Member { return milestoneOn(s, Report, at(when)) }
	due := func(what string, chain []Member, want string, state ClockState, now string) {
		t.Helper()
		if c := clocks(t, chain, at(now))[ClockReport]; c.Due != at(want) || c.State != state {
			t.Errorf("%s: %s %s, want %s %s", what, c.State, instant(c.Due), state, want)
		}
	}
	due("none", chain, "2026-03-25T10:00:00Z", Pending, "2026-03-20T00:00:00Z")
	due("none, in the warning", chain, "2026-03-25T10:00:00Z", Due, "2026-03-22T10:00:00Z")
	due("none, too late", chain, "2026-03-25T10:00:00Z", Overdue, "2026-03-25T10:00:00Z")
	early := append(chain[:1:1], report("2026-03-24T00:00:00Z"))
	due("one a day early", early, "2026-04-09T10:00:00Z", Pending, "2026-03-25T10:00:00Z")
	twice := append(early[:2:2], report("2026-03-24T12:00:00Z"))
	due("a second one in the same period serves nothing ahead", twice, "2026-04-09T10:00:00Z", Overdue, "2026-04-09T10:00:00Z")
	late := append(chain[:1:1], report("2026-04-01T00:00:00Z"))
	due("one a week late serves the date that it missed", late, "2026-04-09T10:00:00Z", Pending, "2026-04-02T00:00:00Z")
	both := append(late[:2:2], report("2026-04-02T00:00:00Z"))
	due("and a second one the next", both, "2026-04-24T10:00:00Z", Pending, "2026-04-10T00:00:00Z")
	all := chain[:1:1]
	for _, day := range []string{"03-25", "04-09", "04-24", "05-09", "05-24", "06-08"} {
		all = append(all, report("2026-"+day+"T09:00:00Z"))
	}
	due("all of them", all, "2026-06-08T10:00:00Z", Fulfilled, "2026-07-01T00:00:00Z")
	if _, ok := clocks(t, []Member{member(lawfulFor("DE-100a"))}, now)[ClockReport]; ok {
		t.Error("a German order has a cadence")
	}
}

func TestTheClocksOfAnUrgentMeasure(t *testing.T) {
	chain, s := urgent(t, "ES-588ter")
	wantClock(t, chain, ClockTold, "2026-03-11T10:00:00Z", map[string]ClockState{"2026-03-11T03:59:59Z": Pending, "2026-03-11T04:00:00Z": Due, "2026-03-11T10:00:00Z": Ended})
	wantClock(t, chain, ClockTerm, "2026-03-11T10:00:00Z", map[string]ClockState{"2026-03-11T10:00:00Z": Ended})
	told := append(chain[:1:1], reached(s, Told, time.Hour))
	wantClock(t, told, ClockTold, "2026-03-11T10:00:00Z", map[string]ClockState{"2026-03-20T00:00:00Z": Fulfilled})
	wantClock(t, told, ClockConfirmation, "2026-03-13T10:00:00Z", map[string]ClockState{"2026-03-13T03:59:59Z": Pending, "2026-03-13T09:59:59Z": Due, "2026-03-13T10:00:00Z": Ended})
	confirmed := append(told[:2:2], decidedAfter(s, record.Confirmation, 48*time.Hour))
	wantClock(t, confirmed, ClockConfirmation, "2026-03-13T10:00:00Z", map[string]ClockState{"2026-03-20T00:00:00Z": Fulfilled})
	wantClock(t, confirmed, ClockTerm, "2026-06-09T22:00:00Z", map[string]ClockState{"2026-03-20T00:00:00Z": Pending})
	rejected := append(chain[:1:1], decidedAfter(s, record.Rejection, time.Hour))
	if _, ok := clocks(t, rejected, now)[ClockFinalReport]; ok {
		t.Error("a rejected measure has a final report")
	}
}

func TestDestructionIsDemandedNotAssumed(t *testing.T) {
	chain, s := begun(t, "ES-588ter", nil)
	resolved := at("2027-05-01T09:00:00Z")
	chain = append(chain, milestoneOn(s, "final-resolution", resolved))
	wantClock(t, chain, "destruction-1", "2027-05-01T09:00:00Z", map[string]ClockState{"2028-01-01T00:00:00Z": Overdue})
	hold := on(s, record.Hold, resolved, func(o *record.Order) { o.Until = at("2028-01-01T00:00:00Z") })
	held := append(chain[:2:2], hold)
	if c := clocks(t, held, at("2027-12-31T23:59:59Z"))["destruction-1"]; c.State != Pending || c.Awaits != "the end of a hold" {
		t.Errorf("held: %+v", c)
	}
	wantClock(t, held, "destruction-1", "2027-05-01T09:00:00Z", map[string]ClockState{"2028-01-01T00:00:00Z": Overdue})
	wantClock(t, held, ClockHold, "2028-01-01T00:00:00Z", map[string]ClockState{"2027-05-02T00:00:00Z": Pending, "2027-12-31T00:00:00Z": Due})
	chain = append(chain, destruction(s, 1, resolved.Add(time.Hour)))
	wantClock(t, chain, "destruction-1", "2027-05-01T09:00:00Z", map[string]ClockState{"2028-01-01T00:00:00Z": Fulfilled})
	wantClock(t, chain, "execution-1", "2027-05-04T10:00:00Z", map[string]ClockState{"2027-05-01T11:00:00Z": Pending, "2027-05-04T09:00:00Z": Due, "2027-05-04T10:00:00Z": Overdue})
	chain = append(chain, milestoneOn(s, "destroyed-1", at("2027-05-05T00:00:00Z")))
	wantClock(t, chain, "execution-1", "2027-05-04T10:00:00Z", map[string]ClockState{"2027-06-01T00:00:00Z": Fulfilled})
	chain = append(chain, milestoneOn(s, "sentence-executed", at("2027-06-01T09:00:00Z")))
	wantClock(t, chain, "destruction-2", "2032-05-31T22:00:00Z", map[string]ClockState{"2032-05-01T00:00:00Z": Pending, "2032-05-31T00:00:00Z": Due, "2032-06-01T00:00:00Z": Overdue})
}

func TestTheClocksOfTheOtherCountries(t *testing.T) {
	us, s := begun(t, "US-T3", nil) // to 9 April 2026, thirty days from the decision
	end := instant(s.Capture.Until)
	wantClock(t, us, ClockSealing, end, map[string]ClockState{end: Overdue})
	wantClock(t, append(us[:1:1], milestoneOn(s, Sealed, s.Capture.Until)), ClockSealing, end, map[string]ClockState{end: Fulfilled})
	wantClock(t, us, ClockNotification, "2026-07-08T04:00:00Z", map[string]ClockState{"2026-06-01T00:00:00Z": Pending, "2026-07-01T00:00:00Z": Due, "2026-07-08T04:00:00Z": Overdue}) // 90 days
	wantClock(t, us, ClockRetention, "2036-04-09T04:00:00Z", map[string]ClockState{"2030-01-01T00:00:00Z": Pending, "2036-04-09T04:00:00Z": Ended})
	if c := clocks(t, us, far)["destruction-1"]; c.State != Pending {
		t.Errorf("in the United States nothing is ever due for destruction: %+v", c)
	}
	put := func(verdict string, until time.Time, when string) Member {
		return on(s, record.Notice, at(when), func(o *record.Order) { o.Verdict, o.Until = verdict, until })
	}
	deferred := append(us[:1:1], put(record.VerdictDefer, at("2027-01-01T00:00:00Z"), "2026-06-01T00:00:00Z"), put(record.VerdictDefer, at("2026-12-01T00:00:00Z"), "2026-06-02T00:00:00Z"))
	wantClock(t, deferred, ClockNotification, "2026-12-01T00:00:00Z", map[string]ClockState{"2026-07-08T04:00:00Z": Pending, "2026-12-01T00:00:00Z": Overdue})
	wantClock(t, append(deferred[:3:3], put(record.VerdictDone, time.Time{}, "2026-07-01T00:00:00Z")), ClockNotification, "2026-12-01T00:00:00Z", map[string]ClockState{"2027-01-01T00:00:00Z": Fulfilled})

	de, s := begun(t, "DE-100a", nil)
	wantClock(t, de, ClockNotification, "2027-06-09T22:00:00Z", map[string]ClockState{"2027-06-09T21:59:59Z": Due, "2027-06-09T22:00:00Z": Overdue}) // twelve months after the end
	wantClock(t, append(de[:1:1], milestoneOn(s, "not-needed", at("2027-01-01T00:00:00Z"))), "destruction-1", "2027-01-01T00:00:00Z", map[string]ClockState{"2027-01-02T00:00:00Z": Overdue})

	gb, _ := begun(t, "GB-IPA2", nil)
	if _, ok := clocks(t, gb, now)[ClockNotification]; ok {
		t.Error("a British warrant is notified of")
	}
	wantClock(t, gb, ClockReview, "2027-03-10T00:00:00Z", map[string]ClockState{"2027-03-10T00:00:00Z": Overdue})
	fr, s := begun(t, "FR-100-2", nil)
	wantClock(t, fr, ClockSealing, instant(s.Capture.Until), map[string]ClockState{instant(s.Capture.Until): Overdue})
	it, s := begun(t, "IT-267", nil)
	if c := clocks(t, it, far)["destruction-1"]; c.State != Pending || !strings.Contains(c.Awaits, "final-sentence") {
		t.Errorf("%+v", c)
	}
	wantClock(t, append(it[:1:1], milestoneOn(s, "final-sentence", at("2028-01-01T00:00:00Z"))), ClockRetention, "2028-01-01T00:00:00Z", map[string]ClockState{"2028-01-02T00:00:00Z": Ended})
}

// The same members give the same clocks in whatever order they came.
func TestClocksDoNotDependOnTheOrderOfArrival(t *testing.T) {
	for i, chain := range yearOfOrders(t, 26) {
		want, err := Clocks(chain, at("2028-03-01T00:00:00Z"))
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(5) {
			other := slices.Clone(chain)
			rand.New(rand.NewPCG(seed, 0)).Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
			if got, err := Clocks(other, at("2028-03-01T00:00:00Z")); err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("chain %d: %v\n%+v\n%+v", i, err, got, want)
			}
		}
	}
}
