package tests

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/witness"
)

// The log is corrupt, and so are k of its n witnesses: they sign whatever they are shown. The others are real witnesses. What can such a log
// have accepted under a quorum of q? Two histories need 2q cosignatures; each corrupt witness gives two, each honest one. So
// below k = 2q-n corrupt witnesses nothing that contradicts itself is accepted, and from there on it is, and then whoever compares holds evidence
// against the log and the corrupt, and against nobody else.

const forkOrigin = "forks.example/log"

// forkSizes are the sizes that are offered; histories agree up to the first.
var forkSizes = []int64{20, 30, 40, 50}

// history is one history of the log, of which every size can be shown.
type history struct {
	tiles map[int64]map[ledger.Tile][]byte
	trees map[int64]ledger.Tree
}

func newHistory(salt string) history {
	s := history{tiles: map[int64]map[ledger.Tile][]byte{}, trees: map[int64]ledger.Tree{}}
	edge, tiles := &ledger.Edge{}, map[ledger.Tile][]byte{}
	for _, size := range forkSizes {
		var entries []ledger.Entry
		for n := edge.Size(); n < size; n++ {
			event := strconv.FormatInt(n, 10)
			if n >= forkSizes[0] {
				event += salt
			}
			entries = append(entries, ledger.Commit(ledger.Opening{Event: []byte(event)}))
		}
		next, objects := edge.Append(entries)
		for _, o := range objects {
			tiles[o.Tile] = o.Data
		}
		edge = next
		s.tiles[size], s.trees[size] = maps.Clone(tiles), ledger.Tree{Origin: forkOrigin, Size: size, Root: edge.Root()}
	}
	return s
}

func (s history) hashes(t ledger.Tree) tlog.HashReader {
	return ledger.Reader(t, func(tile ledger.Tile) ([]byte, error) {
		if data, ok := s.tiles[t.Size][tile]; ok {
			return data, nil
		}
		return nil, fmt.Errorf("no tile %s", tile.Path())
	})
}

// forkWorld is a corrupt log with its witnesses.
type forkWorld struct {
	t       *testing.T
	signer  note.Signer
	policy  ledger.Policy
	honest  []*witness.Witness   // nil where corrupt
	corrupt [][]*ledger.Cosigner // nil where honest
	clock   time.Time
	stories [2]history
	shown   map[head]*shownHead
}

// head is a tree of one of the stories.
type head struct {
	story int
	size  int64
}

// shownHead is what has been gathered for a head.
type shownHead struct {
	head     head
	cosigned []ledger.Cosignature
	first    time.Time // when its quorum was complete for the first time: the latest cosignature of it
	last     time.Time // the earliest cosignature of its newest quorum
	note     []byte
}

func forkKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("fork " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func newForkWorld(t *testing.T, n, quorum, k int) *forkWorld {
	t.Helper()
	signer, key, err := ledger.NewLogSigner(forkOrigin, forkKey("log"))
	if err != nil {
		t.Fatal(err)
	}
	w := &forkWorld{t: t, signer: signer, clock: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC), shown: map[head]*shownHead{},
		policy: ledger.Policy{Origin: forkOrigin, Log: key, Quorum: quorum}, stories: [2]history{newHistory("a"), newHistory("b")}}
	for i := range n {
		name := fmt.Sprintf("witness-%d.example", i+1)
		cosigners, err := ledger.NewCosigners(name, forkKey(name))
		if err != nil {
			t.Fatal(err)
		}
		w.policy.Witnesses = append(w.policy.Witnesses, cosigners[i%2].VerifierKey()) // of either kind
		if i < k {
			w.honest, w.corrupt = append(w.honest, nil), append(w.corrupt, cosigners)
			continue
		}
		one, err := witness.New(witness.Options{Name: name, Key: forkKey(name), Folder: t.TempDir(), Now: func() time.Time { return w.clock },
			Logs: []witness.Log{{Origin: forkOrigin, Keys: []string{key}}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { one.Close() })
		w.honest, w.corrupt = append(w.honest, one), append(w.corrupt, nil)
	}
	return w
}

// offer shows a head to one witness and keeps its cosignature, if it gives one.
func (w *forkWorld) offer(h head, i int) {
	tree := w.stories[h.story].trees[h.size]
	signed, err := ledger.SignTree(tree, w.signer)
	if err != nil {
		w.t.Fatal(err)
	}
	lines := ""
	if w.honest[i] == nil {
		for _, c := range w.corrupt[i] {
			lines += c.Cosign(tree, w.clock).Line
		}
	} else {
		lines = w.ask(h, i, signed)
	}
	if lines == "" {
		return
	}
	name := w.policy.Names()[i]
	own, err := ledger.ParseCosignatures(signed, []byte(lines), w.policy.KeysOf(name))
	if err != nil {
		w.t.Fatal(err)
	}
	v := w.reader()
	cosigned, err := v.Cosignatures(tree.Text(), own)
	if err != nil {
		w.t.Fatal(err)
	}
	s := w.shown[h]
	if s == nil {
		s = &shownHead{head: h}
		w.shown[h] = s
	}
	s.cosigned = slices.DeleteFunc(s.cosigned, func(c ledger.Cosignature) bool { return c.Name == name })
	s.cosigned = append(s.cosigned, cosigned...)
	s.note = slices.Concat(signed, []byte(joined(s.cosigned)))
	if _, c, err := v.Assemble(signed, s.cosigned); err == nil {
		if s.first.IsZero() {
			s.first = c.Latest
		}
		s.last = c.Earliest
	}
}

func joined(list []ledger.Cosignature) string {
	var b strings.Builder
	for _, c := range list {
		b.WriteString(c.Line)
	}
	return b.String()
}

// ask speaks the witness protocol, with the best proof that the story has.
func (w *forkWorld) ask(h head, i int, signed []byte) string {
	old := int64(0)
	for range 3 {
		path, err := ledger.ProveConsistency(w.stories[h.story].trees[h.size], old, w.stories[h.story].hashes(w.stories[h.story].trees[h.size]))
		if err != nil {
			w.t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		body := ledger.Request{Old: old, Path: path, Checkpoint: signed}.Marshal()
		w.honest[i].ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(body)))
		if rec.Code == http.StatusOK {
			return rec.Body.String()
		}
		stands, err := strconv.ParseInt(strings.TrimSpace(rec.Body.String()), 10, 64)
		if rec.Header().Get("Content-Type") != ledger.SizeType || err != nil || stands > h.size {
			return ""
		}
		old = stands
	}
	return ""
}

func (w *forkWorld) reader() *ledger.Verifier {
	v, err := ledger.NewVerifier(w.policy)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// forked says whether two heads that were accepted tell different stories.
func forked(a, b *shownHead) bool {
	return !a.first.IsZero() && !b.first.IsZero() && a.head.story != b.head.story && min(a.head.size, b.head.size) > forkSizes[0]
}

// takenBack says whether a smaller head was accepted anew after a larger one.
func takenBack(a, b *shownHead) bool {
	return !a.first.IsZero() && a.head.size > b.head.size && b.last.After(a.first)
}

// judge looks at every pair of heads: does anything accepted contradict itself, and who is accused by what anybody holds?
func (w *forkWorld) judge() (fooled bool) {
	corrupt := map[string]bool{forkOrigin: true}
	for i, name := range w.policy.Names() {
		corrupt[name] = w.corrupt[i] != nil
	}
	v := w.reader()
	for _, a := range w.shown {
		for _, b := range w.shown {
			larger := a
			if b.head.size > a.head.size {
				larger = b
			}
			e, err := v.Contradiction(a.note, b.note, w.stories[larger.head.story].hashes)
			if err != nil {
				w.t.Fatal(err)
			}
			if e != nil {
				read, err := ledger.ParseEvidence(e.Marshal())
				if err != nil {
					w.t.Fatal(err)
				}
				for _, one := range read.Accused {
					if !corrupt[one.Name] {
						w.t.Fatalf("%s is honest and is accused of a %s", one.Name, read.Kind)
					}
				}
			}
			if forked(a, b) || takenBack(a, b) {
				fooled = true
				if forked(a, b) && e == nil {
					w.t.Fatal("two histories were accepted and nobody can be accused")
				}
			}
		}
	}
	return fooled
}

// best is the strongest attack: each history gets the corrupt witnesses and half of the honest ones.
func (w *forkWorld) best() {
	side := 0
	for i := range w.honest {
		if w.honest[i] == nil {
			w.offer(head{0, 40}, i)
			w.offer(head{1, 50}, i)
			continue
		}
		// The first history gets just what it lacks for a quorum.
		have := 0
		if s := w.shown[head{0, 40}]; s != nil {
			have = len(s.cosigned)
		}
		if side = 1; have < w.policy.Quorum {
			side = 0
		}
		w.offer(head{side, []int64{40, 50}[side]}, i)
	}
}

// random offers any heads to any witnesses in any order, while time passes.
func (w *forkWorld) random(c campaign, steps int) {
	for range steps {
		w.clock = w.clock.Add(time.Duration(c.IntN(3)) * time.Second)
		h := head{c.IntN(2), forkSizes[c.IntN(len(forkSizes))]}
		for i := range w.honest {
			if c.IntN(3) > 0 {
				w.offer(h, i)
			}
		}
	}
}

func TestForkCampaign(t *testing.T) {
	c := newCampaign(t)
	rounds, steps := 1, 8
	if c.full {
		rounds, steps = 20, 16
	}
	attacks, fools := 0, 0
	for _, of := range [][2]int{{1, 1}, {2, 2}, {3, 2}, {3, 3}, {4, 3}, {5, 3}, {5, 4}, {7, 5}} {
		n, quorum := of[0], of[1]
		for k := range n + 1 {
			bound := k >= 2*quorum-n
			w := newForkWorld(t, n, quorum, k)
			w.best()
			if w.judge() != bound {
				t.Errorf("%d corrupt of %d witnesses, quorum %d: the strongest attack succeeds: %v", k, n, quorum, !bound)
			}
			for range rounds {
				w := newForkWorld(t, n, quorum, k)
				w.random(c, steps)
				fooled := w.judge()
				if attacks++; fooled {
					fools++
				}
				if fooled && !bound {
					t.Errorf("%d corrupt of %d witnesses, quorum %d: an attack below the bound succeeds", k, n, quorum)
				}
			}
			if k == 2*quorum-n-1 && quorum > 1 {
				// The twin asks for one cosignature fewer, and is fooled just below the bound.
				twin := newForkWorld(t, n, quorum-1, k)
				if twin.best(); !twin.judge() {
					t.Errorf("%d corrupt of %d witnesses: a reader that asks for %d of the quorum of %d is not caught", k, n, quorum-1, quorum)
				}
			}
		}
	}
	t.Logf("%d random attacks, %d of them, all beyond the bound, succeeded", attacks, fools)
}
