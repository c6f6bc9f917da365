package release_test

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
	ask := func(who string, hash func(*functionstest.World) record.Digest, from int) func(*functionstest.World, *functionstest.Request) []byte {
		return functionstest.Call(func(w *functionstest.World) error {
			_, err := w.Keyholder("court", who).Release(ctx, hash(w), from)
			return err
		})
	}
	content := func(w *functionstest.World) record.Digest { return record.HashStatement(w.Request("content")) }
	functionstest.Committed{
		Party: "court", Function: "release", Prepare: functionstest.Approved,
		Event: func(w *functionstest.World) []byte {
			return w.Event(func() error { _, err := w.Keyholder("court", "investigator").Release(ctx, content(w), 0); return err })
		},
		After: func(w *functionstest.World) {
			if err := w.Mirror(); err != nil {
				t.Fatal(err)
			}
			w.OpenAll(3)
			w.Verify()
		},
		Bad: []functionstest.Bad{
			{Name: "wrong signature", Event: functionstest.WrongProof, Kind: problem.Denied},
			{Name: "replay six minutes later", Event: functionstest.Replay, Kind: problem.Denied, Later: 6 * time.Minute},
			{Name: "proof of another body", Event: functionstest.OtherBody, Kind: problem.Denied},
			{Name: "missing proof", Event: functionstest.MissingProof, Kind: problem.Denied},
			{Name: "oversized", Event: functionstest.Oversized, Kind: problem.Invalid},
			{Name: "unknown request", Kind: problem.NotFound, Event: ask("investigator", func(*functionstest.World) record.Digest { return record.Digest{1, 2} }, 0)},
			{Name: "somebody else's request", Kind: problem.NotFound, Event: ask("supervisor", content, 0)},
			{Name: "from beyond the end", Kind: problem.Invalid, Event: ask("investigator", content, 4)},
		},
	}.Test(t)
}
