package keyholder

import (
	"context"
	"slices"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// A copy of a root outlives the root. Each one that is made is listed before it leaves, so that a certificate of destruction can say which copies of
// the destroyed root are known, and which of them somebody has confirmed to be destroyed too.

// backupsName is the row with the copies of roots that this keyholder knows of.
const backupsName = "backups"

// maxBackups is how many the list holds. What was confirmed longest ago makes room.
const maxBackups = 500

// ListBackup lists a copy of the roots with these ids, before it leaves. Listing the same again changes nothing.
func (k *Keyholder) ListBackup(ctx context.Context, name string, roots []string) error {
	if err := record.CheckName(name); err != nil || name == "" {
		return problem.Wrap(problem.Invalid, err, "a copy of roots has a name of one line, by which its destruction is confirmed later")
	}
	made := k.now()
	return k.update(ctx, func(c *change) error {
		all, err := c.backups()
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(b record.Backup) bool {
			return b.Name == name && b.Made.Equal(made) && slices.Equal(b.Roots, roots)
		}) {
			return nil
		}
		if len(all) >= maxBackups {
			i := slices.IndexFunc(all, func(b record.Backup) bool { return !b.Confirmed.IsZero() })
			if i < 0 {
				return problem.New(problem.Unavailable, "%d copies of roots are listed and none is confirmed destroyed; destroy old ones and say so: arca backup PARTY --destroyed NAME", maxBackups)
			}
			all = slices.Delete(all, i, i+1)
		}
		return c.put(backupsName, append(all, record.Backup{Made: made, Name: name, Roots: roots}))
	})
}

// ConfirmBackup notes that the copies of that name were destroyed, by the word of who runs this keyholder.
func (k *Keyholder) ConfirmBackup(ctx context.Context, name string) error {
	now := k.now()
	return k.update(ctx, func(c *change) error {
		all, err := c.backups()
		if err != nil {
			return err
		}
		known, changed := false, false
		for i := range all {
			if all[i].Name != name {
				continue
			}
			known = true
			if all[i].Confirmed.IsZero() {
				all[i].Confirmed, changed = now, true
			}
		}
		if !known {
			return problem.New(problem.NotFound, "no copy of roots is listed under that name; see arca backup PARTY --list")
		}
		if !changed {
			return nil
		}
		return c.put(backupsName, all)
	})
}

// Backups lists the copies of roots that this keyholder knows of, and the ids of the roots that are in use.
func (k *Keyholder) Backups(ctx context.Context) (all []record.Backup, inUse []string, err error) {
	if _, err := k.read(ctx, backupsName, &all); err != nil {
		return nil, nil, err
	}
	inUse, err = k.rootIDs(ctx)
	return all, inUse, err
}

// rootIDs names the roots that are in their place.
func (k *Keyholder) rootIDs(ctx context.Context) ([]string, error) {
	names, err := k.cfg.Roots.Names(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range names {
		root, err := k.cfg.Roots.Open(ctx, name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, root.ID())
	}
	return ids, nil
}

// ListCopy is ListBackup for a copy of the roots in use that was made by other means, such as a second HSM.
func (k *Keyholder) ListCopy(ctx context.Context, name string) error {
	ids, err := k.rootIDs(ctx)
	if err != nil {
		return err
	}
	return k.ListBackup(ctx, name, ids)
}

func (c *change) backups() ([]record.Backup, error) {
	var all []record.Backup
	_, err := c.load(backupsName, &all)
	return all, err
}

// backupsOf lists the listed copies of a root.
func (c *change) backupsOf(root string) ([]record.Backup, error) {
	all, err := c.backups()
	if err != nil {
		return nil, err
	}
	of := []record.Backup{}
	for _, b := range all {
		if slices.Contains(b.Roots, root) {
			of = append(of, b)
		}
	}
	return of, nil
}

// signBackups says which copies of roots this keyholder knows of.
func (k *Keyholder) signBackups(ctx context.Context, at time.Time) (string, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return "", err
	}
	all := []record.Backup{}
	if _, err := k.read(ctx, backupsName, &all); err != nil {
		return "", err
	}
	return record.Sign(k.voice().signer, record.TypeBackups, at, record.Backups{Audience: trust.Hash, Backups: all, Issued: at, Party: string(k.cfg.Party)})
}
