package keyholder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// unitRow is what a keyholder knows of a unit; its secrets are in the ring.
type unitRow struct {
	Unit   []byte         `json:"unit"` // seal.Unit bytes
	Page   int            `json:"page"` // ring page of the unit seed
	Public record.UnitKey `json:"public"`
	Find   int            `json:"find,omitzero"`   // ring page of the find secret, 0 until it is known
	Closed bool           `json:"closed,omitzero"` // as in filedRow
}

// filedRow is how far a unit was filled. It stands beside the unit's row, so that a note does not write the unit's keys again, and exists from
// the unit's beginning.
type filedRow struct {
	Batches int64 `json:"batches"`         // notes filed
	Closed  bool  `json:"closed,omitzero"` // no collector will add to it
}

func unitID(u seal.Unit) record.Digest { return sha256.Sum256(u.Bytes()) }

func unitName(u seal.Unit) string          { return "unit/" + unitID(u).String() }
func filedName(u seal.Unit) string         { return "filed/" + unitID(u).String() }
func unitsName(chain record.Digest) string { return "units/" + chain.String() }
func seedName(u seal.Unit) secretName      { return nameSecret("seed", u.Bytes()) }
func findName(u seal.Unit) secretName      { return nameSecret("find", u.Bytes()) }
func unitOf(r *record.Request) seal.Unit {
	return seal.Unit{Order: r.Chain, Week: r.Week, Compartment: r.Compartment, Classification: r.Classification}
}
func unitOfKey(r record.UnitKey) seal.Unit {
	return seal.Unit{Order: r.Chain, Week: r.Week, Compartment: r.Compartment, Classification: r.Classification}
}

// maxUnits is how many units one chain may have: 18 months of weeks in every compartment, twice over.
const maxUnits = 400

// EnsureUnits makes this keyholder's keys of units if they do not exist, completes them with what the other keyholder has
// published by now, and gives the signed public keys of up to record.MaxUnitKeys units. It is safe to run at any time and any number of
// times. A unit must lie within what its chain in force covers: refused has why one has no keys, nil for those in the statement. When there is
// none, the error is the first of these.
func (k *Keyholder) EnsureUnits(ctx context.Context, units ...seal.Unit) (statement string, refused []error, err error) {
	if err := distinct(units, record.MaxUnitKeys); err != nil {
		return "", nil, err
	}
	rows, refused, err := k.ensureUnits(ctx, units)
	if err != nil {
		return "", nil, err
	}
	var list []unitRow
	for i, row := range rows {
		if refused[i] == nil {
			row.Public.SealedFind = nil // nothing to a collector
			list = append(list, row)
		}
	}
	if len(list) == 0 {
		return "", nil, refused[0]
	}
	statement, err = k.signUnits(ctx, list)
	return statement, refused, err
}

// ensureUnits gives the row of each unit or why there is none. What exists and is complete, as units are once a week is under way, is
// only read, all at once.
func (k *Keyholder) ensureUnits(ctx context.Context, units []seal.Unit) (rows []unitRow, refused []error, err error) {
	var chains []record.Digest
	var names []string
	for _, u := range units {
		chains, names = append(chains, u.Order), append(names, unitName(u))
	}
	states, refused, err := k.readChains(ctx, chains)
	if err != nil {
		return nil, nil, err
	}
	known, err := readFound[unitRow](ctx, k, names)
	if err != nil {
		return nil, nil, err
	}
	rows = make([]unitRow, len(units))
	for i, u := range units {
		if refused[i] == nil {
			refused[i] = states[i].coversUnit(u, k.now())
		}
		rows[i] = known[names[i]]
		if rows[i].Closed && refused[i] == nil {
			refused[i] = problem.New(problem.Gone, "the unit is closed; nothing more is sealed in it")
		}
		if refused[i] == nil && !k.complete(rows[i]) {
			rows[i], refused[i] = k.ensureUnit(ctx, u)
		}
		if !refusesOne(refused[i]) {
			return nil, nil, refused[i]
		}
	}
	// A unit that an earlier call made may have been cut off before its event was posted.
	return rows, refused, k.post(ctx, chains...)
}

// ensureUnit makes and completes one unit that its chain covers.
func (k *Keyholder) ensureUnit(ctx context.Context, u seal.Unit) (row unitRow, err error) {
	if err := k.makeUnit(ctx, u); err != nil {
		return row, err
	}
	if err := k.completeUnit(ctx, u); err != nil {
		return row, err
	}
	_, err = k.read(ctx, unitName(u), &row)
	return row, err
}

// refusesOne tells what says something of one member of a group, from what says that the whole call failed. Nil is the former.
func refusesOne(err error) bool {
	if err == nil {
		return true
	}
	kind := problem.KindOf(err)
	return kind != problem.Unavailable && kind != problem.Internal
}

// coversUnit tells whether recordings that start in the unit's week can be of this chain. After the window has closed late
// deliveries still come, so what counts is that the chain is open.
func (c Chain) coversUnit(u seal.Unit, now time.Time) error {
	if err := c.Open(now); err != nil {
		return err
	}
	if err := u.Check(); err != nil {
		return err
	}
	if c.condemned(u.Compartment) {
		return problem.New(problem.Gone, "a judge ordered what was recorded under this order to be destroyed; nothing more is sealed under it")
	}
	if !knownCompartment(u.Compartment) || u.Classification != c.Classification {
		return problem.New(problem.Invalid, "the order has no such compartment or classification")
	}
	// Weeks in this form sort like time.
	first, last := seal.WeekOf(c.Capture.From), seal.WeekOf(c.Capture.Until.Add(-time.Second))
	if u.Week < first || u.Week > last {
		return problem.New(problem.Denied, "the order's window does not reach that week")
	}
	return nil
}

func (k *Keyholder) makeUnit(ctx context.Context, u seal.Unit) error {
	return k.act(ctx, u.Order, func(c *change) error {
		var row unitRow
		if found, err := c.load(unitName(u), &row); err != nil || found {
			return err
		}
		var list [][]byte
		if _, err := c.load(unitsName(u.Order), &list); err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(b []byte) bool { return bytes.Equal(b, u.Bytes()) }) {
			return lost(nil, "a listed unit has no row")
		}
		if len(list) >= maxUnits {
			return problem.New(problem.Invalid, "the order has %d units already; no lawful order needs more", maxUnits)
		}
		row, kept, err := k.newUnit(u)
		if err != nil {
			return err
		}
		if row.Page, err = c.keep(kept...); err != nil {
			return err
		}
		if k.cfg.Party == seal.Court {
			row.Find = row.Page
		}
		if err := c.put(unitsName(u.Order), append(list, u.Bytes())); err != nil {
			return err
		}
		if _, err := c.journal(u.Order, record.EventUnit, map[string]record.Digest{"unit": unitID(u)}); err != nil {
			return err
		}
		if _, err := c.loadBytes(filedName(u)); err != nil {
			return err
		}
		if err := c.put(filedName(u), filedRow{}); err != nil {
			return err
		}
		return c.put(unitName(u), row)
	})
}

// newUnit draws the unit's seed, at the court the find secret too, and derives the public keys.
func (k *Keyholder) newUnit(u seal.Unit) (unitRow, []secret, error) {
	seed := seal.NewSeed()
	key, err := seal.NewUnitKey(seed)
	if err != nil {
		return unitRow{}, nil, err
	}
	row := unitRow{Unit: u.Bytes(), Public: record.UnitKey{
		Chain: u.Order, Classification: u.Classification, Compartment: u.Compartment, Key: key.PublicKey().Bytes(), Week: u.Week,
	}}
	kept := []secret{{seedName(u), seed}}
	if k.cfg.Party == seal.Court {
		find := seal.NewSeed()
		findKey, err := seal.NewUnitKey(find)
		if err != nil {
			return unitRow{}, nil, err
		}
		row.Public.FindKey = findKey.PublicKey().Bytes()
		kept = append(kept, secret{findName(u), find})
	}
	return row, kept, nil
}

// completeUnit exchanges the find secret: the court seals it to the custodian's unit key, the custodian opens it and keeps it in
// its ring. What the other side has not published yet is simply done at the next call.
func (k *Keyholder) completeUnit(ctx context.Context, u seal.Unit) error {
	var row unitRow
	if _, err := k.read(ctx, unitName(u), &row); err != nil {
		return err
	}
	if k.complete(row) {
		return nil
	}
	peer, found, err := k.peerUnit(ctx, u)
	if err != nil || !found {
		return err
	}
	if k.cfg.Party == seal.Court {
		return k.sealFindTo(ctx, u, row, peer)
	}
	if len(peer.SealedFind) == 0 {
		return nil
	}
	return k.keepFind(ctx, u, row, peer)
}

// complete tells whether there is nothing left to exchange with the other keyholder.
func (k *Keyholder) complete(r unitRow) bool {
	return r.Find > 0 && (k.cfg.Party == seal.Custodian || len(r.Public.SealedFind) > 0)
}

// peerUnit looks a unit up in the other keyholder's signed list.
func (k *Keyholder) peerUnit(ctx context.Context, u seal.Unit) (record.UnitKey, bool, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return record.UnitKey{}, false, err
	}
	list, err := k.voice().peer.UnitKeys(ctx, u.Order)
	if err != nil {
		if kind := problem.KindOf(err); kind == problem.NotFound || kind == problem.Unavailable {
			return record.UnitKey{}, false, nil // the other side has not admitted the order yet, or cannot be reached now
		}
		return record.UnitKey{}, false, err
	}
	for _, raw := range list {
		keys, err := record.OpenUnitKeys(raw, &trust.Trust, trust.Hash, string(k.other()), k.cfg.Now())
		if err != nil {
			return record.UnitKey{}, false, err
		}
		if i := slices.IndexFunc(keys, func(key record.UnitKey) bool { return unitOfKey(key) == u }); i >= 0 {
			return keys[i], true, nil
		}
	}
	return record.UnitKey{}, false, nil
}

func (k *Keyholder) sealFindTo(ctx context.Context, u seal.Unit, row unitRow, peer record.UnitKey) error {
	kept, err := k.pages(ctx, []int{row.Find})
	defer kept.forget()
	if err != nil {
		return err
	}
	find, err := kept.take(row.Find, findName(u))
	if err != nil {
		return err
	}
	custodian, err := seal.ParsePublicKey(peer.Key)
	if err != nil {
		return err
	}
	sealedFind, err := seal.HandFind(custodian, u, find)
	if err != nil {
		return err
	}
	return k.update(ctx, func(c *change) error {
		var now unitRow
		if _, err := c.load(unitName(u), &now); err != nil || k.complete(now) {
			return err
		}
		now.Public.SealedFind = sealedFind
		return c.put(unitName(u), now)
	})
}

func (k *Keyholder) keepFind(ctx context.Context, u seal.Unit, row unitRow, peer record.UnitKey) error {
	kept, err := k.pages(ctx, []int{row.Page})
	defer kept.forget()
	if err != nil {
		return err
	}
	seed, err := kept.take(row.Page, seedName(u))
	if err != nil {
		return err
	}
	key, err := seal.NewUnitKey(seed)
	if err != nil {
		return err
	}
	find, err := seal.TakeFind(key, u, peer.SealedFind)
	if err != nil {
		return problem.Wrap(problem.Denied, err, "the court's find secret does not open; nothing was stored")
	}
	findKey, err := seal.NewUnitKey(find)
	if err != nil || !bytes.Equal(findKey.PublicKey().Bytes(), peer.FindKey) {
		return problem.Wrap(problem.Denied, err, "the court's find secret does not belong to its find key; nothing was stored")
	}
	return k.update(ctx, func(c *change) error {
		var now unitRow
		if _, err := c.load(unitName(u), &now); err != nil || k.complete(now) {
			return err
		}
		page, err := c.keep(secret{findName(u), find})
		if err != nil {
			return err
		}
		// In the custodian's signed list this says: this keyholder holds the find secret too.
		now.Find, now.Public.FindHeld = page, record.HashBytes(peer.FindKey)
		return c.put(unitName(u), now)
	})
}

func (k *Keyholder) signUnits(ctx context.Context, rows []unitRow) (string, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return "", err
	}
	list := record.UnitKeys{Audience: trust.Hash, Issued: k.now(), Party: string(k.cfg.Party)}
	for _, row := range rows {
		list.Keys = append(list.Keys, row.Public)
	}
	return record.Sign(k.voice().signer, record.TypeUnitKeys, k.now(), list)
}

// UnitKeys gives the signed public keys of every unit of a chain that is still open, record.MaxUnitKeys to a statement.
func (k *Keyholder) UnitKeys(ctx context.Context, chain record.Digest) ([]string, error) {
	if _, err := k.chain(ctx, chain); err != nil {
		return nil, err
	}
	rows, err := k.unitRows(ctx, chain)
	if err != nil {
		return nil, err
	}
	if rows, err = k.stillOpen(ctx, rows); err != nil {
		return nil, err
	}
	var list []string
	for some := range slices.Chunk(rows, record.MaxUnitKeys) {
		raw, err := k.signUnits(ctx, some)
		if err != nil {
			return nil, err
		}
		list = append(list, raw)
	}
	return list, nil
}

// stillOpen leaves out units that are closed.
func (k *Keyholder) stillOpen(ctx context.Context, rows []unitRow) (open []unitRow, err error) {
	var names []string
	for _, row := range rows {
		names = append(names, filedName(unitOfKey(row.Public)))
	}
	filed, err := readMany[filedRow](ctx, k, names)
	if err != nil {
		return nil, err
	}
	for i, row := range rows {
		if !filed[i].Closed {
			open = append(open, row)
		}
	}
	return open, nil
}

func (k *Keyholder) unitRows(ctx context.Context, chain record.Digest) ([]unitRow, error) {
	var list [][]byte
	if _, err := k.read(ctx, unitsName(chain), &list); err != nil {
		return nil, err
	}
	var names []string
	for _, b := range list {
		u, err := seal.ParseUnit(b)
		if err != nil {
			return nil, err
		}
		names = append(names, unitName(u))
	}
	return readMany[unitRow](ctx, k, names)
}

// RefreshUnits is the units function's weekly and on-admission job: for every chain in force it makes the units of this
// week and the next, completes what is incomplete, and posts events that the log has not yet. Running it twice equals once.
// recent limits it to the chains admitted last, which is what an admission asks for; the weekly run takes all.
func (k *Keyholder) RefreshUnits(ctx context.Context, recent bool) error {
	chains, err := k.Chains(ctx)
	if err != nil {
		return err
	}
	if recent {
		chains = chains[max(0, len(chains)-recentChains):]
	}
	now := k.now()
	for _, chain := range chains {
		if err := k.post(ctx, chain); err != nil {
			return err
		}
		state, err := k.chain(ctx, chain)
		if err != nil {
			return err
		}
		for _, week := range []string{seal.WeekOf(now), seal.WeekOf(now.AddDate(0, 0, 7))} {
			u := seal.Unit{Order: chain, Week: week, Compartment: record.MainCompartment, Classification: state.Classification}
			if state.coversUnit(u, now) != nil {
				continue // not in force, or its window does not reach that week
			}
			if _, _, err := k.EnsureUnits(ctx, u); err != nil {
				return err
			}
		}
	}
	return nil
}

// recentChains is how many chains the run after an admission looks at: more than are admitted while one run lasts.
const recentChains = 4

func knownCompartment(s string) bool { return slices.Contains(record.Compartments, s) }
