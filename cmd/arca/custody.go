package main

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/custody"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

type custodyFlags struct {
	order, receipt, html, svg, caseFile, mirror string
}

func (a *app) custodyCommand() *cobra.Command {
	var o custodyFlags
	c := a.command(spec{
		use: "custody ID", short: "Show everything that was done with a recording, and what is missing",
		long: "For clerks and judges of the order's court, and auditors. Reads both keyholders' journals of the order whole and verifies them here: numbers\n" +
			"and chain, each event's entry in the witnessed log, each signature, and that both keyholders hold the same. What is missing, altered or\n" +
			"told twice is named; then the exit code is 4. Times are the witnesses'. What a reader did on their own machine is the reader's signed word.\n\n" +
			"Which packs hold the recording shows only to who has listed it, or with its receipt.",
		example: "arca custody $ID --order $CHAIN --as alma\narca custody $ID --order $CHAIN --html custody.html --case custody.jsonld --as clara",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			return a.custody(cmd.Context(), args[0], o)
		},
	})
	c.Flags().StringVar(&o.order, "order", "", "order chain (else every order that concerns you is searched)")
	c.Flags().StringVar(&o.receipt, "receipt", "", "the recording's receipt, which names its packs")
	c.Flags().StringVar(&o.html, "html", "", "write a page that needs nothing else, made to print")
	c.Flags().StringVar(&o.svg, "svg", "", "write the timeline as a drawing")
	c.Flags().StringVar(&o.caseFile, "case", "", "write it in CASE/UCO (JSON-LD)")
	c.Flags().StringVar(&o.mirror, "mirror", mirrorPlace, "which mirror of the installation to read packs' proofs from")
	_ = c.RegisterFlagCompletionFunc("order", a.completeChains)
	return c
}

// custodyAnswer is the timeline with the failure that it shows.
type custodyAnswer struct {
	*custody.Timeline
	Verdict string   `json:"verdict"`
	Error   *failure `json:"error,omitempty"`
}

func (a *app) custody(ctx context.Context, id string, o custodyFlags) error {
	f, me, err := a.who()
	if err != nil {
		return err
	}
	in, err := a.custodyInput(ctx, f, me, id, o.order)
	if err != nil {
		return err
	}
	if in.Packs, err = a.packsOf(f, me, in.Recording, o); err != nil {
		return err
	}
	if len(in.Packs) == 0 {
		if in.Packs, err = a.proveDeposits(f, o.mirror, custody.Deposits(in.Journals, in.Recording)); err != nil {
			return err
		}
	}
	got, err := custody.Read(in)
	if err != nil {
		return err
	}
	if err := writeCustody(got, o); err != nil {
		return err
	}
	if got.Grave() {
		err = problem.New(problem.Denied, "the custody of this recording is not proven; keep this output and tell the auditor")
	}
	out := custodyAnswer{got, got.Verdict(), failed(err)}
	return a.report(out, err, out.write)
}

// custodyInput reads both journals of the order that a recording was made under.
func (a *app) custodyInput(ctx context.Context, f *installation.Folder, me actor, id, order string) (custody.Input, error) {
	var in custody.Input
	trust, err := f.Trust()
	if err != nil {
		return in, err
	}
	in.Trust, in.Audience = *trust, f.Config.Trust
	if in.Verifier, err = ledger.VerifierOf(trust); err != nil {
		return in, err
	}
	chains, err := a.chainsToSearch(ctx, f, me, order)
	if err != nil {
		return in, err
	}
	var told error
	ids := map[string]custody.Input{} // of every recording that a journal names
	for _, chain := range chains {
		journals, err := a.journals(ctx, f, me, chain)
		if problem.KindOf(err) == problem.Denied && err != nil && order == "" {
			told = err
			continue
		}
		if err != nil {
			return in, err
		}
		for _, recording := range custody.Recordings(journals) {
			found := in
			found.Chain, found.Journals, found.Recording = chain, journals, recording
			ids[recording.String()] = found
		}
	}
	if len(ids) == 0 && told != nil {
		return in, told
	}
	full, err := match("recording", id, 32, func() ([]string, error) { return slices.Sorted(maps.Keys(ids)), nil })
	if err != nil {
		return in, err
	}
	found, ok := ids[full]
	if !ok {
		return in, problem.New(problem.NotFound, "no journal of an order that you may read speaks of this recording; give its order with --order")
	}
	people, err := f.Keyholder("court", me.signer).People(ctx)
	if err != nil {
		return in, err
	}
	for _, p := range people.People {
		found.People = append(found.People, p.Enrolment)
	}
	return found, nil
}

// chainsToSearch gives the one order that was named, or all.
func (a *app) chainsToSearch(ctx context.Context, f *installation.Folder, me actor, order string) ([]record.Digest, error) {
	if order != "" {
		chain, err := a.findChain(ctx, f, me.signer, order)
		return []record.Digest{chain}, err
	}
	orders, err := f.Keyholder("court", me.signer).Orders(ctx)
	if err != nil {
		return nil, err
	}
	var chains []record.Digest
	for _, o := range orders.Orders {
		chain, err := record.ParseDigest(o.Chain)
		if err != nil {
			return nil, err
		}
		chains = append(chains, chain)
	}
	return chains, nil
}

// journals reads both keyholders' events of a case, unverified.
func (a *app) journals(ctx context.Context, f *installation.Folder, me actor, chain record.Digest) ([]custody.Journal, error) {
	var out []custody.Journal
	for _, party := range custody.Parties {
		j := custody.Journal{Party: party}
		bar := a.progress("reading the " + party + "'s journal")
		err := eachLogged(ctx, f.Keyholder(party, me.signer), chain, func(l wire.LoggedEvent) error {
			j.Lines = append(j.Lines, custody.Line{Event: l.Event, Proof: l.Proof, Random: l.Random, State: l.State})
			bar.at(int64(len(j.Lines)), int64(len(j.Lines)))
			return nil
		})
		bar.end()
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

// eachLogged follows a journal to its end. A keyholder whose journal has none is stopped.
func eachLogged(ctx context.Context, k *wire.Keyholder, chain record.Digest, yield func(wire.LoggedEvent) error) error {
	for n := 0; n < custody.MaxLines; {
		page, err := k.Log(ctx, chain, int64(n)+1)
		if err != nil {
			return err
		}
		if len(page.Events) == 0 {
			return nil
		}
		for _, l := range page.Events {
			if err := yield(l); err != nil {
				return err
			}
		}
		n += len(page.Events)
	}
	return problem.New(problem.Unavailable, "a keyholder's journal has no end; tell its operator and the auditor")
}

// packsOf gives the events of the packs that hold the recording: from its receipt, or from what the caller has listed. Nothing when
// neither is at hand.
func (a *app) packsOf(f *installation.Folder, me actor, id record.ID, o custodyFlags) ([]custody.Line, error) {
	if o.receipt != "" {
		return a.packsOfReceipt(f, id, o.receipt)
	}
	known, err := readListed(f, me)
	if err != nil || !slices.Contains(known, id.String()) {
		return nil, err
	}
	m, err := a.openMirror(f, o.mirror, false)
	if err != nil {
		return nil, err
	}
	defer func() { _ = m.Close() }() // it was only read
	r, done, err := a.openReader(f, me, "")
	if err != nil {
		return nil, err
	}
	defer done()
	numbers, err := r.Packs(id.String())
	if problem.KindOf(err) == problem.NotFound && err != nil {
		return nil, nil // listed under a request that has ended
	}
	if err != nil {
		return nil, err
	}
	var lines []custody.Line
	for _, n := range numbers {
		event, random, proof, err := m.Opening(n)
		if err != nil {
			return nil, err
		}
		lines = append(lines, custody.Line{Event: event, Random: random, Proof: proof, State: custody.Proven})
	}
	return lines, nil
}

// proveDeposits takes from the mirror the proofs of the packs that the collector named to both keyholders. The vault is not asked: it would learn
// whose custody is read. What the mirror does not have stands by the collector's word.
func (a *app) proveDeposits(f *installation.Folder, place string, packs []record.PackOpening) ([]custody.Line, error) {
	if len(packs) == 0 {
		return nil, nil
	}
	m, err := a.openMirror(f, place, false)
	if err != nil {
		return nil, nil // an auditor need not have one
	}
	defer func() { _ = m.Close() }() // it was only read
	var lines []custody.Line
	for _, p := range packs {
		e, _, err := bundle.OpenPackEvent(p.Event, p.Random)
		if err != nil {
			return nil, err
		}
		event, _, proof, err := m.Opening(e.Number)
		if err != nil {
			continue // not fetched yet
		}
		line := custody.Line{Event: p.Event, Random: p.Random, Proof: proof, State: custody.Proven}
		if !bytes.Equal(event, p.Event) {
			line.State = custody.Missing // the log has another pack under this number
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func (a *app) packsOfReceipt(f *installation.Folder, id record.ID, path string) ([]custody.Line, error) {
	trust, err := f.Trust()
	if err != nil {
		return nil, err
	}
	raw, err := a.readInput(path, bundle.MaxReceipt)
	if err != nil {
		return nil, err
	}
	got, err := bundle.VerifyReceipt(trust, f.Config.Trust, raw)
	if err != nil {
		return nil, err
	}
	if got.Recording != id {
		return nil, problem.New(problem.Invalid, "the receipt is of another recording")
	}
	var receipt bundle.Receipt
	if err := json.Unmarshal(raw, &receipt); err != nil {
		return nil, err
	}
	var lines []custody.Line
	for _, p := range receipt.Packs {
		lines = append(lines, custody.Line{Event: p.Event, Random: p.Random, Proof: []byte(p.Proof), State: custody.Proven})
	}
	return lines, nil
}

// writeCustody writes what was asked for as files, which must not exist.
func writeCustody(t *custody.Timeline, o custodyFlags) error {
	if o.html != "" {
		if err := writeFile(o.html, t.HTML()); err != nil {
			return err
		}
	}
	if o.svg != "" {
		if err := writeFile(o.svg, t.SVG()); err != nil {
			return err
		}
	}
	if o.caseFile == "" {
		return nil
	}
	raw, err := t.CASE()
	if err != nil {
		return err
	}
	return writeFile(o.caseFile, raw)
}

func (out custodyAnswer) write(p *page) {
	var rows [][]string
	for i := range out.Entries {
		rows = append(rows, out.Entries[i].Row())
	}
	p.table(custody.Columns, rows)
	p.line("")
	p.line("%s", out.Verdict)
	for _, f := range out.Findings {
		word := "note"
		if f.Grave {
			word = "FOUND"
		}
		p.line("%s: %s: %s", word, f.Party, f.Text)
	}
}
