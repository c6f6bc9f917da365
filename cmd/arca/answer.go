package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"arca.example/arca/cmd/internal/verify"
	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
)

// misuse is a command line that does not say what to do.
type misuse struct{ error }

// told is a failure that the command's own document has already reported.
type told struct{ error }

func (t told) Unwrap() error   { return t.error }
func (m misuse) Unwrap() error { return m.error }

// alarm is a failure for which a party has to answer: the log or a witness contradicts itself.
type alarm struct{ error }

func (m alarm) Unwrap() error { return m.error }

const alarmKind = "alarm"

// exitCodes is the one table from kinds of failure to exit codes.
var exitCodes = []struct {
	code int
	kind string
	what string
}{
	{0, "", "done"},
	{1, string(problem.Internal), "a defect of ours"},
	{2, "usage", "the command line is wrong; see --help"},
	{3, string(problem.Invalid), "the input is wrong and will stay wrong"},
	{4, string(problem.Denied), "policy, a signature or the order forbids it"},
	{5, string(problem.NotFound), "no such thing, or none that you may know of"},
	{6, string(problem.Conflict), "it exists already, or the state moved: look again"},
	{7, string(problem.Gone), "it was destroyed or has lapsed"},
	{8, string(problem.Unavailable), "a party, file or network is not there now; nothing was lost, try again"},
	{9, alarmKind, "the log or a witness contradicts itself; what shows it was kept"},
	{bundle.Altered.Code(), string(bundle.Altered), "verify: it is not, byte for byte, what was signed"},
	{bundle.Incomplete.Code(), string(bundle.Incomplete), "verify: something is missing that nobody has stated"},
	{bundle.Unwitnessed.Code(), string(bundle.Unwitnessed), "verify: genuine, but too few witnesses have seen it yet"},
	{bundle.UnknownRoots.Code(), string(bundle.UnknownRoots), "verify: whole in itself, but under roots that you have not pinned"},
}

func exitCode(kind string) int {
	for _, e := range exitCodes[1:] {
		if e.kind == kind {
			return e.code
		}
	}
	return 1
}

func exitCodesTopic() *cobra.Command {
	var text strings.Builder
	text.WriteString("Every command ends with one of these codes. With --json the kind stands in error.kind.\n\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&text, "  %-3d %-20s %s\n", e.code, e.kind, e.what)
	}
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: strings.TrimRight(text.String(), "\n")}
}

// failure is an error as the JSON documents carry it.
type failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// failed describes an error for a document; nil for none.
func failed(err error) *failure {
	if err == nil {
		return nil
	}
	if m, ok := errors.AsType[misuse](err); ok {
		return &failure{Kind: "usage", Message: m.Error()}
	}
	if _, ok := errors.AsType[alarm](err); ok {
		return &failure{Kind: alarmKind, Message: problem.MessageOf(err)}
	}
	if f, ok := errors.AsType[verify.Failure](err); ok && verify.Code(err) >= bundle.Altered.Code() {
		return &failure{Kind: string(f.Verdict), Message: problem.MessageOf(err)}
	}
	return &failure{Kind: string(problem.KindOf(err)), Message: problem.MessageOf(err)}
}

// finish reports how a command ended and gives the exit code.
func (a *app) finish(err error) int {
	if err == nil {
		return 0
	}
	f := failed(err)
	if _, ok := errors.AsType[told](err); a.json && !ok {
		to := a.out
		if a.piped {
			to = a.err
		}
		a.writeJSON(to, struct {
			Error *failure `json:"error"`
		}{f})
	} else if !a.json {
		fmt.Fprintln(a.err, "arca: "+clean(f.Message))
		if hint := a.notServed(f); hint != "" {
			fmt.Fprintln(a.err, "arca: "+clean(hint))
		}
	}
	if a.verbose {
		fmt.Fprintln(a.err, "cause: "+clean(err.Error()))
	}
	return exitCode(f.Kind)
}

// show prints a command's result: v as JSON, or what text writes.
func (a *app) show(v any, text func(p *page)) error {
	if a.json {
		return a.writeJSON(a.out, v)
	}
	p := &page{w: a.out}
	text(p)
	return p.err
}

// report is show for a result that also failed: the document carries the failure, the error gives the exit code.
func (a *app) report(v any, err error, text func(p *page)) error {
	if shown := a.show(v, text); shown != nil {
		return shown
	}
	if err == nil {
		return nil
	}
	return told{err}
}

func (a *app) writeJSON(w io.Writer, v any) error {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "), json.FormatNilSliceAsNull(false))
	if err != nil {
		return err
	}
	// Inside JSON such runes stand in strings only, where the escape means the same.
	_, err = io.WriteString(w, escape(string(b), func(r rune) bool { return r == '\n' })+"\n")
	return err
}

// page writes text for people. Whatever it is given comes out without a character that a terminal would act on.
type page struct {
	w   io.Writer
	err error
}

// line writes one line.
func (p *page) line(format string, args ...any) {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = clean(s)
		}
	}
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// table writes rows under heads, aligned.
func (p *page) table(heads []string, rows [][]string) {
	if p.err != nil {
		return
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heads}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = clean(cell)
			if cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(t, strings.TrimRight(strings.Join(cells, "\t"), " "))
	}
	p.err = t.Flush()
}

// pairs writes names with their values, aligned; pairs without a value are left out.
func (p *page) pairs(list ...string) {
	if p.err != nil {
		return
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(list); i += 2 {
		if list[i+1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", list[i], clean(list[i+1]))
		}
	}
	p.err = t.Flush()
}

// clean makes data safe for one line of a terminal.
func clean(s string) string { return escape(s, func(rune) bool { return false }) }

// escape writes controls, line and paragraph separators and bidirectional marks as \u escapes, but for those that keep allows.
func escape(s string, keep func(rune) bool) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case !keep(r) && (unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// when writes a time for people: UTC, to the second.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// short is an id as tables show it.
func short(id string) string { return id[:min(8, len(id))] }

// span writes a duration for people.
func span(d time.Duration) string {
	if d < 0 {
		return "-" + span(-d)
	}
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
