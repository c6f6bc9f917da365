package bundle

import (
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Disclosure is the receipt of a bundle's disclosure, a file beside it: the entry that says so in each keyholder's journal of the case, with
// what opens and proves it in the witnessed log. It cannot be in the bundle, whose hash it names.
type Disclosure struct {
	Audience  record.Digest `json:"aud"`
	Bundle    record.Digest `json:"bundle"`    // SHA-256 of the file
	Enrolment record.Joint  `json:"enrolment"` // of who made it
	Events    []LogProof    `json:"events"`    // court, custodian
	Version   int           `json:"version"`
}

// Disclosed is what a verified Disclosure says.
type Disclosed struct {
	Bundle    record.Digest `json:"bundle"`
	By        string        `json:"by"`
	Case      string        `json:"case,omitempty"`  // of another court's, for which it was made
	Court     string        `json:"court,omitempty"` //
	Reason    string        `json:"reason,omitempty"`
	To        string        `json:"to,omitempty"`
	Made      time.Time     `json:"made"`
	Witnessed time.Time     `json:"witnessed"` // latest of the two proofs' earliest cosignatures
}

// readDisclosed gives the act in an event that says that a bundle was disclosed.
func readDisclosed(p LogProof) (e record.Event, statement string, a record.Act, err error) {
	if err := record.Unmarshal(p.Event, &e); err != nil {
		return e, "", a, err
	}
	var body record.StatementEvent
	if e.Kind != record.EventDisclosed {
		return e, "", a, denied("this event is of something else than a disclosure")
	}
	if err := record.Unmarshal(e.Body, &body); err != nil {
		return e, "", a, err
	}
	st, err := record.Peek(body.Statement)
	if err != nil {
		return e, "", a, err
	}
	return e, body.Statement, a, record.Unmarshal(st.Payload, &a)
}

// Discloses tells whether an event says that a bundle was disclosed. Nothing of it is verified.
func Discloses(p LogProof, bundle record.Digest) bool {
	_, _, a, err := readDisclosed(p)
	return err == nil && a.Bundle == bundle
}

// VerifyDisclosure checks the receipt of a disclosure under a pinned trust file.
func VerifyDisclosure(trust *record.Trust, audience record.Digest, raw []byte) (Disclosed, error) {
	var d Disclosure
	if err := unmarshal(raw, &d, MaxReceipt, "the receipt of a disclosure"); err != nil {
		return Disclosed{}, err
	}
	if d.Audience != audience || d.Version != Version {
		return Disclosed{}, unknownRoots("the receipt is of another installation or version; verify it under the trust file that it was made for")
	}
	maker, _, err := trust.OpenEnrolment(audience, d.Enrolment)
	if err != nil {
		return Disclosed{}, err
	}
	verifier, err := ledger.VerifierOf(trust)
	if err != nil {
		return Disclosed{}, err
	}
	if len(d.Events) != len(Parties) {
		return Disclosed{}, incomplete("a keyholder's entry is missing")
	}
	out := Disclosed{Bundle: d.Bundle, By: maker.Name}
	for i, p := range d.Events {
		e, statement, _, err := readDisclosed(p)
		if err != nil {
			return out, err
		}
		var a record.Act
		if _, err := record.Open(statement, record.TypeAct, maker.Key, &a); err != nil {
			return out, err
		}
		if err := a.Validate(); err != nil {
			return out, err
		}
		// Both may have journalled several acts of one disclosure, one for each request, which say the same; another disclosure of the file does not.
		same := i == 0 || a.Reason == out.Reason && a.To == out.To && a.Case == out.Case && a.Court == out.Court
		if e.Author != Parties[i] || a.Kind != record.EventDisclosed || a.Bundle != d.Bundle || a.Audience != audience || a.Chain != e.Case || !same {
			return out, denied("the %s's entry is of another disclosure", seal.Role(Parties[i]))
		}
		checkpoint, err := p.Witnessed(verifier)
		if err != nil {
			return out, err
		}
		if checkpoint.Earliest.After(out.Witnessed) {
			out.Witnessed = checkpoint.Earliest.UTC()
		}
		out.Reason, out.To, out.Made, out.Case, out.Court = a.Reason, a.To, a.Issued, a.Case, a.Court
	}
	return out, nil
}

// IsDisclosure tells whether a receipt is of a disclosure rather than of a deposit.
func IsDisclosure(raw []byte) bool {
	var d Disclosure
	return unmarshal(raw, &d, MaxReceipt, "the receipt of a disclosure") == nil
}
