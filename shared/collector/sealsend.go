package collector

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// lookEvery is how often SealAndSend looks for packs that became final.
const lookEvery = 10 * time.Millisecond

// SealAndSend is Seal for what Flush will send anyway: packs that are final leave, and their notes are filed, while later
// items are still being sealed. Flush afterwards finishes what it began, and gives the reason of what could not be sent: nothing
// here depends on sending. It tells the vault no more than Flush does, and tells it earlier. A pack is sent once it is final, from the
// memory in which it was made: it passes the disk once.
func (c *Collector) SealAndSend(ctx context.Context, items []Item, progress func(done, total int64)) ([]Sealed, error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	sealed := make(chan struct{})
	var sending sync.WaitGroup
	before := c.waiting()
	sending.Go(func() { _ = c.depositAll(ctx, before) }) // Flush tries again and says why
	sending.Go(func() { c.repeat(ctx, sealed, c.noteAll) })
	var failed atomic.Bool // then the vault is left alone until Flush
	results, err := c.seal(ctx, items, progress, func(e *entry, pack []byte) {
		if !failed.Load() && c.deposit(ctx, e, pack) != nil {
			failed.Store(true)
		}
	})
	close(sealed)
	sending.Wait()
	return results, err
}

// repeat takes a step with every final pack again and again, until it fails or all is sealed. Steps are repeatable, and each
// passes over packs that are beyond it or not there yet.
func (c *Collector) repeat(ctx context.Context, sealed <-chan struct{}, step func(context.Context, []*entry) error) {
	for step(ctx, c.waiting()) == nil {
		select {
		case <-sealed:
			return
		case <-time.After(lookEvery):
		}
	}
}
