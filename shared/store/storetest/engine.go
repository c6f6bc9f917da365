package storetest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The credentials that engines under test are started with. They open nothing else.
const (
	TestAccessKey = "test-access"
	TestSecretKey = "test-secret-of-a-local-engine"
	TestRegion    = "us-east-1"
	TestBucket    = "arca-test"
	TestCopy      = "arca-test-copy" // another bucket
)

// Dynoxide starts the DynamoDB-API engine on a fresh database and gives its
// endpoint. Without the engine the test is skipped loudly, or fails where CI is set.
func Dynoxide(t testing.TB) (endpoint string) {
	t.Helper()
	endpoint, _ = DynoxideIn(t, t.TempDir())
	return endpoint
}

// DynoxideIn is Dynoxide on a folder that may hold an earlier one's database.
// Kill ends it as a crash would; without it, it ends with the test.
func DynoxideIn(t testing.TB, folder string) (endpoint string, kill func()) {
	t.Helper()
	binary := engine(t, "dynoxide", "node_modules/@dynoxide/linux-x64/dynoxide")
	address, kill := start(t, func(address, port string) *exec.Cmd {
		return exec.Command(binary, "--host", "127.0.0.1", "--port", port, "--db-path", filepath.Join(folder, "dynoxide.db"))
	})
	return "http://" + address, kill
}

// Versitygw starts the S3-API server on a fresh folder with the bucket
// TestBucket and TestCopy, and gives its endpoint.
func Versitygw(t testing.TB) (endpoint string) {
	t.Helper()
	endpoint, _ = VersitygwIn(t, t.TempDir())
	return endpoint
}

// VersitygwIn is Versitygw on a folder that may hold an earlier one's objects.
// It asks the file system to keep them but never calls fsync (v1.8.0), so it
// survives kill -9, not a power cut: no production store of acknowledged data.
func VersitygwIn(t testing.TB, folder string) (endpoint string, kill func()) {
	t.Helper()
	binary := engine(t, "versitygw", "bin/versitygw")
	// For this server a folder at the top is a bucket.
	for _, bucket := range []string{TestBucket, TestCopy} {
		if err := os.MkdirAll(filepath.Join(folder, bucket), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	address, kill := start(t, func(address, port string) *exec.Cmd {
		cmd := exec.Command(binary, "--port", address, "--region", TestRegion, "--keep-alive", "--quiet", "posix", folder)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+TestAccessKey, "ROOT_SECRET_KEY="+TestSecretKey)
		return cmd
	})
	return "http://" + address, kill
}

// engine finds what tools/install puts into .tools.
func engine(t testing.TB, name, path string) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(root, ".tools", path)
	if _, err := os.Stat(binary); err != nil {
		Skipped(t, name, "it is not in .tools; run tools/install")
	}
	return binary
}

// Skipped records that an engine is missing: a loud line, also in the file that
// ARCA_SKIPPED names, and a failed test where CI is set.
func Skipped(t testing.TB, engine, reason string) {
	t.Helper()
	line := fmt.Sprintf("SKIPPED engine: %s: %s: %s\n", engine, t.Name(), reason)
	fmt.Fprint(os.Stderr, line)
	if path := os.Getenv("ARCA_SKIPPED"); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal(line)
	}
	t.Skip(line)
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", fmt.Errorf("no go.mod above the working folder")
		}
		dir = filepath.Dir(dir)
	}
}

// start runs a server on a free port of 127.0.0.1 and stops it with the test.
// Between finding the port and using it someone else may take it, hence the tries.
func start(t testing.TB, command func(address, port string) *exec.Cmd) (address string, kill func()) {
	t.Helper()
	var said bytes.Buffer
	for range 3 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		listener.Close()
		_, port, _ := net.SplitHostPort(address)
		cmd := command(address, port)
		said.Reset()
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		if answers(address, ended) {
			kill := func() { cmd.Process.Kill(); <-ended }
			t.Cleanup(kill)
			return address, kill
		}
		cmd.Process.Kill()
		<-ended
	}
	t.Fatalf("the engine did not start: %s", said.String())
	return "", nil
}

func answers(address string, ended <-chan struct{}) bool {
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return false
}
