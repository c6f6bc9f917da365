package installation_test

import (
	"context"
	"testing"
	"time"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

func start(t *testing.T, tokens map[string]installation.Token) *installation.Folder {
	t.Helper()
	f, err := installation.Init(t.Context(), t.TempDir(), installation.Options{
		Pack: record.PackShape{Size: seal.TinyGeometry.Size, Slots: seal.TinyGeometry.Slots}, Tick: time.Second, Tokens: tokens,
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Serve(t.Context(), installation.ServeOptions{Sequence: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return f
}

func person(t *testing.T, f *installation.Folder, name string, e record.Enrolment) *record.Signer {
	t.Helper()
	s, err := f.NewIdentity(name, "people", name)
	if err != nil {
		t.Fatal(err)
	}
	e.Key, e.Name = s.Public(), name
	if err := f.Enrol(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOrderAndUnits(t *testing.T) { orderAndUnits(t, start(t, nil)) }

// orderAndUnits admits an order at both keyholders and has both make and complete a unit, twice, so that every secret was written
// to the ring and read again.
func orderAndUnits(t *testing.T, f *installation.Folder) {
	t.Helper()
	judge := person(t, f, "judge", record.Enrolment{Roles: []record.Role{record.Judge}, Court: "Court One", Clearance: "secret"})
	now := record.Second(time.Now())
	order := record.Order{
		Audience: f.Config.Trust, Kind: record.Authorisation, Profile: "ES-588ter", Court: "Court One", Case: "case-1", PoliceUnit: "Unit A",
		Classification: "restricted", Decided: now.Add(-2 * time.Hour), Capture: record.Window{From: now.Add(-time.Hour), Until: now.AddDate(0, 1, 0)}, AccessEnd: now.AddDate(0, 2, 0),
		Scope:   record.Scope{Identifiers: []record.Identifier{{Kind: "msisdn", Value: "+12025550111"}}, Kinds: []string{"call", "message"}},
		Grounds: record.Grounds{Offence: "x", Indicia: "x", Persons: []string{"x"}, Extent: "x", Motivation: "x", Duration: "1 month", Purpose: "x", Obliged: "x"},
		Reports: record.Reports{Form: "written", EveryDays: 15},
	}
	raw, err := record.Sign(judge, record.TypeOrder, now, order)
	if err != nil {
		t.Fatal(err)
	}
	chain := record.HashStatement(raw)
	for _, party := range []string{"court", "custodian"} {
		out, err := f.Keyholder(party, nil).Admit(t.Context(), raw)
		if err != nil {
			t.Fatal(party, err)
		}
		if out.State != "in-force" || out.Chain != chain.String() {
			t.Fatal(out)
		}
	}
	collector, err := f.Identity("collector")
	if err != nil {
		t.Fatal(err)
	}
	ask := wire.UnitAsk{Chain: chain.String(), Classification: "restricted", Compartment: "main", Week: seal.WeekOf(now)}
	for range 2 {
		for _, party := range []string{"court", "custodian"} {
			if _, _, err := f.Keyholder(party, collector).Units(t.Context(), ask); err != nil {
				t.Fatal(party, err)
			}
		}
	}
}
