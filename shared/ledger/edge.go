package ledger

import (
	"bytes"
	"crypto/sha256"

	"golang.org/x/mod/sumdb/tlog"
)

// Edge is the right border of a tree: for each level the hashes of its partial
// tile, and the entries behind those of level 0. It is all that is needed to
// append, and everything in it follows from the entries: two appenders that
// add the same entries to the same tree write the same bytes.
type Edge struct {
	size    int64
	levels  [][]byte // levels[L] is the data of the partial tile of level L, maybe empty
	entries []Entry  // of the partial bundle
}

// Object is a tile or an entry bundle to store under its path.
type Object struct {
	Tile Tile
	Data []byte
}

// OpenEdge reads the border of a tree from its tiles and checks that it leads
// to the root, entries included.
func OpenEdge(t Tree, fetch func(Tile) ([]byte, error)) (*Edge, error) {
	e := &Edge{size: t.Size}
	for level := 0; t.Size>>(TileHeight*level) > 0; level++ {
		n := t.Size >> (TileHeight * level)
		e.levels = append(e.levels, nil)
		if width := int(n % TileWidth); width > 0 {
			tile := Tile{Level: level, Number: n / TileWidth, Width: width}
			data, err := fetch(tile)
			if err != nil {
				return nil, err
			}
			if len(data) != tile.Bytes() {
				return nil, refusal(ErrAltered, "a tile of the log has the wrong size")
			}
			e.levels[level] = data
		}
	}
	if e.Root() != t.Root {
		return nil, refusal(ErrAltered, "the log's tiles do not fit its root; tell the operator")
	}
	return e, e.openEntries(fetch)
}

// openEntries reads the partial bundle and checks it against level 0, which is
// already known to be right.
func (e *Edge) openEntries(fetch func(Tile) ([]byte, error)) error {
	width := int(e.size % TileWidth)
	if width == 0 {
		return nil
	}
	data, err := fetch(Tile{Entries: true, Number: e.size / TileWidth, Width: width})
	if err != nil {
		return err
	}
	entries, err := ParseBundle(data)
	if err != nil {
		return err
	}
	if !bytes.Equal(leaves(entries), e.levels[0]) {
		return refusal(ErrAltered, "an entry bundle of the log does not fit its tile; tell the operator")
	}
	e.entries = entries
	return nil
}

func leaves(entries []Entry) []byte {
	out := make([]byte, 0, len(entries)*tlog.HashSize)
	for _, entry := range entries {
		leaf := entry.Leaf()
		out = append(out, leaf[:]...)
	}
	return out
}

// Size is the number of entries of the tree.
func (e *Edge) Size() int64 { return e.size }

// Root is the tree's root. The roots of the complete subtrees, of which it is
// made, all lie in partial tiles: bit b of the size is one subtree, of level
// b, in the tile of level b/8.
func (e *Edge) Root() tlog.Hash {
	if e.size == 0 {
		return emptyRoot
	}
	root, err := tlog.TreeHash(e.size, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			t := tlog.TileForIndex(TileHeight, index)
			data := e.levels[t.L]
			t.W = len(data) / tlog.HashSize
			var err error
			if hashes[i], err = tlog.HashFromTile(t, data, index); err != nil {
				return nil, err
			}
		}
		return hashes, nil
	}))
	if err != nil {
		panic(err) // an Edge holds every hash that its own size asks for
	}
	return root
}

// Append gives the edge of the tree with entries added, and every tile and
// bundle that is new with it; e stays as it is.
func (e *Edge) Append(entries []Entry) (*Edge, []Object) {
	next := &Edge{size: e.size, entries: bytesClone(e.entries)}
	for _, data := range e.levels {
		next.levels = append(next.levels, bytes.Clone(data))
	}
	var objects []Object
	for _, entry := range entries {
		next.entries = append(next.entries, entry)
		next.size++
		leaf := entry.Leaf()
		objects = next.push(0, leaf, objects)
		if len(next.entries) == TileWidth {
			tile := Tile{Entries: true, Number: next.size/TileWidth - 1, Width: TileWidth}
			objects = append(objects, Object{tile, MarshalBundle(next.entries)})
			next.entries = nil
		}
	}
	return next, append(objects, next.partials(e)...)
}

func bytesClone(entries []Entry) []Entry { return append([]Entry(nil), entries...) }

// push adds a hash to a level and, when that fills a tile, its root to the next.
func (e *Edge) push(level int, h tlog.Hash, objects []Object) []Object {
	if level == len(e.levels) {
		e.levels = append(e.levels, nil)
	}
	e.levels[level] = append(e.levels[level], h[:]...)
	data := e.levels[level]
	if len(data) < TileWidth*tlog.HashSize {
		return objects
	}
	number := e.size>>(TileHeight*(level+1)) - 1
	objects = append(objects, Object{Tile{Level: level, Number: number, Width: TileWidth}, data})
	e.levels[level] = nil
	return e.push(level+1, subtreeRoot(data), objects)
}

// partials gives the partial tiles and bundle of e that before did not have.
func (e *Edge) partials(before *Edge) []Object {
	var objects []Object
	for level, data := range e.levels {
		n := e.size >> (TileHeight * level)
		if len(data) == 0 || n == before.size>>(TileHeight*level) {
			continue
		}
		objects = append(objects, Object{Tile{Level: level, Number: n / TileWidth, Width: len(data) / tlog.HashSize}, bytes.Clone(data)})
	}
	if len(e.entries) > 0 && e.size != before.size {
		tile := Tile{Entries: true, Number: e.size / TileWidth, Width: len(e.entries)}
		objects = append(objects, Object{tile, MarshalBundle(e.entries)})
	}
	return objects
}

// subtreeRoot is the root over the hashes of a full tile.
func subtreeRoot(data []byte) tlog.Hash {
	row := bytes.Clone(data)
	var node [1 + 2*tlog.HashSize]byte
	node[0] = 1 // RFC 6962: 0x01 ‖ left ‖ right
	for len(row) > tlog.HashSize {
		half := row[:0]
		for i := 0; i < len(row); i += 2 * tlog.HashSize {
			copy(node[1:], row[i:i+2*tlog.HashSize])
			sum := sha256.Sum256(node[:])
			half = append(half, sum[:]...) // never reaches what is still to be read
		}
		row = half
	}
	return tlog.Hash(row)
}
