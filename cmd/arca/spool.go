package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/mirror"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

type spoolAnswer struct {
	Waiting  []collector.Pending `json:"waiting"`
	Refusals []collector.Refusal `json:"refusals,omitempty"`
	Flushed  bool                `json:"flushed"`
	Tells    string              `json:"tells,omitempty"`
	Receipts string              `json:"receipts,omitempty"` // folder that was brought up to date
	Error    *failure            `json:"error,omitempty"`
}

func (a *app) spoolCommand() *cobra.Command {
	var place, folder, order, week string
	var flush, refusals, mine, clerk bool
	var fill uint64
	c := a.command(spec{
		use: "spool", short: "Show what is not yet proven, and why",
		long: "Lists the packs that the collector still keeps: a pack leaves the spool only when the collector holds a witnessed proof of it\n" +
			"and both keyholders' receipts. --refusals also lists what was delivered and not sealed. --receipts brings a folder of receipts\n" +
			"up to date. --flush sends now. " + flushTells + "\n" +
			"--mine shows, and with --flush sends, what you sealed yourself (arca note, transcript, reseal) instead of the collector's.\n" +
			"--fill puts a dummy pack under a number that another collector has abandoned, where mirrors wait; the vault allows it after six hours.\n\n" +
			"--close says to both keyholders, for good, that nothing more of an order will come from this collector, or with --week of that week: only what\n" +
			"every collector has closed can be destroyed. It is refused while something of the order waits here. The whole chain's id is needed. The clerk's\n" +
			"copies are left open for step 2 of a destruction; --clerk closes those, and only those.",
		example: "arca spool\narca spool --flush --refusals --receipts receipts\narca spool --close $CHAIN",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			if mine {
				return a.ownSpool(cmd.Context(), place, flush)
			}
			if fill > 0 {
				return a.fillGap(cmd.Context(), place, fill)
			}
			if order != "" {
				return a.closeUnits(cmd.Context(), place, order, week, clerk)
			}
			return a.spool(cmd.Context(), place, folder, flush, refusals)
		},
	})
	c.Flags().StringVar(&order, "close", "", "order of which this collector seals nothing more")
	c.Flags().StringVar(&week, "week", "", "with --close: only this ISO week, as 2026-W47")
	c.Flags().BoolVar(&clerk, "clerk", false, "with --close: the clerk's copies instead of all else")
	_ = c.RegisterFlagCompletionFunc("close", a.completeChains)
	c.Flags().StringVar(&place, "collector", collectorPlace, "which collector of the installation")
	c.Flags().StringVar(&folder, "receipts", "", "folder to write missing receipts to")
	c.Flags().BoolVar(&flush, "flush", false, "send now, outside the schedule")
	c.Flags().Uint64Var(&fill, "fill", 0, "number of an abandoned pack to fill with a dummy")
	c.Flags().BoolVar(&mine, "mine", false, "your own spool, of what you sealed yourself")
	c.Flags().BoolVar(&refusals, "refusals", false, "list what was refused")
	for _, other := range []string{"refusals", "receipts", "fill"} {
		c.MarkFlagsMutuallyExclusive("mine", other)
	}
	return c
}

// closeUnits says for a collector that nothing more of an order will come.
func (a *app) closeUnits(ctx context.Context, place, order, week string, clerk bool) error {
	f, err := a.folder()
	if err != nil {
		return err
	}
	if err := installation.CheckName(place); err != nil {
		return err
	}
	chain, err := record.ParseDigest(order)
	if err != nil {
		return problem.New(problem.Invalid, "what is closed for good is named by its whole id: 64 digits, as arca order show CHAIN prints them")
	}
	c, err := a.openCollector(ctx, f, place, lockPatience)
	if err != nil {
		return err
	}
	defer c.Close()
	units, err := c.CloseUnits(ctx, chain, week, clerk)
	if err != nil {
		return err
	}
	out := struct {
		Closed []string `json:"closed"` // weeks and compartments
	}{[]string{}}
	for _, u := range units {
		out.Closed = append(out.Closed, u.Week+" "+u.Compartment)
	}
	return a.show(out, func(p *page) {
		p.line("This collector seals nothing more in %s of the order.", plural(len(units), "unit"))
		for _, line := range out.Closed {
			p.line("  %s", line)
		}
	})
}

// fillGap fills one abandoned number.
func (a *app) fillGap(ctx context.Context, place string, number uint64) error {
	f, err := a.folder()
	if err != nil {
		return err
	}
	if err := installation.CheckName(place); err != nil {
		return err
	}
	c, err := a.openCollector(ctx, f, place, lockPatience)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Fill(ctx, number); err != nil {
		return err
	}
	return a.show(map[string]uint64{"filled": number}, func(p *page) { p.line("Pack %d is filled with a dummy; mirrors go on.", number) })
}

func (a *app) spool(ctx context.Context, place, folder string, flush, refusals bool) error {
	f, err := a.folder()
	if err != nil {
		return err
	}
	if err := installation.CheckName(place); err != nil {
		return err
	}
	var out spoolAnswer
	if !flush && !refusals && folder == "" {
		if _, err := f.Identity(place); err != nil {
			return err
		}
		out.Waiting, err = collector.Inspect(f.Dir(place))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // no spool yet: nothing was ever sealed
			return err
		}
		return a.show(out, out.write)
	}
	c, err := a.openCollector(ctx, f, place, lockPatience)
	if err != nil {
		return err
	}
	defer c.Close()
	if flush {
		if err = c.Flush(ctx); err == nil {
			out.Flushed, out.Tells = true, flushTells
		}
	}
	if folder != "" && err == nil {
		r := receiptFolder{folder: folder}
		err = r.write(ctx, c)
		out.Receipts = folder
	}
	if refusals {
		list, torn, readErr := c.Refusals()
		out.Refusals = list
		if torn > 0 && readErr == nil {
			readErr = problem.New(problem.Internal, "%d lines of the collector's refusals are damaged", torn)
		}
		err = firstOf(err, readErr)
	}
	waiting, listErr := c.List(ctx)
	out.Waiting, err = waiting, firstOf(err, listErr)
	out.Error = failed(err)
	return a.report(out, err, out.write)
}

// firstOf gives the first error that there is.
func firstOf(errs ...error) error { return cmp.Or(errs...) }

func (out spoolAnswer) write(p *page) {
	if len(out.Waiting) == 0 {
		p.line("Nothing waits: everything that was sealed is proven.")
	} else {
		var rows [][]string
		ahead := 0 // packs that leave earlier, one at each tick
		for _, w := range out.Waiting {
			if w.Stage == "packed" {
				if ahead++; ahead > 1 {
					w.Why = fmt.Sprintf("the tick after %s, or arca spool --flush", plural(ahead-1, "other pack"))
				}
			}
			rows = append(rows, []string{strconv.FormatUint(w.Pack, 10), strconv.Itoa(w.Recordings), w.Stage, w.Why})
		}
		p.table([]string{"PACK", "RECORDINGS", "STAGE", "WAITS FOR"}, rows)
	}
	if len(out.Refusals) > 0 {
		p.line("")
		var rows [][]string
		for _, r := range out.Refusals {
			rows = append(rows, []string{when(r.At), r.Chain.Short(), r.Name, r.Reason})
		}
		p.table([]string{"REFUSED AT", "ORDER", "NAME", "REASON"}, rows)
	}
	if out.Flushed {
		p.line("")
		p.line("%s", out.Tells)
	}
}

type mirrorAnswer struct {
	Packs   int    `json:"packs"` // fetched now
	Bytes   int64  `json:"bytes"`
	Last    uint64 `json:"last"`
	Next    uint64 `json:"next"` // lowest number that the vault has never given out
	Waiting string `json:"waiting,omitempty"`
	Stale   string `json:"stale,omitempty"`
}

func (a *app) mirrorCommand() *cobra.Command {
	var place string
	var repair bool
	c := a.command(spec{
		use: "mirror", short: "Fetch every new pack, whole and in order, and check it against the witnessed log",
		long: "Fetches what is new and ends. Every pack is fetched, whole and in number order, so that the vault never learns which one a reader\n" +
			"needs; each is kept only if its digests are the ones in the log that the witnesses cosigned. arca serve does this at every tick.\n\n" +
			"--repair reads every pack again, as arca audit packs does, and fetches anew those that are not the witnessed ones. What lay in their\n" +
			"place is kept in the mirror's folder evidence/ for the auditor. The vault learns which packs were damaged, not which are read.",
		example: "arca mirror\narca mirror --repair",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			f, err := a.folder()
			if err != nil {
				return err
			}
			m, err := a.openMirror(f, place, true)
			if err != nil {
				return err
			}
			defer m.Close()
			if repair {
				return a.repair(cmd.Context(), f, m)
			}
			bar := a.progress("fetching")
			got, err := m.Sync(cmd.Context(), func(p mirror.Progress) {
				left := int64(p.Next-min(p.Number+1, p.Next)) * int64(f.Pack.Size)
				bar.at(p.Bytes, p.Bytes+left)
			})
			bar.end()
			if err != nil {
				return err
			}
			return a.show(mirrorAnswer{got.Packs, got.Bytes, got.Last, got.Next, got.Waiting, got.Stale}, func(p *page) {
				p.line("%s new, %s; the newest is number %d", plural(got.Packs, "pack"), size(got.Bytes), got.Last)
				if got.Waiting != "" {
					p.line("waiting: %s", got.Waiting)
				}
				if got.Stale != "" {
					p.line("stale: %s", got.Stale)
				}
			})
		},
	})
	c.Flags().StringVar(&place, "mirror", mirrorPlace, "which mirror of the installation")
	c.Flags().BoolVar(&repair, "repair", false, "audit what is here and fetch damaged packs again")
	return c
}

type repairAnswer struct {
	auditAnswer        // what was found
	Fetched     int    `json:"fetched"`
	Evidence    string `json:"evidence,omitempty"` // folder with what lay in their place
}

func (a *app) repair(ctx context.Context, f *installation.Folder, m *mirror.Mirror) error {
	bar := a.progress("reading")
	got, err := m.Repair(ctx, func(done, total int) {
		bar.at(int64(done)*int64(f.Pack.Size), int64(total)*int64(f.Pack.Size))
	})
	bar.end()
	out := repairAnswer{auditAnswer: audited(got.Audited), Fetched: got.Fetched, Evidence: got.Kept}
	out.Error = failed(err)
	return a.report(out, err, func(p *page) {
		out.auditAnswer.write(p)
		if len(out.Findings) > 0 {
			p.line("")
			p.line("%s fetched again, checked against the witnessed log; what lay in its place is in %s", plural(out.Fetched, "pack"), out.Evidence)
		}
	})
}

// counted says how many packs are something.
func counted(n int) string {
	if n == 1 {
		return "1 pack is"
	}
	return plural(n, "pack") + " are"
}

// auditFinding is one pack that is not the witnessed one.
type auditFinding struct {
	Number uint64      `json:"number"`
	Area   mirror.Area `json:"area"`
	Reason string      `json:"reason"`
}

type auditAnswer struct {
	Packs    int            `json:"packs"`
	Bytes    int64          `json:"bytes"`
	Findings []auditFinding `json:"findings"`
	Error    *failure       `json:"error,omitempty"`
}

func (a *app) auditCommand() *cobra.Command {
	var place string
	packs := a.command(spec{
		use: "packs", short: "Read every mirrored pack again and hold each byte against the witnessed log",
		long:    "Reads slot areas, bodies and filler alike, so that a changed byte anywhere is found. Exit code 4 when a pack is not the witnessed one.",
		example: "arca audit packs",
		args:    cobra.NoArgs,
		run:     func(cmd *cobra.Command, _ []string) error { return a.auditPacks(cmd.Context(), place) },
	})
	packs.Flags().StringVar(&place, "mirror", mirrorPlace, "which mirror of the installation")
	return a.group("audit", "Check what is stored against the log, and the log itself", packs, a.auditLogCommand())
}

func (a *app) auditPacks(ctx context.Context, place string) error {
	f, err := a.folder()
	if err != nil {
		return err
	}
	m, err := a.openMirror(f, place, false)
	if err != nil {
		return err
	}
	defer m.Close()
	bar := a.progress("reading")
	got, err := m.Audit(ctx, func(done, total int) {
		bar.at(int64(done)*int64(f.Pack.Size), int64(total)*int64(f.Pack.Size))
	})
	bar.end()
	if err != nil {
		return err
	}
	out := audited(got)
	if len(out.Findings) > 0 {
		err = problem.New(problem.Denied, "%s not as the log witnesses; tell the auditor, and fetch them again: arca mirror --repair, which keeps what is here as evidence", counted(len(out.Findings)))
	}
	out.Error = failed(err)
	return a.report(out, err, out.write)
}

func audited(got mirror.Audited) auditAnswer {
	out := auditAnswer{Packs: got.Packs, Bytes: got.Bytes}
	for _, found := range got.Findings {
		out.Findings = append(out.Findings, auditFinding{found.Number, found.Area, found.Reason})
	}
	return out
}

func (out auditAnswer) write(p *page) {
	if out.Packs == 0 && len(out.Findings) == 0 {
		p.line("This mirror holds no packs yet; fetch them with: arca mirror")
		return
	}
	p.line("%s, %s read", plural(out.Packs, "pack"), size(out.Bytes))
	var rows [][]string
	for _, found := range out.Findings {
		rows = append(rows, []string{strconv.FormatUint(found.Number, 10), string(found.Area), found.Reason})
	}
	if len(rows) > 0 {
		p.line("")
		p.table([]string{"PACK", "WHERE", "WHAT"}, rows)
	}
}
