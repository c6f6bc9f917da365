package keyholder

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/policy"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// chainRow is an order chain: its members as signed, in the order of admission.
type chainRow struct {
	Members []string `json:"members"`
}

func chainName(chain record.Digest) string { return "chain/" + chain.String() }

// The list of chains: a row that counts them, and rows with their hashes, 32 bytes each, in the order of admission.
const chainsName = "chains"

func chainsPageName(n int) string { return fmt.Sprintf("chains/%d", n) }

const (
	chainsToPage = 1000      // a page is written again with every chain that it gets
	maxChains    = 1_000_000 // a country's year is some tens of thousands
)

// Chain is the state of an order chain.
type Chain struct {
	law.State
	Hash    record.Digest
	Members []law.Member
	Raw     []string
}

// Admit takes a member of an order chain: it verifies the judge's signature and enrolment, the statute profile and the chain's
// rules, and puts it in force here. Admitting the same again changes nothing. After a first member the units function is asked to run.
func (k *Keyholder) Admit(ctx context.Context, raw string) (Chain, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return Chain{}, err
	}
	next, err := k.openMember(ctx, trust, raw, true)
	if err != nil {
		return Chain{}, err
	}
	hash := next.Order.Chain
	if hash.IsZero() {
		hash = next.Hash
	}
	if err := k.act(ctx, hash, func(c *change) error {
		if err := c.admit(trust, hash, next, raw); err != nil || len(c.writes) == 0 {
			return err
		}
		return c.inService(raw)
	}); err != nil {
		return Chain{}, k.refuseMember(ctx, hash, raw, err)
	}
	if k.cfg.Invoke != nil {
		_ = k.cfg.Invoke(ctx) // the weekly schedule and the collector's own question do the same later
	}
	return k.chain(ctx, hash)
}

// refuseMember journals once, in the case of its order, that the law does not allow a member which somebody in service signed: how often a
// statute's limits are run against is counted.
func (k *Keyholder) refuseMember(ctx context.Context, of record.Digest, raw string, why error) error {
	if !refusal(why) {
		return why
	}
	if _, err := k.chain(ctx, of); err != nil {
		return why // a chain that is not known here has no journal to write in
	}
	st, err := record.Peek(raw)
	if err != nil {
		return why
	}
	if err := k.act(ctx, of, func(c *change) error {
		name := "refused/" + st.Hash.String()
		var before bool
		if found, err := c.load(name, &before); err != nil || found {
			return err
		}
		if _, err := c.journal(of, record.EventRefused, record.StatementEvent{By: st.Author, Reason: problem.MessageOf(why), Rule: law.RuleOf(why), Statement: raw}); err != nil {
			return err
		}
		return c.put(name, true)
	}); err != nil {
		return err
	}
	return why
}

// openMember verifies a member's signature by somebody enrolled who may sign it (law.MaySign). inService demands that
// they still are, which matters on admission only: an order outlives its judge's term.
func (k *Keyholder) openMember(ctx context.Context, trust Pinned, raw string, inService bool) (law.Member, error) {
	key := record.Digest(sha256.Sum256([]byte(raw)))
	k.mu.Lock()
	known, ok := k.members[key]
	k.mu.Unlock()
	if ok && !inService {
		return known, nil
	}
	peek, err := peekAs(raw, record.TypeOrder)
	if err != nil {
		return law.Member{}, err
	}
	author, err := k.author(ctx, trust, peek.Author, inService)
	if err != nil {
		return law.Member{}, err
	}
	var o record.Order
	st, err := record.OpenKnown(raw, record.TypeOrder, author.Key, &o)
	if err != nil {
		return law.Member{}, err
	}
	if err := o.Validate(); err != nil {
		return law.Member{}, err
	}
	if err := trust.addressed(o.Audience); err != nil {
		return law.Member{}, err
	}
	if err := law.MaySign(&o, &author); err != nil {
		return law.Member{}, err
	}
	if _, known := policy.Level(o.Classification); inService && o.Classification != "" && !known {
		return law.Member{}, problem.New(problem.Invalid, "the order's classification is no level, so no clearance would reach it; levels are %s", strings.Join(policy.Levels(), ", "))
	}
	m := law.Member{Hash: st.Hash, Order: o}
	k.mu.Lock()
	k.members[key] = m
	k.mu.Unlock()
	return m, nil
}

func (k *Keyholder) author(ctx context.Context, trust Pinned, id record.KeyID, inService bool) (record.Enrolment, error) {
	if inService {
		p, err := k.Person(ctx, id)
		return p.Enrolment, err
	}
	var joint record.Joint
	found, err := k.read(ctx, personName(id), &joint)
	if err != nil {
		return record.Enrolment{}, err
	}
	if !found {
		return record.Enrolment{}, problem.New(problem.Denied, "the author of the order is not enrolled here")
	}
	e, _, err := k.enrolment(trust, joint)
	return e, err
}

// inService makes the change fail if a statement's author is suspended by the time it is committed: a suspension that was acknowledged
// counts, also while what its person signed is being looked at.
func (c *change) inService(raw string) error {
	st, err := record.Peek(raw)
	if err != nil {
		return err
	}
	var all roster
	if _, err := c.load("roster", &all); err != nil {
		return err
	}
	if slices.Contains(all.Suspended, st.Author) {
		return record.Unknown(nil)
	}
	c.require("roster")
	return nil
}

func (c *change) admit(trust Pinned, hash record.Digest, next law.Member, raw string) error {
	var row chainRow
	found, err := c.load(chainName(hash), &row)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(row.Members, func(m string) bool { return record.HashStatement(m) == next.Hash }) {
		return nil
	}
	members, err := c.k.openMembers(c.ctx, trust, row.Members)
	if err != nil {
		return err
	}
	if _, err := law.Admit(members, next, c.k.now()); err != nil {
		return err
	}
	if !found {
		if err := c.listChain(hash); err != nil {
			return err
		}
	}
	made, err := c.journal(hash, record.EventAdmitted, record.AdmittedEvent{Kind: next.Order.Kind, Member: next.Hash, Statement: raw})
	if err != nil {
		return err
	}
	if err := c.listDestruction(hash, next, made); err != nil {
		return err
	}
	row.Members = append(row.Members, raw)
	return c.putChain(hash, row, next.Order.Kind)
}

// How large a chain's row may become by members of each kind, so that there is always room to hold and to suspend, and to revoke what
// was suspended and resumed all too often: nothing else may take the place of what applies at once.
const (
	roomForOrders = 256 << 10
	roomForFacts  = 304 << 10
	roomForStops  = 336 << 10
	maxStop       = 48 << 10 // bytes of one member that names the chain
)

func (c *change) putChain(hash record.Digest, row chainRow, kind record.OrderKind) error {
	size := 0
	for _, m := range row.Members {
		size += len(m) + len(`"",`)
	}
	fact := slices.Contains([]record.OrderKind{record.Milestone, record.Notice, record.Compartment, record.Destruction}, kind)
	switch {
	case kind.NamesChain() && len(row.Members[len(row.Members)-1]) > maxStop:
		return problem.New(problem.Invalid, "a member that names the chain only has at most %d bytes; give its reason in fewer words, or name fewer recordings", maxStop)
	case !kind.NamesChain() && size > roomForOrders:
		return problem.New(problem.Invalid, "the chain's orders are longer than %d bytes together; a new authorisation begins another chain", roomForOrders)
	case fact && size > roomForFacts:
		return problem.New(problem.Invalid, "the chain's row has no room for more milestones and decisions on recordings: what stops the measure keeps its room")
	case kind.NamesChain() && kind != record.Revocation && size > roomForStops:
		return problem.New(problem.Invalid, "the chain has no room for another suspension; revoke it, or leave it suspended")
	}
	return c.put(chainName(hash), row)
}

func (c *change) listChain(hash record.Digest) error {
	var count int
	if _, err := c.load(chainsName, &count); err != nil {
		return err
	}
	if count >= maxChains {
		return problem.New(problem.Unavailable, "this keyholder has room for %d order chains; tell the operator", maxChains)
	}
	name := chainsPageName(count / chainsToPage)
	page, err := c.loadBytes(name)
	if err != nil {
		return err
	}
	if len(page) != count%chainsToPage*len(hash) {
		return lost(nil, "the list of orders and its count do not fit together")
	}
	c.putBytes(name, append(slices.Clone(page), hash[:]...))
	return c.put(chainsName, count+1)
}

func (k *Keyholder) openMembers(ctx context.Context, trust Pinned, raws []string) ([]law.Member, error) {
	var members []law.Member
	for _, raw := range raws {
		m, err := k.openMember(ctx, trust, raw, false)
		if err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

// Chains lists every order chain admitted here, in the order of admission.
func (k *Keyholder) Chains(ctx context.Context) ([]record.Digest, error) {
	var count int
	if _, err := k.read(ctx, chainsName, &count); err != nil {
		return nil, err
	}
	var names []string
	for n := 0; n*chainsToPage < count; n++ {
		names = append(names, chainsPageName(n))
	}
	var chains []record.Digest
	for some := range slices.Chunk(names, pagesAtOnce) {
		rows, err := k.rows.Get(ctx, some...)
		if err != nil {
			return nil, err
		}
		for _, name := range some {
			for hash := range slices.Chunk(rows[name].Value, len(record.Digest{})) {
				if len(hash) != len(record.Digest{}) {
					return nil, lost(nil, "a list of orders is cut off")
				}
				chains = append(chains, record.Digest(hash))
			}
		}
	}
	// The last page may have grown since the count was read, but nothing that was counted may be missing.
	if len(chains) < count {
		return nil, lost(nil, "a list of orders is shorter than its count")
	}
	return chains[:count], nil
}

// chain reads a chain and works out its state. Errors: problem.NotFound.
func (k *Keyholder) chain(ctx context.Context, hash record.Digest) (Chain, error) {
	chains, errs, err := k.readChains(ctx, []record.Digest{hash})
	if err != nil {
		return Chain{}, err
	}
	return chains[0], errs[0]
}

// readChains is chain for many: of each the state, or why there is none.
func (k *Keyholder) readChains(ctx context.Context, hashes []record.Digest) ([]Chain, []error, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, hash := range hashes {
		names = append(names, chainName(hash))
	}
	rows, err := readFound[chainRow](ctx, k, names)
	if err != nil {
		return nil, nil, err
	}
	chains, errs := make([]Chain, len(hashes)), make([]error, len(hashes))
	for i, hash := range hashes {
		row, ok := rows[names[i]]
		if !ok {
			errs[i] = problem.New(problem.NotFound, "no such order is in force here")
			continue
		}
		chains[i], errs[i] = k.openChain(ctx, trust, hash, row)
	}
	return chains, errs, nil
}

func (k *Keyholder) openChain(ctx context.Context, trust Pinned, hash record.Digest, row chainRow) (Chain, error) {
	members, err := k.openMembers(ctx, trust, row.Members)
	if err != nil {
		return Chain{}, err
	}
	state, err := law.Read(members)
	return Chain{State: state, Hash: hash, Members: members, Raw: row.Members}, err
}

// ShowChain gives a chain to somebody who may know of it.
func (k *Keyholder) ShowChain(ctx context.Context, who Person, hash record.Digest) (Chain, error) {
	state, err := k.chain(ctx, hash)
	if err != nil {
		return Chain{}, err
	}
	if !k.concerns(who, state) {
		return Chain{}, problem.New(problem.NotFound, "no such order is in force here")
	}
	return state, nil
}

// concerns tells whether a chain is any of this person's or machine's business: collectors seal under all of them, court people see
// their court's, police their unit's, auditors and custodians all.
func (k *Keyholder) concerns(who Person, c Chain) bool {
	e := who.Enrolment
	if len(law.JudgedOf(c.Members).ScreenedBy(who.ID, k.now())) > 0 {
		return true // the judge has named them
	}
	switch {
	case e.Of(record.Collector), e.Of(record.Auditor), e.Of(record.Custodian):
		return true
	case e.Of(record.Judge), e.Of(record.Clerk), e.Of(record.Prosecutor):
		return e.Court == c.Court
	case e.Of(record.Investigator), e.Of(record.Supervisor):
		return e.PoliceUnit == c.PoliceUnit
	case e.Of(record.Minister):
		return c.Urgent
	}
	return false
}

// Status answers the other keyholder or a collector over its nonce: one statement of up to record.MaxChains chains, and the members of each as far
// as one answer holds them.
func (k *Keyholder) Status(ctx context.Context, nonce record.ID, hashes ...record.Digest) (statement string, members [][]string, err error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return "", nil, err
	}
	s, chains, err := k.status(ctx, trust, nonce, hashes...)
	if err != nil {
		return "", nil, err
	}
	size := 0
	for _, c := range chains {
		size += len(strings.Join(c.Raw, ""))
		if size > pageBytes && size > len(strings.Join(c.Raw, "")) {
			c.Raw = nil
		}
		members = append(members, c.Raw)
	}
	statement, err = record.Sign(k.voice().signer, record.TypeStatus, k.now(), s)
	return statement, members, err
}

func (k *Keyholder) status(ctx context.Context, trust Pinned, nonce record.ID, hashes ...record.Digest) (s record.Status, list []Chain, err error) {
	s = record.Status{Audience: trust.Hash, Issued: k.now(), Nonce: nonce, Party: string(k.cfg.Party), Trust: trust.VersionSaid()}
	if err := distinct(hashes, record.MaxChains); err != nil {
		return s, nil, err
	}
	var all roster
	if _, err := k.read(ctx, "roster", &all); err != nil {
		return s, nil, err
	}
	s.Enrolled, s.Suspended = all.digests()
	if s.Destroyed, err = k.destroyedDigest(ctx); err != nil {
		return s, nil, err
	}
	chains, errs, err := k.readChains(ctx, hashes)
	if err != nil {
		return s, nil, err
	}
	for i, state := range chains {
		one := record.ChainStatus{Chain: hashes[i], State: "unknown"}
		switch {
		case errs[i] == nil:
			one.Capture, one.AccessEnd, one.Head = state.Capture, state.AccessEnd, state.Head
			one.Stops, one.State = record.SetDigest(state.Stops), state.Word(k.now())
		case problem.KindOf(errs[i]) != problem.NotFound:
			return s, nil, errs[i]
		}
		s.Chains = append(s.Chains, one)
	}
	return s, chains, nil
}

// distinct refuses a list that is empty, longer than the limit, or names something twice.
func distinct[T comparable](list []T, limit int) error {
	seen := map[T]bool{}
	for _, v := range list {
		seen[v] = true
	}
	if len(list) == 0 || len(list) > limit || len(seen) != len(list) {
		return problem.New(problem.Invalid, "one call asks for 1 to %d, each once; ask for the others in another call", limit)
	}
	return nil
}

// allowsRequest holds a request against the chain at an instant.
func (c Chain) allowsRequest(r *record.Request, now time.Time) error {
	if err := c.Open(now); err != nil {
		return err
	}
	if r.Expires.After(c.AccessEnd) {
		return problem.New(problem.Denied, "the request would outlast the order, whose access ends earlier; ask for a shorter time")
	}
	if !knownCompartment(r.Compartment) || r.Classification != c.Classification {
		return problem.New(problem.Invalid, "the request names a compartment or classification that the order does not have")
	}
	return nil
}
