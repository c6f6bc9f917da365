package law

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"pgregory.net/rapid"
)

// drawLife draws a chain under any profile by trying members of every kind, lawful or not, and keeping what is admitted.
func drawLife(t *rapid.T) (chain []Member, p *Profile) {
	p, err := ProfileOf(rapid.SampledFrom(Profiles()).Draw(t, "profile"))
	if err != nil {
		t.Fatal(err)
	}
	o := lawfulFor(p.Name)
	o.Decided = decided.Add(time.Duration(rapid.IntRange(0, 700*24*3600).Draw(t, "decided")) * time.Second)
	o.Urgent = !p.Urgent.None && rapid.Bool().Draw(t, "urgent")
	term := p.FirstTerm
	if o.Urgent && p.Urgent.Term != (Term{}) {
		term = p.Urgent.Term
	}
	o.Capture = record.Window{From: o.Decided, Until: p.End(o.Decided, term)}
	o.AccessEnd = o.Capture.Until.Add(time.Duration(rapid.IntRange(0, 2000*24*3600).Draw(t, "access")) * time.Second)
	chain = []Member{member(o)}
	if _, err := Admit(nil, chain[0], far); err != nil {
		t.Fatal(err)
	}
	for i := range rapid.IntRange(0, 14).Draw(t, "members") {
		m := drawMember(t, chain, p, i)
		if _, err := Admit(chain, m, far); err == nil {
			chain = append(chain, m)
		}
	}
	return chain, p
}

// kindsOfLife are all kinds but the first, those that bring a chain further more often.
var kindsOfLife = []record.OrderKind{record.Extension, record.Extension, record.Extension, record.Narrowing, record.Revocation, record.Suspension, record.Resumption, record.Confirmation,
	record.Confirmation, record.Rejection, record.Closing, record.Milestone, record.Milestone, record.Milestone, record.Milestone, record.Hold, record.Lifting, record.Destruction, record.Destruction, record.Compartment, record.Notice}

func drawMember(t *rapid.T, chain []Member, p *Profile, i int) Member {
	s, err := Read(chain)
	if err != nil {
		t.Fatal(err)
	}
	kind := rapid.SampledFrom(kindsOfLife).Draw(t, "kind")
	span := rapid.SampledFrom([]int{3600, 24 * 3600, 80 * 3600, 60 * 24 * 3600, 4000 * 24 * 3600}).Draw(t, "span")
	return later(s, kind, func(o *record.Order) {
		o.Reason = fmt.Sprint("reason ", i)
		o.Decided = s.Decided.Add(time.Duration(rapid.IntRange(0, span).Draw(t, "decided")) * time.Second)
		target := rapid.SampledFrom(chain).Draw(t, "target")
		switch kind {
		case record.Extension:
			trail, _, err := read(chain, true)
			if err != nil {
				t.Fatal(err)
			}
			until := trail[len(trail)-1].Capture.Until
			o.Capture = record.Window{From: until, Until: until.Add(time.Duration(rapid.IntRange(1, 20*24*3600).Draw(t, "more")) * time.Second)}
			o.AccessEnd = o.Capture.Until.AddDate(0, 6, 0)
			if rapid.Bool().Draw(t, "reasoned") {
				o.Grounds.Motivation = "express reasons"
			}
		case record.Narrowing:
			o.AccessEnd = s.AccessEnd.Add(-time.Hour)
		case record.Resumption, record.Lifting:
			o.Lifts = target.Hash
		case record.Milestone:
			names := []string{Told}
			for _, w := range p.Milestones {
				names = append(names, w.Name)
			}
			o.Milestone = record.Fact{Name: rapid.SampledFrom(names).Draw(t, "name"), At: o.Decided}
		case record.Hold:
			o.Recordings = drawRecordings(t)
			if rapid.Bool().Draw(t, "ends") {
				o.Until = o.Decided.AddDate(1, 0, 0)
			}
		case record.Destruction:
			if o.Step = rapid.IntRange(0, 2).Draw(t, "step"); o.Step == 0 {
				o.Recordings = []record.Reference{one}
			}
		case record.Compartment:
			o.Verdict, o.Recordings = record.VerdictDelete, []record.Reference{two}
		case record.Notice:
			o.Verdict = rapid.SampledFrom([]string{record.VerdictDone, record.VerdictWaive}).Draw(t, "verdict")
		}
	})
}

func drawRecordings(t *rapid.T) []record.Reference {
	return rapid.SampledFrom([][]record.Reference{nil, {one}, {two}}).Draw(t, "recordings")
}

// instants are those at which something may change, and some between.
func instants(t *rapid.T, chain []Member) []time.Time {
	s, err := Read(chain)
	if err != nil {
		t.Fatal(err)
	}
	list := []time.Time{s.Capture.From, s.Capture.Until, s.AccessEnd, s.Decided.Add(24 * time.Hour), s.Decided.Add(72 * time.Hour)}
	for _, m := range chain {
		list = append(list, m.Order.Decided, m.Order.Decided.AddDate(0, 0, 3), m.Order.Until)
	}
	for _, at := range slices.Clone(list) {
		list = append(list, at.Add(-time.Second), at.Add(time.Second))
	}
	return append(list, s.Decided.Add(time.Duration(rapid.IntRange(0, 6000*24*3600).Draw(t, "when"))*time.Second))
}

// of reports whether the chain has a member that fits.
func of(chain []Member, fits func(*record.Order) bool) bool {
	return slices.ContainsFunc(chain, func(m Member) bool { return fits(&m.Order) })
}

// capDays is the longest that a measure lasts under each profile, counted in another way than the product's, with a day of slack; 0: no cap.
var capDays = map[string]int{"ES-588ter": 550, "ES-588quater": 8, "ES-588quinquies": 550, "ES-588septies": 93, "ES-579": 550, "FR-100-2": 367, "FR-100-2-OC": 732, "FR-706-95": 31, "IT-267": 46}

func TestNothingIsCapturedPastTheCapOrOpenedAfterTheLapse(t *testing.T) {
	urgent, lapsed, extended := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		chain, p := drawLife(t)
		s, err := Read(chain)
		if err != nil {
			t.Fatal(err)
		}
		first := chain[0].Order
		tellBy, confirmBy := oracleDeadlines(p.Name, first.Decided)
		told := of(chain, func(o *record.Order) bool {
			return o.Kind == record.Milestone && o.Milestone.Name == Told && o.Milestone.At.Before(tellBy) || o.Kind == record.Confirmation && o.Decided.Before(tellBy)
		})
		confirmed := of(chain, func(o *record.Order) bool { return o.Kind == record.Confirmation && o.Decided.Before(confirmBy) })
		reasoned := of(chain, func(o *record.Order) bool { return o.Kind == record.Extension && o.Grounds.Motivation != "" })
		for _, at := range instants(t, chain) {
			opens, captures := s.Open(at) == nil, s.Capturing(at)
			if captures && !opens || opens && !at.Before(s.AccessEnd) {
				t.Fatalf("captures %v, opens %v at %v", captures, opens, at)
			}
			if days := capDays[p.Name]; days > 0 && captures && at.After(first.Decided.AddDate(0, 0, days)) && !(p.Name == "IT-267" && reasoned) {
				t.Fatalf("%s captures at %v, decided %v", p.Name, at, first.Decided)
			}
			if captures && of(chain, func(o *record.Order) bool { return o.Kind == record.Closing && !at.Before(o.Decided) }) {
				t.Fatalf("captures at %v after a closing", at)
			}
			if opens && of(chain, func(o *record.Order) bool { return o.Kind == record.Revocation || o.Kind == record.Rejection }) {
				t.Fatalf("opens though revoked or rejected")
			}
			if first.Urgent && opens && (!told && !tellBy.IsZero() && !at.Before(tellBy) || !confirmed && !at.Before(confirmBy)) {
				t.Fatalf("%s: an urgent measure of %v opens at %v, told %v, confirmed %v", p.Name, first.Decided, at, told, confirmed)
			}
			if covers := s.Covers(line, "call", at, at) == nil; covers && !s.Capture.Contains(at) {
				t.Fatalf("covers %v outside %v", at, s.Capture)
			}
		}
		if first.Urgent {
			if urgent++; !confirmed {
				lapsed++
			}
		}
		if s.renewals > 0 {
			extended++
		}
	})
	if urgent == 0 || lapsed == 0 || extended == 0 {
		t.Errorf("the draw is too narrow: %d urgent, %d unconfirmed, %d extended", urgent, lapsed, extended)
	}
}

// oracleDeadlines are the urgent procedures' deadlines as hours, and for the two countries that count working days the longest that they
// can be. Zero: the judge need not be told.
func oracleDeadlines(profile string, decided time.Time) (tellBy, confirmBy time.Time) {
	hours := map[string][2]int{"ES-588ter": {24, 72}, "ES-588quinquies": {24, 24}, "US-T3": {48, 48}, "IT-267": {24, 48}, "IT-13-152": {24, 48}, "DE-100a": {0, 9 * 24}, "GB-IPA2": {0, 9 * 24}}[profile]
	if hours[0] > 0 {
		tellBy = decided.Add(time.Duration(hours[0]) * time.Hour)
	}
	return tellBy, decided.Add(time.Duration(hours[1]) * time.Hour)
}

// oracleTriggers say what each profile's steps wait for: a milestone, the end of the measure or a rejection, and how many days later at least.
var oracleTriggers = map[string]map[int]map[string]int{
	"ES":    {1: {"final-resolution": 0}, 2: {"sentence-executed": 5*365 - 1, "prescribed": 0, "free-dismissal": 0, "acquittal": 0}},
	"US-T3": {0: {"end": 3650}, 1: {"end": 3650}}, "DE-100a": {1: {"not-needed": 0, "rejection": 0}}, "GB-IPA2": {1: {"no-grounds": 0, "rejection": 0}},
	"FR": {0: {"prescribed": 0}, 1: {"prescribed": 0}}, "IT": {1: {"final-sentence": 0, "destruction-asked": 0, "rejection": 0}},
}

// The oracle: what has to be so before anything may be destroyed. It knows nothing of the package but the members.
func oracleAllows(p *Profile, chain []Member, end time.Time, m Member, at time.Time) bool {
	o := &m.Order
	if at.Before(o.Decided.Add(24 * time.Hour)) { // no undo window is shorter than a day
		return false
	}
	for _, h := range chain {
		lifted := of(chain, func(l *record.Order) bool { return l.Kind == record.Lifting && l.Lifts == h.Hash })
		overlap := len(h.Order.Recordings) == 0 || len(o.Recordings) == 0 || slices.Contains(o.Recordings, h.Order.Recordings[0])
		if h.Order.Kind == record.Hold && !lifted && (h.Order.Until.IsZero() || at.Before(h.Order.Until)) && overlap {
			return false
		}
		if h.Order.Kind == record.Suspension && !of(chain, func(r *record.Order) bool { return r.Kind == record.Resumption && r.Lifts == h.Hash }) {
			return false
		}
	}
	table := oracleTriggers[p.Name]
	if table == nil {
		table = oracleTriggers[p.Country]
	}
	wanted, demanded := table[o.Step]
	if !demanded {
		return o.Step == 0
	}
	for event, days := range wanted {
		late := func(since time.Time) bool { return !at.Before(since.AddDate(0, 0, days)) }
		if event == "end" && late(end) {
			return true
		}
		if of(chain, func(w *record.Order) bool {
			return (w.Kind == record.Milestone && w.Milestone.Name == event && late(w.Milestone.At)) || event == "rejection" && w.Kind == record.Rejection && late(w.Decided)
		}) {
			return true
		}
	}
	return false
}

func TestNothingIsDestroyedThatTheOracleForbids(t *testing.T) {
	ordered, allowed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		chain, p := drawLife(t)
		s, err := Read(chain)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range instants(t, chain) {
			list, err := Destructions(chain, at)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				i := slices.IndexFunc(chain, func(m Member) bool { return m.Hash == d.Member })
				if i < 0 || chain[i].Order.Kind != record.Destruction && chain[i].Order.Verdict != record.VerdictDelete {
					t.Fatalf("a destruction that nobody ordered: %+v", d)
				}
				ordered++
				if d.Blocked != nil {
					continue
				}
				allowed++
				if !oracleAllows(p, chain, s.Capture.Until, chain[i], at) {
					t.Fatalf("%s: %s of %v may be carried out at %v\n%+v", p.Name, chain[i].Order.Kind, chain[i].Order.Decided, at, chain)
				}
				hold := on(s, record.Hold, at, nil)
				if got, err := Destroyable(append(slices.Clone(chain), hold), d.Member, at.AddDate(-1, 0, 0), at); err != nil || got.Blocked == nil {
					t.Fatalf("a hold does not stop it: %v", err)
				}
			}
		}
	})
	if allowed == 0 {
		t.Errorf("the draw is too narrow: %d ordered, none allowed", ordered)
	}
	t.Logf("%d decisions, %d allowed", ordered, allowed)
}

// Whatever the order of arrival: same state, same clocks, same destructions; and who gets the members in another order takes them too.
func TestTheOrderOfArrivalDecidesNothing(t *testing.T) {
	delivered := 0
	rapid.Check(t, func(t *rapid.T) {
		chain, _ := drawLife(t)
		other := slices.Clone(chain)
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
		at := instants(t, chain)[0]
		for name, work := range map[string]func([]Member) (any, error){
			"state":        func(c []Member) (any, error) { return Read(c) },
			"clocks":       func(c []Member) (any, error) { return Clocks(c, at) },
			"destructions": func(c []Member) (any, error) { return Destructions(c, at) },
		} {
			want, err := work(chain)
			got, err2 := work(other)
			if err != nil || err2 != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				t.Fatalf("%s: %v, %v\n%+v\n%+v", name, err, err2, got, want)
			}
		}
		// A keyholder that learned of each decision as it was made, and one that learned of them in another order. Two decisions of one
		// second have no order, so they are left out.
		var made []Member
		for _, m := range inOrder(chain) {
			if len(made) > 0 && made[len(made)-1].Order.Decided.Equal(m.Order.Decided) {
				continue
			}
			if _, err := Admit(made, m, far); err == nil {
				made = append(made, m)
			}
		}
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(made), func(i, j int) { made[i], made[j] = made[j], made[i] })
		delivered += len(made)
		for _, m := range deliver(made) {
			t.Fatalf("a keyholder that got it in another order refuses the %s of %v for good", m.Order.Kind, m.Order.Decided)
		}
	})
	if delivered < 300 {
		t.Errorf("the draw is too narrow: %d members", delivered)
	}
}

// deliver admits members as they come, and again what was refused, as long as that helps. It gives what is left.
func deliver(members []Member) []Member {
	var chain []Member
	for {
		var left []Member
		for _, m := range members {
			if _, err := Admit(chain, m, far); err != nil {
				left = append(left, m)
			} else {
				chain = append(chain, m)
			}
		}
		if len(left) == 0 || len(left) == len(members) {
			return left
		}
		members = left
	}
}

// FuzzLife: no member, however odd, makes a chain unreadable once it is admitted, or makes Admit and Read disagree.
func FuzzLife(f *testing.F) {
	for kind := range len(kindsOfLife) {
		f.Add(uint8(kind), int64(kind)*3600*24, int64(kind)*24*3600, "final-resolution", 1, true)
	}
	f.Fuzz(func(t *testing.T, kind uint8, decidedAfter, at int64, name string, step int, urgent bool) {
		if decidedAfter < -1<<33 || decidedAfter > 1<<33 || at < -1<<33 || at > 1<<33 {
			return
		}
		first := lawful()
		first.Urgent = urgent
		chain := []Member{member(first)}
		s, err := Read(chain)
		if err != nil {
			t.Fatal(err)
		}
		m := later(s, kindsOfLife[int(kind)%len(kindsOfLife)], func(o *record.Order) {
			o.Decided = s.Decided.Add(time.Duration(decidedAfter) * time.Second)
			o.Until = s.Decided.Add(time.Duration(at) * time.Second)
			o.Milestone = record.Fact{Name: name, At: o.Until}
			o.Step, o.Verdict = step, name
			o.Capture = record.Window{From: s.Capture.Until, Until: o.Until}
		})
		state, err := Admit(chain, m, far)
		if err != nil {
			if problem.MessageOf(err) == "" || problem.KindOf(err) == problem.Internal {
				t.Fatalf("a refusal that says nothing: %v", err)
			}
			return
		}
		again, err := Read([]Member{m, chain[0]})
		if err != nil || !reflect.DeepEqual(state, again) {
			t.Fatalf("%v\n%+v\n%+v", err, state, again)
		}
		if _, err := Clocks([]Member{chain[0], m}, s.Decided); err != nil {
			t.Fatal(err)
		}
	})
}
