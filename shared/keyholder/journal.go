package keyholder

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// journal is the state of one case's events. Posted is how many of them the vault's log
// is known to hold; the others are posted again before anything that relies on them is answered.
type journal struct {
	Number   int64         `json:"number"`
	Posted   int64         `json:"posted"`
	Previous record.Digest `json:"previous,omitzero"`
}

// opening is an event with the randomness of its log entry, as rows and answers carry it.
type opening struct {
	Event  []byte `json:"event"`
	Random []byte `json:"random"`
}

func (o opening) entry() (ledger.Entry, error) {
	if len(o.Random) != 32 {
		return ledger.Entry{}, problem.New(problem.Invalid, "an opening's randomness is exactly 32 bytes")
	}
	return ledger.Commit(ledger.Opening{Event: o.Event, Random: [32]byte(o.Random)}), nil
}

func journalName(c record.Digest) string        { return "journal/" + c.String() }
func eventName(c record.Digest, n int64) string { return fmt.Sprintf("event/%s/%d", c, n) }

// journal appends an event to a case within the change, so that the act and its record exist together
// or not at all. The zero case is for acts outside any case.
func (c *change) journal(of record.Digest, kind record.EventKind, body any) (opening, error) {
	var state journal
	if _, err := c.load(journalName(of), &state); err != nil {
		return opening{}, err
	}
	raw, err := record.Marshal(body)
	if err != nil {
		return opening{}, err
	}
	event := record.Event{
		Author: string(c.k.cfg.Party), Body: jsontext.Value(raw), Case: of, Kind: kind,
		Number: state.Number + 1, Previous: state.Previous, Time: c.k.now(),
	}
	b, err := event.Bytes()
	if err != nil {
		return opening{}, err
	}
	made := opening{Event: b, Random: random(32)}
	state.Number, state.Previous = event.Number, record.HashBytes(b)
	// What this process knows to be posted is written along, so that posting needs no write of its own.
	state.Posted = max(state.Posted, c.k.postedUntil(of))
	if err := c.put(eventName(of, event.Number), made); err != nil {
		return opening{}, err
	}
	return made, c.put(journalName(of), state)
}

// act is update followed by posting every event of the case that the log is not known to hold, whether f changed anything now or an
// earlier call did and was cut off: nothing is answered before the vault's log holds it. When the log cannot be reached
// the act stands, the caller is told to try again, and whoever comes next on that case posts it first.
func (k *Keyholder) act(ctx context.Context, of record.Digest, f func(*change) error) error {
	if err := k.update(ctx, f); err != nil {
		return err
	}
	return k.post(ctx, of)
}

// postAtOnce is how many events go to the log in one call.
const postAtOnce = 100

// place is an event's in its case.
type place struct {
	of     record.Digest
	number int64
}

// post sends every event of the cases that is not known to be in the log. Running it twice, or two of it at once, changes
// nothing: the log knows an entry by its value.
func (k *Keyholder) post(ctx context.Context, cases ...record.Digest) error {
	var names []string
	for _, of := range cases {
		names = append(names, journalName(of))
	}
	states, err := readFound[journal](ctx, k, names)
	if err != nil {
		return err
	}
	var owed []place
	for i, of := range cases {
		if slices.Contains(cases[:i], of) {
			continue
		}
		state := states[names[i]]
		for n := max(state.Posted, k.postedUntil(of)) + 1; n <= state.Number; n++ {
			owed = append(owed, place{of, n})
		}
	}
	for some := range slices.Chunk(owed, postAtOnce) {
		entries, err := k.entries(ctx, some)
		if err != nil {
			return err
		}
		if err := k.voice().log.Add(ctx, entries...); err != nil {
			return problem.Wrap(problem.Unavailable, err, "the log cannot be reached, and nothing is answered without it; what you sent is kept, send it again")
		}
		for _, p := range some {
			k.setPosted(p.of, p.number)
		}
	}
	for i, of := range cases {
		// Processes that live for one act each would never write the mark along: then it is written for itself.
		if state := states[names[i]]; state.Number-state.Posted >= postAtOnce/2 {
			if err := k.markPosted(ctx, of, state.Number); err != nil {
				return err
			}
		}
	}
	return nil
}

// postedUntil is how many events of a case this process has seen the log accept.
func (k *Keyholder) postedUntil(of record.Digest) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.posted[of]
}

func (k *Keyholder) setPosted(of record.Digest, until int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.posted[of] = max(k.posted[of], until)
}

func (k *Keyholder) entries(ctx context.Context, places []place) ([]ledger.Entry, error) {
	var names []string
	for _, p := range places {
		names = append(names, eventName(p.of, p.number))
	}
	openings, err := readMany[opening](ctx, k, names)
	if err != nil {
		return nil, err
	}
	var entries []ledger.Entry
	for _, o := range openings {
		entry, err := o.entry()
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func (k *Keyholder) markPosted(ctx context.Context, of record.Digest, until int64) error {
	return k.update(ctx, func(c *change) error {
		var state journal
		if _, err := c.load(journalName(of), &state); err != nil {
			return err
		}
		if state.Posted >= until {
			return nil
		}
		state.Posted = until
		return c.put(journalName(of), state)
	})
}

// LogLine is one event of a case as auditors and clerks read it.
type LogLine struct {
	Event  record.Event `json:"event"`
	Opened []byte       `json:"bytes"`  // the event's canonical bytes
	Random []byte       `json:"random"` // opens the log entry, with Opened
}

// Journal gives up to limit events of a case from number from, oldest first.
func (k *Keyholder) Journal(ctx context.Context, of record.Digest, from int64, limit int) ([]LogLine, error) {
	var state journal
	if _, err := k.read(ctx, journalName(of), &state); err != nil {
		return nil, err
	}
	var names []string
	for n := max(from, 1); n <= state.Number && len(names) < limit; n++ {
		names = append(names, eventName(of, n))
	}
	openings, err := readMany[opening](ctx, k, names)
	if err != nil {
		return nil, err
	}
	var lines []LogLine
	for _, o := range openings {
		var e record.Event
		if err := record.Unmarshal(o.Event, &e); err != nil {
			return nil, err
		}
		lines = append(lines, LogLine{Event: e, Opened: o.Event, Random: o.Random})
	}
	return lines, nil
}
