package stamp

import (
	"bytes"
	"crypto/sha256"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/record"
)

// Stamp is a token with what it stands on, as the vault lists it: the
// checkpoint that it stamps, and the opening of the log entry that pins it.
type Stamp struct {
	Number     uint64
	Checkpoint []byte
	Token      []byte
	Event      []byte // of kind "stamped"
	Random     [32]byte
}

// Check verifies a stamp's token and that its event names it. Whether the
// event stands in the log is for whoever holds a proof of Entry.
func (v *Verifier) Check(s Stamp, now time.Time) (Facts, error) {
	facts, err := v.Verify(s.Token, s.Checkpoint, now)
	if err == nil {
		err = s.pinned(facts)
	}
	return facts, err
}

// Entry is the log entry that pins the stamp.
func (s Stamp) Entry() ledger.Entry {
	return ledger.Commit(ledger.Opening{Event: s.Event, Random: s.Random})
}

// Pinned makes a stamp's event.
func Pinned(number uint64, authority string, token, checkpoint []byte) ([]byte, error) {
	body, err := record.Marshal(record.StampEvent{Authority: authority, Checkpoint: sha256.Sum256(checkpoint), Number: number, Token: sha256.Sum256(token)})
	if err != nil {
		return nil, err
	}
	// The token says when; the vault's clock adds nothing.
	return record.Event{Author: "vault", Body: body, Kind: record.EventStamped, Number: int64(number)}.Bytes()
}

// pinned compares the event with the one that belongs to the token.
func (s Stamp) pinned(facts Facts) error {
	want, err := Pinned(s.Number, facts.Authority, s.Token, s.Checkpoint)
	if err != nil {
		return err
	}
	if !bytes.Equal(want, s.Event) {
		return refusal(ledger.ErrAltered, "the log entry's event is on another timestamp")
	}
	return nil
}

// Renewal shows that a stamp was covered by a later one in time.
type Renewal struct {
	Proof []byte // C2SP tlog-proof of the covered stamp's entry, under exactly By's checkpoint
	By    Stamp
}

// VerifyRenewed verifies a stamp whose certificate may have ended. Each
// renewal covers the one before, was made while that was still good, and the
// last is good now. So what had to be believed of an authority is believed
// only for as long as its certificate was in force: who gets hold of the key
// later cannot put a token under a checkpoint that was stamped before.
// With ErrEnded because of the present time it gives the facts all the same.
func (v *Verifier) VerifyRenewed(s Stamp, renewals []Renewal, now time.Time) (Facts, error) {
	first, err := v.verify(s.Token, s.Checkpoint, now)
	if err == nil {
		err = s.pinned(first)
	}
	if err != nil {
		return Facts{}, err
	}
	covered, facts := s, first
	for _, r := range renewals {
		next, err := v.verify(r.By.Token, r.By.Checkpoint, now)
		if err == nil {
			err = r.By.pinned(next)
		}
		if err != nil {
			return Facts{}, err
		}
		if err := v.covers(covered, r); err != nil {
			return Facts{}, err
		}
		if next.Time.Add(next.Accuracy).After(facts.Ends) {
			return Facts{}, refusal(ErrEnded, "a later stamp came when the certificate behind the one before had already ended")
		}
		covered, facts = r.By, next
	}
	if now.After(facts.Ends) {
		return first, refusal(ErrEnded, "a certificate behind the timestamp has ended; show a later stamp that covers it")
	}
	return first, nil
}

// covers checks that a stamp's entry stands under the renewal's own checkpoint.
func (v *Verifier) covers(s Stamp, r Renewal) error {
	proof, err := ledger.ParseProof(r.Proof)
	if err != nil {
		return err
	}
	if !bytes.Equal(proof.Checkpoint, r.By.Checkpoint) {
		return refusal(ErrOther, "the proof leads to another checkpoint than the one that was stamped later")
	}
	_, _, err = v.log.VerifyInclusion(s.Entry(), r.Proof)
	return err
}
