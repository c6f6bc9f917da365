package record

import (
	"testing"
	"time"
)

// TestQuorumOfAMajority: with half of the witnesses or less, two histories find a quorum each while nobody lies.
func TestQuorumOfAMajority(t *testing.T) {
	key := func() PublicKey {
		s, err := NewSigner()
		if err != nil {
			t.Fatal(err)
		}
		return s.Public()
	}
	trust := func(quorum int, witnesses ...string) *Trust {
		return &Trust{Court: PartyKeys{key(), key(), key()}, Custodian: PartyKeys{key(), key(), key()}, Issued: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), LogKey: "log+1+a",
			LogOrigin: "log", Quorum: quorum, Version: 1, Witnesses: witnesses}
	}
	for _, c := range []struct {
		ok        bool
		quorum    int
		witnesses []string
	}{
		{true, 1, []string{"a+1+x"}},
		{true, 1, []string{"a+1+x", "a+2+y"}}, // one witness with two keys
		{false, 1, []string{"a+1+x", "b+1+x"}},
		{true, 2, []string{"a+1+x", "b+1+x", "c+1+x"}},
		{false, 2, []string{"a+1+x", "b+1+x", "c+1+x", "d+1+x"}},
		{true, 3, []string{"a+1+x", "b+1+x", "c+1+x", "d+1+x"}},
		{false, 2, []string{"a+1+x", "a+2+y"}},
	} {
		if err := trust(c.quorum, c.witnesses...).Validate(); (err == nil) != c.ok {
			t.Errorf("%d of %v: %v", c.quorum, c.witnesses, err)
		}
	}
}
