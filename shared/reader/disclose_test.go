package reader

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	made "arca.example/arca/shared/bundle"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/mirror/mirrortest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader/cut"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// disclosing is a week of two batches of which Ana has listed and may open everything, with the judge's enrolment known.
func disclosing(t *testing.T) (w *world, ids []seal.RecordingID) {
	t.Helper()
	w = newWorld(t, small)
	w.enrolCourt(must(record.SignerOf(mirrortest.Key("judge"))), "Judge One", record.Judge)
	ids = w.seal(clip{content: sample(t, "es_cambio_hora.wav"), name: "one"}, clip{content: pattern(3*seal.SegmentSize + 5), name: "two", change: func(d *record.Description) { d.Codec = "bytes" }})
	ids = append(ids, w.seal(clip{content: sample(t, "en_address_check.alaw.wav"), name: "three", change: func(d *record.Description) { d.Codec = "alaw" }})...)
	w.list(w.ask(seal.IndexClass))
	w.ask(seal.ContentClass, ids...)
	return w, ids
}

// whole names recordings to disclose whole.
func whole(ids ...seal.RecordingID) (list []Wanted) {
	for _, id := range ids {
		list = append(list, Wanted{ID: id.String()})
	}
	return list
}

// bundled makes a bundle of what was gathered and verifies it as its receiver will.
func (w *world) bundled(t *testing.T, in *made.Source) made.Report {
	t.Helper()
	in.Trust, in.Reason = record.TrustChain{{Trust: w.vault.Joint}}, "copy for the defence"
	in.Policy = must(ledger.VerifierOf(&w.vault.Trust)).Policy().Marshal()
	to := &target{}
	if err := made.Make(to, w.person, w.now, in); err != nil {
		t.Fatal(err)
	}
	got, err := made.Verify(bytes.NewReader(to.b), int64(len(to.b)), made.Options{Fingerprint: w.vault.Fingerprint, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// target is where a small bundle is written.
type target struct{ b []byte }

func (m *target) Write(p []byte) (int, error)             { m.b = append(m.b, p...); return len(p), nil }
func (m *target) WriteAt(p []byte, at int64) (int, error) { return copy(m.b[at:], p), nil }

// TestWhatIsGatheredMakesABundleThatVerifies gathers a whole recording and two stretches of another, and leaves one out.
func TestWhatIsGatheredMakesABundleThatVerifies(t *testing.T) {
	w, ids := disclosing(t)
	in, err := w.reader().Gather(ctx, []Wanted{{ID: ids[1].String()}, {ID: ids[0].String()[:8], Spans: []cut.Span{{From: time.Second, To: 2 * time.Second}, {From: 3 * time.Second}}}})
	if err != nil {
		t.Fatal(err)
	}
	if in.Custody != nil || len(in.Requests) != 1 || len(in.Batches) != 2 || len(in.Sealings) != 1 || len(in.People) != 3 || len(in.Order.Members) != 1 || len(in.Order.Status) != 2 || len(in.Weeks) != 0 {
		t.Fatalf("%+v", in)
	}
	got := w.bundled(t, in)
	contents := map[record.ID]string{}
	for _, r := range got.Recordings {
		contents[r.Recording] = r.Content
	}
	if len(contents) != 2 || contents[record.ID(ids[1])] != made.AsSealed || contents[record.ID(ids[0])] != made.PartOnly {
		t.Errorf("%+v", got.Recordings)
	}
	left := func(text string) bool {
		return slices.ContainsFunc(got.Omissions, func(o made.ShownOmission) bool { return strings.Contains(o.What, text) })
	}
	if !left("1 more recording of the same weeks") || !left("everything but 1s to 2s, 3s to ") || !left("journals") {
		t.Errorf("%+v", got.Omissions)
	}
}

// TestGatherRefuses changes one thing each about what a bundle needs.
func TestGatherRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, ids []seal.RecordingID) []Wanted
		want   problem.Kind
		says   string
	}{
		"nothing":        {func(*world, []seal.RecordingID) []Wanted { return nil }, problem.Invalid, "at least one"},
		"one twice":      {func(_ *world, ids []seal.RecordingID) []Wanted { return whole(ids[0], ids[0]) }, problem.Invalid, "each recording once"},
		"one not listed": {func(*world, []seal.RecordingID) []Wanted { return whole(seal.RecordingID{9}) }, problem.NotFound, ""},
		"one not released": {func(w *world, _ []seal.RecordingID) []Wanted {
			more := w.seal(clip{content: []byte("x"), name: "x"})
			w.list(w.ask(seal.IndexClass))
			return whole(more...)
		}, problem.NotFound, ""},
		"a week that is not all here": {func(w *world, ids []seal.RecordingID) []Wanted {
			court, custodian, _ := w.batchOf(clip{content: []byte("late"), name: "late"})
			w.court.notes, w.custodian.notes = append(w.court.notes, court), append(w.custodian.notes, custodian)
			return whole(ids[0])
		}, problem.Unavailable, "not whole here"},
		"a member that one does not hold": {func(w *world, ids []seal.RecordingID) []Wanted {
			w.custodian.extra = []string{w.order}
			return whole(ids[0])
		}, problem.Conflict, "same members"},
		"a word without members":    {func(w *world, ids []seal.RecordingID) []Wanted { w.court.wordless = true; return whole(ids[0]) }, problem.Denied, "without the members"},
		"a judge whom nobody shows": {func(w *world, ids []seal.RecordingID) []Wanted { w.people = w.people[:2]; return whole(ids[0]) }, problem.NotFound, "not shown to you"},
		"a span outside": {func(_ *world, ids []seal.RecordingID) []Wanted {
			return []Wanted{{ID: ids[0].String(), Spans: []cut.Span{{From: time.Hour}}}}
		}, problem.Invalid, ""},
		"acts of a moment ago": {func(w *world, ids []seal.RecordingID) []Wanted {
			for _, o := range []*office{w.court, w.custodian} {
				o.reads, o.unproven = true, 1
				o.write(record.EventFound, record.StatementEvent{})
			}
			return whole(ids[0])
		}, problem.Unavailable, "try again in a minute"},
	} {
		w, ids := disclosing(t)
		in, err := w.reader().Gather(ctx, c.change(w, ids))
		if err == nil || problem.KindOf(err) != c.want || !strings.Contains(problem.MessageOf(err), c.says) {
			t.Errorf("%s: %v, %v", name, in != nil, err)
		}
	}
}

// TestGatherTakesBothJournalsOrNone: a bundle with one journal would look as if it had both.
func TestGatherTakesBothJournalsOrNone(t *testing.T) {
	w, ids := disclosing(t)
	for _, o := range []*office{w.court, w.custodian} {
		for _, note := range o.notes {
			o.write(record.EventNoted, record.NotedEvent{Batch: record.ID(note.Statement.Batch), Collector: w.collector.Public().ID(), Recordings: []record.ID{}, Signature: []byte{1},
				Signed: note.Statement.Bytes(), Statement: record.Digest(note.Statement.Hash())})
		}
	}
	w.court.reads = true
	if in, err := w.reader().Gather(ctx, whole(ids[0])); err != nil || in.Custody != nil {
		t.Fatal(in.Custody, err)
	}
	w.custodian.reads = true
	r := w.reader()
	in, err := r.Gather(ctx, whole(ids[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []*office{w.court, w.custodian} {
		if got := in.Custody[string(o.role)]; len(got) != len(o.journal) || len(got) < 2 || !bytes.Equal(got[len(got)-1].Event, o.journal[len(got)-1].Event) {
			t.Errorf("%s: %d of %d events", o.role, len(got), len(o.journal))
		}
	}
	// With the releases in both, what was gathered makes a bundle that verifies.
	for _, o := range []*office{w.court, w.custodian} {
		refs := []record.Reference{filedRef(t, w, ids[0])}
		for _, raw := range in.Requests {
			o.write(record.EventReleased, record.ReleasedEvent{Class: "content", Recordings: refs, Request: record.HashStatement(raw), To: w.person.Public().ID()})
		}
	}
	if in, err = r.Gather(ctx, whole(ids[0])); err != nil || len(in.Requests) != 1 {
		t.Fatal(err)
	}
	if got := w.bundled(t, in); got.Acts["court"] != len(w.court.journal) || got.Acts["custodian"] != len(w.custodian.journal) {
		t.Errorf("%+v", got.Acts)
	}
}

// TestDisclosureReceipt takes the receipt from both journals, verifies it, and gets none while something is missing.
func TestDisclosureReceipt(t *testing.T) {
	w, ids := disclosing(t)
	r := w.reader()
	in, err := r.Gather(ctx, whole(ids[0], ids[2]))
	if err != nil {
		t.Fatal(err)
	}
	in.Reason, in.Recipients = "copy for the defence", []string{"age1example"}
	hash := record.Digest{7}
	if err := r.DiscloseTo(in, hash); err != nil {
		t.Fatal(err)
	}
	chain := w.unit.Order
	// Where the journals are not for this person, the act is filed all the same.
	if _, err := r.DisclosureReceipt(ctx, chain, hash); problem.KindOf(err) != problem.Denied {
		t.Fatal(err)
	}
	for _, o := range []*office{w.court, w.custodian} {
		acts := filedActs(t, w, o)
		if a := acts[len(acts)-1]; a.Kind != record.EventDisclosed || a.Bundle != hash || len(a.Recordings) != 2 || a.To != "age1example" {
			t.Fatalf("%+v", a)
		}
	}
	w.court.reads, w.custodian.reads = true, true
	raw, err := w.reader().DisclosureReceipt(ctx, chain, hash) // a process that gathered nothing
	if err != nil {
		t.Fatal(err)
	}
	got, err := made.VerifyDisclosure(&w.vault.Trust, w.vault.Fingerprint, raw)
	if err != nil || got.Bundle != hash || got.By != "Ana Ejemplo" || got.To != "age1example" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := r.DisclosureReceipt(ctx, chain, record.Digest{8}); problem.KindOf(err) != problem.Unavailable || !strings.Contains(err.Error(), "not journalled") {
		t.Error("of another bundle:", err)
	}
	w.custodian.unproven = 1
	if _, err := r.DisclosureReceipt(ctx, chain, hash); problem.KindOf(err) != problem.Unavailable {
		t.Error("before it is witnessed:", err)
	}
	w.custodian.unproven, w.custodian.actErr = 0, problem.New(problem.Unavailable, "down")
	if err := r.DiscloseTo(in, record.Digest{9}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.DisclosureReceipt(ctx, chain, record.Digest{9}); problem.KindOf(err) != problem.Unavailable {
		t.Error("while a keyholder is down:", err)
	}
}
