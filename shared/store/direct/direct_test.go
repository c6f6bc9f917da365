package direct

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestWriterWritesTheBytesItIsGiven: whatever the pieces are like, the file holds them in order.
func TestWriterWritesTheBytesItIsGiven(t *testing.T) {
	whole := Buffer(4 << 20)
	defer Free(whole)
	rand.NewChaCha8([32]byte{1}).Read(whole)
	for name, pieces := range map[string][]int{
		"whole":                  {4 << 20},
		"in chunks":              {1 << 20, 2 << 20, 1 << 20},
		"with a crooked end":     {1 << 20, 1<<20 + 17},
		"crooked and then even":  {5, 1<<20 - 5, 1 << 20},
		"from a crooked address": {4095, 2 << 20},
		"small":                  {100},
		"nothing":                {},
	} {
		path := filepath.Join(t.TempDir(), "file")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, n := range pieces {
			size += n
		}
		w := NewWriter(f, int64(size))
		at := 0
		for _, n := range pieces {
			if k, err := w.Write(whole[at : at+n]); err != nil || k != n {
				t.Fatalf("%s: %d bytes, %v", name, k, err)
			}
			at += n
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, whole[:at]) {
			t.Fatalf("%s: the file holds other bytes (%v)", name, err)
		}
	}
}

// BenchmarkWrite compares processor time and speed of both ways for a pack of 16 MiB.
func BenchmarkWrite(b *testing.B) {
	buf := Buffer(16 << 20)
	defer Free(buf)
	rand.NewChaCha8([32]byte{2}).Read(buf)
	for name, size := range map[string]int64{"direct": int64(len(buf)), "cached": 0} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(buf)))
			path := filepath.Join(b.TempDir(), "file")
			for b.Loop() {
				f, err := os.Create(path)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := NewWriter(f, size).Write(buf); err != nil {
					b.Fatal(err)
				}
				if err := f.Sync(); err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}
