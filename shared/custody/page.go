package custody

import (
	"fmt"
	"html"
	"strings"
	"unicode"

	"arca.example/arca/shared/record"
)

// literal is markup that is written in this file. Only an untyped constant becomes one without being asked to, so data cannot: it has to go
// through text.
type literal string

// markup writes HTML and SVG: markup as literals, everything else escaped.
type markup struct{ b strings.Builder }

func (m *markup) put(list ...literal) {
	for _, l := range list {
		m.b.WriteString(string(l))
	}
}

// text writes data. What an HTML or XML reader would take for markup is escaped, and what could change how text around it reads, or is
// no character of XML, is replaced.
func (m *markup) text(s string) { m.b.WriteString(html.EscapeString(inert(s))) }

// number writes a number, which needs no escape.
func (m *markup) number(n int) { fmt.Fprintf(&m.b, "%d", n) }

// isolated writes data so that its direction stays its own.
func (m *markup) isolated(s string) {
	m.put("<bdi>")
	m.text(s)
	m.put("</bdi>")
}

// inert puts a text on one line without controls, bidirectional overrides, and code points that are no characters.
func inert(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}

// style is the page's: black on white on paper, one column, rows that do not break.
const style literal = `<style>
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#111;background:#fff}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3em .6em;border-bottom:1px solid #bbb;overflow-wrap:anywhere}
th{border-bottom:2px solid #333;white-space:nowrap}tr{break-inside:avoid}
code{font:12px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
.grave{color:#900;font-weight:bold}.verdict{border:2px solid #333;padding:.6em 1em}
svg{max-width:100%;height:auto}
@media print{body{margin:0;max-width:none;font-size:10pt}@page{margin:15mm}}
</style>`

// HTML gives the timeline as one page that needs nothing else: no script, no network, made to print.
func (t *Timeline) HTML() []byte {
	m := &markup{}
	m.put("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">",
		`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
		`<meta name="viewport" content="width=device-width, initial-scale=1">`, "<title>Custody of recording ")
	m.text(t.Recording.String())
	m.put("</title>\n", style, "</head>\n<body>\n<h1>Custody of recording <code>")
	m.text(t.Recording.String())
	m.put("</code></h1>\n<p class=\"verdict\">")
	m.text(t.Verdict())
	m.put("</p>\n")
	t.facts(m)
	m.put("<h2>Timeline</h2>\n")
	t.drawing(m)
	m.put("\n<h2>Acts</h2>\n")
	t.table(m)
	t.evidence(m)
	m.put("</body></html>\n")
	return []byte(m.b.String())
}

// facts says what the page is about and what was checked.
func (t *Timeline) facts(m *markup) {
	m.put("<table>")
	row := func(name literal, value string) {
		if value == "" {
			return
		}
		m.put("<tr><th>", name, "</th><td>")
		m.isolated(value)
		m.put("</td></tr>\n")
	}
	row("Order", t.Chain.String())
	if t.Order != nil {
		row("Court", t.Order.Court)
		row("Case", t.Order.Case)
		row("Unit of police", t.Order.PoliceUnit)
		row("Recording allowed", stamp(t.Order.Capture.From)+" to "+stamp(t.Order.Capture.Until))
	}
	row("Batch", t.Batch.String())
	row("Week, compartment, classification", t.Week+", "+t.Compartment+", "+t.Classification)
	for _, j := range t.Journals {
		row("Journal", fmt.Sprintf("%s: %d events, %d proven in the witnessed log, %d not yet, %d withheld", j.Party, j.Events, j.Proven, j.Pending, j.Withheld))
	}
	m.put("</table>\n")
	if len(t.Findings) == 0 {
		return
	}
	m.put("<h2>Findings</h2>\n<ul>")
	for _, f := range t.Findings {
		if f.Grave {
			m.put(`<li class="grave">`)
		} else {
			m.put("<li>")
		}
		m.text(strings.TrimSpace(f.Party + ": " + f.Text))
		m.put("</li>\n")
	}
	m.put("</ul>\n")
}

func (t *Timeline) table(m *markup) {
	m.put("<table><thead><tr>")
	for _, head := range Columns {
		m.put("<th>")
		m.text(head)
		m.put("</th>")
	}
	m.put("</tr></thead><tbody>\n")
	for i := range t.Entries {
		m.put("<tr>")
		for _, cell := range t.Entries[i].Row() {
			m.put("<td>")
			m.isolated(cell)
			m.put("</td>")
		}
		m.put("</tr>\n")
	}
	m.put("</tbody></table>\n")
}

// evidence lists what a stranger needs to look each act up in the journals and the log.
func (t *Timeline) evidence(m *markup) {
	m.put("<h2>Evidence</h2>\n<p>Each act stands in a keyholder's journal under a number. The event's SHA-256 is what the next event of that journal names; the entry is ",
		"what the public log holds at the index. Times are the witnesses'; the author's own clock is a claim.</p>\n",
		"<table><thead><tr><th>Act</th><th>Journal</th><th>Author's clock</th><th>Event, SHA-256</th><th>Log entry</th><th>Index</th><th>Key, enrolment</th></tr></thead><tbody>\n")
	for i := range t.Entries {
		e := &t.Entries[i]
		for _, s := range e.Seen {
			m.put("<tr><td>")
			m.isolated(e.Words())
			m.put("</td><td>")
			m.text(s.Party)
			m.put(" ")
			m.number(int(s.Number))
			m.put("</td><td>")
			m.text(stamp(e.Claimed))
			m.put("</td><td><code>")
			m.text(s.Event.String())
			m.put("</code></td><td><code>")
			m.text(s.Entry)
			m.put("</code></td><td>")
			if s.Index >= 0 {
				m.number(int(s.Index))
			}
			m.put("</td><td><code>")
			m.text(short(e.By.Key) + " " + short(e.By.Enrolment))
			m.put("</code></td></tr>\n")
		}
	}
	m.put("</tbody></table>\n")
}

func short(d record.Digest) string {
	if d.IsZero() {
		return ""
	}
	return d.Short()
}

// SVG gives the timeline as a drawing that stands alone.
func (t *Timeline) SVG() []byte {
	m := &markup{}
	m.put(`<?xml version="1.0" encoding="UTF-8"?>`, "\n")
	t.drawing(m)
	m.put("\n")
	return []byte(m.b.String())
}

// The drawing's measures, in pixels.
const (
	rowHeight = 44
	laneWidth = 26
	textLeft  = 120
	width     = 960
)

// lanes are the columns of the drawing: who acts.
var lanes = []string{"judge and collector", "keyholders", "readers"}

// lane is the column of an act.
func (e *Entry) lane() int {
	switch e.Act {
	case "released", actRefused, actDeposited, "destroyed":
		return 1
	case "asked", "approved", "denied", "found", "opened", "copied", "disclosed", "annotated":
		return 2
	}
	return 0
}

// colour says whether an act let somebody hear, or stopped somebody.
func (e *Entry) colour() literal {
	switch e.Act {
	case "opened", "copied", "disclosed":
		return "#b35900"
	case actRefused, "denied", "suspension", "revocation", "destroyed":
		return "#990000"
	case "released", "approved":
		return "#1f6f3a"
	}
	return "#1f4e8c"
}

// drawing writes one row for each act, oldest first, with a dot in the column of whoever acts.
func (t *Timeline) drawing(m *markup) {
	height := rowHeight*len(t.Entries) + 50
	m.put(`<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="timeline" width="`)
	m.number(width)
	m.put(`" height="`)
	m.number(height)
	m.put(`" viewBox="0 0 `)
	m.number(width)
	m.put(" ")
	m.number(height)
	m.put(`" font-family="system-ui,sans-serif">`)
	for i := range lanes {
		m.line(lanes[i], 20+i*laneWidth, height-10)
	}
	for i := range t.Entries {
		t.Entries[i].dot(m, 40+i*rowHeight)
	}
	m.put("</svg>")
}

// line is a lane with its name as a tooltip.
func (m *markup) line(name string, x, bottom int) {
	m.put(`<line stroke="#999" stroke-width="2" y1="14" x1="`)
	m.number(x)
	m.put(`" x2="`)
	m.number(x)
	m.put(`" y2="`)
	m.number(bottom)
	m.put(`"><title>`)
	m.text(name)
	m.put("</title></line>")
}

func (e *Entry) dot(m *markup, y int) {
	m.put(`<circle r="7" fill="`, e.colour(), `" cx="`)
	m.number(20 + e.lane()*laneWidth)
	m.put(`" cy="`)
	m.number(y)
	m.put(`"/>`)
	words := []string{e.Words()}
	for _, more := range []string{e.Who(), e.On.Words()} {
		if more != "" {
			words = append(words, more)
		}
	}
	m.row(13, "#111", y, strings.Join(words, " · "))
	m.row(11, "#555", y+16, strings.Trim(e.Witnessed()+" · "+oneLine(e.Why), " ·"))
}

// row writes one line of text, cut to what the drawing is wide.
func (m *markup) row(size int, colour literal, y int, text string) {
	if r := []rune(inert(text)); len(r) > 120 {
		text = string(r[:119]) + "…"
	}
	m.put(`<text unicode-bidi="isolate" fill="`, colour, `" font-size="`)
	m.number(size)
	m.put(`" x="`)
	m.number(textLeft)
	m.put(`" y="`)
	m.number(y + 4)
	m.put(`">`)
	m.text(text)
	m.put("</text>")
}
