package record

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing"
	"time"
)

// weak are the encodings of the points of small order: under such a key signatures can be made without any secret.
var weak = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func points() (list [][]byte) {
	for _, text := range weak {
		p, _ := hex.DecodeString(text)
		list = append(list, p)
		p = append([]byte(nil), p...)
		p[31] |= 0x80
		list = append(list, p)
	}
	return list
}

// forge finds a signature that verifies under a weak key, trying points of small order as R with S = 0.
func forge(key ed25519.PublicKey, message []byte) []byte {
	for _, r := range points() {
		if sig := append(append([]byte(nil), r...), make([]byte, 32)...); ed25519.Verify(key, message, sig) {
			return sig
		}
	}
	return nil
}

// Somebody has a key enrolled under which anybody can sign. Then nobody can be held to what was signed with it, and anybody can ask in
// that person's name. Such keys are no keys.
func TestNoKeyUnderWhichAnybodyCanSign(t *testing.T) {
	forged := 0
	for _, p := range points() {
		key := ed25519.PublicKey(p)
		// That the point is weak is shown, not claimed: of some messages one is forged.
		weakHere := false
		for n := range 64 {
			weakHere = weakHere || forge(key, fmt.Appendf(nil, "message %d", n)) != nil
		}
		if weakHere {
			forged++
		}
		if _, err := ParsePublicKey(prefixEd25519 + strict64.EncodeToString(p)); err == nil {
			t.Errorf("%x is taken for a key", p)
		}
		if _, err := PublicKeyOf(key); err == nil {
			t.Errorf("%x is taken for a key of the library's", p)
		}
	}
	if forged < 8 {
		t.Fatalf("only %d points are weak; the list is wrong", forged)
	}
}

// The whole attack: a request that its author never signed.
func TestAStatementIsNotForgedUnderAWeakKey(t *testing.T) {
	var key PublicKey
	if err := key.UnmarshalText([]byte(prefixEd25519 + strict64.EncodeToString(points()[2]))); err != nil {
		return // there is no such key to sign under
	}
	header, err := Marshal(header{Alg: "EdDSA", IssueAt: time.Now().Unix(), KeyID: key.ID(), Type: TypeRequest})
	if err != nil {
		t.Fatal(err)
	}
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"x":1}`))
	if _, err := Open(input+"."+base64.RawURLEncoding.EncodeToString(forge(key.Ed25519(), []byte(input))), TypeRequest, key, nil); err == nil {
		t.Fatal("a statement was forged without a key")
	}
}
