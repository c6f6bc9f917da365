package storetest

import (
	"context"
	"io"
	"slices"
	"testing"

	"arca.example/arca/shared/store"
)

func TestTheBlobModelPassesItsOwnSuite(t *testing.T) {
	Blobs(t, func(t *testing.T) store.Blobs { return NewMemoryBlobs() })
	BlobsUnderFaults(t, NewMemoryBlobs())
}

func TestWeakenedObjectStoresFail(t *testing.T) {
	twins := map[string]struct {
		blobs store.Blobs
		check string
	}{
		"overwrites":            {&overwriting{NewMemoryBlobs()}, "never overwrites"},
		"races":                 {&overwriting{NewMemoryBlobs()}, "of concurrent puts exactly one wins"},
		"believes the sum":      {&believing{NewMemoryBlobs()}, "a wrong size or checksum stores nothing"},
		"keeps half a body":     {&believing{NewMemoryBlobs()}, "a body that fails stores nothing"},
		"clips ranges":          {&clipping{NewMemoryBlobs()}, "ranges are exact and stay inside"},
		"lists inclusively":     {&inclusive{NewMemoryBlobs()}, "list is ordered, complete and continues from a key"},
		"keeps what is deleted": {&keeping{NewMemoryBlobs()}, "delete is idempotent and frees the key"},
		"takes any key":         {&lenient{NewMemoryBlobs()}, "keys outside the alphabet are refused"},
	}
	for name, twin := range twins {
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(BlobChecks(), func(c BlobCheck) bool { return c.Name == twin.check })
			if i < 0 {
				t.Fatalf("no check named %q", twin.check)
			}
			if !Fails(func(tb TB) { BlobChecks()[i].Run(tb, twin.blobs) }) {
				t.Fatalf("the suite accepts a store that %s", name)
			}
		})
	}
}

type overwriting struct{ *MemoryBlobs }

func (o *overwriting) Put(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	o.Delete(ctx, key)
	return o.MemoryBlobs.Put(ctx, key, size, sum, body)
}

type believing struct{ *MemoryBlobs }

func (b *believing) Put(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	all, err := io.ReadAll(body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[key] = all
	return err
}

type clipping struct{ *MemoryBlobs }

func (c *clipping) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	info, err := c.Stat(ctx, key)
	if err == nil {
		offset = max(0, min(offset, info.Size))
		length = min(length, info.Size-offset)
	}
	return c.MemoryBlobs.Get(ctx, key, offset, length)
}

type inclusive struct{ *MemoryBlobs }

func (i *inclusive) List(ctx context.Context, prefix, after string, limit int) ([]store.Info, error) {
	if after != "" {
		after = after[:len(after)-1]
	}
	return i.MemoryBlobs.List(ctx, prefix, after, limit)
}

type keeping struct{ *MemoryBlobs }

func (k *keeping) Delete(context.Context, string) error { return nil }

type lenient struct{ *MemoryBlobs }

func (l *lenient) Delete(context.Context, string) error { return nil }
func (l *lenient) Put(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	b, _ := io.ReadAll(body)
	l.objects[key] = b
	return nil
}
