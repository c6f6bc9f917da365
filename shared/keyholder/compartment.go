package keyholder

import (
	"context"
	"slices"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/record"
)

// facts are what the judge has decided of the recordings of a request.
type facts struct {
	hidden   map[record.Reference]bool // excluded or to be deleted under the chain, with all that was made of it
	cleared  bool                      // all are ordered out of the privileged compartment
	excluded bool                      // one is hidden
	screened bool                      // the person is named to look at all of them
}

// facts works out what the judge has decided. A request for a whole unit names none: nothing in it is cleared or screened, and what is hidden is left
// out of it.
func (k *Keyholder) facts(ctx context.Context, c Chain, who Person, named []record.Reference, at time.Time) (f facts, err error) {
	if !slices.ContainsFunc(c.Members, func(m law.Member) bool { return m.Order.Kind == record.Compartment }) {
		return f, nil
	}
	judged := law.JudgedOf(c.Members)
	f.hidden = map[record.Reference]bool{}
	for ref, verdict := range judged.Verdicts {
		if verdict != record.VerdictRelease {
			f.hidden[ref] = true
		}
	}
	if err := k.withDerived(ctx, f.hidden); err != nil {
		return f, err
	}
	f.cleared, f.screened = len(named) > 0, len(named) > 0
	for _, ref := range named {
		f.cleared = f.cleared && judged.Verdicts[ref] == record.VerdictRelease
		f.screened = f.screened && judged.Screens(who.ID, ref, at)
		f.excluded = f.excluded || f.hidden[ref]
	}
	return f, nil
}

// hiddenFrom is what a person does not get of a whole unit: a judge sees what was decided on.
func (f facts) hiddenFrom(who Person) map[record.Reference]bool {
	if who.Enrolment.Of(record.Judge) {
		return nil
	}
	return f.hidden
}
