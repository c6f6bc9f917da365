package report_test

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
	file := func(who string, change func(*functionstest.World, *wire.ReportFile)) func(w *functionstest.World) error {
		return func(w *functionstest.World) error {
			f := w.ReportFile("court")
			change(w, &f)
			_, err := w.Keyholder("court", who).FileReport(ctx, f)
			return err
		}
	}
	show := func(who string) func(w *functionstest.World) error {
		return func(w *functionstest.World) error {
			_, err := w.Keyholder("court", who).Report(ctx, record.HashStatement(w.ReportFile("court").Statement))
			return err
		}
	}
	same := func(*functionstest.World, *wire.ReportFile) {}
	functionstest.Committed{
		Party: "court", Function: "report",
		Prepare: functionstest.Ordered,
		Event: func(w *functionstest.World) []byte {
			return w.Event(func() error { return file("investigator", same)(w) })
		},
		After: func(w *functionstest.World) {
			if err := w.Report("court"); err != nil { // once more, as after a broken connection
				t.Error(err)
			}
			if err := show("judge")(w); err != nil {
				t.Error(err)
			}
			w.Sequence()
			w.Tick("court", "report")
			w.Tick("court", "report")
			w.Verify()
		},
		Bad: []functionstest.Bad{
			{Name: "wrong signature", Event: functionstest.WrongProof, Kind: problem.Denied},
			{Name: "replay six minutes later", Event: functionstest.Replay, Kind: problem.Denied, Later: 6 * time.Minute},
			{Name: "missing proof", Event: functionstest.MissingProof, Kind: problem.Denied},
			{Name: "oversized", Event: functionstest.Oversized, Kind: problem.Invalid},
			{Name: "signed by a judge", Kind: problem.Denied, Event: functionstest.Call(file("judge", func(w *functionstest.World, f *wire.ReportFile) {
				f.Statement = w.Sign("judge", record.TypeReport, record.Report{Audience: w.Hash, Chain: w.Chain(), Content: functionstest.Digest(f.Content), Court: functionstest.Digest(f.Share), Issued: w.Trust.Issued})
			}))},
			{Name: "altered", Kind: problem.Denied, Event: functionstest.Call(file("investigator", func(_ *functionstest.World, f *wire.ReportFile) { f.Statement = functionstest.Flip(f.Statement) }))},
			{Name: "other content", Kind: problem.Invalid, Event: functionstest.Call(file("investigator", func(_ *functionstest.World, f *wire.ReportFile) { f.Content = []byte("canary-0123456789") }))},
			{Name: "read by an auditor", Kind: problem.NotFound, Event: functionstest.Call(show("auditor"))},
			{Name: "read by a stranger", Kind: problem.NotFound, Event: functionstest.Call(show("stranger"))},
			{Name: "listed by a stranger", Kind: problem.NotFound, Event: functionstest.Call(func(w *functionstest.World) error {
				_, err := w.Keyholder("court", "stranger").Reports(ctx, w.Chain())
				return err
			})},
			{Name: "an event of another kind", Event: func(*functionstest.World, *functionstest.Request) []byte { return []byte(`{"arca":"canary"}`) }},
		},
	}.Test(t)
}
