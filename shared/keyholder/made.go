package keyholder

import (
	"context"
	"maps"
	"slices"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/policy"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

func madeName(statement record.Digest) string { return "made/" + statement.String() }

// madeRow is a batch of a reader's: its note is taken from nobody else, and for no other unit.
type madeRow struct {
	Act       record.Digest `json:"act"`
	Author    record.KeyID  `json:"author"`
	Recording record.ID     `json:"recording"`
	Unit      []byte        `json:"unit"` // seal.Unit bytes
}

// makes tells whether a person can be the author of batches at all.
func (p Person) makes() bool {
	e := p.Enrolment
	return e.Of(record.Judge) || e.Of(record.Clerk) || e.Of(record.Investigator) || e.Of(record.Supervisor)
}

// couldMake decides on an act that says that its author sealed something: a note or transcript beside what it is of, or the content again in
// another compartment. What it was made of was released to them (couldAct); here policy says whether they may, and where to.
func (k *Keyholder) couldMake(ctx context.Context, author record.KeyID, a *record.Act, r *record.Request) error {
	who, err := k.Person(ctx, author)
	if err != nil {
		return err
	}
	if !who.Enrolment.MayMake(a.Made.Kind, a.Made.Mark, a.Made.Compartment) {
		return problem.New(problem.Denied, "your role seals nothing of this kind in this compartment")
	}
	if a.Kind == record.EventAnnotated && a.Made.Compartment != r.Compartment {
		return problem.New(problem.Denied, "a note lies where the recording lies that it is of")
	}
	state, err := k.chain(ctx, a.Chain)
	if err != nil {
		return err
	}
	if err := state.Open(k.now()); err != nil {
		return err
	}
	facts, err := k.facts(ctx, state, who, a.Recordings, k.now())
	if err != nil {
		return err
	}
	return mayMake(who, state, r, facts, a.Made)
}

// mayMake asks policy.
func mayMake(who Person, c Chain, r *record.Request, f facts, made record.Made) error {
	q := policy.Question{Action: policy.Annotate, By: who.subject(), Resource: c.resource(r.Compartment, true, f), Purpose: r.Purpose, InTime: true}
	if made.Kind == record.KindResealed {
		q.Action, q.To = policy.Move, made.Compartment
	}
	return decide(q)
}

// keepMade keeps which batch an act speaks of, until its note comes and after.
func (c *change) keepMade(st record.Statement, a *record.Act) error {
	if a.Made == (record.Made{}) {
		return nil
	}
	asked, err := c.k.Request(c.ctx, a.Request)
	if err != nil {
		return err
	}
	u := unitOf(&asked.Request)
	u.Compartment = a.Made.Compartment
	row := madeRow{Act: st.Hash, Author: st.Author, Recording: a.Made.Recording, Unit: u.Bytes()}
	var before madeRow
	if found, err := c.load(madeName(a.Made.Statement), &before); err != nil {
		return err
	} else if found {
		return problem.New(problem.Denied, "another act speaks of this batch already; seal it anew")
	}
	// What is destroyed or excluded takes along what was made of it: nobody says that of a batch which was there before the act.
	if there, err := c.loadBytes(batchName(a.Made.Batch)); err != nil {
		return err
	} else if there != nil {
		return problem.New(problem.Denied, "the batch that the act says you made is on file already, and was there before the act; seal it anew")
	}
	c.require(batchName(a.Made.Batch))
	if err := c.put(madeName(a.Made.Statement), row); err != nil {
		return err
	}
	var derived []record.Reference
	if _, err := c.load(derivedName(a.Recordings[0]), &derived); err != nil {
		return err
	}
	if len(derived) >= maxDerived {
		return problem.New(problem.Invalid, "%d notes, transcripts and copies were made of this recording already; no lawful case needs more", maxDerived)
	}
	return c.put(derivedName(a.Recordings[0]), append(derived, record.Reference{Batch: a.Made.Batch, Recording: a.Made.Recording}))
}

// maxDerived is how many things made of one recording its row has room for.
const maxDerived = 1000

// derivedName names a recording by its batch too: whoever seals chooses the id of a recording, and could choose another's.
func derivedName(of record.Reference) string {
	return "derived/" + of.Batch.String() + "/" + of.Recording.String()
}

// derivations is what was made of each recording of which something was: notes, transcripts, copies.
type derivations map[record.Reference][]record.Reference

// derivations finds what was made of recordings, and of that.
func (k *Keyholder) derivations(ctx context.Context, of []record.Reference) (derivations, error) {
	all := derivations{}
	for next := of; len(next) > 0; {
		var names []string
		for _, ref := range next {
			names = append(names, derivedName(ref))
		}
		found, err := readFound[[]record.Reference](ctx, k, names)
		if err != nil {
			return nil, err
		}
		var more []record.Reference
		for _, ref := range next {
			list := found[derivedName(ref)]
			if _, known := all[ref]; known || len(list) == 0 {
				continue
			}
			all[ref] = list
			more = append(more, list...)
		}
		next = more
	}
	return all, nil
}

// withDerived adds to recordings all that was made of them, and of that.
func (k *Keyholder) withDerived(ctx context.Context, refs map[record.Reference]bool) error {
	all, err := k.derivations(ctx, slices.Collect(maps.Keys(refs)))
	for _, list := range all {
		for _, ref := range list {
			refs[ref] = true
		}
	}
	return err
}

// vouched refuses a person's note unless an act of theirs on file names this very batch, which holds one recording, in this very unit. A
// collector's needs none.
func (k *Keyholder) vouched(ctx context.Context, author Person, f *filing) error {
	if author.Enrolment.Of(record.Collector) {
		if f.note.Statement.Unit.Compartment == record.ClerkCompartment {
			return problem.New(problem.Denied, "collectors deliver into the compartments main and privileged")
		}
		return nil
	}
	var row madeRow
	found, err := k.read(ctx, madeName(f.hash), &row)
	if err != nil {
		return err
	}
	if found {
		if err := k.stillStands(ctx, f.note); err != nil {
			return err
		}
	}
	if !found || !row.fits(author.ID, f.note) {
		return problem.New(problem.Denied, "no act of yours on file here says that you sealed this batch, of one recording, in this compartment; what collectors did not deliver is taken with one only")
	}
	return nil
}

// fits holds a note, whose signature by the author was checked, against the act that named it.
func (row madeRow) fits(author record.KeyID, note *seal.Note) bool {
	return row.Author == author && string(row.Unit) == string(note.Statement.Unit.Bytes()) &&
		len(note.Members) == 1 && note.Members[0].Recording == seal.RecordingID(row.Recording)
}

// stillStands refuses the note of something that was made of a recording which the judge has meanwhile ordered destroyed: it would outlive it.
func (k *Keyholder) stillStands(ctx context.Context, note *seal.Note) error {
	state, err := k.chain(ctx, note.Statement.Unit.Order)
	if err != nil {
		return err
	}
	for _, m := range state.Members {
		taken := slices.ContainsFunc(state.Members, func(by law.Member) bool { return by.Order.Kind == record.Lifting && by.Order.Lifts == m.Hash })
		if !destroys(&m.Order) || taken {
			continue
		}
		all, err := k.named(ctx, m.Order.Recordings)
		if err != nil {
			return err
		}
		for _, member := range note.Members {
			if all[record.Reference{Batch: record.ID(note.Statement.Batch), Recording: record.ID(member.Recording)}] {
				return problem.New(problem.Gone, "the judge has ordered destroyed what this was made of; nothing of it is kept")
			}
		}
	}
	return nil
}
