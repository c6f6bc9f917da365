// Package cut takes a span of seconds out of a recording and gives a file of the
// same kind that plays by itself: PCM and A-law in WAV, Opus in Ogg. It decodes
// nothing and changes no sample or packet.
//
// It promises constant memory, that what it writes is well-formed whatever it
// reads, and that input which it does not understand is refused before the
// first byte is written, or at the latest where it turns out to be damaged. It reads through an
// io.ReaderAt and trusts nothing but its size.
//
// # WAV (RIFF, little-endian)
//
//	"RIFF" uint32 "WAVE"  chunks: id[4] uint32 length, data, a pad byte if the length is odd
//	fmt: tag 1 (PCM) or 6 (A-law); data: the samples
//
// The result has the same fmt chunk, a fact chunk (samples per channel) unless it
// is PCM, and a data chunk of whole sample frames.
//
// # Ogg Opus (RFC 3533, RFC 7845)
//
//	page    "OggS" 0 flags granule[8] serial[4] sequence[4] crc[4] n  n × lacing value, payload
//	stream  a page with OpusHead; OpusTags; pages with audio packets
//
// The result keeps both headers byte for byte, the serial number and the packets'
// granule positions. Pages are laid out anew around the chosen packets, numbered
// on and given new checksums; the last one ends exactly at the end of the span. The first packet lies up to 80 ms
// before the span, which is what a decoder needs to settle (RFC 7845, section 4.6).
package cut

import (
	"bytes"
	"io"
	"time"

	"arca.example/arca/shared/problem"
)

// Kind is a container that can be cut.
type Kind string

// The kinds.
const (
	WAV   Kind = "wav"
	Opus  Kind = "ogg-opus"
	Other Kind = "" // only whole or by bytes
)

// Span is a part of a recording's time. To 0 is its end.
type Span struct {
	From, To time.Duration
}

// KindOf looks at the first bytes of a recording.
func KindOf(src io.ReaderAt, size int64) Kind {
	var head [64]byte
	n, err := src.ReadAt(head[:min(size, int64(len(head)))], 0)
	if err != nil && err != io.EOF {
		return Other
	}
	b := head[:n]
	switch {
	case len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WAVE":
		return WAV
	case bytes.HasPrefix(b, []byte("OggS")) && bytes.Contains(b, []byte("OpusHead")):
		return Opus
	}
	return Other
}

// To writes the span of a recording of size bytes to w and gives how many bytes it wrote. Errors: problem.Invalid for a
// span outside the recording, for damage, and for kinds that cannot be cut by seconds.
func To(w io.Writer, src io.ReaderAt, size int64, span Span) (int64, error) {
	if span.From < 0 || span.To < 0 || span.To != 0 && span.To <= span.From {
		return 0, problem.New(problem.Invalid, "--to lies after --from, and both are seconds from the start, not negative")
	}
	out := &counter{w: w}
	var err error
	switch KindOf(src, size) {
	case WAV:
		err = cutWAV(out, src, size, span)
	case Opus:
		err = cutOpus(out, src, size, span)
	default:
		err = problem.New(problem.Invalid, "only PCM or A-law WAV and Ogg Opus can be cut by seconds; take this recording whole, or a part of it with --bytes")
	}
	return out.n, err
}

// counter counts what was written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func damaged(what string) error {
	return problem.New(problem.Invalid, "the recording is not a well-formed %s; take it whole, or a part of it with --bytes", what)
}

func tooLate(length time.Duration) error {
	return problem.New(problem.Invalid, "the recording is %.3f seconds long; --from lies behind its end", length.Seconds())
}

// readAt fills p from off, or fails.
func readAt(src io.ReaderAt, p []byte, off int64, what string) error {
	n, err := src.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == io.EOF || err == nil:
		return damaged(what)
	}
	return err
}
