// Package release hands over a keyholder's halves for a request.
package release

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetRoots, edge.SetTrust, edge.SetLedger, edge.SetOther}

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	desk := party.NewDesk(env)
	return &edge.Function{Name: "release", Routes: func(api huma.API) {
		huma.Register(api, party.Op("release", http.MethodPost, "/v1/releases", "Halves for a request, sealed to its key"),
			func(ctx context.Context, in *party.Body[wire.ReleaseAsk]) (*party.Answer[wire.Signed], error) {
				k, who, err := desk.Person(ctx, &in.Target, in.RawBody)
				if err != nil {
					return nil, err
				}
				hash, err := record.ParseDigest(in.Body.Request)
				if err != nil {
					return nil, err
				}
				answer, err := k.Release(ctx, who, hash, in.Body.From)
				return party.JSON(wire.Signed{Statement: answer}, err)
			})
	}}, nil
}
