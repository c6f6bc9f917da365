package bundle

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json"

	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// readCustody verifies both journals of the case: each event's place in its chain, and its entry in the witnessed log; and holds the
// bundle against what they say of batches and releases. A journal can still be cut off behind the last release that it must show.
func (v *opened) readCustody() error {
	if !v.x.Custody {
		return nil
	}
	v.report.Acts = map[string]int{}
	for _, party := range Parties {
		raw, err := v.bag.Read(custodyPath(party), maxIndex)
		if err != nil {
			return err
		}
		if len(raw) > 0 && raw[len(raw)-1] != '\n' {
			return denied("a journal is cut short")
		}
		if err := v.readJournal(party, raw); err != nil {
			return err
		}
	}
	return nil
}

func (v *opened) readJournal(party string, raw []byte) error {
	var previous record.Digest
	released := map[record.Reference]bool{}
	n := 0
	for line := range bytes.Lines(raw) {
		e, err := v.openAct(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return err
		}
		if n++; e.Author != party || e.Case != v.x.Chain || e.Number != int64(n) || e.Previous != previous {
			return incomplete("an event is missing in the journal of the %s before number %d", party, n)
		}
		previous = e.hash
		if err := v.stated(e); err != nil {
			return err
		}
		switch e.Kind {
		case record.EventNoted:
			err = v.noted(e)
		case record.EventReleased:
			err = v.released(e, released)
		}
		if err != nil {
			return err
		}
		v.journals[party] = append(v.journals[party], LogProof{Event: e.raw})
	}
	for _, r := range v.x.Recordings {
		if !released[record.Reference{Batch: r.Batch, Recording: r.Recording}] {
			return incomplete("the journal of the %s ends before, or lacks, the release under which a recording was opened", party)
		}
	}
	v.report.Acts[party] = n
	return nil
}

type act struct {
	record.Event
	raw  []byte
	hash record.Digest
}

func (v *opened) openAct(line []byte) (act, error) {
	var p LogProof
	var a act
	if err := unmarshal(line, &p, maxIndex, "an event with its proof"); err != nil {
		return a, err
	}
	if err := record.Unmarshal(p.Event, &a.Event); err != nil {
		return a, err
	}
	a.raw, a.hash = p.Event, record.HashBytes(p.Event)
	_, err := p.Witnessed(v.verifier)
	return a, err
}

// body reads what an event says. Unknown members are passed over: a keyholder of a later version may say more.
func (a act) body(into any) error {
	if json.Unmarshal(a.Body, into) != nil {
		return denied("event %d of the %s has no form", a.Number, a.Author)
	}
	return nil
}

// holdStatements are the kinds of events that hold a statement as it was signed.
var holdStatements = []record.EventKind{record.EventAdmitted, record.EventAsked, record.EventApproved, record.EventDenied, record.EventRefused, record.EventFound, record.EventOpened,
	record.EventCopied, record.EventDisclosed, record.EventAnnotated, record.EventMoved, record.EventDeposited}

// stated verifies the statement that an event holds, if there is one. Enrolments that nothing else relies on are not in a bundle: what their holders signed
// is counted as not checked.
func (v *opened) stated(a act) error {
	var b record.StatementEvent
	if !slices.Contains(holdStatements, a.Kind) || json.Unmarshal(a.Body, &b) != nil || b.Statement == "" {
		return nil
	}
	st, err := record.Peek(b.Statement)
	if err != nil {
		return denied("the statement in event %d of the %s cannot be read", a.Number, a.Author)
	}
	if b.By != (record.KeyID{}) && b.By != st.Author {
		return denied("the statement in event %d of the %s is by another author than the event says", a.Number, a.Author)
	}
	p, known := v.people[st.Author]
	if !known {
		v.unchecked++
		return nil
	}
	if _, err := record.Open(b.Statement, st.Type, p.Key, nil); err != nil {
		return denied("the statement in event %d of the %s is not what its author signed", a.Number, a.Author)
	}
	return nil
}

// noted holds a batch that a keyholder was told of against the batches of the bundle: leaving out a collector's last ones leaves no gap in their numbers.
func (v *opened) noted(a act) error {
	var b record.NotedEvent
	if err := a.body(&b); err != nil {
		return err
	}
	st, err := seal.ParseStatement(b.Signed)
	if err != nil {
		return err
	}
	if have, shown := v.batches[record.ID(st.Batch)]; shown && have.statement == st {
		return nil
	}
	for _, other := range v.batches {
		if other.statement.Unit == st.Unit {
			return incomplete("a batch that the %s was told of is missing: event %d", a.Author, a.Number)
		}
	}
	stated := func(o Omission) bool { return o.What == OmitWeeks && slices.Contains(o.Weeks, st.Unit.Week) }
	if !slices.ContainsFunc(v.x.Omissions, stated) {
		return incomplete("a batch that the %s was told of, of week %s, is neither in the bundle nor among what it says is left out", a.Author, st.Unit.Week)
	}
	return nil
}

// released adds the recordings whose content a keyholder has handed over under the maker's requests.
func (v *opened) released(a act, to map[record.Reference]bool) error {
	var b record.ReleasedEvent
	if err := a.body(&b); err != nil {
		return err
	}
	if v.asked[b.Request] && b.Class == string(seal.ContentClass) {
		for _, ref := range b.Recordings {
			to[ref] = true
		}
	}
	return nil
}

// forPeople tells whether the page and the instructions, which people read and nothing is concluded from, are those that this version writes for
// what was verified. Others need not be wrong, but only their maker vouches for them.
func (v *opened) forPeople() (bool, error) {
	in := &Source{People: v.joints, Custody: v.journals}
	for i, r := range v.x.Recordings {
		s := SourceRecording{Recording: r}
		if d := v.report.Recordings[i].Description; d != nil {
			s.Opening.Description = *d
		}
		in.Recordings = append(in.Recordings, s)
	}
	want, err := page(&v.x, in)
	if err != nil {
		return false, err
	}
	for path, want := range map[string][]byte{pagePath: want, verifyPath: verifyText(&v.x)} {
		have, err := v.bag.Read(path, maxIndex)
		if err != nil || !bytes.Equal(have, want) {
			return false, err
		}
	}
	return true, nil
}
