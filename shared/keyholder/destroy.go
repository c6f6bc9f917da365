package keyholder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// pendingRow lists decisions to destroy that were admitted and not carried out.
type pendingRow struct {
	Chain    record.Digest `json:"chain"`
	Decision record.Digest `json:"decision"`
}

const pendingName = "destructions"

// destructionRow is one decision that is being or was carried out.
type destructionRow struct {
	Done   int64         `json:"done,omitzero"` // number of the event that has the certificate; 0 before
	Losses record.Losses `json:"losses"`
	Peer   string        `json:"peer"` // the other keyholder's word on which it was done
	State  string        `json:"state"`
}

func destructionName(decision record.Digest) string { return "destruction/" + decision.String() }

// destroyedName is the row with the destroyed set: a digest of 32 bytes for every list of losses that no root opens any more, sorted.
const destroyedName = "destroyed"

// Limits of the lists' rows, and of one pass of the ring.
const (
	maxPending   = 1000
	maxDestroyed = 12000
	jobsAtOnce   = 20
)

// destroyedDigest is what a status says of the destroyed set.
func (k *Keyholder) destroyedDigest(ctx context.Context) (record.Digest, error) {
	rows, err := k.rows.Get(ctx, destroyedName)
	if err != nil {
		return record.Digest{}, err
	}
	set, err := parseDestroyed(rows[destroyedName].Value)
	return record.SetDigest(set), err
}

func parseDestroyed(raw []byte) ([]record.Digest, error) {
	if len(raw)%32 != 0 {
		return nil, problem.New(problem.Internal, "a stored record cannot be read; tell the operator: the rows need to be restored")
	}
	var set []record.Digest
	for some := range slices.Chunk(raw, 32) {
		set = append(set, record.Digest(some))
	}
	return set, nil
}

// addDestroyed puts a list of losses into the destroyed set.
func (c *change) addDestroyed(losses record.Losses) error {
	raw, err := c.loadBytes(destroyedName)
	if err != nil {
		return err
	}
	set, err := parseDestroyed(raw)
	if err != nil {
		return err
	}
	b, err := record.Marshal(losses)
	if err != nil {
		return err
	}
	set = append(set, record.HashBytes(b))
	if len(set) > maxDestroyed {
		return problem.New(problem.Unavailable, "this keyholder has room for %d destructions; tell the operator", maxDestroyed)
	}
	slices.SortFunc(set, func(a, b record.Digest) int { return slices.Compare(a[:], b[:]) })
	raw = nil
	for _, d := range slices.Compact(set) {
		raw = append(raw, d[:]...)
	}
	c.putBytes(destroyedName, raw)
	return nil
}

// listDestruction notes an admitted decision for the destroy function.
func (c *change) listDestruction(chain record.Digest, m law.Member, admitted opening) error {
	if !destroys(&m.Order) {
		return nil
	}
	var list []pendingRow
	if _, err := c.load(pendingName, &list); err != nil {
		return err
	}
	if len(list) >= maxPending {
		return problem.New(problem.Unavailable, "%d destructions wait already; have them carried out or lifted first", maxPending)
	}
	if err := c.put(admittedName(m.Hash), admitted); err != nil {
		return err
	}
	return c.put(pendingName, append(list, pendingRow{chain, m.Hash}))
}

// Destroy carries out what judges have ordered to be destroyed and what may be destroyed now, and finishes or undoes what an earlier run began. It is the
// destroy function's job, and safe to run at any time, any number of times, by several processes at once. What waits for something waits; it is no error.
func (k *Keyholder) Destroy(ctx context.Context) error {
	const most = 64 // steps: a pass has four
	moved := 0
	for range most {
		var head ringHead
		if found, err := k.read(ctx, ringHeadRow, &head); err != nil || !found {
			return err
		}
		again, err := k.destroyStep(ctx, head)
		if errors.Is(err, errMoved) && moved < 8 {
			moved++
			pause(ctx, moved)
			continue
		}
		if err != nil || !again {
			return err
		}
	}
	return nil // what is left the next run does
}

// destroyStep does the next step from where the ring stands. again tells that there may be another.
func (k *Keyholder) destroyStep(ctx context.Context, head ringHead) (again bool, err error) {
	switch {
	case head.State == ringClosing:
		return true, k.orUndo(ctx, head, k.resumeWriting)
	case head.State == ringWritten:
		return true, k.orUndo(ctx, head, k.switchRing)
	case head.State == ringSwitched:
		return true, k.finishShred(ctx, head)
	case head.Old != "":
		return true, k.clearOld(ctx, head)
	case len(head.Jobs) > 0:
		return true, k.postShred(ctx, head)
	}
	jobs, pages, err := k.dueJobs(ctx, head)
	if err != nil || len(jobs) == 0 {
		return false, err
	}
	return true, k.beginShred(ctx, head, jobs, pages)
}

// orUndo runs a step before the point of no return. When a decision may not be carried out any more, the pass is given up.
func (k *Keyholder) orUndo(ctx context.Context, head ringHead, step func(context.Context, ringHead) error) error {
	err := step(ctx, head)
	if errors.Is(err, errWaits) {
		return k.undoShred(ctx, head)
	}
	return err
}

// errWaits marks why a decision is not carried out now.
var errWaits = errors.New("the destruction waits")

// waits says why a decision is not carried out. What only failed now stays what it is.
func waits(err error) error {
	if err == nil || !refusesOne(err) {
		return err
	}
	return problem.Wrap(problem.KindOf(err), errors.Join(errWaits, err), "%s", problem.MessageOf(err))
}

// dueJobs lists decisions that both keyholders agree to carry out now, of units that no two of them share, and how many pages the ring has then. For each it
// keeps the other's word.
func (k *Keyholder) dueJobs(ctx context.Context, head ringHead) (jobs []record.Digest, pages int, err error) {
	var list []pendingRow
	if _, err := k.read(ctx, pendingName, &list); err != nil || len(list) == 0 {
		return nil, 0, err
	}
	taken, halves := map[string]bool{}, 0
	for _, p := range list {
		if len(jobs) == jobsAtOnce {
			break
		}
		job, err := k.agree(ctx, p)
		if errors.Is(err, errTakenBack) {
			if err := k.unlist(ctx, p.Decision); err != nil {
				return nil, 0, err
			}
			continue
		}
		if errors.Is(err, errWaits) || problem.KindOf(err) == problem.Unavailable {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if !job.apart(taken) {
			continue // the next pass
		}
		if err := k.keepWord(ctx, p, job); err != nil {
			return nil, 0, err
		}
		jobs, halves = append(jobs, p.Decision), halves+job.halves()
	}
	return jobs, head.Pages + pagesFor(halves), nil
}

// job is a decision with what it takes.
type job struct {
	chain  Chain
	member law.Member
	list   []loss
	sum    record.Losses
	peer   string    // the other keyholder's word
	asked  time.Time // when it was asked
}

// apart tells whether the job shares no unit with those taken before, and takes its own.
func (j *job) apart(taken map[string]bool) bool {
	for _, l := range j.list {
		if taken[string(l.row.Unit)] {
			return false
		}
	}
	for _, l := range j.list {
		taken[string(l.row.Unit)] = true
	}
	return true
}

// halves is how many kept halves the job adds.
func (j *job) halves() (n int) {
	for _, l := range j.list {
		if l.seed {
			n += 2 * len(l.stays)
		}
	}
	return n
}

// agree finds out whether a decision may be carried out: this keyholder's own law, notes and closings allow it, and the other one says the same of the
// same list over a nonce drawn now. Errors with errWaits say what is missing.
func (k *Keyholder) agree(ctx context.Context, p pendingRow) (*job, error) {
	j, err := k.job(ctx, p)
	if err != nil {
		return nil, waits(err)
	}
	theirs, err := k.askDestroying(ctx, j)
	if err != nil {
		return nil, waits(err)
	}
	// When the other side's half is gone there is nothing left to protect by waiting, and waiting would keep everything else closed.
	if theirs.State == record.DestructionDone {
		return j, nil
	}
	return j, waits(k.mayDestroy(ctx, j))
}

// job works out what a decision takes, whether or not it may be carried out. Errors: problem.Conflict while a unit is not closed.
func (k *Keyholder) job(ctx context.Context, p pendingRow) (*job, error) {
	state, err := k.chain(ctx, p.Chain)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(state.Members, func(m law.Member) bool { return m.Hash == p.Decision })
	if i < 0 || !destroys(&state.Members[i].Order) {
		return nil, problem.New(problem.NotFound, "no such decision to destroy is on file here")
	}
	j := &job{chain: state, member: state.Members[i]}
	if j.list, err = k.losses(ctx, p.Chain, &j.member.Order); err != nil {
		return nil, err
	}
	j.sum = sumLosses(p.Chain, p.Decision, j.list)
	collectors, err := k.collectors(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range j.list {
		closed, err := k.closeDeserted(ctx, l.unit, collectors)
		if err != nil {
			return nil, err
		}
		if !closed {
			say := "arca spool --close CHAIN"
			if l.unit.Compartment == record.ClerkCompartment {
				say += " --clerk"
			}
			return nil, problem.New(problem.Conflict, "the unit of week %s (%s) is not closed: not every collector has said that nothing more of it will come; at each collector: %s", l.unit.Week, l.unit.Compartment, say)
		}
	}
	return j, nil
}

// mayDestroy holds a decision against the law, by the earliest of the witnesses' times: nothing is destroyed because a clock jumped.
func (k *Keyholder) mayDestroy(ctx context.Context, j *job) error {
	at, heard, err := k.provenAdmission(ctx, j.member.Hash)
	if err != nil {
		return err
	}
	doomed, err := law.Destroyable(j.chain.Members, j.member.Hash, heard, at.Earliest)
	if err != nil {
		return err
	}
	if problem.KindOf(doomed.Blocked) == problem.Gone && doomed.Blocked != nil {
		return problem.Wrap(problem.Gone, errors.Join(errTakenBack, doomed.Blocked), "%s", problem.MessageOf(doomed.Blocked))
	}
	if doomed.Blocked != nil {
		return doomed.Blocked
	}
	all, err := k.named(ctx, j.member.Order.Recordings)
	if err != nil {
		return err
	}
	if law.Held(j.chain.Members, slices.Collect(maps.Keys(all)), at.Earliest) {
		return problem.New(problem.Denied, "a hold stands on something that was made of what the decision names, so nothing of it is destroyed; a judge lifts it")
	}
	return k.keepsCopies(ctx, j, doomed, at.Earliest)
}

// errTakenBack marks a decision that will never be carried out.
var errTakenBack = errors.New("taken back")

// condemned tells whether a step of destruction of the whole chain was ordered: then no unit is made whose recordings it would not reach. The clerk's
// copy is made between the order and its being carried out.
func (c Chain) condemned(compartment string) bool {
	lifted := map[record.Digest]bool{}
	for _, m := range c.Members {
		if m.Order.Kind == record.Lifting {
			lifted[m.Order.Lifts] = true
		}
	}
	return slices.ContainsFunc(c.Members, func(m law.Member) bool {
		return m.Order.Kind == record.Destruction && m.Order.Step > 0 && !lifted[m.Hash] && (compartment != record.ClerkCompartment || m.Order.Step == record.ClerksCopies)
	})
}

// provenAdmission proves that a member's admission stands in the witnessed log, and gives the checkpoint by whose time it is judged and the
// time of the admission.
func (k *Keyholder) provenAdmission(ctx context.Context, member record.Digest) (at witnessed, heard time.Time, err error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return at, heard, err
	}
	verifier, err := k.verifier(trust)
	if err != nil {
		return at, heard, err
	}
	var o opening
	if found, err := k.read(ctx, admittedName(member), &o); err != nil {
		return at, heard, err
	} else if !found {
		return at, heard, problem.New(problem.NotFound, "no such decision to destroy is on file here")
	}
	var event record.Event
	if err := record.Unmarshal(o.Event, &event); err != nil {
		return at, heard, err
	}
	at, err = k.proven(ctx, verifier, o)
	if err != nil && refusesOne(err) {
		err = problem.Wrap(problem.Unavailable, err, "the log does not prove the decision yet; try again in a minute")
	}
	return at, event.Time, err
}

// admittedName is the row with the event that admitted a decision to destroy.
func admittedName(member record.Digest) string { return "admitted/" + member.String() }

// askDestroying gets the other keyholder's word on a decision over a nonce that exists only in this call, and compares.
func (k *Keyholder) askDestroying(ctx context.Context, j *job) (record.Destroying, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return record.Destroying{}, err
	}
	nonce := record.ID(random(16))
	drawn := k.cfg.Now()
	raw, err := k.voice().peer.Destroying(ctx, nonce, j.chain.Hash, j.member.Hash)
	if err != nil {
		return record.Destroying{}, problem.Wrap(problem.KindOf(err), err, "the other keyholder does not agree yet: %s", problem.MessageOf(err))
	}
	var theirs record.Destroying
	if _, err := trust.OpenOnline(raw, record.TypeDestroying, string(k.other()), k.cfg.Now(), &theirs); err != nil {
		return theirs, k.changeover(err)
	}
	now := k.cfg.Now()
	if theirs.Audience != trust.Hash || theirs.Party != string(k.other()) || theirs.Nonce != nonce || now.Sub(drawn) > statusFor ||
		theirs.Issued.Sub(now) > skew || now.Sub(theirs.Issued) > skew {
		return theirs, problem.New(problem.Denied, "the other keyholder's word on the destruction answers another question, or its clock is off by more than five minutes")
	}
	if !theirs.Losses.Equal(j.sum) {
		return theirs, problem.New(problem.Conflict, "court and custodian do not have the same list of what goes (%d recordings here, %d there); a batch note is missing at one of them, or another destruction comes first", j.sum.Recordings, theirs.Losses.Recordings)
	}
	j.peer, j.asked = raw, drawn
	if theirs.State == record.DestructionDone {
		return theirs, nil
	}
	if theirs.State != record.DestructionDue || theirs.Head != j.chain.Head || theirs.Stops != record.SetDigest(j.chain.Stops) {
		return theirs, problem.New(problem.Conflict, "court and custodian do not hold the same members of the order; send the missing one to the keyholder that lacks it")
	}
	return theirs, nil
}

// Destroying answers the other keyholder: what a decision destroys here, if it may, or what it has destroyed.
func (k *Keyholder) Destroying(ctx context.Context, nonce record.ID, chain, decision record.Digest) (string, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return "", err
	}
	out := record.Destroying{Audience: trust.Hash, Issued: k.now(), Nonce: nonce, Party: string(k.cfg.Party), State: record.DestructionDue}
	var row destructionRow
	if found, err := k.read(ctx, destructionName(decision), &row); err != nil {
		return "", err
	} else if found && row.State == record.DestructionDone {
		out.Losses, out.State = row.Losses, record.DestructionDone
		return record.Sign(k.voice().signer, record.TypeDestroying, k.now(), out)
	}
	var head ringHead
	if _, err := k.read(ctx, ringHeadRow, &head); err != nil {
		return "", err
	}
	if head.Next.Generation > 0 && !slices.Contains(head.Jobs, decision) {
		// Else each could switch to a generation that lacks what only one of them has agreed on.
		return "", problem.New(problem.Conflict, "another destruction is under way here; this one comes after it")
	}
	j, err := k.job(ctx, pendingRow{chain, decision})
	if err != nil {
		return "", err
	}
	if err := k.mayDestroy(ctx, j); err != nil {
		return "", err
	}
	out.Losses, out.Head, out.Stops = j.sum, j.chain.Head, record.SetDigest(j.chain.Stops)
	return record.Sign(k.voice().signer, record.TypeDestroying, k.now(), out)
}

// keepWord keeps the other's word on a decision before anything is done on it.
func (k *Keyholder) keepWord(ctx context.Context, p pendingRow, j *job) error {
	return k.update(ctx, func(c *change) error {
		var row destructionRow
		if _, err := c.load(destructionName(p.Decision), &row); err != nil {
			return err
		}
		if row.State == record.DestructionDone {
			return movedOn()
		}
		return c.put(destructionName(p.Decision), destructionRow{Losses: j.sum, Peer: j.peer, State: record.DestructionRuns})
	})
}

// resume reads the jobs of a pass again, and what they take.
func (k *Keyholder) resume(ctx context.Context, head ringHead, again func(context.Context, pendingRow) (*job, error)) ([]*job, error) {
	var jobs []*job
	for _, decision := range head.Jobs {
		var row destructionRow
		if found, err := k.read(ctx, destructionName(decision), &row); err != nil || !found {
			return nil, lost(err, "a destruction that runs has no row")
		}
		j, err := again(ctx, pendingRow{row.Losses.Chain, decision})
		if err != nil {
			return nil, err
		}
		if !j.sum.Equal(row.Losses) {
			return nil, waits(problem.New(problem.Conflict, "what the decision takes has changed since it was agreed on"))
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// resumeWriting writes the next generation of a closing ring.
func (k *Keyholder) resumeWriting(ctx context.Context, head ringHead) error {
	jobs, err := k.resume(ctx, head, func(ctx context.Context, p pendingRow) (*job, error) {
		j, err := k.job(ctx, p)
		return j, waits(err)
	})
	if err != nil {
		return err
	}
	p, err := k.planOf(ctx, head.Pages+1, lossesOf(jobs))
	if err != nil {
		return err
	}
	defer p.forget()
	return k.writeGeneration(ctx, head, p)
}

func lossesOf(jobs []*job) (list []loss) {
	for _, j := range jobs {
		list = append(list, j.list...)
	}
	return list
}

// switchRing asks once more whether each decision may be carried out, and then makes the new generation count. Commit point and point of no return: after
// moveHead has returned, what is not in the new generation is gone as soon as the old root is.
func (k *Keyholder) switchRing(ctx context.Context, head ringHead) error {
	rests := map[string]int64{}
	jobs, err := k.resume(ctx, head, func(ctx context.Context, p pendingRow) (*job, error) {
		version, err := k.versions(ctx, chainName(p.Chain))
		if err != nil {
			return nil, err
		}
		rests[chainName(p.Chain)] = version[chainName(p.Chain)]
		return k.agree(ctx, p)
	})
	if err != nil {
		return err
	}
	old, err := k.cfg.Roots.Open(ctx, head.Root)
	if err != nil {
		return err
	}
	return k.moveHead(ctx, head, func(c *change, h *ringHead) error {
		for _, j := range jobs {
			if age := k.cfg.Now().Sub(j.asked); age < 0 || age > statusFor {
				return problem.New(problem.Unavailable, "deciding took so long that the other keyholder's word is no longer of this minute; try again")
			}
		}
		for name, version := range rests {
			if err := c.requireVersion(name, version); err != nil {
				return err
			}
		}
		h.Generation, h.Key, h.Pages, h.Root, h.Slot = head.Next.Generation, head.Next.Key, head.Next.Pages, head.Next.Root, 1-head.Slot
		h.Next, h.Old, h.OldID, h.State = ringNext{}, head.Root, old.ID(), ringSwitched
		for _, j := range jobs {
			var row destructionRow
			if _, err := c.load(destructionName(j.member.Hash), &row); err != nil {
				return err
			}
			row.State, row.Peer = record.DestructionDone, j.peer
			if err := c.put(destructionName(j.member.Hash), row); err != nil {
				return err
			}
			if err := c.addDestroyed(j.sum); err != nil {
				return err
			}
		}
		return nil
	})
}

// finishShred destroys the old root and signs for each decision that it was carried out.
func (k *Keyholder) finishShred(ctx context.Context, head ringHead) error {
	if err := k.retire(ctx, head); err != nil {
		return err
	}
	for _, decision := range head.Jobs {
		if err := k.certify(ctx, head, decision); err != nil {
			return err
		}
	}
	// Open again even while the log cannot be reached; the jobs stay in the head until it has the certificates.
	return k.moveHead(ctx, head, func(_ *change, h *ringHead) error {
		h.Old, h.OldID, h.State = "", "", ringOpen
		return nil
	})
}

// postShred posts the certificates of a pass that is finished.
func (k *Keyholder) postShred(ctx context.Context, head ringHead) error {
	var names []string
	for _, decision := range head.Jobs {
		names = append(names, destructionName(decision))
	}
	rows, err := readMany[destructionRow](ctx, k, names)
	if err != nil {
		return err
	}
	var cases []record.Digest
	for _, row := range rows {
		cases = append(cases, row.Losses.Chain)
	}
	if err := k.post(ctx, cases...); err != nil {
		return err
	}
	return k.moveHead(ctx, head, func(_ *change, h *ringHead) error {
		h.Jobs = nil
		return nil
	})
}

// clearOld destroys the root of a generation that was given up.
func (k *Keyholder) clearOld(ctx context.Context, head ringHead) error {
	if err := k.retire(ctx, head); err != nil {
		return err
	}
	return k.moveHead(ctx, head, func(_ *change, h *ringHead) error {
		h.Old = ""
		return nil
	})
}

// certify journals the certificate of a decision and takes it off the list. Doing it again is nothing.
func (k *Keyholder) certify(ctx context.Context, head ringHead, decision record.Digest) error {
	trust, err := k.Trust(ctx)
	if err != nil {
		return err
	}
	root, err := k.cfg.Roots.Open(ctx, head.Root)
	if err != nil {
		return err
	}
	var row destructionRow
	if found, err := k.read(ctx, destructionName(decision), &row); err != nil || !found {
		return lost(err, "a destruction that runs has no row")
	}
	chain := row.Losses.Chain
	if err := k.markGone(ctx, chain, decision); err != nil {
		return err
	}
	return k.update(ctx, func(c *change) error {
		if err := c.requireHead(head); err != nil {
			return err
		}
		if _, err := c.load(destructionName(decision), &row); err != nil || row.Done > 0 {
			return err
		}
		backups, err := c.backupsOf(head.OldID)
		if err != nil {
			return err
		}
		certificate := record.Certificate{
			Audience: trust.Hash, Backups: backups, Destroyed: head.OldID, Generation: head.Generation, Issued: c.k.now(), Limits: c.k.cfg.Roots.DestroyLimits(),
			Losses: row.Losses, Other: record.HashStatement(row.Peer), Party: string(c.k.cfg.Party), Root: root.ID(),
		}
		raw, err := record.Sign(c.k.voice().signer, record.TypeCertificate, c.k.now(), certificate)
		if err != nil {
			return err
		}
		return c.filed(chain, decision, row, raw)
	})
}

// filed journals a certificate, ends its decision's row, and takes the decision off the list.
func (c *change) filed(chain, decision record.Digest, row destructionRow, certificate string) error {
	made, err := c.journal(chain, record.EventDestroyed, record.DestroyedEvent{Certificate: certificate, Decision: decision})
	if err != nil {
		return err
	}
	var event record.Event
	if err := record.Unmarshal(made.Event, &event); err != nil {
		return err
	}
	row.Done = event.Number
	if err := c.put(destructionName(decision), row); err != nil {
		return err
	}
	return c.unlist(decision)
}

// unlist takes a decision off the list of those that wait.
func (c *change) unlist(decision record.Digest) error {
	var list []pendingRow
	if _, err := c.load(pendingName, &list); err != nil {
		return err
	}
	return c.put(pendingName, slices.DeleteFunc(list, func(p pendingRow) bool { return p.Decision == decision }))
}

func (k *Keyholder) unlist(ctx context.Context, decision record.Digest) error {
	return k.update(ctx, func(c *change) error { return c.unlist(decision) })
}

// markGone marks in rows of halves that were kept earlier which of them are gone now.
func (k *Keyholder) markGone(ctx context.Context, chain, decision record.Digest) error {
	state, err := k.chain(ctx, chain)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(state.Members, func(m law.Member) bool { return m.Hash == decision })
	if i < 0 {
		return lost(fmt.Errorf("decision %s", decision.Short()), "a destruction that runs has no decision")
	}
	named, err := k.named(ctx, state.Members[i].Order.Recordings)
	if err != nil {
		return err
	}
	byBatch := map[record.ID][]record.ID{}
	for ref := range named {
		byBatch[ref.Batch] = append(byBatch[ref.Batch], ref.Recording)
	}
	for batch, ids := range byBatch {
		err := k.update(ctx, func(c *change) error {
			var row keptRow
			found, err := c.load(keptName(batch), &row)
			if err != nil || !found {
				return err
			}
			changed := false
			for _, id := range ids {
				if row.has(id) {
					row.Gone, changed = append(row.Gone, id), true
				}
			}
			if !changed {
				return nil
			}
			return c.put(keptName(batch), row)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
