package bundle_test

import (
	"bytes"
	"context"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"
	"time"

	"filippo.io/age"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/mirror/mirrortest"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/stamp/stamptest"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// memory is where a small bundle is written.
type memory struct{ b []byte }

func (m *memory) Write(p []byte) (int, error) { m.b = append(m.b, p...); return len(p), nil }
func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	return copy(m.b[at:], p), nil
}

// world is a case with two batches of recordings, and what its clerk gathers for a bundle.
type world struct {
	tb        testing.TB
	vault     *mirrortest.Vault
	now       time.Time
	begun     time.Time
	clerk     *record.Signer
	judge     *record.Signer
	collector *record.Signer
	members   []string
	chain     record.Digest
	unit      seal.Unit
	last      seal.Statement
	keys      map[seal.Role]hpke.PrivateKey
	people    []record.Joint
	batches   []bundle.Batch
	sealed    []bundle.SourceRecording
	sealings  map[record.ID]bundle.Sealing
	contents  map[record.ID][]byte
	custody   map[string][]bundle.LogProof

	authorities []*stamptest.Authority

	signature, tags, indexed []byte // of the bundle under campaign
}

func signer(name string) *record.Signer { return must(record.SignerOf(mirrortest.Key(name))) }

func newWorld(tb testing.TB) *world { return newWorldWith(tb, func(*world) {}) }

// newWorldWith lets more be set up before the first statement names the trust file.
func newWorldWith(tb testing.TB, more func(*world)) *world {
	w := &world{tb: tb, vault: mirrortest.New(tb, seal.Geometry{Size: 1 << 18, Slots: 2}), now: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC),
		clerk: signer("clerk"), judge: signer("judge"), collector: signer("collector"), keys: map[seal.Role]hpke.PrivateKey{},
		sealings: map[record.ID]bundle.Sealing{}, contents: map[record.ID][]byte{}, custody: map[string][]bundle.LogProof{}}
	w.begun = w.now
	w.vault.Now = func() time.Time { return w.now }
	more(w)
	w.enrol("Clerk One", w.clerk, record.Clerk)
	w.enrol("Judge One", w.judge, record.Judge)
	w.enrol("Collector One", w.collector, record.Collector)
	w.order()
	for _, role := range []seal.Role{seal.Court, seal.Custodian} {
		w.keys[role] = must(seal.NewUnitKey(sha256.Sum256([]byte(role))))
	}
	w.unit = seal.Unit{Order: w.chain, Week: seal.WeekOf(w.now), Compartment: "main", Classification: "reservado"}
	return w
}

func (w *world) enrol(name string, s *record.Signer, role record.Role) {
	e := record.Enrolment{Audience: w.vault.Fingerprint, Expires: w.now.AddDate(1, 0, 0), Issued: w.now.AddDate(-1, 0, 0), Key: s.Public(), Name: name, Roles: []record.Role{role}}
	by := []*record.Signer{w.vault.Signers["court registrar"], w.vault.Signers["custodian registrar"]}
	if role == record.Judge || role == record.Clerk {
		e.Court, by = "Court One", []*record.Signer{w.vault.Signers["court root"]}
	}
	w.people = append(w.people, must(record.SignJoint(record.TypeEnrolment, e.Issued, e, by...)))
}

func (w *world) order() {
	from := w.now.AddDate(0, 0, -7)
	first := record.Order{AccessEnd: w.now.AddDate(1, 0, 0), Audience: w.vault.Fingerprint, Capture: record.Window{From: from, Until: w.now.AddDate(0, 1, 0)}, Case: "DP-0000/17",
		Classification: "reservado", Court: "Court One", Decided: from, Kind: record.Authorisation, PoliceUnit: "Unit A", Profile: "ES-588ter",
		Grounds: record.Grounds{Offence: "a <b>&</b> c", Indicia: "i", Persons: []string{"a person called Larch"}, Extent: "e", Motivation: "m", Duration: "one month", Obliged: "o", Purpose: "p"},
		Reports: record.Reports{Form: "written", EveryDays: 15},
		Scope:   record.Scope{Identifiers: []record.Identifier{{Kind: "msisdn", Value: "+12025550111"}}, Kinds: []string{"call", "message"}}}
	w.members = []string{must(record.Sign(w.judge, record.TypeOrder, from, first))}
	w.chain = record.HashStatement(w.members[0])
	narrowing := record.Order{Audience: first.Audience, Chain: w.chain, Court: first.Court, Decided: w.now, Kind: record.Narrowing, Previous: w.chain, Profile: first.Profile,
		Reason: "calls are enough", Scope: record.Scope{Kinds: []string{"call"}}, Sequence: 1}
	w.members = append(w.members, must(record.Sign(w.judge, record.TypeOrder, w.now, narrowing)))
}

// seal seals contents as one batch, stores its pack and remembers what a reader would know.
func (w *world) seal(contents ...string) (ids []record.ID) {
	b := must(seal.NewBatch(w.unit, w.keys[seal.Court].PublicKey(), w.keys[seal.Custodian].PublicKey()))
	builder := must(seal.NewBuilder(w.vault.Geometry(), nil))
	check(w.tb, builder.Start(w.vault.Next))
	var descriptors []seal.Descriptor
	var descriptions []record.Description
	for i, content := range contents {
		r := must(b.Recording())
		e := must(r.Encryptor())
		var places seal.Places
		check(w.tb, seal.EachSegment(bytes.NewReader([]byte(content)), func(plain []byte, last bool) error {
			run, _, err := builder.AppendSegment(e, plain, last)
			places = places.Add(run)
			return err
		}))
		digest := must(r.ContentDigest())
		d := record.Description{Codec: "text", Digest: digest[:], Start: w.now.Add(time.Duration(i) * time.Minute), End: w.now.Add(time.Duration(i)*time.Minute + 10*time.Second),
			From: "+12025550111", To: "+12025550122<script>", Kind: "call", Length: int64(len(content)), Name: "a.txt", Target: record.Identifier{Kind: "msisdn", Value: "+12025550111"}}
		descriptions = append(descriptions, d)
		descriptors = append(descriptors, must(r.Describe(places, must(record.Marshal(d)))))
		ids = append(ids, record.ID(r.ID()))
		w.contents[record.ID(r.ID())] = []byte(content)
	}
	signed := must(b.Sign(w.collector.Ed25519(), w.last, descriptors))
	w.last = signed.Statement
	run := must(builder.AppendWhole(signed.Area))
	find := must(seal.NewUnitKey(seal.NewSeed()))
	check(w.tb, builder.AddSlot(find.PublicKey(), must(signed.Slot(run))))
	n := w.vault.Store(must(builder.Finish()).Bytes)
	w.batches = append(w.batches, bundle.Batch{Signature: signed.Signature[:], Statement: signed.Statement.Bytes()})
	w.remember(signed, descriptors, descriptions, n)
	return ids
}

func (w *world) remember(signed *seal.Signed, descriptors []seal.Descriptor, descriptions []record.Description, pack uint64) {
	st := signed.Statement
	s := bundle.Sealing{}
	for i, m := range signed.Members {
		s.Members = seal.AppendMember(s.Members, m)
		h := descriptors[i].Hash()
		s.Descriptors = append(s.Descriptors, h[:]...)
	}
	for _, role := range []seal.Role{seal.Court, seal.Custodian} {
		r := record.Receipt{Audience: w.vault.Fingerprint, Issued: w.now, Party: string(role)}
		s.Receipts = append(s.Receipts, must(record.SignReceipts(w.online(role), w.now, r, record.Digest(st.Hash())))...)
	}
	w.sealings[record.ID(st.Batch)] = s
	for i, d := range descriptors {
		w.sealed = append(w.sealed, bundle.SourceRecording{
			Recording: bundle.Recording{Batch: record.ID(st.Batch), Recording: record.ID(d.Recording), Packs: []bundle.LogProof{w.packProof(pack)},
				Parts: []bundle.Part{{Bytes: descriptions[i].Length, Ending: ".txt"}}},
			Opening: bundle.Opening{Description: descriptions[i], Descriptor: d.Bytes(), Halves: w.halves(signed, d)},
			Content: func(p bundle.Part, to io.Writer) error {
				_, err := to.Write(w.contents[record.ID(d.Recording)][:p.Bytes])
				return err
			}})
	}
}

func (w *world) halves(signed *seal.Signed, d seal.Descriptor) (list []bundle.Half) {
	for _, class := range []seal.Class{seal.IndexClass, seal.ContentClass} {
		for _, role := range []seal.Role{seal.Court, seal.Custodian} {
			note := must(signed.Note(role))
			secret := must(seal.OpenBatch(role, w.keys[role], signed.Statement.Batch, w.unit, note.Sealed))
			half := seal.DeriveHalf(secret, role, class, seal.ContextOf(d.Recording, signed.Statement.Batch, w.unit))
			list = append(list, bundle.Half{Class: string(class), Half: half[:], Party: string(role)})
		}
	}
	return list
}

func (w *world) online(role seal.Role) *record.Signer { return w.vault.Signers[string(role)+" online"] }

func (w *world) packProof(n uint64) bundle.LogProof {
	p := w.vault.Stored[n-1]
	return w.prove(p.Event, p.Random)
}

func (w *world) prove(event, random []byte) bundle.LogProof {
	proof, err := w.vault.Proof(context.Background(), ledger.Commit(ledger.Opening{Event: event, Random: [32]byte(random)}))
	check(w.tb, err)
	return bundle.LogProof{Event: event, Proof: string(proof), Random: random}
}

// journal writes at each keyholder that it was told of every batch and has released every recording so far for the clerk's request.
func (w *world) journal() {
	request := record.HashStatement(w.request(w.sealed...))
	for _, party := range bundle.Parties {
		for _, b := range w.batches {
			st := must(seal.ParseStatement(b.Statement))
			w.event(party, record.EventNoted, record.NotedEvent{Batch: record.ID(st.Batch), Collector: w.collector.Public().ID(), Recordings: []record.ID{}, Signature: b.Signature,
				Signed: b.Statement, Statement: record.Digest(st.Hash())})
		}
		body := record.ReleasedEvent{Class: "content", Request: request, To: w.clerk.Public().ID()}
		for _, r := range w.sealed {
			body.Recordings = append(body.Recordings, record.Reference{Batch: r.Batch, Recording: r.Recording.Recording})
		}
		w.event(party, record.EventReleased, body)
	}
}

// event journals one at a keyholder, logged and proven.
func (w *world) event(party string, kind record.EventKind, body any) {
	have := w.custody[party]
	var previous record.Digest
	if n := len(have); n > 0 {
		previous = record.HashBytes(have[n-1].Event)
	}
	e := must(record.Event{Author: party, Body: must(record.Marshal(body)), Case: w.chain, Kind: kind, Number: int64(len(have) + 1), Previous: previous, Time: w.now}.Bytes())
	r := randomOf(party, len(have))
	w.vault.Log(ledger.Commit(ledger.Opening{Event: e, Random: r}))
	w.custody[party] = append(have, w.prove(e, r[:]))
}

func randomOf(party string, i int) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s %d", party, i))
}

// source is what a clerk gathers of some recordings.
func (w *world) source(ids ...record.ID) *bundle.Source {
	in := &bundle.Source{Trust: record.TrustChain{{Trust: w.vault.Joint}}, People: w.people, Chain: w.chain, Batches: w.batches, Sealings: map[record.ID]bundle.Sealing{},
		Reason: "copy for the defence, ordered on 2026-11-25", Custody: w.custody}
	policy := must(ledger.VerifierOf(&w.vault.Trust)).Policy()
	in.Policy = policy.Marshal()
	in.Order = bundle.Order{Members: w.members, Status: w.status(nil)}
	for _, r := range w.sealed {
		for _, id := range ids {
			if r.Recording.Recording == id {
				in.Recordings = append(in.Recordings, r)
				in.Sealings[r.Batch] = w.sealings[r.Batch]
			}
		}
	}
	in.Requests = []string{w.request(w.sealed...)}
	return in
}

// request is the clerk's for the content of recordings.
func (w *world) request(list ...bundle.SourceRecording) string {
	q := record.Request{Audience: w.vault.Fingerprint, Chain: w.chain, Class: "content", Classification: "reservado", Compartment: "main", Expires: w.now.Add(time.Hour), Issued: w.now,
		Key: make([]byte, 1216), Purpose: "disclosure", Week: w.unit.Week}
	for _, r := range list {
		q.Recordings = append(q.Recordings, record.Reference{Batch: r.Batch, Recording: r.Recording.Recording})
	}
	return must(record.Sign(w.clerk, record.TypeRequest, w.now, q))
}

// status is both keyholders' word on the order as its members give it; change alters it before it is signed.
func (w *world) status(change func(*record.Status, *record.ChainStatus)) (list []string) {
	narrowed := record.HashStatement(w.members[1])
	for _, role := range []seal.Role{seal.Court, seal.Custodian} {
		s := record.Status{Audience: w.vault.Fingerprint, Issued: w.now, Party: string(role), Chains: []record.ChainStatus{{AccessEnd: w.begun.AddDate(1, 0, 0),
			Capture: record.Window{From: w.begun.AddDate(0, 0, -7), Until: w.begun.AddDate(0, 1, 0)}, Chain: w.chain, Head: narrowed, State: "in-force", Stops: record.SetDigest(nil)}}}
		if change != nil {
			change(&s, &s.Chains[0])
		}
		list = append(list, must(record.Sign(w.online(role), record.TypeStatus, w.now, s)))
	}
	return list
}

func (w *world) make(in *bundle.Source) []byte {
	w.tb.Helper()
	m := &memory{}
	check(w.tb, bundle.Make(m, w.clerk, w.now, in))
	return m.b
}

func (w *world) verify(raw []byte, identities ...age.Identity) (bundle.Report, error) {
	return bundle.Verify(bytes.NewReader(raw), int64(len(raw)), bundle.Options{Fingerprint: w.vault.Fingerprint, Identities: identities})
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
