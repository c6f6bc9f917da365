package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"sync"

	"arca.example/arca/shared/problem"
)

// Segment sizes in bytes.
const (
	SegmentSize       = 65536                 // plaintext of every segment but the last
	SealedSegmentSize = SegmentSize + tagSize // its ciphertext
)

// MaxContentSize bounds one recording; longer ones are series of parts. It keeps
// every offset and the segment counter far from overflow.
const MaxContentSize = 1 << 40

// SealedLength gives the ciphertext length of a recording of plain bytes.
func SealedLength(plain int64) int64 {
	if plain == 0 {
		return tagSize
	}
	return plain + tagSize*((plain+SegmentSize-1)/SegmentSize)
}

// PlainLength gives the plaintext length behind sealed ciphertext bytes, and
// refuses lengths that no recording has: those whose last segment would be empty or less.
func PlainLength(sealed int64) (int64, error) {
	rest := sealed % SealedSegmentSize
	if sealed < tagSize || sealed > SealedLength(MaxContentSize) || (rest > 0 && rest <= tagSize && sealed != tagSize) {
		return 0, malformed("recording's length")
	}
	segments := (sealed + SealedSegmentSize - 1) / SealedSegmentSize
	return sealed - segments*tagSize, nil
}

// segmentCipher is AES-256-GCM with the STREAM nonce, one per key, no allocation per segment.
type segmentCipher struct {
	aead  cipher.AEAD
	ctx   Context
	nonce [12]byte
}

func newSegmentCipher(key RecordingKey, ctx Context) segmentCipher {
	return segmentCipher{aead: newGCM(key), ctx: ctx}
}

// newGCM cannot fail: the key is 32 bytes by type.
func newGCM(key [32]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("seal: AES refused 32 bytes: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("seal: GCM refused AES: " + err.Error())
	}
	return aead
}

// at sets the nonce: 11-byte counter ‖ last-flag. The flag is part of the nonce,
// so a segment that was not last never opens as last, nor the reverse.
func (s *segmentCipher) at(index uint64, last bool) {
	binary.BigEndian.PutUint64(s.nonce[3:11], index)
	s.nonce[11] = 0
	if last {
		s.nonce[11] = 1
	}
}

// validSegment says whether a plaintext of n bytes may stand at index.
func validSegment(n int, index uint64, last bool) bool {
	if !last {
		return n == SegmentSize
	}
	return n <= SegmentSize && (n > 0 || index == 0)
}

// Encryptor turns one recording's content into segments, in order, once. It is
// obtained from Recording.Encryptor, which gives it out once: that is why a
// counter nonce never repeats under its key. Not safe for concurrent use.
type Encryptor struct {
	segmentCipher
	digest hash.Hash
	index  uint64
	plain  int64
	done   bool
}

func newEncryptor(key RecordingKey, ctx Context) *Encryptor {
	return &Encryptor{segmentCipher: newSegmentCipher(key, ctx), digest: sha256.New()}
}

// AppendSegment appends the ciphertext of the next segment to dst. Every
// plaintext but the last has exactly SegmentSize bytes; the last has 1 to
// SegmentSize, or 0 when the recording is empty. dst's spare capacity must not
// overlap plaintext.
func (e *Encryptor) AppendSegment(dst, plaintext []byte, last bool) ([]byte, error) {
	if e.done || !validSegment(len(plaintext), e.index, last) || e.plain+int64(len(plaintext)) > MaxContentSize {
		return dst, problem.New(problem.Invalid, "content is sealed once, in segments of %d bytes, up to %d bytes; continue a longer one as a next part", SegmentSize, int64(MaxContentSize))
	}
	e.digest.Write(plaintext)
	e.at(e.index, last)
	dst = e.aead.Seal(dst, e.nonce[:], plaintext, e.ctx[:])
	e.index++
	e.plain += int64(len(plaintext))
	e.done = last
	return dst, nil
}

// Size gives the plaintext bytes sealed so far.
func (e *Encryptor) Size() int64 { return e.plain }

// SHA256 gives the digest of the plaintext; only after the last segment.
func (e *Encryptor) SHA256() (sum [32]byte, err error) {
	if !e.done {
		return sum, problem.New(problem.Invalid, "the content has no digest before its last segment")
	}
	e.digest.Sum(sum[:0])
	return sum, nil
}

// Segmenter cuts recordings into plaintext segments, one after another in one
// buffer. Not safe for concurrent use.
type Segmenter struct{ buf []byte }

// NewSegmenter allocates the buffer.
func NewSegmenter() *Segmenter { return &Segmenter{make([]byte, SegmentSize+1)} }

// Each yields the segments of src, the last one flagged, reading one byte ahead
// to know which it is. The slice is valid until yield returns.
func (s *Segmenter) Each(src io.Reader, yield func(plaintext []byte, last bool) error) error {
	have := 0
	for {
		n, err := readFull(src, s.buf[have:])
		have += n
		if err != nil {
			return err
		}
		if have <= SegmentSize {
			return yield(s.buf[:have], true)
		}
		if err := yield(s.buf[:SegmentSize], false); err != nil {
			return err
		}
		s.buf[0], have = s.buf[SegmentSize], 1
	}
}

// readFull reads until p is full or src ends. Unlike io.ReadFull it tells the end
// from a source that failed with io.ErrUnexpectedEOF: a delivery that broke off
// must not be sealed as if it were whole.
func readFull(src io.Reader, p []byte) (n int, err error) {
	for empty := 0; n < len(p) && empty < 100; {
		k, err := src.Read(p[n:])
		n += k
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if empty++; k > 0 {
			empty = 0
		}
	}
	if n < len(p) {
		return n, io.ErrNoProgress
	}
	return n, nil
}

// EachSegment is Each with a buffer of its own.
func EachSegment(src io.Reader, yield func(plaintext []byte, last bool) error) error {
	return NewSegmenter().Each(src, yield)
}

// ContentDigest is HMAC-SHA-256(HKDF(K(content), ctx, "arca/v1/digest"), SHA-256(content)).
// It is keyed because a plain digest would let whoever may list guess short messages.
func ContentDigest(key RecordingKey, ctx Context, sum [32]byte) (out [32]byte) {
	k := derive(key[:], ctx, "arca/v1/digest")
	mac := hmac.New(sha256.New, k[:])
	mac.Write(sum[:])
	mac.Sum(out[:0])
	return out
}

// Decryptor opens single segments in any order. Not safe for concurrent use.
type Decryptor struct{ segmentCipher }

// NewDecryptor gives a Decryptor of K(content).
func NewDecryptor(key RecordingKey, ctx Context) *Decryptor {
	return &Decryptor{newSegmentCipher(key, ctx)}
}

// OpenSegment appends the plaintext of segment index to dst. last says whether
// the recording ends with it, which the caller knows from the length in the
// descriptor. dst may be ciphertext[:0].
func (d *Decryptor) OpenSegment(dst []byte, index uint64, last bool, ciphertext []byte) ([]byte, error) {
	if !validSegment(len(ciphertext)-tagSize, index, last) {
		return dst, malformed("segment")
	}
	d.at(index, last)
	out, err := d.aead.Open(dst, d.nonce[:], ciphertext, d.ctx[:])
	if err != nil {
		return dst, problem.Wrap(problem.Invalid, err, "a segment was altered or is not this recording's; fetch its pack again")
	}
	return out, nil
}

// Source gives ranges of packs, from a mirror or a bundle.
type Source interface {
	// ReadPack fills dst from offset of pack number, or fails. It need not be
	// trusted: every segment is authenticated. It may be called from several
	// goroutines.
	ReadPack(number uint64, offset uint32, dst []byte) error
}

// Content reads one recording's plaintext from a Source in constant memory:
// about 2 MiB at most, whatever its length. It is an io.ReaderAt (safe for concurrent use)
// and an io.WriterTo.
type Content struct {
	places Places
	starts []int64 // ciphertext offset at which each place starts
	sealed int64
	size   int64
	source Source

	mu     sync.Mutex // guards what follows
	open   *Decryptor
	buf    []byte // ciphertext, then in place the plaintext, of segment cached
	plain  []byte
	cached int64
}

// NewContent checks the places and prepares to read. Nothing is fetched yet.
func NewContent(key RecordingKey, ctx Context, places Places, source Source) (*Content, error) {
	if err := places.Check(); err != nil {
		return nil, err
	}
	size, err := PlainLength(places.Length())
	if err != nil {
		return nil, err
	}
	c := &Content{places: places, sealed: places.Length(), size: size, source: source, open: NewDecryptor(key, ctx), cached: -1}
	var at int64
	for _, p := range places {
		c.starts = append(c.starts, at)
		at += int64(p.Length)
	}
	c.buf = make([]byte, min(c.sealed, SealedSegmentSize))
	return c, nil
}

// Size gives the plaintext length.
func (c *Content) Size() int64 { return c.size }

// ReadAt reads plaintext; every byte it returns was authenticated.
func (c *Content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, problem.New(problem.Invalid, "a position in a recording is not negative")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(p) {
		if off >= c.size {
			return n, io.EOF
		}
		if err := c.load(off / SegmentSize); err != nil {
			return n, err
		}
		k := copy(p[n:], c.plain[off%SegmentSize:])
		n += k
		off += int64(k)
	}
	return n, nil
}

// readAhead is how many segments WriteTo fetches and opens at once. Handing
// single segments between two cores costs more than it gains.
const readAhead = 16

// WriteTo writes the whole plaintext, an empty recording's one segment checked
// too. The next segments are fetched and opened while w takes those before.
func (c *Content) WriteTo(w io.Writer) (int64, error) {
	opened := make(chan opening)
	free := make(chan []byte, 2)
	stop := make(chan struct{})
	var ahead sync.WaitGroup
	ahead.Go(func() { c.openAhead(opened, free, stop) })
	defer ahead.Wait() // no goroutine and no use of the Source outlives the call
	defer close(stop)
	for range cap(free) {
		free <- make([]byte, min(c.sealed, readAhead*SealedSegmentSize))
	}
	var n int64
	for range (c.segments() + readAhead - 1) / readAhead {
		o := <-opened
		for _, plain := range o.plain {
			k, err := w.Write(plain)
			n += int64(k)
			if err != nil {
				return n, err
			}
		}
		if o.err != nil {
			return n, o.err
		}
		free <- o.buf
	}
	return n, nil
}

// opening is up to readAhead segments, and why there are no more.
type opening struct {
	buf   []byte
	plain [][]byte
	err   error
}

// openAhead opens all segments in order, into buffers from free, until the last,
// a failure, or stop.
func (c *Content) openAhead(opened chan<- opening, free <-chan []byte, stop <-chan struct{}) {
	d := Decryptor{c.open.segmentCipher} // a nonce of its own; the cipher has no state
	for first := int64(0); first < c.segments(); first += readAhead {
		var o opening
		select {
		case o.buf = <-free:
		case <-stop:
			return
		}
		o.plain, o.err = c.openRange(&d, o.buf, first, min(readAhead, c.segments()-first))
		select {
		case opened <- o:
		case <-stop:
			return
		}
		if o.err != nil {
			return
		}
	}
}

// WriteVerified writes the whole plaintext and then checks it against the keyed
// digest of its description. On error w holds bytes that must be discarded.
func (c *Content) WriteVerified(w io.Writer, key RecordingKey, ctx Context, digest [32]byte) (int64, error) {
	sum := sha256.New()
	n, err := c.WriteTo(io.MultiWriter(sum, w))
	if err != nil {
		return n, err
	}
	if !equal32(ContentDigest(key, ctx, [32]byte(sum.Sum(nil))), digest) {
		return n, problem.New(problem.Denied, "the content does not match the digest in its description; keep the pack and tell the auditor")
	}
	return n, nil
}

func (c *Content) segments() int64 {
	return (c.sealed + SealedSegmentSize - 1) / SealedSegmentSize
}

// load makes segment i the cached one.
func (c *Content) load(i int64) error {
	if c.cached == i {
		return nil
	}
	c.cached = -1 // the buffer is about to change: on failure nothing is cached
	plain, err := c.openRange(c.open, c.buf, i, 1)
	if err != nil {
		return err
	}
	c.plain, c.cached = plain[0], i
	return nil
}

// openRange fetches count segments from first into buf and opens each in place.
// On failure it gives those before the bad one.
func (c *Content) openRange(d *Decryptor, buf []byte, first, count int64) (out [][]byte, err error) {
	start := first * SealedSegmentSize
	buf = buf[:min(count*SealedSegmentSize, c.sealed-start)]
	if err := c.fetch(buf, start); err != nil {
		return nil, err
	}
	for i := first; i < first+count; i++ {
		n := min(SealedSegmentSize, len(buf))
		plain, err := d.OpenSegment(buf[:0], uint64(i), i == c.segments()-1, buf[:n:n])
		if err != nil {
			return out, err
		}
		out, buf = append(out, plain), buf[n:]
	}
	return out, nil
}

// fetch fills dst with ciphertext from offset at, across places.
func (c *Content) fetch(dst []byte, at int64) error {
	for k := placeOf(c.starts, at); len(dst) > 0; k++ {
		skip := at - c.starts[k]
		p := c.places[k]
		n := int(min(int64(len(dst)), int64(p.Length)-skip))
		if err := c.source.ReadPack(p.Pack, p.Offset+uint32(skip), dst[:n]); err != nil {
			return err
		}
		dst, at = dst[n:], at+int64(n)
	}
	return nil
}
