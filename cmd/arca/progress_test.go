package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedBuffer is written by the bar's own goroutine.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestProgress(t *testing.T) {
	var seen lockedBuffer
	quick := &progress{title: "sealing", to: &seen, start: time.Now()}
	quick.at(1, 2)
	quick.end()
	if seen.String() != "" {
		t.Error("a bar for work that did not last")
	}
	slow := &progress{title: "sealing", to: &seen, start: time.Now().Add(-2 * patience)}
	for i := range int64(10) {
		slow.at(10*(i+1), 100)
		time.Sleep(20 * time.Millisecond)
	}
	if slow.bar == nil || slow.bar.Current() != 100 {
		t.Error("no bar for work that lasts")
	}
	slow.end()
	nobody := (&app{streams: streams{err: &seen}}).progress("sealing")
	nobody.start = time.Now().Add(-2 * patience)
	nobody.at(1, 2)
	if nobody.bar != nil {
		t.Error("a bar where nobody looks")
	}
	nobody.end()
}

// TestCompletion asks as a shell does: it must answer at once, without parties and without an installation.
func TestCompletion(t *testing.T) {
	ask := func(args ...string) string {
		var out bytes.Buffer
		code := run(context.Background(), append([]string{"__complete"}, args...), streams{in: strings.NewReader(""), out: &out, err: io.Discard})
		if code != 0 {
			t.Errorf("%v ends with %d", args, code)
		}
		return out.String()
	}
	dir := t.TempDir()
	if got := ask("--dir", dir, "order", "show", ""); !strings.Contains(got, ":4") {
		t.Errorf("without an installation: %q", got)
	}
	if got := ask("order", ""); !strings.Contains(got, "revoke") {
		t.Errorf("no commands: %q", got)
	}
	if got := ask("enrol", "x", "--role", ""); !strings.Contains(got, "supervisor") {
		t.Errorf("no roles: %q", got)
	}
	if got := ask("backup", ""); !strings.Contains(got, "custodian") {
		t.Errorf("no parties: %q", got)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var out bytes.Buffer
		if code := run(context.Background(), []string{"completion", shell}, streams{out: &out, err: io.Discard}); code != 0 || out.Len() < 1000 {
			t.Errorf("no completion for %s", shell)
		}
	}
}
