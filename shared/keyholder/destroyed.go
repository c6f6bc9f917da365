package keyholder

import (
	"context"
	"slices"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

// DestroyFor is Destroy for somebody who asks for it instead of waiting for the tick. It does nothing that the tick would not do.
func (k *Keyholder) DestroyFor(ctx context.Context, who Person) error {
	e := who.Enrolment
	if !e.Of(record.Judge) && !e.Of(record.Clerk) && !e.Of(record.Custodian) {
		return problem.New(problem.Denied, "judges, clerks and custodians ask for this; what may be destroyed is destroyed at the next tick anyway")
	}
	return k.Destroy(ctx)
}

// DestructionsOf shows a person whom the chain concerns what was ordered to be destroyed of it, and what became of that.
func (k *Keyholder) DestructionsOf(ctx context.Context, who Person, chain record.Digest) (wire.Destructions, error) {
	out := wire.Destructions{Destructions: []wire.Destruction{}}
	state, err := k.ShowChain(ctx, who, chain)
	if err != nil {
		return out, err
	}
	var head ringHead
	if _, err := k.read(ctx, ringHeadRow, &head); err != nil {
		return out, err
	}
	for _, m := range state.Members {
		if !destroys(&m.Order) {
			continue
		}
		one, err := k.destruction(ctx, head, pendingRow{chain, m.Hash})
		if err != nil {
			return out, err
		}
		out.Destructions = append(out.Destructions, one)
	}
	out.Backups, err = k.signBackups(ctx, k.now())
	return out, err
}

func (k *Keyholder) destruction(ctx context.Context, head ringHead, p pendingRow) (wire.Destruction, error) {
	out := wire.Destruction{Decision: p.Decision.String(), State: record.DestructionDue}
	var row destructionRow
	if _, err := k.read(ctx, destructionName(p.Decision), &row); err != nil {
		return out, err
	}
	if row.Done > 0 {
		return k.certified(ctx, out, row)
	}
	if slices.Contains(head.Jobs, p.Decision) {
		out.State, out.Recordings = record.DestructionRuns, row.Losses.Recordings
		return out, nil
	}
	j, err := k.agree(ctx, p)
	if err == nil {
		out.Recordings = j.sum.Recordings
		return out, nil
	}
	if problem.KindOf(err) == problem.Internal {
		return out, err
	}
	out.State, out.Why = record.DestructionWaits, problem.MessageOf(err)
	return out, nil
}

// certified adds the event that has the certificate, with its proof.
func (k *Keyholder) certified(ctx context.Context, out wire.Destruction, row destructionRow) (wire.Destruction, error) {
	out.State, out.Recordings = record.DestructionDone, row.Losses.Recordings
	if err := k.post(ctx, row.Losses.Chain); err != nil {
		return out, err
	}
	lines, err := k.Journal(ctx, row.Losses.Chain, row.Done, 1)
	if err != nil {
		return out, err
	}
	if len(lines) == 0 {
		return out, lost(nil, "a certificate has no event")
	}
	event, err := k.logged(ctx, lines[0])
	out.Certificate = &event
	return out, err
}
