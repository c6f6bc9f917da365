// Package arrived registers a pack once its object exists and commits it to
// the log. The object store tells it, and the collector confirms; twice equals once.
package arrived

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/vault"
	"arca.example/arca/shared/wire"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetBucket, edge.SetTrust, edge.SetPackBytes, edge.SetPackSlots, edge.SetSequence}

type clerk struct {
	open   func(context.Context) (*vault.Vault, error)
	origin string
}

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	c := clerk{party.Vault(env), env.Origin}
	return &edge.Function{Name: "arrived", Event: c.created, Routes: func(api huma.API) {
		huma.Register(api, party.Op("confirm-pack", http.MethodPost, "/v1/packs/{number}/arrived", "Confirm that a pack was stored"), c.confirm)
	}}, nil
}

func (c clerk) register(ctx context.Context, v *vault.Vault, number uint64) error {
	log, err := v.Ledger(ctx)
	if err != nil {
		return err
	}
	return v.Arrived(ctx, log, number)
}

// created acts on the object store's notice. Other objects in the bucket are the log's tiles.
func (c clerk) created(ctx context.Context, event edge.Event) error {
	if event.Kind != edge.Created {
		return problem.New(problem.Invalid, "this function runs when an object was created")
	}
	number, err := seal.ParsePackKey(event.Key)
	if err != nil {
		return nil
	}
	v, err := c.open(ctx)
	if err != nil {
		return err
	}
	return c.register(ctx, v, number)
}

type numbered struct {
	edge.Target
	Number uint64 `path:"number" minimum:"1" maximum:"999999999999" doc:"pack number"`
}

func (c clerk) confirm(ctx context.Context, in *numbered) (*party.Answer[wire.Accepted], error) {
	v, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	who, err := v.Authenticate(ctx, in.Call(c.origin, nil))
	if err != nil {
		return nil, err
	}
	if who.Kind != "collector" {
		return nil, problem.New(problem.Denied, "collectors confirm packs")
	}
	return party.Accepted(c.register(ctx, v, in.Number))
}
