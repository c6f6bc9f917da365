package keyholder_test

import (
	"testing"
	"time"

	"arca.example/arca/shared/keyholder/keyholdertest"
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/sqlite"
	"arca.example/arca/shared/store/storetest"
)

// units is how many units the court's ring holds beside the one that goes: each has a seed and a find secret.
const units = 100_000

// BenchmarkDestroy prints how long the court takes to destroy one unit among 100,000, on SQLite and a disk, from the look at what is due to the
// journalled certificate, and what opens afterwards: every survivor, from the rows and roots of now, and no page of a dump from before.
func BenchmarkDestroy(b *testing.B) {
	b.Run("key-file", func(b *testing.B) { benchmarkDestroy(b, nil) })
	b.Run("softhsm", func(b *testing.B) { benchmarkDestroy(b, token(b)) })
}

// token gives roots in SoftHSM; see destroy_pkcs11_test.go.
var token = func(b *testing.B) keys.Roots {
	b.Skip("built without the tag pkcs11")
	return nil
}

func benchmarkDestroy(b *testing.B, roots keys.Roots) {
	for b.Loop() {
		b.StopTimer()
		w := newWorldOn(b, func(party seal.Role) (store.Rows, keys.Roots) {
			if party != seal.Court {
				return nil, nil
			}
			rows, err := sqlite.Open(b.TempDir() + "/rows.db")
			must(b, err)
			b.Cleanup(func() { _ = rows.Close() })
			return rows, roots
		}).cast()
		one := w.batch(w.admit(w.order()), seal.Statement{}, "first call", "second call")
		w.closeUnit(one)
		w.end(one.unit.Order)
		w.decide(one.unit.Order)
		filled, err := w.keyholder[seal.Court].FillRing(b.Context(), units)
		must(b, err)
		before := storetest.NewMemory()
		dump := storetest.Snapshot{}
		must(b, w.engines[seal.Court].Scan(b.Context(), 0, 1, func(row store.Row) error { dump[row.Key] = row; return nil }))
		before.Restore(dump)
		b.StartTimer()
		began, cpu := time.Now(), processor()
		must(b, w.keyholder[seal.Court].Destroy(b.Context()))
		took, spent := time.Since(began), processor()-cpu
		b.StopTimer()
		if n := len(w.events(seal.Court, one.unit.Order, record.EventDestroyed)); n != 1 {
			b.Fatalf("%d certificates", n)
		}
		survivors, err := w.keyholder[seal.Court].CountRing(b.Context(), filled)
		must(b, err)
		spoils, err := keyholdertest.Plunder(b.Context(), keyholdertest.Loot{Party: seal.Court, Roots: w.roots[seal.Court], Rows: []store.Rows{before}})
		must(b, err)
		if survivors != 2*units || spoils.Pages != 0 || spoils.Closed < 2*units/256 {
			b.Fatalf("%d of %d secrets survive; of a dump from before %d pages open and %d do not", survivors, 2*units, spoils.Pages, spoils.Closed)
		}
		b.ReportMetric(float64(took.Microseconds())/1000, "ms/destroy")
		b.ReportMetric(float64(spent.Microseconds())/1000, "cpu-ms/destroy")
		b.ReportMetric(float64(survivors)/(2*units), "survivors")
		b.ReportMetric(float64(spoils.Closed), "dead-pages")
		b.StartTimer()
	}
}
