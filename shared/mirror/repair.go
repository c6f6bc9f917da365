package mirror

import (
	"bytes"
	"context"
	"os"
	"path/filepath"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/wire"
)

// Repaired is what a Repair did.
type Repaired struct {
	Audited        // before anything was repaired
	Fetched int    // packs that are again the witnessed ones
	Kept    string // folder of the evidence: what lay under their numbers before; "" when nothing was amiss
}

// Repair audits every mirrored pack and fetches again those that are not the witnessed ones, each judged like a new one. What lay
// under their numbers is kept as evidence. It may be killed at any point and run again: a number always holds the old file or the
// new one, whole. The vault learns which packs were damaged here, which says nothing of what is read: the audit reads them all.
func (m *Mirror) Repair(ctx context.Context, progress func(done, total int)) (Repaired, error) {
	var out Repaired
	unlock, err := m.begin(ctx)
	if err != nil {
		return out, err
	}
	defer unlock()
	if out.Audited, err = m.Audit(ctx, progress); err != nil || len(out.Findings) == 0 {
		return out, err
	}
	out.Kept = m.path("evidence")
	if _, err := m.advance(ctx); err != nil {
		return out, err
	}
	for _, f := range out.Findings {
		if err := m.repair(ctx, f.Number); err != nil {
			return out, err
		}
		out.Fetched++
	}
	return out, nil
}

// repair fetches one pack in place of what is here.
func (m *Mirror) repair(ctx context.Context, n uint64) error {
	page, err := m.cfg.Vault.Packs(ctx, n)
	if err != nil {
		return err
	}
	if len(page.Packs) == 0 || page.Packs[0].Number != n {
		return problem.New(problem.Invalid, "the vault no longer lists pack %d, which this mirror had; tell the auditor", n)
	}
	listed := page.Packs[0]
	if err := m.sameStory(n, listed); err != nil {
		return err
	}
	pour := newPourer()
	defer pour.close()
	a := m.arrive(ctx, listed, pour, func(int64) {})
	if a.err != nil {
		return a.err
	}
	if a.pending {
		return problem.New(problem.Unavailable, "the vault gives no proof of pack %d at this moment; run again", n)
	}
	if err := m.keepDamaged(n); err != nil {
		a.discard()
		return err
	}
	m.forget(n)
	return m.commit(a)
}

// sameStory refuses a listed pack that is not the one which this mirror's own row, if it still verifies, was given a proof of.
func (m *Mirror) sameStory(n uint64, listed wire.ListedPack) error {
	_, have, err := m.readRow(n)
	if err != nil {
		return nil // damaged or gone: what is listed stands by its own proof
	}
	if !bytes.Equal(have.Event, listed.Event) || !bytes.Equal(have.Random, listed.Random) {
		return problem.New(problem.Denied, "the vault shows another pack under number %d than the witnessed one that this mirror had; nothing was replaced, tell the auditor", n)
	}
	return nil
}

// keepDamaged gives the pack and the row under a number a second name among the evidence.
func (m *Mirror) keepDamaged(n uint64) error {
	at := m.cfg.Now().UTC().Format("20060102T150405.000000000Z")
	for _, path := range []string{m.packPath(n), m.rowPath(n)} {
		err := os.Link(path, m.path("evidence", "damaged-"+at+"-"+filepath.Base(path)))
		if err != nil && !os.IsNotExist(err) {
			return failed(err, "keep the damaged pack as evidence")
		}
	}
	return nil
}

// forget drops what this process remembers of a pack.
func (m *Mirror) forget(n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.verified, n)
	if m.fileOf == n {
		m.closeFile()
	}
}
