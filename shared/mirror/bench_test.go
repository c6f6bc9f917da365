package mirror

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"arca.example/arca/shared/mirror/mirrortest"
	"arca.example/arca/shared/seal"
)

const benchPacks = 16

// shaRate measures one-core SHA-256 in this very run.
func shaRate(data []byte) float64 {
	best := 0.0
	for range 3 {
		start := time.Now()
		for range benchPacks / 2 {
			sha256.Sum256(data)
		}
		best = max(best, float64(len(data)*benchPacks/2)/time.Since(start).Seconds())
	}
	return best
}

// diskRate writes the same bytes to files with fsync, which is the least that a durable mirror must do.
func diskRate(b *testing.B, data []byte) float64 {
	dir := b.TempDir()
	start := time.Now()
	for i := range benchPacks {
		f, err := os.Create(filepath.Join(dir, packName(uint64(i))))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = f.Write(data)
		_ = f.Sync()
		f.Close()
	}
	return float64(len(data)*benchPacks) / time.Since(start).Seconds()
}

// BenchmarkSync: fetching, verifying and storing packs of 16 MiB durably, from a vault in the same process.
func BenchmarkSync(b *testing.B) {
	v := mirrortest.New(b, seal.DefaultGeometry)
	pack := randomPack(seal.DefaultGeometry)
	for i := range benchPacks {
		pack[i] ^= 1
		v.Store(pack)
	}
	sha, disk := shaRate(pack), diskRate(b, pack)
	folder := b.TempDir()
	for b.Loop() {
		fetched(b, open(b, v, folder, v))
		b.StopTimer()
		for _, part := range []string{"packs", "index"} { // the next round fetches all again, into memory that this machine has
			_ = os.RemoveAll(filepath.Join(folder, part))
		}
		b.StartTimer()
	}
	rate := float64(benchPacks*len(pack)) * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e6, "MB/s")
	b.ReportMetric(sha/1e6, "sha256-MB/s")
	b.ReportMetric(disk/1e6, "disk-MB/s")
	b.ReportMetric(rate/sha, "of-sha256")
}

// BenchmarkAudit: reading all packs again.
func BenchmarkAudit(b *testing.B) {
	v := mirrortest.New(b, seal.DefaultGeometry)
	pack := randomPack(seal.DefaultGeometry)
	for range benchPacks {
		v.Store(pack)
	}
	m := open(b, v, b.TempDir(), v)
	fetched(b, m)
	sha := shaRate(pack)
	for b.Loop() {
		if _, err := m.Audit(ctx, nil); err != nil {
			b.Fatal(err)
		}
	}
	rate := float64(benchPacks*len(pack)) * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e6, "MB/s")
	b.ReportMetric(rate/sha, "of-sha256")
}
