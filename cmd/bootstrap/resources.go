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
)

// Limits of calls that leave the function, well inside its own time limit.
const (
	callTimeout  = 5 * time.Second
	partyTimeout = 10 * time.Second
)

// resources are AWS's. Each is a description until its first use: constructing
// the SDK's clients is most of what a cold start would otherwise pay.
func resources(env edge.Env) edge.Resources {
	blobs := sync.OnceValue(func() *s3.Blobs { return s3.New(s3.Options{Region: env.Region, Bucket: env.Bucket}) })
	return edge.Resources{
		Rows: sync.OnceValues(func() (store.Rows, error) {
			return dynamo.New(dynamo.Options{Region: env.Region, Table: env.Table}), nil
		}),
		Blobs:   present(env.Bucket, edge.SetBucket, func() (store.Blobs, error) { return blobs(), nil }),
		Presign: present(env.Bucket, edge.SetBucket, func() (store.Presigner, error) { return blobs(), nil }),
		Roots: sync.OnceValues(func() (keys.Roots, error) {
			return kms.New(kms.Config{Region: env.Region, Credentials: awscall.Environment, Keys: env.RootKeys})
		}),
		Invoke: invoker(env.Region),
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
func invoker(region string) func(context.Context, string, []byte) error {
	client := sync.OnceValue(func() *lambda.Client {
		return lambda.New(lambda.Options{Region: region, Credentials: awscall.Environment, HTTPClient: awscall.NewClient(callTimeout)})
	})
	return func(ctx context.Context, function string, payload []byte) error {
		_, err := client().Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(function), InvocationType: types.InvocationTypeEvent, Payload: payload})
		if err != nil {
			return problem.Wrap(problem.Unavailable, err, "try again in a moment")
		}
		return nil
	}
}
