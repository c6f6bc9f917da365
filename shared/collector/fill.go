package collector

import (
	"context"
	"io"
	"math"
	"slices"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// lookAhead is how much of content with unknown length is read to see whether it ends there.
const lookAhead = 256 << 10

// filler fills one pack after another. Its invariant: the recording that is running may leave the pack only if its batch has
// no ended recording, because a batch is signed in the pack in which its recordings ended.
type filler struct {
	*session
	ctx      context.Context
	pack     *draft // nil when none is begun
	batch    *openBatch
	running  bool
	heads    map[seal.Unit]head // of packs that are filled but perhaps not final
	last     uint64             // number of the newest pack
	segments *seal.Segmenter
	look     []byte
	held     int // bytes of the pack kept for descriptors
}

// openBatch is the batch that the next recording of its unit joins.
type openBatch struct {
	*seal.Batch
	keys        *unitKeys
	vouch       func(record.Made) (string, error) // of a reader's only item
	descriptors []seal.Descriptor
	lines       []recordingLine
	items       []int
	room        int // bytes of its descriptors, without the trailer
}

// area is the room that the batch takes in its pack with one more descriptor of the size; 0 for none.
func (b *openBatch) area(unit seal.Unit, descriptor int) int {
	n, room := 0, 0
	if b != nil {
		n, room = len(b.descriptors), b.room
	}
	if descriptor > 0 {
		n++
	}
	if n == 0 {
		return 0
	}
	return room + descriptor + seal.TrailerSize(unit, n)
}

func (b *openBatch) ended() int {
	if b == nil {
		return 0
	}
	return len(b.descriptors)
}

// add seals one item's content.
func (f *filler) add(j *job) error {
	src, size, closer, err := f.open(j)
	if err != nil {
		return err
	}
	defer closer.Close() // it was read to its end; nothing depends on closing
	length, err := descriptionSize(j.Description, size)
	if err != nil {
		return err
	}
	if f.batch != nil && (f.batch.vouch != nil || j.Vouch != nil) {
		if err := f.closeBatch(); err != nil {
			return err
		}
	}
	if err := f.makeRoom(j.group.keys, size, length); err != nil {
		return err
	}
	if f.batch == nil {
		b, err := seal.NewBatch(j.group.keys.unit, j.group.keys.court, j.group.keys.custodian)
		if err != nil {
			return err
		}
		f.batch = &openBatch{Batch: b, keys: j.group.keys, vouch: j.Vouch}
	}
	f.running = true
	defer func() { f.running = false }()
	return f.sealOne(j, src, size, length)
}

// descriptionSize bounds the description's bytes before digest and length are known.
func descriptionSize(d record.Description, size int64) (int, error) {
	d.Digest, d.Length = make([]byte, 32), size
	if size < 0 {
		d.Length = seal.MaxContentSize
	}
	b, err := record.Marshal(d)
	return len(b), err
}

// makeRoom sees to it that the current pack and batch can take a recording: whole if it fits; else it begins a batch of its own, and
// where little is left of the pack, a pack.
func (f *filler) makeRoom(keys *unitKeys, size int64, description int) error {
	if f.batch != nil && (f.batch.keys.unit != keys.unit || f.batch.ended() == seal.MaxMembers) {
		if err := f.closeBatch(); err != nil {
			return err
		}
	}
	if f.pack == nil {
		if err := f.begin(); err != nil {
			return err
		}
	}
	if f.fits(keys.unit, size, description) {
		return nil
	}
	if err := f.closeBatch(); err != nil {
		return err
	}
	if f.worthSpanning(size, description, keys.unit) {
		return nil
	}
	if err := f.turn(); err != nil {
		return err
	}
	return f.begin()
}

func (f *filler) free() int { return f.pack.builder.Free() + f.held }

// fits says whether a recording goes whole, with its descriptor, into the current batch or a new one in this pack.
func (f *filler) fits(unit seal.Unit, size int64, description int) bool {
	if size < 0 {
		return f.batch.ended() == 0 && f.pack.builder.FreeSlots() > 0 && f.free() > f.batch.area(unit, seal.DescriptorSize(1, description))+2*lookAhead
	}
	if f.batch.ended() == 0 && f.pack.builder.FreeSlots() == 0 {
		return false
	}
	need := int64(f.batch.area(unit, seal.DescriptorSize(1, description))) + seal.SealedLength(size)
	return need <= int64(f.free())
}

// worthSpanning is false when the rest of the pack is better left to filler: no slot is left, or less than a 64th of the pack.
func (f *filler) worthSpanning(size int64, description int, unit seal.Unit) bool {
	fresh := f.batch.area(unit, seal.DescriptorSize(1, description))
	if f.pack.builder.FreeSlots() == 0 || f.free() < fresh+seal.SealedSegmentSize {
		return false
	}
	return f.free() >= f.c.geometry.BodySize()/64
}

// hold keeps room for the descriptors of the open batch, with one more of the size.
func (f *filler) hold(descriptor int) error {
	n := 0
	if f.batch != nil {
		n = f.batch.area(f.batch.keys.unit, descriptor)
	}
	if err := f.pack.builder.Hold(n); err != nil {
		return err
	}
	f.held = n
	return nil
}

// sealOne encrypts the content into the pack, and into following packs if it does not fit.
func (f *filler) sealOne(j *job, src io.Reader, size int64, description int) error {
	rec, err := f.batch.Recording()
	if err != nil {
		return err
	}
	defer rec.Erase()
	enc, err := rec.Encryptor()
	if err != nil {
		return err
	}
	var places seal.Places
	// One run now, and one more with every pack that the recording reaches.
	if err := f.hold(seal.DescriptorSize(1, description)); err != nil {
		return err
	}
	var failed error // of ours, as opposed to the source's
	err = f.segments.Each(src, func(plain []byte, last bool) error {
		places, failed = f.segment(enc, places, plain, last, size, description)
		return failed
	})
	if err != nil && failed == nil {
		err = unreadable(err)
	}
	if err == nil && size >= 0 && enc.Size() != size {
		err = changed()
	}
	if err != nil {
		return err
	}
	return f.describe(j, rec, enc.Size(), places)
}

func changed() error {
	return &itemError{problem.New(problem.Invalid, "the content has another length than the file had; it was not sealed: wait until the file is complete and seal it again")}
}

// segment seals one segment, turning to the next pack as often as needed.
func (f *filler) segment(enc *seal.Encryptor, places seal.Places, plain []byte, last bool, size int64, description int) (seal.Places, error) {
	if err := f.ctx.Err(); err != nil {
		return places, problem.Wrap(problem.Unavailable, err, "sealing was stopped; seal the rest again")
	}
	if size >= 0 && enc.Size()+int64(len(plain)) > size {
		return places, changed()
	}
	run, rest, err := f.pack.builder.AppendSegment(enc, plain, last)
	places = places.Add(run)
	for err == nil && len(rest) > 0 {
		// rest lies in the old builder's own buffer, which finishing does not touch.
		if err = f.turn(); err == nil {
			err = f.begin()
		}
		if err == nil {
			err = f.hold(seal.DescriptorSize(len(places)+1, description))
		}
		if err == nil {
			run, rest, err = f.pack.builder.Append(rest)
			places = places.Add(run)
		}
	}
	if err != nil {
		return places, err
	}
	f.done += int64(len(plain)) // begin reserves numbers for what is left
	if f.progress != nil {
		f.progress(f.done, max(f.total, f.done))
	}
	return places, nil
}

// describe ends the recording: from here on its batch ends in this pack.
func (f *filler) describe(j *job, rec *seal.Recording, length int64, places seal.Places) error {
	digest, err := rec.ContentDigest()
	if err != nil {
		return err
	}
	j.Description.Digest, j.Description.Length = digest[:], length
	text, err := record.Marshal(j.Description)
	if err != nil {
		return err
	}
	d, err := rec.Describe(places, text)
	if err != nil {
		return err
	}
	b := f.batch
	packs := packsOf(places)
	b.descriptors = append(b.descriptors, d)
	b.room += seal.DescriptorSize(len(places), len(text))
	b.lines = append(b.lines, recordingLine{record.ID(rec.ID()), j.Description.Name, packs})
	b.items = append(b.items, j.index)
	r := &f.results[j.index]
	r.Recording, r.Batch, r.Unit, r.Length, r.Packs = record.ID(rec.ID()), record.ID(b.ID()), b.Unit(), length, packs
	return f.hold(0)
}

func packsOf(places seal.Places) []uint64 {
	var list []uint64
	for _, r := range places {
		list = append(list, r.Pack)
	}
	return slices.Compact(list)
}

// closeBatch signs the current batch into the pack. One without ended recordings is kept while it runs, and else forgotten.
func (f *filler) closeBatch() error {
	b := f.batch
	if b == nil || f.running {
		return nil
	}
	f.batch = nil
	if len(b.descriptors) == 0 {
		b.Erase()
		return f.hold(0)
	}
	unit := b.Unit()
	before, ok := f.heads[unit]
	if !ok {
		f.c.mu.Lock()
		before = f.c.heads[unit]
		f.c.mu.Unlock()
	}
	signed, err := b.Sign(f.c.cfg.Signer.Ed25519(), before.statement, b.descriptors)
	if err != nil {
		return err
	}
	defer signed.Erase()
	run, err := f.pack.builder.AppendWhole(signed.Area)
	if err != nil {
		return err
	}
	slot, err := signed.Slot(run)
	if err != nil {
		return err
	}
	if err := f.pack.builder.AddSlot(b.keys.find, slot); err != nil {
		return err
	}
	court, err := signed.Note(seal.Court)
	if err != nil {
		return err
	}
	act, err := b.vouched(signed.Statement)
	if err != nil {
		return err
	}
	f.pack.side.Batches = append(f.pack.side.Batches, batchLine{Act: act, Before: before.pack, Custodian: b.Sealed(seal.Custodian), Note: court.Bytes(), Recordings: b.lines})
	f.pack.done = append(f.pack.done, b.items...)
	f.heads[unit] = head{signed.Statement, f.pack.side.Number}
	return f.hold(0)
}

// vouched gives the act that goes with a reader's batch, "" for a collector's.
func (b *openBatch) vouched(st seal.Statement) (string, error) {
	if b.vouch == nil {
		return "", nil
	}
	return b.vouch(record.Made{Batch: record.ID(st.Batch), Compartment: st.Unit.Compartment, Recording: b.lines[0].ID, Statement: record.Digest(st.Hash())})
}

// begin starts the next pack under the next reserved number.
func (f *filler) begin() error {
	left := (f.total - f.done) / int64(f.c.geometry.BodySize())
	n, err := f.c.takeNumber(f.ctx, f.last, min(left, math.MaxInt32))
	if err != nil {
		return err
	}
	b, err := f.line.builder()
	if err == nil {
		err = b.Start(n)
	}
	if err != nil {
		f.c.giveBack(n)
		return err
	}
	f.pack, f.last, f.held = &draft{builder: b, side: sidecar{Number: n}}, n, 0
	return nil
}

// turn closes the pack and hands it on.
func (f *filler) turn() error {
	if err := f.closeBatch(); err != nil {
		return err
	}
	if f.running && f.batch.ended() > 0 {
		return problem.New(problem.Internal, "a recording outgrew the room that was kept for it")
	}
	d := f.pack
	f.pack = nil
	return f.line.hand(d)
}

// flush finishes the pack in hand, if there is anything in it.
func (f *filler) flush() error {
	if f.pack == nil {
		return f.abandon()
	}
	if err := f.closeBatch(); err != nil {
		return err
	}
	if len(f.pack.side.Batches) == 0 {
		return f.abandon()
	}
	return f.turn()
}

// abandon forgets the pack in hand. Nobody was told of anything in it.
func (f *filler) abandon() error {
	if f.batch != nil {
		f.batch.Erase()
		f.batch = nil
	}
	if f.pack != nil {
		f.c.giveBack(f.pack.side.Number)
		f.pack = nil
	}
	return nil
}
