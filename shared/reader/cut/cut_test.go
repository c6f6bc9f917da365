package cut

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
)

const samplesFolder = "../../../samples/recordings/"

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(samplesFolder + name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func run(b []byte, from, to float64) ([]byte, error) {
	var out bytes.Buffer
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	n, err := To(&out, bytes.NewReader(b), int64(len(b)), Span{seconds(from), seconds(to)})
	if err == nil && n != int64(out.Len()) {
		panic("wrong count")
	}
	return out.Bytes(), err
}

func TestWAVIsCutToTheSample(t *testing.T) {
	for name, block := range map[string]int{"es_aviso_corto.wav": 2, "en_address_check.alaw.wav": 1} {
		in := read(t, name)
		whole, err := readWAV(bytes.NewReader(in), int64(len(in)))
		if err != nil {
			t.Fatal(err)
		}
		for _, span := range [][2]float64{{0, 0}, {1, 2}, {0.5, 0.50030}, {2.25, 0}, {0, 1e6}} {
			out, err := run(in, span[0], span[1])
			if err != nil {
				t.Fatal(name, span, err)
			}
			part, err := readWAV(bytes.NewReader(out), int64(len(out)))
			if err != nil {
				t.Fatal(name, span, err)
			}
			first := int64(math.Ceil(span[0] * 8000))
			frames := whole.frames - first
			if span[1] != 0 {
				frames = min(frames, int64(math.Ceil(span[1]*8000))-first)
			}
			if part.frames != frames || !bytes.Equal(part.format, whole.format) || part.block != int64(block) {
				t.Fatalf("%s %v: %d frames, want %d", name, span, part.frames, frames)
			}
			a, b := whole.start+first*whole.block, whole.start+(first+frames)*whole.block
			if got := out[part.start : part.start+part.frames*part.block]; !bytes.Equal(got, in[a:b]) {
				t.Fatalf("%s %v: samples differ", name, span)
			}
			if size := binary.LittleEndian.Uint32(out[4:]); int(size) != len(out)-8 || len(out)%2 != 0 {
				t.Fatalf("%s %v: RIFF says %d of %d", name, span, size, len(out))
			}
			if facts := bytes.Contains(out[:60], []byte("fact")); facts != (block == 1) {
				t.Fatal("a fact chunk belongs to what is not PCM")
			}
		}
	}
}

// stream is an Ogg Opus file as a second, separate reading of RFC 3533 and 7845 sees it.
type stream struct {
	heads    []byte
	packets  [][]byte
	granules []int64 // by page
	skip     int
}

// parse fails the test unless b is a well-formed Ogg Opus stream.
func parse(tb testing.TB, b []byte) (s stream) {
	tb.Helper()
	var pending []byte
	open, last := false, int64(-1)
	for page := uint32(0); len(b) > 0; page++ {
		if len(b) < 27 || string(b[:5]) != "OggS\x00" {
			tb.Fatal("no page")
		}
		n := int(b[26])
		size := 27 + n
		for _, v := range b[27 : 27+n] {
			size += int(v)
		}
		whole := bytes.Clone(b[:size])
		copy(whole[22:26], []byte{0, 0, 0, 0})
		if slowCRC(whole) != binary.LittleEndian.Uint32(b[22:]) {
			tb.Fatalf("page %d: checksum", page)
		}
		if binary.LittleEndian.Uint32(b[18:]) != page {
			tb.Fatalf("page %d: sequence", page)
		}
		if (b[5]&2 != 0) != (page == 0) || (b[5]&4 != 0) != (size == len(b)) || (b[5]&1 != 0) != open {
			tb.Fatalf("page %d: flags %d", page, b[5])
		}
		payload := b[27+n : size]
		for _, v := range b[27 : 27+n] {
			pending = append(pending, payload[:v]...)
			payload, open = payload[v:], v == 255
			if !open {
				s.packets, pending = append(s.packets, pending), nil
			}
		}
		if g := int64(binary.LittleEndian.Uint64(b[6:])); len(s.packets) > 2 {
			if g < last {
				tb.Fatalf("page %d: granule goes back", page)
			}
			last, s.granules = g, append(s.granules, g)
		} else {
			s.heads = append(s.heads, b[:size]...)
		}
		b = b[size:]
	}
	if open || len(s.packets) < 3 || !bytes.HasPrefix(s.packets[0], []byte("OpusHead")) || !bytes.HasPrefix(s.packets[1], []byte("OpusTags")) {
		tb.Fatal("headers, or an unfinished packet")
	}
	s.skip = int(binary.LittleEndian.Uint16(s.packets[0][10:]))
	s.packets = s.packets[2:]
	return s
}

func slowCRC(b []byte) (sum uint32) {
	for _, c := range b {
		sum ^= uint32(c) << 24
		for range 8 {
			top := sum >> 31
			sum = sum<<1 ^ top*0x04c11db7
		}
	}
	return sum
}

func TestOpusIsCutAtPackets(t *testing.T) {
	for _, name := range []string{"en_delivery_time.opus", "es_hora_entrega.opus"} {
		in := read(t, name)
		whole := parse(t, in)
		length := float64(whole.granules[len(whole.granules)-1]-int64(whole.skip)) / 48000
		for _, span := range [][2]float64{{0, 0}, {1, 2}, {0, 0.1}, {10.01, 10.02}, {length - 0.5, 0}, {3, 1e6}} {
			out, err := run(in, span[0], span[1])
			if err != nil {
				t.Fatal(name, span, err)
			}
			part := parse(t, out)
			if !bytes.Equal(part.heads, whole.heads) {
				t.Fatal("headers changed")
			}
			at := find(whole.packets, part.packets)
			if at < 0 {
				t.Fatalf("%s %v: packets are not a run of the original's", name, span)
			}
			// Every packet here is 20 ms: the first lies up to 80 ms before the span, the last holds its end.
			start := float64(at*960-whole.skip) / 48000
			if start > span[0] || start < span[0]-0.1001 && at > 0 {
				t.Fatalf("%s %v begins at %.3f", name, span, start)
			}
			end := span[1]
			if end == 0 || end > length {
				end = length
			}
			got := float64(part.granules[len(part.granules)-1]-int64(whole.skip)) / 48000
			if math.Abs(got-end) > 1e-4 {
				t.Fatalf("%s %v ends at %.4f, want %.4f", name, span, got, end)
			}
			if span == [2]float64{0, 0} && len(part.packets) != len(whole.packets) {
				t.Fatalf("%d of %d packets", len(part.packets), len(whole.packets))
			}
		}
	}
}

func find(all, run [][]byte) int {
	for i := 0; i+len(run) <= len(all); i++ {
		same := true
		for k := range run {
			same = same && bytes.Equal(all[i+k], run[k])
		}
		if same {
			return i
		}
	}
	return -1
}

func TestACutCanBeCutAgain(t *testing.T) {
	in := read(t, "es_hora_entrega.opus")
	once, err := run(in, 2, 12)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := run(once, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if find(parse(t, in).packets, parse(t, twice).packets) < 0 {
		t.Fatal("packets changed")
	}
}

func TestAPacketOverTwoPagesStaysWhole(t *testing.T) {
	in := read(t, "es_hora_entrega.opus")
	whole := parse(t, in)
	out := append([]byte(nil), whole.heads...)
	// Lay the same packets out so that many of them straddle pages.
	lacing, payload := []byte{}, []byte{}
	sequence, granule, end := uint32(2), int64(noGranule), int64(0)
	continued := byte(0)
	emit := func(flags byte) {
		p := page{flags: flags | continued, granule: granule, serial: binary.LittleEndian.Uint32(in[14:]), sequence: sequence, lacing: lacing, payload: payload}
		out = append(out, p.bytes()...)
		continued = 0
		if len(lacing) > 0 && lacing[len(lacing)-1] == 255 {
			continued = flagContinued
		}
		sequence, granule, lacing, payload = sequence+1, noGranule, nil, nil
	}
	for i, p := range whole.packets {
		long := append(bytes.Clone(p), make([]byte, 300)...) // code 3 padding aside, only the layout matters here
		for rest := long; ; rest = rest[255:] {
			lacing, payload = append(lacing, byte(min(len(rest), 255))), append(payload, rest[:min(len(rest), 255)]...)
			if len(rest) < 255 {
				break
			}
			if len(lacing) >= 3 {
				emit(0)
			}
		}
		end += 960
		granule = end
		if i == len(whole.packets)-1 {
			emit(flagLast)
		}
	}
	cutting, err := run(out, 4, 6)
	if err != nil {
		t.Fatal(err)
	}
	if at := find(parse(t, out).packets, parse(t, cutting).packets); at < 0 {
		t.Fatal("packets changed")
	}
}

func TestWhatCannotBeCutSaysSo(t *testing.T) {
	wav, opus := read(t, "es_aviso_corto.wav"), read(t, "es_hora_entrega.opus")
	float := bytes.Clone(wav)
	float[20] = 3
	flipped := bytes.Clone(opus)
	flipped[len(flipped)/2] ^= 1
	for name, c := range map[string]struct {
		in       []byte
		from, to float64
		says     string
	}{
		"text":           {[]byte("a message"), 0, 1, "--bytes"},
		"empty":          {nil, 0, 1, "--bytes"},
		"float WAV":      {float, 0, 1, "--bytes"},
		"beyond the end": {wav, 1e4, 0, "seconds long"},
		"opus beyond":    {opus, 1e4, 0, "seconds long"},
		"just beyond":    {opus, 24.53, 0, "seconds long"},
		"backwards":      {wav, 2, 1, "after --from"},
		"negative":       {wav, -1, 1, "after --from"},
		"cut WAV":        {wav[:20], 0, 1, "well-formed"},
		"cut Opus":       {opus[:len(opus)-10], 0, 0, "well-formed"},
		"flipped Opus":   {flipped, 0, 0, "well-formed"},
		"two streams":    {append(bytes.Clone(opus), opus...), 0, 0, "more than one"},
	} {
		out, err := run(c.in, c.from, c.to)
		if problem.KindOf(err) != problem.Invalid || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(name, "beyond") && len(out) > 0 {
			t.Errorf("%s: %d bytes were written", name, len(out))
		}
	}
}

// FuzzCut: whatever comes in, what goes out is well-formed or nothing was promised; and no input panics or runs away.
func FuzzCut(f *testing.F) {
	f.Add(read(f, "msg_en_1.json"), int64(0), int64(1000))
	f.Fuzz(func(t *testing.T, in []byte, from, to int64) {
		var out bytes.Buffer
		_, err := To(&out, bytes.NewReader(in), int64(len(in)), Span{time.Duration(from) * time.Millisecond, time.Duration(to) * time.Millisecond})
		if err != nil {
			return
		}
		switch KindOf(bytes.NewReader(in), int64(len(in))) {
		case WAV:
			if _, err := readWAV(bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
				t.Fatalf("a WAV that is not well-formed: %v", err)
			}
		case Opus:
			again := &opus{pages: pages{src: bytes.NewReader(out.Bytes()), size: int64(out.Len())}}
			if err := again.readHeaders(&bytes.Buffer{}); err != nil {
				t.Fatal(err)
			}
			if err := again.each(func(packet) error { return nil }); err != nil || !again.ended {
				t.Fatalf("an Opus stream that is not well-formed: %v", err)
			}
		}
		if _, err := To(io.Discard, bytes.NewReader(out.Bytes()), int64(out.Len()), Span{}); err != nil {
			t.Fatalf("what was cut cannot be read: %v", err)
		}
	})
}

func TestTheFuzzCorpusIsThere(t *testing.T) {
	files, err := filepath.Glob("testdata/fuzz/FuzzCut/*")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	kinds := map[Kind]int{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		kinds[KindOf(strings.NewReader(unquoted(t, string(b))), 1<<20)]++
	}
	if kinds[WAV] == 0 || kinds[Opus] == 0 {
		t.Fatalf("%v", kinds)
	}
}

func BenchmarkOpusLastSecond(b *testing.B) {
	in := read(b, "en_delivery_time.opus")
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := To(io.Discard, bytes.NewReader(in), int64(len(in)), Span{From: 24 * time.Second}); err != nil {
			b.Fatal(err)
		}
	}
}
