// Package scrub reads what the vault stores again, every hour a part, holds it against the witnessed log, and repairs
// it from a second copy if there is one. Asked ({"arca":"asked"}), it begins a whole pass.
package scrub

import (
	"context"
	"time"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/vault"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetBucket, edge.SetTrust, edge.SetPackBytes, edge.SetPackSlots, edge.SetSequence, edge.SetCopy, edge.SetScrub}

// margin is kept free of the function's time, for the last object and the last write.
const margin = 30 * time.Second

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	open := party.Vault(env)
	return &edge.Function{Name: "scrub", Event: func(ctx context.Context, event edge.Event) error {
		v, err := open(ctx)
		if err != nil {
			return err
		}
		o := vault.ScrubOptions{Bytes: env.Scrub, Full: event.Kind == edge.Asked}
		if end, ok := ctx.Deadline(); ok {
			o.Until = end.Add(-margin)
		}
		if env.CopyFrom != "" {
			if o.Copy, err = env.Copy(); err != nil {
				return err
			}
		}
		state, err := v.Scrub(ctx, o)
		// The template's alarm watches these.
		edge.Count(ctx, "damaged", int64(len(state.Damaged))+state.Unnamed)
		edge.Count(ctx, "repaired", state.Repaired)
		edge.Count(ctx, "read", state.Read)
		return err
	}}, nil
}
