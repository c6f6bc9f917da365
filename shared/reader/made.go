package reader

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader/cut"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Making is what a person makes of a recording that was listed and, for all but a note, opened.
type Making struct {
	ID       string // of the recording, or the beginning of it
	Kind     string // note, transcript or resealed
	Content  []byte // of a note or transcript
	Language string
	Mark     string   // of a note
	Span     cut.Span // the part that a note or transcript is about; zero: all of it
	To       string   // resealed: the compartment that it goes to
	Reason   string   // resealed: why
}

// Make prepares what a person's own spool seals: described as what it is and what it was made from, sealed to the same order and week, vouched for
// by an act that they sign and both keyholders want before its note. What is sealed again is opened as any recording is, with an act that
// says so, verified to its end, and never touches the disk in the clear.
func (r *Reader) Make(ctx context.Context, m Making) (collector.Item, error) {
	if r.cfg.Identity.Ed25519() == nil {
		return collector.Item{}, problem.New(problem.Invalid, "batches are signed with Ed25519 and your key is of another kind; enrol an Ed25519 key to seal notes with")
	}
	if err := r.learnPeople(ctx); err != nil {
		return collector.Item{}, err
	}
	e, g, err := r.listedUnder(m.ID)
	if err != nil {
		return collector.Item{}, err
	}
	if err := r.undecided(ctx, e, m); err != nil {
		return collector.Item{}, err
	}
	if m.Kind == record.KindResealed {
		return r.reseal(ctx, m)
	}
	if m.Kind == record.KindTranscript { // of words that were heard: what keyholders want is the release of the content
		released, err := r.releaseOne(ctx, e)
		if err != nil {
			return collector.Item{}, err
		}
		g = released.grant
	}
	item, err := r.item(m, e, g)
	if err != nil {
		return item, err
	}
	item.Size = int64(len(m.Content))
	item.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.Content)), nil }
	item.Description.Codec, item.Description.Direction, item.Description.Language = "text", "", m.Language
	item.Description.Name, item.Description.Title = m.Kind+"-"+e.Recording.String()[:8]+".txt", ""
	return item, nil
}

// undecided refuses, before anything is sealed, what the judge's decisions do not allow: what a keyholder refuses later holds up all that the same
// person seals into the unit after it.
func (r *Reader) undecided(ctx context.Context, e entry, m Making) error {
	shown, err := r.cfg.Court.Order(ctx, e.unit.Order)
	if err != nil {
		return fail(seal.Court, err)
	}
	members, err := membersOf(shown.Members)
	if err != nil {
		return err
	}
	switch verdict := law.JudgedOf(members).Verdicts[record.Reference{Batch: e.Batch, Recording: e.Recording}]; {
	case m.Kind == record.KindResealed && m.To == record.MainCompartment && verdict != record.VerdictRelease:
		return problem.New(problem.Denied, "into main comes only what the judge has ordered out of the privileged compartment: arca compartment decide CHAIN ID --verdict release")
	case verdict == record.VerdictExclude || verdict == record.VerdictDelete:
		return problem.New(problem.Denied, "the judge has excluded this recording, or ordered it deleted; nothing is made of it")
	}
	return nil
}

// membersOf reads an order's members. Nothing is relied on: keyholders hold what is sealed against their own copy.
func membersOf(raws []string) (members []law.Member, err error) {
	for _, raw := range raws {
		st, err := record.Peek(raw)
		if err != nil {
			return nil, err
		}
		m := law.Member{Hash: st.Hash}
		if err := record.Unmarshal(st.Payload, &m.Order); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

// item describes what is made of a recording, but for its content.
func (r *Reader) item(m Making, e entry, g *grant) (collector.Item, error) {
	d, err := seal.ParseDescriptor(e.Descriptor)
	if err != nil {
		return collector.Item{}, err
	}
	span := record.Span{From: m.Span.From.Milliseconds(), Until: m.Span.To.Milliseconds()}
	act := record.Act{Chain: g.request.Chain, Kind: record.EventAnnotated, Millis: span, Recordings: []record.Reference{{Batch: e.Batch, Recording: e.Recording}},
		Request: g.hash, Result: record.Completed, Whole: span == record.Span{}}
	compartment := e.unit.Compartment
	if m.Kind == record.KindResealed {
		act.Kind, act.Reason, compartment = record.EventMoved, m.Reason, m.To
	}
	member := seal.AppendMember(nil, d.Member())
	description := e.Description
	description.Kind, description.Digest, description.Part = m.Kind, nil, record.Part{}
	description.Of = record.Origin{Batch: e.Batch, Commitments: sha256.Sum256(member[len(e.Recording):]), Compartment: e.unit.Compartment, Kind: e.Description.Kind,
		Mark: m.Mark, Millis: span, Recording: e.Recording, Request: g.hash}
	if err := r.mayMake(&description, compartment); err != nil {
		return collector.Item{}, err
	}
	return collector.Item{Chain: g.request.Chain, Compartment: compartment, Description: description, Vouch: func(made record.Made) (string, error) {
		made.Kind, made.Mark = m.Kind, m.Mark
		act.Made = made
		return r.signAct(act)
	}}, nil
}

// mayMake refuses here what every reader and both keyholders would refuse later, while it can still be said to who tries.
func (r *Reader) mayMake(d *record.Description, compartment string) error {
	if err := record.CheckMark(d.Kind, d.Of.Mark); err != nil {
		return err
	}
	me, ok := r.person(r.cfg.Identity.Public().ID())
	if !ok {
		return nil // the keyholders decide
	}
	if !me.MayMake(d.Kind, d.Of.Mark, compartment) || d.CheckAuthor(&me, compartment) != nil {
		return problem.New(problem.Denied, "your role seals nothing of this kind in the compartment %s; police seal notes and transcripts in main, the court's clerk in main and clerk, the judge everywhere, and in privileged others only mark (arca note --mark)", compartment)
	}
	return nil
}

// reseal opens a recording to seal it again.
func (r *Reader) reseal(ctx context.Context, m Making) (collector.Item, error) {
	rec, err := r.unlock(ctx, m.ID)
	if err != nil {
		return collector.Item{}, err
	}
	item, err := r.item(m, rec.entry, rec.grant)
	if err != nil {
		clear(rec.key[:])
		return item, err
	}
	item.Size = rec.content.Size()
	item.Open = func() (io.ReadCloser, error) { return r.stream(rec) }
	return item, nil
}

// stream gives a recording's content as Open does: written down before, verified whole, and its end written down.
func (r *Reader) stream(rec *recording) (io.ReadCloser, error) {
	begun, err := r.begin(rec, Range{})
	if err != nil {
		return nil, err
	}
	from, to := io.Pipe()
	s := &streamed{PipeReader: from, done: make(chan error, 1)}
	go func() {
		_, err := rec.content.WriteVerified(to, rec.key, rec.ctx, [32]byte(rec.entry.Description.Digest))
		clear(rec.key[:])
		err = r.end(begun, record.EventOpened, err)
		to.CloseWithError(err) // nil is the end of the content
		s.done <- err
	}()
	return s, nil
}

// streamed is the reading end.
type streamed struct {
	*io.PipeReader
	done chan error
}

// Close waits until the act's end is written down.
func (s *streamed) Close() error {
	err := s.PipeReader.Close()
	<-s.done
	return err
}
