package keyholder

import (
	"context"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// keepsCopies holds a decision against what the statute wants to stay: before a recording goes, a copy of it lies in the compartment that the
// profile names, and can be opened there. Errors: problem.Conflict with how many lack one.
func (k *Keyholder) keepsCopies(ctx context.Context, j *job, d law.Doomed, at time.Time) error {
	if d.Keeps == "" {
		return nil
	}
	lack, err := k.uncopied(ctx, j, d.Keeps, at)
	if err != nil || lack == 0 {
		return err
	}
	return problem.New(problem.Conflict, "%d recordings have no copy in the compartment %s, where one stays (%s); the clerk makes them: arca reseal ID --to %s; what lies in the privileged compartment the judge decides on first",
		lack, d.Keeps, d.KeepsBy, d.Keeps)
}

// uncopied counts the recordings that a decision takes and that leave no copy in a compartment. What the judge excluded or ordered deleted needs none; nor
// does what people made of a recording: the copy is of the recording itself.
func (k *Keyholder) uncopied(ctx context.Context, j *job, compartment string, at time.Time) (int, error) {
	stays, err := k.openable(ctx, j.chain.Hash, compartment)
	if err != nil {
		return 0, err
	}
	judged, err := k.facts(ctx, j.chain, Person{}, nil, at)
	if err != nil {
		return 0, err
	}
	var goes []record.Reference
	for _, l := range j.list {
		goes = append(goes, l.goes...)
	}
	all, err := k.derivations(ctx, goes)
	if err != nil {
		return 0, err
	}
	made := map[record.Reference]bool{}
	for _, list := range all {
		for _, ref := range list {
			made[ref] = true
		}
	}
	lack := 0
	for _, ref := range goes {
		if !made[ref] && !judged.hidden[ref] && !all.reach(ref, stays) {
			lack++
		}
	}
	return lack, nil
}

// openable lists the recordings of a chain's compartment whose halves this keyholder has.
func (k *Keyholder) openable(ctx context.Context, chain record.Digest, compartment string) (map[record.Reference]bool, error) {
	rows, err := k.unitRows(ctx, chain)
	if err != nil {
		return nil, err
	}
	there := map[record.Reference]bool{}
	for _, row := range rows {
		u := unitOfKey(row.Public)
		if u.Compartment != compartment {
			continue
		}
		l, _, err := k.lossOf(ctx, u, row, nil)
		if err != nil {
			return nil, err
		}
		for _, ref := range l.goes {
			there[ref] = true
		}
	}
	return there, nil
}

// reach tells whether one of these was made of a recording, or of what was made of it. In the clerk's compartment that is a copy, or a note on one, which
// goes with it.
func (all derivations) reach(of record.Reference, these map[record.Reference]bool) bool {
	seen := map[record.Reference]bool{}
	for next := all[of]; len(next) > 0; next = next[1:] {
		if these[next[0]] {
			return true
		}
		if !seen[next[0]] {
			seen[next[0]] = true
			next = append(next[:1:1], append(next[1:], all[next[0]]...)...)
		}
	}
	return false
}
