package local

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// expression is a parsed schedule expression in UTC.
type expression interface {
	// next gives the first time after t; zero if there is none.
	next(t time.Time) time.Time
}

// parseExpression reads EventBridge Scheduler's rate(value unit) and
// cron(minutes hours day-of-month month day-of-week year). The cron forms L, W
// and # and at() are refused.
func parseExpression(s string) (expression, error) {
	inner, isRate := strings.CutPrefix(s, "rate(")
	if !isRate {
		var isCron bool
		if inner, isCron = strings.CutPrefix(s, "cron("); !isCron {
			return nil, fmt.Errorf("the schedule %q is neither rate() nor cron()", s)
		}
	}
	inner, closed := strings.CutSuffix(inner, ")")
	if !closed {
		return nil, fmt.Errorf("the schedule %q does not end", s)
	}
	parse := parseCron
	if isRate {
		parse = parseRate
	}
	e, err := parse(strings.Fields(inner))
	if err != nil {
		return nil, fmt.Errorf("the schedule %q: %w", s, err)
	}
	return e, nil
}

type rate time.Duration

func (r rate) next(t time.Time) time.Time { return t.Add(time.Duration(r)) }

func parseRate(fields []string) (expression, error) {
	if len(fields) != 2 {
		return nil, errors.New("a rate has a value and a unit")
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil || n < 1 || n > 1000 {
		return nil, errors.New("the value must be from 1 to 1000")
	}
	unit, ok := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[strings.TrimSuffix(fields[1], "s")]
	// EventBridge itself insists on "1 minute" and "2 minutes".
	if !ok || (n == 1) == strings.HasSuffix(fields[1], "s") {
		return nil, errors.New("the unit must be minute, hour or day, plural above one")
	}
	return rate(time.Duration(n) * unit), nil
}

// cron holds the allowed values of each field; nil allows all.
type cron struct {
	minutes, hours, days, months, weekdays, years []int
}

var cronFields = []struct {
	name     string
	min, max int
	words    []string // word i is the value min+i
}{
	{"minutes", 0, 59, nil},
	{"hours", 0, 23, nil},
	{"day of month", 1, 31, nil},
	{"month", 1, 12, []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	{"day of week", 1, 7, []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
	{"year", 1970, 2199, nil},
}

func parseCron(fields []string) (expression, error) {
	if len(fields) != len(cronFields) {
		return nil, errors.New("a cron has six fields")
	}
	if (fields[2] == "?") == (fields[4] == "?") {
		return nil, errors.New("exactly one of day of month and day of week must be ?")
	}
	var c cron
	for i, into := range []*[]int{&c.minutes, &c.hours, &c.days, &c.months, &c.weekdays, &c.years} {
		if fields[i] == "*" || (fields[i] == "?" && (i == 2 || i == 4)) {
			continue
		}
		for _, item := range strings.Split(fields[i], ",") {
			values, err := cronItem(i, item)
			if err != nil {
				return nil, err
			}
			*into = append(*into, values...)
		}
		slices.Sort(*into)
	}
	return &c, nil
}

// cronItem reads one of a list: 5, MON, 1-5, */10, 0/15, 8-18/2.
func cronItem(field int, item string) ([]int, error) {
	f := cronFields[field]
	wrong := fmt.Errorf("the field %s must be made of values, ranges and steps from %d to %d", f.name, f.min, f.max)
	span, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		var err error
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > f.max {
			return nil, wrong
		}
	}
	from, to, ranged := strings.Cut(span, "-")
	first, ok := cronValue(field, from)
	if from == "*" {
		first, ok = f.min, stepped
	}
	if !ok {
		return nil, wrong
	}
	last := first
	switch {
	case ranged:
		if last, ok = cronValue(field, to); !ok || last < first {
			return nil, wrong
		}
	case stepped:
		last = f.max
	}
	var values []int
	for v := first; v <= last; v += step {
		values = append(values, v)
	}
	return values, nil
}

func cronValue(field int, text string) (int, bool) {
	f := cronFields[field]
	if i := slices.Index(f.words, text); i >= 0 {
		return f.min + i, true
	}
	v, err := strconv.Atoi(text)
	return v, err == nil && v >= f.min && v <= f.max
}

func allows(values []int, v int) bool { return values == nil || slices.Contains(values, v) }

// next goes day by day; a date that recurs does so within eight years (29
// February around 2100), so the search ends.
func (c *cron) next(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Minute).Add(time.Minute)
	for range 8*366 + 1 {
		if allows(c.years, t.Year()) && allows(c.months, int(t.Month())) && allows(c.days, t.Day()) && allows(c.weekdays, int(t.Weekday())+1) {
			for at := t; at.Day() == t.Day(); at = at.Add(time.Minute) {
				if allows(c.hours, at.Hour()) && allows(c.minutes, at.Minute()) {
					return at
				}
			}
		}
		t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
	}
	return time.Time{}
}
