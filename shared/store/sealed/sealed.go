// Package sealed keeps a keyholder's rows in a store that may not know them.
//
// It promises that the store below sees a bag of unlinkable boxes: it learns
// how many rows there are, their size class, when each is read and written, and
// its expiry. It learns no name, no value and no relation between rows. What it
// alters is noticed: a changed byte, a row put in another's place, an older
// content under a newer version number, another expiry.
//
// It does not notice a row that was removed, or put back whole with its old
// version number: nothing in a single row can show that. Against these stand
// counter rows, conditional writes, and the other keyholder's status.
//
// Format, with secrets drawn from the 32-byte key by HKDF-SHA-256:
//
//	stored key   = hex(HMAC-SHA-256(nameKey, name))
//	row key      = HMAC-SHA-256(valueKey, stored key)
//	stored value = nonce[12] ‖ AES-256-GCM(row key, nonce, plain, AAD)
//	plain        = uvarint(len name) ‖ name ‖ uvarint(len value) ‖ value ‖ zeros
//	AAD          = "arca/v1/row" ‖ stored key ‖ uint64 version ‖ int64 unix expiry (0 never)
//
// nameKey = HKDF(key, info "arca/v1/row/name"), valueKey = HKDF(key, info
// "arca/v1/row/value"). Zeros fill the stored value up to the next of
// 256, 1,024, 4,096, 16,384, 65,536, 262,144 bytes or the largest row. The version is
// the one that the row has after the write. Nonces are random; a row key
// serves one row only, so 2^32 writes of one row, not of all, stay within GCM's bound.
package sealed

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"sync"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

const (
	storedKeyBytes = 2 * sha256.Size
	nonceBytes     = 12
	tagBytes       = 16
)

// MaxRowBytes is what a name and its value may have together.
const MaxRowBytes = store.MaxRowBytes - storedKeyBytes - nonceBytes - tagBytes - 2 - 3

// classes are the sizes that a stored value may have.
var classes = [...]int{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, store.MaxRowBytes - storedKeyBytes}

// ErrAltered is in the chain of every integrity failure.
var ErrAltered = errors.New("sealed: a stored row is not what this key wrote for its name, version and expiry")

// Rows is a store.Rows whose names and values only the key's holder can read.
type Rows struct {
	below  store.Rows
	names  *macs // under nameKey
	values *macs // under valueKey
}

// New wraps a store. The same key opens what it wrote before; another key
// finds none of it.
func New(below store.Rows, key [32]byte) *Rows {
	return &Rows{below: below, names: newMACs(derive(key, "arca/v1/row/name")), values: newMACs(derive(key, "arca/v1/row/value"))}
}

func derive(key [32]byte, info string) []byte {
	k, err := hkdf.Key(sha256.New, key[:], nil, info, 32)
	if err != nil {
		panic(err) // only for a length that HKDF cannot give; 32 it can
	}
	return k
}

// String keeps the keys out of logs.
func (s *Rows) String() string { return "sealed rows" }

// GoString keeps the keys out of logs.
func (s *Rows) GoString() string { return "sealed rows" }

// macs makes HMAC-SHA-256 under one key. Setting the key up costs as much as a row's name, so what was set up is used again.
type macs struct{ ready sync.Pool }

func newMACs(key []byte) *macs {
	return &macs{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

func (m *macs) of(text string) []byte {
	h := m.ready.Get().(hash.Hash)
	defer m.ready.Put(h)
	h.Reset()
	h.Write([]byte(text))
	return h.Sum(nil)
}

func (s *Rows) storedKey(name string) string { return hex.EncodeToString(s.names.of(name)) }

func (s *Rows) aead(storedKey string) cipher.AEAD {
	block, err := aes.NewCipher(s.values.of(storedKey))
	if err != nil {
		panic(err) // only for a wrong key size; HMAC-SHA-256 has 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // only for a block size other than 16; AES has 16
	}
	return aead
}

func binding(storedKey string, version int64, expires time.Time) []byte {
	b := append([]byte("arca/v1/row"), storedKey...)
	b = binary.BigEndian.AppendUint64(b, uint64(version))
	return binary.BigEndian.AppendUint64(b, uint64(seconds(expires)))
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// Get returns the present rows among keys.
func (s *Rows) Get(ctx context.Context, keys ...string) (map[string]store.Row, error) {
	if err := store.CheckGet(keys); err != nil {
		return nil, err
	}
	hidden := make([]string, len(keys))
	for i, k := range keys {
		hidden[i] = s.storedKey(k)
	}
	boxes, err := s.below.Get(ctx, hidden...)
	if err != nil {
		return nil, err
	}
	found := make(map[string]store.Row, len(boxes))
	for i, k := range keys {
		box, ok := boxes[hidden[i]]
		if !ok {
			continue
		}
		row, err := s.open(box, hidden[i])
		if err != nil {
			return nil, err
		}
		found[k] = row // open has checked that the row's own name leads to this place
	}
	return found, nil
}

// Commit applies all writes or none.
func (s *Rows) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.CheckCommit(writes); err != nil {
		return err
	}
	boxes := make([]store.Write, len(writes))
	for i, w := range writes {
		if len(w.Key)+len(w.Value) > MaxRowBytes {
			return problem.New(problem.Invalid, "a sealed row holds at most %d bytes", MaxRowBytes)
		}
		boxes[i] = store.Write{Op: w.Op, Key: s.storedKey(w.Key), Version: w.Version, Expires: w.Expires}
		if w.Op == store.Put {
			boxes[i].Value = s.seal(boxes[i].Key, w)
		}
	}
	return s.below.Commit(ctx, boxes...)
}

// Scan yields every row of a segment under its own name.
func (s *Rows) Scan(ctx context.Context, segment, segments int, yield func(store.Row) error) error {
	return s.below.Scan(ctx, segment, segments, func(box store.Row) error {
		row, err := s.open(box, box.Key)
		if err != nil {
			return err
		}
		return yield(row)
	})
}

func (s *Rows) seal(storedKey string, w store.Write) []byte {
	need := nonceBytes + uvarintBytes(len(w.Key)) + len(w.Key) + uvarintBytes(len(w.Value)) + len(w.Value) + tagBytes
	size := classOf(need)
	box := make([]byte, nonceBytes, size)
	rand.Read(box) // never fails (crypto/rand)
	plain := make([]byte, 0, size-nonceBytes-tagBytes)
	plain = binary.AppendUvarint(plain, uint64(len(w.Key)))
	plain = append(plain, w.Key...)
	plain = binary.AppendUvarint(plain, uint64(len(w.Value)))
	plain = append(plain, w.Value...)
	plain = plain[:cap(plain)] // the rest is zeros already
	return s.aead(storedKey).Seal(box, box, plain, binding(storedKey, w.Version+1, w.Expires))
}

// classOf gives the size of a stored value. Commit has refused what fits none.
func classOf(need int) int {
	for _, size := range classes {
		if need <= size {
			return size
		}
	}
	return need
}

func uvarintBytes(n int) int { return len(binary.AppendUvarint(nil, uint64(n))) }

// open decrypts the box that lay at storedKey.
func (s *Rows) open(box store.Row, storedKey string) (store.Row, error) {
	if box.Key != storedKey || len(box.Key) != storedKeyBytes || !isClass(len(box.Value)) {
		return store.Row{}, altered()
	}
	plain, err := s.aead(storedKey).Open(nil, box.Value[:nonceBytes], box.Value[nonceBytes:], binding(storedKey, box.Version, box.Expires))
	if err != nil {
		return store.Row{}, altered()
	}
	name, rest, ok := field(plain)
	if !ok {
		return store.Row{}, altered()
	}
	value, rest, ok := field(rest)
	if !ok || !allZero(rest) || s.storedKey(string(name)) != storedKey {
		return store.Row{}, altered()
	}
	return store.Row{Key: string(name), Value: value, Version: box.Version, Expires: box.Expires}, nil
}

func isClass(n int) bool {
	for _, size := range classes {
		if n == size {
			return true
		}
	}
	return false
}

// field splits off a length and that many bytes.
func field(b []byte) (value, rest []byte, ok bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return nil, nil, false
	}
	return b[used : used+int(n) : used+int(n)], b[used+int(n):], true
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func altered() error {
	return problem.Wrap(problem.Internal, ErrAltered,
		"a stored row was altered from outside, so nothing is answered from it; tell the operator: keep a copy of the store as evidence, then restore this party from its backup")
}
