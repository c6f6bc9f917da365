package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
	"go.uber.org/goleak"
)

func TestGeometry(t *testing.T) {
	for _, g := range []Geometry{DefaultGeometry, TinyGeometry, {1 << 18, 16}} {
		if err := g.Check(); err != nil {
			t.Errorf("%v: %v", g, err)
		}
	}
	for _, g := range []Geometry{{}, {1 << 20, 0}, {1 << 20, -1}, {1<<20 + 1, 8}, {1 << 30, 8}, {1 << 17, 8}, {1 << 20, 65}} {
		if g.Check() == nil {
			t.Errorf("%v was accepted", g)
		}
	}
}

func TestPackKey(t *testing.T) {
	for n, want := range map[uint64]string{0: "pack/000000000000", 42: "pack/000000000042", MaxPackNumber: "pack/999999999999"} {
		if got := PackKey(n); got != want || must(ParsePackKey(got)) != n {
			t.Errorf("%d: %s", n, got)
		}
	}
	for _, s := range []string{"", "pack/", "pack/42", "pack/+00000000042", "pack/0000000000042", "Pack/000000000042", "pack/00000000004x", "pack/1000000000000"} {
		if _, err := ParsePackKey(s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

// TestPacksLookAlike: a full, a nearly empty and a dummy pack have one size, no
// byte of the pack before, and digests that their bytes give.
func TestPacksLookAlike(t *testing.T) {
	g := TinyGeometry
	buf := make([]byte, g.Size)
	b := must(NewBuilder(g, buf))
	marker := bytes.Repeat([]byte{0xA5}, 64)
	check(b.Start(1))
	run, rest, err := b.Append(bytes.Repeat([]byte{0xA5}, g.Size))
	if err != nil || int(run.Length) != g.BodySize() || len(rest) != g.Size-g.BodySize() || b.Free() != 0 {
		t.Fatal(run, len(rest), err)
	}
	first := bytes.Clone(must(b.Finish()).Bytes)
	check(b.Start(2))
	dummy := must(b.Finish())
	if len(dummy.Bytes) != g.Size || bytes.Contains(dummy.Bytes, marker) || bytes.Equal(first[:SlotSize], dummy.Bytes[:SlotSize]) {
		t.Fatal("the buffer shows the pack before")
	}
	if dummy.SHA256 != sha256.Sum256(dummy.Bytes) || dummy.SlotsSHA256 != sha256.Sum256(dummy.Bytes[:g.Slots*SlotSize]) {
		t.Fatal("digests")
	}
	d := NewDigest(g)
	for rest := dummy.Bytes; len(rest) > 0; {
		n := min(len(rest), 5003) // across the end of the slots
		d.Write(rest[:n])
		rest = rest[n:]
	}
	if slots, whole := d.Sums(); slots != dummy.SlotsSHA256 || whole != dummy.SHA256 || d.Length() != int64(g.Size) {
		t.Fatal("digests in pieces differ")
	}
	if n := bytes.Count(dummy.Bytes, make([]byte, 8)); n > 0 {
		t.Fatalf("%d runs of zeros", n)
	}
}

func TestBuilderRefuses(t *testing.T) {
	b := must(NewBuilder(TinyGeometry, nil))
	if _, err := b.Finish(); err == nil {
		t.Error("finished before begun")
	}
	if _, _, err := b.Append([]byte{1}); err == nil {
		t.Error("appended before begun")
	}
	if b.Start(MaxPackNumber+1) == nil {
		t.Error("a number of thirteen digits")
	}
	check(b.Start(1))
	if b.Start(2) == nil {
		t.Error("begun twice")
	}
	if b.Hold(TinyGeometry.BodySize()+1) == nil {
		t.Error("held more than there is")
	}
	check(b.Hold(100))
	if run, rest, _ := b.Append(make([]byte, TinyGeometry.BodySize())); len(rest) != 100 || run.Offset != uint32(TinyGeometry.bodyStart()) {
		t.Error("content took held bytes")
	}
	if _, err := b.AppendWhole(make([]byte, 101)); err == nil {
		t.Error("an area that does not fit")
	}
	must(b.AppendWhole(make([]byte, 100)))
	find := must(NewUnitKey(NewSeed())).PublicKey()
	for range TinyGeometry.Slots {
		check(b.AddSlot(find, testSlot()))
	}
	if b.AddSlot(find, testSlot()) == nil || b.FreeSlots() != 0 {
		t.Error("a slot too many")
	}
	if _, err := NewBuilder(TinyGeometry, make([]byte, 10)); err == nil {
		t.Error("a short buffer")
	}
}

// TestEmptySlotsDoNotStandOut: the X25519 part of every encapsulation is a point
// of the curve and its top bit is clear; of random bytes half are neither. So the
// test that finds random filler must find nothing in empty slots.
func TestEmptySlotsDoNotStandOut(t *testing.T) {
	find := must(NewUnitKey(NewSeed())).PublicKey()
	kinds := map[string]func() []byte{
		"used":   func() []byte { return must(SealSlot(find, 1, 2, testSlot())) },
		"empty":  func() []byte { return must(EmptySlot()) },
		"random": func() []byte { b := make([]byte, SlotSize); rand.Read(b); return b },
	}
	for kind, make := range kinds {
		odd := 0
		for range 64 {
			if !onCurve(make()[encSize-32 : encSize]) {
				odd++
			}
		}
		if (odd > 0) != (kind == "random") {
			t.Errorf("%s slots: %d of 64 are no encapsulations", kind, odd)
		}
	}
}

// onCurve says whether little-endian u is on Curve25519: u³ + 486662u² + u is a square.
func onCurve(b []byte) bool {
	if b[31]&0x80 != 0 {
		return false
	}
	le := slices.Clone(b)
	slices.Reverse(le)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	u := new(big.Int).SetBytes(le)
	v := new(big.Int).Add(u, big.NewInt(486662))
	v.Mul(v, u).Add(v, big.NewInt(1)).Mul(v, u).Mod(v, p)
	return big.Jacobi(v, p) >= 0
}

func TestLengths(t *testing.T) {
	for _, n := range []int64{0, 1, 15, 16, 65535, 65536, 65537, 131072, 1 << 32, 1<<32 + 1, MaxContentSize} {
		if got, err := PlainLength(SealedLength(n)); err != nil || got != n {
			t.Errorf("%d: %d %v", n, got, err)
		}
	}
	for s := int64(-3); s < 3*SealedSegmentSize; s++ {
		if n, err := PlainLength(s); err == nil && SealedLength(n) != s {
			t.Fatalf("%d bytes of ciphertext are taken for %d", s, n)
		}
	}
	if _, err := PlainLength(SealedLength(MaxContentSize) + 17); err == nil {
		t.Error("over the limit")
	}
}

func TestPlaces(t *testing.T) {
	p := Places(nil).Add(Run{1, 40000, 10}).Add(Run{1, 40010, 5}).Add(Run{1, 40015, 0}).Add(Run{2, 40000, 1})
	if !slices.Equal(p, Places{{1, 40000, 15}, {2, 40000, 1}}) || p.Check() != nil || p.Length() != 16 {
		t.Fatal(p)
	}
	for _, bad := range []Places{nil, {{1, 5, 0}}, {{1, 5, 5}, {1, 10, 5}}, {{1, 5, 5}, {1, 9, 5}}, {{2, 5, 5}, {1, 5, 5}},
		{{1, 1 << 31, 1 << 31}}, {{MaxPackNumber + 1, 5, 5}}, make(Places, MaxRuns+1)} {
		if bad.Check() == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
	g := TinyGeometry
	for _, bad := range []Run{{1, uint32(g.bodyStart()) - 1, 5}, {1, uint32(g.Size) - 4, 5}} {
		if (Places{bad}).Within(g) == nil {
			t.Errorf("%v is outside the body", bad)
		}
	}
}

func TestReadAt(t *testing.T) {
	w := newWorld(t)
	_, l := w.listing(t)
	key, ctx := w.key(t, ContentClass, l.Descriptors[0])
	c := must(NewContent(key, ctx, l.Descriptors[0].Places, w))
	for _, at := range []int64{0, 1, SegmentSize - 1, SegmentSize, 5*SegmentSize - 3, c.Size() - 1} {
		p := make([]byte, min(70_000, c.Size()-at))
		if n, err := c.ReadAt(p, at); n != len(p) || err != nil || !bytes.Equal(p, w.contents[0][at:at+int64(n)]) {
			t.Fatalf("at %d: %d %v", at, n, err)
		}
	}
	if n, err := c.ReadAt(make([]byte, 10), c.Size()-3); n != 3 || err == nil {
		t.Fatal(n, err)
	}
	if _, err := c.ReadAt(make([]byte, 10), -1); err == nil {
		t.Fatal("negative")
	}
	w.packs[l.Descriptors[0].Places[0].Pack].Bytes[l.Descriptors[0].Places[0].Offset+70_000] ^= 1
	if n, err := c.ReadAt(make([]byte, 200_000), 0); n != SegmentSize || err == nil {
		t.Fatalf("%d bytes before the altered segment, %v", n, err)
	}
	if n, err := c.WriteTo(&bytes.Buffer{}); n != SegmentSize || err == nil {
		t.Fatalf("%d bytes before the altered segment, %v", n, err)
	}
}

// failing is a writer that breaks down.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, fmt.Errorf("disk full") }

func TestDigestAndWriterErrorsShow(t *testing.T) {
	w := newWorld(t)
	_, l := w.listing(t)
	key, ctx := w.key(t, ContentClass, l.Descriptors[0])
	c := must(NewContent(key, ctx, l.Descriptors[0].Places, w))
	if _, err := c.WriteTo(failing{}); err == nil {
		t.Error("the writer's failure is lost")
	}
	goleak.VerifyNone(t)
	digest := ContentDigest(key, ctx, sha256.Sum256(w.contents[0]))
	digest[0] ^= 1
	if _, err := c.WriteVerified(&bytes.Buffer{}, key, ctx, digest); err == nil {
		t.Error("a wrong digest was accepted")
	}
}

func TestSegmentsDoNotAllocate(t *testing.T) {
	e := newEncryptor(RecordingKey{1}, Context{2})
	d := NewDecryptor(RecordingKey{1}, Context{2})
	plain, dst := pattern(SegmentSize, 1), make([]byte, 0, SealedSegmentSize)
	if n := testing.AllocsPerRun(20, func() { must(e.AppendSegment(dst, plain, false)) }); n != 0 {
		t.Errorf("%v allocations per sealed segment", n)
	}
	ct := must(newEncryptor(RecordingKey{1}, Context{2}).AppendSegment(nil, plain, false))
	if n := testing.AllocsPerRun(20, func() { must(d.OpenSegment(plain[:0], 0, false, ct)) }); n != 0 {
		t.Errorf("%v allocations per opened segment", n)
	}
}

// limited is a recording of silence.
type limited struct{ left int64 }

func (l *limited) Read(p []byte) (int, error) {
	n := int(min(int64(len(p)), l.left))
	if l.left -= int64(n); n == 0 {
		return 0, io.EOF
	}
	clear(p[:n])
	return n, nil
}

// TestLongRecordingInConstantMemory seals 512 MiB and counts what it allocates.
func TestLongRecordingInConstantMemory(t *testing.T) {
	const size = 512 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b := must(NewBuilder(DefaultGeometry, nil))
	e := newEncryptor(RecordingKey{1}, Context{2})
	var places Places
	n := uint64(0)
	check(b.Start(n))
	check(EachSegment(&limited{left: size}, func(plain []byte, last bool) error {
		run, rest, err := b.AppendSegment(e, plain, last)
		for places = places.Add(run); err == nil && len(rest) > 0; places = places.Add(run) {
			b.open = false // finished without the hash, which is measured elsewhere
			n++
			check(b.Start(n))
			run, rest, err = b.Append(rest)
		}
		return err
	}))
	runtime.ReadMemStats(&after)
	if places.Length() != SealedLength(size) || len(places) != int(n)+1 {
		t.Fatalf("%d bytes in %d places", places.Length(), len(places))
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 24<<20 {
		t.Fatalf("%d MiB allocated", got>>20)
	}
}

func TestSecretsHideThemselves(t *testing.T) {
	raw := seedOf("canary")
	w := newWorld(t)
	b := must(NewBatch(w.unit, w.court.PublicKey(), w.custodian.PublicKey()))
	copy(b.court[:], raw[:])
	r := must(b.Recording())
	copy(r.content[:], raw[:])
	e := newEncryptor(RecordingKey(raw), Context{})
	signed := *w.signed
	copy(signed.key[:], raw[:])
	slot := testSlot()
	slot.Key = DescriptorKey(raw)
	values := []any{raw, BatchSecret(raw), Half(raw), RecordingKey(raw), DescriptorKey(raw), b, r, e, &signed, slot, &slot,
		NewDecryptor(RecordingKey(raw), Context{}), []Half{Half(raw)}, map[string]Seed{"a": raw}, struct{ H *Half }{(*Half)(&raw)}}
	needles := []string{fmt.Sprintf("%x", raw[:]), fmt.Sprintf("%X", raw[:]), fmt.Sprint(raw[:])[1:40], string(raw[:]), strings.Trim(fmt.Sprintf("%#v", raw[:8]), "[]byte{}")}
	for _, v := range values {
		var text strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d", "%o", "%b"} {
			fmt.Fprintf(&text, verb+"\n", v)
		}
		slog.New(slog.NewJSONHandler(&text, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&text, nil)).Info("x", "v", v)
		j, _ := json.Marshal(v)
		text.Write(j)
		for _, n := range needles {
			if strings.Contains(text.String(), n) {
				t.Errorf("%T shows its secret: %s", v, n)
			}
		}
	}
}

// TestSizesAreExact: a collector holds room by them before it seals.
func TestSizesAreExact(t *testing.T) {
	w := newWorld(t)
	s, l := w.listing(t)
	if got := TrailerSize(w.unit, len(l.Descriptors)); got != int(s.Area.Trailer) {
		t.Errorf("trailer %d, announced %d", s.Area.Trailer, got)
	}
	sum := int(s.Area.Trailer)
	for _, d := range l.Descriptors {
		key, ctx := w.key(t, IndexClass, d)
		n := DescriptorSize(len(d.Places), len(must(OpenDescription(key, ctx, d.Description))))
		if n != len(d.Bytes())+tagSize {
			t.Errorf("descriptor %d, announced %d", len(d.Bytes())+tagSize, n)
		}
		sum += n
	}
	if sum != int(s.Area.Length) {
		t.Errorf("area %d, announced %d", s.Area.Length, sum)
	}
}

func TestUnitsAndIDsAreStrict(t *testing.T) {
	good := testUnit()
	for _, bad := range []func(*Unit){
		func(u *Unit) { u.Week = "2026-W54" }, func(u *Unit) { u.Week = "2025-W53" }, func(u *Unit) { u.Week = "2026-W00" },
		func(u *Unit) { u.Week = "2026-w47" }, func(u *Unit) { u.Week = "" }, func(u *Unit) { u.Week = "2026-W+7" }, func(u *Unit) { u.Week = "2026-W 7" },
		func(u *Unit) { u.Compartment = "" }, func(u *Unit) { u.Compartment = "a b" }, func(u *Unit) { u.Classification = "ñ" },
		func(u *Unit) { u.Classification = strings.Repeat("a", MaxLabelBytes+1) },
	} {
		u := good
		bad(&u)
		if u.Check() == nil {
			t.Errorf("%+v was accepted", u)
		}
		if _, err := ParseUnit(u.Bytes()); err == nil {
			t.Errorf("%+v was parsed", u)
		}
	}
	for _, s := range []string{"", "00", strings.Repeat("AB", 16), strings.Repeat("0g", 16), strings.Repeat("00", 17)} {
		if _, err := ParseBatchID(s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
	if id := must(ParseBatchID(strings.Repeat("0a", 16))); id.String() != strings.Repeat("0a", 16) {
		t.Error(id)
	}
}

// broken gives some bytes and then fails as a cut connection does.
type broken struct{ err error }

func (b *broken) Read(p []byte) (int, error) { return min(len(p), 10), b.err }

// TestBrokenDeliveryIsNotSealedAsWhole: io.ReadFull alone cannot tell a source that
// failed with io.ErrUnexpectedEOF from one that ended.
func TestBrokenDeliveryIsNotSealedAsWhole(t *testing.T) {
	for _, err := range []error{io.ErrUnexpectedEOF, io.ErrClosedPipe} {
		got := EachSegment(&broken{err}, func([]byte, bool) error { return nil })
		if got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
	if err := EachSegment(iotest.OneByteReader(iotest.DataErrReader(strings.NewReader("abc"))), func(p []byte, last bool) error {
		if string(p) != "abc" || !last {
			t.Errorf("%q %v", p, last)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := EachSegment(stuck{}, func([]byte, bool) error { return nil }); err != io.ErrNoProgress {
		t.Error(err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// TestEmptySlotsAreMadeAsTheStandardLibraryWould: the two faster libraries give keys and encapsulations that the standard one agrees with.
func TestEmptySlotsAreMadeAsTheStandardLibraryWould(t *testing.T) {
	for range 50 {
		secret := [32]byte(NewSeed())
		if key := must(ecdh.X25519().NewPrivateKey(secret[:])); !bytes.Equal(key.PublicKey().Bytes(), x25519Public(secret)) {
			t.Fatal("another X25519 public key than crypto/ecdh gives")
		}
		decapsulation := must(mlkem.GenerateKey768())
		var key mlkem768.PublicKey
		if err := key.Unpack(decapsulation.EncapsulationKey().Bytes()); err != nil {
			t.Fatal(err)
		}
		encapsulation, shared := make([]byte, mlkem768.CiphertextSize), make([]byte, mlkem768.SharedKeySize)
		key.EncapsulateTo(encapsulation, shared, nil)
		if got := must(decapsulation.Decapsulate(encapsulation)); !bytes.Equal(got, shared) {
			t.Fatal("crypto/mlkem does not agree with an encapsulation")
		}
	}
}
