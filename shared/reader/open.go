package reader

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader/cut"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Range is the part of a recording to write; the zero Range is all of it.
type Range struct {
	cut.Span            // seconds, for what package cut understands
	Bytes    *ByteRange // instead of seconds, for anything

	// Minimised is why what is marked not pertinent is opened all the same (18 U.S.C. 2518(5)); it goes into the act.
	Minimised string
}

func (part Range) whole() bool { return part.Span == (cut.Span{}) && part.Bytes == nil }

// ByteRange is First to Last-1; Last 0 is the end.
type ByteRange struct{ First, Last int64 }

// Opened is what Open wrote.
type Opened struct {
	ID       seal.RecordingID
	Codec    string
	Bytes    int64
	Whole    bool // all of it, and it fits the digest in its description
	Path     string
	Kind     cut.Kind
	Original int64  // bytes of the whole recording
	Marked   string // that what was opened is marked not pertinent, where the statute leaves that to the reader
}

// recording is one ready to be read.
type recording struct {
	entry   entry
	grant   *grant
	content *seal.Content
	key     seal.RecordingKey
	ctx     seal.Context
}

// Open writes a recording, or a part of it, to a file that appears under its name only when it is whole and verified, and that
// must not exist; "-" is standard output, where every byte was authenticated and the whole is verified at the end: on an error discard
// what came. id may be the beginning of one.
func (r *Reader) Open(ctx context.Context, id, out string, part Range) (Opened, error) {
	if out == "-" {
		return r.openTo(ctx, id, r.cfg.Stdout, part, record.EventOpened, func() error { return nil })
	}
	if _, err := os.Lstat(out); err == nil {
		return Opened{}, exists()
	}
	f, err := os.CreateTemp(filepath.Dir(out), ".arca-*.part") // made with mode 0600
	if err != nil {
		return Opened{}, failed(err)
	}
	defer os.Remove(f.Name())
	defer f.Close() // a second time, when it was finished
	opened, err := r.openTo(ctx, id, f, part, record.EventCopied, func() error { return finish(f, out) })
	if err == nil {
		opened.Path = out
	}
	return opened, err
}

// finish makes a file durable and gives it its name.
func finish(f *os.File, out string) error {
	err := f.Sync()
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return failed(err)
	}
	return place(f.Name(), out)
}

// place gives a finished file its name. Link refuses an existing name; a file system without links gets a rename.
func place(temp, out string) error {
	err := os.Link(temp, out)
	if os.IsExist(err) {
		return exists()
	}
	if err != nil {
		if err := os.Rename(temp, out); err != nil {
			return failed(err)
		}
	}
	return syncDir(filepath.Dir(out))
}

func exists() error {
	return problem.New(problem.Conflict, "a file of that name exists; choose another name or remove it")
}

// openTo opens a recording between two acts that are written down: begun before the first byte, and how it ended after done, which makes
// of the bytes what kind says.
func (r *Reader) openTo(ctx context.Context, id string, w io.Writer, part Range, kind record.EventKind, done func() error) (Opened, error) {
	if w == nil {
		return Opened{}, problem.New(problem.Invalid, "there is no output to write to")
	}
	rec, err := r.unlock(ctx, id)
	if err != nil {
		return Opened{}, err
	}
	defer clear(rec.key[:])
	marked, err := r.minimised(ctx, rec.entry, part)
	if err != nil {
		return Opened{}, err
	}
	begun, err := r.begin(rec, part)
	if err != nil {
		return Opened{}, err
	}
	out, err := r.pour(rec, w, part)
	out.Marked = marked
	if err == nil {
		err = done()
	}
	return out, r.end(begun, kind, err)
}

// pour writes the part to w.
func (r *Reader) pour(rec *recording, w io.Writer, part Range) (out Opened, err error) {
	d := rec.entry.Description
	out = Opened{ID: seal.RecordingID(rec.entry.Recording), Codec: cleaned(d.Codec), Original: rec.content.Size()}
	out.Whole = part.whole()
	if r.cfg.Progress != nil {
		w = &meter{w: w, total: part.most(out.Original), tell: r.cfg.Progress}
	}
	if out.Whole {
		out.Bytes, err = rec.content.WriteVerified(w, rec.key, rec.ctx, [32]byte(d.Digest))
		return out, err
	}
	if part.Bytes != nil {
		out.Bytes, err = copyBytes(w, rec.content, *part.Bytes, part.Span)
		return out, err
	}
	out.Kind = cut.KindOf(rec.content, rec.content.Size())
	out.Bytes, err = cut.To(w, rec.content, rec.content.Size(), part.Span)
	return out, err
}

// most bounds what a part of a recording of a size has to write; what seconds come to is known at the end only.
func (part Range) most(size int64) int64 {
	if part.Bytes == nil {
		return size
	}
	last := part.Bytes.Last
	if last == 0 {
		last = size
	}
	return max(min(last, size)-part.Bytes.First, 0)
}

// meter tells how much passed through it.
type meter struct {
	w     io.Writer
	done  int64
	total int64
	tell  func(done, total int64)
}

func (m *meter) Write(b []byte) (int, error) {
	n, err := m.w.Write(b)
	m.done += int64(n)
	m.tell(m.done, max(m.done, m.total)) // a part in seconds brings a header of its own
	return n, err
}

func copyBytes(w io.Writer, c *seal.Content, b ByteRange, span cut.Span) (int64, error) {
	if span != (cut.Span{}) {
		return 0, problem.New(problem.Invalid, "give a part in seconds or in bytes, not both")
	}
	last := b.Last
	if last == 0 || last > c.Size() {
		last = c.Size()
	}
	if b.First < 0 || b.Last < 0 || b.First >= last {
		return 0, problem.New(problem.Invalid, "the recording has %d bytes; the part lies outside or is empty", c.Size())
	}
	return io.Copy(w, io.NewSectionReader(c, b.First, last-b.First))
}

// unlock gets both content halves of a listed recording and makes it ready to be read.
func (r *Reader) unlock(ctx context.Context, id string) (*recording, error) {
	if r.cfg.Mirror == nil {
		return nil, problem.New(problem.Invalid, "this reader has no mirror; say where the mirror's folder is")
	}
	e, err := r.listed(id)
	if err != nil {
		return nil, err
	}
	d, err := seal.ParseDescriptor(e.Descriptor)
	if err != nil {
		return nil, err
	}
	released, err := r.releaseOne(ctx, e)
	if err != nil {
		return nil, err
	}
	key, c, err := released.key(d, seal.BatchID(e.Batch))
	if err != nil {
		return nil, err
	}
	content, err := seal.NewContent(key, c, d.Places, r.cfg.Mirror)
	if err != nil {
		return nil, err
	}
	return &recording{e, released.grant, content, key, c}, nil
}

// grantsTried bounds how many of one's own requests are tried for one recording.
const grantsTried = 5

// releaseOne gets one recording's halves under a request of one's own that covers it, the newest first: a newer request that was
// denied, or is not approved yet, must not stand before an older one that was. If none is honoured, the newest one's refusal is told, unless the older one
// was met with the word that the recording is gone: an approval would change nothing.
func (r *Reader) releaseOne(ctx context.Context, e entry) (*Released, error) {
	list, err := r.contentGrants(e)
	if err != nil {
		return nil, err
	}
	var told error
	for _, g := range list[:min(len(list), grantsTried)] {
		released, err := r.release(ctx, g, []record.Reference{{Batch: e.Batch, Recording: e.Recording}})
		if err == nil {
			return released, nil
		}
		if told == nil || problem.KindOf(err) == problem.Gone {
			told = err
		}
	}
	return nil, told
}

// contentGrants finds the requests of one's own that ask for the content of a recording and have not ended.
func (r *Reader) contentGrants(e entry) ([]*grant, error) {
	all, err := r.grants()
	if err != nil {
		return nil, err
	}
	var list []*grant
	for _, g := range all {
		if g.request.Class == string(seal.ContentClass) && g.unit() == e.unit && g.covers(seal.RecordingID(e.Recording), seal.BatchID(e.Batch)) {
			list = append(list, g)
		}
	}
	if len(list) == 0 {
		return nil, problem.New(problem.NotFound, "you have no request for the content of this recording; ask for it: arca ask --class content --recording %s --purpose '…'", e.Recording)
	}
	return list, nil
}

// ReadAt opens a recording for random access: every byte that it gives was authenticated. Release and digest are as in Open. What is read
// of it later is not known here, so the whole counts as opened.
func (r *Reader) ReadAt(ctx context.Context, id string) (io.ReaderAt, int64, error) {
	rec, err := r.unlock(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	if _, err := r.minimised(ctx, rec.entry, Range{}); err != nil {
		return nil, 0, err
	}
	if _, err := r.begin(rec, Range{}); err != nil {
		return nil, 0, err
	}
	return rec.content, rec.content.Size(), nil
}

// Packs gives the numbers of the packs that hold a recording that was listed, in order.
func (r *Reader) Packs(id string) ([]uint64, error) {
	e, err := r.listed(id)
	if err != nil {
		return nil, err
	}
	d, err := seal.ParseDescriptor(e.Descriptor)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, run := range d.Places {
		numbers = append(numbers, run.Pack)
	}
	return slices.Compact(numbers), nil // places ascend
}
