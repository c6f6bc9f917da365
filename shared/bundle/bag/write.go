package bag

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash/crc32"
	"io"
	"slices"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// Target is what a bag is written to: appended to, and patched where a file's checksum is known only after its content. *os.File opened
// for writing (not for appending) is one.
type Target interface {
	io.Writer
	io.WriterAt
}

// Writer writes a bag. After an error the target holds nothing of use.
type Writer struct {
	to      Target
	at      uint64
	files   []file
	payload []Entry
	err     error
}

// NewWriter begins a bag on an empty target.
func NewWriter(to Target) (*Writer, error) {
	w := &Writer{to: to}
	w.small(declarationName, []byte(declaration))
	return w, w.err
}

// Add writes the next payload file: its path, above all before, its exact size, and what fill writes of it.
func (w *Writer) Add(path string, size int64, fill func(io.Writer) error) error {
	if w.err != nil {
		return w.err
	}
	if w.err = w.mayAdd(path, size); w.err != nil {
		return w.err
	}
	var sum Sum
	if sum, w.err = w.put(path, size, fill); w.err == nil {
		w.payload = append(w.payload, Entry{path, size, sum})
	}
	return w.err
}

// AddBytes is Add for content in memory.
func (w *Writer) AddBytes(path string, b []byte) error {
	return w.Add(path, int64(len(b)), func(to io.Writer) error { _, err := to.Write(b); return err })
}

func (w *Writer) mayAdd(path string, size int64) error {
	if err := checkPath(path); err != nil {
		return err
	}
	if len(path) <= len(Payload) || path[:len(Payload)] != Payload {
		return problem.New(problem.Internal, "payload lies under %s", Payload)
	}
	if n := len(w.payload); n > 0 && w.payload[n-1].Path >= path {
		return problem.New(problem.Internal, "payload comes in the order of its paths, each once")
	}
	if len(w.files)+len(after) >= MaxFiles || size < 0 || size > MaxSize || w.at > MaxSize {
		return problem.New(problem.Invalid, "a bundle has at most %d files and %d bytes; make several", MaxFiles, int64(MaxSize))
	}
	return nil
}

// Close writes the tag files. sign gives the content of Signature; it is called once everything else is written.
func (w *Writer) Close(lines []Line, sign func(Seal) ([]byte, error)) error {
	for _, l := range lines {
		if w.err == nil && (record.CheckName(l.Label) != nil || record.CheckName(l.Value) != nil) {
			w.err = problem.New(problem.Internal, "a line of bag-info.txt is one line")
		}
	}
	tags, seal := tagFiles(lines, w.payload)
	for _, name := range after[:len(after)-1] {
		w.small(name, tags[name])
	}
	if w.err != nil {
		return w.err
	}
	signature, err := sign(seal)
	if err != nil {
		return err
	}
	w.small(Signature, signature)
	return w.finish()
}

// finish writes the central directory. Commit point: only with its end record is the file a bag.
func (w *Writer) finish() error {
	if w.err != nil {
		return w.err
	}
	offset := w.at
	for _, f := range w.files {
		w.write(f.central())
	}
	w.write(end(uint64(len(w.files)), w.at-offset, offset))
	return w.err
}

func (w *Writer) small(name string, b []byte) {
	if w.err == nil {
		_, w.err = w.put(name, int64(len(b)), func(to io.Writer) error { _, err := to.Write(b); return err })
	}
}

func (w *Writer) write(b []byte) {
	if w.err == nil {
		var n int
		n, w.err = w.to.Write(b)
		w.at += uint64(n)
	}
}

// put writes a file: header without checksum, content, checksum.
func (w *Writer) put(path string, size int64, fill func(io.Writer) error) (Sum, error) {
	f := file{path: path, size: uint64(size), offset: w.at}
	w.write(f.local())
	if w.err != nil {
		return Sum{}, w.err
	}
	c := newChecker()
	n := counter{to: io.MultiWriter(c, w.to)}
	if err := fill(&n); err != nil {
		return Sum{}, err
	}
	if n.bytes != size {
		return Sum{}, problem.New(problem.Internal, "a file of the bundle has another size than was announced")
	}
	w.at += uint64(size)
	f.crc = c.crc.Sum32()
	if _, err := w.to.WriteAt(le32(nil, f.crc), int64(f.offset)+crcOffset); err != nil {
		return Sum{}, err
	}
	w.files = append(w.files, f)
	return c.sum(), nil
}

// Payload lists what was added.
func (w *Writer) Payload() []Entry { return slices.Clone(w.payload) }

type counter struct {
	to    io.Writer
	bytes int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.bytes += int64(n)
	return n, err
}

// checker computes what is known of a file's content.
type checker struct {
	crc    interface{ Sum32() uint32 }
	sha256 interface{ Sum([]byte) []byte }
	sha512 interface{ Sum([]byte) []byte }
	all    io.Writer
}

func newChecker() *checker {
	c, s, l := crc32.NewIEEE(), sha256.New(), sha512.New()
	return &checker{c, s, l, io.MultiWriter(c, s, l)}
}

func (c *checker) Write(b []byte) (int, error) { return c.all.Write(b) }

func (c *checker) sum() Sum {
	return Sum{[sha256.Size]byte(c.sha256.Sum(nil)), [sha512.Size]byte(c.sha512.Sum(nil))}
}
