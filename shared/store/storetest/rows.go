// Package storetest is the one conformance suite for engines of store.Rows and
// store.Blobs, the model that it compares them with, and the way to start the
// real engines under test.
//
// An engine that passes Rows, Blobs and Presigner, and the same under faults
// (RowsUnderFaults, BlobsUnderFaults), can replace any other. The suite trusts
// nothing that an engine says about itself: it reads everything back. It proves
// its own teeth on weakened engines, each of which must fail.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"pgregory.net/rapid"
)

// Limits are what an engine takes at most; zero fields mean the contract's.
// Only a layer that adds bytes of its own (sealed) may take less.
type Limits struct {
	RowBytes    int
	CommitBytes int
}

func (l Limits) orContract() Limits {
	if l.RowBytes == 0 {
		l.RowBytes = store.MaxRowBytes
	}
	if l.CommitBytes == 0 {
		l.CommitBytes = store.MaxCommitSize
	}
	return l
}

// TB is the part of testing.TB that the checks use, so that the suite's own
// test can run them on a weakened engine and see them fail.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// Check is one named demand on an engine. It uses keys under its own prefix, so
// that checks can share a store.
type Check struct {
	Name string
	Run  func(t TB, rows store.Rows, limits Limits)
}

// RowChecks lists the demands on a store.Rows.
func RowChecks() []Check {
	return []Check{
		{"reads what was written", checkReadYourWrites},
		{"keeps what it was given apart from the caller's memory", checkNoAliasing},
		{"every write is conditional on the version", checkConditions},
		{"a commit is all or nothing", checkAllOrNothing},
		{"check changes nothing and can fail a commit", checkCheck},
		{"delete removes and the version starts again", checkDelete},
		{"expired rows read as absent", checkExpiry},
		{"limits are enforced and usable in full", checkLimits},
		{"keys are any UTF-8", checkKeys},
		{"scan covers every row once over all segments", checkScan},
		{"of concurrent conflicting commits exactly one wins", checkRace},
		{"concurrent increments are never lost", checkIncrements},
		{"concurrent transfers keep the sum in every read", checkTransfers},
		{"a cancelled caller gets Unavailable or the truth", checkCancelled},
	}
}

// Rows runs the suite on the engine that open makes.
func Rows(t *testing.T, open func(t *testing.T) store.Rows, limits ...Limits) {
	var l Limits
	if len(limits) > 0 {
		l = limits[0]
	}
	rows := open(t)
	for _, c := range RowChecks() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, rows, l.orContract()) })
	}
	t.Run("behaves like the model", func(t *testing.T) {
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			likeModel(rt, rows, fmt.Sprintf("model/%d/", n))
		})
	})
}

func checkReadYourWrites(t TB, rows store.Rows, _ Limits) {
	ctx := context.Background()
	for i := range 50 {
		key, value := fmt.Sprintf("ryw/%d", i%5), fmt.Appendf(nil, "value %d", i)
		mustCommit(t, rows, store.Write{Key: key, Value: value, Version: int64(i / 5)})
		got, err := rows.Get(ctx, key, "ryw/absent")
		if err != nil || len(got) != 1 {
			t.Fatalf("get: %d rows, %v", len(got), err)
		}
		if r := got[key]; r.Key != key || !bytes.Equal(r.Value, value) || r.Version != int64(i/5+1) || !r.Expires.IsZero() {
			t.Fatalf("read %+v after writing %q as version %d", r, value, i/5+1)
		}
	}
	if got, err := rows.Get(ctx); err != nil || len(got) != 0 {
		t.Fatalf("get of nothing: %v %v", got, err)
	}
	mustCommit(t, rows, store.Write{Key: "ryw/empty"})
	if r := mustGet(t, rows, "ryw/empty"); len(r.Value) != 0 || r.Version != 1 {
		t.Fatalf("empty value read as %+v", r)
	}
}

func checkNoAliasing(t TB, rows store.Rows, _ Limits) {
	value := []byte("before")
	mustCommit(t, rows, store.Write{Key: "alias", Value: value})
	copy(value, "AFTER!")
	r := mustGet(t, rows, "alias")
	if string(r.Value) != "before" {
		t.Fatalf("the store kept the caller's slice: %q", r.Value)
	}
	copy(r.Value, "AFTER!")
	if again := mustGet(t, rows, "alias"); string(again.Value) != "before" {
		t.Fatalf("the store handed out its own slice: %q", again.Value)
	}
}

func checkConditions(t TB, rows store.Rows, _ Limits) {
	mustCommit(t, rows, store.Write{Key: "cond", Value: []byte("1")})
	for _, version := range []int64{0, 2, 3, 1 << 40} {
		mustConflict(t, rows, store.Write{Key: "cond", Value: []byte("x"), Version: version})
		mustConflict(t, rows, store.Write{Op: store.Check, Key: "cond", Version: version})
		if version != 0 {
			mustConflict(t, rows, store.Write{Op: store.Delete, Key: "cond", Version: version})
		}
	}
	mustConflict(t, rows, store.Write{Key: "cond/absent", Version: 1})
	mustConflict(t, rows, store.Write{Op: store.Delete, Key: "cond/absent", Version: 1})
	if r := mustGet(t, rows, "cond"); string(r.Value) != "1" || r.Version != 1 {
		t.Fatalf("a refused write changed the row: %+v", r)
	}
	mustAbsent(t, rows, "cond/absent")
}

func checkAllOrNothing(t TB, rows store.Rows, _ Limits) {
	mustCommit(t, rows, store.Write{Key: "aon/b", Value: []byte("b")})
	for _, bad := range []store.Write{
		{Key: "aon/b", Value: []byte("x")},
		{Key: "aon/b", Value: []byte("x"), Version: 2},
		{Op: store.Check, Key: "aon/b", Version: 5},
		{Op: store.Delete, Key: "aon/b", Version: 9},
	} {
		for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}, {1, 2, 0}} {
			all := []store.Write{{Key: "aon/a", Value: []byte("a")}, bad, {Key: "aon/c", Value: []byte("c")}}
			mustConflict(t, rows, all[order[0]], all[order[1]], all[order[2]])
			mustAbsent(t, rows, "aon/a", "aon/c")
		}
	}
	if r := mustGet(t, rows, "aon/b"); string(r.Value) != "b" || r.Version != 1 {
		t.Fatalf("a refused commit changed a row: %+v", r)
	}
}

func checkCheck(t TB, rows store.Rows, _ Limits) {
	mustCommit(t, rows, store.Write{Key: "chk/a", Value: []byte("a")})
	mustCommit(t, rows,
		store.Write{Op: store.Check, Key: "chk/a", Version: 1},
		store.Write{Op: store.Check, Key: "chk/absent"},
		store.Write{Key: "chk/b", Value: []byte("b")})
	mustCommit(t, rows, store.Write{Op: store.Check, Key: "chk/a", Version: 1})
	mustCommit(t, rows, store.Write{Op: store.Check, Key: "chk/absent"})
	if r := mustGet(t, rows, "chk/a"); r.Version != 1 || string(r.Value) != "a" {
		t.Fatalf("a check changed its row: %+v", r)
	}
	mustAbsent(t, rows, "chk/absent")
	mustConflict(t, rows, store.Write{Op: store.Check, Key: "chk/a"}, store.Write{Key: "chk/d"})
	mustAbsent(t, rows, "chk/d")
}

func checkDelete(t TB, rows store.Rows, _ Limits) {
	mustCommit(t, rows, store.Write{Key: "del", Value: []byte("1")})
	mustCommit(t, rows, store.Write{Key: "del", Value: []byte("2"), Version: 1})
	mustCommit(t, rows, store.Write{Op: store.Delete, Key: "del", Version: 2})
	mustAbsent(t, rows, "del")
	mustConflict(t, rows, store.Write{Op: store.Delete, Key: "del", Version: 2})
	mustCommit(t, rows, store.Write{Key: "del", Value: []byte("again")})
	if r := mustGet(t, rows, "del"); r.Version != 1 || string(r.Value) != "again" {
		t.Fatalf("after delete and put: %+v", r)
	}
}

func checkExpiry(t TB, rows store.Rows, _ Limits) {
	past, future := time.Now().Add(-time.Hour), time.Unix(time.Now().Add(time.Hour).Unix(), 0)
	mustCommit(t, rows, store.Write{Key: "exp/past", Value: []byte("old"), Expires: past},
		store.Write{Key: "exp/future", Value: []byte("new"), Expires: future.Add(300 * time.Millisecond)})
	mustAbsent(t, rows, "exp/past")
	if r := mustGet(t, rows, "exp/future"); !r.Expires.Equal(future) {
		t.Fatalf("expires %v, want %v", r.Expires, future)
	}
	for _, r := range mustScan(t, rows, 3) {
		if r.Key == "exp/past" {
			t.Fatalf("a scan yields an expired row")
		}
	}
	// An expired row counts as absent, for every kind of condition.
	mustConflict(t, rows, store.Write{Key: "exp/past", Version: 1})
	mustConflict(t, rows, store.Write{Op: store.Check, Key: "exp/past", Version: 1})
	mustConflict(t, rows, store.Write{Op: store.Delete, Key: "exp/past", Version: 1})
	mustCommit(t, rows, store.Write{Op: store.Check, Key: "exp/past"})
	mustCommit(t, rows, store.Write{Key: "exp/past", Value: []byte("reborn")})
	if r := mustGet(t, rows, "exp/past"); r.Version != 1 || string(r.Value) != "reborn" || !r.Expires.IsZero() {
		t.Fatalf("a row written over an expired one: %+v", r)
	}
	mustCommit(t, rows, store.Write{Key: "exp/future", Value: []byte("kept"), Version: 1})
	if r := mustGet(t, rows, "exp/future"); !r.Expires.IsZero() || r.Version != 2 {
		t.Fatalf("a put without expiry keeps the old one: %+v", r)
	}
	// An expiry that passes while the row lies there.
	mustCommit(t, rows, store.Write{Key: "exp/soon", Expires: time.Now().Add(1200 * time.Millisecond)})
	time.Sleep(2100 * time.Millisecond)
	mustAbsent(t, rows, "exp/soon")
}

func checkLimits(t TB, rows store.Rows, l Limits) {
	ctx := context.Background()
	full := bytes.Repeat([]byte{7}, l.RowBytes-len("lim/row"))
	mustCommit(t, rows, store.Write{Key: "lim/row", Value: full})
	if r := mustGet(t, rows, "lim/row"); !bytes.Equal(r.Value, full) {
		t.Fatalf("a row of the largest size came back changed")
	}
	mustInvalid(t, rows.Commit(ctx, store.Write{Key: "lim/row2", Value: append(full, 7)}))

	var small, many []store.Write
	for i := range store.MaxRows {
		small = append(small, store.Write{Key: fmt.Sprintf("lim/small/%03d", i), Value: bytes.Repeat([]byte{1}, 100)})
	}
	mustCommit(t, rows, small...)
	var keys []string
	for i := range store.MaxRows + 1 {
		keys = append(keys, fmt.Sprintf("lim/small/%03d", i))
		many = append(many, store.Write{Key: fmt.Sprintf("lim/many/%03d", i)})
	}
	if got, err := rows.Get(ctx, keys[:store.MaxRows]...); err != nil || len(got) != store.MaxRows {
		t.Fatalf("get of %d rows: %d, %v", store.MaxRows, len(got), err)
	}
	_, err := rows.Get(ctx, keys...)
	mustInvalid(t, err)
	_, err = rows.Get(ctx, "lim/row", "lim/row")
	mustInvalid(t, err)
	mustInvalid(t, rows.Commit(ctx, many...))
	mustInvalid(t, rows.Commit(ctx))
	mustInvalid(t, rows.Commit(ctx, store.Write{Key: "lim/twice"}, store.Write{Key: "lim/twice"}))
	mustInvalid(t, rows.Commit(ctx, store.Write{Key: "lim/neg", Version: -1}))
	mustInvalid(t, rows.Commit(ctx, store.Write{Op: store.Delete, Key: "lim/del0"}))
	mustInvalid(t, rows.Commit(ctx, store.Write{Op: store.Check, Key: "lim/chk", Value: []byte("v")}))
	mustInvalid(t, rows.Commit(ctx, store.Write{Op: 9, Key: "lim/op"}))
	mustInvalid(t, rows.Scan(ctx, 2, 2, func(store.Row) error { return nil }))
	checkCommitSize(t, rows, l)
}

func checkCommitSize(t TB, rows store.Rows, l Limits) {
	ctx := context.Background()
	var big []store.Write
	var keys []string
	for left := l.CommitBytes; left > 0; {
		key := fmt.Sprintf("lim/big/%02d", len(big))
		n := min(left, l.RowBytes)
		big = append(big, store.Write{Key: key, Value: bytes.Repeat([]byte{byte(len(big))}, max(0, n-len(key)))})
		keys, left = append(keys, key), left-n
	}
	mustCommit(t, rows, big...)
	got, err := rows.Get(ctx, keys...)
	if err != nil || len(got) != len(keys) {
		t.Fatalf("reading back the largest commit: %d rows of %d, %v", len(got), len(keys), err)
	}
	for _, w := range big {
		if !bytes.Equal(got[w.Key].Value, w.Value) {
			t.Fatalf("the largest commit came back changed")
		}
	}
	for i := range big {
		big[i].Version = 1
	}
	tooMuch := append(big, store.Write{Key: "lim/more", Value: make([]byte, l.RowBytes-len("lim/more"))})
	mustInvalid(t, rows.Commit(ctx, tooMuch...))
	mustAbsent(t, rows, "lim/more")
}

func checkKeys(t TB, rows store.Rows, _ Limits) {
	ctx := context.Background()
	for _, bad := range []string{"", strings.Repeat("k", store.MaxKeyBytes+1), "\xff\xfe"} {
		mustInvalid(t, rows.Commit(ctx, store.Write{Key: bad}))
		_, err := rows.Get(ctx, bad)
		mustInvalid(t, err)
	}
	keys := []string{strings.Repeat("k", store.MaxKeyBytes), "ñandú/señal", "e\u0301", "\u00e9", "Key", "key", "a\nb", " key", "key ", "key\x00a", "'; --", "../..", "%2F", "😀"}
	for i, k := range keys {
		mustCommit(t, rows, store.Write{Key: k, Value: []byte{byte(i)}})
	}
	got, err := rows.Get(ctx, keys...)
	if err != nil || len(got) != len(keys) {
		t.Fatalf("%d of %d unusual keys read back, %v", len(got), len(keys), err)
	}
	for i, k := range keys {
		if r := got[k]; r.Key != k || len(r.Value) != 1 || r.Value[0] != byte(i) {
			t.Fatalf("key %q read as %+v", k, r)
		}
	}
}

func checkScan(t TB, rows store.Rows, _ Limits) {
	ctx := context.Background()
	want := map[string]bool{}
	for i := 0; i < 300; i += 50 {
		var writes []store.Write
		for j := range 50 {
			k := fmt.Sprintf("scan/%d", i+j)
			want[k] = true
			writes = append(writes, store.Write{Key: k, Value: bytes.Repeat([]byte{byte(j)}, 4000)})
		}
		mustCommit(t, rows, writes...)
	}
	for _, segments := range []int{1, 2, 7} {
		seen := map[string]int{}
		for _, r := range mustScan(t, rows, segments) {
			seen[r.Key]++
			if want[r.Key] && (len(r.Value) != 4000 || r.Version != 1) {
				t.Fatalf("scan yields a row that was never written")
			}
		}
		for k := range want {
			if seen[k] != 1 {
				t.Fatalf("%d segments: row yielded %d times in a quiet store", segments, seen[k])
			}
		}
	}
	stop := errors.New("stop")
	calls := 0
	err := rows.Scan(ctx, 0, 1, func(store.Row) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Fatalf("scan went on after yield's error: %d calls, %v", calls, err)
	}
	// A scan may be used to rewrite what it finds.
	err = rows.Scan(ctx, 0, 1, func(r store.Row) error {
		if !want[r.Key] || r.Version != 1 {
			return nil
		}
		return rows.Commit(ctx, store.Write{Op: store.Delete, Key: r.Key, Version: 1})
	})
	if err != nil {
		t.Fatalf("committing inside a scan: %v", err)
	}
	for _, r := range mustScan(t, rows, 2) {
		if want[r.Key] {
			t.Fatalf("a deleted row was yielded")
		}
	}
}

func checkRace(t TB, rows store.Rows, _ Limits) {
	const rounds, rivals = 15, 8
	for round := range rounds {
		mine := fmt.Sprintf("race/%d", round)
		errs := make([]error, rivals)
		var start, done sync.WaitGroup
		start.Add(1)
		for i := range rivals {
			done.Go(func() {
				start.Wait()
				errs[i] = rows.Commit(context.Background(),
					store.Write{Key: mine, Value: []byte{byte(i)}},
					store.Write{Key: fmt.Sprintf("%s/%d", mine, i), Value: []byte{byte(i)}})
			})
		}
		start.Done()
		done.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("two commits won the same row")
			case err == nil:
				winner = i
			case problem.KindOf(err) != problem.Conflict:
				t.Fatalf("a losing commit says %v", err)
			}
		}
		if winner < 0 {
			t.Fatalf("no commit won")
		}
		if r := mustGet(t, rows, mine); r.Value[0] != byte(winner) {
			t.Fatalf("the row is not the winner's")
		}
		for i := range rivals {
			got, err := rows.Get(context.Background(), fmt.Sprintf("%s/%d", mine, i))
			if err != nil || (len(got) == 1) != (i == winner) {
				t.Fatalf("rival %d of winner %d left %d rows, %v", i, winner, len(got), err)
			}
		}
	}
}

func checkIncrements(t TB, rows store.Rows, _ Limits) {
	const writers, each = 8, 10
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			for i := 0; i < each && errs[w] == nil; {
				errs[w] = increment(rows, "incr")
				if problem.KindOf(errs[w]) == problem.Conflict {
					errs[w] = nil
					continue
				}
				i++
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("increment: %v", err)
	}
	if r := mustGet(t, rows, "incr"); r.Version != writers*each || string(r.Value) != strconv.Itoa(writers*each) {
		t.Fatalf("%d acknowledged increments left version %d, value %s", writers*each, r.Version, r.Value)
	}
}

func increment(rows store.Rows, key string) error {
	got, err := rows.Get(context.Background(), key)
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(string(got[key].Value)) // an absent row counts as 0
	return rows.Commit(context.Background(), store.Write{Key: key, Value: []byte(strconv.Itoa(n + 1)), Version: got[key].Version})
}

// checkTransfers moves units between two rows while readers look: a Get of both
// rows may be torn between two commits on engines that read row by row
// (BatchGetItem is not a snapshot), so only a commit may judge the pair.
func checkTransfers(t TB, rows store.Rows, _ Limits) {
	ctx := context.Background()
	mustCommit(t, rows, store.Write{Key: "move/a", Value: []byte{100}}, store.Write{Key: "move/b", Value: []byte{100}})
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for w := range errs {
		wg.Go(func() {
			for done := 0; done < 8 && errs[w] == nil; {
				got, err := rows.Get(ctx, "move/a", "move/b")
				if err != nil {
					errs[w] = err
					return
				}
				a, b := got["move/a"], got["move/b"]
				err = rows.Commit(ctx, store.Write{Key: a.Key, Value: []byte{a.Value[0] - 1}, Version: a.Version},
					store.Write{Key: b.Key, Value: []byte{b.Value[0] + 1}, Version: b.Version})
				if err == nil {
					done++
					if a.Value[0]+b.Value[0] != 200 {
						errs[w] = errors.New("a commit was accepted on a torn read")
					}
				} else if problem.KindOf(err) != problem.Conflict {
					errs[w] = err
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("transfer: %v", err)
	}
	a, b := mustGet(t, rows, "move/a"), mustGet(t, rows, "move/b")
	if a.Value[0] != 100-32 || b.Value[0] != 100+32 {
		t.Fatalf("after 32 transfers: %d and %d", a.Value[0], b.Value[0])
	}
}

func checkCancelled(t TB, rows store.Rows, _ Limits) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := rows.Commit(ctx, store.Write{Key: "cancel", Value: []byte("v")})
	got, geterr := rows.Get(context.Background(), "cancel")
	if geterr != nil {
		t.Fatalf("get: %v", geterr)
	}
	switch {
	case err == nil && len(got) != 1:
		t.Fatalf("a commit of a cancelled caller was acknowledged and is not there")
	case err != nil && problem.KindOf(err) != problem.Unavailable:
		t.Fatalf("a cancelled commit says %v, want Unavailable", err)
	}
	if _, err := rows.Get(ctx, "cancel"); err != nil && problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("a cancelled get says %v, want Unavailable", err)
	}
}

// likeModel runs random operations on the engine and on the model and compares
// every answer and, at the end, every row.
func likeModel(t *rapid.T, rows store.Rows, prefix string) {
	ctx := context.Background()
	model := NewMemory()
	key := rapid.Custom(func(t *rapid.T) string { return prefix + string(rune('a'+rapid.IntRange(0, 4).Draw(t, "key"))) })
	write := rapid.Custom(func(t *rapid.T) store.Write {
		w := store.Write{Op: store.Op(rapid.IntRange(0, 2).Draw(t, "op")), Key: key.Draw(t, "k"), Version: int64(rapid.IntRange(0, 3).Draw(t, "version"))}
		if w.Op == store.Delete && w.Version == 0 {
			w.Version = 1
		}
		if w.Op == store.Put {
			w.Value = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")
			w.Expires = rapid.SampledFrom([]time.Time{{}, {}, time.Unix(1, 0), time.Unix(1<<40, 0)}).Draw(t, "expires")
		}
		return w
	})
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		writes := rapid.SliceOfNDistinct(write, 1, 4, func(w store.Write) string { return w.Key }).Draw(t, "writes")
		// Half of the commits get the right versions, or hardly any would land.
		if rapid.Bool().Draw(t, "informed") {
			writes = informed(model, writes)
		}
		want, got := model.Commit(ctx, writes...), rows.Commit(ctx, writes...)
		if (want == nil) != (got == nil) || problem.KindOf(want) != problem.KindOf(got) {
			t.Fatalf("commit: engine %v, model %v", got, want)
		}
		compare(t, rows, model, prefix)
	}
}

func informed(model *Memory, writes []store.Write) []store.Write {
	var out []store.Write
	for _, w := range writes {
		got, _ := model.Get(context.Background(), w.Key)
		w.Version = got[w.Key].Version
		if w.Op == store.Delete && w.Version == 0 {
			w.Op = store.Check
		}
		out = append(out, w)
	}
	return out
}

// compare reads every key that the model test uses from both.
func compare(t TB, rows, model store.Rows, prefix string) {
	var keys []string
	for c := 'a'; c <= 'e'; c++ {
		keys = append(keys, prefix+string(c))
	}
	want, _ := model.Get(context.Background(), keys...)
	got, err := rows.Get(context.Background(), keys...)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if d := differ(want, got); d != "" {
		t.Fatalf("engine and model differ: %s", d)
	}
}

func differ(want, got map[string]store.Row) string {
	if len(want) != len(got) {
		return fmt.Sprintf("%d rows, want %d", len(got), len(want))
	}
	for k, w := range want {
		if g := got[k]; g.Key != k || g.Version != w.Version || !bytes.Equal(g.Value, w.Value) || !g.Expires.Equal(w.Expires) {
			return fmt.Sprintf("row %s is %+v, want %+v", k, g, w)
		}
	}
	return ""
}

func mustCommit(t TB, rows store.Rows, writes ...store.Write) {
	t.Helper()
	if err := rows.Commit(context.Background(), writes...); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func mustConflict(t TB, rows store.Rows, writes ...store.Write) {
	t.Helper()
	if err := rows.Commit(context.Background(), writes...); err == nil || problem.KindOf(err) != problem.Conflict {
		t.Fatalf("commit says %v, want Conflict", err)
	}
}

func mustInvalid(t TB, err error) {
	t.Helper()
	if err == nil || problem.KindOf(err) != problem.Invalid {
		t.Fatalf("got %v, want Invalid", err)
	}
}

func mustGet(t TB, rows store.Rows, key string) store.Row {
	t.Helper()
	got, err := rows.Get(context.Background(), key)
	if err != nil || len(got) != 1 {
		t.Fatalf("get %s: %d rows, %v", key, len(got), err)
	}
	return got[key]
}

func mustAbsent(t TB, rows store.Rows, keys ...string) {
	t.Helper()
	got, err := rows.Get(context.Background(), keys...)
	if err != nil || len(got) != 0 {
		t.Fatalf("%d of %d absent rows were read, %v", len(got), len(keys), err)
	}
}

func mustScan(t TB, rows store.Rows, segments int) []store.Row {
	t.Helper()
	var all []store.Row
	for s := range segments {
		err := rows.Scan(context.Background(), s, segments, func(r store.Row) error { all = append(all, r); return nil })
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
	}
	return all
}
