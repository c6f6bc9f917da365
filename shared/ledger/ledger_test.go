package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	formatslog "github.com/transparency-dev/formats/log"
	formatsnote "github.com/transparency-dev/formats/note"
	formatsproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/problem"
)

const origin = "vault.example/log"

var noon = time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)

func testKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// forest is a log in memory with n witnesses.
type forest struct {
	tiles     map[Tile][]byte
	edge      *Edge
	signer    note.Signer
	cosigners []*Cosigner
	policy    Policy
}

func newForest(t testing.TB, witnesses, quorum int) *forest {
	f := &forest{tiles: map[Tile][]byte{}, edge: &Edge{}}
	signer, vkey, err := NewLogSigner(origin, testKey("log"))
	if err != nil {
		t.Fatal(err)
	}
	f.signer = signer
	f.policy = Policy{Origin: origin, Log: vkey, Quorum: quorum}
	for i := range witnesses {
		name := fmt.Sprintf("witness-%d.example", i+1)
		c, err := NewCosigner(name, testKey(name))
		if err != nil {
			t.Fatal(err)
		}
		f.cosigners = append(f.cosigners, c)
		f.policy.Witnesses = append(f.policy.Witnesses, c.VerifierKey())
	}
	return f
}

func entry(n int) Entry { return Commit(Opening{Event: fmt.Appendf(nil, "event %d", n)}) }

func (f *forest) grow(to int) {
	var list []Entry
	for n := int(f.edge.Size()); n < to; n++ {
		list = append(list, entry(n))
	}
	next, objects := f.edge.Append(list)
	for _, o := range objects {
		f.tiles[o.Tile] = o.Data
	}
	f.edge = next
}

func (f *forest) fetch(t Tile) ([]byte, error) {
	if data, ok := f.tiles[t]; ok {
		return data, nil
	}
	return nil, problem.New(problem.NotFound, "no tile %s", t.Path())
}

func (f *forest) tree() Tree { return Tree{Origin: origin, Size: f.edge.Size(), Root: f.edge.Root()} }

// checkpoint is the tree signed by the log and cosigned at the given offsets
// from noon, one per witness; a negative-infinite gap leaves a witness out.
func (f *forest) checkpoint(t testing.TB, offsets ...time.Duration) []byte {
	signed, err := SignTree(f.tree(), f.signer)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range offsets {
		if d != absent {
			signed = append(signed, f.cosigners[i].Cosign(f.tree(), noon.Add(d)).Line...)
		}
	}
	return signed
}

const absent = time.Duration(-1 << 62)

func (f *forest) proof(t testing.TB, index int64, checkpoint []byte) []byte {
	path, err := ProveInclusion(f.tree(), index, Reader(f.tree(), f.fetch))
	if err != nil {
		t.Fatal(err)
	}
	return Proof{Index: index, Path: path, Checkpoint: checkpoint}.Marshal()
}

func TestCommitGolden(t *testing.T) {
	o := Opening{Event: []byte(`{"kind":"request"}`)}
	for i := range o.Random {
		o.Random[i] = byte(i)
	}
	golden(t, "entry", []byte(Commit(o).String()+"\n"+Commit(o).Leaf().String()+"\n"))
	if s := fmt.Sprintf("%v %+v %#v", o, o, o); strings.Contains(s, "request") {
		t.Fatal("an opening prints its event: " + s)
	}
}

func TestGoldenArtefacts(t *testing.T) {
	f := newForest(t, 3, 2)
	f.grow(300)
	cp := f.checkpoint(t, 0, time.Second, 2*time.Second)
	golden(t, "checkpoint", cp)
	golden(t, "policy.json", f.policy.Marshal())
	golden(t, "proof-270", f.proof(t, 270, cp))
	golden(t, "bundle-1", f.tiles[Tile{Entries: true, Number: 1, Width: 44}])
	golden(t, "tile-1-0", f.tiles[Tile{Level: 1, Width: 1}])
	path, err := ProveConsistency(f.tree(), 257, Reader(f.tree(), f.fetch))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "request", Request{Old: 257, Path: path, Checkpoint: f.checkpoint(t)}.Marshal())
}

// golden compares with a committed file; ARCA_WRITE_GOLDEN=1 writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("ARCA_WRITE_GOLDEN") == "1" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, got) {
		t.Fatalf("%s differs from what was committed (%v):\n%s", name, err, got)
	}
}

// TestTreesAgainstASecondImplementation checks roots and proofs of many sizes
// with transparency-dev/merkle.
func TestTreesAgainstASecondImplementation(t *testing.T) {
	f := newForest(t, 0, 0)
	old := f.tree()
	old.Root = emptyRoot
	for _, size := range []int{1, 2, 3, 7, 255, 256, 257, 511, 512, 513, 1000, 65535, 65536, 65537, 70000} {
		f.grow(size)
		tree := f.tree()
		reopened, err := OpenEdge(tree, f.fetch)
		if err != nil || reopened.Root() != tree.Root {
			t.Fatal(size, err)
		}
		reader := Reader(tree, f.fetch)
		for _, i := range []int64{0, 1, 254, 255, 256, 511, int64(size) / 2, int64(size) - 1} {
			if i >= tree.Size {
				continue
			}
			path, err := ProveInclusion(tree, i, reader)
			if err != nil {
				t.Fatal(err)
			}
			e := entry(int(i))
			if err := tree.CheckInclusion(e.Leaf(), i, path); err != nil {
				t.Fatal(err)
			}
			leaf := rfc6962.DefaultHasher.HashLeaf(e[:])
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(size), leaf, raw(path), tree.Root[:]); err != nil {
				t.Fatal(size, i, err)
			}
		}
		path, err := ProveConsistency(tree, old.Size, reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.CheckConsistency(old, path); err != nil {
			t.Fatal(old.Size, size, err)
		}
		if old.Size > 0 {
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old.Size), uint64(size), raw(path), old.Root[:], tree.Root[:]); err != nil {
				t.Fatal(old.Size, size, err)
			}
		}
		old = tree
	}
}

// TestEveryPathOfSmallTrees holds the path check against tlog's for every leaf of every tree up to a size, and with paths that are
// cut, longer, swapped, of another leaf or of another tree.
func TestEveryPathOfSmallTrees(t *testing.T) {
	f := newForest(t, 0, 0)
	checked := 0
	for size := int64(1); size <= 70; size++ {
		f.grow(int(size))
		tree := f.tree()
		reader := Reader(tree, f.fetch)
		for index := range size {
			path, err := ProveInclusion(tree, index, reader)
			if err != nil {
				t.Fatal(err)
			}
			leaf := entry(int(index)).Leaf()
			if err := tree.CheckInclusion(leaf, index, path); err != nil {
				t.Fatal(size, index, err)
			}
			mutants := [][]tlog.Hash{append(slices.Clone(path), leaf), append([]tlog.Hash{leaf}, path...)}
			if len(path) > 0 {
				mutants = append(mutants, path[1:], path[:len(path)-1])
			}
			if len(path) > 1 {
				swapped := slices.Clone(path)
				swapped[0], swapped[1] = swapped[1], swapped[0]
				mutants = append(mutants, swapped)
			}
			for at := max(0, index-2); at < min(size, index+3); at++ {
				for _, p := range append(mutants, path) {
					for _, of := range []int64{size - 1, size, size + 1} {
						if at >= of {
							continue
						}
						claim := Tree{Origin: origin, Size: of, Root: tree.Root}
						want := tlog.CheckRecord(p, of, tree.Root, at, leaf) == nil
						if got := claim.CheckInclusion(leaf, at, p) == nil; got != want {
							t.Fatalf("leaf %d of %d as leaf %d of %d with %d hashes: %v, tlog says %v", index, size, at, of, len(p), got, want)
						}
						checked++
					}
				}
			}
		}
	}
	if checked < 50_000 {
		t.Fatal(checked)
	}
}

func raw(path []tlog.Hash) [][]byte {
	out := [][]byte{}
	for _, h := range path {
		out = append(out, bytes.Clone(h[:]))
	}
	return out
}

func TestRebuiltTilesAreTheSameBytes(t *testing.T) {
	whole, steps := newForest(t, 0, 0), newForest(t, 0, 0)
	whole.grow(66000)
	for _, to := range []int{3, 256, 260, 40000, 65536, 65999, 66000} {
		steps.grow(to)
		reopened, err := OpenEdge(steps.tree(), steps.fetch)
		if err != nil {
			t.Fatal(err)
		}
		steps.edge = reopened
	}
	for tile, data := range whole.tiles {
		if !bytes.Equal(steps.tiles[tile], data) {
			t.Fatalf("%s differs", tile.Path())
		}
		back, err := ParseTilePath(tile.Path())
		if err != nil || back != tile || len(data) != tile.Bytes() {
			t.Fatal(tile, back, err)
		}
	}
}

func TestOthersReadWhatArcaWrites(t *testing.T) {
	f := newForest(t, 2, 2)
	f.grow(1000)
	cp := f.checkpoint(t, 0, 7*time.Second)
	var verifiers []note.Verifier
	for _, w := range f.policy.Witnesses {
		v, err := formatsnote.NewVerifierForCosignatureV1(w)
		if err != nil {
			t.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}
	logKey, err := note.NewVerifier(f.policy.Log)
	if err != nil {
		t.Fatal(err)
	}
	body, _, n, err := formatslog.ParseCheckpoint(cp, origin, logKey, verifiers...)
	if err != nil || len(n.Sigs) != 3 || body.Size != 1000 {
		t.Fatal(err)
	}
	at, err := formatsnote.CoSigV1Timestamp(n.Sigs[2])
	if err != nil || !at.Equal(noon.Add(7*time.Second)) {
		t.Fatal(at, err)
	}
	ours := f.proof(t, 700, cp)
	var theirs formatsproof.TLogProof
	if err := theirs.Unmarshal(ours); err != nil || theirs.Index != 700 || !bytes.Equal(theirs.Marshal(), ours) {
		t.Fatal(err)
	}
	// And Arca reads what another cosigner writes.
	seed := testKey("witness-1.example").Seed()
	skey := fmt.Sprintf("PRIVATE+KEY+witness-1.example+%08x+%s", 0, strictBase64.EncodeToString(append([]byte{algEd25519}, seed...)))
	other, err := formatsnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: f.tree().Text()}, f.signer, other)
	if err != nil {
		t.Fatal(err)
	}
	one := f.policy
	one.Quorum = 1
	if _, err := one.Verify(signed); err != nil {
		t.Fatal(err)
	}
}

func TestPolicySentences(t *testing.T) {
	f := newForest(t, 3, 2)
	f.grow(10)
	m := time.Minute
	far := newForest(t, 3, 2)
	far.cosigners[0], _ = NewCosigner("stranger.example", testKey("stranger"))
	far.edge = f.edge
	otherLog := newForest(t, 3, 2)
	otherLog.edge = f.edge
	otherLog.signer, _, _ = NewLogSigner("other.example/log", testKey("other"))
	cases := []struct {
		name  string
		note  []byte
		wants error
	}{
		{"three of three", f.checkpoint(t, 0, m, 2*m), nil},
		{"two of three", f.checkpoint(t, absent, m, 2*m), nil},
		{"one of three", f.checkpoint(t, absent, m), ErrUnwitnessed},
		{"none", f.checkpoint(t), ErrUnwitnessed},
		{"just five minutes apart", f.checkpoint(t, 0, 5*m), nil},
		{"more than five minutes apart", f.checkpoint(t, 0, 5*m+time.Second), ErrClock},
		{"a third one far away", f.checkpoint(t, 0, m, 60*m), ErrClock},
		{"the same witness twice", append(f.checkpoint(t, 0), f.cosigners[0].Cosign(f.tree(), noon).Line...), ErrAltered},
		{"the same witness twice, dated differently", append(f.checkpoint(t, 0), f.cosigners[0].Cosign(f.tree(), noon.Add(m)).Line...), ErrAltered},
		{"a stranger beside the quorum", append(f.checkpoint(t, 0, m), far.cosigners[0].Cosign(f.tree(), noon).Line...), ErrUnknownRoots},
		{"a stranger and one", append(f.checkpoint(t, absent, m), far.cosigners[0].Cosign(f.tree(), noon).Line...), ErrUnknownRoots},
		{"not in the policy's order", append(f.checkpoint(t, absent, 0), f.cosigners[0].Cosign(f.tree(), noon).Line...), ErrAltered},
		{"time zero", append(f.checkpoint(t, 0), f.cosigners[1].Cosign(f.tree(), time.Unix(0, 0)).Line...), ErrClock},
		{"time beyond all calendars", append(f.checkpoint(t, 0), f.cosigners[1].Cosign(f.tree(), time.Unix(1<<62, 0)).Line...), ErrClock},
		{"another tree's cosignature", append(f.checkpoint(t, 0), f.cosigners[1].Cosign(Tree{Origin: origin, Size: 9, Root: f.tree().Root}, noon).Line...), ErrAltered},
		{"an extension line", resign(t, f, f.tree().Text()+"more\n"), ErrAltered},
		{"a size with a leading zero", resign(t, f, strings.Replace(f.tree().Text(), "\n10\n", "\n010\n", 1)), ErrAltered},
		{"another origin by the same key", resign(t, f, strings.Replace(f.tree().Text(), origin, "else.example/log", 1)), ErrUnknownRoots},
		{"nothing", nil, ErrAltered},
		{"too long", bytes.Repeat([]byte("a\n"), MaxNote), ErrAltered},
	}
	for _, c := range cases {
		got, err := f.policy.Verify(c.note)
		if c.wants == nil && err != nil || !errors.Is(err, c.wants) {
			t.Errorf("%s: %v, want %v", c.name, err, c.wants)
		}
		if err == nil && (got.Earliest.After(got.Latest) || got.Size != 10 || len(got.Witnesses) < 2) {
			t.Errorf("%s: %+v", c.name, got)
		}
		for _, reason := range []error{ErrAltered, ErrUnwitnessed, ErrUnknownRoots, ErrStale, ErrClock} {
			if err != nil && reason != c.wants && errors.Is(err, reason) {
				t.Errorf("%s: also %v", c.name, reason)
			}
		}
	}
	signed, err := SignTree(Tree{Origin: "other.example/log", Size: 10, Root: f.tree().Root}, otherLog.signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.policy.Verify(signed); !errors.Is(err, ErrUnknownRoots) {
		t.Error("another log:", err)
	}
}

// resign lets log and two witnesses sign any text: the parsing of the body must hold by itself.
func resign(t *testing.T, f *forest, text string) []byte {
	signed, err := note.Sign(&note.Note{Text: text}, f.signer)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.cosigners[:2] {
		sec := uint64(noon.Unix())
		sig := append([]byte{0, 0, 0, 0}, 0, 0, 0, 0, 0, 0, 0, 0)
		h := keyHash(c.name, c.alg, c.public)
		sig[0], sig[1], sig[2], sig[3] = byte(h>>24), byte(h>>16), byte(h>>8), byte(h)
		for i := range 8 {
			sig[4+i] = byte(sec >> (56 - 8*i))
		}
		signed = append(signed, signatureLine(c.name, append(sig, ed25519.Sign(testKey(c.name), cosigned(sec, text))...))...)
	}
	return signed
}

func TestBadPoliciesAreRefused(t *testing.T) {
	good := newForest(t, 3, 2).policy
	if p, err := ParsePolicy(good.Marshal()); err != nil || p.Quorum != 2 {
		t.Fatal(err)
	}
	sameKey, _ := NewCosigner("witness-9.example", testKey("witness-1.example"))
	sameName, _ := NewCosigner("witness-1.example", testKey("else"))
	logKey, _ := NewCosigner("witness-9.example", testKey("log"))
	logName, _ := NewCosigner(origin, testKey("else"))
	change := map[string]func(*Policy){
		"no quorum":                   func(p *Policy) { p.Quorum = 0 },
		"negative quorum":             func(p *Policy) { p.Quorum = -1 },
		"quorum above the number":     func(p *Policy) { p.Quorum = 4 },
		"no witnesses":                func(p *Policy) { p.Witnesses = nil },
		"the same witness twice":      func(p *Policy) { p.Witnesses[1] = p.Witnesses[0] },
		"one key under two names":     func(p *Policy) { p.Witnesses[1] = sameKey.VerifierKey() },
		"one name counted twice":      func(p *Policy) { p.Witnesses[1], p.Quorum = sameName.VerifierKey(), 3 },
		"the log's key as a witness":  func(p *Policy) { p.Witnesses[1] = logKey.VerifierKey() },
		"the log's name as a witness": func(p *Policy) { p.Witnesses[1] = logName.VerifierKey() },
		"the log's own verifier key":  func(p *Policy) { p.Witnesses[1] = p.Log },
		"a witness key as the log":    func(p *Policy) { p.Log = p.Witnesses[0] },
		"another origin":              func(p *Policy) { p.Origin = "else.example/log" },
		"a wrong key hash":            func(p *Policy) { p.Witnesses[0] = strings.Replace(p.Witnesses[0], "+", "+0", 1) },
		"an upper-case key hash": func(p *Policy) {
			n := strings.SplitN(p.Log, "+", 3)
			p.Log = n[0] + "+" + strings.ToUpper(n[1]) + "A+" + n[2]
		},
		"an empty log key": func(p *Policy) { p.Log = "" },
	}
	for name, f := range change {
		p := good
		p.Witnesses = slices.Clone(good.Witnesses)
		f(&p)
		if _, err := NewVerifier(p); problem.KindOf(err) != problem.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, b := range []string{"", "{}", string(good.Marshal()) + "\n", " " + string(good.Marshal()),
		strings.Replace(string(good.Marshal()), `"quorum":2`, `"quorum":2,"quorum":1`, 1),
		strings.Replace(string(good.Marshal()), `"quorum":2`, `"quorum":2,"more":1`, 1),
		strings.Replace(string(good.Marshal()), `"quorum"`, `"Quorum"`, 1)} {
		if _, err := ParsePolicy([]byte(b)); err == nil {
			t.Errorf("accepted %q", b)
		}
	}
}

func TestTime(t *testing.T) {
	f := newForest(t, 2, 2)
	f.grow(1)
	c, err := f.policy.Verify(f.checkpoint(t, 0, time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	for _, x := range []struct {
		name  string
		err   error
		wants error
	}{
		{"now", c.Fresh(at(2*time.Minute), 5*time.Minute), nil},
		{"the earliest is just five minutes old", c.Fresh(at(5*time.Minute), 5*time.Minute), nil},
		{"the earliest is older", c.Fresh(at(5*time.Minute+time.Second), 5*time.Minute), ErrStale},
		{"our clock is a little behind", c.Fresh(at(-4*time.Minute), 5*time.Minute), nil},
		{"our clock is far behind", c.Fresh(at(-4*time.Minute-time.Second), 5*time.Minute), ErrClock},
	} {
		if x.wants == nil && x.err != nil || !errors.Is(x.err, x.wants) {
			t.Errorf("%s: %v", x.name, x.err)
		}
	}
	if c.Within(at(0), at(time.Minute)) != nil || c.Within(time.Time{}, time.Time{}) != nil {
		t.Error("valid at both bounds")
	}
	if c.Within(at(time.Second), time.Time{}) == nil {
		t.Error("not-before is not judged by the earliest")
	}
	if c.Within(time.Time{}, at(59*time.Second)) == nil {
		t.Error("expiry is not judged by the latest")
	}
}

func TestAssembleLeavesOutWrongClocks(t *testing.T) {
	f := newForest(t, 5, 3)
	f.grow(3)
	v, err := NewVerifier(f.policy)
	if err != nil {
		t.Fatal(err)
	}
	var cosigned []Cosignature
	for i, d := range []time.Duration{time.Hour, 0, 3 * time.Minute, -time.Hour, time.Minute} {
		s, err := v.Cosignatures(f.tree().Text(), f.cosigners[i].Cosign(f.tree(), noon.Add(d)).Line)
		if err != nil {
			t.Fatal(err)
		}
		cosigned = append(cosigned, s...)
	}
	_, c, err := v.Assemble(f.checkpoint(t), cosigned)
	if err != nil || fmt.Sprint(c.Witnesses) != "[witness-2.example witness-3.example witness-5.example]" {
		t.Fatal(c, err)
	}
	if _, _, err := v.Assemble(f.checkpoint(t), cosigned[:4]); !errors.Is(err, ErrUnwitnessed) {
		t.Fatal(err)
	}
}

// accepted reports whether verifying b, in whatever way, says yes.
type accepted func(b []byte) bool

// flipsAccepted counts single-bit changes of b that are accepted.
func flipsAccepted(t *testing.T, b []byte, ok accepted) int {
	t.Helper()
	if !ok(b) {
		t.Fatal("the artefact itself is refused")
	}
	n := 0
	for i := range b {
		for bit := range 8 {
			mutant := bytes.Clone(b)
			mutant[i] ^= 1 << bit
			if ok(mutant) {
				n++
			}
		}
	}
	return n
}

func TestFlipEveryBit(t *testing.T) {
	f := newForest(t, 3, 2)
	f.grow(300)
	cp := f.checkpoint(t, 0, time.Second, 2*time.Second)
	pr := f.proof(t, 270, cp)
	verify := func(b []byte) bool {
		_, index, err := VerifyInclusion(f.policy, entry(270), b)
		return err == nil && index == 270
	}
	if n := flipsAccepted(t, pr, verify); n != 0 {
		t.Errorf("proof: %d flips accepted", n)
	}
	if n := flipsAccepted(t, cp, func(b []byte) bool { _, err := f.policy.Verify(b); return err == nil }); n != 0 {
		t.Errorf("checkpoint: %d flips accepted", n)
	}
	// The twin reads with the ecosystem's parsers, which are as strict as they
	// need to be for others. The same campaign must catch it.
	if n := flipsAccepted(t, pr, lax(f, 270)); n == 0 {
		t.Error("the campaign does not notice a verifier without strictness")
	}
	e := entry(270)
	o := Opening{Event: []byte("event 270")}
	if n := flipsAccepted(t, e[:], func(b []byte) bool { _, _, err := VerifyInclusion(f.policy, Entry(b), pr); return err == nil }); n != 0 {
		t.Error("entry")
	}
	if n := flipsAccepted(t, o.Event, func(b []byte) bool { return verifyOpening(f, Opening{b, o.Random}, pr) }); n != 0 {
		t.Error("event")
	}
	if n := flipsAccepted(t, o.Random[:], func(b []byte) bool { return verifyOpening(f, Opening{o.Event, [32]byte(b)}, pr) }); n != 0 {
		t.Error("random")
	}
	line := []byte(f.cosigners[1].Cosign(f.tree(), noon).Line)
	v, _ := NewVerifier(f.policy)
	if n := flipsAccepted(t, line, func(b []byte) bool { _, err := v.Cosignatures(f.tree().Text(), string(b)); return err == nil }); n != 0 {
		t.Errorf("cosignature: %d", n)
	}
}

func verifyOpening(f *forest, o Opening, pr []byte) bool {
	_, _, err := VerifyInclusion(f.policy, Commit(o), pr)
	return err == nil
}

// lax verifies a proof with no strictness of our own.
func lax(f *forest, index int64) accepted {
	logKey, _ := note.NewVerifier(f.policy.Log)
	var verifiers []note.Verifier
	for _, w := range f.policy.Witnesses {
		v, _ := formatsnote.NewVerifierForCosignatureV1(w)
		verifiers = append(verifiers, v)
	}
	return func(b []byte) bool {
		var p formatsproof.TLogProof
		if p.Unmarshal(b) != nil {
			return false
		}
		body, _, n, err := formatslog.ParseCheckpoint(p.Checkpoint, origin, logKey, verifiers...)
		if err != nil || len(n.Sigs) < 1+f.policy.Quorum {
			return false
		}
		var path []tlog.Hash
		for _, h := range p.Hashes {
			path = append(path, h)
		}
		return tlog.CheckRecord(path, int64(body.Size), tlog.Hash(body.Hash), index, entry(int(index)).Leaf()) == nil
	}
}

func TestFlippedTilesAreNotBuiltOn(t *testing.T) {
	f := newForest(t, 0, 0)
	f.grow(256*3 + 5)
	tree := f.tree()
	for _, tile := range []Tile{{Number: 3, Width: 5}, {Level: 1, Width: 3}, {Entries: true, Number: 3, Width: 5}, {Number: 1, Width: 256}} {
		good := f.tiles[tile]
		ok := func(b []byte) bool {
			f.tiles[tile] = b
			defer func() { f.tiles[tile] = good }()
			if tile.Number == 1 { // a full tile is read for proofs only
				_, err := ProveInclusion(tree, 300, Reader(tree, f.fetch))
				return err == nil
			}
			_, err := OpenEdge(tree, f.fetch)
			return err == nil
		}
		if n := flipsAccepted(t, good, ok); n != 0 {
			t.Errorf("%s: %d flips accepted", tile.Path(), n)
		}
		if ok(good[:len(good)-1]) || ok(append(bytes.Clone(good), 0)) {
			t.Errorf("%s: a wrong length is accepted", tile.Path())
		}
	}
}

// TestForks: the log and k of n witnesses are corrupt and show a second
// history. Below the quorum nobody accepts it; at the quorum it is accepted,
// which is what a quorum means.
func TestForks(t *testing.T) {
	const n, quorum = 4, 3
	for k := range n + 1 {
		honest, fork := newForest(t, n, quorum), newForest(t, n, quorum)
		honest.grow(100)
		fork.edge, _ = fork.edge.Append([]Entry{entry(999)})
		fork.grow(100)
		offsets := []time.Duration{absent, absent, absent, absent}
		for i := range k {
			offsets[i] = 0
		}
		_, err := honest.policy.Verify(fork.checkpoint(t, offsets...))
		if (err == nil) != (k >= quorum) {
			t.Errorf("%d corrupt witnesses of %d, quorum %d: %v", k, n, quorum, err)
		}
		path, err := ProveConsistency(fork.tree(), 50, Reader(fork.tree(), fork.fetch))
		if err != nil {
			t.Fatal(err)
		}
		half := newForest(t, 0, 0)
		half.grow(50)
		if fork.tree().CheckConsistency(half.tree(), path) == nil {
			t.Error("a fork continues the honest tree")
		}
		if honest.tree().CheckConsistency(Tree{Origin: origin, Size: 101, Root: fork.tree().Root}, nil) == nil {
			t.Error("a rollback is a continuation")
		}
	}
}

func TestKeysPrintNothing(t *testing.T) {
	f := newForest(t, 1, 1)
	secret := fmt.Sprintf("%v", []byte(testKey("log")))
	for _, v := range []any{f.signer, f.cosigners[0]} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if s := fmt.Sprintf(format, v); len(s) > 60 || strings.Contains(s, secret[1:20]) {
				t.Errorf("%s prints %s", format, s)
			}
		}
	}
	if _, err := json.Marshal(f.signer); err != nil {
		t.Fatal(err)
	}
}
