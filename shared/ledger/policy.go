package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/mldsa"
	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/problem"
)

// MaxSkew is how far the clocks of a quorum, and ours from theirs, may differ.
const MaxSkew = 5 * time.Minute

// Limits of a Policy.
const (
	MaxWitnesses   = 32 // verifier keys; their longest checkpoint must fit MaxNote as well
	maxPolicyBytes = 64 << 10
	maxKeysOfOne   = 4 // keys of one witness: two algorithms, and of each an old and a new key while they roll over
)

// Policy names the log and the witnesses that somebody trusts. It is pinned
// through the trust file; nothing that arrives with a proof changes it. A witness
// is a name: several keys under one name are one witness, which counts once.
type Policy struct {
	Origin    string   `json:"origin"`    // the log's origin line
	Log       string   `json:"log"`       // its verifier key, Ed25519 (0x01), named like the origin
	Witnesses []string `json:"witnesses"` // verifier keys, Ed25519 (0x04) or ML-DSA-44 (0x06) cosignatures, in order
	Quorum    int      `json:"quorum"`    // how many witnesses must have cosigned, with any of their keys; at least 1
}

// ParsePolicy reads a policy's JSON form, which is exactly what Marshal writes.
func ParsePolicy(b []byte) (Policy, error) {
	var p Policy
	if len(b) > maxPolicyBytes {
		return p, problem.New(problem.Invalid, "a log policy has at most %d bytes", maxPolicyBytes)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return Policy{}, problem.Wrap(problem.Invalid, err, "the log policy is not valid JSON of its form")
	}
	if !bytes.Equal(p.Marshal(), b) {
		return Policy{}, problem.New(problem.Invalid, "the log policy is not in its one canonical form")
	}
	if _, err := NewVerifier(p); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// Marshal gives the policy's JSON form.
func (p Policy) Marshal() []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		panic(err) // strings and an int always encode
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// Verify is Verifier.Verify for a single checkpoint.
func (p Policy) Verify(signed []byte) (Checkpoint, error) {
	v, err := NewVerifier(p)
	if err != nil {
		return Checkpoint{}, err
	}
	return v.Verify(signed)
}

// Checkpoint is a tree that log and quorum have signed, with the time span of
// the cosignatures on it.
type Checkpoint struct {
	Tree
	Earliest  time.Time
	Latest    time.Time
	Witnesses []string // who cosigned, each once, in the policy's order
}

// Fresh says whether the checkpoint can stand for the present: every
// cosignature is at most maxAge old, and our clock is not behind theirs by
// more than MaxSkew.
func (c Checkpoint) Fresh(now time.Time, maxAge time.Duration) error {
	if c.Latest.Sub(now) > MaxSkew {
		return refusal(ErrClock, "this machine's clock is more than %v behind the witnesses'; set it", MaxSkew)
	}
	if now.Sub(c.Earliest) > maxAge {
		return refusal(ErrStale, "the checkpoint was cosigned more than %v ago, or this machine's clock is ahead; fetch a new one", maxAge)
	}
	return nil
}

// Within judges a span of validity by the witnesses' time: not-before by the
// earliest cosignature, expiry by the latest, so that no single clock can
// stretch it. A zero bound is open.
func (c Checkpoint) Within(notBefore, notAfter time.Time) error {
	if !notBefore.IsZero() && c.Earliest.Before(notBefore) {
		return problem.New(problem.Denied, "by the witnesses' clocks this is not valid yet")
	}
	if !notAfter.IsZero() && c.Latest.After(notAfter) {
		return problem.New(problem.Denied, "by the witnesses' clocks this has expired")
	}
	return nil
}

// Verifier is a Policy made ready to verify many checkpoints and proofs, or several that followed each other (see Term). It
// remembers the last checkpoint that it accepted, whose signatures it does not
// check again. Safe for concurrent use.
type Verifier struct {
	terms []*term // newest first, at least one

	mu       sync.Mutex
	last     []byte
	lastRead Checkpoint
}

// term is a policy made ready, with the time in which it counts.
type term struct {
	Term
	policy    Policy
	log       note.Verifier
	beside    note.Verifier // the log's last other key before, which may sign too; nil if there is none
	witnesses []note.Verifier
	known     note.Verifiers
}

// Term is a policy with the trees for which it counts. The zero bounds are open.
type Term struct {
	Policy
	From  int64     // the smallest tree
	Until int64     // the largest tree that counts at whatever time it was cosigned
	Ends  time.Time // larger trees count if the whole quorum cosigned by then
}

// counts judges a checkpoint that the term's policy accepts.
func (t Term) counts(c Checkpoint) error {
	if c.Size < t.From {
		return refusal(ErrUnknownRoots, "the checkpoint is signed by keys that were not in force yet for a log of its size")
	}
	if t.Until > 0 && c.Size > t.Until && c.Latest.After(t.Ends) {
		return refusal(ErrUnknownRoots, "the checkpoint is signed by keys that were replaced before; fetch a new one, and the trust files")
	}
	return nil
}

// NewSuccession makes the verifier of a log whose policy changed: terms from the first to the one in force. A checkpoint counts if the policy of
// one of them accepts it in its time. While keys roll over, the log may sign with its old key too, in the line behind the new one's.
func NewSuccession(terms ...Term) (*Verifier, error) {
	if len(terms) == 0 {
		return nil, problem.New(problem.Invalid, "a log has a policy")
	}
	v := &Verifier{}
	for _, one := range terms {
		t, err := newTerm(one)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(v.terms, func(before *term) bool { return before.policy.Log != t.policy.Log }); i >= 0 {
			t.beside = v.terms[i].log
			if ambiguous(append(slices.Clone(t.witnesses), t.log), t.beside) {
				return nil, problem.New(problem.Invalid, "the log's new key cannot be told from the one before; make another")
			}
			t.known = note.VerifierList(append([]note.Verifier{t.log, t.beside}, t.witnesses...)...)
		}
		v.terms = append([]*term{t}, v.terms...)
	}
	return v, nil
}

// NewVerifier checks a policy: well-formed keys, a quorum between one and the
// number of witnesses, no key twice, none that is the log's.
func NewVerifier(p Policy) (*Verifier, error) { return NewSuccession(Term{Policy: p}) }

func newTerm(of Term) (*term, error) {
	p := of.Policy
	if !validName(p.Origin) || len(p.Witnesses) > MaxWitnesses || p.Quorum < 1 || p.Quorum > len(p.Names()) {
		return nil, problem.New(problem.Invalid, "a log policy names an origin, at most %d witness keys and a quorum from 1 to the number of witnesses", MaxWitnesses)
	}
	name, _, logKey, err := parseVerifierKey(p.Log, algEd25519)
	if err != nil || name != p.Origin {
		return nil, problem.New(problem.Invalid, "the log's verifier key must be Ed25519 and carry the origin as its name")
	}
	v := &term{Term: of, policy: p}
	if v.log, err = note.NewVerifier(p.Log); err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the log's verifier key is malformed")
	}
	longest := len(Tree{Origin: p.Origin, Size: 1<<63 - 1}.Text()) + 1 + lineLength(name, ed25519.SignatureSize)
	keys, perName := [][]byte{logKey}, map[string]int{}
	for i, w := range p.Witnesses {
		name, alg, key, err := parseVerifierKey(w, algCosignature, algMLDSA44)
		if err != nil {
			return nil, problem.New(problem.Invalid, "witness key %d must be a verifier key of Ed25519 (0x04) or ML-DSA-44 (0x06) cosignatures under which not everybody can sign", i+1)
		}
		wv, err := newCosignatureVerifier(w)
		if err != nil {
			return nil, err
		}
		if name == p.Origin || slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) || ambiguous(v.witnesses, wv) {
			return nil, problem.New(problem.Invalid, "witness key %d is used twice, or is or is named like the log's own; one party must not count as two", i+1)
		}
		if perName[name]++; perName[name] > maxKeysOfOne {
			return nil, problem.New(problem.Invalid, "the witness %s has more than %d keys; drop those that have rolled over", name, maxKeysOfOne)
		}
		longest += lineLength(name, timeLength+signatureLength(alg))
		keys, v.witnesses = append(keys, key), append(v.witnesses, wv)
	}
	if longest > MaxNote {
		return nil, problem.New(problem.Invalid, "a checkpoint that all these witness keys have signed would be longer than %d bytes; name fewer", MaxNote)
	}
	v.known = note.VerifierList(append([]note.Verifier{v.log}, v.witnesses...)...)
	return v, nil
}

// Names gives the policy's witnesses, each once, in its order.
func (p Policy) Names() []string {
	var names []string
	for _, key := range p.Witnesses {
		if name, _, _ := strings.Cut(key, "+"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// KeysOf gives the verifier keys of one witness.
func (p Policy) KeysOf(name string) []string {
	return slices.DeleteFunc(slices.Clone(p.Witnesses), func(key string) bool { return !strings.HasPrefix(key, name+"+") })
}

// ambiguous says whether a signature line could not be told from one of a key before:
// key hashes have 32 bits only.
func ambiguous(before []note.Verifier, v note.Verifier) bool {
	return slices.ContainsFunc(before, func(b note.Verifier) bool { return b.Name() == v.Name() && b.KeyHash() == v.KeyHash() })
}

const timeLength = 8 // of a cosignature, before the signature itself

func signatureLength(alg byte) int {
	if alg == algMLDSA44 {
		return mldsa.MLDSA44SignatureSize
	}
	return ed25519.SignatureSize
}

// lineLength is the length of a signature line.
func lineLength(name string, signature int) int {
	return len("— ") + len(name) + 1 + base64.StdEncoding.EncodedLen(4+signature) + 1
}

// newCosignatureVerifier is for keys that parseVerifierKey has accepted.
func newCosignatureVerifier(vkey string) (note.Verifier, error) {
	v, err := cosignature.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "a witness's verifier key is malformed")
	}
	return v, nil
}

// Policy gives the policy in force.
func (v *Verifier) Policy() Policy { return v.terms[0].policy }

// Policies gives every policy that v enforces, newest first.
func (v *Verifier) Policies() []Policy {
	var list []Policy
	for _, t := range v.terms {
		list = append(list, t.policy)
	}
	return list
}

// Verify accepts a checkpoint that the log and at least the quorum of
// witnesses signed, within MaxSkew of each other, and that is byte for byte in
// its one form: no other signature, none twice, in the policy's order.
func (v *Verifier) Verify(signed []byte) (Checkpoint, error) {
	v.mu.Lock()
	last, read := v.last, v.lastRead
	v.mu.Unlock()
	if last != nil && bytes.Equal(last, signed) {
		return read, nil
	}
	c, err := v.verify(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	v.mu.Lock()
	v.last, v.lastRead = bytes.Clone(signed), c
	v.mu.Unlock()
	return c, nil
}

// Tree reads a checkpoint of the policy's log whoever else signed it: what the
// log claims, which without a quorum proves nothing.
func (v *Verifier) Tree(signed []byte) (Tree, error) {
	var keys []note.Verifier
	for _, t := range v.terms {
		if !slices.ContainsFunc(keys, func(k note.Verifier) bool { return k.KeyHash() == t.log.KeyHash() }) {
			keys = append(keys, t.log)
		}
	}
	return OpenTree(signed, keys...)
}

// verify tries the policies, newest first. Which refusal is given: of a policy whose log signed, else of the one in force.
func (v *Verifier) verify(signed []byte) (Checkpoint, error) {
	var refused error
	for _, t := range v.terms {
		c, err := t.verify(signed)
		if err == nil {
			err = t.counts(c)
		}
		if err == nil {
			return c, nil
		}
		if refused == nil || errors.Is(refused, ErrUnknownRoots) && !errors.Is(err, ErrUnknownRoots) {
			refused = err
		}
	}
	return Checkpoint{}, refused
}

func (v *term) verify(signed []byte) (Checkpoint, error) {
	c, cosigned, err := v.read(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Witnesses = names(cosigned); len(c.Witnesses) < v.policy.Quorum {
		return Checkpoint{}, refusal(ErrUnwitnessed, "only %d of the %d witnesses that the policy asks for have cosigned; wait for the next checkpoint", len(c.Witnesses), v.policy.Quorum)
	}
	for _, s := range cosigned {
		if c.Earliest.IsZero() || s.Time.Before(c.Earliest) {
			c.Earliest = s.Time
		}
		if s.Time.After(c.Latest) {
			c.Latest = s.Time
		}
	}
	if c.Latest.Sub(c.Earliest) > MaxSkew {
		return Checkpoint{}, refusal(ErrClock, "the witnesses' clocks are more than %v apart", MaxSkew)
	}
	return c, nil
}

// names gives who cosigned, each witness once.
func names(cosigned []Cosignature) []string {
	var out []string
	for _, s := range cosigned {
		if !slices.Contains(out, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

// read checks everything about a checkpoint but quorum and times.
func (v *term) read(signed []byte) (Checkpoint, []Cosignature, error) {
	if len(signed) > MaxNote {
		return Checkpoint{}, nil, refusal(ErrAltered, "a checkpoint has at most %d bytes", MaxNote)
	}
	n, err := note.Open(signed, v.known)
	if err != nil {
		return Checkpoint{}, nil, noteRefusal(err)
	}
	tree, err := ParseTree(n.Text)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	logLine, cosigned, err := v.signatures(n)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	if tree.Origin != v.policy.Origin || logLine == "" {
		return Checkpoint{}, nil, refusal(ErrUnknownRoots, "the checkpoint is of another log than the policy's")
	}
	if len(n.UnverifiedSigs) > 0 {
		return Checkpoint{}, nil, refusal(ErrUnknownRoots, "the checkpoint carries a signature by a key that the policy does not name")
	}
	if !bytes.Equal(joinNote(tree, logLine, cosigned), signed) {
		return Checkpoint{}, nil, refusal(ErrAltered, "the checkpoint is not in its one canonical form")
	}
	return Checkpoint{Tree: tree}, cosigned, nil
}

func joinNote(tree Tree, logLine string, cosigned []Cosignature) []byte {
	out := append([]byte(tree.Text()), '\n')
	out = append(out, logLine...)
	for _, s := range cosigned {
		out = append(out, s.Line...)
	}
	return out
}

// signatures gives the log's line ("" if absent) and the cosignatures in the
// policy's order, each encoded again from its decoded bytes.
func (v *term) signatures(n *note.Note) (logLine string, cosigned []Cosignature, err error) {
	of := func(known note.Verifier) ([]byte, bool) {
		for _, s := range n.Sigs {
			if s.Name == known.Name() && s.Hash == known.KeyHash() {
				raw, err := base64.StdEncoding.DecodeString(s.Base64)
				return raw, err == nil
			}
		}
		return nil, false
	}
	if raw, ok := of(v.log); ok {
		logLine = signatureLine(v.log.Name(), raw)
	}
	if raw, ok := ofKey(v.beside, of); ok && logLine != "" {
		logLine += signatureLine(v.log.Name(), raw)
	}
	for i, w := range v.witnesses {
		raw, ok := of(w)
		if !ok {
			continue
		}
		at, err := cosignatureTime(raw)
		if err != nil {
			return "", nil, err
		}
		cosigned = append(cosigned, Cosignature{Name: w.Name(), Time: at, Line: signatureLine(w.Name(), raw), order: i})
	}
	return logLine, cosigned, nil
}

// ofKey is of for a key that there may not be.
func ofKey(key note.Verifier, of func(note.Verifier) ([]byte, bool)) ([]byte, bool) {
	if key == nil {
		return nil, false
	}
	return of(key)
}

// maxUnix is the last second of the year 9999: beyond it times do not compare as expected.
const maxUnix = 253402300799

// cosignatureTime reads keyhash[4] ‖ time[8] ‖ signature, which was verified and so has its length.
func cosignatureTime(raw []byte) (time.Time, error) {
	if len(raw) < 4+timeLength {
		return time.Time{}, refusal(ErrAltered, "a cosignature has the wrong length")
	}
	sec := binary.BigEndian.Uint64(raw[4:])
	if sec == 0 || sec > maxUnix {
		return time.Time{}, refusal(ErrClock, "a cosignature's time is out of range")
	}
	return time.Unix(int64(sec), 0).UTC(), nil
}

// Cosignatures verifies one witness's signature lines on a checkpoint, one per
// key. It is how a log judges what a witness answered.
func (v *Verifier) Cosignatures(text string, lines string) ([]Cosignature, error) {
	inForce := v.terms[0]
	n, err := note.Open([]byte(text+"\n"+lines), note.VerifierList(inForce.witnesses...))
	if err != nil {
		return nil, noteRefusal(err)
	}
	_, cosigned, err := inForce.signatures(n)
	if err != nil {
		return nil, err
	}
	var same strings.Builder
	for _, sig := range n.Sigs {
		if raw, err := base64.StdEncoding.DecodeString(sig.Base64); err == nil {
			same.WriteString(signatureLine(sig.Name, raw))
		}
	}
	if len(names(cosigned)) != 1 || same.String() != lines {
		return nil, refusal(ErrAltered, "the cosignature is not in its one canonical form")
	}
	return cosigned, nil
}

// Assemble makes the checkpoint to publish from the one that the log signed
// and cosignatures from Cosignatures: of all sets whose times lie within
// MaxSkew it takes the one of most witnesses (the latest of these), so that one
// witness with a wrong clock cannot spoil a quorum, and verifies the result.
func (v *Verifier) Assemble(signed []byte, cosigned []Cosignature) ([]byte, Checkpoint, error) {
	text, logLine, ok := splitNote(signed)
	if !ok {
		return nil, Checkpoint{}, refusal(ErrAltered, "the checkpoint is not a signed note")
	}
	chosen := largestWindow(cosigned)
	slices.SortFunc(chosen, func(a, b Cosignature) int { return a.order - b.order })
	out := fmt.Appendf(nil, "%s\n%s", text, logLine)
	for _, s := range chosen {
		out = append(out, s.Line...)
	}
	c, err := v.Verify(out)
	if err != nil {
		return nil, Checkpoint{}, err
	}
	return out, c, nil
}

func largestWindow(cosigned []Cosignature) []Cosignature {
	sorted := slices.Clone(cosigned)
	slices.SortStableFunc(sorted, func(a, b Cosignature) int { return a.Time.Compare(b.Time) })
	var best []Cosignature
	for from, to := 0, 0; to < len(sorted); to++ {
		for sorted[to].Time.Sub(sorted[from].Time) > MaxSkew {
			from++
		}
		if window := sorted[from : to+1]; len(names(window)) >= len(names(best)) {
			best = window
		}
	}
	return best
}

// CheckInclusion verifies a Merkle path: leaf stands at index in the tree.
func (t Tree) CheckInclusion(leaf tlog.Hash, index int64, path []tlog.Hash) error {
	if index < 0 || index >= t.Size {
		return refusal(ErrUnwitnessed, "the checkpoint is older than the entry; fetch a newer proof")
	}
	if root, ok := rootOf(leaf, index, t.Size, path); !ok || root != t.Root {
		return refusal(ErrAltered, "the proof does not lead from this entry to the checkpoint's root")
	}
	return nil
}

// rootOf follows a path from the leaf at index to the root of a tree of size entries (RFC 9162, section 2.1.3.2). It is
// tlog.CheckRecord without its recursion, which takes as long again as the hashes do: who verifies, verifies many.
func rootOf(leaf tlog.Hash, index, size int64, path []tlog.Hash) (root tlog.Hash, ok bool) {
	var node [1 + 2*tlog.HashSize]byte
	node[0] = 1 // RFC 6962: 0x01 ‖ left ‖ right
	left, right := node[1:1+tlog.HashSize], node[1+tlog.HashSize:]
	root, last := leaf, size-1 // last is the index of the rightmost node of index's level
	for i := range path {
		if last == 0 {
			return root, false // the path goes on above the root
		}
		if index&1 == 1 || index == last {
			copy(left, path[i][:])
			copy(right, root[:])
			for index&1 == 0 && index != 0 {
				index, last = index>>1, last>>1 // the rightmost node has no sibling here
			}
		} else {
			copy(left, root[:])
			copy(right, path[i][:])
		}
		root = sha256.Sum256(node[:])
		index, last = index>>1, last>>1
	}
	return root, last == 0
}

// CheckConsistency verifies that t continues old: whatever old contained, t
// contains at the same place.
func (t Tree) CheckConsistency(old Tree, path []tlog.Hash) error {
	if old.Origin != t.Origin || old.Size > t.Size || old.Size == 0 && (len(path) > 0 || old.Root != emptyRoot) {
		return refusal(ErrAltered, "the newer checkpoint does not continue the older one")
	}
	if old.Size == 0 {
		return nil
	}
	if old.Size == t.Size && (old.Root != t.Root || len(path) > 0) || tlog.CheckTree(path, t.Size, t.Root, old.Size, old.Root) != nil {
		return refusal(ErrAltered, "the newer checkpoint does not continue the older one")
	}
	return nil
}
