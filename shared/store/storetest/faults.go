package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

// RowsUnderFaults demands of an engine whose connection fails at random: with
// one writer every answer is right, or Unavailable and the state is the one
// before or the one after; with many, acknowledged work is never lost, and
// unacknowledged work landed whole or not at all. The seeds are fixed.
func RowsUnderFaults(t *testing.T, rows store.Rows) {
	for _, c := range FaultChecks() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, rows, Limits{}.orContract()) })
	}
}

// FaultChecks lists the demands on a store.Rows whose connection fails.
func FaultChecks() []Check {
	return []Check{
		{"one writer", func(t TB, rows store.Rows, _ Limits) { oneWriterUnderFaults(t, rows, "fault/one/") }},
		{"many writers", func(t TB, rows store.Rows, _ Limits) { manyWritersUnderFaults(t, rows, "fault/many/") }},
		{"scan", func(t TB, rows store.Rows, _ Limits) { scanUnderFaults(t, rows, "fault/scan/") }},
	}
}

// Fails runs demands on an engine that is weak on purpose and says whether
// they noticed. A twin that panics counts as noticed.
func Fails(run func(TB)) bool {
	r := &refusal{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if recover() != nil {
				r.failed = true
			}
		}()
		run(r)
	}()
	<-done
	return r.failed
}

// refusal is a TB that remembers whether a demand failed.
type refusal struct{ failed bool }

func (r *refusal) Helper()               {}
func (r *refusal) Logf(string, ...any)   {}
func (r *refusal) Fatalf(string, ...any) { r.failed = true; runtime.Goexit() }

func oneWriterUnderFaults(t TB, rows store.Rows, prefix string) {
	ctx := context.Background()
	random := rand.New(rand.NewPCG(1, 2))
	model := NewMemory()
	unavailable := 0
	for step := range 150 {
		writes := randomWrites(random, prefix)
		if random.IntN(3) > 0 {
			writes = informed(model, writes)
		}
		before := snapshot(model)
		want, got := model.Commit(ctx, writes...), rows.Commit(ctx, writes...)
		switch {
		case got != nil && problem.KindOf(got) == problem.Unavailable:
			unavailable++
			model = settle(t, rows, before, model, prefix)
		case (want == nil) != (got == nil) || problem.KindOf(want) != problem.KindOf(got):
			t.Fatalf("step %d: engine %v, model %v", step, got, want)
		}
		if d := differ(read(t, model, prefix), read(t, rows, prefix)); d != "" {
			t.Fatalf("step %d (answer %v): %s", step, got, d)
		}
	}
	t.Logf("150 commits, %d of them Unavailable", unavailable)
}

// settle reads what an unclear commit left: it must be before or after, nothing between.
func settle(t TB, rows store.Rows, before, after *Memory, prefix string) *Memory {
	t.Helper()
	got := read(t, rows, prefix)
	if differ(read(t, after, prefix), got) == "" {
		return after
	}
	if d := differ(read(t, before, prefix), got); d != "" {
		t.Fatalf("an unclear commit left neither the old state nor the new one: %s", d)
	}
	return before
}

func randomWrites(random *rand.Rand, prefix string) []store.Write {
	var writes []store.Write
	for _, i := range random.Perm(5)[:1+random.IntN(3)] {
		w := store.Write{Op: store.Op(random.IntN(3)), Key: prefix + string(rune('a'+i)), Version: int64(random.IntN(3))}
		if w.Op == store.Delete && w.Version == 0 {
			w.Op = store.Put
		}
		if w.Op == store.Put {
			w.Value = fmt.Appendf(nil, "%d", random.Uint64())
		}
		writes = append(writes, w)
	}
	return writes
}

func snapshot(m *Memory) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := NewMemory()
	for k, r := range m.rows {
		s.rows[k] = copied(r)
	}
	return s
}

// read gets all keys of the fault tests, again while the engine is Unavailable.
func read(t TB, rows store.Rows, prefix string) map[string]store.Row {
	t.Helper()
	var keys []string
	for c := 'a'; c <= 'e'; c++ {
		keys = append(keys, prefix+string(c))
	}
	return reread(t, rows, keys...)
}

func reread(t TB, rows store.Rows, keys ...string) map[string]store.Row {
	t.Helper()
	for range 50 {
		got, err := rows.Get(context.Background(), keys...)
		if err == nil {
			return got
		}
		if problem.KindOf(err) != problem.Unavailable {
			t.Fatalf("get under faults: %v, want Unavailable", err)
		}
	}
	t.Fatalf("50 reads in a row were Unavailable")
	return nil
}

// manyWritersUnderFaults lets writers raise one common counter and, in the same
// commit, their own; whatever was answered, the common one is the sum.
func manyWritersUnderFaults(t TB, rows store.Rows, prefix string) {
	const writers, each = 6, 8
	acknowledged, unclear := make([]int, writers), make([]int, writers)
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			mine := fmt.Sprintf("%sw%d", prefix, w)
			for tries := 0; acknowledged[w] < each && errs[w] == nil && tries < 400; tries++ {
				switch err := raise(rows, prefix+"sum", mine); {
				case err == nil:
					acknowledged[w]++
				case problem.KindOf(err) == problem.Unavailable:
					unclear[w]++
				case problem.KindOf(err) != problem.Conflict:
					errs[w] = err
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("writer: %v", err)
	}
	sum := reread(t, rows, prefix+"sum")[prefix+"sum"].Version
	var total int64
	for w := range writers {
		mine := fmt.Sprintf("%sw%d", prefix, w)
		v := reread(t, rows, mine)[mine].Version
		if v < int64(acknowledged[w]) || v > int64(acknowledged[w]+unclear[w]) {
			t.Fatalf("writer %d: %d acknowledged, %d unclear, %d landed", w, acknowledged[w], unclear[w], v)
		}
		if acknowledged[w] < each {
			t.Fatalf("writer %d got only %d of %d through", w, acknowledged[w], each)
		}
		total += v
	}
	if sum != total {
		t.Fatalf("a commit landed in part: common counter %d, own counters %d", sum, total)
	}
}

func raise(rows store.Rows, keys ...string) error {
	got, err := rows.Get(context.Background(), keys...)
	if err != nil {
		return err
	}
	var writes []store.Write
	for _, k := range keys {
		writes = append(writes, store.Write{Key: k, Value: []byte("n"), Version: got[k].Version})
	}
	return rows.Commit(context.Background(), writes...)
}

func scanUnderFaults(t TB, rows store.Rows, prefix string) {
	for i := range 20 {
		key := fmt.Sprintf("%s%d", prefix, i)
		for len(reread(t, rows, key)) == 0 {
			if err := rows.Commit(context.Background(), store.Write{Key: key}); err != nil && problem.KindOf(err) == problem.Invalid {
				t.Fatalf("commit: %v", err)
			}
		}
	}
	for range 50 {
		seen := map[string]bool{}
		err := rows.Scan(context.Background(), 0, 1, func(r store.Row) error { seen[r.Key] = true; return nil })
		if err != nil {
			if problem.KindOf(err) != problem.Unavailable {
				t.Fatalf("scan under faults: %v", err)
			}
			continue
		}
		for i := range 20 {
			if !seen[fmt.Sprintf("%s%d", prefix, i)] {
				t.Fatalf("a scan that succeeded missed a row")
			}
		}
		return
	}
	t.Fatalf("50 scans in a row were Unavailable")
}
