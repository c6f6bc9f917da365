package verify

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// kindCodes are the exit codes of arca (docs/cli.md) for what is no verdict.
var kindCodes = map[problem.Kind]int{problem.Internal: 1, problem.Invalid: 3, problem.Denied: 4, problem.NotFound: 5, problem.Conflict: 6, problem.Gone: 7, problem.Unavailable: 8}

const usageCode = 2

// Code is the exit code of a failure: its verdict's, or its kind's where nothing was judged.
func Code(err error) int {
	if err == nil {
		return 0
	}
	if f, ok := errors.AsType[Failure](err); ok && f.Verdict != bundle.Unreadable {
		return f.Verdict.Code()
	}
	return kindCodes[problem.KindOf(err)]
}

// Command runs the verifier with its command line and gives the exit code.
func Command(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("arca-verify", flag.ContinueOnError)
	flags.SetOutput(errs)
	trust := flags.String("trust", "", "trust file; a bundle carries its own")
	fingerprint := flags.String("fingerprint", "", "fingerprint of the trust file, as court and custodian read it out")
	identity := flags.String("identity", "", "file of a recipient's age key, to open what an encrypted bundle holds")
	asJSON := flags.Bool("json", false, "print one JSON document")
	flags.Usage = func() {
		fmt.Fprintln(errs, "arca-verify --fingerprint HEX [--trust trust.json] [--identity key.txt] [--json] BUNDLE|RECEIPT|LOGFOLDER|EVIDENCE…")
		flags.PrintDefaults()
		fmt.Fprintln(errs, "exit codes: 0 proven, 2 usage, 3 nothing that it knows, 5 no such file, 8 cannot be read, 10 altered, 11 incomplete, 12 not yet witnessed, 13 trust roots unknown")
	}
	if err := flags.Parse(args); err != nil {
		return usageCode
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return usageCode
	}
	if *trust != "" && *fingerprint == "" {
		fmt.Fprintln(errs, "arca-verify: a trust file proves nothing by itself; give its fingerprint too, with --fingerprint, as court and custodian read it out")
		return usageCode
	}
	list, err := run(*trust, *fingerprint, *identity, flags.Args())
	if *asJSON {
		writeJSON(out, list, err)
	} else {
		writeText(out, errs, list, err)
	}
	return Code(err)
}

func run(trust, fingerprint, identity string, paths []string) ([]Result, error) {
	o := Options{Now: time.Now()}
	var err error
	if fingerprint != "" {
		if o.Fingerprint, err = ParseFingerprint(fingerprint); err != nil {
			return nil, err
		}
	}
	if trust != "" {
		if o.Trust, err = ReadTrust(trust, o.Fingerprint); err != nil {
			return nil, err
		}
	}
	if o.Identities, err = ReadIdentities(identity); err != nil {
		return nil, err
	}
	return Each(o, paths)
}

func writeJSON(out io.Writer, list []Result, err error) {
	document := map[string]any{"results": list}
	if err != nil {
		kind := string(problem.KindOf(err))
		if f, ok := errors.AsType[Failure](err); ok {
			kind = string(f.Verdict)
		}
		document["error"] = map[string]string{"kind": kind, "message": problem.MessageOf(err)}
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(document) // a closed output cannot be told
}

// writeText quotes whatever came from a file or its name, so that nothing in it reaches a terminal as a command.
func writeText(out, errs io.Writer, list []Result, err error) {
	for _, r := range list {
		fmt.Fprintf(out, "%s: %s\n", strconv.QuoteToGraphic(r.File), plain(r.Line))
	}
	if err != nil && len(list) == 0 {
		fmt.Fprintln(errs, "arca-verify: "+plain(problem.MessageOf(err)))
	}
}

// plain gives a line as it is unless a terminal would act on something in it.
func plain(line string) string {
	if record.CheckText(line) == nil {
		return line
	}
	return strconv.QuoteToGraphic(line)
}
