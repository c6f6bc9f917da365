// Command arca-verify verifies receipts offline, and nothing else.
//
//	arca-verify --trust trust.json --fingerprint HEX [--json] RECEIPT…
//
// It is small so that whoever receives a receipt can read it whole: it links no
// network client of its own, no storage and no keyholder. Exit codes are those of arca:
// 0 every receipt is valid, 2 usage, 3 invalid, 4 denied, 5 no such file, 8 not there now.
package main

import (
	"os"

	"arca.example/arca/cmd/internal/receipts"
)

func main() { os.Exit(receipts.Command(os.Args[1:], os.Stdout, os.Stderr)) }
