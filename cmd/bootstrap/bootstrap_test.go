package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	arca "arca.example/arca"
	"arca.example/arca/shared/local"
	"arca.example/arca/shared/local/runtimeapi"
)

// built is the bootstrap as it is deployed, but for this machine's processor:
// the arm64 one cannot run here.
func built(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "bootstrap")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// environments has the template's environment of every function, by Handler name.
func environments(t testing.TB) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, party := range []string{"vault", "court"} {
		plan, err := local.Load(arca.Template, party, map[string]string{"DomainName": "a.example", "CertificateArn": "arn:x", "Trust": strings.Repeat("00", 32), "LogOrigin": "log.example",
			"Witnesses": "https://witness.example", "LedgerUrl": "https://vault.example", "OtherUrl": "https://other.example"})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range plan.Functions {
			for name, value := range f.Env {
				all[f.Name] = append(all[f.Name], name+"="+value)
			}
		}
	}
	return all
}

// instance is one running bootstrap.
type instance struct {
	api *runtimeapi.Server
	cmd *exec.Cmd
	log *bytes.Buffer
}

func launch(t testing.TB, binary, handler string, env []string) *instance {
	t.Helper()
	api, err := runtimeapi.Start()
	if err != nil {
		t.Fatal(err)
	}
	in := &instance{api: api, cmd: exec.Command(binary), log: &bytes.Buffer{}}
	in.cmd.Env = append(slices.Clone(env), "_HANDLER="+handler, "AWS_LAMBDA_RUNTIME_API="+api.Addr())
	in.cmd.Stderr = in.log
	if err := in.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return in
}

// end stops the process that launch started and reports what it did wrong.
func (in *instance) end(t testing.TB) {
	t.Helper()
	in.cmd.Process.Kill()
	in.cmd.Wait()
	if err := in.api.Close(); err != nil {
		t.Errorf("the function misused the Runtime API: %v", err)
	}
}

func (in *instance) ready(t testing.TB) {
	t.Helper()
	select {
	case <-in.api.Ready():
	case <-time.After(20 * time.Second):
		in.end(t)
		t.Fatalf("not ready after 20 s: %s", in.log)
	}
}

func TestEveryFunctionStartsAndAnswers(t *testing.T) {
	binary := built(t)
	for handler, env := range environments(t) {
		in := launch(t, binary, handler, env)
		in.ready(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		out, err := in.api.Invoke(ctx, []byte(`{"version":"2.0","rawPath":"/nowhere","requestContext":{"requestId":"r","http":{"method":"GET"}}}`))
		var answer struct{ StatusCode int }
		if err == nil {
			err = json.Unmarshal(out, &answer)
		}
		if err != nil || answer.StatusCode != 404 {
			t.Errorf("%s: %d %v", handler, answer.StatusCode, err)
		}
		if _, err := in.api.Invoke(ctx, []byte(`{"unknown":"event"}`)); err == nil {
			t.Errorf("%s took an unknown event as handled", handler)
		}
		cancel()
		in.end(t)
		if !strings.Contains(in.log.String(), `"status":404`) {
			t.Errorf("%s: log %s", handler, in.log)
		}
	}
}

func TestTheBootstrapRefusesToStart(t *testing.T) {
	binary := built(t)
	env := environments(t)["ledger"]
	without := slices.DeleteFunc(slices.Clone(env), func(s string) bool { return strings.HasPrefix(s, "LOG=") })
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"unknown handler":   {append(slices.Clone(env), "_HANDLER=nobody", "AWS_LAMBDA_RUNTIME_API=127.0.0.1:1"), "must be one of"},
		"no handler":        {append(slices.Clone(env), "AWS_LAMBDA_RUNTIME_API=127.0.0.1:1"), "must be one of"},
		"missing setting":   {append(without, "_HANDLER=ledger", "AWS_LAMBDA_RUNTIME_API=127.0.0.1:1"), "LOG is not set: "},
		"outside of Lambda": {append(slices.Clone(env), "_HANDLER=ledger"), "arca serve"},
	} {
		cmd := exec.Command(binary)
		cmd.Env = c.env
		var log bytes.Buffer
		cmd.Stderr = &log
		if err := cmd.Run(); err == nil || !strings.Contains(log.String(), c.want) {
			t.Errorf("%s: %v %s", name, err, &log)
		}
	}
}

// Bars of the deployment: time from exec to the first request for work, and size of the archive.
const (
	barMilliseconds = 10.0
	barBytes        = 12 << 20
)

// BenchmarkStart measures the time from exec to the first request for work, per
// function: what a cold start adds to AWS's own part (amd64 twin). It also prints
// the size of the archive that is deployed.
func BenchmarkStart(b *testing.B) {
	binary := built(b)
	all := environments(b)
	for _, handler := range slices.Sorted(maps.Keys(all)) {
		b.Run(handler, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				in := launch(b, binary, handler, all[handler])
				in.ready(b)
				took = append(took, time.Since(began))
				b.StopTimer()
				in.end(b)
				b.StartTimer()
			}
			slices.Sort(took)
			median := float64(took[len(took)/2].Microseconds()) / 1000
			best := float64(took[0].Microseconds()) / 1000
			b.ReportMetric(median, "ms/ready")
			fmt.Printf("start %-9s %6.2f ms to ready (median of %d, best %.2f), %.2f of the %.0f ms allowed\n", handler, median, len(took), best, median/barMilliseconds, barMilliseconds)
		})
	}
	file := filepath.Join(b.TempDir(), "arca.zip")
	cmd := exec.Command("go", "run", "./tools/package", "-o", file)
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Printf("archive %.2f MB, %.2f of the %d MB allowed\n", float64(info.Size())/(1<<20), float64(info.Size())/barBytes, barBytes>>20)
}
