package ledger

import (
	"bytes"
	"context"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"arca.example/arca/shared/problem"
)

// Audit re-verifies a log from outside, entry by entry and tile by tile, from a
// tree that was verified before to a newer one. It keeps nothing but the tree's
// right border, so that it can stop anywhere and go on from its Tree.
type Audit struct {
	origin string
	edge   *Edge
	fetch  func(Tile) ([]byte, error)
}

// What an audit reads at a time: entry bundles with their tiles of level 0.
const (
	auditWindow   = 64
	auditParallel = 8
)

// ResumeAudit continues from a tree that was verified before, or from Tree{Origin: …}
// for the beginning. fetch reads a tile and is called by several goroutines at a time. Errors: as of OpenEdge.
func ResumeAudit(from Tree, fetch func(Tile) ([]byte, error)) (*Audit, error) {
	if from.Size == 0 {
		from.Root = emptyRoot
	}
	edge, err := OpenEdge(from, fetch)
	if err != nil {
		return nil, err
	}
	for i, data := range edge.levels {
		edge.levels[i] = bytes.Clone(data) // grows here; what fetch gave may be its cache
	}
	return &Audit{origin: from.Origin, edge: edge, fetch: fetch}, nil
}

// Tree is what has been verified so far: entries and tiles up to its size fit
// each other. It is known to be the log's when a Finish has succeeded.
func (a *Audit) Tree() Tree { return Tree{Origin: a.origin, Size: a.edge.Size(), Root: a.edge.Root()} }

// Advance reads on towards a tree of size to, at most a window at a time, and
// says whether it has read all. An entry bundle or a full tile that does not fit the entries is ErrAltered.
func (a *Audit) Advance(ctx context.Context, to int64) (done bool, err error) {
	from := a.edge.Size()
	if to < from {
		return false, problem.New(problem.Invalid, "the audit has come further than this tree")
	}
	end := min(to, (from/TileWidth+auditWindow)*TileWidth)
	first := from / TileWidth
	count := int((end+TileWidth-1)/TileWidth - first)
	bundles, leafTiles := make([][]byte, count), make([][]byte, count)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(auditParallel)
	for i := range count {
		number := first + int64(i)
		width := int(min(TileWidth, to-number*TileWidth))
		for _, part := range []struct {
			tile Tile
			into *[]byte
		}{{Tile{Entries: true, Number: number, Width: width}, &bundles[i]}, {Tile{Number: number, Width: width}, &leafTiles[i]}} {
			group.Go(func() (err error) {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				*part.into, err = a.read(part.tile)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return false, err
	}
	for i := range count {
		if err := a.take(first+int64(i), bundles[i], leafTiles[i]); err != nil {
			return false, err
		}
	}
	return a.edge.Size() == to, nil
}

func (a *Audit) read(t Tile) ([]byte, error) {
	data, err := a.fetch(t)
	if err == nil && len(data) != t.Bytes() {
		err = refusal(ErrAltered, "%s of the log has the wrong size", t.Path())
	}
	return data, err
}

// take adds a bundle's entries and compares every tile that they complete.
func (a *Audit) take(number int64, bundle, leafTile []byte) error {
	e := a.edge
	have := int(e.size - number*TileWidth) // entries of this bundle that were verified before
	entries, err := ParseBundle(bundle)
	if err != nil {
		return err
	}
	if !bytes.Equal(bundle[:have*bundleEntry], MarshalBundle(e.entries[:have])) {
		return refusal(ErrAltered, "the log's bundle %d has other entries than it had before", number)
	}
	if len(e.levels) == 0 {
		e.levels = append(e.levels, nil)
	}
	leaves := append(make([]byte, 0, TileWidth*tlog.HashSize), e.levels[0]...)
	for _, entry := range entries[have:] {
		leaf := entry.Leaf()
		leaves = append(leaves, leaf[:]...)
	}
	if !bytes.Equal(leaves, leafTile) {
		return refusal(ErrAltered, "the log's tile %d of level 0 does not fit its entries", number)
	}
	e.size += int64(len(entries) - have)
	if len(entries) < TileWidth {
		e.entries, e.levels[0] = entries, leaves
		return nil
	}
	e.entries, e.levels[0] = nil, nil
	for _, o := range e.push(1, subtreeRoot(leaves), nil) {
		if err := a.compare(o); err != nil {
			return err
		}
	}
	return nil
}

func (a *Audit) compare(o Object) error {
	there, err := a.read(o.Tile)
	if err == nil && !bytes.Equal(there, o.Data) {
		err = refusal(ErrAltered, "the log's %s does not fit its entries", o.Tile.Path())
	}
	return err
}

// Finish compares the partial tiles and the root. After it every entry and every tile of the tree has been verified.
func (a *Audit) Finish(t Tree) error {
	if a.edge.Size() != t.Size {
		return problem.New(problem.Invalid, "the audit has not come to this tree's size yet")
	}
	for _, o := range a.edge.partials(&Edge{}) {
		if o.Tile.Entries || o.Tile.Level == 0 {
			continue // compared when they were taken
		}
		if err := a.compare(o); err != nil {
			return err
		}
	}
	if a.edge.Root() != t.Root {
		return refusal(ErrAltered, "the log's entries do not lead to the root of its checkpoint")
	}
	return nil
}

// VerifyLog re-verifies a whole log at once: every entry and every tile of tree t. progress may be nil.
func VerifyLog(ctx context.Context, t Tree, fetch func(Tile) ([]byte, error), progress func(entries int64)) error {
	a, err := ResumeAudit(Tree{Origin: t.Origin}, fetch)
	for done := t.Size == 0; err == nil && !done; {
		if done, err = a.Advance(ctx, t.Size); err == nil && progress != nil {
			progress(a.edge.Size())
		}
	}
	if err != nil {
		return err
	}
	return a.Finish(t)
}
