package fault

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"sync/atomic"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
)

// When says on which side of the failing write the failure lies.
type When int

// The two ways in which a write can fail.
const (
	Before When = iota // nothing happened
	After              // it landed, and the caller does not learn it
)

var errInjected = errors.New("fault: injected")

func injected() error {
	return problem.Wrap(problem.Unavailable, errInjected, "the store did not answer; read again before repeating")
}

// Counter numbers the writes of all stores that share it, from 1.
type Counter struct{ n atomic.Int64 }

// Writes says how many writes were begun.
func (c *Counter) Writes() int64 { return c.n.Add(0) }

// Rows fails the write with number Nth, once. A job that is run again after the
// failure must end as if it had not happened.
type Rows struct {
	store.Rows
	Counter *Counter
	Nth     int64 // 0: none
	When    When
}

// Commit passes on, but for the chosen one.
func (f *Rows) Commit(ctx context.Context, writes ...store.Write) error {
	return fail(f.Counter, f.Nth, f.When, func() error { return f.Rows.Commit(ctx, writes...) })
}

// Blobs fails the write with number Nth, once. Put and Delete are writes.
type Blobs struct {
	store.Blobs
	Counter *Counter
	Nth     int64 // 0: none
	When    When
}

// Put passes on, but for the chosen one.
func (f *Blobs) Put(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	return fail(f.Counter, f.Nth, f.When, func() error { return f.Blobs.Put(ctx, key, size, sum, body) })
}

// Delete passes on, but for the chosen one.
func (f *Blobs) Delete(ctx context.Context, key string) error {
	return fail(f.Counter, f.Nth, f.When, func() error { return f.Blobs.Delete(ctx, key) })
}

func fail(c *Counter, nth int64, when When, write func() error) error {
	if c.n.Add(1) != nth {
		return write()
	}
	if when == Before {
		return injected()
	}
	if err := write(); err != nil {
		return err // refused: nothing landed that could be lost
	}
	return injected()
}

// CrashVariable names the environment variable of CrashRows and CrashBlobs.
const CrashVariable = "ARCA_CRASH_AFTER"

// landed counts the writes of this process that landed through Crash*.
var landed atomic.Int64

// CrashRows kills the process with SIGKILL as soon as as many writes have
// landed as ARCA_CRASH_AFTER says, counted over all stores of the process;
// without the variable it gives rows back unchanged. The write that kills has landed and
// its caller never learns it, so the next n stands for "before the following write".
func CrashRows(rows store.Rows) store.Rows {
	if n := crashAfter(); n > 0 {
		return &crashRows{rows, n}
	}
	return rows
}

// CrashBlobs is CrashRows for objects.
func CrashBlobs(blobs store.Blobs) store.Blobs {
	if n := crashAfter(); n > 0 {
		return &crashBlobs{blobs, n}
	}
	return blobs
}

// crashAfter reads the variable. A test that misspells its number must not pass by never crashing.
func crashAfter() int64 {
	value := os.Getenv(CrashVariable)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1 {
		panic(CrashVariable + " is not a positive number")
	}
	return n
}

type crashRows struct {
	store.Rows
	after int64
}

func (c *crashRows) Commit(ctx context.Context, writes ...store.Write) error {
	return crash(c.after, c.Rows.Commit(ctx, writes...))
}

type crashBlobs struct {
	store.Blobs
	after int64
}

func (c *crashBlobs) Put(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	return crash(c.after, c.Blobs.Put(ctx, key, size, sum, body))
}

func (c *crashBlobs) Delete(ctx context.Context, key string) error {
	return crash(c.after, c.Blobs.Delete(ctx, key))
}

func crash(after int64, err error) error {
	if err == nil && landed.Add(1) == after {
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			self.Kill() // SIGKILL: nothing is flushed, nothing is deferred
		}
		select {} // the signal is on its way; nothing may run on
	}
	return err
}
