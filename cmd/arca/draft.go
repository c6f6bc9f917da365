package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/policy"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// draftFlags are what order new fills in beforehand.
type draftFlags struct {
	profile, court, caseTag, unit, classification string
	targets, kinds, privileged                    []string
	days, access                                  int
	example, urgent                               bool
}

// exampleOrder is the fictional case that --example fills in.
var exampleOrder = record.Order{
	Court: "Court One", Case: "case-7", PoliceUnit: "Unit A", Classification: "restricted",
	Grounds: record.Grounds{
		Offence: "drug trafficking, Código Penal art. 368", Indicia: "surveillance of 3 and 9 November, statement of a protected witness",
		Persons: []string{"the user of the number, not known by name"}, Extent: "content and signalling of the number's communications",
		Motivation: "specialty, suitability, exceptionality, necessity and proportionality, as reasoned in the order",
		Duration:   "one month from today", Purpose: "to identify the suppliers", Obliged: "the operator of the number, bound to collaborate and to secrecy",
	},
	Scope:   record.Scope{Identifiers: []record.Identifier{{Kind: "msisdn", Value: "+12025550111"}}, Kinds: []string{"call", "message", "session"}},
	Reports: record.Reports{Form: "in writing, with the full recordings", EveryDays: 15},
}

// draft makes the commented text of an authorisation. Decided is now, the window runs from then; what only a judge can
// say is empty, and signing it empty is refused with the article that demands it.
func (d draftFlags) draft(now time.Time) (string, error) {
	profile, err := law.ProfileOf(d.profile)
	if err != nil {
		return "", err
	}
	o, err := d.order(now)
	if err != nil {
		return "", err
	}
	term := profile.FirstTerm
	if d.urgent {
		if profile.Urgent.None {
			return "", problem.New(problem.Denied, "the statute has no urgent procedure, so a judge authorises the measure (%s)", profile.Cite(profile.Urgent.Article))
		}
		if profile.Urgent.Term != (law.Term{}) {
			term = profile.Urgent.Term
		}
	}
	if end := profile.End(o.Decided, term); o.Capture.Until.After(end) {
		o.Capture.Until = end
	}
	source := func(field string) string {
		i := slices.IndexFunc(profile.Items, func(i law.Item) bool { return i.Field == field })
		if i < 0 {
			return "not asked for by this statute"
		}
		return profile.Items[i].Name + " (" + profile.Cite(profile.Items[i].Article) + ")"
	}
	return writeDraft(o, profile, source, fmt.Sprintf("at most %s from the decision (%s)", term, profile.Cite(term.Article))), nil
}

func (d draftFlags) order(now time.Time) (record.Order, error) {
	o := record.Order{Grounds: record.Grounds{Persons: []string{}}, Reports: record.Reports{EveryDays: 15}, Classification: "restricted"}
	if d.example {
		o = exampleOrder
	}
	o.Kind, o.Profile, o.Decided, o.Urgent = record.Authorisation, d.profile, record.Second(now), d.urgent
	for _, given := range []struct {
		text string
		into *string
	}{{d.court, &o.Court}, {d.caseTag, &o.Case}, {d.unit, &o.PoliceUnit}, {d.classification, &o.Classification}} {
		if given.text != "" {
			*given.into = given.text
		}
	}
	if len(d.targets) > 0 || !d.example {
		o.Scope.Identifiers = []record.Identifier{}
	}
	for _, text := range d.targets {
		id, err := parseIdentifier(text)
		if err != nil {
			return o, err
		}
		o.Scope.Identifiers = append(o.Scope.Identifiers, id)
	}
	if len(d.kinds) > 0 || !d.example {
		o.Scope.Kinds = d.kinds
	}
	var err error
	if o.Privileged, err = parsePrivileges(d.privileged); err != nil {
		return o, err
	}
	if d.days < 1 || d.access < 0 {
		return o, problem.New(problem.Invalid, "--days is at least 1 and --access-days at least 0")
	}
	if err := effective(o); err != nil {
		return o, err
	}
	o.Capture = record.Window{From: o.Decided, Until: o.Decided.AddDate(0, 0, d.days)}
	o.AccessEnd = o.Capture.Until.AddDate(0, 0, d.access)
	return o, nil
}

// effective refuses what is good in law and would match nothing: deliveries are compared letter by letter with the identifiers and
// kinds of an order, and no clearance reaches a classification that is no level.
func effective(o record.Order) error {
	for _, id := range o.Scope.Identifiers {
		if err := id.Validate(); err != nil {
			return err
		}
	}
	for _, kind := range o.Scope.Kinds {
		if err := oneOf("a kind of communication", kind, record.CommunicationKinds...); err != nil {
			return err
		}
	}
	if o.Classification == "" {
		return nil // the statute says whether it may be missing
	}
	if _, known := policy.Level(o.Classification); !known {
		return problem.New(problem.Invalid, "the order's classification is no level; levels are %s", strings.Join(policy.Levels(), ", "))
	}
	return nil
}

// writeDraft writes the order as JSON with // comments, which order sign takes away again.
func writeDraft(o record.Order, profile *law.Profile, source func(field string) string, term string) string {
	var b strings.Builder
	member := func(indent, name string, v any, comment, end string) {
		raw, err := json.Marshal(v, json.Deterministic(true), jsontext.Multiline(false), json.FormatNilSliceAsNull(false))
		if err != nil {
			panic(err) // strings, numbers and times always encode
		}
		if comment != "" {
			fmt.Fprintf(&b, "%s// %s\n", indent, comment)
		}
		fmt.Fprintf(&b, "%s%q: %s%s\n", indent, name, raw, end)
	}
	b.WriteString("// A draft order. Fill in what is empty, then: arca order sign --from FILE -o order.jws\n// Times are UTC. Comments are taken away when it is signed.\n{\n")
	member("  ", "kind", o.Kind, "", ",")
	member("  ", "profile", o.Profile, "the statute", ",")
	if u := profile.Urgent; o.Urgent {
		member("  ", "urgent", true, fmt.Sprintf("ordered by %s; the judge confirms it within %s, or it lapses (%s)", u.Who, u.Confirm, profile.Cite(u.Article)), ",")
	}
	member("  ", "court", o.Court, source("court")+"; the judge who signs belongs to it", ",")
	member("  ", "case", o.Case, source("case"), ",")
	member("  ", "policeUnit", o.PoliceUnit, source("policeUnit"), ",")
	member("  ", "classification", o.Classification, source("classification")+": restricted, confidential or secret", ",")
	member("  ", "decided", o.Decided, "the judicial decision; every term runs from it", ",")
	member("  ", "capture", o.Capture, source("capture")+", "+term, ",")
	member("  ", "accessEnd", o.AccessEnd, source("accessEnd")+", not before the measure's", ",")
	b.WriteString("  \"scope\": {\n")
	member("    ", "identifiers", o.Scope.Identifiers, source("scope.identifiers")+`, as {"kind": "msisdn", "value": "+12025550111"}`, ",")
	member("    ", "kinds", o.Scope.Kinds, source("scope.kinds")+": of call, message, session", "")
	b.WriteString("  },\n")
	var categories []string
	for _, c := range profile.Privileged {
		categories = append(categories, c.Name)
	}
	member("  ", "privileged", append([]record.Privilege{}, o.Privileged...), `privileged communications, as {"category": "counsel", "identifier": {"kind": "msisdn", "value": "+12025550177"}}; of `+strings.Join(categories, ", "), ",")
	b.WriteString("  \"grounds\": {\n")
	g := o.Grounds
	member("    ", "offence", g.Offence, source("grounds.offence"), ",")
	member("    ", "group", g.Group, "a code for the group of the offence, as organised-crime, by which oversight counts; may stay empty", ",")
	member("    ", "indicia", g.Indicia, source("grounds.indicia"), ",")
	member("    ", "persons", g.Persons, source("grounds.persons"), ",")
	member("    ", "extent", g.Extent, source("grounds.extent"), ",")
	member("    ", "motivation", g.Motivation, source("grounds.motivation"), ",")
	member("    ", "duration", g.Duration, source("grounds.duration"), ",")
	member("    ", "purpose", g.Purpose, source("grounds.purpose"), ",")
	member("    ", "obliged", g.Obliged, source("grounds.obliged"), "")
	b.WriteString("  },\n  \"reports\": {\n")
	member("    ", "form", o.Reports.Form, source("reports.form"), ",")
	member("    ", "everyDays", o.Reports.EveryDays, source("reports.everyDays"), "")
	b.WriteString("  }\n}\n")
	return b.String()
}

// parseDraft reads a draft, comments and all. What it has not asked for it refuses with the line where it stands.
func parseDraft(raw []byte) (record.Order, error) {
	var o record.Order
	if len(raw) > record.MaxBytes {
		return o, problem.New(problem.Invalid, "the draft is larger than an order can be")
	}
	plain := stripComments(raw)
	if len(bytes.TrimSpace(plain)) == 0 {
		return o, problem.New(problem.Invalid, "the draft is empty; make one with: arca order new")
	}
	if err := json.Unmarshal(plain, &o, json.RejectUnknownMembers(true)); err != nil {
		return o, problem.Wrap(problem.Invalid, err, "line %d of the draft: %s", lineOf(plain, err), reasonOf(err))
	}
	for _, t := range []*time.Time{&o.Decided, &o.Capture.From, &o.Capture.Until, &o.AccessEnd, &o.Milestone.At, &o.Until} {
		*t = record.Second(*t)
	}
	return o, nil
}

func lineOf(text []byte, err error) int {
	var at int64
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		at = e.ByteOffset
	} else if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = e.ByteOffset
	}
	return 1 + bytes.Count(text[:min(int(at), len(text))], []byte("\n"))
}

func reasonOf(err error) string {
	switch e, ok := errors.AsType[*json.SemanticError](err); {
	case ok && errors.Is(e.Err, json.ErrUnknownName):
		return "an order has no member of this name; compare with what arca order new prints"
	case ok:
		return "this value does not fit its member; compare with what arca order new prints"
	}
	return "this is not JSON; look for a missing comma, quote or bracket"
}

// stripComments overwrites // and /* */ comments outside strings with spaces, so that lines and columns stay.
func stripComments(raw []byte) []byte {
	out := bytes.Clone(raw)
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	for i := 0; i < len(raw); i++ {
		switch {
		case raw[i] == '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case bytes.HasPrefix(raw[i:], []byte("//")):
			end := bytes.IndexByte(raw[i:], '\n')
			if end < 0 {
				end = len(raw) - i
			}
			blank(i, i+end)
			i += end
		case bytes.HasPrefix(raw[i:], []byte("/*")):
			end := bytes.Index(raw[i+2:], []byte("*/"))
			if end < 0 {
				return out // the parser refuses what is left
			}
			blank(i, i+end+4)
			i += end + 3
		}
	}
	return out
}
