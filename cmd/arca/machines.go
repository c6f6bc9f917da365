package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/mirror"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// Names of the collector's and the mirror's folders within an installation, and of what the command line keeps there.
const (
	collectorPlace = "collector"
	mirrorPlace    = "mirror"
	receiptsPlace  = "receipts"
)

// lockPatience is how long a command waits for another process to let go of a spool or a mirror: arca serve works in both at every tick.
const lockPatience = 20 * time.Second

// transfers moves packs, which may be large.
var transfers = &http.Client{Timeout: 10 * time.Minute}

// openCollector opens the spool of a collector of this installation, waiting while another process works in it.
func (a *app) openCollector(ctx context.Context, f *installation.Folder, place string, patience time.Duration) (*collector.Collector, error) {
	if err := installation.CheckName(place); err != nil {
		return nil, err
	}
	signer, err := f.Identity(place)
	if err != nil {
		return nil, err
	}
	return a.openSpool(ctx, f, collector.Config{Folder: f.Dir(place), Signer: signer, Vault: f.Vault(signer)}, patience)
}

// openSpool opens a spool, of which cfg says whose and who deposits.
func (a *app) openSpool(ctx context.Context, f *installation.Folder, cfg collector.Config, patience time.Duration) (*collector.Collector, error) {
	if err := followTrust(f); err != nil {
		return nil, err
	}
	trust, err := f.TrustChain()
	if err != nil {
		return nil, err
	}
	cfg.Trust, cfg.Fingerprint, cfg.HTTP, cfg.Now = trust, f.Config.Trust, transfers, a.now
	cfg.Court, cfg.Custodian = f.Keyholder("court", cfg.Signer), f.Keyholder("custodian", cfg.Signer)
	for end := a.now().Add(patience); ; {
		c, err := collector.Open(cfg)
		if problem.KindOf(err) != problem.Unavailable || !a.now().Before(end) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// followPatience is how long a command waits for keyholders to say whether trust files took force since.
const followPatience = 5 * time.Second

// followTrust keeps the trust files that took force since. Keyholders that do not answer say nothing: what is here counts then.
func followTrust(f *installation.Folder) error {
	ctx, cancel := context.WithTimeout(context.Background(), followPatience)
	defer cancel()
	return f.FollowTrust(ctx)
}

// openMirror opens a mirror of this installation for reading, and for fetching too if it is to sync.
func (a *app) openMirror(f *installation.Folder, place string, sync bool) (*mirror.Mirror, error) {
	if err := installation.CheckName(place); err != nil {
		return nil, err
	}
	// Without this a name that was misspelt would be a mirror without packs, and an audit of it a clean one.
	if _, err := f.Identity(place); err != nil {
		return nil, problem.Wrap(problem.KindOf(err), err, "there is no mirror of this name in the installation; make one with: arca enrol NAME --role mirror")
	}
	if sync {
		if err := followTrust(f); err != nil {
			return nil, err
		}
	}
	trust, err := f.Trust()
	if err != nil {
		return nil, err
	}
	cfg := mirror.Config{Folder: f.Dir(place), Trust: *trust, Now: a.now}
	if sync {
		signer, err := f.Identity(place)
		if err != nil {
			return nil, err
		}
		cfg.Vault, cfg.HTTP, cfg.Patience = f.Vault(signer), transfers, lockPatience
	}
	return mirror.Open(cfg)
}

// runMachines runs the local collector and mirror until ctx ends: a pack leaves at every tick, full or not, and the mirror
// fetches after it. What fails is said once and tried again at the next tick.
func (a *app) runMachines(ctx context.Context, f *installation.Folder) {
	tick := time.NewTicker(f.TickEvery)
	defer tick.Stop()
	r := receiptFolder{folder: f.Dir(collectorPlace, receiptsPlace)}
	said := map[string]string{}
	tell := func(who string, err error) {
		text := ""
		if err != nil {
			text = problem.MessageOf(err)
		}
		if said[who] != text && ctx.Err() == nil {
			said[who] = text
			if text != "" {
				fmt.Fprintln(a.err, who+": "+clean(text))
			}
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		tell("collector", a.beat(ctx, f, &r))
		tell("mirror", a.follow(ctx, f))
	}
}

// beat is one tick of the local collector. While arca seal holds the spool this tick is left out: what is sealed leaves at the next.
func (a *app) beat(ctx context.Context, f *installation.Folder, r *receiptFolder) error {
	c, err := a.openCollector(ctx, f, collectorPlace, f.TickEvery/2)
	if err != nil {
		return err
	}
	defer c.Close()
	left, err := a.beatReaders(ctx, f)
	if left > 0 { // what leaves at this tick is a reader's pack, not a dummy
		err = errors.Join(err, c.Leave(ctx))
	} else {
		err = errors.Join(err, c.Tick(ctx))
	}
	return errors.Join(err, r.write(ctx, c))
}

// follow fetches what is new, asking again for a moment while the log has yet to prove the newest pack.
func (a *app) follow(ctx context.Context, f *installation.Folder) error {
	m, err := a.openMirror(f, mirrorPlace, true)
	if err != nil {
		return err
	}
	defer m.Close()
	for end := a.now().Add(f.TickEvery / 2); ; {
		got, err := m.Sync(ctx, nil)
		if err != nil || got.Waiting == "" || !a.now().Before(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// receiptFolder is a folder with one receipt for each proven recording, named by the recording's id.
type receiptFolder struct {
	folder string
	from   uint64 // packs before it have given all their receipts
}

// write writes the receipts that the folder lacks.
func (r *receiptFolder) write(ctx context.Context, c *collector.Collector) error {
	waiting, err := c.List(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.folder, 0o700); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the folder for receipts cannot be made")
	}
	next := r.from
	err = c.Receipts(ctx, r.from, func(got collector.Received) error {
		next = max(next, got.Pack+1)
		_, err := r.keep(got.Recording, got.Receipt)
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range waiting {
		next = min(next, p.Pack) // this one's receipts are still to come
	}
	r.from = next
	return nil
}

// keep writes one receipt, unless it is there.
func (r *receiptFolder) keep(id record.ID, receipt []byte) (string, error) {
	path := filepath.Join(r.folder, id.String()+".json")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return path, problem.Wrap(problem.Unavailable, err, "the folder for receipts cannot be read")
	}
	return path, installation.Replace(path, receipt)
}
