package local

import (
	"testing"
	"time"
)

func TestExpressions(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct{ expression, from, want string }{
		{"rate(1 minute)", "2026-01-01 00:00", "2026-01-01 00:01"},
		{"rate(5 minutes)", "2026-01-01 00:00", "2026-01-01 00:05"},
		{"rate(2 hours)", "2026-01-01 23:30", "2026-01-02 01:30"},
		{"rate(7 days)", "2026-01-01 00:00", "2026-01-08 00:00"},
		{"cron(0 12 ? * FRI *)", "2026-01-01 13:00", "2026-01-02 12:00"}, // a Friday
		{"cron(0 12 ? * FRI *)", "2026-01-02 12:00", "2026-01-09 12:00"},
		{"cron(0/15 * * * ? *)", "2026-01-01 00:01", "2026-01-01 00:15"},
		{"cron(*/20 8-9 * * ? *)", "2026-01-01 09:40", "2026-01-02 08:00"},
		{"cron(30 6 1 JAN,JUL ? *)", "2026-01-01 06:30", "2026-07-01 06:30"},
		{"cron(0 0 29 2 ? *)", "2026-01-01 00:00", "2028-02-29 00:00"},
		{"cron(0 0 ? * MON-WED 2027)", "2026-01-01 00:00", "2027-01-04 00:00"},
	} {
		e, err := parseExpression(c.expression)
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		if got := e.next(at(c.from)); !got.Equal(at(c.want)) {
			t.Errorf("%s after %s: %s, want %s", c.expression, c.from, got, c.want)
		}
	}
	never, _ := parseExpression("cron(0 0 31 2 ? *)")
	if got := never.next(at("2026-01-01 00:00")); !got.IsZero() {
		t.Errorf("31 February is %s", got)
	}
}

func TestExpressionsThatAreRefused(t *testing.T) {
	for _, s := range []string{"", "rate()", "rate(0 minutes)", "rate(1 minutes)", "rate(2 minute)", "rate(1 week)", "rate(-1 days)", "rate(1 minute", "at(2030-01-01T00:00:00)",
		"cron(0 0 * * *)", "cron(0 0 * * * *)", "cron(0 0 ? * ? *)", "cron(60 0 * * ? *)", "cron(0 0 L * ? *)", "cron(0 0 ? * 6#3 *)", "cron(0 0 3W * ? *)", "cron(5-1 0 * * ? *)", "cron(0/0 0 * * ? *)", "cron(, 0 * * ? *)"} {
		if _, err := parseExpression(s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}
