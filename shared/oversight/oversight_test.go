package oversight_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"arca.example/arca/shared/oversight"
	"arca.example/arca/shared/oversight/oversighttest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

func yearOf(n int) record.Window {
	return record.Window{From: time.Date(n, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(n+1, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// count counts a synthetic year; people are known before it begins, as an auditor's list of enrolments is.
func count(t testing.TB, y oversighttest.Year, period record.Window, small int, parties ...string) *oversight.Report {
	t.Helper()
	people := oversighttest.Year{Profile: y.Profile, Year: y.Year, Courts: named(y.Courts)}.Make(1, func(oversighttest.Journals) {})
	var counts []*oversight.Counter
	for _, party := range parties {
		counts = append(counts, must(oversight.New(oversight.Settings{Party: party, People: people, Period: period, Small: small})))
	}
	y.Make(1, func(j oversighttest.Journals) {
		for i := range parties {
			list := [][][]byte{j.Court, j.Custodian}[i]
			journal := counts[i].Journal(j.Case)
			for _, raw := range list {
				if err := journal.Add(raw); err != nil {
					t.Fatal(err)
				}
			}
			journal.End()
		}
	})
	return must(oversight.Compile(counts...))
}

func wantCells(t *testing.T, r *oversight.Report, cells map[string]string) {
	t.Helper()
	for name, want := range cells {
		table, row, _ := strings.Cut(name, "/")
		if got := r.Cell(table, row); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
}

// TestThePublishedYearsComeOut counts years in the proportions of the published figures and wants those figures.
func TestThePublishedYearsComeOut(t *testing.T) {
	us := count(t, oversighttest.US2024(), yearOf(2024), 0, "court", "custodian")
	wantCells(t, us, map[string]string{"orders/initial": "2297", "orders/extension": "471", "initial-by-statute/US-T3": "2297", "proceedings/proceedings": "2297",
		"initial-by-offence/narcotics": "1149", "initial-by-offence/not-stated": "382", "initial-by-procedure/judge": "2297", "scope-call/covered": "2297", "scope-session/other": "2297",
		"acts/opened": "2297", "acts/found": "2297", "opened-by-role/investigator": "2297", "requests/asked": "2297", "released/answers": "2297", "recordings/main": "2297", "state/lapsed": "0", "state/in-force": "2297"})
	federal, state := 0, 0
	for _, row := range us.Table("initial-by-court").Rows {
		if strings.HasPrefix(row.Key, "Federal") {
			federal += *row.Count
		} else {
			state += *row.Count
		}
	}
	if federal != 1290 || state != 1007 {
		t.Errorf("%d federal and %d state orders", federal, state)
	}
	if s := us.Spans[0]; s.MaxDays < 30 || s.Mean < 29 || s.Mean > 31 {
		t.Errorf("%+v", s)
	}
	de := count(t, oversighttest.DE2023(), yearOf(2023), 0, "court")
	wantCells(t, de, map[string]string{"orders/initial": "13206", "orders/extension": "2733", "proceedings/proceedings": "4970", "initial-by-court/Amtsgericht Drei": "2"})
	if total := de.Table("orders").Total; *total != 15939 {
		t.Errorf("%d orders in all", *total)
	}
	if len(de.Differ)+len(us.Differ) > 0 {
		t.Error(de.Differ, us.Differ)
	}
	shape := must(must(de.Shape("de")).CSV())
	for _, want := range []string{"Verfahren,4970", "Überwachungsanordnungen: Erstanordnungen,13206", "Überwachungsanordnungen: Verlängerungsanordnungen,2733"} {
		if !bytes.Contains(shape, []byte(want)) {
			t.Errorf("the German table lacks %s:\n%s", want, shape)
		}
	}
}

// TestSmallCountsStandNowhere looks for a court with three orders in everything that is written.
func TestSmallCountsStandNowhere(t *testing.T) {
	y := oversighttest.US2024()
	for i := range y.Courts {
		y.Courts[i].Initial = (y.Courts[i].Initial + 9) / 10 // of three, one is left
		y.Courts[i].Extension /= 10
	}
	r := count(t, y, yearOf(2024), oversight.DefaultSmall, "court")
	written := [][]byte{must(r.JSON()), must(r.HTML()), must(r.Grid().CSV())}
	for _, shape := range oversight.Shapes {
		g := must(r.Shape(shape))
		written = append(written, must(g.CSV()), must(g.HTML()))
	}
	for i, raw := range written {
		if bytes.Contains(raw, []byte("Court Three")) {
			t.Errorf("output %d names the court", i)
		}
	}
	if !bytes.Contains(written[1], []byte("<svg")) || bytes.Contains(bytes.ToLower(written[1]), []byte("<script")) {
		t.Error("the page has no chart, or a script")
	}
	wantCells(t, r, map[string]string{"orders/initial": "231", "initial-by-court/(others)": "42"})
}

// TestTheReportIsReproducible counts twice, and a period that is over after more has happened.
func TestTheReportIsReproducible(t *testing.T) {
	y := oversighttest.US2024()
	y.Courts = []oversighttest.Court{{Name: "Federal District Court One", Initial: 60, Extension: 40}}
	half := yearOf(2024)
	half.Until = time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	first, second := must(count(t, y, half, 5, "court").JSON()), must(count(t, y, half, 5, "court").JSON())
	if !bytes.Equal(first, second) {
		t.Error("two counts of the same events give two reports")
	}
	if bytes.Equal(first, must(count(t, y, yearOf(2024), 5, "court").JSON())) {
		t.Error("the rest of the year counts nothing")
	}
}

func smallJournals(t *testing.T) (all []oversighttest.Journals, people map[record.KeyID]record.Enrolment) {
	t.Helper()
	y := oversighttest.US2024()
	y.Courts = []oversighttest.Court{{Name: "Court One", Initial: 2, Extension: 1}}
	people = y.Make(3, func(j oversighttest.Journals) { all = append(all, j) })
	return all, people
}

func addAll(c *oversight.Counter, of record.Digest, list [][]byte) error {
	j := c.Journal(of)
	for _, raw := range list {
		if err := j.Add(raw); err != nil {
			return err
		}
	}
	j.End()
	return nil
}

// TestAnAlteredJournalGivesNoFigures flips, takes away, repeats and swaps.
func TestAnAlteredJournalGivesNoFigures(t *testing.T) {
	all, people := smallJournals(t)
	fresh := func() *oversight.Counter {
		return must(oversight.New(oversight.Settings{Party: "court", People: people, Period: yearOf(2024)}))
	}
	j := all[1]
	last := len(j.Court) - 1
	attacks := map[string][][]byte{
		"one left out":        append(append([][]byte{}, j.Court[:1]...), j.Court[2:]...),
		"one twice":           append(append([][]byte{}, j.Court[:2]...), j.Court[1:]...),
		"two swapped":         append(append([][]byte{}, j.Court[1], j.Court[0]), j.Court[2:]...),
		"the other keyholder": j.Custodian,
		"another case":        all[2].Court,
	}
	for at := range j.Court[0] { // all but the last event, which the log holds
		altered := bytes.Clone(j.Court[0])
		altered[at] ^= 1
		attacks[fmt.Sprintf("byte %d", at)] = append([][]byte{altered}, j.Court[1:]...)
	}
	for name, list := range attacks {
		if err := addAll(fresh(), j.Case, list); problem.KindOf(err) != problem.Denied || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := addAll(fresh(), j.Case, j.Court[:last]); err != nil {
		t.Error("a journal that was cut off shows only in the comparison", err)
	}
}

// TestKeyholdersThatDifferAreNamed cuts one journal off.
func TestKeyholdersThatDifferAreNamed(t *testing.T) {
	all, people := smallJournals(t)
	var counts []*oversight.Counter
	for i, party := range []string{"court", "custodian"} {
		c := must(oversight.New(oversight.Settings{Party: party, People: people, Period: yearOf(2024)}))
		for _, j := range all {
			list := [][][]byte{j.Court, j.Custodian}[i]
			if party == "custodian" && j.Case == all[1].Case {
				list = list[:1] // its extension and all openings are gone
			}
			if err := addAll(c, j.Case, list); err != nil {
				t.Fatal(err)
			}
		}
		counts = append(counts, c)
	}
	r := must(oversight.Compile(counts...))
	for _, want := range []string{"orders/extension", "acts/opened", "extensions-by-court"} {
		if !strings.Contains(strings.Join(r.Differ, " "), want) {
			t.Errorf("%s is not named: %v", want, r.Differ)
		}
	}
	if r.Journals[0].State == r.Journals[1].State {
		t.Error("the states are the same")
	}
}

// TestUnknownEventsAreCounted: a kind that this version does not know shows by its name.
func TestUnknownEventsAreCounted(t *testing.T) {
	c := must(oversight.New(oversight.Settings{Party: "court", Period: yearOf(2024)}))
	e := record.Event{Author: "court", Kind: "teleported", Number: 1, Time: time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)}
	if err := addAll(c, record.Digest{}, [][]byte{must(e.Bytes())}); err != nil {
		t.Fatal(err)
	}
	wantCells(t, must(oversight.Compile(c)), map[string]string{"other/teleported": "1"})
}

func TestSettingsThatDoNotProtectAreRefused(t *testing.T) {
	for _, s := range []oversight.Settings{{Small: 1, Period: yearOf(2024)}, {Small: 2, Period: yearOf(2024)}, {Small: -1, Period: yearOf(2024)}, {Period: record.Window{From: time.Unix(5, 0), Until: time.Unix(5, 0)}}} {
		if _, err := oversight.New(s); problem.KindOf(err) != problem.Invalid || err == nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// TestACellIsNoFormula: what a spreadsheet would run is a text.
func TestACellIsNoFormula(t *testing.T) {
	g := oversight.Grid{Columns: []string{"a"}, Rows: [][]string{{"=1+1"}, {"plain"}}}
	if got := string(must(g.CSV())); got != "a\r\n'=1+1\r\nplain\r\n" {
		t.Errorf("%q", got)
	}
}

// BenchmarkReport counts a million events of one keyholder, 2,297 orders of some 435 each, and reports processor time and the process's
// largest memory. Making the events is not counted in the time.
func BenchmarkReport(b *testing.B) {
	y := oversighttest.US2024()
	y.Openings = 62
	people := oversighttest.Year{Profile: y.Profile, Year: y.Year, Courts: named(y.Courts)}.Make(1, func(oversighttest.Journals) {})
	for b.Loop() {
		c := must(oversight.New(oversight.Settings{Party: "court", People: people, Period: yearOf(2024), Small: 5}))
		var spent time.Duration
		events := 0
		y.Make(1, func(j oversighttest.Journals) {
			begin := processor()
			if err := addAll(c, j.Case, j.Court); err != nil {
				b.Fatal(err)
			}
			spent += processor() - begin
			events += len(j.Court)
		})
		begin := processor()
		must(must(oversight.Compile(c)).HTML())
		spent += processor() - begin
		b.ReportMetric(spent.Seconds()*1e6/float64(events), "cpu-s/1000000-events")
		b.ReportMetric(float64(events), "events")
		b.ReportMetric(peakMiB(), "peak-MiB")
	}
}

// processor is the processor time that this process has used.
func processor() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func named(courts []oversighttest.Court) (list []oversighttest.Court) {
	for _, c := range courts {
		list = append(list, oversighttest.Court{Name: c.Name})
	}
	return list
}

// peakMiB is the largest memory of this process so far, as the kernel counts it; where it does not, what the runtime asked for.
func peakMiB() float64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err == nil {
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
				if n, err := strconv.ParseFloat(f[1], 64); err == nil {
					return n / 1024
				}
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys) / (1 << 20)
}
