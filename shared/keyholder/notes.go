package keyholder

import (
	"context"
	"crypto/hpke"
	"errors"
	"fmt"
	"slices"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// collectorRow is where a collector stands in a unit: the next batch must name this one.
type collectorRow struct {
	Number    uint64        `json:"number"`
	Statement record.Digest `json:"statement"`
}

func batchName(id record.ID) string { return "batch/" + id.String() }

func batchOfName(u seal.Unit, n int64) string { return fmt.Sprintf("batchof/%s/%d", unitID(u), n) }

func authorName(u seal.Unit, collector record.KeyID) string {
	return "author/" + unitID(u).String() + "/" + collector.String()
}

// FileNote stores a collector's batch note and gives a signed receipt. A note is refused when its author is not an enrolled collector in
// service, when its signature or members do not verify, when its half does not open with this keyholder's unit key, or when a
// batch of the same collector and unit is missing before it. Filing the same note again gives a receipt again.
func (k *Keyholder) FileNote(ctx context.Context, collector Person, raw []byte) (string, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return "", err
	}
	note, err := k.checkNote(ctx, collector, raw)
	if err != nil {
		return "", err
	}
	st := note.Statement
	hash := record.Digest(st.Hash())
	if err := k.storeNote(ctx, collector, note, raw, hash); err != nil {
		return "", err
	}
	if err := k.post(ctx, st.Unit.Order); err != nil {
		return "", err
	}
	return record.Sign(k.signer, record.TypeReceipt, k.now(), record.Receipt{
		Audience: trust.Hash, Batch: record.ID(st.Batch), Issued: k.now(), Party: string(k.cfg.Party), Statement: hash,
	})
}

// FileRefusal journals a collector's report that something outside the order was delivered and not sealed. Filing it again changes nothing.
func (k *Keyholder) FileRefusal(ctx context.Context, raw string) error {
	trust, err := k.Trust(ctx)
	if err != nil {
		return err
	}
	var r record.Refusal
	st, author, err := k.openSigned(ctx, trust, raw, record.TypeRefusal, &r)
	if err != nil {
		return err
	}
	if !author.Enrolment.Of(record.Collector) {
		return problem.New(problem.Denied, "only an enrolled collector reports what it refused")
	}
	if err := errors.Join(trust.addressed(r.Audience), record.CheckText(r.Reason)); err != nil {
		return err
	}
	if _, err := k.chain(ctx, r.Chain); err != nil {
		return err
	}
	return k.act(ctx, r.Chain, func(c *change) error {
		name := nonceName(author.ID, r.Nonce)
		var before record.Digest
		if found, err := c.load(name, &before); err != nil || found {
			return err
		}
		if err := c.put(name, st.Hash); err != nil {
			return err
		}
		_, err := c.journal(r.Chain, record.EventRefused, map[string]any{"by": author.ID, "reason": r.Reason, "statement": raw})
		return err
	})
}

func (k *Keyholder) checkNote(ctx context.Context, collector Person, raw []byte) (*seal.Note, error) {
	if !collector.Enrolment.Of(record.Collector) {
		return nil, problem.New(problem.Denied, "only an enrolled collector files batch notes")
	}
	note, err := seal.ParseNote(raw)
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the batch note is malformed or was altered; send it again from the spool")
	}
	if note.Role != k.cfg.Party {
		return nil, problem.New(problem.Invalid, "the batch note is for the other keyholder")
	}
	if err := note.Verify(collector.Enrolment.Key.Ed25519()); err != nil {
		return nil, problem.Wrap(problem.Denied, err, "the batch note was not signed by this collector, or was altered")
	}
	return note, k.opensHere(ctx, note)
}

// opensHere makes sure that what is promised to be openable is: with an unopenable half on file the recording would be
// lost without anybody noticing until a judge asks for it.
func (k *Keyholder) opensHere(ctx context.Context, note *seal.Note) error {
	secret, err := k.batchSecret(ctx, note)
	if err != nil {
		return err
	}
	defer clear(secret[:])
	return note.CheckSecret(secret)
}

// batchSecret opens the note's half with the unit's seed from the ring.
func (k *Keyholder) batchSecret(ctx context.Context, note *seal.Note) (seal.BatchSecret, error) {
	u := note.Statement.Unit
	var row unitRow
	found, err := k.read(ctx, unitName(u), &row)
	if err != nil {
		return seal.BatchSecret{}, err
	}
	if !found {
		return seal.BatchSecret{}, problem.New(problem.NotFound, "this keyholder has no keys for the unit of the batch; get the unit keys again and seal anew")
	}
	values, err := k.secrets(ctx, row.Page, seedName(u))
	if err != nil {
		return seal.BatchSecret{}, err
	}
	defer clear(values[0])
	key, err := seal.NewUnitKey(seal.Seed(values[0]))
	if err != nil {
		return seal.BatchSecret{}, err
	}
	return openBatch(note, k.cfg.Party, key)
}

func openBatch(note *seal.Note, party seal.Role, key hpke.PrivateKey) (seal.BatchSecret, error) {
	secret, err := seal.OpenBatch(party, key, note.Statement.Batch, note.Statement.Unit, note.Sealed)
	if err != nil {
		return seal.BatchSecret{}, problem.Wrap(problem.Denied, err, "the batch was not sealed to this keyholder's unit key; get the unit keys again and seal anew")
	}
	return secret, nil
}

// storeNote files note, list entry and the collector's mark in one transaction. Commit point: after it the batch exists here.
func (k *Keyholder) storeNote(ctx context.Context, collector Person, note *seal.Note, raw []byte, hash record.Digest) error {
	st := note.Statement
	id := record.ID(st.Batch)
	return k.update(ctx, func(c *change) error {
		before, err := c.loadBytes(batchName(id))
		if err != nil {
			return err
		}
		if before != nil {
			if string(before) != string(raw) {
				return problem.New(problem.Conflict, "another batch with this identifier is on file; seal the batch again")
			}
			return nil
		}
		var unit unitRow
		if _, err := c.load(unitName(st.Unit), &unit); err != nil {
			return err
		}
		if unit.Closed {
			return problem.New(problem.Gone, "the unit is closed; nothing more can be filed in it")
		}
		if err := c.follow(st.Unit, collector.ID, st.Number, record.Digest(st.Previous), hash); err != nil {
			return err
		}
		unit.Batches++
		if err := c.put(unitName(st.Unit), unit); err != nil {
			return err
		}
		if err := c.put(batchOfName(st.Unit, unit.Batches), id); err != nil {
			return err
		}
		if _, err := c.journal(st.Unit.Order, record.EventNoted, map[string]record.Digest{"collector": collector.ID, "statement": hash}); err != nil {
			return err
		}
		c.putBytes(batchName(id), raw)
		return nil
	})
}

// follow holds a batch against the collector's previous one, so that a missing batch shows at once.
func (c *change) follow(u seal.Unit, collector record.KeyID, number uint64, previous, hash record.Digest) error {
	var last collectorRow
	if _, err := c.load(authorName(u, collector), &last); err != nil {
		return err
	}
	if number != last.Number+1 || previous != last.Statement {
		return problem.New(problem.Conflict, "the collector's batch before this one is missing here; file the batches of a unit in their order")
	}
	return c.put(authorName(u, collector), collectorRow{Number: number, Statement: hash})
}

// eachNote gives every note of a unit in the order of filing.
func (k *Keyholder) eachNote(ctx context.Context, u seal.Unit, yield func(*seal.Note)) error {
	var unit unitRow
	found, err := k.read(ctx, unitName(u), &unit)
	if err != nil || !found {
		return err
	}
	var names []string
	for n := int64(1); n <= unit.Batches; n++ {
		names = append(names, batchOfName(u, n))
	}
	ids, err := readMany[record.ID](ctx, k, names)
	if err != nil {
		return err
	}
	// A note can fill a row, and an engine may bound an answer: ten at a time.
	for some := range slices.Chunk(ids, 10) {
		names = nil
		for _, id := range some {
			names = append(names, batchName(id))
		}
		rows, err := k.rows.Get(ctx, names...)
		if err != nil {
			return err
		}
		for _, name := range names {
			note, err := seal.ParseNote(rows[name].Value)
			if err != nil {
				return problem.Wrap(problem.Internal, err, "a stored batch note cannot be read; tell the operator: the rows need to be restored")
			}
			yield(note)
		}
	}
	return nil
}
