package oversight

import (
	"fmt"
	"slices"
	"strings"

	"arca.example/arca/shared/problem"
)

// Shapes are the countries in whose form a report can be given.
var Shapes = []string{"us", "de", "gb"}

// Grid is a table of texts, in the form in which a country publishes it. Its cells are those of the report: what is hidden there is hidden here.
type Grid struct {
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
	Shape   string     `json:"shape,omitzero"`
	Title   string     `json:"title"`
}

const notInArca = "not recorded here"

// Shape gives the report in a country's form. Errors: problem.Invalid for one that is not known.
func (r *Report) Shape(name string) (*Grid, error) {
	var g *Grid
	switch name {
	case "us":
		g = r.unitedStates()
	case "de":
		g = r.germany()
	case "gb":
		g = r.unitedKingdom()
	default:
		return nil, problem.New(problem.Invalid, "a report has the shape of %s", strings.Join(Shapes, ", "))
	}
	g.Shape = name
	return g, nil
}

// period is the time that a report is of, with its last second named as the first that is outside.
func (r *Report) period() string {
	return r.Period.From.UTC().Format("2006-01-02 15:04:05") + " to " + r.Period.Until.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// unitedStates is the report of 18 U.S.C. 2519 as far as a custodian has it: orders and extensions by jurisdiction, then their length, and
// offences. What only prosecutors know is named.
func (r *Report) unitedStates() *Grid {
	g := &Grid{Title: "Intercept orders (18 U.S.C. 2519), " + r.period(), Columns: []string{"Reporting jurisdiction", "Orders authorized", "Extensions authorized"}}
	g.Rows = r.side("initial-by-court", "extensions-by-court")
	g.Rows = append(g.Rows, []string{"Total", r.Cell("orders", "initial"), r.Cell("orders", "extension")},
		[]string{"Amended (modified)", r.Cell("orders", "modified"), ""},
		[]string{"Average length in days", r.span("initial", false), r.span("extension", false)},
		[]string{"Longest in days", r.span("initial", true), r.span("extension", true)})
	for _, row := range r.side("initial-by-offence", "extensions-by-offence") {
		g.Rows = append(g.Rows, append([]string{"Offense: " + row[0]}, row[1:]...))
	}
	for _, name := range []string{"Denied by the judge", "Persons intercepted", "Incriminating intercepts", "Encryption", "Cost", "Arrests, trials, motions to suppress, convictions"} {
		g.Rows = append(g.Rows, []string{name, notInArca, notInArca})
	}
	return g
}

// germany is the overview of § 101b StPO.
func (r *Report) germany() *Grid {
	g := &Grid{Title: "Telekommunikationsüberwachung (§ 101b StPO), " + r.period(), Columns: []string{"", "Anzahl"}}
	g.Rows = [][]string{
		{"Verfahren", r.Cell("proceedings", "proceedings")},
		{"Überwachungsanordnungen: Erstanordnungen", r.Cell("orders", "initial")},
		{"Überwachungsanordnungen: Verlängerungsanordnungen", r.Cell("orders", "extension")},
	}
	for _, row := range r.side("initial-by-offence", "extensions-by-offence") {
		g.Rows = append(g.Rows, []string{"Anlassstraftat " + row[0] + ": Erstanordnungen", row[1]}, []string{"Anlassstraftat " + row[0] + ": Verlängerungsanordnungen", row[2]})
	}
	g.Rows = append(g.Rows, []string{"Benachrichtigungen: erfolgt", r.Cell("notices", "done")}, []string{"Benachrichtigungen: zurückgestellt", r.Cell("notices", "defer")},
		[]string{"Benachrichtigungen: endgültig abgesehen", r.Cell("notices", "waive")},
		[]string{"Quellen-TKÜ angeordnet, durchgeführt", notInArca}, []string{"Kosten", notInArca})
	return g
}

// unitedKingdom is what the Commissioner reports of warrants, safeguards and errors (IPA 2016 s. 234).
func (r *Report) unitedKingdom() *Grid {
	return &Grid{Title: "Targeted interception warrants (IPA 2016 s. 234), " + r.period(), Columns: []string{"", "Number"}, Rows: [][]string{
		{"Warrants issued", r.Cell("orders", "initial")},
		{"of these urgent", r.Cell("initial-by-procedure", "urgent")},
		{"Urgent warrants approved by a Judicial Commissioner", r.Cell("urgent", "confirmed")},
		{"Urgent warrants refused by a Judicial Commissioner", r.Cell("urgent", "rejected")},
		{"Urgent warrants that lapsed", r.Cell("urgent", "lapsed")},
		{"Warrants renewed", r.Cell("orders", "extension")},
		{"Warrants modified", r.Cell("orders", "modified")},
		{"Warrants cancelled", r.Cell("course", "closing")},
		{"Warrants revoked", r.Cell("course", "revocation")},
		{"Items of legal privilege and of journalists: recordings", r.Cell("recordings", "privileged")},
		{"Items of privilege: ordered to be deleted", r.Cell("privileged", "delete")},
		{"Destructions ordered", r.Cell("destruction", "ordered-1")},
		{"Destructions recorded as done", r.Cell("destruction", "done-1")},
		{"Errors: orders with two members of one number", r.Cell("errors", "forked")},
		{"Errors: openings that failed", r.Cell("errors", "unfinished")},
		{"Serious errors, and persons informed of them (s. 231)", notInArca},
		{"Applications refused", notInArca},
	}}
}

// side puts two tables beside each other by their rows' names.
func (r *Report) side(left, right string) (list [][]string) {
	var keys []string
	for _, id := range []string{left, right} {
		for _, row := range r.Table(id).Rows {
			if !slices.Contains(keys, row.Key) {
				keys = append(keys, row.Key)
			}
		}
	}
	for _, key := range keys {
		list = append(list, []string{key, r.gathered(left, key), r.gathered(right, key)})
	}
	return list
}

// gathered is Cell for a table that puts small counts together: a name that it does not have may stand among the others.
func (r *Report) gathered(table, key string) string {
	t := r.Table(table)
	has := func(key string) bool {
		return slices.ContainsFunc(t.Rows, func(row Row) bool { return row.Key == key })
	}
	if !has(key) && has(others) {
		return "among " + others
	}
	return r.Cell(table, key)
}

func (r *Report) span(id string, most bool) string {
	for _, s := range r.Spans {
		if s.ID != id {
			continue
		}
		switch {
		case s.Hidden:
			return HiddenMark
		case most:
			return fmt.Sprintf("%.1f", s.MaxDays)
		}
		return fmt.Sprintf("%.1f", s.Mean)
	}
	return ""
}

// Grid gives the whole report as one grid: a line for each count.
func (r *Report) Grid() *Grid {
	g := &Grid{Title: "Oversight, " + r.period(), Columns: []string{"table", "row", "meaning", "count"}}
	for i := range r.Tables {
		t := &r.Tables[i]
		for _, row := range t.Rows {
			g.Rows = append(g.Rows, []string{t.ID, row.Key, t.Title + ": " + row.Title, row.Text()})
		}
		if t.Total != nil {
			g.Rows = append(g.Rows, []string{t.ID, "total", t.Title, fmt.Sprint(*t.Total)})
		}
	}
	for _, s := range r.Spans {
		g.Rows = append(g.Rows, []string{"days-" + s.ID, "mean", s.Title + ", mean", r.span(s.ID, false)}, []string{"days-" + s.ID, "max", s.Title + ", longest", r.span(s.ID, true)})
	}
	for _, d := range r.Differ {
		g.Rows = append(g.Rows, []string{"differ", d, "the keyholders' journals differ here", ""})
	}
	return g
}
