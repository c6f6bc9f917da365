package collector

import (
	"context"
	"slices"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// tellAll tells both keyholders where the batches of proven packs lie, and gives the packs of which that is done: only they leave the spool. A keyholder
// that will not have it does not hold up the spool; one that cannot be reached does.
func (c *Collector) tellAll(ctx context.Context, proven []*entry) (told []*entry, first error) {
	for _, e := range proven {
		if !e.at.Told {
			done, err := c.tell(ctx, e)
			if first == nil {
				first = err
			}
			if !done {
				continue
			}
			if err := c.advance(e, func(p *progress) { p.Told = true }); err != nil {
				return told, err
			}
		}
		told = append(told, e)
	}
	return told, first
}

// tell does it for the batches that end in one pack; done is false while a pack of theirs is not proven yet.
func (c *Collector) tell(ctx context.Context, e *entry) (done bool, err error) {
	if len(e.units) == 0 {
		return true, nil
	}
	side, err := c.sidecar(e.number)
	if err != nil {
		return false, err
	}
	issued, err := c.provenAt(e)
	if err != nil {
		return false, err
	}
	for _, line := range side.Batches {
		if line.Act != "" {
			continue // a reader's: collectors alone say where batches lie
		}
		statements, err := c.deposited(e, line, issued)
		if err != nil || statements == nil {
			return false, err
		}
		for _, raw := range statements {
			if err := c.fileBoth(ctx, raw); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

func (c *Collector) fileBoth(ctx context.Context, statement string) error {
	for _, role := range []seal.Role{seal.Court, seal.Custodian} {
		if err := c.call("deposited"); err != nil {
			return err
		}
		if err := c.keyholder(role).FileAct(ctx, statement); problem.KindOf(err) == problem.Unavailable && err != nil {
			return err
		}
	}
	return nil
}

// provenAt is the earliest cosignature on the checkpoint that proved a pack. The statement is dated by it, so that a repetition is the same statement.
func (c *Collector) provenAt(e *entry) (at ledger.Checkpoint, err error) {
	proof, err := ledger.ParseProof([]byte(e.at.Proof))
	if err != nil {
		return at, err
	}
	return c.verifier.Verify(proof.Checkpoint)
}

// deposited signs where a batch lies; nil while one of its packs is not proven yet.
func (c *Collector) deposited(e *entry, line batchLine, at ledger.Checkpoint) ([]string, error) {
	note, err := line.note(seal.Court)
	if err != nil {
		return nil, err
	}
	numbers := []uint64{e.number} // its descriptors lie there
	for _, rec := range line.Recordings {
		numbers = append(numbers, rec.Packs...)
	}
	slices.Sort(numbers)
	var packs []record.PackOpening
	for _, n := range slices.Compact(numbers) {
		p, ok, err := c.openingOf(n)
		if err != nil || !ok {
			return nil, err
		}
		packs = append(packs, p)
	}
	var list []string
	from := 0
	for some := range slices.Chunk(packs, record.MaxDeposited) {
		issued := record.Second(at.Earliest)
		raw, err := record.Sign(c.cfg.Signer, record.TypeDeposited, issued, record.Deposited{Audience: c.cfg.Fingerprint, Batch: record.ID(note.Statement.Batch),
			Chain: record.Digest(note.Statement.Unit.Order), From: from, Issued: issued, Packs: some, Statement: record.Digest(note.Statement.Hash())})
		if err != nil {
			return nil, err
		}
		list, from = append(list, raw), from+len(some)
	}
	return list, nil
}

// openingOf gives the opening of a proven pack, in the spool still or gone.
func (c *Collector) openingOf(n uint64) (p record.PackOpening, ok bool, err error) {
	c.mu.Lock()
	e := c.entries[n]
	c.mu.Unlock()
	if e != nil {
		return record.PackOpening{Event: e.at.Event, Random: e.at.Random}, e.at.Proven, nil
	}
	at, err := c.provenState(n)
	if problem.KindOf(err) == problem.Unavailable && err != nil {
		return p, false, nil
	}
	return record.PackOpening{Event: at.Event, Random: at.Random}, err == nil, err
}
