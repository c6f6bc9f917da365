package requests_test

import (
	"context"
	"testing"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	ask := func(who string, change func(*functionstest.World, *record.Request)) func(*functionstest.World, *functionstest.Request) []byte {
		return functionstest.Call(func(w *functionstest.World) error {
			_, err := w.Keyholder("court", "").Ask(ctx, w.ChangedRequest(who, func(r *record.Request) { change(w, r) }))
			return err
		})
	}
	functionstest.Committed{
		Party: "court", Function: "requests", Prepare: functionstest.Noted,
		Event: func(w *functionstest.World) []byte {
			return w.Event(func() error { _, err := w.Keyholder("court", "").Ask(ctx, w.Request("content")); return err })
		},
		After: func(w *functionstest.World) {
			for range 2 {
				if err := w.Ask("court", "content"); err != nil {
					t.Errorf("the same request again: %v", err)
				}
				if err := w.Decide("court", "content"); err != nil {
					t.Errorf("the approval: %v", err)
				}
			}
			w.Verify()
		},
		Bad: []functionstest.Bad{
			{Name: "wrong signature", Event: functionstest.WrongStatement, Kind: problem.Denied},
			{Name: "oversized", Event: functionstest.Oversized, Kind: problem.Invalid},
			{Name: "replay of the nonce in another request", Kind: problem.Denied, Event: ask("investigator", func(w *functionstest.World, r *record.Request) {
				r.Purpose = "something else"
			})},
			{Name: "unknown case", Kind: problem.NotFound, Event: ask("investigator", func(w *functionstest.World, r *record.Request) {
				r.Chain, r.Nonce = record.Digest{1, 2, 3}, record.ID{1}
			})},
			{Name: "by another unit's investigator", Kind: problem.NotFound, Event: ask("stranger", func(_ *functionstest.World, r *record.Request) { r.Nonce = record.ID{2} })},
			{Name: "by nobody", Kind: problem.Denied, Event: ask("nobody", func(_ *functionstest.World, r *record.Request) { r.Nonce = record.ID{3} })},
			{Name: "for longer than the order", Kind: problem.Invalid, Event: ask("investigator", func(_ *functionstest.World, r *record.Request) {
				r.Nonce, r.Expires = record.ID{4}, r.Expires.AddDate(0, 3, 0)
			})},
			{Name: "an act on what was never released", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				return w.Keyholder("court", "").FileAct(ctx, w.Sign("investigator", record.TypeAct, record.Act{
					Audience: w.Hash, Chain: w.Chain(), Issued: w.Trust.Issued, Kind: record.EventOpened, Nonce: record.ID{5}, Whole: true,
					Recordings: []record.Reference{{Batch: record.ID{1}, Recording: record.ID{2}}}, Request: record.HashStatement(w.Request("content")), Result: record.Begun,
				}))
			})},
			{Name: "missing proof", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "").Inbox(ctx, 1)
				return err
			})},
			{Name: "somebody else's request", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "stranger").Request(ctx, record.HashStatement(w.Request("content")))
				return err
			})},
		},
	}.Test(t)
}
