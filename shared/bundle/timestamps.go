package bundle

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/stamp"
)

// Timestamp is an element of data/timestamps.json: a token over a checkpoint, the log entry that pins it, and that packs of the bundle stand under
// just this checkpoint, which may be older or newer than those of their own proofs.
type Timestamp struct {
	Checkpoint string    `json:"checkpoint"` // signed note
	Covers     []Covered `json:"covers"`     // every pack of the bundle that the checkpoint's tree holds, by number; at least one
	Number     uint64    `json:"number"`
	Pin        LogProof  `json:"pin"`
	Token      []byte    `json:"token"`
}

// Covered is a pack with the path from its entry, whose index its own proof has, to the root of the stamped checkpoint.
type Covered struct {
	Pack uint64 `json:"pack"`
	Path []byte `json:"path"` // 32 bytes each
}

// maxStamps is how many timestamps a bundle takes: each authority's one, and room for more of them.
const maxStamps = 64

// ShownStamp is a timestamp of a verified bundle.
type ShownStamp struct {
	Authority  string    `json:"authority"`
	Time       time.Time `json:"time"`     // the packs stood in the log by then
	Accuracy   string    `json:"accuracy"` // as the authority states it
	Number     uint64    `json:"number"`
	Recordings int       `json:"recordings"` // all of whose packs it covers
	Ends       time.Time `json:"certificateEnds"`
	Ended      bool      `json:"ended,omitempty"` // by the verifier's clock: by itself it shows nothing any more
	Pinned     time.Time `json:"pinned"`          // the witnesses saw its entry by then
}

// place is where a pack's event stands in the log.
type place struct {
	entry ledger.Entry
	index int64
}

// placesOf reads where the packs of recordings stand, by number. Their proofs are verified elsewhere.
func placesOf(list []Recording) (map[uint64]place, error) {
	out := map[uint64]place{}
	for _, r := range list {
		for _, p := range r.Packs {
			event, entry, err := OpenPackEvent(p.Event, p.Random)
			if err != nil {
				return nil, err
			}
			proof, err := ledger.ParseProof([]byte(p.Proof))
			if err != nil {
				return nil, err
			}
			if before, known := out[event.Number]; known && before != (place{entry, proof.Index}) {
				return nil, denied("the bundle shows two packs of one number")
			}
			out[event.Number] = place{entry, proof.Index}
		}
	}
	return out, nil
}

// under lists the packs that a tree of size entries holds, by number.
func under(packs map[uint64]place, size int64) (numbers []uint64) {
	for _, n := range slices.Sorted(maps.Keys(packs)) {
		if packs[n].index < size {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// later counts the recordings that have a pack beyond a tree of size entries.
func later(list []Recording, size int64) (n int) {
	for _, r := range list {
		packs, err := placesOf([]Recording{r})
		if err != nil || len(under(packs, size)) < len(packs) {
			n++
		}
	}
	return n
}

// readTimestamps verifies every timestamp in the bundle: its token under an authority that the trust file names, that the log pinned it, and by
// paths of their own that the packs stand under the checkpoint that was stamped.
func (v *opened) readTimestamps() error {
	if !v.x.Timestamps {
		return nil
	}
	var list []Timestamp
	if err := v.read(timestampsPath, &list, maxIndex); err != nil {
		return err
	}
	if len(list) == 0 || len(list) > maxStamps {
		return denied("a bundle that says it has timestamps has at least one, and at most %d", maxStamps)
	}
	packs, err := placesOf(v.x.Recordings)
	if err != nil {
		return err
	}
	verifier, err := stamp.New(v.trust.Authorities, v.verifier)
	if err != nil {
		return err
	}
	for i, t := range list {
		if i > 0 && list[i-1].Number >= t.Number {
			return denied("the timestamps of a bundle are in the order of their numbers, each once")
		}
		facts, err := v.readTimestamp(verifier, t, packs)
		if err != nil {
			return err
		}
		v.stamped = max(v.stamped, facts.Size)
	}
	return nil
}

func (v *opened) readTimestamp(verifier *stamp.Verifier, t Timestamp, packs map[uint64]place) (stamp.Facts, error) {
	if len(t.Pin.Random) != 32 {
		return stamp.Facts{}, denied("an opening's randomness is exactly 32 bytes")
	}
	s := stamp.Stamp{Number: t.Number, Checkpoint: []byte(t.Checkpoint), Token: t.Token, Event: t.Pin.Event, Random: [32]byte(t.Pin.Random)}
	facts, err := verifier.VerifyRenewed(s, nil, v.options.Now)
	ended := errors.Is(err, stamp.ErrEnded)
	if err != nil && !ended {
		return facts, err
	}
	pinned, err := t.Pin.Witnessed(v.verifier)
	if err != nil {
		return facts, err
	}
	tree, err := v.verifier.Verify(s.Checkpoint)
	if err != nil {
		return facts, err
	}
	if err := t.covers(tree.Tree, packs); err != nil {
		return facts, err
	}
	v.report.Timestamps = append(v.report.Timestamps, ShownStamp{Authority: facts.Authority, Time: facts.Time.UTC(), Accuracy: facts.Accuracy.String(), Number: t.Number,
		Recordings: len(v.x.Recordings) - later(v.x.Recordings, facts.Size), Ends: facts.Ends.UTC(), Ended: ended, Pinned: pinned.Earliest.UTC()})
	return facts, nil
}

// covers checks that the timestamp leads from every pack that its tree holds to the tree's root, and from at least one.
func (t Timestamp) covers(tree ledger.Tree, packs map[uint64]place) error {
	want := under(packs, tree.Size)
	same := slices.EqualFunc(want, t.Covers, func(n uint64, c Covered) bool { return n == c.Pack })
	if !same || len(want) == 0 {
		return incomplete("a timestamp does not show for each pack of the bundle whether the stamped log holds it")
	}
	for _, c := range t.Covers {
		path, ok := pathOf(c.Path)
		if !ok {
			return denied("a path to a stamped checkpoint has no form")
		}
		if err := tree.CheckInclusion(packs[c.Pack].entry.Leaf(), packs[c.Pack].index, path); err != nil {
			return err
		}
	}
	return nil
}

func pathOf(raw []byte) (path []tlog.Hash, ok bool) {
	for h := range slices.Chunk(raw, tlog.HashSize) {
		if len(h) < tlog.HashSize {
			return nil, false
		}
		path = append(path, tlog.Hash(h))
	}
	return path, true
}

// concludeTimestamps says what the authorities' word shows. What an ended certificate stands behind may have been made by whoever got its key since.
func (v *opened) concludeTimestamps(add func(list *[]string, format string, args ...any)) {
	for _, t := range v.report.Timestamps {
		said := fmt.Sprintf("the packs that the index names for %s stood in the log by %s, by the word of the time-stamping authority %q", count(t.Recordings, "recording"), t.Time.Format(time.RFC3339), t.Authority)
		if t.Ended {
			add(&v.report.NotShown, "that %s: a certificate behind it ended on %s, and only a later timestamp that covers it shows it still", said, t.Ends.Format(time.DateOnly))
		} else {
			add(&v.report.Shown, "%s", said)
		}
	}
}

// StampSource is where timestamps are, and the log that pins them: a vault.
type StampSource interface {
	// Stamps lists timestamps from a number on, one answer's worth, and the lowest number that was never given.
	Stamps(ctx context.Context, from uint64) ([]stamp.Stamp, uint64, error)
	// Proof gives an entry's proof. Errors: problem.Conflict while the entry is on its way.
	Proof(ctx context.Context, entry ledger.Entry) ([]byte, error)
	// Tile gives a tile of the log by its path.
	Tile(ctx context.Context, path string) ([]byte, error)
}

// AddTimestamps takes from a vault what bounds the age of the bundle's recordings best: each authority's first timestamp that covers all of them, or, if there is
// none yet, its last that covers some. To be called when the recordings are gathered. An installation without timestamps gets none, and the bundle says so.
func (in *Source) AddTimestamps(ctx context.Context, trust *record.Trust, from StampSource, now time.Time) error {
	if len(trust.Authorities) == 0 {
		return nil
	}
	c, err := newChooser(ctx, in, trust, from, now)
	if err != nil {
		return err
	}
	_, next, err := from.Stamps(ctx, 1<<62)
	if err != nil || next <= 1 {
		return err
	}
	first, err := c.firstOver(next)
	if err != nil {
		return err
	}
	early, err := c.page(first)
	if err != nil {
		return err
	}
	late, err := c.page(max(1, next-min(next, 16)))
	if err != nil {
		return err
	}
	slices.Reverse(late)
	for _, s := range slices.Concat(early, late) {
		if err := c.consider(s); err != nil {
			return err
		}
	}
	in.stamped = c.stamped
	in.Timestamps = slices.SortedFunc(maps.Values(c.chosen), func(a, b Timestamp) int { return cmp.Compare(a.Number, b.Number) })
	return nil
}

// chooser is an AddTimestamps under way.
type chooser struct {
	ctx      context.Context
	from     StampSource
	now      time.Time
	log      *ledger.Verifier
	verifier *stamp.Verifier
	packs    map[uint64]place
	last     int64                // index of the last pack
	chosen   map[string]Timestamp // by authority
	stamped  int64                // size of the largest tree of these
	pages    map[uint64][]stamp.Stamp
	tiles    map[string][]byte
}

func newChooser(ctx context.Context, in *Source, trust *record.Trust, from StampSource, now time.Time) (*chooser, error) {
	c := &chooser{ctx: ctx, from: from, now: now, chosen: map[string]Timestamp{}, pages: map[uint64][]stamp.Stamp{}, tiles: map[string][]byte{}}
	var err error
	if c.log, err = ledger.VerifierOf(trust); err != nil {
		return nil, err
	}
	if c.verifier, err = stamp.New(trust.Authorities, c.log); err != nil {
		return nil, err
	}
	if c.packs, err = placesOf(in.recordings()); err != nil {
		return nil, err
	}
	for _, p := range c.packs {
		c.last = max(c.last, p.index)
	}
	return c, nil
}

// firstOver searches for the first timestamp whose tree holds every pack; next if there is none. Timestamps are numbered as they were kept, so their trees grow,
// but for neighbours of one hour: whether one covers is judged again.
func (c *chooser) firstOver(next uint64) (uint64, error) {
	var failed error
	n := sort.Search(int(next-1), func(i int) bool {
		page, err := c.page(uint64(i) + 1)
		if err == nil && len(page) == 0 {
			err = problem.New(problem.Invalid, "the vault's list of timestamps is not whole; tell its operator")
		}
		if err != nil {
			failed = err
			return true
		}
		tree, err := c.log.Verify(page[0].Checkpoint)
		if err != nil {
			failed = err
		}
		return err != nil || tree.Size > c.last
	})
	return uint64(n) + 1, failed
}

func (c *chooser) page(from uint64) ([]stamp.Stamp, error) {
	if list, known := c.pages[from]; known {
		return slices.Clone(list), nil
	}
	list, _, err := c.from.Stamps(c.ctx, from)
	if err == nil {
		c.pages[from] = slices.Clone(list)
	}
	return list, err
}

// consider takes a timestamp if its authority has none yet and the log has pinned it.
func (c *chooser) consider(s stamp.Stamp) error {
	facts, err := c.verifier.VerifyRenewed(s, nil, c.now)
	if errors.Is(err, ledger.ErrUnknownRoots) {
		return nil // of an authority that was replaced: the trust file in force does not name it
	}
	if err != nil && !errors.Is(err, stamp.ErrEnded) {
		return err
	}
	covered := under(c.packs, facts.Size)
	if _, have := c.chosen[facts.Authority]; have || len(covered) == 0 {
		return nil
	}
	proof, err := c.from.Proof(c.ctx, s.Entry())
	if problem.KindOf(err) == problem.Conflict && err != nil {
		return nil // its entry is on its way
	}
	if err != nil {
		return err
	}
	t := Timestamp{Checkpoint: string(s.Checkpoint), Number: s.Number, Pin: LogProof{Event: s.Event, Proof: string(proof), Random: s.Random[:]}, Token: s.Token}
	newer, err := t.Pin.Witnessed(c.log)
	if err != nil {
		return err
	}
	stamped, err := c.log.Verify(s.Checkpoint)
	if err != nil {
		return err
	}
	// The tiles of the newer tree, whose last ones are still there, have every hash of the older one.
	hashes := ledger.Reader(newer.Tree, c.tile)
	for _, n := range covered {
		path, err := ledger.ProveInclusion(stamped.Tree, c.packs[n].index, hashes)
		if err != nil {
			return err
		}
		var raw bytes.Buffer
		for _, h := range path {
			raw.Write(h[:])
		}
		t.Covers = append(t.Covers, Covered{Pack: n, Path: raw.Bytes()})
	}
	c.chosen[facts.Authority], c.stamped = t, max(c.stamped, facts.Size)
	return t.covers(stamped.Tree, c.packs)
}

func (c *chooser) tile(t ledger.Tile) ([]byte, error) {
	path := t.Path()
	if raw, have := c.tiles[path]; have {
		return raw, nil
	}
	raw, err := c.from.Tile(c.ctx, path)
	if err == nil {
		c.tiles[path] = raw
	}
	return raw, err
}
