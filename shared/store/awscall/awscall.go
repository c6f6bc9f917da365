// Package awscall is what the engines behind AWS APIs share: where credentials
// come from, and what a failed call lets one conclude.
//
// The SDK's own retries are switched off by its users, because a retry that the
// caller does not see turns "landed, then answered late" into a conflict with
// oneself. Whoever repeats a call must know that it was unclear.
package awscall

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Environment reads credentials where Lambda puts them, anew for every call of
// Retrieve. Constructing it costs nothing, unlike the SDK's default chain.
var Environment aws.CredentialsProvider = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	c := aws.Credentials{
		AccessKeyID:     os.Getenv("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken:    os.Getenv("AWS_SESSION_TOKEN"),
		Source:          "environment",
	}
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return c, errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
	}
	return c, nil
})

// Static are fixed credentials, for engines under test and other providers' stores.
func Static(accessKey, secretKey string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, Source: "static"}, nil
	})
}

// NewClient is an HTTP client whose every attempt ends after timeout, so that a
// lost connection becomes an unclear answer and not a hang.
func NewClient(timeout time.Duration) aws.HTTPClient {
	return awshttp.NewBuildableClient().WithTimeout(timeout).WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = 64
	})
}

// Outcome is what is known after a call failed.
type Outcome int

// The outcomes.
const (
	Refused Outcome = iota // answered: nothing happened, and repeating will not help
	Busy                   // answered: nothing happened, repeat later
	Unclear                // not answered, or with a server error: it may have happened
)

// busy are the codes by which DynamoDB and S3 say "not now" and mean that nothing was done.
var busy = map[string]bool{
	"ProvisionedThroughputExceededException": true,
	"ThrottlingException":                    true,
	"Throttling":                             true,
	"ThrottlingError":                        true,
	"RequestLimitExceeded":                   true,
	"TransactionConflictException":           true,
	"TransactionConflict":                    true,
	"TransactionInProgressException":         true,
	"ReplicatedWriteConflictException":       true,
	"SlowDown":                               true,
	"TooManyRequests":                        true,
	"ConditionalRequestConflict":             true,
	"OperationAborted":                       true,
}

// Code gives the service's own error code, or "".
func Code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// Status gives the HTTP status, or 0.
func Status(err error) int {
	if r, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return r.HTTPStatusCode()
	}
	return 0
}

// Classify says what is known after a call failed with err.
func Classify(err error) Outcome {
	code, status := Code(err), Status(err)
	switch {
	case IsBusy(code) || status == http.StatusTooManyRequests:
		return Busy
	case status >= 500 || code == "InternalServerError" || code == "InternalError" || code == "ServiceUnavailable":
		return Unclear
	case status >= 400 || code != "":
		return Refused
	}
	return Unclear // no answer at all
}

// IsBusy says whether an error code means "nothing was done, try again".
func IsBusy(code string) bool { return busy[code] }

// Wait sleeps before the next attempt, numbered from 0: full jitter up to 20 ms
// doubled each time, at most longest. It returns early with ctx's error.
func Wait(ctx context.Context, attempt int, longest time.Duration) error {
	limit := min(longest, 20*time.Millisecond<<min(attempt, 10))
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(limit)) + 1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
