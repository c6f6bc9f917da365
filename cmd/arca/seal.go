package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// flushTells is what sending outside the schedule reveals.
const flushTells = "Sent outside the schedule: the vault sees that something was sealed about now. It does not see what, how much of a pack it fills, or under which order."

// sealFlags describe what is sealed.
type sealFlags struct {
	order, target, from, to, start, end, direction, kind, language, title, name, codec string
	place, receipts, compartment                                                       string
	flush                                                                              bool
}

func (a *app) sealCommand() *cobra.Command {
	var s sealFlags
	c := a.command(spec{
		use: "seal FILES…", short: "Seal recordings and messages under an order",
		long: "Seals each file under the order, into packs of the collector's spool, and refuses what the order does not cover. A description\n" +
			"comes from flags, then from FILE.arca.json beside the file (members start, end, kind, from, to, direction, target with kind and\n" +
			"value, language, title, name, codec, compartment), then from the file itself: WAV and Opus give codec and length, a message in\n" +
			"JSON ({\"type\", \"time\", \"from\", \"to\", \"language\", \"text\"}) everything. What else is needed is --start, and --target unless --from\n" +
			"or --to is an identifier of the order. Numbers are written +12025550111, as in the order. A communication with somebody on the\n" +
			"order's privileged list goes into the compartment that only the judge opens, whatever is said of it.\n\n" +
			"Each run begins a pack of its own, so seal together what was delivered together. A file sealed twice is two recordings.\n\n" +
			"A pack leaves at every tick, and receipts come once it is proven. --flush sends now and waits for the receipts.\n" + flushTells,
		example: "arca seal call.wav --order $CHAIN --from +12025550111 --to +12025550122 --start now\n" +
			"arca seal note.txt --order $CHAIN --target msisdn:+12025550111 --start now --flush --receipts receipts",
		args: cobra.MinimumNArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			return a.seal(cmd.Context(), args, s)
		},
	})
	for _, flag := range []struct {
		into  *string
		name  string
		usage string
	}{
		{&s.order, "order", "order chain that covers it"},
		{&s.target, "target", "identifier of the order, as msisdn:+12025550111"},
		{&s.from, "from", "who called or wrote"},
		{&s.to, "to", "who was called or written to"},
		{&s.start, "start", "when it began: a time, or now"},
		{&s.end, "end", "when it ended: a time, or +90s from the start (else by the file's length)"},
		{&s.direction, "direction", "from-target, to-target or both"},
		{&s.kind, "kind", "call, message or session (else by the file)"},
		{&s.codec, "codec", "pcm_s16le, alaw, opus, text or bytes (else by the file)"},
		{&s.language, "language", "language, as es"},
		{&s.title, "title", "one line about it"},
		{&s.name, "name", "name to keep instead of the file's"},
		{&s.compartment, "compartment", "main or privileged (default main)"},
		{&s.receipts, "receipts", "folder for receipts, with --flush (default receipts/ of the collector)"},
	} {
		c.Flags().StringVar(flag.into, flag.name, "", flag.usage)
	}
	c.Flags().StringVar(&s.place, "collector", collectorPlace, "which collector of the installation seals")
	c.Flags().BoolVar(&s.flush, "flush", false, "send now, outside the schedule, and wait for the receipts")
	_ = c.MarkFlagRequired("order")
	_ = c.RegisterFlagCompletionFunc("order", a.completeChains)
	return c
}

// sealedFile is what became of one file.
type sealedFile struct {
	File        string   `json:"file"`
	Recording   string   `json:"recording,omitempty"`
	Batch       string   `json:"batch,omitempty"`
	Week        string   `json:"week,omitempty"`
	Compartment string   `json:"compartment,omitempty"` // privileged, where the other party is on the order's list
	Length      int64    `json:"length"`
	Packs       []uint64 `json:"packs,omitempty"`
	Receipt     string   `json:"receipt,omitempty"` // path, once proven
	Refused     bool     `json:"refused"`           // outside the order; recorded by the collector
	Error       *failure `json:"error,omitempty"`

	result *collector.Sealed
}

type sealAnswer struct {
	Order   string       `json:"order"`
	Sealed  []sealedFile `json:"sealed"`
	Flushed bool         `json:"flushed"`
	Tells   string       `json:"tells,omitempty"` // what flushing revealed
	Error   *failure     `json:"error,omitempty"`
}

func (a *app) seal(ctx context.Context, files []string, s sealFlags) error {
	f, err := a.folder()
	if err != nil {
		return err
	}
	c, err := a.openCollector(ctx, f, s.place, lockPatience)
	if err != nil {
		return err
	}
	defer c.Close()
	machine, err := f.Identity(s.place)
	if err != nil {
		return err
	}
	chain, err := a.findChain(ctx, f, machine, s.order)
	if err != nil {
		return err
	}
	out := sealAnswer{Order: chain.String(), Sealed: make([]sealedFile, len(files))}
	first := a.sealFiles(ctx, c, chain, files, s, out.Sealed)
	sealed := slices.ContainsFunc(out.Sealed, func(s sealedFile) bool { return s.result != nil })
	if s.flush && sealed { // what sealed nothing must not tell the vault that something was
		if err := a.flush(ctx, f, c, s, &out); err != nil && first == nil {
			first = err
		}
	}
	out.Error = failed(first)
	return a.report(out, first, out.write)
}

// sealFiles describes every file, seals those that can be, and gives the first failure.
func (a *app) sealFiles(ctx context.Context, c *collector.Collector, chain record.Digest, files []string, s sealFlags, out []sealedFile) error {
	var items []collector.Item
	var place []int
	var first error
	fail := func(i int, err error) {
		out[i].Error = failed(err)
		if first == nil {
			first = err
		}
	}
	for i, path := range files {
		out[i].File = path
		item, err := a.item(path, s)
		if err != nil {
			fail(i, err)
			continue
		}
		item.Chain = chain
		items, place = append(items, item), append(place, i)
	}
	if len(items) == 0 {
		return first
	}
	bar := a.progress("sealing")
	sealing := c.Seal
	if s.flush {
		sealing = c.SealAndSend // what will be sent now anyway need not wait for the last file
	}
	results, err := sealing(ctx, items, bar.at)
	bar.end()
	for j, r := range results {
		i := place[j]
		out[i].Refused = r.Refused
		if r.Err != nil {
			fail(i, r.Err)
			continue
		}
		out[i].Recording, out[i].Batch, out[i].Week = r.Recording.String(), r.Batch.String(), r.Unit.Week
		out[i].Compartment = r.Unit.Compartment
		out[i].Length, out[i].Packs, out[i].result = r.Length, r.Packs, &results[j]
	}
	if first == nil {
		first = err
	}
	return first
}

// flush sends everything now and writes the receipts of what was just sealed.
func (a *app) flush(ctx context.Context, f *installation.Folder, c *collector.Collector, s sealFlags, out *sealAnswer) error {
	if err := c.Flush(ctx); err != nil {
		return err
	}
	out.Flushed, out.Tells = true, flushTells
	r := receiptFolder{folder: cmp.Or(s.receipts, f.Dir(s.place, receiptsPlace))}
	if err := os.MkdirAll(r.folder, 0o700); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the folder for receipts cannot be made")
	}
	for i := range out.Sealed {
		file := &out.Sealed[i]
		if file.result == nil {
			continue
		}
		raw, err := c.Receipt(ctx, *file.result)
		if err != nil {
			return err
		}
		if file.Receipt, err = r.keep(file.result.Recording, raw); err != nil {
			return err
		}
	}
	return nil
}

func (out sealAnswer) write(p *page) {
	var rows [][]string
	for _, s := range out.Sealed {
		word := "sealed"
		switch {
		case s.Error != nil && s.Refused:
			word = "refused: " + s.Error.Message
		case s.Error != nil:
			word = s.Error.Message
		case s.Receipt != "":
			word = "proven"
		}
		if s.Error == nil && s.Compartment == record.PrivilegedCompartment {
			word += ", privileged"
		}
		length := ""
		if s.Error == nil {
			length = size(s.Length)
		}
		rows = append(rows, []string{filepath.Base(s.File), short(s.Recording), s.Week, length, word})
	}
	p.table([]string{"FILE", "RECORDING", "WEEK", "SIZE", "STATE"}, rows)
	switch {
	case out.Flushed:
		p.line("")
		for _, s := range out.Sealed {
			if s.Receipt != "" {
				p.line("Receipts, named by the recordings' ids, are in %s", filepath.Dir(s.Receipt))
				break
			}
		}
		p.line("%s", out.Tells)
	case slices.ContainsFunc(out.Sealed, func(s sealedFile) bool { return s.Error == nil }):
		p.line("")
		p.line("The spool sends one pack at every tick; arca spool shows what waits, arca spool --flush sends it now.")
	}
}

// item describes one file from its sidecar and the flags, which win.
func (a *app) item(path string, s sealFlags) (collector.Item, error) {
	said, err := a.said(s)
	if err != nil {
		return collector.Item{}, err
	}
	item, err := collector.Describe(path, said)
	if record.CheckName(filepath.Base(path)) != nil && said.Name == "" && err != nil {
		return item, problem.Wrap(problem.Invalid, err, "this file's name cannot be kept (line breaks and the like, or longer than 200 bytes); give another with --name")
	}
	if err != nil {
		return item, err
	}
	if item.Description.Target == (record.Identifier{}) && item.Description.From == "" && item.Description.To == "" {
		return item, problem.New(problem.Invalid, "it is not known whose line this is; say it with --target msisdn:+12025550111, --from or --to, or in the file's .arca.json")
	}
	if item.Size == 0 {
		return item, problem.New(problem.Invalid, "the file is empty; nothing was sealed")
	}
	if s.end == "now" {
		item.Description.End = record.Second(a.now())
	} else if s.end != "" {
		if item.Description.End, err = parseTime(s.end, item.Description.Start); err != nil {
			return item, err
		}
	}
	return item, nil
}

// said puts the flags together.
func (a *app) said(s sealFlags) (said collector.Said, err error) {
	said = collector.Said{Codec: s.codec, Compartment: s.compartment, Direction: s.direction, From: s.from, Kind: s.kind,
		Language: s.language, Name: s.name, Title: s.title, To: s.to}
	for _, given := range []struct {
		what, word string
		words      []string
	}{
		{"--kind", s.kind, record.CommunicationKinds},
		{"--codec", s.codec, []string{"pcm_s16le", "alaw", "opus", "text", "bytes"}},
		{"--direction", s.direction, []string{"from-target", "to-target", "both"}},
		{"--compartment", s.compartment, []string{"main", "privileged"}},
	} {
		if given.word != "" {
			if err := oneOf(given.what, given.word, given.words...); err != nil {
				return said, err
			}
		}
	}
	if s.target != "" {
		if said.Target, err = parseIdentifier(s.target); err != nil {
			return said, err
		}
	}
	if s.start == "now" {
		said.Start = record.Second(a.now())
	} else if s.start != "" {
		if said.Start, err = parseTime(s.start, a.now()); err != nil {
			err = problem.Wrap(problem.KindOf(err), err, "--start is now, or %s", problem.MessageOf(err))
		}
	}
	return said, err
}
