package notify

import (
	"slices"
	"strings"
	"testing"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
)

func example() *Values {
	return &Values{Person: "P. Fictional", Court: "Court One", Case: "case-1", Statute: "a statute", Article: "an article", Decided: "1 January", From: "2 January", Until: "3 March",
		Identifiers: []string{"msisdn:+12025550111"}, Communications: []string{"a call of 4 January", "a message of 5 January"}, Date: "6 June"}
}

// Every statute profile has a letter, in English and in its country's language.
func TestEveryProfileHasItsLetters(t *testing.T) {
	own := map[string]string{"ES": "es", "US": "en", "DE": "de", "FR": "fr", "IT": "it", "GB": "en"}
	for _, name := range law.Profiles() {
		p, err := law.ProfileOf(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, language := range []string{own[p.Country], "en"} {
			text, err := Letter(p.Country, language, example())
			if err != nil {
				t.Errorf("%s in %q: %v", name, language, err)
				continue
			}
			for field, value := range example().fields() {
				if !strings.Contains(text, value) {
					t.Errorf("%s in %s leaves out %s", name, language, field)
				}
			}
		}
	}
}

func TestALetterSaysEverythingOrNothing(t *testing.T) {
	whole := ""
	for name := range example().fields() {
		whole += "{{" + name + "}} "
	}
	for name, text := range map[string]string{
		"a placeholder missing": strings.Replace(whole, "{{court}}", "", 1), "one that nobody knows": whole + "{{judge}}",
		"an empty one": whole + "{{}}", "half of one": whole + "{{court}", "a brace": whole + "}",
	} {
		if _, err := fill(text, example().fields()); problem.KindOf(err) != problem.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for field := range example().fields() {
		values := example().fields()
		values[field] = " "
		if _, err := fill(whole, values); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("without %s: %v", field, err)
		}
	}
	hostile := example()
	hostile.Person = "{{court}}"
	if text, err := Letter("ES", "es", hostile); err != nil || !strings.Contains(text, "A {{court}}") {
		t.Errorf("a value was read as a placeholder: %v", err)
	}
	hostile.Person = "\x1b[2J"
	if _, err := Letter("ES", "es", hostile); problem.KindOf(err) != problem.Invalid {
		t.Errorf("a control character stands in a letter: %v", err)
	}
	if _, err := Letter("ES", "../ES.es", example()); problem.KindOf(err) != problem.NotFound || !strings.Contains(problem.MessageOf(err), "en, es") {
		t.Errorf("an unknown language: %v", err)
	}
	if !slices.Equal(Languages("ES"), []string{"en", "es"}) {
		t.Errorf("%v", Languages("ES"))
	}
}
