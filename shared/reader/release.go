package reader

import (
	"context"
	"fmt"
	"slices"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Released is what both keyholders handed over for one request, verified but for the halves, which are held against the
// collector's commitments where they are used. It redacts itself when printed.
type Released struct {
	grant  *grant
	find   seal.Seed
	halves map[seal.Role]map[record.Reference][]byte
}

// Request gives the request that this answers.
func (r *Released) Request() record.Request { return r.grant.request }

// Recordings is how many halves each keyholder gave.
func (r *Released) Recordings() (court, custodian int) {
	return len(r.halves[seal.Court]), len(r.halves[seal.Custodian])
}

// Format keeps secrets out of logs.
func (r *Released) Format(s fmt.State, _ rune) { fmt.Fprint(s, "[released halves]") }

// Release asks both keyholders for the halves of one's own request, all pages. Errors are *Failure in the chain, naming who
// failed and how.
func (r *Reader) Release(ctx context.Context, request record.Digest) (*Released, error) {
	g, err := r.load(request)
	if err != nil {
		return nil, err
	}
	return r.release(ctx, g, nil)
}

// release stops early once it has the wanted recordings; nil wants all. An approval of a moment ago is in the log but not yet
// under a cosigned checkpoint: then it waits for that, once.
func (r *Reader) release(ctx context.Context, g *grant, want []record.Reference) (*Released, error) {
	out, err := r.releaseNow(ctx, g, want)
	if err == nil || problem.KindOf(err) != problem.Unavailable {
		return out, err
	}
	if asked, waitErr := r.await(ctx, g); waitErr != nil || !asked.Provable {
		return nil, err
	}
	return r.releaseNow(ctx, g, want)
}

func (r *Reader) releaseNow(ctx context.Context, g *grant, want []record.Reference) (*Released, error) {
	if !r.now().Before(g.request.Expires) {
		return nil, problem.New(problem.Gone, "the request has ended; ask again")
	}
	var pages [2]answer
	err := r.both(ctx, func(ctx context.Context, role seal.Role, k Keyholder) (err error) {
		pages[slices.Index(parties, role)], err = r.answerOf(ctx, role, k, g, want)
		return err
	})
	if err != nil {
		return nil, err
	}
	if pages[0].find != pages[1].find {
		return nil, problem.New(problem.Denied, "court and custodian gave different find secrets for this week; nothing is searched with either: tell both operators and the auditor")
	}
	return &Released{grant: g, find: pages[0].find, halves: map[seal.Role]map[record.Reference][]byte{
		seal.Court: pages[0].halves, seal.Custodian: pages[1].halves}}, nil
}

// answer is one keyholder's whole answer.
type answer struct {
	find   seal.Seed
	halves map[record.Reference][]byte
}

// maxPages bounds how long a keyholder can keep a reader busy.
const maxPages = 10_000

func (r *Reader) answerOf(ctx context.Context, role seal.Role, k Keyholder, g *grant, want []record.Reference) (answer, error) {
	out := answer{halves: map[record.Reference][]byte{}}
	for n, total := 0, 0; n < maxPages; n++ {
		page, err := r.page(ctx, role, k, g, len(out.halves))
		if err != nil {
			return out, err
		}
		if page.Total < total || len(page.Items) == 0 && len(out.halves) < page.Total || len(page.Items) > page.Total-len(out.halves) {
			return out, altered(role, nil, "its pages do not fit together")
		}
		total = page.Total // it may grow while collectors file notes
		if n == 0 {
			if out.find, err = seal.OpenFind(g.key, role, g.hash, g.unit(), page.Find); err != nil {
				return out, altered(role, err, "its find secret was not made for this request")
			}
		}
		for _, item := range page.Items {
			ref := record.Reference{Batch: item.Batch, Recording: item.Recording}
			if _, twice := out.halves[ref]; twice || !g.covers(seal.RecordingID(item.Recording), seal.BatchID(item.Batch)) {
				return out, altered(role, nil, "it gave a recording twice or one that was not asked for")
			}
			out.halves[ref] = item.Half
		}
		if len(out.halves) >= total || out.has(want) {
			return out, nil
		}
	}
	return out, altered(role, nil, "it has no end")
}

func (a answer) has(want []record.Reference) bool {
	return len(want) > 0 && !slices.ContainsFunc(want, func(ref record.Reference) bool { return a.halves[ref] == nil })
}

// page gets and verifies one page, waiting while the log is only behind.
func (r *Reader) page(ctx context.Context, role seal.Role, k Keyholder, g *grant, from int) (record.Release, error) {
	var out record.Release
	deadline := time.Now().Add(r.cfg.Patience / 2)
	for attempt := 0; ; attempt++ {
		raw, err := k.Release(ctx, g.hash, from)
		if err == nil {
			return out, r.openPage(role, g, from, raw, &out)
		}
		// "Not yet under a witnessed checkpoint" and "orders changed meanwhile" both come as "try again".
		kind := problem.KindOf(err)
		if kind != problem.Conflict && kind != problem.Unavailable || time.Now().After(deadline) {
			return out, fail(role, err)
		}
		if err := pause(ctx, attempt); err != nil {
			return out, err
		}
	}
}

// openPage verifies that an answer is this keyholder's, for this request and class, and of this place.
func (r *Reader) openPage(role seal.Role, g *grant, from int, raw string, out *record.Release) error {
	if _, err := r.cfg.Trust.OpenOnline(raw, record.TypeRelease, string(role), r.now(), out); err != nil {
		return altered(role, err, "it is not signed with the key that the trust file names, or was altered")
	}
	if out.Request != g.hash || out.Class != g.request.Class || out.Audience != r.cfg.Fingerprint || out.Party != string(role) || out.From != from {
		return altered(role, nil, "it was made for another request, class, place, installation or party")
	}
	return nil
}

// key combines both halves of a recording, each held against the collector's commitment.
func (r *Released) key(d seal.Descriptor, batch seal.BatchID) (seal.RecordingKey, seal.Context, error) {
	halves, ctx, err := r.bothHalves(d, batch)
	if err != nil {
		return seal.RecordingKey{}, ctx, err
	}
	key, err := seal.Combine(seal.Class(r.grant.request.Class), ctx, d.Commitments, halves[0], halves[1])
	clear(halves[0][:])
	clear(halves[1][:])
	return key, ctx, err
}

// bothHalves opens the two halves of a recording and holds each against the collector's commitment.
func (r *Released) bothHalves(d seal.Descriptor, batch seal.BatchID) (halves [2]seal.Half, ctx seal.Context, err error) {
	class, ctx := seal.Class(r.grant.request.Class), seal.ContextOf(d.Recording, batch, r.grant.unit())
	for i, role := range parties {
		sealed, ok := r.halves[role][record.Reference{Batch: record.ID(batch), Recording: record.ID(d.Recording)}]
		if !ok {
			return halves, ctx, &Failure{role, Unknown, problem.New(problem.NotFound, "the %s gave no half for recording %s; it has no note of it yet, the judge has excluded it, or the request does not name it", role, d.Recording)}
		}
		half, err := seal.OpenHalf(r.grant.key, role, r.grant.hash, ctx, class, sealed)
		if err != nil {
			return halves, ctx, altered(role, err, "its half of recording "+d.Recording.String()+" was not made for this request or was altered")
		}
		if err := d.Commitments.Check(role, class, half); err != nil {
			return halves, ctx, altered(role, err, "its half of recording "+d.Recording.String()+" is not the one that the collector committed to")
		}
		halves[i] = half
	}
	return halves, ctx, nil
}
