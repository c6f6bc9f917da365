package seal

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"testing"
)

// listingOpener opens a batch's area, for real or weakened.
type listingOpener func(*world, Slot, []byte) (*Listing, error)

func realListing(w *world, s Slot, area []byte) (*Listing, error) {
	return s.OpenDescriptors(area, w.collector)
}

// forge rebuilds an area as a holder of the find key could: with the descriptor
// key, an old signature, and whatever descriptors and statement it likes.
func forge(s Slot, l Listing) (Slot, []byte) {
	area, trailer := sealArea(s.Key, s.Batch, l.Descriptors, l.Statement, l.Signature)
	s.Area.Length, s.Area.Trailer = uint32(len(area)), uint32(trailer)
	return s, area
}

func areaAttacks(t *testing.T, w *world, open listingOpener) (accepted []string) {
	t.Helper()
	s, l := w.listing(t)
	area := bytes.Clone(w.packs[w.last].Bytes[s.Area.Offset : s.Area.Offset+s.Area.Length])
	try := func(name string, s Slot, area []byte) {
		if _, err := open(w, s, area); err == nil {
			accepted = append(accepted, name)
		}
	}
	edit := func(name string, f func(*Slot)) {
		c := s
		f(&c)
		try(name, c, area)
	}
	edit("other c_court", func(s *Slot) { s.Court[0] ^= 1 })
	edit("other c_custodian", func(s *Slot) { s.Custodian[0] ^= 1 })
	edit("other batch", func(s *Slot) { s.Batch[0] ^= 1 })
	edit("other unit", func(s *Slot) { s.Unit.Order[0] ^= 1 })
	edit("other key", func(s *Slot) { s.Key[0] ^= 1 })
	edit("other trailer", func(s *Slot) { s.Area.Trailer++ })
	edit("other length", func(s *Slot) { s.Area.Length-- })
	forged := func(name string, f func([]Descriptor) []Descriptor) {
		c, area := forge(s, Listing{l.Statement, l.Signature, f(slices.Clone(l.Descriptors))})
		try(name, c, area)
	}
	for name, l := range unsigned(*l) {
		c, area := forge(s, l)
		try(name, c, area)
	}
	forged("place changed", func(d []Descriptor) []Descriptor {
		d[4].Places = slices.Clone(d[4].Places)
		d[4].Places[0].Offset++
		return d
	})
	forged("descriptor dropped", func(d []Descriptor) []Descriptor { return d[1:] })
	forged("descriptors swapped", func(d []Descriptor) []Descriptor { d[0], d[1] = d[1], d[0]; return d })
	forged("descriptions exchanged", func(d []Descriptor) []Descriptor {
		d[0].Description, d[1].Description = d[1].Description, d[0].Description
		return d
	})
	forged("commitment changed", func(d []Descriptor) []Descriptor { d[0].Commitments.CourtContent[3] ^= 1; return d })
	n := DescriptorSize(len(l.Descriptors[1].Places), len(l.Descriptors[1].Description)-tagSize-8)
	first := len(l.Descriptors[0].Bytes()) + tagSize
	moved := slices.Concat(area[first:first+n], area[:first], area[first+n:])
	try("ciphertexts swapped", s, moved)
	for i := range area {
		area[i] ^= 1 << (i % 8)
		try("flip", s, area)
		area[i] ^= 1 << (i % 8)
	}
	return accepted
}

func TestDescriptorsAreTheSignedOnes(t *testing.T) {
	w := newWorld(t)
	expect(t, "descriptors", areaAttacks(t, w, realListing))
	// The twins do all that OpenDescriptors does but one step.
	twin := func(check, verify bool) listingOpener {
		return func(w *world, s Slot, area []byte) (*Listing, error) {
			if int(s.Area.Length) != len(area) || s.Area.Trailer > s.Area.Length {
				return nil, malformed("area")
			}
			aead, cut := newGCM(s.Key), len(area)-int(s.Area.Trailer)
			plain, err := aead.Open(nil, areaNonce(trailerDomain, 0), area[cut:], s.Batch[:])
			if err != nil {
				return nil, err
			}
			tr, err := parseTrailer(plain)
			if err != nil {
				return nil, err
			}
			d, err := s.openEach(aead, area[:cut], tr.lengths)
			l := &Listing{tr.statement, tr.signature, d}
			if err == nil && check {
				err = s.check(l)
			}
			if err == nil && verify {
				err = l.Statement.Verify(w.pub, l.Signature)
			}
			return l, err
		}
	}
	expect(t, "the twin that leaves out nothing", areaAttacks(t, w, twin(true, true)))
	expect(t, "opener without the slot's check", areaAttacks(t, w, twin(false, true)), "other c_court", "other unit",
		"place changed", "descriptor dropped", "descriptors swapped", "descriptions exchanged", "commitment changed")
	expect(t, "opener without signature", areaAttacks(t, w, twin(true, false)), "unsigned", "signed by a stranger")
}

// unsigned are batches that no enrolled collector signed.
func unsigned(l Listing) map[string]Listing {
	stranger := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	later := l
	later.Statement.Number, later.Statement.Previous = 2, [32]byte{1}
	foreign := l
	foreign.Statement.Collector = NewCollectorID(stranger.Public().(ed25519.PublicKey))
	foreign.Signature = must(foreign.Statement.sign(stranger))
	claimed := l
	copy(claimed.Signature[:], ed25519.Sign(stranger, claimed.Statement.message()))
	return map[string]Listing{"unsigned": later, "signed by a stranger": foreign, "signed in another's name": claimed}
}

// TestDescriptionStaysWithItsRecording, byte by byte and recording by recording.
func TestDescriptionStaysWithItsRecording(t *testing.T) {
	key, ctx := RecordingKey{1}, home().ctx()
	for _, n := range []int{0, 1, 59, 60, 61, 1000, MaxDescriptionSize} {
		plain := pattern(n, 1)
		sealed := must(sealDescription(key, ctx, plain))
		if got, err := OpenDescription(key, ctx, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if (len(sealed)-tagSize)%descriptionBlock != 0 {
			t.Fatalf("%d bytes are sealed as %d", n, len(sealed))
		}
	}
	if _, err := sealDescription(key, ctx, make([]byte, MaxDescriptionSize+1)); err == nil {
		t.Fatal("a description over the limit was sealed")
	}
	sealed := must(sealDescription(key, ctx, []byte(`{"kind":"call"}`)))
	for i := range len(sealed) * 8 {
		sealed[i/8] ^= 1 << (i % 8)
		if _, err := OpenDescription(key, ctx, sealed); err == nil {
			t.Fatalf("bit %d", i)
		}
		sealed[i/8] ^= 1 << (i % 8)
	}
	other := home()
	other.rec[0] ^= 1
	if _, err := OpenDescription(key, other.ctx(), sealed); err == nil {
		t.Fatal("opened as another recording's")
	}
	// Padding that the author filled is not canonical.
	dirty := make([]byte, 64)
	dirty[63] = 1
	var nonce [12]byte
	if _, err := OpenDescription(key, ctx, newGCM(key).Seal(nil, nonce[:], dirty, ctx[:])); err == nil {
		t.Fatal("dirty padding was accepted")
	}
}

func TestStatementChain(t *testing.T) {
	w := newWorld(t)
	first := w.signed.Statement
	next := func() *Batch { return must(NewBatch(w.unit, w.court.PublicKey(), w.custodian.PublicKey())) }
	b := next()
	d := one(b)
	second := must(b.Sign(w.priv, first, []Descriptor{d})).Statement
	if !second.Follows(first) || first.Follows(second) || second.Follows(second) {
		t.Fatal("the chain does not hold")
	}
	foreign := first
	foreign.Collector[0] ^= 1
	b = next()
	if _, err := b.Sign(w.priv, foreign, []Descriptor{one(b)}); err == nil {
		t.Fatal("a batch continues another collector's")
	}
	for name, f := range map[string]func(*Statement){
		"number":   func(s *Statement) { s.Number++ },
		"previous": func(s *Statement) { s.Previous[0] ^= 1 },
		"unit":     func(s *Statement) { s.Unit.Week = "2026-W48" },
	} {
		c := second
		f(&c)
		if c.Follows(first) {
			t.Errorf("a changed %s still follows", name)
		}
	}
	sig, st := w.signed.Signature, w.signed.Statement.Bytes()
	for i := range len(st) * 8 {
		st[i/8] ^= 1 << (i % 8)
		if s, err := ParseStatement(st); err == nil && s.Verify(w.pub, sig) == nil {
			t.Fatalf("bit %d of a statement", i)
		}
		st[i/8] ^= 1 << (i % 8)
	}
}

// one seals a short recording without a pack.
func one(b *Batch) Descriptor {
	r := must(b.Recording())
	ct := must(must(r.Encryptor()).AppendSegment(nil, []byte("hello"), true))
	return must(r.Describe(Places{{Pack: 1, Offset: 40000, Length: uint32(len(ct))}}, []byte("{}")))
}

func TestBatchIsUsedOnce(t *testing.T) {
	w := newWorld(t)
	if _, err := NewBatch(w.unit, w.court.PublicKey(), w.court.PublicKey()); err == nil {
		t.Error("one party holds both halves")
	}
	if _, err := NewBatch(Unit{}, w.court.PublicKey(), w.custodian.PublicKey()); err == nil {
		t.Error("a batch without a unit")
	}
	b := must(NewBatch(w.unit, w.court.PublicKey(), w.custodian.PublicKey()))
	r := must(b.Recording())
	e := must(r.Encryptor())
	if _, err := r.Encryptor(); err == nil {
		t.Error("a second encryptor would repeat the nonces of the first")
	}
	if _, err := r.Describe(Places{{1, 40000, 21}}, nil); err == nil {
		t.Error("described before its last segment")
	}
	must(e.AppendSegment(nil, []byte("hello"), true))
	if _, err := e.AppendSegment(nil, []byte("hello"), true); err == nil {
		t.Error("a segment after the last")
	}
	if _, err := r.Describe(Places{{1, 40000, 20}}, nil); err == nil {
		t.Error("places that are not the ciphertext's")
	}
	d := must(r.Describe(Places{{1, 40000, 21}}, nil))
	if _, err := r.Describe(Places{{1, 40000, 21}}, nil); err == nil {
		t.Error("a second description would repeat the nonce of the first")
	}
	if _, err := b.Sign(w.priv, Statement{}, []Descriptor{d, d}); err == nil {
		t.Error("one recording twice")
	}
	if _, err := b.Sign(w.priv, Statement{}, []Descriptor{w.descriptor(t)}); err == nil {
		t.Error("another batch's descriptor")
	}
	must(b.Sign(w.priv, Statement{}, []Descriptor{d}))
	if _, err := b.Sign(w.priv, Statement{}, []Descriptor{d}); err == nil {
		t.Error("signed twice")
	}
	if _, err := b.Recording(); err == nil {
		t.Error("a recording after the signature")
	}
	if b.court != (BatchSecret{}) || b.custodian != (BatchSecret{}) || b.key != (DescriptorKey{}) || r.content != (RecordingKey{}) || r.index != (RecordingKey{}) {
		t.Error("secrets stay after the signature")
	}
}

func (w *world) descriptor(tb testing.TB) Descriptor {
	_, l := w.listing(tb)
	return l.Descriptors[0]
}
