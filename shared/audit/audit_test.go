package audit

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/mirror/mirrortest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// world is a log that is followed, and the folder of who follows it.
type world struct {
	t      *testing.T
	vault  *mirrortest.Vault
	clock  time.Time
	config Config
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)}
	w.vault = w.log("", 0)
	w.config = Config{Folder: filepath.Join(t.TempDir(), "audit"), Verifier: verifierOf(&w.vault.Trust), Log: w.vault, Now: func() time.Time { return w.clock }}
	return w
}

// log is a log of the world's keys; salt tells histories apart.
func (w *world) log(salt string, size int) *mirrortest.Vault {
	v := mirrortest.New(w.t, seal.Geometry{Size: 1 << 20, Slots: 8})
	v.Now = func() time.Time { return w.clock }
	grow(v, salt, 0, size)
	return v
}

func grow(v *mirrortest.Vault, salt string, from, to int) {
	for n := from; n < to; n++ {
		v.Log(ledger.Commit(ledger.Opening{Event: fmt.Appendf(nil, "%s %d", salt, n)}))
	}
}

func (w *world) note(v *mirrortest.Vault) []byte {
	signed, err := v.Checkpoint(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

func (w *world) run(others ...Seen) Report {
	w.t.Helper()
	out, err := Run(w.t.Context(), w.config, others, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// quiet demands a run without alarm that has verified all.
func (w *world) quiet(size int64, others ...Seen) Report {
	w.t.Helper()
	out := w.run(others...)
	if len(out.Alarms) > 0 || out.Verified != size || out.Checkpoint.Size != size || out.Stale != "" {
		w.t.Fatalf("%+v", out)
	}
	return out
}

// alarmed demands exactly one alarm, whose evidence, if any, a stranger reads.
func (w *world) alarmed(what, accused string, others ...Seen) {
	w.t.Helper()
	out := w.run(others...)
	if len(out.Alarms) != 1 || !strings.Contains(out.Alarms[0].What, what) {
		w.t.Fatalf("%+v", out.Alarms)
	}
	a := out.Alarms[0]
	if accused == "" {
		if a.Evidence != "" {
			w.t.Fatalf("%+v", a)
		}
		return
	}
	b, err := os.ReadFile(a.Evidence)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := ledger.ParseEvidence(b)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, one := range e.Accused {
		names = append(names, one.Name)
	}
	if got := strings.Join(names, " "); got != accused {
		w.t.Fatalf("accused: %s", got)
	}
}

const everybody = mirrortest.Origin + " witness-1.example witness-2.example witness-3.example"

func TestALogIsFollowed(t *testing.T) {
	w := newWorld(t)
	for _, size := range []int{1, 255, 256, 256, 300, 70_000, 70_001} {
		grow(w.vault, "", int(w.vaultSize()), size)
		w.clock = w.clock.Add(time.Minute)
		w.quiet(int64(size), Seen{"a reader", w.note(w.vault)})
	}
	w.clock = w.clock.Add(time.Minute)
	stale := w.note(w.vault)
	w.config.Log = frozen{w.vault, stale}
	w.clock = w.clock.Add(10 * time.Minute)
	if out := w.run(); out.Stale == "" || len(out.Alarms) > 0 {
		t.Fatalf("%+v", out)
	}
}

func (w *world) vaultSize() int64 {
	c, err := w.config.Verifier.Verify(w.note(w.vault))
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Size
}

// frozen shows one checkpoint for ever.
type frozen struct {
	*mirrortest.Vault
	note []byte
}

func (f frozen) Checkpoint(context.Context) ([]byte, error) { return f.note, nil }

func TestAlarms(t *testing.T) {
	t.Run("the log forks between two runs", func(t *testing.T) {
		w := newWorld(t)
		grow(w.vault, "", 0, 700)
		w.quiet(700)
		w.config.Log = w.log("other", 900)
		w.alarmed("two histories", everybody)
		w.alarmed("two histories", everybody) // and again: what was verified stays the measure
		w.config.Log = w.vault
		w.quiet(700)
	})
	t.Run("the log shows less", func(t *testing.T) {
		w := newWorld(t)
		before := w.log("", 300)
		old := w.note(before)
		grow(w.vault, "", 0, 700)
		w.clock = w.clock.Add(time.Second)
		w.quiet(700)
		w.config.Log = frozen{before, old}
		w.alarmed("shorter than in the last run", "")
	})
	t.Run("the witnesses cosign less, later", func(t *testing.T) {
		w := newWorld(t)
		grow(w.vault, "", 0, 700)
		w.quiet(700)
		w.clock = w.clock.Add(time.Minute)
		less := w.log("", 300)
		w.config.Log = frozen{w.vault, w.note(less)}
		w.alarmed("gone back", "witness-1.example witness-2.example witness-3.example")
	})
	t.Run("others were shown another history", func(t *testing.T) {
		w := newWorld(t)
		grow(w.vault, "", 0, 700)
		other := w.log("other", 300)
		other.Cosigning = 2
		w.alarmed("two histories", mirrortest.Origin+" witness-1.example witness-2.example", Seen{"a receipt", w.note(other)})
		w.alarmed("two histories", mirrortest.Origin+" witness-1.example witness-2.example") // it is remembered
	})
	t.Run("others were shown more", func(t *testing.T) {
		w := newWorld(t)
		grow(w.vault, "", 0, 700)
		more := w.log("", 800)
		w.alarmed("behind what others were shown", "", Seen{"a mirror", w.note(more)})
		grow(w.vault, "", 700, 800)
		w.quiet(800)
	})
	t.Run("a witness alone is ahead", func(t *testing.T) {
		w := newWorld(t)
		grow(w.vault, "", 0, 700)
		more := w.log("", 800)
		more.Cosigning = 1
		if out := w.quiet(700, Seen{"a witness", w.note(more)}); out.Ahead != 1 {
			t.Fatalf("%+v", out)
		}
	})
	t.Run("a stranger's notes", func(t *testing.T) {
		w := newWorld(t)
		grow(w.vault, "", 0, 10)
		flipped := bytes.Replace(w.note(w.vault), []byte("\n10\n"), []byte("\n11\n"), 1)
		if out := w.quiet(10, Seen{"x", []byte("no note")}, Seen{"y", flipped}); out.Foreign != 2 {
			t.Fatalf("%+v", out)
		}
	})
}

// altered serves one tile otherwise.
type altered struct {
	*mirrortest.Vault
	path   string
	change func([]byte) []byte
}

func (a altered) Tile(ctx context.Context, path string) ([]byte, error) {
	b, err := a.Vault.Tile(ctx, path)
	if path == a.path && err == nil {
		return a.change(bytes.Clone(b)), nil
	}
	return b, err
}

func TestAlteredTilesRaiseAnAlarmAndAreNotVerified(t *testing.T) {
	for _, path := range []string{"tile/entries/001", "tile/0/000", "tile/1/000.p/2", "tile/0/002.p/88", "tile/entries/002.p/88"} {
		w := newWorld(t)
		grow(w.vault, "", 0, 600)
		w.config.Log = altered{w.vault, path, func(b []byte) []byte { b[len(b)/2] ^= 4; return b }}
		w.alarmed("not what its witnesses cosigned", "")
		w.config.Log = w.vault
		if out := w.quiet(600); out.Before == 600 {
			t.Errorf("%s: the altered log was kept as verified", path)
		}
	}
}

// TestAKilledAuditGoesOn stops reading at every tile in turn.
func TestAKilledAuditGoesOn(t *testing.T) {
	w := newWorld(t)
	grow(w.vault, "", 0, 40_000)
	ticks := 0
	w.config.Now = func() time.Time { ticks++; return w.clock.Add(time.Duration(ticks) * 6 * time.Second) } // saves at every window
	var left atomic.Int64
	w.config.Log = limited{w.vault, &left}
	for verified, round := int64(0), 0; verified < 40_000; round++ {
		left.Store(180)
		out, err := Run(t.Context(), w.config, nil, nil)
		if out.Verified < verified || len(out.Alarms) > 0 || err != nil && problem.KindOf(err) != problem.Unavailable || round > 10 {
			t.Fatalf("round %d: %+v %v", round, out, err)
		}
		if verified = out.Verified; err == nil && verified != 40_000 {
			t.Fatalf("%+v", out)
		}
	}
	left.Store(1000)
	if out := w.run(); out.Before != 40_000 || len(out.Alarms) > 0 {
		t.Fatalf("%+v", out)
	}
}

// limited fails after some tiles.
type limited struct {
	*mirrortest.Vault
	left *atomic.Int64
}

func (l limited) Tile(ctx context.Context, path string) ([]byte, error) {
	if l.left.Add(-1) < 0 {
		return nil, problem.New(problem.Unavailable, "gone")
	}
	return l.Vault.Tile(ctx, path)
}

func TestACopyIsAuditedOffline(t *testing.T) {
	w := newWorld(t)
	grow(w.vault, "", 0, 300)
	w.quiet(300) // without a copy; the copy begins anew
	w.config.Copy = true
	w.quiet(300)
	grow(w.vault, "", 300, 1000)
	w.quiet(1000)
	second := newWorld(t)
	second.config.Log = Folder(w.config.Folder)
	second.quiet(1000)
	c, err := w.config.Verifier.Verify(w.note(w.vault))
	if err != nil {
		t.Fatal(err)
	}
	read := func(tile ledger.Tile) ([]byte, error) {
		return Folder(w.config.Folder).Tile(t.Context(), tile.Path())
	}
	if err := ledger.VerifyLog(t.Context(), c.Tree, read, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.config.Folder, "tile", "entries", "001")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[100] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	third := newWorld(t)
	third.config.Log = Folder(w.config.Folder)
	third.alarmed("not what its witnesses cosigned", "")
}

func TestDamagedStateIsNotBegunAnew(t *testing.T) {
	w := newWorld(t)
	grow(w.vault, "", 0, 300)
	w.quiet(300)
	for _, name := range []string{"checkpoint", "verified"} {
		path := filepath.Join(w.config.Folder, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, good[:len(good)-3], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(t.Context(), w.config, nil, nil); problem.KindOf(err) != problem.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.quiet(300)
}

func TestCheckpointsAreFoundInWhateverHoldsThem(t *testing.T) {
	w := newWorld(t)
	grow(w.vault, "", 0, 9)
	note := w.note(w.vault)
	proof := ledger.Proof{Index: 3, Checkpoint: note}.Marshal()
	row, _ := json.Marshal(map[string]any{"number": 1, "proof": proof, "more": []any{string(note)}})
	nested, _ := json.Marshal(map[string]string{"row": base64.StdEncoding.EncodeToString(row)})
	var bundle bytes.Buffer
	z := zip.NewWriter(&bundle)
	for name, content := range map[string][]byte{"data/x.json": row, "data/y": []byte("nothing")} {
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(content)
	}
	z.Close()
	for name, b := range map[string][]byte{"note": note, "proof": proof, "row": row, "nested": nested, "bundle": bundle.Bytes(), "behind text": append([]byte("he said\n"), note...)} {
		if found := Find(mirrortest.Origin, b); len(found) != 1 || !bytes.Equal(found[0], note) {
			t.Errorf("%s: %d found", name, len(found))
		}
	}
	for name, b := range map[string][]byte{"nothing": nil, "not a line": append([]byte("x"), note...), "another log": bytes.ReplaceAll(note, []byte(mirrortest.Origin), []byte("else")), "cut": note[:20], "broken zip": bundle.Bytes()[:40]} {
		if found := Find(mirrortest.Origin, b); len(found) != 0 {
			t.Errorf("%s: %q", name, found)
		}
	}
	folder := t.TempDir()
	for name, b := range map[string][]byte{"a.json": row, "b.zip": bundle.Bytes()} {
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := FindIn(mirrortest.Origin, folder); err != nil || len(found) != 1 {
		t.Error(found, err)
	}
	if _, err := FindIn(mirrortest.Origin, filepath.Join(folder, "none")); problem.KindOf(err) != problem.NotFound {
		t.Error(err)
	}
}

func FuzzFind(f *testing.F) {
	f.Add([]byte(mirrortest.Origin + "\n1\nAAAA\n\n— x y\n"))
	f.Add([]byte(`{"a":"` + mirrortest.Origin + `\n1\nAAAA\n\n— x y\n"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, note := range Find(mirrortest.Origin, b) {
			if !bytes.HasPrefix(note, []byte(mirrortest.Origin+"\n")) || len(note) > ledger.MaxNote {
				t.Fatalf("%q", note)
			}
		}
	})
}

func verifierOf(t *record.Trust) *ledger.Verifier {
	v, err := ledger.VerifierOf(t)
	if err != nil {
		panic(err) // the trust file is a test's own
	}
	return v
}
