package reader

import (
	"io"
	"strings"
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// sealBy seals a clip as a person does, into the unit, and has both keyholders take the note.
func (w *world) sealBy(author *record.Signer, change func(*record.Description)) seal.RecordingID {
	var last seal.Statement
	court, custodian, ids := w.batchBy(author, &last, clip{content: []byte("words"), change: change})
	w.court.notes, w.custodian.notes = append(w.court.notes, court), append(w.custodian.notes, custodian)
	w.sync()
	return ids[0]
}

func originOf(id seal.RecordingID) record.Origin {
	return record.Origin{Batch: record.ID{1}, Recording: record.ID(id), Commitments: record.Digest{1}, Compartment: "main", Kind: "call"}
}

func TestWhatAPersonSealedIsShownAsTheirs(t *testing.T) {
	w := newWorld(t, small)
	id := w.seal(clip{content: []byte("a call"), name: "call"})[0]
	note := w.sealBy(w.person, func(d *record.Description) { d.Kind, d.Of, d.Codec = record.KindNote, originOf(id), "text" })
	l := w.list(w.ask(seal.IndexClass))
	if len(l.Rows) != 2 || !l.Complete {
		t.Fatalf("%+v", l)
	}
	for _, row := range l.Rows {
		if made := row.ID == note; made != (row.By == "Ana Ejemplo") || made != (row.Of.Recording == record.ID(id)) {
			t.Errorf("%+v", row)
		}
	}
}

func TestWhatPosesAsAnothersWorkIsNotShown(t *testing.T) {
	for name, change := range map[string]func(*record.Description){
		"a person's call":            func(*record.Description) {},
		"a person's note of nothing": func(d *record.Description) { d.Kind = record.KindNote },
		"an investigator sealed again": func(d *record.Description) {
			d.Kind, d.Of = record.KindResealed, originOf(seal.RecordingID{7})
			d.Of.Compartment = "privileged"
		},
	} {
		w := newWorld(t, small)
		w.seal(clip{content: []byte("a call"), name: "call"})
		w.sealBy(w.person, change)
		if l := w.list(w.ask(seal.IndexClass)); len(l.Rows) != 1 || l.Complete || !strings.Contains(strings.Join(l.Warnings, " "), "tell the auditor") {
			t.Errorf("%s: %+v", name, l)
		}
	}
	w := newWorld(t, small)
	w.seal(clip{content: []byte("a call"), change: func(d *record.Description) { d.Kind, d.Of = record.KindNote, originOf(seal.RecordingID{7}) }})
	if l := w.list(w.ask(seal.IndexClass)); len(l.Rows) != 0 || l.Complete {
		t.Errorf("a collector's note: %+v", l)
	}
}

// What is sealed again is opened like anything else: the act is on disk before the first byte, its end after the last.
func TestSealingAgainIsAnOpening(t *testing.T) {
	w := newWorld(t, small)
	clerk := must(record.NewSigner())
	w.enrolClerk(clerk)
	content := pattern(3*seal.SegmentSize + 5)
	id := w.seal(clip{content: content, name: "call"})[0]
	w.person = clerk
	w.list(w.ask(seal.IndexClass))
	w.ask(seal.ContentClass, id)
	r := w.reader()
	item := must(r.Make(ctx, Making{ID: id.String(), Kind: record.KindResealed, To: record.ClerkCompartment, Reason: "copy of the court"}))
	if acts := must(r.queued()); len(acts) != 1 { // the listing's
		t.Fatal(acts)
	}
	src := must(item.Open())
	if acts := must(r.queued()); len(acts) != 2 {
		t.Fatal("nothing says that it is being opened:", acts)
	}
	got, err := io.ReadAll(src)
	if err != nil || string(got) != string(content) || item.Size != int64(len(content)) {
		t.Fatal(err, len(got))
	}
	if err := src.Close(); err != nil || len(must(r.queued())) != 3 {
		t.Fatal(err, must(r.queued()))
	}
	raw := must(item.Vouch(record.Made{Batch: record.ID{1}, Compartment: record.ClerkCompartment, Recording: record.ID{2}, Statement: record.Digest{3}}))
	var a record.Act
	if _, err := record.Open(raw, record.TypeAct, clerk.Public(), &a); err != nil || a.Validate() != nil || a.Kind != record.EventMoved || a.Recordings[0].Recording != record.ID(id) {
		t.Fatal(err, a)
	}
	if d := item.Description; d.Kind != record.KindResealed || d.Of.Kind != "call" || d.Of.Compartment != "main" || d.Of.Commitments.IsZero() {
		t.Fatalf("%+v", d)
	}
	// Somebody who stops reading has still opened it, and the act says that it broke off.
	again := must(must(r.Make(ctx, Making{ID: id.String(), Kind: record.KindResealed, To: record.ClerkCompartment, Reason: "again"})).Open())
	if err := again.Close(); err != nil || len(must(r.queued())) != 5 {
		t.Fatal(err, must(r.queued()))
	}
	if _, err := r.Make(ctx, Making{ID: id.String(), Kind: record.KindResealed, To: record.PrivilegedCompartment, Reason: "no"}); problem.KindOf(err) != problem.Denied {
		t.Fatal("a clerk sets something apart:", err)
	}
}
