package tests

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// campaign is how much of all cases a run looks at.
type campaign struct {
	*rand.Rand
	full bool
}

// newCampaign reads ARCA_CAMPAIGN and ARCA_SEED and prints the seed.
func newCampaign(tb testing.TB) campaign {
	tb.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ARCA_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			tb.Fatalf("ARCA_SEED is a number: %v", err)
		}
		seed = given
	}
	c := campaign{rand.New(rand.NewPCG(seed, 1)), os.Getenv("ARCA_CAMPAIGN") == "full"}
	tb.Logf("campaign: seed %d, full %v; repeat it with ARCA_SEED=%d", seed, c.full, seed)
	return c
}

// flip is one bit of one byte.
type flip struct {
	at  int
	bit byte
}

// flips gives one flip for each of n bytes, or of a sample of so many, in order.
func (c campaign) flips(n, some int) []flip {
	var list []flip
	for at := range n {
		// Selection sampling: every byte has the same chance, and the list is in order.
		if c.full || c.IntN(n-at) < some-len(list) {
			list = append(list, flip{at, 1 << c.IntN(8)})
		}
	}
	return list
}
