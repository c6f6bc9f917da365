package collector

import (
	"context"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// statusFor is how long a pair of statuses stands for the present while sealing goes on.
const statusFor = time.Minute

// unitTries is how often the keyholders are asked for a unit's keys until they have exchanged the find secret.
const unitTries = 5

// order is a chain as both keyholders hold it, at an instant.
type order struct {
	law.State
	at time.Time // when both said so
}

// unitKeys are what sealing to a unit needs.
type unitKeys struct {
	unit      seal.Unit
	court     hpke.PublicKey
	custodian hpke.PublicKey
	find      hpke.PublicKey
}

// orderCache remembers orders for statusFor and unit keys, which never change, for the process's life.
type orderCache struct {
	mu     sync.Mutex
	orders map[record.Digest]*order
	units  map[seal.Unit]*unitKeys
}

// order gives one chain as both keyholders hold it, or why nothing is sealed under it.
func (c *Collector) order(ctx context.Context, chain record.Digest) (*order, error) {
	list, errs := c.ordersOf(ctx, chain)
	return list[0], errs[0]
}

// ordersOf is order for many, asked in few calls. It remembers what is fresh.
func (c *Collector) ordersOf(ctx context.Context, chains ...record.Digest) ([]*order, []error) {
	list, errs := make([]*order, len(chains)), make([]error, len(chains))
	var ask []record.Digest
	c.orders.mu.Lock()
	for i, chain := range chains {
		if known := c.orders.orders[chain]; known != nil && known.fresh(c.cfg.Now()) {
			list[i] = known
		} else {
			ask = append(ask, chain)
		}
	}
	c.orders.mu.Unlock()
	slices.SortFunc(ask, compareDigests)
	answers := map[record.Digest]answer{}
	for some := range slices.Chunk(slices.Compact(ask), record.MaxChains) {
		c.askOrders(ctx, some, answers)
	}
	for i, chain := range chains {
		if list[i] == nil {
			list[i], errs[i] = answers[chain].order, answers[chain].err
		}
	}
	c.orders.remember(answers)
	return list, errs
}

// answer is an order, or why it is none.
type answer struct {
	*order
	err error
}

func (o *orderCache) remember(answers map[record.Digest]answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.orders == nil || len(o.orders) > 4096 {
		o.orders = map[record.Digest]*order{}
	}
	for chain, a := range answers {
		if a.err == nil {
			o.orders[chain] = a.order
		}
	}
}

func (o *order) fresh(now time.Time) bool {
	age := now.Sub(o.at)
	return age >= 0 && age < statusFor
}

// askOrders demands both keyholders' status over fresh nonces, equal and in force, and reads the chains whose head and stops
// they name. Errors: problem.Denied and problem.NotFound when nothing may be sealed under a chain, problem.Conflict
// when the keyholders differ. When a keyholder cannot answer for all of them together, each is asked for alone: what is wrong with one
// must not stop the others.
func (c *Collector) askOrders(ctx context.Context, chains []record.Digest, answers map[record.Digest]answer) {
	at := c.cfg.Now() // before the question: the answer is at least as new
	court, members, err := c.status(ctx, seal.Court, chains)
	var custodian record.Status
	if err == nil {
		custodian, _, err = c.status(ctx, seal.Custodian, chains)
	}
	if err != nil && len(chains) > 1 && problem.KindOf(err) != problem.Unavailable {
		for _, chain := range chains {
			c.askOrders(ctx, []record.Digest{chain}, answers)
		}
		return
	}
	for i, chain := range chains {
		one := answer{err: err}
		if err == nil {
			one.order, one.err = c.agreed(ctx, chain, i, court, custodian, members[i], at)
		}
		answers[chain] = one
	}
}

// agreed makes an order of what both keyholders say of chain number i of their statuses.
func (c *Collector) agreed(ctx context.Context, chain record.Digest, i int, court, custodian record.Status, members []string, at time.Time) (*order, error) {
	if court.Chains[i].State != law.InForce || custodian.Chains[i].State != law.InForce {
		return nil, notInForce(court.Chains[i].State, custodian.Chains[i].State)
	}
	if !court.Agrees(custodian, i) {
		return nil, problem.New(problem.Conflict, "court and custodian hold different states of this order, of its people or of what was destroyed; nothing is sealed under it until both have admitted the same")
	}
	if len(members) == 0 { // too large to come with others
		if err := c.call("order"); err != nil {
			return nil, err
		}
		shown, err := c.cfg.Court.Order(ctx, chain)
		if err != nil {
			return nil, err
		}
		members = shown.Members
	}
	state, err := c.readChain(chain, court.Chains[i], members)
	if err != nil {
		return nil, err
	}
	return &order{state, at}, nil
}

func notInForce(court, custodian string) error {
	for _, state := range []string{court, custodian} {
		switch state {
		case law.Revoked:
			return problem.New(problem.Denied, "the order was revoked; nothing is sealed under it")
		case law.Rejected:
			return problem.New(problem.Denied, "the judge did not confirm the urgent measure; nothing is sealed under it")
		case law.Suspended:
			return problem.New(problem.Denied, "the order is suspended; nothing is sealed under it until the judge resumes it")
		case law.Lapsed:
			return problem.New(problem.Denied, "access under the order has ended; nothing is sealed under it")
		}
	}
	return problem.New(problem.Denied, "the order is not in force at both keyholders; nothing is sealed under it until both have admitted it")
}

// status asks one keyholder and checks its answer. The court shows the chains' members too.
func (c *Collector) status(ctx context.Context, role seal.Role, chains []record.Digest) (s record.Status, members [][]string, err error) {
	var nonce record.ID
	rand.Read(nonce[:]) // never fails (crypto/rand)
	if err := c.call("status"); err != nil {
		return s, nil, err
	}
	var raw string
	if role == seal.Court {
		raw, members, err = c.cfg.Court.StatusAndMembers(ctx, nonce, chains...)
	} else {
		raw, err = c.cfg.Custodian.Status(ctx, nonce, chains...)
	}
	if err != nil {
		return s, nil, err
	}
	if _, err := c.trust.OpenOnline(raw, record.TypeStatus, string(role), c.cfg.Now(), &s); err != nil {
		return s, nil, err
	}
	if !s.Answers(string(role), c.cfg.Fingerprint, nonce, chains...) || role == seal.Court && len(members) != len(chains) {
		return s, nil, problem.New(problem.Denied, "the %s keyholder answered with the status of another question; ask again", string(role))
	}
	if d := c.cfg.Now().Sub(s.Issued); d > maxSkew || d < -maxSkew {
		return s, nil, problem.New(problem.Unavailable, "the %s keyholder's clock and this machine's differ by more than five minutes; set the clock that is wrong", string(role))
	}
	return s, members, nil
}

// readChain works out the chain's state from its members as the court shows them. Every member on the way to the head is
// bound by the head's hash through its predecessors, and every revocation, suspension and resumption by the digest
// of stops: both keyholders signed these, after each had verified the judges' signatures.
func (c *Collector) readChain(chain record.Digest, status record.ChainStatus, raws []string) (law.State, error) {
	var members []law.Member
	for _, raw := range raws {
		st, err := record.Peek(raw)
		if err != nil {
			return law.State{}, err
		}
		m := law.Member{Hash: st.Hash}
		if err := record.Unmarshal(st.Payload, &m.Order); err != nil {
			return law.State{}, err
		}
		if err := m.Order.Validate(); err != nil {
			return law.State{}, err
		}
		if st.Type != record.TypeOrder || m.Order.Audience != c.cfg.Fingerprint {
			return law.State{}, problem.New(problem.Denied, "a member of the order is of another installation")
		}
		members = append(members, m)
	}
	state, err := law.Read(members)
	if err != nil {
		return state, err
	}
	same := state.Chain == chain && state.Head == status.Head && setDigest(state.Stops) == status.Stops &&
		state.Capture.From.Equal(status.Capture.From) && state.Capture.Until.Equal(status.Capture.Until) && state.AccessEnd.Equal(status.AccessEnd)
	if !same {
		return state, problem.New(problem.Conflict, "the order's members are not those that both keyholders' statuses name; a member was admitted just now, or somebody altered the list: try again")
	}
	return state, nil
}

// setDigest hashes a set independently of its order, as a Status does.
func setDigest(set []record.Digest) record.Digest {
	sorted := slices.SortedFunc(slices.Values(set), compareDigests)
	h := sha256.New()
	for _, d := range slices.Compact(sorted) {
		h.Write(d[:])
	}
	return record.Digest(h.Sum(nil))
}

func compareDigests(a, b record.Digest) int { return slices.Compare(a[:], b[:]) }

// unitsOf gets units' public keys from both keyholders and checks them: of each the keys, or why there are none.
func (c *Collector) unitsOf(ctx context.Context, units ...seal.Unit) ([]*unitKeys, []error) {
	list, errs := make([]*unitKeys, len(units)), make([]error, len(units))
	var ask []int
	c.orders.mu.Lock()
	for i, u := range units {
		if list[i] = c.orders.units[u]; list[i] == nil {
			ask = append(ask, i)
		}
	}
	c.orders.mu.Unlock()
	for some := range slices.Chunk(ask, record.MaxUnitKeys) {
		c.askUnits(ctx, units, some, list, errs)
	}
	c.orders.mu.Lock()
	defer c.orders.mu.Unlock()
	if c.orders.units == nil || len(c.orders.units) > 4096 {
		c.orders.units = map[seal.Unit]*unitKeys{}
	}
	for _, i := range ask {
		if list[i] != nil {
			c.orders.units[units[i]] = list[i]
		}
	}
	return list, errs
}

// askUnits asks both keyholders in turn until both name one find key for each unit: the custodian does so once it has opened and kept
// the find secret that the court sealed to it. Before that, what is sealed could not be found through one of them.
// ask are the places in units that are asked for, list and errs get the outcome there.
func (c *Collector) askUnits(ctx context.Context, units []seal.Unit, ask []int, list []*unitKeys, errs []error) {
	for try := range unitTries {
		court, err := c.unitKeys(ctx, seal.Court, units, ask, errs)
		var custodian map[seal.Unit]record.UnitKey
		if err == nil {
			custodian, err = c.unitKeys(ctx, seal.Custodian, units, ask, errs)
		}
		if err != nil {
			c.askAlone(ctx, units, ask, list, errs, err)
			return
		}
		ask = slices.DeleteFunc(slices.Clone(ask), func(i int) bool {
			ours, theirs := court[units[i]], custodian[units[i]]
			if errs[i] == nil && len(ours.FindKey) > 0 && record.HashBytes(ours.FindKey) == theirs.FindHeld {
				list[i], errs[i] = parseKeys(units[i], ours, theirs)
				return true
			}
			return errs[i] != nil
		})
		if len(ask) == 0 {
			return
		}
		if err := pause(ctx, time.Duration(try*try)*50*time.Millisecond); err != nil {
			fail(errs, ask, err)
			return
		}
	}
	fail(errs, ask, problem.New(problem.Unavailable, "court and custodian have not exchanged the week's find key yet; they do so by themselves, try again in a minute"))
}

// askAlone asks again for each unit by itself when a keyholder has refused or failed to answer for all: what is wrong with one must not
// stop the others.
func (c *Collector) askAlone(ctx context.Context, units []seal.Unit, ask []int, list []*unitKeys, errs []error, err error) {
	if len(ask) == 1 || problem.KindOf(err) == problem.Unavailable {
		fail(errs, ask, err)
		return
	}
	for _, i := range ask {
		errs[i] = nil
		c.askUnits(ctx, units, []int{i}, list, errs)
	}
}

func fail(errs []error, places []int, err error) {
	for _, i := range places {
		errs[i] = err
	}
}

func parseKeys(u seal.Unit, court, custodian record.UnitKey) (keys *unitKeys, err error) {
	keys = &unitKeys{unit: u}
	if keys.court, err = seal.ParsePublicKey(court.Key); err != nil {
		return nil, err
	}
	if keys.custodian, err = seal.ParsePublicKey(custodian.Key); err != nil {
		return nil, err
	}
	keys.find, err = seal.ParsePublicKey(court.FindKey)
	return keys, err
}

// unitKeys asks one keyholder for the units at the places and checks that it answers for just these. errs gets what it refused.
func (c *Collector) unitKeys(ctx context.Context, role seal.Role, units []seal.Unit, ask []int, errs []error) (map[seal.Unit]record.UnitKey, error) {
	if err := c.call("unit"); err != nil {
		return nil, err
	}
	var asks []wire.UnitAsk
	for _, i := range ask {
		u := units[i]
		asks = append(asks, wire.UnitAsk{Chain: record.Digest(u.Order).String(), Classification: u.Classification, Compartment: u.Compartment, Week: u.Week})
	}
	raw, refused, err := c.keyholder(role).Units(ctx, asks...)
	if err != nil {
		return nil, err
	}
	keys, err := record.OpenUnitKeys(raw, c.trust, c.cfg.Fingerprint, string(role), c.cfg.Now())
	if err != nil {
		return nil, err
	}
	answers := map[seal.Unit]record.UnitKey{}
	for _, k := range keys {
		answers[seal.Unit{Order: k.Chain, Week: k.Week, Compartment: k.Compartment, Classification: k.Classification}] = k
	}
	for n, i := range ask {
		if refused[n] != nil {
			errs[i] = refused[n]
		} else if _, ok := answers[units[i]]; !ok {
			return nil, problem.New(problem.Denied, "the %s keyholder answered with the key of another unit; ask again", string(role))
		}
	}
	return answers, nil
}

// pause waits, or gives up with ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return problem.Wrap(problem.Unavailable, ctx.Err(), "stopped before it was done; nothing was lost, run it again")
	}
}
