package law

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// urgency works out whether an urgent measure was told of and confirmed in time. It sets when it lapses by itself while that is not known.
func (s *State) urgency(p *Profile, chain []Member) error {
	if !s.Urgent {
		return nil
	}
	u := p.Urgent
	if u.None {
		return problem.New(problem.Denied, "the statute has no urgent procedure, so a judge authorises the measure (%s)", p.Cite(u.Article))
	}
	tellBy, confirmBy := time.Time{}, p.End(s.Decided, u.Confirm)
	if !u.Tell.None {
		tellBy = p.End(s.Decided, u.Tell)
	}
	told := u.Tell.None
	for i := range chain {
		o := &chain[i].Order
		switch o.Kind {
		case record.Milestone:
			told = told || o.Milestone.Name == Told && o.Milestone.At.Before(tellBy)
		case record.Confirmation: // who confirms has been told
			told = told || o.Decided.Before(tellBy)
			if o.Decided.Before(confirmBy) && (!s.Confirmed || o.Decided.Before(s.confirmedAt)) {
				s.Confirmed, s.confirmedAt = true, o.Decided
			}
		}
	}
	if !told {
		s.TellBy = tellBy
	}
	if !s.Confirmed {
		s.ConfirmBy = confirmBy
	}
	return nil
}

// lapsesBy is when an urgent measure ends by itself as things are known; zero: not.
func (s *State) lapsesBy() time.Time {
	if s.TellBy.IsZero() || !s.ConfirmBy.IsZero() && s.ConfirmBy.Before(s.TellBy) {
		return s.ConfirmBy
	}
	return s.TellBy
}

// stop applies the members that name the chain only.
func (s *State) stop(chain []Member) {
	s.Suspended = s.Forked
	for i := range chain {
		m := &chain[i]
		if !m.Order.Kind.NamesChain() {
			continue
		}
		s.Stops = append(s.Stops, m.Hash)
		switch m.Order.Kind {
		case record.Revocation:
			s.Revoked = true
		case record.Rejection:
			s.Rejected = true
		case record.Closing:
			s.Closed = true
			s.endBy(m.Order.Decided)
		case record.Suspension:
			s.Suspended = s.Suspended || !lifted(chain, record.Resumption, m.Hash)
		}
	}
	if end := s.lapsesBy(); !end.IsZero() {
		s.endBy(end)
		if end.Before(s.AccessEnd) {
			s.AccessEnd = end
		}
	}
	slices.SortFunc(s.Stops, func(a, b record.Digest) int { return bytes.Compare(a[:], b[:]) })
}

// lifted reports whether a member of that kind lifts another.
func lifted(chain []Member, by record.OrderKind, hash record.Digest) bool {
	for i := range chain {
		if chain[i].Order.Kind == by && chain[i].Order.Lifts == hash {
			return true
		}
	}
	return false
}

// admitStop checks a member that names the chain only against what had been decided before it.
func (s *State) admitStop(chain []Member, o *record.Order) error {
	p, err := ProfileOf(s.Profile)
	if err != nil {
		return err
	}
	lifts := o.Kind == record.Resumption || o.Kind == record.Lifting
	if o.Sequence != 0 || !lifts && !o.Lifts.IsZero() || o.Kind != record.Resumption && !o.Previous.IsZero() {
		return problem.New(problem.Invalid, "a revocation or suspension names the chain and nothing else, so that it applies at once")
	}
	if o.Reason == "" && o.Kind != record.Milestone {
		return problem.New(problem.Invalid, "say why: the order lacks its reason")
	}
	switch o.Kind {
	case record.Resumption:
		return admitResumption(chain, o)
	case record.Confirmation, record.Rejection:
		return s.admitVerdict(p, o)
	case record.Milestone:
		return s.admitMilestone(p, o)
	case record.Hold:
		if !o.Until.IsZero() && !o.Until.After(o.Decided) {
			return problem.New(problem.Invalid, "the hold ends before it was decided (%s)", p.Cite(p.Hold.Article))
		}
	case record.Lifting:
		return admitLifting(p, chain, o)
	case record.Destruction:
		return admitDestruction(p, chain, s, o)
	case record.Notice:
		return admitNotice(p, o)
	}
	return nil
}

func admitResumption(chain []Member, o *record.Order) error {
	lifts := func(m Member) bool { return m.Hash == o.Lifts && m.Order.Kind == record.Suspension }
	chooses := func(m Member) bool { return m.Hash == o.Previous && !m.Order.Kind.NamesChain() && m.Order.Sequence > 0 }
	if o.Lifts.IsZero() == o.Previous.IsZero() {
		return problem.New(problem.Invalid, "a resumption names either the suspension that it lifts or, of two members with one number, the one that it chooses")
	}
	if !slices.ContainsFunc(chain, lifts) && !slices.ContainsFunc(chain, chooses) {
		return problem.New(problem.Conflict, "the suspension or member that the resumption names is not known here; admit it first")
	}
	return nil
}

// admitVerdict checks a judge's confirmation or rejection of an urgent measure. A rejection counts whatever else is known; a confirmation
// revives nothing.
func (s *State) admitVerdict(p *Profile, o *record.Order) error {
	cite := p.Cite(p.Urgent.Article)
	switch {
	case !s.Urgent:
		return problem.New(problem.Invalid, "the measure was authorised by a judge, so there is nothing to confirm or reject (%s)", cite)
	case o.Kind == record.Rejection:
		return nil
	case s.Rejected:
		return problem.New(problem.Denied, "the judge has not confirmed the measure, and a later confirmation does not revive it; a new authorisation is needed (%s)", cite)
	}
	confirmBy := p.End(s.Decided, p.Urgent.Confirm)
	if !o.Decided.Before(confirmBy) {
		return problem.New(problem.Denied, "the urgent measure lapsed by itself at %s, unconfirmed for %s; a new authorisation is needed (%s)", instant(confirmBy), p.Urgent.Confirm, p.Cite(p.Urgent.Confirm.Article))
	}
	if !s.TellBy.IsZero() && !o.Decided.Before(s.TellBy) {
		return problem.New(problem.Conflict, "nothing here says that the judge was told within %s, so the urgent measure lapsed at %s (%s); if it was, admit the milestone %s first",
			p.Urgent.Tell, instant(s.TellBy), p.Cite(p.Urgent.Tell.Article), Told)
	}
	return nil
}

func (s *State) admitMilestone(p *Profile, o *record.Order) error {
	f := o.Milestone
	w, known := p.milestone(f.Name)
	if !known {
		var names []string
		for _, w := range p.Milestones {
			names = append(names, w.Name)
		}
		return problem.New(problem.Invalid, "the statute profile %s knows no milestone of this name; it knows %s", p.Name, strings.Join(names, ", "))
	}
	cite := p.Cite(w.Article)
	switch {
	case f.At.Before(s.Decided) || f.At.After(o.Decided):
		return problem.New(problem.Invalid, "a milestone was reached after the measure was authorised and before it is recorded; correct the time (%s)", cite)
	case f.Name == Told && !s.Urgent:
		return problem.New(problem.Invalid, "the measure was authorised by a judge, who need not be told (%s)", cite)
	case f.Name == Told && !f.At.Before(p.End(s.Decided, p.Urgent.Tell)):
		return problem.New(problem.Denied, "the judge was told after %s, when the urgent measure had lapsed by itself at %s (%s)", p.Urgent.Tell, instant(p.End(s.Decided, p.Urgent.Tell)), cite)
	}
	return nil
}

// startMoves refuses a first interception under an extension that was decided on another start: whatever came first, the extension's own
// beginning would be wrong.
func (s *State) startMoves(o *record.Order) error {
	p, err := ProfileOf(s.Profile)
	if err != nil || o.Milestone.Name != FirstInterception || s.renewals == 0 {
		return err
	}
	at, start := o.Milestone.At, p.End(s.Decided, p.Start.Latest)
	if !s.starts.IsZero() && s.starts.Before(start) {
		start = s.starts
	}
	if !at.Before(start) {
		return nil
	}
	return problem.New(problem.Conflict, "an extension was decided on the term as it was, so its start does not move any more (%s); revoke the order if it is wrong", p.Cite(p.Start.Article))
}

func admitNotice(p *Profile, o *record.Order) error {
	n := p.Notification
	switch {
	case n.None && o.Verdict != record.VerdictDone:
		return problem.New(problem.Invalid, "the statute knows no duty to notify that could be deferred or waived (%s)", p.Cite(n.Article))
	case o.Verdict == record.VerdictWaive && !n.Waiver:
		return problem.New(problem.Denied, "the statute does not let the notification be waived for good; defer it (%s)", p.Cite(n.Article))
	case o.Verdict == record.VerdictDefer && !o.Until.After(o.Decided):
		return problem.New(problem.Invalid, "the deferral ends before it was decided (%s)", p.Cite(n.Article))
	}
	return nil
}
