package record

import (
	"slices"
	"time"

	"arca.example/arca/shared/problem"
)

// MaxRequestTerm is the longest that a request may last.
const MaxRequestTerm = 7 * 24 * time.Hour

// MaxRecordings is how many recordings one request may name; more ask for the whole unit.
const MaxRecordings = 500

// Request asks for halves. It is a statement of TypeRequest by a reader.
type Request struct {
	Audience       Digest      `json:"aud"`
	Chain          Digest      `json:"chain"`
	Class          string      `json:"class"` // index or content
	Classification string      `json:"classification"`
	Compartment    string      `json:"compartment"`
	Expires        time.Time   `json:"exp"`
	Issued         time.Time   `json:"iat"`
	Key            []byte      `json:"key"` // X-Wing public key, 1216 bytes, fresh per request
	Nonce          ID          `json:"nonce"`
	Purpose        string      `json:"purpose"`
	Recordings     []Reference `json:"recordings,omitempty"` // absent: the whole unit
	Week           string      `json:"week"`                 // ISO week, as 2026-W47
}

// Reference names a recording and the batch that holds it.
type Reference struct {
	Batch     ID `json:"batch"`
	Recording ID `json:"recording"`
}

// Validate checks form and limits. Errors: problem.Invalid.
func (r *Request) Validate() error {
	if err := checkTimes(r.Expires, r.Issued); err != nil {
		return err
	}
	if !r.Issued.Before(r.Expires) || r.Expires.Sub(r.Issued) > MaxRequestTerm {
		return problem.New(problem.Invalid, "a request lasts at most seven days")
	}
	if len(r.Key) != 1216 {
		return problem.New(problem.Invalid, "a request carries a fresh X-Wing key of 1216 bytes")
	}
	if r.Purpose == "" {
		return problem.New(problem.Invalid, "say what the request is for: --purpose")
	}
	if len(r.Recordings) > MaxRecordings {
		return problem.New(problem.Invalid, "a request names at most %d recordings; ask for the whole unit instead", MaxRecordings)
	}
	seen := map[ID]bool{}
	for _, ref := range r.Recordings {
		if seen[ref.Recording] {
			return problem.New(problem.Invalid, "a request names each recording once")
		}
		seen[ref.Recording] = true
	}
	for _, s := range []string{r.Class, r.Classification, r.Compartment, r.Week} {
		if err := CheckName(s); err != nil {
			return err
		}
	}
	return CheckText(r.Purpose)
}

// Approval is another person's word on a request, approving or denying. Statement of TypeApproval.
type Approval struct {
	Approve  bool      `json:"approve"`
	Audience Digest    `json:"aud"`
	Expires  time.Time `json:"exp"`
	Issued   time.Time `json:"iat"`
	Nonce    ID        `json:"nonce"`
	Reason   string    `json:"reason"`
	Request  Digest    `json:"request"`
}

// Validate checks form. Errors: problem.Invalid.
func (a *Approval) Validate() error {
	if err := checkTimes(a.Expires, a.Issued); err != nil {
		return err
	}
	if !a.Issued.Before(a.Expires) || a.Expires.Sub(a.Issued) > MaxRequestTerm {
		return problem.New(problem.Invalid, "an approval lasts at most seven days")
	}
	return CheckText(a.Reason)
}

// Status is what one keyholder tells the other, or a collector, about order chains, over the asker's fresh nonce. Statement of
// TypeStatus. It names the chains in the order in which they were asked for; see MaxChains.
type Status struct {
	Audience  Digest        `json:"aud"`
	Chains    []ChainStatus `json:"chains"`
	Destroyed Digest        `json:"destroyed"` // over the destroyed set
	Enrolled  Digest        `json:"enrolled"`  // over the enrolments
	Issued    time.Time     `json:"iat"`
	Nonce     ID            `json:"nonce"`
	Party     string        `json:"party"`
	Suspended Digest        `json:"suspended"`
	Trust     int           `json:"trust,omitzero"` // version of the trust file in force; absent for the first
}

// ChainStatus is where one chain stands.
type ChainStatus struct {
	AccessEnd time.Time `json:"accessEnd,omitzero"`
	Capture   Window    `json:"capture,omitzero"`
	Chain     Digest    `json:"chain"`
	Head      Digest    `json:"head"`  // hash of the last sequenced member
	State     string    `json:"state"` // in-force, suspended, revoked, lapsed, unknown
	Stops     Digest    `json:"stops"` // over revocations, suspensions, resumptions
}

// MaxChains is how many chains one status names: some 370 bytes each, so that the statement stays under MaxBytes.
const MaxChains = 100

// Answers reports whether the status is what a party says to this question: of just these chains, in this order, over this nonce, for
// this installation.
func (s Status) Answers(party string, audience Digest, nonce ID, chains ...Digest) bool {
	return s.Party == party && s.Audience == audience && s.Nonce == nonce &&
		slices.EqualFunc(s.Chains, chains, func(c ChainStatus, asked Digest) bool { return c.Chain == asked })
}

// Agrees reports whether two keyholders' statuses, of the same chains, say the same of chain number i and of everything that is not a chain's.
func (s Status) Agrees(other Status, i int) bool {
	return s.Audience == other.Audience && s.Trust == other.Trust && s.Destroyed == other.Destroyed && s.Enrolled == other.Enrolled && s.Suspended == other.Suspended &&
		s.Chains[i] == other.Chains[i]
}

// UnitKeys are a keyholder's public keys of up to MaxUnitKeys units. Statement of TypeUnitKeys.
type UnitKeys struct {
	Audience Digest    `json:"aud"`
	Issued   time.Time `json:"iat"`
	Keys     []UnitKey `json:"keys"`
	Party    string    `json:"party"`
}

// MaxUnitKeys is how many units one statement names: up to 5.3 KB each, so that it stays under MaxBytes.
const MaxUnitKeys = 32

// UnitKey is a keyholder's public key for a unit. The court's carries the find key too and, for the custodian, the find
// secret sealed to the custodian's unit key once that is known. The custodian's names the find key once it
// holds the secret: collectors seal only when both name the same.
type UnitKey struct {
	Chain          Digest `json:"chain"`
	Classification string `json:"classification"`
	Compartment    string `json:"compartment"`
	FindHeld       Digest `json:"findHeld,omitzero"` // the custodian's: SHA-256 of the find key whose secret it holds
	FindKey        []byte `json:"findKey,omitempty"`
	Key            []byte `json:"key"`
	SealedFind     []byte `json:"sealedFind,omitempty"` // in what keyholders tell each other
	Week           string `json:"week"`
}

// OpenUnitKeys verifies what a party, asked just now, says of its units' keys.
func OpenUnitKeys(raw string, trust *Trust, audience Digest, party string, now time.Time) ([]UnitKey, error) {
	var list UnitKeys
	if _, err := trust.OpenOnline(raw, TypeUnitKeys, party, now, &list); err != nil {
		return nil, err
	}
	if list.Party != party || list.Audience != audience {
		return nil, problem.New(problem.Denied, "the unit keys are of another party or installation; ask again")
	}
	return list.Keys, nil
}

// Refusal is a collector's word that something was delivered which the order does not cover, and was not sealed. It names the
// order and the reason, not the identifier: what the order does not cover is kept nowhere. Statement of TypeRefusal. Issued and Nonce
// are fixed by the refusal, so that reporting it again is the same statement.
type Refusal struct {
	Audience Digest    `json:"aud"`
	Chain    Digest    `json:"chain"`
	Issued   time.Time `json:"iat"`
	Nonce    ID        `json:"nonce"`
	Reason   string    `json:"reason"`
}

// Release is a keyholder's signed answer to a request. Statement of TypeRelease.
type Release struct {
	Audience Digest         `json:"aud"`
	Class    string         `json:"class"`
	Find     []byte         `json:"find"` // the unit's find secret, sealed to the request's key
	From     int            `json:"from"` // first item's position in the whole answer
	Issued   time.Time      `json:"iat"`
	Items    []ReleasedHalf `json:"items"`
	Party    string         `json:"party"`
	Request  Digest         `json:"request"`
	Total    int            `json:"total"` // items in the whole answer
}

// ReleasedHalf is one recording's half of one class, sealed to the request's key.
type ReleasedHalf struct {
	Batch     ID     `json:"batch"`
	Half      []byte `json:"half"`
	Recording ID     `json:"recording"`
}

// Description is what a recording says of itself, sealed under its index key.
type Description struct {
	Codec     string     `json:"codec"`              // pcm_s16le, alaw, opus, text, bytes
	Digest    []byte     `json:"digest"`             // HMAC over the content's SHA-256, see package seal
	Direction string     `json:"direction,omitzero"` // from-target, to-target, both
	End       time.Time  `json:"end"`
	From      string     `json:"from,omitzero"`
	Kind      string     `json:"kind"` // call, message, session; of what a reader sealed note, transcript, resealed
	Language  string     `json:"language,omitzero"`
	Length    int64      `json:"length"` // content bytes
	Name      string     `json:"name,omitzero"`
	Of        Origin     `json:"of,omitzero"` // what a reader made it from; absent in what a collector delivers
	Part      Part       `json:"part,omitzero"`
	Start     time.Time  `json:"start"`
	Target    Identifier `json:"target"` // the identifier of the order that covers it
	To        string     `json:"to,omitzero"`
	Title     string     `json:"title,omitzero"`
}

// Part places a recording among the parts of a call that was still running.
type Part struct {
	Number   int `json:"number"`
	Previous ID  `json:"previous,omitzero"`
}
