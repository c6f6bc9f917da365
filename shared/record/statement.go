package record

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"arca.example/arca/shared/problem"
)

// Type says what a statement is. A statement of one type is never accepted as another.
type Type string

// The statement types.
const (
	TypeTrust      Type = "arca-trust"
	TypeOrder      Type = "arca-order"
	TypeEnrolment  Type = "arca-enrolment"
	TypeSuspension Type = "arca-suspension"
	TypePrincipal  Type = "arca-principal"
	TypeRequest    Type = "arca-request"
	TypeApproval   Type = "arca-approval"
	TypeStatus     Type = "arca-status"
	TypeUnitKeys   Type = "arca-unit-keys"
	TypeReceipt    Type = "arca-receipt"
	TypeRelease    Type = "arca-release"
	TypeProof      Type = "arca-proof"
	TypeRefusal    Type = "arca-refusal"
	TypeAct        Type = "arca-act"
	TypeDeposited  Type = "arca-deposited"

	TypeReport        Type = "arca-report"
	TypeJournalReport Type = "arca-journal-report"

	TypeClosed      Type = "arca-closed"
	TypeDestroying  Type = "arca-destroying"
	TypeCertificate Type = "arca-certificate"
	TypeBackups     Type = "arca-backups"
)

// Statement is a verified signed statement.
type Statement struct {
	Raw     string // the compact form
	Hash    Digest // SHA-256 of the signing input
	Type    Type
	Author  KeyID
	Signed  time.Time // the author's clock
	Payload []byte    // canonical JSON
}

// header is what a statement may carry beside its payload; anything else is refused.
type header struct {
	Alg     string   `json:"alg"`
	IssueAt int64    `json:"iat"`
	KeyID   KeyID    `json:"kid"`
	Type    Type     `json:"typ"`
	Chain   []string `json:"x5c,omitempty"`
	Thumb   string   `json:"x5t#S256,omitempty"`
}

// algorithms is the allow-list.
var algorithms = []jose.SignatureAlgorithm{jose.EdDSA, jose.ES384}

// Sign makes a statement of v. Certificates, leaf first, are for a court that has them.
func Sign(s *Signer, typ Type, now time.Time, v any, certificates ...*x509.Certificate) (string, error) {
	payload, err := Marshal(v)
	if err != nil {
		return "", err
	}
	alg := jose.EdDSA
	if _, ok := s.key.(*ecdsa.PrivateKey); ok {
		alg = jose.ES384
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).
		WithHeader("iat", now.Unix()).WithHeader("kid", s.Public().ID().String())
	if len(certificates) > 0 {
		options = withCertificates(options, certificates)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: s.key}, options)
	if err != nil {
		return "", err
	}
	object, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	compact, err := object.CompactSerialize()
	if err != nil || alg != jose.ES384 {
		return compact, err
	}
	cut := strings.LastIndexByte(compact, '.')
	return compact[:cut+1] + strict64.EncodeToString(lowS(object.Signatures[0].Signature)), nil
}

func withCertificates(options *jose.SignerOptions, chain []*x509.Certificate) *jose.SignerOptions {
	var list []string
	for _, c := range chain {
		list = append(list, base64.StdEncoding.EncodeToString(c.Raw))
	}
	thumb := sha256.Sum256(chain[0].Raw)
	return options.WithHeader("x5c", list).WithHeader("x5t#S256", strict64.EncodeToString(thumb[:]))
}

// Peek reads a statement's header and payload without verifying it, to find out
// whose key is needed. Nothing of the result may be believed.
func Peek(raw string) (Statement, error) {
	st, _, err := parse(raw)
	return st, err
}

// Open verifies a statement of the type by the key and reads its payload into v (skipped when v is nil).
// Errors: problem.Invalid for a malformed statement, problem.Denied for a wrong author or signature.
func Open(raw string, typ Type, key PublicKey, v any) (Statement, error) {
	st, object, err := parse(raw)
	if err != nil {
		return Statement{}, err
	}
	if st.Type != typ {
		return Statement{}, problem.New(problem.Invalid, "the statement is of another type than %q", string(typ))
	}
	if st.Author != key.ID() {
		return Statement{}, problem.New(problem.Denied, "the statement was signed with another key than the one that is enrolled for this")
	}
	if _, err := object.Verify(key.key); err != nil {
		return Statement{}, problem.Wrap(problem.Denied, err, "the signature does not verify; the statement was altered, sign it again")
	}
	if v != nil {
		if err := Unmarshal(st.Payload, v); err != nil {
			return Statement{}, err
		}
	}
	return st, nil
}

// OpenKnown is Open for a key that was looked up by the author that the statement claims. Until the signature holds, its sender
// is a stranger, who gets the answer that an unknown key gets (Unknown): nobody finds out by it which keys are known.
func OpenKnown(raw string, typ Type, key PublicKey, v any) (Statement, error) {
	st, err := Open(raw, typ, key, nil)
	if err != nil {
		return Statement{}, Unknown(err)
	}
	if v == nil {
		return st, nil
	}
	return st, Unmarshal(st.Payload, v)
}

// Unknown is the one refusal of a key that is not known, or no longer, and of a signature that is not by it.
func Unknown(cause error) error {
	return problem.Wrap(problem.Denied, cause, "this key is not enrolled here or no longer in service, or the signature is not by it; ask a registrar")
}

// parse checks the form of a statement; object.Verify is what proves it.
func parse(raw string) (Statement, *jose.JSONWebSignature, error) {
	malformed := func(cause error) (Statement, *jose.JSONWebSignature, error) {
		return Statement{}, nil, problem.Wrap(problem.Invalid, cause, "this is not a signed statement (JWS compact form, EdDSA or ES384, strict base64url)")
	}
	if len(raw) > MaxBytes {
		return malformed(nil)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return malformed(nil)
	}
	var decoded [3][]byte
	for i, part := range parts {
		b, err := strict64.DecodeString(part)
		// The second comparison catches what a decoder may skip, such as line breaks.
		if err != nil || strict64.EncodeToString(b) != part {
			return malformed(err)
		}
		decoded[i] = b
	}
	var h header
	if err := Unmarshal(decoded[0], &h); err != nil {
		return malformed(err)
	}
	if h.Alg == string(jose.ES384) && !isLowS(decoded[2]) {
		return malformed(nil)
	}
	if h.Alg == string(jose.EdDSA) && len(decoded[2]) != ed25519.SignatureSize {
		return malformed(nil)
	}
	object, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return malformed(err)
	}
	if err := checkThumb(h); err != nil {
		return malformed(err)
	}
	return Statement{
		Raw: raw, Hash: HashStatement(raw), Type: h.Type, Author: h.KeyID,
		Signed: time.Unix(h.IssueAt, 0).UTC(), Payload: decoded[1],
	}, object, nil
}

// checkThumb holds the certificate reference against the certificate that is carried.
func checkThumb(h header) error {
	if len(h.Chain) == 0 && h.Thumb == "" {
		return nil
	}
	if len(h.Chain) == 0 || len(h.Chain) > 8 {
		return problem.New(problem.Invalid, "x5t#S256 comes with x5c")
	}
	leaf, err := base64.StdEncoding.Strict().DecodeString(h.Chain[0])
	if err != nil {
		return err
	}
	if thumb := sha256.Sum256(leaf); strict64.EncodeToString(thumb[:]) != h.Thumb {
		return problem.New(problem.Invalid, "x5t#S256 names another certificate")
	}
	certificate, err := x509.ParseCertificate(leaf)
	if err != nil {
		return err
	}
	key, err := PublicKeyOf(certificate.PublicKey)
	if err != nil {
		return err
	}
	if key.ID() != h.KeyID {
		return problem.New(problem.Invalid, "the certificate is for another key")
	}
	return nil
}

// HashStatement is the SHA-256 of the signing input of a compact JWS, the name by which a statement is known.
func HashStatement(raw string) Digest {
	cut := strings.LastIndexByte(raw, '.')
	return sha256.Sum256([]byte(raw[:max(cut, 0)]))
}

// Joint is one payload signed by several authors.
type Joint []string

// SignJoint signs v with each signer.
func SignJoint(typ Type, now time.Time, v any, signers ...*Signer) (Joint, error) {
	var joint Joint
	for _, s := range signers {
		raw, err := Sign(s, typ, now, v)
		if err != nil {
			return nil, err
		}
		joint = append(joint, raw)
	}
	return joint, nil
}

// Open verifies that joint holds exactly one statement of the type by each of keys, in that order, all
// over one payload, and reads it into v. The digest is the payload's SHA-256, the name of a joint statement.
func (j Joint) Open(typ Type, v any, keys ...PublicKey) (Digest, error) {
	if len(j) != len(keys) || len(keys) == 0 {
		return Digest{}, problem.New(problem.Denied, "%d signatures are needed here and %d are given", len(keys), len(j))
	}
	var payload []byte
	for i, raw := range j {
		st, err := Open(raw, typ, keys[i], nil)
		if err != nil {
			return Digest{}, err
		}
		if i > 0 && string(payload) != string(st.Payload) {
			return Digest{}, problem.New(problem.Denied, "the signatures are over different texts; let both sign the same")
		}
		payload = st.Payload
	}
	if err := Unmarshal(payload, v); err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(payload), nil
}
