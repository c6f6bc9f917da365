package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/subtle"

	"arca.example/arca/shared/problem"
)

// Sizes of suite 1, in bytes.
const (
	PublicKeySize = 1216 // X-Wing encapsulation key
	encSize       = 1120 // X-Wing encapsulation
	tagSize       = 16   // AES-GCM tag
	// SealedSecretSize is the size of c_role: an encapsulation, 32 bytes and a tag.
	SealedSecretSize = encSize + 32 + tagSize
	// ReleasedSize is the size of a sealed half or find secret: version, suite, SealedSecretSize.
	ReleasedSize = 2 + SealedSecretSize
)

// Role is a keyholder's part in every key.
type Role string

// The two keyholders.
const (
	Court     Role = "court"
	Custodian Role = "custodian"
)

// Class is what a half opens of a recording.
type Class string

// The two classes.
const (
	IndexClass   Class = "index"   // its description: who, when, how long
	ContentClass Class = "content" // its content
)

// Valid is true for the two roles.
func (r Role) Valid() bool { return r == Court || r == Custodian }

// Valid is true for the two classes.
func (c Class) Valid() bool { return c == IndexClass || c == ContentClass }

// Seed is a private X-Wing key in its 32-byte form: of a unit, a find key (then
// it is the find secret) or a request. Every seed is random and serves one of these only.
type Seed [32]byte

// BatchSecret is b_role. It lives in the collector's memory and, opened, in one keyholder's.
type BatchSecret [32]byte

// Half is half_role(class) of one recording.
type Half [32]byte

// RecordingKey is K(class) of one recording.
type RecordingKey [32]byte

// DescriptorKey encrypts the descriptors of one batch.
type DescriptorKey [32]byte

// NewSeed draws a seed.
func NewSeed() (s Seed) {
	random(s[:])
	return s
}

// NewUnitKey gives the key pair of a seed. The same function serves unit keys,
// find keys and request keys; what is sealed to them differs in its info.
func NewUnitKey(seed Seed) (hpke.PrivateKey, error) {
	key, err := hpke.MLKEM768X25519().NewPrivateKey(seed[:])
	if err != nil {
		return nil, problem.Wrap(problem.Internal, err, "the key could not be derived")
	}
	return key, nil
}

// ParsePublicKey reads the 1,216 bytes of an X-Wing public key.
func ParsePublicKey(b []byte) (hpke.PublicKey, error) {
	key, err := hpke.MLKEM768X25519().NewPublicKey(b)
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the public key is not an X-Wing key of %d bytes; ask its owner for it again", PublicKeySize)
	}
	return key, canonical("public key", b, key.Bytes())
}

// checkPublic refuses keys of other suites: an interface value could smuggle in a weaker KEM.
func checkPublic(key hpke.PublicKey) error {
	if key == nil || key.KEM().ID() != hpke.MLKEM768X25519().ID() {
		return problem.New(problem.Invalid, "the public key is not an X-Wing key; take it from the keyholder's signed list")
	}
	return nil
}

func checkPrivate(key hpke.PrivateKey) error {
	if key == nil || key.KEM().ID() != hpke.MLKEM768X25519().ID() {
		return problem.New(problem.Invalid, "the private key is not an X-Wing key")
	}
	return nil
}

func hpkeSeal(key hpke.PublicKey, info, plaintext []byte) ([]byte, error) {
	if err := checkPublic(key); err != nil {
		return nil, err
	}
	out, err := hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, plaintext)
	if err != nil {
		return nil, problem.Wrap(problem.Internal, err, "sealing to a public key failed")
	}
	return out, nil
}

func hpkeOpen(key hpke.PrivateKey, info, ciphertext []byte) ([]byte, error) {
	return hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, ciphertext)
}

// openSecret opens exactly one sealed 32-byte secret.
func openSecret(key hpke.PrivateKey, info, sealed []byte, what string) (out [32]byte, err error) {
	if err := checkPrivate(key); err != nil {
		return out, err
	}
	if len(sealed) != SealedSecretSize {
		return out, malformed(what)
	}
	b, err := hpkeOpen(key, info, sealed)
	if err != nil || len(b) != 32 {
		return out, problem.Wrap(problem.Invalid, err, "the %s does not open here: it was altered, or made for another purpose or key", what)
	}
	copy(out[:], b)
	clear(b)
	return out, nil
}

// derive is HKDF-SHA-256 with a 32-byte output. It cannot fail for this length.
func derive(secret []byte, salt Context, info string) (out [32]byte) {
	b, err := hkdf.Key(sha256.New, secret, salt[:], info, 32)
	if err != nil {
		panic("seal: HKDF refused 32 bytes: " + err.Error())
	}
	copy(out[:], b)
	clear(b)
	return out
}

func equal32(a, b [32]byte) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

func sameKey(a, b hpke.PublicKey) bool { return bytes.Equal(a.Bytes(), b.Bytes()) }
