package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

// Sequencing happens in rounds. Each step may fail, or be killed, or run twice
// at once; the next run goes on from the row log/head:
//
//	plan     one conditional write of the head fixes which pending batches the
//	         round takes and which root results. Now every sequencer that
//	         goes on computes the same tiles, byte for byte.
//	tiles    every new tile and bundle is written, put-if-absent.
//	head     one conditional write moves the head to the planned tree. After
//	         this write the entries are in the log.
//	place    each batch row is replaced by its index; its entries now live in
//	         the bundles. The next plan waits for this.
//
// Then the head is signed, cosigned, and published if it has its quorum.
const (
	maxRound     = 8192                   // entries of a round, about: a round ends with a whole batch
	maxRun       = time.Second            // a run starts no new round after this, so that checkpoints keep coming
	runTimeout   = time.Minute            // of a whole run
	maxRaces     = 16                     // times that a run gives way to another sequencer
	placeRetries = 8                      // times that placing reads again after a conflict
	askTimeout   = 5 * time.Second        // for one witness
	graceForMore = 250 * time.Millisecond // for further witnesses once the quorum has answered
	parallelPuts = 8
)

// errRaced says that another sequencer was faster. Reading again resolves it.
var errRaced = errors.New("another sequencer was faster")

// mark is a state of the log: a tree, and up to which number each shard's
// batches are in it.
type mark struct {
	Size    int64     `json:"size"`
	Root    tlog.Hash `json:"root"`
	Cursors []int64   `json:"cursors"`
}

// head is the row log/head. Version is the row's; 0 if there is none yet.
type head struct {
	Before  mark  `json:"before"` // where the last round began: its batches may not all be placed
	Now     mark  `json:"now"`    // all tiles of this tree are written
	Plan    *mark `json:"plan"`   // where the running round ends; nil between rounds
	version int64
}

// last is the mark up to which batches are spoken for.
func (h head) last() mark {
	if h.Plan != nil {
		return *h.Plan
	}
	return h.Now
}

func (h head) tree(origin string) ledger.Tree {
	return ledger.Tree{Origin: origin, Size: h.Now.Size, Root: h.Now.Root}
}

func emptyMark() mark {
	return mark{Root: tlog.Hash(sha256.Sum256(nil)), Cursors: make([]int64, shards)}
}

func (l *Ledger) readHead(ctx context.Context) (head, error) {
	have, err := l.rows.Get(ctx, headKey)
	if err != nil {
		return head{}, err
	}
	row, ok := have[headKey]
	if !ok {
		return head{Before: emptyMark(), Now: emptyMark()}, nil
	}
	return parseHead(row)
}

// parseHead reads a head whose marks only ever move forward: a damaged cursor
// must not make a round skip or repeat batches.
func parseHead(row store.Row) (head, error) {
	h := head{version: row.Version}
	if err := json.Unmarshal(row.Value, &h); err != nil {
		return head{}, damaged("the head row")
	}
	from := emptyMark()
	for _, m := range []mark{h.Before, h.Now, h.last()} {
		if len(m.Cursors) != shards || m.Size < from.Size {
			return head{}, damaged("the head row")
		}
		for s := range shards {
			if m.Cursors[s] < from.Cursors[s] {
				return head{}, damaged("the head row")
			}
		}
		from = m
	}
	if !bytes.Equal(h.marshal(), row.Value) {
		return head{}, damaged("the head row")
	}
	return h, nil
}

func (h head) marshal() []byte {
	b, err := json.Marshal(h)
	if err != nil {
		panic(err) // numbers and hashes always encode
	}
	return b
}

// writeHead replaces exactly the head that was read, or fails with errRaced.
// A write of unknown outcome counts as failed: the next run reads what is there.
func (l *Ledger) writeHead(ctx context.Context, h head) error {
	err := l.rows.Commit(ctx, store.Write{Op: store.Put, Key: headKey, Value: h.marshal(), Version: h.version})
	if problem.KindOf(err) == problem.Conflict && err != nil {
		return errRaced
	}
	return err
}

// Outcome says what a run of Sequence did.
type Outcome struct {
	Added      int               // entries that this run moved into the log
	Size       int64             // of the log now
	Checkpoint ledger.Checkpoint // the newest with a quorum; zero if there is none yet
	Refusals   []error           // per witness that did not cosign, why; and a wrong clock of ours
}

// Sequence moves the entries that are pending when it starts into the log, as
// far as that goes in about a second, and then publishes a fresh checkpoint.
// Run it every minute and whenever entries were added; it may run twice and
// concurrently.
//
// If fewer witnesses than the quorum cosign, the entries are in the log all
// the same, but no new checkpoint is published, and the error is
// ledger.ErrUnwitnessed beside a complete Outcome.
//
// Calls that arrive while a run is going on share the next one.
func (l *Ledger) Sequence(ctx context.Context) (Outcome, error) {
	return l.running.join(ctx, func() (Outcome, error) {
		// Not the caller's context: others share the run.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), runTimeout)
		defer cancel()
		return l.sequence(ctx)
	})
}

func (l *Ledger) sequence(ctx context.Context) (Outcome, error) {
	var out Outcome
	began, races := time.Now(), 0 // time.Now measures a span here and dates nothing
	for {
		added, left, err := l.round(ctx)
		if errors.Is(err, errRaced) {
			if races++; races > maxRaces {
				return out, problem.Wrap(problem.Unavailable, err, "other sequencers are at work; nothing was lost; try again")
			}
			if err := pause(ctx, races); err != nil {
				return out, err
			}
			continue
		}
		if err != nil {
			return out, err
		}
		out.Added += added
		// What arrived while the round was running waits for the next run:
		// many small rounds would only compete with the adders for the disk.
		if !left || time.Since(began) > maxRun {
			break
		}
	}
	h, err := l.readHead(ctx)
	if err != nil {
		return out, err
	}
	out.Size = h.Now.Size
	return out, l.publish(ctx, h, &out)
}

// round does one round, or finishes the one that somebody left, and gives the
// number of entries that it moved. left says that some that were pending when
// it began may still be.
func (l *Ledger) round(ctx context.Context) (added int, left bool, err error) {
	h, err := l.readHead(ctx)
	if err != nil {
		return 0, false, err
	}
	resumed := h.Plan != nil
	var edge *ledger.Edge
	var objects []ledger.Object
	if h.Plan == nil {
		h, edge, objects, err = l.plan(ctx, h)
	} else {
		edge, objects, err = l.replan(ctx, h)
	}
	if err != nil || h.Plan == nil {
		return 0, false, err
	}
	if err := l.putObjects(ctx, objects); err != nil {
		return 0, false, err
	}
	done := head{Before: h.Now, Now: *h.Plan, version: h.version}
	// After this write the round's entries are in the log.
	if err := l.writeHead(ctx, done); err != nil {
		return 0, false, err
	}
	done.version++
	l.keepEdge(edge)
	added = int(done.Now.Size - done.Before.Size)
	return added, resumed || added >= maxRound, l.place(ctx, done)
}

// plan fixes a new round over what is pending, if anything is.
func (l *Ledger) plan(ctx context.Context, h head) (head, *ledger.Edge, []ledger.Object, error) {
	if err := l.place(ctx, h); err != nil {
		return h, nil, nil, err
	}
	batches, to, err := l.collect(ctx, h.Now.Cursors, nil)
	if err != nil || len(batches) == 0 {
		return h, nil, nil, err
	}
	edge, objects, err := l.extend(ctx, h, batches)
	if err != nil {
		return h, nil, nil, err
	}
	h.Plan = &mark{Size: edge.Size(), Root: edge.Root(), Cursors: to}
	if err := l.writeHead(ctx, h); err != nil {
		return h, nil, nil, err
	}
	h.version++
	return h, edge, objects, nil
}

// replan computes a planned round again: the same batches give the same tiles.
func (l *Ledger) replan(ctx context.Context, h head) (*ledger.Edge, []ledger.Object, error) {
	batches, _, err := l.collect(ctx, h.Now.Cursors, h.Plan.Cursors)
	if err != nil {
		return nil, nil, err
	}
	edge, objects, err := l.extend(ctx, h, batches)
	if err != nil {
		return nil, nil, err
	}
	if edge.Size() != h.Plan.Size || edge.Root() != h.Plan.Root {
		return nil, nil, damaged("a pending batch")
	}
	return edge, objects, nil
}

// collect reads batches in the order in which they enter the log: shard by
// shard, number by number. With a bound it reads exactly up to there, else
// what there is, up to about maxRound entries.
func (l *Ledger) collect(ctx context.Context, from, bound []int64) ([]batch, []int64, error) {
	byShard, to := make([][]batch, shards), slices.Clone(from)
	total := 0
	for open := openShards(to, bound); len(open) > 0 && (bound != nil || total < maxRound); {
		width := int64(store.MaxRows / len(open))
		var keys []string
		for _, s := range open {
			for n := to[s]; n < to[s]+width && (bound == nil || n < bound[s]); n++ {
				keys = append(keys, batchKey(s, n))
			}
		}
		have, err := l.rows.Get(ctx, keys...)
		if err != nil {
			return nil, nil, err
		}
		var still []int
		for _, s := range open {
			end := to[s] + width
			for ; to[s] < end; to[s]++ {
				row, ok := have[batchKey(s, to[s])]
				if !ok {
					break
				}
				b, err := parseBatch(row)
				if err != nil {
					return nil, nil, err
				}
				byShard[s] = append(byShard[s], b)
				total += b.count
			}
			if bound == nil && to[s] == end || bound != nil && to[s] < bound[s] {
				still = append(still, s)
			}
			if bound != nil && to[s] < min(end, bound[s]) {
				return nil, nil, damaged("the row of a planned batch")
			}
		}
		open = still
	}
	return slices.Concat(byShard...), to, nil
}

// openShards gives the shards that may have batches between from and bound.
func openShards(from, bound []int64) []int {
	var open []int
	for s := range from {
		if bound == nil || from[s] < bound[s] {
			open = append(open, s)
		}
	}
	return open
}

// extend computes the tree after a round. It changes nothing.
func (l *Ledger) extend(ctx context.Context, h head, batches []batch) (*ledger.Edge, []ledger.Object, error) {
	var entries []ledger.Entry
	for _, b := range batches {
		if b.placed {
			return nil, nil, errRaced // only done after the head has moved on from what we read
		}
		entries = append(entries, b.entries...)
	}
	l.mu.Lock()
	edge := l.edge
	l.mu.Unlock()
	if edge == nil || edge.Size() != h.Now.Size || edge.Root() != h.Now.Root {
		var err error
		if edge, err = ledger.OpenEdge(h.tree(l.signer.Name()), l.fetch(ctx)); err != nil {
			return nil, nil, err
		}
	}
	next, objects := edge.Append(entries)
	return next, objects, nil
}

func (l *Ledger) keepEdge(edge *ledger.Edge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.edge = edge
}

// putObjects writes tiles and bundles. One that exists must be the same: since
// the plan fixes every byte, a difference means that storage was altered.
func (l *Ledger) putObjects(ctx context.Context, objects []ledger.Object) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelPuts)
	for _, o := range objects {
		group.Go(func() error {
			key, sum := blobKey(o.Tile), sha256.Sum256(o.Data)
			err := l.blobs.Put(ctx, key, int64(len(o.Data)), sum, bytes.NewReader(o.Data))
			if err == nil || problem.KindOf(err) != problem.Conflict {
				return err
			}
			there, err := l.readBlob(ctx, o.Tile)
			if err != nil {
				return err
			}
			if !bytes.Equal(there, o.Data) {
				return damaged("a tile")
			}
			return nil
		})
	}
	return group.Wait()
}

// place gives every batch of the last round its index. The order is collect's,
// so the indexes follow from the marks alone, whoever computes them.
func (l *Ledger) place(ctx context.Context, h head) error {
	l.mu.Lock()
	done := h.version == l.placed
	l.mu.Unlock()
	if done {
		return nil
	}
	var err error
	for range placeRetries {
		if err = l.placeOnce(ctx, h); err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.placed = h.version
			return nil
		}
		if problem.KindOf(err) != problem.Conflict {
			return err
		}
	}
	return problem.Wrap(problem.Unavailable, err, "other sequencers are at work; nothing was lost; try again")
}

func (l *Ledger) placeOnce(ctx context.Context, h head) error {
	index := h.Before.Size
	batches, _, err := l.collect(ctx, h.Before.Cursors, h.Now.Cursors)
	if err != nil {
		return err
	}
	var writes []store.Write
	i := 0
	for s := range shards {
		for n := h.Before.Cursors[s]; n < h.Now.Cursors[s]; n++ {
			b := batches[i]
			if b.placed && b.index != index {
				return damaged("a placed batch row")
			}
			if !b.placed {
				writes = append(writes, store.Write{Op: store.Put, Key: batchKey(s, n), Value: marshalPlaced(index, b.count), Version: b.version})
			}
			index += int64(b.count)
			i++
		}
	}
	if index != h.Now.Size {
		return damaged("a batch row")
	}
	for chunk := range slices.Chunk(writes, store.MaxRows) {
		if err := l.rows.Commit(ctx, chunk...); err != nil {
			return err
		}
	}
	return nil
}

// turns lets one run go on at a time and everybody who comes meanwhile share the next.
type turns struct {
	mu   sync.Mutex
	next *turn
	busy sync.Mutex
}

type turn struct {
	done chan struct{}
	out  Outcome
	err  error
}

func (t *turns) join(ctx context.Context, run func() (Outcome, error)) (Outcome, error) {
	t.mu.Lock()
	mine := t.next
	if mine == nil {
		mine = &turn{done: make(chan struct{})}
		t.next = mine
		go func() {
			t.busy.Lock()
			defer t.busy.Unlock()
			t.mu.Lock()
			t.next = nil // who comes from here on may have added after we read
			t.mu.Unlock()
			mine.out, mine.err = run()
			close(mine.done)
		}()
	}
	t.mu.Unlock()
	select {
	case <-mine.done:
		return mine.out, mine.err
	case <-ctx.Done():
		return Outcome{}, problem.Wrap(problem.Unavailable, ctx.Err(), "sequencing goes on; its result was not awaited")
	}
}

func readAll(r io.ReadCloser, size int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(size)+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the log's storage cannot be read; try again")
	}
	if len(b) != size {
		return nil, damaged(fmt.Sprintf("a tile of %d bytes", size))
	}
	return b, nil
}
