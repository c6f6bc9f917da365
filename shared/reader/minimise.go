package reader

import (
	"context"
	"fmt"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// minimised holds what is about to be opened against the marks in one's own listings: what somebody of the case has marked as not pertinent is refused
// where the order's statute says so, and else told of, unless a reason is given, which goes into the act. Who has not listed a mark does not
// know of it; the mark stands in both journals.
func (r *Reader) minimised(ctx context.Context, e entry, part Range) (warning string, err error) {
	at, ok, err := r.notPertinent(e, part)
	if err != nil || !ok || part.Minimised != "" {
		return "", err
	}
	shown, err := r.cfg.Court.Order(ctx, e.unit.Order)
	if err != nil {
		return "", fail(seal.Court, err)
	}
	members, err := membersOf(shown.Members)
	if err != nil || len(members) == 0 {
		return "", err
	}
	where := "all of it"
	if at != (record.Span{}) {
		where = fmt.Sprintf("from %s", time.Duration(at.From)*time.Millisecond)
		if at.Until != 0 {
			where += fmt.Sprintf(" to %s", time.Duration(at.Until)*time.Millisecond)
		}
	}
	profile, err := law.ProfileOf(members[0].Order.Profile)
	if err != nil {
		return "", err
	}
	if profile.Minimisation.Rule == "refuse" {
		return "", problem.New(problem.Denied, "this is marked as not pertinent (%s), and is minimised (%s); open another part, or say why with --minimised", where, profile.Cite(profile.Minimisation.Article))
	}
	return "this is marked as not pertinent (" + where + "); say why you open it with --minimised", nil
}

// notPertinent finds a mark that covers some of what is about to be opened.
func (r *Reader) notPertinent(e entry, part Range) (record.Span, bool, error) {
	list, err := r.grants()
	if err != nil {
		return record.Span{}, false, err
	}
	for _, g := range list {
		if g.request.Class != string(seal.IndexClass) || g.unit() != e.unit {
			continue
		}
		entries, err := r.loadListing(g)
		if err != nil {
			continue // not listed under this request, or damaged
		}
		for _, note := range entries {
			of := note.Description.Of
			if of.Mark == record.MarkNotPertinent && of.Recording == e.Recording && of.Batch == e.Batch && part.touches(of.Millis) {
				return of.Millis, true, nil
			}
		}
	}
	return record.Span{}, false, nil
}

// touches tells whether a part has something of a marked span. What bytes are is not known in seconds, so they do.
func (part Range) touches(marked record.Span) bool {
	if part.whole() || part.Bytes != nil || marked == (record.Span{}) {
		return true
	}
	from, until := part.Span.From.Milliseconds(), part.Span.To.Milliseconds()
	return (marked.Until == 0 || from < marked.Until) && (until == 0 || until > marked.From)
}
