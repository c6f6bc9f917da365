package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// table collects lines and prints each as soon as it is known.
type table struct {
	lines  []line
	titled bool
}

// line is one measured figure.
type line struct {
	what      string
	measured  string
	reference string // of the same run; "" for none
	ratio     string
	target    string // "" where a figure is printed for comparison only
	met       bool
}

func (t *table) machine() {
	fmt.Printf("%s, %d cores, %s %s/%s, load %s\n", processor(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, load())
}

func processor() string {
	raw, _ := os.ReadFile("/proc/cpuinfo") // only named where there is one
	for text := range strings.Lines(string(raw)) {
		if name, ok := strings.CutPrefix(text, "model name"); ok {
			return strings.Trim(name, " \t:\n")
		}
	}
	return "unknown processor"
}

func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(raw))[:3], " ")
}

func (t *table) add(l line) {
	if !t.titled {
		t.titled = true
		fmt.Printf("\n%-58s %16s   %-34s %-8s %-14s\n", "WHAT", "MEASURED", "REFERENCE", "RATIO", "TARGET")
	}
	t.lines = append(t.lines, l)
	word := ""
	if l.target != "" {
		word = "MISSED"
		if l.met {
			word = "met"
		}
	}
	fmt.Printf("%-58s %16s   %-34s %-8s %-14s %s\n", l.what, l.measured, l.reference, l.ratio, l.target, word)
}

// atLeast adds a rate that must be a multiple of a reference's rate, both in bytes per second.
func (t *table) atLeast(what string, rate float64, name string, reference, target float64) {
	t.add(line{what, mb(rate), name + " " + mb(reference), fmt.Sprintf("%.2f", rate/reference), fmt.Sprintf("≥ %.2f", target), rate/reference >= target})
}

// beside adds a rate without a target.
func (t *table) beside(what string, rate float64) { t.add(line{what: what, measured: mb(rate)}) }

// perSecond adds bytes per second of processor time, which a busy machine falsifies less than bytes per second.
func (t *table) perSecond(what string, rate, reference float64) {
	t.add(line{what: "  " + what + ", per second of processor time", measured: mb(rate), reference: "SHA-256 " + mb(reference), ratio: fmt.Sprintf("%.2f", rate/reference)})
}

// within adds a time that has a limit.
func (t *table) within(what string, took, limit time.Duration) {
	t.add(line{what, ms(took), "", fmt.Sprintf("%.2f", float64(took)/float64(limit)), "≤ " + ms(limit), took <= limit})
}

// end counts.
func (t *table) end() {
	targets, missed := 0, 0
	for _, l := range t.lines {
		if l.target != "" {
			targets++
			if !l.met {
				missed++
			}
		}
	}
	fmt.Printf("\n%d of %d targets met, load now %s\n", targets-missed, targets, load())
}

func mb(rate float64) string                  { return fmt.Sprintf("%.0f MB/s", rate/1e6) }
func ms(d time.Duration) string               { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
func rateOf(n int64, d time.Duration) float64 { return float64(n) / d.Seconds() }

func median[T int64 | float64 | time.Duration](list []T) T {
	s := slices.Clone(list)
	slices.Sort(s)
	return s[len(s)/2]
}
