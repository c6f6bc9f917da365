package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
)

const scrubbedPacks = 5

// deleting is memoryBlobs for a repair, which may delete; the log's own tests accuse whoever does.
type deleting struct{ memoryBlobs }

func (b deleting) Delete(_ context.Context, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fault(func() { delete(b.blobs, key) })
}

// scrubWorld is a vault with packs, a log of several full tiles, and a second copy of all of it.
type scrubWorld struct {
	*world
	vault  *Vault
	second *memory
	log    *Ledger
	added  []ledger.Entry
}

func newScrubWorld(t testing.TB) *scrubWorld {
	t.Helper()
	w := &scrubWorld{world: newWorld(t, 1, 1), second: newMemory()}
	w.fill(deleting{memoryBlobs{w.mem}}, seal.Geometry{Size: 64 << 10, Slots: 2}, scrubbedPacks)
	w.replicate()
	return w
}

// fill founds the vault on an object store and deposits packs.
func (w *scrubWorld) fill(blobs store.Blobs, geometry seal.Geometry, packs uint64) {
	w.t.Helper()
	w.blobs = blobs
	ctx := context.Background()
	trust := record.Trust{Installation: record.ID{1}, Issued: record.Second(w.now()), LogOrigin: w.policy.Origin, LogKey: w.policy.Log,
		Quorum: 1, Version: 1, Witnesses: w.policy.Witnesses}
	var roots []*record.Signer
	for i, into := range []*record.PublicKey{&trust.Court.Root, &trust.Custodian.Root, &trust.Court.Online, &trust.Court.Registrar, &trust.Custodian.Online, &trust.Custodian.Registrar} {
		signer, err := record.SignerFromSeed(bytes.Repeat([]byte{byte(i + 1)}, 32))
		w.check(err)
		*into, roots = signer.Public(), append(roots, signer)
	}
	joint, err := record.SignJoint(record.TypeTrust, w.now(), trust, roots[0], roots[1])
	w.check(err)
	raw, err := record.Marshal(joint)
	w.check(err)
	fingerprint, err := joint.Open(record.TypeTrust, &trust, roots[0].Public(), roots[1].Public())
	w.check(err)
	w.check(w.rows.Commit(ctx, store.Write{Op: store.Put, Key: "trust", Value: raw}))
	w.vault = New(Config{Rows: w.rows, Blobs: blobs, Geometry: geometry, Fingerprint: fingerprint, Now: w.now})
	w.log = w.open()
	for n := uint64(1); n <= packs; n++ {
		w.deposit(n)
	}
	w.added = entries(0, 700)
	w.check(w.log.Add(ctx, w.added))
	_, err = w.log.Sequence(ctx)
	w.check(err)
}

func (w *scrubWorld) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// deposit stores a pack and has it registered.
func (w *scrubWorld) deposit(n uint64) {
	w.t.Helper()
	ctx := context.Background()
	collector := Principal{Kind: "collector"}
	_, err := w.vault.Reserve(ctx, collector, record.ID{byte(n)}, 1)
	w.check(err)
	p, version, err := w.vault.pack(ctx, n)
	w.check(err)
	content := bytes.Repeat([]byte{byte(n)}, w.vault.cfg.Geometry.Size)
	p.Pack, p.Slots = sha256.Sum256(content), sha256.Sum256(content[:2*seal.SlotSize])
	value, err := record.Marshal(p)
	w.check(err)
	w.check(w.rows.Commit(ctx, store.Write{Op: store.Put, Key: packRowName(n), Value: value, Version: version}))
	w.check(w.blobs.Put(ctx, seal.PackKey(n), int64(len(content)), p.Pack, bytes.NewReader(content)))
	w.check(w.vault.Arrived(ctx, w.log, n))
}

// replicate makes the second copy what the first is.
func (w *scrubWorld) replicate() {
	for key, content := range w.mem.blobs {
		w.second.blobs[key] = bytes.Clone(content)
	}
}

func (w *scrubWorld) options(repair bool) ScrubOptions {
	if repair {
		return ScrubOptions{Copy: memoryBlobs{w.second}}
	}
	return ScrubOptions{}
}

// run is one run by a process that remembers nothing.
func (w *scrubWorld) run(o ScrubOptions) ScrubState {
	w.t.Helper()
	state, err := New(w.vault.cfg).Scrub(context.Background(), o)
	w.check(err)
	return state
}

func named(s ScrubState) (list []string) {
	for _, d := range s.Damaged {
		list = append(list, d.State+" "+d.Object)
	}
	slices.Sort(list)
	return list
}

func (w *scrubWorld) flip(key string) {
	w.t.Helper()
	content, ok := w.mem.blobs[key]
	if !ok {
		w.t.Fatalf("there is no %s", key)
	}
	content[len(content)/2] ^= 1
}

func TestScrubOfAGoodVault(t *testing.T) {
	w := newScrubWorld(t)
	s := w.run(w.options(false))
	// 5 packs; 705 entries: 2 bundles and 2 tiles of level 0 are full.
	if s.Objects != scrubbedPacks+4 || len(s.Damaged) > 0 || s.Drawn != Draws || s.Passed.IsZero() || s.Looked != s.Objects+Draws {
		t.Errorf("%+v", s)
	}
	if _, err := w.vault.Scrub(context.Background(), ScrubOptions{}); err != nil {
		t.Error(err)
	}
}

// Every object of the vault, damaged in every way, is named by one whole pass, and nothing else is.
func TestScrubNamesWhatIsDamaged(t *testing.T) {
	for _, key := range []string{seal.PackKey(3), "log/tile/entries/001", "log/tile/0/000", "log/tile/0/002.p/193", "log/tile/entries/002.p/193", "log/tile/1/000.p/2"} {
		for way, damage := range map[string]func(w *scrubWorld){
			StateMissing: func(w *scrubWorld) { delete(w.mem.blobs, key) },
			StateDamaged: func(w *scrubWorld) { w.flip(key) },
			"truncated":  func(w *scrubWorld) { w.mem.blobs[key] = w.mem.blobs[key][1:] },
			"longer":     func(w *scrubWorld) { w.mem.blobs[key] = append(w.mem.blobs[key], 0) },
			"swapped":    func(w *scrubWorld) { w.mem.blobs[key] = bytes.Clone(w.mem.blobs[seal.PackKey(1)]) },
		} {
			t.Run(key+" "+way, func(t *testing.T) {
				w := newScrubWorld(t)
				damage(w)
				s := w.run(w.options(false))
				state := StateDamaged
				if way == StateMissing {
					state = StateMissing
				}
				if got := named(s); !slices.Contains(got, state+" "+key) {
					t.Errorf("named: %v", got)
				}
				if _, whole := parseObject(key); whole && len(s.Damaged) != 1 {
					t.Errorf("and others: %v", named(s))
				}
				// It heals, by other hands: the next run says so.
				w.mem.blobs[key] = bytes.Clone(w.second.blobs[key])
				if s := w.run(w.options(false)); len(s.Damaged) > 0 {
					t.Errorf("still named: %v", named(s))
				}
				// With the copy it is repaired, the log says so, and nothing more is done the next time.
				damage(w)
				s = w.run(w.options(true))
				if s.Repaired < 1 || !bytes.Equal(w.mem.blobs[key], w.second.blobs[key]) {
					t.Fatalf("not repaired: %+v", s)
				}
				w.repairedOnce(key)
			})
		}
	}
}

// repairedOnce demands that the log has exactly one repair, of key, and that another run adds nothing.
func (w *scrubWorld) repairedOnce(key string) {
	w.t.Helper()
	w.run(w.options(true))
	if s := w.run(w.options(true)); len(s.Damaged) > 0 || s.Repaired > 0 {
		w.t.Errorf("after the repair: %+v", s)
	}
	ctx := context.Background()
	list, next, err := w.vault.Repairs(ctx, 1)
	w.check(err)
	if len(list) != 1 || next != 2 {
		w.t.Fatalf("%d repairs are logged", len(list))
	}
	var event record.Event
	var body record.RepairEvent
	w.check(record.Unmarshal(list[0].Event, &event))
	w.check(record.Unmarshal(event.Body, &body))
	if event.Kind != record.EventRepaired || body.Object != key || body.Stored != sha256.Sum256(w.second.blobs[key]) || body.Number != 1 {
		w.t.Errorf("%s %+v", event.Kind, body)
	}
	_, err = w.log.Sequence(ctx)
	w.check(err)
	if _, err := w.log.Proof(ctx, ledger.Commit(ledger.Opening{Event: list[0].Event, Random: [32]byte(list[0].Random)})); err != nil {
		w.t.Errorf("the log does not have it: %v", err)
	}
}

func TestDamageThatComesBackIsLoggedAgain(t *testing.T) {
	w := newScrubWorld(t)
	for n := range 3 {
		w.flip(seal.PackKey(2))
		w.run(w.options(true))
		if list, _, err := w.vault.Repairs(context.Background(), 1); err != nil || len(list) != n+1 {
			t.Errorf("damaged %d times, repaired %d: %v", n+1, len(list), err)
		}
	}
}

// A copy that is wrong itself repairs nothing, and destroys nothing.
func TestAWrongCopyRepairsNothing(t *testing.T) {
	w := newScrubWorld(t)
	key := seal.PackKey(2)
	w.flip(key)
	damaged := bytes.Clone(w.mem.blobs[key])
	w.second.blobs[key][0] ^= 1
	if s := w.run(w.options(true)); len(s.Damaged) != 1 || s.Repaired != 0 || !bytes.Equal(w.mem.blobs[key], damaged) {
		t.Errorf("%+v", s)
	}
	delete(w.second.blobs, key)
	if s := w.run(w.options(true)); len(s.Damaged) != 1 || s.Repaired != 0 || !bytes.Equal(w.mem.blobs[key], damaged) {
		t.Errorf("%+v", s)
	}
	if list, _, err := w.vault.Repairs(context.Background(), 1); err != nil || len(list) != 0 {
		t.Errorf("%d repairs are logged: %v", len(list), err)
	}
}

// deaf does not give one object, which lies there whole.
type deaf struct {
	store.Blobs
	key string
}

func (d deaf) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if key == d.key {
		return silent{}.Get(ctx, key, offset, length)
	}
	return d.Blobs.Get(ctx, key, offset, length)
}

// fickle gives one object right once, and from then on other bytes of the same length.
type fickle struct {
	store.Blobs
	key   string
	asked *int
}

func (f fickle) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	body, err := f.Blobs.Get(ctx, key, offset, length)
	if err != nil || key != f.key {
		return body, err
	}
	if *f.asked++; *f.asked == 1 {
		return body, nil
	}
	content, err := io.ReadAll(body)
	content[0] ^= 1
	return io.NopCloser(bytes.NewReader(content)), err
}

// The vault's own object is whole and cannot be read for an hour; the second copy is right when it is judged and wrong when it is read. The
// one good object must not go for that.
func TestAFickleCopyDestroysNothing(t *testing.T) {
	w := newScrubWorld(t)
	key, asked := seal.PackKey(2), 0
	right := bytes.Clone(w.mem.blobs[key])
	w.vault.cfg.Blobs = deaf{w.vault.cfg.Blobs, key}
	o := ScrubOptions{Copy: fickle{memoryBlobs{w.second}, key, &asked}}
	for range 2 {
		if s := w.run(o); s.Repaired > 0 {
			t.Errorf("%+v", s)
		}
	}
	if asked < 2 || !bytes.Equal(w.mem.blobs[key], right) {
		t.Errorf("after %d readings of the copy the vault's own good object is gone", asked)
	}
}

// A row that was altered together with its object is found: the log does not know it.
func TestScrubTrustsTheLogAndNotTheRow(t *testing.T) {
	w := newScrubWorld(t)
	p, version, err := w.vault.pack(context.Background(), 4)
	w.check(err)
	key := seal.PackKey(4)
	w.flip(key)
	p.Pack = sha256.Sum256(w.mem.blobs[key])
	w.check(p.open(4, w.now()))
	value, err := record.Marshal(p)
	w.check(err)
	w.check(w.rows.Commit(context.Background(), store.Write{Op: store.Put, Key: packRowName(4), Value: value, Version: version}))
	if got := named(w.run(w.options(false))); !slices.Equal(got, []string{StateUnlogged + " " + key}) {
		t.Errorf("named: %v", got)
	}
}

// A pass goes on where it stopped, through all objects in turn, with a limit of about one object a run.
func TestAPassGoesOnWhereItStopped(t *testing.T) {
	w := newScrubWorld(t)
	w.flip("log/tile/0/001")
	at := object{packLevel, 1}
	for runs := 1; ; runs++ {
		s := w.run(ScrubOptions{Bytes: 1})
		if !s.Passed.IsZero() {
			if runs != scrubbedPacks+4+1 {
				t.Errorf("a pass over %d objects took %d runs of one object and the end", scrubbedPacks+4, runs)
			}
			break
		}
		next, _ := inventory{packs: scrubbedPacks, tree: ledger.Tree{Size: 705}}.from(at)
		if at = (object{next.level, next.number + 1}); at != (object{s.Level, s.Number}) {
			t.Fatalf("run %d stands at %d/%d, want %v", runs, s.Level, s.Number, at)
		}
	}
	s := w.run(ScrubOptions{Full: true, Bytes: 1})
	if s.Passed.IsZero() || s.Full || len(s.Damaged) != 1 {
		t.Errorf("a full pass: %+v", s)
	}
	// Out of time at once: nothing but what must be is looked at, and the place is kept.
	s = w.run(ScrubOptions{Full: true, Until: time.Now().Add(-time.Second)})
	if !s.Full || s.Level != packLevel || s.Number != 1 || s.Drawn != 0 {
		t.Errorf("out of time: %+v", s)
	}
	if s = w.run(ScrubOptions{Bytes: 1}); s.Full || s.Passed.IsZero() {
		t.Errorf("the full pass was not gone on with: %+v", s)
	}
}

// Killed, or with a store that fails, at every write of a repair, with and without the write landing: the next run leaves a whole
// vault, and the log has the repair once.
func TestARepairSurvivesEveryFailure(t *testing.T) {
	for at := 1; ; at++ {
		survived := true
		for _, landed := range []bool{false, true} {
			for _, kill := range []bool{false, true} {
				w := newScrubWorld(t)
				key := seal.PackKey(2)
				w.flip(key)
				w.mem.revive()
				w.mem.failAt, w.mem.landed, w.mem.kill = at, landed, kill
				_, err := w.vault.Scrub(context.Background(), w.options(true))
				if w.mem.writes >= at {
					survived = false
				}
				if w.mem.writes >= at && err == nil && !landed && kill {
					t.Errorf("write %d failed and the run says nothing", at)
				}
				w.mem.revive()
				w.run(w.options(true))
				if !bytes.Equal(w.mem.blobs[key], w.second.blobs[key]) {
					t.Fatalf("write %d, landed %v, killed %v: not repaired", at, landed, kill)
				}
				w.repairedOnce(key)
			}
		}
		if survived {
			if at < 4 {
				t.Errorf("a repair has %d writes", at-1)
			}
			return
		}
	}
}

func TestStorageThatDoesNotAnswerIsNotDamage(t *testing.T) {
	w := newScrubWorld(t)
	whole := w.vault.cfg.Blobs
	w.vault.cfg.Blobs = silent{whole}
	for range 2 {
		s, err := w.vault.Scrub(context.Background(), w.options(true))
		if problem.KindOf(err) != problem.Unavailable || s.Repaired > 0 {
			t.Errorf("%+v, %v", s, err)
		}
	}
	w.vault.cfg.Blobs = whole
	if s := w.run(w.options(true)); len(s.Damaged) > 0 || s.Repaired > 0 {
		t.Errorf("%+v", s)
	}
}

// silent is a Blobs that gives nothing back.
type silent struct{ store.Blobs }

func (silent) Get(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, problem.Wrap(problem.Unavailable, errors.New("silence"), "the store did not answer")
}

// What is reported is what is drawn: of runs over a vault with one damaged object in n, the share that finds it by drawing alone is 1-(1-1/n)^k.
func TestDetectionIsWhatIsReported(t *testing.T) {
	w := newScrubWorld(t)
	w.flip(seal.PackKey(1))
	runs, found := 400, 0
	for range runs {
		s := &scrubbing{v: w.vault, log: w.log, healthy: true}
		opened, err := w.vault.openScrub(context.Background(), ScrubOptions{})
		w.check(err)
		s.stock, s.state = opened.stock, ScrubState{Objects: opened.stock.total()}
		for range 4 {
			// Fewer draws than a run makes, for a share that is neither 0 nor 1.
			w.check(s.drawOne(context.Background()))
		}
		if len(s.state.Damaged) > 0 {
			found++
		}
	}
	want := Detection(1/float64(scrubbedPacks+4), 4)
	if got := float64(found) / float64(runs); math.Abs(got-want) > 0.1 {
		t.Errorf("found by %.2f of the runs, reported %.2f", got, want)
	}
	if p := Detection(0.01, 384); math.Abs(p-0.979) > 0.001 {
		t.Errorf("1-(1-0.01)^384 = %f", p)
	}
}

func TestEveryObjectIsInTheInventoryOnce(t *testing.T) {
	i := inventory{packs: 3, tree: ledger.Tree{Size: 256*256*2 + 5}}
	seen := map[string]bool{}
	next, more := i.from(object{packLevel, 1})
	for place := int64(0); place < i.total(); place++ {
		o := i.at(place)
		if !more || o != next {
			t.Fatalf("place %d is %v, the pass has %v", place, o, next)
		}
		if back, ok := parseObject(o.key()); !ok || back != o || seen[o.key()] {
			t.Fatalf("%s: %v %v", o.key(), back, ok)
		}
		seen[o.key()] = true
		next, more = i.from(object{o.level, o.number + 1})
	}
	if more || len(seen) != 3+512+512+2 {
		t.Errorf("%d objects, more: %v", len(seen), more)
	}
	if _, ok := parseObject(fmt.Sprintf("log/%s", ledger.Tile{Width: 7}.Path())); ok {
		t.Error("a partial tile counts as an object of the pass")
	}
}
