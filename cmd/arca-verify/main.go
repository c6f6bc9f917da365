// Command arca-verify verifies bundles, receipts and whole logs offline, and nothing else.
//
//	arca-verify --fingerprint HEX [--trust trust.json] [--identity key.txt] [--json] BUNDLE|RECEIPT|LOGFOLDER…
//
// It is small so that whoever receives one can read it whole: it links no
// network client of its own, no storage and no keyholder. Exit codes are those of arca:
// 0 everything is proven, 2 usage, 3 no bundle, receipt or log, 5 no such file, 8 cannot be read, 10 altered, 11 incomplete, 12 not yet
// witnessed, 13 trust roots unknown.
package main

import (
	"os"

	"arca.example/arca/cmd/internal/verify"
)

func main() { os.Exit(verify.Command(os.Args[1:], os.Stdout, os.Stderr)) }
