package collector

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
)

// wav makes a WAV file's bytes.
func wav(format, bits uint16, rate, length uint32, chunks ...string) []byte {
	b := []byte("RIFF\x00\x00\x00\x00WAVE")
	for _, c := range chunks {
		b = append(b, c...)
	}
	b = append(b, "fmt \x10\x00\x00\x00"...)
	b = binary.LittleEndian.AppendUint16(b, format)
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, rate*uint32(bits)/8)
	b = binary.LittleEndian.AppendUint16(b, bits/8)
	b = binary.LittleEndian.AppendUint16(b, bits)
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, length)
	return append(b, make([]byte, length)...)
}

// opus makes the first and last page of an Ogg Opus file.
func opus(skip uint16, granule uint64) []byte {
	page := func(granule uint64, body string) []byte {
		b := []byte("OggS\x00\x02")
		b = binary.LittleEndian.AppendUint64(b, granule)
		b = append(b, "\x01\x02\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00\x01"...)
		return append(append(b, byte(len(body))), body...)
	}
	head := binary.LittleEndian.AppendUint16([]byte("OpusHead\x01\x01"), skip)
	return append(page(0, string(append(head, "\x80\xbb\x00\x00\x00\x00\x00"...))), page(granule, "a packet with OggS in it and something behind it ....")...)
}

func TestDescribe(t *testing.T) {
	start := at("2026-11-12T09:20:00Z")
	sms := `{"type":"sms","time":"2026-11-12T10:20:00+01:00","from":"+12025550111","to":"+12025550122","language":"en","text":"The parcel is here."}`
	for name, c := range map[string]struct {
		file    string
		content []byte
		beside  string
		flags   Said
		codec   string
		kind    string
		lasts   time.Duration
	}{
		"PCM":                      {"a.wav", wav(1, 16, 8000, 8000*2*3), "", Said{Start: start}, "pcm_s16le", "call", 3 * time.Second},
		"PCM and a bit":            {"a.wav", wav(1, 16, 8000, 8000*2*3+2), "", Said{Start: start}, "pcm_s16le", "call", 4 * time.Second},
		"A-law behind a list":      {"a.wav", wav(6, 8, 8000, 16000, "LIST\x03\x00\x00\x00abc\x00"), "", Said{Start: start}, "alaw", "call", 2 * time.Second},
		"a WAV of another kind":    {"a.wav", wav(3, 32, 8000, 16000), "", Said{Start: start}, "bytes", "session", 0},
		"Opus":                     {"a.opus", opus(312, 312+48000*5), "", Said{Start: start}, "opus", "call", 5 * time.Second},
		"a message":                {"m.json", []byte(sms), "", Said{}, "text", "message", 0},
		"JSON that is no message":  {"m.json", []byte(`{"a":1}`), "", Said{Start: start}, "bytes", "session", 0},
		"anything":                 {"x", []byte("hello"), "", Said{Start: start}, "bytes", "session", 0},
		"empty":                    {"x", nil, "", Said{Start: start}, "bytes", "session", 0},
		"what the sidecar says":    {"x", nil, `{"start":"2026-11-12T09:20:00Z","end":"2026-11-12T09:21:00Z","kind":"call","name":"n"}`, Said{}, "bytes", "call", time.Minute},
		"flags before the sidecar": {"x", nil, `{"start":"2025-11-12T09:20:00Z","kind":"call"}`, Said{Start: start, Kind: "message"}, "bytes", "message", 0},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			if c.beside != "" {
				if err := os.WriteFile(path+SidecarSuffix, []byte(c.beside), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			it, err := Describe(path, c.flags)
			if err != nil {
				t.Fatal(err)
			}
			d := it.Description
			if d.Codec != c.codec || d.Kind != c.kind || !d.Start.Equal(start) || d.End.Sub(d.Start) != c.lasts || it.Size != int64(len(c.content)) {
				t.Fatalf("%+v", d)
			}
			if want := c.file; d.Name != want && d.Name != "n" {
				t.Fatalf("name %q", d.Name)
			}
		})
	}
}

// TestDescribeRefuses: what is not known is asked for, and a name is a name.
func TestDescribeRefuses(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	start := at("2026-11-12T09:20:00Z")
	unknown := write("unknown", "")
	write("unknown"+SidecarSuffix, `{"start":"2026-11-12T09:20:00Z","colour":"red"}`)
	twice := write("twice", "")
	write("twice"+SidecarSuffix, `{"start":"2026-11-12T09:20:00Z","start":"2026-11-12T09:21:00Z"}`)
	for name, c := range map[string]struct {
		path  string
		flags Said
		kind  problem.Kind
	}{
		"no start":                 {write("x", ""), Said{}, problem.Invalid},
		"a folder":                 {folder, Said{Start: start}, problem.Invalid},
		"no file":                  {filepath.Join(folder, "none"), Said{Start: start}, problem.NotFound},
		"a line break in its name": {write("a\nb", ""), Said{Start: start}, problem.Invalid},
		"a path for a name":        {write("y", ""), Said{Start: start, Name: "../y"}, problem.Invalid},
		"a backslash in its name":  {write("z", ""), Said{Start: start, Name: `..\y`}, problem.Invalid},
		"a name that is too long":  {write("l", ""), Said{Start: start, Name: strings.Repeat("n", 201)}, problem.Invalid},
		"an override of direction": {write("b\u202ec", ""), Said{Start: start}, problem.Invalid},
		"an unknown member":        {unknown, Said{}, problem.Invalid},
		"a member twice":           {twice, Said{}, problem.Invalid},
		"half a second":            {write("h", ""), Said{Start: start.Add(time.Second / 2)}, problem.Invalid},
	} {
		if _, err := Describe(c.path, c.flags); problem.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A path that climbs is fine: the name is its last element.
	if it, err := Describe(filepath.Join(folder, "..", filepath.Base(folder), "x"), Said{Start: start}); err != nil || it.Description.Name != "x" {
		t.Error(it.Description.Name, err)
	}
}

// FuzzDescribe: no file makes Describe fail in another way than by refusing, or gives it an impossible duration.
func FuzzDescribe(f *testing.F) {
	f.Add(wav(1, 16, 8000, 100))
	f.Add(wav(6, 8, 8000, 100, "LIST\x03\x00\x00\x00abc\x00"))
	f.Add(opus(312, 48000))
	f.Add([]byte(`{"type":"sms","time":"2026-11-12T10:20:00Z","from":"a","to":"b","language":"en","text":"t"}`))
	path := filepath.Join(f.TempDir(), "x.json")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		it, err := Describe(path, Said{Start: at("2026-11-12T09:20:00Z")})
		if err == nil && it.Description.End.Before(it.Description.Start) {
			t.Fatal("it ends before it starts")
		}
	})
}
