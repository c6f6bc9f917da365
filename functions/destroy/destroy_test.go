package destroy_test

import (
	"context"
	"testing"
	"time"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	list := func(who string, chain func(*functionstest.World) record.Digest) func(*functionstest.World, *functionstest.Request) []byte {
		return functionstest.Call(func(w *functionstest.World) error {
			_, err := w.Keyholder("court", who).Destructions(ctx, chain(w))
			return err
		})
	}
	ours := func(w *functionstest.World) record.Digest { return w.Chain() }
	functionstest.Committed{
		Party: "court", Function: "destroy", Prepare: functionstest.Condemned,
		Event: func(w *functionstest.World) []byte {
			return w.Event(func() error { return w.Keyholder("court", "judge").Destroy(ctx) })
		},
		After: func(w *functionstest.World) {
			w.Tick("custodian", "destroy")
			w.Tick("court", "destroy")
			w.Tick("custodian", "destroy") // twice equals once
			w.Shredded()
			w.Verify()
		},
		Bad: []functionstest.Bad{
			{Name: "wrong signature", Event: functionstest.WrongProof, Kind: problem.Denied},
			{Name: "replay six minutes later", Event: functionstest.Replay, Kind: problem.Denied, Later: 6 * time.Minute},
			{Name: "missing proof", Event: functionstest.MissingProof, Kind: problem.Denied},
			{Name: "proof of another body", Event: functionstest.OtherBody, Kind: problem.Denied},
			{Name: "oversized", Event: functionstest.Oversized, Kind: problem.Invalid},
			{Name: "an investigator who asks for it", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				return w.Keyholder("court", "investigator").Destroy(ctx)
			})},
			{Name: "the word, to a judge", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "judge").Destroying(ctx, record.ID{1, 2, 3}, w.Chain(), record.HashStatement(w.Decision()))
				return err
			})},
			{Name: "another unit's order", Kind: problem.NotFound, Event: list("stranger", ours)},
			{Name: "an order that does not exist", Kind: problem.NotFound, Event: list("judge", func(*functionstest.World) record.Digest { return record.Digest{1, 2} })},
			{Name: "an event of another kind", Event: func(*functionstest.World, *functionstest.Request) []byte { return []byte(`{"arca":"canary"}`) }},
		},
	}.Test(t)
}
