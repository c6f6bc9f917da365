package collector

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"slices"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// maxClosed bounds the list of closed units that is read: some 300 bytes each.
const maxClosed = 64 << 20

// CloseUnits says for this collector that nothing more of an order's units will come, of one week's or, with week "", of all. From then on it seals nothing
// in them: the word is on disk before it is given. Both keyholders get it; giving it again is nothing. The units of the clerk's copies are closed for
// themselves, with clerk: copies are still made when all else of an order has come. Errors: problem.Conflict while recordings of such a unit
// wait in the spool.
func (c *Collector) CloseUnits(ctx context.Context, chain record.Digest, week string, clerk bool) ([]seal.Unit, error) {
	c.sealing.Lock()
	defer c.sealing.Unlock()
	if c.broken != nil {
		return nil, c.broken
	}
	units, err := c.unitsOfChain(ctx, chain, week)
	if err != nil {
		return nil, err
	}
	units = slices.DeleteFunc(units, func(u seal.Unit) bool { return clerk != (u.Compartment == record.ClerkCompartment) })
	for _, e := range c.waiting() {
		if slices.ContainsFunc(e.units, func(u seal.Unit) bool { return slices.Contains(units, u) }) {
			return nil, problem.New(problem.Conflict, "recordings of this order wait in the spool; send them first, with arca spool --flush, and close when nothing waits")
		}
	}
	for _, u := range units {
		statement, err := c.closeUnit(u)
		if err != nil {
			return nil, err
		}
		for _, role := range []seal.Role{seal.Court, seal.Custodian} {
			if err := c.call("close unit"); err != nil {
				return nil, err
			}
			err := c.keyholder(role).CloseUnit(ctx, statement)
			if err != nil && problem.KindOf(err) != problem.NotFound { // it has no keys of the unit, so nothing to close
				return nil, err
			}
		}
	}
	return units, nil
}

// unitsOfChain lists the units that a keyholder has keys of, and those in which this collector has sealed.
func (c *Collector) unitsOfChain(ctx context.Context, chain record.Digest, week string) ([]seal.Unit, error) {
	var units []seal.Unit
	add := func(u seal.Unit) {
		if u.Order == chain && (week == "" || u.Week == week) && !slices.Contains(units, u) {
			units = append(units, u)
		}
	}
	for _, role := range []seal.Role{seal.Court, seal.Custodian} {
		raws, err := c.keyholder(role).UnitKeys(ctx, chain)
		if err != nil {
			return nil, err
		}
		for _, raw := range raws {
			keys, err := record.OpenUnitKeys(raw, c.trust, c.cfg.Fingerprint, string(role), c.cfg.Now())
			if err != nil {
				return nil, err
			}
			for _, key := range keys {
				add(seal.Unit{Order: key.Chain, Week: key.Week, Compartment: key.Compartment, Classification: key.Classification})
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for u := range c.heads {
		add(u)
	}
	for u := range c.closed {
		add(u) // the word may not have reached both
	}
	slices.SortFunc(units, func(a, b seal.Unit) int { return bytes.Compare(a.Bytes(), b.Bytes()) })
	return units, nil
}

// closeUnit gives the signed word on a unit, the one from before if there is one. It is durable when closeUnit returns.
func (c *Collector) closeUnit(u seal.Unit) (string, error) {
	c.mu.Lock()
	before, known := c.closed[u]
	last := c.heads[u].statement
	c.mu.Unlock()
	if known {
		return before, nil
	}
	word := record.Closed{
		Audience: c.cfg.Fingerprint, Chain: u.Order, Classification: u.Classification, Compartment: u.Compartment, Issued: record.Second(c.cfg.Now()), Number: last.Number, Week: u.Week,
	}
	rand.Read(word.Nonce[:]) // never fails (crypto/rand)
	if last.Number > 0 {
		word.Statement = last.Hash()
	}
	statement, err := record.Sign(c.cfg.Signer, record.TypeClosed, word.Issued, word)
	if err != nil {
		return "", err
	}
	if err := c.disk.appendLine(c.path(closedFile), []byte(statement)); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed[u] = statement
	return statement, nil
}

// readClosed reads which units are closed. A line that a crash cut short was given to nobody.
func (c *Collector) readClosed() error {
	c.closed = map[seal.Unit]string{}
	info, err := os.Stat(c.path(closedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.Size() > maxClosed {
		return spoolFailed(errors.Join(err, errors.New("list of closed units")))
	}
	raw, err := os.ReadFile(c.path(closedFile))
	if err != nil {
		return spoolFailed(err)
	}
	for line := range bytes.Lines(raw) {
		var word record.Closed
		statement := string(bytes.TrimSpace(line))
		if _, err := record.Open(statement, record.TypeClosed, c.cfg.Signer.Public(), &word); err != nil {
			continue
		}
		u := seal.Unit{Order: word.Chain, Week: word.Week, Compartment: word.Compartment, Classification: word.Classification}
		if _, known := c.closed[u]; !known {
			c.closed[u] = statement
		}
	}
	return nil
}

// refuseClosed refuses to seal in a unit of which this collector has said that nothing more will come.
func (c *Collector) refuseClosed(u seal.Unit) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, closed := c.closed[u]; closed {
		return problem.New(problem.Gone, "this collector has closed the unit of that week and order; nothing more is sealed in it")
	}
	return nil
}
