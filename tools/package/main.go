// Command package builds dist/arca.zip, the one artefact of every function.
//
//	go run ./tools/package [-arch arm64] [-o dist/arca.zip]
//
// The same source and toolchain give the same bytes, in any folder and at any
// time: the build is trimmed of paths, has no build id and no version-control
// stamp, and the archive's one entry has a fixed time and mode. It prints the
// SHA-256, which an operator compares with the one that was reviewed.
package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// maxZip is the size that the cold start allows (issue of the foundation: ≤ 12 MB).
const maxZip = 12_000_000

func main() {
	arch := flag.String("arch", "arm64", "GOARCH of the function (the template says arm64)")
	out := flag.String("o", filepath.Join("dist", "arca.zip"), "file to write")
	flag.Parse()
	if err := run(*arch, *out); err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func run(arch, out string) error {
	folder, err := os.MkdirTemp("", "arca-package-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, "bootstrap")
	if err := build(".", arch, binary); err != nil {
		return err
	}
	raw, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	archive, err := pack(raw)
	if err != nil {
		return err
	}
	if len(archive) > maxZip {
		return fmt.Errorf("the archive has %d bytes, more than %d: find out what was linked in", len(archive), maxZip)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(out, archive, 0o644); err != nil {
		return err
	}
	fmt.Printf("%x  %s  (%d bytes)\n", sha256.Sum256(archive), out, len(archive))
	return nil
}

// build compiles cmd/bootstrap of the module in source.
func build(source, arch, binary string) error {
	// -buildid= and -buildvcs=false: neither the folder nor the commit's state
	// may show. lambda.norpc leaves out the runtime that provided.al2023 lacks.
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-tags", "lambda.norpc", "-o", binary, "./cmd/bootstrap")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the bootstrap: %w", err)
	}
	return nil
}

// pack makes the archive. 1980 is the oldest time that a ZIP can hold.
func pack(bootstrap []byte) ([]byte, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o755)
	entry, err := w.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := entry.Write(bootstrap); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}
