package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

// chain is an order chain as this machine worked it out from its members.
type chain struct {
	law.State
	members []law.Member
	authors []record.KeyID
	units   []string
	words   []partyAnswer // what each keyholder states
	checked bool          // every member's signature was verified here
}

// openMembers reads the members of a chain. Who signed them is verified by checkAuthors, as far as the caller sees judges' enrolments.
func openMembers(trust record.Digest, raws []string) (c chain, err error) {
	for _, raw := range raws {
		st, err := record.Peek(raw)
		if err != nil {
			return c, err
		}
		m := law.Member{Hash: st.Hash}
		if err := record.Unmarshal(st.Payload, &m.Order); err != nil {
			return c, err
		}
		if st.Type != record.TypeOrder || m.Order.Audience != trust {
			return c, problem.New(problem.Denied, "a member of the order is of another installation")
		}
		c.members, c.authors = append(c.members, m), append(c.authors, st.Author)
	}
	c.State, err = law.Read(c.members)
	return c, err
}

// readChain reads a chain at both keyholders. Errors: problem.Conflict when they do not hold the same members or state another
// state than the members give; the chain is then what the court shows.
func (a *app) readChain(ctx context.Context, f *installation.Folder, signer *record.Signer, hash record.Digest) (chain, error) {
	both, err := askBoth(ctx, f, signer, hash)
	if err != nil {
		return chain{}, err
	}
	c, err := openMembers(f.Config.Trust, both[0].Members)
	if err != nil {
		return chain{}, err
	}
	c.units = both[0].Units
	if err := a.checkAuthors(ctx, f, signer, &c, both[0].Members); err != nil {
		return chain{}, err
	}
	for i, party := range installation.Keyholders {
		c.words = append(c.words, partyAnswer{Party: party, Answer: both[i].State})
	}
	return c, c.compare(hash, both[0], both[1], a.now())
}

// askBoth reads a chain at court and custodian. Errors: problem.Conflict when only one of them has it.
func askBoth(ctx context.Context, f *installation.Folder, signer *record.Signer, hash record.Digest) (both []wire.Order, err error) {
	var absent error
	for _, party := range installation.Keyholders {
		shown, err := f.Keyholder(party, signer).Order(ctx, hash)
		switch {
		case err == nil:
			both = append(both, shown)
		case problem.KindOf(err) == problem.NotFound:
			absent = err
		default:
			return nil, fmt.Errorf("order at the %s: %w", party, err)
		}
	}
	if absent != nil && len(both) == 1 {
		return nil, problem.Wrap(problem.Conflict, absent, "only one keyholder has admitted this order, so nothing is released under it; send it to both again with: arca order admit FILE")
	}
	return both, absent
}

func (c chain) compare(hash record.Digest, court, custodian wire.Order, now time.Time) error {
	sorted := func(list []string) []string { return slices.Sorted(slices.Values(list)) }
	if !slices.Equal(sorted(court.Members), sorted(custodian.Members)) || court.State != custodian.State {
		return problem.New(problem.Conflict, "court and custodian do not hold the same members of this order; nothing is released until both have admitted them all (arca order admit may be repeated)")
	}
	if c.Chain != hash || c.Word(now) != court.State || !c.AccessEnd.Equal(court.AccessEnd) {
		return problem.New(problem.Conflict, "the keyholders state another state of the order than its members give; a clock is wrong, or somebody altered the list: try again")
	}
	return nil
}

// checkAuthors verifies the members' signatures by those who may sign them, as far as the caller sees their enrolments:
// judges, clerks and auditors see them all, others none.
func (a *app) checkAuthors(ctx context.Context, f *installation.Folder, signer *record.Signer, c *chain, raws []string) error {
	people, err := f.Keyholder("court", signer).People(ctx)
	if err != nil {
		return err
	}
	known := map[record.KeyID]record.Enrolment{}
	for _, p := range people.People {
		if e, err := f.OpenEnrolment(p.Enrolment); err == nil {
			known[e.Key.ID()] = e
		}
	}
	c.checked = true
	for i, raw := range raws {
		author, visible := known[c.authors[i]]
		if !visible {
			c.checked = false
			continue
		}
		if _, err := record.Open(raw, record.TypeOrder, author.Key, nil); err != nil {
			return err
		}
		if err := law.MaySign(&c.members[i].Order, &author); err != nil {
			return err
		}
	}
	return nil
}

// anyChain reads a chain from whichever keyholder has it: enough to sign what names the chain only and must apply at once.
func (a *app) anyChain(ctx context.Context, f *installation.Folder, signer *record.Signer, hash record.Digest) (chain, error) {
	var first error
	for _, party := range installation.Keyholders {
		shown, err := f.Keyholder(party, signer).Order(ctx, hash)
		if err == nil {
			return openMembers(f.Config.Trust, shown.Members)
		}
		if first == nil {
			first = err
		}
	}
	return chain{}, first
}

// findChain finds the chain that text names among those that concern the caller.
func (a *app) findChain(ctx context.Context, f *installation.Folder, signer *record.Signer, text string) (record.Digest, error) {
	id, err := match("order chain", text, 64, func() ([]string, error) {
		var ids []string
		var first error
		for _, party := range installation.Keyholders {
			list, err := f.Keyholder(party, signer).Orders(ctx)
			if err != nil && first == nil {
				first = err
			}
			for _, o := range list.Orders {
				ids = append(ids, o.Chain)
			}
		}
		if len(ids) > 0 {
			return ids, nil
		}
		return nil, first
	})
	if err != nil {
		return record.Digest{}, err
	}
	return record.ParseDigest(id)
}

// completeTime is how long completion may ask a party.
const completeTime = 700 * time.Millisecond

// completeChains offers the chains that concern the caller, with their state.
func (a *app) completeChains(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	f, me, err := a.who()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(contextOf(cmd)), completeTime)
	defer cancel()
	list, err := f.Keyholder("court", me.signer).Orders(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []cobra.Completion
	for _, o := range list.Orders {
		out = append(out, cobra.CompletionWithDesc(clean(short(o.Chain)), clean(o.State)))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func contextOf(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

// completePeople offers the names in people/.
func (a *app) completePeople(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	f, err := a.folder()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, _ := f.People() // what cannot be read is not offered
	return names, cobra.ShellCompDirectiveNoFileComp
}
