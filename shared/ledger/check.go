package ledger

import (
	"errors"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrOtherTile says that a tile is not the one that the tree has in this place.
var ErrOtherTile = errors.New("another tile")

// CheckTile judges the bytes of a full tile or bundle by the hash that the tile
// above has for them. hashes (Reader) does not read t itself; its errors are
// about the tiles above.
func CheckTile(t Tile, data []byte, hashes tlog.HashReader) error {
	if t.Entries {
		entries, err := ParseBundle(data)
		if err != nil {
			return ErrOtherTile
		}
		data = leaves(entries)
	}
	if t.Width != TileWidth || len(data) != TileWidth*tlog.HashSize {
		return ErrOtherTile
	}
	above, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(TileHeight*(t.Level+1), t.Number)})
	if err != nil {
		return tileRefusal(err)
	}
	if above[0] != subtreeRoot(data) {
		return ErrOtherTile
	}
	return nil
}
