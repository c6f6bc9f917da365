package stamp_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"golang.org/x/mod/sumdb/note"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/stamp"
	"arca.example/arca/shared/stamp/stamptest"
	"arca.example/arca/shared/store/storetest"
)

// noon is today's: the library that makes the tokens writes the machine's time into them beside the one that it is told.
var noon = time.Now().UTC().Truncate(time.Second)

// world is a log of one witness and two authorities, all at one clock.
type world struct {
	t        testing.TB
	at       time.Time
	one, two *stamptest.Authority
	log      *ledger.Verifier
	signer   note.Signer
	witness  *ledger.Cosigner
	edge     *ledger.Edge
	tiles    map[ledger.Tile][]byte
	verifier *stamp.Verifier
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, at: noon, edge: &ledger.Edge{}, tiles: map[ledger.Tile][]byte{}}
	key := func(name string) ed25519.PrivateKey {
		seed := sha256.Sum256([]byte(name))
		return ed25519.NewKeyFromSeed(seed[:])
	}
	signer, vkey, err := ledger.NewLogSigner("log.example", key("log"))
	w.must(err)
	w.signer = signer
	w.witness, err = ledger.NewCosigner("witness.example", key("witness"))
	w.must(err)
	w.log, err = ledger.NewVerifier(ledger.Policy{Origin: "log.example", Log: vkey, Witnesses: []string{w.witness.VerifierKey()}, Quorum: 1})
	w.must(err)
	w.one, w.two = stamptest.New(t, "one", w.now), stamptest.New(t, "two", w.now)
	w.verifier, err = stamp.New([]record.Authority{w.one.Record(), w.two.Record()}, w.log)
	w.must(err)
	return w
}

func (w *world) now() time.Time { return w.at }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// checkpoint logs entries and has the tree cosigned now.
func (w *world) checkpoint(entries ...ledger.Entry) []byte {
	w.t.Helper()
	next, objects := w.edge.Append(append(entries, ledger.Entry{byte(w.edge.Size())}))
	w.edge = next
	for _, o := range objects {
		w.tiles[o.Tile] = o.Data
	}
	tree := w.tree()
	signed, err := ledger.SignTree(tree, w.signer)
	w.must(err)
	whole, _, err := w.log.Assemble(signed, []ledger.Cosignature{w.witness.Cosign(tree, w.at)})
	w.must(err)
	return whole
}

func (w *world) tree() ledger.Tree {
	return ledger.Tree{Origin: "log.example", Size: w.edge.Size(), Root: w.edge.Root()}
}

// stamp has an authority stamp a checkpoint, as the vault does.
func (w *world) stamp(place int, checkpoint []byte) ([]byte, stamp.Facts, error) {
	w.t.Helper()
	q, err := w.verifier.Ask(place, checkpoint, [16]byte{1, byte(place)})
	w.must(err)
	return w.verifier.Answer(q, []*stamptest.Authority{w.one, w.two}[place].Reply(q.DER), w.at)
}

func TestAToken(t *testing.T) {
	w := newWorld(t)
	checkpoint := w.checkpoint()
	for place, name := range []string{"one", "two"} {
		token, facts, err := w.stamp(place, checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.verifier.Verify(token, checkpoint, w.at)
		if err != nil || again != facts {
			t.Errorf("verified later: %+v, %v; when it came: %+v", again, err, facts)
		}
		if facts.Authority != name || !facts.Time.Equal(noon) || facts.Accuracy != 1500*time.Millisecond || facts.Policy != stamptest.Policy || facts.Size != 1 ||
			facts.Token != sha256.Sum256(token) || !facts.Ends.Equal(noon.AddDate(2, 0, 0)) {
			t.Errorf("facts: %+v", facts)
		}
	}
}

// bad are tokens that an authority could make and that must not count. Some the library on its own accepts: that shows that
// they are whole tokens, refused for the reason that is tested and not for another.
var bad = []struct {
	name    string
	reason  error
	library bool // github.com/digitorus/timestamp accepts it
	make    func(w *world)
}{
	{"wrong imprint", stamp.ErrOther, false, change(func(x *timestamp.Timestamp) { x.HashedMessage[0] ^= 1 })},
	{"SHA-1 signature", stamp.ErrWeak, true, func(w *world) { w.one.Digest = crypto.SHA1 }},
	{"wrong nonce", stamp.ErrOther, true, change(func(x *timestamp.Timestamp) { x.Nonce = big.NewInt(7) })},
	{"no nonce", stamp.ErrOther, true, change(func(x *timestamp.Timestamp) { x.Nonce = nil })},
	{"another policy", stamp.ErrOther, true, change(func(x *timestamp.Timestamp) { x.Policy = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 2} })},
	{"from the future", ledger.ErrClock, true, change(func(x *timestamp.Timestamp) { x.Time = x.Time.Add(ledger.MaxSkew + time.Second) })},
	{"before the witnesses", ledger.ErrClock, true, change(func(x *timestamp.Timestamp) { x.Time = x.Time.Add(-ledger.MaxSkew - time.Second) })},
	{"vague", ledger.ErrClock, true, change(func(x *timestamp.Timestamp) { x.Accuracy = stamp.MaxAccuracy + time.Second })},
	{"no certificate", ledger.ErrAltered, true, change(func(x *timestamp.Timestamp) { x.AddTSACertificate = false })},
	{"EKU not critical", stamp.ErrOther, true, certificate(func(c *x509.Certificate) { c.ExtraExtensions[0] = stamptest.Usage(false, 8) })},
	{"EKU for more", stamp.ErrOther, true, certificate(func(c *x509.Certificate) { c.ExtraExtensions[0] = stamptest.Usage(true, 8, 3) })},
	{"EKU for something else", stamp.ErrOther, true, certificate(func(c *x509.Certificate) { c.ExtraExtensions[0] = stamptest.Usage(true, 3) })},
	{"no EKU", stamp.ErrOther, true, certificate(func(c *x509.Certificate) { c.ExtraExtensions = nil })},
	{"a key for encryption", stamp.ErrOther, true, certificate(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })},
	{"certificate ended", ledger.ErrUnknownRoots, false, certificate(func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) })},
	{"certificate not valid yet", ledger.ErrUnknownRoots, false, certificate(func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Hour) })},
	{"other root", ledger.ErrUnknownRoots, true, func(w *world) { w.one = stamptest.New(w.t, "one", w.now) }},
	{"the other authority's", stamp.ErrOther, true, func(w *world) { w.one = w.two }},
}

func change(f func(*timestamp.Timestamp)) func(*world) { return func(w *world) { w.one.Change = f } }

func certificate(f func(*x509.Certificate)) func(*world) {
	return func(w *world) { w.one.Renew(f) }
}

// library is the weakened twin: what a verifier would be that trusted the library alone. It panics on some broken tokens.
func library(parse func([]byte) (*timestamp.Timestamp, error), der, checkpoint []byte) (accepted bool) {
	defer func() {
		if recover() != nil {
			accepted = false
		}
	}()
	x, err := parse(der)
	sum := sha256.Sum256(checkpoint)
	return err == nil && bytes.Equal(x.HashedMessage, sum[:])
}

func TestBadTokensAreRefused(t *testing.T) {
	for _, c := range bad {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			checkpoint := w.checkpoint()
			c.make(w)
			q, err := w.verifier.Ask(0, checkpoint, [16]byte{1})
			w.must(err)
			reply := w.one.Reply(q.DER)
			_, _, err = w.verifier.Answer(q, reply, w.at)
			if !errors.Is(err, c.reason) {
				t.Errorf("refused with %v, want %v", err, c.reason)
			}
			if library(timestamp.ParseResponse, reply, checkpoint) != c.library {
				t.Errorf("the library alone accepts it: %v", !c.library)
			}
		})
	}
}

func TestASwappedTokenIsRefused(t *testing.T) {
	w := newWorld(t)
	first := w.checkpoint()
	token, _, err := w.stamp(0, first)
	w.must(err)
	second := w.checkpoint()
	if _, err := w.verifier.Verify(token, second, w.at); !errors.Is(err, stamp.ErrOther) {
		t.Errorf("on another checkpoint: %v", err)
	}
	// Asked again with another nonce, the old answer does not serve.
	q, err := w.verifier.Ask(0, first, [16]byte{9})
	w.must(err)
	old, err := w.verifier.Ask(0, first, [16]byte{8})
	w.must(err)
	if _, _, err := w.verifier.Answer(q, w.one.Reply(old.DER), w.at); !errors.Is(err, stamp.ErrOther) {
		t.Errorf("an answer to another query: %v", err)
	}
}

// Every byte of a token counts: the signer's words, the certificates, and the wrapping that CMS leaves unsigned. The library
// alone, which reads BER and ignores what it does not need, takes some of the changed ones.
func TestEveryChangedByteIsRefused(t *testing.T) {
	w := newWorld(t)
	checkpoint := w.checkpoint()
	token, _, err := w.stamp(0, checkpoint)
	w.must(err)
	accepted, twin := 0, 0
	refused := func(what string, changed []byte) {
		if _, err := w.verifier.Verify(changed, checkpoint, w.at); err == nil {
			accepted++
			t.Errorf("accepted: %s", what)
		}
		if library(timestamp.Parse, changed, checkpoint) {
			twin++
		}
	}
	for i := range token {
		for bit := range 8 {
			changed := bytes.Clone(token)
			changed[i] ^= 1 << bit
			refused(fmt.Sprintf("byte %d, bit %d", i, bit), changed)
		}
		refused(fmt.Sprintf("the first %d bytes", i), token[:i])
	}
	refused("a trailing byte", append(bytes.Clone(token), 0))
	refused("a trailing token", append(bytes.Clone(token), token...))
	for i := range checkpoint {
		changed := bytes.Clone(checkpoint)
		changed[i] ^= 1
		if _, err := w.verifier.Verify(token, changed, w.at); err == nil {
			t.Errorf("accepted: checkpoint byte %d", i)
		}
	}
	t.Logf("%d bytes; accepted: %d; by the library alone: %d", len(token), accepted, twin)
	if twin == 0 {
		t.Error("the weakened twin accepts nothing: the test may not be looking where it should")
	}
}

func TestAuthoritiesThatAreOne(t *testing.T) {
	w := newWorld(t)
	a := w.one.Record()
	b := a
	b.Name = "three"
	for name, list := range map[string][]record.Authority{
		"one root twice": {a, b}, "not a certificate": {{Name: "x", Root: []byte("x")}}, "a strange policy": {{Name: "x", Root: a.Root, Policy: "1.2.x"}},
	} {
		if _, err := stamp.New(list, w.log); err == nil {
			t.Errorf("accepted: %s", name)
		}
	}
}

// keep is what the vault does with a token: it pins it in the log.
func (w *world) keep(number uint64, place int, checkpoint []byte) stamp.Stamp {
	w.t.Helper()
	token, facts, err := w.stamp(place, checkpoint)
	w.must(err)
	event, err := stamp.Pinned(number, facts.Authority, token, checkpoint)
	w.must(err)
	return stamp.Stamp{Number: number, Checkpoint: checkpoint, Token: token, Event: event, Random: [32]byte{byte(number)}}
}

// proof shows an entry at a place of the tree as it is now, under a checkpoint of it.
func (w *world) proof(index int64, checkpoint []byte) []byte {
	w.t.Helper()
	tree := w.tree()
	path, err := ledger.ProveInclusion(tree, index, ledger.Reader(tree, func(t ledger.Tile) ([]byte, error) { return w.tiles[t], nil }))
	w.must(err)
	return ledger.Proof{Index: index, Path: path, Checkpoint: checkpoint}.Marshal()
}

func TestALaterStampRenews(t *testing.T) {
	w := newWorld(t)
	old := w.keep(1, 0, w.checkpoint())
	if _, err := w.verifier.Check(old, w.at); err != nil {
		t.Fatal(err)
	}
	// A year later the authority has a new certificate and stamps a checkpoint that covers the old token.
	w.at = noon.AddDate(1, 6, 0)
	w.one.Renew(func(*x509.Certificate) {})
	index := w.edge.Size()
	later := w.checkpoint(old.Entry())
	renewal := stamp.Renewal{Proof: w.proof(index, later), By: w.keep(2, 0, later)}
	// Three years later the first certificate has ended and the second has not.
	w.at = noon.AddDate(3, 0, 0)
	if _, err := w.verifier.Verify(old.Token, old.Checkpoint, w.at); !errors.Is(err, stamp.ErrEnded) {
		t.Errorf("ended and accepted alone: %v", err)
	}
	facts, err := w.verifier.VerifyRenewed(old, []stamp.Renewal{renewal}, w.at)
	if err != nil || !facts.Time.Equal(noon) {
		t.Errorf("renewed: %+v, %v", facts, err)
	}
	// Ten years later that has ended too.
	if _, err := w.verifier.VerifyRenewed(old, []stamp.Renewal{renewal}, noon.AddDate(8, 0, 0)); !errors.Is(err, stamp.ErrEnded) {
		t.Errorf("ended twice: %v", err)
	}
	w.refusesOtherRenewals(old, renewal)
}

func (w *world) refusesOtherRenewals(old stamp.Stamp, good stamp.Renewal) {
	w.t.Helper()
	w.two.Renew(func(*x509.Certificate) {})
	uncovered := w.checkpoint()
	tooLate := w.at
	for name, r := range map[string]stamp.Renewal{
		"of another stamp":       {Proof: w.proof(0, uncovered), By: w.keep(3, 1, uncovered)},
		"under another head":     {Proof: good.Proof, By: w.keep(3, 1, uncovered)},
		"event of another token": {Proof: good.Proof, By: stamp.Stamp{Number: 2, Checkpoint: good.By.Checkpoint, Token: good.By.Token, Event: old.Event}},
	} {
		if _, err := w.verifier.VerifyRenewed(old, []stamp.Renewal{r}, tooLate); err == nil {
			w.t.Errorf("accepted a renewal %s", name)
		}
	}
	// It covers the old stamp and came after the certificate had ended: whoever got hold of the key by then could have made the old one.
	index := w.edge.Size()
	late := w.checkpoint(old.Entry())
	r := stamp.Renewal{Proof: w.proof(index, late), By: w.keep(4, 1, late)}
	if _, err := w.verifier.VerifyRenewed(old, []stamp.Renewal{r}, tooLate); !errors.Is(err, stamp.ErrEnded) {
		w.t.Errorf("a renewal that came too late: %v", err)
	}
}

// openssl runs it in a folder.
func openssl(t testing.TB, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "OPENSSL_CONF="+filepath.Join(dir, "openssl.cnf"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

const opensslConfig = `[tsa]
default_tsa = arca
[arca]
serial = serial
crypto_device = builtin
signer_cert = signer.pem
signer_key = key.pem
signer_digest = sha256
default_policy = 1.3.6.1.4.1.32473.1.1
digests = sha1, sha256
accuracy = secs:1, millisecs:500, microsecs:100
ordering = yes
tsa_name = yes
ess_cert_id_alg = sha256
`

// OpenSSL as the authority, and OpenSSL as the verifier of what Arca keeps.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		storetest.Skipped(t, "OpenSSL", "openssl was not found; install it with: apt-get install -y openssl")
	}
	w := newWorld(t)
	w.at = time.Now() // openssl has no other clock
	w.one, w.two = stamptest.New(t, "one", w.now), stamptest.New(t, "two", w.now)
	var err error
	w.verifier, err = stamp.New([]record.Authority{w.one.Record(), w.two.Record()}, w.log)
	w.must(err)
	checkpoint := w.checkpoint()
	dir := t.TempDir()
	key, signer := w.one.KeyAndSigner()
	q, err := w.verifier.Ask(0, checkpoint, [16]byte{0xff, 1})
	w.must(err)
	for name, content := range map[string][]byte{"openssl.cnf": []byte(opensslConfig), "serial": []byte("01\n"), "key.pem": key, "signer.pem": signer,
		"one.pem": w.one.PEM(), "two.pem": w.two.PEM(), "query": q.DER, "checkpoint": checkpoint} {
		w.must(os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	if out, err := openssl(t, dir, "ts", "-reply", "-queryfile", "query", "-out", "reply"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	reply, err := os.ReadFile(filepath.Join(dir, "reply"))
	w.must(err)
	w.at = time.Now()
	token, facts, err := w.verifier.Answer(q, reply, w.at)
	if err != nil {
		t.Fatalf("OpenSSL's answer: %v", err)
	}
	if facts.Accuracy != 1500100*time.Microsecond || facts.Authority != "one" {
		t.Errorf("facts: %+v", facts)
	}
	w.refusesSHA1(dir, q)
	ours, _, err := w.stamp(0, checkpoint)
	w.must(err)
	for what, kept := range map[string][]byte{"OpenSSL's": token, "the test authority's": ours} {
		w.must(os.WriteFile(filepath.Join(dir, "token"), kept, 0o600))
		verify := []string{"ts", "-verify", "-data", "checkpoint", "-in", "token", "-token_in", "-CAfile"}
		if out, err := openssl(t, dir, append(verify, "one.pem")...); err != nil || !strings.Contains(out, "Verification: OK") {
			t.Errorf("openssl ts -verify of %s: %v: %s", what, err, out)
		}
		if out, err := openssl(t, dir, append(verify, "two.pem")...); err == nil {
			t.Errorf("openssl accepts %s under another root: %s", what, out)
		}
	}
}

// refusesSHA1 has OpenSSL stamp a SHA-1 of the checkpoint.
func (w *world) refusesSHA1(dir string, q stamp.Query) {
	w.t.Helper()
	for _, args := range [][]string{{"-query", "-data", "checkpoint", "-sha1", "-cert", "-out", "query"}, {"-reply", "-queryfile", "query", "-out", "reply"}} {
		if out, err := openssl(w.t, dir, append([]string{"ts"}, args...)...); err != nil {
			w.t.Fatalf("%v: %s", err, out)
		}
	}
	reply, err := os.ReadFile(filepath.Join(dir, "reply"))
	w.must(err)
	if _, _, err := w.verifier.Answer(q, reply, w.at); !errors.Is(err, stamp.ErrWeak) {
		w.t.Errorf("a SHA-1 imprint: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	checkpoint := w.checkpoint()
	token, _, err := w.stamp(0, checkpoint)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(token[:len(token)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := w.verifier.Verify(b, checkpoint, noon); err == nil && !bytes.Equal(b, token) {
			t.Errorf("another token than the authority's is accepted")
		}
	})
}
