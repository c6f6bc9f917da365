// Package sqlite keeps store.Rows in one SQLite file: the embedded default.
//
// It promises what store.Rows promises. WAL with synchronous=FULL puts every
// acknowledged Commit on disk before Commit returns. Commits that arrive while
// one is being written are put into the next transaction together, so that many
// writers share one fsync; each of them still succeeds or conflicts on its own.
//
// It trusts the file system to keep what fsync acknowledged, and that no one
// else writes the file. It does not trust rows to be secret: see package sealed.
//
// Format: one table
//
//	rows(id INTEGER PRIMARY KEY, k TEXT UNIQUE, v BLOB, n INTEGER version, e INTEGER unix expiry, 0 never)
//
// and PRAGMA user_version 1. A row keeps its id for its life, so segments of a
// scan (id modulo the number of segments) are stable.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	_ "modernc.org/sqlite" // the pure Go engine
)

const (
	maxGroup      = 256     // commits in one transaction
	maxGroupBytes = 8 << 20 // values in one transaction
	scanPage      = 32      // rows read at once by Scan, at most 400 KiB each
	readers       = 4       // connections that only read
)

// DB is a store.Rows in one file. It is safe for concurrent use.
type DB struct {
	read  *sql.DB
	write *writer

	wide wide // reads rows

	requests chan *request
	closing  chan struct{}
	stopped  chan struct{}
	once     sync.Once
}

// Open opens or creates the file at path.
func Open(path string) (*DB, error) {
	w, err := openWriter(path)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the database file cannot be opened; check that its folder exists, is writable and has space")
	}
	read, err := sql.Open("sqlite", dsn(path)+"&_pragma=query_only(1)")
	if err != nil {
		w.close()
		return nil, err
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	d := &DB{read: read, write: w, requests: make(chan *request, maxGroup), closing: make(chan struct{}), stopped: make(chan struct{})}
	go d.serve()
	return d, nil
}

// dsn names the file with the settings that every connection needs.
// The path is escaped, so that a '?' or '%' in it stays part of the name.
func dsn(path string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=cache_size(-16384)&_txlock=immediate"
}

// Close lets the running transaction end and closes the file. Commits that
// wait are answered Unavailable.
func (d *DB) Close() error {
	d.once.Do(func() { close(d.closing) })
	<-d.stopped
	return errors.Join(d.read.Close(), d.write.close())
}

// Get returns the present rows among keys, all from one snapshot.
func (d *DB) Get(ctx context.Context, keys ...string) (map[string]store.Row, error) {
	if err := store.CheckGet(keys); err != nil {
		return nil, err
	}
	found := make(map[string]store.Row, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	const query = "SELECT id, k, v, n, e FROM rows WHERE k IN (%s) AND (e = 0 OR e > ?)"
	statement, args, err := d.wide.prepared(ctx, d.read, query, keys)
	if err != nil {
		return nil, unavailable(err)
	}
	rows, err := statement.QueryContext(ctx, append(args, time.Now().Unix())...)
	if err != nil {
		return nil, unavailable(err)
	}
	_, err = collect(rows, func(r store.Row) { found[r.Key] = r })
	return found, err
}

// Scan yields every row of a segment. It holds no transaction while yield
// runs, so that yield may Commit.
func (d *DB) Scan(ctx context.Context, segment, segments int, yield func(store.Row) error) error {
	if err := store.CheckScan(segment, segments); err != nil {
		return err
	}
	const query = "SELECT id, k, v, n, e FROM rows WHERE id > ? AND id % ? = ? AND (e = 0 OR e > ?) ORDER BY id LIMIT ?"
	for after := int64(0); ; {
		var page []store.Row
		rows, err := d.read.QueryContext(ctx, query, after, segments, segment, time.Now().Unix(), scanPage)
		if err != nil {
			return unavailable(err)
		}
		last, err := collect(rows, func(r store.Row) { page = append(page, r) })
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := yield(r); err != nil {
				return err
			}
		}
		if len(page) < scanPage {
			return nil
		}
		after = last
	}
}

// collect gives the rows of a query and the last id.
func collect(rows *sql.Rows, each func(store.Row)) (last int64, err error) {
	defer rows.Close()
	for rows.Next() {
		var r store.Row
		var expires int64
		if err := rows.Scan(&last, &r.Key, &r.Value, &r.Version, &expires); err != nil {
			return 0, unavailable(err)
		}
		if expires != 0 {
			r.Expires = time.Unix(expires, 0).UTC()
		}
		each(r)
	}
	if err := rows.Err(); err != nil {
		return 0, unavailable(err)
	}
	return last, nil
}

func unavailable(err error) error {
	return problem.Wrap(problem.Unavailable, err, "the database did not answer; nothing was lost; try again")
}

// syncFolder makes the file's own directory entry durable: SQLite syncs the
// file, and a file whose name is lost is lost.
func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
