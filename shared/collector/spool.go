package collector

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

const (
	packFolder   = "pack"
	provenFolder = "proven"
	numbersFile  = "numbers.json"
	headsFile    = "heads.json"
	refusalsFile = "refusals.jsonl"
	closedFile   = "closed.jws"        // a line for each unit that was closed
	reportedFile = "refusals.reported" // how many of them both keyholders have
)

// sidecar is what the collector knows of a pack that it made. It is written once.
type sidecar struct {
	Batches []batchLine   `json:"batches,omitempty"` // none in a dummy and in the middle of a long recording
	Number  uint64        `json:"number"`
	Pack    record.Digest `json:"pack"`
	Slots   record.Digest `json:"slots"`
}

// batchLine is a batch that ended in the pack.
type batchLine struct {
	Act        string          `json:"act,omitzero"`    // a reader's, which keyholders want before the note
	Before     uint64          `json:"before,omitzero"` // the pack in which the unit's batch before ended
	Custodian  []byte          `json:"custodian"`       // c_custodian; the rest of the custodian's note is as in the court's
	Note       []byte          `json:"note"`            // the court's note
	Recordings []recordingLine `json:"recordings"`
}

// recordingLine is a recording of the batch, in the order of its members.
type recordingLine struct {
	ID    record.ID `json:"id"`
	Name  string    `json:"name,omitzero"`
	Packs []uint64  `json:"packs"` // where its content lies; the batch's own pack is not always among them
}

// note gives the note of one keyholder.
func (b batchLine) note(role seal.Role) (*seal.Note, error) {
	n, err := seal.ParseNote(b.Note)
	if err != nil {
		return nil, problem.Wrap(problem.Internal, err, "a sidecar in the spool is damaged; restore it from the disk's backup, the pack itself is safe")
	}
	if role == seal.Custodian {
		n.Role, n.Sealed = role, b.Custodian
	}
	return n, nil
}

// progress is how far a pack has come, with the evidence. Losing the newest of it costs a repetition, nothing more.
type progress struct {
	Arrived   bool     `json:"arrived,omitzero"`
	Court     []string `json:"court,omitempty"`     // receipts, one for each batch
	Custodian []string `json:"custodian,omitempty"` //
	Event     []byte   `json:"event,omitempty"`
	Proof     string   `json:"proof,omitzero"`
	Proven    bool     `json:"proven,omitzero"` // everything verified: the pack file may go
	Random    []byte   `json:"random,omitempty"`
	Told      bool     `json:"told,omitzero"`    // both keyholders were told where its batches lie
	Trouble   string   `json:"trouble,omitzero"` // why the last try went no further
	Uploaded  bool     `json:"uploaded,omitzero"`
}

func (p *progress) receipts(role seal.Role) *[]string {
	if role == seal.Court {
		return &p.Court
	}
	return &p.Custodian
}

// entry is a pack in the spool as memory keeps it; notes stay on disk.
type entry struct {
	number  uint64
	pack    record.Digest
	slots   record.Digest
	units   []seal.Unit // of its batches, in order
	names   int         // recordings
	content bool        // false for a dummy
	at      progress
}

// head is where this collector stands in a unit.
type head struct {
	statement seal.Statement
	pack      uint64
}

// headLine is a head in heads.json.
type headLine struct {
	Pack      uint64 `json:"pack"`
	Statement []byte `json:"statement"`
}

func packName(n uint64, ext string) string { return fmt.Sprintf("%012d.%s", n, ext) }

func (c *Collector) packPath(n uint64) string  { return c.path(packFolder, packName(n, "pack")) }
func (c *Collector) sidePath(n uint64) string  { return c.path(packFolder, packName(n, "json")) }
func (c *Collector) statePath(n uint64) string { return c.path(packFolder, packName(n, "state")) }

// readStored reads a file of the spool strictly: what is not byte for byte what was written is refused.
func readStored(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	damaged := func(cause error) error {
		return problem.Wrap(problem.Internal, cause, "a file of the spool is damaged: %s; restore it from the disk's backup before you go on", filepath.Base(path))
	}
	if err := record.UnmarshalStored(b, v); err != nil {
		return damaged(err)
	}
	again, err := record.Marshal(v)
	if err != nil || !bytes.Equal(again, b) {
		return damaged(err)
	}
	return nil
}

// recover reads the folder and puts right what an interrupted run left.
func (c *Collector) recover() error {
	if err := c.removeUnfinished(); err != nil {
		return err
	}
	if err := c.readNumbers(); err != nil {
		return err
	}
	if err := errors.Join(c.readHeads(), c.readClosed()); err != nil {
		return err
	}
	c.entries = map[uint64]*entry{}
	list, err := numbersIn(c.path(packFolder), "json")
	if err != nil {
		return err
	}
	for _, n := range list {
		if moved, err := c.finishArchiving(n); err != nil || moved {
			if err != nil {
				return err
			}
			continue
		}
		s, err := c.sidecar(n)
		if err != nil {
			return err
		}
		e, heads, err := newEntry(s)
		if err != nil {
			return err
		}
		if err := readStored(c.statePath(n), &e.at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		c.adopt(e, heads)
	}
	return nil
}

// removeUnfinished removes what never became final: temporary files, and packs without a sidecar, whose numbers
// are unused again. Their content is still where it came from: nobody was told that it was sealed.
func (c *Collector) removeUnfinished() error {
	var stale []string
	for _, pattern := range []string{"*.new", packFolder + "/*.new", provenFolder + "/*.new"} {
		found, err := filepath.Glob(c.path(pattern))
		if err != nil {
			return spoolFailed(err)
		}
		stale = append(stale, found...)
	}
	packs, err := numbersIn(c.path(packFolder), "pack")
	if err != nil {
		return err
	}
	for _, n := range packs {
		_, live := os.Lstat(c.sidePath(n))
		_, archived := os.Lstat(c.path(provenFolder, packName(n, "json")))
		if errors.Is(live, fs.ErrNotExist) && errors.Is(archived, fs.ErrNotExist) {
			stale = append(stale, c.packPath(n))
		}
	}
	for _, path := range stale {
		if err := c.disk.remove(path); err != nil {
			return err
		}
	}
	return nil
}

// numbersIn lists the pack numbers of the files with an extension.
func numbersIn(folder, ext string) ([]uint64, error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, spoolFailed(err)
	}
	var list []uint64
	for _, f := range files {
		digits, ok := strings.CutSuffix(f.Name(), "."+ext)
		n, err := strconv.ParseUint(digits, 10, 64)
		if ok && err == nil && packName(n, ext) == f.Name() {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list, nil
}

func (c *Collector) sidecar(n uint64) (s sidecar, err error) {
	err = readStored(c.sidePath(n), &s)
	if errors.Is(err, fs.ErrNotExist) {
		err = readStored(c.path(provenFolder, packName(n, "json")), &s)
	}
	if err == nil && s.Number != n {
		err = problem.New(problem.Internal, "a sidecar in the spool has the name of another; restore the folder from its backup")
	}
	return s, err
}

func newEntry(s sidecar) (*entry, map[seal.Unit]head, error) {
	e := &entry{number: s.Number, pack: s.Pack, slots: s.Slots}
	heads := map[seal.Unit]head{}
	for _, b := range s.Batches {
		n, err := b.note(seal.Court)
		if err != nil {
			return nil, nil, err
		}
		e.units = append(e.units, n.Statement.Unit)
		e.names += len(b.Recordings)
		heads[n.Statement.Unit] = head{n.Statement, s.Number}
	}
	e.content = len(s.Batches) > 0
	e.at.Court, e.at.Custodian = make([]string, len(s.Batches)), make([]string, len(s.Batches))
	return e, heads, nil
}

// adopt makes a final pack known: its number is used, its batches are the newest of their units.
func (c *Collector) adopt(e *entry, heads map[seal.Unit]head) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[e.number] = e
	delete(c.handed, e.number)
	for unit, h := range heads {
		if c.heads[unit].statement.Number < h.statement.Number {
			c.heads[unit] = h
		}
	}
}

func (c *Collector) readHeads() error {
	c.heads = map[seal.Unit]head{}
	var list []headLine
	if err := readStored(c.path(headsFile), &list); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, l := range list {
		st, err := seal.ParseStatement(l.Statement)
		if err != nil {
			return err
		}
		c.heads[st.Unit] = head{st, l.Pack}
	}
	return nil
}

// writeHeads keeps where every unit stands. It may run ahead of the archive, never behind it.
func (c *Collector) writeHeads() error {
	c.mu.Lock()
	heads := maps.Clone(c.heads)
	c.mu.Unlock()
	list := []headLine{}
	for _, h := range heads {
		list = append(list, headLine{h.pack, h.statement.Bytes()})
	}
	slices.SortFunc(list, func(a, b headLine) int { return bytes.Compare(a.Statement, b.Statement) })
	b, err := record.Marshal(list)
	if err != nil {
		return err
	}
	return c.disk.replace(c.path(headsFile), b)
}

// saveProgress writes down how far a pack has come.
func (c *Collector) saveProgress(e *entry) error {
	c.saving.Lock() // both keyholders' goroutines write one file
	defer c.saving.Unlock()
	c.mu.Lock()
	b, err := record.Marshal(e.at)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.disk.replace(c.statePath(e.number), b)
}

// archive lets go of proven packs. The pack file goes only after the state that says "proven" is durable; heads are
// durable before a sidecar leaves the folder that recover reads.
func (c *Collector) archive(list []*entry) error {
	if len(list) == 0 {
		return nil
	}
	if err := c.writeHeads(); err != nil {
		return err
	}
	for _, e := range list {
		if err := c.disk.remove(c.packPath(e.number)); err != nil {
			return err
		}
	}
	// Every state is there before any sidecar, which is what finishArchiving goes by.
	if err := c.moveAll(list, "state"); err != nil {
		return err
	}
	if err := c.moveAll(list, "json"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range list {
		delete(c.entries, e.number)
		c.numbers.use(e.number)
	}
	return nil
}

// moveAll moves a file of each pack to the archive, durably.
func (c *Collector) moveAll(list []*entry, ext string) error {
	for _, e := range list {
		if err := c.disk.move(c.path(packFolder, packName(e.number, ext)), c.path(provenFolder, packName(e.number, ext))); err != nil {
			return err
		}
	}
	return c.disk.syncFolder(c.path(provenFolder))
}

// finishArchiving moves a sidecar whose state is in the archive already.
func (c *Collector) finishArchiving(n uint64) (moved bool, err error) {
	if _, err := os.Lstat(c.path(provenFolder, packName(n, "state"))); err != nil {
		return false, nil
	}
	// heads.json was written before the state moved.
	return true, c.disk.rename(c.sidePath(n), c.path(provenFolder, packName(n, "json")))
}
