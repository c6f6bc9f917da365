package reader

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// actsFolder holds acts that wait to be filed, in the order in which they were done; what a keyholder refused for good stays in refusedActs.
const (
	actsFolder  = "acts"
	refusedActs = "refused"
	actEnding   = ".jws"
)

// signAct completes an act and signs it.
func (r *Reader) signAct(a record.Act) (string, error) {
	a.Audience, a.Issued = r.cfg.Fingerprint, r.now()
	_, _ = rand.Read(a.Nonce[:]) // crypto/rand does not fail
	if err := a.Validate(); err != nil {
		return "", err
	}
	return record.Sign(r.cfg.Identity, record.TypeAct, r.now(), a)
}

// keepAct signs an act and queues it. Commit point: after it the act is written down durably, and whatever runs next files it. It gives
// the statement's hash.
func (r *Reader) keepAct(a record.Act) (record.Digest, error) {
	raw, err := r.signAct(a)
	if err != nil {
		return record.Digest{}, err
	}
	r.queue.Lock()
	defer r.queue.Unlock()
	names, err := r.queued()
	if err != nil {
		return record.Digest{}, err
	}
	number := 1
	if len(names) > 0 {
		number += numberOf(names[len(names)-1])
	}
	hash := record.HashStatement(raw)
	// Two processes may take one number; the hash tells their files apart, and between them no order matters.
	return hash, r.write(r.path(actsFolder, fmt.Sprintf("%09d-%s%s", number, hash, actEnding)), []byte(raw))
}

func numberOf(name string) int {
	digits, _, _ := strings.Cut(name, "-")
	n, _ := strconv.Atoi(digits) // queued lets only such names through
	return n
}

// queued lists the waiting acts in order.
func (r *Reader) queued() ([]string, error) {
	files, err := os.ReadDir(r.path(actsFolder))
	if err != nil {
		return nil, failed(err)
	}
	var names []string
	for _, f := range files {
		digits, rest, _ := strings.Cut(f.Name(), "-")
		if _, err := strconv.ParseUint(digits, 10, 31); err == nil && strings.HasSuffix(rest, actEnding) {
			names = append(names, f.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return numberOf(a) - numberOf(b) })
	return names, nil
}

// FileActs files what waits at both keyholders, in order, and gives how many still wait: a keyholder that cannot be reached gets them
// from the next command. An act that a keyholder refuses for good is put aside in acts/refused, and the error says so; what it was
// refused for stands in that keyholder's journal.
func (r *Reader) FileActs(ctx context.Context) (waiting int, err error) {
	r.queue.Lock()
	defer r.queue.Unlock()
	names, err := r.queued()
	if err != nil {
		return 0, err
	}
	var refused error
	for i, name := range names {
		err := r.fileAct(ctx, name)
		switch {
		case err == nil:
		case problem.KindOf(err) == problem.Unavailable || problem.KindOf(err) == problem.Internal:
			return len(names) - i, errors.Join(refused, err)
		default:
			refused = errors.Join(refused, err, r.putAside(name))
		}
	}
	return 0, refused
}

// fileAct files one act at both and removes it when both have it. Filing again what one has already changes nothing there.
func (r *Reader) fileAct(ctx context.Context, name string) error {
	raw, err := os.ReadFile(r.path(actsFolder, name))
	if os.IsNotExist(err) {
		return nil // another process has filed it
	}
	if err != nil {
		return failed(err)
	}
	var behind [2]error
	err = r.both(ctx, func(ctx context.Context, role seal.Role, k Keyholder) error {
		err := k.FileAct(ctx, string(raw))
		if err != nil && (problem.KindOf(err) == problem.Unavailable || problem.KindOf(err) == problem.Internal) {
			behind[slices.Index(parties, role)] = fail(role, err)
		}
		return err
	})
	// Who refuses and who cannot be reached may be two: then it waits, so that the second hears of it too.
	if waits := errors.Join(behind[:]...); waits != nil {
		return waits
	}
	if err != nil {
		return err
	}
	if err := os.Remove(r.path(actsFolder, name)); err != nil && !os.IsNotExist(err) {
		return failed(err)
	}
	return syncDir(r.path(actsFolder))
}

func (r *Reader) putAside(name string) error {
	to := r.path(actsFolder, refusedActs)
	if err := os.MkdirAll(to, 0o700); err != nil {
		return failed(err)
	}
	if err := os.Rename(r.path(actsFolder, name), filepath.Join(to, name)); err != nil && !os.IsNotExist(err) {
		return failed(err)
	}
	return nil
}

// found writes down which recordings a listing shows for the first time, before it shows them.
func (r *Reader) found(g *grant, rows []Row) error {
	var list []record.Reference
	for _, row := range rows {
		if row.New {
			list = append(list, record.Reference{Batch: record.ID(row.Batch), Recording: record.ID(row.ID)})
		}
	}
	for some := range slices.Chunk(list, record.MaxActed) {
		if _, err := r.keepAct(record.Act{Chain: g.request.Chain, Kind: record.EventFound, Recordings: some, Request: g.hash, Result: record.Completed}); err != nil {
			return err
		}
	}
	return nil
}

// disclosed writes down that a bundle was made of recordings that were released under one request of one's own, and for which other case if it is
// for one. FileActs files it.
func (r *Reader) disclosed(request record.Digest, in *bundle.Source, hash record.Digest, recordings []record.Reference, to string) error {
	g, err := r.load(request)
	if err != nil {
		return err
	}
	a := record.Act{Bundle: hash, Chain: g.request.Chain, Kind: record.EventDisclosed, Reason: in.Reason, Recordings: recordings,
		Request: request, Result: record.Completed, To: to}
	if in.Casual != nil {
		a.Case, a.Court = in.Casual.Case, in.Casual.Court
	}
	_, err = r.keepAct(a)
	return err
}

// opening is an act of opening under way.
type opening struct {
	act  record.Act
	hash record.Digest
}

// begin writes down that a recording, or a part of it, is about to be opened. Nothing of it may leave before that.
func (r *Reader) begin(rec *recording, part Range) (opening, error) {
	a := record.Act{Chain: rec.grant.request.Chain, Kind: record.EventOpened, Minimised: part.Minimised, Request: rec.grant.hash, Result: record.Begun,
		Recordings: []record.Reference{{Batch: rec.entry.Batch, Recording: rec.entry.Recording}}}
	if err := part.into(&a, rec.content.Size()); err != nil {
		return opening{}, err
	}
	hash, err := r.keepAct(a)
	return opening{a, hash}, err
}

// into says which part an act is on.
func (part Range) into(a *record.Act, size int64) error {
	outside := problem.New(problem.Invalid, "the recording has %d bytes; the part lies outside or is empty", size)
	switch {
	case part.Bytes != nil:
		a.Bytes = record.Span{From: part.Bytes.First, Until: part.Bytes.Last}
		if part.Bytes.First == 0 && part.Bytes.Last == 0 || a.Bytes.Until >= size {
			a.Bytes.Until = size
		}
		if a.Bytes.From < 0 || a.Bytes.From >= size {
			return outside
		}
	case part.Span.From > 0 || part.Span.To > 0:
		a.Millis = record.Span{From: part.Span.From.Milliseconds(), Until: part.Span.To.Milliseconds()}
		if part.Span.To > 0 && a.Millis.Until <= a.Millis.From {
			a.Millis.Until = a.Millis.From + 1 // less than a thousandth of a second
		}
		if a.Millis == (record.Span{}) {
			a.Whole = true // from within the first thousandth to the end
		}
	default:
		a.Whole = true
	}
	return nil
}

// end writes down how it ended: as a file (copied), shown (opened), or not.
func (r *Reader) end(o opening, kind record.EventKind, cause error) error {
	o.act.Of, o.act.Kind, o.act.Result = o.hash, kind, record.Completed
	if cause != nil {
		o.act.Kind, o.act.Result = record.EventOpened, record.Failed
	}
	_, err := r.keepAct(o.act)
	return withCleanup(cause, err)
}
