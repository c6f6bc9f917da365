package vault

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/store/folder"
	"arca.example/arca/shared/store/sqlite"
)

// onDisk replaces a world's store by SQLite and a folder.
func (w *world) onDisk(dir string) (closeStore func()) {
	db, err := sqlite.Open(filepath.Join(dir, "rows.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	blobs, err := folder.Open(filepath.Join(dir, "objects"), folder.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.rows, w.blobs = db, blobs
	return func() { db.Close(); blobs.Close() }
}

func TestOnTheEmbeddedDefault(t *testing.T) {
	w := newWorld(t, 2, 2)
	defer w.onDisk(t.TempDir())()
	ctx := t.Context()
	var wg sync.WaitGroup
	for p := range 2 {
		l := w.open()
		for i := range 32 {
			wg.Go(func() {
				n := (p*32 + i) * 10
				if i%4 == 0 {
					appendUntilIn(t, w, l, entry(n))
				}
				if err := l.Add(ctx, entries(n, n+10)); err != nil {
					t.Error(err)
				}
				if i%8 == 0 {
					if _, err := l.Sequence(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	l := w.open()
	if _, err := l.Sequence(ctx); err != nil {
		t.Fatal(err)
	}
	w.audit(l, entries(0, 640))
}

// child is what the killed process needs to know.
type child struct {
	Dir    string
	Policy ledger.Policy
	URLs   []string
	From   int
}

var witnessClient = &http.Client{Timeout: 5 * time.Second}

const childVariable = "ARCA_TEST_LEDGER_CHILD"

// TestMain runs the killed process of TestKill9 when it is started as such.
func TestMain(m *testing.M) {
	if arg := os.Getenv(childVariable); arg != "" {
		appendUntilKilled(arg)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appendUntilKilled adds entries and prints the number of each once it is acknowledged.
func appendUntilKilled(arg string) {
	var c child
	if err := json.Unmarshal([]byte(arg), &c); err != nil {
		panic(err)
	}
	signer, _, err := ledger.NewLogSigner(origin, testKey("log"))
	if err != nil {
		panic(err)
	}
	db, err := sqlite.Open(filepath.Join(c.Dir, "rows.db"))
	if err != nil {
		panic(err)
	}
	blobs, err := folder.Open(filepath.Join(c.Dir, "objects"), folder.Options{})
	if err != nil {
		panic(err)
	}
	var witnesses []Witness
	for i, name := range c.Policy.Names() {
		witnesses = append(witnesses, RemoteWitness{Client: witnessClient, URL: c.URLs[i], Called: name, Keys: c.Policy.KeysOf(name)})
	}
	l, err := NewLedger(db, blobs, signer, c.Policy, witnesses, time.Now)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	go func() {
		for {
			l.Sequence(ctx)
		}
	}()
	var mu sync.Mutex
	for i := range 4 {
		go func() {
			for n := c.From + i; ; n += 4 {
				if l.Add(ctx, []ledger.Entry{entry(n)}) == nil {
					mu.Lock()
					fmt.Println(n)
					mu.Unlock()
				}
			}
		}()
	}
	time.Sleep(time.Minute)
}

// TestKill9 kills a process under load at random moments and checks what it
// acknowledged. ARCA_KILL_ROUNDS sets the number of rounds (default 8).
func TestKill9(t *testing.T) {
	rounds := 8
	if s := os.Getenv("ARCA_KILL_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		rounds = n
	}
	dir := t.TempDir()
	w := newWorld(t, 2, 2)
	var urls []string
	for _, s := range w.servers {
		urls = append(urls, s.URL)
	}
	var acknowledged []int
	for round := range rounds {
		got := killed(t, child{Dir: dir, Policy: w.policy, URLs: urls, From: round * 1_000_000})
		if len(got) == 0 && round == 0 {
			t.Log("nothing was acknowledged before the kill")
		}
		acknowledged = append(acknowledged, got...)
	}
	defer w.onDisk(dir)()
	l := w.open()
	out, err := l.Sequence(t.Context())
	if err != nil {
		t.Fatal(err, out.Refusals)
	}
	for _, n := range acknowledged {
		if _, err := l.Proof(t.Context(), entry(n)); err != nil {
			t.Fatalf("acknowledged entry %d: %v", n, err)
		}
	}
	// What was not acknowledged may be in as well, but nothing twice.
	all, seen := logged(t, l, out.Size), map[ledger.Entry]bool{}
	for _, e := range all {
		if seen[e] {
			t.Fatal("an entry is in the log twice")
		}
		seen[e] = true
	}
	w.audit(l, all)
	t.Logf("%d rounds, %d acknowledged, %d in the log", rounds, len(acknowledged), out.Size)
	if len(acknowledged) < rounds {
		t.Fatal("the killed processes did nothing")
	}
}

func logged(t *testing.T, l *Ledger, size int64) []ledger.Entry {
	var all []ledger.Entry
	for from := int64(0); from < size; from += ledger.TileWidth {
		tile := ledger.Tile{Entries: true, Number: from / ledger.TileWidth, Width: int(min(ledger.TileWidth, size-from))}
		data, err := l.Tile(t.Context(), tile.Path())
		if err != nil {
			t.Fatal(err)
		}
		list, err := ledger.ParseBundle(data)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list...)
	}
	return all
}

// killed runs a child, kills it after a while, and gives what it acknowledged.
func killed(t *testing.T, c child) []int {
	arg, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(arg))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(100*time.Millisecond + rand.N(300*time.Millisecond))
		cmd.Process.Kill()
	}()
	var got []int
	for lines := bufio.NewScanner(out); lines.Scan(); {
		// The kill may cut the last line: a number that is short is not what was acknowledged.
		if n, err := strconv.Atoi(strings.TrimSpace(lines.Text())); err == nil && n >= c.From && n < c.From+1_000_000 {
			got = append(got, n)
		}
	}
	cmd.Wait()
	return got
}

// BenchmarkAppend measures durable appends on the embedded default while a
// sequencer runs, and how long an entry takes to its cosigned proof.
func BenchmarkAppend(b *testing.B) {
	for _, clients := range []int{1, 32, 128} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { benchmarkAppend(b, clients) })
	}
}

func benchmarkAppend(b *testing.B, clients int) {
	w := newWorld(b, 2, 2)
	defer w.onDisk(b.TempDir())()
	l := w.open()
	ctx := b.Context()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
				if _, err := l.Sequence(ctx); err != nil {
					b.Error(err)
				}
			}
		}
	}()
	var mu sync.Mutex
	var waits, proofs []time.Duration
	var wg, proving sync.WaitGroup
	b.ResetTimer()
	for c := range clients {
		wg.Go(func() {
			for n := c; n < b.N; n += clients {
				began := time.Now()
				if err := l.Add(ctx, []ledger.Entry{entry(n)}); err != nil {
					b.Error(err)
					return
				}
				took := time.Since(began)
				mu.Lock()
				waits = append(waits, took)
				mu.Unlock()
				if n%200 == 0 {
					proving.Go(func() {
						for {
							if _, err := l.Proof(ctx, entry(n)); err == nil {
								break
							}
							time.Sleep(20 * time.Millisecond)
						}
						mu.Lock()
						proofs = append(proofs, time.Since(began))
						mu.Unlock()
					})
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	proving.Wait()
	close(stop)
	<-stopped
	slices.Sort(waits)
	slices.Sort(proofs)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(proofs[len(proofs)*99/100].Milliseconds()), "p99-proof-ms")
}
