package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

// BlobCheck is one named demand on an object store.
type BlobCheck struct {
	Name string
	Run  func(t TB, blobs store.Blobs)
}

// BlobChecks lists the demands on a store.Blobs.
func BlobChecks() []BlobCheck {
	return []BlobCheck{
		{"gives back what was put", checkPutGet},
		{"never overwrites", checkNoOverwrite},
		{"a wrong size or checksum stores nothing", checkMismatch},
		{"a body that fails stores nothing", checkBrokenBody},
		{"ranges are exact and stay inside", checkRanges},
		{"keys outside the alphabet are refused", checkBlobKeys},
		{"list is ordered, complete and continues from a key", checkList},
		{"delete is idempotent and frees the key", checkBlobDelete},
		{"of concurrent puts exactly one wins", checkBlobRace},
		{"a listing never shows an unfinished object", checkUnfinished},
	}
}

// Blobs runs the suite on the engine that open makes.
func Blobs(t *testing.T, open func(t *testing.T) store.Blobs) {
	blobs := open(t)
	for _, c := range BlobChecks() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, blobs) })
	}
	t.Run("behaves like the model", func(t *testing.T) { blobsLikeModel(t, blobs, 120, false) })
}

// BlobsUnderFaults demands of an engine whose connection fails at random: every
// answer is right, or Unavailable and the state is the one before or after.
func BlobsUnderFaults(t TB, blobs store.Blobs) { blobsLikeModel(t, blobs, 150, true) }

// Random gives n bytes that no compression shortens, the same for a seed every time.
func Random(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

func put(blobs store.Blobs, key string, body []byte) error {
	return blobs.Put(context.Background(), key, int64(len(body)), sha256.Sum256(body), bytes.NewReader(body))
}

func mustPut(t TB, blobs store.Blobs, key string, body []byte) {
	t.Helper()
	if err := put(blobs, key, body); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

func fetch(blobs store.Blobs, key string, offset, length int64) ([]byte, error) {
	r, err := blobs.Get(context.Background(), key, offset, length)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func mustHold(t TB, blobs store.Blobs, key string, body []byte) {
	t.Helper()
	got, err := fetch(blobs, key, 0, -1)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("get %s: %d bytes of %d, %v", key, len(got), len(body), err)
	}
	info, err := blobs.Stat(context.Background(), key)
	if err != nil || info != (store.Info{Key: key, Size: int64(len(body)), SHA256: sha256.Sum256(body)}) {
		t.Fatalf("stat %s: %+v, %v", key, info, err)
	}
}

func mustLack(t TB, blobs store.Blobs, key string) {
	t.Helper()
	_, err := fetch(blobs, key, 0, -1)
	wantKind(t, err, problem.NotFound)
	_, err = blobs.Stat(context.Background(), key)
	wantKind(t, err, problem.NotFound)
	if slices.ContainsFunc(mustList(t, blobs, key, ""), func(i store.Info) bool { return i.Key == key }) {
		t.Fatalf("%s is listed and cannot be read", key)
	}
}

func mustList(t TB, blobs store.Blobs, prefix, after string) []store.Info {
	t.Helper()
	all, err := blobs.List(context.Background(), prefix, after, store.MaxList)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	return all
}

func wantKind(t TB, err error, kind problem.Kind) {
	t.Helper()
	if err == nil || problem.KindOf(err) != kind {
		t.Fatalf("got %v, want %s", err, kind)
	}
}

func checkPutGet(t TB, blobs store.Blobs) {
	for i, n := range []int{0, 1, 2, 4095, 4096, 1 << 20, 3<<20 + 17} {
		key, body := fmt.Sprintf("get/%d", n), Random(uint64(i), n)
		mustLack(t, blobs, key)
		mustPut(t, blobs, key, body)
		mustHold(t, blobs, key, body)
	}
	// A body that cannot be rewound is as good as any.
	body := Random(9, 70_000)
	err := blobs.Put(context.Background(), "get/stream", int64(len(body)), sha256.Sum256(body), io.MultiReader(bytes.NewReader(body[:1]), bytes.NewReader(body[1:])))
	if err != nil {
		t.Fatalf("put of a stream: %v", err)
	}
	mustHold(t, blobs, "get/stream", body)
}

func checkNoOverwrite(t TB, blobs store.Blobs) {
	body := Random(1, 5000)
	mustPut(t, blobs, "once/a", body)
	for _, other := range [][]byte{Random(2, 5000), Random(2, 4), {}, body} {
		wantKind(t, put(blobs, "once/a", other), problem.Conflict)
		mustHold(t, blobs, "once/a", body)
	}
}

func checkMismatch(t TB, blobs store.Blobs) {
	ctx := context.Background()
	body := Random(3, 100_000)
	sum := sha256.Sum256(body)
	flipped := sum
	flipped[31] ^= 1
	for name, attempt := range map[string]func(key string) error{
		"checksum": func(key string) error { return blobs.Put(ctx, key, 100_000, flipped, bytes.NewReader(body)) },
		"short":    func(key string) error { return blobs.Put(ctx, key, 100_000, sum, bytes.NewReader(body[:99_999])) },
		"long": func(key string) error {
			return blobs.Put(ctx, key, 99_999, sha256.Sum256(body[:99_999]), bytes.NewReader(body))
		},
		"empty":    func(key string) error { return blobs.Put(ctx, key, 100_000, sum, bytes.NewReader(nil)) },
		"nonempty": func(key string) error { return blobs.Put(ctx, key, 0, sha256.Sum256(nil), bytes.NewReader(body)) },
		"negative": func(key string) error { return blobs.Put(ctx, key, -1, sum, bytes.NewReader(body)) },
		"huge":     func(key string) error { return blobs.Put(ctx, key, store.MaxBlobBytes+1, sum, bytes.NewReader(body)) },
	} {
		key := "mismatch/" + name
		wantKind(t, attempt(key), problem.Invalid)
		mustLack(t, blobs, key)
		mustPut(t, blobs, key, body)
		mustHold(t, blobs, key, body)
	}
}

func checkBrokenBody(t TB, blobs store.Blobs) {
	body := Random(4, 300_000)
	broken := io.MultiReader(bytes.NewReader(body[:200_000]), brokenReader{})
	err := blobs.Put(context.Background(), "broken/a", int64(len(body)), sha256.Sum256(body), broken)
	if err == nil {
		t.Fatalf("a put whose body broke off was acknowledged")
	}
	mustLack(t, blobs, "broken/a")
	mustPut(t, blobs, "broken/a", body)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the source broke off") }

func checkRanges(t TB, blobs store.Blobs) {
	body := Random(5, 1000)
	mustPut(t, blobs, "range/a", body)
	mustPut(t, blobs, "range/empty", nil)
	for _, r := range [][2]int64{{0, 1}, {0, 1000}, {0, 999}, {999, 1}, {500, 100}, {500, 500}, {0, 0}, {10, 0}, {1000, 0}} {
		got, err := fetch(blobs, "range/a", r[0], r[1])
		if err != nil || !bytes.Equal(got, body[r[0]:r[0]+r[1]]) {
			t.Fatalf("range %v: %d bytes, %v", r, len(got), err)
		}
	}
	for _, offset := range []int64{0, 1, 999, 1000} {
		got, err := fetch(blobs, "range/a", offset, -1)
		if err != nil || !bytes.Equal(got, body[offset:]) {
			t.Fatalf("from %d to the end: %d bytes, %v", offset, len(got), err)
		}
	}
	for _, r := range [][2]int64{{0, 1001}, {999, 2}, {1000, 1}, {1001, 0}, {1001, -1}, {-1, 5}, {5, -2}, {1 << 40, 1}, {1 << 62, 1 << 62}} {
		_, err := fetch(blobs, "range/a", r[0], r[1])
		wantKind(t, err, problem.Invalid)
	}
	if got, err := fetch(blobs, "range/empty", 0, 0); err != nil || len(got) != 0 {
		t.Fatalf("empty range of an empty object: %v", err)
	}
	_, err := fetch(blobs, "range/absent", 0, 5)
	wantKind(t, err, problem.NotFound)
	_, err = fetch(blobs, "range/absent", 5, 0)
	wantKind(t, err, problem.NotFound)
}

func checkBlobKeys(t TB, blobs store.Blobs) {
	for _, bad := range []string{"", "/", "a/", "/a", "a//b", ".", "..", "../a", "a/../b", "a/./b", "A", "a b", "a\n", "a\x00", "ñ", "a\\b", "a?b", "a%2fb", strings.Repeat("k", 257)} {
		wantKind(t, put(blobs, bad, []byte("x")), problem.Invalid)
		_, err := fetch(blobs, bad, 0, -1)
		wantKind(t, err, problem.Invalid)
		_, err = blobs.Stat(context.Background(), bad)
		wantKind(t, err, problem.Invalid)
		wantKind(t, blobs.Delete(context.Background(), bad), problem.Invalid)
	}
	long := "keys/" + strings.Repeat("k", 200) + "/" + strings.Repeat("m", 50)
	for _, good := range []string{long[:256], "keys/0-_.x/...a/b..", "keys/.hidden"} {
		mustPut(t, blobs, good, []byte(good))
		mustHold(t, blobs, good, []byte(good))
		if l := mustList(t, blobs, good, ""); len(l) != 1 || l[0].Key != good {
			t.Fatalf("listing %s: %v", good, l)
		}
	}
}

func checkList(t TB, blobs store.Blobs) {
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprintf("list/pack/%012d", i*7))
	}
	// '.', '-' and '/' sort around the letters: byte order is not folder order.
	want = append(want, "list/pack-a", "list/pack.a", "list/pack0/z", "list/pac/k", "list/packs")
	for i, k := range want {
		mustPut(t, blobs, k, Random(uint64(i), i))
	}
	slices.Sort(want)
	if l := keysOf(mustList(t, blobs, "list/", "")); !slices.Equal(l, want) {
		t.Fatalf("list: %v, want %v", l, want)
	}
	for _, after := range append([]string{"list/", "list/pack/00", "list/pack/000000000008", "list/zzz", "a", "z"}, want...) {
		for _, prefix := range []string{"list/", "list/pack/", "list/pack", "list/pack/00000000001"} {
			for _, limit := range []int{1, 7, 1000} {
				checkListing(t, blobs, want, prefix, after, limit)
			}
		}
	}
	for _, limit := range []int{0, -1, 1001} {
		_, err := blobs.List(context.Background(), "list/", "", limit)
		wantKind(t, err, problem.Invalid)
	}
}

func checkListing(t TB, blobs store.Blobs, all []string, prefix, after string, limit int) {
	var want []string
	for _, k := range all {
		if strings.HasPrefix(k, prefix) && k > after && len(want) < limit {
			want = append(want, k)
		}
	}
	got, err := blobs.List(context.Background(), prefix, after, limit)
	if err != nil || !slices.Equal(keysOf(got), want) {
		t.Fatalf("list %q after %q, at most %d: %v, %v; want %v", prefix, after, limit, keysOf(got), err, want)
	}
	for _, info := range got {
		if stat, err := blobs.Stat(context.Background(), info.Key); limit == 1 && (err != nil || stat.Size != info.Size) {
			t.Fatalf("%s is listed with %d bytes and has %d, %v", info.Key, info.Size, stat.Size, err)
		}
	}
}

func keysOf(infos []store.Info) []string {
	var keys []string
	for _, i := range infos {
		keys = append(keys, i.Key)
	}
	return keys
}

func checkBlobDelete(t TB, blobs store.Blobs) {
	ctx := context.Background()
	for range 2 {
		if err := blobs.Delete(ctx, "delete/absent/deep"); err != nil {
			t.Fatalf("deleting what is absent: %v", err)
		}
	}
	for i := range 2 {
		body := Random(uint64(i), 100)
		mustPut(t, blobs, "delete/a", body)
		mustHold(t, blobs, "delete/a", body)
		for range 2 {
			if err := blobs.Delete(ctx, "delete/a"); err != nil {
				t.Fatalf("delete: %v", err)
			}
			mustLack(t, blobs, "delete/a")
		}
	}
}

func checkBlobRace(t TB, blobs store.Blobs) {
	const rivals = 8
	for round := range 6 {
		key := fmt.Sprintf("race/%d", round)
		errs := make([]error, rivals)
		var wg sync.WaitGroup
		for i := range rivals {
			wg.Go(func() { errs[i] = put(blobs, key, Random(uint64(i), 40_000+i)) })
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("two puts of one key were acknowledged")
			case err == nil:
				winner = i
			default:
				wantKind(t, err, problem.Conflict)
			}
		}
		if winner < 0 {
			t.Fatalf("no put won")
		}
		mustHold(t, blobs, key, Random(uint64(winner), 40_000+winner))
	}
}

// checkUnfinished looks at the store while an upload is half way.
func checkUnfinished(t TB, blobs store.Blobs) {
	body := Random(6, 400_000)
	pause := &pausing{r: bytes.NewReader(body), at: 200_000, reached: make(chan struct{}), proceed: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		done <- blobs.Put(context.Background(), "unfinished/a", int64(len(body)), sha256.Sum256(body), pause)
	}()
	<-pause.reached
	mustLack(t, blobs, "unfinished/a")
	close(pause.proceed)
	if err := <-done; err != nil {
		t.Fatalf("put: %v", err)
	}
	mustHold(t, blobs, "unfinished/a", body)
}

type pausing struct {
	r                io.Reader
	at, read         int
	reached, proceed chan struct{}
}

func (p *pausing) Read(b []byte) (int, error) {
	if p.read < p.at && p.read+len(b) > p.at {
		b = b[:p.at-p.read]
	} else if p.read == p.at {
		close(p.reached)
		<-p.proceed
	}
	n, err := p.r.Read(b)
	p.read += n
	return n, err
}

// blobsLikeModel runs random operations on few keys and compares with a map.
func blobsLikeModel(t TB, blobs store.Blobs, steps int, faults bool) {
	ctx := context.Background()
	random := rand.New(rand.NewPCG(3, 4))
	model := map[string][]byte{}
	unclear := 0
	for step := range steps {
		key := fmt.Sprintf("model/%d", random.IntN(5))
		old, there := model[key]
		var err error
		var next []byte
		if random.IntN(3) > 0 {
			next = Random(uint64(step), random.IntN(50_000))
			err = put(blobs, key, next)
			if there && err == nil {
				t.Fatalf("step %d: an object was overwritten", step)
			}
			if !there && err != nil && problem.KindOf(err) != problem.Unavailable {
				t.Fatalf("step %d: put of a new key: %v", step, err)
			}
			if there {
				next = old
			}
		} else {
			err = blobs.Delete(ctx, key)
		}
		if err != nil && problem.KindOf(err) == problem.Unavailable && faults {
			unclear++
		} else if err != nil && problem.KindOf(err) != problem.Conflict {
			t.Fatalf("step %d: %v", step, err)
		}
		settled := settleBlob(t, blobs, key, old, next, err, faults)
		if settled == nil {
			delete(model, key)
		} else {
			model[key] = settled
		}
	}
	t.Logf("%d operations, %d of them Unavailable", steps, unclear)
}

// settleBlob reads what an operation left and holds it against what it answered. A nil slice is an absent object.
func settleBlob(t TB, blobs store.Blobs, key string, old, next []byte, answer error, faults bool) []byte {
	t.Helper()
	for range 50 {
		got, err := fetch(blobs, key, 0, -1)
		switch {
		case err != nil && problem.KindOf(err) == problem.NotFound:
			got = nil
		case err != nil && faults && (problem.KindOf(err) == problem.Unavailable || problem.KindOf(err) == problem.Internal):
			continue
		case err != nil:
			t.Fatalf("get: %v", err)
		case got == nil:
			got = []byte{}
		}
		same := func(a []byte) bool { return (a == nil) == (got == nil) && bytes.Equal(a, got) }
		if unclear := problem.KindOf(answer) == problem.Unavailable && answer != nil; same(next) || (unclear && same(old)) {
			return got
		}
		t.Fatalf("after %v the object is neither what it was nor what was put", answer)
	}
	t.Fatalf("50 reads in a row failed")
	return nil
}
