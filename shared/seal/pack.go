package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"arca.example/arca/shared/problem"
)

// MaxPackNumber is the largest number that PackKey can name.
const MaxPackNumber = 999_999_999_999

// MaxPackSize bounds a pack, which is built in memory.
const MaxPackSize = 256 << 20

// Geometry is what all packs of one vault share.
type Geometry struct {
	Size  int // bytes of a pack
	Slots int // header slots at its start
}

// The two geometries of the design.
var (
	DefaultGeometry = Geometry{Size: 16 << 20, Slots: 32}
	TinyGeometry    = Geometry{Size: 1 << 20, Slots: 8}
)

// Check refuses geometries that no vault may choose.
func (g Geometry) Check() error {
	if g.Size < 1<<18 || g.Size > MaxPackSize || g.Size%SlotSize != 0 || g.Slots < 1 || g.Slots > g.Size/SlotSize/4 {
		return problem.New(problem.Invalid, "a pack has 256 KiB to 256 MiB, a multiple of 4 KiB, and at least one slot, a quarter of it at most")
	}
	return nil
}

func (g Geometry) bodyStart() int { return g.Slots * SlotSize }

// BodySize gives the bytes of a pack that are not slots.
func (g Geometry) BodySize() int { return g.Size - g.bodyStart() }

// PackKey gives the object key of a pack.
func PackKey(number uint64) string { return fmt.Sprintf("pack/%012d", number) }

// ParsePackKey reads what PackKey wrote, and nothing else.
func ParsePackKey(key string) (uint64, error) {
	digits, ok := strings.CutPrefix(key, "pack/")
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || n > MaxPackNumber || PackKey(n) != key {
		return 0, problem.New(problem.Invalid, "a pack is named pack/ and twelve digits")
	}
	return n, nil
}

// Digest computes a pack's two log digests as its bytes go by.
type Digest struct {
	sum    hash.Hash
	area   int // bytes of the slot area still to come
	slots  [32]byte
	length int64
}

// NewDigest gives a Digest of packs of one geometry.
func NewDigest(g Geometry) *Digest { return &Digest{sum: sha256.New(), area: g.bodyStart()} }

// Write never fails.
func (d *Digest) Write(p []byte) (int, error) {
	n := len(p)
	d.length += int64(n)
	if d.area > 0 {
		k := min(d.area, len(p))
		d.sum.Write(p[:k])
		p, d.area = p[k:], d.area-k
		if d.area == 0 {
			// Sum does not disturb the running state: the whole is hashed once.
			d.sum.Sum(d.slots[:0])
		}
	}
	d.sum.Write(p)
	return n, nil
}

// Sums gives the SHA-256 of the slot area and of everything written.
func (d *Digest) Sums() (slots, whole [32]byte) {
	d.sum.Sum(whole[:0])
	return d.slots, whole
}

// Length gives the bytes written.
func (d *Digest) Length() int64 { return d.length }

// Pack is a finished pack. Bytes is the builder's buffer: valid until its next Start.
type Pack struct {
	Number      uint64
	Bytes       []byte
	SlotsSHA256 [32]byte
	SHA256      [32]byte
}

// Builder fills one pack after another in one buffer. Not safe for concurrent use.
type Builder struct {
	g      Geometry
	buf    []byte
	number uint64
	slots  int  // slots sealed
	next   int  // first free byte of the body
	held   int  // bytes at the end that only AppendWhole may use
	open   bool // between Start and Finish
	spill  []byte
}

// NewBuilder gives a builder over buf, which has at least g.Size bytes; nil allocates.
func NewBuilder(g Geometry, buf []byte) (*Builder, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	if buf == nil {
		buf = make([]byte, g.Size)
	}
	if len(buf) < g.Size {
		return nil, problem.New(problem.Internal, "the pack buffer is too small")
	}
	return &Builder{g: g, buf: buf[:g.Size:g.Size], spill: make([]byte, 0, SealedSegmentSize)}, nil
}

// Start begins pack number, which was reserved at the vault. Started and at once
// finished it is a dummy pack.
func (b *Builder) Start(number uint64) error {
	if b.open || number > MaxPackNumber {
		return problem.New(problem.Internal, "a pack is begun after the one before is finished, with a number of twelve digits")
	}
	b.number, b.slots, b.next, b.held, b.open = number, 0, b.g.bodyStart(), 0, true
	return nil
}

// Number gives the number of the pack being filled.
func (b *Builder) Number() uint64 { return b.number }

// Free gives the body bytes that content may still take.
func (b *Builder) Free() int { return max(0, b.g.Size-b.next-b.held) }

// FreeSlots gives the header slots still empty.
func (b *Builder) FreeSlots() int { return b.g.Slots - b.slots }

// Hold keeps n bytes of the body for AppendWhole: the descriptors of the batches
// that will end in this pack. It replaces the former hold and is refused when
// the body has not so much left.
func (b *Builder) Hold(n int) error {
	if !b.open || n < 0 || n > b.g.Size-b.next {
		return problem.New(problem.Conflict, "the pack has no room left for descriptors; finish it and begin the next")
	}
	b.held = n
	return nil
}

// AppendSegment seals the next segment straight into the body. What does not fit
// comes back as rest, valid until the next AppendSegment, and goes first into
// the next pack (Append). run may be empty.
func (b *Builder) AppendSegment(e *Encryptor, plaintext []byte, last bool) (run Run, rest []byte, err error) {
	if !b.open {
		return Run{}, nil, notOpen()
	}
	n := len(plaintext) + tagSize
	if n <= b.Free() {
		// The capacity is cut to what is needed: Seal writes here, not to a copy.
		if _, err := e.AppendSegment(b.buf[b.next:b.next:b.next+n], plaintext, last); err != nil {
			return Run{}, nil, err
		}
		return b.advance(n), nil, nil
	}
	if b.spill, err = e.AppendSegment(b.spill[:0], plaintext, last); err != nil {
		return Run{}, nil, err
	}
	return b.Append(b.spill)
}

// Append copies as much ciphertext as fits and gives the rest back.
func (b *Builder) Append(ciphertext []byte) (run Run, rest []byte, err error) {
	if !b.open {
		return Run{}, nil, notOpen()
	}
	n := copy(b.buf[b.next:b.next+b.Free()], ciphertext)
	return b.advance(n), ciphertext[n:], nil
}

// AppendWhole copies a batch's area in one piece, using held bytes where needed.
func (b *Builder) AppendWhole(area []byte) (Run, error) {
	if !b.open || len(area) > b.g.Size-b.next {
		return Run{}, problem.New(problem.Conflict, "the pack has no room left for descriptors; finish it and begin the next")
	}
	b.held = max(0, b.held-len(area))
	return b.advance(copy(b.buf[b.next:], area)), nil
}

func (b *Builder) advance(n int) Run {
	run := Run{b.number, uint32(b.next), uint32(n)}
	b.next += n
	return run
}

// AddSlot seals a slot into the next free place of the header.
func (b *Builder) AddSlot(find hpke.PublicKey, s Slot) error {
	if !b.open || b.slots == b.g.Slots {
		return problem.New(problem.Conflict, "the pack has no free slot left; finish it and begin the next")
	}
	sealed, err := SealSlot(find, b.number, b.slots, s)
	if err != nil {
		return err
	}
	copy(b.buf[b.slots*SlotSize:], sealed)
	b.slots++
	return nil
}

// Finish puts real seals into the empty slots, random bytes into the rest of the
// body, and hashes everything once.
func (b *Builder) Finish() (Pack, error) {
	if !b.open {
		return Pack{}, notOpen()
	}
	for ; b.slots < b.g.Slots; b.slots++ {
		empty, err := EmptySlot()
		if err != nil {
			return Pack{}, err
		}
		copy(b.buf[b.slots*SlotSize:], empty)
	}
	fill(b.buf[b.next:])
	b.open = false
	d := NewDigest(b.g)
	d.Write(b.buf)
	slots, whole := d.Sums()
	return Pack{b.number, b.buf, slots, whole}, nil
}

// fill overwrites p with the AES-256-CTR keystream of a fresh key that is then
// dropped. Segments are AES-CTR output too (GCM is CTR with a tag), so whoever
// could tell filler from segments would have broken AES; and it is several times
// as fast as the operating system's generator.
func fill(p []byte) {
	var key [32]byte
	random(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("seal: AES refused 32 bytes: " + err.Error())
	}
	clear(key[:])
	var iv [16]byte
	// What the buffer held of the pack before is encrypted by the XOR, under a key
	// that nobody has: the result is as good as the keystream itself.
	cipher.NewCTR(block, iv[:]).XORKeyStream(p, p)
}

func notOpen() error {
	return problem.New(problem.Internal, "no pack is being filled; begin one first")
}
