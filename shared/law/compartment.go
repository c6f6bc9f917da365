package law

import (
	"slices"
	"time"

	"arca.example/arca/shared/record"
)

// Judged is what the judge has decided of single recordings by compartment decisions. It is the same for the same members in whatever order
// they arrived.
type Judged struct {
	Verdicts map[record.Reference]string // release, exclude or delete
	screens  []Member
	releases []Member
}

// JudgedOf reads the compartment decisions of a chain. A deletion that was not taken back stands whatever else was decided, for it will be carried
// out; of the others the later decision counts, and of two of one second the one that excludes.
func JudgedOf(chain []Member) Judged {
	j := Judged{Verdicts: map[record.Reference]string{}}
	decided := map[record.Reference]time.Time{}
	for i := range chain {
		o := &chain[i].Order
		switch {
		case o.Kind != record.Compartment || lifted(chain, record.Lifting, chain[i].Hash):
		case o.Verdict == record.VerdictScreen:
			j.screens = append(j.screens, chain[i])
		default:
			if o.Verdict == record.VerdictRelease {
				j.releases = append(j.releases, chain[i])
			}
			for _, ref := range o.Recordings {
				if before, known := j.Verdicts[ref]; !known || outweighs(o.Verdict, before, o.Decided.Compare(decided[ref])) {
					j.Verdicts[ref], decided[ref] = o.Verdict, o.Decided
				}
			}
		}
	}
	j.screens, j.releases = inOrder(j.screens), inOrder(j.releases)
	return j
}

// outweighs says whether a verdict counts against another on the same recording. later is how their decisions compare in time.
func outweighs(verdict, other string, later int) bool {
	switch {
	case verdict == record.VerdictDelete || other == record.VerdictDelete:
		return other != record.VerdictDelete
	case later == 0:
		return verdict == record.VerdictExclude
	}
	return later > 0
}

// Screens reports whether a person is named to look at a recording, to mark it, and the judge has not decided on it yet.
func (j Judged) Screens(person record.KeyID, ref record.Reference, t time.Time) bool {
	if _, decided := j.Verdicts[ref]; decided {
		return false
	}
	return slices.ContainsFunc(j.screens, func(m Member) bool { return names(&m.Order, person, t) && slices.Contains(m.Order.Recordings, ref) })
}

func names(o *record.Order, person record.KeyID, t time.Time) bool {
	return o.Screener == person && (o.Until.IsZero() || t.Before(o.Until))
}

// Released lists what the judge has ordered out of the privileged compartment, for each decision, without what was decided otherwise since.
func (j Judged) Released() (lists [][]record.Reference) {
	listed := map[record.Reference]bool{}
	for _, m := range j.releases {
		var out []record.Reference
		for _, ref := range m.Order.Recordings {
			if j.Verdicts[ref] == record.VerdictRelease && !listed[ref] {
				listed[ref] = true
				out = append(out, ref)
			}
		}
		if len(out) > 0 {
			lists = append(lists, out)
		}
	}
	return lists
}

// ScreenedBy lists what a person is named to look at and nobody has decided on, for each decision that names them and has not ended.
func (j Judged) ScreenedBy(person record.KeyID, t time.Time) (lists [][]record.Reference) {
	for _, m := range j.screens {
		var open []record.Reference
		for _, ref := range m.Order.Recordings {
			if names(&m.Order, person, t) && j.Screens(person, ref, t) {
				open = append(open, ref)
			}
		}
		if len(open) > 0 {
			lists = append(lists, open)
		}
	}
	return lists
}
