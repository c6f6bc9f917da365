package units_test

import (
	"context"
	"testing"
	"time"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	ask := func(change func(*wire.UnitAsk)) func(*functionstest.World, *functionstest.Request) []byte {
		return functionstest.Call(func(w *functionstest.World) error {
			a := w.UnitAsk()
			change(&a)
			_, _, err := w.Keyholder("court", "collector").Units(ctx, a)
			return err
		})
	}
	functionstest.Committed{
		Party: "court", Function: "units",
		Prepare: func(w *functionstest.World) {
			for _, party := range functionstest.Keyholders {
				if err := w.Admit(party); err != nil {
					t.Fatal(err)
				}
			}
			w.Forget() // the units function was asked to run and did not
		},
		Event: func(w *functionstest.World) []byte {
			return w.Event(func() error { _, _, err := w.Keyholder("court", "collector").Units(ctx, w.UnitAsk()); return err })
		},
		After: func(w *functionstest.World) {
			w.Tick("court", "units")
			w.Tick("court", "units") // twice equals once
			w.Verify()
		},
		Bad: []functionstest.Bad{
			{Name: "wrong signature", Event: functionstest.WrongProof, Kind: problem.Denied},
			{Name: "replay six minutes later", Event: functionstest.Replay, Kind: problem.Denied, Later: 6 * time.Minute},
			{Name: "missing proof", Event: functionstest.MissingProof, Kind: problem.Denied},
			{Name: "oversized", Event: functionstest.Oversized, Kind: problem.Invalid},
			{Name: "unknown case", Kind: problem.NotFound, Event: ask(func(a *wire.UnitAsk) { a.Chain = record.Digest{1, 2}.String() })},
			{Name: "a week outside the order", Kind: problem.Denied, Event: ask(func(a *wire.UnitAsk) { a.Week = "2030-W01" })},
			{Name: "not a week", Kind: problem.Invalid, Event: ask(func(a *wire.UnitAsk) { a.Week = "canary-2030-W01" })},
			{Name: "another classification", Kind: problem.Invalid, Event: ask(func(a *wire.UnitAsk) { a.Classification = "canary-0123456789" })},
			{Name: "an event of another kind", Event: func(*functionstest.World, *functionstest.Request) []byte { return []byte(`{"arca":"canary"}`) }},
		},
	}.Test(t)
}
