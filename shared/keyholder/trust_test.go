package keyholder_test

import (
	"testing"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// successor drafts and signs the next trust file; change may replace offices in w.offices too, whose keys it then names.
func (w *world) successor(overlap int, change func(*record.Trust)) record.Joint {
	w.t.Helper()
	eras := w.trust.Eras()
	next := *eras[len(eras)-1].Trust
	next.Version, next.Issued, next.Overlap = next.Version+1, w.now(), overlap
	if next.Previous = eras[len(eras)-1].Hash; next.Version == 2 {
		next.Previous = w.hash
	}
	roots := []*record.Signer{w.offices["court root"], w.offices["custodian root"]}
	change(&next)
	for _, s := range []*record.Signer{w.offices["court root"], w.offices["custodian root"]} {
		if !s.Public().Equal(roots[0].Public()) && !s.Public().Equal(roots[1].Public()) {
			roots = append(roots, s)
		}
	}
	joint, err := record.SignJoint(record.TypeTrust, w.now(), next, roots...)
	must(w.t, err)
	return joint
}

// put brings a trust file into force at both keyholders, the court's log entry witnessed in between.
func (w *world) put(joint record.Joint) {
	w.t.Helper()
	link := w.logTrust(joint)
	for _, party := range parties {
		must(w.t, w.keyholder[party].PutTrust(w.t.Context(), link))
	}
	w.follow()
}

// follow takes the trust files over from the court, as everybody does.
func (w *world) follow() {
	w.t.Helper()
	chain, err := w.keyholder[seal.Court].TrustChain(w.t.Context())
	must(w.t, err)
	now, err := ledger.OpenTrust(chain, w.hash)
	must(w.t, err)
	w.trust = *now
}

// logTrust has the court log a trust file and gives it with the proof.
func (w *world) logTrust(joint record.Joint) record.TrustLink {
	w.t.Helper()
	court := w.keyholder[seal.Court]
	must(w.t, court.PutTrust(w.t.Context(), record.TrustLink{Trust: joint}))
	w.sequence()
	chain, err := court.TrustChain(w.t.Context())
	must(w.t, err)
	link := chain[len(chain)-1]
	proof, err := worldLog{w}.Proof(w.t.Context(), ledger.Commit(ledger.Opening{Event: link.Entry.Event, Random: [32]byte(link.Entry.Random)}))
	must(w.t, err)
	link.Entry.Proof = string(proof)
	return link
}

func (w *world) nextOnline(party seal.Role) record.PublicKey {
	w.t.Helper()
	key, err := w.keyholder[party].NextOnline(w.t.Context())
	must(w.t, err)
	return key
}

// TestKeysOfAKeyholderAreReplaced: online key, registrar and root of both sides; what was admitted before stands, what the replaced keys say later does not.
func TestKeysOfAKeyholderAreReplaced(t *testing.T) {
	w, b := ready(t)
	ctx := t.Context()
	chain := b.unit.Order
	before := *w.people["judge"]
	old := map[string]*record.Signer{}
	for name, s := range w.offices {
		old[name] = s
	}
	oldCourt := w.keyholder[seal.Court].Signer()
	w.put(w.successor(0, func(n *record.Trust) {
		for _, party := range parties {
			into := map[seal.Role]*record.PartyKeys{seal.Court: &n.Court, seal.Custodian: &n.Custodian}[party]
			into.Online = w.nextOnline(party)
			for office, key := range map[string]*record.PublicKey{"root": &into.Root, "registrar": &into.Registrar} {
				s := newSigner(t)
				w.offices[string(party)+" "+office], *key = s, s.Public()
			}
		}
	}))
	w.pass(time.Minute)

	status, _, err := w.keyholder[seal.Court].Status(ctx, newID(), chain)
	must(t, err)
	if _, err := w.trust.OpenOnline(status, record.TypeStatus, "court", w.now(), nil); err != nil {
		t.Errorf("the court speaks with another key: %v", err)
	}
	forged, err := record.Sign(oldCourt, record.TypeStatus, w.now(), record.Status{})
	must(t, err)
	if _, err := w.trust.OpenOnline(forged, record.TypeStatus, "court", w.now(), nil); err == nil {
		t.Error("the court's replaced key still speaks for it")
	}
	// The order stands; its judge, whom the old root made, is enrolled again or lapses.
	if _, err := w.keyholder[seal.Court].Person(ctx, before.Public().ID()); problem.KindOf(err) != problem.Denied {
		t.Errorf("a judge of a replaced root is in office: %v", err)
	}
	if _, err := w.keyholder[seal.Court].Person(ctx, w.people["investigator"].Public().ID()); err != nil {
		t.Errorf("whom replaced registrars had enrolled is not: %v", err)
	}
	again := w.enrolment(&before, "judge", record.Enrolment{Roles: []record.Role{record.Judge}, Court: "Court One", Clearance: "secret"})
	for _, party := range parties {
		_, err := w.keyholder[party].Enrol(ctx, again)
		must(t, err)
	}
	if _, err := w.keyholder[seal.Custodian].Person(ctx, before.Public().ID()); err != nil {
		t.Errorf("enrolled again by the new root: %v", err)
	}
	now := w.offices
	w.offices = old
	w.pass(-time.Hour) // the thief dates it back
	late := w.enrolment(newSigner(t), "invented", record.Enrolment{Roles: []record.Role{record.Supervisor}, PoliceUnit: "Unit A"})
	w.pass(time.Hour)
	w.offices = now
	for _, party := range parties {
		if _, err := w.keyholder[party].Enrol(ctx, late); problem.KindOf(err) != problem.Denied {
			t.Errorf("the %s takes an enrolment by replaced registrars: %v", party, err)
		}
	}
	// A new process finds which of its keys speaks.
	w.open(seal.Court, w.hash)
	if !w.keyholder[seal.Court].Online().Equal(w.trust.Court.Online) {
		t.Error("a new process speaks with a replaced key")
	}
}

// TestTwoTrustFilesOfOneVersion: the second is refused by whoever has the first, in force or not.
func TestTwoTrustFilesOfOneVersion(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	key := w.nextOnline(seal.Court)
	one := w.successor(24, func(n *record.Trust) { n.Court.Online = key })
	other := w.successor(23, func(n *record.Trust) { n.Court.Online = key })
	link := w.logTrust(one)
	if err := w.keyholder[seal.Court].PutTrust(ctx, record.TrustLink{Trust: other}); problem.KindOf(err) != problem.Conflict {
		t.Errorf("a fork, the first not yet in force: %v", err)
	}
	for _, party := range parties {
		for range 2 {
			must(t, w.keyholder[party].PutTrust(ctx, link))
		}
		if err := w.keyholder[party].PutTrust(ctx, record.TrustLink{Trust: other, Entry: link.Entry}); problem.KindOf(err) != problem.Conflict {
			t.Errorf("a fork at the %s: %v", party, err)
		}
	}
	if err := w.keyholder[seal.Custodian].PutTrust(ctx, record.TrustLink{Trust: w.successor(0, func(n *record.Trust) { n.Version++ })}); err == nil {
		t.Error("a trust file after a gap is taken")
	}
}

// TestATrustFileNamesAKeyThatItsKeyholderHas: any other would make all that it signs worthless.
func TestATrustFileNamesAKeyThatItsKeyholderHas(t *testing.T) {
	w := newWorld(t)
	joint := w.successor(0, func(n *record.Trust) { n.Court.Online = newSigner(t).Public() })
	if err := w.keyholder[seal.Court].PutTrust(t.Context(), record.TrustLink{Trust: joint}); problem.KindOf(err) != problem.Denied {
		t.Errorf("a stranger's online key: %v", err)
	}
}

// TestARolledBackTrustFileIsNoticed: a keyholder whose storage brings the trust file before the last back says another version in its status, and
// nothing is released.
func TestARolledBackTrustFileIsNoticed(t *testing.T) {
	w, b := ready(t)
	raw, _ := w.ask(b)
	hash := w.send(raw, "supervisor")
	w.sequence()
	rows := w.rows[seal.Custodian]
	saved := rows.Snapshot()
	key := w.nextOnline(seal.Court)
	w.put(w.successor(24, func(n *record.Trust) { n.Court.Online = key }))
	w.pass(2 * time.Second)
	w.sequence()
	if _, err := w.release(seal.Court, "investigator", hash); err != nil {
		t.Fatalf("the control: %v", err)
	}
	rows.Restore(saved)
	w.open(seal.Custodian, w.hash)
	if _, err := w.release(seal.Court, "investigator", hash); err == nil {
		t.Error("released on the status of a keyholder that was rolled back to an older trust file")
	}
}
