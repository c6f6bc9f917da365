package vault

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

func TestTooFewWitnessesPublishNothingAndLoseNothing(t *testing.T) {
	w := newWorld(t, 3, 2)
	ctx := t.Context()
	all := w.witnesses
	if err := w.open().Add(ctx, entries(0, 10)); err != nil {
		t.Fatal(err)
	}
	w.witnesses = all[:1]
	l := w.open()
	out, err := l.Sequence(ctx)
	if !errors.Is(err, ledger.ErrUnwitnessed) || out.Added != 10 || out.Size != 10 || out.Checkpoint.Size != 0 {
		t.Fatalf("%+v %v", out, err)
	}
	if _, err := l.Proof(ctx, entry(3)); !errors.Is(err, ledger.ErrUnwitnessed) {
		t.Fatal(err)
	}
	w.witnesses = all
	l = w.open()
	if out, err = l.Sequence(ctx); err != nil || out.Added != 0 {
		t.Fatal(out, err)
	}
	w.audit(l, entries(0, 10))
	// With a checkpoint published, the old one stays until there is a better one.
	w.witnesses = []Witness{all[0], deafWitness{all[1]}, RemoteWitness{Client: http.DefaultClient, URL: "http://127.0.0.1:1", Called: all[2].Name(), Keys: w.policy.KeysOf(all[2].Name())}}
	l = w.open()
	if err := l.Add(ctx, entries(10, 20)); err != nil {
		t.Fatal(err)
	}
	out, err = l.Sequence(ctx)
	if !errors.Is(err, ledger.ErrUnwitnessed) || out.Size != 20 || out.Checkpoint.Size != 10 || len(out.Refusals) != 2 {
		t.Fatalf("%+v %v", out, err)
	}
}

// deafWitness answers with a valid line for another tree.
type deafWitness struct{ Witness }

func (deafWitness) AddCheckpoint(context.Context, ledger.Request) (string, error) {
	c, err := ledger.NewCosigner("witness-2.example", testKey("witness-2.example"))
	if err != nil {
		return "", err
	}
	return c.Cosign(ledger.Tree{Origin: origin, Size: 1}, time.Unix(1935000000, 0)).Line, nil
}

func TestHangingWitnessDoesNotHoldUpTheLog(t *testing.T) {
	w := newWorld(t, 3, 2)
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer server.Close()
	defer close(hang)
	w.witnesses[1] = RemoteWitness{Client: http.DefaultClient, URL: server.URL, Called: w.witnesses[1].Name(), Keys: w.policy.KeysOf(w.witnesses[1].Name())}
	began := time.Now()
	out, err := w.open().Sequence(t.Context())
	if err != nil || len(out.Checkpoint.Witnesses) != 2 || time.Since(began) > 2*time.Second {
		t.Fatalf("%v after %v: %+v", err, time.Since(began), out)
	}
}

func (m *memory) snapshot() (map[string]store.Row, map[string][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.rows), maps.Clone(m.blobs)
}

func (m *memory) restore(rows map[string]store.Row, blobs map[string][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows, m.blobs = maps.Clone(rows), maps.Clone(blobs)
}

// TestRolledBackStorageIsNotCosigned restores yesterday's storage and lets the
// log grow another way: shorter, as long and longer than what was witnessed.
func TestRolledBackStorageIsNotCosigned(t *testing.T) {
	for name, size := range map[string]int{"as restored": 10, "shorter": 15, "as long": 20, "longer": 25} {
		w := newWorld(t, 2, 2)
		ctx := t.Context()
		l := w.open()
		l.Add(ctx, entries(0, 10))
		if _, err := l.Sequence(ctx); err != nil {
			t.Fatal(err)
		}
		rows, blobs := w.mem.snapshot()
		l.Add(ctx, entries(10, 20))
		if _, err := l.Sequence(ctx); err != nil {
			t.Fatal(err)
		}
		w.mem.restore(rows, blobs)
		l = w.open()
		if err := l.Add(ctx, entries(1000, 1000+size-10)); err != nil {
			t.Fatal(err)
		}
		out, err := l.Sequence(ctx)
		if err == nil || out.Checkpoint.Size > 10 {
			t.Errorf("%s: a second history was published: %+v", name, out)
		}
		if rolledBack := size < 20; rolledBack != strings.Contains(problem.MessageOf(err), "rolled back") {
			t.Errorf("%s: %v", name, err)
		}
		if size == 20 && !errors.Is(errors.Join(out.Refusals...), ledger.ErrFork) {
			t.Errorf("%s: %v", name, out.Refusals)
		}
	}
}

// TestFlipEveryStoredByte flips a bit in every byte of every row and object of
// a small log. A fresh process may refuse, or give the same proof as before.
func TestFlipEveryStoredByte(t *testing.T) {
	w := newWorld(t, 1, 1)
	ctx := t.Context()
	l := w.open()
	const n = 259
	if err := l.Add(ctx, entries(0, n)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Sequence(ctx); err != nil {
		t.Fatal(err)
	}
	good := map[int][]byte{}
	for _, i := range []int{0, 130, n - 1} {
		p, err := l.Proof(ctx, entry(i))
		if err != nil {
			t.Fatal(err)
		}
		good[i] = p.Marshal()
	}
	rows, blobs := w.mem.snapshot()
	refused, same := 0, 0
	probe := func(what string, i int) {
		fresh := w.open()
		for j, want := range good {
			p, err := fresh.Proof(ctx, entry(j))
			switch {
			case err != nil:
				refused++
			case bytes.Equal(p.Marshal(), want):
				same++
			default:
				t.Errorf("%s byte %d: another proof is given out", what, i)
			}
		}
		w.mem.restore(rows, blobs)
	}
	for key, row := range rows {
		if strings.HasPrefix(key, "log/leaf/") && key != leafKey(entry(0)) && key != leafKey(entry(130)) {
			continue
		}
		for i := range row.Value {
			changed := row
			changed.Value = bytes.Clone(row.Value)
			changed.Value[i] ^= 1 << (i % 8)
			w.mem.rows[key] = changed
			probe(key, i)
		}
	}
	for key, data := range blobs {
		for i := 0; i < len(data); i += 1 + len(data)/256 {
			changed := bytes.Clone(data)
			changed[i] ^= 1 << (i % 8)
			w.mem.blobs[key] = changed
			probe(key, i)
		}
	}
	if refused < 500 {
		t.Fatalf("only %d refusals: the campaign changes nothing that matters", refused)
	}
	t.Logf("%d refused, %d unaffected", refused, same)
}

func TestAlteredPendingEntryNeverGetsAProof(t *testing.T) {
	w := newWorld(t, 1, 1)
	ctx := t.Context()
	l := w.open()
	if err := l.Add(ctx, entries(0, 3)); err != nil {
		t.Fatal(err)
	}
	for key, row := range w.mem.rows {
		if strings.HasPrefix(key, "log/batch/") {
			row.Value = bytes.Clone(row.Value)
			row.Value[40] ^= 1 // inside the second entry
			w.mem.rows[key] = row
		}
	}
	if _, err := l.Sequence(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Proof(ctx, entry(1)); !errors.Is(err, ledger.ErrAltered) {
		t.Fatal(err)
	}
	if _, err := l.Proof(ctx, entry(0)); err != nil {
		t.Fatal(err)
	}
}

// TestAlteredPlanIsNotCarriedOut changes a pending batch between plan and tiles.
func TestAlteredPlanIsNotCarriedOut(t *testing.T) {
	w := newWorld(t, 1, 1)
	ctx := t.Context()
	l := w.open()
	if err := l.Add(ctx, entries(0, 3)); err != nil {
		t.Fatal(err)
	}
	h, err := l.readHead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if h, _, _, err = l.plan(ctx, h); err != nil || h.Plan == nil {
		t.Fatal(err)
	}
	for key, row := range w.mem.rows {
		if strings.HasPrefix(key, "log/batch/") {
			row.Value = bytes.Clone(row.Value)
			row.Value[40] ^= 1
			w.mem.rows[key] = row
		}
	}
	if _, err := w.open().Sequence(ctx); !errors.Is(err, ledger.ErrAltered) {
		t.Fatal(err)
	}
}

// unplanned is the sequencer without its plan: it writes tiles of whatever is
// pending at the moment and only then the head.
func unplanned(ctx context.Context, l *Ledger) error {
	h, err := l.readHead(ctx)
	if err != nil {
		return err
	}
	batches, to, err := l.collect(ctx, h.Now.Cursors, nil)
	if err != nil || len(batches) == 0 {
		return err
	}
	edge, objects, err := l.extend(ctx, h, batches)
	if err != nil {
		return err
	}
	if err := l.putObjects(ctx, objects); err != nil {
		return err
	}
	done := head{Before: h.Now, Now: mark{Size: edge.Size(), Root: edge.Root(), Cursors: to}, version: h.version}
	if err := l.writeHead(ctx, done); err != nil {
		return err
	}
	done.version++
	return l.place(ctx, done)
}

// TestWithoutAPlanACrashBlocksTheLog is the reason for the plan: a sequencer
// that is killed after its tiles and before its head leaves tiles that the
// next one, which sees more entries, cannot write.
func TestWithoutAPlanACrashBlocksTheLog(t *testing.T) {
	crash := func(round func(context.Context, *Ledger) error) error {
		w := newWorld(t, 1, 1)
		ctx := t.Context()
		for n := range 3 { // 270 entries: a full tile and a bit
			if err := w.rows.Commit(ctx, batchWrites(40+n, 0, entries(90*n, 90*n+90))...); err != nil {
				t.Fatal(err)
			}
		}
		w.mem.revive()
		w.mem.failAt, w.mem.kill = 6, true // five objects, then the head; or the plan and four objects
		if round(ctx, w.open()) == nil {
			t.Fatal("the round was not killed")
		}
		w.mem.revive()
		// What comes now sorts before what is in the full tile already.
		if err := w.rows.Commit(ctx, batchWrites(1, 0, entries(500, 590))...); err != nil {
			t.Fatal(err)
		}
		return round(ctx, w.open())
	}
	if err := crash(unplanned); !errors.Is(err, ledger.ErrAltered) {
		t.Fatalf("the weakened sequencer is not caught: %v", err)
	}
	if err := crash(func(ctx context.Context, l *Ledger) error { _, _, err := l.round(ctx); return err }); err != nil {
		t.Fatal(err)
	}
}
