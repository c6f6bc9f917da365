package ledger

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/problem"
)

// Evidence is a proof of misbehaviour that anybody checks with nothing but the
// file: two statements by the same keys of which one must be a lie.
//
//	arca/v1/evidence fork
//	key <verifier key>           the accused, 1 to 33: the log's (0x01) first
//	root <base64 hash>           only of a fork: what the second tree's first
//	                             entries, as many as the first tree has, hash to
//	<base64 hash>                zero to 63 lines: consistency proof from that
//	                             root to the second tree; only of a fork
//
//	checkpoint <bytes>           a note, signed by all the accused and nobody
//	<note>                       else, in their order
//	checkpoint <bytes>
//	<note>
//
// A fork: the first tree is not longer than the second, and the second's
// beginning has another root. Of equal sizes the smaller root is first and the path
// is empty. Log and witnesses that signed both have lied: an honest log appends
// only, an honest witness signs only what continues what it has signed.
//
// A rollback (arca/v1/evidence rollback): witnesses signed the first, larger tree
// and at a later second the second, smaller one. A cosignature says that its tree is the
// largest that the witness has seen: its state or its clock went back.
type Evidence struct {
	Kind    string // KindFork or KindRollback
	Accused []Accused
	First   Tree
	Second  Tree
	Root    tlog.Hash // of a fork
	Path    []tlog.Hash

	first, second []byte // the notes
}

// Accused is a key that signed both statements.
type Accused struct {
	Key    string    // verifier key
	Name   string    // the log's origin, or the witness's name
	Log    bool      // it is the log's
	First  time.Time // of its cosignature on the first tree; zero for the log
	Second time.Time
}

// The kinds of evidence.
const (
	KindFork     = "fork"
	KindRollback = "rollback"
)

const (
	evidenceHeader = "arca/v1/evidence "
	// MaxEvidence is the longest evidence that anyone reads, in bytes.
	MaxEvidence = 2*MaxNote + maxPolicyBytes + maxPath*(hashText+1) + 1024
)

// IsEvidence says whether a file is meant to be evidence.
func IsEvidence(b []byte) bool { return bytes.HasPrefix(b, []byte(evidenceHeader)) }

// Marshal gives the one form of the evidence.
func (e *Evidence) Marshal() []byte {
	out := fmt.Appendf(nil, "%s%s\n", evidenceHeader, e.Kind)
	for _, a := range e.Accused {
		out = fmt.Appendf(out, "key %s\n", a.Key)
	}
	if e.Kind == KindFork {
		out = fmt.Appendf(out, "root %s\n", e.Root)
	}
	out = appendPath(out, e.Path)
	for _, signed := range [][]byte{e.first, e.second} {
		out = append(fmt.Appendf(out, "checkpoint %d\n", len(signed)), signed...)
	}
	return out
}

// ParseEvidence reads evidence and judges it: what it returns is proven, for
// whoever believes that the keys are whose they are said to be (Policy.Names,
// Policy.Log). Everything else is refused.
func ParseEvidence(b []byte) (*Evidence, error) {
	if len(b) > MaxEvidence {
		return nil, refusal(ErrAltered, "evidence has at most %d bytes", MaxEvidence)
	}
	e, keys, err := cutEvidence(b)
	if err != nil {
		return nil, err
	}
	if err := e.open(keys); err != nil {
		return nil, err
	}
	if !bytes.Equal(e.Marshal(), b) {
		return nil, refusal(ErrAltered, "the evidence is not in its one canonical form")
	}
	return e, e.judge()
}

// cutEvidence takes the parts of the file apart. Nothing is checked but their form.
func cutEvidence(b []byte) (e *Evidence, keys []string, err error) {
	bad := refusal(ErrAltered, "evidence is a header, keys, a root and path of a fork, and two checkpoints")
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	kind, ok := strings.CutPrefix(string(line), evidenceHeader)
	if !ok || kind != KindFork && kind != KindRollback {
		return nil, nil, bad
	}
	e = &Evidence{Kind: kind}
	for bytes.HasPrefix(rest, []byte("key ")) {
		line, rest, _ = bytes.Cut(rest[len("key "):], []byte("\n"))
		if keys = append(keys, string(line)); len(keys) > 1+MaxWitnesses {
			return nil, nil, bad
		}
	}
	if kind == KindFork {
		if line, rest, _ = bytes.Cut(rest, []byte("\n")); !bytes.HasPrefix(line, []byte("root ")) {
			return nil, nil, bad
		}
		if e.Root, err = parseHash(line[len("root "):]); err != nil {
			return nil, nil, bad
		}
	}
	if e.Path, rest, err = cutPath(rest, nil); err != nil {
		return nil, nil, err
	}
	for _, signed := range []*[]byte{&e.first, &e.second} {
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		length, ok := strings.CutPrefix(string(line), "checkpoint ")
		n, err := strconv.Atoi(length)
		if !ok || err != nil || n <= 0 || n > min(len(rest), MaxNote) {
			return nil, nil, bad
		}
		*signed, rest = rest[:n], rest[n:]
	}
	if len(rest) > 0 {
		return nil, nil, bad
	}
	return e, keys, nil
}

// open verifies that each key, and nobody else, has signed both notes, in order.
func (e *Evidence) open(keys []string) error {
	var known []note.Verifier
	for _, key := range keys {
		v, log, err := evidenceKey(key)
		if err != nil || ambiguous(known, v) || log && len(known) > 0 {
			return refusal(ErrAltered, "the evidence names a key twice, out of order, or one under which anybody signs")
		}
		known = append(known, v)
		e.Accused = append(e.Accused, Accused{Key: key, Name: v.Name(), Log: log})
	}
	if len(known) == 0 {
		return refusal(ErrAltered, "the evidence accuses nobody")
	}
	var err error
	if e.First, err = e.openNote(e.first, known, func(a *Accused) *time.Time { return &a.First }); err != nil {
		return err
	}
	e.Second, err = e.openNote(e.second, known, func(a *Accused) *time.Time { return &a.Second })
	return err
}

// evidenceKey makes the verifier of an accused key.
func evidenceKey(key string) (v note.Verifier, log bool, err error) {
	_, alg, _, err := parseVerifierKey(key, algEd25519, algCosignature, algMLDSA44)
	if err != nil {
		return nil, false, err
	}
	if alg == algEd25519 {
		v, err = note.NewVerifier(key)
		return v, true, err
	}
	v, err = newCosignatureVerifier(key)
	return v, false, err
}

func (e *Evidence) openNote(signed []byte, known []note.Verifier, at func(*Accused) *time.Time) (Tree, error) {
	n, err := note.Open(signed, note.VerifierList(known...))
	if err != nil {
		return Tree{}, noteRefusal(err)
	}
	tree, err := ParseTree(n.Text)
	if err != nil {
		return Tree{}, err
	}
	same := append([]byte(tree.Text()), '\n')
	if len(n.Sigs) != len(known) {
		return Tree{}, refusal(ErrAltered, "not every accused key has signed both checkpoints")
	}
	for i, sig := range n.Sigs {
		raw, err := strictBase64.DecodeString(sig.Base64)
		if err != nil || sig.Name != known[i].Name() || sig.Hash != known[i].KeyHash() {
			return Tree{}, refusal(ErrAltered, "the evidence's signatures are not in the order of its keys")
		}
		same = append(same, signatureLine(sig.Name, raw)...)
		if a := &e.Accused[i]; !a.Log {
			if *at(a), err = cosignatureTime(raw); err != nil {
				return Tree{}, err
			}
		} else if a.Name != tree.Origin {
			return Tree{}, refusal(ErrAltered, "a log's key carries its origin as its name")
		}
	}
	if !bytes.Equal(same, signed) {
		return Tree{}, refusal(ErrAltered, "a checkpoint of the evidence is not in its one canonical form")
	}
	return tree, nil
}

// judge decides whether the two statements contradict each other.
func (e *Evidence) judge() error {
	if e.First.Origin != e.Second.Origin {
		return refusal(ErrAltered, "the two checkpoints are of different logs, which contradicts nothing")
	}
	if e.Kind == KindRollback {
		return e.judgeRollback()
	}
	beginning := Tree{Origin: e.First.Origin, Size: e.First.Size, Root: e.Root}
	if e.First.Size == e.Second.Size && bytes.Compare(e.First.Root[:], e.Second.Root[:]) > 0 {
		return refusal(ErrAltered, "of two trees of one size the one with the smaller root comes first")
	}
	if err := e.Second.CheckConsistency(beginning, e.Path); err != nil {
		return refusal(ErrAltered, "the second tree does not begin with the root that the evidence says")
	}
	if e.Root == e.First.Root {
		return refusal(ErrAltered, "the second tree continues the first, which contradicts nothing")
	}
	return nil
}

func (e *Evidence) judgeRollback() error {
	if len(e.Path) > 0 || e.First.Size <= e.Second.Size {
		return refusal(ErrAltered, "a rollback is a larger tree first, a smaller one later, and no path")
	}
	for _, a := range e.Accused {
		if a.Log || !a.First.Before(a.Second) {
			return refusal(ErrAltered, "a rollback accuses witnesses whose cosignature of the smaller tree is the later one")
		}
	}
	return nil
}

// claims is who of the policy says what with a checkpoint, whatever else it carries.
type claims struct {
	tree  Tree
	lines map[string]string // signature line by verifier key
	times map[string]time.Time
}

// claims reads what a checkpoint says under every policy that v knows: keys that were replaced can have contradicted themselves too.
func (v *Verifier) claims(signed []byte) (claims, error) {
	c := claims{lines: map[string]string{}, times: map[string]time.Time{}}
	if len(signed) > MaxNote {
		return c, refusal(ErrAltered, "a checkpoint has at most %d bytes", MaxNote)
	}
	var refused error
	for _, t := range v.terms {
		if err := t.claims(signed, &c); err != nil && refused == nil {
			refused = err
		}
	}
	if len(c.lines) == 0 && refused != nil {
		return c, refused
	}
	return c, nil
}

func (v *term) claims(signed []byte, c *claims) error {
	n, err := note.Open(signed, note.VerifierList(append([]note.Verifier{v.log}, v.witnesses...)...))
	if err != nil {
		return noteRefusal(err)
	}
	tree, err := ParseTree(n.Text)
	if err != nil {
		return err
	}
	if tree.Origin != v.policy.Origin {
		return refusal(ErrUnknownRoots, "the checkpoint is of another log than the policy's")
	}
	logLine, cosigned, err := v.signatures(n)
	if err != nil {
		return err
	}
	c.tree = tree
	if logLine != "" {
		c.lines[v.policy.Log] = logLine
	}
	for _, s := range cosigned {
		key := v.policy.Witnesses[s.order]
		c.lines[key], c.times[key] = s.Line, s.Time
	}
	return nil
}

// accusable lists every key of v's policies: logs' keys, newest first, then witnesses'.
func (v *Verifier) accusable() (logs, witnesses []string) {
	for _, t := range v.terms {
		if !slices.Contains(logs, t.policy.Log) {
			logs = append(logs, t.policy.Log)
		}
		for _, w := range t.policy.Witnesses {
			if !slices.Contains(witnesses, w) {
				witnesses = append(witnesses, w)
			}
		}
	}
	return logs, witnesses
}

// LastCosigned is the latest time at which a witness of the policy has cosigned a
// checkpoint, whoever signed it besides; the zero time if none has.
func (v *Verifier) LastCosigned(signed []byte) (latest time.Time, err error) {
	c, err := v.claims(signed)
	for _, at := range c.times {
		if at.After(latest) {
			latest = at
		}
	}
	return latest, err
}

// Contradiction holds two checkpoints of the policy's log against each other, each
// signed by whoever of the policy. It gives evidence if the same keys have signed
// both and cannot have done so honestly, nil if nothing speaks against it. hashes
// gives those of the larger tree, for two different sizes only; its errors are returned.
func (v *Verifier) Contradiction(a, b []byte, hashes func(larger Tree) tlog.HashReader) (*Evidence, error) {
	first, err := v.claims(a)
	if err != nil {
		return nil, err
	}
	second, err := v.claims(b)
	if err != nil {
		return nil, err
	}
	if c := cmpTrees(first.tree, second.tree); c > 0 {
		first, second = second, first
	}
	e := &Evidence{Kind: KindFork, Root: second.tree.Root}
	if first.tree.Size < second.tree.Size {
		reader := hashes(second.tree)
		if e.Root, err = RootAt(second.tree, first.tree.Size, reader); err != nil {
			return nil, err
		}
		if e.Path, err = ProveConsistency(second.tree, first.tree.Size, reader); err != nil {
			return nil, err
		}
	}
	if e.Root != first.tree.Root {
		return v.accuse(e, first, second, func(string) bool { return true })
	}
	logs, _ := v.accusable()
	return v.accuse(&Evidence{Kind: KindRollback}, second, first, func(key string) bool {
		return !slices.Contains(logs, key) && second.times[key].Before(first.times[key])
	})
}

// Shown holds two checkpoints against each other of which the log offered the second, larger one, with a consistency proof that does not lead from the
// first. Such a proof can show what the second tree did begin with: then there is evidence. It gives nil where the proof shows nothing,
// because it is wrong altogether, or because the first tree's size is a power of two, whose proof does not hold what it starts from.
func (v *Verifier) Shown(kept, offered []byte, path []tlog.Hash) (*Evidence, error) {
	first, err := v.claims(kept)
	if err != nil {
		return nil, err
	}
	second, err := v.claims(offered)
	if err != nil {
		return nil, err
	}
	if first.tree.Size < 1 || first.tree.Size >= second.tree.Size {
		return nil, nil
	}
	began, ends, ok := rootsOf(path, first.tree.Size, second.tree.Size)
	if !ok || ends != second.tree.Root || began == first.tree.Root {
		return nil, nil
	}
	return v.accuse(&Evidence{Kind: KindFork, Root: began, Path: path}, first, second, func(string) bool { return true })
}

// rootsOf gives the two roots to which a consistency proof leads (RFC 9162, section 2.1.4.2), of trees of m and n entries; not if m is a power of two.
func rootsOf(path []tlog.Hash, m, n int64) (before, after tlog.Hash, ok bool) {
	if m&(m-1) == 0 || len(path) == 0 {
		return before, after, false
	}
	at, last := m-1, n-1
	for at&1 == 1 {
		at, last = at>>1, last>>1
	}
	before, after = path[0], path[0]
	for _, h := range path[1:] {
		if last == 0 {
			return before, after, false
		}
		if at&1 == 1 || at == last {
			before, after = tlog.NodeHash(h, before), tlog.NodeHash(h, after)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			after = tlog.NodeHash(after, h)
		}
		at, last = at>>1, last>>1
	}
	return before, after, last == 0
}

func cmpTrees(a, b Tree) int {
	if a.Size != b.Size {
		return int(min(max(a.Size-b.Size, -1), 1))
	}
	return bytes.Compare(a.Root[:], b.Root[:])
}

// accuse completes evidence with the keys that signed both and that guilty names, or gives nil if there is none.
func (v *Verifier) accuse(e *Evidence, first, second claims, guilty func(key string) bool) (*Evidence, error) {
	both := func(key string) bool { return first.lines[key] != "" && second.lines[key] != "" && guilty(key) }
	logs, witnesses := v.accusable()
	var keys []string
	if i := slices.IndexFunc(logs, both); i >= 0 {
		keys = append(keys, logs[i]) // one of the log's keys is enough, and the form has room for one
	}
	for _, key := range witnesses {
		if both(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 || first.tree == second.tree {
		return nil, nil
	}
	join := func(c claims) []byte {
		out := append([]byte(c.tree.Text()), '\n')
		for _, key := range keys {
			out = append(out, c.lines[key]...)
		}
		return out
	}
	e.first, e.second = join(first), join(second)
	if err := e.open(keys); err != nil {
		return nil, err
	}
	return e, e.judge()
}

// RootAt is the root that a tree had when it had size entries.
func RootAt(t Tree, size int64, hashes tlog.HashReader) (tlog.Hash, error) {
	switch {
	case size < 0 || size > t.Size:
		return tlog.Hash{}, problem.New(problem.Invalid, "the older size lies outside the tree")
	case size == 0:
		return emptyRoot, nil
	case size == t.Size:
		return t.Root, nil
	}
	root, err := tlog.TreeHash(size, hashes)
	return root, tileRefusal(err)
}

// KnownTo gives those of the accused whose keys a policy of v names, now or before. Of the others the evidence says that a key
// has contradicted itself, and not whose it is.
func (e *Evidence) KnownTo(v *Verifier) []Accused {
	logs, witnesses := v.accusable()
	return slices.DeleteFunc(slices.Clone(e.Accused), func(a Accused) bool {
		return !slices.Contains(logs, a.Key) && !slices.Contains(witnesses, a.Key)
	})
}
