package record

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"arca.example/arca/shared/problem"
)

// OrderKind says what a member of an order chain does.
type OrderKind string

// The kinds of members. Authorisation is always the first; revocation, suspension and
// resumption name the chain and no head, have no sequence number, and apply at once.
const (
	Authorisation OrderKind = "authorisation"
	Extension     OrderKind = "extension"
	Narrowing     OrderKind = "narrowing"
	Revocation    OrderKind = "revocation"
	Suspension    OrderKind = "suspension"
	Resumption    OrderKind = "resumption"
)

// Order is one member of an order chain, signed by a judge as TypeOrder. Whether it is lawful is
// package law's business; the limits of form are checked here.
type Order struct {
	AccessEnd      time.Time `json:"accessEnd,omitzero"` // opening ends; never before Capture.Until
	Audience       Digest    `json:"aud"`                // hash of the trust file
	Capture        Window    `json:"capture,omitzero"`   // recordings that start and end inside are covered
	Case           string    `json:"case,omitzero"`      // the court's tag of the case
	Chain          Digest    `json:"chain,omitzero"`     // hash of the chain's first member; absent in the first itself
	Classification string    `json:"classification,omitzero"`
	Court          string    `json:"court"`
	Decided        time.Time `json:"decided"` // the judicial decision; terms run from it
	Grounds        Grounds   `json:"grounds,omitzero"`
	Kind           OrderKind `json:"kind"`
	Lifts          Digest    `json:"lifts,omitzero"` // resumption: hash of the suspension that ends
	PoliceUnit     string    `json:"policeUnit,omitzero"`
	Previous       Digest    `json:"previous,omitzero"` // hash of the predecessor in the chain
	Profile        string    `json:"profile"`           // statute profile, as ES-588ter
	Reason         string    `json:"reason,omitzero"`   // why this member: revocation, suspension, narrowing, extension
	Reports        Reports   `json:"reports,omitzero"`
	Scope          Scope     `json:"scope,omitzero"`
	Sequence       int       `json:"sequence"` // 0 for the first and for members that name the chain only
	Nonce          ID        `json:"nonce"`
}

// Window is a span of time, whole seconds UTC. From is inside, Until is not.
type Window struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// Contains reports whether the instant lies inside.
func (w Window) Contains(t time.Time) bool { return !t.Before(w.From) && t.Before(w.Until) }

// Scope is what an order covers.
type Scope struct {
	Identifiers []Identifier `json:"identifiers"`
	Kinds       []string     `json:"kinds"` // of call, message, session
}

// The kinds of communications that an order can cover, and of identifiers that it can name.
var (
	CommunicationKinds = []string{"call", "message", "session"}
	IdentifierKinds    = []string{"msisdn", "imsi", "imei", "email", "sip", "ip", "liid", "username"}
)

// numberForm is how deliveries write a telephone number (ITU-T E.164).
var numberForm = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`)

// Validate refuses an identifier that no delivery could match: deliveries are compared letter by letter.
func (i Identifier) Validate() error {
	if !slices.Contains(IdentifierKinds, i.Kind) || i.Value == "" {
		return problem.New(problem.Invalid, "an identifier has a kind (%s) and a value", strings.Join(IdentifierKinds, ", "))
	}
	if i.Kind == "msisdn" && !numberForm.MatchString(i.Value) {
		return problem.New(problem.Invalid, "a number (msisdn) is written in its international form, with + and digits alone, as +12025550111")
	}
	return nil
}

// Identifier is a subscriber number or technical label.
type Identifier struct {
	Kind  string `json:"kind"` // msisdn, imsi, imei, email, sip, ip, liid, username
	Value string `json:"value"`
}

// Grounds are the mandatory items of an order that are text (for Spain LECrim 588 bis c.3).
type Grounds struct {
	Offence    string   `json:"offence,omitzero"`    // a) punishable fact and its legal classification
	Indicia    string   `json:"indicia,omitzero"`    // a) rational indicia
	Persons    []string `json:"persons,omitempty"`   // b) investigated or affected, if known
	Extent     string   `json:"extent,omitzero"`     // c) extent of the measure
	Motivation string   `json:"motivation,omitzero"` // c) under the principles of 588 bis a
	Duration   string   `json:"duration,omitzero"`   // e) as the judge worded it
	Purpose    string   `json:"purpose,omitzero"`    // g) what is sought
	Obliged    string   `json:"obliged,omitzero"`    // h) obliged subject, if known, with its duty of collaboration and secrecy
}

// Reports is how the judge wants to be told (f).
type Reports struct {
	Form      string `json:"form,omitzero"`
	EveryDays int    `json:"everyDays,omitzero"`
}

// Limits of an order's form.
const (
	maxIdentifiers = 200
	maxText        = 8 << 10
	maxName        = 200
)

// Validate checks form and limits, not law. Errors: problem.Invalid.
func (o *Order) Validate() error {
	if err := checkTimes(o.AccessEnd, o.Capture.From, o.Capture.Until, o.Decided); err != nil {
		return err
	}
	if len(o.Scope.Identifiers) > maxIdentifiers || len(o.Scope.Kinds) > 8 || len(o.Grounds.Persons) > maxIdentifiers {
		return problem.New(problem.Invalid, "an order names at most %d identifiers and persons; split it", maxIdentifiers)
	}
	names := []string{o.Case, o.Classification, o.Court, string(o.Kind), o.PoliceUnit, o.Profile}
	for _, id := range o.Scope.Identifiers {
		names = append(names, id.Kind, id.Value)
	}
	for _, id := range o.Scope.Identifiers {
		if err := id.Validate(); err != nil {
			return err
		}
	}
	for _, kind := range o.Scope.Kinds {
		if !slices.Contains(CommunicationKinds, kind) {
			return problem.New(problem.Invalid, "the kinds of communications are %s", strings.Join(CommunicationKinds, ", "))
		}
	}
	names = append(append(names, o.Scope.Kinds...), o.Grounds.Persons...)
	for _, s := range names {
		if err := CheckName(s); err != nil {
			return err
		}
	}
	g := o.Grounds
	for _, s := range []string{g.Offence, g.Indicia, g.Extent, g.Motivation, g.Duration, g.Purpose, g.Obliged, o.Reason, o.Reports.Form} {
		if err := CheckText(s); err != nil {
			return err
		}
	}
	if o.Sequence < 0 || o.Sequence > 1000 || o.Reports.EveryDays < 0 || o.Reports.EveryDays > 366 {
		return problem.New(problem.Invalid, "sequence numbers run from 0 to 1000 and reports come at least once a year")
	}
	return nil
}

// NamesChain reports whether members of this kind name the chain only and apply at once.
func (k OrderKind) NamesChain() bool {
	return k == Revocation || k == Suspension || k == Resumption
}

// CheckName refuses what does not fit in one line of a table: control characters, line
// separators, invalid UTF-8, more than 200 bytes. Empty is allowed.
func CheckName(s string) error {
	if len(s) > maxName || !printable(s, false) {
		return problem.New(problem.Invalid, "names and labels are one line of at most %d bytes without control characters", maxName)
	}
	return nil
}

// CheckText is CheckName for texts of at most 8 KiB that may have lines.
func CheckText(s string) error {
	if len(s) > maxText || !printable(s, true) {
		return problem.New(problem.Invalid, "a text has at most %d bytes and no control characters but line feeds", maxText)
	}
	return nil
}

// printable refuses the characters that could change what a reader of a terminal or of a page
// sees: controls, bidirectional overrides, line separators.
func printable(s string, lines bool) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r == '\n' && lines {
			continue
		}
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return false
		}
	}
	return true
}
