package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
)

// The tests of this file list attacks and return the names of those that a
// defence let through. The real code must let none through; each weakened twin
// must be caught by the very same list, or the list proves nothing.

func expect(t *testing.T, what string, accepted []string, want ...string) {
	t.Helper()
	slices.Sort(accepted)
	accepted = slices.Compact(accepted)
	if len(want) == 0 && len(accepted) > 0 {
		t.Errorf("%s: accepted attacks: %v", what, accepted)
	}
	for _, w := range want {
		if !slices.Contains(accepted, w) {
			t.Errorf("%s: the weakened twin was not caught by %q, only by %v", what, w, accepted)
		}
	}
}

// place is everything that a sealed thing can be bound to.
type place struct {
	role    Role
	class   Class
	batch   BatchID
	rec     RecordingID
	unit    Unit
	request [32]byte
	pack    uint64
	slot    int
}

func home() place {
	return place{role: Court, class: IndexClass, batch: BatchID{1}, rec: RecordingID{2}, unit: testUnit(), request: [32]byte{3}, pack: 5, slot: 4}
}

func (p place) ctx() Context { return ContextOf(p.rec, p.batch, p.unit) }

// moves are the places to which an attacker would move something from home.
func moves() map[string]func(*place) {
	return map[string]func(*place){
		"role":           func(p *place) { p.role = Custodian },
		"class":          func(p *place) { p.class = ContentClass },
		"batch":          func(p *place) { p.batch[15] ^= 1 },
		"recording":      func(p *place) { p.rec[15] ^= 1 },
		"order":          func(p *place) { p.unit.Order[31] ^= 1 },
		"week":           func(p *place) { p.unit.Week = "2026-W48" },
		"compartment":    func(p *place) { p.unit.Compartment = "privileged" },
		"classification": func(p *place) { p.unit.Classification = "secreto" },
		"request":        func(p *place) { p.request[0] ^= 1 },
		"pack":           func(p *place) { p.pack++ },
		"slot":           func(p *place) { p.slot++ },
	}
}

// sealing is one kind of sealed secret under test: by its real functions, or weakened.
type sealing struct {
	seal func(hpke.PublicKey, place) ([]byte, error)
	open func(hpke.PrivateKey, place, []byte) error
}

// movesAccepted seals at home and opens elsewhere.
func (s sealing) movesAccepted(t *testing.T, binds ...string) (accepted []string) {
	t.Helper()
	key, other := must(NewUnitKey(seedOf("a"))), must(NewUnitKey(seedOf("b")))
	sealed := must(s.seal(key.PublicKey(), home()))
	if err := s.open(key, home(), sealed); err != nil {
		t.Fatalf("does not open at home: %v", err)
	}
	for _, name := range binds {
		p := home()
		moves()[name](&p)
		if s.open(key, p, sealed) == nil {
			accepted = append(accepted, name)
		}
	}
	if s.open(other, home(), sealed) == nil {
		accepted = append(accepted, "key")
	}
	for i := range sealed {
		for _, bit := range []byte{1 << (i % 8), 0x80} { // 0x80 of the last encapsulation byte: X25519 ignores it, X-Wing must not
			sealed[i] ^= bit
			if s.open(key, home(), sealed) == nil {
				accepted = append(accepted, "flip")
			}
			sealed[i] ^= bit
		}
	}
	for _, cut := range [][]byte{nil, sealed[:len(sealed)-1], append(bytes.Clone(sealed), 0)} {
		if s.open(key, home(), cut) == nil {
			accepted = append(accepted, "length")
		}
	}
	return accepted
}

var secret32 = sha256.Sum256([]byte("secret"))

func same(got [32]byte, err error) error {
	if err == nil && got != secret32 {
		return errors.New("another secret came out")
	}
	return err
}

// weak is a sealing whose info leaves something out.
func weak(info func(place) []byte) sealing {
	return sealing{
		seal: func(k hpke.PublicKey, p place) ([]byte, error) { return hpkeSeal(k, info(p), secret32[:]) },
		open: func(k hpke.PrivateKey, p place, b []byte) error {
			return same(openSecret(k, info(p), b, "secret"))
		},
	}
}

var unitMoves = []string{"order", "week", "compartment", "classification"}

func TestBatchSecretStaysInItsBatch(t *testing.T) {
	binds := append([]string{"role", "batch"}, unitMoves...)
	real := sealing{
		seal: func(k hpke.PublicKey, p place) ([]byte, error) {
			return hpkeSeal(k, batchInfo(p.role, p.batch, p.unit), secret32[:])
		},
		open: func(k hpke.PrivateKey, p place, b []byte) error {
			s, err := OpenBatch(p.role, k, p.batch, p.unit, b)
			return same(s, err)
		},
	}
	expect(t, "c_role", real.movesAccepted(t, binds...))
	expect(t, "c_role without unit", weak(func(p place) []byte {
		return bind("arca/v1/batch", []byte(p.role), p.batch[:])
	}).movesAccepted(t, binds...), unitMoves...)
	expect(t, "c_role without role", weak(func(p place) []byte {
		return bind("arca/v1/batch", p.batch[:], p.unit.Bytes())
	}).movesAccepted(t, binds...), "role")
}

func TestHalfStaysInItsRequest(t *testing.T) {
	binds := append([]string{"role", "class", "batch", "recording", "request"}, unitMoves...)
	real := sealing{
		seal: func(k hpke.PublicKey, p place) ([]byte, error) {
			return SealHalf(k, p.role, p.request, p.ctx(), p.class, secret32)
		},
		open: func(k hpke.PrivateKey, p place, b []byte) error {
			h, err := OpenHalf(k, p.role, p.request, p.ctx(), p.class, b)
			return same(h, err)
		},
	}
	expect(t, "half", real.movesAccepted(t, binds...))
	expect(t, "half without request", weak(func(p place) []byte {
		ctx := p.ctx()
		return bind("arca/v1/release", []byte(p.role), ctx[:], []byte(p.class))
	}).movesAccepted(t, binds...), "request")
	expect(t, "half without ctx", weak(func(p place) []byte {
		return bind("arca/v1/release", []byte(p.role), p.request[:], []byte(p.class))
	}).movesAccepted(t, binds...), "recording", "batch", "order")
}

func TestFindSecretStaysInItsUnit(t *testing.T) {
	binds := append([]string{"role", "request"}, unitMoves...)
	released := sealing{
		seal: func(k hpke.PublicKey, p place) ([]byte, error) {
			return SealFind(k, p.role, p.request, p.unit, secret32)
		},
		open: func(k hpke.PrivateKey, p place, b []byte) error {
			s, err := OpenFind(k, p.role, p.request, p.unit, b)
			return same(s, err)
		},
	}
	expect(t, "find secret", released.movesAccepted(t, binds...))
	handed := sealing{
		seal: func(k hpke.PublicKey, p place) ([]byte, error) { return HandFind(k, p.unit, secret32) },
		open: func(k hpke.PrivateKey, p place, b []byte) error {
			s, err := TakeFind(k, p.unit, b)
			return same(s, err)
		},
	}
	expect(t, "handed find secret", handed.movesAccepted(t, unitMoves...))
	// One kind of sealed secret never opens as another, although all go to the same key.
	key, p := must(NewUnitKey(seedOf("a"))), home()
	kinds := map[string]func([]byte) error{
		"find":   func(b []byte) error { _, err := OpenFind(key, p.role, p.request, p.unit, b); return err },
		"handed": func(b []byte) error { _, err := TakeFind(key, p.unit, b); return err },
		"half": func(b []byte) error {
			_, err := OpenHalf(key, p.role, p.request, p.ctx(), p.class, b)
			return err
		},
		"batch": func(b []byte) error { _, err := OpenBatch(p.role, key, p.batch, p.unit, b[2:]); return err },
	}
	sealed := map[string][]byte{
		"find":   must(SealFind(key.PublicKey(), p.role, p.request, p.unit, secret32)),
		"handed": must(HandFind(key.PublicKey(), p.unit, secret32)),
		"half":   must(SealHalf(key.PublicKey(), p.role, p.request, p.ctx(), p.class, secret32)),
		"batch":  append([]byte{Version, Suite}, must(hpkeSeal(key.PublicKey(), batchInfo(p.role, p.batch, p.unit), secret32[:]))...),
	}
	for a, b := range sealed {
		for o, open := range kinds {
			if (open(b) == nil) != (a == o) {
				t.Errorf("%s opened as %s: %v", a, o, a != o)
			}
		}
	}
}

func testSlot() Slot {
	s := Slot{Batch: BatchID{1}, Unit: testUnit(), Area: Area{Offset: 70000, Length: 900, Trailer: 500}, Key: DescriptorKey{9}}
	copy(s.Court[:], pattern(SealedSecretSize, 1))
	copy(s.Custodian[:], pattern(SealedSecretSize, 2))
	return s
}

func TestSlotStaysInItsPlace(t *testing.T) {
	real := sealing{
		seal: func(k hpke.PublicKey, p place) ([]byte, error) { return SealSlot(k, p.pack, p.slot, testSlot()) },
		open: func(k hpke.PrivateKey, p place, b []byte) error {
			s, err := OpenSlot(k, p.pack, p.slot, b)
			if err == nil && s != testSlot() {
				return errors.New("another slot came out")
			}
			return err
		},
	}
	expect(t, "slot", real.movesAccepted(t, "pack", "slot"))
	expect(t, "slot without index", weak(func(p place) []byte { return bind("arca/v1/slot", number8(p.pack)) }).movesAccepted(t, "pack", "slot"), "slot")
	expect(t, "slot without pack", weak(func(p place) []byte { return bind("arca/v1/slot", number8(uint64(p.slot))) }).movesAccepted(t, "pack", "slot"), "pack")
}

// TestPaddingOfSlotIsZero: whoever can seal could hide something in the padding.
func TestPaddingOfSlotIsZero(t *testing.T) {
	s := testSlot()
	plain := s.bytes()
	for i := range plain {
		plain[i] ^= 1
		if got, err := parseSlot(plain); err == nil && got == s {
			t.Fatalf("byte %d of a slot is not read", i)
		}
		plain[i] ^= 1
	}
	plain[slotPlain-1] = 1
	if _, err := parseSlot(plain); err == nil {
		t.Fatal("padding that is not zero was accepted")
	}
}

// segmentOpener is a decryptor under test.
type segmentOpener func(key RecordingKey, ctx Context, index uint64, last bool, ciphertext []byte) ([]byte, error)

func realOpener(key RecordingKey, ctx Context, index uint64, last bool, ct []byte) ([]byte, error) {
	return NewDecryptor(key, ctx).OpenSegment(nil, index, last, ct)
}

// recording seals plain and cuts the ciphertext into its segments.
func recording(key RecordingKey, ctx Context, plain []byte) (segments [][]byte) {
	e := newEncryptor(key, ctx)
	check(EachSegment(bytes.NewReader(plain), func(p []byte, last bool) error {
		ct, err := e.AppendSegment(nil, p, last)
		segments = append(segments, ct)
		return err
	}))
	return segments
}

// read is what any reader does: open all, the last as last.
func read(open segmentOpener, key RecordingKey, ctx Context, segments [][]byte) (plain []byte, err error) {
	for i, s := range segments {
		p, err := open(key, ctx, uint64(i), i == len(segments)-1, s)
		if err != nil {
			return nil, err
		}
		plain = append(plain, p...)
	}
	return plain, nil
}

func contentAttacks(t *testing.T, open segmentOpener) (accepted []string) {
	t.Helper()
	key, ctx := RecordingKey{1}, home().ctx()
	plain := pattern(3*SegmentSize+100, 1)
	full := recording(key, ctx, plain)
	if got, err := read(open, key, ctx, full); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("the untouched recording does not open: %v", err)
	}
	try := func(name string, key RecordingKey, ctx Context, segments [][]byte) {
		if _, err := read(open, key, ctx, segments); err == nil {
			accepted = append(accepted, name)
		}
	}
	exact := recording(key, ctx, plain[:2*SegmentSize])
	try("truncation", key, ctx, full[:3])
	try("truncation", key, ctx, exact[:1])
	try("extension", key, ctx, append(slices.Clone(exact), full[2:]...))
	try("extension", key, ctx, append(slices.Clone(full), full[3]))
	try("swap", key, ctx, [][]byte{full[1], full[0], full[2], full[3]})
	try("repeat", key, ctx, [][]byte{full[0], full[0], full[2], full[3]})
	try("moved last flag", key, ctx, [][]byte{full[0], full[1], exact[1]})
	try("moved last flag", key, ctx, [][]byte{full[0], exact[1], full[2], full[3]})
	try("empty tail", key, ctx, append(slices.Clone(exact[:1]), recording(key, ctx, nil)...))
	for name, move := range moves() {
		if p := home(); name == "recording" || name == "batch" || slices.Contains(unitMoves, name) {
			move(&p)
			try("other "+name, key, p.ctx(), full)
		}
	}
	try("other key", RecordingKey{2}, ctx, full)
	small := recording(key, ctx, pattern(90, 1))[0]
	for i := range len(small) * 8 {
		small[i/8] ^= 1 << (i % 8)
		try("flip", key, ctx, [][]byte{small})
		small[i/8] ^= 1 << (i % 8)
	}
	for i := 0; i < SealedSegmentSize; i += 97 {
		full[1][i] ^= 0x10
		if _, err := open(key, ctx, 1, false, full[1]); err == nil {
			accepted = append(accepted, "flip")
		}
		full[1][i] ^= 0x10
	}
	return accepted
}

func TestContentIsWhole(t *testing.T) {
	expect(t, "content", contentAttacks(t, realOpener))
	blind := func(key RecordingKey, ctx Context, index uint64, last bool, ct []byte) ([]byte, error) {
		if p, err := realOpener(key, ctx, index, last, ct); err == nil {
			return p, nil
		}
		d := NewDecryptor(key, ctx)
		d.at(index, !last)
		return d.aead.Open(nil, d.nonce[:], ct, ctx[:])
	}
	expect(t, "decryptor that ignores the last flag", contentAttacks(t, blind), "truncation", "extension", "moved last flag")
	unordered := func(key RecordingKey, ctx Context, index uint64, last bool, ct []byte) ([]byte, error) {
		for i := range uint64(5) {
			if p, err := realOpener(key, ctx, i, last, ct); err == nil {
				return p, nil
			}
		}
		return nil, errors.New("no")
	}
	expect(t, "decryptor that ignores the counter", contentAttacks(t, unordered), "swap", "repeat")
	unchecked := func(key RecordingKey, ctx Context, index uint64, last bool, ct []byte) ([]byte, error) {
		d := NewDecryptor(key, ctx)
		d.at(index, last)
		out := make([]byte, max(0, len(ct)-tagSize))
		d.aead.Open(out[:0], d.nonce[:], ct, ctx[:]) // and the verdict is dropped
		return out, nil
	}
	expect(t, "decryptor that drops the verdict", contentAttacks(t, unchecked), "flip", "other key", "other recording", "other order")
}

// TestContentFromPacks: the same attacks by whoever can edit places or packs.
func TestContentFromPacks(t *testing.T) {
	w := newWorld(t)
	_, l := w.listing(t)
	d := l.Descriptors[0]
	key, ctx := w.key(t, ContentClass, d)
	open := func(p Places) error {
		c, err := NewContent(key, ctx, p, w)
		if err != nil {
			return err
		}
		_, err = c.WriteTo(&bytes.Buffer{})
		return err
	}
	if len(d.Places) < 2 || open(d.Places) != nil {
		t.Fatalf("the first recording must span packs and open: %v", d.Places)
	}
	cut := func(n uint32) Places {
		p := slices.Clone(d.Places)
		p[len(p)-1].Length -= n
		return p
	}
	short, long := cut(1), cut(0)
	long[len(long)-1].Length++
	swapped := slices.Clone(d.Places)
	slices.Reverse(swapped)
	attacks := map[string]Places{
		"a byte less": short, "a byte more": long, "a run less": d.Places[:1], "the other run": d.Places[1:],
		"swapped runs": swapped, "other recording": l.Descriptors[3].Places, "none": nil,
		"a whole last segment less": cut(uint32(d.Places.Length() % SealedSegmentSize)),
	}
	for name, p := range attacks {
		if open(p) == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	empty := l.Descriptors[1]
	key, ctx = w.key(t, ContentClass, empty)
	if err := open(empty.Places); err != nil {
		t.Fatalf("the empty recording does not open: %v", err)
	}
	w.packs[empty.Places[0].Pack].Bytes[empty.Places[0].Offset] ^= 1
	if open(empty.Places) == nil {
		t.Error("an altered empty recording was accepted")
	}
}

func TestCombineChecksBothHalves(t *testing.T) {
	ctx := home().ctx()
	var c Commitments
	court, custodian := Half{1}, Half{2}
	c.CourtIndex, c.CustodianIndex = Commitment(court), Commitment(custodian)
	type combiner func(Class, Context, Commitments, Half, Half) (RecordingKey, error)
	attacks := func(f combiner) (accepted []string) {
		good, err := f(IndexClass, ctx, c, court, custodian)
		if err != nil {
			t.Fatal(err)
		}
		for name, try := range map[string]func() (RecordingKey, error){
			"court's half":     func() (RecordingKey, error) { return f(IndexClass, ctx, c, Half{3}, custodian) },
			"custodian's half": func() (RecordingKey, error) { return f(IndexClass, ctx, c, court, Half{3}) },
			"exchanged":        func() (RecordingKey, error) { return f(IndexClass, ctx, c, custodian, court) },
			"class":            func() (RecordingKey, error) { return f(ContentClass, ctx, c, court, custodian) },
			"unknown class":    func() (RecordingKey, error) { return f("", ctx, Commitments{}, court, custodian) },
		} {
			if k, err := try(); err == nil || k == good {
				accepted = append(accepted, name)
			}
		}
		return accepted
	}
	expect(t, "Combine", attacks(Combine))
	expect(t, "combine unchecked", attacks(func(k Class, x Context, _ Commitments, a, b Half) (RecordingKey, error) {
		return combine(k, x, a, b), nil
	}), "court's half", "custodian's half", "exchanged", "class")
}

// TestHalvesAreSeparate: no half opens another class, recording, role, batch or unit.
func TestHalvesAreSeparate(t *testing.T) {
	seen := map[Half]string{DeriveHalf(BatchSecret{1}, Court, IndexClass, home().ctx()): "home"}
	for name, move := range moves() {
		p := home()
		move(&p)
		if name == "request" || name == "pack" || name == "slot" {
			continue
		}
		h := DeriveHalf(BatchSecret{1}, p.role, p.class, p.ctx())
		if other, twice := seen[h]; twice {
			t.Errorf("%s and %s have one half", name, other)
		}
		seen[h] = name
	}
}

// noteVerifier is a verifier of notes under test.
type noteVerifier func(*Note, ed25519.PublicKey) error

func noteAttacks(t *testing.T, w *world, verify noteVerifier) (accepted []string) {
	t.Helper()
	b := must(w.signed.Note(Court)).Bytes()
	try := func(name string, edit func(*Note)) {
		n := must(ParseNote(b))
		edit(n)
		if n, err := ParseNote(n.Bytes()); err == nil && verify(n, w.pub) == nil {
			accepted = append(accepted, name)
		}
	}
	if n := must(ParseNote(b)); verify(n, w.pub) != nil {
		t.Fatal("the untouched note is refused")
	}
	try("member dropped", func(n *Note) { n.Members = n.Members[1:] })
	try("member added", func(n *Note) { n.Members = append(n.Members, Member{Recording: RecordingID{1}}) })
	try("members swapped", func(n *Note) { n.Members[0], n.Members[1] = n.Members[1], n.Members[0] })
	try("commitment changed", func(n *Note) { n.Members[0].Commitments.CourtContent[0] ^= 1 })
	try("other c_role", func(n *Note) { n.Sealed[0] ^= 1 })
	try("other role", func(n *Note) { n.Role = Custodian })
	try("other keyholder's c_role", func(n *Note) { n.Sealed = must(w.signed.Note(Custodian)).Sealed })
	try("statement changed", func(n *Note) { n.Statement.Batch[0] ^= 1 })
	try("other collector", func(n *Note) {
		priv := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
		n.Statement.Collector = NewCollectorID(priv.Public().(ed25519.PublicKey))
		n.Signature = must(n.Statement.sign(priv))
	})
	for i := range b {
		b[i] ^= 1 << (i % 8)
		if n, err := ParseNote(b); err == nil && verify(n, w.pub) == nil {
			accepted = append(accepted, "flip")
		}
		b[i] ^= 1 << (i % 8)
	}
	return accepted
}

func TestNoteIsTheSignedOne(t *testing.T) {
	w := newWorld(t)
	expect(t, "note", noteAttacks(t, w, (*Note).Verify))
	expect(t, "verifier without members", noteAttacks(t, w, func(n *Note, pub ed25519.PublicKey) error {
		if sha256.Sum256(n.Sealed) != n.Statement.Sealed(n.Role) {
			return errors.New("c_role")
		}
		return n.Statement.Verify(pub, n.Signature)
	}), "member dropped", "members swapped", "commitment changed", "flip")
	expect(t, "verifier without c_role", noteAttacks(t, w, func(n *Note, pub ed25519.PublicKey) error {
		return errors.Join(n.Statement.Verify(pub, n.Signature), n.Statement.checkMembers(n.Members))
	}), "other c_role", "other role", "other keyholder's c_role")
	expect(t, "verifier without key id", noteAttacks(t, w, func(n *Note, pub ed25519.PublicKey) error {
		return errors.Join(n.Statement.checkMembers(n.Members))
	}), "statement changed", "other collector")
}

func TestNoteWithUselessSecretIsRefused(t *testing.T) {
	w := newWorld(t)
	n := must(w.signed.Note(Court))
	secret := must(OpenBatch(Court, w.court, n.Statement.Batch, n.Statement.Unit, n.Sealed))
	if err := n.CheckSecret(secret); err != nil {
		t.Fatal(err)
	}
	secret[0] ^= 1
	if n.CheckSecret(secret) == nil {
		t.Fatal("a secret that gives other halves was accepted")
	}
}

// TestRecordingNamedTwiceIsRefused although the collector signed it so.
func TestRecordingNamedTwiceIsRefused(t *testing.T) {
	w := newWorld(t)
	n := must(w.signed.Note(Court))
	n.Members = []Member{n.Members[0], n.Members[0]}
	n.Statement.Members, n.Statement.MembersSHA256 = 2, hashMembers(n.Members)
	n.Signature = must(n.Statement.sign(w.priv))
	if n.Verify(w.pub) == nil {
		t.Fatal("accepted")
	}
}
