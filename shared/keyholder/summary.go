package keyholder

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// How many lines of each kind a journal report has, and how much of a purpose or reason: all of it is one statement (record.MaxBytes).
const (
	maxReportLines = 60
	maxReportWords = 200
)

// lastNumber is up to which number a collector's batches of a unit were counted.
type lastNumber struct {
	Collector   record.KeyID `json:"collector"`
	Compartment string       `json:"compartment"`
	Number      uint64       `json:"number"`
	Week        string       `json:"week"`
}

func (n lastNumber) same(o lastNumber) bool {
	return n.Collector == o.Collector && n.Compartment == o.Compartment && n.Week == o.Week
}

// summary is a journal report on its way.
type summary struct {
	record.JournalReport
	counts   map[record.EventKind]int
	batches  []lastNumber
	accesses []*record.ReportedAccess
	pages    map[record.Digest]map[int]int // of each request, how many recordings each page of the answer had
}

// read goes through the journal from First on until an event of the report's date or later.
func (s *summary) read(ctx context.Context, k *Keyholder) error {
	s.counts, s.pages = map[record.EventKind]int{}, map[record.Digest]map[int]int{}
	for {
		lines, err := k.Journal(ctx, s.Chain, s.Last+1, logPage)
		if err != nil || len(lines) == 0 {
			return err
		}
		for _, line := range lines {
			if !line.Event.Time.Before(s.Until) {
				return nil
			}
			s.Last = line.Event.Number
			if err := s.count(line.Event); err != nil {
				return err
			}
		}
	}
}

func (s *summary) count(e record.Event) error {
	s.counts[e.Kind]++
	switch e.Kind {
	case record.EventNoted:
		return s.countBatch(e)
	case record.EventReleased:
		return s.countAccess(e)
	case record.EventRefused:
		var b record.StatementEvent
		if err := json.Unmarshal(e.Body, &b); err != nil {
			return err
		}
		s.incident(record.ReportedIncident{At: e.Time, By: b.By, Kind: e.Kind, What: cut(b.Reason)})
	case record.EventLapsed:
		var b record.LapsedEvent
		if err := json.Unmarshal(e.Body, &b); err != nil {
			return err
		}
		s.incident(record.ReportedIncident{At: b.At, Kind: e.Kind, What: b.Clock})
	case record.EventWarned:
		var b record.WarnedEvent
		if err := json.Unmarshal(e.Body, &b); err != nil || b.Level == record.LevelDue {
			return err
		}
		s.incident(record.ReportedIncident{At: e.Time, Kind: e.Kind, What: b.Clock + " " + b.Level})
	}
	return nil
}

func (s *summary) incident(i record.ReportedIncident) {
	if len(s.Incidents) >= maxReportLines {
		s.More++
		return
	}
	s.Incidents = append(s.Incidents, i)
}

func (s *summary) countBatch(e record.Event) error {
	var b record.NotedEvent
	if err := json.Unmarshal(e.Body, &b); err != nil {
		return err
	}
	st, err := seal.ParseStatement(b.Signed)
	if err != nil {
		return err
	}
	s.Batches, s.Recordings = s.Batches+1, s.Recordings+int(st.Members)
	s.batches = append(s.batches, lastNumber{Collector: b.Collector, Compartment: st.Unit.Compartment, Number: st.Number, Week: st.Unit.Week})
	return nil
}

func (s *summary) countAccess(e record.Event) error {
	var b record.ReleasedEvent
	if err := json.Unmarshal(e.Body, &b); err != nil {
		return err
	}
	if s.pages[b.Request] == nil {
		s.pages[b.Request] = map[int]int{}
		s.accesses = append(s.accesses, &record.ReportedAccess{At: e.Time, By: b.To, Class: b.Class, Request: b.Request})
	}
	s.pages[b.Request][b.From] = b.Items // a page that is fetched again counts once
	return nil
}

// gaps finds the numbers that are missing among the batches of each collector, and gives up to which all are counted now. What was
// missing once and came later is only counted.
func (s *summary) gaps(before []lastNumber) []lastNumber {
	slices.SortFunc(s.batches, func(a, b lastNumber) int {
		return cmp.Or(cmp.Compare(a.Week, b.Week), cmp.Compare(a.Compartment, b.Compartment), slices.Compare(a.Collector[:], b.Collector[:]), cmp.Compare(a.Number, b.Number))
	})
	list := slices.Clone(before)
	for _, n := range s.batches {
		i := slices.IndexFunc(list, n.same)
		if i < 0 {
			i, list = len(list), append(list, lastNumber{Collector: n.Collector, Compartment: n.Compartment, Week: n.Week})
		}
		if n.Number > list[i].Number+1 {
			s.gap(record.ReportedGap{Collector: n.Collector, Compartment: n.Compartment, First: list[i].Number + 1, Last: n.Number - 1, Week: n.Week})
		}
		list[i].Number = max(list[i].Number, n.Number)
	}
	return list
}

func (s *summary) gap(g record.ReportedGap) {
	if len(s.Gaps) >= maxReportLines {
		s.More++
		return
	}
	s.Gaps = append(s.Gaps, g)
}

// finish puts in who had access and why, the counts and the clocks.
func (s *summary) finish(ctx context.Context, k *Keyholder, state Chain, row reportsRow) error {
	for _, a := range s.accesses {
		if len(s.Accesses) >= maxReportLines {
			s.More++
			continue
		}
		asked, err := k.Request(ctx, a.Request)
		if err != nil {
			return err
		}
		author, _, err := k.everEnrolled(ctx, a.By)
		if err != nil {
			return err
		}
		for _, n := range s.pages[a.Request] {
			a.Recordings += n
		}
		a.Name, a.Purpose = author.Enrolment.Name, cut(asked.Request.Purpose)
		s.Accesses = append(s.Accesses, *a)
	}
	for _, kind := range slices.Sorted(maps.Keys(s.counts)) {
		s.Events = append(s.Events, record.ReportedCount{Kind: kind, Count: s.counts[kind]})
	}
	clocks, err := row.clocks(state, s.Until)
	for _, c := range clocks {
		s.Clocks = append(s.Clocks, record.ReportedClock{Article: c.Article, Clock: c.Name, Due: c.Due, State: string(c.State)})
	}
	return err
}

// cut shortens a text to what has room in a line.
func cut(s string) string {
	runes := []rune(s)
	if len(runes) <= maxReportWords {
		return s
	}
	return string(runes[:maxReportWords-1]) + "…"
}
