package main

import (
	"bytes"
	_ "embed"
	"html/template"
	"strconv"
	"strings"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

//go:embed report.html
var reportPage string

// reportTemplate escapes whatever is filled in for the place where it stands; the page has no scripts and loads nothing.
var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"when":  when,
	"short": func(d record.Digest) string { return d.Short() },
	"clean": clean,
}).Parse(reportPage))

// writePage writes a report as a page for printing.
func writePage(path string, r shownReport) error {
	var b bytes.Buffer
	if err := reportTemplate.Execute(&b, r); err != nil {
		return problem.Wrap(problem.Internal, err, "the page could not be made")
	}
	return writeFile(path, b.Bytes())
}

// write shows a report on a terminal.
func (r shownReport) write(p *page) {
	if r.Report == "" {
		p.pairs("order", r.Order, "case", r.Case, "court", r.Court)
		p.line("The police have not delivered a report.")
	} else {
		kind, by := "periodic", r.By
		if r.Final {
			kind = "final"
		}
		if !r.Verified {
			by += " (not checked here)"
		}
		p.pairs("order", r.Order, "case", r.Case, "court", r.Court, "report", r.Report, "kind", kind, "by", by, "signed", when(r.Issued), "delivered", when(r.Delivered))
		p.line("")
		writeContent(p, r.Content)
	}
	for _, part := range r.Parts {
		p.line("")
		part.write(p)
	}
	for _, other := range r.Others {
		p.line("another report: %s", other)
	}
}

// writeContent shows what a report says.
func writeContent(p *page, c *record.ReportContent) {
	for line := range strings.Lines(c.Summary) {
		p.line("%s", strings.TrimSuffix(line, "\n"))
	}
	for _, passage := range c.Passages {
		p.line("")
		p.line("passage: recording %s", passage.Recording.Recording.String())
		if passage.Transcript == "" {
			p.line("  its transcript lies sealed in the vault: arca ls, arca open")
		}
		for line := range strings.Lines(passage.Transcript) {
			p.line("  %s", strings.TrimSuffix(line, "\n"))
		}
	}
	for _, b := range c.Bundles {
		p.line("complete recordings: %s, SHA-256 %s", b.Name, b.SHA256.String())
	}
}

func (j journalPart) write(p *page) {
	title := j.Party + "'s journal, " + when(j.From) + " to " + when(j.Until)
	if j.Final {
		title += " (end of the measure)"
	}
	if !j.Verified {
		title += ", NOT VERIFIED: not signed with the key of the present trust file"
	}
	p.line("%s: %s with %s received, %s", title, plural(j.Batches, "batch"), plural(j.Recordings, "recording"), plural(len(j.Gaps), "gap"))
	var rows [][]string
	for _, x := range j.Accesses {
		rows = append(rows, []string{when(x.At), x.Name, x.Class, strconv.Itoa(x.Recordings), x.Purpose})
	}
	if len(rows) > 0 {
		p.table([]string{"ACCESS", "BY", "CLASS", "RECORDINGS", "PURPOSE"}, rows)
	}
	for _, g := range j.Gaps {
		p.line("gap: batches %d to %d of collector %s, week %s, %s", g.First, g.Last, g.Collector.Short(), g.Week, g.Compartment)
	}
	for _, i := range j.Incidents {
		p.line("%s %s: %s", when(i.At), string(i.Kind), i.What)
	}
	if j.More > 0 {
		p.line("%d more lines had no room: arca log has them all", j.More)
	}
}
