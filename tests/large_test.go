package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program is the real arca in an installation folder of its own, whose memory is watched.
type program struct {
	t    *testing.T
	path string
	dir  string
}

// run runs a command as somebody, reads its JSON answer into v (nil: none) and gives the most memory that it had, in bytes.
func (p program) run(v any, as string, args ...string) (peak int64) {
	p.t.Helper()
	cmd := exec.Command(p.path, append([]string{"--dir", p.dir, "--json", "--as", as}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			if err == nil && v != nil {
				err = json.Unmarshal(out.Bytes(), v)
			}
			if err != nil {
				p.t.Fatalf("arca %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errs)
			}
			return peak
		case <-time.After(10 * time.Millisecond):
			peak = max(peak, mostMemory(cmd.Process.Pid))
		}
	}
}

// mostMemory is the most memory that a process has had since it began, 0 if it is gone or the system does not tell.
func mostMemory(pid int) int64 {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(raw)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

// serve starts the parties and gives what a program that does nothing but wait for them takes: the runtime's own memory.
func (p program) serve() (runtime int64) {
	p.t.Helper()
	waiting := make(chan int64)
	go func() { waiting <- p.run(nil, "", "status", "--wait") }()
	time.Sleep(500 * time.Millisecond)
	server := exec.Command(p.path, "--dir", p.dir, "serve", "--sequence", "1s", "--no-collector")
	if err := server.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	return <-waiting
}

// order has two people enrolled and an order admitted, and gives its name.
func (p program) order() string {
	p.t.Helper()
	p.run(nil, "", "enrol", "judge", "--role", "judge", "--court", court, "--clearance", "secret")
	p.run(nil, "", "enrol", "ana", "--role", "investigator", "--police-unit", unitA, "--clearance", "secret")
	p.run(nil, "", "enrol", "boss", "--role", "supervisor", "--police-unit", unitA, "--clearance", "secret")
	draft, err := exec.Command(p.path, "--dir", p.dir, "order", "new", "--example", "--court", court, "--police-unit", unitA).Output()
	if err != nil {
		p.t.Fatal(err)
	}
	from, signed := filepath.Join(p.t.TempDir(), "draft.json"), filepath.Join(p.t.TempDir(), "order.jws")
	if err := os.WriteFile(from, draft, 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.run(nil, "judge", "order", "sign", "--from", from, "-o", signed)
	var admitted struct{ Chain string }
	p.run(&admitted, "judge", "order", "admit", signed)
	return admitted.Chain
}

// largeFile makes a file of a size that takes little room: holes, and at every MiB its number.
func largeFile(t *testing.T, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "large.bin")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := int64(0); at < size && err == nil; at += 1 << 20 {
		_, err = f.WriteAt(fmt.Appendf(nil, "MiB %d", at>>20), at)
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// sameFile tells whether two files hold the same bytes.
func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	var files [2]*os.File
	var bufs [2][]byte
	for i, path := range []string{a, b} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i], bufs[i] = f, make([]byte, 1<<20)
	}
	for {
		n, errA := io.ReadFull(files[0], bufs[0])
		m, errB := io.ReadFull(files[1], bufs[1])
		if n != m || !bytes.Equal(bufs[0][:n], bufs[1][:m]) {
			return false
		}
		if errA != nil || errB != nil {
			return (errA == io.EOF || errA == io.ErrUnexpectedEOF) && errA == errB
		}
	}
}

// allowed is how much memory a command may take above the runtime, whatever the recording's size.
const allowed = 64 << 20

// TestLargeRecordingCampaign seals, mirrors, opens and discloses one recording with the real program: 192 MiB, in full 4 GiB and a little.
func TestLargeRecordingCampaign(t *testing.T) {
	t.Parallel()
	c := newCampaign(t)
	size := int64(192<<20 + 12345)
	if c.full {
		size = 4<<30 + 12345
	}
	built = true
	path, err := arca()
	if err != nil {
		t.Fatal(err)
	}
	p := program{t, path, filepath.Join(t.TempDir(), "box")}
	p.run(nil, "", "init", p.dir, "--tick", "1s")
	runtime := p.serve()
	if runtime == 0 {
		t.Skip("SKIPPED: this system does not tell a process's memory in /proc")
	}
	chain, large := p.order(), largeFile(t, size)
	peaks := map[string]int64{}
	took := func(what string, peak int64, began time.Time) {
		peaks[what] = peak - runtime
		t.Logf("%s: %d bytes, %.0f s, %.1f MiB above the runtime's %.1f", what, size, time.Since(began).Seconds(), float64(peak-runtime)/(1<<20), float64(runtime)/(1<<20))
	}
	var sealed struct{ Sealed []struct{ Recording string } }
	began := time.Now()
	took("seal", p.run(&sealed, "", "seal", large, "--order", chain, "--target", "msisdn:+12025550111", "--kind", "call", "--codec", "bytes", "--start", "now", "--end", "+90s", "--flush"), began)
	began = time.Now()
	took("mirror", p.run(nil, "", "mirror"), began)
	id := sealed.Sealed[0].Recording
	p.run(nil, "ana", "ls", "--order", chain, "--purpose", purpose)
	var asked struct{ Request string }
	p.run(&asked, "ana", "ask", "--order", chain, "--recording", id, "--class", "content", "--purpose", purpose)
	p.run(nil, "boss", "approve", asked.Request, "--reason", "needed")
	opened := filepath.Join(t.TempDir(), "opened.bin")
	began = time.Now()
	took("open", p.run(nil, "ana", "open", id, "-o", opened), began)
	if !sameFile(t, large, opened) {
		t.Error("the recording opened with other bytes")
	}
	disclosed := filepath.Join(t.TempDir(), "disclosed.zip")
	began = time.Now()
	took("bundle make", p.run(nil, "ana", "bundle", "make", "--recording", id, "--clear", "--reason", purpose, "-o", disclosed), began)
	began = time.Now()
	took("bundle verify", p.run(nil, "", "bundle", "verify", disclosed), began)
	if info, err := os.Stat(disclosed); err != nil || info.Size() <= size {
		t.Errorf("the bundle is smaller than what it holds, or is not there: %v", err)
	}
	for what, above := range peaks {
		if above > allowed {
			t.Errorf("%s takes %d bytes above the runtime", what, above)
		}
	}
	// The twin is a program that reads the whole file: the same look must find it too large.
	if info, err := os.Stat(large); err != nil || info.Size() <= allowed {
		t.Error("the file fits in what is allowed; the campaign proves nothing")
	}
}
