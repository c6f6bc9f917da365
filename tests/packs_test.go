package tests

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/mirror"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// archive is a world whose packs are the object of campaigns: a full one of one megabyte, one of small things, dummies.
type archive struct {
	*world
	m     *mirror.Mirror
	r     *reader.Reader
	index record.Digest // request for the week's index
	rows  []reader.Row
	spans map[uint64][]span // what the reader read of each pack
	out   bytes.Buffer
}

type span struct {
	from, until int
	recording   string // whose content; "" for what the listing reads
}

func newArchive(tb testing.TB) *archive {
	a := &archive{world: newWorld(tb, installation.ServeOptions{}), spans: map[uint64][]span{}}
	a.cast()
	chain := a.admit(a.draft("DP-0000/17", unitA, target))
	c, start := a.collector("collector"), a.recent()
	small := clip{chain: chain, name: "a message", codec: "text", kind: "message", number: target, start: start, content: []byte("bring it at nine")}
	a.sealed(c, small, clip{chain: chain, name: "a call", codec: "pcm_s16le", kind: "call", number: target, start: start, content: sample(tb, "en_short_reminder.wav")})
	a.flush(c)
	a.sealed(c, clip{chain: chain, name: "much", codec: "bytes", kind: "call", number: target, start: start, content: pattern(1_200_000, 7)})
	a.flush(c)
	a.m = a.mirror()
	a.watch(chain, seal.WeekOf(start))
	return a
}

// watch lists and opens everything once and notes what is read.
func (a *archive) watch(chain record.Digest, week string) {
	watched := &watching{Mirror: a.m, spans: a.spans}
	a.r = a.reader("investigator", watched, &a.out)
	in := reader.AskInput{Chain: chain, Week: week, Class: seal.IndexClass}
	a.index = a.ask(a.r, in)
	list, err := a.r.List(context.Background(), a.index)
	a.check(err)
	a.rows = list.Rows
	a.granted(a.r, "supervisor", in)
	for _, row := range a.rows {
		watched.recording = row.ID.String()
		_, err := a.r.Open(context.Background(), watched.recording, "-", reader.Range{})
		a.check(err)
	}
	// From here on the keyholders' answers are what they were: the campaign is about the packs.
	cfg := a.readerConfig("investigator", a.m, &a.out)
	cfg.Court, cfg.Custodian = remember(cfg.Court), remember(cfg.Custodian)
	a.r, err = reader.Open(cfg)
	a.check(err)
}

// watching notes what a reader reads of which pack.
type watching struct {
	*mirror.Mirror
	mu        sync.Mutex
	recording string
	spans     map[uint64][]span
}

func (w *watching) ReadPack(n uint64, offset uint32, dst []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spans[n] = append(w.spans[n], span{int(offset), int(offset) + len(dst), w.recording})
	return w.Mirror.ReadPack(n, offset, dst)
}

// remembering gives a keyholder's answers again.
type remembering struct {
	reader.Keyholder
	mu       sync.Mutex
	releases map[string]string
	people   *wire.People
}

func remember(k reader.Keyholder) *remembering {
	return &remembering{Keyholder: k, releases: map[string]string{}}
}

func (k *remembering) Release(ctx context.Context, hash record.Digest, from int) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := fmt.Sprint(hash, from)
	if k.releases[name] != "" {
		return k.releases[name], nil
	}
	raw, err := k.Keyholder.Release(ctx, hash, from)
	k.releases[name] = raw
	return raw, err
}

func (k *remembering) People(ctx context.Context) (wire.People, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.people == nil {
		people, err := k.Keyholder.People(ctx)
		if err != nil {
			return people, err
		}
		k.people = &people
	}
	return *k.people, nil
}

// disk is a pack's file in a mirror, which the campaign alters.
type disk struct {
	file  *os.File
	bytes []byte
}

func openDisk(tb testing.TB, folder string, n uint64) *disk {
	tb.Helper()
	f, err := os.OpenFile(filepath.Join(folder, "packs", fmt.Sprintf("%012d", n)), os.O_RDWR, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	raw, err := os.ReadFile(f.Name())
	if err != nil {
		tb.Fatal(err)
	}
	return &disk{f, raw}
}

// with runs f while one bit is another.
func (d *disk) with(x flip, f func()) {
	d.put(x.at, d.bytes[x.at]^x.bit)
	f()
	d.put(x.at, d.bytes[x.at])
}

func (d *disk) put(at int, b byte) {
	if _, err := d.file.WriteAt([]byte{b}, int64(at)); err != nil {
		panic(err)
	}
}

// auditor gives an audit of a mirror: what names the packs that are not the witnessed ones. Every audit reads all of it anew.
func (a *archive) auditor(folder string) func() ([]uint64, error) {
	m, err := mirror.Open(mirror.Config{Folder: folder, Trust: a.trust, Now: a.now})
	a.check(err)
	return func() ([]uint64, error) {
		out, err := m.Audit(context.Background(), nil)
		var named []uint64
		for _, f := range out.Findings {
			named = append(named, f.Number)
		}
		return named, err
	}
}

// alone copies one pack into a mirror of its own, so that an audit of one pack is what is done and not of all: packs before it are
// missing there, and named for it.
func (a *archive) alone(n uint64) string {
	folder := a.tb.TempDir()
	for _, name := range []string{fmt.Sprintf("packs/%012d", n), fmt.Sprintf("index/%012d.json", n)} {
		raw, err := os.ReadFile(filepath.Join(a.f.Dir("mirror"), name))
		a.check(err)
		a.check(os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700))
		a.check(os.WriteFile(filepath.Join(folder, name), raw, 0o600))
	}
	return folder
}

// auditFlips flips bytes of pack n, as many at a time as there are processors, and gives those that the auditor does not name.
// before, which may be nil, runs ahead of each audit.
func (a *archive) auditFlips(n uint64, flips []flip, before func(folder string, original []byte)) []flip {
	var missed []flip
	var mu sync.Mutex
	var next atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		folder := a.alone(n)
		d, audit := openDisk(a.tb, folder, n), a.auditor(folder)
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(flips); i = int(next.Add(1)) - 1 {
				d.with(flips[i], func() {
					if before != nil {
						before(folder, d.bytes)
					}
					named, err := audit()
					if err != nil || !slices.Contains(named, n) {
						mu.Lock()
						missed = append(missed, flips[i])
						mu.Unlock()
					}
				})
			}
		})
	}
	all.Wait()
	return missed
}

// TestAuditFlipCampaign flips every byte of a pack of 1 MiB, and some of every other: arca audit packs names the pack.
func TestAuditFlipCampaign(t *testing.T) {
	t.Parallel()
	c, a := newCampaign(t), newArchive(t)
	last, err := a.m.Last()
	a.check(err)
	for n := uint64(1); n <= last; n++ {
		if named, err := a.auditor(a.alone(n))(); err != nil || slices.Contains(named, n) {
			t.Fatalf("pack %d is named unaltered: %v, %v", n, named, err)
		}
		some, all := 150, c
		if n == 1 {
			some = 5000
		} else {
			all.full = false
		}
		flips := all.flips(seal.TinyGeometry.Size, some)
		if missed := a.auditFlips(n, flips, nil); len(missed) > 0 {
			t.Errorf("pack %d: %d of %d flips are not named, the first at byte %d", n, len(missed), len(flips), missed[0].at)
		}
		t.Logf("pack %d of %d bytes: %d flips judged", n, seal.TinyGeometry.Size, len(flips))
	}
	// The twin does not look at filler: it audits a pack in which all that nobody uses was put right before.
	twin := func(folder string, original []byte) { a.repairFiller(folder, 1, original) }
	flips := campaign{c.Rand, false}.flips(seal.TinyGeometry.Size, 200)
	if missed := a.auditFlips(1, flips, twin); len(missed) == 0 || len(missed) == len(flips) {
		t.Errorf("an audit that skips filler misses %d of %d flips", len(missed), len(flips))
	}
}

func (a *archive) repairFiller(folder string, n uint64, original []byte) {
	f, err := os.OpenFile(filepath.Join(folder, "packs", fmt.Sprintf("%012d", n)), os.O_RDWR, 0)
	a.check(err)
	defer f.Close()
	used := a.used(n)
	for at := 0; at < len(original); {
		from := at
		for at < len(original) && !used[at] {
			at++
		}
		if at > from {
			_, err := f.WriteAt(original[from:at], int64(from))
			a.check(err)
		}
		at++
	}
}

// used marks what a reader reads of a pack: the slot area, descriptors and segments.
func (a *archive) used(n uint64) []bool {
	used := make([]bool, seal.TinyGeometry.Size)
	for i := range seal.TinyGeometry.Slots * seal.SlotSize {
		used[i] = true
	}
	for _, s := range a.spans[n] {
		for i := s.from; i < s.until; i++ {
			used[i] = true
		}
	}
	return used
}

// accepts tells whether a reader notices nothing while a pack is altered: what it uses the byte for, listing or opening,
// works and shows the same. It gives why not.
func (a *archive) accepts(r *reader.Reader, out *bytes.Buffer, n uint64, at int) (bool, string) {
	for _, s := range a.spans[n] {
		if s.recording == "" || at < s.from || at >= s.until {
			continue
		}
		out.Reset()
		_, err := r.Open(context.Background(), s.recording, "-", reader.Range{})
		return err == nil, fmt.Sprint(err)
	}
	a.forget()
	list, err := r.List(context.Background(), a.index)
	if err != nil {
		return false, err.Error()
	}
	return list.Complete && len(list.Rows) == len(a.rows), fmt.Sprint(list.Warnings)
}

// forget removes what the reader remembers of slots, so that it reads them again.
func (a *archive) forget() {
	names, err := filepath.Glob(a.f.Dir("people", "investigator", "cache", "unit-*"))
	a.check(err)
	for _, name := range names {
		a.check(os.Remove(name))
	}
}

// TestReaderFlipCampaign flips every byte that a reader uses of every pack in the mirror: slots, descriptors, segments.
func TestReaderFlipCampaign(t *testing.T) {
	t.Parallel()
	c, a := newCampaign(t), newArchive(t)
	if ok, why := a.accepts(a.r, &a.out, 1, 0); !ok {
		t.Fatalf("the unaltered pack is refused: %s", why)
	}
	for n := range a.spans {
		used := a.used(n)
		d := openDisk(t, a.f.Dir("mirror"), n)
		tried, hidden := 0, 0
		flips := c.flips(len(used), 200)
		if !c.full { // the places where one byte decides more than another: borders of whatever is used
			flips = append(flips, a.borders(n)...)
		}
		for _, x := range flips {
			if !used[x.at] {
				continue
			}
			tried++
			d.with(x, func() {
				if ok, _ := a.accepts(a.r, &a.out, n, x.at); ok {
					t.Errorf("pack %d: a flip at byte %d is not noticed", n, x.at)
				}
			})
		}
		// The twin takes slot areas as they are on the disk.
		lax := a.laxReader()
		for _, x := range c.slotFlips(40) {
			a.forget()
			d.with(x, func() {
				if list, err := lax.List(context.Background(), a.index); err == nil && list.Complete {
					hidden++
				}
			})
		}
		if hidden == 0 {
			t.Errorf("pack %d: the twin that does not verify slot areas notices every flip; the campaign proves nothing of slots", n)
		}
		t.Logf("pack %d: %d flips refused; the twin accepts %d of 40 in the slot area", n, tried, hidden)
	}
	if ok, why := a.accepts(a.r, &a.out, 1, 0); !ok {
		t.Errorf("with everything put right again: %s", why)
	}
}

// borders are the first and last bytes of all that is used.
func (a *archive) borders(n uint64) []flip {
	var list []flip
	for _, s := range a.spans[n] {
		list = append(list, flip{s.from, 1}, flip{s.until - 1, 0x80})
	}
	for i := range seal.TinyGeometry.Slots {
		list = append(list, flip{i * seal.SlotSize, 0x80}, flip{(i+1)*seal.SlotSize - 1, 1})
	}
	return list
}

func (c campaign) slotFlips(n int) []flip {
	return campaign{c.Rand, false}.flips(seal.TinyGeometry.Slots*seal.SlotSize, n)
}

// unverified is a mirror that gives slot areas as they lie on the disk.
type unverified struct{ *mirror.Mirror }

func (u unverified) SlotArea(n uint64) ([]byte, error) {
	area := make([]byte, seal.TinyGeometry.Slots*seal.SlotSize)
	return area, u.ReadPack(n, 0, area)
}

func (a *archive) laxReader() *reader.Reader {
	cfg := a.readerConfig("investigator", unverified{a.m}, nil)
	cfg.Court, cfg.Custodian = remember(cfg.Court), remember(cfg.Custodian)
	r, err := reader.Open(cfg)
	a.check(err)
	return r
}
