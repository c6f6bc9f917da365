package cut

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"time"

	"arca.example/arca/shared/problem"
)

const (
	opusRate = 48000   // granule positions count samples at this rate, whatever the input's
	settle   = 80 * 48 // samples that a decoder needs to settle
	maxStart = math.MaxInt64 / 4
)

// packet is one Opus packet and the samples it stands for, as granule positions.
type packet struct {
	data       []byte
	start, end int64
}

// opus reads a stream's packets in order.
type opus struct {
	pages   pages
	serial  uint32
	headers uint32 // pages of headers
	skip    int64  // samples that a player drops at the very beginning

	carry   []byte // a packet that continues on the next page
	carried bool
	now     int64 // where the next packet begins
	begun   bool
	first   int64 // where the first packet begins
	ended   bool
}

func cutOpus(w io.Writer, src io.ReaderAt, size int64, span Span) error {
	in := &opus{pages: pages{src: src, size: size}}
	var heads bytes.Buffer
	if err := in.readHeaders(&heads); err != nil {
		return err
	}
	out := &writer{w: w, serial: in.serial, sequence: in.headers}
	var settling []packet // the last packets before the span; written only once it is known to begin inside the recording
	err := in.each(func(p packet) error {
		from, to := in.window(span)
		switch {
		case p.start >= to:
			return errStop
		case p.end <= from-settle:
			return nil
		case p.end <= from:
			settling = append(settling, packet{bytes.Clone(p.data), p.start, p.end})
			return nil
		}
		p.end = min(p.end, to)
		if out.any {
			return out.packet(p)
		}
		if _, err := w.Write(heads.Bytes()); err != nil {
			return err
		}
		return out.all(append(settling, p))
	})
	if err != nil && err != errStop {
		return err
	}
	if !out.any {
		return tooLate(in.length())
	}
	return out.flush(flagLast)
}

// errStop ends each early.
var errStop = problem.New(problem.Internal, "the span ends here")

// length is what was read so far.
func (in *opus) length() time.Duration {
	return time.Duration(float64(max(0, in.now-in.first-in.skip)) / opusRate * float64(time.Second))
}

// window gives the span as granule positions, known once the first packet is.
func (in *opus) window(span Span) (from, to int64) {
	zero := in.first + in.skip
	from, to = zero+samples(span.From), math.MaxInt64
	if span.To != 0 {
		to = zero + samples(span.To)
	}
	return from, to
}

// samples rounds to the nearest sample; times beyond any recording stay far below overflow.
func samples(t time.Duration) int64 {
	return min(int64(math.Round(t.Seconds()*opusRate)), maxStart)
}

// readHeaders copies the pages of OpusHead and OpusTags as they are.
func (in *opus) readHeaders(to *bytes.Buffer) error {
	p, raw, err := in.pages.next()
	if err == io.EOF {
		return damaged("Opus stream")
	}
	if err != nil {
		return err
	}
	head := p.payload
	if p.flags != flagFirst || p.sequence != 0 || len(p.lacing) != 1 || len(head) < 19 || string(head[:8]) != "OpusHead" || head[8]>>4 != 0 {
		return damaged("Opus stream")
	}
	in.serial, in.skip = p.serial, int64(binary.LittleEndian.Uint16(head[10:]))
	to.Write(raw)
	for in.headers = 1; ; {
		p, raw, err := in.pages.next()
		if err == io.EOF || err == nil && !in.belongs(p, in.headers) {
			return damaged("Opus stream")
		}
		if err != nil {
			return err
		}
		begins := in.headers == 1
		if begins != bytes.HasPrefix(p.payload, []byte("OpusTags")) || begins == (p.flags&flagContinued != 0) || to.Len() > maxTagsSize {
			return damaged("Opus stream")
		}
		to.Write(raw)
		in.headers++
		for i, v := range p.lacing {
			if v < 255 {
				if i != len(p.lacing)-1 { // audio begins on a page of its own (RFC 7845, section 3)
					return damaged("Opus stream")
				}
				return nil
			}
		}
	}
}

// belongs is true for a page of this stream with the number that must follow: a gap is a loss.
func (in *opus) belongs(p page, sequence uint32) bool {
	return p.serial == in.serial && p.sequence == sequence && p.flags&flagFirst == 0
}

// each yields every audio packet. Its bytes are valid until yield returns.
func (in *opus) each(yield func(packet) error) error {
	for sequence := in.headers; ; sequence++ {
		p, _, err := in.pages.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if in.ended || !in.belongs(p, sequence) {
			return problem.New(problem.Invalid, "the recording is more than one Opus stream or lacks a page; take it whole, or a part of it with --bytes")
		}
		in.ended = p.flags&flagLast != 0
		list, err := in.packets(p)
		if err != nil {
			return err
		}
		for _, one := range list {
			if err := yield(one); err != nil {
				return err
			}
		}
	}
}

// packets gives those that end on a page, with their places in time.
func (in *opus) packets(p page) ([]packet, error) {
	if (p.flags&flagContinued != 0) != in.carried {
		return nil, damaged("Ogg stream")
	}
	var list []packet
	total := int64(0)
	at, from := 0, 0
	for _, v := range p.lacing {
		at += int(v)
		if v == 255 {
			continue
		}
		data := p.payload[from:at]
		if in.carried {
			data = append(in.carry, data...)
			in.carried, in.carry = false, nil
		}
		from = at
		n, err := duration(data)
		if err != nil {
			return nil, err
		}
		total += n
		list = append(list, packet{data: data, end: n}) // end is its length until place
	}
	if n := len(p.lacing); n > 0 && p.lacing[n-1] == 255 {
		in.carry, in.carried = append(bytes.Clone(in.carry), p.payload[from:]...), true
		if len(in.carry) > maxPacket {
			return nil, damaged("Opus stream")
		}
	}
	return list, in.place(list, p.granule, total)
}

// place turns lengths into granule positions: they end at the page's, except that the last page of a stream may end earlier
// than its packets do.
func (in *opus) place(list []packet, granule, total int64) error {
	if len(list) == 0 {
		if granule != noGranule && !in.ended {
			return damaged("Opus stream")
		}
		return nil
	}
	if granule < 0 || granule > maxStart {
		return damaged("Opus stream")
	}
	start := granule - total
	switch {
	case !in.begun && in.ended:
		start = max(start, 0)
	case in.begun && in.ended:
		start = max(start, in.now)
	}
	if start < 0 || in.begun && start < in.now {
		return damaged("Opus stream")
	}
	if !in.begun {
		in.begun, in.first, in.now = true, start, start
	}
	for i := range list {
		n := list[i].end
		list[i].start = min(start, granule)
		start += n
		list[i].end = min(start, granule)
	}
	in.now = granule
	return nil
}

// frameSamples is the length of a frame by the table of contents' configuration (RFC 6716, section 3.1), in samples.
func frameSamples(toc byte) int64 {
	switch config := toc >> 3; {
	case config < 12: // SILK
		return []int64{480, 960, 1920, 2880}[config%4]
	case config < 16: // hybrid
		return []int64{480, 960}[config%2]
	default: // CELT
		return []int64{120, 240, 480, 960}[config%4]
	}
}

// duration gives a packet's samples, at most 120 ms.
func duration(data []byte) (int64, error) {
	if len(data) == 0 || len(data) > maxPacket {
		return 0, damaged("Opus stream")
	}
	frames := int64(1)
	switch data[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(data) < 2 {
			return 0, damaged("Opus stream")
		}
		frames = int64(data[1] & 63)
	}
	n := frames * frameSamples(data[0])
	if frames == 0 || n > 120*48 {
		return 0, damaged("Opus stream")
	}
	return n, nil
}
