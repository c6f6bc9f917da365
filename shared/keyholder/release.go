package keyholder

import (
	"context"
	"crypto/hpke"
	"maps"
	"slices"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// pageItems is how many halves one answer carries; the rest is fetched with From. A half takes about 2.3 KB of the signed answer,
// which as a statement has at most record.MaxBytes.
const pageItems = 100

// Release hands over this keyholder's halves for a request. It verifies, in this order and each by itself: the caller is the
// request's author; request and approvals are in the log under a fresh witnessed checkpoint; by the witnesses' time the
// request has not expired; author and approvers are in service; the chain is in force; the other keyholder says
// the same over a nonce drawn now; policy allows it. Then it derives the halves, and the
// release is journalled and in the log's hands before the answer leaves. Whatever stops it is journalled too.
func (k *Keyholder) Release(ctx context.Context, caller Person, hash record.Digest, from int) (string, error) {
	// Before the request is read: a denial that is filed from here on stops the commit.
	rests, err := k.versions(ctx, requestName(hash))
	if err != nil {
		return "", err
	}
	asked, err := k.Request(ctx, hash)
	if err != nil {
		return "", err
	}
	if caller.ID != asked.Author {
		return "", problem.New(problem.NotFound, "no such request is on file here")
	}
	answer, err := k.release(ctx, asked, rests, from)
	if err == nil || !refusal(err) {
		return answer, err
	}
	st, peekErr := record.Peek(asked.Statement)
	if peekErr != nil {
		return "", peekErr
	}
	return "", k.refuse(ctx, asked.Request.Chain, st, err)
}

// refusal tells what is worth a line in the journal from what is only "not yet" or "try again".
func refusal(err error) bool {
	kind := problem.KindOf(err)
	return kind == problem.Denied || kind == problem.Gone
}

func (k *Keyholder) release(ctx context.Context, asked Asked, rests map[string]int64, from int) (string, error) {
	at, err := k.provenAsked(ctx, asked)
	if problem.KindOf(err) == problem.NotFound && err != nil {
		// The log lost sight of an entry it had accepted: post again rather than refuse for ever.
		return "", problem.Wrap(problem.Unavailable, err, "the log does not know the request yet; try again in a minute")
	}
	if err != nil {
		return "", err
	}
	grant, err := k.grant(ctx, asked, at.Checkpoint)
	if err != nil {
		return "", err
	}
	release, err := k.halves(ctx, asked, grant.hidden, from)
	if err != nil {
		return "", err
	}
	maps.Copy(grant.rows, rests)
	grant.checkpoint = at.note
	return k.commitRelease(ctx, asked, release, grant)
}

// granted is what a release was decided on; the commit requires that it still stands.
type granted struct {
	rows  map[string]int64 // version of every row that the decision rests on
	asked time.Time        // when the other keyholder was asked for its status

	hidden     map[record.Reference]bool // what the judge has excluded, unless the author is a judge
	enrolment  record.Digest             // of the author, as it counted
	checkpoint string                    // the note by whose time it was decided
}

// grant decides. Everything is judged by the witnesses' time: expiry by the latest, not-before by the
// earliest of the quorum's.
func (k *Keyholder) grant(ctx context.Context, asked Asked, at ledger.Checkpoint) (granted, error) {
	r := &asked.Request
	if asked.Denied {
		return granted{}, problem.New(problem.Denied, "the request was denied by somebody who decides on it")
	}
	if err := at.Within(r.Issued.Add(-skew), r.Expires); err != nil {
		return granted{}, err
	}
	rests, err := k.versions(ctx, "roster", ringHeadRow, chainName(r.Chain))
	if err != nil {
		return granted{}, err
	}
	author, err := k.Person(ctx, asked.Author)
	if err != nil {
		return granted{}, err
	}
	state, err := k.chain(ctx, r.Chain)
	if err != nil {
		return granted{}, err
	}
	for _, now := range []time.Time{at.Earliest, at.Latest} {
		if err := state.allowsRequest(r, now); err != nil {
			return granted{}, err
		}
	}
	drawn, err := k.agreesWithPeer(ctx, r.Chain)
	if err != nil {
		return granted{}, err
	}
	approvers, err := k.approvers(ctx, asked, author, at)
	if err != nil {
		return granted{}, err
	}
	facts, err := k.facts(ctx, state, author, r.Recordings, at.Latest)
	if err != nil {
		return granted{}, err
	}
	return granted{rows: rests, asked: drawn, enrolment: author.Enrolled, hidden: facts.hiddenFrom(author)}, mayHave(releaseAction(r.Class), author, state, r, facts, approvers)
}

// approvers are the distinct people other than the author, in service now, whose approval has not expired.
func (k *Keyholder) approvers(ctx context.Context, asked Asked, author Person, at ledger.Checkpoint) ([]Person, error) {
	var people []Person
	for _, d := range asked.Approvals {
		if !d.Approval.Approve || at.Within(d.Approval.Issued.Add(-skew), d.Approval.Expires) != nil {
			continue
		}
		p, err := k.Person(ctx, d.Author)
		if problem.KindOf(err) == problem.Denied && err != nil {
			continue // an approver who has left since does not count
		}
		if err != nil {
			return nil, err
		}
		if !p.same(author) && !slices.ContainsFunc(people, p.same) {
			people = append(people, p)
		}
	}
	return people, nil
}

// versions reads the versions of rows that a decision will rest on, before the decision reads them.
func (k *Keyholder) versions(ctx context.Context, names ...string) (map[string]int64, error) {
	rows, err := k.rows.Get(ctx, names...)
	if err != nil {
		return nil, err
	}
	versions := map[string]int64{}
	for _, name := range names {
		versions[name] = rows[name].Version
	}
	return versions, nil
}

// statusFor is how old the question for the other keyholder's status may be when a half leaves.
const statusFor = time.Minute

// agreesWithPeer asks the other keyholder for its status over a nonce that exists only in this call, so that no older
// status can answer, and refuses on any difference. Rolling back one keyholder therefore revives nothing. drawn
// is when it asked: from then on the answer ages.
func (k *Keyholder) agreesWithPeer(ctx context.Context, chain record.Digest) (drawn time.Time, err error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return drawn, err
	}
	nonce := record.ID(random(16))
	drawn = k.cfg.Now()
	raw, err := k.voice().peer.Status(ctx, nonce, chain)
	if err != nil {
		return drawn, problem.Wrap(problem.Unavailable, err, "the other keyholder cannot be reached, and nothing is released without its status; try again")
	}
	var theirs record.Status
	if _, err := trust.OpenOnline(raw, record.TypeStatus, string(k.other()), k.cfg.Now(), &theirs); err != nil {
		return drawn, k.changeover(err)
	}
	if !theirs.Answers(string(k.other()), trust.Hash, nonce, chain) {
		return drawn, problem.New(problem.Denied, "the other keyholder's status answers another question")
	}
	now := k.cfg.Now()
	if now.Sub(drawn) > statusFor || theirs.Issued.Sub(now) > skew || now.Sub(theirs.Issued) > skew {
		return drawn, problem.New(problem.Unavailable, "the other keyholder's status came too late or its clock is off by more than five minutes; try again")
	}
	mine, _, err := k.status(ctx, trust, nonce, chain)
	if err != nil {
		return drawn, err
	}
	if mine.Trust != theirs.Trust {
		return drawn, k.changeover(record.ErrForeignKey)
	}
	if !mine.Agrees(theirs, 0) {
		return drawn, problem.New(problem.Denied, "court and custodian do not hold the same orders, people or destructions; one of them missed something: tell both operators")
	}
	return drawn, nil
}

// halves derives and seals the halves of the recordings that the request names, or of the whole unit.
func (k *Keyholder) halves(ctx context.Context, asked Asked, hidden map[record.Reference]bool, from int) (record.Release, error) {
	r := &asked.Request
	u := unitOf(r)
	out := record.Release{Class: r.Class, From: from, Party: string(k.cfg.Party), Request: asked.Hash, Issued: k.now()}
	var unit unitRow
	found, err := k.read(ctx, unitName(u), &unit)
	if err != nil {
		return out, err
	}
	if !found || unit.Find == 0 {
		return out, problem.New(problem.NotFound, "nothing has been sealed under this order in this week")
	}
	secrets, err := k.openUnit(ctx, u, unit)
	if err != nil {
		return out, err
	}
	defer clear(secrets.find[:])
	wanted, total, notes, err := k.wanted(ctx, u, r, secrets, hidden, from)
	if err != nil {
		return out, err
	}
	if from < 0 || from > total {
		return out, problem.New(problem.Invalid, "the answer has fewer items than that")
	}
	out.Total = total
	to, err := seal.ParsePublicKey(r.Key)
	if err != nil {
		return out, problem.Wrap(problem.Invalid, err, "the request's key is not an X-Wing public key; ask again")
	}
	if out.Find, err = seal.SealFind(to, k.cfg.Party, asked.Hash, u, secrets.find); err != nil {
		return out, err
	}
	out.Items, err = k.sealHalves(ctx, secrets, asked, to, wanted, notes)
	return out, err
}

// wanted lists the recordings of one page of the answer, with how many there are in all and the notes that hold those of the page. Notes are
// looked at one after another and others are let go, so that a unit that was filled with large batches does not fill the memory. What was destroyed is
// left out of a whole unit, and refuses a request that names it.
func (k *Keyholder) wanted(ctx context.Context, u seal.Unit, r *record.Request, secrets *unitSecrets, hidden map[record.Reference]bool, from int) (page []record.Reference, total int, notes map[record.ID]*seal.Note, err error) {
	notes = map[record.ID]*seal.Note{}
	take := func(ref record.Reference, note *seal.Note) {
		if hidden[ref] {
			return // of a whole unit; who names it was refused
		}
		if total >= from && total-from < pageItems {
			page, notes[ref.Batch] = append(page, ref), note
		}
		total++
	}
	if len(r.Recordings) == 0 {
		err = k.eachNote(ctx, u, func(note *seal.Note) error {
			for _, m := range note.Members {
				ref := record.Reference{Batch: record.ID(note.Statement.Batch), Recording: record.ID(m.Recording)}
				exists, err := k.exists(ctx, secrets, ref)
				if err != nil {
					return err
				}
				if exists {
					take(ref, note)
				}
			}
			return nil
		})
		return page, total, notes, err
	}
	checked := map[record.ID]bool{}
	for _, ref := range r.Recordings {
		note := notes[ref.Batch]
		if inPage := total >= from && total-from < pageItems; note == nil && (inPage || !checked[ref.Batch]) {
			if note, err = k.note(ctx, ref.Batch); err != nil {
				return nil, 0, nil, err
			}
			if note == nil || note.Statement.Unit != u {
				return nil, 0, nil, problem.New(problem.Denied, "a recording of the request does not belong to its order and week")
			}
			checked[ref.Batch] = true
		}
		if exists, err := k.exists(ctx, secrets, ref); err != nil {
			return nil, 0, nil, err
		} else if !exists {
			return nil, 0, nil, destroyed()
		}
		take(ref, note)
	}
	return page, total, notes, nil
}

func (k *Keyholder) note(ctx context.Context, id record.ID) (*seal.Note, error) {
	rows, err := k.rows.Get(ctx, batchName(id))
	if err != nil {
		return nil, err
	}
	if _, ok := rows[batchName(id)]; !ok {
		return nil, nil
	}
	return seal.ParseNote(rows[batchName(id)].Value)
}

// sealHalves releases per recording the half of the one class that was asked, never the batch secret.
func (k *Keyholder) sealHalves(ctx context.Context, s *unitSecrets, asked Asked, to hpke.PublicKey, wanted []record.Reference, notes map[record.ID]*seal.Note) ([]record.ReleasedHalf, error) {
	class := seal.Class(asked.Request.Class)
	give := k.derived(s.key, class)
	if s.key == nil {
		kept, pages, err := k.keptHalves(ctx, s, class, wanted)
		defer pages.forget()
		if err != nil {
			return nil, err
		}
		give = kept
	}
	items := make([]record.ReleasedHalf, 0, len(wanted))
	for _, ref := range wanted {
		item, err := k.sealHalf(notes[ref.Batch], asked, to, ref, class, give)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (k *Keyholder) sealHalf(note *seal.Note, asked Asked, to hpke.PublicKey, ref record.Reference, class seal.Class, give halfOf) (record.ReleasedHalf, error) {
	c := seal.ContextOf(seal.RecordingID(ref.Recording), note.Statement.Batch, note.Statement.Unit)
	member, ok := note.Member(seal.RecordingID(ref.Recording))
	if !ok {
		return record.ReleasedHalf{}, problem.New(problem.Denied, "a recording of the request is not in the batch that it names")
	}
	half, err := give(note, ref, c)
	if err != nil {
		return record.ReleasedHalf{}, err
	}
	defer clear(half[:])
	if err := checkHalf(member, k.cfg.Party, class, half); err != nil {
		return record.ReleasedHalf{}, err
	}
	sealedHalf, err := seal.SealHalf(to, k.cfg.Party, asked.Hash, c, class, half)
	return record.ReleasedHalf{Batch: ref.Batch, Half: sealedHalf, Recording: ref.Recording}, err
}

// commitRelease signs the answer and journals it, requiring that the rows which the decision rests on have not changed since. Commit
// point: after act has returned the release exists in the log; only then it leaves.
func (k *Keyholder) commitRelease(ctx context.Context, asked Asked, release record.Release, g granted) (string, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return "", err
	}
	release.Audience = trust.Hash
	answer, err := record.Sign(k.voice().signer, record.TypeRelease, k.now(), release)
	if err != nil {
		return "", err
	}
	err = k.act(ctx, asked.Request.Chain, func(c *change) error {
		if age := k.cfg.Now().Sub(g.asked); age < 0 || age > statusFor {
			return problem.New(problem.Unavailable, "deciding took so long that the other keyholder's status is no longer of this minute; try again")
		}
		for name, version := range g.rows {
			if err := c.requireVersion(name, version); err != nil {
				return err
			}
		}
		return c.journalRelease(asked, release, g, record.HashStatement(answer))
	})
	if err != nil {
		return "", err
	}
	return answer, nil
}

// journalRelease writes down which recordings' halves leave, and where a reader's later acts find that they did.
func (c *change) journalRelease(asked Asked, release record.Release, g granted, answer record.Digest) error {
	body := record.ReleasedEvent{
		Answer: answer, Checkpoint: g.checkpoint, Class: release.Class, Enrolment: g.enrolment, From: release.From, Items: len(release.Items),
		Recordings: make([]record.Reference, 0, len(release.Items)), Request: asked.Hash, To: asked.Author, Total: release.Total,
	}
	for _, item := range release.Items {
		body.Recordings = append(body.Recordings, record.Reference{Batch: item.Batch, Recording: item.Recording})
	}
	made, err := c.journal(asked.Request.Chain, record.EventReleased, body)
	if err != nil {
		return err
	}
	return c.listRelease(asked.Hash, release.From, made)
}

// requireVersion makes the change fail unless a row still has the version that a decision was made on.
func (c *change) requireVersion(name string, version int64) error {
	rows, err := c.k.rows.Get(c.ctx, name)
	if err != nil {
		return err
	}
	if rows[name].Version != version {
		return problem.New(problem.Unavailable, "orders, people or keys changed while the release was being decided; try again")
	}
	c.seen[name] = rows[name]
	c.require(name)
	return nil
}
