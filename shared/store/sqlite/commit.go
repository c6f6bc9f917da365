package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

// request is one Commit on its way to the writer. Whoever moves taken from
// false to true owns it: the writer, or a caller that gave up waiting.
type request struct {
	writes []store.Write
	bytes  int
	taken  atomic.Bool
	answer chan error
}

// Commit applies all writes or none. Once the writer has taken it up, Commit
// waits for the outcome even if ctx ends, because only then it is known.
func (d *DB) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.CheckCommit(writes); err != nil {
		return err
	}
	r := &request{writes: writes, answer: make(chan error, 1)}
	for _, w := range writes {
		r.bytes += len(w.Value)
	}
	select {
	case d.requests <- r:
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-d.closing:
		return unavailable(errClosed)
	}
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
	case <-d.stopped:
	}
	if r.taken.CompareAndSwap(false, true) {
		return unavailable(errors.Join(ctx.Err(), errClosed)) // withdrawn: the writer will skip it
	}
	return <-r.answer
}

var errClosed = errors.New("sqlite: closed")

// serve is the one writer: it takes what has queued up, writes it as one
// transaction, answers, and starts again.
func (d *DB) serve() {
	defer close(d.stopped)
	var held *request // taken from the queue, but the last group was full
	for {
		var group []*request
		size := 0
		first := held
		held = nil
		if first == nil {
			select {
			case first = <-d.requests:
			case <-d.closing:
				return
			}
		}
		for next := first; next != nil; {
			if len(group) == maxGroup || (len(group) > 0 && size+next.bytes > maxGroupBytes) {
				held = next
				break
			}
			if next.taken.CompareAndSwap(false, true) {
				group, size = append(group, next), size+next.bytes
			}
			select {
			case next = <-d.requests:
			default:
				next = nil
			}
		}
		if len(group) > 0 {
			d.write.apply(group)
		}
	}
}

// writer owns the one connection that writes, and its prepared statements.
type writer struct {
	db   *sql.DB
	conn *sql.Conn

	begin, commit, rollback  *sql.Stmt
	version, insert, replace *sql.Stmt
	remove                   *sql.Stmt
}

const schema = `CREATE TABLE IF NOT EXISTS rows(
	id INTEGER PRIMARY KEY,
	k TEXT NOT NULL UNIQUE,
	v BLOB NOT NULL,
	n INTEGER NOT NULL,
	e INTEGER NOT NULL
) STRICT`

func openWriter(path string) (*writer, error) {
	// SQLite would make the file readable by everyone; -wal and -shm follow its mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	w := &writer{db: db}
	if err := w.prepare(path); err != nil {
		db.Close()
		return nil, err
	}
	return w, nil
}

func (w *writer) prepare(path string) (err error) {
	ctx := context.Background()
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	var format int
	if err := w.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&format); err != nil {
		return err
	}
	if format > 1 {
		return fmt.Errorf("the file has format %d, this program knows format 1", format)
	}
	if _, err := w.conn.ExecContext(ctx, schema); err != nil {
		return err
	}
	if _, err := w.conn.ExecContext(ctx, "PRAGMA user_version = 1"); err != nil {
		return err
	}
	for query, statement := range map[string]**sql.Stmt{
		"BEGIN IMMEDIATE":                   &w.begin,
		"COMMIT":                            &w.commit,
		"ROLLBACK":                          &w.rollback,
		"SELECT n, e FROM rows WHERE k = ?": &w.version,
		"INSERT INTO rows(k, v, n, e) VALUES(?1,?2,?3,?4)":    &w.insert,
		"UPDATE rows SET v = ?2, n = ?3, e = ?4 WHERE k = ?1": &w.replace,
		"DELETE FROM rows WHERE k = ?":                        &w.remove,
	} {
		if *statement, err = w.conn.PrepareContext(ctx, query); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return syncFolder(path)
}

func (w *writer) close() error {
	for _, s := range []*sql.Stmt{w.begin, w.commit, w.rollback, w.version, w.insert, w.replace, w.remove} {
		if s != nil {
			s.Close()
		}
	}
	return errors.Join(w.conn.Close(), w.db.Close())
}

// apply writes a group as one transaction and answers each member. A member
// whose conditions do not hold writes nothing, because conditions are read
// before any of its writes and nobody else writes in between. If the database
// itself fails, the whole group is rolled back and told so.
func (w *writer) apply(group []*request) {
	outcomes := make([]error, len(group))
	err := run(w.begin)
	if err == nil {
		for i, r := range group {
			if outcomes[i], err = w.one(r.writes); err != nil {
				break
			}
		}
		if err == nil {
			// The commit point: after this line every nil in outcomes is on disk.
			err = run(w.commit)
		}
		if err != nil {
			// A COMMIT that failed leaves the transaction open or rolled back; in
			// either case nothing of it is visible after this.
			run(w.rollback)
		}
	}
	for i, r := range group {
		if err != nil {
			outcomes[i] = unavailable(err)
		}
		r.answer <- outcomes[i]
	}
}

// one checks and applies one commit inside the open transaction. refused is
// its own Conflict; err is the database failing.
func (w *writer) one(writes []store.Write) (refused, err error) {
	now := time.Now().Unix()
	there := make([]bool, len(writes)) // a row exists in the table, expired or not
	for i, x := range writes {
		var version, expires int64
		switch err := w.version.QueryRow(x.Key).Scan(&version, &expires); {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return nil, err
		default:
			there[i] = true
			if expires != 0 && expires <= now {
				version = 0
			}
		}
		if version != x.Version {
			return problem.New(problem.Conflict, "a row changed meanwhile; read again"), nil
		}
	}
	for i, x := range writes {
		if err := w.put(x, there[i]); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (w *writer) put(x store.Write, there bool) error {
	switch {
	case x.Op == store.Delete:
		return run(w.remove, x.Key)
	case x.Op == store.Check:
		return nil
	}
	statement := w.insert
	if there {
		statement = w.replace
	}
	value := x.Value
	if value == nil {
		value = []byte{} // a nil slice would be NULL
	}
	expires := int64(0)
	if !x.Expires.IsZero() {
		expires = x.Expires.Unix()
	}
	return run(statement, x.Key, value, x.Version+1, expires)
}

func run(s *sql.Stmt, args ...any) error {
	_, err := s.Exec(args...)
	return err
}
