package seal

import (
	"bytes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"

	"arca.example/arca/shared/problem"
)

// Limits of descriptions, in bytes.
const (
	MaxDescriptionSize = 64 << 10
	descriptionBlock   = 64 // padded lengths are multiples of it
	maxSealedDesc      = 4 + MaxDescriptionSize + descriptionBlock + tagSize
	descriptorFixed    = 2 + 16 + 4*32 + 4 + 4
	maxDescriptorSize  = descriptorFixed + MaxRuns*runSize + maxSealedDesc
)

// Descriptor tells the holders of the find key where a recording lies, and
// carries the description, which only K(index) opens.
type Descriptor struct {
	Recording   RecordingID
	Commitments Commitments
	Places      Places
	Description []byte // sealed under K(index)
}

// Bytes is version ‖ suite ‖ recordingID ‖ commitments ‖ uint32 runs ‖ runs ‖ lp(description).
func (d Descriptor) Bytes() []byte {
	out := make([]byte, 0, d.size())
	out = append(out, Version, Suite)
	out = append(out, d.Recording[:]...)
	out = d.Commitments.append(out)
	out = binary.BigEndian.AppendUint32(out, uint32(len(d.Places)))
	for _, r := range d.Places {
		out = r.append(out)
	}
	return lp(out, d.Description)
}

func (d Descriptor) size() int {
	return descriptorFixed + runSize*len(d.Places) + len(d.Description)
}

// ParseDescriptor reads what Bytes wrote, and nothing else.
func ParseDescriptor(b []byte) (Descriptor, error) {
	var d Descriptor
	if len(b) > maxDescriptorSize {
		return d, malformed("descriptor")
	}
	c := cursor{rest: b}
	c.header()
	c.copyTo(d.Recording[:])
	d.Commitments.read(&c)
	runs := c.uint32()
	if runs > MaxRuns || int(runs)*runSize > len(c.rest) {
		return Descriptor{}, malformed("descriptor")
	}
	for range runs {
		d.Places = append(d.Places, Run{Pack: c.uint64(), Offset: c.uint32(), Length: c.uint32()})
	}
	d.Description = bytes.Clone(c.lp(maxSealedDesc))
	if !c.whole() || d.check() != nil {
		return Descriptor{}, malformed("descriptor")
	}
	return d, canonical("descriptor", b, d.Bytes())
}

func (d Descriptor) check() error {
	if err := d.Places.Check(); err != nil {
		return err
	}
	if _, err := PlainLength(d.Places.Length()); err != nil {
		return err
	}
	if n := len(d.Description) - tagSize; n < descriptionBlock || n%descriptionBlock != 0 || n > maxSealedDesc {
		return malformed("description")
	}
	return nil
}

// Member is the line of this recording in the batch note.
func (d Descriptor) Member() Member { return Member{d.Recording, d.Commitments} }

// DescriptorSize gives the bytes that a descriptor takes in the pack.
func DescriptorSize(runs, description int) int {
	return descriptorFixed + runSize*runs + paddedDescription(description) + tagSize + tagSize
}

// TrailerSize gives the bytes that the trailer of a batch takes in the pack.
func TrailerSize(unit Unit, recordings int) int {
	return 2 + 4 + 4*recordings + 4 + statementFixed + len(unit.Bytes()) + ed25519.SignatureSize + tagSize
}

func paddedDescription(n int) int {
	return (4 + n + descriptionBlock - 1) / descriptionBlock * descriptionBlock
}

// sealDescription encrypts lp(description) ‖ zeros under K(index). The padding to
// 64 bytes keeps the length of a name or number from the holders of the find key.
func sealDescription(key RecordingKey, ctx Context, description []byte) ([]byte, error) {
	if len(description) > MaxDescriptionSize {
		return nil, problem.New(problem.Invalid, "a description has at most %d bytes; shorten it", MaxDescriptionSize)
	}
	plain := make([]byte, 0, paddedDescription(len(description))+tagSize)
	plain = lp(plain, description)
	plain = plain[:paddedDescription(len(description))]
	// The all-zero nonce is safe: K(index) belongs to one recording, whose
	// description is sealed once (Recording.Describe works once).
	var nonce [12]byte
	return newGCM(key).Seal(plain[:0], nonce[:], plain, ctx[:]), nil
}

// OpenDescription decrypts a descriptor's description with K(index).
func OpenDescription(key RecordingKey, ctx Context, sealed []byte) ([]byte, error) {
	var nonce [12]byte
	if len(sealed) > maxSealedDesc {
		return nil, malformed("description")
	}
	plain, err := newGCM(key).Open(nil, nonce[:], sealed, ctx[:])
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the description was altered or is not this recording's")
	}
	c := cursor{rest: plain}
	description := c.lp(MaxDescriptionSize)
	again := make([]byte, paddedDescription(len(description)))
	copy(again, lp(nil, description))
	if c.bad {
		return nil, malformed("description")
	}
	return description, canonical("description", plain, again)
}

// Domains of the nonces under a descriptor key.
const (
	descriptorDomain = 0
	trailerDomain    = 1
)

// areaNonce is domain ‖ 7 zero bytes ‖ uint32 index. The descriptor key is drawn
// per batch and an area sealed once, so no nonce repeats.
func areaNonce(domain byte, index int) []byte {
	var n [12]byte
	n[0] = domain
	binary.BigEndian.PutUint32(n[8:], uint32(index))
	return n[:]
}

// trailer closes an area: what the collector signed, and where each descriptor ends.
type trailer struct {
	lengths   []uint32 // ciphertext bytes of each descriptor
	statement Statement
	signature Signature
}

func (t trailer) bytes() []byte {
	out := []byte{Version, Suite}
	out = binary.BigEndian.AppendUint32(out, uint32(len(t.lengths)))
	for _, n := range t.lengths {
		out = binary.BigEndian.AppendUint32(out, n)
	}
	out = lp(out, t.statement.Bytes())
	return append(out, t.signature[:]...)
}

func parseTrailer(b []byte) (t trailer, err error) {
	c := cursor{rest: b}
	c.header()
	count := c.uint32()
	if count > MaxMembers || int(count)*4 > len(c.rest) {
		return trailer{}, malformed("trailer")
	}
	for range count {
		t.lengths = append(t.lengths, c.uint32())
	}
	statement := c.lp(maxStatementSize)
	c.copyTo(t.signature[:])
	if !c.whole() {
		return trailer{}, malformed("trailer")
	}
	if t.statement, err = ParseStatement(statement); err != nil {
		return trailer{}, err
	}
	return t, canonical("trailer", b, t.bytes())
}

// sealArea encrypts the descriptors and the trailer, one after another.
func sealArea(key DescriptorKey, batch BatchID, descriptors []Descriptor, statement Statement, signature Signature) (area []byte, trailerSize int) {
	aead := newGCM(key)
	t := trailer{statement: statement, signature: signature}
	size := TrailerSize(statement.Unit, len(descriptors))
	for _, d := range descriptors {
		size += d.size() + tagSize
	}
	area = make([]byte, 0, size) // whole at once: GCM would copy it anew for every descriptor
	for i, d := range descriptors {
		area = aead.Seal(area, areaNonce(descriptorDomain, i), d.Bytes(), batch[:])
		t.lengths = append(t.lengths, uint32(d.size()+tagSize))
	}
	cut := len(area)
	area = aead.Seal(area, areaNonce(trailerDomain, 0), t.bytes(), batch[:])
	return area, len(area) - cut
}

// Listing is a batch as the holders of its find key see it, after every check.
type Listing struct {
	Statement   Statement
	Signature   Signature
	Descriptors []Descriptor
}

// OpenDescriptors decrypts a batch's area, which the caller has cut from the
// slot's pack at Slot.Area, and checks all of it against the collector's
// signature and the slot: only then is anything returned. collector gives the
// enrolled public key of a key id, or an error.
func (s Slot) OpenDescriptors(area []byte, collector func(CollectorID) (ed25519.PublicKey, error)) (*Listing, error) {
	if uint64(len(area)) != uint64(s.Area.Length) || s.Area.Trailer > s.Area.Length {
		return nil, malformed("batch's descriptors")
	}
	aead := newGCM(s.Key)
	cut := len(area) - int(s.Area.Trailer)
	plain, err := aead.Open(nil, areaNonce(trailerDomain, 0), area[cut:], s.Batch[:])
	if err != nil {
		return nil, alteredArea(err)
	}
	t, err := parseTrailer(plain)
	if err != nil {
		return nil, err
	}
	descriptors, err := s.openEach(aead, area[:cut], t.lengths)
	if err != nil {
		return nil, err
	}
	listing := &Listing{t.statement, t.signature, descriptors}
	if err := s.check(listing); err != nil {
		return nil, err
	}
	pub, err := collector(t.statement.Collector)
	if err != nil {
		return nil, err
	}
	return listing, t.statement.Verify(pub, t.signature)
}

func (s Slot) openEach(aead cipher.AEAD, area []byte, lengths []uint32) (out []Descriptor, err error) {
	for i, n := range lengths {
		if uint64(n) > uint64(len(area)) {
			return nil, malformed("batch's descriptors")
		}
		plain, err := aead.Open(nil, areaNonce(descriptorDomain, i), area[:n], s.Batch[:])
		if err != nil {
			return nil, alteredArea(err)
		}
		d, err := ParseDescriptor(plain)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
		area = area[n:]
	}
	if len(area) != 0 {
		return nil, malformed("batch's descriptors")
	}
	return out, nil
}

// check compares the signed statement with the slot and the descriptors. Whoever
// holds the find key can make a slot; only this ties it to a collector.
func (s Slot) check(l *Listing) error {
	st := l.Statement
	members := make([]Member, len(l.Descriptors))
	for i, d := range l.Descriptors {
		members[i] = d.Member()
	}
	same := st.Batch == s.Batch && st.Unit == s.Unit &&
		st.CourtSHA256 == sha256.Sum256(s.Court[:]) && st.CustodianSHA256 == sha256.Sum256(s.Custodian[:]) &&
		st.DescriptorsSHA256 == hashDescriptors(HashesOf(l.Descriptors))
	if !same || st.checkMembers(members) != nil {
		return problem.New(problem.Denied, "the batch's signed statement does not fit its slot and descriptors; tell the auditor which pack it was in")
	}
	return nil
}

// Hash is the SHA-256 of a descriptor's encoding, by which the batch's statement names it. It hides the descriptor: an
// encoding holds at least 80 bytes of AES-GCM output under a key that its readers alone have.
func (d Descriptor) Hash() [32]byte { return sha256.Sum256(d.Bytes()) }

// hashDescriptors is SHA-256(lp("arca/v1/descriptors") uint32 count ‖ H(descriptor)…) over the plaintext encodings: what is signed is
// what they say, whatever key hides it. Over their hashes, so that one recording can be disclosed with its batch's signature and the
// others stay hidden (package bundle).
func hashDescriptors(hashes [][32]byte) [32]byte {
	out := bind("arca/v1/descriptors")
	out = binary.BigEndian.AppendUint32(out, uint32(len(hashes)))
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	return sha256.Sum256(out)
}

// HashesOf gives the hash of each descriptor.
func HashesOf(descriptors []Descriptor) [][32]byte {
	hashes := make([][32]byte, len(descriptors))
	for i, d := range descriptors {
		hashes[i] = d.Hash()
	}
	return hashes
}

func alteredArea(cause error) error {
	return problem.Wrap(problem.Invalid, cause, "the batch's descriptors were altered; fetch their pack again")
}
