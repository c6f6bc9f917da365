package collector

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// Said is what somebody says about a file, in flags or in FILE.arca.json beside it. Empty means not said.
type Said struct {
	Chain       record.Digest     `json:"chain,omitzero"`
	Codec       string            `json:"codec,omitzero"`
	Compartment string            `json:"compartment,omitzero"`
	Direction   string            `json:"direction,omitzero"`
	End         time.Time         `json:"end,omitzero"`
	From        string            `json:"from,omitzero"`
	Kind        string            `json:"kind,omitzero"`
	Language    string            `json:"language,omitzero"`
	Name        string            `json:"name,omitzero"`
	Start       time.Time         `json:"start,omitzero"`
	Target      record.Identifier `json:"target,omitzero"`
	Title       string            `json:"title,omitzero"`
	To          string            `json:"to,omitzero"`
}

// SidecarSuffix is what a description's file name has behind the name of what it describes.
const SidecarSuffix = ".arca.json"

// The codecs that are recognised. Anything else is bytes.
const (
	codecPCM   = "pcm_s16le"
	codecALaw  = "alaw"
	codecOpus  = "opus"
	codecText  = "text"
	codecBytes = "bytes"
)

// maxSaid bounds sidecars and messages, which are read into memory.
const maxSaid = 1 << 20

// Describe makes an Item of a file. What flags say counts before what FILE.arca.json says, and that before what the file shows
// of itself: a WAV header (PCM 16 bit, A-law) or an Ogg Opus stream gives codec and duration, a message in JSON (type, time, from,
// to, language, text) everything. The recording's name is the file's own name without its folder. Errors:
// problem.Invalid when something that must be known is missing, or the name is none.
func Describe(path string, flags Said) (Item, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Item{}, problem.Wrap(problem.NotFound, err, "the file cannot be found or read; check its name and rights")
	}
	if info.IsDir() {
		return Item{}, problem.New(problem.Invalid, "this is a folder; name the files in it")
	}
	beside, err := readSidecar(path)
	if err != nil {
		return Item{}, err
	}
	shown, duration, err := look(path, info)
	if err != nil {
		return Item{}, err
	}
	said := flags.over(beside).over(shown)
	if said.Name == "" {
		said.Name = filepath.Base(path)
	}
	if said.Start.IsZero() {
		return Item{}, problem.New(problem.Invalid, "it is not known when this started; say it with --start 2026-11-22T10:00:00Z or in the file's %s", SidecarSuffix)
	}
	if said.End.IsZero() {
		// Up to the next whole second: the window must hold all of it.
		said.End = said.Start.Add((duration + time.Second - 1).Truncate(time.Second))
	}
	item := Item{Chain: said.Chain, Compartment: said.Compartment, Size: -1, Description: said.description(),
		Open: func() (io.ReadCloser, error) { return os.Open(path) }}
	if info.Mode().IsRegular() {
		item.Size = info.Size()
	}
	return item, checkDescription(&item.Description)
}

func (s Said) description() record.Description {
	return record.Description{Codec: cmp.Or(s.Codec, codecBytes), Direction: s.Direction, End: s.End.UTC(), From: s.From, Kind: cmp.Or(s.Kind, "session"),
		Language: s.Language, Name: s.Name, Start: s.Start.UTC(), Target: s.Target, Title: s.Title, To: s.To}
}

// over gives s where it says something, else what under says.
func (s Said) over(under Said) Said {
	return Said{
		Chain: cmp.Or(s.Chain, under.Chain), Codec: cmp.Or(s.Codec, under.Codec), Compartment: cmp.Or(s.Compartment, under.Compartment),
		Direction: cmp.Or(s.Direction, under.Direction), End: cmp.Or(s.End, under.End), From: cmp.Or(s.From, under.From), Kind: cmp.Or(s.Kind, under.Kind),
		Language: cmp.Or(s.Language, under.Language), Name: cmp.Or(s.Name, under.Name), Start: cmp.Or(s.Start, under.Start),
		Target: cmp.Or(s.Target, under.Target), Title: cmp.Or(s.Title, under.Title), To: cmp.Or(s.To, under.To),
	}
}

func readSidecar(path string) (said Said, err error) {
	b, err := readSmall(path + SidecarSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return said, nil
	}
	if err != nil {
		return said, problem.Wrap(problem.Invalid, err, "the file's %s cannot be read, or is larger than 1 MiB", SidecarSuffix)
	}
	if err := json.Unmarshal(b, &said, json.RejectUnknownMembers(true)); err != nil {
		return said, problem.Wrap(problem.Invalid, err, "the file's %s is not JSON with the members chain, codec, compartment, direction, end, from, kind, language, name, start, target (kind, value), title, to", SidecarSuffix)
	}
	return said, nil
}

// readSmall reads a file of at most maxSaid bytes.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSaid+1))
	if err == nil && len(b) > maxSaid {
		err = errors.New("too large")
	}
	return b, err
}

// look finds out what a file shows of itself.
func look(path string, info fs.FileInfo) (Said, time.Duration, error) {
	if !info.Mode().IsRegular() {
		return Said{}, 0, nil // a pipe can be read once only
	}
	f, err := os.Open(path)
	if err != nil {
		return Said{}, 0, problem.Wrap(problem.NotFound, err, "the file cannot be opened; check its rights")
	}
	defer f.Close()
	if codec, duration, ok := lookWAV(f, info.Size()); ok {
		return Said{Codec: codec, Kind: "call"}, duration, nil
	}
	if duration, ok := lookOpus(f, info.Size()); ok {
		return Said{Codec: codecOpus, Kind: "call"}, duration, nil
	}
	if filepath.Ext(path) == ".json" && info.Size() <= maxSaid {
		if b, err := readSmall(path); err == nil {
			return lookMessage(b), 0, nil
		}
	}
	return Said{}, 0, nil
}

// message is a delivered text message.
type message struct {
	Type     string    `json:"type"`
	Time     time.Time `json:"time"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Language string    `json:"language"`
	Text     string    `json:"text"`
}

// lookMessage reads a message; other JSON is bytes.
func lookMessage(b []byte) Said {
	var m message
	if json.Unmarshal(b, &m, json.RejectUnknownMembers(true)) != nil || m.Time.IsZero() || m.Text == "" {
		return Said{}
	}
	return Said{Codec: codecText, From: m.From, Kind: "message", Language: m.Language, Start: m.Time, To: m.To}
}

const (
	wavPCM        = 1
	wavALaw       = 6
	wavExtensible = 0xfffe
	maxChunks     = 64 // a header with more before its data is none
)

// lookWAV walks the chunks of a RIFF/WAVE file (Multimedia Programming Interface and Data Specifications 1.0) for fmt and data.
func lookWAV(f io.ReaderAt, size int64) (codec string, duration time.Duration, ok bool) {
	var head [12]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return "", 0, false
	}
	var rate uint32 // bytes per second
	at := int64(12)
	for range maxChunks {
		var chunk [8]byte
		if _, err := f.ReadAt(chunk[:], at); err != nil {
			return "", 0, false
		}
		length := int64(binary.LittleEndian.Uint32(chunk[4:]))
		at += 8
		switch string(chunk[:4]) {
		case "fmt ":
			if codec, rate = lookFormat(f, at, length); codec == "" {
				return "", 0, false
			}
		case "data":
			// A writer that was cut short leaves a length that is too large: what counts is what is there.
			length = min(length, size-at)
			if rate == 0 {
				return "", 0, false
			}
			return codec, time.Duration(float64(length) / float64(rate) * float64(time.Second)), true
		}
		at += length + length%2
	}
	return "", 0, false
}

func lookFormat(f io.ReaderAt, at, length int64) (codec string, rate uint32) {
	var b [26]byte
	n := min(length, int64(len(b)))
	if n < 16 {
		return "", 0
	}
	if _, err := f.ReadAt(b[:n], at); err != nil {
		return "", 0
	}
	format, bits := binary.LittleEndian.Uint16(b[:]), binary.LittleEndian.Uint16(b[14:])
	if format == wavExtensible && n == int64(len(b)) {
		format = binary.LittleEndian.Uint16(b[24:])
	}
	rate = binary.LittleEndian.Uint32(b[8:])
	switch {
	case format == wavPCM && bits == 16:
		return codecPCM, rate
	case format == wavALaw && bits == 8:
		return codecALaw, rate
	}
	return "", 0
}

// maxPage is the longest Ogg page (RFC 3533): 27 bytes, 255 lacing values, 255 × 255 bytes.
const maxPage = 27 + 255 + 255*255

// lookOpus reads the pre-skip of an Ogg Opus stream (RFC 7845) and the last page's granule position, in 48 kHz samples.
func lookOpus(f io.ReaderAt, size int64) (time.Duration, bool) {
	var head [28 + 19]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:4]) != "OggS" || head[26] != 1 || string(head[28:36]) != "OpusHead" {
		return 0, false
	}
	serial, skip := head[14:18], int64(binary.LittleEndian.Uint16(head[38:]))
	tail := make([]byte, min(size, maxPage+27))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return 0, false
	}
	for end := len(tail); ; {
		i := bytes.LastIndex(tail[:end], []byte("OggS"))
		if i < 0 {
			return 0, false
		}
		if end = i; len(tail)-i < 27 || !bytes.Equal(tail[i+14:i+18], serial) {
			continue // the letters occur in a packet too, or it is another stream's page
		}
		granule := int64(binary.LittleEndian.Uint64(tail[i+6:]))
		if granule == -1 { // no packet ends on this page
			continue
		}
		samples := granule - skip
		if granule < 0 || samples < 0 || samples > 48000*60*60*24*366 {
			return 0, false
		}
		return time.Duration(samples) * time.Second / 48000, true
	}
}
