package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
)

// verdict is what a look at an object gives. The zero value is an object that is as it must be.
type verdict struct {
	state string        // a State, or skipped
	found record.Digest // of what lies there; zero: nothing, or not readable
	// good judges other bytes for the object: their digest and size if they are right. Nil: nobody can say what is right.
	good func(ctx context.Context, from store.Blobs) (record.Digest, int64, error)
}

// skipped: there is nothing under this number yet, or what it rests on cannot be trusted and is named itself.
const skipped = "skipped"

func (s *scrubbing) check(ctx context.Context, o object) (verdict, error) {
	if o.level == packLevel {
		return s.checkPack(ctx, uint64(o.number))
	}
	if !s.healthy {
		return verdict{state: skipped}, nil
	}
	return s.checkTile(ctx, o.tile())
}

// checkPack reads a pack whose entry the witnessed log holds.
func (s *scrubbing) checkPack(ctx context.Context, n uint64) (verdict, error) {
	p, _, err := s.v.pack(ctx, n)
	if err != nil && problem.KindOf(err) == problem.NotFound || err == nil && !p.arrived() {
		return verdict{state: skipped}, nil
	}
	if err != nil {
		return verdict{}, err
	}
	want, err := s.logged(ctx, n, p)
	switch {
	case errors.Is(err, ledger.ErrUnwitnessed), errors.Is(err, ledger.ErrAltered):
		return verdict{state: skipped}, nil // on its way, or the log's tiles are damaged, which is found there
	case err != nil && problem.KindOf(err) == problem.NotFound:
		return verdict{state: StateUnlogged}, nil
	case err != nil:
		return verdict{}, err
	}
	key, size := seal.PackKey(n), int64(s.v.cfg.Geometry.Size)
	good := func(ctx context.Context, from store.Blobs) (record.Digest, int64, error) {
		sum, read, err := digestOf(ctx, from, key, size)
		s.state.Read += read
		if err == nil && sum != want {
			err = errOtherBytes
		}
		return want, size, err
	}
	return s.judge(ctx, key, size, good)
}

// logged gives the digest of a pack as the log has it: the vault's row counts for nothing without its entry.
func (s *scrubbing) logged(ctx context.Context, n uint64, p packRow) (record.Digest, error) {
	var event record.Event
	var body record.PackEvent
	unlogged := problem.New(problem.NotFound, "the record of the pack is not what was logged")
	if record.Unmarshal(p.Event, &event) != nil || record.Unmarshal(event.Body, &body) != nil || body.Number != n || len(p.Random) != 32 {
		return record.Digest{}, unlogged
	}
	_, err := s.log.Proof(ctx, ledger.Commit(ledger.Opening{Event: p.Event, Random: [32]byte(p.Random)}))
	return body.Pack, err
}

var errOtherBytes = errors.New("other bytes than the log says")

// checkTile reads a full tile or bundle and holds it against the tile above it.
func (s *scrubbing) checkTile(ctx context.Context, t ledger.Tile) (verdict, error) {
	hashes := ledger.Reader(s.stock.tree, s.log.fetch(ctx))
	good := func(ctx context.Context, from store.Blobs) (record.Digest, int64, error) {
		data, err := readTile(ctx, from, t)
		s.state.Read += int64(len(data))
		if err != nil {
			return record.Digest{}, 0, err
		}
		return sha256.Sum256(data), int64(len(data)), ledger.CheckTile(t, data, hashes)
	}
	v, err := s.judge(ctx, blobKey(t), int64(t.Bytes()), good)
	if errors.Is(err, ledger.ErrAltered) {
		s.log.tiles.forget() // a tile above is damaged, and is found there
		return verdict{state: skipped}, nil
	}
	return v, err
}

// readTile reads a tile of exactly its size; other sizes are errOtherBytes.
func readTile(ctx context.Context, from store.Blobs, t ledger.Tile) ([]byte, error) {
	body, err := from.Get(ctx, blobKey(t), 0, -1)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(body, int64(t.Bytes())+1))
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "a tile cannot be read")
	}
	if len(data) != t.Bytes() {
		return nil, errOtherBytes
	}
	return data, nil
}

// judge turns the outcome of reading an object into a verdict.
func (s *scrubbing) judge(ctx context.Context, key string, size int64, good func(context.Context, store.Blobs) (record.Digest, int64, error)) (verdict, error) {
	_, _, err := good(ctx, s.v.cfg.Blobs)
	v := verdict{good: good}
	switch {
	case err == nil:
		return v, nil
	case errors.Is(err, errOtherBytes) || errors.Is(err, ledger.ErrOtherTile):
		v.state = StateDamaged
		v.found, _, err = digestOf(ctx, s.v.cfg.Blobs, key, 2*size)
		return v, err
	case ctx.Err() != nil || errors.Is(err, ledger.ErrAltered):
		return v, err
	case problem.KindOf(err) == problem.NotFound:
		v.state = StateMissing
	default:
		v.state = StateUnreadable
	}
	return v, nil
}

// border reads the log's partial tiles. If they do not lead to the root, one
// of them is damaged: the one that a second copy has otherwise, or any.
func (s *scrubbing) border(ctx context.Context) error {
	partial := partialTiles(s.stock.tree.Size)
	s.dropOldBorders(partial)
	s.healthy = s.fits(ctx, s.v.cfg.Blobs)
	whole := s.healthy
	for _, t := range partial {
		var found verdict
		var err error
		if !whole {
			if found, err = s.checkPartial(ctx, t); err != nil {
				return err
			}
		}
		if err := s.settle(ctx, blobKey(t), found); err != nil {
			return err
		}
	}
	s.healthy = whole || s.fits(ctx, s.v.cfg.Blobs)
	return ctx.Err()
}

// fits tells whether the border that a store has leads to the root.
func (s *scrubbing) fits(ctx context.Context, from store.Blobs) bool {
	_, err := ledger.OpenEdge(s.stock.tree, func(t ledger.Tile) ([]byte, error) { return readTile(ctx, from, t) })
	return err == nil
}

// checkPartial is for a tile of a border that is known not to fit the root.
func (s *scrubbing) checkPartial(ctx context.Context, t ledger.Tile) (verdict, error) {
	copied := s.o.Copy != nil && s.fits(ctx, s.o.Copy)
	good := func(ctx context.Context, from store.Blobs) (record.Digest, int64, error) {
		data, err := readTile(ctx, from, t)
		if err == nil && !copied {
			err = errOtherBytes // this one or another; nobody can say
		}
		if err != nil {
			return record.Digest{}, 0, err
		}
		right, err := readTile(ctx, s.o.Copy, t)
		if err == nil && !bytes.Equal(right, data) {
			err = errOtherBytes
		}
		return sha256.Sum256(data), int64(len(data)), err
	}
	return s.judge(ctx, blobKey(t), int64(t.Bytes()), good)
}

// dropOldBorders forgets damage to partial tiles that the tree has outgrown.
func (s *scrubbing) dropOldBorders(partial []ledger.Tile) {
	for _, d := range append([]Damage(nil), s.state.Damaged...) {
		_, whole := parseObject(d.Object)
		current := false
		for _, t := range partial {
			current = current || blobKey(t) == d.Object
		}
		if !whole && !current {
			s.note(d.Object, "")
		}
	}
}

// partialTiles are the tiles and the bundle at the right border of a tree.
func partialTiles(size int64) (all []ledger.Tile) {
	for level := 0; size>>(ledger.TileHeight*level) > 0; level++ {
		n := size >> (ledger.TileHeight * level)
		width := int(n % ledger.TileWidth)
		if width == 0 {
			continue
		}
		all = append(all, ledger.Tile{Level: level, Number: n / ledger.TileWidth, Width: width})
		if level == 0 {
			all = append(all, ledger.Tile{Entries: true, Number: n / ledger.TileWidth, Width: width})
		}
	}
	return all
}

const readChunk = 256 << 10 // what is read is still in the cache of a processor when it is hashed

// digestOf hashes an object of at most size bytes (of a longer one, a byte
// more) while the next chunk is being read.
func digestOf(ctx context.Context, from store.Blobs, key string, size int64) (sum record.Digest, read int64, err error) {
	body, err := from.Get(ctx, key, 0, -1)
	if err != nil {
		return sum, 0, err
	}
	defer body.Close()
	type chunk struct {
		data []byte
		err  error
	}
	full, empty := make(chan chunk, 1), make(chan []byte, 2)
	empty <- make([]byte, readChunk)
	empty <- make([]byte, readChunk)
	limited := io.LimitReader(body, size+1)
	go func() {
		defer close(full)
		for buf := range empty {
			n, err := io.ReadFull(limited, buf)
			full <- chunk{buf[:n], err}
			if err != nil {
				return
			}
		}
	}()
	h := sha256.New()
	for c := range full {
		h.Write(c.data)
		read += int64(len(c.data))
		if err = c.err; err != nil {
			break
		}
		empty <- c.data[:readChunk]
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return record.Digest(h.Sum(nil)), read, nil
	}
	return sum, read, problem.Wrap(problem.Unavailable, errors.Join(err, ctx.Err()), "an object cannot be read")
}
