package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/witness"
)

const origin = "vault.example/log"

func testKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func entry(n int) ledger.Entry {
	return ledger.Commit(ledger.Opening{Event: fmt.Appendf(nil, "event %d", n)})
}

func entries(from, to int) []ledger.Entry {
	var out []ledger.Entry
	for n := from; n < to; n++ {
		out = append(out, entry(n))
	}
	return out
}

// world is one log with real witnesses behind HTTP.
type world struct {
	t         testing.TB
	mem       *memory
	rows      store.Rows
	blobs     store.Blobs
	signer    note.Signer
	policy    ledger.Policy
	witnesses []Witness
	servers   []*httptest.Server
	mu        sync.Mutex
	clock     time.Time
}

func newWorld(t testing.TB, witnesses, quorum int) *world {
	mem := newMemory()
	w := &world{t: t, mem: mem, rows: mem, blobs: memoryBlobs{mem}, clock: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)}
	signer, vkey, err := ledger.NewLogSigner(origin, testKey("log"))
	if err != nil {
		t.Fatal(err)
	}
	w.signer = signer
	w.policy = ledger.Policy{Origin: origin, Log: vkey, Quorum: quorum}
	for i := range witnesses {
		name := fmt.Sprintf("witness-%d.example", i+1)
		wit, err := witness.New(witness.Options{
			Name: name, Key: testKey(name), Folder: t.TempDir(), Now: w.now,
			Logs: []witness.Log{{Origin: origin, Keys: []string{vkey}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(wit)
		t.Cleanup(func() { server.Close(); wit.Close() })
		w.servers = append(w.servers, server)
		w.policy.Witnesses = append(w.policy.Witnesses, wit.VerifierKeys()...)
		w.witnesses = append(w.witnesses, RemoteWitness{Client: &http.Client{Timeout: 5 * time.Second}, URL: server.URL, Called: name, Keys: wit.VerifierKeys()})
	}
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// open starts a process anew: nothing is remembered but what is stored.
func (w *world) open() *Ledger {
	l, err := NewLedger(w.rows, w.blobs, w.signer, w.policy, w.witnesses, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// audit reads the whole log as a stranger would and fails unless it is one
// tree with exactly the entries of want, each once and each provable.
func (w *world) audit(l *Ledger, want []ledger.Entry) ledger.Checkpoint {
	w.t.Helper()
	ctx := context.Background()
	signed, c, err := l.Checkpoint(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	if c.Size != int64(len(want)) {
		w.t.Fatalf("the log has %d entries, want %d", c.Size, len(want))
	}
	empty := ledger.Tree{Origin: origin, Root: sha256.Sum256(nil)}
	edge, err := ledger.OpenEdge(empty, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	seen := map[ledger.Entry]int64{}
	for from := int64(0); from < c.Size; from += ledger.TileWidth {
		tile := ledger.Tile{Entries: true, Number: from / ledger.TileWidth, Width: int(min(ledger.TileWidth, c.Size-from))}
		data, err := l.Tile(ctx, tile.Path())
		if err != nil {
			w.t.Fatal(err)
		}
		list, err := ledger.ParseBundle(data)
		if err != nil {
			w.t.Fatal(err)
		}
		for i, e := range list {
			if _, twice := seen[e]; twice {
				w.t.Fatalf("entry %s is in the log twice", e)
			}
			seen[e] = from + int64(i)
		}
		edge, _ = edge.Append(list)
	}
	if edge.Root() != c.Root {
		w.t.Fatal("the bundles do not lead to the checkpoint's root")
	}
	v, err := ledger.NewVerifier(w.policy)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range want {
		p, err := l.Proof(ctx, e)
		if err != nil {
			w.t.Fatalf("acknowledged entry %s: %v", e, err)
		}
		got, index, err := v.VerifyInclusion(e, p.Marshal())
		if err != nil {
			w.t.Fatal(err)
		}
		if index != seen[e] || got.Tree != c.Tree || !bytes.Equal(p.Checkpoint, signed) {
			w.t.Fatalf("entry %s: index %d, the bundle says %d", e, index, seen[e])
		}
	}
	return c
}

func TestAppendsAcrossTileBordersAreProven(t *testing.T) {
	w := newWorld(t, 3, 2)
	l := w.open()
	ctx := t.Context()
	var all []ledger.Entry
	var trees []ledger.Tree
	for _, n := range []int{0, 1, 1, 97, 99, 100, 255, 1, 256, 300, 2000, 0} {
		more := entries(len(all), len(all)+n)
		if err := l.Add(ctx, more); err != nil {
			t.Fatal(err)
		}
		all = append(all, more...)
		w.pass(time.Minute)
		out, err := l.Sequence(ctx)
		if err != nil {
			t.Fatal(err, out.Refusals)
		}
		if out.Added != n || out.Size != int64(len(all)) || out.Checkpoint.Latest != w.now() || len(out.Checkpoint.Witnesses) != 3 {
			t.Fatalf("%+v", out)
		}
		c := w.audit(w.open(), all)
		for _, old := range trees {
			_, path, err := l.Consistency(ctx, old.Size)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.CheckConsistency(old, path); err != nil {
				t.Fatal(err)
			}
		}
		trees = append(trees, c.Tree)
	}
	if _, err := l.Proof(ctx, entry(1<<20)); problem.KindOf(err) != problem.NotFound {
		t.Fatalf("an entry that was never added: %v", err)
	}
}

func TestAddingAgainChangesNothing(t *testing.T) {
	w := newWorld(t, 1, 1)
	l := w.open()
	ctx := t.Context()
	some := entries(0, 300)
	for range 3 {
		if err := l.Add(ctx, append(some, some...)); err != nil {
			t.Fatal(err)
		}
		if err := w.open().Add(ctx, some[10:200]); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Sequence(ctx); err != nil {
			t.Fatal(err)
		}
		w.audit(l, some)
	}
}

func TestPendingIsNotAProof(t *testing.T) {
	w := newWorld(t, 1, 1)
	l := w.open()
	ctx := t.Context()
	if _, _, err := l.Checkpoint(ctx); !errors.Is(err, ledger.ErrUnwitnessed) {
		t.Fatal(err)
	}
	if err := l.Add(ctx, entries(0, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Proof(ctx, entry(0)); !errors.Is(err, ledger.ErrUnwitnessed) || problem.KindOf(err) != problem.Unavailable {
		t.Fatal(err)
	}
}

func TestAppendIsOneWithTheCallersState(t *testing.T) {
	w := newWorld(t, 1, 1)
	l := w.open()
	ctx := t.Context()
	writes, err := l.Append(ctx, entry(0), entry(1), entry(0))
	if err != nil || len(writes) != 3 {
		t.Fatal(len(writes), err)
	}
	own := store.Write{Op: store.Put, Key: "deposit/1", Value: []byte("x"), Version: 7} // does not hold
	if err := w.rows.Commit(ctx, append(writes, own)...); problem.KindOf(err) != problem.Conflict {
		t.Fatal(err)
	}
	if _, err := l.Proof(ctx, entry(0)); problem.KindOf(err) != problem.NotFound {
		t.Fatalf("the entry exists without the state: %v", err)
	}
	own.Version = 0
	if err := w.rows.Commit(ctx, append(writes, own)...); err != nil {
		t.Fatal(err)
	}
	if again, err := l.Append(ctx, entry(1), entry(0)); err != nil || len(again) != 0 {
		t.Fatal("an entry that is in would be written again", again, err)
	}
	if _, err := l.Append(ctx, entries(0, MaxAppend+1)...); problem.KindOf(err) != problem.Invalid {
		t.Fatal(err)
	}
	if _, err := l.Sequence(ctx); err != nil {
		t.Fatal(err)
	}
	w.audit(l, entries(0, 2))
}

func TestConcurrentAddersAppendersAndSequencers(t *testing.T) {
	w := newWorld(t, 3, 2)
	ctx := t.Context()
	const processes, each = 4, 150
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for p := range processes {
		l := w.open()
		for i := range each {
			wg.Go(func() {
				n := p*each + i
				if i%3 == 0 {
					appendUntilIn(t, w, l, entry(n))
				} else if err := l.Add(ctx, []ledger.Entry{entry(n), entry(n - n%7)}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	var sequencers sync.WaitGroup
	for range 3 {
		l := w.open()
		sequencers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := l.Sequence(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	sequencers.Wait()
	if t.Failed() {
		return
	}
	l := w.open()
	if out, err := l.Sequence(ctx); err != nil {
		t.Fatal(err, out.Refusals)
	}
	w.audit(l, entries(0, processes*each))
}

func appendUntilIn(t *testing.T, w *world, l *Ledger, e ledger.Entry) {
	for try := 0; ; try++ {
		writes, err := l.Append(t.Context(), e)
		if err != nil {
			t.Error(err)
			return
		}
		if len(writes) == 0 {
			return
		}
		if err = w.rows.Commit(t.Context(), writes...); err == nil {
			return
		}
		if problem.KindOf(err) != problem.Conflict || try > 100 {
			t.Error(err)
			return
		}
	}
}

// TestEveryWriteFails fails each write of adding and sequencing in turn, in
// four ways, and audits the log that the next process makes of what is left.
func TestEveryWriteFails(t *testing.T) {
	for _, mode := range []struct {
		name         string
		landed, kill bool
	}{{"failed", false, false}, {"failed but landed", true, false}, {"killed before", false, true}, {"killed after", true, true}} {
		t.Run(mode.name, func(t *testing.T) {
			points := 0
			for at := 1; ; at++ {
				if !failAt(t, at, mode.landed, mode.kill) {
					break
				}
				points++
			}
			if points < 12 {
				t.Fatalf("only %d writes were failed", points)
			}
		})
	}
}

// failAt reports whether there was a write number at.
func failAt(t *testing.T, at int, landed, kill bool) bool {
	w := newWorld(t, 1, 1)
	ctx := context.Background()
	before := w.open()
	if err := before.Add(ctx, entries(0, 200)); err != nil {
		t.Fatal(err)
	}
	if _, err := before.Sequence(ctx); err != nil {
		t.Fatal(err)
	}
	_, old, err := before.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.mem.revive()
	w.mem.failAt, w.mem.landed, w.mem.kill = at, landed, kill
	acknowledged := entries(0, 200)
	doomed := w.open()
	for n := 200; n < 330; n += 65 {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		if err := doomed.Add(short, entries(n, n+65)); err == nil {
			acknowledged = append(acknowledged, entries(n, n+65)...)
		}
		cancel()
		doomed.Sequence(ctx)
	}
	w.mem.mu.Lock()
	reached := w.mem.writes >= at
	w.mem.mu.Unlock()
	w.mem.revive()
	after := w.open()
	w.pass(time.Minute)
	for range 2 { // twice equals once
		if out, err := after.Sequence(ctx); err != nil {
			t.Fatalf("write %d: %v %v", at, err, out.Refusals)
		}
	}
	for _, e := range acknowledged {
		if _, err := after.Proof(ctx, e); err != nil {
			t.Fatalf("write %d: an acknowledged entry is lost: %v", at, err)
		}
	}
	if err := after.Add(ctx, entries(0, 330)); err != nil { // whoever got an error adds again
		t.Fatal(err)
	}
	if _, err := after.Sequence(ctx); err != nil {
		t.Fatal(err)
	}
	c := w.audit(w.open(), entries(0, 330))
	_, path, err := after.Consistency(ctx, old.Size)
	if err == nil {
		err = c.CheckConsistency(old.Tree, path)
	}
	if err != nil {
		t.Fatalf("write %d: two histories: %v", at, err)
	}
	return reached
}
