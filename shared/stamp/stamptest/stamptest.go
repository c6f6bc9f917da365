// Package stamptest is a time-stamping authority for tests: a root, a signer
// and an HTTP handler of RFC 3161. It is made with github.com/digitorus/timestamp,
// another implementation than the one that verifies, and can be told to misbehave.
package stamptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"arca.example/arca/shared/record"
)

// Policy is the object identifier under which it stamps.
const Policy = "1.3.6.1.4.1.32473.1.1" // the enterprise number for documentation (RFC 5612)

// Authority stamps. Its fields may be changed between calls.
type Authority struct {
	Name    string
	Now     func() time.Time
	Down    bool                       // it answers 503
	Change  func(*timestamp.Timestamp) // what it says instead
	Digest  crypto.Hash                // of the signature
	Queries int

	mu     sync.Mutex
	t      testing.TB
	root   *x509.Certificate
	ca     *ecdsa.PrivateKey
	signer *x509.Certificate
	key    *ecdsa.PrivateKey
}

// New makes an authority whose root is good for ten years and whose signer is for two, from the start of now's year.
func New(t testing.TB, name string, now func() time.Time) *Authority {
	t.Helper()
	a := &Authority{Name: name, Now: now, Digest: crypto.SHA256, t: t}
	start := time.Date(now().Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	a.ca = a.newKey()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name + " root"}, NotBefore: start, NotAfter: start.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.root = a.certify(root, root, &a.ca.PublicKey)
	a.Renew(func(c *x509.Certificate) {})
	return a
}

func (a *Authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *Authority) certify(c, parent *x509.Certificate, key *ecdsa.PublicKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key, a.ca)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// Renew gives the authority a new signing key and certificate, which change may alter before it is signed.
func (a *Authority) Renew(change func(*x509.Certificate)) {
	a.t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(a.Now().Unix()), Subject: pkix.Name{CommonName: a.Name + " signer"}, NotBefore: a.root.NotBefore, NotAfter: a.Now().AddDate(2, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtraExtensions: []pkix.Extension{Usage(true, 8)},
	}
	change(c)
	a.key = a.newKey()
	a.signer = a.certify(c, a.root, &a.key.PublicKey)
}

// Usage is an extended key usage extension with the id-kp numbers given; 8 is time stamping.
func Usage(critical bool, purposes ...int) pkix.Extension {
	var list []asn1.ObjectIdentifier
	for _, n := range purposes {
		list = append(list, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, n})
	}
	der, err := asn1.Marshal(list)
	if err != nil {
		panic(err) // object identifiers always marshal
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: der}
}

// Record is the authority as a trust file names it.
func (a *Authority) Record() record.Authority {
	return record.Authority{Name: a.Name, Policy: Policy, Root: a.root.Raw}
}

// PEM is the root as openssl reads it.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})
}

// KeyAndSigner are the signing key and certificate as openssl reads them.
func (a *Authority) KeyAndSigner() (key, signer []byte) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.signer.Raw})
}

// Reply answers a query.
func (a *Authority) Reply(query []byte) []byte {
	a.t.Helper()
	q, err := timestamp.ParseRequest(query)
	if err != nil {
		a.t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Queries++
	at := &timestamp.Timestamp{
		HashAlgorithm: q.HashAlgorithm, HashedMessage: q.HashedMessage, Time: a.Now().UTC(), Nonce: q.Nonce, Policy: q.TSAPolicyOID,
		Accuracy: 1500 * time.Millisecond, AddTSACertificate: q.Certificates,
	}
	if at.Policy == nil {
		at.Policy = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 1, 1}
	}
	if a.Change != nil {
		a.Change(at)
	}
	reply, err := at.CreateResponseWithOpts(a.signer, a.key, a.Digest)
	if err != nil {
		a.t.Fatal(err)
	}
	return reply
}

// ServeHTTP is the authority on the network (RFC 3161, section 3.4).
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if a.Down || err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/timestamp-query" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.Write(a.Reply(query))
}
