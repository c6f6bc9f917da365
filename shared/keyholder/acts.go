package keyholder

import (
	"context"
	"slices"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

func releasedName(request record.Digest) string { return "released/" + request.String() }
func actName(hash record.Digest) string         { return "act/" + hash.String() }

// releasedPage says which event of the request's case wrote down the release of a page.
type releasedPage struct {
	Event int64 `json:"event"`
	From  int   `json:"from"` // place of its first recording in the whole answer
}

// listRelease notes the event of a released page. Fetching a page again replaces the number: what is released under one request only
// grows, so the newest event of a page has what older ones had.
func (c *change) listRelease(request record.Digest, from int, made opening) error {
	var pages []releasedPage
	if _, err := c.load(releasedName(request), &pages); err != nil {
		return err
	}
	var e record.Event
	if err := record.Unmarshal(made.Event, &e); err != nil {
		return err
	}
	i := slices.IndexFunc(pages, func(p releasedPage) bool { return p.From == from })
	if i < 0 {
		i, pages = len(pages), append(pages, releasedPage{From: from})
	}
	pages[i].Event = e.Number
	return c.put(releasedName(request), pages)
}

// actRow is a begun act, so that its end fits it and there is one.
type actRow struct {
	Author  record.KeyID  `json:"author"`
	Ended   record.Digest `json:"ended,omitzero"` // hash of the statement that ended it
	Request record.Digest `json:"request"`
	Of      record.ID     `json:"of"` // the recording
}

// FileAct journals what a reader says they did with what was released to them. It is refused unless its author is the author of
// the request that it names, and this keyholder has handed over its halves of every recording that it names under that request. The
// author need not be in service any more: a report gives nothing to anybody, and what was done before a suspension must not be lost by
// it. Filing it again changes nothing.
//
// A collector's word on where a batch was stored (record.Deposited) comes the same way.
func (k *Keyholder) FileAct(ctx context.Context, raw string) error {
	if st, err := record.Peek(raw); err == nil && st.Type == record.TypeDeposited {
		return k.fileDeposited(ctx, raw)
	}
	trust, err := k.Trust(ctx)
	if err != nil {
		return err
	}
	peek, err := peekAs(raw, record.TypeAct)
	if err != nil {
		return err
	}
	author, found, err := k.everEnrolled(ctx, peek.Author)
	if err != nil {
		return err
	}
	if !found {
		return record.Unknown(nil)
	}
	var a record.Act
	st, err := record.OpenKnown(raw, record.TypeAct, author.Enrolment.Key, &a)
	if err != nil {
		return err
	}
	if err := a.Validate(); err != nil {
		return err
	}
	if err := trust.addressed(a.Audience); err != nil {
		return err
	}
	if err := k.couldAct(ctx, st, &a); err != nil {
		return k.refuseAct(ctx, st, &a, err)
	}
	return k.act(ctx, a.Chain, func(c *change) error { return c.fileAct(st, author, &a) })
}

// refuseAct journals a refused act in the case of its author's request, whatever order the act names: in others the author has nothing to
// write. Of those out of service refusals are answered and not journalled, or nothing would end their writing.
func (k *Keyholder) refuseAct(ctx context.Context, st record.Statement, a *record.Act, why error) error {
	if !refusal(why) {
		return why
	}
	if _, err := k.Person(ctx, st.Author); err != nil {
		if problem.KindOf(err) == problem.Denied {
			return why
		}
		return err
	}
	asked, err := k.Request(ctx, a.Request)
	if err != nil {
		return err
	}
	return k.refuse(ctx, asked.Request.Chain, st, why)
}

// couldAct holds an act against what this keyholder knows: the request, its author, its time, and what was released for it.
func (k *Keyholder) couldAct(ctx context.Context, st record.Statement, a *record.Act) error {
	asked, err := k.Request(ctx, a.Request)
	if err != nil {
		return err
	}
	if asked.Author != st.Author {
		return problem.New(problem.NotFound, "no such request is on file here")
	}
	if asked.Request.Chain != a.Chain {
		return problem.New(problem.Denied, "the act names another order than its request")
	}
	if !classAllows(asked.Request.Class, a) {
		return problem.New(problem.Denied, "the act is not one that its request's class allows")
	}
	if a.Issued.After(k.now().Add(skew)) || a.Issued.Before(asked.Request.Issued.Add(-skew)) {
		return problem.New(problem.Denied, "the act is dated before its request or in the future; set the clock")
	}
	// What ends an act may come when the request has ended; what begins one needs its key, which is erased then.
	if a.Of.IsZero() && a.Issued.After(asked.Request.Expires.Add(skew)) {
		return problem.New(problem.Denied, "the act is dated after the end of its request")
	}
	if err := k.wereReleased(ctx, a); err != nil || a.Made == (record.Made{}) {
		return err
	}
	return k.couldMake(ctx, st.Author, a, &asked.Request)
}

// classAllows tells whether what was released for a class is enough for an act: a note can be on what a listing shows.
func classAllows(class string, a *record.Act) bool {
	switch {
	case a.Kind == record.EventFound:
		return class == string(seal.IndexClass)
	case a.Made.Kind == record.KindNote:
		return class == string(seal.IndexClass) || class == string(seal.ContentClass)
	}
	return class == string(seal.ContentClass)
}

// wereReleased refuses an act on a recording whose halves did not leave here under the act's request.
func (k *Keyholder) wereReleased(ctx context.Context, a *record.Act) error {
	var pages []releasedPage
	if _, err := k.read(ctx, releasedName(a.Request), &pages); err != nil {
		return err
	}
	missing := map[record.Reference]bool{}
	for _, ref := range a.Recordings {
		missing[ref] = true
	}
	for _, page := range pages {
		if len(missing) == 0 {
			return nil
		}
		made, err := readMany[opening](ctx, k, []string{eventName(a.Chain, page.Event)})
		if err != nil {
			return err
		}
		var e record.Event
		var body record.ReleasedEvent
		if err := unmarshalRow(made[0].Event, &e); err != nil {
			return err
		}
		if err := unmarshalRow(e.Body, &body); err != nil {
			return err
		}
		for _, ref := range body.Recordings {
			delete(missing, ref)
		}
	}
	if len(missing) > 0 {
		return problem.New(problem.Denied, "nothing was released here for a recording that the act names, under the request that it names")
	}
	return nil
}

// fileAct journals an act once. The nonce's row stays for good: an act has no end after which it could not be filed again.
func (c *change) fileAct(st record.Statement, author Person, a *record.Act) error {
	name := nonceName(author.ID, a.Nonce)
	var before record.Digest
	found, err := c.load(name, &before)
	if err != nil {
		return err
	}
	if found && before == st.Hash {
		return nil
	}
	if found {
		return problem.New(problem.Denied, "this author has used the same nonce in another statement; sign it anew")
	}
	if err := c.put(name, st.Hash); err != nil {
		return err
	}
	if err := c.endAct(st, a); err != nil {
		return err
	}
	if err := c.keepMade(st, a); err != nil {
		return err
	}
	_, err = c.journal(a.Chain, a.Kind, record.StatementEvent{
		By: author.ID, Enrolment: author.Enrolled, Reason: a.Result, Request: a.Request, Statement: st.Raw,
	})
	return err
}

// endAct keeps a begun act, or the one end that it has.
func (c *change) endAct(st record.Statement, a *record.Act) error {
	if a.Result == record.Begun {
		var none actRow
		if _, err := c.load(actName(st.Hash), &none); err != nil {
			return err
		}
		return c.put(actName(st.Hash), actRow{Author: st.Author, Request: a.Request, Of: a.Recordings[0].Recording})
	}
	if a.Of.IsZero() {
		return nil
	}
	var begun actRow
	found, err := c.load(actName(a.Of), &begun)
	if err != nil {
		return err
	}
	if !found || begun.Author != st.Author || begun.Request != a.Request || begun.Of != a.Recordings[0].Recording {
		return problem.New(problem.Denied, "the act that this one ends is not on file here")
	}
	if !begun.Ended.IsZero() {
		return problem.New(problem.Denied, "the act that this one ends has ended already")
	}
	begun.Ended = st.Hash
	return c.put(actName(a.Of), begun)
}
