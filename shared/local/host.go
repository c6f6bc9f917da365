package local

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Call is a function as Lambda calls it: edge.Handler.Invoke.
type Call func(ctx context.Context, payload []byte) ([]byte, error)

// Options say what a Host runs. Plan, Functions, Listener, AccessLog and Log
// are required.
type Options struct {
	Plan *Plan
	// Functions has a Call for every function of the plan, by Handler name.
	Functions map[string]Call
	// Listener must listen on the loopback interface. The host closes it.
	Listener net.Listener
	// Mounts serve what is not a function, by path prefix with a final slash,
	// as "/objects/". They share the access log and have no body limit.
	Mounts map[string]http.Handler
	// AccessLog receives one JSON line per request.
	AccessLog io.Writer
	Log       *slog.Logger
	// Every replaces the rhythm of a function's schedules, by Handler name: a
	// demonstration does not wait a minute.
	Every map[string]time.Duration
}

// Host runs one party's functions.
type Host struct {
	o       Options
	server  *http.Server
	ctx     context.Context // ends when Close begins: stops schedules and retries
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	jobs   map[string]*job // asynchronous deliveries that wait or run
	dead   int
	closed bool

	accessMu sync.Mutex
}

// job is one asynchronous delivery. The same delivery asked for again while it
// runs is run once more afterwards, however often it was asked for: what
// functions do on events is idempotent.
type job struct{ again bool }

// Asynchronous deliveries are tried as Lambda tries them, only sooner.
var retryDelays = []time.Duration{time.Second, 2 * time.Second}

// New checks the options and starts nothing.
func New(o Options) (*Host, error) {
	if o.Plan == nil || o.Listener == nil || o.AccessLog == nil || o.Log == nil {
		return nil, errors.New("a host needs a plan, a listener, an access log and a log")
	}
	if addr, ok := o.Listener.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		return nil, errors.New("the local parties listen on the loopback interface only; they have no TLS")
	}
	for _, f := range o.Plan.Functions {
		if o.Functions[f.Name] == nil {
			return nil, fmt.Errorf("the plan has a function %s that is not there", f.Name)
		}
	}
	for name := range o.Every {
		if _, ok := o.Plan.Function(name); !ok {
			return nil, fmt.Errorf("the rhythm of %s cannot be replaced: the plan has no such function", name)
		}
	}
	h := &Host{o: o, jobs: map[string]*job{}}
	handler, err := h.gateway()
	if err != nil {
		return nil, err
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.server = &http.Server{
		Handler:                      handler,
		ReadHeaderTimeout:            10 * time.Second,
		IdleTimeout:                  2 * time.Minute,
		MaxHeaderBytes:               64 << 10,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	return h, nil
}

// Start serves and schedules in the background until Close.
func (h *Host) Start() {
	h.running.Go(func() {
		if err := h.server.Serve(h.o.Listener); !errors.Is(err, http.ErrServerClosed) {
			h.o.Log.Error("the gateway stopped", "cause", err.Error())
		}
	})
	for _, f := range h.o.Plan.Functions {
		for _, s := range f.Schedules {
			// Load has parsed the expression already.
			e, _ := parseExpression(s.Expression)
			if d, ok := h.o.Every[f.Name]; ok {
				e = rate(d)
			}
			h.running.Go(func() { h.schedule(f.Name, s, e) })
		}
	}
}

// URL is the gateway's base URL.
func (h *Host) URL() string { return "http://" + h.o.Listener.Addr().String() }

// DeadLetters counts the asynchronous deliveries that failed to the end since Start.
func (h *Host) DeadLetters() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dead
}

// Close stops schedules, lets requests and functions finish until ctx ends, and
// then cuts them off. Deliveries that wait for a repetition are given up.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.stop()
	err := h.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, h.server.Close())
	}
	// Serve may not have begun; then nobody else closes the listener.
	h.o.Listener.Close()
	done := make(chan struct{})
	go func() { h.running.Wait(); close(done) }()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, errors.New("some functions were still running"))
	}
}

// schedule delivers s whenever it is due. A rate is due at once too: after a
// restart nobody should wait a full period for a fresh checkpoint.
func (h *Host) schedule(function string, s Schedule, e expression) {
	if _, ok := e.(rate); ok {
		h.deliver(function, s.Input)
	}
	for {
		due := e.next(time.Now())
		if due.IsZero() {
			return
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
			h.deliver(function, s.Input)
		case <-h.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Invoke asks for a function, by Handler or logical name, to run soon with the
// payload; it does not wait. It has the shape of edge.Resources.Invoke.
func (h *Host) Invoke(_ context.Context, function string, payload []byte) error {
	f, ok := h.o.Plan.Function(function)
	if !ok {
		return fmt.Errorf("there is no function %s in the plan", function)
	}
	if !h.deliver(f.Name, payload) {
		return errors.New("the local parties are stopping")
	}
	return nil
}

// ObjectCreated tells every function whose rule matches the key, as
// EventBridge would for an object in the bucket.
func (h *Host) ObjectCreated(key string, size int64) error {
	var event struct {
		Version    string `json:"version"`
		ID         string `json:"id"`
		DetailType string `json:"detail-type"`
		Source     string `json:"source"`
		Detail     struct {
			Object struct {
				Key  string `json:"key"`
				Size int64  `json:"size"`
			} `json:"object"`
			Reason string `json:"reason"`
		} `json:"detail"`
	}
	event.Version, event.DetailType, event.Source, event.Detail.Reason = "0", "Object Created", "aws.s3", "PutObject"
	event.Detail.Object.Key, event.Detail.Object.Size = key, size
	payload, err := json.Marshal(event)
	if err != nil {
		return err
	}
	for _, f := range h.o.Plan.Functions {
		for _, prefix := range f.Created {
			if strings.HasPrefix(key, prefix) && !h.deliver(f.Name, payload) {
				return errors.New("the local parties are stopping")
			}
		}
	}
	return nil
}

// deliver starts a delivery or joins the same one that is under way. It
// answers false once Close has begun.
func (h *Host) deliver(function string, payload []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	key := function + "\x00" + string(payload)
	if j, ok := h.jobs[key]; ok {
		j.again = true
		return true
	}
	j := &job{}
	h.jobs[key] = j
	h.running.Go(func() {
		for {
			h.attempt(function, payload)
			h.mu.Lock()
			again := j.again && !h.closed
			j.again = false
			if !again {
				delete(h.jobs, key)
			}
			h.mu.Unlock()
			if !again {
				return
			}
		}
	})
	return true
}

// attempt calls the function until it succeeds or is a dead letter.
func (h *Host) attempt(function string, payload []byte) {
	var err error
	for i := 0; ; i++ {
		if _, err = h.call(context.Background(), function, payload); err == nil {
			return
		}
		if i == len(retryDelays) {
			break
		}
		select {
		case <-time.After(retryDelays[i]):
		case <-h.ctx.Done():
			return
		}
	}
	h.mu.Lock()
	h.dead++
	h.mu.Unlock()
	h.o.Log.Error("dead letter", "function", function, "cause", err.Error())
}

// call runs one function under its own time limit and a request id, as Lambda does.
func (h *Host) call(ctx context.Context, function string, payload []byte) ([]byte, error) {
	f, _ := h.o.Plan.Function(function)
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: rand.Text()})
	return h.o.Functions[function](ctx, payload)
}
