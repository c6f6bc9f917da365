package record

import (
	"slices"
	"strings"

	"arca.example/arca/shared/problem"
)

// The compartments of an order. What lies in one of them opens for other people than what lies in another.
const (
	MainCompartment       = "main"
	PrivilegedCompartment = "privileged" // communications with counsel and the like: the judge alone
	ClerkCompartment      = "clerk"      // the copy that stays with the court's clerk
)

// Compartments lists them.
var Compartments = []string{MainCompartment, PrivilegedCompartment, ClerkCompartment}

// What a reader seals. No collector seals anything of these kinds, and no reader anything else.
const (
	KindNote       = "note"       // words on a recording, or a mark
	KindTranscript = "transcript" // its words
	KindResealed   = "resealed"   // its content again, in another compartment
)

// MadeKinds lists them.
var MadeKinds = []string{KindNote, KindTranscript, KindResealed}

// Marks lists what a note can mark a recording, or a part of it, as.
var Marks = []string{MarkDoubtful, MarkPrivileged, MarkCore, MarkNotPertinent}

// The marks.
const (
	MarkDoubtful     = "doubtful"      // privileged or not is for the judge to say
	MarkPrivileged   = "privileged"    // with counsel, clergy, press, parliament (LECrim 118.4)
	MarkCore         = "core"          // core area of private life (StPO 100d)
	MarkNotPertinent = "not-pertinent" // minimised (18 U.S.C. 2518(5))
)

// Made is what an act of a reader's says that they sealed: one recording, alone in its batch. Its description says the same and more, to
// those who may read it (Origin).
type Made struct {
	Batch       ID     `json:"batch"`
	Compartment string `json:"compartment"` // where it lies
	Kind        string `json:"kind"`        // note, transcript or resealed
	Mark        string `json:"mark,omitzero"`
	Recording   ID     `json:"recording"`
	Statement   Digest `json:"statement"` // hash of the batch's statement, which its author signed
}

// Origin is what the description of something that a reader sealed says of the recording that it was made from.
type Origin struct {
	Batch       ID     `json:"batch"`
	Commitments Digest `json:"commitments"` // SHA-256 over the four commitments of its halves, 128 bytes as in a note
	Compartment string `json:"compartment"` // where it lay
	Kind        string `json:"kind"`        // call, message, session
	Mark        string `json:"mark,omitzero"`
	Millis      Span   `json:"millis,omitzero"` // the part that it is about; absent: the whole
	Recording   ID     `json:"recording"`
	Request     Digest `json:"request"` // under which it was opened
}

// checkMade: one recording, from which one other was made.
func (a *Act) checkMade() error {
	m := a.Made
	note := a.Kind == EventAnnotated && (m.Kind == KindNote || m.Kind == KindTranscript)
	moved := a.Kind == EventMoved && m.Kind == KindResealed && a.Whole && m.Mark == ""
	if err := a.checkForm(len(a.Recordings) == 1 && a.parts() == 1 && a.Bytes == Span{} && a.Result == Completed && a.Of.IsZero() && a.Bundle.IsZero() &&
		a.To == "" && a.Case == "" && a.Court == "" && (note && a.Reason == "" || moved) && m.Recording != ID{} && m.Batch != ID{} && !m.Statement.IsZero()); err != nil {
		return err
	}
	if m.Recording == a.Recordings[0].Recording || !slices.Contains(Compartments, m.Compartment) {
		return problem.New(problem.Invalid, "what was sealed is another recording than it was made from, in the compartment %s", strings.Join(Compartments, ", "))
	}
	if err := CheckMark(m.Kind, m.Mark); err != nil {
		return err
	}
	if err := a.Millis.check(maxActMillis); err != nil {
		return err
	}
	return CheckText(a.Reason)
}

// CheckMark refuses a mark that is none, or of something that is not a note.
func CheckMark(kind, mark string) error {
	if mark != "" && (kind != KindNote || !slices.Contains(Marks, mark)) {
		return problem.New(problem.Invalid, "a note marks as %s, or not at all", strings.Join(Marks, ", "))
	}
	return nil
}

// MayMake tells whether a person of this enrolment can be the author of what lies in a compartment: police of notes and transcripts in main, the
// judge everywhere, the clerk in main and in the clerk's own, and whoever screens for the judge of marks in the privileged one. That the very order
// concerns them, or that the judge named them, keyholders check. No machine is such an author.
func (e *Enrolment) MayMake(kind, mark, compartment string) bool {
	police, clerk, judge := e.Of(Investigator) || e.Of(Supervisor), e.Of(Clerk), e.Of(Judge)
	switch {
	case !slices.Contains(MadeKinds, kind) || !slices.Contains(Compartments, compartment):
		return false
	case judge:
		return true
	case compartment == PrivilegedCompartment:
		return (police || clerk) && kind == KindNote && mark != ""
	case clerk:
		return true
	}
	return police && compartment == MainCompartment && kind != KindResealed
}

// CheckAuthor holds a description against who sealed it: what a person made names what it was made from and is of a kind that no
// collector delivers, what a collector delivered is neither. Nothing that the one sealed passes for the other's.
func (d *Description) CheckAuthor(author *Enrolment, compartment string) error {
	made := slices.Contains(MadeKinds, d.Kind)
	if author.Of(Collector) {
		if compartment == ClerkCompartment {
			return problem.New(problem.Denied, "it is signed by a collector and lies where only the court's people seal; tell the auditor")
		}
		if made || d.Of != (Origin{}) {
			return problem.New(problem.Denied, "it is signed by a collector and says that a person made it; tell the auditor")
		}
		return nil
	}
	if !made || d.Of.Recording == (ID{}) || d.Of.Batch == (ID{}) || d.Of.Commitments.IsZero() {
		return problem.New(problem.Denied, "it is signed by a person and poses as what a collector delivered; tell the auditor")
	}
	if !author.MayMake(d.Kind, d.Of.Mark, compartment) {
		return problem.New(problem.Denied, "it is signed by a person who may seal nothing of its kind in this compartment; tell the auditor")
	}
	if d.Kind == KindResealed && d.Of.Compartment == compartment {
		return problem.New(problem.Denied, "it says that it was sealed again in the compartment where it lay; tell the auditor")
	}
	return CheckMark(d.Kind, d.Of.Mark)
}
