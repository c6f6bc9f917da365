package law

import (
	"embed"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Every profile is one file; a zone's file is the compiled IANA data of Go's
// own distribution, embedded so that two keyholders count alike whatever their
// hosts have installed.
//
//go:embed profiles
var profileFiles embed.FS

// Schema is the version of profile files that this package reads.
const Schema = 2

// Profile is a statute as data: who, what, how long, and the article of each.
type Profile struct {
	Schema  int    `json:"schema"`
	Base    string `json:"base,omitzero"` // profile whose members stand here unless this file has its own
	Name    string `json:"name"`
	Country string `json:"country"`
	Title   string `json:"title"`
	Zone    string `json:"zone"` // where days begin and end

	Articles   map[string]Article `json:"articles"`
	Authoriser Authoriser         `json:"authoriser"`
	Request    []Item             `json:"request"` // what a request to the judge says; shown, not checked: requests are not Arca's
	Items      []Item             `json:"items"`   // what an order says

	Start         Start   `json:"start"` // what starts the first term
	FirstTerm     Term    `json:"firstTerm"`
	ExtensionTerm Term    `json:"extensionTerm"`     // none: a measure is not extended
	Renewals      int     `json:"renewals,omitzero"` // how many extensions at most; 0: as many as the cap has room for
	Cap           Term    `json:"cap"`               // from the first decision, all extensions included
	CapException  Item    `json:"capException,omitzero"`
	LastDay       Rule    `json:"lastDay"`
	WorkingDays   Working `json:"workingDays,omitzero"`

	Lapse           Rule         `json:"lapse"`
	ExtensionReason Rule         `json:"extensionReason"`
	Urgent          Urgent       `json:"urgent"`
	Reports         Reporting    `json:"reports"`
	Sealing         Term         `json:"sealing"` // from the end of the measure
	Notification    Notification `json:"notification"`
	Destruction     Destroying   `json:"destruction"`
	Hold            Rule         `json:"hold"`
	Review          Term         `json:"review"` // of the need to keep
	Privileged      []Category   `json:"privileged"`
	Casual          Rule         `json:"casual,omitzero"`       // what a copy for use in another case must carry: "requests-and-orders"; absent: no rule was seen
	Minimisation    Rule         `json:"minimisation,omitzero"` // opening what is marked not pertinent: "refuse" without a reason, else it is a warning
	Milestones      []Waymark    `json:"milestones"`
	Warn            Warning      `json:"warn"`

	zone     *time.Location
	holidays *sync.Map // year → map[yearday]bool, as they are asked for
}

// Article is a place in a statute and how well it was confirmed.
type Article struct {
	Cite   string `json:"cite"`
	Source string `json:"source"`        // identifier or address of the text
	Mark   string `json:"mark"`          // S seen there; S2 in a secondary source; G general knowledge, not seen; I a setting of the installation
	Note   string `json:"note,omitzero"` // why this reading; a mark other than S has one
}

// Authoriser says who decides. In Arca a judge of the order's court signs, whoever that is in the statute.
type Authoriser struct {
	Who     string `json:"who"`
	Article string `json:"article"`
	Decide  Term   `json:"decide,omitzero"` // from the filing of the request
}

// Term is a length of time: exactly one of its units, or none.
type Term struct {
	Years       int    `json:"years,omitzero"`
	Months      int    `json:"months,omitzero"`
	Days        int    `json:"days,omitzero"`
	Hours       int    `json:"hours,omitzero"`
	WorkingDays int    `json:"workingDays,omitzero"`
	Immediately bool   `json:"immediately,omitzero"`
	None        bool   `json:"none,omitzero"` // the statute has no such term
	Article     string `json:"article"`
}

// Rule is a choice with its article. For LastDay it is "excluded" (the term ends
// when the corresponding day begins) or "included" (when it ends); for what a
// destruction may name see Destroying.
type Rule struct {
	Rule    string `json:"rule,omitzero"`
	Article string `json:"article"`
}

// Item is something that an order or request must say.
type Item struct {
	Field   string `json:"field,omitzero"`
	Name    string `json:"name"`
	Article string `json:"article"`

	has func(*record.Order) bool // whether an order has it; nil for a request's
}

// Start says what starts the first term: "decision", or "first-interception" but Latest after the decision at the latest.
type Start struct {
	Rule    string `json:"rule"`
	Latest  Term   `json:"latest,omitzero"`
	Article string `json:"article"`
}

// Urgent is the procedure without a judge's decision beforehand. At silence the measure lapses by itself.
type Urgent struct {
	None    bool        `json:"none,omitzero"`
	By      record.Role `json:"by,omitzero"` // who signs the first member: minister, prosecutor or supervisor
	Who     string      `json:"who,omitzero"`
	When    string      `json:"when,omitzero"`    // in which cases
	Tell    Term        `json:"tell,omitzero"`    // the judge, from the decision
	Confirm Term        `json:"confirm,omitzero"` // by the judge, from the decision
	Term    Term        `json:"term,omitzero"`    // how long the measure is without an extension; absent: the first term
	Article string      `json:"article"`
}

// Reporting is what the judge is told: at the order's cadence or not, and a last report after the end.
type Reporting struct {
	Cadence string `json:"cadence"` // order, none
	Final   Term   `json:"final"`   // from the end of the measure
	Article string `json:"article"`
}

// Notification of the persons intercepted.
type Notification struct {
	None    bool   `json:"none,omitzero"`
	From    string `json:"from,omitzero"` // end, or a milestone, whichever of the two is later
	Within  Term   `json:"within,omitzero"`
	Waiver  bool   `json:"waiver,omitzero"` // the judge may waive it for good
	Article string `json:"article"`
}

// Destroying is when recordings go. Nothing goes without a judge's order; an order is demanded, not assumed.
type Destroying struct {
	Steps []Step `json:"steps"`
	Named Rule   `json:"named"` // recordings named one by one: any-time, or as-step-1
	Undo  Term   `json:"undo"`  // between the order and the point of no return
}

// Step is one of at most two: 1 operational copies, 2 the clerk's copies.
type Step struct {
	Step     int       `json:"step"`
	What     string    `json:"what"`
	Triggers []Trigger `json:"triggers"` // any of them
	Article  string    `json:"article"`
	Keeps    Rule      `json:"keeps,omitzero"` // the compartment, in which a copy of every recording stays before it goes; absent: none need stay

	// What its clocks say, put together once.
	clock, execution, destroyed string
	orders, kept, awaits        string
}

func (s *Step) words() {
	suffix := "-" + string(rune('0'+s.Step))
	s.clock, s.execution, s.destroyed = "destruction"+suffix, "execution"+suffix, "destroyed"+suffix
	s.orders, s.kept = "a judge orders the destruction of "+s.What, "kept until then; from then on a judge may order the destruction of "+s.What
	var awaits []string
	for _, t := range s.Triggers {
		awaits = append(awaits, t.String())
	}
	s.awaits = strings.Join(awaits, ", or ")
}

// Trigger is what a destruction needs to have happened.
type Trigger struct {
	Event   string `json:"event"` // end, rejection, or a milestone
	After   Term   `json:"after,omitzero"`
	Demands bool   `json:"demands,omitzero"` // an order is then due; else it is only allowed
	Article string `json:"article"`
}

// Category is a kind of privilege.
type Category struct {
	Name    string `json:"name"`
	Meaning string `json:"meaning"`
	Article string `json:"article"`
}

// Waymark is a milestone that the statute knows.
type Waymark struct {
	Name    string `json:"name"`
	Meaning string `json:"meaning"`
	Article string `json:"article"`
}

// Warning is how long before a term's end the people concerned are told: Long for terms of a month and more.
type Warning struct {
	Long  Term `json:"long"`
	Days  Term `json:"days"`
	Short Term `json:"short"`
}

// Events that are no milestones.
const (
	eventEnd       = "end"       // of the measure
	eventRejection = "rejection" // of an urgent measure
)

// Milestones with a meaning of their own.
const (
	Told              = "told"
	FirstInterception = "first-interception"
	Report            = "report"
	FinalReport       = "final-report"
	Sealed            = "sealed"
	Reviewed          = "reviewed"
	Destroyed1        = "destroyed-1"
	Destroyed2        = "destroyed-2"
)

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

// needed are the fields that every profile demands, because Arca could not keep the order without them.
var needed = []string{"scope.identifiers", "scope.kinds", "policeUnit", "capture", "court", "case", "classification", "accessEnd"}

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
	if err == nil && fileOf(p.Name) != name {
		err = fmt.Errorf("the profile's name is %q, its file's another", p.Name)
	}
	return p, err
}

func fileOf(name string) string { return strings.ToLower(name) + ".json" }

// parseProfile reads a profile, strictly: what is unknown, missing or contradicts itself is refused by its name.
func parseProfile(b []byte) (*Profile, error) {
	whole, err := onBase(b)
	if err != nil {
		return nil, err
	}
	p := &Profile{holidays: new(sync.Map)}
	if err := json.Unmarshal(whole, p, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	for i := range p.Destruction.Steps {
		p.Destruction.Steps[i].words()
	}
	for i := range p.Items {
		p.Items[i].has = present[p.Items[i].Field]
	}
	zone, err := profileFiles.ReadFile("profiles/" + strings.ReplaceAll(p.Zone, "/", "-") + ".tzif")
	if err != nil {
		return nil, fmt.Errorf("zone: there is no data of %q", p.Zone)
	}
	p.zone, err = time.LoadLocationFromTZData(p.Zone, zone)
	return p, err
}

// onBase puts a variant's members over those of its base, whole member by whole member; only the articles are joined, key by key.
func onBase(b []byte) ([]byte, error) {
	own, err := members(b)
	if err != nil || own["base"] == nil {
		return b, err
	}
	var base string
	if err := json.Unmarshal(own["base"], &base); err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	raw, err := profileFiles.ReadFile("profiles/" + fileOf(base))
	if err != nil || strings.ContainsAny(base, "/\\") {
		return nil, fmt.Errorf("base: there is no profile %q", base)
	}
	whole, err := members(raw)
	if err != nil {
		return nil, err
	}
	if whole["base"] != nil {
		return nil, fmt.Errorf("base: %q stands on a base itself", base)
	}
	articles, err := members(whole["articles"])
	if err != nil {
		return nil, err
	}
	more := map[string]jsontext.Value{}
	if own["articles"] != nil {
		if more, err = members(own["articles"]); err != nil {
			return nil, fmt.Errorf("articles: %w", err)
		}
	}
	maps.Copy(articles, more)
	maps.Copy(whole, own)
	if whole["articles"], err = json.Marshal(articles); err != nil {
		return nil, err
	}
	return json.Marshal(whole)
}

func members(b []byte) (m map[string]jsontext.Value, err error) {
	if err = json.Unmarshal(b, &m); err == nil && m == nil {
		err = fmt.Errorf("a profile is an object")
	}
	return m, err
}

// ProfileOf gives the statute profile of that name. Errors: problem.Invalid.
func ProfileOf(name string) (*Profile, error) {
	if p := profiles()[name]; p != nil {
		return p, nil
	}
	return nil, problem.New(problem.Invalid, "this installation does not know the statute profile that the order names; known are %s", strings.Join(Profiles(), ", "))
}

// Profiles lists the names of the statute profiles.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles())) }

// Cite gives the article behind a key, as a message names it.
func (p *Profile) Cite(key string) string { return p.Articles[key].Cite }

// lacks names the first mandatory item that an order does not have.
func (p *Profile) lacks(o *record.Order) error {
	for k := range p.Items {
		if i := &p.Items[k]; !i.has(o) {
			return problem.New(problem.Invalid, "the order lacks %s (%s)", i.Name, p.Cite(i.Article))
		}
	}
	return nil
}

// milestone finds a milestone that the statute knows.
func (p *Profile) milestone(name string) (Waymark, bool) {
	i := slices.IndexFunc(p.Milestones, func(w Waymark) bool { return w.Name == name })
	if i < 0 {
		return Waymark{}, false
	}
	return p.Milestones[i], true
}

// step finds a step of destruction.
func (p *Profile) step(number int) (Step, bool) {
	i := slices.IndexFunc(p.Destruction.Steps, func(s Step) bool { return s.Step == number })
	if i < 0 {
		return Step{}, false
	}
	return p.Destruction.Steps[i], true
}

// Checked is a mandatory item of an order and whether the order has it.
type Checked struct {
	Field   string `json:"field"`
	Name    string `json:"name"`
	Article string `json:"article"`
	Present bool   `json:"present"`
}

// Check goes through what the statute asks an order to say, item by item, in the statute's order. Whether the order may be admitted,
// Admit says.
func (p *Profile) Check(o *record.Order) []Checked {
	var list []Checked
	for _, i := range p.Items {
		list = append(list, Checked{Field: i.Field, Name: i.Name, Article: p.Cite(i.Article), Present: present[i.Field](o)})
	}
	return list
}
