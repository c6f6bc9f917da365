package main

import (
	"context"
	"crypto/rand"
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
	members  []law.Member
	authors  []record.KeyID
	units    []string
	statuses []record.Status // of court and custodian, signed over fresh nonces
}

// openMembers reads the members of a chain. Who signed them is not checked here: a reader cannot see judges' enrolments. What
// binds them is the head's hash, which readChain finds in both keyholders' signed statuses.
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

// readChain reads a chain and holds it against both keyholders' signed statuses. Errors: problem.Conflict when they differ
// from each other or from the members; the chain is then what the court shows.
func (a *app) readChain(ctx context.Context, f *installation.Folder, signer *record.Signer, hash record.Digest) (chain, error) {
	shown, err := f.Keyholder("court", signer).Order(ctx, hash)
	if err != nil {
		return chain{}, err
	}
	c, err := openMembers(f.Config.Trust, shown.Members)
	if err != nil {
		return chain{}, err
	}
	c.units = shown.Units
	trust, err := f.Trust()
	if err != nil {
		return c, err
	}
	for _, party := range installation.Keyholders {
		s, err := a.status(ctx, f.Keyholder(party, signer), trust, f.Config.Trust, party, hash)
		if err != nil {
			return c, err
		}
		c.statuses = append(c.statuses, s)
	}
	return c, c.compare(hash)
}

func (c chain) compare(hash record.Digest) error {
	court, custodian := c.statuses[0], c.statuses[1]
	if !court.Agrees(custodian) {
		return problem.New(problem.Conflict, "court and custodian do not hold the same: of this order, of its people, or of what was destroyed; nothing is released until both have admitted the same (arca order admit may be repeated)")
	}
	if c.Chain != hash || c.Head != court.Head || c.Word(court.Issued) != court.State || c.Capture != court.Capture || !c.AccessEnd.Equal(court.AccessEnd) {
		return problem.New(problem.Conflict, "the order's members are not those that both keyholders' statuses name; a member was admitted just now, or somebody altered the list: try again")
	}
	return nil
}

// status asks a keyholder for its signed status and checks it.
func (a *app) status(ctx context.Context, k *wire.Keyholder, trust *record.Trust, audience record.Digest, party string, hash record.Digest) (record.Status, error) {
	var s record.Status
	var nonce record.ID
	rand.Read(nonce[:]) // never fails: the runtime stops the process instead
	raw, err := k.Status(ctx, hash, nonce)
	if err != nil {
		return s, err
	}
	if _, err := record.Open(raw, record.TypeStatus, trust.Party(party).Online, &s); err != nil {
		return s, err
	}
	if s.Nonce != nonce || s.Chain != hash || s.Party != party || s.Audience != audience {
		return s, problem.New(problem.Denied, "the %s keyholder answered with the status of another question; ask again", party)
	}
	return s, nil
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
		out = append(out, cobra.CompletionWithDesc(short(o.Chain), o.State))
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
