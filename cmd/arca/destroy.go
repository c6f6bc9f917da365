package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/law"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

const destroyText = "Signs a decision to destroy and sends it to both keyholders, which carry it out by themselves once they may: when the time in which it can be\n" +
	"taken back is over, no hold stands in the way, and every collector has said that nothing more of the units will come (arca spool --close).\n" +
	"With --recording those recordings go, and all that was made of them; all others of their week stay. With --step 1 all copies under an order that has ended go, but for\n" +
	"the one under the clerk's keys, for which it waits where the statute wants one (arca reseal); with --step 2 that one too. Afterwards nobody opens them, from no backup\n" +
	"of any storage: see arca destroyed."

func (a *app) destroyCommand() *cobra.Command {
	var recordings []string
	var step int
	var reason, out string
	c := a.command(spec{
		use: "destroy CHAIN", short: "Order, as a judge, that recordings are destroyed for good",
		long:    destroyText,
		example: "arca destroy $CHAIN --recording $ID --reason 'of no relevance to the case' --as judge",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			if (step == 0) == (len(recordings) == 0) {
				return misuse{errors.New("say what goes: either --recording ID (may be repeated) or --step 1 or 2")}
			}
			f, me, err := a.who()
			if err != nil {
				return err
			}
			hash, err := a.findChain(cmd.Context(), f, me.signer, args[0])
			if err != nil {
				return err
			}
			c, err := a.anyChain(cmd.Context(), f, me.signer, hash)
			if err != nil {
				return err
			}
			o := record.Order{Kind: record.Destruction, Chain: c.Chain, Court: c.Court, Profile: c.Profile, Decided: record.Second(a.now()), Reason: reason, Step: step}
			if o.Recordings, err = a.references(f, me, hash, recordings); err != nil {
				return err
			}
			return a.signAndAdmit(cmd.Context(), f, me, c, o, out)
		},
	})
	c.ValidArgsFunction = a.completeChains
	c.Flags().StringArrayVar(&recordings, "recording", nil, "recording that goes; may be repeated")
	c.Flags().IntVar(&step, "step", 0, "1: everything but the clerk's copy; 2: the clerk's copy too")
	c.Flags().StringVar(&reason, "reason", "", "why; it is part of the decision")
	c.Flags().StringVarP(&out, "output", "o", "", "also write the signed member to this file")
	_ = c.MarkFlagRequired("reason")
	return c
}

// references finds the batches of recordings that this person has listed under the chain.
func (a *app) references(f *installation.Folder, me actor, chain record.Digest, recordings []string) ([]record.Reference, error) {
	if len(recordings) == 0 {
		return nil, nil
	}
	r, done, err := a.openReader(f, me, "")
	if err != nil {
		return nil, err
	}
	defer done()
	var list []record.Reference
	for _, text := range recordings {
		ref, unit, err := r.Reference(strings.ToLower(text))
		if err != nil {
			return nil, err
		}
		if record.Digest(unit.Order) != chain {
			return nil, problem.New(problem.Invalid, "a recording is of another order; its own order's decision destroys it")
		}
		list = append(list, ref)
	}
	return list, nil
}

// destroyedAnswer is what became of the decisions to destroy of one order.
type destroyedAnswer struct {
	Destructions []destroyedLine `json:"destructions"`
	Certificates []string        `json:"certificates,omitempty"` // files that were written
	Error        *failure        `json:"error,omitempty"`
}

type destroyedLine struct {
	Decision string                      `json:"decision"`
	At       map[string]wire.Destruction `json:"at"` // by keyholder
}

func (a *app) destroyedCommand() *cobra.Command {
	var out string
	var now bool
	c := a.command(spec{
		use: "destroyed CHAIN", short: "Show what was ordered destroyed of an order, what became of it, and take the certificates",
		long: "Shows each decision to destroy, how far each keyholder is, and what it waits for. With -o the certificate of each that both have carried\n" +
			"out is written to a folder: the decision, both keyholders' signed words with their places in the witnessed log, and which copies of the\n" +
			"destroyed roots are confirmed destroyed and which are not. arca verify checks it offline. When a step's is filed with the court, a clerk\n" +
			"or judge records it: arca order milestone CHAIN destroyed-1 (or destroyed-2).\n\n" +
			"--now has both keyholders carry out at once what they may, instead of at their next tick (judges, clerks, custodians).",
		example: "arca destroyed $CHAIN --now --as judge\narca destroyed $CHAIN -o certificates --as judge",
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
			if now {
				for _, party := range installation.Keyholders {
					if err := f.Keyholder(party, me.signer).Destroy(cmd.Context()); err != nil {
						return fmt.Errorf("destroying at the %s: %w", party, err)
					}
				}
			}
			return a.destroyed(cmd.Context(), f, me, hash, out)
		},
	})
	c.ValidArgsFunction = a.completeChains
	c.Flags().StringVarP(&out, "output", "o", "", "folder to write certificates to")
	c.Flags().BoolVar(&now, "now", false, "carry out at once what may be carried out")
	return c
}

func (a *app) destroyed(ctx context.Context, f *installation.Folder, me actor, chain record.Digest, folder string) error {
	answer, words, err := a.destructions(ctx, f, me, chain)
	if err != nil {
		return err
	}
	if folder != "" {
		answer.Certificates, err = a.certificates(ctx, f, me, chain, answer.Destructions, words, folder)
	}
	answer.Error = failed(err)
	return a.report(answer, err, answer.write)
}

// destructions asks both keyholders.
func (a *app) destructions(ctx context.Context, f *installation.Folder, me actor, chain record.Digest) (out destroyedAnswer, backups []string, err error) {
	place := map[string]int{}
	out.Destructions = []destroyedLine{}
	for _, party := range installation.Keyholders {
		list, err := f.Keyholder(party, me.signer).Destructions(ctx, chain)
		if err != nil {
			return out, nil, fmt.Errorf("destructions at the %s: %w", party, err)
		}
		backups = append(backups, list.Backups)
		for _, d := range list.Destructions {
			i, known := place[d.Decision]
			if !known {
				i, place[d.Decision] = len(out.Destructions), len(out.Destructions)
				out.Destructions = append(out.Destructions, destroyedLine{Decision: d.Decision, At: map[string]wire.Destruction{}})
			}
			out.Destructions[i].At[party] = d
		}
	}
	return out, backups, nil
}

func (out destroyedAnswer) write(p *page) {
	if len(out.Destructions) == 0 {
		p.line("Nothing of this order was ordered destroyed.")
		return
	}
	var rows [][]string
	for _, d := range out.Destructions {
		for _, party := range installation.Keyholders {
			at, known := d.At[party]
			if !known {
				at = wire.Destruction{State: "unknown", Why: "it has not admitted the decision: arca order admit FILE"}
			}
			count := strconv.Itoa(at.Recordings)
			if at.State == record.DestructionWaits || !known {
				count = "" // not worked out
			}
			rows = append(rows, []string{short(d.Decision), party, at.State, count, at.Why})
		}
	}
	p.table([]string{"DECISION", "AT", "STATE", "RECORDINGS", "WAITS FOR"}, rows)
	for _, file := range out.Certificates {
		p.line("certificate: %s", file)
	}
	if len(out.Certificates) > 0 {
		p.line("Filed with the court, a step's is recorded with: arca order milestone CHAIN destroyed-1 (or destroyed-2)")
	}
}

// certificates writes a file for each decision that both have carried out, after verifying it as arca verify will.
func (a *app) certificates(ctx context.Context, f *installation.Folder, me actor, chain record.Digest, list []destroyedLine, backups []string, folder string) (files []string, err error) {
	trust, err := f.Trust()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the folder cannot be made")
	}
	both, err := askBoth(ctx, f, me.signer, chain)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		made := bundle.Destruction{Audience: f.Config.Trust, Backups: backups, Version: bundle.Version}
		for _, party := range installation.Keyholders {
			if c := d.At[party].Certificate; c != nil && c.State == wire.StateProven {
				made.Destruction = append(made.Destruction, bundle.LogProof{Event: c.Event, Proof: string(c.Proof), Random: c.Random})
			}
		}
		if len(made.Destruction) < len(installation.Keyholders) {
			continue // waits, or the log does not prove it yet
		}
		if made.Decision, made.Judge, err = a.decision(ctx, f, me, both[0].Members, d.Decision); err != nil {
			return files, err
		}
		raw, err := record.Marshal(made)
		if err != nil {
			return files, err
		}
		if _, err := bundle.VerifyDestruction(trust, f.Config.Trust, raw); err != nil {
			return files, err
		}
		path := folder + "/destruction-" + short(d.Decision) + ".json"
		if err := installation.Replace(path, raw); err != nil {
			return files, err
		}
		files = append(files, path)
	}
	return files, nil
}

// decision finds a member of a chain and the enrolment of who signed it.
func (a *app) decision(ctx context.Context, f *installation.Folder, me actor, members []string, decision string) (string, record.Joint, error) {
	people, err := f.Keyholder("court", me.signer).People(ctx)
	if err != nil {
		return "", nil, err
	}
	for _, raw := range members {
		st, err := record.Peek(raw)
		if err != nil || st.Hash.String() != decision {
			continue
		}
		for _, p := range people.People {
			e, err := f.OpenEnrolment(p.Enrolment)
			if err == nil && e.Key.ID() == st.Author && law.MaySign(&record.Order{Kind: record.Destruction, Court: e.Court}, &e) == nil {
				return raw, p.Enrolment, nil
			}
		}
	}
	return "", nil, problem.New(problem.Conflict, "the keyholders do not show who signed the decision; try again as a judge, a clerk or an auditor")
}
