package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"arca.example/arca/cmd/internal/verify"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// verifyFlags say under what something is verified.
type verifyFlags struct{ trust, fingerprint, identity string }

const verifyText = "Says in one line what each file proves, and what it does not. A bundle: that every byte is what its maker signed, that the recordings are\n" +
	"those that were sealed, the order and the journals whole, nothing left out silently. A receipt: that the collector was enrolled by both\n" +
	"registrars and signed the batch, that both keyholders hold its note, and that each pack stands in the log that the witnesses saw. A log, as\n" +
	"a folder of its checkpoint and tiles: that every entry is hashed into the root that the witnesses cosigned.\n\n" +
	"Evidence that a log or a witness contradicted itself, one file at a time, needs no trust file; one says whose the keys are.\n\n" +
	"Needs no network and no parties; arca-verify is the same in a small program of its own. The fingerprint of the trust file comes\n" +
	"from --dir or from --fingerprint; receipts and logs need the file too (--trust), bundles carry it. Exit codes 10 to 13 tell\n" +
	"altered, incomplete, not yet witnessed and unknown trust roots apart."

func (a *app) verifyCommand() *cobra.Command {
	return a.verifying(spec{
		use: "verify FILE…", short: "Verify bundles, receipts and whole logs, offline", long: verifyText,
		example: "arca verify $RECEIPT\narca verify $RECEIPT --trust trust.json --fingerprint $TRUST\narca verify disclosure.zip --fingerprint $TRUST --identity defence.key",
		args:    cobra.MinimumNArgs(1),
	})
}

// verifying makes a command that verifies its arguments.
func (a *app) verifying(s spec) *cobra.Command {
	var v verifyFlags
	s.run = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 && isEvidence(args[0]) {
			policy, err := a.evidencePolicy(v.trust, v.fingerprint)
			if err != nil {
				return err
			}
			return a.verifyEvidence(args[0], policy)
		}
		return a.verify(args, v)
	}
	c := a.command(s)
	c.Flags().StringVar(&v.trust, "trust", "", "trust file")
	c.Flags().StringVar(&v.fingerprint, "fingerprint", "", "its pinned fingerprint, as court and custodian read it out")
	c.Flags().StringVar(&v.identity, "identity", "", "file of a recipient's age key, to open what an encrypted bundle holds")
	return c
}

// pinned gives the trust file with its fingerprint.
func (a *app) pinned(path, fingerprint string) (*record.Trust, record.Digest, error) {
	if path == "" && fingerprint != "" {
		return nil, record.Digest{}, misuse{errors.New("a fingerprint names a trust file; give it too, with --trust")}
	}
	o, err := a.options(verifyFlags{trust: path, fingerprint: fingerprint})
	return o.Trust, o.Fingerprint, err
}

// options reads what to verify under.
func (a *app) options(v verifyFlags) (o verify.Options, err error) {
	o.Now = a.now()
	if o.Identities, err = verify.ReadIdentities(v.identity); err != nil {
		return o, err
	}
	if v.trust != "" && v.fingerprint == "" {
		return o, misuse{errors.New("a trust file proves nothing by itself; give its fingerprint too, with --fingerprint")}
	}
	if v.fingerprint == "" {
		f, err := a.folder()
		if problem.KindOf(err) == problem.NotFound {
			return o, problem.Wrap(problem.NotFound, err, "everything is held against a trust file; give --fingerprint (and --trust FILE for receipts and logs), or an installation with --dir DIR")
		}
		if err != nil {
			return o, err
		}
		o.Trust, err = f.Trust()
		o.Fingerprint = f.Config.Trust
		return o, err
	}
	if o.Fingerprint, err = verify.ParseFingerprint(v.fingerprint); err != nil || v.trust == "" {
		return o, err
	}
	o.Trust, err = verify.ReadTrust(v.trust, o.Fingerprint)
	return o, err
}

func (a *app) verify(paths []string, v verifyFlags) error {
	o, err := a.options(v)
	if err != nil {
		return err
	}
	out := struct {
		Results []verify.Result `json:"results"`
		Error   *failure        `json:"error,omitempty"`
	}{}
	out.Results, err = verify.Each(o, paths)
	out.Error = failed(err)
	return a.report(out, err, func(p *page) {
		for _, r := range out.Results {
			p.line("%s: %s", filepath.Base(r.File), r.Line)
			p.receipt(r.Receipt)
			p.bundle(r.Bundle)
		}
	})
}

func (p *page) receipt(r *verify.Receipt) {
	if r == nil {
		return
	}
	p.pairs("  recording", r.Recording, "  name", r.Name, "  order", r.Order, "  week", r.Week, "  collector", r.Collector,
		"  batch", fmt.Sprintf("%s, number %d, %s", short(r.Batch), r.Number, plural(r.Members, "recording")),
		"  in", plural(len(r.Packs), "pack")+", seen by the witnesses "+when(r.Logged),
		"  court signed", when(r.Court), "  custodian signed", when(r.Custodian))
}
