package mirror

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
)

// Newest gives the newest checkpoint that this mirror has verified, the zero Checkpoint before the first.
func (m *Mirror) Newest() (ledger.Checkpoint, error) {
	signed, err := os.ReadFile(m.path("checkpoint"))
	if os.IsNotExist(err) {
		return ledger.Checkpoint{}, nil
	}
	if err != nil {
		return ledger.Checkpoint{}, failed(err, "read the mirror's checkpoint")
	}
	c, err := m.verifier.Verify(signed)
	if err != nil {
		return c, problem.Wrap(problem.Invalid, err, "the mirror's own checkpoint is damaged; put back the folder from a copy, or remove the file named checkpoint and tell the auditor that the mirror begins anew")
	}
	return c, nil
}

// advance fetches the vault's newest checkpoint, verifies that it continues the one that is kept, and keeps it.
func (m *Mirror) advance(ctx context.Context) (ledger.Checkpoint, error) {
	old, err := m.Newest()
	if err != nil {
		return old, err
	}
	if old.Size == 0 {
		return m.first(ctx)
	}
	answer, err := m.cfg.Vault.Consistency(ctx, old.Size)
	if problem.KindOf(err) == problem.Invalid && err != nil {
		return old, m.shorter(ctx, old, err)
	}
	if err != nil {
		return old, err
	}
	next, signed, err := m.continued(ctx, old.Tree, answer)
	if err != nil {
		return old, err
	}
	// Commit point: after this write no shorter or other history is accepted here.
	return next, m.replace(m.path("checkpoint"), signed)
}

func (m *Mirror) first(ctx context.Context) (ledger.Checkpoint, error) {
	signed, err := m.cfg.Vault.Checkpoint(ctx)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	c, err := m.verifier.Verify(signed)
	if err != nil {
		return c, problem.Wrap(problem.KindOf(err), err, "the vault's checkpoint is refused: %s", problem.MessageOf(err))
	}
	return c, m.replace(m.path("checkpoint"), signed)
}

// continued verifies an answer of Consistency and gives the checkpoint in it. A contradiction is kept as evidence.
func (m *Mirror) continued(ctx context.Context, old ledger.Tree, answer []byte) (ledger.Checkpoint, []byte, error) {
	// The answer is an add-checkpoint body without its first line, so its strict parser serves here too.
	proof, err := ledger.ParseRequest(fmt.Appendf(nil, "old %d\n%s", old.Size, answer))
	if err != nil {
		return ledger.Checkpoint{}, nil, problem.Wrap(problem.Invalid, err, "the vault's consistency proof is malformed; run again, and tell the auditor if it stays so")
	}
	next, err := m.verifier.Verify(proof.Checkpoint)
	if err != nil {
		return next, nil, problem.Wrap(problem.KindOf(err), err, "the vault's checkpoint is refused: %s", problem.MessageOf(err))
	}
	if err := m.judge.continues(next, old, proof); err != nil {
		return next, nil, m.contradiction(ctx, old, answer, proof.Checkpoint, err)
	}
	return next, proof.Checkpoint, nil
}

// shorter tells a vault that shows less of the log than before from one that merely could not answer.
func (m *Mirror) shorter(ctx context.Context, old ledger.Checkpoint, cause error) error {
	signed, err := m.cfg.Vault.Checkpoint(ctx)
	if err != nil {
		return err
	}
	c, err := m.verifier.Verify(signed)
	if err != nil {
		return problem.Wrap(problem.KindOf(err), err, "the vault's checkpoint is refused: %s", problem.MessageOf(err))
	}
	if c.Size < old.Size {
		return m.contradiction(ctx, old.Tree, signed, signed, cause)
	}
	return cause
}

// contradiction writes down what the log showed before and what it shows now. Where both are signed by the same keys and the
// log serves the tiles that show it, that is evidence which anybody can check without us; else both stand there as they were shown.
func (m *Mirror) contradiction(ctx context.Context, old ledger.Tree, shown, now []byte, cause error) error {
	kept, err := os.ReadFile(m.path("checkpoint"))
	if err != nil {
		return failed(err, "read the mirror's checkpoint")
	}
	var b bytes.Buffer
	proven, err := m.verifier.Contradiction(kept, now, m.hashes(ctx))
	if err == nil && proven != nil {
		b.Write(proven.Marshal())
	} else {
		fmt.Fprintf(&b, "The log contradicts itself. It showed the tree of %d entries with root %s; this mirror keeps:\n\n%s\n", old.Size, old.Root, kept)
		fmt.Fprintf(&b, "Then it showed, with the consistency proof in front if there is one:\n\n%s", shown)
	}
	name := "log-" + m.cfg.Now().UTC().Format("20060102T150405.000000000Z") + ".txt"
	if err := m.replace(m.path("evidence", name), b.Bytes()); err != nil {
		return err
	}
	return problem.Wrap(problem.Denied, cause, "the vault shows a log that is shorter than before or does not continue it; both are kept in the mirror's folder as evidence/%s: give that file to the auditor, and do not rely on this vault", name)
}

// hashes reads the vault's tiles of a tree and believes them only so far as they lead to its root.
func (m *Mirror) hashes(ctx context.Context) func(ledger.Tree) tlog.HashReader {
	return func(t ledger.Tree) tlog.HashReader {
		return ledger.Reader(t, func(tile ledger.Tile) ([]byte, error) { return m.cfg.Vault.Tile(ctx, tile.Path()) })
	}
}

// link verifies that a checkpoint under which a pack was proven lies in the same history as the one that is kept.
func (m *Mirror) link(ctx context.Context, c ledger.Checkpoint) error {
	for range 5 {
		newest, err := m.Newest()
		if err != nil {
			return err
		}
		if newest.Tree == c.Tree {
			return nil
		}
		if newest.Size < c.Size {
			if _, err := m.advance(ctx); err != nil {
				return err
			}
			continue
		}
		answer, err := m.cfg.Vault.Consistency(ctx, c.Size)
		if err != nil {
			return err
		}
		shown, signed, err := m.continued(ctx, c.Tree, answer)
		if err != nil {
			return err
		}
		if shown.Tree == newest.Tree {
			return nil
		}
		if shown.Size == newest.Size {
			return m.contradiction(ctx, newest.Tree, answer, signed, ledger.ErrAltered)
		}
		if _, err := m.advance(ctx); err != nil {
			return err
		}
	}
	return problem.New(problem.Unavailable, "the log grows faster than it can be followed at this moment; run again")
}

// stale says why the newest checkpoint cannot stand for the present; "" when it can.
func (m *Mirror) stale(c ledger.Checkpoint) string {
	if err := c.Fresh(m.cfg.Now(), 5*time.Minute); err != nil {
		return problem.MessageOf(err)
	}
	return ""
}
