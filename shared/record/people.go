package record

import (
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
)

// Role is what a person or machine is enrolled for.
type Role string

// The roles. Collector and Mirror are machines.
const (
	Investigator Role = "investigator"
	Supervisor   Role = "supervisor"
	Judge        Role = "judge"
	Clerk        Role = "clerk"
	Prosecutor   Role = "prosecutor"
	Custodian    Role = "custodian"
	Registrar    Role = "registrar"
	Auditor      Role = "auditor"
	Collector    Role = "collector"
	Mirror       Role = "mirror"
	Minister     Role = "minister" // orders urgent measures where the statute lets the executive do so
)

var knownRoles = []Role{Investigator, Supervisor, Judge, Clerk, Prosecutor, Custodian, Registrar, Auditor, Collector, Mirror, Minister}

// Enrolment binds a key to a person or machine. It is a joint statement of TypeEnrolment by the court's and
// the custodian's registrar; for judges and clerks it is a statement by the court's root alone,
// so that only the court makes judges.
type Enrolment struct {
	Audience   Digest    `json:"aud"`
	Clearance  string    `json:"clearance,omitzero"`
	Court      string    `json:"court,omitzero"`
	Expires    time.Time `json:"exp"`
	Issued     time.Time `json:"iat"`
	Key        PublicKey `json:"key"`
	Name       string    `json:"name"`
	PoliceUnit string    `json:"policeUnit,omitzero"`
	Roles      []Role    `json:"roles"`
}

// Of reports whether the enrolment carries the role.
func (e *Enrolment) Of(role Role) bool { return slices.Contains(e.Roles, role) }

// FromCourtRoot reports whether the enrolment descends from the court's root alone.
func (e *Enrolment) FromCourtRoot() bool { return e.Of(Judge) || e.Of(Clerk) }

// Validate checks form and the separation of duties: an auditor holds no other role (ENS
// op.acc.3 R1), a machine is nothing else, judges and clerks hold only the court's roles.
func (e *Enrolment) Validate() error {
	if err := checkTimes(e.Expires, e.Issued); err != nil {
		return err
	}
	if e.Key.IsZero() || len(e.Roles) == 0 || e.Name == "" {
		return problem.New(problem.Invalid, "an enrolment names a person, a key and at least one role")
	}
	if !e.Issued.Before(e.Expires) {
		return problem.New(problem.Invalid, "an enrolment ends after it begins")
	}
	if (e.Of(Collector) || e.Of(Mirror)) && e.Key.Ed25519() == nil {
		return problem.New(problem.Invalid, "a machine's key is Ed25519")
	}
	return e.CheckRights()
}

// CheckRights checks what an enrolment says of a person or machine, as Validate does, where there is no key yet.
func (e *Enrolment) CheckRights() error {
	for _, s := range []string{e.Name, e.Clearance, e.Court, e.PoliceUnit} {
		if err := CheckName(s); err != nil {
			return err
		}
	}
	for i, r := range e.Roles {
		if !slices.Contains(knownRoles, r) || slices.Contains(e.Roles[:i], r) {
			return problem.New(problem.Invalid, "roles are distinct and among investigator, supervisor, judge, clerk, prosecutor, custodian, registrar, auditor, collector, mirror, minister")
		}
	}
	return e.separate()
}

func (e *Enrolment) separate() error {
	alone := []Role{Auditor, Registrar, Custodian, Collector, Mirror, Prosecutor, Minister}
	for _, r := range alone {
		if e.Of(r) && len(e.Roles) > 1 {
			return problem.New(problem.Invalid, "the role %s stands alone: one person must not do what needs two", string(r))
		}
	}
	if e.FromCourtRoot() && (e.Of(Investigator) || e.Of(Supervisor)) {
		return problem.New(problem.Invalid, "judges and clerks hold no police role")
	}
	return nil
}

// OpenEnrolment verifies an enrolment under a trust file that is known by its hash: by both registrars, or by the court's root alone for
// judges and clerks, with keys that counted when it says that it was signed. The digest names the enrolment. Suspension and expiry are not
// looked at: what was signed in service stays signed.
func (t *Trust) OpenEnrolment(audience Digest, joint Joint) (Enrolment, Digest, error) {
	var claimed Enrolment
	if len(joint) > 0 {
		if st, err := Peek(joint[0]); err == nil {
			_ = Unmarshal(st.Payload, &claimed) // what has no form is refused below
		}
	}
	return t.OpenEnrolmentAt(audience, joint, claimed.Issued)
}

// OpenEnrolmentAt is OpenEnrolment with keys that count at an instant. Whoever admits an enrolment passes now: a key that was replaced must not
// be able to date its word back.
func (t *Trust) OpenEnrolmentAt(audience Digest, joint Joint, at time.Time) (Enrolment, Digest, error) {
	var e Enrolment
	hash, err := t.openByRegistrars(joint, at, &e)
	if err != nil {
		return e, hash, err
	}
	if err := e.Validate(); err != nil {
		return e, hash, err
	}
	if e.FromCourtRoot() != (len(joint) == 1) {
		return e, hash, problem.New(problem.Denied, "judges and clerks are enrolled by the court's root alone, everybody else by both registrars")
	}
	if e.Audience != audience {
		return e, hash, problem.New(problem.Denied, "the enrolment was made for another installation")
	}
	return e, hash, nil
}

// openByRegistrars tries the files whose keys count, newest first; a refusal is by the newest.
func (t *Trust) openByRegistrars(joint Joint, at time.Time, e *Enrolment) (hash Digest, err error) {
	files := t.Counting(at)
	if len(files) == 0 {
		files = []*Trust{t}
	}
	for i, f := range files {
		signers := []PublicKey{f.Court.Registrar, f.Custodian.Registrar}
		if len(joint) == 1 {
			signers = []PublicKey{f.Court.Root}
		}
		var got Enrolment
		h, openErr := joint.Open(TypeEnrolment, &got, signers...)
		if openErr == nil {
			*e = got
			return h, nil
		}
		if i == 0 {
			err = openErr
		}
	}
	return hash, err
}

// PersonSuspension takes effect with one signature, by either registrar, the court's root or a judge.
type PersonSuspension struct {
	Audience Digest    `json:"aud"`
	Issued   time.Time `json:"iat"`
	Nonce    ID        `json:"nonce"`
	Person   KeyID     `json:"person"`
	Reason   string    `json:"reason"`
}

// Principal tells the vault, which knows no people, that a key may act there as one of four
// kinds. It is a joint statement of TypePrincipal by both registrars.
type Principal struct {
	Audience Digest    `json:"aud"`
	Issued   time.Time `json:"iat"`
	Key      PublicKey `json:"key"`
	Kind     string    `json:"kind"` // collector or mirror; court and custodian stand in the trust file
}

// Trust is the root of everything: who the parties are, where the log is, which witnesses count.
// It is a joint statement of TypeTrust by the roots that it names (and, from version 2, by those that its
// predecessor names), pinned by its hash at first use.
type Trust struct {
	Authorities  []Authority `json:"authorities,omitempty"` // whose timestamps count; none: no timestamps are taken
	Court        PartyKeys   `json:"court"`
	Custodian    PartyKeys   `json:"custodian"`
	Installation ID          `json:"installation"`
	Issued       time.Time   `json:"iat"`
	LogKey       string      `json:"logKey"`    // signed-note verifier key of the log
	LogOrigin    string      `json:"logOrigin"` // first line of its checkpoints
	// Overlap is for how many hours the keys of the file before count beside this one's: 0 when one of them was stolen.
	Overlap   int       `json:"overlap,omitzero"`
	Pack      PackShape `json:"pack"`
	Previous  Digest    `json:"previous,omitzero"`
	Quorum    int       `json:"quorum"` // how many witnesses must have cosigned
	Version   int       `json:"version"`
	Witnesses []string  `json:"witnesses"` // verifier keys of cosignatures; several of one name are one witness

	eras []Era // of a chain that OpenTrusts has verified: all files up to this one
}

// Authority is a time-stamping authority (RFC 3161).
type Authority struct {
	Name   string `json:"name"`
	Policy string `json:"policy,omitzero"` // object identifier that every token must carry; absent: any
	Root   []byte `json:"root"`            // DER certificate in which the authority's chain must end
}

// maxAuthorities is how many of them a trust file names at most.
const maxAuthorities = 8

func checkAuthorities(list []Authority) error {
	if len(list) > maxAuthorities {
		return problem.New(problem.Invalid, "a trust file names at most %d time-stamping authorities", maxAuthorities)
	}
	for i, a := range list {
		if err := CheckName(a.Name); err != nil {
			return err
		}
		if a.Name == "" || len(a.Root) == 0 || slices.ContainsFunc(list[:i], func(b Authority) bool { return a.Name == b.Name }) {
			return problem.New(problem.Invalid, "a time-stamping authority has a name of its own and a root certificate")
		}
	}
	return nil
}

// PackShape is the one size and number of slots that all packs of a vault share.
type PackShape struct {
	Size  int `json:"size"`
	Slots int `json:"slots"`
}

// PartyKeys are one side's public keys.
type PartyKeys struct {
	Online    PublicKey `json:"online"`    // the keyholder functions: statuses, releases, receipts, unit keys
	Registrar PublicKey `json:"registrar"` // enrolments
	Root      PublicKey `json:"root"`      // trust files; the court's also judges and clerks
}

// Validate checks form: distinct keys, a quorum that its witnesses can reach, version 1 without predecessor.
func (t *Trust) Validate() error {
	seen := map[string]bool{}
	for _, k := range []PublicKey{t.Court.Online, t.Court.Registrar, t.Court.Root, t.Custodian.Online, t.Custodian.Registrar, t.Custodian.Root} {
		if k.IsZero() || seen[k.String()] {
			return problem.New(problem.Invalid, "the trust file names six different keys: root, registrar and online key of court and custodian")
		}
		seen[k.String()] = true
	}
	if t.Court.Online.Ed25519() == nil || t.Custodian.Online.Ed25519() == nil {
		return problem.New(problem.Invalid, "the online keys are Ed25519")
	}
	names := map[string]bool{} // several keys under one name are one witness
	for _, w := range t.Witnesses {
		name, _, _ := strings.Cut(w, "+")
		names[name] = true
	}
	if t.Quorum < 1 || t.Quorum > len(names) || len(t.Witnesses) > 32 {
		return problem.New(problem.Invalid, "the quorum is between 1 and the number of witnesses, which have at most 32 keys together")
	}
	if 2*t.Quorum <= len(names) {
		// Each half of the honest witnesses could be shown a history of its own.
		return problem.New(problem.Invalid, "the quorum is more than half of the witnesses: with less, two histories find a quorum each while every witness is honest")
	}
	for i, w := range t.Witnesses {
		if w == t.LogKey || slices.Contains(t.Witnesses[:i], w) {
			return problem.New(problem.Invalid, "witnesses are distinct, and the log is not its own witness")
		}
	}
	if t.Version < 1 || (t.Version == 1) != t.Previous.IsZero() {
		return problem.New(problem.Invalid, "a trust file of version 1 has no predecessor, a later one has")
	}
	if t.Overlap < 0 || t.Overlap > MaxOverlap || t.Version == 1 && t.Overlap > 0 {
		return problem.New(problem.Invalid, "the overlap is 0 to %d hours, and a first trust file has none", MaxOverlap)
	}
	if err := checkAuthorities(t.Authorities); err != nil {
		return err
	}
	return checkTimes(t.Issued)
}

// Party gives the keys of "court" or "custodian".
func (t *Trust) Party(role string) PartyKeys {
	if role == "court" {
		return t.Court
	}
	return t.Custodian
}

// OpenTrust verifies a first trust file against its fingerprint (the hash that Joint.Open gives).
func OpenTrust(j Joint, fingerprint Digest) (*Trust, error) {
	if len(j) == 0 {
		return nil, problem.New(problem.Invalid, "the trust file is empty; fetch it again")
	}
	st, err := Peek(j[0])
	if err != nil {
		return nil, err
	}
	var claimed Trust
	if err := Unmarshal(st.Payload, &claimed); err != nil {
		return nil, err
	}
	if err := claimed.Validate(); err != nil {
		return nil, err
	}
	var t Trust
	hash, err := j.Open(TypeTrust, &t, claimed.Court.Root, claimed.Custodian.Root)
	if err != nil {
		return nil, err
	}
	// The keys came from the file itself: only the pin makes them trusted.
	if hash != fingerprint {
		return nil, problem.New(problem.Denied, "this trust file is not the one that was pinned; compare fingerprints with court and custodian before you go on")
	}
	return &t, nil
}
