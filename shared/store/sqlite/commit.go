package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strings"
	"sync"
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

	begin, commit, rollback *sql.Stmt
	insert, replace, remove *sql.Stmt
	wide                    wide // reads versions
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
		"BEGIN IMMEDIATE": &w.begin,
		"COMMIT":          &w.commit,
		"ROLLBACK":        &w.rollback,
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
	for _, s := range []*sql.Stmt{w.begin, w.commit, w.rollback, w.insert, w.replace, w.remove} {
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
	there, err := w.versions(writes)
	if err != nil {
		return nil, err
	}
	for _, x := range writes {
		if there[x.Key] != x.Version && (x.Version != 0 || there[x.Key] != expired) {
			return problem.New(problem.Conflict, "a row changed meanwhile; read again"), nil
		}
	}
	for _, x := range writes {
		if err := w.put(x, there[x.Key] != 0); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// expired stands for the version of a row that is in the table and counts as absent.
const expired = -1

// versions reads the versions of all rows of a commit at once.
func (w *writer) versions(writes []store.Write) (map[string]int64, error) {
	keys := make([]string, len(writes))
	for i, x := range writes {
		keys[i] = x.Key
	}
	statement, args, err := w.wide.prepared(context.Background(), w.conn, "SELECT k, n, e FROM rows WHERE k IN (%s)", keys)
	if err != nil {
		return nil, err
	}
	rows, err := statement.Query(args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	now, there := time.Now().Unix(), make(map[string]int64, len(writes))
	for rows.Next() {
		var key string
		var version, expires int64
		if err := rows.Scan(&key, &version, &expires); err != nil {
			return nil, err
		}
		if expires != 0 && expires <= now {
			version = expired
		}
		there[key] = version
	}
	return there, rows.Err()
}

// wide keeps one statement about several rows prepared for every power of two of them: parsing SQL costs several times what finding a row does.
type wide struct {
	mu         sync.Mutex
	statements [8]*sql.Stmt // store.MaxRows is below 128
}

// preparer is a database or one of its connections.
type preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// prepared gives the statement for the keys, and them as its arguments. query has %s where the places for keys go.
func (p *wide) prepared(ctx context.Context, db preparer, query string, keys []string) (*sql.Stmt, []any, error) {
	i := bits.Len(uint(len(keys) - 1))
	width := 1 << i
	args := make([]any, width, width+1)
	for n := range args {
		args[n] = keys[min(n, len(keys)-1)] // asking twice finds once
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.statements[i] == nil {
		statement, err := db.PrepareContext(ctx, fmt.Sprintf(query, "?"+strings.Repeat(",?", width-1)))
		if err != nil {
			return nil, nil, err
		}
		p.statements[i] = statement
	}
	return p.statements[i], args, nil
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
