// Package sequence puts pending entries into the log, every minute and whenever ledger
// asks, and has the checkpoint cosigned. It alone holds the log's keys, and makes the next one when the operator asks for it ({"arca":"next-key"}).
package sequence

import (
	"context"
	"sync/atomic"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/vault"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetBucket, edge.SetTrust, edge.SetLog, edge.SetRoots, edge.SetWitnesses}

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	open := party.Vault(env)
	var once atomic.Bool
	made := func(ctx context.Context, v *vault.Vault, roots keys.Roots) error {
		if once.Load() {
			return nil
		}
		_, err := v.LogSigner(ctx, roots, env.Log)
		once.Store(err == nil)
		return err
	}
	log := func(ctx context.Context, next bool) (*vault.Ledger, error) {
		v, err := open(ctx)
		if err != nil {
			return nil, err
		}
		roots, err := env.Roots()
		if err != nil {
			return nil, err
		}
		if next {
			if _, err := v.NextLogKey(ctx, roots, env.Log); err != nil {
				return nil, err
			}
		}
		// Before the trust file there is nothing to sequence, but the log's key must exist for it to name.
		if err := made(ctx, v, roots); err != nil {
			return nil, err
		}
		return v.Sequencer(ctx, roots, env.HTTP, env.Witnesses)
	}
	return &edge.Function{Name: "sequence", Event: func(ctx context.Context, event edge.Event) error {
		l, err := log(ctx, event.Kind == edge.NextKey)
		if err != nil && problem.KindOf(err) == problem.Unavailable && env.Trust == [32]byte{} {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = l.Sequence(ctx)
		return err
	}}, nil
}
