//go:build pkcs11

package keyholder_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/keys/pkcs11"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/storetest"
)

func init() {
	token = func(b *testing.B) keys.Roots { return tokens(b)(seal.Court) }
}

// tokens gives each party roots in a SoftHSM2 token of its own.
func tokens(t testing.TB) func(seal.Role) keys.Roots {
	t.Helper()
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
	must(t, os.Mkdir(filepath.Join(dir, "tokens"), 0o700))
	conf := filepath.Join(dir, "softhsm2.conf")
	must(t, os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", filepath.Join(dir, "tokens")), 0o600))
	t.Setenv("SOFTHSM2_CONF", conf)
	for _, party := range parties {
		out, err := exec.Command("softhsm2-util", "--module", module, "--init-token", "--free", "--label", string(party), "--pin", "2468", "--so-pin", "86420").CombinedOutput()
		if err != nil {
			t.Fatalf("softhsm2-util: %v: %s", err, out)
		}
	}
	return func(party seal.Role) keys.Roots {
		roots, err := pkcs11.Open(pkcs11.Config{Module: module, Token: string(party), PIN: "2468"})
		must(t, err)
		return roots
	}
}

// C_DestroyObject ends a generation: the snapshot opens nothing with the tokens as they are afterwards.
func TestASnapshotOpensNothingWithTokens(t *testing.T) {
	open := tokens(t)
	snapshotOpensNothing(t, func(party seal.Role) (store.Rows, keys.Roots) { return nil, open(party) })
}
