package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/awscall"
	"arca.example/arca/shared/store/fault"
	"arca.example/arca/shared/store/storetest"
)

func bucket(endpoint string, plan *fault.Plan) *Blobs { return patient(endpoint, plan, 0) }

// patient is bucket with a number of attempts per operation.
func patient(endpoint string, plan *fault.Plan, attempts int) *Blobs {
	o := Options{Attempts: attempts, Region: storetest.TestRegion, Bucket: storetest.TestBucket, Endpoint: endpoint, PathStyle: true,
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

// TestImpatienceIsHonest gives up early, so that Unavailable is common; what it
// leaves must still be one of the two possible states.
func TestImpatienceIsHonest(t *testing.T) {
	plan := fault.NewPlan(6, fault.Rates{Throttle: 0.05, Lost: 0.1, Landed: 0.2})
	storetest.BlobsUnderFaults(t, patient(storetest.Versitygw(t), plan, 1))
}

// blind calls every conflict by its name, even one with itself.
type blind struct{ *Blobs }

func (b blind) Put(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	seek := body.(io.Seeker)
	var err error
	for range 8 {
		seek.Seek(0, io.SeekStart)
		if err = b.putOnce(ctx, key, size, sum, body); err == nil || exists(err) {
			break
		}
	}
	if exists(err) {
		return problem.New(problem.Conflict, "exists")
	}
	return err
}

func TestTheFaultSuiteCatchesBlindRetries(t *testing.T) {
	twin := blind{bucket(storetest.Versitygw(t), fault.NewPlan(5, fault.Rates{Landed: 0.3}))}
	if !storetest.Fails(func(tb storetest.TB) { storetest.BlobsUnderFaults(tb, twin) }) {
		t.Fatal("the suite accepts an engine that conflicts with itself")
	}
}

// TestHeadersAreSignedAsHeaders: nothing that binds an upload may have moved into the URL.
func TestHeadersAreSignedAsHeaders(t *testing.T) {
	x, err := bucket("http://127.0.0.1:1", nil).PresignPut(context.Background(), "pack/1", 5, sha256.Sum256([]byte("12345")), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(x.URL)
	if err != nil {
		t.Fatal(err)
	}
	signed := u.Query().Get("X-Amz-SignedHeaders")
	for _, name := range []string{"content-length", "host", "if-none-match", "x-amz-checksum-sha256"} {
		if !slices.Contains(strings.Split(signed, ";"), name) {
			t.Errorf("%s is not signed: %s", name, signed)
		}
		if name != "host" && x.Header.Get(name) == "" {
			t.Errorf("%s is not among the headers to send: %v", name, x.Header)
		}
	}
	if strings.Contains(strings.ToLower(u.RawQuery), "checksum-sha256=") {
		t.Errorf("the checksum moved into the URL: %s", u.RawQuery)
	}
}

// TestKilledEngineKeepsWhatItAcknowledged kills the server while it stores:
// what was acknowledged is there, what was not is there whole or not at all.
func TestKilledEngineKeepsWhatItAcknowledged(t *testing.T) {
	folder := t.TempDir()
	endpoint, kill := storetest.VersitygwIn(t, folder)
	b := patient(endpoint, nil, 1)
	ctx := context.Background()
	object := func(i int) []byte { return storetest.Random(uint64(i), 300_000) }
	put := func(i int) error {
		body := object(i)
		return b.Put(ctx, fmt.Sprintf("pack/%012d", i), int64(len(body)), sha256.Sum256(body), bytes.NewReader(body))
	}
	acknowledged := 0
	for ; ; acknowledged++ {
		if acknowledged == 30 {
			go kill()
		}
		if err := put(acknowledged); err != nil {
			if acknowledged < 30 || problem.KindOf(err) != problem.Unavailable {
				t.Fatalf("after %d objects: %v", acknowledged, err)
			}
			break
		}
	}
	endpoint, _ = storetest.VersitygwIn(t, folder)
	b = bucket(endpoint, nil)
	listed, err := b.List(ctx, "pack/", "", store.MaxList)
	if err != nil || len(listed) < acknowledged || len(listed) > acknowledged+1 {
		t.Fatalf("%d acknowledged, %d listed, %v", acknowledged, len(listed), err)
	}
	for i := range listed {
		info, err := b.Stat(ctx, listed[i].Key)
		if err != nil || info.SHA256 != sha256.Sum256(object(i)) {
			t.Fatalf("object %d: %v", i, err)
		}
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
