package custody

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Acts that are not named like their event.
const (
	actSealed    = "sealed"    // the event noted: the collector received and sealed it
	actMade      = "made"      // the same of what a person sealed
	actDeposited = "deposited" // a pack's event
	actRefused   = "refused"
)

// concern is what makes an event one of the recording's.
type concern struct {
	batch    record.ID
	unit     seal.Unit
	requests map[record.Digest]record.Request // that cover it, by hash
	roots    []record.Reference               // what it is, and what it was made from
	orders   map[record.Digest]record.Order   // that destroy, by hash
	gone     map[string]bool                  // at which keyholder it was destroyed
}

func (c *concern) covers(q *record.Request, recording record.ID) bool {
	if record.Digest(c.unit.Order) != q.Chain || c.unit.Week != q.Week || c.unit.Compartment != q.Compartment || c.unit.Classification != q.Classification {
		return false
	}
	return len(q.Recordings) == 0 || slices.Contains(q.Recordings, record.Reference{Batch: c.batch, Recording: recording})
}

// timeline picks the events of the recording.
func (r *reading) timeline() error {
	c := concern{requests: map[record.Digest]record.Request{}, orders: map[record.Digest]record.Order{}, gone: map[string]bool{}}
	if !r.locate(&c) {
		return problem.New(problem.NotFound, "no journal of this order speaks of this recording; give its order and its whole id")
	}
	r.out.Batch, r.out.Week, r.out.Compartment, r.out.Classification = c.batch, c.unit.Week, c.unit.Compartment, c.unit.Classification
	r.descent(&c)
	r.packs()
	merged := map[string]int{}
	for _, party := range Parties {
		for _, e := range r.journals[party].events {
			entry, key, ok := r.entry(&c, e)
			if !ok {
				continue
			}
			seen := Seen{Entry: e.log.entry, Event: e.hash, Index: e.log.index, Number: e.Number, Party: party, Time: e.Time}
			if at, known := merged[key]; known && key != "" {
				r.out.Entries[at].Seen = append(r.out.Entries[at].Seen, seen)
				continue
			}
			entry.Seen = []Seen{seen}
			merged[key] = len(r.out.Entries)
			r.out.Entries = append(r.out.Entries, entry)
		}
	}
	for i := range r.out.Entries {
		r.bound(&r.out.Entries[i])
	}
	slices.SortStableFunc(r.out.Entries, before)
	return nil
}

// locate finds the batch that holds the recording, in either journal.
func (r *reading) locate(c *concern) bool {
	for _, party := range Parties {
		for _, e := range r.journals[party].events {
			var b record.NotedEvent
			if e.Kind != record.EventNoted || e.body(&b) != nil || !slices.Contains(b.Recordings, r.in.Recording) {
				continue
			}
			st, err := seal.ParseStatement(b.Signed)
			if err != nil || record.ID(st.Batch) != b.Batch {
				continue // found fault with already
			}
			c.batch, c.unit = b.Batch, st.Unit
			return true
		}
	}
	return false
}

// bound sets times from the log: an act is as old as the first event that holds it.
func (r *reading) bound(e *Entry) {
	first := int64(-1)
	for i := range e.Seen {
		s := &e.Seen[i]
		s.NotBefore, s.NotAfter = bounds(r.marks, s.Index)
		if s.Index >= 0 && (first < 0 || s.Index < first) {
			first = s.Index
		}
	}
	e.NotBefore, e.NotAfter = bounds(r.marks, first)
	if e.Claimed.IsZero() {
		e.Claimed = e.Seen[0].Time
	}
}

// before is the order of entries: the log's, and by claimed time where the log says nothing yet.
func before(a, b Entry) int {
	x, y := a.index(), b.index()
	if x >= 0 && y >= 0 {
		return cmp.Compare(x, y)
	}
	if x >= 0 || y >= 0 {
		return cmp.Compare(y, x) // -1 comes last
	}
	return a.Claimed.Compare(b.Claimed)
}

func (e *Entry) index() int64 {
	first := int64(-1)
	for _, s := range e.Seen {
		if s.Index >= 0 && (first < 0 || s.Index < first) {
			first = s.Index
		}
	}
	return first
}

// entry reads an event as an act on the recording; ok is false for what does not concern it. Events with one key are one act.
func (r *reading) entry(c *concern, e event) (out Entry, key string, ok bool) {
	out.Act, out.Claimed = string(e.Kind), e.Time
	switch e.Kind {
	case record.EventAdmitted:
		return r.ordered(c, e, out)
	case record.EventNoted:
		var b record.NotedEvent
		if e.body(&b) != nil || b.Batch != c.batch {
			return out, "", false
		}
		out.Act, out.By, out.Statement, out.Result = actSealed, r.actor(b.Collector, record.Digest{}), b.Statement, record.Completed
		if author, known := r.people[b.Collector]; known && !author.Of(record.Collector) {
			out.Act = actMade
		}
		out.On = Extent{Batch: b.Batch, Recordings: len(b.Recordings), Sealed: b.Statement, Whole: true}
		return out, "noted " + b.Statement.String(), true
	case record.EventDestroyed:
		return r.destroyed(c, e, out)
	case record.EventReleased:
		var b record.ReleasedEvent
		if e.body(&b) != nil || !slices.Contains(b.Recordings, record.Reference{Batch: c.batch, Recording: r.in.Recording}) {
			return out, "", false
		}
		out.By, out.Class, out.Request, out.Party, out.Result = r.actor(b.To, b.Enrolment), b.Class, b.Request, e.Author, record.Completed
		out.Statement, out.On = b.Answer, Extent{Batch: c.batch, Recordings: len(b.Recordings)}
		if q, known := c.requests[b.Request]; known {
			out.Why = q.Purpose
		}
		return out, "", true
	}
	var b record.StatementEvent
	if e.body(&b) != nil {
		return out, "", false
	}
	if b.Statement == "" {
		return r.plain(c, e, out)
	}
	return r.stated(c, e, b, out)
}

// plain is an act of a kind that came after this version, without a statement that it knows: it is shown as its event says.
func (r *reading) plain(c *concern, e event, out Entry) (Entry, string, bool) {
	var b struct {
		By         record.KeyID       `json:"by"`
		Reason     string             `json:"reason"`
		Recordings []record.Reference `json:"recordings"`
	}
	if e.body(&b) != nil || !slices.Contains(b.Recordings, record.Reference{Batch: c.batch, Recording: r.in.Recording}) {
		return out, "", false
	}
	out.By, out.Why, out.On = r.actor(b.By, record.Digest{}), b.Reason, Extent{Batch: c.batch, Recordings: len(b.Recordings)}
	out.Party = e.Author
	return out, "", true
}

// ordered is a member of the order chain under which the recording was made.
func (r *reading) ordered(c *concern, e event, out Entry) (Entry, string, bool) {
	var b record.AdmittedEvent
	if e.body(&b) != nil {
		return out, "", false
	}
	st, err := record.Peek(b.Statement)
	var o record.Order
	if err != nil || record.Unmarshal(st.Payload, &o) != nil {
		return out, "", false
	}
	if o.Kind == record.Authorisation && r.out.Order == nil && st.Hash == r.in.Chain {
		r.out.Order = &o
	}
	if o.Kind == record.Destruction || o.Verdict == record.VerdictDelete {
		c.orders[st.Hash] = o
	}
	out.Act, out.By, out.Statement, out.Claimed, out.Result = string(o.Kind), r.actor(st.Author, record.Digest{}), st.Hash, st.Signed, record.Completed
	out.Why = o.Reason
	if o.Kind == record.Authorisation {
		out.Why = o.Grounds.Purpose
	}
	return out, "admitted " + st.Hash.String(), true
}

// stated is an act that somebody signed: asked, approved, denied, refused, or a reader's.
func (r *reading) stated(c *concern, e event, b record.StatementEvent, out Entry) (Entry, string, bool) {
	st, err := record.Peek(b.Statement)
	if err != nil {
		return out, "", false
	}
	out.By, out.Statement, out.Claimed, out.Result = r.actor(st.Author, b.Enrolment), st.Hash, st.Signed, record.Completed
	ok := false
	switch st.Type {
	case record.TypeRequest:
		ok = out.asked(c, st, r.in.Recording)
	case record.TypeApproval:
		var a record.Approval
		ok = record.Unmarshal(st.Payload, &a) == nil
		q, covers := c.requests[a.Request]
		ok = ok && covers
		out.Request, out.Class, out.Why = a.Request, q.Class, a.Reason
	case record.TypeDeposited:
		ok = out.deposited(c, st)
	case record.TypeClosed:
		var closed record.Closed
		u := c.unit
		ok = record.Unmarshal(st.Payload, &closed) == nil && closed.Chain == record.Digest(u.Order) && closed.Week == u.Week &&
			closed.Compartment == u.Compartment && closed.Classification == u.Classification
	case record.TypeAct:
		ok = out.acted(c, st, r.in.Recording)
	}
	if e.Kind == record.EventRefused {
		out.Act, out.Result, out.Party = actRefused, record.Failed, e.Author
		out.Why = strings.TrimSpace(words(attempt(st)) + ": " + b.Reason)
		return out, "", ok
	}
	return out, string(e.Kind) + " " + st.Hash.String(), ok
}

// attempt is what a refused statement wanted.
func attempt(st record.Statement) string {
	switch st.Type {
	case record.TypeRequest:
		return string(record.EventAsked)
	case record.TypeApproval:
		return string(record.EventApproved)
	}
	return "reported"
}

func (e *Entry) asked(c *concern, st record.Statement, recording record.ID) bool {
	var q record.Request
	if record.Unmarshal(st.Payload, &q) != nil || !c.covers(&q, recording) {
		return false
	}
	c.requests[st.Hash] = q
	e.Request, e.Class, e.Why, e.On = st.Hash, q.Class, q.Purpose, Extent{Batch: c.batch, Recordings: len(q.Recordings)}
	return true
}

// deposited is the collector's word on where the recording's batch lies. Which of these packs have the recording's bytes, only its descriptor says.
func (e *Entry) deposited(c *concern, st record.Statement) bool {
	var d record.Deposited
	if record.Unmarshal(st.Payload, &d) != nil || d.Batch != c.batch || d.Validate() != nil {
		return false
	}
	var numbers []string
	for _, p := range d.Packs {
		body, _ := p.Read() // Validate has read it
		numbers = append(numbers, strconv.FormatUint(body.Number, 10))
	}
	e.On, e.Why = Extent{Batch: c.batch, Whole: true}, "its batch lies in packs "+strings.Join(numbers, ", ")
	if len(numbers) == 1 {
		e.Why = "its batch lies in pack " + numbers[0]
	}
	return true
}

func (e *Entry) acted(c *concern, st record.Statement, recording record.ID) bool {
	var a record.Act
	of := record.Reference{Batch: c.batch, Recording: recording}
	if record.Unmarshal(st.Payload, &a) != nil || !slices.Contains(a.Recordings, of) && of != (record.Reference{Batch: a.Made.Batch, Recording: a.Made.Recording}) {
		return false
	}
	e.Request, e.Result, e.Claimed = a.Request, a.Result, a.Issued
	e.On = Extent{Batch: c.batch, Bundle: a.Bundle, Bytes: a.Bytes, Case: a.Case, Court: a.Court, Made: a.Made, Millis: a.Millis, Recordings: len(a.Recordings), To: a.To, Whole: a.Whole}
	e.Why = cmp.Or(a.Reason, a.Minimised)
	if q, known := c.requests[a.Request]; known {
		e.Class = q.Class
		e.Why = cmp.Or(e.Why, q.Purpose)
	}
	return true
}

func (r *reading) actor(key record.KeyID, enrolment record.Digest) Actor {
	out := Actor{Key: key, Enrolment: enrolment}
	if p, known := r.people[key]; known {
		var roles []string
		for _, role := range p.Roles {
			roles = append(roles, string(role))
		}
		out.Name, out.Role = p.Name, strings.Join(roles, ", ")
		if enrolment.IsZero() {
			out.Enrolment = p.hash
		}
	}
	return out
}
