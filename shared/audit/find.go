package audit

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
)

// Folder is a log as files: checkpoint and tile/…, as Config.Copy makes it.
type Folder string

// Checkpoint implements Log.
func (f Folder) Checkpoint(context.Context) ([]byte, error) { return f.read("checkpoint") }

// Tile implements Log.
func (f Folder) Tile(_ context.Context, path string) ([]byte, error) {
	t, err := ledger.ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	return f.read(t.Path())
}

func (f Folder) read(name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(string(f), filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.Wrap(problem.NotFound, err, "the log's folder lacks %s", name)
	}
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the log's folder cannot be read")
	}
	return b, nil
}

// Limits of what is searched for checkpoints.
const (
	maxSearched = 16 << 20 // bytes of a file or of a member of a bundle: packs and recordings hold none
	maxBundle   = 1 << 20  // members of a bundle
	maxNesting  = 4        // base64 within JSON within …
)

// Find gives every checkpoint of a log that stands in b, whatever holds it: a note, a proof, a receipt, a row of
// a mirror, a bundle. It is a search, not a parser: what it finds is believed only under its signatures.
func Find(origin string, b []byte) [][]byte {
	var found [][]byte
	find(origin, b, maxNesting, func(note []byte) {
		if !slices.ContainsFunc(found, func(have []byte) bool { return bytes.Equal(have, note) }) {
			found = append(found, bytes.Clone(note))
		}
	})
	return found
}

func find(origin string, b []byte, depth int, add func([]byte)) {
	if depth == 0 || len(b) == 0 {
		return
	}
	switch {
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		findInZip(origin, b, depth, add)
	case b[0] == '{' || b[0] == '[' || b[0] == '"':
		dec := json.NewDecoder(bytes.NewReader(b))
		for {
			token, err := dec.Token()
			if err != nil {
				return
			}
			if s, ok := token.(string); ok {
				find(origin, []byte(s), depth-1, add)
				if raw, err := base64.StdEncoding.DecodeString(s); err == nil {
					find(origin, raw, depth-1, add)
				}
			}
		}
	default:
		findNotes(origin, b, add)
	}
}

// findNotes cuts out what begins with the origin on a line of its own and ends with signature lines.
func findNotes(origin string, b []byte, add func([]byte)) {
	start := []byte(origin + "\n")
	for from := 0; ; {
		i := bytes.Index(b[from:], start)
		if i < 0 {
			return
		}
		at := from + i
		from = at + len(start)
		if at > 0 && b[at-1] != '\n' {
			continue
		}
		blank := bytes.Index(b[at:min(len(b), at+1024)], []byte("\n\n"))
		if blank < 0 {
			continue
		}
		end := at + blank + 2
		for bytes.HasPrefix(b[end:], []byte("— ")) {
			line := bytes.IndexByte(b[end:], '\n')
			if line < 0 {
				break
			}
			end += line + 1
		}
		if end-at <= ledger.MaxNote {
			add(b[at:end])
		}
	}
}

func findInZip(origin string, b []byte, depth int, add func([]byte)) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil || len(z.File) > maxBundle {
		return
	}
	for _, member := range z.File {
		if member.UncompressedSize64 > maxSearched {
			continue
		}
		r, err := member.Open()
		if err != nil {
			continue
		}
		content, err := io.ReadAll(io.LimitReader(r, maxSearched))
		if errors.Join(err, r.Close()) == nil {
			find(origin, content, depth-1, add)
		}
	}
}

// FindIn gives every checkpoint in a file, or in the files of a folder and its folders. Files that are too large to hold
// some are passed over; a bundle may be of any size that fits memory.
func FindIn(origin, path string) ([]Seen, error) {
	var found []Seen
	have := map[string]bool{}
	err := filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxSearched && filepath.Ext(name) != ".zip" {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, note := range Find(origin, b) {
			if !have[string(note)] {
				have[string(note)] = true
				found = append(found, Seen{Source: name, Note: note})
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.Wrap(problem.NotFound, err, "there is no such file or folder to read checkpoints from: %s", path)
	}
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "what may hold checkpoints cannot be read")
	}
	return found, nil
}
