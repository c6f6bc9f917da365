package functionstest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
)

// Attempts makes every client repeat a call that was answered "unavailable", up to n times, as people and machines do.
func (w *World) Attempts(n int) { w.attempts = n }

// Try makes a call until it is answered otherwise than "unavailable" or the attempts are used up.
func (w *World) Try(call func() error) error {
	var err error
	for range w.attempts {
		if err = call(); err == nil || problem.KindOf(err) != problem.Unavailable {
			return err
		}
	}
	return err
}

func again[T any](w *World, call func() (T, error)) (out T, err error) {
	err = w.Try(func() error { out, err = call(); return err })
	return out, err
}

// Cast are the people and machines of the journey.
var Cast = map[string]record.Enrolment{
	"judge":        {Roles: []record.Role{record.Judge}, Court: "Court One", Clearance: "secret"},
	"clerk":        {Roles: []record.Role{record.Clerk}, Court: "Court One", Clearance: "secret"},
	"investigator": {Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit A", Clearance: "secret"},
	"supervisor":   {Roles: []record.Role{record.Supervisor}, PoliceUnit: "Unit A", Clearance: "secret"},
	"stranger":     {Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit B", Clearance: "secret"},
	"auditor":      {Roles: []record.Role{record.Auditor}, Clearance: "secret"},
	"collector":    {Roles: []record.Role{record.Collector}},
	"mirror":       {Roles: []record.Role{record.Mirror}},
}

// castOrder is the order of their enrolment.
var castOrder = []string{"judge", "clerk", "investigator", "supervisor", "stranger", "auditor", "collector", "mirror"}

// Enrolment is a person's enrolment as the registrars sign it.
func (w *World) Enrolment(name string) record.Joint {
	e := Cast[name]
	e.Key, e.Name, e.Audience = Signer(name).Public(), name, w.Hash
	e.Issued, e.Expires = w.Trust.Issued, w.Trust.Issued.AddDate(1, 0, 0)
	signers := []*record.Signer{Signer("court registrar"), Signer("custodian registrar")}
	if e.FromCourtRoot() {
		signers = []*record.Signer{Signer("court root")}
	}
	joint, err := record.SignJoint(record.TypeEnrolment, w.now(), e, signers...)
	w.must(err)
	return joint
}

// Enrol enrols one person at a keyholder.
func (w *World) Enrol(party, name string) error {
	w.Seed("enrol " + party + " " + name)
	return w.Try(func() error { return w.Keyholder(party, "").Enrol(w.T.Context(), w.Enrolment(name)) })
}

// Admission is a machine's admission at the vault as the registrars sign it.
func (w *World) Admission(kind string) record.Joint {
	joint, err := record.SignJoint(record.TypePrincipal, w.now(), record.Principal{
		Audience: w.Hash, Issued: w.Trust.Issued, Key: Signer(kind).Public(), Kind: kind,
	}, Signer("court registrar"), Signer("custodian registrar"))
	w.must(err)
	return joint
}

// EnrolAll enrols the cast and admits the machines.
func (w *World) EnrolAll() {
	w.T.Helper()
	for _, name := range castOrder {
		for _, party := range Keyholders {
			w.must(w.Enrol(party, name))
		}
	}
	for _, kind := range []string{"collector", "mirror"} {
		w.must(w.Try(func() error { return w.Vault("").Admit(w.T.Context(), w.Admission(kind)) }))
	}
}

// Sign makes a statement of somebody's.
func (w *World) Sign(who string, typ record.Type, v any) string {
	raw, err := record.Sign(Signer(who), typ, w.Trust.Issued, v)
	w.must(err)
	return raw
}

// Order is the judge's order. The same world always makes the same.
func (w *World) Order() string {
	at := w.Trust.Issued
	return w.Sign("judge", record.TypeOrder, record.Order{
		Audience: w.Hash, Kind: record.Authorisation, Profile: "ES-588ter", Court: "Court One", Case: "case-1", PoliceUnit: "Unit A",
		Classification: "restricted", Decided: at, Capture: record.Window{From: at, Until: at.AddDate(0, 1, 0)}, AccessEnd: at.AddDate(0, 2, 0),
		Scope: record.Scope{Identifiers: []record.Identifier{{Kind: "msisdn", Value: "+12025550111"}}, Kinds: []string{"call", "message"}},
		Grounds: record.Grounds{Offence: "an offence", Indicia: "indicia", Persons: []string{"a person"}, Extent: "content",
			Motivation: "reasons", Duration: "1 month", Purpose: "a purpose", Obliged: "an operator"},
		Reports: record.Reports{Form: "written", EveryDays: 15}, Nonce: nonce("order"),
	})
}

// Chain is the order's chain.
func (w *World) Chain() record.Digest { return record.HashStatement(w.Order()) }

// Unit is the unit of this week under the order.
func (w *World) Unit() seal.Unit {
	return seal.Unit{Order: w.Chain(), Week: seal.WeekOf(w.Trust.Issued), Compartment: "main", Classification: "restricted"}
}

// UnitAsk asks for the unit's keys.
func (w *World) UnitAsk() wire.UnitAsk {
	u := w.Unit()
	return wire.UnitAsk{Chain: w.Chain().String(), Classification: u.Classification, Compartment: u.Compartment, Week: u.Week}
}

// Admit admits the order at a keyholder.
func (w *World) Admit(party string) error {
	w.Seed("admit " + party)
	return w.Try(func() error { _, err := w.Keyholder(party, "").Admit(w.T.Context(), w.Order()); return err })
}

// UnitKey asks a keyholder for its keys of the unit.
func (w *World) UnitKey(party string) (record.UnitKey, error) {
	w.Seed("unit " + party)
	raw, err := again(w, func() (string, error) {
		raw, _, err := w.Keyholder(party, "collector").Units(w.T.Context(), w.UnitAsk())
		return raw, err
	})
	if err != nil {
		return record.UnitKey{}, err
	}
	keys, err := record.OpenUnitKeys(raw, &w.Trust, w.Hash, party, w.now())
	if err != nil {
		return record.UnitKey{}, err
	}
	return keys[0], nil
}

// Reserve reserves the journey's pack number.
func (w *World) Reserve() error {
	first, err := again(w, func() (uint64, error) { return w.Vault("collector").Reserve(w.T.Context(), nonce("reserve"), 1) })
	if err == nil {
		w.state.First = first
		w.saveState()
	}
	return err
}

// Contents are the recordings of the journey's batch; one of them spans segments.
func Contents(n int) [][]byte {
	list := [][]byte{bytes.Repeat([]byte("a fictitious call "), 9000)}
	for i := 1; i < n; i++ {
		list = append(list, fmt.Appendf(nil, "fictitious message %d", i))
	}
	return list
}

// Seal seals n recordings into the reserved pack and keeps pack and notes in the world's folder.
func (w *World) Seal(n int) {
	w.T.Helper()
	unitKeys := map[string]record.UnitKey{}
	for range 2 { // the second round completes what the first has published
		for _, party := range Keyholders {
			key, err := w.UnitKey(party)
			w.must(err)
			unitKeys[party] = key
		}
	}
	w.Seed("seal")
	court, err := seal.ParsePublicKey(unitKeys["court"].Key)
	w.must(err)
	custodian, err := seal.ParsePublicKey(unitKeys["custodian"].Key)
	w.must(err)
	find, err := seal.ParsePublicKey(unitKeys["court"].FindKey)
	w.must(err)
	batch, err := seal.NewBatch(w.Unit(), court, custodian)
	w.must(err)
	builder, err := seal.NewBuilder(Geometry, nil)
	w.must(err)
	w.must(builder.Start(w.state.First))
	w.must(builder.Hold(n*700 + 4096))
	var descriptors []seal.Descriptor
	for i, content := range Contents(n) {
		descriptors = append(descriptors, w.sealOne(batch, builder, i, content))
	}
	signed, err := batch.Sign(Signer("collector").Ed25519(), seal.Statement{}, descriptors)
	w.must(err)
	run, err := builder.AppendWhole(signed.Area)
	w.must(err)
	slot, err := signed.Slot(run)
	w.must(err)
	w.must(builder.AddSlot(find, slot))
	pack, err := builder.Finish()
	w.must(err)
	w.must(os.WriteFile(w.path("pack"), pack.Bytes, 0o600))
	w.state.Slots, w.state.Whole, w.state.Notes = pack.SlotsSHA256, pack.SHA256, map[string][]byte{}
	for _, party := range Keyholders {
		note, err := signed.Note(seal.Role(party))
		w.must(err)
		w.state.Notes[party] = note.Bytes()
	}
	w.saveState()
}

func (w *World) sealOne(batch *seal.Batch, builder *seal.Builder, i int, content []byte) seal.Descriptor {
	r, err := batch.Recording()
	w.must(err)
	e, err := r.Encryptor()
	w.must(err)
	var places seal.Places
	w.must(seal.EachSegment(bytes.NewReader(content), func(plain []byte, last bool) error {
		run, rest, err := builder.AppendSegment(e, plain, last)
		if len(rest) > 0 {
			w.T.Fatal("the journey's batch does not fit one pack")
		}
		places = places.Add(run)
		return err
	}))
	digest, err := r.ContentDigest()
	w.must(err)
	d, err := r.Describe(places, fmt.Appendf(nil, `{"digest":"%x","n":%d}`, digest, i))
	w.must(err)
	return d
}

// Upload announces the pack and stores it as the vault allows.
func (w *World) Upload() error {
	x, err := again(w, func() (store.Transfer, error) {
		return w.Vault("collector").Upload(w.T.Context(), w.state.First, w.state.Whole, w.state.Slots)
	})
	if err != nil {
		return err
	}
	pack, err := os.ReadFile(w.path("pack"))
	w.must(err)
	return w.transfer(x, pack)
}

func (w *World) transfer(x store.Transfer, body []byte) error {
	req, err := http.NewRequestWithContext(w.T.Context(), x.Method, x.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = x.Header.Clone()
	req.ContentLength = int64(len(body))
	res, err := w.HTTP().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	// 412: an earlier attempt of ours landed; the transfer is bound to these bytes, so what is there are they.
	if err == nil && res.StatusCode >= 300 && res.StatusCode != http.StatusPreconditionFailed {
		err = fmt.Errorf("the object store answered %d: %.300s", res.StatusCode, answer)
	}
	return err
}

// Confirm tells the vault that the pack was stored.
func (w *World) Confirm() error {
	w.Seed("confirm")
	return w.Try(func() error { return w.Vault("collector").Arrived(w.T.Context(), w.state.First) })
}

// FileNote files the batch note at a keyholder and holds the receipt against it.
func (w *World) FileNote(party string) error {
	w.Seed("note " + party)
	raw, err := again(w, func() (string, error) {
		return w.Keyholder(party, "collector").FileNote(w.T.Context(), w.state.Notes[party])
	})
	if err != nil {
		return err
	}
	_, err = bundle.OpenNoteReceipt(&w.Trust, w.Hash, seal.Role(party), w.note(party).Statement, raw)
	return err
}

func (w *World) note(party string) *seal.Note {
	note, err := seal.ParseNote(w.state.Notes[party])
	w.must(err)
	return note
}

// requestKey is the fresh key of a request.
func requestKey(class string) seal.Seed {
	return sha256.Sum256([]byte("fictitious request key " + class))
}

// Request is the investigator's request for the whole unit of a class.
func (w *World) Request(class string) string {
	return w.Sign("investigator", record.TypeRequest, w.request(class))
}

func (w *World) request(class string) record.Request {
	key, err := seal.NewUnitKey(requestKey(class))
	w.must(err)
	u, at := w.Unit(), w.Trust.Issued
	return record.Request{
		Audience: w.Hash, Chain: u.Order, Class: class, Classification: u.Classification, Compartment: u.Compartment, Week: u.Week,
		Issued: at, Expires: at.Add(24 * time.Hour), Key: key.PublicKey().Bytes(), Nonce: nonce("request " + class), Purpose: "identify the caller",
	}
}

// ChangedRequest is a request for the content with something else in it, by anybody.
func (w *World) ChangedRequest(who string, change func(*record.Request)) string {
	r := w.request("content")
	change(&r)
	return w.Sign(who, record.TypeRequest, r)
}

// Approval is the supervisor's word on a request.
func (w *World) Approval(class string) string {
	at := w.Trust.Issued
	return w.Sign("supervisor", record.TypeApproval, record.Approval{
		Approve: true, Audience: w.Hash, Issued: at, Expires: at.Add(24 * time.Hour), Nonce: nonce("approval " + class), Reason: "considered",
		Request: record.HashStatement(w.Request(class)),
	})
}

// Ask sends the request to a keyholder.
func (w *World) Ask(party, class string) error {
	w.Seed("ask " + party + class)
	return w.Try(func() error { _, err := w.Keyholder(party, "").Ask(w.T.Context(), w.Request(class)); return err })
}

// Decide sends the approval to a keyholder.
func (w *World) Decide(party, class string) error {
	w.Seed("decide " + party + class)
	return w.Try(func() error { return w.Keyholder(party, "").Decide(w.T.Context(), w.Approval(class)) })
}

// Release fetches all halves of a class from a keyholder, page by page.
func (w *World) Release(party, class string) (record.Release, error) {
	w.Seed("release " + party + class)
	hash := record.HashStatement(w.Request(class))
	var all record.Release
	for from := 0; ; {
		raw, err := again(w, func() (string, error) { return w.Keyholder(party, "investigator").Release(w.T.Context(), hash, from) })
		if err != nil {
			return all, err
		}
		var page record.Release
		if _, err := record.Open(raw, record.TypeRelease, w.Trust.Party(party).Online, &page); err != nil {
			return all, err
		}
		if page.From != from || page.Request != hash || page.Class != class {
			return all, fmt.Errorf("the %s answers another question", party)
		}
		page.Items = append(all.Items, page.Items...)
		all = page
		if from = len(all.Items); from >= page.Total || from == 0 {
			return all, nil
		}
	}
}

// Sequence publishes a fresh cosigned checkpoint.
func (w *World) Sequence() {
	w.T.Helper()
	w.Drain()
	w.Seed("sequence")
	w.Tick("vault", "sequence")
}

// ReadPack reads from what the mirror downloaded; it is a seal.Source.
func (w *World) ReadPack(number uint64, offset uint32, dst []byte) error {
	f, err := os.Open(w.path("mirrored"))
	if err != nil || number != w.state.First {
		return fmt.Errorf("no such pack: %w", err)
	}
	defer f.Close()
	_, err = f.ReadAt(dst, int64(offset))
	return err
}

// Mirror downloads the pack whole and holds it against what was sealed.
func (w *World) Mirror() error {
	list, err := again(w, func() (wire.Packs, error) { return w.Vault("mirror").Packs(w.T.Context(), 1) })
	if err != nil {
		return err
	}
	if len(list.Packs) != 1 || list.Packs[0].Number != w.state.First {
		return fmt.Errorf("the vault lists %d packs", len(list.Packs))
	}
	x, err := again(w, func() (store.Transfer, error) { return w.Vault("mirror").Download(w.T.Context(), w.state.First) })
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(w.T.Context(), x.Method, x.URL, nil)
	if err != nil {
		return err
	}
	req.Header = x.Header.Clone()
	res, err := w.HTTP().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	pack, err := io.ReadAll(res.Body)
	if err != nil || record.Digest(sha256.Sum256(pack)) != w.state.Whole {
		return fmt.Errorf("the pack that came back is another: status %d, %d bytes, %w", res.StatusCode, len(pack), err)
	}
	return os.WriteFile(w.path("mirrored"), pack, 0o600)
}

// OpenAll opens every recording with halves of both keyholders, as a reader does, and compares the content.
func (w *World) OpenAll(n int) {
	w.T.Helper()
	halves := map[string]map[record.ID][]byte{}
	var find seal.Seed
	request := record.HashStatement(w.Request("content"))
	key, err := seal.NewUnitKey(requestKey("content"))
	w.must(err)
	for _, party := range Keyholders {
		r, err := w.Release(party, "content")
		w.must(err)
		if r.Total != n || len(r.Items) != n {
			w.T.Fatalf("%s: %d of %d halves, want %d", party, len(r.Items), r.Total, n)
		}
		halves[party] = map[record.ID][]byte{}
		for _, item := range r.Items {
			halves[party][item.Recording] = item.Half
		}
		find, err = seal.OpenFind(key, seal.Role(party), request, w.Unit(), r.Find)
		w.must(err)
	}
	findKey, err := seal.NewUnitKey(find)
	w.must(err)
	slotBytes := make([]byte, seal.SlotSize)
	w.must(w.ReadPack(w.state.First, 0, slotBytes))
	slot, err := seal.OpenSlot(findKey, w.state.First, 0, slotBytes)
	w.must(err)
	area := make([]byte, slot.Area.Length)
	w.must(w.ReadPack(w.state.First, slot.Area.Offset, area))
	listing, err := slot.OpenDescriptors(area, func(seal.CollectorID) (ed25519.PublicKey, error) { return Signer("collector").Public().Ed25519(), nil })
	w.must(err)
	if len(listing.Descriptors) != n {
		w.T.Fatalf("%d descriptors, want %d", len(listing.Descriptors), n)
	}
	contents := Contents(n)
	for i, d := range listing.Descriptors {
		if got := w.openOne(d, listing.Statement.Batch, key, request, halves); !bytes.Equal(got, contents[i]) {
			w.T.Fatalf("recording %d came back as %d other bytes", i, len(got))
		}
	}
}

func (w *World) openOne(d seal.Descriptor, batch seal.BatchID, key hpke.PrivateKey, request record.Digest, halves map[string]map[record.ID][]byte) []byte {
	c := seal.ContextOf(d.Recording, batch, w.Unit())
	half := map[string]seal.Half{}
	for _, party := range Keyholders {
		var err error
		half[party], err = seal.OpenHalf(key, seal.Role(party), request, c, seal.ContentClass, halves[party][record.ID(d.Recording)])
		w.must(err)
	}
	opened, err := seal.Combine(seal.ContentClass, c, d.Commitments, half["court"], half["custodian"])
	w.must(err)
	content, err := seal.NewContent(opened, c, d.Places, w)
	w.must(err)
	var out bytes.Buffer
	_, err = content.WriteTo(&out)
	w.must(err)
	return out.Bytes()
}

// Journey walks from the founding to the opened recordings and on to the revoked order, through every operation of every
// function, with a batch of n recordings. It ends with Verify.
func (w *World) Journey(n int) {
	w.T.Helper()
	w.Found()
	w.EnrolAll()
	w.both(w.Admit)
	w.Drain()
	w.must(w.Reserve())
	w.Seal(n)
	w.must(w.Upload())
	w.ObjectCreated(seal.PackKey(w.state.First), int64(Geometry.Size))
	w.must(w.Confirm())
	w.both(w.FileNote)
	w.must(w.Mirror())
	for _, class := range []string{"index", "content"} {
		w.both(func(party string) error { return w.Ask(party, class) })
	}
	w.both(func(party string) error { return w.Decide(party, "content") })
	w.Sequence()
	w.OpenAll(n)
	w.Verify()
	w.Repeat()
	w.look()
	w.destroy()
	w.stop()
	w.Verify()
}

// Repeat makes every acknowledged call of the journey once more, from functions that remember nothing: each is
// acknowledged again, and neither journal, log nor list grows by it.
func (w *World) Repeat() {
	w.T.Helper()
	before := w.sizes()
	w.Restart()
	for _, name := range castOrder {
		w.both(func(party string) error { return w.Enrol(party, name) })
	}
	first := w.state.First
	w.must(w.Reserve())
	if w.state.First != first {
		w.T.Errorf("the same reservation gives number %d, then %d", first, w.state.First)
	}
	w.must(w.Upload())
	w.must(w.Confirm())
	w.both(w.Admit)
	w.both(w.FileNote)
	for _, class := range []string{"index", "content"} {
		w.both(func(party string) error { return w.Ask(party, class) })
	}
	w.both(func(party string) error { return w.Decide(party, "content") })
	w.Sequence()
	if after := w.sizes(); after != before {
		w.T.Errorf("what was said again was done again: %s, then %s", before, after)
	}
}

// sizes counts what a repeated call must not add to.
func (w *World) sizes() (text string) {
	w.Sequence()
	entries := w.logEntries()
	for _, party := range Keyholders {
		for _, of := range []record.Digest{{}, w.Chain()} {
			text += fmt.Sprintf("%s %s: %d events; ", party, of.Short(), len(w.verifyJournal(party, of, entries)))
		}
	}
	return text + fmt.Sprintf("log: %d entries", len(entries))
}

func (w *World) both(step func(party string) error) {
	w.T.Helper()
	for _, party := range Keyholders {
		w.must(step(party))
	}
}

// look calls every operation that only reads, and the schedules.
func (w *World) look() {
	w.T.Helper()
	ctx := w.T.Context()
	hash := record.HashStatement(w.Request("content"))
	for _, party := range Keyholders {
		w.Tick(party, "units")
		w.Sequence() // a fresh checkpoint, by which clocks are read
		w.Tick(party, "lapse")
		w.Tick(party, "lapse")
		notices, err := again(w, func() (wire.Notices, error) { return w.Keyholder(party, "supervisor").Notices(ctx) })
		if err != nil || len(notices.Notices) != 1 {
			w.T.Errorf("%s tells the supervisor %v: %v", party, notices.Notices, err)
		}
		w.Tick(party, "report")
		w.must(w.Report(party))
		for name, call := range map[string]func() error{
			"orders": func() error { _, err := w.Keyholder(party, "investigator").Orders(ctx); return err },
			"order":  func() error { _, err := w.Keyholder(party, "clerk").Order(ctx, w.Chain()); return err },
			"status": func() error {
				_, err := w.Keyholder(party, "collector").Status(ctx, nonce("status"), w.Chain())
				return err
			},
			"units":   func() error { _, err := w.Keyholder(party, "collector").UnitKeys(ctx, w.Chain()); return err },
			"people":  func() error { _, err := w.Keyholder(party, "auditor").People(ctx); return err },
			"inbox":   func() error { _, err := w.Keyholder(party, "supervisor").Inbox(ctx, 1); return err },
			"reports": func() error { _, err := w.Keyholder(party, "clerk").Reports(ctx, w.Chain()); return err },
			"report": func() error {
				_, err := w.Keyholder(party, "judge").Report(ctx, record.HashStatement(w.ReportFile(party).Statement))
				return err
			},
			"request": func() error { _, err := w.Keyholder(party, "investigator").Request(ctx, hash); return err },
			"trust":   func() error { _, err := w.Keyholder(party, "").Trust(ctx); return err },
		} {
			if err := w.Try(call); err != nil {
				w.T.Errorf("%s %s: %v", party, name, err)
			}
		}
	}
	w.must(w.Try(func() error { _, err := w.Vault("mirror").Consistency(ctx, 1); return err }))
	w.Sequence()
	w.Tick("vault", "stamp")
	w.Tick("vault", "stamp")
	if n := len(w.Stamps()); n != len(w.Authorities) {
		w.T.Errorf("%d authorities and %d timestamps in an hour", len(w.Authorities), n)
	}
	w.repair()
	// As many as a call takes, and as many numbers as are reserved at once: both must fit DynamoDB's 100 writes.
	full := make([]ledger.Entry, 100)
	for i := range full {
		full[i] = sha256.Sum256(fmt.Appendf(nil, "fictitious entry %d", i))
	}
	w.must(w.Try(func() error { return w.VaultOf("court").Add(ctx, full...) }))
	w.must(w.Try(func() error { _, err := w.Vault("collector").Reserve(ctx, nonce("many"), 64); return err }))
}

// ReportFile is the investigator's report as it goes to a keyholder. Its content is noise: what opens it is tested with the seal.
func (w *World) ReportFile(party string) wire.ReportFile {
	share := map[string][]byte{"court": bytes.Repeat([]byte{1}, 32), "custodian": bytes.Repeat([]byte{2}, 32)}
	content := []byte("fictitious noise")
	statement := w.Sign("investigator", record.TypeReport, record.Report{Audience: w.Hash, Chain: w.Chain(), Content: Digest(content), Court: Digest(share["court"]),
		Custodian: Digest(share["custodian"]), Issued: w.Trust.Issued, Nonce: nonce("report")})
	return wire.ReportFile{Content: content, Share: share[party], Statement: statement}
}

// Report delivers it to a keyholder.
func (w *World) Report(party string) error {
	w.Seed("report " + party)
	return w.Try(func() error {
		_, err := w.Keyholder(party, "investigator").FileReport(w.T.Context(), w.ReportFile(party))
		return err
	})
}

// Tell lets a keyholder go over the clocks.
func (w *World) Tell(party string) error {
	return w.Try(func() error {
		_, err := w.Invoke(party, "lapse", []byte(`{"arca":"tick"}`))
		return err
	})
}

// stop suspends the stranger and revokes the order; from then on nothing is released.
func (w *World) stop() {
	w.T.Helper()
	at := w.Trust.Issued
	suspension, err := record.Sign(Signer("court registrar"), record.TypeSuspension, at, record.PersonSuspension{
		Audience: w.Hash, Issued: at, Nonce: nonce("suspension"), Person: Signer("stranger").Public().ID(), Reason: "left the unit",
	})
	w.must(err)
	revocation := w.Sign("judge", record.TypeOrder, record.Order{
		Audience: w.Hash, Kind: record.Revocation, Profile: "ES-588ter", Court: "Court One", Chain: w.Chain(), Decided: at, Reason: "the need ended", Nonce: nonce("revocation"),
	})
	w.both(func(party string) error {
		return w.Try(func() error { return w.Keyholder(party, "").Suspend(w.T.Context(), suspension) })
	})
	w.both(func(party string) error {
		return w.Try(func() error { _, err := w.Keyholder(party, "").Admit(w.T.Context(), revocation); return err })
	})
	w.Sequence()
	for _, party := range Keyholders {
		if _, err := w.Release(party, "content"); problem.KindOf(err) != problem.Denied {
			w.T.Errorf("%s releases under a revoked order: %v", party, err)
		}
	}
}

// Stages let a test stand at one point of the journey.

// Ordered has admitted the order, and the unit's keys exist.
func Ordered(w *World) {
	w.T.Helper()
	w.both(w.Admit)
	w.Drain()
}

// Sealed has a pack with the journey's batch lying ready, its number reserved.
func Sealed(w *World) {
	w.T.Helper()
	Ordered(w)
	w.must(w.Reserve())
	w.Seal(3)
}

// Deposited has the pack stored, of which nobody has told the vault.
func Deposited(w *World) {
	w.T.Helper()
	Sealed(w)
	w.must(w.Upload())
}

// Noted has the pack arrived and both notes filed.
func Noted(w *World) {
	w.T.Helper()
	Deposited(w)
	w.must(w.Confirm())
	w.both(w.FileNote)
}

// Approved has the request for the content asked, approved and in the witnessed log.
func Approved(w *World) {
	w.T.Helper()
	Noted(w)
	w.both(func(party string) error { return w.Ask(party, "content") })
	w.both(func(party string) error { return w.Decide(party, "content") })
	w.Sequence()
}

// Number is the journey's pack number.
func (w *World) Number() uint64 { return w.state.First }

// Note is the batch note for a keyholder.
func (w *World) Note(party string) []byte { return w.state.Notes[party] }
