package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// openReader opens the reading side of a person. place is the mirror to read from, "" where nothing is listed or opened. Keys of
// requests that have ended are erased on the way; what is returned with it closes it, and files acts.
func (a *app) openReader(f *installation.Folder, me actor, place string) (*reader.Reader, func(), error) {
	return a.openReaderTo(f, me, place, nil, nil)
}

// openReaderTo opens a reader that writes contents to stdout, if told to, and tells how far it is; both may be nil.
func (a *app) openReaderTo(f *installation.Folder, me actor, place string, stdout io.Writer, progress func(done, total int64)) (*reader.Reader, func(), error) {
	if err := followTrust(f); err != nil {
		return nil, nil, err
	}
	trust, err := f.Trust()
	if err != nil {
		return nil, nil, err
	}
	cfg := reader.Config{
		Identity: me.signer, Folder: f.Dir("people", me.name), Trust: *trust, Fingerprint: f.Config.Trust,
		Court: f.Keyholder("court", me.signer), Custodian: f.Keyholder("custodian", me.signer), Now: a.now, Stdout: stdout, Progress: progress,
	}
	done := func() {}
	if place != "" {
		m, err := a.openMirror(f, place, false)
		if err != nil {
			return nil, nil, err
		}
		cfg.Mirror, done = m, func() { _ = m.Close() } // it was only read
	}
	r, err := reader.Open(cfg)
	if err != nil {
		done()
		return nil, nil, err
	}
	if _, err := r.Expire(); err != nil {
		done()
		return nil, nil, err
	}
	return r, func() { a.fileActs(r); a.leaveOwn(f, me); done() }, nil
}

// actPatience is how long a command waits at its end for keyholders to take what was written down of acts.
const actPatience = 10 * time.Second

// fileActs hands over what was written down of acts, this command's and earlier ones'. It fails nothing: what a keyholder does not take now
// waits for the next command.
func (a *app) fileActs(r *reader.Reader) {
	ctx, stop := context.WithTimeout(context.Background(), actPatience)
	defer stop()
	waiting, err := r.FileActs(ctx)
	switch {
	case waiting > 0:
		fmt.Fprintf(a.err, "arca: %s of yours not filed at both keyholders yet; the next command files them\n", plural(waiting, "act"))
	case err != nil:
		fmt.Fprintln(a.err, "arca: an act of yours could not be filed: "+clean(problem.MessageOf(err)))
	}
}

// shownRequest is a request as ask and inbox show it.
type shownRequest struct {
	Request     string    `json:"request"`
	Author      string    `json:"author,omitempty"`
	Verified    bool      `json:"verified"` // the author's signature was checked here
	Order       string    `json:"order"`
	Week        string    `json:"week"`
	Class       string    `json:"class"`
	Purpose     string    `json:"purpose"`
	Compartment string    `json:"compartment"`
	Recordings  []string  `json:"recordings,omitempty"` // none: the whole week
	Asked       time.Time `json:"asked"`
	Expires     time.Time `json:"expires"`
	State       string    `json:"state"` // asked, approved, denied, ended
	Differs     string    `json:"differs,omitempty"`
	Waiting     string    `json:"waiting,omitempty"`
	Mine        bool      `json:"mine"`
}

func describeRequest(hash record.Digest, q record.Request) shownRequest {
	out := shownRequest{Request: hash.String(), Order: q.Chain.String(), Week: q.Week, Class: q.Class, Purpose: q.Purpose,
		Compartment: q.Compartment, Asked: q.Issued, Expires: q.Expires, State: "asked"}
	for _, r := range q.Recordings {
		out.Recordings = append(out.Recordings, r.Recording.String())
	}
	return out
}

func (a *app) askCommand() *cobra.Command {
	var order, week, class, purpose, term, compartment string
	var recordings []string
	c := a.command(spec{
		use: "ask [ID…]", short: "Ask for recordings, or for a week's index",
		long: "Signs a request with a fresh key, sends it to both keyholders, and waits until both find it in the witnessed log. Recordings\n" +
			"must have been listed with arca ls before; without any, the request is for the whole week. Content needs an approval by\n" +
			"a supervisor of your unit; judges and clerks of the order's court need none. It ends after --for, at most 7 days.",
		example: "arca ask --recording $ID --class content --purpose 'identify the speaker' --as ines\n" +
			"arca ask --order $CHAIN --week $WEEK --class index --purpose 'weekly report' --for 12h --as ines",
		args: cobra.ArbitraryArgs,
		run: func(cmd *cobra.Command, args []string) error {
			recordings := append(slices.Clone(recordings), args...)
			f, me, err := a.who()
			if err != nil {
				return err
			}
			in := reader.AskInput{Week: week, Class: seal.Class(class), Purpose: purpose, Compartment: compartment}
			if term != "" {
				if in.Term, err = parseSpan(term); err != nil {
					return err
				}
			}
			if len(recordings) == 0 && (order == "" || week == "") {
				return problem.New(problem.Invalid, "say which recordings (their ids), or which order and week (--order and --week)")
			}
			if order != "" {
				if in.Chain, err = a.findChain(cmd.Context(), f, me.signer, order); err != nil {
					return err
				}
			}
			return a.sendRequest(cmd.Context(), f, me, in, recordings)
		},
	})
	c.Flags().StringVar(&order, "order", "", "order chain (not needed with --recording)")
	c.Flags().StringArrayVar(&recordings, "recording", nil, "id of a listed recording, as an ID on the line; may be repeated")
	c.Flags().StringVar(&week, "week", "", "ISO week, as 2026-W47")
	c.Flags().StringVar(&class, "class", "content", "index (who, when, how long) or content")
	c.Flags().StringVar(&compartment, "compartment", "", compartmentUsage)
	c.Flags().StringVar(&purpose, "purpose", "", "what it is for; approvers and auditors read it")
	c.Flags().StringVar(&term, "for", "", "how long it lasts (default 24h, never past the order's access end)")
	_ = c.MarkFlagRequired("purpose")
	c.ValidArgsFunction = a.completeRecordings
	_ = c.RegisterFlagCompletionFunc("order", a.completeChains)
	_ = c.RegisterFlagCompletionFunc("recording", a.completeRecordings)
	_ = c.RegisterFlagCompletionFunc("class", cobra.FixedCompletions([]string{"index", "content"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) sendRequest(ctx context.Context, f *installation.Folder, me actor, in reader.AskInput, recordings []string) error {
	r, done, err := a.openReader(f, me, "")
	if err != nil {
		return err
	}
	defer done()
	for _, text := range recordings {
		id, err := a.findRecording(f, me, text)
		if err != nil {
			return err
		}
		in.Recordings = append(in.Recordings, id)
	}
	asked, err := r.Ask(ctx, in)
	if err != nil {
		return err
	}
	out := describeRequest(asked.Hash, asked.Request)
	out.Author, out.Verified, out.Mine, out.Waiting = me.name, true, true, asked.Waiting
	return a.show(out, func(p *page) {
		p.pairs("request", out.Request, "class", out.Class, "week", out.Week, "ends", when(out.Expires), "waiting", out.Waiting)
		if out.Waiting == "" {
			p.line("Both keyholders have it, and the witnessed log shows it.")
			switch e, err := f.Enrolment("people", me.name); { // the keyholders' policies decide; this is advice
			case err != nil || out.Class != string(seal.ContentClass):
			case out.Compartment == record.PrivilegedCompartment && !e.FromCourtRoot():
				p.line("The judge who named you has approved it: arca open %s", short(out.Recordings[0]))
			case !e.FromCourtRoot():
				p.line("Now a supervisor of your unit decides: arca approve %s --reason WHY", short(out.Request))
			case len(out.Recordings) > 0:
				p.line("It needs no approval: arca open %[1]s, or arca bundle make --recording %[1]s", short(out.Recordings[0]))
			}
		}
	})
}

func (a *app) decideCommand(word, short, example string, approve bool) *cobra.Command {
	var reason string
	c := a.command(spec{
		use: word + " REQUEST", short: short,
		long:    "Signs the decision and sends it to both keyholders, who put it into the log. Nobody decides on their own request. Deciding\nthe same again sends the same statement, so repeat it if a keyholder was not there.",
		example: example,
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			return a.decide(cmd.Context(), args[0], approve, reason)
		},
	})
	c.ValidArgsFunction = a.completeRequests
	c.Flags().StringVar(&reason, "reason", "", "why; it is part of the decision")
	_ = c.MarkFlagRequired("reason")
	return c
}

func (a *app) decide(ctx context.Context, text string, approve bool, reason string) error {
	f, me, err := a.who()
	if err != nil {
		return err
	}
	r, done, err := a.openReader(f, me, "")
	if err != nil {
		return err
	}
	defer done()
	full, err := match("request", text, 64, func() ([]string, error) {
		items, err := r.Inbox(ctx)
		var ids []string
		for _, item := range items {
			ids = append(ids, item.Hash.String())
		}
		return ids, err
	})
	if err != nil {
		return err
	}
	hash, err := record.ParseDigest(full)
	if err != nil {
		return err
	}
	if err := r.Decide(ctx, hash, approve, reason); err != nil {
		return err
	}
	out := struct {
		Approve bool   `json:"approve"`
		Request string `json:"request"`
	}{approve, full}
	return a.show(out, func(p *page) {
		word := "denied"
		if approve {
			word = "approved"
		}
		p.line("Request %s is %s at both keyholders.", short(full), word)
	})
}

func (a *app) inboxCommand() *cobra.Command {
	var all bool
	c := a.command(spec{
		use: "inbox", short: "Show requests that wait for a decision, and what is due",
		long: "Merges both keyholders' inboxes and says where they differ. --all also shows what is decided or ended, and your own requests.\n" +
			"Below stands what the keyholders told you of the clocks of your orders and what is still open: a warning before, overdue, escalated\n" +
			"(overdue for as long as it was warned of), or a term that has ended. They go over the clocks every five minutes.\n\n" +
			"A name with (not checked here) is the keyholders' word: they hold that person's enrolment, but do not show it to you.",
		example: "arca inbox --as sofia\narca inbox --all --as sofia",
		args:    cobra.NoArgs,
		run:     func(cmd *cobra.Command, _ []string) error { return a.inbox(cmd.Context(), all) },
	})
	c.Flags().BoolVar(&all, "all", false, "also what is decided, ended, or yours")
	return c
}

func (a *app) inbox(ctx context.Context, all bool) error {
	f, me, err := a.who()
	if err != nil {
		return err
	}
	r, done, err := a.openReader(f, me, "")
	if err != nil {
		return err
	}
	defer done()
	list, err := a.inboxOf(ctx, r, all)
	if err != nil {
		return err
	}
	notices, err := a.noticesOf(ctx, f, me.signer)
	if err != nil {
		return err
	}
	out := struct {
		Requests []shownRequest `json:"requests"`
		Notices  []shownNotice  `json:"notices"`
	}{list, notices}
	return a.show(out, func(p *page) {
		p.requests(list)
		if len(notices) > 0 {
			p.line("")
			p.notices(notices)
		}
	})
}

func (p *page) requests(list []shownRequest) {
	if len(list) == 0 {
		p.line("Nothing waits for a decision.")
		return
	}
	var rows [][]string
	for _, q := range list {
		author := q.Author
		if q.Mine {
			author = "you"
		} else if !q.Verified {
			author += " (not checked here)"
		}
		what := "whole week"
		if n := len(q.Recordings); n > 0 {
			what = plural(n, "recording")
		}
		state := q.State
		if q.Differs != "" {
			state += "; " + q.Differs
		}
		rows = append(rows, []string{short(q.Request), author, short(q.Order), q.Week, q.Class, what, when(q.Expires), state, q.Purpose})
	}
	p.table([]string{"REQUEST", "BY", "ORDER", "WEEK", "CLASS", "WHAT", "ENDS", "STATE", "PURPOSE"}, rows)
}

// inboxOf merges the keyholders' inboxes with one's own requests.
func (a *app) inboxOf(ctx context.Context, r *reader.Reader, all bool) ([]shownRequest, error) {
	items, err := r.Inbox(ctx)
	if err != nil {
		return nil, err
	}
	own, err := r.Requests()
	if err != nil {
		return nil, err
	}
	mine := map[record.Digest]bool{}
	for _, q := range own {
		mine[q.Hash] = true
	}
	var list []shownRequest
	for _, item := range items {
		q := describeRequest(item.Hash, item.Request)
		q.Author, q.Verified, q.Differs, q.Mine = item.Author, item.Verified, item.Differs, mine[item.Hash]
		switch {
		case item.Denied:
			q.State = "denied"
		case !a.now().Before(item.Request.Expires):
			q.State = "ended"
		case item.Approvals > 0:
			q.State = "approved"
		}
		open := q.State == "asked" && !q.Mine && needsApproval(item) || q.Differs != ""
		if all || open {
			list = append(list, q)
		}
	}
	return list, nil
}

// needsApproval says whether somebody has to decide on a request: not on one for an index, nor on one of the court's own people or of whom
// the judge named for recordings of the privileged compartment. They can be denied all the same (--all shows them).
func needsApproval(q reader.InboxItem) bool {
	return q.Request.Class == string(seal.ContentClass) && !q.FromCourt && q.Request.Compartment != record.PrivilegedCompartment
}

// completeRequests offers the requests that wait for a decision.
func (a *app) completeRequests(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	none := cobra.ShellCompDirectiveNoFileComp
	f, me, err := a.who()
	if err != nil {
		return nil, none
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(contextOf(cmd)), completeTime)
	defer cancel()
	r, done, err := a.openReader(f, me, "")
	if err != nil {
		return nil, none
	}
	defer done()
	list, _ := a.inboxOf(ctx, r, false) // what cannot be read is not offered
	var out []cobra.Completion
	for _, q := range list {
		out = append(out, cobra.CompletionWithDesc(short(q.Request), clean(q.Author+": "+q.Purpose)))
	}
	return out, none
}
