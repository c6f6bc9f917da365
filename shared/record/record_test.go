package record

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func signers(t testing.TB) map[string]*Signer {
	t.Helper()
	ed, err := SignerFromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := SignerOf(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Signer{"EdDSA": ed, "ES384": p384}
}

func sample() PersonSuspension {
	return PersonSuspension{Issued: noon, Reason: "left the unit", Nonce: ID{1}, Person: Digest{2}, Audience: Digest{3}}
}

func TestEveryFlippedBitOfAStatementIsRefused(t *testing.T) {
	for name, s := range signers(t) {
		raw, err := Sign(s, TypeSuspension, noon, sample())
		if err != nil {
			t.Fatal(err)
		}
		var got PersonSuspension
		if _, err := Open(raw, TypeSuspension, s.Public(), &got); err != nil || got != sample() {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range raw {
			for bit := range 8 {
				mutant := []byte(raw)
				mutant[i] ^= 1 << bit
				if _, err := Open(string(mutant), TypeSuspension, s.Public(), nil); err == nil {
					t.Fatalf("%s: bit %d of byte %d may be flipped", name, bit, i)
				}
			}
		}
		for cut := range raw {
			if _, err := Open(raw[:cut], TypeSuspension, s.Public(), nil); err == nil {
				t.Fatalf("%s: accepted when cut to %d bytes", name, cut)
			}
		}
	}
}

func TestOneStatementHasOneForm(t *testing.T) {
	s := signers(t)["EdDSA"]
	raw, _ := Sign(s, TypeSuspension, noon, sample())
	parts := strings.Split(raw, ".")
	for name, mutant := range map[string]string{
		"padding":         raw + "=",
		"line break":      raw[:20] + "\n" + raw[20:],
		"trailing text":   raw + ".",
		"another type":    raw,
		"standard base64": parts[0] + "." + parts[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(parts[2]) + " ",
	} {
		typ := TypeSuspension
		if name == "another type" {
			typ = TypeOrder
		}
		if _, err := Open(mutant, typ, s.Public(), nil); err == nil {
			t.Errorf("accepted with %s", name)
		}
	}
	// A decoder that is not strict takes these; it is the weakened twin that shows why strictness is needed.
	loose := parts[2][:len(parts[2])-1] + string(rune(parts[2][len(parts[2])-1])+1)
	if b, err := base64.RawURLEncoding.DecodeString(loose); err == nil {
		if again := base64.RawURLEncoding.EncodeToString(b); again == parts[2] {
			if _, err := Open(parts[0]+"."+parts[1]+"."+loose, TypeSuspension, s.Public(), nil); err == nil {
				t.Error("stray bits behind the signature are accepted")
			}
		}
	}
}

func TestHighSIsRefused(t *testing.T) {
	s := signers(t)["ES384"]
	raw, err := Sign(s, TypeSuspension, noon, sample())
	if err != nil {
		t.Fatal(err)
	}
	cut := strings.LastIndexByte(raw, '.')
	sig, _ := strict64.DecodeString(raw[cut+1:])
	n := elliptic.P384().Params().N
	high := new(big.Int).Sub(n, new(big.Int).SetBytes(sig[48:]))
	high.FillBytes(sig[48:])
	mutant := raw[:cut+1] + strict64.EncodeToString(sig)
	if _, err := Open(mutant, TypeSuspension, s.Public(), nil); err == nil {
		t.Fatal("the second form of an ECDSA signature is accepted")
	}
}

func TestUnknownAlgorithmsAndHeadersAreRefused(t *testing.T) {
	s := signers(t)["EdDSA"]
	raw, _ := Sign(s, TypeSuspension, noon, sample())
	parts := strings.Split(raw, ".")
	kid := s.Public().ID().String()
	for _, header := range []string{
		`{"alg":"none","iat":1,"kid":"` + kid + `","typ":"arca-suspension"}`,
		`{"alg":"HS256","iat":1,"kid":"` + kid + `","typ":"arca-suspension"}`,
		`{"alg":"EdDSA","b64":false,"iat":1,"kid":"` + kid + `","typ":"arca-suspension"}`,
		`{"alg":"EdDSA","iat":1,"jwk":{},"kid":"` + kid + `","typ":"arca-suspension"}`,
		`{"alg":"EdDSA","alg":"EdDSA","iat":1,"kid":"` + kid + `","typ":"arca-suspension"}`,
		`{"typ":"arca-suspension","kid":"` + kid + `","iat":1,"alg":"EdDSA"}`,
	} {
		mutant := strict64.EncodeToString([]byte(header)) + "." + parts[1] + "." + parts[2]
		if _, err := Peek(mutant); problem.KindOf(err) != problem.Invalid {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestCertificateMustFitTheKey(t *testing.T) {
	s := signers(t)["ES384"]
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Court One"}, NotAfter: noon.AddDate(1, 0, 0)}
	certify := func(owner *Signer) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, template, owner.key.Public(), owner.key)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := x509.ParseCertificate(der)
		return c
	}
	raw, err := Sign(s, TypeSuspension, noon, sample(), certify(s))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(raw, TypeSuspension, s.Public(), nil); err != nil {
		t.Fatal(err)
	}
	other, _ := Sign(s, TypeSuspension, noon, sample(), certify(signers(t)["ES384"]))
	if _, err := Open(other, TypeSuspension, s.Public(), nil); err == nil {
		t.Fatal("another key's certificate is accepted")
	}
}

func TestUnmarshalTakesOneForm(t *testing.T) {
	good, _ := Marshal(sample())
	for _, bad := range []string{
		" " + string(good), string(good) + "\n",
		strings.Replace(string(good), `"reason"`, `"reason":"x","reason"`, 1),
		strings.Replace(string(good), `{`, `{"zzz":1,`, 1),
		strings.Replace(string(good), `left`, `\u006ceft`, 1),
		strings.Replace(string(good), `12:00:00Z`, `12:00:00.0Z`, 1),
		strings.Replace(string(good), `12:00:00Z`, `12:00:00+00:00`, 1),
		strings.Repeat("[", MaxBytes+1),
	} {
		var v PersonSuspension
		if err := Unmarshal([]byte(bad), &v); problem.KindOf(err) != problem.Invalid {
			t.Errorf("accepted %.80q: %v", bad, err)
		}
	}
}

func TestProofIsForOneCall(t *testing.T) {
	s := signers(t)["EdDSA"]
	req, _ := http.NewRequest("POST", "https://court.example/v1/releases?x=1", nil)
	proof, err := SignProof(s, req.Method, req.URL.String(), []byte("body"), noon)
	req.Header.Set(ProofHeader, proof)
	if err != nil {
		t.Fatal(err)
	}
	good := Call{Proof: req.Header.Get(ProofHeader), Method: "POST", URL: "https://court.example/v1/releases?x=1", Body: []byte("body")}
	if err := good.Verify(s.Public(), noon.Add(4*time.Minute)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Call){
		"another host":   func(c *Call) { c.URL = "https://custodian.example/v1/releases?x=1" },
		"another path":   func(c *Call) { c.URL = "https://court.example/v1/orders?x=1" },
		"another query":  func(c *Call) { c.URL = "https://court.example/v1/releases?x=2" },
		"another method": func(c *Call) { c.Method = "GET" },
		"another body":   func(c *Call) { c.Body = []byte("other") },
		"no proof":       func(c *Call) { c.Proof = "" },
	} {
		bad := good
		change(&bad)
		if bad.Verify(s.Public(), noon) == nil {
			t.Errorf("valid for %s", name)
		}
	}
	for _, skew := range []time.Duration{-6 * time.Minute, 6*time.Minute + time.Second} {
		if good.Verify(s.Public(), noon.Add(skew)) == nil {
			t.Errorf("valid %s later", skew)
		}
	}
}

func TestJointNeedsEverySignatureOverOneText(t *testing.T) {
	a, _ := NewSigner()
	b, _ := NewSigner()
	joint, _ := SignJoint(TypePrincipal, noon, Principal{Issued: noon, Key: a.Public(), Kind: "mirror"}, a, b)
	other, _ := SignJoint(TypePrincipal, noon, Principal{Issued: noon, Key: a.Public(), Kind: "collector"}, a, b)
	var p Principal
	if _, err := joint.Open(TypePrincipal, &p, a.Public(), b.Public()); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]Joint{
		"one signature": joint[:1], "one signature twice": {joint[0], joint[0]}, "two texts": {joint[0], other[1]}, "swapped": {joint[1], joint[0]}, "none": {},
	} {
		if _, err := bad.Open(TypePrincipal, &p, a.Public(), b.Public()); err == nil {
			t.Errorf("accepted with %s", name)
		}
	}
}

func TestNamesKeepTheirLine(t *testing.T) {
	for _, bad := range []string{"a\nb", "a\x1b[2J", "a\u202eb", "a\u2028b", "\xff", strings.Repeat("x", 201)} {
		if CheckName(bad) == nil {
			t.Errorf("accepted %q", bad)
		}
	}
	if err := CheckName("Juzgado de Instrucción n.º 1"); err != nil {
		t.Error(err)
	}
}

func TestSeparationOfDuties(t *testing.T) {
	key := signers(t)["EdDSA"].Public()
	for _, tc := range []struct {
		roles []Role
		ok    bool
	}{
		{[]Role{Investigator}, true}, {[]Role{Investigator, Supervisor}, true}, {[]Role{Judge}, true}, {[]Role{Auditor}, true}, {[]Role{Collector}, true},
		{[]Role{Auditor, Supervisor}, false}, {[]Role{Auditor, Auditor}, false}, {[]Role{Judge, Investigator}, false}, {[]Role{Collector, Mirror}, false},
		{[]Role{Registrar, Custodian}, false}, {nil, false}, {[]Role{"operator"}, false},
	} {
		e := Enrolment{Key: key, Name: "n", Roles: tc.roles, Issued: noon, Expires: noon.AddDate(1, 0, 0)}
		if err := e.Validate(); (err == nil) != tc.ok {
			t.Errorf("%v: %v", tc.roles, err)
		}
	}
}

func FuzzPeek(f *testing.F) {
	for _, s := range signers(f) {
		raw, err := Sign(s, TypeSuspension, noon, sample())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		st, err := Peek(raw)
		if err == nil && (st.Raw != raw || len(strings.Split(raw, ".")) != 3) {
			t.Fatal("a statement is not what was read")
		}
	})
}

func FuzzUnmarshalIsIdentity(f *testing.F) {
	for _, v := range []any{sample(), Order{Kind: Authorisation}, Request{Key: []byte{1}}, Event{Author: "vault", Kind: EventPack}} {
		b, err := Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []any{&PersonSuspension{}, &Order{}, &Request{}, &Event{}, &Trust{}, &Enrolment{}, &Description{}, &Release{},
			&Approval{}, &Refusal{}, &Status{}, &UnitKey{}, &Receipt{}, &Principal{}, &Proof{}, &PackEvent{}, &Joint{}} {
			if Unmarshal(b, v) != nil {
				continue
			}
			if v, ok := v.(interface{ Validate() error }); ok {
				_ = v.Validate() // must not panic, whatever was signed
			}
			again, err := Marshal(v)
			if err != nil || string(again) != string(b) {
				t.Fatalf("%T has a second form", v)
			}
		}
	})
}

// FuzzParseText reads what stands in text: keys, digests, ids. Each has one form.
func FuzzParseText(f *testing.F) {
	for _, s := range signers(f) {
		f.Add(s.Public().String())
	}
	f.Add(Digest{1}.String())
	f.Add(ID{1}.String())
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := ParsePublicKey(text); err == nil && (k.String() != text || k.IsZero()) {
			t.Fatalf("a key has a second form: %q", text)
		}
		if d, err := ParseDigest(text); err == nil && d.String() != text {
			t.Fatalf("a digest has a second form: %q", text)
		}
		if id, err := ParseID(text); err == nil && id.String() != text {
			t.Fatalf("an id has a second form: %q", text)
		}
	})
}

func TestCorporaAreCommitted(t *testing.T) {
	for _, target := range []string{"FuzzPeek", "FuzzUnmarshalIsIdentity", "FuzzParseText"} {
		cases, _ := filepath.Glob(filepath.Join("testdata", "fuzz", target, "*"))
		if len(cases) == 0 {
			t.Errorf("%s has no committed case", target)
		}
		for _, c := range cases {
			if b, err := os.ReadFile(c); err != nil || !strings.HasPrefix(string(b), "go test fuzz v1") {
				t.Errorf("%s: not a corpus file", c)
			}
		}
	}
}
