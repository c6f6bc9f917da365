// Command arca is Arca's command line: it makes and runs a local installation and does,
// for judges, investigators, clerks, auditors and operators, everything by hand that the parties offer.
//
// # Promises
//
// Every command gives, with --json, one JSON document with stable names, errors included; an exit code
// from one table (arca help exit-codes); and, for people, plain text in which nothing that came from data can
// move the cursor or reorder letters. What is verified offline is verified here, in the caller's
// process: orders' statuses, log proofs, releases, segments.
//
// # Trust
//
// The folder that --dir names, its trust file's pin in arca.json, and the private keys in it. Not the
// parties: what they send is a claim until a signature or a proof has shown it.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	// On one core too: a thread that waits for the disk should not hold up one that hashes.
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))
	os.Exit(runProcess())
}

// runProcess runs the command line of this process. The first signal asks a command to end, the second ends the process.
func runProcess() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	defer stop()
	return run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
}
