package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/problem"
)

// fork is a forest with the same keys whose history leaves f's behind the first common entries.
func (f *forest) fork(common, size int) *forest {
	g := *f
	g.tiles, g.edge = map[Tile][]byte{}, &Edge{}
	g.grow(common)
	list := []Entry{entry(1_000_000)}
	for n := common + 1; n < size; n++ {
		list = append(list, entry(n))
	}
	next, objects := g.edge.Append(list)
	for _, o := range objects {
		g.tiles[o.Tile] = o.Data
	}
	g.edge = next
	return &g
}

// at is a forest with the same history and keys, of another size.
func (f *forest) at(size int) *forest {
	g := *f
	g.tiles, g.edge = map[Tile][]byte{}, &Edge{}
	g.grow(size)
	return &g
}

func (f *forest) hashes(Tree) tlog.HashReader { return Reader(f.tree(), f.fetch) }

func noHashes(Tree) tlog.HashReader {
	return tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) { return nil, problem.New(problem.Unavailable, "no tiles") })
}

func (f *forest) verifier(t testing.TB) *Verifier {
	v, err := NewVerifier(f.policy)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// accused gives the names of the accused, and parses the evidence as a stranger does.
func accused(t *testing.T, e *Evidence, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if e == nil {
		return ""
	}
	read, err := ParseEvidence(e.Marshal())
	if err != nil {
		t.Fatalf("a stranger refuses the evidence: %v", err)
	}
	var names []string
	for _, a := range read.Accused {
		names = append(names, a.Name)
	}
	return read.Kind + " " + strings.Join(names, " ")
}

func TestWhatContradictsItselfIsProven(t *testing.T) {
	f := newForest(t, 3, 2)
	const all = " vault.example/log witness-1.example witness-2.example witness-3.example"
	for _, sizes := range [][3]int{{10, 20, 20}, {10, 20, 33}, {0, 1, 1}, {0, 4, 9}, {255, 256, 257}, {256, 512, 700}, {100, 300, 1500}} {
		common, small, large := sizes[0], sizes[1], sizes[2]
		honest, fork := f.at(small), f.fork(common, large)
		a, b := honest.checkpoint(t, 0, 0, 0), fork.checkpoint(t, time.Second, time.Second, time.Second)
		for _, pair := range [][2][]byte{{a, b}, {b, a}} {
			e, err := f.verifier(t).Contradiction(pair[0], pair[1], fork.hashes)
			if got := accused(t, e, err); got != "fork"+all {
				t.Errorf("%v: %s", sizes, got)
			}
		}
		// Who did not sign both is not accused.
		b = fork.checkpoint(t, absent, time.Second)
		e, err := f.verifier(t).Contradiction(a, b, fork.hashes)
		if got := accused(t, e, err); got != "fork vault.example/log witness-2.example" {
			t.Errorf("%v: %s", sizes, got)
		}
	}
	small, large := f.at(20).checkpoint(t, 0, time.Minute, absent), f.at(30).checkpoint(t, time.Minute, 0, 0)
	e, err := f.verifier(t).Contradiction(small, large, f.at(30).hashes)
	if got := accused(t, e, err); got != "rollback witness-2.example" {
		t.Error(got)
	}
	for name, pair := range map[string][2][]byte{
		"the same tree, earlier":     {f.at(20).checkpoint(t, time.Hour), f.at(20).checkpoint(t, 0)},
		"growth":                     {f.at(20).checkpoint(t, 0, 0), f.at(30).checkpoint(t, time.Second, time.Second)},
		"growth within a second":     {f.at(20).checkpoint(t, 0, 0), f.at(30).checkpoint(t, 0, 0)},
		"one witness's clock behind": {f.at(20).checkpoint(t, time.Minute), f.at(30).checkpoint(t, absent, 0)},
		"growth from nothing":        {f.at(0).checkpoint(t, 0, 0), f.at(30).checkpoint(t, time.Second, time.Second)},
	} {
		e, err := f.verifier(t).Contradiction(pair[0], pair[1], f.at(30).hashes)
		if got := accused(t, e, err); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if _, err := f.verifier(t).Contradiction(small, large, noHashes); problem.KindOf(err) != problem.Unavailable {
		t.Error("without tiles:", err)
	}
}

// TestMLDSAIsAccused: evidence carries and judges the second kind of cosignature too.
func TestMLDSAIsAccused(t *testing.T) {
	f := newForest(t, 1, 1)
	second := bothKinds(t, f)
	honest, fork := f.at(6), f.fork(3, 9)
	e, err := f.verifier(t).Contradiction(honest.signedBy(t, f.cosigners[0], second[0]), fork.signedBy(t, second[0]), fork.hashes)
	if got := accused(t, e, err); got != "fork vault.example/log witness-1.example" || len(e.KnownTo(f.verifier(t))) != 2 {
		t.Error(got)
	}
	f.policy.Witnesses = f.policy.Witnesses[:1]
	if known := e.KnownTo(f.verifier(t)); len(known) != 1 || !known[0].Log {
		t.Error(known)
	}
}

// samples is one piece of evidence of each kind.
func samples(t testing.TB) map[string][]byte {
	f := newForest(t, 3, 2)
	honest, fork := f.at(20), f.fork(10, 33)
	out := map[string][]byte{}
	keep := func(name string, e *Evidence, err error) {
		if err != nil || e == nil {
			t.Fatal(name, err)
		}
		out[name] = e.Marshal()
	}
	e, err := f.verifier(t).Contradiction(honest.checkpoint(t, 0, 0, 0), fork.checkpoint(t, time.Second, time.Second), fork.hashes)
	keep("evidence-fork", e, err)
	twin := f.fork(10, 20)
	e, err = f.verifier(t).Contradiction(honest.checkpoint(t, 0), twin.checkpoint(t, time.Second), twin.hashes)
	keep("evidence-same-size", e, err)
	e, err = f.verifier(t).Contradiction(f.at(20).checkpoint(t, time.Minute, 0), f.at(30).checkpoint(t, 0, time.Minute), f.at(30).hashes)
	keep("evidence-rollback", e, err)
	return out
}

func TestEvidenceGolden(t *testing.T) {
	for name, b := range samples(t) {
		golden(t, name, b)
	}
}

func TestFlipsOfEvidence(t *testing.T) {
	ok := func(b []byte) bool { _, err := ParseEvidence(b); return err == nil }
	// The twin cuts the file into its parts and judges what they say without looking at signatures.
	weak := func(b []byte) bool {
		e, _, err := cutEvidence(b)
		if err != nil {
			return false
		}
		for _, part := range []struct {
			signed []byte
			tree   *Tree
		}{{e.first, &e.First}, {e.second, &e.Second}} {
			text, _, _ := splitNote(part.signed)
			if *part.tree, err = ParseTree(string(text)); err != nil {
				return false
			}
		}
		return e.Kind == KindRollback || e.judge() == nil
	}
	for name, b := range samples(t) {
		if n := flipsAccepted(t, b, ok); n != 0 {
			t.Errorf("%s: %d flips accepted", name, n)
		}
		if n := flipsAccepted(t, b, weak); n == 0 {
			t.Errorf("%s: the campaign does not notice a reader of evidence without signatures", name)
		}
		for _, mutant := range [][]byte{b[:len(b)-1], append(bytes.Clone(b), '\n'), bytes.Replace(b, []byte("key "), []byte("key  "), 1), slices.Concat(b, b)} {
			if ok(mutant) {
				t.Errorf("%s: a wrong length is accepted", name)
			}
		}
	}
}

// TestTheHonestAreNotAccused: nobody makes evidence of what honest keys signed, by whatever arrangement of it.
func TestTheHonestAreNotAccused(t *testing.T) {
	f := newForest(t, 2, 2)
	small, large := f.at(20), f.at(33)
	keys := append([]string{f.policy.Log}, f.policy.Witnesses...)
	path, err := ProveConsistency(large.tree(), 20, large.hashes(Tree{}))
	if err != nil {
		t.Fatal(err)
	}
	other := f.fork(10, 33)
	otherPath, err := ProveConsistency(other.tree(), 20, other.hashes(Tree{}))
	if err != nil {
		t.Fatal(err)
	}
	root, err := RootAt(other.tree(), 20, other.hashes(Tree{}))
	if err != nil {
		t.Fatal(err)
	}
	file := func(kind string, keys []string, root *tlog.Hash, path []tlog.Hash, first, second []byte) []byte {
		out := fmt.Appendf(nil, "arca/v1/evidence %s\n", kind)
		for _, k := range keys {
			out = fmt.Appendf(out, "key %s\n", k)
		}
		if root != nil {
			out = fmt.Appendf(out, "root %s\n", *root)
		}
		out = appendPath(out, path)
		out = append(fmt.Appendf(out, "checkpoint %d\n", len(first)), first...)
		return append(fmt.Appendf(out, "checkpoint %d\n", len(second)), second...)
	}
	a, b := small.checkpoint(t, 0, 0), large.checkpoint(t, time.Second, time.Second)
	ra := small.tree().Root
	witnessesOnly := func(b []byte) []byte {
		text, lines, _ := splitNote(b)
		_, rest, _ := bytes.Cut(lines, []byte("\n"))
		return slices.Concat(text, []byte("\n"), rest)
	}
	unsigned, err := SignTree(Tree{Origin: "else.example/log", Size: 20, Root: root}, must(t, "else.example/log"))
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{
		"growth as a fork":                file(KindFork, keys, &ra, path, a, b),
		"growth with another log's path":  file(KindFork, keys, &root, otherPath, a, b),
		"growth with a root of nothing":   file(KindFork, keys, &emptyRoot, path, a, b),
		"the same tree twice":             file(KindFork, keys, &ra, nil, a, a),
		"growth as a rollback":            file(KindRollback, keys[1:], nil, nil, witnessesOnly(a), witnessesOnly(b)),
		"growth as a rollback, backwards": file(KindRollback, keys[1:], nil, nil, witnessesOnly(b), witnessesOnly(a)),
		"a rollback of the log":           file(KindRollback, keys, nil, nil, b, large.checkpoint(t, time.Hour, time.Hour)),
		"nobody accused":                  file(KindFork, nil, &ra, path, a, b),
		"a key that signed one":           file(KindFork, append(slices.Clone(keys), f.fork(1, 2).cosigners[0].VerifierKey()), &ra, path, a, b),
		"keys out of order":               file(KindFork, []string{keys[1], keys[0], keys[2]}, &ra, path, a, b),
		"another log":                     file(KindFork, keys[:1], &root, nil, small.checkpoint(t), unsigned),
		"an unknown kind":                 file("theft", keys, &ra, path, a, b),
		"too long":                        bytes.Repeat([]byte("a"), MaxEvidence+1),
	} {
		if e, err := ParseEvidence(file); err == nil {
			t.Errorf("%s is evidence against %v", name, e.Accused)
		} else if !errors.Is(err, ErrAltered) && !errors.Is(err, ErrUnknownRoots) && !errors.Is(err, ErrClock) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func must(t *testing.T, origin string) note.Signer {
	s, _, err := NewLogSigner(origin, testKey(origin))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzParseEvidence(f *testing.F) {
	for _, b := range samples(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := ParseEvidence(b); err == nil && !bytes.Equal(e.Marshal(), b) {
			t.Fatalf("%q", b)
		}
	})
}

// auditTo audits a log from one size to another through a fetch, in one go or resumed at every window.
func auditTo(t testing.TB, from, to Tree, fetch func(Tile) ([]byte, error), resume bool) error {
	a, err := ResumeAudit(from, fetch)
	if err != nil {
		return err
	}
	for done := false; !done; {
		if done, err = a.Advance(t.Context(), to.Size); err != nil {
			return err
		}
		if resume {
			if a, err = ResumeAudit(a.Tree(), fetch); err != nil {
				return err
			}
		}
	}
	return a.Finish(to)
}

func TestWholeLogs(t *testing.T) {
	f := newForest(t, 0, 0)
	sizes := []int{0, 1, 255, 256, 257, 20_000, 65_535, 65_536, 70_001}
	trees := map[int]Tree{0: {Origin: origin, Root: emptyRoot}}
	for _, size := range sizes {
		f.grow(size)
		if size > 0 {
			trees[size] = f.tree()
		}
		if err := VerifyLog(t.Context(), trees[size], f.fetch, nil); err != nil {
			t.Fatal(size, err)
		}
		for _, from := range sizes {
			if from <= size {
				if err := auditTo(t, trees[from], trees[size], f.fetch, false); err != nil {
					t.Fatal(from, size, err)
				}
			}
		}
	}
	// Resumed from wherever it stopped: full tiles stand for the partial ones of sizes that were never published.
	cut := func(tile Tile) ([]byte, error) {
		for width := tile.Width; width <= TileWidth; width++ {
			wider := tile
			wider.Width = width
			if data, err := f.fetch(wider); err == nil {
				return data[:tile.Bytes()], nil
			}
		}
		return f.fetch(tile)
	}
	if err := auditTo(t, Tree{Origin: origin}, f.tree(), cut, true); err != nil {
		t.Fatal(err)
	}
}

// TestEveryTileOfALogIsLookedAt flips a bit in every tile and bundle, and leaves each away, of a log of three levels.
func TestEveryTileOfALogIsLookedAt(t *testing.T) {
	f := newForest(t, 0, 0)
	f.grow(66_000)
	tree := f.tree()
	shown := map[Tile][]byte{} // without the partial tiles of sizes that are not this one
	for tile, data := range f.tiles {
		if tile.Width == TileWidth || tree.Size>>(TileHeight*tile.Level)%TileWidth == int64(tile.Width) {
			shown[tile] = data
		}
	}
	fetch := func(tile Tile) ([]byte, error) {
		if data, ok := shown[tile]; ok {
			return data, nil
		}
		return nil, problem.New(problem.NotFound, "no tile")
	}
	if len(shown) < 2*257 {
		t.Fatal(len(shown))
	}
	tiles := slices.SortedFunc(maps.Keys(shown), func(a, b Tile) int { return strings.Compare(a.Path(), b.Path()) })
	for i, tile := range tiles {
		if i%61 != 0 && tile.Level == 0 && tile.Width == TileWidth {
			continue
		}
		good := shown[tile]
		bad := bytes.Clone(good)
		bad[(i*31)%len(bad)] ^= 1 << (i % 8)
		for name, data := range map[string][]byte{"flipped": bad, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0)} {
			shown[tile] = data
			if err := VerifyLog(t.Context(), tree, fetch, nil); !errors.Is(err, ErrAltered) {
				t.Errorf("%s %s: %v", tile.Path(), name, err)
			}
		}
		delete(shown, tile)
		if err := VerifyLog(t.Context(), tree, fetch, nil); problem.KindOf(err) != problem.NotFound || err == nil {
			t.Errorf("%s is missing: %v", tile.Path(), err)
		}
		shown[tile] = good
	}
	// A fork that begins behind what was verified, and one before.
	fork := newForest(t, 0, 0)
	fork.edge, _ = fork.edge.Append([]Entry{entry(7)})
	if err := VerifyLog(t.Context(), Tree{Origin: origin, Size: tree.Size, Root: fork.edge.Root()}, fetch, nil); !errors.Is(err, ErrAltered) {
		t.Error("another root:", err)
	}
}

// TestALogOnDiskIsAudited reads tiles as a folder of a mirror would hold them.
func TestALogOnDiskIsAudited(t *testing.T) {
	f := newForest(t, 0, 0)
	f.grow(1000)
	folder := t.TempDir()
	for tile, data := range f.tiles {
		path := filepath.Join(folder, filepath.FromSlash(tile.Path()))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(tile Tile) ([]byte, error) {
		return os.ReadFile(filepath.Join(folder, filepath.FromSlash(tile.Path())))
	}
	if err := VerifyLog(t.Context(), f.tree(), read, nil); err != nil {
		t.Fatal(err)
	}
}
