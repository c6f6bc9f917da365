package keyholder

import (
	"context"
	"crypto/hpke"
	"errors"
	"fmt"
	"iter"
	"slices"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
)

// collectorRow is where a collector stands in a unit: the next batch must name this one.
type collectorRow struct {
	Closed    bool          `json:"closed,omitzero"` // none will come: the collector's word
	Number    uint64        `json:"number"`
	Statement record.Digest `json:"statement"`
}

func batchName(id record.ID) string { return "batch/" + id.String() }

func batchOfName(u seal.Unit, n int64) string { return fmt.Sprintf("batchof/%s/%d", unitID(u), n) }

func authorName(u seal.Unit, collector record.KeyID) string {
	return "author/" + unitID(u).String() + "/" + collector.String()
}

// filing is a note on its way.
type filing struct {
	raw  []byte
	note *seal.Note
	hash record.Digest // of the signed statement
	err  error         // why it was refused
}

// What one transaction holds: six writes to a note, and bytes of notes well under the limit of a commit.
const (
	notesAtOnce     = store.MaxRows / 6
	noteBytesAtOnce = 2 << 20
)

// FileNotes stores batch notes and gives a signed receipt for each. Their author is an enrolled collector in service, or a person who has filed an
// act that names the very batch (see made.go). A note is refused when its signature or members do not verify, when its half does not open with this keyholder's unit key, or when a
// batch of the same author and unit is missing before it. Filing the same note again gives a receipt again. Notes are filed in their order, those of one
// transaction all or none; one that is refused has its reason in refused, nil for the others, and keeps none from being filed. When all are refused, the
// error is the first reason.
func (k *Keyholder) FileNotes(ctx context.Context, collector Person, raws ...[]byte) (receipts []string, refused []error, err error) {
	if !collector.Enrolment.Of(record.Collector) && !collector.makes() {
		return nil, nil, problem.New(problem.Denied, "only an enrolled collector files batch notes, and of what they sealed themselves the people of a case")
	}
	list, err := k.checkNotes(ctx, collector, raws)
	if err != nil {
		return nil, nil, err
	}
	for some := range transactions(list) {
		if err := k.storeNotes(ctx, collector, some); err != nil {
			return nil, nil, err
		}
	}
	return k.receipts(ctx, list)
}

// transactions cuts what passed its checks into what one transaction holds.
func transactions(list []*filing) iter.Seq[[]*filing] {
	return func(yield func([]*filing) bool) {
		var some []*filing
		size := 0
		for _, f := range list {
			if f.err != nil {
				continue
			}
			if len(some) == notesAtOnce || len(some) > 0 && size+len(f.raw) > noteBytesAtOnce {
				if !yield(some) {
					return
				}
				some, size = nil, 0
			}
			some, size = append(some, f), size+len(f.raw)
		}
		if len(some) > 0 {
			yield(some)
		}
	}
}

// receipts signs for what is on file, after the log has it.
func (k *Keyholder) receipts(ctx context.Context, list []*filing) (receipts []string, refused []error, err error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return nil, nil, err
	}
	receipts, refused = make([]string, len(list)), make([]error, len(list))
	var cases, held []record.Digest
	for i, f := range list {
		if refused[i] = f.err; f.err == nil {
			cases, held = append(cases, f.note.Statement.Unit.Order), append(held, f.hash)
		}
	}
	if len(held) == 0 {
		return nil, nil, refused[0]
	}
	if err := k.post(ctx, cases...); err != nil {
		return nil, nil, err
	}
	signed, err := record.SignReceipts(k.voice().signer, k.now(), record.Receipt{Audience: trust.Hash, Issued: k.now(), Party: string(k.cfg.Party)}, held...)
	if err != nil {
		return nil, nil, err
	}
	for i, f := range list {
		if f.err == nil {
			receipts[i], signed = signed[0], signed[1:]
		}
	}
	return receipts, refused, nil
}

// FileRefusal journals a collector's report that something outside the order was delivered and not sealed. Filing it again changes nothing.
func (k *Keyholder) FileRefusal(ctx context.Context, raw string) error {
	trust, err := k.Trust(ctx)
	if err != nil {
		return err
	}
	var r record.Refusal
	st, author, err := k.openSigned(ctx, trust, raw, record.TypeRefusal, &r)
	if err != nil {
		return err
	}
	if !author.Enrolment.Of(record.Collector) {
		return problem.New(problem.Denied, "only an enrolled collector reports what it refused")
	}
	if err := errors.Join(trust.addressed(r.Audience), record.CheckText(r.Reason)); err != nil {
		return err
	}
	if _, err := k.chain(ctx, r.Chain); err != nil {
		return err
	}
	return k.act(ctx, r.Chain, func(c *change) error {
		name := nonceName(author.ID, r.Nonce)
		var before record.Digest
		if found, err := c.load(name, &before); err != nil || found {
			return err
		}
		if err := c.put(name, st.Hash); err != nil {
			return err
		}
		_, err := c.journal(r.Chain, record.EventRefused, record.StatementEvent{By: author.ID, Enrolment: author.Enrolled, Reason: r.Reason, Statement: raw})
		return err
	})
}

// checkNotes parses notes and verifies them, each for itself.
func (k *Keyholder) checkNotes(ctx context.Context, collector Person, raws [][]byte) ([]*filing, error) {
	if len(raws) == 0 || len(raws) > wire.MaxNotes {
		return nil, problem.New(problem.Invalid, "one call files 1 to %d batch notes", wire.MaxNotes)
	}
	var list, passed []*filing
	for _, raw := range raws {
		f := &filing{raw: raw}
		if f.note, f.err = k.checkNote(collector, raw); f.err == nil {
			f.hash = record.Digest(f.note.Statement.Hash())
			f.err = k.vouched(ctx, collector, f)
		}
		if !refusesOne(f.err) {
			return nil, f.err
		}
		if f.err == nil {
			passed = append(passed, f)
		}
		list = append(list, f)
	}
	return list, k.openHere(ctx, passed)
}

func (k *Keyholder) checkNote(collector Person, raw []byte) (*seal.Note, error) {
	note, err := seal.ParseNote(raw)
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the batch note is malformed or was altered; send it again from the spool")
	}
	if note.Role != k.cfg.Party {
		return nil, problem.New(problem.Invalid, "the batch note is for the other keyholder")
	}
	if err := note.Verify(collector.Enrolment.Key.Ed25519()); err != nil {
		return nil, problem.Wrap(problem.Denied, err, "the batch note was not signed by this collector, or was altered")
	}
	return note, nil
}

// openHere makes sure that what is promised to be openable is: with an unopenable half on file the recording would be
// lost without anybody noticing until a judge asks for it. Ring pages are opened once for all notes, and forgotten.
func (k *Keyholder) openHere(ctx context.Context, list []*filing) error {
	var names []string
	for _, f := range list {
		names = append(names, unitName(f.note.Statement.Unit))
	}
	units, err := readFound[unitRow](ctx, k, names)
	if err != nil {
		return err
	}
	var pages []int
	for _, unit := range units {
		pages = append(pages, unit.Page)
	}
	kept, err := k.pages(ctx, pages)
	if err != nil {
		return err
	}
	defer kept.forget()
	for i, f := range list {
		unit, ok := units[names[i]]
		if !ok {
			f.err = problem.New(problem.NotFound, "this keyholder has no keys for the unit of the batch; get the unit keys again and seal anew")
			continue
		}
		if f.err = k.checkSecret(f.note, unit, kept); !refusesOne(f.err) {
			return f.err
		}
	}
	return nil
}

func (k *Keyholder) checkSecret(note *seal.Note, unit unitRow, kept opened) error {
	seed, err := kept.take(unit.Page, seedName(note.Statement.Unit))
	if err != nil {
		return err
	}
	key, err := seal.NewUnitKey(seed)
	if err != nil {
		return err
	}
	secret, err := openBatch(note, k.cfg.Party, key)
	if err != nil {
		return err
	}
	defer clear(secret[:])
	return note.CheckSecret(secret)
}

func openBatch(note *seal.Note, party seal.Role, key hpke.PrivateKey) (seal.BatchSecret, error) {
	secret, err := seal.OpenBatch(party, key, note.Statement.Batch, note.Statement.Unit, note.Sealed)
	if err != nil {
		return seal.BatchSecret{}, problem.Wrap(problem.Denied, err, "the batch was not sealed to this keyholder's unit key; get the unit keys again and seal anew")
	}
	return secret, nil
}

// storeNotes files notes, list entries and the collector's marks in one transaction. Commit point: after it the batches exist here.
func (k *Keyholder) storeNotes(ctx context.Context, collector Person, list []*filing) error {
	return k.update(ctx, func(c *change) error {
		var names []string
		for _, f := range list {
			u := f.note.Statement.Unit
			names = append(names, batchName(record.ID(f.note.Statement.Batch)), filedName(u), authorName(u, collector.ID), journalName(u.Order))
		}
		if err := c.look(names...); err != nil {
			return err
		}
		for _, f := range list {
			if f.err = c.file(collector, f); !refusesOne(f.err) {
				return f.err
			}
		}
		return nil
	})
}

// file adds one note to the change. What it refuses it refuses before it writes: the other notes of the change go on.
func (c *change) file(collector Person, f *filing) error {
	st := f.note.Statement
	id := record.ID(st.Batch)
	before, err := c.loadBytes(batchName(id))
	if err != nil {
		return err
	}
	if before != nil {
		if string(before) != string(f.raw) {
			return problem.New(problem.Conflict, "another batch with this identifier is on file; seal the batch again")
		}
		return nil
	}
	var unit filedRow
	if found, err := c.load(filedName(st.Unit), &unit); err != nil {
		return err
	} else if !found {
		return lost(nil, "a unit has no count of its batches")
	}
	if unit.Closed {
		return problem.New(problem.Gone, "the unit is closed; nothing more can be filed in it")
	}
	if err := c.follow(st.Unit, collector.ID, st.Number, record.Digest(st.Previous), f.hash); err != nil {
		return err
	}
	unit.Batches++
	if err := c.put(filedName(st.Unit), unit); err != nil {
		return err
	}
	if err := c.put(batchOfName(st.Unit, unit.Batches), id); err != nil {
		return err
	}
	if _, err := c.journal(st.Unit.Order, record.EventNoted, notedEvent(f.note, collector.ID, f.hash)); err != nil {
		return err
	}
	c.putBytes(batchName(id), f.raw)
	return nil
}

// notedEvent is what the journal says of a batch.
func notedEvent(note *seal.Note, collector record.KeyID, hash record.Digest) record.NotedEvent {
	out := record.NotedEvent{
		Batch: record.ID(note.Statement.Batch), Collector: collector, Recordings: make([]record.ID, 0, len(note.Members)),
		Signature: note.Signature[:], Signed: note.Statement.Bytes(), Statement: hash,
	}
	for _, m := range note.Members {
		out.Recordings = append(out.Recordings, record.ID(m.Recording))
	}
	return out
}

// follow holds a batch against the collector's previous one, so that a missing batch shows at once.
func (c *change) follow(u seal.Unit, collector record.KeyID, number uint64, previous, hash record.Digest) error {
	var last collectorRow
	if _, err := c.load(authorName(u, collector), &last); err != nil {
		return err
	}
	if last.Closed {
		return problem.New(problem.Gone, "the collector has said that nothing more of this unit will come; nothing more is filed")
	}
	if number != last.Number+1 || previous != last.Statement {
		return problem.New(problem.Conflict, "the collector's batch before this one is missing here; file the batches of a unit in their order")
	}
	return c.put(authorName(u, collector), collectorRow{Number: number, Statement: hash})
}

// eachNote gives every note of a unit in the order of filing, until yield returns an error, which is returned.
func (k *Keyholder) eachNote(ctx context.Context, u seal.Unit, yield func(*seal.Note) error) error {
	var unit filedRow
	found, err := k.read(ctx, filedName(u), &unit)
	if err != nil {
		return err
	}
	if !found {
		return lost(nil, "a unit has no count of its batches")
	}
	var names []string
	for n := int64(1); n <= unit.Batches; n++ {
		names = append(names, batchOfName(u, n))
	}
	ids, err := readMany[record.ID](ctx, k, names)
	if err != nil {
		return err
	}
	// A note can fill a row, and an engine may bound an answer: ten at a time.
	for some := range slices.Chunk(ids, 10) {
		names = nil
		for _, id := range some {
			names = append(names, batchName(id))
		}
		rows, err := k.rows.Get(ctx, names...)
		if err != nil {
			return err
		}
		for _, name := range names {
			note, err := seal.ParseNote(rows[name].Value)
			if err != nil {
				return problem.Wrap(problem.Internal, err, "a stored batch note cannot be read; tell the operator: the rows need to be restored")
			}
			if err := yield(note); err != nil {
				return err
			}
		}
	}
	return nil
}
