package law

import (
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// Doomed is a destruction that a judge ordered: a destruction member, or a compartment decision that deletes.
type Doomed struct {
	Member     record.Digest
	Step       int                // 0: only Recordings
	Recordings []record.Reference // empty: the whole chain
	Ready      time.Time          // the point of no return: from here it may be carried out
	Article    string
	Keeps      string // the compartment in which a copy of each recording must lie before it goes; empty: none
	KeepsBy    string // the article that says so
	Blocked    error  // why it may not be carried out at the time that was asked for; nil: it may
	p          *Profile
}

// Destroyable says whether the destruction that a member orders may be carried out at t: a judge ordered it and did not take it back in
// time, what the statute demands has happened, the measure is over, no hold stands, the chain is not suspended, and the undo window is
// over, counted from the decision and also from heard, when the caller came to know of it: the date of a decision is its signer's word, and
// one that is dated back would leave nobody time for a hold. It is a pure function of members and times; a hold wins over everything. Errors:
// problem.NotFound when no member of that hash orders a destruction; why it is not to be carried out is in Blocked.
func Destroyable(chain []Member, member record.Digest, heard, t time.Time) (Doomed, error) {
	all, err := Destructions(chain, t)
	if err != nil {
		return Doomed{}, err
	}
	i := slices.IndexFunc(all, func(d Doomed) bool { return d.Member == member })
	if i < 0 {
		return Doomed{}, problem.New(problem.NotFound, "no member of the order of this hash orders a destruction; nothing is destroyed without a judge's order")
	}
	d := all[i]
	if ready := d.p.End(heard, d.p.Destruction.Undo); ready.After(d.Ready) {
		d.Ready = ready
		if d.Blocked == nil && t.Before(ready) {
			d.Blocked = problem.New(problem.Conflict, "the decision to destroy was heard of on %s and is carried out on %s (%s); until then a hold stops it",
				instant(heard), instant(ready), d.p.Cite(d.p.Destruction.Undo.Article))
		}
	}
	return d, nil
}

// Destructions lists what the members order to be destroyed, in the order of decision, with what stands against each at t.
func Destructions(chain []Member, t time.Time) ([]Doomed, error) {
	s, err := Read(chain)
	if err != nil {
		return nil, err
	}
	p, err := ProfileOf(s.Profile)
	if err != nil {
		return nil, err
	}
	var list []Doomed
	for _, m := range inOrder(chain) {
		if ordersDestruction(&m.Order) {
			d := p.doomed(m)
			d.Blocked = p.against(chain, &s, m, d, t)
			list = append(list, d)
		}
	}
	return list, nil
}

// inOrder sorts members by decision, and by hash where that is the same: a list must not depend on the order of arrival.
func inOrder(chain []Member) []Member {
	sorted := slices.Clone(chain)
	slices.SortFunc(sorted, func(a, b Member) int {
		if c := a.Order.Decided.Compare(b.Order.Decided); c != 0 {
			return c
		}
		return slices.Compare(a.Hash[:], b.Hash[:])
	})
	return sorted
}

func ordersDestruction(o *record.Order) bool {
	return o.Kind == record.Destruction || o.Kind == record.Compartment && o.Verdict == record.VerdictDelete
}

func (p *Profile) doomed(m Member) Doomed {
	d := Doomed{Member: m.Hash, Step: m.Order.Step, Recordings: m.Order.Recordings, Ready: p.ready(&m.Order), Article: p.Cite(p.Destruction.Named.Article), p: p}
	if step, known := p.step(d.Step); known {
		d.Article = p.Cite(step.Article)
		if step.Keeps.Rule != "" {
			d.Keeps, d.KeepsBy = step.Keeps.Rule, p.Cite(step.Keeps.Article)
		}
	}
	return d
}

func (p *Profile) ready(o *record.Order) time.Time { return p.End(o.Decided, p.Destruction.Undo) }

// against says what stands against a destruction at t. A hold comes first: whatever else is wrong, that is what must not be missed.
func (p *Profile) against(chain []Member, s *State, m Member, d Doomed, t time.Time) error {
	if held(chain, d, t) {
		return problem.New(problem.Denied, "a hold stands, so nothing of it is destroyed (%s); a judge lifts it", p.Cite(p.Hold.Article))
	}
	if s.Suspended {
		return problem.New(problem.Denied, "the order is suspended, so nothing under it is destroyed until the judge resumes it")
	}
	if takenBack(p, chain, &m) {
		return problem.New(problem.Gone, "the judge took the destruction back")
	}
	if d.Step > 0 && t.Before(s.Capture.Until) {
		return problem.New(problem.Denied, "the measure runs until %s, so nothing is destroyed yet (%s)", instant(s.Capture.Until), d.Article)
	}
	if err := p.triggered(chain, s, d.Step, t); err != nil {
		return err
	}
	if t.Before(d.Ready) {
		return problem.New(problem.Conflict, "the destruction can be taken back until %s and is carried out then (%s)", instant(d.Ready), p.Cite(p.Destruction.Undo.Article))
	}
	return nil
}

// Held reports whether a hold stands at t on any of the recordings: a caller knows of more that a destruction takes than its member names.
func Held(chain []Member, recordings []record.Reference, t time.Time) bool {
	return len(recordings) > 0 && held(chain, Doomed{Recordings: recordings}, t)
}

// held reports whether a hold stands at t on anything that would be destroyed.
func held(chain []Member, d Doomed, t time.Time) bool {
	for i := range chain {
		if stands(chain, &chain[i], t) && touches(chain[i].Order.Recordings, d.Recordings) {
			return true
		}
	}
	return false
}

// stands reports whether m is a hold that nobody lifted and that has not ended.
func stands(chain []Member, m *Member, t time.Time) bool {
	return m.Order.Kind == record.Hold && (m.Order.Until.IsZero() || t.Before(m.Order.Until)) && !lifted(chain, record.Lifting, m.Hash)
}

// touches reports whether two lists of recordings, of which an empty one means all, have one in common.
func touches(a, b []record.Reference) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(r record.Reference) bool { return slices.Contains(b, r) })
}

// takenBack reports whether a lifting that was decided before the point of no return names the member.
func takenBack(p *Profile, chain []Member, m *Member) bool {
	for i := range chain {
		if o := &chain[i].Order; o.Kind == record.Lifting && o.Lifts == m.Hash && o.Decided.Before(p.ready(&m.Order)) {
			return true
		}
	}
	return false
}

// triggered says whether what the statute demands before a step had happened at t.
func (p *Profile) triggered(chain []Member, s *State, number int, t time.Time) error {
	if number == 0 {
		if p.Destruction.Named.Rule == "any-time" {
			return nil
		}
		number = record.OperationalCopies
	}
	step, known := p.step(number)
	if !known {
		return problem.New(problem.Invalid, "the statute profile %s has no step %d of destruction; it has %d", p.Name, number, len(p.Destruction.Steps))
	}
	var wanted []string
	for i := range step.Triggers {
		trigger := &step.Triggers[i]
		when := p.happened(chain, s, trigger)
		if !when.IsZero() && !t.Before(when) {
			return nil
		}
		if wanted = append(wanted, trigger.String()); !when.IsZero() {
			wanted[len(wanted)-1] += ", which is on " + instant(when)
		}
	}
	return problem.New(problem.Conflict, "nothing is destroyed before the statute allows it: it waits for %s (%s)", strings.Join(wanted, ", or "), p.Cite(step.Article))
}

// String is the trigger in words, as "5 years after sentence-executed".
func (t Trigger) String() string {
	if t.After == (Term{}) {
		return t.Event
	}
	return t.After.String() + " after " + t.Event
}

// happened is when a trigger is reached, as things are known; zero: not known to be.
func (p *Profile) happened(chain []Member, s *State, trigger *Trigger) time.Time {
	at := p.eventAt(chain, s, trigger.Event)
	if at.IsZero() || trigger.After == (Term{}) {
		return at
	}
	return p.End(at, trigger.After)
}

// eventAt is when an event happened; of a milestone that was recorded more than once the latest, which destroys nothing early.
func (p *Profile) eventAt(chain []Member, s *State, event string) (at time.Time) {
	if event == eventEnd {
		return s.Capture.Until
	}
	for i := range chain {
		o := &chain[i].Order
		switch {
		case event == eventRejection && o.Kind == record.Rejection && o.Decided.After(at):
			at = o.Decided
		case o.Kind == record.Milestone && o.Milestone.Name == event && o.Milestone.At.After(at):
			at = o.Milestone.At
		}
	}
	return at
}

func admitDestruction(p *Profile, chain []Member, s *State, o *record.Order) error {
	if o.Step > 0 && o.Decided.Before(s.Capture.Until) {
		return problem.New(problem.Denied, "the measure runs until %s, so no step of destruction is ordered yet", instant(s.Capture.Until))
	}
	return p.triggered(chain, s, o.Step, o.Decided)
}

// admitLifting checks that what it names can be lifted: a hold at any time, a destruction before the point of no return.
func admitLifting(p *Profile, chain []Member, o *record.Order) error {
	i := slices.IndexFunc(chain, func(m Member) bool {
		return m.Hash == o.Lifts && (m.Order.Kind == record.Hold || ordersDestruction(&m.Order))
	})
	if i < 0 {
		return problem.New(problem.Conflict, "the hold or destruction that the lifting names is not known here; admit it first")
	}
	if of := &chain[i].Order; of.Kind != record.Hold && !o.Decided.Before(p.ready(of)) {
		return problem.New(problem.Denied, "the destruction could be taken back until %s; it may be carried out already (%s)", instant(p.ready(of)), p.Cite(p.Destruction.Undo.Article))
	}
	return nil
}
