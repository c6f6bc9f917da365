package ledger_test

import (
	"context"
	"testing"
	"time"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
)

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	entry := ledger.Entry{7, 7, 7}
	functionstest.Committed{
		Party: "vault", Function: "ledger",
		Event: func(w *functionstest.World) []byte {
			return w.Event(func() error { return w.VaultOf("court").Add(ctx, entry, ledger.Entry{8}) })
		},
		After: func(w *functionstest.World) {
			w.Sequence()
			if _, err := w.Vault("mirror").Proof(ctx, entry); err != nil {
				t.Errorf("the entry of the event is not proven: %v", err)
			}
			w.Verify()
		},
		Bad: []functionstest.Bad{
			{Name: "wrong signature", Event: functionstest.WrongProof, Kind: problem.Denied},
			{Name: "replay six minutes later", Event: functionstest.Replay, Kind: problem.Denied, Later: 6 * time.Minute},
			{Name: "proof of another body", Event: functionstest.OtherBody, Kind: problem.Denied},
			{Name: "missing proof", Event: functionstest.MissingProof, Kind: problem.Denied},
			{Name: "oversized", Event: functionstest.Oversized, Kind: problem.Invalid},
			{Name: "more entries than a call takes", Kind: problem.Invalid, Event: functionstest.Call(func(w *functionstest.World) error {
				return w.VaultOf("custodian").Add(ctx, make([]ledger.Entry, 101)...)
			})},
			{Name: "a mirror adds", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				return w.Vault("mirror").Add(ctx, entry)
			})},
			{Name: "a collector adds, who could invent a keyholder's act or a pack", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				return w.Vault("collector").Add(ctx, entry)
			})},
			{Name: "unknown entry", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Vault("mirror").Proof(ctx, ledger.Entry{9, 9})
				return err
			})},
			{Name: "unknown tile", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Vault("mirror").Tile(ctx, "tile/5/123")
				return err
			})},
		},
	}.Test(t)
}
