package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Handler is a Function made callable. Its Invoke is lambda.Handler's and may
// be called from several goroutines.
type Handler struct {
	fn  *Function
	mux *http.ServeMux
	log *slog.Logger
}

// NewHandler registers the function's operations and returns its handler.
// log receives one line per request or event; see Log.
func NewHandler(fn *Function, log *slog.Logger) (*Handler, error) {
	if fn.Name == "" || (fn.Routes == nil && fn.Event == nil) {
		return nil, errors.New("a function needs a name and something to react to")
	}
	h := &Handler{fn: fn, mux: http.NewServeMux(), log: log.With("function", fn.Name)}
	if fn.Routes != nil {
		fn.Routes(newAPI(h.mux))
	}
	return h, nil
}

// newAPI gives huma with everything off that would add a route, a link or an
// echo: no documentation, no schemas, no OpenAPI route.
func newAPI(mux humago.Mux) huma.API {
	strict := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: strictJSON}
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: apiTitle, Version: apiVersion, Description: apiDescription},
			OnAddOperation: []huma.AddOpFunc{
				func(_ *huma.OpenAPI, op *huma.Operation) {
					// huma refuses a body of exactly its limit.
					op.MaxBodyBytes = MaxBody + 1
				},
			},
		},
		// "json" is huma's name for all types that end in +json.
		Formats:                      map[string]huma.Format{"application/json": strict, "json": strict},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
	return humago.New(mux, config)
}

// strictJSON refuses what encoding/json forgives: duplicate names, names in
// another case, invalid UTF-8.
func strictJSON(data []byte, v any) error {
	return jsonv2.Unmarshal(data, v, jsontext.AllowDuplicateNames(false))
}

// delivery is any payload that a function may receive; which one it is shows
// in its fields.
type delivery struct {
	events.APIGatewayV2HTTPRequest
	Source     string `json:"source"`
	DetailType string `json:"detail-type"`
	Detail     struct {
		Object struct {
			Key  string `json:"key"`
			Size int64  `json:"size"`
		} `json:"object"`
	} `json:"detail"`
	Arca string `json:"arca"`
}

// Invoke answers one delivery. An error means that an event was not handled
// and is to be delivered again; an HTTP request always gets an answer.
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var d delivery
	if err := json.Unmarshal(payload, &d); err != nil {
		return nil, errors.New("the payload is not one that Arca's functions receive")
	}
	if d.Version == "2.0" && d.RequestContext.HTTP.Method != "" {
		return json.Marshal(h.answer(ctx, &d.APIGatewayV2HTTPRequest))
	}
	event, err := d.event()
	if err != nil {
		return nil, err
	}
	return nil, h.react(ctx, event)
}

// event tells what happened, or that this is no event of ours.
func (d *delivery) event() (Event, error) {
	switch {
	case d.Source == "aws.s3" && d.DetailType == "Object Created":
		return Event{Kind: Created, Key: d.Detail.Object.Key, Size: d.Detail.Object.Size}, nil
	case d.Source == "aws.scheduler", d.Source == "aws.events", d.Source == "" && d.Arca == "tick":
		return Event{Kind: Tick}, nil
	case d.Source == "" && d.Arca == "asked":
		return Event{Kind: Asked}, nil
	case d.Source == "" && d.Arca == "next-key":
		return Event{Kind: NextKey}, nil
	}
	return Event{}, errors.New("the payload is not one that Arca's functions receive")
}

// react runs the function for an event and logs it.
func (h *Handler) react(ctx context.Context, event Event) (err error) {
	start, numbers := time.Now(), &counted{}
	ctx = context.WithValue(ctx, countedKey{}, numbers)
	defer func() {
		if r := recover(); r != nil {
			err = h.panicked(ctx, r)
		}
		level, attrs := slog.LevelInfo, []slog.Attr{slog.String("request", requestID(ctx, "")),
			slog.String("event", string(event.Kind)), slog.Duration("took", time.Since(start))}
		numbers.mu.Lock()
		attrs = append(attrs, numbers.attrs...)
		numbers.mu.Unlock()
		if err != nil {
			level = slog.LevelError
			attrs = append(attrs, slog.String("kind", string(problem.KindOf(err))), slog.String("cause", err.Error()))
		}
		h.log.LogAttrs(ctx, level, "event", attrs...)
	}()
	if h.fn.Event == nil {
		return fmt.Errorf("function %s does not react to events", h.fn.Name)
	}
	return h.fn.Event(ctx, event)
}

// answer runs the function for an HTTP request and logs it.
func (h *Handler) answer(ctx context.Context, in *events.APIGatewayV2HTTPRequest) *events.APIGatewayV2HTTPResponse {
	start := time.Now()
	x := &exchange{}
	ctx = context.WithValue(ctx, exchangeKey{}, x)
	w := newRecorder()
	pattern := h.serve(ctx, w, in, x)
	level := slog.LevelInfo
	attrs := []slog.Attr{slog.String("request", requestID(ctx, in.RequestContext.RequestID)),
		slog.String("route", pattern), slog.Int("status", w.status), slog.Duration("took", time.Since(start))}
	if x.kind != "" {
		attrs = append(attrs, slog.String("kind", x.kind))
	}
	if x.cause != "" {
		level = slog.LevelError
		attrs = append(attrs, slog.String("cause", x.cause))
	}
	h.log.LogAttrs(ctx, level, "request", attrs...)
	return w.response()
}

// serve finds the operation and runs it. It returns the route's pattern, the
// only trace of the path that may be logged.
func (h *Handler) serve(ctx context.Context, w *recorder, in *events.APIGatewayV2HTTPRequest, x *exchange) (pattern string) {
	defer func() {
		if r := recover(); r != nil {
			x.cause = h.panicked(ctx, r).Error()
			x.kind = string(problem.Internal)
			w.reset()
			writeProblem(w, problem.Internal, problem.MessageOf(nil))
		}
	}()
	refuse := func(kind problem.Kind, detail string) string {
		x.kind = string(kind)
		writeProblem(w, kind, detail)
		return "none"
	}
	if !plainPath(in.RawPath) {
		return refuse(problem.NotFound, noOperation)
	}
	r, err := toRequest(ctx, in)
	if err != nil {
		return refuse(problem.KindOf(err), problem.MessageOf(err))
	}
	// The mux's own answers (not found, method not allowed, redirect to a
	// cleaned path) are plain text or repeat the path; only its operations run,
	// and only by their own method: a HEAD is not a GET that nobody declared.
	if _, pattern = h.mux.Handler(r); !strings.HasPrefix(pattern, r.Method+" ") {
		return refuse(problem.NotFound, noOperation)
	}
	h.mux.ServeHTTP(w, r)
	return pattern
}

const noOperation = "there is no such operation; see the API description"

func writeProblem(w http.ResponseWriter, kind problem.Kind, detail string) {
	p := newProblem(kind, detail)
	w.Header().Set("Content-Type", p.ContentType(""))
	if kind == problem.Unavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(p.Status)
	// A Problem holds five plain fields; encoding it cannot fail.
	json.NewEncoder(w).Encode(p)
}

// panicked logs where a panic came from. The panic's value is logged only when
// the runtime made it: any other may hold content.
func (h *Handler) panicked(ctx context.Context, value any) error {
	what := fmt.Sprintf("panic of type %T", value)
	if e, ok := value.(runtime.Error); ok {
		what = e.Error()
	}
	h.log.LogAttrs(ctx, slog.LevelError, "panic", slog.String("what", what), slog.String("stack", string(debug.Stack())))
	return errors.New(what)
}

// requestID prefers Lambda's id, which its own log lines carry, to the gateway's.
func requestID(ctx context.Context, gateway string) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return gateway
}
