// Package custody reads what was done with one recording out of the journals of both keyholders, and says what is missing.
//
// # What it promises
//
// Every event of a case's journal is looked at, not only those of the recording: events are numbered from 1 and each names the hash of
// the one before, inside what the log commits to, so whoever is handed a journal sees a gap. Read verifies, for each keyholder:
// numbers and chain; the opening of each event against its log entry, by its proof under a checkpoint that the quorum has cosigned; the
// signature of each signed statement under its author's enrolment. Then it compares both keyholders, because each is sent every
// statement. What does not hold is a Finding that says where and what: gap, fork, altered, unproven, lacking. Only findings that are Grave
// mean that something was hidden or forged; the others are what happens when a party is behind.
//
// # What it trusts
//
// The pinned trust file, the witnesses' quorum, and that court and custodian are not one. It does not trust a keyholder, the log, or
// whoever hands it the journals. It has no clock, no network and no files: what it is given is all that it judges.
//
// # Times
//
// An event's Time is its author's clock, a claim. What counts is between which two checkpoints it entered the log. Not before: a release
// names the cosigned checkpoint by which it was decided, so whatever has its log index or a later one entered the log after the witnesses'
// earliest cosignature on that. Not after: whatever has a lower index than a cosigned tree's size was in the log by the
// witnesses' latest cosignature on it, because the witnesses cosign no tree that does not continue the one before.
//
// # Withheld events
//
// Who passes a journal on may withhold events that are nobody else's business: in their place stands the event's hash (Line.Withheld). The
// chain still holds and numbers still count, so that an omission is stated and never silent.
//
// # Bodies
//
// What an event says stands in the types NotedEvent, ReleasedEvent, StatementEvent and AdmittedEvent of package record. Unknown members of a
// body are passed over: the event as a whole is what the log holds.
package custody

import (
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/record"
)

// Line is an event with the opening and proof of its log entry, as a keyholder shows it or a bundle carries it.
type Line struct {
	Event    []byte        `json:"event,omitempty"` // canonical bytes
	Proof    []byte        `json:"proof,omitempty"` // C2SP tlog-proof, when State is proven
	Random   []byte        `json:"random,omitempty"`
	State    string        `json:"state,omitempty"`
	Withheld record.Digest `json:"withheld,omitzero"` // SHA-256 of an event that is not shown; then nothing else is set
}

// Where an event's entry is in the log, as its keyholder says.
const (
	Proven  = "proven"
	Pending = "pending" // held, and not yet under a witnessed checkpoint
	Missing = "missing" // the log does not know it
)

// Journal is one keyholder's events of a case in order, from number 1.
type Journal struct {
	Lines []Line `json:"lines"`
	Party string `json:"party"` // court or custodian
}

// Parties are the two whose journals are read, in the order in which they are named.
var Parties = []string{"court", "custodian"}

// Input is all that Read judges.
type Input struct {
	Trust     record.Trust     // pinned
	Audience  record.Digest    // its hash
	Verifier  *ledger.Verifier // of the log and witnesses that it names
	Chain     record.Digest    // the order chain, which is the case of its events
	Recording record.ID
	Journals  []Journal
	People    []record.Joint // enrolments; those that do not verify are passed over
	Packs     []Line         // events of the packs that hold the recording, if they are known
}

// Timeline is what was done with a recording, in the order in which the log took it.
type Timeline struct {
	Batch          record.ID     `json:"batch,omitzero"`
	Chain          record.Digest `json:"order"`
	Classification string        `json:"classification,omitzero"`
	Compartment    string        `json:"compartment,omitzero"`
	Complete       bool          `json:"complete"` // nothing was found, nothing withheld
	Entries        []Entry       `json:"acts"`
	Findings       []Finding     `json:"findings"`
	Journals       []Checked     `json:"journals"`
	Order          *record.Order `json:"authorisation,omitempty"` // the chain's first member
	Recording      record.ID     `json:"recording"`
	Week           string        `json:"week,omitzero"`
}

// Checked counts what was verified of one journal.
type Checked struct {
	Events   int64  `json:"events"`
	Party    string `json:"party"`
	Pending  int64  `json:"pending"`
	Proven   int64  `json:"proven"`
	Withheld int64  `json:"withheld"`
}

// Entry is one act. What both keyholders were sent is one entry that both have seen; what each does for itself is its own.
type Entry struct {
	Act       string        `json:"act"` // an event's kind, or for an order's member the member's
	By        Actor         `json:"by"`
	Claimed   time.Time     `json:"claimed"`           // by the clock of whoever acted
	Class     string        `json:"class,omitzero"`    // index or content
	NotAfter  time.Time     `json:"notAfter,omitzero"` // by the witnesses, see the package comment
	NotBefore time.Time     `json:"notBefore,omitzero"`
	On        Extent        `json:"on"`
	Party     string        `json:"party,omitzero"` // whose half, or who refused
	Request   record.Digest `json:"request,omitzero"`
	Result    string        `json:"result,omitzero"`
	Seen      []Seen        `json:"seen"`
	Statement record.Digest `json:"statement,omitzero"` // hash of the signed statement that is the act
	Why       string        `json:"why,omitzero"`
}

// Actor is who acted.
type Actor struct {
	Enrolment record.Digest `json:"enrolment,omitzero"` // names the enrolment that counted
	Key       record.KeyID  `json:"key,omitzero"`
	Name      string        `json:"name,omitzero"` // as enrolled
	Role      string        `json:"role,omitzero"`
}

// Extent says on which bytes an act was.
type Extent struct {
	Batch      record.ID     `json:"batch,omitzero"`
	Bundle     record.Digest `json:"bundle,omitzero"`
	Bytes      record.Span   `json:"bytes,omitzero"`
	Case       string        `json:"case,omitzero"`  // another case, for which it was disclosed
	Court      string        `json:"court,omitzero"` // of that case
	Made       record.Made   `json:"made,omitzero"`  // what was sealed of it
	Millis     record.Span   `json:"millis,omitzero"`
	Pack       uint64        `json:"pack,omitzero"`
	PackDigest record.Digest `json:"packDigest,omitzero"`
	Recordings int           `json:"recordings,omitzero"` // how many the act was on
	Sealed     record.Digest `json:"sealed,omitzero"`     // hash of the signed batch statement, which commits to all halves
	To         string        `json:"to,omitzero"`         // to whom it was disclosed
	Whole      bool          `json:"whole,omitzero"`
}

// Seen is an event that holds an act.
type Seen struct {
	Entry     string        `json:"entry,omitzero"` // the log entry
	Event     record.Digest `json:"event"`          // SHA-256 of its bytes
	Index     int64         `json:"index"`          // of the entry in the log; -1 unless proven
	NotAfter  time.Time     `json:"notAfter,omitzero"`
	NotBefore time.Time     `json:"notBefore,omitzero"`
	Number    int64         `json:"number"`
	Party     string        `json:"party"`
	Time      time.Time     `json:"time,omitzero"` // its author's clock
}

// What can be wrong.
const (
	Gap        = "gap"        // numbers are missing
	Duplicate  = "duplicate"  // an event stands twice
	OutOfOrder = "order"      // an event stands behind a later one
	Fork       = "fork"       // two histories: two events of one number, or an event that names another one before it
	Altered    = "altered"    // an event, opening or proof is not what was logged
	Foreign    = "foreign"    // an event of another author or case
	Unproven   = "unproven"   // no valid proof under a witnessed checkpoint
	NotLogged  = "not-logged" // the log does not know it
	Waiting    = "pending"    // not yet under a witnessed checkpoint
	Unsigned   = "unsigned"   // a statement that its author did not sign
	Unknown    = "unknown"    // a statement whose author's enrolment is not at hand
	Hidden     = "hidden"     // a keyholder's journal is not there
	Lacking    = "lacking"    // one keyholder has what the other has not
	Unreleased = "unreleased" // opened, and a keyholder's journal shows no release
)

// Finding is one thing that is missing or wrong.
type Finding struct {
	Code   string `json:"code"`
	Grave  bool   `json:"grave"`           // hidden or forged; the others are a party behind
	Number int64  `json:"number,omitzero"` // of the event
	Party  string `json:"party,omitzero"`  // whose journal
	Text   string `json:"text"`
}

// Grave reports whether anything was found that being behind does not explain.
func (t *Timeline) Grave() bool {
	for _, f := range t.Findings {
		if f.Grave {
			return true
		}
	}
	return false
}
