package keyholder

import (
	"context"
	"fmt"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

func depositedName(batch record.ID, from int) string {
	return fmt.Sprintf("deposited/%s/%d", batch, from)
}

// fileDeposited journals a collector's word on where a batch was stored. It is refused unless its author signed the batch, whose note is on file here; a
// report gives nothing to anybody, so its author need not be in service any more. Filing it again changes nothing. That the log holds
// the packs' entries is not looked at: whoever reads the journal proves it.
func (k *Keyholder) fileDeposited(ctx context.Context, raw string) error {
	trust, err := k.Trust(ctx)
	if err != nil {
		return err
	}
	peek, err := peekAs(raw, record.TypeDeposited)
	if err != nil {
		return err
	}
	author, found, err := k.everEnrolled(ctx, peek.Author)
	if err != nil {
		return err
	}
	if !found {
		return record.Unknown(nil)
	}
	var d record.Deposited
	st, err := record.OpenKnown(raw, record.TypeDeposited, author.Enrolment.Key, &d)
	if err != nil {
		return err
	}
	if err := d.Validate(); err != nil {
		return err
	}
	if err := trust.addressed(d.Audience); err != nil {
		return err
	}
	if err := k.sealedBy(ctx, &d, author); err != nil {
		return err
	}
	return k.act(ctx, d.Chain, func(c *change) error {
		name := depositedName(d.Batch, d.From)
		var before record.Digest
		found, err := c.load(name, &before)
		if err != nil || found && before == st.Hash {
			return err
		}
		if found {
			return problem.New(problem.Conflict, "another deposit of this batch is on file already")
		}
		if err := c.put(name, st.Hash); err != nil {
			return err
		}
		_, err = c.journal(d.Chain, record.EventDeposited, record.StatementEvent{By: author.ID, Enrolment: author.Enrolled, Statement: raw})
		return err
	})
}

// sealedBy refuses a deposit of a batch that somebody else signed, or of another order.
func (k *Keyholder) sealedBy(ctx context.Context, d *record.Deposited, author Person) error {
	note, err := k.note(ctx, d.Batch)
	if err != nil {
		return err
	}
	if note == nil {
		return problem.New(problem.NotFound, "the batch's note is not on file here; file it first")
	}
	if record.Digest(note.Statement.Hash()) != d.Statement || record.Digest(note.Statement.Unit.Order) != d.Chain || note.Statement.Collector != seal.NewCollectorID(author.Enrolment.Key.Ed25519()) {
		return problem.New(problem.Denied, "the deposit is of another batch, or of one that somebody else sealed")
	}
	return nil
}
