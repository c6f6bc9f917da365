package functionstest

import (
	"crypto/sha256"
	"fmt"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/stamp"
	"arca.example/arca/shared/wire"
)

// Verify looks at the whole world from outside, through the functions alone: the log holds no entry twice and proves every
// event; journals have no gap; packs are numbered without a gap and are what the log says; nobody
// and nothing is listed twice. What was acknowledged is demanded by the step that repeats it.
func (w *World) Verify() {
	w.T.Helper()
	w.Sequence()
	entries := w.logEntries()
	for _, party := range Keyholders {
		for _, of := range []record.Digest{{}, w.Chain()} {
			w.verifyJournal(party, of, entries)
		}
		w.verifyPeople(party)
		w.verifyInbox(party)
	}
	w.verifyPacks(entries)
	w.verifyStamps(entries)
	w.verifyRepairs(func(event, random []byte) bool {
		return entries[ledger.Commit(ledger.Opening{Event: event, Random: [32]byte(random)})]
	})
}

// Stamps lists all timestamps.
func (w *World) Stamps() (all []stamp.Stamp) {
	w.T.Helper()
	for next := uint64(1); ; {
		list, err := again(w, func() (wire.Stamps, error) { return w.Vault("").Stamps(w.T.Context(), next) })
		w.must(err)
		for _, s := range list.Stamps {
			if s.Number != next || len(s.Random) != 32 {
				w.T.Fatalf("the timestamps break at %d", next)
			}
			all = append(all, stamp.Stamp{Number: s.Number, Checkpoint: s.Checkpoint, Token: s.Token, Event: s.Event, Random: [32]byte(s.Random)})
			next++
		}
		if next >= list.Next {
			return all
		}
	}
}

// verifyStamps checks every timestamp under the trust file, and that the log pins it.
func (w *World) verifyStamps(entries map[ledger.Entry]bool) {
	w.T.Helper()
	log, err := ledger.NewVerifier(ledger.Policy{Origin: w.Trust.LogOrigin, Log: w.Trust.LogKey, Witnesses: w.Trust.Witnesses, Quorum: w.Trust.Quorum})
	w.must(err)
	verifier, err := stamp.New(w.Trust.Authorities, log)
	w.must(err)
	for _, s := range w.Stamps() {
		if _, err := verifier.Check(s, w.now()); err != nil {
			w.T.Errorf("timestamp %d: %v", s.Number, err)
		}
		if !entries[s.Entry()] {
			w.T.Errorf("the log does not pin timestamp %d", s.Number)
		}
	}
}

// logEntries reads the log's entry bundles under its newest checkpoint and demands that no entry is there twice.
func (w *World) logEntries() map[ledger.Entry]bool {
	w.T.Helper()
	ctx := w.T.Context()
	signed, err := again(w, func() ([]byte, error) { return w.Vault("mirror").Checkpoint(ctx) })
	w.must(err)
	verifier, err := ledger.NewVerifier(ledger.Policy{Origin: w.Trust.LogOrigin, Log: w.Trust.LogKey, Witnesses: w.Trust.Witnesses, Quorum: w.Trust.Quorum})
	w.must(err)
	checkpoint, err := verifier.Verify(signed)
	w.must(err)
	found := map[ledger.Entry]bool{}
	for at := int64(0); at < checkpoint.Size; at += 256 {
		path := fmt.Sprintf("tile/entries/%03d", at/256)
		if left := checkpoint.Size - at; left < 256 {
			path += fmt.Sprintf(".p/%d", left)
		}
		bundle, err := again(w, func() ([]byte, error) { return w.Vault("mirror").Tile(ctx, path) })
		w.must(err)
		list, err := ledger.ParseBundle(bundle)
		w.must(err)
		for _, e := range list {
			if found[e] {
				w.T.Errorf("the log holds an entry twice")
			}
			found[e] = true
		}
	}
	if int64(len(found)) != checkpoint.Size {
		w.T.Errorf("the log has %d entries under a checkpoint of size %d", len(found), checkpoint.Size)
	}
	return found
}

// verifyJournal reads a case's events: numbers and hashes chain without a gap, and the log proves each.
func (w *World) verifyJournal(party string, of record.Digest, entries map[ledger.Entry]bool) []record.Event {
	w.T.Helper()
	var list []record.Event
	var previous record.Digest
	for from := int64(1); ; {
		page, err := again(w, func() (wire.Log, error) { return w.Keyholder(party, "auditor").Log(w.T.Context(), of, from) })
		if problem.KindOf(err) == problem.NotFound && err != nil {
			return nil // no such case here yet
		}
		w.must(err)
		for _, e := range page.Events {
			var event record.Event
			w.must(record.Unmarshal(e.Event, &event))
			if event.Number != int64(len(list))+1 || event.Previous != previous || event.Case != of || event.Author != party {
				w.T.Fatalf("%s: the journal breaks at event %d", party, len(list)+1)
			}
			if !entries[ledger.Commit(ledger.Opening{Event: e.Event, Random: [32]byte(e.Random)})] {
				w.T.Errorf("%s: the log does not hold event %d (%s)", party, event.Number, event.Kind)
			}
			previous = record.HashBytes(e.Event)
			list = append(list, event)
		}
		if len(page.Events) == 0 {
			break
		}
		from = page.Next
	}
	if kind := doneTwice(list); kind != "" {
		w.T.Errorf("%s: the same act is journalled twice: %s", party, kind)
	}
	return list
}

// doneTwice finds an act that was journalled twice and is not one that may be asked for again: a release, a refusal.
func doneTwice(list []record.Event) record.EventKind {
	seen := map[string]bool{}
	for _, e := range list {
		act := string(e.Kind) + " " + string(e.Body)
		if seen[act] && e.Kind != record.EventReleased && e.Kind != record.EventRefused {
			return e.Kind
		}
		seen[act] = true
	}
	return ""
}

func (w *World) verifyPeople(party string) {
	people, err := again(w, func() (wire.People, error) { return w.Keyholder(party, "auditor").People(w.T.Context()) })
	w.must(err)
	seen := map[string]bool{}
	for _, p := range people.People {
		if seen[p.Key] {
			w.T.Errorf("%s lists a person twice", party)
		}
		seen[p.Key] = true
	}
}

func (w *World) verifyInbox(party string) {
	inbox, err := again(w, func() (wire.Inbox, error) { return w.Keyholder(party, "investigator").Inbox(w.T.Context(), 1) })
	w.must(err)
	seen := map[string]bool{}
	for i, r := range inbox.Requests {
		if seen[r.Hash] || r.Number != int64(i)+1 {
			w.T.Errorf("%s: the inbox lists a request twice or leaves a number out", party)
		}
		if len(r.Approvals) > 1 {
			w.T.Errorf("%s: one approval is on file %d times", party, len(r.Approvals))
		}
		seen[r.Hash] = true
	}
}

// verifyPacks holds every listed pack against its number, its place in the log and, for the journey's own, its bytes.
func (w *World) verifyPacks(entries map[ledger.Entry]bool) {
	w.T.Helper()
	list, err := again(w, func() (wire.Packs, error) { return w.Vault("mirror").Packs(w.T.Context(), 1) })
	w.must(err)
	for i, p := range list.Packs {
		var event record.Event
		var body record.PackEvent
		w.must(record.Unmarshal(p.Event, &event))
		w.must(record.Unmarshal(event.Body, &body))
		if p.Number != uint64(i)+1 || body.Number != p.Number {
			w.T.Errorf("the packs' numbers break at %d", p.Number)
		}
		if !entries[ledger.Commit(ledger.Opening{Event: p.Event, Random: [32]byte(p.Random)})] {
			w.T.Errorf("the log does not hold pack %d", p.Number)
		}
		if p.Number == w.state.First && body.Pack != w.state.Whole {
			w.T.Error("the vault registered another pack than was sealed")
		}
	}
}

// Digest is the SHA-256 of bytes, as announcements carry it.
func Digest(b []byte) record.Digest { return sha256.Sum256(b) }
