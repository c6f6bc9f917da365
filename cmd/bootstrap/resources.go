package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/keys/kms"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/awscall"
	"arca.example/arca/shared/store/dynamo"
	"arca.example/arca/shared/store/s3"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go/middleware"
)

// Limits of calls that leave the function, well inside its own time limit.
const (
	callTimeout  = 5 * time.Second
	partyTimeout = 10 * time.Second
)

// services says how AWS is reached. The zero value is production: AWS's own endpoints, with the credentials that Lambda
// gives, and nobody watching. Tests name servers with the same APIs.
type services struct {
	dynamo, s3, kms, lambda string                                         // base URLs; empty: AWS's own
	longestWait             time.Duration                                  // between attempts; 0: the engines' own
	watch                   func(edge.Env) []func(*middleware.Stack) error // sees every SDK call of a function
}

// resources are AWS's. Each is a description until its first use: constructing
// the SDK's clients is most of what a cold start would otherwise pay.
func (s services) resources(env edge.Env) edge.Resources {
	var options []func(*middleware.Stack) error
	if s.watch != nil {
		options = s.watch(env)
	}
	bucket := func(name string) *s3.Blobs {
		return s3.New(s3.Options{Region: env.Region, Bucket: name, Endpoint: s.s3, PathStyle: s.s3 != "", LongestWait: s.longestWait, APIOptions: options})
	}
	blobs := sync.OnceValue(func() *s3.Blobs { return bucket(env.Bucket) })
	return edge.Resources{
		Rows: sync.OnceValues(func() (store.Rows, error) {
			return dynamo.New(dynamo.Options{Region: env.Region, Table: env.Table, Endpoint: s.dynamo, LongestWait: s.longestWait, APIOptions: options}), nil
		}),
		Blobs:   present(env.Bucket, edge.SetBucket, func() (store.Blobs, error) { return blobs(), nil }),
		Presign: present(env.Bucket, edge.SetBucket, func() (store.Presigner, error) { return blobs(), nil }),
		Copy:    present(env.CopyFrom, edge.SetCopy, sync.OnceValues(func() (store.Blobs, error) { return bucket(env.CopyFrom), nil })),
		Roots: sync.OnceValues(func() (keys.Roots, error) {
			return kms.New(kms.Config{Region: env.Region, Credentials: awscall.Environment, Keys: env.RootKeys, Endpoint: s.kms, APIOptions: options})
		}),
		Invoke: s.invoker(env.Region, options),
		HTTP:   &http.Client{Timeout: partyTimeout, CheckRedirect: refuseRedirect},
		Now:    time.Now,
	}
}

// present refuses to open what the function was not given.
func present[T any](value string, setting edge.Setting, open func() (T, error)) func() (T, error) {
	return func() (T, error) {
		if value == "" {
			var none T
			return none, problem.Wrap(problem.Internal, fmt.Errorf("the function did not ask for %s", setting), "this deployment is not complete; tell the operator")
		}
		return open()
	}
}

// refuseRedirect: another party's answer to a signed call is never a place to
// send the signature to.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// invoker calls functions asynchronously. Lambda accepts the call, repeats it
// twice if it fails, and then hands it to the dead-letter queue.
func (s services) invoker(region string, options []func(*middleware.Stack) error) func(context.Context, string, []byte) error {
	client := sync.OnceValue(func() *lambda.Client {
		o := lambda.Options{Region: region, Credentials: awscall.Environment, HTTPClient: awscall.NewClient(callTimeout), APIOptions: options}
		if s.lambda != "" {
			o.BaseEndpoint = aws.String(s.lambda)
		}
		return lambda.New(o)
	})
	return func(ctx context.Context, function string, payload []byte) error {
		_, err := client().Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(function), InvocationType: types.InvocationTypeEvent, Payload: payload})
		if err != nil {
			return problem.Wrap(problem.Unavailable, err, "try again in a moment")
		}
		return nil
	}
}
