package main

import (
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestTheArchiveDoesNotKnowTheTime(t *testing.T) {
	a, err := pack([]byte("bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := pack([]byte("bootstrap"))
	if err != nil || !bytes.Equal(a, b) || len(a) == 0 {
		t.Fatal("two archives of one file differ")
	}
}

// Two clones in two folders give one archive.
func TestTwoBuildsInTwoFoldersAreOne(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: two whole builds of the bootstrap; make test runs them")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var sums [2][32]byte
	for i, name := range []string{"one", "another/deeper"} {
		folder := filepath.Join(t.TempDir(), name)
		copySource(t, root, folder)
		binary := filepath.Join(t.TempDir(), "bootstrap")
		if err := build(folder, "arm64", binary); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(folder)) {
			t.Error("the binary names the folder it was built in")
		}
		archive, err := pack(raw)
		if err != nil {
			t.Fatal(err)
		}
		if len(archive) > maxZip {
			t.Errorf("%d bytes", len(archive))
		}
		t.Logf("%d bytes, %x", len(archive), sha256.Sum256(archive))
		sums[i] = sha256.Sum256(archive)
	}
	if sums[0] != sums[1] {
		t.Fatal("two builds of one source differ")
	}
}

// copySource copies what git knows, as a clone would have it but with local changes.
func copySource(t *testing.T, root, folder string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `git ls-files -z -co --exclude-standard -- '*.go' '*.json' '*.cedar' '*.cedarschema' '*.yaml' go.mod go.sum | xargs -0 tar cf - | tar xf - -C "$1"`, "copy", folder)
	cmd.Dir = root
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
