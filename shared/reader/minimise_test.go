package reader

import (
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader/cut"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// under puts the world's order under a statute.
func (w *world) under(profile string) *world {
	judge := must(record.NewSigner())
	w.order = must(record.Sign(judge, record.TypeOrder, w.now, record.Order{Classification: "reservado", Court: "Court 1", Kind: record.Authorisation, Profile: profile, Decided: w.now}))
	w.unit.Order = record.HashStatement(w.order)
	return w
}

func seconds(from, to float64) Range {
	return Range{Span: cut.Span{From: time.Duration(from * float64(time.Second)), To: time.Duration(to * float64(time.Second))}}
}

func TestWhatIsMarkedNotPertinentIsMinimised(t *testing.T) {
	for profile, refuses := range map[string]bool{"US-T3": true, "ES-588ter": false} {
		w := newWorld(t, small).under(profile)
		id := w.seal(clip{content: sample(t, "en_short_reminder.wav"), name: "call"})[0]
		l := w.list(w.ask(seal.IndexClass))
		w.sealBy(w.person, func(d *record.Description) {
			d.Kind, d.Of = record.KindNote, originOf(id)
			d.Of.Batch, d.Of.Mark, d.Of.Millis = record.ID(l.Rows[0].Batch), record.MarkNotPertinent, record.Span{From: 1000, Until: 2000}
		})
		w.list(w.ask(seal.IndexClass))
		w.ask(seal.ContentClass, id)
		for name, tc := range map[string]struct {
			part    Range
			touches bool
		}{
			"all": {Range{}, true}, "bytes": {Range{Bytes: &ByteRange{First: 0, Last: 50}}, true}, "before it": {seconds(0, 1), false}, "after it": {seconds(2, 3), false},
			"into it": {seconds(0.5, 1.5), true}, "out of it": {seconds(1.5, 0), true}, "around it": {seconds(0.5, 2.5), true},
		} {
			w.stdout.Reset()
			got, err := w.reader().Open(ctx, id.String(), "-", tc.part)
			switch {
			case tc.touches && refuses:
				if problem.KindOf(err) != problem.Denied || !strings.Contains(problem.MessageOf(err), "2518(5)") || w.stdout.Len() > 0 {
					t.Errorf("%s, %s: %v, %d bytes", profile, name, err, w.stdout.Len())
				}
				tc.part.Minimised = "exculpatory, says the defence"
				if got, err := w.reader().Open(ctx, id.String(), "-", tc.part); err != nil || got.Marked != "" {
					t.Errorf("%s, %s, with a reason: %v %q", profile, name, err, got.Marked)
				}
			case err != nil || (got.Marked != "") != tc.touches:
				t.Errorf("%s, %s: %v, told %q", profile, name, err, got.Marked)
			}
		}
	}
}

// The reason stands in the act, before the first byte.
func TestWhyWhatIsMinimisedWasOpenedStandsInTheAct(t *testing.T) {
	w := newWorld(t, small)
	id := w.seal(clip{content: []byte("x"), name: "call"})[0]
	w.list(w.ask(seal.IndexClass))
	w.ask(seal.ContentClass, id)
	r := w.reader()
	if _, err := r.Open(ctx, id.String(), "-", Range{Minimised: "ordered by the court"}); err != nil {
		t.Fatal(err)
	}
	must(r.FileActs(ctx))
	said := 0
	for _, raw := range w.court.acts {
		var a record.Act
		if err := record.Unmarshal(must(record.Peek(raw)).Payload, &a); err != nil {
			t.Fatal(err)
		}
		if a.Minimised == "ordered by the court" && (a.Kind == record.EventOpened) {
			said++
		}
	}
	if said != 2 { // begun, and its end
		t.Errorf("%d acts say why", said)
	}
	if err := (&record.Act{Chain: w.unit.Order, Issued: w.now, Kind: record.EventFound, Minimised: "x", Recordings: []record.Reference{{Batch: record.ID{1}, Recording: record.ID{1}}}, Result: record.Completed}).Validate(); problem.KindOf(err) != problem.Invalid {
		t.Error("an act that opens nothing has such a reason:", err)
	}
}
