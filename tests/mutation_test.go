package tests

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"testing"
)

// specimen is one stored artefact and whoever relies on it. An artefact that is a collection has several pieces.
type specimen struct {
	kind   string
	pieces [][]byte
	others [][]byte   // valid pieces of the same kind from elsewhere
	older  [][][]byte // earlier states of the whole
	// judge is the code that relies on the artefact, in the context in which it does. It refuses, or gives what it accepted, encoded anew.
	judge func(pieces [][]byte) ([]byte, error)
	// lax takes strictness away: it puts right what a lenient reader would overlook. nil where no lenient form exists.
	lax func(piece []byte) []byte
	// anyOrder says that pieces carry their order in themselves: listed in another one they say the same.
	anyOrder bool
	// slow is how many times as long as a signature one judgement takes.
	slow int
}

// The mutations. Each gives nil when it does not apply.
var mutations = map[string]func(c campaign, s *specimen) [][]byte{
	"bit flip": func(c campaign, s *specimen) [][]byte {
		return s.change(c, func(p []byte) []byte {
			if len(p) > 0 {
				p[c.IntN(len(p))] ^= 1 << c.IntN(8)
			}
			return p
		})
	},
	"truncation": func(c campaign, s *specimen) [][]byte {
		return s.change(c, func(p []byte) []byte {
			cuts := []int{1, 2, 1 + c.IntN(max(1, len(p))), len(p)}
			return p[:max(0, len(p)-cuts[c.IntN(len(cuts))])]
		})
	},
	"extension": func(c campaign, s *specimen) [][]byte {
		return s.change(c, func(p []byte) []byte {
			more := [][]byte{{0}, {'\n'}, {' '}, {'='}, {'}'}, pattern(1+c.IntN(64), uint32(c.Uint64())), p[max(0, len(p)-1-c.IntN(32)):]}
			return append(p, more[c.IntN(len(more))]...)
		})
	},
	"swap with a sibling": func(c campaign, s *specimen) [][]byte {
		if len(s.others) == 0 {
			return nil
		}
		return s.change(c, func([]byte) []byte { return bytes.Clone(s.others[c.IntN(len(s.others))]) })
	},
	"older version": func(c campaign, s *specimen) [][]byte {
		if len(s.older) == 0 {
			return nil
		}
		return copied(s.older[c.IntN(len(s.older))])
	},
	"deletion": func(c campaign, s *specimen) [][]byte {
		pieces := copied(s.pieces)
		if len(pieces) > 1 && c.IntN(2) == 0 {
			i := c.IntN(len(pieces))
			return slices.Delete(pieces, i, i+1)
		}
		i := c.IntN(len(pieces)) // a stretch of one piece
		from := c.IntN(len(pieces[i]) + 1)
		until := min(len(pieces[i]), from+1+c.IntN(48))
		pieces[i] = slices.Delete(pieces[i], from, until)
		return pieces
	},
	"duplication": func(c campaign, s *specimen) [][]byte {
		pieces := copied(s.pieces)
		i := c.IntN(len(pieces))
		if c.IntN(2) == 0 {
			return slices.Insert(pieces, c.IntN(len(pieces)+1), bytes.Clone(pieces[i]))
		}
		from := c.IntN(len(pieces[i]) + 1)
		until := min(len(pieces[i]), from+1+c.IntN(48))
		pieces[i] = slices.Insert(pieces[i], until, bytes.Clone(pieces[i][from:until])...)
		return pieces
	},
	"reordering": func(c campaign, s *specimen) [][]byte {
		pieces := copied(s.pieces)
		if len(pieces) > 1 {
			i, k := c.IntN(len(pieces)), c.IntN(len(pieces))
			pieces[i], pieces[k] = pieces[k], pieces[i]
			return pieces
		}
		p := pieces[0]
		n := 1 + c.IntN(32)
		if len(p) < 2*n {
			return nil
		}
		i := c.IntN(len(p) - 2*n + 1) // two stretches beside each other
		pieces[0] = slices.Concat(p[:i], p[i+n:i+2*n], p[i:i+n], p[i+2*n:])
		return pieces
	},
}

func copied(pieces [][]byte) [][]byte {
	var out [][]byte
	for _, p := range pieces {
		out = append(out, bytes.Clone(p))
	}
	return out
}

// change alters one piece.
func (s *specimen) change(c campaign, f func([]byte) []byte) [][]byte {
	pieces := copied(s.pieces)
	i := c.IntN(len(pieces))
	pieces[i] = f(pieces[i])
	return pieces
}

func same(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

// tally counts verdicts.
type tally struct{ tried, refused, same, unexplained int }

// run makes so many mutants and holds the specimen's judge against each, and says which were accepted although they differ. A mutant that equals the
// original is none, and is made anew.
func (s *specimen) run(tb testing.TB, c campaign, count int, lax bool, report func(string)) (by map[string]*tally) {
	tb.Helper()
	judge := func(pieces [][]byte) ([]byte, error) {
		if lax {
			pieces = copied(pieces)
			for i := range pieces {
				pieces[i] = s.lax(pieces[i])
			}
		}
		return s.judge(pieces)
	}
	meaning, err := judge(s.pieces)
	if err != nil {
		tb.Fatalf("%s: the original is refused: %v", s.kind, err)
	}
	by = map[string]*tally{}
	var names []string
	for how := range mutations {
		by[how] = &tally{}
		names = append(names, how)
	}
	sort.Strings(names)
	for i := range count {
		how := names[i%len(names)]
		pieces := mutations[how](c, s)
		if pieces == nil || same(pieces, s.pieces) {
			continue
		}
		t := by[how]
		t.tried++
		again, err := judge(pieces)
		switch {
		case err != nil:
			t.refused++
		case !bytes.Equal(again, meaning):
			t.unexplained++
			report(fmt.Sprintf("%s, %s: accepted with another meaning", s.kind, how))
		case s.anyOrder && how == "reordering":
			t.same++
		default:
			// Every artefact has one encoding: what says the same in other bytes was not read strictly.
			t.unexplained++
			report(fmt.Sprintf("%s, %s: accepted in another encoding", s.kind, how))
		}
	}
	return by
}

// TestMutationCampaign changes every kind of artefact that is stored or handed over in eight ways, and demands that whoever relies on it
// refuses. In full it makes at least 100,000 mutants. Then the same mutations run with strictness off, and must be noticed.
func TestMutationCampaign(t *testing.T) {
	c := newCampaign(t)
	total := 8_000
	if c.full {
		total = 130_000
	}
	list := specimens(t)
	var weight float64
	for _, s := range list {
		weight += 1 / float64(max(1, s.slow))
	}
	made := 0
	for _, s := range list {
		share := max(160, int(float64(total)/weight/float64(max(1, s.slow))))
		worst := 0
		by := s.run(t, c, share, false, func(what string) {
			if worst++; worst <= 5 {
				t.Error(what)
			}
		})
		var sum tally
		for _, v := range by {
			sum = tally{sum.tried + v.tried, sum.refused + v.refused, sum.same + v.same, sum.unexplained + v.unexplained}
		}
		made += sum.tried
		t.Logf("%-24s %6d mutants, %6d refused, %d say the same, %d unexplained", s.kind, sum.tried, sum.refused, sum.same, sum.unexplained)
		if sum.tried < share/3 {
			t.Errorf("%s: only %d of %d mutations applied", s.kind, sum.tried, share)
		}
	}
	t.Logf("%d mutants of %d kinds", made, len(list))
	if c.full && made < 100_000 {
		t.Errorf("%d mutants are fewer than 100,000", made)
	}
	weakened := 0
	for _, s := range list {
		if s.lax == nil {
			continue
		}
		weakened++
		found := 0
		s.run(t, c, 600, true, func(string) { found++ })
		if found == 0 {
			t.Errorf("%s: with strictness off the campaign notices nothing", s.kind)
		}
	}
	if weakened < 5 {
		t.Errorf("only %d kinds have a weakened twin", weakened)
	}
}
