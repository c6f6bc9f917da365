package witness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/wire"
)

const origin = "vault.example/log"

func testKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// history is a log whose every earlier tree can still be shown.
type history struct {
	signer note.Signer
	vkey   string
	edge   *ledger.Edge
	tiles  map[ledger.Tile][]byte
}

func newHistory(t testing.TB, salt string, size int) *history {
	signer, vkey, err := ledger.NewLogSigner(origin, testKey("log"))
	if err != nil {
		t.Fatal(err)
	}
	h := &history{signer: signer, vkey: vkey, edge: &ledger.Edge{}, tiles: map[ledger.Tile][]byte{}}
	for n := range size {
		name := fmt.Sprintf("%d", n)
		if n >= 10 {
			name += salt // histories of different salts agree on ten entries
		}
		next, objects := h.edge.Append([]ledger.Entry{ledger.Commit(ledger.Opening{Event: []byte(name)})})
		h.edge = next
		for _, o := range objects {
			h.tiles[o.Tile] = o.Data
		}
	}
	return h
}

func (h *history) fetch(t ledger.Tile) ([]byte, error) {
	if b, ok := h.tiles[t]; ok {
		return b, nil
	}
	return nil, fmt.Errorf("no tile %s", t.Path())
}

// first gives the tiles of the history's first entries.
func (h *history) first(t testing.TB, size int64) func(ledger.Tile) ([]byte, error) {
	list, err := ledger.ParseBundle(h.tiles[ledger.Tile{Entries: true, Width: int(h.edge.Size())}])
	if err != nil {
		t.Fatal(err)
	}
	_, objects := (&ledger.Edge{}).Append(list[:size])
	return func(tile ledger.Tile) ([]byte, error) {
		for _, o := range objects {
			if o.Tile == tile {
				return o.Data, nil
			}
		}
		return nil, fmt.Errorf("no tile %s", tile.Path())
	}
}

func (h *history) at(t testing.TB, size int64) ledger.Tree {
	tree := ledger.Tree{Origin: origin, Size: size}
	if size == h.edge.Size() {
		tree.Root = h.edge.Root()
		return tree
	}
	small := &ledger.Edge{}
	list, err := ledger.ParseBundle(h.tiles[ledger.Tile{Entries: true, Width: int(h.edge.Size())}])
	if err != nil {
		t.Fatal(err)
	}
	small, _ = small.Append(list[:size])
	tree.Root = small.Root()
	return tree
}

func (h *history) request(t testing.TB, old, size int64) ledger.Request {
	tree := h.at(t, size)
	signed, err := ledger.SignTree(tree, h.signer)
	if err != nil {
		t.Fatal(err)
	}
	r := ledger.Request{Old: old, Checkpoint: signed}
	if old <= size {
		if r.Path, err = ledger.ProveConsistency(tree, old, ledger.Reader(tree, h.fetch)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

var clock = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

func open(t testing.TB, folder string) *Witness {
	w, err := New(Options{Name: "witness.example", Key: testKey("witness"), Folder: folder,
		Now: func() time.Time { return clock }, Logs: []Log{{Origin: origin, Keys: []string{newHistory(t, "", 0).vkey}}}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func post(t testing.TB, w http.Handler, body []byte) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(body)))
	return rec
}

func TestProtocolSentences(t *testing.T) {
	folder := t.TempDir()
	w := open(t, folder)
	h, fork := newHistory(t, "", 40), newHistory(t, "fork", 40)
	r := func(h *history, old, size int64) []byte { return h.request(t, old, size).Marshal() }
	wrongKey := newHistory(t, "", 40)
	wrongKey.signer, _, _ = ledger.NewLogSigner(origin, testKey("thief"))
	otherLog := bytes.Replace(r(h, 0, 20), []byte(origin+"\n"), []byte("else.example/log\n"), 1)
	swapped := h.request(t, 20, 30)
	swapped.Path[0], swapped.Path[1] = swapped.Path[1], swapped.Path[0]
	padded := h.request(t, 0, 20)
	padded.Path = swapped.Path
	steps := []struct {
		name   string
		body   []byte
		status int
		answer string // prefix
	}{
		{"nothing", nil, 400, ""},
		{"no checkpoint", []byte("old 0\n\n"), 400, ""},
		{"too long", bytes.Repeat([]byte("x"), ledger.MaxRequest+1), 400, ""},
		{"unknown origin", otherLog, 404, ""},
		{"wrong key", r(wrongKey, 0, 20), 403, ""},
		{"a proof from nothing", padded.Marshal(), 422, ""},
		{"an old size that was never cosigned", r(h, 10, 20), 409, "0\n"},
		{"first sight", r(h, 0, 20), 200, "— witness.example "},
		{"the same again from 0", r(h, 0, 20), 409, "20\n"},
		{"the same again, for a fresh time", r(h, 20, 20), 200, "— witness.example "},
		{"the same size of another history", r(fork, 20, 20), 409, "another tree"},
		{"a rollback", r(h, 10, 10), 409, "20\n"},
		{"a rollback with the witness's size", h.request(t, 20, 10).Marshal(), 400, ""},
		{"a wrong proof", swapped.Marshal(), 422, ""},
		{"another history's growth", r(fork, 20, 30), 422, ""},
		{"growth", r(h, 20, 30), 200, "— witness.example "},
		{"the overtaken size", r(h, 20, 25), 409, "30\n"},
	}
	for _, s := range steps {
		got := post(t, w, s.body)
		if got.Code != s.status || !strings.HasPrefix(got.Body.String(), s.answer) {
			t.Errorf("%s: %d %q", s.name, got.Code, got.Body)
		}
		sized := got.Code == 409 && got.Body.Len() > 0 && got.Body.String()[0] <= '9'
		if sized != (got.Header().Get("Content-Type") == ledger.SizeType) {
			t.Errorf("%s: media type %q", s.name, got.Header().Get("Content-Type"))
		}
	}
	// A new process knows what the last one cosigned.
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, folder)
	defer w.Close()
	if got := post(t, w, r(h, 0, 5)); got.Code != 409 || got.Body.String() != "30\n" {
		t.Fatal(got.Code, got.Body)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/add-checkpoint", nil))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Error(rec.Code)
	}
}

// shown is what a witness tells who asks for its last checkpoint.
func shown(w *Witness, query string) (int, []byte) {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/checkpoint"+query, nil))
	return rec.Code, rec.Body.Bytes()
}

func TestTheLastCheckpointIsShown(t *testing.T) {
	folder := t.TempDir()
	w := open(t, folder)
	h := newHistory(t, "", 40)
	if code, _ := shown(w, ""); code != 404 {
		t.Fatal("before anything was cosigned:", code)
	}
	post(t, w, h.request(t, 0, 20).Marshal())
	policy := ledger.Policy{Origin: origin, Log: h.vkey, Witnesses: w.VerifierKeys(), Quorum: 1}
	for round := range 2 {
		for _, query := range []string{"", "?origin=" + origin} {
			code, body := shown(w, query)
			if c, err := policy.Verify(body); code != 200 || err != nil || c.Size != 20 || !c.Latest.Equal(clock) {
				t.Fatalf("round %d: %d %q %v", round, code, body, err)
			}
		}
		if code, _ := shown(w, "?origin=else"); code != 404 {
			t.Error("another log:", code)
		}
		w.Close()
		w = open(t, folder) // a new process shows the same
	}
	w.Close()
}

func TestALogThatForksIsConvicted(t *testing.T) {
	folder := t.TempDir()
	w := open(t, folder)
	defer w.Close()
	h := newHistory(t, "", 40)
	post(t, w, h.request(t, 0, 20).Marshal())
	for n := range 20 {
		fork := newHistory(t, fmt.Sprintf("fork %d", n), 40)
		if got := post(t, w, fork.request(t, 20, 20).Marshal()); got.Code != 409 {
			t.Fatal(got.Code)
		}
		post(t, w, fork.request(t, 20, 20).Marshal()) // the same again is the same file
	}
	files, err := filepath.Glob(filepath.Join(folder, "evidence-*.txt"))
	if err != nil || len(files) != maxEvidence {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	e, err := ledger.ParseEvidence(b)
	if err != nil || e.Kind != ledger.KindFork || len(e.Accused) != 1 || e.Accused[0].Key != h.vkey {
		t.Fatalf("%+v %v", e, err)
	}
}

// TestALogThatForksAtAnotherSizeIsConvicted: the proof that does not lead from what was cosigned shows what the longer tree began with.
func TestALogThatForksAtAnotherSizeIsConvicted(t *testing.T) {
	for _, size := range []int64{11, 19, 20, 31, 16, 32} {
		folder := t.TempDir()
		w := open(t, folder)
		h, fork := newHistory(t, "", 40), newHistory(t, "fork", 40)
		post(t, w, h.request(t, 0, size).Marshal())
		// What proves nothing accuses nobody: a proof that leads nowhere, none, and an honest log's that was garbled on the way.
		garbled := h.request(t, size, 40)
		garbled.Path[0][0] ^= 1
		none := fork.request(t, size, 40)
		none.Path = none.Path[:0]
		for _, r := range []ledger.Request{garbled, none} {
			if got := post(t, w, r.Marshal()); got.Code != 422 {
				t.Fatal(got.Code)
			}
		}
		if files, _ := filepath.Glob(filepath.Join(folder, "evidence-*.txt")); len(files) > 0 {
			t.Errorf("size %d: somebody is accused for nothing", size)
		}
		if got := post(t, w, fork.request(t, size, 40).Marshal()); got.Code != 422 {
			t.Fatal(got.Code)
		}
		files, err := filepath.Glob(filepath.Join(folder, "evidence-*.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if size&(size-1) == 0 { // such a proof does not hold its beginning
			if len(files) > 0 {
				t.Errorf("size %d: %v", size, files)
			}
			continue
		}
		if len(files) != 1 {
			t.Fatalf("size %d: no evidence", size)
		}
		b, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		e, err := ledger.ParseEvidence(b)
		if err != nil || e.First.Size != size || e.Second.Size != 40 || len(e.Accused) != 1 || e.Accused[0].Key != h.vkey {
			t.Errorf("size %d: %+v %v", size, e, err)
		}
		w.Close()
	}
}

// TestAClockThatWentBackAcrossARestartSignsNothing: a smaller tree's time would come after a larger one's.
func TestAClockThatWentBackAcrossARestartSignsNothing(t *testing.T) {
	start := func(folder string, at time.Time) *Witness {
		w := open(t, folder)
		w.now = func() time.Time { return at }
		return w
	}
	h := newHistory(t, "", 40)
	folder := t.TempDir()
	w := start(folder, clock)
	post(t, w, h.request(t, 0, 20).Marshal())
	w.Close()
	w = start(folder, clock.Add(-time.Hour))
	if got := post(t, w, h.request(t, 20, 30).Marshal()); got.Code != 503 {
		t.Fatal(got.Code, got.Body)
	}
	// The twin forgets the time with the process, and convicts itself.
	w.logs[origin].signed = time.Time{}
	small, _ := os.ReadFile(w.logs[origin].path)
	if got := post(t, w, h.request(t, 20, 30).Marshal()); got.Code != 200 {
		t.Fatal(got.Code)
	}
	_, large := shown(w, "")
	w.Close()
	v, err := ledger.NewVerifier(ledger.Policy{Origin: origin, Log: h.vkey, Witnesses: w.VerifierKeys(), Quorum: 1})
	if err != nil {
		t.Fatal(err)
	}
	e, err := v.Contradiction(small, large, func(larger ledger.Tree) tlog.HashReader { return ledger.Reader(larger, h.first(t, larger.Size)) })
	if err != nil || e == nil || e.Kind != ledger.KindRollback || len(e.Accused) != 2 {
		t.Fatalf("%+v %v", e, err)
	}
}

// forked reports whether a witness can be led to cosign two trees of one size.
func forked(t *testing.T, w *Witness) bool {
	h, fork := newHistory(t, "", 40), newHistory(t, "fork", 40)
	post(t, w, h.request(t, 0, 20).Marshal())
	if post(t, w, fork.request(t, 0, 20).Marshal()).Code == 200 {
		return true
	}
	if post(t, w, fork.request(t, 20, 20).Marshal()).Code == 200 {
		return true
	}
	return post(t, w, fork.request(t, 20, 30).Marshal()).Code == 200
}

func TestForgettingWitnessIsCaught(t *testing.T) {
	w := open(t, t.TempDir())
	defer w.Close()
	if forked(t, w) {
		t.Fatal("the witness cosigned two histories")
	}
	twin := open(t, t.TempDir())
	defer twin.Close()
	twin.logs[origin].store = func(string, []byte) error { return errors.New("disk full") }
	if got := post(t, twin, newHistory(t, "", 40).request(t, 0, 20).Marshal()); got.Code != 503 || strings.Contains(got.Body.String(), "—") {
		t.Fatal("cosigned without having stored", got.Code)
	}
	// The weakened twin acknowledges without storing, and is restarted.
	twin.logs[origin].store = func(string, []byte) error { return nil }
	h, fork := newHistory(t, "", 40), newHistory(t, "fork", 40)
	post(t, twin, h.request(t, 0, 20).Marshal())
	folder := filepath.Dir(twin.logs[origin].path)
	if err := twin.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, folder)
	defer again.Close()
	if post(t, again, fork.request(t, 0, 20).Marshal()).Code != 200 {
		t.Fatal("the twin was not weakened")
	}
}

// TestKilledAtEachStepOfStoring leaves the folder as a kill -9 at each step of
// replacing the file would, and starts again.
func TestKilledAtEachStepOfStoring(t *testing.T) {
	h := newHistory(t, "", 40)
	first, second := h.request(t, 0, 20), h.request(t, 20, 30)
	for name, leave := range map[string]func(path string){
		"before":            func(string) {},
		"temporary, empty":  func(p string) { os.WriteFile(filepath.Join(filepath.Dir(p), ".new-1"), nil, 0o600) },
		"temporary, half":   func(p string) { os.WriteFile(filepath.Join(filepath.Dir(p), ".new-1"), second.Checkpoint[:50], 0o600) },
		"temporary, whole":  func(p string) { os.WriteFile(filepath.Join(filepath.Dir(p), ".new-1"), second.Checkpoint, 0o600) },
		"renamed, unsigned": func(p string) { replaceFile(p, second.Checkpoint) },
	} {
		folder := t.TempDir()
		w := open(t, folder)
		if post(t, w, first.Marshal()).Code != 200 {
			t.Fatal(name)
		}
		leave(w.logs[origin].path)
		w.Close()
		w = open(t, folder)
		size := w.logs[origin].tree.Size
		if size != 20 && size != 30 {
			t.Errorf("%s: size %d", name, size)
		}
		if got := post(t, w, h.request(t, size, 40).Marshal()); got.Code != 200 {
			t.Errorf("%s: the witness is stuck: %d", name, got.Code)
		}
		w.Close()
	}
}

func TestDamagedStateRefusesToStart(t *testing.T) {
	folder := t.TempDir()
	w := open(t, folder)
	h := newHistory(t, "", 40)
	post(t, w, h.request(t, 0, 20).Marshal())
	path, options := w.logs[origin].path, Options{Name: "witness.example", Key: testKey("witness"), Folder: folder,
		Now: time.Now, Logs: []Log{{Origin: origin, Keys: []string{h.vkey}}}}
	if _, err := New(options); err == nil {
		t.Fatal("two witnesses on one folder")
	}
	w.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for i := range good {
		mutant := bytes.Clone(good)
		mutant[i] ^= 1
		if err := os.WriteFile(path, mutant, 0o600); err != nil {
			t.Fatal(err)
		}
		if w, err := New(options); err == nil {
			if w.logs[origin].tree != h.at(t, 20) {
				accepted++
			}
			w.Close()
		}
	}
	if accepted != 0 {
		t.Fatalf("%d damaged states change what the witness remembers", accepted)
	}
	for _, broken := range [][]byte{nil, good[:len(good)/2]} {
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(options); err == nil {
			t.Fatal("an empty or cut state is taken for a new log")
		}
	}
}

func TestConcurrentRequestsKeepOneHistory(t *testing.T) {
	w := open(t, t.TempDir())
	defer w.Close()
	server := httptest.NewServer(w)
	defer server.Close()
	histories := []*history{newHistory(t, "", 40), newHistory(t, "fork", 40)}
	var mu sync.Mutex
	signed := map[int64]ledger.Tree{}
	var wg sync.WaitGroup
	for i := range 8 {
		h := histories[i%2]
		var requests []ledger.Request
		for old := int64(0); old < 40; old += 4 {
			for size := old; size <= 40; size += 4 {
				requests = append(requests, h.request(t, old, size))
			}
		}
		wg.Go(func() {
			for _, r := range requests {
				_, err := wire.AddCheckpoint(context.Background(), http.DefaultClient, server.URL, w.VerifierKeys(), r)
				if err != nil {
					continue
				}
				v, _ := note.NewVerifier(h.vkey)
				tree, err := ledger.OpenTree(r.Checkpoint, v)
				mu.Lock()
				if other, ok := signed[tree.Size]; err != nil || ok && other != tree {
					t.Error("two trees of one size were cosigned", err)
				}
				signed[tree.Size] = tree
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(signed) < 2 {
		t.Fatal("nothing was cosigned")
	}
}

func TestClientReadsAnswersStrictly(t *testing.T) {
	w := open(t, t.TempDir())
	defer w.Close()
	h := newHistory(t, "", 40)
	r := h.request(t, 0, 20)
	line := post(t, w, r.Marshal()).Body.String()
	stranger, _ := ledger.NewCosigner("stranger.example", testKey("stranger"))
	alien := stranger.Cosign(h.at(t, 20), clock).Line
	for _, c := range []struct {
		name   string
		status int
		media  string
		body   string
		ok     bool
		size   int64 // of a *ledger.SizeConflict
		fork   bool
	}{
		{"plain", 200, "", line, true, -1, false},
		{"with a stranger's line", 200, "", alien + line, true, -1, false},
		{"a stranger's line only", 200, "", alien, false, -1, false},
		{"empty", 200, "", "", false, -1, false},
		{"a blank line and another note", 200, "", "\n\n" + line, false, -1, false},
		{"too long", 200, "", line + strings.Repeat("x", ledger.MaxResponse), false, -1, false},
		{"changed", 200, "", strings.Replace(line, "A", "B", 1), false, -1, false},
		{"size", 409, ledger.SizeType, "17\n", false, 17, false},
		{"size with a zero", 409, ledger.SizeType, "017\n", false, -1, false},
		{"size without a newline", 409, ledger.SizeType, "17", false, -1, false},
		{"negative size", 409, ledger.SizeType, "-1\n", false, -1, false},
		{"another tree", 409, "text/plain", "no\n", false, -1, true},
		{"redirect", 302, "", "", false, -1, false},
		{"broken", 500, "", "", false, -1, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
			if c.status == 302 {
				if q.URL.Path != "/add-checkpoint" {
					t.Error("the client followed a redirect")
				}
				http.Redirect(rw, q, "/else", http.StatusFound)
				return
			}
			rw.Header().Set("Content-Type", c.media)
			rw.WriteHeader(c.status)
			fmt.Fprint(rw, c.body)
		}))
		got, err := wire.AddCheckpoint(t.Context(), server.Client(), server.URL+"/", w.VerifierKeys(), r)
		server.Close()
		if (err == nil) != c.ok || c.ok && got != line || errors.Is(err, ledger.ErrFork) != c.fork {
			t.Errorf("%s: %q %v", c.name, got, err)
		}
		size := int64(-1)
		if e, ok := errors.AsType[*ledger.SizeConflict](err); ok {
			size = e.Size
		}
		if size != c.size {
			t.Errorf("%s: size %d", c.name, size)
		}
	}
}

func TestClockThatGoesBackSignsNothing(t *testing.T) {
	folder, now := t.TempDir(), clock
	h := newHistory(t, "", 40)
	w, err := New(Options{Name: "w.example", Key: testKey("witness"), Folder: folder, Now: func() time.Time { return now }, Logs: []Log{{Origin: origin, Keys: []string{h.vkey}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if post(t, w, h.request(t, 0, 20).Marshal()).Code != 200 {
		t.Fatal("refused")
	}
	now = now.Add(-time.Second)
	if got := post(t, w, h.request(t, 20, 30).Marshal()); got.Code != 503 {
		t.Fatal(got.Code)
	}
}

func FuzzAddCheckpoint(f *testing.F) {
	h := newHistory(f, "", 40)
	f.Add(h.request(f, 0, 20).Marshal())
	f.Add(h.request(f, 20, 30).Marshal())
	w := open(f, f.TempDir())
	honest := map[ledger.Tree]bool{}
	for n := range int64(41) {
		honest[h.at(f, n)] = true
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if post(t, w, body).Code == 200 && !honest[w.logs[origin].tree] {
			t.Fatalf("a tree that the log never signed: %q", body)
		}
	})
}

func TestCorpusIsThere(t *testing.T) {
	files, err := filepath.Glob("testdata/fuzz/FuzzAddCheckpoint/*")
	if err != nil || len(files) == 0 {
		t.Fatal("FuzzAddCheckpoint has no committed corpus", err)
	}
}
