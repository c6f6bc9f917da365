package law

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
	_ "time/tzdata" // the oracle counts in Go's zones, the product in its own files

	"arca.example/arca/shared/record"
)

// oracle knows the statutes as a table written apart from the profiles, and the members as they came. It shares no code with the package.
type oracle struct {
	zone          string
	tell, confirm time.Duration          // of urgent measures; 0: not demanded, or counted in working days
	working       int                    // days within which a confirmation comes
	saturday      bool                   // is a working day
	undo          time.Duration          //
	steps         map[int]map[string]int // step → event → years later
	named         int                    // the step whose events named recordings wait for; 0: none
	off           map[string]bool        // days that are no working days, beside weekends
}

var germanDays = days("2026-04-03 2026-04-06 2026-05-01 2026-05-14 2026-05-25 2026-10-03 2026-12-25 2026-12-26 2027-01-01 2027-03-26 2027-03-29 2027-05-01 2027-05-06 2027-05-17")
var britishDays = days("2026-04-03 2026-05-04 2026-05-25 2026-12-25 2026-12-28 2027-01-01 2027-03-26 2027-05-03 2027-05-31")

func days(list string) map[string]bool {
	out := map[string]bool{}
	for i := 0; i+10 <= len(list); i += 11 {
		out[list[i:i+10]] = true
	}
	return out
}

const (
	hour = time.Hour
	day  = 24 * hour
)

var spanish = map[int]map[string]int{1: {"final-resolution": 0}, 2: {"sentence-executed": 5, "prescribed": 0, "free-dismissal": 0, "acquittal": 0}}

var oracles = map[string]oracle{
	"ES-588ter":       {zone: "Europe/Madrid", tell: day, confirm: 3 * day, undo: 3 * day, steps: spanish},
	"ES-588quinquies": {zone: "Europe/Madrid", tell: day, confirm: day, undo: 3 * day, steps: spanish},
	"ES-588quater":    {zone: "Europe/Madrid", undo: 3 * day, steps: spanish},
	"ES-588septies":   {zone: "Europe/Madrid", undo: 3 * day, steps: spanish},
	"ES-579":          {zone: "Europe/Madrid", undo: 3 * day, steps: spanish},
	"US-T3":           {zone: "America/New_York", tell: 2 * day, confirm: 2 * day, undo: 3 * day, named: 1, steps: map[int]map[string]int{1: {"end": 10}}},
	"DE-100a":         {zone: "Europe/Berlin", working: 3, saturday: true, off: germanDays, undo: day, steps: map[int]map[string]int{1: {"not-needed": 0, "rejection": 0}}},
	"GB-IPA2":         {zone: "Europe/London", working: 3, off: britishDays, undo: day, steps: map[int]map[string]int{1: {"no-grounds": 0, "rejection": 0}}},
	"FR-100-2":        {zone: "Europe/Paris", undo: 3 * day, named: 1, steps: map[int]map[string]int{1: {"prescribed": 0}}},
	"FR-100-2-OC":     {zone: "Europe/Paris", undo: 3 * day, named: 1, steps: map[int]map[string]int{1: {"prescribed": 0}}},
	"FR-706-95":       {zone: "Europe/Paris", undo: 3 * day, named: 1, steps: map[int]map[string]int{1: {"prescribed": 0}}},
	"IT-267":          {zone: "Europe/Rome", tell: day, confirm: 2 * day, undo: 3 * day, steps: map[int]map[string]int{1: {"final-sentence": 0, "destruction-asked": 0, "rejection": 0}}},
	"IT-13-152":       {zone: "Europe/Rome", tell: day, confirm: 2 * day, undo: 3 * day, steps: map[int]map[string]int{1: {"final-sentence": 0, "destruction-asked": 0, "rejection": 0}}},
}

// midnight is the first second of a day in the oracle's zone.
func (o oracle) midnight(year int, month time.Month, d int) time.Time {
	zone, err := time.LoadLocation(o.zone)
	if err != nil {
		panic(err)
	}
	return time.Date(year, month, d, 0, 0, 0, 0, zone)
}

func (o oracle) yearsLater(t time.Time, years int) time.Time {
	if years == 0 {
		return t
	}
	local := t.In(o.midnight(2026, 1, 1).Location())
	d := local.Day()
	if local.Month() == time.February && d == 29 && (local.Year()+years)%4 != 0 {
		d = 28
	}
	return o.midnight(local.Year()+years, local.Month(), d)
}

// confirmBy is the end of the last day, or the hour, by which an urgent measure must be confirmed.
func (o oracle) confirmBy(decided time.Time) time.Time {
	if o.working == 0 {
		return decided.Add(o.confirm)
	}
	local := decided.In(o.midnight(2026, 1, 1).Location())
	for left, d := o.working, 1; ; d++ {
		next := time.Date(local.Year(), local.Month(), local.Day()+d, 12, 0, 0, 0, time.UTC)
		free := next.Weekday() == time.Sunday || next.Weekday() == time.Saturday && !o.saturday || o.off[next.Format(time.DateOnly)]
		if free {
			continue
		}
		if left--; left == 0 {
			return o.midnight(next.Year(), next.Month(), next.Day()+1)
		}
	}
}

// any reports whether a member fits.
func anyOf(members []Member, fits func(record.Order) bool) bool {
	return slices.ContainsFunc(members, func(m Member) bool { return fits(m.Order) })
}

// limits are the end of capture and of access as the members have them.
func (o oracle) limits(members []Member) (capture, access time.Time) {
	first := members[slices.IndexFunc(members, func(m Member) bool { return m.Order.Kind == record.Authorisation })].Order
	capture, access = first.Capture.Until, first.AccessEnd
	for n := 1; n <= len(members); n++ {
		for _, m := range members {
			if m.Order.Kind.NamesChain() || m.Order.Sequence != n {
				continue
			}
			if m.Order.Kind == record.Extension {
				capture = m.Order.Capture.Until
			}
			if !m.Order.AccessEnd.IsZero() {
				access = m.Order.AccessEnd
			}
		}
	}
	cut := func(t time.Time) {
		if t.Before(capture) {
			capture = t
		}
	}
	if first.Urgent {
		tellBy, confirmBy := first.Decided.Add(o.tell), o.confirmBy(first.Decided)
		told := o.tell == 0 || anyOf(members, func(m record.Order) bool {
			return m.Milestone.Name == "told" && m.Milestone.At.Before(tellBy) || m.Kind == record.Confirmation && m.Decided.Before(tellBy)
		})
		confirmed := anyOf(members, func(m record.Order) bool { return m.Kind == record.Confirmation && m.Decided.Before(confirmBy) })
		for _, end := range []struct {
			met bool
			at  time.Time
		}{{told, tellBy}, {confirmed, confirmBy}} {
			if !end.met {
				cut(end.at)
				if end.at.Before(access) {
					access = end.at
				}
			}
		}
	}
	for _, m := range members {
		if m.Order.Kind == record.Closing {
			cut(m.Order.Decided)
		}
	}
	if capture.Before(first.Capture.From) {
		capture = first.Capture.From
	}
	return capture, access
}

func stopped(members []Member) bool {
	return anyOf(members, func(m record.Order) bool { return m.Kind == record.Revocation || m.Kind == record.Rejection }) || suspended(members)
}

func suspended(members []Member) bool {
	return slices.ContainsFunc(members, func(s Member) bool {
		return s.Order.Kind == record.Suspension && !anyOf(members, func(m record.Order) bool { return m.Kind == record.Resumption && m.Lifts == s.Hash })
	})
}

// destroys says whether a destruction may be carried out.
func (o oracle) destroys(members []Member, d Member, t time.Time) bool {
	if suspended(members) || t.Before(d.Order.Decided.Add(o.undo)) {
		return false
	}
	for _, m := range members {
		switch {
		case m.Order.Kind == record.Lifting && m.Order.Lifts == d.Hash && m.Order.Decided.Before(d.Order.Decided.Add(o.undo)):
			return false
		case m.Order.Kind == record.Hold && (m.Order.Until.IsZero() || t.Before(m.Order.Until)) &&
			!anyOf(members, func(l record.Order) bool { return l.Kind == record.Lifting && l.Lifts == m.Hash }):
			return false
		}
	}
	capture, _ := o.limits(members)
	if d.Order.Step > 0 && t.Before(capture) {
		return false
	}
	step := d.Order.Step
	if step == 0 {
		if step = o.named; step == 0 {
			return true
		}
	}
	for event, years := range o.steps[step] {
		var latest time.Time
		for _, m := range members {
			if m.Order.Kind == record.Milestone && m.Order.Milestone.Name == event && m.Order.Milestone.At.After(latest) {
				latest = m.Order.Milestone.At
			}
			if event == "rejection" && m.Order.Kind == record.Rejection && m.Order.Decided.After(latest) {
				latest = m.Order.Decided
			}
		}
		if event == "end" {
			latest = capture
		}
		if !latest.IsZero() && !t.Before(o.yearsLater(latest, years)) {
			return true
		}
	}
	return false
}

// courtroom is one order of the simulated year and how far each keyholder knows it.
type courtroom struct {
	truth  []Member               // as decided, in the order of decision
	due    map[string][]time.Time // when each of them reaches a keyholder
	known  map[string][]Member
	oracle oracle
	news   int // how much both knew when they were held against the oracle
}

// TestASimulatedYear: several hundred orders of all profiles live through two years of virtual time, court and custodian hear of each
// decision late and in their own order, and every access, capture and destruction is held against the oracle.
func TestASimulatedYear(t *testing.T) {
	for _, name := range Profiles() {
		if oracles[name].zone == "" {
			t.Fatalf("the oracle does not know %s", name)
		}
	}
	seed := uint64(20261126)
	if text := os.Getenv("ARCA_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(seed, 7))
	var orders []*courtroom
	counts := map[string]int{}
	for step := range 400 {
		today := decided.Add(time.Duration(2*step)*day + time.Duration(r.IntN(86400))*time.Second)
		if step < 320 {
			orders = append(orders, begin1(t, r, today, len(orders)))
		}
		for _, c := range orders {
			c.act(t, r, today, counts)
			c.deliver(t, today)
			if news := len(c.known["court"]) + len(c.known["custodian"]); news != c.news || r.IntN(20) == 0 {
				c.hold(t, r, today, counts)
				c.news = news
			}
		}
	}
	for _, what := range []string{"opens", "refuses", "captures", "destroys", "spares", "agree"} {
		if counts[what] < 100 {
			t.Errorf("only %d times %s: the year is too quiet", counts[what], what)
		}
	}
	t.Logf("seed %d: %d orders, %v", seed, len(orders), counts)
}

func begin1(t *testing.T, r *rand.Rand, today time.Time, n int) *courtroom {
	t.Helper()
	p := profile(t, Profiles()[n%len(Profiles())])
	o := lawfulFor(p.Name)
	o.Decided, o.Case = today, fmt.Sprint("case ", n)
	o.Urgent = !p.Urgent.None && r.IntN(2) == 0
	until := today.Add(time.Duration(1+r.IntN(15)) * day)
	if o.Urgent {
		until = today.Add(time.Duration(1+r.IntN(7)) * day) // five working days at most in the United Kingdom
	}
	if end := p.End(today, p.FirstTerm); until.After(end) {
		until = end
	}
	if o.Urgent && p.Urgent.Term != (Term{}) && until.After(p.End(today, p.Urgent.Term)) {
		until = p.End(today, p.Urgent.Term)
	}
	o.Capture, o.AccessEnd = record.Window{From: today, Until: until}, until.Add(time.Duration(r.IntN(400))*day)
	c := &courtroom{due: map[string][]time.Time{}, known: map[string][]Member{}, oracle: oracles[p.Name]}
	c.decide(r, member(o))
	return c
}

// decide adds a decision, which reaches court and custodian within three days.
func (c *courtroom) decide(r *rand.Rand, m Member) {
	c.truth = append(c.truth, m)
	for _, party := range []string{"court", "custodian"} {
		c.due[party] = append(c.due[party], m.Order.Decided.Add(time.Duration(r.IntN(3*86400))*time.Second))
	}
}

// act lets somebody of the court decide something on some days. What the law refuses at once is not decided.
func (c *courtroom) act(t *testing.T, r *rand.Rand, today time.Time, counts map[string]int) {
	t.Helper()
	if r.IntN(12) > 0 && !(len(c.truth) == 1 && c.truth[0].Order.Urgent && r.IntN(2) == 0) || !today.After(c.truth[len(c.truth)-1].Order.Decided) {
		return
	}
	s, err := Read(c.truth)
	if err != nil {
		t.Fatal(err)
	}
	p := profile(t, s.Profile)
	kinds := []record.OrderKind{record.Extension, record.Extension, record.Milestone, record.Milestone, record.Milestone, record.Hold, record.Lifting, record.Lifting, record.Destruction, record.Destruction, record.Destruction,
		record.Suspension, record.Resumption, record.Resumption, record.Resumption, record.Closing, record.Confirmation, record.Confirmation}
	if r.IntN(10) == 0 {
		kinds = []record.OrderKind{record.Rejection, record.Revocation}
	}
	m := later(s, kinds[r.IntN(len(kinds))], func(o *record.Order) {
		o.Decided, o.Reason = today, fmt.Sprint("on ", today)
		target := c.truth[r.IntN(len(c.truth))]
		switch o.Kind {
		case record.Extension:
			o.Capture = record.Window{From: s.Capture.Until, Until: s.Capture.Until.Add(time.Duration(1+r.IntN(10)) * day)}
			o.AccessEnd = o.Capture.Until.Add(200 * day)
		case record.Milestone:
			o.Milestone = record.Fact{Name: p.Milestones[r.IntN(len(p.Milestones))].Name, At: today.Add(-time.Duration(r.IntN(3600)) * time.Second)}
		case record.Lifting, record.Resumption:
			o.Lifts = target.Hash
		case record.Hold:
			if r.IntN(2) == 0 {
				o.Until = today.Add(30 * day)
			}
		case record.Destruction:
			if o.Step = r.IntN(3); o.Step == 0 {
				o.Recordings = []record.Reference{one}
			}
		}
	})
	if p.Start.Rule == FirstInterception && (m.Order.Kind == record.Extension || m.Order.Milestone.Name == FirstInterception) {
		return // the term that moves has tables of its own
	}
	if _, err := Admit(c.truth, m, far); err == nil {
		c.decide(r, m)
		counts["decided"]++
	}
}

// deliver admits what has reached a keyholder, again and again, as an operator would send it again.
func (c *courtroom) deliver(t *testing.T, today time.Time) {
	t.Helper()
	for party, due := range c.due {
		for more := len(c.known[party]) < len(c.truth); more; {
			more = false
			for i, m := range c.truth {
				if today.Before(due[i]) || slices.ContainsFunc(c.known[party], func(k Member) bool { return k.Hash == m.Hash }) {
					continue
				}
				if _, err := Admit(c.known[party], m, today); err == nil {
					c.known[party], more = append(c.known[party], m), true
				}
			}
		}
	}
}

// hold holds both keyholders against the oracle at an instant of the day, and against each other once both know everything.
func (c *courtroom) hold(t *testing.T, r *rand.Rand, today time.Time, counts map[string]int) {
	t.Helper()
	at := today.Add(time.Duration(r.IntN(86400)) * time.Second)
	words := map[string]string{}
	for _, party := range []string{"court", "custodian"} {
		known := c.known[party]
		if len(known) == 0 {
			continue
		}
		s, err := Read(known)
		if err != nil {
			t.Fatal(err)
		}
		words[party] = fmt.Sprint(s.Word(at), s.Head, s.Stops)
		capture, access := c.oracle.limits(known)
		opens, captures := !stopped(known) && at.Before(access), !stopped(known) && at.Before(access) && at.Before(capture)
		if got := s.Open(at) == nil; got != opens {
			t.Fatalf("%s, %s: opens %v at %s, the oracle says %v: %v\n%v", s.Profile, party, got, instant(at), opens, s.Open(at), known)
		}
		if got := s.Capturing(at); got != captures {
			t.Fatalf("%s, %s: captures %v at %s, the oracle says %v (until %s)\n%v", s.Profile, party, got, instant(at), captures, instant(capture), known)
		}
		counts[map[bool]string{true: "opens", false: "refuses"}[opens]]++
		if captures {
			counts["captures"]++
		}
		list, err := Destructions(known, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			m := known[slices.IndexFunc(known, func(m Member) bool { return m.Hash == d.Member })]
			want := c.oracle.destroys(known, m, at)
			if (d.Blocked == nil) != want {
				t.Fatalf("%s, %s: a destruction of step %d: %v at %s, the oracle says %v\n%v", s.Profile, party, d.Step, d.Blocked, instant(at), want, known)
			}
			counts[map[bool]string{true: "destroys", false: "spares"}[want]]++
		}
	}
	if len(c.known["court"]) == len(c.truth) && len(c.known["custodian"]) == len(c.truth) {
		if words["court"] != words["custodian"] {
			t.Fatalf("court and custodian know the same and say %q and %q", words["court"], words["custodian"])
		}
		counts["agree"]++
	}
	if last := c.truth[len(c.truth)-1].Order.Decided; today.Sub(last) > 5*day && len(c.known["court"]) < len(c.truth) {
		t.Fatalf("the court never took what was decided by %s: it has %d of %d members", instant(last), len(c.known["court"]), len(c.truth))
	}
}
