package functionstest

import (
	"testing"
	"time"
)

// clock is a fixed time, in a week that the order covers.
func clock() time.Time { return time.Date(2031, 1, 13, 9, 0, 0, 0, time.UTC) }

// recordings stay below what one signed release can carry: 256 KiB of statement hold 116 halves.
const recordings = 110

func TestJourneyOnTheEmbeddedStores(t *testing.T) {
	w := Open(t, Options{Dir: t.TempDir(), Now: clock, Fixed: true})
	w.Journey(recordings)
	if n := w.DeadLetters(); n > 0 {
		t.Errorf("%d dead letters\n%s", n, w.Log)
	}
}
