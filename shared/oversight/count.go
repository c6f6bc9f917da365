package oversight

import (
	"crypto/sha256"
	"strings"

	"github.com/go-json-experiment/json"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// count counts an event that stands before the end of the period. Members of an order are kept from before its beginning too: what is
// overdue at the end may be an older order's.
func (j *Journal) count(e *record.Event) error {
	inside := j.c.Period.Contains(e.Time)
	if e.Kind == record.EventAdmitted {
		var b record.AdmittedEvent
		if err := json.Unmarshal(e.Body, &b); err != nil {
			return j.broken(err)
		}
		return j.member(&b, inside)
	}
	if !inside {
		return nil
	}
	switch e.Kind {
	case record.EventNoted:
		return j.delivery(e)
	case record.EventReleased:
		j.c.add("released", "answers", 1)
	case record.EventRefused:
		return j.refusal(e)
	case record.EventAsked, record.EventApproved, record.EventDenied:
		j.c.add("requests", string(e.Kind), 1)
	case record.EventFound, record.EventOpened, record.EventCopied, record.EventDisclosed, record.EventAnnotated, record.EventMoved:
		return j.act(e)
	case record.EventLapsed, record.EventWarned:
		return j.clock(e)
	case record.EventReported:
		return j.report(e)
	case record.EventDeposited:
		j.c.add("deliveries", "deposited", 1)
	case record.EventDestroyed:
		j.c.add("destruction", "certified", 1)
	case record.EventUnit, record.EventClosed, record.EventTrust:
		j.c.add("keeping", string(e.Kind), 1)
	case record.EventEnrolled, record.EventSuspended:
		j.c.add("people", string(e.Kind), 1)
	default:
		j.other(string(e.Kind))
	}
	return nil
}

// other counts what this version has no line for by its name, so that nothing is passed over in silence.
func (j *Journal) other(kind string) {
	if record.CheckName(kind) != nil || kind == "" {
		kind = "without a name"
	}
	j.c.add("other", kind, 1)
}

// member counts a member of the order, and keeps it.
func (j *Journal) member(b *record.AdmittedEvent, inside bool) error {
	st, err := record.Peek(b.Statement)
	if err != nil || st.Hash != b.Member || st.Type != record.TypeOrder {
		return j.broken(err)
	}
	m := law.Member{Hash: st.Hash}
	if err := record.Unmarshal(st.Payload, &m.Order); err != nil || m.Order.Validate() != nil || m.Order.Kind != b.Kind {
		return j.broken(err)
	}
	switch p, known := j.c.People[st.Author]; {
	case !known:
		j.c.add("errors", "unverified", 1)
	default:
		if _, err := record.Open(b.Statement, record.TypeOrder, p.Key, nil); err != nil {
			return j.broken(err)
		}
	}
	j.members = append(j.members, m)
	if inside {
		j.admitted(&m.Order)
	}
	return nil
}

// admitted counts a member that was admitted in the period.
func (j *Journal) admitted(o *record.Order) {
	c := j.c
	switch o.Kind {
	case record.Authorisation:
		j.begun = true
		j.initial(o)
	case record.Extension:
		first := j.first()
		c.add("orders", "extension", 1)
		c.add("extensions-by-statute", first.Profile, 1)
		c.add("extensions-by-offence", offence(first), 1)
		c.add("extensions-by-court", first.Court, 1)
		c.addSpan("extension", o.Capture)
		c.proceeding(first)
	case record.Narrowing:
		c.add("orders", "modified", 1)
	case record.Milestone:
		j.milestone(o.Milestone.Name)
	case record.Notice:
		c.add("notices", o.Verdict, 1)
	case record.Compartment:
		c.add("privileged", o.Verdict, len(o.Recordings))
	case record.Destruction:
		c.add("destruction", "ordered-"+step(o.Step), 1)
	default:
		c.add("course", string(o.Kind), 1)
	}
}

func step(n int) string { return []string{"named", "1", "2"}[n] }

// first is the authorisation that the case began with, or the member in hand where it is missing.
func (j *Journal) first() *record.Order {
	for i := range j.members {
		if j.members[i].Order.Kind == record.Authorisation {
			return &j.members[i].Order
		}
	}
	return &j.members[len(j.members)-1].Order
}

func (j *Journal) initial(o *record.Order) {
	c := j.c
	c.add("orders", "initial", 1)
	c.add("initial-by-statute", o.Profile, 1)
	c.add("initial-by-offence", offence(o), 1)
	c.add("initial-by-court", o.Court, 1)
	by := "judge"
	if o.Urgent {
		by = "urgent"
	}
	c.add("initial-by-procedure", by, 1)
	for _, kind := range record.CommunicationKinds {
		covered := "other"
		for _, k := range o.Scope.Kinds {
			if k == kind {
				covered = "covered"
			}
		}
		c.add("scope-"+kind, covered, 1)
	}
	c.addSpan("initial", o.Capture)
	c.proceeding(o)
}

// offence is the group that the order states as a code. Its grounds are free text, which nothing here reads.
func offence(o *record.Order) string {
	if o.Grounds.Group == "" {
		return notStated
	}
	return o.Grounds.Group
}

func (c *Counter) proceeding(o *record.Order) {
	h := sha256.Sum256([]byte(o.Court + "\x00" + o.Case))
	if !c.cases[h] {
		c.cases[h] = true
		c.add("proceedings", "proceedings", 1)
	}
}

func (j *Journal) milestone(name string) {
	switch {
	case name == law.Report, name == law.FinalReport:
		j.c.add("reports", name, 1)
	case strings.HasPrefix(name, "destroyed-"):
		j.c.add("destruction", "done-"+strings.TrimPrefix(name, "destroyed-"), 1)
	default:
		j.c.add("milestones", name, 1)
	}
}

// delivery counts the recordings of a batch: those that collectors delivered, and what readers sealed of them.
func (j *Journal) delivery(e *record.Event) error {
	var b record.NotedEvent
	if err := json.Unmarshal(e.Body, &b); err != nil {
		return j.broken(err)
	}
	st, err := seal.ParseStatement(b.Signed)
	if err != nil {
		return j.broken(err)
	}
	row := st.Unit.Compartment
	if row != "main" && row != "privileged" {
		row = "elsewhere"
	}
	if p, known := j.c.People[b.Collector]; known && !p.Of(record.Collector) {
		row = "readers"
	}
	j.c.add("recordings", row, int(st.Members))
	j.c.add("deliveries", "batches", 1)
	return nil
}

// refusal counts what was refused by what it was.
func (j *Journal) refusal(e *record.Event) error {
	var b record.StatementEvent
	if err := json.Unmarshal(e.Body, &b); err != nil {
		return j.broken(err)
	}
	row := "other"
	if st, err := record.Peek(b.Statement); err == nil {
		switch st.Type {
		case record.TypeOrder:
			row = "order"
		case record.TypeRequest:
			row = "request"
		case record.TypeApproval:
			row = "approval"
		case record.TypeAct:
			row = "act"
		case record.TypeRefusal:
			row = "delivery"
		}
	}
	if b.Rule == law.RuleCap {
		row = "cap"
	}
	j.c.add("refused", row, 1)
	return nil
}

// clock counts what a keyholder wrote down of time: what ended by itself, and of what those concerned were told.
func (j *Journal) clock(e *record.Event) error {
	var b record.WarnedEvent // of what lapsed, the members that are read have the same names
	if err := json.Unmarshal(e.Body, &b); err != nil {
		return j.broken(err)
	}
	if e.Kind == record.EventLapsed {
		j.c.add("lapsed", b.Clock, 1)
	} else {
		j.c.add("warned", b.Level, 1)
	}
	return nil
}

// report counts what came for the judge.
func (j *Journal) report(e *record.Event) error {
	var b record.ReportedEvent
	if err := json.Unmarshal(e.Body, &b); err != nil {
		return j.broken(err)
	}
	row := "delivered"
	if b.Final {
		row = "delivered-final"
	}
	j.c.add("reports", row, 1)
	return nil
}

// act counts what a reader did. Opening begins and ends with an act each; its beginning counts, which is written down before the first
// byte is shown.
func (j *Journal) act(e *record.Event) error {
	var b record.StatementEvent
	if err := json.Unmarshal(e.Body, &b); err != nil {
		return j.broken(err)
	}
	if e.Kind == record.EventOpened && b.Reason != record.Begun {
		if b.Reason == record.Failed {
			j.c.add("errors", "unfinished", 1)
		}
		return nil
	}
	j.c.add("acts", string(e.Kind), 1)
	if e.Kind == record.EventOpened {
		j.c.add("opened-by-role", j.c.role(b.By), 1)
	}
	return nil
}

// role is what somebody is enrolled as; of several the first.
func (c *Counter) role(id record.KeyID) string {
	if p, known := c.People[id]; known && len(p.Roles) > 0 {
		return string(p.Roles[0])
	}
	return "unknown"
}

// standing counts what a case had come to at the end of the period.
func (j *Journal) standing() {
	c, at := j.c, j.c.Period.Until
	s, err := law.Read(j.members)
	if err != nil {
		c.add("errors", "unreadable", 1)
		return
	}
	word := s.Word(at)
	c.add("state", word, 1)
	if s.Forked {
		c.add("errors", "forked", 1)
	}
	if s.Urgent && j.begun {
		c.add("urgent", urgentOutcome(&s, word), 1)
	}
	clocks, err := law.Clocks(j.members, at)
	if err != nil {
		c.add("errors", "unreadable", 1)
		return
	}
	for i := range clocks {
		if clocks[i].State == law.Overdue {
			c.add("overdue", clocks[i].Name, 1)
		}
	}
}

func urgentOutcome(s *law.State, word string) string {
	switch {
	case s.Rejected:
		return "rejected"
	case s.Confirmed && s.TellBy.IsZero():
		return "confirmed"
	case word == law.Lapsed:
		return "lapsed"
	}
	return "open"
}
