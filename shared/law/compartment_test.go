package law

import (
	"reflect"
	"testing"
	"time"

	"arca.example/arca/shared/record"
)

func TestWhatTheJudgeDecidedOfARecording(t *testing.T) {
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	one, two := record.Reference{Batch: record.ID{1}, Recording: record.ID{1}}, record.Reference{Batch: record.ID{1}, Recording: record.ID{2}}
	ana := record.KeyID{7}
	n := byte(0)
	member := func(verdict string, hours int, refs ...record.Reference) Member {
		n++
		m := Member{Hash: record.Digest{n}, Order: record.Order{Kind: record.Compartment, Verdict: verdict, Decided: at.Add(time.Duration(hours) * time.Hour), Recordings: refs}}
		if verdict == record.VerdictScreen {
			m.Order.Screener, m.Order.Until = ana, at.Add(48*time.Hour)
		}
		return m
	}
	lift := func(of Member) Member {
		n++
		return Member{Hash: record.Digest{n}, Order: record.Order{Kind: record.Lifting, Lifts: of.Hash, Decided: of.Order.Decided.Add(time.Hour)}}
	}
	gone := member(record.VerdictDelete, 1, one)
	for name, tc := range map[string]struct {
		chain   []Member
		verdict string
	}{
		"nothing":                                     {nil, ""},
		"released":                                    {[]Member{member(record.VerdictRelease, 1, one)}, record.VerdictRelease},
		"of another recording":                        {[]Member{member(record.VerdictExclude, 1, two)}, ""},
		"the later counts: excluded":                  {[]Member{member(record.VerdictRelease, 1, one), member(record.VerdictExclude, 2, one)}, record.VerdictExclude},
		"the later counts: released":                  {[]Member{member(record.VerdictExclude, 1, one), member(record.VerdictRelease, 2, one)}, record.VerdictRelease},
		"of one second the stricter counts":           {[]Member{member(record.VerdictRelease, 1, one), member(record.VerdictExclude, 1, one)}, record.VerdictExclude},
		"a deletion counts against a later release":   {[]Member{gone, member(record.VerdictRelease, 9, one)}, record.VerdictDelete},
		"a deletion that was taken back does not":     {[]Member{gone, lift(gone), member(record.VerdictRelease, 9, one)}, record.VerdictRelease},
		"a deletion taken back leaves nothing behind": {[]Member{gone, lift(gone)}, ""},
		"who screens decides nothing":                 {[]Member{member(record.VerdictScreen, 1, one)}, ""},
		"another kind decides nothing":                {[]Member{{Order: record.Order{Kind: record.Hold, Recordings: []record.Reference{one}}}}, ""},
	} {
		for range 2 { // in whatever order they arrived
			if got := JudgedOf(tc.chain).Verdicts[one]; got != tc.verdict {
				t.Errorf("%s: %q", name, got)
			}
			for i, j := 0, len(tc.chain)-1; i < j; i, j = i+1, j-1 {
				tc.chain[i], tc.chain[j] = tc.chain[j], tc.chain[i]
			}
		}
	}
	screen := member(record.VerdictScreen, 1, one)
	for name, tc := range map[string]struct {
		chain  []Member
		person record.KeyID
		ref    record.Reference
		hours  int
		want   bool
	}{
		"named":                   {[]Member{screen}, ana, one, 2, true},
		"somebody else":           {[]Member{screen}, record.KeyID{8}, one, 2, false},
		"nobody":                  {[]Member{screen}, record.KeyID{}, one, 2, false},
		"another recording":       {[]Member{screen}, ana, two, 2, false},
		"after its end":           {[]Member{screen}, ana, one, 48, false},
		"once the judge decided":  {[]Member{screen, member(record.VerdictExclude, 2, one)}, ana, one, 3, false},
		"once the judge released": {[]Member{screen, member(record.VerdictRelease, 2, one)}, ana, one, 3, false},
	} {
		j, now := JudgedOf(tc.chain), at.Add(time.Duration(tc.hours)*time.Hour)
		if got := j.Screens(tc.person, tc.ref, now); got != tc.want || (len(j.ScreenedBy(tc.person, now)) > 0) != (tc.want && tc.ref == one || tc.ref == two) {
			t.Errorf("%s: %v %v", name, got, j.ScreenedBy(tc.person, now))
		}
	}
}

// What is released is listed once, by decision, for as long as the release is what counts.
func TestReleasedAreListed(t *testing.T) {
	member := func(verdict string, hour int, refs ...record.Reference) Member {
		o := record.Order{Kind: record.Compartment, Verdict: verdict, Decided: at("2026-11-26T00:00:00Z").Add(time.Duration(hour) * time.Hour), Recordings: refs}
		return Member{Hash: record.HashBytes([]byte(verdict + string(rune('a'+hour)))), Order: o}
	}
	both, again := member(record.VerdictRelease, 1, one, two), member(record.VerdictRelease, 3, two)
	for name, tc := range map[string]struct {
		chain []Member
		want  [][]record.Reference
	}{
		"none":               {[]Member{member(record.VerdictExclude, 1, one)}, nil},
		"two of one":         {[]Member{both}, [][]record.Reference{{one, two}}},
		"one released twice": {[]Member{again, both}, [][]record.Reference{{one, two}}},
		"one excluded since": {[]Member{both, member(record.VerdictExclude, 2, one)}, [][]record.Reference{{two}}},
		"both deleted since": {[]Member{both, member(record.VerdictDelete, 2, one, two), again}, nil},
	} {
		if got := JudgedOf(tc.chain).Released(); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
