package collector

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// freshFor is how long a reserved number is used for content. The vault lets others fill a number that was left
// for six hours; a pack that was sealed under such a number could never arrive. Older numbers become dummies.
const freshFor = time.Hour

// maxBlock is the most numbers reserved at once. Numbers that are not used hold up every mirror.
const maxBlock = 16

// numbers is numbers.json: whose spool this is, and the reserved numbers that are not archived.
type numbers struct {
	Audience  record.Digest `json:"aud"`
	Blocks    []block       `json:"blocks,omitempty"`
	Collector record.KeyID  `json:"collector"`
	Pending   *pending      `json:"pending,omitempty"`
}

// block is a run of reserved numbers.
type block struct {
	At    time.Time `json:"at"`
	Count uint64    `json:"count"`
	First uint64    `json:"first"`
}

// pending is a reservation whose answer is not known yet: the same nonce gives the same numbers.
type pending struct {
	At    time.Time `json:"at"` // when it was first asked for
	Count int       `json:"count"`
	Nonce record.ID `json:"nonce"`
}

// use drops blocks' numbers that are in the archive, at the edges where that is cheap.
func (n *numbers) use(number uint64) {
	for i := range n.Blocks {
		if b := &n.Blocks[i]; b.First == number {
			b.First, b.Count = b.First+1, b.Count-1
		}
	}
	n.Blocks = slices.DeleteFunc(n.Blocks, func(b block) bool { return b.Count == 0 })
}

func (c *Collector) readNumbers() error {
	own := numbers{Audience: c.cfg.Fingerprint, Collector: cmp.Or(c.cfg.Owner, c.cfg.Signer.Public().ID())}
	err := readStored(c.path(numbersFile), &c.numbers)
	if errors.Is(err, fs.ErrNotExist) {
		c.numbers = own
		return c.writeNumbers()
	}
	if err != nil {
		return err
	}
	if c.numbers.Collector != own.Collector || c.numbers.Audience != own.Audience {
		return problem.New(problem.Denied, "this spool belongs to another collector's key or installation; give this collector a folder of its own, and empty that one with its own key")
	}
	return nil
}

func (c *Collector) writeNumbers() error {
	c.mu.Lock()
	b, err := record.Marshal(c.numbers)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.disk.replace(c.path(numbersFile), b)
}

// unused lists the reserved numbers without a pack, ascending; with fresh only those that content may use.
func (c *Collector) unused(fresh bool) []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []uint64
	for _, b := range c.numbers.Blocks {
		if fresh && c.cfg.Now().Sub(b.At) > freshFor {
			continue
		}
		for n := b.First; n < b.First+b.Count; n++ {
			if c.entries[n] == nil && !c.handed[n] && !c.archived(n) {
				list = append(list, n)
			}
		}
	}
	slices.Sort(list)
	return list
}

func (c *Collector) archived(n uint64) bool {
	_, err := os.Lstat(c.path(provenFolder, packName(n, "json")))
	return err == nil
}

// takeNumber hands out a reserved number above after, reserving about want of them if none is left. A number that is
// not made final is given back with giveBack, or by the next start.
func (c *Collector) takeNumber(ctx context.Context, after uint64, want int64) (uint64, error) {
	for range 3 {
		for _, n := range c.unused(true) {
			if n > after {
				c.mu.Lock()
				c.handed[n] = true
				c.mu.Unlock()
				return n, nil
			}
		}
		if err := c.reserve(ctx, int(min(max(want, 1), maxBlock))); err != nil {
			return 0, err
		}
	}
	return 0, problem.New(problem.Unavailable, "the vault gives numbers that were given before; tell its operator")
}

func (c *Collector) giveBack(n uint64) {
	c.mu.Lock()
	delete(c.handed, n)
	c.mu.Unlock()
}

// reserve asks for numbers. The nonce is durable before it is sent, so that an answer that was lost is asked for again
// and no number is forgotten.
func (c *Collector) reserve(ctx context.Context, count int) error {
	c.mu.Lock()
	if c.numbers.Pending == nil {
		c.numbers.Pending = &pending{At: record.Second(c.cfg.Now()), Count: count}
		rand.Read(c.numbers.Pending.Nonce[:]) // never fails (crypto/rand)
	}
	asked := *c.numbers.Pending
	c.mu.Unlock()
	if err := c.writeNumbers(); err != nil {
		return err
	}
	if err := c.call("reserve"); err != nil {
		return err
	}
	first, err := c.cfg.Vault.Reserve(ctx, asked.Nonce, asked.Count)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.numbers.Blocks = append(c.numbers.Blocks, block{At: asked.At, Count: uint64(asked.Count), First: first})
	c.numbers.Pending = nil
	c.mu.Unlock()
	return c.writeNumbers()
}
