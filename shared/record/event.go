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
	EventDeposited EventKind = "deposited" // a collector says in which packs of the log a batch lies, see Deposited
	EventAsked     EventKind = "asked"     // a request was received
	EventApproved  EventKind = "approved"  //
	EventDenied    EventKind = "denied"    // an approver said no
	EventReleased  EventKind = "released"  // halves were handed over
	EventPack      EventKind = "pack"      // a pack arrived at the vault
	EventRepaired  EventKind = "repaired"  // a damaged object was replaced from a second copy
	EventStamped   EventKind = "stamped"   // a checkpoint was timestamped (RFC 3161)
	EventFound     EventKind = "found"     // a reader's act: recordings were listed, see Act
	EventOpened    EventKind = "opened"    // a reader's act
	EventCopied    EventKind = "copied"    // a reader's act: what was opened is a file now
	EventDisclosed EventKind = "disclosed" // a reader's act: a bundle was made
	EventAnnotated EventKind = "annotated" // a reader's act: a note or transcript of a recording was sealed, see Made
	EventMoved     EventKind = "moved"     // a reader's act: a recording was sealed again into another compartment
	EventLapsed    EventKind = "lapsed"    // a term ended by itself, see LapsedEvent
	EventWarned    EventKind = "warned"    // those concerned were told in their inbox of what is due, see WarnedEvent
	EventReported  EventKind = "reported"  // a report to the judge is in the court's inbox, see ReportedEvent
	EventClosed    EventKind = "closed"    // a collector adds nothing more to a unit
	EventDestroyed EventKind = "destroyed" // a judge's destruction was carried out here
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

// NotedEvent is the body of EventNoted: whoever holds the note can hold it against Signed, whoever does not learns which
// recordings the batch has.
type NotedEvent struct {
	Batch      ID     `json:"batch"`
	Collector  KeyID  `json:"collector"`
	Recordings []ID   `json:"recordings"`
	Signature  []byte `json:"signature"` // the collector's, over Signed (package seal)
	Signed     []byte `json:"signed"`    // the batch's statement: unit, number, hashes of descriptors and members
	Statement  Digest `json:"statement"` // its hash
}

// ReleasedEvent is the body of EventReleased.
type ReleasedEvent struct {
	Answer     Digest      `json:"answer"`     // hash of the signed answer that carries the halves
	Checkpoint string      `json:"checkpoint"` // cosigned note by whose time it was decided: the release is younger
	Class      string      `json:"class"`
	Enrolment  Digest      `json:"enrolment"` // of To, as it counted
	From       int         `json:"from"`      // position of the first of Recordings in the whole answer
	Items      int         `json:"items"`
	Recordings []Reference `json:"recordings"` // whose halves left
	Request    Digest      `json:"request"`
	To         KeyID       `json:"to"`
	Total      int         `json:"total"`
}

// StatementEvent is the body of an event that says that a statement came: asked, approved, denied, refused and a reader's acts. What
// the statement says is not repeated, apart from what a journal is searched for.
type StatementEvent struct {
	By        KeyID  `json:"by"`
	Class     string `json:"class,omitzero"`
	Enrolment Digest `json:"enrolment,omitzero"` // of By, as it counted
	Purpose   string `json:"purpose,omitzero"`   // asked
	Reason    string `json:"reason,omitzero"`
	Request   Digest `json:"request,omitzero"`
	Rule      string `json:"rule,omitzero"` // refused order: which rule of package law forbids it, if that is counted
	Statement string `json:"statement"`     // as signed
}

// AdmittedEvent is the body of EventAdmitted.
type AdmittedEvent struct {
	Kind      OrderKind `json:"kind"`
	Member    Digest    `json:"member"`
	Statement string    `json:"statement"`
}

// LapsedEvent is the body of EventLapsed. At is the instant that statute and order give, whenever the event was written.
type LapsedEvent struct {
	Article string    `json:"article"`
	At      time.Time `json:"at"`
	Clock   string    `json:"clock"` // of package law, as term-end
	Roles   []Role    `json:"roles"` // who were told
}

// WarnedEvent is the body of EventWarned.
type WarnedEvent struct {
	Article string    `json:"article"`
	Clock   string    `json:"clock"` // of package law, as report
	Due     time.Time `json:"due"`
	Level   string    `json:"level"` // due, overdue or escalated
	Roles   []Role    `json:"roles"` // who were told
}

// How far a duty has come when those concerned are told of it.
const (
	LevelDue       = "due"       // the warning before
	LevelOverdue   = "overdue"   //
	LevelEscalated = "escalated" // still open when as much time again has passed as it was warned of
	LevelEnded     = "ended"     // a term that is over: the event is EventLapsed
)

// ReportedEvent is the body of EventReported. What the report says stands in no journal: auditors read journals and no transcripts.
type ReportedEvent struct {
	By     KeyID     `json:"by"`             // the author; a keyholder's own key for the part that it composed
	Due    time.Time `json:"due,omitzero"`   // a keyholder's part: the date that it is for
	Final  bool      `json:"final,omitzero"` // after the end of the measure
	Report Digest    `json:"report"`         // hash of the statement
}

// DestroyedEvent is the body of EventDestroyed.
type DestroyedEvent struct {
	Certificate string `json:"certificate"` // as signed
	Decision    Digest `json:"decision"`
}

// RepairEvent is the body of EventRepaired.
type RepairEvent struct {
	Found  Digest `json:"found,omitzero"` // SHA-256 of what lay there; absent: nothing, or not readable
	Number uint64 `json:"number"`
	Object string `json:"object"` // its key
	Stored Digest `json:"stored"` // SHA-256 of what belongs there
}
