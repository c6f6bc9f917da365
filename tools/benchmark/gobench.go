package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// goBench runs benchmarks that live beside the code and gives each one's metrics, by unit.
func (r *run) goBench(folder, pattern string, arguments ...string) (names []string, metrics map[string]map[string]float64, err error) {
	args := append([]string{"test", "-run", "^$", "-bench", pattern}, arguments...)
	cmd := exec.CommandContext(r.ctx, "go", append(args, folder)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+r.folder)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("%s in %s: %w\n%s", pattern, folder, err, out)
	}
	metrics = map[string]map[string]float64{}
	for text := range strings.Lines(string(out)) {
		f := strings.Fields(text)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		found := map[string]float64{}
		for i := 2; i+1 < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i], 64); err == nil {
				found[f[i+1]] = v
			}
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(f[0], "Benchmark"), "-")
		if metrics[name] == nil {
			names = append(names, name)
		}
		metrics[name] = found
	}
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("%s in %s measured nothing", pattern, folder)
	}
	return names, metrics, nil
}

// log measures durable appends to the log while it is sequenced.
func (r *run) log() error {
	names, found, err := r.goBench("./shared/vault", "^BenchmarkAppend$")
	if err != nil {
		return err
	}
	for _, name := range names {
		m := found[name]
		r.table.add(line{what: "log " + name, measured: fmt.Sprintf("%.0f /s", m["appends/s"]),
			reference: fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", m["p50-ms"], m["p99-ms"])})
	}
	return nil
}

// release measures one keyholder's processor time for a release.
func (r *run) release() error {
	names, found, err := r.goBench("./shared/keyholder", "^BenchmarkRelease$", "-benchtime", "300x")
	if err != nil {
		return err
	}
	for _, name := range names {
		limit := 2 * time.Millisecond
		if strings.Contains(name, "cold") {
			limit = 6 * time.Millisecond
		}
		r.table.within("processor time, "+name, time.Duration(found[name]["cpu-ms/release"]*float64(time.Millisecond)), limit)
	}
	return nil
}

// start measures the cold start of every handler on a Runtime API stand-in, and the archive's size.
func (r *run) start() error {
	names, found, err := r.goBench("./cmd/bootstrap", "^BenchmarkStart$", "-benchtime", "21x")
	if err != nil {
		return err
	}
	for _, name := range names {
		r.table.within("cold start, "+name, time.Duration(found[name]["ms/start"]*float64(time.Millisecond)), 10*time.Millisecond)
	}
	archive := filepath.Join(r.folder, "arca.zip")
	cmd := exec.CommandContext(r.ctx, "go", "run", "./tools/package", "-o", archive)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("packaging: %w\n%s", err, out)
	}
	info, err := os.Stat(archive)
	if err != nil {
		return err
	}
	const limit = 12_000_000
	r.table.add(line{"arca.zip, arm64", fmt.Sprintf("%.1f MB", float64(info.Size())/1e6), "", fmt.Sprintf("%.2f", float64(info.Size())/limit), "≤ 12 MB", info.Size() <= limit})
	return nil
}
