package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"arca.example/arca/shared/edge"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hostTemplate = `
Globals: { Function: { Timeout: 5 } }
Resources:
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      Handler: echo
      Events:
        Post: { Type: HttpApi, Properties: { Method: POST, Path: "/v1/echo/{number}", PayloadFormatVersion: "2.0" } }
        Tail: { Type: HttpApi, Properties: { Method: GET, Path: "/v1/tail/{path+}", PayloadFormatVersion: "2.0" } }
  Clock:
    Type: AWS::Serverless::Function
    Properties:
      Handler: clock
      Events:
        Minute: { Type: ScheduleV2, Properties: { ScheduleExpression: rate(1 minute), Input: '{"arca":"tick"}' } }
        Friday: { Type: ScheduleV2, Properties: { ScheduleExpression: cron(0 12 ? * FRI *), Input: '{"arca":"asked"}' } }
        New: { Type: EventBridgeRule, Properties: { Pattern: { source: [aws.s3], detail-type: [Object Created], detail: { object: { key: [{ prefix: pack/ }] } } } } }
`

// syncBuffer is a log that a test reads while the host writes.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// echo answers with what it got, through the real edge.
func echo(t *testing.T) Call {
	h, err := edge.NewHandler(&edge.Function{Name: "echo", Routes: func(api huma.API) {
		type output struct {
			ContentType string `header:"Content-Type"`
			Body        []byte
		}
		huma.Register(api, huma.Operation{OperationID: "echo", Method: "POST", Path: "/v1/echo/{number}"}, func(_ context.Context, in *struct {
			Number  int    `path:"number"`
			Many    string `header:"Many"`
			Cookie  string `cookie:"a"`
			RawBody []byte
		}) (*output, error) {
			return &output{"application/octet-stream", fmt.Appendf(nil, "%d|%s|%s|%s", in.Number, in.Many, in.Cookie, in.RawBody)}, nil
		})
		huma.Register(api, huma.Operation{OperationID: "tail", Method: "GET", Path: "/v1/tail/{path...}"}, func(_ context.Context, in *struct {
			edge.Target
			Path string `path:"path"`
			From int    `query:"from"`
		}) (*output, error) {
			return &output{"text/plain", []byte(in.Path + "|" + in.URI())}, nil
		})
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return h.Invoke
}

func nothing(context.Context, []byte) ([]byte, error) { return nil, nil }

// start runs a host of hostTemplate and closes it with the test.
func start(t *testing.T, change func(*Options)) (*Host, *syncBuffer, *syncBuffer) {
	t.Helper()
	plan, err := Load([]byte(hostTemplate), "vault", nil)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	access, log := &syncBuffer{}, &syncBuffer{}
	o := Options{Plan: plan, Functions: map[string]Call{"echo": echo(t), "clock": nothing}, Listener: listener, AccessLog: access, Log: slog.New(slog.NewJSONHandler(log, nil))}
	if change != nil {
		change(&o)
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return h, access, log
}

func do(t *testing.T, method, url string, header http.Header, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b
}

func TestRequestsReachFunctionsAsOnLambda(t *testing.T) {
	h, _, _ := start(t, nil)
	header := http.Header{"Many": {"1", "2"}, "Cookie": {"a=x; b=y"}, "Content-Type": {"application/octet-stream"}}
	status, body := do(t, "POST", h.URL()+"/v1/echo/7", header, []byte{0xff, 0x00, 'z'})
	if status != 200 || string(body) != "7|1,2|x|\xff\x00z" {
		t.Errorf("%d %q", status, body)
	}
	status, body = do(t, "GET", h.URL()+"/v1/tail/0/x001/000.p/5?from=3", nil, nil)
	if status != 200 || string(body) != "0/x001/000.p/5|/v1/tail/0/x001/000.p/5?from=3" {
		t.Errorf("%d %q", status, body)
	}
	big := bytes.Repeat([]byte("a"), edge.MaxBody)
	if status, body = do(t, "POST", h.URL()+"/v1/echo/7", nil, big); status != 200 || len(body) != len(big)+len("7|||") {
		t.Errorf("a body of exactly the limit: %d, %d bytes", status, len(body))
	}
	if status, body = do(t, "POST", h.URL()+"/v1/echo/7", nil, append(big, 'a')); status != 400 || !bytes.Contains(body, []byte("1 MiB")) {
		t.Errorf("a body above the limit: %d %s", status, body)
	}
}

func TestWhatNoRouteTakes(t *testing.T) {
	h, access, _ := start(t, nil)
	for _, c := range []struct{ method, path string }{{"GET", "/"}, {"GET", "/v1/echo/7"}, {"HEAD", "/v1/tail/x"}, {"POST", "/v1/echo/7/"}, {"POST", "/v1//echo/7"}, {"POST", "/v1/x/../echo/7"}, {"DELETE", "/v1/echo/7"}} {
		if status, _ := do(t, c.method, h.URL()+c.path, nil, nil); status != 404 {
			t.Errorf("%s %s: %d", c.method, c.path, status)
		}
	}
	if n := strings.Count(access.String(), "\n"); n != 7 {
		t.Errorf("%d of 7 requests are in the access log", n)
	}
}

func TestTheAccessLogHasEverything(t *testing.T) {
	objects := http.NewServeMux()
	objects.HandleFunc("PUT /objects/{key...}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		r.Header.Del("Secret")
		fmt.Fprint(w, n)
	})
	objects.HandleFunc("POST /objects/panic", func(http.ResponseWriter, *http.Request) { panic("canary") })
	h, access, log := start(t, func(o *Options) { o.Mounts = map[string]http.Handler{"/objects/": objects} })
	do(t, "POST", h.URL()+"/v1/echo/7?x=canaryquery", http.Header{"Canary": {"canaryheader"}}, []byte("canarybody"))
	status, body := do(t, "PUT", h.URL()+"/objects/pack/1?sig=canarysig", http.Header{"Secret": {"canarysecret"}}, bytes.Repeat([]byte("a"), 2<<20))
	if status != 200 || string(body) != fmt.Sprint(2<<20) {
		t.Errorf("the mount: %d %s", status, body)
	}
	req, _ := http.NewRequest("POST", h.URL()+"/objects/panic", strings.NewReader("x"))
	if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
		res.Body.Close()
		t.Error("a panic gave an answer")
	}
	var lines []accessLine
	for _, raw := range strings.Split(strings.TrimSpace(access.String()), "\n") {
		var line accessLine
		if err := json.Unmarshal([]byte(raw), &line); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		lines = append(lines, line)
	}
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	if l := lines[0]; l.Method != "POST" || l.URL != h.URL()+"/v1/echo/7?x=canaryquery" || l.Headers.Get("Canary") != "canaryheader" || l.Headers.Get("Host") == "" || l.Status != 400 || l.Response.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%+v", l)
	}
	if l := lines[1]; l.URL != h.URL()+"/objects/pack/1?sig=canarysig" || l.Headers.Get("Secret") != "canarysecret" || l.Status != 200 || l.Sent == 0 {
		t.Errorf("%+v", l)
	}
	if lines[2].Status != 500 || strings.Contains(log.String(), "canary") || strings.Contains(access.String(), "canarybody") {
		t.Errorf("%+v %s", lines[2], log.String())
	}
}

func TestABrokenFunctionIsAnsweredAsByTheGateway(t *testing.T) {
	for name, call := range map[string]Call{
		"error":     func(context.Context, []byte) ([]byte, error) { return nil, errors.New("canary") },
		"no JSON":   func(context.Context, []byte) ([]byte, error) { return []byte("x"), nil },
		"no status": func(context.Context, []byte) ([]byte, error) { return []byte("{}"), nil },
		"no base64": func(context.Context, []byte) ([]byte, error) {
			return []byte(`{"statusCode":200,"isBase64Encoded":true,"body":"!"}`), nil
		},
	} {
		h, _, _ := start(t, func(o *Options) { o.Functions["echo"] = call })
		if status, body := do(t, "POST", h.URL()+"/v1/echo/7", nil, nil); status != 500 || bytes.Contains(body, []byte("canary")) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

func TestObjectsAndCallsReachFunctions(t *testing.T) {
	got := make(chan string, 10)
	h, _, _ := start(t, func(o *Options) {
		o.Every = map[string]time.Duration{"clock": time.Hour}
		o.Functions["clock"] = func(ctx context.Context, payload []byte) ([]byte, error) {
			if lc, ok := lambdacontext.FromContext(ctx); !ok || lc.AwsRequestID == "" {
				t.Error("a call has no request id")
			}
			got <- string(payload)
			return nil, nil
		}
	})
	want := map[string]bool{`{"arca":"tick"}`: true, `{"arca":"asked"}`: true} // both schedules are due at the start
	for range 2 {
		delete(want, <-got)
	}
	if len(want) != 0 {
		t.Errorf("not delivered at the start: %v", want)
	}
	if err := h.ObjectCreated("tile/0/000", 5); err != nil {
		t.Error(err)
	}
	if err := h.ObjectCreated("pack/000000000001", 5); err != nil {
		t.Error(err)
	}
	if p := <-got; !strings.Contains(p, `"key":"pack/000000000001","size":5`) {
		t.Errorf("%s", p)
	}
	if err := h.Invoke(t.Context(), "Clock", edge.AskedPayload); err != nil {
		t.Error(err)
	}
	if p := <-got; p != string(edge.AskedPayload) {
		t.Errorf("%s", p)
	}
	if h.Invoke(t.Context(), "nobody", nil) == nil {
		t.Error("a function that is not there was called")
	}
}

// quiet makes a host without a running server, for tests in fake time.
func quiet(t *testing.T, clock Call, every map[string]time.Duration) *Host {
	plan, err := Load([]byte(hostTemplate), "vault", nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(Options{Plan: plan, Functions: map[string]Call{"echo": nothing, "clock": clock}, Listener: fakeListener{}, AccessLog: io.Discard, Log: slog.New(slog.DiscardHandler), Every: every})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// fakeListener is a loopback listener on which nobody calls.
type fakeListener struct{}

func (fakeListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (fakeListener) Close() error              { return nil }
func (fakeListener) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func TestSchedulesKeepTheirRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ticks, fridays atomic.Int64
		h := quiet(t, func(_ context.Context, payload []byte) ([]byte, error) {
			if string(payload) == `{"arca":"tick"}` {
				ticks.Add(1)
			} else if at := time.Now().UTC(); at.Weekday() == time.Friday && at.Hour() == 12 && at.Minute() == 0 {
				fridays.Add(1)
			}
			return nil, nil
		}, nil)
		h.Start()
		time.Sleep(14*24*time.Hour + time.Second)
		synctest.Wait()
		if ticks.Load() != 14*24*60+1 || fridays.Load() != 2 {
			t.Errorf("%d ticks, %d Fridays", ticks.Load(), fridays.Load())
		}
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestARunNeverOverlapsItselfAndIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, runs atomic.Int64
		h := quiet(t, func(context.Context, []byte) ([]byte, error) {
			if running.Add(1) > 1 {
				t.Error("two runs of one delivery overlap")
			}
			time.Sleep(3 * time.Second)
			running.Add(-1)
			runs.Add(1)
			return nil, nil
		}, nil)
		for range 50 {
			if err := h.Invoke(t.Context(), "clock", edge.AskedPayload); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute)
		if runs.Load() != 2 {
			t.Errorf("asked 50 times while it ran once: %d runs, want the first and one more", runs.Load())
		}
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if h.Invoke(t.Context(), "clock", nil) == nil {
			t.Error("a call was accepted after Close")
		}
	})
}

func TestFailedDeliveriesAreRepeatedAndThenCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int64
		fail := int64(2)
		h := quiet(t, func(context.Context, []byte) ([]byte, error) {
			if attempts.Add(1) <= fail {
				return nil, errors.New("not yet")
			}
			return nil, nil
		}, nil)
		deliver := func() {
			if err := h.Invoke(t.Context(), "clock", edge.AskedPayload); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		}
		if deliver(); attempts.Load() != 3 || h.DeadLetters() != 0 {
			t.Errorf("%d attempts, %d dead", attempts.Load(), h.DeadLetters())
		}
		fail = 100
		if deliver(); attempts.Load() != 6 || h.DeadLetters() != 1 {
			t.Errorf("%d attempts, %d dead", attempts.Load(), h.DeadLetters())
		}
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestCallsAreCutOffAtTheirTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var took time.Duration
		h := quiet(t, func(ctx context.Context, _ []byte) ([]byte, error) {
			start := time.Now()
			<-ctx.Done()
			took = time.Since(start)
			return nil, nil
		}, nil)
		if _, err := h.call(context.Background(), "clock", nil); err != nil || took != 5*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		h.Close(t.Context())
	})
}

func TestAHostIsRefused(t *testing.T) {
	plan, _ := Load([]byte(hostTemplate), "vault", nil)
	good := Options{Plan: plan, Functions: map[string]Call{"echo": nothing, "clock": nothing}, Listener: fakeListener{}, AccessLog: io.Discard, Log: slog.New(slog.DiscardHandler)}
	for name, change := range map[string]func(*Options){
		"no plan":       func(o *Options) { o.Plan = nil },
		"no access log": func(o *Options) { o.AccessLog = nil },
		"no function":   func(o *Options) { o.Functions = map[string]Call{"echo": nothing} },
		"public":        func(o *Options) { o.Listener = public{} },
		"rhythm":        func(o *Options) { o.Every = map[string]time.Duration{"nobody": 1} },
		"mount":         func(o *Options) { o.Mounts = map[string]http.Handler{"/objects": http.NotFoundHandler()} },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

type public struct{ fakeListener }

func (public) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }
