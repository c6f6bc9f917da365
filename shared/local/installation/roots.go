package installation

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
)

// openRoots opens a party's key file.
func (f *Folder) openRoots(party string) (*keys.File, error) {
	text, err := os.ReadFile(f.Dir(party, secretName))
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the secret of the party's root keys cannot be read")
	}
	secret, err := keys.MachineSecret(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	return keys.OpenFile(f.Dir(party, rootsName), secret)
}

// ExportRoots encrypts a party's root keys to recovery recipients.
func (f *Folder) ExportRoots(party string, to ...age.Recipient) ([]byte, error) {
	file, err := f.fileRoots(party)
	if err != nil {
		return nil, err
	}
	return file.Export(to...)
}

// fileRoots opens roots that can be exported.
func (f *Folder) fileRoots(party string) (*keys.File, error) {
	if t, err := f.token(party); err != nil || t != nil {
		if err == nil {
			err = problem.New(problem.Invalid, "the party's roots are in a token, which never gives them away; back them up by the HSM's own means")
		}
		return nil, err
	}
	return f.openRoots(party)
}

// ImportRoots makes a key file in a folder from what ExportRoots gave, under a new secret.
func ImportRoots(dir string, exported []byte, ids ...age.Identity) error {
	text := keys.NewMachineSecret()
	secret, err := keys.MachineSecret(text)
	if err != nil {
		return err
	}
	if _, err := keys.ImportFile(filepath.Join(dir, rootsName), secret, exported, ids...); err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, secretName), []byte(text+"\n"))
}

// Adopt puts a finished folder in a party's place, which must be empty or hold nothing but logs; the logs come along.
// Commit point: with the rename the party is back.
func (f *Folder) Adopt(party, dir string) error {
	place := f.Dir(party)
	logs := []string{"access.log", "process.log"}
	entries, err := os.ReadDir(place)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return problem.Wrap(problem.Unavailable, err, "the party's folder cannot be read")
	}
	for _, e := range entries { // before anything moves
		if !slices.Contains(logs, e.Name()) {
			return problem.New(problem.Conflict, "the party's folder still holds files; move it away first")
		}
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(place, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return problem.Wrap(problem.Unavailable, err, "the party's logs cannot be moved")
		}
	}
	if err := os.Remove(place); err != nil && !errors.Is(err, os.ErrNotExist) {
		return problem.Wrap(problem.Unavailable, err, "the party's empty folder cannot be removed")
	}
	if err := os.Rename(dir, place); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the restored folder cannot be put in its place")
	}
	return syncFolder(f.Path)
}
