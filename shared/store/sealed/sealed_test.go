package sealed

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/sqlite"
	"arca.example/arca/shared/store/storetest"
)

var limits = storetest.Limits{RowBytes: MaxRowBytes, CommitBytes: 10 * MaxRowBytes}

func TestConformance(t *testing.T) {
	t.Run("model", func(t *testing.T) {
		storetest.Rows(t, func(t *testing.T) store.Rows { return New(storetest.NewMemory(), [32]byte{1}) }, limits)
	})
	t.Run("sqlite", func(t *testing.T) {
		storetest.Rows(t, func(t *testing.T) store.Rows {
			db, err := sqlite.Open(filepath.Join(t.TempDir(), "rows.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			return New(db, [32]byte{1})
		}, limits)
	})
}

// vendor is a store whose owner looks into it and rewrites it.
type vendor struct {
	store.Rows
	rows map[string]store.Row
}

func (v *vendor) Get(ctx context.Context, keys ...string) (map[string]store.Row, error) {
	found := map[string]store.Row{}
	for _, k := range keys {
		if r, ok := v.rows[k]; ok {
			found[k] = r
		}
	}
	return found, nil
}

func (v *vendor) Commit(ctx context.Context, writes ...store.Write) error {
	for _, w := range writes {
		v.rows[w.Key] = store.Row{Key: w.Key, Value: w.Value, Version: w.Version + 1, Expires: w.Expires}
	}
	return nil
}

func (v *vendor) Scan(ctx context.Context, segment, segments int, yield func(store.Row) error) error {
	for _, r := range v.rows {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func sealInto(t *testing.T, writes ...store.Write) (*Rows, *vendor) {
	t.Helper()
	v := &vendor{rows: map[string]store.Row{}}
	s := New(v, [32]byte{7})
	for _, w := range writes {
		if err := s.Commit(context.Background(), w); err != nil {
			t.Fatal(err)
		}
	}
	return s, v
}

func mustRefuse(t *testing.T, s *Rows, name string) {
	t.Helper()
	if _, err := s.Get(context.Background(), name); !errors.Is(err, ErrAltered) || problem.KindOf(err) != problem.Internal {
		t.Fatalf("get: %v", err)
	}
	if err := s.Scan(context.Background(), 0, 1, func(store.Row) error { return nil }); !errors.Is(err, ErrAltered) {
		t.Fatalf("scan: %v", err)
	}
}

func TestADumpShowsNothing(t *testing.T) {
	name, value := "order/case-tag-4711/investigator", []byte("identifier +1 202 555 0142, order seven")
	_, v := sealInto(t, store.Write{Key: name, Value: value})
	if leaks := search(v, name, value); len(leaks) != 0 {
		t.Fatalf("found in the dump: %v", leaks)
	}
	// The same search must find a planted leak.
	v.rows["plain"] = store.Row{Key: "plain", Value: append([]byte("x"), value...)}
	v.rows[name] = store.Row{Key: name}
	if leaks := search(v, name, value); len(leaks) < 2 {
		t.Fatalf("the search does not find a planted leak: %v", leaks)
	}
}

// search looks for any 6 bytes of name or value, raw and in hex.
func search(v *vendor, name string, value []byte) (leaks []string) {
	var dump bytes.Buffer
	for k, r := range v.rows {
		fmt.Fprintf(&dump, "%s|%s|%d|", k, r.Value, r.Version)
	}
	for _, secret := range []string{name, string(value)} {
		for i := 0; i+6 <= len(secret); i++ {
			for _, form := range []string{secret[i : i+6], hex.EncodeToString([]byte(secret[i : i+6]))} {
				if bytes.Contains(dump.Bytes(), []byte(form)) {
					leaks = append(leaks, form)
				}
			}
		}
	}
	return leaks
}

func TestSizesAreClasses(t *testing.T) {
	s, v := sealInto(t)
	sizes := map[int]bool{}
	for n := 0; n < 5000; n += 37 {
		if err := s.Commit(context.Background(), store.Write{Key: "k", Value: make([]byte, n)}); err != nil {
			t.Fatal(err)
		}
		for k, r := range v.rows {
			if len(k) != storedKeyBytes {
				t.Fatalf("stored key of %d bytes", len(k))
			}
			sizes[len(r.Value)] = true
		}
	}
	if got := slices.Sorted(maps.Keys(sizes)); !slices.Equal(got, []int{256, 1024, 4096, 16384}) {
		t.Fatalf("sizes: %v", got)
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	s, v := sealInto(t, store.Write{Key: "name", Value: []byte("value")})
	k := s.storedKey("name")
	good := v.rows[k]
	for i := range good.Value {
		for bit := range 8 {
			bad := good
			bad.Value = bytes.Clone(good.Value)
			bad.Value[i] ^= 1 << bit
			v.rows[k] = bad
			if _, err := s.Get(context.Background(), "name"); !errors.Is(err, ErrAltered) {
				t.Fatalf("bit %d of byte %d: %v", bit, i, err)
			}
		}
	}
	for _, n := range []int{0, 1, 27, 28, 255, 257, 1024} {
		bad := good
		bad.Value = make([]byte, n)
		copy(bad.Value, good.Value)
		v.rows[k] = bad
		mustRefuse(t, s, "name")
	}
}

func TestMovedRowsAreRefused(t *testing.T) {
	s, v := sealInto(t, store.Write{Key: "a", Value: []byte("1")}, store.Write{Key: "b", Value: []byte("2")})
	ka, kb := s.storedKey("a"), s.storedKey("b")
	a, b := v.rows[ka], v.rows[kb]
	a.Key, b.Key = kb, ka
	v.rows[ka], v.rows[kb] = b, a
	mustRefuse(t, s, "a")
	mustRefuse(t, s, "b")
	// Also when the vendor leaves the key inside the row as it was.
	v.rows[ka] = store.Row{Key: kb, Value: b.Value, Version: 1}
	mustRefuse(t, s, "a")
}

func TestAnOlderContentUnderANewerNumberIsRefused(t *testing.T) {
	s, v := sealInto(t, store.Write{Key: "a", Value: []byte("old")})
	k := s.storedKey("a")
	old := v.rows[k]
	if err := s.Commit(context.Background(), store.Write{Key: "a", Value: []byte("new"), Version: 1}); err != nil {
		t.Fatal(err)
	}
	for _, version := range []int64{0, 2, 3, -1} {
		old.Version = version
		v.rows[k] = old
		mustRefuse(t, s, "a")
	}
}

func TestAnotherExpiryIsRefused(t *testing.T) {
	s, v := sealInto(t, store.Write{Key: "a", Expires: time.Unix(1<<40, 0)})
	k := s.storedKey("a")
	for _, expires := range []time.Time{{}, time.Unix(1<<41, 0)} {
		r := v.rows[k]
		r.Expires = expires
		v.rows[k] = r
		mustRefuse(t, s, "a")
	}
}

// TestTheTestsCatchAWeakenedSeal repeats the attacks on a seal that binds no
// version: it must be fooled, or the tests above prove nothing.
func TestTheTestsCatchAWeakenedSeal(t *testing.T) {
	s, v := sealInto(t)
	k := s.storedKey("a")
	w := store.Write{Key: "a", Value: []byte("old"), Version: 0}
	v.rows[k] = store.Row{Key: k, Value: s.seal(k, w), Version: 1}
	old := v.rows[k]
	w = store.Write{Key: "a", Value: []byte("new"), Version: 0} // sealed as version 1 although it becomes version 2
	v.rows[k] = store.Row{Key: k, Value: s.seal(k, w), Version: 1}
	old.Version = 1
	v.rows[k] = old
	got, err := s.Get(context.Background(), "a")
	if err != nil || string(got["a"].Value) != "old" {
		t.Fatalf("a seal without versions was expected to accept the old row: %v", err)
	}
}

func TestAnotherKeyFindsNothing(t *testing.T) {
	_, v := sealInto(t, store.Write{Key: "a", Value: []byte("1")})
	other := New(v, [32]byte{8})
	if got, err := other.Get(context.Background(), "a"); err != nil || len(got) != 0 {
		t.Fatalf("%v %v", got, err)
	}
	if err := other.Scan(context.Background(), 0, 1, func(store.Row) error { return nil }); !errors.Is(err, ErrAltered) {
		t.Fatalf("scan with another key: %v", err)
	}
}

func TestTheLargestRowFitsExactly(t *testing.T) {
	s, v := sealInto(t)
	name := strings.Repeat("n", store.MaxKeyBytes)
	if err := s.Commit(context.Background(), store.Write{Key: name, Value: make([]byte, MaxRowBytes-len(name))}); err != nil {
		t.Fatal(err)
	}
	if r := v.rows[s.storedKey(name)]; len(r.Key)+len(r.Value) != store.MaxRowBytes {
		t.Fatalf("stored as %d bytes, want %d", len(r.Key)+len(r.Value), store.MaxRowBytes)
	}
	if err := s.Commit(context.Background(), store.Write{Key: name, Value: make([]byte, MaxRowBytes-len(name)+1)}); problem.KindOf(err) != problem.Invalid {
		t.Fatalf("a row too large: %v", err)
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	s, _ := sealInto(t)
	for _, text := range []string{fmt.Sprintf("%v", s), fmt.Sprintf("%#v", s), fmt.Sprint(s)} {
		if text != "sealed rows" {
			t.Fatalf("prints as %q", text)
		}
	}
}

// FuzzPlain feeds the parser behind the decryption.
func FuzzPlain(f *testing.F) {
	f.Add([]byte{1, 'n', 1, 'v', 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if value, rest, ok := field(b); ok && len(value)+len(rest) >= len(b) {
			t.Fatalf("%d bytes give %d and %d", len(b), len(value), len(rest))
		}
	})
}

func TestTheFuzzCorpusIsThere(t *testing.T) {
	if cases, err := filepath.Glob("testdata/fuzz/FuzzPlain/*"); err != nil || len(cases) == 0 {
		t.Fatalf("no committed cases: %v", err)
	}
}

// vector is one stored row whose bytes may never stop opening.
type vector struct {
	Key, Name, Value, StoredKey, StoredValue string
	Version, Expires                         int64
}

// TestVector opens the committed row. ARCA_WRITE_VECTORS=1 makes a new one, which only a new format may need.
func TestVector(t *testing.T) {
	const path = "testdata/row.json"
	key := [32]byte{1, 2, 3}
	if os.Getenv("ARCA_WRITE_VECTORS") != "" {
		writeVector(t, path, key)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var x vector
	if err := json.Unmarshal(b, &x); err != nil {
		t.Fatal(err)
	}
	value, err := hex.DecodeString(x.StoredValue)
	if err != nil {
		t.Fatal(err)
	}
	_, v := sealInto(t)
	s := New(v, key)
	v.rows[x.StoredKey] = store.Row{Key: x.StoredKey, Value: value, Version: x.Version, Expires: time.Unix(x.Expires, 0)}
	got, err := s.Get(context.Background(), x.Name)
	if err != nil || string(got[x.Name].Value) != x.Value || x.Key != hex.EncodeToString(key[:]) {
		t.Fatalf("the committed row no longer opens: %v", err)
	}
}

func writeVector(t *testing.T, path string, key [32]byte) {
	s := New(storetest.NewMemory(), key)
	x := vector{Key: hex.EncodeToString(key[:]), Name: "counter/orders", Value: "42", Version: 3, Expires: 4102444800}
	x.StoredKey = s.storedKey(x.Name)
	x.StoredValue = hex.EncodeToString(s.seal(x.StoredKey, store.Write{Key: x.Name, Value: []byte(x.Value), Version: 2, Expires: time.Unix(x.Expires, 0)}))
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
