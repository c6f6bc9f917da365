package collector

import (
	"context"
	"fmt"
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/seal"
)

// TestSealAndSend: what leaves while sealing goes on is as whole as what waits, and a vault that fails on the way costs nothing.
func TestSealAndSend(t *testing.T) {
	for name, failing := range map[string]bool{"vault answers": false, "vault fails at first": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(seal.TinyGeometry)
			chain := w.order("a", nil)
			c := openCollector(t, w.config(t.TempDir()))
			var items []Item
			for i := range 12 {
				items = append(items, item(chain, fmt.Sprint(i), 11, pattern(400_000, uint32(i))))
			}
			if failing {
				w.vault.fail = func(call string) error {
					if call == "put" {
						return problem.New(problem.Unavailable, "down")
					}
					return nil
				}
			}
			results, err := c.SealAndSend(context.Background(), items, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
			}
			w.vault.fail = nil
			if err := c.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			if left := c.waiting(); len(left) != 0 {
				t.Fatalf("%d packs wait", len(left))
			}
			if got := w.open(t, unitOf(chain, 11)); len(got) != len(items) {
				t.Fatalf("%d of %d recordings open", len(got), len(items))
			}
		})
	}
}
