package reader

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader/cut"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// Wanted is a recording to disclose: by its id, whole or some stretches of it in order.
type Wanted struct {
	ID    string
	Spans []cut.Span
}

// Gather collects what a bundle of some recordings of one order holds, under one's own requests for their content and the index of
// their weeks: recordings that open, what binds each to its sealing, every batch of those weeks, the order with both
// keyholders' word on it, and, where both let this person read them, their journals. What is for the maker to say
// (trust file, reason, recipients, receipts) is left to the caller.
func (r *Reader) Gather(ctx context.Context, wanted []Wanted) (*bundle.Source, error) {
	if r.cfg.Mirror == nil || len(wanted) == 0 {
		return nil, problem.New(problem.Invalid, "name at least one recording, and the mirror to read from")
	}
	if err := r.learnPeople(ctx); err != nil {
		return nil, err
	}
	g := &gathering{reader: r, out: &bundle.Source{Sealings: map[record.ID]bundle.Sealing{}}, people: map[record.KeyID]bool{r.cfg.Identity.Public().ID(): true},
		weeks: map[seal.Unit]*week{}}
	for _, w := range wanted {
		if err := g.recording(ctx, w); err != nil {
			return nil, err
		}
	}
	g.batches()
	if err := g.order(ctx); err != nil {
		return nil, err
	}
	if err := g.custody(ctx); err != nil {
		return nil, err
	}
	return g.out, g.enrolments()
}

// gathering is a Gather under way.
type gathering struct {
	reader *Reader
	out    *bundle.Source
	people map[record.KeyID]bool // whose enrolments are needed
	weeks  map[seal.Unit]*week
}

// week is a unit that was found and verified.
type week struct {
	released *Released
	batches  []batch
}

func (g *gathering) recording(ctx context.Context, w Wanted) error {
	r := g.reader
	e, err := r.listed(w.ID)
	if err != nil {
		return err
	}
	if g.out.Chain.IsZero() {
		g.out.Chain = record.Digest(e.unit.Order)
	}
	same := func(s bundle.SourceRecording) bool { return s.Recording.Recording == e.Recording }
	if g.out.Chain != record.Digest(e.unit.Order) || slices.ContainsFunc(g.out.Recordings, same) {
		return problem.New(problem.Invalid, "a bundle is of one order, and names each recording once")
	}
	d, err := seal.ParseDescriptor(e.Descriptor)
	if err != nil {
		return err
	}
	out := bundle.SourceRecording{Recording: bundle.Recording{Batch: e.Batch, Recording: e.Recording}, Opening: bundle.Opening{Description: e.Description, Descriptor: e.Descriptor}}
	if e.Description.Of != (record.Origin{}) { // its author was held against it when it was listed
		out.Made, out.Of = e.Description.Kind, e.Description.Of.Recording
	}
	if err := g.sealing(ctx, e, d, &out); err != nil {
		return err
	}
	for _, run := range d.Places {
		if n := len(out.Packs); n > 0 && run.Pack == packOf(out.Packs[n-1]) {
			continue
		}
		event, random, proof, err := r.cfg.Mirror.Opening(run.Pack)
		if err != nil {
			return err
		}
		out.Packs = append(out.Packs, bundle.LogProof{Event: event, Proof: string(proof), Random: random})
	}
	if err := g.content(ctx, e, d, w, &out); err != nil {
		return err
	}
	g.out.Recordings = append(g.out.Recordings, out)
	return nil
}

func packOf(p bundle.LogProof) uint64 {
	e, _, err := bundle.OpenPackEvent(p.Event, p.Random)
	if err != nil {
		return 0 // no pack has this number
	}
	return e.Number
}

// sealing finds the recording's batch in its week and takes the index halves.
func (g *gathering) sealing(ctx context.Context, e entry, d seal.Descriptor, out *bundle.SourceRecording) error {
	u, err := g.week(ctx, e.unit)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(u.batches, func(b batch) bool { return record.ID(b.listing.Statement.Batch) == e.Batch })
	if i < 0 {
		return problem.New(problem.NotFound, "the batch of recording %s is in no mirrored pack; run arca mirror", e.Recording)
	}
	var s bundle.Sealing
	for _, other := range u.batches[i].listing.Descriptors {
		hash := other.Hash()
		s.Members, s.Descriptors = seal.AppendMember(s.Members, other.Member()), append(s.Descriptors, hash[:]...)
	}
	g.out.Sealings[e.Batch] = s
	halves, _, err := u.released.bothHalves(d, seal.BatchID(e.Batch))
	out.Opening.Halves = append(out.Opening.Halves, halvesOf(seal.IndexClass, halves)...)
	return err
}

func halvesOf(class seal.Class, halves [2]seal.Half) (list []bundle.Half) {
	for i, role := range parties {
		list = append(list, bundle.Half{Class: string(class), Half: slices.Clone(halves[i][:]), Party: string(role)})
	}
	return list
}

// week lists a unit again under a request for its whole index, and refuses if anything of it is missing here: what is
// counted as left out must be all that there is.
func (g *gathering) week(ctx context.Context, u seal.Unit) (*week, error) {
	if known := g.weeks[u]; known != nil {
		return known, nil
	}
	r := g.reader
	all, err := r.grants()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(g *grant) bool {
		return g.request.Class == string(seal.IndexClass) && g.unit() == u && len(g.request.Recordings) == 0
	})
	if i < 0 {
		return nil, problem.New(problem.NotFound, "you have no request for the whole index of week %s; list it first: arca ls --order %s", u.Week, record.Digest(u.Order))
	}
	released, err := r.release(ctx, all[i], nil)
	if err != nil {
		return nil, err
	}
	find, err := seal.NewUnitKey(released.find)
	if err != nil {
		return nil, err
	}
	known, warnings, err := r.scan(ctx, find, r.loadPositions(u, released.find))
	if err != nil {
		return nil, err
	}
	found, more := r.openBatches(find, u, known.Found)
	check := &Listing{Warnings: append(warnings, more...)}
	check.missing(released, found)
	if check.Waiting > 0 || len(check.Warnings) > 0 {
		return nil, problem.New(problem.Unavailable, "week %s is not whole here, so what is left out cannot be stated; run arca mirror and arca ls, and tell the auditor if it stays so", u.Week)
	}
	g.weeks[u] = &week{released, found}
	return g.weeks[u], nil
}

// batches lists every batch of the weeks, by unit, collector and number.
func (g *gathering) batches() {
	var all []*seal.Listing
	for _, w := range g.weeks {
		for _, b := range w.batches {
			all = append(all, b.listing)
			g.people[record.KeyID(b.listing.Statement.Collector)] = true
		}
	}
	slices.SortFunc(all, func(a, b *seal.Listing) int {
		x, y := a.Statement, b.Statement
		return cmp.Or(cmp.Compare(string(x.Unit.Bytes()), string(y.Unit.Bytes())), cmp.Compare(x.Collector.String(), y.Collector.String()), cmp.Compare(x.Number, y.Number))
	})
	for _, l := range all {
		g.out.Batches = append(g.out.Batches, bundle.Batch{Signature: slices.Clone(l.Signature[:]), Statement: l.Statement.Bytes()})
	}
}

// content gets the content halves and makes the recording ready to be written, its parts measured.
func (g *gathering) content(ctx context.Context, e entry, d seal.Descriptor, w Wanted, out *bundle.SourceRecording) error {
	r := g.reader
	released, err := r.releaseOne(ctx, e)
	if err != nil {
		return err
	}
	if !slices.Contains(g.out.Requests, released.grant.raw) {
		g.out.Requests = append(g.out.Requests, released.grant.raw)
	}
	halves, c, err := released.bothHalves(d, seal.BatchID(e.Batch))
	if err != nil {
		return err
	}
	key, err := seal.Combine(seal.ContentClass, c, d.Commitments, halves[0], halves[1])
	if err != nil {
		return err
	}
	content, err := seal.NewContent(key, c, d.Places, r.cfg.Mirror)
	if err != nil {
		return err
	}
	ending := endingOf(e.Description.Codec)
	if len(w.Spans) == 0 {
		out.Opening.Halves = append(out.Opening.Halves, halvesOf(seal.ContentClass, halves)...)
		out.Parts = []bundle.Part{{Bytes: content.Size(), Ending: ending}}
		out.Content = func(_ bundle.Part, to io.Writer) error {
			_, err := content.WriteVerified(to, key, c, [32]byte(e.Description.Digest))
			return err
		}
		return nil
	}
	out.Content = func(p bundle.Part, to io.Writer) error {
		_, err := cut.To(to, content, content.Size(), cut.Span{From: time.Duration(p.From) * time.Millisecond, To: time.Duration(p.Until) * time.Millisecond})
		return err
	}
	out.Parts, err = measure(content, e.Description, ending, w.Spans)
	return err
}

// measure cuts once to nowhere, because a bundle announces the size of a file before its content.
func measure(content *seal.Content, d record.Description, ending string, spans []cut.Span) (parts []bundle.Part, err error) {
	for i, s := range spans {
		if s.To == 0 {
			s.To = d.End.Sub(d.Start)
		}
		p := bundle.Part{Ending: bundle.PartEnding(i+1, ending), From: s.From.Milliseconds(), Until: s.To.Milliseconds()}
		s.From, s.To = time.Duration(p.From)*time.Millisecond, time.Duration(p.Until)*time.Millisecond
		if p.Bytes, err = cut.To(io.Discard, content, content.Size(), s); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func endingOf(codec string) string {
	switch codec {
	case "pcm_s16le", "alaw":
		return ".wav"
	case "opus":
		return ".opus"
	case "text":
		return ".txt"
	}
	return ".bin"
}

// order takes all members from both keyholders, who must hold the same, and each one's signed word on what it holds.
func (g *gathering) order(ctx context.Context) error {
	var members [2][]string
	var weeks [2][]string
	g.out.Order.Status = make([]string, len(parties))
	err := g.reader.both(ctx, func(ctx context.Context, role seal.Role, k Keyholder) error {
		i := slices.Index(parties, role)
		shown, err := k.Order(ctx, g.out.Chain)
		if err != nil {
			return err
		}
		var nonce record.ID
		_, _ = rand.Read(nonce[:]) // crypto/rand does not fail
		raw, lists, err := k.StatusAndMembers(ctx, nonce, g.out.Chain)
		if err != nil {
			return err
		}
		if len(lists) != 1 {
			return altered(role, nil, "it gave its word on the order without the members")
		}
		members[i], weeks[i], g.out.Order.Status[i] = lists[0], shown.Units, raw
		return nil
	})
	if err != nil {
		return err
	}
	sorted := func(list []string) []string { return slices.Sorted(slices.Values(list)) }
	if !slices.Equal(sorted(members[0]), sorted(members[1])) {
		return problem.New(problem.Conflict, "court and custodian do not hold the same members of this order; admit them at both first (arca order admit may be repeated)")
	}
	g.out.Order.Members = members[0]
	for _, raw := range members[0] {
		st, err := record.Peek(raw)
		if err != nil {
			return err
		}
		g.people[st.Author] = true
	}
	g.otherWeeks(slices.Concat(weeks[0], weeks[1]))
	return nil
}

// otherWeeks names the weeks of the order, begun by now, of which the bundle shows nothing.
func (g *gathering) otherWeeks(weeks []string) {
	present := seal.WeekOf(g.reader.now())
	for _, week := range slices.Compact(slices.Sorted(slices.Values(weeks))) {
		shown := false
		for u := range g.weeks {
			shown = shown || u.Week == week
		}
		if !shown && week <= present { // the form sorts as time does
			g.out.Weeks = append(g.out.Weeks, week)
		}
	}
}

// custody reads both journals of the case, or neither where they are not for this person.
func (g *gathering) custody(ctx context.Context) error {
	journals := make([][]bundle.LogProof, len(parties))
	err := g.reader.both(ctx, func(ctx context.Context, role seal.Role, k Keyholder) (err error) {
		journals[slices.Index(parties, role)], err = g.reader.journal(ctx, k, g.out.Chain)
		return err
	})
	if kind := problem.KindOf(err); err != nil && (kind == problem.Denied || kind == problem.NotFound) {
		return nil // the bundle says that the journals are not in it, and why
	}
	if err != nil {
		return err
	}
	g.out.Custody = map[string][]bundle.LogProof{}
	for i, role := range parties {
		g.out.Custody[string(role)] = journals[i]
	}
	return g.otherUnits(slices.Concat(journals...))
}

// otherUnits adds the weeks of batches that a journal tells of and the bundle does not show, of another compartment above all.
func (g *gathering) otherUnits(events []bundle.LogProof) error {
	for _, p := range events {
		var e record.Event
		if err := record.Unmarshal(p.Event, &e); err != nil {
			return err
		}
		if e.Kind != record.EventNoted {
			continue
		}
		var b record.NotedEvent
		if err := record.Unmarshal(e.Body, &b); err != nil {
			return err
		}
		st, err := seal.ParseStatement(b.Signed)
		if err != nil {
			return err
		}
		if g.weeks[st.Unit] == nil {
			g.out.Weeks = append(g.out.Weeks, st.Unit.Week)
		}
	}
	slices.Sort(g.out.Weeks)
	g.out.Weeks = slices.Compact(g.out.Weeks)
	return nil
}

// journal reads a case's events with their proofs. The newest wait for a witnessed checkpoint, for as long as patience lasts.
func (r *Reader) journal(ctx context.Context, k Keyholder, chain record.Digest) ([]bundle.LogProof, error) {
	var list []bundle.LogProof
	deadline := time.Now().Add(2 * r.cfg.Patience)
	for attempt := 0; ; {
		page, err := k.Log(ctx, chain, int64(len(list)+1))
		if err != nil || len(page.Events) == 0 {
			return list, err
		}
		before := len(list)
		for _, e := range page.Events {
			if e.State != wire.StateProven {
				break
			}
			list = append(list, bundle.LogProof{Event: e.Event, Proof: string(e.Proof), Random: e.Random})
		}
		if len(list)-before == len(page.Events) {
			continue
		}
		if time.Now().After(deadline) {
			return nil, problem.New(problem.Unavailable, "acts of a moment ago are not under a witnessed checkpoint yet; try again in a minute")
		}
		if err := pause(ctx, attempt); err != nil {
			return nil, err
		}
		attempt++
	}
}

// enrolments adds those of everybody whose signature the bundle carries.
func (g *gathering) enrolments() error {
	g.reader.mu.Lock()
	defer g.reader.mu.Unlock()
	for _, id := range slices.SortedFunc(maps.Keys(g.people), func(a, b record.KeyID) int { return slices.Compare(a[:], b[:]) }) {
		joint, ok := g.reader.joints[id]
		if !ok {
			return problem.New(problem.NotFound, "the enrolment of a person who signed something in this case is not shown to you; ask a clerk of the court to make the bundle")
		}
		g.out.People = append(g.out.People, joint)
	}
	return nil
}

// DiscloseTo writes down that a bundle, by its SHA-256, was made of what was gathered, once for each request that it rests on. To be called
// when the bundle is whole and before it is handed to anybody.
func (r *Reader) DiscloseTo(in *bundle.Source, hash record.Digest) error {
	to := strings.Join(in.Recipients, " ")
	if record.CheckName(to) != nil {
		to = fmt.Sprintf("%d age recipients", len(in.Recipients))
	}
	for _, raw := range in.Requests {
		request := record.HashStatement(raw)
		g, err := r.load(request)
		if err != nil {
			return err
		}
		var list []record.Reference
		for _, rec := range in.Recordings {
			if g.covers(seal.RecordingID(rec.Recording.Recording), seal.BatchID(rec.Batch)) {
				list = append(list, record.Reference{Batch: rec.Batch, Recording: rec.Recording.Recording})
			}
		}
		for some := range slices.Chunk(list, record.MaxActed) {
			if err := r.disclosed(request, in, hash, some, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// DisclosureReceipt files what waits and gives the receipt of a bundle's disclosure: both keyholders' journal entries with their proofs. Errors:
// problem.Denied or NotFound where the journals are not for this person.
func (r *Reader) DisclosureReceipt(ctx context.Context, chain, hash record.Digest) ([]byte, error) {
	if _, err := r.FileActs(ctx); err != nil {
		return nil, err
	}
	if err := r.learnPeople(ctx); err != nil { // one's own enrolment, which the receipt carries
		return nil, err
	}
	out := bundle.Disclosure{Audience: r.cfg.Fingerprint, Bundle: hash, Events: make([]bundle.LogProof, len(parties)), Version: bundle.Version}
	err := r.both(ctx, func(ctx context.Context, role seal.Role, k Keyholder) error {
		list, err := r.journal(ctx, k, chain)
		if err != nil {
			return err
		}
		for _, p := range slices.Backward(list) {
			if bundle.Discloses(p, hash) {
				out.Events[slices.Index(parties, role)] = p
				return nil
			}
		}
		return problem.New(problem.Unavailable, "the %s has not journalled the disclosure yet; try again", string(role))
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	out.Enrolment = r.joints[r.cfg.Identity.Public().ID()]
	r.mu.Unlock()
	return record.Marshal(out)
}
