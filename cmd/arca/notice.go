package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/notify"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

func (a *app) noticeCommand() *cobra.Command {
	return a.group("notice", "Who is to be told that they were intercepted, and the letters", a.noticeListCommand(), a.noticeTextCommand())
}

// dueNotice is an order with the duty to tell those intercepted.
type dueNotice struct {
	Order   string         `json:"order"`
	Case    string         `json:"case"`
	Court   string         `json:"court"`
	State   law.ClockState `json:"state"`
	Due     time.Time      `json:"due,omitzero"`
	Done    time.Time      `json:"done,omitzero"`
	Awaits  string         `json:"awaits,omitempty"` // the milestone that starts it
	Says    string         `json:"says"`
	Article string         `json:"article"`
}

func (a *app) noticeListCommand() *cobra.Command {
	var all bool
	c := a.command(spec{
		use: "list", short: "List the orders whose intercepted persons are to be notified",
		long: "Worked out on this machine from the members of every order that concerns you and that both keyholders hold alike. What is due comes first.\n" +
			"A judge defers, waives or records a notification with arca order notice. --all also shows what was done or waived. Statutes without\n" +
			"such a duty are left out.",
		example: "arca notice list --as judge\narca notice list --all --as judge",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			f, me, err := a.who()
			if err != nil {
				return err
			}
			list, err := a.dueNotices(cmd.Context(), f, me.signer, all)
			if err != nil {
				return err
			}
			out := struct {
				Notifications []dueNotice `json:"notifications"`
			}{list}
			return a.show(out, func(p *page) { writeDue(p, list, a.now()) })
		},
	})
	c.Flags().BoolVar(&all, "all", false, "also what was done or waived")
	return c
}

func writeDue(p *page, list []dueNotice, now time.Time) {
	if len(list) == 0 {
		p.line("Nobody is to be notified.")
		return
	}
	var rows [][]string
	for _, n := range list {
		at := when(n.Due)
		if n.Due.IsZero() {
			at = "after " + n.Awaits
		}
		if !n.Done.IsZero() {
			at = when(n.Done)
		}
		rows = append(rows, []string{short(n.Order), n.Case, string(n.State), at, left(n.Due, now), n.Says, n.Article})
	}
	p.table([]string{"ORDER", "CASE", "STATE", "AT", "LEFT", "WHAT", "ARTICLE"}, rows)
}

// dueNotices goes over the orders that both keyholders show to a person.
func (a *app) dueNotices(ctx context.Context, f *installation.Folder, signer *record.Signer, all bool) ([]dueNotice, error) {
	list := []dueNotice{}
	court, err := f.Keyholder("court", signer).Orders(ctx)
	if err != nil {
		return nil, err
	}
	custodian, err := f.Keyholder("custodian", signer).Orders(ctx)
	if err != nil {
		return nil, err
	}
	other := map[string]int{}
	for i, o := range custodian.Orders {
		other[o.Chain] = i
	}
	for _, o := range court.Orders {
		c, err := openMembers(f.Config.Trust, o.Members)
		if err != nil {
			return nil, err
		}
		at, ok := other[o.Chain]
		if !ok {
			return nil, problem.New(problem.Conflict, "only the court has admitted the order %s; send it to both again with: arca order admit FILE", short(o.Chain))
		}
		if err := c.compare(c.Chain, o, custodian.Orders[at], a.now()); err != nil {
			return nil, err
		}
		clock, ok, err := c.notification(a.now())
		if err != nil {
			return nil, err
		}
		if ok && (all || clock.State != law.Fulfilled) {
			list = append(list, dueNotice{Order: o.Chain, Case: c.Case, Court: c.Court, State: clock.State, Due: clock.Due, Done: clock.Done, Awaits: clock.Awaits, Says: clock.Says, Article: clock.Article})
		}
	}
	slices.SortStableFunc(list, func(x, y dueNotice) int {
		return cmp.Or(-cmp.Compare(weight(x.State), weight(y.State)), x.Due.Compare(y.Due))
	})
	return list, nil
}

func weight(s law.ClockState) int {
	return slices.Index([]law.ClockState{law.Fulfilled, law.Pending, law.Due, law.Overdue}, s)
}

// notification is the order's clock of that duty, if its statute has one.
func (c chain) notification(now time.Time) (law.Clock, bool, error) {
	clocks, err := law.Clocks(c.members, now)
	i := slices.IndexFunc(clocks, func(c law.Clock) bool { return c.Name == law.ClockNotification })
	if err != nil || i < 0 {
		return law.Clock{}, false, err
	}
	return clocks[i], true, nil
}

func (a *app) noticeTextCommand() *cobra.Command {
	var language, person, out string
	var communications []string
	c := a.command(spec{
		use: "text CHAIN", short: "Write the letter to a person who was intercepted",
		long: "Fills the text of the order's country in the language asked for, for the clerk to check and sign: who, which order, which numbers,\n" +
			"which communications. A letter that lacks one of them is not written. The decision that somebody is told is the judge's\n" +
			"(arca order notice --verdict done); this writes nothing anywhere else.",
		example: "arca notice text $CHAIN --language es --to 'P. Fictional' --communication 'a call of 14 November 2026, 10:02 UTC, 3 minutes' --as judge",
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
			v := notify.Values{Person: person, Communications: communications, Date: day(a.now())}
			return a.writeLetter(c, language, &v, out)
		},
	})
	c.ValidArgsFunction = a.completeChains
	c.Flags().StringVar(&language, "language", "en", "language of the letter, as es, de, fr, it or en")
	c.Flags().StringVar(&person, "to", "", "the person, as the letter addresses them")
	c.Flags().StringArrayVar(&communications, "communication", nil, "a communication of theirs, in a line; may be repeated")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write the letter to")
	_ = c.MarkFlagRequired("to")
	_ = c.MarkFlagRequired("communication")
	return c
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// writeLetter fills in what the order says.
func (a *app) writeLetter(c chain, language string, v *notify.Values, out string) error {
	p, err := law.ProfileOf(c.Profile)
	if err != nil {
		return err
	}
	v.Court, v.Case, v.Statute, v.Article = c.Court, c.Case, p.Title, p.Cite(p.Notification.Article)
	v.Decided, v.From, v.Until = day(c.Decided), when(c.Capture.From), when(c.Capture.Until)
	for _, id := range c.Scope.Identifiers {
		v.Identifiers = append(v.Identifiers, id.Kind+": "+id.Value)
	}
	text, err := notify.Letter(p.Country, language, v)
	if err != nil {
		return err
	}
	answer := struct {
		Order    string `json:"order"`
		Language string `json:"language"`
		File     string `json:"file,omitempty"`
		Text     string `json:"text,omitempty"`
	}{c.Chain.String(), language, out, text}
	if out != "" {
		answer.Text = ""
		if err := writeFile(out, []byte(text)); err != nil {
			return err
		}
	}
	return a.show(answer, func(p *page) {
		if out != "" {
			p.line("Written. Check it, and record that the person was told: arca order notice %s --verdict done --reason WHY", short(c.Chain.String()))
			return
		}
		for line := range strings.Lines(text) {
			p.line("%s", strings.TrimSuffix(line, "\n"))
		}
	})
}
