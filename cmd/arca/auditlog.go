package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/audit"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/wire"
)

// auditLogFlags say which log is followed and what it is held against.
type auditLogFlags struct {
	trust, fingerprint, state string
	from                      []string
	copy                      bool
}

const (
	auditPlace    = "audit"          // of an installation, for the audit's own state
	auditPatience = 10 * time.Second // for the vault to publish what its witnesses have cosigned already
)

func (a *app) auditLogCommand() *cobra.Command {
	var w auditLogFlags
	c := a.command(spec{
		use: "log [LOG]", short: "Follow the log from outside: verify every entry and tile, compare what others were shown, raise an alarm with evidence",
		long: "LOG is the vault's address or a folder with a checkpoint and its tiles; without it, the installation's vault. Every entry and tile since\n" +
			"the last run is read and hashed up to the root that the quorum of witnesses cosigned; the log must continue what it showed before.\n" +
			"--from names what others were shown: a witness's or vault's address, receipts, proofs, bundles, mirrors' folders; every checkpoint in it\n" +
			"is held against the log and remembered. Who contradicts themselves raises an alarm: exit code 9, and, where somebody has signed both\n" +
			"sides, a file that convinces a stranger (arca verify FILE). Exit code 8 when the checkpoint is too old to stand for the present.\n\n" +
			"Run it where neither the vault's operator nor the custodian can change its state. --copy keeps the tiles too, for arca verify.",
		example: "arca audit log --from receipts --from mirror\narca audit log --copy --state log-copy\narca audit log log-copy --state second-audit",
		args:    cobra.MaximumNArgs(1),
		run:     func(cmd *cobra.Command, args []string) error { return a.auditLog(cmd.Context(), args, w) },
	})
	c.Flags().StringArrayVar(&w.from, "from", nil, "file, folder or address that holds checkpoints of the log; again for more")
	c.Flags().StringVar(&w.state, "state", "", "folder of the audit's own state (default audit in the installation)")
	c.Flags().BoolVar(&w.copy, "copy", false, "keep every tile in the state folder")
	c.Flags().StringVar(&w.trust, "trust", "", "trust file, where there is no installation")
	c.Flags().StringVar(&w.fingerprint, "fingerprint", "", "its pinned fingerprint, as court and custodian read it out")
	c.MarkFlagsRequiredTogether("trust", "fingerprint")
	return c
}

// auditLogAnswer is what an audit of the log found.
type auditLogAnswer struct {
	Entries  int64         `json:"entries"` // of the log's checkpoint
	Verified int64         `json:"verified"`
	New      int64         `json:"new"` // entries of these that this run verified
	Root     string        `json:"root,omitempty"`
	Cosigned *time.Time    `json:"cosigned,omitempty"` // the earliest cosignature
	Compared int           `json:"compared"`
	Ahead    int           `json:"ahead"`
	Foreign  int           `json:"foreign"`
	Stale    string        `json:"stale,omitempty"`
	Alarms   []alarmAnswer `json:"alarms"`
	Error    *failure      `json:"error,omitempty"`
}

type alarmAnswer struct {
	What     string   `json:"what"`
	Evidence string   `json:"evidence,omitempty"`
	Accused  []string `json:"accused,omitempty"`
}

func (a *app) auditLog(ctx context.Context, args []string, w auditLogFlags) error {
	trust, _, err := a.pinned(w.trust, w.fingerprint)
	if err != nil {
		return err
	}
	verifier, err := ledger.VerifierOf(trust)
	if err != nil {
		return err
	}
	c := audit.Config{Folder: w.state, Verifier: verifier, Now: a.now, Copy: w.copy, Patience: auditPatience}
	if c.Log, err = a.logOf(args); err != nil {
		return err
	}
	if c.Folder == "" {
		f, err := a.folder()
		if err != nil {
			return problem.Wrap(problem.KindOf(err), err, "the audit needs a folder for its state; give --state, or an installation with --dir DIR")
		}
		c.Folder = f.Dir(auditPlace)
	}
	others, err := gossip(ctx, verifier.Policy(), w.from)
	if err != nil {
		return err
	}
	bar := a.progress("verifying")
	got, err := audit.Run(ctx, c, others, bar.at)
	bar.end()
	out := auditLogOf(got)
	switch {
	case len(out.Alarms) > 0:
		err = alarm{problem.Wrap(problem.Denied, err, "the log raises an alarm; keep the audit's folder as it is, and give what stands here to court and custodian")}
	case err == nil && out.Stale != "":
		err = problem.New(problem.Unavailable, "what there is of the log is in order, but it cannot stand for the present: %s", out.Stale)
	}
	out.Error = failed(err)
	return a.report(out, err, out.write)
}

// logOf gives the log to follow.
func (a *app) logOf(args []string) (audit.Log, error) {
	if len(args) == 0 {
		f, err := a.folder()
		if err != nil {
			return nil, err
		}
		return f.Vault(nil), nil
	}
	if isAddress(args[0]) {
		return &wire.Vault{Client: wire.Client{Base: strings.TrimSuffix(args[0], "/"), HTTP: &http.Client{Timeout: time.Minute}, Now: a.now}}, nil
	}
	if info, err := os.Stat(args[0]); err != nil || !info.IsDir() {
		return nil, problem.Wrap(problem.NotFound, err, "there is no such folder; a log is an address that begins with http:// or https://, or a folder with a checkpoint and its tiles")
	}
	return audit.Folder(args[0]), nil
}

func isAddress(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// gossip gathers the checkpoints that others were shown.
func gossip(ctx context.Context, policy ledger.Policy, from []string) ([]audit.Seen, error) {
	var all []audit.Seen
	for _, source := range from {
		var found []audit.Seen
		var err error
		if isAddress(source) {
			found, err = shownAt(ctx, policy.Origin, source)
		} else {
			found, err = audit.FindIn(policy.Origin, source)
		}
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, problem.New(problem.NotFound, "there is no checkpoint of this log in one of the sources that --from names; leave it out, or name what holds one")
		}
		all = append(all, found...)
	}
	return all, nil
}

// shownAt asks an address for its checkpoint; a witness and a vault have theirs at different paths.
func shownAt(ctx context.Context, origin, address string) ([]audit.Seen, error) {
	at, err := url.Parse(address)
	if err != nil || at.Host == "" {
		return nil, problem.New(problem.Invalid, "one of the addresses that --from names is not a URL")
	}
	paths := []string{at.Path}
	if strings.Trim(at.Path, "/") == "" {
		paths = []string{"/checkpoint", "/v1/checkpoint"}
	}
	for _, path := range paths {
		at.Path = path
		var body []byte
		if body, err = get(ctx, at.String()); err != nil {
			continue
		}
		var found []audit.Seen
		for _, note := range audit.Find(origin, body) {
			found = append(found, audit.Seen{Source: address, Note: note})
		}
		return found, nil
	}
	return nil, err
}

// get reads a small public document. A redirect is not followed: who answers must not choose what is asked.
func get(ctx context.Context, address string) ([]byte, error) {
	client := http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "one of the addresses that --from names is not a URL")
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "one of the addresses that --from names cannot be reached; try again, or leave it out")
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, ledger.MaxNote+1))
	if err != nil || answer.StatusCode != http.StatusOK || len(body) > ledger.MaxNote {
		return nil, problem.Wrap(problem.Unavailable, err, "one of the addresses that --from names shows no checkpoint; name the address of a vault, of a witness, or of a checkpoint")
	}
	return body, nil
}

func auditLogOf(got audit.Report) auditLogAnswer {
	out := auditLogAnswer{Entries: got.Checkpoint.Size, Verified: got.Verified, New: max(got.Verified-got.Before, 0), Compared: got.Compared, Ahead: got.Ahead, Foreign: got.Foreign, Stale: got.Stale,
		Alarms: []alarmAnswer{}}
	if !got.Checkpoint.Earliest.IsZero() {
		out.Root, out.Cosigned = got.Checkpoint.Root.String(), &got.Checkpoint.Earliest
	}
	for _, one := range got.Alarms {
		told := alarmAnswer{What: one.What, Evidence: one.Evidence}
		for _, accused := range one.Accused {
			told.Accused = append(told.Accused, accused.Key)
		}
		out.Alarms = append(out.Alarms, told)
	}
	return out
}

func (out auditLogAnswer) write(p *page) {
	for _, one := range out.Alarms {
		p.line("ALARM: %s", one.What)
		for _, key := range one.Accused {
			name, _, _ := strings.Cut(key, "+")
			p.line("  signed by %s", name)
		}
		if one.Evidence != "" {
			p.line("  evidence: %s", one.Evidence)
		}
	}
	if out.Cosigned == nil {
		return
	}
	p.line("%d entries, %d verified, %d of them now; cosigned %s; %s compared", out.Entries, out.Verified, out.New, when(*out.Cosigned), plural(out.Compared, "checkpoint"))
	if out.Ahead > 0 {
		p.line("%s cosigned by fewer witnesses than the quorum, which the log has yet to publish", plural(out.Ahead, "larger checkpoint"))
	}
	if out.Foreign > 0 {
		p.line("%s signed by no key of the trust file", plural(out.Foreign, "checkpoint"))
	}
}
