package mirror

import (
	"fmt"
	"os"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// row is what the mirror keeps of a pack besides its bytes.
type row struct {
	Event  []byte `json:"event"`
	Number uint64 `json:"number"`
	Proof  []byte `json:"proof"`
	Random []byte `json:"random"`
}

// maxRow bounds a row's file: a proof with a checkpoint of many ML-DSA-44 witnesses has up to ledger.MaxNote, in base64.
const maxRow = 128 << 10

func packName(n uint64) string { return fmt.Sprintf("%012d", n) }

func (m *Mirror) packPath(n uint64) string { return m.path("packs", packName(n)) }
func (m *Mirror) rowPath(n uint64) string  { return m.path("index", packName(n)+".json") }

// judge decides what is accepted. It stands apart so that tests can run the same attacks against weakened ones.
type judge interface {
	// entry reads an opening of pack n's log entry.
	entry(n uint64, event, random []byte) (record.PackEvent, ledger.Entry, error)
	// included verifies an entry's proof under a witnessed checkpoint, which it gives.
	included(n uint64, entry ledger.Entry, proof []byte) (ledger.Checkpoint, error)
	// whole compares what was read of pack n with its event.
	whole(event record.PackEvent, length int64, slots, sum [32]byte) error
	// slots compares a slot area with its event.
	slots(event record.PackEvent, sum [32]byte) error
	// continues verifies that a checkpoint continues an older tree.
	continues(newer ledger.Checkpoint, old ledger.Tree, proof ledger.Request) error
}

// strict is the one judge outside tests.
type strict struct {
	verifier *ledger.Verifier
	geometry seal.Geometry
}

func (strict) entry(n uint64, event, random []byte) (record.PackEvent, ledger.Entry, error) {
	bad := func(cause error) (record.PackEvent, ledger.Entry, error) {
		return record.PackEvent{}, ledger.Entry{}, problem.Wrap(problem.Invalid, cause, "the event of pack %d is not one of this vault's for that number; nothing was stored, tell the auditor", n)
	}
	var e record.Event
	var body record.PackEvent
	if err := record.Unmarshal(event, &e); err != nil {
		return bad(err)
	}
	if err := record.Unmarshal(e.Body, &body); err != nil {
		return bad(err)
	}
	// A pack's event carries no case, no time and no chain: whatever else it said would say something of a pack.
	plain := e.Author == "vault" && e.Kind == record.EventPack && e.Case.IsZero() && e.Previous.IsZero() && e.Time.IsZero()
	if !plain || n == 0 || n > seal.MaxPackNumber || e.Number != int64(n) || body.Number != n || len(random) != 32 {
		return bad(nil)
	}
	return body, ledger.Commit(ledger.Opening{Event: event, Random: [32]byte(random)}), nil
}

func (s strict) included(n uint64, entry ledger.Entry, proof []byte) (ledger.Checkpoint, error) {
	c, _, err := s.verifier.VerifyInclusion(entry, proof)
	if err != nil {
		return c, problem.Wrap(problem.KindOf(err), err, "pack %d is not shown by the witnessed log: %s", n, problem.MessageOf(err))
	}
	return c, nil
}

func (s strict) whole(event record.PackEvent, length int64, slots, sum [32]byte) error {
	if length != int64(s.geometry.Size) {
		return problem.New(problem.Invalid, "pack %d has not the size of every pack (%d bytes); fetch it again, and tell the auditor if it stays so", event.Number, s.geometry.Size)
	}
	if err := s.slots(event, slots); err != nil {
		return err
	}
	if record.Digest(sum) != event.Pack {
		return problem.New(problem.Invalid, "pack %d: its body is not the one that the log witnesses; fetch it again, and tell the auditor if it stays so", event.Number)
	}
	return nil
}

func (strict) slots(event record.PackEvent, sum [32]byte) error {
	if record.Digest(sum) != event.Slots {
		return problem.New(problem.Invalid, "pack %d: its slot area is not the one that the log witnesses; fetch it again, and tell the auditor if it stays so", event.Number)
	}
	return nil
}

func (strict) continues(newer ledger.Checkpoint, old ledger.Tree, proof ledger.Request) error {
	return newer.CheckConsistency(old, proof.Path)
}

// readRow reads a row and verifies all of it: our own disk is not what makes it true.
func (m *Mirror) readRow(n uint64) (record.PackEvent, row, error) {
	r, err := m.loadRow(n)
	if err != nil {
		return record.PackEvent{}, r, err
	}
	event, entry, err := m.judge.entry(n, r.Event, r.Random)
	if err != nil {
		return event, r, err
	}
	_, err = m.judge.included(n, entry, r.Proof)
	return event, r, err
}

func (m *Mirror) loadRow(n uint64) (row, error) {
	var r row
	info, err := os.Stat(m.rowPath(n))
	if os.IsNotExist(err) {
		return r, problem.New(problem.NotFound, "pack %d is not mirrored yet; run arca mirror", n)
	}
	if err != nil {
		return r, failed(err, "read the mirror's index")
	}
	damaged := problem.New(problem.Invalid, "the mirror's row of pack %d is damaged; fetch the pack again with arca mirror --repair", n)
	if info.Size() > maxRow {
		return r, damaged
	}
	raw, err := os.ReadFile(m.rowPath(n))
	if err != nil {
		return r, failed(err, "read the mirror's index")
	}
	if r, err = parseRow(raw, n); err != nil {
		return r, problem.Wrap(problem.Invalid, err, "%s", problem.MessageOf(damaged))
	}
	return r, nil
}

// parseRow reads the canonical form and nothing else.
func parseRow(raw []byte, n uint64) (row, error) {
	var r row
	if len(raw) > maxRow {
		return r, problem.New(problem.Invalid, "a row has at most %d bytes", maxRow)
	}
	if err := record.Unmarshal(raw, &r); err != nil {
		return row{}, err
	}
	if r.Number != n {
		return row{}, problem.New(problem.Invalid, "the row is of another pack")
	}
	return r, nil
}
