package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/cmd/internal/verify"
	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/reader/cut"
	"arca.example/arca/shared/record"
)

type bundleFlags struct {
	order, out, reason, receipts, mirror string
	recordings, parts, to, why           []string
	clear                                bool
	casual                               casualFlags
}

func (a *app) bundleCommand() *cobra.Command {
	show := a.command(spec{
		use: "show FILE", short: "List what a bundle holds and what is left out",
		long:    "Reads the whole bundle and checks it against itself. Whether its roots are the right ones is for arca bundle verify.",
		example: "arca bundle show disclosure.zip",
		args:    cobra.ExactArgs(1),
		run:     func(_ *cobra.Command, args []string) error { return a.showBundle(args[0]) },
	})
	check := a.verifying(spec{use: "verify FILE…", short: "Verify bundles, offline", long: verifyText,
		example: "arca bundle verify disclosure.zip", args: cobra.MinimumNArgs(1)})
	return a.group("bundle", "Disclose recordings: make a bundle, look into it, verify it", a.makeCommand(), show, check)
}

func (a *app) makeCommand() *cobra.Command {
	var b bundleFlags
	c := a.command(spec{
		use: "make", short: "Make a bundle of recordings that verifies offline",
		long: "For a reader with a granted request for the content, usually a clerk or judge. Puts into one file: the recordings, encrypted to the\n" +
			"recipients' age keys (--to) or in clear (--clear); what binds each to its sealing, its place in the witnessed log, every batch of its\n" +
			"week; all members of the order; both keyholders' journals of the case, if you may read them. What is left out is stated in it, with a\n" +
			"reason. The file is signed by you and verified before it gets its name. It is a ZIP file and a BagIt bag.\n\n" +
			"--part keeps some seconds of a recording only: for these there is your word, not the proof that they are as sealed.\n\n" +
			"--casual makes a certified copy for another case of what was found by chance: it carries the request for the measure, the order, and the\n" +
			"request for and the order of every extension, and is refused while one is missing. The other case stands in it and in both journals.",
		example: "arca bundle make --order $CHAIN --recording $ID --clear --reason 'copy for the defence, ordered today' --receipts receipts -o disclosure.zip --as clara\n" +
			"arca bundle make --recording $ID --to $DEFENCE --reason 'copy for the defence' -o encrypted.zip --as clara\n" +
			"arca bundle make --recording $ID --clear --casual --for-court 'Court Two' --for-case case-9 --secrecy lifted --petition request.pdf --reason 'found by chance' -o casual.zip --as clara",
		args: cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			return a.makeBundle(cmd.Context(), b)
		},
	})
	c.Flags().StringVar(&b.order, "order", "", "order chain, to be sure of it")
	c.Flags().StringArrayVar(&b.recordings, "recording", nil, "id of a listed recording; may be repeated")
	c.Flags().StringArrayVar(&b.parts, "part", nil, "ID=FROM-TO in seconds: keep this stretch of the recording only; may be repeated")
	c.Flags().StringArrayVar(&b.to, "to", nil, "a recipient's age public key; may be repeated")
	c.Flags().BoolVar(&b.clear, "clear", false, "in clear, as the court orders")
	c.Flags().StringVar(&b.reason, "reason", "", "who ordered the disclosure, and for whom; it is part of the bundle")
	c.Flags().StringArrayVar(&b.why, "why", nil, "WHAT=REASON: why something is left out (recordings, seconds, weeks …); may be repeated")
	c.Flags().StringVar(&b.receipts, "receipts", "", "folder of the collector's receipts (default receipts/ of the installation's collector)")
	c.Flags().StringVar(&b.mirror, "mirror", mirrorPlace, "which mirror of the installation to read from")
	c.Flags().StringVarP(&b.out, "output", "o", "", "file to write")
	b.casual.add(c)
	_ = c.MarkFlagRequired("output")
	_ = c.MarkFlagRequired("reason")
	c.MarkFlagsOneRequired("to", "clear")
	c.MarkFlagsMutuallyExclusive("to", "clear")
	return c
}

// wanted reads which recordings, and which parts of them.
func (b bundleFlags) wanted() (list []reader.Wanted, err error) {
	for _, id := range b.recordings {
		list = append(list, reader.Wanted{ID: strings.ToLower(id)})
	}
	for _, p := range b.parts {
		id, span, _ := strings.Cut(p, "=")
		from, to, ok := strings.Cut(span, "-")
		if !ok {
			return nil, problem.New(problem.Invalid, "a part reads ID=FROM-TO in seconds, as 1a2b3c4d=0-12.5; without TO it goes to the end")
		}
		var s cut.Span
		if s.From, err = parseSeconds(from); err != nil {
			return nil, err
		}
		if s.To, err = parseSeconds(to); err != nil {
			return nil, err
		}
		id = strings.ToLower(id)
		i := slices.IndexFunc(list, func(w reader.Wanted) bool { return w.ID == id })
		if i < 0 {
			i, list = len(list), append(list, reader.Wanted{ID: id})
		}
		list[i].Spans = append(list[i].Spans, s)
	}
	if len(list) == 0 {
		return nil, problem.New(problem.Invalid, "say which recordings: --recording ID, or --part ID=FROM-TO")
	}
	return list, nil
}

// reasons reads --why.
func (b bundleFlags) reasons() (map[string]string, error) {
	why := map[string]string{}
	for _, w := range b.why {
		what, reason, ok := strings.Cut(w, "=")
		if _, known := bundle.DefaultWhy[what]; !ok || !known || reason == "" {
			return nil, problem.New(problem.Invalid, "--why reads WHAT=REASON, where WHAT is recordings, seconds, transcripts, custody, receipts, timestamps or weeks")
		}
		why[what] = reason
	}
	return why, nil
}

// madeBundle says what was made.
type madeBundle struct {
	Path    string         `json:"path"`
	Receipt string         `json:"receipt,omitempty"` // file of the proof that the disclosure is logged
	Bundle  *bundle.Report `json:"bundle"`
}

func (a *app) makeBundle(ctx context.Context, b bundleFlags) error {
	wanted, err := b.wanted()
	if err != nil {
		return err
	}
	why, err := b.reasons()
	if err != nil {
		return err
	}
	if _, err := bundle.ParseRecipients(b.to); err != nil {
		return err
	}
	if _, err := os.Lstat(b.out); err == nil {
		return problem.New(problem.Conflict, "a file of that name exists; choose another name or remove it")
	}
	f, me, err := a.who()
	if err != nil {
		return err
	}
	r, done, err := a.openReader(f, me, b.mirror)
	if err != nil {
		return err
	}
	defer done()
	in, err := r.Gather(ctx, wanted)
	if err != nil {
		return err
	}
	if b.order != "" && !strings.HasPrefix(in.Chain.String(), strings.ToLower(b.order)) {
		return problem.New(problem.Invalid, "the recordings are of another order than the one you named")
	}
	in.Reason, in.Recipients, in.Why = b.reason, b.to, why
	if err := b.casual.into(in); err != nil {
		return err
	}
	if err := a.complete(f, in, b.receipts); err != nil {
		return err
	}
	if err := a.addTimestamps(ctx, f, in); err != nil {
		return err
	}
	report, err := a.writeBundle(f, me, r, in, b.out)
	if err != nil {
		return err
	}
	made := madeBundle{Path: b.out, Bundle: report}
	if made.Receipt, err = a.disclosureReceipt(ctx, r, in.Chain, report.Hash, b.out); err != nil {
		return err
	}
	return a.show(made, func(p *page) {
		p.line("%s: %s, SHA-256 %s", b.out, size(report.Bytes), report.Hash.String())
		if made.Receipt == "" {
			p.line("  The disclosure is in both journals; a clerk or auditor can show it with arca custody.")
		} else {
			p.line("  %s: its entry in both journals, with proofs", made.Receipt)
		}
		p.bundle(report)
	})
}

// complete adds what the installation has: its trust file and, for batches whose receipts are at hand, both keyholders'.
func (a *app) complete(f *installation.Folder, in *bundle.Source, folder string) error {
	trust, err := f.Trust()
	if err != nil {
		return err
	}
	if in.Trust, err = f.TrustChain(); err != nil {
		return err
	}
	verifier, err := ledger.VerifierOf(trust)
	if err != nil {
		return err
	}
	in.Policy = verifier.Policy().Marshal()
	if folder == "" {
		folder = f.Dir("collector", "receipts")
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return problem.Wrap(problem.Invalid, err, "the folder of receipts has a name that cannot be searched")
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			return problem.Wrap(problem.Unavailable, err, "a receipt cannot be read")
		}
		if err := in.AddReceipt(trust, f.Config.Trust, raw); err != nil {
			return problem.Wrap(problem.KindOf(err), err, "%s: %s", filepath.Base(path), problem.MessageOf(err))
		}
	}
	return nil
}

// writeBundle writes a bundle beside its place, verifies it as its receiver will, and gives it its name.
func (a *app) writeBundle(f *installation.Folder, me actor, r *reader.Reader, in *bundle.Source, out string) (*bundle.Report, error) {
	unable := func(err error) error {
		return problem.Wrap(problem.Unavailable, err, "the bundle cannot be written there; make room, or choose another folder with -o")
	}
	temp, err := os.CreateTemp(filepath.Dir(out), ".arca-*.part") // made with mode 0600
	if err != nil {
		return nil, unable(err)
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	if err := bundle.Make(temp, me.signer, a.now(), in); err != nil {
		return nil, err
	}
	if err := temp.Sync(); err != nil {
		return nil, unable(err)
	}
	info, err := temp.Stat()
	if err != nil {
		return nil, unable(err)
	}
	report, err := bundle.Verify(temp, info.Size(), bundle.Options{Fingerprint: f.Config.Trust, Now: a.now()})
	if err != nil {
		return nil, problem.Wrap(problem.KindOf(err), err, "the bundle that was made does not verify, so it was not kept: %s", problem.MessageOf(err))
	}
	// The act is durable before the file has its name: whatever happens then, the next command files it.
	if err := r.DiscloseTo(in, report.Hash); err != nil {
		return nil, err
	}
	if err := os.Link(temp.Name(), out); errors.Is(err, fs.ErrExist) {
		return nil, problem.New(problem.Conflict, "a file of that name exists; choose another name or remove it")
	} else if err != nil {
		return nil, unable(err)
	}
	return &report, nil
}

// disclosureReceipt writes the proof that a disclosure is logged beside its bundle, "" where the journals are not for this person.
func (a *app) disclosureReceipt(ctx context.Context, r *reader.Reader, chain, hash record.Digest, out string) (string, error) {
	raw, err := r.DisclosureReceipt(ctx, chain, hash)
	if kind := problem.KindOf(err); err != nil && (kind == problem.Denied || kind == problem.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", problem.Wrap(problem.KindOf(err), err, "the bundle is made and its disclosure written down; the receipt of that is not there yet: %s", problem.MessageOf(err))
	}
	path := out + ".disclosed.json"
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return "", problem.Wrap(problem.Unavailable, err, "the receipt of the disclosure cannot be written")
	}
	return path, nil
}

func (a *app) showBundle(path string) error {
	r := verify.One(verify.Options{Now: a.now()}, path)
	if r.Bundle == nil {
		return verify.Failed(r)
	}
	return a.show(r.Bundle, func(p *page) {
		p.line("%s: whole in itself; not held against pinned roots, for which see arca bundle verify", filepath.Base(path))
		p.bundle(r.Bundle)
	})
}

// bundle writes what a bundle holds.
func (p *page) bundle(r *bundle.Report) {
	if r == nil {
		return
	}
	p.pairs("  made", when(r.Made)+" by "+r.Maker, "  for", r.Reason, "  order", r.Chain.String()+" of "+r.Court+", "+r.State, "  trust file", r.Fingerprint.String())
	if c := r.Casual; c != nil {
		p.pairs("  for use in", c.Case+" of "+c.Court+" ("+c.Article+")")
	}
	var rows [][]string
	for _, s := range r.Recordings {
		d := s.Description
		if d == nil {
			d = &record.Description{}
		}
		start := ""
		if !d.Start.IsZero() {
			start = when(d.Start) + " " + span(d.End.Sub(d.Start).Round(time.Second))
		}
		rows = append(rows, []string{"  " + short(s.Recording.String()), start, d.From, d.To, when(s.Witnessed), s.Content})
	}
	p.table([]string{"  RECORDING", "START", "FROM", "TO", "WITNESSED", "CONTENT"}, rows)
	for _, o := range r.Omissions {
		p.line("  left out: %s (%s)", o.What, o.Reason)
	}
	for _, s := range r.Shown {
		p.line("  proven: %s", s)
	}
	for _, s := range r.NotShown {
		p.line("  not proven: %s", s)
	}
}
