package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

// shownNotice is what the keyholders told a person of a clock that is still open.
type shownNotice struct {
	Order   string    `json:"order"`
	Clock   string    `json:"clock"`
	Level   string    `json:"level"` // due, overdue, escalated, ended
	Due     time.Time `json:"due"`
	Says    string    `json:"says"`
	Article string    `json:"article"`
	Sent    time.Time `json:"sent"`
	Differs string    `json:"differs,omitempty"` // which keyholder alone told it; each tells it at its next run
}

// noticesOf merges what both keyholders told a person, by due date.
func (a *app) noticesOf(ctx context.Context, f *installation.Folder, signer *record.Signer) ([]shownNotice, error) {
	list := []shownNotice{}
	for i, party := range installation.Keyholders {
		told, err := f.Keyholder(party, signer).Notices(ctx)
		if err != nil {
			return nil, err
		}
		for _, n := range told.Notices {
			at := slices.IndexFunc(list, func(s shownNotice) bool { return s.Order == n.Chain && s.Clock == n.Clock && s.Due.Equal(n.Due) })
			switch {
			case at < 0:
				list = append(list, noticeFrom(n))
				list[len(list)-1].Differs = "only the " + party + " told it"
			case i == 1:
				list[at].merge(n)
			}
		}
	}
	slices.SortStableFunc(list, func(x, y shownNotice) int { return x.Due.Compare(y.Due) })
	return list, nil
}

func noticeFrom(n wire.Notice) shownNotice {
	return shownNotice{Order: n.Chain, Clock: n.Clock, Level: n.Level, Due: n.Due, Says: n.Says, Article: n.Article, Sent: n.Sent}
}

// merge takes the later of the two levels: one keyholder's run comes before the other's.
func (s *shownNotice) merge(n wire.Notice) {
	s.Differs = ""
	levels := []string{record.LevelDue, record.LevelOverdue, record.LevelEscalated, record.LevelEnded}
	if slices.Index(levels, n.Level) > slices.Index(levels, s.Level) {
		s.Level, s.Sent = n.Level, n.Sent
	}
}

func (p *page) notices(list []shownNotice) {
	var rows [][]string
	for _, n := range list {
		level := n.Level
		if n.Differs != "" {
			level += "; " + n.Differs
		}
		rows = append(rows, []string{short(n.Order), n.Clock, when(n.Due), level, n.Says, n.Article})
	}
	p.table([]string{"ORDER", "CLOCK", "DUE", "STATE", "WHAT", "ARTICLE"}, rows)
}

// ofOrder keeps one order's notices.
func ofOrder(list []shownNotice, chain record.Digest) []shownNotice {
	return slices.DeleteFunc(list, func(n shownNotice) bool { return !strings.EqualFold(n.Order, chain.String()) })
}
