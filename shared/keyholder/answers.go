package keyholder

import (
	"context"
	"strings"

	"golang.org/x/sync/errgroup"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// How much one listing carries; whoever wants more continues from Next. A function answers at most 6 MB, and what is
// counted here as bytes grows by a third on the way.
const (
	logPage    = 100
	inboxPage  = 50
	ordersPage = 100
	pageBytes  = 2 << 20
)

// Summary is a chain without its members.
func (k *Keyholder) Summary(c Chain) wire.Order {
	return wire.Order{AccessEnd: c.AccessEnd, Chain: c.Hash.String(), State: c.Word(k.now())}
}

// Detailed is a chain with its members and the weeks that have unit keys.
func (k *Keyholder) Detailed(ctx context.Context, c Chain) (wire.Order, error) {
	out := k.Summary(c)
	out.Members = c.Raw
	rows, err := k.unitRows(ctx, c.Hash)
	if err != nil {
		return out, err
	}
	for _, row := range rows {
		u, err := seal.ParseUnit(row.Unit)
		if err != nil {
			return out, err
		}
		if u.Compartment == record.MainCompartment {
			out.Units = append(out.Units, u.Week)
		}
	}
	return out, nil
}

// OrdersOf lists the chains that concern a person, from a place in the order of admission on.
func (k *Keyholder) OrdersOf(ctx context.Context, who Person, from int) (wire.Orders, error) {
	out := wire.Orders{Orders: []wire.Order{}, Next: max(from, 0)}
	chains, err := k.Chains(ctx)
	if err != nil {
		return out, err
	}
	out.Total = len(chains)
	size := 0
	for end := min(out.Next+ordersPage, len(chains)); out.Next < end && size < pageBytes; out.Next++ {
		c, err := k.chain(ctx, chains[out.Next])
		if err != nil {
			return out, err
		}
		if !k.concerns(who, c) {
			continue
		}
		order, err := k.Detailed(ctx, c)
		if err != nil {
			return out, err
		}
		out.Orders = append(out.Orders, order)
		size += len(strings.Join(order.Members, ""))
	}
	return out, nil
}

// InboxOf lists requests for a person from a number on.
func (k *Keyholder) InboxOf(ctx context.Context, who Person, from int64) (wire.Inbox, error) {
	var count int64
	if _, err := k.read(ctx, inboxCounter, &count); err != nil {
		return wire.Inbox{}, err
	}
	out := wire.Inbox{Next: max(from, 1), Requests: []wire.Asked{}}
	size := 0
	for ; out.Next <= count && len(out.Requests) < inboxPage && size < pageBytes; out.Next++ {
		var hash record.Digest
		if _, err := k.read(ctx, inboxName(out.Next), &hash); err != nil {
			return out, err
		}
		asked, err := k.Request(ctx, hash)
		if err != nil {
			return out, err
		}
		see, err := k.maySee(ctx, who, asked)
		if err != nil {
			return out, err
		}
		if see {
			shown, err := k.show(ctx, asked, false)
			if err != nil {
				return out, err
			}
			out.Requests = append(out.Requests, shown)
			size += len(shown.Statement) + len(strings.Join(shown.Approvals, ""))
		}
	}
	return out, nil
}

// ShowRequest gives one request to somebody who may see it, with whether the witnessed log proves it by now.
func (k *Keyholder) ShowRequest(ctx context.Context, who Person, hash record.Digest) (wire.Asked, error) {
	asked, err := k.Request(ctx, hash)
	if err != nil {
		return wire.Asked{}, err
	}
	if see, err := k.maySee(ctx, who, asked); err != nil {
		return wire.Asked{}, err
	} else if !see {
		return wire.Asked{}, problem.New(problem.NotFound, "no such request is on file here")
	}
	if err := k.post(ctx, asked.Request.Chain); err != nil {
		return wire.Asked{}, err
	}
	provable, err := k.provable(ctx, asked)
	if err != nil {
		return wire.Asked{}, err
	}
	return k.show(ctx, asked, provable)
}

// provable tells whether a release would find the proofs that it needs.
func (k *Keyholder) provable(ctx context.Context, asked Asked) (bool, error) {
	_, err := k.provenAsked(ctx, asked)
	switch problem.KindOf(err) {
	case problem.Conflict, problem.NotFound, problem.Unavailable:
		return err == nil, nil
	}
	return err == nil, err
}

func (k *Keyholder) show(ctx context.Context, asked Asked, provable bool) (wire.Asked, error) {
	out := wire.Asked{Denied: asked.Denied, Hash: asked.Hash.String(), Number: asked.Number, Provable: provable, Statement: asked.Statement}
	for _, d := range asked.Approvals {
		out.Approvals = append(out.Approvals, d.Raw)
	}
	author, _, err := k.everEnrolled(ctx, asked.Author)
	out.Author = author.Enrolment.Name
	return out, err
}

// PeopleFor lists enrolments for a person: everybody sees those whose signatures they check, which are collectors, who may sign members of an order
// (law.MaySign), and who of the police seals notes under their orders; the court's people, registrars' offices and auditors see all.
func (k *Keyholder) PeopleFor(ctx context.Context, who Person) ([]wire.EnrolledPerson, error) {
	people, err := k.People(ctx)
	if err != nil {
		return nil, err
	}
	list := []wire.EnrolledPerson{}
	for _, p := range people {
		if p.ID == who.ID || who.checks(p) {
			list = append(list, wire.EnrolledPerson{Enrolment: p.Joint, Key: p.ID.String(), Suspended: p.Suspended})
		}
	}
	return list, nil
}

// checks tells whether a person may meet another's signature.
func (p Person) checks(other Person) bool {
	e, o := p.Enrolment, other.Enrolment
	switch {
	case e.Of(record.Judge), e.Of(record.Clerk), e.Of(record.Auditor), e.Of(record.Registrar), e.Of(record.Custodian):
		return true
	case o.Of(record.Collector), o.Of(record.Judge), o.Of(record.Clerk), o.Of(record.Minister), o.Of(record.Prosecutor):
		return true
	case o.Of(record.Investigator), o.Of(record.Supervisor):
		return e.Of(record.Prosecutor) || e.PoliceUnit != "" && e.PoliceUnit == o.PoliceUnit
	}
	return false
}

// ReadLog gives a page of a case's journal to somebody whom policy lets read it. The general journal, which is of
// people and trust, is for auditors and the court.
func (k *Keyholder) ReadLog(ctx context.Context, who Person, of record.Digest, from int64) (wire.Log, error) {
	out := wire.Log{Next: max(from, 1), Events: []wire.LoggedEvent{}}
	var c Chain
	if of.IsZero() {
		c.Court, c.PoliceUnit = who.Enrolment.Court, who.Enrolment.PoliceUnit
		c.Classification = who.Enrolment.Clearance
	} else {
		var err error
		if c, err = k.ShowChain(ctx, who, of); err != nil {
			return out, err
		}
	}
	if err := mayReadLog(who, c); err != nil {
		return out, err
	}
	lines, err := k.Journal(ctx, of, out.Next, logPage)
	if err != nil {
		return out, err
	}
	lines = within(lines, pageBytes)
	out.Events = make([]wire.LoggedEvent, len(lines))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(proofsAtOnce)
	for i, line := range lines {
		group.Go(func() (err error) {
			out.Events[i], err = k.logged(ctx, line)
			return err
		})
	}
	out.Next += int64(len(lines))
	return out, group.Wait()
}

// within cuts a page at a number of bytes; one line always fits.
func within(lines []LogLine, limit int) []LogLine {
	size := 0
	for i, line := range lines {
		if size += len(line.Opened); size > limit && i > 0 {
			return lines[:i]
		}
	}
	return lines
}

// proofsAtOnce is how many proofs are fetched at a time.
const proofsAtOnce = 8

// logged fetches the proof of an event's entry. It is handed on unread: the reader verifies it.
func (k *Keyholder) logged(ctx context.Context, line LogLine) (wire.LoggedEvent, error) {
	out := wire.LoggedEvent{Event: line.Opened, Random: line.Random, State: wire.StateProven}
	entry, err := opening{Event: line.Opened, Random: line.Random}.entry()
	if err != nil {
		return out, err
	}
	out.Proof, err = k.voice().log.Proof(ctx, entry)
	switch {
	case err == nil:
		return out, nil
	case problem.KindOf(err) == problem.Conflict:
		out.State = wire.StatePending
	case problem.KindOf(err) == problem.NotFound:
		out.State = wire.StateMissing
	default:
		return out, err
	}
	return out, nil
}
