// Package stamp has the newest cosigned checkpoint stamped every hour by the time-stamping authorities that the trust
// file names.
package stamp

import (
	"context"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetBucket, edge.SetTrust, edge.SetAuthority, edge.SetSequence}

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	open := party.Vault(env)
	return &edge.Function{Name: "stamp", Event: func(ctx context.Context, _ edge.Event) error {
		v, err := open(ctx)
		if err != nil {
			return err
		}
		return v.Stamp(ctx, env.HTTP, env.Authorities)
	}}, nil
}
