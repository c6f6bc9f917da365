package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/mirror/mirrortest"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// logFolder writes a log of some entries, and its trust file, as files.
func logFolder(t *testing.T, salt string, size int) (folder, trust, fingerprint string) {
	t.Helper()
	v := mirrortest.New(t, seal.Geometry{Size: 1 << 20, Slots: 8})
	for n := range size {
		v.Log(ledger.Commit(ledger.Opening{Event: fmt.Appendf(nil, "%s %d", salt, n)}))
	}
	signed, err := v.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := ledger.PolicyOf(&v.Trust).Verify(signed)
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("checkpoint", signed)
	keep := func(tile ledger.Tile) ([]byte, error) {
		b, err := v.Tile(t.Context(), tile.Path())
		if err == nil {
			write(tile.Path(), b)
		}
		return b, err
	}
	if err := ledger.VerifyLog(t.Context(), c.Tree, keep, nil); err != nil {
		t.Fatal(err)
	}
	joint, err := record.Marshal(v.Joint)
	if err != nil {
		t.Fatal(err)
	}
	return folder, write("trust.json", joint), v.Fingerprint.String()
}

// arca runs one command line.
func arca(t *testing.T, args ...string) (code int, out string) {
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, streams{in: strings.NewReader(""), out: &stdout, err: &stderr})
	return code, stdout.String() + stderr.String()
}

func TestAuditLogRaisesAnAlarm(t *testing.T) {
	honest, trust, fingerprint := logFolder(t, "honest", 300)
	t.Chdir(t.TempDir()) // no installation here
	fork, _, _ := logFolder(t, "fork", 400)
	state := filepath.Join(t.TempDir(), "state")
	line := func(log string, more ...string) []string {
		return append([]string{"audit", "log", log, "--state", state, "--trust", trust, "--fingerprint", fingerprint}, more...)
	}
	if code, out := arca(t, line(honest)...); code != 0 || !strings.Contains(out, "300 entries, 300 verified, 300 of them now") {
		t.Fatal(code, out)
	}
	if code, out := arca(t, line(honest, "--from", honest)...); code != 0 || !strings.Contains(out, "0 of them now") {
		t.Fatal(code, out)
	}
	if code, out := arca(t, line(honest, "--from", fork)...); code != 9 || !strings.Contains(out, "ALARM") {
		t.Fatal(code, out)
	}
	code, out := arca(t, line(fork, "--json")...)
	var answer struct {
		Alarms []struct{ Evidence string }
		Error  struct{ Kind string }
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || code != 9 || len(answer.Alarms) == 0 || answer.Error.Kind != "alarm" {
		t.Fatal(code, err, out)
	}
	b, err := os.ReadFile(answer.Alarms[0].Evidence)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := ledger.ParseEvidence(b); err != nil || len(e.Accused) != 4 {
		t.Fatal(err)
	}
	// Offline, by whoever is given the file: with the trust file, and without anything.
	file := answer.Alarms[0].Evidence
	if code, out := arca(t, "verify", file, "--trust", trust, "--fingerprint", fingerprint); code != 0 || strings.Count(out, "the trust file names this key") != 4 {
		t.Fatal(code, out)
	}
	if code, out := arca(t, "verify", file); code != 0 || strings.Count(out, "is not proven") != 4 || !strings.Contains(out, "neither contains the other") {
		t.Fatal(code, out)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := arca(t, "verify", file, "--json"); code == 0 || !strings.Contains(out, "no evidence of anything") {
		t.Fatal(code, out)
	}
	if err := os.Remove(filepath.Join(honest, "tile", "entries", "000")); err != nil {
		t.Fatal(err)
	}
	if code, out := arca(t, "audit", "log", honest, "--state", t.TempDir(), "--trust", trust, "--fingerprint", fingerprint); code != 5 || !strings.Contains(out, "tile/entries/000") {
		t.Fatal(code, out)
	}
}

func TestAuditLogSaysWhatIsMissing(t *testing.T) {
	honest, trust, fingerprint := logFolder(t, "honest", 3)
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{5, "no such folder", []string{"nowhere", "--state", "s", "--trust", trust, "--fingerprint", fingerprint}},
		{5, "no such file", []string{honest, "--state", "s", "--trust", trust, "--fingerprint", fingerprint, "--from", "nowhere"}},
		{5, "no checkpoint of this log", []string{honest, "--state", "s", "--trust", trust, "--fingerprint", fingerprint, "--from", trust}},
		{8, "cannot be reached", []string{honest, "--state", "s", "--trust", trust, "--fingerprint", fingerprint, "--from", "http://127.0.0.1:1"}},
		{5, "--state", []string{honest, "--trust", trust, "--fingerprint", fingerprint}},
		{5, "--dir", []string{honest, "--state", "s"}},
		{2, "fingerprint", []string{honest, "--trust", trust}},
	} {
		if code, out := arca(t, append([]string{"audit", "log"}, c.args...)...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%v: %d %s", c.args, code, out)
		}
	}
}
