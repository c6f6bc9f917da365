package reader

import (
	"bytes"
	"context"
	"crypto/hpke"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// AskInput is what a person asks for.
type AskInput struct {
	Chain       record.Digest      // order; may be zero when Recordings were listed
	Week        string             // ISO week; may be empty when Recordings were listed
	Class       seal.Class         // index or content
	Compartment string             // "" means main
	Recordings  []seal.RecordingID // none: the whole unit. Each must have been listed.
	References  []record.Reference // the same for what was not, by the judge's decision that names it
	Purpose     string
	Term        time.Duration // 0: a day; never past the order's access end
}

// Asked is where a request stands.
type Asked struct {
	Hash     record.Digest
	Request  record.Request
	Provable bool   // both keyholders find it, with its approvals, in the witnessed log
	Waiting  string // what it waits for; "" when provable
}

// defaultTerm is how long a request lasts when nobody says.
const defaultTerm = 24 * time.Hour

// requestFile is what requests/<hash>.json holds.
type requestFile struct {
	Seed      []byte `json:"seed"`
	Statement string `json:"statement"`
}

// grant is a request of one's own with its key.
type grant struct {
	hash    record.Digest
	raw     string
	request record.Request
	seed    seal.Seed
	key     hpke.PrivateKey
}

func (g *grant) unit() seal.Unit {
	q := &g.request
	return seal.Unit{Order: q.Chain, Week: q.Week, Compartment: q.Compartment, Classification: q.Classification}
}

func (g *grant) covers(id seal.RecordingID, batch seal.BatchID) bool {
	if len(g.request.Recordings) == 0 {
		return true
	}
	return slices.Contains(g.request.Recordings, record.Reference{Batch: record.ID(batch), Recording: record.ID(id)})
}

// Ask makes a request with a fresh key, keeps it, sends it to both keyholders, and waits until both find it in the
// witnessed log or patience ends. When sending fails midway the request stays kept and Send takes it up.
func (r *Reader) Ask(ctx context.Context, in AskInput) (Asked, error) {
	q, err := r.draft(ctx, in)
	if err != nil {
		return Asked{}, err
	}
	seed := seal.NewSeed()
	defer clear(seed[:])
	key, err := seal.NewUnitKey(seed)
	if err != nil {
		return Asked{}, err
	}
	q.Key = key.PublicKey().Bytes()
	if err := q.Validate(); err != nil {
		return Asked{}, err
	}
	raw, err := record.Sign(r.cfg.Identity, record.TypeRequest, r.now(), q)
	if err != nil {
		return Asked{}, err
	}
	hash := record.HashStatement(raw)
	content, err := record.Marshal(requestFile{Seed: seed[:], Statement: raw})
	if err != nil {
		return Asked{}, err
	}
	// Commit point: from here on the request can be sent again, and what it is answered can be opened.
	if err := r.write(r.requestPath(hash), content); err != nil {
		return Asked{}, err
	}
	return r.Send(ctx, hash)
}

// draft fills a request from what was asked, from the order, and from what was listed.
func (r *Reader) draft(ctx context.Context, in AskInput) (*record.Request, error) {
	q := &record.Request{Audience: r.cfg.Fingerprint, Chain: in.Chain, Class: string(in.Class), Compartment: in.Compartment,
		Issued: r.now(), Purpose: in.Purpose, Week: in.Week}
	_, _ = rand.Read(q.Nonce[:]) // crypto/rand does not fail
	if !in.Class.Valid() {
		return nil, problem.New(problem.Invalid, "ask for --class index (who, when, how long) or content")
	}
	if err := r.refer(q, in.Recordings); err != nil {
		return nil, err
	}
	q.Recordings = append(q.Recordings, in.References...)
	if q.Compartment == "" {
		q.Compartment = "main"
	}
	order, err := r.cfg.Court.Order(ctx, q.Chain)
	if err != nil {
		return nil, fail(seal.Court, err)
	}
	if q.Classification, err = classificationOf(order.Members); err != nil {
		return nil, err
	}
	term := in.Term
	if term == 0 {
		term = defaultTerm
	}
	q.Expires = record.Second(q.Issued.Add(term))
	if in.Term == 0 && order.AccessEnd.After(q.Issued) && order.AccessEnd.Before(q.Expires) {
		q.Expires = record.Second(order.AccessEnd)
	}
	return q, (seal.Unit{Order: q.Chain, Week: q.Week, Compartment: q.Compartment, Classification: q.Classification}).Check()
}

// refer turns listed recordings into references and takes the unit from them.
func (r *Reader) refer(q *record.Request, ids []seal.RecordingID) error {
	for _, id := range ids {
		e, err := r.listed(id.String())
		if err != nil {
			return err
		}
		u := e.unit
		if q.Chain.IsZero() {
			q.Chain = u.Order
		}
		if q.Week == "" {
			q.Week = u.Week
		}
		if q.Compartment == "" {
			q.Compartment = u.Compartment
		}
		if q.Chain != record.Digest(u.Order) || q.Week != u.Week || q.Compartment != u.Compartment {
			return problem.New(problem.Invalid, "the recordings are of several orders or weeks; ask once for each")
		}
		q.Recordings = append(q.Recordings, record.Reference{Batch: e.Batch, Recording: e.Recording})
	}
	return nil
}

// Refer turns recordings that were listed here into references, as members of an order name them. All are of the chain.
func (r *Reader) Refer(chain record.Digest, ids ...seal.RecordingID) ([]record.Reference, error) {
	var list []record.Reference
	for _, id := range ids {
		e, err := r.listed(id.String())
		if err != nil {
			return nil, err
		}
		if record.Digest(e.unit.Order) != chain {
			return nil, problem.New(problem.Invalid, "a recording is of another order than the one you named")
		}
		list = append(list, record.Reference{Batch: e.Batch, Recording: e.Recording})
	}
	return list, nil
}

// Reference gives the batch of a recording that was listed, and its unit. id may be the beginning of one.
func (r *Reader) Reference(id string) (record.Reference, seal.Unit, error) {
	e, err := r.listed(id)
	return record.Reference{Batch: e.Batch, Recording: e.Recording}, e.unit, err
}

// classificationOf reads the chain's classification. Nothing is relied on: keyholders hold the request against their own copy.
func classificationOf(members []string) (string, error) {
	bad := problem.New(problem.Unavailable, "the court's answer shows no order; try again, and tell its operator if it stays so")
	if len(members) == 0 {
		return "", bad
	}
	st, err := record.Peek(members[0])
	if err != nil {
		return "", bad
	}
	var o record.Order
	if err := record.Unmarshal(st.Payload, &o); err != nil {
		return "", bad
	}
	return o.Classification, nil
}

// Send hands a kept request to both keyholders, again if need be, and waits as Ask does. A request that a keyholder
// refuses for good is forgotten with its key: no half could ever come for it.
func (r *Reader) Send(ctx context.Context, hash record.Digest) (Asked, error) {
	g, err := r.load(hash)
	if err != nil {
		return Asked{}, err
	}
	err = r.both(ctx, func(ctx context.Context, _ seal.Role, k Keyholder) error {
		_, err := k.Ask(ctx, g.raw)
		return err
	})
	if err != nil {
		if kind := problem.KindOf(err); kind == problem.Denied || kind == problem.Invalid || kind == problem.Gone {
			return Asked{}, withCleanup(err, r.forget(hash))
		}
		return Asked{}, err
	}
	return r.await(ctx, g)
}

// withCleanup keeps the first error and reports a failed cleanup only when it is all there is.
func withCleanup(err, cleanup error) error {
	if err == nil {
		return cleanup
	}
	return err
}

// await looks until both keyholders find the request provable, or patience ends.
func (r *Reader) await(ctx context.Context, g *grant) (Asked, error) {
	out := Asked{Hash: g.hash, Request: g.request}
	deadline := time.Now().Add(r.cfg.Patience)
	for attempt := 0; ; attempt++ {
		var waits [2]bool
		err := r.both(ctx, func(ctx context.Context, role seal.Role, k Keyholder) error {
			shown, err := k.Request(ctx, g.hash)
			waits[slices.Index(parties, role)] = !shown.Provable
			return err
		})
		if err != nil {
			return out, err
		}
		if waits == [2]bool{} {
			out.Provable, out.Waiting = true, ""
			return out, nil
		}
		out.Waiting = waitingText(waits)
		if time.Now().After(deadline) {
			return out, nil
		}
		if err := pause(ctx, attempt); err != nil {
			return out, err
		}
	}
}

func waitingText(waits [2]bool) string {
	var who []string
	for i, w := range waits {
		if w {
			who = append(who, string(parties[i]))
		}
	}
	return "sent; the request is not yet under a witnessed checkpoint for the " + strings.Join(who, " and the ") + ", which takes a minute at most while the witnesses answer"
}

func (r *Reader) requestPath(hash record.Digest) string {
	return r.path("requests", hash.String()+".json")
}

func (r *Reader) listingPath(hash record.Digest) string {
	return r.path("cache", "listing-"+hash.String())
}

// load reads a request of one's own and checks that key, author and name are its own.
func (r *Reader) load(hash record.Digest) (*grant, error) {
	raw, err := os.ReadFile(r.requestPath(hash))
	if os.IsNotExist(err) {
		return nil, problem.New(problem.NotFound, "you have no such request here; it ended, or was made on another machine: ask again")
	}
	if err != nil {
		return nil, failed(err)
	}
	damaged := func(cause error) error {
		return problem.Wrap(problem.Invalid, cause, "the file of request %s is damaged; remove it and ask again", hash.Short())
	}
	var f requestFile
	if err := record.Unmarshal(raw, &f); err != nil {
		return nil, damaged(err)
	}
	clear(raw)
	g := &grant{raw: f.Statement}
	st, err := record.Open(f.Statement, record.TypeRequest, r.cfg.Identity.Public(), &g.request)
	if err != nil {
		return nil, damaged(err)
	}
	if g.hash = st.Hash; st.Hash != hash || len(f.Seed) != len(g.seed) || g.request.Audience != r.cfg.Fingerprint {
		return nil, damaged(nil)
	}
	copy(g.seed[:], f.Seed)
	clear(f.Seed)
	if g.key, err = seal.NewUnitKey(g.seed); err != nil {
		return nil, damaged(err)
	}
	if !bytes.Equal(g.key.PublicKey().Bytes(), g.request.Key) {
		return nil, damaged(nil)
	}
	return g, nil
}

// grants gives one's own requests that have not ended, newest first. Damaged files are left for load to name.
func (r *Reader) grants() ([]*grant, error) {
	hashes, err := r.requestHashes()
	if err != nil {
		return nil, err
	}
	var list []*grant
	for _, hash := range hashes {
		g, err := r.load(hash)
		if err == nil && r.now().Before(g.request.Expires) {
			list = append(list, g)
		}
	}
	slices.SortStableFunc(list, func(a, b *grant) int { return b.request.Issued.Compare(a.request.Issued) })
	return list, nil
}

func (r *Reader) requestHashes() ([]record.Digest, error) {
	files, err := os.ReadDir(r.path("requests"))
	if err != nil {
		return nil, failed(err)
	}
	var hashes []record.Digest
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".json")
		if hash, err := record.ParseDigest(name); ok && err == nil {
			hashes = append(hashes, hash)
		}
	}
	return hashes, nil
}

// Requests lists one's own requests that have not ended, newest first.
func (r *Reader) Requests() ([]Asked, error) {
	list, err := r.grants()
	if err != nil {
		return nil, err
	}
	var out []Asked
	for _, g := range list {
		out = append(out, Asked{Hash: g.hash, Request: g.request})
	}
	return out, nil
}

// Expire erases the keys of requests that have ended, and with them what was listed under them. It gives how many.
func (r *Reader) Expire() (int, error) {
	hashes, err := r.requestHashes()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, hash := range hashes {
		g, err := r.load(hash)
		if err != nil || r.now().Before(g.request.Expires) {
			continue
		}
		if err := r.forget(hash); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// forget overwrites and removes a request's key, then what was sealed under it. The key goes first: without it the rest is noise.
func (r *Reader) forget(hash record.Digest) error {
	path := r.requestPath(hash)
	if info, err := os.Stat(path); err == nil {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return failed(err)
		}
		_, err = f.Write(make([]byte, info.Size()))
		if err == nil {
			err = f.Sync()
		}
		if closing := f.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return failed(err)
		}
	}
	for _, p := range []string{path, r.listingPath(hash)} {
		if err := os.Remove(p); err != nil && !os.IsNotExist(err) {
			return failed(err)
		}
	}
	return syncDir(filepath.Dir(path))
}
