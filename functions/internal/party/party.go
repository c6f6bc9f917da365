// Package party opens what the functions of one party share, from the
// settings of one function. Everything opens on first use and once per process.
package party

import (
	"context"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/vault"
	"arca.example/arca/shared/wire"
)

// Once is sync.OnceValues that tries again after an error: a start that found its database down must not fail for ever.
func Once[T any](open func(context.Context) (T, error)) func(context.Context) (T, error) {
	var mu sync.Mutex
	var value T
	var ready bool
	return func(ctx context.Context) (T, error) {
		mu.Lock()
		defer mu.Unlock()
		if ready {
			return value, nil
		}
		v, err := open(ctx)
		if err == nil {
			value, ready = v, true
		}
		return v, err
	}
}

// Vault opens the vault.
func Vault(env edge.Env) func(context.Context) (*vault.Vault, error) {
	return Once(func(ctx context.Context) (*vault.Vault, error) {
		cfg := vault.Config{
			Geometry:    seal.Geometry{Size: int(env.PackBytes), Slots: env.PackSlots},
			Fingerprint: env.Trust, Now: env.Now,
		}
		var err error
		if cfg.Rows, err = env.Rows(); err != nil {
			return nil, err
		}
		if cfg.Blobs, err = optional(env.Blobs); err != nil {
			return nil, err
		}
		if cfg.Presign, err = optional(env.Presign); err != nil {
			return nil, err
		}
		if env.Sequence != "" {
			cfg.Sequence = func(ctx context.Context) error { return env.Invoke(ctx, env.Sequence, edge.AskedPayload) }
		}
		return vault.New(cfg), nil
	})
}

// optional opens a resource that not every function has.
func optional[T any](open func() (T, error)) (T, error) {
	if open == nil {
		var none T
		return none, nil
	}
	return open()
}

// keyMaker is the one function that makes a keyholder's keys when there are none, and so the one with the
// right to encrypt under the base root.
const keyMaker = "people"

// Keyholder opens court or custodian.
func Keyholder(env edge.Env) func(context.Context) (*keyholder.Keyholder, error) {
	return Once(func(ctx context.Context) (*keyholder.Keyholder, error) {
		rows, err := env.Rows()
		if err != nil {
			return nil, err
		}
		roots, err := env.Roots()
		if err != nil {
			return nil, err
		}
		cfg := keyholder.Config{
			Party: seal.Role(env.Party), Rows: rows, Roots: roots, Fingerprint: env.Trust, Now: env.Now, Warn: env.Warn,
			Create: env.Function == keyMaker,
			Connect: func(own *record.Signer) (keyholder.Log, keyholder.Peer) {
				client := func(base string) wire.Client {
					return wire.Client{Base: base, HTTP: env.HTTP, Signer: own, Now: env.Now}
				}
				return &wire.Vault{Client: client(env.Ledger)}, &wire.Keyholder{Client: client(env.Other)}
			},
		}
		if env.Units != "" {
			cfg.Invoke = func(ctx context.Context) error { return env.Invoke(ctx, env.Units, edge.AskedPayload) }
		}
		return keyholder.Open(ctx, cfg)
	})
}

// Desk is a keyholder as its functions reach it.
type Desk struct {
	// Open gives the keyholder, for what needs no caller or proves itself.
	Open   func(context.Context) (*keyholder.Keyholder, error)
	origin string
}

// NewDesk prepares a desk; it opens nothing.
func NewDesk(env edge.Env) Desk { return Desk{Keyholder(env), env.Origin} }

// Person opens the keyholder and finds out which enrolled person or machine calls.
func (d Desk) Person(ctx context.Context, target *edge.Target, body []byte) (*keyholder.Keyholder, keyholder.Person, error) {
	k, err := d.Open(ctx)
	if err != nil {
		return nil, keyholder.Person{}, err
	}
	who, err := k.Authenticate(ctx, target.Call(d.origin, body))
	return k, who, err
}

// Peer opens the keyholder for the other keyholder or a collector.
func (d Desk) Peer(ctx context.Context, target *edge.Target, body []byte) (*keyholder.Keyholder, error) {
	k, err := d.Open(ctx)
	if err != nil {
		return nil, err
	}
	return k, k.AuthenticatePeer(ctx, target.Call(d.origin, body))
}

// Sealer opens the keyholder for somebody who seals to units of chains.
func (d Desk) Sealer(ctx context.Context, target *edge.Target, body []byte, chains []record.Digest) (*keyholder.Keyholder, error) {
	k, err := d.Open(ctx)
	if err != nil {
		return nil, err
	}
	return k, k.AuthenticateSealer(ctx, target.Call(d.origin, body), chains)
}

// Other opens the keyholder for the other keyholder.
func (d Desk) Other(ctx context.Context, target *edge.Target, body []byte) (*keyholder.Keyholder, error) {
	k, err := d.Open(ctx)
	if err != nil {
		return nil, err
	}
	return k, k.AuthenticateOther(ctx, target.Call(d.origin, body))
}

// Asker opens the keyholder for somebody who may be told the status of chains.
func (d Desk) Asker(ctx context.Context, target *edge.Target, body []byte, chains []record.Digest) (*keyholder.Keyholder, error) {
	k, err := d.Open(ctx)
	if err != nil {
		return nil, err
	}
	return k, k.AuthenticateAsker(ctx, target.Call(d.origin, body), chains)
}

// Statement is an input that is one signed statement and proves itself.
type Statement struct {
	RawBody []byte `contentType:"application/jose" maxLength:"262144" doc:"a signed statement, JWS compact form"`
}

// Bytes is an input of bytes with a proof of possession.
type Bytes struct {
	edge.Target
	RawBody []byte `contentType:"application/octet-stream" doc:"an artefact in its own format"`
}

// Body is an input of JSON with a proof of possession over its exact bytes.
type Body[T any] struct {
	edge.Target
	RawBody []byte
	Body    T
}

// Empty is an input without a body, with a proof of possession.
type Empty struct{ edge.Target }

// Answer is a JSON answer.
type Answer[T any] struct{ Body T }

// Raw is an answer of bytes.
type Raw struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// JSON wraps an answer, or passes an error on.
func JSON[T any](v T, err error) (*Answer[T], error) {
	if err != nil {
		return nil, err
	}
	return &Answer[T]{v}, nil
}

// Refused lists what was refused among several: the members of errs that are not nil.
func Refused(errs []error) []wire.Refused {
	var list []wire.Refused
	for i, err := range errs {
		if err != nil {
			list = append(list, wire.Refused{Detail: problem.MessageOf(err), Index: i, Kind: problem.KindOf(err)})
		}
	}
	return list
}

// Digests reads a list of digests. Errors: problem.Invalid.
func Digests(list []string) ([]record.Digest, error) {
	var out []record.Digest
	for _, s := range list {
		d, err := record.ParseDigest(s)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// Accepted is the answer of a write that has nothing to add.
func Accepted(err error) (*Answer[wire.Accepted], error) {
	return JSON(wire.Accepted{Accepted: err == nil}, err)
}

// Op names an operation.
func Op(id, method, path, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary}
}
