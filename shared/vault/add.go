package vault

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
)

// Concurrent Adds share commits: while one commit is on its way to the disk,
// the entries of everybody else gather for the next. So the number of clients
// raises the size of a batch, not the number of commits.
const (
	writers       = 2                // commits of one process on their way at a time
	commitTimeout = 20 * time.Second // for one batch with its retries
	maxAttempts   = 24
)

// queue holds what Add has accepted and no writer has taken yet.
type queue struct {
	mu      sync.Mutex
	waiting []*addition
	writers int
}

// addition is at most maxBatch entries of one Add.
type addition struct {
	entries []ledger.Entry
	done    chan error // buffered: a caller that gave up blocks nobody
}

// Add stores entries durably; when it returns nil they will be in the log.
// Adding an entry again, now or in ten years, changes nothing. On an error
// some of the entries may be stored; add all of them again.
func (l *Ledger) Add(ctx context.Context, entries []ledger.Entry) error {
	if len(entries) > maxAdd {
		return problem.New(problem.Invalid, "at most %d log entries can be added at once", maxAdd)
	}
	var parts []*addition
	for rest := unique(entries); len(rest) > 0; {
		n := min(len(rest), maxBatch)
		parts = append(parts, &addition{entries: rest[:n], done: make(chan error, 1)})
		rest = rest[n:]
	}
	l.enqueue(parts)
	for _, part := range parts {
		select {
		case err := <-part.done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return problem.Wrap(problem.Unavailable, ctx.Err(), "the log did not answer in time; add the entries again")
		}
	}
	return nil
}

func (l *Ledger) enqueue(parts []*addition) {
	q := &l.adding
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, parts...)
	for range parts {
		if q.writers < writers {
			q.writers++
			go l.write()
		}
	}
}

// take gives additions that fit one batch together; a writer that gets none is done.
func (q *queue) take() []*addition {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, total := 0, 0
	for n < len(q.waiting) && total+len(q.waiting[n].entries) <= maxBatch {
		total += len(q.waiting[n].entries)
		n++
	}
	taken := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	if n == 0 {
		q.writers--
	}
	return taken
}

// write commits what waits until nothing does.
func (l *Ledger) write() {
	for shard := rand.IntN(addShards); ; {
		taken := l.adding.take()
		if len(taken) == 0 {
			return
		}
		var entries []ledger.Entry
		for _, a := range taken {
			entries = append(entries, a.entries...)
		}
		// Not a caller's context: the batch belongs to several callers.
		ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
		var err error
		shard, err = l.commitBatch(ctx, shard, unique(entries))
		cancel()
		for _, a := range taken {
			a.done <- err
		}
	}
}

// commitBatch makes 1 to maxBatch entries durable and gives the shard to try
// first next time. After a conflict and after a commit of unknown outcome it
// reads what is there before it writes again: whatever has a leaf row is in.
func (l *Ledger) commitBatch(ctx context.Context, shard int, entries []ledger.Entry) (int, error) {
	for attempt := 1; ; attempt++ {
		number, err := l.next(ctx, shard)
		if err == nil {
			err = l.rows.Commit(ctx, batchWrites(shard, number, entries)...)
		}
		if err == nil {
			// Commit point: from here on these entries will be in the log.
			l.setEnd(shard, number+1)
			return shard, nil
		}
		kind := problem.KindOf(err)
		if kind != problem.Conflict && kind != problem.Unavailable || attempt == maxAttempts {
			return shard, problem.Wrap(problem.Unavailable, err, "the log could not store the entries; add them again")
		}
		if err := pause(ctx, attempt); err != nil {
			return shard, err
		}
		if left, err := l.missing(ctx, entries); err == nil {
			entries = left
		}
		if len(entries) == 0 {
			return shard, nil
		}
		l.forgetEnd(shard)
		shard = rand.IntN(addShards) // another writer may stand on this one
	}
}

// next is end without reading when this process was the last to find the
// shard's end. If that is out of date the commit conflicts, and next reads.
func (l *Ledger) next(ctx context.Context, shard int) (int64, error) {
	l.mu.Lock()
	number, known := l.ends[shard], l.known[shard]
	l.mu.Unlock()
	if known {
		return number, nil
	}
	return l.end(ctx, shard)
}

func (l *Ledger) forgetEnd(shard int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[shard] = false
}

// pause waits a random while that grows with each attempt, at most a quarter second.
func pause(ctx context.Context, attempt int) error {
	limit := min(time.Millisecond<<min(attempt, 8), 250*time.Millisecond)
	select {
	case <-time.After(rand.N(limit)):
		return nil
	case <-ctx.Done():
		return problem.Wrap(problem.Unavailable, ctx.Err(), "the log did not answer in time; add the entries again")
	}
}
