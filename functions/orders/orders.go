// Package orders admits order chains and answers for their status, to the other
// keyholder, to collectors and to people whom the chain concerns.
package orders

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
var Needs = []edge.Setting{edge.SetTable, edge.SetRoots, edge.SetTrust, edge.SetLedger, edge.SetOther, edge.SetUnits}

type desk struct{ party.Desk }

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	d := desk{party.NewDesk(env)}
	return &edge.Function{Name: "orders", Routes: func(api huma.API) {
		huma.Register(api, party.Op("admit-order", http.MethodPost, "/v1/orders", "Admit a member of an order chain"), d.admit)
		huma.Register(api, party.Op("list-orders", http.MethodGet, "/v1/orders", "List the order chains that concern the caller"), d.list)
		huma.Register(api, party.Op("get-order", http.MethodGet, "/v1/orders/{chain}", "An order chain with its members"), d.show)
		huma.Register(api, party.Op("ask-status", http.MethodPost, "/v1/status", "Signed status of chains over the caller's nonce"), d.status)
	}}, nil
}

func (d desk) admit(ctx context.Context, in *party.Statement) (*party.Answer[wire.Order], error) {
	k, err := d.Open(ctx)
	if err != nil {
		return nil, err
	}
	c, err := k.Admit(ctx, string(in.RawBody))
	if err != nil {
		return nil, err
	}
	return party.JSON(k.Summary(c), nil)
}

type from struct {
	edge.Target
	From int `query:"from" minimum:"0" maximum:"1000000" doc:"first place in the order of admission"`
}

func (d desk) list(ctx context.Context, in *from) (*party.Answer[wire.Orders], error) {
	k, who, err := d.Person(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	return party.JSON(k.OrdersOf(ctx, who, in.From))
}

type chainPath struct {
	edge.Target
	Chain string `path:"chain" minLength:"64" maxLength:"64" doc:"hash of the chain's first member"`
}

func (d desk) show(ctx context.Context, in *chainPath) (*party.Answer[wire.Order], error) {
	k, who, err := d.Person(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	chain, err := record.ParseDigest(in.Chain)
	if err != nil {
		return nil, err
	}
	c, err := k.ShowChain(ctx, who, chain)
	if err != nil {
		return nil, err
	}
	out, err := k.Detailed(ctx, c)
	return party.JSON(out, err)
}

func (d desk) status(ctx context.Context, in *party.Body[wire.StatusAsk]) (*party.Answer[wire.Statuses], error) {
	chains, err := party.Digests(in.Body.Chains)
	if err != nil {
		return nil, err
	}
	k, err := d.Asker(ctx, &in.Target, in.RawBody, chains)
	if err != nil {
		return nil, err
	}
	nonce, err := record.ParseID(in.Body.Nonce)
	if err != nil {
		return nil, err
	}
	out := wire.Statuses{}
	out.Statement, out.Members, err = k.Status(ctx, nonce, chains...)
	if !in.Body.Members {
		out.Members = nil
	}
	return party.JSON(out, err)
}
