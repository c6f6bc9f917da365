// Package fault makes stores fail on purpose, in tests only.
//
// Plan is SDK middleware: it lets real engines, which never throttle, conflict
// or lose an answer, do all of that by a seeded plan. Rows and Blobs wrap any
// engine and fail a chosen write, before or after it landed. Crash kills the
// process without warning after a chosen number of writes, so that a test can
// kill a job between every two of them.
//
// Nothing here is linked by a program that keeps anything.
package fault

import (
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Rates are probabilities per request; what is left goes through untouched.
type Rates struct {
	Conflict    float64 // TransactionConflict, or S3's ConditionalRequestConflict: refused, nothing done
	Throttle    float64 // refused, nothing done
	Unprocessed float64 // a batch read answers some keys only
	Lost        float64 // timeout: the request never arrived
	Landed      float64 // timeout: it was executed, the answer is lost
}

// Plan decides, in the order in which requests come, what happens to each.
type Plan struct {
	rates Rates

	mu     sync.Mutex
	random *rand.Rand
	counts map[string]int
}

// NewPlan makes a plan whose decisions depend on the seed only.
func NewPlan(seed uint64, rates Rates) *Plan {
	return &Plan{rates: rates, random: rand.New(rand.NewPCG(seed, seed)), counts: map[string]int{}}
}

// Counts says how often each fault was injected, so that a test can demand that it was.
func (p *Plan) Counts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// Install adds the plan to an SDK client's APIOptions.
func (p *Plan) Install(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("fault", p.handle), middleware.Before)
}

// draw picks the fault of one request.
func (p *Plan) draw(operation string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.random.Float64()
	for _, f := range []struct {
		name   string
		rate   float64
		usable bool
	}{
		{"conflict", p.rates.Conflict, conflictOf(operation) != nil},
		{"throttle", p.rates.Throttle, true},
		{"unprocessed", p.rates.Unprocessed, operation == "BatchGetItem"},
		{"lost", p.rates.Lost, true},
		{"landed", p.rates.Landed, true},
	} {
		if x < f.rate && f.usable {
			p.counts[f.name]++
			return f.name
		}
		x -= f.rate
		if x < 0 {
			return ""
		}
	}
	return ""
}

func (p *Plan) handle(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (out middleware.DeserializeOutput, _ middleware.Metadata, _ error) {
	operation := awsmiddleware.GetOperationName(ctx)
	switch p.draw(operation) {
	case "conflict":
		return out, middleware.Metadata{}, conflictOf(operation)
	case "throttle":
		return out, middleware.Metadata{}, throttleOf(awsmiddleware.GetServiceID(ctx))
	case "lost":
		return out, middleware.Metadata{}, timeout()
	case "landed":
		out, metadata, _ := next.HandleDeserialize(ctx, in)
		if o, ok := out.Result.(*s3.GetObjectOutput); ok && o.Body != nil {
			io.Copy(io.Discard, o.Body)
			o.Body.Close()
		}
		return middleware.DeserializeOutput{}, metadata, timeout()
	case "unprocessed":
		out, metadata, err := next.HandleDeserialize(ctx, in)
		if o, ok := out.Result.(*dynamodb.BatchGetItemOutput); ok && err == nil {
			p.withhold(o)
		}
		return out, metadata, err
	}
	return next.HandleDeserialize(ctx, in)
}

// withhold turns answered items back into keys that were not processed.
func (p *Plan) withhold(out *dynamodb.BatchGetItemOutput) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for table, items := range out.Responses {
		keep := p.random.IntN(len(items) + 1)
		left := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
		for _, item := range items[keep:] {
			left.Keys = append(left.Keys, map[string]types.AttributeValue{"k": item["k"]})
		}
		if len(left.Keys) > 0 {
			out.Responses[table] = items[:keep]
			out.UnprocessedKeys = map[string]types.KeysAndAttributes{table: left}
		}
	}
}

// conflictOf is the conflict that the operation can meet, or nil.
func conflictOf(operation string) error {
	switch operation {
	case "PutItem":
		return &types.TransactionConflictException{Message: aws.String("injected")}
	case "TransactWriteItems":
		return &types.TransactionCanceledException{Message: aws.String("injected"), CancellationReasons: []types.CancellationReason{{Code: aws.String("TransactionConflict")}}}
	case "PutObject":
		return &smithy.GenericAPIError{Code: "ConditionalRequestConflict", Message: "injected", Fault: smithy.FaultClient}
	}
	return nil
}

func throttleOf(service string) error {
	if service == dynamodb.ServiceID {
		return &types.ProvisionedThroughputExceededException{Message: aws.String("injected")}
	}
	return &smithy.GenericAPIError{Code: "SlowDown", Message: "injected", Fault: smithy.FaultServer}
}

// timeout is what the SDK's transport reports when no answer came.
func timeout() error { return &smithyhttp.RequestSendError{Err: noAnswer{}} }

type noAnswer struct{}

func (noAnswer) Error() string   { return "injected: no answer in time" }
func (noAnswer) Timeout() bool   { return true }
func (noAnswer) Temporary() bool { return true }
