package arrived_test

import (
	"context"
	"testing"
	"time"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/seal"
)

// confirmation makes the HTTP event, for the committed one is the object store's notice.
func confirmation(then func(*functionstest.World, *functionstest.Request) []byte) func(*functionstest.World, *functionstest.Request) []byte {
	return func(w *functionstest.World, _ *functionstest.Request) []byte {
		return then(w, w.HTTPEvent(func() error { return w.Vault("collector").Arrived(context.Background(), w.Number()) }))
	}
}

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	functionstest.Committed{
		Party: "vault", Function: "arrived", Prepare: functionstest.Deposited,
		Event: func(w *functionstest.World) []byte {
			return functionstest.CreatedEvent(seal.PackKey(w.Number()), int64(functionstest.Geometry.Size))
		},
		After: func(w *functionstest.World) {
			if err := w.Mirror(); err != nil {
				t.Errorf("the pack of the event is not listed: %v", err)
			}
			// Told twice, and confirmed: nothing changes.
			w.ObjectCreated(seal.PackKey(w.Number()), int64(functionstest.Geometry.Size))
			if err := w.Confirm(); err != nil {
				t.Error(err)
			}
			w.Verify()
			// A tile of the log is no pack, and nobody's business here.
			w.ObjectCreated("tile/0/000", 32)
		},
		Bad: []functionstest.Bad{
			{Name: "an object that nobody announced", Event: func(*functionstest.World, *functionstest.Request) []byte {
				return functionstest.CreatedEvent(seal.PackKey(4_242), 1)
			}},
			{Name: "an event of another source", Event: func(*functionstest.World, *functionstest.Request) []byte {
				return []byte(`{"source":"aws.canary","detail-type":"Object Created"}`)
			}},
			{Name: "wrong signature", Event: confirmation(functionstest.WrongProof), Kind: problem.Denied},
			{Name: "missing proof", Event: confirmation(functionstest.MissingProof), Kind: problem.Denied},
			{Name: "oversized", Event: confirmation(functionstest.Oversized), Kind: problem.Invalid},
			{Name: "replay six minutes later", Event: func(w *functionstest.World, _ *functionstest.Request) []byte {
				return w.Earlier(6*time.Minute, func() error { return w.Vault("collector").Arrived(ctx, w.Number()) })
			}, Kind: problem.Denied},
			{Name: "unknown number", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				return w.Vault("collector").Arrived(ctx, 777_777_777_777)
			})},
			{Name: "a mirror confirms", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				return w.Vault("mirror").Arrived(ctx, w.Number())
			})},
		},
	}.Test(t)
}
