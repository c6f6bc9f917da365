package tests

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/folder"
	"arca.example/arca/shared/store/sqlite"
	"arca.example/arca/shared/vault"
	"arca.example/arca/shared/witness"
)

// sequencing is what the process that is killed needs to know.
type sequencing struct {
	Dir    string
	Policy ledger.Policy
	URLs   []string
	From   int    // its entries are numbered from here
	Step   string // of the sequencer, at which it kills itself
	After  bool   // once the step is done, or before
	Nth    int    // how many such steps it lets pass
}

const (
	sequencingVariable = "ARCA_TESTS_SEQUENCING"
	perRound           = 1_000_000 // numbers for one round's entries
)

// sequenceSteps are all writes of the sequencer, and its question to a witness.
var sequenceSteps = []string{"plan", "tile", "head", "place", "witness", "checkpoint"}

// killer ends its process at a step.
type killer struct {
	sequencing
	mu sync.Mutex
}

func (k *killer) at(step string, do func() error) error {
	k.mu.Lock()
	defer k.mu.Unlock() // one step at a time: none begins while the last one ends the process
	due := step == k.Step
	if due {
		k.Nth--
		due = k.Nth < 0
	}
	if due && !k.After {
		k.die()
	}
	err := do()
	if due && err == nil {
		k.die()
	}
	return err
}

func (k *killer) die() {
	fmt.Println("step " + k.Step) // one write
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}

// killingRows, killingBlobs and killingWitness are the sequencer's; those who add have plain ones.
type killingRows struct {
	store.Rows
	*killer
}

func (r killingRows) Commit(ctx context.Context, writes ...store.Write) error {
	step := ""
	switch key := writes[0].Key; {
	case key == "log/head" && strings.Contains(string(writes[0].Value), `"plan":{`):
		step = "plan"
	case key == "log/head":
		step = "head"
	case key == "log/checkpoint":
		step = "checkpoint"
	case strings.HasPrefix(key, "log/batch/"):
		step = "place"
	}
	return r.at(step, func() error { return r.Rows.Commit(ctx, writes...) })
}

type killingBlobs struct {
	store.Blobs
	*killer
}

func (b killingBlobs) Put(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	return b.at("tile", func() error { return b.Blobs.Put(ctx, key, size, sum, body) })
}

type killingWitness struct {
	vault.RemoteWitness
	*killer
}

func (w killingWitness) AddCheckpoint(ctx context.Context, r ledger.Request) (lines string, err error) {
	err = w.at("witness", func() error {
		lines, err = w.RemoteWitness.AddCheckpoint(ctx, r)
		return err
	})
	return lines, err
}

// openLog opens the embedded default; kill may be nil.
func openLog(c sequencing, kill *killer) (*vault.Ledger, func(), error) {
	signer, _, err := ledger.NewLogSigner(forkOrigin, forkKey("log"))
	if err != nil {
		return nil, nil, err
	}
	db, err := sqlite.Open(filepath.Join(c.Dir, "rows.db"))
	if err != nil {
		return nil, nil, err
	}
	files, err := folder.Open(filepath.Join(c.Dir, "objects"), folder.Options{})
	if err != nil {
		return nil, nil, err
	}
	var rows store.Rows = db
	var blobs store.Blobs = files
	var witnesses []vault.Witness
	if kill != nil {
		rows, blobs = killingRows{db, kill}, killingBlobs{files, kill}
	}
	for i, name := range c.Policy.Names() {
		remote := vault.RemoteWitness{Client: &http.Client{Timeout: 5 * time.Second}, URL: c.URLs[i], Called: name, Keys: c.Policy.KeysOf(name)}
		if kill != nil {
			witnesses = append(witnesses, killingWitness{remote, kill})
		} else {
			witnesses = append(witnesses, remote)
		}
	}
	l, err := vault.NewLedger(rows, blobs, signer, c.Policy, witnesses, time.Now)
	return l, func() { db.Close(); files.Close() }, err
}

// sequenceUntilKilled adds entries, prints the number of each that is acknowledged, and sequences.
func sequenceUntilKilled(arg string) error {
	var c sequencing
	if err := json.Unmarshal([]byte(arg), &c); err != nil {
		return err
	}
	sequencer, _, err := openLog(c, &killer{sequencing: c})
	if err != nil {
		return err
	}
	adder, _, err := openLog(c, nil)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for i := range 4 {
		go func() {
			for n := c.From + i; ; n += 4 {
				if adder.Add(ctx, []ledger.Entry{numbered(n)}) == nil {
					fmt.Println(n)
				}
				time.Sleep(time.Millisecond) // load, not a race for the disk: the rounds are many
			}
		}()
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		_, _ = sequencer.Sequence(ctx) // what fails is tried again; what was acknowledged is looked for later
	}
	return nil
}

func numbered(n int) ledger.Entry { return ledger.Entry(sha256.Sum256([]byte(strconv.Itoa(n)))) }

// killedRound runs one process to its end and gives what it acknowledged, and whether it came to its step.
func killedRound(t *testing.T, c sequencing) (acknowledged []int, killed bool) {
	t.Helper()
	arg, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), sequencingVariable+"="+string(arg))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		text := lines.Text()
		if text == "step "+c.Step {
			killed = true
		}
		// The kill may cut the last line: a number that is short is not what was acknowledged.
		if n, err := strconv.Atoi(text); err == nil && n >= c.From && n < c.From+perRound {
			acknowledged = append(acknowledged, n)
		}
	}
	_ = cmd.Wait() // it was killed
	return acknowledged, killed
}

// lostOrTwice gives which acknowledged numbers are not in the log, and how many entries stand in it more than once.
func lostOrTwice(acknowledged []int, logged []ledger.Entry) (lost []int, twice int) {
	times := map[ledger.Entry]int{}
	for _, e := range logged {
		if times[e]++; times[e] == 2 {
			twice++
		}
	}
	for _, n := range acknowledged {
		if times[numbered(n)] == 0 {
			lost = append(lost, n)
		}
	}
	return lost, twice
}

// wholeLog verifies every tile up to the newest checkpoint and gives the entries.
func wholeLog(t *testing.T, l *vault.Ledger) []ledger.Entry {
	t.Helper()
	_, c, err := l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	bundles := map[int64][]ledger.Entry{}
	fetch := func(tile ledger.Tile) ([]byte, error) {
		data, err := l.Tile(t.Context(), tile.Path())
		if tile.Entries && err == nil {
			list, err := ledger.ParseBundle(data)
			if err != nil {
				return nil, err
			}
			mu.Lock()
			defer mu.Unlock()
			bundles[tile.Number] = list
		}
		return data, err
	}
	if err := ledger.VerifyLog(t.Context(), c.Tree, fetch, nil); err != nil {
		t.Fatal(err)
	}
	var all []ledger.Entry
	for n := range int64(len(bundles)) {
		all = append(all, bundles[n]...)
	}
	return all
}

// TestSequenceKillCampaign kills the sequencer at each of its steps, before and after it, under load. The witnesses live on and
// would refuse a second history.
func TestSequenceKillCampaign(t *testing.T) {
	t.Parallel()
	c := newCampaign(t)
	rounds := 2 * len(sequenceSteps)
	if c.full {
		rounds = 500
	}
	signer, key, err := ledger.NewLogSigner(forkOrigin, forkKey("log"))
	if err != nil || signer == nil {
		t.Fatal(err)
	}
	of := sequencing{Dir: t.TempDir(), Policy: ledger.Policy{Origin: forkOrigin, Log: key, Quorum: 2}}
	for i := range 2 {
		name := fmt.Sprintf("witness-%d.example", i+1)
		w, err := witness.New(witness.Options{Name: name, Key: forkKey(name), Folder: t.TempDir(), Now: time.Now,
			Logs: []witness.Log{{Origin: forkOrigin, Keys: []string{key}}}})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(w)
		t.Cleanup(func() { server.Close(); w.Close() })
		of.Policy.Witnesses, of.URLs = append(of.Policy.Witnesses, w.VerifierKeys()...), append(of.URLs, server.URL)
	}
	var acknowledged []int
	hit := map[string]int{}
	for round := range rounds {
		of.From, of.Nth = round*perRound, c.IntN(2)
		if of.Step, of.After = sequenceSteps[round%len(sequenceSteps)], round/len(sequenceSteps)%2 == 1; of.Step == "tile" {
			of.Nth = c.IntN(8) // of which there are several in a run
		}
		got, killed := killedRound(t, of)
		acknowledged = append(acknowledged, got...)
		if killed {
			hit[fmt.Sprintf("%s %v", of.Step, of.After)]++
		} else {
			t.Errorf("round %d never came to the step %s", round, of.Step)
		}
	}
	if len(hit) != 2*len(sequenceSteps) || len(acknowledged) < rounds {
		t.Errorf("%d entries were acknowledged, %d kinds of kills: %v", len(acknowledged), len(hit), hit)
	}
	l, closeLog, err := openLog(of, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeLog()
	if out, err := l.Sequence(t.Context()); err != nil {
		t.Fatal(err, out.Refusals)
	}
	all := wholeLog(t, l)
	if lost, twice := lostOrTwice(acknowledged, all); len(lost) > 0 || twice > 0 {
		t.Errorf("%d acknowledged entries are lost (%v…), %d stand twice", len(lost), lost[:min(len(lost), 5)], twice)
	}
	for _, i := range slices.Compact([]int{0, len(acknowledged) / 2, len(acknowledged) - 1}) {
		if _, err := l.Proof(t.Context(), numbered(acknowledged[i])); err != nil {
			t.Error(err)
		}
	}
	// The twins are a log that has lost the last entry it acknowledged, and one that has the first twice.
	lostOne := slices.DeleteFunc(slices.Clone(all), func(e ledger.Entry) bool { return e == numbered(acknowledged[len(acknowledged)-1]) })
	if lost, _ := lostOrTwice(acknowledged, lostOne); len(lost) != 1 {
		t.Error("a lost entry is not missed; the campaign proves nothing")
	}
	if _, twice := lostOrTwice(acknowledged, append(slices.Clone(all), all[0])); twice != 1 {
		t.Error("an entry that stands twice is not noticed; the campaign proves nothing")
	}
	t.Logf("%d kills, %d entries acknowledged, %d in the log, of one history; kills by step and after: %v", rounds, len(acknowledged), len(all), hit)
}
