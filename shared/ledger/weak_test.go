package ledger

import (
	"crypto/ed25519"
	"testing"
	"time"
)

// A witness enters the trust file with a key under which anybody can sign: the log could then cosign for it.
func TestNoWitnessUnderWhoseKeyAnybodyCanSign(t *testing.T) {
	weak := make(ed25519.PublicKey, ed25519.PublicKeySize)
	weak[0] = 1 // the neutral point: R = A, S = 0 is a signature of every text
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, logKey, err := NewLogSigner("log.example", key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVerifier(Policy{Origin: "log.example", Log: logKey, Witnesses: []string{verifierKey("witness.example", algCosignature, weak)}, Quorum: 1})
	if err != nil {
		return // no such witness counts
	}
	tree := Tree{Origin: "log.example", Root: emptyRoot}
	signed, err := SignTree(tree, signer)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_900_000_000, 0)
	sig := append([]byte{}, byte(keyHash("witness.example", algCosignature, weak)>>24), byte(keyHash("witness.example", algCosignature, weak)>>16), byte(keyHash("witness.example", algCosignature, weak)>>8), byte(keyHash("witness.example", algCosignature, weak)))
	for shift := 56; shift >= 0; shift -= 8 {
		sig = append(sig, byte(uint64(at.Unix())>>shift))
	}
	sig = append(append(sig, weak...), make([]byte, 32)...)
	if _, err := v.Verify(append(signed, signatureLine("witness.example", sig)...)); err == nil {
		t.Fatal("a cosignature was forged without the witness")
	}
}
