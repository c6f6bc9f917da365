package storetest

import (
	"context"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

// Memory is the model: a store.Rows that is obviously right and keeps nothing.
// The suite compares engines with it; tests that need no durability may use it.
type Memory struct {
	mu   sync.Mutex
	rows map[string]store.Row
}

// NewMemory returns an empty model.
func NewMemory() *Memory { return &Memory{rows: map[string]store.Row{}} }

// Get returns the present rows among keys.
func (m *Memory) Get(ctx context.Context, keys ...string) (map[string]store.Row, error) {
	if err := store.CheckGet(keys); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string]store.Row{}
	for _, k := range keys {
		if r, ok := m.present(k); ok {
			found[k] = copied(r)
		}
	}
	return found, nil
}

// Commit applies all writes or none.
func (m *Memory) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.CheckCommit(writes); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range writes {
		if r, _ := m.present(w.Key); r.Version != w.Version {
			return problem.New(problem.Conflict, "a row changed meanwhile; read again")
		}
	}
	for _, w := range writes {
		switch w.Op {
		case store.Put:
			m.rows[w.Key] = copied(store.Row{Key: w.Key, Value: w.Value, Version: w.Version + 1, Expires: w.Expires})
		case store.Delete:
			delete(m.rows, w.Key)
		}
	}
	return nil
}

// Scan yields every row of a segment.
func (m *Memory) Scan(ctx context.Context, segment, segments int, yield func(store.Row) error) error {
	if err := store.CheckScan(segment, segments); err != nil {
		return err
	}
	m.mu.Lock()
	var rows []store.Row
	for k := range m.rows {
		h := fnv.New32a()
		h.Write([]byte(k))
		if r, ok := m.present(k); ok && int(h.Sum32()%uint32(segments)) == segment {
			rows = append(rows, copied(r))
		}
	}
	m.mu.Unlock()
	for _, r := range rows {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (m *Memory) present(k string) (store.Row, bool) {
	r, ok := m.rows[k]
	if !ok || (!r.Expires.IsZero() && r.Expires.Unix() <= time.Now().Unix()) {
		return store.Row{}, false
	}
	return r, true
}

// copied keeps the model's bytes apart from its caller's.
func copied(r store.Row) store.Row {
	r.Value = append([]byte{}, r.Value...)
	if !r.Expires.IsZero() {
		r.Expires = time.Unix(r.Expires.Unix(), 0).UTC()
	}
	return r
}

// Values gives a copy of every row's value.
func (m *Memory) Values() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string][]byte{}
	for k, row := range m.rows {
		all[k] = slices.Clone(row.Value)
	}
	return all
}
