// Package kms keeps root keys in AWS KMS.
//
// It promises the contract of package keys: each root is one symmetric KMS key
// that configuration names by key id or ARN, the key never leaves KMS, and the
// associated data is bound through KMS's encryption context. It trusts KMS and
// the IAM policies that decide who may call it. Network and service failures
// are problem.Unavailable; the SDK retries throttling itself.
//
// It was built against the documented API and tested against a server
// (kmstest) that speaks the same protocol and does real AES-GCM. It was
// not run against AWS.
//
// The encryption context is
//
//	{"arca-aad": base64(SHA-256(aad)), "arca-root": name}
//
// KMS writes the context to CloudTrail in clear. So it carries a hash: aad of
// the ring are page numbers and ids, not names, but nobody should depend on it.
//
// Creation and destruction. KMS has no call by which a function could destroy a
// key now: a key whose material KMS made can only be scheduled for deletion in
// 7 to 30 days. A root that must be destroyable is therefore a key of origin
// EXTERNAL without material: Create draws 32 random bytes, imports them under
// KMS's one-time RSA key, forgets them, and Destroy deletes the imported
// material, after which the key is useless, for KMS takes only the same bytes
// back and nobody has them. A generation's name therefore needs a fresh key in
// the configuration, and Create after Destroy is Gone. A root that never dies
// ("base") may have any origin; Destroy refuses it.
//
// Rights used: kms:Encrypt, Decrypt, DescribeKey; for generations also
// GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial.
package kms

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// Config says which keys are roots. Region and Credentials are required;
// Endpoint is empty for AWS itself.
type Config struct {
	Region      string
	Endpoint    string // base URL of another KMS endpoint, as a VPC endpoint
	Credentials aws.CredentialsProvider
	HTTP        *http.Client      // nil: the SDK's default
	Keys        map[string]string // root name → key id or ARN (not an alias: an alias can be moved to another key)
	Retries     int               // attempts per call, 0: the SDK's default of 3

	APIOptions []func(*middleware.Stack) error // fault injection and recording, in tests
}

// Roots are the configured keys. Its client is built at the first call, so that
// a function that needs no root pays nothing.
type Roots struct {
	keys   map[string]string
	client func() *awskms.Client
}

var _ keys.Roots = (*Roots)(nil)

// New checks the configuration and contacts nobody.
func New(c Config) (*Roots, error) {
	if c.Region == "" || c.Credentials == nil || len(c.Keys) == 0 {
		return nil, problem.New(problem.Invalid, "AWS KMS roots need a region, credentials and at least one name=key-id; set them in the configuration")
	}
	seen := map[string]bool{}
	names := map[string]string{}
	for name, id := range c.Keys {
		if err := keys.CheckName(name); err != nil {
			return nil, err
		}
		if id == "" || len(id) > 2048 || seen[id] || strings.Contains(id, "alias/") {
			return nil, problem.New(problem.Invalid, "each root name needs a KMS key id or ARN of its own, not an alias")
		}
		seen[id], names[name] = true, id
	}
	options := awskms.Options{Region: c.Region, Credentials: c.Credentials, RetryMaxAttempts: c.Retries, APIOptions: c.APIOptions}
	if c.Endpoint != "" {
		options.BaseEndpoint = aws.String(c.Endpoint)
	}
	if c.HTTP != nil {
		options.HTTPClient = c.HTTP
	}
	return &Roots{keys: names, client: sync.OnceValue(func() *awskms.Client { return awskms.New(options) })}, nil
}

// Open asks KMS whether the key is usable: enabled, symmetric, with material.
func (r *Roots) Open(ctx context.Context, name string) (keys.Root, error) {
	id, err := r.keyID(name)
	if err != nil {
		return nil, err
	}
	meta, err := r.describe(ctx, id)
	if err != nil {
		return nil, err
	}
	switch meta.KeyState {
	case types.KeyStateEnabled:
		return &root{name: name, key: aws.ToString(meta.Arn), client: r.client}, nil
	case types.KeyStatePendingImport, types.KeyStatePendingDeletion:
		return nil, keys.ErrAbsent()
	}
	return nil, problem.Wrap(problem.Unavailable, errors.New(string(meta.KeyState)), "the KMS key of this root is not usable now; look at its state in KMS")
}

// Create imports fresh material into the configured key of origin EXTERNAL.
func (r *Roots) Create(ctx context.Context, name string) (keys.Root, error) {
	id, err := r.keyID(name)
	if err != nil {
		return nil, err
	}
	meta, err := r.describe(ctx, id)
	if err != nil {
		return nil, err
	}
	if meta.KeyState != types.KeyStatePendingImport {
		return nil, keys.ErrTaken() // also disabled or scheduled for deletion: the name is used up
	}
	if err := r.importMaterial(ctx, id); err != nil {
		return nil, err
	}
	return r.Open(ctx, name) // the import is the commit point; this only reads it back
}

func (r *Roots) importMaterial(ctx context.Context, id string) error {
	params, err := r.client().GetParametersForImport(ctx, &awskms.GetParametersForImportInput{
		KeyId: &id, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: types.WrappingKeySpecRsa4096})
	if err != nil {
		return translate(err)
	}
	public, err := x509.ParsePKIXPublicKey(params.PublicKey)
	wrapping, ok := public.(*rsa.PublicKey)
	if err != nil || !ok || wrapping.Size() < 384 {
		return problem.Wrap(problem.Unavailable, err, "KMS gave no usable wrapping key; try again")
	}
	material := make([]byte, 32)
	rand.Read(material) // never fails: the runtime stops the process instead
	defer clear(material)
	encrypted, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, wrapping, material, nil)
	if err != nil {
		return fmt.Errorf("wrap key material: %w", err)
	}
	_, err = r.client().ImportKeyMaterial(ctx, &awskms.ImportKeyMaterialInput{
		KeyId: &id, ImportToken: params.ImportToken, EncryptedKeyMaterial: encrypted,
		ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire})
	if _, other := errors.AsType[*types.IncorrectKeyMaterialException](err); other {
		// The key had other material before: ours is not taken, now or ever.
		if meta, err := r.describe(ctx, id); err == nil && meta.KeyState == types.KeyStateEnabled {
			return keys.ErrTaken() // another process was faster
		}
		return problem.Wrap(problem.Gone, err, "this root key was destroyed and KMS takes no other material for it; configure a fresh key under the next generation's name")
	}
	return translate(err)
}

// Destroy deletes the imported material and looks whether KMS did.
func (r *Roots) Destroy(ctx context.Context, name string) error {
	id, err := r.keyID(name)
	if err != nil {
		return err
	}
	meta, err := r.describe(ctx, id)
	if err != nil {
		return err
	}
	if meta.KeyState == types.KeyStatePendingImport {
		return keys.ErrAbsent()
	}
	if meta.Origin != types.OriginTypeExternal {
		return problem.New(problem.Invalid, "KMS cannot destroy this key at once: its material was not imported; schedule its deletion in KMS (7 days or more), and use keys of origin EXTERNAL for roots that must die")
	}
	if _, err := r.client().DeleteImportedKeyMaterial(ctx, &awskms.DeleteImportedKeyMaterialInput{KeyId: &id}); err != nil {
		return translate(err)
	}
	if meta, err = r.describe(ctx, id); err != nil {
		return err
	}
	if meta.KeyState != types.KeyStatePendingImport {
		return problem.Wrap(problem.Unavailable, errors.New(string(meta.KeyState)), "KMS took the deletion but does not show it yet; destroy again to see whether it is done")
	}
	return nil
}

// Names lists the configured roots that are usable now.
func (r *Roots) Names(ctx context.Context) ([]string, error) {
	var names []string
	for name, id := range r.keys {
		meta, err := r.describe(ctx, id)
		if problem.KindOf(err) == problem.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		if meta.KeyState == types.KeyStateEnabled {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// DestroyLimits says what rests on AWS's word.
func (r *Roots) DestroyLimits() string {
	return "The imported key material was deleted and KMS reports the key as pending import; that no copy remains inside KMS is AWS's word. " +
		"The material was drawn in this process, sent to KMS encrypted, and kept nowhere else."
}

func (r *Roots) keyID(name string) (string, error) {
	if err := keys.CheckName(name); err != nil {
		return "", err
	}
	id, ok := r.keys[name]
	if !ok {
		return "", keys.ErrAbsent()
	}
	return id, nil
}

func (r *Roots) describe(ctx context.Context, id string) (*types.KeyMetadata, error) {
	out, err := r.client().DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &id})
	if err != nil {
		return nil, translate(err)
	}
	m := out.KeyMetadata
	if m == nil || aws.ToString(m.Arn) == "" || m.KeyUsage != types.KeyUsageTypeEncryptDecrypt || m.KeySpec != types.KeySpecSymmetricDefault {
		return nil, problem.New(problem.Invalid, "the KMS key of this root is not a symmetric encryption key; correct the configuration")
	}
	return m, nil
}

// root is one KMS key.
type root struct {
	name   string
	key    string // ARN: KMS refuses to decrypt under it what another key encrypted
	client func() *awskms.Client
}

func (r *root) ID() string { return r.name + "@" + r.key }

func (r *root) Wrap(ctx context.Context, aad, plaintext []byte) ([]byte, error) {
	if err := keys.CheckWrap(aad, plaintext); err != nil {
		return nil, err
	}
	out, err := r.client().Encrypt(ctx, &awskms.EncryptInput{KeyId: &r.key, Plaintext: plaintext, EncryptionContext: r.context(aad)})
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	return out.CiphertextBlob, nil
}

func (r *root) Unwrap(ctx context.Context, aad, wrapped []byte) ([]byte, error) {
	if len(wrapped) == 0 || len(wrapped) > keys.MaxPlaintext+2048 || len(aad) > keys.MaxAAD { // KMS accepts at most 6144 bytes
		return nil, keys.ErrNotOurs(errors.New("size"))
	}
	out, err := r.client().Decrypt(ctx, &awskms.DecryptInput{KeyId: &r.key, CiphertextBlob: wrapped, EncryptionContext: r.context(aad)})
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	return out.Plaintext, nil
}

func (r *root) context(aad []byte) map[string]string {
	sum := sha256.Sum256(aad)
	return map[string]string{"arca-aad": base64.StdEncoding.EncodeToString(sum[:]), "arca-root": r.name}
}

// explain asks, when KMS says only that the key's state forbids the call,
// whether its material was deleted.
func (r *root) explain(ctx context.Context, err error) error {
	if _, state := errors.AsType[*types.KMSInvalidStateException](err); state {
		out, asked := r.client().DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &r.key})
		if asked == nil && out.KeyMetadata != nil && out.KeyMetadata.KeyState == types.KeyStatePendingImport {
			return keys.ErrDestroyed()
		}
	}
	return translate(err)
}

// translate maps KMS's errors to kinds; what is not listed is Unavailable,
// because repeating a KMS call changes nothing.
func translate(err error) error {
	if err == nil {
		return nil
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return problem.Wrap(problem.Unavailable, err, "the key service cannot be reached; nothing was lost; try again")
	}
	switch api.ErrorCode() {
	case "InvalidCiphertextException", "IncorrectKeyException":
		return keys.ErrNotOurs(err)
	case "NotFoundException":
		return keys.ErrAbsent()
	case "InvalidImportTokenException", "ExpiredImportTokenException":
		return problem.Wrap(problem.Conflict, err, "another process is creating this root key; open it, or try again")
	case "AccessDeniedException":
		return problem.Wrap(problem.Denied, err, "KMS refuses this call; the function's role lacks a right on the key")
	}
	return problem.Wrap(problem.Unavailable, err, "the key service did not do this now; nothing was lost; try again")
}

const redacted = "[secret]"

// Format redacts: a root holds no key, but its client holds credentials.
func (r *root) Format(f fmt.State, _ rune) { io.WriteString(f, "root "+r.name+" "+redacted) }

// LogValue redacts in logs.
func (r *root) LogValue() slog.Value { return slog.StringValue("root " + r.name + " " + redacted) }

// MarshalText redacts in every encoding.
func (r *root) MarshalText() ([]byte, error) { return []byte("root " + r.name + " " + redacted), nil }

// Format redacts under every verb.
func (r *Roots) Format(f fmt.State, _ rune) { io.WriteString(f, "KMS roots "+redacted) }

// LogValue redacts in logs.
func (r *Roots) LogValue() slog.Value { return slog.StringValue("KMS roots " + redacted) }

// MarshalText redacts in every encoding.
func (r *Roots) MarshalText() ([]byte, error) { return []byte("KMS roots " + redacted), nil }
