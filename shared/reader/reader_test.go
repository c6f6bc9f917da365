package reader

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/mirror"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader/cut"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

var _ Keyholder = (*wire.Keyholder)(nil)
var _ Mirror = (*mirror.Mirror)(nil)

// journey seals samples and gives an index request and a content request for all of them.
func journey(t testing.TB) (w *world, ids []seal.RecordingID, contents [][]byte, index, content record.Digest) {
	w = newWorld(t, small)
	contents = [][]byte{sample(t, "es_cambio_hora.wav"), sample(t, "es_hora_entrega.opus"), sample(t, "en_address_check.alaw.wav"), {}, []byte("Llega a las diez.")}
	var clips []clip
	for i, c := range contents {
		clips = append(clips, clip{content: c, name: named(i)})
	}
	ids = w.seal(clips...)
	index = w.ask(seal.IndexClass)
	w.list(index)
	content = w.ask(seal.ContentClass, ids...)
	return w, ids, contents, index, content
}

func TestJourney(t *testing.T) {
	w, ids, contents, index, _ := journey(t)
	l := w.list(index)
	if len(l.Rows) != len(ids) || !l.Complete || l.Waiting != 0 {
		t.Fatalf("%+v", l)
	}
	for i, row := range l.Rows {
		if row.ID != ids[i] || row.Size != int64(len(contents[i])) || row.Name != named(i) || row.New || row.Duration != 10*time.Second {
			t.Fatalf("%+v", row)
		}
		out := filepath.Join(t.TempDir(), "out")
		opened, err := w.reader().Open(ctx, row.ID.String()[:8], out, Range{})
		got, _ := os.ReadFile(out)
		if err != nil || !opened.Whole || !bytes.Equal(got, contents[i]) || opened.Bytes != int64(len(got)) {
			t.Fatalf("%+v, %v", opened, err)
		}
	}
	w.stdout.Reset()
	if _, err := w.reader().Open(ctx, ids[1].String(), "-", Range{Span: cut.Span{From: time.Second, To: 2 * time.Second}}); err != nil || cut.KindOf(bytes.NewReader(w.stdout.Bytes()), int64(w.stdout.Len())) != cut.Opus {
		t.Fatal(err)
	}
	w.stdout.Reset()
	if _, err := w.reader().Open(ctx, ids[0].String(), "-", Range{Bytes: &ByteRange{70000, 140000}}); err != nil || !bytes.Equal(w.stdout.Bytes(), contents[0][70000:140000]) {
		t.Fatal(err)
	}
	if _, err := w.reader().Open(ctx, ids[4].String(), "-", Range{Span: cut.Span{From: time.Second}}); problem.KindOf(err) != problem.Invalid || !strings.Contains(err.Error(), "--bytes") {
		t.Fatal(err)
	}
}

func TestANewerRequestThatWasDeniedDoesNotStandBeforeAnOlderOne(t *testing.T) {
	w, ids, contents, _, _ := journey(t)
	w.now = w.now.Add(time.Minute)
	newer := w.ask(seal.ContentClass, ids[0])
	w.court.denies, w.custodian.denies = newer, newer
	out := filepath.Join(t.TempDir(), "out")
	if _, err := w.reader().Open(ctx, ids[0].String(), out, Range{}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(out); !bytes.Equal(got, contents[0]) {
		t.Fatal("other bytes")
	}
}

// Somebody who asks again for what was destroyed is not sent for an approval.
func TestWhatWasDestroyedIsToldAsDestroyed(t *testing.T) {
	w, ids, _, _, _ := journey(t)
	w.now = w.now.Add(time.Minute)
	newer := w.ask(seal.ContentClass, ids[0])
	for _, o := range []*office{w.court, w.custodian} {
		o.denies, o.gone = newer, true
	}
	if _, err := w.reader().Open(ctx, ids[0].String(), filepath.Join(t.TempDir(), "out"), Range{}); problem.KindOf(err) != problem.Gone {
		t.Fatal(err)
	}
}

func TestListShowsWhatIsNewAndScansOnlyNewPacks(t *testing.T) {
	w, ids, _, index, _ := journey(t)
	more := w.seal(clip{content: []byte("later"), name: "later"})
	l := w.list(index)
	if len(l.Rows) != len(ids)+1 || l.Scanned != w.vault.Next-1 {
		t.Fatalf("%+v", l)
	}
	for _, row := range l.Rows {
		if row.New != (row.ID == more[0]) {
			t.Fatalf("%+v", row)
		}
	}
	// Only positions tell what was tried: with all of them there, a pack that nobody may read is not touched.
	if err := os.Rename(filepath.Join(w.mirrorFolder(), "packs", "000000000001"), filepath.Join(t.TempDir(), "away")); err != nil {
		t.Fatal(err)
	}
	if l := w.list(index); !l.Complete {
		t.Fatalf("%v", l.Warnings)
	}
	forged := w.reader().positionsPath(w.unit)
	raw, _ := os.ReadFile(forged)
	if err := os.WriteFile(forged, bytes.Replace(raw, []byte(`"slot":0`), []byte(`"slot":1`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if l := w.list(index); l.Complete || len(l.Rows) != len(ids)+1 || !strings.Contains(strings.Join(l.Warnings, " "), "pack 1 ") {
		t.Fatalf("forged positions were believed: %+v", l) // it tries all packs again, and the missing one is named
	}
}

func TestAbsenceIsNeverConcluded(t *testing.T) {
	w, ids, _, index, _ := journey(t)
	court, custodian, _ := w.batchOf(clip{content: []byte("not mirrored")})
	w.court.notes, w.custodian.notes = append(w.court.notes, court), append(w.custodian.notes, custodian)
	if l := w.list(index); l.Complete || l.Waiting != 1 || len(l.Rows) != len(ids) || len(l.Warnings) != 0 {
		t.Fatalf("%+v", l)
	}
	w.sync()
	if l := w.list(index); !l.Complete || l.Waiting != 0 {
		t.Fatalf("%+v", l)
	}
	// A batch that no keyholder names is missing between two that are there: numbers show it.
	before := w.vault.Next
	w.batchOf(clip{content: []byte("hidden")})
	w.vault.Stored, w.vault.Next = w.vault.Stored[:before-1], before
	w.vault.Store(bytes.Repeat([]byte{7}, small.Size)) // its number is another pack
	w.seal(clip{content: []byte("after")})
	if l := w.list(index); l.Complete || !strings.Contains(strings.Join(l.Warnings, " "), "batches 3 to 3 of collector") {
		t.Fatalf("%+v", l)
	}
	// A keyholder that holds back a note is named.
	w.custodian.notes = w.custodian.notes[:1]
	if l := w.list(index); l.Complete || !strings.Contains(strings.Join(l.Warnings, " "), "the custodian has no half") {
		t.Fatalf("%+v", l.Warnings)
	}
}

func TestAnAlteredSlotAreaHidesNothing(t *testing.T) {
	w, ids, _, index, _ := journey(t)
	name := filepath.Join(w.mirrorFolder(), "packs", filepath.Base(seal.PackKey(w.vault.Next-1)))
	pack, _ := os.ReadFile(name)
	_ = os.Remove(w.reader().positionsPath(w.unit))
	for _, i := range []int{0, 1119, 1120, 4000, seal.SlotSize - 1, seal.SlotSize} {
		pack[i] ^= 4
		_ = os.WriteFile(name, pack, 0o600)
		l := w.list(index)
		if l.Complete || len(l.Warnings) == 0 || !strings.Contains(l.Warnings[0], "slot area") {
			t.Fatalf("flip at %d: %+v", i, l)
		}
		pack[i] ^= 4
	}
	_ = os.WriteFile(name, pack, 0o600)
	if l := w.list(index); !l.Complete || len(l.Rows) != len(ids) {
		t.Fatalf("%+v", l)
	}
}

// unverified is a weakened mirror that gives slot areas as they are.
type unverified struct{ Mirror }

func (u unverified) SlotArea(n uint64) ([]byte, error) {
	b := make([]byte, small.Slots*seal.SlotSize)
	return b, u.ReadPack(n, 0, b)
}

func TestTheTwinWithoutSlotAreasHides(t *testing.T) {
	w, _, _, index, _ := journey(t)
	_ = os.Remove(w.reader().positionsPath(w.unit))
	name := filepath.Join(w.mirrorFolder(), "packs", filepath.Base(seal.PackKey(w.vault.Next-1)))
	pack, _ := os.ReadFile(name)
	pack[9] ^= 1
	_ = os.WriteFile(name, pack, 0o600)
	r := w.reader()
	r.cfg.Mirror = unverified{r.cfg.Mirror}
	if l, err := r.List(ctx, index); err != nil || len(l.Warnings) != 0 || len(l.Rows) != 0 {
		t.Fatalf("%+v, %v", l, err) // silence, which is what the real one never gives
	}
}

func TestEveryFlippedByteOfDescriptorsAndSegmentsIsRefused(t *testing.T) {
	w := newWorld(t, small)
	id := w.seal(clip{content: pattern(300), name: "short"})[0]
	index := w.ask(seal.IndexClass)
	w.list(index)
	w.ask(seal.ContentClass, id)
	e := must(w.reader().listed(id.String()))
	d := must(seal.ParseDescriptor(e.Descriptor))
	place := d.Places[0]
	name := filepath.Join(w.mirrorFolder(), "packs", filepath.Base(seal.PackKey(place.Pack)))
	pack, _ := os.ReadFile(name)
	area := must(seal.OpenSlot(w.find, place.Pack, 0, pack[:seal.SlotSize])).Area
	r := w.reader()
	rec := must(r.unlock(ctx, id.String()))
	flip := func(i int, try func()) {
		pack[i] ^= 1 << (i % 8)
		_ = os.WriteFile(name, pack, 0o600)
		try()
		pack[i] ^= 1 << (i % 8)
	}
	for i := int(place.Offset); i < int(place.Offset+place.Length); i++ {
		flip(i, func() {
			c := must(seal.NewContent(rec.key, rec.ctx, d.Places, r.cfg.Mirror))
			if _, err := c.WriteTo(io.Discard); problem.KindOf(err) != problem.Invalid {
				t.Fatalf("segment flip at %d: %v", i, err)
			}
		})
	}
	flip(int(place.Offset)+7, func() {
		out := filepath.Join(t.TempDir(), "out")
		if _, err := w.reader().Open(ctx, id.String(), out, Range{}); problem.KindOf(err) != problem.Invalid {
			t.Fatal(err)
		}
		if left, _ := os.ReadDir(filepath.Dir(out)); len(left) > 0 {
			t.Fatalf("an unverified file was left: %v", left)
		}
	})
	for i := int(area.Offset); i < int(area.Offset+area.Length); i++ {
		flip(i, func() {
			if l, err := r.openBatch(w.find, w.unit, position{place.Pack, 0}); err == nil {
				t.Fatalf("descriptor flip at %d: %+v", i, l)
			}
		})
	}
	flip(int(area.Offset)+7, func() {
		if l := w.list(index); l.Complete || len(l.Rows) != 0 || len(l.Warnings) == 0 {
			t.Fatalf("%+v", l)
		}
	})
}

func failure(t *testing.T, err error) *Failure {
	t.Helper()
	f, ok := errors.AsType[*Failure](err)
	if !ok || problem.KindOf(err) == problem.Internal {
		t.Fatalf("not a failure: %v", err)
	}
	if !strings.Contains(problem.MessageOf(err), string(f.Party)) {
		t.Fatalf("does not name the party: %v", problem.MessageOf(err))
	}
	return f
}

func TestEachKindOfFailureIsNamed(t *testing.T) {
	w, ids, _, _, content := journey(t)
	flipHalf := func(at int) func(*record.Release) {
		return func(r *record.Release) { r.Items[0].Half[at] ^= 1 }
	}
	otherHalf := func(r *record.Release) { // well sealed, not the committed one
		g := must(w.reader().load(content))
		c := seal.ContextOf(seal.RecordingID(r.Items[0].Recording), seal.BatchID(r.Items[0].Batch), w.unit)
		r.Items[0].Half = must(seal.SealHalf(g.key.PublicKey(), seal.Role(r.Party), content, c, seal.ContentClass, seal.Half{1}))
	}
	for name, c := range map[string]struct {
		set    func(*office)
		reason Reason
		kind   problem.Kind
	}{
		"denied":            {func(o *office) { o.refusal = problem.New(problem.Denied, "the order was revoked") }, Refused, problem.Denied},
		"lapsed":            {func(o *office) { o.refusal = problem.New(problem.Gone, "the order has lapsed") }, Refused, problem.Gone},
		"unreachable":       {func(o *office) { o.err = problem.New(problem.Unavailable, "the party cannot be reached") }, Unreachable, problem.Unavailable},
		"pending":           {func(o *office) { o.pending = 1000 }, Pending, problem.Conflict},
		"unknown":           {func(o *office) { o.refusal = problem.New(problem.NotFound, "no such request") }, Unknown, problem.NotFound},
		"half altered":      {func(o *office) { o.alter = flipHalf(40) }, Altered, problem.Denied},
		"half of another":   {func(o *office) { o.alter = otherHalf }, Altered, problem.Denied},
		"other request":     {func(o *office) { o.alter = func(r *record.Release) { r.Request[0] ^= 1 } }, Altered, problem.Denied},
		"other class":       {func(o *office) { o.alter = func(r *record.Release) { r.Class = "index" } }, Altered, problem.Denied},
		"other party":       {func(o *office) { o.alter = func(r *record.Release) { r.Party = "vault" } }, Altered, problem.Denied},
		"other audience":    {func(o *office) { o.alter = func(r *record.Release) { r.Audience[0] ^= 1 } }, Altered, problem.Denied},
		"twice":             {func(o *office) { o.alter = func(r *record.Release) { r.Items[1] = r.Items[0] } }, Altered, problem.Denied},
		"not asked for":     {func(o *office) { o.alter = func(r *record.Release) { r.Items[0].Recording[0] ^= 1 } }, Altered, problem.Denied},
		"empty page":        {func(o *office) { o.alter = func(r *record.Release) { r.Items = nil } }, Altered, problem.Denied},
		"other page":        {func(o *office) { o.alter = func(r *record.Release) { r.From++ } }, Altered, problem.Denied},
		"find altered":      {func(o *office) { o.alter = func(r *record.Release) { r.Find[9] ^= 1 } }, Altered, problem.Denied},
		"signature altered": {func(o *office) { o.wire = func(s string) string { return s[:len(s)-5] + "AAAAA" } }, Altered, problem.Denied},
	} {
		for _, o := range []*office{w.court, w.custodian} {
			c.set(o)
			_, err := w.reader().Open(ctx, ids[0].String(), "-", Range{})
			if f := failure(t, err); f.Party != o.role || f.Reason != c.reason || problem.KindOf(err) != c.kind {
				t.Errorf("%s by the %s: %s %s %v", name, o.role, f.Party, f.Reason, err)
			}
			o.refusal, o.err, o.pending, o.alter, o.wire = nil, nil, 0, nil, nil
		}
	}
	w.court.refusal, w.custodian.refusal = problem.New(problem.Denied, "revoked here"), problem.New(problem.Denied, "revoked there")
	if _, err := w.reader().Open(ctx, ids[0].String(), "-", Range{}); !strings.Contains(problem.MessageOf(err), "revoked here") || !strings.Contains(problem.MessageOf(err), "revoked there") {
		t.Fatal(err)
	}
	w.court.refusal, w.custodian.refusal = nil, nil
	w.custodian.find = seal.NewSeed()
	if _, err := w.reader().Open(ctx, ids[0].String(), "-", Range{}); problem.KindOf(err) != problem.Denied || !strings.Contains(err.Error(), "different find secrets") {
		t.Fatal(err)
	}
}

func TestEveryFlippedByteOfAReleaseIsRefused(t *testing.T) {
	w := newWorld(t, small)
	id := w.seal(clip{content: []byte("x")})[0]
	index := w.ask(seal.IndexClass)
	g := must(w.reader().load(index))
	raw := must(w.court.Release(ctx, index, 0))
	r := w.reader()
	for i := 0; i < len(raw); i++ {
		var out record.Release
		bad := raw[:i] + string(raw[i]^1) + raw[i+1:]
		if err := r.openPage(seal.Court, g, 0, bad, &out); err == nil {
			t.Fatalf("flip at %d of %d accepted", i, len(raw))
		}
	}
	_ = id
}

func TestAskKeepsBeforeItSends(t *testing.T) {
	w := newWorld(t, small)
	w.seal(clip{content: []byte("x")})
	in := AskInput{Chain: w.unit.Order, Week: w.unit.Week, Class: seal.IndexClass, Purpose: "p"}
	w.custodian.err = problem.New(problem.Unavailable, "the party cannot be reached")
	if _, err := w.reader().Ask(ctx, in); failure(t, err).Party != seal.Custodian {
		t.Fatal(err)
	}
	kept, err := w.reader().Requests()
	if err != nil || len(kept) != 1 || len(w.court.requests) != 1 {
		t.Fatalf("%+v, %v", kept, err)
	}
	w.custodian.err = nil
	for range 2 {
		if out, err := w.reader().Send(ctx, kept[0].Hash); err != nil || !out.Provable || len(w.court.requests) != 1 || len(w.custodian.requests) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	info, err := os.Stat(w.reader().requestPath(kept[0].Hash))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	w.court.pending = 1000
	if out, err := w.reader().Send(ctx, kept[0].Hash); err != nil || out.Provable || !strings.Contains(out.Waiting, "the court") || strings.Contains(out.Waiting, "custodian") {
		t.Fatalf("%+v, %v", out, err)
	}
	w.court.pending = 0
	w.custodian.err = problem.New(problem.Denied, "no policy allows you this")
	if _, err := w.reader().Ask(ctx, in); failure(t, err).Reason != Refused {
		t.Fatal(err)
	}
	if kept, _ := w.reader().Requests(); len(kept) != 1 {
		t.Fatal("a refused request was kept with its key")
	}
}

func TestExpireErasesKeysAndListings(t *testing.T) {
	w, ids, _, index, content := journey(t)
	g := must(w.reader().load(index))
	if n, err := w.reader().Expire(); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	w.now = w.now.Add(25 * time.Hour)
	if _, err := w.reader().Release(ctx, content); problem.KindOf(err) != problem.Gone {
		t.Fatal(err)
	}
	if n, err := w.reader().Expire(); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	_ = filepath.WalkDir(w.folder, func(path string, d os.DirEntry, _ error) error {
		if b, _ := os.ReadFile(path); bytes.Contains(b, g.seed[:]) || strings.Contains(path, "listing") {
			t.Errorf("%s is left", path)
		}
		return nil
	})
	if _, err := w.reader().Open(ctx, ids[0].String(), "-", Range{}); problem.KindOf(err) != problem.NotFound {
		t.Fatal(err)
	}
}

func TestOpenNeedsARequestForTheContent(t *testing.T) {
	w := newWorld(t, small)
	ids := w.seal(clip{content: []byte("a")}, clip{content: []byte("b")})
	if _, err := w.reader().Open(ctx, ids[0].String(), "-", Range{}); problem.KindOf(err) != problem.NotFound || !strings.Contains(err.Error(), "list its week") {
		t.Fatal(err)
	}
	w.list(w.ask(seal.IndexClass))
	if _, err := w.reader().Open(ctx, ids[0].String(), "-", Range{}); problem.KindOf(err) != problem.NotFound || !strings.Contains(err.Error(), "--class content") {
		t.Fatal(err)
	}
	w.ask(seal.ContentClass, ids[0])
	if _, err := w.reader().Open(ctx, ids[0].String(), "-", Range{}); err != nil || w.stdout.String() != "a" {
		t.Fatal(err)
	}
	if _, err := w.reader().Open(ctx, ids[1].String(), "-", Range{}); problem.KindOf(err) != problem.NotFound {
		t.Fatal("opening one opens the next")
	}
	out := filepath.Join(t.TempDir(), "there")
	_ = os.WriteFile(out, []byte("mine"), 0o600)
	if _, err := w.reader().Open(ctx, ids[0].String(), out, Range{}); problem.KindOf(err) != problem.Conflict {
		t.Fatal(err)
	}
	w.ask(seal.ContentClass) // the whole unit
	w.stdout.Reset()
	if _, err := w.reader().Open(ctx, ids[1].String(), "-", Range{}); err != nil || w.stdout.String() != "b" {
		t.Fatal(err)
	}
}

func TestDescriptionsThatLieAreLeftOutAndTextsAreClean(t *testing.T) {
	w := newWorld(t, small)
	ids := w.seal(
		clip{content: []byte("good"), name: "../../etc/\x1b[31mred\nline\u202e"},
		clip{content: []byte("long"), change: func(d *record.Description) { d.Length++ }},
		clip{content: []byte("late"), change: func(d *record.Description) { d.Start, d.End = d.Start.AddDate(0, 0, 8), d.End.AddDate(0, 0, 8) }},
		clip{content: []byte("none"), change: func(d *record.Description) { d.Digest = d.Digest[:31] }})
	l := w.list(w.ask(seal.IndexClass))
	if len(l.Rows) != 1 || l.Rows[0].ID != ids[0] || len(l.Warnings) != 3 || l.Complete {
		t.Fatalf("%+v", l)
	}
	if record.CheckName(l.Rows[0].Name) != nil || !strings.Contains(l.Rows[0].Name, "red") {
		t.Fatalf("%q", l.Rows[0].Name)
	}
}

func TestOpenTellsHowFarItIs(t *testing.T) {
	w, ids, contents, _, _ := journey(t)
	whole := int64(len(contents[0]))
	for name, tc := range map[string]struct {
		part        Range
		done, total int64
	}{
		"whole":      {Range{}, whole, whole},
		"bytes":      {Range{Bytes: &ByteRange{70000, 140000}}, 70000, 70000},
		"open ended": {Range{Bytes: &ByteRange{70000, 0}}, whole - 70000, whole - 70000},
		"seconds":    {Range{Span: cut.Span{To: time.Second}}, -1, whole},
	} {
		r := w.reader()
		var done, total int64
		r.cfg.Progress = func(d, of int64) {
			if d <= done || of < d {
				t.Errorf("%s: %d of %d after %d", name, d, of, done)
			}
			done, total = d, of
		}
		opened, err := r.Open(ctx, ids[0].String(), filepath.Join(t.TempDir(), "out"), tc.part)
		if tc.done < 0 {
			tc.done = opened.Bytes
		}
		if err != nil || done != tc.done || total != tc.total {
			t.Errorf("%s: %d of %d, %v", name, done, total, err)
		}
	}
}

func TestAWrongDigestIsRefusedWhole(t *testing.T) {
	w := newWorld(t, small)
	id := w.seal(clip{content: []byte("x"), change: func(d *record.Description) { d.Digest[3] ^= 1 }})[0]
	w.list(w.ask(seal.IndexClass))
	w.ask(seal.ContentClass, id)
	out := filepath.Join(t.TempDir(), "out")
	if _, err := w.reader().Open(ctx, id.String(), out, Range{}); problem.KindOf(err) != problem.Denied {
		t.Fatal(err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Fatal("an unverified file stands under its name")
	}
}

func TestABatchOfNobodyEnrolledIsLeftOut(t *testing.T) {
	w := newWorld(t, small)
	w.people = w.people[1:] // the collector's enrolment is not shown
	w.seal(clip{content: []byte("x")})
	if l := w.list(w.ask(seal.IndexClass)); len(l.Rows) != 0 || l.Complete || !strings.Contains(l.Warnings[0], "whom the registrars enrolled") {
		t.Fatalf("%+v", l)
	}
	// An enrolment that one registrar alone signed does not count.
	w.enrol(w.collector, "Collector One", record.Collector)
	w.people[len(w.people)-1].Enrolment = w.people[len(w.people)-1].Enrolment[:1]
	if l := w.list(w.ask(seal.IndexClass)); len(l.Rows) != 0 {
		t.Fatalf("%+v", l)
	}
}

func TestInboxAndDecisions(t *testing.T) {
	w := newWorld(t, small)
	w.seal(clip{content: []byte("x")})
	hash := w.ask(seal.IndexClass)
	boss := must(record.NewSigner())
	r := w.readerOf(boss, t.TempDir())
	items, err := r.Inbox(ctx)
	if err != nil || len(items) != 1 || items[0].Hash != hash || !items[0].Verified || items[0].Differs != "" || items[0].Author != "Ana Ejemplo" {
		t.Fatalf("%+v, %v", items, err)
	}
	w.custodian.err = problem.New(problem.Unavailable, "down")
	if err := r.Decide(ctx, hash, true, "proportionate"); failure(t, err).Party != seal.Custodian {
		t.Fatal(err)
	}
	w.custodian.err = nil
	w.custodian.requests[hash].Approvals = nil // it had not landed there
	if items, _ := r.Inbox(ctx); items[0].Differs == "" {
		t.Fatal("a difference was not said")
	}
	if err := r.Decide(ctx, hash, true, "proportionate"); err != nil {
		t.Fatal(err)
	}
	items, err = r.Inbox(ctx)
	if err != nil || items[0].Approvals != 1 || items[0].Differs != "" || len(w.court.requests[hash].Approvals) != 1 {
		t.Fatalf("%+v, %v", items, err)
	}
	delete(w.custodian.requests, hash)
	if items, _ := r.Inbox(ctx); items[0].Differs != "only the court has it" {
		t.Fatalf("%+v", items)
	}
	raw := w.court.requests[hash].Statement
	for i := range raw {
		w.court.requests[hash].Statement = raw[:i] + string(raw[i]^1) + raw[i+1:]
		if _, err := r.openAsked(seal.Court, *w.court.requests[hash]); err == nil {
			t.Fatalf("flip at %d accepted", i)
		}
	}
}

func TestEveryFlippedByteOfALocalFileIsNoticed(t *testing.T) {
	w, _, _, index, _ := journey(t)
	g := must(w.reader().load(index))
	find, r := w.court.find, w.reader()
	for name, works := range map[string]func() bool{
		w.reader().requestPath(index):    func() bool { _, err := r.load(index); return err == nil },
		w.reader().listingPath(index):    func() bool { _, err := r.loadListing(g); return err == nil },
		w.reader().positionsPath(w.unit): func() bool { return r.loadPositions(w.unit, find).Scanned > 0 },
	} {
		raw, err := os.ReadFile(name)
		if err != nil || !works() {
			t.Fatal(name, err)
		}
		for i := range raw {
			raw[i] ^= 1 << (i % 8)
			_ = os.WriteFile(name, raw, 0o600)
			if works() {
				t.Fatalf("%s: flip at %d accepted", filepath.Base(name), i)
			}
			raw[i] ^= 1 << (i % 8)
		}
		_ = os.WriteFile(name, raw, 0o600)
	}
}

func TestTheTwinThatChecksSignaturesOnlyTakesAnswersToOtherQuestions(t *testing.T) {
	w := newWorld(t, small)
	w.seal(clip{content: []byte("x")})
	index := w.ask(seal.IndexClass)
	r, g := w.reader(), must(w.reader().load(index))
	for name, alter := range map[string]func(*record.Release){
		"request":  func(x *record.Release) { x.Request[0] ^= 1 },
		"class":    func(x *record.Release) { x.Class = "content" },
		"party":    func(x *record.Release) { x.Party = "custodian" },
		"audience": func(x *record.Release) { x.Audience[0] ^= 1 },
		"page":     func(x *record.Release) { x.From = 1 },
	} {
		w.court.alter = alter
		raw := must(w.court.Release(ctx, index, 0))
		var out record.Release
		if err := r.openPage(seal.Court, g, 0, raw, &out); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := record.Open(raw, record.TypeRelease, w.vault.Trust.Court.Online, &out); err != nil {
			t.Errorf("%s: the twin noticed: %v", name, err)
		}
		if err := r.openPage(seal.Custodian, g, 0, raw, &out); err == nil {
			t.Errorf("%s: accepted as the custodian's", name)
		}
	}
}

func TestOrdersOfBothKeyholdersAreMerged(t *testing.T) {
	w := newWorld(t, small)
	first, err := w.reader().Orders(ctx)
	if err != nil || len(first) != 1 || !first[0].New || first[0].State != "in-force" || first[0].Differs != "" || first[0].Chain != record.Digest(w.unit.Order) {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := w.reader().Orders(ctx)
	if err != nil || again[0].New {
		t.Fatalf("%+v, %v", again, err)
	}
	a, b := again[0], again[0]
	b.State, b.AccessEnd, b.Weeks = "revoked", b.AccessEnd.Add(-time.Hour), []string{"2026-W47"}
	a.merge(&b)
	if a.State != "" || !strings.Contains(a.Differs, "revoked") || !a.AccessEnd.Equal(b.AccessEnd) || len(a.Weeks) != 1 {
		t.Fatalf("%+v", a)
	}
	w.order += "x"
	if _, err := w.reader().Orders(ctx); err == nil {
		t.Fatal("an order of another name was taken")
	}
}
