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

// need gives a metric that a benchmark must have reported: one that is missing is an error, never a zero that meets every target.
func need(found map[string]map[string]float64, name, unit string) (float64, error) {
	v, ok := found[name][unit]
	if !ok || v <= 0 {
		return 0, fmt.Errorf("the benchmark %s does not report %s", name, unit)
	}
	return v, nil
}

// millis is need for a time in milliseconds.
func millis(found map[string]map[string]float64, name, unit string) (time.Duration, error) {
	v, err := need(found, name, unit)
	return time.Duration(v * float64(time.Millisecond)), err
}

// release measures one keyholder's processor time for a release.
func (r *run) release() error {
	names, found, err := r.goBench("./shared/keyholder", "^BenchmarkRelease$", "-benchtime", "1000x")
	if err != nil {
		return err
	}
	for _, name := range names {
		limit := 2 * time.Millisecond
		if strings.Contains(name, "cold") {
			limit = 6 * time.Millisecond
		}
		spent, err := millis(found, name, "cpu-ms/release")
		if err != nil {
			return err
		}
		r.table.within("processor time, "+name, spent, limit)
	}
	return nil
}

// oversight measures a yearly report over a million events of one keyholder.
func (r *run) oversight() error {
	_, found, err := r.goBench("./shared/oversight", "^BenchmarkReport$", "-benchtime", "1x")
	if err != nil {
		return err
	}
	spent, err := need(found, "Report", "cpu-s/1000000-events")
	if err != nil {
		return err
	}
	peak, err := need(found, "Report", "peak-MiB")
	if err != nil {
		return err
	}
	r.table.within("oversight report over 1,000,000 events, processor time", time.Duration(spent*float64(time.Second)), 30*time.Second)
	const limit = 500
	r.table.add(line{"the same, largest memory", fmt.Sprintf("%.0f MiB", peak), "", fmt.Sprintf("%.2f", peak/limit), "≤ 500 MiB", peak <= limit})
	return nil
}

// destroy measures how long a keyholder takes to destroy one unit among 100,000: wall clock, and the processor time of its process. The benchmark itself
// fails when a survivor is missing or a page of a dump from before opens.
func (r *run) destroy() error {
	arguments := []string{"-benchtime", "5x"}
	if _, err := exec.LookPath("softhsm2-util"); err == nil {
		if err := os.Setenv("CGO_ENABLED", "1"); err != nil {
			return err
		}
		arguments = append(arguments, "-tags", "pkcs11")
	}
	names, found, err := r.goBench("./shared/keyholder", "^BenchmarkDestroy$", arguments...)
	if err != nil {
		return err
	}
	for _, name := range names {
		took, err := millis(found, name, "ms/destroy")
		if err != nil {
			return err
		}
		spent, err := millis(found, name, "cpu-ms/destroy")
		if err != nil {
			return err
		}
		r.table.within("one unit of 100,000, "+name, took, time.Second)
		r.table.within("processor time of it, "+name, spent, time.Second)
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
		ready, err := millis(found, name, "ms/ready")
		if err != nil {
			return err
		}
		r.table.within("cold start, "+name, ready, 10*time.Millisecond)
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
