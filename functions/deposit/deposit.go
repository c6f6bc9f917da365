// Package deposit is the vault's door for packs: reserve a number, get an
// upload, list what arrived, get whole packs in order; and admit principals.
package deposit

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/vault"
	"arca.example/arca/shared/wire"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetBucket, edge.SetTrust, edge.SetPackBytes, edge.SetPackSlots}

type door struct {
	open   func(context.Context) (*vault.Vault, error)
	origin string
}

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	d := door{party.Vault(env), env.Origin}
	return &edge.Function{Name: "deposit", Routes: func(api huma.API) {
		huma.Register(api, party.Op("reserve-packs", http.MethodPost, "/v1/packs", "Reserve pack numbers"), d.reserve)
		huma.Register(api, party.Op("upload-pack", http.MethodPost, "/v1/packs/{number}/upload", "Announce a pack and get its upload"), d.upload)
		huma.Register(api, party.Op("list-packs", http.MethodGet, "/v1/packs", "List arrived packs in order"), d.list)
		huma.Register(api, party.Op("get-pack", http.MethodGet, "/v1/packs/{number}", "Get the download of a whole pack"), d.get)
		huma.Register(api, party.Op("admit-principal", http.MethodPost, "/v1/principals", "Admit a collector or mirror"), d.admit)
	}}, nil
}

// caller opens the vault and finds out who calls.
func (d door) caller(ctx context.Context, target *edge.Target, body []byte) (*vault.Vault, vault.Principal, error) {
	v, err := d.open(ctx)
	if err != nil {
		return nil, vault.Principal{}, err
	}
	who, err := v.Authenticate(ctx, target.Call(d.origin, body))
	return v, who, err
}

func (d door) reserve(ctx context.Context, in *party.Body[wire.Reserve]) (*party.Answer[wire.Reserved], error) {
	v, who, err := d.caller(ctx, &in.Target, in.RawBody)
	if err != nil {
		return nil, err
	}
	nonce, err := record.ParseID(in.Body.Nonce)
	if err != nil {
		return nil, err
	}
	first, err := v.Reserve(ctx, who, nonce, in.Body.Count)
	return party.JSON(wire.Reserved{First: first}, err)
}

type numbered struct {
	edge.Target
	Number uint64 `path:"number" minimum:"1" maximum:"999999999999" doc:"pack number"`
}

// announced repeats the fields of numbered: huma does not look into an embedded struct whose name is not exported.
type announced struct {
	edge.Target
	Number  uint64 `path:"number" minimum:"1" maximum:"999999999999" doc:"pack number"`
	RawBody []byte
	Body    wire.Announce
}

func (d door) upload(ctx context.Context, in *announced) (*party.Answer[wire.Transfer], error) {
	v, who, err := d.caller(ctx, &in.Target, in.RawBody)
	if err != nil {
		return nil, err
	}
	pack, err := record.ParseDigest(in.Body.Pack)
	if err != nil {
		return nil, err
	}
	slots, err := record.ParseDigest(in.Body.Slots)
	if err != nil {
		return nil, err
	}
	t, err := v.Upload(ctx, who, in.Number, pack, slots)
	return party.JSON(wire.Transfer(t), err)
}

type from struct {
	edge.Target
	From uint64 `query:"from" minimum:"1" maximum:"999999999999" default:"1" doc:"first pack number"`
}

func (d door) list(ctx context.Context, in *from) (*party.Answer[wire.Packs], error) {
	v, who, err := d.caller(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	list, next, err := v.List(ctx, who, in.From)
	out := wire.Packs{Next: next, Packs: []wire.ListedPack{}}
	for _, p := range list {
		out.Packs = append(out.Packs, wire.ListedPack{Event: p.Event, Number: p.Number, Random: p.Random})
	}
	return party.JSON(out, err)
}

func (d door) get(ctx context.Context, in *numbered) (*party.Answer[wire.Transfer], error) {
	v, who, err := d.caller(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	t, err := v.Download(ctx, who, in.Number)
	return party.JSON(wire.Transfer(t), err)
}

type joint struct {
	Body record.Joint `doc:"both registrars' statements of one admission"`
}

func (d door) admit(ctx context.Context, in *joint) (*party.Answer[wire.Accepted], error) {
	v, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	if len(in.Body) != 2 {
		return nil, problem.New(problem.Invalid, "an admission carries the statements of both registrars")
	}
	return party.Accepted(v.Admit(ctx, in.Body))
}
