package reader

import (
	"bytes"
	"crypto/sha256"
	"io"
	"slices"
	"testing"
	"time"

	"arca.example/arca/shared/seal"
)

// shaRate measures one-core SHA-256 in this very run.
func shaRate(data []byte) float64 {
	best := 0.0
	for range 3 {
		start := time.Now()
		sha256.Sum256(data)
		best = max(best, float64(len(data))/time.Since(start).Seconds())
	}
	return best
}

// firstByte notes when the first byte comes.
type firstByte struct{ at time.Time }

func (f *firstByte) Write(p []byte) (int, error) {
	if f.at.IsZero() && len(p) > 0 {
		f.at = time.Now()
	}
	return len(p), nil
}

// BenchmarkFirstByte: from the wish to open a listed recording whose request is logged and whose pack is mirrored to its first
// decrypted byte. The keyholders run in this process and decide nothing; what real ones take comes on top.
func BenchmarkFirstByte(b *testing.B) {
	w := newWorld(b, seal.DefaultGeometry)
	id := w.seal(clip{content: sample(b, "en_delivery_time.wav")})[0]
	w.list(w.ask(seal.IndexClass))
	w.ask(seal.ContentClass, id)
	var took []time.Duration
	for b.Loop() {
		r, first := w.reader(), &firstByte{}
		r.cfg.Stdout = first
		start := time.Now()
		if _, err := r.Open(ctx, id.String(), "-", Range{}); err != nil {
			b.Fatal(err)
		}
		took = append(took, first.at.Sub(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkOpen: a recording of 256 MiB from the mirror's disk, digest checked.
func BenchmarkOpen(b *testing.B) {
	const size = 256 << 20
	w := newWorld(b, seal.DefaultGeometry)
	data := pattern(size)
	id := w.seal(clip{content: data})[0]
	w.list(w.ask(seal.IndexClass))
	w.ask(seal.ContentClass, id)
	sha := shaRate(data)
	r := w.reader()
	r.cfg.Stdout = io.Discard
	for b.Loop() {
		if _, err := r.Open(ctx, id.String(), "-", Range{}); err != nil {
			b.Fatal(err)
		}
	}
	rate := size * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e6, "MB/s")
	b.ReportMetric(sha/1e6, "sha256-MB/s")
	b.ReportMetric(rate/sha, "of-sha256")
}

// BenchmarkScan: what every slot of a mirror costs that is not the unit's.
func BenchmarkScan(b *testing.B) {
	w := newWorld(b, seal.DefaultGeometry)
	for range 8 {
		builder := must(seal.NewBuilder(seal.DefaultGeometry, nil))
		if err := builder.Start(w.vault.Next); err != nil {
			b.Fatal(err)
		}
		w.vault.Store(must(builder.Finish()).Bytes)
	}
	w.sync()
	for b.Loop() {
		if _, warnings, err := w.reader().scan(ctx, w.find, positions{}); err != nil || len(warnings) > 0 {
			b.Fatal(err, warnings)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/8*1000, "ms/pack")
}

// BenchmarkList: a week of 500 recordings, the first time.
func BenchmarkList(b *testing.B) {
	w := newWorld(b, seal.DefaultGeometry)
	w.court.pageSize, w.custodian.pageSize = 100, 100
	var clips []clip
	for i := range 500 {
		clips = append(clips, clip{content: bytes.Repeat([]byte{byte(i)}, 2000), name: named(i)})
	}
	w.seal(clips...)
	index := w.ask(seal.IndexClass)
	for b.Loop() {
		if l, err := w.reader().List(ctx, index); err != nil || len(l.Rows) != 500 {
			b.Fatal(err)
		}
	}
}
