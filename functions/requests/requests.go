// Package requests is a keyholder's inbox: requests, approvals, denials, and what readers say they did with what was released.
package requests

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

type inbox struct{ party.Desk }

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	i := inbox{party.NewDesk(env)}
	return &edge.Function{Name: "requests", Routes: func(api huma.API) {
		huma.Register(api, party.Op("ask", http.MethodPost, "/v1/requests", "Send a request"), i.ask)
		huma.Register(api, party.Op("decide", http.MethodPost, "/v1/approvals", "Send an approval or denial"), i.decide)
		huma.Register(api, party.Op("file-act", http.MethodPost, "/v1/acts", "Send what was done with what was released"), i.act)
		huma.Register(api, party.Op("list-requests", http.MethodGet, "/v1/requests", "Requests that the caller may see, oldest first"), i.list)
		huma.Register(api, party.Op("get-request", http.MethodGet, "/v1/requests/{hash}", "One request"), i.show)
	}}, nil
}

func (i inbox) ask(ctx context.Context, in *party.Statement) (*party.Answer[wire.Named], error) {
	k, err := i.Open(ctx)
	if err != nil {
		return nil, err
	}
	hash, err := k.Ask(ctx, string(in.RawBody))
	return party.JSON(wire.Named{Hash: hash.String()}, err)
}

func (i inbox) decide(ctx context.Context, in *party.Statement) (*party.Answer[wire.Accepted], error) {
	k, err := i.Open(ctx)
	if err != nil {
		return nil, err
	}
	return party.Accepted(k.Decide(ctx, string(in.RawBody)))
}

func (i inbox) act(ctx context.Context, in *party.Statement) (*party.Answer[wire.Accepted], error) {
	k, err := i.Open(ctx)
	if err != nil {
		return nil, err
	}
	return party.Accepted(k.FileAct(ctx, string(in.RawBody)))
}

type from struct {
	edge.Target
	From int64 `query:"from" minimum:"1" default:"1" doc:"first number in the inbox"`
}

func (i inbox) list(ctx context.Context, in *from) (*party.Answer[wire.Inbox], error) {
	k, who, err := i.Person(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	out, err := k.InboxOf(ctx, who, in.From)
	return party.JSON(out, err)
}

type hashPath struct {
	edge.Target
	Hash string `path:"hash" minLength:"64" maxLength:"64" doc:"SHA-256 of the request's signing input"`
}

func (i inbox) show(ctx context.Context, in *hashPath) (*party.Answer[wire.Asked], error) {
	k, who, err := i.Person(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	hash, err := record.ParseDigest(in.Hash)
	if err != nil {
		return nil, err
	}
	asked, err := k.ShowRequest(ctx, who, hash)
	return party.JSON(asked, err)
}
