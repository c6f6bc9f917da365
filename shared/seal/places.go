package seal

import (
	"encoding/binary"
	"math"
	"sort"

	"arca.example/arca/shared/problem"
)

// MaxRuns bounds the places of one recording: 64 GiB in packs of 1 MiB.
const MaxRuns = 1 << 16

// Run is a range of one pack. Offsets count from the pack's start, slots included.
type Run struct {
	Pack   uint64
	Offset uint32
	Length uint32
}

const runSize = 16

// Places are where a recording's ciphertext lies, in its order.
type Places []Run

// Add appends a run, joining it to the last when it continues it; an empty run adds nothing.
func (p Places) Add(r Run) Places {
	if r.Length == 0 {
		return p
	}
	if n := len(p); n > 0 && p[n-1].continues(r) {
		p[n-1].Length += r.Length
		return p
	}
	return append(p, r)
}

// Length is the ciphertext length in bytes.
func (p Places) Length() (n int64) {
	for _, r := range p {
		n += int64(r.Length)
	}
	return n
}

// Check demands the canonical form: at least one run, none empty or past 4 GiB,
// in strictly ascending order without overlap, and joined where they touch.
func (p Places) Check() error {
	if len(p) == 0 || len(p) > MaxRuns {
		return malformed("list of places")
	}
	for i, r := range p {
		if r.Length == 0 || uint64(r.Offset)+uint64(r.Length) > math.MaxUint32 || r.Pack > MaxPackNumber {
			return malformed("list of places")
		}
		if i > 0 && !p[i-1].before(r) {
			return malformed("list of places")
		}
	}
	return nil
}

// Within demands that every run lies in a pack's body.
func (p Places) Within(g Geometry) error {
	for _, r := range p {
		if uint64(r.Offset) < uint64(g.bodyStart()) || uint64(r.Offset)+uint64(r.Length) > uint64(g.Size) {
			return problem.New(problem.Invalid, "a recording's place lies outside a pack's body; the descriptor is not of this vault")
		}
	}
	return nil
}

func (r Run) continues(next Run) bool {
	return r.Pack == next.Pack && uint64(r.Offset)+uint64(r.Length) == uint64(next.Offset) &&
		uint64(r.Length)+uint64(next.Length) <= math.MaxUint32
}

// before is true when next lies wholly after r and could not be joined to it.
func (r Run) before(next Run) bool {
	return r.Pack < next.Pack || r.Pack == next.Pack && uint64(r.Offset)+uint64(r.Length) < uint64(next.Offset)
}

func (r Run) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, r.Pack)
	dst = binary.BigEndian.AppendUint32(dst, r.Offset)
	return binary.BigEndian.AppendUint32(dst, r.Length)
}

// placeOf finds the run that holds ciphertext offset at, given where each starts.
func placeOf(starts []int64, at int64) int {
	return sort.Search(len(starts), func(i int) bool { return starts[i] > at }) - 1
}
