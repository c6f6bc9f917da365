package seal

import (
	"bytes"
	"encoding/binary"

	"arca.example/arca/shared/problem"
)

// Format version and cipher suite. Suite 1 is HPKE(X-Wing, HKDF-SHA-256,
// AES-256-GCM) with AES-256-GCM, HKDF-SHA-256, HMAC-SHA-256 and SHA-256.
const (
	Version = 1
	Suite   = 1
)

// lp appends uint32(len(x)) ‖ x. Every variable part of a bound string goes
// through it, so that no two different tuples give one string.
func lp(dst []byte, x []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(x)))
	return append(dst, x...)
}

// bind is lp(label) lp(part) lp(part)…
func bind(label string, parts ...[]byte) []byte {
	out := lp(nil, []byte(label))
	for _, p := range parts {
		out = lp(out, p)
	}
	return out
}

// number8 is the fixed 8-byte big-endian form in which numbers are bound.
func number8(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// cursor reads fixed and length-prefixed fields; the first short read makes it bad for good.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.rest) {
		c.bad = true
		return nil
	}
	out := c.rest[:n:n]
	c.rest = c.rest[n:]
	return out
}

func (c *cursor) copyTo(dst []byte) { copy(dst, c.take(len(dst))) }

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) uint64() uint64 {
	if b := c.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// lp reads a length-prefixed field of at most limit bytes.
func (c *cursor) lp(limit int) []byte {
	n := c.uint32()
	if uint64(n) > uint64(limit) {
		c.bad = true
		return nil
	}
	return c.take(int(n))
}

// header consumes version and suite and refuses any others.
func (c *cursor) header() {
	if c.byte() != Version || c.byte() != Suite {
		c.bad = true
	}
}

// whole is true when everything was read and nothing is left.
func (c *cursor) whole() bool { return !c.bad && len(c.rest) == 0 }

// canonical is the last step of every parser: what was parsed must encode to
// the very bytes that were read.
func canonical(what string, read, encoded []byte) error {
	if !bytes.Equal(read, encoded) {
		return malformed(what)
	}
	return nil
}

func malformed(what string) error {
	return problem.New(problem.Invalid, "the %s is damaged or of an unknown version; fetch it again from its author", what)
}
