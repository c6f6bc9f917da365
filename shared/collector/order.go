package collector

import (
	"bytes"
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

func (c *Collector) order(ctx context.Context, chain record.Digest) (*order, error) {
	c.orders.mu.Lock()
	known := c.orders.orders[chain]
	c.orders.mu.Unlock()
	if known != nil && known.fresh(c.cfg.Now()) {
		return known, nil
	}
	o, err := c.askOrder(ctx, chain)
	if err != nil {
		return nil, err
	}
	c.orders.mu.Lock()
	defer c.orders.mu.Unlock()
	if c.orders.orders == nil || len(c.orders.orders) > 4096 {
		c.orders.orders = map[record.Digest]*order{}
	}
	c.orders.orders[chain] = o
	return o, nil
}

func (o *order) fresh(now time.Time) bool {
	age := now.Sub(o.at)
	return age >= 0 && age < statusFor
}

// askOrder demands both keyholders' status over fresh nonces, equal and in force, and reads the chain whose head and stops
// they name. Errors: problem.Denied and problem.NotFound when nothing may be sealed under it, problem.Conflict
// when the keyholders differ.
func (c *Collector) askOrder(ctx context.Context, chain record.Digest) (*order, error) {
	at := c.cfg.Now() // before the question: the answer is at least as new
	court, err := c.status(ctx, seal.Court, chain)
	if err != nil {
		return nil, err
	}
	custodian, err := c.status(ctx, seal.Custodian, chain)
	if err != nil {
		return nil, err
	}
	if court.State != law.InForce || custodian.State != law.InForce {
		return nil, notInForce(court.State, custodian.State)
	}
	if !court.Agrees(custodian) {
		return nil, problem.New(problem.Conflict, "court and custodian hold different states of this order, of its people or of what was destroyed; nothing is sealed under it until both have admitted the same")
	}
	if err := c.call("order"); err != nil {
		return nil, err
	}
	shown, err := c.cfg.Court.Order(ctx, chain)
	if err != nil {
		return nil, err
	}
	state, err := c.readChain(chain, court, shown.Members)
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
		case law.Suspended:
			return problem.New(problem.Denied, "the order is suspended; nothing is sealed under it until the judge resumes it")
		case law.Lapsed:
			return problem.New(problem.Denied, "access under the order has ended; nothing is sealed under it")
		}
	}
	return problem.New(problem.Denied, "the order is not in force at both keyholders; nothing is sealed under it until both have admitted it")
}

// status asks one keyholder and checks its answer.
func (c *Collector) status(ctx context.Context, role seal.Role, chain record.Digest) (record.Status, error) {
	var nonce record.ID
	rand.Read(nonce[:]) // never fails (crypto/rand)
	if err := c.call("status"); err != nil {
		return record.Status{}, err
	}
	raw, err := c.keyholder(role).Status(ctx, chain, nonce)
	if err != nil {
		return record.Status{}, err
	}
	var s record.Status
	if _, err := record.Open(raw, record.TypeStatus, c.trust.Party(string(role)).Online, &s); err != nil {
		return s, err
	}
	if s.Nonce != nonce || s.Chain != chain || s.Party != string(role) || s.Audience != c.cfg.Fingerprint {
		return s, problem.New(problem.Denied, "the %s keyholder answered with the status of another question; ask again", string(role))
	}
	if d := c.cfg.Now().Sub(s.Issued); d > maxSkew || d < -maxSkew {
		return s, problem.New(problem.Unavailable, "the %s keyholder's clock and this machine's differ by more than five minutes; set the clock that is wrong", string(role))
	}
	return s, nil
}

// readChain works out the chain's state from its members as the court shows them. Every member on the way to the head is
// bound by the head's hash through its predecessors, and every revocation, suspension and resumption by the digest
// of stops: both keyholders signed these, after each had verified the judges' signatures.
func (c *Collector) readChain(chain record.Digest, status record.Status, raws []string) (law.State, error) {
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
	sorted := slices.SortedFunc(slices.Values(set), func(a, b record.Digest) int { return slices.Compare(a[:], b[:]) })
	h := sha256.New()
	for _, d := range slices.Compact(sorted) {
		h.Write(d[:])
	}
	return record.Digest(h.Sum(nil))
}

// unit gets a unit's public keys from both keyholders and checks them.
func (c *Collector) unit(ctx context.Context, u seal.Unit) (*unitKeys, error) {
	c.orders.mu.Lock()
	known := c.orders.units[u]
	c.orders.mu.Unlock()
	if known != nil {
		return known, nil
	}
	keys, err := c.askUnit(ctx, u)
	if err != nil {
		return nil, err
	}
	c.orders.mu.Lock()
	defer c.orders.mu.Unlock()
	if c.orders.units == nil || len(c.orders.units) > 4096 {
		c.orders.units = map[seal.Unit]*unitKeys{}
	}
	c.orders.units[u] = keys
	return keys, nil
}

// askUnit asks both keyholders in turn until both name one find key: the custodian does so once it has opened and kept
// the find secret that the court sealed to it. Before that, what is sealed could not be found through one of them.
func (c *Collector) askUnit(ctx context.Context, u seal.Unit) (*unitKeys, error) {
	for try := range unitTries {
		court, err := c.unitKey(ctx, seal.Court, u)
		if err != nil {
			return nil, err
		}
		custodian, err := c.unitKey(ctx, seal.Custodian, u)
		if err != nil {
			return nil, err
		}
		if len(court.SealedFind) > 0 && len(court.FindKey) > 0 && bytes.Equal(court.FindKey, custodian.FindKey) {
			return parseKeys(u, court, custodian)
		}
		if err := pause(ctx, time.Duration(try*try)*50*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return nil, problem.New(problem.Unavailable, "court and custodian have not exchanged the week's find key yet; they do so by themselves, try again in a minute")
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

func (c *Collector) unitKey(ctx context.Context, role seal.Role, u seal.Unit) (record.UnitKey, error) {
	if err := c.call("unit"); err != nil {
		return record.UnitKey{}, err
	}
	raw, err := c.keyholder(role).Unit(ctx, wire.UnitAsk{
		Chain: record.Digest(u.Order).String(), Classification: u.Classification, Compartment: u.Compartment, Week: u.Week})
	if err != nil {
		return record.UnitKey{}, err
	}
	var k record.UnitKey
	if _, err := record.Open(raw, record.TypeUnitKey, c.trust.Party(string(role)).Online, &k); err != nil {
		return k, err
	}
	asked := k.Chain == record.Digest(u.Order) && k.Week == u.Week && k.Compartment == u.Compartment && k.Classification == u.Classification
	if !asked || k.Party != string(role) || k.Audience != c.cfg.Fingerprint {
		return k, problem.New(problem.Denied, "the %s keyholder answered with the key of another unit; ask again", string(role))
	}
	return k, nil
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
