package receipts

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strconv"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// codes are the exit codes of arca (docs/cli.md).
var codes = map[problem.Kind]int{
	problem.Internal: 1, problem.Invalid: 3, problem.Denied: 4, problem.NotFound: 5,
	problem.Conflict: 6, problem.Gone: 7, problem.Unavailable: 8,
}

const usageCode = 2

// Command runs the verifier with its command line and gives the exit code.
func Command(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("arca-verify", flag.ContinueOnError)
	flags.SetOutput(errs)
	trustPath := flags.String("trust", "", "trust file")
	fingerprint := flags.String("fingerprint", "", "its fingerprint, as court and custodian read it out")
	asJSON := flags.Bool("json", false, "print one JSON document")
	flags.Usage = func() {
		fmt.Fprintln(errs, "arca-verify --trust trust.json --fingerprint HEX [--json] RECEIPT…")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return usageCode
	}
	if *trustPath == "" || *fingerprint == "" || flags.NArg() == 0 {
		flags.Usage()
		return usageCode
	}
	results, err := verifyAll(*trustPath, *fingerprint, flags.Args())
	if *asJSON {
		writeJSON(out, results, err)
	} else {
		writeText(out, errs, results, err)
	}
	if err != nil {
		return codes[problem.KindOf(err)]
	}
	return 0
}

// result is one receipt's.
type result struct {
	Verified
	Valid bool   `json:"valid"`
	Why   string `json:"why,omitempty"` // when it is not
}

func verifyAll(trustPath, fingerprint string, paths []string) ([]result, error) {
	pin, err := record.ParseDigest(fingerprint)
	if err != nil {
		return nil, err
	}
	trust, err := ReadTrust(trustPath, pin)
	if err != nil {
		return nil, err
	}
	var list []result
	var first error
	for _, path := range paths {
		got, err := Verify(trust, pin, path)
		r := result{Verified: got, Valid: err == nil}
		if err != nil {
			r.Why = problem.MessageOf(err)
		}
		if first == nil {
			first = err
		}
		list = append(list, r)
	}
	return list, first
}

func writeJSON(out io.Writer, list []result, err error) {
	document := map[string]any{"receipts": list}
	if err != nil {
		document["error"] = map[string]string{"kind": string(problem.KindOf(err)), "message": problem.MessageOf(err)}
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(document) // a closed output cannot be told
}

// writeText quotes whatever came from a receipt or a file name, so that nothing in it reaches a terminal as a command.
func writeText(out, errs io.Writer, list []result, err error) {
	for _, r := range list {
		if !r.Valid {
			fmt.Fprintf(out, "NOT VALID %s: %s\n", strconv.QuoteToGraphic(r.File), r.Why)
			continue
		}
		fmt.Fprintf(out, "valid %s: recording %s, order %s, week %s, sealed by %s, seen by the witnesses %s\n", strconv.QuoteToGraphic(r.File),
			r.Recording, r.Order, strconv.QuoteToGraphic(r.Week), strconv.QuoteToGraphic(r.Collector), r.Logged.Format("2006-01-02 15:04:05Z"))
	}
	if err != nil && len(list) == 0 {
		fmt.Fprintln(errs, "arca-verify: "+problem.MessageOf(err))
	}
}
