package main

import (
	"context"
	"crypto/rand"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	arca "arca.example/arca"
	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/edge/calls"
	"arca.example/arca/shared/keys/kms/kmstest"
	"arca.example/arca/shared/local/rights"
	"arca.example/arca/shared/store/awscall"
	"arca.example/arca/shared/store/dynamo"
	"arca.example/arca/shared/store/fault"
	"arca.example/arca/shared/store/storetest"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// recordings are more than two pages of a release carry.
const recordings = 210

const keyARN = "arn:aws:kms:eu-south-2:000000000000:key/"

// cloud is AWS as far as the functions see it: one DynamoDB-API engine with a table per party, one S3-API server, a KMS per
// party and Lambda's asynchronous invocation.
type cloud struct {
	services map[edge.Party]services
	world    *functionstest.World

	mu    sync.Mutex
	calls map[string]*calls.Recorder // by function; court and custodian run the same
	keys  map[string]map[string]bool // by function: kms:Action@key
	plan  *fault.Plan                // nil: nothing fails
}

func newCloud(t *testing.T, plan *fault.Plan) *cloud {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", storetest.TestAccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", storetest.TestSecretKey)
	c := &cloud{services: map[edge.Party]services{}, calls: map[string]*calls.Recorder{}, keys: map[string]map[string]bool{}, plan: plan}
	engine, objects := storetest.Dynoxide(t), storetest.Versitygw(t)
	for _, party := range functionstest.Parties {
		table := dynamo.New(dynamo.Options{Region: storetest.TestRegion, Table: "arca-" + party, Endpoint: engine, Credentials: awscall.Static(storetest.TestAccessKey, storetest.TestSecretKey)})
		if err := table.CreateTable(t.Context()); err != nil {
			t.Fatal(err)
		}
		keys := kmstest.New(t, "BaseRoot", "RingRoot", "NextRingRoot")
		// As the template makes it: a key of KMS's own, enabled from the start.
		material := make([]byte, 32)
		rand.Read(material)
		*keys.Keys["BaseRoot"] = kmstest.Key{ID: "BaseRoot", Origin: "AWS_KMS", State: "Enabled", Spec: "SYMMETRIC_DEFAULT", Material: material}
		c.services[edge.Party(party)] = services{
			dynamo: engine, s3: objects, kms: serve(t, keys), lambda: serve(t, c.invocations(t, party)), longestWait: 5 * time.Millisecond, watch: c.watch,
		}
	}
	c.world = functionstest.Open(t, functionstest.Options{
		Dir: t.TempDir(), Now: time.Now, Stamped: true,
		Resources: func(env edge.Env) edge.Resources {
			env.Table = "arca-" + string(env.Party)
			return c.services[env.Party].resources(env)
		},
		Params: map[string]string{"AWS::Region": storetest.TestRegion, "Bucket": storetest.TestBucket, "CopyBucket": storetest.TestCopy, "BaseRoot.Arn": keyARN + "BaseRoot", "RingRoot.Arn": keyARN + "RingRoot", "NextRingRoot.Arn": keyARN + "NextRingRoot"},
	})
	return c
}

func serve(t *testing.T, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// invocations is Lambda's Invoke for one account: asynchronous only.
func (c *cloud) invocations(t *testing.T, party string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/2015-03-31/functions/"), "/invocations")
		payload, err := io.ReadAll(r.Body)
		if !ok || err != nil || r.Method != http.MethodPost || r.Header.Get("X-Amz-Invocation-Type") != "Event" {
			t.Errorf("not an asynchronous invocation: %s %s", r.Method, r.URL.Path)
		}
		if err := c.world.Deliver(party, name, payload); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

// watch records a function's calls and lets the plan fail them.
func (c *cloud) watch(env edge.Env) []func(*middleware.Stack) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[env.Function] == nil {
		c.calls[env.Function], c.keys[env.Function] = &calls.Recorder{}, map[string]bool{}
	}
	options := []func(*middleware.Stack) error{c.calls[env.Function].Record, c.recordKeys(env.Function)}
	if c.plan != nil {
		options = append(options, c.plan.Install)
	}
	return options
}

// recordKeys notes which KMS key each call names.
func (c *cloud) recordKeys(function string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("ArcaRecordKeys",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				if awsmiddleware.GetServiceID(ctx) == "KMS" {
					id := reflect.ValueOf(in.Parameters).Elem().FieldByName("KeyId").Elem().String()
					c.mu.Lock()
					c.keys[function]["kms:"+middleware.GetOperationName(ctx)+"@"+strings.TrimPrefix(id, keyARN)] = true
					c.mu.Unlock()
				}
				return next.HandleInitialize(ctx, in)
			}), middleware.After)
	}
}

// TestRightsOnRealEngines walks the whole journey with the resources of the deployment and holds each function's SDK calls
// against its role: what is missing would fail in production, what is unused an intruder would have for nothing.
func TestRightsOnRealEngines(t *testing.T) {
	c := newCloud(t, nil)
	c.world.Journey(recordings)
	if n := c.world.DeadLetters(); n > 0 {
		t.Errorf("%d dead letters\n%s", n, c.world.Log)
	}
	for _, party := range []string{"vault", "court"} {
		for _, name := range c.world.Functions(party) {
			t.Run(name, func(t *testing.T) { c.holdAgainstRole(t, name) })
		}
	}
}

// usedLater is what a journey of one destruction does not come to: the root of the newest generation is destroyed by the destruction after it, or
// when a hold undoes it.
var usedLater = map[string]string{"destroy": "kms:DeleteImportedKeyMaterial@NextRingRoot"}

func (c *cloud) holdAgainstRole(t *testing.T, name string) {
	t.Helper()
	recorder := c.calls[name]
	if recorder == nil {
		t.Fatal("the journey never called it")
	}
	granted, err := rights.Of(arca.Template, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := rights.Check(recorder.Calls(), granted); err != nil {
		t.Errorf("%v\nit called: %v", err, recorder.Calls())
	}
	allowed, err := rights.OnKeys(arca.Template, name)
	if err != nil {
		t.Fatal(err)
	}
	if later, ok := usedLater[name]; ok {
		c.keys[name][later] = true
	}
	used := slices.Sorted(maps.Keys(c.keys[name]))
	if !slices.Equal(used, allowed) {
		t.Errorf("KMS keys used: %v\nallowed by the role: %v", used, allowed)
	}
	t.Logf("%v %v", recorder.Calls(), used)
}

// TestJourneyUnderFaults walks the same way while a part of all SDK calls conflicts, is throttled, answers in part or gets
// lost, before or after it landed. Callers repeat what was answered "unavailable" and nothing else.
func TestJourneyUnderFaults(t *testing.T) {
	plan := fault.NewPlan(11, fault.Rates{Conflict: 0.04, Throttle: 0.04, Unprocessed: 0.04, Lost: 0.03, Landed: 0.04})
	c := newCloud(t, plan)
	c.world.Attempts(40)
	c.world.Journey(recordings)
	counts := plan.Counts()
	t.Logf("injected: %v, dead letters: %d", counts, c.world.DeadLetters())
	for _, kind := range []string{"conflict", "throttle", "unprocessed", "lost", "landed"} {
		if counts[kind] == 0 {
			t.Errorf("no %s was injected", kind)
		}
	}
}
