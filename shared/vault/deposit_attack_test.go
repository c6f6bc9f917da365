package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
)

// noPresigner stands for an object store whose uploads the tests do themselves.
type noPresigner struct{}

func (noPresigner) PresignPut(context.Context, string, int64, [32]byte, time.Time) (store.Transfer, error) {
	return store.Transfer{}, nil
}

func (noPresigner) PresignGet(context.Context, string, time.Time) (store.Transfer, error) {
	return store.Transfer{}, nil
}

// depositing is a vault with two collectors, one of which is malicious, and a mirror.
func depositing(t *testing.T) (w *world, v *Vault, bad, good, mirror Principal) {
	w = newWorld(t, 1, 1)
	v = New(Config{Rows: w.rows, Blobs: w.blobs, Presign: noPresigner{}, Geometry: seal.TinyGeometry, Now: w.now})
	return w, v, Principal{record.KeyID{1}, "collector"}, Principal{record.KeyID{2}, "collector"}, Principal{record.KeyID{3}, "mirror"}
}

// A collector announces a slot area that its pack does not have and uploads the pack. The object can never be overwritten: were
// it not registered either, no mirror would ever get past its number.
func TestASpoiledNumberDoesNotHoldUpTheMirrors(t *testing.T) {
	for name, announced := range map[string]func(pack, slots record.Digest) (record.Digest, record.Digest){
		"another slot area":           func(pack, slots record.Digest) (record.Digest, record.Digest) { return pack, record.Digest{1} },
		"another pack after the fact": func(pack, slots record.Digest) (record.Digest, record.Digest) { return record.Digest{2}, slots },
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			w, v, bad, _, mirror := depositing(t)
			n, err := v.Reserve(ctx, bad, record.ID{1}, 1)
			if err != nil {
				t.Fatal(err)
			}
			body := bytes.Repeat([]byte("x"), seal.TinyGeometry.Size)
			sum, slots := sha256.Sum256(body), sha256.Sum256(body[:seal.TinyGeometry.Slots*seal.SlotSize])
			if _, err := v.Upload(ctx, bad, n, record.Digest(sum), record.Digest(slots)); err != nil {
				t.Fatal(err)
			}
			if err := w.blobs.Put(ctx, seal.PackKey(n), int64(len(body)), sum, bytes.NewReader(body)); err != nil {
				t.Fatal(err)
			}
			pack, area := announced(record.Digest(sum), record.Digest(slots))
			if _, err := v.Upload(ctx, bad, n, pack, area); err != nil {
				t.Fatal(err)
			}
			if err := v.Arrived(ctx, w.open(), n); err != nil {
				t.Fatal("the number is lost for ever:", err)
			}
			list, _, err := v.List(ctx, mirror, 1)
			if err != nil || len(list) != 1 {
				t.Fatalf("the mirror sees %d packs: %v", len(list), err)
			}
			var e record.Event
			var said record.PackEvent
			if record.Unmarshal(list[0].Event, &e) != nil || record.Unmarshal(e.Body, &said) != nil || said != (record.PackEvent{Number: n, Pack: sum, Slots: slots}) {
				t.Fatalf("the log would say %+v, which is not what is stored", said)
			}
			if _, err := v.Upload(ctx, bad, n, record.Digest{9}, area); problem.KindOf(err) != problem.Conflict {
				t.Fatal("announced again after arrival:", err)
			}
		})
	}
}

// An object that has not the size of every pack would show on storage which one it is. It is never registered.
func TestAnObjectOfAnotherSizeIsNotRegistered(t *testing.T) {
	ctx := t.Context()
	w, v, bad, _, _ := depositing(t)
	n, err := v.Reserve(ctx, bad, record.ID{1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), seal.TinyGeometry.Size-1)
	sum := sha256.Sum256(body)
	if _, err := v.Upload(ctx, bad, n, record.Digest(sum), record.Digest{1}); err != nil {
		t.Fatal(err)
	}
	if err := w.blobs.Put(ctx, seal.PackKey(n), int64(len(body)), sum, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	if err := v.Arrived(ctx, w.open(), n); problem.KindOf(err) != problem.Invalid {
		t.Fatal(err)
	}
}

// A collector that never uploads announces again and again, so that its number never counts as abandoned.
func TestAnnouncingAgainDoesNotKeepANumber(t *testing.T) {
	ctx := t.Context()
	w, v, bad, good, _ := depositing(t)
	n, err := v.Reserve(ctx, bad, record.ID{1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	began := w.now()
	for day := byte(0); w.now().Sub(began) <= forsakeAfter; day++ {
		if _, err := v.Upload(ctx, bad, n, record.Digest{1, day}, record.Digest{1}); err != nil {
			t.Fatal(err)
		}
		if day == 0 {
			if _, err := v.Upload(ctx, good, n, record.Digest{2}, record.Digest{2}); problem.KindOf(err) != problem.Denied {
				t.Fatal("a number that is in use was taken:", err)
			}
		}
		w.pass(24 * time.Hour)
	}
	if _, err := v.Upload(ctx, good, n, record.Digest{2}, record.Digest{2}); err != nil {
		t.Fatal("the number is kept for ever:", err)
	}
	if _, err := v.Upload(ctx, bad, n, record.Digest{1}, record.Digest{1}); problem.KindOf(err) != problem.Denied {
		t.Fatal("and is taken back:", err)
	}
}
