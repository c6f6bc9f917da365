// Package wire is how the parties talk: the bodies of every call and the
// client that makes them. Server and client share these types, so they cannot drift.
//
// Every call carries a proof of possession (record.Proof) where its caller has a key to
// show; statements prove themselves. A client believes nothing that it is told: it hands
// signed artefacts to whoever asked, unread. Answers are bounded in size and time.
package wire

import (
	"encoding/binary"
	"net/http"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// MaxAnswer is the largest answer that a client reads, in bytes.
const MaxAnswer = 8 << 20

// VaultIdentity is the answer of GET /v1/vault.
type VaultIdentity struct {
	LogKey     string `json:"logKey" doc:"signed-note verifier key of the log"`
	NextLogKey string `json:"nextLogKey,omitempty" doc:"the key that the next trust file is to name, if one was made"`
	LogOrigin  string `json:"logOrigin" doc:"first line of the log's checkpoints"`
	PackBytes  int    `json:"packBytes" doc:"size of every pack"`
	PackSlots  int    `json:"packSlots" doc:"header slots of every pack"`
}

// Reserve asks POST /v1/packs for numbers.
type Reserve struct {
	Count int    `json:"count" minimum:"1" maximum:"64" doc:"how many numbers"`
	Nonce string `json:"nonce" minLength:"32" maxLength:"32" doc:"32 hexadecimal digits; the same nonce gives the same numbers"`
}

// Reserved is its answer: numbers First to First+Count-1.
type Reserved struct {
	First uint64 `json:"first" doc:"the first number"`
}

// Announce tells POST /v1/packs/{number}/upload what will be stored.
type Announce struct {
	Pack  string `json:"pack" minLength:"64" maxLength:"64" doc:"SHA-256 of the whole pack"`
	Slots string `json:"slots" minLength:"64" maxLength:"64" doc:"SHA-256 of its slot area"`
}

// Transfer is one HTTP request that moves a pack to or from the object store.
type Transfer struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Header  http.Header `json:"header" doc:"to be sent exactly"`
	Expires time.Time   `json:"expires"`
}

// Packs is the answer of GET /v1/packs.
type Packs struct {
	Next  uint64       `json:"next" doc:"lowest number that was never given out"`
	Packs []ListedPack `json:"packs" doc:"arrived packs in order, without a gap"`
}

// ListedPack is a pack with the opening of its log entry.
type ListedPack struct {
	Event  []byte `json:"event" doc:"canonical bytes of the pack's event"`
	Number uint64 `json:"number"`
	Random []byte `json:"random" doc:"32 bytes that open its log entry"`
}

// Scrub is the answer of GET /v1/scrub.
type Scrub struct {
	At         time.Time     `json:"at,omitzero" doc:"when the last run ended; absent before the first"`
	Began      time.Time     `json:"began,omitzero" doc:"when the pass that is running began"`
	Damaged    []Damage      `json:"damaged" doc:"objects that are not what the log says, up to 1000"`
	Drawn      int64         `json:"drawn" doc:"objects drawn at random in the last run: k"`
	Looked     int64         `json:"looked" doc:"objects read in the last run"`
	Objects    int64         `json:"objects" doc:"packs, full tiles and bundles that there are"`
	Passed     time.Time     `json:"passed,omitzero" doc:"when the last whole pass ended"`
	Read       int64         `json:"read" doc:"bytes read in the last run"`
	Repaired   int64         `json:"repaired" doc:"objects repaired in the last run"`
	Repairs    []ListedEvent `json:"repairs" doc:"openings of the repairs' log entries, from the number that was asked for"`
	RepairNext uint64        `json:"repairNext" doc:"lowest number of a repair that was never given out"`
	Unnamed    int64         `json:"unnamed" doc:"damaged objects beyond the list"`
}

// Damage is an object that is not what the log says.
type Damage struct {
	Object string    `json:"object" doc:"its key"`
	Since  time.Time `json:"since" doc:"when a run first saw it"`
	State  string    `json:"state" enum:"missing,damaged,unreadable,unlogged"`
}

// ListedEvent is an event of the vault's with the opening of its log entry.
type ListedEvent struct {
	Event  []byte `json:"event" doc:"canonical bytes"`
	Number uint64 `json:"number"`
	Random []byte `json:"random" doc:"32 bytes that open its log entry"`
}

// Stamps is the answer of GET /v1/stamps.
type Stamps struct {
	Next   uint64  `json:"next" doc:"lowest number that was never given out"`
	Stamps []Stamp `json:"stamps" doc:"in order, without a gap"`
}

// Stamp is an RFC 3161 timestamp on a checkpoint.
type Stamp struct {
	Checkpoint []byte `json:"checkpoint" doc:"the stamped checkpoint, a signed note"`
	Event      []byte `json:"event" doc:"canonical bytes of the event that pins the token in the log"`
	Number     uint64 `json:"number"`
	Random     []byte `json:"random" doc:"32 bytes that open its log entry"`
	Token      []byte `json:"token" doc:"DER"`
}

// Entries are handed to POST /v1/entries.
type Entries struct {
	Entries []string `json:"entries" minItems:"1" maxItems:"100" doc:"log entries, 64 hexadecimal digits each"`
}

// Accepted says that something is durable, with nothing to add.
type Accepted struct {
	Accepted bool `json:"accepted"`
}

// KeyholderIdentity is the answer of GET /v1/keyholder.
type KeyholderIdentity struct {
	Next   string `json:"next,omitempty" doc:"the online key that the next trust file is to name, if one was made"`
	Online string `json:"online" doc:"public key of the keyholder functions"`
	Party  string `json:"party" enum:"court,custodian"`
}

// TrustFiles is the answer of GET /v1/trust.
type TrustFiles struct {
	Files record.TrustChain `json:"files" doc:"the trust files from the first on; the last may not be in force yet: then its log entry has no proof"`
}

// StatusAsk asks POST /v1/status.
type StatusAsk struct {
	Chains  []string `json:"chains" minItems:"1" maxItems:"100" doc:"order chains, each once"`
	Members bool     `json:"members,omitempty" doc:"give the chains' members too"`
	Nonce   string   `json:"nonce" minLength:"32" maxLength:"32" doc:"drawn by the asker for this call"`
}

// Statuses is its answer.
type Statuses struct {
	Members   [][]string `json:"members,omitempty" doc:"of each chain, when asked for: as signed, oldest first; empty when there is none, or when the answer would be too large: ask for that chain alone"`
	Statement string     `json:"statement" doc:"signed status of all chains in the order asked, JWS compact form"`
}

// Signed carries one statement.
type Signed struct {
	Statement string `json:"statement" doc:"JWS compact form"`
}

// SignedList carries statements.
type SignedList struct {
	Statements []string `json:"statements" doc:"JWS compact form each"`
}

// Refused says why one of several things in a call was refused. The others were not.
type Refused struct {
	Detail string       `json:"detail" doc:"what to do"`
	Index  int          `json:"index" doc:"its place in the call, from 0"`
	Kind   problem.Kind `json:"kind" enum:"invalid,denied,not-found,conflict,gone" doc:"as in a problem document"`
}

// UnitsAsk asks POST /v1/units for units' keys.
type UnitsAsk struct {
	Units []UnitAsk `json:"units" minItems:"1" maxItems:"32" doc:"units, each once"`
}

// UnitKeys is its answer.
type UnitKeys struct {
	Refused   []Refused `json:"refused,omitempty" doc:"units that have no keys here"`
	Statement string    `json:"statement" doc:"signed keys of all other units in the order asked, JWS compact form"`
}

// Receipts is the answer of POST /v1/notes.
type Receipts struct {
	Receipts []string  `json:"receipts" doc:"for each note its receipt, a signed statement in JWS compact form and the way from the note to it; empty for one that was refused"`
	Refused  []Refused `json:"refused,omitempty" doc:"notes that are not on file"`
}

// MaxNotes is how many notes one call files.
const MaxNotes = record.MaxReceipts

// MaxNotesBytes bounds a call's notes with their lengths: a body has at most 1 MiB.
const MaxNotesBytes = 1 << 20

// JoinNotes makes the body of POST /v1/notes: each note after its length as 4 bytes, big-endian.
func JoinNotes(notes ...[]byte) []byte {
	var body []byte
	for _, note := range notes {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(note))), note...)
	}
	return body
}

// SplitNotes reads it. Errors: problem.Invalid.
func SplitNotes(body []byte) ([][]byte, error) {
	var notes [][]byte
	for len(body) > 0 {
		if len(body) < 4 || uint64(binary.BigEndian.Uint32(body)) > uint64(len(body)-4) || len(notes) == MaxNotes {
			return nil, problem.New(problem.Invalid, "the body is not 1 to %d batch notes, each after its length", MaxNotes)
		}
		n := 4 + int(binary.BigEndian.Uint32(body))
		notes, body = append(notes, body[4:n:n]), body[n:]
	}
	if len(notes) == 0 {
		return nil, problem.New(problem.Invalid, "the body is not 1 to %d batch notes, each after its length", MaxNotes)
	}
	return notes, nil
}

// UnitAsk names a unit.
type UnitAsk struct {
	Chain          string `json:"chain" minLength:"64" maxLength:"64"`
	Classification string `json:"classification" minLength:"1" maxLength:"64"`
	Compartment    string `json:"compartment" enum:"main,privileged,clerk"`
	Week           string `json:"week" pattern:"^[0-9]{4}-W[0-9]{2}$" doc:"ISO week of the recording's start"`
}

// DestroyAsk asks POST /v1/destructions.
type DestroyAsk struct{}

// Destructions is the answer of GET /v1/destructions.
type Destructions struct {
	Backups      string        `json:"backups" doc:"signed list of the copies of roots that this keyholder knows of, JWS"`
	Destructions []Destruction `json:"destructions" doc:"in the order of the chain's members"`
}

// Destruction is a decision to destroy and what became of it.
type Destruction struct {
	Certificate *LoggedEvent `json:"certificate,omitempty" doc:"the event with the keyholder's certificate, once destroyed"`
	Decision    string       `json:"decision" doc:"hash of the judge's member"`
	Recordings  int          `json:"recordings" doc:"how many go, or went"`
	State       string       `json:"state" enum:"waiting,due,running,destroyed"`
	Why         string       `json:"why,omitempty" doc:"what it waits for"`
}

// DestroyingAsk asks POST /v1/destroying.
type DestroyingAsk struct {
	Chain    string `json:"chain" minLength:"64" maxLength:"64"`
	Decision string `json:"decision" minLength:"64" maxLength:"64" doc:"hash of the judge's member"`
	Nonce    string `json:"nonce" minLength:"32" maxLength:"32" doc:"drawn by the asker for this call"`
}

// Named is the answer to a statement that was filed.
type Named struct {
	Hash string `json:"hash" doc:"SHA-256 of the statement's signing input"`
}

// ReleaseAsk asks POST /v1/releases.
type ReleaseAsk struct {
	From    int    `json:"from" minimum:"0" maximum:"10000000" doc:"position in the whole answer"`
	Request string `json:"request" minLength:"64" maxLength:"64"`
}

// Order is a chain as GET /v1/orders shows it.
type Order struct {
	AccessEnd time.Time `json:"accessEnd"`
	Chain     string    `json:"chain"`
	Members   []string  `json:"members,omitempty" doc:"the chain as signed, oldest first"`
	State     string    `json:"state" doc:"in-force, suspended, revoked, lapsed or not-yet"`
	Units     []string  `json:"units,omitempty" doc:"ISO weeks with keys"`
}

// Orders is a list of them.
type Orders struct {
	Next   int     `json:"next" doc:"continue from this place while it is below total"`
	Orders []Order `json:"orders"`
	Total  int     `json:"total" doc:"chains admitted here, whomever they concern"`
}

// Asked is a request as the inbox shows it.
type Asked struct {
	Approvals []string `json:"approvals,omitempty" doc:"approvals and denials, JWS each"`
	Author    string   `json:"author" doc:"name that the author is enrolled under"`
	Denied    bool     `json:"denied"`
	Hash      string   `json:"hash"`
	Number    int64    `json:"number" doc:"place in this keyholder's inbox"`
	Provable  bool     `json:"provable" doc:"the witnessed log holds the request and every approval"`
	Statement string   `json:"statement" doc:"the request, JWS"`
}

// Inbox is the answer of GET /v1/requests.
type Inbox struct {
	Next     int64   `json:"next" doc:"continue from this number"`
	Requests []Asked `json:"requests"`
}

// Notices is the answer of GET /v1/notices.
type Notices struct {
	Next    int      `json:"next" doc:"continue from this place while it is below total"`
	Notices []Notice `json:"notices"`
	Total   int      `json:"total" doc:"chains admitted here, whomever they concern"`
}

// Notice is what a keyholder told the caller's roles of a clock that is still open.
type Notice struct {
	Article string    `json:"article" doc:"of the statute"`
	Chain   string    `json:"chain"`
	Clock   string    `json:"clock" doc:"its name, as report"`
	Due     time.Time `json:"due"`
	Level   string    `json:"level" enum:"due,overdue,escalated,ended"`
	Says    string    `json:"says" doc:"what is to be done, or what ended"`
	Sent    time.Time `json:"sent" doc:"when it was told, by the witnesses' time"`
}

// ReportFile hands a report to POST /v1/reports.
type ReportFile struct {
	Content   []byte `json:"content" doc:"sealed content, at most 200 KiB"`
	Share     []byte `json:"share" doc:"this keyholder's share of its key, 32 bytes"`
	Statement string `json:"statement" doc:"the report, JWS compact form"`
}

// Reports is the answer of GET /v1/reports.
type Reports struct {
	Reports []ListedReport `json:"reports" doc:"the keyholder's own parts, oldest first, then what the police delivered"`
}

// ListedReport is one of them.
type ListedReport struct {
	At    time.Time `json:"at" doc:"when it came, or was composed"`
	By    string    `json:"by,omitempty" doc:"key id of who delivered it; absent for the keyholder's own part"`
	Due   time.Time `json:"due,omitzero" doc:"the order's date that the keyholder's part is for"`
	Final bool      `json:"final,omitempty" doc:"after the end of the measure"`
	Hash  string    `json:"hash"`
}

// Report is the answer of GET /v1/reports/{hash}.
type Report struct {
	Content   []byte `json:"content,omitempty" doc:"sealed content of a delivered one"`
	Share     []byte `json:"share,omitempty" doc:"this keyholder's share of its key"`
	Statement string `json:"statement" doc:"JWS compact form"`
}

// People is the answer of GET /v1/people.
type People struct {
	People []EnrolledPerson `json:"people"`
}

// EnrolledPerson is an enrolment as it was signed.
type EnrolledPerson struct {
	Enrolment record.Joint `json:"enrolment"`
	Key       string       `json:"key" doc:"key id"`
	Suspended bool         `json:"suspended"`
}

// Log is the answer of GET /v1/log.
type Log struct {
	Events []LoggedEvent `json:"events"`
	Next   int64         `json:"next" doc:"continue from this number"`
}

// LoggedEvent is an event with the randomness that opens its log entry, and the entry's proof, fetched by the keyholder so that
// whoever reads a journal need not speak to the vault.
type LoggedEvent struct {
	Event  []byte `json:"event" doc:"canonical bytes"`
	Proof  []byte `json:"proof,omitempty" doc:"C2SP tlog-proof of the entry; absent unless state is proven"`
	Random []byte `json:"random"`
	State  string `json:"state" enum:"proven,pending,missing" doc:"where the entry is in the log"`
}

// Where an event's entry is in the log.
const (
	StateProven  = "proven"
	StatePending = "pending" // held, and not yet under a witnessed checkpoint
	StateMissing = "missing" // the log does not know it
)
