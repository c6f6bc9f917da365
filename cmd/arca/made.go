package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
)

// spoolPlace is the folder, in a person's own, of what they sealed and is not proven yet.
const spoolPlace = "spool"

const compartmentUsage = "main, privileged (the judge's) or clerk (the court's); default main"

// maxNote bounds a note or transcript, which is read into memory.
const maxNote = 16 << 20

// madeFlags say what a person seals.
type madeFlags struct {
	text, file, mark, from, to, language, compartment, reason, mirror, place string
	flush                                                                    bool
}

const madeText = "It is sealed on this machine, signed by you, to both keyholders' keys of the same order and week, and says of what it was made: it never\n" +
	"passes for what a collector delivered. Its pack leaves at the next tick, through the site's collector, and looks like every other; your\n" +
	"next command files it at both keyholders (arca spool --mine shows what waits). --flush does both now. "

func (a *app) noteCommand() *cobra.Command {
	var m madeFlags
	c := a.command(spec{
		use: "note ID", short: "Seal a note on a recording, or mark it",
		long: "Seals words on a recording that you listed, beside it, for whoever may list its week. --mark says what the recording, or the part from\n" +
			"--from to --to, is: doubtful, privileged, core (core area of private life) or not-pertinent. The mark stands in both journals too.\n\n" +
			madeText + flushTells,
		example: "arca note $ID --text 'speaks of the blue van' --flush --as ines\narca note $ID --mark not-pertinent --from 1 --to 2 --as ines",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			if m.text == "" && m.file == "" && m.mark == "" {
				return problem.New(problem.Invalid, "say something: --text, --file or --mark")
			}
			return a.makeNote(cmd.Context(), args[0], record.KindNote, m)
		},
	})
	c.Flags().StringVar(&m.text, "text", "", "the note")
	c.Flags().StringVar(&m.file, "file", "", "file with the note, plain text")
	c.Flags().StringVar(&m.mark, "mark", "", "doubtful, privileged, core or not-pertinent")
	c.MarkFlagsMutuallyExclusive("text", "file")
	a.madeFlags(c, &m, true)
	return c
}

func (a *app) transcriptCommand() *cobra.Command {
	var m madeFlags
	c := a.command(spec{
		use: "transcript ID FILE", short: "Seal a transcript of a recording",
		long:    "Seals a transcript of a recording that you opened, or of its part from --from to --to, beside it.\n\n" + madeText + flushTells,
		example: "arca transcript $ID transcript.txt --language en --flush --as ines",
		args:    cobra.ExactArgs(2),
		run: func(cmd *cobra.Command, args []string) error {
			m.file = args[1]
			return a.makeNote(cmd.Context(), args[0], record.KindTranscript, m)
		},
	})
	a.madeFlags(c, &m, true)
	return c
}

func (a *app) resealCommand() *cobra.Command {
	var m madeFlags
	c := a.command(spec{
		use: "reseal ID", short: "Seal a recording again into another compartment (judge or clerk)",
		long: "Opens a recording under your request for its content, which is logged, and seals it again into another compartment of the same order and\n" +
			"week, without writing it to the disk. Into clerk goes the copy that stays with the court; into privileged what only the judge opens. The\n" +
			"original stays where it is until it is destroyed.\n\n" + madeText + flushTells,
		example: "arca reseal $ID --to clerk --reason 'copy of the court' --flush --as clara",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("--to", m.compartment, record.Compartments...); err != nil {
				return err
			}
			return a.make(cmd.Context(), m, reader.Making{ID: args[0], Kind: record.KindResealed, To: m.compartment, Reason: m.reason})
		},
	})
	c.Flags().StringVar(&m.compartment, "to", "", "compartment: clerk, main or privileged")
	c.Flags().StringVar(&m.reason, "reason", "", "why; it is part of both journals")
	_ = c.MarkFlagRequired("to")
	_ = c.MarkFlagRequired("reason")
	a.madeFlags(c, &m, false)
	return c
}

// madeFlags adds the flags that all three have.
func (a *app) madeFlags(c *cobra.Command, m *madeFlags, part bool) {
	if part {
		c.Flags().StringVar(&m.from, "from", "", "first second of the part that it is about")
		c.Flags().StringVar(&m.to, "to", "", "second to end before")
		c.Flags().StringVar(&m.language, "language", "", "language, as es")
	}
	c.Flags().BoolVar(&m.flush, "flush", false, "send and file now, outside the schedule")
	c.Flags().StringVar(&m.mirror, "mirror", mirrorPlace, "which mirror of the installation to read from")
	c.Flags().StringVar(&m.place, "collector", collectorPlace, "the site's collector, through which it is deposited")
	c.ValidArgsFunction = a.completeRecordings
}

func (a *app) makeNote(ctx context.Context, id, kind string, m madeFlags) error {
	making := reader.Making{ID: id, Kind: kind, Content: []byte(m.text), Language: m.language, Mark: m.mark}
	part, err := openFlags{from: m.from, to: m.to}.part()
	if err != nil {
		return err
	}
	making.Span = part.Span
	if m.file != "" {
		info, err := os.Stat(m.file)
		if err == nil && info.Size() > maxNote {
			return problem.New(problem.Invalid, "a note or transcript has at most 16 MiB; seal it in several")
		}
		if err == nil {
			making.Content, err = os.ReadFile(m.file)
		}
		if err != nil {
			return problem.Wrap(problem.NotFound, err, "the file cannot be read; check its name and rights")
		}
	}
	return a.make(ctx, m, making)
}

// madeAnswer says what was sealed.
type madeAnswer struct {
	Recording   string   `json:"recording"`
	Batch       string   `json:"batch"`
	Kind        string   `json:"kind"`
	Week        string   `json:"week"`
	Compartment string   `json:"compartment"`
	Length      int64    `json:"length"`
	Packs       []uint64 `json:"packs"`
	Flushed     bool     `json:"flushed"`
	Tells       string   `json:"tells,omitempty"`
	Error       *failure `json:"error,omitempty"`
}

// make seals what a person makes of a recording into their own spool.
func (a *app) make(ctx context.Context, m madeFlags, making reader.Making) error {
	f, me, err := a.who()
	if err != nil {
		return err
	}
	making.ID = strings.ToLower(making.ID)
	r, done, err := a.openReader(f, me, m.mirror)
	if err != nil {
		return err
	}
	defer done()
	item, err := r.Make(ctx, making)
	if err != nil {
		return err
	}
	c, err := a.openOwn(ctx, f, me, m.place, lockPatience)
	if err != nil {
		return err
	}
	defer c.Close()
	bar := a.progress("sealing")
	results, err := c.Seal(ctx, []collector.Item{item}, bar.at)
	bar.end()
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		return err
	}
	s := results[0]
	out := madeAnswer{Recording: s.Recording.String(), Batch: s.Batch.String(), Kind: making.Kind, Week: s.Unit.Week, Compartment: s.Unit.Compartment,
		Length: s.Length, Packs: s.Packs}
	if m.flush {
		if _, err = r.FileActs(ctx); err == nil { // the opening comes before what was made of it
			err = c.Flush(ctx)
		}
		if err == nil {
			out.Flushed, out.Tells = true, flushTells
		}
	}
	out.Error = failed(err)
	return a.report(out, err, out.write)
}

func (out madeAnswer) write(p *page) {
	p.line("%s: %s sealed, week %s, compartment %s, %s", short(out.Recording), out.Kind, out.Week, out.Compartment, size(out.Length))
	if out.Flushed {
		p.line("Both keyholders have it, and the witnessed log proves its pack. %s", out.Tells)
	} else if out.Error == nil {
		p.line("It leaves at the next tick, and your next command files it; arca spool --mine shows what waits, --flush sends it now.")
	}
}

// openOwn opens a person's own spool: sealed and filed with their key, deposited with the site's collector's, so that the vault learns of one
// more pack of that collector and of no reader.
func (a *app) openOwn(ctx context.Context, f *installation.Folder, me actor, place string, patience time.Duration) (*collector.Collector, error) {
	if err := installation.CheckName(place); err != nil {
		return nil, err
	}
	machine, err := f.Identity(place)
	if err != nil {
		return nil, err
	}
	return a.openSpool(ctx, f, collector.Config{Folder: f.Dir("people", me.name, spoolPlace), Signer: me.signer, Vault: f.Vault(machine)}, patience)
}

// ownSpool shows or sends what a person sealed.
func (a *app) ownSpool(ctx context.Context, place string, flush bool) error {
	f, me, err := a.who()
	if err != nil {
		return err
	}
	var out spoolAnswer
	folder := f.Dir("people", me.name, spoolPlace)
	if _, err := os.Stat(folder); err != nil {
		return a.show(out, out.write) // nothing was ever sealed
	}
	if flush {
		r, done, err := a.openReader(f, me, "")
		if err != nil {
			return err
		}
		defer done()
		if _, err := r.FileActs(ctx); err != nil {
			return err
		}
		c, err := a.openOwn(ctx, f, me, place, lockPatience)
		if err != nil {
			return err
		}
		err = errors.Join(c.Flush(ctx), c.Close())
		if err == nil {
			out.Flushed, out.Tells = true, flushTells
		}
		out.Error = failed(err)
		if err != nil {
			return a.report(out, err, out.write)
		}
	}
	if out.Waiting, err = collector.Inspect(folder); err != nil {
		return err
	}
	return a.show(out, out.write)
}

// leaveOwn files what a person sealed and the site's tick has deposited. Like fileActs it fails nothing: what is not taken now waits.
func (a *app) leaveOwn(f *installation.Folder, me actor) {
	waiting, err := collector.Inspect(f.Dir("people", me.name, spoolPlace))
	if err != nil || len(waiting) == 0 {
		return // nothing was sealed, or all is proven
	}
	ctx, stop := context.WithTimeout(context.Background(), actPatience)
	defer stop()
	c, err := a.openOwn(ctx, f, me, collectorPlace, 0)
	if err != nil {
		return // another command of theirs has it open
	}
	defer c.Close()
	_ = c.File(ctx) // the spool keeps why, and arca spool --mine tells it
}

// beatReaders is the tick of the readers' spools of this site, with the collector's key alone: it deposits, and tells how many packs left.
func (a *app) beatReaders(ctx context.Context, f *installation.Folder) (left int, first error) {
	names, err := f.People()
	if err != nil {
		return 0, nil // nobody is enrolled yet
	}
	machine, err := f.Identity(collectorPlace)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		folder := f.Dir("people", name, spoolPlace)
		if waiting, err := collector.Inspect(folder); err != nil || len(waiting) == 0 {
			continue
		}
		person, err := f.Enrolment("people", name)
		if err != nil {
			continue
		}
		c, err := a.openSpool(ctx, f, collector.Config{Folder: folder, Signer: machine, Owner: person.Key.ID(), Vault: f.Vault(machine)}, time.Second)
		if err != nil {
			first = firstOf(first, err)
			continue
		}
		n, err := c.Deposit(ctx)
		left, first = left+n, firstOf(first, err, c.Close())
	}
	return left, first
}
