// Command benchmark measures Arca against the targets of its issue and against
// peers, all in one run on one machine, and prints a table.
//
//	go run ./tools/benchmark [seal|packs|open|log|start|release|mirror|scrub|law|oversight|destroy]…
//
// It promises that a figure and its reference (the SHA-256 rate of one core, the
// disk's rate, a peer) were taken within one run, in turns where they repeat, and that
// medians are printed with what they are medians of. A missed target is said and is no failure; only an
// error is. It trusts nobody else to be using the machine: the load is printed.
//
// The parties run in this process, behind their gateways on the loopback
// interface, with SQLite and a folder as arca serve has them. tools/bench builds the peers first.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"slices"
)

// run is one run of the benchmark.
type run struct {
	ctx    context.Context
	folder string // scratch, on the disk that is measured
	tools  string // .tools
	table  table
}

// part is a group of figures that can be asked for by name.
type part struct {
	name    string
	measure func(*run) error
}

// parts in the order in which they run. Seal, mirror and open share one installation.
var parts = []part{
	{"seal", (*run).large}, {"mirror", (*run).large}, {"open", (*run).large},
	{"packs", (*run).packs}, {"log", (*run).log}, {"start", (*run).start}, {"release", (*run).release}, {"scrub", (*run).scrub}, {"law", (*run).law}, {"oversight", (*run).oversight},
	{"destroy", (*run).destroy},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if path := os.Getenv("ARCA_BENCH_PROFILE"); path != "" {
		file, err := os.Create(path)
		if err == nil {
			err = pprof.StartCPUProfile(file)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "benchmark: no profile:", err)
			os.Exit(1)
		}
	}
	err := start(ctx, os.Args[1:])
	pprof.StopCPUProfile() // before any exit; nothing without a profile
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, names []string) (err error) {
	for _, name := range names {
		if name != "all" && !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			return fmt.Errorf("%q is not one of seal, packs, open, log, start, release, mirror, scrub, law, oversight, destroy", name)
		}
	}
	tools, err := filepath.Abs(".tools")
	if err != nil {
		return err
	}
	base := os.Getenv("ARCA_BENCH_DIR")
	if base == "" {
		base = tools
	}
	if err := os.MkdirAll(base, 0o700); err != nil {
		return err
	}
	folder, err := os.MkdirTemp(base, "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	r := &run{ctx: ctx, folder: folder, tools: tools}
	r.table.machine()
	all := len(names) == 0 || slices.Contains(names, "all")
	large := false
	for _, p := range parts {
		if !all && !slices.Contains(names, p.name) {
			continue
		}
		shared := p.name == "seal" || p.name == "mirror" || p.name == "open"
		if shared && large {
			continue // measured with the first of the three
		}
		large = large || shared
		if err := p.measure(r); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	r.table.end()
	return nil
}
