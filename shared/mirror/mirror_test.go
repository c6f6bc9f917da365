package mirror

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/mirror/mirrortest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// small is the smallest shape of packs that a vault may choose.
var small = seal.Geometry{Size: 1 << 18, Slots: 2}

var ctx = context.Background()

func randomPack(g seal.Geometry) []byte {
	b := make([]byte, g.Size)
	_, _ = rand.Read(b)
	return b
}

func filled(tb testing.TB, packs int) *mirrortest.Vault {
	v := mirrortest.New(tb, small)
	for range packs {
		v.Store(randomPack(small))
	}
	return v
}

func open(tb testing.TB, v *mirrortest.Vault, folder string, vault Vault) *Mirror {
	tb.Helper()
	m, err := Open(Config{Folder: folder, Trust: v.Trust, Vault: vault, HTTP: v.Server.Client(), Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { m.Close() })
	return m
}

func fetched(tb testing.TB, m *Mirror) Result {
	tb.Helper()
	out, err := m.Sync(ctx, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// clean fails unless the mirror holds exactly the vault's packs.
func clean(tb testing.TB, m *Mirror, v *mirrortest.Vault) {
	tb.Helper()
	audited, err := m.Audit(ctx, nil)
	if err != nil || len(audited.Findings) > 0 || audited.Packs != len(v.Stored) {
		tb.Fatalf("audit: %+v, %v", audited, err)
	}
	for _, p := range v.Stored {
		got := make([]byte, len(p.Bytes))
		if err := m.ReadPack(p.Number, 0, got); err != nil || !bytes.Equal(got, p.Bytes) {
			tb.Fatalf("pack %d differs: %v", p.Number, err)
		}
		area, err := m.SlotArea(p.Number)
		if err != nil || !bytes.Equal(area, p.Bytes[:small.Slots*seal.SlotSize]) {
			tb.Fatalf("slot area of pack %d: %v", p.Number, err)
		}
	}
}

func TestSyncFetchesWhatIsNewAndSaysWhatItWaitsFor(t *testing.T) {
	v := filled(t, 3)
	m := open(t, v, t.TempDir(), v)
	if out := fetched(t, m); out.Packs != 3 || out.Last != 3 || out.Waiting != "" || out.Stale != "" || out.Checkpoint.Size != 3 {
		t.Fatalf("%+v", out)
	}
	clean(t, m, v)
	if out := fetched(t, m); out.Packs != 0 || out.Last != 3 {
		t.Fatalf("%+v", out)
	}
	v.Store(randomPack(small))
	v.Next = 7 // 5 and 6 are reserved
	out := fetched(t, m)
	if out.Packs != 1 || out.Last != 4 || !strings.Contains(out.Waiting, "pack 5 is reserved") {
		t.Fatalf("%+v", out)
	}
	clean(t, m, v)
	if out := fetched(t, open(t, v, m.cfg.Folder, v)); out.Packs != 0 { // another process
		t.Fatalf("%+v", out)
	}
}

func TestSyncFollowsAListingOfManyPages(t *testing.T) {
	v := filled(t, 120)
	m := open(t, v, t.TempDir(), v)
	if out := fetched(t, m); out.Packs != 120 || out.Last != 120 {
		t.Fatalf("%+v", out)
	}
	clean(t, m, v)
}

func TestAPendingEntryIsWaitedFor(t *testing.T) {
	v := filled(t, 2)
	// The third has arrived; the log has not sequenced it.
	pack := randomPack(small)
	event, random := mirrortest.Opening(3, pack, small)
	v.Stored = append(v.Stored, mirrortest.Pack{ListedPack: wire.ListedPack{Event: event, Number: 3, Random: random}, Bytes: pack})
	v.Next = 4
	m := open(t, v, t.TempDir(), v)
	if out := fetched(t, m); out.Packs != 2 || !strings.Contains(out.Waiting, "pack 3 has arrived") {
		t.Fatalf("%+v", out)
	}
	v.Log(ledger.Commit(ledger.Opening{Event: event, Random: [32]byte(random)}))
	if out := fetched(t, m); out.Packs != 1 || out.Waiting != "" {
		t.Fatalf("%+v", out)
	}
	clean(t, m, v)
}

func TestAStaleCheckpointIsSaid(t *testing.T) {
	v := filled(t, 1)
	v.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	if out := fetched(t, open(t, v, t.TempDir(), v)); out.Stale == "" {
		t.Fatal("an hour old and not said")
	}
}

// lax is a judge that leaves one thing out.
type lax struct {
	judge
	without string
}

func (j lax) entry(n uint64, event, random []byte) (record.PackEvent, ledger.Entry, error) {
	body, e, err := j.judge.entry(n, event, random)
	if j.without != "entry" || err == nil {
		return body, e, err
	}
	var ev record.Event
	_ = record.UnmarshalStored(event, &ev)
	_ = record.UnmarshalStored(ev.Body, &body)
	return body, ledger.Commit(ledger.Opening{Event: event, Random: [32]byte(random)}), nil
}

func (j lax) included(n uint64, e ledger.Entry, proof []byte) (ledger.Checkpoint, error) {
	c, err := j.judge.included(n, e, proof)
	if j.without == "included" {
		p, _ := ledger.ParseProof(proof)
		text, _, _ := strings.Cut(string(p.Checkpoint), "\n\n")
		tree, _ := ledger.ParseTree(text + "\n")
		return ledger.Checkpoint{Tree: tree}, nil
	}
	return c, err
}

func (j lax) whole(event record.PackEvent, length int64, slots, sum [32]byte) error {
	err := j.judge.whole(event, length, slots, sum)
	if j.without == "whole" {
		return nil
	}
	if j.without == "body" {
		return j.judge.slots(event, slots)
	}
	return err
}

func (j lax) slots(event record.PackEvent, sum [32]byte) error {
	if j.without == "slots" {
		return nil
	}
	return j.judge.slots(event, sum)
}

func (j lax) continues(newer ledger.Checkpoint, old ledger.Tree, proof ledger.Request) error {
	if j.without == "continues" {
		return nil
	}
	return j.judge.continues(newer, old, proof)
}

// lie is something that a vault can do. Each is refused, and accepted by the judge that leaves the named check out.
type lie struct {
	name, says string
	without    string // "" where no judge is asked
	tell       func(v *mirrortest.Vault)
}

var lies = []lie{
	{"gap", "gap", "", func(v *mirrortest.Vault) { v.Stored = slices.Delete(v.Stored, 2, 3) }},
	{"number twice", "number twice", "", func(v *mirrortest.Vault) { v.Stored[3].Number = 3 }},
	{"never given out", "never gave out", "", func(v *mirrortest.Vault) { v.Next = 3 }},
	{"event of another number", "not one of this vault's", "entry", func(v *mirrortest.Vault) { relog(v, 2, 7, nil) }},
	{"event with a time", "not one of this vault's", "entry", func(v *mirrortest.Vault) {
		relog(v, 2, 3, func(e *record.Event) { e.Time = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC) })
	}},
	{"event of another author", "not one of this vault's", "entry", func(v *mirrortest.Vault) {
		relog(v, 2, 3, func(e *record.Event) { e.Author = "court" })
	}},
	{"body flipped", "body is not", "whole", func(v *mirrortest.Vault) { v.Stored[2].Bytes[small.Size-1] ^= 1 }},
	{"slot area flipped", "slot area is not", "whole", func(v *mirrortest.Vault) { v.Stored[2].Bytes[5] ^= 1 }},
	{"cut short", "not the size", "whole", func(v *mirrortest.Vault) { v.Stored[2].Bytes = v.Stored[2].Bytes[:small.Size-1] }},
	{"too long", "not the size", "whole", func(v *mirrortest.Vault) { v.Stored[2].Bytes = append(v.Stored[2].Bytes, 0) }},
	{"unwitnessed checkpoint", "1 of the 2 witnesses", "", func(v *mirrortest.Vault) { v.Cosigning = 1 }},
}

// relog gives pack i another event, in the log too.
func relog(v *mirrortest.Vault, i int, n uint64, change func(*record.Event)) {
	event, random := mirrortest.Opening(n, v.Stored[i].Bytes, small)
	if change != nil {
		var e record.Event
		_ = record.Unmarshal(event, &e)
		change(&e)
		event, _ = e.Bytes()
	}
	v.Stored[i].Event, v.Stored[i].Random = event, random
	v.Log(ledger.Commit(ledger.Opening{Event: event, Random: [32]byte(random)}))
}

func TestLiesAreRefusedAndTheWeakenedTwinsAcceptThem(t *testing.T) {
	for _, l := range lies {
		t.Run(l.name, func(t *testing.T) {
			v := filled(t, 5)
			l.tell(v)
			m := open(t, v, t.TempDir(), v)
			out, err := m.Sync(ctx, nil)
			if err == nil || !strings.Contains(problem.MessageOf(err), l.says) || problem.KindOf(err) == problem.Internal {
				t.Fatalf("%+v, %v", out, err)
			}
			if last, _ := m.Last(); last > 2 {
				t.Fatalf("pack %d was taken", last)
			}
			if left, _ := filepath.Glob(m.path("incoming", "*")); len(left) > 0 {
				t.Fatalf("left behind: %v", left)
			}
			if l.without == "" {
				return
			}
			weak := open(t, v, t.TempDir(), v)
			weak.judge = lax{weak.judge, l.without}
			if out, err := weak.Sync(ctx, nil); err != nil || out.Last != 5 {
				t.Fatalf("the twin without %q noticed too: %+v, %v", l.without, out, err)
			}
		})
	}
}

// wrongProof gives another entry's proof.
type wrongProof struct {
	*mirrortest.Vault
	of ledger.Entry
}

func (w wrongProof) Proof(ctx context.Context, _ ledger.Entry) ([]byte, error) {
	return w.Vault.Proof(ctx, w.of)
}

func TestAnotherEntrysProofIsRefused(t *testing.T) {
	v := filled(t, 3)
	p := v.Stored[0]
	wrong := wrongProof{v, ledger.Commit(ledger.Opening{Event: p.Event, Random: [32]byte(p.Random)})}
	m := open(t, v, t.TempDir(), wrong)
	if out, err := m.Sync(ctx, nil); !errors.Is(err, ledger.ErrAltered) || !strings.Contains(err.Error(), "pack 2") {
		t.Fatalf("%+v, %v", out, err)
	}
	weak := open(t, v, t.TempDir(), wrong)
	weak.judge = lax{weak.judge, "included"}
	if out := fetched(t, weak); out.Last != 3 {
		t.Fatalf("%+v", out)
	}
}

// lonely gives proofs that too few witnesses have cosigned.
type lonely struct{ *mirrortest.Vault }

func (l lonely) Proof(ctx context.Context, e ledger.Entry) ([]byte, error) {
	l.Cosigning = 1
	defer func() { l.Cosigning = 3 }()
	return l.Vault.Proof(ctx, e)
}

func TestAnUnwitnessedPackIsRefused(t *testing.T) {
	v := filled(t, 3)
	m := open(t, v, t.TempDir(), lonely{v})
	if out, err := m.Sync(ctx, nil); !errors.Is(err, ledger.ErrUnwitnessed) || !strings.Contains(err.Error(), "pack 1") || out.Packs != 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	weak := open(t, v, t.TempDir(), lonely{v})
	weak.judge = lax{weak.judge, "included"}
	if out := fetched(t, weak); out.Last != 3 {
		t.Fatalf("%+v", out)
	}
}

func evidence(t *testing.T, m *Mirror) string {
	t.Helper()
	files, _ := filepath.Glob(m.path("evidence", "*"))
	if len(files) != 1 {
		t.Fatalf("evidence: %v", files)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAForkAndAShorterLogAreKeptAsEvidenceAndRefused(t *testing.T) {
	for name, size := range map[string]int{"fork": 6, "fork of the same size": 4, "shorter": 2} {
		t.Run(name, func(t *testing.T) {
			v := filled(t, 4)
			m := open(t, v, t.TempDir(), v)
			fetched(t, m)
			before, _ := os.ReadFile(m.path("checkpoint"))
			other := filled(t, size) // same keys, other packs: what colluding witnesses would sign
			m.cfg.Vault = other
			out, err := m.Sync(ctx, nil)
			if problem.KindOf(err) != problem.Denied || !strings.Contains(problem.MessageOf(err), "evidence/") {
				t.Fatalf("%+v, %v", out, err)
			}
			if text := evidence(t, m); !strings.Contains(text, string(before)) || strings.Count(text, mirrortest.Origin+"\n") < 2 {
				t.Fatalf("evidence:\n%s", text)
			} else if e, err := ledger.ParseEvidence([]byte(text)); (err == nil) != (name != "shorter") || err == nil && len(e.Accused) != 4 {
				t.Fatalf("a stranger reads the evidence as %+v: %v", e, err)
			}
			if after, _ := os.ReadFile(m.path("checkpoint")); !bytes.Equal(before, after) {
				t.Fatal("the checkpoint was replaced")
			}
			if name == "shorter" {
				return
			}
			weak := open(t, v, m.cfg.Folder, other)
			weak.judge = lax{weak.judge, "continues"}
			if _, err := weak.Sync(ctx, nil); err == nil || strings.Contains(problem.MessageOf(err), "evidence/") {
				t.Fatalf("the twin noticed: %v", err) // it goes on until the listing tells another story
			}
		})
	}
}

func TestAnotherStoryOfAMirroredNumberIsRefused(t *testing.T) {
	v := filled(t, 2)
	m := open(t, v, t.TempDir(), v)
	fetched(t, m)
	v.Stored[1].Bytes = randomPack(small)
	relog(v, 1, 2, nil)
	if _, err := m.Sync(ctx, nil); problem.KindOf(err) != problem.Denied || !strings.Contains(problem.MessageOf(err), "another pack under number 2") {
		t.Fatal(err)
	}
	v.Stored = v.Stored[:1]
	if _, err := m.Sync(ctx, nil); err == nil || !strings.Contains(problem.MessageOf(err), "no longer lists") {
		t.Fatal(err)
	}
}

func TestEveryFlippedByteOfARowIsRefused(t *testing.T) {
	v := filled(t, 3)
	m := open(t, v, t.TempDir(), v)
	fetched(t, m)
	raw, err := os.ReadFile(m.rowPath(2))
	if err != nil {
		t.Fatal(err)
	}
	accepted := func(without string) (n int) {
		for i := range raw {
			raw[i] ^= 1 << (i % 8)
			if err := os.WriteFile(m.rowPath(2), raw, 0o600); err != nil {
				t.Fatal(err)
			}
			fresh := open(t, v, m.cfg.Folder, nil)
			if without != "" {
				fresh.judge = lax{fresh.judge, without}
			}
			if _, err := fresh.SlotArea(2); err == nil {
				n++
			}
			raw[i] ^= 1 << (i % 8)
		}
		return n
	}
	if n := accepted(""); n != 0 {
		t.Fatalf("%d flips accepted", n)
	}
	if n := accepted("included"); n < 100 {
		t.Fatalf("the twin that believes proofs accepted only %d flips", n)
	}
}

func TestEveryFlippedByteOfTheCheckpointIsRefused(t *testing.T) {
	v := filled(t, 3)
	m := open(t, v, t.TempDir(), v)
	fetched(t, m)
	raw, _ := os.ReadFile(m.path("checkpoint"))
	for i := range raw {
		raw[i] ^= 1 << (i % 8)
		_ = os.WriteFile(m.path("checkpoint"), raw, 0o600)
		fresh := open(t, v, m.cfg.Folder, v)
		if _, err := fresh.Sync(ctx, nil); err == nil {
			t.Fatalf("flip at %d accepted", i)
		}
		raw[i] ^= 1 << (i % 8)
	}
}

func TestASlotAreaIsVerifiedInEveryProcess(t *testing.T) {
	v := filled(t, 2)
	m := open(t, v, t.TempDir(), v)
	fetched(t, m)
	pack, _ := os.ReadFile(m.packPath(2))
	flipped := func(weak string) (accepted int) {
		for i := 0; i < small.Slots*seal.SlotSize; i += 61 {
			pack[i] ^= 0x10
			_ = os.WriteFile(m.packPath(2), pack, 0o600)
			fresh := open(t, v, m.cfg.Folder, nil)
			if _, err := fresh.SlotArea(2); err == nil {
				accepted++
			}
			if _, err := m.SlotArea(2); err == nil { // the process that had verified it before
				accepted++
			}
			pack[i] ^= 0x10
		}
		return accepted
	}
	if n := flipped(""); n != 0 {
		t.Fatalf("%d accepted", n)
	}
	_ = os.Truncate(m.packPath(2), 100)
	if _, err := open(t, v, m.cfg.Folder, nil).SlotArea(2); problem.KindOf(err) != problem.Invalid {
		t.Fatal(err)
	}
	if _, err := m.SlotArea(3); problem.KindOf(err) != problem.NotFound {
		t.Fatal(err)
	}
	if err := m.ReadPack(1, uint32(small.Size)-1, make([]byte, 2)); problem.KindOf(err) != problem.Invalid {
		t.Fatal(err)
	}
}

func TestAuditNamesPackAndArea(t *testing.T) {
	v := filled(t, 3)
	m := open(t, v, t.TempDir(), v)
	fetched(t, m)
	pack, _ := os.ReadFile(m.packPath(2))
	border := small.Slots * seal.SlotSize
	for i := 0; i < small.Size; i += 4099 {
		pack[i] ^= 1 << (i % 8)
		_ = os.WriteFile(m.packPath(2), pack, 0o600)
		want := AreaBody
		if i < border {
			want = AreaSlots
		}
		audited, err := m.Audit(ctx, nil)
		if err != nil || len(audited.Findings) != 1 || audited.Findings[0].Number != 2 || audited.Findings[0].Area != want {
			t.Fatalf("flip at %d: %+v, %v", i, audited, err)
		}
		if weak := (&Mirror{cfg: m.cfg, geometry: m.geometry, judge: lax{m.judge, "body"}}); i >= border {
			if audited, _ := weak.Audit(ctx, nil); len(audited.Findings) != 0 {
				t.Fatal("the twin that checks slot areas only found a flip in a body")
			}
		}
		pack[i] ^= 1 << (i % 8)
	}
	_ = os.WriteFile(m.packPath(2), pack[:100], 0o600)
	_ = os.Remove(m.packPath(1))
	_ = os.WriteFile(m.rowPath(3), []byte("{}"), 0o600)
	audited, err := m.Audit(ctx, nil)
	got := fmt.Sprint(err)
	for _, f := range audited.Findings {
		got += fmt.Sprintf(" %d %s", f.Number, f.Area)
	}
	if got != "<nil> 1 gap 2 size 3 row" {
		t.Fatal(got)
	}
}

// flaky fails the n-th transfer in its middle.
type flaky struct{ n int }

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	f.n--
	res, err := http.DefaultTransport.RoundTrip(r)
	if f.n == 0 && err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, 1000)
	}
	return res, err
}

func TestABrokenTransferAndAFailedWriteLoseNothing(t *testing.T) {
	for at := 1; at <= 4; at++ {
		v := filled(t, 4)
		m := open(t, v, t.TempDir(), v)
		m.cfg.HTTP = &http.Client{Transport: &flaky{n: at}}
		if out, err := m.Sync(ctx, nil); problem.KindOf(err) != problem.Unavailable || out.Packs != at-1 {
			t.Fatalf("transfer %d: %+v, %v", at, out, err)
		}
		fetched(t, m)
		clean(t, m, v)
	}
	for _, name := range []string{"packs/000000000003", "index/000000000003.json"} {
		v := filled(t, 4)
		m := open(t, v, t.TempDir(), v)
		block := filepath.Join(m.cfg.Folder, name)
		if err := os.MkdirAll(filepath.Join(block, "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := m.Sync(ctx, nil); err == nil || out.Packs > 2 && strings.HasPrefix(name, "packs") {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		if err := os.RemoveAll(block); err != nil {
			t.Fatal(err)
		}
		m.top = 0
		fetched(t, m)
		clean(t, m, v)
	}
}

func TestTwoSyncsAtOnceAreRefused(t *testing.T) {
	v := filled(t, 1)
	m := open(t, v, t.TempDir(), v)
	unlock, err := lockFolder(m.cfg.Folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Sync(ctx, nil); problem.KindOf(err) != problem.Conflict {
		t.Fatal(err)
	}
	// With patience the second waits for the first, as arca mirror does beside arca serve.
	m.cfg.Patience = time.Minute
	go func() {
		time.Sleep(50 * time.Millisecond)
		unlock()
	}()
	fetched(t, m)
}

// TestMain lets the test be its own victim: with ARCA_MIRROR_VICTIM it only mirrors, until it is killed.
func TestMain(m *testing.M) {
	if folder := os.Getenv("ARCA_MIRROR_VICTIM"); folder != "" {
		victim(folder, os.Getenv("ARCA_MIRROR_VAULT"))
	}
	os.Exit(m.Run())
}

func victim(folder, base string) {
	raw, err := os.ReadFile(filepath.Join(folder, "trust.json"))
	var t record.Trust
	if err == nil {
		err = record.Unmarshal(raw, &t)
	}
	if err == nil {
		client := &wire.Vault{Client: wire.Client{Base: base, HTTP: http.DefaultClient, Now: time.Now}}
		var m *Mirror
		if m, err = Open(Config{Folder: folder, Trust: t, Vault: client, HTTP: http.DefaultClient, Now: time.Now}); err == nil {
			_, err = m.Sync(ctx, nil)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func TestKilledAtAnyPointItResumes(t *testing.T) {
	v := filled(t, 60)
	folder := t.TempDir()
	raw, _ := record.Marshal(v.Trust)
	if err := os.WriteFile(filepath.Join(folder, "trust.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	m := open(t, v, folder, v)
	kills, stuck := 0, 0
	for i := 0; i < 40; i++ {
		var stderr bytes.Buffer
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "ARCA_MIRROR_VICTIM="+folder, "ARCA_MIRROR_VAULT="+v.Server.URL)
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("%v: %s", err, stderr.String())
			}
			stuck++
		case <-time.After(time.Duration(20+7*i) * time.Millisecond):
			_ = cmd.Process.Kill()
			<-done
			kills++
		}
		audited, err := m.Audit(ctx, nil)
		if err != nil || len(audited.Findings) > 0 {
			t.Fatalf("after kill %d: %+v, %v", kills, audited, err)
		}
		if stuck > 0 {
			break
		}
	}
	if kills == 0 {
		t.Fatal("nothing was killed")
	}
	t.Logf("%d kills", kills)
	fetched(t, m)
	clean(t, m, v)
}

var _ Vault = (*wire.Vault)(nil)
