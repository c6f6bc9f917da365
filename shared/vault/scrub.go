package vault

import (
	"context"
	"crypto/rand"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
)

// Scrubbing reads what the vault stores again and holds it against the
// witnessed log, because storage decays and its vendor need not say so. One run
//
//	looks first at what was found damaged before, and at the log's right border, which every proof rests on;
//	draws Draws objects at random, each time from all, so that nobody knows beforehand what will be read;
//	goes on with the pass where the last run stopped: always the object that was read longest ago.
//
// Objects are all packs whose log entry is witnessed and all full tiles and
// entry bundles of the newest witnessed tree. Partial tiles of earlier sizes
// are not: nothing that is true now rests on them.
//
// If a fraction f of all objects is damaged, the k draws of a run find at least
// one of them with probability 1-(1-f)^k (Detection). The pass finds every
// damage within the time that it takes.
const (
	Draws         = 16
	saveEvery     = 64   // objects between two saves of where a pass stands
	maxDamaged    = 1000 // objects that are named; more are counted
	outagesInARow = 3    // unreadable objects after which storage as a whole does not answer
)

// Detection is the probability that k draws find damage to a fraction f of all objects.
func Detection(f float64, k int64) float64 { return 1 - math.Pow(1-f, float64(k)) }

const scrubRow = "scrub"

// Damage is an object that is not what the log says.
type Damage struct {
	Object string    `json:"object"` // key
	Since  time.Time `json:"since"`
	State  string    `json:"state"` // StateMissing and so on
}

// How an object can be wrong.
const (
	StateMissing    = "missing"
	StateDamaged    = "damaged"    // other bytes
	StateUnreadable = "unreadable" // the store does not give it
	StateUnlogged   = "unlogged"   // the vault's own record of the pack is not in the log
)

// ScrubState is the row "scrub": where the pass stands and what was found.
type ScrubState struct {
	At       time.Time `json:"at,omitzero"`    // when the last run saved
	Began    time.Time `json:"began,omitzero"` // this pass
	Damaged  []Damage  `json:"damaged,omitempty"`
	Full     bool      `json:"full,omitzero"`   // asked for: until the pass ends, runs have no byte limit
	Level    int       `json:"level"`           // of the next object of the pass
	Number   int64     `json:"number"`          // of the next object
	Objects  int64     `json:"objects"`         // how many there are
	Passed   time.Time `json:"passed,omitzero"` // when the last whole pass ended
	Drawn    int64     `json:"drawn"`           // in the last run
	Read     int64     `json:"read"`            // bytes, in the last run
	Looked   int64     `json:"looked"`          // objects, in the last run
	Repaired int64     `json:"repaired"`        // objects, in the last run
	Unnamed  int64     `json:"unnamed"`         // found damaged in this pass when the list was full
	version  int64
}

// ScrubOptions say how far a run goes.
type ScrubOptions struct {
	Copy     store.Blobs // a second copy to repair from; nil: none
	Bytes    int64       // the pass reads about so many and stops; 0: no limit
	Full     bool        // begin a whole pass now
	Until    time.Time   // begin no object after this; zero: no limit
	Progress func(looked, objects int64)
}

// object is what one look is at.
type object struct {
	level  int // packLevel, bundleLevel, or a tile's level
	number int64
}

const (
	packLevel   = -2
	bundleLevel = -1
	topLevel    = 7
)

func (o object) tile() ledger.Tile {
	return ledger.Tile{Entries: o.level == bundleLevel, Level: max(o.level, 0), Number: o.number, Width: ledger.TileWidth}
}

func (o object) key() string {
	if o.level == packLevel {
		return seal.PackKey(uint64(o.number))
	}
	return blobKey(o.tile())
}

// parseObject reads the key of a pack or a full tile.
func parseObject(key string) (object, bool) {
	if n, err := seal.ParsePackKey(key); err == nil {
		return object{packLevel, int64(n)}, true
	}
	t, err := ledger.ParseTilePath(strings.TrimPrefix(key, "log/"))
	if err != nil || t.Width < ledger.TileWidth {
		return object{}, false
	}
	if t.Entries {
		return object{bundleLevel, t.Number}, true
	}
	return object{t.Level, t.Number}, true
}

// inventory is what there is to look at.
type inventory struct {
	packs int64 // highest number given out
	tree  ledger.Tree
}

func (i inventory) count(level int) int64 {
	switch level {
	case packLevel:
		return i.packs
	case bundleLevel:
		return i.tree.Size >> ledger.TileHeight
	}
	return i.tree.Size >> (ledger.TileHeight * (level + 1))
}

// first is the number of the first object of a level: packs count from 1.
func first(level int) int64 {
	if level == packLevel {
		return 1
	}
	return 0
}

func (i inventory) total() (n int64) {
	for level := packLevel; level <= topLevel; level++ {
		n += i.count(level)
	}
	return n
}

// at gives the object at a place from 0 to total.
func (i inventory) at(place int64) object {
	for level := packLevel; ; level++ {
		if n := i.count(level); place >= n {
			place -= n
			continue
		}
		return object{level, first(level) + place}
	}
}

// from gives the first object that is at or after a place of the pass; false when the pass is at its end.
func (i inventory) from(o object) (object, bool) {
	for ; o.level <= topLevel; o = (object{o.level + 1, first(o.level + 1)}) {
		if o.number < first(o.level)+i.count(o.level) {
			return o, true
		}
	}
	return object{}, false
}

// scrubbing is one run.
type scrubbing struct {
	v       *Vault
	log     *Ledger
	o       ScrubOptions
	stock   inventory
	state   ScrubState
	outages int
	unsaved int
	healthy bool // the log's border is, so that tiles can be judged
}

// ScrubState gives what the runs so far have found.
func (v *Vault) ScrubState(ctx context.Context) (ScrubState, error) {
	rows, err := v.cfg.Rows.Get(ctx, scrubRow)
	if err != nil {
		return ScrubState{}, err
	}
	row, ok := rows[scrubRow]
	if !ok {
		return ScrubState{Level: packLevel, Number: 1}, nil
	}
	s := ScrubState{version: row.Version}
	if err := record.UnmarshalStored(row.Value, &s); err != nil {
		return s, problem.Wrap(problem.Internal, err, "the record of scrubbing cannot be read; tell the operator")
	}
	return s, nil
}

// Scrub does one run. It may be killed and run again at any time, and two at
// once do no harm: the one that saves second stops. Errors: problem.Unavailable
// when storage does not answer; damage is no error.
func (v *Vault) Scrub(ctx context.Context, o ScrubOptions) (ScrubState, error) {
	s, err := v.openScrub(ctx, o)
	if err != nil || s == nil {
		return ScrubState{}, err
	}
	for _, step := range []func(context.Context) error{s.known, s.border, s.resume, s.draw, s.pass, s.save} {
		if err := step(ctx); err != nil {
			if problem.KindOf(err) == problem.Conflict {
				return v.ScrubState(ctx) // another run is at work
			}
			return s.state, err
		}
	}
	return s.state, nil
}

// openScrub begins a run; nil before there is a witnessed checkpoint.
func (v *Vault) openScrub(ctx context.Context, o ScrubOptions) (*scrubbing, error) {
	rows, err := v.cfg.Rows.Get(ctx, "trust", checkpointKey, "packs")
	if err != nil || rows["trust"].Version == 0 || rows[checkpointKey].Version == 0 {
		return nil, err
	}
	s := &scrubbing{v: v, o: o}
	if s.log, err = v.Ledger(ctx); err != nil {
		return nil, err
	}
	_, c, err := s.log.newest(ctx)
	if err != nil {
		return nil, err
	}
	s.stock.tree = c.Tree
	if row, ok := rows["packs"]; ok {
		next, err := decimal(row.Value)
		if err != nil {
			return nil, err
		}
		s.stock.packs = int64(next) - 1
	}
	if s.state, err = v.ScrubState(ctx); err != nil {
		return nil, err
	}
	s.state.Objects, s.state.Drawn, s.state.Read, s.state.Looked, s.state.Repaired = s.stock.total(), 0, 0, 0, 0
	if o.Full || s.state.Began.IsZero() {
		s.begin()
		s.state.Full = o.Full
	}
	return s, nil
}

func (s *scrubbing) begin() {
	s.state.Level, s.state.Number, s.state.Began, s.state.Unnamed = packLevel, 1, record.Second(s.v.cfg.Now()), 0
}

// known looks again at what was found before.
func (s *scrubbing) known(ctx context.Context) error {
	for _, d := range slices.Clone(s.state.Damaged) {
		if o, ok := parseObject(d.Object); ok {
			if err := s.look(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// draw looks at objects drawn from all, with replacement.
func (s *scrubbing) draw(ctx context.Context) error {
	for range Draws {
		if s.state.Objects == 0 || s.late() {
			return nil
		}
		if err := s.drawOne(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *scrubbing) drawOne(ctx context.Context) error {
	place, err := rand.Int(rand.Reader, big.NewInt(s.state.Objects))
	if err != nil {
		return err
	}
	s.state.Drawn++
	return s.look(ctx, s.stock.at(place.Int64()))
}

// pass goes on until a limit or the end of the pass.
func (s *scrubbing) pass(ctx context.Context) error {
	// The draws do not count: however large packs are, a pass gets on by an object a run.
	before := s.state.Read
	for !s.late() && (s.state.Full || s.o.Bytes == 0 || s.state.Read-before < s.o.Bytes) {
		o, more := s.stock.from(object{s.state.Level, s.state.Number})
		if !more {
			s.state.Passed, s.state.Full = record.Second(s.v.cfg.Now()), false
			s.begin()
			return nil
		}
		if o.level != packLevel && !s.healthy {
			return nil // tiles cannot be judged now; the next run goes on here
		}
		if err := s.look(ctx, o); err != nil {
			return err
		}
		s.state.Level, s.state.Number = o.level, o.number+1
		if s.unsaved++; s.unsaved >= saveEvery {
			if err := s.save(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *scrubbing) late() bool { return !s.o.Until.IsZero() && time.Now().After(s.o.Until) }

// save writes where the run stands. It conflicts if another run has saved since.
func (s *scrubbing) save(ctx context.Context) error {
	s.unsaved = 0
	s.state.At = record.Second(s.v.cfg.Now())
	value, err := record.Marshal(s.state)
	if err != nil {
		return err
	}
	err = s.v.cfg.Rows.Commit(ctx, store.Write{Op: store.Put, Key: scrubRow, Value: value, Version: s.state.version})
	if err == nil {
		s.state.version++
	}
	return err
}

// note enters an object's state into the list, or takes it off.
func (s *scrubbing) note(key, state string) {
	at := slices.IndexFunc(s.state.Damaged, func(d Damage) bool { return d.Object == key })
	switch {
	case state == "" && at >= 0:
		s.state.Damaged = slices.Delete(s.state.Damaged, at, at+1)
	case state != "" && at >= 0:
		s.state.Damaged[at].State = state
	case state != "" && len(s.state.Damaged) < maxDamaged:
		s.state.Damaged = append(s.state.Damaged, Damage{Object: key, Since: record.Second(s.v.cfg.Now()), State: state})
	case state != "":
		s.state.Unnamed++
	}
}

// listed gives the state under which an object stands on the list.
func (s *scrubbing) listed(key string) string {
	for _, d := range s.state.Damaged {
		if d.Object == key {
			return d.State
		}
	}
	return ""
}

// look checks one object, repairs it if it can, and notes what it found.
func (s *scrubbing) look(ctx context.Context, o object) error {
	found, err := s.check(ctx, o)
	if err != nil {
		return err
	}
	if found.state == skipped {
		return nil
	}
	s.state.Looked++
	if s.o.Progress != nil {
		s.o.Progress(s.state.Looked, s.state.Objects)
	}
	return s.settle(ctx, o.key(), found)
}

// settle deals with a verdict: what is wrong is repaired, or named.
func (s *scrubbing) settle(ctx context.Context, key string, found verdict) error {
	if found.state == StateUnreadable {
		if s.outages++; s.outages >= outagesInARow {
			return problem.New(problem.Unavailable, "storage does not answer: %d objects in a row could not be read; try again later", s.outages)
		}
	} else {
		s.outages = 0
	}
	// What cannot be read now may be readable in an hour: only what stayed so is replaced.
	if found.state != "" && (found.state != StateUnreadable || s.listed(key) == StateUnreadable) {
		repaired, err := s.repair(ctx, key, found)
		if err != nil {
			return err
		}
		if repaired {
			s.state.Repaired++
			found.state = ""
		}
	}
	s.note(key, found.state)
	return nil
}
