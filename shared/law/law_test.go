package law

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"pgregory.net/rapid"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

var (
	decided = at("2026-03-10T10:00:00Z")
	now     = at("2026-03-10T12:00:00Z")
	line    = record.Identifier{Kind: "msisdn", Value: "+12025550101"}
	other   = record.Identifier{Kind: "msisdn", Value: "+12025550102"}
)

// lawful is a first order that has everything.
func lawful() record.Order {
	return record.Order{
		Kind: record.Authorisation, Profile: "ES-588ter", Court: "Court of Instruction 1 of Villarriba", Case: "DP 0001/2026", Classification: "confidential",
		PoliceUnit: "Unit 7", Decided: decided, Capture: record.Window{From: decided, Until: at("2026-05-10T10:00:00Z")}, AccessEnd: at("2027-01-01T00:00:00Z"),
		Grounds: record.Grounds{Offence: "fraud, art. 248 CP", Indicia: "transfers on file", Persons: []string{"not known"}, Extent: "content and traffic data",
			Motivation: "speciality, suitability, exceptionality, necessity, proportionality", Duration: "two months", Purpose: "to identify the organisers", Obliged: "Operator One, under the duty of collaboration and secrecy"},
		Reports: record.Reports{Form: "transcripts and recordings", EveryDays: 15},
		Scope:   record.Scope{Identifiers: []record.Identifier{line, other}, Kinds: []string{"call", "message"}},
	}
}

// lawfulFor is a first order under any profile: it says more than the statute asks for.
func lawfulFor(profile string) record.Order {
	o := lawful()
	o.Profile = profile
	return o
}

// member gives an order a hash of its own, as its signature would.
func member(o record.Order, salt ...string) Member {
	return Member{Hash: sha256.Sum256(fmt.Append(nil, o, salt)), Order: o}
}

// later makes a member that continues s.
func later(s State, kind record.OrderKind, change func(*record.Order)) Member {
	o := record.Order{Kind: kind, Chain: s.Chain, Court: s.Court, Profile: s.Profile, Reason: "reasons on file", Decided: s.Decided.Add(time.Hour)}
	if !kind.NamesChain() {
		o.Sequence, o.Previous = s.Sequence+1, s.Head
	}
	if change != nil {
		change(&o)
	}
	return member(o)
}

func extension(s State, until time.Time) Member {
	return later(s, record.Extension, func(o *record.Order) { o.Capture = record.Window{From: s.Capture.Until, Until: until} })
}

// build admits members one after the other.
func build(t testing.TB, members ...Member) State {
	t.Helper()
	s, err := admitAll(members...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func admitAll(members ...Member) (s State, err error) {
	for i, m := range members {
		if s, err = Admit(members[:i], m, at("2040-01-01T00:00:00Z")); err != nil {
			return s, fmt.Errorf("member %d: %w", i, err)
		}
	}
	return s, nil
}

func wantRefusal(t *testing.T, what string, err error, kind problem.Kind, part string) {
	t.Helper()
	if err == nil || problem.KindOf(err) != kind || !strings.Contains(problem.MessageOf(err), part) {
		t.Errorf("%s: %v (%s), want %s with %q", what, err, problem.KindOf(err), kind, part)
	}
}

func TestAnOrderThatHasEverythingIsAdmitted(t *testing.T) {
	m := member(lawful())
	s, err := Admit(nil, m, now)
	if err != nil {
		t.Fatal(err)
	}
	if s.Chain != m.Hash || s.Head != m.Hash || s.Sequence != 0 || s.Word(now) != InForce || !s.Capturing(now) || s.Cap != at("2027-09-09T22:00:00Z") {
		t.Errorf("%+v", s)
	}
	again, err := Admit([]Member{m}, m, now)
	if err != nil || !reflect.DeepEqual(again, s) {
		t.Errorf("admitted again: %v", err)
	}
}

// Each mandatory item, left out alone, is named with its article; and the twin
// of the profile without that item lets the order pass, so the item is what refuses.
func TestEachMandatoryItemIsDemandedByName(t *testing.T) {
	cases := []struct {
		without func(*record.Order)
		message string
	}{
		{func(o *record.Order) { o.Grounds.Offence = "" }, "the order lacks the punishable fact and its legal classification (LECrim 588 bis c.3 a)"},
		{func(o *record.Order) { o.Grounds.Indicia = "" }, "the order lacks the rational indicia (LECrim 588 bis c.3 a)"},
		{func(o *record.Order) { o.Grounds.Persons = nil }, "the order lacks the persons investigated or affected, or the statement that they are not known (LECrim 588 bis c.3 b)"},
		{func(o *record.Order) { o.Grounds.Persons = []string{""} }, "(LECrim 588 bis c.3 b)"},
		{func(o *record.Order) { o.Grounds.Extent = "" }, "the order lacks the extent of the measure (LECrim 588 bis c.3 c)"},
		{func(o *record.Order) { o.Grounds.Motivation = "" }, "the order lacks the motivation under the guiding principles (LECrim 588 bis c.3 c)"},
		{func(o *record.Order) { o.Scope.Identifiers = nil }, "the order lacks the numbers or labels to be intercepted (LECrim 588 bis c.3 c and 588 ter d.1)"},
		{func(o *record.Order) { o.Scope.Identifiers = []record.Identifier{{Kind: "msisdn"}} }, "588 ter d.1"},
		{func(o *record.Order) { o.Scope.Kinds = nil }, "the order lacks the kinds of communication to be intercepted (LECrim 588 bis c.3 c and 588 ter d.2)"},
		{func(o *record.Order) { o.PoliceUnit = "" }, "the order lacks the unit of police in charge (LECrim 588 bis c.3 d)"},
		{func(o *record.Order) { o.Capture.From = time.Time{} }, "the order lacks the beginning and the end of the measure (LECrim 588 bis c.3 e)"},
		{func(o *record.Order) { o.Capture.Until = time.Time{} }, "(LECrim 588 bis c.3 e)"},
		{func(o *record.Order) { o.Grounds.Duration = "" }, "the order lacks the duration of the measure in words (LECrim 588 bis c.3 e)"},
		{func(o *record.Order) { o.Reports.Form = "" }, "the order lacks the form of the reports to the judge (LECrim 588 bis c.3 f)"},
		{func(o *record.Order) { o.Reports.EveryDays = 0 }, "the order lacks the periodicity of the reports to the judge (LECrim 588 bis c.3 f)"},
		{func(o *record.Order) { o.Grounds.Purpose = "" }, "the order lacks the purpose of the measure (LECrim 588 bis c.3 g)"},
		{func(o *record.Order) { o.Grounds.Obliged = "" }, "the order lacks the obliged subject with its duty of collaboration and secrecy, or the statement that it is not known (LECrim 588 bis c.3 h)"},
		{func(o *record.Order) { o.Court = "" }, "the order lacks the court (LECrim 588 bis c.1)"},
		{func(o *record.Order) { o.Case = "" }, "the order lacks the tag of the case"},
		{func(o *record.Order) { o.Classification = "" }, "the order lacks the classification"},
		{func(o *record.Order) { o.AccessEnd = time.Time{} }, "the order lacks the end of access"},
	}
	p, err := ProfileOf("ES-588ter")
	if err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{}
	for _, c := range cases {
		o := lawful()
		c.without(&o)
		_, err := Admit(nil, member(o), now)
		wantRefusal(t, c.message, err, problem.Invalid, c.message)
		for i, item := range p.Items {
			if strings.Contains(problem.MessageOf(err), item.Name) {
				met[item.Field] = true
				weakened := *p
				weakened.Items = slices.Delete(slices.Clone(p.Items), i, i+1)
				if err := weakened.lacks(&o); err != nil {
					t.Errorf("the twin without %s refuses too: %v", item.Field, err)
				}
			}
		}
	}
	for _, item := range p.Items {
		if !met[item.Field] {
			t.Errorf("no case leaves out %s", item.Field)
		}
	}
	for field := range present {
		if !slices.ContainsFunc(p.Items, func(i Item) bool { return i.Field == field }) {
			t.Errorf("the profile does not demand %s", field)
		}
	}
}

func TestTermsRunDateToDate(t *testing.T) {
	p, err := ProfileOf("ES-588ter")
	if err != nil {
		t.Fatal(err)
	}
	included := *p
	included.LastDay.Rule = "included"
	for _, c := range []struct {
		from     string
		months   int
		excluded string // Madrid: UTC+1 in winter, UTC+2 in summer
		included string
	}{
		{"2026-01-31T09:00:00Z", 1, "2026-02-27T23:00:00Z", "2026-02-28T23:00:00Z"},
		{"2028-01-31T09:00:00Z", 1, "2028-02-28T23:00:00Z", "2028-02-29T23:00:00Z"}, // leap year
		{"2028-02-29T09:00:00Z", 12, "2029-02-27T23:00:00Z", "2029-02-28T23:00:00Z"},
		{"2026-03-10T10:00:00Z", 3, "2026-06-09T22:00:00Z", "2026-06-10T22:00:00Z"}, // into summer time
		{"2026-09-10T10:00:00Z", 3, "2026-12-09T23:00:00Z", "2026-12-10T23:00:00Z"}, // out of it
		{"2026-11-30T10:00:00Z", 3, "2027-02-27T23:00:00Z", "2027-02-28T23:00:00Z"},
		{"2026-12-31T10:00:00Z", 18, "2028-06-29T22:00:00Z", "2028-06-30T22:00:00Z"},
		{"2026-03-09T22:59:59Z", 3, "2026-06-08T22:00:00Z", "2026-06-09T22:00:00Z"}, // the last second of 9 March in Madrid
		{"2026-03-09T23:00:00Z", 3, "2026-06-09T22:00:00Z", "2026-06-10T22:00:00Z"}, // the first of 10 March
		{"2026-12-31T23:30:00Z", 1, "2027-01-31T23:00:00Z", "2027-02-01T23:00:00Z"}, // next year already in Madrid
	} {
		if got := p.End(at(c.from), Term{Months: c.months}); got != at(c.excluded) {
			t.Errorf("%s + %d months = %s, want %s", c.from, c.months, instant(got), c.excluded)
		}
		if got := included.End(at(c.from), Term{Months: c.months}); got != at(c.included) {
			t.Errorf("last day included: %s + %d months = %s, want %s", c.from, c.months, instant(got), c.included)
		}
	}
}

func TestTheFirstTermEndsToTheSecond(t *testing.T) {
	o := lawful()
	o.Capture.Until = at("2026-06-09T22:00:00Z")
	build(t, member(o))
	o.Capture.Until = o.Capture.Until.Add(time.Second)
	_, err := Admit(nil, member(o), now)
	wantRefusal(t, "a second more", err, problem.Denied, "at most 3 months from the judicial decision, so it ends by 2026-06-09T22:00:00Z (LECrim 588 ter g)")
	// The term runs from the decision even if capture starts later (STC 205/2005).
	o.Capture.From = o.Decided.AddDate(0, 1, 0)
	_, err = Admit(nil, member(o), now)
	wantRefusal(t, "a second more after a late start", err, problem.Denied, "at most 3 months")
}

func TestWrongFirstOrdersAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*record.Order)
		kind   problem.Kind
		part   string
	}{
		"captures before the decision": {func(o *record.Order) { o.Capture.From = decided.Add(-time.Second) }, problem.Denied, "before the judicial decision"},
		"ends as it begins":            {func(o *record.Order) { o.Capture.Until = o.Capture.From }, problem.Invalid, "end after it begins"},
		"access ends a second early":   {func(o *record.Order) { o.AccessEnd = o.Capture.Until.Add(-time.Second) }, problem.Invalid, "access"},
		"of an unknown statute":        {func(o *record.Order) { o.Profile = "XX-1" }, problem.Invalid, "statute profile"},
		"decided in the future":        {func(o *record.Order) { o.Decided = now.Add(clockSkew + time.Second) }, problem.Invalid, "future"},
		"without a decision":           {func(o *record.Order) { o.Decided = time.Time{} }, problem.Invalid, "date of decision"},
		"an extension":                 {func(o *record.Order) { o.Kind = record.Extension }, problem.Conflict, "authorisation"},
		"a revocation":                 {func(o *record.Order) { o.Kind = record.Revocation }, problem.Conflict, "authorisation"},
		"of no kind":                   {func(o *record.Order) { o.Kind = "" }, problem.Conflict, "authorisation"},
		"with a number":                {func(o *record.Order) { o.Sequence = 1 }, problem.Conflict, "authorisation"},
		"with a predecessor":           {func(o *record.Order) { o.Previous[0] = 1 }, problem.Conflict, "authorisation"},
		"in a chain":                   {func(o *record.Order) { o.Chain[0] = 1 }, problem.Conflict, "authorisation"},
	} {
		o := lawful()
		c.change(&o)
		_, err := Admit(nil, member(o), now)
		wantRefusal(t, name, err, c.kind, c.part)
	}
}

func TestAnExtensionRunsFromTheEarlierExpiry(t *testing.T) {
	first := member(lawful())
	s := build(t, first)
	expiry := s.Capture.Until // 10 May
	longest := at("2026-08-09T22:00:00Z")
	if got := build(t, first, extension(s, longest)); got.Capture != (record.Window{From: decided, Until: longest}) || got.Sequence != 1 {
		t.Errorf("extended: %+v", got)
	}
	for name, c := range map[string]struct {
		change func(*record.Order)
		kind   problem.Kind
		part   string
	}{
		"a second too long":             {func(o *record.Order) { o.Capture.Until = longest.Add(time.Second) }, problem.Denied, "at most 3 months from the earlier expiry, so it ends by 2026-08-09T22:00:00Z"},
		"from a second after expiry":    {func(o *record.Order) { o.Capture.From = expiry.Add(time.Second) }, problem.Denied, "runs from the earlier expiry, 2026-05-10T10:00:00Z"},
		"from a second before expiry":   {func(o *record.Order) { o.Capture.From = expiry.Add(-time.Second) }, problem.Denied, "runs from the earlier expiry"},
		"decided a second after expiry": {func(o *record.Order) { o.Decided = expiry.Add(time.Second) }, problem.Denied, "ceased to all effects (LECrim 588 bis e.3 and 588 bis j)"},
		"that ends as it begins":        {func(o *record.Order) { o.Capture.Until = expiry }, problem.Invalid, "end after it begins"},
		"without reasons":               {func(o *record.Order) { o.Reason = "" }, problem.Invalid, "LECrim 588 bis f.1"},
		"with access that ends early":   {func(o *record.Order) { o.AccessEnd = longest.Add(-time.Hour * 24 * 30) }, problem.Invalid, "access"},
		"to another number": {func(o *record.Order) {
			o.Scope.Identifiers = []record.Identifier{{Kind: "msisdn", Value: "+12025550199"}}
		}, problem.Denied, "authorisation of its own"},
		"to another kind":              {func(o *record.Order) { o.Scope.Kinds = []string{"session"} }, problem.Denied, "authorisation of its own"},
		"by another court":             {func(o *record.Order) { o.Court = "Court 2" }, problem.Denied, "only the court"},
		"under another statute":        {func(o *record.Order) { o.Profile = "XX-1" }, problem.Denied, "same statute"},
		"for another installation":     {func(o *record.Order) { o.Audience[0] = 1 }, problem.Denied, "installation"},
		"for another case":             {func(o *record.Order) { o.Case = "DP 2" }, problem.Denied, "new authorisation"},
		"for another unit":             {func(o *record.Order) { o.PoliceUnit = "Unit 8" }, problem.Denied, "new authorisation"},
		"of another classification":    {func(o *record.Order) { o.Classification = "secret" }, problem.Denied, "new authorisation"},
		"of another chain":             {func(o *record.Order) { o.Chain[0] ^= 1 }, problem.Invalid, "another chain"},
		"with number 0":                {func(o *record.Order) { o.Sequence = 0 }, problem.Invalid, "sequence number"},
		"with a number too high":       {func(o *record.Order) { o.Sequence = 2 }, problem.Conflict, "missing"},
		"on another predecessor":       {func(o *record.Order) { o.Previous[0] ^= 1 }, problem.Conflict, "present head"},
		"that also lifts a suspension": {func(o *record.Order) { o.Lifts[0] = 1 }, problem.Invalid, "sequence number"},
		"decided before the first":     {func(o *record.Order) { o.Decided = decided.Add(-time.Second) }, problem.Invalid, "before the measure was authorised"},
		"that is an authorisation":     {func(o *record.Order) { o.Kind = record.Authorisation }, problem.Invalid, "does not continue a chain"},
	} {
		m := later(s, record.Extension, func(o *record.Order) {
			o.Capture = record.Window{From: expiry, Until: longest}
			c.change(o)
		})
		_, err := Admit([]Member{first, m}[:1], m, at("2030-01-01T00:00:00Z"))
		wantRefusal(t, "an extension "+name, err, c.kind, c.part)
	}
}

func TestNothingIsCapturedPastEighteenMonths(t *testing.T) {
	p, err := ProfileOf("ES-588ter")
	if err != nil {
		t.Fatal(err)
	}
	o := lawful()
	o.AccessEnd = at("2032-01-01T00:00:00Z")
	o.Capture.Until = p.End(o.Decided, p.FirstTerm)
	chain := []Member{member(o)}
	s := build(t, chain...)
	for range 5 {
		chain = append(chain, extension(s, p.End(s.Capture.Until, p.ExtensionTerm)))
		s = build(t, chain...)
	}
	if s.Capture.Until != s.Cap || s.Cap != at("2027-09-09T22:00:00Z") {
		t.Errorf("six full terms end at %s, the cap is %s", instant(s.Capture.Until), instant(s.Cap))
	}
	m := extension(s, s.Cap.Add(time.Second))
	_, err = Admit(chain, m, at("2030-01-01T00:00:00Z"))
	wantRefusal(t, "one second more", err, problem.Denied, "at most 18 months, so it ends by 2027-09-09T22:00:00Z (LECrim 588 ter g)")
}

func TestANarrowingOnlyTakesAway(t *testing.T) {
	first := member(lawful())
	s := build(t, first)
	m := later(s, record.Narrowing, func(o *record.Order) {
		o.Scope = record.Scope{Identifiers: []record.Identifier{line}, Kinds: []string{"call"}}
		o.Capture = record.Window{From: s.Capture.From, Until: s.Capture.Until.Add(-time.Hour)}
		o.AccessEnd = s.AccessEnd.Add(-time.Hour)
	})
	narrow := build(t, first, m)
	if len(narrow.Scope.Identifiers) != 1 || len(narrow.Scope.Kinds) != 1 || !narrow.Capture.Until.Equal(s.Capture.Until.Add(-time.Hour)) {
		t.Errorf("%+v", narrow)
	}
	wantRefusal(t, "the number taken away", narrow.Covers(other, "call", decided, decided), problem.Denied, "does not name")
	for name, change := range map[string]func(*record.Order){
		"a longer window": func(o *record.Order) {
			o.Capture = record.Window{From: s.Capture.From, Until: s.Capture.Until.Add(time.Second)}
		},
		"an earlier window": func(o *record.Order) {
			o.Capture = record.Window{From: s.Capture.From.Add(-time.Second), Until: s.Capture.Until}
		},
		"longer access":       func(o *record.Order) { o.AccessEnd = s.AccessEnd.Add(time.Second) },
		"one more number":     func(o *record.Order) { o.Scope.Identifiers = []record.Identifier{line, {Kind: "imei", Value: "0"}} },
		"one more kind":       func(o *record.Order) { o.Scope.Kinds = []string{"call", "session"} },
		"no reason, sequence": func(o *record.Order) { o.Reason = "" },
	} {
		_, err := Admit([]Member{first}, later(s, record.Narrowing, change), at("2030-01-01T00:00:00Z"))
		if err == nil {
			t.Errorf("a narrowing with %s was admitted", name)
		}
	}
}

func TestARevocationAppliesAtOnceAndForGood(t *testing.T) {
	first := member(lawful())
	s := build(t, first)
	// It was decided tomorrow by the clock of who reads it; it counts now.
	revoked := build(t, first, later(s, record.Revocation, nil))
	if revoked.InForce(decided) || revoked.Capturing(decided) || revoked.Word(now) != Revoked {
		t.Error("the chain is still in force")
	}
	wantRefusal(t, "open", revoked.Open(now), problem.Denied, "revoked")
	wantRefusal(t, "seal", revoked.Covers(line, "call", decided, decided), problem.Denied, "revoked")
	chain := []Member{first, later(s, record.Revocation, nil)}
	_, err := Admit(chain, extension(s, s.Capture.Until.Add(time.Hour)), at("2030-01-01T00:00:00Z"))
	wantRefusal(t, "extension", err, problem.Denied, "new authorisation")
	_, err = Admit(chain, later(s, record.Resumption, func(o *record.Order) { o.Lifts = chain[1].Hash }), at("2030-01-01T00:00:00Z"))
	wantRefusal(t, "resumption of a revocation", err, problem.Conflict, "not known here")
}

func TestASuspensionEndsOnlyByTheResumptionThatNamesIt(t *testing.T) {
	first := member(lawful())
	s := build(t, first)
	one := later(s, record.Suspension, nil)
	two := later(s, record.Suspension, func(o *record.Order) { o.Reason = "again" })
	lift := func(m Member) Member {
		return later(s, record.Resumption, func(o *record.Order) { o.Lifts = m.Hash })
	}
	suspended := build(t, first, one)
	if suspended.Word(now) != Suspended {
		t.Error("not suspended")
	}
	wantRefusal(t, "open", suspended.Open(now), problem.Denied, "suspended")
	wantRefusal(t, "seal", suspended.Covers(line, "call", decided, decided), problem.Denied, "suspended")
	if build(t, first, one, lift(one)).Word(now) != InForce {
		t.Error("not resumed")
	}
	if build(t, first, one, lift(one), two).Word(now) != Suspended {
		t.Error("an old resumption lifts a new suspension")
	}
	if build(t, first, one, two, lift(two)).Word(now) != Suspended {
		t.Error("one resumption lifts two suspensions")
	}
	if s := build(t, first, one, two, lift(two), lift(one)); s.Word(now) != InForce || len(s.Stops) != 4 {
		t.Errorf("%s with %d stops", s.Word(now), len(s.Stops))
	}
	for name, c := range map[string]struct {
		m    Member
		kind problem.Kind
	}{
		"of something unknown":      {later(s, record.Resumption, func(o *record.Order) { o.Lifts[0] = 1 }), problem.Conflict},
		"of nothing":                {later(s, record.Resumption, nil), problem.Invalid},
		"of two things":             {later(s, record.Resumption, func(o *record.Order) { o.Lifts, o.Previous = one.Hash, first.Hash }), problem.Invalid},
		"that chooses the first":    {later(s, record.Resumption, func(o *record.Order) { o.Previous = first.Hash }), problem.Conflict},
		"that is a suspension":      {later(s, record.Suspension, func(o *record.Order) { o.Lifts = one.Hash }), problem.Invalid},
		"that has a number":         {later(s, record.Suspension, func(o *record.Order) { o.Sequence = 1 }), problem.Invalid},
		"that names a head":         {later(s, record.Revocation, func(o *record.Order) { o.Previous = first.Hash }), problem.Invalid},
		"that gives no reason":      {later(s, record.Revocation, func(o *record.Order) { o.Reason = "" }), problem.Invalid},
		"that is by another court":  {later(s, record.Revocation, func(o *record.Order) { o.Court = "Court 2" }), problem.Denied},
		"that is for another chain": {later(s, record.Revocation, func(o *record.Order) { o.Chain[0] ^= 1 }), problem.Invalid},
	} {
		_, err := Admit([]Member{first, one}, c.m, at("2030-01-01T00:00:00Z"))
		wantRefusal(t, "a stop or resumption "+c.m.Order.Reason+" "+name, err, c.kind, "")
	}
}

func TestTwoMembersOfOneNumberSuspendTheChainUntilAJudgeChooses(t *testing.T) {
	first := member(lawful())
	s := build(t, first)
	short, long := extension(s, s.Capture.Until.Add(24*time.Hour)), extension(s, s.Capture.Until.Add(48*time.Hour))
	forked := build(t, first, short, long)
	if !forked.Forked || forked.Word(now) != Suspended || forked.Head != first.Hash || forked.Capture != s.Capture {
		t.Errorf("%+v", forked)
	}
	wantRefusal(t, "open", forked.Open(now), problem.Denied, "until a judge chooses")
	onShort := build(t, first, short)
	_, err := Admit([]Member{first, short, long}, extension(onShort, onShort.Capture.Until.Add(time.Hour)), at("2030-01-01T00:00:00Z"))
	wantRefusal(t, "a further extension", err, problem.Conflict, "must choose")

	choose := func(m Member) Member {
		return later(s, record.Resumption, func(o *record.Order) { o.Previous = m.Hash })
	}
	for _, m := range []Member{short, long} {
		got := build(t, first, short, long, choose(m))
		if got.Forked || got.Head != m.Hash || got.Word(now) != InForce || got.Capture.Until != m.Order.Capture.Until {
			t.Errorf("chosen: %+v", got)
		}
	}
	if got := build(t, first, short, long, choose(short), choose(long)); !got.Forked {
		t.Error("two different choices choose")
	}
	third := extension(s, s.Capture.Until.Add(72*time.Hour))
	_, err = Admit([]Member{first, short, long, choose(long)}, third, at("2030-01-01T00:00:00Z"))
	wantRefusal(t, "a third after the choice", err, problem.Conflict, "has chosen another")

	// A member that followed the one not chosen is void, not an error.
	after := extension(onShort, onShort.Capture.Until.Add(time.Hour))
	if got := build(t, first, short, after, long, choose(long)); got.Head != long.Hash || got.Sequence != 1 {
		t.Errorf("%+v", got)
	}
	if got := build(t, first, short, after, long, choose(short)); got.Head != after.Hash || got.Sequence != 2 {
		t.Errorf("%+v", got)
	}
	// Against the ordinary course: the same two members, the second on top of the first, are no fork.
	if got := build(t, first, short, extension(onShort, onShort.Capture.Until.Add(time.Hour))); got.Forked {
		t.Error("a plain chain is forked")
	}
}

func TestTheOrderCoversToTheSecond(t *testing.T) {
	s := build(t, member(lawful()))
	from, until := s.Capture.From, s.Capture.Until
	sec := time.Second
	for name, c := range map[string]struct {
		id         record.Identifier
		kind       string
		start, end time.Time
		part       string // empty: covered
	}{
		"the first second":                {line, "call", from, from, ""},
		"the last second":                 {line, "call", until.Add(-sec), until.Add(-sec), ""},
		"all of it":                       {other, "message", from, until.Add(-sec), ""},
		"a second early":                  {line, "call", from.Add(-sec), from, "started before the order's window, which begins at 2026-03-10T10:00:00Z"},
		"a second late":                   {line, "call", until, until, "started after the order's window, which ended at 2026-05-10T10:00:00Z"},
		"ending a second late":            {line, "call", from, until, "ended after the order's window, which ended at 2026-05-10T10:00:00Z"},
		"ending before it starts":         {line, "call", from.Add(sec), from, "ends before it starts"},
		"another number":                  {record.Identifier{Kind: "msisdn", Value: "+12025550103"}, "call", from, from, "does not name this number"},
		"the number as another kind":      {record.Identifier{Kind: "imsi", Value: line.Value}, "call", from, from, "does not name this number"},
		"the number written in other way": {record.Identifier{Kind: "msisdn", Value: "0012025550101"}, "call", from, from, "does not name this number"},
		"another kind":                    {line, "session", from, from, "does not cover this kind"},
		"no kind":                         {line, "", from, from, "does not cover this kind"},
		"no times":                        {line, "call", time.Time{}, time.Time{}, "started before"},
	} {
		err := s.Covers(c.id, c.kind, c.start, c.end)
		if (err == nil) != (c.part == "") || err != nil && !strings.Contains(problem.MessageOf(err), c.part) {
			t.Errorf("%s: %v, want %q", name, err, c.part)
		}
		if err != nil && c.id.Value != line.Value && strings.Contains(err.Error(), c.id.Value) {
			t.Errorf("%s: the message echoes the number", name)
		}
	}
	if (State{}).Covers(line, "call", from, from) == nil {
		t.Error("an empty state covers something")
	}
}

func TestAccessEndsToTheSecond(t *testing.T) {
	s := build(t, member(lawful()))
	if err := s.Open(s.AccessEnd.Add(-time.Second)); err != nil {
		t.Error(err)
	}
	wantRefusal(t, "at the access end", s.Open(s.AccessEnd), problem.Gone, "access under the order ended on 2027-01-01T00:00:00Z")
	wantRefusal(t, "long before the decision", s.Open(decided.Add(-time.Hour)), problem.Denied, "clock")
	if s.Word(s.AccessEnd) != Lapsed || (State{}).Word(now) != Lapsed {
		t.Error("not lapsed")
	}
}

func TestReadRefusesWhatAdmitWould(t *testing.T) {
	if _, err := Read(nil); err == nil {
		t.Error("an empty chain was read")
	}
	s := build(t, member(lawful()))
	if _, err := Read([]Member{later(s, record.Revocation, nil)}); err == nil {
		t.Error("a chain without its first member was read")
	}
	tooLong := extension(s, s.Cap.Add(time.Hour))
	if _, err := Read([]Member{member(lawful()), tooLong}); err == nil {
		t.Error("a stored member past the cap was read")
	}
}

// TestAMemberTwiceOrOfAnotherOrderIsRefused: the mutation campaign found that a chain with a member written twice was read as if it stood once.
func TestAMemberTwiceOrOfAnotherOrderIsRefused(t *testing.T) {
	s := build(t, member(lawful()))
	more := extension(s, s.Capture.Until.Add(time.Hour))
	chain := []Member{member(lawful()), more}
	if _, err := Read(chain); err != nil {
		t.Fatal(err)
	}
	for name, stray := range map[string]Member{"the first twice": chain[0], "an extension twice": more, "another order": member(lawful(), "another")} {
		if _, err := Read(append(slices.Clone(chain), stray)); problem.KindOf(err) != problem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// drawChain draws a chain by trying members, lawful or not, and keeping what is admitted.
func drawChain(t *rapid.T) (chain []Member, state State) {
	o := lawful()
	o.Decided = decided.Add(time.Duration(rapid.IntRange(0, 1000*24*3600).Draw(t, "decided")) * time.Second)
	o.Capture.From = o.Decided.Add(time.Duration(rapid.IntRange(0, 30*24*3600).Draw(t, "from")) * time.Second)
	o.Capture.Until = o.Capture.From.Add(time.Duration(rapid.IntRange(1, 55*24*3600).Draw(t, "until")) * time.Second)
	o.AccessEnd = o.Capture.Until.Add(time.Duration(rapid.IntRange(0, 900*24*3600).Draw(t, "access")) * time.Second)
	far := at("2040-01-01T00:00:00Z")
	first := member(o)
	state, err := Admit(nil, first, far)
	if err != nil {
		t.Fatal(err)
	}
	chain, begun := []Member{first}, state
	kinds := []record.OrderKind{record.Extension, record.Extension, record.Extension, record.Extension, record.Extension, record.Extension, record.Narrowing, record.Narrowing, record.Suspension, record.Resumption, record.Revocation}
	for i := range rapid.IntRange(0, 12).Draw(t, "members") {
		m := later(state, rapid.SampledFrom(kinds).Draw(t, "kind"), func(o *record.Order) {
			o.Reason = fmt.Sprint("reason ", i)
			o.Decided = state.Decided.Add(time.Duration(rapid.IntRange(0, 600*24*3600).Draw(t, "decided")) * time.Second)
			if o.Kind == record.Resumption {
				target := rapid.SampledFrom(chain).Draw(t, "target")
				if target.Order.Kind == record.Suspension {
					o.Lifts = target.Hash
				} else {
					o.Previous = target.Hash
				}
				return
			}
			if o.Kind.NamesChain() {
				return
			}
			from := state
			if rapid.Bool().Draw(t, "fork") { // beside what follows the first member, if anything does
				from = begun
				o.Sequence, o.Previous = 1, begun.Head
			}
			o.Decided = from.Decided.Add(time.Duration(rapid.IntRange(0, 60*24*3600).Draw(t, "early")) * time.Second)
			o.Capture = record.Window{From: from.Capture.Until, Until: from.Capture.Until.Add(time.Duration(rapid.IntRange(-10*24*3600, 95*24*3600).Draw(t, "until")) * time.Second)}
			if o.Kind == record.Narrowing {
				o.Capture.From = from.Capture.From
			} else {
				o.AccessEnd = o.Capture.Until.Add(400 * 24 * time.Hour)
			}
		})
		if next, err := Admit(chain, m, far); err == nil {
			chain, state = append(chain, m), next
		}
	}
	return chain, state
}

func TestNoChainIsEverInForcePastItsClocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, s := drawChain(t)
		p, err := ProfileOf(s.Profile)
		if err != nil {
			t.Fatal(err)
		}
		hardCap := s.Decided.AddDate(0, p.Cap.Months, 1) // counted in another way, a day of slack
		when := s.Decided.Add(time.Duration(rapid.IntRange(-24*3600, 3000*24*3600).Draw(t, "when")) * time.Second)
		for _, at := range []time.Time{when, s.Cap, s.Cap.Add(-time.Second), s.Capture.Until, s.AccessEnd} {
			if s.Capturing(at) && (!at.Before(hardCap) || !at.Before(s.Cap) || !s.Capture.Contains(at)) {
				t.Fatalf("capturing at %v, cap %v", at, s.Cap)
			}
			if !at.Before(s.AccessEnd) && (s.Open(at) == nil || s.InForce(at) || s.Capturing(at)) {
				t.Fatalf("open at %v after the access end %v", at, s.AccessEnd)
			}
			if (s.Revoked || s.Suspended) && (s.Open(at) == nil || s.Covers(line, "call", at, at) == nil) {
				t.Fatalf("a stopped chain opens or seals")
			}
			if s.Covers(line, "call", at, at) == nil && !s.Capture.Contains(at) {
				t.Fatalf("covers %v outside the window", at)
			}
		}
		if s.Capture.From.Before(s.Decided) || s.Capture.Until.After(s.AccessEnd) {
			t.Fatalf("window %v, decided %v, access end %v", s.Capture, s.Decided, s.AccessEnd)
		}
	})
}

// Keyholders hold the same members in other orders of arrival and must agree.
func TestTheStateDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	admitted, forks, chosen := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		chain, want := drawChain(t)
		shuffled := slices.Clone(chain)
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		got, err := Read(shuffled)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\n%+v\n%+v", err, got, want)
		}
		admitted += len(chain)
		if want.Forked {
			forks++
		} else if slices.ContainsFunc(chain, func(m Member) bool { return m.Order.Kind == record.Resumption && !m.Order.Previous.IsZero() }) {
			chosen++
		}
	})
	if admitted < 100 || forks+chosen == 0 {
		t.Errorf("the draw is too narrow: %d members, %d forks, %d choices", admitted, forks, chosen)
	}
	t.Logf("%d members, %d forks, %d choices", admitted, forks, chosen)
}

func TestBrokenProfilesAreRefused(t *testing.T) {
	b, err := profileFiles.ReadFile("profiles/es-588ter.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseProfile(b); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no months":          {`"months": 18`, `"months": 0`},
		"no source":          {`"source": "BOE-A-1882-6036", "mark": "S", "note": "the term`, `"source": "", "mark": "S", "note": "the term`},
		"an unknown item":    {`"policeUnit"`, `"policeunit"`},
		"an unknown field":   {`"cap"`, `"cup"`},
		"an unknown rule":    {`"excluded"`, `"perhaps"`},
		"an item of no name": {`"the court"`, `""`},
	} {
		broken := strings.Replace(string(b), change[0], change[1], 1)
		if broken == string(b) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := parseProfile([]byte(broken)); err == nil {
			t.Errorf("a profile with %s was accepted", name)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	s := build(b, member(lawful()))
	chain := []Member{member(lawful()), extension(s, s.Capture.Until.Add(time.Hour))}
	for b.Loop() {
		if _, err := Read(chain); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzParseProfile: a profile is refused, or it can be counted with: no term ends before it begins, every article is there, only items that
// an order can have, and nothing that clocks or destructions would look for is missing.
func FuzzParseProfile(f *testing.F) {
	files, err := profileFiles.ReadDir("profiles")
	if err != nil {
		f.Fatal(err)
	}
	seeds := 0
	for _, file := range files {
		if raw, err := profileFiles.ReadFile("profiles/" + file.Name()); err == nil && strings.HasSuffix(file.Name(), ".json") {
			f.Add(raw)
			seeds++
		}
	}
	if seeds < 13 {
		f.Fatalf("%d profiles", seeds)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := parseProfile(raw)
		if err != nil {
			return
		}
		for _, term := range []Term{p.FirstTerm, p.ExtensionTerm, p.Cap, p.Urgent.Tell, p.Urgent.Confirm, p.Notification.Within, p.Destruction.Undo, p.Review} {
			if end := p.End(decided, term); !term.None && term != (Term{}) && end.Before(decided.Add(-24*time.Hour)) {
				t.Fatalf("%s from %s ends at %s", term, instant(decided), instant(end))
			}
			if term != (Term{}) && p.Cite(term.Article) == "" {
				t.Fatalf("%+v has no article", term)
			}
		}
		for _, i := range p.Items {
			if present[i.Field] == nil || p.Cite(i.Article) == "" {
				t.Fatalf("an item that no order has: %+v", i)
			}
		}
		if p.item("accessEnd") == "" {
			t.Fatal("no article for the end of access")
		}
	})
}
