package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// stopFlags are what members that name the chain say beside their reason.
type stopFlags struct {
	at, until, member, verdict string
	step                       int
	recordings                 []string
}

// stopWords describes the command of one kind of member that names the chain.
type stopWords struct {
	use, short, long, example string
	kind                      record.OrderKind
	flags                     func(c *cobra.Command, f *stopFlags)
	fill                      func(a *app, m *making) error // puts into the order what the kind is about
}

// making is a member on its way.
type making struct {
	folder *installation.Folder
	me     actor
	chain  chain
	flags  stopFlags
	args   []string
	order  *record.Order
}

var stopCommands = []stopWords{
	{
		use: "revoke CHAIN", short: "Revoke an order for good", kind: record.Revocation,
		long:    "Signs a revocation and sends it to both keyholders. It applies at once at each that takes it; nothing under the order\nopens again, and nothing is destroyed: only a court's destruction order destroys.",
		example: "arca order revoke $CHAIN --reason 'the measure is no longer needed' --as judge",
	}, {
		use: "suspend CHAIN", short: "Suspend an order until it is resumed", kind: record.Suspension,
		long:    "Signs a suspension and sends it to both keyholders. It applies at once at each that takes it.",
		example: "arca order suspend $CHAIN --reason 'under appeal' --as judge",
	}, {
		use: "resume CHAIN", short: "Lift the last suspension of an order", kind: record.Resumption,
		long:    "Signs a resumption that names the last suspension which nothing has lifted, and sends it to both keyholders.",
		example: "arca order resume $CHAIN --reason 'the appeal was dismissed' --as judge",
		fill: func(_ *app, m *making) (err error) {
			m.order.Lifts, err = m.chain.standing("suspension", record.Resumption, record.Suspension)
			return err
		},
	}, {
		use: "confirm CHAIN", short: "Confirm an urgent order", kind: record.Confirmation,
		long:    "The judge's confirmation of a measure that was ordered without one. Unconfirmed, it lapses by itself at the hour that the statute sets.",
		example: "arca order confirm $URGENT --reason 'the urgency was real and the measure proportionate' --as judge",
	}, {
		use: "reject CHAIN", short: "Do not confirm an urgent order", kind: record.Rejection,
		long:    "The judge's refusal to confirm a measure that was ordered without one. It applies at once and for good: nothing under the order is sealed\nor opened any more.",
		example: "arca order reject $REFUSED --reason 'no urgency' --as judge",
	}, {
		use: "close CHAIN", short: "End a measure before its time", kind: record.Closing,
		long:    "Nothing that happens after the decision is captured. What was captured may be opened until the access ends.",
		example: "arca order close $URGENT --reason 'the suspect was arrested' --as judge",
	}, {
		use: "milestone CHAIN NAME", short: "Record a fact that starts, moves or ends a clock", kind: record.Milestone,
		long:    "A judge or a clerk of the order's court records what happened outside, by one of the names that the order's statute has (arca law show):\nthat the judge was told, a report delivered, the case resolved. Without --at it happened now.",
		example: "arca order milestone $URGENT told --at now --as clara\narca order milestone $URGENT final-resolution --as clara",
		flags: func(c *cobra.Command, f *stopFlags) {
			c.Flags().StringVar(&f.at, "at", "now", "when it happened: now, or a time")
		},
		fill: fillMilestone,
	}, {
		use: "hold CHAIN", short: "Keep recordings from being destroyed", kind: record.Hold,
		long:    "While a hold stands nothing that it names is destroyed, whatever was ordered. Without --recording it names the whole order, without\n--until it stands until it is lifted.",
		example: "arca order hold $URGENT --reason 'the defence has asked for excluded communications' --as judge",
		flags: func(c *cobra.Command, f *stopFlags) {
			c.Flags().StringVar(&f.until, "until", "", "end of the hold: a time, or +30d from now")
			recordingFlag(c, f)
		},
		fill: func(a *app, m *making) error { return a.fillPart(m) },
	}, {
		use: "lift CHAIN", short: "Lift a hold, or take back a destruction", kind: record.Lifting,
		long:    "Without --member: the last hold that nothing has lifted. A destruction can be taken back until its point of no return.",
		example: "arca order lift $URGENT --reason 'the request was decided' --as judge\narca order lift $URGENT --member $DESTRUCTION --reason 'the sentence was appealed' --as judge",
		flags: func(c *cobra.Command, f *stopFlags) {
			c.Flags().StringVar(&f.member, "member", "", "the hold or destruction (arca order show)")
		},
		fill: fillLifting,
	}, {
		use: "destroy CHAIN", short: "Order a destruction", kind: record.Destruction,
		long: "A step of the statute (arca law show), or recordings by name. Refused while the statute does not allow it yet. It can be taken back until\n" +
			"its point of no return, and a hold keeps it from being carried out.",
		example: "arca order destroy $URGENT --step 1 --reason 'the case is resolved' --as judge",
		flags: func(c *cobra.Command, f *stopFlags) {
			c.Flags().IntVar(&f.step, "step", 0, "1 the operational copies, 2 the clerk's copies")
			recordingFlag(c, f)
		},
		fill: func(a *app, m *making) error {
			if (m.flags.step == 0) == (len(m.flags.recordings) == 0) {
				return problem.New(problem.Invalid, "say what to destroy: --step 1, --step 2, or recordings with --recording")
			}
			m.order.Step = m.flags.step
			return a.fillPart(m)
		},
	}, {
		use: "notice CHAIN", short: "Defer, waive or record the notification of those intercepted", kind: record.Notice,
		long:    "The judge's decision on telling the persons who were intercepted, as far as the statute allows it.",
		example: "arca order notice $URGENT --verdict defer --until +180d --reason 'another measure of the case goes on' --as judge",
		flags: func(c *cobra.Command, f *stopFlags) {
			c.Flags().StringVar(&f.verdict, "verdict", "", "defer, waive or done")
			c.Flags().StringVar(&f.until, "until", "", "end of a deferral: a time, or +180d from now")
			_ = c.MarkFlagRequired("verdict")
		},
		fill: func(a *app, m *making) error {
			m.order.Verdict = m.flags.verdict
			return a.fillPart(m)
		},
	},
}

func recordingFlag(c *cobra.Command, f *stopFlags) {
	c.Flags().StringArrayVar(&f.recordings, "recording", nil, "id of a recording that was listed here (arca ls); may be repeated")
}

// orderStopCommand makes the command of a kind of member that names the chain.
func (a *app) orderStopCommand(w stopWords) *cobra.Command {
	var m making
	var reason, out string
	arguments := 1
	if strings.HasSuffix(w.use, "NAME") {
		arguments = 2
	}
	c := a.command(spec{
		use: w.use, short: w.short, long: w.long, example: w.example, args: cobra.ExactArgs(arguments),
		run: func(cmd *cobra.Command, args []string) (err error) {
			if m.folder, m.me, err = a.who(); err != nil {
				return err
			}
			hash, err := a.findChain(cmd.Context(), m.folder, m.me.signer, args[0])
			if err != nil {
				return err
			}
			if m.chain, err = a.anyChain(cmd.Context(), m.folder, m.me.signer, hash); err != nil {
				return err
			}
			m.args = args[1:]
			m.order = &record.Order{Kind: w.kind, Chain: m.chain.Chain, Court: m.chain.Court, Profile: m.chain.Profile, Decided: record.Second(a.now()), Reason: reason}
			if w.fill != nil {
				if err := w.fill(a, &m); err != nil {
					return err
				}
			}
			return a.signAndAdmit(cmd.Context(), m.folder, m.me, m.chain, *m.order, out)
		},
	})
	c.ValidArgsFunction = a.completeChains
	c.Flags().StringVar(&reason, "reason", "", "why; it is part of the order")
	c.Flags().StringVarP(&out, "output", "o", "", "also write the signed member to this file")
	if w.flags != nil {
		w.flags(c, &m.flags)
	}
	if w.kind != record.Milestone {
		_ = c.MarkFlagRequired("reason")
	}
	return c
}

func fillMilestone(_ *app, m *making) error {
	at := m.order.Decided
	if m.flags.at != "now" {
		var err error
		if at, err = parseTime(m.flags.at, at); err != nil {
			return err
		}
	}
	m.order.Milestone = record.Fact{Name: m.args[0], At: at}
	return nil
}

// fillPart puts in until when and which recordings.
func (a *app) fillPart(m *making) (err error) {
	if m.flags.until != "" {
		if m.order.Until, err = parseTime(m.flags.until, m.order.Decided); err != nil {
			return err
		}
	}
	if len(m.flags.recordings) == 0 {
		return nil
	}
	r, done, err := a.openReader(m.folder, m.me, "")
	if err != nil {
		return err
	}
	defer done()
	var ids []seal.RecordingID
	for _, text := range m.flags.recordings {
		id, err := a.findRecording(m.folder, m.me, text)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	m.order.Recordings, err = r.Refer(m.chain.Chain, ids...)
	return err
}

func fillLifting(_ *app, m *making) (err error) {
	if m.flags.member == "" {
		m.order.Lifts, err = m.chain.standing("hold", record.Lifting, record.Hold)
		return err
	}
	text, err := match("member", m.flags.member, 64, func() (ids []string, _ error) {
		for _, one := range m.chain.members {
			ids = append(ids, one.Hash.String())
		}
		return ids, nil
	})
	if err != nil {
		return err
	}
	m.order.Lifts, err = record.ParseDigest(text)
	return err
}

// standing is the last member of a kind that no member of the other kind lifted.
func (c chain) standing(what string, by, kind record.OrderKind) (record.Digest, error) {
	lifted := map[record.Digest]bool{}
	var last record.Digest
	for _, m := range c.members {
		if m.Order.Kind == by {
			lifted[m.Order.Lifts] = true
		}
	}
	for _, m := range c.members {
		if m.Order.Kind == kind && !lifted[m.Hash] {
			last = m.Hash
		}
	}
	if last.IsZero() {
		return last, problem.New(problem.Conflict, "no %s of this order stands; there is nothing to lift", what)
	}
	return last, nil
}

// narrowFlags are what a narrowing takes away, or protects.
type narrowFlags struct {
	until, access, reason, out string
	targets, kinds, privileged []string
}

func (a *app) orderNarrowCommand() *cobra.Command {
	var n narrowFlags
	c := a.command(spec{
		use: "narrow CHAIN", short: "Take away from an order's scope or time, or protect communications",
		long: "Signs a narrowing on the chain's head and sends it to both keyholders. What is not named stays as it is: --target and --kinds name what\n" +
			"remains. --privileged adds to the list of privileged communications, which only grows.",
		example: "arca order narrow $CHAIN --kinds call --privileged counsel=msisdn:+12025550177 --reason 'messages are not needed' --as judge",
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
			return a.narrow(cmd.Context(), f, me, hash, n)
		},
	})
	c.ValidArgsFunction = a.completeChains
	c.Flags().StringVar(&n.until, "until", "", "earlier end of the measure")
	c.Flags().StringVar(&n.access, "access-end", "", "earlier end of access")
	c.Flags().StringArrayVar(&n.targets, "target", nil, "identifier that remains, as kind:value; may be repeated")
	c.Flags().StringSliceVar(&n.kinds, "kinds", nil, "kinds of communication that remain")
	c.Flags().StringArrayVar(&n.privileged, "privileged", nil, "privileged communications, as counsel=msisdn:+12025550177; may be repeated")
	c.Flags().StringVar(&n.reason, "reason", "", "why; it is part of the order")
	c.Flags().StringVarP(&n.out, "output", "o", "", "also write the signed narrowing to this file")
	_ = c.MarkFlagRequired("reason")
	return c
}

func (a *app) narrow(ctx context.Context, f *installation.Folder, me actor, hash record.Digest, n narrowFlags) error {
	c, err := a.readChain(ctx, f, me.signer, hash)
	if err != nil {
		return err
	}
	o := record.Order{
		Kind: record.Narrowing, Chain: c.Chain, Previous: c.Head, Sequence: c.Sequence + 1, Court: c.Court, Profile: c.Profile,
		Decided: record.Second(a.now()), Reason: n.reason, Scope: record.Scope{Kinds: n.kinds},
	}
	for _, end := range []struct {
		text string
		put  func(time.Time)
	}{{n.until, func(t time.Time) { o.Capture = record.Window{From: c.Capture.From, Until: t} }}, {n.access, func(t time.Time) { o.AccessEnd = t }}} {
		if end.text == "" {
			continue
		}
		t, err := parseTime(end.text, a.now())
		if err != nil {
			return err
		}
		end.put(t)
	}
	for _, text := range n.targets {
		id, err := parseIdentifier(text)
		if err != nil {
			return err
		}
		o.Scope.Identifiers = append(o.Scope.Identifiers, id)
	}
	if o.Privileged, err = parsePrivileges(n.privileged); err != nil {
		return err
	}
	if err := effective(o); err != nil {
		return err
	}
	return a.signAndAdmit(ctx, f, me, c, o, n.out)
}

// parsePrivileges reads category=kind:value, as counsel=msisdn:+12025550177.
func parsePrivileges(list []string) (out []record.Privilege, err error) {
	for _, text := range list {
		category, rest, ok := strings.Cut(text, "=")
		if !ok || category == "" {
			return nil, problem.New(problem.Invalid, "a privileged identifier reads category=kind:value, as counsel=msisdn:+12025550177")
		}
		id, err := parseIdentifier(rest)
		if err != nil {
			return nil, err
		}
		if p := (record.Privilege{Category: category, Identifier: id}); !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}
