package record

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"

	"arca.example/arca/shared/problem"
)

// PublicKey verifies statements: Ed25519 or ECDSA P-384. Its text form is
// "ed25519:" or "p384:" and the strict base64url of the 32-byte key or the
// 97-byte uncompressed point.
type PublicKey struct{ key crypto.PublicKey }

// KeyID is the SHA-256 of a public key's raw bytes.
type KeyID = Digest

const (
	prefixEd25519 = "ed25519:"
	prefixP384    = "p384:"
)

var strict64 = base64.RawURLEncoding.Strict()

// PublicKeyOf wraps a standard library key. Errors: problem.Invalid for other kinds and curves.
func PublicKeyOf(key crypto.PublicKey) (PublicKey, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize && !SmallOrder(k) {
			return PublicKey{k}, nil
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P384() {
			return PublicKey{k}, nil
		}
	}
	return PublicKey{}, problem.New(problem.Invalid, "keys are Ed25519 or ECDSA P-384")
}

// smallOrder lists the y coordinates, as Ed25519 encodes them, of the eight points whose order divides eight, and the two other
// encodings that a decoder takes for one of them.
var smallOrder = [][32]byte{
	{},
	{0x01},
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
	nearPrime(0xec), nearPrime(0xed), nearPrime(0xee),
}

// nearPrime is 2^255-19 with another last byte, little-endian.
func nearPrime(low byte) (y [32]byte) {
	for i := range y {
		y[i] = 0xff
	}
	y[0], y[31] = low, 0x7f
	return y
}

// SmallOrder tells whether an Ed25519 public key is one under which anybody can sign. The verifier of the standard library takes such keys, so they are
// refused where keys are read.
func SmallOrder(key []byte) bool {
	if len(key) != ed25519.PublicKeySize {
		return false
	}
	y := [32]byte(key)
	y[31] &= 0x7f // the sign of x does not change the order
	return slices.Contains(smallOrder, y)
}

// ParsePublicKey reads the text form. Errors: problem.Invalid.
func ParsePublicKey(s string) (PublicKey, error) {
	var k PublicKey
	err := k.UnmarshalText([]byte(s))
	return k, err
}

// UnmarshalText reads exactly the text form.
func (k *PublicKey) UnmarshalText(text []byte) error {
	bad := problem.New(problem.Invalid, "a public key reads ed25519: or p384: and base64url without padding")
	s := string(text)
	switch {
	case strings.HasPrefix(s, prefixEd25519):
		raw, err := strict64.DecodeString(s[len(prefixEd25519):])
		if err != nil || len(raw) != ed25519.PublicKeySize || SmallOrder(raw) {
			return bad
		}
		k.key = ed25519.PublicKey(raw)
	case strings.HasPrefix(s, prefixP384):
		raw, err := strict64.DecodeString(s[len(prefixP384):])
		if err != nil {
			return bad
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), raw)
		if err != nil {
			return bad
		}
		k.key = key
	default:
		return bad
	}
	if k.String() != s {
		return bad
	}
	return nil
}

// MarshalText gives the text form.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// String gives the text form, "" for the zero key.
func (k PublicKey) String() string {
	switch k.key.(type) {
	case ed25519.PublicKey:
		return prefixEd25519 + strict64.EncodeToString(k.raw())
	case *ecdsa.PublicKey:
		return prefixP384 + strict64.EncodeToString(k.raw())
	}
	return ""
}

// ID is the key's identifier.
func (k PublicKey) ID() KeyID { return sha256.Sum256(k.raw()) }

// IsZero reports whether no key is set.
func (k PublicKey) IsZero() bool { return k.key == nil }

// Equal reports whether both are the same key.
func (k PublicKey) Equal(other PublicKey) bool { return k.String() == other.String() }

// Ed25519 gives the raw key if it is an Ed25519 key, nil otherwise.
func (k PublicKey) Ed25519() ed25519.PublicKey {
	raw, _ := k.key.(ed25519.PublicKey)
	return raw
}

func (k PublicKey) raw() []byte {
	switch key := k.key.(type) {
	case ed25519.PublicKey:
		return key
	case *ecdsa.PublicKey:
		if raw, err := key.Bytes(); err == nil {
			return raw
		}
	}
	return nil
}

// Signer signs statements. It redacts itself when printed.
type Signer struct{ key crypto.Signer }

// NewSigner makes a fresh Ed25519 key.
func NewSigner() (*Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Signer{key}, nil
}

// SignerFromSeed gives the Ed25519 key of a 32-byte seed.
func SignerFromSeed(seed []byte) (*Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, problem.New(problem.Invalid, "an Ed25519 seed has %d bytes", ed25519.SeedSize)
	}
	return &Signer{ed25519.NewKeyFromSeed(seed)}, nil
}

// SignerOf wraps an Ed25519 or P-384 private key of the standard library.
func SignerOf(key crypto.Signer) (*Signer, error) {
	if _, err := PublicKeyOf(key.Public()); err != nil {
		return nil, err
	}
	return &Signer{key}, nil
}

// Seed gives the 32-byte seed of an Ed25519 signer, for storing it sealed; nil for other keys.
func (s *Signer) Seed() []byte {
	if k, ok := s.key.(ed25519.PrivateKey); ok {
		return k.Seed()
	}
	return nil
}

// Ed25519 gives the private key for formats that need it raw (signed notes, batches); nil for other keys.
func (s *Signer) Ed25519() ed25519.PrivateKey {
	k, _ := s.key.(ed25519.PrivateKey)
	return k
}

// Public is the signer's public key.
func (s *Signer) Public() PublicKey { return PublicKey{s.key.Public()} }

// String, GoString keep the key out of logs.
func (s *Signer) String() string   { return "signer " + s.Public().ID().Short() }
func (s *Signer) GoString() string { return s.String() }

// lowS brings an ECDSA P-384 signature r‖s to s ≤ n/2, so that no second valid form of it exists.
func lowS(sig []byte) []byte {
	n := elliptic.P384().Params().N
	s := new(big.Int).SetBytes(sig[48:])
	if s.Cmp(new(big.Int).Rsh(n, 1)) > 0 {
		s.Sub(n, s).FillBytes(sig[48:])
	}
	return sig
}

// isLowS reports whether s ≤ n/2.
func isLowS(sig []byte) bool {
	n := elliptic.P384().Params().N
	return len(sig) == 96 && new(big.Int).SetBytes(sig[48:]).Cmp(new(big.Int).Rsh(n, 1)) <= 0
}
