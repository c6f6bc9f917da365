package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"strings"
	"sync"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

// MemoryBlobs is the model of a store.Blobs: obviously right, and keeps nothing.
type MemoryBlobs struct {
	mu      sync.Mutex
	objects map[string][]byte
}

// NewMemoryBlobs returns an empty model.
func NewMemoryBlobs() *MemoryBlobs { return &MemoryBlobs{objects: map[string][]byte{}} }

// Put stores body if the key is new and size and sum hold.
func (m *MemoryBlobs) Put(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	if err := store.CheckPut(key, size); err != nil {
		return err
	}
	b, err := io.ReadAll(store.Exactly(body, size))
	if err != nil {
		return err
	}
	if sha256.Sum256(b) != sum {
		return problem.New(problem.Invalid, "the object does not have the announced checksum")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[key]; ok {
		return problem.New(problem.Conflict, "an object with this key exists and is never overwritten")
	}
	m.objects[key] = b
	return nil
}

func (m *MemoryBlobs) body(key string) ([]byte, error) {
	if err := store.CheckBlobKey(key); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.objects[key]
	if !ok {
		return nil, problem.New(problem.NotFound, "no such object")
	}
	return b, nil
}

// Get reads a range.
func (m *MemoryBlobs) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	b, err := m.body(key)
	if err != nil {
		return nil, err
	}
	if err := store.CheckRange(offset, length); err != nil {
		return nil, err
	}
	size := int64(len(b))
	if offset > size || length > size-offset {
		return nil, problem.New(problem.Invalid, "the range reaches outside the object")
	}
	if length < 0 {
		length = size - offset
	}
	return io.NopCloser(bytes.NewReader(b[offset : offset+length])), nil
}

// Stat describes an object.
func (m *MemoryBlobs) Stat(ctx context.Context, key string) (store.Info, error) {
	b, err := m.body(key)
	if err != nil {
		return store.Info{}, err
	}
	return store.Info{Key: key, Size: int64(len(b)), SHA256: sha256.Sum256(b)}, nil
}

// List lists in byte order.
func (m *MemoryBlobs) List(ctx context.Context, prefix, after string, limit int) ([]store.Info, error) {
	if err := store.CheckList(prefix, after, limit); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []store.Info
	for k, b := range m.objects {
		if strings.HasPrefix(k, prefix) && k > after {
			found = append(found, store.Info{Key: k, Size: int64(len(b))})
		}
	}
	slices.SortFunc(found, func(a, b store.Info) int { return strings.Compare(a.Key, b.Key) })
	return found[:min(limit, len(found))], nil
}

// Delete removes an object.
func (m *MemoryBlobs) Delete(ctx context.Context, key string) error {
	if err := store.CheckBlobKey(key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}
