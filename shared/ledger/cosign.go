package ledger

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"filippo.io/mldsa"

	"arca.example/arca/shared/problem"
)

// Cosignature is one dated signature of a witness on a checkpoint.
type Cosignature struct {
	Name string
	Time time.Time
	Line string // the note's signature line, with its newline

	order int // of its key in the Policy under which it was verified
}

// Cosigner signs checkpoints with one key of a witness.
type Cosigner struct {
	name   string
	alg    byte
	public []byte
	sign   func(t Tree, sec uint64) []byte
}

// NewCosigner names a witness's Ed25519 key. Names have no spaces and no plus sign.
func NewCosigner(name string, key ed25519.PrivateKey) (*Cosigner, error) {
	if !validName(name) || len(key) != ed25519.PrivateKeySize {
		return nil, problem.New(problem.Invalid, "a witness needs a name without spaces or '+' and an Ed25519 key")
	}
	sign := func(t Tree, sec uint64) []byte { return ed25519.Sign(key, cosigned(sec, t.Text())) }
	return &Cosigner{name: name, alg: algCosignature, public: key.Public().(ed25519.PublicKey), sign: sign}, nil
}

// NewMLDSACosigner names the ML-DSA-44 key that a seed of 32 bytes makes.
func NewMLDSACosigner(name string, seed []byte) (*Cosigner, error) {
	if !validName(name) || len(seed) != mldsa.PrivateKeySize {
		return nil, problem.New(problem.Invalid, "a witness needs a name without spaces or '+' and a seed of %d bytes", mldsa.PrivateKeySize)
	}
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
	if err != nil {
		return nil, problem.Wrap(problem.Internal, err, "the ML-DSA-44 key could not be made")
	}
	sign := func(t Tree, sec uint64) []byte {
		sig, err := key.Sign(nil, subtreeMessage(name, sec, t), nil)
		if err != nil {
			panic(err) // pure ML-DSA without a context signs every message
		}
		return sig
	}
	return &Cosigner{name: name, alg: algMLDSA44, public: key.PublicKey().Bytes(), sign: sign}, nil
}

// mldsaSeedInfo separates the ML-DSA-44 seed from all else that is made of a witness's seed.
const mldsaSeedInfo = "arca/v1/witness/ml-dsa-44"

// NewCosigners gives both keys of a witness that holds one Ed25519 key: that
// key, and an ML-DSA-44 key whose seed is HKDF-SHA-256 of the Ed25519 seed. Who
// finds the Ed25519 private scalar from its public key still has only a hash of
// the seed, so the second key stands when the first has fallen.
func NewCosigners(name string, key ed25519.PrivateKey) ([]*Cosigner, error) {
	classic, err := NewCosigner(name, key)
	if err != nil {
		return nil, err
	}
	seed, err := hkdf.Key(sha256.New, key.Seed(), nil, mldsaSeedInfo, mldsa.PrivateKeySize)
	if err != nil {
		return nil, problem.Wrap(problem.Internal, err, "the ML-DSA-44 seed could not be made")
	}
	later, err := NewMLDSACosigner(name, seed)
	if err != nil {
		return nil, err
	}
	return []*Cosigner{classic, later}, nil
}

// VerifierKey gives the public key as a Policy lists it.
func (c *Cosigner) VerifierKey() string { return verifierKey(c.name, c.alg, c.public) }

// Cosign signs a checkpoint's text at a time (C2SP tlog-cosignature). The caller
// has verified the tree's consistency and stored it durably: after this the
// statement exists.
func (c *Cosigner) Cosign(t Tree, at time.Time) Cosignature {
	sec := uint64(at.Unix())
	sig := binary.BigEndian.AppendUint32(nil, keyHash(c.name, c.alg, c.public))
	sig = binary.BigEndian.AppendUint64(sig, sec)
	sig = append(sig, c.sign(t, sec)...)
	return Cosignature{Name: c.name, Time: time.Unix(int64(sec), 0).UTC(), Line: signatureLine(c.name, sig)}
}

// String keeps the key out of logs.
func (c *Cosigner) String() string { return "ledger.Cosigner(" + c.name + ")" }

// GoString is String.
func (c *Cosigner) GoString() string { return c.String() }

// cosigned is what an Ed25519 cosignature signs.
func cosigned(sec uint64, text string) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", sec, text)
}

// subtreeMessage is what an ML-DSA-44 cosignature of a checkpoint signs: the
// structure cosigned_message with the subtree from 0 to the tree's size. Names
// and origins have at most 255 bytes (maxName), so that one byte tells each length.
func subtreeMessage(cosigner string, sec uint64, t Tree) []byte {
	out := append([]byte("subtree/v1\n\x00"), byte(len(cosigner)))
	out = append(out, cosigner...)
	out = binary.BigEndian.AppendUint64(out, sec)
	out = append(append(out, byte(len(t.Origin))), t.Origin...)
	out = binary.BigEndian.AppendUint64(out, 0)
	out = binary.BigEndian.AppendUint64(out, uint64(t.Size))
	return append(out, t.Root[:]...)
}

// Of an ML-DSA-44 public key (FIPS 204): a seed of 32 bytes and t1, 4 polynomials of
// 256 coefficients of 10 bits, each of which stands for itself times 2¹³ modulo q.
const (
	mldsaSeed   = 32
	mldsaWidth  = 10
	mldsaPoly   = 256 * mldsaWidth / 8
	mldsaModulo = 8380417
	mldsaLarge  = 1 << 19 // absolute value that seven of eight coefficients of an honest key exceed
)

// weakMLDSA says whether t1 is so small, counted around 0 modulo q, that what a signature is
// held against does not depend on it: with t1 all zeros or all ones the all-zero vector
// signs everything. Each polynomial of an honest key has about 224 large
// coefficients of 256; fewer than 128 do not come by chance.
func weakMLDSA(key []byte) bool {
	for t1 := key[mldsaSeed:]; len(t1) > 0; t1 = t1[mldsaPoly:] {
		large := 0
		for i := range 256 {
			bit := i * mldsaWidth
			c := int(binary.LittleEndian.Uint16(t1[bit/8:])) >> (bit % 8) & (1<<mldsaWidth - 1)
			v := c << 13
			if v > mldsaModulo/2 {
				v = mldsaModulo - v
			}
			if v > mldsaLarge {
				large++
			}
		}
		if large < 128 {
			return true
		}
	}
	return false
}
