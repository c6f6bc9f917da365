package functionstest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"arca.example/arca/shared/record"
	"arca.example/arca/shared/store/fault"
)

// Environment of the process that is killed.
const (
	victimJob = "ARCA_TEST_JOB"
	victimDir = "ARCA_TEST_DIR"
)

// jobs are the writing jobs of keyholders and vault in the order of the journey. before brings the world to the point where
// the job can run. Everything else that a job sets off (the log, the sequencer, the other keyholder) runs in the same
// process, so the writes that the kills fall between are theirs too.
var jobs = []struct {
	name    string
	before  func(w *World)
	do      func(w *World) error
	repeats bool // journals every time, as a release does
}{
	{name: "enrol", before: (*World).EnrolAll, do: func(w *World) error { return w.Enrol("court", "newcomer") }},
	// With the units function that the admission sets off.
	{name: "admit order", before: func(w *World) { w.must(w.Enrol("custodian", "newcomer")) }, do: func(w *World) error { return w.Admit("court") }},
	{name: "ensure unit", before: func(w *World) { w.must(w.Admit("custodian")) }, do: privileged("court")},
	{name: "complete unit", before: func(w *World) {
		w.must(privileged("custodian")(w))
		w.must(privileged("court")(w))
	}, do: privileged("custodian")},
	{name: "reserve", do: (*World).Reserve},
	{name: "upload", before: func(w *World) { w.Seal(3) }, do: (*World).Upload},
	{name: "arrived", do: (*World).Confirm},
	{name: "file note", do: func(w *World) error { return w.FileNote("court") }},
	{name: "ask", before: func(w *World) { w.must(w.FileNote("custodian")) }, do: func(w *World) error { return w.Ask("court", "content") }},
	{name: "decide", before: func(w *World) { w.must(w.Ask("custodian", "content")) }, do: func(w *World) error { return w.Decide("court", "content") }},
	{name: "release", before: func(w *World) { w.must(w.Decide("custodian", "content")); w.Sequence() },
		do: func(w *World) error { _, err := w.Release("court", "content"); return err }, repeats: true},
	{name: "lapse", do: func(w *World) error { w.Sequence(); return w.Tell("court") }},
	{name: "report", do: func(w *World) error { return w.Report("court") }},
	{name: "close unit", before: func(w *World) { w.must(w.Mirror()); w.OpenAll(3); w.must(w.CloseUnit("custodian")) }, do: func(w *World) error { return w.CloseUnit("court") }},
	{name: "condemn", before: func(w *World) { w.must(w.Condemn("custodian")) }, do: func(w *World) error { return w.Condemn("court") }},
	{name: "destroy", before: func(w *World) { w.Advance(undo); w.Sequence() }, do: func(w *World) error { return w.Destroy("court") }},
	{name: "repair", before: func(w *World) { w.Replicate(); w.Damage() }, do: (*World).Scrub},
}

func init() {
	Cast["newcomer"] = record.Enrolment{Roles: []record.Role{record.Supervisor}, PoliceUnit: "Unit A", Clearance: "secret"}
}

// privileged asks a keyholder for keys of the compartment that nobody makes keys for beforehand.
func privileged(party string) func(w *World) error {
	return func(w *World) error {
		ask := w.UnitAsk()
		ask.Compartment = "privileged"
		_, _, err := w.Keyholder(party, "collector").Units(w.T.Context(), ask)
		return err
	}
}

// TestKilledBetweenEveryTwoWrites runs each job in a process that is killed after its first write, its second, and so on
// until it survives. Whoever comes next repeats the job, as people and machines do, and looks at everything.
func TestKilledBetweenEveryTwoWrites(t *testing.T) {
	base := t.TempDir()
	w := Open(t, Options{Dir: base, Now: clock}).Found()
	for i, job := range jobs {
		if job.before != nil {
			job.before(w)
		}
		w.Drain()
		w.Close()
		kills := 0
		t.Run(job.name, func(t *testing.T) {
			for killUntilItSurvives(t, base, i, kills+1) {
				kills++
			}
			if kills == 0 {
				t.Error("the job was never killed: it writes nothing")
			}
			t.Logf("killed after each of %d writes", kills)
		})
		w = Open(t, Options{Dir: base, Now: clock})
		w.must(job.do(w))
		w.Drain()
	}
	w.must(w.Destroy("custodian"))
	w.Shredded()
	w.Verify()
}

// killUntilItSurvives lets job i run on a copy of the world until its write number n, and tells whether it was killed.
func killUntilItSurvives(t *testing.T, base string, i, n int) bool {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "world")
	copyFolder(t, base, dir)
	cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$", "-test.v")
	cmd.Env = append(os.Environ(), fmt.Sprint(fault.CrashVariable, "=", n), victimJob+"="+jobs[i].name, victimDir+"="+dir)
	out, err := cmd.CombinedOutput()
	if err == nil && strings.Contains(string(out), "survived "+jobs[i].name) {
		return false
	}
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Fatalf("write %d: the job ended otherwise: %v\n%s", n, err, out)
	}
	t.Run(fmt.Sprintf("after write %d", n), func(t *testing.T) { afterKill(t, dir, i) })
	return true
}

func afterKill(t *testing.T, dir string, i int) {
	w := Open(t, Options{Dir: dir, Now: clock})
	if err := jobs[i].do(w); err != nil {
		t.Fatalf("the job cannot be repeated: %v\n%s", err, w.Log)
	}
	w.Verify()
	before := w.sizes()
	if err := jobs[i].do(w); err != nil {
		t.Fatalf("a third time: %v", err)
	}
	if after := w.sizes(); after != before && !jobs[i].repeats {
		t.Errorf("what was acknowledged was done again: %s, then %s", before, after)
	}
	list, err := w.Vault("mirror").Packs(t.Context(), 1)
	if err != nil || w.state.First > 0 && list.Next != w.state.First+1 {
		t.Errorf("one number was reserved, the next is %d: %v", list.Next, err)
	}
}

// TestVictim is the process that TestKilledBetweenEveryTwoWrites kills.
func TestVictim(t *testing.T) {
	name := os.Getenv(victimJob)
	if name == "" {
		return // only the kill test gives it work
	}
	for _, job := range jobs {
		if job.name != name {
			continue
		}
		w := Open(t, Options{Dir: os.Getenv(victimDir), Now: clock})
		w.must(job.do(w))
		w.Drain()
		fmt.Println("survived", name)
	}
}

// copyFolder keeps modes: key files that others may read are refused.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		raw, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(filepath.Join(to, rel), raw, info.Mode().Perm()))
	})
	if err != nil {
		t.Fatal(err)
	}
}
