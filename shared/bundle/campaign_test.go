package bundle_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"testing"

	"arca.example/arca/shared/bundle"
)

// lenient verifies as a program would that unpacks with a common library before it looks: every checksum is checked and what is signed
// is compared, the container is left to the library.
func lenient(w *world, raw []byte) error {
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return err
	}
	content := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return err
		}
		if content[f.Name], err = io.ReadAll(r); err != nil {
			return err
		}
	}
	if !bytes.Equal(content["bundle.jws"], w.signature) || !bytes.Equal(content["tagmanifest-sha256.txt"], w.tags) || !bytes.Equal(content["data/index.json"], w.indexed) {
		return fmt.Errorf("altered")
	}
	return nil
}

// TestBundleCampaign alters a small bundle in every byte and in every way that keeps a file a file.
func TestBundleCampaign(t *testing.T) {
	w, ids := small(t)
	w.custody = nil // smaller, so that every byte can be tried
	raw := w.make(w.source(ids[0]))
	for _, f := range must(zip.NewReader(bytes.NewReader(raw), int64(len(raw)))).File {
		b := must(io.ReadAll(must(f.Open())))
		switch f.Name {
		case "bundle.jws":
			w.signature = b
		case "tagmanifest-sha256.txt":
			w.tags = b
		case "data/index.json":
			w.indexed = b
		}
	}
	_, err := w.verify(raw)
	check(t, err)
	check(t, lenient(w, raw))
	tried, twin := 0, 0
	try := func(name string, b []byte) {
		tried++
		if _, err := w.verify(b); err == nil {
			t.Errorf("accepted: %s", name)
		}
		if lenient(w, b) == nil {
			twin++
		}
	}
	for i := range raw {
		b := bytes.Clone(raw)
		b[i] ^= 1 << (i % 8)
		try(fmt.Sprintf("byte %d", i), b)
	}
	for n := 0; n < len(raw); n += 97 {
		try(fmt.Sprintf("cut to %d", n), raw[:n])
		try(fmt.Sprintf("cut from %d", n+1), raw[n+1:])
	}
	try("extended", append(bytes.Clone(raw), 0))
	try("prefixed", append([]byte("#!"), raw...))
	try("twice", append(bytes.Clone(raw), raw...))
	if twin == 0 {
		t.Error("the campaign does not catch a verifier that leaves the container to its library")
	}
	t.Logf("%d mutants of %d bytes; the weakened twin accepts %d", tried, len(raw), twin)
	if _, err := bundle.Verify(bytes.NewReader(nil), 0, bundle.Options{}); err == nil {
		t.Error("nothing is a bundle")
	}
}
