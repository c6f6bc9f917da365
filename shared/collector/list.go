package collector

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Pending is a pack that is not yet proven.
type Pending struct {
	Pack       uint64 `json:"pack"`
	Recordings int    `json:"recordings"` // that end in it
	Dummy      bool   `json:"dummy"`      // it closes no batch: a dummy, or the middle of a long recording
	Stage      string `json:"stage"`      // packed, uploaded, arrived, noted, proven
	Why        string `json:"why"`        // what it waits for, or what went wrong at the last try
}

// List tells what is not yet proven, and why.
func (c *Collector) List(context.Context) ([]Pending, error) {
	list := []Pending{}
	for _, e := range c.waiting() {
		c.mu.Lock()
		p := e.pending()
		c.mu.Unlock()
		list = append(list, p)
	}
	return list, nil
}

// Inspect is List for a folder in which another process may be at work. It changes nothing and needs no keys.
func Inspect(folder string) ([]Pending, error) {
	c := &Collector{cfg: Config{Folder: folder}}
	numbers, err := numbersIn(c.path(packFolder), "json")
	if err != nil {
		return nil, err
	}
	list := []Pending{}
	for _, n := range numbers {
		s, err := c.sidecar(n)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was proven and archived at this moment
		}
		if err != nil {
			return nil, err
		}
		e, _, err := newEntry(s)
		if err != nil {
			return nil, err
		}
		if err := readStored(c.statePath(n), &e.at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		list = append(list, e.pending())
	}
	return list, nil
}

func (e *entry) pending() Pending {
	p := Pending{Pack: e.number, Recordings: e.names, Dummy: !e.content}
	noted := !slices.Contains(e.at.Court, "") && !slices.Contains(e.at.Custodian, "")
	switch at := e.at; {
	case at.Proven:
		p.Stage, p.Why = "proven", "its file is being removed"
	case at.Arrived && noted:
		p.Stage, p.Why = "noted", "the log's witnessed proof"
	case at.Arrived:
		p.Stage, p.Why = "arrived", "the receipts of "+missing(at)
	case at.Uploaded:
		p.Stage, p.Why = "uploaded", "the vault's confirmation"
	default:
		p.Stage, p.Why = "packed", "the next tick, or arca spool --flush"
	}
	if e.at.Trouble != "" {
		p.Why = e.at.Trouble
	}
	return p
}

func missing(at progress) string {
	var who []string
	if slices.Contains(at.Court, "") {
		who = append(who, string(seal.Court))
	}
	if slices.Contains(at.Custodian, "") {
		who = append(who, string(seal.Custodian))
	}
	return strings.Join(who, " and ")
}

// Receipt gives the receipt of one sealed recording. Errors: problem.Unavailable while a pack of it is not proven.
func (c *Collector) Receipt(ctx context.Context, s Sealed) ([]byte, error) {
	if s.Err != nil || len(s.Packs) == 0 {
		return nil, problem.New(problem.NotFound, "this item was not sealed, so there is no receipt for it")
	}
	// A recording's batch ends in the pack in which its content does.
	var found []byte
	err := c.receiptsIn(ctx, s.Packs[len(s.Packs)-1], map[uint64]bundle.LogProof{}, func(r Received) error {
		if r.Recording == s.Recording {
			found = r.Receipt
			return errFound
		}
		return nil
	}, s.Recording)
	if err != nil && !errors.Is(err, errFound) {
		return nil, err
	}
	if found == nil {
		return nil, problem.New(problem.NotFound, "the spool holds no such recording")
	}
	return found, nil
}

// errFound ends a search; nobody sees it.
var errFound = errors.New("found")

// Received is one recording's receipt.
type Received struct {
	Recording record.ID
	Name      string
	Pack      uint64
	Receipt   []byte // canonical JSON, see package bundle
}

// Receipts yields the receipt of every proven recording whose batch ended in pack from or later, in order, until yield
// returns an error. A receipt holds its whole batch's members (some 200 bytes for each), which is why receipts are
// made when asked for and not stored.
func (c *Collector) Receipts(ctx context.Context, from uint64, yield func(Received) error) error {
	list, err := numbersIn(c.path(provenFolder), "json")
	if err != nil {
		return err
	}
	proofs := map[uint64]bundle.LogProof{}
	for _, n := range list {
		if n < from {
			continue
		}
		if len(proofs) > 4096 {
			clear(proofs)
		}
		if err := c.receiptsIn(ctx, n, proofs, yield, record.ID{}); err != nil {
			return err
		}
	}
	return nil
}

// receiptsIn makes the receipts of the batches of one proven pack; only one recording's if only is set.
func (c *Collector) receiptsIn(ctx context.Context, n uint64, proofs map[uint64]bundle.LogProof, yield func(Received) error, only record.ID) error {
	side, err := c.sidecar(n)
	if errors.Is(err, fs.ErrNotExist) {
		return problem.New(problem.NotFound, "the spool holds no such pack")
	}
	if err != nil || len(side.Batches) == 0 {
		return err
	}
	at, err := c.provenState(n)
	if err != nil {
		return err
	}
	enrolment, err := c.ownEnrolment(ctx)
	if err != nil {
		return err
	}
	for i, line := range side.Batches {
		for _, rec := range line.Recordings {
			if only != (record.ID{}) && rec.ID != only {
				continue
			}
			r := bundle.Receipt{Audience: c.cfg.Fingerprint, Collector: enrolment, Court: at.Court[i], Custodian: at.Custodian[i],
				Note: line.Note, Version: bundle.ReceiptVersion}
			raw, err := c.receipt(r, line, rec, proofs)
			if err != nil {
				return err
			}
			if err := yield(Received{rec.ID, rec.Name, n, raw}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Collector) receipt(r bundle.Receipt, line batchLine, rec recordingLine, proofs map[uint64]bundle.LogProof) ([]byte, error) {
	note, err := line.note(seal.Court)
	if err != nil {
		return nil, err
	}
	var events [][]byte
	for _, n := range rec.Packs {
		p, ok := proofs[n]
		if !ok {
			at, err := c.provenState(n)
			if err != nil {
				return nil, err
			}
			p = bundle.LogProof{Event: at.Event, Proof: at.Proof, Random: at.Random}
			proofs[n] = p
		}
		r.Packs, events = append(r.Packs, p), append(events, p.Event)
	}
	r.Deposit, err = record.Sign(c.cfg.Signer, bundle.TypeDeposit, c.cfg.Now(), bundle.Deposit{
		Audience: c.cfg.Fingerprint, Batch: record.ID(note.Statement.Batch), Name: rec.Name, Packs: bundle.PackList(events),
		Recording: rec.ID, Statement: record.Digest(note.Statement.Hash())})
	if err != nil {
		return nil, err
	}
	return record.Marshal(r)
}

// provenState reads the evidence of a proven pack.
func (c *Collector) provenState(n uint64) (at progress, err error) {
	err = readStored(c.path(provenFolder, packName(n, "state")), &at)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !at.Proven {
		return at, problem.New(problem.Unavailable, "pack %d is not proven yet; see arca spool, and ask for the receipt when it is", n)
	}
	return at, err
}
