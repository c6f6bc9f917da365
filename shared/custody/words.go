package custody

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"arca.example/arca/shared/record"
)

// All words that people read of custody stand in this file.

// acts are the words of acts.
var acts = map[string]string{
	"authorisation": "ordered", "extension": "extended", "narrowing": "narrowed", "revocation": "revoked", "suspension": "suspended", "resumption": "resumed",
	actSealed: "received and sealed", actMade: "sealed by a reader", actDeposited: "deposited", "noted": "batch note", "asked": "asked", "approved": "approved", "denied": "denied", "released": "released",
	"refused": "refused", "found": "found", "opened": "opened", "copied": "copied", "disclosed": "disclosed", "suspended": "suspended",
	"annotated": "annotated", "moved": "moved to another compartment", "destruction": "destruction ordered", "destroyed": "destroyed", "closed": "week closed: nothing more to come", "reported": "reported an act",
}

// words gives an act's words; an unknown one's are its own name.
func words(act string) string {
	if w, ok := acts[act]; ok {
		return w
	}
	return act
}

// Columns are the heads of the table.
var Columns = []string{"WITNESSED", "ACT", "WHO", "ON", "WHY", "COURT", "CUSTODIAN"}

// Row gives an entry's cells under Columns. Cells are data: whoever shows them escapes them.
func (e *Entry) Row() []string {
	return []string{e.Witnessed(), e.Words(), e.Who(), e.On.Words(), e.Why, e.at("court"), e.at("custodian")}
}

// Words says what was done.
func (e *Entry) Words() string {
	w := words(e.Act)
	switch {
	case e.Party != "" && e.Act == "released":
		w = fmt.Sprintf("%s: the %s's half of the %s", w, e.Party, e.Class)
	case e.Party != "":
		w += " by the " + e.Party
	case e.Class != "" && (e.Act == "asked" || e.Act == "approved" || e.Act == "denied"):
		w += " (" + e.Class + ")"
	}
	switch e.Result {
	case record.Begun:
		w = "began to be " + w
	case record.Failed:
		if e.Act != actRefused {
			w += ", broke off"
		}
	}
	return w
}

// Who names who acted, by the enrolled name where it is known.
func (e *Entry) Who() string {
	switch {
	case e.By.Name != "" && e.By.Role != "":
		return e.By.Name + " (" + e.By.Role + ")"
	case e.By.Name != "":
		return e.By.Name
	case e.By.Key.IsZero():
		return ""
	}
	return "key " + e.By.Key.Short()
}

// Witnessed says between which times the log took the act.
func (e *Entry) Witnessed() string {
	switch {
	case e.NotAfter.IsZero():
		return "not yet"
	case e.NotBefore.IsZero():
		return "by " + stamp(e.NotAfter)
	}
	return stamp(e.NotBefore) + " to " + stamp(e.NotAfter)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// at gives the event's number in a keyholder's journal.
func (e *Entry) at(party string) string {
	var numbers []string
	for _, s := range e.Seen {
		if s.Party == party {
			numbers = append(numbers, strconv.FormatInt(s.Number, 10))
		}
	}
	return strings.Join(numbers, ", ")
}

// Words says on which bytes an act was.
func (x Extent) Words() string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if x.Pack != 0 {
		add("pack %d", x.Pack)
	}
	if x.Millis != (record.Span{}) {
		add("seconds %s", part(x.Millis, func(n int64) string { return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64) }))
	}
	if x.Bytes != (record.Span{}) {
		add("bytes %s", part(x.Bytes, func(n int64) string { return strconv.FormatInt(n, 10) }))
	}
	if x.Whole && x.Pack == 0 && x.Sealed.IsZero() {
		add("the whole")
	}
	if !x.Sealed.IsZero() {
		add("batch %s", x.Batch.String()[:8])
	}
	if x.Made != (record.Made{}) {
		add("%s %s in %s", strings.TrimSpace(x.Made.Mark+" "+x.Made.Kind), x.Made.Recording.String()[:8], x.Made.Compartment)
	}
	if !x.Bundle.IsZero() {
		add("bundle %s to %s", x.Bundle.Short(), x.To)
	}
	if x.Case != "" {
		add("for use in %s of %s", x.Case, x.Court)
	}
	if x.Recordings > 1 {
		add("among %d recordings", x.Recordings)
	}
	return strings.Join(list, ", ")
}

func part(s record.Span, unit func(int64) string) string {
	if s.Until == 0 {
		return unit(s.From) + " to the end"
	}
	return unit(s.From) + " to " + unit(s.Until)
}

// Verdict sums up in one line what the journals prove.
func (t *Timeline) Verdict() string {
	var withheld int64
	for _, j := range t.Journals {
		withheld += j.Withheld
	}
	switch {
	case t.Grave():
		return "NOT PROVEN: something was altered, hidden or is missing; see the findings"
	case len(t.Findings) > 0:
		return "nothing was altered; a party is behind, see the findings"
	case withheld > 0:
		return fmt.Sprintf("nothing was altered; %d events of other recordings are withheld and stand as hashes", withheld)
	}
	return "complete: both journals have no gap, agree, and stand in the witnessed log"
}
