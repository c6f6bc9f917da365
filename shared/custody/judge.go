package custody

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/record"
)

// judge decides what of the journals holds. It stands apart so that tests can run the same attacks against weakened ones.
type judge interface {
	// follows says what is wrong with an event at its place.
	follows(at *place, e record.Event, hash record.Digest) []Finding
	// logged verifies an event's entry and gives its place in the log.
	logged(l Line) (logged, *Finding)
	// signed verifies a statement under its author's enrolment.
	signed(people map[record.KeyID]person, raw string, typ record.Type) *Finding
	// vouched says what is wrong with a batch that its author was not enrolled to deliver.
	vouched(j *journal, author person, b record.NotedEvent) *Finding
	// agree compares both journals.
	agree(court, custodian *journal) []Finding
}

// place is how far a journal was read.
type place struct {
	party string
	chain record.Digest
	next  int64
	last  record.Digest // hash of the event before next
	known bool          // whether that event was seen
	seen  map[int64]record.Digest
}

// logged is where an event's entry is.
type logged struct {
	checkpoint ledger.Checkpoint
	entry      string
	index      int64 // -1 unless proven
}

type person struct {
	record.Enrolment
	hash record.Digest
}

// strict is the one judge outside tests.
type strict struct {
	verifier *ledger.Verifier
}

func (strict) follows(at *place, e record.Event, hash record.Digest) (found []Finding) {
	add := func(code, format string, args ...any) {
		found = append(found, Finding{Code: code, Grave: true, Number: e.Number, Party: at.party, Text: fmt.Sprintf(format, args...)})
	}
	if e.Author != at.party || e.Case != at.chain {
		add(Foreign, "event %d is of another author or case", e.Number)
		return found
	}
	if before, ok := at.seen[e.Number]; ok {
		if before == hash {
			add(Duplicate, "event %d stands twice", e.Number)
		} else {
			add(Fork, "there are two different events of number %d: the keyholder has told two histories", e.Number)
		}
		return found
	}
	switch {
	case e.Number < at.next:
		add(OutOfOrder, "event %d stands behind a later one", e.Number)
	case e.Number > at.next+1:
		add(Gap, "events %d to %d are missing", at.next, e.Number-1)
	case e.Number > at.next:
		add(Gap, "event %d is missing", at.next)
	case at.known && e.Previous != at.last:
		add(Fork, "event %d names another event before it than the one shown: one of them was altered, or there are two histories", e.Number)
	}
	return found
}

// step moves behind an event that was looked at.
func (at *place) step(number int64, hash record.Digest) {
	if _, ok := at.seen[number]; !ok {
		at.seen[number] = hash
	}
	if number >= at.next {
		at.next, at.last, at.known = number+1, hash, true
	}
}

func (s strict) logged(l Line) (logged, *Finding) {
	none := logged{index: -1}
	if len(l.Random) != 32 {
		return none, &Finding{Code: Altered, Grave: true, Text: "its opening is not 32 bytes"}
	}
	entry := ledger.Commit(ledger.Opening{Event: l.Event, Random: [32]byte(l.Random)})
	none.entry = entry.String()
	switch l.State {
	case Proven:
	case Pending:
		return none, &Finding{Code: Waiting, Text: "its log entry is not under a witnessed checkpoint yet"}
	case Missing:
		return none, &Finding{Code: NotLogged, Grave: true, Text: "the log does not know its entry"}
	default:
		return none, &Finding{Code: Unproven, Grave: true, Text: "nothing is said of its place in the log"}
	}
	c, index, err := s.verifier.VerifyInclusion(entry, l.Proof)
	switch {
	case err == nil:
		return logged{c, entry.String(), index}, nil
	case errors.Is(err, ledger.ErrUnwitnessed):
		return none, &Finding{Code: Unproven, Grave: true, Text: "its proof is under a checkpoint that too few witnesses have cosigned"}
	case errors.Is(err, ledger.ErrUnknownRoots):
		return none, &Finding{Code: Unproven, Grave: true, Text: "its proof is under a checkpoint of another log or of other witnesses"}
	}
	return none, &Finding{Code: Altered, Grave: true, Text: "event, opening and proof do not fit each other: one of them was altered"}
}

func (strict) signed(people map[record.KeyID]person, raw string, typ record.Type) *Finding {
	st, err := record.Peek(raw)
	if err != nil {
		return &Finding{Code: Unsigned, Grave: true, Text: "its statement cannot be read"}
	}
	p, known := people[st.Author]
	if !known {
		return &Finding{Code: Unknown, Text: "the enrolment of its author " + st.Author.Short() + " is not at hand, so that the signature was not checked"}
	}
	if _, err := record.Open(raw, typ, p.Key, nil); err != nil {
		return &Finding{Code: Unsigned, Grave: true, Text: "its statement was not signed by the author whom it names, or is of another kind"}
	}
	return nil
}

// vouched wants, before a batch that a person sealed, their act that says of what they made it: one recording, alone. So nobody's note comes to
// stand among what collectors delivered.
func (strict) vouched(j *journal, author person, b record.NotedEvent) *Finding {
	if author.Of(record.Collector) || j.made[b.Statement] == b.Collector && len(b.Recordings) == 1 {
		return nil
	}
	if j.checked.Withheld > 0 {
		return &Finding{Code: Unknown, Text: "it is of a batch that a person sealed, and their act that says so is not among the events that are shown"}
	}
	return &Finding{Code: Unsigned, Grave: true, Text: "it is of a batch that a person sealed, and no act of theirs before it says so"}
}

// agree names what one keyholder has and the other has not. Of an act with a statement one copy on each side is enough; of releases each
// counts, because a journal that was cut off at its end shows by that.
func (strict) agree(court, custodian *journal) (found []Finding) {
	lacking := func(has, lacks *journal) {
		for _, what := range slices.SortedFunc(maps.Keys(has.held), func(a, b string) int { return int(has.held[a].number - has.held[b].number) }) {
			mine, theirs := has.held[what], lacks.held[what]
			f := Finding{Code: Lacking, Number: mine.number, Party: has.at.party}
			switch {
			case theirs.count == 0:
				f.Text = fmt.Sprintf("%s, event %d of the %s: the %s's journal does not have it", mine.words, mine.number, has.at.party, lacks.at.party)
			case mine.counts && mine.count > theirs.count:
				f.Text = fmt.Sprintf("%s: %d times in the %s's journal and %d times in the %s's", mine.words, mine.count, has.at.party, theirs.count, lacks.at.party)
			default:
				continue
			}
			found = append(found, f)
		}
	}
	lacking(court, custodian)
	lacking(custodian, court)
	for _, j := range []*journal{court, custodian} {
		for _, opened := range j.opened {
			for _, k := range []*journal{court, custodian} {
				f := Finding{Code: Unreleased, Grave: true, Number: opened.number, Party: j.at.party,
					Text: fmt.Sprintf("event %d says that it was opened, and the %s's journal shows no release for it", opened.number, k.at.party)}
				if !k.released[opened.of] && !slices.Contains(found, f) {
					found = append(found, f)
				}
			}
		}
	}
	return found
}

// mark is a checkpoint that bounds times: entries below Size were in the log by latest. From index on, what entered the log did so after earliest.
type mark struct {
	size             int64
	index            int64 // of the event that names it; -1 for a proof's own checkpoint
	earliest, latest time.Time
}

// bounds gives between which times an entry with an index entered the log.
func bounds(marks []mark, index int64) (notBefore, notAfter time.Time) {
	if index < 0 {
		return notBefore, notAfter
	}
	for _, m := range marks {
		if m.index >= 0 && m.index <= index && m.earliest.After(notBefore) {
			notBefore = m.earliest.UTC()
		}
		if m.size > index && (notAfter.IsZero() || m.latest.Before(notAfter)) {
			notAfter = m.latest.UTC()
		}
	}
	return notBefore, notAfter
}

// oneLine shortens a text to one line for findings and tables.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 120 {
		return string(r[:119]) + "…"
	}
	return s
}
