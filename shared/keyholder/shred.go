package keyholder

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/store"
)

// How the ring gets a new generation without some of its secrets:
//
//	open      a new root is made, a ring key drawn and wrapped by it; both stand in the head with what is to be done   → closing
//	closing   no secret is added. Every page is written for the new generation, twice, and read back                  → written
//	written   the decisions are looked at once more; the head is switched by one conditional write                    → switched
//	switched  every page is opened once more, the old root is destroyed, certificates are signed                                                      → open
//
// Until the switch it can be undone: the new root is destroyed, and the old generation never ceased to count. After the switch it can only be
// finished. There is always a root that opens all that counts; two exist from closing on until the old (or, undone, the new) one is destroyed. Every
// step may be repeated, by several processes at once: each write requires the head as it was read.

// beginShred makes the next generation's root and ring key and closes the ring.
func (k *Keyholder) beginShred(ctx context.Context, head ringHead, jobs []record.Digest, pages int) error {
	next := ringNext{Generation: head.Last + 1, Pages: pages, Root: rootName(head.Last + 1)}
	root, err := keys.OpenOrCreate(ctx, k.cfg.Roots, next.Root)
	if err != nil {
		if kind := problem.KindOf(err); kind == problem.NotFound || kind == problem.Gone {
			return problem.Wrap(problem.Unavailable, err, "nothing is destroyed yet: this keyholder has no place for the root %s of the next generation; configure a fresh key under that name", next.Root)
		}
		return err
	}
	key := random(32)
	defer clear(key)
	if next.Key, err = root.Wrap(ctx, k.ringKeyAAD(next.Generation), key); err != nil {
		return err
	}
	err = k.moveHead(ctx, head, func(_ *change, h *ringHead) error {
		h.Jobs, h.Last, h.Next, h.State = jobs, next.Generation, next, ringClosing
		return nil
	})
	if errors.Is(err, errMoved) {
		return errors.Join(err, k.dropStray(ctx, next))
	}
	return err
}

// dropStray destroys a root that this run has made again after other runs had used its name up.
func (k *Keyholder) dropStray(ctx context.Context, stray ringNext) error {
	var head ringHead
	if _, err := k.read(ctx, ringHeadRow, &head); err != nil {
		return err
	}
	if head.Last < stray.Generation || slices.Contains([]string{head.Root, head.Next.Root, head.Old}, stray.Root) {
		return nil
	}
	return k.destroyOld(ctx, stray.Root)
}

// moveHead changes the head if it is still the one that was read. Errors: problem.Conflict when it is not.
func (k *Keyholder) moveHead(ctx context.Context, from ringHead, f func(*change, *ringHead) error) error {
	return k.update(ctx, func(c *change) error {
		if err := c.requireHead(from); err != nil {
			return err
		}
		to := from
		if err := f(c, &to); err != nil {
			return err
		}
		return c.put(ringHeadRow, to)
	})
}

// requireHead makes the change fail unless the head says what was read.
func (c *change) requireHead(from ringHead) error {
	var now ringHead
	if found, err := c.load(ringHeadRow, &now); err != nil || !found {
		return noHead(err)
	}
	a, err := record.Marshal(from)
	if err != nil {
		return err
	}
	b, err := record.Marshal(now)
	if err != nil {
		return err
	}
	if string(a) != string(b) {
		return movedOn()
	}
	c.require(ringHeadRow)
	return nil
}

// errMoved marks what movedOn says, for Destroy, which then looks again.
var errMoved = errors.New("the ring has moved on")

func movedOn() error {
	return problem.Wrap(problem.Unavailable, errMoved, "another run carries out the same destruction; look again in a minute")
}

// writeGeneration writes every page for the next generation without what goes, adds the kept halves, and reads everything back.
func (k *Keyholder) writeGeneration(ctx context.Context, head ringHead, p *plan) error {
	old, err := k.ringKey(ctx, head.Generation, head.Root, head.Key)
	if err != nil {
		return err
	}
	defer clear(old)
	next, err := k.ringKey(ctx, head.Next.Generation, head.Next.Root, head.Next.Key)
	if err != nil {
		return err
	}
	defer clear(next)
	if want := head.Pages + pagesFor(len(p.halves)); want != head.Next.Pages {
		return problem.Wrap(problem.Internal, fmt.Errorf("%d pages planned, %d needed", head.Next.Pages, want), "the destruction's plan does not fit the ring any more; nothing is destroyed; tell the operator")
	}
	if err := k.putKept(ctx, head, p.kept); err != nil {
		return err
	}
	for first := 1; first <= head.Next.Pages; first += pagesAtOnce {
		last := min(first+pagesAtOnce-1, head.Next.Pages)
		lists, err := k.survivors(ctx, head, old, p, first, last)
		if err != nil {
			return err
		}
		if err := k.writePages(ctx, head, next, first, lists); err != nil {
			return err
		}
		if err := k.readBack(ctx, head.nextPlace(), next, first, lists); err != nil {
			return err
		}
		for _, list := range lists {
			clear(list)
		}
	}
	return k.moveHead(ctx, head, func(_ *change, h *ringHead) error {
		h.State = ringWritten
		return nil
	})
}

func pagesFor(secrets int) int { return (secrets + pageSize - 1) / pageSize }

// survivors gives what pages first to last of the next generation hold.
func (k *Keyholder) survivors(ctx context.Context, head ringHead, old []byte, p *plan, first, last int) ([][]secret, error) {
	var numbers []int
	for n := first; n <= min(last, head.Pages); n++ {
		numbers = append(numbers, n)
	}
	lists := make([][]secret, 0, last-first+1)
	if len(numbers) > 0 {
		err := k.eachPage(ctx, head.place(), old, numbers, func(_ int, list []secret) error {
			lists = append(lists, slices.DeleteFunc(list, func(s secret) bool { return p.gone[s.name] }))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for n := max(first, head.Pages+1); n <= last; n++ {
		from := (n - head.Pages - 1) * pageSize
		lists = append(lists, slices.Clone(p.halves[from:min(from+pageSize, len(p.halves))]))
	}
	return lists, nil
}

// writePages writes pages of the next generation and their copies over what lies in their slot, while the head stays as it is.
func (k *Keyholder) writePages(ctx context.Context, head ringHead, key []byte, first int, lists [][]secret) error {
	place := head.nextPlace()
	return k.update(ctx, func(c *change) error {
		var names []string
		for i := range lists {
			names = append(names, place.pageName(first+i), place.copyName(first+i))
		}
		if err := c.look(append(names, ringHeadRow)...); err != nil {
			return err
		}
		if err := c.requireHead(head); err != nil {
			return err
		}
		for i, list := range lists {
			if err := c.sealPage(place, key, first+i, list); err != nil {
				return err
			}
		}
		return nil
	})
}

// readBack opens what was written, from both rows of each page, and compares every secret.
func (k *Keyholder) readBack(ctx context.Context, place ringPlace, key []byte, first int, lists [][]secret) error {
	var names []string
	for i := range lists {
		names = append(names, place.pageName(first+i), place.copyName(first+i))
	}
	rows, err := k.rows.Get(ctx, names...)
	if err != nil {
		return err
	}
	for i, want := range lists {
		for _, name := range []string{place.pageName(first + i), place.copyName(first + i)} {
			got, err := k.decryptPage(place, key, first+i, rows[name].Value)
			if err != nil || !slices.Equal(got, want) {
				return problem.Wrap(problem.Unavailable, errors.Join(err, errors.New("page "+name)), "a page of the new generation does not read back as it was written; nothing is destroyed; try again, and look at the store if it happens again")
			}
			clear(got)
		}
	}
	return nil
}

// putKept writes where kept halves will be, while the head stays as it is; the rows count once the seed is gone.
func (k *Keyholder) putKept(ctx context.Context, head ringHead, rows map[record.ID]keptRow) error {
	var batches []record.ID
	for batch := range rows {
		batches = append(batches, batch)
	}
	for some := range slices.Chunk(batches, keptAtOnce) {
		err := k.update(ctx, func(c *change) error {
			if err := c.requireHead(head); err != nil {
				return err
			}
			for _, batch := range some {
				if _, err := c.loadBytes(keptName(batch)); err != nil {
					return err
				}
				if err := c.put(keptName(batch), rows[batch]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keptAtOnce is how many rows of kept halves one transaction writes: one has up to seal.MaxMembers recordings of 36 bytes.
const keptAtOnce = min(store.MaxRows-1, store.MaxCommitSize/(100<<10))

// undoShred gives up a generation before it counts. Its root is destroyed by clearOld.
func (k *Keyholder) undoShred(ctx context.Context, head ringHead) error {
	return k.moveHead(ctx, head, func(_ *change, h *ringHead) error {
		h.Jobs, h.Next, h.Old, h.OldID, h.State = nil, ringNext{}, head.Next.Root, "", ringOpen
		return nil
	})
}

// opensStill refuses to go on unless every page of the generation that counts opens, from either of its rows: when the other root is gone, nothing else
// holds its secrets. Storage may have lost a page since it was read back, or show a head of another time.
func (k *Keyholder) opensStill(ctx context.Context, head ringHead) error {
	key, err := k.ringKey(ctx, head.Generation, head.Root, head.Key)
	if err != nil {
		return err
	}
	defer clear(key)
	for first := 1; first <= head.Pages; first += pagesAtOnce {
		var numbers []int
		for n := first; n <= min(first+pagesAtOnce-1, head.Pages); n++ {
			numbers = append(numbers, n)
		}
		err := k.eachPage(ctx, head.place(), key, numbers, func(_ int, list []secret) error {
			clear(list)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// retire destroys the head's old root if it is there, after a look at what must stay.
func (k *Keyholder) retire(ctx context.Context, head ringHead) error {
	_, err := k.cfg.Roots.Open(ctx, head.Old)
	if problem.KindOf(err) == problem.NotFound && err != nil {
		return nil // an earlier run has
	}
	if err != nil {
		return err
	}
	if err := k.opensStill(ctx, head); err != nil {
		return err
	}
	return k.destroyOld(ctx, head.Old)
}

// destroyOld destroys the root that counts no more, and looks whether it is gone. Doing it again is nothing.
func (k *Keyholder) destroyOld(ctx context.Context, name string) error {
	if err := k.cfg.Roots.Destroy(ctx, name); err != nil && problem.KindOf(err) != problem.NotFound {
		return err
	}
	if _, err := k.cfg.Roots.Open(ctx, name); problem.KindOf(err) != problem.NotFound || err == nil {
		return problem.Wrap(problem.Unavailable, err, "the root of the earlier generation is still there after its destruction; run the destruction again, and look at the place of the roots")
	}
	return nil
}
