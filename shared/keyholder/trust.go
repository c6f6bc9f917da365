package keyholder

import (
	"context"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// skew is the clock difference that is tolerated anywhere (design, "Time").
const skew = 5 * time.Minute

// Pinned is the trust file in force with its hash, which is the audience of every statement.
type Pinned struct {
	record.Trust
	Hash record.Digest
}

// addressed refuses a statement made for another installation or an earlier trust file.
func (p Pinned) addressed(audience record.Digest) error {
	if audience != p.Hash {
		return problem.New(problem.Denied, "the statement was made for another installation or an earlier trust file; make it anew")
	}
	return nil
}

// verifier checks checkpoints and proofs under the log and witnesses that the trust file names.
func (k *Keyholder) verifier(p Pinned) (*ledger.Verifier, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.verifies == nil {
		v, err := ledger.NewVerifier(ledger.Policy{Origin: p.LogOrigin, Log: p.LogKey, Witnesses: p.Witnesses, Quorum: p.Quorum})
		if err != nil {
			return nil, err
		}
		k.verifies = v // one pinned trust file per process, so one verifier
	}
	return k.verifies, nil
}

// Trust gives the trust file in force. Errors: problem.Unavailable before the first one.
func (k *Keyholder) Trust(ctx context.Context) (Pinned, error) {
	k.mu.Lock()
	known := k.trust
	k.mu.Unlock()
	if known != nil {
		// Only one file fits the pin of this process, so what was verified once is what the row holds.
		return Pinned{Trust: *known, Hash: k.cfg.Fingerprint}, nil
	}
	var joint record.Joint
	found, err := k.read(ctx, "trust", &joint)
	if err != nil {
		return Pinned{}, err
	}
	if !found {
		return Pinned{}, problem.New(problem.Unavailable, "this keyholder has no trust file yet; the operator sends it with PUT /v1/trust")
	}
	pinned, err := k.openTrust(joint)
	if err != nil {
		return Pinned{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.trust = &pinned.Trust
	return pinned, nil
}

// TrustFile gives the trust file as it was signed.
func (k *Keyholder) TrustFile(ctx context.Context) (record.Joint, error) {
	var joint record.Joint
	found, err := k.read(ctx, "trust", &joint)
	if err == nil && !found {
		err = problem.New(problem.NotFound, "this keyholder has no trust file yet")
	}
	return joint, err
}

// openTrust verifies the file against the pin that this keyholder was started with.
func (k *Keyholder) openTrust(joint record.Joint) (Pinned, error) {
	if k.cfg.Fingerprint.IsZero() {
		return Pinned{}, problem.New(problem.Unavailable, "this keyholder was started without the fingerprint of its trust file (TRUST); set it and start again")
	}
	t, err := record.OpenTrust(joint, k.cfg.Fingerprint)
	if err != nil {
		return Pinned{}, err
	}
	return Pinned{Trust: *t, Hash: k.cfg.Fingerprint}, nil
}

// PutTrust takes the first trust file. It must match the pinned fingerprint and name this keyholder's own online key:
// a file that names another would make every status and release of this keyholder worthless.
func (k *Keyholder) PutTrust(ctx context.Context, joint record.Joint) error {
	pinned, err := k.openTrust(joint)
	if err != nil {
		return err
	}
	if !pinned.Party(string(k.cfg.Party)).Online.Equal(k.signer.Public()) {
		return problem.New(problem.Denied, "the trust file names another online key for this keyholder than the one it has; read it again with GET /v1/keyholder")
	}
	if _, err := k.verifier(pinned); err != nil {
		return err
	}
	return k.update(ctx, func(c *change) error {
		var before record.Joint
		if found, err := c.load("trust", &before); err != nil || found {
			return err
		}
		if _, err := c.journal(record.Digest{}, record.EventTrust, map[string]record.Digest{"trust": pinned.Hash}); err != nil {
			return err
		}
		return c.put("trust", joint)
	})
}

// Authenticate finds out who made a call: an enrolled person or machine.
func (k *Keyholder) Authenticate(ctx context.Context, call record.Call) (Person, error) {
	id, err := call.Caller()
	if err != nil {
		return Person{}, err
	}
	p, err := k.Person(ctx, id)
	if err != nil {
		return Person{}, err
	}
	return p, call.Verify(p.Enrolment.Key, k.cfg.Now())
}

// AuthenticatePeer accepts the other keyholder and collectors, who alone ask for all unit keys of a chain.
func (k *Keyholder) AuthenticatePeer(ctx context.Context, call record.Call) error {
	peer, who, err := k.caller(ctx, call)
	if err == nil && !peer && !who.Enrolment.Of(record.Collector) {
		err = problem.New(problem.Denied, "only the other keyholder and collectors ask for this")
	}
	return err
}

// AuthenticateSealer accepts those who ask for the unit keys of chains to seal to them: the other keyholder, collectors, and people who make
// notes and whom every chain concerns. Public keys open nothing.
func (k *Keyholder) AuthenticateSealer(ctx context.Context, call record.Call, chains []record.Digest) error {
	peer, who, err := k.caller(ctx, call)
	if err != nil || peer || who.Enrolment.Of(record.Collector) {
		return err
	}
	if !who.makes() {
		return problem.New(problem.Denied, "only the other keyholder, collectors and the people of a case ask for this")
	}
	for _, chain := range chains {
		if _, err := k.ShowChain(ctx, who, chain); err != nil {
			return err
		}
	}
	return nil
}

// AuthenticateAsker accepts those who are told the status of chains: the other keyholder, collectors, and people whom every one of them concerns.
func (k *Keyholder) AuthenticateAsker(ctx context.Context, call record.Call, chains []record.Digest) error {
	peer, who, err := k.caller(ctx, call)
	if err != nil || peer || who.Enrolment.Of(record.Collector) {
		return err
	}
	for _, chain := range chains {
		if _, err := k.ShowChain(ctx, who, chain); err != nil {
			return err
		}
	}
	return nil
}

// caller finds out who made a call: the other keyholder, or an enrolled person or machine.
func (k *Keyholder) caller(ctx context.Context, call record.Call) (peer bool, who Person, err error) {
	id, err := call.Caller()
	if err != nil {
		return false, who, err
	}
	trust, err := k.Trust(ctx)
	if err != nil {
		return false, who, err
	}
	if key := trust.Party(string(k.other())).Online; key.ID() == id {
		return true, who, call.Verify(key, k.cfg.Now())
	}
	who, err = k.Authenticate(ctx, call)
	return false, who, err
}
