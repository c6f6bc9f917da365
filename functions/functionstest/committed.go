package functionstest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/problem"
	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew: events, answers and refusals")

// Committed is one function's testdata: event.json is delivered as it lies there, its answer is response.json byte for
// byte, and what is refused is refused as refused.json says. All of it comes from fixed seeds and a fixed clock.
type Committed struct {
	Party, Function string
	Prepare         func(w *World)        // what the parties have been through before
	Event           func(w *World) []byte // makes event.json; with -update only
	After           func(w *World)        // what must be true once the event was handled; may be nil
	Stamped         bool                  // with time-stamping authorities
	Bad             []Bad
}

// Bad is an event that must be refused.
type Bad struct {
	Name  string
	Event func(w *World, good *Request) []byte
	Kind  problem.Kind
	Later time.Duration // how much later it comes
}

// Refusal is an entry of refused.json.
type Refusal struct {
	Status int             `json:"status"`
	Answer json.RawMessage `json:"answer"`
}

// moving is a clock that tests move.
type moving struct{ at time.Time }

func (m *moving) now() time.Time { return m.at }

// Test delivers the committed event and everything that must be refused.
func (c Committed) Test(t *testing.T) {
	clock := &moving{time.Date(2031, 1, 13, 9, 0, 0, 0, time.UTC)}
	w := Open(t, Options{Dir: t.TempDir(), Now: clock.now, Fixed: true, Stamped: c.Stamped}).Found()
	w.Advance = func(d time.Duration) { clock.at = clock.at.Add(d) }
	w.EnrolAll()
	if c.Prepare != nil {
		c.Prepare(w)
	}
	w.Drain()
	if *update {
		write(t, "event.json", indent(t, c.Event(w)))
	}
	event := read(t, "event.json")
	w.Seed("committed event")
	answer, err := w.Invoke(c.Party, c.Function, event)
	if err != nil {
		t.Fatalf("the committed event was not handled: %v\n%s", err, w.Log)
	}
	if answer == nil {
		answer = []byte("null") // what Lambda hands on for an event
	}
	compare(t, "response.json", indent(t, answer))
	if c.After != nil {
		c.After(w)
	}
	refused := map[string]Refusal{}
	for _, bad := range c.Bad {
		clock.at = clock.at.Add(bad.Later)
		refused[bad.Name] = c.refuse(w, bad, event)
		clock.at = clock.at.Add(-bad.Later)
	}
	if len(refused) != len(c.Bad) || len(refused) < 2 {
		t.Fatalf("%d different refusals, %d bad events", len(refused), len(c.Bad))
	}
	raw, err := json.Marshal(refused)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "refused.json", indent(t, raw))
}

// refuse delivers a bad event and holds its answer against the rules for all refusals.
func (c Committed) refuse(w *World, bad Bad, event []byte) Refusal {
	w.T.Helper()
	w.Seed("bad " + bad.Name)
	payload := bad.Event(w, parse(w.T, event))
	raw, err := w.Invoke(c.Party, c.Function, payload)
	if err != nil {
		if bad.Kind != "" {
			w.T.Errorf("%s: no answer: %v", bad.Name, err)
		}
		text, _ := json.Marshal(err.Error()) // a string always marshals
		return Refusal{Answer: text}
	}
	var answer events.APIGatewayV2HTTPResponse
	var p edge.Problem
	if err := json.Unmarshal(raw, &answer); err != nil {
		w.T.Fatalf("%s: %v: %s", bad.Name, err, raw)
	}
	if err := json.Unmarshal([]byte(answer.Body), &p); err != nil || answer.Headers["content-type"] != "application/problem+json" {
		w.T.Errorf("%s: not a problem document: %d %s", bad.Name, answer.StatusCode, answer.Body)
		return Refusal{Status: answer.StatusCode, Answer: []byte("null")}
	}
	if p.Kind != string(bad.Kind) || p.Status != answer.StatusCode || p.Detail == "" {
		w.T.Errorf("%s: %s, want %s", bad.Name, answer.Body, bad.Kind)
	}
	carried := values(w.T, payload)
	if len(carried) == 0 {
		w.T.Errorf("%s: the event holds no value that could be echoed", bad.Name)
	}
	if n := echoes(carried, answer.Body); n > 0 {
		w.T.Errorf("%s: the answer echoes %d values", bad.Name, n)
	}
	if n := echoes(carried, w.Log.String()); n > 0 {
		w.T.Errorf("%s: the log holds %d values", bad.Name, n)
	}
	return Refusal{Status: answer.StatusCode, Answer: []byte(strings.TrimSpace(answer.Body))}
}

// word is a run of characters that identifies something: long, or short with a digit in it. Field names are neither.
var word = regexp.MustCompile(`[A-Za-z0-9_-]{12,}`)

// values are what an event carries and no answer or log line may repeat.
func values(t *testing.T, payload []byte) (list []string) {
	r := parse(t, payload)
	texts := []string{string(r.Bytes()), r.Header("arca-proof"), r.Header("x-canary"), strings.TrimPrefix(r.RawPath, "/v1/"), r.RawQueryString}
	for _, text := range texts {
		for _, w := range word.FindAllString(text[:min(len(text), 100_000)], -1) {
			if strings.ContainsAny(w, "0123456789") || len(w) >= 24 {
				list = append(list, w)
			}
		}
	}
	return list
}

// echoes counts the values that a text repeats.
func echoes(values []string, text string) (n int) {
	for _, value := range values {
		if strings.Contains(text, value) {
			n++
		}
	}
	return n
}

// Request is an HTTP event that a test changes.
type Request struct {
	events.APIGatewayV2HTTPRequest
	t *testing.T
}

func parse(t *testing.T, payload []byte) *Request {
	t.Helper()
	r := &Request{t: t}
	if err := json.Unmarshal(payload, &r.APIGatewayV2HTTPRequest); err != nil {
		t.Fatal(err)
	}
	if r.Headers == nil {
		r.Headers = map[string]string{}
	}
	return r
}

// JSON is the event with a canary in a header that nobody knows.
func (r *Request) JSON() []byte {
	r.Headers["x-canary"] = "canary-0123456789"
	raw, err := json.Marshal(r.APIGatewayV2HTTPRequest)
	if err != nil {
		r.t.Fatal(err)
	}
	return raw
}

// Header is a header's value.
func (r *Request) Header(name string) string { return r.Headers[name] }

// Bytes is the body as the client sent it.
func (r *Request) Bytes() []byte {
	if !r.IsBase64Encoded {
		return []byte(r.Body)
	}
	b, err := base64.StdEncoding.DecodeString(r.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// SetBytes replaces the body.
func (r *Request) SetBytes(b []byte) *Request {
	r.Body, r.IsBase64Encoded = base64.StdEncoding.EncodeToString(b), true
	return r
}

// Flip changes one character inside the signature of a JWS.
func Flip(jws string) string {
	at := strings.LastIndexByte(jws, '.') + 10
	c := byte('A')
	if jws[at] == c {
		c = 'B'
	}
	return jws[:at] + string(c) + jws[at+1:]
}

// The bad events that more than one function refuses.

// WrongProof alters the signature of the proof of possession.
func WrongProof(_ *World, r *Request) []byte {
	r.Headers["arca-proof"] = Flip(r.Header("arca-proof"))
	return r.JSON()
}

// MissingProof leaves the proof out.
func MissingProof(_ *World, r *Request) []byte {
	delete(r.Headers, "arca-proof")
	return r.JSON()
}

// OtherBody shows the proof with a body that it was not made for.
func OtherBody(_ *World, r *Request) []byte {
	return r.SetBytes(append(r.Bytes(), ' ')).JSON()
}

// Replay delivers the very same event.
func Replay(_ *World, r *Request) []byte { return r.JSON() }

// WrongStatement alters the signature of the statement that is the body.
func WrongStatement(_ *World, r *Request) []byte {
	return r.SetBytes([]byte(Flip(string(r.Bytes())))).JSON()
}

// Oversized is a body of one byte more than any function takes.
func Oversized(_ *World, r *Request) []byte {
	return r.SetBytes(bytes.Repeat([]byte("a"), edge.MaxBody+1)).JSON()
}

// Call makes a bad event of a call to a party.
func Call(f func(w *World) error) func(*World, *Request) []byte {
	return func(w *World, _ *Request) []byte {
		return parse(w.T, w.Event(func() error { return f(w) })).JSON()
	}
}

// HTTPEvent is Call for a test that goes on to change the event.
func (w *World) HTTPEvent(f func() error) *Request { return parse(w.T, w.Event(f)) }

// Earlier is the event of a call that was made some time ago.
func (w *World) Earlier(ago time.Duration, f func() error) []byte {
	now := w.Options.Now
	w.Options.Now = func() time.Time { return now().Add(-ago) }
	defer func() { w.Options.Now = now }()
	return parse(w.T, w.Event(f)).JSON()
}

func indent(t *testing.T, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), '\n')
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatalf("%v; make it with go test ./functions/... -update", err)
	}
	return raw
}

func write(t *testing.T, name string, raw []byte) {
	t.Helper()
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", name), raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		write(t, name, got)
	}
	if want := read(t, name); !bytes.Equal(got, want) {
		t.Errorf("%s: the answer is another than the committed one; if that is meant, run go test ./functions/... -update and read the difference\n%s", name, cmp.Diff(string(want), string(got)))
	}
}
