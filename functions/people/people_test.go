package people_test

import (
	"context"
	"encoding/json"
	"testing"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	functionstest.Cast["newcomer"] = record.Enrolment{Roles: []record.Role{record.Supervisor}, PoliceUnit: "Unit A", Clearance: "secret"}
	functionstest.Committed{
		Party: "court", Function: "people", Prepare: functionstest.Ordered,
		Event: func(w *functionstest.World) []byte {
			return w.Event(func() error { return w.Keyholder("court", "").Enrol(ctx, w.Enrolment("newcomer")) })
		},
		After: func(w *functionstest.World) {
			for range 2 {
				if err := w.Enrol("court", "newcomer"); err != nil {
					t.Errorf("the same enrolment again: %v", err)
				}
			}
			w.Verify()
		},
		Bad: []functionstest.Bad{
			{Name: "wrong signature", Kind: problem.Denied, Event: func(_ *functionstest.World, r *functionstest.Request) []byte {
				var joint record.Joint
				if err := json.Unmarshal(r.Bytes(), &joint); err != nil {
					t.Fatal(err)
				}
				joint[1] = functionstest.Flip(joint[1])
				raw, _ := json.Marshal(joint) // strings always marshal
				return r.SetBytes(raw).JSON()
			}},
			{Name: "one registrar alone", Kind: problem.Denied, Event: func(_ *functionstest.World, r *functionstest.Request) []byte {
				var joint record.Joint
				if err := json.Unmarshal(r.Bytes(), &joint); err != nil {
					t.Fatal(err)
				}
				raw, _ := json.Marshal(joint[:1]) // strings always marshal
				return r.SetBytes(raw).JSON()
			}},
			{Name: "oversized", Event: functionstest.Oversized, Kind: problem.Invalid},
			{Name: "suspended by an investigator", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				return w.Keyholder("court", "").Suspend(ctx, w.Sign("investigator", record.TypeSuspension, record.PersonSuspension{
					Audience: w.Hash, Issued: w.Trust.Issued, Nonce: record.ID{1}, Person: functionstest.Signer("supervisor").Public().ID(), Reason: "no",
				}))
			})},
			{Name: "missing proof", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "").People(ctx)
				return err
			})},
			{Name: "unknown case", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "auditor").Log(ctx, record.Digest{1, 2, 3}, 1)
				return err
			})},
			{Name: "the journal read by an investigator", Kind: problem.Denied, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "investigator").Log(ctx, record.Digest{}, 1)
				return err
			})},
		},
	}.Test(t)
}
