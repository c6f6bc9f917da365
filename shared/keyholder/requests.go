package keyholder

import (
	"context"
	"fmt"
	"slices"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/policy"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// requestRow is a request on file: the statements as signed, and for each the opening of its log entry.
type requestRow struct {
	Request   filed   `json:"request"`
	Approvals []filed `json:"approvals,omitempty"`
	Denied    bool    `json:"denied,omitzero"`
	Number    int64   `json:"number"` // place in the inbox
}

// filed is a statement and the journal entry that says it came.
type filed struct {
	Statement string  `json:"statement"`
	Opening   opening `json:"opening"`
}

func requestName(hash record.Digest) string { return "request/" + hash.String() }
func inboxName(n int64) string              { return fmt.Sprintf("requests/%d", n) }

func nonceName(author record.KeyID, nonce record.ID) string {
	return "nonce/" + author.String() + "/" + nonce.String()
}

const inboxCounter = "requests"

// maxApprovals bounds the approvals of one request.
const maxApprovals = 16

// Ask takes a reader's request: it is checked, put in the inbox and journalled in one transaction, and its entry is in the hands of
// the log before this returns. Sending the same request again changes nothing. A request that policy does not
// allow now is refused and the refusal is journalled.
func (k *Keyholder) Ask(ctx context.Context, raw string) (record.Digest, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return record.Digest{}, err
	}
	var r record.Request
	st, author, err := k.openSigned(ctx, trust, raw, record.TypeRequest, &r)
	if err != nil {
		return record.Digest{}, err
	}
	if err := r.Validate(); err != nil {
		return record.Digest{}, err
	}
	if err := trust.addressed(r.Audience); err != nil {
		return record.Digest{}, err
	}
	if r.Issued.After(k.now().Add(skew)) {
		return record.Digest{}, problem.New(problem.Denied, "the request is dated in the future; set the clock and ask again")
	}
	if err := k.mayAsk(ctx, author, &r); err != nil {
		return record.Digest{}, k.refuse(ctx, r.Chain, st, err)
	}
	if r.Expires.Before(k.now()) {
		return record.Digest{}, problem.New(problem.Denied, "the request has expired; ask again")
	}
	err = k.act(ctx, r.Chain, func(c *change) error { return c.fileRequest(st, author, &r) })
	if err != nil {
		return record.Digest{}, err
	}
	return st.Hash, nil
}

// openSigned verifies a statement by an enrolled person.
func (k *Keyholder) openSigned(ctx context.Context, trust Pinned, raw string, typ record.Type, v any) (record.Statement, Person, error) {
	peek, err := peekAs(raw, typ)
	if err != nil {
		return record.Statement{}, Person{}, err
	}
	author, err := k.Person(ctx, peek.Author)
	if err != nil {
		return record.Statement{}, Person{}, err
	}
	st, err := record.OpenKnown(raw, typ, author.Enrolment.Key, v)
	return st, author, err
}

// maxStatement bounds what is journalled whole: an event holds its statement in base64 and must itself stay an artefact
// that auditors can read (record.MaxBytes).
const maxStatement = 128 << 10

// peekAs reads whose statement this claims to be. What it refuses it refuses whoever the author is.
func peekAs(raw string, typ record.Type) (record.Statement, error) {
	if len(raw) > maxStatement {
		return record.Statement{}, problem.New(problem.Invalid, "a statement has at most %d bytes; leave out what is not needed, such as a long certificate chain", maxStatement)
	}
	st, err := record.Peek(raw)
	if err == nil && st.Type != typ {
		err = problem.New(problem.Invalid, "the statement is of another type than %q", string(typ))
	}
	return st, err
}

// mayAsk holds a request against the chain and policy as they stand now, so that nobody waits for what will be refused. The
// release checks all of it again by the witnesses' time.
func (k *Keyholder) mayAsk(ctx context.Context, author Person, r *record.Request) error {
	state, err := k.chain(ctx, r.Chain)
	if err != nil {
		return err
	}
	if !k.concerns(author, state) {
		// The answer of a chain that does not exist: whether it does is not this person's business.
		return problem.New(problem.NotFound, "no such order is in force here")
	}
	if err := state.allowsRequest(r, k.now()); err != nil {
		return err
	}
	if r.Class != string(seal.IndexClass) && r.Class != string(seal.ContentClass) {
		return problem.New(problem.Invalid, "a request is for class index or content")
	}
	facts, err := k.facts(ctx, state, author, r.Recordings, k.now())
	if err != nil {
		return err
	}
	return mayHave(askAction(r.Class), author, state, r, facts, nil)
}

func (c *change) fileRequest(st record.Statement, author Person, r *record.Request) error {
	var before requestRow
	if found, err := c.load(requestName(st.Hash), &before); err != nil || found {
		return err
	}
	if err := c.once(author.ID, r.Nonce, st.Hash, r.Expires); err != nil {
		return err
	}
	var count int64
	if _, err := c.load(inboxCounter, &count); err != nil {
		return err
	}
	made, err := c.journal(r.Chain, record.EventAsked, record.StatementEvent{
		By: author.ID, Class: r.Class, Enrolment: author.Enrolled, Purpose: r.Purpose, Request: st.Hash, Statement: st.Raw,
	})
	if err != nil {
		return err
	}
	count++
	if err := c.put(inboxCounter, count); err != nil {
		return err
	}
	if err := c.put(inboxName(count), st.Hash); err != nil {
		return err
	}
	return c.put(requestName(st.Hash), requestRow{Request: filed{st.Raw, made}, Number: count})
}

// once refuses another statement with the same author and nonce: a replay in new clothes.
func (c *change) once(author record.KeyID, nonce record.ID, hash record.Digest, expires time.Time) error {
	var before record.Digest
	found, err := c.load(nonceName(author, nonce), &before)
	if err != nil {
		return err
	}
	if found && before != hash {
		return problem.New(problem.Denied, "this author has used the same nonce in another statement; sign it anew")
	}
	return c.putUntil(nonceName(author, nonce), hash, expires.Add(2*skew))
}

// Decide files another person's approval or denial of a request.
func (k *Keyholder) Decide(ctx context.Context, raw string) error {
	trust, err := k.Trust(ctx)
	if err != nil {
		return err
	}
	var a record.Approval
	if len(raw) > maxDecision {
		return problem.New(problem.Invalid, "an approval or denial has at most %d bytes; give its reason in fewer words", maxDecision)
	}
	st, author, err := k.openSigned(ctx, trust, raw, record.TypeApproval, &a)
	if err != nil {
		return err
	}
	if err := a.Validate(); err != nil {
		return err
	}
	if err := trust.addressed(a.Audience); err != nil {
		return err
	}
	asked, err := k.Request(ctx, a.Request)
	if err != nil {
		return err
	}
	if err := k.mayDecide(ctx, decideAction(a.Approve), author, asked); err != nil {
		return k.refuse(ctx, asked.Request.Chain, st, err)
	}
	if a.Expires.Before(k.now()) {
		return problem.New(problem.Denied, "the approval has expired; decide again")
	}
	return k.act(ctx, asked.Request.Chain, func(c *change) error { return c.fileApproval(st, author, asked, &a) })
}

func (k *Keyholder) mayDecide(ctx context.Context, action policy.Action, author Person, asked Asked) error {
	if author.ID == asked.Author {
		return problem.New(problem.Denied, "nobody decides on their own request")
	}
	state, err := k.chain(ctx, asked.Request.Chain)
	if err != nil {
		return err
	}
	requester, err := k.Person(ctx, asked.Author)
	if err != nil {
		return err
	}
	if author.same(requester) {
		return problem.New(problem.Denied, "nobody decides on their own request, under another key neither")
	}
	return mayDecideOn(action, author, requester, state, &asked.Request)
}

func (c *change) fileApproval(st record.Statement, author Person, asked Asked, a *record.Approval) error {
	var row requestRow
	found, err := c.load(requestName(a.Request), &row)
	if err != nil {
		return err
	}
	if !found {
		return problem.New(problem.NotFound, "no such request is on file here")
	}
	for _, f := range row.Approvals {
		if record.HashStatement(f.Statement) == st.Hash {
			return nil
		}
	}
	if row.Denied && !a.Approve {
		return nil // it is dead already
	}
	if a.Approve {
		if err := row.makeRoom(author.ID, a); err != nil {
			return err
		}
	}
	if err := c.once(author.ID, a.Nonce, st.Hash, a.Expires); err != nil {
		return err
	}
	kind := record.EventDenied
	if a.Approve {
		kind = record.EventApproved
	}
	made, err := c.journal(asked.Request.Chain, kind, record.StatementEvent{
		By: author.ID, Enrolment: author.Enrolled, Reason: a.Reason, Request: a.Request, Statement: st.Raw,
	})
	if err != nil {
		return err
	}
	row.Approvals = append(row.Approvals, filed{st.Raw, made})
	row.Denied = row.Denied || !a.Approve
	if a.Approve && row.size() > roomForApprovals {
		return problem.New(problem.Conflict, "the approvals of the request take more than %d bytes; give reasons in fewer words", roomForApprovals)
	}
	return c.put(requestName(a.Request), row)
}

// roomForApprovals is how large a request's row may become by approvals; what is left of a row (store.MaxRowBytes) is for
// one denial of maxDecision bytes, with the event that holds it again, which nobody can crowd out.
const (
	roomForApprovals = 300 << 10
	maxDecision      = 40 << 10
)

// size is the row's, a little more than exactly.
func (r *requestRow) size() int {
	n := 0
	for _, f := range append([]filed{r.Request}, r.Approvals...) {
		n += len(f.Statement) + len(f.Opening.Event)*4/3 + 200
	}
	return n
}

// makeRoom takes an author's earlier approval out if the new one lasts longer: one person has one approval on file, however often they approve.
func (r *requestRow) makeRoom(author record.KeyID, a *record.Approval) error {
	for i, f := range r.Approvals {
		var earlier record.Approval
		st, err := record.Peek(f.Statement) // verified when it was filed
		if err == nil {
			err = record.Unmarshal(st.Payload, &earlier)
		}
		if err != nil {
			return err
		}
		if st.Author != author || !earlier.Approve {
			continue
		}
		if !a.Expires.After(earlier.Expires) {
			return problem.New(problem.Conflict, "an approval of yours that lasts as long is on file already")
		}
		r.Approvals = slices.Delete(r.Approvals, i, i+1)
		return nil
	}
	if len(r.Approvals) >= maxApprovals {
		return problem.New(problem.Conflict, "the request has %d approvals already", maxApprovals)
	}
	return nil
}

// refuse journals that an enrolled person's statement was refused, and gives the reason back to them.
func (k *Keyholder) refuse(ctx context.Context, chain record.Digest, st record.Statement, reason error) error {
	if _, err := k.chain(ctx, chain); err != nil {
		return reason // a chain that is not known here has no journal to write in
	}
	err := k.act(ctx, chain, func(c *change) error {
		_, err := c.journal(chain, record.EventRefused, record.StatementEvent{By: st.Author, Reason: problem.MessageOf(reason), Statement: st.Raw})
		return err
	})
	if err != nil {
		return err
	}
	return reason
}

// Asked is a request as the inbox shows it.
type Asked struct {
	Hash      record.Digest
	Number    int64
	Author    record.KeyID
	Request   record.Request
	Statement string
	Approvals []Decision
	Denied    bool
	opening   opening
	openings  []opening
}

// Decision is one approval or denial on file.
type Decision struct {
	Hash     record.Digest
	Author   record.KeyID
	Approval record.Approval
	Raw      string
}

// Request reads a request that is on file, verifying every statement again: rows are not what makes it true.
func (k *Keyholder) Request(ctx context.Context, hash record.Digest) (Asked, error) {
	var row requestRow
	found, err := k.read(ctx, requestName(hash), &row)
	if err != nil {
		return Asked{}, err
	}
	if !found {
		return Asked{}, problem.New(problem.NotFound, "no such request is on file here")
	}
	return k.openRequest(ctx, hash, row)
}

func (k *Keyholder) openRequest(ctx context.Context, hash record.Digest, row requestRow) (Asked, error) {
	a := Asked{Hash: hash, Number: row.Number, Denied: row.Denied, Statement: row.Request.Statement, opening: row.Request.Opening}
	st, err := k.openFiled(ctx, row.Request.Statement, record.TypeRequest, &a.Request)
	if err != nil {
		return a, err
	}
	if st.Hash != hash {
		return a, problem.New(problem.Internal, "a stored request is not the one that its name says; tell the operator")
	}
	a.Author = st.Author
	for _, f := range row.Approvals {
		var d Decision
		st, err := k.openFiled(ctx, f.Statement, record.TypeApproval, &d.Approval)
		if err != nil {
			return a, err
		}
		if d.Approval.Request != hash {
			return a, problem.New(problem.Denied, "an approval on file is for another request")
		}
		d.Hash, d.Author, d.Raw = st.Hash, st.Author, f.Statement
		a.Approvals = append(a.Approvals, d)
		a.openings = append(a.openings, f.Opening)
	}
	return a, nil
}

// openFiled verifies a stored statement by the enrolment of its author, in service or not: whether the author still
// counts is decided where it matters.
func (k *Keyholder) openFiled(ctx context.Context, raw string, typ record.Type, v any) (record.Statement, error) {
	peek, err := record.Peek(raw)
	if err != nil {
		return peek, err
	}
	author, found, err := k.everEnrolled(ctx, peek.Author)
	if err != nil {
		return peek, err
	}
	if !found {
		return peek, problem.New(problem.Denied, "the author of a stored statement is not enrolled")
	}
	return record.Open(raw, typ, author.Enrolment.Key, v)
}

// everEnrolled finds a person by their key, in service or not.
func (k *Keyholder) everEnrolled(ctx context.Context, id record.KeyID) (Person, bool, error) {
	var joint record.Joint
	found, err := k.read(ctx, personName(id), &joint)
	if err != nil || !found {
		return Person{}, false, err
	}
	trust, err := k.Trust(ctx)
	if err != nil {
		return Person{}, false, err
	}
	e, hash, err := k.enrolment(trust, joint)
	return Person{ID: id, Enrolment: e, Enrolled: hash, Joint: joint}, err == nil, err
}

// maySee answers whether a person may see a request. A row that cannot be read is an error and not a no: whoever stores the rows
// could otherwise make a request vanish from an inbox.
func (k *Keyholder) maySee(ctx context.Context, who Person, asked Asked) (bool, error) {
	if who.ID == asked.Author {
		return true, nil
	}
	state, err := k.chain(ctx, asked.Request.Chain)
	if err != nil || mayReadLog(who, state) == nil {
		return err == nil, err
	}
	err = k.mayDecide(ctx, policy.Approve, who, asked)
	if problem.KindOf(err) == problem.Denied && err != nil {
		return false, nil
	}
	return err == nil, err
}

// provenAsked verifies the inclusion of a request and of its approvals, each under a checkpoint that the quorum has cosigned within
// five minutes, and gives the newest such checkpoint: by its time everything is judged.
func (k *Keyholder) provenAsked(ctx context.Context, asked Asked) (witnessed, error) {
	trust, err := k.Trust(ctx)
	if err != nil {
		return witnessed{}, err
	}
	verifier, err := k.verifier(trust)
	if err != nil {
		return witnessed{}, err
	}
	var newest witnessed
	for _, o := range append([]opening{asked.opening}, asked.openings...) {
		at, err := k.proven(ctx, verifier, o)
		if err != nil {
			return witnessed{}, err
		}
		if newest.Size == 0 || at.Earliest.After(newest.Earliest) {
			newest = at
		}
	}
	return newest, nil
}

// witnessed is a verified checkpoint with the signed note that it was read from.
type witnessed struct {
	ledger.Checkpoint
	note string
}

func (k *Keyholder) proven(ctx context.Context, verifier *ledger.Verifier, o opening) (witnessed, error) {
	entry, err := o.entry()
	if err != nil {
		return witnessed{}, err
	}
	proof, err := k.voice().log.Proof(ctx, entry)
	if err != nil {
		return witnessed{}, unproven(err)
	}
	at, _, err := verifier.VerifyInclusion(entry, proof)
	if err != nil {
		return witnessed{}, k.changeover(err)
	}
	parsed, err := ledger.ParseProof(proof)
	if err != nil {
		return witnessed{}, err
	}
	return witnessed{at, string(parsed.Checkpoint)}, at.Fresh(k.cfg.Now(), skew)
}

// unproven says in a keyholder's own words that the log gave no proof. The vault's words go no further than the process log: they
// would stand in the journal and before the requester as this keyholder's, and so would its refusal.
func unproven(cause error) error {
	switch problem.KindOf(cause) {
	case problem.Conflict:
		return problem.Wrap(problem.Unavailable, cause, "the log holds this and will show it in the next witnessed checkpoint; try again in a second")
	case problem.NotFound:
		return problem.Wrap(problem.NotFound, cause, "the log does not know the request or an approval; try again in a minute")
	}
	return problem.Wrap(problem.Unavailable, cause, "the log gives no proof under a witnessed checkpoint now; try again in a minute")
}
