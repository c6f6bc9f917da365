package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/oversight"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

type oversightFlags struct {
	from, until, format, shape, out string
	small, sample                   int
}

func (a *app) oversightCommand() *cobra.Command {
	var o oversightFlags
	c := a.command(spec{
		use: "oversight", short: "Count what was done under all orders of a period, for a report that names nobody",
		long: "For auditors. Reads every journal of both keyholders whole and verifies it here: numbers and chain of every event, orders under their\n" +
			"judges' keys, and the places in the witnessed log of each journal's last event, which commits to all before it, and of so many per cent\n" +
			"of the others as --sample says. Then it counts; where the two keyholders differ is named. Of a period that is over the same journals\n" +
			"always give the same report, byte for byte.\n\n" +
			"Counts below --small are hidden, and others beside them so that no hidden one follows from a total; courts and offence groups with few orders\n" +
			"stand together without their names. Publish one cut of a period: months and their year give away their differences. What statutes ask for\n" +
			"and no event says (refused applications, arrests, cost) is named and never guessed.",
		example: "arca oversight --from 2026-01-01 --as alma\narca oversight --from 2026-01-01 --format html -o oversight.html --as alma\n" +
			"arca oversight --from 2026-01-01 --until +1d --shape de --format csv --small 0 --as alma",
		args: cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			return a.oversight(cmd.Context(), o)
		},
	})
	c.Flags().StringVar(&o.from, "from", "", "beginning of the period: a time or date")
	c.Flags().StringVar(&o.until, "until", "", "its end, which is outside (else now)")
	c.Flags().StringVar(&o.format, "format", "text", "text, csv, json or html")
	c.Flags().StringVar(&o.shape, "shape", "", "give it in the form that a country publishes: us, de or gb")
	c.Flags().StringVarP(&o.out, "out", "o", "", "file to write, which must not exist (else it is printed)")
	c.Flags().IntVar(&o.small, "small", oversight.DefaultSmall, "smallest count that is shown, 3 or more; 0 hides nothing")
	c.Flags().IntVar(&o.sample, "sample", 100, "per cent of the events whose place in the log is verified")
	_ = c.MarkFlagRequired("from")
	_ = c.RegisterFlagCompletionFunc("shape", cobra.FixedCompletions(oversight.Shapes, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "csv", "json", "html"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) oversight(ctx context.Context, o oversightFlags) error {
	if a.json {
		o.format = "json"
	}
	if !slices.Contains([]string{"text", "csv", "json", "html"}, o.format) {
		return misuse{fmt.Errorf("--format is text, csv, json or html")}
	}
	if o.sample < 0 || o.sample > 100 {
		return misuse{fmt.Errorf("--sample is a share of 0 to 100 per cent")}
	}
	period, err := a.period(o.from, o.until)
	if err != nil {
		return err
	}
	f, me, err := a.who()
	if err != nil {
		return err
	}
	r, checked, err := a.countBoth(ctx, f, me, oversight.Settings{Period: period, Small: o.small}, o.sample)
	if err != nil {
		return err
	}
	grid := r.Grid()
	if o.shape != "" {
		if grid, err = r.Shape(o.shape); err != nil {
			return err
		}
	}
	if o.out == "" && o.format == "text" {
		return a.show(nil, func(p *page) { writeGrid(p, r, grid, checked) })
	}
	raw, err := render(r, grid, o)
	if err != nil {
		return err
	}
	if o.out != "" {
		return writeFile(o.out, raw)
	}
	_, err = a.out.Write(raw)
	return err
}

// period reads the beginning and the end of a report.
func (a *app) period(from, until string) (w record.Window, err error) {
	if w.From, err = parseTime(from, a.now()); err != nil {
		return w, err
	}
	w.Until = a.now().UTC().Truncate(time.Second)
	if until != "" {
		w.Until, err = parseTime(until, a.now())
	}
	return w, err
}

// render writes the whole report, or a country's form of it.
func render(r *oversight.Report, grid *oversight.Grid, o oversightFlags) ([]byte, error) {
	switch {
	case o.format == "csv":
		return grid.CSV()
	case o.format == "json" && o.shape != "":
		return record.Marshal(grid)
	case o.format == "json":
		return r.JSON()
	case o.format == "html" && o.shape != "":
		return grid.HTML()
	case o.format == "html":
		return r.HTML()
	}
	var b bytes.Buffer
	p := &page{w: &b}
	writeGrid(p, r, grid, "")
	return b.Bytes(), p.err
}

// countBoth counts the journals of both keyholders: the general one, and those of every order that either of them knows.
func (a *app) countBoth(ctx context.Context, f *installation.Folder, me actor, s oversight.Settings, sample int) (*oversight.Report, string, error) {
	if err := s.Validate(); err != nil {
		return nil, "", err
	}
	trust, err := f.Trust()
	if err != nil {
		return nil, "", err
	}
	verifier, err := ledger.VerifierOf(trust)
	if err != nil {
		return nil, "", err
	}
	chains, err := a.allChains(ctx, f, me)
	if err != nil {
		return nil, "", err
	}
	if s.People, err = a.enrolled(ctx, f, me); err != nil {
		return nil, "", err
	}
	var counts []*oversight.Counter
	proofs := &proofs{a: a, verifier: verifier, sample: sample}
	for _, party := range installation.Keyholders {
		s.Party = party
		c, err := oversight.New(s)
		if err != nil {
			return nil, "", err
		}
		bar := a.progress("counting the " + party + "'s journals")
		for i, chain := range chains {
			if err := proofs.count(ctx, f.Keyholder(party, me.signer), c, chain); err != nil {
				bar.end()
				return nil, "", err
			}
			bar.at(int64(i+1), int64(len(chains)))
		}
		bar.end()
		counts = append(counts, c)
	}
	r, err := oversight.Compile(counts...)
	return r, fmt.Sprintf("%s read, the places in the log of %d verified.", plural(proofs.read, "event"), proofs.verified), err
}

// allChains lists the general journal and every order that one of the keyholders knows.
func (a *app) allChains(ctx context.Context, f *installation.Folder, me actor) ([]record.Digest, error) {
	chains := []record.Digest{{}}
	for _, party := range installation.Keyholders {
		list, err := f.Keyholder(party, me.signer).Orders(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range list.Orders {
			chain, err := record.ParseDigest(o.Chain)
			if err != nil {
				return nil, err
			}
			chains = append(chains, chain)
		}
	}
	slices.SortFunc(chains, func(x, y record.Digest) int { return bytes.Compare(x[:], y[:]) })
	return slices.Compact(chains), nil
}

// enrolled gives everybody who is enrolled at either keyholder, each enrolment verified, by key.
func (a *app) enrolled(ctx context.Context, f *installation.Folder, me actor) (map[record.KeyID]record.Enrolment, error) {
	people := map[record.KeyID]record.Enrolment{}
	for _, party := range installation.Keyholders {
		list, err := f.Keyholder(party, me.signer).People(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range list.People {
			if e, err := f.OpenEnrolment(p.Enrolment); err == nil {
				people[e.Key.ID()] = e
			}
		}
	}
	return people, nil
}

// proofs verifies where events are in the log: the last of each journal, and a sample of the others that no keyholder can foresee.
type proofs struct {
	a              *app
	verifier       *ledger.Verifier
	sample         int
	read, verified int
}

func (p *proofs) count(ctx context.Context, k *wire.Keyholder, c *oversight.Counter, chain record.Digest) error {
	journal := c.Journal(chain)
	var last *wire.LoggedEvent
	err := eachLogged(ctx, k, chain, func(l wire.LoggedEvent) error {
		p.read++
		if err := journal.Add(l.Event); err != nil {
			return err
		}
		chosen := rand.IntN(100) < p.sample
		last = &l
		if chosen {
			last = nil
			return p.check(c.Party, &l)
		}
		return nil
	})
	if err == nil && last != nil {
		err = p.check(c.Party, last)
	}
	if err != nil && problem.KindOf(err) == problem.NotFound {
		return nil // an order that only the other keyholder knows: the report names the difference
	}
	if err != nil {
		return err
	}
	journal.End()
	return nil
}

// check verifies one event's entry. One that is not in the witnessed log although it should have been for long is no ground for a figure.
func (p *proofs) check(party string, l *wire.LoggedEvent) error {
	var e record.Event
	if err := record.Unmarshal(l.Event, &e); err != nil {
		return err
	}
	if l.State == wire.StatePending && p.a.now().Sub(e.Time) <= overdue {
		return nil
	}
	if l.State != wire.StateProven || len(l.Random) != 32 {
		return problem.New(problem.Denied, "event %d of a journal of the %s is not in the witnessed log; see arca log, and tell the %s's operator", e.Number, party, party)
	}
	_, _, err := p.verifier.VerifyInclusion(ledger.Commit(ledger.Opening{Event: l.Event, Random: [32]byte(l.Random)}), l.Proof)
	if err == nil {
		p.verified++
	}
	return err
}

func writeGrid(p *page, r *oversight.Report, grid *oversight.Grid, checked string) {
	p.line("%s", grid.Title)
	p.line("")
	if grid.Shape != "" {
		p.table(grid.Columns, grid.Rows)
	} else {
		writeTables(p, r)
	}
	p.line("")
	for _, d := range r.Differ {
		p.line("warning: the keyholders' journals differ in %s", d)
	}
	for _, j := range r.Journals {
		p.line("%s: %s of %s, state %s", j.Party, plural(j.Events, "event"), plural(j.Cases, "journal"), short(j.State.String()))
	}
	if checked != "" {
		p.line("%s", checked)
	}
}

// writeTables leaves out tables of which nothing was counted.
func writeTables(p *page, r *oversight.Report) {
	var rows [][]string
	for _, t := range r.Tables {
		title := t.Title
		for _, row := range t.Rows {
			if row.Count != nil && *row.Count == 0 {
				continue
			}
			rows, title = append(rows, []string{title, row.Title, row.Text()}), ""
		}
		if t.Total != nil && len(t.Rows) > 1 && *t.Total > 0 {
			rows = append(rows, []string{title, "total", fmt.Sprint(*t.Total)})
		}
	}
	for _, s := range r.Spans {
		switch {
		case s.Hidden:
			rows = append(rows, []string{s.Title, "mean, longest", oversight.HiddenMark})
		case s.MaxDays > 0:
			rows = append(rows, []string{s.Title, "mean, longest", fmt.Sprintf("%.1f, %.1f", s.Mean, s.MaxDays)})
		}
	}
	p.table([]string{"WHAT", "OF WHICH", "COUNT"}, rows)
}
