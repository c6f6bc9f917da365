package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha3"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
	formatslog "github.com/transparency-dev/formats/log"
	formatsnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"arca.example/arca/shared/problem"
)

// bothKinds gives every witness of a forest its second key, and the policy both.
func bothKinds(t testing.TB, f *forest) (second []*Cosigner) {
	t.Helper()
	f.policy.Witnesses = nil
	for _, c := range f.cosigners {
		both, err := NewCosigners(c.name, testKey(c.name))
		if err != nil {
			t.Fatal(err)
		}
		f.policy.Witnesses = append(f.policy.Witnesses, both[0].VerifierKey(), both[1].VerifierKey())
		second = append(second, both[1])
	}
	return second
}

// signedBy is the forest's checkpoint, cosigned at noon.
func (f *forest) signedBy(t testing.TB, cosigners ...*Cosigner) []byte {
	signed := f.checkpoint(t)
	for _, c := range cosigners {
		signed = append(signed, c.Cosign(f.tree(), noon).Line...)
	}
	return signed
}

// TestMLDSACosignatureGolden verifies a committed checkpoint: signing is randomised, so it is not made again.
func TestMLDSACosignatureGolden(t *testing.T) {
	f := newForest(t, 2, 2)
	second := bothKinds(t, f)
	f.grow(300)
	if os.Getenv("ARCA_WRITE_GOLDEN") == "1" {
		golden(t, "checkpoint-mldsa", f.signedBy(t, f.cosigners[0], second[0], second[1]))
	}
	golden(t, "policy-mldsa.json", f.policy.Marshal())
	cp, err := os.ReadFile(filepath.Join("testdata", "checkpoint-mldsa"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.policy.Verify(cp)
	if err != nil || c.Tree != f.tree() || !c.Latest.Equal(noon) || fmt.Sprint(c.Witnesses) != "[witness-1.example witness-2.example]" {
		t.Fatalf("%+v %v", c, err)
	}
}

// TestMLDSAMessage assembles cosigned_message as C2SP tlog-cosignature writes it, with every length spelled out.
func TestMLDSAMessage(t *testing.T) {
	tree := Tree{Origin: "vault.example/log", Size: 0x0102030405060708, Root: emptyRoot}
	want := []byte("subtree/v1\n\x00" + "\x09w.example" + "\x00\x00\x00\x00\x65\x43\x21\x0f" + "\x11vault.example/log" +
		"\x00\x00\x00\x00\x00\x00\x00\x00" + "\x01\x02\x03\x04\x05\x06\x07\x08" + string(emptyRoot[:]))
	if got := subtreeMessage("w.example", 0x6543210f, tree); !bytes.Equal(got, want) {
		t.Fatalf("%q", got)
	}
}

func TestMLDSAInterop(t *testing.T) {
	f := newForest(t, 1, 1)
	second := bothKinds(t, f)
	f.grow(77)
	theirs, err := formatsnote.NewMLDSAVerifier(f.policy.Witnesses[1])
	if err != nil {
		t.Fatal(err)
	}
	logKey, err := note.NewVerifier(f.policy.Log)
	if err != nil {
		t.Fatal(err)
	}
	body, _, n, err := formatslog.ParseCheckpoint(f.signedBy(t, second[0]), origin, logKey, theirs)
	if err != nil || len(n.Sigs) != 2 || body.Size != 77 {
		t.Fatal(err)
	}
	if at, err := formatsnote.CoSigV1Timestamp(n.Sigs[1]); err != nil || !at.Equal(noon) {
		t.Fatal(at, err)
	}
	// And Arca reads what another cosigner writes.
	secret, key, err := formatsnote.GenerateMLDSAKey("else.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := formatsnote.NewSignerForCosignatureV1(secret)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: f.tree().Text()}, f.signer, signer)
	if err != nil {
		t.Fatal(err)
	}
	policy := Policy{Origin: origin, Log: f.policy.Log, Witnesses: []string{key}, Quorum: 1}
	if c, err := policy.Verify(signed); err != nil || time.Since(c.Latest) > time.Minute {
		t.Fatal(c, err)
	}
}

func TestAWitnessWithTwoKeysCountsOnce(t *testing.T) {
	f := newForest(t, 3, 2)
	second := bothKinds(t, f)
	f.grow(10)
	one := f.cosigners
	for _, c := range []struct {
		name  string
		note  []byte
		wants error
	}{
		{"one with both keys", f.signedBy(t, one[0], second[0]), ErrUnwitnessed},
		{"two, each with another kind", f.signedBy(t, one[0], second[2]), nil},
		{"two with both kinds", f.signedBy(t, one[0], second[0], one[1], second[1]), nil},
		{"two with ML-DSA-44", f.signedBy(t, second[0], second[1]), nil},
		{"kinds out of order", f.signedBy(t, second[0], one[0], one[1]), ErrAltered},
	} {
		if got, err := f.policy.Verify(c.note); c.wants == nil && err != nil || !errors.Is(err, c.wants) || err == nil && len(got.Witnesses) != 2 {
			t.Errorf("%s: %v %v", c.name, got.Witnesses, err)
		}
	}
	// The twin counts signatures, and takes one witness for a quorum.
	v, err := NewVerifier(f.policy)
	if err != nil {
		t.Fatal(err)
	}
	if _, cosigned, err := v.terms[0].read(f.signedBy(t, one[0], second[0])); err != nil || len(cosigned) < f.policy.Quorum {
		t.Fatal("counting signatures would not have been caught", err)
	}
	// A policy that names the ML-DSA-44 keys only is not met by Ed25519.
	f.policy.Witnesses = []string{second[0].VerifierKey(), second[1].VerifierKey()}
	if _, err := f.policy.Verify(f.signedBy(t, one[0], one[1])); !errors.Is(err, ErrUnknownRoots) {
		t.Error(err)
	}
	if _, err := f.policy.Verify(f.signedBy(t, second[0], second[1])); err != nil {
		t.Error(err)
	}
}

func TestTwoKindsAreAssembled(t *testing.T) {
	f := newForest(t, 3, 2)
	second := bothKinds(t, f)
	f.grow(3)
	v, err := NewVerifier(f.policy)
	if err != nil {
		t.Fatal(err)
	}
	text := f.tree().Text()
	far := noon.Add(time.Hour)
	var cosigned []Cosignature
	for _, lines := range []string{
		second[2].Cosign(f.tree(), noon).Line + f.cosigners[2].Cosign(f.tree(), noon).Line,
		f.cosigners[0].Cosign(f.tree(), noon).Line,
		f.cosigners[1].Cosign(f.tree(), far).Line + second[1].Cosign(f.tree(), far).Line, // more lines, fewer witnesses
	} {
		got, err := v.Cosignatures(text, lines)
		if err != nil {
			t.Fatal(err)
		}
		cosigned = append(cosigned, got...)
	}
	_, c, err := v.Assemble(f.checkpoint(t), cosigned)
	if err != nil || fmt.Sprint(c.Witnesses) != "[witness-1.example witness-3.example]" {
		t.Fatal(c.Witnesses, err)
	}
	two := f.cosigners[0].Cosign(f.tree(), noon).Line + f.cosigners[1].Cosign(f.tree(), noon).Line
	if _, err := v.Cosignatures(text, two); !errors.Is(err, ErrAltered) {
		t.Error("two witnesses in one answer:", err)
	}
}

func TestFlipsOfMLDSACosignatures(t *testing.T) {
	f := newForest(t, 1, 1)
	second := bothKinds(t, f)
	f.grow(10)
	cp := f.signedBy(t, second[0])
	v, err := NewVerifier(f.policy)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cp {
		mutant := bytes.Clone(cp)
		mutant[i] ^= 1 << (i % 8)
		if _, err := v.Verify(mutant); err == nil {
			t.Fatalf("byte %d flipped is accepted", i)
		}
	}
	for _, mutant := range [][]byte{cp[:len(cp)-1], cp[:len(cp)-5], append(bytes.Clone(cp), '\n')} {
		if _, err := v.Verify(mutant); err == nil {
			t.Error("a wrong length is accepted")
		}
	}
}

// forgeMLDSA signs without a key what a public key with a vanishing t1 is held against: the zero vector as response, no hints.
func forgeMLDSA(public, message []byte) []byte {
	tr := sha3.SumSHAKE256(public, 64)
	mu := sha3.SumSHAKE256(slices.Concat(tr, []byte{0, 0}, message), 64)
	sig := sha3.SumSHAKE256(append(mu, make([]byte, 4*256*6/8)...), 32) // w1 is zero: 6 bits each
	z := make([]byte, 4*256*18/8)                                       // γ1 - 0 = 2¹⁷ in 18 bits each
	for i := range 4 * 256 {
		bit := i*18 + 17
		z[bit/8] |= 1 << (bit % 8)
	}
	return slices.Concat(sig, z, make([]byte, 80+4))
}

// TestKeysUnderWhichAnybodySigns: the library verifies such forgeries, a policy does not name the keys.
func TestKeysUnderWhichAnybodySigns(t *testing.T) {
	f := newForest(t, 1, 1)
	f.grow(5)
	good, err := NewMLDSACosigner("witness-1.example", make([]byte, mldsa.PrivateKeySize))
	if err != nil {
		t.Fatal(err)
	}
	if weakMLDSA(good.public) {
		t.Fatal("an honest key is called weak")
	}
	for name, fill := range map[string]byte{"zeros": 0, "ones": 0xff} {
		public := append(bytes.Clone(good.public[:mldsaSeed]), bytes.Repeat([]byte{fill}, mldsa.MLDSA44PublicKeySize-mldsaSeed)...)
		vkey := verifierKey("witness-1.example", algMLDSA44, public)
		sec := uint64(noon.Unix())
		raw := binary.BigEndian.AppendUint32(nil, keyHash("witness-1.example", algMLDSA44, public))
		raw = append(binary.BigEndian.AppendUint64(raw, sec), forgeMLDSA(public, subtreeMessage("witness-1.example", sec, f.tree()))...)
		v, err := formatsnote.NewVerifierForCosignatureV1(vkey)
		if err != nil {
			t.Fatal(err)
		}
		signed := f.tree().Text() + "\n" + signatureLine("witness-1.example", raw)
		if _, err := note.Open([]byte(signed), note.VerifierList(v)); err != nil {
			t.Fatalf("%s: the forgery shows nothing, the library refuses it: %v", name, err)
		}
		p := Policy{Origin: origin, Log: f.policy.Log, Witnesses: []string{vkey}, Quorum: 1}
		if _, err := NewVerifier(p); problem.KindOf(err) != problem.Invalid || err == nil {
			t.Errorf("%s: a policy names a key under which anybody signs: %v", name, err)
		}
	}
	for i := range 50 {
		c, err := NewMLDSACosigner("w.example", bytes.Repeat([]byte{byte(i + 1)}, mldsa.PrivateKeySize))
		if err != nil || weakMLDSA(c.public) {
			t.Fatal("an honest key is called weak", err)
		}
	}
}

func TestBadMLDSAPolicies(t *testing.T) {
	f := newForest(t, 2, 2)
	second := bothKinds(t, f)
	if _, err := ParsePolicy(f.policy.Marshal()); err != nil {
		t.Fatal(err)
	}
	keysOf := func(name string, n int) (keys []string) {
		for i := range n {
			c, err := NewMLDSACosigner(name, bytes.Repeat([]byte{byte(i + 1)}, 32))
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, c.VerifierKey())
		}
		return keys
	}
	many := func(n int) (keys []string) {
		for i := range n {
			keys = append(keys, keysOf(fmt.Sprintf("witness-%d.example", i+1), i+1)[i])
		}
		return keys
	}
	other := verifierKey("witness-9.example", algMLDSA44, second[0].public)
	for name, change := range map[string]func(*Policy){
		"quorum of keys":          func(p *Policy) { p.Quorum = 3 },
		"one key under two names": func(p *Policy) { p.Witnesses = append(slices.Clone(p.Witnesses), other) },
		"five keys of one":        func(p *Policy) { p.Witnesses, p.Quorum = keysOf("w.example", 5), 1 },
		"more than a note holds":  func(p *Policy) { p.Witnesses = many(20) },
		"a short key":             func(p *Policy) { p.Witnesses[0] = verifierKey("w.example", algMLDSA44, second[0].public[1:]) },
		"an Ed25519 key as another kind": func(p *Policy) {
			p.Witnesses[0] = verifierKey("w.example", algMLDSA44, testKey("w").Public().(ed25519.PublicKey))
		},
		"the log's kind": func(p *Policy) { p.Log = verifierKey(origin, algMLDSA44, second[0].public) },
	} {
		p := f.policy
		p.Witnesses = slices.Clone(p.Witnesses)
		change(&p)
		if _, err := NewVerifier(p); problem.KindOf(err) != problem.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := Policy{Origin: origin, Log: f.policy.Log, Witnesses: many(18), Quorum: 18}
	if _, err := NewVerifier(p); err != nil {
		t.Error("18 ML-DSA-44 witnesses:", err)
	}
	if names := f.policy.Names(); strings.Join(names, " ") != "witness-1.example witness-2.example" || len(f.policy.KeysOf(names[1])) != 2 {
		t.Error(names)
	}
}
