package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/storetest"
)

func open(t testing.TB) *DB {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "rows with % and ?.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestConformance(t *testing.T) {
	storetest.Rows(t, func(t *testing.T) store.Rows { return open(t) })
}

func TestReopenKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.db")
	for round := range 3 {
		d, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Commit(context.Background(), store.Write{Key: "k", Version: int64(round), Value: []byte{byte(round)}}); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClosedAnswersUnavailable(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(context.Background(), store.Write{Key: "k"}); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("commit after close: %v", err)
	}
	if _, err := d.Get(context.Background(), "k"); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("get after close: %v", err)
	}
}

func TestAFileThatIsNotOursIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("opened a foreign file: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no", "such", "folder", "rows.db")); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("opened a file in no folder: %v", err)
	}
}

// TestKilledWriterKeepsWhatItAcknowledged kills a writing process without
// warning: every acknowledged commit is there, whole, and the file opens.
func TestKilledWriterKeepsWhatItAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.db")
	for range 3 {
		victim := startVictim(t, path)
		lines := bufio.NewScanner(victim.out)
		acknowledged := 0
		for acknowledged < 200 && lines.Scan() {
			acknowledged++
		}
		if err := victim.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what was said before the kill took effect counts as well
			acknowledged++
		}
		victim.cmd.Wait()
		d, err := Open(path)
		if err != nil {
			t.Fatalf("reopen after kill: %v", err)
		}
		a, b := get(t, d, "pair/a"), get(t, d, "pair/b")
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if acknowledged < 200 || a.Version != b.Version || a.Version < int64(acknowledged) {
			t.Fatalf("%d commits acknowledged, rows at versions %d and %d", acknowledged, a.Version, b.Version)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		os.Remove(path + "-wal")
		os.Remove(path + "-shm")
	}
}

type victim struct {
	cmd *exec.Cmd
	out io.Reader
}

func startVictim(t *testing.T, path string) victim {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), "ARCA_TEST_VICTIM="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return victim{cmd, out}
}

// TestVictim is the process that TestKilledWriterKeepsWhatItAcknowledged kills.
func TestVictim(t *testing.T) {
	path := os.Getenv("ARCA_TEST_VICTIM")
	if path == "" {
		return // only the kill test gives it work
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := int64(0); ; i++ {
		if err := d.Commit(context.Background(), store.Write{Key: "pair/a", Version: i}, store.Write{Key: "pair/b", Version: i}); err != nil {
			t.Fatal(err)
		}
		fmt.Println("ok")
	}
}

func get(t *testing.T, d *DB, key string) store.Row {
	t.Helper()
	got, err := d.Get(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	return got[key]
}

// TestGroupsAreIndependent puts commits that hold and commits that do not into
// one transaction.
func TestGroupsAreIndependent(t *testing.T) {
	d := open(t)
	var group []*request
	for i := range 10 {
		// Odd members ask for a version that does not exist.
		group = append(group, &request{writes: []store.Write{
			{Key: fmt.Sprintf("g/%d", i)},
			{Key: fmt.Sprintf("h/%d", i), Version: int64(i % 2)},
		}, answer: make(chan error, 1)})
	}
	d.write.apply(group)
	for i, r := range group {
		err := <-r.answer
		if (i%2 == 0) != (err == nil) || (err != nil && problem.KindOf(err) != problem.Conflict) {
			t.Fatalf("member %d: %v", i, err)
		}
		if found := get(t, d, fmt.Sprintf("g/%d", i)).Version == 1; found != (err == nil) {
			t.Fatalf("member %d answered %v, its first row is there: %v", i, err, found)
		}
	}
}

// TestAFullDiskLosesNothing lets SQLite meet its page limit, which it reports
// like a full disk: the group is refused whole, what was there stays, and with
// space again work goes on.
func TestAFullDiskLosesNothing(t *testing.T) {
	d := open(t)
	ctx := context.Background()
	limit := func(pages int) {
		if _, err := d.write.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Commit(ctx, store.Write{Key: "before", Value: []byte("kept")}); err != nil {
		t.Fatal(err)
	}
	limit(20)
	err := d.Commit(ctx, store.Write{Key: "small"}, store.Write{Key: "big", Value: make([]byte, 300_000)})
	if problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("commit on a full disk: %v", err)
	}
	if get(t, d, "small").Version != 0 || string(get(t, d, "before").Value) != "kept" {
		t.Fatal("a refused commit left something, or took something")
	}
	limit(1 << 20)
	if err := d.Commit(ctx, store.Write{Key: "small"}, store.Write{Key: "big", Value: make([]byte, 300_000)}); err != nil {
		t.Fatalf("with space again: %v", err)
	}
}

func TestTheFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.db")
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Commit(context.Background(), store.Write{Key: "k"}); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if info, err := os.Stat(path + suffix); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("rows.db%s: %v %v", suffix, info.Mode(), err)
		}
	}
}

// BenchmarkCommit prints commits per second with one, 32 and 128 writers on
// separate rows of 1 KiB; the ratio to one writer is what group commit gains.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 32, 128} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			d := open(b)
			value := make([]byte, 1024)
			var wg sync.WaitGroup
			var next atomic.Int64
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := d.Commit(context.Background(), store.Write{Key: fmt.Sprintf("row/%d", i), Value: value}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// BenchmarkGet reads rows of 1 KiB, one and a hundred at a time.
func BenchmarkGet(b *testing.B) {
	d := open(b)
	var keys []string
	var writes []store.Write
	for i := range store.MaxRows {
		keys = append(keys, fmt.Sprintf("row/%d", i))
		writes = append(writes, store.Write{Key: keys[i], Value: make([]byte, 1024)})
	}
	if err := d.Commit(context.Background(), writes...); err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 10, store.MaxRows} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			for b.Loop() {
				if got, err := d.Get(context.Background(), keys[:n]...); err != nil || len(got) != n {
					b.Fatalf("%d rows, %v", len(got), err)
				}
			}
		})
	}
}
