package tests

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/mirror"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// The fictional people, courts and cases; what the vault must never see.
const (
	court   = "Court of Instruction One"
	unitA   = "Unit Alpha, Judicial Police"
	unitB   = "Unit Bravo, Judicial Police"
	target  = "+12025550111"
	target2 = "+12025550112"
	other   = "+12025550122"
	foreign = "+12025550199"
	purpose = "identify who collects the delivery"
	suspect = "a person called Larch"
)

// world is an installation that runs, and everybody who uses it.
type world struct {
	tb      testing.TB
	f       *installation.Folder
	options installation.ServeOptions
	running *installation.Running
	trust   record.Trust
	joint   record.Joint
	people  map[string]*record.Signer
	net     http.RoundTripper // between every client of the test and the parties
	now     func() time.Time  // every client's clock
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) check(err error) {
	w.tb.Helper()
	if err != nil {
		w.tb.Fatalf("%v\n%s", err, w.logs())
	}
}

// logs gives the end of the parties' process logs.
func (w *world) logs() string {
	var all strings.Builder
	for _, party := range []string{"vault", "court", "custodian"} {
		raw, _ := os.ReadFile(w.f.Dir(party, "process.log"))
		fmt.Fprintf(&all, "%s: …%s\n", party, raw[max(0, len(raw)-1500):])
	}
	return all.String()
}

// newWorld makes an installation with packs of 1 MiB, and starts it.
func newWorld(tb testing.TB, o installation.ServeOptions) *world {
	tb.Helper()
	if o.Sequence == 0 {
		o.Sequence = time.Second
	}
	w := &world{tb: tb, options: o, people: map[string]*record.Signer{}, net: &http.Transport{MaxIdleConnsPerHost: 16}, now: time.Now}
	g := seal.TinyGeometry
	f, err := installation.Init(context.Background(), filepath.Join(tb.TempDir(), "arca"), installation.Options{Pack: record.PackShape{Size: g.Size, Slots: g.Slots}, Tick: time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	w.f = f
	w.trust, w.joint = *must(f.Trust()), must(f.TrustChain())[0].Trust
	for _, machine := range []string{"collector", "mirror"} {
		w.people[machine] = must(f.Identity(machine))
	}
	w.serve()
	tb.Cleanup(w.stop)
	return w
}

func (w *world) serve() {
	w.tb.Helper()
	running, err := w.f.Serve(context.Background(), w.options)
	w.check(err)
	w.running = running
}

func (w *world) stop() {
	if w.running == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.running.Close(ctx); err != nil {
		w.tb.Errorf("the parties did not end well: %v", err)
	}
	w.running = nil
}

// enrol enrols a person at both keyholders.
func (w *world) enrol(name string, e record.Enrolment) *record.Signer {
	w.tb.Helper()
	signer := must(record.NewSigner())
	e.Key, e.Name, e.Clearance = signer.Public(), name, "secret"
	w.check(w.f.Enrol(context.Background(), e))
	w.people[name] = signer
	return signer
}

// cast enrols the people of every story.
func (w *world) cast() {
	w.enrol("judge", record.Enrolment{Roles: []record.Role{record.Judge}, Court: court})
	for name, e := range map[string]record.Enrolment{
		"investigator": {Roles: []record.Role{record.Investigator}, PoliceUnit: unitA},
		"supervisor":   {Roles: []record.Role{record.Supervisor}, PoliceUnit: unitA},
		"stranger":     {Roles: []record.Role{record.Investigator}, PoliceUnit: unitB},
		"chief":        {Roles: []record.Role{record.Supervisor}, PoliceUnit: unitB},
		"auditor":      {Roles: []record.Role{record.Auditor}},
	} {
		w.enrol(name, e)
	}
}

// machine enrols one more collector and gives its name.
func (w *world) machine(name string) string {
	w.tb.Helper()
	signer, err := w.f.NewIdentity(name, name)
	w.check(err)
	w.check(w.f.EnrolMachine(context.Background(), signer.Public(), record.Collector, name))
	w.people[name] = signer
	return name
}

// draft is an order of ten days ago for thirty days.
func (w *world) draft(tag, policeUnit string, numbers ...string) record.Order {
	decided := record.Second(w.now().AddDate(0, 0, -10))
	o := record.Order{
		Audience: w.f.Config.Trust, Kind: record.Authorisation, Profile: "ES-588ter", Court: court, Case: tag, PoliceUnit: policeUnit,
		Classification: "restricted", Decided: decided, Capture: record.Window{From: decided, Until: decided.AddDate(0, 0, 30)}, AccessEnd: decided.AddDate(0, 0, 60),
		Scope: record.Scope{Kinds: []string{"call", "message"}},
		Grounds: record.Grounds{Offence: "a fictional offence", Indicia: "fictional indicia", Persons: []string{suspect}, Extent: "content",
			Motivation: "reasons", Duration: "thirty days", Purpose: "find the fictional network", Obliged: "a fictional operator"},
		Reports: record.Reports{Form: "in writing", EveryDays: 15}, Nonce: nonce(),
	}
	for _, n := range numbers {
		o.Scope.Identifiers = append(o.Scope.Identifiers, record.Identifier{Kind: "msisdn", Value: n})
	}
	return o
}

// recent is a time just now of which some minutes around lie in one week.
func (w *world) recent() time.Time {
	now := w.now()
	if seal.WeekOf(now.Add(-10*time.Minute)) != seal.WeekOf(now.Add(10*time.Minute)) {
		return now.Add(-20 * time.Minute)
	}
	return now
}

func nonce() record.ID {
	s := seal.NewSeed()
	return record.ID(s[:16])
}

func (w *world) sign(who string, typ record.Type, v any) string {
	w.tb.Helper()
	raw, err := record.Sign(w.people[who], typ, record.Second(w.now()), v)
	w.check(err)
	return raw
}

// admit has both keyholders admit a judge's order.
func (w *world) admit(o record.Order) record.Digest {
	w.tb.Helper()
	raw := w.sign("judge", record.TypeOrder, o)
	for _, party := range installation.Keyholders {
		_, err := w.keyholder(party, "").Admit(context.Background(), raw)
		w.check(err)
	}
	return record.HashStatement(raw)
}

func (w *world) client(party, who string) wire.Client {
	return wire.Client{Base: w.f.URL(party), HTTP: &http.Client{Transport: w.net, Timeout: time.Minute}, Signer: w.people[who], Now: w.now}
}

func (w *world) keyholder(party, who string) *wire.Keyholder {
	return &wire.Keyholder{Client: w.client(party, who)}
}

func (w *world) vault(who string) *wire.Vault { return &wire.Vault{Client: w.client("vault", who)} }

// collectorConfig is how a collector of that name is started.
func (w *world) collectorConfig(name string) collector.Config {
	return collector.Config{
		Folder: w.f.Dir(name), Signer: w.people[name], Trust: record.TrustChain{{Trust: w.joint}}, Fingerprint: w.f.Config.Trust, Vault: w.vault(name),
		Court: w.keyholder("court", name), Custodian: w.keyholder("custodian", name), HTTP: &http.Client{Transport: w.net, Timeout: time.Minute}, Now: w.now,
	}
}

func (w *world) collector(name string) *collector.Collector {
	w.tb.Helper()
	c, err := collector.Open(w.collectorConfig(name))
	w.check(err)
	w.tb.Cleanup(func() { c.Close() })
	return c
}

func (w *world) mirrorAt(folder string) *mirror.Mirror {
	w.tb.Helper()
	m, err := mirror.Open(mirror.Config{Folder: folder, Trust: w.trust, Vault: w.vault("mirror"), HTTP: &http.Client{Transport: w.net, Timeout: time.Minute}, Now: w.now})
	w.check(err)
	w.tb.Cleanup(func() { m.Close() })
	return m
}

// mirror is the installation's, with everything that has arrived.
func (w *world) mirror() *mirror.Mirror {
	w.tb.Helper()
	m := w.mirrorAt(w.f.Dir("mirror"))
	w.follow(m)
	return m
}

func (w *world) follow(m *mirror.Mirror) {
	w.tb.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		got, err := m.Sync(context.Background(), nil)
		w.check(err)
		if got.Waiting == "" {
			return
		}
		if time.Now().After(end) {
			w.tb.Fatalf("the mirror still waits: %s", got.Waiting)
		}
	}
}

func (w *world) readerConfig(who string, m reader.Mirror, out io.Writer) reader.Config {
	return reader.Config{Identity: w.people[who], Folder: w.f.Dir("people", who), Trust: w.trust, Fingerprint: w.f.Config.Trust,
		Court: w.keyholder("court", who), Custodian: w.keyholder("custodian", who), Mirror: m, Now: w.now, Stdout: out, Patience: 10 * time.Second}
}

func (w *world) reader(who string, m reader.Mirror, out io.Writer) *reader.Reader {
	w.tb.Helper()
	r, err := reader.Open(w.readerConfig(who, m, out))
	w.check(err)
	return r
}

// ask asks and demands that the request is in the witnessed log.
func (w *world) ask(r *reader.Reader, in reader.AskInput) record.Digest {
	w.tb.Helper()
	in.Purpose = purpose
	out, err := r.Ask(context.Background(), in)
	w.check(err)
	if !out.Provable {
		w.tb.Fatalf("the request is not provable: %s", out.Waiting)
	}
	return out.Hash
}

// granted asks for content and has a supervisor approve.
func (w *world) granted(r *reader.Reader, supervisor string, in reader.AskInput) record.Digest {
	w.tb.Helper()
	in.Class = seal.ContentClass
	hash := w.ask(r, in)
	w.check(w.reader(supervisor, nil, nil).Decide(context.Background(), hash, true, "within the order"))
	w.provable(r, hash)
	return hash
}

// provable waits until both keyholders find request and approvals in the witnessed log.
func (w *world) provable(r *reader.Reader, hash record.Digest) {
	w.tb.Helper()
	out, err := r.Send(context.Background(), hash)
	w.check(err)
	if !out.Provable {
		w.tb.Fatalf("the approval is not provable: %s", out.Waiting)
	}
}

// clip is something to be sealed.
type clip struct {
	chain   record.Digest
	name    string
	codec   string
	kind    string
	number  string
	start   time.Time
	content []byte
}

func (c clip) item() collector.Item {
	start := record.Second(c.start)
	return collector.Item{Chain: c.chain, Size: int64(len(c.content)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.content)), nil },
		Description: record.Description{Codec: c.codec, Direction: "from-target", From: c.number, To: other, Kind: c.kind, Name: c.name,
			Start: start, End: start.Add(10 * time.Second), Target: record.Identifier{Kind: "msisdn", Value: c.number}}}
}

// sealed seals clips and demands that each is.
func (w *world) sealed(c *collector.Collector, clips ...clip) []collector.Sealed {
	w.tb.Helper()
	var items []collector.Item
	for _, c := range clips {
		items = append(items, c.item())
	}
	out, err := c.Seal(context.Background(), items, nil)
	w.check(err)
	for _, s := range out {
		w.check(s.Err)
	}
	return out
}

// flush sends and demands that the spool is empty.
func (w *world) flush(c *collector.Collector) {
	w.tb.Helper()
	w.check(c.Flush(context.Background()))
	left, err := c.List(context.Background())
	w.check(err)
	if len(left) > 0 {
		w.tb.Fatalf("the spool still holds %+v", left)
	}
}

func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "samples", "recordings", name))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// pattern gives n bytes that look random and are the same every time.
func pattern(n int, seed uint32) []byte {
	b, x := make([]byte, n), seed
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// pause is a moment before another look.
func pause() { time.Sleep(50 * time.Millisecond) }
