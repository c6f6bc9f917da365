package installation

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/folder"
	"arca.example/arca/shared/store/sqlite"
	"arca.example/arca/shared/vault"
)

// scrubBytes is about how much a local run reads in an hour: this machine has other work.
const scrubBytes = 256 << 20

// openCopy opens the folder with the second copy; nil if there is none.
func (f *Folder) openCopy(path string) (*folder.Dir, error) {
	if path == "" {
		return nil, nil
	}
	if !filepath.IsAbs(path) {
		path = f.Dir(path)
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() { // opening would make an empty one, as where a disk is not mounted
		return nil, problem.Wrap(problem.NotFound, err, "there is no folder %s with a second copy; mount it or name another (--copy, or \"copy\" in arca.json)", path)
	}
	return folder.Open(path, folder.Options{})
}

// Scrub does a run over the vault's folder, whether its parties run or not. second is a folder with a second copy; empty: the one
// that arca.json names, if any.
func (f *Folder) Scrub(ctx context.Context, second string, o vault.ScrubOptions) (vault.ScrubState, error) {
	rows, err := sqlite.Open(f.Dir("vault", "rows.db"))
	if err != nil {
		return vault.ScrubState{}, err
	}
	defer rows.Close()
	objects, err := folder.Open(f.Dir("vault", "objects"), folder.Options{})
	if err != nil {
		return vault.ScrubState{}, err
	}
	defer objects.Close()
	if second == "" {
		second = f.Copy
	}
	from, err := f.openCopy(second)
	if err != nil {
		return vault.ScrubState{}, err
	}
	if from != nil {
		defer from.Close()
		o.Copy = store.Blobs(from)
	}
	v := vault.New(vault.Config{Rows: rows, Blobs: objects, Geometry: f.Geometry(), Fingerprint: f.Config.Trust, Now: time.Now})
	return v.Scrub(ctx, o)
}
