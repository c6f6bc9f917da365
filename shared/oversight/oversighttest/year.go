// Package oversighttest makes a synthetic year of both keyholders' journals in the proportions of published figures, so that a report can be
// held against totals that are known. Nobody in it exists.
package oversighttest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Court is how many orders a court gave.
type Court struct {
	Name               string
	Initial, Extension int
	Proceedings        int // distinct tags of cases; 0: one for each initial order
}

// Year is what is to come out.
type Year struct {
	Profile  string
	Year     int
	Courts   []Court
	Groups   []string // offence groups, in turn; an empty one states none
	Openings int      // of each order: as many requests, approvals, releases and openings from both
}

// US2024 has the 2,297 orders of the United States' report for 2024: 1,290 federal and 1,007 state.
func US2024() Year {
	return Year{Profile: "US-T3", Year: 2024, Groups: []string{"narcotics", "narcotics", "narcotics", "conspiracy", "homicide", ""}, Openings: 1,
		Courts: []Court{{"Federal District Court One", 700, 90, 0}, {"Federal District Court Two", 587, 60, 0}, {"Federal District Court Three", 3, 0, 0},
			{"State Court One", 600, 220, 0}, {"State Court Two", 407, 101, 0}}}
}

// DE2023 has Germany's 15,939 orders of 2023: 13,206 initial ones and 2,733 extensions, in 4,970 proceedings.
func DE2023() Year {
	return Year{Profile: "DE-100a", Year: 2023, Groups: []string{"btmg", "betrug", "bandendiebstahl", "", "mord"},
		Courts: []Court{{"Amtsgericht Eins", 9000, 2000, 3400}, {"Amtsgericht Zwei", 4204, 733, 1568}, {"Amtsgericht Drei", 2, 0, 2}}}
}

// Journals are both keyholders' events of one case, as canonical bytes.
type Journals struct {
	Case             record.Digest
	Court, Custodian [][]byte
}

// maker makes the events of a year. It is a pure function of the year and a seed.
type maker struct {
	Year
	random    *rand.Rand
	people    map[record.KeyID]record.Enrolment
	judges    []*record.Signer
	reader    *record.Signer
	collector *record.Signer
	keys      []record.KeyID // of people, in the order of enrolment
	made      int            // initial orders so far
}

func signer(r *rand.Rand) *record.Signer {
	seed := make([]byte, 32)
	for i := range 4 {
		binary.BigEndian.PutUint64(seed[8*i:], r.Uint64())
	}
	return must(record.SignerFromSeed(seed))
}

// Make yields the year's journals, case after case, and gives the people who acted in them.
func (y Year) Make(seed uint64, yield func(Journals)) map[record.KeyID]record.Enrolment {
	m := &maker{Year: y, random: rand.New(rand.NewPCG(seed, 2)), people: map[record.KeyID]record.Enrolment{}}
	for _, c := range y.Courts {
		m.judges = append(m.judges, m.enrol(c.Name, record.Judge))
	}
	m.reader, m.collector = m.enrol("", record.Investigator), m.enrol("", record.Collector)
	general := m.begin(record.Digest{})
	for _, id := range m.keys {
		general.add(m.start(), record.EventEnrolled, map[string]record.Digest{"enrolment": {1}, "key": record.Digest(id)})
	}
	yield(general.journals())
	for i, c := range y.Courts {
		for n := range c.Initial {
			yield(m.chain(i, n, n < c.Extension))
		}
	}
	return m.people
}

func (m *maker) start() time.Time { return time.Date(m.Year.Year, 1, 2, 9, 0, 0, 0, time.UTC) }

func (m *maker) enrol(court string, role record.Role) *record.Signer {
	s := signer(m.random)
	m.keys = append(m.keys, s.Public().ID())
	m.people[s.Public().ID()] = record.Enrolment{Court: court, Key: s.Public(), Name: fmt.Sprintf("Person %d", len(m.people)), Roles: []record.Role{role}}
	return s
}

// pages are the journals of one case as they grow.
type pages struct {
	of   record.Digest
	list [2][][]byte
}

func (m *maker) begin(of record.Digest) *pages { return &pages{of: of} }

func (p *pages) journals() Journals { return Journals{p.of, p.list[0], p.list[1]} }

// add writes an event in both journals.
func (p *pages) add(at time.Time, kind record.EventKind, body any) {
	raw := must(record.Marshal(body))
	for i, party := range []string{"court", "custodian"} {
		e := record.Event{Author: party, Body: jsontext.Value(raw), Case: p.of, Kind: kind, Number: int64(len(p.list[i])) + 1, Time: at}
		if n := len(p.list[i]); n > 0 {
			e.Previous = record.HashBytes(p.list[i][n-1])
		}
		p.list[i] = append(p.list[i], must(e.Bytes()))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// chain makes one order: its authorisation on some day of the year's first two thirds, perhaps an extension, deliveries and openings.
func (m *maker) chain(court, number int, extended bool) Journals {
	profile := must(law.ProfileOf(m.Profile))
	decided := m.start().Add(time.Duration(m.random.IntN(200*24)) * time.Hour)
	o := m.order(court, number, decided)
	o.Capture = record.Window{From: decided, Until: profile.End(decided, profile.FirstTerm)}
	o.AccessEnd = decided.AddDate(2, 0, 0)
	statement, hash := m.sign(m.judges[court], record.TypeOrder, decided, o)
	p := m.begin(hash)
	p.add(decided.Add(time.Hour), record.EventAdmitted, record.AdmittedEvent{Kind: o.Kind, Member: hash, Statement: statement})
	if extended {
		x := record.Order{Kind: record.Extension, Chain: hash, Court: o.Court, Profile: o.Profile, Reason: "reasons on file", Sequence: 1, Previous: hash,
			Decided: o.Capture.Until.Add(-24 * time.Hour), Capture: record.Window{From: o.Capture.Until, Until: profile.End(o.Capture.Until, profile.ExtensionTerm)}, Nonce: m.id()}
		statement, member := m.sign(m.judges[court], record.TypeOrder, x.Decided, x)
		p.add(x.Decided.Add(time.Hour), record.EventAdmitted, record.AdmittedEvent{Kind: x.Kind, Member: member, Statement: statement})
	}
	for n := range m.Openings {
		m.opening(p, decided.Add(time.Duration(2+n)*time.Hour))
	}
	return p.journals()
}

func (m *maker) order(court, number int, decided time.Time) record.Order {
	from, group := m.Courts[court], m.Groups[m.made%len(m.Groups)]
	if from.Proceedings > 0 {
		number %= from.Proceedings
	}
	m.made++
	return record.Order{
		Kind: record.Authorisation, Profile: m.Profile, Court: from.Name, Case: fmt.Sprintf("Case %d", number), Classification: "confidential", PoliceUnit: "Unit 7", Decided: decided,
		Grounds: record.Grounds{Offence: "an offence", Group: group, Indicia: "on file", Persons: []string{"not known"}, Extent: "content", Motivation: "on file",
			Duration: "the first term", Purpose: "on file", Obliged: "an operator"},
		Scope: record.Scope{Identifiers: []record.Identifier{{Kind: "msisdn", Value: "+12025550101"}}, Kinds: []string{"call", "message"}}, Nonce: m.id(),
	}
}

// sign makes a statement and gives the hash of its signing input.
func (m *maker) sign(s *record.Signer, typ record.Type, at time.Time, v any) (string, record.Digest) {
	raw := must(record.Sign(s, typ, at, v))
	return raw, record.HashStatement(raw)
}

func (m *maker) id() (id record.ID) {
	binary.BigEndian.PutUint64(id[:8], m.random.Uint64())
	binary.BigEndian.PutUint64(id[8:], m.random.Uint64())
	return id
}

// opening adds a delivery of one recording, and a request for it until it was opened: seven events.
func (m *maker) opening(p *pages, at time.Time) {
	ref := record.Reference{Batch: m.id(), Recording: m.id()}
	st := seal.Statement{Batch: seal.BatchID(ref.Batch), Unit: seal.Unit{Order: p.of, Week: "2023-W01", Compartment: "main", Classification: "confidential"}, Number: 1, Members: 1}
	p.add(at, record.EventNoted, record.NotedEvent{Batch: ref.Batch, Collector: m.collector.Public().ID(), Recordings: []record.ID{ref.Recording}, Signature: make([]byte, 64), Signed: st.Bytes(), Statement: st.Hash()})
	by := m.reader.Public().ID()
	request := record.Digest(sha256.Sum256(ref.Recording[:]))
	said := func(kind record.EventKind, body record.StatementEvent) {
		body.By, body.Request, body.Statement = by, request, "a statement that nobody here reads, as long as one is: "+filler
		p.add(at.Add(time.Minute), kind, body)
	}
	said(record.EventAsked, record.StatementEvent{Class: "content", Purpose: "identify the speaker"})
	said(record.EventApproved, record.StatementEvent{})
	p.add(at.Add(time.Minute), record.EventReleased, record.ReleasedEvent{Checkpoint: filler, Class: "content", Items: 1, Recordings: []record.Reference{ref}, Request: request, To: by, Total: 1})
	said(record.EventFound, record.StatementEvent{Reason: record.Completed})
	said(record.EventOpened, record.StatementEvent{Reason: record.Begun})
	said(record.EventOpened, record.StatementEvent{Reason: record.Completed})
}

// filler has the size of a signed statement or of a cosigned checkpoint.
var filler = fmt.Sprintf("%0600d", 0)
