package record

import "testing"

// FuzzParseTrustChain: what is read as a chain of trust files, and stands in the form for several, is written again as the same bytes.
func FuzzParseTrustChain(f *testing.F) {
	f.Add([]byte(`[]`))
	f.Add([]byte(`["a"]`))
	f.Add([]byte(`[{"trust":["a"]}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseTrustChain(raw)
		if err != nil || len(raw) > 1 && raw[1] == '"' {
			return // one joint alone is FuzzUnmarshalIsIdentity's
		}
		again, err := Marshal(c)
		if err != nil || string(again) != string(raw) {
			t.Fatalf("%q came back as %q (%v)", raw, again, err)
		}
	})
}
