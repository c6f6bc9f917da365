package keyholder_test

import (
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"arca.example/arca/shared/seal"
)

// BenchmarkRelease prints the processor time that one keyholder spends on a release beside its limit, warm (the same process again)
// and cold (a keyholder that has just been opened on its rows). What the other keyholder spends on its status, in this same process, is
// counted apart. The pace of the garbage collector is cmd/bootstrap's.
func BenchmarkRelease(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	w, batch := ready(b)
	raw, _ := w.ask(batch)
	hash, who := w.send(raw, "supervisor"), w.person(seal.Court, "investigator")
	release := func() (own, other time.Duration) {
		w.peerSpent = 0
		before := processor()
		if _, err := w.keyholder[seal.Court].Release(b.Context(), who, hash, 0); err != nil {
			b.Fatal(err)
		}
		return processor() - before - w.peerSpent, w.peerSpent
	}
	b.Run("warm", func(b *testing.B) {
		release()
		measure(b, 2*time.Millisecond, release)
	})
	b.Run("cold", func(b *testing.B) {
		measure(b, 6*time.Millisecond, func() (own, other time.Duration) {
			w.open(seal.Court, w.hash)
			return release()
		})
	})
}

func measure(b *testing.B, limit time.Duration, release func() (own, other time.Duration)) {
	var own, other time.Duration
	for b.Loop() {
		o, p := release()
		own, other = own+o, other+p
	}
	each := own / time.Duration(b.N)
	b.ReportMetric(float64(each.Microseconds())/1000, "cpu-ms/release")
	b.ReportMetric(float64((other/time.Duration(b.N)).Microseconds())/1000, "cpu-ms/other-status")
	b.ReportMetric(float64(each)/float64(limit), "of-limit")
}

// processor is the processor time that this process has used.
func processor() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
