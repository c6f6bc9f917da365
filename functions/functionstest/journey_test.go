package functionstest

import (
	"testing"
	"time"
)

// clock is a fixed time, in a week that the order covers.
func clock() time.Time { return time.Date(2031, 1, 13, 9, 0, 0, 0, time.UTC) }

// recordings are more than two pages of a release carry.
const recordings = 210

func TestJourneyOnTheEmbeddedStores(t *testing.T) {
	w := Open(t, Options{Dir: t.TempDir(), Now: clock, Fixed: true})
	w.Journey(recordings)
	if n := w.DeadLetters(); n > 0 {
		t.Errorf("%d dead letters\n%s", n, w.Log)
	}
}
