package law

import (
	"fmt"
	"time"
)

// Working says which days are none. A holiday that is missing here only ends a term earlier, which is the stricter reading.
type Working struct {
	Saturday bool      `json:"saturday,omitzero"` // counts as a working day
	Holidays []Holiday `json:"holidays,omitzero"`
	Article  string    `json:"article,omitzero"`
}

// Holiday is a rule that gives one day a year: a date, a number of days from Easter Sunday, or the nth weekday of a month.
type Holiday struct {
	Name    string `json:"name"`
	Date    string `json:"date,omitzero"`    // 01-02: 2 January
	Easter  *int   `json:"easter,omitzero"`  // days from it
	Month   int    `json:"month,omitzero"`   // with Nth: a Monday of the month
	Nth     int    `json:"nth,omitzero"`     // 1 the first, -1 the last
	Instead bool   `json:"instead,omitzero"` // on a weekend, the next working day stands for it
}

func (h Holiday) valid() bool {
	ways := 0
	if h.Date != "" {
		ways++
		if _, err := time.Parse("2006-01-02", "2025-"+h.Date); err != nil {
			return false
		}
	}
	if h.Easter != nil {
		ways++
		if *h.Easter < -60 || *h.Easter > 60 {
			return false
		}
	}
	if h.Month != 0 || h.Nth != 0 {
		ways++
		if h.Month < 1 || h.Month > 12 || h.Nth != 1 && h.Nth != -1 {
			return false
		}
	}
	return ways == 1 && h.Name != ""
}

// in gives the holiday's day in a year, at noon UTC: only its date counts.
func (h Holiday) in(year int) time.Time {
	noon := func(month time.Month, day int) time.Time { return time.Date(year, month, day, 12, 0, 0, 0, time.UTC) }
	switch {
	case h.Easter != nil:
		month, day := easter(year)
		return noon(month, day+*h.Easter)
	case h.Nth == 1:
		first := noon(time.Month(h.Month), 1)
		return first.AddDate(0, 0, (8-int(first.Weekday()))%7)
	case h.Nth == -1:
		last := noon(time.Month(h.Month)+1, 0)
		return last.AddDate(0, 0, -(int(last.Weekday())+6)%7)
	}
	t, err := time.Parse("2006-01-02", "2024-"+h.Date)
	if err != nil {
		panic("a holiday that was never checked: " + h.Date)
	}
	return noon(t.Month(), t.Day())
}

// easter gives Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876).
func easter(year int) (time.Month, int) {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return time.Month(n / 31), n%31 + 1
}

// isHoliday looks a day up in its year's table, which is made once.
func (p *Profile) isHoliday(day time.Time) bool {
	if table, ok := p.holidays.Load(day.Year()); ok {
		return table.(map[int]bool)[day.YearDay()]
	}
	table := map[int]bool{}
	var moved []time.Time
	for _, h := range p.WorkingDays.Holidays {
		at := h.in(day.Year())
		table[at.YearDay()] = true
		if h.Instead && (at.Weekday() == time.Saturday || at.Weekday() == time.Sunday) {
			moved = append(moved, at)
		}
	}
	for _, at := range moved { // after all others: a substitute never falls on another holiday
		for table[at.YearDay()] || at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
			at = at.AddDate(0, 0, 1)
		}
		if at.Year() == day.Year() {
			table[at.YearDay()] = true
		}
	}
	p.holidays.Store(day.Year(), table)
	return table[day.YearDay()]
}

func (p *Profile) working(day time.Time) bool {
	switch day.Weekday() {
	case time.Sunday:
		return false
	case time.Saturday:
		return p.WorkingDays.Saturday && !p.isHoliday(day)
	}
	return !p.isHoliday(day)
}

// End is the instant at which a term that begins at from is over.
//
// Years, months and days run date to date: the same date that much later, or
// the month's last day if it has no such date (Código Civil art. 5). Only the
// date of from counts, not its hour. With the last day excluded the term is over
// when that day begins. Hours run to the second. Working days: the day of from
// does not count, and the term is over when the last of them is.
func (p *Profile) End(from time.Time, t Term) time.Time {
	switch {
	case t.Hours > 0:
		return from.Add(time.Duration(t.Hours) * time.Hour).UTC()
	case t.Immediately:
		return from.UTC()
	case t.WorkingDays > 0:
		return p.afterWorkingDays(from, t.WorkingDays)
	}
	year, month, day := from.In(p.zone).Date()
	if t.Days > 0 {
		day += t.Days
	} else {
		month += time.Month(12*t.Years + t.Months)
		if last := time.Date(year, month+1, 0, 12, 0, 0, 0, time.UTC).Day(); day > last {
			day = last
		}
	}
	if p.LastDay.Rule == "included" {
		day++
	}
	return time.Date(year, month, day, 0, 0, 0, 0, p.zone).UTC()
}

func (p *Profile) afterWorkingDays(from time.Time, count int) time.Time {
	year, month, day := from.In(p.zone).Date()
	noon := time.Date(year, month, day, 12, 0, 0, 0, time.UTC)
	for count > 0 {
		noon = noon.AddDate(0, 0, 1)
		if p.working(noon) {
			count--
		}
	}
	return time.Date(noon.Year(), noon.Month(), noon.Day()+1, 0, 0, 0, 0, p.zone).UTC()
}

// before is the instant so much before another, for warnings.
func (t Term) before(at time.Time) time.Time {
	return at.AddDate(-t.Years, -t.Months, -t.Days).Add(-time.Duration(t.Hours) * time.Hour)
}

// String is the term in words, as "3 months".
func (t Term) String() string {
	for _, unit := range []struct {
		n    int
		name string
	}{{t.Years, "year"}, {t.Months, "month"}, {t.Days, "day"}, {t.Hours, "hour"}, {t.WorkingDays, "working day"}} {
		switch {
		case unit.n == 1:
			return "1 " + unit.name
		case unit.n > 1:
			return fmt.Sprintf("%d %ss", unit.n, unit.name)
		}
	}
	if t.Immediately {
		return "immediately"
	}
	return "none"
}
