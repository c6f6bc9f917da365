package law

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

func profile(t testing.TB, name string) *Profile {
	t.Helper()
	p, err := ProfileOf(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheProfilesOfTheIssueAreThere(t *testing.T) {
	want := "DE-100a ES-579 ES-588quater ES-588quinquies ES-588septies ES-588ter FR-100-2 FR-100-2-OC FR-706-95 GB-IPA2 IT-13-152 IT-267 US-T3"
	if got := strings.Join(Profiles(), " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	_, err := ProfileOf("XX-1")
	wantRefusal(t, "an unknown profile", err, problem.Invalid, "known are DE-100a, ES-579")
}

// Every number as the facts sheet and the statute have it, so that a change of a file is a change of a test.
func TestTheNumbersOfEachProfile(t *testing.T) {
	for name, c := range map[string]struct{ first, extension, cap, tell, confirm string }{
		"ES-588ter":       {"3 months", "3 months", "18 months", "24 hours", "72 hours"},
		"ES-588quater":    {"7 days", "none", "7 days", "", ""},
		"ES-588quinquies": {"3 months", "3 months", "18 months", "24 hours", "24 hours"},
		"ES-588septies":   {"1 month", "1 month", "3 months", "", ""},
		"ES-579":          {"3 months", "3 months", "18 months", "", ""},
		"US-T3":           {"30 days", "30 days", "none", "48 hours", "48 hours"},
		"DE-100a":         {"3 months", "3 months", "none", "none", "3 working days"},
		"GB-IPA2":         {"6 months", "6 months", "none", "none", "3 working days"},
		"FR-100-2":        {"4 months", "4 months", "12 months", "", ""},
		"FR-100-2-OC":     {"4 months", "4 months", "24 months", "", ""},
		"FR-706-95":       {"15 days", "15 days", "30 days", "", ""},
		"IT-267":          {"15 days", "15 days", "45 days", "24 hours", "48 hours"},
		"IT-13-152":       {"40 days", "20 days", "none", "24 hours", "48 hours"},
	} {
		p := profile(t, name)
		got := []string{p.FirstTerm.String(), p.ExtensionTerm.String(), p.Cap.String(), "", ""}
		if !p.Urgent.None {
			got[3], got[4] = p.Urgent.Tell.String(), p.Urgent.Confirm.String()
		}
		if strings.Join(got, ", ") != strings.Join([]string{c.first, c.extension, c.cap, c.tell, c.confirm}, ", ") {
			t.Errorf("%s: %s, want %v", name, strings.Join(got, ", "), c)
		}
	}
	if len(Profiles()) != 13 {
		t.Error("a profile has no line in this table")
	}
}

// Months, days, hours and working days, on the days on which counting goes wrong.
func TestEachProfileCountsToTheSecond(t *testing.T) {
	for _, c := range []struct {
		profile, from string
		term          func(*Profile) Term
		want          string
	}{
		{"ES-588septies", "2026-01-31T09:00:00Z", first, "2026-02-27T23:00:00Z"},
		{"ES-588septies", "2028-01-31T09:00:00Z", first, "2028-02-28T23:00:00Z"}, // leap year
		{"ES-588ter", "2026-11-30T22:59:59Z", first, "2027-02-27T23:00:00Z"},     // the last second of 30 November in Madrid
		{"ES-588ter", "2026-11-30T23:00:00Z", first, "2027-02-28T23:00:00Z"},     // the first of 1 December
		{"ES-588ter", "2026-03-28T23:30:00Z", tell, "2026-03-29T23:30:00Z"},      // hours do not care that the clock was put forward
		{"ES-588ter", "2026-10-25T00:30:00Z", confirm, "2026-10-28T00:30:00Z"},   // or back
		{"ES-588quater", "2026-10-20T08:00:00Z", first, "2026-10-26T23:00:00Z"},  // summer time ends on the 25th
		{"US-T3", "2026-03-11T04:00:00Z", first, "2026-04-10T04:00:00Z"},         // 11 March, summer time already
		{"US-T3", "2026-03-02T17:00:00Z", first, "2026-04-01T04:00:00Z"},         // 2 March, winter time still
		{"DE-100a", "2026-11-30T10:00:00Z", first, "2027-02-27T23:00:00Z"},
		{"DE-100a", "2026-04-02T08:00:00Z", confirm, "2026-04-08T22:00:00Z"}, // Thursday before Good Friday; Saturday, Tuesday and Wednesday count
		{"DE-100a", "2026-10-02T08:00:00Z", confirm, "2026-10-07T22:00:00Z"}, // 3 October is a Saturday
		{"DE-100a", "2026-12-31T23:30:00Z", confirm, "2027-01-05T23:00:00Z"}, // 1 January already in Berlin: 2, 4 and 5 January
		{"GB-IPA2", "2026-08-31T10:00:00Z", first, "2027-02-28T00:00:00Z"},
		{"GB-IPA2", "2026-12-24T12:00:00Z", confirm, "2027-01-01T00:00:00Z"},                                        // Boxing Day falls on a Saturday, so the 28th is none
		{"GB-IPA2", "2026-12-24T12:00:00Z", func(p *Profile) Term { return p.Urgent.Term }, "2027-01-06T00:00:00Z"}, // nor is New Year's Day
		{"GB-IPA2", "2026-05-22T12:00:00Z", confirm, "2026-05-28T23:00:00Z"},                                        // 25 May is the spring bank holiday; British summer time
		{"FR-100-2", "2026-10-31T10:00:00Z", first, "2027-02-27T23:00:00Z"},
		{"FR-706-95", "2026-02-20T10:00:00Z", first, "2026-03-06T23:00:00Z"},
		{"IT-267", "2026-03-20T10:00:00Z", first, "2026-04-03T22:00:00Z"}, // into summer time
		{"IT-267", "2026-03-20T10:00:00Z", func(p *Profile) Term { return p.Cap }, "2026-05-03T22:00:00Z"},
		{"IT-13-152", "2026-01-10T10:00:00Z", first, "2026-02-18T23:00:00Z"},
	} {
		p := profile(t, c.profile)
		if got := p.End(at(c.from), c.term(p)); got != at(c.want) {
			t.Errorf("%s: %s + %s = %s, want %s", c.profile, c.from, c.term(p), instant(got), c.want)
		}
	}
}

func first(p *Profile) Term   { return p.FirstTerm }
func tell(p *Profile) Term    { return p.Urgent.Tell }
func confirm(p *Profile) Term { return p.Urgent.Confirm }

func TestEasterAndWhatMovesWithIt(t *testing.T) {
	for _, day := range []string{"2024-03-31", "2025-04-20", "2026-04-05", "2027-03-28", "2038-04-25", "2285-03-22"} {
		want, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if month, d := easter(want.Year()); month != want.Month() || d != want.Day() {
			t.Errorf("Easter of %d is %v %d, want %s", want.Year(), month, d, day)
		}
	}
	uk := profile(t, "GB-IPA2")
	for day, working := range map[string]bool{
		"2026-05-04": false, "2026-05-11": true, "2026-05-25": false, "2026-12-28": false, "2026-12-29": true,
		"2027-12-27": false, "2027-12-28": false, "2028-01-03": false, "2026-05-02": false, // both Christmas days on a weekend; New Year's Day on a Saturday
	} {
		d, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if got := uk.working(d.Add(12 * time.Hour)); got != working {
			t.Errorf("%s: working %v", day, got)
		}
	}
}

// Every article of a profile is used, has its source, and says why it is read as it is where it was not confirmed.
func TestEveryArticleIsUsedAndExplained(t *testing.T) {
	for _, name := range Profiles() {
		raw, err := profileFiles.ReadFile("profiles/" + fileOf(name))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := onBase(raw)
		if err != nil {
			t.Fatal(err)
		}
		var own struct {
			Articles map[string]Article `json:"articles"`
		}
		if err := json.Unmarshal(raw, &own); err != nil {
			t.Fatal(err)
		}
		for key, a := range own.Articles {
			if !strings.Contains(string(whole), `"article":"`+key+`"`) && !strings.Contains(string(whole), `"article": "`+key+`"`) {
				t.Errorf("%s: nothing rests on the article %s", name, key)
			}
			if a.Mark != "S" && len(a.Note) < 10 {
				t.Errorf("%s: %s has the mark %s and does not say why", name, key, a.Mark)
			}
		}
	}
}

// A file with a gap is refused by the name of what is wrong.
func TestAProfileWithAGapIsRefusedByName(t *testing.T) {
	for name, c := range map[string]struct{ file, old, instead, want string }{
		"an older schema":         {"us-t3", `"schema": 2`, `"schema": 1`, "schema"},
		"an unknown field":        {"us-t3", `"lapse":`, `"lapsus":`, "lapsus"},
		"no zone data":            {"us-t3", "America/New_York", "America/Nowhere", "America/Nowhere"},
		"another country":         {"us-t3", `"country": "US"`, `"country": "CA"`, "name"},
		"no first term":           {"us-t3", `"firstTerm": {"days": 30, `, `"firstTerm": {`, "firstTerm"},
		"two lengths":             {"us-t3", `"firstTerm": {"days": 30, `, `"firstTerm": {"days": 30, "months": 1, `, "firstTerm"},
		"an unknown article":      {"us-t3", `"firstTerm": {"days": 30, "article": "5"}`, `"firstTerm": {"days": 30, "article": "55"}`, `firstTerm: names the article "55"`},
		"no article":              {"us-t3", `"firstTerm": {"days": 30, "article": "5"}`, `"firstTerm": {"days": 30, "article": ""}`, "firstTerm"},
		"a mark without a note":   {"us-t3", `"mark": "S"`, `"mark": "G"`, "articles."},
		"no such mark":            {"us-t3", `"mark": "S"`, `"mark": "A"`, "articles."},
		"no start":                {"us-t3", `"rule": "first-interception"`, `"rule": "whenever"`, "start"},
		"no latest start":         {"us-t3", `"latest": {"days": 10, "article": "5"}, `, ``, "start.latest"},
		"a number below zero":     {"us-t3", `{"days": 90`, `{"days": -90`, "notification"},
		"an unknown milestone":    {"us-t3", `"event": "end"`, `"event": "doomsday"`, `"doomsday"`},
		"a milestone that is off": {"us-t3", `"name": "sealed"`, `"name": "closed"`, "sealing"},
		"no mandatory scope":      {"us-t3", `{"field": "scope.kinds", "name": "the type of communication sought", "article": "4c"},`, ``, "scope.kinds"},
		"an item twice":           {"us-t3", `"field": "scope.kinds"`, `"field": "scope.identifiers"`, "items.scope.identifiers"},
		"an urgent nobody":        {"us-t3", `"by": "prosecutor"`, `"by": "mirror"`, "urgent.by"},
		"none and more":           {"fr-100-2", `"urgent": {"none": true`, `"urgent": {"none": true, "who": "x"`, "urgent"},
		"no step":                 {"us-t3", `"step": 1`, `"step": 2`, "destruction"},
		"a copy nobody ends":      {"us-t3", `"step": 1, `, `"step": 1, "keeps": {"rule": "clerk", "article": "8a"}, `, "destruction.steps[0].keeps"},
		"a copy among what goes":  {"es-588ter", `"keeps": {"rule": "clerk"`, `"keeps": {"rule": "main"`, "destruction.steps[0].keeps"},
		"a copy by no article":    {"es-588ter", `"keeps": {"rule": "clerk", "article": "bis-k1"}`, `"keeps": {"rule": "clerk", "article": ""}`, "destruction.steps[0].keeps"},
		"no undo":                 {"us-t3", `"undo": {"hours": 72, "article": "undo"}`, `"undo": {"none": true, "article": "undo"}`, "destruction.undo"},
		"no holidays":             {"de-100a", `"saturday": true, "article": "days", "holidays"`, `"saturday": true, "article": "days", "holydays"`, "holydays"},
		"a holiday on no day":     {"de-100a", `"date": "05-01"`, `"date": "05-32"`, "workingDays"},
		"working days untold":     {"us-t3", `"confirm": {"hours": 48`, `"confirm": {"workingDays": 3`, "working days"},
		"no renewal of a measure": {"es-588quater", `"extensionTerm"`, `"renewals": 1, "extensionTerm"`, "renewals"},
		"an unknown base":         {"es-588quater", `"base": "ES-588ter"`, `"base": "ES-588"`, "base"},
		"a base on a base":        {"es-588quater", `"base": "ES-588ter"`, `"base": "ES-579"`, "base"},
		"a path for a base":       {"es-588quater", `"base": "ES-588ter"`, `"base": "../es-588ter"`, "base"},
		"an exception to no cap":  {"us-t3", `"lapse"`, `"capException": {"field": "court", "name": "n", "article": "5"}, "lapse"`, "capException"},
	} {
		raw, err := profileFiles.ReadFile("profiles/" + c.file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		broken := strings.Replace(string(raw), c.old, c.instead, 1)
		if broken == string(raw) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := parseProfile([]byte(broken)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Each profile demands of an order what its items say, one by one, by name and article.
func TestEachProfileDemandsItsItems(t *testing.T) {
	without := map[string]func(*record.Order){
		"grounds.offence": func(o *record.Order) { o.Grounds.Offence = "" }, "grounds.indicia": func(o *record.Order) { o.Grounds.Indicia = "" },
		"grounds.persons": func(o *record.Order) { o.Grounds.Persons = nil }, "grounds.extent": func(o *record.Order) { o.Grounds.Extent = "" },
		"grounds.motivation": func(o *record.Order) { o.Grounds.Motivation = "" }, "grounds.duration": func(o *record.Order) { o.Grounds.Duration = "" },
		"grounds.purpose": func(o *record.Order) { o.Grounds.Purpose = "" }, "grounds.obliged": func(o *record.Order) { o.Grounds.Obliged = "" },
		"scope.identifiers": func(o *record.Order) { o.Scope.Identifiers = nil }, "scope.kinds": func(o *record.Order) { o.Scope.Kinds = nil },
		"policeUnit": func(o *record.Order) { o.PoliceUnit = "" }, "capture": func(o *record.Order) { o.Capture = record.Window{} },
		"reports.form": func(o *record.Order) { o.Reports.Form = "" }, "reports.everyDays": func(o *record.Order) { o.Reports.EveryDays = 0 },
		"court": func(o *record.Order) { o.Court = "" }, "case": func(o *record.Order) { o.Case = "" },
		"classification": func(o *record.Order) { o.Classification = "" }, "accessEnd": func(o *record.Order) { o.AccessEnd = time.Time{} },
	}
	for _, name := range Profiles() {
		p := profile(t, name)
		lawful := lawfulFor(name)
		lawful.Capture.Until = p.End(lawful.Decided, p.FirstTerm)
		if _, err := Admit(nil, member(lawful), now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		demanded := map[string]Item{}
		for _, i := range p.Items {
			demanded[i.Field] = i
		}
		for field, change := range without {
			o := lawful
			change(&o)
			_, err := Admit(nil, member(o), now)
			item, demands := demanded[field]
			if !demands {
				if err != nil {
					t.Errorf("%s: without %s: %v", name, field, err)
				}
				continue
			}
			wantRefusal(t, name+" without "+field, err, problem.Invalid, item.Name+" ("+p.Cite(item.Article)+")")
		}
	}
}
