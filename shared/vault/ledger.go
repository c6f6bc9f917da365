package vault

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

// Ledger is the vault's side of the log: it keeps entries, orders them, and
// publishes tiles and witnessed checkpoints. It knows entries as 32 opaque
// bytes and nothing of who added them.
//
// It promises that an entry whose Add returned nil, or whose Append's writes
// were committed, enters the log exactly once, whatever fails or is killed
// afterwards and however many sequencers run. It trusts the store's
// conditional writes. It does not trust what it reads back: every tile is
// checked against the root, and every checkpoint against the policy, before
// anything is built on it.
//
// # Rows
//
//	log/leaf/<entry, hex>      shard u8 ‖ number u64 ‖ position u8: the batch
//	                           that holds the entry. Written once with the
//	                           batch, never changed: this row is why an entry
//	                           cannot enter twice.
//	log/batch/<shard>/<number> 0x01 ‖ entries (32 bytes each, 1 to 99): pending
//	                           0x02 ‖ index u64 ‖ count u8: placed; the first
//	                           entry's index in the log
//	log/head                   the marks of the sequencer, JSON (see head)
//	log/checkpoint             the newest checkpoint with a quorum, a signed note
//
// Each shard numbers its batches from 0 without a gap: a batch is written only
// where the one before exists, and only if its own place is free. So the
// pending entries are found by reading on from the head's cursors, without a
// query and without a counter row that all adders would fight over.
//
// # Blobs
//
//	log/tile/<L>/<N>[.p/<W>], log/tile/entries/<N>[.p/<W>]
//
// Partial tiles are kept.
type Ledger struct {
	rows      store.Rows
	blobs     store.Blobs
	signer    note.Signer
	before    note.Signer // the log's key before this one, which signs too until beside; nil: none
	beside    time.Time
	verifier  *ledger.Verifier
	witnesses []Witness
	now       func() time.Time

	adding  queue
	running turns
	tiles   tileCache

	mu     sync.Mutex
	ends   [shards]int64    // per shard a number below which every batch exists; only a hint for its end
	known  [shards]bool     // the hint was the end when this process last looked
	placed int64            // head version whose last round this process knows to be placed
	edge   *ledger.Edge     // of the newest tree that this process has published; only a cache
	seen   map[string]int64 // by witness, the size that it last cosigned; only a hint
}

// Witness is an independent party that cosigns checkpoints.
// Name is its name in the policy. AddCheckpoint gives its signature lines, one per
// key that the policy names, or the errors of wire.AddCheckpoint.
type Witness interface {
	Name() string
	AddCheckpoint(ctx context.Context, r ledger.Request) (lines string, err error)
}

const (
	shards        = 64
	addShards     = shards / 2          // below: for Add; from here on: for Append
	maxBatch      = store.MaxRows - 1   // entries in a batch: their leaf rows and the batch fill one commit
	MaxAppend     = store.MaxRows/2 - 1 // entries of one Append, so that half of a commit stays free
	maxAdd        = 1 << 16             // entries of one Add
	headKey       = "log/head"
	checkpointKey = "log/checkpoint"
	entrySize     = len(ledger.Entry{})
	statePending  = 1
	statePlaced   = 2
)

// NewLedger makes the log of one vault. The signer's name is the policy's
// origin; witnesses are those of the policy that can be asked.
func NewLedger(rows store.Rows, blobs store.Blobs, signer note.Signer, policy ledger.Policy, witnesses []Witness, now func() time.Time) (*Ledger, error) {
	verifier, err := ledger.NewVerifier(policy)
	if err != nil {
		return nil, err
	}
	return newLedger(rows, blobs, signer, verifier, witnesses, now)
}

func newLedger(rows store.Rows, blobs store.Blobs, signer note.Signer, verifier *ledger.Verifier, witnesses []Witness, now func() time.Time) (*Ledger, error) {
	if signer == nil || signer.Name() != verifier.Policy().Origin || now == nil {
		return nil, problem.New(problem.Invalid, "the log needs a clock and the key that its policy names")
	}
	return &Ledger{rows: rows, blobs: blobs, signer: signer, verifier: verifier, witnesses: witnesses, now: now, seen: map[string]int64{}}, nil
}

func leafKey(e ledger.Entry) string { return "log/leaf/" + e.String() }

func batchKey(shard int, number int64) string { return fmt.Sprintf("log/batch/%02d/%d", shard, number) }

// place is where an entry waits or waited: its leaf row.
type place struct {
	shard    int
	number   int64
	position int
}

func (p place) marshal() []byte {
	out := binary.BigEndian.AppendUint64([]byte{byte(p.shard)}, uint64(p.number))
	return append(out, byte(p.position))
}

func parsePlace(b []byte) (place, error) {
	if len(b) != 10 || b[0] >= shards || b[1]&0x80 != 0 || b[9] >= maxBatch {
		return place{}, damaged("a leaf row")
	}
	return place{shard: int(b[0]), number: int64(binary.BigEndian.Uint64(b[1:])), position: int(b[9])}, nil
}

func damaged(what string) error {
	return problem.Wrap(problem.Internal, ledger.ErrAltered, "%s of the log is damaged; tell the operator", what)
}

// batch is a batch row: pending with its entries, or placed with its index.
type batch struct {
	entries []ledger.Entry // of a pending batch
	placed  bool
	index   int64
	count   int
	version int64
}

func marshalPending(entries []ledger.Entry) []byte {
	out := make([]byte, 1, 1+len(entries)*entrySize)
	out[0] = statePending
	for _, e := range entries {
		out = append(out, e[:]...)
	}
	return out
}

func marshalPlaced(index int64, count int) []byte {
	out := binary.BigEndian.AppendUint64([]byte{statePlaced}, uint64(index))
	return append(out, byte(count))
}

func parseBatch(row store.Row) (batch, error) {
	b := row.Value
	switch {
	case len(b) == 10 && b[0] == statePlaced && b[1]&0x80 == 0 && b[9] > 0 && b[9] <= maxBatch:
		return batch{placed: true, index: int64(binary.BigEndian.Uint64(b[1:])), count: int(b[9]), version: row.Version}, nil
	case len(b) > 1 && b[0] == statePending && (len(b)-1)%entrySize == 0 && len(b)-1 <= maxBatch*entrySize:
		out := batch{count: (len(b) - 1) / entrySize, version: row.Version}
		for i := 1; i < len(b); i += entrySize {
			out.entries = append(out.entries, ledger.Entry(b[i:i+entrySize]))
		}
		return out, nil
	}
	return batch{}, damaged("a batch row")
}

// batchWrites puts entries at a place: the batch first, then a leaf row each.
func batchWrites(shard int, number int64, entries []ledger.Entry) []store.Write {
	writes := make([]store.Write, 0, 1+len(entries))
	writes = append(writes, store.Write{Op: store.Put, Key: batchKey(shard, number), Value: marshalPending(entries)})
	for i, e := range entries {
		writes = append(writes, store.Write{Op: store.Put, Key: leafKey(e), Value: place{shard, number, i}.marshal()})
	}
	return writes
}

// Append gives the writes that enter entries (at most MaxAppend) into the log,
// for the caller to commit together with its own: then its state and its log
// entry exist both or neither. Entries that the log already has are left out.
// If that commit conflicts, another writer was faster, in the caller's state
// or here: read the state and call Append again.
func (l *Ledger) Append(ctx context.Context, entries ...ledger.Entry) ([]store.Write, error) {
	if len(entries) > MaxAppend {
		return nil, problem.New(problem.Invalid, "at most %d log entries can be added together with other state", MaxAppend)
	}
	missing, err := l.missing(ctx, unique(entries))
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	// Any shard would be correct; a random one of the upper half is seldom
	// wanted by two at a time.
	shard := addShards + rand.IntN(shards-addShards)
	number, err := l.end(ctx, shard)
	if err != nil {
		return nil, err
	}
	return batchWrites(shard, number, missing), nil
}

func unique(entries []ledger.Entry) []ledger.Entry {
	seen := make(map[ledger.Entry]bool, len(entries))
	out := make([]ledger.Entry, 0, len(entries))
	for _, e := range entries {
		if !seen[e] {
			seen[e] = true
			out = append(out, e)
		}
	}
	return out
}

// missing gives those of at most maxBatch entries that no leaf row names.
func (l *Ledger) missing(ctx context.Context, entries []ledger.Entry) ([]ledger.Entry, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	keys := make([]string, len(entries))
	for i, e := range entries {
		keys[i] = leafKey(e)
	}
	have, err := l.rows.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	var out []ledger.Entry
	for i, e := range entries {
		if _, ok := have[keys[i]]; !ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// end finds the first free number of a shard. Starting from a number that is
// too high would leave a gap, so the hint is only ever a number whose
// predecessor was seen to exist, or the head's cursor.
func (l *Ledger) end(ctx context.Context, shard int) (int64, error) {
	l.mu.Lock()
	from := l.ends[shard]
	l.mu.Unlock()
	if from == 0 {
		h, err := l.readHead(ctx)
		if err != nil {
			return 0, err
		}
		from = h.last().Cursors[shard]
	}
	for width := int64(4); ; width = store.MaxRows {
		keys := make([]string, width)
		for i := range keys {
			keys[i] = batchKey(shard, from+int64(i))
		}
		have, err := l.rows.Get(ctx, keys...)
		if err != nil {
			return 0, err
		}
		for _, key := range keys {
			if _, ok := have[key]; !ok {
				l.setEnd(shard, from)
				return from, nil
			}
			from++
		}
	}
}

func (l *Ledger) setEnd(shard int, number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends[shard], l.known[shard] = max(l.ends[shard], number), true
}
