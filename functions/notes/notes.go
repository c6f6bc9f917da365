// Package notes files collectors' batch notes at a keyholder and answers with
// receipts, journals what collectors refused to seal, and takes their word that nothing more of a unit will come.
package notes

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/wire"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetRoots, edge.SetTrust, edge.SetLedger}

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	desk := party.NewDesk(env)
	return &edge.Function{Name: "notes", Routes: func(api huma.API) {
		huma.Register(api, party.Op("file-notes", http.MethodPost, "/v1/notes", "File batch notes, get a signed receipt for each"),
			func(ctx context.Context, in *party.Bytes) (*party.Answer[wire.Receipts], error) {
				k, who, err := desk.Person(ctx, &in.Target, in.RawBody)
				if err != nil {
					return nil, err
				}
				notes, err := wire.SplitNotes(in.RawBody)
				if err != nil {
					return nil, err
				}
				receipts, refused, err := k.FileNotes(ctx, who, notes...)
				return party.JSON(wire.Receipts{Receipts: receipts, Refused: party.Refused(refused)}, err)
			})
		huma.Register(api, party.Op("file-refusal", http.MethodPost, "/v1/refusals", "Report something that was delivered and not sealed"),
			func(ctx context.Context, in *party.Statement) (*party.Answer[wire.Accepted], error) {
				k, err := desk.Open(ctx)
				if err != nil {
					return nil, err
				}
				return party.Accepted(k.FileRefusal(ctx, string(in.RawBody)))
			})
		huma.Register(api, party.Op("close-unit", http.MethodPost, "/v1/closings", "Say for a collector that nothing more of a unit will come"),
			func(ctx context.Context, in *party.Statement) (*party.Answer[wire.Accepted], error) {
				k, err := desk.Open(ctx)
				if err != nil {
					return nil, err
				}
				return party.Accepted(k.CloseUnit(ctx, string(in.RawBody)))
			})
	}}, nil
}
