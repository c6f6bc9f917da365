package edge

import (
	"io"
	"log/slog"
)

// Log gives the process log: JSON lines to w, one per request ("request",
// "function", "route" as its pattern, "status", "took" in nanoseconds, "kind"
// of a problem, "cause" of a failure of ours) or event. Lambda stores what a
// function writes to standard error; locally w is the party's process log.
func Log(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, nil))
}
