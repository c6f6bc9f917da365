package mirror

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// Progress is told after every pack and while one is fetched.
type Progress struct {
	Number uint64 // of the pack that is being fetched
	Next   uint64 // the lowest number that the vault has not given out
	Bytes  int64  // fetched since Sync began
}

// Result is what a Sync did.
type Result struct {
	Packs      int               // fetched now
	Bytes      int64             // of them
	Last       uint64            // newest mirrored number
	Next       uint64            // lowest number that the vault never gave out
	Waiting    string            // what the mirror waits for; "" when it has everything
	Checkpoint ledger.Checkpoint // newest verified
	Stale      string            // why that checkpoint cannot stand for now; "" when it can
}

// Sync fetches what is new and ends when there is nothing more to fetch now. It may be killed at any point and run
// again. progress may be nil; it is called from one goroutine at a time.
func (m *Mirror) Sync(ctx context.Context, progress func(Progress)) (Result, error) {
	var out Result
	unlock, err := m.begin(ctx)
	if err != nil {
		return out, err
	}
	defer unlock()
	if out.Checkpoint, err = m.advance(ctx); err != nil {
		return out, err
	}
	if out.Last, err = m.Last(); err != nil {
		return out, err
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	if err := m.syncPages(ctx, &out, progress); err != nil {
		return out, err
	}
	out.Checkpoint, err = m.Newest()
	out.Stale = m.stale(out.Checkpoint)
	return out, err
}

// begin takes the folder to fill it.
func (m *Mirror) begin(ctx context.Context) (unlock func() error, err error) {
	if m.cfg.Vault == nil || m.cfg.HTTP == nil {
		return nil, problem.New(problem.Invalid, "this mirror was opened for reading only")
	}
	if err := os.MkdirAll(m.cfg.Folder, 0o700); err != nil {
		return nil, failed(err, "make the mirror's folder")
	}
	if unlock, err = m.lock(ctx); err != nil {
		return nil, err
	}
	if err := m.prepare(); err != nil {
		return nil, errors.Join(err, unlock())
	}
	return unlock, nil
}

// lock takes the folder, waiting for another Sync as long as the configuration allows.
func (m *Mirror) lock(ctx context.Context) (unlock func() error, err error) {
	for end := m.cfg.Now().Add(m.cfg.Patience); ; {
		unlock, err = lockFolder(m.cfg.Folder)
		switch {
		case err == nil:
			return unlock, nil
		case errors.Is(err, os.ErrPermission):
			return nil, failed(err, "write in the mirror's folder")
		case !m.cfg.Now().Before(end):
			return nil, problem.Wrap(problem.Conflict, err, "another arca mirror fills this folder; let it finish")
		}
		select {
		case <-ctx.Done():
			return nil, problem.Wrap(problem.Unavailable, ctx.Err(), "mirroring was stopped; run again, what was fetched stays")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (m *Mirror) syncPages(ctx context.Context, out *Result, progress func(Progress)) error {
	for {
		// One pack that is here already is listed again: the vault must not tell another story of it.
		page, err := m.cfg.Vault.Packs(ctx, max(out.Last, 1))
		if err != nil {
			return err
		}
		fresh, err := m.checkPage(page, out.Last)
		if err != nil {
			return err
		}
		out.Next = page.Next
		if len(fresh) == 0 {
			if out.Last+1 < page.Next {
				out.Waiting = waitsFor(out.Last+1, page.Next)
			}
			return nil
		}
		done, err := m.fetch(ctx, fresh, out, progress)
		if err != nil || !done {
			return err
		}
	}
}

func waitsFor(n, next uint64) string {
	return problem.MessageOf(problem.New(problem.Unavailable, "pack %d is reserved and has not arrived (numbers up to %d are given out); packs after it come once it is there, at the latest six hours after its reservation as a dummy", n, next-1))
}

// checkPage refuses a listing with a gap, with a number twice, or with another story of the newest pack here.
func (m *Mirror) checkPage(page wire.Packs, last uint64) ([]wire.ListedPack, error) {
	list := page.Packs
	if last > 0 {
		if len(list) == 0 || list[0].Number != last {
			return nil, problem.New(problem.Invalid, "the vault no longer lists pack %d, which this mirror has; tell the auditor", last)
		}
		have, err := m.loadRow(last)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(have.Event, list[0].Event) || !bytes.Equal(have.Random, list[0].Random) {
			return nil, problem.New(problem.Denied, "the vault shows another pack under number %d than the witnessed one that this mirror has; tell the auditor", last)
		}
		list = list[1:]
	}
	for i, p := range list {
		if want := last + 1 + uint64(i); p.Number != want {
			return nil, problem.New(problem.Invalid, "the vault lists pack %d where %d must follow: there is a gap or a number twice; nothing more was fetched, tell the auditor", p.Number, want)
		}
	}
	if page.Next < last+1+uint64(len(list)) {
		return nil, problem.New(problem.Invalid, "the vault lists packs with numbers that it says it never gave out; tell the auditor")
	}
	return list, nil
}

// arrival is a pack that was fetched and verified and is not yet durable; or why there is none.
type arrival struct {
	row     row
	path    string
	synced  chan error // tells when its bytes are on the disk, and closes the file
	pending bool       // its log entry is not yet under a witnessed checkpoint
	err     error
}

// ahead is how many packs may be on their way to the disk at once; each is one file of incoming.
const ahead = 3

// fetch fetches packs in order. While some are made durable the next is on its way; what the disk and the network
// take is spent at the same time. done is false when the log is behind.
func (m *Mirror) fetch(ctx context.Context, list []wire.ListedPack, out *Result, progress func(Progress)) (done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	arrivals := make(chan arrival, ahead-1)
	defer func() {
		cancel()
		for a := range arrivals { // ends when the goroutine below has seen the cancellation
			a.discard()
		}
	}()
	next, fetched := out.Next, out.Bytes
	go func() {
		defer close(arrivals)
		pour := newPourer()
		defer pour.close()
		for _, p := range list {
			a := m.arrive(ctx, p, pour, func(n int64) { progress(Progress{p.Number, next, fetched + n}) })
			fetched += int64(m.geometry.Size)
			arrivals <- a
			if a.err != nil || a.pending || ctx.Err() != nil {
				return
			}
		}
	}()
	for a := range arrivals {
		switch {
		case a.err != nil:
			return false, a.err
		case a.pending:
			out.Waiting = problem.MessageOf(problem.New(problem.Unavailable, "pack %d has arrived and its log entry is not yet under a witnessed checkpoint; that takes a minute at most while vault and witnesses answer", a.row.Number))
			return false, nil
		}
		if err := m.commit(a); err != nil {
			return false, err
		}
		out.Packs++
		out.Bytes += int64(m.geometry.Size)
		out.Last = a.row.Number
	}
	return true, nil
}

func (a arrival) discard() {
	if a.synced != nil {
		<-a.synced
		os.Remove(a.path)
	}
}

// arrive verifies a listed pack's opening and proof and then fetches it: nothing that is not witnessed is fetched.
func (m *Mirror) arrive(ctx context.Context, p wire.ListedPack, pour *pourer, progress func(int64)) arrival {
	event, entry, err := m.judge.entry(p.Number, p.Event, p.Random)
	if err != nil {
		return arrival{err: err}
	}
	a := arrival{row: row{Event: p.Event, Number: p.Number, Random: p.Random}, path: m.path("incoming", packName(p.Number))}
	a.row.Proof, err = m.cfg.Vault.Proof(ctx, entry)
	// The vault says "unavailable" for an entry that is stored and not yet sequenced or witnessed.
	if kind := problem.KindOf(err); err != nil && (kind == problem.Unavailable || kind == problem.Conflict) {
		a.pending = true
		return a
	}
	if err != nil {
		return arrival{err: err}
	}
	under, err := m.judge.included(p.Number, entry, a.row.Proof)
	if err != nil {
		return arrival{err: err}
	}
	if err := m.link(ctx, under); err != nil {
		return arrival{err: err}
	}
	f, err := m.download(ctx, p.Number, event, a.path, pour, progress)
	if err != nil {
		return arrival{err: err}
	}
	a.synced = make(chan error, 1)
	go func() {
		err := f.Sync()
		if closing := f.Close(); err == nil {
			err = closing
		}
		a.synced <- err
	}()
	return a
}

// download writes a pack to a file while hashing it once, and refuses it unless it is the witnessed one.
func (m *Mirror) download(ctx context.Context, n uint64, event record.PackEvent, path string, pour *pourer, progress func(int64)) (*os.File, error) {
	body, err := m.get(ctx, n)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, failed(err, "write in the mirror's folder")
	}
	digest := seal.NewDigest(m.geometry)
	// One byte more than a pack is read, so that a longer object does not pass for its beginning.
	err = pour.pour(f, int64(m.geometry.Size), digest, io.LimitReader(body, int64(m.geometry.Size)+1), progress)
	if err == nil {
		slots, sum := digest.Sums()
		err = m.judge.whole(event, digest.Length(), slots, sum)
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	return f, nil
}

func (m *Mirror) get(ctx context.Context, n uint64) (io.ReadCloser, error) {
	t, err := m.cfg.Vault.Download(ctx, n)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, t.Method, t.URL, nil)
	if err != nil || t.Method != http.MethodGet {
		return nil, problem.Wrap(problem.Invalid, err, "the vault's transfer of pack %d is not a download; tell its operator", n)
	}
	for name, values := range t.Header {
		req.Header[name] = values
	}
	res, err := m.cfg.HTTP.Do(req)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the object store cannot be reached for pack %d; run again, what was fetched stays", n)
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, problem.New(problem.Unavailable, "the object store answered with status %d for pack %d; run again, what was fetched stays", res.StatusCode, n)
	}
	return res.Body, nil
}

// commit makes a pack durable and then exists.
func (m *Mirror) commit(a arrival) error {
	if err := <-a.synced; err != nil {
		os.Remove(a.path)
		return failed(err, "store pack "+packName(a.row.Number))
	}
	if err := rename(a.path, m.packPath(a.row.Number)); err != nil {
		return err
	}
	raw, err := record.Marshal(a.row)
	if err != nil {
		return err
	}
	if len(raw) > maxRow {
		return problem.New(problem.Invalid, "the proof of pack %d is larger than any that a log gives; tell the auditor", a.row.Number)
	}
	// Commit point: after this write the pack is mirrored.
	return m.replace(m.rowPath(a.row.Number), raw)
}
