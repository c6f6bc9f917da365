package scrub_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	arca "arca.example/arca"
	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/problem"
)

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	functionstest.Committed{
		Party: "vault", Function: "scrub",
		Prepare: func(w *functionstest.World) {
			functionstest.Deposited(w)
			if err := w.Confirm(); err != nil {
				t.Fatal(err)
			}
			w.Sequence()
			w.Replicate()
			w.Damage()
		},
		Event: func(*functionstest.World) []byte { return []byte(`{"arca":"asked"}`) },
		After: func(w *functionstest.World) {
			s := w.Scrubbed()
			if len(s.Damaged) > 0 || s.Repaired != 1 || len(s.Repairs) != 1 || s.Passed.IsZero() || s.Objects != 1 {
				t.Errorf("%+v", s)
			}
			// The template's metric filter reads this line.
			if !strings.Contains(w.Log.String(), `"damaged":0,"repaired":1`) || !bytes.Contains(arca.Template, []byte(`FilterPattern: "{ $.damaged > 0 }"`)) {
				t.Errorf("the alarm would not see it: %s", w.Log)
			}
			if err := w.Mirror(); err != nil {
				t.Errorf("the pack is not what the log says: %v", err)
			}
			w.Tick("vault", "scrub") // twice equals once
			w.Verify()
			if s := w.Scrubbed(); len(s.Repairs) != 1 || s.Repaired != 0 {
				t.Errorf("repaired again: %+v", s)
			}
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
