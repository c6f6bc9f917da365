package keyholder_test

import (
	"strings"
	"testing"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

func TestWhatACollectorRefusedIsJournalledOnce(t *testing.T) {
	w := newWorld(t).cast()
	chain := w.admit(w.order())
	r := record.Refusal{Audience: w.hash, Chain: chain, Issued: w.now(), Nonce: newID(), Reason: "the order does not name this identifier"}
	raw := w.sign("collector", record.TypeRefusal, r)
	count := func(party seal.Role) (n int) {
		lines, err := w.keyholder[party].Journal(t.Context(), chain, 1, 1000)
		must(t, err)
		for _, line := range lines {
			if line.Event.Kind == record.EventRefused {
				n++
			}
		}
		return n
	}
	for _, party := range parties {
		must(t, w.keyholder[party].FileRefusal(t.Context(), raw))
		must(t, w.keyholder[party].FileRefusal(t.Context(), raw))
		if n := count(party); n != 1 {
			t.Errorf("%s journalled it %d times", party, n)
		}
	}
	if err := w.keyholder[seal.Court].FileRefusal(t.Context(), w.sign("investigator", record.TypeRefusal, r)); problem.KindOf(err) != problem.Denied {
		t.Error("somebody else's report:", err)
	}
	r.Chain = record.Digest{1}
	if err := w.keyholder[seal.Court].FileRefusal(t.Context(), w.sign("collector", record.TypeRefusal, r)); problem.KindOf(err) != problem.NotFound {
		t.Error("an unknown order:", err)
	}
}

// TestAnExtensionPastTheCapIsJournalledOnce: how often a statute's cap is run against is counted from the journal.
func TestAnExtensionPastTheCapIsJournalledOnce(t *testing.T) {
	w := newWorld(t).cast()
	o := w.order()
	o.Profile, o.Capture.Until = "ES-588septies", o.Decided.AddDate(0, 0, 27)
	chain := w.admit(o)
	head, from := chain, o.Capture.Until
	extend := func(n int) error {
		x := record.Order{Audience: w.hash, Kind: record.Extension, Chain: chain, Court: o.Court, Profile: o.Profile, Reason: "reasons on file", Sequence: n, Previous: head,
			Decided: w.now(), Capture: record.Window{From: from, Until: from.AddDate(0, 1, -1)}, AccessEnd: from.AddDate(1, 0, 0), Nonce: newID()}
		raw := w.sign("judge", record.TypeOrder, x)
		_, err := w.keyholder[seal.Court].Admit(t.Context(), raw)
		if err == nil {
			head, from = record.HashStatement(raw), x.Capture.Until
			return nil
		}
		_, again := w.keyholder[seal.Court].Admit(t.Context(), raw)
		if problem.MessageOf(again) != problem.MessageOf(err) {
			t.Error("another answer to the same:", again)
		}
		return err
	}
	var err error
	for n := 1; err == nil && n < 10; n++ {
		err = extend(n)
	}
	if problem.KindOf(err) != problem.Denied || !strings.Contains(problem.MessageOf(err), "lasts at most 3 months") {
		t.Fatal(err)
	}
	lines, err := w.keyholder[seal.Court].Journal(t.Context(), chain, 1, 1000)
	must(t, err)
	refused := 0
	for _, line := range lines {
		var b record.StatementEvent
		if line.Event.Kind == record.EventRefused {
			must(t, record.Unmarshal(line.Event.Body, &b))
			if refused++; b.Rule != law.RuleCap {
				t.Errorf("refused by rule %q: %s", b.Rule, b.Reason)
			}
		}
	}
	if refused != 1 {
		t.Errorf("journalled %d times", refused)
	}
}
