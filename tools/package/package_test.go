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

// This folder and two clones elsewhere give one archive. This folder is one of
// the three so that a file missing from the clones cannot go unseen.
func TestTwoBuildsInTwoFoldersAreOne(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: whole builds of the bootstrap; make test runs them")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	folders := []string{root, filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "another", "deeper")}
	var first [32]byte
	for i, folder := range folders {
		if folder != root {
			copySource(t, root, folder)
		}
		sum := archiveOf(t, folder)
		if i == 0 {
			first = sum
		}
		if sum != first {
			t.Errorf("the build in %s gives another archive", folder)
		}
	}
}

func archiveOf(t *testing.T, folder string) [32]byte {
	t.Helper()
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
	sum := sha256.Sum256(archive)
	t.Logf("%d bytes, %x", len(archive), sum)
	return sum
}

// copySource copies what git knows, as a clone would have it but with local changes.
func copySource(t *testing.T, root, folder string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `git ls-files -z -co --exclude-standard | xargs -0 tar cf - | tar xf - -C "$1"`, "copy", folder)
	cmd.Dir = root
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
