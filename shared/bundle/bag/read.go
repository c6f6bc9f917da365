package bag

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"

	"arca.example/arca/shared/problem"
)

// Bag is an opened bag. Its layout was checked by Open, its content by Check.
type Bag struct {
	from    io.ReaderAt
	files   []file
	payload []Entry
	checked map[string]Sum
}

// maxDirectory bounds the central directory in bytes.
const maxDirectory = MaxFiles * (centralSize + maxPath + 28)

// Open reads the records of a bag of size bytes and holds every byte outside its files' contents against the one form. It reads no content.
func Open(from io.ReaderAt, size int64) (*Bag, error) {
	if size < endSize || size > MaxSize {
		return nil, altered("no bundle has this size")
	}
	b := &Bag{from: from, checked: map[string]Sum{}}
	directory, err := b.directory(size)
	if err != nil {
		return nil, err
	}
	if err := b.parse(directory); err != nil {
		return nil, err
	}
	if err := b.layout(size, directory); err != nil {
		return nil, err
	}
	return b, b.names()
}

// directory finds the central directory by the end record alone, which stands at the very end or nowhere.
func (b *Bag) directory(size int64) ([]byte, error) {
	tail, err := b.read(max(0, size-endSize-locatorSize-end64Size), min(size, endSize+locatorSize+end64Size))
	if err != nil {
		return nil, err
	}
	last := tail[len(tail)-endSize:]
	if binary.LittleEndian.Uint32(last) != endSignature {
		return nil, altered("it does not end as a bundle ends")
	}
	count, length, offset := uint64(binary.LittleEndian.Uint16(last[10:])), uint64(binary.LittleEndian.Uint32(last[12:])), uint64(binary.LittleEndian.Uint32(last[16:]))
	if count == full16 || length == 1<<32-1 || offset == 1<<32-1 {
		if len(tail) < endSize+locatorSize+end64Size || binary.LittleEndian.Uint32(tail) != end64Signature {
			return nil, altered("its zip64 end record is missing")
		}
		count, length, offset = binary.LittleEndian.Uint64(tail[32:]), binary.LittleEndian.Uint64(tail[40:]), binary.LittleEndian.Uint64(tail[48:])
	}
	if count > MaxFiles || length > maxDirectory || offset > uint64(size) || length > uint64(size)-offset {
		return nil, altered("its directory lies outside of it, or is larger than any bundle's")
	}
	if want := end(count, length, offset); uint64(size)-offset-length != uint64(len(want)) || !bytes.HasSuffix(tail, want) {
		return nil, altered("its end record is not in its one form, or something follows its directory")
	}
	directory, err := b.read(int64(offset), int64(length))
	b.files = make([]file, 0, count)
	return directory, err
}

func (b *Bag) read(at, n int64) ([]byte, error) {
	out := make([]byte, n)
	_, err := io.ReadFull(io.NewSectionReader(b.from, at, n), out)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the bundle cannot be read")
	}
	return out, nil
}

// parse reads the records far enough to write them again; layout compares.
func (b *Bag) parse(directory []byte) error {
	for rest := directory; len(rest) > 0; {
		if len(rest) < centralSize || len(b.files) == cap(b.files) {
			return altered("its directory has no form")
		}
		name, extra := int(binary.LittleEndian.Uint16(rest[28:])), int(binary.LittleEndian.Uint16(rest[30:]))
		if name > maxPath || centralSize+name+extra > len(rest) {
			return altered("its directory has no form")
		}
		f := file{
			path: string(rest[centralSize : centralSize+name]), crc: binary.LittleEndian.Uint32(rest[16:]),
			size: uint64(binary.LittleEndian.Uint32(rest[24:])), offset: uint64(binary.LittleEndian.Uint32(rest[42:])),
		}
		f.widen(rest[centralSize+name : centralSize+name+extra])
		if err := checkPath(f.path); err != nil {
			return err
		}
		b.files, rest = append(b.files, f), rest[centralSize+name+extra:]
	}
	if len(b.files) != cap(b.files) {
		return altered("its directory has no form")
	}
	return nil
}

// widen takes from a zip64 extra field what the record's own fields say is there.
func (f *file) widen(extra []byte) {
	take := func(v *uint64) {
		if *v == 1<<32-1 && len(extra) >= 8 {
			*v, extra = binary.LittleEndian.Uint64(extra), extra[8:]
		}
	}
	if len(extra) < 4 {
		return
	}
	extra = extra[4:]
	wide := f.size == 1<<32-1
	take(&f.size)
	if wide && len(extra) >= 8 {
		extra = extra[8:] // the second size, which layout compares
	}
	take(&f.offset)
}

// layout writes every record again and compares: files from the first byte on, one after another, then the directory.
func (b *Bag) layout(size int64, directory []byte) error {
	var at uint64
	var again []byte
	for _, f := range b.files {
		header := f.local()
		if f.offset != at || f.size > uint64(size) {
			return altered("its files do not follow each other")
		}
		have, err := b.read(int64(at), min(int64(len(header)), size-int64(at)))
		if err != nil {
			return err
		}
		if !bytes.Equal(have, header) {
			return altered("the header of a file is not the one of its directory")
		}
		if at += uint64(len(header)) + f.size; at > uint64(size) {
			return altered("its files do not follow each other")
		}
		again = append(again, f.central()...)
	}
	if !bytes.Equal(again, directory) || at+uint64(len(directory))+uint64(len(end(uint64(len(b.files)), uint64(len(directory)), at))) != uint64(size) {
		return altered("it is not packed as bundles are; if somebody unpacked it and packed it again, verify the file as it was handed over")
	}
	return nil
}

// names checks that the files are those of a bag, in their order, each once.
func (b *Bag) names() error {
	n := len(b.files) - len(after)
	if n < len(before) {
		return altered("a file of the bag is missing")
	}
	for i, f := range b.files {
		switch {
		case i < len(before):
			if f.path != before[i] {
				return altered("its files are not those of a bag, in their order")
			}
		case i >= n:
			if f.path != after[i-n] {
				return altered("its files are not those of a bag, in their order")
			}
		case !strings.HasPrefix(f.path, Payload) || i > len(before) && b.files[i-1].path >= f.path:
			return altered("its payload is not in order, or lies elsewhere")
		default:
			b.payload = append(b.payload, Entry{Path: f.path, Size: int64(f.size)})
		}
		if !strings.HasPrefix(f.path, Payload) && f.size > MaxTag {
			return altered("a tag file is larger than any bundle's")
		}
	}
	return nil
}

// Check reads everything once and compares it with both manifests, and these with both tag manifests. lines are what bag-info.txt must say.
// also gives a writer that sees a payload file's content, or nil. What it returns is what the signature must be over.
func (b *Bag) Check(also func(path string) io.Writer) (Seal, error) {
	for i := range b.payload {
		e := &b.payload[i]
		var extra io.Writer
		if also != nil {
			extra = also(e.Path)
		}
		sum, err := b.hash(b.files[i+len(before)], extra)
		if err != nil {
			return Seal{}, err
		}
		e.Sum, b.checked[e.Path] = sum, sum
	}
	n := len(before) + len(b.payload)
	tags := map[string][]byte{}
	for _, f := range append(b.files[:len(before):len(before)], b.files[n:]...) {
		content, err := b.read(int64(f.offset)+int64(len(f.local())), int64(f.size))
		if err != nil {
			return Seal{}, err
		}
		if sum, err := b.hash(f, nil); err != nil || sum != sumOf(content) {
			return Seal{}, altered("a tag file is not what its checksum says")
		}
		tags[f.path], b.checked[f.path] = content, sumOf(content)
	}
	lines, err := parseInfo(tags[infoName])
	if err != nil {
		return Seal{}, err
	}
	want, seal := tagFiles(lines, b.payload)
	for name, content := range want {
		if !bytes.Equal(content, tags[name]) {
			return Seal{}, altered("%s is not what the files give", name)
		}
	}
	return seal, nil
}

// parseInfo reads the lines of bag-info.txt but the last, which is computed again.
func parseInfo(b []byte) (lines []Line, err error) {
	text := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	for _, line := range text[:len(text)-1] {
		label, value, ok := strings.Cut(line, ": ")
		if !ok || len(text) > 100 {
			return nil, altered("bag-info.txt has no form")
		}
		lines = append(lines, Line{label, value})
	}
	return lines, nil
}

// hash reads a file's content and compares its checksum.
func (b *Bag) hash(f file, also io.Writer) (Sum, error) {
	c := newChecker()
	to := io.Writer(c)
	if also != nil {
		to = io.MultiWriter(c, also)
	}
	n, err := io.CopyBuffer(to, b.section(f), make([]byte, min(f.size+1, 256<<10)))
	if err != nil || n != int64(f.size) {
		return Sum{}, problem.Wrap(problem.Unavailable, err, "the bundle cannot be read")
	}
	if c.crc.Sum32() != f.crc {
		return Sum{}, altered("%q is not what its checksum says", f.path)
	}
	return c.sum(), nil
}

func (b *Bag) section(f file) *io.SectionReader {
	return io.NewSectionReader(b.from, int64(f.offset)+int64(len(f.local())), int64(f.size))
}

// Payload lists the payload; its sums are known after Check.
func (b *Bag) Payload() []Entry { return b.payload }

// Content opens a file for reading. What it gives is not compared again.
func (b *Bag) Content(path string) (*io.SectionReader, error) {
	for _, f := range b.files {
		if f.path == path {
			return b.section(f), nil
		}
	}
	return nil, problem.New(problem.NotFound, "the bundle holds no %s", path)
}

// Read gives a file of at most limit bytes, exactly as Check saw it.
func (b *Bag) Read(path string, limit int64) ([]byte, error) {
	from, err := b.Content(path)
	if err != nil {
		return nil, err
	}
	if from.Size() > limit {
		return nil, altered("%s is larger than any bundle's", path)
	}
	out := make([]byte, from.Size())
	if _, err := io.ReadFull(from, out); err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the bundle cannot be read")
	}
	if sum, ok := b.checked[path]; !ok || sum != sumOf(out) {
		return nil, problem.New(problem.Unavailable, "the bundle changed while it was read; copy it and try again")
	}
	return out, nil
}
