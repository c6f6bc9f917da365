package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/vault"
)

// scrubState is what reading the vault's objects again has found.
type scrubState struct {
	At       time.Time      `json:"at,omitzero"`     // of the last run
	Passed   time.Time      `json:"passed,omitzero"` // end of the last whole pass
	Objects  int64          `json:"objects"`
	Looked   int64          `json:"looked"`   // objects, in the last run
	Read     int64          `json:"read"`     // bytes, in the last run
	Drawn    int64          `json:"drawn"`    // k: of these, drawn at random from all
	Repaired int64          `json:"repaired"` // in the last run
	Repairs  uint64         `json:"repairs"`  // ever, each in the log
	Finds    []detection    `json:"finds"`    // what the draws of one run, and of a day's 24, find
	Damaged  []vault.Damage `json:"damaged"`
	Unnamed  int64          `json:"unnamed"` // damaged, and not in the list because it is full
	Error    *failure       `json:"error,omitempty"`
}

// detection is the probability of finding damage to a fraction f of all objects: 1-(1-f)^k.
type detection struct {
	Fraction float64 `json:"f"`
	Run      float64 `json:"run"` // k draws
	Day      float64 `json:"day"` // 24 k draws
}

func detections(k int64) (all []detection) {
	for _, f := range []float64{0.1, 0.01, 0.001} {
		all = append(all, detection{f, vault.Detection(f, k), vault.Detection(f, 24*k)})
	}
	return all
}

// word sums the state up in one line.
func (s scrubState) word(now time.Time) string {
	if s.At.IsZero() {
		return "nothing was read again yet"
	}
	passed := "no whole pass yet"
	if !s.Passed.IsZero() {
		passed = "last whole pass " + span(now.Sub(s.Passed)) + " ago"
	}
	return fmt.Sprintf("%s over %s, %s, %s ago; %s", plural(int(s.Looked), "read"), plural(int(s.Objects), "object"), size(s.Read), span(now.Sub(s.At)), passed)
}

func (s scrubState) write(p *page, now time.Time) {
	p.line("scrub: %s", s.word(now))
	if s.Repaired > 0 {
		p.line("repaired from the second copy: %s; the log says so", plural(int(s.Repaired), "object"))
	}
	for _, d := range s.Finds {
		p.line("damage to %g %% of all objects would be found by the %d random reads of a run with %.1f %%, by those of a day with %.1f %%", 100*d.Fraction, s.Drawn, 100*d.Run, 100*d.Day)
	}
	var rows [][]string
	for _, d := range s.Damaged {
		rows = append(rows, []string{d.Object, d.State, when(d.Since)})
	}
	if len(rows) > 0 {
		p.line("")
		p.table([]string{"OBJECT", "STATE", "SINCE"}, rows)
	}
	if s.Unnamed > 0 {
		p.line("and %d more", s.Unnamed)
	}
}

// wrong says what a person must see to; empty if nothing is.
func (s scrubState) wrong() string {
	if len(s.Damaged) == 0 {
		return ""
	}
	var names []string
	for _, d := range s.Damaged[:min(3, len(s.Damaged))] {
		names = append(names, d.Object+" "+d.State)
	}
	return fmt.Sprintf("the vault's storage is not what the log says: %s (%s)", plural(len(s.Damaged)+int(s.Unnamed), "object"), strings.Join(names, ", "))
}

// scrubbed asks the vault for the state.
func (a *app) scrubbed(ctx context.Context, f *installation.Folder) (*scrubState, error) {
	mirror, err := f.Identity("mirror")
	if err != nil {
		return nil, err
	}
	got, err := f.Vault(mirror).Scrub(ctx, 1<<62)
	if err != nil {
		return nil, err
	}
	s := &scrubState{At: got.At, Passed: got.Passed, Objects: got.Objects, Looked: got.Looked, Read: got.Read, Drawn: got.Drawn, Repaired: got.Repaired,
		Repairs: got.RepairNext - min(got.RepairNext, 1), Finds: detections(got.Drawn), Damaged: []vault.Damage{}, Unnamed: got.Unnamed}
	for _, d := range got.Damaged {
		s.Damaged = append(s.Damaged, vault.Damage(d))
	}
	return s, nil
}

func (a *app) scrubCommand() *cobra.Command {
	var second string
	c := a.command(spec{
		use: "scrub", short: "Read everything that the vault stores again, and hold it against the witnessed log",
		long: "For the vault's operator. arca serve does a part of it every hour; this is a whole pass at once, whether the parties run or not. Packs, tiles\n" +
			"and bundles that are missing, damaged or unreadable are named; exit code 4 when there are any.\n\n" +
			"--copy FOLDER names a second copy of vault/objects (or arca.json does, as \"copy\"). What is damaged is then replaced from there, if the copy\n" +
			"has what the log says, and the log says that it was. Interrupted, it goes on with the next run.",
		example: "arca scrub\narca scrub --copy second",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			f, err := a.folder()
			if err != nil {
				return err
			}
			if second != "" { // from where the command runs, not from the installation
				if second, err = filepath.Abs(second); err != nil {
					return problem.Wrap(problem.Unavailable, err, "the current folder cannot be found")
				}
			}
			return a.scrub(cmd.Context(), f, second)
		},
	})
	c.Flags().StringVar(&second, "copy", "", "folder with a second copy of the vault's objects")
	return c
}

func (a *app) scrub(ctx context.Context, f *installation.Folder, second string) error {
	bar := a.progress("reading")
	got, err := f.Scrub(ctx, second, vault.ScrubOptions{Full: true, Progress: func(looked, objects int64) {
		bar.at(min(looked, objects+vault.Draws), objects+vault.Draws)
	}})
	bar.end()
	if err != nil {
		return err
	}
	out := scrubState{At: got.At, Passed: got.Passed, Objects: got.Objects, Looked: got.Looked, Read: got.Read, Drawn: got.Drawn, Repaired: got.Repaired,
		Finds: detections(got.Drawn), Damaged: append([]vault.Damage{}, got.Damaged...), Unnamed: got.Unnamed}
	if text := out.wrong(); text != "" {
		err = problem.New(problem.Denied, "%s; put it right from a second copy (arca scrub --copy FOLDER), a mirror or a backup", text)
	}
	out.Error = failed(err)
	return a.report(out, err, func(p *page) { out.write(p, a.now()) })
}
