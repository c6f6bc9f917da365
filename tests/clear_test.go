package tests

import (
	"errors"
	"strings"
	"testing"

	"arca.example/arca/shared/problem"
)

// unclear tells what is wrong with an error that somebody gets to see; "" for a clear one. A clear error has a kind, and a
// message that says what happened and what to do, without the generic words for a defect and without the values that were sent.
func unclear(err error, echoes ...string) string {
	if err == nil {
		return "there is no error"
	}
	message := problem.MessageOf(err)
	switch {
	case message == problem.MessageOf(nil):
		return "it is the answer to a defect: " + err.Error()
	case strings.Contains(message, "the party answered with status"): // an object store has nothing to explain
		return "the party gave no explanation: " + message
	case strings.Contains(strings.ToLower(message), "internal"), strings.Contains(message, "panic"), strings.Contains(message, "goroutine"):
		return "it talks of internals: " + message
	case len(message) < 20 || len(message) > 800:
		return "it is no sentence: " + message
	}
	for _, value := range echoes {
		if len(value) > 3 && strings.Contains(message, value) {
			return "it echoes what was sent: " + message
		}
	}
	return ""
}

// demand demands a clear error of one of the kinds.
func demand(t testing.TB, err error, kinds []problem.Kind, echoes ...string) {
	t.Helper()
	if why := unclear(err, echoes...); why != "" {
		t.Errorf("the error is not clear: %s", why)
		return
	}
	for _, k := range kinds {
		if problem.KindOf(err) == k {
			return
		}
	}
	t.Errorf("an error of kind %s instead of %v: %v", problem.KindOf(err), kinds, err)
}

// TestWhatIsUnclearIsNoticed is the twin of every test that demands a clear error.
func TestWhatIsUnclearIsNoticed(t *testing.T) {
	good := problem.New(problem.Denied, "the order does not name this number or label")
	if why := unclear(good); why != "" {
		t.Errorf("a clear error: %s", why)
	}
	for name, err := range map[string]error{
		"none":          nil,
		"a bare error":  errors.New("sql: no rows in result set"),
		"internals":     problem.New(problem.Internal, "Internal server error, please try again later"),
		"no sentence":   problem.New(problem.NotFound, "no such object"),
		"no answer":     problem.New(problem.Unavailable, "the party answered with status 500 and no explanation; try again"),
		"an echo":       problem.New(problem.Denied, "the order does not name the number %s", foreign),
		"a stack trace": problem.New(problem.Unavailable, "goroutine 17 [running]: main.main()"),
	} {
		if unclear(err, foreign) == "" {
			t.Errorf("%s passes for a clear error", name)
		}
	}
}
