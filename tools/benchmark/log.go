package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	logRounds  = 3 // Arca and its peers in turns
	logSeconds = 4 // of a peer's run

	immudbClients = 32 // with more its server answers "max concurrency limit exceeded", as it is set by default
)

var logClients = []int{1, 32, 128}

// log measures the log: durable appends beside peers in turns, the way to a cosigned proof under that load, proofs, the audit of a whole log.
func (r *run) log() error {
	for _, clients := range logClients {
		if err := r.appends(clients); err != nil {
			return err
		}
	}
	_, found, err := r.goBench("./shared/ledger", "^(BenchmarkProof|BenchmarkAudit)$", "-cpu", "1")
	if err != nil {
		return err
	}
	proofs, err := need(found, "Proof/proof", "proofs/s")
	if err != nil {
		return err
	}
	paths, err := need(found, "Proof/proof", "bare-paths/s")
	if err != nil {
		return err
	}
	r.table.times("offline proofs, one core, signatures once per checkpoint", proofs, "bare Merkle paths", paths, 0.70)
	entries, err := need(found, "Audit/whole-log", "entries/s")
	if err != nil {
		return err
	}
	r.table.add(line{"audit of a whole log, every entry and tile, one core", perS(entries), "", "", "≥ 300000 /s", entries >= 300_000})
	return nil
}

// appended is what one run measured.
type appended struct{ rate, p50, p99, proof []float64 }

func (a *appended) take(found map[string]float64) error {
	for unit, into := range map[string]*[]float64{"appends/s": &a.rate, "p50-ms": &a.p50, "p99-ms": &a.p99} {
		v, err := need(map[string]map[string]float64{"append": found}, "append", unit)
		if err != nil {
			return err
		}
		*into = append(*into, v)
	}
	if v, ok := found["p99-proof-ms"]; ok {
		a.proof = append(a.proof, v)
	}
	return nil
}

// appends measures so many clients, each of whom waits for one entry before it adds the next.
func (r *run) appends(clients int) error {
	of := map[string]*appended{"arca": {}, "immudb": {}, "tessera": {}}
	for range logRounds {
		pattern := fmt.Sprintf("^BenchmarkAppend$/^clients=%d$", clients)
		names, found, err := r.goBench("./shared/vault", pattern, "-benchtime", "3s")
		if err != nil {
			return err
		}
		if err := of["arca"].take(found[names[0]]); err != nil {
			return err
		}
		for _, peer := range []string{"immudb", "tessera"} {
			if peer == "immudb" && clients > immudbClients {
				continue
			}
			got, err := r.peerAppends(peer, clients)
			if err != nil {
				return err
			}
			if got == nil {
				continue // its absence was said
			}
			if err := of[peer].take(got); err != nil {
				return err
			}
		}
	}
	what := fmt.Sprintf("durable appends, %d clients", clients)
	ours := of["arca"]
	for peer, target := range map[string]float64{"immudb": 3, "tessera": 0.5} {
		if theirs := of[peer]; len(theirs.rate) > 0 {
			r.table.times(what, median(ours.rate), peer, median(theirs.rate), target)
			r.table.add(line{what: "  " + peer + "'s p50, p99", measured: fmt.Sprintf("%.1f, %.1f ms", median(theirs.p50), median(theirs.p99))})
		}
	}
	r.table.add(line{what: "  Arca's p50, p99", measured: fmt.Sprintf("%.1f, %.1f ms", median(ours.p50), median(ours.p99)), reference: perS(median(ours.rate))})
	if len(ours.proof) == 0 {
		return fmt.Errorf("no entry was proven while %d clients appended", clients)
	}
	r.table.within(fmt.Sprintf("  p99 from append to cosigned proof, %d clients", clients), time.Duration(median(ours.proof)*float64(time.Millisecond)), 1500*time.Millisecond)
	return nil
}

// peerAppends runs a peer's driver in a folder of its own on the disk that is measured; nil without the peer.
func (r *run) peerAppends(name string, clients int) (map[string]float64, error) {
	program := r.peer(name)
	if program == "" {
		return nil, nil
	}
	folder := filepath.Join(r.folder, name)
	defer os.RemoveAll(folder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	out, err := r.output(program, folder, strconv.Itoa(clients), strconv.Itoa(logSeconds))
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n")) // immudb's server prints a greeting before
	found := map[string]float64{}
	if err := json.Unmarshal(lines[len(lines)-1], &found); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return found, nil
}

// times adds a rate that must be a multiple of a reference's, both per second.
func (t *table) times(what string, rate float64, name string, reference, target float64) {
	t.add(line{what, perS(rate), name + " " + perS(reference), fmt.Sprintf("%.2f", rate/reference), fmt.Sprintf("≥ %.2f", target), rate/reference >= target})
}

func perS(rate float64) string { return fmt.Sprintf("%.0f /s", rate) }
