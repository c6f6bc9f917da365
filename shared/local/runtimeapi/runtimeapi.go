// Package runtimeapi stands in for the Lambda Runtime API, so that tests run
// the real bootstrap binary without AWS.
//
// It speaks what a runtime client uses of version 2018-06-01 (AWS Lambda
// Developer Guide, "Using the Lambda runtime API"):
//
//	GET  /2018-06-01/runtime/invocation/next           long poll; headers id, deadline, ARN
//	POST /2018-06-01/runtime/invocation/{id}/response
//	POST /2018-06-01/runtime/invocation/{id}/error
//	POST /2018-06-01/runtime/init/error
//
// It accuses: an answer to an id that was not handed out, a second answer, or a
// path that does not exist is an error that Close reports. It does not limit
// memory or time and does not freeze the process between invocations.
package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// maxPayload is Lambda's limit for a synchronous payload, either way.
const maxPayload = 6 << 20

// Server is one stand-in, for one function instance.
type Server struct {
	http     *http.Server
	listener net.Listener
	ready    chan struct{}    // closed when the function first asks for work
	queue    chan *invocation // handed out by next
	done     chan struct{}    // closed by Close

	mu      sync.Mutex
	asked   bool
	open    map[string]*invocation
	seen    int
	initErr string
	wrong   []error
}

type invocation struct {
	id      string
	payload []byte
	answer  chan answer
}

type answer struct {
	body   []byte
	failed bool
}

// Start listens on a free port of the loopback interface.
func Start() (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{listener: listener, ready: make(chan struct{}), queue: make(chan *invocation), done: make(chan struct{}), open: map[string]*invocation{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", s.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) { s.answered(w, r, false) })
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) { s.answered(w, r, true) })
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", s.initError)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.accuse(w, fmt.Errorf("%s %s is not in the Runtime API", r.Method, r.URL.Path))
	})
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go s.http.Serve(listener)
	return s, nil
}

// Addr is the value of AWS_LAMBDA_RUNTIME_API.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Ready is closed when the function first asks for work: its start is over.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Invoke runs the function once. An error that the function reported is
// returned with its body.
func (s *Server) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	s.mu.Lock()
	s.seen++
	in := &invocation{id: fmt.Sprintf("00000000-0000-4000-8000-%012d", s.seen), payload: payload, answer: make(chan answer, 1)}
	s.mu.Unlock()
	select {
	case s.queue <- in:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case a := <-in.answer:
		if a.failed {
			return nil, fmt.Errorf("the function failed: %s", a.body)
		}
		return a.body, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close stops the stand-in and returns what the function did wrong.
func (s *Server) Close() error {
	close(s.done)
	err := s.http.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.initErr != "" {
		err = errors.Join(err, fmt.Errorf("the function reported an init error: %s", s.initErr))
	}
	return errors.Join(err, errors.Join(s.wrong...))
}

func (s *Server) next(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if !s.asked {
		s.asked = true
		close(s.ready)
	}
	s.mu.Unlock()
	select {
	case in := <-s.queue:
		s.mu.Lock()
		s.open[in.id] = in
		s.mu.Unlock()
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", in.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(15*time.Second).UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:local:000000000000:function:stand-in")
		w.Header().Set("Content-Type", "application/json")
		w.Write(in.payload)
	case <-r.Context().Done():
	case <-s.done:
	}
}

func (s *Server) answered(w http.ResponseWriter, r *http.Request, failed bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	if err == nil && len(body) > maxPayload {
		err = errors.New("the answer is larger than 6 MiB")
	}
	s.mu.Lock()
	in, ok := s.open[r.PathValue("id")]
	delete(s.open, r.PathValue("id"))
	s.mu.Unlock()
	if err == nil && !ok {
		err = errors.New("an answer to an invocation that is not open")
	}
	if err != nil {
		s.accuse(w, err)
		return
	}
	in.answer <- answer{body, failed}
	w.WriteHeader(http.StatusAccepted)
}

func (s *Server) initError(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxPayload))
	s.mu.Lock()
	s.initErr = string(body)
	s.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

func (s *Server) accuse(w http.ResponseWriter, err error) {
	s.mu.Lock()
	s.wrong = append(s.wrong, err)
	s.mu.Unlock()
	w.WriteHeader(http.StatusBadRequest)
}
