// Package demo tells Arca's main job as a story: it runs the arca program itself, command by
// command, as a judge, a collector, two investigators and a supervisor would, on the sample
// recordings, and checks every result. Any surprise ends it with an error.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Options say how to run.
type Options struct {
	Program string // the arca binary
	Samples string // folder of the sample recordings
	Keep    string // keep the installation in this folder, which must not exist; "" uses a scratch folder
	JSON    bool   // one JSON record per step instead of prose
	Out     io.Writer
}

// Step is one step as --json prints it.
type Step struct {
	Number  int      `json:"step"`
	Title   string   `json:"title"`
	Command string   `json:"command,omitempty"`
	Saw     []string `json:"saw"`
	Seconds float64  `json:"seconds"`
}

// story is a run under way.
type story struct {
	o       Options
	dir     string
	number  int
	step    Step
	began   time.Time
	serve   *exec.Cmd
	served  *bytes.Buffer
	work    string // drafts, receipts, opened files
	samples []sample

	quiet   bool
	trust   string // fingerprint of the trust file
	chain   string // the order
	rows    []row  // what ls showed
	request string
}

// Run tells the story and returns the first surprise.
func Run(ctx context.Context, o Options) (err error) {
	s := &story{o: o}
	if s.samples, err = readSamples(o.Samples); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "arca-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	s.dir, s.work = filepath.Join(scratch, "installation"), filepath.Join(scratch, "work")
	if o.Keep != "" {
		if s.dir, err = filepath.Abs(o.Keep); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(s.work, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, part := range []func(context.Context) error{
		s.installation, s.people, s.order, s.sealing, s.listing, s.asking, s.opening, s.annotating, s.stranger, s.disclosure, s.revocation, s.journal, s.custody, s.storage,
	} {
		if err := part(ctx); err != nil {
			return fmt.Errorf("step %d, %s: %w", s.number, s.step.Title, err)
		}
		s.finish()
	}
	s.farewell()
	return nil
}

// begin starts a step.
func (s *story) begin(title string) {
	s.number++
	s.step, s.began = Step{Number: s.number, Title: title, Saw: []string{}}, time.Now()
	if !s.o.JSON {
		fmt.Fprintf(s.o.Out, "\n%2d. %s\n", s.number, title)
	}
}

// saw adds what a party saw.
func (s *story) saw(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.step.Saw = append(s.step.Saw, line)
	if !s.o.JSON {
		fmt.Fprintf(s.o.Out, "    %s\n", line)
	}
}

func (s *story) finish() {
	s.step.Seconds = float64(time.Since(s.began).Milliseconds()) / 1000
	if s.o.JSON {
		_ = json.NewEncoder(s.o.Out).Encode(s.step)
	}
}

func (s *story) farewell() {
	if s.o.JSON {
		return
	}
	if s.o.Keep != "" {
		fmt.Fprintf(s.o.Out, "\nThe installation is kept in %s. Try:\n    arca --dir %s serve\n    arca --dir %s --as investigator-one ls\n", s.dir, s.dir, s.dir)
	}
	fmt.Fprintln(s.o.Out, "\nEverything went as it must.")
}

// arca runs one command as a person ("" for nobody in particular) and reads its JSON answer into v.
func (s *story) arca(ctx context.Context, as string, v any, args ...string) error {
	out, code, err := s.try(ctx, as, args...)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("arca %s: exit %d: %s", strings.Join(args, " "), code, out)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		return fmt.Errorf("arca %s: not the JSON that was expected: %w: %.300s", strings.Join(args, " "), err, out)
	}
	return nil
}

// refused runs a command that must fail with an exit code, and gives its message.
func (s *story) refused(ctx context.Context, as string, code int, args ...string) (string, error) {
	out, got, err := s.try(ctx, as, args...)
	if err != nil {
		return "", err
	}
	if got != code {
		return "", fmt.Errorf("arca %s: exit %d instead of %d: %.300s", strings.Join(args, " "), got, code, out)
	}
	var answer struct {
		Error struct{ Kind, Message string } `json:"error"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Error.Message == "" {
		return "", fmt.Errorf("arca %s: a refusal without a message: %.300s", strings.Join(args, " "), out)
	}
	return answer.Error.Message, nil
}

func (s *story) try(ctx context.Context, as string, args ...string) (string, int, error) {
	all := []string{"--dir", s.dir, "--json"}
	if as != "" {
		all = append(all, "--as", as)
	}
	all = append(all, args...)
	if s.step.Command == "" {
		s.step.Command = "arca " + strings.Join(args, " ")
	}
	if !s.o.JSON && !s.quiet {
		who := ""
		if as != "" {
			who = "--as " + as + " "
		}
		fmt.Fprintf(s.o.Out, "    $ arca %s%s\n", who, strings.Join(s.shorten(args), " "))
	}
	cmd := exec.CommandContext(ctx, s.o.Program, all...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		text := out.String()
		if text == "" {
			text = errs.String()
		}
		return text, exit.ExitCode(), nil
	}
	return out.String(), 0, err
}

// shorten keeps the printed commands readable.
func (s *story) shorten(args []string) []string {
	var short []string
	for _, a := range args {
		a = strings.ReplaceAll(a, s.work+"/", "")
		a = strings.ReplaceAll(a, s.o.Samples+"/", "")
		a = strings.ReplaceAll(a, s.dir, "DIR")
		if len(a) == 64 && !strings.ContainsAny(a, " ./") {
			a = a[:12] + "…"
		}
		if strings.ContainsAny(a, " ") {
			a = "'" + a + "'"
		}
		short = append(short, a)
	}
	return short
}

// start runs arca serve in the background and waits until it answers.
func (s *story) start(ctx context.Context) error {
	s.serve = exec.CommandContext(ctx, s.o.Program, "--dir", s.dir, "serve", "--sequence", "1s")
	s.served = &bytes.Buffer{}
	s.serve.Stdout, s.serve.Stderr = s.served, s.served
	if err := s.serve.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if exec.CommandContext(ctx, s.o.Program, "--dir", s.dir, "--json", "status").Run() == nil {
			return nil
		}
	}
	return fmt.Errorf("the parties did not come up: %s", s.served.String())
}

func (s *story) stop() error {
	if s.serve == nil || s.serve.Process == nil {
		return nil
	}
	_ = s.serve.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- s.serve.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("arca serve did not end well: %w: %s", err, s.served.String())
		}
		return nil
	case <-time.After(20 * time.Second):
		_ = s.serve.Process.Kill()
		return errors.New("arca serve did not end within 20 seconds")
	}
}
