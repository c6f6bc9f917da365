package mirror

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"arca.example/arca/shared/mirror/mirrortest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/seal"
)

// damages are what can happen to pack 2 on a mirror's disk.
var damages = map[string]func(t *testing.T, m *Mirror){
	"a flipped bit in the body":      func(t *testing.T, m *Mirror) { flipByte(t, m.packPath(2), small.Size-1) },
	"a flipped bit in the slot area": func(t *testing.T, m *Mirror) { flipByte(t, m.packPath(2), seal.SlotSize) },
	"a pack cut short":               func(t *testing.T, m *Mirror) { wrote(t, os.Truncate(m.packPath(2), 100)) },
	"a pack that is gone":            func(t *testing.T, m *Mirror) { wrote(t, os.Remove(m.packPath(2))) },
	"a flipped bit in the row":       func(t *testing.T, m *Mirror) { flipByte(t, m.rowPath(2), 40) },
	"a row that is gone":             func(t *testing.T, m *Mirror) { wrote(t, os.Remove(m.rowPath(2))) },
}

func wrote(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func flipByte(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	wrote(t, err)
	b[at] ^= 1
	wrote(t, os.WriteFile(path, b, 0o600))
}

func TestRepairFetchesDamagedPacksAgainAndKeepsTheEvidence(t *testing.T) {
	for name, damage := range damages {
		v := filled(t, 4)
		m := open(t, v, t.TempDir(), v)
		fetched(t, m)
		clean(t, m, v) // the damaged pack is open and its slot area remembered
		damage(t, m)
		before, _ := os.ReadFile(m.packPath(2))
		out, err := m.Repair(ctx, nil)
		if err != nil || out.Fetched != 1 || len(out.Findings) != 1 || out.Findings[0].Number != 2 {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		clean(t, m, v)
		kept, _ := filepath.Glob(filepath.Join(out.Kept, "damaged-*-"+packName(2)))
		if before == nil && len(kept) == 0 {
			continue
		}
		if len(kept) != 1 {
			t.Fatalf("%s: %d packs are kept as evidence", name, len(kept))
		}
		if got, _ := os.ReadFile(kept[0]); !bytes.Equal(got, before) {
			t.Fatalf("%s: the evidence is not what was there", name)
		}
		if out, err := m.Repair(ctx, nil); err != nil || out.Fetched != 0 || out.Kept != "" || out.Packs != 4 {
			t.Fatalf("%s: again: %+v, %v", name, out, err)
		}
	}
}

func TestRepairTakesNothingThatTheLogDoesNotWitness(t *testing.T) {
	for name, tc := range map[string]struct {
		damage string
		lie    func(t *testing.T, v *mirrortest.Vault)
		weak   string // what a twin leaves out that takes the lie
		kind   problem.Kind
	}{
		"another body": {"a flipped bit in the body", func(_ *testing.T, v *mirrortest.Vault) { v.Stored[1].Bytes[small.Size-1] ^= 2 }, "body", problem.Invalid},
		"another pack, logged under the same number": {"a flipped bit in the body", func(_ *testing.T, v *mirrortest.Vault) {
			v.Stored[1].Bytes = randomPack(small)
			relog(v, 1, 2, nil)
		}, "", problem.Denied},
		"no longer listed": {"a row that is gone", func(_ *testing.T, v *mirrortest.Vault) { v.Stored = append(v.Stored[:1], v.Stored[2:]...) }, "", problem.Invalid},
	} {
		v := filled(t, 4)
		m := open(t, v, t.TempDir(), v)
		fetched(t, m)
		damages[tc.damage](t, m)
		before, _ := os.ReadFile(m.packPath(2))
		tc.lie(t, v)
		out, err := m.Repair(ctx, nil)
		if problem.KindOf(err) != tc.kind || out.Fetched != 0 {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		if after, _ := os.ReadFile(m.packPath(2)); !bytes.Equal(before, after) {
			t.Errorf("%s: a pack that was refused is there", name)
		}
		if tc.weak == "" {
			continue
		}
		// The twin must still see the damage: only what it fetches is judged laxly.
		wrote(t, os.Remove(m.packPath(2)))
		m.judge = lax{m.judge, tc.weak}
		if out, err := m.Repair(ctx, nil); err != nil || out.Fetched != 1 {
			t.Errorf("%s: the weakened twin refuses too: %v", name, err)
		}
	}
}

func TestRepairNeedsAVault(t *testing.T) {
	v := filled(t, 1)
	m := open(t, v, t.TempDir(), nil)
	m.cfg.Vault = nil
	if _, err := m.Repair(ctx, nil); problem.KindOf(err) != problem.Invalid {
		t.Fatal(err)
	}
}
