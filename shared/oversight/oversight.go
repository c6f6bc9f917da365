// Package oversight counts what was done under all orders of a period, for a report that names nobody.
//
// # What it promises
//
// A Counter takes one keyholder's journals event by event, checks numbers and hash chain, and gives figures. It is a pure function of the
// events, so an auditor who reads the same journals gets the same report byte for byte: an event counts in the period in which it stands in
// the journal (its author's clock), journals only grow, so the report of a period that is over does not change. A late member counts when it
// was admitted. What is said of the end of the period (overdue, lapsed) follows from the members that had been admitted by then.
//
// Memory is bounded by one order at a time: of the others a few words each are kept.
//
// # What it trusts
//
// The caller verified that the events are in the witnessed log, as far as it wants to rely on them. Orders are held against their author's
// key where the enrolment is at hand; those that cannot be are counted as such. Compile compares the keyholders and names where they differ.
//
// # What cannot be read from a report
//
// Counts of 1 to Small-1 are hidden, and so many others beside them that no hidden one follows from a total (see suppress). Courts and
// offence groups with small counts are put together without their names. This protects one report: whoever publishes the same period in two
// cuts (months and a year, two settings of Small) publishes their differences too.
package oversight

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// DefaultSmall is the smallest count that is shown unless the installation sets another. No source sets a threshold.
const DefaultSmall = 5

// Settings are what a report is made by.
type Settings struct {
	Party  string                            // whose journals: court or custodian
	People map[record.KeyID]record.Enrolment // verified, by key: roles, and the keys that orders are held against
	Period record.Window
	Small  int // counts below it are hidden; 0: none is
}

// Validate refuses settings that would not protect, or count nothing. Errors: problem.Invalid.
func (s *Settings) Validate() error {
	if s.Small < 0 || s.Small == 1 || s.Small == 2 {
		return problem.New(problem.Invalid, "the smallest count that is shown is 3 or more, so that what is hidden is not known from being hidden; 0 hides nothing")
	}
	if !s.Period.From.Before(s.Period.Until) {
		return problem.New(problem.Invalid, "the period must end after it begins")
	}
	return nil
}

// Counter counts one keyholder's journals.
type Counter struct {
	Settings
	counts map[string]map[string]int // table, row
	spans  map[string]span
	cases  map[[32]byte]bool // proceedings: hash of court and tag
	heads  []head
	events int
}

// span sums up the days of orders.
type span struct {
	orders    int
	sum, most time.Duration
}

// head is the last event of a journal that counts.
type head struct {
	of     record.Digest
	number int64
	hash   record.Digest
}

// New begins a count. Errors: problem.Invalid for settings without meaning.
func New(s Settings) (*Counter, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return &Counter{Settings: s, counts: map[string]map[string]int{}, spans: map[string]span{}, cases: map[[32]byte]bool{}}, nil
}

// Journal is one case's journal as it is being counted.
type Journal struct {
	c       *Counter
	of      record.Digest
	next    int64
	last    record.Digest
	members []law.Member // admitted before the end of the period
	head    head
	begun   bool // its first member was admitted in the period
}

// Journal begins the journal of a case, the zero digest for the general one. Each case is counted once.
func (c *Counter) Journal(of record.Digest) *Journal { return &Journal{c: c, of: of, next: 1} }

// Add counts the next event, given as its canonical bytes. Errors: problem.Denied when it is not the one that follows: the journal was
// altered or has a gap.
func (j *Journal) Add(raw []byte) error {
	var e record.Event
	if err := record.Unmarshal(raw, &e); err != nil {
		return j.broken(err)
	}
	if e.Author != j.c.Party || e.Case != j.of || e.Number != j.next || e.Previous != j.last {
		return j.broken(nil)
	}
	j.next, j.last = e.Number+1, record.HashBytes(raw)
	if !e.Time.Before(j.c.Period.Until) {
		return nil
	}
	j.head = head{j.of, e.Number, j.last}
	j.c.events++
	return j.count(&e)
}

func (j *Journal) broken(cause error) error {
	return problem.Wrap(problem.Denied, cause, "the journal of the %s was altered or has a gap at event %d; keep its files and tell the auditor", j.c.Party, j.next)
}

// End counts what the case had come to at the end of the period.
func (j *Journal) End() {
	if j.head.number == 0 {
		return
	}
	j.c.heads = append(j.c.heads, j.head)
	if len(j.members) > 0 {
		j.standing()
	}
}

// state is a digest of all events that count: two counts of one keyholder with the same state are of the same events.
func (c *Counter) state() record.Digest {
	slices.SortFunc(c.heads, func(a, b head) int { return bytes.Compare(a.of[:], b.of[:]) })
	h := sha256.New()
	for _, one := range c.heads {
		fmt.Fprintf(h, "%s %d %s\n", hex.EncodeToString(one.of[:]), one.number, hex.EncodeToString(one.hash[:]))
	}
	return record.Digest(h.Sum(nil))
}

// add counts n in a row of a table.
func (c *Counter) add(table, row string, n int) {
	rows := c.counts[table]
	if rows == nil {
		rows = map[string]int{}
		c.counts[table] = rows
	}
	rows[row] += n
}

func (c *Counter) addSpan(name string, w record.Window) {
	s, d := c.spans[name], w.Until.Sub(w.From)
	c.spans[name] = span{s.orders + 1, s.sum + d, max(s.most, d)}
}
