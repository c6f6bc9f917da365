package keyholder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// loss is what one unit loses by a decision, as this keyholder's notes have it.
type loss struct {
	unit  seal.Unit
	row   unitRow
	goes  []record.Reference // that exist, sorted
	stays []record.Reference // that exist, in the order of their notes; none: the unit goes whole
	seed  bool               // the unit's seed exists
}

func compareReferences(a, b record.Reference) int {
	if c := bytes.Compare(a.Batch[:], b.Batch[:]); c != 0 {
		return c
	}
	return bytes.Compare(a.Recording[:], b.Recording[:])
}

// destroys tells whether a member of a chain orders something to be destroyed.
func destroys(o *record.Order) bool {
	return o.Kind == record.Destruction || o.Kind == record.Compartment && o.Verdict == record.VerdictDelete
}

// losses works out what a decision takes from each unit of its chain. What an earlier decision took is not taken again.
func (k *Keyholder) losses(ctx context.Context, chain record.Digest, o *record.Order) ([]loss, error) {
	rows, err := k.unitRows(ctx, chain)
	if err != nil {
		return nil, err
	}
	named, err := k.namedUnits(ctx, chain, o.Recordings)
	if err != nil {
		return nil, err
	}
	var list []loss
	for _, row := range rows {
		u := unitOfKey(row.Public)
		if o.Step == record.OperationalCopies && u.Compartment == record.ClerkCompartment || o.Step == 0 && len(named[u]) == 0 {
			continue
		}
		l, exists, err := k.lossOf(ctx, u, row, named[u])
		if err != nil {
			return nil, err
		}
		if exists && (o.Step != 0 || len(l.goes) > 0) {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b loss) int { return bytes.Compare(a.row.Unit, b.row.Unit) })
	return list, nil
}

// named gives the recordings that a decision names with all that was made of them: notes, transcripts, copies in other compartments.
func (k *Keyholder) named(ctx context.Context, recordings []record.Reference) (map[record.Reference]bool, error) {
	all := map[record.Reference]bool{}
	for _, ref := range recordings {
		all[ref] = true
	}
	return all, k.withDerived(ctx, all)
}

// namedUnits sorts them by the units that hold them. Errors: problem.Conflict for one of the decision that is not on file; of what was made of
// one only the act may be on file yet.
func (k *Keyholder) namedUnits(ctx context.Context, chain record.Digest, recordings []record.Reference) (map[seal.Unit]map[record.Reference]bool, error) {
	units := map[seal.Unit]map[record.Reference]bool{}
	all, err := k.named(ctx, recordings)
	if err != nil {
		return nil, err
	}
	for ref := range all {
		note, err := k.note(ctx, ref.Batch)
		if err != nil {
			return nil, err
		}
		missing := note == nil || note.Statement.Unit.Order != chain
		if !missing {
			_, member := note.Member(seal.RecordingID(ref.Recording))
			missing = !member
		}
		if missing && !slices.Contains(recordings, ref) {
			continue
		}
		if missing {
			return nil, problem.New(problem.Conflict, "the decision names a recording that is not on file here under its order; either its note is still to come, or the decision has a mistake: let the judge sign another one")
		}
		u := note.Statement.Unit
		if units[u] == nil {
			units[u] = map[record.Reference]bool{}
		}
		units[u][ref] = true
	}
	return units, nil
}

// lossOf splits what a unit still has into what goes and what stays; named nil takes all.
func (k *Keyholder) lossOf(ctx context.Context, u seal.Unit, row unitRow, named map[record.Reference]bool) (l loss, exists bool, err error) {
	l = loss{unit: u, row: row}
	numbers := []int{row.Page}
	if row.Find > 0 {
		numbers = append(numbers, row.Find)
	}
	pages, err := k.pages(ctx, numbers)
	defer pages.forget()
	if err != nil {
		return l, false, err
	}
	_, l.seed = pages.find(row.Page, seedName(u))
	_, find := pages.find(row.Find, findName(u))
	if !l.seed && !find {
		return l, false, nil
	}
	s := &unitSecrets{kept: map[record.ID]keptRow{}}
	err = k.eachNote(ctx, u, func(note *seal.Note) error {
		for _, m := range note.Members {
			ref := record.Reference{Batch: record.ID(note.Statement.Batch), Recording: record.ID(m.Recording)}
			if !l.seed {
				if there, err := k.exists(ctx, s, ref); err != nil {
					return err
				} else if !there {
					continue
				}
			}
			if named == nil || named[ref] {
				l.goes = append(l.goes, ref)
			} else {
				l.stays = append(l.stays, ref)
			}
		}
		return nil
	})
	slices.SortFunc(l.goes, compareReferences)
	return l, true, err
}

// sumLosses is the list that both keyholders sign. Set is
//
//	SHA-256(lp("arca/v1/destroyed") (lp(unit) uint32(n) n·(batch[16] ‖ recording[16]))…)
//
// over the units that lose recordings, by their bytes, the recordings of each by theirs. Units in which nothing was ever sealed are in nobody's list.
func sumLosses(chain, decision record.Digest, list []loss) record.Losses {
	out := record.Losses{Chain: chain, Decision: decision, Units: []record.UnitLoss{}}
	h := sha256.New()
	lp := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
		h.Write(b)
	}
	lp([]byte("arca/v1/destroyed"))
	for _, l := range list {
		if len(l.goes) == 0 {
			continue
		}
		lp(l.row.Unit)
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(l.goes))))
		for _, ref := range l.goes {
			h.Write(ref.Batch[:])
			h.Write(ref.Recording[:])
		}
		out.Recordings += len(l.goes)
		out.Units = append(out.Units, record.UnitLoss{
			Classification: l.unit.Classification, Compartment: l.unit.Compartment, Goes: len(l.goes), Kept: len(l.stays), Week: l.unit.Week,
		})
	}
	out.Set = record.Digest(h.Sum(nil))
	return out
}

// plan is what a new generation leaves out, and what it has in addition.
type plan struct {
	gone   map[secretName]bool
	halves []secret              // kept halves to add, in their places
	kept   map[record.ID]keptRow // new rows, by batch
}

// planOf works out what the losses mean for the ring. first is the page at which kept halves begin.
func (k *Keyholder) planOf(ctx context.Context, first int, list []loss) (*plan, error) {
	p := &plan{gone: map[secretName]bool{}, kept: map[record.ID]keptRow{}}
	for _, l := range list {
		// Neither the seed nor a batch's secret is ever written again, whatever stays of the unit.
		p.gone[seedName(l.unit)] = true
		if len(l.stays) == 0 {
			p.gone[findName(l.unit)] = true
		}
		if !l.seed {
			for _, ref := range l.goes {
				c := seal.ContextOf(seal.RecordingID(ref.Recording), seal.BatchID(ref.Batch), l.unit)
				p.gone[halfName(c, seal.IndexClass)], p.gone[halfName(c, seal.ContentClass)] = true, true
			}
			continue
		}
		if len(l.stays) == 0 {
			continue
		}
		if err := k.planHalves(ctx, p, first, l); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// planHalves derives the halves of a unit's survivors while its seed exists, each under its original ctx, and holds them against the commitments.
func (k *Keyholder) planHalves(ctx context.Context, p *plan, first int, l loss) error {
	s, err := k.openUnit(ctx, l.unit, l.row)
	if err != nil {
		return err
	}
	clear(s.find[:])
	if s.key == nil {
		return destroyed()
	}
	stays := map[record.Reference]bool{}
	for _, ref := range l.stays {
		stays[ref] = true
	}
	return k.eachNote(ctx, l.unit, func(note *seal.Note) error {
		shared, err := openBatch(note, k.cfg.Party, s.key)
		if err != nil {
			return err
		}
		defer clear(shared[:])
		row := keptRow{Page: first + len(p.halves)/pageSize, Offset: len(p.halves) % pageSize}
		for _, m := range note.Members {
			ref := record.Reference{Batch: record.ID(note.Statement.Batch), Recording: record.ID(m.Recording)}
			if !stays[ref] {
				continue
			}
			c := seal.ContextOf(m.Recording, note.Statement.Batch, l.unit)
			for _, class := range []seal.Class{seal.IndexClass, seal.ContentClass} {
				half := seal.DeriveHalf(shared, k.cfg.Party, class, c)
				if err := checkHalf(m, k.cfg.Party, class, half); err != nil {
					return err
				}
				p.halves = append(p.halves, secret{halfName(c, class), half})
			}
			row.Recordings = append(row.Recordings, ref.Recording)
		}
		if len(row.Recordings) > 0 {
			p.kept[record.ID(note.Statement.Batch)] = row
		}
		return nil
	})
}

// forget wipes the halves.
func (p *plan) forget() { clear(p.halves) }
