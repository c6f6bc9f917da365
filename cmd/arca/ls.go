package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// lsFlags choose what is listed; all but order, week and mirror work on this machine only.
type lsFlags struct {
	order, week, mirror, purpose, kind, from, to, since, until, compartment string
	fresh, screen                                                           bool
}

func (a *app) lsCommand() *cobra.Command {
	var l lsFlags
	c := a.command(spec{
		use: "ls", short: "List my orders and what is new, or the recordings of one order",
		long: "Without --order: every order that concerns you, its weeks, and what is new since the last time. With --order: asks both keyholders\n" +
			"for the index of the week (of every week, without --week), which is logged, finds the recordings in the mirror and decrypts\n" +
			"their descriptions here. A request that still stands is used again. Filters work on this machine and tell nobody anything.",
		example: "arca ls --as ines\narca ls --order $CHAIN --as ines\narca ls --order $CHAIN --week $WEEK --kind call --since 2026-01-01 --as ines",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			f, me, err := a.who()
			if err != nil {
				return err
			}
			if l.order == "" {
				return a.listMine(cmd.Context(), f, me)
			}
			return a.listRecordings(cmd.Context(), f, me, l)
		},
	})
	c.Flags().StringVar(&l.order, "order", "", "order chain")
	c.Flags().StringVar(&l.week, "week", "", "ISO week, as 2026-W47 (else every week with keys)")
	c.Flags().StringVar(&l.purpose, "purpose", "to see what there is", "what the index is asked for")
	c.Flags().StringVar(&l.compartment, "compartment", "", compartmentUsage)
	c.Flags().StringVar(&l.kind, "kind", "", "only call, message or session; of what people sealed note, transcript or resealed")
	c.Flags().StringVar(&l.from, "from", "", "only from this number or label")
	c.Flags().StringVar(&l.to, "to", "", "only to this number or label")
	c.Flags().StringVar(&l.since, "since", "", "only what began at this time or later")
	c.Flags().StringVar(&l.until, "until", "", "only what began before this time")
	c.Flags().BoolVar(&l.screen, "screen", false, "what the judge has named you to look at and mark, or for a clerk also ordered out of privileged, of the week that you name")
	c.Flags().BoolVar(&l.fresh, "new", false, "only what was in no listing before")
	c.Flags().StringVar(&l.mirror, "mirror", mirrorPlace, "which mirror of the installation to read from")
	_ = c.RegisterFlagCompletionFunc("order", a.completeChains)
	return c
}

// myOrder is an order as ls shows it.
type myOrder struct {
	listedOrder
	Weeks []string `json:"weeks"`
	New   []string `json:"new,omitempty"` // what is new since the last time
}

// listMine lists orders and weeks and remembers what was shown.
func (a *app) listMine(ctx context.Context, f *installation.Folder, me actor) error {
	list, err := a.ordersOf(ctx, f, me.signer)
	if err != nil {
		return err
	}
	seenPath := f.Dir("people", me.name, "seen.json")
	seen, err := readSeen(seenPath)
	if err != nil {
		return err
	}
	out := struct {
		Orders []myOrder `json:"orders"`
	}{}
	for _, o := range list {
		mine := myOrder{listedOrder: o, Weeks: o.units}
		before, known := seen[o.Chain]
		if !known {
			mine.New = append(mine.New, "order")
		} else if before.State != o.word() {
			mine.New = append(mine.New, "state")
		}
		for _, week := range o.units {
			if known && !slices.Contains(before.Weeks, week) {
				mine.New = append(mine.New, week)
			}
		}
		seen[o.Chain] = seenOrder{State: o.word(), Weeks: o.units}
		out.Orders = append(out.Orders, mine)
	}
	err = a.show(out, func(p *page) { writeMine(p, out.Orders) })
	if err != nil {
		return err
	}
	raw, err := record.Marshal(seen)
	if err != nil {
		return err
	}
	return installation.Replace(seenPath, raw)
}

func writeMine(p *page, orders []myOrder) {
	if len(orders) == 0 {
		p.line("No order concerns you.")
		return
	}
	var rows [][]string
	for _, o := range orders {
		weeks := ""
		if n := len(o.Weeks); n > 0 {
			weeks = o.Weeks[0]
			if n > 1 {
				weeks += " to " + o.Weeks[n-1]
			}
		}
		news := ""
		for i, n := range o.New {
			if i > 0 {
				news += ", "
			}
			news += n
		}
		rows = append(rows, []string{short(o.Chain), o.word(), o.Case, weeks, when(o.AccessEnd), news})
	}
	p.table([]string{"ORDER", "STATE", "CASE", "WEEKS", "ACCESS ENDS", "NEW"}, rows)
}

// seenOrder is what ls showed of an order last time.
type seenOrder struct {
	State string   `json:"state"`
	Weeks []string `json:"weeks"`
}

func readSeen(path string) (map[string]seenOrder, error) {
	seen := map[string]seenOrder{}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return seen, nil
	}
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the file of what was shown before cannot be read")
	}
	if record.UnmarshalStored(raw, &seen) != nil {
		return map[string]seenOrder{}, nil // damaged: everything counts as new, which misses nothing
	}
	return seen, nil
}

// shownRecording is a row of ls.
type shownRecording struct {
	Recording string            `json:"recording"`
	Order     string            `json:"order"`
	Week      string            `json:"week"`
	Batch     string            `json:"batch"`
	Start     time.Time         `json:"start"`
	Seconds   float64           `json:"seconds"`
	Kind      string            `json:"kind"`
	From      string            `json:"from,omitempty"`
	To        string            `json:"to,omitempty"`
	Direction string            `json:"direction,omitempty"`
	Target    record.Identifier `json:"target"`
	Codec     string            `json:"codec"`
	Language  string            `json:"language,omitempty"`
	Bytes     int64             `json:"bytes"`
	Name      string            `json:"name,omitempty"`
	Title     string            `json:"title,omitempty"`
	New       bool              `json:"new"`
	By        string            `json:"by,omitempty"`   // who sealed it, where a person did
	Of        string            `json:"of,omitempty"`   // the recording that they made it from
	Mark      string            `json:"mark,omitempty"` // what a note marks it as
}

type listing struct {
	Order      string           `json:"order"`
	Weeks      []string         `json:"weeks"`
	Recordings []shownRecording `json:"recordings"`
	Complete   bool             `json:"complete"`
	Waiting    int              `json:"waiting"` // batches that no mirrored pack holds yet
	Scanned    uint64           `json:"scanned"`
	Warnings   []string         `json:"warnings"`
	Empty      []emptyWeek      `json:"empty,omitempty"`
}

// emptyWeek is a week for which a keyholder says that nothing was sealed.
type emptyWeek struct {
	Week string `json:"week"`
	Why  string `json:"why"`
}

func (a *app) listRecordings(ctx context.Context, f *installation.Folder, me actor, l lsFlags) error {
	keep, err := a.filter(l)
	if err != nil {
		return err
	}
	hash, err := a.findChain(ctx, f, me.signer, l.order)
	if err != nil {
		return err
	}
	r, done, err := a.openReader(f, me, l.mirror)
	if err != nil {
		return err
	}
	defer done()
	out := listing{Order: hash.String(), Complete: true}
	if out.Weeks = []string{l.week}; l.week == "" {
		shown, err := f.Keyholder("court", me.signer).Order(ctx, hash)
		if err != nil {
			return err
		}
		out.Weeks = begun(shown.Units, seal.WeekOf(a.now()))
	}
	if l.screen {
		return a.listScreened(ctx, f, me, r, hash, l)
	}
	for _, week := range out.Weeks {
		got, err := a.listWeek(ctx, r, hash, week, l)
		if problem.KindOf(err) == problem.NotFound {
			out.Empty = append(out.Empty, emptyWeek{week, problem.MessageOf(err)})
			continue
		}
		if err != nil {
			return err
		}
		out.add(got, week, keep)
	}
	if err := out.remember(f, me); err != nil {
		return err
	}
	return a.show(out, out.write)
}

// begun gives the weeks up to the present one, in order: keys are made ahead, and a week that has not begun holds nothing.
func begun(weeks []string, present string) []string {
	sorted := slices.Compact(slices.Sorted(slices.Values(weeks)))
	return slices.DeleteFunc(sorted, func(week string) bool { return week > present }) // the form sorts as time does
}

// listWeek lists one week under a request that stands, or under a new one.
func (a *app) listWeek(ctx context.Context, r *reader.Reader, chain record.Digest, week string, l lsFlags) (*reader.Listing, error) {
	own, err := r.Requests()
	if err != nil {
		return nil, err
	}
	compartment := cmp.Or(l.compartment, record.MainCompartment)
	for _, q := range own {
		if q.Request.Chain != chain || q.Request.Compartment != compartment || q.Request.Week != week || q.Request.Class != string(seal.IndexClass) || len(q.Request.Recordings) > 0 {
			continue
		}
		got, err := r.List(ctx, q.Hash)
		if problem.KindOf(err) != problem.NotFound {
			return got, err
		}
		// A keyholder does not know it, because sending broke off: hand it over again.
		if _, err := r.Send(ctx, q.Hash); err != nil {
			return nil, err
		}
		return r.List(ctx, q.Hash)
	}
	asked, err := r.Ask(ctx, reader.AskInput{Chain: chain, Week: week, Class: seal.IndexClass, Compartment: compartment, Purpose: l.purpose})
	if err != nil {
		return nil, err
	}
	return r.List(ctx, asked.Hash)
}

func (out *listing) add(got *reader.Listing, week string, keep func(reader.Row) bool) {
	out.Complete = out.Complete && got.Complete
	out.Waiting += got.Waiting
	out.Scanned = max(out.Scanned, got.Scanned)
	out.Warnings = append(out.Warnings, got.Warnings...)
	for _, row := range got.Rows {
		if !keep(row) {
			continue
		}
		of := ""
		if row.By != "" {
			of = row.Of.Recording.String()
		}
		out.Recordings = append(out.Recordings, shownRecording{By: row.By, Of: of, Mark: row.Of.Mark,
			Recording: row.ID.String(), Order: out.Order, Week: week, Batch: row.Batch.String(), Start: row.Start, Seconds: row.Duration.Seconds(),
			Kind: row.Kind, From: row.From, To: row.To, Direction: row.Direction, Target: row.Target, Codec: row.Codec,
			Language: row.Language, Bytes: row.Size, Name: row.Name, Title: row.Title, New: row.New,
		})
	}
}

// filter makes the test that a row must pass.
func (a *app) filter(l lsFlags) (func(reader.Row) bool, error) {
	var since, until time.Time
	var err error
	if l.kind != "" {
		if err := oneOf("--kind", l.kind, slices.Concat(record.CommunicationKinds, record.MadeKinds)...); err != nil {
			return nil, err
		}
	}
	if l.since != "" {
		if since, err = parseTime(l.since, a.now()); err != nil {
			return nil, err
		}
	}
	if l.until != "" {
		if until, err = parseTime(l.until, a.now()); err != nil {
			return nil, err
		}
	}
	return func(row reader.Row) bool {
		return (l.kind == "" || row.Kind == l.kind) && (l.from == "" || row.From == l.from) && (l.to == "" || row.To == l.to) &&
			!row.Start.Before(since) && (until.IsZero() || row.Start.Before(until)) && (!l.fresh || row.New)
	}, nil
}

func (out listing) write(p *page) {
	var rows [][]string
	for _, r := range out.Recordings {
		news := ""
		if r.New {
			news = "new"
		}
		length := ""
		if r.Seconds > 0 {
			length = (time.Duration(r.Seconds) * time.Second).String()
		}
		label := r.Title
		if label == "" {
			label = r.Name
		}
		if r.By != "" { // never to be taken for what was delivered
			label = strings.TrimSpace(r.Mark+" of "+short(r.Of)) + ", by " + r.By
		}
		rows = append(rows, []string{short(r.Recording), when(r.Start), length, r.Kind, r.From, r.To, size(r.Bytes), r.Codec, label, news})
	}
	if len(rows) == 0 {
		p.line("No recordings.")
	} else {
		p.table([]string{"RECORDING", "START", "LENGTH", "KIND", "FROM", "TO", "SIZE", "CODEC", "TITLE", "NEW"}, rows)
	}
	if out.Waiting > 0 {
		p.line("")
		p.line("%s not in the mirror yet: fetch with arca mirror, or wait for the next tick", plural(out.Waiting, "batch"))
	}
	for _, w := range out.Warnings {
		p.line("warning: %s", w)
	}
	for _, e := range out.Empty {
		p.line("%s: %s", e.Week, e.Why)
	}
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case noun == "batch":
		return strconv.Itoa(n) + " batches"
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// findRecording completes the id of a recording from what was listed.
func (a *app) findRecording(f *installation.Folder, me actor, text string) (seal.RecordingID, error) {
	full, err := match("recording", text, 32, func() ([]string, error) { return readListed(f, me) })
	if err != nil {
		return seal.RecordingID{}, err
	}
	return seal.ParseRecordingID(full)
}

// listedName is the file with the ids of recordings that were listed, so that their beginnings can be completed. The ids are
// random and say nothing; what was listed under them is sealed by package reader.
const listedName = "listed.json"

// maxListed is how many ids are remembered.
const maxListed = 20000

func readListed(f *installation.Folder, me actor) ([]string, error) {
	raw, err := os.ReadFile(f.Dir("people", me.name, listedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the list of listed recordings cannot be read")
	}
	var ids []string
	if record.UnmarshalStored(raw, &ids) != nil {
		return nil, nil // damaged: listing again writes it anew
	}
	return ids, nil
}

// remember adds what was listed now.
func (out listing) remember(f *installation.Folder, me actor) error {
	ids, err := readListed(f, me)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, id := range ids {
		known[id] = true
	}
	before := len(ids)
	for _, r := range out.Recordings {
		if !known[r.Recording] {
			ids = append(ids, r.Recording)
		}
	}
	if len(ids) == before {
		return nil
	}
	raw, err := record.Marshal(ids[max(0, len(ids)-maxListed):])
	if err != nil {
		return err
	}
	return installation.Replace(f.Dir("people", me.name, listedName), raw)
}

// completeRecordings offers the ids of recordings that were listed.
func (a *app) completeRecordings(_ *cobra.Command, _ []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	f, me, err := a.who()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ids, _ := readListed(f, me) // what cannot be read is not offered
	var out []cobra.Completion
	for _, id := range ids {
		if strings.HasPrefix(id, toComplete) {
			out = append(out, short(id))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
