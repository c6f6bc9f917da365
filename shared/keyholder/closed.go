package keyholder

import (
	"context"
	"errors"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// closingsRow has who has said that nothing more of a unit will come.
type closingsRow struct {
	Collectors []record.KeyID `json:"collectors"`
}

func closingsName(u seal.Unit) string { return "closings/" + unitID(u).String() }

func unitOfClosed(c record.Closed) seal.Unit {
	return seal.Unit{Order: c.Chain, Week: c.Week, Compartment: c.Compartment, Classification: c.Classification}
}

// CloseUnit takes a collector's word that it adds nothing more to a unit. From then on nothing of its is filed there; once every collector in service has
// said so, the unit is closed: its keys are given to nobody any more, and it can be destroyed. Filing the same again changes nothing.
// Errors: problem.Conflict when the collector's last batch is not the last one on file.
func (k *Keyholder) CloseUnit(ctx context.Context, raw string) error {
	trust, err := k.Trust(ctx)
	if err != nil {
		return err
	}
	var closed record.Closed
	_, author, err := k.openSigned(ctx, trust, raw, record.TypeClosed, &closed)
	if err != nil {
		return err
	}
	if !author.Enrolment.Of(record.Collector) {
		return problem.New(problem.Denied, "only an enrolled collector says that nothing more of a unit will come")
	}
	if err := errors.Join(trust.addressed(closed.Audience), closed.Validate()); err != nil {
		return err
	}
	collectors, err := k.collectors(ctx)
	if err != nil {
		return err
	}
	u := unitOfClosed(closed)
	return k.act(ctx, u.Order, func(c *change) error {
		if err := c.look(unitName(u), closingsName(u), authorName(u, author.ID), filedName(u), journalName(u.Order), "roster"); err != nil {
			return err
		}
		if found, err := c.load(unitName(u), &unitRow{}); err != nil {
			return err
		} else if !found {
			return problem.New(problem.NotFound, "this keyholder has no keys for that unit, so nothing of it can come")
		}
		if before, err := c.endFiling(u, author.ID, closed); err != nil || before {
			return err
		}
		if err := c.closeFor(u, author.ID, collectors); err != nil {
			return err
		}
		_, err := c.journal(u.Order, record.EventClosed, record.StatementEvent{By: author.ID, Enrolment: author.Enrolled, Statement: raw})
		return err
	})
}

// endFiling marks a collector's place in a unit as its last. before tells that it was already.
func (c *change) endFiling(u seal.Unit, collector record.KeyID, closed record.Closed) (before bool, err error) {
	var last collectorRow
	if _, err := c.load(authorName(u, collector), &last); err != nil {
		return false, err
	}
	if last.Number != closed.Number || last.Statement != closed.Statement {
		return false, problem.New(problem.Conflict, "the collector's last batch of this unit is not the last one on file here; send what waits in the spool first")
	}
	if last.Closed {
		return true, nil
	}
	last.Closed = true
	return false, c.put(authorName(u, collector), last)
}

// closeFor adds a collector to those who have closed the unit, and closes it when they all have.
func (c *change) closeFor(u seal.Unit, collector record.KeyID, all []record.KeyID) error {
	var row closingsRow
	if _, err := c.load(closingsName(u), &row); err != nil {
		return err
	}
	row.Collectors = append(row.Collectors, collector)
	if err := c.put(closingsName(u), row); err != nil {
		return err
	}
	if !row.by(all) {
		return nil
	}
	return c.shut(u)
}

// shut closes a unit: nobody files in it, and its keys are given to nobody.
func (c *change) shut(u seal.Unit) error {
	var filed filedRow
	if found, err := c.load(filedName(u), &filed); err != nil || !found {
		return lost(err, "a unit has no count of its batches")
	}
	var unit unitRow
	if found, err := c.load(unitName(u), &unit); err != nil || !found {
		return lost(err, "a listed unit has no row")
	}
	filed.Closed, unit.Closed = true, true
	if err := c.put(unitName(u), unit); err != nil {
		return err
	}
	return c.put(filedName(u), filed)
}

// by tells whether all of them have closed.
func (r closingsRow) by(all []record.KeyID) bool {
	said := map[record.KeyID]bool{}
	for _, id := range r.Collectors {
		said[id] = true
	}
	for _, id := range all {
		if !said[id] {
			return false
		}
	}
	return len(all) > 0
}

// collectors lists the collectors in service.
func (k *Keyholder) collectors(ctx context.Context) ([]record.KeyID, error) {
	people, err := k.People(ctx)
	if err != nil {
		return nil, err
	}
	var list []record.KeyID
	for _, p := range people {
		if p.Enrolment.Of(record.Collector) && !p.Suspended && p.Enrolment.Expires.After(k.now()) {
			list = append(list, p.ID)
		}
	}
	return list, nil
}

// closeDeserted closes a unit for which every collector in service has said that nothing more comes, when the last one that had not was taken
// out of service since: then nobody's word closed it. It tells whether the unit is closed.
func (k *Keyholder) closeDeserted(ctx context.Context, u seal.Unit, collectors []record.KeyID) (bool, error) {
	closed := false
	err := k.update(ctx, func(c *change) error {
		closed = false
		var filed filedRow
		if found, err := c.load(filedName(u), &filed); err != nil || !found {
			return lost(err, "a unit has no count of its batches")
		}
		if closed = filed.Closed; closed {
			return nil
		}
		var row closingsRow
		if _, err := c.load(closingsName(u), &row); err != nil || !row.by(collectors) {
			return err
		}
		closed = true
		return c.shut(u)
	})
	return closed, err
}
