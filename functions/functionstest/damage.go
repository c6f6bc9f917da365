package functionstest

import (
	"bytes"
	"io"

	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
)

// objects gives the vault's object store and its second copy, as an intruder or the provider's replication reaches them.
func (w *World) objects() (whole, second store.Blobs) {
	w.T.Helper()
	f, ok := w.plans["vault"].Function("scrub")
	if !ok {
		w.T.Fatal("the vault does not scrub")
	}
	env, err := edge.ReadEnv("replication", f.Lookup, edge.SetTable, edge.SetBucket, edge.SetCopy)
	w.must(err)
	r := w.resources("vault")(env)
	whole, err = r.Blobs()
	w.must(err)
	second, err = r.Copy()
	w.must(err)
	return whole, second
}

func (w *World) object(from store.Blobs, key string) []byte {
	w.T.Helper()
	content, err := again(w, func() ([]byte, error) {
		body, err := from.Get(w.T.Context(), key, 0, -1)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		return io.ReadAll(body)
	})
	w.must(err)
	return content
}

// Replicate makes the second copy what the vault's objects are.
func (w *World) Replicate() {
	w.T.Helper()
	whole, second := w.objects()
	for _, prefix := range []string{"pack/", "log/"} {
		list, err := again(w, func() ([]store.Info, error) { return whole.List(w.T.Context(), prefix, "", 1000) })
		w.must(err)
		for _, o := range list {
			w.put(second, o.Key, w.object(whole, o.Key))
		}
	}
}

func (w *World) put(into store.Blobs, key string, content []byte) {
	w.T.Helper()
	err := w.Try(func() error {
		return into.Put(w.T.Context(), key, int64(len(content)), Digest(content), bytes.NewReader(content))
	})
	if problem.KindOf(err) != problem.Conflict { // it is there already
		w.must(err)
	}
}

// Damage puts other bytes into the journey's pack, as decay or a vendor does.
func (w *World) Damage() {
	w.T.Helper()
	whole, _ := w.objects()
	key := seal.PackKey(w.state.First)
	content := w.object(whole, key)
	content[len(content)/2] ^= 1
	w.must(w.Try(func() error { return whole.Delete(w.T.Context(), key) }))
	w.put(whole, key, content)
}

// Scrub lets the schedule come due.
func (w *World) Scrub() error {
	return w.Try(func() error { _, err := w.Invoke("vault", "scrub", []byte(`{"arca":"tick"}`)); return err })
}

// Scrubbed is what the vault says of it.
func (w *World) Scrubbed() wire.Scrub {
	w.T.Helper()
	s, err := again(w, func() (wire.Scrub, error) { return w.Vault("mirror").Scrub(w.T.Context(), 1) })
	w.must(err)
	return s
}

// repair has the journey's pack damaged, found and repaired from the second copy.
func (w *World) repair() {
	w.T.Helper()
	w.Replicate()
	w.Damage()
	// A faulty store may need more runs than one.
	for range 10 {
		w.must(w.Scrub())
		if s := w.Scrubbed(); len(s.Damaged) == 0 && len(s.Repairs) > 0 {
			break
		}
	}
	w.Drain()
	s := w.Scrubbed()
	if len(s.Damaged) > 0 || len(s.Repairs) != 1 || s.Objects == 0 {
		w.T.Errorf("damaged: %v, %d repairs, %d objects", s.Damaged, len(s.Repairs), s.Objects)
	}
	whole, _ := w.objects()
	if Digest(w.object(whole, seal.PackKey(w.state.First))) != w.state.Whole {
		w.T.Error("the damaged pack is not repaired")
	}
}

// verifyRepairs holds every repair's event against its number, and demands that it is known.
func (w *World) verifyRepairs(known func(event, random []byte) bool) {
	w.T.Helper()
	for i, r := range w.Scrubbed().Repairs {
		var event record.Event
		var body record.RepairEvent
		w.must(record.Unmarshal(r.Event, &event))
		w.must(record.Unmarshal(event.Body, &body))
		if r.Number != uint64(i)+1 || body.Number != r.Number || event.Kind != record.EventRepaired {
			w.T.Errorf("the repairs break at %d", r.Number)
		}
		if !known(r.Event, r.Random) {
			w.T.Errorf("the log does not hold repair %d", r.Number)
		}
	}
}
