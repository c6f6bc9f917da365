package vault

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
)

func blobKey(t ledger.Tile) string { return "log/" + t.Path() }

// tileCache remembers tiles, which never change. What is remembered is no more
// trusted than what is read: every use checks it against a root.
type tileCache struct {
	mu    sync.Mutex
	tiles map[ledger.Tile][]byte
}

const maxCached = 1024 // tiles, at most 8 KiB each

func (c *tileCache) get(t ledger.Tile) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tiles[t]
}

func (c *tileCache) put(t ledger.Tile, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tiles == nil || len(c.tiles) >= maxCached {
		c.tiles = make(map[ledger.Tile][]byte)
	}
	c.tiles[t] = data
}

// forget drops everything: some tile was wrong, and storage may be repaired by
// the next read.
func (c *tileCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tiles = nil
}

func (l *Ledger) readBlob(ctx context.Context, t ledger.Tile) ([]byte, error) {
	body, err := l.blobs.Get(ctx, blobKey(t), 0, -1)
	if err != nil {
		return nil, err
	}
	return readAll(body, t.Bytes())
}

// fetch reads tiles through the cache. A tile that the head says must exist
// and does not is damage, not absence.
func (l *Ledger) fetch(ctx context.Context) func(ledger.Tile) ([]byte, error) {
	return func(t ledger.Tile) ([]byte, error) {
		if data := l.tiles.get(t); data != nil {
			return data, nil
		}
		data, err := l.readBlob(ctx, t)
		if err != nil && problem.KindOf(err) == problem.NotFound {
			return nil, damaged("a missing tile")
		}
		if err == nil {
			l.tiles.put(t, data)
		}
		return data, err
	}
}

// Tile gives a tile or entry bundle by its C2SP path, immutable. The caller
// checks it against a checkpoint.
func (l *Ledger) Tile(ctx context.Context, path string) ([]byte, error) {
	t, err := ledger.ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	return l.readBlob(ctx, t)
}

// Checkpoint gives the newest checkpoint that has its quorum.
func (l *Ledger) Checkpoint(ctx context.Context) ([]byte, ledger.Checkpoint, error) {
	return l.newest(ctx)
}

func (l *Ledger) newest(ctx context.Context) ([]byte, ledger.Checkpoint, error) {
	have, err := l.rows.Get(ctx, checkpointKey)
	if err != nil {
		return nil, ledger.Checkpoint{}, err
	}
	row, ok := have[checkpointKey]
	if !ok {
		return nil, ledger.Checkpoint{}, problem.Wrap(problem.Unavailable, ledger.ErrUnwitnessed, "the log has no witnessed checkpoint yet; try again in a minute")
	}
	c, err := l.verifier.Verify(row.Value)
	if err != nil {
		return nil, ledger.Checkpoint{}, problem.Wrap(problem.Internal, err, "the published checkpoint is damaged; tell the operator")
	}
	return row.Value, c, nil
}

// Proof shows that an entry is in the log, under the newest witnessed
// checkpoint. Errors: problem.NotFound if it was never added; problem.Unavailable
// with ledger.ErrUnwitnessed while no witnessed checkpoint covers it.
func (l *Ledger) Proof(ctx context.Context, e ledger.Entry) (ledger.Proof, error) {
	index, err := l.index(ctx, e)
	if err != nil {
		return ledger.Proof{}, err
	}
	signed, c, err := l.newest(ctx)
	if err != nil {
		return ledger.Proof{}, err
	}
	if index >= c.Size {
		return ledger.Proof{}, errPending()
	}
	path, err := ledger.ProveInclusion(c.Tree, index, ledger.Reader(c.Tree, l.fetch(ctx)))
	if err == nil && c.CheckInclusion(e.Leaf(), index, path) != nil {
		err = damaged("an entry's index")
	}
	if err != nil {
		return ledger.Proof{}, l.distrust(err)
	}
	return ledger.Proof{Index: index, Path: path, Checkpoint: signed}, nil
}

func errPending() error {
	return problem.Wrap(problem.Unavailable, ledger.ErrUnwitnessed, "the entry is stored and will be in the next witnessed checkpoint; ask again in a second")
}

// distrust forgets cached tiles after they failed to prove something.
func (l *Ledger) distrust(err error) error {
	if errors.Is(err, ledger.ErrAltered) {
		l.tiles.forget()
	}
	return err
}

// index finds where an entry stands: its leaf row names its batch, whose row
// names its index once it is placed.
func (l *Ledger) index(ctx context.Context, e ledger.Entry) (int64, error) {
	key := leafKey(e)
	have, err := l.rows.Get(ctx, key)
	if err != nil {
		return 0, err
	}
	row, ok := have[key]
	if !ok {
		return 0, problem.New(problem.NotFound, "the log does not have that entry")
	}
	p, err := parsePlace(row.Value)
	if err != nil {
		return 0, err
	}
	key = batchKey(p.shard, p.number)
	if have, err = l.rows.Get(ctx, key); err != nil {
		return 0, err
	}
	if row, ok = have[key]; !ok {
		return 0, damaged("a missing batch row")
	}
	b, err := parseBatch(row)
	if err != nil {
		return 0, err
	}
	if p.position >= b.count {
		return 0, damaged("a leaf row")
	}
	if !b.placed {
		return 0, errPending()
	}
	return b.index + int64(p.position), nil
}

// Consistency shows that the newest witnessed checkpoint, which it also gives,
// continues the log's tree of size from.
func (l *Ledger) Consistency(ctx context.Context, from int64) ([]byte, []tlog.Hash, error) {
	signed, c, err := l.newest(ctx)
	if err != nil {
		return nil, nil, err
	}
	path, err := ledger.ProveConsistency(c.Tree, from, ledger.Reader(c.Tree, l.fetch(ctx)))
	if err != nil {
		return nil, nil, l.distrust(err)
	}
	return signed, path, nil
}
