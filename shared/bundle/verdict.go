package bundle

import (
	"errors"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// Verdict is what a verifier says of an artefact. The five are distinct, and each has an exit code of its own.
type Verdict string

// The verdicts.
const (
	Proven       Verdict = "proven"
	Altered      Verdict = "altered"             // it is not what was signed, byte for byte
	Incomplete   Verdict = "incomplete"          // what is there is genuine, and something is missing that nobody has stated
	Unwitnessed  Verdict = "not-yet-witnessed"   // genuine, but too few witnesses have seen the log entry; ask again later
	UnknownRoots Verdict = "trust-roots-unknown" // whole in itself, but under roots that you have not pinned
	Unreadable   Verdict = "not-read"            // nothing was concluded: the file is not there, or cannot be read
	NotOurs      Verdict = "unknown-kind"        // no bundle, receipt or log
)

// Reasons that package ledger does not know.
var (
	errIncomplete = errors.New("incomplete")
	errRoots      = errors.New("unknown roots")
	errNotOurs    = errors.New("not ours")
)

// VerdictOf tells which verdict a refusal is.
func VerdictOf(err error) Verdict {
	switch {
	case err == nil:
		return Proven
	case errors.Is(err, errNotOurs):
		return NotOurs
	case errors.Is(err, errIncomplete):
		return Incomplete
	case errors.Is(err, errRoots), errors.Is(err, ledger.ErrUnknownRoots), errors.Is(err, record.ErrForeignKey):
		return UnknownRoots
	case errors.Is(err, ledger.ErrUnwitnessed), errors.Is(err, ledger.ErrClock), errors.Is(err, ledger.ErrStale):
		return Unwitnessed
	}
	switch problem.KindOf(err) {
	case problem.Unavailable, problem.NotFound, problem.Internal:
		return Unreadable
	}
	return Altered
}

// Code is the exit code of a verdict.
func (v Verdict) Code() int {
	switch v {
	case Proven:
		return 0
	case Altered:
		return 10
	case Incomplete:
		return 11
	case Unwitnessed:
		return 12
	case UnknownRoots:
		return 13
	case NotOurs:
		return 3
	}
	return 8
}

// NotKnown is the refusal of what is no artefact of ours.
func NotKnown() error {
	return problem.Wrap(problem.Invalid, errNotOurs, "this is no bundle, no receipt and no log; give the file as the arca tools wrote it, or the folder of a log")
}

func incomplete(format string, args ...any) error {
	return problem.Wrap(problem.Denied, errIncomplete, format, args...)
}

func unknownRoots(format string, args ...any) error {
	return problem.Wrap(problem.Denied, errRoots, format, args...)
}

func denied(format string, args ...any) error {
	return problem.New(problem.Denied, format, args...)
}
