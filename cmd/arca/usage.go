package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
)

// unclear turns the parser's refusal of a command line into one that says what to write instead.
func unclear(cmd *cobra.Command, err error) error {
	text := err.Error()
	group := func() string { // the flags that the parser names between brackets
		_, rest, _ := strings.Cut(text, "[")
		names, _, _ := strings.Cut(rest, "]")
		return "--" + strings.ReplaceAll(names, " ", " and --")
	}
	switch {
	case strings.HasPrefix(text, "unknown command "):
		text = strayWord(cmd, text)
	case strings.HasPrefix(text, "required flag(s) "):
		names := strings.TrimSuffix(strings.TrimPrefix(text, "required flag(s) "), " not set")
		text = "this needs --" + strings.ReplaceAll(strings.ReplaceAll(names, `"`, ""), ", ", " and --")
	case strings.Contains(text, "none of the others can be"):
		text = group() + " do not go together; give one of them"
	case strings.HasPrefix(text, "at least one of the flags in the group"):
		text = "this needs " + strings.ReplaceAll(group(), " and ", " or ")
	case strings.Contains(text, "they must all be set"):
		text = group() + " go together; give both"
	case strings.Contains(text, " arg(s), "):
		text = "the line reads: " + strings.TrimSuffix(cmd.UseLine(), " [flags]")
	}
	if strings.HasSuffix(text, " --help") {
		return errors.New(text)
	}
	return fmt.Errorf("%s; see %s --help", text, cmd.CommandPath())
}

// strayWord says what a word was probably meant to be. A command with commands of its own misses one of theirs; for any other
// the word is one too many.
func strayWord(cmd *cobra.Command, text string) string {
	_, rest, _ := strings.Cut(text, `"`)
	word, _, _ := strings.Cut(rest, `"`)
	if !cmd.HasSubCommands() {
		return fmt.Sprintf("%q is one word too many; quote what has spaces; the line reads: %s", word, cmd.UseLine())
	}
	text = fmt.Sprintf("unknown command %q", word)
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return text
}

// notServed says so where a party was not reached because nobody runs the parties of this folder.
func (a *app) notServed(f *failure) string {
	if f.Kind != string(problem.Unavailable) || !strings.Contains(f.Message, "cannot be reached") {
		return ""
	}
	folder, err := a.folder()
	if err != nil {
		return ""
	}
	if !idle(folder) {
		return "arca serve holds this folder and may still be beginning; wait for it with: arca status --wait"
	}
	return "nothing runs on this folder; in another terminal: arca serve --dir " + folder.Path
}

// idle reports whether the process that held the folder last has ended. It reads who that was instead of trying the lock: a probe
// could take it from an arca serve that is just beginning.
func idle(f *installation.Folder) bool {
	raw, err := os.ReadFile(f.Dir("serve.lock"))
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	return err != nil || pid < 1 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
