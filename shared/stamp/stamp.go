// Package stamp asks for and verifies RFC 3161 timestamps on the log's
// checkpoints: the word of authorities that have nothing to do with the log,
// its witnesses or the ministry. It does no I/O.
//
// It promises that whoever holds a token, the checkpoint, the log's policy and
// the roots that the trust file names learns offline when the checkpoint
// existed at the latest. It trusts these roots, the hash and signature
// algorithms named below, and the accuracy that an authority states. It does
// not trust the vault, which only carries tokens, and not the system's roots.
//
// # Query (RFC 3161, section 2.4.1)
//
//	version 1; message imprint SHA-256 of the checkpoint's bytes; the policy
//	that the trust file names, if any; nonce of 16 bytes; certReq true
//
// # Token (RFC 3161, section 2.4.2; RFC 5652; RFC 5816)
//
// A CMS SignedData over TSTInfo in DER, at most 64 KiB, that
//
//	has one signer, named by issuer and serial number, with signed attributes, among them
//	content type, message digest and signing certificate V2, each once;
//	has no unsigned attribute and no CRL, and no certificate that is not in the signer's
//	chain, or self-signed, or signed by another of them;
//	uses SHA-256, SHA-384 or SHA-512 with RSA (PKCS #1 v1.5) or ECDSA;
//	is signed by a certificate with the extended key usage time stamping, critical and alone,
//	whose chain was valid at the token's time and ends in a root of the trust file.
//
// DER has one encoding of each value, every element is read strictly and in its place, and nothing
// may be left over: a token with any flipped, missing or added byte is refused. (Who holds a token signed with ECDSA can
// compute a second form of its signature, which says the same; the log pins one.)
//
// # Renewal (after RFC 4998)
//
// A token convinces until a certificate of its chain ends. Its SHA-256 stands in a log entry (event kind
// "stamped"), so that every stamp on a later checkpoint covers it, certificates included: a Renewal is
// the later stamp with the proof of that entry under the later checkpoint. Hourly stamps renew all
// earlier ones; nothing needs to be made for it.
package stamp

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// MaxToken is the longest token that anyone here reads, in bytes.
const MaxToken = 64 << 10

// MaxAccuracy is the vaguest statement of time that counts.
const MaxAccuracy = time.Minute

// MaxDelay is how much later than its cosignatures a checkpoint may be stamped.
const MaxDelay = 2 * ledger.MaxSkew

// Why a token is refused, beside the ledger's reasons (ErrAltered, ErrUnknownRoots, ErrClock).
var (
	// ErrEnded: it was good, but a certificate of its chain has ended. A Renewal may show it still.
	ErrEnded = errors.New("certificate ended")
	// ErrOther: it is good for something else: another checkpoint, nonce, policy or purpose.
	ErrOther = errors.New("stamps something else")
	// ErrWeak: it rests on an algorithm that is not accepted.
	ErrWeak = errors.New("weak algorithm")
)

func refusal(reason error, format string, args ...any) error {
	kind := problem.Invalid
	switch reason {
	case ErrEnded, ledger.ErrUnknownRoots:
		kind = problem.Denied
	case ledger.ErrClock:
		kind = problem.Unavailable
	}
	return problem.Wrap(kind, reason, format, args...)
}

// Facts are what a verified token says.
type Facts struct {
	Authority string        // as the trust file names it
	Time      time.Time     // the checkpoint existed then, give or take Accuracy
	Accuracy  time.Duration // as the authority states it; zero if it does not
	Policy    string        // object identifier
	Serial    string        // of the token at its authority, decimal
	Ends      time.Time     // when the first certificate of the chain ends
	Token     record.Digest // SHA-256 of the token
	Size      int64         // of the stamped checkpoint's tree
}

// Verifier is a trust file's authorities made ready. Safe for concurrent use.
type Verifier struct {
	log         *ledger.Verifier
	authorities []authority
}

type authority struct {
	record.Authority
	root   *x509.Certificate
	policy []byte // DER of the object identifier without tag and length
}

// New checks the authorities: roots that are CA certificates, different ones, because two authorities under one root are one.
func New(authorities []record.Authority, log *ledger.Verifier) (*Verifier, error) {
	v := &Verifier{log: log}
	for i, named := range authorities {
		a := authority{Authority: named}
		var err error
		if a.root, err = x509.ParseCertificate(a.Root); err != nil || !a.root.IsCA {
			return nil, problem.Wrap(problem.Invalid, err, "time-stamping authority %d: its root is not a CA certificate in DER", i+1)
		}
		if a.Policy != "" {
			oid, err := x509.ParseOID(a.Policy)
			if err == nil {
				a.policy, err = oid.MarshalBinary()
			}
			if err != nil {
				return nil, problem.Wrap(problem.Invalid, err, "time-stamping authority %d: its policy is not an object identifier, as in 1.2.3.4", i+1)
			}
		}
		if slices.ContainsFunc(v.authorities, func(b authority) bool { return b.root.Equal(a.root) || b.Name == a.Name }) {
			return nil, problem.New(problem.Invalid, "time-stamping authority %d: its name or root is used twice; one authority must not count as two", i+1)
		}
		v.authorities = append(v.authorities, a)
	}
	return v, nil
}

// Verify checks a token over a checkpoint: who stamped it, when, and that this
// fits the witnesses' time. Errors: problem.Denied with ErrEnded where only a
// Renewal can show the time now; see the reasons for others.
func (v *Verifier) Verify(token, checkpoint []byte, now time.Time) (Facts, error) {
	facts, err := v.verify(token, checkpoint, now)
	if err == nil && now.After(facts.Ends) {
		return Facts{}, refusal(ErrEnded, "a certificate behind the timestamp has ended; show a later stamp that covers it")
	}
	return facts, err
}

// verify is Verify for a token whose certificates may have ended since.
func (v *Verifier) verify(token, checkpoint []byte, now time.Time) (Facts, error) {
	t, err := parse(token)
	if err != nil {
		return Facts{}, err
	}
	if t.info.imprint != sha256.Sum256(checkpoint) {
		return Facts{}, refusal(ErrOther, "the timestamp is on another checkpoint")
	}
	c, err := v.log.Verify(checkpoint)
	if err != nil {
		return Facts{}, err
	}
	a, ends, err := v.chain(t)
	if err != nil {
		return Facts{}, err
	}
	if err := t.info.fits(c, now); err != nil {
		return Facts{}, err
	}
	return Facts{Authority: a.Name, Time: t.info.at, Accuracy: t.info.accuracy, Policy: t.info.policy, Serial: t.info.serial.String(),
		Ends: ends, Token: sha256.Sum256(token), Size: c.Size}, nil
}

// fits compares the token's time with the witnesses' and with ours: an
// authority that is wrong, or lies, is noticed.
func (i tstInfo) fits(c ledger.Checkpoint, now time.Time) error {
	if i.accuracy > MaxAccuracy {
		return refusal(ledger.ErrClock, "the authority states its time less exactly than to %v", MaxAccuracy)
	}
	if i.at.Sub(now) > ledger.MaxSkew {
		return refusal(ledger.ErrClock, "the timestamp is from the future, or this machine's clock is more than %v behind; set it", ledger.MaxSkew)
	}
	if c.Earliest.Sub(i.at) > ledger.MaxSkew || i.at.Sub(c.Latest) > MaxDelay {
		return refusal(ledger.ErrClock, "the authority's time does not fit the witnesses'")
	}
	return nil
}

// chain finds the authority whose root the signer's certificate descends
// from, at the token's own time, and gives when the first certificate ends.
func (v *Verifier) chain(t *token) (authority, time.Time, error) {
	signer, err := t.verifySignature()
	if err != nil {
		return authority{}, time.Time{}, err
	}
	intermediates := x509.NewCertPool()
	for _, c := range t.certificates {
		intermediates.AddCert(c)
	}
	for _, a := range v.authorities {
		roots := x509.NewCertPool()
		roots.AddCert(a.root)
		chains, err := signer.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: t.info.at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}})
		if err != nil {
			continue
		}
		if a.Policy != "" && a.Policy != t.info.policy {
			return authority{}, time.Time{}, refusal(ErrOther, "the timestamp was made under another policy than the trust file names")
		}
		if err := t.noStrangers(chains[0]); err != nil {
			return authority{}, time.Time{}, err
		}
		ends := signer.NotAfter
		for _, c := range chains[0] {
			if c.NotAfter.Before(ends) {
				ends = c.NotAfter
			}
		}
		return a, ends, nil
	}
	return authority{}, time.Time{}, refusal(ledger.ErrUnknownRoots, "the timestamp's certificate was not valid at its time under a root that the trust file names")
}

// noStrangers refuses certificates whose bytes nothing vouches for.
func (t *token) noStrangers(chain []*x509.Certificate) error {
	known := slices.Concat(chain, t.certificates)
	for i, c := range t.certificates {
		inChain := slices.ContainsFunc(chain, c.Equal)
		signed := slices.ContainsFunc(known, func(by *x509.Certificate) bool { return c.CheckSignatureFrom(by) == nil })
		if slices.ContainsFunc(t.certificates[:i], c.Equal) || !inChain && !signed {
			return refusal(ledger.ErrAltered, "the timestamp carries a certificate twice, or one that belongs to nothing in it")
		}
	}
	return nil
}
