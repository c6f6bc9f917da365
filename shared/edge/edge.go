// Package edge is where Lambda ends and Arca begins: events in, answers out.
//
// A function of Arca is a Function: a set of HTTP operations, a reaction to
// events, or both. Handler turns it into the one entry point that Lambda
// calls, and the local gateway calls the same entry point with the same
// payloads, so nothing behaves differently on one machine.
//
// Payloads understood, told apart by their own fields:
//
//	{"version":"2.0","routeKey":…,"rawPath":…}                    an HTTP request (API Gateway HTTP API, payload 2.0)
//	{"source":"aws.s3","detail-type":"Object Created","detail":…}  Created: an object exists in the bucket
//	{"source":"aws.scheduler"|"aws.events",…}                      Tick: a schedule is due
//	{"arca":"tick"}                                                Tick, as the schedules of template.yaml say it
//	{"arca":"asked"}                                               Asked: another function of this party wants it run now
//	{"arca":"next-key"}                                            NextKey: the operator wants the key that the next trust file is to name
//
// Anything else is refused. An event that fails is returned as an error, so
// that Lambda repeats it and, in the end, the dead-letter queue holds it.
//
// Promises: a response never contains a value that the caller sent and that
// was refused; a log line never contains a path, a query, a header or a body,
// only the route's pattern. Bodies are at most MaxBody bytes. A path holds
// only letters, digits and "-._~/": API Gateway decodes paths and the local
// gateway does not, and without escapes there is nothing to disagree about.
//
// Trusts: that API Gateway delivers what the client sent. Does not trust: the
// Host header (a Function knows its own Origin) and anything in the request.
package edge

import (
	"context"

	"arca.example/arca/shared/record"
	"github.com/danielgtaylor/huma/v2"
)

// MaxBody is the largest request body, in bytes.
const MaxBody = 1 << 20

// Function is one function of template.yaml.
type Function struct {
	// Name is the Handler name in the template.
	Name string
	// Routes registers the function's operations with huma.Register; nil if it
	// has none. It runs at start and must do nothing else: no I/O, no clients.
	//
	// An operation's error is a *problem.Error (see shared/problem); anything
	// else is answered as internal. A RawBody is the handler's only until it
	// returns: what outlives the call must be copied.
	Routes func(api huma.API)
	// Event reacts to a schedule, an object or another function; nil if nothing
	// but HTTP triggers the function. Events repeat: twice must equal once.
	Event func(ctx context.Context, event Event) error
}

// EventKind says why a function runs when no HTTP request asked for it.
type EventKind string

// The kinds of event.
const (
	Tick    EventKind = "tick"     // a schedule is due
	Created EventKind = "created"  // an object exists in the bucket; Key and Size say which
	Asked   EventKind = "asked"    // another function of this party asks it to run now
	NextKey EventKind = "next-key" // the operator asks for the key that the next trust file is to name
)

// Event is one delivery. Key and Size are set for Created only and are what
// the notification claims: whoever acts on them reads the object itself.
type Event struct {
	Kind EventKind
	Key  string
	Size int64
}

// AskedPayload is what a function sends to make another one run: see Env.Invoke.
var AskedPayload = []byte(`{"arca":"asked"}`)

// NextKeyPayload is what an operator sends, by the right to invoke the function, for a new key.
var NextKeyPayload = []byte(`{"arca":"next-key"}`)

// Target is embedded in the input of an operation that demands a proof of
// possession. It holds what the proof must be bound to, apart from the origin,
// which the function knows as Env.Origin and never learns from a request.
type Target struct {
	// Proof is record.ProofHeader, empty if the request has none.
	Proof string `header:"Arca-Proof" maxLength:"8192" doc:"Proof of possession, bound to this method, URL, body and minute"`

	method, uri string
}

// Resolve lets huma fill in the target; it refuses nothing.
func (t *Target) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	t.method, t.uri = ctx.Method(), u.RequestURI()
	return nil
}

// Call is what a proof of possession is verified against, for the function's
// own origin and exactly the body that came.
func (t *Target) Call(origin string, body []byte) record.Call {
	return record.Call{Proof: t.Proof, Method: t.method, URL: origin + t.uri, Body: body}
}

// Method is the request's method, upper case.
func (t *Target) Method() string { return t.method }

// URI is the request's path and query exactly as sent, for example "/v1/packs?from=7".
// Origin and URI together are the URL that a proof of possession names.
func (t *Target) URI() string { return t.uri }
