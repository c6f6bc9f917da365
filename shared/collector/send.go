package collector

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
)

const (
	uploadsAtOnce = 4                // packs on their way to the object store at a time
	proofWait     = 20 * time.Second // how long Flush waits for the log
)

// Flush sends everything that is final, now, and waits until it is proven. Numbers that were reserved and are not
// needed leave as dummy packs, because a gap holds up every mirror. Sending outside the schedule
// tells the vault that something was sealed about now; whoever calls it says so to the user.
// Errors: the first that kept a pack in the spool; what could be sent was.
func (c *Collector) Flush(ctx context.Context) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	var dummies error
	if c.sealing.TryLock() { // a Seal under way will use them
		dummies = c.fillUnused(ctx)
		c.sealing.Unlock()
	}
	return errors.Join(c.send(ctx, c.cfg.Now().Add(proofWait)), dummies, c.reportRefusals(ctx))
}

// Tick is one beat of the constant schedule: every final pack leaves, or a dummy if there is none. It does not
// wait for proofs; a later Tick collects them.
func (c *Collector) Tick(ctx context.Context) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	var dummy error
	if !slices.ContainsFunc(c.waiting(), func(e *entry) bool { return !e.at.Arrived }) {
		dummy = c.tickDummy(ctx)
	}
	return errors.Join(c.send(ctx, time.Time{}), dummy, c.reportRefusals(ctx))
}

// Leave sends what waits as far as it goes without a dummy and without waiting for proofs: the beat of a spool whose machine is not always there.
func (c *Collector) Leave(ctx context.Context) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	return c.send(ctx, time.Time{})
}

// File is Leave for a spool from which another deposits: it files what has arrived, and looks for its proof.
func (c *Collector) File(ctx context.Context) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	list := slices.DeleteFunc(c.waiting(), func(e *entry) bool { return !e.at.Arrived })
	first := errors.Join(c.noteAll(ctx, list), c.proveAll(ctx, list, time.Time{}))
	return errors.Join(first, c.leave(ctx, list))
}

// Deposit uploads what waits, files nothing, and tells how many packs left: the site's tick does it for a reader's spool, whose notes only
// the reader files.
func (c *Collector) Deposit(ctx context.Context) (left int, err error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	before := c.arrived()
	err = c.depositAll(ctx, c.waiting())
	return c.arrived() - before, err
}

// arrived counts the packs of the spool that the vault has.
func (c *Collector) arrived() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		if e.at.Arrived {
			n++
		}
	}
	return n
}

// fillUnused makes a dummy of every reserved number that has no pack.
func (c *Collector) fillUnused(ctx context.Context) error {
	if c.numbers.Pending != nil {
		// The answer to an interrupted reservation is still owed: its numbers would be a gap for ever.
		if err := c.reserve(ctx, c.numbers.Pending.Count); err != nil {
			return err
		}
	}
	for _, n := range c.unused(false) {
		if err := c.makeDummy(n); err != nil {
			return err
		}
	}
	return nil
}

func (c *Collector) tickDummy(ctx context.Context) error {
	if !c.sealing.TryLock() {
		return nil // what is being sealed leaves at the next tick, and its numbers are not ours to fill
	}
	defer c.sealing.Unlock()
	list := c.unused(false)
	if len(list) == 0 {
		if err := c.reserve(ctx, 1); err != nil {
			return err
		}
		list = c.unused(false)
	}
	return c.makeDummy(list[0])
}

// makeDummy makes a pack with nothing in it final. It looks like every other.
func (c *Collector) makeDummy(n uint64) error {
	b, err := seal.NewBuilder(c.geometry, nil)
	if err != nil {
		return err
	}
	if err := b.Start(n); err != nil {
		return err
	}
	d := &draft{builder: b, side: sidecar{Number: n}}
	if d.pack, err = b.Finish(); err == nil {
		_, err = c.makeFinal(d, func() {})
	}
	if err != nil {
		c.discard(d)
	}
	return err
}

// waiting lists the packs in the spool, by number.
func (c *Collector) waiting() []*entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.entries), func(a, b *entry) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
}

// send takes every pack as far as it goes. Every step may be repeated, and what one pack lacks does not hold up others,
// but for the notes of one unit, which are filed in order.
func (c *Collector) send(ctx context.Context, until time.Time) error {
	list := c.waiting()
	first := c.depositAll(ctx, list)
	if err := c.noteAll(ctx, list); first == nil {
		first = err
	}
	if err := c.proveAll(ctx, list, until); first == nil {
		first = err
	}
	if err := c.leave(ctx, list); first == nil {
		first = err
	}
	return first
}

// leave archives what is proven, once both keyholders were told where it lies.
func (c *Collector) leave(ctx context.Context, list []*entry) error {
	told, err := c.tellAll(ctx, slices.DeleteFunc(slices.Clone(list), func(e *entry) bool { return !e.at.Proven }))
	return errors.Join(err, c.archive(told))
}

// trouble remembers why a pack goes no further.
func (c *Collector) trouble(e *entry, err error) {
	c.mu.Lock()
	same := e.at.Trouble == problem.MessageOf(err)
	e.at.Trouble = problem.MessageOf(err)
	c.mu.Unlock()
	if !same {
		_ = c.saveProgress(e) // for List by another process; the reason will come again
	}
}

// advance changes a pack's progress and writes it down.
func (c *Collector) advance(e *entry, change func(*progress)) error {
	c.mu.Lock()
	change(&e.at)
	e.at.Trouble = ""
	c.mu.Unlock()
	return c.saveProgress(e)
}

func (c *Collector) depositAll(ctx context.Context, list []*entry) error {
	var group errgroup.Group // not with a context: one pack's failure does not stop the others
	group.SetLimit(uploadsAtOnce)
	for _, e := range list {
		if e.at.Arrived {
			continue
		}
		group.Go(func() error {
			err := c.deposit(ctx, e, nil)
			if err != nil {
				c.trouble(e, err)
			}
			return err
		})
	}
	return group.Wait()
}

// deposit uploads a pack and confirms it. The digests are those that were computed when the pack was made. pack is its bytes, nil to
// read them from the spool.
func (c *Collector) deposit(ctx context.Context, e *entry, pack []byte) error {
	if !e.at.Uploaded {
		if err := c.upload(ctx, e, pack); err != nil {
			return err
		}
	}
	if err := c.call("arrived"); err != nil {
		return err
	}
	if err := c.cfg.Vault.Arrived(ctx, e.number); err != nil {
		if kind := problem.KindOf(err); e.at.Uploaded && (kind == problem.NotFound || kind == problem.Conflict) {
			return errors.Join(err, c.advance(e, func(p *progress) { p.Uploaded = false })) // it is not there: upload it again
		}
		return err
	}
	return c.advance(e, func(p *progress) { p.Uploaded, p.Arrived = true, true })
}

func (c *Collector) upload(ctx context.Context, e *entry, pack []byte) error {
	if err := c.call("upload"); err != nil {
		return err
	}
	t, err := c.cfg.Vault.Upload(ctx, e.number, e.pack, e.slots)
	if err != nil {
		return err
	}
	if err := c.call("put"); err != nil {
		return err
	}
	if pack != nil {
		err = c.putMemory(ctx, t, pack)
	} else {
		err = c.put(ctx, t, c.packPath(e.number))
	}
	if err != nil {
		// The upload, or one before it, may have landed all the same: the vault looks.
		if c.cfg.Vault.Arrived(ctx, e.number) != nil {
			return err
		}
	}
	// Not written down: what follows at once either confirms it, or finds that it needs to be done again.
	c.mu.Lock()
	defer c.mu.Unlock()
	e.at.Uploaded = true
	return nil
}

// putMemory makes the one request of a transfer from a buffer that nobody reads any more when it returns.
func (c *Collector) putMemory(ctx context.Context, t store.Transfer, pack []byte) error {
	body := &bufferBody{Reader: bytes.NewReader(pack), closed: make(chan struct{})}
	err := c.putBytes(ctx, t, body)
	<-body.closed // a transport that was answered early may still be reading (http.RoundTripper)
	return err
}

// bufferBody tells when the transport is done with it.
type bufferBody struct {
	*bytes.Reader
	once   sync.Once
	closed chan struct{}
}

func (b *bufferBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// put makes the one request of a transfer. It carries no credentials; its headers bind size and checksum.
func (c *Collector) put(ctx context.Context, t store.Transfer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return spoolFailed(err)
	}
	defer f.Close()
	return c.putBytes(ctx, t, f)
}

// noteAll files the notes of every arrived pack, at both keyholders side by side.
func (c *Collector) noteAll(ctx context.Context, list []*entry) error {
	var both errgroup.Group
	for _, role := range []seal.Role{seal.Court, seal.Custodian} {
		both.Go(func() error { return c.noteRole(ctx, role, list) })
	}
	return both.Wait()
}

func (c *Collector) noteRole(ctx context.Context, role seal.Role, list []*entry) (first error) {
	blocked := map[seal.Unit]bool{} // units with an earlier note that is not on file
	for _, e := range list {
		err := c.noteEntry(ctx, role, e, blocked)
		if err != nil {
			c.trouble(e, err)
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (c *Collector) noteEntry(ctx context.Context, role seal.Role, e *entry, blocked map[seal.Unit]bool) error {
	c.mu.Lock() // while sealing goes on, another goroutine deposits
	receipts, arrived := *e.at.receipts(role), e.at.Arrived
	c.mu.Unlock()
	if !slices.Contains(receipts, "") {
		return nil
	}
	if !arrived {
		for _, u := range e.units {
			blocked[u] = true
		}
		return nil // depositing said why
	}
	side, err := c.sidecar(e.number)
	if err != nil {
		return err
	}
	filed := slices.Clone(receipts)
	first := c.noteBatches(ctx, role, e, side, filed, blocked)
	if slices.Equal(filed, receipts) {
		return first
	}
	err = c.advance(e, func(p *progress) { *p.receipts(role) = filed })
	return errors.Join(first, err)
}

// noteBatches files the notes of a pack's batches that have no receipt yet, in their order and several to a call. Where one is refused, the
// unit's later ones wait: their order means something to a keyholder, that of different units does not.
func (c *Collector) noteBatches(ctx context.Context, role seal.Role, e *entry, side sidecar, filed []string, blocked map[seal.Unit]bool) (first error) {
	var some []pendingNote
	size := 0
	file := func() error {
		err := c.fileNotes(ctx, role, some, filed, blocked)
		some, size = nil, 0
		return err
	}
	for i, u := range e.units {
		if filed[i] != "" || blocked[u] {
			continue
		}
		note, err := side.Batches[i].note(role)
		if err != nil {
			return err
		}
		p := pendingNote{place: i, note: note, raw: note.Bytes(), before: side.Batches[i].Before, act: side.Batches[i].Act}
		if len(some) == wire.MaxNotes || size+len(p.raw)+4 > wire.MaxNotesBytes {
			if err := file(); first == nil {
				first = err
			}
		}
		some, size = append(some, p), size+len(p.raw)+4
	}
	if len(some) > 0 {
		if err := file(); first == nil {
			first = err
		}
	}
	return first
}

// pendingNote is a note on its way to a keyholder.
type pendingNote struct {
	place  int // of its batch in the pack
	note   *seal.Note
	raw    []byte
	before uint64 // the pack in which the batch before it lies
	act    string // goes before the note if there is one
}

// fileNotes files notes in one call and verifies the receipts. What was not filed with the others is filed alone, after what it
// follows; the error is the first of what could not be.
func (c *Collector) fileNotes(ctx context.Context, role seal.Role, list []pendingNote, filed []string, blocked map[seal.Unit]bool) (first error) {
	receipts, refused, err := c.callNotes(ctx, role, list)
	if problem.KindOf(err) == problem.Unavailable && err != nil {
		return err // nothing is gained by asking again now
	}
	opened := bundle.NewNoteReceipts(c.trust, c.cfg.Fingerprint, role).Asked(c.cfg.Now())
	for n, p := range list {
		unit := p.note.Statement.Unit
		if blocked[unit] {
			continue
		}
		var receipt string
		err := err
		if err == nil {
			receipt, err = receipts[n], refused[n]
		}
		if err != nil {
			receipt, err = c.fileAlone(ctx, role, p, err, len(list) > 1)
		}
		if err == nil {
			_, err = opened.Open(p.note.Statement, receipt)
		}
		if err == nil {
			filed[p.place] = receipt
			continue
		}
		blocked[unit] = true
		if first == nil {
			first = err
		}
	}
	return first
}

func (c *Collector) callNotes(ctx context.Context, role seal.Role, list []pendingNote) (receipts []string, refused []error, err error) {
	if err := c.call("note"); err != nil {
		return nil, nil, err
	}
	var raws [][]byte
	for _, p := range list {
		if p.act != "" { // filing it again changes nothing
			if err := c.keyholder(role).FileAct(ctx, p.act); err != nil {
				return nil, nil, err
			}
		}
		raws = append(raws, p.raw)
	}
	return c.keyholder(role).FileNotes(ctx, raws...)
}

// fileAlone files a note that was refused, or was in a call that failed as a whole. A keyholder that misses what is before it gets that first.
func (c *Collector) fileAlone(ctx context.Context, role seal.Role, p pendingNote, why error, others bool) (string, error) {
	if problem.KindOf(why) == problem.Conflict && p.note.Statement.Number > 1 {
		if err := c.refile(ctx, role, p.before, p.note.Statement); err != nil {
			return "", err
		}
	} else if !others {
		return "", why
	}
	return c.fileNote(ctx, role, p)
}

func (c *Collector) fileNote(ctx context.Context, role seal.Role, p pendingNote) (string, error) {
	receipts, refused, err := c.callNotes(ctx, role, []pendingNote{p})
	if err != nil {
		return "", err
	}
	return receipts[0], refused[0]
}

// refile files again the notes before a batch, at a keyholder that misses them because it was restored from an older
// backup. It goes back to the first that the keyholder accepts and then forward. The archive keeps every note.
func (c *Collector) refile(ctx context.Context, role seal.Role, pack uint64, after seal.Statement) error {
	var missing []pendingNote
	for after.Number > 1 {
		p, err := c.noteBefore(role, pack, after)
		if err != nil {
			return err
		}
		_, err = c.fileNote(ctx, role, p)
		if err == nil {
			break
		}
		if problem.KindOf(err) != problem.Conflict {
			return err
		}
		missing = append(missing, p)
		pack, after = p.before, p.note.Statement
	}
	for _, p := range slices.Backward(missing) {
		if _, err := c.fileNote(ctx, role, p); err != nil {
			return err
		}
	}
	return nil
}

// noteBefore finds the note that a statement follows, and the pack in which the one before that lies.
func (c *Collector) noteBefore(role seal.Role, pack uint64, after seal.Statement) (p pendingNote, err error) {
	side, err := c.sidecar(pack)
	if err != nil {
		return p, problem.Wrap(problem.Conflict, err, "a keyholder misses earlier batches of this collector, and the spool's archive no longer has them; restore the archive or the keyholder")
	}
	for _, line := range side.Batches {
		note, err := line.note(role)
		if err != nil {
			return p, err
		}
		if after.Follows(note.Statement) {
			return pendingNote{note: note, raw: note.Bytes(), before: line.Before, act: line.Act}, nil
		}
	}
	return p, problem.New(problem.Internal, "the spool's archive does not hold the batch before this one; tell the operator")
}

// proveAll looks for the proof of every arrived pack, until the instant if there is one.
func (c *Collector) proveAll(ctx context.Context, list []*entry, until time.Time) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		first, pending := c.proveOnce(ctx, list)
		if first != nil || !pending {
			return first
		}
		if !c.cfg.Now().Before(until) {
			if until.IsZero() {
				return nil // the next tick looks again
			}
			return problem.New(problem.Unavailable, "the log has not proven every pack yet; they stay in the spool, see arca spool, and try again")
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// proveOnce tries every pack. pending says that some proof may come by waiting.
func (c *Collector) proveOnce(ctx context.Context, list []*entry) (first error, pending bool) {
	listed := map[uint64][2][]byte{}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(uploadsAtOnce)
	for _, e := range list {
		if !e.at.Arrived || e.at.Proven {
			continue
		}
		if err := c.findEvent(ctx, e, listed); err != nil {
			c.trouble(e, err)
			return err, false
		}
		group.Go(func() error {
			err := c.prove(ctx, e)
			if err == nil {
				return nil
			}
			c.trouble(e, err)
			if kind := problem.KindOf(err); kind == problem.Conflict || kind == problem.NotFound {
				mu.Lock()
				defer mu.Unlock()
				pending = true
				return nil
			}
			return err
		})
	}
	return group.Wait(), pending
}

// findEvent gets the opening of the pack's log entry from the vault's list and checks that it says what was sent.
func (c *Collector) findEvent(ctx context.Context, e *entry, listed map[uint64][2][]byte) error {
	if len(e.at.Event) > 0 {
		return nil
	}
	opening, ok := listed[e.number]
	if !ok {
		if err := c.call("packs"); err != nil {
			return err
		}
		answer, err := c.cfg.Vault.Packs(ctx, e.number)
		if err != nil {
			return err
		}
		for _, p := range answer.Packs {
			listed[p.Number] = [2][]byte{p.Event, p.Random}
		}
		if opening, ok = listed[e.number]; !ok {
			// A vault that was set back: deposit it again at the next try.
			lost := c.advance(e, func(p *progress) { p.Uploaded, p.Arrived = false, false })
			return errors.Join(problem.New(problem.Unavailable, "the vault confirmed the pack and does not list it; it stays in the spool and is sent again, tell the vault's operator if this lasts"), lost)
		}
	}
	event, _, err := bundle.OpenPackEvent(opening[0], opening[1])
	if err != nil {
		return err
	}
	if event != (record.PackEvent{Number: e.number, Pack: e.pack, Slots: e.slots}) {
		return problem.New(problem.Denied, "the vault has logged another pack under this number; this one stays in the spool, tell the auditor")
	}
	c.mu.Lock()
	e.at.Event, e.at.Random = opening[0], opening[1]
	c.mu.Unlock()
	return nil
}

// prove verifies the pack's inclusion under a witnessed checkpoint. A pack is proven when both keyholders signed for
// every batch in it, too: only then may its file go.
func (c *Collector) prove(ctx context.Context, e *entry) error {
	p := bundle.LogProof{Event: e.at.Event, Random: e.at.Random, Proof: e.at.Proof}
	if p.Proof == "" {
		_, entry, err := bundle.OpenPackEvent(p.Event, p.Random)
		if err != nil {
			return err
		}
		if err := c.call("proof"); err != nil {
			return err
		}
		proof, err := c.cfg.Vault.Proof(ctx, entry)
		if err != nil {
			return err
		}
		p.Proof = string(proof)
	}
	event, _, err := p.Verify(c.verifier)
	if err != nil {
		return err
	}
	if event.Number != e.number || event.Pack != e.pack || event.Slots != e.slots {
		return problem.New(problem.Internal, "the spool's own record of the pack's event is of another pack")
	}
	noted := !slices.Contains(e.at.Court, "") && !slices.Contains(e.at.Custodian, "")
	if !noted && e.at.Proof != "" {
		return nil // noting said why it goes no further
	}
	return c.advance(e, func(at *progress) {
		trouble := at.Trouble
		at.Proof, at.Proven = p.Proof, noted
		if !noted {
			at.Trouble = trouble
		}
	})
}
