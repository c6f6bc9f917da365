// Package people is a keyholder's register of people and machines, its trust
// file, and its journal for those who may read it.
package people

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetRoots, edge.SetTrust, edge.SetLedger, edge.SetOther}

type office struct{ party.Desk }

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	o := office{party.NewDesk(env)}
	return &edge.Function{Name: "people", Routes: func(api huma.API) {
		huma.Register(api, party.Op("get-keyholder", http.MethodGet, "/v1/keyholder", "The keyholder's online key, and the next one"), o.identity)
		huma.Register(api, party.Op("put-trust", http.MethodPut, "/v1/trust", "Hand over a trust file"), o.putTrust)
		huma.Register(api, party.Op("get-trust", http.MethodGet, "/v1/trust", "Every trust file from the first on"), o.trust)
		huma.Register(api, party.Op("enrol", http.MethodPost, "/v1/people", "Enrol a person or machine"), o.enrol)
		huma.Register(api, party.Op("list-people", http.MethodGet, "/v1/people", "Enrolments that the caller may see"), o.list)
		huma.Register(api, party.Op("suspend-person", http.MethodPost, "/v1/suspensions", "Take a person out of service"), o.suspend)
		huma.Register(api, party.Op("read-log", http.MethodGet, "/v1/log", "A case's events with the openings of their log entries"), o.log)
	}}, nil
}

func (o office) identity(ctx context.Context, _ *party.Empty) (*party.Answer[wire.KeyholderIdentity], error) {
	k, err := o.Open(ctx)
	if err != nil {
		return nil, err
	}
	out := wire.KeyholderIdentity{Online: k.Online().String(), Party: string(k.Party())}
	next, err := k.NextKey(ctx)
	if !next.IsZero() {
		out.Next = next.String()
	}
	return party.JSON(out, err)
}

type joint struct {
	Body record.Joint `doc:"statements over one payload"`
}

type trustFile struct {
	Body record.TrustLink `doc:"a trust file, with its log entry from version 2 on"`
}

func (o office) putTrust(ctx context.Context, in *trustFile) (*party.Answer[wire.Accepted], error) {
	k, err := o.Open(ctx)
	if err != nil {
		return nil, err
	}
	return party.Accepted(k.PutTrust(ctx, in.Body))
}

func (o office) trust(ctx context.Context, _ *party.Empty) (*party.Answer[wire.TrustFiles], error) {
	k, err := o.Open(ctx)
	if err != nil {
		return nil, err
	}
	chain, err := k.TrustChain(ctx)
	if err == nil && len(chain) == 0 {
		err = problem.New(problem.NotFound, "this keyholder has no trust file yet")
	}
	return party.JSON(wire.TrustFiles{Files: chain}, err)
}

func (o office) enrol(ctx context.Context, in *joint) (*party.Answer[wire.Named], error) {
	k, err := o.Open(ctx)
	if err != nil {
		return nil, err
	}
	p, err := k.Enrol(ctx, in.Body)
	return party.JSON(wire.Named{Hash: p.ID.String()}, err)
}

func (o office) list(ctx context.Context, in *party.Empty) (*party.Answer[wire.People], error) {
	k, who, err := o.Person(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	people, err := k.PeopleFor(ctx, who)
	return party.JSON(wire.People{People: people}, err)
}

func (o office) suspend(ctx context.Context, in *party.Statement) (*party.Answer[wire.Accepted], error) {
	k, err := o.Open(ctx)
	if err != nil {
		return nil, err
	}
	return party.Accepted(k.SuspendPerson(ctx, string(in.RawBody)))
}

type caseFrom struct {
	edge.Target
	Case string `query:"case" required:"true" minLength:"64" maxLength:"64" doc:"order chain; zeros for the general journal"`
	From int64  `query:"from" minimum:"1" default:"1" doc:"first event's number"`
}

func (o office) log(ctx context.Context, in *caseFrom) (*party.Answer[wire.Log], error) {
	k, who, err := o.Person(ctx, &in.Target, nil)
	if err != nil {
		return nil, err
	}
	chain, err := record.ParseDigest(in.Case)
	if err != nil {
		return nil, err
	}
	out, err := k.ReadLog(ctx, who, chain, in.From)
	return party.JSON(out, err)
}
