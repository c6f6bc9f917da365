package functionstest

import (
	"testing"
	"time"

	"arca.example/arca/shared/record"
	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json/jsontext"
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

// The weakened twin of every refusal: an answer that repeats what was sent, anywhere in the event, is seen.
func TestAnEchoIsSeen(t *testing.T) {
	r := &Request{t: t, APIGatewayV2HTTPRequest: events.APIGatewayV2HTTPRequest{
		RawPath: "/v1/orders/0123456789abcdef", RawQueryString: "from=canary-query-0000", Headers: map[string]string{"arca-proof": "head0000000000.body0000000000.sig00000000000"},
	}}
	carried := values(t, r.SetBytes([]byte(`{"name":"canary-name-0000","purpose":"averylongwordwithoutanydigit"}`)).JSON())
	for _, value := range []string{"0123456789abcdef", "canary-query-0000", "body0000000000", "canary-0123456789", "canary-name-0000", "averylongwordwithoutanydigit"} {
		if echoes(carried, `{"detail":"there is no `+value+` here"}`) == 0 {
			t.Errorf("an answer that repeats %s passes", value)
		}
	}
	if n := echoes(carried, `{"detail":"the purpose of a request is missing; say it with --purpose"}`); n != 0 {
		t.Errorf("an honest answer counts as %d echoes", n)
	}
}

func TestAnActDoneTwiceIsSeen(t *testing.T) {
	act := func(kind record.EventKind, body string) record.Event {
		return record.Event{Kind: kind, Body: jsontext.Value(body)}
	}
	once := []record.Event{act(record.EventAsked, `1`), act(record.EventAsked, `2`), act(record.EventReleased, `1`), act(record.EventReleased, `1`)}
	if kind := doneTwice(once); kind != "" {
		t.Errorf("%s counts as done twice", kind)
	}
	if kind := doneTwice(append(once, act(record.EventAsked, `2`))); kind != record.EventAsked {
		t.Errorf("a request that was filed twice passes: %q", kind)
	}
}
