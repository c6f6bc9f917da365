package keyholder

import (
	"context"
	"errors"
	"slices"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
)

// ranRow is when the clocks were last gone over: by the witnesses' time and by this keyholder's own.
type ranRow struct {
	Own       time.Time `json:"own"`
	Witnessed time.Time `json:"witnessed"`
}

const ranName = "lapse"

// toldRow is what this keyholder has told of a chain's clocks, oldest first: at most three entries for each clock and due date, of which a
// chain has no more than its members, whose room is bounded, can give.
type toldRow struct {
	Told []told `json:"told"`
}

type told struct {
	At    time.Time `json:"at"` // the witnesses' time of the run
	Clock string    `json:"clock"`
	Due   time.Time `json:"due"`
	Level string    `json:"level"`
}

func toldName(chain record.Digest) string { return "told/" + chain.String() }

func (row toldRow) has(clock string, due time.Time, level string) bool {
	return slices.ContainsFunc(row.Told, func(t told) bool { return t.Clock == clock && t.Due.Equal(due) && t.Level == level })
}

// last is the newest that was told of a clock and due date.
func (row toldRow) last(clock string, due time.Time) (told, bool) {
	for _, t := range slices.Backward(row.Told) {
		if t.Clock == clock && t.Due.Equal(due) {
			return t, true
		}
	}
	return told{}, false
}

// news is what is to be told of a clock now.
type news struct {
	clock law.Clock
	level string
}

// terms are over when they are, whatever anybody does; all other clocks are duties, which stay open until they are met.
var terms = []string{law.ClockTerm, law.ClockAccess, law.ClockTold, law.ClockConfirmation, law.ClockHold, law.ClockRetention}

// Lapse is the lapse function's job: by the witnesses' time it goes over the clocks of all chains, those first whose news is oldest. Of each
// term that has ended by itself it journals once that it did, with the instant that the law gives, and of each duty once that those
// concerned were told: before it is due, when it is overdue, and when it still is. Running it twice equals once, and after an outage it
// catches up. Nothing rests on its having run: what may be opened is decided anew each time (law.State.Word).
//
// Errors: problem.Unavailable without a fresh checkpoint, or when this clock or the witnesses' went back; then nothing was changed. A chain
// that cannot be read stops no other: its error comes last.
func (k *Keyholder) Lapse(ctx context.Context) error {
	now, err := k.witnessedNow(ctx)
	if err != nil {
		return err
	}
	if err := k.goOn(ctx, now); err != nil {
		return err
	}
	hashes, err := k.Chains(ctx)
	if err != nil {
		return err
	}
	if err := k.post(ctx, hashes...); err != nil { // what an earlier run was cut off before
		return err
	}
	pending, wrong := k.pending(ctx, hashes, now)
	for _, chain := range pending {
		if err := k.act(ctx, chain, func(c *change) error { return c.tell(chain, now) }); err != nil {
			wrong = errors.Join(wrong, err)
		}
	}
	return wrong
}

// witnessedNow is the present as the newest checkpoint's witnesses have it, the earliest of the quorum's times: what has happened by then has
// happened by every clock. A clock here that is more than five minutes off theirs refuses.
func (k *Keyholder) witnessedNow(ctx context.Context) (time.Time, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return time.Time{}, err
	}
	verifier, err := k.verifier(trust)
	if err != nil {
		return time.Time{}, err
	}
	raw, err := k.voice().log.Checkpoint(ctx)
	if err != nil {
		return time.Time{}, problem.Wrap(problem.Unavailable, err, "the log shows no checkpoint, and clocks are read by the witnesses' time; they are gone over again at the next run")
	}
	at, err := verifier.Verify(raw)
	if err != nil {
		return time.Time{}, k.changeover(err)
	}
	return at.Earliest.UTC(), at.Fresh(k.cfg.Now(), skew)
}

// goOn remembers the time of a run, and refuses one that is before the last.
func (k *Keyholder) goOn(ctx context.Context, now time.Time) error {
	return k.update(ctx, func(c *change) error {
		var last ranRow
		if _, err := c.load(ranName, &last); err != nil {
			return err
		}
		own := c.k.now()
		if now.Before(last.Witnessed) {
			return problem.New(problem.Unavailable, "the witnesses' time is before that of the last run, so that the log may show an old checkpoint; nothing was changed. If it stays so, tell the operators")
		}
		if own.Before(last.Own) {
			return problem.New(problem.Unavailable, "this keyholder's clock went back since the last run; nothing was changed. Set the clock")
		}
		if now.Equal(last.Witnessed) && own.Equal(last.Own) {
			return nil
		}
		return c.put(ranName, ranRow{Own: own, Witnessed: now})
	})
}

// pending are the chains of which there is something to tell, by the instant of the first of it.
func (k *Keyholder) pending(ctx context.Context, hashes []record.Digest, now time.Time) (pending []record.Digest, wrong error) {
	first := map[record.Digest]time.Time{}
	for some := range slices.Chunk(hashes, store.MaxRows) {
		states, errs, rows, err := k.chainsTold(ctx, some)
		if err != nil {
			return pending, errors.Join(wrong, err)
		}
		for i, chain := range some {
			list, err := k.news(states[i], rows[i], now)
			if err = errors.Join(errs[i], err); err != nil {
				wrong = errors.Join(wrong, err)
				continue
			}
			if len(list) > 0 {
				first[chain], pending = list[0].clock.Due, append(pending, chain)
			}
		}
	}
	slices.SortStableFunc(pending, func(a, b record.Digest) int { return first[a].Compare(first[b]) })
	return pending, wrong
}

// saidOf is what a keyholder keeps of a chain's clocks beside its members.
type saidOf struct {
	toldRow
	reports reportsRow
}

// chainsTold reads chains with what was told and reported of each.
func (k *Keyholder) chainsTold(ctx context.Context, hashes []record.Digest) ([]Chain, []error, []saidOf, error) {
	states, errs, err := k.readChains(ctx, hashes)
	if err != nil {
		return nil, nil, nil, err
	}
	var tolds, reports []string
	for _, hash := range hashes {
		tolds, reports = append(tolds, toldName(hash)), append(reports, reportsName(hash))
	}
	told, err := readFound[toldRow](ctx, k, tolds)
	if err != nil {
		return nil, nil, nil, err
	}
	reported, err := readFound[reportsRow](ctx, k, reports)
	said := make([]saidOf, len(hashes))
	for i := range hashes {
		said[i] = saidOf{told[tolds[i]], reported[reports[i]]}
	}
	return states, errs, said, err
}

// news works out what is to be told of a chain, by due date.
func (k *Keyholder) news(c Chain, row saidOf, now time.Time) ([]news, error) {
	if len(c.Members) == 0 {
		return nil, nil // it could not be read, which its error says
	}
	clocks, err := row.reports.clocks(c, now)
	var list []news
	for _, clock := range clocks {
		if level := k.level(clock, &c.State, now); level != "" && !row.has(clock.Name, clock.Due, level) {
			list = append(list, news{clock, level})
		}
	}
	slices.SortStableFunc(list, func(a, b news) int { return a.clock.Due.Compare(b.clock.Due) })
	return list, err
}

// level is how far a clock has come, as those concerned are told of it; "" is not that far.
func (k *Keyholder) level(c law.Clock, s *law.State, now time.Time) string {
	if c.Due.IsZero() || c.State == law.Fulfilled || silent(c, s) {
		return ""
	}
	early := c.Due.Sub(c.Warn)
	if set, ok := k.cfg.Warn[c.Name]; ok {
		early = set
	}
	switch {
	case now.Before(c.Due.Add(-early)):
		return ""
	case now.Before(c.Due):
		return record.LevelDue
	case slices.Contains(terms, c.Name):
		return record.LevelEnded
	case now.Before(c.Due.Add(max(early, leastPatience))):
		return record.LevelOverdue
	}
	return record.LevelEscalated
}

// leastPatience is how long a duty is overdue at least before it is taken further up.
const leastPatience = 24 * time.Hour

// silent are the clocks by which nothing ends any more, or which say nothing that another does not.
func silent(c law.Clock, s *law.State) bool {
	switch c.Name {
	case law.ClockCap: // the measure's own end comes first, and an extension beyond the cap is refused
		return true
	case law.ClockTerm:
		return s.Revoked || s.Rejected || s.Closed
	case law.ClockAccess:
		return s.Revoked || s.Rejected
	case law.ClockTold, law.ClockConfirmation: // it lapsed earlier by the other one of the two
		return s.Revoked || s.Rejected || c.Due.After(s.AccessEnd)
	}
	return false
}

// recipients are the roles that are told: whose duty it is first, then all whom the clock concerns, and last the judge and the auditor.
func recipients(c law.Clock, level string) []record.Role {
	roles := c.Concerns
	switch level {
	case record.LevelDue:
		if roles[0] == record.Supervisor {
			return roles[:1]
		}
	case record.LevelEscalated:
		roles = slices.Clone(roles)
		for _, role := range []record.Role{record.Judge, record.Auditor} {
			if !slices.Contains(roles, role) {
				roles = append(roles, role)
			}
		}
	}
	return roles
}

// tell journals what is to be told of a chain and remembers that it was told, in one transaction that demands the chain as it was read.
func (c *change) tell(chain record.Digest, now time.Time) error {
	var row saidOf
	var members chainRow
	if err := c.look(chainName(chain), toldName(chain), reportsName(chain), journalName(chain)); err != nil {
		return err
	}
	if _, err := c.load(toldName(chain), &row.toldRow); err != nil {
		return err
	}
	if _, err := c.load(reportsName(chain), &row.reports); err != nil {
		return err
	}
	if _, err := c.load(chainName(chain), &members); err != nil {
		return err
	}
	trust, err := c.k.Trust(c.ctx)
	if err != nil {
		return err
	}
	state, err := c.k.openChain(c.ctx, trust, chain, members)
	if err != nil {
		return err
	}
	list, err := c.k.news(state, row, now)
	if err != nil || len(list) == 0 {
		return err
	}
	for _, n := range list {
		if err := c.journalNews(chain, n); err != nil {
			return err
		}
		row.Told = append(row.Told, told{At: now, Clock: n.clock.Name, Due: n.clock.Due, Level: n.level})
	}
	c.require(chainName(chain))
	return c.put(toldName(chain), row.toldRow)
}

func (c *change) journalNews(chain record.Digest, n news) error {
	roles := recipients(n.clock, n.level)
	var err error
	if n.level == record.LevelEnded {
		_, err = c.journal(chain, record.EventLapsed, record.LapsedEvent{Article: n.clock.Article, At: n.clock.Due, Clock: n.clock.Name, Roles: roles})
	} else {
		_, err = c.journal(chain, record.EventWarned, record.WarnedEvent{Article: n.clock.Article, Clock: n.clock.Name, Due: n.clock.Due, Level: n.level, Roles: roles})
	}
	return err
}

// endedFor is how long the end of a term stays in the inbox.
const endedFor = 30 * 24 * time.Hour

// NoticesOf lists what a person was told of the clocks of their orders and what is still so, from a place in the order of admission on.
func (k *Keyholder) NoticesOf(ctx context.Context, who Person, from int) (wire.Notices, error) {
	out := wire.Notices{Notices: []wire.Notice{}, Next: max(from, 0)}
	chains, err := k.Chains(ctx)
	if err != nil {
		return out, err
	}
	out.Total = len(chains)
	if out.Next >= len(chains) {
		return out, nil
	}
	some := chains[out.Next:min(out.Next+ordersPage, len(chains))]
	states, errs, rows, err := k.chainsTold(ctx, some)
	if err != nil {
		return out, err
	}
	for i := range some {
		if errs[i] != nil {
			return out, errs[i]
		}
		if !k.concerns(who, states[i]) {
			continue
		}
		list, err := k.noticesOf(who, states[i], rows[i])
		if err != nil {
			return out, err
		}
		out.Notices = append(out.Notices, list...)
	}
	out.Next += len(some)
	return out, nil
}

// noticesOf gives of one chain what was told to a person's roles; what was done or moved since is not shown any more.
func (k *Keyholder) noticesOf(who Person, c Chain, row saidOf) ([]wire.Notice, error) {
	now := k.now()
	clocks, err := row.reports.clocks(c, now)
	var list []wire.Notice
	for _, clock := range clocks {
		t, ok := row.last(clock.Name, clock.Due)
		over := t.Level == record.LevelEnded && now.Sub(t.At) > endedFor
		if !ok || over || clock.State == law.Fulfilled || silent(clock, &c.State) || !slices.ContainsFunc(recipients(clock, t.Level), who.Enrolment.Of) {
			continue
		}
		list = append(list, wire.Notice{Article: clock.Article, Chain: c.Hash.String(), Clock: clock.Name, Due: clock.Due, Level: t.Level, Says: clock.Says, Sent: t.At})
	}
	return list, err
}
