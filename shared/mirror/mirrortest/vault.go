// Package mirrortest is a vault in memory for tests of those who read from one: a
// real log with real witnesses' signatures, real packs, and the lies that a vault
// can tell. Nothing in it belongs in a product.
package mirrortest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/note"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
)

// Origin is the log's name.
const Origin = "vault.example/log"

// Pack is a stored pack with the opening of its log entry.
type Pack struct {
	wire.ListedPack
	Bytes []byte
}

// Vault answers like a vault. Its exported fields are what it shows; a test may change them to lie.
type Vault struct {
	Trust       record.Trust
	Fingerprint record.Digest
	Joint       record.Joint // the trust file
	Signers     map[string]*record.Signer
	Server      *httptest.Server

	mu        sync.Mutex
	Stored    []Pack // in order of listing
	Next      uint64
	Cosigning int // how many of the three witnesses cosign from now on
	Now       func() time.Time

	signer    note.Signer
	cosigners []*ledger.Cosigner
	verifier  *ledger.Verifier
	edge      *ledger.Edge
	tiles     map[string][]byte
	index     map[ledger.Entry]int64
}

// Key derives a key from a name, so that every run has the same.
func Key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("mirrortest " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// New makes a vault with three witnesses of which two must cosign.
func New(tb testing.TB, g seal.Geometry) *Vault {
	tb.Helper()
	v := &Vault{Next: 1, Cosigning: 3, Now: time.Now, tiles: map[string][]byte{}, index: map[ledger.Entry]int64{}, Signers: map[string]*record.Signer{}}
	signer, logKey, err := ledger.NewLogSigner(Origin, Key("log"))
	check(tb, err)
	v.signer = signer
	v.Trust = record.Trust{Issued: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), LogKey: logKey, LogOrigin: Origin,
		Pack: record.PackShape{Size: g.Size, Slots: g.Slots}, Quorum: 2, Version: 1}
	for i := range 3 {
		name := fmt.Sprintf("witness-%d.example", i+1)
		c, err := ledger.NewCosigner(name, Key(name))
		check(tb, err)
		v.cosigners, v.Trust.Witnesses = append(v.cosigners, c), append(v.Trust.Witnesses, c.VerifierKey())
	}
	v.parties(tb)
	v.edge, err = ledger.OpenEdge(ledger.Tree{Origin: Origin, Root: ledgerEmpty()}, nil)
	check(tb, err)
	loose := ledger.Policy{Origin: Origin, Log: logKey, Witnesses: v.Trust.Witnesses, Quorum: 1}
	v.verifier, err = ledger.NewVerifier(loose)
	check(tb, err)
	v.Server = httptest.NewServer(http.HandlerFunc(v.serve))
	tb.Cleanup(v.Server.Close)
	return v
}

func ledgerEmpty() [32]byte { return sha256.Sum256(nil) }

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (v *Vault) parties(tb testing.TB) {
	public := func(name string) record.PublicKey {
		s, err := record.SignerOf(Key(name))
		check(tb, err)
		v.Signers[name] = s
		return s.Public()
	}
	v.Trust.Court = record.PartyKeys{Online: public("court online"), Registrar: public("court registrar"), Root: public("court root")}
	v.Trust.Custodian = record.PartyKeys{Online: public("custodian online"), Registrar: public("custodian registrar"), Root: public("custodian root")}
	v.Resign(tb)
}

// Resign signs the trust file anew after a test has changed it, before anything else names it.
func (v *Vault) Resign(tb testing.TB) {
	tb.Helper()
	var err error
	v.Joint, err = record.SignJoint(record.TypeTrust, v.Trust.Issued, v.Trust, v.Signers["court root"], v.Signers["custodian root"])
	check(tb, err)
	st, err := record.Peek(v.Joint[0])
	check(tb, err)
	v.Fingerprint = record.HashBytes(st.Payload)
}

// Opening makes the event of a pack and the random value of its log entry.
func Opening(n uint64, pack []byte, g seal.Geometry) (event, random []byte) {
	d := seal.NewDigest(g)
	_, _ = d.Write(pack)
	slots, whole := d.Sums()
	body, _ := record.Marshal(record.PackEvent{Number: n, Pack: whole, Slots: slots})
	event, _ = record.Event{Author: "vault", Body: jsontext.Value(body), Kind: record.EventPack, Number: int64(n)}.Bytes()
	sum := sha256.Sum256(fmt.Appendf(nil, "random %d", n))
	return event, sum[:]
}

// Geometry is the shape of its packs.
func (v *Vault) Geometry() seal.Geometry {
	return seal.Geometry{Size: v.Trust.Pack.Size, Slots: v.Trust.Pack.Slots}
}

// Store takes a pack in under the next number, as if a collector had deposited it.
func (v *Vault) Store(pack []byte) uint64 {
	n := v.Next
	event, random := Opening(n, pack, v.Geometry())
	v.mu.Lock()
	v.Stored = append(v.Stored, Pack{wire.ListedPack{Event: event, Number: n, Random: random}, slices.Clone(pack)})
	v.Next++
	v.mu.Unlock()
	v.Log(ledger.Commit(ledger.Opening{Event: event, Random: [32]byte(random)}))
	return n
}

// Log appends an entry.
func (v *Vault) Log(e ledger.Entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.index[e] = v.edge.Size()
	next, objects := v.edge.Append([]ledger.Entry{e})
	v.edge = next
	for _, o := range objects {
		v.tiles[o.Tile.Path()] = o.Data
	}
}

func (v *Vault) tree() ledger.Tree {
	return ledger.Tree{Origin: Origin, Size: v.edge.Size(), Root: v.edge.Root()}
}

func (v *Vault) fetch(t ledger.Tile) ([]byte, error) {
	data, ok := v.tiles[t.Path()]
	if !ok {
		return nil, problem.New(problem.NotFound, "no such tile")
	}
	return data, nil
}

func (v *Vault) signed() ([]byte, error) {
	t := v.tree()
	raw, err := ledger.SignTree(t, v.signer)
	if err != nil {
		return nil, err
	}
	var list []ledger.Cosignature
	for _, c := range v.cosigners[:v.Cosigning] {
		list = append(list, c.Cosign(t, v.Now()))
	}
	out, _, err := v.verifier.Assemble(raw, list)
	return out, err
}

// Packs lists arrived packs.
func (v *Vault) Packs(_ context.Context, from uint64) (wire.Packs, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := wire.Packs{Next: v.Next, Packs: []wire.ListedPack{}}
	for _, p := range v.Stored {
		if p.Number >= from && len(out.Packs) < 99 {
			out.Packs = append(out.Packs, p.ListedPack)
		}
	}
	return out, nil
}

// Download gives the transfer of a pack.
func (v *Vault) Download(_ context.Context, n uint64) (store.Transfer, error) {
	return store.Transfer{Method: http.MethodGet, URL: v.Server.URL + "/object/" + strconv.FormatUint(n, 10), Header: http.Header{}}, nil
}

// Proof gives an entry's proof.
func (v *Vault) Proof(_ context.Context, e ledger.Entry) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	i, ok := v.index[e]
	if !ok {
		return nil, problem.New(problem.Unavailable, "the entry is pending")
	}
	path, err := ledger.ProveInclusion(v.tree(), i, ledger.Reader(v.tree(), v.fetch))
	if err != nil {
		return nil, err
	}
	signed, err := v.signed()
	return ledger.Proof{Index: i, Path: path, Checkpoint: signed}.Marshal(), err
}

// Checkpoint gives the newest.
func (v *Vault) Checkpoint(context.Context) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.signed()
}

// Tile gives a tile of the log.
func (v *Vault) Tile(_ context.Context, path string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	t, err := ledger.ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	return v.fetch(t)
}

// Consistency gives proof lines, a blank line and the newest checkpoint.
func (v *Vault) Consistency(_ context.Context, from int64) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	path, err := ledger.ProveConsistency(v.tree(), from, ledger.Reader(v.tree(), v.fetch))
	if err != nil {
		return nil, err
	}
	signed, err := v.signed()
	raw := ledger.Request{Old: from, Path: path, Checkpoint: signed}.Marshal()
	_, rest, _ := strings.Cut(string(raw), "\n")
	return []byte(rest), err
}

// serve is the object store and, for processes apart, the vault's HTTP side.
func (v *Vault) serve(w http.ResponseWriter, r *http.Request) {
	answer := func(b []byte, err error) {
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(map[string]string{"kind": string(problem.KindOf(err)), "detail": problem.MessageOf(err)})
			return
		}
		_, _ = w.Write(b)
	}
	number := func(s string) uint64 { n, _ := strconv.ParseUint(s, 10, 64); return n }
	path := r.URL.Path
	switch {
	case strings.HasPrefix(path, "/object/"):
		w.Header().Set("Content-Type", "application/octet-stream")
		answer(v.object(number(strings.TrimPrefix(path, "/object/"))), nil)
	case path == "/v1/packs":
		page, _ := v.Packs(r.Context(), number(r.URL.Query().Get("from")))
		answer(json.Marshal(page))
	case strings.HasPrefix(path, "/v1/packs/"):
		t, _ := v.Download(r.Context(), number(strings.TrimPrefix(path, "/v1/packs/")))
		answer(json.Marshal(wire.Transfer(t)))
	case strings.HasPrefix(path, "/v1/proofs/"):
		var e ledger.Entry
		d, _ := record.ParseDigest(strings.TrimPrefix(path, "/v1/proofs/"))
		copy(e[:], d[:])
		answer(v.Proof(r.Context(), e))
	case path == "/v1/checkpoint":
		answer(v.Checkpoint(r.Context()))
	case path == "/v1/consistency":
		answer(v.Consistency(r.Context(), int64(number(r.URL.Query().Get("from")))))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (v *Vault) object(n uint64) []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.Stored {
		if p.Number == n {
			return p.Bytes
		}
	}
	return nil
}
