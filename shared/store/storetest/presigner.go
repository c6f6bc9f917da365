package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/store"
)

// Weaknesses are what an engine under test does not enforce although the real
// service does. Each must be true of the engine: the suite fails when a weakness
// that is claimed is not there, so that none outlives its reason.
type Weaknesses struct {
	OverwriteThroughURL bool // ignores If-None-Match on a presigned upload
}

// Presigner runs the suite for presigned transfers; blobs is the same store.
func Presigner(t *testing.T, blobs store.Blobs, p store.Presigner, weak Weaknesses) {
	ctx := context.Background()
	body := Random(20, 200_000)
	sum := sha256.Sum256(body)
	soon := func() time.Time { return time.Now().Add(time.Minute) }
	presign := func(t *testing.T, key string) store.Transfer {
		t.Helper()
		x, err := p.PresignPut(ctx, key, int64(len(body)), sum, soon())
		if err != nil {
			t.Fatal(err)
		}
		return x
	}

	t.Run("upload and download", func(t *testing.T) {
		if status := send(t, presign(t, "presign/a"), body); status != http.StatusOK {
			t.Fatalf("upload: %d", status)
		}
		mustHold(t, blobs, "presign/a", body)
		x, err := p.PresignGet(ctx, "presign/a", soon())
		if err != nil {
			t.Fatal(err)
		}
		if status, got := receive(t, x); status != http.StatusOK || !bytes.Equal(got, body) {
			t.Fatalf("download: %d, %d bytes", status, len(got))
		}
	})
	t.Run("an upload URL never overwrites", func(t *testing.T) {
		x := presign(t, "presign/once")
		if status := send(t, x, body); status != http.StatusOK {
			t.Fatalf("upload: %d", status)
		}
		status := send(t, x, body)
		if overwrites := status == http.StatusOK; overwrites != weak.OverwriteThroughURL {
			t.Fatalf("second upload: %d, weakness claimed: %v", status, weak.OverwriteThroughURL)
		}
		mustHold(t, blobs, "presign/once", body)
	})
	t.Run("what the URL binds cannot change", func(t *testing.T) { bindings(t, blobs, presign, body) })
	t.Run("URLs expire", func(t *testing.T) { expiry(t, blobs, p, body) })
	t.Run("limits", func(t *testing.T) { transferLimits(t, p, sum) })
}

// expiry waits until a URL is too old and expects a refusal and no object.
func expiry(t *testing.T, blobs store.Blobs, p store.Presigner, body []byte) {
	x, err := p.PresignPut(context.Background(), "presign/late", int64(len(body)), sha256.Sum256(body), time.Now().Add(1500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2600 * time.Millisecond)
	if status := send(t, x, body); status/100 != 4 {
		t.Fatalf("upload through an expired URL: %d", status)
	}
	mustLack(t, blobs, "presign/late")
}

// transferLimits asks for transfers that no engine may sign, and for one of nothing.
func transferLimits(t *testing.T, p store.Presigner, sum [32]byte) {
	ctx, soon := context.Background(), time.Now().Add(time.Minute)
	_, err := p.PresignPut(ctx, "../x", 1, sum, soon)
	mustInvalid(t, err)
	_, err = p.PresignPut(ctx, "x", -1, sum, soon)
	mustInvalid(t, err)
	_, err = p.PresignGet(ctx, "X", soon)
	mustInvalid(t, err)
	x, err := p.PresignGet(ctx, "presign/absent", soon)
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := receive(t, x); status != http.StatusNotFound {
		t.Fatalf("download of nothing: %d", status)
	}
}

// bindings changes one thing at a time and expects a refusal and no object.
func bindings(t *testing.T, blobs store.Blobs, presign func(*testing.T, string) store.Transfer, body []byte) {
	other := bytes.Clone(body)
	other[100] ^= 1
	otherSum := sha256.Sum256(other)
	for name, change := range map[string]func(x *store.Transfer, b *[]byte){
		"body": func(x *store.Transfer, b *[]byte) { *b = other },
		"body and checksum": func(x *store.Transfer, b *[]byte) {
			*b = other
			x.Header.Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(otherSum[:]))
		},
		"checksum left out": func(x *store.Transfer, b *[]byte) { *b = other; x.Header.Del("X-Amz-Checksum-Sha256") },
		"shorter":           func(x *store.Transfer, b *[]byte) { *b = body[:1000]; x.Header.Set("Content-Length", "1000") },
		"longer": func(x *store.Transfer, b *[]byte) {
			*b = append(bytes.Clone(body), 1)
			x.Header.Set("Content-Length", "200001")
		},
		"overwrite permitted": func(x *store.Transfer, b *[]byte) { x.Header.Del("If-None-Match") },
		"key":                 func(x *store.Transfer, b *[]byte) { x.URL = strings.Replace(x.URL, "presign/bind", "presign/b1nd", 1) },
		"signature":           func(x *store.Transfer, b *[]byte) { x.URL = flipSignature(x.URL) },
		"method":              func(x *store.Transfer, b *[]byte) { x.Method = http.MethodGet },
	} {
		t.Run(name, func(t *testing.T) {
			x, b := presign(t, "presign/bind"), body
			change(&x, &b)
			if status := send(t, x, b); status/100 != 4 {
				t.Fatalf("accepted with %d", status)
			}
			mustLack(t, blobs, "presign/bind")
			mustLack(t, blobs, "presign/b1nd")
		})
	}
}

func flipSignature(url string) string {
	for _, name := range []string{"X-Amz-Signature=", "signature="} {
		if i := strings.Index(url, name); i >= 0 {
			at := i + len(name)
			c := byte('0')
			if url[at] == '0' {
				c = '1'
			}
			return url[:at] + string(c) + url[at+1:]
		}
	}
	return url
}

func send(t *testing.T, x store.Transfer, body []byte) int {
	t.Helper()
	r, err := x.NewRequest(context.Background(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(answer.Body)
	if answer.StatusCode/100 != 2 {
		t.Logf("%d %s", answer.StatusCode, said)
	}
	return answer.StatusCode
}

func receive(t *testing.T, x store.Transfer) (int, []byte) {
	t.Helper()
	r, err := x.NewRequest(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body
}
