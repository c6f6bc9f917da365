package collector

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Item is a communication to be sealed.
type Item struct {
	Chain       record.Digest      // the order
	Compartment string             // "main" when empty
	Description record.Description // Digest and Length are filled in; Target too if From or To is an identifier of the order
	Size        int64              // bytes of content, -1 when not known
	// Open gives the content, once, when its turn comes. It is read to its end and closed.
	Open func() (io.ReadCloser, error)
	// Vouch makes this an item of a reader's, who signs what they seal themselves: alone in its batch, it is held against what it was made from and
	// not against the order's scope. It gives the signed act that says so (record.Act), which both keyholders want before the note.
	Vouch func(record.Made) (string, error)
}

// Sealed is what became of an Item. With Err nil the recording is durable in the spool.
type Sealed struct {
	Recording record.ID
	Batch     record.ID
	Unit      seal.Unit
	Name      string
	Length    int64
	Packs     []uint64 // where its content lies
	Refused   bool     // the order does not cover it, and that was recorded
	Err       error
}

// MaxItems is how many items one call of Seal takes.
const MaxItems = 1_000_000

// job is an item on its way.
type job struct {
	Item
	index int
	group *group
}

// group is the items of one unit.
type group struct {
	chain       record.Digest
	compartment string
	week        string
	jobs        []*job
	order       *order
	keys        *unitKeys
	err         error
}

// Seal seals items into packs of the spool, those of one unit together whatever their order, and gives the result of
// each. An item that the order does not cover, or that cannot be read, has its own Err and does not stop the others. The error is
// that of the run: then items without one are nevertheless safe, all others can be sealed again. progress (may be nil)
// hears how many content bytes were sealed, of how many known.
func (c *Collector) Seal(ctx context.Context, items []Item, progress func(done, total int64)) ([]Sealed, error) {
	return c.seal(ctx, items, progress, nil)
}

// seal is Seal that hands every final pack to send (may be nil) while its bytes are in memory.
func (c *Collector) seal(ctx context.Context, items []Item, progress func(done, total int64), send func(*entry, []byte)) ([]Sealed, error) {
	if len(items) > MaxItems {
		return nil, problem.New(problem.Invalid, "one call seals at most %d items; seal them in several", MaxItems)
	}
	if c.cfg.Owner != (record.KeyID{}) {
		return nil, problem.New(problem.Denied, "this spool is another's; only its owner seals into it")
	}
	c.sealing.Lock()
	defer c.sealing.Unlock()
	if c.broken != nil {
		return nil, c.broken
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{c: c, results: make([]Sealed, len(items)), final: make([]bool, len(items)), progress: progress}
	groups := s.sort(items)
	var err error
	if s.line, err = c.startLine(s.committed, send); err != nil {
		return nil, err
	}
	f := &filler{session: s, ctx: ctx, heads: map[seal.Unit]head{}, segments: seal.NewSegmenter()}
	err = f.run(c.prepare(ctx, groups))
	if lineErr := s.line.end(); lineErr != nil {
		err = lineErr
	}
	s.settle(err)
	return s.results, err
}

// session is one call of Seal.
type session struct {
	c        *Collector
	line     *line
	results  []Sealed
	final    []bool // set by the line's commit
	progress func(done, total int64)
	done     int64
	total    int64
}

// sort groups items by unit, groups in the order of their first item.
func (s *session) sort(items []Item) []*group {
	type key struct {
		chain             record.Digest
		compartment, week string
	}
	known := map[key]*group{}
	var groups []*group
	for i, item := range items {
		item.Compartment = cmp.Or(item.Compartment, "main")
		s.total += max(item.Size, 0)
		s.results[i].Name = item.Description.Name
		k := key{item.Chain, item.Compartment, seal.WeekOf(item.Description.Start)}
		g := known[k]
		if g == nil {
			g = &group{chain: k.chain, compartment: k.compartment, week: k.week}
			known[k] = g
			groups = append(groups, g)
		}
		g.jobs = append(g.jobs, &job{item, i, g})
	}
	return groups
}

// committed notes the items of a pack that is now final.
func (s *session) committed(d *draft) {
	for _, i := range d.done {
		s.final[i] = true
	}
}

// settle gives every item that is not safe a reason.
func (s *session) settle(err error) {
	if err == nil {
		err = problem.New(problem.Internal, "an item was forgotten; seal it again")
	}
	for i := range s.results {
		if !s.final[i] && s.results[i].Err == nil {
			s.results[i].Err = err
		}
	}
}

// askAhead is how many units' orders and keys are asked for together, while those before them are sealed.
const askAhead = 2 * record.MaxUnitKeys

// prepare asks for orders and keys, some units ahead, and gives the groups in order.
func (c *Collector) prepare(ctx context.Context, groups []*group) <-chan *group {
	out := make(chan *group, askAhead)
	go func() {
		defer close(out)
		for some := range slices.Chunk(groups, askAhead) {
			for _, g := range c.prepareSome(ctx, some) {
				select {
				case out <- g:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

// prepareSome gives the groups again, what is privileged apart from the rest.
func (c *Collector) prepareSome(ctx context.Context, groups []*group) []*group {
	var chains []record.Digest
	for _, g := range groups {
		chains = append(chains, g.chain)
	}
	orders, errs := c.ordersOf(ctx, chains...)
	for i, g := range groups {
		g.order, g.err = orders[i], errs[i]
	}
	groups = setApart(groups)
	var worth []*group
	var units []seal.Unit
	for _, g := range groups {
		// Covered items only are worth a unit: a keyholder refuses weeks outside the window with the same words as we do.
		if g.err == nil && slices.ContainsFunc(g.jobs, func(j *job) bool { return g.order.admits(&j.Item) == nil }) {
			u := seal.Unit{Order: g.chain, Week: g.week, Compartment: g.compartment, Classification: g.order.Classification}
			if g.err = c.refuseClosed(u); g.err == nil {
				worth, units = append(worth, g), append(units, u)
			}
		}
	}
	keys, errs := c.unitsOf(ctx, units...)
	for i, g := range worth {
		g.keys, g.err = keys[i], errs[i]
	}
	return groups
}

// setApart makes a group of its own of what is privileged among items for main: whoever delivers or describes them, into main they do not go.
func setApart(groups []*group) (out []*group) {
	for _, g := range groups {
		var apart *group
		if g.err == nil && g.compartment == record.MainCompartment && len(g.order.Privileged) > 0 {
			apart = &group{chain: g.chain, compartment: record.PrivilegedCompartment, week: g.week, order: g.order}
			g.jobs = slices.DeleteFunc(g.jobs, func(j *job) bool {
				if j.Vouch != nil || !g.order.privileged(&j.Description) {
					return false
				}
				j.group, apart.jobs = apart, append(apart.jobs, j)
				return true
			})
		}
		if len(g.jobs) > 0 {
			out = append(out, g)
		}
		if apart != nil && len(apart.jobs) > 0 {
			out = append(out, apart)
		}
	}
	return out
}

// privileged tells whether a communication is with somebody on the order's privileged list, by any party that is said of it.
func (o *order) privileged(d *record.Description) bool {
	return slices.ContainsFunc(o.Privileged, func(p record.Privilege) bool {
		return p.Identifier == d.Target || sameParty(p.Identifier.Value, d.From) || sameParty(p.Identifier.Value, d.To)
	})
}

// sameParty compares identifiers in the way that protects more than letter by letter: a number is the same however it is spaced.
func sameParty(listed, said string) bool {
	if said == "" {
		return false
	}
	a, b := digitsOf(listed), digitsOf(said)
	return strings.EqualFold(listed, said) || len(a) >= 7 && a == b
}

// digitsOf gives a telephone number's digits without its international prefix, "" for what is none.
func digitsOf(s string) string {
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
	if strings.Trim(s, "+0123456789 ()-./") != "" {
		return ""
	}
	if !strings.HasPrefix(s, "+") {
		digits = strings.TrimPrefix(digits, "00")
	}
	return digits
}

// admits finds the order's identifier that a description is about, and refuses what the order does not cover. What a reader made was covered when
// it was delivered: both keyholders look whether it was released to them.
func (o *order) admits(item *Item) error {
	d := &item.Description
	if err := checkDescription(d); err != nil {
		return err
	}
	if item.Vouch != nil {
		return nil
	}
	if item.Compartment != record.MainCompartment && item.Compartment != record.PrivilegedCompartment {
		return problem.New(problem.Invalid, "what is delivered goes into the compartment main or privileged")
	}
	if d.Target == (record.Identifier{}) {
		for _, id := range o.Scope.Identifiers {
			if id.Value == d.From || id.Value == d.To {
				d.Target = id
				break
			}
		}
	}
	return o.Covers(d.Target, d.Kind, d.Start, d.End)
}

// checkDescription refuses what a reader could not show or compare.
func checkDescription(d *record.Description) error {
	for _, s := range []string{d.Codec, d.Direction, d.From, d.Kind, d.Language, d.Name, d.Target.Kind, d.Target.Value, d.To, d.Title} {
		if err := record.CheckName(s); err != nil {
			return err
		}
	}
	if err := checkFileName(d.Name); err != nil {
		return err
	}
	for _, t := range []time.Time{d.Start, d.End} {
		if t.IsZero() || !t.Equal(record.Second(t)) || t.Location() != time.UTC {
			return problem.New(problem.Invalid, "start and end are whole seconds in UTC, as in 2026-11-22T10:00:00Z")
		}
	}
	if d.Part.Number < 0 || (d.Part.Number <= 1) != (d.Part.Previous == record.ID{}) {
		return problem.New(problem.Invalid, "parts are numbered from 1, and each after the first names its predecessor")
	}
	return nil
}

// run seals all groups. Items that are refused or unreadable are settled one by one; anything else ends the run, but
// not before the pack in hand is finished, so that what was sealed is kept.
func (f *filler) run(groups <-chan *group) error {
	var stop error
	for g := range groups {
		for _, j := range g.jobs {
			if stop != nil {
				f.results[j.index].Err = stop
				continue
			}
			stop = f.one(j)
		}
	}
	if err := context.Cause(f.ctx); err != nil {
		return errors.Join(f.abandon(), problem.Wrap(problem.Unavailable, err, "sealing was stopped; what was reported as sealed is safe, seal the rest again"))
	}
	if err := f.flush(); err != nil {
		return err
	}
	return stop
}

// one seals an item and gives an error only if the run cannot go on.
func (f *filler) one(j *job) error {
	if f.line.stopped() {
		return f.line.err
	}
	if err := f.judge(j); err != nil {
		f.results[j.index].Err = err
		if kind := problem.KindOf(err); kind == problem.Unavailable || kind == problem.Internal {
			return err
		}
		if j.Vouch != nil {
			return nil // refused to a person, who is told; a refusal is of what was delivered
		}
		f.results[j.index].Refused = true
		return f.c.refuse(j.Chain, j.Description.Name, err)
	}
	err := f.add(j)
	if e, ok := errors.AsType[*itemError](err); ok {
		f.results[j.index].Err = e.cause
		return nil
	}
	return err
}

// itemError is a failure of one item's content.
type itemError struct{ cause error }

func (e *itemError) Error() string { return e.cause.Error() }
func (e *itemError) Unwrap() error { return e.cause }

// judge holds an item against its order as both keyholders hold it now.
func (f *filler) judge(j *job) error {
	g := j.group
	if g.err == nil && !g.order.fresh(f.c.cfg.Now()) {
		g.order, g.err = f.c.order(f.ctx, g.chain)
	}
	if g.err != nil {
		return g.err
	}
	if j.Vouch == nil && g.compartment == record.MainCompartment && g.order.privileged(&j.Description) {
		return problem.New(problem.Unavailable, "the order's privileged list has grown since this was begun; seal it again, and it goes where only the judge opens it")
	}
	return g.order.admits(&j.Item)
}

// open opens an item's content. Of content with unknown length it looks at the first bytes: most ends there.
func (f *filler) open(j *job) (src io.Reader, size int64, closer io.Closer, err error) {
	content, err := j.Open()
	if err != nil {
		return nil, 0, nil, unreadable(err)
	}
	if j.Size >= 0 {
		return content, j.Size, content, nil
	}
	if f.look == nil {
		f.look = make([]byte, lookAhead)
	}
	n, err := io.ReadFull(content, f.look)
	switch err {
	case nil:
		return io.MultiReader(bytes.NewReader(f.look), content), -1, content, nil
	case io.EOF:
		return bytes.NewReader(nil), 0, content, nil
	case io.ErrUnexpectedEOF:
		// Whether src ended or broke off with this very error shows when it is read again.
		if _, again := content.Read(make([]byte, 1)); again == io.EOF {
			return bytes.NewReader(f.look[:n]), int64(n), content, nil
		}
	}
	content.Close()
	return nil, 0, nil, unreadable(err)
}

func unreadable(cause error) error {
	return &itemError{problem.Wrap(problem.Invalid, cause, "the content could not be read to its end; it was not sealed, check the file and seal it again")}
}
