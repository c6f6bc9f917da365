package custody

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store/storetest"
	"arca.example/arca/shared/vault"
)

// world is a case: two journals in a log with one witness, written as keyholders write them.
type world struct {
	t       testing.TB
	at      time.Time
	trust   record.Trust
	hash    record.Digest
	offices map[string]*record.Signer
	people  map[string]*record.Signer
	log     *vault.Ledger
	witness *ledger.Cosigner
	in      Input
	events  map[string][]record.Event
	random  map[string][][32]byte
	request record.Digest
	refs    []record.Reference
	begun   record.Digest
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newID() (id record.ID) {
	_, _ = rand.Read(id[:])
	return id
}

// Name is the witness's.
func (w *world) Name() string { return "witness.test" }

// AddCheckpoint makes the world its log's witness.
func (w *world) AddCheckpoint(_ context.Context, r ledger.Request) (string, error) {
	text, _, _ := strings.Cut(string(r.Checkpoint), "\n\n")
	tree, err := ledger.ParseTree(text + "\n")
	if err != nil {
		return "", err
	}
	return w.witness.Cosign(tree, w.at).Line, nil
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, at: time.Date(2031, 1, 13, 9, 0, 0, 0, time.UTC), offices: map[string]*record.Signer{}, people: map[string]*record.Signer{},
		events: map[string][]record.Event{}, random: map[string][][32]byte{}}
	signer := func() *record.Signer {
		s, err := record.NewSigner()
		must(t, err)
		return s
	}
	for _, name := range []string{"court root", "court registrar", "court online", "custodian root", "custodian registrar", "custodian online"} {
		w.offices[name] = signer()
	}
	keysOf := func(party string) record.PartyKeys {
		return record.PartyKeys{Online: w.offices[party+" online"].Public(), Registrar: w.offices[party+" registrar"].Public(), Root: w.offices[party+" root"].Public()}
	}
	logSigner, vkey, err := ledger.NewLogSigner("log.test", signer().Ed25519())
	must(t, err)
	w.witness, err = ledger.NewCosigner("witness.test", signer().Ed25519())
	must(t, err)
	w.trust = record.Trust{Court: keysOf("court"), Custodian: keysOf("custodian"), Installation: newID(), Issued: w.at, LogKey: vkey, LogOrigin: "log.test",
		Pack: record.PackShape{Size: 1 << 20, Slots: 8}, Quorum: 1, Version: 1, Witnesses: []string{w.witness.VerifierKey()}}
	w.hash = record.Digest{7}
	policy := ledger.Policy{Origin: "log.test", Log: vkey, Witnesses: w.trust.Witnesses, Quorum: 1}
	w.log, err = vault.NewLedger(storetest.NewMemory(), storetest.NewMemoryBlobs(), logSigner, policy, []vault.Witness{w}, func() time.Time { return w.at })
	must(t, err)
	w.in.Verifier, err = ledger.NewVerifier(policy)
	must(t, err)
	w.in.Trust, w.in.Audience = w.trust, w.hash
	for name, role := range map[string]record.Role{"judge": record.Judge, "ana": record.Investigator, "boss": record.Supervisor, "machine": record.Collector} {
		w.enrol(name, record.Enrolment{Name: name, Roles: []record.Role{role}, Court: "Court One", Clearance: "secret"})
	}
	return w
}

func (w *world) enrol(key string, e record.Enrolment) {
	w.t.Helper()
	s, err := record.NewSigner()
	must(w.t, err)
	w.people[key] = s
	e.Key, e.Audience, e.Issued, e.Expires = s.Public(), w.hash, w.at, w.at.AddDate(1, 0, 0)
	if !e.FromCourtRoot() {
		e.Court = ""
	}
	signers := []*record.Signer{w.offices["court registrar"], w.offices["custodian registrar"]}
	if e.FromCourtRoot() {
		signers = []*record.Signer{w.offices["court root"]}
	}
	joint, err := record.SignJoint(record.TypeEnrolment, w.at, e, signers...)
	must(w.t, err)
	w.in.People = append(w.in.People, joint)
}

func (w *world) sign(who string, typ record.Type, v any) string {
	w.t.Helper()
	raw, err := record.Sign(w.people[who], typ, w.at, v)
	must(w.t, err)
	return raw
}

// add writes an event in a party's journal and gives its entry to the log; a checkpoint follows a minute later.
func (w *world) add(party string, kind record.EventKind, body any) {
	w.t.Helper()
	raw, err := record.Marshal(body)
	must(w.t, err)
	before := w.events[party]
	e := record.Event{Author: party, Body: jsontext.Value(raw), Case: w.in.Chain, Kind: kind, Number: int64(len(before)) + 1, Time: w.at}
	if len(before) > 0 {
		b, err := before[len(before)-1].Bytes()
		must(w.t, err)
		e.Previous = record.HashBytes(b)
	}
	b, err := e.Bytes()
	must(w.t, err)
	var random [32]byte
	_, _ = rand.Read(random[:])
	must(w.t, w.log.Add(context.Background(), []ledger.Entry{ledger.Commit(ledger.Opening{Event: b, Random: random})}))
	w.events[party], w.random[party] = append(before, e), append(w.random[party], random)
}

func (w *world) both(kind record.EventKind, body any) {
	w.t.Helper()
	for _, party := range Parties {
		w.add(party, kind, body)
	}
	w.pass()
}

// pass lets a minute pass and has the log cosigned.
func (w *world) pass() {
	w.t.Helper()
	w.at = w.at.Add(time.Minute)
	_, err := w.log.Sequence(context.Background())
	must(w.t, err)
}

// proof gives an event's proof under the newest checkpoint.
func (w *world) proof(event []byte, random [32]byte) []byte {
	w.t.Helper()
	p, err := w.log.Proof(context.Background(), ledger.Commit(ledger.Opening{Event: event, Random: random}))
	must(w.t, err)
	return p.Marshal()
}

// journals gives both journals as keyholders show them now.
func (w *world) journals() []Journal {
	w.t.Helper()
	var out []Journal
	for _, party := range Parties {
		j := Journal{Party: party}
		for i, e := range w.events[party] {
			b, err := e.Bytes()
			must(w.t, err)
			j.Lines = append(j.Lines, Line{Event: b, Random: slices.Clone(w.random[party][i][:]), Proof: w.proof(b, w.random[party][i]), State: Proven})
		}
		out = append(out, j)
	}
	return out
}

// story is one recording's way: ordered, sealed, asked, approved, released by both, opened in part, copied.
func (w *world) story() *world {
	w.t.Helper()
	order := w.sign("judge", record.TypeOrder, record.Order{Audience: w.hash, Kind: record.Authorisation, Profile: "ES-588ter", Court: "Court One", Case: "case-1",
		PoliceUnit: "Unit A", Classification: "restricted", Decided: w.at, Capture: record.Window{From: w.at, Until: w.at.AddDate(0, 1, 0)}, AccessEnd: w.at.AddDate(0, 2, 0),
		Scope:   record.Scope{Identifiers: []record.Identifier{{Kind: "msisdn", Value: "+12025550111"}}, Kinds: []string{"call"}},
		Grounds: record.Grounds{Purpose: "find the network"}, Nonce: newID()})
	w.in.Chain = record.HashStatement(order)
	w.both(record.EventAdmitted, record.AdmittedEvent{Kind: record.Authorisation, Member: w.in.Chain, Statement: order})
	w.sealed()
	request := w.sign("ana", record.TypeRequest, record.Request{Audience: w.hash, Chain: w.in.Chain, Class: "content", Classification: "restricted", Compartment: "main",
		Expires: w.at.Add(time.Hour), Issued: w.at, Key: make([]byte, 1216), Nonce: newID(), Purpose: "identify the caller", Recordings: w.refs[:1], Week: seal.WeekOf(w.at)})
	w.request = record.HashStatement(request)
	ana, boss := w.people["ana"].Public().ID(), w.people["boss"].Public().ID()
	w.both(record.EventAsked, record.StatementEvent{By: ana, Class: "content", Purpose: "identify the caller", Request: w.request, Statement: request})
	w.both(record.EventApproved, record.StatementEvent{By: boss, Reason: "needed", Request: w.request, Statement: w.sign("boss", record.TypeApproval,
		record.Approval{Approve: true, Audience: w.hash, Expires: w.at.Add(time.Hour), Issued: w.at, Nonce: newID(), Reason: "needed", Request: w.request})})
	w.releases()
	begun := w.act(record.EventOpened, record.Begun, record.Digest{})
	w.begun = record.HashStatement(begun)
	w.both(record.EventOpened, record.StatementEvent{By: ana, Reason: record.Begun, Request: w.request, Statement: begun})
	w.both(record.EventCopied, record.StatementEvent{By: ana, Reason: record.Completed, Request: w.request, Statement: w.act(record.EventCopied, record.Completed, w.begun)})
	w.in.Recording = w.refs[0].Recording
	w.in.Journals = w.journals()
	return w
}

func (w *world) sealed() {
	w.t.Helper()
	body := w.sealedBy("machine", 2)
	for _, id := range body.Recordings {
		w.refs = append(w.refs, record.Reference{Batch: body.Batch, Recording: id})
	}
	w.both(record.EventNoted, body)
}

// sealedBy is what is journalled of somebody's first batch.
func (w *world) sealedBy(author string, recordings int) record.NotedEvent {
	w.t.Helper()
	court, err := seal.NewUnitKey(seal.NewSeed())
	must(w.t, err)
	custodian, err := seal.NewUnitKey(seal.NewSeed())
	must(w.t, err)
	b, err := seal.NewBatch(seal.Unit{Order: w.in.Chain, Week: seal.WeekOf(w.at), Compartment: "main", Classification: "restricted"}, court.PublicKey(), custodian.PublicKey())
	must(w.t, err)
	var descriptors []seal.Descriptor
	for i := range recordings {
		rec, err := b.Recording()
		must(w.t, err)
		enc, err := rec.Encryptor()
		must(w.t, err)
		ciphertext, err := enc.AppendSegment(nil, []byte("hello"), true)
		must(w.t, err)
		d, err := rec.Describe(seal.Places{{Pack: 1, Offset: uint32(8*seal.SlotSize + 100*i), Length: uint32(len(ciphertext))}}, []byte(`{}`))
		must(w.t, err)
		descriptors = append(descriptors, d)
	}
	signed, err := b.Sign(w.people[author].Ed25519(), seal.Statement{}, descriptors)
	must(w.t, err)
	body := record.NotedEvent{Batch: record.ID(signed.Statement.Batch), Collector: w.people[author].Public().ID(), Signature: signed.Signature[:],
		Signed: signed.Statement.Bytes(), Statement: record.Digest(signed.Statement.Hash())}
	for _, m := range signed.Members {
		body.Recordings = append(body.Recordings, record.ID(m.Recording))
	}
	return body
}

// releases has both keyholders release, each under the checkpoint that the log has just had cosigned.
func (w *world) releases() {
	w.t.Helper()
	last := w.events["custodian"][len(w.events["custodian"])-1]
	b, err := last.Bytes()
	must(w.t, err)
	proof, err := ledger.ParseProof(w.proof(b, w.random["custodian"][len(w.events["custodian"])-1]))
	must(w.t, err)
	w.both(record.EventReleased, record.ReleasedEvent{Checkpoint: string(proof.Checkpoint), Class: "content", Items: 1, Recordings: w.refs[:1],
		Request: w.request, To: w.people["ana"].Public().ID(), Total: 1})
}

func (w *world) act(kind record.EventKind, result string, of record.Digest) string {
	w.t.Helper()
	a := record.Act{Audience: w.hash, Chain: w.in.Chain, Issued: w.at, Kind: kind, Millis: record.Span{From: 5000, Until: 8500}, Nonce: newID(), Of: of,
		Recordings: w.refs[:1], Request: w.request, Result: result}
	must(w.t, a.Validate())
	return w.sign("ana", record.TypeAct, a)
}
