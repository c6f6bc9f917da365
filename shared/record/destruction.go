package record

import (
	"time"

	"arca.example/arca/shared/problem"
)

// Closed is a collector's word that nothing more of a unit will come from it: statement of TypeClosed. Number and Statement are of its last batch
// in the unit, 0 and absent if it has none. Issued and Nonce are fixed when it is written down, so that filing it again is the same statement.
type Closed struct {
	Audience       Digest    `json:"aud"`
	Chain          Digest    `json:"chain"`
	Classification string    `json:"classification"`
	Compartment    string    `json:"compartment"`
	Issued         time.Time `json:"iat"`
	Nonce          ID        `json:"nonce"`
	Number         uint64    `json:"number"`
	Statement      Digest    `json:"statement,omitzero"`
	Week           string    `json:"week"`
}

// Validate checks form. Errors: problem.Invalid.
func (c *Closed) Validate() error {
	if err := checkTimes(c.Issued); err != nil {
		return err
	}
	if (c.Number == 0) != c.Statement.IsZero() {
		return problem.New(problem.Invalid, "a collector names its last batch by number and statement, or neither")
	}
	for _, s := range []string{c.Classification, c.Compartment, c.Week} {
		if err := CheckName(s); err != nil {
			return err
		}
	}
	return nil
}

// Destroying is one keyholder's word on what a judge's decision destroys, to the other's question over its nonce: statement of TypeDestroying. Each
// makes the list from its own batch notes; nothing is destroyed unless both say the same.
type Destroying struct {
	Audience Digest    `json:"aud"`
	Head     Digest    `json:"head"` // of the chain, as in a status
	Issued   time.Time `json:"iat"`
	Losses   Losses    `json:"losses"`
	Nonce    ID        `json:"nonce"`
	Party    string    `json:"party"`
	State    string    `json:"state"` // due or destroyed
	Stops    Digest    `json:"stops"` // as in a status: both know the same holds
}

// The states of a destruction.
const (
	DestructionWaits = "waiting"   // something is missing, or stands in the way
	DestructionDue   = "due"       // may be carried out
	DestructionRuns  = "running"   // the next generation is being written
	DestructionDone  = "destroyed" // no root opens it any more
)

// Losses is what goes and what stays, the same at both keyholders.
type Losses struct {
	Chain      Digest     `json:"chain"`
	Decision   Digest     `json:"decision"` // hash of the judge's member
	Recordings int        `json:"recordings"`
	Set        Digest     `json:"set"` // over the recordings, see package keyholder
	Units      []UnitLoss `json:"units"`
}

// UnitLoss is what a unit loses.
type UnitLoss struct {
	Classification string `json:"classification"`
	Compartment    string `json:"compartment"`
	Goes           int    `json:"goes"` // recordings
	Kept           int    `json:"kept"`
	Week           string `json:"week"`
}

// Equal reports whether two lists say the same.
func (l Losses) Equal(other Losses) bool {
	a, err := Marshal(l)
	if err != nil {
		return false
	}
	b, err := Marshal(other)
	return err == nil && string(a) == string(b)
}

// Certificate is a keyholder's word that it destroyed its half: statement of TypeCertificate, and the body of EventDestroyed.
type Certificate struct {
	Audience   Digest    `json:"aud"`
	Backups    []Backup  `json:"backups"` // of the destroyed root, as they stood then
	Destroyed  string    `json:"destroyed"`
	Generation int       `json:"generation"` // of the ring, from then on
	Issued     time.Time `json:"iat"`
	Limits     string    `json:"limits"` // what the place of the root does not promise
	Losses     Losses    `json:"losses"`
	Other      Digest    `json:"other"` // hash of the other keyholder's Destroying on which it was done
	Party      string    `json:"party"`
	Root       string    `json:"root"` // id of the root from then on; Destroyed is that of the one before
}

// Backup is a copy of root keys outside of the ring: a recovery file or a second HSM.
type Backup struct {
	Confirmed time.Time `json:"confirmed,omitzero"` // when its destruction was confirmed; absent: it was not
	Made      time.Time `json:"made"`
	Name      string    `json:"name"`
	Roots     []string  `json:"roots"` // ids
}

// Backups is a keyholder's word on the copies of its roots that it knows of: statement of TypeBackups.
type Backups struct {
	Audience Digest    `json:"aud"`
	Backups  []Backup  `json:"backups"`
	Issued   time.Time `json:"iat"`
	Party    string    `json:"party"`
}
