package edge

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"arca.example/arca/shared/problem"
	"github.com/danielgtaylor/huma/v2"
)

// Problem is the body of every answer that is not a success: RFC 9457 problem
// details with Arca's kind. Detail says what to do. Nothing in it was sent by
// the caller.
type Problem struct {
	Type   string `json:"type" doc:"Names the kind of problem" example:"urn:arca:problem:denied"`
	Title  string `json:"title" doc:"The kind in words" example:"Denied"`
	Status int    `json:"status" doc:"HTTP status code" example:"403"`
	Kind   string `json:"kind" enum:"invalid,denied,not-found,conflict,gone,unavailable,internal" doc:"What can be concluded from it"`
	Detail string `json:"detail" doc:"What to do"`
}

// outcomes is the one table from a problem's kind to its HTTP status.
var outcomes = map[problem.Kind]struct {
	status int
	title  string
}{
	problem.Invalid:     {http.StatusBadRequest, "Invalid request"},
	problem.Denied:      {http.StatusForbidden, "Denied"},
	problem.NotFound:    {http.StatusNotFound, "Not found"},
	problem.Conflict:    {http.StatusConflict, "Conflict"},
	problem.Gone:        {http.StatusGone, "Gone"},
	problem.Unavailable: {http.StatusServiceUnavailable, "Unavailable"},
	problem.Internal:    {http.StatusInternalServerError, "Internal error"},
}

// retryAfter is what an unavailable answer asks callers to wait, in seconds.
const retryAfter = "2"

// StatusOf gives the HTTP status for a problem's kind.
func StatusOf(kind problem.Kind) int { return newProblem(kind, "").Status }

func newProblem(kind problem.Kind, detail string) *Problem {
	o, ok := outcomes[kind]
	if !ok {
		kind, o = problem.Internal, outcomes[problem.Internal]
	}
	return &Problem{Type: "urn:arca:problem:" + string(kind), Title: o.title, Status: o.status, Kind: string(kind), Detail: detail}
}

// Error and GetStatus make a Problem huma's StatusError.
func (p *Problem) Error() string  { return p.Detail }
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes huma answer with the media type of RFC 9457.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// huma has one error constructor for the whole process, and its own echoes
// rejected values. Replacing it at init, before any API exists, leaves no
// moment and no API in which the echoing one is used.
func init() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return explain(status, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		p := explain(status, errs)
		if p.Kind == string(problem.Unavailable) {
			ctx.SetHeader("Retry-After", retryAfter)
		}
		note(ctx.Context(), p, errs)
		return p
	}
}

// explain turns what huma reports into a Problem. huma's own message is never
// used: it may hold the caller's values.
func explain(status int, errs []error) *Problem {
	if len(errs) == 1 && problemIn(errs[0]) {
		return newProblem(problem.KindOf(errs[0]), problem.MessageOf(errs[0]))
	}
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return newProblem(problem.Invalid, tooLarge)
	case status == http.StatusUnsupportedMediaType:
		return newProblem(problem.Invalid, "send the body with the content type that the API description names")
	case status >= 400 && status < 500:
		return newProblem(problem.Invalid, "correct the request: "+faults(errs))
	}
	return newProblem(problem.Internal, problem.MessageOf(nil))
}

const tooLarge = "send a body of at most 1 MiB"

func problemIn(err error) bool {
	_, ok := errors.AsType[*problem.Error](err)
	return ok
}

// maxFaults bounds an answer to a request that is wrong in a thousand places.
const maxFaults = 8

// faults words huma's validation errors from the parts that come from the API's
// own description. A validation error names a place, a rule and a value. The
// value is dropped. Of the place only what is declared is kept (see place), and
// the rule only if it is one of huma's constant sentences.
func faults(errs []error) string {
	var lines []string
	for _, err := range errs {
		d, ok := err.(*huma.ErrorDetail)
		if !ok || len(lines) == maxFaults {
			continue
		}
		r := rule(d.Message)
		lines = append(lines, place(d.Location, r)+r)
	}
	if len(lines) == 0 {
		return "see the API description of this operation"
	}
	return strings.Join(lines, "; ")
}

// place keeps what the caller cannot have invented: the part of the request
// and, for a declared parameter, its name. Names inside a body and unknown
// query parameters are the caller's.
func place(location, rule string) string {
	part, rest, _ := strings.Cut(location, ".")
	switch part {
	case "path", "query", "header":
		if rule != unknownQuery {
			name, _, _ := strings.Cut(rest, ".")
			name, _, _ = strings.Cut(name, "[")
			return part + " " + name + ": "
		}
		return ""
	case "cookie", "body":
		return part + ": "
	}
	return ""
}

const unknownQuery = "unknown query parameter"

// rules are the beginnings of huma's validation sentences that go on with
// nothing but the schema's own words.
var rules = []string{
	"unexpected property", unknownQuery,
	"expected length ", "expected number", "expected integer", "expected boolean",
	"expected array", "expected object", "expected value to be one of ",
	"expected string to match pattern ", "expected string to be base64 encoded",
	"expected string to be RFC 3339 date", "expected string to be RFC 3339 time",
	"expected required property ", "expected property ",
	"required path parameter is missing", "required query parameter is missing",
	"required header parameter is missing",
	"invalid integer", "invalid float", "invalid boolean",
}

func rule(message string) string {
	if message == "expected string" {
		return message
	}
	for _, r := range rules {
		if strings.HasPrefix(message, r) {
			return message
		}
	}
	return "it does not have the form that the API description asks for"
}

// note leaves for the log what became of the request: its kind, and the cause
// of a failure of ours. The cause of an invalid or denied request is made of
// the caller's input and stays out of the log.
func note(ctx context.Context, p *Problem, errs []error) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return
	}
	x.kind = p.Kind
	ours := p.Kind == string(problem.Internal) || p.Kind == string(problem.Unavailable)
	if ours && len(errs) == 1 && errs[0] != nil {
		x.cause = errs[0].Error()
	}
}

type exchangeKey struct{}

// exchange is what the log line of one request needs and only the handler knows.
type exchange struct {
	kind  string
	cause string
}
