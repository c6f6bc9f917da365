package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

const (
	largeSize  = 1 << 30
	firstBytes = 31 // runs to the first decrypted byte
	smallItems = 40 // calls that are opened for it
)

// large measures what concerns large files, on one installation: sealing to the spool, mirroring, opening.
func (r *run) large() (err error) {
	w, err := r.newWorld("large", nil)
	if w != nil {
		defer func() { err = errors.Join(err, w.close()) }()
	}
	if err != nil {
		return err
	}
	path := filepath.Join(r.folder, "large.bin")
	defer os.Remove(path)
	if err := makeLarge(path); err != nil {
		return err
	}
	disk, err := r.diskRate()
	if err != nil {
		return err
	}
	sha := shaRate()
	r.table.beside("SHA-256 of one core", sha)
	r.table.beside("disk, files of 16 MiB written and synced", disk)
	chain, err := w.admit(1)
	if err != nil {
		return err
	}
	if err := w.sealLarge(chain, path, sha); err != nil {
		return err
	}
	return w.readBack(chain, sha)
}

func makeLarge(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	piece := make([]byte, 16<<20)
	for i := range largeSize / len(piece) {
		noise(piece, byte(i))
		if _, err := f.Write(piece); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	// On the disk before anything is measured: the figures start from the page cache and share the disk with nobody.
	return errors.Join(f.Sync(), f.Close())
}

// sealLarge seals 1 GiB from the page cache to the spool, durably, in turns on one core and on two. What was sealed
// the last time is sent.
func (w *world) sealLarge(chain record.Digest, path string, sha float64) error {
	rates, work := map[int][]float64{}, map[int][]float64{}
	const rounds = 3
	for round := range rounds {
		for _, cores := range []int{1, 2} {
			before := spent()
			rate, used, err := w.sealOnce(chain, path, cores, round == rounds-1 && cores == 2)
			if err != nil {
				return err
			}
			rates[cores], work[cores] = append(rates[cores], rate), append(work[cores], rateOf(largeSize, used-before))
		}
	}
	t := &w.run.table
	t.atLeast("seal 1 GiB, page cache to spool, synced, one core", median(rates[1]), "SHA-256", sha, 0.30)
	t.atLeast("seal 1 GiB, page cache to spool, synced, two cores", median(rates[2]), "SHA-256", sha, 0.60)
	t.perSecond("seal 1 GiB", median(work[2]), sha)
	return nil
}

func (w *world) sealOnce(chain record.Digest, path string, cores int, send bool) (rate float64, used time.Duration, err error) {
	c, err := w.collector()
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	err = onCores(cores, func() error {
		began := time.Now()
		err := firstError(c.Seal(w.run.ctx, []collector.Item{item(chain, path, largeSize, callStart())}, nil))
		rate, used = rateOf(largeSize, time.Since(began)), spent()
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	if !send {
		return rate, used, w.dropSpool()
	}
	var small []collector.Item
	for i := range smallItems {
		path := filepath.Join(w.run.folder, fmt.Sprintf("small-%d", i))
		content := make([]byte, 48_000)
		noise(content, byte(i))
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return 0, 0, err
		}
		defer os.Remove(path)
		small = append(small, item(chain, path, int64(len(content)), callStart()))
	}
	if err := firstError(c.Seal(w.run.ctx, small, nil)); err != nil {
		return 0, 0, err
	}
	return rate, used, c.Flush(w.run.ctx)
}

// dropSpool forgets what was sealed for measuring only: nothing of it was sent. The next collector fills the same numbers.
func (w *world) dropSpool() error {
	return os.RemoveAll(w.Dir("collector", "pack"))
}

// readBack mirrors what was sent, and opens from the mirror.
func (w *world) readBack(chain record.Digest, sha float64) error {
	if err := w.mirrorRate(sha); err != nil {
		return err
	}
	m, err := w.mirror()
	if err != nil {
		return err
	}
	defer m.Close()
	rows, err := w.grant(chain, m)
	if err != nil {
		return err
	}
	var large, small []seal.RecordingID
	for _, row := range rows {
		if row.Size == largeSize {
			large = append(large, row.ID)
		} else {
			small = append(small, row.ID)
		}
	}
	if len(large) == 0 || len(small) == 0 {
		return fmt.Errorf("%d large and %d small recordings were listed", len(large), len(small))
	}
	for _, cores := range []int{1, 2} {
		if err := w.openRate(m, large[0].String(), cores, sha); err != nil {
			return err
		}
	}
	return w.firstByte(m, small)
}

// mirrorRate fetches everything into an empty mirror, three times.
func (w *world) mirrorRate(sha float64) error {
	var rates, work []float64
	for range 3 {
		for _, part := range []string{"packs", "index"} {
			if err := os.RemoveAll(w.Dir("mirror", part)); err != nil {
				return err
			}
		}
		m, err := w.mirror()
		if err != nil {
			return err
		}
		began, before := time.Now(), spent()
		got, err := m.Sync(w.run.ctx, nil)
		took, used := time.Since(began), spent()-before
		if err := errors.Join(err, m.Close()); err != nil {
			return err
		}
		if got.Waiting != "" || got.Bytes == 0 {
			return fmt.Errorf("the mirror fetched %d bytes and waits: %s", got.Bytes, got.Waiting)
		}
		rates, work = append(rates, rateOf(got.Bytes, took)), append(work, rateOf(got.Bytes, used))
	}
	w.run.table.atLeast("mirror 1 GiB, verified and synced", median(rates), "SHA-256", sha, 0.5)
	w.run.table.perSecond("mirror, the vault's serving included", median(work), sha)
	return nil
}

// grant has the investigator list the week and ask for its content, and the supervisor approve.
func (w *world) grant(chain record.Digest, m reader.Mirror) ([]reader.Row, error) {
	ctx := w.run.ctx
	one, err := w.reader("investigator", m, nil)
	if err != nil {
		return nil, err
	}
	ask := reader.AskInput{Chain: chain, Week: seal.WeekOf(callStart()), Class: seal.IndexClass, Purpose: "to measure"}
	index, err := one.Ask(ctx, ask)
	if err != nil {
		return nil, err
	}
	listing, err := one.List(ctx, index.Hash)
	if err != nil {
		return nil, err
	}
	if !listing.Complete {
		return nil, fmt.Errorf("the listing is not complete: %v", listing.Warnings)
	}
	ask.Class = seal.ContentClass
	content, err := one.Ask(ctx, ask)
	if err != nil {
		return nil, err
	}
	two, err := w.reader("supervisor", m, nil)
	if err != nil {
		return nil, err
	}
	return listing.Rows, two.Decide(ctx, content.Hash, true, "to measure")
}

// openRate opens the large recording whole, with its digest checked.
func (w *world) openRate(m reader.Mirror, id string, cores int, sha float64) error {
	var rates, work []float64
	for range 3 {
		r, err := w.reader("investigator", m, io.Discard)
		if err != nil {
			return err
		}
		err = onCores(cores, func() error {
			began, before := time.Now(), spent()
			got, err := r.Open(w.run.ctx, id, "-", reader.Range{})
			if err == nil && (got.Bytes != largeSize || !got.Whole) {
				err = fmt.Errorf("opened %d bytes", got.Bytes)
			}
			rates, work = append(rates, rateOf(got.Bytes, time.Since(began))), append(work, rateOf(got.Bytes, spent()-before))
			return err
		})
		if err != nil {
			return err
		}
	}
	what := map[int]string{1: "open 1 GiB from the mirror, digest checked, one core", 2: "open 1 GiB from the mirror, digest checked, two cores"}[cores]
	w.run.table.atLeast(what, median(rates), "SHA-256", sha, 0.6)
	w.run.table.perSecond("open", median(work), sha)
	return nil
}

// firstWrite notes when the first byte came.
type firstWrite struct {
	began time.Time
	took  time.Duration
}

func (f *firstWrite) Write(b []byte) (int, error) {
	if f.took == 0 && len(b) > 0 {
		f.took = time.Since(f.began)
	}
	return len(b), nil
}

// firstByte measures from nothing but the reader's folder to the first decrypted byte: request read, both halves released and
// logged, mirror read. Every run opens another recording with a reader that has just been opened.
func (w *world) firstByte(m reader.Mirror, ids []seal.RecordingID) error {
	var times []time.Duration
	for i := range firstBytes {
		out := &firstWrite{began: time.Now()}
		r, err := w.reader("investigator", m, out)
		if err != nil {
			return err
		}
		if _, err := r.Open(w.run.ctx, ids[i%len(ids)].String(), "-", reader.Range{}); err != nil {
			return err
		}
		times = append(times, out.took)
	}
	w.run.table.within(fmt.Sprintf("first decrypted byte, median of %d", len(times)), median(times), 50*time.Millisecond)
	return nil
}
