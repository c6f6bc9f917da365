package stamp_test

import (
	"context"
	"testing"
	"time"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/problem"
)

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	tick := []byte(`{"arca":"tick"}`)
	functionstest.Committed{
		Party: "vault", Function: "stamp", Stamped: true,
		Prepare: func(w *functionstest.World) { w.Sequence() },
		Event:   func(*functionstest.World) []byte { return tick },
		After: func(w *functionstest.World) {
			stamps := func(want int, when string) {
				t.Helper()
				if n := len(w.Stamps()); n != want {
					t.Fatalf("%s: %d timestamps, want %d", when, n, want)
				}
			}
			stamps(2, "after the tick")
			w.Verify()
			w.Tick("vault", "stamp")
			stamps(2, "twice equals once")
			// An hour later one authority is down: the other stamps, and the function says so.
			w.Advance(time.Hour)
			w.Sequence()
			w.Authorities[0].Down = true
			if _, err := w.Invoke("vault", "stamp", tick); problem.KindOf(err) != problem.Unavailable {
				t.Errorf("an authority is down and the answer is %v", err)
			}
			stamps(3, "with one authority down")
			// It comes back: only it is asked again.
			w.Authorities[0].Down = false
			asked := w.Authorities[1].Queries
			w.Tick("vault", "stamp")
			stamps(4, "caught up")
			if w.Authorities[1].Queries != asked {
				t.Error("the authority that had stamped was asked again")
			}
			// No witness, no fresh checkpoint, no timestamp.
			w.Advance(time.Hour)
			if _, err := w.Invoke("vault", "stamp", tick); problem.KindOf(err) != problem.Unavailable {
				t.Errorf("a stale checkpoint: %v", err)
			}
			stamps(4, "on a stale checkpoint")
			w.Verify()
			w.Advance(-2 * time.Hour)
		},
		Bad: []functionstest.Bad{
			{Name: "an event of another kind", Event: func(*functionstest.World, *functionstest.Request) []byte { return []byte(`{"arca":"canary"}`) }},
			{Name: "not an event", Event: func(*functionstest.World, *functionstest.Request) []byte { return []byte(`[1]`) }},
			{Name: "an HTTP call, which nothing routes here", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Vault("mirror").Packs(ctx, 1)
				return err
			})},
		},
	}.Test(t)
}
