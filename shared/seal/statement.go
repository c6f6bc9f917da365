package seal

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"arca.example/arca/shared/problem"
)

// MaxMembers bounds a batch, so that its note stays far below a row's 400 KB and
// a request's 1 MiB. A pack may hold several batches of one unit.
const MaxMembers = 2048

const (
	statementFixed   = 2 + 16 + 4 + 8 + 5*32 + 4 + 32
	maxStatementSize = statementFixed + maxUnitBytes
	memberSize       = 16 + 4*32
	maxNoteSize      = 2 + 1 + 4 + maxStatementSize + ed25519.SignatureSize + 4 + MaxMembers*memberSize + SealedSecretSize
)

// CollectorID is SHA-256 of a collector's Ed25519 public key.
type CollectorID [32]byte

// Signature is an Ed25519 signature.
type Signature [ed25519.SignatureSize]byte

func (id CollectorID) String() string { return hex.EncodeToString(id[:]) }

// NewCollectorID gives the id of a public key.
func NewCollectorID(pub ed25519.PublicKey) CollectorID { return sha256.Sum256(pub) }

// Statement is what the collector signs of a batch.
type Statement struct {
	Batch             BatchID
	Unit              Unit
	Number            uint64      // of this collector's batches in this unit, from 1
	Previous          [32]byte    // Hash of its statement before; zero when Number is 1
	CourtSHA256       [32]byte    // of c_court
	CustodianSHA256   [32]byte    // of c_custodian
	DescriptorsSHA256 [32]byte    // of the descriptors' encodings, see doc
	MembersSHA256     [32]byte    // of the members, see doc
	Members           uint32      // how many
	Collector         CollectorID // whose signature it is
}

// Bytes is the canonical encoding; the package comment gives its layout.
func (s Statement) Bytes() []byte {
	out := make([]byte, 0, maxStatementSize)
	out = append(out, Version, Suite)
	out = append(out, s.Batch[:]...)
	out = lp(out, s.Unit.Bytes())
	out = binary.BigEndian.AppendUint64(out, s.Number)
	out = append(out, s.Previous[:]...)
	out = append(out, s.CourtSHA256[:]...)
	out = append(out, s.CustodianSHA256[:]...)
	out = append(out, s.DescriptorsSHA256[:]...)
	out = append(out, s.MembersSHA256[:]...)
	out = binary.BigEndian.AppendUint32(out, s.Members)
	return append(out, s.Collector[:]...)
}

// ParseStatement reads what Bytes wrote, and nothing else.
func ParseStatement(b []byte) (s Statement, err error) {
	if len(b) > maxStatementSize {
		return s, malformed("batch statement")
	}
	c := cursor{rest: b}
	c.header()
	c.copyTo(s.Batch[:])
	unit := c.lp(maxUnitBytes)
	s.Number = c.uint64()
	c.copyTo(s.Previous[:])
	c.copyTo(s.CourtSHA256[:])
	c.copyTo(s.CustodianSHA256[:])
	c.copyTo(s.DescriptorsSHA256[:])
	c.copyTo(s.MembersSHA256[:])
	s.Members = c.uint32()
	c.copyTo(s.Collector[:])
	if !c.whole() {
		return Statement{}, malformed("batch statement")
	}
	if s.Unit, err = ParseUnit(unit); err != nil {
		return Statement{}, err
	}
	if err := s.checkNumbers(); err != nil {
		return Statement{}, err
	}
	return s, canonical("batch statement", b, s.Bytes())
}

// checkNumbers: the first batch has no predecessor, every other has one.
func (s Statement) checkNumbers() error {
	first := s.Previous == [32]byte{}
	if s.Number == 0 || (s.Number == 1) != first || s.Members == 0 || s.Members > MaxMembers {
		return malformed("batch statement")
	}
	return nil
}

// message is what is signed and what Hash hashes: lp("arca/v1/statement") lp(statement).
func (s Statement) message() []byte { return bind("arca/v1/statement", s.Bytes()) }

// Hash is what the next statement names as Previous.
func (s Statement) Hash() [32]byte { return sha256.Sum256(s.message()) }

// Follows is true when s is the batch right after before, of one collector and unit.
func (s Statement) Follows(before Statement) bool {
	return s.Number == before.Number+1 && s.Previous == before.Hash() &&
		s.Unit == before.Unit && s.Collector == before.Collector
}

// Verify checks the collector's signature over the statement.
func (s Statement) Verify(pub ed25519.PublicKey, sig Signature) error {
	if len(pub) != ed25519.PublicKeySize || s.Collector != NewCollectorID(pub) || !ed25519.Verify(pub, s.message(), sig[:]) {
		return problem.New(problem.Denied, "the batch is not signed by this collector; have the collector send it again")
	}
	return nil
}

func (s Statement) checkMembers(members []Member) error {
	if uint64(len(members)) != uint64(s.Members) || hashMembers(members) != s.MembersSHA256 {
		return problem.New(problem.Denied, "the members are not those that the collector signed")
	}
	seen := make(map[RecordingID]bool, len(members))
	for _, m := range members {
		if seen[m.Recording] {
			return problem.New(problem.Denied, "a batch names one recording twice")
		}
		seen[m.Recording] = true
	}
	return nil
}

// Sealed gives the hash of c_role; zero for an unknown role.
func (s Statement) Sealed(role Role) [32]byte {
	switch role {
	case Court:
		return s.CourtSHA256
	case Custodian:
		return s.CustodianSHA256
	}
	return [32]byte{}
}

// sign signs the statement and checks the signature, so that a broken or
// foreign key device is noticed here and not by a reader years later.
func (s Statement) sign(signer crypto.Signer) (sig Signature, err error) {
	pub, ok := signer.Public().(ed25519.PublicKey)
	if !ok {
		return sig, problem.New(problem.Invalid, "a collector signs with Ed25519; enrol such a key")
	}
	b, err := signer.Sign(rand.Reader, s.message(), crypto.Hash(0))
	if err != nil {
		return sig, problem.Wrap(problem.Unavailable, err, "the collector's key did not sign; try again")
	}
	if copy(sig[:], b) != len(sig) || len(b) != len(sig) {
		return sig, malformed("signature")
	}
	return sig, s.Verify(pub, sig)
}

// VerifyParts checks what a bundle discloses of a batch: that this collector signed it, over exactly these members and over descriptors with
// these hashes, in their order. Whoever has one descriptor compares its Hash with the one at its member's place.
func (s Statement) VerifyParts(pub ed25519.PublicKey, sig Signature, members []Member, descriptors [][32]byte) error {
	if err := s.Verify(pub, sig); err != nil {
		return err
	}
	if err := s.checkMembers(members); err != nil {
		return err
	}
	if len(descriptors) != len(members) || hashDescriptors(descriptors) != s.DescriptorsSHA256 {
		return problem.New(problem.Denied, "the descriptors are not those that the collector signed")
	}
	return nil
}

// AppendMember appends a member's encoding, as it stands in a note.
func AppendMember(dst []byte, m Member) []byte { return appendMembers(dst, []Member{m}) }

// ParseMembers reads the encodings of members, one after another, and nothing else.
func ParseMembers(b []byte) ([]Member, error) {
	if len(b)%memberSize != 0 || len(b)/memberSize > MaxMembers {
		return nil, malformed("list of members")
	}
	members := make([]Member, len(b)/memberSize)
	c := cursor{rest: b}
	for i := range members {
		c.copyTo(members[i].Recording[:])
		members[i].Commitments.read(&c)
	}
	return members, nil
}

// Member is what a keyholder knows of a recording: its id and the commitments to its halves.
type Member struct {
	Recording   RecordingID
	Commitments Commitments
}

// hashMembers is SHA-256(lp("arca/v1/members") uint32 count ‖ member…).
func hashMembers(members []Member) [32]byte {
	out := bind("arca/v1/members")
	out = binary.BigEndian.AppendUint32(out, uint32(len(members)))
	return sha256.Sum256(appendMembers(out, members))
}

func appendMembers(out []byte, members []Member) []byte {
	for _, m := range members {
		out = append(out, m.Recording[:]...)
		out = m.Commitments.append(out)
	}
	return out
}

// Note is what one keyholder files of a batch. With it alone a keyholder can
// release, say what exists, and destroy.
type Note struct {
	Role      Role
	Statement Statement
	Signature Signature
	Members   []Member
	Sealed    []byte // c_role
}

// Bytes is version ‖ suite ‖ role ‖ lp(statement) ‖ signature ‖ uint32 members ‖ members ‖ c_role.
func (n *Note) Bytes() []byte {
	out := make([]byte, 0, maxStatementSize+memberSize*len(n.Members)+SealedSecretSize+128)
	out = append(out, Version, Suite, roleByte(n.Role))
	out = lp(out, n.Statement.Bytes())
	out = append(out, n.Signature[:]...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(n.Members)))
	out = appendMembers(out, n.Members)
	return append(out, n.Sealed...)
}

// ParseNote reads what Bytes wrote, and nothing else. Nothing in the result is
// trustworthy before Verify.
func ParseNote(b []byte) (*Note, error) {
	if len(b) > maxNoteSize {
		return nil, malformed("batch note")
	}
	n := &Note{}
	c := cursor{rest: b}
	c.header()
	n.Role = roleOf(c.byte())
	statement := c.lp(maxStatementSize)
	c.copyTo(n.Signature[:])
	count := c.uint32()
	if count > MaxMembers || int(count)*memberSize > len(c.rest) {
		return nil, malformed("batch note")
	}
	n.Members = make([]Member, count)
	for i := range n.Members {
		c.copyTo(n.Members[i].Recording[:])
		n.Members[i].Commitments.read(&c)
	}
	n.Sealed = bytes.Clone(c.take(SealedSecretSize))
	if !c.whole() || !n.Role.Valid() {
		return nil, malformed("batch note")
	}
	var err error
	if n.Statement, err = ParseStatement(statement); err != nil {
		return nil, err
	}
	return n, canonical("batch note", b, n.Bytes())
}

// Verify checks the collector's signature, that the members are the signed ones,
// and that c_role is the signed one. The caller decides whether pub was enrolled
// for the unit, and whether the statement Follows the last.
func (n *Note) Verify(pub ed25519.PublicKey) error {
	if err := n.Statement.Verify(pub, n.Signature); err != nil {
		return err
	}
	if err := n.Statement.checkMembers(n.Members); err != nil {
		return err
	}
	if !n.Role.Valid() || len(n.Sealed) != SealedSecretSize || sha256.Sum256(n.Sealed) != n.Statement.Sealed(n.Role) {
		return problem.New(problem.Denied, "the sealed batch secret is not the one that the collector signed for this keyholder")
	}
	return nil
}

// CheckSecret refuses a batch whose secret does not give the halves that its
// members commit to. A keyholder does it before it acknowledges a note: later
// the collector could not repair it.
func (n *Note) CheckSecret(secret BatchSecret) error {
	for _, m := range n.Members {
		ctx := ContextOf(m.Recording, n.Statement.Batch, n.Statement.Unit)
		index, content := deriveHalves(secret, n.Role, ctx)
		if err := m.Commitments.Check(n.Role, IndexClass, index); err != nil {
			return err
		}
		if err := m.Commitments.Check(n.Role, ContentClass, content); err != nil {
			return err
		}
	}
	return nil
}

// Member gives the line of a recording.
func (n *Note) Member(id RecordingID) (Member, bool) {
	for _, m := range n.Members {
		if m.Recording == id {
			return m, true
		}
	}
	return Member{}, false
}

func roleByte(r Role) byte {
	switch r {
	case Court:
		return 1
	case Custodian:
		return 2
	}
	return 0
}

func roleOf(b byte) Role {
	switch b {
	case 1:
		return Court
	case 2:
		return Custodian
	}
	return ""
}
