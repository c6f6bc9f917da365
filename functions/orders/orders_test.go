package orders_test

import (
	"context"
	"testing"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	functionstest.Committed{
		Party: "court", Function: "orders",
		Event: func(w *functionstest.World) []byte {
			return w.Event(func() error { _, err := w.Keyholder("court", "").Admit(ctx, w.Order()); return err })
		},
		After: func(w *functionstest.World) {
			// The same order again, as a clerk whose connection broke would send it.
			if err := w.Admit("court"); err != nil {
				t.Error(err)
			}
			w.Verify()
		},
		Bad: []functionstest.Bad{
			{Name: "wrong signature", Event: functionstest.WrongStatement, Kind: problem.Denied},
			{Name: "oversized", Event: functionstest.Oversized, Kind: problem.Invalid},
			{Name: "no statement at all", Kind: problem.Invalid, Event: func(_ *functionstest.World, r *functionstest.Request) []byte {
				return r.SetBytes([]byte("canary0123456789.canary0123456789.canary0123456789")).JSON()
			}},
			{Name: "a request in an order's place", Kind: problem.Invalid, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "").Admit(ctx, w.Request("content"))
				return err
			})},
			{Name: "signed by an investigator", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "").Admit(ctx, w.Sign("investigator", record.TypeOrder, record.Order{
					Audience: w.Hash, Kind: record.Revocation, Profile: "ES-588ter", Court: "Court One", Chain: w.Chain(), Decided: w.Trust.Issued, Reason: "no", Nonce: record.ID{1},
				}))
				return err
			})},
			{Name: "of another installation", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "").Admit(ctx, w.Sign("judge", record.TypeOrder, record.Order{
					Audience: record.Digest{1}, Kind: record.Revocation, Profile: "ES-588ter", Court: "Court One", Chain: w.Chain(), Decided: w.Trust.Issued, Reason: "no", Nonce: record.ID{1},
				}))
				return err
			})},
			{Name: "unknown case", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "clerk").Order(ctx, record.Digest{1, 2, 3})
				return err
			})},
			{Name: "somebody else's case", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "stranger").Order(ctx, w.Chain())
				return err
			})},
			{Name: "missing proof", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "").Order(ctx, w.Chain())
				return err
			})},
		},
	}.Test(t)
}
