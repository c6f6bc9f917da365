package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/store"
)

// Client calls one party. Signer may be nil for calls that need no proof.
type Client struct {
	Base   string // the party's origin, no trailing slash
	HTTP   *http.Client
	Signer *record.Signer
	Now    func() time.Time
}

// SignCall adds a proof of possession to an outgoing call.
func SignCall(s *record.Signer, r *http.Request, body []byte, now time.Time) error {
	proof, err := record.SignProof(s, r.Method, r.URL.String(), body, now)
	if err == nil {
		r.Header.Set(record.ProofHeader, proof)
	}
	return err
}

// do makes one call. body nil sends none; a string or []byte is sent as it is, anything else as JSON. into may be
// *[]byte for an answer that is not JSON.
func (c *Client) do(ctx context.Context, method, path string, body, into any) error {
	raw, kind, err := encode(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(raw))
	if err != nil {
		return problem.Wrap(problem.Invalid, err, "the party's address is not a URL")
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("User-Agent", "arca")
	if c.Signer != nil {
		if err := SignCall(c.Signer, req, raw, c.Now()); err != nil {
			return err
		}
	}
	once := *c.HTTP
	// A party does not move: following a redirect would let it choose which addresses its callers reach from where they stand.
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := once.Do(req)
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the party cannot be reached; check that it runs and try again")
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, MaxAnswer+1))
	if err != nil || len(answer) > MaxAnswer {
		return problem.Wrap(problem.Unavailable, err, "the party's answer broke off or is too large; try again")
	}
	if res.StatusCode >= 300 {
		return refusal(res.StatusCode, answer)
	}
	return decode(answer, into)
}

func encode(body any) (raw []byte, kind string, err error) {
	switch b := body.(type) {
	case nil:
		return nil, "", nil
	case []byte:
		return b, "application/octet-stream", nil
	case string:
		return []byte(b), "application/jose", nil
	}
	raw, err = json.Marshal(body)
	return raw, "application/json", err
}

func decode(answer []byte, into any) error {
	switch v := into.(type) {
	case nil:
		return nil
	case *[]byte:
		*v = answer
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the party's answer is not what this version understands; update arca")
	}
	return nil
}

// kinds are those that a party may answer with.
var kinds = []problem.Kind{problem.Invalid, problem.Denied, problem.NotFound, problem.Conflict, problem.Gone, problem.Unavailable, problem.Internal}

// refusal turns a problem document back into the error that it was made from. What is not one plain line is dropped: people
// will read it in a terminal.
func refusal(status int, answer []byte) error {
	var p struct {
		Kind   problem.Kind `json:"kind"`
		Detail string       `json:"detail"`
	}
	if json.Unmarshal(answer, &p) != nil || !plain(p.Kind, p.Detail) {
		return problem.New(problem.Unavailable, "the party answered with status %d and no explanation; try again", status)
	}
	return problem.New(p.Kind, "%s", p.Detail)
}

// plain tells whether a refusal is one plain line of a kind that exists.
func plain(kind problem.Kind, detail string) bool {
	return slices.Contains(kinds, kind) && detail != "" && len(detail) <= 1000 && !strings.Contains(detail, "\n") && record.CheckText(detail) == nil
}

// refusals places what was refused of count things in a call: nil for each that was not.
func refusals(list []Refused, count int) ([]error, error) {
	errs := make([]error, count)
	for _, r := range list {
		if r.Index < 0 || r.Index >= count || errs[r.Index] != nil || !plain(r.Kind, r.Detail) {
			return nil, problem.New(problem.Unavailable, "the party's answer is not what this version understands; update arca")
		}
		errs[r.Index] = problem.New(r.Kind, "%s", r.Detail)
	}
	return errs, nil
}

// Vault calls the vault.
type Vault struct{ Client }

// Identity reads the log's key and the packs' shape.
func (v *Vault) Identity(ctx context.Context) (out VaultIdentity, err error) {
	return out, v.do(ctx, "GET", "/v1/vault", nil, &out)
}

// PutTrust hands over a trust file.
func (v *Vault) PutTrust(ctx context.Context, link record.TrustLink) error {
	return v.do(ctx, "PUT", "/v1/vault/trust", link, nil)
}

// Admit registers a principal.
func (v *Vault) Admit(ctx context.Context, joint record.Joint) error {
	return v.do(ctx, "POST", "/v1/principals", joint, nil)
}

// Reserve gets count consecutive pack numbers.
func (v *Vault) Reserve(ctx context.Context, nonce record.ID, count int) (uint64, error) {
	var out Reserved
	err := v.do(ctx, "POST", "/v1/packs", Reserve{Count: count, Nonce: nonce.String()}, &out)
	return out.First, err
}

// Upload announces a pack and gives the transfer that stores it.
func (v *Vault) Upload(ctx context.Context, n uint64, pack, slots record.Digest) (store.Transfer, error) {
	var out Transfer
	err := v.do(ctx, "POST", "/v1/packs/"+strconv.FormatUint(n, 10)+"/upload", Announce{Pack: pack.String(), Slots: slots.String()}, &out)
	return store.Transfer(out), err
}

// Arrived confirms that a pack was stored.
func (v *Vault) Arrived(ctx context.Context, n uint64) error {
	return v.do(ctx, "POST", "/v1/packs/"+strconv.FormatUint(n, 10)+"/arrived", nil, nil)
}

// Packs lists arrived packs from a number on.
func (v *Vault) Packs(ctx context.Context, from uint64) (out Packs, err error) {
	return out, v.do(ctx, "GET", "/v1/packs?from="+strconv.FormatUint(from, 10), nil, &out)
}

// Download gives the transfer of a whole pack.
func (v *Vault) Download(ctx context.Context, n uint64) (store.Transfer, error) {
	var out Transfer
	err := v.do(ctx, "GET", "/v1/packs/"+strconv.FormatUint(n, 10), nil, &out)
	return store.Transfer(out), err
}

// Add hands entries to the log; it implements keyholder.Log.
func (v *Vault) Add(ctx context.Context, entries ...ledger.Entry) error {
	var list Entries
	for _, e := range entries {
		list.Entries = append(list.Entries, e.String())
	}
	return v.do(ctx, "POST", "/v1/entries", list, nil)
}

// Proof gives an entry's tlog-proof; problem.Conflict while it is pending.
func (v *Vault) Proof(ctx context.Context, entry ledger.Entry) (out []byte, err error) {
	return out, v.do(ctx, "GET", "/v1/proofs/"+entry.String(), nil, &out)
}

// Checkpoint gives the newest cosigned checkpoint.
func (v *Vault) Checkpoint(ctx context.Context) (out []byte, err error) {
	return out, v.do(ctx, "GET", "/v1/checkpoint", nil, &out)
}

// Consistency gives the C2SP consistency proof lines between two tree sizes.
func (v *Vault) Consistency(ctx context.Context, from int64) (out []byte, err error) {
	return out, v.do(ctx, "GET", "/v1/consistency?from="+strconv.FormatInt(from, 10), nil, &out)
}

// Tile gives a tile or entry bundle by its C2SP path.
func (v *Vault) Tile(ctx context.Context, path string) (out []byte, err error) {
	return out, v.do(ctx, "GET", "/v1/"+path, nil, &out)
}

// Stamps lists timestamps from a number on.
func (v *Vault) Stamps(ctx context.Context, from uint64) (out Stamps, err error) {
	return out, v.do(ctx, "GET", "/v1/stamps?from="+strconv.FormatUint(from, 10), nil, &out)
}

// Scrub tells how far the vault has read everything again, what it found, and its repairs from a number on.
func (v *Vault) Scrub(ctx context.Context, from uint64) (out Scrub, err error) {
	return out, v.do(ctx, "GET", "/v1/scrub?from="+strconv.FormatUint(from, 10), nil, &out)
}

// Keyholder calls court or custodian.
type Keyholder struct{ Client }

// Identity reads its party and online key.
func (k *Keyholder) Identity(ctx context.Context) (out KeyholderIdentity, err error) {
	return out, k.do(ctx, "GET", "/v1/keyholder", nil, &out)
}

// PutTrust hands over a trust file.
func (k *Keyholder) PutTrust(ctx context.Context, link record.TrustLink) error {
	return k.do(ctx, "PUT", "/v1/trust", link, nil)
}

// Trust reads every trust file, of which nothing is verified.
func (k *Keyholder) Trust(ctx context.Context) (record.TrustChain, error) {
	var out TrustFiles
	err := k.do(ctx, "GET", "/v1/trust", nil, &out)
	return out.Files, err
}

// Enrol registers a person or machine.
func (k *Keyholder) Enrol(ctx context.Context, joint record.Joint) error {
	return k.do(ctx, "POST", "/v1/people", joint, nil)
}

// People lists enrolments that the caller may see.
func (k *Keyholder) People(ctx context.Context) (out People, err error) {
	return out, k.do(ctx, "GET", "/v1/people", nil, &out)
}

// Suspend takes a person out of service.
func (k *Keyholder) Suspend(ctx context.Context, statement string) error {
	return k.do(ctx, "POST", "/v1/suspensions", statement, nil)
}

// Log reads a case's events from a number on; the zero case is the party's general journal.
func (k *Keyholder) Log(ctx context.Context, chain record.Digest, from int64) (out Log, err error) {
	return out, k.do(ctx, "GET", "/v1/log?case="+chain.String()+"&from="+strconv.FormatInt(from, 10), nil, &out)
}

// Admit sends an order.
func (k *Keyholder) Admit(ctx context.Context, statement string) (out Order, err error) {
	return out, k.do(ctx, "POST", "/v1/orders", statement, &out)
}

// Orders lists all chains that concern the caller, page by page.
func (k *Keyholder) Orders(ctx context.Context) (out Orders, err error) {
	for {
		var page Orders
		if err := k.do(ctx, "GET", "/v1/orders?from="+strconv.Itoa(out.Next), nil, &page); err != nil {
			return out, err
		}
		if page.Next <= out.Next && page.Next < page.Total {
			return out, problem.New(problem.Unavailable, "the party's list of orders does not go on; update arca or tell its operator")
		}
		out.Orders, out.Next, out.Total = append(out.Orders, page.Orders...), page.Next, page.Total
		if page.Next >= page.Total {
			return out, nil
		}
	}
}

// Order gives one chain with its members and units.
func (k *Keyholder) Order(ctx context.Context, chain record.Digest) (out Order, err error) {
	return out, k.do(ctx, "GET", "/v1/orders/"+chain.String(), nil, &out)
}

// Status gives the signed status of chains over a nonce; it implements keyholder.Peer.
func (k *Keyholder) Status(ctx context.Context, nonce record.ID, chains ...record.Digest) (string, error) {
	var out Statuses
	err := k.do(ctx, "POST", "/v1/status", statusAsk(nonce, chains, false), &out)
	return out.Statement, err
}

// StatusAndMembers is Status with the chains' members beside it, as Statuses has them.
func (k *Keyholder) StatusAndMembers(ctx context.Context, nonce record.ID, chains ...record.Digest) (string, [][]string, error) {
	var out Statuses
	if err := k.do(ctx, "POST", "/v1/status", statusAsk(nonce, chains, true), &out); err != nil {
		return "", nil, err
	}
	if len(out.Members) != len(chains) {
		return "", nil, problem.New(problem.Unavailable, "the party's answer is not what this version understands; update arca")
	}
	return out.Statement, out.Members, nil
}

func statusAsk(nonce record.ID, chains []record.Digest, members bool) StatusAsk {
	ask := StatusAsk{Members: members, Nonce: nonce.String()}
	for _, chain := range chains {
		ask.Chains = append(ask.Chains, chain.String())
	}
	return ask
}

// UnitKeys gives the signed unit keys of a chain; it implements keyholder.Peer.
func (k *Keyholder) UnitKeys(ctx context.Context, chain record.Digest) ([]string, error) {
	var out SignedList
	err := k.do(ctx, "GET", "/v1/units?chain="+url.QueryEscape(chain.String()), nil, &out)
	return out.Statements, err
}

// Destroying gives the other keyholder's word on a decision to destroy; it implements keyholder.Peer.
func (k *Keyholder) Destroying(ctx context.Context, nonce record.ID, chain, decision record.Digest) (string, error) {
	var out Signed
	err := k.do(ctx, "POST", "/v1/destroying", DestroyingAsk{Chain: chain.String(), Decision: decision.String(), Nonce: nonce.String()}, &out)
	return out.Statement, err
}

// Units asks for the keys of up to record.MaxUnitKeys units, which are made where the order covers them. refused has for each unit nil,
// if the statement names it, or why not.
func (k *Keyholder) Units(ctx context.Context, asks ...UnitAsk) (statement string, refused []error, err error) {
	var out UnitKeys
	if err := k.do(ctx, "POST", "/v1/units", UnitsAsk{Units: asks}, &out); err != nil {
		return "", nil, err
	}
	refused, err = refusals(out.Refused, len(asks))
	return out.Statement, refused, err
}

// FileNotes files up to MaxNotes batch notes of up to MaxNotesBytes. It gives for each its receipt, or why it is not on file. An error of the
// call says nothing of any note.
func (k *Keyholder) FileNotes(ctx context.Context, notes ...[]byte) (receipts []string, refused []error, err error) {
	var out Receipts
	if err := k.do(ctx, "POST", "/v1/notes", JoinNotes(notes...), &out); err != nil {
		return nil, nil, err
	}
	if len(out.Receipts) != len(notes) {
		return nil, nil, problem.New(problem.Unavailable, "the party's answer is not what this version understands; update arca")
	}
	refused, err = refusals(out.Refused, len(notes))
	return out.Receipts, refused, err
}

// FileNote is FileNotes for one.
func (k *Keyholder) FileNote(ctx context.Context, note []byte) (string, error) {
	receipts, refused, err := k.FileNotes(ctx, note)
	if err != nil {
		return "", err
	}
	return receipts[0], refused[0]
}

// FileAct hands over what a reader says they did with what was released to them.
func (k *Keyholder) FileAct(ctx context.Context, statement string) error {
	return k.do(ctx, "POST", "/v1/acts", statement, nil)
}

// CloseUnit hands over a collector's word that nothing more of a unit will come.
func (k *Keyholder) CloseUnit(ctx context.Context, statement string) error {
	return k.do(ctx, "POST", "/v1/closings", statement, nil)
}

// Destructions lists what was ordered to be destroyed of a chain, and what became of it.
func (k *Keyholder) Destructions(ctx context.Context, chain record.Digest) (out Destructions, err error) {
	return out, k.do(ctx, "GET", "/v1/destructions?chain="+url.QueryEscape(chain.String()), nil, &out)
}

// Destroy has the keyholder carry out what may be destroyed now, instead of at its next tick.
func (k *Keyholder) Destroy(ctx context.Context) error {
	return k.do(ctx, "POST", "/v1/destructions", DestroyAsk{}, nil)
}

// FileRefusal reports what a collector did not seal.
func (k *Keyholder) FileRefusal(ctx context.Context, statement string) error {
	return k.do(ctx, "POST", "/v1/refusals", statement, nil)
}

// Ask sends a request.
func (k *Keyholder) Ask(ctx context.Context, statement string) (out Named, err error) {
	return out, k.do(ctx, "POST", "/v1/requests", statement, &out)
}

// Decide sends an approval or denial.
func (k *Keyholder) Decide(ctx context.Context, statement string) error {
	return k.do(ctx, "POST", "/v1/approvals", statement, nil)
}

// Inbox lists requests from a number on.
func (k *Keyholder) Inbox(ctx context.Context, from int64) (out Inbox, err error) {
	return out, k.do(ctx, "GET", "/v1/requests?from="+strconv.FormatInt(from, 10), nil, &out)
}

// Notices lists what the caller was told of the clocks of their orders, page by page.
func (k *Keyholder) Notices(ctx context.Context) (out Notices, err error) {
	for {
		var page Notices
		if err := k.do(ctx, "GET", "/v1/notices?from="+strconv.Itoa(out.Next), nil, &page); err != nil {
			return out, err
		}
		if page.Next <= out.Next && page.Next < page.Total {
			return out, problem.New(problem.Unavailable, "the party's list of notices does not go on; update arca or tell its operator")
		}
		out.Notices, out.Next, out.Total = append(out.Notices, page.Notices...), page.Next, page.Total
		if page.Next >= page.Total {
			return out, nil
		}
	}
}

// FileReport hands over a report with its content and this keyholder's share.
func (k *Keyholder) FileReport(ctx context.Context, file ReportFile) (out Named, err error) {
	return out, k.do(ctx, "POST", "/v1/reports", file, &out)
}

// Reports lists what was reported on a chain.
func (k *Keyholder) Reports(ctx context.Context, chain record.Digest) (out Reports, err error) {
	return out, k.do(ctx, "GET", "/v1/reports?chain="+chain.String(), nil, &out)
}

// Report gives one report.
func (k *Keyholder) Report(ctx context.Context, hash record.Digest) (out Report, err error) {
	return out, k.do(ctx, "GET", "/v1/reports/"+hash.String(), nil, &out)
}

// Request shows one request.
func (k *Keyholder) Request(ctx context.Context, hash record.Digest) (out Asked, err error) {
	return out, k.do(ctx, "GET", "/v1/requests/"+hash.String(), nil, &out)
}

// Release asks for halves from a position on; the answer is a signed release.
func (k *Keyholder) Release(ctx context.Context, request record.Digest, from int) (string, error) {
	var out Signed
	err := k.do(ctx, "POST", "/v1/releases", ReleaseAsk{From: from, Request: request.String()}, &out)
	return out.Statement, err
}
