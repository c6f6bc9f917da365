// Package kmstest is a stand-in for AWS KMS: an HTTP server in the test's process
// that speaks the service's protocol for the six calls that package kms makes,
// and accuses every other one and every parameter that it does not model.
//
// It is for tests; nothing that keeps anything imports it.
package kmstest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// StandIn speaks the KMS JSON protocol for the six calls that this package
// makes. Ciphertexts are real AES-GCM with the encryption context as AAD, and
// states, origins and the rule on re-imported material follow the API reference.
type StandIn struct {
	t  testing.TB
	mu sync.Mutex

	Keys     map[string]*Key // by key id
	token    string          // of the last GetParametersForImport
	Calls    []string        // operations, in order
	Contexts []map[string]string
	Fail     func(op string) string // an error code to answer instead
	Lax      bool                   // the weakened twin: ignores the encryption context
}

// Key is one KMS key.
type Key struct {
	ID, Origin, State, Spec string
	Material                []byte
	first                   [32]byte // hash of the first material ever imported
	imported                bool
}

// account is where the ARN of a key begins; a KeyId may be the ARN or what follows.
const account = "arn:aws:kms:eu-south-2:000000000000:key/"

var wrappingKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		panic(err)
	}
	return k
})

// New makes a service that holds keys of origin EXTERNAL without material, as the template makes ring roots.
func New(t testing.TB, ids ...string) *StandIn {
	s := &StandIn{t: t, Keys: map[string]*Key{}}
	for _, id := range ids {
		s.Keys[id] = &Key{ID: id, Origin: "EXTERNAL", State: "PendingImport", Spec: "SYMMETRIC_DEFAULT"}
	}
	return s
}

type call struct {
	KeyId                string
	Plaintext            []byte
	CiphertextBlob       []byte
	EncryptionContext    map[string]string
	ImportToken          []byte
	EncryptedKeyMaterial []byte
	WrappingAlgorithm    string
	WrappingKeySpec      string
	ExpirationModel      string
}

// ServeHTTP answers one call.
func (s *StandIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	if !ok || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		s.t.Errorf("not a signed KMS call: %v", r.Header)
	}
	var in call
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields() // a parameter that this server does not model must not pass unseen
	if err := d.Decode(&in); err != nil {
		s.t.Errorf("%s: %v", op, err)
	}
	s.Calls = append(s.Calls, op)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	out, code := s.serve(op, in)
	if s.Fail != nil {
		if c := s.Fail(op); c != "" {
			code = c
		}
	}
	if code != "" {
		w.WriteHeader(http.StatusBadRequest)
		out = map[string]any{"__type": code, "message": "stand-in"}
	}
	json.NewEncoder(w).Encode(out)
}

func (s *StandIn) serve(op string, in call) (map[string]any, string) {
	k := s.Keys[strings.TrimPrefix(in.KeyId, account)]
	if k == nil {
		return nil, "NotFoundException"
	}
	switch op {
	case "DescribeKey":
		return map[string]any{"KeyMetadata": map[string]any{"KeyId": k.ID, "Arn": account + k.ID, "Origin": k.Origin, "KeyState": k.State,
			"KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": k.Spec, "Enabled": k.State == "Enabled"}}, ""
	case "GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial":
		if k.Origin != "EXTERNAL" {
			return nil, "UnsupportedOperationException"
		}
		return s.material(op, k, in)
	case "Encrypt", "Decrypt":
		if k.State != "Enabled" {
			return nil, "KMSInvalidStateException"
		}
		s.Contexts = append(s.Contexts, in.EncryptionContext)
		return s.crypt(op, k, in)
	}
	s.t.Errorf("unexpected operation %s", op)
	return nil, "UnknownOperationException"
}

func (s *StandIn) material(op string, k *Key, in call) (map[string]any, string) {
	switch op {
	case "GetParametersForImport":
		if in.WrappingAlgorithm != "RSAES_OAEP_SHA_256" || in.WrappingKeySpec != "RSA_4096" {
			return nil, "ValidationException"
		}
		public, err := x509.MarshalPKIXPublicKey(&wrappingKey().PublicKey)
		if err != nil {
			s.t.Error(err)
		}
		s.token = rand.Text()
		return map[string]any{"KeyId": account + k.ID, "ImportToken": []byte(s.token), "PublicKey": public, "ParametersValidTo": 1795341600}, ""
	case "ImportKeyMaterial":
		if string(in.ImportToken) != s.token || s.token == "" {
			return nil, "InvalidImportTokenException"
		}
		m, err := rsa.DecryptOAEP(sha256.New(), rand.Reader, wrappingKey(), in.EncryptedKeyMaterial, nil)
		if err != nil || len(m) != 32 || in.ExpirationModel != "KEY_MATERIAL_DOES_NOT_EXPIRE" {
			return nil, "InvalidCiphertextException"
		}
		if k.imported && sha256.Sum256(m) != k.first {
			return nil, "IncorrectKeyMaterialException"
		}
		k.Material, k.first, k.imported, k.State = m, sha256.Sum256(m), true, "Enabled"
	case "DeleteImportedKeyMaterial":
		k.Material, k.State = nil, "PendingImport"
	}
	return map[string]any{"KeyId": account + k.ID}, ""
}

func (s *StandIn) crypt(op string, k *Key, in call) (map[string]any, string) {
	aad, err := json.Marshal(in.EncryptionContext) // sorted, so one form
	if err != nil || s.Lax {
		aad = nil
	}
	block, err := aes.NewCipher(k.Material)
	if err != nil {
		s.t.Error(err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		s.t.Error(err)
	}
	head := sha256.Sum256([]byte(k.ID)) // like KMS, a blob names its key
	if op == "Encrypt" {
		if len(in.Plaintext) == 0 || len(in.Plaintext) > 4096 {
			return nil, "ValidationException"
		}
		return map[string]any{"KeyId": account + k.ID, "CiphertextBlob": gcm.Seal(slices.Clone(head[:]), nil, in.Plaintext, aad)}, ""
	}
	body, ok := bytes.CutPrefix(in.CiphertextBlob, head[:])
	if !ok {
		return nil, "IncorrectKeyException"
	}
	plain, err := gcm.Open(nil, nil, body, aad)
	if err != nil {
		return nil, "InvalidCiphertextException"
	}
	return map[string]any{"KeyId": account + k.ID, "Plaintext": plain}, ""
}
