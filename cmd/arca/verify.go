package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"arca.example/arca/cmd/internal/receipts"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// verifiedFile is a receipt's proof, or why it is none.
type verifiedFile struct {
	receipts.Verified
	Valid bool     `json:"valid"`
	Error *failure `json:"error,omitempty"`
}

func (a *app) verifyCommand() *cobra.Command {
	var trust, fingerprint string
	c := a.command(spec{
		use: "verify RECEIPT…", short: "Verify receipts, offline",
		long: "Checks that the collector was enrolled by both registrars and signed the batch, that both keyholders hold its note, and that each pack\n" +
			"stands in the log that the witnesses saw. Needs no network and no parties; arca-verify is the same in a small program of its own.\n\n" +
			"Evidence that a log or a witness contradicted itself, one file at a time, needs no trust file; one says whose the keys are.\n\n" +
			"The trust file and its fingerprint come from --dir, or from --trust and --fingerprint.",
		example: "arca verify $RECEIPT\narca verify $RECEIPT --trust trust.json --fingerprint $TRUST",
		args:    cobra.MinimumNArgs(1),
		run: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && isEvidence(args[0]) {
				policy, err := a.evidencePolicy(trust, fingerprint)
				if err != nil {
					return err
				}
				return a.verifyEvidence(args[0], policy)
			}
			return a.verify(args, trust, fingerprint)
		},
	})
	c.Flags().StringVar(&trust, "trust", "", "trust file")
	c.Flags().StringVar(&fingerprint, "fingerprint", "", "its pinned fingerprint, as court and custodian read it out")
	c.MarkFlagsRequiredTogether("trust", "fingerprint")
	return c
}

// pinned gives the trust file with its fingerprint.
func (a *app) pinned(path, fingerprint string) (*record.Trust, record.Digest, error) {
	if path == "" {
		f, err := a.folder()
		if problem.KindOf(err) == problem.NotFound {
			return nil, record.Digest{}, problem.Wrap(problem.NotFound, err, "a receipt is held against a trust file; give --trust FILE and --fingerprint, or an installation with --dir DIR")
		}
		if err != nil {
			return nil, record.Digest{}, err
		}
		trust, err := f.Trust()
		return trust, f.Config.Trust, err
	}
	pin, err := record.ParseDigest(fingerprint)
	if err != nil {
		return nil, pin, err
	}
	trust, err := receipts.ReadTrust(path, pin)
	return trust, pin, err
}

func (a *app) verify(paths []string, path, fingerprint string) error {
	trust, pin, err := a.pinned(path, fingerprint)
	if err != nil {
		return err
	}
	out := struct {
		Receipts []verifiedFile `json:"receipts"`
		Error    *failure       `json:"error,omitempty"`
	}{}
	var first error
	for _, path := range paths {
		got, err := receipts.Verify(trust, pin, path)
		if err != nil && first == nil {
			first = err
		}
		out.Receipts = append(out.Receipts, verifiedFile{got, err == nil, failed(err)})
	}
	if first != nil && len(paths) > 1 {
		first = problem.Wrap(problem.KindOf(first), first, "not every receipt is valid: %s", problem.MessageOf(first))
	}
	out.Error = failed(first)
	return a.report(out, first, func(p *page) {
		for _, r := range out.Receipts {
			if !r.Valid {
				p.line("%s: NOT VALID: %s", filepath.Base(r.File), r.Error.Message)
				continue
			}
			p.line("%s: valid", filepath.Base(r.File))
			p.pairs("  recording", r.Recording, "  name", r.Name, "  order", r.Order, "  week", r.Week, "  collector", r.Collector,
				"  batch", fmt.Sprintf("%s, number %d, %s", short(r.Batch), r.Number, plural(r.Members, "recording")),
				"  in", plural(len(r.Packs), "pack")+", seen by the witnesses "+when(r.Logged),
				"  court signed", when(r.Court), "  custodian signed", when(r.Custodian))
		}
	})
}
