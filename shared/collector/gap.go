package collector

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
)

// Fill puts a dummy pack under a number that another collector reserved and left: mirrors wait at such a gap. The vault allows it
// six hours after the reservation if nothing was announced under it, and after thirty days if something was. Nothing is spooled:
// a dummy holds nothing that could be lost, and filling again after an interruption is right. Errors: problem.Denied while the
// number is still its collector's, problem.Conflict when a pack has arrived.
func (c *Collector) Fill(ctx context.Context, n uint64) error {
	if n == 0 {
		return problem.New(problem.Invalid, "packs are numbered from 1")
	}
	b, err := seal.NewBuilder(c.geometry, nil)
	if err != nil {
		return err
	}
	if err := b.Start(n); err != nil {
		return problem.Wrap(problem.Invalid, err, "no pack can have this number")
	}
	pack, err := b.Finish()
	if err != nil {
		return err
	}
	t, err := c.cfg.Vault.Upload(ctx, n, record.Digest(pack.SHA256), record.Digest(pack.SlotsSHA256))
	if err != nil {
		return err
	}
	if err := c.putBytes(ctx, t, bytes.NewReader(pack.Bytes)); err != nil {
		return err
	}
	return c.cfg.Vault.Arrived(ctx, n)
}

// putBytes makes the one request of a transfer, of exactly a pack's size. It carries no credentials; its headers bind size and checksum.
func (c *Collector) putBytes(ctx context.Context, t store.Transfer, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, t.Method, t.URL, body)
	if err != nil || t.Method != http.MethodPut {
		return problem.Wrap(problem.Unavailable, err, "the vault gave an upload that this version does not understand; update arca")
	}
	req.Header = t.Header.Clone()
	req.ContentLength = int64(c.geometry.Size)
	res, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the object store cannot be reached; what was to be sent is kept, try again")
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return problem.New(problem.Unavailable, "the object store answered with status %d; what was to be sent is kept, try again", res.StatusCode)
	}
	return nil
}
