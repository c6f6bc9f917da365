package keyholder_test

import (
	"testing"

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
