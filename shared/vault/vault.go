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
//	trust                    the trust file in force
//	log-key                  seed of the log's signing key, wrapped by the vault's root
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
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"arca.example/arca/shared/keys"
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
	joint  string // the trust file that pinned was read from
	pinned *record.Trust
	log    *Ledger
}

// New makes a vault. It opens nothing.
func New(cfg Config) *Vault { return &Vault{cfg: cfg} }

const (
	logSeedRow = "log-key"    // wrapped by the vault's root
	logKeyRow  = "log-public" // verifier key
)

// LogSigner opens the log's signing key, making it on first use. Only the sequence function has the root for it. Of two first
// starts at once one wins and the other reads its key.
func (v *Vault) LogSigner(ctx context.Context, roots keys.Roots, origin string) (note.Signer, error) {
	root, err := keys.OpenOrCreate(ctx, roots, "base")
	if err != nil {
		return nil, err
	}
	aad := []byte("arca/v1/log-key/" + origin)
	for range 3 {
		rows, err := v.cfg.Rows.Get(ctx, logSeedRow)
		if err != nil {
			return nil, err
		}
		if row, ok := rows[logSeedRow]; ok {
			seed, err := root.Unwrap(ctx, aad, row.Value)
			if err != nil {
				return nil, err
			}
			signer, _, err := logSigner(seed, origin)
			return signer, err
		}
		if err := v.makeLogKey(ctx, root, aad, origin); err != nil && problem.KindOf(err) != problem.Conflict {
			return nil, err
		}
	}
	return nil, problem.New(problem.Unavailable, "the log's key cannot be written; try again")
}

func (v *Vault) makeLogKey(ctx context.Context, root keys.Root, aad []byte, origin string) error {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // crypto/rand does not fail
	_, vkey, err := logSigner(seed, origin)
	if err != nil {
		return err
	}
	wrapped, err := root.Wrap(ctx, aad, seed)
	if err != nil {
		return err
	}
	return v.cfg.Rows.Commit(ctx,
		store.Write{Op: store.Put, Key: logSeedRow, Value: wrapped},
		store.Write{Op: store.Put, Key: logKeyRow, Value: []byte(vkey)})
}

func logSigner(seed []byte, origin string) (note.Signer, string, error) {
	key, err := record.SignerFromSeed(seed)
	if err != nil {
		return nil, "", err
	}
	return ledger.NewLogSigner(origin, key.Ed25519())
}

// LogKey is the log's verifier key, which the trust file names. Errors: problem.Unavailable until sequence has run once.
func (v *Vault) LogKey(ctx context.Context) (string, error) {
	rows, err := v.cfg.Rows.Get(ctx, logKeyRow)
	if err != nil {
		return "", err
	}
	if row, ok := rows[logKeyRow]; ok {
		return string(row.Value), nil
	}
	if v.cfg.Sequence != nil {
		_ = v.cfg.Sequence(ctx) // the schedule runs it within a minute in any case
	}
	return "", problem.New(problem.Unavailable, "the log's key is being made; try again in a minute")
}

// Geometry is the shape of every pack.
func (v *Vault) Geometry() seal.Geometry { return v.cfg.Geometry }

// Ledger gives the log for adding and reading; it cannot sign.
func (v *Vault) Ledger(ctx context.Context) (*Ledger, error) {
	policy, err := v.Policy(ctx)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.log == nil {
		if v.log, err = NewLedger(v.cfg.Rows, v.cfg.Blobs, noSigner(policy.Origin), policy, nil, v.cfg.Now); err != nil {
			return nil, err
		}
	}
	return v.log, nil
}

// Sequencer gives the log for sequencing. urls are the witnesses' addresses in the order in which the trust file first names each.
func (v *Vault) Sequencer(ctx context.Context, roots keys.Roots, client *http.Client, urls []string) (*Ledger, error) {
	policy, err := v.Policy(ctx)
	if err != nil {
		return nil, err
	}
	signer, err := v.LogSigner(ctx, roots, policy.Origin)
	if err != nil {
		return nil, err
	}
	names := policy.Names()
	if len(urls) != len(names) {
		return nil, problem.New(problem.Unavailable, "WITNESSES must list one address per witness of the trust file, in its order; set it and start again")
	}
	var witnesses []Witness
	for i, name := range names {
		witnesses = append(witnesses, RemoteWitness{Called: name, Keys: policy.KeysOf(name), URL: urls[i], Client: client})
	}
	return NewLedger(v.cfg.Rows, v.cfg.Blobs, signer, policy, witnesses, v.cfg.Now)
}

// noSigner has the log's name and not its key.
type noSigner string

func (n noSigner) Name() string    { return string(n) }
func (n noSigner) KeyHash() uint32 { return 0 }
func (n noSigner) Sign([]byte) ([]byte, error) {
	return nil, errors.New("this function does not hold the log's key")
}

// Trust gives the trust file in force. Errors: problem.Unavailable before the first one.
func (v *Vault) Trust(ctx context.Context) (*record.Trust, error) {
	rows, err := v.cfg.Rows.Get(ctx, "trust")
	if err != nil {
		return nil, err
	}
	row, ok := rows["trust"]
	if !ok {
		return nil, problem.New(problem.Unavailable, "this vault has no trust file yet; the operator sends it with PUT /v1/vault/trust")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.pinned == nil || v.joint != string(row.Value) {
		t, err := v.openTrust(row.Value)
		if err != nil {
			return nil, err
		}
		v.pinned, v.joint = t, string(row.Value)
	}
	return v.pinned, nil
}

func (v *Vault) openTrust(raw []byte) (*record.Trust, error) {
	if v.cfg.Fingerprint.IsZero() {
		return nil, problem.New(problem.Unavailable, "this vault was started without the fingerprint of its trust file (TRUST); set it and start again")
	}
	var joint record.Joint
	if err := record.Unmarshal(raw, &joint); err != nil {
		return nil, err
	}
	return record.OpenTrust(joint, v.cfg.Fingerprint)
}

// PutTrust takes the first trust file, which must match the pin and name this vault's log.
func (v *Vault) PutTrust(ctx context.Context, joint record.Joint) error {
	raw, err := record.Marshal(joint)
	if err != nil {
		return err
	}
	t, err := v.openTrust(raw)
	if err != nil {
		return err
	}
	vkey, err := v.LogKey(ctx)
	if err != nil {
		return err
	}
	if t.LogKey != vkey || t.Pack.Size != v.cfg.Geometry.Size || t.Pack.Slots != v.cfg.Geometry.Slots {
		return problem.New(problem.Denied, "the trust file names another log or another shape of packs than this vault's; read them with GET /v1/vault")
	}
	err = v.cfg.Rows.Commit(ctx, store.Write{Op: store.Put, Key: "trust", Value: raw})
	if problem.KindOf(err) == problem.Conflict && err != nil {
		return nil // it is there already, and only this one fits the pin
	}
	return err
}

// Policy is the log policy of the trust file.
func (v *Vault) Policy(ctx context.Context) (ledger.Policy, error) {
	t, err := v.Trust(ctx)
	if err != nil {
		return ledger.Policy{}, err
	}
	return ledger.Policy{Origin: t.LogOrigin, Log: t.LogKey, Witnesses: t.Witnesses, Quorum: t.Quorum}, nil
}

// Principal is a caller that the vault knows.
type Principal struct {
	ID   record.KeyID
	Kind string // court, custodian, collector, mirror
}

func principalName(id record.KeyID) string { return "principal/" + id.String() }

// Admit registers a collector or mirror by both registrars' joint statement, which names a key and a kind, nothing else.
func (v *Vault) Admit(ctx context.Context, joint record.Joint) error {
	if _, err := v.openPrincipal(ctx, joint); err != nil {
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

func (v *Vault) openPrincipal(ctx context.Context, joint record.Joint) (record.Principal, error) {
	t, err := v.Trust(ctx)
	if err != nil {
		return record.Principal{}, err
	}
	var p record.Principal
	if _, err := joint.Open(record.TypePrincipal, &p, t.Court.Registrar, t.Custodian.Registrar); err != nil {
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
	for kind, keys := range map[string]record.PartyKeys{"court": t.Court, "custodian": t.Custodian} {
		if keys.Online.ID() == id {
			return Principal{id, kind}, call.Verify(keys.Online, v.cfg.Now())
		}
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
	p, err := v.openPrincipal(ctx, joint)
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
