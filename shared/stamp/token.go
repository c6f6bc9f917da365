package stamp

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 and SHA-512 as digests of signers
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"regexp"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"arca.example/arca/shared/ledger"
)

var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCert   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47} // V2
	oidExtKeyUsage   = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidRSA           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
)

// digests are the hashes that count, with what signs over them. rsaEncryption leaves the hash to the digest algorithm.
var digests = []struct {
	oid, rsa, ecdsa asn1.ObjectIdentifier
	hash            crypto.Hash
	withRSA, withEC x509.SignatureAlgorithm
}{
	{oidSHA256, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, crypto.SHA256, x509.SHA256WithRSA, x509.ECDSAWithSHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, crypto.SHA384, x509.SHA384WithRSA, x509.ECDSAWithSHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, crypto.SHA512, x509.SHA512WithRSA, x509.ECDSAWithSHA512},
}

// token is a parsed token. Nothing of it is believed before verifySignature.
type token struct {
	content      []byte // DER of TSTInfo
	certificates []*x509.Certificate
	info         tstInfo

	issuer    []byte // DER of the signer's issuer
	serial    *big.Int
	digest    asn1.ObjectIdentifier
	algorithm asn1.ObjectIdentifier
	signed    []byte // DER of the signed attributes, as a SET OF
	signature []byte
}

// tstInfo is what the authority says.
type tstInfo struct {
	policy   string
	imprint  [sha256.Size]byte
	serial   *big.Int
	at       time.Time
	accuracy time.Duration
	nonce    *big.Int
}

func malformed() error {
	return refusal(ledger.ErrAltered, "the timestamp is not a token of RFC 3161 in the one form that is accepted; it may have been altered on the way")
}

// readAlgorithm reads an AlgorithmIdentifier whose parameters are absent or NULL.
func readAlgorithm(in *cryptobyte.String, oid *asn1.ObjectIdentifier) bool {
	var seq, null cryptobyte.String
	return in.ReadASN1(&seq, casn1.SEQUENCE) && seq.ReadASN1ObjectIdentifier(oid) &&
		(seq.Empty() || seq.ReadASN1(&null, casn1.NULL) && null.Empty() && seq.Empty())
}

func contextTag(n uint8) casn1.Tag { return casn1.Tag(n).ContextSpecific() }

// parse reads a token.
func parse(der []byte) (*token, error) {
	if len(der) > MaxToken {
		return nil, refusal(ledger.ErrAltered, "a timestamp has at most %d bytes", MaxToken)
	}
	var t token
	var outer, explicit, seq, algorithms, encapsulated, octets, content, certificates, signers cryptobyte.String
	var kind, digest, contentKind asn1.ObjectIdentifier
	var version int
	in := cryptobyte.String(der)
	ok := in.ReadASN1(&outer, casn1.SEQUENCE) && in.Empty() &&
		outer.ReadASN1ObjectIdentifier(&kind) && kind.Equal(oidSignedData) &&
		outer.ReadASN1(&explicit, contextTag(0).Constructed()) && outer.Empty() &&
		explicit.ReadASN1(&seq, casn1.SEQUENCE) && explicit.Empty() &&
		seq.ReadASN1Integer(&version) && version == 3 &&
		seq.ReadASN1(&algorithms, casn1.SET) && readAlgorithm(&algorithms, &digest) && algorithms.Empty() &&
		seq.ReadASN1(&encapsulated, casn1.SEQUENCE) &&
		encapsulated.ReadASN1ObjectIdentifier(&contentKind) && contentKind.Equal(oidTSTInfo) &&
		encapsulated.ReadASN1(&octets, contextTag(0).Constructed()) && encapsulated.Empty() &&
		octets.ReadASN1(&content, casn1.OCTET_STRING) && octets.Empty() &&
		seq.ReadASN1(&certificates, contextTag(0).Constructed()) &&
		seq.ReadASN1(&signers, casn1.SET) && seq.Empty() &&
		t.readSigner(&signers) && signers.Empty() &&
		t.digest.Equal(digest)
	if !ok {
		return nil, malformed()
	}
	var err error
	if t.certificates, err = x509.ParseCertificates(certificates); err != nil || len(t.certificates) == 0 || len(t.certificates) > 16 {
		return nil, malformed()
	}
	t.content = content
	t.info, err = parseInfo(content)
	return &t, err
}

// readSigner reads the one SignerInfo: version 1, and no unsigned attributes.
func (t *token) readSigner(in *cryptobyte.String) bool {
	var seq, id, issuer, signed, signature cryptobyte.String
	var version int
	t.serial = new(big.Int)
	if !in.ReadASN1(&seq, casn1.SEQUENCE) || !seq.ReadASN1Integer(&version) || version != 1 ||
		!seq.ReadASN1(&id, casn1.SEQUENCE) || !id.ReadASN1Element(&issuer, casn1.SEQUENCE) || !id.ReadASN1Integer(t.serial) || !id.Empty() ||
		!readAlgorithm(&seq, &t.digest) || !seq.ReadASN1Element(&signed, contextTag(0).Constructed()) ||
		!readAlgorithm(&seq, &t.algorithm) || !seq.ReadASN1(&signature, casn1.OCTET_STRING) || !seq.Empty() {
		return false
	}
	t.issuer, t.signature = issuer, signature
	// RFC 5652, section 5.4: what is signed has the tag of a SET OF instead of the implicit one.
	t.signed = append([]byte{byte(casn1.SET)}, signed[1:]...)
	return true
}

// whole is the form of GeneralizedTime that DER allows (X.690, section 11.7).
var whole = regexp.MustCompile(`^[0-9]{14}(\.[0-9]{0,8}[1-9])?Z$`)

func parseInfo(der []byte) (tstInfo, error) {
	i := tstInfo{serial: new(big.Int)}
	var seq, imprint, hashed, at, extra cryptobyte.String
	var policy, hash asn1.ObjectIdentifier
	var version int
	in := cryptobyte.String(der)
	ok := in.ReadASN1(&seq, casn1.SEQUENCE) && in.Empty() &&
		seq.ReadASN1Integer(&version) && version == 1 &&
		seq.ReadASN1ObjectIdentifier(&policy) &&
		seq.ReadASN1(&imprint, casn1.SEQUENCE) && readAlgorithm(&imprint, &hash) && imprint.ReadASN1(&hashed, casn1.OCTET_STRING) && imprint.Empty() &&
		seq.ReadASN1Integer(i.serial) &&
		seq.ReadASN1(&at, casn1.GeneralizedTime) &&
		i.readAccuracy(&seq) && readOrdering(&seq) && i.readNonce(&seq) &&
		seq.ReadOptionalASN1(&extra, nil, contextTag(0).Constructed()) && // the authority's name, which its certificate says better
		seq.ReadOptionalASN1(&extra, nil, contextTag(1).Constructed()) && seq.Empty()
	if !ok || !whole.Match(at) {
		return i, malformed()
	}
	if !hash.Equal(oidSHA256) || len(hashed) != sha256.Size {
		return i, refusal(ErrWeak, "the timestamp's message imprint is not SHA-256")
	}
	var err error
	if i.at, err = time.Parse("20060102150405Z", string(at)); err != nil { // takes a fraction too
		return i, malformed()
	}
	i.policy, i.imprint = policy.String(), [sha256.Size]byte(hashed)
	return i, nil
}

func (i *tstInfo) readAccuracy(seq *cryptobyte.String) bool {
	var body cryptobyte.String
	var present bool
	var seconds int64
	if !seq.ReadOptionalASN1(&body, &present, casn1.SEQUENCE) || !present {
		return !present
	}
	if body.PeekASN1Tag(casn1.INTEGER) && !body.ReadASN1Integer(&seconds) {
		return false
	}
	var parts [2]int64 // milliseconds, microseconds: 1 to 999 each
	for n := range parts {
		tag := contextTag(uint8(n))
		if body.PeekASN1Tag(tag) && (!body.ReadASN1Int64WithTag(&parts[n], tag) || parts[n] < 1 || parts[n] > 999) {
			return false
		}
	}
	if seconds < 0 || seconds > 1<<30 || !body.Empty() {
		return false
	}
	i.accuracy = time.Duration(seconds)*time.Second + time.Duration(parts[0])*time.Millisecond + time.Duration(parts[1])*time.Microsecond
	return true
}

// readOrdering reads a BOOLEAN DEFAULT FALSE, which DER writes only if it is true.
func readOrdering(seq *cryptobyte.String) bool {
	var ordering bool
	return !seq.PeekASN1Tag(casn1.BOOLEAN) || seq.ReadASN1Boolean(&ordering) && ordering
}

func (i *tstInfo) readNonce(seq *cryptobyte.String) bool {
	if !seq.PeekASN1Tag(casn1.INTEGER) {
		return true
	}
	i.nonce = new(big.Int)
	return seq.ReadASN1Integer(i.nonce)
}

// verifySignature checks that the certificate that the signed attributes name
// may stamp and has signed them, and that they name the content.
func (t *token) verifySignature() (*x509.Certificate, error) {
	var signer *x509.Certificate
	for _, c := range t.certificates {
		if c.SerialNumber.Cmp(t.serial) == 0 && bytes.Equal(c.RawIssuer, t.issuer) {
			signer = c
		}
	}
	if signer == nil {
		return nil, malformed()
	}
	hash, algorithm := t.signatureAlgorithm()
	if hash == 0 {
		return nil, refusal(ErrWeak, "the timestamp is not signed with SHA-256, SHA-384 or SHA-512 and RSA or ECDSA")
	}
	attributes, ok := t.attributes()
	if !ok || !t.attributesFit(attributes, signer, hash) {
		return nil, malformed()
	}
	if err := signer.CheckSignature(algorithm, t.signed, t.signature); err != nil {
		return nil, refusal(ledger.ErrAltered, "the timestamp's signature does not fit; it was altered")
	}
	if !mayStamp(signer) {
		return nil, refusal(ErrOther, "the certificate behind the timestamp is not for time stamping alone (RFC 3161, section 2.3)")
	}
	return signer, nil
}

func (t *token) signatureAlgorithm() (crypto.Hash, x509.SignatureAlgorithm) {
	for _, d := range digests {
		if !d.oid.Equal(t.digest) {
			continue
		}
		switch {
		case t.algorithm.Equal(oidRSA), t.algorithm.Equal(d.rsa):
			return d.hash, d.withRSA
		case t.algorithm.Equal(d.ecdsa):
			return d.hash, d.withEC
		}
	}
	return 0, 0
}

// attributes reads the signed attributes: each type once, one value each.
func (t *token) attributes() (map[string]cryptobyte.String, bool) {
	var set cryptobyte.String
	in := cryptobyte.String(t.signed)
	if !in.ReadASN1(&set, casn1.SET) || !in.Empty() {
		return nil, false
	}
	all := map[string]cryptobyte.String{}
	for !set.Empty() {
		var attribute, values, value cryptobyte.String
		var kind asn1.ObjectIdentifier
		var tag casn1.Tag
		if !set.ReadASN1(&attribute, casn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&kind) ||
			!attribute.ReadASN1(&values, casn1.SET) || !attribute.Empty() || !values.ReadAnyASN1Element(&value, &tag) || !values.Empty() {
			return nil, false
		}
		if _, twice := all[kind.String()]; twice {
			return nil, false
		}
		all[kind.String()] = value
	}
	return all, true
}

// attributesFit checks that the attributes name this content and this certificate.
func (t *token) attributesFit(attributes map[string]cryptobyte.String, signer *x509.Certificate, hash crypto.Hash) bool {
	var kind asn1.ObjectIdentifier
	var digest cryptobyte.String
	contentType := attributes[oidContentType.String()]
	messageDigest := attributes[oidMessageDigest.String()]
	h := hash.New()
	h.Write(t.content)
	return contentType.ReadASN1ObjectIdentifier(&kind) && kind.Equal(oidTSTInfo) &&
		messageDigest.ReadASN1(&digest, casn1.OCTET_STRING) && bytes.Equal(digest, h.Sum(nil)) &&
		namesCertificate(attributes[oidSigningCert.String()], signer)
}

// namesCertificate checks a SigningCertificateV2 (RFC 5035): its first ESSCertIDv2 has the certificate's hash. Without it, somebody
// could put another certificate of the same key and name into the token.
func namesCertificate(value cryptobyte.String, signer *x509.Certificate) bool {
	var outer, certs, first, hash cryptobyte.String
	if !value.ReadASN1(&outer, casn1.SEQUENCE) || !outer.ReadASN1(&certs, casn1.SEQUENCE) || !certs.ReadASN1(&first, casn1.SEQUENCE) {
		return false
	}
	with := crypto.SHA256 // the default
	if first.PeekASN1Tag(casn1.SEQUENCE) {
		var oid asn1.ObjectIdentifier
		if !readAlgorithm(&first, &oid) {
			return false
		}
		with = 0
		for _, d := range digests {
			if d.oid.Equal(oid) {
				with = d.hash
			}
		}
	}
	if with == 0 || !first.ReadASN1(&hash, casn1.OCTET_STRING) {
		return false
	}
	h := with.New()
	h.Write(signer.Raw)
	return bytes.Equal(hash, h.Sum(nil))
}

// mayStamp: extended key usage critical, and time stamping alone.
func mayStamp(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(c.UnknownExtKeyUsage) > 0 {
		return false
	}
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return false
	}
	for _, e := range c.Extensions {
		if e.Id.Equal(oidExtKeyUsage) {
			return e.Critical
		}
	}
	return false
}
