package tests

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/custody"
	"arca.example/arca/shared/law"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/mirror"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/stamp"
	"arca.example/arca/shared/stamp/stamptest"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/sealed"
	"arca.example/arca/shared/store/storetest"
	"arca.example/arca/shared/wire"
)

// errMeaning refuses what is valid and not what was asked for.
var errMeaning = errors.New("it is another one")

// lenient decodes base64 with any bits behind the last byte.
var lenient = base64.RawURLEncoding

type loggedEvent = wire.LoggedEvent

// gallery is an installation with two cases, of which everything that is stored is a specimen.
type gallery struct {
	*world
	m        *mirror.Mirror
	chain    record.Digest
	sealed   []collected
	verifier *ledger.Verifier
	early    []byte // a checkpoint of an earlier time
}

type collected struct {
	id      record.ID
	receipt []byte
}

func specimens(tb testing.TB) []*specimen {
	g := newGallery(tb)
	list := g.statements()
	list = append(list, g.orderChain(), g.receipts(), g.proofs(), g.checkpoints(), g.tiles(), g.mirrored(), g.journals(), g.rows(), g.notes(), g.packEvents(), g.timestamps())
	return append(list, sealedSpecimens(tb)...)
}

func newGallery(tb testing.TB) *gallery {
	g := &gallery{world: newWorld(tb, installation.ServeOptions{})}
	g.cast()
	g.chain = g.admit(g.draft("DP-0000/17", unitA, target))
	g.admit(g.draft("DP-0000/18", unitA, target2))
	var err error
	g.verifier, err = ledger.NewVerifier(ledger.PolicyOf(&g.trust))
	g.check(err)
	g.early = must(g.vault("mirror").Checkpoint(context.Background()))
	g.extend()
	c, start := g.collector("collector"), g.recent()
	for i, text := range []string{"bring it at nine", "bring it at ten"} {
		s := g.world.sealed(c, clip{chain: g.chain, name: fmt.Sprint("message ", i), codec: "text", kind: "message", number: target, start: start, content: []byte(text)})[0]
		g.flush(c)
		receipt, err := c.Receipt(context.Background(), s)
		g.check(err)
		g.sealed = append(g.sealed, collected{s.Recording, receipt})
	}
	g.m = g.mirror()
	r := g.reader("investigator", g.m, &bytes.Buffer{})
	_, err = r.List(context.Background(), g.ask(r, reader.AskInput{Chain: g.chain, Week: seal.WeekOf(start), Class: seal.IndexClass}))
	g.check(err)
	g.granted(r, "supervisor", reader.AskInput{Chain: g.chain, Week: seal.WeekOf(start)})
	_, err = r.Open(context.Background(), g.sealed[0].id.String(), "-", reader.Range{})
	g.check(err)
	return g
}

// extend has the judge extend the order once.
func (g *gallery) extend() {
	o := must(g.keyholder("court", "judge").Order(context.Background(), g.chain))
	var first record.Order
	_, err := record.OpenKnown(o.Members[0], record.TypeOrder, g.people["judge"].Public(), &first)
	g.check(err)
	until := first.Capture.Until
	g.admit(record.Order{Audience: g.f.Config.Trust, Kind: record.Extension, Chain: g.chain, Previous: g.chain, Sequence: first.Sequence + 1, Court: court, Profile: first.Profile,
		Decided: record.Second(g.now()), Capture: record.Window{From: until, Until: until.AddDate(0, 0, 20)}, AccessEnd: first.AccessEnd.AddDate(0, 0, 20), Reason: "it goes on", Nonce: nonce()})
}

// laxJSON is what a lenient reader of JSON makes of a piece: one value, whatever surrounds it, members in any order and any case.
func laxJSON(b []byte) []byte {
	var v any
	d := jsontext.NewDecoder(bytes.NewReader(b), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err := json.UnmarshalDecode(d, &v); err != nil {
		return b
	}
	out, err := record.Marshal(v)
	if err != nil {
		return b
	}
	return out
}

// laxJWS is what a lenient reader makes of a statement: white space goes, and so do the bits at a part's end that decode to nothing.
func laxJWS(b []byte) []byte {
	var parts []string
	for _, p := range strings.Split(strings.Join(strings.Fields(string(b)), ""), ".") {
		p = strings.TrimRight(strings.ReplaceAll(p, "\x00", ""), "=")
		raw, err := lenient.DecodeString(p)
		if err != nil {
			return b
		}
		parts = append(parts, lenient.EncodeToString(raw))
	}
	return []byte(strings.Join(parts, "."))
}

// statement is a signed statement and what its reader demands of it.
func (g *gallery) statement(kind, raw string, typ record.Type, key record.PublicKey, others ...string) *specimen {
	want := record.HashStatement(raw)
	s := &specimen{kind: kind, pieces: [][]byte{[]byte(raw)}, lax: laxJWS}
	for _, o := range others {
		s.others = append(s.others, []byte(o))
	}
	s.judge = func(pieces [][]byte) ([]byte, error) {
		if len(pieces) != 1 {
			return nil, errMeaning
		}
		var payload jsontext.Value
		if _, err := record.OpenKnown(string(pieces[0]), typ, key, &payload); err != nil {
			return nil, err
		}
		if record.HashStatement(string(pieces[0])) != want {
			return nil, errMeaning // its reader knows it by its hash
		}
		return payload, nil
	}
	return s
}

func (g *gallery) statements() []*specimen {
	ctx := context.Background()
	order := must(g.keyholder("court", "judge").Order(ctx, g.chain))
	status := must(g.keyholder("court", "collector").Status(ctx, nonce(), g.chain))
	status2 := must(g.keyholder("court", "collector").Status(ctx, nonce(), g.chain))
	keys, refused, err := g.keyholder("custodian", "collector").Units(ctx, wire.UnitAsk{Chain: g.chain.String(), Classification: "restricted", Compartment: "main", Week: seal.WeekOf(g.recent())})
	g.check(errors.Join(append(refused, err)...))
	list := []*specimen{
		g.statement("order", order.Members[0], record.TypeOrder, g.people["judge"].Public(), order.Members[1]),
		g.statement("status", status, record.TypeStatus, g.trust.Court.Online, status2),
		g.statement("unit keys", keys, record.TypeUnitKeys, g.trust.Custodian.Online),
	}
	people := must(g.keyholder("court", "auditor").People(ctx))
	var two []record.Joint
	for _, p := range people.People {
		if len(p.Enrolment) == 2 {
			two = append(two, p.Enrolment)
		}
	}
	return append(list, g.signedByTwo("enrolment", record.TypeEnrolment, two[0], two[1], g.trust.Court.Registrar, g.trust.Custodian.Registrar), g.trustFile())
}

// signedByTwo is a statement with two signatures.
func (g *gallery) signedByTwo(kind string, typ record.Type, j, other record.Joint, keys ...record.PublicKey) *specimen {
	var v jsontext.Value
	want, err := j.Open(typ, &v, keys...)
	g.check(err)
	return &specimen{kind: kind, pieces: pieces(j), others: pieces(other), lax: laxJWS, judge: func(p [][]byte) ([]byte, error) {
		var payload jsontext.Value
		hash, err := jointOf(p).Open(typ, &payload, keys...)
		if err == nil && hash != want {
			err = errMeaning
		}
		return payload, err
	}}
}

func pieces(j record.Joint) (out [][]byte) {
	for _, s := range j {
		out = append(out, []byte(s))
	}
	return out
}

func jointOf(p [][]byte) (j record.Joint) {
	for _, b := range p {
		j = append(j, string(b))
	}
	return j
}

func (g *gallery) trustFile() *specimen {
	return &specimen{kind: "trust file", pieces: pieces(g.world.joint), lax: laxJWS, judge: func(p [][]byte) ([]byte, error) {
		t, err := record.OpenTrust(jointOf(p), g.f.Config.Trust)
		if err != nil {
			return nil, err
		}
		return record.Marshal(t)
	}}
}

// orderChain is read as a keyholder reads it: members by the judge's key, then the chain, then the head that the other keyholder has signed for.
func (g *gallery) orderChain() *specimen {
	ctx := context.Background()
	order := must(g.keyholder("court", "judge").Order(ctx, g.chain))
	draw := nonce()
	var status record.Status
	_, err := record.Open(must(g.keyholder("custodian", "collector").Status(ctx, draw, g.chain)), record.TypeStatus, g.trust.Custodian.Online, &status)
	g.check(err)
	s := &specimen{kind: "order chain", lax: laxJWS, anyOrder: true, slow: 2}
	for _, m := range order.Members {
		s.pieces = append(s.pieces, []byte(m))
	}
	orders := must(g.keyholder("court", "judge").Orders(ctx))
	for _, o := range orders.Orders {
		if o.Chain != g.chain.String() {
			s.others = append(s.others, []byte(must(g.keyholder("court", "judge").Order(ctx, must(record.ParseDigest(o.Chain)))).Members[0]))
		}
	}
	s.older = [][][]byte{s.pieces[:1]}
	s.judge = func(p [][]byte) ([]byte, error) {
		var members []law.Member
		for _, raw := range p {
			var o record.Order
			st, err := record.OpenKnown(string(raw), record.TypeOrder, g.people["judge"].Public(), &o)
			if err != nil {
				return nil, err
			}
			if err := o.Validate(); err != nil {
				return nil, err
			}
			members = append(members, law.Member{Hash: st.Hash, Order: o})
		}
		state, err := law.Read(members)
		if err != nil {
			return nil, err
		}
		if err := state.Open(g.now()); err != nil {
			return nil, err
		}
		if state.Head != status.Chains[0].Head || state.Chain != g.chain {
			return nil, errMeaning
		}
		return record.Marshal(state)
	}
	return s
}

func (g *gallery) receipts() *specimen {
	return &specimen{kind: "receipt", pieces: [][]byte{g.sealed[0].receipt}, others: [][]byte{g.sealed[1].receipt}, lax: laxJSON, slow: 8, judge: func(p [][]byte) ([]byte, error) {
		if len(p) != 1 {
			return nil, errMeaning
		}
		r, err := bundle.VerifyReceipt(&g.trust, g.f.Config.Trust, p[0])
		if err == nil && r.Recording != g.sealed[0].id {
			err = errMeaning
		}
		return fmt.Append(nil, r), err
	}}
}

// proven gives the openings and proofs of both packs from the receipts.
func (g *gallery) proven() (list []bundle.LogProof) {
	for _, s := range g.sealed {
		var r bundle.Receipt
		g.check(json.Unmarshal(s.receipt, &r))
		list = append(list, r.Packs...)
	}
	return list
}

func (g *gallery) proofs() *specimen {
	list := g.proven()
	_, entry, err := bundle.OpenPackEvent(list[0].Event, list[0].Random)
	g.check(err)
	s := &specimen{kind: "tlog-proof", pieces: [][]byte{[]byte(list[0].Proof)}, slow: 2, lax: func(b []byte) []byte {
		return append(bytes.TrimRight(b, " \n\x00"), '\n')
	}}
	for _, p := range list[1:] {
		s.others = append(s.others, []byte(p.Proof))
	}
	s.judge = func(p [][]byte) ([]byte, error) {
		if len(p) != 1 {
			return nil, errMeaning
		}
		at, index, err := ledger.VerifyInclusion(ledger.PolicyOf(&g.trust), entry, p[0])
		return fmt.Append(nil, at, index), err
	}
	return s
}

// checkpoints are read as a mirror reads them: nothing older than what it has.
func (g *gallery) checkpoints() *specimen {
	now := must(g.vault("mirror").Checkpoint(context.Background()))
	have, err := g.verifier.Verify(now)
	g.check(err)
	return &specimen{kind: "checkpoint", pieces: [][]byte{now}, others: [][]byte{g.early}, older: [][][]byte{{g.early}}, slow: 2,
		lax: func(b []byte) []byte { return append(bytes.TrimRight(b, " \n\x00"), '\n') },
		judge: func(p [][]byte) ([]byte, error) {
			if len(p) != 1 {
				return nil, errMeaning
			}
			v := must(ledger.NewVerifier(ledger.PolicyOf(&g.trust)))
			at, err := v.Verify(p[0])
			if err == nil && at.Size < have.Size {
				err = errMeaning
			}
			return fmt.Append(nil, at), err
		}}
}

// timestamps are two stamps with the checkpoint and the event that belong to each, as a bundle carries them.
func (g *gallery) timestamps() *specimen {
	a := stamptest.New(g.tb, "authority-1", g.now)
	verifier := must(stamp.New([]record.Authority{a.Record()}, g.verifier))
	var list []stamp.Stamp
	for i, checkpoint := range [][]byte{must(g.vault("mirror").Checkpoint(context.Background())), g.early} {
		q := must(verifier.Ask(0, checkpoint, [16]byte{1, byte(i)}))
		token, facts, err := verifier.Answer(q, a.Reply(q.DER), g.now())
		g.check(err)
		list = append(list, stamp.Stamp{Number: 7, Checkpoint: checkpoint, Token: token, Event: must(stamp.Pinned(7, facts.Authority, token, checkpoint))})
	}
	parts := func(s stamp.Stamp) [][]byte { return [][]byte{s.Checkpoint, s.Event, s.Token} }
	return &specimen{kind: "timestamp", pieces: parts(list[0]), others: parts(list[1]), slow: 4, judge: func(p [][]byte) ([]byte, error) {
		if len(p) != 3 {
			return nil, errMeaning
		}
		facts, err := verifier.Check(stamp.Stamp{Number: 7, Checkpoint: p[0], Event: p[1], Token: p[2]}, g.now())
		return fmt.Append(nil, facts), err
	}}
}

// tiles is the whole log as the vault stores it, under its newest checkpoint.
func (g *gallery) tiles() *specimen {
	root := g.f.Dir("vault", "objects", "log")
	signed := must(g.vault("mirror").Checkpoint(context.Background()))
	at, err := g.verifier.Verify(signed)
	g.check(err)
	tree := ledger.Tree{Origin: g.trust.LogOrigin, Size: at.Size, Root: at.Root}
	s := &specimen{kind: "log tiles", slow: 3}
	where := map[ledger.Tile]int{}
	_ = ledger.VerifyLog(context.Background(), tree, func(t ledger.Tile) ([]byte, error) {
		raw, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(t.Path())))
		if _, known := where[t]; err == nil && !known {
			where[t] = len(s.pieces)
			s.pieces = append(s.pieces, raw)
		}
		return raw, err
	}, nil)
	err = filepath.WalkDir(filepath.Join(root, "tile"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			s.others = append(s.others, must(os.ReadFile(path))) // earlier, narrower tiles
		}
		return err
	})
	g.check(err)
	s.judge = func(p [][]byte) ([]byte, error) {
		err := ledger.VerifyLog(context.Background(), tree, func(t ledger.Tile) ([]byte, error) {
			if i, ok := where[t]; ok && i < len(p) {
				return bytes.Clone(p[i]), nil
			}
			return nil, fs.ErrNotExist
		}, nil)
		if err == nil && len(p) != len(where) {
			err = errMeaning // nobody asks for a tile that is not the tree's
		}
		return nil, err
	}
	return s
}

// mirrored is what lies in a mirror: packs and their rows, as its audit reads them.
func (g *gallery) mirrored() *specimen {
	last := must(g.m.Last())
	folder := g.tb.TempDir()
	copyTree(g.tb, g.m.Folder(), folder)
	m := g.mirrorAt(folder)
	s := &specimen{kind: "mirrored packs and rows", slow: 60}
	var paths []string
	for n := range last {
		for _, path := range []string{filepath.Join("packs", fmt.Sprintf("%012d", n+1)), filepath.Join("index", fmt.Sprintf("%012d.json", n+1))} {
			raw := must(os.ReadFile(filepath.Join(folder, path)))
			paths, s.pieces, s.others = append(paths, filepath.Join(folder, path)), append(s.pieces, raw), append(s.others, raw)
		}
	}
	s.judge = func(p [][]byte) ([]byte, error) {
		if len(p) > len(paths) {
			return nil, errMeaning // there is one name for each
		}
		for i, path := range paths {
			if i >= len(p) {
				g.check(os.Remove(path))
			} else if !bytes.Equal(must(readIfThere(path)), p[i]) {
				g.check(os.WriteFile(path, p[i], 0o600))
			}
		}
		got, err := m.Audit(context.Background(), nil)
		if err == nil && (len(got.Findings) > 0 || got.Packs != int(last)) {
			err = errMeaning
		}
		return nil, err
	}
	return s
}

func readIfThere(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

func copyTree(tb testing.TB, from, to string) {
	tb.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		tb.Fatal(err)
	}
}

// journals are both keyholders' events of a case, as the custody of a recording is read from them.
func (g *gallery) journals() *specimen {
	in := custody.Input{Trust: g.trust, Audience: g.f.Config.Trust, Verifier: g.verifier, Chain: g.chain, Recording: g.sealed[0].id}
	var lengths []int
	s := &specimen{kind: "journal events", slow: 40}
	var lines []custody.Line
	for _, party := range custody.Parties {
		events := g.allProven(party)
		for _, e := range events {
			lines = append(lines, custody.Line{Event: e.Event, Proof: e.Proof, Random: e.Random, State: e.State})
			s.pieces, s.others = append(s.pieces, e.Event), append(s.others, e.Event)
		}
		lengths = append(lengths, len(events))
	}
	people := must(g.keyholder("court", "auditor").People(context.Background()))
	for _, p := range people.People {
		in.People = append(in.People, p.Enrolment)
	}
	s.judge = func(p [][]byte) ([]byte, error) {
		if len(p) != len(lines) {
			return nil, errMeaning // a keyholder that shows fewer events than its head is found out by the other's, see custody's own tests
		}
		mine := in
		mine.Journals = nil
		at := 0
		for i, party := range custody.Parties {
			j := custody.Journal{Party: party}
			for range lengths[i] {
				line := lines[at]
				line.Event = p[at]
				j.Lines = append(j.Lines, line)
				at++
			}
			mine.Journals = append(mine.Journals, j)
		}
		t, err := custody.Read(mine)
		if err != nil {
			return nil, err
		}
		if t.Grave() || !t.Complete {
			return nil, errMeaning
		}
		return record.Marshal(t.Entries)
	}
	return s
}

// allProven waits until every event of the case at a keyholder is under a witnessed checkpoint.
func (g *gallery) allProven(party string) []loggedEvent {
	g.tb.Helper()
	for end := time.Now().Add(20 * time.Second); ; pause() {
		var list []loggedEvent
		ready := true
		for from := int64(1); ; {
			page := must(g.keyholder(party, "auditor").Log(context.Background(), g.chain, from))
			for _, e := range page.Events {
				list = append(list, e)
				ready = ready && len(e.Proof) > 0
			}
			if len(page.Events) == 0 {
				break
			}
			from = page.Next
		}
		if ready && len(list) > 0 {
			return list
		}
		if time.Now().After(end) {
			g.tb.Fatalf("the events of %s are not proven", party)
		}
	}
}

// rows are sealed rows at a keyholder, each of which its reader expects. That one is put back whole, with its version number, does not show
// here: see TestRowRollback for who notices.
func (g *gallery) rows() *specimen {
	ctx := context.Background()
	below := storetest.NewMemory()
	rows := sealed.New(below, [32]byte{7})
	names := []string{"a", "roster", "chain/17", "page/0"}
	for i, name := range names {
		g.check(rows.Commit(ctx, store.Write{Op: store.Put, Key: name, Value: pattern(40+i*300, uint32(i))}))
	}
	s := &specimen{kind: "sealed rows"}
	var stored []store.Row
	g.check(below.Scan(ctx, 0, 1, func(r store.Row) error {
		stored = append(stored, r)
		s.pieces, s.others = append(s.pieces, r.Value), append(s.others, r.Value)
		return nil
	}))
	s.judge = func(p [][]byte) ([]byte, error) {
		given := storetest.NewMemory()
		snapshot := storetest.Snapshot{}
		for i, r := range stored {
			if i < len(p) {
				r.Value = p[i]
				snapshot[r.Key] = r
			}
		}
		if len(p) > len(stored) {
			return nil, errMeaning // a row has one place
		}
		given.Restore(snapshot)
		found, err := sealed.New(given, [32]byte{7}).Get(ctx, names...)
		if err != nil {
			return nil, err
		}
		var all []byte
		for _, name := range names {
			row, ok := found[name]
			if !ok {
				return nil, errMeaning
			}
			all = append(all, row.Value...)
		}
		return all, nil
	}
	return s
}

// notes are batch notes as a keyholder reads its rows.
func (g *gallery) notes() *specimen {
	var list []*seal.Note
	for _, c := range g.sealed {
		var r bundle.Receipt
		g.check(json.Unmarshal(c.receipt, &r))
		list = append(list, must(seal.ParseNote(r.Note)))
	}
	key := g.people["collector"].Public().Ed25519()
	return &specimen{kind: "batch note", pieces: [][]byte{list[0].Bytes()}, others: [][]byte{list[1].Bytes()}, judge: func(p [][]byte) ([]byte, error) {
		if len(p) != 1 {
			return nil, errMeaning
		}
		n, err := seal.ParseNote(p[0])
		if err != nil {
			return nil, err
		}
		if n.Statement.Batch != list[0].Statement.Batch {
			return nil, errMeaning
		}
		// The sealed half is bound by the statement's hash, the members by its other one.
		return n.Bytes(), n.Verify(key)
	}}
}

// packEvents are the openings that the vault lists.
func (g *gallery) packEvents() *specimen {
	list := g.proven()
	return &specimen{kind: "pack event", pieces: [][]byte{list[0].Event, list[0].Random}, others: [][]byte{list[len(list)-1].Event, list[len(list)-1].Random}, slow: 2, judge: func(p [][]byte) ([]byte, error) {
		if len(p) != 2 {
			return nil, errMeaning
		}
		_, _, err := bundle.LogProof{Event: p[0], Random: p[1], Proof: list[0].Proof}.Verify(g.verifier)
		return slices.Concat(p...), err
	}}
}

// sealedSpecimens are what a pack holds, made by the sealing code itself.
func sealedSpecimens(tb testing.TB) []*specimen {
	tb.Helper()
	f := newFrame(tb)
	return []*specimen{f.slots(), f.descriptors(), f.segments(), f.halves()}
}

// frame is a pack with one batch, and all its keys.
type frame struct {
	tb         testing.TB
	unit       seal.Unit
	find       seal.Seed
	pack       []byte
	slot       seal.Slot
	collector  ed25519.PrivateKey
	secret     map[seal.Role]seal.BatchSecret
	descriptor seal.Descriptor
	content    []byte
}

func newFrame(tb testing.TB) *frame {
	f := &frame{tb: tb, find: seal.NewSeed(), secret: map[seal.Role]seal.BatchSecret{}, content: pattern(3*seal.SegmentSize+1234, 9)}
	f.unit = seal.Unit{Order: record.Digest{1}, Week: "2031-W03", Compartment: "main", Classification: "restricted"}
	_, f.collector, _ = ed25519.GenerateKey(nil)
	court, custodian := must(seal.NewUnitKey(seal.NewSeed())), must(seal.NewUnitKey(seal.NewSeed()))
	batch := must(seal.NewBatch(f.unit, court.PublicKey(), custodian.PublicKey()))
	f.secret[seal.Court] = must(seal.OpenBatch(seal.Court, court, batch.ID(), f.unit, batch.Sealed(seal.Court)))
	f.secret[seal.Custodian] = must(seal.OpenBatch(seal.Custodian, custodian, batch.ID(), f.unit, batch.Sealed(seal.Custodian)))
	b := must(seal.NewBuilder(seal.TinyGeometry, nil))
	if err := b.Start(1); err != nil {
		tb.Fatal(err)
	}
	rec := must(batch.Recording())
	enc := must(rec.Encryptor())
	var places seal.Places
	err := seal.EachSegment(bytes.NewReader(f.content), func(plain []byte, last bool) error {
		run, _, err := b.AppendSegment(enc, plain, last)
		places = places.Add(run)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	f.descriptor = must(rec.Describe(places, []byte(`{"name":"a"}`)))
	signed := must(batch.Sign(f.collector, seal.Statement{}, []seal.Descriptor{f.descriptor}))
	f.slot = must(signed.Slot(must(b.AppendWhole(signed.Area))))
	if err := b.AddSlot(must(seal.NewUnitKey(f.find)).PublicKey(), f.slot); err != nil {
		tb.Fatal(err)
	}
	f.pack = bytes.Clone(must(b.Finish()).Bytes)
	return f
}

func (f *frame) slots() *specimen {
	key := must(seal.NewUnitKey(f.find))
	elsewhere := must(seal.SealSlot(key.PublicKey(), 2, 0, f.slot))
	return &specimen{kind: "header slot", pieces: [][]byte{f.pack[:seal.SlotSize]}, others: [][]byte{elsewhere, f.pack[seal.SlotSize : 2*seal.SlotSize]}, slow: 3, judge: func(p [][]byte) ([]byte, error) {
		if len(p) != 1 {
			return nil, errMeaning
		}
		s, err := seal.OpenSlot(key, 1, 0, p[0])
		return fmt.Append(nil, s.Batch, s.Unit, s.Area, s.Court, s.Custodian), err
	}}
}

func (f *frame) descriptors() *specimen {
	a := f.slot.Area
	area := f.pack[a.Offset : a.Offset+a.Length]
	pub := f.collector.Public().(ed25519.PublicKey)
	return &specimen{kind: "descriptors", pieces: [][]byte{area}, others: [][]byte{pattern(len(area), 3)}, judge: func(p [][]byte) ([]byte, error) {
		if len(p) != 1 {
			return nil, errMeaning
		}
		l, err := f.slot.OpenDescriptors(p[0], func(seal.CollectorID) (ed25519.PublicKey, error) { return pub, nil })
		if err != nil {
			return nil, err
		}
		return l.Descriptors[0].Bytes(), nil
	}}
}

// Pieces are segments of one recording; its reader knows from the descriptor how many there are.
func (f *frame) segments() *specimen {
	d := f.descriptor
	ctx := seal.ContextOf(d.Recording, f.slot.Batch, f.unit)
	half := func(role seal.Role) seal.Half { return seal.DeriveHalf(f.secret[role], role, seal.ContentClass, ctx) }
	key := must(seal.Combine(seal.ContentClass, ctx, d.Commitments, half(seal.Court), half(seal.Custodian)))
	s := &specimen{kind: "segments", slow: 2}
	var sealedBytes []byte
	for _, r := range d.Places {
		sealedBytes = append(sealedBytes, f.pack[r.Offset:r.Offset+r.Length]...)
	}
	for p := range slices.Chunk(sealedBytes, seal.SealedSegmentSize) {
		s.pieces, s.others = append(s.pieces, p), append(s.others, p)
	}
	count := len(s.pieces)
	s.judge = func(p [][]byte) ([]byte, error) {
		if len(p) != count {
			return nil, errMeaning
		}
		open := seal.NewDecryptor(key, ctx)
		var all []byte
		for i, c := range p {
			var err error
			if all, err = open.OpenSegment(all, uint64(i), i == count-1, c); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
	return s
}

// halves are what a keyholder releases, sealed to a request's key.
func (f *frame) halves() *specimen {
	ctx := seal.ContextOf(f.descriptor.Recording, f.slot.Batch, f.unit)
	key := must(seal.NewUnitKey(seal.NewSeed()))
	half := seal.DeriveHalf(f.secret[seal.Court], seal.Court, seal.ContentClass, ctx)
	request, other := [32]byte{1}, [32]byte{2}
	raw := must(seal.SealHalf(key.PublicKey(), seal.Court, request, ctx, seal.ContentClass, half))
	swapped := must(seal.SealHalf(key.PublicKey(), seal.Court, other, ctx, seal.ContentClass, half))
	return &specimen{kind: "released half", pieces: [][]byte{raw}, others: [][]byte{swapped}, slow: 3, judge: func(p [][]byte) ([]byte, error) {
		if len(p) != 1 {
			return nil, errMeaning
		}
		h, err := seal.OpenHalf(key, seal.Court, request, ctx, seal.ContentClass, p[0])
		if err == nil {
			err = f.descriptor.Commitments.Check(seal.Court, seal.ContentClass, h)
		}
		return h[:], err
	}}
}
