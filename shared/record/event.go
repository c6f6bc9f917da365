package record

import (
	"crypto/sha256"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Event is one act, as its author records it. The log gets only a commitment to its canonical bytes.
// Events are numbered from 1 and chained per author and case inside the commitment, so that whoever
// holds a case's events sees a gap while the log shows nothing.
type Event struct {
	Author   string         `json:"author"`            // court, custodian, vault, or a key id
	Body     jsontext.Value `json:"body,omitempty"`    // depends on Kind
	Case     Digest         `json:"case,omitzero"`     // order chain; absent for acts outside any case
	Kind     EventKind      `json:"kind"`              //
	Number   int64          `json:"number"`            // 1, 2, 3 … per author and case
	Previous Digest         `json:"previous,omitzero"` // SHA-256 of the previous event's bytes
	Time     time.Time      `json:"time,omitzero"`     // the author's clock; the log's time is the witnesses'
}

// EventKind names an act.
type EventKind string

// The acts.
const (
	EventTrust     EventKind = "trust"     // a trust file was accepted
	EventAdmitted  EventKind = "admitted"  // an order chain member
	EventRefused   EventKind = "refused"   // something was refused
	EventEnrolled  EventKind = "enrolled"  //
	EventSuspended EventKind = "suspended" // a person
	EventUnit      EventKind = "unit"      // a unit key was made
	EventNoted     EventKind = "noted"     // a batch note was filed
	EventAsked     EventKind = "asked"     // a request was received
	EventApproved  EventKind = "approved"  //
	EventDenied    EventKind = "denied"    // an approver said no
	EventReleased  EventKind = "released"  // halves were handed over
	EventPack      EventKind = "pack"      // a pack arrived at the vault
	EventStamped   EventKind = "stamped"   // a checkpoint was timestamped (RFC 3161)
)

// Bytes gives the canonical bytes, which the log entry commits to.
func (e Event) Bytes() ([]byte, error) { return Marshal(e) }

// HashBytes is the digest by which the next event names this one.
func HashBytes(b []byte) Digest { return sha256.Sum256(b) }

// PackEvent is the body of EventPack.
type PackEvent struct {
	Number uint64 `json:"number"`
	Pack   Digest `json:"pack"`  // SHA-256 of the whole object
	Slots  Digest `json:"slots"` // SHA-256 of its slot area
}

// StampEvent is the body of EventStamped.
type StampEvent struct {
	Authority  string `json:"authority"`
	Checkpoint Digest `json:"checkpoint"` // SHA-256 of the stamped checkpoint, cosignatures included
	Number     uint64 `json:"number"`
	Token      Digest `json:"token"` // SHA-256 of the token
}
