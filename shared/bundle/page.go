package bundle

import (
	"bytes"
	"html/template"

	"arca.example/arca/shared/record"
)

// pageForm is data/page.html: made to print, without scripts, styles from elsewhere or links. html/template escapes whatever is put in.
var pageForm = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{.W.Title}}</title>
<style>
body{font:11pt/1.4 serif;max-width:48em;margin:2em auto;padding:0 1em;color:#000;background:#fff}
h1{font-size:16pt}h2{font-size:13pt;margin-top:1.6em}
table{border-collapse:collapse;width:100%;font-size:9.5pt}th,td{border:1px solid #777;padding:.25em .4em;text-align:left;vertical-align:top;overflow-wrap:anywhere}
code{font:9pt monospace;overflow-wrap:anywhere}tr{page-break-inside:avoid}
</style></head><body>
<h1>{{.W.Title}}</h1>
<p>{{.W.Made}} {{.X.Issued.Format "2006-01-02 15:04:05Z"}} {{.W.By}} {{.Maker}} <code>{{.X.Maker}}</code></p>
<p>{{.W.For}}: {{.X.Reason}}</p>
{{with .X.Casual}}<p>{{$.W.Casual}}: {{.Court}}, {{.Case}} ({{.Article}}). {{if .Secret}}{{$.W.Secret}}{{else}}{{$.W.NotSecret}}{{end}}</p>
{{end}}<p>{{.W.Order}} <code>{{.X.Chain}}</code><br>{{.W.Bundle}} <code>{{.X.Audience}}</code></p>
<p>{{.Mode}}</p>
<h2>{{.W.Recordings}}</h2>
<table><tr><th>{{.W.ID}}</th><th>{{.W.Start}}</th><th>{{.W.End}}</th><th>{{.W.Kind}}</th><th>{{.W.From}}</th><th>{{.W.To}}</th><th>{{.W.File}}</th></tr>
{{range .Rows}}<tr><td><code>{{.ID}}</code></td>{{if .D}}<td>{{.D.Start.Format "2006-01-02 15:04:05Z"}}</td><td>{{.D.End.Format "2006-01-02 15:04:05Z"}}</td><td>{{.D.Kind}}</td><td>{{.D.From}}</td><td>{{.D.To}}</td>{{else}}<td colspan="5">{{$.W.Hidden}}</td>{{end}}<td>{{range .Files}}<code>{{.}}</code> {{end}}</td></tr>
{{end}}</table>
<h2>{{.W.Omitted}}</h2>
<table><tr><th>{{.W.What}}</th><th>{{.W.Why}}</th></tr>
{{range .Omissions}}<tr><td>{{.What}}</td><td>{{.Why}}</td></tr>
{{end}}</table>
{{if .Acts}}<h2>{{.W.Journal}}</h2>
<table><tr><th>{{.W.Keyholder}}</th><th>{{.W.Number}}</th><th>{{.W.When}}</th><th>{{.W.What}}</th></tr>
{{range .Acts}}<tr><td>{{.Author}}</td><td>{{.Number}}</td><td>{{.Time.Format "2006-01-02 15:04:05Z"}}</td><td>{{.Kind}}</td></tr>
{{end}}</table>{{end}}
<h2>{{.W.How}}</h2>
<pre style="white-space:pre-wrap;font-size:9pt">{{.How}}</pre>
</body></html>
`))

type pageRow struct {
	ID    string
	D     *record.Description
	Files []string
}

type pageOmission struct{ What, Why string }

// page renders data/page.html. It is for people: nothing is concluded from it.
func page(x *Index, in *Source) ([]byte, error) {
	data := struct {
		W         any
		X         *Index
		Maker     string
		Mode      string
		Rows      []pageRow
		Omissions []pageOmission
		Acts      []record.Event
		How       string
	}{W: words, X: x, Mode: words.Clear, How: string(verifyText(x))}
	if x.Mode == Encrypted {
		data.Mode = words.Encrypted
	}
	for _, joint := range in.People {
		if e, ok := peekEnrolment(joint); ok && e.Key.ID() == x.Maker {
			data.Maker = e.Name
		}
	}
	for _, r := range in.Recordings {
		row := pageRow{ID: r.Recording.Recording.String()}
		if x.Mode == Clear {
			row.D = &r.Opening.Description
		}
		for _, p := range r.Parts {
			row.Files = append(row.Files, x.secret(partPath(r.Recording.Recording, p.Ending))[len("data/"):])
		}
		data.Rows = append(data.Rows, row)
	}
	for _, o := range x.Omissions {
		data.Omissions = append(data.Omissions, pageOmission{omissionText(o), o.Reason})
	}
	for _, party := range Parties {
		for _, p := range in.Custody[party] {
			var e record.Event
			if err := record.Unmarshal(p.Event, &e); err != nil {
				return nil, err
			}
			data.Acts = append(data.Acts, e)
		}
	}
	var b bytes.Buffer
	err := pageForm.Execute(&b, data)
	return b.Bytes(), err
}

// peekEnrolment reads an enrolment whose signatures are checked elsewhere.
func peekEnrolment(joint record.Joint) (e record.Enrolment, ok bool) {
	if len(joint) == 0 {
		return e, false
	}
	st, err := record.Peek(joint[0])
	if err != nil {
		return e, false
	}
	return e, record.Unmarshal(st.Payload, &e) == nil
}
