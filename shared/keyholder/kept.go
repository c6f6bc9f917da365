package keyholder

import (
	"context"
	"crypto/hpke"
	"slices"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// When single recordings of a unit are destroyed its seed goes, and with it every batch secret. What stays openable is kept half by half: a
// survivor's two halves of this keyholder, derived under its original ctx and checked against its commitments, are secrets of the ring like any other.
// Nothing that was destroyed can be derived from them: halves of different recordings and classes come out of HKDF independently.

// keptRow says in which pages a batch's kept halves are: recording number i of the list has its halves, index and content, at Offset+2i
// and the place after, counted from Page's beginning through pages of pageSize. It counts once the unit's seed is gone.
type keptRow struct {
	Gone       []record.ID `json:"gone,omitempty"` // of Recordings, destroyed since
	Offset     int         `json:"offset"`
	Page       int         `json:"page"`
	Recordings []record.ID `json:"recordings"`
}

func keptName(batch record.ID) string { return "kept/" + batch.String() }

func halfName(c seal.Context, class seal.Class) secretName {
	return nameSecret("half", c[:], []byte(class))
}

// has tells whether a recording's halves are still kept.
func (r keptRow) has(id record.ID) bool {
	return slices.Contains(r.Recordings, id) && !slices.Contains(r.Gone, id)
}

// pageOf is the page of one of a recording's halves.
func (r keptRow) pageOf(id record.ID, class seal.Class) (int, bool) {
	i := slices.Index(r.Recordings, id)
	if i < 0 || slices.Contains(r.Gone, id) {
		return 0, false
	}
	place := r.Offset + 2*i
	if class == seal.ContentClass {
		place++
	}
	return r.Page + place/pageSize, true
}

// unitSecrets is what a release needs of a unit: its key, or after the destruction of single recordings the rows that say where kept halves are.
type unitSecrets struct {
	key  hpke.PrivateKey // nil: the seed is gone
	find seal.Seed
	kept map[record.ID]keptRow // by batch, as they were looked at
}

// openUnit takes a unit's secrets from the ring.
func (k *Keyholder) openUnit(ctx context.Context, u seal.Unit, unit unitRow) (*unitSecrets, error) {
	pages, err := k.pages(ctx, []int{unit.Page, unit.Find})
	defer pages.forget()
	if err != nil {
		return nil, err
	}
	find, err := pages.take(unit.Find, findName(u))
	if err != nil {
		return nil, err
	}
	out := &unitSecrets{find: find, kept: map[record.ID]keptRow{}}
	seed, ok := pages.find(unit.Page, seedName(u))
	if !ok {
		return out, nil
	}
	defer clear(seed[:])
	out.key, err = seal.NewUnitKey(seed)
	return out, err
}

// exists tells whether what a recording needs to be opened still exists.
func (k *Keyholder) exists(ctx context.Context, s *unitSecrets, ref record.Reference) (bool, error) {
	if s.key != nil {
		return true, nil
	}
	row, ok := s.kept[ref.Batch]
	if !ok {
		if _, err := k.read(ctx, keptName(ref.Batch), &row); err != nil {
			return false, err
		}
		s.kept[ref.Batch] = row
	}
	return row.has(ref.Recording), nil
}

// halfOf gives one half of a recording: derived from the batch's secret while the unit's seed exists, else one that was kept.
type halfOf func(note *seal.Note, ref record.Reference, c seal.Context) (seal.Half, error)

// derived derives halves, opening each batch once.
func (k *Keyholder) derived(key hpke.PrivateKey, class seal.Class) halfOf {
	opened := map[record.ID]seal.BatchSecret{}
	return func(note *seal.Note, ref record.Reference, c seal.Context) (seal.Half, error) {
		secret, ok := opened[ref.Batch]
		if !ok {
			var err error
			if secret, err = openBatch(note, k.cfg.Party, key); err != nil {
				return seal.Half{}, err
			}
			opened[ref.Batch] = secret
		}
		return seal.DeriveHalf(secret, k.cfg.Party, class, c), nil
	}
}

// keptHalves fetches the kept halves of one class of some recordings. The caller forgets the pages.
func (k *Keyholder) keptHalves(ctx context.Context, s *unitSecrets, class seal.Class, wanted []record.Reference) (halfOf, opened, error) {
	places := map[record.Reference]int{}
	var numbers []int
	for _, ref := range wanted {
		page, ok := s.kept[ref.Batch].pageOf(ref.Recording, class)
		if !ok {
			return nil, nil, destroyed()
		}
		places[ref], numbers = page, append(numbers, page)
	}
	pages, err := k.pages(ctx, numbers)
	return func(_ *seal.Note, ref record.Reference, c seal.Context) (seal.Half, error) {
		return pages.takeHalf(places[ref], halfName(c, class))
	}, pages, err
}

func (o opened) takeHalf(page int, name secretName) (seal.Half, error) {
	value, err := o.take(page, name)
	return value, err
}

// checkHalf refuses a half that does not fit what its recording's collector committed to.
func checkHalf(member seal.Member, party seal.Role, class seal.Class, half seal.Half) error {
	if err := member.Commitments.Check(party, class, half); err != nil {
		return problem.Wrap(problem.Internal, err, "a half does not fit its commitment; tell the operator: the rows need to be restored")
	}
	return nil
}
