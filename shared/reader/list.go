package reader

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Row is one recording in a table. Texts are free of control characters.
type Row struct {
	ID        seal.RecordingID
	Batch     seal.BatchID
	Start     time.Time
	Duration  time.Duration
	Kind      string
	From, To  string
	Direction string
	Codec     string
	Language  string
	Size      int64
	Name      string
	Title     string
	Target    record.Identifier
	Part      record.Part
	New       bool          // not in any listing before
	By        string        // who sealed it, where a person did
	Of        record.Origin // what they made it from
}

// Listing is what one request for a week's index shows.
type Listing struct {
	Request  record.Digest
	Unit     seal.Unit
	Rows     []Row // by start
	Complete bool  // all packs mirrored so far were verified and nothing is missing in between
	Waiting  int   // batches that the keyholders know and that no mirrored pack holds yet
	Scanned  uint64
	Warnings []string
}

// entry is a recording as it is kept under a request.
type entry struct {
	Author      record.KeyID       `json:"author"` // who signed its batch
	Batch       record.ID          `json:"batch"`
	Descriptor  []byte             `json:"descriptor"` // seal.Descriptor bytes, as the collector signed them
	Description record.Description `json:"description"`
	Recording   record.ID          `json:"recording"`

	unit seal.Unit
}

// List finds and decrypts what an index request shows. The first run tries every mirrored pack, later ones only new packs.
func (r *Reader) List(ctx context.Context, request record.Digest) (*Listing, error) {
	g, err := r.load(request)
	if err != nil {
		return nil, err
	}
	if g.request.Class != string(seal.IndexClass) {
		return nil, problem.New(problem.Invalid, "the request is for content; list with a request of class index")
	}
	if r.cfg.Mirror == nil {
		return nil, problem.New(problem.Invalid, "this reader has no mirror; say where the mirror's folder is")
	}
	released, err := r.release(ctx, g, nil)
	if err != nil {
		return nil, err
	}
	if err := r.learnPeople(ctx); err != nil {
		return nil, err
	}
	find, err := seal.NewUnitKey(released.find)
	if err != nil {
		return nil, err
	}
	out := &Listing{Request: request, Unit: g.unit()}
	known, warnings, err := r.scan(ctx, find, r.loadPositions(out.Unit, released.find))
	if err != nil {
		return nil, err
	}
	out.Scanned = known.Scanned
	batches, more := r.openBatches(find, out.Unit, known.Found)
	out.Warnings = append(warnings, more...)
	out.missing(released, batches)
	entries := r.describe(released, batches, out)
	r.rows(out, entries, known.Seen)
	out.Complete = len(out.Warnings) == 0 && out.Waiting == 0
	if err := r.found(g, out.Rows); err != nil {
		return nil, err
	}
	return out, r.keep(g, released.find, out, known, entries)
}

// keep stores what later runs and Open need: the listing first, the mark of what was shown last.
func (r *Reader) keep(g *grant, find seal.Seed, out *Listing, known positions, entries []entry) error {
	if err := r.saveListing(g, entries); err != nil {
		return err
	}
	for _, row := range out.Rows {
		if row.New {
			known.Seen = append(known.Seen, record.ID(row.ID))
		}
	}
	return r.savePositions(out.Unit, find, known)
}

// missing compares what the keyholders released with what the mirror holds, and the collectors' numbers with each other.
func (l *Listing) missing(released *Released, batches []batch) {
	found := map[record.ID]bool{}
	for _, b := range batches {
		found[record.ID(b.listing.Statement.Batch)] = true
	}
	absent := map[record.ID]bool{}
	for _, role := range parties {
		for ref := range released.halves[role] {
			if !found[ref.Batch] {
				absent[ref.Batch] = true
			}
		}
	}
	l.Waiting = len(absent)
	for ref := range released.halves[seal.Court] {
		if released.halves[seal.Custodian][ref] == nil {
			l.warn("the custodian has no half of recording %s, which the court has", ref.Recording)
		}
	}
	for ref := range released.halves[seal.Custodian] {
		if released.halves[seal.Court][ref] == nil {
			l.warn("the court has no half of recording %s, which the custodian has", ref.Recording)
		}
	}
	l.numbers(batches)
}

func (l *Listing) warn(format string, args ...any) {
	l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
}

// numbers checks each collector's numbers in the unit: without a gap from 1, each naming the one before. A gap that batches known
// to the keyholders explain is a matter of waiting; any other is a warning.
func (l *Listing) numbers(batches []batch) {
	by := map[seal.CollectorID][]seal.Statement{}
	for _, b := range batches {
		st := b.listing.Statement
		by[st.Collector] = append(by[st.Collector], st)
	}
	unexplained := l.Waiting
	for _, id := range slices.SortedFunc(maps.Keys(by), func(a, b seal.CollectorID) int { return strings.Compare(a.String(), b.String()) }) {
		list := by[id]
		slices.SortFunc(list, func(a, b seal.Statement) int { return int(int64(a.Number) - int64(b.Number)) })
		want := uint64(1)
		for i, st := range list {
			gap := int64(st.Number) - int64(want)
			switch {
			case gap < 0:
				l.warn("collector %s used batch number %d twice; tell the auditor", id.String()[:8], st.Number)
			case gap > 0 && gap > int64(unexplained):
				l.warn("batches %d to %d of collector %s are in no mirrored pack and no keyholder names them in this answer; tell the auditor if it stays so", want, st.Number-1, id.String()[:8])
			case gap > 0:
				unexplained -= int(gap)
			case i > 0 && !st.Follows(list[i-1]):
				l.warn("batch %d of collector %s does not continue the one before; tell the auditor", st.Number, id.String()[:8])
			}
			want = st.Number + 1
		}
	}
}

// describe decrypts descriptions on all cores. What was decrypted under this request before is not decrypted again.
func (r *Reader) describe(released *Released, batches []batch, out *Listing) []entry {
	type job struct {
		st seal.Statement
		d  seal.Descriptor
	}
	var jobs []job
	for _, b := range batches {
		for _, d := range b.listing.Descriptors {
			if released.grant.covers(d.Recording, b.listing.Statement.Batch) {
				jobs = append(jobs, job{b.listing.Statement, d})
			}
		}
	}
	before := map[string]entry{}
	if old, err := r.loadListing(released.grant); err == nil {
		for _, e := range old {
			before[string(e.Descriptor)+e.Batch.String()] = e
		}
	}
	entries, errs := make([]entry, len(jobs)), make([]error, len(jobs))
	next := make(chan int)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := range next {
				j := jobs[i]
				// The bytes are the signed ones, so what was decrypted from them holds.
				if e, ok := before[string(j.d.Bytes())+record.ID(j.st.Batch).String()]; ok && e.Author == record.KeyID(j.st.Collector) {
					entries[i] = e
					continue
				}
				entries[i], errs[i] = r.describeOne(released, j.st, j.d)
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	all.Wait()
	var list []entry
	for i, err := range errs {
		if err != nil {
			out.warn("recording %s: %s", jobs[i].d.Recording, problem.MessageOf(err))
			continue
		}
		list = append(list, entries[i])
	}
	return list
}

func (r *Reader) describeOne(released *Released, st seal.Statement, d seal.Descriptor) (entry, error) {
	id := st.Batch
	e := entry{Author: record.KeyID(st.Collector), Batch: record.ID(id), Recording: record.ID(d.Recording), Descriptor: d.Bytes(), unit: released.grant.unit()}
	key, ctx, err := released.key(d, id)
	if err != nil {
		return e, err
	}
	defer clear(key[:])
	raw, err := seal.OpenDescription(key, ctx, d.Description)
	if err != nil {
		return e, err
	}
	if err := record.Unmarshal(raw, &e.Description); err != nil {
		return e, err
	}
	author, _ := r.person(e.Author) // its batch was verified under this key
	if err := e.Description.CheckAuthor(&author, e.unit.Compartment); err != nil {
		return e, err
	}
	return e, checkDescription(&e.Description, d, e.unit)
}

// checkDescription holds what the collector says of a recording against what was sealed.
func checkDescription(of *record.Description, d seal.Descriptor, u seal.Unit) error {
	size, err := seal.PlainLength(d.Places.Length())
	if err != nil {
		return err
	}
	if of.Length != size || len(of.Digest) != sha256.Size {
		return problem.New(problem.Denied, "its description does not fit what was sealed; tell the auditor")
	}
	if seal.WeekOf(of.Start) != u.Week || of.End.Before(of.Start) {
		return problem.New(problem.Denied, "its description names a time outside the week that it was sealed under; tell the auditor")
	}
	return nil
}

func (r *Reader) rows(l *Listing, entries []entry, seen []record.ID) {
	before := map[record.ID]bool{}
	for _, id := range seen {
		before[id] = true
	}
	for _, e := range entries {
		d := e.Description
		by := ""
		if author, _ := r.person(e.Author); !author.Of(record.Collector) {
			by = cleaned(author.Name)
		}
		l.Rows = append(l.Rows, Row{By: by, Of: d.Of,
			ID: seal.RecordingID(e.Recording), Batch: seal.BatchID(e.Batch), Start: d.Start, Duration: d.End.Sub(d.Start),
			Kind: cleaned(d.Kind), From: cleaned(d.From), To: cleaned(d.To), Direction: cleaned(d.Direction), Codec: cleaned(d.Codec),
			Language: cleaned(d.Language), Size: d.Length, Name: cleaned(d.Name), Title: cleaned(d.Title), Part: d.Part,
			Target: record.Identifier{Kind: cleaned(d.Target.Kind), Value: cleaned(d.Target.Value)}, New: !before[e.Recording],
		})
	}
	slices.SortFunc(l.Rows, func(a, b Row) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return strings.Compare(a.ID.String(), b.ID.String())
	})
}

// cleaned replaces what could change how a terminal or a page shows a line.
func cleaned(s string) string {
	if record.CheckName(s) == nil {
		return s
	}
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.In(c, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return unicode.ReplacementChar
		}
		return c
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
	for len(s) > 200 {
		s = s[:strings.LastIndexFunc(s, func(rune) bool { return true })]
	}
	return s
}

// listingKey is derived from the request's seed: erasing the seed erases the listing.
func (g *grant) listingKey() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, g.seed[:], g.hash[:], "arca/v1/listing", 32)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (r *Reader) saveListing(g *grant, entries []entry) error {
	aead, err := g.listingKey()
	if err != nil {
		return err
	}
	raw, err := record.Marshal(entries)
	if err != nil {
		return err
	}
	// A random nonce is safe: one person lists one request far less than 2³² times.
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(raw)+aead.Overhead())
	_, _ = rand.Read(nonce) // crypto/rand does not fail
	return r.write(r.listingPath(g.hash), aead.Seal(nonce, nonce, raw, g.hash[:]))
}

// loadListing gives what was listed under a request.
func (r *Reader) loadListing(g *grant) ([]entry, error) {
	b, err := os.ReadFile(r.listingPath(g.hash))
	if err != nil {
		return nil, failed(err)
	}
	aead, err := g.listingKey()
	if err != nil {
		return nil, err
	}
	n := aead.NonceSize()
	if len(b) < n {
		return nil, problem.New(problem.Invalid, "the listing is cut short; list again")
	}
	raw, err := aead.Open(nil, b[:n], b[n:], g.hash[:])
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the listing was altered; list again")
	}
	var entries []entry
	if err := record.UnmarshalStored(raw, &entries); err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the listing was altered; list again")
	}
	for i := range entries {
		entries[i].unit = g.unit()
	}
	return entries, nil
}

// minPrefix is how many digits of a recording's id serve for it where they are unambiguous.
const minPrefix = 6

// listed finds a recording, by its id or the beginning of it, in what was listed under requests that have not ended.
func (r *Reader) listed(id string) (entry, error) {
	e, _, err := r.listedUnder(id)
	return e, err
}

// listedUnder is listed, with the newest request under which it was listed.
func (r *Reader) listedUnder(id string) (entry, *grant, error) {
	list, err := r.grants()
	if err != nil {
		return entry{}, nil, err
	}
	var found []entry
	var under *grant
	for _, g := range list {
		if g.request.Class != string(seal.IndexClass) {
			continue
		}
		entries, err := r.loadListing(g)
		if err != nil {
			continue // not listed yet under this request, or damaged: listing again repairs it
		}
		for _, e := range entries {
			same := func(o entry) bool { return o.Recording == e.Recording }
			if len(id) >= minPrefix && strings.HasPrefix(e.Recording.String(), id) && !slices.ContainsFunc(found, same) {
				found, under = append(found, e), g
			}
		}
	}
	switch len(found) {
	case 0:
		return entry{}, nil, problem.New(problem.NotFound, "no recording with this id was listed under a request of yours that has not ended; list its week first: arca ls --order CHAIN")
	case 1:
		return found[0], under, nil
	}
	return entry{}, nil, problem.New(problem.Invalid, "several recordings begin with these digits; give more of them")
}
