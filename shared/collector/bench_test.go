package collector

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// benchLarge is the size of the large file.
const benchLarge = 1 << 30

// shaRate measures one-core SHA-256 in this very run, in bytes per second.
func shaRate() float64 {
	data := pattern(64<<20, 1)
	best := 0.0
	for range 5 {
		start := time.Now()
		sha256.Sum256(data)
		best = max(best, float64(len(data))/time.Since(start).Seconds())
	}
	return best
}

// diskRate measures what the folder's disk takes, written and synced in pieces of a pack.
func diskRate(b *testing.B, folder string) float64 {
	data := pattern(16<<20, 1)
	path := filepath.Join(folder, "disk")
	defer os.Remove(path)
	start := time.Now()
	const pieces = 16
	for range pieces {
		f := must(os.Create(path))
		must(f.Write(data))
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
	return pieces * float64(len(data)) / time.Since(start).Seconds()
}

// processorTime is what this process has used so far, in user and kernel mode.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchFolder is on a disk: /tmp may be memory elsewhere; ARCA_BENCH_DIR names another.
func benchFolder(b *testing.B) string {
	if dir := os.Getenv("ARCA_BENCH_DIR"); dir != "" {
		return must(os.MkdirTemp(dir, "arca-bench-"))
	}
	return b.TempDir()
}

// benchSeal seals items again and again into fresh spools and prints ratios.
func benchSeal(b *testing.B, w *world, items []Item) {
	var plain int64
	for _, it := range items {
		plain += it.Size
	}
	sha := shaRate()
	folder := benchFolder(b)
	defer os.RemoveAll(folder)
	disk := diskRate(b, folder)
	stored, batches := 0.0, 0
	var busy time.Duration
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		c := must(Open(w.config(filepath.Join(folder, fmt.Sprint(i)))))
		before := processorTime()
		sealAll(b, c, items)
		b.StopTimer()
		busy += processorTime() - before
		packs := c.waiting()
		stored, batches = float64(len(packs)*w.vault.g.Size), 0
		for _, e := range packs {
			batches += len(e.units)
		}
		c.Close()
		os.RemoveAll(c.cfg.Folder)
		b.StartTimer()
	}
	rate := float64(plain) * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e6, "MB/s")
	b.ReportMetric(sha/1e6, "sha256-MB/s")
	b.ReportMetric(disk/1e6, "disk-MB/s")
	b.ReportMetric(rate/sha, "of-sha256")
	// What one core would do if it never waited, on a machine that others use too.
	b.ReportMetric(float64(plain)*float64(b.N)/busy.Seconds()/sha, "of-sha256/cpu")
	b.ReportMetric(stored/float64(plain), "stored/plain")
	b.ReportMetric(float64(batches), "batches")
}

// BenchmarkSealLarge: a file of 1 GiB from the page cache to the spool, durable.
func BenchmarkSealLarge(b *testing.B) {
	path := filepath.Join(b.TempDir(), "large")
	f := must(os.Create(path))
	piece := pattern(1<<20, 3)
	for range benchLarge >> 20 {
		must(f.Write(piece))
	}
	f.Close()
	for _, cores := range []int{1, 2} {
		b.Run(fmt.Sprint("cores=", cores), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			w := newWorld(seal.DefaultGeometry)
			it := item(w.order("a", nil), "large", 11, nil)
			it.Size, it.Open = benchLarge, func() (io.ReadCloser, error) { return os.Open(path) }
			benchSeal(b, w, []Item{it})
		})
	}
}

// BenchmarkSealItems: 10,000 items of 8 to 60 KB from files to the spool, durable, of one order and of 500 interleaved.
func BenchmarkSealItems(b *testing.B) {
	folder := b.TempDir()
	var paths []string
	var sizes []int64
	for i := range 10_000 {
		n := 8_000 + (i*7919)%52_000
		paths, sizes = append(paths, filepath.Join(folder, fmt.Sprint(i))), append(sizes, int64(n))
		if err := os.WriteFile(paths[i], pattern(n, uint32(i)), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, orders := range []int{1, 500} {
		b.Run(fmt.Sprint("orders=", orders), func(b *testing.B) {
			w := newWorld(seal.DefaultGeometry)
			var chains []record.Digest
			for i := range orders {
				chains = append(chains, w.order(fmt.Sprint("order ", i), nil))
			}
			var items []Item
			for i := range paths {
				it := item(chains[i%orders], fmt.Sprint(i), 11, nil)
				it.Size, it.Open = sizes[i], func() (io.ReadCloser, error) { return os.Open(paths[i]) }
				items = append(items, it)
			}
			benchSeal(b, w, items)
		})
	}
}

// BenchmarkFlush: what is in the spool to a vault in memory, with notes, receipts and verified proofs.
func BenchmarkFlush(b *testing.B) {
	content := pattern(200<<20, 3)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		b.StopTimer()
		w := newWorld(seal.DefaultGeometry)
		w.vault.discard = true
		it := item(w.order("a", nil), "large", 11, nil)
		it.Size, it.Open = int64(len(content)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
		c := must(Open(w.config(b.TempDir())))
		sealAll(b, c, []Item{it})
		b.StartTimer()
		if err := c.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
