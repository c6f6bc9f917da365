package record

import (
	"time"

	"arca.example/arca/shared/problem"
)

// MaxActed is how many recordings one act names; more are several acts.
const MaxActed = 500

// Limits of what an act can be on: longer than any recording is no part of one.
const (
	maxActMillis = 366 * 24 * 3600 * 1000
	maxActBytes  = 1 << 40
)

// Results of an act.
const (
	Begun     = "begun"     // written down before the first byte is shown
	Completed = "completed" //
	Failed    = "failed"    // begun, and not finished
)

// Act is a reader's word on what they did with what was released to them: statement of TypeAct. Issued and Nonce are fixed when it is
// written down, so that filing it again is the same statement.
type Act struct {
	Audience   Digest      `json:"aud"`
	Bundle     Digest      `json:"bundle,omitzero"` // disclosed: SHA-256 of the bundle
	Bytes      Span        `json:"bytes,omitzero"`  // opened, copied: which bytes
	Case       string      `json:"case,omitzero"`   // disclosed for use in another case: its tag
	Chain      Digest      `json:"chain"`
	Court      string      `json:"court,omitzero"` // and its court
	Issued     time.Time   `json:"iat"`
	Kind       EventKind   `json:"kind"`               // found, opened, copied, disclosed, annotated or moved
	Made       Made        `json:"made,omitzero"`      // annotated, moved: what was sealed
	Millis     Span        `json:"millis,omitzero"`    // opened, copied: which thousandths of a second
	Minimised  string      `json:"minimised,omitzero"` // opened, copied: why, where it is marked not pertinent
	Nonce      ID          `json:"nonce"`
	Of         Digest      `json:"of,omitzero"`     // hash of the begun act that this one ends
	Reason     string      `json:"reason,omitzero"` // disclosed, moved: why
	Recordings []Reference `json:"recordings"`
	Request    Digest      `json:"request"` // under which the halves were released
	Result     string      `json:"result"`
	To         string      `json:"to,omitzero"` // disclosed: to whom
	Whole      bool        `json:"whole,omitzero"`
}

// Span is a part of a recording. Until is not inside; 0 is the recording's end.
type Span struct {
	From  int64 `json:"from"`
	Until int64 `json:"until,omitzero"`
}

func (s Span) check(most int64) error {
	if s.From < 0 || s.From >= most || s.Until < 0 || s.Until > most || s.Until != 0 && s.Until <= s.From {
		return problem.New(problem.Invalid, "the act is on a part that no recording has")
	}
	return nil
}

// Validate checks form and limits. Whether the recordings were released is the keyholders' business. Errors: problem.Invalid.
func (a *Act) Validate() error {
	if err := checkTimes(a.Issued); err != nil {
		return err
	}
	if len(a.Recordings) == 0 || len(a.Recordings) > MaxActed {
		return problem.New(problem.Invalid, "an act names 1 to %d recordings", MaxActed)
	}
	seen := map[ID]bool{}
	for _, ref := range a.Recordings {
		if seen[ref.Recording] {
			return problem.New(problem.Invalid, "an act names each recording once")
		}
		seen[ref.Recording] = true
	}
	switch a.Kind {
	case EventFound:
		return a.checkForm(a.Result == Completed && a.Of.IsZero() && a.parts() == 0 && !a.says())
	case EventOpened, EventCopied:
		return a.checkOpened()
	case EventDisclosed:
		return a.checkDisclosed()
	case EventAnnotated, EventMoved:
		return a.checkMade()
	}
	return problem.New(problem.Invalid, "a reader's act is found, opened, copied, disclosed, annotated or moved")
}

// checkOpened: one recording, one part of it, begun or the end of what was begun.
func (a *Act) checkOpened() error {
	ends := a.Result == Completed || a.Kind == EventOpened && a.Result == Failed
	begins := a.Kind == EventOpened && a.Result == Begun
	if err := a.checkForm(len(a.Recordings) == 1 && a.parts() == 1 && !a.says() && (begins && a.Of.IsZero() || ends && !a.Of.IsZero())); err != nil {
		return err
	}
	if err := a.Millis.check(maxActMillis); err != nil {
		return err
	}
	if err := CheckText(a.Minimised); err != nil {
		return err
	}
	return a.Bytes.check(maxActBytes)
}

func (a *Act) checkDisclosed() error {
	if err := a.checkForm(a.Result == Completed && a.Of.IsZero() && a.parts() == 0 && !a.Bundle.IsZero() && a.Made == Made{} && (a.Case == "") == (a.Court == "")); err != nil {
		return err
	}
	for _, s := range []string{a.To, a.Case, a.Court} {
		if err := CheckName(s); err != nil {
			return err
		}
	}
	return CheckText(a.Reason)
}

func (a *Act) checkForm(ok bool) error {
	if opening := a.Kind == EventOpened || a.Kind == EventCopied; !ok || a.Minimised != "" && !opening {
		return problem.New(problem.Invalid, "the act's members do not fit its kind and result")
	}
	return nil
}

// parts counts in how many ways the act says which part it is on.
func (a *Act) parts() (n int) {
	for _, given := range []bool{a.Whole, a.Millis != Span{}, a.Bytes != Span{}} {
		if given {
			n++
		}
	}
	return n
}

// says tells whether the act has what only a disclosure, a note or a move has.
func (a *Act) says() bool {
	return !a.Bundle.IsZero() || a.To != "" || a.Reason != "" || a.Made != Made{} || a.Case != "" || a.Court != ""
}
