package sequence_test

import (
	"context"
	"testing"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
)

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	entry := ledger.Entry{7, 7, 7}
	functionstest.Committed{
		Party: "vault", Function: "sequence",
		Prepare: func(w *functionstest.World) {
			w.Drain()
			// An entry whose call to sequence got lost: the schedule must find it.
			if err := w.VaultOf("court").Add(ctx, entry); err != nil {
				t.Fatal(err)
			}
			w.Forget()
		},
		Event: func(*functionstest.World) []byte { return []byte(`{"arca":"tick"}`) },
		After: func(w *functionstest.World) {
			if _, err := w.Vault("mirror").Proof(ctx, entry); err != nil {
				t.Errorf("the entry is not proven after the tick: %v", err)
			}
			w.Tick("vault", "sequence") // twice equals once
			w.Verify()
		},
		Bad: []functionstest.Bad{
			{Name: "an event of another kind", Event: func(*functionstest.World, *functionstest.Request) []byte { return []byte(`{"arca":"canary"}`) }},
			{Name: "not an event", Event: func(*functionstest.World, *functionstest.Request) []byte { return []byte(`[1]`) }},
			{Name: "an HTTP call, which nothing routes here", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				return w.VaultOf("court").Add(ctx, entry)
			})},
		},
	}.Test(t)
}
