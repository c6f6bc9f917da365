package ledger

import (
	"encoding/binary"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/problem"
)

// Geometry of tiles.
const (
	TileHeight  = 8
	TileWidth   = 1 << TileHeight
	bundleEntry = 2 + len(Entry{}) // uint16 length ‖ entry
	maxTilePath = 64
)

// Tile is the place of a tile or, when Entries, of an entry bundle.
type Tile struct {
	Entries bool
	Level   int   // 0 to 7; 0 for a bundle
	Number  int64 // within the level
	Width   int   // 1 to TileWidth; less than TileWidth means partial
}

// maxLevel: a tree of at most 2⁶³-1 leaves has tiles of level 7 and less.
const maxLevel = 7

func (t Tile) tlog() tlog.Tile {
	level := t.Level
	if t.Entries {
		level = -1
	}
	return tlog.Tile{H: TileHeight, L: level, N: t.Number, W: t.Width}
}

func tileOf(t tlog.Tile) Tile {
	return Tile{Entries: t.L < 0, Level: max(t.L, 0), Number: t.N, Width: t.W}
}

// Path gives the C2SP path of a tile.
func (t Tile) Path() string {
	path := strings.TrimPrefix(t.tlog().Path(), "tile/8/")
	if rest, ok := strings.CutPrefix(path, "data/"); ok {
		path = "entries/" + rest
	}
	return "tile/" + path
}

// ParseTilePath reads a C2SP path in its one canonical form.
func ParseTilePath(path string) (Tile, error) {
	bad := problem.New(problem.Invalid, "a tile's path is tile/<level>/<number> or tile/entries/<number>, with .p/<width> if it is partial")
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(path) > maxTilePath || strings.HasPrefix(rest, "data/") {
		return Tile{}, bad
	}
	if after, ok := strings.CutPrefix(rest, "entries/"); ok {
		rest = "data/" + after
	}
	parsed, err := tlog.ParseTilePath("tile/8/" + rest)
	if err != nil || parsed.N < 0 {
		return Tile{}, bad
	}
	t := tileOf(parsed)
	if t.Level > maxLevel || t.Path() != path {
		return Tile{}, bad
	}
	return t, nil
}

// Bytes is the exact size of the tile's data.
func (t Tile) Bytes() int {
	if t.Entries {
		return t.Width * bundleEntry
	}
	return t.Width * tlog.HashSize
}

// MarshalBundle gives the entry bundle of at most TileWidth entries.
func MarshalBundle(entries []Entry) []byte {
	out := make([]byte, 0, len(entries)*bundleEntry)
	for _, e := range entries {
		out = binary.BigEndian.AppendUint16(out, uint16(len(e)))
		out = append(out, e[:]...)
	}
	return out
}

// ParseBundle reads an entry bundle: 1 to TileWidth entries of 32 bytes.
func ParseBundle(b []byte) ([]Entry, error) {
	if len(b) == 0 || len(b)%bundleEntry != 0 || len(b) > TileWidth*bundleEntry {
		return nil, refusal(ErrAltered, "an entry bundle holds 1 to %d entries of 32 bytes", TileWidth)
	}
	entries := make([]Entry, len(b)/bundleEntry)
	for i := range entries {
		item := b[i*bundleEntry:]
		if binary.BigEndian.Uint16(item) != uint16(len(Entry{})) {
			return nil, refusal(ErrAltered, "an entry bundle holds 1 to %d entries of 32 bytes", TileWidth)
		}
		copy(entries[i][:], item[2:])
	}
	return entries, nil
}

// Reader gives the verified hashes of a tree from tiles that fetch reads: what
// does not lead to the tree's root is refused as altered. The result serves
// ProveInclusion and ProveConsistency.
func Reader(t Tree, fetch func(Tile) ([]byte, error)) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: t.Size, Hash: t.Root}, tileSource(fetch))
}

type tileSource func(Tile) ([]byte, error)

// Height implements tlog.TileReader.
func (tileSource) Height() int { return TileHeight }

// SaveTiles implements tlog.TileReader; the source caches what it likes.
func (tileSource) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles implements tlog.TileReader.
func (s tileSource) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		b, err := s(tileOf(t))
		if err != nil {
			return nil, err
		}
		if len(b) != tileOf(t).Bytes() {
			return nil, refusal(ErrAltered, "a tile of the log has the wrong size")
		}
		data[i] = b
	}
	return data, nil
}

// ProveInclusion gives the path from the leaf at index to the tree's root.
func ProveInclusion(t Tree, index int64, hashes tlog.HashReader) ([]tlog.Hash, error) {
	if index < 0 || index >= t.Size {
		return nil, problem.New(problem.Invalid, "the index lies outside the tree")
	}
	path, err := tlog.ProveRecord(t.Size, index, hashes)
	return path, tileRefusal(err)
}

// ProveConsistency gives the proof that t continues its own tree of size old.
func ProveConsistency(t Tree, old int64, hashes tlog.HashReader) ([]tlog.Hash, error) {
	if old < 0 || old > t.Size {
		return nil, problem.New(problem.Invalid, "the older size lies outside the tree")
	}
	if old == 0 || old == t.Size {
		return nil, nil
	}
	path, err := tlog.ProveTree(t.Size, old, hashes)
	return path, tileRefusal(err)
}

// tileRefusal turns tlog's own complaints, which are all about tiles that do
// not fit the root, into ErrAltered, and leaves the source's errors as they are.
func tileRefusal(err error) error {
	if err == nil || problem.KindOf(err) != problem.Internal {
		return err
	}
	return problem.Wrap(problem.Internal, alteredTiles{err}, "the log's tiles do not fit its root; tell the operator")
}

type alteredTiles struct{ cause error }

func (a alteredTiles) Error() string        { return a.cause.Error() }
func (a alteredTiles) Is(target error) bool { return target == ErrAltered }
func (a alteredTiles) Unwrap() error        { return a.cause }
