// Package notify has the letters by which persons who were intercepted are told so: one text for each country and language, as files
// under texts/, named COUNTRY.LANGUAGE.txt.
//
// It promises that a letter says everything that it must: a text that lacks a placeholder, or has one that is not known, is refused when
// it is read, and so is an empty value when it is filled. What is filled in is plain text without controls; nothing in it is read as a
// placeholder. Whether and when somebody is told is not decided here but by the judge (record.Notice) under package law.
//
// The texts are drafts for the clerk of the court, not forms that any authority issued.
package notify

import (
	"embed"
	"regexp"
	"slices"
	"strings"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

//go:embed texts/*.txt
var texts embed.FS

// Values are what a letter says of one measure. All are needed.
type Values struct {
	Person         string   // who is told
	Court          string   //
	Case           string   // the court's tag
	Statute        string   // the statute profile's title
	Article        string   // under which they are told
	Decided        string   // when the measure was decided
	From, Until    string   // its beginning and end
	Identifiers    []string // numbers and labels
	Communications []string // those of this person, in the clerk's words
	Date           string   // of the letter
}

// fields gives the values by the names of their placeholders.
func (v *Values) fields() map[string]string {
	return map[string]string{
		"person": v.Person, "court": v.Court, "case": v.Case, "statute": v.Statute, "article": v.Article, "decided": v.Decided, "from": v.From, "until": v.Until,
		"identifiers": lines(v.Identifiers), "communications": lines(v.Communications), "date": v.Date,
	}
}

// lines writes a list, one to a line.
func lines(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "  - " + strings.Join(list, "\n  - ")
}

// placeholder is a name in double braces.
var placeholder = regexp.MustCompile(`\{\{([a-z]*)\}\}`)

// Languages are those in which a country's letter is at hand, sorted.
func Languages(country string) (list []string) {
	files, err := texts.ReadDir("texts")
	if err != nil {
		return nil
	}
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".txt"); ok && strings.HasPrefix(name, country+".") {
			list = append(list, strings.TrimPrefix(name, country+"."))
		}
	}
	return list
}

// Letter fills a country's text. Errors: problem.NotFound when there is none in that language, problem.Invalid for a value that is missing or
// not plain text.
func Letter(country, language string, v *Values) (string, error) {
	if !slices.Contains(Languages(country), language) {
		return "", problem.New(problem.NotFound, "there is no text in this language for the statute; there is one in %s", strings.Join(Languages(country), ", "))
	}
	raw, err := texts.ReadFile("texts/" + country + "." + language + ".txt")
	if err != nil {
		return "", problem.Wrap(problem.Internal, err, "a text of this program cannot be read")
	}
	return fill(string(raw), v.fields())
}

func fill(text string, values map[string]string) (string, error) {
	if err := check(text, values); err != nil {
		return "", err
	}
	for name, value := range values {
		if strings.TrimSpace(value) == "" {
			return "", problem.New(problem.Invalid, "the letter needs a value for %s", name)
		}
		if err := record.CheckText(value); err != nil {
			return "", err
		}
	}
	return placeholder.ReplaceAllStringFunc(text, func(p string) string { return values[strings.Trim(p, "{}")] }), nil
}

// check refuses a text that leaves something out or asks for what nobody knows.
func check(text string, values map[string]string) error {
	used := map[string]bool{}
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if _, known := values[m[1]]; !known {
			return problem.New(problem.Invalid, "the text has a placeholder that there is not: %s", m[1])
		}
		used[m[1]] = true
	}
	for name := range values {
		if !used[name] {
			return problem.New(problem.Invalid, "the text lacks the placeholder %s", name)
		}
	}
	if strings.ContainsAny(placeholder.ReplaceAllString(text, ""), "{}") {
		return problem.New(problem.Invalid, "the text has a brace that belongs to no placeholder")
	}
	return nil
}
