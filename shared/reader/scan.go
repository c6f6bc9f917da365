package reader

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// position is a slot that opened with a unit's find key.
type position struct {
	Pack uint64 `json:"pack"`
	Slot int    `json:"slot"`
}

// positions is what is known of a unit without looking again.
type positions struct {
	Found   []position  `json:"found,omitempty"`
	Scanned uint64      `json:"scanned"`        // all packs up to here were tried
	Seen    []record.ID `json:"seen,omitempty"` // recordings that were shown before
}

// positionsFile is what cache/unit-<hash>.json holds.
type positionsFile struct {
	MAC       record.Digest `json:"mac"`
	Positions positions     `json:"positions"`
}

func unitHash(u seal.Unit) record.Digest { return sha256.Sum256(u.Bytes()) }

func (r *Reader) positionsPath(u seal.Unit) string {
	return r.path("cache", "unit-"+unitHash(u).String()+".json")
}

// mac authenticates positions: who could write them without the find secret could hide recordings from a search.
func (p positions) mac(u seal.Unit, find seal.Seed) (record.Digest, error) {
	salt := unitHash(u)
	key, err := hkdf.Key(sha256.New, find[:], salt[:], "arca/v1/positions", 32)
	if err != nil {
		return record.Digest{}, err
	}
	raw, err := record.Marshal(p)
	if err != nil {
		return record.Digest{}, err
	}
	h := hmac.New(sha256.New, key)
	h.Write(raw)
	return record.Digest(h.Sum(nil)), nil
}

// loadPositions gives what is known, nothing when the file is absent, damaged or not authentic: then all packs are tried again.
func (r *Reader) loadPositions(u seal.Unit, find seal.Seed) positions {
	raw, err := os.ReadFile(r.positionsPath(u))
	if err != nil {
		return positions{}
	}
	var f positionsFile
	if err := record.UnmarshalStored(raw, &f); err != nil {
		return positions{}
	}
	want, err := f.Positions.mac(u, find)
	if err != nil || !hmac.Equal(want[:], f.MAC[:]) {
		return positions{}
	}
	return f.Positions
}

func (r *Reader) savePositions(u seal.Unit, find seal.Seed, p positions) error {
	mac, err := p.mac(u, find)
	if err != nil {
		return err
	}
	raw, err := record.Marshal(positionsFile{mac, p})
	if err != nil {
		return err
	}
	return r.write(r.positionsPath(u), raw)
}

// tried is what one pack gave.
type tried struct {
	slots []int
	err   error
}

// scan tries the slots of every pack that was not tried before, on all cores. Packs whose slot area cannot be verified are
// named and tried again next time; nothing is concluded from them.
func (r *Reader) scan(ctx context.Context, find hpke.PrivateKey, known positions) (positions, []string, error) {
	last, err := r.cfg.Mirror.Last()
	if err != nil || last <= known.Scanned {
		return known, nil, err
	}
	results := make([]tried, last-known.Scanned)
	work := make(chan uint64)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for n := range work {
				results[n-known.Scanned-1] = r.tryPack(find, n)
			}
		})
	}
	for n := known.Scanned + 1; n <= last && ctx.Err() == nil; n++ {
		work <- n
	}
	close(work)
	all.Wait()
	if ctx.Err() != nil {
		return known, nil, problem.Wrap(problem.Unavailable, ctx.Err(), "the search was stopped before its end")
	}
	var warnings []string
	whole, from := true, known.Scanned
	for i, t := range results {
		n := from + 1 + uint64(i)
		if t.err != nil {
			whole = false
			warnings = append(warnings, problem.MessageOf(t.err))
		}
		for _, slot := range t.slots {
			if p := (position{n, slot}); !slices.Contains(known.Found, p) {
				known.Found = append(known.Found, p)
			}
		}
		if whole {
			known.Scanned = n
		}
	}
	return known, warnings, nil
}

func (r *Reader) tryPack(find hpke.PrivateKey, n uint64) (out tried) {
	area, err := r.cfg.Mirror.SlotArea(n)
	if err != nil {
		return tried{err: err}
	}
	if len(area) != r.geometry.Slots*seal.SlotSize {
		return tried{err: problem.New(problem.Invalid, "pack %d: its slot area has another shape than the trust file says", n)}
	}
	for i := range r.geometry.Slots {
		if _, err := seal.OpenSlot(find, n, i, area[i*seal.SlotSize:(i+1)*seal.SlotSize]); err == nil {
			out.slots = append(out.slots, i)
		}
	}
	return out
}

// batch is a batch of the unit as it was found and verified.
type batch struct {
	at      position
	listing *seal.Listing
}

// openBatches opens the found slots and verifies each batch by its collector. What fails is named and left out.
func (r *Reader) openBatches(find hpke.PrivateKey, u seal.Unit, found []position) (list []batch, warnings []string) {
	byID := map[seal.BatchID]int{}
	for _, at := range found {
		l, err := r.openBatch(find, u, at)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("pack %d, slot %d: %s", at.Pack, at.Slot, problem.MessageOf(err)))
			continue
		}
		if i, twice := byID[l.Statement.Batch]; twice {
			if list[i].listing.Statement != l.Statement {
				warnings = append(warnings, fmt.Sprintf("pack %d, slot %d: the collector signed two batches under one name; only the first is shown, tell the auditor", at.Pack, at.Slot))
			}
			continue // a copy made by somebody with the find key says nothing new
		}
		byID[l.Statement.Batch] = len(list)
		list = append(list, batch{at, l})
	}
	return list, warnings
}

func (r *Reader) openBatch(find hpke.PrivateKey, u seal.Unit, at position) (*seal.Listing, error) {
	area, err := r.cfg.Mirror.SlotArea(at.Pack)
	if err != nil {
		return nil, err
	}
	if at.Slot < 0 || (at.Slot+1)*seal.SlotSize > len(area) {
		return nil, problem.New(problem.Invalid, "a slot lies outside its pack")
	}
	slot, err := seal.OpenSlot(find, at.Pack, at.Slot, area[at.Slot*seal.SlotSize:(at.Slot+1)*seal.SlotSize])
	if err != nil {
		return nil, err
	}
	start, end := uint64(slot.Area.Offset), uint64(slot.Area.Offset)+uint64(slot.Area.Length)
	if slot.Unit != u || start < uint64(r.geometry.Slots*seal.SlotSize) || end > uint64(r.geometry.Size) {
		return nil, problem.New(problem.Invalid, "the batch is of another unit, or its descriptors lie outside the pack")
	}
	sealed := make([]byte, slot.Area.Length)
	if err := r.cfg.Mirror.ReadPack(at.Pack, slot.Area.Offset, sealed); err != nil {
		return nil, err
	}
	l, err := slot.OpenDescriptors(sealed, r.author)
	if err != nil {
		return nil, err
	}
	for _, d := range l.Descriptors {
		if err := d.Places.Within(r.geometry); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// author gives the key of whoever signed a batch, in service or not: what they signed while they were stays signed. It is an enrolled collector, or
// a person: what a person may have sealed, and that it passes for nothing else, is looked at when its description is open (CheckAuthor).
func (r *Reader) author(id seal.CollectorID) (ed25519.PublicKey, error) {
	e, ok := r.person(record.KeyID(id))
	if !ok || e.Of(record.Mirror) || e.Key.Ed25519() == nil {
		return nil, problem.New(problem.Denied, "the batch is signed by nobody whom the registrars enrolled; tell the auditor")
	}
	return e.Key.Ed25519(), nil
}
