package dynamo

import (
	"context"
	"crypto/rand"
	"fmt"
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
	return patient(t, endpoint, name, plan, 0)
}

// patient is table with a number of attempts per operation.
func patient(t *testing.T, endpoint, name string, plan *fault.Plan, attempts int) *Rows {
	t.Helper()
	o := Options{Region: storetest.TestRegion, Table: name, Endpoint: endpoint, Attempts: attempts, Credentials: awscall.Static(storetest.TestAccessKey, storetest.TestSecretKey)}
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

// TestImpatienceIsHonest gives up after the first attempt, so that Unavailable
// is common; what it leaves must still be one of the two possible states.
func TestImpatienceIsHonest(t *testing.T) {
	endpoint := storetest.Dynoxide(t)
	for attempts := 1; attempts <= 2; attempts++ {
		plan := fault.NewPlan(12, fault.Rates{Throttle: 0.05, Lost: 0.1, Landed: 0.2})
		storetest.RowsUnderFaults(t, patient(t, endpoint, fmt.Sprint("impatient", attempts), plan, attempts))
	}
}

// naive is the engine as the SDK's own retries would make it: it repeats
// without remembering that the first attempt may have landed.
type naive struct{ *Rows }

func (n naive) Commit(ctx context.Context, writes ...store.Write) error {
	token := make([]byte, 16)
	rand.Read(token)
	var err error
	for range 8 {
		if err = n.send(ctx, writes, token); err == nil || conditionFailed(err) {
			break
		}
	}
	if conditionFailed(err) {
		return problem.New(problem.Conflict, "changed")
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// hasty gives up at the first unclear answer and calls it a failure that changed nothing.
type hasty struct{ *Rows }

func (h hasty) Commit(ctx context.Context, writes ...store.Write) error {
	err := h.Rows.Commit(ctx, writes...)
	if problem.KindOf(err) == problem.Unavailable && err != nil {
		return problem.New(problem.Conflict, "nothing was written")
	}
	return err
}

func TestTheFaultSuiteCatchesBlindRetries(t *testing.T) {
	endpoint := storetest.Dynoxide(t)
	lossy := func() *fault.Plan { return fault.NewPlan(11, fault.Rates{Landed: 0.3}) }
	for name, twin := range map[string]store.Rows{
		"naive": naive{table(t, endpoint, "naive", lossy())},
		"hasty": hasty{patient(t, endpoint, "hasty", lossy(), 1)},
	} {
		if !storetest.Fails(func(tb storetest.TB) { storetest.FaultChecks()[0].Run(tb, twin, storetest.Limits{}) }) {
			t.Fatalf("the suite accepts the %s engine", name)
		}
	}
}

// TestARepeatedTransactionIsRecognised: a delete leaves no token behind, so its
// repetition is the service's to recognise, by the request token.
func TestARepeatedTransactionIsRecognised(t *testing.T) {
	r := table(t, storetest.Dynoxide(t), "repeat", nil)
	ctx := context.Background()
	if err := r.Commit(ctx, store.Write{Key: "k"}); err != nil {
		t.Fatal(err)
	}
	token := []byte("0123456789abcdef")
	gone := []store.Write{{Op: store.Delete, Key: "k", Version: 1}}
	for i := range 2 {
		if err := r.send(ctx, gone, token); err != nil {
			t.Fatalf("attempt %d: %v", i+1, err)
		}
	}
	if err := r.send(ctx, gone, []byte("another token ..")); !conditionFailed(err) {
		t.Fatalf("another delete: %v", err)
	}
}

// TestKilledEngineKeepsWhatItAcknowledged kills the engine while writers run.
func TestKilledEngineKeepsWhatItAcknowledged(t *testing.T) {
	folder := t.TempDir()
	endpoint, kill := storetest.DynoxideIn(t, folder)
	r := patient(t, endpoint, "kept", nil, 1)
	ctx := context.Background()
	acknowledged := int64(0)
	for {
		err := r.Commit(ctx, store.Write{Key: "a", Version: acknowledged}, store.Write{Key: "b", Version: acknowledged})
		if err != nil {
			if acknowledged < 100 || problem.KindOf(err) != problem.Unavailable {
				t.Fatalf("after %d commits: %v", acknowledged, err)
			}
			break
		}
		if acknowledged++; acknowledged == 100 {
			go kill()
		}
	}
	endpoint, _ = storetest.DynoxideIn(t, folder)
	got, err := New(Options{Region: storetest.TestRegion, Table: "kept", Endpoint: endpoint, Credentials: awscall.Static("a", "b")}).Get(ctx, "a", "b")
	if err != nil || got["a"].Version != got["b"].Version || got["a"].Version < acknowledged || got["a"].Version > acknowledged+1 {
		t.Fatalf("%d acknowledged, versions %d and %d, %v", acknowledged, got["a"].Version, got["b"].Version, err)
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
