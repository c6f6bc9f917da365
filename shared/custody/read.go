package custody

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// MaxLines bounds a journal that Read takes.
const MaxLines = 1_000_000

// Read verifies both journals whole and gives what they say of one recording. What is wrong with them is in the timeline's findings; an
// error means that there is no timeline: problem.Invalid for an input that is none, problem.NotFound when no event speaks of the recording.
func Read(in Input) (*Timeline, error) {
	if in.Verifier == nil {
		return nil, problem.New(problem.Invalid, "custody is read under a log and its witnesses; give a trust file")
	}
	return read(in, strict{in.Verifier})
}

// Recordings gives the recordings that the journals' batches have, unverified, in the order of filing: to complete an id with.
func Recordings(journals []Journal) (list []record.ID) {
	for _, j := range journals {
		for _, line := range j.Lines {
			var e record.Event
			var b record.NotedEvent
			if record.Unmarshal(line.Event, &e) == nil && e.Kind == record.EventNoted && json.Unmarshal(e.Body, &b) == nil {
				list = append(list, b.Recordings...)
			}
		}
	}
	return list
}

// Deposits gives the openings of the packs in which, as its collector told the keyholders, the batch of a recording lies, unverified: whoever has
// them can ask the log for proofs.
func Deposits(journals []Journal, recording record.ID) (list []record.PackOpening) {
	batches := map[record.ID]bool{}
	for _, j := range journals {
		for _, line := range j.Lines {
			var e record.Event
			var noted record.NotedEvent
			var b record.StatementEvent
			var d record.Deposited
			if record.Unmarshal(line.Event, &e) != nil {
				continue
			}
			if e.Kind == record.EventNoted && json.Unmarshal(e.Body, &noted) == nil && slices.Contains(noted.Recordings, recording) {
				batches[noted.Batch] = true
			}
			if e.Kind != record.EventDeposited || json.Unmarshal(e.Body, &b) != nil {
				continue
			}
			st, err := record.Peek(b.Statement)
			if err != nil || record.Unmarshal(st.Payload, &d) != nil || !batches[d.Batch] {
				continue
			}
			for _, p := range d.Packs {
				if !slices.ContainsFunc(list, func(have record.PackOpening) bool { return bytes.Equal(have.Event, p.Event) }) {
					list = append(list, p)
				}
			}
		}
	}
	return list
}

// event is one that was read, with where it is in the log.
type event struct {
	record.Event
	hash record.Digest
	log  logged
}

// held is what agree compares: something that both keyholders should have.
type held struct {
	words  string
	number int64 // of its first event
	count  int
	counts bool
}

// opened is an act that needs releases by both.
type opened struct {
	number int64
	of     release
}

// release is what a keyholder must have handed over before something can be done with a recording.
type release struct {
	request   record.Digest
	recording record.Reference
}

// journal is one keyholder's, as read.
type journal struct {
	at       *place
	events   []event
	checked  Checked
	held     map[string]held
	opened   []opened
	released map[release]bool
	made     map[record.Digest]record.KeyID // who said, by the hash of the batch's statement, that they sealed a batch
}

// reading is a Read under way.
type reading struct {
	in       Input
	judge    judge
	people   map[record.KeyID]person
	journals map[string]*journal
	marks    []mark
	out      *Timeline
}

func read(in Input, j judge) (*Timeline, error) {
	r := &reading{in: in, judge: j, people: map[record.KeyID]person{}, journals: map[string]*journal{},
		out: &Timeline{Chain: in.Chain, Recording: in.Recording, Entries: []Entry{}, Findings: []Finding{}}}
	for _, joint := range in.People {
		if e, hash, err := in.Trust.OpenEnrolment(in.Audience, joint); err == nil {
			r.people[e.Key.ID()] = person{e, hash}
		}
	}
	for _, party := range Parties {
		if err := r.journal(party); err != nil {
			return nil, err
		}
	}
	r.find(r.judge.agree(r.journals[Parties[0]], r.journals[Parties[1]])...)
	if err := r.timeline(); err != nil {
		return nil, err
	}
	r.out.Complete = len(r.out.Findings) == 0
	for _, party := range Parties {
		checked := r.journals[party].checked
		r.out.Journals = append(r.out.Journals, checked)
		r.out.Complete = r.out.Complete && checked.Withheld == 0
	}
	return r.out, nil
}

func (r *reading) find(list ...Finding) { r.out.Findings = append(r.out.Findings, list...) }

// journal reads and verifies one keyholder's journal.
func (r *reading) journal(party string) error {
	j := &journal{at: &place{party: party, chain: r.in.Chain, next: 1, known: true, seen: map[int64]record.Digest{}},
		checked: Checked{Party: party}, held: map[string]held{}, released: map[release]bool{}, made: map[record.Digest]record.KeyID{}}
	r.journals[party] = j
	i := slices.IndexFunc(r.in.Journals, func(given Journal) bool { return given.Party == party })
	if i < 0 || len(r.in.Journals[i].Lines) == 0 {
		r.find(Finding{Code: Hidden, Grave: true, Party: party, Text: "the " + party + "'s journal of this case is not there"})
		return nil
	}
	if len(r.in.Journals[i].Lines) > MaxLines {
		return problem.New(problem.Invalid, "a journal has at most %d events", MaxLines)
	}
	for n, line := range r.in.Journals[i].Lines {
		r.line(j, n, line)
	}
	return nil
}

// line reads one event. What cannot be read leaves its number missing.
func (r *reading) line(j *journal, n int, line Line) {
	report := func(f Finding) {
		f.Party = j.at.party
		r.find(f)
	}
	if !line.Withheld.IsZero() {
		j.checked.Withheld++
		j.at.step(j.at.next, line.Withheld)
		return
	}
	var e record.Event
	if err := record.Unmarshal(line.Event, &e); err != nil {
		report(Finding{Code: Altered, Grave: true, Text: fmt.Sprintf("line %d of the journal is no event", n+1)})
		return
	}
	hash := record.HashBytes(line.Event)
	found := r.judge.follows(j.at, e, hash)
	r.find(found...)
	log, wrong := r.judge.logged(line)
	if wrong != nil {
		wrong.Number, wrong.Text = e.Number, fmt.Sprintf("event %d: %s", e.Number, wrong.Text)
		report(*wrong)
	}
	if slices.ContainsFunc(found, func(f Finding) bool {
		return f.Code == Foreign || f.Code == Duplicate || f.Code == Fork && j.at.seen[e.Number] != (record.Digest{})
	}) {
		return // it is told, and it is not one of this journal's
	}
	j.at.step(e.Number, hash)
	j.checked.Events++
	switch {
	case log.index >= 0:
		j.checked.Proven++
		r.marks = append(r.marks, mark{log.checkpoint.Size, -1, log.checkpoint.Earliest, log.checkpoint.Latest})
	case wrong != nil && wrong.Code == Waiting:
		j.checked.Pending++
	}
	ev := event{Event: e, hash: hash, log: log}
	if bad := r.note(j, ev); bad != nil {
		bad.Number, bad.Text = e.Number, fmt.Sprintf("event %d: %s", e.Number, bad.Text)
		report(*bad)
	}
	j.events = append(j.events, ev)
}

// body reads what an event says. Unknown members are passed over: the event as a whole is what the log holds.
func (e event) body(v any) error { return json.Unmarshal(e.Body, v) }

// note verifies what an event says and remembers what both keyholders should have.
func (r *reading) note(j *journal, e event) *Finding {
	unreadable := &Finding{Code: Altered, Grave: true, Text: "what it says cannot be read"}
	hold := func(key, words string, counts bool) {
		h := j.held[key]
		if h.count == 0 {
			h = held{words: words, number: e.Number, counts: counts}
		}
		h.count++
		j.held[key] = h
	}
	switch e.Kind {
	case record.EventAdmitted:
		var b record.AdmittedEvent
		if e.body(&b) != nil {
			return unreadable
		}
		hold("admitted "+b.Member.String(), "the order's member "+b.Member.Short(), false)
		return r.judge.signed(r.people, b.Statement, record.TypeOrder)
	case record.EventNoted:
		return r.noteBatch(j, e, hold, unreadable)
	case record.EventReleased:
		return r.noteRelease(j, e, hold, unreadable)
	case record.EventDestroyed:
		return r.noteDestroyed(e, hold, unreadable)
	case record.EventUnit:
		hold("unit "+string(e.Body), "keys of a week", false)
		return nil
	}
	var b record.StatementEvent
	if e.body(&b) != nil {
		return unreadable
	}
	if b.Statement == "" {
		return nil // a kind that this version does not know, or one without a statement
	}
	return r.noteStatement(j, e, b, hold)
}

// noteDestroyed wants both keyholders to have destroyed the same.
func (r *reading) noteDestroyed(e event, hold func(string, string, bool), unreadable *Finding) *Finding {
	var b record.DestroyedEvent
	if e.body(&b) != nil {
		return unreadable
	}
	c, err := r.certificate(e.Author, b)
	if err != nil {
		return &Finding{Code: Unsigned, Grave: true, Text: "its certificate of a destruction was not signed by the keyholder, or is of another one"}
	}
	hold("destroyed "+b.Decision.String()+" "+c.Losses.Set.String(), "the destruction that "+b.Decision.Short()+" ordered", false)
	return nil
}

// certificate opens the certificate that an event carries.
func (r *reading) certificate(party string, b record.DestroyedEvent) (c record.Certificate, err error) {
	if _, err := r.in.Trust.OpenKept(b.Certificate, record.TypeCertificate, party, &c); err != nil {
		return c, err
	}
	if c.Audience != r.in.Audience || c.Party != party || c.Losses.Chain != r.in.Chain || c.Losses.Decision != b.Decision {
		return c, problem.New(problem.Denied, "the certificate is of another destruction")
	}
	return c, nil
}

func (r *reading) noteBatch(j *journal, e event, hold func(string, string, bool), unreadable *Finding) *Finding {
	var b record.NotedEvent
	if e.body(&b) != nil {
		return unreadable
	}
	// The whole body counts: both keyholders wrote it from the same note.
	hold("noted "+string(e.Body), "the note of batch "+b.Batch.String()[:8], false)
	st, err := seal.ParseStatement(b.Signed)
	if err != nil || record.Digest(st.Hash()) != b.Statement || record.ID(st.Batch) != b.Batch || st.Unit.Order != [32]byte(r.in.Chain) || int(st.Members) != len(b.Recordings) {
		return &Finding{Code: Altered, Grave: true, Text: "it does not fit the statement that the collector signed"}
	}
	p, known := r.people[b.Collector]
	if !known {
		return &Finding{Code: Unknown, Text: "the collector's enrolment is not at hand, so that the signature was not checked"}
	}
	var signature seal.Signature
	if copy(signature[:], b.Signature) != len(b.Signature) || st.Verify(p.Key.Ed25519(), signature) != nil {
		return &Finding{Code: Unsigned, Grave: true, Text: "the batch was not signed by its collector"}
	}
	return r.judge.vouched(j, p, b)
}

func (r *reading) noteRelease(j *journal, e event, hold func(string, string, bool), unreadable *Finding) *Finding {
	var b record.ReleasedEvent
	if e.body(&b) != nil {
		return unreadable
	}
	hold(fmt.Sprintf("released %s %s %d", b.Request, b.Class, b.From), "the release of "+b.Class+" for request "+b.Request.Short(), true)
	for _, ref := range b.Recordings {
		j.released[release{b.Request, ref}] = true
	}
	if b.Checkpoint == "" {
		return nil
	}
	c, err := r.in.Verifier.Verify([]byte(b.Checkpoint))
	if err != nil {
		return &Finding{Code: Unproven, Grave: true, Text: "the checkpoint by which it was decided is not one of this log's and its witnesses'"}
	}
	if e.log.index >= 0 && e.log.index < c.Size {
		return &Finding{Code: Altered, Grave: true, Text: "it names a checkpoint that already holds it"}
	}
	r.marks = append(r.marks, mark{c.Size, e.log.index, c.Earliest, c.Latest})
	return nil
}

// types are the statements that an event of a kind can hold.
var types = map[record.EventKind][]record.Type{
	record.EventAsked: {record.TypeRequest}, record.EventApproved: {record.TypeApproval}, record.EventDenied: {record.TypeApproval},
	record.EventRefused:   {record.TypeOrder, record.TypeRequest, record.TypeApproval, record.TypeAct, record.TypeRefusal},
	record.EventDeposited: {record.TypeDeposited}, record.EventClosed: {record.TypeClosed},
	record.EventFound: {record.TypeAct}, record.EventOpened: {record.TypeAct}, record.EventCopied: {record.TypeAct}, record.EventDisclosed: {record.TypeAct},
	record.EventAnnotated: {record.TypeAct}, record.EventMoved: {record.TypeAct},
}

func (r *reading) noteStatement(j *journal, e event, b record.StatementEvent, hold func(string, string, bool)) *Finding {
	st, err := record.Peek(b.Statement)
	if err != nil {
		return &Finding{Code: Unsigned, Grave: true, Text: "its statement cannot be read"}
	}
	if fits, known := types[e.Kind]; known && !slices.Contains(fits, st.Type) || st.Author != b.By {
		return &Finding{Code: Altered, Grave: true, Text: "its statement is of another kind or by another author than it says"}
	}
	// Each keyholder refuses for itself; what a collector refused, both are told.
	if e.Kind != record.EventRefused || st.Type == record.TypeRefusal {
		hold(string(e.Kind)+" "+st.Hash.String(), fmt.Sprintf("%s (%s) of %s", words(string(e.Kind)), st.Hash.Short(), cmp.Or(oneLine(r.people[st.Author].Name), st.Author.Short())), false)
	}
	if st.Type == record.TypeAct && e.Kind != record.EventRefused {
		var a record.Act
		if record.Unmarshal(st.Payload, &a) != nil || a.Kind != e.Kind || a.Request != b.Request {
			return &Finding{Code: Altered, Grave: true, Text: "its statement says another act"}
		}
		if a.Made != (record.Made{}) {
			j.made[a.Made.Statement] = st.Author
		}
		for _, ref := range a.Recordings {
			j.opened = append(j.opened, opened{e.Number, release{a.Request, ref}})
		}
	}
	return r.judge.signed(r.people, b.Statement, st.Type)
}

// packs verifies the events of packs and gives their entries.
func (r *reading) packs() {
	for _, line := range r.in.Packs {
		var e record.Event
		var b record.PackEvent
		if record.Unmarshal(line.Event, &e) != nil || record.Unmarshal(e.Body, &b) != nil || e.Kind != record.EventPack || e.Author != "vault" || e.Number != int64(b.Number) {
			r.find(Finding{Code: Altered, Grave: true, Party: "vault", Text: "a pack's event is none"})
			continue
		}
		log, wrong := r.judge.logged(line)
		if wrong != nil {
			wrong.Party, wrong.Number, wrong.Text = "vault", e.Number, fmt.Sprintf("pack %d: %s", b.Number, wrong.Text)
			r.find(*wrong)
		}
		if log.index >= 0 {
			r.marks = append(r.marks, mark{log.checkpoint.Size, -1, log.checkpoint.Earliest, log.checkpoint.Latest})
		}
		r.out.Entries = append(r.out.Entries, Entry{Act: actDeposited, By: Actor{Name: "vault"}, On: Extent{Pack: b.Number, PackDigest: b.Pack, Whole: true},
			Result: record.Completed, Seen: []Seen{{Entry: log.entry, Event: record.HashBytes(line.Event), Index: log.index, Number: e.Number, Party: "vault"}}})
	}
}
