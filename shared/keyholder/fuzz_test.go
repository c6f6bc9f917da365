package keyholder

import (
	"bytes"
	"testing"
)

// FuzzParseDestroyed: what is read as the destroyed set is whole digests, and written again it is the same bytes.
func FuzzParseDestroyed(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{7}, 64))
	f.Add(bytes.Repeat([]byte{7}, 33))
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, err := parseDestroyed(raw)
		if err != nil {
			return
		}
		var again []byte
		for _, d := range set {
			again = append(again, d[:]...)
		}
		if !bytes.Equal(again, raw) {
			t.Fatalf("%d bytes came back as %d", len(raw), len(again))
		}
	})
}
