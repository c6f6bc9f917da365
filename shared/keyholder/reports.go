package keyholder

import (
	"context"
	"errors"
	"slices"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
)

// reportsRow is what was reported on a chain: what the police delivered, and the parts that this keyholder composed, each oldest first.
type reportsRow struct {
	Delivered []delivered  `json:"delivered,omitempty"`
	Numbers   []lastNumber `json:"numbers,omitempty"` // up to which batches of each collector were counted
	Parts     []part       `json:"parts,omitempty"`
}

type delivered struct {
	At    time.Time     `json:"at"` // when it came
	By    record.KeyID  `json:"by"`
	Final bool          `json:"final,omitzero"`
	Hash  record.Digest `json:"hash"`
}

type part struct {
	At    time.Time     `json:"at"`
	Due   time.Time     `json:"due"`
	Final bool          `json:"final,omitzero"`
	Hash  record.Digest `json:"hash"`
	Last  int64         `json:"last"` // event
}

// reportRow is one of either: the statement, and of a delivered one its sealed content with this keyholder's share.
type reportRow struct {
	Chain     record.Digest `json:"chain"`
	Content   []byte        `json:"content,omitempty"`
	Share     []byte        `json:"share,omitempty"`
	Statement string        `json:"statement"`
}

func reportsName(chain record.Digest) string { return "reports/" + chain.String() }
func reportName(hash record.Digest) string   { return "report/" + hash.String() }

// maxDelivered is how many reports are delivered on one chain.
const maxDelivered = 500

// clocks are the chain's clocks: a report that was delivered here counts as the milestone that says so, without anybody recording it.
func (row reportsRow) clocks(c Chain, now time.Time) ([]law.Clock, error) {
	members := slices.Clone(c.Members)
	for _, d := range row.Delivered {
		members = append(members, law.Delivered(&c.State, d.Hash, d.At, d.Final))
	}
	return law.Clocks(members, now)
}

// FileReport takes the police's report on a measure: an investigator's or supervisor's of its unit, with its sealed content and this
// keyholder's share of the key. From then on it lies in the inbox of the order's court, and the duty to report is met. Filing it again
// changes nothing.
func (k *Keyholder) FileReport(ctx context.Context, raw string, content, share []byte) (record.Digest, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return record.Digest{}, err
	}
	var r record.Report
	st, author, err := k.openSigned(ctx, trust, raw, record.TypeReport, &r)
	if err != nil {
		return record.Digest{}, err
	}
	if err := errors.Join(r.Validate(), trust.addressed(r.Audience)); err != nil {
		return record.Digest{}, err
	}
	state, err := k.chain(ctx, r.Chain)
	if err != nil {
		return record.Digest{}, err
	}
	if err := k.mayReport(author, state, &r); err != nil {
		return record.Digest{}, err
	}
	own := r.Court
	if k.cfg.Party == seal.Custodian {
		own = r.Custodian
	}
	if len(content) > record.MaxReport || record.HashBytes(content) != r.Content || len(share) != len(seal.Share{}) || record.HashBytes(share) != own {
		return record.Digest{}, problem.New(problem.Invalid, "content or share are not the ones that the report names, or the content has more than %d bytes", record.MaxReport)
	}
	return st.Hash, k.act(ctx, r.Chain, func(c *change) error {
		return c.fileReport(st, author, &r, reportRow{Chain: r.Chain, Content: slices.Clone(content), Share: slices.Clone(share), Statement: raw})
	})
}

func (k *Keyholder) mayReport(author Person, c Chain, r *record.Report) error {
	e := author.Enrolment
	switch {
	case !k.concerns(author, c):
		return problem.New(problem.NotFound, "no such order is in force here")
	case !e.Of(record.Investigator) && !e.Of(record.Supervisor), e.PoliceUnit != c.PoliceUnit: // who screens for the judge may be of another
		return problem.New(problem.Denied, "the unit of police in charge reports to the judge; let an investigator or a supervisor of it sign the report")
	case r.Issued.After(k.now().Add(skew)):
		return problem.New(problem.Denied, "the report is dated in the future; set the clock and make it again")
	case r.Final && k.now().Before(c.Capture.Until):
		return problem.New(problem.Conflict, "the measure runs until %s, so the report is not the final one", c.Capture.Until.UTC().Format(time.RFC3339))
	}
	return nil
}

func (c *change) fileReport(st record.Statement, author Person, r *record.Report, body reportRow) error {
	var before reportRow
	if found, err := c.load(reportName(st.Hash), &before); err != nil || found {
		return err
	}
	var row reportsRow
	if _, err := c.load(reportsName(r.Chain), &row); err != nil {
		return err
	}
	if len(row.Delivered) >= maxDelivered {
		return problem.New(problem.Conflict, "the order has %d reports already", maxDelivered)
	}
	row.Delivered = append(row.Delivered, delivered{At: c.k.now(), By: author.ID, Final: r.Final, Hash: st.Hash})
	if err := c.inService(st.Raw); err != nil {
		return err
	}
	if _, err := c.journal(r.Chain, record.EventReported, record.ReportedEvent{By: author.ID, Final: r.Final, Report: st.Hash}); err != nil {
		return err
	}
	if err := c.put(reportName(st.Hash), body); err != nil {
		return err
	}
	return c.put(reportsName(r.Chain), row)
}

// ReportsOf lists what was reported on a chain, to somebody whom the chain concerns: that there is a report is no secret to them.
func (k *Keyholder) ReportsOf(ctx context.Context, who Person, chain record.Digest) (wire.Reports, error) {
	out := wire.Reports{Reports: []wire.ListedReport{}}
	if _, err := k.ShowChain(ctx, who, chain); err != nil {
		return out, err
	}
	var row reportsRow
	if _, err := k.read(ctx, reportsName(chain), &row); err != nil {
		return out, err
	}
	for _, p := range row.Parts {
		out.Reports = append(out.Reports, wire.ListedReport{At: p.At, Due: p.Due, Final: p.Final, Hash: p.Hash.String()})
	}
	for _, d := range row.Delivered {
		out.Reports = append(out.Reports, wire.ListedReport{At: d.At, By: d.By.String(), Final: d.Final, Hash: d.Hash.String()})
	}
	return out, nil
}

// ShowReport gives a report: a delivered one to judge and clerk of the order's court and to its author, a keyholder's own part, which is of
// its journal, to those who may read that.
func (k *Keyholder) ShowReport(ctx context.Context, who Person, hash record.Digest) (wire.Report, error) {
	unknown := problem.New(problem.NotFound, "no such report is here")
	var row reportRow
	found, err := k.read(ctx, reportName(hash), &row)
	if err != nil {
		return wire.Report{}, err
	}
	if !found {
		return wire.Report{}, unknown
	}
	state, err := k.chain(ctx, row.Chain)
	if err != nil {
		return wire.Report{}, err
	}
	st, err := record.Peek(row.Statement)
	if err != nil {
		return wire.Report{}, err
	}
	if st.Hash != hash {
		return wire.Report{}, problem.New(problem.Internal, "a stored report is not the one that its name says; tell the operator")
	}
	if !k.maySeeReport(who, state, st) {
		return wire.Report{}, unknown
	}
	return wire.Report{Content: row.Content, Share: row.Share, Statement: row.Statement}, nil
}

func (k *Keyholder) maySeeReport(who Person, c Chain, st record.Statement) bool {
	if st.Type == record.TypeJournalReport {
		return k.concerns(who, c) && mayReadLog(who, c) == nil
	}
	ofCourt := who.Enrolment.Of(record.Judge) || who.Enrolment.Of(record.Clerk)
	return who.ID == st.Author || ofCourt && who.Enrolment.Court == c.Court
}

// ComposeReports is the report function's job: at each date on which the order wants a report, and at the end of every measure, it composes
// the part that this keyholder's journal gives, signs it, and puts it into the court's inbox. Running it twice equals once, and after an
// outage it composes each part as it would have been on its date. Errors: as Lapse.
func (k *Keyholder) ComposeReports(ctx context.Context) error {
	now, err := k.witnessedNow(ctx)
	if err != nil {
		return err
	}
	chains, err := k.Chains(ctx)
	if err != nil {
		return err
	}
	if err := k.post(ctx, chains...); err != nil {
		return err
	}
	var wrong error
	for some := range slices.Chunk(chains, store.MaxRows) {
		states, errs, err := k.readChains(ctx, some)
		if err != nil {
			return err
		}
		for i, state := range states {
			if errs[i] == nil {
				errs[i] = k.composeDue(ctx, state, now)
			}
			wrong = errors.Join(wrong, errs[i])
		}
	}
	return wrong
}

// date is one on which a report is due.
type date struct {
	at    time.Time
	final bool
}

// reportDates are a chain's, in order: those of the order's cadence within the measure where the statute knows one, and its end.
func reportDates(c Chain) ([]date, error) {
	if c.Rejected {
		return nil, nil
	}
	p, err := law.ProfileOf(c.Profile)
	if err != nil {
		return nil, err
	}
	var list []date
	if every := c.Reports.EveryDays; every > 0 && p.Reports.Cadence == "order" {
		for at := c.Capture.From.AddDate(0, 0, every); at.Before(c.Capture.Until); at = at.AddDate(0, 0, every) {
			list = append(list, date{at: at})
		}
	}
	return append(list, date{c.Capture.Until, true}), nil
}

func (k *Keyholder) composeDue(ctx context.Context, state Chain, now time.Time) error {
	dates, err := reportDates(state)
	if err != nil {
		return err
	}
	var row reportsRow
	if _, err := k.read(ctx, reportsName(state.Hash), &row); err != nil {
		return err
	}
	for _, d := range dates {
		if d.at.After(now) || row.composed(d) {
			continue
		}
		if err := k.act(ctx, state.Hash, func(c *change) error { return c.compose(state, d) }); err != nil {
			return err
		}
	}
	return nil
}

func (row reportsRow) composed(d date) bool {
	return slices.ContainsFunc(row.Parts, func(p part) bool { return p.Due.Equal(d.at) && p.Final == d.final })
}

// compose makes the part for a date, unless it is there.
func (c *change) compose(state Chain, d date) error {
	var row reportsRow
	if _, err := c.load(reportsName(state.Hash), &row); err != nil || row.composed(d) {
		return err
	}
	trust, err := c.k.Trust(c.ctx)
	if err != nil {
		return err
	}
	from, last := state.Decided, int64(0)
	if n := len(row.Parts); n > 0 {
		from, last = row.Parts[n-1].Due, row.Parts[n-1].Last
	}
	s := summary{JournalReport: record.JournalReport{
		Audience: trust.Hash, Chain: state.Hash, Final: d.final, First: last + 1, Last: last, From: from, Until: d.at, Issued: c.k.now(), Party: string(c.k.cfg.Party),
	}}
	if err := s.read(c.ctx, c.k); err != nil {
		return err
	}
	row.Numbers = s.gaps(row.Numbers)
	if err := s.finish(c.ctx, c.k, state, row); err != nil {
		return err
	}
	raw, err := record.Sign(c.k.voice().signer, record.TypeJournalReport, c.k.now(), s.JournalReport)
	if err != nil {
		return err
	}
	hash := record.HashStatement(raw)
	if _, err := c.journal(state.Hash, record.EventReported, record.ReportedEvent{By: c.k.Online().ID(), Due: d.at, Final: d.final, Report: hash}); err != nil {
		return err
	}
	row.Parts = append(row.Parts, part{At: c.k.now(), Due: d.at, Final: d.final, Hash: hash, Last: s.Last})
	if err := c.put(reportName(hash), reportRow{Chain: state.Hash, Statement: raw}); err != nil {
		return err
	}
	return c.put(reportsName(state.Hash), row)
}
