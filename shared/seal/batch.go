package seal

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"maps"

	"arca.example/arca/shared/problem"
)

// Batch is the collector's side of the recordings of one unit that end in one
// pack. Its secrets are drawn here and live in memory only; after Sign or Erase
// they are overwritten and nobody but the two keyholders can open anything.
//
// Overwriting is best effort: Go may have copied a value, and the key schedules
// of AES stay until the garbage collector reuses their memory.
type Batch struct {
	id         BatchID
	unit       Unit
	court      BatchSecret
	custodian  BatchSecret
	sealed     map[Role][]byte
	key        DescriptorKey
	recordings map[RecordingID]Commitments
	closed     bool
}

// NewBatch draws the two batch secrets and seals each to its keyholder's unit key.
func NewBatch(unit Unit, court, custodian hpke.PublicKey) (*Batch, error) {
	if err := unit.Check(); err != nil {
		return nil, err
	}
	for _, key := range []hpke.PublicKey{court, custodian} {
		if err := checkPublic(key); err != nil {
			return nil, err
		}
	}
	if sameKey(court, custodian) {
		return nil, problem.New(problem.Denied, "court and custodian have the same unit key: one of them could open alone; stop and tell both registrars")
	}
	b := &Batch{unit: unit, sealed: map[Role][]byte{}, recordings: map[RecordingID]Commitments{}}
	random(b.id[:])
	random(b.court[:])
	random(b.custodian[:])
	random(b.key[:])
	var err error
	if b.sealed[Court], err = hpkeSeal(court, batchInfo(Court, b.id, unit), b.court[:]); err != nil {
		return nil, err
	}
	b.sealed[Custodian], err = hpkeSeal(custodian, batchInfo(Custodian, b.id, unit), b.custodian[:])
	return b, err
}

// ID gives the batch's id.
func (b *Batch) ID() BatchID { return b.id }

// Unit gives the batch's unit.
func (b *Batch) Unit() Unit { return b.unit }

// Sealed gives c_role.
func (b *Batch) Sealed(role Role) []byte { return b.sealed[role] }

// Recording draws an id and derives the keys of one more recording.
func (b *Batch) Recording() (*Recording, error) {
	if b.closed {
		return nil, problem.New(problem.Invalid, "the batch is signed or erased; begin another")
	}
	if len(b.recordings) == MaxMembers {
		return nil, problem.New(problem.Invalid, "a batch has at most %d recordings; begin another", MaxMembers)
	}
	r := &Recording{}
	random(r.id[:])
	r.derive(b)
	b.recordings[r.id] = r.commitments
	return r, nil
}

// Erase forgets every secret of the batch. It may be called twice.
func (b *Batch) Erase() {
	b.closed = true
	clear(b.court[:])
	clear(b.custodian[:])
	clear(b.key[:])
}

// Sign closes the batch: the collector signs its statement over exactly these
// descriptors, in this order. previous is the zero Statement for the first batch
// of this collector in the unit. The batch secrets are erased.
func (b *Batch) Sign(signer crypto.Signer, previous Statement, descriptors []Descriptor) (*Signed, error) {
	members, err := b.members(descriptors)
	if err != nil {
		return nil, err
	}
	pub, ok := signer.Public().(ed25519.PublicKey)
	if !ok {
		return nil, problem.New(problem.Invalid, "a collector signs with Ed25519; enrol such a key")
	}
	s := Statement{
		Batch: b.id, Unit: b.unit, Number: previous.Number + 1,
		CourtSHA256: sha256.Sum256(b.sealed[Court]), CustodianSHA256: sha256.Sum256(b.sealed[Custodian]),
		DescriptorsSHA256: hashDescriptors(HashesOf(descriptors)), MembersSHA256: hashMembers(members),
		Members: uint32(len(members)), Collector: NewCollectorID(pub),
	}
	if previous != (Statement{}) {
		s.Previous = previous.Hash()
		if !s.Follows(previous) {
			return nil, problem.New(problem.Invalid, "the previous batch is of another unit or collector")
		}
	}
	out := &Signed{Statement: s, Members: members, sealed: maps.Clone(b.sealed), key: b.key}
	if out.Signature, err = s.sign(signer); err != nil {
		return nil, err
	}
	out.Area, out.trailer = sealArea(b.key, b.id, descriptors, s, out.Signature)
	b.Erase() // from here on nothing can be added to the batch
	return out, nil
}

// members refuses descriptors that this batch did not make.
func (b *Batch) members(descriptors []Descriptor) ([]Member, error) {
	if b.closed || len(descriptors) == 0 || len(descriptors) > MaxMembers {
		return nil, problem.New(problem.Invalid, "a batch is signed once, over 1 to %d recordings", MaxMembers)
	}
	seen := map[RecordingID]bool{}
	members := make([]Member, len(descriptors))
	for i, d := range descriptors {
		commitments, drawn := b.recordings[d.Recording]
		if !drawn || commitments != d.Commitments || seen[d.Recording] || d.check() != nil {
			return nil, problem.New(problem.Invalid, "a descriptor is not of this batch, twice in it, or damaged")
		}
		seen[d.Recording] = true
		members[i] = d.Member()
	}
	return members, nil
}

// Recording holds the keys of one recording while it is sealed: description
// once, content once.
type Recording struct {
	id          RecordingID
	ctx         Context
	commitments Commitments
	index       RecordingKey
	content     RecordingKey
	encryptor   *Encryptor
	closed      bool
}

func (r *Recording) derive(b *Batch) {
	r.ctx = ContextOf(r.id, b.id, b.unit)
	ci, cc := deriveHalves(b.court, Court, r.ctx)
	ui, uc := deriveHalves(b.custodian, Custodian, r.ctx)
	r.index = combine(IndexClass, r.ctx, ci, ui)
	r.content = combine(ContentClass, r.ctx, cc, uc)
	r.commitments = Commitments{Commitment(ci), Commitment(cc), Commitment(ui), Commitment(uc)}
}

// ID gives the recording's id.
func (r *Recording) ID() RecordingID { return r.id }

// Context gives ctx.
func (r *Recording) Context() Context { return r.ctx }

// Commitments gives the commitments to the four halves.
func (r *Recording) Commitments() Commitments { return r.commitments }

// Encryptor gives the recording's one encryptor, once.
func (r *Recording) Encryptor() (*Encryptor, error) {
	if r.closed || r.encryptor != nil {
		return nil, problem.New(problem.Invalid, "a recording is sealed once; draw another")
	}
	r.encryptor = newEncryptor(r.content, r.ctx)
	return r.encryptor, nil
}

// ContentDigest gives the keyed digest of the sealed content, for the description.
func (r *Recording) ContentDigest() (out [32]byte, err error) {
	if r.closed || r.encryptor == nil {
		return out, problem.New(problem.Invalid, "the content has no digest before it is sealed")
	}
	sum, err := r.encryptor.SHA256()
	if err != nil {
		return out, err
	}
	return ContentDigest(r.content, r.ctx, sum), nil
}

// Describe closes the recording: it seals the description (opaque here, by
// agreement canonical JSON) and gives the descriptor. Places must hold exactly the
// ciphertext that the encryptor gave. The keys are erased.
func (r *Recording) Describe(places Places, description []byte) (Descriptor, error) {
	if r.closed || r.encryptor == nil || !r.encryptor.done || places.Length() != SealedLength(r.encryptor.plain) {
		return Descriptor{}, problem.New(problem.Invalid, "a recording is described once, after its last segment, with all of its places")
	}
	sealed, err := sealDescription(r.index, r.ctx, description)
	if err != nil {
		return Descriptor{}, err
	}
	d := Descriptor{r.id, r.commitments, places, sealed}
	if err := d.check(); err != nil {
		return Descriptor{}, err
	}
	r.Erase()
	return d, nil
}

// Erase forgets the recording's keys. It may be called twice.
func (r *Recording) Erase() {
	r.closed = true
	clear(r.index[:])
	clear(r.content[:])
}

// Signed is a closed batch: its area for the pack's body, its slot, its notes.
type Signed struct {
	Statement Statement
	Signature Signature
	Members   []Member
	Area      []byte // descriptors and trailer, encrypted
	trailer   int
	sealed    map[Role][]byte
	key       DescriptorKey
}

// Note gives the batch note of one keyholder.
func (s *Signed) Note(role Role) (*Note, error) {
	if !role.Valid() {
		return nil, unknownRole()
	}
	return &Note{role, s.Statement, s.Signature, s.Members, s.sealed[role]}, nil
}

// Slot gives the header slot's plaintext once Area was placed at run. It goes
// into the pack that holds the area.
func (s *Signed) Slot(run Run) (Slot, error) {
	if int(run.Length) != len(s.Area) {
		return Slot{}, problem.New(problem.Invalid, "the batch's descriptors were not placed whole")
	}
	out := Slot{Batch: s.Statement.Batch, Unit: s.Statement.Unit, Key: s.key,
		Area: Area{run.Offset, run.Length, uint32(s.trailer)}}
	copy(out.Court[:], s.sealed[Court])
	copy(out.Custodian[:], s.sealed[Custodian])
	return out, nil
}

// Erase forgets the descriptor key. It may be called twice.
func (s *Signed) Erase() { clear(s.key[:]) }
