package edge

import (
	"context"
	"io"
	"log/slog"
	"sync"
)

// Log gives the process log: JSON lines to w, one per request ("request",
// "function", "route" as its pattern, "status", "took" in nanoseconds, "kind"
// of a problem, "cause" of a failure of ours) or event. Lambda stores what a
// function writes to standard error; locally w is the party's process log.
func Log(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, nil))
}

// counted are the numbers that a function adds to its event's log line.
type counted struct {
	mu    sync.Mutex
	attrs []slog.Attr
}

type countedKey struct{}

// Count adds a number to the log line of the event that runs in ctx, for the metric filters of template.yaml. Names are
// constants of the program: nothing that was received may become one.
func Count(ctx context.Context, name string, n int64) {
	if c, ok := ctx.Value(countedKey{}).(*counted); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.attrs = append(c.attrs, slog.Int64(name, n))
	}
}
