package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/store/awscall"
	"arca.example/arca/shared/store/s3"
)

// peer gives a program of .tools, "" after a loud line when it is missing.
func (r *run) peer(name string) string {
	path := filepath.Join(r.tools, "bin", name)
	if _, err := os.Stat(path); err != nil {
		fmt.Printf("SKIPPED peer: %s is not in .tools/bin; run tools/bench, which builds it\n", name)
		return ""
	}
	return path
}

// program makes a peer's process, with the scratch folder for whatever it keeps.
func (r *run) program(env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.ctx, name, args...)
	cmd.Env = append(append(os.Environ(), "HOME="+r.folder, "TMPDIR="+r.folder), env...)
	return cmd
}

// output runs a peer and gives what it prints.
func (r *run) output(name string, args ...string) ([]byte, error) {
	cmd := r.program(nil, name, args...)
	cmd.Dir = r.folder
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", filepath.Base(name), err, out, said.Bytes())
	}
	return out, nil
}

// command runs a peer and times it.
func (r *run) command(env []string, stdin io.Reader, name string, args ...string) (time.Duration, error) {
	cmd := r.program(env, name, args...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, io.Discard, &said
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		return took, fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, said.Bytes())
	}
	return took, nil
}

// restic backs the folder up into a new repository with its own defaults. The repository is made before the clock starts; deriving
// the key from the password, which every backup does, is in the time.
func (r *run) restic(src *source, repository string, env []string) (o outcome, err error) {
	program := r.peer("restic")
	if program == "" {
		return o, nil
	}
	env = append(env, "RESTIC_PASSWORD=benchmark", "RESTIC_REPOSITORY="+repository, "RESTIC_CACHE_DIR="+filepath.Join(r.folder, "restic-cache"))
	if _, err := r.command(env, nil, program, "init", "--quiet"); err != nil {
		return o, err
	}
	o.took, err = r.command(env, nil, program, "backup", "--quiet", src.folder)
	return o, err
}

// otherPeers are printed beside: kopia as a second backup program, age as encryption alone.
func (r *run) otherPeers(src *source) error {
	if program := r.peer("kopia"); program != "" {
		folder := filepath.Join(r.folder, "kopia")
		env := []string{"KOPIA_PASSWORD=benchmark", "KOPIA_CONFIG_PATH=" + filepath.Join(r.folder, "kopia.config"), "KOPIA_CACHE_DIRECTORY=" + filepath.Join(r.folder, "kopia-cache"),
			"KOPIA_LOG_DIR=" + filepath.Join(r.folder, "kopia-log"), "KOPIA_CHECK_FOR_UPDATES=false"}
		if _, err := r.command(env, nil, program, "repository", "create", "filesystem", "--path", folder); err != nil {
			return err
		}
		took, err := r.command(env, nil, program, "snapshot", "create", src.folder, "--no-progress")
		if err != nil {
			return err
		}
		bytes, err := stored(folder)
		if err != nil {
			return err
		}
		r.table.add(line{what: "kopia snapshot of the same folder", measured: mb(rateOf(src.plain, took)), reference: fmt.Sprintf("stored per plain byte %.3f", float64(bytes)/float64(src.plain))})
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return r.age(src)
}

// age encrypts all items as one stream to one recipient: no store, no hash, no sync.
func (r *run) age(src *source) error {
	program := r.peer("age")
	if program == "" {
		return nil
	}
	var all bytes.Buffer
	for _, path := range src.paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		all.Write(content)
	}
	const nobody = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p" // the example recipient of age's README
	out := filepath.Join(r.folder, "items.age")
	defer os.Remove(out)
	took, err := r.command(nil, &all, program, "-r", nobody, "-o", out)
	if err == nil {
		r.table.beside("age, the same bytes as one stream, not synced", rateOf(src.plain, took))
	}
	return err
}

// s3Server is a versitygw on a fresh folder.
type s3Server struct {
	cmd      *exec.Cmd
	folder   string
	endpoint string
	bucket   string
	secret   string
}

const (
	s3Key    = "benchmark"
	s3Region = "us-east-1"
)

// startS3 starts the S3-API server, nil after a loud line when it is missing. It never calls fsync (v1.8.0), for Arca
// as for restic.
func (r *run) startS3(name string) (*s3Server, error) {
	program := r.peer("versitygw")
	if program == "" {
		return nil, nil
	}
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // crypto/rand does not fail
	s := &s3Server{folder: filepath.Join(r.folder, name), bucket: "packs", secret: hex.EncodeToString(secret)}
	if err := os.MkdirAll(filepath.Join(s.folder, s.bucket), 0o700); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	s.endpoint = "http://" + address
	s.cmd = exec.CommandContext(r.ctx, program, "--port", address, "--region", s3Region, "--keep-alive", "--quiet", "posix", s.folder)
	s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s3Key, "ROOT_SECRET_KEY="+s.secret)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for range 200 {
		if conn, err := net.Dial("tcp", address); err == nil {
			return s, conn.Close()
		}
		time.Sleep(25 * time.Millisecond)
	}
	return nil, errors.Join(errors.New("the S3-API server does not answer"), s.stop())
}

func (s *s3Server) stop() error {
	err := s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it says that it was killed
	return errors.Join(err, os.RemoveAll(s.folder))
}

func (s *s3Server) env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + s3Key, "AWS_SECRET_ACCESS_KEY=" + s.secret, "AWS_DEFAULT_REGION=" + s3Region}
}

func (s *s3Server) objects() installation.Objects {
	return s3.New(s3.Options{Region: s3Region, Bucket: s.bucket, Endpoint: s.endpoint, PathStyle: true, Credentials: awscall.Static(s3Key, s.secret)})
}
