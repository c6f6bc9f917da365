package tests

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/mirror"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// arca builds the real program once.
var arca = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "arca-tests-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "arca")
	cmd := exec.Command("go", "build", "-o", program, "../cmd/arca")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
})

func TestMain(m *testing.M) {
	if arg := os.Getenv(sequencingVariable); arg != "" {
		fmt.Fprintln(os.Stderr, "a process that was to be killed lives on:", sequenceUntilKilled(arg))
		os.Exit(1)
	}
	code := m.Run()
	if os.Getenv(diskFullVictim) == "" && built {
		program, _ := arca()
		os.RemoveAll(filepath.Dir(program))
	}
	os.Exit(code)
}

var built bool

// siege is a world whose parties are processes that are killed while everybody works.
type siege struct {
	*world
	c       campaign
	chain   record.Digest
	program string
	server  *exec.Cmd
	said    *bytes.Buffer
	col     *collector.Collector
	m       *mirror.Mirror

	mu       sync.Mutex
	safe     map[record.ID][]byte     // acknowledged recordings and their content
	requests map[record.Digest]string // filed at both keyholders
	opened   int
	unclear  []string
}

func newSiege(t *testing.T) *siege {
	built = true
	program, err := arca()
	if err != nil {
		t.Fatal(err)
	}
	s := &siege{world: newWorld(t, installation.ServeOptions{}), c: newCampaign(t), program: program, safe: map[record.ID][]byte{}, requests: map[record.Digest]string{}}
	s.cast()
	s.chain = s.admit(s.draft("DP-0000/17", unitA, target))
	s.col = s.collector("collector")
	s.m = s.mirrorAt(s.f.Dir("mirror"))
	s.work(context.Background(), 0) // so that units exist and something can be opened from the first round on
	s.stop()
	return s
}

// start runs arca serve and waits until all of it listens.
func (s *siege) start() {
	s.said = &bytes.Buffer{}
	s.server = exec.Command(s.program, "--dir", s.f.Path, "serve", "--sequence", "1s", "--no-collector")
	s.server.Stdout, s.server.Stderr = s.said, s.said
	s.check(s.server.Start())
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.f.Addresses["custodian"]) // the last to listen
		if err == nil {
			conn.Close()
			return
		}
	}
	s.kill()
	s.tb.Fatalf("arca serve does not come up again:\n%s%s", s.said, s.logs())
}

// kill ends the process as a power cut would, as far as this machine's programs can tell.
func (s *siege) kill() {
	_ = s.server.Process.Kill()
	_ = s.server.Wait()
}

// note keeps what a client was told.
func (s *siege) note(who string, err error) {
	if err == nil {
		return
	}
	if why := unclear(err); why != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unclear = append(s.unclear, who+": "+why)
	}
}

// seal seals, and sends what it can.
func (s *siege) seal(ctx context.Context, round, i int) {
	content := fmt.Appendf(nil, "round %d, message %d: bring it at nine", round, i)
	it := clip{chain: s.chain, name: fmt.Sprintf("message %d-%d", round, i), codec: "text", kind: "message", number: target, start: s.recent(), content: content}.item()
	out, err := s.col.Seal(ctx, []collector.Item{it}, nil)
	s.note("the collector seals", err)
	if err == nil && out[0].Err == nil {
		s.mu.Lock()
		s.safe[out[0].Recording] = content
		s.mu.Unlock()
	}
	s.note("the collector sends", s.col.Tick(ctx))
}

// read mirrors, asks, and opens what it gets.
func (s *siege) read(ctx context.Context) {
	_, err := s.m.Sync(ctx, nil)
	s.note("the mirror", err)
	var out bytes.Buffer
	cfg := s.readerConfig("investigator", s.m, &out)
	cfg.Patience = time.Second
	r, err := reader.Open(cfg)
	s.check(err)
	asked, err := r.Ask(ctx, reader.AskInput{Chain: s.chain, Week: seal.WeekOf(s.recent()), Class: seal.ContentClass, Purpose: purpose})
	s.note("the reader asks", err)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.requests[asked.Hash] = "asked"
	s.mu.Unlock()
	boss := s.reader("supervisor", nil, nil)
	err = boss.Decide(ctx, asked.Hash, true, "within the order")
	s.note("the supervisor", err)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.requests[asked.Hash] = "approved"
	s.mu.Unlock()
	if _, err = r.Send(ctx, asked.Hash); err == nil {
		_, err = r.Release(ctx, asked.Hash)
	}
	s.note("the reader", err)
	if err == nil {
		s.mu.Lock()
		s.opened++
		s.mu.Unlock()
	}
}

// work lets everybody work until ctx ends; without an end each works once.
func (s *siege) work(ctx context.Context, round int) {
	var all sync.WaitGroup
	once := ctx.Done() == nil
	all.Go(func() {
		for i := 0; i == 0 || !once && ctx.Err() == nil; i++ {
			s.seal(ctx, round, i)
		}
	})
	all.Go(func() {
		for i := 0; i == 0 || !once && ctx.Err() == nil; i++ {
			s.read(ctx)
		}
	})
	all.Wait()
}

// round starts everything, lets everybody work, and kills the parties at a random moment.
func (s *siege) round(n int) {
	s.start()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	var all sync.WaitGroup
	all.Go(func() { s.work(ctx, n) })
	time.Sleep(time.Duration(s.c.IntN(900)) * time.Millisecond)
	s.kill()
	cancel()
	all.Wait()
}

// TestKillCampaign kills the real arca serve at random moments while a collector seals and a reader opens.
func TestKillCampaign(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	rounds := 4
	if s.c.full {
		rounds = 100
	}
	for n := 1; n <= rounds; n++ {
		s.round(n)
	}
	s.start()
	defer s.kill()
	s.settle()
	for _, text := range s.missing() {
		t.Error(text)
	}
	// The twin is an installation that has lost one recording: the same look must miss it.
	s.safe[nonce()] = []byte("acknowledged and lost")
	if len(s.missing()) != 1 {
		t.Error("a lost recording is not missed; the campaign proves nothing")
	}
	for _, party := range installation.Keyholders {
		for _, of := range []record.Digest{{}, s.chain} {
			s.journal(party, of)
		}
	}
	s.oneHistory()
	for _, text := range s.unclear {
		t.Error(text)
	}
	t.Logf("%d kills; %d recordings were acknowledged, %d requests filed, %d released", rounds, len(s.safe), len(s.requests), s.opened)
}

// settle drains the spool and lets the mirror follow.
func (s *siege) settle() {
	s.tb.Helper()
	var err error
	for range 30 {
		if err = s.col.Flush(context.Background()); err == nil {
			break
		}
		pause()
	}
	s.flush(s.col)
	s.follow(s.m)
}

// missing opens every acknowledged recording, looks for every filed request, and says what is not as it was.
func (s *siege) missing() (wrong []string) {
	s.tb.Helper()
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	var out bytes.Buffer
	r := s.reader("investigator", s.m, &out)
	in := reader.AskInput{Chain: s.chain, Week: seal.WeekOf(s.recent()), Class: seal.IndexClass}
	list, err := r.List(context.Background(), s.ask(r, in))
	s.check(err)
	if !list.Complete {
		say("the listing is not complete: %v", list.Warnings)
	}
	s.granted(r, "supervisor", in)
	found := map[record.ID]bool{}
	for _, row := range list.Rows {
		found[record.ID(row.ID)] = true
		want, ok := s.safe[record.ID(row.ID)]
		if !ok {
			continue // it was sealed, and the collector was not told in time
		}
		out.Reset()
		if _, err := r.Open(context.Background(), row.ID.String(), "-", reader.Range{}); err != nil || !bytes.Equal(out.Bytes(), want) {
			say("%s does not open as it was sealed: %v", row.Name, err)
		}
	}
	for id := range s.safe {
		if !found[id] {
			say("recording %s was acknowledged and is not there", id)
		}
	}
	for hash, state := range s.requests {
		for _, party := range installation.Keyholders {
			asked, err := s.keyholder(party, "investigator").Request(context.Background(), hash)
			if err != nil || state == "approved" && len(asked.Approvals) != 1 {
				say("the %s lost a request or its approval: %d, %v", party, len(asked.Approvals), err)
			}
		}
	}
	return wrong
}

// journal demands that a case's events have no gap, chain to each other, and come into the log.
func (s *siege) journal(party string, of record.Digest) {
	s.tb.Helper()
	var previous record.Digest
	number := int64(0)
	for from := int64(1); ; {
		page, err := s.keyholder(party, "auditor").Log(context.Background(), of, from)
		s.check(err)
		for _, e := range page.Events {
			var event record.Event
			s.check(record.Unmarshal(e.Event, &event))
			if number++; event.Number != number || event.Previous != previous || event.Case != of || event.Author != party {
				s.tb.Fatalf("%s: the journal breaks at event %d", party, number)
			}
			s.inLog(party, event, ledger.Commit(ledger.Opening{Event: e.Event, Random: [32]byte(e.Random)}))
			previous = record.HashBytes(e.Event)
		}
		if len(page.Events) == 0 {
			return
		}
		from = page.Next
	}
}

// inLog waits until the log proves an entry.
func (s *siege) inLog(party string, event record.Event, entry ledger.Entry) {
	var err error
	for range 100 {
		var proof []byte
		if proof, err = s.vault("mirror").Proof(context.Background(), entry); err == nil {
			_, _, err = must(ledger.NewVerifier(ledger.PolicyOf(&s.trust))).VerifyInclusion(entry, proof)
			s.check(err)
			return
		}
		if problem.KindOf(err) == problem.NotFound {
			break
		}
		pause()
	}
	s.tb.Errorf("%s: the log does not prove event %d (%s): %v", party, event.Number, event.Kind, err)
}

// oneHistory audits the mirror, which has followed the log through every kill, and demands that no entry is in the log twice.
func (s *siege) oneHistory() {
	audited, err := s.m.Audit(context.Background(), nil)
	if err != nil || len(audited.Findings) > 0 {
		s.tb.Errorf("the mirror: %+v, %v", audited, err)
	}
	evidence, err := filepath.Glob(s.f.Dir("mirror", "evidence", "*"))
	if err != nil || len(evidence) > 0 {
		s.tb.Errorf("the log has told two histories: %v", evidence)
	}
	signed, err := s.vault("mirror").Checkpoint(context.Background())
	s.check(err)
	c, err := must(ledger.NewVerifier(ledger.PolicyOf(&s.trust))).Verify(signed)
	s.check(err)
	seen := map[ledger.Entry]bool{}
	for at := int64(0); at < c.Size; at += 256 {
		path := fmt.Sprintf("tile/entries/%03d", at/256)
		if left := c.Size - at; left < 256 {
			path += fmt.Sprintf(".p/%d", left)
		}
		raw, err := s.vault("mirror").Tile(context.Background(), path)
		s.check(err)
		list, err := ledger.ParseBundle(raw)
		s.check(err)
		for _, e := range list {
			if seen[e] {
				s.tb.Error("an entry is in the log twice")
			}
			seen[e] = true
		}
	}
	if int64(len(seen)) != c.Size {
		s.tb.Errorf("%d entries under a checkpoint of %d", len(seen), c.Size)
	}
}
