package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

// memory is a Rows and Blobs that accuses: it fails on broken limits, and it
// can fail any one write, with or without the write landing.
type memory struct {
	mu    sync.Mutex
	rows  map[string]store.Row
	blobs map[string][]byte

	writes int // commits, puts and deletes so far
	failAt int // number of the write that fails; 0 never
	landed bool
	dead   bool // every later call fails too: the process was killed
	kill   bool // set dead at failAt
}

var errInjected = errors.New("injected")

func newMemory() *memory {
	return &memory{rows: map[string]store.Row{}, blobs: map[string][]byte{}}
}

// revive lifts faults: the next process finds what the last one left.
func (m *memory) revive() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead, m.failAt, m.writes = false, 0, 0
}

func unavailable() error {
	return problem.Wrap(problem.Unavailable, errInjected, "the store did not answer")
}

// fault is called with mu held at each write; it runs apply unless the write fails without landing.
func (m *memory) fault(apply func()) error {
	m.writes++
	if m.dead {
		return unavailable()
	}
	if m.writes == m.failAt {
		if m.landed {
			apply()
		}
		m.dead = m.kill
		return unavailable()
	}
	apply()
	return nil
}

func (m *memory) Get(_ context.Context, keys ...string) (map[string]store.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil, unavailable()
	}
	if len(keys) == 0 || len(keys) > store.MaxRows || len(slices.Compact(slices.Sorted(slices.Values(keys)))) != len(keys) {
		return nil, problem.New(problem.Invalid, "bad keys")
	}
	out := map[string]store.Row{}
	for _, k := range keys {
		if r, ok := m.rows[k]; ok {
			out[k] = r
		}
	}
	return out, nil
}

func (m *memory) Commit(_ context.Context, writes ...store.Write) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(writes) == 0 || len(writes) > store.MaxRows {
		return problem.New(problem.Invalid, "bad number of writes")
	}
	seen := map[string]bool{}
	for _, w := range writes {
		if seen[w.Key] || len(w.Key)+len(w.Value) > store.MaxRowBytes {
			return problem.New(problem.Invalid, "bad write")
		}
		seen[w.Key] = true
		if m.rows[w.Key].Version != w.Version {
			return problem.New(problem.Conflict, "moved")
		}
	}
	return m.fault(func() {
		for _, w := range writes {
			switch w.Op {
			case store.Put:
				m.rows[w.Key] = store.Row{Key: w.Key, Value: bytes.Clone(w.Value), Version: w.Version + 1}
			case store.Delete:
				delete(m.rows, w.Key)
			}
		}
	})
}

func (m *memory) Scan(_ context.Context, segment, segments int, yield func(store.Row) error) error {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.rows))
	m.mu.Unlock()
	for i, r := range all {
		if i%segments == segment {
			if err := yield(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// memoryBlobs is memory as a Blobs; both interfaces have a Get.
type memoryBlobs struct{ *memory }

func (m memoryBlobs) Put(_ context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	b, err := io.ReadAll(body)
	if err != nil || int64(len(b)) != size || sha256.Sum256(b) != sum {
		return problem.New(problem.Invalid, "size or checksum")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.blobs[key]; ok {
		return problem.New(problem.Conflict, "exists")
	}
	return m.fault(func() { m.blobs[key] = b })
}

func (m memoryBlobs) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil, unavailable()
	}
	b, ok := m.blobs[key]
	if !ok {
		return nil, problem.New(problem.NotFound, "absent")
	}
	if length < 0 {
		length = int64(len(b)) - offset
	}
	return io.NopCloser(bytes.NewReader(b[offset : offset+length])), nil
}

func (m memoryBlobs) Stat(_ context.Context, key string) (store.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[key]
	if !ok {
		return store.Info{}, problem.New(problem.NotFound, "absent")
	}
	return store.Info{Key: key, Size: int64(len(b)), SHA256: sha256.Sum256(b)}, nil
}

func (m memoryBlobs) List(_ context.Context, prefix, after string, limit int) ([]store.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []store.Info
	for _, k := range slices.Sorted(maps.Keys(m.blobs)) {
		if strings.HasPrefix(k, prefix) && k > after && len(out) < limit {
			out = append(out, store.Info{Key: k, Size: int64(len(m.blobs[k]))})
		}
	}
	return out, nil
}

func (m memoryBlobs) Delete(context.Context, string) error {
	return problem.New(problem.Denied, "the log deletes nothing")
}
