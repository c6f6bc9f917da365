//go:build pkcs11

package installation_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/store/storetest"
)

// TestKeyholdersWithTokens runs both keyholders with their roots in SoftHSM2, each in a token of its own.
func TestKeyholdersWithTokens(t *testing.T) {
	module := ""
	for _, path := range []string{os.Getenv("ARCA_SOFTHSM"), "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(path); path != "" && err == nil {
			module = path
			break
		}
	}
	if module == "" {
		storetest.Skipped(t, "SoftHSM2", "libsofthsm2.so was not found; install it with: apt-get install -y softhsm2")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", filepath.Join(dir, "tokens")), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	tokens := map[string]installation.Token{}
	for _, party := range []string{"court", "custodian"} {
		out, err := exec.Command("softhsm2-util", "--module", module, "--init-token", "--free", "--label", party, "--pin", "2468", "--so-pin", "86420").CombinedOutput()
		if err != nil {
			t.Fatalf("softhsm2-util: %v: %s", err, out)
		}
		pin := filepath.Join(dir, party+".pin")
		if err := os.WriteFile(pin, []byte("2468\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		tokens[party] = installation.Token{Module: module, Token: party, PINFile: pin}
	}
	f := start(t, tokens)
	orderAndUnits(t, f)
	for _, party := range []string{"court", "custodian"} {
		if _, err := os.Stat(f.Dir(party, "roots.age")); err == nil {
			t.Errorf("%s has a key file beside its token", party)
		}
	}
}
