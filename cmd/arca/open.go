package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/reader/cut"
)

type openFlags struct {
	out, from, to, bytes, mirror, minimised string
}

func (a *app) openCommand() *cobra.Command {
	var o openFlags
	c := a.command(spec{
		use: "open ID", short: "Open a recording: whole, or a part of it",
		long: "Asks both keyholders for the halves under your request for its content, combines them here, reads the segments from the mirror and\n" +
			"verifies every byte. The file appears under its name only whole and verified, and never replaces another. -o - writes to standard\n" +
			"output: there every byte was authenticated, but the whole is verified at the end, so discard what came if it fails.\n\n" +
			"--from and --to cut by seconds: PCM and A-law give a valid WAV, Opus a valid Ogg, cut at packets. Anything else is cut by --bytes.\n\n" +
			"What a note in your listing marks as not pertinent is refused where the statute says so (18 U.S.C. 2518(5)), and else opened with a\n" +
			"warning; --minimised opens it with a reason, which goes into both journals. Other parts open as ever: --from, --to.",
		example: "arca open $ID -o call.out.wav --as ines\narca open $ID --from 1 --to 2.5 -o part.wav --as ines\narca open $ID --bytes 0-99 -o head.bin --as ines",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			part, err := o.part()
			if err != nil {
				return err
			}
			return a.open(cmd.Context(), args[0], o, part)
		},
	})
	c.ValidArgsFunction = a.completeRecordings
	c.Flags().StringVarP(&o.out, "output", "o", "", "file to write, - for standard output (else the id with the codec's ending)")
	c.Flags().StringVar(&o.from, "from", "", "first second")
	c.Flags().StringVar(&o.to, "to", "", "second to end before")
	c.Flags().StringVar(&o.bytes, "bytes", "", "bytes first-last, as 0-99 or 100-")
	c.Flags().StringVar(&o.minimised, "minimised", "", "why what is marked not pertinent is opened all the same")
	c.Flags().StringVar(&o.mirror, "mirror", mirrorPlace, "which mirror of the installation to read from")
	c.MarkFlagsMutuallyExclusive("bytes", "from")
	c.MarkFlagsMutuallyExclusive("bytes", "to")
	return c
}

// part reads what to open.
func (o openFlags) part() (part reader.Range, err error) {
	part.Minimised = o.minimised
	if part.From, err = parseSeconds(o.from); err != nil {
		return part, err
	}
	if part.To, err = parseSeconds(o.to); err != nil {
		return part, err
	}
	if o.to != "" && part.To <= part.From {
		return part, problem.New(problem.Invalid, "the part must end after it begins")
	}
	if o.bytes == "" {
		return part, nil
	}
	bad := problem.New(problem.Invalid, "a part in bytes reads 0-99 or 100-, both ends included")
	first, last, ok := strings.Cut(o.bytes, "-")
	if !ok {
		return part, bad
	}
	part.Bytes = &reader.ByteRange{}
	if part.Bytes.First, err = strconv.ParseInt(first, 10, 62); err != nil || part.Bytes.First < 0 {
		return part, bad
	}
	if last == "" {
		return part, nil
	}
	if part.Bytes.Last, err = strconv.ParseInt(last, 10, 62); err != nil || part.Bytes.Last < part.Bytes.First {
		return part, bad
	}
	part.Bytes.Last++ // the reader's range ends before its last
	return part, nil
}

// parseSeconds reads 12.5 or 1m30s; nothing is 0.
func parseSeconds(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 && s < 1e8 {
		return time.Duration(s * float64(time.Second)), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return d, nil
	}
	return 0, problem.New(problem.Invalid, "a place in a recording reads 12.5 (seconds) or 1m30s")
}

// openedAnswer says what was opened.
type openedAnswer struct {
	Recording string   `json:"recording"`
	Path      string   `json:"path,omitempty"`
	Bytes     int64    `json:"bytes"`
	Original  int64    `json:"original"` // bytes of the whole recording
	Codec     string   `json:"codec"`
	Container cut.Kind `json:"container,omitempty"`
	Whole     bool     `json:"whole"`            // all of it, verified against the digest in its description
	Marked    string   `json:"marked,omitempty"` // a warning: it is marked not pertinent
}

func (a *app) open(ctx context.Context, id string, o openFlags, part reader.Range) error {
	id = strings.ToLower(id)
	if _, err := match("recording", id, 32, func() ([]string, error) { return []string{id}, nil }); err != nil {
		return err // the reader completes it from what it listed
	}
	f, me, err := a.who()
	if err != nil {
		return err
	}
	if o.out == "-" {
		return a.openToOutput(ctx, f, me, id, o, part)
	}
	if _, err := os.Stat(filepath.Dir(o.out)); errors.Is(err, fs.ErrNotExist) {
		return problem.Wrap(problem.NotFound, err, "the folder to write to does not exist; make it first: %s", filepath.Dir(o.out))
	}
	bar := a.progress("opening")
	r, done, err := a.openReaderTo(f, me, o.mirror, nil, bar.at)
	if err != nil {
		return err
	}
	defer done()
	path := o.out
	if path == "" {
		path = id + ".opening"
	}
	got, err := r.Open(ctx, id, path, part)
	bar.end()
	if err != nil {
		return err
	}
	if o.out == "" {
		if path, err = nameOpened(path, got); err != nil {
			return err
		}
	}
	out := openedAnswer{got.ID.String(), path, got.Bytes, got.Original, got.Codec, got.Kind, got.Whole, got.Marked}
	return a.show(out, func(p *page) {
		word := "whole and verified"
		if !out.Whole {
			word = "a part of " + size(out.Original)
		}
		p.line("%s: %s, %s, %s", out.Path, size(out.Bytes), out.Codec, word)
		if out.Marked != "" {
			p.line("warning: %s", out.Marked)
		}
	})
}

var endings = map[string]string{"pcm_s16le": ".wav", "alaw": ".wav", "opus": ".opus", "text": ".txt"}

// nameOpened gives a finished file the name of its id with its codec's ending.
func nameOpened(path string, got reader.Opened) (string, error) {
	ending, ok := endings[got.Codec]
	if !ok {
		ending = ".bin"
	}
	name := got.ID.String() + ending
	err := os.Link(path, name) // refuses an existing name
	if errors.Is(err, fs.ErrExist) {
		return "", errors.Join(problem.New(problem.Conflict, "a file of this name exists; choose another with -o: %s", name), os.Remove(path))
	}
	if err != nil {
		return "", problem.Wrap(problem.Unavailable, err, "the opened file stays under this name: %s", filepath.Base(path))
	}
	return name, os.Remove(path)
}

// openToOutput writes to standard output, which then carries nothing else.
func (a *app) openToOutput(ctx context.Context, f *installation.Folder, me actor, id string, o openFlags, part reader.Range) error {
	if a.json {
		return misuse{errors.New("-o - puts the content on standard output, where --json has no place")}
	}
	a.piped = true
	to := a.out
	if isTerminal(a.out) {
		to = &guard{w: a.out}
	}
	bar := a.progress("opening")
	defer bar.end()
	r, done, err := a.openReaderTo(f, me, o.mirror, to, bar.at)
	if err != nil {
		return err
	}
	defer done()
	got, err := r.Open(ctx, id, "-", part)
	if got.Marked != "" {
		fmt.Fprintln(a.err, "arca: "+clean(got.Marked))
	}
	return err
}

// guard lets only text without control characters through to a terminal, and stops at anything else.
type guard struct{ w io.Writer }

func (g *guard) Write(b []byte) (int, error) {
	for i, line := range strings.SplitAfter(string(b), "\n") {
		if clean(strings.TrimSuffix(line, "\n")) != strings.TrimSuffix(line, "\n") || strings.ContainsRune(line, '\uFFFD') {
			return i, problem.New(problem.Invalid, "the recording is not plain text, and standard output is a terminal; give a file with -o")
		}
	}
	return g.w.Write(b)
}
