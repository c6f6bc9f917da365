package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// defaultOverlap is for how long replaced keys count beside the new ones, when none was stolen.
const defaultOverlap = 24 * time.Hour

func (a *app) trustCommand() *cobra.Command {
	return a.group("trust", "Replace keys: the ceremony of the next trust file",
		a.trustNewCommand(), a.trustSignCommand(), a.trustPutCommand(), a.trustShowCommand())
}

// trustFlags say what a new trust file changes.
type trustFlags struct {
	make, keys, witnesses []string
	quorum                int
	authorities, overlap  string
	out                   string
}

func (a *app) trustNewCommand() *cobra.Command {
	var w trustFlags
	c := a.command(spec{
		use: "new", short: "Draft the next trust file, with new keys",
		long: "Drafts the trust file that follows the one in force and says in words what it changes. --new makes a key in this folder, where its\n" +
			"party keeps it; --key names one that was made elsewhere. Places: court.online, court.registrar, court.root, the same of custodian,\n" +
			"log, and witness (the local one; --new only). --witness, again for each, names all witnesses' keys in their order.\n\n" +
			"For --overlap the keys that go count beside the new ones; 0 when one was stolen.",
		example: "arca trust new --new court.online --new log --out next.json",
		args:    cobra.NoArgs,
		run:     func(cmd *cobra.Command, _ []string) error { return a.draftTrust(cmd.Context(), w) },
	})
	c.Flags().StringArrayVar(&w.make, "new", nil, "place whose key is made here; again for another")
	c.Flags().StringArrayVar(&w.keys, "key", nil, "PLACE=KEY of a key that was made elsewhere; again for another")
	c.Flags().StringArrayVar(&w.witnesses, "witness", nil, "verifier key of a witness; all of them, in order")
	c.Flags().IntVar(&w.quorum, "quorum", 0, "how many witnesses must have cosigned, if that changes")
	c.Flags().StringVar(&w.authorities, "authorities", "", "JSON file naming time-stamping authorities to add")
	c.Flags().StringVar(&w.overlap, "overlap", defaultOverlap.String(), "for how long the keys that go still count, in whole hours")
	c.Flags().StringVarP(&w.out, "out", "o", "", "file to write the draft to")
	_ = c.MarkFlagRequired("out")
	return c
}

func (a *app) draftTrust(ctx context.Context, w trustFlags) error {
	f, err := a.folder()
	if err != nil {
		return err
	}
	change := installation.TrustChange{New: w.make, Keys: map[string]string{}, Witnesses: w.witnesses, Quorum: w.quorum}
	if change.Overlap, err = time.ParseDuration(w.overlap); err != nil {
		return misuse{errors.New("the overlap is a number of whole hours, as 24h, or 0")}
	}
	for _, one := range w.keys {
		place, key, ok := strings.Cut(one, "=")
		if !ok {
			return misuse{errors.New("--key takes PLACE=KEY, as court.root=ed25519:…")}
		}
		change.Keys[place] = key
	}
	if w.authorities != "" {
		if change.Authorities, err = installation.ReadAuthorities(w.authorities); err != nil {
			return err
		}
	}
	draft, err := f.DraftTrust(ctx, change)
	if err != nil {
		return err
	}
	raw, err := record.Marshal(draft)
	if err != nil {
		return err
	}
	if err := installation.Replace(w.out, raw); err != nil {
		return err
	}
	return a.showDraft(f, draft)
}

func (a *app) trustSignCommand() *cobra.Command {
	var party string
	c := a.command(spec{
		use: "sign FILE", short: "Sign a draft with the roots of one party",
		long: "Shows what the draft changes, and adds the signatures of one party's root: the one in force, and its new one if the draft names one.\n" +
			"A trust file needs both parties' roots of the file before it and both of its own. Signing again changes nothing.",
		example: "arca trust sign next.json --party court",
		args:    cobra.ExactArgs(1),
		run: func(_ *cobra.Command, args []string) error {
			f, draft, err := a.readDraft(args[0])
			if err != nil {
				return err
			}
			if draft, err = f.SignTrust(draft, party); err != nil {
				return err
			}
			raw, err := record.Marshal(draft)
			if err != nil {
				return err
			}
			if err := installation.Replace(args[0], raw); err != nil {
				return err
			}
			return a.showDraft(f, draft)
		},
	})
	c.Flags().StringVar(&party, "party", "", "whose root signs: court or custodian")
	_ = c.MarkFlagRequired("party")
	return c
}

func (a *app) trustPutCommand() *cobra.Command {
	return a.command(spec{
		use: "put FILE", short: "Put a signed trust file in force",
		long: "Hands the file to the court, which logs it; waits until witnesses have seen that; and gives the proof to vault, custodian and court.\n" +
			"From then on it is in force. Cut off, the same line again goes on.",
		example: "arca trust put next.json",
		args:    cobra.ExactArgs(1),
		run: func(cmd *cobra.Command, args []string) error {
			f, draft, err := a.readDraft(args[0])
			if err != nil {
				return err
			}
			now, err := f.Trust()
			if err != nil {
				return err
			}
			// One that is in force already has been signed by all, and putting it again goes on where it was cut off.
			if missing := unsigned(now, draft); len(missing) > 0 && draft.Trust.Version > now.Version {
				return problem.New(problem.Denied, "the draft is not yet signed by %s; sign it with: arca trust sign", strings.Join(missing, ", "))
			}
			if err := f.PutTrust(cmd.Context(), draft.Signatures); err != nil {
				return err
			}
			return a.showTrust(f)
		},
	})
}

func (a *app) trustShowCommand() *cobra.Command {
	return a.command(spec{
		use: "show [FILE]", short: "Show the trust files, or what a draft changes",
		long:    "Lists the trust files from the first, whose fingerprint everybody pins, with when each took force by the witnesses' time, and what it\nchanged. With FILE it shows a draft.",
		example: "arca trust show\narca trust show next.json",
		args:    cobra.MaximumNArgs(1),
		run: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				f, err := a.folder()
				if err != nil {
					return err
				}
				return a.showTrust(f)
			}
			f, draft, err := a.readDraft(args[0])
			if err != nil {
				return err
			}
			return a.showDraft(f, draft)
		},
	})
}

func (a *app) readDraft(path string) (*installation.Folder, installation.TrustDraft, error) {
	var draft installation.TrustDraft
	f, err := a.folder()
	if err != nil {
		return nil, draft, err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, draft, problem.Wrap(problem.NotFound, err, "there is no draft in this file; make one with: arca trust new")
	}
	return f, draft, record.Unmarshal(raw, &draft)
}

// trustAnswer is one trust file.
type trustAnswer struct {
	Version int        `json:"version"`
	Hash    string     `json:"hash,omitempty"`
	Since   *time.Time `json:"since,omitempty"` // absent for the first file and for a draft
	Overlap int        `json:"overlapHours"`
	Changes []string   `json:"changes"`
	Missing []string   `json:"missingSignatures,omitempty"`
}

func (a *app) showTrust(f *installation.Folder) error {
	now, err := f.Trust()
	if err != nil {
		return err
	}
	out := struct {
		Files []trustAnswer `json:"files"`
	}{}
	eras := now.Eras()
	for i, e := range eras {
		one := trustAnswer{Version: e.Version, Hash: e.Hash.String(), Overlap: e.Overlap, Changes: []string{}}
		if i > 0 {
			one.Since, one.Changes = &eras[i].At, changes(eras[i-1].Trust, e.Trust)
		}
		out.Files = append(out.Files, one)
	}
	return a.show(out, func(p *page) {
		for _, one := range out.Files {
			since := "pinned by all"
			if one.Since != nil {
				since = "in force since " + when(*one.Since)
			}
			p.line("version %d  %s  %s", one.Version, one.Hash, since)
			p.changes(one)
		}
	})
}

func (a *app) showDraft(f *installation.Folder, d installation.TrustDraft) error {
	now, err := f.Trust()
	if err != nil {
		return err
	}
	out := trustAnswer{Version: d.Trust.Version, Overlap: d.Trust.Overlap, Changes: changes(now, &d.Trust), Missing: unsigned(now, d)}
	return a.show(out, func(p *page) {
		p.line("version %d, a draft", out.Version)
		p.changes(out)
		for _, name := range out.Missing {
			p.line("  not yet signed by %s", name)
		}
	})
}

// unsigned says whose roots have not signed a draft.
func unsigned(now *record.Trust, d installation.TrustDraft) (list []string) {
	for i, key := range record.FourRoots(now, &d.Trust) {
		signed := slices.ContainsFunc(d.Signatures, func(raw string) bool {
			st, err := record.Peek(raw)
			return err == nil && st.Author == key.ID()
		})
		if !signed {
			list = append(list, rootName(now, &d.Trust, i))
		}
	}
	return list
}

// rootName says whose root is the one at place i of record.FourRoots.
func rootName(now, next *record.Trust, i int) string {
	key := record.FourRoots(now, next)[i]
	for name, root := range map[string]record.PublicKey{"the court's root": now.Court.Root, "the custodian's root": now.Custodian.Root} {
		if root.Equal(key) {
			return name
		}
	}
	if next.Court.Root.Equal(key) {
		return "the court's new root"
	}
	return "the custodian's new root"
}

func (p *page) changes(one trustAnswer) {
	for _, line := range one.Changes {
		p.line("  %s", line)
	}
	if len(one.Changes) > 0 {
		p.line("  the keys that go count for %s more", plural(one.Overlap, "hour"))
	}
}

// changes says in words what a trust file changes, so that whoever signs reads it.
func changes(before, after *record.Trust) []string {
	list := []string{}
	keys := func(t *record.Trust) map[string]string {
		out := map[string]string{"the log's key": t.LogKey}
		for name, p := range map[string]record.PartyKeys{"the court's": t.Court, "the custodian's": t.Custodian} {
			out[name+" online key"], out[name+" registrar key"], out[name+" root"] = p.Online.String(), p.Registrar.String(), p.Root.String()
		}
		return out
	}
	was, is := keys(before), keys(after)
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if was[name] != is[name] {
			list = append(list, fmt.Sprintf("%s: %s instead of %s", name, is[name], was[name]))
		}
	}
	list = append(list, setChanges("witness key", before.Witnesses, after.Witnesses)...)
	if before.Quorum != after.Quorum {
		list = append(list, fmt.Sprintf("quorum: %d instead of %d", after.Quorum, before.Quorum))
	}
	return append(list, setChanges("time-stamping authority", authorityNames(before), authorityNames(after))...)
}

func authorityNames(t *record.Trust) []string {
	var list []string
	for _, a := range t.Authorities {
		list = append(list, fmt.Sprintf("%s (root %s, policy %s)", a.Name, record.HashBytes(a.Root), a.Policy))
	}
	return list
}

func setChanges(what string, before, after []string) []string {
	var list []string
	for _, one := range after {
		if !slices.Contains(before, one) {
			list = append(list, what+" added: "+one)
		}
	}
	for _, one := range before {
		if !slices.Contains(after, one) {
			list = append(list, what+" taken out: "+one)
		}
	}
	return list
}
