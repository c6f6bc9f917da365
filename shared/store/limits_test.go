package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"arca.example/arca/shared/problem"
)

func TestExactlyTakesTheAnnouncedSizeOnly(t *testing.T) {
	body := make([]byte, 5000)
	rand.Read(body)
	wrap := map[string]func(io.Reader) io.Reader{
		"plain": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader,
		"half": iotest.HalfReader, "error with data": iotest.DataErrReader,
	}
	for name, w := range wrap {
		for _, n := range []int64{0, 1, 2, 4999, 5000} {
			got, err := io.ReadAll(w(Exactly(w(bytes.NewReader(body[:n])), n)))
			if err != nil || !bytes.Equal(got, body[:n]) {
				t.Fatalf("%s: %d bytes: %d, %v", name, n, len(got), err)
			}
			// One byte more or less: refused, and the last announced byte was never given out.
			for _, announced := range []int64{n - 1, n + 1} {
				if announced < 0 {
					continue
				}
				got, err := io.ReadAll(Exactly(w(bytes.NewReader(body[:n])), announced))
				if problem.KindOf(err) != problem.Invalid || int64(len(got)) >= max(1, announced) {
					t.Fatalf("%s: %d bytes announced as %d: %d given, %v", name, n, announced, len(got), err)
				}
			}
		}
	}
	broken := errors.New("broken")
	if _, err := io.ReadAll(Exactly(io.MultiReader(bytes.NewReader(body), iotest.ErrReader(broken)), 9000)); !errors.Is(err, broken) {
		t.Fatalf("the source's own error is lost: %v", err)
	}
	if err := iotest.TestReader(Exactly(bytes.NewReader(body), 5000), body); err != nil {
		t.Fatal(err)
	}
}

func TestRequestsCarryTheSignedLength(t *testing.T) {
	for _, body := range []string{"", "12345"} {
		x := Transfer{Method: http.MethodPut, URL: "http://127.0.0.1/x", Header: http.Header{"Content-Length": {map[string]string{"": "0", "12345": "5"}[body]}}}
		r, err := x.NewRequest(context.Background(), io.NopCloser(strings.NewReader(body)))
		if err != nil || r.ContentLength != int64(len(body)) {
			t.Fatalf("length %d, %v", r.ContentLength, err)
		}
		if (r.Body == http.NoBody) != (body == "") {
			t.Fatal("an empty body would be sent in chunks, without its length")
		}
		r.Header.Set("Content-Length", "9")
		if x.Header.Get("Content-Length") == "9" {
			t.Fatal("a request shares its headers with the transfer")
		}
	}
}

// FuzzBlobKey: an accepted key is a clean relative path that stays below its root.
func FuzzBlobKey(f *testing.F) {
	for _, k := range []string{"pack/000000000001", "a/../b", "..", "/a", "a//b", "A", "a\x00", ".../x"} {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if CheckBlobKey(key) != nil {
			return
		}
		if !filepath.IsLocal(key) || filepath.ToSlash(filepath.Clean(key)) != key || len(key) > MaxBlobKeyBytes {
			t.Fatalf("accepted %q", key)
		}
	})
}

func TestTheFuzzCorpusIsThere(t *testing.T) {
	if cases, err := filepath.Glob("testdata/fuzz/FuzzBlobKey/*"); err != nil || len(cases) == 0 {
		t.Fatalf("no committed cases: %v", err)
	}
}
