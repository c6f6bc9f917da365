// Package bundle is what leaves Arca on paper's terms: artefacts that whoever
// receives them verifies offline, with nothing but the pinned trust file. It knows
// no network, no server and no storage.
//
// # Receipt
//
// A collector's receipt shows that one recording was sealed, deposited, logged
// and noted by both keyholders. It is canonical JSON (see package record), except
// that it may have up to 16 MiB, because a long recording names thousands of packs:
//
//	aud        hash of the trust file
//	collector  the collector's enrolment, signed by both registrars
//	court      the court's signed receipt of the batch note (see record.Receipt)
//	custodian  the custodian's
//	deposit    the collector's word on where this recording lies (JWS, see Deposit)
//	note       the court's batch note: the signed statement with all its members
//	packs      of each pack in order: event, random (which open its log entry), proof (C2SP tlog-proof)
//	version    1
//
// It promises, when VerifyReceipt accepts it: both registrars enrolled the
// collector; this collector signed the batch and named the recording in it; both
// keyholders hold the batch's note; each pack that the collector names stands in
// the log that the witnesses saw. That the recording's bytes lie in just these packs
// is the collector's signed word; who may open the descriptor can compare. Nothing
// in a receipt opens anything. A receipt with any changed byte is refused.
package bundle

import (
	"bytes"
	"crypto/sha256"
	"time"

	"github.com/go-json-experiment/json"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// MaxReceipt is the largest receipt that VerifyReceipt reads, in bytes.
const MaxReceipt = 16 << 20

// ReceiptVersion is the one version that exists.
const ReceiptVersion = 1

// TypeDeposit is a collector's statement about one recording.
const TypeDeposit record.Type = "arca-deposit"

// Deposit is what the collector says of a recording that it has deposited.
type Deposit struct {
	Audience  record.Digest `json:"aud"`
	Batch     record.ID     `json:"batch"`
	Name      string        `json:"name,omitzero"` // as the collector knew it
	Packs     record.Digest `json:"packs"`         // PackList of the events, in order
	Recording record.ID     `json:"recording"`
	Statement record.Digest `json:"statement"` // hash of the batch's signed statement
}

// Receipt is the artefact. See the package comment.
type Receipt struct {
	Audience  record.Digest `json:"aud"`
	Collector record.Joint  `json:"collector"`
	Court     string        `json:"court"`
	Custodian string        `json:"custodian"`
	Deposit   string        `json:"deposit"`
	Note      []byte        `json:"note"`
	Packs     []LogProof    `json:"packs"`
	Version   int           `json:"version"`
}

// LogProof opens a log entry and proves it: a pack's arrival, or an event of a journal.
type LogProof struct {
	Event  []byte `json:"event"`
	Proof  string `json:"proof"`
	Random []byte `json:"random"`
}

// Result is what a verified receipt says.
type Result struct {
	Recording record.ID
	Batch     record.ID
	Unit      seal.Unit
	Name      string
	Collector string // the name that both registrars enrolled
	Number    uint64 // of the batch among this collector's in the unit
	Members   int    // recordings in the batch
	Packs     []record.PackEvent
	Logged    time.Time // the earliest cosignature of the last pack's checkpoint
	Noted     [2]time.Time
}

// PackList is the digest by which a Deposit names its packs: SHA-256 over the SHA-256 of each event.
func PackList(events [][]byte) record.Digest {
	h := sha256.New()
	for _, e := range events {
		sum := sha256.Sum256(e)
		h.Write(sum[:])
	}
	return record.Digest(h.Sum(nil))
}

// VerifyReceipt checks a receipt under a trust file that was pinned by its hash. Errors: problem.Invalid and
// problem.Denied for a receipt that proves nothing, problem.Unavailable for one whose proofs lack witnesses.
func VerifyReceipt(trust *record.Trust, audience record.Digest, raw []byte) (Result, error) {
	r, err := parseReceipt(raw)
	if err != nil {
		return Result{}, err
	}
	if r.Audience != audience || r.Version != ReceiptVersion {
		return Result{}, unknownRoots("the receipt is of another installation or version; verify it under the trust file that it was made for")
	}
	collector, err := OpenCollector(trust, audience, r.Collector)
	if err != nil {
		return Result{}, err
	}
	note, err := seal.ParseNote(r.Note)
	if err != nil {
		return Result{}, err
	}
	if note.Role != seal.Court {
		return Result{}, problem.New(problem.Invalid, "a receipt carries the court's batch note")
	}
	if err := note.Verify(collector.Key.Ed25519()); err != nil {
		return Result{}, err
	}
	out := Result{Batch: record.ID(note.Statement.Batch), Unit: note.Statement.Unit, Collector: collector.Name,
		Number: note.Statement.Number, Members: len(note.Members)}
	if err := out.readDeposit(r, collector.Key, note); err != nil {
		return Result{}, err
	}
	for i, raw := range []string{r.Court, r.Custodian} {
		party := []seal.Role{seal.Court, seal.Custodian}[i]
		at, err := OpenNoteReceipt(trust, audience, party, note.Statement, raw)
		if err != nil {
			return Result{}, err
		}
		out.Noted[i] = at
	}
	return out, out.readPacks(trust, r)
}

func parseReceipt(raw []byte) (r Receipt, err error) {
	return r, unmarshal(raw, &r, MaxReceipt, "a receipt")
}

// unmarshal is record.Unmarshal with a larger limit: parsed strictly, encoded again, compared.
func unmarshal(raw []byte, v any, limit int, what string) error {
	if len(raw) > limit {
		return problem.New(problem.Invalid, "%s has at most %d bytes", what, limit)
	}
	if err := json.Unmarshal(raw, v, json.RejectUnknownMembers(true)); err != nil {
		return problem.Wrap(problem.Invalid, err, "this is not what it should be (%s); give the file as the arca tools wrote it", what)
	}
	again, err := record.Marshal(v)
	if err != nil || !bytes.Equal(again, raw) {
		return problem.Wrap(problem.Invalid, err, "%s is not in canonical form (RFC 8785); it may have been altered on the way", what)
	}
	return nil
}

// OpenCollector verifies a collector's enrolment by both registrars.
func OpenCollector(trust *record.Trust, audience record.Digest, joint record.Joint) (record.Enrolment, error) {
	e, _, err := trust.OpenEnrolment(audience, joint)
	if err != nil {
		return e, err
	}
	if !e.Of(record.Collector) {
		return e, problem.New(problem.Denied, "the enrolment is not a collector's of this installation")
	}
	return e, nil
}

// OpenNoteReceipt verifies a keyholder's receipt for a batch's note and gives the time that it names.
func OpenNoteReceipt(trust *record.Trust, audience record.Digest, party seal.Role, st seal.Statement, raw string) (time.Time, error) {
	return NewNoteReceipts(trust, audience, party).Open(st, raw)
}

// NoteReceipts verifies receipts of one keyholder. What several of them share is verified once.
type NoteReceipts struct {
	trust    *record.Trust
	audience record.Digest
	party    seal.Role
	asked    time.Time                 // when the keyholder was asked; zero for receipts that were kept
	verified map[string]record.Receipt // by the whole statement
}

// NewNoteReceipts begins with nothing verified. A receipt that was kept is by the key that counted when it says that it was signed; one that
// was just asked for, by one that counts now: see Asked.
func NewNoteReceipts(trust *record.Trust, audience record.Digest, party seal.Role) *NoteReceipts {
	return &NoteReceipts{trust: trust, audience: audience, party: party, verified: map[string]record.Receipt{}}
}

// Asked makes n take only what a keyholder that was asked at now can have answered.
func (n *NoteReceipts) Asked(now time.Time) *NoteReceipts {
	n.asked = now
	return n
}

// Open verifies a receipt for a batch's note and gives the time that it names.
func (n *NoteReceipts) Open(st seal.Statement, raw string) (time.Time, error) {
	statement, way, err := record.SplitReceipt(raw)
	if err != nil {
		return time.Time{}, err
	}
	r, known := n.verified[statement]
	if !known {
		if n.asked.IsZero() {
			_, err = n.trust.OpenKept(statement, record.TypeReceipt, string(n.party), &r)
		} else {
			_, err = n.trust.OpenOnline(statement, record.TypeReceipt, string(n.party), n.asked, &r)
		}
		if err != nil {
			return time.Time{}, err
		}
		n.verified[statement] = r
	}
	if r.Audience != n.audience || r.Party != string(n.party) || !r.Holds(record.Digest(st.Hash()), way) {
		return time.Time{}, problem.New(problem.Denied, "the %s keyholder's receipt is for another batch", string(n.party))
	}
	return r.Issued, nil
}

// readDeposit checks the collector's word against the batch that it is about.
func (out *Result) readDeposit(r Receipt, key record.PublicKey, note *seal.Note) error {
	var d Deposit
	if _, err := record.Open(r.Deposit, TypeDeposit, key, &d); err != nil {
		return err
	}
	var events [][]byte
	for _, p := range r.Packs {
		events = append(events, p.Event)
	}
	_, member := note.Member(seal.RecordingID(d.Recording))
	if d.Audience != r.Audience || d.Batch != out.Batch || d.Statement != record.Digest(note.Statement.Hash()) || !member {
		return problem.New(problem.Denied, "the collector's word is about a recording of another batch")
	}
	if len(events) == 0 || d.Packs != PackList(events) {
		return problem.New(problem.Denied, "the receipt's packs are not those that the collector signed")
	}
	out.Recording, out.Name = d.Recording, d.Name
	return nil
}

// readPacks proves each pack's event under the trust file's log and witnesses.
func (out *Result) readPacks(trust *record.Trust, r Receipt) error {
	verifier, err := ledger.VerifierOf(trust)
	if err != nil {
		return err
	}
	for _, p := range r.Packs {
		event, checkpoint, err := p.Verify(verifier)
		if err != nil {
			return err
		}
		if n := len(out.Packs); n > 0 && out.Packs[n-1].Number >= event.Number {
			return problem.New(problem.Denied, "the receipt's packs are not in order")
		}
		out.Packs = append(out.Packs, event)
		out.Logged = checkpoint.Earliest
	}
	return nil
}

// Verify recomputes the pack's log entry from its event and verifies the proof.
func (p LogProof) Verify(v *ledger.Verifier) (record.PackEvent, ledger.Checkpoint, error) {
	event, entry, err := OpenPackEvent(p.Event, p.Random)
	if err != nil {
		return event, ledger.Checkpoint{}, err
	}
	checkpoint, _, err := v.VerifyInclusion(entry, []byte(p.Proof))
	return event, checkpoint, err
}

// Witnessed recomputes the log entry of any event and verifies the proof.
func (p LogProof) Witnessed(v *ledger.Verifier) (ledger.Checkpoint, error) {
	if len(p.Random) != 32 {
		return ledger.Checkpoint{}, problem.New(problem.Invalid, "an opening's randomness is exactly 32 bytes")
	}
	entry := ledger.Commit(ledger.Opening{Event: p.Event, Random: [32]byte(p.Random)})
	checkpoint, _, err := v.VerifyInclusion(entry, []byte(p.Proof))
	return checkpoint, err
}

// OpenPackEvent reads a pack's event strictly and gives the log entry that event and random make.
func OpenPackEvent(raw, random []byte) (body record.PackEvent, entry ledger.Entry, err error) {
	if body, err = (record.PackOpening{Event: raw, Random: random}).Read(); err != nil {
		return body, entry, err
	}
	return body, ledger.Commit(ledger.Opening{Event: raw, Random: [32]byte(random)}), nil
}
