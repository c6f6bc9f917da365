package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/mirror"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// line is a network that flips one bit of the bodies of one call.
type line struct {
	mu       sync.Mutex
	parties  map[string]string
	call     *regexp.Regexp // "party METHOD /path", nil: nothing is touched
	question bool           // the question's body and not the answer's
	into     func() any     // what the body is decoded into; nil: it is not JSON, every bit counts
	x        flip
	length   int // of the last body that matched
	served   bool
	harmless bool // the altered body says the same, as another case of a member's name does in JSON
}

// names says who is at which address.
func (l *line) names(addresses map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parties = map[string]string{}
	for party, address := range addresses {
		l.parties[address] = party
	}
}

func (l *line) party(address string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.parties[address]
}

// on puts the line between a caller and the network.
func (l *line) on(net http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		what := l.party(r.URL.Host) + " " + r.Method + " " + r.URL.RequestURI()
		if l.matches(what, true) && r.Body != nil {
			raw, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			r = r.Clone(r.Context())
			r.Body = io.NopCloser(bytes.NewReader(l.altered(raw)))
		}
		res, err := net.RoundTrip(r)
		if err != nil || !l.matches(what, false) || res.StatusCode != http.StatusOK {
			return res, err
		}
		raw, err := io.ReadAll(res.Body)
		res.Body.Close()
		res.Body = io.NopCloser(bytes.NewReader(l.altered(raw)))
		return res, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (l *line) matches(what string, question bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.call != nil && l.question == question && l.call.MatchString(what)
}

func (l *line) altered(raw []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.length = len(raw)
	if l.x.bit == 0 || len(raw) == 0 {
		return raw
	}
	out := slices.Clone(raw)
	out[l.x.at%len(out)] ^= l.x.bit
	l.served, l.harmless = true, l.same(raw, out)
	return out
}

func (l *line) same(raw, out []byte) bool {
	if l.into == nil {
		return false
	}
	a, b := l.into(), l.into()
	return json.Unmarshal(raw, a) == nil && json.Unmarshal(out, b) == nil && reflect.DeepEqual(a, b)
}

// set says which call to touch and how.
func (l *line) set(s scenario, x flip) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.call, l.question, l.into, l.x = s.call, s.question, s.into, x
	l.served, l.harmless = false, false
}

// scenario is an artefact on the wire and somebody who relies on it.
type scenario struct {
	name     string
	call     *regexp.Regexp
	question bool
	into     func() any
	act      func(context.Context) error // nil: taken for good
	checked  bool                        // act itself looks at what came of it, so that being taken is no fault
}

// run flips the artefact's bytes and gives how many were tried and how many were taken for good though they say
// something else.
func (l *line) run(tb testing.TB, c campaign, s scenario, some int) (tried, accepted int) {
	tb.Helper()
	l.set(s, flip{})
	if err := s.act(context.Background()); err != nil {
		tb.Fatalf("%s: unaltered: %v", s.name, err)
	}
	if l.length == 0 {
		tb.Fatalf("%s: the call is not made", s.name)
	}
	for _, x := range c.flips(l.length, some) {
		l.set(s, x)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		err := s.act(ctx)
		cancel()
		l.mu.Lock()
		served, harmless := l.served, l.harmless
		l.mu.Unlock()
		if !served {
			tb.Fatalf("%s: the altered artefact was not asked for", s.name)
		}
		tried++
		if err == nil && !harmless && !s.checked {
			accepted++
		}
		if why := unclear(err); err != nil && why != "" {
			tb.Errorf("%s, byte %d: %s", s.name, x.at, why)
		}
	}
	l.set(scenario{}, flip{})
	return tried, accepted
}

// station is a world with a line that can be altered between everybody.
type station struct {
	*office
	l      *line
	rows   []reader.Row
	index  record.Digest
	proven collector.Sealed
}

func newStation(tb testing.TB) *station {
	s := &station{l: &line{}, office: &office{p: &provider{}, seed: seal.NewSeed()}}
	s.world = newWorld(tb, installation.ServeOptions{Network: func(_ string, net http.RoundTripper) http.RoundTripper { return s.l.on(net) }})
	s.l.names(s.f.Addresses)
	s.net = s.l.on(s.net)
	s.cast()
	chain := s.admit(s.draft("DP-0000/17", unitA, target))
	c, start := s.world.collector("collector"), s.recent()
	s.proven = s.sealed(c, clip{chain: chain, name: "a message", codec: "text", kind: "message", number: target, start: start, content: []byte("bring it at nine")})[0]
	s.flush(c)
	s.check(c.Close())
	s.unit = seal.Unit{Order: chain, Week: seal.WeekOf(start), Compartment: "main", Classification: "restricted"}
	s.approved = s.request("investigator")
	s.check(s.world.reader("supervisor", nil, nil).Decide(context.Background(), s.approved, true, "within the order"))
	s.await(s.approved)
	r := s.world.reader("investigator", s.mirror(), nil)
	in := reader.AskInput{Chain: chain, Week: s.unit.Week, Class: seal.IndexClass}
	s.index = s.ask(r, in)
	list, err := r.List(context.Background(), s.index)
	s.check(err)
	s.rows = list.Rows
	s.granted(r, "supervisor", in)
	return s
}

func json1[T any]() any { return new(T) }

// list is a reader, started anew, who lists.
func (s *station) list(ctx context.Context) error {
	l, err := s.world.reader("investigator", s.mirrorAt(s.f.Dir("mirror")), nil).List(ctx, s.index)
	if err != nil {
		return err
	}
	if !l.Complete || len(l.Rows) != 1 {
		return problem.New(problem.Unavailable, "the listing says that it is not complete")
	}
	return nil
}

func (s *station) open(ctx context.Context) error {
	var out bytes.Buffer
	cfg := s.readerConfig("investigator", s.mirrorAt(s.f.Dir("mirror")), &out)
	cfg.Patience = 100 * time.Millisecond
	r, err := reader.Open(cfg)
	s.check(err)
	if _, err := r.Open(ctx, s.rows[0].ID.String(), "-", reader.Range{}); err != nil {
		return err
	}
	if out.String() != "bring it at nine" {
		s.tb.Error("a recording opened with other bytes")
	}
	return nil
}

// refusing is a vault that gives no numbers: what comes before is what the campaign is about.
type refusing struct{ collector.Vault }

var errReached = problem.New(problem.Unavailable, "the collector got as far as a number for a pack")

func (refusing) Reserve(context.Context, record.ID, int) (uint64, error) { return 0, errReached }

// sealing is a collector, started anew, who is about to seal.
func (s *station) sealing(ctx context.Context) error {
	cfg := s.collectorConfig("collector")
	cfg.Folder, cfg.Vault = s.tb.TempDir(), refusing{cfg.Vault}
	c, err := collector.Open(cfg)
	s.check(err)
	defer c.Close()
	item := clip{chain: record.Digest(s.unit.Order), name: "x", codec: "text", kind: "message", number: target, start: s.recent(), content: []byte("x")}.item()
	out, err := c.Seal(ctx, []collector.Item{item}, nil)
	if err == nil && len(out) == 1 {
		err = out[0].Err
	}
	if problem.MessageOf(err) == problem.MessageOf(errReached) {
		return nil
	}
	return err
}

// receipt is a collector, started anew, who makes a receipt.
func (s *station) receipt(ctx context.Context) error {
	c, err := collector.Open(s.collectorConfig("collector"))
	s.check(err)
	defer c.Close()
	raw, err := c.Receipt(ctx, s.proven)
	if err == nil {
		_, err = bundle.VerifyReceipt(&s.trust, s.f.Config.Trust, raw)
	}
	return err
}

// sync is a mirror that begins, and then must hold what the first one holds.
func (s *station) sync(ctx context.Context) error {
	folder := s.tb.TempDir()
	m := s.mirrorAt(folder)
	defer m.Close()
	out, err := m.Sync(ctx, nil)
	if err != nil {
		return err
	}
	if out.Waiting != "" || out.Last != 1 || out.Stale != "" {
		return problem.New(problem.Unavailable, "the mirror says that it waits or that its checkpoint cannot stand")
	}
	return nil
}

// again is a mirror that has everything and looks for more: it holds the log's story against the one before.
func (s *station) again(ctx context.Context) error {
	m := s.mirrorAt(s.f.Dir("mirror"))
	defer m.Close()
	out, err := m.Sync(ctx, nil)
	if err == nil && out.Stale != "" {
		err = problem.New(problem.Unavailable, "the mirror says that its checkpoint cannot stand")
	}
	return err
}

func (s *station) half(context.Context) error {
	_, err := s.release(s.approved, "investigator")
	return err
}

// tiles reads the log's tiles and shows that a pack is in it.
func (s *station) tiles(ctx context.Context) error {
	v, err := ledger.VerifierOf(&s.trust)
	s.check(err)
	signed, err := s.vault("mirror").Checkpoint(ctx)
	if err != nil {
		return err
	}
	c, err := v.Verify(signed)
	if err != nil {
		return err
	}
	_, err = ledger.ProveInclusion(c.Tree, 1, ledger.Reader(c.Tree, func(t ledger.Tile) ([]byte, error) {
		return s.vault("mirror").Tile(ctx, t.Path())
	}))
	return err
}

// statement sends a body to the court; what is taken is not what was signed.
func (s *station) statement(path string, body any) func(context.Context) error {
	return func(ctx context.Context) error {
		k := s.keyholder("court", "")
		var err error
		switch b := body.(type) {
		case record.Joint:
			err = k.Enrol(ctx, b)
		case []byte:
			_, err = s.keyholder("court", "collector").FileNote(ctx, b)
		case string:
			switch path {
			case "orders":
				_, err = k.Admit(ctx, b)
			case "requests":
				_, err = k.Ask(ctx, b)
			default:
				err = k.Decide(ctx, b)
			}
		}
		return err
	}
}

// scenarios are all artefacts that travel.
func (s *station) scenarios() []scenario {
	call := regexp.MustCompile
	list := []scenario{
		{name: "a release to the reader", call: call(`^court POST /v1/releases$`), into: json1[wire.Signed], act: s.open},
		{name: "a release to the reader, from the custodian", call: call(`^custodian POST /v1/releases$`), into: json1[wire.Signed], act: s.list},
		{name: "the collector's enrolment to the reader", call: call(`^c\w+ GET /v1/people$`), into: s.enrolment, act: s.list},
		{name: "the court's status and the order's members to the collector", call: call(`^court POST /v1/status$`), into: json1[statusAndMembers], act: s.sealing},
		{name: "the custodian's status to the collector", call: call(`^custodian POST /v1/status$`), into: json1[wire.Signed], act: s.sealing},
		{name: "the court's unit key to the collector", call: call(`^court POST /v1/units$`), into: json1[wire.UnitKeys], act: s.sealing},
		{name: "the custodian's unit key to the collector", call: call(`^custodian POST /v1/units$`), into: json1[wire.UnitKeys], act: s.sealing},
		{name: "the collector's enrolment to the collector", call: call(`^court GET /v1/people$`), into: s.enrolment, act: s.receipt},
		{name: "a pack's proof to the mirror", call: call(`^vault GET /v1/proofs/`), act: s.sync},
		{name: "the checkpoint to the mirror", call: call(`^vault GET /v1/checkpoint$`), act: s.sync},
		{name: "the listing of packs to the mirror", call: call(`^vault GET /v1/packs\?from=`), into: json1[packEvents], act: s.sync},
		{name: "a pack to the mirror", call: call(`^vault GET /objects/pack/`), act: s.sync},
		{name: "the consistency proof to the mirror", call: call(`^vault GET /v1/consistency`), act: s.again},
		{name: "the custodian's status to the court", call: call(`^custodian POST /v1/status$`), into: json1[wire.Signed], act: s.half},
		{name: "the request's proof to the court", call: call(`^vault GET /v1/proofs/`), act: s.half},
		{name: "the log's tiles", call: call(`^vault GET /v1/tile/0/000`), act: s.tiles},
		{name: "the checkpoint above the tiles", call: call(`^vault GET /v1/checkpoint$`), act: s.tiles},
	}
	return append(list, s.questions()...)
}

// statusAndMembers is what a collector takes of the court's answer.
type statusAndMembers struct {
	Statement string           `json:"statement"`
	Members   [][]signingInput `json:"members"`
}

// signingInput is a statement without its signature: a collector sees no judge's enrolment, so what binds a member is its hash in
// the head that both keyholders sign.
type signingInput string

// UnmarshalJSON cuts the signature off.
func (s *signingInput) UnmarshalJSON(raw []byte) error {
	var all string
	err := json.Unmarshal(raw, &all)
	*s = signingInput(all[:max(strings.LastIndexByte(all, '.'), 0)])
	return err
}

// enrolled is what is taken of a list of people when one of them is looked for.
type enrolled struct {
	key   record.KeyID
	Found record.Joint
}

func (s *station) enrolment() any { return &enrolled{key: s.people["collector"].Public().ID()} }

// UnmarshalJSON keeps the one enrolment: what else is in the list is of no use to whoever looks for it.
func (e *enrolled) UnmarshalJSON(raw []byte) error {
	var list wire.People
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	for _, p := range list.People {
		for _, statement := range p.Enrolment {
			st, err := record.Peek(statement)
			var content record.Enrolment
			if err == nil && record.Unmarshal(st.Payload, &content) == nil && content.Key.ID() == e.key {
				e.Found = p.Enrolment
			}
		}
	}
	return nil
}

// packEvents is what a mirror takes of a listing; Next is the vault's word on what is to come.
type packEvents struct {
	Packs []wire.ListedPack `json:"packs"`
}

// questions are signed artefacts on their way to the court, which has them already: taking them again is easy.
func (s *station) questions() []scenario {
	call := regexp.MustCompile
	joint, err := s.f.SignEnrolment(record.Enrolment{Key: must(record.NewSigner()).Public(), Name: "newcomer", Roles: []record.Role{record.Supervisor}, PoliceUnit: unitB, Clearance: "secret"})
	s.check(err)
	for _, party := range installation.Keyholders { // both hold the same people, or nothing is released
		s.check(s.keyholder(party, "").Enrol(context.Background(), joint))
	}
	order := s.sign("judge", record.TypeOrder, s.draft("DP-0000/19", unitA, target))
	asked, err := s.keyholder("court", "investigator").Request(context.Background(), s.approved)
	s.check(err)
	return []scenario{
		{name: "an enrolment to the court", question: true, call: call(`^court POST /v1/people$`), act: s.statement("", joint)},
		{name: "an order to the court", question: true, call: call(`^court POST /v1/orders$`), act: s.statement("orders", order)},
		{name: "a request to the court", question: true, call: call(`^court POST /v1/requests$`), act: s.statement("requests", asked.Statement)},
		{name: "an approval to the court", question: true, call: call(`^court POST /v1/approvals$`), act: s.statement("approvals", asked.Approvals[0])},
		{name: "a batch note to the court", question: true, call: call(`^court POST /v1/notes$`), act: s.statement("", s.note())},
	}
}

// note is the batch note that the collector filed at the court.
func (s *station) note() []byte {
	receipt := s.receiptBytes()
	var r bundle.Receipt
	s.check(record.Unmarshal(receipt, &r))
	return r.Note
}

func (s *station) receiptBytes() []byte {
	c, err := collector.Open(s.collectorConfig("collector"))
	s.check(err)
	defer c.Close()
	raw, err := c.Receipt(context.Background(), s.proven)
	s.check(err)
	return raw
}

// TestWireFlipCampaign flips bytes of every signed or proven artefact on its way: whoever relies on it refuses it, clearly.
func TestWireFlipCampaign(t *testing.T) {
	t.Parallel()
	c, s := newCampaign(t), newStation(t)
	for _, sc := range s.scenarios() {
		tried, accepted := s.l.run(t, c, sc, 20)
		if accepted > 0 {
			t.Errorf("%s: %d of %d altered ones are taken", sc.name, accepted, tried)
		}
		t.Logf("%s: %d flips", sc.name, tried)
	}
	// The twins read what is signed or proven without verifying it.
	call := regexp.MustCompile
	for _, twin := range []scenario{
		{name: "a twin that does not verify releases", call: call(`^court POST /v1/releases$`), into: json1[wire.Signed], act: func(ctx context.Context) error {
			raw, err := s.keyholder("court", "investigator").Release(ctx, s.approved, 0)
			if err == nil {
				_, err = record.Peek(raw)
			}
			return err
		}},
		{name: "a twin that does not verify checkpoints", call: call(`^vault GET /v1/checkpoint$`), act: func(ctx context.Context) error {
			_, err := s.vault("mirror").Checkpoint(ctx)
			return err
		}},
	} {
		if tried, accepted := s.l.run(t, campaign{c.Rand, false}, twin, 60); accepted == 0 {
			t.Errorf("%s: none of %d altered ones is taken; the campaign proves nothing", twin.name, tried)
		}
	}
}

// TestKeptArtefactFlipCampaign flips every byte of what is kept: trust file, receipt, spool state that a collector reads back.
func TestKeptArtefactFlipCampaign(t *testing.T) {
	t.Parallel()
	c, s := newCampaign(t), newStation(t)
	raw, err := os.ReadFile(s.f.Dir("trust.json"))
	s.check(err)
	receipt := s.receiptBytes()
	for _, kept := range []struct {
		name  string
		raw   []byte
		taken func([]byte) error
	}{
		{"the trust file", raw, s.openTrust},
		{"a receipt", receipt, func(b []byte) error { _, err := bundle.VerifyReceipt(&s.trust, s.f.Config.Trust, b); return err }},
	} {
		s.check(kept.taken(kept.raw))
		flips := c.flips(len(kept.raw), 600)
		for _, x := range flips {
			b := slices.Clone(kept.raw)
			b[x.at] ^= x.bit
			if err := kept.taken(b); err == nil || unclear(err) != "" {
				t.Errorf("%s, byte %d of %d: %v", kept.name, x.at, len(b), err)
			}
		}
		t.Logf("%s: %d flips", kept.name, len(flips))
	}
	s.mirrorRows(t, c)
}

func (s *station) openTrust(raw []byte) error {
	var joint record.Joint
	if err := record.Unmarshal(raw, &joint); err != nil {
		return err
	}
	_, err := record.OpenTrust(joint, s.f.Config.Trust)
	return err
}

// mirrorRows flips bytes of the mirror's row of a pack: event, random value, proof.
func (s *station) mirrorRows(t *testing.T, c campaign) {
	path := s.f.Dir("mirror", "index", "000000000001.json")
	raw, err := os.ReadFile(path)
	s.check(err)
	for _, x := range c.flips(len(raw), 400) {
		b := slices.Clone(raw)
		b[x.at] ^= x.bit
		s.check(os.WriteFile(path, b, 0o600))
		m, err := mirror.Open(mirror.Config{Folder: filepath.Dir(filepath.Dir(path)), Trust: s.trust, Now: s.now})
		s.check(err)
		if _, err := m.SlotArea(1); err == nil || unclear(err) != "" {
			t.Errorf("the mirror's row, byte %d: %v", x.at, err)
		}
		m.Close()
	}
	s.check(os.WriteFile(path, raw, 0o600))
	s.check(s.list(t.Context()))
	if strings.Count(string(raw), "proof") != 1 {
		t.Error("the row holds no proof")
	}
}
