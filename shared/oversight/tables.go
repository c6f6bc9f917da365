package oversight

import (
	"fmt"
	"slices"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// Version is that of the report's form.
const Version = 1

// Report is what is published. Which events it was counted from, Journals say.
type Report struct {
	Differ   []string      `json:"differ"` // rows in which the keyholders differ, as table/row
	Journals []Counted     `json:"journals"`
	Missing  []string      `json:"missing"` // what statutes ask for and no event says
	Period   record.Window `json:"period"`
	Small    int           `json:"small"` // counts below it are hidden
	Spans    []Span        `json:"spans"`
	Tables   []Table       `json:"tables"`
	Version  int           `json:"version"`
}

// Counted says of which events of a keyholder the figures are. The first is whose figures the tables have.
type Counted struct {
	Cases  int           `json:"cases"`
	Events int           `json:"events"`
	Party  string        `json:"party"`
	State  record.Digest `json:"state"` // over each case's last event that counts
}

// Table is a count by one attribute.
type Table struct {
	ID       string `json:"id"`
	Of       string `json:"of,omitzero"` // table/row whose count the total is
	Rows     []Row  `json:"rows"`
	Title    string `json:"title"`
	Total    *int   `json:"total,omitempty"`   // absent: the rows do not add up to anything, or it is hidden
	Withheld bool   `json:"withheld,omitzero"` // all of it, because the total is hidden elsewhere
}

// Row is one count. Hidden: it is small, or a small one would follow from it.
type Row struct {
	Count  *int   `json:"count,omitempty"`
	Hidden bool   `json:"hidden,omitzero"`
	Key    string `json:"key"`
	Title  string `json:"title"`
}

// Span is how long orders were.
type Span struct {
	Hidden  bool    `json:"hidden,omitzero"` // of too few orders
	ID      string  `json:"id"`
	MaxDays float64 `json:"maxDays,omitzero"`
	Mean    float64 `json:"meanDays,omitzero"` // rounded to a tenth
	Of      string  `json:"of"`
	Title   string  `json:"title"`
}

const (
	notStated = "not-stated"
	others    = "(others)"
)

// figure is a table as it is defined.
type figure struct {
	id, title string
	of        string // table/row
	adds      bool   // the rows add up to a total
	open      bool   // rows are named by the data; where they add up, small ones are put together without their names
	rows      []row
}

type row struct{ key, title string }

// rows gives rows whose keys are their titles.
func rows(keys ...string) (list []row) {
	for _, k := range keys {
		list = append(list, row{k, k})
	}
	return list
}

// figures are the tables in their order: one stands behind those that it is a part of.
var figures = []figure{
	{id: "orders", title: "Orders of judges, and of others in urgent cases", adds: true, rows: []row{{"initial", "initial orders"}, {"extension", "extensions"}, {"modified", "modified (narrowed)"}}},
	{id: "proceedings", title: "Proceedings with an initial order or an extension", rows: rows("proceedings")},
	{id: "initial-by-procedure", title: "Initial orders by procedure", of: "orders/initial", adds: true, rows: []row{{"judge", "by a judge"}, {"urgent", "urgent, without the judge"}}},
	{id: "urgent", title: "Urgent orders by what became of them", of: "initial-by-procedure/urgent", adds: true, rows: []row{{"confirmed", "confirmed"}, {"rejected", "not confirmed by the judge"}, {"lapsed", "lapsed by itself"}, {"open", "still open"}}},
	{id: "initial-by-statute", title: "Initial orders by statute", of: "orders/initial", adds: true, open: true},
	{id: "extensions-by-statute", title: "Extensions by statute", of: "orders/extension", adds: true, open: true},
	{id: "initial-by-offence", title: "Initial orders by offence group, where the order states one", of: "orders/initial", adds: true, open: true},
	{id: "extensions-by-offence", title: "Extensions by offence group, where the order states one", of: "orders/extension", adds: true, open: true},
	{id: "initial-by-court", title: "Initial orders by court", of: "orders/initial", adds: true, open: true},
	{id: "extensions-by-court", title: "Extensions by court", of: "orders/extension", adds: true, open: true},
	{id: "scope-call", title: "Initial orders that cover calls", of: "orders/initial", adds: true, rows: []row{{"covered", "cover them"}, {"other", "do not"}}},
	{id: "scope-message", title: "Initial orders that cover messages", of: "orders/initial", adds: true, rows: []row{{"covered", "cover them"}, {"other", "do not"}}},
	{id: "scope-session", title: "Initial orders that cover sessions", of: "orders/initial", adds: true, rows: []row{{"covered", "cover them"}, {"other", "do not"}}},
	{id: "course", title: "Decisions on measures under way", rows: []row{{"confirmation", "urgent measures confirmed"}, {"rejection", "urgent measures not confirmed"}, {"suspension", "suspended"}, {"resumption", "resumed"}, {"revocation", "revoked"}, {"closing", "ended before their time"}, {"hold", "holds"}, {"lifting", "holds lifted, destructions taken back"}}},
	{id: "state", title: "All orders by their state at the end of the period", adds: true, rows: rows(law.InForce, law.Suspended, law.Revoked, law.Rejected, law.Lapsed, law.Unknown)},
	{id: "refused", title: "Refused by a keyholder or collector", rows: []row{{"cap", "orders past the statute's cap"}, {"order", "other orders"}, {"request", "requests"}, {"approval", "approvals"}, {"act", "readers' reports of an act"}, {"delivery", "deliveries outside the order or not intact"}, {"other", "others"}}},
	{id: "recordings", title: "Recordings by where they were sealed", adds: true, rows: []row{{"main", "delivered"}, {"privileged", "delivered and flagged as privileged"}, {"elsewhere", "delivered, other compartments"}, {"readers", "notes, transcripts and recordings sealed again by readers"}}},
	{id: "deliveries", title: "Deliveries", rows: []row{{"batches", "batches"}, {"deposited", "batches whose packs the collector named"}}},
	{id: "privileged", title: "Privileged recordings that a judge decided on", rows: []row{{record.VerdictRelease, "released to the case"}, {record.VerdictExclude, "excluded"}, {record.VerdictDelete, "to be deleted"}}},
	{id: "requests", title: "Requests for access", rows: []row{{string(record.EventAsked), "asked"}, {string(record.EventApproved), "approvals"}, {string(record.EventDenied), "denials"}}},
	{id: "released", title: "Releases of key halves", rows: rows("answers")},
	{id: "acts", title: "What readers did", rows: []row{{string(record.EventFound), "listings"}, {string(record.EventOpened), "openings"}, {string(record.EventCopied), "copies"}, {string(record.EventDisclosed), "disclosures to others and to other cases"}, {string(record.EventAnnotated), "notes and transcripts"}, {string(record.EventMoved), "moves to another compartment"}}},
	{id: "opened-by-role", title: "Openings by role", of: "acts/opened", adds: true, rows: rows(string(record.Judge), string(record.Clerk), string(record.Prosecutor), string(record.Investigator), string(record.Supervisor), string(record.Auditor), string(record.Custodian), "unknown")},
	{id: "reports", title: "Reports to the judge", rows: []row{{law.Report, "recorded by the court"}, {law.FinalReport, "recorded by the court, final"}, {"delivered", "parts in the court's inbox"}, {"delivered-final", "parts in the court's inbox, final"}}},
	{id: "notices", title: "Notification of the persons intercepted", rows: []row{{record.VerdictDone, "done"}, {record.VerdictDefer, "deferred"}, {record.VerdictWaive, "waived"}}},
	{id: "destruction", title: "Destruction", rows: []row{{"ordered-1", "ordered, operational copies"}, {"ordered-2", "ordered, the clerk's copies"}, {"ordered-named", "ordered, named recordings"}, {"done-1", "recorded as done, operational copies"}, {"done-2", "recorded as done, the clerk's copies"}, {"certified", "carried out at the keyholder, with its certificate"}}},
	{id: "milestones", title: "Other milestones", open: true},
	{id: "overdue", title: "Overdue at the end of the period", open: true},
	{id: "lapsed", title: "Ended by itself in the period", open: true},
	{id: "warned", title: "Told of what was due", rows: rows(record.LevelDue, record.LevelOverdue, record.LevelEscalated)},
	{id: "people", title: "Persons and machines", rows: []row{{"enrolled", "enrolments"}, {"suspended", "suspensions"}}},
	{id: "keeping", title: "Keys and trust", rows: []row{{"unit", "units opened"}, {"closed", "a collector's words that a unit gets nothing more"}, {"trust", "trust files accepted"}}},
	{id: "errors", title: "Errors", rows: []row{{"forked", "orders with two members of one number"}, {"unfinished", "openings that failed"}, {"unverified", "order members whose author's enrolment was not at hand"}, {"unreadable", "orders that cannot be read"}}},
	{id: "other", title: "Other events, by kind", open: true},
}

// ownFigures are what each keyholder does for itself, in which the two need not agree.
var ownFigures = []string{"refused", "released", "errors", "lapsed", "warned"}

// missing are items of the statutes' reports that no event says.
var missing = []string{
	"applications that a judge refused: they do not reach the keyholders",
	"arrests, trials, motions to suppress, convictions and cost: they are the prosecutor's",
	"persons intercepted, and how many communications were incriminating: nothing in Arca counts people",
	"source interception (Quellen-TKÜ) ordered and executed: no profile has it",
	"accesses that an auditor looked at by sample: an audit leaves no event",
}

// Compile makes the report of the first count and says where others differ from it.
func Compile(counts ...*Counter) (*Report, error) {
	first := counts[0]
	r := &Report{Version: Version, Period: first.Period, Small: first.Small, Missing: missing, Differ: []string{}}
	for _, c := range counts {
		if c.Period != first.Period || c.Small != first.Small {
			return nil, problem.New(problem.Invalid, "counts of different periods or settings do not make one report")
		}
		r.Journals = append(r.Journals, Counted{Party: c.Party, Cases: len(c.heads), Events: c.events, State: c.state()})
		r.differ(first, c)
	}
	hidden := map[string]bool{}
	for i := range figures {
		r.Tables = append(r.Tables, figures[i].table(first, hidden))
	}
	for _, s := range []Span{{ID: "initial", Of: "orders/initial", Title: "Days of initial orders"}, {ID: "extension", Of: "orders/extension", Title: "Days of extensions"}} {
		of := first.spans[s.ID]
		if s.Hidden = hidden[s.Of]; !s.Hidden && of.orders > 0 {
			s.Mean, s.MaxDays = days(of.sum/time.Duration(of.orders)), days(of.most)
		}
		r.Spans = append(r.Spans, s)
	}
	return r, nil
}

func days(d time.Duration) float64 { return float64(d.Round(144*time.Minute)/(144*time.Minute)) / 10 }

// differ names the rows in which another keyholder's count differs. How much it differs is not said: it may be small.
func (r *Report) differ(first, other *Counter) {
	for _, f := range figures {
		if slices.Contains(ownFigures, f.id) {
			continue
		}
		all := map[string]int{}
		for _, c := range []*Counter{first, other} {
			for key := range c.counts[f.id] {
				all[key]++
			}
		}
		for _, key := range sortedKeys(all) {
			if name := f.id + "/" + key; first.counts[f.id][key] != other.counts[f.id][key] && !slices.Contains(r.Differ, name) {
				if f.adds && f.open { // the name may stand for a few
					name = f.id
				}
				if !slices.Contains(r.Differ, name) {
					r.Differ = append(r.Differ, name)
				}
			}
		}
	}
}

// table gives a table as it is published, and notes which of its rows are hidden.
func (f *figure) table(c *Counter, hidden map[string]bool) Table {
	t := Table{ID: f.id, Title: f.title, Of: f.of, Rows: []Row{}, Withheld: hidden[f.of] && f.of != ""}
	list, counts := f.counts(c)
	hide := make([]bool, len(list))
	sum, hideTotal := 0, !f.adds
	for i, n := range counts {
		sum += n
		hide[i] = isSmall(n, c.Small)
	}
	if f.adds {
		hide, hideTotal = suppress(counts, c.Small)
	}
	for i, r := range list {
		row := Row{Key: r.key, Title: r.title, Hidden: hide[i] || t.Withheld}
		if !row.Hidden {
			row.Count = &counts[i]
		}
		hidden[f.id+"/"+r.key] = row.Hidden
		t.Rows = append(t.Rows, row)
	}
	if !hideTotal && !t.Withheld {
		t.Total = &sum
	}
	return t
}

// counts gives the rows and what was counted in each. A row that the table does not have stands behind those that it has.
func (f *figure) counts(c *Counter) (list []row, counts []int) {
	found := c.counts[f.id]
	if f.adds && f.open && c.Small > 0 {
		names, counts := gather(found, c.Small)
		return rows(names...), counts
	}
	list = slices.Clone(f.rows)
	for _, key := range sortedKeys(found) {
		if !slices.ContainsFunc(list, func(r row) bool { return r.key == key }) {
			list = append(list, row{key, key})
		}
	}
	for _, r := range list {
		counts = append(counts, found[r.key])
	}
	return list, counts
}

// Table gives a table by its id.
func (r *Report) Table(id string) *Table {
	i := slices.IndexFunc(r.Tables, func(t Table) bool { return t.ID == id })
	return &r.Tables[i]
}

// Cell gives a count as it is shown: a number, or that it is hidden.
func (r *Report) Cell(table, key string) string {
	for _, row := range r.Table(table).Rows {
		if row.Key == key {
			return row.Text()
		}
	}
	return "0"
}

// HiddenMark stands for a count that is hidden.
const HiddenMark = "(hidden)"

// Text is the count as it is shown.
func (r Row) Text() string {
	if r.Count == nil {
		return HiddenMark
	}
	return fmt.Sprint(*r.Count)
}
