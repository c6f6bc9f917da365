// Package destroy carries out what judges have ordered to be destroyed, at every tick and when asked, gives the other keyholder its word
// on what goes, and shows what became of a decision.
package destroy

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

type desk struct{ party.Desk }

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	d := desk{party.NewDesk(env)}
	return &edge.Function{Name: "destroy", Event: d.tick, Routes: func(api huma.API) {
		huma.Register(api, party.Op("ask-destroying", http.MethodPost, "/v1/destroying", "Signed word on what a decision destroys here, over the other keyholder's nonce"), d.word)
		huma.Register(api, party.Op("list-destructions", http.MethodGet, "/v1/destructions", "What was ordered to be destroyed of a chain, and what became of it"), d.list)
		huma.Register(api, party.Op("destroy", http.MethodPost, "/v1/destructions", "Carry out now what may be destroyed"), d.destroy)
	}}, nil
}

func (d desk) tick(ctx context.Context, _ edge.Event) error {
	k, err := d.Open(ctx)
	if err != nil {
		return err
	}
	return k.Destroy(ctx)
}

func (d desk) word(ctx context.Context, in *party.Body[wire.DestroyingAsk]) (*party.Answer[wire.Signed], error) {
	k, err := d.Other(ctx, &in.Target, in.RawBody)
	if err != nil {
		return nil, err
	}
	nonce, err := record.ParseID(in.Body.Nonce)
	if err != nil {
		return nil, err
	}
	of, err := party.Digests([]string{in.Body.Chain, in.Body.Decision})
	if err != nil {
		return nil, err
	}
	statement, err := k.Destroying(ctx, nonce, of[0], of[1])
	return party.JSON(wire.Signed{Statement: statement}, err)
}

type ofChain struct {
	edge.Target
	Chain string `query:"chain" required:"true" minLength:"64" maxLength:"64" doc:"order chain"`
}

func (d desk) list(ctx context.Context, in *ofChain) (*party.Answer[wire.Destructions], error) {
	k, who, err := d.Person(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	chain, err := record.ParseDigest(in.Chain)
	if err != nil {
		return nil, err
	}
	out, err := k.DestructionsOf(ctx, who, chain)
	return party.JSON(out, err)
}

func (d desk) destroy(ctx context.Context, in *party.Body[wire.DestroyAsk]) (*party.Answer[wire.Accepted], error) {
	k, who, err := d.Person(ctx, &in.Target, in.RawBody)
	if err != nil {
		return nil, err
	}
	return party.Accepted(k.DestroyFor(ctx, who))
}
