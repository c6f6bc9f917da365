package notes_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/wire"
)

func TestFromEventToResponse(t *testing.T) {
	ctx := context.Background()
	file := func(who string, change func([]byte) []byte) func(*functionstest.World, *functionstest.Request) []byte {
		return functionstest.Call(func(w *functionstest.World) error {
			_, err := w.Keyholder("court", who).FileNote(ctx, change(append([]byte(nil), w.Note("court")...)))
			return err
		})
	}
	same := func(b []byte) []byte { return b }
	functionstest.Committed{
		Party: "court", Function: "notes", Prepare: functionstest.Deposited,
		Event: func(w *functionstest.World) []byte {
			return w.Event(func() error { _, err := w.Keyholder("court", "collector").FileNote(ctx, w.Note("court")); return err })
		},
		After: func(w *functionstest.World) {
			if err := w.FileNote("court"); err != nil {
				t.Errorf("the same note again: %v", err)
			}
			w.Verify()
		},
		Bad: []functionstest.Bad{
			{Name: "wrong signature of the call", Event: functionstest.WrongProof, Kind: problem.Denied},
			{Name: "wrong signature of the note", Kind: problem.Denied, Event: file("collector", func(b []byte) []byte { b[len(b)-1] ^= 1; return b })},
			{Name: "cut short", Kind: problem.Invalid, Event: file("collector", func(b []byte) []byte { return b[:len(b)-1] })},
			{Name: "more than a call takes", Kind: problem.Invalid, Event: functionstest.Call(func(w *functionstest.World) error {
				_, _, err := w.Keyholder("court", "collector").FileNotes(ctx, slices.Repeat([][]byte{w.Note("court")}, wire.MaxNotes+1)...)
				return err
			})},
			{Name: "not a collector", Kind: problem.Denied, Event: file("investigator", same)},
			{Name: "somebody unknown", Kind: problem.Denied, Event: file("nobody", same)},
			{Name: "the other keyholder's note", Kind: problem.Invalid, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "collector").FileNote(ctx, w.Note("custodian"))
				return err
			})},
			{Name: "replay six minutes later", Event: functionstest.Replay, Kind: problem.Denied, Later: 6 * time.Minute},
			{Name: "missing proof", Event: functionstest.MissingProof, Kind: problem.Denied},
			{Name: "oversized", Event: functionstest.Oversized, Kind: problem.Invalid},
		},
	}.Test(t)
}
