package oversight

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"html/template"
	"strings"

	"arca.example/arca/shared/record"
)

// JSON gives the report in its canonical form: of the same events and settings the same bytes.
func (r *Report) JSON() ([]byte, error) { return record.Marshal(r) }

// CSV gives a grid by RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe.
func (g *Grid) CSV() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	for _, line := range append([][]string{g.Columns}, g.Rows...) {
		safe := make([]string, len(line))
		for i, cell := range line {
			if safe[i] = cell; cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				safe[i] = "'" + cell
			}
		}
		if err := w.Write(safe); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// bar is one row of a chart, in units of the drawing.
type bar struct {
	Title, Text  string
	Width, Y, At int
	Hidden       bool
}

// chart is a table's drawing.
type chart struct {
	Bars   []bar
	Height int
}

const (
	barHeight = 22
	barFull   = 420 // of the longest
	barFrom   = 330
)

// chart draws the rows of a table that count anything. A hidden count has no length, which would give it away.
func (t Table) chart() chart {
	most := 1
	for _, row := range t.Rows {
		if row.Count != nil {
			most = max(most, *row.Count)
		}
	}
	var c chart
	for _, row := range t.Rows {
		b := bar{Title: row.Title, Text: row.Text(), Y: c.Height, Hidden: row.Hidden}
		if row.Count != nil {
			b.Width = *row.Count * barFull / most
		}
		b.At = barFrom + b.Width + 6
		c.Bars, c.Height = append(c.Bars, b), c.Height+barHeight
	}
	return c
}

// page is the report as a page that needs nothing else: no script, no network, made to print. The template escapes all data by its context.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"chart": Table.chart, "add": func(a, b int) int { return a + b }, "days": func(f float64) string { return fmt.Sprintf("%.1f", f) },
}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}}</title>
<style>
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;color:#111;background:#fff}
h1{font-size:1.5em}h2{font-size:1.1em;margin:1.6em 0 .3em}section{break-inside:avoid}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3em .6em;border-bottom:1px solid #bbb;overflow-wrap:anywhere}
th{border-bottom:2px solid #333}tr{break-inside:avoid}code{font:12px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
svg{max-width:100%;height:auto;font:12px system-ui,sans-serif}.note{color:#444}
@media print{body{margin:0;max-width:none;font-size:10pt}@page{margin:15mm}}
</style></head>
<body><h1>{{.Title}}</h1>
{{with .Report}}<p class="note">Counts only.{{if .Small}} Counts of 1 to {{add .Small -1}} are hidden, and others beside them so that none follows from a total; courts and offence groups with few orders stand among the others.{{end}}</p>
{{if .Differ}}<section><h2>Where the keyholders' journals differ</h2><ul>{{range .Differ}}<li>{{.}}</li>{{end}}</ul></section>{{end}}
{{range .Tables}}<section><h2>{{.Title}}</h2>{{if .Withheld}}<p class="note">Not shown: what it is a part of is hidden.</p>{{else if .Rows}}{{$c := chart .}}
<svg viewBox="0 0 840 {{$c.Height}}" width="840" height="{{$c.Height}}" role="img" aria-label="{{.Title}}">{{range $c.Bars}}
<text x="320" y="{{add .Y 15}}" text-anchor="end">{{.Title}}</text>{{if .Hidden}}{{else}}<rect x="330" y="{{add .Y 4}}" width="{{.Width}}" height="14" fill="#357"/>{{end}}<text x="{{.At}}" y="{{add .Y 15}}">{{.Text}}</text>{{end}}
</svg>{{with .Total}}<p class="note">Total {{.}}</p>{{end}}{{else}}<p class="note">Nothing.</p>{{end}}</section>
{{end}}<section><h2>Length of orders</h2><table><tr><th></th><th>mean days</th><th>longest</th></tr>{{range .Spans}}
<tr><td>{{.Title}}</td>{{if .Hidden}}<td colspan="2">(hidden)</td>{{else}}<td>{{days .Mean}}</td><td>{{days .MaxDays}}</td>{{end}}</tr>{{end}}</table></section>
<section><h2>What no event says</h2><ul>{{range .Missing}}<li>{{.}}</li>{{end}}</ul></section>
<section><h2>Counted from</h2><table><tr><th>Journals of</th><th>cases</th><th>events</th><th>state (SHA-256)</th></tr>{{range .Journals}}
<tr><td>{{.Party}}</td><td>{{.Cases}}</td><td>{{.Events}}</td><td><code>{{.State}}</code></td></tr>{{end}}</table>
<p class="note">The figures are those of the first. Whoever reads the same journals up to the end of the period gets the same state and the same report.</p></section>
{{end}}{{with .Grid}}<table><thead><tr>{{range .Columns}}<th>{{.}}</th>{{end}}</tr></thead><tbody>{{range .Rows}}
<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>{{end}}</tbody></table>
{{end}}</body></html>
`))

// HTML gives the report as a page with charts.
func (r *Report) HTML() ([]byte, error) { return render(r.Grid().Title, r, nil) }

// HTML gives a grid as a page.
func (g *Grid) HTML() ([]byte, error) { return render(g.Title, nil, g) }

func render(title string, r *Report, g *Grid) ([]byte, error) {
	var b bytes.Buffer
	err := page.Execute(&b, struct {
		Title  string
		Report *Report
		Grid   *Grid
	}{title, r, g})
	return b.Bytes(), err
}
