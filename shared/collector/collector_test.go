package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// sealAll seals items and demands that every one is safe.
func sealAll(tb testing.TB, c *Collector, items []Item) []Sealed {
	tb.Helper()
	results, err := c.Seal(context.Background(), items, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i, r := range results {
		if r.Err != nil {
			tb.Fatalf("item %d: %v", i, r.Err)
		}
	}
	return results
}

func flush(tb testing.TB, c *Collector) {
	tb.Helper()
	if err := c.Flush(context.Background()); err != nil {
		tb.Fatal(err)
	}
	if left := must(c.List(context.Background())); len(left) > 0 {
		tb.Fatalf("still in the spool: %+v", left)
	}
}

func TestJourney(t *testing.T) {
	w := newWorld(seal.TinyGeometry)
	a, b := w.order("a", nil), w.order("b", nil)
	c := openCollector(t, w.config(t.TempDir()))
	sizes := []int{0, 1, 100, seal.SegmentSize, seal.SegmentSize + 1, 300_000, 900_000, 5_000_000, 17, 2_500_000}
	var items []Item
	var contents [][]byte
	for i, n := range sizes {
		chain, day := a, 11
		if i%3 == 1 {
			chain = b
		}
		if i%4 == 3 {
			day = 17
		}
		contents = append(contents, pattern(n, uint32(i)))
		it := item(chain, fmt.Sprintf("file %d", i), day, contents[i])
		if i%2 == 1 {
			it.Size = -1
		}
		items = append(items, it)
	}
	results := sealAll(t, c, items)
	if entries := must(os.ReadDir(c.path(packFolder))); len(entries) < 16 {
		t.Fatalf("only %d files in the spool", len(entries))
	}
	flush(t, c)
	all := w.open(t, unitOf(a, 11), unitOf(a, 17), unitOf(b, 11), unitOf(b, 17))
	if len(all) != len(items) {
		t.Fatalf("%d recordings came out, %d went in", len(all), len(items))
	}
	for i, r := range results {
		got := all[r.Recording]
		if !bytes.Equal(got.content, contents[i]) || got.description.Name != items[i].Description.Name || got.description.Target != line1 || got.unit != r.Unit {
			t.Fatalf("item %d came out wrong", i)
		}
		raw, err := c.Receipt(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		res, err := bundle.VerifyReceipt(w.trust, w.hash, raw)
		if err != nil {
			t.Fatal(err)
		}
		if res.Recording != r.Recording || res.Name != r.Name || len(res.Packs) != len(r.Packs) || res.Unit != r.Unit {
			t.Fatalf("receipt says %+v", res)
		}
	}
	count := 0
	if err := c.Receipts(context.Background(), 0, func(r Received) error { count++; return nil }); err != nil || count != len(items) {
		t.Fatalf("%d receipts, %v", count, err)
	}
}

// TestRefusals: an order's limits as sentences. Nothing refused leaves a trace in any pack.
func TestRefusals(t *testing.T) {
	other := record.Identifier{Kind: "msisdn", Value: "+12025550102"}
	for name, change := range map[string]func(*Item){
		"a number that the order does not name": func(i *Item) { i.Description.From, i.Description.To = other.Value, "+12025550103" },
		"a target that the order does not name": func(i *Item) { i.Description.Target = other },
		"a kind that the order does not cover":  func(i *Item) { i.Description.Kind = "location" },
		"a second before the window":            func(i *Item) { i.Description.Start = decided.Add(-time.Second) },
		"ends when the window has ended":        func(i *Item) { i.Description.Start, i.Description.End = until.Add(-time.Minute), until },
		"starts when the window ends":           func(i *Item) { i.Description.Start, i.Description.End = until, until },
		"ends before it starts":                 func(i *Item) { i.Description.End = i.Description.Start.Add(-time.Second) },
		"an order that nobody admitted":         func(i *Item) { i.Chain[0] ^= 1 },
		"a name with a line break":              func(i *Item) { i.Description.Name = "a\nb" },
		"a name that climbs":                    func(i *Item) { i.Description.Name = "../../etc/passwd" },
		"a name that is dots":                   func(i *Item) { i.Description.Name = ".." },
		"a name that is not UTF-8":              func(i *Item) { i.Description.Name = "\xff" },
		"a start with a fraction of a second":   func(i *Item) { i.Description.Start = i.Description.Start.Add(time.Millisecond) },
		"a second part without its predecessor": func(i *Item) { i.Description.Part.Number = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(seal.TinyGeometry)
			chain := w.order("a", nil)
			c := openCollector(t, w.config(t.TempDir()))
			bad, good := item(chain, "bad", 11, []byte("x")), item(chain, "good", 11, []byte("y"))
			bad.Open = func() (io.ReadCloser, error) { t.Error("refused content was opened"); return nil, io.EOF }
			change(&bad)
			results, err := c.Seal(context.Background(), []Item{bad, good}, nil)
			if err != nil || results[0].Err == nil || !results[0].Refused || results[1].Err != nil {
				t.Fatalf("%v, %+v", err, results)
			}
			list, torn, err := c.Refusals()
			if err != nil || torn != 0 || len(list) != 1 || list[0].Reason != problem.MessageOf(results[0].Err) {
				t.Fatalf("refusals %+v, %d torn, %v", list, torn, err)
			}
			flush(t, c)
			if n := len(w.open(t, unitOf(chain, 11))); n != 1 {
				t.Fatalf("%d recordings", n)
			}
		})
	}
}

// TestLastSecond: the window's last second is inside.
func TestLastSecond(t *testing.T) {
	w := newWorld(seal.TinyGeometry)
	chain := w.order("a", nil)
	c := openCollector(t, w.config(t.TempDir()))
	first, last := item(chain, "first", 11, nil), item(chain, "last", 11, nil)
	first.Description.Start, first.Description.End = decided, decided
	last.Description.Start, last.Description.End = until.Add(-time.Second), until.Add(-time.Second)
	sealAll(t, c, []Item{first, last})
}

// TestKeyholdersDisagree: one keyholder alone cannot have anything sealed.
func TestKeyholdersDisagree(t *testing.T) {
	stop := func(w *world, chain record.Digest, kind record.OrderKind) string {
		return must(record.Sign(w.keys["judge"], record.TypeOrder, now, record.Order{Audience: w.hash, Chain: chain, Court: "Court of Instruction 1 of Villarriba",
			Decided: decided.Add(time.Hour), Kind: kind, Profile: "ES-588ter", Reason: "on file"}))
	}
	for name, change := range map[string]func(*world, record.Digest){
		"only the court has admitted it":     func(w *world, chain record.Digest) { delete(w.custodian.chains, chain) },
		"only the custodian has admitted it": func(w *world, chain record.Digest) { delete(w.court.chains, chain) },
		"the custodian knows of a revocation": func(w *world, chain record.Digest) {
			w.custodian.chains[chain] = append(w.custodian.chains[chain], stop(w, chain, record.Revocation))
		},
		"the court knows of a suspension": func(w *world, chain record.Digest) {
			w.court.chains[chain] = append(w.court.chains[chain], stop(w, chain, record.Suspension))
		},
		"the custodian signs with a foreign key": func(w *world, chain record.Digest) { w.keys["custodian online"] = signerOf("mallory") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(seal.TinyGeometry)
			chain := w.order("a", nil)
			c := openCollector(t, w.config(t.TempDir()))
			change(w, chain)
			results, err := c.Seal(context.Background(), []Item{item(chain, "a", 11, []byte("x"))}, nil)
			if err != nil || results[0].Err == nil || !results[0].Refused {
				t.Fatalf("%v, %+v", err, results)
			}
		})
	}
}

// TestClock: a keyholder whose clock is off by more than five minutes is not believed.
func TestClock(t *testing.T) {
	for _, skew := range []time.Duration{6 * time.Minute, -6 * time.Minute} {
		w := newWorld(seal.TinyGeometry)
		chain := w.order("a", nil)
		w.custodian.skew = skew
		c := openCollector(t, w.config(t.TempDir()))
		if _, err := c.Seal(context.Background(), []Item{item(chain, "a", 11, []byte("x"))}, nil); problem.KindOf(err) != problem.Unavailable {
			t.Fatal(err)
		}
	}
}

// TestForeignMembers: members that both statuses do not name are not believed, whoever signed them.
func TestForeignMembers(t *testing.T) {
	w := newWorld(seal.TinyGeometry)
	chain := w.order("a", nil)
	foreign := w.order("b", func(o *record.Order) { o.Scope.Identifiers[0].Value = "+12025550177" })
	lying := &lyingCourt{fakeKeyholder: w.court, members: w.court.chains[foreign]}
	cfg := w.config(t.TempDir())
	cfg.Court = lying
	c := openCollector(t, cfg)
	it := item(chain, "a", 11, []byte("x"))
	it.Description.From = "+12025550177"
	results, err := c.Seal(context.Background(), []Item{it}, nil)
	if err != nil || !results[0].Refused || problem.KindOf(results[0].Err) != problem.Conflict {
		t.Fatalf("%v, %+v", err, results)
	}
}

// TestItemFailures: content that breaks off, grows or shrinks is its own item's failure and is not sealed.
func TestItemFailures(t *testing.T) {
	w := newWorld(seal.TinyGeometry)
	chain := w.order("a", nil)
	c := openCollector(t, w.config(t.TempDir()))
	var items []Item
	for i, size := range []int64{10, 3_000_000, -1, 9, 12} {
		it := item(chain, fmt.Sprint("bad ", i), 11, nil)
		it.Size = size
		n := []int{5, 2_000_000, 2_000_000, 12, 9}[i]
		it.Open = func() (io.ReadCloser, error) {
			r := io.Reader(bytes.NewReader(pattern(n, 1)))
			if i < 3 {
				r = io.MultiReader(r, brokenOff{})
			}
			return io.NopCloser(r), nil
		}
		items = append(items, it, item(chain, fmt.Sprint("good ", i), 11, pattern(400_000, uint32(i))))
	}
	closed := item(chain, "closed", 11, nil)
	closed.Open = func() (io.ReadCloser, error) { return nil, os.ErrNotExist }
	items = append(items, closed)
	results, err := c.Seal(context.Background(), items, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := 0
	for i, r := range results {
		if bad := i%2 == 0; bad != (r.Err != nil) || r.Refused {
			t.Fatalf("item %d: %v", i, r.Err)
		}
		if r.Err == nil {
			good++
		}
	}
	flush(t, c)
	if n := len(w.open(t, unitOf(chain, 11))); n != good {
		t.Fatalf("%d recordings, want %d", n, good)
	}
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestTwoCollectors: two folders and keys work at once, one folder does not.
func TestTwoCollectors(t *testing.T) {
	w := newWorld(seal.TinyGeometry)
	chain := w.order("a", nil)
	w.keys["collector 2"] = signerOf("collector 2")
	first := openCollector(t, w.config(t.TempDir()))
	if _, err := Open(w.config(first.cfg.Folder)); problem.KindOf(err) != problem.Unavailable {
		t.Fatal("a folder was opened twice")
	}
	cfg := w.config(t.TempDir())
	cfg.Signer = w.keys["collector 2"]
	second := openCollector(t, cfg)
	done := make(chan error)
	for i, c := range []*Collector{first, second} {
		go func() {
			for round := range 3 {
				results, err := c.Seal(context.Background(), []Item{item(chain, "a", 11, pattern(1_500_000, uint32(10*i+round)))}, nil)
				if err == nil {
					err = results[0].Err
				}
				if err = errors.Join(err, c.Flush(context.Background())); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.open(t, unitOf(chain, 11))); n != 6 {
		t.Fatalf("%d recordings", n)
	}
	foreign := w.config(first.cfg.Folder)
	foreign.Signer = w.keys["collector 2"]
	first.Close()
	if _, err := Open(foreign); problem.KindOf(err) != problem.Denied {
		t.Fatal("another collector's spool was opened")
	}
}

// TestTick: one dummy when there is nothing, all packs when there is something, and the same unit stays in order.
func TestTick(t *testing.T) {
	w := newWorld(seal.TinyGeometry)
	chain := w.order("a", nil)
	c := openCollector(t, w.config(t.TempDir()))
	for tick := range 3 {
		if err := c.Tick(context.Background()); err != nil {
			t.Fatal(err)
		}
		if w.vault.puts != tick+1 {
			t.Fatalf("%d packs after %d ticks", w.vault.puts, tick+1)
		}
	}
	sealAll(t, c, []Item{item(chain, "a", 11, pattern(1_500_000, 1))})
	if err := c.Tick(context.Background()); err != nil || w.vault.puts != 5 {
		t.Fatalf("%d packs, %v", w.vault.puts, err)
	}
	if left := must(c.List(context.Background())); len(left) != 0 {
		t.Fatalf("%+v", left)
	}
}

type lyingCourt struct {
	*fakeKeyholder
	members []string
}

func (l *lyingCourt) StatusAndMembers(ctx context.Context, nonce record.ID, chains ...record.Digest) (string, [][]string, error) {
	raw, members, err := l.fakeKeyholder.StatusAndMembers(ctx, nonce, chains...)
	for i := range members {
		members[i] = l.members
	}
	return raw, members, err
}
