package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDependencies holds what makes the verifier trustworthy by reading: it links nothing that stores, serves or holds keys.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Fields(string(out))
	if len(list) < 50 {
		t.Fatalf("only %d packages listed", len(list))
	}
	for _, name := range list {
		for _, banned := range []string{"aws", "/keyholder", "/vault", "/store", "/collector", "/reader", "/mirror", "/keys", "/local", "/functions",
			"cobra", "sqlite", "cedar", "net/http"} {
			if strings.Contains(name, banned) {
				t.Errorf("arca-verify links %s", name)
			}
		}
	}
}

// TestSize builds the verifier as make build does: one static file below 10 MB.
func TestSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "arca-verify")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= 10<<20 {
		t.Errorf("the verifier has %d bytes", info.Size())
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Skip("not an ELF system:", err) // other systems have no static programs to look for
	}
	defer f.Close()
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 || f.Section(".interp") != nil {
		t.Errorf("the verifier is not static: %v, %v", libraries, err)
	}
	t.Logf("%d bytes", info.Size())
}
