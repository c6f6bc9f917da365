package keyholder_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
)

// farRows are rows at some distance, so that one change's reads lie apart in time.
type farRows struct{ store.Rows }

func (r farRows) Get(ctx context.Context, keys ...string) (map[string]store.Row, error) {
	time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
	return r.Rows.Get(ctx, keys...)
}

// TestManyMakeAUnitAtOnce: the units function and several collectors' questions meet at a new unit. Rows of one change are not
// read at one instant, and what another has just written must not be taken for a damaged ring.
func TestManyMakeAUnitAtOnce(t *testing.T) {
	w := newWorld(t).cast()
	chain := w.admit(w.order())
	k, err := keyholder.Open(t.Context(), keyholder.Config{
		Party: seal.Court, Rows: farRows{w.rows[seal.Court]}, Roots: w.roots[seal.Court], Fingerprint: w.hash, Now: w.clock("court"),
		Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) {
			return worldLog{w}, worldPeer{w, seal.Custodian}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	u := seal.Unit{Order: chain, Week: seal.WeekOf(w.now()), Compartment: "main", Classification: "restricted"}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, _, err := k.EnsureUnits(t.Context(), u); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
