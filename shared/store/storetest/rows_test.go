package storetest

import (
	"context"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

func TestTheModelPassesItsOwnSuite(t *testing.T) {
	Rows(t, func(t *testing.T) store.Rows { return NewMemory() })
}

func TestTheModelPassesUnderFaults(t *testing.T) {
	RowsUnderFaults(t, NewMemory())
}

// TestWeakenedEnginesFail is the suite's own proof: each twin breaks one
// promise, and the named check must catch it.
func TestWeakenedEnginesFail(t *testing.T) {
	twins := map[string]struct {
		rows  store.Rows
		check string
	}{
		"keeps the caller's slice":       {&aliasing{Memory: NewMemory()}, "keeps what it was given apart from the caller's memory"},
		"ignores versions":               {&unconditional{NewMemory()}, "every write is conditional on the version"},
		"writes until the first refusal": {&piecemeal{NewMemory()}, "a commit is all or nothing"},
		"shows expired rows":             {&immortal{Memory: NewMemory()}, "expired rows read as absent"},
		"takes too much":                 {&greedy{Memory: NewMemory()}, "limits are enforced and usable in full"},
		"scans one segment only":         {&halfScan{NewMemory()}, "scan covers every row once over all segments"},
		"checks, then writes unlocked":   {&racy{NewMemory()}, "of concurrent conflicting commits exactly one wins"},
		"loses updates":                  {&racy{NewMemory()}, "concurrent increments are never lost"},
		"check op does nothing":          {&uncheckedOp{NewMemory()}, "check changes nothing and can fail a commit"},
		"keeps versions across deletes":  {&undeleting{Memory: NewMemory(), base: map[string]int64{}}, "delete removes and the version starts again"},
		"acknowledges and forgets":       {&forgetful{NewMemory()}, "reads what was written"},
	}
	for name, twin := range twins {
		t.Run(name, func(t *testing.T) {
			for _, c := range RowChecks() {
				if c.Name == twin.check {
					if !Fails(func(tb TB) { c.Run(tb, twin.rows, Limits{}.orContract()) }) {
						t.Fatalf("the suite accepts an engine that %s", name)
					}
					return
				}
			}
			t.Fatalf("no check named %q", twin.check)
		})
	}
}

type aliasing struct {
	*Memory
	last store.Write
}

func (a *aliasing) Commit(ctx context.Context, w ...store.Write) error {
	a.last = w[0]
	return a.Memory.Commit(ctx, w...)
}

func (a *aliasing) Get(ctx context.Context, keys ...string) (map[string]store.Row, error) {
	got, err := a.Memory.Get(ctx, keys...)
	if r, ok := got[a.last.Key]; ok {
		r.Value = a.last.Value
		got[a.last.Key] = r
	}
	return got, err
}

type unconditional struct{ *Memory }

func (u *unconditional) Commit(ctx context.Context, writes ...store.Write) error {
	return u.Memory.Commit(ctx, informed(u.Memory, writes)...)
}

type piecemeal struct{ *Memory }

func (p *piecemeal) Commit(ctx context.Context, writes ...store.Write) error {
	for _, w := range writes {
		if err := p.Memory.Commit(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

type immortal struct{ *Memory }

func (i *immortal) Commit(ctx context.Context, writes ...store.Write) error {
	for j := range writes {
		if writes[j].Expires.Before(time.Now()) {
			writes[j].Expires = time.Time{}
		}
	}
	return i.Memory.Commit(ctx, writes...)
}

type greedy struct{ *Memory }

func (g *greedy) Commit(ctx context.Context, writes ...store.Write) error {
	err := g.Memory.Commit(ctx, writes...)
	if problem.KindOf(err) == problem.Invalid {
		return nil
	}
	return err
}

type halfScan struct{ *Memory }

func (h *halfScan) Scan(ctx context.Context, segment, segments int, yield func(store.Row) error) error {
	return h.Memory.Scan(ctx, 0, max(2, segments), yield)
}

// racy reads the versions, lets others run, then writes whatever happened.
type racy struct{ *Memory }

func (r *racy) Commit(ctx context.Context, writes ...store.Write) error {
	for _, w := range writes {
		got, _ := r.Memory.Get(ctx, w.Key)
		if got[w.Key].Version != w.Version {
			return problem.New(problem.Conflict, "changed")
		}
	}
	time.Sleep(time.Millisecond)
	return r.Memory.Commit(ctx, informed(r.Memory, writes)...)
}

type uncheckedOp struct{ *Memory }

func (u *uncheckedOp) Commit(ctx context.Context, writes ...store.Write) error {
	var kept []store.Write
	for _, w := range writes {
		if w.Op != store.Check {
			kept = append(kept, w)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return u.Memory.Commit(ctx, kept...)
}

// undeleting counts versions on where a deleted row had stopped.
type undeleting struct {
	*Memory
	base map[string]int64
}

func (u *undeleting) Commit(ctx context.Context, writes ...store.Write) error {
	err := u.Memory.Commit(ctx, writes...)
	if err == nil && writes[0].Op == store.Delete {
		u.base[writes[0].Key] = writes[0].Version
	}
	return err
}

func (u *undeleting) Get(ctx context.Context, keys ...string) (map[string]store.Row, error) {
	got, err := u.Memory.Get(ctx, keys...)
	for k, r := range got {
		r.Version += u.base[k]
		got[k] = r
	}
	return got, err
}

type forgetful struct{ *Memory }

func (f *forgetful) Commit(context.Context, ...store.Write) error { return nil }

func TestTheModelTestCatchesAnEngineThatDiffers(t *testing.T) {
	rows := &forgetful{NewMemory()}
	if err := rows.Commit(context.Background(), store.Write{Key: "m/a"}); err != nil {
		t.Fatal(err)
	}
	model := NewMemory()
	mustCommit(t, model, store.Write{Key: "m/a"})
	if !Fails(func(tb TB) { compare(tb, rows, model, "m/") }) {
		t.Fatal("a lost row goes unnoticed")
	}
}
