package keyholder

import (
	"slices"
	"strings"
	"testing"

	"arca.example/arca/shared/record"
)

// Missing numbers are found within a period and across two, in whatever order the batches came, and of each collector, week and compartment by itself.
func TestGapsInBatchNumbers(t *testing.T) {
	batch := func(collector byte, week string, n uint64) lastNumber {
		return lastNumber{Collector: record.KeyID{collector}, Compartment: "main", Week: week, Number: n}
	}
	gaps := func(before []lastNumber, batches ...lastNumber) ([]lastNumber, []uint64) {
		s := summary{batches: batches}
		after := s.gaps(before)
		var list []uint64
		for _, g := range s.Gaps {
			list = append(list, g.First, g.Last)
		}
		return after, list
	}
	none, got := gaps(nil, batch(1, "2031-W03", 2), batch(1, "2031-W03", 1), batch(2, "2031-W03", 1), batch(1, "2031-W04", 1))
	if got != nil || len(none) != 3 {
		t.Errorf("there is no gap, and it names %v", got)
	}
	if _, got = gaps(nil, batch(1, "2031-W03", 1), batch(1, "2031-W03", 5), batch(2, "2031-W03", 3)); !slices.Equal(got, []uint64{2, 4, 1, 2}) {
		t.Errorf("of 1 and 5, and of another's 3, it misses %v", got)
	}
	after, got := gaps(none, batch(1, "2031-W03", 4))
	if !slices.Equal(got, []uint64{3, 3}) {
		t.Errorf("after 2 comes 4, and it misses %v", got)
	}
	if _, got = gaps(after, batch(1, "2031-W03", 3), batch(1, "2031-W03", 5)); got != nil {
		t.Errorf("3 came late, and it misses %v", got)
	}
	// The weakened twin that starts each period anew is wrong about a batch that follows.
	if _, got = gaps(nil, batch(1, "2031-W03", 3)); got == nil {
		t.Error("one that forgets what it counted would not be seen")
	}
}

func TestAJournalReportHasRoomForItsLines(t *testing.T) {
	var s summary
	for range maxReportLines + 5 {
		s.incident(record.ReportedIncident{What: cut(strings.Repeat("ñ", 3000))})
		s.gap(record.ReportedGap{})
	}
	for range maxReportLines {
		s.Accesses = append(s.Accesses, record.ReportedAccess{Name: strings.Repeat("n", 200), Purpose: cut(strings.Repeat("ñ", 8000))})
	}
	raw, err := record.Marshal(s.JournalReport)
	if err != nil || len(raw) > maxStatement || s.More != 10 {
		t.Errorf("%d bytes, %d lines left out: %v", len(raw), s.More, err)
	}
}
