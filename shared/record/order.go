package record

import (
	"reflect"
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

// The kinds of members. Authorisation is always the first; extensions and narrowings are numbered. All others name the chain and
// no head, have no sequence number, and apply at once.
const (
	Authorisation OrderKind = "authorisation"
	Extension     OrderKind = "extension"
	Narrowing     OrderKind = "narrowing"
	Revocation    OrderKind = "revocation"
	Suspension    OrderKind = "suspension"
	Resumption    OrderKind = "resumption"
	Confirmation  OrderKind = "confirmation" // a judge confirms an urgent order
	Rejection     OrderKind = "rejection"    // a judge does not: nothing under it is opened or sealed
	Closing       OrderKind = "closing"      // the measure ends before its time: capture stops at Decided
	Milestone     OrderKind = "milestone"    // a fact that starts, moves or ends a clock
	Hold          OrderKind = "hold"         // nothing is destroyed
	Lifting       OrderKind = "lifting"      // ends the hold, or takes back the destruction, that Lifts names
	Destruction   OrderKind = "destruction"  // what is to be destroyed
	Compartment   OrderKind = "compartment"  // on recordings of the privileged compartment
	Notice        OrderKind = "notice"       // on telling the persons who were intercepted
)

var orderKinds = []OrderKind{Authorisation, Extension, Narrowing, Revocation, Suspension, Resumption,
	Confirmation, Rejection, Closing, Milestone, Hold, Lifting, Destruction, Compartment, Notice}

// The verdicts of a compartment decision and of a notice.
const (
	VerdictRelease = "release" // compartment: to the main compartment
	VerdictExclude = "exclude" // compartment: stays where only the judge opens it
	VerdictDelete  = "delete"  // compartment
	VerdictScreen  = "screen"  // compartment: Screener looks at them, to mark them
	VerdictDefer   = "defer"   // notice: until Until
	VerdictWaive   = "waive"   // notice
	VerdictDone    = "done"    // notice
)

// The steps of a destruction; 0 stands for the recordings that it names.
const (
	OperationalCopies = 1
	ClerksCopies      = 2
)

// Order is one member of an order chain, signed as TypeOrder by a judge or by whom package law allows. Whether it is lawful is
// package law's business; the limits of form are checked here.
type Order struct {
	AccessEnd      time.Time   `json:"accessEnd,omitzero"` // opening ends; never before Capture.Until
	Audience       Digest      `json:"aud"`                // hash of the trust file
	Capture        Window      `json:"capture,omitzero"`   // recordings that start and end inside are covered
	Case           string      `json:"case,omitzero"`      // the court's tag of the case
	Chain          Digest      `json:"chain,omitzero"`     // hash of the chain's first member; absent in the first itself
	Classification string      `json:"classification,omitzero"`
	Court          string      `json:"court"`
	Decided        time.Time   `json:"decided"` // the judicial decision; terms run from it
	Grounds        Grounds     `json:"grounds,omitzero"`
	Kind           OrderKind   `json:"kind"`
	Lifts          Digest      `json:"lifts,omitzero"` // resumption: hash of the suspension that ends; lifting: of the hold or destruction
	Milestone      Fact        `json:"milestone,omitzero"`
	PoliceUnit     string      `json:"policeUnit,omitzero"`
	Previous       Digest      `json:"previous,omitzero"`    // hash of the predecessor in the chain
	Privileged     []Privilege `json:"privileged,omitempty"` // first, extension, narrowing: whose communications are privileged; only grows
	Profile        string      `json:"profile"`              // statute profile, as ES-588ter
	Reason         string      `json:"reason,omitzero"`      // why this member: all but the first and milestones
	Recordings     []Reference `json:"recordings,omitempty"` // destruction, compartment, hold: what it is about; absent: the whole chain
	Reports        Reports     `json:"reports,omitzero"`
	Scope          Scope       `json:"scope,omitzero"`
	Screener       KeyID       `json:"screener,omitzero"` // compartment: who opens the named recordings to mark them
	Sequence       int         `json:"sequence"`          // 0 for the first and for members that name the chain only
	Step           int         `json:"step,omitzero"`     // destruction: 1 operational copies, 2 the clerk's copies, 0 the named recordings
	Until          time.Time   `json:"until,omitzero"`    // hold, deferral of a notice: its end
	Urgent         bool        `json:"urgent,omitzero"`   // first member: ordered without the judge, who confirms it or does not
	Verdict        string      `json:"verdict,omitzero"`  // compartment: release, exclude, delete, screen; notice: defer, waive, done
	Nonce          ID          `json:"nonce"`
}

// Fact is something that happened outside, by the name that the statute profile gives it.
type Fact struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// Privilege names an identifier of somebody whose communications with the target are privileged, and why.
type Privilege struct {
	Category   string     `json:"category"` // of the statute profile, as counsel
	Identifier Identifier `json:"identifier"`
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

// groupForm is a code that a court has for a group of offences; nothing of a case fits in it by accident.
var groupForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

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
	Group      string   `json:"group,omitzero"`      // a code of the offence's group, as organised-crime: only oversight counts by it
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
	maxRecordings  = 400
	maxText        = 8 << 10
	maxName        = 200
)

// Validate checks form and limits, not law. Errors: problem.Invalid.
func (o *Order) Validate() error {
	if err := checkTimes(o.AccessEnd, o.Capture.From, o.Capture.Until, o.Decided, o.Milestone.At, o.Until); err != nil {
		return err
	}
	if len(o.Scope.Identifiers) > maxIdentifiers || len(o.Scope.Kinds) > 8 || len(o.Grounds.Persons) > maxIdentifiers || len(o.Privileged) > maxIdentifiers {
		return problem.New(problem.Invalid, "an order names at most %d identifiers and persons; split it", maxIdentifiers)
	}
	if err := o.checkScope(); err != nil {
		return err
	}
	for _, s := range o.names() {
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
	if g.Group != "" && !groupForm.MatchString(g.Group) {
		return problem.New(problem.Invalid, "the code of an offence group is a word of at most 40 small letters, digits and hyphens, as organised-crime")
	}
	if o.Sequence < 0 || o.Sequence > 1000 || o.Reports.EveryDays < 0 || o.Reports.EveryDays > 366 {
		return problem.New(problem.Invalid, "sequence numbers run from 0 to 1000 and reports come at least once a year")
	}
	return o.checkParts()
}

// names are the labels that an order carries.
func (o *Order) names() []string {
	names := []string{o.Case, o.Classification, o.Court, string(o.Kind), o.PoliceUnit, o.Profile, o.Milestone.Name, o.Verdict}
	for _, id := range o.Scope.Identifiers {
		names = append(names, id.Kind, id.Value)
	}
	for _, p := range o.Privileged {
		names = append(names, p.Category, p.Identifier.Kind, p.Identifier.Value)
	}
	return append(append(names, o.Scope.Kinds...), o.Grounds.Persons...)
}

func (o *Order) checkScope() error {
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
	for i, p := range o.Privileged {
		if err := p.Identifier.Validate(); err != nil {
			return err
		}
		if p.Category == "" || slices.Contains(o.Privileged[:i], p) {
			return problem.New(problem.Invalid, "each entry of the privileged list stands once and says which privilege it is")
		}
	}
	return nil
}

// parts says which kinds of members may carry what: something that would be read past must not be signed.
var parts = []struct {
	name  string
	has   func(*Order) bool
	kinds []OrderKind
}{
	{"an urgent measure", func(o *Order) bool { return o.Urgent }, []OrderKind{Authorisation}},
	{"a privileged list", func(o *Order) bool { return len(o.Privileged) > 0 }, []OrderKind{Authorisation, Extension, Narrowing}},
	{"a milestone", func(o *Order) bool { return o.Milestone != (Fact{}) }, []OrderKind{Milestone}},
	{"a step", func(o *Order) bool { return o.Step != 0 }, []OrderKind{Destruction}},
	{"a list of recordings", func(o *Order) bool { return len(o.Recordings) > 0 }, []OrderKind{Destruction, Compartment, Hold}},
	{"an end (until)", func(o *Order) bool { return !o.Until.IsZero() }, []OrderKind{Hold, Notice, Compartment}},
	{"a person who screens", func(o *Order) bool { return o.Screener != (KeyID{}) }, []OrderKind{Compartment}},
	{"a window, an end of access, a scope, grounds or reports", func(o *Order) bool {
		return o.Capture != (Window{}) || !o.AccessEnd.IsZero() || len(o.Scope.Identifiers)+len(o.Scope.Kinds) > 0 || o.Reports != (Reports{}) || !reflect.DeepEqual(o.Grounds, Grounds{})
	}, []OrderKind{Authorisation, Extension, Narrowing}},
	{"a verdict", func(o *Order) bool { return o.Verdict != "" }, []OrderKind{Compartment, Notice}},
}

// checkParts refuses what a member of another kind would say, and a member that does not say what its kind is about.
func (o *Order) checkParts() error {
	if !slices.Contains(orderKinds, o.Kind) {
		return problem.New(problem.Invalid, "there is no such kind of order; one made with arca order new or another order command has one")
	}
	for _, p := range parts {
		if p.has(o) && !slices.Contains(p.kinds, o.Kind) {
			return problem.New(problem.Invalid, "%s has no place in a member of this kind; leave it out", p.name)
		}
	}
	if err := o.checkRecordings(); err != nil {
		return err
	}
	bad := ""
	switch o.Kind {
	case Milestone:
		if o.Milestone.Name == "" || o.Milestone.At.IsZero() {
			bad = "a milestone has a name and the time when it was reached"
		}
	case Destruction:
		if o.Step < 0 || o.Step > ClerksCopies || (o.Step == 0) != (len(o.Recordings) > 0) {
			bad = "a destruction is of step 1 (operational copies), of step 2 (the clerk's copies), or names its recordings"
		}
	case Compartment:
		if len(o.Recordings) == 0 || !slices.Contains([]string{VerdictRelease, VerdictExclude, VerdictDelete, VerdictScreen}, o.Verdict) {
			bad = "a compartment decision names its recordings and a verdict: release, exclude, delete or screen"
		} else if (o.Verdict == VerdictScreen) != (o.Screener != KeyID{}) || o.Verdict != VerdictScreen && !o.Until.IsZero() {
			bad = "a decision that somebody screens names the person, and may say until when; no other does"
		}
	case Notice:
		if !slices.Contains([]string{VerdictDefer, VerdictWaive, VerdictDone}, o.Verdict) || (o.Verdict == VerdictDefer) == o.Until.IsZero() {
			bad = "a notice has a verdict, defer, waive or done; a deferral says until when, the others do not"
		}
	case Lifting:
		if o.Lifts.IsZero() {
			bad = "a lifting names the hold or destruction that it ends"
		}
	}
	if bad != "" {
		return problem.New(problem.Invalid, "%s", bad)
	}
	return nil
}

func (o *Order) checkRecordings() error {
	if len(o.Recordings) > maxRecordings {
		return problem.New(problem.Invalid, "one member names at most %d recordings; sign another one for the rest", maxRecordings)
	}
	seen := map[Reference]bool{}
	for _, r := range o.Recordings {
		if r.Batch == (ID{}) || r.Recording == (ID{}) || seen[r] {
			return problem.New(problem.Invalid, "each recording stands once, by its batch and its own id")
		}
		seen[r] = true
	}
	return nil
}

// NamesChain reports whether members of this kind name the chain only and apply at once.
func (k OrderKind) NamesChain() bool {
	return slices.Index(orderKinds, k) > slices.Index(orderKinds, Narrowing)
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
