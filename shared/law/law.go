// Package law says what an order chain allows and until when.
//
// It promises a pure answer: the members of a chain go in, a State comes out,
// the same for the same members in whatever order they arrived, so two
// keyholders that hold the same members agree. It refuses what the statute
// profile (a data file under profiles/, each number with its article) does not
// allow, and when in doubt it suspends.
//
// It trusts that its caller verified every signature, that the author may sign
// (MaySign), and the hash; it trusts no date further than the judge who signed
// it, except that no decision lies in the future.
//
// # Chains
//
// The first member is an authorisation, sequence 0. Extensions and narrowings
// follow, each with the next sequence number and the hash of its predecessor.
// Two members of one sequence number suspend the chain until a judge chooses
// one of them, by a resumption that names it in Previous; what followed the
// other is void.
//
// All other kinds name the chain only, have no sequence number, and count from
// the moment they are known, whatever their date: whoever holds a revocation,
// rejection or suspension refuses. A resumption names in Lifts the suspension
// that it ends, so an old one cannot be replayed against a new suspension. A
// revocation ends a chain for good; the judge issues a new authorisation.
//
// An urgent measure is ordered without the judge, by whom the statute names. It
// lapses by itself, window and access both, at the instant by which the judge
// was not told or did not confirm it; a rejection ends it for good.
//
// # Clocks
//
// Terms run from the judicial decision, not from the first capture, unless the
// statute says otherwise; how days and months are counted is in Profile.End. An
// extension runs from the earlier expiry and is decided no later than it.
// Nothing is captured past the cap. All instants are whole seconds; a window
// contains its first second and not its last. A term of hours is over at its
// last second, and what was to be done by then is late.
//
// A narrowing counts for everything sealed after it is known, also for what was
// captured before: the stricter reading.
//
// # Destruction
//
// Nothing is destroyed without a judge's order (Destroyable). A milestone makes
// an order due, never a destruction; a hold wins over everything.
//
// # Profiles
//
// A statute is a file under profiles/ (Profile). Every number names its article,
// and every article its source and how well it was confirmed. A file with a gap
// is refused at start, by the name of what is missing. A variant stands on a
// base and says what differs.
package law

import (
	"errors"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// clockSkew is how far a decision may seem to lie in the future.
const clockSkew = 5 * time.Minute

// Member is a verified member of a chain: its order and its statement's hash.
type Member struct {
	Hash  record.Digest
	Order record.Order
}

// State is what a chain allows.
type State struct {
	Profile        string
	Audience       record.Digest
	Court          string
	Case           string
	PoliceUnit     string
	Classification string

	Chain    record.Digest // hash of the first member
	Head     record.Digest // hash of the last sequenced member that stands
	Sequence int           // its number
	Decided  time.Time     // the first decision, from which the cap runs

	Capture   record.Window // what starts and ends inside may be sealed
	AccessEnd time.Time     // opening ends; outside
	Cap       time.Time     // Capture.Until never lies after it; zero: the statute has none
	Scope     record.Scope
	Reports   record.Reports

	Privileged []record.Privilege // whose communications are privileged

	Urgent    bool      // ordered without the judge
	TellBy    time.Time // an urgent measure lapses then, while nobody is known to have told the judge
	ConfirmBy time.Time // and then, while no judge is known to have confirmed it
	Confirmed bool
	Rejected  bool // the judge did not confirm it: for good

	Suspended bool            // by a suspension that no resumption lifted, or by Forked
	Forked    bool            // two members of one sequence number
	Revoked   bool            // for good
	Closed    bool            // ended before its time, at Capture.Until
	Stops     []record.Digest // the members that name the chain only, sorted

	starts      time.Time // of the first term, where a first interception may start it; zero: not known yet
	startsSince time.Time // when that was recorded
	confirmedAt time.Time // by the earliest confirmation in time
	decidedAt   time.Time // the head
	renewals    int       // extensions so far
}

// Admit says whether next may join the chain, and what the chain is then. An
// empty chain takes an authorisation. Admitting a member again changes nothing.
// Errors: problem.Invalid (the order is wrong and will stay wrong),
// problem.Denied (the law does not allow it), problem.Conflict (an earlier
// member is missing, or a judge must choose first).
func Admit(chain []Member, next Member, now time.Time) (State, error) {
	if next.Order.Decided.IsZero() || next.Order.Decided.After(now.Add(clockSkew)) {
		return State{}, problem.New(problem.Invalid, "the order has no date of decision, or one in the future; correct it and sign again")
	}
	if len(chain) == 0 {
		if _, err := begin(&next, nil); err != nil {
			return State{}, err
		}
		return Read([]Member{next})
	}
	trail, state, err := read(chain, true)
	if err != nil {
		return State{}, err
	}
	if slices.ContainsFunc(chain, func(m Member) bool { return m.Hash == next.Hash }) {
		return state, nil
	}
	if err := state.sameChain(&next.Order); err != nil {
		return State{}, err
	}
	then, known := asOf(chain, next.Order.Decided, state)
	if next.Order.Kind.NamesChain() {
		if err = then.admitStop(known, &next.Order); err == nil {
			err = state.startMoves(&next.Order)
		}
	} else {
		err = state.admitSequenced(trail, chain, next, &then)
	}
	if err != nil {
		return State{}, err
	}
	return Read(append(slices.Clone(chain), next))
}

// asOf is what had been decided by an instant. A member is held against that: two keyholders that learn of the same decisions in another
// order must not refuse what the other one took. No member counts that was decided before one that it rests on, so what is left can be
// read; were it not so, the whole chain's state would do: nothing may keep a revocation out.
func asOf(chain []Member, decided time.Time, whole State) (State, []Member) {
	known := slices.DeleteFunc(slices.Clone(chain), func(m Member) bool { return m.Order.Decided.After(decided) })
	if s, err := Read(known); err == nil {
		return s, known
	}
	return whole, chain
}

// Read works out a chain's state from its members, which Admit accepted one by one.
func Read(chain []Member) (State, error) {
	_, state, err := read(chain, false)
	return state, err
}

// read follows the sequence from the first member. trail, if it is kept, holds the state after
// each sequence number that stands, without the stops.
func read(chain []Member, keep bool) (trail []State, state State, err error) {
	first := slices.IndexFunc(chain, func(m Member) bool { return m.Order.Chain.IsZero() })
	if first < 0 {
		return nil, State{}, problem.New(problem.Invalid, "an order chain begins with an authorisation")
	}
	if state, err = begin(&chain[first], chain); err != nil {
		return nil, State{}, err
	}
	if err := wellFormed(chain, state.Chain); err != nil {
		return nil, State{}, err
	}
	for {
		if keep {
			trail = append(trail, state)
		}
		candidates := successors(chain, &state)
		if len(candidates) == 0 {
			break
		}
		next := chosen(chain, candidates)
		if next == nil {
			state.Forked = true
			break
		}
		if state, err = state.apply(next); err != nil {
			return nil, State{}, err
		}
	}
	state.stop(chain)
	return trail, state, nil
}

// wellFormed refuses a list that says the same twice or says something of another chain: whoever stored it or passed it on has altered it. Members
// carry their order in themselves, so the list's has no meaning.
func wellFormed(chain []Member, hash record.Digest) error {
	seen := make(map[record.Digest]struct{}, len(chain))
	for i := range chain {
		m := &chain[i]
		if m.Hash != hash && m.Order.Chain != hash {
			return stray()
		}
		seen[m.Hash] = struct{}{}
	}
	if len(seen) != len(chain) {
		return stray()
	}
	return nil
}

func stray() error {
	return problem.New(problem.Invalid, "the order's members include one twice or one of another order; get the chain again from a keyholder, and tell the auditor where this one came from")
}

// MaySign says whether an enrolled person may sign a member of that kind: a judge of the court that it names, who signs everything but the
// first member of an urgent measure; that court's clerk, who records milestones; and for an urgent measure whom the statute names. That the
// enrolment is genuine and in service is the caller's business. Errors: problem.Denied.
func MaySign(o *record.Order, e *record.Enrolment) error {
	if o.Urgent {
		return maySignUrgent(o, e)
	}
	if e.Of(record.Judge) && e.Court == o.Court || o.Kind == record.Milestone && e.Of(record.Clerk) && e.Court == o.Court {
		return nil
	}
	if o.Kind == record.Milestone {
		return problem.New(problem.Denied, "a milestone is recorded by a judge or a clerk of the order's court; let one of them sign it")
	}
	return problem.New(problem.Denied, "the order was not signed by a judge of the court that it names; let a judge who is enrolled for that court sign it")
}

func maySignUrgent(o *record.Order, e *record.Enrolment) error {
	p, err := ProfileOf(o.Profile)
	if err != nil {
		return err
	}
	u := p.Urgent
	if u.None {
		return problem.New(problem.Denied, "the statute has no urgent procedure, so a judge authorises the measure (%s)", p.Cite(u.Article))
	}
	if u.By == record.Minister && e.Of(u.By) ||
		u.By == record.Prosecutor && e.Of(u.By) && e.Court == o.Court ||
		u.By == record.Supervisor && e.Of(u.By) && e.PoliceUnit == o.PoliceUnit {
		return nil
	}
	return problem.New(problem.Denied, "an urgent measure is ordered by %s, enrolled as %s (%s)", u.Who, string(u.By), p.Cite(u.Article))
}

// begin checks a first member and gives the chain's first state. What the other members say of an urgent measure and of the first
// interception counts already here, because extensions are held against it.
func begin(m *Member, chain []Member) (State, error) {
	o := &m.Order
	if o.Kind != record.Authorisation || !o.Chain.IsZero() || !o.Previous.IsZero() || !o.Lifts.IsZero() || o.Sequence != 0 {
		return State{}, problem.New(problem.Conflict, "an order chain begins with an authorisation; admit that first")
	}
	p, err := ProfileOf(o.Profile)
	if err != nil {
		return State{}, err
	}
	if err := p.lacks(o); err != nil {
		return State{}, err
	}
	s := State{
		Profile: o.Profile, Audience: o.Audience, Court: o.Court, Case: o.Case, PoliceUnit: o.PoliceUnit, Classification: o.Classification,
		Chain: m.Hash, Head: m.Hash, Decided: o.Decided, Capture: o.Capture, AccessEnd: o.AccessEnd, Cap: p.capFrom(o.Decided),
		Scope: cloneScope(o.Scope), Reports: o.Reports, Urgent: o.Urgent, decidedAt: o.Decided,
	}
	if s.Privileged, err = p.privilege(nil, o.Privileged); err != nil {
		return State{}, err
	}
	if o.Capture.From.Before(o.Decided) {
		return State{}, problem.New(problem.Denied, "the measure begins before the judicial decision; it begins with it or later (%s)", p.Cite(p.Start.Article))
	}
	if err := s.firstTerm(p, chain); err != nil {
		return State{}, err
	}
	if err := s.checkWindow(p, o); err != nil {
		return State{}, err
	}
	return s, s.urgency(p, chain)
}

// firstTerm holds the window against the first term. A first interception, where it starts the term, can only shorten the window.
func (s *State) firstTerm(p *Profile, chain []Member) error {
	term := p.FirstTerm
	if s.Urgent && p.Urgent.Term != (Term{}) {
		term = p.Urgent.Term
	}
	start, from := s.Decided, "the judicial decision"
	if p.Start.Rule == FirstInterception {
		start, from = p.End(s.Decided, p.Start.Latest), p.Start.Latest.String()+" after the decision"
	}
	if end := p.End(start, term); s.Capture.Until.After(end) {
		return problem.New(problem.Denied, "the first term is at most %s from %s, so it ends by %s (%s)", term, from, instant(end), p.Cite(term.Article))
	}
	if p.Start.Rule != FirstInterception {
		return nil
	}
	for i := range chain {
		o := &chain[i].Order
		if o.Kind != record.Milestone || o.Milestone.Name != FirstInterception {
			continue
		}
		at, since := o.Milestone.At, o.Decided
		if s.starts.IsZero() || at.Before(s.starts) || at.Equal(s.starts) && since.Before(s.startsSince) {
			s.starts, s.startsSince = at, since
		}
	}
	if !s.starts.IsZero() && s.starts.Before(start) {
		s.endBy(p.End(s.starts, term))
	}
	return nil
}

// endBy moves the end of the measure forward, not before its beginning.
func (s *State) endBy(t time.Time) {
	if t.Before(s.Capture.From) {
		t = s.Capture.From
	}
	if t.Before(s.Capture.Until) {
		s.Capture.Until = t
	}
}

// checkWindow holds what every state must keep. o is the member that made it so.
func (s *State) checkWindow(p *Profile, o *record.Order) error {
	if !s.Capture.From.Before(s.Capture.Until) {
		return problem.New(problem.Invalid, "the measure must end after it begins")
	}
	end := s.Cap
	if end.IsZero() && p.CapException.Field != "" { // an earlier extension used the exception
		end = p.capFrom(s.Decided)
	}
	if !end.IsZero() && s.Capture.Until.After(end) {
		x := p.CapException
		if x.Field == "" {
			return problem.Wrap(problem.Denied, errCap, "with all its extensions the measure lasts at most %s, so it ends by %s (%s)", p.Cap, instant(end), p.Cite(p.Cap.Article))
		}
		if o.Kind == record.Extension && !present[x.Field](o) {
			return problem.Wrap(problem.Denied, errCap, "with all its extensions the measure lasts at most %s, so it ends by %s, unless the order gives %s (%s)", p.Cap, instant(end), x.Name, p.Cite(x.Article))
		}
		s.Cap = time.Time{}
	}
	if s.AccessEnd.Before(s.Capture.Until) {
		return problem.New(problem.Invalid, "access to the recordings must not end before the measure does")
	}
	return nil
}

// RuleCap is the rule that no extension passes the statute's cap.
const RuleCap = "cap"

var errCap = errors.New("past the cap")

// RuleOf names the rule by which Admit refused, for the rules whose breaches are counted; else "".
func RuleOf(err error) string {
	if errors.Is(err, errCap) {
		return RuleCap
	}
	return ""
}

// capFrom is the latest end of a measure decided then; zero: there is none.
func (p *Profile) capFrom(decided time.Time) time.Time {
	if p.Cap.None {
		return time.Time{}
	}
	return p.End(decided, p.Cap)
}

// privilege adds to a privileged list, which only grows.
func (p *Profile) privilege(list, more []record.Privilege) ([]record.Privilege, error) {
	list = slices.Clone(list)
	for _, one := range more {
		if !slices.ContainsFunc(p.Privileged, func(c Category) bool { return c.Name == one.Category }) {
			var names []string
			for _, c := range p.Privileged {
				names = append(names, c.Name)
			}
			return nil, problem.New(problem.Invalid, "the order names a privilege that the statute profile does not have; it has %s (%s)", strings.Join(names, ", "), p.Cite(p.Privileged[0].Article))
		}
		if !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	return list, nil
}

// sameChain refuses a member of another chain, court or statute. An attribute
// that a later member may leave out must not differ if it is there.
func (s *State) sameChain(o *record.Order) error {
	if o.Chain != s.Chain {
		return problem.New(problem.Invalid, "the order belongs to another chain")
	}
	if o.Court != s.Court || o.Profile != s.Profile || o.Audience != s.Audience {
		return problem.New(problem.Denied, "only the court that authorised the measure changes it, under the same statute and installation")
	}
	same := func(later, first string) bool { return later == "" || later == first }
	if !same(o.Case, s.Case) || !same(o.PoliceUnit, s.PoliceUnit) || !same(o.Classification, s.Classification) {
		return problem.New(problem.Denied, "case, unit of police and classification are the first order's; a change of them needs a new authorisation")
	}
	if o.Decided.Before(s.Decided) {
		return problem.New(problem.Invalid, "the order was decided before the measure was authorised; correct the date")
	}
	return nil
}

// admitSequenced checks an extension or narrowing against the member that it follows. then is the state when it was decided.
func (s *State) admitSequenced(trail []State, chain []Member, next Member, then *State) error {
	o := &next.Order
	switch {
	case o.Kind != record.Extension && o.Kind != record.Narrowing:
		return problem.New(problem.Invalid, "this kind of order does not continue a chain")
	case o.Sequence < 1 || !o.Lifts.IsZero():
		return problem.New(problem.Invalid, "an extension or narrowing has the sequence number after its predecessor's")
	case then.Revoked, then.Rejected:
		return problem.New(problem.Denied, "the order was revoked; a new authorisation is needed")
	case then.Closed && o.Kind == record.Extension:
		p, err := ProfileOf(s.Profile)
		if err != nil {
			return err
		}
		return problem.New(problem.Denied, "the measure was ended before its time and ceased to all effects (%s); a new authorisation is needed", p.Cite(p.Lapse.Article))
	case o.Sequence > len(trail) && s.Forked:
		return problem.New(problem.Conflict, "two members of the chain have one sequence number; a judge must choose one of them first")
	case o.Sequence > len(trail):
		return problem.New(problem.Conflict, "an earlier member of the chain is missing here; admit it first")
	}
	before := trail[o.Sequence-1]
	if o.Previous != before.Head {
		return problem.New(problem.Conflict, "the order does not name the member before it; sign it again on the chain's present head")
	}
	if siblings := successors(chain, &before); len(siblings) > 0 && hasChoice(chain, siblings) {
		return problem.New(problem.Conflict, "a judge has chosen another member with this sequence number; sign on the chain's present head")
	}
	_, err := before.apply(&next)
	return err
}

// apply gives the state after an extension or narrowing.
func (s State) apply(m *Member) (State, error) {
	o := &m.Order
	p, err := ProfileOf(s.Profile)
	if err != nil {
		return State{}, err
	}
	if err := s.sameChain(o); err != nil {
		return State{}, err
	}
	if o.Decided.Before(s.decidedAt) {
		return State{}, problem.New(problem.Invalid, "the order was decided before the member that it follows; correct the date")
	}
	if o.Kind == record.Extension {
		err = s.extend(p, o)
	} else {
		err = s.narrow(o)
	}
	if err != nil {
		return State{}, err
	}
	if s.Scope, err = narrower(s.Scope, o.Scope); err != nil {
		return State{}, err
	}
	if o.Reports != (record.Reports{}) {
		s.Reports = o.Reports
	}
	if s.Privileged, err = p.privilege(s.Privileged, o.Privileged); err != nil {
		return State{}, err
	}
	s.Head, s.Sequence, s.decidedAt = m.Hash, o.Sequence, o.Decided
	return s, s.checkWindow(p, o)
}

// extend moves the end of the measure. s is a copy: only apply keeps it.
func (s *State) extend(p *Profile, o *record.Order) error {
	if err := s.extendable(p, o); err != nil {
		return err
	}
	if o.Decided.After(s.Capture.Until) {
		return problem.New(problem.Denied, "the measure had expired when the extension was decided and ceased to all effects (%s); a new authorisation is needed", p.Cite(p.Lapse.Article))
	}
	if !o.Capture.From.Equal(s.Capture.Until) {
		return problem.New(problem.Denied, "an extension runs from the earlier expiry, %s (%s)", instant(s.Capture.Until), p.Cite(p.ExtensionTerm.Article))
	}
	if end := p.End(s.Capture.Until, p.ExtensionTerm); o.Capture.Until.After(end) {
		return problem.New(problem.Denied, "an extension is at most %s from the earlier expiry, so it ends by %s (%s)", p.ExtensionTerm, instant(end), p.Cite(p.ExtensionTerm.Article))
	}
	if !o.Capture.Until.After(o.Capture.From) {
		return problem.New(problem.Invalid, "an extension must end after it begins")
	}
	s.Capture.Until = o.Capture.Until
	s.renewals++
	if !o.AccessEnd.IsZero() {
		s.AccessEnd = o.AccessEnd
	}
	return nil
}

// extendable says whether there may be an extension at all.
func (s *State) extendable(p *Profile, o *record.Order) error {
	cite := p.Cite(p.ExtensionTerm.Article)
	switch {
	case o.Reason == "":
		return problem.New(problem.Invalid, "the extension lacks its reasons (%s)", p.Cite(p.ExtensionReason.Article))
	case p.ExtensionTerm.None:
		return problem.New(problem.Denied, "such a measure is not extended; a new authorisation is needed (%s)", cite)
	case p.Renewals > 0 && s.renewals >= p.Renewals:
		return problem.New(problem.Denied, "such a measure is extended %d times at most; a new authorisation is needed (%s)", p.Renewals, cite)
	case s.Urgent && (!s.Confirmed || o.Decided.Before(s.confirmedAt)):
		return problem.New(problem.Conflict, "the urgent measure has not been confirmed by a judge, so there is nothing to extend (%s); admit the confirmation first", p.Cite(p.Urgent.Article))
	case p.Start.Rule == FirstInterception && (s.starts.IsZero() || o.Decided.Before(s.startsSince)) && !o.Decided.After(p.End(s.Decided, p.Start.Latest)):
		return problem.New(problem.Conflict, "the term runs from the first interception, which is not recorded here, so its end is not known (%s); record the milestone %s first", p.Cite(p.Start.Article), FirstInterception)
	}
	return nil
}

// narrow takes away from window, access or scope; what the member leaves out stays.
func (s *State) narrow(o *record.Order) error {
	if o.Reason == "" {
		return problem.New(problem.Invalid, "say why: the order lacks its reason")
	}
	wider := problem.New(problem.Denied, "a narrowing only takes away; a wider scope or a longer time needs an extension or a new authorisation")
	if o.Capture != (record.Window{}) {
		if o.Capture.From.Before(s.Capture.From) || o.Capture.Until.After(s.Capture.Until) {
			return wider
		}
		s.Capture = o.Capture
	}
	if !o.AccessEnd.IsZero() {
		if o.AccessEnd.After(s.AccessEnd) {
			return wider
		}
		s.AccessEnd = o.AccessEnd
	}
	return nil
}

// narrower gives next, which must lie within now, or now if next says nothing.
func narrower(now, next record.Scope) (record.Scope, error) {
	for _, id := range next.Identifiers {
		if !slices.Contains(now.Identifiers, id) {
			return now, problem.New(problem.Denied, "the order names a number or label that the chain does not cover; it needs an authorisation of its own")
		}
	}
	for _, kind := range next.Kinds {
		if !slices.Contains(now.Kinds, kind) {
			return now, problem.New(problem.Denied, "the order names a kind of communication that the chain does not cover; it needs an authorisation of its own")
		}
	}
	if len(next.Identifiers) > 0 {
		now.Identifiers = slices.Clone(next.Identifiers)
	}
	if len(next.Kinds) > 0 {
		now.Kinds = slices.Clone(next.Kinds)
	}
	return now, nil
}

func cloneScope(s record.Scope) record.Scope {
	return record.Scope{Identifiers: slices.Clone(s.Identifiers), Kinds: slices.Clone(s.Kinds)}
}

// successors are the members that follow s by number and predecessor.
func successors(chain []Member, s *State) []*Member {
	var list []*Member
	for i := range chain {
		o := &chain[i].Order
		if o.Sequence == s.Sequence+1 && o.Previous == s.Head && !o.Kind.NamesChain() {
			list = append(list, &chain[i])
		}
	}
	return list
}

// chosen gives the one candidate that stands: the only one, or the only one
// that resumptions choose. Two choices of different members choose nothing.
func chosen(chain []Member, candidates []*Member) *Member {
	if len(candidates) == 1 {
		return candidates[0]
	}
	var picked []*Member
	for _, c := range candidates {
		if hasChoice(chain, []*Member{c}) {
			picked = append(picked, c)
		}
	}
	if len(picked) == 1 {
		return picked[0]
	}
	return nil
}

func hasChoice(chain []Member, candidates []*Member) bool {
	return slices.ContainsFunc(chain, func(m Member) bool {
		return m.Order.Kind == record.Resumption && slices.ContainsFunc(candidates, func(c *Member) bool { return c.Hash == m.Order.Previous })
	})
}

// Open says whether recordings under the chain may be opened at t. Errors:
// problem.Denied while suspended or revoked, problem.Gone after the access end.
func (s State) Open(t time.Time) error {
	switch s.Word(t) {
	case InForce:
		return nil
	case Revoked:
		return problem.New(problem.Denied, "the order was revoked; nothing under it may be opened")
	case Rejected:
		return problem.New(problem.Denied, "the judge did not confirm the urgent measure; nothing under it may be opened")
	case Suspended:
		if s.Forked {
			return problem.New(problem.Denied, "two members of the order have one sequence number; nothing may be opened until a judge chooses")
		}
		return problem.New(problem.Denied, "the order is suspended; nothing under it may be opened until the judge resumes it")
	case Lapsed:
		if s.Urgent && !s.Confirmed {
			return problem.New(problem.Gone, "the urgent measure lapsed by itself on %s, because the judge was not told or did not confirm it in time", instant(s.AccessEnd))
		}
		return problem.New(problem.Gone, "access under the order ended on %s", instant(s.AccessEnd))
	}
	return problem.New(problem.Denied, "the order was not decided yet at this time; check the clock")
}

// The words of a status.
const (
	InForce   = "in-force"
	Suspended = "suspended"
	Revoked   = "revoked"
	Rejected  = "rejected" // an urgent measure, by the judge
	Lapsed    = "lapsed"
	Unknown   = "unknown" // before the decision
)

// Word gives the chain's state at t in one word, as a Status carries it.
func (s State) Word(t time.Time) string {
	switch {
	case s.Revoked:
		return Revoked
	case s.Rejected:
		return Rejected
	case s.Suspended:
		return Suspended
	case s.AccessEnd.IsZero() || !t.Before(s.AccessEnd):
		return Lapsed
	case t.Before(s.Decided.Add(-clockSkew)):
		return Unknown
	}
	return InForce
}

// InForce reports whether recordings may be opened at t.
func (s State) InForce(t time.Time) bool { return s.Word(t) == InForce }

// Capturing reports whether a communication at t may be captured.
func (s State) Capturing(t time.Time) bool { return s.InForce(t) && s.Capture.Contains(t) }

// Covers says whether a communication lies within the order: its identifier and
// kind in the scope, its start and end inside the capture window, the chain
// neither revoked nor suspended. Errors: problem.Denied; problem.Invalid when it
// ends before it starts.
func (s State) Covers(id record.Identifier, kind string, start, end time.Time) error {
	switch {
	case s.Revoked:
		return problem.New(problem.Denied, "the order was revoked; nothing is sealed under it")
	case s.Rejected:
		return problem.New(problem.Denied, "the judge did not confirm the urgent measure; nothing is sealed under it")
	case s.Suspended:
		return problem.New(problem.Denied, "the order is suspended; nothing is sealed under it until the judge resumes it")
	case !slices.Contains(s.Scope.Identifiers, id):
		return problem.New(problem.Denied, "the order does not name this number or label")
	case !slices.Contains(s.Scope.Kinds, kind):
		return problem.New(problem.Denied, "the order does not cover this kind of communication")
	case end.Before(start):
		return problem.New(problem.Invalid, "the communication ends before it starts; check the description")
	case start.Before(s.Capture.From):
		return problem.New(problem.Denied, "the communication started before the order's window, which begins at %s", instant(s.Capture.From))
	case !s.Capture.Contains(start):
		return problem.New(problem.Denied, "the communication started after the order's window, which ended at %s", instant(s.Capture.Until))
	case !s.Capture.Contains(end):
		return problem.New(problem.Denied, "the communication ended after the order's window, which ended at %s", instant(s.Capture.Until))
	}
	return nil
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }
