package main

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
)

func (a *app) restoreCommand() *cobra.Command {
	var identity, keysFile string
	c := a.command(spec{
		use: "restore PARTY FILE", short: "Restore a party from a backup",
		long: "Puts a party's folder together again from FILE and FILE.keys, under a new secret of its own. The party must not run, and its folder must\n" +
			"have no rows: move a damaged one away first. Nothing is half restored: the folder appears whole or not at all.\n\n" +
			"A keyholder restored from an older backup does not know what came later: until it has admitted the same orders and people as the\n" +
			"other one, nothing is released. A vault restored from an older backup cannot go on with its log: the witnesses refuse it.",
		example: "arca restore court court.backup --identity safe.txt",
		args:    cobra.ExactArgs(2),
		run: func(_ *cobra.Command, args []string) error {
			if keysFile == "" {
				keysFile = args[1] + keysEnding
			}
			return a.restore(args[0], args[1], keysFile, identity)
		},
	})
	c.Flags().StringVar(&identity, "identity", "", "file of the recovery identity")
	c.Flags().StringVar(&keysFile, "keys", "", "file of the root keys (else FILE.keys)")
	_ = c.MarkFlagRequired("identity")
	return c
}

// maxParty is more than the longest name of a party.
const maxParty = 16

// maxIdentity is the largest identity file that is read.
const maxIdentity = 64 << 10

func (a *app) restore(party, rows, keysFile, identity string) error {
	if err := checkParty(party); err != nil {
		return err
	}
	f, err := a.folder()
	if err != nil {
		return err
	}
	raw, err := a.readInput(identity, maxIdentity)
	if err != nil {
		return err
	}
	ids, err := age.ParseIdentities(strings.NewReader(string(raw)))
	if err != nil {
		return problem.Wrap(problem.Invalid, err, "this is not a recovery identity; give the file that arca recovery wrote")
	}
	release, err := f.Lock()
	if err != nil {
		return err
	}
	defer release()
	if _, err := os.Stat(f.Dir(party, rowsEntry)); err == nil {
		return problem.New(problem.Conflict, "the party has rows here; move its folder away first")
	}
	dir, err := os.MkdirTemp(f.Path, ".restore-")
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the installation's folder cannot be written")
	}
	defer os.RemoveAll(dir) // empty-handed after the rename
	answer := backupAnswer{Party: party, File: rows, Keys: keysFile}
	held := map[string]bool{}
	for _, from := range []struct {
		path    string
		entries func(string) bool
	}{{keysFile, isKeyEntry}, {rows, isRowsEntry}} {
		if err := unpack(from.path, party, dir, ids, from.entries, held); err != nil {
			return err
		}
	}
	answer.Entries = len(held)
	if err := settle(f, party, dir, held, ids); err != nil {
		return err
	}
	return a.show(answer, func(p *page) { p.line("%s is restored. Start it with: arca serve", party) })
}

func isKeyEntry(name string) bool {
	return name == rootsEntry || slices.ContainsFunc(offices, func(o string) bool { return name == officeEntry+o+"/identity.json" })
}

func isRowsEntry(name string) bool {
	rest, object := strings.CutPrefix(name, objectsEntry)
	return name == rowsEntry || object && rest != "" && filepath.IsLocal(filepath.FromSlash(rest))
}

// unpack decrypts an archive into a folder. Every name in it must be one that a backup has: an archive chooses no path.
// held is what was unpacked so far. The first entry names the party: rows of one under the roots of another would look restored.
func unpack(from, party, dir string, ids []age.Identity, known func(string) bool, held map[string]bool) error {
	file, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return problem.Wrap(problem.NotFound, err, "there is no such backup: %s", from)
	}
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the backup cannot be read: %s", from)
	}
	defer file.Close()
	damaged := func(cause error) error {
		return problem.Wrap(problem.Denied, cause, "the backup does not open: it is for other recovery identities, or it was altered: %s", from)
	}
	plain, err := age.Decrypt(file, ids...)
	if err != nil {
		return damaged(err)
	}
	t := tar.NewReader(plain)
	whose, err := readParty(t)
	if err != nil {
		return damaged(err)
	}
	if whose != party {
		return problem.New(problem.Invalid, "this is a backup of another party, %s: %s", whose, from)
	}
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil || !known(h.Name) || h.Typeflag != tar.TypeReg || held[h.Name] {
			return damaged(err)
		}
		if err := unpackOne(filepath.Join(dir, filepath.FromSlash(h.Name)), t); err != nil {
			return damaged(err)
		}
		held[h.Name] = true
	}
	// What follows the tar must be authenticated too: a cut-off file has no final chunk.
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return damaged(err)
	}
	return nil
}

// readParty reads the entry that says whose backup this is.
func readParty(t *tar.Reader) (string, error) {
	h, err := t.Next()
	if err != nil {
		return "", err
	}
	if h.Name != partyEntry || h.Typeflag != tar.TypeReg {
		return "", errors.New("the first entry names no party")
	}
	raw, err := io.ReadAll(io.LimitReader(t, maxParty))
	if err == nil && checkParty(string(raw)) != nil {
		err = errors.New("the first entry names no party")
	}
	return string(raw), err
}

func unpackOne(path string, from io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Sync(), file.Close())
}

// settle makes the party's key file from the recovered roots and moves the folder to its place.
func settle(f *installation.Folder, party, dir string, held map[string]bool, ids []age.Identity) error {
	need := []string{rowsEntry, rootsEntry}
	if party != "vault" {
		for _, o := range offices {
			need = append(need, officeEntry+o+"/identity.json")
		}
	}
	for _, name := range need {
		if !held[name] {
			return problem.New(problem.Invalid, "the backup is of another party: it lacks %s", name)
		}
	}
	roots := filepath.Join(dir, rootsEntry)
	raw, err := os.ReadFile(roots)
	if err != nil {
		return err
	}
	if err := installation.ImportRoots(dir, raw, ids...); err != nil {
		return err
	}
	if err := os.Remove(roots); err != nil {
		return err
	}
	return f.Adopt(party, dir)
}
