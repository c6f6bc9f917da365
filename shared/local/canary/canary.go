// Package canary searches what a storage provider holds for anything that it
// must not know.
//
// A needle (an identifier, a name, a case tag, pieces of a recording) is looked for raw, in
// lower and upper case, as hexadecimal, as base64 and base64url at each of
// the three alignments, as UTF-16 in both byte orders, and as its unsalted MD5,
// SHA-1, SHA-256 and SHA-512, those raw, as hexadecimal and as base64. The search
// reads every byte of every file below a folder, and folder and file names too.
//
// It proves presence, never absence: a search that finds nothing says something only beside the
// same search that finds a planted leak.
package canary

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf16"

	"arca.example/arca/shared/store"
)

// MinNeedle is the shortest needle, in bytes: anything shorter turns up in random data by chance.
const MinNeedle = 6

// Hit is a needle that was found.
type Hit struct {
	Needle string // what it is called
	Form   string // how it was written
	File   string // where, relative to the searched folder
	Offset int64
}

// Searcher knows all forms of a set of needles.
type Searcher struct {
	patterns []pattern
	byPrefix map[uint64][]int // first MinNeedle bytes → patterns
	filter   []uint64         // bitmap over the first three bytes, so that nearly every position costs one look
}

type pattern struct {
	needle, form string
	bytes        []byte
}

// New makes a Searcher of needles by name. A value shorter than MinNeedle is refused.
func New(needles map[string][]byte) (*Searcher, error) {
	s := &Searcher{byPrefix: map[uint64][]int{}, filter: make([]uint64, 1<<24/64)}
	for name, value := range needles {
		if len(value) < MinNeedle {
			return nil, fmt.Errorf("the needle %q has fewer than %d bytes and would be found by chance", name, MinNeedle)
		}
		for form, b := range forms(value) {
			if len(b) < MinNeedle {
				continue
			}
			s.add(pattern{name, form, b})
		}
	}
	return s, nil
}

func (s *Searcher) add(p pattern) {
	key := prefix(p.bytes)
	s.byPrefix[key] = append(s.byPrefix[key], len(s.patterns))
	s.patterns = append(s.patterns, p)
	at := short(p.bytes)
	s.filter[at/64] |= 1 << (at % 64)
}

func prefix(b []byte) uint64 {
	return uint64(binary.BigEndian.Uint32(b))<<16 | uint64(binary.BigEndian.Uint16(b[4:]))
}

func short(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }

// forms writes a value in every way that is looked for.
func forms(value []byte) map[string][]byte {
	out := map[string][]byte{}
	written(out, "", value)
	for _, v := range []struct {
		name string
		b    []byte
	}{{"lower case ", bytes.ToLower(value)}, {"upper case ", bytes.ToUpper(value)}} {
		if !bytes.Equal(v.b, value) {
			written(out, v.name, v.b)
		}
	}
	m, s1, s256, s512 := md5.Sum(value), sha1.Sum(value), sha256.Sum256(value), sha512.Sum512(value)
	for name, sum := range map[string][]byte{"MD5 ": m[:], "SHA-1 ": s1[:], "SHA-256 ": s256[:], "SHA-512 ": s512[:]} {
		written(out, name, sum)
	}
	return out
}

func written(out map[string][]byte, of string, value []byte) {
	out[of+"raw"] = value
	lower := hex.EncodeToString(value)
	out[of+"hexadecimal"] = []byte(lower)
	out[of+"hexadecimal, upper case"] = bytes.ToUpper([]byte(lower))
	for shift := range 3 {
		out[fmt.Sprintf("%sbase64 at %d", of, shift)] = base64At(base64.RawStdEncoding, value, shift)
		out[fmt.Sprintf("%sbase64url at %d", of, shift)] = base64At(base64.RawURLEncoding, value, shift)
	}
	units := utf16.Encode([]rune(string(value)))
	little, big := make([]byte, 0, 2*len(units)), make([]byte, 0, 2*len(units))
	for _, u := range units {
		little = binary.LittleEndian.AppendUint16(little, u)
		big = binary.BigEndian.AppendUint16(big, u)
	}
	out[of+"UTF-16 little endian"], out[of+"UTF-16 big endian"] = little, big
}

// base64At gives the characters that value alone decides when shift bytes of something else stand before it.
func base64At(enc *base64.Encoding, value []byte, shift int) []byte {
	all := enc.EncodeToString(append(make([]byte, shift), value...))
	from := (shift*8 + 5) / 6
	until := (shift + len(value)) * 8 / 6
	return []byte(all[from:until])
}

// chunk is how much is read at a time.
const chunk = 4 << 20

// Reader searches a stream, called name in the hits.
func (s *Searcher) Reader(name string, r io.Reader) ([]Hit, error) {
	longest := 0
	for _, p := range s.patterns {
		longest = max(longest, len(p.bytes))
	}
	var hits []Hit
	buf := make([]byte, 0, chunk+longest)
	base := int64(0)
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return hits, err
		}
		// Positions whose longest pattern might reach past the buffer are looked at again with the next chunk.
		until := len(buf)
		if !last {
			until = len(buf) - longest
		}
		hits = append(hits, s.scan(name, base, buf, until)...)
		if last {
			return hits, nil
		}
		base += int64(until)
		buf = append(buf[:0], buf[until:]...)
	}
}

func (s *Searcher) scan(name string, base int64, buf []byte, until int) []Hit {
	var hits []Hit
	for i := 0; i < until && i+MinNeedle <= len(buf); i++ {
		at := short(buf[i:])
		if s.filter[at/64]&(1<<(at%64)) == 0 {
			continue
		}
		for _, index := range s.byPrefix[prefix(buf[i:])] {
			p := s.patterns[index]
			if bytes.HasPrefix(buf[i:], p.bytes) {
				hits = append(hits, Hit{p.needle, p.form, name, base + int64(i)})
			}
		}
	}
	return hits
}

// Folder searches every file below root, and the names of files and folders. read counts the bytes.
func (s *Searcher) Folder(root string) (hits []Hit, read int64, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		named, err := s.Reader("the name "+name, bytes.NewReader([]byte(name)))
		if err != nil {
			return err
		}
		hits = append(hits, named...)
		if !d.Type().IsRegular() {
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		read += info.Size()
		found, err := s.Reader(name, file)
		hits = append(hits, found...)
		return err
	})
	return hits, read, err
}

// Rows searches every row's key and value, each row by itself, so that no page of a database splits what is looked for. read
// counts the bytes.
func (s *Searcher) Rows(ctx context.Context, rows store.Rows) (hits []Hit, read int64, err error) {
	err = rows.Scan(ctx, 0, 1, func(row store.Row) error {
		all := append([]byte(row.Key+"\n"), row.Value...)
		read += int64(len(all))
		hits = append(hits, s.scan("a row", 0, all, len(all))...)
		return nil
	})
	return hits, read, err
}

// Piece gives a needle of 24 bytes out of content, from at on, that is not silence: a run of equal bytes would be found
// anywhere. content has at least 24 bytes.
func Piece(content []byte, at int) []byte {
	const n, distinct = 24, 10
	at = min(at, len(content)-n)
	for ; at+n < len(content); at++ {
		seen := map[byte]bool{}
		for _, b := range content[at : at+n] {
			seen[b] = true
		}
		if len(seen) >= distinct {
			break
		}
	}
	return content[at : at+n]
}
