package tests

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// tried is one thing that somebody tries, or looks at, at an instant. What it names is worked out when it is its turn, so that a course of
// steps still means something when one of them is left out.
type tried struct {
	at   time.Time
	do   string
	ago  time.Duration // the decision is so much older than its arrival
	from string        // extension: "", late, gap; number: ahead, again
	end  string        // extension and first order: limit, past, short
	name string        // milestone
	n    int           // recording, step of destruction, which of what can be lifted
	till time.Duration // hold
	why  bool          // extension with an express motivation
}

func (s tried) String() string {
	return fmt.Sprintf("%s %s%s", s.at.Format(time.RFC3339), s.do, strings.TrimRight(fmt.Sprintf(" ago=%s from=%s end=%s name=%s n=%d till=%s why=%v", s.ago, s.from, s.end, s.name, s.n, s.till, s.why), " "))
}

// life is one order's steps in the order of time, and when the custodian was down.
type life struct {
	*rules
	urgent bool
	down   record.Window
	steps  []tried
}

// keeper is a keyholder as the year needs it.
type keeper interface {
	admit(raw string, m law.Member, now time.Time) error
	state(chain record.Digest, now time.Time) (law.State, []law.Member, error)
}

// bare is package law alone: the members of one chain.
type bare struct{ members []law.Member }

func (b *bare) admit(_ string, m law.Member, now time.Time) error {
	if _, err := law.Admit(b.members, m, now); err != nil {
		return err
	}
	if !slices.ContainsFunc(b.members, func(k law.Member) bool { return k.Hash == m.Hash }) {
		b.members = append(b.members, m)
	}
	return nil
}

func (b *bare) state(record.Digest, time.Time) (law.State, []law.Member, error) {
	s, err := law.Read(b.members)
	return s, b.members, err
}

// pen signs members: by themselves their hash is enough for package law.
type pen func(o record.Order, now time.Time) (raw string, hash record.Digest)

func unsigned(o record.Order, _ time.Time) (string, record.Digest) {
	raw, err := record.Marshal(o)
	if err != nil {
		panic(err)
	}
	return "", sha256.Sum256(raw)
}

// year runs a story at both keyholders and holds each answer against the oracle.
type year struct {
	life
	sign    pen
	keepers [2]keeper
	oracles [2]*oracle
	waiting []arrival // what the custodian, which is down, has not been sent yet
	serial  uint64
	trust   record.Digest // whom members are addressed to; zero at package law, which does not look
	seen    int
	spared  int // looks at which a destruction was held up
	gone    int // and at which it could be carried out
}

type arrival struct {
	raw string
	m   law.Member
}

func newYear(s life, sign pen, keepers [2]keeper) *year {
	return &year{life: s, sign: sign, keepers: keepers, oracles: [2]*oracle{{rules: s.rules}, {rules: s.rules}}}
}

var partyNames = [2]string{"court", "custodian"}

// run gives the first disagreement, or "".
func (y *year) run() string {
	for _, s := range y.steps {
		if said := y.step(s); said != "" {
			return said
		}
	}
	return ""
}

// step lets the custodian catch up if it is its time, then does the step.
func (y *year) step(s tried) string {
	if !y.down.Contains(s.at) {
		late := y.waiting
		y.waiting = nil
		for _, a := range late {
			if said := y.send(1, a, later(y.down.Until, s.at)); said != "" {
				return said
			}
		}
	}
	if s.do == "look" {
		return y.look(s.at)
	}
	o, ok := y.order(s)
	if !ok {
		return ""
	}
	raw, hash := y.sign(o, s.at)
	a := arrival{raw, law.Member{Hash: hash, Order: o}}
	if said := y.send(0, a, s.at); said != "" {
		return said
	}
	if y.down.Contains(s.at) {
		y.waiting = append(y.waiting, a)
		return ""
	}
	return y.send(1, a, s.at)
}

// send hands a member to one keyholder.
func (y *year) send(party int, a arrival, now time.Time) string {
	o := y.oracles[party]
	want := o.admits(&a.m.Order, now)
	err := y.keepers[party].admit(a.raw, a.m, now)
	if err != nil && problem.KindOf(err) == problem.Internal {
		return fmt.Sprintf("the %s fails: %v", partyNames[party], err)
	}
	if want != (err == nil) {
		return fmt.Sprintf("at %s the %s admits %s decided %s: %v; the oracle says %v", now.Format(time.RFC3339), partyNames[party], a.m.Order.Kind, a.m.Order.Decided.Format(time.RFC3339), err, want)
	}
	y.seen++
	if want {
		o.members = append(o.members, known{a.m.Hash, a.m.Order})
	}
	return ""
}

// look compares what both keyholders allow at an instant.
func (y *year) look(t time.Time) string {
	if len(y.oracles[0].members) == 0 {
		return ""
	}
	chain := y.oracles[0].members[0].hash
	var states [2]law.State
	for i, o := range y.oracles {
		if len(o.members) == 0 {
			continue
		}
		s, members, err := y.keepers[i].state(chain, t)
		if err != nil {
			return fmt.Sprintf("the %s cannot read the order: %v", partyNames[i], err)
		}
		states[i] = s
		for _, d := range o.of(record.Destruction) {
			if o.destroys(d, t) {
				y.gone++
			} else {
				y.spared++
			}
		}
		if said := differ(o, s, members, t); said != "" {
			return fmt.Sprintf("at %s the %s %s", t.Format(time.RFC3339), partyNames[i], said)
		}
		y.seen++
	}
	same := len(y.oracles[0].members) == len(y.oracles[1].members)
	together := states[0].InForce(t) && states[1].InForce(t) && states[0].Head == states[1].Head && slices.Equal(states[0].Stops, states[1].Stops)
	if want := same && y.oracles[0].access(t) && y.oracles[1].access(t); together != want {
		return fmt.Sprintf("at %s both open: %v; the oracle says %v", t.Format(time.RFC3339), together, want)
	}
	return ""
}

// differ says where a keyholder's state is not the oracle's.
func differ(o *oracle, s law.State, members []law.Member, t time.Time) string {
	if got, want := s.InForce(t), o.access(t); got != want {
		return fmt.Sprintf("opens: %v (%s); the oracle says %v", got, s.Word(t), want)
	}
	if got, want := s.Capturing(t), o.capture(t); got != want {
		return fmt.Sprintf("captures: %v (until %s); the oracle says %v (until %s)", got, s.Capture.Until.Format(time.RFC3339), want, o.end().Format(time.RFC3339))
	}
	ordered := o.of(record.Destruction)
	list, err := law.Destructions(members, t)
	if err != nil || len(list) != len(ordered) {
		return fmt.Sprintf("has %d destructions (%v), the oracle %d", len(list), err, len(ordered))
	}
	for _, d := range ordered {
		got, err := law.Destroyable(members, d.hash, d.Decided, t)
		if err != nil {
			return err.Error()
		}
		if want := o.destroys(d, t); want != (got.Blocked == nil) {
			return fmt.Sprintf("on a destruction of step %d decided %s says %v; the oracle allows it: %v", d.Step, d.Decided.Format(time.RFC3339), got.Blocked, want)
		}
	}
	return ""
}

// order makes the member that a step is about, on the court's present state; false where there is nothing to name.
func (y *year) order(s tried) (record.Order, bool) {
	y.serial++
	var nonce record.ID
	binary.BigEndian.PutUint64(nonce[:], y.serial)
	binary.BigEndian.PutUint64(nonce[8:], uint64(s.at.UnixNano()))
	if s.do == "authorise" {
		return y.first(s, nonce), true
	}
	court := y.oracles[0]
	if len(court.members) == 0 {
		return record.Order{}, false
	}
	o := record.Order{Kind: record.OrderKind(s.do), Chain: court.members[0].hash, Court: court.members[0].Court, Audience: court.members[0].Audience, Profile: y.name, Reason: "reasons on file", Decided: s.at.Add(-s.ago), Nonce: nonce}
	c := court.follow(forGood)
	switch o.Kind {
	case record.Extension:
		y.extension(s, &o, c)
	case record.Narrowing:
		o.Sequence, o.Previous = c.number+1, c.head
		o.Capture = record.Window{From: c.from, Until: c.end.Add(-24 * time.Hour)}
		if s.end == "past" {
			o.Capture.Until = c.end.Add(time.Second)
		}
	case record.Milestone:
		o.Reason, o.Milestone = "", record.Fact{Name: s.name, At: o.Decided.Add(-s.till)}
	case record.Hold:
		if o.Recordings = recording(s.n); s.till > 0 {
			o.Until = o.Decided.Add(s.till)
		}
	case record.Destruction:
		if s.n > 0 && s.n < 3 {
			o.Step = s.n
		} else {
			o.Recordings = recording(max(s.n-2, 1))
		}
	case record.Resumption, record.Lifting:
		return o, y.lift(s, &o, court)
	}
	return o, true
}

func recording(n int) []record.Reference {
	if n == 0 {
		return nil
	}
	return []record.Reference{{Batch: record.ID{9}, Recording: record.ID{byte(n)}}}
}

// lift names what there is to lift, the n-th of it; of a fork, a candidate.
func (y *year) lift(s tried, o *record.Order, court *oracle) bool {
	var list []record.Digest
	kinds := []record.OrderKind{record.Hold, record.Destruction}
	if o.Kind == record.Resumption {
		kinds = []record.OrderKind{record.Suspension}
		if c := court.follow(forGood); c.forked {
			for _, m := range court.members {
				if m.Sequence == c.number+1 && m.Previous == c.head {
					list = append(list, m.hash)
				}
			}
			o.Previous = list[s.n%len(list)]
			return true
		}
	}
	for _, m := range court.members {
		if slices.Contains(kinds, m.Kind) {
			list = append(list, m.hash)
		}
	}
	if len(list) == 0 {
		return false
	}
	o.Lifts = list[s.n%len(list)]
	return true
}

func (y *year) first(s tried, nonce record.ID) record.Order {
	decided := s.at.Add(-s.ago)
	o := record.Order{
		Kind: record.Authorisation, Audience: y.trust, Profile: y.name, Urgent: y.urgent, Court: court, Case: "case-7", PoliceUnit: unitA, Classification: "confidential", Decided: decided, Nonce: nonce,
		Capture: record.Window{From: decided}, Scope: record.Scope{Identifiers: []record.Identifier{{Kind: "msisdn", Value: target}}, Kinds: []string{"call"}},
		Reports: record.Reports{Form: "written", EveryDays: 15},
		Grounds: record.Grounds{Offence: "an offence", Indicia: "indicia", Persons: []string{"not known"}, Extent: "content", Motivation: "reasons", Duration: "a term", Purpose: purpose, Obliged: "an operator"},
	}
	o.Capture.Until = ends(y.oracles[0].limit(&o), o.Capture.From, s.end)
	o.AccessEnd = o.Capture.Until.Add(s.till)
	return o
}

// ends is an end at the limit, a second past it, or before.
func ends(limit, from time.Time, how string) time.Time {
	switch how {
	case "past":
		return limit.Add(time.Second)
	case "short":
		return from.Add(limit.Sub(from) / 2).Truncate(time.Second)
	}
	return limit
}

func (y *year) extension(s tried, o *record.Order, c course) {
	o.Sequence, o.Previous = c.number+1, c.head
	switch s.from {
	case "ahead":
		o.Sequence++
	case "again": // a second one of a number that there is
		if c.number > 0 {
			c = y.oracles[0].follow(c.number - 1)
			o.Sequence, o.Previous = c.number+1, c.head
		}
	}
	o.Capture.From = c.end
	if s.from == "gap" {
		o.Capture.From = c.end.Add(time.Hour)
	}
	o.Capture.Until = ends(y.after(c.end, y.more), c.end, s.end)
	if s.end == "cap" && y.cap != (length{}) {
		o.Capture.Until = y.after(y.oracles[0].members[0].Decided, y.cap)
	}
	if s.end == "cap past" && y.cap != (length{}) {
		o.Capture.Until = y.after(y.oracles[0].members[0].Decided, y.cap).Add(time.Second)
	}
	if !o.Capture.Until.After(o.Capture.From) { // there is no room, and an order without an end would be no order
		o.Capture.Until = o.Capture.From.Add(time.Second)
	}
	o.AccessEnd = o.Capture.Until.Add(s.till)
	if s.why {
		o.Grounds.Motivation = "specific, concrete and express"
	}
}

// tell makes the stories of some hundreds of orders.
type teller struct{ *rand.Rand }

func (r teller) pick(list ...string) string { return list[r.IntN(len(list))] }

func (r teller) some(d time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(d)/int64(time.Second)+1)) * time.Second
}

const day = 24 * time.Hour

// begin is the decision's instant: often one of those at which calendars are got wrong.
func (r teller) begin(p place) time.Time {
	edges := []int{civil(2026, 1, 31), civil(2026, 8, 31), civil(2026, 11, 30), civil(2026, 12, 31), civil(2026, 3, 28), civil(2026, 3, 29), civil(2026, 10, 24), civil(2026, 10, 25), civil(2026, 3, 8), civil(2026, 11, 1), civil(2026, 4, 2), civil(2026, 12, 24)}
	n := civil(2026, 1, 2) + r.IntN(360)
	if r.IntN(2) == 0 {
		n = edges[r.IntN(len(edges))]
	}
	switch r.IntN(4) {
	case 0:
		return p.midnight(n)
	case 1:
		return p.midnight(n + 1).Add(-time.Second)
	}
	return p.midnight(n).Add(r.some(day - time.Second))
}

// story tells one order's life: a course that works, with much in it that does not.
func (r teller) story(law *rules) life {
	s := life{rules: law, urgent: law.urgentBy != "" && r.IntN(2) == 0}
	begin := r.begin(law.in)
	add := func(at time.Time, x tried) {
		if x.at = at.Truncate(time.Second); x.at.Before(begin) {
			x.at = begin
		}
		if x.do != "look" && r.IntN(5) == 0 {
			x.ago = r.some(3 * day)
		}
		s.steps = append(s.steps, x)
	}
	keep := []time.Duration{0, time.Second, 30 * day, 4000 * day}[r.IntN(4)]
	if r.IntN(6) == 0 {
		add(begin, tried{do: "authorise", end: "past", till: keep})
	}
	begin = begin.Truncate(time.Second)
	first := tried{at: begin, do: "authorise", end: r.pick("limit", "limit", "short"), till: keep}
	s.steps = append(s.steps, first)
	end := ends((&oracle{rules: law}).limit(&record.Order{Urgent: s.urgent, Decided: begin}), begin, first.end)
	if s.urgent {
		r.urgency(law, begin, add)
	}
	if law.interception {
		at := begin.Add(r.some(12 * day))
		for range 1 + r.IntN(2) {
			add(at.Add(r.some(2*day)), tried{do: "milestone", name: "first-interception", till: r.some(day)})
		}
	}
	end = r.extensions(law, begin, end, add)
	r.course(begin, end, add)
	r.destruction(law, begin, end, add)
	if r.IntN(3) == 0 {
		from := begin.Add(r.some(end.Sub(begin))).Truncate(time.Second)
		s.down = record.Window{From: from, Until: from.Add(time.Hour + r.some(20*day))}
	}
	r.looks(&s, begin, end)
	slices.SortStableFunc(s.steps, func(a, b tried) int { return a.at.Compare(b.at) })
	return s
}

func (r teller) urgency(law *rules, begin time.Time, add func(time.Time, tried)) {
	near := func(l length) time.Time {
		if l == (length{}) {
			l = length{hours: 24}
		}
		return law.after(begin, l).Add([]time.Duration{-time.Second, 0, time.Second, -2 * time.Hour, -time.Hour, -20 * time.Hour, -22 * time.Hour}[r.IntN(7)])
	}
	if r.IntN(3) > 0 {
		add(near(law.tell), tried{do: "milestone", name: "told", till: []time.Duration{0, 0, time.Hour}[r.IntN(3)]})
	}
	if r.IntN(6) > 0 {
		add(near(law.confirm), tried{do: r.pick("confirmation", "confirmation", "rejection")})
	}
}

func (r teller) extensions(law *rules, begin, end time.Time, add func(time.Time, tried)) time.Time {
	for range r.IntN(9) {
		at := end.Add([]time.Duration{0, -time.Second, time.Second, -day, -day, -2 * day, -5 * day, day}[r.IntN(8)])
		x := tried{do: "extension", end: r.pick("limit", "limit", "limit", "short", "past", "cap", "cap past"), from: r.pick("", "", "", "", "gap", "ahead", "again"), till: r.some(60 * day), why: r.IntN(3) == 0}
		add(at, x)
		if next := law.after(end, law.more); x.from == "" && x.end != "past" && law.more != (length{}) && !at.After(end) {
			if strings.HasPrefix(x.end, "cap") && law.cap != (length{}) {
				next = law.after(begin, law.cap)
			}
			if next = ends(next, end, x.end); next.After(end) {
				end = next
			}
		}
		if x.from == "again" {
			add(at.Add(r.some(5*day)), tried{do: "resumption", n: r.IntN(2)})
		}
	}
	return end
}

func (r teller) course(begin, end time.Time, add func(time.Time, tried)) {
	span := end.Sub(begin)
	for range r.IntN(5) {
		at := begin.Add(r.some(span))
		switch r.IntN(8) {
		case 0, 1, 2:
			add(at, tried{do: "suspension"})
			if r.IntN(4) > 0 {
				add(at.Add(r.some(20*day)), tried{do: "resumption", n: r.IntN(3)})
			}
		case 3:
			add(at, tried{do: "closing"})
		case 4:
			add(at.Add(span/2), tried{do: "revocation"})
		case 5:
			add(at, tried{do: "confirmation"}) // of what is not urgent, or late
		case 6:
			add(at, tried{do: "resumption"})
		}
	}
}

func (r teller) destruction(law *rules, begin, end time.Time, add func(time.Time, tried)) {
	for range r.IntN(7) {
		at := end.Add(r.some(400*day) - 20*day)
		switch r.IntN(5) {
		case 0, 1:
			add(at, tried{do: "milestone", name: law.milestones[r.IntN(len(law.milestones))], till: r.some(10 * day)})
		case 2:
			add(at, tried{do: "hold", n: r.IntN(3), till: []time.Duration{0, 10 * day, 300 * day}[r.IntN(3)]})
		case 3:
			add(at, tried{do: "lifting", n: r.IntN(4)})
		}
	}
	for range r.IntN(5) {
		at := end.Add(r.some(500*day) - 20*day)
		if r.IntN(4) == 0 {
			at = law.after(end, length{months: []int{60, 120}[r.IntN(2)]}).Add(r.some(200 * day))
		}
		add(at, tried{do: "destruction", n: 1 + r.IntN(4)})
		if r.IntN(4) == 0 {
			add(law.after(at, law.undo).Add([]time.Duration{-time.Second, 0, -day}[r.IntN(3)]), tried{do: "lifting", n: r.IntN(4)})
		}
	}
}

// looks puts looks around every instant at which something may change, and at random ones.
func (r teller) looks(s *life, begin, end time.Time) {
	law := s.rules
	at := []time.Time{begin, end, law.after(begin, law.first), law.after(begin, length{hours: 24}), law.after(begin, length{hours: 48}), law.after(begin, length{hours: 72}), law.after(begin, length{working: 3}), law.after(begin, length{working: 5})}
	for _, x := range s.steps {
		at = append(at, x.at, x.at.Add(-x.ago), law.after(x.at, law.undo), law.after(x.at.Add(-x.ago), law.undo), law.after(x.at, length{months: 60}), x.at.Add(x.till))
		if law.more != (length{}) {
			at = append(at, law.after(x.at, law.more))
		}
	}
	for range 10 {
		at = append(at, begin.Add(r.some(end.Sub(begin)+100*day)))
	}
	seen := map[time.Time]bool{}
	for _, t := range at {
		for _, d := range []time.Duration{-time.Second, 0, time.Second} {
			if t := later(t.Add(d).UTC(), begin); !seen[t] {
				seen[t] = true
				s.steps = append(s.steps, tried{at: t, do: "look"})
			}
		}
	}
}

// shortest leaves out steps for as long as the story still ends in a disagreement.
func shortest(s life, play func(life) string) (life, string) {
	said := play(s)
	for again := true; again; {
		again = false
		for i := len(s.steps) - 1; i >= 0; i-- {
			less := s
			less.steps = slices.Delete(slices.Clone(s.steps), i, i+1)
			if now := play(less); now != "" {
				s, said, again = less, now, true
			}
		}
	}
	return s, said
}

func (s life) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, urgent %v, custodian down %s to %s\n", s.name, s.urgent, s.down.From.Format(time.RFC3339), s.down.Until.Format(time.RFC3339))
	for _, x := range s.steps {
		fmt.Fprintf(&b, "  %s\n", x)
	}
	return b.String()
}

// TestSimulatedYearCampaign lets some hundreds of orders of all statutes live and holds every admission, every access and every destruction
// against the oracle. Package law answers for both keyholders; what a keyholder adds is TestSimulatedYearAtKeyholders' business.
func TestSimulatedYearCampaign(t *testing.T) {
	c := newCampaign(t)
	r, each := teller{c.Rand}, 22
	if c.full {
		each = 400
	}
	seen, spared, gone, admitted := 0, 0, 0, map[record.OrderKind]int{}
	play := func(s life) string {
		return newYear(s, unsigned, [2]keeper{&bare{}, &bare{}}).run()
	}
	for _, statute := range statutes {
		for range each {
			s := r.story(statute)
			y := newYear(s, unsigned, [2]keeper{&bare{}, &bare{}})
			if y.run() != "" {
				least, said := shortest(s, play)
				t.Fatalf("%s\n%s", said, least)
			}
			seen, spared, gone = seen+y.seen, spared+y.spared, gone+y.gone
			for _, m := range y.oracles[0].members {
				admitted[m.Kind]++
			}
		}
	}
	for _, kind := range []record.OrderKind{record.Authorisation, record.Extension, record.Suspension, record.Resumption, record.Revocation, record.Confirmation, record.Rejection, record.Closing, record.Milestone, record.Hold, record.Lifting, record.Destruction} {
		if admitted[kind] == 0 {
			t.Errorf("no %s was ever admitted: the year shows nothing of it", kind)
		}
	}
	if spared == 0 || gone == 0 {
		t.Errorf("%d destructions could be carried out, %d could not: the year shows nothing of them", gone, spared)
	}
	t.Logf("%d orders, %d answers compared, %d times a destruction could be carried out and %d times not; admitted: %v", each*len(statutes), seen, gone, spared, admitted)
}

// TestEveryStatuteIsInTheYear: a profile that is added has its numbers in the oracle too.
func TestEveryStatuteIsInTheYear(t *testing.T) {
	names := law.Profiles()
	for _, s := range statutes {
		i := slices.Index(names, s.name)
		if i < 0 {
			t.Fatalf("there is no profile %s", s.name)
		}
		names = slices.Delete(names, i, i+1)
	}
	if len(names) > 0 {
		t.Errorf("the oracle does not know %v", names)
	}
}
