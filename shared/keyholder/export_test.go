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
