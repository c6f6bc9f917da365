package tests

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/sealed"
)

// provider is the court's storage in the hands of somebody who alters what is read from it.
type provider struct {
	store.Rows
	mu      sync.Mutex
	seen    map[string][]store.Row // every version that was read of each row
	key     string                 // the row that is altered
	alter   func(store.Row) (store.Row, bool)
	touched bool                 // an altered row was handed out
	old     map[string]store.Row // handed out instead of what there is now
}

// Get hands out rows, one of them altered or missing.
func (p *provider) Get(ctx context.Context, keys ...string) (map[string]store.Row, error) {
	rows, err := p.Rows.Get(ctx, keys...)
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, row := range rows {
		if list := p.seen[key]; len(list) == 0 || list[len(list)-1].Version != row.Version {
			p.seen[key] = append(list, row)
		}
	}
	for key := range rows {
		if old, ok := p.old[key]; ok {
			rows[key] = old
		}
	}
	if row, ok := rows[p.key]; ok && p.alter != nil {
		changed, there := p.alter(row)
		p.touched = true
		delete(rows, p.key)
		if there {
			changed.Key = p.key
			rows[p.key] = changed
		}
	}
	return rows, err
}

// with runs f while a row is altered, and tells whether the keyholder was given it.
func (p *provider) with(key string, alter func(store.Row) (store.Row, bool), f func()) (touched bool) {
	set := func(key string, alter func(store.Row) (store.Row, bool)) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		was := p.touched
		p.key, p.alter, p.touched = key, alter, false
		return was
	}
	set(key, alter)
	f()
	return set("", nil)
}

// putBack hands out rows as they were; nil: as they are.
func (p *provider) putBack(old map[string]store.Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.old = old
}

func (p *provider) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = map[string][]store.Row{}
}

// rows gives the last version of every row that was read.
func (p *provider) rows() map[string]store.Row {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]store.Row{}
	for key, list := range p.seen {
		out[key] = list[len(list)-1]
	}
	return out
}

// office is a world in which the court's rows are altered while it is asked for halves.
type office struct {
	spare string // see isSpare
	*world
	p        *provider
	unit     seal.Unit
	seed     seal.Seed
	approved record.Digest
	rash     record.Digest // never approved
	halves   map[record.ID]seal.Half
}

func newOffice(tb testing.TB) *office {
	o := &office{p: &provider{seen: map[string][]store.Row{}}, seed: seal.NewSeed()}
	o.world = newWorld(tb, installation.ServeOptions{Rows: func(party string, rows store.Rows) store.Rows {
		if party != "court" {
			return rows
		}
		o.p.Rows = rows
		return o.p
	}})
	o.cast()
	chain := o.admit(o.draft("DP-0000/17", unitA, target))
	c, start := o.collector("collector"), o.recent()
	for i := range 2 {
		o.sealed(c, clip{chain: chain, name: fmt.Sprint("message ", i), codec: "text", kind: "message", number: target, start: start, content: []byte("bring it at nine")})
	}
	o.flush(c)
	o.unit = seal.Unit{Order: chain, Week: seal.WeekOf(start), Compartment: "main", Classification: "restricted"}
	o.approved, o.rash = o.request("investigator"), o.request("investigator")
	r := o.reader("supervisor", nil, nil)
	o.check(r.Decide(context.Background(), o.approved, true, "within the order"))
	o.await(o.approved)
	o.await(o.rash)
	return o
}

// request files a request for the unit's content with a key that the test keeps.
func (o *office) request(who string) record.Digest {
	key := must(seal.NewUnitKey(o.seed))
	now := record.Second(o.now())
	raw := o.sign(who, record.TypeRequest, record.Request{
		Audience: o.f.Config.Trust, Chain: record.Digest(o.unit.Order), Class: string(seal.ContentClass), Classification: o.unit.Classification,
		Compartment: o.unit.Compartment, Week: o.unit.Week, Issued: now, Expires: now.Add(3600e9), Key: key.PublicKey().Bytes(), Nonce: nonce(), Purpose: purpose,
	})
	for _, party := range installation.Keyholders {
		_, err := o.keyholder(party, "").Ask(context.Background(), raw)
		o.check(err)
	}
	return record.HashStatement(raw)
}

// await waits until the court finds a request and its approvals in the witnessed log.
func (o *office) await(hash record.Digest) {
	for range 200 {
		asked, err := o.keyholder("court", "investigator").Request(context.Background(), hash)
		o.check(err)
		if asked.Provable {
			return
		}
		pause()
	}
	o.tb.Fatal("the request does not become provable")
}

// release asks the court and gives the halves as the request's key opens them.
func (o *office) release(hash record.Digest, who string) (map[record.ID]seal.Half, error) {
	raw, err := o.keyholder("court", who).Release(context.Background(), hash, 0)
	if err != nil {
		return nil, err
	}
	var answer record.Release
	if _, err := record.Open(raw, record.TypeRelease, o.trust.Court.Online, &answer); err != nil {
		return nil, err
	}
	key := must(seal.NewUnitKey(o.seed))
	halves := map[record.ID]seal.Half{}
	for _, item := range answer.Items {
		c := seal.ContextOf(seal.RecordingID(item.Recording), seal.BatchID(item.Batch), o.unit)
		half, err := seal.OpenHalf(key, seal.Court, hash, c, seal.ContentClass, item.Half)
		if err != nil {
			return nil, fmt.Errorf("a half that was made for something else: %w", err)
		}
		halves[item.Recording] = half
	}
	return halves, nil
}

// verdict of one altered row.
type verdict struct {
	accepted bool   // an answer was given that rests on an altered row
	wrong    string // an answer with another meaning, a release that must not be, or an unclear error
}

// isSpare reports whether a row is the second copy of the ring's page, which is read along and needed only when the first does not open. It is one
// row alone: a release goes on without it, and no other may be altered unnoticed.
func (o *office) isSpare(key string) bool {
	if o.spare == "" && o.attack(key, func(r store.Row) (store.Row, bool) { return r, false }) == (verdict{accepted: true}) {
		o.spare = key
	}
	return o.spare == key
}

// attack asks for what may be had and for what may not while a row is altered.
func (o *office) attack(key string, alter func(store.Row) (store.Row, bool)) (v verdict) {
	touched := o.p.with(key, alter, func() {
		halves, err := o.release(o.approved, "investigator")
		if err == nil {
			v.accepted = true
			if !maps.Equal(halves, o.halves) {
				v.wrong = "the release has another meaning"
			}
		} else if why := unclear(err); why != "" {
			v.wrong = why
		}
	})
	v.accepted = v.accepted && touched
	o.p.with(key, alter, func() {
		for hash, who := range map[record.Digest]string{o.rash: "investigator", o.approved: "stranger"} {
			_, err := o.release(hash, who)
			if why := unclear(err); why != "" && v.wrong == "" {
				v.wrong = "what must be refused: " + why
			}
		}
	})
	return v
}

// read finds the rows on which the answers rest.
func (o *office) read() (map[string]store.Row, []string) {
	o.tb.Helper()
	o.p.reset()
	var err error
	o.halves, err = o.release(o.approved, "investigator")
	o.check(err)
	if len(o.halves) != 2 {
		o.tb.Fatalf("%d halves are released", len(o.halves))
	}
	if _, err := o.release(o.rash, "investigator"); problem.KindOf(err) != problem.Denied {
		o.tb.Fatalf("a request without approval: %v", err)
	}
	rows := o.p.rows()
	return rows, slices.Sorted(maps.Keys(rows))
}

// TestRowFlipCampaign flips every byte of every row of the court that a release rests on, one at a time.
func TestRowFlipCampaign(t *testing.T) {
	t.Parallel()
	c, o := newCampaign(t), newOffice(t)
	rows, names := o.read()
	some := max(2, 200/len(names))
	total := 0
	for _, key := range names {
		for _, x := range c.flips(len(rows[key].Value), some) {
			total++
			v := o.attack(key, func(r store.Row) (store.Row, bool) {
				r.Value = slices.Clone(r.Value)
				r.Value[x.at%len(r.Value)] ^= x.bit
				return r, true
			})
			if v.wrong != "" || v.accepted && !o.isSpare(key) {
				t.Fatalf("a flip at byte %d of %d in row %s: %+v", x.at, len(rows[key].Value), key[:8], v)
			}
		}
	}
	o.unharmed()
	t.Logf("%d flips in %d rows of the court: all refused", total, len(names))
	o.weakened(c, rows, names)
}

// unharmed demands that the good path works after all that was tried.
func (o *office) unharmed() {
	o.tb.Helper()
	halves, err := o.release(o.approved, "investigator")
	if err != nil || !maps.Equal(halves, o.halves) {
		o.tb.Errorf("afterwards: %d halves, %v", len(halves), err)
	}
}

// weakened flips bytes under a seal that does not authenticate: the same campaign must find answers that rest on them.
func (o *office) weakened(c campaign, rows map[string]store.Row, names []string) {
	boxes := o.unsealed()
	accepted, tried := 0, 0
	for _, key := range names {
		if key == "row-key" {
			continue
		}
		for range 6 {
			tried++
			flip := c.Uint64()
			v := o.attack(key, func(r store.Row) (store.Row, bool) { return boxes.flip(r, flip), true })
			if v.accepted || v.wrong != "" {
				accepted++
			}
		}
	}
	if accepted == 0 {
		o.tb.Errorf("of %d flips under a seal that does not authenticate none is found", tried)
	}
	o.tb.Logf("under a seal that does not authenticate %d of %d flips go into an answer", accepted, tried)
}

// boxes opens and closes the court's sealed rows, as only the court can.
type boxes struct {
	tb  testing.TB
	key [32]byte
}

func (o *office) unsealed() boxes {
	text, err := os.ReadFile(o.f.Dir("court", "roots.secret"))
	o.check(err)
	file, err := keys.OpenFile(o.f.Dir("court", "roots.age"), must(keys.MachineSecret(strings.TrimSpace(string(text)))))
	o.check(err)
	root, err := file.Open(context.Background(), "base")
	o.check(err)
	found, err := o.p.Rows.Get(context.Background(), "row-key")
	o.check(err)
	plain, err := root.Unwrap(context.Background(), []byte("arca/v1/row-key/court"), found["row-key"].Value)
	o.check(err)
	return boxes{o.tb, [32]byte(plain)}
}

// flip alters one bit of a row's value inside its seal.
func (b boxes) flip(box store.Row, which uint64) store.Row {
	below := &oneBox{row: box}
	rows := sealed.New(below, b.key)
	var plain store.Row
	err := rows.Scan(context.Background(), 0, 1, func(r store.Row) error { plain = r; return nil })
	if err != nil || len(plain.Value) == 0 {
		return box
	}
	value := slices.Clone(plain.Value)
	value[which/8%uint64(len(value))] ^= 1 << (which % 8)
	if err := rows.Commit(context.Background(), store.Write{Op: store.Put, Key: plain.Key, Value: value, Version: box.Version - 1, Expires: box.Expires}); err != nil {
		return box
	}
	return store.Row{Key: box.Key, Value: below.written.Value, Version: box.Version, Expires: box.Expires}
}

// oneBox is a store of one row.
type oneBox struct {
	row     store.Row
	written store.Write
}

func (b *oneBox) Get(context.Context, ...string) (map[string]store.Row, error) {
	return nil, errors.New("only a scan is needed")
}

func (b *oneBox) Commit(_ context.Context, writes ...store.Write) error {
	b.written = writes[0]
	return nil
}

func (b *oneBox) Scan(_ context.Context, _, _ int, yield func(store.Row) error) error {
	return yield(b.row)
}

// TestRowsDeletedSwappedAndPutBack alters whole rows: none of it makes a release that must not be, or another one.
func TestRowsDeletedSwappedAndPutBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	rows, names := o.read()
	for i, key := range names {
		swapped := rows[names[(i+1)%len(names)]]
		for what, alter := range map[string]func(store.Row) (store.Row, bool){
			"deleted":         func(r store.Row) (store.Row, bool) { return r, false },
			"swapped":         func(store.Row) (store.Row, bool) { return swapped, true },
			"emptied":         func(r store.Row) (store.Row, bool) { r.Value = nil; return r, true },
			"another version": func(r store.Row) (store.Row, bool) { r.Version++; return r, true },
			"never expires":   func(r store.Row) (store.Row, bool) { r.Expires = r.Expires.AddDate(1, 0, 0); return r, true },
		} {
			if what == "never expires" && rows[key].Expires.IsZero() || what == "another version" && key == "row-key" {
				continue // nothing to alter; the row key's version says nothing
			}
			if v := o.attack(key, alter); v.wrong != "" || v.accepted && what != "deleted" && !o.isSpare(key) {
				t.Errorf("row %s %s: %+v", key[:7], what, v)
			}
		}
	}
	o.unharmed()
	o.putBack()
}

// putBack revokes the order and puts every older version of the court's rows back, all at once and each by itself.
func (o *office) putBack() {
	before := o.p.rows()
	stop := record.Order{Audience: o.f.Config.Trust, Kind: record.Revocation, Profile: "ES-588ter", Court: court, Chain: record.Digest(o.unit.Order), Decided: record.Second(o.now()), Reason: "over", Nonce: nonce()}
	raw := o.sign("judge", record.TypeOrder, stop)
	for _, party := range installation.Keyholders {
		_, err := o.keyholder(party, "").Admit(context.Background(), raw)
		o.check(err)
	}
	for key, old := range before {
		o.p.with(key, func(store.Row) (store.Row, bool) { return old, true }, func() { o.refused("row " + key[:7] + " put back") })
	}
	o.p.putBack(before)
	o.refused("all rows put back")
	o.p.putBack(nil)
	o.refused("nothing put back")
}

func (o *office) refused(what string) {
	o.tb.Helper()
	_, err := o.release(o.approved, "investigator")
	if why := unclear(err); why != "" {
		o.tb.Errorf("after the revocation, %s: %s", what, why)
	}
}
