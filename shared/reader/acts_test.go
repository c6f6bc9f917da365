package reader

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	made "arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader/cut"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// filedActs reads what a keyholder was told.
func filedActs(t *testing.T, w *world, o *office) (list []record.Act) {
	t.Helper()
	for _, raw := range o.acts {
		var a record.Act
		if _, err := record.Open(raw, record.TypeAct, w.person.Public(), &a); err != nil {
			t.Fatal(err)
		}
		if err := a.Validate(); err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return list
}

func described(list []record.Act) (words []string) {
	for _, a := range list {
		words = append(words, string(a.Kind)+" "+a.Result)
	}
	return words
}

func TestActsAreFiledAtBothKeyholders(t *testing.T) {
	w, ids, _, _, content := journey(t)
	r := w.reader()
	out := filepath.Join(t.TempDir(), "out")
	if _, err := r.Open(ctx, ids[0].String(), out, Range{Bytes: &ByteRange{100, 0}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(ctx, ids[0].String(), "-", Range{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(ctx, ids[0].String(), "-", Range{Span: cut.Span{From: 100 * 3600e9}}); err == nil {
		t.Fatal("a part outside was opened")
	}
	bundle := record.Digest{5}
	ref := filedRef(t, w, ids[0])
	if err := r.disclosed(content, &made.Source{Reason: "the court ordered it"}, bundle, []record.Reference{ref}, "the defence"); err != nil {
		t.Fatal(err)
	}
	if waiting, err := r.FileActs(ctx); waiting != 0 || err != nil {
		t.Fatal(waiting, err)
	}
	for _, o := range []*office{w.court, w.custodian} {
		acts := filedActs(t, w, o)
		got := described(acts)
		got = got[max(0, len(got)-7):]
		if want := []string{"opened begun", "copied completed", "opened begun", "opened completed", "opened begun", "opened failed", "disclosed completed"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q", o.role, described(acts))
		}
		acts = acts[len(acts)-7:]
		if first := acts[0]; first.Bytes.From != 100 || first.Bytes.Until != 0 || first.Request != content || acts[1].Of != record.HashStatement(o.acts[len(o.acts)-7]) || !acts[2].Whole {
			t.Errorf("%+v", first)
		}
		if last := acts[6]; last.Bundle != bundle || last.To != "the defence" {
			t.Errorf("%+v", last)
		}
	}
	if names, _ := r.queued(); len(names) != 0 {
		t.Error("still queued:", names)
	}
}

// filedRef gives the reference of a listed recording.
func filedRef(t *testing.T, w *world, id seal.RecordingID) record.Reference {
	t.Helper()
	e, err := w.reader().listed(id.String())
	if err != nil {
		t.Fatal(err)
	}
	return record.Reference{Batch: e.Batch, Recording: e.Recording}
}

// firstLook looks, at the first byte, whether the act was written down.
type firstLook struct {
	w    io.Writer
	look func()
	done bool
}

func (f *firstLook) Write(b []byte) (int, error) {
	if !f.done {
		f.done = true
		f.look()
	}
	return f.w.Write(b)
}

// TestAnActIsWrittenDownBeforeTheFirstByte holds the order that everything rests on.
func TestAnActIsWrittenDownBeforeTheFirstByte(t *testing.T) {
	w, ids, _, _, _ := journey(t)
	r := w.reader()
	if _, err := r.FileActs(ctx); err != nil {
		t.Fatal(err)
	}
	looked := false
	r.cfg.Stdout = &firstLook{w: io.Discard, look: func() {
		looked = true
		names, err := r.queued()
		if err != nil || len(names) != 1 {
			t.Fatal("nothing was written down before the first byte", names, err)
		}
		raw, err := os.ReadFile(r.path(actsFolder, names[0]))
		var a record.Act
		if err == nil {
			_, err = record.Open(string(raw), record.TypeAct, w.person.Public(), &a)
		}
		if err != nil || a.Kind != record.EventOpened || a.Result != record.Begun {
			t.Errorf("%+v %v", a, err)
		}
	}}
	if _, err := r.Open(ctx, ids[0].String(), "-", Range{}); err != nil || !looked {
		t.Fatal(err)
	}
	// Where it cannot be written down, nothing leaves.
	if err := os.RemoveAll(r.path(actsFolder)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.path(actsFolder), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.stdout.Reset()
	r.cfg.Stdout = &w.stdout
	if _, err := r.Open(ctx, ids[0].String(), "-", Range{}); err == nil || w.stdout.Len() > 0 {
		t.Errorf("%d bytes left unrecorded, %v", w.stdout.Len(), err)
	}
}

func TestActsWaitForAKeyholderThatIsDown(t *testing.T) {
	w, ids, _, _, _ := journey(t)
	r := w.reader()
	if _, err := r.FileActs(ctx); err != nil {
		t.Fatal(err)
	}
	before := len(w.court.acts)
	w.custodian.actErr = problem.New(problem.Unavailable, "down")
	w.court.actErr = problem.New(problem.Denied, "no")
	if _, err := r.Open(ctx, ids[0].String(), "-", Range{}); err != nil {
		t.Fatal(err)
	}
	if waiting, err := r.FileActs(ctx); waiting != 2 || problem.KindOf(err) != problem.Unavailable {
		t.Fatal(waiting, err)
	}
	w.custodian.actErr, w.court.actErr = nil, nil
	if waiting, err := w.reader().FileActs(ctx); waiting != 0 || err != nil { // as the next command does
		t.Fatal(waiting, err)
	}
	if len(w.court.acts) != before+2 || !slices.Equal(w.court.acts, w.custodian.acts) {
		t.Error("court and custodian were told different acts")
	}
	// What is refused for good is put aside and holds nothing up.
	w.court.actErr = problem.New(problem.Denied, "never released")
	if _, err := r.Open(ctx, ids[0].String(), "-", Range{}); err != nil {
		t.Fatal(err)
	}
	waiting, err := r.FileActs(ctx)
	if waiting != 0 || problem.KindOf(errors.Unwrap(err)) == "" || !strings.Contains(err.Error(), "never released") {
		t.Fatal(waiting, err)
	}
	aside, err := os.ReadDir(r.path(actsFolder, refusedActs))
	if err != nil || len(aside) != 2 {
		t.Error(aside, err)
	}
}
