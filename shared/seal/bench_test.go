package seal

import (
	"bytes"
	"crypto/sha256"
	"io"
	"testing"
	"time"
)

const benchSize = 256 << 20

// shaRate measures one-core SHA-256 in this very run, over the same amount.
func shaRate(data []byte) float64 {
	best := 0.0
	for range 3 {
		start := time.Now()
		sha256.Sum256(data)
		best = max(best, float64(len(data))/time.Since(start).Seconds())
	}
	return best
}

// report prints the rate and its ratio to SHA-256.
func report(b *testing.B, size int, sha float64) {
	rate := float64(size) * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e6, "MB/s")
	b.ReportMetric(sha/1e6, "sha256-MB/s")
	b.ReportMetric(rate/sha, "of-sha256")
}

// BenchmarkSegments: digest of the plaintext and encryption, no pack.
func BenchmarkSegments(b *testing.B) {
	data := pattern(benchSize, 1)
	sha := shaRate(data)
	dst := make([]byte, 0, SealedSegmentSize)
	b.ReportAllocs()
	for b.Loop() {
		e := newEncryptor(RecordingKey{1}, Context{2})
		for i := 0; i < len(data); i += SegmentSize {
			must(e.AppendSegment(dst, data[i:i+SegmentSize], i+SegmentSize == len(data)))
		}
	}
	report(b, benchSize, sha)
}

// BenchmarkSealIntoPacks: everything of sealing a large file on one core:
// reading, digest, encryption, empty slots, filler of the last pack, pack hash.
func BenchmarkSealIntoPacks(b *testing.B) {
	data := pattern(benchSize, 1)
	sha := shaRate(data)
	w := newWorld(b)
	builder := must(NewBuilder(DefaultGeometry, nil))
	b.ReportAllocs()
	for b.Loop() {
		batch := must(NewBatch(w.unit, w.court.PublicKey(), w.custodian.PublicKey()))
		w.contents, w.packs, w.ids = [][]byte{data}, map[uint64]Pack{}, nil
		w.sealInto(batch, builder, func(Pack) {})
	}
	report(b, benchSize, sha)
}

// BenchmarkSealTwoCores: the same with packs finished on a second core while the
// next is filled, as a collector does.
func BenchmarkSealTwoCores(b *testing.B) {
	data := pattern(benchSize, 1)
	sha := shaRate(data)
	b.ReportAllocs()
	full, free := make(chan *Builder), make(chan *Builder, 3)
	done := make(chan struct{})
	go func() {
		for builder := range full {
			must(builder.Finish())
			free <- builder
		}
		close(done)
	}()
	for range cap(free) {
		free <- must(NewBuilder(DefaultGeometry, nil))
	}
	for b.Loop() {
		e, builder := newEncryptor(RecordingKey{1}, Context{2}), <-free
		check(builder.Start(1))
		check(EachSegment(bytes.NewReader(data), func(plain []byte, last bool) error {
			_, rest, err := builder.AppendSegment(e, plain, last)
			for err == nil && len(rest) > 0 {
				full <- builder
				builder = <-free
				check(builder.Start(1))
				_, rest, err = builder.Append(rest)
			}
			return err
		}))
		full <- builder
	}
	close(full)
	<-done
	report(b, benchSize, sha)
}

// BenchmarkOpen: fetching from memory, decryption, digest check.
func BenchmarkOpen(b *testing.B) {
	data := pattern(benchSize, 1)
	sha := shaRate(data)
	w := newWorld(b)
	w.contents, w.packs, w.ids, w.g = [][]byte{data}, map[uint64]Pack{}, nil, DefaultGeometry
	w.sealAll(must(NewBatch(w.unit, w.court.PublicKey(), w.custodian.PublicKey())), must(NewBuilder(w.g, nil)))
	_, l := w.listing(b)
	d := l.Descriptors[0]
	key, ctx := w.key(b, ContentClass, d)
	digest := ContentDigest(key, ctx, sha256.Sum256(data))
	b.ReportAllocs()
	for b.Loop() {
		must(must(NewContent(key, ctx, d.Places, w)).WriteVerified(io.Discard, key, ctx, digest))
	}
	report(b, benchSize, sha)
}

// BenchmarkPackHash: what the pack's log entry costs.
func BenchmarkPackHash(b *testing.B) {
	data := pattern(16<<20, 1)
	sha := shaRate(data)
	for b.Loop() {
		NewDigest(DefaultGeometry).Write(data)
	}
	report(b, len(data), sha)
}

func BenchmarkFill(b *testing.B) {
	data := pattern(16<<20, 1)
	sha := shaRate(data)
	for b.Loop() {
		fill(data)
	}
	report(b, len(data), sha)
}

func BenchmarkEmptySlot(b *testing.B) {
	for b.Loop() {
		must(EmptySlot())
	}
}

// BenchmarkTrySlot: what a reader's machine pays for every slot that is not its.
func BenchmarkTrySlot(b *testing.B) {
	key, slot := must(NewUnitKey(NewSeed())), must(EmptySlot())
	for b.Loop() {
		if _, err := OpenSlot(key, 1, 2, slot); err != ErrOtherSlot {
			b.Fatal(err)
		}
	}
}

// BenchmarkSmallMessages: recordings of 8 KB in one batch, all costs of sealing.
func BenchmarkSmallMessages(b *testing.B) {
	w := newWorld(b)
	sha := shaRate(pattern(benchSize, 1))
	builder := must(NewBuilder(DefaultGeometry, nil))
	w.contents, w.ids = nil, nil
	for i := range 500 {
		w.contents = append(w.contents, bytes.Repeat([]byte{byte(i)}, 8<<10))
	}
	for b.Loop() {
		w.ids = nil
		w.sealInto(must(NewBatch(w.unit, w.court.PublicKey(), w.custodian.PublicKey())), builder, func(Pack) {})
	}
	report(b, 500*8<<10, sha)
}
