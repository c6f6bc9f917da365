// Package lapse goes over the clocks of all orders: it journals what ended by itself and tells those concerned, in their inbox,
// of what is due.
package lapse

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/law"
	"arca.example/arca/shared/wire"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetRoots, edge.SetTrust, edge.SetLedger, edge.SetOther, edge.SetWarn}

type clocks struct{ party.Desk }

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	for name := range env.Warn {
		if !slices.Contains(law.ClockNames, name) {
			return nil, fmt.Errorf("WARN names a clock that there is not; clocks are %v", law.ClockNames)
		}
	}
	c := clocks{party.NewDesk(env)}
	return &edge.Function{Name: "lapse", Event: c.run, Routes: func(api huma.API) {
		huma.Register(api, party.Op("list-notices", http.MethodGet, "/v1/notices", "What the caller was told of the clocks of their orders"), c.list)
	}}, nil
}

func (c clocks) run(ctx context.Context, _ edge.Event) error {
	k, err := c.Open(ctx)
	if err != nil {
		return err
	}
	return k.Lapse(ctx)
}

type from struct {
	edge.Target
	From int `query:"from" minimum:"0" default:"0" doc:"first place in the order of admission"`
}

func (c clocks) list(ctx context.Context, in *from) (*party.Answer[wire.Notices], error) {
	k, who, err := c.Person(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	out, err := k.NoticesOf(ctx, who, in.From)
	return party.JSON(out, err)
}
