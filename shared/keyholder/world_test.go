package keyholder_test

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/storetest"
	"arca.example/arca/shared/vault"
)

// world is a court, a custodian, a log with one witness, and people, in memory and in fake time.
type world struct {
	t         testing.TB
	mu        sync.Mutex
	at        time.Time
	behind    map[string]time.Duration // a party's clock error
	hash      record.Digest
	trust     record.Trust
	offices   map[string]*record.Signer // "court root", "custodian registrar" …
	rows      map[seal.Role]*storetest.Memory
	engines   map[seal.Role]store.Rows // in place of rows
	roots     map[seal.Role]keys.Roots
	keyholder map[seal.Role]*keyholder.Keyholder
	log       *vault.Ledger
	logDown   bool
	shows     []byte // an old checkpoint, in place of the newest
	witnesses bool   // cosign
	peerDown  bool
	peerSpent time.Duration              // processor time of the other keyholder's statuses
	peerSays  func(status string) string // replaces the other keyholder's status on the wire
	people    map[string]*record.Signer
}

var parties = []seal.Role{seal.Court, seal.Custodian}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, func(seal.Role) (store.Rows, keys.Roots) { return nil, nil })
}

// newWorldOn is newWorld with other rows than in memory and other roots than a key file, where place gives some.
func newWorldOn(t testing.TB, place func(seal.Role) (store.Rows, keys.Roots)) *world {
	t.Helper()
	w := &world{
		t: t, at: time.Date(2031, 1, 13, 9, 0, 0, 0, time.UTC), behind: map[string]time.Duration{}, witnesses: true,
		offices: map[string]*record.Signer{}, rows: map[seal.Role]*storetest.Memory{}, engines: map[seal.Role]store.Rows{}, roots: map[seal.Role]keys.Roots{},
		keyholder: map[seal.Role]*keyholder.Keyholder{}, people: map[string]*record.Signer{},
	}
	for _, party := range parties {
		for _, office := range []string{"root", "registrar"} {
			w.offices[string(party)+" "+office] = newSigner(t)
		}
		secret, err := keys.MachineSecret(keys.NewMachineSecret())
		must(t, err)
		w.roots[party], err = keys.CreateFile(t.TempDir()+"/roots.age", secret)
		must(t, err)
		w.rows[party] = storetest.NewMemory()
		w.engines[party] = w.rows[party]
		rows, roots := place(party)
		if rows != nil {
			w.engines[party] = rows
		}
		if roots != nil {
			w.roots[party] = roots
		}
		w.open(party, record.Digest{})
	}
	w.makeTrust()
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSigner(t testing.TB) *record.Signer {
	t.Helper()
	s, err := record.NewSigner()
	must(t, err)
	return s
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *world) clock(party string) func() time.Time {
	return func() time.Time { return w.now().Add(-w.behind[party]) }
}

// open starts a keyholder on its rows, as a new process would.
func (w *world) open(party seal.Role, fingerprint record.Digest) {
	w.t.Helper()
	other := map[seal.Role]seal.Role{seal.Court: seal.Custodian, seal.Custodian: seal.Court}[party]
	k, err := keyholder.Open(w.t.Context(), keyholder.Config{
		Party: party, Rows: w.engines[party], Roots: w.roots[party], Fingerprint: fingerprint, Now: w.clock(string(party)), Create: fingerprint.IsZero(),
		Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) { return worldLog{w}, worldPeer{w, other} },
	})
	must(w.t, err)
	w.keyholder[party] = k
}

// worldLog reaches the log without HTTP.
type worldLog struct{ w *world }

func (l worldLog) Add(ctx context.Context, entries ...ledger.Entry) error {
	if l.w.logDown {
		return problem.New(problem.Unavailable, "down")
	}
	return l.w.log.Add(ctx, entries)
}

func (l worldLog) Proof(ctx context.Context, e ledger.Entry) ([]byte, error) {
	if l.w.logDown {
		return nil, problem.New(problem.Unavailable, "down")
	}
	p, err := l.w.log.Proof(ctx, e)
	if err != nil {
		return nil, err
	}
	return p.Marshal(), nil
}

func (l worldLog) Checkpoint(ctx context.Context) ([]byte, error) {
	if l.w.logDown {
		return nil, problem.New(problem.Unavailable, "down")
	}
	if l.w.shows != nil {
		return l.w.shows, nil
	}
	raw, _, err := l.w.log.Checkpoint(ctx)
	return raw, err
}

// worldPeer reaches the other keyholder without HTTP.
type worldPeer struct {
	w     *world
	other seal.Role
}

func (p worldPeer) Status(ctx context.Context, nonce record.ID, chains ...record.Digest) (string, error) {
	if p.w.peerDown {
		return "", problem.New(problem.Unavailable, "down")
	}
	before := processor()
	status, _, err := p.w.keyholder[p.other].Status(ctx, nonce, chains...)
	p.w.peerSpent += processor() - before
	if err == nil && p.w.peerSays != nil {
		status = p.w.peerSays(status)
	}
	return status, err
}

func (p worldPeer) UnitKeys(ctx context.Context, chain record.Digest) ([]string, error) {
	return p.w.keyholder[p.other].UnitKeys(ctx, chain)
}

// worldWitness cosigns what it is shown while the world lets it.
type worldWitness struct {
	w   *world
	key *ledger.Cosigner
}

func (x worldWitness) Name() string { return "witness.test" }
func (x worldWitness) AddCheckpoint(_ context.Context, r ledger.Request) (string, error) {
	if !x.w.witnesses {
		return "", problem.New(problem.Unavailable, "asleep")
	}
	text, _, _ := strings.Cut(string(r.Checkpoint), "\n\n")
	tree, err := ledger.ParseTree(text + "\n")
	if err != nil {
		return "", err
	}
	return x.key.Cosign(tree, x.w.now()).Line, nil
}

func (w *world) makeTrust() {
	w.t.Helper()
	logKey, witnessKey := newSigner(w.t), newSigner(w.t)
	signer, vkey, err := ledger.NewLogSigner("log.test", logKey.Ed25519())
	must(w.t, err)
	cosigner, err := ledger.NewCosigner("witness.test", witnessKey.Ed25519())
	must(w.t, err)
	keysOf := func(party seal.Role) record.PartyKeys {
		return record.PartyKeys{
			Online: w.keyholder[party].Online(), Registrar: w.offices[string(party)+" registrar"].Public(), Root: w.offices[string(party)+" root"].Public(),
		}
	}
	w.trust = record.Trust{
		Court: keysOf(seal.Court), Custodian: keysOf(seal.Custodian), Installation: newID(), Issued: w.now(), LogKey: vkey, LogOrigin: "log.test",
		Pack: record.PackShape{Size: 1 << 20, Slots: 8}, Quorum: 1, Version: 1, Witnesses: []string{cosigner.VerifierKey()},
	}
	joint, err := record.SignJoint(record.TypeTrust, w.now(), w.trust, w.offices["court root"], w.offices["custodian root"])
	must(w.t, err)
	var again record.Trust
	w.hash, err = joint.Open(record.TypeTrust, &again, w.trust.Court.Root, w.trust.Custodian.Root)
	must(w.t, err)
	policy := ledger.Policy{Origin: "log.test", Log: vkey, Witnesses: w.trust.Witnesses, Quorum: 1}
	w.log, err = vault.NewLedger(storetest.NewMemory(), storetest.NewMemoryBlobs(), signer, policy, []vault.Witness{worldWitness{w, cosigner}}, w.now)
	must(w.t, err)
	for _, party := range parties {
		w.open(party, w.hash)
		must(w.t, w.keyholder[party].PutTrust(w.t.Context(), record.TrustLink{Trust: joint}))
	}
}

func newID() record.ID {
	var id record.ID
	_, _ = rand.Read(id[:])
	return id
}

// sequence publishes a fresh checkpoint.
func (w *world) sequence() {
	w.t.Helper()
	if _, err := w.log.Sequence(w.t.Context()); err != nil && w.witnesses {
		w.t.Fatal(err)
	}
}

// enrol registers a person at both keyholders.
func (w *world) enrol(name string, e record.Enrolment) *record.Signer {
	w.t.Helper()
	s := newSigner(w.t)
	joint := w.enrolment(s, name, e)
	for _, party := range parties {
		_, err := w.keyholder[party].Enrol(w.t.Context(), joint)
		must(w.t, err)
	}
	w.people[name] = s
	return s
}

func (w *world) enrolment(s *record.Signer, name string, e record.Enrolment) record.Joint {
	w.t.Helper()
	e.Key, e.Name, e.Audience, e.Issued, e.Expires = s.Public(), name, w.hash, w.now(), w.now().AddDate(1, 0, 0)
	signers := []*record.Signer{w.offices["court registrar"], w.offices["custodian registrar"]}
	if e.FromCourtRoot() {
		signers = []*record.Signer{w.offices["court root"]}
	}
	joint, err := record.SignJoint(record.TypeEnrolment, w.now(), e, signers...)
	must(w.t, err)
	return joint
}

// cast enrols everybody that the tests need.
func (w *world) cast() *world {
	w.enrol("judge", record.Enrolment{Roles: []record.Role{record.Judge}, Court: "Court One", Clearance: "secret"})
	w.enrol("clerk", record.Enrolment{Roles: []record.Role{record.Clerk}, Court: "Court One", Clearance: "secret"})
	w.enrol("investigator", record.Enrolment{Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit A", Clearance: "secret"})
	w.enrol("supervisor", record.Enrolment{Roles: []record.Role{record.Supervisor}, PoliceUnit: "Unit A", Clearance: "secret"})
	w.enrol("stranger", record.Enrolment{Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit B", Clearance: "secret"})
	w.enrol("auditor", record.Enrolment{Roles: []record.Role{record.Auditor}, Clearance: "secret"})
	w.enrol("collector", record.Enrolment{Roles: []record.Role{record.Collector}})
	return w
}

func (w *world) order() record.Order {
	now := w.now()
	return record.Order{
		Audience: w.hash, Kind: record.Authorisation, Profile: "ES-588ter", Court: "Court One", Case: "case-1", PoliceUnit: "Unit A",
		Classification: "restricted", Decided: now, Capture: record.Window{From: now, Until: now.AddDate(0, 1, 0)}, AccessEnd: now.AddDate(0, 2, 0),
		Scope:   record.Scope{Identifiers: []record.Identifier{{Kind: "msisdn", Value: "+12025550111"}}, Kinds: []string{"call", "message"}},
		Grounds: record.Grounds{Offence: "an offence", Indicia: "indicia", Persons: []string{"a person"}, Extent: "content", Motivation: "reasons", Duration: "1 month", Purpose: "a purpose", Obliged: "an operator"},
		Reports: record.Reports{Form: "written", EveryDays: 15}, Nonce: newID(),
	}
}

func (w *world) sign(who string, typ record.Type, v any) string {
	w.t.Helper()
	raw, err := record.Sign(w.people[who], typ, w.now(), v)
	must(w.t, err)
	return raw
}

// admit signs an order and admits it at both keyholders.
func (w *world) admit(o record.Order) record.Digest {
	w.t.Helper()
	raw := w.sign("judge", record.TypeOrder, o)
	for _, party := range parties {
		_, err := w.keyholder[party].Admit(w.t.Context(), raw)
		must(w.t, err)
	}
	if o.Chain.IsZero() {
		return record.HashStatement(raw)
	}
	return o.Chain
}

func (w *world) person(party seal.Role, name string) keyholder.Person {
	w.t.Helper()
	p, err := w.keyholder[party].Person(w.t.Context(), w.people[name].Public().ID())
	must(w.t, err)
	return p
}

// unit is the chain's unit of this week, with keys at both keyholders.
func (w *world) unit(chain record.Digest) (seal.Unit, map[seal.Role]record.UnitKey) {
	return w.unitIn(chain, "main")
}

func (w *world) unitIn(chain record.Digest, compartment string) (seal.Unit, map[seal.Role]record.UnitKey) {
	w.t.Helper()
	return w.keyed(seal.Unit{Order: chain, Week: seal.WeekOf(w.now()), Compartment: compartment, Classification: "restricted"})
}

func (w *world) keyed(u seal.Unit) (seal.Unit, map[seal.Role]record.UnitKey) {
	w.t.Helper()
	keysOf := map[seal.Role]record.UnitKey{}
	for range 2 { // the second round completes what the first has published
		for _, party := range parties {
			raw, _, err := w.keyholder[party].EnsureUnits(w.t.Context(), u)
			must(w.t, err)
			list, err := record.OpenUnitKeys(raw, &w.trust, w.hash, string(party), w.now())
			must(w.t, err)
			keysOf[party] = list[0]
		}
	}
	return u, keysOf
}

// batch seals recordings and files their notes at both keyholders.
type batch struct {
	unit   seal.Unit
	signed *seal.Signed
}

func (w *world) batch(chain record.Digest, previous seal.Statement, contents ...string) *batch {
	return w.batchIn(chain, "main", previous, contents...)
}

func (w *world) batchIn(chain record.Digest, compartment string, previous seal.Statement, contents ...string) *batch {
	w.t.Helper()
	u, keysOf := w.unitIn(chain, compartment)
	b := w.sealBatch(u, keysOf, previous, contents...)
	for _, party := range parties {
		_, _, err := w.keyholder[party].FileNotes(w.t.Context(), w.person(party, "collector"), b.note(w.t, party))
		must(w.t, err)
	}
	return b
}

func (w *world) sealBatch(u seal.Unit, keysOf map[seal.Role]record.UnitKey, previous seal.Statement, contents ...string) *batch {
	return w.sealBatchAs("collector", u, keysOf, previous, contents...)
}

func (w *world) sealBatchAs(author string, u seal.Unit, keysOf map[seal.Role]record.UnitKey, previous seal.Statement, contents ...string) *batch {
	w.t.Helper()
	court, err := seal.ParsePublicKey(keysOf[seal.Court].Key)
	must(w.t, err)
	custodian, err := seal.ParsePublicKey(keysOf[seal.Custodian].Key)
	must(w.t, err)
	b, err := seal.NewBatch(u, court, custodian)
	must(w.t, err)
	var descriptors []seal.Descriptor
	offset := uint32(8 * seal.SlotSize)
	for _, content := range contents {
		r, err := b.Recording()
		must(w.t, err)
		e, err := r.Encryptor()
		must(w.t, err)
		ciphertext, err := e.AppendSegment(nil, []byte(content), true)
		must(w.t, err)
		d, err := r.Describe(seal.Places{{Pack: 1, Offset: offset, Length: uint32(len(ciphertext))}}, []byte(`{"kind":"call"}`))
		must(w.t, err)
		offset += uint32(len(ciphertext))
		descriptors = append(descriptors, d)
	}
	signed, err := b.Sign(w.people[author].Ed25519(), previous, descriptors)
	must(w.t, err)
	return &batch{u, signed}
}

func (b *batch) note(t testing.TB, party seal.Role) []byte {
	t.Helper()
	n, err := b.signed.Note(party)
	must(t, err)
	return n.Bytes()
}

func (b *batch) reference(i int) record.Reference {
	return record.Reference{Batch: record.ID(b.signed.Statement.Batch), Recording: record.ID(b.signed.Members[i].Recording)}
}

// ask is a request of the investigator's for one recording's content, with its key's seed.
func (w *world) ask(b *batch, change ...func(*record.Request)) (raw string, seed seal.Seed) {
	w.t.Helper()
	seed = seal.NewSeed()
	key, err := seal.NewUnitKey(seed)
	must(w.t, err)
	r := record.Request{
		Audience: w.hash, Chain: b.unit.Order, Class: "content", Classification: "restricted", Compartment: "main", Week: b.unit.Week,
		Issued: w.now(), Expires: w.now().Add(24 * time.Hour), Key: key.PublicKey().Bytes(), Nonce: newID(), Purpose: "identify the caller",
		Recordings: []record.Reference{b.reference(0)},
	}
	who := "investigator"
	for _, f := range change {
		f(&r)
	}
	if name, ok := strings.CutPrefix(r.Purpose, "as "); ok {
		who = name
	}
	return w.sign(who, record.TypeRequest, r), seed
}

func (w *world) approval(who string, request record.Digest, approve bool) string {
	return w.sign(who, record.TypeApproval, record.Approval{
		Approve: approve, Audience: w.hash, Issued: w.now(), Expires: w.now().Add(24 * time.Hour), Nonce: newID(), Reason: "considered", Request: request,
	})
}

// send files a request, and an approval by each of approvers, at both keyholders and has them sequenced.
func (w *world) send(raw string, approvers ...string) record.Digest {
	w.t.Helper()
	hash := record.HashStatement(raw)
	for _, party := range parties {
		_, err := w.keyholder[party].Ask(w.t.Context(), raw)
		must(w.t, err)
	}
	for _, name := range approvers {
		approval := w.approval(name, hash, true)
		for _, party := range parties {
			must(w.t, w.keyholder[party].Decide(w.t.Context(), approval))
		}
	}
	w.sequence()
	return hash
}

func (w *world) release(party seal.Role, who string, hash record.Digest) (record.Release, error) {
	w.t.Helper()
	raw, err := w.keyholder[party].Release(w.t.Context(), w.person(party, who), hash, 0)
	if err != nil {
		return record.Release{}, err
	}
	var r record.Release
	_, err = record.Open(raw, record.TypeRelease, w.keyholder[party].Online(), &r)
	return r, err
}

// refused demands that both keyholders refuse with the kind and a message that contains the words.
func (w *world) refused(hash record.Digest, kind problem.Kind, words string) {
	w.t.Helper()
	for _, party := range parties {
		_, err := w.release(party, "investigator", hash)
		if err == nil || problem.KindOf(err) != kind || !strings.Contains(problem.MessageOf(err), words) {
			w.t.Errorf("%s: got %v (%s), want %s: …%s…", party, err, problem.KindOf(err), kind, words)
		}
	}
}

func (p worldPeer) Destroying(ctx context.Context, nonce record.ID, chain, decision record.Digest) (string, error) {
	if p.w.peerDown {
		return "", problem.New(problem.Unavailable, "down")
	}
	return p.w.keyholder[p.other].Destroying(ctx, nonce, chain, decision)
}
