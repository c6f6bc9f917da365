package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

func (a *app) reportCommand() *cobra.Command {
	return a.group("report", "Reports to the judge", a.reportMakeCommand(), a.reportSendCommand(), a.reportShowCommand())
}

// reportFile is a report as it lies on its author's machine until both keyholders have it.
type reportFile struct {
	Content   []byte `json:"content"`
	Court     []byte `json:"court"` // shares of the content's key
	Custodian []byte `json:"custodian"`
	Statement string `json:"statement"`
}

func (r reportFile) to(party string) wire.ReportFile {
	share := r.Court
	if party == "custodian" {
		share = r.Custodian
	}
	return wire.ReportFile{Content: r.Content, Share: share, Statement: r.Statement}
}

// reportInput is what a report is made of.
type reportInput struct {
	summary           string
	passages, bundles []string
	final             bool
}

func (a *app) reportMakeCommand() *cobra.Command {
	var in reportInput
	c := a.command(spec{
		use: "make CHAIN", short: "Make a report to the judge and deliver it to the court's inbox",
		long: "Signs a report of what came of the measure: a summary, passages of interest (recordings that were listed here, each with its transcript\n" +
			"as a text file, or without one when it lies sealed in the vault: arca transcript), and the complete recordings on a separate support, by\n" +
			"the hash of the bundle file (arca bundle make). The content is sealed under a key of which each keyholder gets one share: neither\n" +
			"reads it alone. Delivered, it meets the duty to report. What the keyholders' journals say of the measure they report themselves.",
		example: "arca report make $CHAIN --summary 'the supplier is identified' --passage $ID=transcript.txt --bundle disclosure.zip --as ines",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			f, me, err := a.who()
			if err != nil {
				return err
			}
			hash, err := a.findChain(cmd.Context(), f, me.signer, args[0])
			if err != nil {
				return err
			}
			if err := a.makeReport(f, me, hash, in); err != nil {
				return err
			}
			return a.sendReports(cmd.Context(), f, me)
		},
	})
	c.ValidArgsFunction = a.completeChains
	c.Flags().StringVar(&in.summary, "summary", "", "what came of the measure, in a few sentences")
	c.Flags().StringArrayVar(&in.passages, "passage", nil, "recording of interest, as ID or ID=TRANSCRIPT; may be repeated")
	c.Flags().StringArrayVar(&in.bundles, "bundle", nil, "bundle file with the complete recordings; may be repeated")
	c.Flags().BoolVar(&in.final, "final", false, "the report on the end of the measure")
	_ = c.MarkFlagRequired("summary")
	return c
}

// makeReport signs a report and keeps it until both keyholders have it. Commit point: after the write what is sent is this one, however often.
func (a *app) makeReport(f *installation.Folder, me actor, chain record.Digest, in reportInput) error {
	content, err := a.reportContent(f, me, chain, in)
	if err != nil {
		return err
	}
	plain, err := record.Marshal(content)
	if err != nil {
		return err
	}
	sealed, court, custodian := seal.SealReport(chain, me.signer.Public().ID().String(), plain)
	if len(sealed) > record.MaxReport {
		return problem.New(problem.Invalid, "the report has more than %d bytes with its transcripts; name some without them, and put those into a bundle", record.MaxReport)
	}
	r := record.Report{Audience: f.Config.Trust, Chain: chain, Content: record.HashBytes(sealed), Court: record.HashBytes(court[:]), Custodian: record.HashBytes(custodian[:]),
		Final: in.final, Issued: record.Second(a.now())}
	rand.Read(r.Nonce[:]) // never fails: the runtime stops the process instead
	statement, err := record.Sign(me.signer, record.TypeReport, a.now(), r)
	if err != nil {
		return err
	}
	raw, err := record.Marshal(reportFile{Content: sealed, Court: court[:], Custodian: custodian[:], Statement: statement})
	if err != nil {
		return err
	}
	folder := reportsFolder(f, me)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the folder for reports cannot be made")
	}
	return writeFile(filepath.Join(folder, record.HashStatement(statement).String()+".json"), raw)
}

func reportsFolder(f *installation.Folder, me actor) string {
	return f.Dir("people", me.name, "reports")
}

func (a *app) reportContent(f *installation.Folder, me actor, chain record.Digest, in reportInput) (*record.ReportContent, error) {
	c := &record.ReportContent{Summary: in.summary}
	r, done, err := a.openReader(f, me, "")
	if err != nil {
		return nil, err
	}
	defer done()
	for _, text := range in.passages {
		p, err := a.passage(f, me, r, chain, text)
		if err != nil {
			return nil, err
		}
		c.Passages = append(c.Passages, p)
	}
	for _, path := range in.bundles {
		b, err := namedBundle(path)
		if err != nil {
			return nil, err
		}
		c.Bundles = append(c.Bundles, b)
	}
	return c, c.Validate()
}

// passage reads ID or ID=TRANSCRIPT.
func (a *app) passage(f *installation.Folder, me actor, r *reader.Reader, chain record.Digest, text string) (p record.Passage, err error) {
	name, path, given := strings.Cut(text, "=")
	id, err := a.findRecording(f, me, name)
	if err != nil {
		return p, err
	}
	refs, err := r.Refer(chain, id)
	if err != nil {
		return p, err
	}
	p.Recording = refs[0]
	if !given {
		return p, nil
	}
	raw, err := a.readInput(path, record.MaxReport)
	if err != nil {
		return p, err
	}
	if p.Transcript = string(raw); strings.TrimSpace(p.Transcript) == "" {
		return p, problem.New(problem.Invalid, "this transcript is empty: %s", path)
	}
	return p, nil
}

// namedBundle hashes a bundle file.
func namedBundle(path string) (record.ReportedBundle, error) {
	file, err := os.Open(path)
	if err != nil {
		return record.ReportedBundle{}, problem.Wrap(problem.NotFound, err, "this bundle cannot be read: %s", path)
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return record.ReportedBundle{}, problem.Wrap(problem.Unavailable, err, "this bundle cannot be read: %s", path)
	}
	return record.ReportedBundle{Name: filepath.Base(path), SHA256: record.Digest(h.Sum(nil))}, nil
}

func (a *app) reportSendCommand() *cobra.Command {
	return a.command(spec{
		use: "send", short: "Deliver reports that a keyholder has not got yet",
		long:    "Sends again what arca report make signed and could not deliver to both. A keyholder that has a report already changes nothing.",
		example: "arca report send --as ines",
		args:    cobra.NoArgs,
		run: func(cmd *cobra.Command, _ []string) error {
			f, me, err := a.who()
			if err != nil {
				return err
			}
			return a.sendReports(cmd.Context(), f, me)
		},
	})
}

// sentReport is what became of one.
type sentReport struct {
	Report     string        `json:"report"`
	Keyholders []partyAnswer `json:"keyholders"`
}

// sendReports delivers every report that lies in the folder, and takes away those that both keyholders have.
func (a *app) sendReports(ctx context.Context, f *installation.Folder, me actor) error {
	out := struct {
		Sent  []sentReport `json:"sent"`
		Error *failure     `json:"error,omitempty"`
	}{Sent: []sentReport{}}
	paths, err := filepath.Glob(filepath.Join(reportsFolder(f, me), "*.json"))
	if err != nil {
		return err
	}
	var first error
	for _, path := range paths {
		sent, err := a.sendReport(ctx, f, me, path)
		if err != nil && first == nil {
			first = err
		}
		out.Sent = append(out.Sent, sent)
	}
	out.Error = failed(first)
	return a.report(out, first, func(p *page) {
		if len(out.Sent) == 0 {
			p.line("No report waits to be sent.")
		}
		for _, s := range out.Sent {
			p.line("report  %s", s.Report)
			p.answers(s.Keyholders)
		}
		if first == nil && len(out.Sent) > 0 {
			p.line("It lies in the inbox of the order's court: arca report show CHAIN")
		}
	})
}

func (a *app) sendReport(ctx context.Context, f *installation.Folder, me actor, path string) (sentReport, error) {
	out := sentReport{Report: strings.TrimSuffix(filepath.Base(path), ".json")}
	raw, err := os.ReadFile(path)
	if err != nil {
		return out, problem.Wrap(problem.Unavailable, err, "a report that waits cannot be read: %s", path)
	}
	var file reportFile
	if err := record.UnmarshalStored(raw, &file); err != nil {
		return out, problem.Wrap(problem.Invalid, err, "this report is damaged; remove it and make it again: %s", path)
	}
	taken := 0
	for _, party := range installation.Keyholders {
		word := "delivered"
		_, sendErr := f.Keyholder(party, me.signer).FileReport(ctx, file.to(party))
		if sendErr != nil {
			word = ""
			if err == nil {
				err = sendErr
			}
		} else {
			taken++
		}
		out.Keyholders = append(out.Keyholders, partyAnswer{Party: party, Answer: word, Error: failed(sendErr)})
	}
	// What only one of them has is kept: the other may have missed an order, and takes the report then. What both refuse is not taken later.
	refused := slices.Contains([]problem.Kind{problem.Denied, problem.Invalid, problem.Conflict, problem.NotFound}, problem.KindOf(err))
	if err == nil || refused && taken == 0 {
		if wrong := os.Remove(path); wrong != nil {
			return out, problem.Wrap(problem.Unavailable, wrong, "a report cannot be removed: %s", path)
		}
	}
	return out, err
}

// shownReport is a report with what the keyholders' journals say.
type shownReport struct {
	Order     string                `json:"order"`
	Case      string                `json:"case"`
	Court     string                `json:"court"`
	Report    string                `json:"report,omitempty"` // absent: the police have not delivered one
	By        string                `json:"by,omitempty"`
	Verified  bool                  `json:"verified"` // the author's signature was checked here
	Issued    time.Time             `json:"issued,omitzero"`
	Delivered time.Time             `json:"delivered,omitzero"`
	Final     bool                  `json:"final,omitempty"`
	Content   *record.ReportContent `json:"content,omitempty"`
	Parts     []journalPart         `json:"parts"`
	Others    []string              `json:"others,omitempty"` // other delivered reports, oldest first
}

// journalPart is what a keyholder reported.
type journalPart struct {
	record.JournalReport
	Report   string `json:"report"`
	Verified bool   `json:"verified"`
}

func (a *app) reportShowCommand() *cobra.Command {
	var which, page string
	c := a.command(spec{
		use: "show CHAIN", short: "Show the reports on a measure, as the judge gets them",
		long: "The last delivered report, or the one that --report names, with what both keyholders' journals say since the one before: received batches\n" +
			"and gaps, incidents, who had access and why, the clocks. Every signature is verified, and the content opens with both keyholders'\n" +
			"shares. Judge and clerk of the order's court see all of it, its author the report alone.",
		example: "arca report show $CHAIN --as judge\narca report show $CHAIN --html report.html --as judge",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			f, me, err := a.who()
			if err != nil {
				return err
			}
			hash, err := a.findChain(cmd.Context(), f, me.signer, args[0])
			if err != nil {
				return err
			}
			out, err := a.readReport(cmd.Context(), f, me, hash, which)
			if err != nil {
				return err
			}
			if page != "" {
				if err := writePage(page, out); err != nil {
					return err
				}
			}
			return a.show(out, out.write)
		},
	})
	c.ValidArgsFunction = a.completeChains
	c.Flags().StringVar(&which, "report", "", "hash of a delivered report")
	c.Flags().StringVar(&page, "html", "", "also write a page that needs nothing else, made to print")
	return c
}

// readReport fetches a report at both keyholders and verifies it.
func (a *app) readReport(ctx context.Context, f *installation.Folder, me actor, chain record.Digest, which string) (shownReport, error) {
	c, err := a.readChain(ctx, f, me.signer, chain)
	if err != nil {
		return shownReport{}, err
	}
	out := shownReport{Order: chain.String(), Case: c.Case, Court: c.Court, Parts: []journalPart{}}
	var lists [2][]wire.ListedReport
	for i, party := range installation.Keyholders {
		list, err := f.Keyholder(party, me.signer).Reports(ctx, chain)
		if err != nil {
			return out, err
		}
		lists[i] = list.Reports
	}
	chosen, since, err := out.choose(lists[0], which)
	if err != nil {
		return out, err
	}
	if chosen.Hash != "" {
		if err := a.openReport(ctx, f, me, chain, chosen, &out); err != nil {
			return out, err
		}
	}
	for i, party := range installation.Keyholders {
		for _, l := range lists[i] {
			if l.By != "" || !l.At.After(since) {
				continue
			}
			part, ok, err := a.readPart(ctx, f, me, party, chain, l)
			if err != nil {
				return out, err
			}
			if ok {
				out.Parts = append(out.Parts, part)
			}
		}
	}
	return out, nil
}

// choose finds the report that is wanted among the delivered ones, and when the one before it came.
func (out *shownReport) choose(list []wire.ListedReport, which string) (chosen wire.ListedReport, since time.Time, err error) {
	var all []wire.ListedReport
	for _, l := range list {
		if l.By != "" {
			all = append(all, l)
		}
	}
	at := len(all) - 1
	if which != "" {
		full, err := match("report", which, 64, func() (ids []string, _ error) {
			for _, l := range all {
				ids = append(ids, l.Hash)
			}
			return ids, nil
		})
		if err != nil {
			return chosen, since, err
		}
		for i, l := range all {
			if l.Hash == full {
				at = i
			}
		}
	}
	for i, l := range all {
		switch {
		case i == at:
			chosen = l
		default:
			out.Others = append(out.Others, l.Hash)
		}
	}
	if at > 0 {
		since = all[at-1].At
	}
	return chosen, since, nil
}

// openReport reads a delivered report at both keyholders, verifies it, and opens its content.
func (a *app) openReport(ctx context.Context, f *installation.Folder, me actor, chain record.Digest, l wire.ListedReport, out *shownReport) error {
	hash, err := record.ParseDigest(l.Hash)
	if err != nil {
		return err
	}
	var both [2]wire.Report
	for i, party := range installation.Keyholders {
		if both[i], err = f.Keyholder(party, me.signer).Report(ctx, hash); err != nil {
			return err
		}
	}
	st, err := record.Peek(both[0].Statement)
	if err != nil {
		return err
	}
	var r record.Report
	if err := record.Unmarshal(st.Payload, &r); err != nil {
		return err
	}
	if out.By, out.Verified, err = a.authorOf(ctx, f, me, both[0].Statement, st); err != nil {
		return err
	}
	shares := [2]seal.Share{}
	for i, want := range []record.Digest{r.Court, r.Custodian} {
		if copy(shares[i][:], both[i].Share) != len(both[i].Share) || record.HashBytes(both[i].Share) != want || record.HashBytes(both[i].Content) != r.Content {
			return problem.New(problem.Denied, "the %s's copy of the report is not what its author signed; keep this message and tell the auditor", installation.Keyholders[i])
		}
	}
	if st.Type != record.TypeReport || st.Hash != hash || r.Chain != chain || r.Audience != f.Config.Trust {
		return problem.New(problem.Denied, "the court shows another report than the one asked for; keep this message and tell the auditor")
	}
	plain, err := seal.OpenReport(chain, st.Author.String(), both[0].Content, shares[0], shares[1])
	if err != nil {
		return err
	}
	out.Content = &record.ReportContent{}
	if err := record.Unmarshal(plain, out.Content); err != nil {
		return err
	}
	out.Report, out.Issued, out.Delivered, out.Final = l.Hash, r.Issued, l.At, r.Final
	return out.Content.Validate()
}

// authorOf verifies who signed a statement, as far as the caller sees enrolments.
func (a *app) authorOf(ctx context.Context, f *installation.Folder, me actor, raw string, st record.Statement) (name string, verified bool, err error) {
	people, err := f.Keyholder("court", me.signer).People(ctx)
	if err != nil {
		return "", false, err
	}
	for _, p := range people.People {
		e, err := f.OpenEnrolment(p.Enrolment)
		if err != nil || e.Key.ID() != st.Author {
			continue
		}
		_, err = record.Open(raw, st.Type, e.Key, nil)
		return e.Name, err == nil, err
	}
	return hex.EncodeToString(st.Author[:4]), false, nil
}

// readPart reads a keyholder's own part; ok is false for who may not see it.
func (a *app) readPart(ctx context.Context, f *installation.Folder, me actor, party string, chain record.Digest, l wire.ListedReport) (part journalPart, ok bool, err error) {
	hash, err := record.ParseDigest(l.Hash)
	if err != nil {
		return part, false, err
	}
	got, err := f.Keyholder(party, me.signer).Report(ctx, hash)
	if err != nil {
		if problem.KindOf(err) == problem.NotFound {
			return part, false, nil
		}
		return part, false, err
	}
	trust, err := f.Trust()
	if err != nil {
		return part, false, err
	}
	st, err := record.Peek(got.Statement)
	if err == nil {
		err = record.Unmarshal(st.Payload, &part.JournalReport)
	}
	if err != nil || st.Type != record.TypeJournalReport || st.Hash != hash || part.Chain != chain || part.Party != party {
		return part, false, problem.Wrap(problem.Denied, err, "the %s shows another report than its own; keep this message and tell the auditor", party)
	}
	// A key that a later trust file replaced is not at hand here; the page says so.
	_, wrong := record.Open(got.Statement, record.TypeJournalReport, trust.Party(party).Online, nil)
	part.Report, part.Verified = l.Hash, wrong == nil
	return part, true, nil
}
