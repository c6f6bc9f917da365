// Package report puts reports on measures into the court's inbox: what the police delivers, and at each date of the order and at
// the end of the measure the part that this keyholder composes from its own journal.
package report

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

type reports struct{ party.Desk }

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	r := reports{party.NewDesk(env)}
	return &edge.Function{Name: "report", Event: r.run, Routes: func(api huma.API) {
		huma.Register(api, party.Op("file-report", http.MethodPost, "/v1/reports", "Deliver a report to the judge"), r.file)
		huma.Register(api, party.Op("list-reports", http.MethodGet, "/v1/reports", "What was reported on a chain"), r.list)
		huma.Register(api, party.Op("get-report", http.MethodGet, "/v1/reports/{hash}", "One report"), r.show)
	}}, nil
}

func (r reports) run(ctx context.Context, _ edge.Event) error {
	k, err := r.Open(ctx)
	if err != nil {
		return err
	}
	return k.ComposeReports(ctx)
}

func (r reports) file(ctx context.Context, in *party.Body[wire.ReportFile]) (*party.Answer[wire.Named], error) {
	k, _, err := r.Person(ctx, &in.Target, in.RawBody)
	if err != nil {
		return nil, err
	}
	hash, err := k.FileReport(ctx, in.Body.Statement, in.Body.Content, in.Body.Share)
	return party.JSON(wire.Named{Hash: hash.String()}, err)
}

type ofChain struct {
	edge.Target
	Chain string `query:"chain" required:"true" minLength:"64" maxLength:"64" doc:"order chain"`
}

func (r reports) list(ctx context.Context, in *ofChain) (*party.Answer[wire.Reports], error) {
	k, who, err := r.Person(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	chain, err := record.ParseDigest(in.Chain)
	if err != nil {
		return nil, err
	}
	out, err := k.ReportsOf(ctx, who, chain)
	return party.JSON(out, err)
}

type hashPath struct {
	edge.Target
	Hash string `path:"hash" minLength:"64" maxLength:"64" doc:"SHA-256 of the report's signing input"`
}

func (r reports) show(ctx context.Context, in *hashPath) (*party.Answer[wire.Report], error) {
	k, who, err := r.Person(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	hash, err := record.ParseDigest(in.Hash)
	if err != nil {
		return nil, err
	}
	out, err := k.ShowReport(ctx, who, hash)
	return party.JSON(out, err)
}
