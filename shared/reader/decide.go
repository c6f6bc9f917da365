package reader

import (
	"context"
	"crypto/rand"
	"maps"
	"os"
	"slices"
	"strings"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// InboxItem is a request as the two inboxes show it.
type InboxItem struct {
	Hash      record.Digest
	Author    string         // name that the author is enrolled under, as the keyholder says
	Request   record.Request // as its author signed it
	Verified  bool           // the author's enrolment was visible here and the signature verifies
	FromCourt bool           // so the author is known to be a judge or clerk
	Denied    bool
	Approvals int
	Differs   string // how court and custodian differ; "" when they agree
}

// Inbox merges both keyholders' inboxes, in the order of the court's, and says where they differ. A statement that does
// not verify although its author's enrolment is visible, or that is not the one its name says, is an error naming the keyholder.
func (r *Reader) Inbox(ctx context.Context) ([]InboxItem, error) {
	var lists [2][]wire.Asked
	err := r.both(ctx, func(ctx context.Context, role seal.Role, k Keyholder) (err error) {
		lists[slices.Index(parties, role)], err = readInbox(ctx, k)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := r.learnPeople(ctx); err != nil {
		return nil, err
	}
	items := map[record.Digest]*InboxItem{}
	var order []record.Digest
	for i, role := range parties {
		for _, asked := range lists[i] {
			item, err := r.openAsked(role, asked)
			if err != nil {
				return nil, err
			}
			before, ok := items[item.Hash]
			switch {
			case !ok:
				item.Differs = "only the " + string(role) + " has it"
				items[item.Hash], order = item, append(order, item.Hash)
			case i == 1:
				before.Differs = differs(before, item)
			}
		}
	}
	out := make([]InboxItem, 0, len(order))
	for _, hash := range order {
		out = append(out, *items[hash])
	}
	return out, nil
}

func differs(court, custodian *InboxItem) string {
	var list []string
	if court.Denied != custodian.Denied {
		list = append(list, "only one of them has a denial")
	}
	if court.Approvals != custodian.Approvals {
		list = append(list, "they hold different numbers of approvals; send the decision again")
	}
	return strings.Join(list, "; ")
}

// maxAsked bounds what one keyholder can make a reader hold.
const maxAsked = 20_000

// readInbox follows Next until it stands still.
func readInbox(ctx context.Context, k Keyholder) ([]wire.Asked, error) {
	var all []wire.Asked
	from := int64(1)
	for n := 0; n < maxPages && len(all) <= maxAsked; n++ {
		page, err := k.Inbox(ctx, from)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Requests...)
		if page.Next <= from {
			return all, nil
		}
		from = page.Next
	}
	return nil, problem.New(problem.Unavailable, "a keyholder's inbox has no end; tell its operator")
}

// openAsked verifies what a keyholder shows as far as this person may see enrolments.
func (r *Reader) openAsked(role seal.Role, asked wire.Asked) (*InboxItem, error) {
	bad := func(cause error) error {
		return altered(role, cause, "a request in its inbox is not the one that its name says or was altered")
	}
	peek, err := record.Peek(asked.Statement)
	if err != nil {
		return nil, bad(err)
	}
	item := &InboxItem{Hash: peek.Hash, Author: cleaned(asked.Author), Denied: asked.Denied}
	if peek.Type != record.TypeRequest || peek.Hash.String() != asked.Hash {
		return nil, bad(nil)
	}
	if err := record.Unmarshal(peek.Payload, &item.Request); err != nil {
		return nil, bad(err)
	}
	if err := item.Request.Validate(); err != nil {
		return nil, bad(err)
	}
	if author, visible := r.person(peek.Author); visible {
		if _, err := record.Open(asked.Statement, record.TypeRequest, author.Key, nil); err != nil {
			return nil, bad(err)
		}
		item.Author, item.Verified, item.FromCourt = author.Name, true, author.FromCourtRoot()
	}
	return item, r.openDecisions(role, asked, item)
}

func (r *Reader) openDecisions(role seal.Role, asked wire.Asked, item *InboxItem) error {
	for _, raw := range asked.Approvals {
		peek, err := record.Peek(raw)
		var a record.Approval
		if err == nil {
			err = record.Unmarshal(peek.Payload, &a)
		}
		if author, visible := r.person(peek.Author); err == nil && visible {
			_, err = record.Open(raw, record.TypeApproval, author.Key, nil)
		}
		if err != nil || peek.Type != record.TypeApproval || a.Request != item.Hash {
			return altered(role, err, "a decision that it shows is for another request or was altered")
		}
		if a.Approve {
			item.Approvals++
		}
	}
	return nil
}

// decisionFile is what decisions/<request>.json holds.
type decisionFile struct {
	Statement string `json:"statement"`
}

// Decide signs an approval or denial of another's request, keeps it, and sends it to both keyholders. Deciding the same again sends
// the same statement, so a failure midway is repaired by deciding again.
func (r *Reader) Decide(ctx context.Context, hash record.Digest, approve bool, reason string) error {
	raw, err := r.decision(ctx, hash, approve, reason)
	if err != nil {
		return err
	}
	return r.both(ctx, func(ctx context.Context, _ seal.Role, k Keyholder) error { return k.Decide(ctx, raw) })
}

func (r *Reader) decision(ctx context.Context, hash record.Digest, approve bool, reason string) (string, error) {
	path := r.path("decisions", hash.String()+".json")
	if raw, ok := r.decided(path, hash, approve); ok {
		return raw, nil
	}
	shown, err := r.cfg.Court.Request(ctx, hash)
	if err != nil {
		return "", fail(seal.Court, err)
	}
	item, err := r.openAsked(seal.Court, shown)
	if err != nil {
		return "", err
	}
	if item.Hash != hash {
		return "", altered(seal.Court, nil, "it shows another request than the one asked for")
	}
	a := record.Approval{Approve: approve, Audience: r.cfg.Fingerprint, Expires: item.Request.Expires, Issued: r.now(), Reason: reason, Request: hash}
	_, _ = rand.Read(a.Nonce[:]) // crypto/rand does not fail
	if !a.Issued.Before(a.Expires) {
		return "", problem.New(problem.Gone, "the request has ended; nothing is left to decide")
	}
	if err := a.Validate(); err != nil {
		return "", err
	}
	raw, err := record.Sign(r.cfg.Identity, record.TypeApproval, r.now(), a)
	if err != nil {
		return "", err
	}
	content, err := record.Marshal(decisionFile{raw})
	if err != nil {
		return "", err
	}
	// Commit point: what is sent from here on is this statement, however often.
	return raw, r.write(path, content)
}

// decided gives the decision that was made before, if it says the same.
func (r *Reader) decided(path string, hash record.Digest, approve bool) (string, bool) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	var f decisionFile
	var a record.Approval
	if record.Unmarshal(raw, &f) != nil {
		return "", false
	}
	_, err = record.Open(f.Statement, record.TypeApproval, r.cfg.Identity.Public(), &a)
	same := err == nil && a.Request == hash && a.Approve == approve && a.Audience == r.cfg.Fingerprint && r.now().Before(a.Expires)
	return f.Statement, same
}

// learnPeople reads and verifies the enrolments that this person may see, at both keyholders: a joint statement proves itself, so
// whichever shows it will do.
func (r *Reader) learnPeople(ctx context.Context) error {
	var lists [2][]wire.EnrolledPerson
	err := r.both(ctx, func(ctx context.Context, role seal.Role, k Keyholder) error {
		list, err := k.People(ctx)
		lists[slices.Index(parties, role)] = list.People
		return err
	})
	if err != nil && problem.KindOf(err) != problem.Unavailable {
		return err
	}
	known, joints := map[record.KeyID]record.Enrolment{}, map[record.KeyID]record.Joint{}
	for _, p := range slices.Concat(lists[0], lists[1]) {
		if e, _, err := r.cfg.Trust.OpenEnrolment(r.cfg.Fingerprint, p.Enrolment); err == nil {
			known[e.Key.ID()], joints[e.Key.ID()] = e, p.Enrolment
		}
	}
	if len(known) == 0 && err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.people, known)
	maps.Copy(r.joints, joints)
	return nil
}

func (r *Reader) person(id record.KeyID) (record.Enrolment, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.people[id]
	return e, ok
}
