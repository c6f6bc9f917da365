package vault

import (
	"context"
	"errors"
	"net/http"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
)

// errOvertaken says that a witness has already cosigned a larger tree of ours.
var errOvertaken = errors.New("the witness has cosigned a larger tree")

// RemoteWitness is a witness that speaks C2SP tlog-witness over HTTP.
type RemoteWitness struct {
	Client *http.Client // its timeout bounds a call besides the context
	URL    string       // the submission prefix
	Called string       // its name in the policy
	Keys   []string     // its verifier keys, as the policy lists them
}

// Name implements Witness.
func (w RemoteWitness) Name() string { return w.Called }

// AddCheckpoint implements Witness.
func (w RemoteWitness) AddCheckpoint(ctx context.Context, r ledger.Request) (string, error) {
	return wire.AddCheckpoint(ctx, w.Client, w.URL, w.Keys, r)
}

// publish signs the head's tree, has it cosigned, and stores the checkpoint if
// it has its quorum.
func (l *Ledger) publish(ctx context.Context, h head, out *Outcome) error {
	tree := h.tree(l.signer.Name())
	signed, err := ledger.SignTree(tree, l.signers()...)
	if err != nil {
		return err
	}
	cosigned, refusals := l.gather(ctx, tree, signed)
	out.Refusals = refusals
	checkpoint, read, err := l.verifier.Assemble(signed, cosigned)
	if err == nil {
		read, err = l.storeCheckpoint(ctx, checkpoint, read)
	}
	if errors.Is(err, ledger.ErrUnwitnessed) {
		return l.explainShortfall(ctx, tree, err, out)
	}
	out.Checkpoint = read
	if skew := read.Fresh(l.now(), ledger.MaxSkew); err == nil && skew != nil {
		out.Refusals = append(out.Refusals, skew) // the checkpoint stands; this machine's clock does not
	}
	return err
}

// explainShortfall is for a tree that has no quorum. If witnesses have cosigned
// a larger one, then either another sequencer has overtaken this one, and all
// is well, or the log's storage was rolled back.
func (l *Ledger) explainShortfall(ctx context.Context, tree ledger.Tree, shortfall error, out *Outcome) error {
	_, newest, err := l.newest(ctx)
	if err == nil {
		out.Checkpoint = newest
	} else if problem.KindOf(err) != problem.Unavailable {
		return err
	}
	if !errors.Is(errors.Join(out.Refusals...), errOvertaken) {
		return shortfall
	}
	h, err := l.readHead(ctx)
	if err != nil {
		return err
	}
	if h.Now.Size > tree.Size {
		return nil // the other sequencer publishes
	}
	return problem.Wrap(problem.Internal, shortfall, "a witness has cosigned a longer log than storage holds: storage was rolled back; tell the operator")
}

// gather asks every witness at once. Once the quorum has answered it waits
// only a little for the rest: a witness that hangs must not hold up the log.
func (l *Ledger) gather(ctx context.Context, tree ledger.Tree, signed []byte) ([]ledger.Cosignature, []error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	type answer struct {
		cosigned []ledger.Cosignature
		err      error
	}
	answers := make(chan answer, len(l.witnesses)) // room for all, so that late ones end
	for _, w := range l.witnesses {
		go func() {
			cosigned, err := l.ask(ctx, w, tree, signed)
			answers <- answer{cosigned, err}
		}()
	}
	var cosigned []ledger.Cosignature
	var refusals []error
	answered := 0
	enough := make(<-chan time.Time)
	for range l.witnesses {
		select {
		case a := <-answers:
			if a.err != nil {
				refusals = append(refusals, a.err)
				continue
			}
			cosigned = append(cosigned, a.cosigned...)
			if answered++; answered == l.verifier.Policy().Quorum {
				enough = time.After(graceForMore)
			}
		case <-enough:
			return cosigned, append(refusals, problem.New(problem.Unavailable, "a witness did not answer in time"))
		}
	}
	return cosigned, refusals
}

// ask gets one witness's cosignatures, from the size that it stands at.
func (l *Ledger) ask(ctx context.Context, w Witness, tree ledger.Tree, signed []byte) ([]ledger.Cosignature, error) {
	key := w.Name()
	l.mu.Lock()
	old := min(l.seen[key], tree.Size)
	l.mu.Unlock()
	for try := 0; ; try++ {
		path, err := ledger.ProveConsistency(tree, old, ledger.Reader(tree, l.fetch(ctx)))
		if err != nil {
			return nil, err
		}
		lines, err := w.AddCheckpoint(ctx, ledger.Request{Old: old, Path: path, Checkpoint: signed})
		stands, moved := errors.AsType[*ledger.SizeConflict](err)
		switch {
		case err == nil:
			l.mu.Lock()
			l.seen[key] = tree.Size
			l.mu.Unlock()
			return l.verifier.Cosignatures(tree.Text(), lines)
		case moved && stands.Size > tree.Size:
			return nil, problem.Wrap(problem.Conflict, errOvertaken, "a witness has cosigned a larger tree")
		case moved && try < 3: // others may be asking at the same time
			old = stands.Size
		case moved:
			return nil, problem.Wrap(problem.Unavailable, err, "a witness keeps moving; it will be asked again")
		default:
			return nil, err
		}
	}
}

// storeCheckpoint makes a checkpoint the published one, unless one is that
// says more: a larger tree, or the same at a later time. It gives the one that
// is published then. Sizes never go back.
func (l *Ledger) storeCheckpoint(ctx context.Context, signed []byte, c ledger.Checkpoint) (ledger.Checkpoint, error) {
	var err error
	for range placeRetries {
		var have map[string]store.Row
		if have, err = l.rows.Get(ctx, checkpointKey); err != nil {
			return c, err
		}
		row := have[checkpointKey]
		if row.Version > 0 {
			old, err := l.verifier.Tree(row.Value)
			if err != nil {
				return c, damaged("the checkpoint row")
			}
			if old.Size == c.Size && old.Root != c.Root {
				return c, problem.Wrap(problem.Internal, ledger.ErrAltered, "the published log has another history than storage; tell the operator")
			}
			published, err := l.verifier.Verify(row.Value)
			if old.Size > c.Size || err == nil && old.Size == c.Size && published.Earliest.After(c.Earliest) {
				return published, err // another sequencer has overtaken this one
			}
		}
		err = l.rows.Commit(ctx, store.Write{Op: store.Put, Key: checkpointKey, Value: signed, Version: row.Version})
		if err == nil || problem.KindOf(err) != problem.Conflict {
			return c, err
		}
	}
	return c, problem.Wrap(problem.Unavailable, err, "other sequencers are at work; nothing was lost; try again")
}
