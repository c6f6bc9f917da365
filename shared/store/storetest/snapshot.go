package storetest

import (
	"maps"

	"arca.example/arca/shared/store"
)

// Snapshot is the state of a Memory at one moment, as a backup or an attacker's copy would hold it.
type Snapshot map[string]store.Row

// Snapshot copies the present state.
func (m *Memory) Snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.rows)
}

// Restore replaces everything by a snapshot: the past, with its versions.
func (m *Memory) Restore(s Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows = maps.Clone(map[string]store.Row(s))
}
