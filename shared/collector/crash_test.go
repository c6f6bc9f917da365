package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
)

var errKilled = errors.New("the process is dead")

// smallGeometry is the smallest pack that there may be, so that many crashes take little time.
var smallGeometry = seal.Geometry{Size: 1 << 18, Slots: 8}

// mortal stops everything at the k-th step, as kill -9 does: no later write or call happens.
type mortal struct{ left atomic.Int64 }

func mortalAt(k int) *mortal {
	m := &mortal{}
	m.left.Store(int64(k))
	return m
}

func (m *mortal) step(string) error {
	if m.left.Add(-1) < 0 {
		return errKilled
	}
	return nil
}

// crashWork is what the crash tests do: seal small and large items of two units, send, seal again, send.
func crashWork(c *Collector, chain record.Digest, round int) (sealed []Sealed, err error) {
	for i := range 2 {
		salt := uint32(100*round + 10*i)
		results, err := c.Seal(context.Background(), []Item{
			item(chain, fmt.Sprint(salt, " small"), 11, pattern(1000, salt)), item(chain, fmt.Sprint(salt, " other week"), 17, pattern(70_000, salt+1)),
			item(chain, fmt.Sprint(salt, " large"), 11, pattern(300_000, salt+2)),
		}, nil)
		for _, r := range results {
			if r.Err == nil {
				sealed = append(sealed, r)
			}
		}
		if err != nil {
			return sealed, err
		}
		if err := c.Flush(context.Background()); err != nil {
			return sealed, err
		}
	}
	return sealed, nil
}

// TestCrashBetweenAnyTwoSteps stops the collector before each of its writes and calls in turn, starts it again on the same
// folder, and demands: what was reported as sealed comes out whole and with a receipt; batches are numbered without
// gap or reuse (the keyholders accuse); no number is left as a gap; nothing plain is left in the folder.
func TestCrashBetweenAnyTwoSteps(t *testing.T) {
	for k, done := 0, false; !done; k++ {
		w := newWorld(smallGeometry)
		chain := w.order("a", nil)
		cfg := w.config(memoryFolder(t))
		cfg.fault = mortalAt(k).step
		var sealed []Sealed
		c, err := Open(cfg)
		if err == nil {
			sealed, err = crashWork(c, chain, 1)
			c.Close()
		}
		done = err == nil
		cfg.fault = nil
		afterCrash(t, w, cfg, chain, sealed, fmt.Sprint("step ", k))
		if k > 2000 {
			t.Fatal("it never ends")
		}
		if testing.Short() {
			k += 12
		}
	}
}

// afterCrash starts again, goes on working, and checks everything.
func afterCrash(t *testing.T, w *world, cfg Config, chain record.Digest, sealed []Sealed, when string) {
	t.Helper()
	c, err := Open(cfg)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	defer c.Close()
	more, err := crashWork(c, chain, 2)
	if err != nil || len(more) != 6 {
		t.Fatalf("%s: after the crash %d sealed, %v", when, len(more), err)
	}
	if left := must(c.List(context.Background())); len(left) > 0 {
		t.Fatalf("%s: left in the spool: %+v", when, left)
	}
	all := w.open(t, unitOf(chain, 11), unitOf(chain, 17))
	for _, s := range append(sealed, more...) {
		got, ok := all[s.Recording]
		if !ok {
			t.Fatalf("%s: a recording that was reported as sealed is lost", when)
		}
		if salt, what, _ := strings.Cut(s.Name, " "); !bytes.Equal(got.content, crashContent(salt, what)) {
			t.Fatalf("%s: a recording came out altered", when)
		}
		raw, err := c.Receipt(context.Background(), s)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if _, err := bundle.VerifyReceipt(w.trust, w.hash, raw); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
	}
	if w.court.filed != w.custodian.filed {
		t.Fatalf("%s: the keyholders hold different batches", when)
	}
	for n := uint64(1); n < w.vault.next; n++ {
		if w.vault.packs[n] == nil || w.vault.packs[n].event == nil {
			t.Fatalf("%s: number %d is a gap", when, n)
		}
	}
	if files := must(os.ReadDir(c.path(packFolder))); len(files) > 0 {
		t.Fatalf("%s: %d files are left, such as %s", when, len(files), files[0].Name())
	}
}

func crashContent(salt, what string) []byte {
	n := uint32(must(strconv.Atoi(salt)))
	switch what {
	case "small":
		return pattern(1000, n)
	case "other week":
		return pattern(70_000, n+1)
	}
	return pattern(300_000, n+2)
}

// TestFailedButLanded: each call of each party fails in turn, before it did anything and after it did everything. The
// collector goes on by itself when it is asked again.
func TestFailedButLanded(t *testing.T) {
	for _, name := range []string{"reserve", "reserve landed", "upload", "put", "put landed", "arrived", "arrived landed", "packs", "proof", "note", "note landed", "status", "unit", "order"} {
		for nth := range 4 {
			t.Run(fmt.Sprint(name, nth), func(t *testing.T) {
				w := newWorld(smallGeometry)
				chain := w.order("a", nil)
				var left atomic.Int64
				left.Store(int64(nth))
				fail := func(call string) error {
					if call != name {
						return nil
					}
					if left.Add(-1) == -1 {
						return problem.New(problem.Unavailable, "down")
					}
					return nil
				}
				w.vault.fail, w.court.fail = fail, fail
				cfg := w.config(memoryFolder(t))
				c := openCollector(t, cfg)
				sealed, _ := crashWork(c, chain, 1)
				c.Close()
				w.vault.fail, w.court.fail = nil, nil
				afterCrash(t, w, cfg, chain, sealed, name)
			})
		}
	}
}

// TestRestoredKeyholder: a keyholder that was restored from yesterday's rows gets the notes that it misses again.
func TestRestoredKeyholder(t *testing.T) {
	w := newWorld(smallGeometry)
	chain := w.order("a", nil)
	cfg := w.config(memoryFolder(t))
	c := openCollector(t, cfg)
	if _, err := crashWork(c, chain, 3); err != nil {
		t.Fatal(err)
	}
	if w.custodian.filed < 4 {
		t.Fatal("too few batches for this test")
	}
	fresh := newFakeKeyholder(w, seal.Custodian)
	fresh.chains, fresh.units = w.custodian.chains, w.custodian.units
	c.cfg.Custodian, w.custodian = fresh, fresh
	if _, err := crashWork(c, chain, 4); err != nil {
		t.Fatal(err)
	}
	if w.custodian.filed != w.court.filed {
		t.Fatalf("%d notes, the court has %d", w.custodian.filed, w.court.filed)
	}
}

// TestDiskFull: sealing stops with a clear error, what was reported stays, and it goes on when there is room.
func TestDiskFull(t *testing.T) {
	for room := range 8 {
		w := newWorld(smallGeometry)
		chain := w.order("a", nil)
		cfg := w.config(memoryFolder(t))
		left := room
		cfg.fault = func(step string) error {
			if strings.HasPrefix(step, "write 0") {
				if left--; left < 0 {
					return &os.PathError{Op: "write", Path: "pack", Err: syscall.ENOSPC}
				}
			}
			return nil
		}
		c := openCollector(t, cfg)
		var items []Item
		for i := range 12 {
			items = append(items, item(chain, fmt.Sprint(i), 11, pattern(180_000, uint32(i))))
		}
		results, err := c.Seal(context.Background(), items, nil)
		if problem.KindOf(err) != problem.Unavailable || !strings.Contains(problem.MessageOf(err), "full") {
			t.Fatalf("room for %d: %v", room, err)
		}
		left = 1000
		safe, again := 0, []Item{}
		for i, r := range results {
			if r.Err == nil {
				safe++
			} else {
				again = append(again, items[i])
			}
		}
		if room > 2 && safe == 0 {
			t.Fatalf("room for %d writes and nothing was safe", room)
		}
		if c.broken != nil {
			c.Close()
			c = openCollector(t, cfg)
		}
		sealAll(t, c, again)
		flush(t, c)
		if n := len(w.open(t, unitOf(chain, 11))); n != len(items) {
			t.Fatalf("room for %d: %d recordings", room, n)
		}
	}
}

// TestVaultLies: whatever the vault says, a pack file goes only against a proof of just this pack.
func TestVaultLies(t *testing.T) {
	for name, lie := range map[string]func(*world) Vault{
		"another pack under the number": func(w *world) Vault { return &lyingVault{fakeVault: w.vault, event: true} },
		"an altered proof": func(w *world) Vault {
			return &lyingVault{fakeVault: w.vault, proof: func(b []byte) []byte { b[len(b)/2] ^= 1; return b }}
		},
		"a proof without witnesses": func(w *world) Vault {
			return &lyingVault{fakeVault: w.vault, proof: func(b []byte) []byte { return append(b[:bytes.LastIndex(b, []byte("— "))], '\n') }}
		},
		"confirmed and not listed": func(w *world) Vault { return &lyingVault{fakeVault: w.vault, arrived: true} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(smallGeometry)
			chain := w.order("a", nil)
			cfg := w.config(memoryFolder(t))
			cfg.Vault = lie(w)
			c := openCollector(t, cfg)
			r := sealAll(t, c, []Item{item(chain, "a", 11, []byte("x"))})
			if err := c.Flush(context.Background()); err == nil {
				t.Fatal("the lie was believed")
			}
			if _, err := os.Stat(c.packPath(r[0].Packs[0])); err != nil {
				t.Fatal("the pack file is gone")
			}
			if left := must(c.List(context.Background())); len(left) == 0 || left[0].Why == "" {
				t.Fatalf("%+v", left)
			}
			c.cfg.Vault = w.vault
			flush(t, c)
		})
	}
}

// TestKill9 kills a real process before each of its steps in turn.
func TestKill9(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: starts a process for every step")
	}
	for k, done := 0, false; !done; k += 3 {
		folder := memoryFolder(t)
		cmd := exec.Command(os.Args[0], "-test.run=TestKill9Victim$")
		cmd.Env = append(os.Environ(), "ARCA_KILL_FOLDER="+folder, "ARCA_KILL_AT="+strconv.Itoa(k))
		out, err := cmd.CombinedOutput()
		var names []string
		for line := range strings.Lines(string(out)) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "SEALED "); ok {
				names = append(names, name)
			}
		}
		done = err == nil
		if state, ok := errors.AsType[*exec.ExitError](err); !done && (!ok || state.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL) {
			t.Fatalf("step %d: %v\n%s", k, err, out)
		}
		w := newWorld(smallGeometry)
		w.vault.next = 1000 // the victim's vault died with it
		chain := w.order("a", nil)
		c := openCollector(t, w.config(folder))
		sealAll(t, c, []Item{item(chain, "after", 11, []byte("after"))})
		flush(t, c)
		found := map[string]bool{}
		for _, o := range w.open(t, unitOf(chain, 11), unitOf(chain, 17)) {
			found[o.description.Name] = true
		}
		for _, name := range append(names, "after") {
			if !found[name] {
				t.Fatalf("step %d: %s is lost", k, name)
			}
		}
		c.Close()
	}
}

// TestKill9Victim is the process that TestKill9 kills. It seals and does not send: its vault is in its own memory.
func TestKill9Victim(t *testing.T) {
	folder := os.Getenv("ARCA_KILL_FOLDER")
	if folder == "" {
		return // only TestKill9 starts it
	}
	var left atomic.Int64
	left.Store(int64(must(strconv.Atoi(os.Getenv("ARCA_KILL_AT")))))
	w := newWorld(smallGeometry)
	chain := w.order("a", nil)
	cfg := w.config(folder)
	cfg.fault = func(string) error {
		if left.Add(-1) < 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	c := must(Open(cfg))
	for round := range 3 {
		for _, r := range must(c.Seal(context.Background(), []Item{item(chain, fmt.Sprint(round, "a"), 11, pattern(280_000, 1)), item(chain, fmt.Sprint(round, "b"), 17, pattern(100, 2))}, nil)) {
			if r.Err == nil {
				fmt.Println("SEALED " + r.Name)
			}
		}
	}
}

type lyingVault struct {
	*fakeVault
	event   bool
	arrived bool
	proof   func([]byte) []byte
}

func (l *lyingVault) Packs(ctx context.Context, from uint64) (wire.Packs, error) {
	out, err := l.fakeVault.Packs(ctx, from)
	for i := range out.Packs {
		if l.event {
			out.Packs[i].Event = packEvent(out.Packs[i].Number, record.Digest{1}, record.Digest{2})
		}
	}
	return out, err
}

func (l *lyingVault) Upload(ctx context.Context, n uint64, pack, slots record.Digest) (store.Transfer, error) {
	return l.fakeVault.Upload(ctx, n, pack, slots)
}

func (l *lyingVault) Arrived(ctx context.Context, n uint64) error {
	if l.arrived {
		return nil
	}
	return l.fakeVault.Arrived(ctx, n)
}

func (l *lyingVault) Proof(ctx context.Context, e ledger.Entry) ([]byte, error) {
	b, err := l.fakeVault.Proof(ctx, e)
	if err == nil && l.proof != nil {
		b = l.proof(b)
	}
	return b, err
}
