package keyholder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// skew is the clock difference that is tolerated anywhere (design, "Time").
const skew = 5 * time.Minute

// Pinned is the trust file in force, which knows those before it, with the hash of the first, which is the audience of every statement.
type Pinned struct {
	record.Trust
	Hash record.Digest
}

// addressed refuses a statement made for another installation.
func (p Pinned) addressed(audience record.Digest) error {
	if audience != p.Hash {
		return problem.New(problem.Denied, "the statement was made for another installation; make it anew")
	}
	return nil
}

// verifier checks checkpoints and proofs under the logs and witnesses that the trust files name, each for its time.
func (k *Keyholder) verifier(p Pinned) (*ledger.Verifier, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.verifies == nil {
		v, err := ledger.VerifierOf(&p.Trust)
		if err != nil {
			return nil, err
		}
		k.verifies = v // until the trust file changes: see Trust
	}
	return k.verifies, nil
}

// trustFor is how long a process goes on with the trust file that it has read, before it looks whether another took force.
const trustFor = time.Second

// changeover is for a key that the trust files read last do not name: perhaps one took force just now, so they are read again when the caller
// tries again. A party that goes on showing such keys is refused each time.
func (k *Keyholder) changeover(err error) error {
	if !errors.Is(err, record.ErrForeignKey) && !errors.Is(err, ledger.ErrUnknownRoots) {
		return err
	}
	k.mu.Lock()
	k.looked = time.Time{}
	k.mu.Unlock()
	return problem.Wrap(problem.Unavailable, err,
		"the log or the other keyholder goes by another trust file than this keyholder; try again, and if that does not help tell the operators of both")
}

// Trust gives the trust file in force. Errors: problem.Unavailable before the first one.
func (k *Keyholder) Trust(ctx context.Context) (Pinned, error) {
	now := k.cfg.Now()
	k.mu.Lock()
	known, age := k.trust, now.Sub(k.looked)
	k.mu.Unlock()
	if known != nil && age >= 0 && age < trustFor {
		return Pinned{Trust: *known, Hash: k.cfg.Fingerprint}, nil
	}
	chain, err := k.TrustChain(ctx)
	if err != nil {
		return Pinned{}, err
	}
	if len(chain) == 0 {
		return Pinned{}, problem.New(problem.Unavailable, "this keyholder has no trust file yet; the operator sends it with PUT /v1/trust")
	}
	if chain = inForce(chain); known == nil || known.Version != len(chain) {
		if known, err = k.openTrust(chain); err != nil {
			return Pinned{}, err
		}
		if err := k.speakAs(ctx, known.Party(string(k.cfg.Party)).Online); err != nil {
			return Pinned{}, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.looked = now; k.trust != known {
		k.trust, k.verifies = known, nil
	}
	return Pinned{Trust: *known, Hash: k.cfg.Fingerprint}, nil
}

// inForce leaves out a last file that is signed and logged, and of which witnesses have not been shown to have seen that.
func inForce(chain record.TrustChain) record.TrustChain {
	if n := len(chain); n > 1 && chain[n-1].Entry.Proof == "" {
		return chain[:n-1]
	}
	return chain
}

func trustName(version int) string {
	if version == 1 {
		return "trust"
	}
	return fmt.Sprintf("trust/%d", version)
}

// TrustChain gives every trust file from the first on, as signed; the last one may be not yet in force.
func (k *Keyholder) TrustChain(ctx context.Context) (record.TrustChain, error) {
	const atOnce = 8
	var chain record.TrustChain
	for {
		var names []string
		for n := range atOnce {
			names = append(names, trustName(len(chain)+1+n))
		}
		rows, err := k.rows.Get(ctx, names...)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			row, ok := rows[name]
			if !ok {
				return chain, nil
			}
			var link record.TrustLink
			into := any(&link)
			if name == "trust" {
				into = &link.Trust
			}
			if err := unmarshalRow(row.Value, into); err != nil {
				return nil, err
			}
			chain = append(chain, link)
		}
	}
}

// openTrust verifies a chain from the pin that this keyholder was started with.
func (k *Keyholder) openTrust(chain record.TrustChain) (*record.Trust, error) {
	if k.cfg.Fingerprint.IsZero() {
		return nil, problem.New(problem.Unavailable, "this keyholder was started without the fingerprint of its trust file (TRUST); set it and start again")
	}
	return ledger.OpenTrust(chain, k.cfg.Fingerprint)
}

// PutTrust takes a trust file. The first must match the pinned fingerprint. A later one is given to the court twice: without an entry, which makes
// the court log it, and again with the proof that witnesses saw that; to the custodian once it has the proof. Each must name this
// keyholder's own online key: a file that names another would make every status and release of this keyholder worthless.
func (k *Keyholder) PutTrust(ctx context.Context, link record.TrustLink) error {
	chain, err := k.TrustChain(ctx)
	if err != nil {
		return err
	}
	version, err := versionOf(link.Trust)
	if err != nil {
		return err
	}
	if version > len(chain)+1 || version > 1 && version == len(chain)+1 && len(inForce(chain)) < len(chain) {
		return problem.New(problem.Conflict, "the trust file before this one is not in force here yet; send that first")
	}
	next := append(slices.Clip(chain[:version-1]), link)
	if _, err := next.Extends(chain[:min(version, len(chain))]); err != nil {
		return err // another of this version is here
	}
	if version == 1 {
		return k.putFirst(ctx, link.Trust)
	}
	if k.cfg.Party == seal.Court && link.Entry == nil {
		return k.logTrust(ctx, next)
	}
	return k.keepTrust(ctx, next)
}

// versionOf reads the version that a file says it has.
func versionOf(joint record.Joint) (int, error) {
	var t record.Trust
	if len(joint) == 0 {
		return 0, problem.New(problem.Invalid, "the trust file is empty; fetch it again")
	}
	st, err := record.Peek(joint[0])
	if err != nil {
		return 0, err
	}
	if err := record.Unmarshal(st.Payload, &t); err != nil {
		return 0, err
	}
	return t.Version, t.Validate()
}

func (k *Keyholder) putFirst(ctx context.Context, joint record.Joint) error {
	t, err := k.openTrust(record.TrustChain{{Trust: joint}})
	if err != nil {
		return err
	}
	if err := k.holds(ctx, t.Party(string(k.cfg.Party)).Online); err != nil {
		return err
	}
	return k.update(ctx, func(c *change) error {
		var before record.Joint
		if found, err := c.load("trust", &before); err != nil || found {
			return err
		}
		if _, err := c.journal(record.Digest{}, record.EventTrust, map[string]record.Digest{"trust": k.cfg.Fingerprint}); err != nil {
			return err
		}
		return c.put("trust", joint)
	})
}

// logTrust is the court's: it journals that it accepts a successor and keeps it, not yet in force.
func (k *Keyholder) logTrust(ctx context.Context, chain record.TrustChain) error {
	eras, err := record.OpenTrusts(chain.Joints(), k.cfg.Fingerprint)
	if err != nil {
		return err
	}
	next := eras[len(eras)-1]
	if err := k.holds(ctx, next.Party(string(k.cfg.Party)).Online); err != nil {
		return err
	}
	if _, err := ledger.NewVerifier(ledger.PolicyOf(next.Trust)); err != nil {
		return err
	}
	return k.act(ctx, record.Digest{}, func(c *change) error {
		var before record.TrustLink
		if found, err := c.load(trustName(next.Version), &before); err != nil || found {
			return err // the same: another would have been refused, or conflicts and is read again
		}
		made, err := c.journal(record.Digest{}, record.EventTrust, map[string]record.Digest{"trust": next.Hash})
		if err != nil {
			return err
		}
		link := record.TrustLink{Trust: chain[len(chain)-1].Trust, Entry: &record.TrustEntry{Event: made.Event, Random: made.Random}}
		return c.put(trustName(next.Version), link)
	})
}

// keepTrust keeps a successor whose entry is proven: from then on it is in force here. Commit point: the row.
func (k *Keyholder) keepTrust(ctx context.Context, chain record.TrustChain) error {
	t, err := k.openTrust(chain)
	if err != nil {
		return err
	}
	if err := k.holds(ctx, t.Party(string(k.cfg.Party)).Online); err != nil {
		return err
	}
	eras := t.Eras()
	last := eras[len(eras)-1]
	err = k.act(ctx, record.Digest{}, func(c *change) error {
		var before record.TrustLink
		found, err := c.load(trustName(last.Version), &before)
		if err != nil || found && before.Entry.Proof != "" {
			return err
		}
		if k.cfg.Party == seal.Custodian {
			if _, err := c.journal(record.Digest{}, record.EventTrust, map[string]record.Digest{"trust": last.Hash}); err != nil {
				return err
			}
		}
		return c.put(trustName(last.Version), chain[len(chain)-1])
	})
	k.mu.Lock()
	k.looked = time.Time{} // look at once
	k.mu.Unlock()
	return err
}

// NextOnline makes the online key that the next trust file is to name, a new one each time: one that had lain ready could have been stolen with the
// one in use. It does not speak before that file is in force.
func (k *Keyholder) NextOnline(ctx context.Context) (record.PublicKey, error) {
	var made *record.Signer
	err := k.update(ctx, func(c *change) error {
		for n := 2; n <= maxSigners; n++ {
			var seed []byte
			found, err := c.load(signerName(n), &seed)
			if err != nil {
				return err
			}
			if found {
				continue
			}
			seed = random(32)
			if made, err = record.SignerFromSeed(seed); err != nil {
				return err
			}
			return c.put(signerName(n), seed)
		}
		return problem.New(problem.Unavailable, "this keyholder has made %d online keys and makes no more", maxSigners)
	})
	if err != nil {
		return record.PublicKey{}, err
	}
	return made.Public(), nil
}

// maxSigners is how many online keys a keyholder makes in its life.
const maxSigners = 96

func signerName(n int) string {
	if n == 1 {
		return "signer"
	}
	return fmt.Sprintf("signer/%d", n)
}

// signers gives every online key that this keyholder has made, oldest first.
func (k *Keyholder) signers(ctx context.Context) ([]*record.Signer, error) {
	var names []string
	for n := 1; n <= maxSigners; n++ {
		names = append(names, signerName(n))
	}
	seeds, err := readFound[[]byte](ctx, k, names)
	if err != nil {
		return nil, err
	}
	var list []*record.Signer
	for _, name := range names {
		seed, ok := seeds[name]
		if !ok {
			break
		}
		signer, err := record.SignerFromSeed(seed)
		if err != nil {
			return nil, err
		}
		list = append(list, signer)
	}
	return list, nil
}

// NextKey is the online key that was made last for a trust file that is not in force yet; zero if there is none.
func (k *Keyholder) NextKey(ctx context.Context) (record.PublicKey, error) {
	list, err := k.signers(ctx)
	if err != nil || len(list) == 0 {
		return record.PublicKey{}, err
	}
	after := slices.IndexFunc(list, func(s *record.Signer) bool { return s.Public().Equal(k.Online()) })
	if after == len(list)-1 {
		return record.PublicKey{}, nil
	}
	return list[len(list)-1].Public(), nil
}

// speakAs makes the key that a trust file names the one that speaks.
func (k *Keyholder) speakAs(ctx context.Context, key record.PublicKey) error {
	if k.Online().Equal(key) {
		return nil
	}
	signer, err := k.signerOf(ctx, key)
	if err == nil {
		k.speak(signer)
	}
	return err
}

// holds refuses a trust file that names an online key which this keyholder does not have.
func (k *Keyholder) holds(ctx context.Context, key record.PublicKey) error {
	_, err := k.signerOf(ctx, key)
	return err
}

func (k *Keyholder) signerOf(ctx context.Context, key record.PublicKey) (*record.Signer, error) {
	list, err := k.signers(ctx)
	if err != nil {
		return nil, err
	}
	for _, signer := range list {
		if signer.Public().Equal(key) {
			return signer, nil
		}
	}
	return nil, problem.New(problem.Denied, "the trust file names another online key for this keyholder than those it has made; read them again with GET /v1/keyholder")
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

// AuthenticateOther accepts the other keyholder alone.
func (k *Keyholder) AuthenticateOther(ctx context.Context, call record.Call) error {
	peer, _, err := k.caller(ctx, call)
	if err == nil && !peer {
		err = problem.New(problem.Denied, "only the other keyholder asks for this")
	}
	return err
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
	if party, key := trust.Online(id, k.cfg.Now()); party == string(k.other()) {
		return true, who, call.Verify(key, k.cfg.Now())
	}
	who, err = k.Authenticate(ctx, call)
	return false, who, err
}
