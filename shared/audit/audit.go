// Package audit follows a vault's log from outside, as somebody does who trusts
// neither the vault nor its operator: it re-verifies every entry and every tile,
// holds the log against what it showed before and against what others were shown,
// and raises an alarm with evidence when a party contradicts itself.
//
// # Promises
//
// What a Run reports as verified was hashed here, entry by entry, up to the root
// that the quorum of witnesses cosigned, and continues what the Run before
// verified. An alarm names what was seen; where somebody has signed both sides of
// a contradiction it comes with a ledger.Evidence, which convinces a stranger
// without this program's word. A Run that is killed goes on where it stopped.
//
// # Trust
//
// The pinned policy, SHA-256, and fewer dishonest witnesses than the quorum. Not
// the log, whoever serves it, nor those who hand in checkpoints. This folder's
// disk is trusted not to forget: who empties it begins anew and notices nothing older.
//
// # Folder
//
//	checkpoint      the newest checkpoint that was verified, a signed note
//	verified        how far entries were verified: a checkpoint's three lines
//	tile/…          with Config.Copy, the log's tiles, by their C2SP paths: with
//	                checkpoint a log that can be verified offline
//	seen/<hash>     checkpoints that others were shown, signed notes; gossip
//	evidence/<hash> ledger.Evidence
package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
)

// Log is where a log is read; *wire.Vault and Folder satisfy it. Nothing that it gives is believed.
type Log interface {
	// Checkpoint gives the newest checkpoint, a signed note.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Tile gives a tile or entry bundle by its C2SP path; problem.NotFound if it is not there.
	Tile(ctx context.Context, path string) ([]byte, error)
}

// Config is what an audit is given.
type Config struct {
	Folder   string           // its own; made if absent
	Verifier *ledger.Verifier // of the pinned trust files
	Log      Log
	Now      func() time.Time
	Copy     bool // keep every tile

	// Patience is how long the log may take to publish what a witness has cosigned already; zero does not wait.
	Patience time.Duration
}

// Seen is a checkpoint that somebody else was shown.
type Seen struct {
	Source string // for people: a file, a folder, an address
	Note   []byte
}

// Alarm is a party that contradicts itself, or a log that is not what it was.
type Alarm struct {
	What     string
	Evidence string           // path of a ledger.Evidence; "" where nobody has signed both sides
	Accused  []ledger.Accused // by the evidence
}

// Report is what a Run found.
type Report struct {
	Checkpoint ledger.Checkpoint // of the log now; zero if it was refused
	Before     int64             // entries that were verified before this run
	Verified   int64             // and after it
	Compared   int               // checkpoints of others that were held against it
	Ahead      int               // of these, larger than the log and without a quorum: the log has yet to show them
	Foreign    int               // what others handed in that no key of the policy has signed
	Stale      string            // why the checkpoint cannot stand for the present; "" when it can
	Alarms     []Alarm
}

// maxSeen bounds the gossip that is kept; the oldest of it goes first.
const maxSeen = 1000

// run is one Run.
type run struct {
	Config
	ctx      context.Context
	verifier *ledger.Verifier
	signed   []byte // the log's checkpoint now
	out      Report
}

// Run follows the log to its newest checkpoint and holds others' checkpoints against it. progress may be nil. Alarms are
// no error; an error means that the audit could not be finished, and that what it reports was found until then.
func Run(ctx context.Context, c Config, others []Seen, progress func(done, total int64)) (Report, error) {
	for _, name := range []string{"seen", "evidence"} {
		if err := os.MkdirAll(filepath.Join(c.Folder, name), 0o700); err != nil {
			return Report{}, problem.Wrap(problem.Unavailable, err, "the audit's folder cannot be made")
		}
	}
	r := &run{Config: c, ctx: ctx, verifier: c.Verifier}
	err := r.follow(r.largest(others), progress)
	if errors.Is(err, errAltered) {
		return r.out, nil // with tiles that are false nothing can be compared
	}
	if err == nil {
		err = r.compare(others)
	}
	return r.out, err
}

// errAltered says that an alarm was raised about the log's own tiles.
var errAltered = errors.New("the log is not what its witnesses cosigned")

// largest is the size of the largest tree for which somebody holds a quorum's cosignatures.
func (r *run) largest(others []Seen) (size int64) {
	for _, other := range others {
		if c, err := r.verifier.Verify(other.Note); err == nil {
			size = max(size, c.Size)
		}
	}
	return size
}

// newest fetches the log's checkpoint, again for a while if it is smaller than what a quorum is known to have cosigned.
func (r *run) newest(known int64) (now ledger.Checkpoint, err error) {
	for end := time.Now().Add(r.Patience); ; { // measures a span here and dates nothing
		if r.signed, err = r.Log.Checkpoint(r.ctx); err != nil {
			return now, err
		}
		if now, err = r.verifier.Verify(r.signed); err != nil {
			return now, problem.Wrap(problem.KindOf(err), err, "the log's checkpoint is refused: %s", problem.MessageOf(err))
		}
		if now.Size >= known || !time.Now().Before(end) {
			return now, nil
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-r.ctx.Done():
			return now, r.ctx.Err()
		}
	}
}

// follow brings the audit's own state up to the log's newest checkpoint.
func (r *run) follow(known int64, progress func(done, total int64)) error {
	old, kept, err := r.state()
	if err != nil {
		return err
	}
	now, err := r.newest(known)
	if err != nil {
		return err
	}
	r.out.Checkpoint = now
	if err := now.Fresh(r.Now(), ledger.MaxSkew); err != nil {
		r.out.Stale = problem.MessageOf(err)
	}
	if old != nil {
		continues, err := r.against(Seen{"this audit's last run", old}, "shorter than in the last run")
		if err != nil || !continues {
			return err // the state stays as it was: what it says is one side of the contradiction
		}
	}
	if err := r.verify(kept, now.Tree, progress); err != nil {
		return err
	}
	// Commit point: from here on no shorter or other history passes without an alarm.
	return r.write("checkpoint", r.signed)
}

// state reads what the last run left: its checkpoint, nil before the first, and how far it had verified entries.
func (r *run) state() (signed []byte, verified ledger.Tree, err error) {
	verified = ledger.Tree{Origin: r.verifier.Policy().Origin}
	text, err := os.ReadFile(filepath.Join(r.Folder, "verified"))
	if err == nil {
		verified, err = ledger.ParseTree(string(text))
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		if signed, err = os.ReadFile(filepath.Join(r.Folder, "checkpoint")); err == nil {
			_, err = r.verifier.Verify(signed)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) || verified.Origin != r.verifier.Policy().Origin {
		return nil, verified, problem.Wrap(problem.Invalid, err, "the audit's own state is damaged or of another log; put it back from a copy, or name another folder, which begins anew")
	}
	if _, missing := os.Stat(filepath.Join(r.Folder, "tile")); r.Copy && missing != nil {
		verified = ledger.Tree{Origin: r.verifier.Policy().Origin} // a copy is whole or none
	}
	r.out.Before, r.out.Verified = verified.Size, verified.Size
	return signed, verified, nil
}

// against holds the log's checkpoint against another and says whether it continues it. shorter says what a log that is shorter is.
func (r *run) against(other Seen, shorter string) (continues bool, err error) {
	theirs, err := r.verifier.Tree(other.Note)
	if err != nil {
		theirs = ledger.Tree{} // a witness alone may have signed it
	}
	now := r.out.Checkpoint
	found, err := r.verifier.Contradiction(r.signed, other.Note, r.hashes)
	switch {
	case found != nil:
		return false, r.alarm(found, other.Source)
	case errors.Is(err, ledger.ErrAltered) || problem.KindOf(err) == problem.NotFound && err != nil:
		if theirs.Size <= now.Size {
			r.out.Alarms = append(r.out.Alarms, Alarm{What: "the log does not serve tiles that lead to the root of its own checkpoint"})
			return false, nil
		}
		err = nil // the tiles of a larger tree are not there to compare
	case err != nil:
		return false, err
	}
	if theirs.Size > now.Size {
		if _, err := r.verifier.Verify(other.Note); err != nil {
			r.out.Ahead++ // cosigned by fewer than the quorum: not published yet
			return true, nil
		}
		r.out.Alarms = append(r.out.Alarms, Alarm{What: fmt.Sprintf("the log is %s: it shows %d entries, %s has a witnessed checkpoint of %d", shorter, now.Size, other.Source, theirs.Size)})
		return false, nil
	}
	return true, err
}

// hashes reads the log's tiles of a tree and believes them only so far as they lead to its root.
func (r *run) hashes(t ledger.Tree) tlog.HashReader { return ledger.Reader(t, r.fetch(t)) }

// fetch reads the log's tiles. Of a size that was never published there are no partial tiles: wider ones of tree t begin with them.
func (r *run) fetch(t ledger.Tree) func(ledger.Tile) ([]byte, error) {
	return func(tile ledger.Tile) ([]byte, error) {
		data, err := r.Log.Tile(r.ctx, tile.Path())
		if err != nil && problem.KindOf(err) == problem.NotFound && tile.Width < ledger.TileWidth {
			wider := tile
			wider.Width = int(min(ledger.TileWidth, t.Size>>(ledger.TileHeight*tile.Level)-tile.Number*ledger.TileWidth))
			if wider.Width > tile.Width {
				if data, err = r.Log.Tile(r.ctx, wider.Path()); err == nil && len(data) == wider.Bytes() {
					data = data[:tile.Bytes()]
				}
			}
		}
		return data, err
	}
}

// verify reads every entry and tile from one tree to another. What does not fit is an alarm, with nobody's two signatures on it:
// tiles are not signed.
func (r *run) verify(from, to ledger.Tree, progress func(done, total int64)) error {
	if from.Size > to.Size {
		from = ledger.Tree{Origin: to.Origin} // an interrupted run's target was never cosigned, or not kept
	}
	fetch := r.fetch(to)
	if r.Copy {
		fetch = r.copying(fetch)
	}
	audit, err := ledger.ResumeAudit(from, fetch)
	saved := r.Now()
	for done := from.Size == to.Size; err == nil && !done; {
		if done, err = audit.Advance(r.ctx, to.Size); err != nil {
			break
		}
		r.out.Verified = audit.Tree().Size
		if progress != nil {
			progress(r.out.Verified, to.Size)
		}
		if now := r.Now(); now.Sub(saved) > 5*time.Second {
			saved, err = now, r.write("verified", []byte(audit.Tree().Text()))
		}
	}
	if err == nil {
		err = audit.Finish(to)
	}
	if errors.Is(err, ledger.ErrAltered) {
		r.out.Alarms = append(r.out.Alarms, Alarm{What: fmt.Sprintf("from entry %d on the log's tiles are not what its witnesses cosigned: %s", r.out.Verified, problem.MessageOf(err))})
		return errAltered
	}
	if err != nil {
		return err
	}
	return r.write("verified", []byte(to.Text()))
}

// copying keeps what fetch reads. A tile that a crash cut short is read and kept again by a later run.
func (r *run) copying(fetch func(ledger.Tile) ([]byte, error)) func(ledger.Tile) ([]byte, error) {
	return func(t ledger.Tile) ([]byte, error) {
		data, err := fetch(t)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(r.Folder, filepath.FromSlash(t.Path()))
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			return nil, problem.Wrap(problem.Unavailable, err, "a tile cannot be kept in the audit's folder; is the disk full?")
		}
		return data, nil
	}
}

// compare holds the checkpoints of others, now and of earlier runs that were ahead then, against the log.
func (r *run) compare(others []Seen) error {
	names, err := filepath.Glob(filepath.Join(r.Folder, "seen", "*"))
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the audit's folder cannot be read")
	}
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil {
			others = append(others, Seen{"an earlier run's gossip", b})
		}
	}
	done := map[string]bool{string(r.signed): true}
	for _, other := range others {
		if done[string(other.Note)] {
			continue
		}
		done[string(other.Note)] = true
		if _, err := r.verifier.LastCosigned(other.Note); err != nil {
			r.out.Foreign++ // garbage, or of another log: it says nothing about this one
			continue
		}
		r.out.Compared++
		if _, err := r.against(other, "behind what others were shown"); err != nil {
			return err
		}
		if err := r.remember(other); err != nil {
			return err
		}
	}
	return r.forget()
}

// alarm keeps evidence.
func (r *run) alarm(e *ledger.Evidence, source string) error {
	b := e.Marshal()
	sum := sha256.Sum256(b)
	name := filepath.Join("evidence", fmt.Sprintf("%s-%x.txt", e.Kind, sum[:8]))
	what := map[string]string{
		ledger.KindFork:     "two histories of one log were signed: what the log shows now does not continue what is held by " + source,
		ledger.KindRollback: "a witness has gone back: it cosigned a smaller tree later than a larger one, which is held by " + source,
	}[e.Kind]
	r.out.Alarms = append(r.out.Alarms, Alarm{What: what, Evidence: filepath.Join(r.Folder, name), Accused: e.Accused})
	return r.write(name, b)
}

// remember keeps gossip under the hash of its text.
func (r *run) remember(s Seen) error {
	sum := sha256.Sum256(s.Note)
	name := filepath.Join("seen", fmt.Sprintf("%x", sum[:16]))
	if _, err := os.Stat(filepath.Join(r.Folder, name)); err == nil {
		return nil
	}
	return r.write(name, s.Note)
}

// forget drops the oldest gossip beyond what is kept.
func (r *run) forget() error {
	entries, err := os.ReadDir(filepath.Join(r.Folder, "seen"))
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the audit's folder cannot be read")
	}
	if len(entries) <= maxSeen {
		return nil
	}
	age := func(e fs.DirEntry) time.Time {
		if info, err := e.Info(); err == nil {
			return info.ModTime()
		}
		return time.Time{}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return age(a).Compare(age(b)) })
	for _, e := range entries[:len(entries)-maxSeen] {
		if err := os.Remove(filepath.Join(r.Folder, "seen", e.Name())); err != nil {
			return problem.Wrap(problem.Unavailable, err, "old gossip cannot be removed from the audit's folder")
		}
	}
	return nil
}

// write makes content the file's content, durably, or leaves the old one.
func (r *run) write(name string, content []byte) error {
	path := filepath.Join(r.Folder, name)
	err := func() error {
		f, err := os.CreateTemp(r.Folder, ".new-*")
		if err != nil {
			return err
		}
		defer os.Remove(f.Name()) // gone already once it was renamed
		_, err = f.Write(content)
		if err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if err := os.Rename(f.Name(), path); err != nil {
			return err
		}
		d, err := os.Open(filepath.Dir(path))
		if err != nil {
			return err
		}
		return errors.Join(d.Sync(), d.Close())
	}()
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the audit's folder cannot be written")
	}
	return nil
}
