package cut

import (
	"encoding/binary"
	"io"
)

// Page flags.
const (
	flagContinued = 1
	flagFirst     = 2
	flagLast      = 4
)

const (
	pageHead    = 27
	maxPage     = pageHead + 255 + 255*255
	noGranule   = -1      // no packet ends on the page
	maxPacket   = 1 << 16 // an Opus packet of one stream has 61,298 bytes at most
	maxTagsSize = 1 << 20
)

// crcTable is for the polynomial 0x04c11db7 without reflection (RFC 3533, section 6).
var crcTable = func() (t [256]uint32) {
	for i := range t {
		r := uint32(i) << 24
		for range 8 {
			if r&0x80000000 != 0 {
				r = r<<1 ^ 0x04c11db7
			} else {
				r <<= 1
			}
		}
		t[i] = r
	}
	return t
}()

func crc(page []byte) (sum uint32) {
	for _, b := range page {
		sum = sum<<8 ^ crcTable[byte(sum>>24)^b]
	}
	return sum
}

// page is one Ogg page.
type page struct {
	flags    byte
	granule  int64
	serial   uint32
	sequence uint32
	lacing   []byte
	payload  []byte
}

// pages reads one page after another. What it gives is valid until the next.
type pages struct {
	src  io.ReaderAt
	size int64
	at   int64
	buf  [maxPage]byte
}

// next gives io.EOF behind the last page.
func (r *pages) next() (p page, raw []byte, err error) {
	if r.at == r.size {
		return p, nil, io.EOF
	}
	b := r.buf[:]
	if err := readAt(r.src, b[:pageHead], r.at, "Ogg stream"); err != nil {
		return p, nil, err
	}
	n := int(b[26])
	if string(b[:4]) != "OggS" || b[4] != 0 || b[5]&^(flagContinued|flagFirst|flagLast) != 0 {
		return p, nil, damaged("Ogg stream")
	}
	if err := readAt(r.src, b[pageHead:pageHead+n], r.at+pageHead, "Ogg stream"); err != nil {
		return p, nil, err
	}
	length := pageHead + n
	for _, v := range b[pageHead : pageHead+n] {
		length += int(v)
	}
	if err := readAt(r.src, b[pageHead+n:length], r.at+int64(pageHead+n), "Ogg stream"); err != nil {
		return p, nil, err
	}
	raw = b[:length]
	want := binary.LittleEndian.Uint32(raw[22:])
	clear(raw[22:26]) // the checksum is over the page with zeros in its own place
	if crc(raw) != want {
		return p, nil, damaged("Ogg stream")
	}
	binary.LittleEndian.PutUint32(raw[22:], want)
	r.at += int64(length)
	return page{
		flags: raw[5], granule: int64(binary.LittleEndian.Uint64(raw[6:])),
		serial: binary.LittleEndian.Uint32(raw[14:]), sequence: binary.LittleEndian.Uint32(raw[18:]),
		lacing: raw[pageHead : pageHead+n], payload: raw[pageHead+n:],
	}, raw, nil
}

// bytes lays a page out and gives it its checksum.
func (p page) bytes() []byte {
	out := make([]byte, 0, pageHead+len(p.lacing)+len(p.payload))
	out = append(out, "OggS\x00"...)
	out = append(out, p.flags)
	out = binary.LittleEndian.AppendUint64(out, uint64(p.granule))
	out = binary.LittleEndian.AppendUint32(out, p.serial)
	out = binary.LittleEndian.AppendUint32(out, p.sequence)
	out = append(out, 0, 0, 0, 0, byte(len(p.lacing)))
	out = append(out, p.lacing...)
	out = append(out, p.payload...)
	binary.LittleEndian.PutUint32(out[22:], crc(out))
	return out
}

// writer lays packets out into pages. A page holds whole packets only, so that each has a granule position; only a
// packet of 65,025 bytes or more, which Opus does not have, would not fit.
type writer struct {
	w        io.Writer
	serial   uint32
	sequence uint32
	lacing   []byte
	payload  []byte
	granule  int64
	began    int64 // where the first packet of the page begins
	any      bool
}

// Most of a page before another is begun.
const (
	pageTarget   = 8 << 10
	pageDuration = 48000 // one second, as encoders do (RFC 7845, section 3)
)

func (w *writer) packet(p packet) error {
	lacing := len(p.data)/255 + 1
	full := len(w.lacing) > 0 && (len(w.lacing)+lacing > 255 || len(w.payload)+len(p.data) > pageTarget || p.end-w.began > pageDuration)
	if full {
		if err := w.flush(0); err != nil {
			return err
		}
	}
	if lacing > 255 {
		return damaged("Opus stream")
	}
	if len(w.lacing) == 0 {
		w.began = p.start
	}
	for rest := len(p.data); ; rest -= 255 {
		w.lacing = append(w.lacing, byte(min(rest, 255)))
		if rest < 255 {
			break
		}
	}
	w.payload = append(w.payload, p.data...)
	w.granule, w.any = p.end, true
	return nil
}

func (w *writer) all(list []packet) error {
	for _, p := range list {
		if err := w.packet(p); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) flush(flags byte) error {
	p := page{flags: flags, granule: w.granule, serial: w.serial, sequence: w.sequence, lacing: w.lacing, payload: w.payload}
	w.sequence++
	_, err := w.w.Write(p.bytes())
	w.lacing, w.payload = w.lacing[:0], w.payload[:0]
	return err
}
