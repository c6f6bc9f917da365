package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

// logLine is one act in a keyholder's journal.
type logLine struct {
	Keyholder string           `json:"keyholder"`
	Number    int64            `json:"number"`
	Time      time.Time        `json:"time"`
	Act       record.EventKind `json:"act"`
	By        string           `json:"by,omitempty"`   // key id
	Name      string           `json:"name,omitempty"` // as enrolled
	Request   string           `json:"request,omitempty"`
	Details   map[string]any   `json:"details,omitempty"`
	Proof     string           `json:"proof"`           // proven, pending, missing
	Logged    time.Time        `json:"logged,omitzero"` // the witnesses' time
}

type logAnswer struct {
	Order    string    `json:"order,omitempty"`
	Acts     []logLine `json:"acts"`
	Warnings []string  `json:"warnings"`
	Error    *failure  `json:"error,omitempty"`
}

// overdue is when an act that a keyholder calls pending should long have been in the witnessed log.
const overdue = 10 * time.Minute

func (a *app) logCommand() *cobra.Command {
	var order string
	c := a.command(spec{
		use: "log", short: "Show who asked, who was refused, and what was released, from both keyholders' journals",
		long: "For clerks and judges of the order's court, and auditors. Without --order: the general journal, of people and trust. Every act's place\n" +
			"in its journal and its entry in the witnessed log are verified here; an act that was altered or left out in between gives exit\n" +
			"code 4. What only one keyholder has is named, because that is how a journal cut off at its end shows.",
		example: "arca log --order $CHAIN --as clara\narca log --as alma",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			f, me, err := a.who()
			if err != nil {
				return err
			}
			var hash record.Digest
			if order != "" {
				if hash, err = a.findChain(cmd.Context(), f, me.signer, order); err != nil {
					return err
				}
			}
			return a.log(cmd.Context(), f, me, hash)
		},
	})
	c.Flags().StringVar(&order, "order", "", "order chain")
	_ = c.RegisterFlagCompletionFunc("order", a.completeChains)
	return c
}

func (a *app) log(ctx context.Context, f *installation.Folder, me actor, hash record.Digest) error {
	trust, err := f.Trust()
	if err != nil {
		return err
	}
	verifier, err := ledger.VerifierOf(trust)
	if err != nil {
		return err
	}
	var out logAnswer
	if !hash.IsZero() {
		out.Order = hash.String()
	}
	for _, party := range installation.Keyholders {
		lines, err := a.journal(ctx, f.Keyholder(party, me.signer), party, hash, verifier)
		out.Acts = append(out.Acts, lines...)
		if err != nil {
			return err
		}
	}
	if err := a.nameActs(ctx, f, me, out.Acts); err != nil {
		return err
	}
	slices.SortStableFunc(out.Acts, func(x, y logLine) int {
		return cmp.Or(x.Time.Compare(y.Time), cmp.Compare(x.Keyholder, y.Keyholder), cmp.Compare(x.Number, y.Number))
	})
	out.Warnings = differences(out.Acts)
	err = a.doubt(out.Acts)
	out.Error = failed(err)
	return a.report(out, err, out.write)
}

// doubt says why a journal cannot be relied on although nothing in it was altered.
func (a *app) doubt(acts []logLine) error {
	for _, l := range acts {
		switch {
		case l.Proof == wire.StateMissing:
			return problem.New(problem.Denied, "acts are missing from the witnessed log; keep this output and tell the auditor")
		case l.Proof == wire.StatePending && a.now().Sub(l.Time) > overdue:
			return problem.New(problem.Unavailable, "acts of more than ten minutes ago are not in the witnessed log yet; see arca status, and tell the auditor if it stays so")
		}
	}
	return nil
}

// differences names requests and decisions that only one keyholder has: both are sent every one of them.
func differences(acts []logLine) []string {
	held := map[string][]string{}
	var order []string
	for _, l := range acts {
		if l.Act != record.EventAsked && l.Act != record.EventApproved && l.Act != record.EventDenied {
			continue
		}
		what := fmt.Sprintf("request %s, %s by %s", short(l.Request), l.Act, cmp.Or(l.Name, short(l.By)))
		if held[what] == nil {
			order = append(order, what)
		}
		if !slices.Contains(held[what], l.Keyholder) {
			held[what] = append(held[what], l.Keyholder)
		}
	}
	var list []string
	for _, what := range order {
		if len(held[what]) == 1 {
			list = append(list, what+": only the "+held[what][0]+" has it")
		}
	}
	return list
}

// journal reads one keyholder's journal of a case and verifies that nothing in it was altered or left out.
func (a *app) journal(ctx context.Context, k *wire.Keyholder, party string, hash record.Digest, verifier *ledger.Verifier) ([]logLine, error) {
	broken := func(cause error) error {
		return problem.Wrap(problem.Denied, cause, "the journal of the %s was altered or has a gap; keep its files and tell the auditor", party)
	}
	var lines []logLine
	var previous record.Digest
	bar := a.progress("verifying the " + party + "'s journal")
	defer bar.end()
	for from := int64(1); ; {
		page, err := k.Log(ctx, hash, from)
		if err != nil {
			return lines, err
		}
		for _, logged := range page.Events {
			var e record.Event
			if err := record.Unmarshal(logged.Event, &e); err != nil {
				return lines, broken(err)
			}
			if e.Author != party || e.Case != hash || e.Number != from || e.Previous != previous || len(logged.Random) != 32 {
				return lines, broken(nil)
			}
			line, err := a.act(party, e, logged, verifier)
			if err != nil {
				return lines, err
			}
			lines, previous, from = append(lines, line), record.HashBytes(logged.Event), from+1
			bar.at(from, from+int64(len(page.Events)))
		}
		if len(page.Events) == 0 {
			return lines, nil
		}
	}
}

// act reads an event and verifies its entry in the log.
func (a *app) act(party string, e record.Event, logged wire.LoggedEvent, verifier *ledger.Verifier) (logLine, error) {
	line := logLine{Keyholder: party, Number: e.Number, Time: e.Time, Act: e.Kind, Proof: "proven", Details: map[string]any{}}
	if len(e.Body) > 0 {
		if err := json.Unmarshal(e.Body, &line.Details); err != nil {
			return line, problem.Wrap(problem.Denied, err, "an event of the %s's journal is not readable", party)
		}
	}
	text := func(name string) string {
		s, _ := line.Details[name].(string)
		return s
	}
	line.By, line.Request = text("by"), text("request")
	switch e.Kind {
	case record.EventAdmitted:
		if st, err := record.Peek(text("statement")); err == nil {
			line.By = st.Author.String()
		}
	case record.EventNoted:
		line.By = text("collector")
	case record.EventReleased:
		line.By = text("to")
	case record.EventEnrolled:
		line.By = ""
	}
	for _, name := range []string{"statement", "signed", "signature", "checkpoint"} {
		delete(line.Details, name) // signed texts themselves, which nobody reads in a table
	}
	entry := ledger.Commit(ledger.Opening{Event: logged.Event, Random: [32]byte(logged.Random)})
	switch line.Proof = logged.State; logged.State {
	case wire.StatePending, wire.StateMissing:
		return line, nil
	case wire.StateProven:
	default:
		return line, problem.New(problem.Unavailable, "the %s's answer is not what this version understands; update arca", party)
	}
	checkpoint, _, err := verifier.VerifyInclusion(entry, logged.Proof)
	line.Logged = checkpoint.Earliest.UTC()
	return line, err
}

// nameActs finds the names of those who acted among the enrolments that the caller may see, each verified.
func (a *app) nameActs(ctx context.Context, f *installation.Folder, me actor, acts []logLine) error {
	people, err := f.Keyholder("court", me.signer).People(ctx)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, p := range people.People {
		if e, err := f.OpenEnrolment(p.Enrolment); err == nil {
			names[e.Key.ID().String()] = e.Name
		}
	}
	for i := range acts {
		key := acts[i].By
		if subject, ok := acts[i].Details["key"].(string); ok && key == "" {
			key = subject
		}
		acts[i].Name = names[key]
	}
	return nil
}

func (out logAnswer) write(p *page) {
	var rows [][]string
	for _, l := range out.Acts {
		rows = append(rows, []string{when(l.Time), l.Keyholder, strconv.FormatInt(l.Number, 10), string(l.Act),
			cmp.Or(l.Name, short(l.By)), short(l.Request), l.words(), l.Proof})
	}
	if len(rows) == 0 {
		p.line("Nothing is recorded.")
		return
	}
	p.table([]string{"TIME", "KEYHOLDER", "NO", "ACT", "WHO", "REQUEST", "WHAT", "LOG"}, rows)
	for _, w := range out.Warnings {
		p.line("warning: %s", w)
	}
}

// words sums up an act's details.
func (l logLine) words() string {
	if n, ok := l.Details["items"].(float64); ok {
		return fmt.Sprintf("%v: %s", l.Details["class"], plural(int(n), "recording"))
	}
	if clock, _ := l.Details["clock"].(string); clock != "" {
		level, _ := l.Details["level"].(string)
		return clock + " " + cmp.Or(level, "at "+fmt.Sprint(l.Details["at"]))
	}
	for _, name := range []string{"purpose", "reason", "kind", "class"} {
		if s, _ := l.Details[name].(string); s != "" {
			if class, _ := l.Details["class"].(string); name == "purpose" && class != "" {
				return class + ": " + s
			}
			return s
		}
	}
	return ""
}
