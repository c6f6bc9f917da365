// Package units makes unit keys, weekly ahead, on admission and when a collector
// asks, and publishes the signed list. When its operator asks ({"arca":"next-key"}) it makes the online key that the
// next trust file is to name: no route leads there.
package units

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetRoots, edge.SetTrust, edge.SetLedger, edge.SetOther}

type maker struct{ party.Desk }

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	m := maker{party.NewDesk(env)}
	return &edge.Function{Name: "units", Event: m.refresh, Routes: func(api huma.API) {
		huma.Register(api, party.Op("ask-units", http.MethodPost, "/v1/units", "Units' public keys, made where the order covers them"), m.ask)
		huma.Register(api, party.Op("list-units", http.MethodGet, "/v1/units", "Signed public keys of a chain's open units"), m.list)
	}}, nil
}

func (m maker) refresh(ctx context.Context, event edge.Event) error {
	k, err := m.Open(ctx)
	if err != nil {
		return err
	}
	if event.Kind == edge.NextKey {
		_, err := k.NextOnline(ctx)
		return err
	}
	return k.RefreshUnits(ctx, event.Kind == edge.Asked)
}

func (m maker) ask(ctx context.Context, in *party.Body[wire.UnitsAsk]) (*party.Answer[wire.UnitKeys], error) {
	var units []seal.Unit
	var chains []record.Digest
	for _, ask := range in.Body.Units {
		chain, err := record.ParseDigest(ask.Chain)
		if err != nil {
			return nil, err
		}
		chains = append(chains, chain)
		units = append(units, seal.Unit{Order: chain, Week: ask.Week, Compartment: ask.Compartment, Classification: ask.Classification})
	}
	k, err := m.Sealer(ctx, &in.Target, in.RawBody, chains)
	if err != nil {
		return nil, err
	}
	statement, refused, err := k.EnsureUnits(ctx, units...)
	return party.JSON(wire.UnitKeys{Refused: party.Refused(refused), Statement: statement}, err)
}

type ofChain struct {
	edge.Target
	Chain string `query:"chain" required:"true" minLength:"64" maxLength:"64" doc:"order chain"`
}

func (m maker) list(ctx context.Context, in *ofChain) (*party.Answer[wire.SignedList], error) {
	k, err := m.Peer(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	chain, err := record.ParseDigest(in.Chain)
	if err != nil {
		return nil, err
	}
	list, err := k.UnitKeys(ctx, chain)
	return party.JSON(wire.SignedList{Statements: list}, err)
}
