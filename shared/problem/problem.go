// Package problem is the one vocabulary of failure in Arca.
//
// An error has a kind, a message for the caller that says what to do, and a
// cause for the operator's log. The message never carries a secret, an
// internal detail, or a value that the caller sent; the cause never leaves the
// process that saw it. The edge maps kinds to HTTP status codes by one table
// (RFC 9457 problem details).
package problem

import (
	"errors"
	"fmt"
)

// Kind says what a caller can conclude from an error.
type Kind string

// The kinds. Nothing outside this list exists.
const (
	Invalid     Kind = "invalid"     // the input is wrong and will stay wrong
	Denied      Kind = "denied"      // policy, signature or order forbids it
	NotFound    Kind = "not-found"   // no such thing, or none that the caller may know of
	Conflict    Kind = "conflict"    // the state moved; read again
	Gone        Kind = "gone"        // it existed and was destroyed or has lapsed
	Unavailable Kind = "unavailable" // nothing was lost; try again later
	Internal    Kind = "internal"    // a defect of ours
)

// Error is a failure with a kind, a message for the caller and a cause for the log.
type Error struct {
	Kind    Kind
	Message string
	Cause   error
}

// New returns an error of a kind whose message says what to do.
func New(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap is New with a cause that is logged but never shown.
func Wrap(kind Kind, cause error, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// Error gives the message and, for logs, the cause behind it.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// KindOf gives the kind of the outermost Error in err's chain, Internal if there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// MessageOf gives what a caller may be told about err.
func MessageOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Message
	}
	return "something failed on our side; nothing was lost; try again, and tell the operator if it stays"
}
