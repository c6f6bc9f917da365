package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
)

// packRow is what the vault knows of a pack. Reserved: By and At. Announced: Pack and Slots too. Arrived: Event and Random.
type packRow struct {
	At     time.Time     `json:"at"`
	By     record.KeyID  `json:"by"`
	Event  []byte        `json:"event,omitempty"`
	Pack   record.Digest `json:"pack,omitzero"`
	Random []byte        `json:"random,omitempty"`
	Slots  record.Digest `json:"slots,omitzero"`
}

// abandoned tells whether somebody else than its collector may fill the number.
func (p packRow) abandoned(now time.Time) bool {
	if p.Pack.IsZero() {
		return now.Sub(p.At) >= abandonAfter
	}
	return now.Sub(p.At) >= forsakeAfter
}

func (p packRow) arrived() bool { return len(p.Event) > 0 }

func packRowName(n uint64) string { return fmt.Sprintf("pack/%d", n) }

// Limits of depositing.
const (
	MaxReserve   = 64                  // numbers per reservation
	abandonAfter = 6 * time.Hour       // then any collector may fill a number for which nothing was announced
	forsakeAfter = 30 * 24 * time.Hour // then also one that was announced: its collector holds a sealed pack that fits no other number
	uploadTerm   = 15 * time.Minute
	downloadTerm = 15 * time.Minute
)

// Reserve gives count consecutive numbers, from first on, to a collector. The same nonce gives the same numbers again.
func (v *Vault) Reserve(ctx context.Context, who Principal, nonce record.ID, count int) (first uint64, err error) {
	if err := who.only("collector"); err != nil {
		return 0, err
	}
	if count < 1 || count > MaxReserve {
		return 0, problem.New(problem.Invalid, "between 1 and %d numbers are reserved at a time", MaxReserve)
	}
	answer := "reserved/" + who.ID.String() + "/" + nonce.String()
	for range 20 {
		rows, err := v.cfg.Rows.Get(ctx, "packs", answer)
		if err != nil {
			return 0, err
		}
		if row, ok := rows[answer]; ok {
			return decimal(row.Value)
		}
		next := uint64(1)
		if row, ok := rows["packs"]; ok {
			if next, err = decimal(row.Value); err != nil {
				return 0, err
			}
		}
		err = v.cfg.Rows.Commit(ctx, v.reservation(who, answer, rows["packs"].Version, next, count)...)
		if err == nil {
			return next, nil
		}
		if problem.KindOf(err) != problem.Conflict {
			return 0, err
		}
	}
	return 0, problem.New(problem.Unavailable, "many collectors reserve numbers at this moment; try again")
}

func (v *Vault) reservation(who Principal, answer string, version int64, next uint64, count int) []store.Write {
	writes := []store.Write{
		{Op: store.Put, Key: "packs", Version: version, Value: strconv.AppendUint(nil, next+uint64(count), 10)},
		{Op: store.Put, Key: answer, Value: strconv.AppendUint(nil, next, 10), Expires: v.cfg.Now().Add(24 * time.Hour)},
	}
	row, _ := record.Marshal(packRow{At: record.Second(v.cfg.Now()), By: who.ID}) // plain values always marshal
	for i := range count {
		writes = append(writes, store.Write{Op: store.Put, Key: packRowName(next + uint64(i)), Value: row})
	}
	return writes
}

func (v *Vault) pack(ctx context.Context, n uint64) (packRow, int64, error) {
	rows, err := v.cfg.Rows.Get(ctx, packRowName(n))
	if err != nil {
		return packRow{}, 0, err
	}
	row, ok := rows[packRowName(n)]
	if !ok {
		return packRow{}, 0, problem.New(problem.NotFound, "no pack has this number")
	}
	var p packRow
	if err := record.UnmarshalStored(row.Value, &p); err != nil {
		return packRow{}, 0, problem.Wrap(problem.Internal, err, "a stored pack record cannot be read; tell the operator")
	}
	return p, row.Version, nil
}

// Upload announces a pack's digests and gives a transfer that stores exactly this object, once. A collector may announce another pack for
// its number until one has arrived (sealing that was interrupted starts again); others may fill a
// number that was abandoned.
func (v *Vault) Upload(ctx context.Context, who Principal, n uint64, pack, slots record.Digest) (store.Transfer, error) {
	if err := who.only("collector"); err != nil {
		return store.Transfer{}, err
	}
	p, version, err := v.pack(ctx, n)
	if err != nil {
		return store.Transfer{}, err
	}
	if p.By != who.ID && !p.abandoned(v.cfg.Now()) {
		return store.Transfer{}, problem.New(problem.Denied, "the number is reserved by another collector")
	}
	if p.arrived() && (p.Pack != pack || p.Slots != slots) {
		return store.Transfer{}, problem.New(problem.Conflict, "another pack has arrived under this number; take a new number")
	}
	if p.Pack != pack || p.Slots != slots {
		if p.By != who.ID || p.Pack.IsZero() {
			// Not at every announcement: who never uploads would keep the number for ever.
			p.By, p.At = who.ID, record.Second(v.cfg.Now())
		}
		p.Pack, p.Slots = pack, slots
		value, err := record.Marshal(p)
		if err != nil {
			return store.Transfer{}, err
		}
		if err := v.cfg.Rows.Commit(ctx, store.Write{Op: store.Put, Key: packRowName(n), Value: value, Version: version}); err != nil {
			return store.Transfer{}, err
		}
	}
	return v.cfg.Presign.PresignPut(ctx, seal.PackKey(n), int64(v.cfg.Geometry.Size), pack, v.cfg.Now().Add(uploadTerm))
}

// Arrived is told by the object store or by the collector that a pack is there. It checks its size, registers the pack with the
// digests that it has, and commits its event to the log in one transaction. Twice equals once.
func (v *Vault) Arrived(ctx context.Context, log *Ledger, n uint64) error {
	for range 20 {
		err := v.register(ctx, log, n)
		if err == nil || problem.KindOf(err) != problem.Conflict {
			return err
		}
		// Another writer was first, here or in the log: read again.
		if p, _, readErr := v.pack(ctx, n); readErr != nil || p.Pack.IsZero() {
			return err
		}
	}
	return problem.New(problem.Unavailable, "many packs arrive at this moment; try again")
}

func (v *Vault) register(ctx context.Context, log *Ledger, n uint64) error {
	p, version, err := v.pack(ctx, n)
	if err != nil || p.arrived() {
		return err
	}
	if p.Pack.IsZero() {
		return problem.New(problem.Conflict, "nothing was announced under this number; ask for the upload first")
	}
	if p.Pack, p.Slots, err = v.stored(ctx, n); err != nil {
		return err
	}
	if err := p.open(n, v.cfg.Now()); err != nil {
		return err
	}
	value, err := record.Marshal(p)
	if err != nil {
		return err
	}
	entry := ledger.Commit(ledger.Opening{Event: p.Event, Random: [32]byte(p.Random)})
	writes, err := log.Append(ctx, entry)
	if err != nil {
		return err
	}
	// Commit point: after this write the pack exists and the log will say so.
	err = v.cfg.Rows.Commit(ctx, append(writes, store.Write{Op: store.Put, Key: packRowName(n), Value: value, Version: version})...)
	if err != nil {
		return err
	}
	if v.cfg.Sequence != nil {
		// The schedule runs it in any case; a failure here costs only time.
		_ = v.cfg.Sequence(ctx)
	}
	return nil
}

// open makes the pack's event and the randomness of its log entry.
func (p *packRow) open(n uint64, now time.Time) error {
	body, err := record.Marshal(record.PackEvent{Number: n, Pack: p.Pack, Slots: p.Slots})
	if err != nil {
		return err
	}
	// A pack's event carries no time: its hour says nothing and stays out of what mirrors keep.
	p.Event, err = record.Event{Author: "vault", Body: jsontext.Value(body), Kind: record.EventPack, Number: int64(n)}.Bytes()
	if err != nil {
		return err
	}
	p.Random = make([]byte, 32)
	_, _ = rand.Read(p.Random) // crypto/rand does not fail
	return nil
}

// stored gives the digests of the object that lies under a number. They are registered whatever was announced: the object is never
// overwritten, so a collector that announced something else would otherwise jam every mirror at its number. The object store
// has verified the whole checksum; the slot area is read and hashed here. Whoever relies on a pack compares digests.
func (v *Vault) stored(ctx context.Context, n uint64) (pack, slots record.Digest, err error) {
	info, err := v.cfg.Blobs.Stat(ctx, seal.PackKey(n))
	if err != nil && problem.KindOf(err) == problem.NotFound {
		return pack, slots, problem.Wrap(problem.NotFound, err, "no pack is stored under this number yet; store it with the transfer that was given, then confirm")
	}
	if err != nil {
		return pack, slots, err
	}
	if info.Size != int64(v.cfg.Geometry.Size) {
		return pack, slots, problem.New(problem.Invalid, "the stored object has not the size of every pack")
	}
	area, err := v.cfg.Blobs.Get(ctx, seal.PackKey(n), 0, int64(v.cfg.Geometry.Slots*seal.SlotSize))
	if err != nil {
		return pack, slots, err
	}
	defer area.Close()
	h := sha256.New()
	if _, err := io.Copy(h, area); err != nil {
		return pack, slots, problem.Wrap(problem.Unavailable, err, "the pack cannot be read back; try again")
	}
	return info.SHA256, record.Digest(h.Sum(nil)), nil
}

// Listed is a pack with the opening of its log entry.
type Listed struct {
	Number uint64 `json:"number"`
	Event  []byte `json:"event"`
	Random []byte `json:"random"`
}

// MaxList is how many packs one listing holds.
const MaxList = 100

// List gives arrived packs from a number on, without a gap: it ends at the first number that has not arrived. next is the
// lowest number that was never given out, so that a mirror can say what it waits for.
func (v *Vault) List(ctx context.Context, who Principal, from uint64) (list []Listed, next uint64, err error) {
	if err := who.only("mirror", "court", "custodian", "collector"); err != nil {
		return nil, 0, err
	}
	from = max(from, 1)
	names := []string{"packs"}
	for n := from; n < from+MaxList-1; n++ {
		names = append(names, packRowName(n))
	}
	rows, err := v.cfg.Rows.Get(ctx, names...)
	if err != nil {
		return nil, 0, err
	}
	next = 1
	if row, ok := rows["packs"]; ok {
		if next, err = decimal(row.Value); err != nil {
			return nil, 0, err
		}
	}
	for n := from; n < from+MaxList-1; n++ {
		row, ok := rows[packRowName(n)]
		if !ok {
			break
		}
		var p packRow
		if err := record.UnmarshalStored(row.Value, &p); err != nil {
			return nil, 0, problem.Wrap(problem.Internal, err, "a stored pack record cannot be read; tell the operator")
		}
		if !p.arrived() {
			break
		}
		list = append(list, Listed{Number: n, Event: p.Event, Random: p.Random})
	}
	return list, next, nil
}

// Download gives a transfer of a whole pack.
func (v *Vault) Download(ctx context.Context, who Principal, n uint64) (store.Transfer, error) {
	if err := who.only("mirror", "court", "custodian"); err != nil {
		return store.Transfer{}, err
	}
	p, _, err := v.pack(ctx, n)
	if err != nil {
		return store.Transfer{}, err
	}
	if !p.arrived() {
		return store.Transfer{}, problem.New(problem.NotFound, "no pack has arrived under this number yet")
	}
	return v.cfg.Presign.PresignGet(ctx, seal.PackKey(n), v.cfg.Now().Add(downloadTerm))
}
