package custody

import (
	"slices"
	"strings"
	"testing"

	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// closed is the collector's word on the unit of the story's recordings, or of another compartment.
func (w *world) closed(compartment string) record.StatementEvent {
	raw := w.sign("machine", record.TypeClosed, record.Closed{Audience: w.hash, Chain: w.in.Chain, Classification: "restricted", Compartment: compartment,
		Issued: w.at, Nonce: newID(), Week: seal.WeekOf(w.at)})
	return record.StatementEvent{By: w.people["machine"].Public().ID(), Statement: raw}
}

// decided has a judge order the destruction of some recordings.
func (w *world) decided(refs ...record.Reference) record.Digest {
	raw := w.sign("judge", record.TypeOrder, record.Order{Audience: w.hash, Kind: record.Destruction, Profile: "ES-588ter", Court: "Court One", Chain: w.in.Chain,
		Decided: w.at, Reason: "of no relevance", Recordings: refs, Nonce: newID()})
	w.both(record.EventAdmitted, record.AdmittedEvent{Kind: record.Destruction, Member: record.HashStatement(raw), Statement: raw})
	return record.HashStatement(raw)
}

// destroy journals a keyholder's certificate, signed by somebody's online key.
func (w *world) destroy(party, signer string, decision record.Digest, goes, kept int) {
	w.t.Helper()
	c := record.Certificate{Audience: w.hash, Backups: []record.Backup{}, Destroyed: "old", Generation: 2, Issued: w.at, Limits: "none", Party: party, Root: "new", Other: record.Digest{1},
		Losses: record.Losses{Chain: w.in.Chain, Decision: decision, Recordings: goes, Set: record.Digest{byte(goes)},
			Units: []record.UnitLoss{{Classification: "restricted", Compartment: "main", Goes: goes, Kept: kept, Week: seal.WeekOf(w.at)}}}}
	raw, err := record.Sign(w.offices[signer+" online"], record.TypeCertificate, w.at, c)
	must(w.t, err)
	w.add(party, record.EventDestroyed, record.DestroyedEvent{Certificate: raw, Decision: decision})
	w.pass()
}

func (w *world) lastWords(recording record.ID) (list []string, t *Timeline) {
	w.t.Helper()
	w.in.Recording, w.in.Journals = recording, w.journals()
	t, err := Read(w.in)
	must(w.t, err)
	for _, e := range t.Entries {
		list = append(list, e.Words())
	}
	return list, t
}

func TestADestroyedRecordingsTimelineEndsWithIt(t *testing.T) {
	w := newWorld(t).story()
	w.both(record.EventClosed, w.closed("main"))
	w.both(record.EventClosed, w.closed("privileged"))
	decision := w.decided(w.refs[0])
	w.destroy("custodian", "custodian", decision, 1, 1)
	w.destroy("court", "court", decision, 1, 1)
	got, timeline := w.lastWords(w.refs[0].Recording)
	want := []string{"copied", "week closed: nothing more to come", "destruction ordered", "destroyed by the custodian", "destroyed by the court"}
	if len(got) < len(want) || !slices.Equal(got[len(got)-len(want):], want) {
		t.Errorf("%q", got)
	}
	if !timeline.Complete {
		t.Errorf("%+v", timeline.Findings)
	}
	last := timeline.Entries[len(timeline.Entries)-1]
	if last.Who() != "court" || !strings.HasSuffix(last.Why, ": of no relevance") || last.NotAfter.IsZero() || last.Statement.IsZero() || len(last.Seen) != 1 {
		t.Errorf("%+v", last)
	}
	graph, err := timeline.CASE()
	must(t, err)
	for name, page := range map[string]string{"page": string(timeline.HTML()), "drawing": string(timeline.SVG()), "graph": string(graph)} {
		if !strings.Contains(page, "destroyed by the court") || !strings.Contains(page, "week closed") {
			t.Errorf("the %s does not show it", name)
		}
	}
	if bad := violations(graph); len(bad) > 0 {
		t.Errorf("%q", bad)
	}
	// The other recording of the unit stays, until a decision takes the rest.
	if got, _ := w.lastWords(w.refs[1].Recording); slices.Contains(got, "destroyed by the court") {
		t.Errorf("a survivor: %q", got)
	}
	rest := w.decided()
	for _, party := range Parties {
		w.destroy(party, party, rest, 2, 0)
	}
	for i, ref := range w.refs {
		got, _ := w.lastWords(ref.Recording)
		n := 0
		for _, words := range got {
			if strings.HasPrefix(words, "destroyed") {
				n++
			}
		}
		if n != 2 {
			t.Errorf("recording %d is destroyed %d times: %q", i, n, got)
		}
	}
}

// What was made of a recording goes with it.
func TestWhatWasMadeOfADestroyedRecordingIsDestroyed(t *testing.T) {
	w := newWorld(t).story()
	note := w.sealedBy("ana", 1)
	w.both(record.EventAnnotated, w.annotated(note))
	w.both(record.EventNoted, note)
	decision := w.decided(w.refs[0])
	for _, party := range Parties {
		w.destroy(party, party, decision, 2, 1)
	}
	if got, _ := w.lastWords(note.Recordings[0]); got[len(got)-1] != "destroyed by the custodian" {
		t.Errorf("%q", got)
	}
}

// Nobody but the keyholder itself says that it destroyed something, and one alone shows as behind.
func TestADestructionThatIsNone(t *testing.T) {
	w := newWorld(t).story()
	decision := w.decided(w.refs[0])
	w.destroy("court", "custodian", decision, 1, 1)
	got, timeline := w.lastWords(w.refs[0].Recording)
	if slices.Contains(got, "destroyed by the court") || !slices.ContainsFunc(timeline.Findings, func(f Finding) bool { return f.Grave && f.Code == Unsigned }) {
		t.Errorf("%q %+v", got, timeline.Findings)
	}
	w = newWorld(t).story()
	w.destroy("court", "court", w.decided(w.refs[0]), 1, 1)
	if _, timeline = w.lastWords(w.refs[0].Recording); timeline.Complete || timeline.Grave() || timeline.Findings[0].Code != Lacking {
		t.Errorf("%+v", timeline.Findings)
	}
}
