package vault

import (
	"crypto/sha256"
	"math/rand/v2"
	"testing"
	"time"

	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store/folder"
)

// BenchmarkScrub reads packs of 16 MiB from a folder against the rate at which one core hashes, in turns.
func BenchmarkScrub(b *testing.B) {
	const packs = 16
	dir, err := folder.Open(b.TempDir(), folder.Options{Base: "http://127.0.0.1/objects/"})
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	w := &scrubWorld{world: newWorld(b, 1, 1), second: newMemory()}
	w.fill(dir, seal.DefaultGeometry, packs)
	memory := make([]byte, seal.DefaultGeometry.Size)
	rand.NewChaCha8([32]byte{}).Read(memory)
	var read int64
	var scrubbing, hashing time.Duration
	for b.Loop() {
		start := time.Now()
		for range packs + Draws {
			sha256.Sum256(memory)
		}
		hashing += time.Since(start)
		start = time.Now()
		s := w.run(ScrubOptions{Full: true})
		scrubbing += time.Since(start)
		read += s.Read
		if len(s.Damaged) > 0 || s.Passed.IsZero() {
			b.Fatalf("%+v", s)
		}
	}
	hashed := float64(b.N) * float64(packs+Draws) * float64(len(memory))
	b.ReportMetric(float64(read)/1e6/scrubbing.Seconds(), "scrub-MB/s")
	b.ReportMetric(hashed/1e6/hashing.Seconds(), "sha256-MB/s")
}
