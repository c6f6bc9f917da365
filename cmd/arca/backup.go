package main

import (
	"archive/tar"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"
	_ "modernc.org/sqlite" // the engine of rows.db, which copies itself

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// What a backup consists of. FILE holds rows (for the vault, packs too), FILE.keys the root keys, apart, so that they can lie in
// different hands. Both are age files to every recovery recipient; inside is a tar.
const (
	rowsEntry    = "rows.db"
	rootsEntry   = "roots.recovery" // keys.Export, encrypted once more to the same recipients
	objectsEntry = "objects/"
	officeEntry  = "office/"
	partyEntry   = "party" // whose backup this is, first in both files
	keysEnding   = ".keys"
)

var offices = []string{"root", "registrar"}

func (a *app) recoveryCommand() *cobra.Command {
	var out string
	c := a.command(spec{
		use: "recovery", short: "Make a recovery identity for backups",
		long:    "Writes the identity (a secret that belongs in a safe) to -o and prints the recipient that arca backup takes, which stands in the file\ntoo. It is post-quantum: a backup lies for years.\n\nFor one command after the other: RECIPIENT=$(arca recovery -o safe.txt)",
		example: "arca recovery -o safe.txt",
		args:    cobra.NoArgs,
		run: func(*cobra.Command, []string) error {
			id, err := keys.NewRecoveryIdentity()
			if err != nil {
				return err
			}
			if err := writeFile(out, []byte("# recipient: "+id.Recipient().String()+"\n"+id.String()+"\n")); err != nil {
				return err
			}
			answer := struct {
				File      string `json:"file"`
				Recipient string `json:"recipient"`
			}{out, id.Recipient().String()}
			return a.show(answer, func(p *page) { p.line("%s", answer.Recipient) })
		},
	})
	c.Flags().StringVarP(&out, "output", "o", "", "file to write the identity to")
	_ = c.MarkFlagRequired("output")
	return c
}

// backupAnswer says what a backup or restore holds.
type backupAnswer struct {
	Party   string `json:"party"`
	File    string `json:"file"`
	Keys    string `json:"keys"`
	Entries int    `json:"entries"` // files in both
}

func (a *app) backupCommand() *cobra.Command {
	var out, destroyed, elsewhere string
	var recipients []string
	var list bool
	c := a.command(spec{
		use: "backup PARTY", short: "Back up a party: rows, and the root keys apart, encrypted to recovery identities",
		long: "PARTY is vault, court or custodian. Writes a consistent copy of its rows (and the vault's packs) to FILE, and its root keys (and a\n" +
			"keyholder's offices) to FILE.keys, both encrypted to every --recovery recipient. The party may run meanwhile.\n\n" +
			"A backup outlives destruction: make a new one after each, destroy the old ones, and say so. A keyholder lists every copy of its roots: --list shows\n" +
			"them, --destroyed NAME confirms that one is destroyed, --elsewhere NAME adds one that was made by other means, such as a second HSM. A certificate\n" +
			"of destruction (arca destroyed) says which copies of the destroyed root are confirmed destroyed and which are not.",
		example: "arca backup court -o court.backup --recovery $RECIPIENT\narca backup court --list\narca backup court --destroyed court.backup.keys",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			if list || destroyed != "" || elsewhere != "" {
				return a.copies(cmd.Context(), args[0], destroyed, elsewhere)
			}
			if out == "" || len(recipients) == 0 {
				return misuse{errors.New("a backup needs a file (-o) and a recovery recipient (--recovery), made with arca recovery")}
			}
			return a.backup(cmd.Context(), args[0], out, recipients)
		},
	})
	c.ValidArgs = []cobra.Completion{"vault", "court", "custodian"}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write")
	c.Flags().StringArrayVar(&recipients, "recovery", nil, "recipient (age1pq1…), made by arca recovery; may be repeated")
	c.Flags().BoolVar(&list, "list", false, "show the listed copies of a keyholder's roots")
	c.Flags().StringVar(&destroyed, "destroyed", "", "name of a listed copy that was destroyed")
	c.Flags().StringVar(&elsewhere, "elsewhere", "", "name for a copy of the roots in use that was made by other means")
	return c
}

// copiesAnswer lists copies of a keyholder's roots.
type copiesAnswer struct {
	Party  string       `json:"party"`
	Copies []listedCopy `json:"copies"`
}

type listedCopy struct {
	record.Backup
	Current bool `json:"current"` // holds only roots that are in use
}

// copies shows and changes the list of copies.
func (a *app) copies(ctx context.Context, party, destroyed, elsewhere string) error {
	if party != "court" && party != "custodian" {
		return problem.New(problem.Invalid, "court and custodian list the copies of their roots; the vault has no ring")
	}
	f, err := a.folder()
	if err != nil {
		return err
	}
	k, closes, err := f.Desk(ctx, party)
	if err != nil {
		return err
	}
	defer closes()
	if elsewhere != "" {
		if err := k.ListCopy(ctx, elsewhere); err != nil {
			return err
		}
	}
	if destroyed != "" {
		if err := k.ConfirmBackup(ctx, destroyed); err != nil {
			return err
		}
	}
	all, inUse, err := k.Backups(ctx)
	if err != nil {
		return err
	}
	out := copiesAnswer{Party: party, Copies: []listedCopy{}}
	for _, b := range all {
		old := slices.ContainsFunc(b.Roots, func(id string) bool { return !slices.Contains(inUse, id) })
		out.Copies = append(out.Copies, listedCopy{b, !old})
	}
	return a.show(out, out.write)
}

func (out copiesAnswer) write(p *page) {
	if len(out.Copies) == 0 {
		p.line("No copy of the roots of the %s is listed.", out.Party)
		return
	}
	var rows [][]string
	for _, c := range out.Copies {
		state := "of the roots in use"
		switch {
		case !c.Confirmed.IsZero():
			state = "confirmed destroyed " + when(c.Confirmed)
		case !c.Current:
			state = "holds a root that was destroyed: destroy this copy too"
		}
		rows = append(rows, []string{c.Name, when(c.Made), state})
	}
	p.table([]string{"COPY", "MADE", "STATE"}, rows)
}

// checkParty refuses what has no rows of its own.
func checkParty(party string) error {
	if !slices.Contains([]string{"vault", "court", "custodian"}, party) {
		return problem.New(problem.Invalid, "the party is vault, court or custodian")
	}
	return nil
}

func (a *app) backup(ctx context.Context, party, out string, recipients []string) error {
	if err := checkParty(party); err != nil {
		return err
	}
	f, err := a.folder()
	if err != nil {
		return err
	}
	var to []age.Recipient
	for _, text := range recipients {
		r, err := age.ParseHybridRecipient(text)
		if err != nil {
			return problem.Wrap(problem.Invalid, err, "a recovery recipient begins with age1pq1; make one with: arca recovery")
		}
		to = append(to, r)
	}
	answer := backupAnswer{Party: party, File: out, Keys: out + keysEnding}
	// Keys first: rows without keys would look like a backup and be none.
	inKeys, err := writeArchive(answer.Keys, to, func(t *archive) error { return t.addKeys(ctx, f, party, filepath.Base(answer.Keys), to) })
	if err != nil {
		return err
	}
	bar := a.progress("copying")
	inRows, err := writeArchive(out, to, func(t *archive) error { return t.addRows(ctx, f, party, bar) })
	bar.end()
	if err != nil {
		return errors.Join(err, os.Remove(answer.Keys))
	}
	answer.Entries = inKeys + inRows
	return a.show(answer, func(p *page) {
		p.line("%s is backed up:", party)
		p.pairs("rows", answer.File, "keys", answer.Keys)
		p.line("")
		p.line("Keep the two apart, and the recovery identity apart from both.")
	})
}

// archive is a tar that is being written.
type archive struct {
	*tar.Writer
	entries int
}

// writeArchive makes a new file with an encrypted tar; on failure the file is gone.
func writeArchive(path string, to []age.Recipient, fill func(*archive) error) (entries int, err error) {
	file, err := createFile(path)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	defer file.Close()
	sealed, err := age.Encrypt(file, to...)
	if err != nil {
		return 0, err
	}
	t := &archive{Writer: tar.NewWriter(sealed)}
	if err := fill(t); err != nil {
		return 0, err
	}
	if err := errors.Join(t.Close(), sealed.Close(), file.Sync()); err != nil {
		return 0, problem.Wrap(problem.Unavailable, err, "the backup cannot be written; is the disk full?")
	}
	return t.entries, nil
}

func (t *archive) add(name string, length int64, from io.Reader) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: length, Format: tar.FormatPAX}); err != nil {
		return err
	}
	if _, err := io.CopyN(t, from, length); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the backup cannot be written; is the disk full?")
	}
	t.entries++
	return nil
}

// addParty writes whose backup this is, so that no party is restored as another.
func (t *archive) addParty(party string) error {
	err := t.add(partyEntry, int64(len(party)), strings.NewReader(party))
	t.entries-- // it is about the backup, not of it
	return err
}

func (t *archive) addFile(name, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "a file of the party cannot be read")
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "a file of the party cannot be read")
	}
	return t.add(name, info.Size(), file)
}

func (t *archive) addKeys(ctx context.Context, f *installation.Folder, party, name string, to []age.Recipient) error {
	export := func() ([]byte, error) { return f.ExportKeyholder(ctx, party, name, to...) }
	if party == "vault" {
		export = func() ([]byte, error) { return f.ExportRoots(party, to...) }
	}
	roots, err := export()
	if err != nil {
		return err
	}
	if err := errors.Join(t.addParty(party), t.add(rootsEntry, int64(len(roots)), bytes.NewReader(roots))); err != nil {
		return err
	}
	if party == "vault" {
		return nil
	}
	for _, office := range offices {
		name := officeEntry + office + "/identity.json"
		if err := t.addFile(name, f.Dir(party, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	return nil
}

// addRows adds a copy of the database as of one moment, and the vault's packs. Rows come first: a pack that arrives between is in no
// row of the copy, and the vault finds it again by its number.
func (t *archive) addRows(ctx context.Context, f *installation.Folder, party string, bar *progress) error {
	dir, err := os.MkdirTemp(f.Path, ".backup-")
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the installation's folder cannot be written; the copy of the rows needs room there")
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, rowsEntry)
	if err := copyRows(ctx, f.Dir(party, rowsEntry), copied); err != nil {
		return err
	}
	if err := errors.Join(t.addParty(party), t.addFile(rowsEntry, copied)); err != nil || party != "vault" {
		return err
	}
	var files []string
	root := f.Dir(party, strings.TrimSuffix(objectsEntry, "/"))
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasPrefix(d.Name(), ".") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the vault's objects cannot be read")
	}
	for i, path := range files {
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if err := t.addFile(objectsEntry+filepath.ToSlash(name), path); err != nil {
			return err
		}
		bar.at(int64(i+1)*int64(f.Pack.Size), int64(len(files))*int64(f.Pack.Size))
	}
	return nil
}

// copyRows has SQLite write a copy of one moment, whoever writes meanwhile.
func copyRows(ctx context.Context, from, to string) error {
	if _, err := os.Stat(from); err != nil {
		return problem.Wrap(problem.NotFound, err, "the party has no rows here")
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: from}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the rows cannot be copied; is there room for another copy of them?")
	}
	return nil
}
