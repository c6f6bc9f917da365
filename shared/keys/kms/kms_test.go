package kms

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/keys/keystest"
	"arca.example/arca/shared/problem"
	"github.com/aws/aws-sdk-go-v2/aws"
)

// standIn speaks the KMS JSON protocol for the six calls that this package
// makes. Ciphertexts are real AES-GCM with the encryption context as AAD, and
// states, origins and the rule on re-imported material follow the API reference.
type standIn struct {
	t  *testing.T
	mu sync.Mutex

	keys     map[string]*standInKey // by key id
	token    string                 // of the last GetParametersForImport
	calls    []string               // operations, in order
	contexts []map[string]string
	fail     func(op string) string // an error code to answer instead
	lax      bool                   // the weakened twin: ignores the encryption context
}

type standInKey struct {
	ID, Origin, State, Spec string
	material                []byte
	first                   [32]byte // hash of the first material ever imported
	imported                bool
}

const account = "arn:aws:kms:eu-south-2:000000000000:key/"

var wrappingKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		panic(err)
	}
	return k
})

func newStandIn(t *testing.T, ids ...string) *standIn {
	s := &standIn{t: t, keys: map[string]*standInKey{}}
	for _, id := range ids {
		s.keys[id] = &standInKey{ID: id, Origin: "EXTERNAL", State: "PendingImport", Spec: "SYMMETRIC_DEFAULT"}
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

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	s.calls = append(s.calls, op)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	out, code := s.serve(op, in)
	if s.fail != nil {
		if c := s.fail(op); c != "" {
			code = c
		}
	}
	if code != "" {
		w.WriteHeader(http.StatusBadRequest)
		out = map[string]any{"__type": code, "message": "stand-in"}
	}
	json.NewEncoder(w).Encode(out)
}

func (s *standIn) serve(op string, in call) (map[string]any, string) {
	k := s.keys[strings.TrimPrefix(in.KeyId, account)]
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
		s.contexts = append(s.contexts, in.EncryptionContext)
		return s.crypt(op, k, in)
	}
	s.t.Errorf("unexpected operation %s", op)
	return nil, "UnknownOperationException"
}

func (s *standIn) material(op string, k *standInKey, in call) (map[string]any, string) {
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
		k.material, k.first, k.imported, k.State = m, sha256.Sum256(m), true, "Enabled"
	case "DeleteImportedKeyMaterial":
		k.material, k.State = nil, "PendingImport"
	}
	return map[string]any{"KeyId": account + k.ID}, ""
}

func (s *standIn) crypt(op string, k *standInKey, in call) (map[string]any, string) {
	aad, err := json.Marshal(in.EncryptionContext) // sorted, so one form
	if err != nil || s.lax {
		aad = nil
	}
	block, err := aes.NewCipher(k.material)
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

func (s *standIn) roots(t *testing.T, names map[string]string) *Roots {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return rootsAt(t, server, names)
}

func rootsAt(t *testing.T, server *httptest.Server, names map[string]string) *Roots {
	t.Helper()
	r, err := New(Config{Region: "eu-south-2", Endpoint: server.URL, HTTP: server.Client(), Keys: names, Retries: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "fiction", SecretAccessKey: "fiction"}, nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var names = map[string]string{"base": "id-base", "ring-1": "id-ring-1", "ring-2": "id-ring-2"}

func TestKMSKeepsTheContractOfRoots(t *testing.T) {
	servers := map[keys.Roots]*httptest.Server{}
	keystest.Run(t, keystest.Place{
		Fresh: func(t *testing.T) keys.Roots {
			server := httptest.NewServer(newStandIn(t, "id-base", "id-ring-1", "id-ring-2"))
			t.Cleanup(server.Close)
			r := rootsAt(t, server, names)
			servers[r] = server
			return r
		},
		Again: func(t *testing.T, r keys.Roots) keys.Roots { return rootsAt(t, servers[r], names) },
	})
}

func wantKind(t *testing.T, what string, err error, kind problem.Kind) {
	t.Helper()
	if err == nil || problem.KindOf(err) != kind {
		t.Errorf("%s: %v, want %s", what, err, kind)
	}
}

func TestTheContextCarriesAHashAndNotTheAAD(t *testing.T) {
	s := newStandIn(t, "id-base")
	r := s.roots(t, map[string]string{"base": "id-base"})
	root, err := r.Create(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Wrap(t.Context(), []byte("page 7"), []byte("seed")); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(s.contexts)
	// SHA-256 of "page 7", computed outside this program.
	if want := "[map[arca-aad:biwelu4+S/5dIBz2mXo55TTodTIMyRT7Ai/OIl7AoGc= arca-root:base]]"; got != want {
		t.Errorf("context %s, want %s", got, want)
	}
}

// The weakened twin: against a service that ignores the context the suite's
// check on foreign aad must fail, so the binding rests on the context alone.
func TestWithoutTheContextAForeignAADWouldOpen(t *testing.T) {
	s := newStandIn(t, "id-base")
	s.lax = true
	root, err := s.roots(t, map[string]string{"base": "id-base"}).Create(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	w, err := root.Wrap(t.Context(), []byte("page 7"), []byte("seed"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Unwrap(t.Context(), []byte("page 8"), w); err != nil {
		t.Errorf("the twin refuses too (%v), so the suite does not test the context", err)
	}
}

func TestCreatingADestroyedGenerationAgainIsGone(t *testing.T) {
	s := newStandIn(t, "id-ring-1")
	r := s.roots(t, map[string]string{"ring-1": "id-ring-1"})
	if _, err := r.Create(t.Context(), "ring-1"); err != nil {
		t.Fatal(err)
	}
	if err := r.Destroy(t.Context(), "ring-1"); err != nil {
		t.Fatal(err)
	}
	_, err := r.Create(t.Context(), "ring-1")
	wantKind(t, "create again", err, problem.Gone)
}

func TestAKeyThatKMSMadeIsOpenedButNotDestroyed(t *testing.T) {
	s := newStandIn(t, "id-base")
	*s.keys["id-base"] = standInKey{ID: "id-base", Origin: "AWS_KMS", State: "Enabled", Spec: "SYMMETRIC_DEFAULT", material: make([]byte, 32)}
	r := s.roots(t, map[string]string{"base": "id-base"})
	root, err := r.Open(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Wrap(t.Context(), nil, []byte("seed")); err != nil {
		t.Error(err)
	}
	wantKind(t, "destroy", r.Destroy(t.Context(), "base"), problem.Invalid)
	if slices.Contains(s.calls, "DeleteImportedKeyMaterial") {
		t.Error("the deletion was tried all the same")
	}
}

func TestStatesAndErrorsOfKMSGetAKind(t *testing.T) {
	for state, kind := range map[string]problem.Kind{"PendingDeletion": problem.NotFound, "Disabled": problem.Unavailable, "Unavailable": problem.Unavailable} {
		s := newStandIn(t, "id-base")
		s.keys["id-base"].State = state
		r := s.roots(t, map[string]string{"base": "id-base"})
		_, err := r.Open(t.Context(), "base")
		wantKind(t, "open of a key that is "+state, err, kind)
		_, err = r.Create(t.Context(), "base")
		wantKind(t, "create of a key that is "+state, err, problem.Conflict)
	}
	for code, kind := range map[string]problem.Kind{
		"AccessDeniedException": problem.Denied, "NotFoundException": problem.NotFound, "ThrottlingException": problem.Unavailable,
		"KMSInternalException": problem.Unavailable, "DependencyTimeoutException": problem.Unavailable, "SomethingNew": problem.Unavailable,
	} {
		s := newStandIn(t, "id-base")
		r := s.roots(t, map[string]string{"base": "id-base"})
		root, err := r.Create(t.Context(), "base")
		if err != nil {
			t.Fatal(err)
		}
		s.fail = func(string) string { return code }
		_, err = root.Wrap(t.Context(), nil, []byte("x"))
		wantKind(t, code+" on wrap", err, kind)
		_, err = r.Open(t.Context(), "base")
		wantKind(t, code+" on open", err, kind)
		if kind == problem.Unavailable {
			wantKind(t, code+" on destroy", r.Destroy(t.Context(), "base"), kind)
		}
	}
}

// Failed-but-landed: the import happened, the answer was lost. The caller reads
// and finds the root; creating again is refused.
func TestAnImportWhoseAnswerWasLostHasLanded(t *testing.T) {
	s := newStandIn(t, "id-ring-1")
	r := s.roots(t, map[string]string{"ring-1": "id-ring-1"})
	s.fail = func(op string) string {
		if op == "ImportKeyMaterial" {
			return "DependencyTimeoutException"
		}
		return ""
	}
	_, err := r.Create(t.Context(), "ring-1")
	wantKind(t, "create", err, problem.Unavailable)
	s.fail = nil
	if _, err := r.Open(t.Context(), "ring-1"); err != nil {
		t.Errorf("open after the lost answer: %v", err)
	}
	_, err = r.Create(t.Context(), "ring-1")
	wantKind(t, "create again", err, problem.Conflict)
}

func TestTheClientIsBuiltAtTheFirstCall(t *testing.T) {
	s := newStandIn(t, "id-base")
	r := s.roots(t, map[string]string{"base": "id-base"})
	if len(s.calls) != 0 {
		t.Errorf("New called %v", s.calls)
	}
	if _, err := r.Create(t.Context(), "base"); err != nil {
		t.Fatal(err)
	}
	want := []string{"DescribeKey", "GetParametersForImport", "ImportKeyMaterial", "DescribeKey"}
	if !slices.Equal(s.calls, want) {
		t.Errorf("calls %v, want %v", s.calls, want)
	}
}

func TestAnIncompleteConfigurationIsRefused(t *testing.T) {
	credentials := aws.AnonymousCredentials{}
	for name, c := range map[string]Config{
		"no region":           {Credentials: credentials, Keys: map[string]string{"base": "id"}},
		"no credentials":      {Region: "eu-south-2", Keys: map[string]string{"base": "id"}},
		"no keys":             {Region: "eu-south-2", Credentials: credentials},
		"an empty id":         {Region: "eu-south-2", Credentials: credentials, Keys: map[string]string{"base": ""}},
		"an alias":            {Region: "eu-south-2", Credentials: credentials, Keys: map[string]string{"base": "alias/base"}},
		"a wrong name":        {Region: "eu-south-2", Credentials: credentials, Keys: map[string]string{"Base": "id"}},
		"one id for two keys": {Region: "eu-south-2", Credentials: credentials, Keys: map[string]string{"base": "id", "ring-1": "id"}},
	} {
		_, err := New(c)
		wantKind(t, name, err, problem.Invalid)
	}
}

func TestAnAsymmetricKeyIsRefused(t *testing.T) {
	s := newStandIn(t, "id-base")
	s.keys["id-base"].Spec = "RSA_2048"
	_, err := s.roots(t, map[string]string{"base": "id-base"}).Open(t.Context(), "base")
	wantKind(t, "open", err, problem.Invalid)
}
