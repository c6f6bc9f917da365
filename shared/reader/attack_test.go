package reader

import (
	"context"
	"testing"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/wire"
)

// endless is a keyholder whose inbox always has another page.
type endless struct {
	Keyholder
	requests []wire.Asked
	asked    int
}

func (e *endless) Inbox(_ context.Context, from int64) (wire.Inbox, error) {
	if e.asked++; e.asked > 1<<20 {
		panic("the reader never stops asking")
	}
	return wire.Inbox{Next: from + 1, Requests: e.requests}, nil
}

// One keyholder alone must not be able to keep everybody who decides busy for ever, or fill their memory.
func TestAnEndlessInboxEnds(t *testing.T) {
	for name, k := range map[string]*endless{
		"empty pages": {},
		"full pages":  {requests: make([]wire.Asked, 50)},
	} {
		got, err := readInbox(t.Context(), k)
		if problem.KindOf(err) != problem.Unavailable {
			t.Errorf("%s: %d requests after %d pages: %v", name, len(got), k.asked, err)
		}
	}
}
