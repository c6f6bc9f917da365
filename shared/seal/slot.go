package seal

import (
	"crypto/hpke"
	"crypto/rand"
	"encoding/binary"
	"sync"

	"filippo.io/edwards25519"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"

	"arca.example/arca/shared/problem"
)

// SlotSize is the size of a header slot; slotPlain that of its padded plaintext.
const (
	SlotSize  = 4096
	slotPlain = 2960
)

// 1,120 encapsulation + 2,960 + 16 tag = 4,096. This fails to compile otherwise.
var _ [0]struct{} = [SlotSize - encSize - slotPlain - tagSize]struct{}{}

// ErrOtherSlot says that a slot is not for this find key, place or pack. It is
// the normal answer for nearly every slot that a reader tries. A damaged slot
// answers the same, which is why the slot area is checked against the witnessed
// log before any slot is tried.
var ErrOtherSlot = problem.New(problem.NotFound, "the slot is not for this unit")

// Area is where a batch's descriptors lie in the slot's own pack.
type Area struct {
	Offset  uint32 // from the pack's start
	Length  uint32 // descriptors and trailer
	Trailer uint32 // the trailer's part at the end of it
}

// Slot is the plaintext of a header slot.
type Slot struct {
	Batch     BatchID
	Unit      Unit
	Court     [SealedSecretSize]byte // c_court
	Custodian [SealedSecretSize]byte // c_custodian
	Area      Area
	Key       DescriptorKey
}

// Sealed gives c_role; nil for an unknown role.
func (s *Slot) Sealed(role Role) []byte {
	switch role {
	case Court:
		return s.Court[:]
	case Custodian:
		return s.Custodian[:]
	}
	return nil
}

// bytes is version ‖ suite ‖ batchID ‖ lp(unit) ‖ c_court ‖ c_custodian ‖ area ‖ key ‖ zeros.
func (s *Slot) bytes() []byte {
	out := make([]byte, 0, slotPlain)
	out = append(out, Version, Suite)
	out = append(out, s.Batch[:]...)
	out = lp(out, s.Unit.Bytes())
	out = append(out, s.Court[:]...)
	out = append(out, s.Custodian[:]...)
	out = binary.BigEndian.AppendUint32(out, s.Area.Offset)
	out = binary.BigEndian.AppendUint32(out, s.Area.Length)
	out = binary.BigEndian.AppendUint32(out, s.Area.Trailer)
	out = append(out, s.Key[:]...)
	return out[:slotPlain] // the rest of a fresh slice is zero
}

func parseSlot(b []byte) (s Slot, err error) {
	if len(b) != slotPlain {
		return s, malformed("slot")
	}
	c := cursor{rest: b}
	c.header()
	c.copyTo(s.Batch[:])
	unit := c.lp(maxUnitBytes)
	c.copyTo(s.Court[:])
	c.copyTo(s.Custodian[:])
	s.Area = Area{c.uint32(), c.uint32(), c.uint32()}
	c.copyTo(s.Key[:])
	if c.bad || s.Area.check() != nil {
		return Slot{}, malformed("slot")
	}
	if s.Unit, err = ParseUnit(unit); err != nil {
		return Slot{}, err
	}
	return s, canonical("slot", b, s.bytes())
}

func (a Area) check() error {
	if a.Trailer == 0 || a.Trailer > a.Length || uint64(a.Offset)+uint64(a.Length) > MaxPackSize {
		return malformed("slot")
	}
	return nil
}

// slotInfo is lp("arca/v1/slot") lp(pack number) lp(slot index), both as 8 bytes.
func slotInfo(pack uint64, index int) []byte {
	return bind("arca/v1/slot", number8(pack), number8(uint64(index)))
}

// SealSlot seals a slot to its unit's find key, for one place in one pack.
func SealSlot(find hpke.PublicKey, pack uint64, index int, s Slot) ([]byte, error) {
	if err := s.Unit.Check(); err != nil {
		return nil, err
	}
	if err := s.Area.check(); err != nil {
		return nil, err
	}
	plain := s.bytes()
	defer clear(plain)
	return hpkeSeal(find, slotInfo(pack, index), plain)
}

// OpenSlot tries a slot with a find key: ErrOtherSlot when it is not for it. What
// it gives is authenticated by nobody but the holders of the find key;
// OpenDescriptors ties it to a collector.
func OpenSlot(find hpke.PrivateKey, pack uint64, index int, sealed []byte) (Slot, error) {
	if err := checkPrivate(find); err != nil {
		return Slot{}, err
	}
	if len(sealed) != SlotSize {
		return Slot{}, malformed("slot")
	}
	plain, err := hpkeOpen(find, slotInfo(pack, index), sealed)
	if err != nil {
		return Slot{}, ErrOtherSlot
	}
	defer clear(plain)
	return parseSlot(plain)
}

// nobody is the ML-KEM key of empty slots: drawn once per process, its private
// part dropped before anyone could use it.
var nobody = sync.OnceValues(func() (*mlkem768.PublicKey, error) {
	key, _, err := mlkem768.GenerateKeyPair(rand.Reader)
	if err != nil {
		return nil, problem.Wrap(problem.Internal, err, "no throw-away key could be drawn")
	}
	return key, nil
})

// EmptySlot gives a slot that nobody can open: a real encapsulation to a
// throw-away key, because encapsulations are not uniform bytes and random filler
// would stand out, followed by AES-CTR output in the place of the AES-GCM
// ciphertext. The X25519 product and the key schedule of a full HPKE seal are left
// out: their result is by the KEM's own security indistinguishable from the fresh
// key that is used instead. For the same reason the slot's place need not go in.
//
// Nothing here is secret, so two libraries make it that are three times as fast as the
// standard one, which makes what is: same distributions, held against the standard
// library's by tests (docs/decisions/2026-11-22-empty-slots.md).
func EmptySlot() ([]byte, error) {
	key, err := nobody()
	if err != nil {
		return nil, err
	}
	out := make([]byte, SlotSize)
	var shared [mlkem768.SharedKeySize]byte // nobody's
	key.EncapsulateTo(out[:mlkem768.CiphertextSize], shared[:], nil)
	var ephemeral [32]byte
	random(ephemeral[:])
	n := mlkem768.CiphertextSize
	n += copy(out[n:], x25519Public(ephemeral))
	fill(out[n:])
	return out, nil
}

// x25519Public gives the public key that crypto/ecdh gives, by way of the Edwards curve, where multiples of the base point come
// from a table.
func x25519Public(secret [32]byte) []byte {
	scalar, err := edwards25519.NewScalar().SetBytesWithClamping(secret[:])
	if err != nil {
		panic("seal: edwards25519 refused 32 bytes: " + err.Error())
	}
	return new(edwards25519.Point).ScalarBaseMult(scalar).BytesMontgomery()
}
