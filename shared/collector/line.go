package collector

import (
	"errors"
	"os"
	"sync"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// draft is a pack that is not final yet.
type draft struct {
	builder *seal.Builder
	side    sidecar
	heads   map[seal.Unit]head
	done    []int // items whose recordings ended here
	file    *os.File
}

// line makes filled packs final, in order: one goroutine finishes and writes a pack (the hash is the work of a whole
// core), another waits for the disk and commits, while the next pack is being filled.
type line struct {
	c       *Collector
	free    chan *seal.Builder
	full    chan *draft
	written chan *draft
	commit  func(*draft) // called after the commit point
	work    sync.WaitGroup
	failed  chan struct{} // closed at the first failure

	once sync.Once
	err  error
}

// buffersInFlight is how many packs are in memory: one being filled, one being finished.
const buffersInFlight = 2

func (c *Collector) startLine(commit func(*draft)) (*line, error) {
	l := &line{c: c, free: make(chan *seal.Builder, buffersInFlight), full: make(chan *draft),
		written: make(chan *draft, 1), failed: make(chan struct{}), commit: commit}
	for len(c.buffers) < buffersInFlight {
		c.buffers = append(c.buffers, make([]byte, c.geometry.Size))
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
	defer close(l.written)
	for d := range l.full {
		if l.stopped() {
			l.c.giveBack(d.side.Number)
			continue
		}
		if err := l.finish(d); err != nil {
			l.c.discard(d)
			l.fail(err)
			continue
		}
		l.written <- d
	}
}

// finish writes the pack; after it the buffer is free. The file counts for nothing yet.
func (l *line) finish(d *draft) error {
	if err := l.c.writePack(d); err != nil {
		return err
	}
	l.free <- d.builder
	d.builder = nil
	return nil
}

// writePack hashes the pack and writes its file.
func (c *Collector) writePack(d *draft) error {
	pack, err := d.builder.Finish()
	if err != nil {
		return err
	}
	d.side.Pack, d.side.Slots = pack.SHA256, pack.SlotsSHA256
	if err := c.disk.step("write " + packName(pack.Number, "pack")); err != nil {
		return spoolFailed(err)
	}
	d.file, err = os.OpenFile(c.packPath(pack.Number), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return spoolFailed(err)
	}
	_, err = d.file.Write(pack.Bytes)
	return spoolFailed(err)
}

func (l *line) commitAll() {
	for d := range l.written {
		if l.stopped() {
			l.c.discard(d)
			continue
		}
		if err := l.c.makeFinal(d); err != nil {
			l.c.discard(d)
			l.fail(err)
			continue
		}
		l.commit(d)
	}
}

// makeFinal syncs the pack and then writes its sidecar. Commit point: with the sidecar the pack exists.
func (c *Collector) makeFinal(d *draft) error {
	if err := c.disk.step("sync " + packName(d.side.Number, "pack")); err != nil {
		return err
	}
	if err := errors.Join(d.file.Sync(), d.file.Close()); err != nil {
		return spoolFailed(err)
	}
	d.file = nil
	// The pack's name is durable before the sidecar's can be.
	if err := c.disk.syncFolder(c.path(packFolder)); err != nil {
		return err
	}
	side, err := record.Marshal(d.side)
	if err != nil {
		return err
	}
	if err := c.disk.replace(c.sidePath(d.side.Number), side); err != nil {
		return err
	}
	e, heads, err := newEntry(d.side)
	if err != nil {
		return err
	}
	c.adopt(e, heads)
	return nil
}

// discard removes a pack that did not become final and gives its number back.
func (c *Collector) discard(d *draft) {
	if d.file != nil {
		d.file.Close()
	}
	if _, err := os.Lstat(c.sidePath(d.side.Number)); err == nil {
		// A write that failed but landed: the pack is or may become final, and the next start will find it. Until then this
		// process must not number another batch after the ones before it.
		c.broken = problem.New(problem.Unavailable, "the disk failed while a pack was made final; start arca again, which will look what is there")
		return
	}
	_ = c.disk.remove(c.packPath(d.side.Number)) // the next start removes what is left
	c.giveBack(d.side.Number)
}
