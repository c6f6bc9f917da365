package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// LogReport is what the files of a whole log prove.
type LogReport struct {
	Verdict   Verdict   `json:"verdict"`
	Line      string    `json:"line"`
	Origin    string    `json:"origin"`
	Size      int64     `json:"size"`
	Root      string    `json:"root"`
	Witnesses []string  `json:"witnesses"`
	Witnessed time.Time `json:"witnessed"` // earliest cosignature
	Tiles     int       `json:"tiles"`     // compared
}

// checkpointName is the file of a log's checkpoint beside its tiles.
const checkpointName = "checkpoint"

// VerifyLog verifies a whole log from a folder of its files: "checkpoint" and the tiles under their C2SP paths, as the log serves them. Every entry is hashed
// again, every tile that they give is compared, and the root must be the one that the quorum of witnesses cosigned.
func VerifyLog(trust *record.Trust, folder fs.FS) (LogReport, error) {
	verifier, err := ledger.VerifierOf(trust)
	if err != nil {
		return LogReport{}, err
	}
	signed, err := readSmall(folder, checkpointName, ledger.MaxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return LogReport{}, incomplete("the folder holds no checkpoint, so nothing says what its tiles should be")
	}
	if err != nil {
		return LogReport{}, err
	}
	c, err := verifier.Verify(signed)
	if err != nil {
		return LogReport{}, err
	}
	out := LogReport{Origin: c.Origin, Size: c.Size, Root: c.Root.String(), Witnesses: c.Witnesses, Witnessed: c.Earliest.UTC()}
	if err := out.rebuild(c.Tree, folder); err != nil {
		return out, err
	}
	out.Verdict = Proven
	out.Line = fmt.Sprintf("proven: all %d entries and %d tiles are those of the checkpoint that %d witnesses cosigned; not proven: that the log shows everybody the same, for which compare checkpoints, and what the entries commit to",
		out.Size, out.Tiles, len(out.Witnesses))
	return out, nil
}

// rebuild appends every entry again and compares each tile that comes of it.
func (r *LogReport) rebuild(t ledger.Tree, folder fs.FS) error {
	fetch := func(tile ledger.Tile) ([]byte, error) {
		raw, err := readSmall(folder, tile.Path(), int64(tile.Bytes()))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, incomplete("the log's file %s is missing", tile.Path())
		}
		return raw, err
	}
	compare := func(o ledger.Object) error {
		have, err := fetch(o.Tile)
		if err == nil && !bytes.Equal(have, o.Data) {
			err = altered("the log's file %s does not follow from its entries", o.Tile.Path())
		}
		r.Tiles++
		return err
	}
	edge, err := ledger.OpenEdge(ledger.Tree{Origin: t.Origin, Root: ledger.EmptyRoot()}, fetch)
	if err != nil {
		return err
	}
	partial := map[ledger.Tile]ledger.Object{} // the newest of each level, which is rewritten while the log grows
	for n := int64(0); n*ledger.TileWidth < t.Size; n++ {
		raw, err := fetch(ledger.Tile{Entries: true, Number: n, Width: int(min(ledger.TileWidth, t.Size-n*ledger.TileWidth))})
		if err != nil {
			return err
		}
		entries, err := ledger.ParseBundle(raw)
		if err != nil {
			return err
		}
		var made []ledger.Object
		edge, made = edge.Append(entries)
		for _, o := range made {
			at := ledger.Tile{Entries: o.Tile.Entries, Level: o.Tile.Level}
			if o.Tile.Width < ledger.TileWidth {
				partial[at] = o
				continue
			}
			delete(partial, at)
			if err := compare(o); err != nil {
				return err
			}
		}
	}
	for _, o := range partial {
		if err := compare(o); err != nil {
			return err
		}
	}
	if edge.Size() != t.Size || edge.Root() != t.Root {
		return altered("the log's entries do not lead to the root that the witnesses cosigned")
	}
	return nil
}

func altered(format string, args ...any) error {
	return problem.Wrap(problem.Denied, ledger.ErrAltered, format, args...)
}

// readSmall reads a file of at most limit bytes.
func readSmall(folder fs.FS, path string, limit int64) ([]byte, error) {
	info, err := fs.Stat(folder, path)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, altered("the log's file %s is larger than any of its kind", path)
	}
	raw, err := fs.ReadFile(folder, path)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "a file of the log cannot be read")
	}
	return raw, nil
}
