package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

// journalOf makes a keyholder's journal of n acts, in pages of two.
func journalOf(t *testing.T, hash record.Digest, n int) []wire.LoggedEvent {
	t.Helper()
	var list []wire.LoggedEvent
	var previous record.Digest
	for i := range n {
		e := record.Event{Author: "court", Case: hash, Kind: record.EventAsked, Number: int64(i + 1), Previous: previous,
			Time: record.Second(time.Now()), Body: jsontext.Value(`{"by":"` + strconv.Itoa(i) + `","request":"00"}`)}
		raw, err := e.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, wire.LoggedEvent{Event: raw, Random: make([]byte, 32), State: wire.StatePending})
		previous = record.HashBytes(raw)
	}
	return list
}

func readJournal(t *testing.T, hash record.Digest, events []wire.LoggedEvent, verifier *ledger.Verifier) ([]logLine, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("from"))
		first := min(from-1, len(events))
		page := events[first:min(first+2, len(events))]
		_ = json.NewEncoder(w).Encode(wire.Log{Events: page, Next: int64(from + len(page))})
	}))
	defer server.Close()
	k := &wire.Keyholder{Client: wire.Client{Base: server.URL, HTTP: server.Client(), Now: time.Now}}
	a := &app{now: time.Now, streams: streams{out: io.Discard, err: io.Discard}}
	return a.journal(context.Background(), k, "court", hash, verifier)
}

// TestJournal alters a journal in every way that a keyholder could, but for cutting off its end, which differences shows.
func TestJournal(t *testing.T) {
	hash := record.Digest{1}
	events := journalOf(t, hash, 5)
	lines, err := readJournal(t, hash, events, nil)
	if err != nil || len(lines) != 5 {
		t.Fatal(len(lines), err)
	}
	other := journalOf(t, record.Digest{2}, 5)
	for name, altered := range map[string][]wire.LoggedEvent{
		"one left out":        slices.Delete(slices.Clone(events), 2, 3),
		"the first left out":  events[1:],
		"two exchanged":       {events[0], events[2], events[1], events[3], events[4]},
		"one twice":           slices.Insert(slices.Clone(events), 1, events[0]),
		"one of another case": {events[0], other[1], events[2]},
	} {
		if _, err := readJournal(t, hash, altered, nil); problem.KindOf(err) != problem.Denied || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for at := range events[1].Event {
		altered := slices.Clone(events)
		altered[1].Event = slices.Clone(events[1].Event)
		altered[1].Event[at] ^= 1
		if _, err := readJournal(t, hash, altered, nil); err == nil {
			t.Fatalf("byte %d of an act was changed and nobody saw it", at)
		}
	}
}

// TestJournalProofs refuses an act that is called proven and is not.
func TestJournalProofs(t *testing.T) {
	signer, err := record.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	cosigner, err := ledger.NewCosigner("witness.example", signer.Ed25519())
	if err != nil {
		t.Fatal(err)
	}
	logSigner, err := record.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	_, logKey, err := ledger.NewLogSigner("log.example", logSigner.Ed25519())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := ledger.VerifierOf(&record.Trust{LogOrigin: "log.example", LogKey: logKey, Witnesses: []string{cosigner.VerifierKey()}, Quorum: 1})
	if err != nil {
		t.Fatal(err)
	}
	events := journalOf(t, record.Digest{1}, 2)
	events[0].State, events[0].Proof = wire.StateProven, []byte("c2sp.org/tlog-proof@v1\nindex 0\n")
	if _, err := readJournal(t, record.Digest{1}, events, verifier); err == nil {
		t.Error("an act without a proof was shown as proven")
	}
	events[0].State = "certainly"
	if _, err := readJournal(t, record.Digest{1}, events, verifier); err == nil {
		t.Error("an unknown state was shown")
	}
}

func TestDoubt(t *testing.T) {
	now := time.Now()
	a := &app{now: func() time.Time { return now }}
	for name, c := range map[string]struct {
		line logLine
		kind problem.Kind
	}{
		"proven":  {logLine{Proof: wire.StateProven, Time: now.Add(-time.Hour)}, ""},
		"fresh":   {logLine{Proof: wire.StatePending, Time: now}, ""},
		"overdue": {logLine{Proof: wire.StatePending, Time: now.Add(-time.Hour)}, problem.Unavailable},
		"missing": {logLine{Proof: wire.StateMissing, Time: now}, problem.Denied},
	} {
		err := a.doubt([]logLine{c.line})
		if (err == nil) != (c.kind == "") || err != nil && problem.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	cut := []logLine{{Keyholder: "court", Act: record.EventAsked, Request: "r1", By: "x"}, {Keyholder: "custodian", Act: record.EventAsked, Request: "r1", By: "x"},
		{Keyholder: "court", Act: record.EventApproved, Request: "r1", By: "y"}}
	if got := differences(cut); len(got) != 1 {
		t.Errorf("a journal cut off at its end does not show: %v", got)
	}
	if got := differences(cut[:2]); len(got) != 0 {
		t.Error(got)
	}
}
