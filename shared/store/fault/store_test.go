package fault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/folder"
	"arca.example/arca/shared/store/sqlite"
	"arca.example/arca/shared/store/storetest"
)

// job writes a row, an object, and a row that says so; run again it ends the same.
func job(rows store.Rows, blobs store.Blobs) error {
	ctx := context.Background()
	body := []byte("object")
	for _, step := range []func() error{
		func() error { return rows.Commit(ctx, store.Write{Key: "reserved"}) },
		func() error {
			return blobs.Put(ctx, "object", int64(len(body)), sha256.Sum256(body), bytes.NewReader(body))
		},
		func() error { return rows.Commit(ctx, store.Write{Key: "stored"}) },
	} {
		if err := step(); err != nil && problem.KindOf(err) != problem.Conflict { // Conflict: an earlier run did it
			return err
		}
	}
	return nil
}

// present lists which of the job's three writes are there.
func present(t *testing.T, rows store.Rows, blobs store.Blobs) string {
	t.Helper()
	got, err := rows.Get(context.Background(), "reserved", "stored")
	if err != nil {
		t.Fatal(err)
	}
	_, err = blobs.Stat(context.Background(), "object")
	return fmt.Sprint(got["reserved"].Version == 1, err == nil, got["stored"].Version == 1)
}

func TestEveryWriteFailsOnBothSides(t *testing.T) {
	after := map[string]string{
		"1 before": "false false false", "1 after": "true false false",
		"2 before": "true false false", "2 after": "true true false",
		"3 before": "true true false", "3 after": "true true true",
	}
	for nth := int64(1); nth <= 3; nth++ {
		for _, when := range []When{Before, After} {
			name := fmt.Sprint(nth, map[When]string{Before: " before", After: " after"}[when])
			t.Run(name, func(t *testing.T) {
				rows, blobs, counter := storetest.NewMemory(), storetest.NewMemoryBlobs(), &Counter{}
				fr := &Rows{Rows: rows, Counter: counter, Nth: nth, When: when}
				fb := &Blobs{Blobs: blobs, Counter: counter, Nth: nth, When: when}
				if err := job(fr, fb); problem.KindOf(err) != problem.Unavailable {
					t.Fatalf("the job did not fail: %v", err)
				}
				if got := present(t, rows, blobs); got != after[name] {
					t.Fatalf("after the failure: %s, want %s", got, after[name])
				}
				if err := job(fr, fb); err != nil || present(t, rows, blobs) != "true true true" {
					t.Fatalf("run again: %v", err)
				}
			})
		}
	}
}

// TestKilledBetweenEveryTwoWrites runs the job in a process that is killed
// after each number of writes, on the embedded engines, and looks at what is left.
func TestKilledBetweenEveryTwoWrites(t *testing.T) {
	for n, want := range []string{1: "true false false", 2: "true true false", 3: "true true true"} {
		if n == 0 {
			continue
		}
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
		cmd.Env = append(os.Environ(), fmt.Sprint(CrashVariable, "=", n), "ARCA_TEST_VICTIM="+dir)
		out, err := cmd.CombinedOutput()
		status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if err == nil || !status.Signaled() || status.Signal() != syscall.SIGKILL || strings.Contains(string(out), "finished") {
			t.Fatalf("the process was not killed: %v %s", err, out)
		}
		rows, blobs := embedded(t, dir)
		if got := present(t, rows, blobs); got != want {
			t.Fatalf("killed after %d writes: %s, want %s", n, got, want)
		}
		if err := job(rows, blobs); err != nil || present(t, rows, blobs) != "true true true" {
			t.Fatalf("run again after %d: %v", n, err)
		}
	}
}

func embedded(t *testing.T, dir string) (*sqlite.DB, *folder.Dir) {
	t.Helper()
	rows, err := sqlite.Open(filepath.Join(dir, "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() })
	blobs, err := folder.Open(filepath.Join(dir, "objects"), folder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blobs.Close() })
	return rows, blobs
}

// TestVictim is the process that TestKilledBetweenEveryTwoWrites kills.
func TestVictim(t *testing.T) {
	dir := os.Getenv("ARCA_TEST_VICTIM")
	if dir == "" {
		return // only the kill test gives it work
	}
	rows, blobs := embedded(t, dir)
	err := job(CrashRows(rows), CrashBlobs(blobs))
	fmt.Println("finished", err)
}

func TestWithoutTheVariableNothingIsWrapped(t *testing.T) {
	t.Setenv(CrashVariable, "")
	rows := storetest.NewMemory()
	if CrashRows(rows) != store.Rows(rows) {
		t.Fatal("wrapped although no crash is asked for")
	}
}

func TestPlansAreRepeatable(t *testing.T) {
	draw := func(seed uint64) string {
		p := NewPlan(seed, Rates{Conflict: .2, Throttle: .2, Unprocessed: .2, Lost: .1, Landed: .1})
		var all []string
		for _, op := range []string{"PutItem", "BatchGetItem", "TransactWriteItems", "Scan", "PutObject", "GetObject"} {
			for range 20 {
				all = append(all, p.draw(op))
			}
		}
		return strings.Join(all, ",")
	}
	first, again, other := draw(1), draw(1), draw(2)
	if first != again || first == other {
		t.Fatal("a plan must depend on its seed and on nothing else")
	}
}

// randomly wraps an engine so that every fourth write fails on a side by turns.
type randomly struct {
	store.Rows
	counter Counter
}

func (r *randomly) Commit(ctx context.Context, writes ...store.Write) error {
	n := r.counter.n.Add(1)
	f := &Rows{Rows: r.Rows, Counter: &Counter{}, Nth: 1, When: When(n / 4 % 2)}
	if n%4 != 0 {
		f.Nth = 0
	}
	return f.Commit(ctx, writes...)
}

func TestTheEmbeddedEnginesUnderFaults(t *testing.T) {
	rows, _ := embedded(t, t.TempDir())
	storetest.RowsUnderFaults(t, &randomly{Rows: rows})
}
