package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"

	"arca.example/arca/shared/problem"
)

// A report's content is AES-256-GCM under
//
//	HKDF-SHA-256(share of the court ‖ share of the custodian, salt = SHA-256 of the order's first member, info = "arca/v1/report-key")
//
// with a zero nonce and AAD lp("arca/v1/report") lp(order) lp(author's key id). The shares are 32 random bytes each; the key seals once.

// Share is one keyholder's part of a report's key.
type Share [32]byte

// String keeps the share out of logs.
func (Share) String() string { return "seal.Share" }

// GoString is String.
func (s Share) GoString() string { return s.String() }

// SealReport seals the content of a report on an order by an author under two fresh shares.
func SealReport(order [32]byte, author string, content []byte) (sealed []byte, court, custodian Share) {
	_, _ = rand.Read(court[:]) // crypto/rand does not fail
	_, _ = rand.Read(custodian[:])
	return reportCipher(order, court, custodian).Seal(nil, make([]byte, 12), content, reportAAD(order, author)), court, custodian
}

// OpenReport opens it. Errors: problem.Denied.
func OpenReport(order [32]byte, author string, sealed []byte, court, custodian Share) ([]byte, error) {
	content, err := reportCipher(order, court, custodian).Open(nil, make([]byte, 12), sealed, reportAAD(order, author))
	if err != nil {
		return nil, problem.Wrap(problem.Denied, err, "the report's content does not open with the two shares; it or one of them was altered")
	}
	return content, nil
}

func reportCipher(order [32]byte, court, custodian Share) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, append(court[:], custodian[:]...), order[:], "arca/v1/report-key", 32)
	if err != nil {
		panic(err) // 32 bytes are within what HKDF gives
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has its length
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func reportAAD(order [32]byte, author string) []byte {
	return lp(lp(lp(nil, []byte("arca/v1/report")), order[:]), []byte(author))
}
