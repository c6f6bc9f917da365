package installation

import (
	"context"
	"errors"
	"os"
	"time"

	"filippo.io/age"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store/sqlite"
)

// Desk opens a keyholder on its own machine, beside its functions if they run, for what its operator does with its rows alone: nothing that needs
// the log or the other keyholder.
func (f *Folder) Desk(ctx context.Context, party string) (k *keyholder.Keyholder, closes func() error, err error) {
	path := f.Dir(party, "rows.db")
	if _, err := os.Stat(path); err != nil {
		return nil, nil, problem.Wrap(problem.NotFound, err, "the party has no rows here")
	}
	roots, err := f.roots(party)
	if err != nil {
		return nil, nil, err
	}
	rows, err := sqlite.Open(path)
	if err != nil {
		return nil, nil, err
	}
	k, err = keyholder.Open(ctx, keyholder.Config{
		Party: seal.Role(party), Rows: rows, Roots: roots, Fingerprint: f.Config.Trust, Now: time.Now,
		Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) { return nil, nil },
	})
	if err != nil {
		return nil, nil, errors.Join(err, rows.Close())
	}
	return k, rows.Close, nil
}

// ExportKeyholder encrypts a keyholder's roots to recovery recipients, and lists the copy, under a name, before it gives it out.
func (f *Folder) ExportKeyholder(ctx context.Context, party, name string, to ...age.Recipient) ([]byte, error) {
	file, err := f.fileRoots(party)
	if err != nil {
		return nil, err
	}
	names, err := file.Names(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range names {
		root, err := file.Open(ctx, name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, root.ID())
	}
	raw, err := file.Export(to...)
	if err != nil {
		return nil, err
	}
	k, closes, err := f.Desk(ctx, party)
	if err != nil {
		return nil, err
	}
	return raw, errors.Join(k.ListBackup(ctx, name, ids), closes())
}
