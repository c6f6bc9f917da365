package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/awscall"
	"arca.example/arca/shared/store/fault"
	"arca.example/arca/shared/store/storetest"
)

func bucket(endpoint string, plan *fault.Plan) *Blobs {
	o := Options{Region: storetest.TestRegion, Bucket: storetest.TestBucket, Endpoint: endpoint, PathStyle: true,
		Credentials: awscall.Static(storetest.TestAccessKey, storetest.TestSecretKey)}
	if plan != nil {
		o.LongestWait = 2 * time.Millisecond
		o.APIOptions = append(o.APIOptions, plan.Install)
	}
	return New(o)
}

func TestConformance(t *testing.T) {
	endpoint := storetest.Versitygw(t)
	storetest.Blobs(t, func(t *testing.T) store.Blobs { return bucket(endpoint, nil) })
}

func TestPresigned(t *testing.T) {
	b := bucket(storetest.Versitygw(t), nil)
	storetest.Presigner(t, b, b, storetest.Weaknesses{})
}

func TestUnderFaults(t *testing.T) {
	for name, rates := range map[string]fault.Rates{
		"conflict": {Conflict: 0.3},
		"throttle": {Throttle: 0.3},
		"lost":     {Lost: 0.3},
		"landed":   {Landed: 0.3},
		"all":      {Conflict: 0.1, Throttle: 0.1, Lost: 0.15, Landed: 0.15},
	} {
		t.Run(name, func(t *testing.T) {
			plan := fault.NewPlan(5, rates)
			storetest.BlobsUnderFaults(t, bucket(storetest.Versitygw(t), plan))
			counts := plan.Counts()
			t.Logf("injected: %v", counts)
			if len(counts) == 0 {
				t.Fatal("no fault was injected")
			}
		})
	}
}

func TestAnEngineThatIsGoneIsUnavailable(t *testing.T) {
	b := New(Options{Region: "us-east-1", Bucket: "b", Endpoint: "http://127.0.0.1:1", PathStyle: true, Attempts: 2, Credentials: awscall.Static("a", "b")})
	ctx := context.Background()
	if err := b.Put(ctx, "k", 1, sha256.Sum256([]byte("x")), bytes.NewReader([]byte("x"))); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("put: %v", err)
	}
	if _, err := b.Get(ctx, "k", 0, -1); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("get: %v", err)
	}
	if _, err := b.List(ctx, "", "", 1); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("list: %v", err)
	}
	if err := b.Delete(ctx, "k"); problem.KindOf(err) != problem.Unavailable {
		t.Fatalf("delete: %v", err)
	}
}
