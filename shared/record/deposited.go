package record

import (
	"time"

	"arca.example/arca/shared/problem"
)

// MaxDeposited is how many packs one Deposited names: some 550 bytes each, so that it fits in a row with what it leads to.
const MaxDeposited = 100

// Deposited is a collector's word that a batch lies in packs which the witnessed log holds: statement of TypeDeposited. Both keyholders journal it, so
// that whoever holds the case can see where its recordings were stored since when, and prove the packs' entries, without being able to open anything.
type Deposited struct {
	Audience  Digest        `json:"aud"`
	Batch     ID            `json:"batch"`
	Chain     Digest        `json:"chain"`
	From      int           `json:"from,omitzero"` // place of the first of Packs among the batch's
	Issued    time.Time     `json:"iat"`           // of the checkpoint that proved the last pack, so that signing again gives the same
	Packs     []PackOpening `json:"packs"`         // in the order of their numbers
	Statement Digest        `json:"statement"`     // hash of the batch's signed statement
}

// PackOpening opens a pack's log entry.
type PackOpening struct {
	Event  []byte `json:"event"`
	Random []byte `json:"random"`
}

// Read gives what a pack's event says. Errors: problem.Invalid for anything else.
func (p PackOpening) Read() (body PackEvent, err error) {
	var e Event
	if err := Unmarshal(p.Event, &e); err != nil {
		return body, err
	}
	if err := Unmarshal(e.Body, &body); err != nil {
		return body, err
	}
	if e.Kind != EventPack || e.Author != "vault" || e.Number != int64(body.Number) || len(p.Random) != 32 || !e.Case.IsZero() {
		return body, problem.New(problem.Invalid, "this is not the event of a pack's arrival")
	}
	return body, nil
}

// Validate checks form and limits. Whether the log holds the entries is for whoever relies on them to prove.
func (d *Deposited) Validate() error {
	if err := checkTimes(d.Issued); err != nil {
		return err
	}
	if len(d.Packs) == 0 || len(d.Packs) > MaxDeposited || d.From < 0 || d.From%MaxDeposited != 0 {
		return problem.New(problem.Invalid, "a deposit names 1 to %d packs; more are several statements", MaxDeposited)
	}
	var last uint64
	for _, p := range d.Packs {
		body, err := p.Read()
		if err != nil {
			return err
		}
		if body.Number <= last {
			return problem.New(problem.Invalid, "a deposit's packs are in the order of their numbers, each once")
		}
		last = body.Number
	}
	return nil
}
