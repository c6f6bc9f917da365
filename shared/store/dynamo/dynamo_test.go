package dynamo

import (
	"context"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/awscall"
	"arca.example/arca/shared/store/fault"
	"arca.example/arca/shared/store/sealed"
	"arca.example/arca/shared/store/storetest"
)

// table makes a fresh table on a running engine; plan may be nil.
func table(t *testing.T, endpoint, name string, plan *fault.Plan) *Rows {
	t.Helper()
	o := Options{Region: storetest.TestRegion, Table: name, Endpoint: endpoint, Credentials: awscall.Static(storetest.TestAccessKey, storetest.TestSecretKey)}
	if err := New(o).CreateTable(context.Background()); err != nil {
		t.Fatal(err)
	}
	if plan != nil {
		o.LongestWait = 2 * time.Millisecond
		o.APIOptions = append(o.APIOptions, plan.Install)
	}
	return New(o)
}

func TestConformance(t *testing.T) {
	endpoint := storetest.Dynoxide(t)
	storetest.Rows(t, func(t *testing.T) store.Rows { return table(t, endpoint, "rows", nil) })
}

func TestSealedConformance(t *testing.T) {
	endpoint := storetest.Dynoxide(t)
	limits := storetest.Limits{RowBytes: sealed.MaxRowBytes, CommitBytes: 10 * sealed.MaxRowBytes}
	storetest.Rows(t, func(t *testing.T) store.Rows { return sealed.New(table(t, endpoint, "sealed", nil), [32]byte{1}) }, limits)
}

func TestUnderFaults(t *testing.T) {
	endpoint := storetest.Dynoxide(t)
	for name, rates := range map[string]fault.Rates{
		"conflict":    {Conflict: 0.3},
		"throttle":    {Throttle: 0.3},
		"unprocessed": {Unprocessed: 0.6},
		"lost":        {Lost: 0.3},
		"landed":      {Landed: 0.3},
		"all":         {Conflict: 0.1, Throttle: 0.1, Unprocessed: 0.1, Lost: 0.1, Landed: 0.15},
	} {
		t.Run(name, func(t *testing.T) {
			plan := fault.NewPlan(11, rates)
			storetest.RowsUnderFaults(t, table(t, endpoint, name, plan))
			counts := plan.Counts()
			t.Logf("injected: %v", counts)
			if len(counts) == 0 {
				t.Fatal("no fault was injected")
			}
		})
	}
}

func TestAnEngineThatIsGoneIsUnavailable(t *testing.T) {
	r := New(Options{Region: "us-east-1", Table: "t", Endpoint: "http://127.0.0.1:1", Attempts: 2, Credentials: awscall.Static("a", "b")})
	if err := r.Commit(context.Background(), store.Write{Key: "k"}); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("commit: %v", err)
	}
	if _, err := r.Get(context.Background(), "k"); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("get: %v", err)
	}
	if err := r.Scan(context.Background(), 0, 1, nil); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("scan: %v", err)
	}
}
