package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/cryptotest"
)

// The vectors fix seeds and secrets, the values derived from them (which must be
// equal) and ciphertexts that were made once (which must open). They are written
// by go test -run Vectors -update, under a seeded randomness that only tests have.
var update = flag.Bool("update", false, "write testdata/vectors and the fuzz corpora anew")

// hexBytes is a byte string in a vector file.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }
func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

func hex32(b [32]byte) hexBytes { return b[:] }

type unitVector struct {
	Order                             hexBytes
	Week, Compartment, Classification string
	Bytes                             hexBytes
}

func (v unitVector) unit() Unit {
	return Unit{[32]byte(v.Order), v.Week, v.Compartment, v.Classification}
}

// keyVectors: from seeds and secrets to the keys of one recording, and secrets in transit.
type keyVectors struct {
	Unit                                      unitVector
	BatchID, RecordingID, Context             hexBytes
	CourtSeed, CustodianSeed, RequestSeed     hexBytes
	CourtPublicSHA256, CustodianPublicSHA256  hexBytes
	BatchCourt, BatchCustodian                hexBytes
	SealedCourt, SealedCustodian              hexBytes // c_role
	Halves, Commitments                       map[string]hexBytes
	IndexKey, ContentKey                      hexBytes
	RequestHash, ReleasedHalf                 hexBytes // court, content
	FindSecret, ReleasedFind, HandedFind      hexBytes
	ContentSHA256, ContentDigest, Description hexBytes
	SealedDescription                         hexBytes
}

func halfName(r Role, c Class) string { return string(r) + "/" + string(c) }

func makeKeyVectors(t *testing.T) keyVectors {
	cryptotest.SetGlobalRandom(t, 1)
	u := testUnit()
	court, custodian, request := seedOf("vector court"), seedOf("vector custodian"), seedOf("vector request")
	ck, uk, rk := must(NewUnitKey(court)), must(NewUnitKey(custodian)), must(NewUnitKey(request))
	b := must(NewBatch(u, ck.PublicKey(), uk.PublicKey()))
	r := must(b.Recording())
	hash, find, sum := sha256.Sum256([]byte("vector request hash")), seedOf("vector find"), sha256.Sum256([]byte("vector content"))
	v := keyVectors{
		Unit:    unitVector{u.Order[:], u.Week, u.Compartment, u.Classification, u.Bytes()},
		BatchID: b.id[:], RecordingID: r.id[:], Context: r.ctx[:],
		CourtSeed: court[:], CustodianSeed: custodian[:], RequestSeed: request[:],
		CourtPublicSHA256:     hex32(sha256.Sum256(ck.PublicKey().Bytes())),
		CustodianPublicSHA256: hex32(sha256.Sum256(uk.PublicKey().Bytes())),
		BatchCourt:            hex32(b.court), BatchCustodian: hex32(b.custodian), SealedCourt: b.Sealed(Court), SealedCustodian: b.Sealed(Custodian),
		Halves: map[string]hexBytes{}, Commitments: map[string]hexBytes{},
		IndexKey: hex32(r.index), ContentKey: hex32(r.content), RequestHash: hash[:], FindSecret: find[:],
		ReleasedHalf: must(SealHalf(rk.PublicKey(), Court, hash, r.ctx, ContentClass, DeriveHalf(b.court, Court, ContentClass, r.ctx))),
		ReleasedFind: must(SealFind(rk.PublicKey(), Court, hash, u, find)), HandedFind: must(HandFind(uk.PublicKey(), u, find)),
		ContentSHA256: sum[:], ContentDigest: hex32(ContentDigest(r.content, r.ctx, sum)),
		Description: []byte(`{"kind":"call","start":"2026-11-17T09:30:00Z"}`),
	}
	for role, secret := range map[Role]BatchSecret{Court: b.court, Custodian: b.custodian} {
		for _, class := range []Class{IndexClass, ContentClass} {
			h := DeriveHalf(secret, role, class, r.ctx)
			v.Halves[halfName(role, class)], v.Commitments[halfName(role, class)] = h[:], hex32(Commitment(h))
		}
	}
	v.SealedDescription = must(sealDescription(r.index, r.ctx, v.Description))
	return v
}

func TestVectorsKeys(t *testing.T) {
	v := load(t, "keys.json", makeKeyVectors)
	u := v.Unit.unit()
	equal(t, "unit", u.Bytes(), v.Unit.Bytes)
	if got, err := ParseUnit(v.Unit.Bytes); err != nil || got != u {
		t.Fatal(got, err)
	}
	ctx := ContextOf(RecordingID(v.RecordingID), BatchID(v.BatchID), u)
	equal(t, "ctx", ctx[:], v.Context)
	seeds := map[Role]hexBytes{Court: v.CourtSeed, Custodian: v.CustodianSeed}
	publics := map[Role]hexBytes{Court: v.CourtPublicSHA256, Custodian: v.CustodianPublicSHA256}
	secrets := map[Role]hexBytes{Court: v.BatchCourt, Custodian: v.BatchCustodian}
	sealed := map[Role]hexBytes{Court: v.SealedCourt, Custodian: v.SealedCustodian}
	half := map[string]Half{}
	for role := range seeds {
		key := must(NewUnitKey(Seed(seeds[role])))
		equal(t, "public key", hex32(sha256.Sum256(key.PublicKey().Bytes())), publics[role])
		secret := must(OpenBatch(role, key, BatchID(v.BatchID), u, sealed[role]))
		equal(t, "batch secret", secret[:], secrets[role])
		for _, class := range []Class{IndexClass, ContentClass} {
			h, name := DeriveHalf(secret, role, class, ctx), halfName(role, class)
			equal(t, "half "+name, h[:], v.Halves[name])
			equal(t, "commitment "+name, hex32(Commitment(h)), v.Commitments[name])
			half[name] = h
		}
	}
	index := combine(IndexClass, ctx, half["court/index"], half["custodian/index"])
	content := combine(ContentClass, ctx, half["court/content"], half["custodian/content"])
	equal(t, "K(index)", index[:], v.IndexKey)
	equal(t, "K(content)", content[:], v.ContentKey)
	equal(t, "digest", hex32(ContentDigest(content, ctx, [32]byte(v.ContentSHA256))), v.ContentDigest)
	equal(t, "description", must(OpenDescription(index, ctx, v.SealedDescription)), v.Description)
	equal(t, "sealed description", must(sealDescription(index, ctx, v.Description)), v.SealedDescription)
	request, custodian := must(NewUnitKey(Seed(v.RequestSeed))), must(NewUnitKey(Seed(v.CustodianSeed)))
	h := must(OpenHalf(request, Court, [32]byte(v.RequestHash), ctx, ContentClass, v.ReleasedHalf))
	equal(t, "released half", h[:], v.Halves["court/content"])
	f := must(OpenFind(request, Court, [32]byte(v.RequestHash), u, v.ReleasedFind))
	equal(t, "released find", f[:], v.FindSecret)
	f = must(TakeFind(custodian, u, v.HandedFind))
	equal(t, "handed find", f[:], v.FindSecret)
}

// contentVector is a recording of Length bytes, byte i being pattern(Length, 1)[i].
// Ciphertext stands whole when short, else as its SHA-256.
type contentVector struct {
	Key, Context                      hexBytes
	Length                            int
	PlainSHA256, SealedSHA256, Sealed hexBytes
	LastSegmentTag                    hexBytes
}

func makeContentVectors(t *testing.T) (out []contentVector) {
	for _, n := range []int{0, 1, 100, SegmentSize - 1, SegmentSize, SegmentSize + 1, 2 * SegmentSize, 200_000} {
		key, ctx := sha256.Sum256([]byte("vector key")), home().ctx()
		plain := pattern(n, 1)
		sealed := bytes.Join(recording(key, ctx, plain), nil)
		v := contentVector{Key: key[:], Context: ctx[:], Length: n, PlainSHA256: hex32(sha256.Sum256(plain)),
			SealedSHA256: hex32(sha256.Sum256(sealed)), LastSegmentTag: sealed[len(sealed)-tagSize:]}
		if n <= 100 {
			v.Sealed = sealed
		}
		out = append(out, v)
	}
	return out
}

func TestVectorsContent(t *testing.T) {
	for _, v := range load(t, "content.json", makeContentVectors) {
		key, ctx, plain := RecordingKey(v.Key), Context(v.Context), pattern(v.Length, 1)
		equal(t, "plaintext", hex32(sha256.Sum256(plain)), v.PlainSHA256)
		segments := recording(key, ctx, plain)
		sealed := bytes.Join(segments, nil)
		equal(t, "ciphertext", hex32(sha256.Sum256(sealed)), v.SealedSHA256)
		equal(t, "tag", sealed[len(sealed)-tagSize:], v.LastSegmentTag)
		if len(v.Sealed) > 0 {
			equal(t, "ciphertext", sealed, v.Sealed)
		}
		if got, err := read(realOpener, key, ctx, segments); err != nil || !bytes.Equal(got, plain) || int64(len(sealed)) != SealedLength(int64(v.Length)) {
			t.Fatalf("%d bytes: %v", v.Length, err)
		}
	}
}

// batchVectors: one signed batch, its slot in pack 7 at place 3, its notes.
type batchVectors struct {
	FindSeed, CollectorPublicKey     hexBytes
	PackNumber, SlotIndex            int
	Slot, DescriptorKey              hexBytes
	Area                             hexBytes
	Descriptors                      []hexBytes
	DescriptorsSHA256, MembersSHA256 hexBytes
	Statement, StatementHash         hexBytes
	Signature                        hexBytes
	CourtNote, CustodianNote         hexBytes
}

func makeBatchVectors(t *testing.T) batchVectors {
	cryptotest.SetGlobalRandom(t, 2)
	priv := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	find := seedOf("vector find")
	b := must(NewBatch(testUnit(), must(NewUnitKey(seedOf("vector court"))).PublicKey(), must(NewUnitKey(seedOf("vector custodian"))).PublicKey()))
	v := batchVectors{FindSeed: find[:], CollectorPublicKey: hexBytes(priv.Public().(ed25519.PublicKey)), PackNumber: 7, SlotIndex: 3}
	var descriptors []Descriptor
	for i, places := range []Places{{{6, 900_000, 148_576}, {7, 32_768, 51_568}}, {{7, 84_336, 16}}} {
		r := must(b.Recording())
		e := must(r.Encryptor())
		check(EachSegment(&limited{left: []int64{200_080, 0}[i]}, func(p []byte, last bool) error {
			_, err := e.AppendSegment(nil, p, last)
			return err
		}))
		descriptors = append(descriptors, must(r.Describe(places, []byte(`{"kind":"call"}`))))
		v.Descriptors = append(v.Descriptors, descriptors[i].Bytes())
	}
	v.DescriptorKey = hex32(b.key)
	s := must(b.Sign(priv, Statement{}, descriptors))
	slot := must(s.Slot(Run{7, 84_352, uint32(len(s.Area))}))
	v.Slot = must(SealSlot(must(NewUnitKey(find)).PublicKey(), 7, 3, slot))
	v.Area, v.Statement, v.StatementHash, v.Signature = s.Area, s.Statement.Bytes(), hex32(s.Statement.Hash()), s.Signature[:]
	v.DescriptorsSHA256, v.MembersSHA256 = hex32(s.Statement.DescriptorsSHA256), hex32(s.Statement.MembersSHA256)
	v.CourtNote, v.CustodianNote = must(s.Note(Court)).Bytes(), must(s.Note(Custodian)).Bytes()
	return v
}

func TestVectorsBatch(t *testing.T) {
	v := load(t, "batch.json", makeBatchVectors)
	pub := ed25519.PublicKey(v.CollectorPublicKey)
	slot, err := OpenSlot(must(NewUnitKey(Seed(v.FindSeed))), uint64(v.PackNumber), v.SlotIndex, v.Slot)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "descriptor key", slot.Key[:], v.DescriptorKey)
	l, err := slot.OpenDescriptors(v.Area, func(CollectorID) (ed25519.PublicKey, error) { return pub, nil })
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range l.Descriptors {
		equal(t, "descriptor", d.Bytes(), v.Descriptors[i])
	}
	again, _ := sealArea(slot.Key, slot.Batch, l.Descriptors, l.Statement, l.Signature)
	equal(t, "area", again, v.Area)
	equal(t, "statement", l.Statement.Bytes(), v.Statement)
	equal(t, "statement hash", hex32(l.Statement.Hash()), v.StatementHash)
	equal(t, "signature", l.Signature[:], v.Signature)
	equal(t, "descriptors hash", hex32(hashDescriptors(HashesOf(l.Descriptors))), v.DescriptorsSHA256)
	for role, b := range map[Role]hexBytes{Court: v.CourtNote, Custodian: v.CustodianNote} {
		n := must(ParseNote(b))
		if err := n.Verify(pub); err != nil || n.Role != role || len(n.Members) != len(l.Descriptors) {
			t.Fatal(err)
		}
		equal(t, "members hash", hex32(hashMembers(n.Members)), v.MembersSHA256)
		key := must(NewUnitKey(seedOf("vector " + string(role))))
		if err := n.CheckSecret(must(OpenBatch(role, key, n.Statement.Batch, n.Statement.Unit, n.Sealed))); err != nil {
			t.Fatal(err)
		}
	}
}

func equal(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if len(want) == 0 || !bytes.Equal(got, want) {
		t.Errorf("%s = %x, want %x", what, got, want)
	}
}

// load reads a vector file, having written it first when asked to.
func load[T any](t *testing.T, name string, generate func(*testing.T) T) (v T) {
	t.Helper()
	path := filepath.Join("testdata", "vectors", name)
	if *update {
		check(os.MkdirAll(filepath.Dir(path), 0o755))
		check(os.WriteFile(path, append(must(json.MarshalIndent(generate(t), "", " ")), '\n'), 0o644))
	}
	check(json.Unmarshal(must(os.ReadFile(path)), &v))
	return v
}

// TestPackageCommentIsTheVector: the worked example in doc.go is computed, not typed.
func TestPackageCommentIsTheVector(t *testing.T) {
	doc := strings.NewReplacer(" ", "", "\n", "", "//", "", "\t", "").Replace(string(must(os.ReadFile("doc.go"))))
	v := load(t, "keys.json", makeKeyVectors)
	for name, b := range map[string]hexBytes{
		"unit": v.Unit.Bytes, "recording": v.RecordingID, "batch": v.BatchID, "ctx": v.Context, "b_court": v.BatchCourt,
		"half_court(index)": v.Halves["court/index"], "half_custodian(index)": v.Halves["custodian/index"],
		"itscommitment": v.Commitments["court/index"], "K(index)": v.IndexKey,
	} {
		if !strings.Contains(doc, hex.EncodeToString(b)) {
			t.Errorf("the package comment does not show %s %x", name, []byte(b))
		}
	}
}
