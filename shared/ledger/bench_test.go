package ledger

import (
	"crypto/sha256"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// BenchmarkProof compares the verification of a whole proof, parsed from its
// text, with that of its bare Merkle path, and prints the SHA-256 rate of the
// same machine beside. The checkpoint's signatures are checked once.
func BenchmarkProof(b *testing.B) {
	f := newForest(b, 3, 2)
	f.grow(1 << 20)
	tree := f.tree()
	cp := f.checkpoint(b, 0, 0, 0)
	const index = 777_777
	text := f.proof(b, index, cp)
	p, err := ParseProof(text)
	if err != nil {
		b.Fatal(err)
	}
	leaf := entry(index).Leaf()
	v, err := NewVerifier(f.policy)
	if err != nil {
		b.Fatal(err)
	}
	e := entry(index)
	b.Run("proof", func(b *testing.B) {
		// In turns and by processor time, so that a busy machine slows both alike.
		var bare, whole time.Duration
		const turn = 1000
		for b.Loop() {
			began := spent(b)
			for range turn {
				if tlog.CheckRecord(p.Path, tree.Size, tree.Root, index, leaf) != nil {
					b.Fatal("refused")
				}
			}
			between := spent(b)
			for range turn {
				if _, _, err := v.VerifyInclusion(e, text); err != nil {
					b.Fatal(err)
				}
			}
			bare, whole = bare+between-began, whole+spent(b)-between
		}
		n := float64(b.N) * turn
		b.ReportMetric(n/bare.Seconds(), "bare-paths/s")
		b.ReportMetric(n/whole.Seconds(), "proofs/s")
		b.ReportMetric(bare.Seconds()/whole.Seconds(), "of-the-path")
	})
	b.Run("checkpoint", func(b *testing.B) {
		for b.Loop() {
			if _, err := f.policy.Verify(cp); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// spent is the processor time of this process so far.
func spent(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAudit re-verifies a whole log, every entry and every tile, as an
// auditor does who has read it, and prints it as a share of the SHA-256 rate on
// what must be hashed: 33 bytes per leaf and 65 per node. One core: run it with -cpu 1.
func BenchmarkAudit(b *testing.B) {
	const n = 1 << 17
	f := newForest(b, 0, 0)
	f.grow(n)
	var hashed float64
	b.Run("sha256", func(b *testing.B) {
		var buf [65]byte
		began := spent(b)
		for b.Loop() {
			for range n {
				sum := sha256.Sum256(buf[:33])
				copy(buf[:], sum[:])
				sum = sha256.Sum256(buf[:])
				copy(buf[:], sum[:])
			}
		}
		hashed = float64(b.N) * n / (spent(b) - began).Seconds()
		b.ReportMetric(hashed, "entries/s")
	})
	b.Run("whole-log", func(b *testing.B) {
		began := spent(b)
		for b.Loop() {
			if err := VerifyLog(b.Context(), f.tree(), f.fetch, nil); err != nil {
				b.Fatal(err)
			}
		}
		rate := float64(b.N) * n / (spent(b) - began).Seconds()
		b.ReportMetric(rate, "entries/s")
		b.ReportMetric(rate/hashed, "of-SHA-256")
	})
}
