package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
)

// soon is when an order is about to end.
const soon = 14 * 24 * time.Hour

// statusAnswer is the state of an installation.
type statusAnswer struct {
	Parties    []partyState     `json:"parties"`
	Checkpoint *checkpointState `json:"checkpoint,omitempty"`
	Stamps     []stampState     `json:"stamps"` // the last timestamp of each authority that the trust file names
	Scrub      *scrubState      `json:"scrub,omitempty"`
	Spool      spoolState       `json:"spool"`
	Ending     []listedOrder    `json:"ending"`            // measure or access ends within 14 days
	Notices    []shownNotice    `json:"notices,omitempty"` // with --as: what that person was told is due
	Wrong      []string         `json:"wrong"`
	Error      *failure         `json:"error,omitempty"`
}

type partyState struct {
	Party     string   `json:"party"`
	Address   string   `json:"address"`
	Reachable bool     `json:"reachable"`
	Ahead     int64    `json:"aheadSeconds"` // of this machine's clock
	Error     *failure `json:"error,omitempty"`
}

// spoolState sums up the collector's spool.
type spoolState struct {
	Packs      int    `json:"packs"`
	Recordings int    `json:"recordings"`
	Waits      string `json:"waits,omitempty"` // what the oldest pack waits for
}

type checkpointState struct {
	Size int64     `json:"size"`
	Time time.Time `json:"time"` // the earliest cosignature
	Age  int64     `json:"ageSeconds"`
}

func (a *app) statusCommand() *cobra.Command {
	var wait bool
	c := a.command(spec{
		use: "status", short: "Show whether the parties run, their clocks, the log, the spool, and orders about to end",
		long: "Asks each party, verifies the log's last cosigned checkpoint under the pinned witnesses and its last timestamps under the pinned\n" +
			"authorities, looks into the spool, and lists orders whose measure or access ends within 14 days (as the collector sees them, or the person that --as names),\n" +
			"and with --as what that person was told is due (arca inbox).\n\n" +
			"Exit code 8 when something is wrong: a party that does not answer, a clock more than 5 minutes off, a checkpoint older than 5 minutes,\n" +
			"an authority that has stamped nothing for 3 hours, objects of the vault that are not what the log says.\n" +
			"--wait asks until nothing is wrong, for at most a minute: arca serve needs a moment to begin.",
		example: "arca status\narca status --wait",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			f, err := a.folder()
			if err != nil {
				return err
			}
			out := a.look(cmd.Context(), f)
			for end := a.now().Add(waitTime); wait && len(out.Wrong) > 0 && a.now().Before(end) && pause(cmd.Context(), askAgain); {
				out = a.look(cmd.Context(), f)
			}
			if len(out.Wrong) > 0 {
				err = problem.New(problem.Unavailable, "something is wrong: %s", out.Wrong[0])
				out.Error = failed(err)
			}
			return a.report(out, err, func(p *page) { out.write(p, a.now()) })
		},
	})
	c.Flags().BoolVar(&wait, "wait", false, "until nothing is wrong, at most a minute")
	return c
}

// How long status --wait waits, and how often it looks.
const (
	waitTime = time.Minute
	askAgain = 250 * time.Millisecond
)

// pause waits, and reports whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// askTime is how long status waits for one party.
const askTime = 3 * time.Second

func (a *app) look(ctx context.Context, f *installation.Folder) (out statusAnswer) {
	wrong := func(format string, args ...any) { out.Wrong = append(out.Wrong, fmt.Sprintf(format, args...)) }
	for _, party := range []string{"vault", "court", "custodian"} {
		state := a.ask(ctx, f, party)
		out.Parties = append(out.Parties, state)
		if !state.Reachable {
			wrong("the %s does not answer", party)
		} else if skew := time.Duration(state.Ahead) * time.Second; skew > ledger.MaxSkew || skew < -ledger.MaxSkew {
			wrong("the clocks of this machine and the %s differ by %s", party, span(skew.Abs()))
		}
	}
	if out.Parties[0].Reachable {
		c, err := a.checkpoint(ctx, f)
		out.Checkpoint = c
		if err != nil {
			wrong("%s", problem.MessageOf(err))
		}
		if out.Stamps, err = a.stamps(ctx, f); err != nil {
			wrong("timestamps: %s", problem.MessageOf(err))
		}
		if out.Scrub, err = a.scrubbed(ctx, f); err != nil {
			wrong("scrub: %s", problem.MessageOf(err))
		} else if text := out.Scrub.wrong(); text != "" {
			wrong("%s", text)
		}
		for _, s := range out.Stamps {
			if s.Age > int64(stampsOld.Seconds()) {
				wrong("the time-stamping authority %s has stamped nothing for %s", s.Authority, span(stampsOld))
			}
		}
	}
	waiting, err := collector.Inspect(f.Dir(collectorPlace))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		wrong("spool: %s", problem.MessageOf(err))
	}
	for i, p := range waiting {
		out.Spool.Packs, out.Spool.Recordings = i+1, out.Spool.Recordings+p.Recordings
		out.Spool.Waits = cmp.Or(out.Spool.Waits, p.Why)
	}
	if out.Parties[1].Reachable && out.Parties[2].Reachable {
		ending, err := a.ending(ctx, f)
		out.Ending = ending
		if err != nil {
			wrong("orders: %s", problem.MessageOf(err))
		}
		if out.Notices, err = a.ownNotices(ctx, f); err != nil {
			wrong("notices: %s", problem.MessageOf(err))
		}
	}
	return out
}

func (a *app) ask(ctx context.Context, f *installation.Folder, party string) partyState {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	ahead, err := f.Reach(ctx, party)
	return partyState{Party: party, Address: f.URL(party), Reachable: err == nil, Ahead: int64(ahead.Round(time.Second).Seconds()), Error: failed(err)}
}

// checkpoint fetches and verifies the log's last cosigned checkpoint.
func (a *app) checkpoint(ctx context.Context, f *installation.Folder) (*checkpointState, error) {
	trust, err := f.Trust()
	if err != nil {
		return nil, err
	}
	verifier, err := ledger.VerifierOf(trust)
	if err != nil {
		return nil, err
	}
	mirror, err := f.Identity("mirror")
	if err != nil {
		return nil, err
	}
	raw, err := f.Vault(mirror).Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	c, err := verifier.Verify(raw)
	if err != nil {
		return nil, err
	}
	state := &checkpointState{Size: c.Size, Time: c.Earliest.UTC(), Age: int64(a.now().Sub(c.Earliest).Seconds())}
	return state, c.Fresh(a.now(), ledger.MaxSkew)
}

// ending lists orders in force that end soon.
func (a *app) ending(ctx context.Context, f *installation.Folder) ([]listedOrder, error) {
	signer, err := f.Identity("collector")
	if a.as != "" {
		signer, err = f.Person(a.as)
	}
	if err != nil {
		return nil, err
	}
	all, err := a.ordersOf(ctx, f, signer)
	var list []listedOrder
	for _, o := range all {
		if o.word() == "in-force" && (endsSoon(o.Capture.Until, a.now()) || endsSoon(o.AccessEnd, a.now())) {
			list = append(list, o)
		}
	}
	return list, err
}

// ownNotices are those of the person that --as names; without one nobody's inbox is looked into.
func (a *app) ownNotices(ctx context.Context, f *installation.Folder) ([]shownNotice, error) {
	if a.as == "" {
		return nil, nil
	}
	signer, err := f.Person(a.as)
	if err != nil {
		return nil, err
	}
	return a.noticesOf(ctx, f, signer)
}

func endsSoon(end, now time.Time) bool {
	return end.After(now) && end.Sub(now) <= soon
}

func (s statusAnswer) write(p *page, now time.Time) {
	var rows [][]string
	for _, party := range s.Parties {
		word, clock := "answers", fmt.Sprintf("%d s ahead", party.Ahead)
		if party.Ahead < 0 {
			clock = fmt.Sprintf("%d s behind", -party.Ahead)
		}
		if !party.Reachable {
			word, clock = party.Error.Message, ""
		}
		rows = append(rows, []string{party.Party, party.Address, word, clock})
	}
	p.table([]string{"PARTY", "ADDRESS", "STATE", "CLOCK"}, rows)
	p.line("")
	if c := s.Checkpoint; c != nil {
		p.line("log: %d entries, cosigned %s ago", c.Size, span(time.Duration(c.Age)*time.Second))
	}
	for _, stamp := range s.Stamps {
		stamp.write(p)
	}
	if len(s.Stamps) == 0 && s.Checkpoint != nil {
		p.line("timestamps: none, the trust file names no authority")
	}
	if s.Scrub != nil {
		p.line("scrub: %s", s.Scrub.word(now))
	}
	if s.Spool.Packs == 0 {
		p.line("spool: empty, everything that was sealed is proven")
	} else {
		p.line("spool: %s with %s not yet proven: %s", plural(s.Spool.Packs, "pack"), plural(s.Spool.Recordings, "recording"), s.Spool.Waits)
	}
	for _, o := range s.Ending {
		p.line("order %s of case %s: measure ends %s, access ends %s", short(o.Chain), o.Case, when(o.Capture.Until), when(o.AccessEnd))
	}
	for _, n := range s.Notices {
		p.line("order %s: %s %s, %s: %s (%s)", short(n.Order), n.Clock, n.Level, when(n.Due), n.Says, n.Article)
	}
	for _, w := range s.Wrong {
		p.line("wrong: %s", w)
	}
}
