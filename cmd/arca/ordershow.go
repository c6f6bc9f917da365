package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

// shownOrder is everything about one order.
type shownOrder struct {
	Chain          string             `json:"chain"`
	State          string             `json:"state"`
	Profile        string             `json:"profile"`
	Court          string             `json:"court"`
	Case           string             `json:"case"`
	PoliceUnit     string             `json:"policeUnit"`
	Classification string             `json:"classification"`
	Decided        time.Time          `json:"decided"`
	Capture        record.Window      `json:"capture"`
	AccessEnd      time.Time          `json:"accessEnd"`
	Cap            time.Time          `json:"cap,omitzero"` // absent: the statute has none
	Scope          record.Scope       `json:"scope"`
	Privileged     []record.Privilege `json:"privileged,omitempty"`
	Reports        record.Reports     `json:"reports"`
	Clocks         []law.Clock        `json:"clocks"`
	Forked         bool               `json:"forked"`
	Units          []string           `json:"units"`
	Notices        []shownNotice      `json:"notices,omitempty"` // what the caller was told of its clocks
	Members        []shownMember      `json:"members"`
	Verified       bool               `json:"verified"` // every member's signature was checked here, not only by the keyholders
	Keyholders     []partyAnswer      `json:"keyholders"`
	Error          *failure           `json:"error,omitempty"`
}

type shownMember struct {
	Member    string           `json:"member"`
	Kind      record.OrderKind `json:"kind"`
	Sequence  int              `json:"sequence"`
	Decided   time.Time        `json:"decided"`
	Until     time.Time        `json:"until,omitzero"`
	Says      string           `json:"says,omitempty"` // what it does, in words
	Reason    string           `json:"reason,omitempty"`
	Milestone string           `json:"milestone,omitempty"`
	SignedBy  string           `json:"signedBy"` // key id
}

func (a *app) showOrder(ctx context.Context, f *installation.Folder, me actor, hash record.Digest) error {
	c, err := a.readChain(ctx, f, me.signer, hash)
	if len(c.words) < 2 {
		return err
	}
	out := shownOrder{
		Chain: hash.String(), State: c.Word(a.now()), Profile: c.Profile, Court: c.Court, Case: c.Case, PoliceUnit: c.PoliceUnit,
		Classification: c.Classification, Decided: c.Decided, Capture: c.Capture, AccessEnd: c.AccessEnd, Cap: c.Cap,
		Scope: c.Scope, Privileged: c.Privileged, Reports: c.Reports, Forked: c.Forked, Units: c.units, Keyholders: c.words, Verified: c.checked, Error: failed(err),
	}
	if clocks, wrong := law.Clocks(a.withReports(ctx, f, me, c), a.now()); wrong == nil { // the chain was read, so nothing is wrong
		out.Clocks = clocks
	}
	for i, m := range c.members {
		out.Members = append(out.Members, shownMember{Member: m.Hash.String(), Kind: m.Order.Kind, Sequence: m.Order.Sequence,
			Decided: m.Order.Decided, Until: latestOf(m.Order.Capture.Until, m.Order.Until), Reason: m.Order.Reason, Milestone: m.Order.Milestone.Name, Says: says(&m.Order), SignedBy: c.authors[i].String()})
	}
	if notices, wrong := a.noticesOf(ctx, f, me.signer); wrong == nil { // the clocks above need nobody to have told them
		out.Notices = ofOrder(notices, hash)
	}
	return a.report(out, err, func(p *page) { out.write(p, a.now()) })
}

// withReports are the members of a chain, and beside them the reports that were delivered, which meet the duty to report. What both
// keyholders do not hold does not count; what cannot be read now neither.
func (a *app) withReports(ctx context.Context, f *installation.Folder, me actor, c chain) []law.Member {
	members := slices.Clone(c.members)
	court, err := f.Keyholder("court", me.signer).Reports(ctx, c.Chain)
	if err != nil {
		return members
	}
	custodian, err := f.Keyholder("custodian", me.signer).Reports(ctx, c.Chain)
	if err != nil {
		return members
	}
	for _, r := range court.Reports {
		hash, err := record.ParseDigest(r.Hash)
		both := slices.ContainsFunc(custodian.Reports, func(o wire.ListedReport) bool { return o.Hash == r.Hash })
		if err == nil && both && r.By != "" {
			members = append(members, law.Delivered(&c.State, hash, r.At, r.Final))
		}
	}
	return members
}

func (o shownOrder) write(p *page, now time.Time) {
	var targets []string
	for _, id := range o.Scope.Identifiers {
		targets = append(targets, id.Kind+":"+id.Value)
	}
	state := o.State
	if o.Forked {
		state += ", two members have one sequence number: a judge must choose"
	}
	var privileged []string
	for _, one := range o.Privileged {
		privileged = append(privileged, privilegeText(one))
	}
	p.pairs("order", o.Chain, "state", state, "court", o.Court, "case", o.Case, "police unit", o.PoliceUnit, "classification", o.Classification,
		"statute", o.Profile, "decided", when(o.Decided), "measure", when(o.Capture.From)+" to "+when(o.Capture.Until), "access ends", when(o.AccessEnd), "targets", strings.Join(targets, ", "), "kinds", strings.Join(o.Scope.Kinds, ", "), "privileged", strings.Join(privileged, ", "),
		"reports", "every "+strconv.Itoa(o.Reports.EveryDays)+" days, "+o.Reports.Form, "weeks with keys", strings.Join(o.Units, " "))
	p.line("")
	p.table(clockHeads, clockRows(o.Clocks, now))
	for _, n := range o.Notices {
		p.line("you were told on %s: %s is %s (%s)", when(n.Sent), n.Clock, n.Level, n.Article)
	}
	p.line("")
	var rows [][]string
	for _, m := range o.Members {
		number := strconv.Itoa(m.Sequence)
		if m.Kind.NamesChain() {
			number = "" // it has none
		}
		rows = append(rows, []string{short(m.Member), string(m.Kind), number, when(m.Decided), short(m.SignedBy), m.Says})
	}
	p.table([]string{"MEMBER", "KIND", "NO", "DECIDED", "SIGNED BY", "SAYS"}, rows)
	if !o.Verified {
		p.line("The judges' signatures were checked by the keyholders, not here: you cannot see the judges' enrolments.")
	}
	p.line("")
	p.answers(o.Keyholders)
}

func privilegeText(p record.Privilege) string {
	return p.Category + " " + p.Identifier.Kind + ":" + p.Identifier.Value
}

func left(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	if !now.Before(t) {
		return "passed"
	}
	return span(t.Sub(now))
}
