package keyholder_test

import (
	"net/http"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

func TestNobodyIsInvented(t *testing.T) {
	w := newWorld(t)
	court, custodian, root := w.offices["court registrar"], w.offices["custodian registrar"], w.offices["court root"]
	enrolment := func(roles ...record.Role) record.Enrolment {
		return record.Enrolment{Audience: w.hash, Key: newSigner(t).Public(), Name: "somebody", Roles: roles, Issued: w.now(), Expires: w.now().AddDate(1, 0, 0), Court: "Court One", PoliceUnit: "Unit A"}
	}
	for _, tc := range []struct {
		name    string
		e       record.Enrolment
		signers []*record.Signer
		ok      bool
	}{
		{"an investigator by both registrars", enrolment(record.Investigator), []*record.Signer{court, custodian}, true},
		{"an investigator by the court's registrar alone", enrolment(record.Investigator), []*record.Signer{court}, false},
		{"an investigator by the custodian's registrar twice", enrolment(record.Investigator), []*record.Signer{custodian, custodian}, false},
		{"an investigator by the court's root alone", enrolment(record.Investigator), []*record.Signer{root}, false},
		{"a judge by the court's root alone", enrolment(record.Judge), []*record.Signer{root}, true},
		{"a judge by both registrars", enrolment(record.Judge), []*record.Signer{court, custodian}, false},
		{"a judge by the custodian's root", enrolment(record.Judge), []*record.Signer{w.offices["custodian root"]}, false},
		{"an auditor who also supervises", enrolment(record.Auditor, record.Supervisor), []*record.Signer{court, custodian}, false},
	} {
		joint, err := record.SignJoint(record.TypeEnrolment, w.now(), tc.e, tc.signers...)
		must(t, err)
		for _, party := range parties {
			if _, err := w.keyholder[party].Enrol(t.Context(), joint); (err == nil) != tc.ok {
				t.Errorf("%s: %s: %v", party, tc.name, err)
			}
		}
	}
}

func TestAPartysKeyIsNobodysKey(t *testing.T) {
	w := newWorld(t)
	joint := w.enrolment(w.offices["court registrar"], "registrar as investigator", record.Enrolment{Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit A"})
	if _, err := w.keyholder[seal.Custodian].Enrol(t.Context(), joint); problem.KindOf(err) != problem.Denied {
		t.Fatal(err)
	}
}

func TestAnOlderEnrolmentReplacesNothing(t *testing.T) {
	w := newWorld(t)
	s := newSigner(t)
	older := w.enrolment(s, "wide", record.Enrolment{Roles: []record.Role{record.Investigator, record.Supervisor}, PoliceUnit: "Unit A"})
	w.pass(time.Hour)
	newer := w.enrolment(s, "narrow", record.Enrolment{Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit A"})
	k := w.keyholder[seal.Court]
	for _, joint := range []record.Joint{older, newer, newer} {
		_, err := k.Enrol(t.Context(), joint)
		must(t, err)
	}
	if _, err := k.Enrol(t.Context(), older); problem.KindOf(err) != problem.Conflict {
		t.Fatal("a role that was taken away came back:", err)
	}
}

func TestOneRegistrarSuspendsAtOnce(t *testing.T) {
	w := newWorld(t).cast()
	id := w.people["investigator"].Public().ID()
	suspend := func(s *record.Signer) error {
		raw, err := record.Sign(s, record.TypeSuspension, w.now(), record.PersonSuspension{Audience: w.hash, Issued: w.now(), Nonce: newID(), Person: id, Reason: "lost card"})
		must(t, err)
		return w.keyholder[seal.Court].SuspendPerson(t.Context(), raw)
	}
	if err := suspend(w.people["supervisor"]); problem.KindOf(err) != problem.Denied {
		t.Fatal("a supervisor suspended somebody:", err)
	}
	must(t, suspend(w.offices["custodian registrar"]))
	if _, err := w.keyholder[seal.Court].Person(t.Context(), id); problem.KindOf(err) != problem.Denied {
		t.Fatal("a suspended person is in service:", err)
	}
}

func TestUnitsAreForCollectorsAndThePeer(t *testing.T) {
	w := newWorld(t).cast()
	k := w.keyholder[seal.Court]
	call := func(s *record.Signer) record.Call {
		req, err := http.NewRequest("POST", "https://court.test/v1/status", nil)
		must(t, err)
		must(t, wire.SignCall(s, req, []byte("{}"), w.now()))
		return record.Call{Proof: req.Header.Get(record.ProofHeader), Method: "POST", URL: "https://court.test/v1/status", Body: []byte("{}")}
	}
	for s, ok := range map[*record.Signer]bool{
		w.people["collector"]: true, w.keyholder[seal.Custodian].Signer(): true, w.people["investigator"]: false, w.people["auditor"]: false,
		newSigner(t): false, k.Signer(): false,
	} {
		if err := k.AuthenticatePeer(t.Context(), call(s)); (err == nil) != ok {
			t.Errorf("%v: %v", s, err)
		}
	}
}

func TestEnrolledAtOneSideOnlyStopsReleases(t *testing.T) {
	w, b := ready(t)
	raw, _ := w.ask(b)
	hash := w.send(raw, "supervisor")
	joint := w.enrolment(newSigner(t), "late", record.Enrolment{Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit A"})
	_, err := w.keyholder[seal.Court].Enrol(t.Context(), joint)
	must(t, err)
	w.refused(hash, problem.Denied, "do not hold the same")
	_, err = w.keyholder[seal.Custodian].Enrol(t.Context(), joint)
	must(t, err)
	for _, party := range parties {
		if _, err := w.release(party, "investigator", hash); err != nil {
			t.Errorf("%s still refuses: %v", party, err)
		}
	}
}

// Who makes a bundle shows with both keyholders' word that no member of the order is missing: the people whom a chain concerns are told,
// others learn no more than of a chain that does not exist.
func TestWhoIsToldAStatus(t *testing.T) {
	w := newWorld(t).cast()
	chain := w.admit(w.order())
	k := w.keyholder[seal.Court]
	stranger := newSigner(t)
	joint := w.enrolment(stranger, "of another unit", record.Enrolment{Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit Z"})
	_, err := k.Enrol(t.Context(), joint)
	must(t, err)
	for s, want := range map[*record.Signer]problem.Kind{
		w.people["collector"]: "", w.keyholder[seal.Custodian].Signer(): "", w.people["investigator"]: "", w.people["judge"]: "", w.people["auditor"]: "",
		stranger: problem.NotFound, newSigner(t): problem.Denied, k.Signer(): problem.Denied,
	} {
		req, err := http.NewRequest("POST", "https://court.test/v1/status", nil)
		must(t, err)
		must(t, wire.SignCall(s, req, nil, w.now()))
		err = k.AuthenticateAsker(t.Context(), record.Call{Proof: req.Header.Get(record.ProofHeader), Method: "POST", URL: "https://court.test/v1/status"}, []record.Digest{chain})
		if (err == nil) != (want == "") || err != nil && problem.KindOf(err) != want {
			t.Errorf("%v: %v", s, err)
		}
	}
}
