package keyholder_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Every test here is an attack that worked once. Its name says what must not be possible.

// While the keyholder waits for the other one's status, a judge's denial is filed and acknowledged. What was acknowledged counts.
func TestADenialFiledWhileTheReleaseIsDecidedStopsIt(t *testing.T) {
	w, b := ready(t)
	raw, _ := w.ask(b)
	hash := w.send(raw, "supervisor")
	denial := w.approval("judge", hash, false)
	w.peerSays = func(status string) string {
		w.peerSays = nil
		must(t, w.keyholder[seal.Court].Decide(t.Context(), denial))
		return status
	}
	if _, err := w.release(seal.Court, "investigator", hash); err == nil {
		t.Fatal("a half left after the denial was acknowledged")
	}
	w.sequence()
	if _, err := w.release(seal.Court, "investigator", hash); problem.KindOf(err) != problem.Denied {
		t.Fatal("after the denial:", err)
	}
}

// A supervisor on the requester's side files approval after approval so that no place is left for the judge's no.
func TestNobodyCrowdsOutADenial(t *testing.T) {
	for _, tc := range []struct {
		name   string
		reason string
	}{{"many approvals", "considered"}, {"long approvals", strings.Repeat(`"`, 8<<10)}} {
		t.Run(tc.name, func(t *testing.T) {
			w, b := ready(t)
			raw, _ := w.ask(b)
			hash := w.send(raw)
			filed := 0
			for n := range 40 {
				name := "supervisor"
				if n%2 == 1 {
					name = fmt.Sprint("supervisor ", n)
					w.enrol(name, record.Enrolment{Roles: []record.Role{record.Supervisor}, PoliceUnit: "Unit A", Clearance: "secret"})
				}
				a := record.Approval{Approve: true, Audience: w.hash, Issued: w.now(), Expires: w.now().Add(time.Hour), Nonce: newID(), Reason: tc.reason, Request: hash}
				if w.keyholder[seal.Court].Decide(t.Context(), w.sign(name, record.TypeApproval, a)) == nil {
					filed++
				}
			}
			if filed == 0 {
				t.Fatal("nobody could approve")
			}
			no := record.Approval{Audience: w.hash, Issued: w.now(), Expires: w.now().Add(time.Hour), Nonce: newID(), Reason: strings.Repeat(`"`, 8<<10), Request: hash}
			must(t, w.keyholder[seal.Court].Decide(t.Context(), w.sign("judge", record.TypeApproval, no)))
			w.sequence()
			if _, err := w.release(seal.Court, "investigator", hash); problem.KindOf(err) != problem.Denied || !strings.Contains(problem.MessageOf(err), "was denied") {
				t.Fatal("released after a denial:", err)
			}
		})
	}
}

// Approving again must not replace a longer approval by a shorter one that somebody kept, nor lose the right to approve anew.
func TestAnApproverCountsOnceAndMayProlong(t *testing.T) {
	w, b := ready(t)
	raw, _ := w.ask(b)
	hash := w.send(raw)
	file := func(d time.Duration) (string, error) {
		a := w.sign("supervisor", record.TypeApproval, record.Approval{Approve: true, Audience: w.hash, Issued: w.now(), Expires: w.now().Add(d), Nonce: newID(), Reason: "considered", Request: hash})
		return a, w.keyholder[seal.Court].Decide(t.Context(), a)
	}
	short, err := file(time.Hour)
	must(t, err)
	if _, err = file(20 * time.Hour); err != nil {
		t.Fatal("a longer approval:", err)
	}
	if err := w.keyholder[seal.Court].Decide(t.Context(), short); problem.KindOf(err) != problem.Conflict {
		t.Fatal("an older approval came back:", err)
	}
	asked, err := w.keyholder[seal.Court].Request(t.Context(), hash)
	must(t, err)
	if len(asked.Approvals) != 1 || asked.Approvals[0].Approval.Expires != w.now().Add(20*time.Hour) {
		t.Fatal("not the longer approval alone is on file")
	}
}

// padded signs with a certificate chain that is mostly junk: only the first certificate is ever looked at.
func (w *world) padded(who string, typ record.Type, v any, junk int) string {
	w.t.Helper()
	key := w.people[who].Ed25519()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public().(ed25519.PublicKey), key)
	must(w.t, err)
	leaf, err := x509.ParseCertificate(der)
	must(w.t, err)
	raw, err := record.Sign(w.people[who], typ, w.now(), v, leaf, &x509.Certificate{Raw: make([]byte, junk)})
	must(w.t, err)
	return raw
}

// An enrolled person has a statement refused that is as long as any may be. The refusal is journalled; whoever
// audits the case must still be able to read its journal.
func TestAnOverlongRefusalDoesNotJamTheJournal(t *testing.T) {
	w, b := ready(t)
	plain, _ := w.ask(b)
	st, err := record.Peek(plain)
	must(t, err)
	var r record.Request
	must(t, record.Unmarshal(st.Payload, &r))
	r.Compartment = "privileged"
	raw := w.padded("investigator", record.TypeRequest, r, 145_300)
	if len(raw) > record.MaxBytes || len(raw) < record.MaxBytes-1000 {
		t.Fatalf("the attack's statement has %d bytes", len(raw))
	}
	if _, err := w.keyholder[seal.Court].Ask(t.Context(), raw); err == nil {
		t.Fatal("it was accepted")
	}
	w.sequence()
	if _, err := w.keyholder[seal.Court].ReadLog(t.Context(), w.person(seal.Court, "auditor"), b.unit.Order, 1); err != nil {
		t.Fatal("the auditor cannot read the journal any more:", err)
	}
}

// The rows have an end. Long members must not take the place that a revocation needs.
func TestAFullChainStillTakesASuspensionAndARevocation(t *testing.T) {
	w := newWorld(t).cast()
	chain := w.admit(w.order())
	k := w.keyholder[seal.Court]
	long := strings.Repeat("x", 8<<10)
	stop := func(kind record.OrderKind, reason string) record.Order {
		return record.Order{Audience: w.hash, Kind: kind, Profile: "ES-588ter", Court: "Court One", Chain: chain, Decided: w.now(), Reason: reason, Nonce: newID()}
	}
	// First orders that fill, then stops that fill.
	previous := chain
	for n := 1; n < 40; n++ {
		o := stop(record.Narrowing, long)
		o.Sequence, o.Previous = n, previous
		o.Grounds = record.Grounds{Offence: long, Indicia: long, Extent: long, Motivation: long}
		raw := w.sign("judge", record.TypeOrder, o)
		if _, err := k.Admit(t.Context(), raw); err != nil {
			break
		}
		previous = record.HashStatement(raw)
	}
	for range 60 {
		if _, err := k.Admit(t.Context(), w.sign("judge", record.TypeOrder, stop(record.Suspension, long))); err != nil {
			break
		}
	}
	state, err := k.Admit(t.Context(), w.sign("judge", record.TypeOrder, stop(record.Revocation, long)))
	if err != nil || !state.Revoked {
		t.Fatal("the revocation was not admitted:", err)
	}
}

// slowRoots lets time pass where a keyholder opens its ring, as a storage vendor or a paused machine can.
type slowRoots struct {
	keys.Roots
	wait func()
}

func (s slowRoots) Open(ctx context.Context, name string) (keys.Root, error) {
	if name == "ring-1" {
		s.wait()
	}
	return s.Roots.Open(ctx, name)
}

// The other keyholder's status is of this minute. Between it and the release the keyholder is held up for an hour, in
// which the other side learns of a suspension.
func TestAStatusDoesNotOutliveItsMinute(t *testing.T) {
	w, b := ready(t)
	raw, _ := w.ask(b)
	hash := w.send(raw, "supervisor")
	held := false
	w.roots[seal.Court] = slowRoots{w.roots[seal.Court], func() {
		if !held {
			held = true
			w.pass(time.Hour)
		}
	}}
	w.open(seal.Court, w.hash)
	if _, err := w.release(seal.Court, "investigator", hash); problem.KindOf(err) != problem.Unavailable {
		t.Fatal("a half left on an hour-old status:", err)
	}
	w.sequence()
	if _, err := w.release(seal.Court, "investigator", hash); err != nil {
		t.Fatal("a release that is not held up:", err)
	}
}

// An outsider knows somebody's public key and asks, with signatures that it cannot make, whether that key is enrolled here.
func TestOutsidersDoNotLearnWhoIsEnrolled(t *testing.T) {
	w, b := ready(t)
	hash := w.send(func() string { raw, _ := w.ask(b); return raw }())
	// forged signs with another key and names the victim as the author.
	forged := func(kid record.KeyID, typ record.Type, v any) string {
		outsider := newSigner(t)
		raw, err := record.Sign(outsider, typ, w.now(), v)
		must(t, err)
		return reauthor(t, raw, outsider.Public().ID(), kid)
	}
	stranger := newSigner(t).Public().ID()
	request, _ := w.ask(b)
	st, err := record.Peek(request)
	must(t, err)
	var r record.Request
	must(t, record.Unmarshal(st.Payload, &r))
	k := w.keyholder[seal.Court]
	for name, ask := range map[string]func(kid record.KeyID) error{
		"a call": func(kid record.KeyID) error {
			_, err := k.Authenticate(t.Context(), record.Call{Proof: forged(kid, record.TypeProof, record.Proof{Method: http.MethodGet}), Method: http.MethodGet})
			return err
		},
		"a call with a statement of another type": func(kid record.KeyID) error {
			_, err := k.Authenticate(t.Context(), record.Call{Proof: forged(kid, record.TypeRequest, r), Method: http.MethodGet})
			return err
		},
		"a peer's call": func(kid record.KeyID) error {
			return k.AuthenticatePeer(t.Context(), record.Call{Proof: forged(kid, record.TypeProof, record.Proof{Method: http.MethodGet}), Method: http.MethodGet})
		},
		"a request": func(kid record.KeyID) error {
			_, err := k.Ask(t.Context(), forged(kid, record.TypeRequest, r))
			return err
		},
		"a request of another type": func(kid record.KeyID) error {
			_, err := k.Ask(t.Context(), forged(kid, record.TypeOrder, w.order()))
			return err
		},
		"an approval": func(kid record.KeyID) error {
			return k.Decide(t.Context(), forged(kid, record.TypeApproval, record.Approval{Audience: w.hash, Issued: w.now(), Expires: w.now().Add(time.Hour), Request: hash}))
		},
		"an order": func(kid record.KeyID) error {
			_, err := k.Admit(t.Context(), forged(kid, record.TypeOrder, w.order()))
			return err
		},
		"a suspension": func(kid record.KeyID) error {
			return k.SuspendPerson(t.Context(), forged(kid, record.TypeSuspension, record.PersonSuspension{Audience: w.hash, Issued: w.now(), Person: kid, Reason: "x"}))
		},
	} {
		unknown := ask(stranger)
		for _, who := range []string{"investigator", "judge", "collector"} {
			if known := ask(w.people[who].Public().ID()); problem.KindOf(known) != problem.KindOf(unknown) || problem.MessageOf(known) != problem.MessageOf(unknown) {
				t.Errorf("%s tells that the %s is enrolled: %q, for a stranger %q", name, who, problem.MessageOf(known), problem.MessageOf(unknown))
			}
		}
	}
}

// reauthor puts another key id into a statement's header. Its signature no longer fits, which only a verifier finds out.
func reauthor(t testing.TB, raw string, from, to record.KeyID) string {
	t.Helper()
	parts := strings.Split(raw, ".")
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	must(t, err)
	header = []byte(strings.Replace(string(header), from.String(), to.String(), 1))
	return base64.RawURLEncoding.EncodeToString(header) + "." + parts[1] + "." + parts[2]
}

// Who works in another unit of police and got hold of a chain's hash must not learn whether that order exists or stands.
func TestAnotherUnitDoesNotLearnWhetherAnOrderStands(t *testing.T) {
	w, b := ready(t)
	ask := func(chain record.Digest) error {
		raw, _ := w.ask(b, func(r *record.Request) { r.Purpose, r.Chain = "as stranger", chain })
		_, err := w.keyholder[seal.Court].Ask(t.Context(), raw)
		return err
	}
	unknown, inForce := ask(record.Digest{1}), ask(b.unit.Order)
	w.admit(record.Order{Audience: w.hash, Kind: record.Suspension, Profile: "ES-588ter", Court: "Court One", Chain: b.unit.Order, Decided: w.now(), Reason: "wait", Nonce: newID()})
	suspended := ask(b.unit.Order)
	for name, err := range map[string]error{"in force": inForce, "suspended": suspended} {
		if problem.KindOf(err) != problem.KindOf(unknown) || problem.MessageOf(err) != problem.MessageOf(unknown) {
			t.Errorf("%s: %v; an order that does not exist: %v", name, err, unknown)
		}
	}
}

// A request lasts seven days from now, not seven days some time.
func TestARequestIsNotMadeForTheFuture(t *testing.T) {
	w, b := ready(t)
	raw, _ := w.ask(b, func(r *record.Request) {
		r.Issued = w.now().Add(30 * 24 * time.Hour)
		r.Expires = r.Issued.Add(time.Hour)
	})
	if _, err := w.keyholder[seal.Court].Ask(t.Context(), raw); problem.KindOf(err) != problem.Denied {
		t.Fatal("a request for next month:", err)
	}
}

// The storage vendor takes one row away, waits until units are made, and puts it back: nothing that was sealed before may be lost by it.
func TestARowTakenAwayAndPutBackLosesNoKey(t *testing.T) {
	w, b := ready(t)
	before := w.rows[seal.Court].Snapshot()
	for key, row := range before {
		without := maps.Clone(before)
		delete(without, key)
		w.rows[seal.Court].Restore(without)
		// Whatever the keyholder does now, with the row missing, is its own doing; most of it is refused.
		if k := w.restarted(seal.Court); k != nil {
			u := b.unit
			_, _ = k.EnsureUnit(t.Context(), u)
			u.Compartment = "privileged"
			_, _ = k.EnsureUnit(t.Context(), u)
		}
		after := w.rows[seal.Court].Snapshot()
		after[key] = row
		w.rows[seal.Court].Restore(after)
		k := w.restarted(seal.Court)
		if k == nil {
			t.Fatal("the keyholder does not start any more")
		}
		// Filing a note again opens it with the unit's key.
		if _, err := k.FileNote(t.Context(), w.person(seal.Court, "collector"), b.note(t, seal.Court)); err != nil {
			t.Errorf("a row of version %d and %d bytes: %v", row.Version, len(row.Value), err)
		}
	}
	if len(before) < 20 {
		t.Fatalf("only %d rows were tried", len(before))
	}
}

// restarted is a new process on the rows, nil if it refuses to start.
func (w *world) restarted(party seal.Role) *keyholder.Keyholder {
	k, err := keyholder.Open(w.t.Context(), keyholder.Config{
		Party: party, Rows: w.rows[party], Roots: w.roots[party], Fingerprint: w.hash, Now: w.clock(string(party)),
		Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) { return worldLog{w}, worldPeer{w, seal.Custodian} },
	})
	if err != nil {
		return nil
	}
	return k
}
