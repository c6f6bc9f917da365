// Package keyholder is what court and custodian each run: it admits orders, makes unit keys, files
// batch notes, takes requests and approvals, and hands over its half of a key.
//
// It promises that a half leaves only for a request that is logged, included under a
// witnessed checkpoint, made by a person whom policy allows, under an order chain that both
// keyholders hold in force at the witnesses' time (design, "What may never happen", 2). Both
// keyholders run this same code and share nothing else: each verifies every signature,
// proof and status itself.
//
// It trusts its own root (package keys), its own clock within five minutes of the witnesses', and the
// keys that the pinned trust file names. It does not trust the vault, the other keyholder's
// word beyond its signed status, its own storage vendor (rows are sealed), or any caller.
//
// # Rows
//
// Rows are sealed (store/sealed): a storage vendor sees boxes. Their names:
//
//	trust                      the first trust file, as signed
//	trust/<n>                  the trust file of version n with its log entry (record.TrustLink)
//	signer, signer/<n>         seeds of the first and of every later online signing key
//	roster                     every enrolled key, its enrolment's hash, the suspended set
//	person/<key>               an enrolment (joint statement)
//	chains, chains/<n>         count and list of order chains
//	chain/<chain>              members of an order chain, as signed
//	units/<chain>              list of the chain's units
//	unit/<unit>                a unit's public keys, place of its seed in the ring
//	filed/<unit>               count of its batches
//	ring/head                  the shred ring: its generation and ring key (see ring.go)
//	ring/page/<slot>/<n>       a page of it; ring/copy/<slot>/<n> the same once more
//	kept/<batch>               where the kept halves of a batch are (see kept.go)
//	batch/<batch>              a batch note
//	batchof/<unit>/<n>         batch number n of a unit, by order of filing
//	author/<unit>/<collector>  the collector's last batch of a unit
//	request/<hash>             a request, its approvals, their log openings
//	requests/<n>, requests     the inbox in order of arrival, its counter
//	released/<request>         numbers of the events that say what was released for a request
//	act/<hash>                 a reader's act that was begun: on what, and what ended it
//	made/<statement>           a batch that a reader says they sealed, by the hash of its statement: by whom, where
//	derived/<batch>/<recording>  what readers made of a recording: notes, transcripts, copies
//	deposited/<batch>/<n>      a collector's word on where a batch was stored, from its pack n on
//	nonce/<author>/<nonce>     statements seen (replay), until they expire
//	told/<chain>               what was told of its clocks: the notices in the inboxes
//	reports/<chain>            what was reported on it: delivered reports, parts composed from the journal
//	report/<hash>              a report: its statement, and of a delivered one the sealed content with one share of its key
//	lapse                      when the clocks were last gone over
//	journal/<case>             number, last event and posted mark of a case's journal
//	event/<case>/<n>           an event and its opening
package keyholder

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/law"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/sealed"
)

// Log is the vault's log as a keyholder needs it.
type Log interface {
	// Add hands over entries; it returns once they are durable at the vault. Adding twice equals once.
	Add(ctx context.Context, entries ...ledger.Entry) error
	// Proof gives the tlog-proof of an entry under the newest cosigned checkpoint;
	// problem.Conflict while the entry is not yet under one.
	Proof(ctx context.Context, entry ledger.Entry) ([]byte, error)
	// Checkpoint gives the newest cosigned checkpoint, a signed note.
	Checkpoint(ctx context.Context) ([]byte, error)
}

// Peer is the other keyholder.
type Peer interface {
	// Status gives its signed status of chains over a nonce.
	Status(ctx context.Context, nonce record.ID, chains ...record.Digest) (string, error)
	// UnitKeys gives its signed unit keys of a chain, record.MaxUnitKeys to a statement.
	UnitKeys(ctx context.Context, chain record.Digest) ([]string, error)
	// Destroying gives its signed word over a nonce on what a decision to destroy takes there, if it may be carried out or was.
	Destroying(ctx context.Context, nonce record.ID, chain, decision record.Digest) (string, error)
}

// Config is what a keyholder is given at start.
type Config struct {
	Party       seal.Role // court or custodian
	Rows        store.Rows
	Roots       keys.Roots
	Fingerprint record.Digest // pin of the first trust file; zero refuses to take one
	// Connect gives the log and the other keyholder, to be called with this keyholder\'s own key.
	Connect func(own *record.Signer) (Log, Peer)
	Now     func() time.Time
	Invoke  func(ctx context.Context) error // makes the units function run soon; may be nil
	Warn    map[string]time.Duration        // how long before it is due a clock is warned of, by its name; others as the statute profile says
	// Create lets Open make the row key and the signing key when there are none. One function alone has it, so that
	// one function alone needs the right to encrypt under the base root.
	Create bool
}

// Keyholder is one side. Safe for concurrent use.
type Keyholder struct {
	cfg  Config
	rows store.Rows // sealed

	speaks atomic.Pointer[voice]

	mu         sync.Mutex
	posted     map[record.Digest]int64 // by case: events that the log has accepted from this process
	trust      *record.Trust           // in force, as its rows were read last
	looked     time.Time               // when they were
	verifies   *ledger.Verifier
	enrolments map[record.Digest]enrolled   // verified joints, by the hash of their signatures
	members    map[record.Digest]law.Member // verified chain members, by the hash of the whole statement
}

// baseRoot seals rows and the signing key; each generation of the shred ring has a root of its own (rootName).
const baseRoot = "base"

// rowKeyName is the one row that is not sealed by the row key: it holds the row key, sealed by the base root.
const rowKeyName = "row-key"

// Open unwraps the row key and the signing key, making both on first use if it may. Errors: problem.Unavailable while
// there are none and it may not.
func Open(ctx context.Context, cfg Config) (*Keyholder, error) {
	k := &Keyholder{cfg: cfg, posted: map[record.Digest]int64{}, enrolments: map[record.Digest]enrolled{}, members: map[record.Digest]law.Member{}}
	rowKey, err := k.openRowKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("open row key: %w", err)
	}
	k.rows = sealed.New(cfg.Rows, rowKey)
	first, err := k.openSigner(ctx)
	if err != nil {
		return nil, fmt.Errorf("open signing key: %w", err)
	}
	k.speak(first)
	// Which of its keys counts, the trust file says; without one, or with one that cannot be read, it is the first, and whoever needs more is told.
	_, _ = k.Trust(ctx)
	return k, nil
}

// noKeys is the answer of a function that may not make the keyholder's keys before they exist.
func noKeys() error {
	return problem.New(problem.Unavailable, "this keyholder has no keys yet; ask GET /v1/keyholder first, which makes them")
}

func (k *Keyholder) openBase(ctx context.Context) (keys.Root, error) {
	if k.cfg.Create {
		return keys.OpenOrCreate(ctx, k.cfg.Roots, baseRoot)
	}
	root, err := k.cfg.Roots.Open(ctx, baseRoot)
	if err != nil && problem.KindOf(err) == problem.NotFound {
		return nil, noKeys()
	}
	return root, err
}

// openRowKey reads or makes the key that seals rows. Two first starts at once agree, because
// the row is written only if it is new and read again otherwise.
func (k *Keyholder) openRowKey(ctx context.Context) ([32]byte, error) {
	root, err := k.openBase(ctx)
	if err != nil {
		return [32]byte{}, err
	}
	aad := []byte("arca/v1/row-key/" + string(k.cfg.Party))
	for range 3 {
		found, err := k.cfg.Rows.Get(ctx, rowKeyName)
		if err != nil {
			return [32]byte{}, err
		}
		if row, ok := found[rowKeyName]; ok {
			plain, err := root.Unwrap(ctx, aad, row.Value)
			if err != nil || len(plain) != 32 {
				return [32]byte{}, problem.Wrap(problem.Unavailable, err, "the row key does not open with this root; restore the root that belongs to these rows")
			}
			return [32]byte(plain), nil
		}
		if !k.cfg.Create {
			return [32]byte{}, noKeys()
		}
		wrapped, err := root.Wrap(ctx, aad, random(32))
		if err != nil {
			return [32]byte{}, err
		}
		err = k.cfg.Rows.Commit(ctx, store.Write{Op: store.Put, Key: rowKeyName, Value: wrapped})
		if err != nil && problem.KindOf(err) != problem.Conflict {
			return [32]byte{}, err
		}
	}
	return [32]byte{}, problem.New(problem.Unavailable, "the row key cannot be written; try again")
}

func (k *Keyholder) openSigner(ctx context.Context) (*record.Signer, error) {
	err := k.update(ctx, func(c *change) error {
		var seed []byte
		if found, err := c.load("signer", &seed); err != nil || found {
			return err
		}
		if !k.cfg.Create {
			return noKeys()
		}
		return c.put("signer", random(32))
	})
	if err != nil {
		return nil, err
	}
	var seed []byte
	if _, err := k.read(ctx, "signer", &seed); err != nil {
		return nil, err
	}
	return record.SignerFromSeed(seed)
}

// voice is how the keyholder speaks: with its online key that the trust file in force names.
type voice struct {
	signer *record.Signer
	log    Log
	peer   Peer
}

func (k *Keyholder) voice() *voice { return k.speaks.Load() }

// speak makes a key the one that speaks.
func (k *Keyholder) speak(signer *record.Signer) {
	log, peer := k.cfg.Connect(signer)
	k.speaks.Store(&voice{signer, log, peer})
}

// Online is the keyholder's own public key, which the trust file names.
func (k *Keyholder) Online() record.PublicKey { return k.voice().signer.Public() }

// Signer signs the keyholder's calls to the vault and to the other keyholder.
func (k *Keyholder) Signer() *record.Signer { return k.voice().signer }

// Party is court or custodian.
func (k *Keyholder) Party() seal.Role { return k.cfg.Party }

func (k *Keyholder) other() seal.Role {
	if k.cfg.Party == seal.Court {
		return seal.Custodian
	}
	return seal.Court
}

func (k *Keyholder) now() time.Time { return record.Second(k.cfg.Now()) }

// random gives n bytes from the system's generator, which does not fail (crypto/rand).
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = io.ReadFull(rand.Reader, b)
	return b
}

// change collects one transaction: what was read, at which version, and what is to be written. Every row that
// is written was read first, so every write is conditional on what was seen.
type change struct {
	k      *Keyholder
	ctx    context.Context
	seen   map[string]store.Row
	writes map[string]store.Write
}

// lostLooks is how often a change looks again before it says that a row is missing.
const lostLooks = 3

// update runs f and commits what it wrote, again from the start when another writer was first.
// Commit point: after the Commit in here the change exists.
func (k *Keyholder) update(ctx context.Context, f func(*change) error) error {
	for attempt := range 10 {
		c := &change{k: k, ctx: ctx, seen: map[string]store.Row{}, writes: map[string]store.Write{}}
		err := f(c)
		if errors.Is(err, errLost) && attempt < lostLooks {
			// The rows of a change are not read at one instant: another writer may have come in between. What is lost stays lost.
			pause(ctx, attempt)
			continue
		}
		if err != nil {
			return err
		}
		if len(c.writes) == 0 {
			return nil
		}
		err = k.rows.Commit(ctx, c.list()...)
		if err == nil || problem.KindOf(err) != problem.Conflict {
			return err
		}
		pause(ctx, attempt)
	}
	return problem.New(problem.Unavailable, "many writers are at work on the same record; try again")
}

func (c *change) list() []store.Write {
	var list []store.Write
	for _, w := range c.writes {
		list = append(list, w)
	}
	return list
}

// pause waits a little longer at each attempt, with jitter so that two writers do not march in step.
func pause(ctx context.Context, attempt int) {
	wait := time.Duration(1+int(random(1)[0])%(4<<min(attempt, 6))) * time.Millisecond
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}

// look reads rows into seen that were not read before, in one call if they fit. What load would read one by one is read faster so.
func (c *change) look(names ...string) error {
	var missing []string
	for _, name := range names {
		if _, ok := c.seen[name]; !ok && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	for some := range slices.Chunk(missing, store.MaxRows) {
		found, err := c.k.rows.Get(c.ctx, some...)
		if err != nil {
			return err
		}
		for _, name := range some {
			row := found[name]
			row.Key = name
			c.seen[name] = row
		}
	}
	return nil
}

// load reads a row's value, seeing the writes of this change.
func (c *change) load(name string, v any) (bool, error) {
	value, err := c.loadBytes(name)
	if err != nil || value == nil {
		return false, err
	}
	return true, unmarshalRow(value, v)
}

// loadBytes is load for a row that holds bytes of its own format; nil if there is none.
func (c *change) loadBytes(name string) ([]byte, error) {
	if w, ok := c.writes[name]; ok && w.Op == store.Put {
		return w.Value, nil
	}
	if err := c.look(name); err != nil {
		return nil, err
	}
	return c.seen[name].Value, nil
}

// put stores v under a name that load has seen, or that must be new.
func (c *change) put(name string, v any) error {
	value, err := record.Marshal(v)
	if err != nil {
		return err
	}
	c.writes[name] = store.Write{Op: store.Put, Key: name, Value: value, Version: c.seen[name].Version}
	return nil
}

// putBytes is put for a row that holds bytes of its own format.
func (c *change) putBytes(name string, value []byte) {
	c.writes[name] = store.Write{Op: store.Put, Key: name, Value: value, Version: c.seen[name].Version}
}

// putUntil is put for a row that may vanish after a time.
func (c *change) putUntil(name string, v any, expires time.Time) error {
	err := c.put(name, v)
	w := c.writes[name]
	w.Expires = expires
	c.writes[name] = w
	return err
}

// require makes the change fail if a row that load has seen is changed by anyone before the commit.
func (c *change) require(name string) {
	if _, ok := c.writes[name]; !ok {
		c.writes[name] = store.Write{Op: store.Check, Key: name, Version: c.seen[name].Version}
	}
}

// read is load outside a change.
func (k *Keyholder) read(ctx context.Context, name string, v any) (bool, error) {
	found, err := k.rows.Get(ctx, name)
	if err != nil {
		return false, err
	}
	row, ok := found[name]
	if !ok {
		return false, nil
	}
	return true, unmarshalRow(row.Value, v)
}

// readMany is read for names of rows that must all exist, in order, any number of them.
func readMany[T any](ctx context.Context, k *Keyholder, names []string) ([]T, error) {
	list := make([]T, 0, len(names))
	for len(names) > 0 {
		n := min(len(names), store.MaxRows)
		found, err := k.rows.Get(ctx, names[:n]...)
		if err != nil {
			return nil, err
		}
		for _, name := range names[:n] {
			row, ok := found[name]
			if !ok {
				return nil, problem.Wrap(problem.Internal, errors.New("a listed row is missing: "+name), "a record that must exist is missing; tell the operator: the rows need to be restored")
			}
			var v T
			if err := unmarshalRow(row.Value, &v); err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		names = names[n:]
	}
	return list, nil
}

// readFound is readMany for rows that may be missing, by name. Names may repeat.
func readFound[T any](ctx context.Context, k *Keyholder, names []string) (map[string]T, error) {
	all := map[string]T{}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for some := range slices.Chunk(names, store.MaxRows) {
		found, err := k.rows.Get(ctx, some...)
		if err != nil {
			return nil, err
		}
		for name, row := range found {
			var v T
			if err := unmarshalRow(row.Value, &v); err != nil {
				return nil, err
			}
			all[name] = v
		}
	}
	return all, nil
}

// unmarshalRows reads rows that must all be there.
func unmarshalRows(rows map[string]store.Row, into map[string]any) error {
	for name, v := range into {
		row, ok := rows[name]
		if !ok {
			return problem.Wrap(problem.Internal, errors.New("missing row "+name), "a record that must exist is missing; tell the operator: the rows need to be restored")
		}
		if err := unmarshalRow(row.Value, v); err != nil {
			return err
		}
	}
	return nil
}

// unmarshalRow reads our own bytes back: what fails here is damage, not a caller's mistake.
func unmarshalRow(value []byte, v any) error {
	if err := record.UnmarshalStored(value, v); err != nil {
		return problem.Wrap(problem.Internal, err, "a stored record cannot be read; tell the operator: the rows need to be restored")
	}
	return nil
}
