package vault

import (
	"context"
	"sync"
	"testing"
	"time"

	"arca.example/arca/shared/store/awscall"
	"arca.example/arca/shared/store/dynamo"
	"arca.example/arca/shared/store/fault"
	"arca.example/arca/shared/store/storetest"
)

// TestOnADynamoDBEngineUnderFaults runs adders, appenders and two sequencers
// on a real DynamoDB-API engine that conflicts, throttles and loses answers.
func TestOnADynamoDBEngineUnderFaults(t *testing.T) {
	endpoint := storetest.Dynoxide(t)
	options := dynamo.Options{Region: storetest.TestRegion, Table: "log", Endpoint: endpoint,
		Credentials: awscall.Static(storetest.TestAccessKey, storetest.TestSecretKey), LongestWait: 2 * time.Millisecond}
	if err := dynamo.New(options).CreateTable(context.Background()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, 1, 1)
	calm := dynamo.New(options)
	plan := fault.NewPlan(5, fault.Rates{Conflict: 0.05, Throttle: 0.05, Unprocessed: 0.1, Lost: 0.05, Landed: 0.05})
	options.APIOptions = append(options.APIOptions, plan.Install)
	w.rows = dynamo.New(options)
	ctx := t.Context()
	var wg sync.WaitGroup
	for p := range 2 {
		l := w.open()
		for i := range 12 {
			wg.Go(func() {
				n := (p*12 + i) * 10
				if i%4 == 0 {
					appendUntilIn(t, w, l, entry(n))
				}
				if err := l.Add(ctx, entries(n, n+10)); err != nil {
					t.Error(err)
				}
				if _, err := l.Sequence(ctx); err != nil {
					t.Logf("a run gave up: %v", err) // the next one goes on
				}
			})
		}
	}
	wg.Wait()
	w.rows = calm
	l := w.open()
	if _, err := l.Sequence(ctx); err != nil {
		t.Fatal(err)
	}
	w.audit(l, entries(0, 240))
	t.Logf("injected: %v", plan.Counts())
	if len(plan.Counts()) < 4 {
		t.Fatal("hardly any fault was injected")
	}
}
