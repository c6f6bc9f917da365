package record

import (
	"testing"
	"time"

	"arca.example/arca/shared/problem"
)

// TestAMemberSaysWhatItsKindIsAbout: of each kind the least that it must say is taken, and nothing that would be read past.
func TestAMemberSaysWhatItsKindIsAbout(t *testing.T) {
	when := time.Date(2026, 3, 10, 10, 0, 0, 0, time.UTC)
	one := []Reference{{Batch: ID{1}, Recording: ID{2}}}
	line := Identifier{Kind: "msisdn", Value: "+12025550101"}
	least := map[OrderKind]func(*Order){
		Authorisation: func(*Order) {}, Extension: func(*Order) {}, Narrowing: func(*Order) {}, Revocation: func(*Order) {},
		Suspension: func(*Order) {}, Resumption: func(*Order) {}, Confirmation: func(*Order) {}, Rejection: func(*Order) {}, Closing: func(*Order) {},
		Milestone:   func(o *Order) { o.Milestone = Fact{Name: "told", At: when} },
		Hold:        func(*Order) {},
		Lifting:     func(o *Order) { o.Lifts = Digest{1} },
		Destruction: func(o *Order) { o.Step = OperationalCopies },
		Compartment: func(o *Order) { o.Recordings, o.Verdict = one, VerdictDelete },
		Notice:      func(o *Order) { o.Verdict, o.Until = VerdictDefer, when },
	}
	if len(least) != len(orderKinds) {
		t.Fatalf("%d kinds of %d", len(least), len(orderKinds))
	}
	extra := map[string]func(*Order){
		"urgent":         func(o *Order) { o.Urgent = true },
		"privileged":     func(o *Order) { o.Privileged = []Privilege{{Category: "counsel", Identifier: line}} },
		"a milestone":    func(o *Order) { o.Milestone = Fact{Name: "told", At: when} },
		"a step":         func(o *Order) { o.Step, o.Recordings = OperationalCopies, nil },
		"recordings":     func(o *Order) { o.Recordings, o.Step = one, 0 },
		"an end":         func(o *Order) { o.Until = when; o.Verdict = VerdictDefer },
		"a verdict":      func(o *Order) { o.Verdict = VerdictRelease },
		"another's":      func(o *Order) { o.Verdict = "perhaps" },
		"a window":       func(o *Order) { o.Capture = Window{From: when, Until: when.Add(time.Hour)} },
		"grounds":        func(o *Order) { o.Grounds.Persons = []string{"x"} },
		"step 3":         func(o *Order) { o.Step = 3 },
		"one twice":      func(o *Order) { o.Recordings = append(one, one[0]) },
		"no recording":   func(o *Order) { o.Recordings = []Reference{{Batch: ID{1}}} },
		"no category":    func(o *Order) { o.Privileged = []Privilege{{Identifier: line}} },
		"half a second":  func(o *Order) { o.Until = when.Add(time.Millisecond) },
		"unnamed number": func(o *Order) { o.Privileged = []Privilege{{Category: "counsel"}} },
	}
	allowed := map[OrderKind][]string{
		Authorisation: {"urgent", "privileged", "a window", "grounds"}, Extension: {"privileged", "a window", "grounds"}, Narrowing: {"privileged", "a window", "grounds"}, Milestone: {"a milestone"},
		Hold: {"recordings"}, Destruction: {"a step", "recordings"}, Compartment: {"a verdict", "recordings"}, Notice: {"an end"},
	}
	for _, kind := range orderKinds {
		o := Order{Kind: kind, Profile: "ES-588ter", Court: "Court One", Decided: when}
		least[kind](&o)
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		for name, change := range extra {
			o := Order{Kind: kind, Profile: "ES-588ter", Court: "Court One", Decided: when}
			least[kind](&o)
			change(&o)
			want := false
			for _, a := range allowed[kind] {
				want = want || a == name
			}
			if err := o.Validate(); (err == nil) != want || err != nil && problem.KindOf(err) != problem.Invalid {
				t.Errorf("%s with %s: %v", kind, name, err)
			}
		}
	}
	if (&Order{Kind: "wish"}).Validate() == nil || OrderKind("wish").NamesChain() || OrderKind("").NamesChain() {
		t.Error("an unknown kind is known")
	}
}
