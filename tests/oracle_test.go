package tests

import (
	"slices"
	"time"

	"arca.example/arca/shared/record"
)

// The oracle says what the law allows, from the statutes' numbers and with its own calendar. It shares no code with package law, which it is
// there to contradict: neither its profiles, nor its dates, nor Go's time zones.

// Where midnight is: hours from UTC in winter, and whose summer time.
type place struct {
	winter  int
	america bool
}

var (
	madrid, berlin, paris, rome = place{winter: 1}, place{winter: 1}, place{winter: 1}, place{winter: 1}
	london                      = place{winter: 0}
	newYork                     = place{winter: -5, america: true}
)

// civil numbers a day from 1970-01-01 (days_from_civil, after the Julian and Gregorian cycles).
func civil(y, m, d int) int {
	if m <= 2 {
		y, m = y-1, m+12
	}
	return 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d - 1 - 719468
}

// date is civil the other way round.
func date(n int) (y, m, d int) {
	y = 1970 + n/366
	for civil(y+1, 1, 1) <= n {
		y++
	}
	for m = 12; civil(y, m, 1) > n; m-- {
	}
	return y, m, n - civil(y, m, 1) + 1
}

func weekday(n int) int { return ((n+4)%7 + 7) % 7 } // 0 Sunday

// sunday is the nth Sunday of a month; -1 the last.
func sunday(y, m, nth int) int {
	if nth < 0 {
		next := civil(y+m/12, m%12+1, 1)
		return next - 1 - weekday(next-1)
	}
	first := civil(y, m, 1)
	return first + (7-weekday(first))%7 + 7*(nth-1)
}

// summer tells whether clocks are an hour ahead at an instant, in seconds since 1970.
func (p place) summer(s int) bool {
	y, _, _ := date(s / 86400)
	if p.america { // from 02:00 to 02:00, each by the clock as it then is
		return s >= sunday(y, 3, 2)*86400+7*3600 && s < sunday(y, 11, 1)*86400+6*3600
	}
	return s >= sunday(y, 3, -1)*86400+3600 && s < sunday(y, 10, -1)*86400+3600
}

// day is the date at an instant.
func (p place) day(t time.Time) int {
	s := int(t.Unix())
	at := s + p.winter*3600
	if p.summer(s) {
		at += 3600
	}
	return at / 86400
}

// midnight is the instant at which a day begins.
func (p place) midnight(n int) time.Time {
	s := n*86400 - p.winter*3600
	if p.summer(s - 3600) {
		s -= 3600
	}
	return time.Unix(int64(s), 0).UTC()
}

// length is a term: months or days run date to date and are over when the last day begins (the stricter reading); hours to the second;
// working days are over when the last of them is.
type length struct{ months, days, hours, working int }

func (r *rules) after(from time.Time, l length) time.Time {
	switch {
	case l.hours > 0:
		return from.Add(time.Duration(l.hours) * time.Hour)
	case l.working > 0:
		n := r.in.day(from)
		for left := l.working; left > 0; {
			if n++; r.works(n) {
				left--
			}
		}
		return r.in.midnight(n + 1)
	}
	n := r.in.day(from) + l.days
	if l.months > 0 {
		y, m, d := date(n)
		m += l.months
		y, m = y+(m-1)/12, (m-1)%12+1
		last := civil(y+m/12, m%12+1, 1) - civil(y, m, 1)
		n = civil(y, m, min(d, last))
	}
	return r.in.midnight(n)
}

func (r *rules) works(n int) bool {
	y, m, d := date(n)
	switch weekday(n) {
	case 0:
		return false
	case 6:
		return r.saturday && !slices.Contains(r.holidays, [3]int{y, m, d})
	}
	return !slices.Contains(r.holidays, [3]int{y, m, d})
}

// trigger is what a step of destruction waits for.
type trigger struct {
	event string
	after length
}

// rules are one statute's numbers.
type rules struct {
	name         string
	in           place
	first, more  length // first term; each extension, none: zero
	cap          length // from the decision; zero: none
	exception    bool   // past the cap with an express motivation
	renewals     int    // 0: any number
	interception bool   // the first term runs from the first interception, or 10 days after the order
	urgentBy     record.Role
	tell         length
	confirm      length
	urgentTerm   length
	steps        [][]trigger
	anyTime      bool // named recordings may go at any time; else as step 1
	undo         length
	milestones   []string
	saturday     bool
	holidays     [][3]int
}

var (
	spanishSteps = [][]trigger{{{event: "final-resolution"}}, {{"sentence-executed", length{months: 60}}, {event: "prescribed"}, {event: "free-dismissal"}, {event: "acquittal"}}}
	spanishFacts = []string{"told", "final-resolution", "sentence-executed", "prescribed", "free-dismissal", "acquittal"}
	italianSteps = [][]trigger{{{event: "final-sentence"}, {event: "destruction-asked"}, {event: "rejection"}}}
	// German and British days that are no working days, from the calendars of the simulated years.
	german = [][3]int{{2026, 1, 1}, {2026, 4, 3}, {2026, 4, 6}, {2026, 5, 1}, {2026, 5, 14}, {2026, 5, 25}, {2026, 10, 3}, {2026, 12, 25}, {2026, 12, 26},
		{2027, 1, 1}, {2027, 3, 26}, {2027, 3, 29}, {2027, 5, 1}, {2027, 5, 6}, {2027, 5, 17}, {2027, 10, 3}, {2027, 12, 25}, {2027, 12, 26}}
	british = [][3]int{{2026, 1, 1}, {2026, 4, 3}, {2026, 5, 4}, {2026, 5, 25}, {2026, 12, 25}, {2026, 12, 28},
		{2027, 1, 1}, {2027, 3, 26}, {2027, 5, 3}, {2027, 5, 31}, {2027, 12, 27}, {2027, 12, 28}}
)

// statutes are all profiles that Arca has. What no statute sets (undo, the 7 days of ambient recording) is the installation's setting.
var statutes = []*rules{
	{name: "ES-588ter", in: madrid, first: length{months: 3}, more: length{months: 3}, cap: length{months: 18}, urgentBy: record.Minister, tell: length{hours: 24}, confirm: length{hours: 72}, steps: spanishSteps, anyTime: true, undo: length{hours: 72}, milestones: spanishFacts},
	{name: "ES-579", in: madrid, first: length{months: 3}, more: length{months: 3}, cap: length{months: 18}, steps: spanishSteps, anyTime: true, undo: length{hours: 72}, milestones: spanishFacts[1:]},
	{name: "ES-588quater", in: madrid, first: length{days: 7}, cap: length{days: 7}, steps: spanishSteps, anyTime: true, undo: length{hours: 72}, milestones: spanishFacts[1:]},
	{name: "ES-588quinquies", in: madrid, first: length{months: 3}, more: length{months: 3}, cap: length{months: 18}, urgentBy: record.Supervisor, tell: length{hours: 24}, confirm: length{hours: 24}, steps: spanishSteps, anyTime: true, undo: length{hours: 72}, milestones: spanishFacts},
	{name: "ES-588septies", in: madrid, first: length{months: 1}, more: length{months: 1}, cap: length{months: 3}, steps: spanishSteps, anyTime: true, undo: length{hours: 72}, milestones: spanishFacts[1:]},
	{name: "US-T3", in: newYork, first: length{days: 30}, more: length{days: 30}, interception: true, urgentBy: record.Prosecutor, tell: length{hours: 48}, confirm: length{hours: 48}, steps: [][]trigger{{{"end", length{months: 120}}}}, undo: length{hours: 72}, milestones: []string{"told", "first-interception"}},
	{name: "DE-100a", in: berlin, first: length{months: 3}, more: length{months: 3}, urgentBy: record.Prosecutor, confirm: length{working: 3}, steps: [][]trigger{{{event: "not-needed"}, {event: "rejection"}}}, anyTime: true, undo: length{hours: 24}, milestones: []string{"not-needed"}, saturday: true, holidays: german},
	{name: "GB-IPA2", in: london, first: length{months: 6}, more: length{months: 6}, urgentBy: record.Minister, confirm: length{working: 3}, urgentTerm: length{working: 5}, steps: [][]trigger{{{event: "no-grounds"}, {event: "rejection"}}}, anyTime: true, undo: length{hours: 24}, milestones: []string{"no-grounds"}, holidays: british},
	{name: "FR-100-2", in: paris, first: length{months: 4}, more: length{months: 4}, cap: length{months: 12}, steps: [][]trigger{{{event: "prescribed"}}}, undo: length{hours: 72}, milestones: []string{"prescribed"}},
	{name: "FR-100-2-OC", in: paris, first: length{months: 4}, more: length{months: 4}, cap: length{months: 24}, steps: [][]trigger{{{event: "prescribed"}}}, undo: length{hours: 72}, milestones: []string{"prescribed"}},
	{name: "FR-706-95", in: paris, first: length{days: 15}, more: length{days: 15}, cap: length{days: 30}, renewals: 1, steps: [][]trigger{{{event: "prescribed"}}}, undo: length{hours: 72}, milestones: []string{"prescribed"}},
	{name: "IT-267", in: rome, first: length{days: 15}, more: length{days: 15}, cap: length{days: 45}, exception: true, urgentBy: record.Prosecutor, tell: length{hours: 24}, confirm: length{hours: 48}, steps: italianSteps, anyTime: true, undo: length{hours: 72}, milestones: []string{"told", "final-sentence", "destruction-asked"}},
	{name: "IT-13-152", in: rome, first: length{days: 40}, more: length{days: 20}, urgentBy: record.Prosecutor, tell: length{hours: 24}, confirm: length{hours: 48}, steps: italianSteps, anyTime: true, undo: length{hours: 72}, milestones: []string{"told", "final-sentence", "destruction-asked"}},
}

// known is a member that the oracle knows.
type known struct {
	hash record.Digest
	record.Order
}

// oracle is one keyholder's knowledge of one order.
type oracle struct {
	*rules
	members []known
}

// course is the order's course by its numbered members alone.
type course struct {
	head      record.Digest
	number    int
	decided   time.Time // its last member
	from, end time.Time
	access    time.Time
	renewals  int
	forked    bool
}

func (o *oracle) of(kind record.OrderKind) (list []known) {
	for _, m := range o.members {
		if m.Kind == kind {
			list = append(list, m)
		}
	}
	return list
}

func (o *oracle) has(hash record.Digest, kinds ...record.OrderKind) bool {
	return slices.ContainsFunc(o.members, func(m known) bool { return m.hash == hash && slices.Contains(kinds, m.Kind) })
}

func (o *oracle) lifted(hash record.Digest, by record.OrderKind) bool {
	return slices.ContainsFunc(o.of(by), func(m known) bool { return m.Lifts == hash })
}

// asOf is what had been decided by an instant. A member is held against that, whenever it comes.
func (o *oracle) asOf(t time.Time) *oracle {
	then := &oracle{rules: o.rules}
	for _, m := range o.members {
		if !m.Decided.After(t) {
			then.members = append(then.members, m)
		}
	}
	return then
}

// interceptedAt is the earliest first interception that is recorded, and when the first record of it was made.
func (o *oracle) interceptedAt() (at, since time.Time) {
	for _, m := range o.of(record.Milestone) {
		f := m.Milestone
		if f.Name == "first-interception" && (at.IsZero() || f.At.Before(at) || f.At.Equal(at) && m.Decided.Before(since)) {
			at, since = f.At, m.Decided
		}
	}
	return at, since
}

// milestone is when something happened, the latest if more than once.
func (o *oracle) milestone(name string) (at time.Time) {
	for _, m := range o.of(record.Milestone) {
		if m.Milestone.Name == name && m.Milestone.At.After(at) {
			at = m.Milestone.At
		}
	}
	return at
}

// limit is the latest end that the first order may have.
func (o *oracle) limit(first *record.Order) time.Time {
	term := o.first
	if first.Urgent && o.urgentTerm != (length{}) {
		term = o.urgentTerm
	}
	start := first.Decided
	if o.interception {
		start = o.after(start, length{days: 10})
	}
	return o.after(start, term)
}

// follow follows the numbered members, up to a number.
func (o *oracle) follow(most int) course {
	first := o.members[0]
	c := course{head: first.hash, decided: first.Decided, from: first.Capture.From, end: first.Capture.Until, access: first.AccessEnd}
	if o.interception {
		if at, _ := o.interceptedAt(); !at.IsZero() && at.Before(o.after(first.Decided, length{days: 10})) {
			if end := o.after(at, o.first); end.Before(c.end) {
				c.end = later(end, c.from)
			}
		}
	}
	for c.number < most {
		var next, chosen []known
		for _, m := range o.members {
			if m.Sequence == c.number+1 && m.Previous == c.head && (m.Kind == record.Extension || m.Kind == record.Narrowing) {
				next = append(next, m)
				if slices.ContainsFunc(o.of(record.Resumption), func(r known) bool { return r.Previous == m.hash }) {
					chosen = append(chosen, m)
				}
			}
		}
		if len(next) > 1 {
			next = chosen
			c.forked = len(chosen) != 1
		}
		if len(next) != 1 {
			break
		}
		m := next[0]
		c.head, c.number, c.decided = m.hash, m.Sequence, m.Decided
		if m.Kind == record.Extension {
			c.renewals++
		}
		if !m.Capture.Until.IsZero() {
			c.end = m.Capture.Until
		}
		if !m.AccessEnd.IsZero() {
			c.access = m.AccessEnd
		}
	}
	return c
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// urgency gives when an urgent measure lapses by itself as things are known; zero: it does not.
func (o *oracle) urgency() (lapses time.Time, told, confirmed bool) {
	first := o.members[0]
	if !first.Urgent {
		return lapses, true, true
	}
	confirmBy := o.after(first.Decided, o.confirm)
	tellBy := confirmBy
	told = o.tell == length{}
	if !told {
		tellBy = o.after(first.Decided, o.tell)
	}
	for _, m := range o.members {
		told = told || m.Kind == record.Milestone && m.Milestone.Name == "told" && m.Milestone.At.Before(tellBy) || m.Kind == record.Confirmation && m.Decided.Before(tellBy)
		confirmed = confirmed || m.Kind == record.Confirmation && m.Decided.Before(confirmBy)
	}
	switch {
	case !told:
		return tellBy, told, confirmed
	case !confirmed:
		return confirmBy, told, confirmed
	}
	return lapses, told, confirmed
}

const forGood = 1000 // numbered members

// end is when capture ends, all known.
func (o *oracle) end() time.Time {
	c := o.follow(forGood)
	end := c.end
	for _, m := range o.of(record.Closing) {
		if m.Decided.Before(end) {
			end = later(m.Decided, c.from)
		}
	}
	if lapses, _, _ := o.urgency(); !lapses.IsZero() && lapses.Before(end) {
		end = later(lapses, c.from)
	}
	return end
}

// access says whether recordings may be opened.
func (o *oracle) access(t time.Time) bool {
	if len(o.members) == 0 {
		return false
	}
	c := o.follow(forGood)
	if c.forked || len(o.of(record.Revocation))+len(o.of(record.Rejection)) > 0 || o.suspended() || !t.Before(c.access) {
		return false
	}
	lapses, _, _ := o.urgency()
	return lapses.IsZero() || t.Before(lapses)
}

func (o *oracle) suspended() bool {
	return o.follow(forGood).forked || slices.ContainsFunc(o.of(record.Suspension), func(m known) bool { return !o.lifted(m.hash, record.Resumption) })
}

func (o *oracle) capture(t time.Time) bool {
	return o.access(t) && !t.Before(o.follow(forGood).from) && t.Before(o.end())
}

// admits says whether a member may join.
func (o *oracle) admits(m *record.Order, now time.Time) bool {
	if m.Decided.After(now.Add(5 * time.Minute)) {
		return false
	}
	if m.Kind == record.Authorisation {
		return len(o.members) == 0 && (!m.Urgent || o.urgentBy != "") && !m.Capture.From.Before(m.Decided) && m.Capture.Until.After(m.Capture.From) &&
			!m.Capture.Until.After(o.limit(m)) && !m.AccessEnd.Before(m.Capture.Until)
	}
	if len(o.members) == 0 || m.Decided.Before(o.members[0].Decided) {
		return false
	}
	if m.Kind == record.Extension || m.Kind == record.Narrowing {
		return o.admitsNumbered(m)
	}
	if m.Kind == record.Milestone && m.Milestone.Name == "first-interception" && !o.startStays(m.Milestone.At) {
		return false
	}
	return o.asOf(m.Decided).admitsNamed(m)
}

// startStays says that no extension rests on another beginning of the term than there would be now.
func (o *oracle) startStays(at time.Time) bool {
	start := o.after(o.members[0].Decided, length{days: 10})
	if before, _ := o.interceptedAt(); !before.IsZero() && before.Before(start) {
		start = before
	}
	return o.follow(forGood).renewals == 0 || !at.Before(start)
}

// admitsNamed is admits for a member that names the chain only.
func (o *oracle) admitsNamed(m *record.Order) bool {
	first := o.members[0]
	switch m.Kind {
	case record.Resumption:
		return o.has(m.Lifts, record.Suspension) || o.has(m.Previous, record.Extension, record.Narrowing)
	case record.Rejection:
		return first.Urgent
	case record.Confirmation:
		_, told, _ := o.urgency()
		inTime := told || m.Decided.Before(o.after(first.Decided, o.tell))
		return first.Urgent && len(o.of(record.Rejection)) == 0 && m.Decided.Before(o.after(first.Decided, o.confirm)) && inTime
	case record.Milestone:
		return o.admitsFact(m)
	case record.Lifting:
		return o.has(m.Lifts, record.Hold) || slices.ContainsFunc(o.of(record.Destruction), func(d known) bool { return d.hash == m.Lifts && m.Decided.Before(o.after(d.Decided, o.undo)) })
	case record.Hold:
		return m.Until.IsZero() || m.Until.After(m.Decided)
	case record.Destruction:
		return (m.Step == 0 || !m.Decided.Before(o.end())) && o.triggered(m.Step, m.Decided)
	}
	return true // revocation, suspension, closing
}

func (o *oracle) admitsNumbered(m *record.Order) bool {
	whole, then := o.follow(forGood), o.asOf(m.Decided)
	if m.Sequence < 1 || m.Sequence > whole.number+1 || len(then.of(record.Revocation))+len(then.of(record.Rejection)) > 0 {
		return false
	}
	c := o.follow(m.Sequence - 1)
	if m.Previous != c.head || m.Decided.Before(c.decided) {
		return false
	}
	for _, r := range o.of(record.Resumption) { // a judge has chosen already
		if slices.ContainsFunc(o.members, func(k known) bool { return k.hash == r.Previous && k.Sequence == m.Sequence && k.Previous == c.head }) {
			return false
		}
	}
	if m.Kind == record.Narrowing {
		return !m.Capture.Until.After(c.end) && m.Capture.Until.After(m.Capture.From) && !m.Capture.From.Before(c.from) && !c.access.Before(m.Capture.Until)
	}
	return o.extends(then, c, m)
}

func (o *oracle) extends(then *oracle, c course, m *record.Order) bool {
	first := o.members[0]
	_, _, confirmed := then.urgency()
	begun, since := o.interceptedAt()
	access := c.access
	if !m.AccessEnd.IsZero() {
		access = m.AccessEnd
	}
	switch {
	case o.more == length{}, o.renewals > 0 && c.renewals >= o.renewals, !confirmed, len(then.of(record.Closing)) > 0:
		return false
	case o.interception && (begun.IsZero() || m.Decided.Before(since)) && !m.Decided.After(o.after(first.Decided, length{days: 10})):
		return false
	case m.Decided.After(c.end), !m.Capture.From.Equal(c.end), !m.Capture.Until.After(c.end), m.Capture.Until.After(o.after(c.end, o.more)), access.Before(m.Capture.Until):
		return false
	case o.cap != (length{}) && m.Capture.Until.After(o.after(first.Decided, o.cap)):
		return o.exception && m.Grounds.Motivation != ""
	}
	return true
}

func (o *oracle) admitsFact(m *record.Order) bool {
	first, f := o.members[0], m.Milestone
	if !slices.Contains(o.milestones, f.Name) || f.At.Before(first.Decided) || f.At.After(m.Decided) {
		return false
	}
	return f.Name != "told" || first.Urgent && f.At.Before(o.after(first.Decided, o.tell))
}

// triggered says whether what a step waits for has happened.
func (o *oracle) triggered(step int, t time.Time) bool {
	if step == 0 && o.anyTime {
		return true
	}
	step = max(step, 1)
	if step > len(o.steps) {
		return false
	}
	for _, x := range o.steps[step-1] {
		at := o.milestone(x.event)
		switch x.event {
		case "end":
			at = o.end()
		case "rejection":
			for _, m := range o.of(record.Rejection) {
				at = later(at, m.Decided)
			}
		}
		if at.IsZero() {
			continue
		}
		if x.after != (length{}) {
			at = o.after(at, x.after)
		}
		if !t.Before(at) {
			return true
		}
	}
	return false
}

// destroys says whether an ordered destruction may be carried out.
func (o *oracle) destroys(d known, t time.Time) bool {
	if o.suspended() || d.Step > 0 && t.Before(o.end()) || !o.triggered(d.Step, t) || t.Before(o.after(d.Decided, o.undo)) {
		return false
	}
	for _, m := range o.of(record.Lifting) {
		if m.Lifts == d.hash && m.Decided.Before(o.after(d.Decided, o.undo)) {
			return false
		}
	}
	for _, h := range o.of(record.Hold) {
		over := !h.Until.IsZero() && !t.Before(h.Until) || o.lifted(h.hash, record.Lifting)
		meets := len(h.Recordings) == 0 || len(d.Recordings) == 0 || slices.ContainsFunc(h.Recordings, func(r record.Reference) bool { return slices.Contains(d.Recordings, r) })
		if !over && meets {
			return false
		}
	}
	return true
}
