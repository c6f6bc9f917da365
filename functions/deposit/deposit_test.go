package deposit_test

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
	functionstest.Committed{
		Party: "vault", Function: "deposit",
		Event: func(w *functionstest.World) []byte {
			return w.Event(func() error { _, err := w.Vault("collector").Reserve(ctx, record.ID{1, 2, 3}, 2); return err })
		},
		Bad: []functionstest.Bad{
			{Name: "wrong signature", Event: functionstest.WrongProof, Kind: problem.Denied},
			{Name: "replay six minutes later", Event: functionstest.Replay, Kind: problem.Denied, Later: 6 * time.Minute},
			{Name: "proof of another body", Event: functionstest.OtherBody, Kind: problem.Denied},
			{Name: "missing proof", Event: functionstest.MissingProof, Kind: problem.Denied},
			{Name: "oversized", Event: functionstest.Oversized, Kind: problem.Invalid},
			{Name: "too many numbers", Kind: problem.Invalid, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Vault("collector").Reserve(ctx, record.ID{1}, 65)
				return err
			})},
			{Name: "a mirror reserves", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Vault("mirror").Reserve(ctx, record.ID{1}, 1)
				return err
			})},
			{Name: "somebody unknown", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Vault("investigator").Reserve(ctx, record.ID{1}, 1)
				return err
			})},
			{Name: "unknown number", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Vault("collector").Upload(ctx, 777_777_777_777, record.Digest{1}, record.Digest{2})
				return err
			})},
			{Name: "download of what has not arrived", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Vault("mirror").Download(ctx, 1)
				return err
			})},
		},
	}.Test(t)
}
