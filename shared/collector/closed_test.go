package collector

import (
	"context"
	"slices"
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// TestTheClerksCopiesAreClosedForThemselves: when a collector has closed all else of an order, copies can still be made for the clerk, which
// a destruction of the rest waits for.
func TestTheClerksCopiesAreClosedForThemselves(t *testing.T) {
	ctx := context.Background()
	w := newWorld(seal.TinyGeometry)
	chain := w.order("a", nil)
	c := openCollector(t, w.config(t.TempDir()))
	if err := firstErr(c.Seal(ctx, []Item{item(chain, "one", 11, pattern(1000, 1))}, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CloseUnits(ctx, chain, "", false); problem.KindOf(err) != problem.Conflict {
		t.Fatalf("closed while something waits: %v", err)
	}
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	main := unitOf(chain, 11)
	clerk := main
	clerk.Compartment = record.ClerkCompartment
	for _, k := range []*fakeKeyholder{w.court, w.custodian} {
		list := record.UnitKeys{Audience: w.hash, Issued: k.now(), Party: string(k.role)}
		list.Keys = append(list.Keys, k.unitKey(wire.UnitAsk{Chain: chain.String(), Week: clerk.Week, Compartment: clerk.Compartment, Classification: clerk.Classification}))
		k.listed = []string{must(record.Sign(k.signer(), record.TypeUnitKeys, k.now(), list))}
	}
	for _, of := range []struct {
		clerk bool
		want  seal.Unit
	}{{false, main}, {false, main}, {true, clerk}} {
		got, err := c.CloseUnits(ctx, chain, "", of.clerk)
		if err != nil || !slices.Equal(got, []seal.Unit{of.want}) {
			t.Fatalf("clerk %v: closed %v (%v), want %v", of.clerk, got, err, of.want)
		}
	}
	if n := len(w.court.closings); n != 2 {
		t.Errorf("the court heard %d words, want one of each unit", n)
	}
	if err := firstErr(c.Seal(ctx, []Item{item(chain, "two", 11, pattern(1000, 2))}, nil)); problem.KindOf(err) != problem.Gone {
		t.Errorf("sealed in a closed unit: %v", err)
	}
}

func firstErr(list []Sealed, err error) error {
	for _, s := range list {
		if err == nil {
			err = s.Err
		}
	}
	return err
}
