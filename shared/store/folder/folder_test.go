package folder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/storetest"
)

func open(t testing.TB, options Options) (*Dir, string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "objects")
	d, err := Open(root, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, root
}

func TestConformance(t *testing.T) {
	storetest.Blobs(t, func(t *testing.T) store.Blobs { d, _ := open(t, Options{}); return d })
}

func TestPresigned(t *testing.T) {
	d, _ := open(t, Options{})
	server := httptest.NewServer(d.Handler())
	defer server.Close()
	if _, err := d.PresignGet(context.Background(), "a", time.Now()); err == nil {
		t.Fatal("signed a URL without an address")
	}
	d.SetBase(server.URL + "/objects/")
	storetest.Presigner(t, d, d, storetest.Weaknesses{})
}

func TestUploadURLsOfAnotherFolderAreRefused(t *testing.T) {
	a, _ := open(t, Options{Base: "http://127.0.0.1/objects/"})
	b, _ := open(t, Options{Base: "http://127.0.0.1/objects/"})
	x, err := a.PresignGet(context.Background(), "k", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for d, want := range map[*Dir]int{a: 404, b: 403} {
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, httptest.NewRequest(x.Method, x.URL, nil))
		if w.Code != want {
			t.Fatalf("status %d, want %d", w.Code, want)
		}
	}
}

func TestOpenRemovesUnfinishedUploadsUnlessAnotherRuns(t *testing.T) {
	d, root := open(t, Options{})
	left := filepath.Join(root, temporary, "put-left")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Fatal("a second process removed the first one's upload")
	}
	second.Close()
	d.Close()
	third, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Fatalf("unfinished upload still there: %v", err)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	d, root := open(t, Options{})
	ctx := context.Background()
	body := []byte("body")
	d.Put(ctx, "a", 4, sha256.Sum256(body), bytes.NewReader(body))
	d.Put(ctx, "a", 4, sha256.Sum256(body), bytes.NewReader(body))
	d.Put(ctx, "b", 4, [32]byte{}, bytes.NewReader(body))
	d.Put(ctx, "c", 9, sha256.Sum256(body), bytes.NewReader(body))
	if left, _ := filepath.Glob(filepath.Join(root, temporary, "put-*")); len(left) != 0 {
		t.Fatalf("temporary files left: %v", left)
	}
	if got, err := os.ReadFile(filepath.Join(root, "a")); err != nil || string(got) != "body" {
		t.Fatalf("the file is not the object: %q %v", got, err)
	}
}

func TestAKeyBelowAnotherIsRefused(t *testing.T) {
	d, _ := open(t, Options{})
	ctx := context.Background()
	if err := d.Put(ctx, "a/b", 0, sha256.Sum256(nil), bytes.NewReader(nil)); err != nil {
		t.Fatal(err)
	}
	if err := d.Put(ctx, "a/b/c", 0, sha256.Sum256(nil), bytes.NewReader(nil)); problem.KindOf(err) != problem.Invalid {
		t.Fatalf("below a file: %v", err)
	}
	if _, err := d.Stat(ctx, "a/b/c"); problem.KindOf(err) != problem.NotFound {
		t.Fatalf("stat below a file: %v", err)
	}
	if _, err := d.Stat(ctx, "a"); problem.KindOf(err) != problem.NotFound {
		t.Fatalf("stat of a folder: %v", err)
	}
	if err := d.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stat(ctx, "a/b"); err != nil {
		t.Fatal("deleting a folder's name removed an object")
	}
}

func TestTheObjectCreatedEventComesAfterEachDurablePut(t *testing.T) {
	var mu sync.Mutex
	events := map[string]int64{}
	var root string
	d, root := open(t, Options{OnPut: func(key string, size int64) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := os.Stat(filepath.Join(root, key)); err == nil {
			events[key] += size
		}
	}})
	body := []byte("12345")
	for range 2 { // the second is refused and makes no event
		d.Put(context.Background(), "k", 5, sha256.Sum256(body), bytes.NewReader(body))
	}
	if len(events) != 1 || events["k"] != 5 {
		t.Fatalf("events: %v", events)
	}
}

func TestStatAfterReopenReadsTheFile(t *testing.T) {
	d, root := open(t, Options{})
	body := storetest.Random(1, 100_000)
	if err := d.Put(context.Background(), "k", 100_000, sha256.Sum256(body), bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	again, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if info, err := again.Stat(context.Background(), "k"); err != nil || info.SHA256 != sha256.Sum256(body) {
		t.Fatalf("%x %v", info.SHA256, err)
	}
	body[5] ^= 1
	if err := os.WriteFile(filepath.Join(root, "k"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	if info, _ := again.Stat(context.Background(), "k"); info.SHA256 != sha256.Sum256(body) {
		t.Fatal("an altered file still shows its old checksum")
	}
}

// BenchmarkPut stores objects of the default pack size, durably; the rate of
// SHA-256 alone on the same bytes stands beside.
func BenchmarkPut(b *testing.B) {
	body := storetest.Random(1, 16<<20)
	sum := sha256.Sum256(body)
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(16 << 20)
		for b.Loop() {
			sha256.Sum256(body)
		}
	})
	b.Run("put16MiB", func(b *testing.B) {
		d, _ := open(b, Options{})
		b.SetBytes(16 << 20)
		for b.Loop() {
			if err := d.Put(context.Background(), "pack", 16<<20, sum, bytes.NewReader(body)); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			d.Delete(context.Background(), "pack")
			b.StartTimer()
		}
	})
}
