package ledger

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/note"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// change is a log whose key and witness are replaced: the trust files, the log before and after.
type change struct {
	*forest
	t        testing.TB
	roots    []*record.Signer
	chain    record.TrustChain
	pin      record.Digest
	after    note.Signer // the log's second key
	later    *Cosigner   // its second witness
	old, new *record.Trust
}

const changedAt = 7 // index of the court's event

func newChange(t testing.TB, overlap int) *change {
	c := &change{forest: newForest(t, 1, 1), t: t}
	var keys []record.PublicKey
	for i := range 6 {
		s, err := record.NewSigner()
		if err != nil {
			t.Fatal(err)
		}
		if keys = append(keys, s.Public()); i%3 == 2 {
			c.roots = append(c.roots, s)
		}
	}
	first := record.Trust{Court: record.PartyKeys{Online: keys[0], Registrar: keys[1], Root: keys[2]}, Custodian: record.PartyKeys{Online: keys[3], Registrar: keys[4], Root: keys[5]},
		Installation: record.ID{1}, Issued: noon, LogKey: c.policy.Log, LogOrigin: origin, Pack: record.PackShape{Size: 1 << 20, Slots: 8}, Quorum: 1, Version: 1, Witnesses: c.policy.Witnesses}
	joint := c.sign(first)
	c.pin = c.hash(joint)
	second := first
	var err error
	if c.after, second.LogKey, err = NewLogSigner(origin, testKey("second log")); err != nil {
		t.Fatal(err)
	}
	if c.later, err = NewCosigner("witness-2.example", testKey("second witness")); err != nil {
		t.Fatal(err)
	}
	second.Version, second.Previous, second.Overlap, second.Witnesses = 2, c.pin, overlap, []string{c.later.VerifierKey()}
	next := c.sign(second)
	c.grow(changedAt)
	c.chain = record.TrustChain{{Trust: joint}, {Trust: next, Entry: c.logged("court", c.hash(next))}}
	c.old, c.new = &first, &second
	return c
}

func (c *change) sign(f record.Trust) record.Joint {
	joint, err := record.SignJoint(record.TypeTrust, noon, f, c.roots...)
	if err != nil {
		c.t.Fatal(err)
	}
	return joint
}

func (c *change) hash(j record.Joint) record.Digest {
	st, err := record.Peek(j[0])
	if err != nil {
		c.t.Fatal(err)
	}
	return record.HashBytes(st.Payload)
}

// logged puts an event of a party into the log and proves it under the first policy.
func (c *change) logged(author string, hash record.Digest) *record.TrustEntry {
	body, err := record.Marshal(trustedEvent{hash})
	if err != nil {
		c.t.Fatal(err)
	}
	event, err := record.Event{Author: author, Body: jsontext.Value(body), Kind: record.EventTrust, Number: 2, Previous: record.Digest{1}, Time: noon}.Bytes()
	if err != nil {
		c.t.Fatal(err)
	}
	entry := &record.TrustEntry{Event: event, Random: bytes.Repeat([]byte{7}, 32)}
	at := c.edge.Size()
	next, objects := c.edge.Append([]Entry{Commit(Opening{Event: event, Random: [32]byte(entry.Random)})})
	for _, o := range objects {
		c.tiles[o.Tile] = o.Data
	}
	c.edge = next
	entry.Proof = string(c.proof(c.t, at, c.signed(c.signer, c.cosigners[0], 0)))
	return entry
}

// signed is the tree now, by a key of the log and a witness.
func (c *change) signed(by note.Signer, witness *Cosigner, at time.Duration) []byte {
	signed, err := SignTree(c.tree(), by)
	if err != nil {
		c.t.Fatal(err)
	}
	return append(signed, witness.Cosign(c.tree(), noon.Add(at)).Line...)
}

func (c *change) verifier() *Verifier {
	t, err := OpenTrust(c.chain, c.pin)
	if err != nil {
		c.t.Fatal(err)
	}
	v, err := VerifierOf(t)
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// TestATrustFileTakesForceInTheLog: by the court's event, that of its own hash, which its predecessor's witnesses saw.
func TestATrustFileTakesForceInTheLog(t *testing.T) {
	c := newChange(t, 24)
	now, err := OpenTrust(c.chain, c.pin)
	if err != nil || now.Version != 2 || now.Eras()[1].Begins != changedAt+1 || !now.Eras()[1].At.Equal(noon) {
		t.Fatalf("%+v %v", now, err)
	}
	if alone, err := OpenTrust(c.chain[:1], c.pin); err != nil || alone.Version != 1 {
		t.Fatal(err)
	}
	next := c.hash(c.chain[1].Trust)
	good := *c.chain[1].Entry
	for name, bad := range map[string]*record.TrustEntry{
		"the custodian's event":                        c.logged("custodian", next),
		"the event of another file":                    c.logged("court", c.pin),
		"another random value":                         {Event: good.Event, Proof: good.Proof, Random: bytes.Repeat([]byte{8}, 32)},
		"a short random value":                         {Event: good.Event, Proof: good.Proof, Random: good.Random[:31]},
		"a proof of another place":                     {Event: good.Event, Random: good.Random, Proof: string(c.proof(t, 3, c.signed(c.signer, c.cosigners[0], 0)))},
		"a proof under the keys that it brings itself": {Event: good.Event, Random: good.Random, Proof: string(c.proof(t, changedAt, c.signed(c.after, c.later, 0)))},
	} {
		chain := record.TrustChain{c.chain[0], {Trust: c.chain[1].Trust, Entry: bad}}
		if _, err := OpenTrust(chain, c.pin); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, entry := range []*record.TrustEntry{nil, {Event: good.Event, Random: good.Random}} {
		chain := record.TrustChain{c.chain[0], {Trust: c.chain[1].Trust, Entry: entry}}
		if _, err := OpenTrust(chain, c.pin); problem.KindOf(err) != problem.Unavailable {
			t.Errorf("signed and not logged: %v", err)
		}
	}
}

// TestEachPolicyCountsForItsTrees: what was cosigned before the change still verifies, and what the replaced keys sign later is refused.
func TestEachPolicyCountsForItsTrees(t *testing.T) {
	for _, overlap := range []int{0, 24} {
		c := newChange(t, overlap)
		v := c.verifier()
		before := func(size int) *change {
			small := &change{forest: newForest(t, 1, 1), t: t, after: c.after, later: c.later}
			small.grow(size)
			return small
		}
		early, last := before(changedAt), before(changedAt)
		check := func(name string, signed []byte, ok bool) {
			t.Helper()
			if _, err := v.Verify(signed); (err == nil) != ok {
				t.Errorf("overlap %d, %s: %v", overlap, name, err)
			}
		}
		check("an old tree under the old keys", early.signed(early.signer, early.cosigners[0], 0), true)
		check("an old tree under the old keys, cosigned again much later", last.signed(last.signer, last.cosigners[0], 1000*time.Hour), true)
		check("an old tree under the new keys", early.signed(c.after, c.later, 0), false)
		c.grow(20)
		span := max(time.Duration(overlap)*time.Hour, changeover)
		check("a new tree under the new keys", c.signed(c.after, c.later, time.Minute), true)
		check("a new tree under the new keys, later", c.signed(c.after, c.later, 1000*time.Hour), true)
		check("a new tree under the old keys while they roll over", c.signed(c.signer, c.cosigners[0], span), true)
		check("a new tree under the old keys after that", c.signed(c.signer, c.cosigners[0], span+time.Second), false)
		check("the old log with the new witness", c.signed(c.signer, c.later, time.Minute), false)
		check("the new log with the old witness", c.signed(c.after, c.cosigners[0], time.Minute), false)
	}
}

// TestALogSignsWithBothKeys: the new key's line first, the old one's behind it, and no other arrangement.
func TestALogSignsWithBothKeys(t *testing.T) {
	c := newChange(t, 24)
	v := c.verifier()
	c.grow(20)
	stranger, _, err := NewLogSigner(origin, testKey("nobody's log"))
	if err != nil {
		t.Fatal(err)
	}
	for name, by := range map[string][]note.Signer{"both": {c.after, c.signer}, "turned round": {c.signer, c.after}, "with a stranger's": {c.after, stranger}, "all three": {c.after, c.signer, stranger}} {
		signed, err := SignTree(c.tree(), by...)
		if err != nil {
			t.Fatal(err)
		}
		signed = append(signed, c.later.Cosign(c.tree(), noon.Add(time.Minute)).Line...)
		if _, err := v.Verify(signed); (err == nil) != (name == "both") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := OpenTree(signed, v.terms[1].log); (err == nil) != slices.ContainsFunc(by, func(s note.Signer) bool { return s.KeyHash() == c.signer.KeyHash() }) {
			t.Errorf("%s, to a witness that knows the old key: %v", name, err)
		}
	}
}

// TestReplacedKeysAreAccused: a log's old key that signed two histories is proven under the trust files that replaced it.
func TestReplacedKeysAreAccused(t *testing.T) {
	c := newChange(t, 0)
	v := c.verifier()
	one, other := newForest(t, 1, 1), newForest(t, 1, 1)
	one.grow(5)
	next, _ := other.edge.Append([]Entry{entry(100), entry(101), entry(102), entry(103), entry(104)})
	other.edge = next
	e, err := v.Contradiction(one.checkpoint(t, 0), other.checkpoint(t, 0), nil)
	if err != nil || e == nil || len(e.KnownTo(v)) != 2 {
		t.Fatalf("%+v %v", e, err)
	}
}
