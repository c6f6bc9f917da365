package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

// FailBefore makes f call step before each step of a replacement.
func FailBefore(f *File, step func(string) error) { f.step = step }

// RootForTest is a software root with a known key.
func RootForTest(id string, key []byte) Root { return newSoftRoot(id, key) }

// SealForTest lays out a wrapped value on its own, from the package comment.
func SealForTest(key, nonce []byte, aad, plain string) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm.Seal(append([]byte{1}, nonce...), nonce, []byte(plain), BoundAAD([]byte(aad)))
}

// ReencodeForTest parses a key file's plaintext and encodes it again.
func ReencodeForTest(b []byte) ([]byte, error) {
	roots, err := parseBody(b)
	if err != nil {
		return nil, err
	}
	return encodeBody(roots)
}

// FillForTest puts n roots into f's memory.
func FillForTest(f *File, n int) {
	for i := range n {
		name := fmt.Sprintf("ring-%d", 1000000+i)
		f.roots[name] = newSoftRoot(name+"@0011223344556677", make([]byte, rootBytes))
	}
}
