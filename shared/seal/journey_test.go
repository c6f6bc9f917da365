package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"
)

// world holds everything of one sealed batch that tests attack.
type world struct {
	unit                   Unit
	court, custodian, find hpke.PrivateKey
	pub                    ed25519.PublicKey
	priv                   ed25519.PrivateKey
	ids                    []RecordingID
	contents               [][]byte
	signed                 *Signed
	packs                  map[uint64]Pack
	last                   uint64 // the pack with the slot
	g                      Geometry
}

func (w *world) ReadPack(number uint64, offset uint32, dst []byte) error {
	p, ok := w.packs[number]
	if !ok || int(offset)+len(dst) > len(p.Bytes) {
		return fmt.Errorf("no such range")
	}
	copy(dst, p.Bytes[offset:])
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func seedOf(label string) Seed { return sha256.Sum256([]byte(label)) }

func testUnit() Unit {
	return Unit{Order: sha256.Sum256([]byte("order")), Week: "2026-W47", Compartment: "main", Classification: "reservado"}
}

// pattern gives n bytes that differ everywhere.
func pattern(n int, salt byte) []byte {
	b := make([]byte, n)
	x := uint32(salt) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{unit: testUnit(), g: TinyGeometry, packs: map[uint64]Pack{},
		court: must(NewUnitKey(seedOf("court"))), custodian: must(NewUnitKey(seedOf("custodian"))),
		find: must(NewUnitKey(seedOf("find"))), priv: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))}
	w.pub = w.priv.Public().(ed25519.PublicKey)
	w.contents = [][]byte{pattern(1_200_000, 1), {}, pattern(SegmentSize, 2), pattern(70_000, 3), []byte("a short message")}
	b := must(NewBatch(w.unit, w.court.PublicKey(), w.custodian.PublicKey()))
	builder := must(NewBuilder(w.g, nil))
	w.sealAll(b, builder)
	return w
}

// sealAll seals the contents and keeps every pack.
func (w *world) sealAll(b *Batch, builder *Builder) {
	w.sealInto(b, builder, func(p Pack) {
		p.Bytes = bytes.Clone(p.Bytes)
		w.packs[p.Number] = p
		w.last = p.Number
	})
}

// sealInto is the collector's loop in small.
func (w *world) sealInto(b *Batch, builder *Builder, keep func(Pack)) {
	const descriptorRoom = 600_000
	hold := min(descriptorRoom, len(w.contents)*700+2048)
	number := uint64(41)
	turn := func() {
		keep(must(builder.Finish()))
		number++
		check(builder.Start(number))
		check(builder.Hold(hold))
	}
	check(builder.Start(number))
	check(builder.Hold(hold))
	var descriptors []Descriptor
	segmenter := NewSegmenter()
	for i, content := range w.contents {
		r := must(b.Recording())
		e := must(r.Encryptor())
		var places Places
		check(segmenter.Each(bytes.NewReader(content), func(plain []byte, last bool) error {
			run, rest, err := builder.AppendSegment(e, plain, last)
			for places = places.Add(run); err == nil && len(rest) > 0; places = places.Add(run) {
				turn()
				run, rest, err = builder.Append(rest)
			}
			return err
		}))
		digest := must(r.ContentDigest())
		descriptors = append(descriptors, must(r.Describe(places, fmt.Appendf(nil, `{"digest":"%x","n":%d}`, digest, i))))
		w.ids = append(w.ids, r.ID())
	}
	w.signed = must(b.Sign(w.priv, Statement{}, descriptors))
	run := must(builder.AppendWhole(w.signed.Area))
	check(builder.AddSlot(w.find.PublicKey(), must(w.signed.Slot(run))))
	keep(must(builder.Finish()))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func (w *world) collector(id CollectorID) (ed25519.PublicKey, error) {
	if id != NewCollectorID(w.pub) {
		return nil, fmt.Errorf("unknown collector")
	}
	return w.pub, nil
}

func (w *world) slotBytes(i int) []byte {
	return w.packs[w.last].Bytes[i*SlotSize : (i+1)*SlotSize]
}

func (w *world) listing(tb testing.TB) (Slot, *Listing) {
	tb.Helper()
	s, err := OpenSlot(w.find, w.last, 0, w.slotBytes(0))
	if err != nil {
		tb.Fatal(err)
	}
	l, err := s.OpenDescriptors(w.packs[w.last].Bytes[s.Area.Offset:s.Area.Offset+s.Area.Length], w.collector)
	if err != nil {
		tb.Fatal(err)
	}
	return s, l
}

// key goes the keyholders' and the reader's way: note, half, request, combine.
func (w *world) key(tb testing.TB, class Class, d Descriptor) (RecordingKey, Context) {
	tb.Helper()
	request := must(NewUnitKey(NewSeed()))
	hash := sha256.Sum256([]byte("request"))
	half := map[Role]Half{}
	ctx := ContextOf(d.Recording, w.signed.Statement.Batch, w.unit)
	for role, unitKey := range map[Role]hpke.PrivateKey{Court: w.court, Custodian: w.custodian} {
		note := must(ParseNote(must(w.signed.Note(role)).Bytes()))
		check(note.Verify(w.pub))
		secret := must(OpenBatch(role, unitKey, note.Statement.Batch, note.Statement.Unit, note.Sealed))
		check(note.CheckSecret(secret))
		sealed := must(SealHalf(request.PublicKey(), role, hash, ctx, class, DeriveHalf(secret, role, class, ctx)))
		half[role] = must(OpenHalf(request, role, hash, ctx, class, sealed))
	}
	return must(Combine(class, ctx, d.Commitments, half[Court], half[Custodian])), ctx
}

func TestJourney(t *testing.T) {
	w := newWorld(t)
	_, l := w.listing(t)
	if len(l.Descriptors) != len(w.contents) {
		t.Fatalf("%d descriptors", len(l.Descriptors))
	}
	for i, d := range l.Descriptors {
		index, ctx := w.key(t, IndexClass, d)
		description := must(OpenDescription(index, ctx, d.Description))
		key, _ := w.key(t, ContentClass, d)
		digest := ContentDigest(key, ctx, sha256.Sum256(w.contents[i]))
		if want := fmt.Sprintf(`{"digest":"%x","n":%d}`, digest, i); string(description) != want {
			t.Fatalf("description %s, want %s", description, want)
		}
		if err := d.Places.Within(w.g); err != nil {
			t.Fatal(err)
		}
		c := must(NewContent(key, ctx, d.Places, w))
		var out bytes.Buffer
		if n, err := c.WriteVerified(&out, key, ctx, digest); err != nil || n != c.Size() || !bytes.Equal(out.Bytes(), w.contents[i]) {
			t.Fatalf("recording %d: %d bytes, %v", i, n, err)
		}
	}
}

func TestWeekOf(t *testing.T) {
	for s, want := range map[string]string{
		"2026-11-22T10:00:00Z": "2026-W47", "2021-01-03T23:59:59Z": "2020-W53", "2021-01-04T00:30:00+01:00": "2020-W53", "2024-12-30T00:00:00Z": "2025-W01",
	} {
		if got := WeekOf(must(time.Parse(time.RFC3339, s))); got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
}
