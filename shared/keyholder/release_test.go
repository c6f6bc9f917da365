package keyholder_test

import (
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store/storetest"
)

// ready is a world with an order, one batch of two recordings and nothing asked.
func ready(t testing.TB) (*world, *batch) {
	w := newWorld(t).cast()
	chain := w.admit(w.order())
	w.pass(time.Hour)
	return w, w.batch(chain, seal.Statement{}, "first call", "second call")
}

func TestTwoHalvesOpenWhatWasApproved(t *testing.T) {
	w, b := ready(t)
	raw, seed := w.ask(b)
	hash := w.send(raw, "supervisor")
	key, err := seal.NewUnitKey(seed)
	must(t, err)
	member := b.signed.Members[0]
	c := seal.ContextOf(member.Recording, b.signed.Statement.Batch, b.unit)
	halves := map[seal.Role]seal.Half{}
	for _, party := range parties {
		r, err := w.release(party, "investigator", hash)
		must(t, err)
		if len(r.Items) != 1 || r.Total != 1 || r.Items[0].Recording != record.ID(member.Recording) {
			t.Fatalf("%s released %d items", party, len(r.Items))
		}
		halves[party], err = seal.OpenHalf(key, party, hash, c, seal.ContentClass, r.Items[0].Half)
		must(t, err)
		if _, err := seal.OpenFind(key, party, hash, b.unit, r.Find); err != nil {
			t.Fatal("find secret:", err)
		}
		// The half of the other class was not asked for, so what came must not be it.
		if member.Commitments.Check(party, seal.IndexClass, halves[party]) == nil {
			t.Fatal("the index half was released for a content request")
		}
	}
	if _, err := seal.Combine(seal.ContentClass, c, member.Commitments, halves[seal.Court], halves[seal.Custodian]); err != nil {
		t.Fatal(err)
	}
}

func TestReleaseIsRefusedWithout(t *testing.T) {
	// Each case spoils one thing in a world where everything else is right.
	for _, tc := range []struct {
		name  string
		spoil func(w *world, b *batch) record.Digest
		kind  problem.Kind
		words string
	}{
		{"an approval", func(w *world, b *batch) record.Digest {
			raw, _ := w.ask(b)
			return w.send(raw)
		}, problem.Denied, "needs an approval by"},
		{"a request in the witnessed log", func(w *world, b *batch) record.Digest {
			w.witnesses = false
			raw, _ := w.ask(b)
			return w.send(raw, "supervisor")
		}, problem.Unavailable, "checkpoint"},
		{"an approval in the witnessed log", func(w *world, b *batch) record.Digest {
			raw, _ := w.ask(b)
			hash := w.send(raw)
			w.witnesses = false
			approval := w.approval("supervisor", hash, true)
			for _, party := range parties {
				must(w.t, w.keyholder[party].Decide(w.t.Context(), approval))
			}
			w.sequence()
			return hash
		}, problem.Unavailable, "checkpoint"},
		{"a fresh checkpoint", func(w *world, b *batch) record.Digest {
			raw, _ := w.ask(b)
			hash := w.send(raw, "supervisor")
			w.pass(6 * time.Minute)
			return hash
		}, problem.Unavailable, "cosigned more than"},
		{"a clock within five minutes", func(w *world, b *batch) record.Digest {
			raw, _ := w.ask(b)
			hash := w.send(raw, "supervisor")
			w.behind["court"], w.behind["custodian"] = 6*time.Minute, 6*time.Minute
			return hash
		}, problem.Unavailable, "clock"},
		{"time left in the request", func(w *world, b *batch) record.Digest {
			raw, _ := w.ask(b)
			hash := w.send(raw, "supervisor")
			w.pass(25 * time.Hour)
			w.sequence()
			return hash
		}, problem.Denied, "expired"},
		{"an order in force", func(w *world, b *batch) record.Digest {
			raw, _ := w.ask(b)
			hash := w.send(raw, "supervisor")
			w.admit(record.Order{Audience: w.hash, Kind: record.Revocation, Profile: "ES-588ter", Court: "Court One", Chain: b.unit.Order, Decided: w.now(), Reason: "no longer needed", Nonce: newID()})
			w.sequence()
			return hash
		}, problem.Denied, "revoked"},
		{"the other keyholder", func(w *world, b *batch) record.Digest {
			raw, _ := w.ask(b)
			hash := w.send(raw, "supervisor")
			w.peerDown = true
			return hash
		}, problem.Unavailable, "other keyholder cannot be reached"},
		{"the log", func(w *world, b *batch) record.Digest {
			raw, _ := w.ask(b)
			hash := w.send(raw, "supervisor")
			w.logDown = true
			return hash
		}, problem.Unavailable, ""},
		{"the requester in service", func(w *world, b *batch) record.Digest {
			raw, _ := w.ask(b)
			hash := w.send(raw, "supervisor")
			who := w.person(seal.Court, "investigator")
			statement, err := record.Sign(w.offices["court registrar"], record.TypeSuspension, w.now(), record.PersonSuspension{
				Audience: w.hash, Issued: w.now(), Nonce: newID(), Person: w.people["supervisor"].Public().ID(), Reason: "left the unit",
			})
			must(w.t, err)
			for _, party := range parties {
				must(w.t, w.keyholder[party].SuspendPerson(w.t.Context(), statement))
			}
			_ = who
			return hash
		}, problem.Denied, "needs an approval by"},
		{"anybody's denial", func(w *world, b *batch) record.Digest {
			raw, _ := w.ask(b)
			hash := w.send(raw, "supervisor")
			no := w.approval("supervisor", hash, false)
			for _, party := range parties {
				must(w.t, w.keyholder[party].Decide(w.t.Context(), no))
			}
			w.sequence()
			return hash
		}, problem.Denied, "denied"},
		{"recordings of the named order and week", func(w *world, b *batch) record.Digest {
			o := w.order()
			o.Case = "case-2"
			other := w.batch(w.admit(o), seal.Statement{}, "third call")
			raw, _ := w.ask(b, func(r *record.Request) { r.Recordings = []record.Reference{other.reference(0)} })
			return w.send(raw, "supervisor")
		}, problem.Denied, "does not belong"},
		{"a recording in the named batch", func(w *world, b *batch) record.Digest {
			raw, _ := w.ask(b, func(r *record.Request) { r.Recordings[0].Recording = newID() })
			return w.send(raw, "supervisor")
		}, problem.Denied, "not in the batch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, b := ready(t)
			w.refused(tc.spoil(w, b), tc.kind, tc.words)
		})
	}
}

func TestAskIsRefusedFor(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(w *world, r *record.Request)
		words  string
	}{
		{"somebody of another police unit", func(w *world, r *record.Request) { r.Purpose = "as stranger" }, ""},
		{"an auditor", func(w *world, r *record.Request) { r.Purpose = "as auditor" }, ""},
		{"no purpose", func(w *world, r *record.Request) { r.Purpose = "" }, "purpose"},
		{"more than seven days", func(w *world, r *record.Request) { r.Expires = r.Issued.Add(7*24*time.Hour + time.Second) }, "seven days"},
		{"longer than the order", func(w *world, r *record.Request) {
			w.pass(57 * 24 * time.Hour)
			r.Issued, r.Expires = w.now(), w.now().Add(7*24*time.Hour)
		}, "outlast"},
		{"the privileged compartment", func(w *world, r *record.Request) { r.Compartment = "privileged" }, ""},
		{"another classification", func(w *world, r *record.Request) { r.Classification = "secret" }, "classification"},
		{"another installation", func(w *world, r *record.Request) { r.Audience[0] ^= 1 }, "another installation"},
		{"a short key", func(w *world, r *record.Request) { r.Key = r.Key[1:] }, "1216"},
		{"one recording twice", func(w *world, r *record.Request) { r.Recordings = append(r.Recordings, r.Recordings[0]) }, "once"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, b := ready(t)
			raw, _ := w.ask(b, func(r *record.Request) { tc.change(w, r) })
			for _, party := range parties {
				_, err := w.keyholder[party].Ask(t.Context(), raw)
				if err == nil || !strings.Contains(problem.MessageOf(err), tc.words) || problem.KindOf(err) == problem.Internal {
					t.Errorf("%s: %v", party, err)
				}
			}
		})
	}
}

func TestAWholeUnitComesInPagesThatCanBeRead(t *testing.T) {
	w := newWorld(t).cast()
	contents := make([]string, 230)
	b := w.batch(w.admit(w.order()), seal.Statement{}, contents...)
	raw, _ := w.ask(b, func(r *record.Request) { r.Recordings, r.Class = nil, "index" })
	hash := w.send(raw)
	seen := map[record.ID]bool{}
	for from := 0; len(seen) < len(contents); {
		answer, err := w.keyholder[seal.Court].Release(t.Context(), w.person(seal.Court, "investigator"), hash, from)
		must(t, err)
		var r record.Release
		_, err = record.Open(answer, record.TypeRelease, w.keyholder[seal.Court].Online(), &r)
		must(t, err)
		if r.Total != len(contents) || r.From != from || len(r.Items) == 0 {
			t.Fatalf("from %d: %d of %d items", from, len(r.Items), r.Total)
		}
		for _, item := range r.Items {
			if seen[item.Recording] {
				t.Fatal("a recording came twice")
			}
			seen[item.Recording] = true
		}
		from += len(r.Items)
	}
}

func TestReplays(t *testing.T) {
	w, b := ready(t)
	nonce := newID()
	raw, _ := w.ask(b, func(r *record.Request) { r.Nonce = nonce })
	hash := w.send(raw, "supervisor")
	again := w.send(raw) // the same statement twice is one request
	if again != hash {
		t.Fatal("a repeated request has another name")
	}
	second, _ := w.ask(b, func(r *record.Request) { r.Nonce = nonce; r.Purpose = "something else" })
	if _, err := w.keyholder[seal.Court].Ask(t.Context(), second); problem.KindOf(err) != problem.Denied {
		t.Error("a nonce was used twice:", err)
	}
	// An approval is for one request only.
	other, _ := w.ask(b)
	otherHash := w.send(other)
	w.refused(otherHash, problem.Denied, "needs an approval by")
	// Somebody else cannot fetch what another asked for, and does not learn that it exists.
	_, err := w.release(seal.Court, "supervisor", hash)
	if problem.KindOf(err) != problem.NotFound {
		t.Error("another person's request:", err)
	}
}

func TestNobodyApprovesTheirOwnRequest(t *testing.T) {
	w, b := ready(t)
	raw, _ := w.ask(b, func(r *record.Request) { r.Purpose = "as supervisor" })
	hash := w.send(raw)
	own := w.approval("supervisor", hash, true)
	if err := w.keyholder[seal.Court].Decide(t.Context(), own); problem.KindOf(err) != problem.Denied {
		t.Fatal(err)
	}
}

func TestOlderStatusAnswersNothing(t *testing.T) {
	w, b := ready(t)
	raw, _ := w.ask(b)
	hash := w.send(raw, "supervisor")
	var old string
	w.peerSays = func(s string) string { old = s; return s }
	_, err := w.release(seal.Court, "investigator", hash)
	must(t, err)
	w.peerSays = func(string) string { return old }
	if _, err := w.release(seal.Court, "investigator", hash); problem.KindOf(err) != problem.Denied {
		t.Fatal("a recorded status was accepted:", err)
	}
	// A status that the keyholder itself signed is not the other's.
	own, _, err := w.keyholder[seal.Court].Status(t.Context(), newID(), b.unit.Order)
	must(t, err)
	w.peerSays = func(string) string { return own }
	if _, err := w.release(seal.Court, "investigator", hash); problem.KindOf(err) != problem.Denied {
		t.Fatal("its own status was accepted as the other's:", err)
	}
}

func TestARolledBackKeyholderRevivesNothing(t *testing.T) {
	w, b := ready(t)
	raw, _ := w.ask(b)
	hash := w.send(raw, "supervisor")
	yesterday := w.rows[seal.Court].Snapshot()
	w.admit(record.Order{Audience: w.hash, Kind: record.Revocation, Profile: "ES-588ter", Court: "Court One", Chain: b.unit.Order, Decided: w.now(), Reason: "ended", Nonce: newID()})
	w.sequence()
	w.rows[seal.Court].Restore(yesterday)
	w.open(seal.Court, w.hash)
	for _, party := range parties {
		if _, err := w.release(party, "investigator", hash); problem.KindOf(err) != problem.Denied {
			t.Errorf("%s released under a revoked order: %v", party, err)
		}
	}
}

func TestRefusalsAreJournalled(t *testing.T) {
	w, b := ready(t)
	raw, _ := w.ask(b)
	hash := w.send(raw)
	w.refused(hash, problem.Denied, "needs an approval by")
	for _, party := range parties {
		lines, err := w.keyholder[party].Journal(t.Context(), b.unit.Order, 1, 1000)
		must(t, err)
		var previous record.Digest
		refused := false
		for i, line := range lines {
			if line.Event.Number != int64(i+1) || line.Event.Previous != previous {
				t.Fatalf("%s: event %d does not follow", party, line.Event.Number)
			}
			previous = record.HashBytes(line.Opened)
			refused = refused || line.Event.Kind == record.EventRefused
		}
		if !refused {
			t.Errorf("%s: the refusal is not in the journal", party)
		}
	}
}

// Before one function has made the keys, every other one says what to do and writes nothing.
func TestOnlyWhoMayCreateMakesKeys(t *testing.T) {
	secret, err := keys.MachineSecret(keys.NewMachineSecret())
	must(t, err)
	roots, err := keys.CreateFile(t.TempDir()+"/roots.age", secret)
	must(t, err)
	rows := storetest.NewMemory()
	open := func(create bool) error {
		_, err := keyholder.Open(t.Context(), keyholder.Config{
			Party: seal.Court, Rows: rows, Roots: roots, Now: time.Now, Create: create,
			Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) { return nil, nil },
		})
		return err
	}
	if err := open(false); problem.KindOf(err) != problem.Unavailable || !strings.Contains(problem.MessageOf(err), "GET /v1/keyholder first") {
		t.Fatalf("without keys: %v", err)
	}
	if found, err := rows.Get(t.Context(), "row-key"); err != nil || len(found) > 0 {
		t.Fatalf("a row was written: %v", err)
	}
	must(t, open(true))
	must(t, open(false))
}
