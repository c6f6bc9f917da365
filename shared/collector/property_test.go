package collector

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// TestAnyItemsRoundTrip: whatever is sealed, in whatever sizes and orders, known or unknown in length, comes out the same, once.
func TestAnyItemsRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(smallGeometry)
		chains := []record.Digest{w.order("a", nil), w.order("b", nil), w.order("c", nil)}
		c := openCollector(t, w.config(memoryFolder(t)))
		defer c.Close()
		sizes := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(seal.SegmentSize-2, seal.SegmentSize+2),
			rapid.IntRange(140_000, 230_000), rapid.IntRange(0, 700_000))
		contents := map[string][]byte{}
		for range rapid.IntRange(1, 2).Draw(rt, "calls") {
			var items []Item
			for range rapid.IntRange(1, 10).Draw(rt, "items") {
				name := fmt.Sprint(len(contents))
				contents[name] = pattern(sizes.Draw(rt, "size"), uint32(len(contents)))
				it := item(chains[rapid.IntRange(0, 2).Draw(rt, "order")], name, rapid.SampledFrom([]int{11, 17}).Draw(rt, "day"), contents[name])
				if rapid.Bool().Draw(rt, "stream") {
					it.Size = -1
				}
				if rapid.IntRange(0, 9).Draw(rt, "titled") == 0 {
					it.Description.Title = strings.Repeat("t", 200)
				}
				items = append(items, it)
			}
			sealAll(t, c, items)
		}
		flush(t, c)
		var units []seal.Unit
		for _, chain := range chains {
			units = append(units, unitOf(chain, 11), unitOf(chain, 17))
		}
		all := w.open(t, units...)
		if len(all) != len(contents) {
			t.Fatalf("%d recordings came out, %d went in", len(all), len(contents))
		}
		for _, o := range all {
			if !bytes.Equal(o.content, contents[o.description.Name]) {
				t.Fatalf("recording %s came out altered", o.description.Name)
			}
		}
	})
}

// TestInterleavedOrders: 500 orders one after another fill packs as one order would.
func TestInterleavedOrders(t *testing.T) {
	w := newWorld(seal.DefaultGeometry)
	var chains []record.Digest
	for i := range 100 {
		chains = append(chains, w.order(fmt.Sprint(i), nil))
	}
	c := openCollector(t, w.config(memoryFolder(t)))
	var items []Item
	plain := 0
	for i := range 1500 {
		content := pattern(30_000, uint32(i))
		plain += len(content)
		items = append(items, item(chains[i%len(chains)], fmt.Sprint(i), 11, content))
	}
	sealAll(t, c, items)
	packs := c.waiting()
	if most := plain/w.vault.g.BodySize() + 2; len(packs) > most {
		t.Fatalf("%d packs for %d bytes, at most %d were expected", len(packs), plain, most)
	}
}

// cheap is content that costs nothing to make.
type cheap struct{ left int64 }

func (r *cheap) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), r.left)
	r.left -= n
	return int(n), nil
}

// resident is the memory of this process that is really there, 0 if unknown.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	var size, pages int64
	if _, scanErr := fmt.Sscan(string(b), &size, &pages); err != nil || scanErr != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// TestConstantMemory: a stream of 1 GiB needs no more memory than the pack buffers and a little.
func TestConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: writes 1 GiB")
	}
	const size = 1 << 30
	w := newWorld(seal.DefaultGeometry)
	it := item(w.order("a", nil), "large", 11, nil)
	it.Size, it.Open = -1, func() (io.ReadCloser, error) { return io.NopCloser(&cheap{size}), nil }
	cfg := w.config(t.TempDir())
	c := openCollector(t, cfg)
	runtime.GC()
	debug.FreeOSMemory()
	before := resident()
	if before == 0 {
		t.Skip("SKIPPED: this system does not tell a process's memory in /proc/self/statm")
	}
	var peak atomic.Int64
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				peak.Store(max(peak.Load(), resident()))
				// What is on disk is of no interest here and need not stay.
				for _, e := range c.waiting() {
					os.Remove(c.packPath(e.number))
				}
			}
		}
	}()
	results, err := c.Seal(context.Background(), []Item{it}, nil)
	close(stop)
	if err != nil || results[0].Err != nil || results[0].Length != size {
		t.Fatal(err, results[0].Err)
	}
	above := peak.Load() - before
	t.Logf("%d MiB above the start", above>>20)
	if above > 64<<20 {
		t.Fatalf("%d bytes above the start", above)
	}
}
