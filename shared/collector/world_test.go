package collector

import (
	"bytes"
	"context"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"crypto/ed25519"

	"arca.example/arca/shared/law"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
	"github.com/go-json-experiment/json/jsontext"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func at(s string) time.Time { return must(time.Parse(time.RFC3339, s)) }

var (
	decided = at("2026-11-02T08:00:00Z")
	now     = at("2026-11-22T12:00:00Z")
	until   = at("2026-12-20T00:00:00Z")
	line1   = record.Identifier{Kind: "msisdn", Value: "+12025550101"}
)

// world is an installation whose every key follows from a label, so that another process has the same one.
type world struct {
	trust     *record.Trust
	joint     record.Joint
	hash      record.Digest
	keys      map[string]*record.Signer
	enrolment record.Joint
	vault     *fakeVault
	court     *fakeKeyholder
	custodian *fakeKeyholder
	now       func() time.Time
}

func signerOf(label string) *record.Signer {
	sum := sha256.Sum256([]byte(label))
	return must(record.SignerFromSeed(sum[:]))
}

func seedOf(parts ...string) seal.Seed { return sha256.Sum256([]byte(strings.Join(parts, "|"))) }

func newWorld(g seal.Geometry) *world {
	w := &world{keys: map[string]*record.Signer{}, now: func() time.Time { return now }}
	for _, name := range []string{"court root", "court registrar", "court online", "custodian root", "custodian registrar", "custodian online", "judge", "collector"} {
		w.keys[name] = signerOf(name)
	}
	party := func(name string) record.PartyKeys {
		return record.PartyKeys{Online: w.keys[name+" online"].Public(), Registrar: w.keys[name+" registrar"].Public(), Root: w.keys[name+" root"].Public()}
	}
	logSigner, logKey, err := ledger.NewLogSigner("vault.example/log", signerOf("log").Ed25519())
	if err != nil {
		panic(err)
	}
	cosigner := must(ledger.NewCosigner("witness.example", signerOf("witness").Ed25519()))
	w.trust = &record.Trust{Court: party("court"), Custodian: party("custodian"), Issued: decided, LogKey: logKey, LogOrigin: "vault.example/log",
		Pack: record.PackShape{Size: g.Size, Slots: g.Slots}, Quorum: 1, Version: 1, Witnesses: []string{cosigner.VerifierKey()}}
	w.joint = must(record.SignJoint(record.TypeTrust, decided, w.trust, w.keys["court root"], w.keys["custodian root"]))
	w.hash = record.HashBytes(must(record.Marshal(w.trust)))
	w.enrolment = must(record.SignJoint(record.TypeEnrolment, decided, record.Enrolment{Audience: w.hash, Expires: until, Issued: decided,
		Key: w.keys["collector"].Public(), Name: "collector 1", Roles: []record.Role{record.Collector}}, w.keys["court registrar"], w.keys["custodian registrar"]))
	w.vault = &fakeVault{w: w, g: g, next: 1, signer: logSigner, cosigner: cosigner, verifier: must(ledger.VerifierOf(w.trust)),
		nonces: map[record.ID]uint64{}, packs: map[uint64]*fakePack{}}
	w.court, w.custodian = newFakeKeyholder(w, seal.Court), newFakeKeyholder(w, seal.Custodian)
	return w
}

// config gives a collector's configuration over this world.
func (w *world) config(folder string) Config {
	return Config{Folder: folder, Signer: w.keys["collector"], Trust: record.TrustChain{{Trust: w.joint}}, Fingerprint: w.hash, Vault: w.vault, Court: w.court, Custodian: w.custodian,
		HTTP: &http.Client{Transport: w.vault}, Now: w.now}
}

// order signs a lawful order and has both keyholders admit it.
func (w *world) order(label string, change func(*record.Order)) record.Digest {
	o := record.Order{Kind: record.Authorisation, Profile: "ES-588ter", Court: "Court of Instruction 1 of Villarriba", Case: "DP 0001/2026", Classification: "confidential",
		PoliceUnit: "Unit 7", Decided: decided, Capture: record.Window{From: decided, Until: until}, AccessEnd: at("2027-06-01T00:00:00Z"), Audience: w.hash,
		Grounds: record.Grounds{Offence: "fraud", Indicia: "transfers on file", Persons: []string{"not known"}, Extent: "content and traffic data",
			Motivation: "necessity, proportionality", Duration: "until 20 December", Purpose: "to identify the organisers", Obliged: "Operator One"},
		Reports: record.Reports{Form: "recordings", EveryDays: 15},
		Scope:   record.Scope{Identifiers: []record.Identifier{line1}, Kinds: []string{"call", "message", "session"}}}
	nonce := seedOf(label)
	o.Nonce = record.ID(nonce[:16])
	if change != nil {
		change(&o)
	}
	raw := must(record.Sign(w.keys["judge"], record.TypeOrder, decided, o))
	chain := record.HashStatement(raw)
	w.court.chains[chain], w.custodian.chains[chain] = []string{raw}, []string{raw}
	return chain
}

// fakeKeyholder does what a keyholder does for a collector, with real keys and signatures and no storage.
type fakeKeyholder struct {
	acts []string // filed, each once

	mu     sync.Mutex
	w      *world
	role   seal.Role
	chains map[record.Digest][]string
	notes  map[seal.BatchID][]byte
	last   map[string]seal.Statement // unit and collector
	units  map[seal.Unit]bool
	fail   func(call string) error // nil: nothing fails
	skew   time.Duration
	filed  int
	asked  int                  // calls for status, units and notes
	says   func(*record.Status) // alters what a status says before it is signed

	refusals map[record.Digest]bool // statements, by hash
	told     []string               // where batches lie
	listed   []string               // what UnitKeys gives
	closings map[record.Digest]bool
}

func newFakeKeyholder(w *world, role seal.Role) *fakeKeyholder {
	return &fakeKeyholder{w: w, role: role, chains: map[record.Digest][]string{}, notes: map[seal.BatchID][]byte{}, last: map[string]seal.Statement{}, units: map[seal.Unit]bool{}}
}

func (k *fakeKeyholder) failing(call string) error {
	if k.fail == nil {
		return nil
	}
	return k.fail(call)
}

func (k *fakeKeyholder) signer() *record.Signer { return k.w.keys[string(k.role)+" online"] }
func (k *fakeKeyholder) now() time.Time         { return record.Second(k.w.now().Add(k.skew)) }

func (k *fakeKeyholder) state(chain record.Digest) law.State {
	var members []law.Member
	for _, raw := range k.chains[chain] {
		var o record.Order
		st := must(record.Open(raw, record.TypeOrder, k.w.keys["judge"].Public(), &o))
		members = append(members, law.Member{Hash: st.Hash, Order: o})
	}
	return must(law.Read(members))
}

func (k *fakeKeyholder) Order(ctx context.Context, chain record.Digest) (wire.Order, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return wire.Order{Chain: chain.String(), Members: k.chains[chain]}, k.failing("order")
}

func (k *fakeKeyholder) Status(ctx context.Context, nonce record.ID, chains ...record.Digest) (string, error) {
	raw, _, err := k.StatusAndMembers(ctx, nonce, chains...)
	return raw, err
}

func (k *fakeKeyholder) StatusAndMembers(ctx context.Context, nonce record.ID, chains ...record.Digest) (string, [][]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if err := k.failing("status"); err != nil {
		return "", nil, err
	}
	s := record.Status{Audience: k.w.hash, Issued: k.now(), Nonce: nonce, Party: string(k.role)}
	var members [][]string
	for _, chain := range chains {
		one := record.ChainStatus{Chain: chain, State: "unknown"}
		if len(k.chains[chain]) > 0 {
			state := k.state(chain)
			one.Capture, one.AccessEnd, one.Head, one.Stops, one.State = state.Capture, state.AccessEnd, state.Head, setDigest(state.Stops), state.Word(k.now())
		}
		s.Chains, members = append(s.Chains, one), append(members, k.chains[chain])
	}
	if k.says != nil {
		k.says(&s)
	}
	raw, err := record.Sign(k.signer(), record.TypeStatus, k.now(), s)
	return raw, members, err
}

func unitSeed(role seal.Role, u seal.Unit) seal.Seed {
	return seedOf("unit", string(role), string(u.Bytes()))
}
func findSeed(u seal.Unit) seal.Seed            { return seedOf("find", string(u.Bytes())) }
func privateKey(seed seal.Seed) hpke.PrivateKey { return must(seal.NewUnitKey(seed)) }

func (k *fakeKeyholder) Units(ctx context.Context, asks ...wire.UnitAsk) (string, []error, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if err := k.failing("unit"); err != nil {
		return "", nil, err
	}
	list, refused := record.UnitKeys{Audience: k.w.hash, Issued: k.now(), Party: string(k.role)}, make([]error, len(asks))
	for i, ask := range asks {
		if refused[i] = k.failing("unit " + ask.Chain); refused[i] == nil {
			list.Keys = append(list.Keys, k.unitKey(ask))
		}
	}
	raw, err := record.Sign(k.signer(), record.TypeUnitKeys, k.now(), list)
	return raw, refused, err
}

func (k *fakeKeyholder) unitKey(ask wire.UnitAsk) record.UnitKey {
	chain := must(record.ParseDigest(ask.Chain))
	u := seal.Unit{Order: chain, Week: ask.Week, Compartment: ask.Compartment, Classification: ask.Classification}
	out := record.UnitKey{Chain: chain, Classification: u.Classification, Compartment: u.Compartment,
		Key: privateKey(unitSeed(k.role, u)).PublicKey().Bytes(), Week: u.Week}
	if find := privateKey(findSeed(u)).PublicKey().Bytes(); k.role == seal.Court {
		out.FindKey = find
	} else if k.units[u] { // like the real one: complete only when asked again
		out.FindHeld = record.HashBytes(find)
	}
	k.units[u] = true
	return out
}

func (k *fakeKeyholder) FileAct(_ context.Context, statement string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if st, err := record.Peek(statement); err == nil && st.Type == record.TypeDeposited {
		if !slices.Contains(k.told, statement) {
			k.told = append(k.told, statement)
		}
		return k.failing("deposited")
	}
	if !slices.Contains(k.acts, statement) {
		k.acts = append(k.acts, statement)
	}
	return nil
}

func (k *fakeKeyholder) CloseUnit(ctx context.Context, statement string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.failing("close unit"); err != nil {
		return err
	}
	if k.closings == nil {
		k.closings = map[record.Digest]bool{}
	}
	k.closings[record.HashStatement(statement)] = true
	return nil
}

func (k *fakeKeyholder) UnitKeys(context.Context, record.Digest) ([]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.listed, nil
}

func (k *fakeKeyholder) FileRefusal(ctx context.Context, statement string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.failing("refusal"); err != nil {
		return err
	}
	if k.refusals == nil {
		k.refusals = map[record.Digest]bool{}
	}
	k.refusals[record.HashStatement(statement)] = true
	return nil
}

func (k *fakeKeyholder) FileNotes(ctx context.Context, raws ...[]byte) ([]string, []error, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if err := k.failing("note"); err != nil {
		return nil, nil, err
	}
	receipts, refused := make([]string, len(raws)), make([]error, len(raws))
	for i, raw := range raws {
		receipts[i], refused[i] = k.fileNote(raw)
	}
	if err := k.failing("note landed"); err != nil {
		return nil, nil, err
	}
	return receipts, refused, nil
}

func (k *fakeKeyholder) fileNote(raw []byte) (string, error) {
	n, err := seal.ParseNote(raw)
	if err != nil {
		return "", err
	}
	pub := k.w.keys["collector"].Public().Ed25519()
	if other := k.w.keys["collector 2"]; other != nil && n.Statement.Collector == seal.NewCollectorID(other.Public().Ed25519()) {
		pub = other.Public().Ed25519()
	}
	if err := n.Verify(pub); err != nil || n.Role != k.role {
		panic(fmt.Sprint("a note that does not verify: ", err))
	}
	st := n.Statement
	if err := k.failing("note of " + record.Digest(st.Unit.Order).String()); err != nil {
		return "", err
	}
	secret := must(seal.OpenBatch(k.role, privateKey(unitSeed(k.role, st.Unit)), st.Batch, st.Unit, n.Sealed))
	if err := n.CheckSecret(secret); err != nil {
		panic(err)
	}
	author := string(st.Unit.Bytes()) + st.Collector.String()
	if before, ok := k.notes[st.Batch]; ok {
		if !bytes.Equal(before, raw) {
			panic("two notes for one batch")
		}
	} else {
		last, ok := k.last[author]
		if st.Number != 1 && (!ok || !st.Follows(last)) || st.Number == 1 && ok {
			return "", problem.New(problem.Conflict, "the collector's batch before this one is missing here")
		}
		k.last[author], k.notes[st.Batch] = st, bytes.Clone(raw)
		k.filed++
	}
	receipts, err := record.SignReceipts(k.signer(), k.now(), record.Receipt{Audience: k.w.hash, Issued: k.now(), Party: string(k.role)}, record.Digest(st.Hash()))
	if err != nil {
		return "", err
	}
	return receipts[0], nil
}

func (k *fakeKeyholder) People(ctx context.Context) (wire.People, error) {
	return wire.People{People: []wire.EnrolledPerson{{Enrolment: k.w.enrolment, Key: k.w.keys["collector"].Public().ID().String()}}}, k.failing("people")
}

// fakeVault keeps packs and a real log in memory. It panics when an object would be overwritten.
type fakeVault struct {
	mu       sync.Mutex
	w        *world
	g        seal.Geometry
	next     uint64
	nonces   map[record.ID]uint64
	packs    map[uint64]*fakePack
	hashes   []tlog.Hash
	size     int64
	signer   note.Signer
	cosigner *ledger.Cosigner
	verifier *ledger.Verifier
	fail     func(call string) error
	discard  bool // keep no pack bytes
	puts     int
}

type fakePack struct {
	pack, slots record.Digest
	bytes       []byte
	stored      bool
	event       []byte
	random      [32]byte
	index       int64
}

func (v *fakeVault) failing(call string) error {
	if v.fail == nil {
		return nil
	}
	return v.fail(call)
}

func (v *fakeVault) Reserve(ctx context.Context, nonce record.ID, count int) (uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.failing("reserve"); err != nil {
		return 0, err
	}
	if n, ok := v.nonces[nonce]; ok {
		return n, nil
	}
	first := v.next
	v.next += uint64(count)
	v.nonces[nonce] = first
	for n := first; n < v.next; n++ {
		v.packs[n] = &fakePack{}
	}
	return first, v.failing("reserve landed")
}

func (v *fakeVault) Upload(ctx context.Context, n uint64, pack, slots record.Digest) (store.Transfer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.failing("upload"); err != nil {
		return store.Transfer{}, err
	}
	p := v.packs[n]
	if p == nil {
		p = &fakePack{} // reserved from this vault before it was restarted
		v.packs[n] = p
	}
	if p.event != nil && (p.pack != pack || p.slots != slots) {
		return store.Transfer{}, problem.New(problem.Conflict, "another pack has arrived under this number")
	}
	p.pack, p.slots = pack, slots
	return store.Transfer{Method: "PUT", URL: fmt.Sprintf("http://objects.example/%d", n), Header: http.Header{"X-Sum": {pack.String()}, "If-None-Match": {"*"}}}, nil
}

// RoundTrip is the object store.
func (v *fakeVault) RoundTrip(r *http.Request) (*http.Response, error) {
	defer r.Body.Close() // as every RoundTripper must
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	answer := func(status int) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
	}
	if err := v.failing("put"); err != nil {
		return nil, err
	}
	var n uint64
	fmt.Sscanf(r.URL.Path, "/%d", &n)
	p := v.packs[n]
	sum := record.Digest(sha256.Sum256(body))
	if len(body) != v.g.Size || r.ContentLength != int64(len(body)) || r.Header.Get("X-Sum") != sum.String() || r.Header.Get("Authorization") != "" {
		return answer(400)
	}
	if p.stored {
		return answer(412)
	}
	p.stored = true
	v.puts++
	if !v.discard {
		p.bytes = body
	}
	if err := v.failing("put landed"); err != nil {
		return nil, err
	}
	return answer(200)
}

func (v *fakeVault) Arrived(ctx context.Context, n uint64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.failing("arrived"); err != nil {
		return err
	}
	p := v.packs[n]
	if p == nil || !p.stored {
		return problem.New(problem.NotFound, "no such object")
	}
	if p.event != nil {
		return nil
	}
	p.event = packEvent(n, p.pack, p.slots)
	p.random = sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	p.index = v.append(ledger.Commit(ledger.Opening{Event: p.event, Random: p.random}))
	return v.failing("arrived landed")
}

func packEvent(n uint64, pack, slots record.Digest) []byte {
	body := must(record.Marshal(record.PackEvent{Number: n, Pack: pack, Slots: slots}))
	return must(record.Event{Author: "vault", Body: jsontext.Value(body), Kind: record.EventPack, Number: int64(n)}.Bytes())
}

func (v *fakeVault) append(e ledger.Entry) int64 {
	stored := must(tlog.StoredHashesForRecordHash(v.size, e.Leaf(), v.reader()))
	v.hashes = append(v.hashes, stored...)
	v.size++
	return v.size - 1
}

func (v *fakeVault) reader() tlog.HashReaderFunc {
	return func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, v.hashes[i])
		}
		return out, nil
	}
}

func (v *fakeVault) Packs(ctx context.Context, from uint64) (wire.Packs, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := wire.Packs{Next: v.next}
	for n := from; v.packs[n] != nil && v.packs[n].event != nil && len(out.Packs) < 99; n++ {
		out.Packs = append(out.Packs, wire.ListedPack{Event: v.packs[n].event, Number: n, Random: v.packs[n].random[:]})
	}
	return out, v.failing("packs")
}

func (v *fakeVault) Proof(ctx context.Context, entry ledger.Entry) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.failing("proof"); err != nil {
		return nil, err
	}
	for _, p := range v.packs {
		if p.event == nil || ledger.Commit(ledger.Opening{Event: p.event, Random: p.random}) != entry {
			continue
		}
		tree := ledger.Tree{Origin: "vault.example/log", Size: v.size, Root: must(tlog.TreeHash(v.size, v.reader()))}
		signed := must(ledger.SignTree(tree, v.signer))
		cosigned, _, err := v.verifier.Assemble(signed, []ledger.Cosignature{v.cosigner.Cosign(tree, v.w.now())})
		if err != nil {
			return nil, err
		}
		return ledger.Proof{Index: p.index, Path: must(tlog.ProveRecord(v.size, p.index, v.reader())), Checkpoint: cosigned}.Marshal(), nil
	}
	return nil, problem.New(problem.NotFound, "no such entry")
}

// ReadPack makes the vault a seal.Source.
func (v *fakeVault) ReadPack(number uint64, offset uint32, dst []byte) error {
	p := v.packs[number]
	if p == nil || int(offset)+len(dst) > len(p.bytes) {
		return fmt.Errorf("no such range")
	}
	copy(dst, p.bytes[offset:])
	return nil
}

// opened is a recording as a reader with every key gets it.
type opened struct {
	description record.Description
	content     []byte
	batch       seal.BatchID
	unit        seal.Unit
}

// open goes through all arrived packs the way of readers, with the units of the chains, checks everything, and gives all recordings.
func (w *world) open(tb testing.TB, units ...seal.Unit) map[record.ID]opened {
	tb.Helper()
	out := map[record.ID]opened{}
	for n, p := range w.vault.packs {
		if p.event == nil {
			continue
		}
		if sha256.Sum256(p.bytes) != p.pack || sha256.Sum256(p.bytes[:w.vault.g.Slots*seal.SlotSize]) != p.slots {
			tb.Fatalf("pack %d is not what was announced", n)
		}
		for i := range w.vault.g.Slots {
			for _, u := range units {
				slot, err := seal.OpenSlot(privateKey(findSeed(u)), n, i, p.bytes[i*seal.SlotSize:(i+1)*seal.SlotSize])
				if err == nil {
					w.openBatch(tb, u, slot, p.bytes, out)
				}
			}
		}
	}
	return out
}

func (w *world) openBatch(tb testing.TB, u seal.Unit, slot seal.Slot, pack []byte, out map[record.ID]opened) {
	tb.Helper()
	list, err := slot.OpenDescriptors(pack[slot.Area.Offset:slot.Area.Offset+slot.Area.Length], w.collectorKey)
	if err != nil {
		tb.Fatal(err)
	}
	secrets := map[seal.Role]seal.BatchSecret{}
	for _, role := range []seal.Role{seal.Court, seal.Custodian} {
		secrets[role] = must(seal.OpenBatch(role, privateKey(unitSeed(role, u)), slot.Batch, u, slot.Sealed(role)))
	}
	for _, d := range list.Descriptors {
		if err := d.Places.Within(w.vault.g); err != nil {
			tb.Fatal(err)
		}
		ctx := seal.ContextOf(d.Recording, slot.Batch, u)
		key := map[seal.Class]seal.RecordingKey{}
		for _, class := range []seal.Class{seal.IndexClass, seal.ContentClass} {
			key[class] = must(seal.Combine(class, ctx, d.Commitments, seal.DeriveHalf(secrets[seal.Court], seal.Court, class, ctx),
				seal.DeriveHalf(secrets[seal.Custodian], seal.Custodian, class, ctx)))
		}
		o := opened{batch: slot.Batch, unit: u}
		if err := record.Unmarshal(must(seal.OpenDescription(key[seal.IndexClass], ctx, d.Description)), &o.description); err != nil {
			tb.Fatal(err)
		}
		content := must(seal.NewContent(key[seal.ContentClass], ctx, d.Places, w.vault))
		var buf bytes.Buffer
		if _, err := content.WriteVerified(&buf, key[seal.ContentClass], ctx, [32]byte(o.description.Digest)); err != nil {
			tb.Fatal(err)
		}
		if int64(buf.Len()) != o.description.Length {
			tb.Fatal("another length than described")
		}
		o.content = buf.Bytes()
		if _, twice := out[record.ID(d.Recording)]; twice {
			tb.Fatal("one recording twice")
		}
		out[record.ID(d.Recording)] = o
	}
}

func (w *world) collectorKey(id seal.CollectorID) (ed25519.PublicKey, error) {
	for _, name := range []string{"collector", "collector 2"} {
		if k := w.keys[name]; k != nil && seal.NewCollectorID(k.Public().Ed25519()) == id {
			return k.Public().Ed25519(), nil
		}
	}
	return nil, fmt.Errorf("unknown collector")
}

// call describes a covered call in the week of day (of November 2026).
func call(name string, day int) record.Description {
	start := time.Date(2026, 11, day, 9, 0, 0, 0, time.UTC)
	return record.Description{Codec: "bytes", End: start.Add(time.Minute), From: line1.Value, Kind: "call", Name: name, Start: start, To: "+12025550199"}
}

// item makes an item of bytes.
func item(chain record.Digest, name string, day int, content []byte) Item {
	return Item{Chain: chain, Description: call(name, day), Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
}

// pattern gives n bytes that differ everywhere.
func pattern(n int, salt uint32) []byte {
	b := make([]byte, n)
	x := salt*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func unitOf(chain record.Digest, day int) seal.Unit {
	return seal.Unit{Order: chain, Week: seal.WeekOf(time.Date(2026, 11, day, 9, 0, 0, 0, time.UTC)), Compartment: "main", Classification: "confidential"}
}

func openCollector(tb testing.TB, cfg Config) *Collector {
	tb.Helper()
	c, err := Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// memoryFolder is a folder in memory where there is one: crashes are simulated, so there is nothing to wait for a disk for.
func memoryFolder(tb testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "arca-test-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
