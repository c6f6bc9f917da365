package custody

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

func TestTimelineOfARecording(t *testing.T) {
	w := newWorld(t).story()
	got, err := Read(w.in)
	must(t, err)
	var acts []string
	for _, e := range got.Entries {
		acts = append(acts, e.Words())
	}
	slices.Sort(acts[4:6]) // both were sequenced at once
	want := []string{"ordered", "received and sealed", "asked (content)", "approved (content)", "released: the court's half of the content",
		"released: the custodian's half of the content", "began to be opened", "copied"}
	if !slices.Equal(acts, want) {
		t.Errorf("got %q\nwant %q", acts, want)
	}
	if !got.Complete || len(got.Findings) > 0 || !strings.HasPrefix(got.Verdict(), "complete") {
		t.Errorf("an untouched case: %+v", got.Findings)
	}
	opened := got.Entries[6]
	if opened.On.Words() != "seconds 5 to 8.5" || opened.Why != "identify the caller" || opened.Who() != "ana (investigator)" || opened.By.Enrolment.IsZero() ||
		len(opened.Seen) != 2 || opened.Result != record.Begun {
		t.Errorf("%+v", opened)
	}
	if got.Journals[0] != (Checked{Events: 7, Party: "court", Proven: 7}) {
		t.Errorf("%+v", got.Journals[0])
	}
	w.in.Recording = w.refs[1].Recording
	other, err := Read(w.in)
	must(t, err)
	if len(other.Entries) != 2 || !other.Complete {
		t.Errorf("the other recording of the batch was only ordered and sealed: %+v", other.Entries)
	}
	w.in.Recording = newID()
	if _, err := Read(w.in); problem.KindOf(err) != problem.NotFound {
		t.Error(err)
	}
}

// TestTimesComeFromTheWitnesses holds the bounds against when the log was cosigned: at every whole minute.
func TestTimesComeFromTheWitnesses(t *testing.T) {
	w := newWorld(t)
	start := w.at
	w.story()
	got, err := Read(w.in)
	must(t, err)
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	// Ordered, noted, asked and approved were cosigned in minutes 1 to 4; the releases name the checkpoint of minute 4, and the proofs are of minute 7.
	for i, want := range [][2]time.Time{{{}, minute(4)}, {{}, minute(4)}, {{}, minute(4)}, {{}, minute(4)}, {minute(4), minute(7)}, {minute(4), minute(7)}, {minute(4), minute(7)}, {minute(4), minute(7)}} {
		if e := got.Entries[i]; !e.NotBefore.Equal(want[0]) || !e.NotAfter.Equal(want[1]) {
			t.Errorf("%s: %s, want %v", e.Words(), e.Witnessed(), want)
		}
	}
}

// attack is a way to tamper with the journals, and what must be said of it.
type attack struct {
	name string
	code string
	text string // part of the finding's text
	do   func(w *world, js []Journal)
}

// attacks are made on every event where they can be.
func attacks(w *world) (list []attack) {
	n := len(w.events["court"])
	for p, party := range Parties {
		for i := range n {
			at := func(name, code, text string, do func(lines []Line) []Line) {
				list = append(list, attack{fmt.Sprintf("%s %s %d", party, name, i+1), code, text, func(_ *world, js []Journal) { js[p].Lines = do(js[p].Lines) }})
			}
			if i < n-1 {
				at("drops event", Gap, fmt.Sprintf("event %d is missing", i+1), func(l []Line) []Line { return slices.Delete(l, i, i+1) })
				at("exchanges event", OutOfOrder, fmt.Sprintf("event %d stands behind", i+1), func(l []Line) []Line { l[i], l[i+1] = l[i+1], l[i]; return l })
			} else {
				at("cuts off event", Lacking, "the "+party+"'s journal does not have it", func(l []Line) []Line { return l[:i] })
			}
			at("doubles event", Duplicate, fmt.Sprintf("event %d stands twice", i+1), func(l []Line) []Line { return slices.Insert(l, i, l[i]) })
			at("alters event", Altered, fmt.Sprintf("event %d", i+1), func(l []Line) []Line { l[i].Event = changed(w, l[i].Event); return l })
			at("shows another opening of event", Altered, fmt.Sprintf("event %d", i+1), func(l []Line) []Line {
				l[i].Random = slices.Clone(l[i].Random)
				l[i].Random[3] ^= 4
				return l
			})
			at("tells two histories from event", Fork, "two different events", func(l []Line) []Line {
				other := l[i]
				other.Event = changed(w, other.Event)
				return slices.Insert(l, i+1, other)
			})
			at("shows no proof of event", Unproven, fmt.Sprintf("event %d", i+1), func(l []Line) []Line { l[i].State, l[i].Proof = "", nil; return l })
			at("says that the log lost event", NotLogged, fmt.Sprintf("event %d", i+1), func(l []Line) []Line { l[i].State, l[i].Proof = Missing, nil; return l })
			at("says that it waits for event", Waiting, fmt.Sprintf("event %d", i+1), func(l []Line) []Line { l[i].State, l[i].Proof = Pending, nil; return l })
		}
		list = append(list, attack{party + " hides its journal", Hidden, "the " + party + "'s journal", func(_ *world, js []Journal) { js[p].Lines = nil }},
			attack{party + " hides its releases and all after", Unreleased, "the " + party + "'s journal shows no release", func(_ *world, js []Journal) { js[p].Lines = js[p].Lines[:4] }},
			attack{party + " mixes in another author's event", Foreign, "another author", func(_ *world, js []Journal) { js[p].Lines[1] = js[1-p].Lines[1] }})
	}
	return list
}

// changed gives an event with other words and the same place, as a keyholder that rewrites its journal would.
func changed(w *world, raw []byte) []byte {
	var e record.Event
	must(w.t, record.Unmarshal(raw, &e))
	e.Time = e.Time.Add(time.Hour)
	b, err := e.Bytes()
	must(w.t, err)
	return b
}

// unnamed runs all attacks and gives those that are not named.
func unnamed(w *world, j judge) (list []string) {
	for _, a := range attacks(w) {
		in := w.in
		in.Journals = nil
		for _, given := range w.in.Journals {
			in.Journals = append(in.Journals, Journal{Party: given.Party, Lines: slices.Clone(given.Lines)})
		}
		a.do(w, in.Journals)
		got, err := read(in, j)
		if err != nil {
			list = append(list, a.name+": "+err.Error())
			continue
		}
		if !slices.ContainsFunc(got.Findings, func(f Finding) bool { return f.Code == a.code && strings.Contains(f.Text, a.text) }) || got.Complete {
			list = append(list, fmt.Sprintf("%s: %+v", a.name, got.Findings))
		}
	}
	return list
}

func TestEveryTamperingIsNamed(t *testing.T) {
	w := newWorld(t).story()
	if n := len(attacks(w)); n < 100 {
		t.Fatalf("only %d attacks", n)
	}
	for _, missed := range unnamed(w, strict{w.in.Verifier}) {
		t.Error(missed)
	}
}

// TestAnActOnAnotherRecording: a reader and a keyholder report that the second recording was opened, under a request for which the first alone was released.
func TestAnActOnAnotherRecording(t *testing.T) {
	w := newWorld(t).story()
	w.refs = w.refs[1:]
	w.both(record.EventOpened, record.StatementEvent{By: w.people["ana"].Public().ID(), Reason: record.Begun, Request: w.request,
		Statement: w.act(record.EventOpened, record.Begun, record.Digest{})})
	w.in.Recording, w.in.Journals = w.refs[0].Recording, w.journals()
	got, err := read(w.in, strict{w.in.Verifier})
	must(t, err)
	number := int64(len(w.events["court"]))
	if !slices.ContainsFunc(got.Findings, func(f Finding) bool { return f.Code == Unreleased && f.Number == number }) {
		t.Errorf("%+v", got.Findings)
	}
}

// The twins: each leaves one check out, and the attacks above must notice it.
type (
	twinChain      struct{ strict }
	twinLog        struct{ strict }
	twinAgreement  struct{ strict }
	twinSignatures struct{ strict }
)

func (twinChain) follows(*place, record.Event, record.Digest) []Finding { return nil }
func (twinLog) logged(Line) (logged, *Finding)                          { return logged{index: -1}, nil }
func (twinAgreement) agree(_, _ *journal) []Finding                     { return nil }
func (twinSignatures) signed(map[record.KeyID]person, string, record.Type) *Finding {
	return nil
}

func TestWeakenedJudgesAreCaught(t *testing.T) {
	w := newWorld(t).story()
	s := strict{w.in.Verifier}
	for name, twin := range map[string]judge{"chain": twinChain{s}, "log": twinLog{s}, "agreement": twinAgreement{s}} {
		if missed := unnamed(w, twin); len(missed) == 0 {
			t.Errorf("without the check of %s every attack is still named, so nothing tests it", name)
		}
	}
	if forged(t, s) == nil {
		t.Error("a forged statement is not named")
	}
	if forged(t, twinSignatures{s}) != nil {
		t.Error("the forged statement is named by something else than its signature, so nothing tests that")
	}
}

// forged gives the finding on a request that somebody else signed in ana's name, written down by both keyholders and logged.
func forged(t *testing.T, j judge) *Finding {
	w := newWorld(t).story()
	parts := strings.Split(w.sign("ana", record.TypeApproval, record.Approval{Approve: true, Audience: w.hash, Expires: w.at.Add(time.Hour), Issued: w.at, Nonce: newID(), Request: w.request}), ".")
	other := strings.Split(w.sign("boss", record.TypeApproval, record.Approval{Approve: true, Audience: w.hash, Expires: w.at.Add(time.Hour), Issued: w.at, Nonce: newID(), Request: w.request}), ".")
	w.both(record.EventApproved, record.StatementEvent{By: w.people["ana"].Public().ID(), Request: w.request, Statement: parts[0] + "." + parts[1] + "." + other[2]})
	w.in.Journals = w.journals()
	if s, ok := j.(strict); ok {
		s.verifier = w.in.Verifier
		j = s
	} else {
		j = twinSignatures{strict{w.in.Verifier}}
	}
	got, err := read(w.in, j)
	must(t, err)
	for _, f := range got.Findings {
		if f.Code == Unsigned && f.Grave {
			return &f
		}
	}
	return nil
}

// annotated is ana's act on the first recording, of which she sealed what a batch holds.
func (w *world) annotated(b record.NotedEvent) record.StatementEvent {
	a := record.Act{Audience: w.hash, Chain: w.in.Chain, Issued: w.at, Kind: record.EventAnnotated, Nonce: newID(), Recordings: w.refs[:1], Request: w.request,
		Result: record.Completed, Whole: true, Made: record.Made{Batch: b.Batch, Compartment: "main", Kind: record.KindTranscript, Recording: b.Recordings[0], Statement: b.Statement}}
	must(w.t, a.Validate())
	return record.StatementEvent{By: w.people["ana"].Public().ID(), Reason: record.Completed, Request: w.request, Statement: w.sign("ana", record.TypeAct, a)}
}

func TestWhatAPersonSealedStandsOnBothTimelines(t *testing.T) {
	w := newWorld(t).story()
	made := w.sealedBy("ana", 1)
	w.both(record.EventAnnotated, w.annotated(made))
	w.both(record.EventNoted, made)
	w.in.Journals = w.journals()
	of, err := Read(w.in)
	must(t, err)
	if last := of.Entries[len(of.Entries)-1]; !of.Complete || last.Words() != "annotated" || last.Who() != "ana (investigator)" ||
		last.On.Words() != "the whole, transcript "+made.Recordings[0].String()[:8]+" in main" {
		t.Errorf("%+v %q %+v", of.Findings, last.On.Words(), last)
	}
	w.in.Recording = made.Recordings[0]
	itself, err := Read(w.in)
	must(t, err)
	if n := len(itself.Entries); n != 3 || itself.Entries[1].Words() != "annotated" || itself.Entries[2].Words() != "sealed by a reader" || !itself.Complete {
		t.Errorf("%+v %+v", itself.Findings, itself.Entries)
	}
}

// A batch that a person sealed and no act speaks of would stand among what collectors delivered.
func TestABatchOfAPersonWithoutItsActIsNamed(t *testing.T) {
	named := func(twin bool, prepare func(w *world) record.NotedEvent) bool {
		w := newWorld(t).story()
		w.both(record.EventNoted, prepare(w))
		w.in.Journals = w.journals()
		var j judge = strict{w.in.Verifier}
		if twin {
			j = twinVouched{strict{w.in.Verifier}}
		}
		got, err := read(w.in, j)
		must(t, err)
		return slices.ContainsFunc(got.Findings, func(f Finding) bool { return f.Grave && strings.Contains(f.Text, "no act of theirs") })
	}
	for name, prepare := range map[string]func(w *world) record.NotedEvent{
		"without an act": func(w *world) record.NotedEvent { return w.sealedBy("ana", 1) },
		"of two recordings": func(w *world) record.NotedEvent {
			b := w.sealedBy("ana", 2)
			w.both(record.EventAnnotated, w.annotated(b))
			return b
		},
		"vouched for by another": func(w *world) record.NotedEvent {
			b := w.sealedBy("boss", 1)
			w.both(record.EventAnnotated, w.annotated(b))
			return b
		},
	} {
		if !named(false, prepare) {
			t.Errorf("a person's batch %s is not named", name)
		}
		if named(true, prepare) {
			t.Errorf("a person's batch %s is named by something else, so nothing tests the check", name)
		}
	}
}

type twinVouched struct{ strict }

func (twinVouched) vouched(*journal, person, record.NotedEvent) *Finding { return nil }

func TestWithheldEventsAreStated(t *testing.T) {
	w := newWorld(t).story()
	for p := range Parties {
		lines := slices.Clone(w.in.Journals[p].Lines)
		lines[0] = Line{Withheld: record.HashBytes(lines[0].Event)}
		w.in.Journals[p].Lines = lines
	}
	got, err := Read(w.in)
	must(t, err)
	if len(got.Findings) != 0 || got.Complete || got.Journals[1].Withheld != 1 || !strings.Contains(got.Verdict(), "withheld") {
		t.Errorf("%+v %s", got.Findings, got.Verdict())
	}
	// A hash that is not the event's breaks the chain.
	w.in.Journals[0].Lines[0].Withheld[0] ^= 1
	got, err = Read(w.in)
	must(t, err)
	if !slices.ContainsFunc(got.Findings, func(f Finding) bool { return f.Code == Fork && f.Number == 2 }) {
		t.Errorf("%+v", got.Findings)
	}
}

// TestLaterKindsAreShown: an act that this version does not emit is shown as its event says.
func TestLaterKindsAreShown(t *testing.T) {
	w := newWorld(t).story()
	w.both("lent", map[string]any{"by": w.people["judge"].Public().ID(), "reason": "the court's order", "recordings": w.refs[:1]})
	w.in.Journals = w.journals()
	got, err := Read(w.in)
	must(t, err)
	last := got.Entries[len(got.Entries)-1]
	if !got.Complete || !strings.HasPrefix(last.Words(), "lent by the c") || last.Why != "the court's order" || last.Who() != "judge (judge)" {
		t.Errorf("%+v %+v", got.Findings, last)
	}
}

func FuzzRead(f *testing.F) {
	w := newWorld(f).story()
	f.Add(w.in.Journals[0].Lines[1].Event, w.in.Journals[0].Lines[1].Proof)
	f.Fuzz(func(t *testing.T, event, proof []byte) {
		in := w.in
		lines := slices.Clone(in.Journals[0].Lines)
		same := string(event) == string(lines[1].Event) && string(proof) == string(lines[1].Proof)
		lines[1].Event, lines[1].Proof = event, proof
		in.Journals = []Journal{{Party: "court", Lines: lines}, in.Journals[1]}
		got, err := Read(in)
		if err != nil {
			return
		}
		if got.Complete != same {
			t.Errorf("complete is %v with a changed line", got.Complete)
		}
	})
}
