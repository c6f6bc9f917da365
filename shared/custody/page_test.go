package custody

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/record"
)

// hostile are names as somebody would choose them who wants the page to do something.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "two\nlines", "\u202egnp.exe", `</svg><script>x</script>`, `'-->]]><!--`,
	"\x00\x1b[31m", "שלום", "\u2028line", `{{.}}`, `javascript:alert(1)`, "\ufffe", "a\xffb", `&lt;b&gt;`, `</title><style>*{display:none}</style>`,
}

func hostileTimeline(t *testing.T) *Timeline {
	t.Helper()
	w := newWorld(t).story()
	got, err := Read(w.in)
	must(t, err)
	for _, name := range hostile {
		got.Entries = append(got.Entries, Entry{Act: name, By: Actor{Name: name, Role: name, Key: record.Digest{1}}, Class: name, Party: name, Result: name, Why: name,
			NotAfter: time.Unix(0, 0), On: Extent{To: name, Bundle: record.Digest{1}}, Seen: []Seen{{Party: name, Entry: name}}})
		got.Findings = append(got.Findings, Finding{Code: name, Party: name, Text: name, Grave: true})
		got.Journals = append(got.Journals, Checked{Party: name})
		got.Order.Court, got.Order.Case, got.Order.PoliceUnit, got.Week, got.Compartment = name, got.Order.Case+name, name, name, name
	}
	return got
}

// allowed are the elements that the page is made of.
var allowed = []string{"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "bdi",
	"svg", "line", "circle", "text", "title"}

var allowedAttributes = []string{"lang", "charset", "http-equiv", "content", "name", "class", "xmlns", "role", "aria-label", "width", "height", "viewBox", "font-family",
	"stroke", "stroke-width", "x1", "x2", "y1", "y2", "r", "fill", "cx", "cy", "unicode-bidi", "font-size", "x", "y"}

// elements parses markup as XML, the stricter reader, and names what does not belong.
func elements(t *testing.T, page string) (wrong []string) {
	t.Helper()
	page = regexp.MustCompile(`<meta [^>]*>`).ReplaceAllStringFunc(page, func(m string) string { return strings.TrimSuffix(m, ">") + "/>" })
	page = strings.TrimPrefix(page, "<!doctype html>\n")
	d := xml.NewDecoder(strings.NewReader(page))
	n := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return append(wrong, err.Error())
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		n++
		if !slices.Contains(allowed, start.Name.Local) {
			wrong = append(wrong, "element "+start.Name.Local)
		}
		for _, at := range start.Attr {
			if !slices.Contains(allowedAttributes, at.Name.Local) {
				wrong = append(wrong, "attribute "+at.Name.Local)
			}
		}
	}
	if n < 20 {
		wrong = append(wrong, "hardly any elements")
	}
	return wrong
}

func TestHostileNamesStayInert(t *testing.T) {
	got := hostileTimeline(t)
	for name, page := range map[string]string{"page": string(got.HTML()), "drawing": string(got.SVG())} {
		if wrong := elements(t, page); len(wrong) > 0 {
			t.Errorf("%s: %v", name, wrong)
		}
		for _, r := range "\u202e\u2028\x00\x1b\ufffe" {
			if strings.ContainsRune(page, r) {
				t.Errorf("%s: %U came through", name, r)
			}
		}
		if !strings.Contains(page, "שלום") || !strings.Contains(page, "&lt;script&gt;") {
			t.Errorf("%s: names are lost", name)
		}
	}
	page := string(got.HTML())
	for _, reach := range []string{"src=", "href", "url(", "@import", "<script", "<link", "<base", "<iframe"} {
		if strings.Contains(strings.ReplaceAll(page, "src=x", ""), reach) {
			t.Errorf("the page reaches outside: %s", reach)
		}
	}
	raw, err := got.CASE()
	must(t, err)
	if strings.ContainsRune(string(raw), '\u202e') {
		t.Error("an override came through in CASE")
	}
}

// TestUnescapedNamesAreCaught is the twin: the same page with one name unescaped.
func TestUnescapedNamesAreCaught(t *testing.T) {
	got := hostileTimeline(t)
	for _, name := range hostile[:2] {
		page := strings.Replace(string(got.SVG()), "</svg>", "<text>"+name+"</text></svg>", 1)
		if len(elements(t, page)) == 0 {
			t.Errorf("%q goes unseen", name)
		}
	}
}

func TestPageSaysWhatIsMissing(t *testing.T) {
	w := newWorld(t).story()
	w.in.Journals[1].Lines = slices.Delete(w.in.Journals[1].Lines, 2, 3)
	got, err := Read(w.in)
	must(t, err)
	for _, want := range []string{"NOT PROVEN", "custodian: event 3 is missing", "default-src &#39;none&#39;", "@media print"} {
		if page := string(got.HTML()); !strings.Contains(page, want) && !strings.Contains(page, strings.ReplaceAll(want, "&#39;", "'")) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
