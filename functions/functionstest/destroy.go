package functionstest

import (
	"fmt"
	"time"

	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

// undo is longer than any time in which a judge may take a destruction back.
const undo = 9 * 24 * time.Hour

// Closing is the collector's word that nothing more of the journey's unit will come.
func (w *World) Closing() string {
	u, st := w.Unit(), w.note("court").Statement
	return w.Sign("collector", record.TypeClosed, record.Closed{
		Audience: w.Hash, Chain: u.Order, Classification: u.Classification, Compartment: u.Compartment, Week: u.Week,
		Issued: w.Trust.Issued, Nonce: nonce("closing"), Number: st.Number, Statement: record.Digest(st.Hash()),
	})
}

// CloseUnit hands it to a keyholder.
func (w *World) CloseUnit(party string) error {
	w.Seed("close " + party)
	return w.Try(func() error { return w.Keyholder(party, "").CloseUnit(w.T.Context(), w.Closing()) })
}

// Doomed is the recording that the judge orders destroyed.
func (w *World) Doomed() record.Reference {
	n := w.note("court")
	return record.Reference{Batch: record.ID(n.Statement.Batch), Recording: record.ID(n.Members[0].Recording)}
}

// Decision is that order.
func (w *World) Decision() string {
	return w.Sign("judge", record.TypeOrder, record.Order{
		Audience: w.Hash, Kind: record.Destruction, Profile: "ES-588ter", Court: "Court One", Chain: w.Chain(), Decided: w.Trust.Issued,
		Reason: "of no relevance", Recordings: []record.Reference{w.Doomed()}, Nonce: nonce("decision"),
	})
}

// Condemn admits the decision at a keyholder.
func (w *World) Condemn(party string) error {
	w.Seed("condemn " + party)
	return w.Try(func() error { _, err := w.Keyholder(party, "").Admit(w.T.Context(), w.Decision()); return err })
}

// Destroy has a keyholder carry out what it may.
func (w *World) Destroy(party string) error {
	w.Seed("destroy " + party)
	return w.Try(func() error { return w.Keyholder(party, "judge").Destroy(w.T.Context()) })
}

// Copies lists two copies of a keyholder's roots and confirms that the second was destroyed, as its operator does.
func (w *World) Copies(keyholder string) {
	w.T.Helper()
	k, err := party.Keyholder(w.desks[keyholder])(w.T.Context())
	w.must(err)
	for _, name := range []string{"in the safe", "in the old safe"} {
		w.must(k.ListCopy(w.T.Context(), name))
	}
	w.must(k.ConfirmBackup(w.T.Context(), "in the old safe"))
}

// Condemned has the unit closed and the decision admitted and in the witnessed log, after the time in which it could be taken back.
func Condemned(w *World) {
	w.T.Helper()
	Noted(w)
	w.both(w.CloseUnit)
	w.both(w.Condemn)
	w.Advance(undo)
	w.Sequence()
}

// Shredded demands that both keyholders have destroyed the one recording, hold certificates of it that the log proves, and release the others.
func (w *World) Shredded() {
	w.T.Helper()
	w.Sequence()
	for _, party := range Keyholders {
		list, err := again(w, func() (wire.Destructions, error) {
			return w.Keyholder(party, "auditor").Destructions(w.T.Context(), w.Chain())
		})
		w.must(err)
		if len(list.Destructions) != 1 {
			w.T.Fatalf("%s lists %d destructions", party, len(list.Destructions))
		}
		d := list.Destructions[0]
		if d.State != record.DestructionDone || d.Recordings != 1 || d.Certificate == nil || d.Certificate.State != wire.StateProven {
			w.T.Errorf("%s: %+v", party, d)
		}
		left := len(w.note(party).Members) - 1
		all := w.ask("survivors of "+party, nil)
		if r, err := w.releaseOf(party, all); err != nil || r.Total != left {
			w.T.Errorf("%s releases %d of %d survivors: %v", party, r.Total, left, err)
		}
		gone := w.ask("the destroyed of "+party, []record.Reference{w.Doomed()})
		if _, err := w.releaseOf(party, gone); problem.KindOf(err) != problem.Gone {
			w.T.Errorf("%s releases what was destroyed: %v", party, err)
		}
		if err := w.FileNote(party); problem.KindOf(err) != problem.Gone {
			w.T.Errorf("%s files in a unit that is gone: %v", party, err)
		}
	}
}

// ask has a request made now, approved, at both keyholders and in the log.
func (w *World) ask(label string, recordings []record.Reference) record.Digest {
	w.T.Helper()
	now := w.now()
	raw := w.ChangedRequest("investigator", func(r *record.Request) {
		r.Issued, r.Expires, r.Nonce, r.Recordings = now, now.Add(24*time.Hour), nonce(fmt.Sprint(label, now)), recordings
	})
	hash := record.HashStatement(raw)
	approval := w.Sign("supervisor", record.TypeApproval, record.Approval{
		Approve: true, Audience: w.Hash, Issued: now, Expires: now.Add(24 * time.Hour), Nonce: nonce(fmt.Sprint("approval ", label, now)), Reason: "considered", Request: hash,
	})
	w.both(func(party string) error {
		return w.Try(func() error { _, err := w.Keyholder(party, "").Ask(w.T.Context(), raw); return err })
	})
	w.both(func(party string) error {
		return w.Try(func() error { return w.Keyholder(party, "").Decide(w.T.Context(), approval) })
	})
	w.Sequence()
	return hash
}

func (w *World) releaseOf(party string, hash record.Digest) (r record.Release, err error) {
	raw, err := again(w, func() (string, error) { return w.Keyholder(party, "investigator").Release(w.T.Context(), hash, 0) })
	if err != nil {
		return r, err
	}
	_, err = record.Open(raw, record.TypeRelease, w.Trust.Party(party).Online, &r)
	return r, err
}

// destroy is the journey's part on destruction: one recording goes, at both keyholders, the others stay.
func (w *World) destroy() {
	w.T.Helper()
	w.both(w.CloseUnit)
	w.both(w.Condemn)
	w.Advance(undo)
	w.Sequence()
	w.both(w.Destroy)
	w.Sequence()
	for _, party := range Keyholders {
		w.Tick(party, "destroy")
		ask := w.UnitAsk()
		ask.Compartment = "privileged"
		w.must(w.Try(func() error { _, _, err := w.Keyholder(party, "collector").Units(w.T.Context(), ask); return err }))
	}
	w.Shredded()
}
