package edge

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/danielgtaylor/huma/v2"
)

type deepInput struct {
	Number int64     `path:"number" minimum:"1" maximum:"99"`
	From   int       `query:"from" minimum:"0"`
	Until  time.Time `query:"until"`
	Tags   []int     `query:"tags"`
	Seal   string    `header:"Arca-Seal" maxLength:"8" pattern:"^[a-z]*$"`
	Body   struct {
		Name   string         `json:"name" maxLength:"5" pattern:"^[a-z]+$"`
		Mail   string         `json:"mail,omitempty" format:"email"`
		Link   string         `json:"link,omitempty" format:"uri"`
		ID     string         `json:"id,omitempty" format:"uuid"`
		When   string         `json:"when,omitempty" format:"date-time"`
		Lasts  string         `json:"lasts,omitempty" format:"duration"`
		Match  string         `json:"match,omitempty" format:"regex"`
		Kind   string         `json:"kind,omitempty" enum:"a,b"`
		Count  int            `json:"count,omitempty" multipleOf:"2"`
		Flag   bool           `json:"flag,omitempty"`
		Raw    []byte         `json:"raw,omitempty"`
		Items  []int          `json:"items,omitempty" maxItems:"2" uniqueItems:"true"`
		Nested map[string]int `json:"nested,omitempty"`
	}
}

type rawInput struct {
	Target
	RawBody []byte `contentType:"application/jose"`
}

type rawOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

type tailInput struct {
	Path string `path:"path"`
}

type emptyOutput struct{}

// testFunction has an operation for each way that a request can go.
func testFunction() *Function {
	return &Function{
		Name: "sample",
		Routes: func(api huma.API) {
			huma.Register(api, huma.Operation{OperationID: "deep", Method: "POST", Path: "/v1/deep/{number}"},
				func(context.Context, *deepInput) (*emptyOutput, error) { return &emptyOutput{}, nil })
			huma.Register(api, huma.Operation{OperationID: "raw", Method: "POST", Path: "/v1/raw"},
				func(_ context.Context, in *rawInput) (*rawOutput, error) {
					return &rawOutput{ContentType: "application/octet-stream", Body: bytes.Clone(in.RawBody)}, nil
				})
			huma.Register(api, huma.Operation{OperationID: "target", Method: "GET", Path: "/v1/target"},
				func(_ context.Context, in *struct {
					Target
					From int `query:"from"`
				}) (*rawOutput, error) {
					return &rawOutput{ContentType: "text/plain", Body: []byte(in.Method() + " " + in.URI())}, nil
				})
			huma.Register(api, huma.Operation{OperationID: "tail", Method: "GET", Path: "/v1/tail/{path...}"},
				func(_ context.Context, in *tailInput) (*rawOutput, error) {
					return &rawOutput{ContentType: "text/plain", Body: []byte(in.Path)}, nil
				})
			huma.Register(api, huma.Operation{OperationID: "fail", Method: "POST", Path: "/v1/fail/{kind}"}, fail)
		},
		Event: func(_ context.Context, e Event) error {
			if e.Kind == Created && e.Size == 0 {
				return problem.New(problem.Invalid, "empty object")
			}
			return nil
		},
	}
}

// fail fails the way that its path says; the body is the canary that a careless
// function puts into its cause.
func fail(_ context.Context, in *struct {
	Kind    string `path:"kind"`
	RawBody []byte
}) (*emptyOutput, error) {
	switch in.Kind {
	case "plain":
		return nil, errors.New("the disk said no")
	case "panic":
		panic(string(in.RawBody))
	case "runtime":
		var none []int
		_ = none[len(in.RawBody)]
	case "invalid", "denied":
		return nil, fmt.Errorf("wrapped: %w", problem.Wrap(problem.Kind(in.Kind), errors.New(string(in.RawBody)), "do it otherwise"))
	}
	return nil, problem.Wrap(problem.Kind(in.Kind), errors.New("dial 192.0.2.7"), "do it otherwise")
}

type answer struct {
	events.APIGatewayV2HTTPResponse
	body []byte
	log  string
}

// send delivers one HTTP request to a fresh handler of the sample function.
func send(t testing.TB, method, path, query string, header map[string]string, body []byte) answer {
	t.Helper()
	return sendTo(t, testFunction(), httpEvent(method, path, query, header, body))
}

func httpEvent(method, path, query string, header map[string]string, body []byte) *events.APIGatewayV2HTTPRequest {
	in := &events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: path, RawQueryString: query, Headers: map[string]string{"host": "sample.example"},
		Body: base64.StdEncoding.EncodeToString(body), IsBase64Encoded: true}
	in.RequestContext.HTTP.Method, in.RequestContext.RequestID = method, "request-1"
	for k, v := range header {
		in.Headers[k] = v
	}
	return in
}

func sendTo(t testing.TB, fn *Function, in *events.APIGatewayV2HTTPRequest) answer {
	t.Helper()
	var log bytes.Buffer
	h, err := NewHandler(fn, Log(&log))
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := json.Marshal(in)
	out, err := h.Invoke(t.Context(), payload)
	if err != nil {
		t.Fatalf("an HTTP request was not answered: %v", err)
	}
	var a answer
	if err := json.Unmarshal(out, &a.APIGatewayV2HTTPResponse); err != nil {
		t.Fatal(err)
	}
	a.body, a.log = []byte(a.Body), log.String()
	if a.IsBase64Encoded {
		if a.body, err = base64.StdEncoding.DecodeString(a.Body); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

const canary = "canaryQ7x"

// canaryRequests has a canary in every place that a request has, and a request
// for every kind of refusal.
func canaryRequests() map[string]*events.APIGatewayV2HTTPRequest {
	jsonType := map[string]string{"content-type": "application/json"}
	deep := func(path, query string, header map[string]string, body string) *events.APIGatewayV2HTTPRequest {
		h := map[string]string{"content-type": "application/json"}
		for k, v := range header {
			h[k] = v
		}
		return httpEvent("POST", path, query, h, []byte(body))
	}
	good := `{"name":"a"}`
	requests := map[string]*events.APIGatewayV2HTTPRequest{
		"unknown path":          httpEvent("GET", "/v1/"+canary, "", nil, nil),
		"escaped path":          httpEvent("GET", "/v1/%41"+canary, "", nil, nil),
		"unclean path":          httpEvent("GET", "/v1//tail/../"+canary, "", nil, nil),
		"trailing slash":        httpEvent("GET", "/v1/deep/"+canary+"/", "", nil, nil),
		"wrong method":          httpEvent("DELETE", "/v1/deep/"+canary, "", nil, nil),
		"made-up method":        httpEvent(canary, "/v1/deep/7", "", nil, nil),
		"impossible method":     httpEvent(canary+" \n", "/v1/deep/7", "", nil, nil),
		"path value":            deep("/v1/deep/"+canary, "", nil, good),
		"query value":           deep("/v1/deep/7", "from="+canary, nil, good),
		"query time":            deep("/v1/deep/7", "until="+canary, nil, good),
		"query list":            deep("/v1/deep/7", "tags=1,"+canary, nil, good),
		"query name":            deep("/v1/deep/7", canary+"=1", nil, good),
		"query name with rule":  deep("/v1/deep/7", canary+"[required]=1", nil, good),
		"query broken":          deep("/v1/deep/7", "from=%zz"+canary, nil, good),
		"query fragment":        deep("/v1/deep/7", "from=1#"+canary, nil, good),
		"header value":          deep("/v1/deep/7", "", map[string]string{"arca-seal": canary}, good),
		"content type":          deep("/v1/deep/7", "", map[string]string{"content-type": "text/" + canary}, good),
		"content type of many":  deep("/v1/deep/7", "", map[string]string{"content-type": "a/b;" + canary + "=\""}, good),
		"accept":                deep("/v1/deep/"+canary, "", map[string]string{"accept": canary}, good),
		"body not JSON":         deep("/v1/deep/7", "", nil, canary),
		"body truncated":        deep("/v1/deep/7", "", nil, `{"name":"`+canary),
		"body duplicate":        deep("/v1/deep/7", "", nil, `{"`+canary+`":1,"`+canary+`":2}`),
		"body unknown property": deep("/v1/deep/7", "", nil, `{"name":"a","`+canary+`":1}`),
		"body nested name":      deep("/v1/deep/7", "", nil, `{"name":"a","nested":{"`+canary+`":"x"}}`),
		"body is a string":      deep("/v1/deep/7", "", nil, `"`+canary+`"`),
		"body is an array":      deep("/v1/deep/7", "", nil, `["`+canary+`"]`),
		"body too large":        deep("/v1/deep/7", "", nil, strings.Repeat(canary, MaxBody/len(canary)+1)),
		"panic value":           httpEvent("POST", "/v1/fail/panic", "", nil, []byte(canary)),
		"invalid cause":         httpEvent("POST", "/v1/fail/invalid", "", nil, []byte(canary)),
		"denied cause":          httpEvent("POST", "/v1/fail/denied", "", nil, []byte(canary)),
		"unknown kind":          httpEvent("POST", "/v1/fail/"+canary, "", jsonType, nil),
	}
	for _, field := range []string{"mail", "link", "id", "when", "lasts", "match", "kind", "count", "flag", "raw", "items", "nested", "name"} {
		value := `"` + canary + `("`
		if field == "items" {
			value = `["` + canary + `",1,1]`
		}
		if field == "link" {
			value = `"http://` + canary + `:port%zz"`
		}
		rest := `,"name":"a"`
		if field == "name" {
			rest = ""
		}
		requests["body field "+field] = deep("/v1/deep/7", "", nil, `{"`+field+`":`+value+rest+`}`)
	}
	return requests
}

func TestNoRefusedValueComesBackOrIsLogged(t *testing.T) {
	for name, in := range canaryRequests() {
		a := sendTo(t, testFunction(), in)
		if a.StatusCode < 400 {
			t.Errorf("%s: accepted with %d: the case tests nothing", name, a.StatusCode)
		}
		headers := fmt.Sprint(a.Headers, a.Cookies)
		for where, text := range map[string]string{"body": string(a.body), "header": headers, "log": a.log} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(canary)) {
				t.Errorf("%s: the canary is in the %s: %s", name, where, text)
			}
		}
		var p Problem
		if err := json.Unmarshal(a.body, &p); err != nil || p.Detail == "" || p.Kind == "" || p.Status != a.StatusCode || p.Title == "" || p.Type == "" {
			t.Errorf("%s: not a problem: %s", name, a.body)
		}
		if a.Headers["content-type"] != "application/problem+json" {
			t.Errorf("%s: content type %q", name, a.Headers["content-type"])
		}
	}
}

// The weakened twin: with an error constructor that keeps huma's messages and
// values, the same search finds canaries. Without this the search could be blind.
func TestTheCanarySearchSeesAnEchoingEdge(t *testing.T) {
	keep, keepCtx := huma.NewError, huma.NewErrorWithContext
	defer func() { huma.NewError, huma.NewErrorWithContext = keep, keepCtx }()
	huma.NewErrorWithContext = func(_ huma.Context, status int, msg string, errs ...error) huma.StatusError {
		p := newProblem(problem.Invalid, fmt.Sprint(msg, errs))
		p.Status = status
		return p
	}
	found := map[string]bool{}
	for name, in := range canaryRequests() {
		if bytes.Contains(sendTo(t, testFunction(), in).body, []byte(canary)) {
			found[strings.Fields(name)[0]] = true
		}
	}
	for _, where := range []string{"path", "query", "header", "body", "content"} {
		if !found[where] {
			t.Errorf("an echo of a value in the %s would not be seen", where)
		}
	}
}

func TestEveryKindHasItsStatus(t *testing.T) {
	want := map[string]int{"invalid": 400, "denied": 403, "not-found": 404, "conflict": 409, "gone": 410, "unavailable": 503, "internal": 500, "plain": 500, "panic": 500, "runtime": 500}
	for kind, status := range want {
		a := send(t, "POST", "/v1/fail/"+kind, "", nil, []byte("x"))
		if a.StatusCode != status {
			t.Errorf("%s: %d %s", kind, a.StatusCode, a.body)
		}
		if (a.Headers["retry-after"] != "") != (kind == "unavailable") {
			t.Errorf("%s: Retry-After %q", kind, a.Headers["retry-after"])
		}
		if bytes.Contains(a.body, []byte("192.0.2.7")) || bytes.Contains(a.body, []byte("disk")) {
			t.Errorf("%s: the caller sees the cause: %s", kind, a.body)
		}
	}
	if len(outcomes) != 7 || StatusOf("made up") != 500 {
		t.Error("the table does not have the seven kinds")
	}
}

func TestTheLogHasTheCauseOfOurFailures(t *testing.T) {
	for kind, cause := range map[string]string{"unavailable": "192.0.2.7", "internal": "192.0.2.7", "plain": "the disk said no", "runtime": "index out of range"} {
		a := send(t, "POST", "/v1/fail/"+kind, "", nil, []byte("x"))
		if !strings.Contains(a.log, cause) {
			t.Errorf("%s: the log does not say why: %s", kind, a.log)
		}
		for _, part := range []string{`"request":"request-1"`, `"function":"sample"`, `"route":"POST /v1/fail/{kind}"`, `"status":`, `"took":`, `"kind":`} {
			if !strings.Contains(a.log, part) {
				t.Errorf("%s: the log line has no %s: %s", kind, part, a.log)
			}
		}
	}
}

func TestAProblemSaysWhatToDo(t *testing.T) {
	jsonType := map[string]string{"content-type": "application/json"}
	for body, want := range map[string]string{
		`{}`:                        "expected required property name to be present",
		`{"name":"abcdefg"}`:        "expected length <= 5",
		`{"name":"a","kind":"c"}`:   "expected value to be one of",
		`{"name":"a","mail":"zzz"}`: "does not have the form",
	} {
		if a := send(t, "POST", "/v1/deep/7", "", jsonType, []byte(body)); !bytes.Contains(a.body, []byte(want)) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	if a := send(t, "POST", "/v1/deep/x", "", jsonType, []byte(`{"name":"a"}`)); !bytes.Contains(a.body, []byte("path number: invalid integer")) {
		t.Errorf("the parameter is not named: %s", a.body)
	}
}

func TestBodiesUpToTheLimit(t *testing.T) {
	for size, status := range map[int]int{0: 400, 1: 200, MaxBody: 200, MaxBody + 1: 400, MaxBody + 9: 400} {
		if a := send(t, "POST", "/v1/raw", "", nil, bytes.Repeat([]byte{0xfe}, size)); a.StatusCode != status {
			t.Errorf("%d bytes: %d, want %d", size, a.StatusCode, status)
		}
	}
	in := httpEvent("POST", "/v1/raw", "", nil, nil)
	in.Body, in.IsBase64Encoded = strings.Repeat("a", MaxBody+1), false
	if a := sendTo(t, testFunction(), in); a.StatusCode != 400 {
		t.Errorf("an oversized text body: %d", a.StatusCode)
	}
	in.Body, in.IsBase64Encoded = "not base64!", true
	if a := sendTo(t, testFunction(), in); a.StatusCode != 400 {
		t.Errorf("broken base64: %d", a.StatusCode)
	}
}

func TestBinaryGoesThroughUnchanged(t *testing.T) {
	for _, body := range [][]byte{{0, 1, 0xff, 0xfe}, []byte("plain"), []byte("\xc3\x28")} {
		a := send(t, "POST", "/v1/raw", "", map[string]string{"content-type": "application/jose"}, body)
		if !bytes.Equal(a.body, body) || !a.IsBase64Encoded {
			t.Errorf("%x came back as %x", body, a.body)
		}
	}
	if a := send(t, "GET", "/v1/tail/x001/7.p/3", "", nil, nil); a.Body != "x001/7.p/3" || a.IsBase64Encoded {
		t.Errorf("tail: %q", a.Body)
	}
}

func TestTargetIsTheRequestAsSent(t *testing.T) {
	a := send(t, "GET", "/v1/target", "from=%37", nil, nil)
	if a.Body != "GET /v1/target?from=%37" {
		t.Fatalf("%q", a.Body)
	}
}

func TestCookiesAndHeadersReachTheOperation(t *testing.T) {
	fn := &Function{Name: "cookies", Routes: func(api huma.API) {
		huma.Register(api, huma.Operation{OperationID: "c", Method: "GET", Path: "/c"}, func(_ context.Context, in *struct {
			A    string   `cookie:"a"`
			B    string   `cookie:"b"`
			Many []string `header:"Many"`
		}) (*struct {
			SetCookie []http.Cookie `header:"Set-Cookie"`
			Body      []string
		}, error) {
			return &struct {
				SetCookie []http.Cookie `header:"Set-Cookie"`
				Body      []string
			}{[]http.Cookie{{Name: "x", Value: "1"}, {Name: "y", Value: "2"}}, append([]string{in.A, in.B}, in.Many...)}, nil
		})
	}}
	in := httpEvent("GET", "/c", "", map[string]string{"many": "1,2"}, nil)
	in.Cookies = []string{"a=1", "b=2"}
	a := sendTo(t, fn, in)
	if strings.TrimSpace(a.Body) != `["1","2","1","2"]` || len(a.Cookies) != 2 {
		t.Fatalf("%s %v", a.Body, a.Cookies)
	}
}

func TestEvents(t *testing.T) {
	var log bytes.Buffer
	var got Event
	fn := testFunction()
	inner := fn.Event
	fn.Event = func(ctx context.Context, e Event) error { got = e; return inner(ctx, e) }
	h, _ := NewHandler(fn, Log(&log))
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "lambda-1"})
	created := `{"version":"0","id":"e","detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"b"},"object":{"key":"pack/000000000007","size":%d},"request-id":"r"}}`
	for payload, want := range map[string]Event{
		`{"arca":"tick"}`:  {Kind: Tick},
		`{"arca":"asked"}`: {Kind: Asked},
		`{"version":"0","source":"aws.scheduler","detail-type":"Scheduled Event"}`: {Kind: Tick},
		fmt.Sprintf(created, 5): {Kind: Created, Key: "pack/000000000007", Size: 5},
	} {
		got = Event{}
		if _, err := h.Invoke(ctx, []byte(payload)); err != nil || got != want {
			t.Errorf("%s: %+v %v", payload, got, err)
		}
	}
	if _, err := h.Invoke(ctx, fmt.Appendf(nil, created, 0)); err == nil {
		t.Error("a failed event was taken as done: it would never be repeated")
	}
	for _, bad := range []string{``, `[]`, `{}`, `{"arca":"other"}`, `{"source":"aws.s3","detail-type":"Object Deleted"}`, `{"source":"aws.s3","arca":"tick"}`, `{"version":"1.0","httpMethod":"GET"}`} {
		if _, err := h.Invoke(ctx, []byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if strings.Contains(log.String(), "pack/") || !strings.Contains(log.String(), "lambda-1") {
		t.Errorf("the log: %s", log.String())
	}
}

func TestNumbersOfAnEventAreLogged(t *testing.T) {
	var log bytes.Buffer
	h, _ := NewHandler(&Function{Name: "n", Event: func(ctx context.Context, _ Event) error {
		Count(ctx, "damaged", 3)
		return nil
	}}, Log(&log))
	if _, err := h.Invoke(t.Context(), []byte(`{"arca":"tick"}`)); err != nil || !strings.Contains(log.String(), `"damaged":3`) {
		t.Errorf("%v %s", err, log.String())
	}
	Count(t.Context(), "damaged", 3) // outside of an event it goes nowhere
}

func TestAPanickingEventIsAnError(t *testing.T) {
	var log bytes.Buffer
	h, _ := NewHandler(&Function{Name: "p", Event: func(context.Context, Event) error { panic(canary) }}, Log(&log))
	if _, err := h.Invoke(t.Context(), []byte(`{"arca":"tick"}`)); err == nil || strings.Contains(err.Error()+log.String(), canary) {
		t.Fatalf("%v %s", err, log.String())
	}
	h, _ = NewHandler(&Function{Name: "h", Routes: func(huma.API) {}}, slog.New(slog.DiscardHandler))
	if _, err := h.Invoke(t.Context(), []byte(`{"arca":"tick"}`)); err == nil {
		t.Fatal("an event that nobody handles vanished")
	}
}

func TestNothingElseIsServed(t *testing.T) {
	for _, path := range []string{"/openapi.json", "/openapi.yaml", "/docs", "/schemas/Problem.json", "/", ""} {
		if a := send(t, "GET", path, "", nil, nil); a.StatusCode != 404 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	a := send(t, "POST", "/v1/deep/7", "", map[string]string{"content-type": "application/json"}, []byte(`{"name":"A"}`))
	if bytes.Contains(a.body, []byte("$schema")) || a.Headers["link"] != "" {
		t.Errorf("schema links: %s %v", a.body, a.Headers)
	}
}

func TestOpenAPI(t *testing.T) {
	first, err := OpenAPI(testFunction())
	if err != nil {
		t.Fatal(err)
	}
	second, _ := OpenAPI(testFunction())
	if !bytes.Equal(first, second) {
		t.Fatal("two descriptions of the same functions differ")
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]any
	}
	if err := json.Unmarshal(first, &doc); err != nil || doc.OpenAPI != "3.1.0" || len(doc.Paths) != 5 || doc.Paths["/v1/tail/{path}"] == nil {
		t.Fatalf("%v %+v", err, doc)
	}
	if got := Routes(testFunction()); len(got) != 5 || got[3] != "GET /v1/tail/{path...}" {
		t.Fatalf("%v", got)
	}
}

func FuzzInvoke(f *testing.F) {
	for _, in := range canaryRequests() {
		if len(in.Body) < 4096 {
			b, _ := json.Marshal(in)
			f.Add(b)
		}
	}
	f.Add([]byte(`{"arca":"tick"}`))
	h, err := NewHandler(testFunction(), slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		out, err := h.Invoke(t.Context(), payload)
		if err == nil && len(out) > 0 && !json.Valid(out) {
			t.Fatalf("not JSON: %q", out)
		}
	})
}

// BenchmarkRegister measures what a cold start pays for huma: ten functions'
// worth of operations is far below the 10 ms to ready.
func BenchmarkRegister(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	for b.Loop() {
		if _, err := NewHandler(testFunction(), log); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTheFuzzCorpusIsThere(t *testing.T) {
	if cases, err := filepath.Glob("testdata/fuzz/FuzzInvoke/*"); err != nil || len(cases) < 2 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
}

func TestTheProofHeaderIsTheRecordsOwn(t *testing.T) {
	field, _ := reflect.TypeFor[Target]().FieldByName("Proof")
	if field.Tag.Get("header") != record.ProofHeader {
		t.Fatalf("the edge reads %q, callers send %q", field.Tag.Get("header"), record.ProofHeader)
	}
}
