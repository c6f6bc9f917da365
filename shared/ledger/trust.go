package ledger

import (
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// changeover is how long after a trust file took force checkpoints under the policy before it still count, whatever overlap the file says: until the
// vault has been given it, the log can only go on under the old one.
const changeover = 15 * time.Minute

// PolicyOf is the log policy that a trust file names.
func PolicyOf(t *record.Trust) Policy {
	return Policy{Origin: t.LogOrigin, Log: t.LogKey, Witnesses: t.Witnesses, Quorum: t.Quorum}
}

// VerifierOf makes the verifier of the log and witnesses that a trust file and those before it name, each for its time.
func VerifierOf(t *record.Trust) (*Verifier, error) { return verifierOf(t.Eras()) }

func verifierOf(eras []record.Era) (*Verifier, error) {
	var terms []Term
	for i, e := range eras {
		one := Term{Policy: PolicyOf(e.Trust), From: e.Begins}
		if i+1 < len(eras) {
			one.Until, one.Ends = eras[i+1].Seen, endOf(eras[i+1:])
		}
		terms = append(terms, one)
	}
	return NewSuccession(terms...)
}

// endOf is until when a policy counts that these files, in order, have replaced.
func endOf(later []record.Era) (ends time.Time) {
	for _, e := range later {
		end := e.Beside()
		if least := e.At.Add(changeover); least.After(end) {
			end = least
		}
		if ends.IsZero() || end.Before(ends) {
			ends = end
		}
	}
	return ends
}

// trustedEvent is the body of the court's event by which a trust file took force.
type trustedEvent struct {
	Trust record.Digest `json:"trust"`
}

// OpenTrust verifies a chain of trust files, the first of which is pinned by its fingerprint: the roots' signatures, and that each later file's
// entry stands in the log that its predecessor's witnesses saw. It gives the file in force, which knows those before it. Errors: problem.Denied
// and problem.Invalid; problem.Unavailable for a chain whose last file is signed and not yet in force.
func OpenTrust(chain record.TrustChain, fingerprint record.Digest) (*record.Trust, error) {
	eras, err := record.OpenTrusts(chain.Joints(), fingerprint)
	if err != nil {
		return nil, err
	}
	if chain[0].Entry != nil {
		return nil, problem.New(problem.Invalid, "a first trust file is pinned and needs no log entry")
	}
	for i := 1; i < len(eras); i++ {
		if err := placeTrust(eras[:i], &eras[i], chain[i].Entry); err != nil {
			return nil, err
		}
	}
	t := record.InForce(eras)
	_, err = VerifierOf(t)
	return t, err
}

// placeTrust finds out when a file took force, under those before it.
func placeTrust(before []record.Era, next *record.Era, entry *record.TrustEntry) error {
	if entry == nil || entry.Proof == "" {
		return problem.New(problem.Unavailable, "the trust file of version %d is signed and not yet in force: it is when the court has logged it and witnesses have seen that", next.Version)
	}
	if err := CheckTrustEvent(entry, next.Hash); err != nil {
		return err
	}
	v, err := verifierOf(before)
	if err != nil {
		return err
	}
	leaf := Commit(Opening{Event: entry.Event, Random: [32]byte(entry.Random)})
	at, index, err := v.VerifyInclusion(leaf, []byte(entry.Proof))
	if err != nil {
		return err
	}
	next.Begins, next.Seen, next.At = index+1, at.Size, at.Earliest.UTC()
	if last := before[len(before)-1]; next.Begins <= last.Begins || next.At.Before(last.At) {
		return problem.New(problem.Denied, "a trust file took force before the one that it follows")
	}
	return nil
}

// CheckTrustEvent checks that an opening is the court's event that says a trust file of this hash was accepted. Only the court's counts, so that
// there is one place in the log from which a file is in force.
func CheckTrustEvent(entry *record.TrustEntry, hash record.Digest) error {
	var e record.Event
	if err := record.Unmarshal(entry.Event, &e); err != nil {
		return err
	}
	var body trustedEvent
	if err := record.Unmarshal(e.Body, &body); err != nil {
		return err
	}
	if e.Author != "court" || e.Kind != record.EventTrust || !e.Case.IsZero() || body.Trust != hash || len(entry.Random) != 32 {
		return problem.New(problem.Denied, "the log entry of a trust file is not the court's event for that file")
	}
	return nil
}
