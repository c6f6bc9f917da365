package law

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"github.com/go-json-experiment/json"
)

// Every profile is one file; a zone's file is the compiled IANA data of Go's
// own distribution, embedded so that two keyholders count alike whatever their
// hosts have installed.
//
//go:embed profiles
var profileFiles embed.FS

// Profile is a statute as data: numbers, items and the article of each.
type Profile struct {
	Name            string `json:"name"`
	Title           string `json:"title"`
	Text            string `json:"text"` // official identifier of the statute
	Zone            string `json:"zone"` // where days begin and end
	FirstTerm       Term   `json:"firstTerm"`
	ExtensionTerm   Term   `json:"extensionTerm"`
	Cap             Term   `json:"cap"` // from the first decision, all extensions included
	LastDay         Rule   `json:"lastDay"`
	Lapse           Rule   `json:"lapse"`
	ExtensionReason Rule   `json:"extensionReason"`
	Items           []Item `json:"items"`

	zone *time.Location
}

// Term is a number of months, counted date to date.
type Term struct {
	Months int    `json:"months"`
	Source string `json:"source"`
}

// Rule is a choice with its source. For LastDay it is "excluded" (the term ends
// when the corresponding day begins) or "included" (when it ends).
type Rule struct {
	Rule   string `json:"rule,omitzero"`
	Source string `json:"source"`
}

// Item is something that an order must say.
type Item struct {
	Field  string `json:"field"`
	Name   string `json:"name"`
	Source string `json:"source"`
}

// present tells for each field that a profile may demand whether an order has it.
var present = map[string]func(*record.Order) bool{
	"grounds.offence":    func(o *record.Order) bool { return o.Grounds.Offence != "" },
	"grounds.indicia":    func(o *record.Order) bool { return o.Grounds.Indicia != "" },
	"grounds.persons":    func(o *record.Order) bool { return said(o.Grounds.Persons) },
	"grounds.extent":     func(o *record.Order) bool { return o.Grounds.Extent != "" },
	"grounds.motivation": func(o *record.Order) bool { return o.Grounds.Motivation != "" },
	"grounds.duration":   func(o *record.Order) bool { return o.Grounds.Duration != "" },
	"grounds.purpose":    func(o *record.Order) bool { return o.Grounds.Purpose != "" },
	"grounds.obliged":    func(o *record.Order) bool { return o.Grounds.Obliged != "" },
	"scope.identifiers": func(o *record.Order) bool {
		return len(o.Scope.Identifiers) > 0 && !slices.ContainsFunc(o.Scope.Identifiers, func(i record.Identifier) bool { return i.Kind == "" || i.Value == "" })
	},
	"scope.kinds":       func(o *record.Order) bool { return said(o.Scope.Kinds) },
	"policeUnit":        func(o *record.Order) bool { return o.PoliceUnit != "" },
	"capture":           func(o *record.Order) bool { return !o.Capture.From.IsZero() && !o.Capture.Until.IsZero() },
	"reports.form":      func(o *record.Order) bool { return o.Reports.Form != "" },
	"reports.everyDays": func(o *record.Order) bool { return o.Reports.EveryDays > 0 },
	"court":             func(o *record.Order) bool { return o.Court != "" },
	"case":              func(o *record.Order) bool { return o.Case != "" },
	"classification":    func(o *record.Order) bool { return o.Classification != "" },
	"accessEnd":         func(o *record.Order) bool { return !o.AccessEnd.IsZero() },
}

func said(list []string) bool { return len(list) > 0 && !slices.Contains(list, "") }

// profiles is read once; a file that does not load stops every program at start.
var profiles = sync.OnceValue(func() map[string]*Profile {
	all := map[string]*Profile{}
	files, err := profileFiles.ReadDir("profiles")
	if err != nil {
		panic("embedded statute profiles: " + err.Error())
	}
	for _, f := range files {
		if path.Ext(f.Name()) != ".json" {
			continue
		}
		p, err := loadProfile(f.Name())
		if err != nil {
			panic("embedded statute profile " + f.Name() + ": " + err.Error())
		}
		all[p.Name] = p
	}
	return all
})

func loadProfile(name string) (*Profile, error) {
	b, err := profileFiles.ReadFile("profiles/" + name)
	if err != nil {
		return nil, err
	}
	p, err := parseProfile(b)
	if err != nil {
		return nil, err
	}
	zone, err := profileFiles.ReadFile("profiles/" + p.Zone + ".tzif")
	if err != nil {
		return nil, err
	}
	p.zone, err = time.LoadLocationFromTZData(p.Zone, zone)
	return p, err
}

func parseProfile(b []byte) (*Profile, error) {
	p := new(Profile)
	if err := json.Unmarshal(b, p, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	for _, t := range []Term{p.FirstTerm, p.ExtensionTerm, p.Cap} {
		if t.Months < 1 || t.Source == "" {
			return nil, fmt.Errorf("a term has no months or no source")
		}
	}
	if p.LastDay.Rule != "excluded" && p.LastDay.Rule != "included" {
		return nil, fmt.Errorf("lastDay is excluded or included")
	}
	for _, i := range p.Items {
		if present[i.Field] == nil || i.Name == "" || i.Source == "" {
			return nil, fmt.Errorf("item %q is unknown or has no name or source", i.Field)
		}
	}
	return p, nil
}

// ProfileOf gives the statute profile of that name. Errors: problem.Invalid.
func ProfileOf(name string) (*Profile, error) {
	if p := profiles()[name]; p != nil {
		return p, nil
	}
	return nil, problem.New(problem.Invalid, "this installation does not know the statute profile that the order names; ES-588ter is known")
}

// lacks names the first mandatory item that an order does not have.
func (p *Profile) lacks(o *record.Order) error {
	for _, i := range p.Items {
		if !present[i.Field](o) {
			return problem.New(problem.Invalid, "the order lacks %s (%s)", i.Name, i.Source)
		}
	}
	return nil
}

// End is the instant at which a term that begins at from is over: the same date
// that many months later, or the month's last day if it has no such date
// (Código Civil art. 5). Only the date of from counts, not its hour. With the
// last day excluded the term is over when that day begins.
func (p *Profile) End(from time.Time, t Term) time.Time {
	year, month, day := from.In(p.zone).Date()
	first := time.Date(year, month+time.Month(t.Months), 1, 0, 0, 0, 0, p.zone)
	if last := first.AddDate(0, 1, -1).Day(); day > last {
		day = last
	}
	if p.LastDay.Rule == "included" {
		day++
	}
	return time.Date(first.Year(), first.Month(), day, 0, 0, 0, 0, p.zone).UTC()
}
