package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

func (a *app) compartmentCommand() *cobra.Command {
	return a.group("compartment", "Decide on single recordings: release, exclude, delete, have them screened", a.decideRecordings(), a.screenCommand(), a.decisionsCommand())
}

// decideFlags are what both kinds of decision have.
type decideFlags struct {
	verdict, reason, to, term, out, mirror string
}

func (a *app) decideRecordings() *cobra.Command {
	var d decideFlags
	c := a.command(spec{
		use: "decide CHAIN ID…", short: "Decide on recordings as the judge of the order's court",
		long: "Signs a decision on recordings that you listed and sends it to both keyholders, where it applies at once. release: out of the privileged\n" +
			"compartment; you, or the clerk, who lists it with arca ls --screen, then seal it again into main (arca reseal --to main). exclude: it is refused to everybody but the judge,\n" +
			"with every note, transcript and copy made of it. delete: the same at once, and a court's order to destroy it.\n" +
			"Of two decisions the later counts; a deletion stands until it is lifted.",
		example: "arca compartment decide $CHAIN $PRIVILEGED --verdict release --reason 'not with counsel: a wrong number' --as judge",
		args:    cobra.MinimumNArgs(2),
		run: func(cmd *cobra.Command, args []string) error {
			verdicts := []string{record.VerdictRelease, record.VerdictExclude, record.VerdictDelete}
			if err := oneOf("--verdict", d.verdict, verdicts...); err != nil {
				return err
			}
			return a.decideOn(cmd.Context(), args[0], args[1:], d, record.KeyID{})
		},
	})
	c.Flags().StringVar(&d.verdict, "verdict", "", "release, exclude or delete")
	_ = c.MarkFlagRequired("verdict")
	return a.decideFlags(c, &d)
}

func (a *app) screenCommand() *cobra.Command {
	var d decideFlags
	c := a.command(spec{
		use: "screen CHAIN ID…", short: "Name a person who looks at doubtful recordings, to mark them",
		long: "Signs a decision that somebody may open the named recordings of the privileged compartment, and no others, until you decide on them or\n" +
			"the time ends. They list them with arca ls --order CHAIN --week WEEK --screen, and mark them with arca note --mark; nothing else of them\n" +
			"leaves that compartment.",
		example: "arca compartment screen $CHAIN $PRIVILEGED --to sam --for 48h --reason 'is it with counsel?' --as judge",
		args:    cobra.MinimumNArgs(2),
		run: func(cmd *cobra.Command, args []string) error {
			d.verdict = record.VerdictScreen
			f, me, err := a.who()
			if err != nil {
				return err
			}
			who, err := a.findPerson(cmd.Context(), f, me, d.to)
			if err != nil {
				return err
			}
			return a.decideOn(cmd.Context(), args[0], args[1:], d, who)
		},
	})
	c.Flags().StringVar(&d.to, "to", "", "who looks: an enrolled name, or the beginning of a key id")
	c.Flags().StringVar(&d.term, "for", "", "how long, as 48h (default: until you decide)")
	_ = c.MarkFlagRequired("to")
	return a.decideFlags(c, &d)
}

func (a *app) decideFlags(c *cobra.Command, d *decideFlags) *cobra.Command {
	c.Flags().StringVar(&d.reason, "reason", "", "why; it is part of the decision")
	c.Flags().StringVarP(&d.out, "output", "o", "", "also write the signed decision to this file")
	c.Flags().StringVar(&d.mirror, "mirror", mirrorPlace, "which mirror of the installation to read from")
	_ = c.MarkFlagRequired("reason")
	c.ValidArgsFunction = a.completeChains
	return c
}

// findPerson finds an enrolled person by name or key.
func (a *app) findPerson(ctx context.Context, f *installation.Folder, me actor, text string) (record.KeyID, error) {
	people, err := f.Keyholder("court", me.signer).People(ctx)
	if err != nil {
		return record.KeyID{}, err
	}
	var found []record.KeyID
	for _, p := range people.People {
		e, err := f.OpenEnrolment(p.Enrolment)
		if err == nil && !p.Suspended && (e.Name == text || len(text) >= 8 && strings.HasPrefix(e.Key.ID().String(), text)) {
			found = append(found, e.Key.ID())
		}
	}
	switch len(found) {
	case 0:
		return record.KeyID{}, problem.New(problem.NotFound, "nobody of this name or key is enrolled and in service")
	case 1:
		return found[0], nil
	}
	return record.KeyID{}, problem.New(problem.Invalid, "several people have this name; give the beginning of the key id instead")
}

// decideOn signs one decision for each week, because a request is of one week.
func (a *app) decideOn(ctx context.Context, chainText string, ids []string, d decideFlags, who record.KeyID) error {
	f, me, err := a.who()
	if err != nil {
		return err
	}
	hash, err := a.findChain(ctx, f, me.signer, chainText)
	if err != nil {
		return err
	}
	r, done, err := a.openReader(f, me, d.mirror)
	if err != nil {
		return err
	}
	defer done()
	weeks := map[string][]record.Reference{}
	for _, id := range ids {
		ref, unit, err := r.Reference(strings.ToLower(id))
		if err != nil {
			return err
		}
		if record.Digest(unit.Order) != hash {
			return problem.New(problem.Invalid, "a recording is of another order than the one you named")
		}
		weeks[unit.Week] = append(weeks[unit.Week], ref)
	}
	var until time.Time
	if d.term != "" {
		span, err := parseSpan(d.term)
		if err != nil {
			return err
		}
		until = record.Second(a.now().Add(span))
	}
	for _, week := range slices.Sorted(maps.Keys(weeks)) {
		c, err := a.anyChain(ctx, f, me.signer, hash)
		if err != nil {
			return err
		}
		o := record.Order{Kind: record.Compartment, Chain: c.Chain, Court: c.Court, Profile: c.Profile, Decided: record.Second(a.now()), Reason: d.reason,
			Recordings: weeks[week], Screener: who, Until: until, Verdict: d.verdict}
		if err := a.signAndAdmit(ctx, f, me, c, o, d.out); err != nil {
			return err
		}
		if d.verdict == record.VerdictScreen && !a.json {
			(&page{w: a.out}).line("Tell them: arca ls --order %s --week %s --screen", short(hash.String()), week)
		}
	}
	return nil
}

// shownDecision is what stands of the judge's decisions on a recording.
type shownDecision struct {
	Recording string `json:"recording"`
	Batch     string `json:"batch"`
	Verdict   string `json:"verdict"`
}

func (a *app) decisionsCommand() *cobra.Command {
	c := a.command(spec{
		use: "show CHAIN", short: "List what the judge has decided of single recordings",
		long:    "Lists, of the order's members as both keyholders hold them, which verdict counts on which recording.",
		example: "arca compartment show $CHAIN --as judge",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			f, me, err := a.who()
			if err != nil {
				return err
			}
			hash, err := a.findChain(cmd.Context(), f, me.signer, args[0])
			if err != nil {
				return err
			}
			c, err := a.readChain(cmd.Context(), f, me.signer, hash)
			if err != nil {
				return err
			}
			list := []shownDecision{}
			for ref, verdict := range law.JudgedOf(c.members).Verdicts {
				list = append(list, shownDecision{ref.Recording.String(), ref.Batch.String(), verdict})
			}
			slices.SortFunc(list, func(a, b shownDecision) int { return cmp.Compare(a.Recording+a.Batch, b.Recording+b.Batch) })
			return a.show(map[string][]shownDecision{"decisions": list}, func(p *page) {
				var rows [][]string
				for _, d := range list {
					rows = append(rows, []string{short(d.Recording), short(d.Batch), d.Verdict})
				}
				p.table([]string{"RECORDING", "BATCH", "VERDICT"}, rows)
			})
		},
	})
	c.ValidArgsFunction = a.completeChains
	return c
}

// listScreened lists what the judge has named the caller to look at.
func (a *app) listScreened(ctx context.Context, f *installation.Folder, me actor, r *reader.Reader, hash record.Digest, l lsFlags) error {
	if l.week == "" {
		return problem.New(problem.Invalid, "say which week: the judge who named you knows it (--week 2026-W47)")
	}
	keep, err := a.filter(l)
	if err != nil {
		return err
	}
	c, err := a.anyChain(ctx, f, me.signer, hash)
	if err != nil {
		return err
	}
	judged := law.JudgedOf(c.members)
	lists := judged.ScreenedBy(me.signer.Public().ID(), a.now())
	if e, err := f.Enrolment("people", me.name); err == nil && e.Of(record.Clerk) {
		lists = append(lists, judged.Released()...) // the clerk may seal it again into main
	}
	if len(lists) == 0 {
		return problem.New(problem.NotFound, "the judge has named you to look at nothing of this order, or has decided on it")
	}
	out := listing{Order: hash.String(), Weeks: []string{l.week}, Complete: true}
	var refused error
	for _, refs := range lists {
		got, err := a.listNamed(ctx, r, hash, l, refs)
		if problem.KindOf(err) == problem.Denied {
			refused = err // of another week, as one decision is of one week
			continue
		}
		if err != nil {
			return err
		}
		out.add(got, l.week, keep)
	}
	if len(out.Recordings) == 0 && refused != nil {
		return refused
	}
	if err := out.remember(f, me); err != nil {
		return err
	}
	return a.show(out, out.write)
}

// listNamed lists recordings of the privileged compartment under a request that stands, or under a new one.
func (a *app) listNamed(ctx context.Context, r *reader.Reader, chain record.Digest, l lsFlags, refs []record.Reference) (*reader.Listing, error) {
	own, err := r.Requests()
	if err != nil {
		return nil, err
	}
	for _, q := range own {
		if q.Request.Chain == chain && q.Request.Week == l.week && q.Request.Class == string(seal.IndexClass) && slices.Equal(q.Request.Recordings, refs) {
			return r.List(ctx, q.Hash)
		}
	}
	asked, err := r.Ask(ctx, reader.AskInput{Chain: chain, Week: l.week, Class: seal.IndexClass, Compartment: record.PrivilegedCompartment, References: refs, Purpose: l.purpose})
	if err != nil {
		return nil, err
	}
	return r.List(ctx, asked.Hash)
}
