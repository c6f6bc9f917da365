package keyholder

import (
	"context"
	"crypto/rand"

	"arca.example/arca/shared/record"
)

// FillRoster adds invented keys until that many are enrolled, and as many suspended, beside those who are.
func (k *Keyholder) FillRoster(ctx context.Context, enrolled, suspended int) error {
	return k.update(ctx, func(c *change) error {
		var all roster
		if _, err := c.load("roster", &all); err != nil {
			return err
		}
		kept := map[string]record.Digest{}
		for id, hash := range all.Enrolled {
			if found, err := c.k.read(ctx, "person/"+id, new(record.Joint)); err != nil {
				return err
			} else if found && len(kept) < enrolled {
				kept[id] = hash
			}
		}
		all.Enrolled, all.Suspended = kept, nil
		for len(all.Enrolled) < enrolled {
			var id, hash record.Digest
			_, _ = rand.Read(id[:])
			_, _ = rand.Read(hash[:])
			all.Enrolled[id.String()] = hash
			if len(all.Suspended) < suspended {
				all.Suspended = append(all.Suspended, id)
			}
		}
		return c.put("roster", all)
	})
}

// LapseForgetting is Lapse that does not remember what it told.
func (k *Keyholder) LapseForgetting(ctx context.Context) error {
	if err := k.Lapse(ctx); err != nil {
		return err
	}
	chains, err := k.Chains(ctx)
	for _, chain := range chains {
		err = k.update(ctx, func(c *change) error {
			var row toldRow
			if _, err := c.load(toldName(chain), &row); err != nil {
				return err
			}
			return c.put(toldName(chain), toldRow{})
		})
	}
	return err
}

// LapseTrusting is Lapse that takes its own clock's word.
func (k *Keyholder) LapseTrusting(ctx context.Context) error {
	chains, err := k.Chains(ctx)
	for _, chain := range chains {
		err = k.act(ctx, chain, func(c *change) error { return c.tell(chain, k.now()) })
	}
	return err
}

// LapseLate is Lapse that writes down when it ran.
func (k *Keyholder) LapseLate(ctx context.Context) error {
	chains, err := k.Chains(ctx)
	for _, hash := range chains {
		chain, readErr := k.chain(ctx, hash)
		if readErr != nil {
			return readErr
		}
		err = k.act(ctx, hash, func(c *change) error {
			list, err := k.news(chain, saidOf{}, k.now())
			for _, n := range list {
				n.clock.Due = k.now()
				if err := c.journalNews(hash, n); err != nil {
					return err
				}
			}
			return err
		})
	}
	return err
}

// NoticesToAll is NoticesOf that asks nobody for a role.
func (k *Keyholder) NoticesToAll(ctx context.Context, who Person) (int, error) {
	who.Enrolment.Roles = []record.Role{record.Judge, record.Supervisor, record.Clerk}
	who.Enrolment.Court, who.Enrolment.PoliceUnit = "Court One", "Unit A"
	out, err := k.NoticesOf(ctx, who, 0)
	return len(out.Notices), err
}

// RingState tells where the ring stands.
func (k *Keyholder) RingState(ctx context.Context) string {
	var head ringHead
	if _, err := k.read(ctx, ringHeadRow, &head); err != nil {
		return err.Error()
	}
	return head.State
}

// FillRing adds a seed and a find secret of that many invented units to the ring.
func (k *Keyholder) FillRing(ctx context.Context, units int) (map[[16]byte][32]byte, error) {
	all := map[[16]byte][32]byte{}
	for len(all) < 2*units {
		var list []secret
		for len(list) < pageSize && len(all) < 2*units {
			s := secret{secretName(random(16)), [32]byte(random(32))}
			list, all[s.name] = append(list, s), s.value
		}
		err := k.update(ctx, func(c *change) error { _, err := c.keep(list...); return err })
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// CountRing counts how many of these secrets the ring holds.
func (k *Keyholder) CountRing(ctx context.Context, all map[[16]byte][32]byte) (n int, err error) {
	var head ringHead
	if _, err := k.read(ctx, ringHeadRow, &head); err != nil {
		return 0, err
	}
	for page := 1; page <= head.Pages; page++ {
		kept, err := k.pages(ctx, []int{page})
		if err != nil {
			return n, err
		}
		for _, s := range kept[page] {
			if value, ok := all[s.name]; ok && value == s.value {
				n++
			}
		}
	}
	return n, nil
}

// ListChains lists order chains that nobody admitted.
func (k *Keyholder) ListChains(ctx context.Context, hashes ...record.Digest) error {
	for _, hash := range hashes {
		if err := k.update(ctx, func(c *change) error { return c.listChain(hash) }); err != nil {
			return err
		}
	}
	return nil
}

// CutChains takes the last n bytes of a page of the list of chains away, or all of them.
func (k *Keyholder) CutChains(ctx context.Context, page, n int) error {
	return k.update(ctx, func(c *change) error {
		b, err := c.loadBytes(chainsPageName(page))
		c.putBytes(chainsPageName(page), b[:max(len(b)-n, 0)])
		return err
	})
}
