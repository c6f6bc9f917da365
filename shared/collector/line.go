package collector

import (
	"errors"
	"os"
	"sync"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store/direct"
)

// draft is a pack that is not final yet.
type draft struct {
	builder *seal.Builder
	pack    seal.Pack // once finished; its bytes are the builder's
	side    sidecar
	done    []int // items whose recordings ended here
}

// line makes filled packs final, in order: one goroutine finishes a pack (its hash is the work of a whole core), another
// waits for the disk and commits, while the next pack is being filled.
type line struct {
	c        *Collector
	free     chan *seal.Builder
	full     chan *draft
	finished chan *draft
	commit   func(*draft)         // called after the commit point
	send     func(*entry, []byte) // takes a final pack from memory, before its buffer is used again; nil: packs leave later
	work     sync.WaitGroup
	failed   chan struct{} // closed at the first failure

	once sync.Once
	err  error
}

// buffersInFlight is how many packs are in memory: one being filled, one being hashed, one on its way to the disk.
const buffersInFlight = 3

func (c *Collector) startLine(commit func(*draft), send func(*entry, []byte)) (*line, error) {
	l := &line{c: c, free: make(chan *seal.Builder, buffersInFlight), full: make(chan *draft),
		finished: make(chan *draft), failed: make(chan struct{}), commit: commit, send: send}
	for len(c.buffers) < buffersInFlight {
		c.buffers = append(c.buffers, direct.Buffer(c.geometry.Size))
	}
	for _, buf := range c.buffers {
		b, err := seal.NewBuilder(c.geometry, buf)
		if err != nil {
			return nil, err
		}
		l.free <- b
	}
	l.work.Go(l.finishAll)
	l.work.Go(l.commitAll)
	return l, nil
}

// fail keeps the first reason and stops the line: no later pack may become final, its batches follow those of this one.
func (l *line) fail(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.failed)
	})
}

// builder gives a free pack buffer.
func (l *line) builder() (*seal.Builder, error) {
	select {
	case b := <-l.free:
		return b, nil
	case <-l.failed:
		return nil, l.err
	}
}

// hand passes a filled pack on.
func (l *line) hand(d *draft) error {
	select {
	case l.full <- d:
		return nil
	case <-l.failed:
		l.c.giveBack(d.side.Number)
		return l.err
	}
}

// end waits until everything handed over is final or failed.
func (l *line) end() error {
	close(l.full)
	l.work.Wait()
	return l.err
}

func (l *line) stopped() bool {
	select {
	case <-l.failed:
		return true
	default:
		return false
	}
}

func (l *line) finishAll() {
	defer close(l.finished)
	for d := range l.full {
		var err error
		if !l.stopped() {
			d.pack, err = d.builder.Finish()
		}
		if err != nil {
			l.fail(err)
		}
		l.finished <- d
	}
}

func (l *line) commitAll() {
	for d := range l.finished {
		if l.stopped() {
			l.c.giveBack(d.side.Number)
			continue
		}
		written := func() { l.free <- d.builder } // its room is kept
		if l.send != nil {
			written = func() {}
		}
		e, err := l.c.makeFinal(d, written)
		if err != nil {
			l.c.discard(d)
			l.fail(err)
			continue
		}
		l.commit(d)
		if l.send != nil {
			l.work.Go(func() {
				l.send(e, d.pack.Bytes)
				l.free <- d.builder
			})
		}
	}
}

// makeFinal writes a pack and syncs it, and then writes its sidecar. Commit point: with the sidecar the pack exists.
// written is called as soon as nothing here needs the pack's bytes.
func (c *Collector) makeFinal(d *draft, written func()) (*entry, error) {
	d.side.Pack, d.side.Slots = d.pack.SHA256, d.pack.SlotsSHA256
	if err := c.disk.step("write " + packName(d.side.Number, "pack")); err != nil {
		return nil, spoolFailed(err)
	}
	f, err := writeFile(c.packPath(d.side.Number), d.pack.Bytes)
	if err != nil {
		return nil, spoolFailed(err)
	}
	written()
	if err := c.disk.step("sync " + packName(d.side.Number, "pack")); err != nil {
		f.Close()
		return nil, err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return nil, spoolFailed(err)
	}
	// The pack's name is durable before the sidecar's can be.
	if err := c.disk.syncFolder(c.path(packFolder)); err != nil {
		return nil, err
	}
	side, err := record.Marshal(d.side)
	if err != nil {
		return nil, err
	}
	if err := c.disk.replace(c.sidePath(d.side.Number), side); err != nil {
		return nil, err
	}
	e, heads, err := newEntry(d.side)
	if err != nil {
		return nil, err
	}
	c.adopt(e, heads)
	return e, nil
}

// discard removes a pack that did not become final and gives its number back.
func (c *Collector) discard(d *draft) {
	if _, err := os.Lstat(c.sidePath(d.side.Number)); err == nil {
		// A write that failed but landed: the pack is or may become final, and the next start will find it. Until then this
		// process must not number another batch after the ones before it.
		c.broken = problem.New(problem.Unavailable, "the disk failed while a pack was made final; start arca again, which will look what is there")
		return
	}
	_ = c.disk.remove(c.packPath(d.side.Number)) // the next start removes what is left
	c.giveBack(d.side.Number)
}
