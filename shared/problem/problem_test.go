package problem

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestMessageHidesTheCause(t *testing.T) {
	err := fmt.Errorf("release: %w", Wrap(Unavailable, errors.New("dial 10.0.0.7"), "the log cannot be reached; try again"))
	if KindOf(err) != Unavailable {
		t.Fatalf("kind = %s", KindOf(err))
	}
	if strings.Contains(MessageOf(err), "10.0.0.7") {
		t.Fatal("the caller sees the cause")
	}
	if !strings.Contains(err.Error(), "10.0.0.7") {
		t.Fatal("the log does not see the cause")
	}
}

func TestUnknownErrorsAreInternalAndMasked(t *testing.T) {
	err := errors.New("secret detail")
	if KindOf(err) != Internal || strings.Contains(MessageOf(err), "secret") {
		t.Fatalf("%s %q", KindOf(err), MessageOf(err))
	}
}
