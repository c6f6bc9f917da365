// Command bootstrap is the one Lambda main of Arca: the file that every
// function's dist/arca.zip holds and the runtime starts.
//
// It picks the function by _HANDLER, reads its settings, and answers
// deliveries from the Lambda Runtime API until the instance ends. An unknown
// function or a missing setting ends the start with a line that says which and
// why. Nothing is opened before the first delivery needs it.
package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"arca.example/arca/functions"
	"arca.example/arca/shared/edge"
	"github.com/aws/aws-lambda-go/lambda"
)

// gcPercent lets garbage pile up to five times what is in use, some tens of megabytes of the 512 that a function has: the garbage
// collector was a fifth of a release's processor time.
const gcPercent = 400

func main() {
	debug.SetGCPercent(gcPercent)
	log := edge.Log(os.Stderr)
	handler, err := open(log)
	if err != nil {
		log.Error("the function does not start", "cause", err.Error())
		os.Exit(1)
	}
	lambda.Start(handler)
}

// open builds the handler of the function that Lambda names.
func open(log *slog.Logger) (*edge.Handler, error) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		return nil, fmt.Errorf("AWS_LAMBDA_RUNTIME_API is not set: this program runs inside Lambda; on one machine use arca serve")
	}
	fn, _, err := functions.Open(os.Getenv("_HANDLER"), os.LookupEnv, services{}.resources)
	if err != nil {
		return nil, err
	}
	return edge.NewHandler(fn, log)
}
