// Package vault is what the storage provider runs: it numbers packs, takes them in, hands them out
// whole and in order, and keeps the public log.
//
// It promises that a number is given once, that an object is written once and registered only with the size and
// digests that were announced, and that registering a pack and committing it to the log is one
// transaction. Nobody needs to believe it: packs are opaque, mirrors check each against the witnessed log, and
// witnesses see that the log only grows.
//
// It knows four kinds of principals (court, custodian, collector, mirror) by their keys and nothing about
// people, cases, orders or times of calls.
//
// # Rows
//
//	trust, trust/<n>         the first trust file, and that of version n with its log entry (record.TrustLink)
//	log-key, log-key/<n>     seeds of the log's first and later signing keys, wrapped by the vault's root
//	log-public, log-public/<n>  their verifier keys
//	principal/<key>          a principal's admission (joint statement of both registrars)
//	packs                    the next pack number
//	reserved/<key>/<nonce>   the answer to a reservation, so that asking again gives the same numbers
//	pack/<number>            a pack: who reserved it, what was announced, the opening of its log entry
//	stamps                   the next stamp's number; per time-stamping authority, when it stamped last
//	scrub                    where the reading of everything again stands, and what was found (ScrubState)
//	repairs                  the next repair's number
//	repair/<number>          the opening of a repair's log entry
//	repairing                the object that the log says is being replaced, until it is
//	stamp/<number>           a timestamp: token, stamped checkpoint, the opening of its log entry
//
// The log's rows and objects are described in ledger.go.
package vault

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
)

// Config is what a vault is given at start.
type Config struct {
	Rows        store.Rows
	Blobs       store.Blobs
	Presign     store.Presigner
	Geometry    seal.Geometry // of every pack
	Fingerprint record.Digest // pin of the trust file
	Now         func() time.Time
	Sequence    func(ctx context.Context) error // makes the sequence function run soon; may be nil
}

// Vault is safe for concurrent use.
type Vault struct {
	cfg Config

	mu     sync.Mutex
	read   string // the rows that trust was read from
	trust  *record.Trust
	log    *Ledger // for adding and reading; of trust
	writes *Ledger // for sequencing; of trust
}

// New makes a vault. It opens nothing.
func New(cfg Config) *Vault { return &Vault{cfg: cfg} }

// Geometry is the shape of every pack.
func (v *Vault) Geometry() seal.Geometry { return v.cfg.Geometry }

// Principal is a caller that the vault knows.
type Principal struct {
	ID   record.KeyID
	Kind string // court, custodian, collector, mirror
}

func principalName(id record.KeyID) string { return "principal/" + id.String() }

// Admit registers a collector or mirror by both registrars' joint statement, which names a key and a kind, nothing else.
func (v *Vault) Admit(ctx context.Context, joint record.Joint) error {
	if _, err := v.openPrincipal(ctx, joint, true); err != nil {
		return err
	}
	raw, err := record.Marshal(joint)
	if err != nil {
		return err
	}
	var p record.Principal
	st, err := record.Peek(joint[0])
	if err != nil {
		return err
	}
	if err := record.Unmarshal(st.Payload, &p); err != nil {
		return err
	}
	err = v.cfg.Rows.Commit(ctx, store.Write{Op: store.Put, Key: principalName(p.Key.ID()), Value: raw})
	if err != nil && problem.KindOf(err) == problem.Conflict {
		return nil
	}
	return err
}

// openPrincipal verifies an admission by registrars whose keys count: now, when it is made; when it says that it was signed, when it is kept.
func (v *Vault) openPrincipal(ctx context.Context, joint record.Joint, now bool) (p record.Principal, err error) {
	t, err := v.Trust(ctx)
	if err != nil {
		return p, err
	}
	if p, err = openByRegistrars(t, joint, now, v.cfg.Now()); err != nil {
		return p, err
	}
	if p.Audience != v.cfg.Fingerprint {
		return p, problem.New(problem.Denied, "the admission was made for another installation; make it anew")
	}
	if p.Kind != "collector" && p.Kind != "mirror" {
		return p, problem.New(problem.Invalid, "a principal is admitted as collector or mirror")
	}
	return p, nil
}

func openByRegistrars(t *record.Trust, joint record.Joint, fresh bool, now time.Time) (record.Principal, error) {
	refused := problem.New(problem.Denied, "no registrars whose keys count have signed the admission; make it anew")
	for _, e := range t.Eras() {
		var p record.Principal
		if _, err := joint.Open(record.TypePrincipal, &p, e.Court.Registrar, e.Custodian.Registrar); err != nil {
			refused = problem.Wrap(problem.KindOf(err), err, "%s", problem.MessageOf(err))
			continue
		}
		at := now
		if !fresh {
			at = p.Issued
		}
		if slices.Contains(t.Counting(at), e.Trust) {
			return p, nil
		}
		refused = problem.New(problem.Denied, "the admission was signed by a registrar whose key was replaced; make it anew")
	}
	return record.Principal{}, refused
}

// Authenticate finds out which principal made a call.
func (v *Vault) Authenticate(ctx context.Context, call record.Call) (Principal, error) {
	id, err := call.Caller()
	if err != nil {
		return Principal{}, err
	}
	t, err := v.Trust(ctx)
	if err != nil {
		return Principal{}, err
	}
	if kind, key := t.Online(id, v.cfg.Now()); kind != "" {
		return Principal{id, kind}, call.Verify(key, v.cfg.Now())
	}
	rows, err := v.cfg.Rows.Get(ctx, principalName(id))
	if err != nil {
		return Principal{}, err
	}
	row, ok := rows[principalName(id)]
	if !ok {
		return Principal{}, record.Unknown(nil)
	}
	var joint record.Joint
	if err := record.Unmarshal(row.Value, &joint); err != nil {
		return Principal{}, problem.Wrap(problem.Internal, err, "a stored admission cannot be read; tell the operator")
	}
	p, err := v.openPrincipal(ctx, joint, false)
	if err != nil {
		return Principal{}, err
	}
	return Principal{id, p.Kind}, call.Verify(p.Key, v.cfg.Now())
}

// only refuses principals of another kind.
func (p Principal) only(kinds ...string) error {
	for _, kind := range kinds {
		if p.Kind == kind {
			return nil
		}
	}
	return problem.New(problem.Denied, "this is not open to a %s", p.Kind)
}

func decimal(b []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return 0, problem.Wrap(problem.Internal, errors.Join(err, errors.New("counter row")), "a stored counter cannot be read; tell the operator")
	}
	return n, nil
}

// AddEntries makes entries durable and has them sequenced soon.
func (v *Vault) AddEntries(ctx context.Context, entries []ledger.Entry) error {
	log, err := v.Ledger(ctx)
	if err != nil {
		return err
	}
	if err := log.Add(ctx, entries); err != nil {
		return err
	}
	if v.cfg.Sequence != nil {
		_ = v.cfg.Sequence(ctx) // the schedule does it within a minute in any case
	}
	return nil
}
