package reader

import (
	"bytes"
	"context"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/mirror"
	"arca.example/arca/shared/mirror/mirrortest"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

var ctx = context.Background()

var small = seal.Geometry{Size: 1 << 18, Slots: 2}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// office is a keyholder that answers in the real formats and can lie.
type office struct {
	acts   []string // filed, each once
	reads  bool     // the journal is for this person
	actErr error    // what FileAct answers

	w        *world
	role     seal.Role
	journal  []wire.LoggedEvent
	unproven int      // so many of the newest events wait for a checkpoint
	wordless bool     // StatusAndMembers gives no members
	extra    []string // members that only this one holds
	key      hpke.PrivateKey
	mu       sync.Mutex
	notes    []*seal.Note
	requests map[record.Digest]*wire.Asked
	pageSize int
	pending  int                   // Release and Request find nothing in the log so many times
	err      error                 // of every call
	refusal  error                 // of Release
	denies   record.Digest         // the one request whose Release is denied
	gone     bool                  // what all other requests are for was destroyed
	alter    func(*record.Release) // before it is signed
	wire     func(string) string   // after it was signed
	released int
	find     seal.Seed
}

func (o *office) Ask(_ context.Context, raw string) (wire.Named, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return wire.Named{}, o.err
	}
	st, err := record.Peek(raw)
	if err != nil {
		return wire.Named{}, err
	}
	if o.requests[st.Hash] == nil {
		o.requests[st.Hash] = &wire.Asked{Author: "Ana Ejemplo", Hash: st.Hash.String(), Number: int64(len(o.requests) + 1), Statement: raw}
	}
	return wire.Named{Hash: st.Hash.String()}, nil
}

func (o *office) FileAct(_ context.Context, raw string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.actErr != nil {
		return o.actErr
	}
	if !slices.Contains(o.acts, raw) {
		o.acts = append(o.acts, raw)
		var a record.Act
		st := must(record.Peek(raw))
		if err := record.Unmarshal(st.Payload, &a); err != nil {
			return err
		}
		o.write(a.Kind, record.StatementEvent{By: st.Author, Statement: raw})
	}
	return nil
}

func (o *office) Decide(_ context.Context, raw string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	st := must(record.Peek(raw))
	var a record.Approval
	if err := record.Unmarshal(st.Payload, &a); err != nil {
		return err
	}
	asked := o.requests[a.Request]
	for _, old := range asked.Approvals {
		if old == raw {
			return o.err
		}
	}
	asked.Approvals, asked.Denied = append(asked.Approvals, raw), asked.Denied || !a.Approve
	return o.err
}

func (o *office) Inbox(_ context.Context, from int64) (wire.Inbox, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := wire.Inbox{Next: from}
	for _, a := range o.requests {
		if a.Number == from {
			out.Requests, out.Next = append(out.Requests, *a), from+1
		}
	}
	return out, o.err
}

func (o *office) Request(_ context.Context, hash record.Digest) (wire.Asked, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.requests[hash]
	if a == nil || o.err != nil {
		return wire.Asked{}, o.err
	}
	out := *a
	out.Provable = o.pending <= 0
	o.pending--
	return out, nil
}

func (o *office) People(context.Context) (wire.People, error) {
	return wire.People{People: o.w.people}, o.err
}

func (o *office) Order(_ context.Context, chain record.Digest) (wire.Order, error) {
	if o.err != nil {
		return wire.Order{}, o.err
	}
	return wire.Order{AccessEnd: o.w.now.AddDate(0, 6, 0), Chain: chain.String(), Members: []string{o.w.order}, State: "in-force"}, nil
}

func (o *office) Orders(ctx context.Context) (wire.Orders, error) {
	one, err := o.Order(ctx, o.w.unit.Order)
	return wire.Orders{Orders: []wire.Order{one}}, err
}

// StatusAndMembers says that the order is as its one member says.
func (o *office) StatusAndMembers(_ context.Context, nonce record.ID, chains ...record.Digest) (string, [][]string, error) {
	var first record.Order
	if err := record.Unmarshal(must(record.Peek(o.w.order)).Payload, &first); err != nil {
		return "", nil, err
	}
	s := record.Status{Audience: o.w.vault.Fingerprint, Issued: o.w.now, Nonce: nonce, Party: string(o.role), Chains: []record.ChainStatus{{AccessEnd: first.AccessEnd,
		Capture: first.Capture, Chain: chains[0], Head: chains[0], State: "in-force", Stops: record.SetDigest(nil)}}}
	return must(record.Sign(o.w.vault.Signers[string(o.role)+" online"], record.TypeStatus, o.w.now, s)), o.members(), o.err
}

// Log is for clerks; Ana is none, unless a test says so.
func (o *office) Log(_ context.Context, _ record.Digest, from int64) (wire.Log, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.reads {
		return wire.Log{}, problem.New(problem.Denied, "the log is not for you")
	}
	at := min(from-1, int64(len(o.journal)))
	list := slices.Clone(o.journal[at:min(at+2, int64(len(o.journal)))])
	for i := range list {
		if at+int64(i) >= int64(len(o.journal)-o.unproven) {
			list[i].State, list[i].Proof = wire.StatePending, nil
		}
	}
	return wire.Log{Events: list, Next: from + int64(len(list))}, nil
}

func (o *office) members() [][]string {
	if o.wordless {
		return nil
	}
	return [][]string{append([]string{o.w.order}, o.extra...)}
}

// write journals an event, in the log at once.
func (o *office) write(kind record.EventKind, body any) {
	var previous record.Digest
	if n := len(o.journal); n > 0 {
		previous = record.HashBytes(o.journal[n-1].Event)
	}
	e := must(record.Event{Author: string(o.role), Body: must(record.Marshal(body)), Case: o.w.unit.Order, Kind: kind, Number: int64(len(o.journal) + 1), Previous: previous, Time: o.w.now}.Bytes())
	random := sha256.Sum256(e)
	entry := ledger.Commit(ledger.Opening{Event: e, Random: random})
	o.w.vault.Log(entry)
	o.journal = append(o.journal, wire.LoggedEvent{Event: e, Proof: must(o.w.vault.Proof(ctx, entry)), Random: random[:], State: wire.StateProven})
}

// Release hands over halves as a keyholder does, deciding nothing.
func (o *office) Release(_ context.Context, hash record.Digest, from int) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return "", o.err
	}
	if o.refusal != nil {
		return "", o.refusal
	}
	if hash == o.denies {
		return "", problem.New(problem.Denied, "this request was denied")
	}
	if o.gone {
		return "", problem.New(problem.Gone, "it was destroyed")
	}
	if o.pending--; o.pending >= 0 {
		return "", problem.New(problem.Conflict, "the entry is pending")
	}
	o.released++
	var r record.Request
	if err := record.Unmarshal(must(record.Peek(o.requests[hash].Statement)).Payload, &r); err != nil {
		return "", err
	}
	out := record.Release{Audience: o.w.vault.Fingerprint, Class: r.Class, From: from, Issued: o.w.now, Party: string(o.role), Request: hash}
	key := must(seal.ParsePublicKey(r.Key))
	out.Find = must(seal.SealFind(key, o.role, hash, o.w.unit, o.find))
	type of struct {
		note   *seal.Note
		member seal.Member
	}
	var all []of
	for _, n := range o.notes {
		for _, m := range n.Members {
			if g := (&grant{request: r}); g.covers(m.Recording, n.Statement.Batch) {
				all = append(all, of{n, m})
			}
		}
	}
	out.Total = len(all)
	for _, one := range all[from:min(len(all), from+o.pageSize)] {
		st := one.note.Statement
		secret := must(seal.OpenBatch(o.role, o.key, st.Batch, st.Unit, one.note.Sealed))
		c := seal.ContextOf(one.member.Recording, st.Batch, st.Unit)
		half := seal.DeriveHalf(secret, o.role, seal.Class(r.Class), c)
		out.Items = append(out.Items, record.ReleasedHalf{Batch: record.ID(st.Batch), Recording: record.ID(one.member.Recording),
			Half: must(seal.SealHalf(key, o.role, hash, c, seal.Class(r.Class), half))})
	}
	if o.alter != nil {
		o.alter(&out)
	}
	raw := must(record.Sign(o.w.vault.Signers[string(o.role)+" online"], record.TypeRelease, o.w.now, out))
	if o.wire != nil {
		raw = o.wire(raw)
	}
	return raw, nil
}

// world is a vault with a week's recordings, a mirror of it, two keyholders, and a reader.
type world struct {
	tb        testing.TB
	vault     *mirrortest.Vault
	mirror    *mirror.Mirror
	court     *office
	custodian *office
	collector *record.Signer
	person    *record.Signer
	people    []wire.EnrolledPerson
	unit      seal.Unit
	find      hpke.PrivateKey
	order     string
	now       time.Time
	last      seal.Statement
	folder    string
	stdout    bytes.Buffer
}

func newWorld(tb testing.TB, g seal.Geometry) *world {
	tb.Helper()
	w := &world{tb: tb, vault: mirrortest.New(tb, g), now: record.Second(time.Now()), folder: tb.TempDir()}
	w.collector, w.person = must(record.SignerOf(mirrortest.Key("collector"))), must(record.SignerOf(mirrortest.Key("ana")))
	judge := must(record.SignerOf(mirrortest.Key("judge")))
	w.order = must(record.Sign(judge, record.TypeOrder, w.now, record.Order{AccessEnd: w.now.AddDate(0, 6, 0), Audience: w.vault.Fingerprint, Capture: record.Window{From: w.now, Until: w.now.AddDate(0, 1, 0)},
		Case: "DP-0000/17", Classification: "reservado", Court: "Court 1", Decided: w.now, Kind: record.Authorisation, PoliceUnit: "Unit A", Profile: "ES-588ter",
		Grounds: record.Grounds{Offence: "a", Indicia: "i", Persons: []string{"a person called Larch"}, Extent: "e", Motivation: "m", Duration: "one month", Obliged: "o", Purpose: "p"},
		Reports: record.Reports{Form: "written", EveryDays: 15},
		Scope:   record.Scope{Identifiers: []record.Identifier{{Kind: "msisdn", Value: "+12025550101"}}, Kinds: []string{"call", "message"}}}))
	w.unit = seal.Unit{Order: record.HashStatement(w.order), Week: seal.WeekOf(w.now), Compartment: "main", Classification: "reservado"}
	find := seal.NewSeed()
	w.find = must(seal.NewUnitKey(find))
	for _, role := range parties {
		o := &office{w: w, role: role, key: must(seal.NewUnitKey(seal.NewSeed())), requests: map[record.Digest]*wire.Asked{}, pageSize: 3, find: find}
		if role == seal.Court {
			w.court = o
		} else {
			w.custodian = o
		}
	}
	w.enrol(w.collector, "Collector One", record.Collector)
	w.enrol(w.person, "Ana Ejemplo", record.Investigator)
	w.mirror = must(mirror.Open(mirror.Config{Folder: tb.TempDir(), Trust: w.vault.Trust, Vault: w.vault, HTTP: w.vault.Server.Client(), Now: time.Now}))
	tb.Cleanup(func() { w.mirror.Close() })
	return w
}

func (w *world) enrol(s *record.Signer, name string, role record.Role) {
	e := record.Enrolment{Audience: w.vault.Fingerprint, Expires: w.now.AddDate(1, 0, 0), Issued: w.now.AddDate(-1, 0, 0), Key: s.Public(), Name: name, Roles: []record.Role{role}}
	joint := must(record.SignJoint(record.TypeEnrolment, w.now, e, w.vault.Signers["court registrar"], w.vault.Signers["custodian registrar"]))
	w.people = append(w.people, wire.EnrolledPerson{Enrolment: joint, Key: s.Public().ID().String()})
}

// enrolClerk enrols a clerk by the court's root.
func (w *world) enrolClerk(s *record.Signer) { w.enrolCourt(s, "Clara Ejemplo", record.Clerk) }

func (w *world) enrolCourt(s *record.Signer, name string, role record.Role) {
	e := record.Enrolment{Audience: w.vault.Fingerprint, Court: "Court 1", Expires: w.now.AddDate(1, 0, 0), Issued: w.now.AddDate(-1, 0, 0), Key: s.Public(), Name: name, Roles: []record.Role{role}}
	joint := must(record.SignJoint(record.TypeEnrolment, w.now, e, w.vault.Signers["court root"]))
	w.people = append(w.people, wire.EnrolledPerson{Enrolment: joint, Key: s.Public().ID().String()})
}

// clip is something to seal.
type clip struct {
	content []byte
	name    string
	change  func(*record.Description)
}

// batchOf seals clips into new packs of the vault and gives the notes.
func (w *world) batchOf(clips ...clip) (court, custodian *seal.Note, ids []seal.RecordingID) {
	return w.batchBy(w.collector, &w.last, clips...)
}

// batchBy is batchOf with another author, whose last batch was last.
func (w *world) batchBy(author *record.Signer, last *seal.Statement, clips ...clip) (court, custodian *seal.Note, ids []seal.RecordingID) {
	w.tb.Helper()
	g := w.vault.Geometry()
	b := must(seal.NewBatch(w.unit, w.court.key.PublicKey(), w.custodian.key.PublicKey()))
	builder := must(seal.NewBuilder(g, nil))
	check := func(err error) {
		if err != nil {
			w.tb.Fatal(err)
		}
	}
	turn := func() {
		w.vault.Store(must(builder.Finish()).Bytes)
		check(builder.Start(w.vault.Next))
	}
	check(builder.Start(w.vault.Next))
	var descriptors []seal.Descriptor
	for i, c := range clips {
		r := must(b.Recording())
		e := must(r.Encryptor())
		var places seal.Places
		check(seal.EachSegment(bytes.NewReader(c.content), func(plain []byte, last bool) error {
			run, rest, err := builder.AppendSegment(e, plain, last)
			for places = places.Add(run); err == nil && len(rest) > 0; places = places.Add(run) {
				turn()
				run, rest, err = builder.Append(rest)
			}
			return err
		}))
		digest := must(r.ContentDigest())
		d := record.Description{Codec: "pcm_s16le", Digest: digest[:], Direction: "from-target", Start: w.now.Add(time.Duration(i) * time.Second), End: w.now.Add(time.Duration(i+10) * time.Second),
			From: "+1 202 555 0101", To: "+1 202 555 0102", Kind: "call", Length: int64(len(c.content)), Name: c.name, Target: record.Identifier{Kind: "msisdn", Value: "+12025550101"}}
		if c.change != nil {
			c.change(&d)
		}
		descriptors = append(descriptors, must(r.Describe(places, must(record.Marshal(d)))))
		ids = append(ids, r.ID())
	}
	signed := must(b.Sign(author.Ed25519(), *last, descriptors))
	*last = signed.Statement
	if builder.Free() < len(signed.Area) {
		turn()
	}
	run := must(builder.AppendWhole(signed.Area))
	check(builder.AddSlot(w.find.PublicKey(), must(signed.Slot(run))))
	w.vault.Store(must(builder.Finish()).Bytes)
	return must(signed.Note(seal.Court)), must(signed.Note(seal.Custodian)), ids
}

// seal seals clips, files both notes and mirrors the packs.
func (w *world) seal(clips ...clip) []seal.RecordingID {
	court, custodian, ids := w.batchOf(clips...)
	w.court.notes = append(w.court.notes, court)
	w.custodian.notes = append(w.custodian.notes, custodian)
	w.sync()
	return ids
}

func (w *world) sync() {
	w.tb.Helper()
	if _, err := w.mirror.Sync(ctx, nil); err != nil {
		w.tb.Fatal(err)
	}
}

// reader opens a process of Ana's anew.
func (w *world) reader() *Reader {
	return w.readerOf(w.person, w.folder)
}

func (w *world) readerOf(s *record.Signer, folder string) *Reader {
	m := must(mirror.Open(mirror.Config{Folder: w.mirrorFolder(), Trust: w.vault.Trust, Now: time.Now}))
	w.tb.Cleanup(func() { m.Close() })
	return must(Open(Config{Identity: s, Folder: folder, Trust: w.vault.Trust, Fingerprint: w.vault.Fingerprint, Court: w.court, Custodian: w.custodian,
		Mirror: m, Now: func() time.Time { return w.now }, Stdout: &w.stdout, Patience: 300 * time.Millisecond}))
}

func (w *world) mirrorFolder() string { return w.mirror.Folder() }

func (w *world) ask(class seal.Class, ids ...seal.RecordingID) record.Digest {
	w.tb.Helper()
	in := AskInput{Chain: w.unit.Order, Week: w.unit.Week, Class: class, Recordings: ids, Purpose: "to learn who delivers"}
	out, err := w.reader().Ask(ctx, in)
	if err != nil || !out.Provable {
		w.tb.Fatalf("%+v, %v", out, err)
	}
	return out.Hash
}

func (w *world) list(request record.Digest) *Listing {
	w.tb.Helper()
	l, err := w.reader().List(ctx, request)
	if err != nil {
		w.tb.Fatal(err)
	}
	return l
}

func sample(tb testing.TB, name string) []byte {
	b, err := os.ReadFile("../../samples/recordings/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func named(i int) string { return fmt.Sprintf("clip %d", i) }
