package cut

import (
	"encoding/binary"
	"io"
	"math"
	"math/bits"
	"time"

	"arca.example/arca/shared/problem"
)

// Format tags (RFC 2361).
const (
	tagPCM  = 1
	tagALaw = 6
)

// Limits of what is read before the samples.
const (
	maxChunks = 64
	maxFormat = 40
)

// wave is a WAV's format and where its samples lie.
type wave struct {
	format []byte // the fmt chunk's data
	tag    uint16
	block  int64 // bytes of one sample frame, all channels
	rate   int64 // sample frames per second
	start  int64
	frames int64
}

func cutWAV(w io.Writer, src io.ReaderAt, size int64, span Span) error {
	in, err := readWAV(src, size)
	if err != nil {
		return err
	}
	from, to := in.frameAt(span.From), in.frames
	if span.To != 0 {
		to = min(to, in.frameAt(span.To))
	}
	if from >= in.frames {
		return tooLate(time.Duration(float64(in.frames) / float64(in.rate) * float64(time.Second)))
	}
	if to <= from {
		return problem.New(problem.Invalid, "the span is shorter than one sample; widen it")
	}
	length := (to - from) * in.block
	head, err := in.header(to-from, length)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	if _, err := io.Copy(w, io.NewSectionReader(src, in.start+from*in.block, length)); err != nil {
		return err
	}
	if length%2 == 1 {
		_, err = w.Write([]byte{0}) // RIFF chunks have even places
	}
	return err
}

// frameAt is the first frame at or after a time; past the end for times beyond any WAV.
func (v *wave) frameAt(t time.Duration) int64 {
	high, low := bits.Mul64(uint64(t), uint64(v.rate))
	if high >= uint64(time.Second) {
		return math.MaxInt64 // the quotient would not fit
	}
	q, r := bits.Div64(high, low, uint64(time.Second))
	if q >= math.MaxInt64 {
		return math.MaxInt64
	}
	if r > 0 {
		q++
	}
	return int64(q)
}

// readWAV walks the chunks up to the samples.
func readWAV(src io.ReaderAt, size int64) (*wave, error) {
	v := &wave{}
	at := int64(12)
	for range maxChunks {
		var head [8]byte
		if err := readAt(src, head[:], at, "WAV"); err != nil {
			return nil, err
		}
		at += 8
		length := int64(binary.LittleEndian.Uint32(head[4:]))
		switch string(head[:4]) {
		case "fmt ":
			if v.format != nil || length < 16 || length > maxFormat {
				return nil, damaged("WAV")
			}
			v.format = make([]byte, length)
			if err := readAt(src, v.format, at, "WAV"); err != nil {
				return nil, err
			}
			if err := v.readFormat(); err != nil {
				return nil, err
			}
		case "data":
			if v.format == nil {
				return nil, damaged("WAV")
			}
			// A recorder that was cut off leaves a length that was never filled in or runs past the end.
			if length == 0 || at+length > size {
				length = size - at
			}
			v.start, v.frames = at, length/v.block
			return v, nil
		}
		at += length + length%2
		if at > size {
			return nil, damaged("WAV")
		}
	}
	return nil, damaged("WAV")
}

func (v *wave) readFormat() error {
	v.tag = binary.LittleEndian.Uint16(v.format)
	channels := int64(binary.LittleEndian.Uint16(v.format[2:]))
	v.rate = int64(binary.LittleEndian.Uint32(v.format[4:]))
	v.block = int64(binary.LittleEndian.Uint16(v.format[12:]))
	bits := int64(binary.LittleEndian.Uint16(v.format[14:]))
	if v.tag != tagPCM && v.tag != tagALaw {
		return problem.New(problem.Invalid, "only PCM and A-law WAV can be cut by seconds; take this recording whole, or a part of it with --bytes")
	}
	sample := (bits + 7) / 8
	if channels == 0 || v.rate == 0 || bits == 0 || v.block != channels*sample || v.tag == tagALaw && bits != 8 {
		return damaged("WAV")
	}
	return nil
}

// header gives everything before the samples.
func (v *wave) header(frames, length int64) ([]byte, error) {
	body := append([]byte("WAVEfmt "), le32(len(v.format))...)
	body = append(body, v.format...)
	if len(v.format)%2 == 1 {
		body = append(body, 0)
	}
	if v.tag != tagPCM {
		body = append(append(body, "fact"...), le32(4)...)
		body = binary.LittleEndian.AppendUint32(body, uint32(frames))
	}
	total := int64(len(body)) + 8 + length + length%2
	if total > math.MaxUint32 {
		return nil, problem.New(problem.Invalid, "a WAV holds at most 4 GiB; take a shorter span")
	}
	out := append([]byte("RIFF"), le32(int(total))...)
	out = append(out, body...)
	return append(append(out, "data"...), le32(int(length))...), nil
}

func le32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
