// Package calls records which operations of AWS's APIs a function calls, so
// that a test can compare them with the function's rights (package rights).
//
// A call is written "service:Operation", as "s3:GetObject". A DynamoDB
// transaction is also written as its members, "dynamodb:TransactWriteItems/Put",
// because IAM checks those and not the transaction. Presigning an operation
// records the operation: whoever uses the URL acts with the signer's rights.
//
// It is for tests; production code does not import it.
package calls

import (
	"context"
	"slices"
	"strings"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/middleware"
)

// Recorder collects calls. It is safe for concurrent use.
type Recorder struct {
	mu   sync.Mutex
	seen map[string]bool
}

// Record is an APIOption for any client of the SDK: it sees every operation
// before anything is sent, also one that then fails.
func (r *Recorder) Record(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("ArcaRecordCalls",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			service := strings.ToLower(awsmiddleware.GetServiceID(ctx))
			r.add(service + ":" + middleware.GetOperationName(ctx))
			for _, member := range members(in.Parameters) {
				r.add(service + ":" + middleware.GetOperationName(ctx) + "/" + member)
			}
			return next.HandleInitialize(ctx, in)
		}), middleware.After)
}

// members names what a transaction does.
func members(parameters any) (names []string) {
	switch in := parameters.(type) {
	case *dynamodb.TransactWriteItemsInput:
		for _, item := range in.TransactItems {
			switch {
			case item.Put != nil:
				names = append(names, "Put")
			case item.Delete != nil:
				names = append(names, "Delete")
			case item.ConditionCheck != nil:
				names = append(names, "ConditionCheck")
			case item.Update != nil:
				names = append(names, "Update")
			}
		}
	case *dynamodb.TransactGetItemsInput:
		names = append(names, "Get")
	}
	return names
}

func (r *Recorder) add(call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	r.seen[call] = true
}

// Calls gives the distinct calls so far, sorted.
func (r *Recorder) Calls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for call := range r.seen {
		all = append(all, call)
	}
	slices.Sort(all)
	return all
}
