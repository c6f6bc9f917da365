package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/store"
)

// Repair replaces an object that is not what the log says by the bytes of a
// second copy that are. Nothing is ever overwritten: the log says first what is
// replaced by what, then the wrong object is deleted (a versioned bucket keeps
// it), then the right one is put under the free key. Killed in between, the
// object is missing, and the next run puts it; the log says it once.

const repairsRow = "repairs"

func repairRowName(n uint64) string { return fmt.Sprintf("repair/%d", n) }

// repairing is the row "repairing": what the log says is being replaced and may not be yet. An empty object: nothing.
type repairing struct {
	Object string `json:"object"`
}

const repairingRow = "repairing"

// repairRow is the row repair/<number>, written once.
type repairRow struct {
	Event  []byte `json:"event"`
	Random []byte `json:"random"`
}

// repair reports whether the object is now as it must be.
func (s *scrubbing) repair(ctx context.Context, key string, found verdict) (bool, error) {
	if s.o.Copy == nil || found.good == nil {
		return false, nil
	}
	want, size, err := found.good(ctx, s.o.Copy)
	if err != nil {
		return false, nil // the copy does not have it either
	}
	// The right bytes are held here before anything is deleted: what could not be read may be whole after all, and a copy that
	// was right when it was judged may be wrong, or gone, when it is read again.
	right, err := readWhole(ctx, s.o.Copy, key, size, want)
	if err != nil {
		return false, nil
	}
	if err := s.v.announceRepair(ctx, s.log, key, found.found, want); err != nil {
		return false, err
	}
	if found.state != StateMissing {
		if err := s.v.cfg.Blobs.Delete(ctx, key); err != nil {
			return false, err
		}
	}
	err = s.v.cfg.Blobs.Put(ctx, key, size, want, bytes.NewReader(right))
	if err != nil {
		return false, err
	}
	return true, s.v.repaired(ctx, key)
}

// readWhole reads an object of a known size and digest; what is otherwise is errOtherBytes.
func readWhole(ctx context.Context, from store.Blobs, key string, size int64, want record.Digest) ([]byte, error) {
	body, err := from.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(body, size+1))
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) != size || record.HashBytes(data) != want {
		return nil, errOtherBytes
	}
	return data, nil
}

// repaired says that what was being replaced is.
func (v *Vault) repaired(ctx context.Context, key string) error {
	now, version, err := v.repairing(ctx)
	if err != nil || now.Object != key {
		return err
	}
	value, err := record.Marshal(repairing{})
	if err != nil {
		return err
	}
	return v.cfg.Rows.Commit(ctx, store.Write{Op: store.Put, Key: repairingRow, Value: value, Version: version})
}

func (v *Vault) repairing(ctx context.Context) (repairing, int64, error) {
	var now repairing
	rows, err := v.cfg.Rows.Get(ctx, repairingRow)
	if err != nil || rows[repairingRow].Version == 0 {
		return now, 0, err
	}
	if err := record.UnmarshalStored(rows[repairingRow].Value, &now); err != nil {
		return now, 0, problem.Wrap(problem.Internal, err, "the record of a repair cannot be read; tell the operator")
	}
	return now, rows[repairingRow].Version, nil
}

// resume ends a repair that an earlier run began and left.
func (s *scrubbing) resume(ctx context.Context) error {
	now, _, err := s.v.repairing(ctx)
	if err != nil || now.Object == "" {
		return err
	}
	if o, ok := parseObject(now.Object); ok {
		if err := s.look(ctx, o); err != nil {
			return err
		}
	} // a partial tile was looked at with the border
	if s.listed(now.Object) != "" {
		return nil
	}
	return s.v.repaired(ctx, now.Object)
}

// announceRepair enters the repair into the log and keeps the opening of its entry, unless that was done and the repair left.
func (v *Vault) announceRepair(ctx context.Context, log *Ledger, key string, found, want record.Digest) error {
	for range 20 {
		now, version, err := v.repairing(ctx)
		if err != nil || now.Object == key {
			return err
		}
		writes, err := v.repairWrites(ctx, log, key, found, want)
		if err != nil {
			return err
		}
		value, err := record.Marshal(repairing{Object: key})
		if err != nil {
			return err
		}
		// Commit point: after this write the log will say that the object is replaced.
		err = v.cfg.Rows.Commit(ctx, append(writes, store.Write{Op: store.Put, Key: repairingRow, Version: version, Value: value})...)
		if err == nil && v.cfg.Sequence != nil {
			_ = v.cfg.Sequence(ctx) // the schedule does it within a minute in any case
		}
		if err == nil || problem.KindOf(err) != problem.Conflict {
			return err
		}
	}
	return problem.New(problem.Unavailable, "others write to the log at this moment; try again")
}

func (v *Vault) repairWrites(ctx context.Context, log *Ledger, key string, found, want record.Digest) ([]store.Write, error) {
	rows, err := v.cfg.Rows.Get(ctx, repairsRow)
	if err != nil {
		return nil, err
	}
	number := uint64(1)
	if row, ok := rows[repairsRow]; ok {
		if number, err = decimal(row.Value); err != nil {
			return nil, err
		}
	}
	body, err := record.Marshal(record.RepairEvent{Found: found, Number: number, Object: key, Stored: want})
	if err != nil {
		return nil, err
	}
	event, err := record.Event{Author: "vault", Body: body, Kind: record.EventRepaired, Number: int64(number)}.Bytes()
	if err != nil {
		return nil, err
	}
	row := repairRow{Event: event, Random: make([]byte, 32)}
	_, _ = rand.Read(row.Random) // crypto/rand does not fail
	value, err := record.Marshal(row)
	if err != nil {
		return nil, err
	}
	writes, err := log.Append(ctx, ledger.Commit(ledger.Opening{Event: event, Random: [32]byte(row.Random)}))
	return append(writes,
		store.Write{Op: store.Put, Key: repairRowName(number), Value: value},
		store.Write{Op: store.Put, Key: repairsRow, Version: rows[repairsRow].Version, Value: strconv.AppendUint(nil, number+1, 10)}), err
}

// MaxRepairs is how many repairs one listing holds.
const MaxRepairs = 90

// Repairs lists the openings of repairs from a number on. next is the lowest number that was never given out.
func (v *Vault) Repairs(ctx context.Context, from uint64) (list []Listed, next uint64, err error) {
	from = max(from, 1)
	names := []string{repairsRow}
	for n := from; n < from+MaxRepairs; n++ {
		names = append(names, repairRowName(n))
	}
	rows, err := v.cfg.Rows.Get(ctx, names...)
	if err != nil {
		return nil, 0, err
	}
	next = 1
	if row, ok := rows[repairsRow]; ok {
		if next, err = decimal(row.Value); err != nil {
			return nil, 0, err
		}
	}
	for n := from; n < min(next, from+MaxRepairs); n++ {
		var row repairRow
		if err := record.UnmarshalStored(rows[repairRowName(n)].Value, &row); err != nil {
			return nil, 0, problem.Wrap(problem.Internal, err, "the record of a repair is missing or cannot be read; tell the operator")
		}
		list = append(list, Listed{Number: n, Event: row.Event, Random: row.Random})
	}
	return list, next, nil
}
