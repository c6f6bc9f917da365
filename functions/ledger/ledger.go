// Package ledger is the vault's public log over HTTP: add an entry, read the
// checkpoint, tiles and proofs. Reading is open to everybody.
package ledger

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/vault"
	"arca.example/arca/shared/wire"
)

// Needs are the function's settings.
var Needs = []edge.Setting{edge.SetTable, edge.SetBucket, edge.SetTrust, edge.SetLog, edge.SetPackBytes, edge.SetPackSlots, edge.SetSequence}

type book struct {
	open        func(context.Context) (*vault.Vault, error)
	origin, log string
}

// New builds the function.
func New(env edge.Env) (*edge.Function, error) {
	b := book{party.Vault(env), env.Origin, env.Log}
	return &edge.Function{Name: "ledger", Routes: func(api huma.API) {
		huma.Register(api, party.Op("add-entries", http.MethodPost, "/v1/entries", "Add entries to the log"), b.add)
		huma.Register(api, party.Op("get-checkpoint", http.MethodGet, "/v1/checkpoint", "Newest cosigned checkpoint (signed note)"), b.checkpoint)
		huma.Register(api, party.Op("get-tile", http.MethodGet, "/v1/tile/{path...}", "A tile or entry bundle by its C2SP tlog-tiles path"), b.tile)
		huma.Register(api, party.Op("prove-entry", http.MethodGet, "/v1/proofs/{entry}", "Inclusion proof of an entry (C2SP tlog-proof)"), b.prove)
		huma.Register(api, party.Op("prove-consistency", http.MethodGet, "/v1/consistency", "Consistency proof from a size to the newest checkpoint"), b.consistency)
		huma.Register(api, party.Op("list-stamps", http.MethodGet, "/v1/stamps", "Timestamps (RFC 3161) on checkpoints, by number"), b.stamps)
		huma.Register(api, party.Op("get-scrub", http.MethodGet, "/v1/scrub", "What reading everything again has found, and repairs by number"), b.scrub)
		huma.Register(api, party.Op("get-vault", http.MethodGet, "/v1/vault", "The log's key and the packs' shape"), b.identity)
		huma.Register(api, party.Op("put-vault-trust", http.MethodPut, "/v1/vault/trust", "Hand over a trust file"), b.trust)
	}}, nil
}

func (b book) ledger(ctx context.Context) (*vault.Ledger, error) {
	v, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	return v.Ledger(ctx)
}

func (b book) add(ctx context.Context, in *party.Body[wire.Entries]) (*party.Answer[wire.Accepted], error) {
	v, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	who, err := v.Authenticate(ctx, in.Call(b.origin, in.RawBody))
	if err != nil {
		return nil, err
	}
	// An event of a journal is shown to be its keyholder's by its entry alone, and a pack's to be the vault's: whoever else could add entries could invent both.
	if who.Kind != string(seal.Court) && who.Kind != string(seal.Custodian) {
		return nil, problem.New(problem.Denied, "only court and custodian add entries to the log; packs enter it by their arrival")
	}
	var entries []ledger.Entry
	for _, text := range in.Body.Entries {
		d, err := record.ParseDigest(text)
		if err != nil {
			return nil, err
		}
		entries = append(entries, ledger.Entry(d))
	}
	return party.Accepted(v.AddEntries(ctx, entries))
}

func (b book) checkpoint(ctx context.Context, _ *party.Empty) (*party.Raw, error) {
	log, err := b.ledger(ctx)
	if err != nil {
		return nil, err
	}
	signed, _, err := log.Checkpoint(ctx)
	return text(signed, err)
}

type tilePath struct {
	edge.Target
	Path string `path:"path" maxLength:"100" doc:"C2SP tlog-tiles path behind tile/"`
}

func (b book) tile(ctx context.Context, in *tilePath) (*party.Raw, error) {
	log, err := b.ledger(ctx)
	if err != nil {
		return nil, err
	}
	data, err := log.Tile(ctx, "tile/"+in.Path)
	if err != nil {
		return nil, err
	}
	return &party.Raw{ContentType: "application/octet-stream", Body: data}, nil
}

type entryPath struct {
	edge.Target
	Entry string `path:"entry" minLength:"64" maxLength:"64" doc:"log entry, hexadecimal"`
}

func (b book) prove(ctx context.Context, in *entryPath) (*party.Raw, error) {
	log, err := b.ledger(ctx)
	if err != nil {
		return nil, err
	}
	d, err := record.ParseDigest(in.Entry)
	if err != nil {
		return nil, err
	}
	proof, err := log.Proof(ctx, ledger.Entry(d))
	if errors.Is(err, ledger.ErrUnwitnessed) {
		// Waiting helps here and does not help when the log is down: callers must be able to tell.
		return nil, problem.Wrap(problem.Conflict, err, "%s", problem.MessageOf(err))
	}
	return text(proof.Marshal(), err)
}

type fromSize struct {
	edge.Target
	From int64 `query:"from" minimum:"0" doc:"tree size that the caller knows"`
}

func (b book) consistency(ctx context.Context, in *fromSize) (*party.Raw, error) {
	log, err := b.ledger(ctx)
	if err != nil {
		return nil, err
	}
	signed, path, err := log.Consistency(ctx, in.From)
	if err != nil {
		return nil, err
	}
	return text(consistencyText(path, signed), nil)
}

// consistencyText is the form of a C2SP add-checkpoint body behind its first line: path lines, a blank line, the checkpoint.
func consistencyText(path []tlog.Hash, signed []byte) []byte {
	var out []byte
	for _, h := range path {
		out = append(append(out, h.String()...), '\n')
	}
	return append(append(out, '\n'), signed...)
}

type fromStamp struct {
	edge.Target
	From uint64 `query:"from" doc:"first number of the answer"`
}

func (b book) stamps(ctx context.Context, in *fromStamp) (*party.Answer[wire.Stamps], error) {
	v, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	list, next, err := v.Stamps(ctx, in.From)
	out := wire.Stamps{Next: next, Stamps: []wire.Stamp{}}
	for _, s := range list {
		out.Stamps = append(out.Stamps, wire.Stamp{Number: s.Number, Checkpoint: s.Checkpoint, Token: s.Token, Event: s.Event, Random: s.Random[:]})
	}
	return party.JSON(out, err)
}

type fromRepair struct {
	edge.Target
	From uint64 `query:"from" doc:"number of the first repair of the answer"`
}

// scrub is for the vault's principals: which objects are damaged is nobody else's business.
func (b book) scrub(ctx context.Context, in *fromRepair) (*party.Answer[wire.Scrub], error) {
	v, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := v.Authenticate(ctx, in.Call(b.origin, nil)); err != nil {
		return nil, err
	}
	s, err := v.ScrubState(ctx)
	if err != nil {
		return nil, err
	}
	repairs, next, err := v.Repairs(ctx, in.From)
	out := wire.Scrub{At: s.At, Began: s.Began, Damaged: []wire.Damage{}, Drawn: s.Drawn, Looked: s.Looked, Objects: s.Objects, Passed: s.Passed, Read: s.Read,
		Repaired: s.Repaired, Repairs: []wire.ListedEvent{}, RepairNext: next, Unnamed: s.Unnamed}
	for _, d := range s.Damaged {
		out.Damaged = append(out.Damaged, wire.Damage(d))
	}
	for _, r := range repairs {
		out.Repairs = append(out.Repairs, wire.ListedEvent{Event: r.Event, Number: r.Number, Random: r.Random})
	}
	return party.JSON(out, err)
}

func (b book) identity(ctx context.Context, _ *party.Empty) (*party.Answer[wire.VaultIdentity], error) {
	v, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	key, next, err := v.LogKey(ctx)
	g := v.Geometry()
	return party.JSON(wire.VaultIdentity{LogKey: key, NextLogKey: next, LogOrigin: b.log, PackBytes: g.Size, PackSlots: g.Slots}, err)
}

type trustFile struct {
	Body record.TrustLink `doc:"a trust file, with its log entry from version 2 on"`
}

func (b book) trust(ctx context.Context, in *trustFile) (*party.Answer[wire.Accepted], error) {
	v, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	return party.Accepted(v.PutTrust(ctx, in.Body))
}

func text(b []byte, err error) (*party.Raw, error) {
	if err != nil {
		return nil, err
	}
	return &party.Raw{ContentType: "text/plain; charset=utf-8", Body: b}, nil
}
