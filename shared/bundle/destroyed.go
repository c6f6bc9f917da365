package bundle

import (
	"slices"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Destruction is the certificate of a destruction as whoever asks takes it away: the judge's decision, the entry in each keyholder's journal that
// carries its signed certificate, with what opens and proves it in the witnessed log, and each keyholder's word on the copies of its roots.
// It is canonical JSON like a receipt.
type Destruction struct {
	Audience    record.Digest `json:"aud"`
	Backups     []string      `json:"backups"`     // court, custodian: JWS
	Decision    string        `json:"decision"`    // the judge's member of the order, JWS
	Destruction []LogProof    `json:"destruction"` // court, custodian
	Judge       record.Joint  `json:"judge"`       // enrolment of the decision's author
	Version     int           `json:"version"`
}

// Destroyed is what a verified Destruction says.
type Destroyed struct {
	Chain      record.Digest     `json:"chain"`
	Decision   record.Digest     `json:"decision"`
	Judge      string            `json:"judge"`
	Court      string            `json:"court"`
	Decided    time.Time         `json:"decided"`
	Reason     string            `json:"reason"`
	Recordings int               `json:"recordings"`
	Set        record.Digest     `json:"set"`
	Units      []record.UnitLoss `json:"units"`
	Sides      []DestroyedAt     `json:"sides"`
	Witnessed  time.Time         `json:"witnessed"` // latest of the two proofs' earliest cosignatures
}

// DestroyedAt is what one keyholder says.
type DestroyedAt struct {
	Party       string          `json:"party"`
	At          time.Time       `json:"at"`
	Root        string          `json:"root"` // id of the root that was destroyed
	Generation  int             `json:"generation"`
	Limits      string          `json:"limits"`
	Confirmed   []record.Backup `json:"confirmed"`   // copies of that root that were destroyed too, by the keyholder's word
	Unconfirmed []record.Backup `json:"unconfirmed"` // copies of which that is not known
}

// IsDestruction tells whether a receipt is the certificate of a destruction.
func IsDestruction(raw []byte) bool {
	var d Destruction
	return unmarshal(raw, &d, MaxReceipt, "the certificate of a destruction") == nil
}

// VerifyDestruction checks the certificate of a destruction under a pinned trust file.
func VerifyDestruction(trust *record.Trust, audience record.Digest, raw []byte) (Destroyed, error) {
	var d Destruction
	if err := unmarshal(raw, &d, MaxReceipt, "the certificate of a destruction"); err != nil {
		return Destroyed{}, err
	}
	if d.Audience != audience || d.Version != Version {
		return Destroyed{}, unknownRoots("the certificate is of another installation or version; verify it under the trust file that it was made for")
	}
	if len(d.Destruction) != len(Parties) || len(d.Backups) != len(Parties) {
		return Destroyed{}, incomplete("a keyholder's entry is missing")
	}
	out, err := readDecision(trust, audience, d)
	if err != nil {
		return out, err
	}
	verifier, err := ledger.VerifierOf(trust)
	if err != nil {
		return out, err
	}
	for i, p := range d.Destruction {
		if err := out.side(trust, verifier, i, p, d.Backups[i], audience); err != nil {
			return out, err
		}
	}
	return out, nil
}

// readDecision verifies that a judge ordered it.
func readDecision(trust *record.Trust, audience record.Digest, d Destruction) (out Destroyed, err error) {
	judge, _, err := trust.OpenEnrolment(audience, d.Judge)
	if err != nil {
		return out, err
	}
	var o record.Order
	st, err := record.Open(d.Decision, record.TypeOrder, judge.Key, &o)
	if err != nil {
		return out, err
	}
	if err := o.Validate(); err != nil {
		return out, err
	}
	orders := o.Kind == record.Destruction || o.Kind == record.Compartment && o.Verdict == record.VerdictDelete
	if !orders || o.Audience != audience {
		return out, denied("the decision does not order anything to be destroyed")
	}
	if err := law.MaySign(&o, &judge); err != nil {
		return out, err
	}
	return Destroyed{Chain: o.Chain, Decision: st.Hash, Judge: judge.Name, Court: o.Court, Decided: o.Decided, Reason: o.Reason}, nil
}

// side verifies one keyholder's certificate and adds it.
func (out *Destroyed) side(trust *record.Trust, verifier *ledger.Verifier, i int, p LogProof, backups string, audience record.Digest) error {
	party := Parties[i]
	var e record.Event
	if err := record.Unmarshal(p.Event, &e); err != nil {
		return err
	}
	var body record.DestroyedEvent
	if e.Kind != record.EventDestroyed || e.Author != party || e.Case != out.Chain {
		return denied("the %s's entry is not of this destruction", seal.Role(party))
	}
	if err := record.Unmarshal(e.Body, &body); err != nil {
		return err
	}
	var c record.Certificate
	if _, err := trust.OpenKept(body.Certificate, record.TypeCertificate, party, &c); err != nil {
		return err
	}
	if c.Audience != audience || c.Party != party || c.Losses.Decision != out.Decision || body.Decision != out.Decision || c.Losses.Chain != out.Chain {
		return denied("the %s's certificate is of another destruction", seal.Role(party))
	}
	if i == 0 {
		out.Recordings, out.Set, out.Units = c.Losses.Recordings, c.Losses.Set, c.Losses.Units
	} else if !c.Losses.Equal(record.Losses{Chain: out.Chain, Decision: out.Decision, Recordings: out.Recordings, Set: out.Set, Units: out.Units}) {
		return denied("court and custodian did not destroy the same")
	}
	at := DestroyedAt{Party: party, At: c.Issued, Root: c.Destroyed, Generation: c.Generation, Limits: c.Limits, Confirmed: []record.Backup{}, Unconfirmed: []record.Backup{}}
	if err := at.copies(trust, c, backups); err != nil {
		return err
	}
	checkpoint, err := p.Witnessed(verifier)
	if err != nil {
		return err
	}
	if checkpoint.Earliest.After(out.Witnessed) {
		out.Witnessed = checkpoint.Earliest.UTC()
	}
	out.Sides = append(out.Sides, at)
	return nil
}

// copies sorts the copies of the destroyed root, as they stand by the keyholder's later word.
func (at *DestroyedAt) copies(trust *record.Trust, c record.Certificate, backups string) error {
	var word record.Backups
	if _, err := trust.OpenKept(backups, record.TypeBackups, c.Party, &word); err != nil {
		return err
	}
	if word.Audience != c.Audience || word.Party != c.Party || word.Issued.Before(c.Issued) {
		return denied("the %s's word on its copies is of another installation, or older than the certificate", seal.Role(c.Party))
	}
	for _, b := range word.Backups {
		switch {
		case !slices.Contains(b.Roots, c.Destroyed):
		case b.Confirmed.IsZero():
			at.Unconfirmed = append(at.Unconfirmed, b)
		default:
			at.Confirmed = append(at.Confirmed, b)
		}
	}
	// A copy that was listed when the root went stays listed; one that was confirmed then may have made room for others since.
	for _, known := range c.Backups {
		if known.Confirmed.IsZero() && !slices.ContainsFunc(word.Backups, func(b record.Backup) bool { return b.Name == known.Name && b.Made.Equal(known.Made) }) {
			at.Unconfirmed = append(at.Unconfirmed, known)
		}
	}
	return nil
}
