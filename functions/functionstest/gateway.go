package functionstest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"arca.example/arca/shared/local"
	"github.com/aws/aws-lambda-go/events"
)

// RoundTrip takes a call to a party or the witness without a network; object stores of real engines are reached over theirs.
func (w *World) RoundTrip(r *http.Request) (*http.Response, error) {
	host, _, isParty := strings.Cut(r.URL.Host, ".test")
	if !isParty {
		return http.DefaultTransport.RoundTrip(r)
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	// A server does not see the client's own request.
	in := r.Clone(r.Context())
	in.RequestURI, in.Host = r.URL.RequestURI(), r.URL.Host
	out := httptest.NewRecorder()
	switch {
	case host == "witness" && w.witness != nil:
		w.witness.ServeHTTP(out, in)
	case w.muxes[host] != nil:
		w.checkHeaders(in)
		w.muxes[host].ServeHTTP(out, in)
	case strings.HasPrefix(host, "authority-"):
		for _, a := range w.Authorities {
			if a.Name == host {
				a.ServeHTTP(out, in)
			}
		}
	default:
		return nil, fmt.Errorf("nobody listens at %s", r.URL.Host)
	}
	return out.Result(), nil
}

// gateway is API Gateway: request to event, answer to response.
func (w *World) gateway(out http.ResponseWriter, in *http.Request, party string, f *local.Function, r local.Route) {
	body, err := io.ReadAll(in.Body)
	w.must(err)
	payload, err := json.Marshal(w.event(in, r, body))
	w.must(err)
	what := party + " " + r.Pattern
	w.checkEvent(what, payload)
	if w.capture != nil {
		w.capture(payload)
		out.WriteHeader(http.StatusTeapot)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(in.Context()), f.Timeout)
	defer cancel()
	raw, err := w.calls[party][f.Name](ctx, payload)
	if err != nil {
		w.T.Errorf("%s: an HTTP request must always be answered: %v", what, err)
		out.WriteHeader(http.StatusBadGateway)
		return
	}
	w.checkAnswer(what, raw)
	var answer events.APIGatewayV2HTTPResponse
	w.must(json.Unmarshal(raw, &answer))
	content := []byte(answer.Body)
	if answer.IsBase64Encoded {
		content, err = base64.StdEncoding.DecodeString(answer.Body)
		w.must(err)
	}
	for name, value := range answer.Headers {
		out.Header().Set(name, value)
	}
	out.WriteHeader(answer.StatusCode)
	out.Write(content)
}

var wildcard = regexp.MustCompile(`\{([^}.]+)(?:\.\.\.)?\}`)

// event is the payload, format 2.0, that API Gateway makes of a request.
func (w *World) event(r *http.Request, route local.Route, body []byte) *events.APIGatewayV2HTTPRequest {
	in := &events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: route.Method + " " + route.Path, RawPath: r.URL.EscapedPath(), RawQueryString: r.URL.RawQuery,
		Headers: map[string]string{"host": r.Host}, QueryStringParameters: map[string]string{}, PathParameters: map[string]string{},
	}
	for name, values := range r.Header {
		in.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for name, values := range r.URL.Query() {
		in.QueryStringParameters[name] = strings.Join(values, ",")
	}
	for _, m := range wildcard.FindAllStringSubmatch(route.Pattern, -1) {
		in.PathParameters[m[1]] = r.PathValue(m[1])
	}
	now := w.Options.Now().UTC()
	c := &in.RequestContext
	c.RouteKey, c.Stage, c.DomainName, c.TimeEpoch, c.RequestID = in.RouteKey, "$default", r.Host, now.UnixMilli(), "fictitious-request"
	c.Time = now.Format("02/Jan/2006:15:04:05 -0700")
	c.HTTP.Method, c.HTTP.Path, c.HTTP.Protocol, c.HTTP.SourceIP, c.HTTP.UserAgent = r.Method, r.URL.Path, "HTTP/1.1", "192.0.2.1", r.UserAgent()
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && (strings.HasPrefix(kind, "text/") || kind == "application/json") && utf8.Valid(body) {
		in.Body = string(body)
	} else {
		in.Body, in.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), len(body) > 0
	}
	return in
}

// Event gives the payload that the call of f would deliver, without delivering it.
func (w *World) Event(f func() error) []byte {
	w.T.Helper()
	var payload []byte
	w.capture = func(p []byte) { payload = p }
	defer func() { w.capture = nil }()
	if err := f(); err == nil || payload == nil {
		w.T.Fatalf("no call to a party was made: %v", err)
	}
	return payload
}

// Invoke delivers a payload to a function, as Lambda would.
func (w *World) Invoke(party, function string, payload []byte) ([]byte, error) {
	f, ok := w.plans[party].Function(function)
	if !ok {
		return nil, fmt.Errorf("the %s has no function %s", party, function)
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.Timeout)
	defer cancel()
	return w.calls[party][f.Name](ctx, payload)
}

// delivery is one that was accepted and has not run yet.
type delivery struct {
	party, function string
	payload         string
}

// deliveries are asynchronous invocations. Equal ones that wait are one: all of ours are "run soon".
type deliveries struct {
	mu      sync.Mutex
	waiting []delivery
	dead    int
}

// Deliver accepts an asynchronous invocation.
func (w *World) Deliver(party, function string, payload []byte) error {
	f, ok := w.plans[party].Function(function)
	if !ok {
		return fmt.Errorf("the %s has no function %s", party, function)
	}
	if len(payload) > maxAsync {
		w.T.Errorf("%s: an asynchronous event has %d bytes; Lambda takes %d", function, len(payload), maxAsync)
	}
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	if d := (delivery{party, f.Name, string(payload)}); !slices.Contains(w.queue.waiting, d) {
		w.queue.waiting = append(w.queue.waiting, d)
	}
	return nil
}

// Drain runs what was accepted, each at most three times as Lambda does; what fails to the end is a dead letter.
func (w *World) Drain() {
	for {
		w.queue.mu.Lock()
		if len(w.queue.waiting) == 0 {
			w.queue.mu.Unlock()
			return
		}
		d := w.queue.waiting[0]
		w.queue.waiting = w.queue.waiting[1:]
		w.queue.mu.Unlock()
		var err error
		for range 3 {
			if _, err = w.Invoke(d.party, d.function, []byte(d.payload)); err == nil {
				break
			}
		}
		if err != nil {
			w.queue.mu.Lock()
			w.queue.dead++
			w.queue.mu.Unlock()
		}
	}
}

// Forget drops what was accepted and has not run, as when Lambda's queue expires.
func (w *World) Forget() {
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	w.queue.waiting = nil
}

// DeadLetters counts deliveries that failed to the end.
func (w *World) DeadLetters() int {
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	return w.queue.dead
}

// Tick lets a schedule of a function come due, with the payload that the template gives it.
func (w *World) Tick(party, function string) {
	w.T.Helper()
	f, ok := w.plans[party].Function(function)
	if !ok || len(f.Schedules) == 0 {
		w.T.Fatalf("%s has no schedule at the %s", function, party)
	}
	w.must(w.Try(func() error { _, err := w.Invoke(party, function, f.Schedules[0].Input); return err }))
	w.Drain()
}

// ObjectCreated tells the functions that want to know of an object, as EventBridge does.
func (w *World) ObjectCreated(key string, size int64) {
	w.T.Helper()
	payload := CreatedEvent(key, size)
	for i := range w.plans["vault"].Functions {
		f := &w.plans["vault"].Functions[i]
		if slices.ContainsFunc(f.Created, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
			w.must(w.Deliver("vault", f.Name, payload))
		}
	}
	w.Drain()
}

// CreatedEvent is S3's notice through EventBridge.
func CreatedEvent(key string, size int64) []byte {
	raw, err := json.Marshal(map[string]any{
		"version": "0", "id": "00000000-0000-0000-0000-000000000000", "detail-type": "Object Created", "source": "aws.s3",
		"account": "000000000000", "region": "eu-south-2", "time": "2031-01-13T09:00:00Z", "resources": []string{"arn:aws:s3:::fiction"},
		"detail": map[string]any{
			"version": "0", "bucket": map[string]any{"name": "fiction"}, "reason": "PutObject", "requester": "000000000000",
			"object": map[string]any{"key": key, "size": size, "etag": "", "sequencer": "00"},
		},
	})
	if err != nil {
		panic(err) // plain values always marshal
	}
	return raw
}

// Functions lists the functions of a party by Handler name.
func (w *World) Functions(party string) []string {
	return slices.Sorted(maps.Keys(w.calls[party]))
}
