package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

var hexPrefix = regexp.MustCompile(`^[0-9a-f]+$`)

// minPrefix is how many digits of an id are enough, if they are unique.
const minPrefix = 8

// match finds the one id that text names: the whole id, or a unique beginning of at least eight digits. An id that is whole
// is taken without looking, because whoever has it need not be able to list it.
func match(what, text string, length int, all func() ([]string, error)) (string, error) {
	text = strings.ToLower(text)
	if !hexPrefix.MatchString(text) || len(text) < minPrefix || len(text) > length {
		return "", problem.New(problem.Invalid, "%s is named by an id of %d hexadecimal digits; give it, or at least its first %d", article(what), length, minPrefix)
	}
	if len(text) == length {
		return text, nil
	}
	ids, err := all()
	if err != nil {
		return "", err
	}
	found := map[string]bool{}
	for _, id := range ids {
		if strings.HasPrefix(id, text) {
			found[id] = true
		}
	}
	switch len(found) {
	case 0:
		return "", problem.New(problem.NotFound, "no %s that you can see has an id that begins like this; compare with: %s", what, shownBy[what])
	case 1:
		for id := range found {
			return id, nil
		}
	}
	return "", problem.New(problem.Invalid, "%d ids begin like this, and %s has one; give more digits", len(found), article(what))
}

// shownBy is the command that shows the ids of each kind of thing.
var shownBy = map[string]string{"order chain": "arca order show", "recording": "arca ls --order CHAIN", "request": "arca inbox --all", "member": "arca order show CHAIN"}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// parseTime reads a time: RFC 3339, a date (its first second, UTC), or +30d, +12h, +20m from base.
func parseTime(text string, base time.Time) (time.Time, error) {
	if d, ok := strings.CutPrefix(text, "+"); ok {
		span, err := parseSpan(d)
		return record.Second(base.Add(span)), err
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return record.Second(t), nil
		}
	}
	return time.Time{}, problem.New(problem.Invalid, "a time reads 2026-11-22T10:00:00Z (UTC) or 2026-11-22T11:00:00+01:00 (with its zone), 2026-11-22 (its first second, UTC) or, counted on, +30d")
}

// parseSpan reads a duration with days: 30d, or Go's form.
func parseSpan(text string) (time.Duration, error) {
	bad := problem.New(problem.Invalid, "a span of time reads 30d, 24h, 90m or 10s and is more than nothing")
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 1 || n > 20*366 {
			return 0, bad
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, bad
	}
	return d, nil
}

// parseIdentifier reads kind:value, as msisdn:+12025550111.
func parseIdentifier(text string) (record.Identifier, error) {
	kind, value, ok := strings.Cut(text, ":")
	if !ok || kind == "" || value == "" {
		return record.Identifier{}, problem.New(problem.Invalid, "an identifier reads kind:value, as msisdn:+12025550111; kinds are msisdn, imsi, imei, email, sip, ip, liid, username")
	}
	for _, s := range []string{kind, value} {
		if err := record.CheckName(s); err != nil {
			return record.Identifier{}, err
		}
	}
	id := record.Identifier{Kind: kind, Value: value}
	return id, id.Validate()
}

// oneOf refuses a word that is none of those that there are.
func oneOf(what, word string, words ...string) error {
	if slices.Contains(words, word) {
		return nil
	}
	return problem.New(problem.Invalid, "%s is one of %s", what, strings.Join(words, ", "))
}

// parseSize reads 16MiB, 512KiB or a plain number of bytes.
func parseSize(text string) (int, error) {
	unit, digits := 1, text
	for suffix, n := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			digits, unit = rest, n
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > (1<<40)/unit {
		return 0, problem.New(problem.Invalid, "a size reads 16MiB or 1048576")
	}
	return n * unit, nil
}
