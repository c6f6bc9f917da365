package law

import (
	"cmp"
	"slices"
	"time"

	"arca.example/arca/shared/record"
)

// ClockState says where a clock stands.
type ClockState string

// The states of a clock. A duty goes from pending over due to overdue until it is done; a term that is over has lapsed.
const (
	Pending   ClockState = "pending" // not yet close; or nothing has started it
	Due       ClockState = "due"     // within the warning
	Overdue   ClockState = "overdue"
	Fulfilled ClockState = "done"
	Ended     ClockState = "lapsed" // a term: over. An urgent measure: ended by itself
)

// Clock is one thing that the statute or the order says about time.
type Clock struct {
	Name     string        `json:"name"`
	Due      time.Time     `json:"due,omitzero"`  // zero: nothing has started it, see Awaits
	Warn     time.Time     `json:"warn,omitzero"` // when those concerned are told
	State    ClockState    `json:"state"`
	Done     time.Time     `json:"done,omitzero"`
	Awaits   string        `json:"awaits,omitempty"` // what starts it
	Says     string        `json:"says"`
	Article  string        `json:"article"`
	Concerns []record.Role `json:"concerns"`
}

// The names of the clocks.
const (
	ClockTerm         = "term-end"
	ClockAccess       = "access-end"
	ClockCap          = "cap"
	ClockTold         = "told"
	ClockConfirmation = "confirmation"
	ClockReport       = "report"
	ClockFinalReport  = "final-report"
	ClockSealing      = "sealing"
	ClockNotification = "notification"
	ClockRetention    = "retention"     // from then on a destruction may be ordered
	ClockDestruction  = "destruction-1" // and destruction-2: an order is due
	ClockExecution    = "execution-1"   // and execution-2: carried out and certified
	ClockReview       = "review"
	ClockHold         = "hold"
)

// ClockNames are all of them, as a setting may name one.
var ClockNames = []string{ClockTerm, ClockAccess, ClockCap, ClockTold, ClockConfirmation, ClockReport, ClockFinalReport, ClockSealing, ClockNotification,
	ClockRetention, ClockDestruction, "destruction-2", ClockExecution, "execution-2", ClockReview, ClockHold}

var (
	courtAndPolice = []record.Role{record.Judge, record.Clerk, record.Supervisor}
	court          = []record.Role{record.Judge, record.Clerk}
	policeAndCourt = []record.Role{record.Supervisor, record.Judge}
)

// Delivered is a report that a keyholder holds, as the milestone that says so: who works out clocks puts it beside the members. It is no
// member: nobody signed it, and the chain's state does not rest on it.
func Delivered(s *State, report record.Digest, at time.Time, final bool) Member {
	name := Report
	if final {
		name = FinalReport
	}
	return Member{Hash: report, Order: record.Order{Audience: s.Audience, Chain: s.Chain, Court: s.Court, Decided: at, Kind: record.Milestone,
		Milestone: record.Fact{Name: name, At: at}, Profile: s.Profile}}
}

// watch works out the clocks of one chain.
type watch struct {
	p     *Profile
	s     State
	chain []Member
	now   time.Time
	out   []Clock
}

// Clocks works out every clock of a chain at an instant, in a fixed order: the same members give the same clocks in whatever order they
// arrived. It costs some microseconds, so that a schedule can decide all orders of an installation at once.
func Clocks(chain []Member, now time.Time) ([]Clock, error) {
	s, err := Read(chain)
	if err != nil {
		return nil, err
	}
	p, err := ProfileOf(s.Profile)
	if err != nil {
		return nil, err
	}
	w := watch{p: p, s: s, chain: chain, now: now, out: make([]Clock, 0, 12)}
	w.urgent()
	w.terms()
	w.reports()
	w.afterwards()
	w.destruction()
	w.keeping()
	return w.out, nil
}

// add puts a clock in: done is zero while the duty is open.
func (w *watch) add(c Clock, term Term, done time.Time) {
	c.Article, c.Done = w.p.Cite(cmp.Or(c.Article, term.Article)), done
	if !c.Due.IsZero() {
		c.Warn = w.warning(term).before(c.Due)
	}
	switch {
	case !done.IsZero():
		c.State = Fulfilled
	case c.Due.IsZero() || w.now.Before(c.Warn):
		c.State = Pending
	case w.now.Before(c.Due):
		c.State = Due
	default:
		c.State = Overdue
	}
	w.out = append(w.out, c)
}

// limit is add for a term that nobody has to do anything about in order that it ends.
func (w *watch) limit(c Clock, term Term) {
	w.add(c, term, time.Time{})
	if last := &w.out[len(w.out)-1]; last.State == Overdue {
		last.State = Ended
	}
}

// warning is how long before its end a term is warned of.
func (w *watch) warning(t Term) Term {
	switch {
	case t.Hours > 0 || t.WorkingDays > 0:
		return w.p.Warn.Short
	case t.Years > 0 || t.Months > 0 || t.Days >= 28:
		return w.p.Warn.Long
	}
	return w.p.Warn.Days
}

// milestone is when a milestone was reached; the latest, if it was more than once.
func (w *watch) milestone(name string) time.Time { return w.p.eventAt(w.chain, &w.s, name) }

func (w *watch) urgent() {
	if !w.s.Urgent {
		return
	}
	u := w.p.Urgent
	concerned := []record.Role{u.By, record.Judge, record.Clerk}
	if !u.Tell.None {
		w.duty(Clock{Name: ClockTold, Due: w.p.End(w.s.Decided, u.Tell), Concerns: concerned,
			Says: "tell the judge of the urgent measure; untold it lapses by itself"}, u.Tell, w.s.TellBy.IsZero())
	}
	w.duty(Clock{Name: ClockConfirmation, Due: w.p.End(w.s.Decided, u.Confirm), Concerns: concerned,
		Says: "the judge confirms the urgent measure or does not; unconfirmed it lapses by itself"}, u.Confirm, w.s.Confirmed || w.s.Rejected)
}

// duty is one of an urgent measure: met in time, or the measure has lapsed.
func (w *watch) duty(c Clock, term Term, met bool) {
	w.limit(c, term)
	if met {
		w.out[len(w.out)-1].State = Fulfilled
	}
}

func (w *watch) terms() {
	term := w.p.FirstTerm
	if w.s.Sequence > 0 && w.s.renewals > 0 {
		term = w.p.ExtensionTerm
	}
	says := "the measure ends by itself; an extension is decided before"
	switch {
	case w.s.Closed:
		says = "the measure was ended before its time"
	case w.s.Rejected:
		says = "the judge did not confirm the urgent measure"
	case w.s.Urgent && !w.s.Confirmed:
		says = "the urgent measure ends by itself, unless the judge is told and confirms it in time"
	}
	w.limit(Clock{Name: ClockTerm, Due: w.s.Capture.Until, Concerns: courtAndPolice, Says: says}, term)
	if !w.s.Cap.IsZero() {
		w.limit(Clock{Name: ClockCap, Due: w.s.Cap, Concerns: courtAndPolice, Says: "the latest end with all extensions"}, w.p.Cap)
	}
	w.limit(Clock{Name: ClockAccess, Due: w.s.AccessEnd, Article: w.p.item("accessEnd"), Concerns: courtAndPolice, Says: "recordings are opened no longer"}, w.p.FirstTerm)
}

// item gives the article key behind a field of the order.
func (p *Profile) item(field string) string {
	i := slices.IndexFunc(p.Items, func(i Item) bool { return i.Field == field })
	return p.Items[i].Article // check made sure of it
}

// dead reports whether the measure never had effect, so that its ordinary duties have no object.
func (w *watch) dead() bool { return w.s.Rejected }

func (w *watch) reports() {
	if w.dead() {
		return
	}
	if every := w.s.Reports.EveryDays; w.p.Reports.Cadence == "order" && every > 0 {
		if due, done, ok := w.nextReport(every); ok {
			w.add(Clock{Name: ClockReport, Due: due, Article: w.p.Reports.Article, Concerns: policeAndCourt,
				Says: "report to the judge, as the order asks for it"}, Term{Days: min(every, 14)}, done)
		}
	}
	if f := w.p.Reports.Final; !f.None {
		w.add(Clock{Name: ClockFinalReport, Due: w.p.End(w.s.Capture.Until, f), Concerns: policeAndCourt,
			Says: "report to the judge that the measure is over, and its results"}, f, w.after(FinalReport))
	}
}

// after is when a milestone was reached at or after the end of the measure, whatever was recorded before.
func (w *watch) after(name string) time.Time {
	if at := w.milestone(name); !at.Before(w.s.Capture.Until) {
		return at
	}
	return time.Time{}
}

// nextReport is the first report of the order's cadence that is missing, or the last if none is. A report serves the earliest date that is
// open and whose period has begun, so several at once serve no date far ahead. ok is false where no date lies within the measure.
func (w *watch) nextReport(every int) (due, done time.Time, ok bool) {
	start, until := w.s.Capture.From, w.s.Capture.Until
	dates := int(until.Sub(start)/(24*time.Hour)) / every
	if dates > 0 && !start.AddDate(0, 0, dates*every).Before(until) {
		dates-- // the one on the day of the end is the final report
	}
	if dates == 0 {
		return due, done, false
	}
	var given []time.Time
	for i := range w.chain {
		if o := &w.chain[i].Order; o.Kind == record.Milestone && o.Milestone.Name == Report {
			given = append(given, o.Milestone.At)
		}
	}
	slices.SortFunc(given, time.Time.Compare)
	served := 0
	for _, at := range given {
		if served < dates && at.After(start.AddDate(0, 0, served*every)) {
			served, done = served+1, at
		}
	}
	if served < dates {
		return start.AddDate(0, 0, (served+1)*every), time.Time{}, true
	}
	return start.AddDate(0, 0, dates*every), done, true
}

func (w *watch) afterwards() {
	if w.dead() {
		return
	}
	if s := w.p.Sealing; !s.None {
		w.add(Clock{Name: ClockSealing, Due: w.p.End(w.s.Capture.Until, s), Concerns: policeAndCourt,
			Says: "the recordings are delivered and sealed"}, s, w.after(Sealed))
	}
	w.notification()
}

func (w *watch) notification() {
	n := w.p.Notification
	if n.None {
		return
	}
	c := Clock{Name: ClockNotification, Article: n.Article, Concerns: court, Says: "notify the persons intercepted, or have a judge defer it"}
	if from := w.milestone(n.From); from.IsZero() {
		c.Awaits = n.From
	} else {
		c.Due = w.p.End(latest(from, w.s.Capture.Until), n.Within)
	}
	var done time.Time
	for _, m := range w.of(record.Notice) {
		switch o := &m.Order; o.Verdict {
		case record.VerdictDefer: // a later deferral stands for an earlier one
			c.Due, c.Awaits = o.Until, ""
			c.Says = "the deferral of the notification ends; notify the persons intercepted, or have a judge defer it again"
		case record.VerdictWaive:
			done, c.Says = o.Decided, "the judge waived the notification"
		default:
			done, c.Says = o.Decided, "the persons intercepted were notified"
		}
	}
	w.add(c, n.Within, done)
}

// of lists the members of a kind in the order of decision.
func (w *watch) of(kind record.OrderKind) (list []Member) {
	for i := range w.chain {
		if w.chain[i].Order.Kind == kind {
			list = append(list, w.chain[i])
		}
	}
	return inOrder(list)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (w *watch) destruction() {
	for i := range w.p.Destruction.Steps {
		w.step(&w.p.Destruction.Steps[i])
	}
}

// step gives two clocks: that a destruction is ordered, and that it was carried out and certified.
func (w *watch) step(step *Step) {
	due := w.demand(step)
	if !due.allowed.IsZero() && due.demanded.IsZero() {
		w.limit(Clock{Name: ClockRetention, Due: due.allowed, Article: step.Article, Concerns: court,
			Says: step.kept}, Term{Years: 1})
		due.awaits = "a judge, who may order it from " + instant(due.allowed)
	}
	var ordered, ready time.Time
	for i := range w.chain {
		if o := &w.chain[i].Order; o.Kind == record.Destruction && o.Step == step.Step && !takenBack(w.p, w.chain, &w.chain[i]) && (ordered.IsZero() || o.Decided.Before(ordered)) {
			ordered, ready = o.Decided, w.p.ready(o)
		}
	}
	hold := held(w.chain, Doomed{Step: step.Step}, w.now)
	c := Clock{Name: step.clock, Due: due.demanded, Awaits: due.awaits, Article: step.Article, Concerns: court, Says: step.orders}
	if hold && ordered.IsZero() {
		c.Due, c.Awaits = time.Time{}, "the end of a hold"
	}
	w.add(c, due.term, ordered)
	if ordered.IsZero() {
		return
	}
	c = Clock{Name: step.execution, Due: ready, Concerns: []record.Role{record.Clerk, record.Custodian}, Article: step.Article,
		Says: "the destruction is carried out, and its certificate filed"}
	done := w.milestone(step.destroyed)
	if hold && done.IsZero() {
		c.Due, c.Awaits = time.Time{}, "the end of a hold"
	}
	w.add(c, w.p.Destruction.Undo, done)
}

// demand is what the triggers of a step come to.
type demand struct {
	allowed, demanded time.Time // zero: nothing known allows, or demands, an order
	term              Term      // of the trigger that demands
	awaits            string
}

func (w *watch) demand(step *Step) demand {
	d := demand{term: Term{Days: 1}}
	for i := range step.Triggers {
		t := &step.Triggers[i]
		at := w.p.happened(w.chain, &w.s, t)
		if at.IsZero() {
			continue
		}
		if d.allowed.IsZero() || at.Before(d.allowed) {
			d.allowed = at
		}
		if t.Demands && (d.demanded.IsZero() || at.Before(d.demanded)) {
			d.demanded = at
			if t.After != (Term{}) {
				d.term = t.After
			}
		}
	}
	if d.demanded.IsZero() {
		d.awaits = step.awaits
	}
	return d
}

// keeping are the review of the need to keep, until everything is destroyed, and the ends of holds.
func (w *watch) keeping() {
	last := &w.p.Destruction.Steps[len(w.p.Destruction.Steps)-1]
	if r := w.p.Review; !r.None && w.milestone(last.destroyed).IsZero() {
		from := latest(w.s.Decided, w.milestone(Reviewed))
		w.add(Clock{Name: ClockReview, Due: w.p.End(from, r), Concerns: court, Says: "review whether the recordings still have to be kept"}, r, time.Time{})
	}
	for _, m := range w.of(record.Hold) {
		if o := &m.Order; !o.Until.IsZero() && stands(w.chain, &m, w.now) {
			w.limit(Clock{Name: ClockHold, Due: o.Until, Article: w.p.Hold.Article, Concerns: court, Says: "a hold ends; what it kept may then be destroyed"}, Term{Days: 30})
		}
	}
}
