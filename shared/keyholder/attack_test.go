package keyholder_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store/storetest"
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

// padded signs with a certificate chain whose second certificate is mostly junk: only the first is ever looked at.
func (w *world) padded(who string, typ record.Type, v any, junk int) string {
	w.t.Helper()
	key := w.people[who].Ed25519()
	certificate := func(extensions ...pkix.Extension) *x509.Certificate {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: w.now(), NotAfter: w.now().AddDate(1, 0, 0), ExtraExtensions: extensions}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public().(ed25519.PublicKey), key)
		must(w.t, err)
		c, err := x509.ParseCertificate(der)
		must(w.t, err)
		return c
	}
	filler := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999}, Value: make([]byte, junk)}
	raw, err := record.Sign(w.people[who], typ, w.now(), v, certificate(), certificate(filler))
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
	junk := 140_000
	junk += (record.MaxBytes - len(w.padded("investigator", record.TypeRequest, r, junk)) - 50) * 9 / 16
	raw := w.padded("investigator", record.TypeRequest, r, junk)
	if len(raw) > record.MaxBytes || len(raw) < record.MaxBytes-200 {
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
	// First orders that fill, to the brim with short ones, then stops that fill.
	previous, n := chain, 1
	for _, text := range []string{long, long[:1<<10], "x"} {
		for ; n < 400; n++ {
			o := stop(record.Narrowing, text)
			o.Sequence, o.Previous = n, previous
			o.Grounds = record.Grounds{Offence: text, Indicia: text, Extent: text, Motivation: text}
			raw := w.sign("judge", record.TypeOrder, o)
			if _, err := k.Admit(t.Context(), raw); err != nil {
				break
			}
			previous = record.HashStatement(raw)
		}
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
			_, _, _ = k.EnsureUnits(t.Context(), u)
			u.Compartment = "privileged"
			_, _, _ = k.EnsureUnits(t.Context(), u)
		}
		after := w.rows[seal.Court].Snapshot()
		after[key] = row
		w.rows[seal.Court].Restore(after)
		k := w.restarted(seal.Court)
		if k == nil {
			t.Fatal("the keyholder does not start any more")
		}
		// Filing a note again opens it with the unit's key.
		if _, _, err := k.FileNotes(t.Context(), w.person(seal.Court, "collector"), b.note(t, seal.Court)); err != nil {
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

// Somebody who got a new key has two in service until the old one ends: one as investigator, one as supervisor since the
// promotion. They are one person, who does not answer for their own request.
func TestOnePersonWithTwoKeysIsOnePerson(t *testing.T) {
	w, b := ready(t)
	w.enrol("officer 7", record.Enrolment{Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit A", Clearance: "secret"})
	asks := w.people["officer 7"]
	w.enrol("officer 7", record.Enrolment{Roles: []record.Role{record.Supervisor}, PoliceUnit: "Unit A", Clearance: "secret"})
	raw, _ := w.ask(b)
	st, err := record.Peek(raw)
	must(t, err)
	var r record.Request
	must(t, record.Unmarshal(st.Payload, &r))
	raw, err = record.Sign(asks, record.TypeRequest, w.now(), r)
	must(t, err)
	hash := w.send(raw)
	for _, party := range parties {
		if err := w.keyholder[party].Decide(t.Context(), w.approval("officer 7", hash, true)); problem.KindOf(err) != problem.Denied {
			t.Errorf("%s took an approval of one's own request under another key: %v", party, err)
		}
	}
	w.sequence()
	p, err := w.keyholder[seal.Court].Person(t.Context(), asks.Public().ID())
	must(t, err)
	if _, err := w.keyholder[seal.Court].Release(t.Context(), p, hash, 0); problem.KindOf(err) != problem.Denied {
		t.Fatal("one person alone got a half:", err)
	}
}

// lyingLog is a vault that answers for a proof with a refusal in words of its own.
type lyingLog struct {
	worldLog
	says error
}

func (l lyingLog) Proof(context.Context, ledger.Entry) ([]byte, error) { return nil, l.says }

// The vault's words reach neither the person who asked nor the case's journal, and its refusal is not a keyholder's.
func TestTheVaultDoesNotSpeakForAKeyholder(t *testing.T) {
	w, b := ready(t)
	raw, _ := w.ask(b)
	hash := w.send(raw, "supervisor")
	for _, kind := range []problem.Kind{problem.Denied, problem.Gone, problem.Invalid, problem.Internal} {
		k, err := keyholder.Open(t.Context(), keyholder.Config{
			Party: seal.Court, Rows: w.rows[seal.Court], Roots: w.roots[seal.Court], Fingerprint: w.hash, Now: w.now,
			Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) {
				return lyingLog{worldLog{w}, problem.New(kind, "access was revoked; call 555 0100")}, worldPeer{w, seal.Custodian}
			},
		})
		must(t, err)
		_, err = k.Release(t.Context(), w.person(seal.Court, "investigator"), hash, 0)
		if problem.KindOf(err) != problem.Unavailable || strings.Contains(problem.MessageOf(err), "555") {
			t.Errorf("%s: %q (%s)", kind, problem.MessageOf(err), problem.KindOf(err))
		}
		lines, err := k.Journal(t.Context(), b.unit.Order, 1, 1000)
		must(t, err)
		for _, line := range lines {
			if strings.Contains(string(line.Opened), "call 555 0100") {
				t.Errorf("%s: the vault wrote in the journal", kind)
			}
		}
	}
}

// Registrars enrol until the register is full. Taking somebody out of service must still be possible, for everybody in it.
func TestAFullRegisterStillTakesSuspensions(t *testing.T) {
	w := newWorld(t).cast()
	k := w.keyholder[seal.Court]
	for _, filled := range []struct{ enrolled, suspended int }{{1800, 0}, {1890, 1886}} {
		must(t, k.FillRoster(t.Context(), filled.enrolled, filled.suspended))
		full := false
		for n := range 200 {
			s := newSigner(t)
			joint := w.enrolment(s, fmt.Sprint("person ", n), record.Enrolment{Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit A", Clearance: "secret"})
			if _, err := k.Enrol(t.Context(), joint); err != nil {
				full = true
				break
			}
		}
		if !full {
			t.Fatal("the register has no end")
		}
		for _, name := range []string{"investigator", "supervisor", "stranger", "collector"} {
			person := w.people[name].Public().ID()
			raw, err := record.Sign(w.offices["court registrar"], record.TypeSuspension, w.now(), record.PersonSuspension{Audience: w.hash, Issued: w.now(), Nonce: newID(), Person: person, Reason: "left"})
			must(t, err)
			if err := k.SuspendPerson(t.Context(), raw); err != nil {
				t.Fatalf("%d enrolled: a suspension is refused: %v", filled.enrolled, err)
			}
		}
	}
}

// A reader has forty statements refused and files forty requests, each as long as any may be. An answer of more than the few
// megabytes that a function may give reaches nobody: the auditor must get the journal, and the supervisor the inbox, in pages that fit.
func TestLongStatementsJamNeitherJournalNorInbox(t *testing.T) {
	w, b := ready(t)
	k := w.keyholder[seal.Court]
	plain, _ := w.ask(b)
	st, err := record.Peek(plain)
	must(t, err)
	var r record.Request
	must(t, record.Unmarshal(st.Payload, &r))
	for n := range 80 {
		r.Nonce, r.Compartment = newID(), map[bool]string{true: "main", false: "privileged"}[n%2 == 0]
		_, _ = k.Ask(t.Context(), w.padded("investigator", record.TypeRequest, r, 60_000))
	}
	w.sequence()
	const most = 4 << 20 // in JSON, well below what Lambda and the clients take
	events, asked := 0, 0
	for from := int64(1); ; {
		page, err := k.ReadLog(t.Context(), w.person(seal.Court, "auditor"), b.unit.Order, from)
		must(t, err)
		if size := sizeOf(t, page); size > most {
			t.Fatalf("a page of the journal has %d bytes", size)
		}
		if events += len(page.Events); len(page.Events) == 0 {
			break
		}
		from = page.Next
	}
	for from := int64(1); ; {
		page, err := k.InboxOf(t.Context(), w.person(seal.Court, "supervisor"), from)
		must(t, err)
		if size := sizeOf(t, page); size > most {
			t.Fatalf("a page of the inbox has %d bytes", size)
		}
		if asked += len(page.Requests); len(page.Requests) == 0 {
			break
		}
		from = page.Next
	}
	if events < 80 || asked != 40 {
		t.Fatalf("%d events and %d requests were shown", events, asked)
	}
}

func sizeOf(t testing.TB, v any) int {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return len(b)
}

// Somebody was enrolled as supervisor and, later, as investigator only. The storage vendors of both keyholders take away one row
// each, and the first enrolment is sent again, as anybody can who has kept it.
func TestAnOlderEnrolmentDoesNotComeBackWhenARowIsTakenAway(t *testing.T) {
	w := newWorld(t).cast()
	s := newSigner(t)
	before := map[seal.Role]storetest.Snapshot{}
	for _, party := range parties {
		before[party] = w.rows[party].Snapshot()
	}
	older := w.enrolment(s, "officer 9", record.Enrolment{Roles: []record.Role{record.Supervisor}, PoliceUnit: "Unit A", Clearance: "secret"})
	w.pass(time.Hour)
	newer := w.enrolment(s, "officer 9", record.Enrolment{Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit A", Clearance: "secret"})
	for _, party := range parties {
		for _, joint := range []record.Joint{older, newer} {
			_, err := w.keyholder[party].Enrol(t.Context(), joint)
			must(t, err)
		}
		now := w.rows[party].Snapshot()
		for key := range now {
			if _, old := before[party][key]; old {
				continue
			}
			without := maps.Clone(now)
			delete(without, key)
			w.rows[party].Restore(without)
			_, _ = w.keyholder[party].Enrol(t.Context(), older)
			if p, err := w.keyholder[party].Person(t.Context(), s.Public().ID()); err == nil && p.Enrolment.Of(record.Supervisor) {
				t.Errorf("%s: the older enrolment is in force again", party)
			}
		}
		w.rows[party].Restore(now)
	}
}

// A malicious collector fills a unit with batches as large as any may be. Whoever then asks for the whole unit must still get it: what
// one page of the answer takes in memory must not grow with what lies in the unit.
func TestAFilledUnitDoesNotExhaustARelease(t *testing.T) {
	w, first := ready(t)
	u, keysOf := w.unit(first.unit.Order)
	contents := make([]string, seal.MaxMembers)
	for i := range contents {
		contents[i] = "x"
	}
	const batches = 24
	for previous, n := first.signed.Statement, 0; n < batches; n++ {
		b := w.sealBatch(u, keysOf, previous, contents...)
		_, _, err := w.keyholder[seal.Court].FileNotes(t.Context(), w.person(seal.Court, "collector"), b.note(t, seal.Court))
		must(t, err)
		previous = b.signed.Statement
	}
	raw, _ := w.ask(first, func(r *record.Request) { r.Recordings = nil })
	hash := w.send(raw, "supervisor")
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var most uint64
	w.roots[seal.Court] = slowRoots{w.roots[seal.Court], func() { most = max(most, live()) }}
	w.open(seal.Court, w.hash)
	before := live()
	r, err := w.release(seal.Court, "investigator", hash)
	must(t, err)
	if r.Total != 2+batches*seal.MaxMembers || len(r.Items) == 0 {
		t.Fatalf("%d of %d items", len(r.Items), r.Total)
	}
	if most > before+2<<20 {
		t.Fatalf("a page of %d items held %d KiB", len(r.Items), (most-before)>>10)
	}
	seen := map[record.Reference]bool{}
	for from := 0; from < 2*len(r.Items)+2; from += len(r.Items) {
		raw, err := w.keyholder[seal.Court].Release(t.Context(), w.person(seal.Court, "investigator"), hash, from)
		must(t, err)
		var page record.Release
		_, err = record.Open(raw, record.TypeRelease, w.keyholder[seal.Court].Online(), &page)
		must(t, err)
		for _, item := range page.Items {
			seen[record.Reference{Batch: item.Batch, Recording: item.Recording}] = true
		}
	}
	if len(seen) != 3*len(r.Items) {
		t.Fatalf("three pages hold %d different recordings", len(seen))
	}
}

// A judge who was just suspended has an order admitted at the same moment: the suspension is acknowledged between the check of the
// judge and the order's commit.
func TestASuspendedJudgesOrderDoesNotSlipIn(t *testing.T) {
	w := newWorld(t).cast()
	judge := w.people["judge"].Public().ID()
	suspension, err := record.Sign(w.offices["court registrar"], record.TypeSuspension, w.now(), record.PersonSuspension{Audience: w.hash, Issued: w.now(), Nonce: newID(), Person: judge, Reason: "removed"})
	must(t, err)
	raw := w.sign("judge", record.TypeOrder, w.order())
	for after := 1; after < 12; after++ { // the clock is read before and after the check; any of these moments may be the one
		rows := w.rows[seal.Court].Snapshot()
		var k *keyholder.Keyholder
		looks, done := 0, false // done: suspended before the order was written
		open := func(now func() time.Time) *keyholder.Keyholder {
			k, err := keyholder.Open(t.Context(), keyholder.Config{
				Party: seal.Court, Rows: w.rows[seal.Court], Roots: w.roots[seal.Court], Fingerprint: w.hash, Now: now,
				Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) { return worldLog{w}, worldPeer{w, seal.Custodian} },
			})
			must(t, err)
			return k
		}
		other := open(w.now)
		k = open(func() time.Time {
			if looks++; looks == after {
				chains, err := other.Chains(t.Context())
				must(t, err)
				done = len(chains) == 0
				must(t, other.SuspendPerson(t.Context(), suspension))
			}
			return w.now()
		})
		_, err := k.Admit(t.Context(), raw)
		chains, listErr := other.Chains(t.Context())
		must(t, listErr)
		if wrote := len(chains) > 0; done && wrote {
			t.Errorf("at look %d: the order of a suspended judge is in force: %v", after, err)
		}
		w.rows[seal.Court].Restore(rows)
	}
}
