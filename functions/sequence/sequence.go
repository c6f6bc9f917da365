// Package sequence puts pending entries into the log, every minute and whenever ledger
// asks, and has the checkpoint cosigned. It alone holds the log's key.
package sequence

import (
	"context"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/vault"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetBucket, edge.SetTrust, edge.SetLog, edge.SetRoots, edge.SetWitnesses}

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	open := party.Vault(env)
	log := party.Once(func(ctx context.Context) (*vault.Ledger, error) {
		v, err := open(ctx)
		if err != nil {
			return nil, err
		}
		roots, err := env.Roots()
		if err != nil {
			return nil, err
		}
		// Before the trust file there is nothing to sequence, but the log's key must exist for it to name.
		if _, err := v.LogSigner(ctx, roots, env.Log); err != nil {
			return nil, err
		}
		return v.Sequencer(ctx, roots, env.HTTP, env.Witnesses)
	})
	return &edge.Function{Name: "sequence", Event: func(ctx context.Context, _ edge.Event) error {
		l, err := log(ctx)
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
