package record

import (
	"testing"

	"arca.example/arca/shared/problem"
)

func madeDescription(change func(*Description)) Description {
	d := Description{Kind: KindNote, Of: Origin{Batch: ID{1}, Recording: ID{2}, Commitments: Digest{3}, Compartment: MainCompartment, Kind: "call"}}
	if change != nil {
		change(&d)
	}
	return d
}

// forgeries are descriptions that pass for something else than their author may have sealed.
func forgeries() map[string]struct {
	author      Enrolment
	compartment string
	d           Description
} {
	type forgery = struct {
		author      Enrolment
		compartment string
		d           Description
	}
	by := func(roles ...Role) Enrolment { return Enrolment{Roles: roles} }
	delivered := func(d *Description) { d.Kind, d.Of = "call", Origin{} }
	resealed := func(d *Description) { d.Kind = KindResealed }
	return map[string]forgery{
		"a person's note that poses as a call":              {by(Investigator), MainCompartment, madeDescription(delivered)},
		"a judge's too":                                     {by(Judge), MainCompartment, madeDescription(delivered)},
		"a person's call that says of what it was made":     {by(Clerk), MainCompartment, madeDescription(func(d *Description) { d.Kind = "call" })},
		"a person's note of nothing":                        {by(Investigator), MainCompartment, madeDescription(func(d *Description) { d.Of = Origin{} })},
		"a note that does not bind what it is of":           {by(Investigator), MainCompartment, madeDescription(func(d *Description) { d.Of.Commitments = Digest{} })},
		"a collector's call in the clerk's compartment":     {by(Collector), ClerkCompartment, madeDescription(delivered)},
		"a collector's note":                                {by(Collector), MainCompartment, madeDescription(nil)},
		"a collector's call that says of what it was made":  {by(Collector), MainCompartment, madeDescription(func(d *Description) { d.Kind = "call" })},
		"a collector's transcript of nothing":               {by(Collector), MainCompartment, madeDescription(func(d *Description) { d.Kind, d.Of = KindTranscript, Origin{} })},
		"an investigator's copy of something privileged":    {by(Investigator), MainCompartment, madeDescription(func(d *Description) { resealed(d); d.Of.Compartment = PrivilegedCompartment })},
		"an investigator's note in the clerk's compartment": {by(Investigator), ClerkCompartment, madeDescription(nil)},
		"an investigator's note in the privileged one":      {by(Investigator), PrivilegedCompartment, madeDescription(nil)},
		"a clerk's copy in the privileged one":              {by(Clerk), PrivilegedCompartment, madeDescription(resealed)},
		"a prosecutor's note":                               {by(Prosecutor), MainCompartment, madeDescription(nil)},
		"a mirror's note":                                   {by(Mirror), MainCompartment, madeDescription(nil)},
		"a copy that says that it lay where it lies":        {by(Judge), MainCompartment, madeDescription(resealed)},
		"a mark that is none":                               {by(Judge), MainCompartment, madeDescription(func(d *Description) { d.Of.Mark = "secret" })},
		"a transcript with a mark":                          {by(Judge), MainCompartment, madeDescription(func(d *Description) { d.Kind, d.Of.Mark = KindTranscript, MarkCore })},
		"a note in a compartment that does not exist":       {by(Judge), "attic", madeDescription(nil)},
	}
}

func TestNothingSealedPassesForAnothersWork(t *testing.T) {
	check := func(d Description, e Enrolment, in string) error { return d.CheckAuthor(&e, in) }
	for name, f := range forgeries() {
		if err := check(f.d, f.author, f.compartment); problem.KindOf(err) != problem.Denied && problem.KindOf(err) != problem.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, f := range map[string]struct {
		role Role
		in   string
		d    Description
	}{
		"an investigator's note":                {Investigator, MainCompartment, madeDescription(nil)},
		"a supervisor's transcript":             {Supervisor, MainCompartment, madeDescription(func(d *Description) { d.Kind = KindTranscript })},
		"a mark of whoever screens":             {Investigator, PrivilegedCompartment, madeDescription(func(d *Description) { d.Of.Mark = MarkPrivileged })},
		"a clerk's copy":                        {Clerk, ClerkCompartment, madeDescription(func(d *Description) { d.Kind = KindResealed })},
		"a judge's release":                     {Judge, MainCompartment, madeDescription(func(d *Description) { d.Kind, d.Of.Compartment = KindResealed, PrivilegedCompartment })},
		"what a collector delivers":             {Collector, MainCompartment, Description{Kind: "call"}},
		"what a collector delivers, privileged": {Collector, PrivilegedCompartment, Description{Kind: "message"}},
	} {
		if err := check(f.d, Enrolment{Roles: []Role{f.role}}, f.in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each check of CheckAuthor left out lets a forgery through that the test above has.
func TestWeakenedChecksOfAuthorsAreCaught(t *testing.T) {
	twins := map[string]func(Description, Enrolment, string) error{
		"kinds are not looked at": func(d Description, e Enrolment, in string) error {
			d.Kind = KindNote
			if e.Of(Collector) {
				d.Kind = "call"
			}
			return d.CheckAuthor(&e, in)
		},
		"the origin is not looked at": func(d Description, e Enrolment, in string) error {
			d.Of = Origin{Batch: ID{1}, Recording: ID{2}, Commitments: Digest{3}}
			if e.Of(Collector) {
				d.Of = Origin{}
			}
			return d.CheckAuthor(&e, in)
		},
		"the role is not looked at": func(d Description, e Enrolment, in string) error {
			if !e.Of(Collector) {
				e.Roles = []Role{Judge}
			}
			return d.CheckAuthor(&e, in)
		},
		"the compartment is not looked at": func(d Description, e Enrolment, _ string) error {
			d.Of.Compartment = "elsewhere"
			return d.CheckAuthor(&e, MainCompartment)
		},
		"the author is not looked at": func(d Description, e Enrolment, in string) error {
			if d.Of == (Origin{}) {
				e.Roles = []Role{Collector}
			}
			return d.CheckAuthor(&e, in)
		},
	}
	for twin, check := range twins {
		caught := false
		for _, f := range forgeries() {
			caught = caught || check(f.d, f.author, f.compartment) == nil
		}
		if !caught {
			t.Errorf("%s, and no forgery passes: the test has a gap", twin)
		}
	}
}

func TestTheFormOfWhatWasMade(t *testing.T) {
	good := func() Act {
		return Act{Chain: Digest{1}, Issued: noon, Kind: EventAnnotated, Nonce: ID{1}, Recordings: []Reference{{Batch: ID{1}, Recording: ID{2}}}, Request: Digest{2},
			Result: Completed, Whole: true, Made: Made{Batch: ID{3}, Compartment: MainCompartment, Kind: KindNote, Recording: ID{4}, Statement: Digest{5}}}
	}
	a := good()
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	moved := good()
	moved.Kind, moved.Made.Kind, moved.Made.Compartment, moved.Reason = EventMoved, KindResealed, ClerkCompartment, "copy of the court"
	if err := moved.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Act){
		"nothing made":                func(a *Act) { a.Made = Made{} },
		"made of two":                 func(a *Act) { a.Recordings = append(a.Recordings, Reference{ID{8}, ID{9}}) },
		"made of itself":              func(a *Act) { a.Made.Recording = a.Recordings[0].Recording },
		"no batch":                    func(a *Act) { a.Made.Batch = ID{} },
		"no statement":                func(a *Act) { a.Made.Statement = Digest{} },
		"a compartment that is none":  func(a *Act) { a.Made.Compartment = "attic" },
		"a kind that is delivered":    func(a *Act) { a.Made.Kind = "call" },
		"sealed again, as a note":     func(a *Act) { a.Made.Kind = KindResealed },
		"a note that moved":           func(a *Act) { a.Kind = EventMoved },
		"a note with a reason":        func(a *Act) { a.Reason = "why" },
		"a bundle":                    func(a *Act) { a.Bundle = Digest{1} },
		"only begun":                  func(a *Act) { a.Result = Begun },
		"on bytes":                    func(a *Act) { a.Whole, a.Bytes = false, Span{0, 5} },
		"a mark that is none":         func(a *Act) { a.Made.Mark = "secret" },
		"opened, and something made":  func(a *Act) { a.Kind, a.Result = EventOpened, Begun },
		"disclosed, and a note of it": func(a *Act) { a.Kind, a.Whole, a.Bundle = EventDisclosed, false, Digest{1} },
	} {
		a := good()
		change(&a)
		if err := a.Validate(); problem.KindOf(err) != problem.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
