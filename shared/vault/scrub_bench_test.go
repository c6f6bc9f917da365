package vault

import (
	"crypto/sha256"
	"math/rand/v2"
	"syscall"
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
	var scrubbing, hashing, scrubbed, hashed time.Duration // by the clock, and of processors
	for b.Loop() {
		start, used := time.Now(), processors(b)
		for range packs + Draws {
			sha256.Sum256(memory)
		}
		hashing, hashed = hashing+time.Since(start), hashed+processors(b)-used
		start, used = time.Now(), processors(b)
		s := w.run(ScrubOptions{Full: true})
		scrubbing, scrubbed = scrubbing+time.Since(start), scrubbed+processors(b)-used
		read += s.Read
		if len(s.Damaged) > 0 || s.Passed.IsZero() {
			b.Fatalf("%+v", s)
		}
	}
	bytes := float64(b.N) * float64(packs+Draws) * float64(len(memory))
	b.ReportMetric(float64(read)/1e6/scrubbing.Seconds(), "scrub-MB/s")
	b.ReportMetric(float64(read)/1e6/scrubbed.Seconds(), "scrub-processor-MB/s")
	b.ReportMetric(bytes/1e6/hashing.Seconds(), "sha256-MB/s")
	b.ReportMetric(bytes/1e6/hashed.Seconds(), "sha256-processor-MB/s")
}

// processors is the time that this process has had of any processor.
func processors(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
