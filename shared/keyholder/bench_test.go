package keyholder_test

import (
	"syscall"
	"testing"
	"time"

	"arca.example/arca/shared/seal"
)

// BenchmarkRelease prints the processor time of one release beside its limit, warm (the same process again) and cold (a keyholder
// that has just been opened on its rows), both keyholders' shares together where they overlap: the other's status is part of it.
func BenchmarkRelease(b *testing.B) {
	w, batch := ready(b)
	raw, _ := w.ask(batch)
	hash := w.send(raw, "supervisor")
	release := func() {
		if _, err := w.release(seal.Court, "investigator", hash); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("warm", func(b *testing.B) {
		release()
		before := processor()
		for b.Loop() {
			release()
		}
		report(b, processor()-before, 2*time.Millisecond)
	})
	b.Run("cold", func(b *testing.B) {
		var spent time.Duration
		for b.Loop() {
			w.open(seal.Court, w.hash)
			before := processor()
			release()
			spent += processor() - before
		}
		report(b, spent, 6*time.Millisecond)
	})
}

func report(b *testing.B, spent, limit time.Duration) {
	each := spent / time.Duration(b.N)
	b.ReportMetric(float64(each.Microseconds())/1000, "cpu-ms/release")
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
