package tests

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
)

// desk is a world in which things go wrong one after the other, and the good path must work after each.
type desk struct {
	*office
	skew    map[string]*atomic.Int64 // seconds by which a party's clock is ahead
	down    *outage
	c       *collector.Collector
	order   record.Order
	sealedN int // messages that were acknowledged
}

func newDesk(tb testing.TB) *desk {
	d := &desk{office: &office{p: &provider{}, seed: seal.NewSeed()}, skew: map[string]*atomic.Int64{}, down: &outage{}}
	for _, party := range []string{"vault", "court", "custodian"} {
		d.skew[party] = &atomic.Int64{}
	}
	d.world = newWorld(tb, installation.ServeOptions{
		Clock: func(party string) func() time.Time {
			return func() time.Time { return time.Now().Add(time.Duration(d.skew[party].Load()) * time.Second) }
		},
		Rows: func(_ string, rows store.Rows) store.Rows { return &failing{rows, d.down} },
	})
	d.cast()
	d.machine("collector-two")
	d.order = d.draft("DP-0000/17", unitA, target)
	chain := d.admit(d.order)
	d.unit = seal.Unit{Order: chain, Week: seal.WeekOf(d.recent()), Compartment: "main", Classification: "restricted"}
	d.c = d.collector("collector")
	d.good()
	d.approved, d.rash = d.request("investigator"), d.request("investigator")
	d.check(d.world.reader("supervisor", nil, nil).Decide(context.Background(), d.approved, true, "within the order"))
	d.await(d.approved)
	return d
}

// item is a message that the order covers.
func (d *desk) item(change func(*record.Description)) collector.Item {
	it := clip{chain: record.Digest(d.unit.Order), name: "a message", codec: "text", kind: "message", number: target, start: d.recent(), content: []byte("bring it at nine")}.item()
	if change != nil {
		change(&it.Description)
	}
	return it
}

// try seals one item.
func (d *desk) try(it collector.Item) error {
	out, err := d.c.Seal(context.Background(), []collector.Item{it}, nil)
	if err == nil {
		err = out[0].Err
	}
	if err == nil {
		d.sealedN++
	}
	return err
}

// good is the whole main job once more: seal, send, mirror, and find everything that was ever acknowledged.
func (d *desk) good() {
	d.tb.Helper()
	d.check(d.try(d.item(nil)))
	d.flush(d.c)
	m := d.mirror()
	defer m.Close()
	r := d.world.reader("investigator", m, nil)
	list, err := r.List(context.Background(), d.ask(r, reader.AskInput{Chain: d.unit.Order, Week: d.unit.Week, Class: seal.IndexClass}))
	d.check(err)
	if !list.Complete || len(list.Rows) != d.sealedN {
		d.tb.Errorf("%d recordings were acknowledged, %d are listed: %v", d.sealedN, len(list.Rows), list.Warnings)
	}
	if d.approved != (record.Digest{}) {
		if _, err := d.release(d.approved, "investigator"); err != nil {
			d.tb.Errorf("afterwards nothing is released: %v", err)
		}
		if _, err := d.release(d.rash, "investigator"); problem.KindOf(err) != problem.Denied {
			d.tb.Errorf("a request that nobody approved: %v", err)
		}
	}
}

// bad is one thing that goes wrong.
type bad struct {
	name   string
	kinds  []problem.Kind
	echoes []string // values that were sent and must not come back
	do     func() error
}

var (
	invalid     = []problem.Kind{problem.Invalid}
	denied      = []problem.Kind{problem.Denied}
	unavailable = []problem.Kind{problem.Unavailable}
)

// TestBadInputIsRefusedClearly is the list, through the real handlers over HTTP, and the real clients.
func TestBadInputIsRefusedClearly(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, group := range []func() []bad{d.statements, d.sealing, d.packs, d.requests, d.clocks} {
		for _, b := range group() {
			t.Run(b.name, func(t *testing.T) { demand(t, b.do(), b.kinds, b.echoes...) })
		}
		d.good()
	}
}

func (d *desk) admitAt(raw string) error {
	_, err := d.keyholder("court", "").Admit(context.Background(), raw)
	return err
}

// forge writes a statement with any header and signature.
func forge(header, payload string, signature []byte) string {
	b64 := base64.RawURLEncoding.EncodeToString
	return b64([]byte(header)) + "." + b64([]byte(payload)) + "." + b64(signature)
}

// statements are signatures and algorithms.
func (d *desk) statements() []bad {
	order := d.draft("DP-0000/20", unitA, foreign)
	raw := d.sign("judge", record.TypeOrder, order)
	parts := strings.Split(raw, ".")
	payload := string(must(base64.RawURLEncoding.DecodeString(parts[1])))
	header := string(must(base64.RawURLEncoding.DecodeString(parts[0])))
	signature := must(base64.RawURLEncoding.DecodeString(parts[2]))
	signature[7] ^= 1
	var list []bad
	for _, alg := range []string{"none", "HS256", "RS256", "ES256", "EdDSA2", "eddsa"} {
		list = append(list, bad{"unknown algorithm " + alg, invalid, []string{alg}, func() error {
			return d.admitAt(forge(strings.Replace(header, `"EdDSA"`, `"`+alg+`"`, 1), payload, signature))
		}})
	}
	wrong := order
	wrong.Audience[0] ^= 1
	lacking := order
	lacking.PoliceUnit = ""
	return append(list,
		bad{"wrong signature", denied, []string{foreign}, func() error { return d.admitAt(forge(header, payload, signature)) }},
		bad{"signed by somebody who is no judge", denied, []string{foreign}, func() error { return d.admitAt(d.sign("investigator", record.TypeOrder, order)) }},
		bad{"signed by nobody who is enrolled", denied, nil, func() error {
			return d.admitAt(must(record.Sign(must(record.NewSigner()), record.TypeOrder, d.now(), order)))
		}},
		bad{"of another type", invalid, nil, func() error { return d.admitAt(d.sign("judge", record.TypeRequest, order)) }},
		bad{"for another installation", denied, nil, func() error { return d.admitAt(d.sign("judge", record.TypeOrder, wrong)) }},
		bad{"lacks a mandatory item", []problem.Kind{problem.Invalid, problem.Denied}, nil, func() error { return d.admitAt(d.sign("judge", record.TypeOrder, lacking)) }},
		bad{"no statement", invalid, []string{"{{{{"}, func() error { return d.admitAt("{{{{") }},
		bad{"larger than any statement", invalid, nil, func() error { return d.admitAt(strings.Repeat("a", 2<<20)) }},
		bad{"an expired order: nothing is sealed", denied, nil, d.expired(true)},
		bad{"an expired order: nothing is asked", []problem.Kind{problem.Gone, problem.Denied}, nil, d.expired(false)},
	)
}

// expired admits an order that ended long ago.
func (d *desk) expired(sealing bool) func() error {
	return func() error {
		o := d.draft("DP-0000/21", unitA, target)
		o.Decided = o.Decided.AddDate(0, 0, -100)
		o.Capture = record.Window{From: o.Decided, Until: o.Decided.AddDate(0, 0, 30)}
		o.AccessEnd = o.Decided.AddDate(0, 0, 60)
		chain := d.admit(o)
		if sealing {
			it := d.item(nil)
			it.Chain = chain
			return d.try(it)
		}
		_, err := d.world.reader("investigator", nil, nil).Ask(context.Background(), reader.AskInput{Chain: chain, Week: seal.WeekOf(o.Decided), Class: seal.IndexClass, Purpose: purpose})
		return err
	}
}

// sealing is what a collector is given that it must not seal.
func (d *desk) sealing() []bad {
	at := func(start, end time.Time) func() error {
		return func() error {
			return d.try(d.item(func(r *record.Description) { r.Start, r.End = start, end }))
		}
	}
	window := d.order.Capture
	name := func(s string) func() error {
		return func() error { return d.try(d.item(func(r *record.Description) { r.Name = s })) }
	}
	return []bad{
		{"a number outside the scope", denied, []string{foreign}, func() error {
			return d.try(d.item(func(r *record.Description) { r.From, r.Target.Value = foreign, foreign }))
		}},
		{"a kind outside the scope", denied, nil, func() error { return d.try(d.item(func(r *record.Description) { r.Kind = "session" })) }},
		{"the window missed by a second, before", denied, nil, at(window.From.Add(-time.Second), window.From.Add(time.Second))},
		{"the window missed by a second, after", denied, nil, at(window.Until, window.Until.Add(time.Second))},
		{"ends with the window's end", denied, nil, at(window.Until.Add(-time.Second), window.Until)},
		{"ends before it starts", invalid, nil, at(d.recent(), d.recent().Add(-time.Second))},
		{"a name with a new line", invalid, []string{"two\nlines"}, name("two\nlines")},
		{"a name that climbs", invalid, []string{"../../etc"}, name("../../etc/passwd")},
		{"a name that is a folder", invalid, nil, name("..")},
		{"a name with a control character", invalid, nil, name("a\x1b[2Jb")},
		{"an order that does not exist", []problem.Kind{problem.NotFound, problem.Denied}, nil, func() error {
			it := d.item(nil)
			it.Chain[3] ^= 1
			return d.try(it)
		}},
		{"two collectors in one folder", unavailable, nil, func() error {
			_, err := collector.Open(d.collectorConfig("collector"))
			return err
		}},
	}
}

// announce tells of a pack under a number and gives the transfer.
func (d *desk) announce(who string, n uint64, pack []byte) (store.Transfer, error) {
	digest := seal.NewDigest(seal.TinyGeometry)
	_, _ = digest.Write(pack)
	slots, whole := digest.Sums()
	return d.vault(who).Upload(context.Background(), n, whole, slots)
}

// put sends a body to the object store and turns its refusal into an error as clients see it.
func put(x store.Transfer, body []byte) error {
	req, err := http.NewRequest(x.Method, x.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = x.Header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the connection broke while the body was sent")
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	if res.StatusCode >= 500 {
		return fmt.Errorf("status %d: %s", res.StatusCode, answer)
	}
	if res.StatusCode >= 300 {
		return problem.New(problem.Invalid, "the object store refuses with status %d: %.200s", res.StatusCode, answer)
	}
	return nil
}

// packs are deposits that are not what was announced. The number is filled properly in the end: a gap would hold up mirrors.
func (d *desk) packs() []bad {
	good, other := pattern(seal.TinyGeometry.Size, 3), pattern(seal.TinyGeometry.Size, 4)
	n, err := d.vault("collector").Reserve(context.Background(), nonce(), 1)
	d.check(err)
	transfer := func() store.Transfer {
		x, err := d.announce("collector", n, good)
		d.check(err)
		return x
	}
	arrived := func() error { return d.vault("collector").Arrived(context.Background(), n) }
	return []bad{
		{"confirmed before it was stored", []problem.Kind{problem.NotFound, problem.Conflict, problem.Unavailable}, nil, func() error { transfer(); return arrived() }},
		{"too short at the store", invalid, nil, func() error { return put(transfer(), good[:1000]) }},
		{"too long at the store", invalid, nil, func() error { return put(transfer(), append(slices.Clone(good), 0)) }},
		{"another checksum at the store", invalid, nil, func() error { return put(transfer(), other) }},
		{"a number of another collector", denied, nil, func() error { _, err := d.announce("collector-two", n, other); return err }},
		{"a number that nobody has", []problem.Kind{problem.NotFound}, nil, func() error { _, err := d.announce("collector", 99_999, good); return err }},
		{"deposited by a mirror", denied, nil, func() error { _, err := d.announce("mirror", n, good); return err }},
		{"deposited by nobody", denied, nil, func() error { _, err := d.announce("", n, good); return err }},
		{"the same number twice", []problem.Kind{problem.Conflict}, nil, func() error {
			d.check(put(transfer(), good))
			d.check(arrived())
			_, err := d.announce("collector", n, other)
			return err
		}},
		{"the same object twice", invalid, nil, func() error { return put(transfer(), good) }},
		{"a batch without the collector's signature", []problem.Kind{problem.Denied, problem.Invalid}, nil, func() error { return d.forgedNote(true) }},
		{"a batch of another collector", denied, nil, func() error { return d.forgedNote(false) }},
	}
}

// forgedNote files a note that is signed by nobody, or by a key that is not the caller's.
func (d *desk) forgedNote(spoil bool) error {
	keys := map[string]record.UnitKey{}
	for _, party := range installation.Keyholders {
		raw, _, err := d.keyholder(party, "collector").Units(context.Background(), wire.UnitAsk{Chain: record.Digest(d.unit.Order).String(), Classification: d.unit.Classification, Compartment: d.unit.Compartment, Week: d.unit.Week})
		d.check(err)
		keys[party] = must(record.OpenUnitKeys(raw, &d.trust, d.f.Config.Trust, party, time.Now()))[0]
	}
	b := must(seal.NewBatch(d.unit, must(seal.ParsePublicKey(keys["court"].Key)), must(seal.ParsePublicKey(keys["custodian"].Key))))
	r := must(b.Recording())
	must(r.Encryptor()).AppendSegment(nil, []byte("planted"), true)
	desc := must(r.Describe(seal.Places{}.Add(seal.Run{Pack: 1, Offset: uint32(seal.TinyGeometry.Slots * seal.SlotSize), Length: 23}), []byte(`{}`)))
	signed := must(b.Sign(d.people["collector-two"].Ed25519(), seal.Statement{}, []seal.Descriptor{desc}))
	raw := must(signed.Note(seal.Court)).Bytes()
	if spoil {
		raw[len(raw)-1] ^= 1
	}
	_, err := d.keyholder("court", map[bool]string{true: "collector-two", false: "collector"}[spoil]).FileNote(context.Background(), raw)
	return err
}

// requests are questions that somebody may not ask, or asked before.
func (d *desk) requests() []bad {
	now := record.Second(d.now())
	key := must(seal.NewUnitKey(seal.NewSeed())).PublicKey().Bytes()
	base := record.Request{Audience: d.f.Config.Trust, Chain: record.Digest(d.unit.Order), Class: "content", Classification: "restricted", Compartment: "main",
		Week: d.unit.Week, Issued: now, Expires: now.Add(time.Hour), Key: key, Nonce: nonce(), Purpose: purpose}
	ask := func(who string, change func(*record.Request)) func() error {
		return func() error {
			r := base
			change(&r)
			_, err := d.keyholder("court", who).Ask(context.Background(), d.sign(who, record.TypeRequest, r))
			return err
		}
	}
	approval := record.Approval{Approve: true, Audience: d.f.Config.Trust, Issued: now, Expires: now.Add(time.Hour), Nonce: nonce(), Reason: "needed", Request: d.approved}
	return []bad{
		{"a nonce used again", []problem.Kind{problem.Conflict, problem.Denied}, nil, func() error {
			d.check(ask("investigator", func(r *record.Request) {})())
			d.check(d.bothKnow("investigator", base))
			return ask("investigator", func(r *record.Request) { r.Purpose = "another purpose" })()
		}},
		{"a request that had ended when it came", []problem.Kind{problem.Invalid, problem.Denied, problem.Gone}, nil, ask("investigator", func(r *record.Request) {
			r.Issued, r.Expires, r.Nonce = now.Add(-2*time.Hour), now.Add(-time.Hour), nonce()
		})},
		{"a request for longer than a week", invalid, nil, ask("investigator", func(r *record.Request) { r.Expires, r.Nonce = now.Add(8*24*time.Hour), nonce() })},
		{"a request with a key that is none", invalid, nil, ask("investigator", func(r *record.Request) { r.Key, r.Nonce = make([]byte, 7), nonce() })},
		{"a request by another unit's investigator", []problem.Kind{problem.Denied, problem.NotFound}, nil, ask("stranger", func(r *record.Request) { r.Nonce = nonce() })},
		{"an approval used for another request", denied, nil, func() error {
			raw := d.sign("supervisor", record.TypeApproval, approval)
			for _, party := range installation.Keyholders {
				d.check(d.keyholder(party, "supervisor").Decide(context.Background(), raw))
				d.check(d.keyholder(party, "supervisor").Decide(context.Background(), raw)) // sent again: the same approval of the same request
			}
			_, err := d.release(d.rash, "investigator")
			return err
		}},
		{"an approval of one's own request", denied, nil, func() error {
			a := approval
			a.Request, a.Nonce = d.rash, nonce()
			return d.keyholder("court", "investigator").Decide(context.Background(), d.sign("investigator", record.TypeApproval, a))
		}},
		{"a release to somebody else", []problem.Kind{problem.NotFound, problem.Denied}, nil, func() error { _, err := d.release(d.approved, "stranger"); return err }},
		{"a call that nobody signed", denied, nil, func() error { _, err := d.keyholder("court", "").Inbox(context.Background(), 1); return err }},
	}
}

// bothKnow files at the custodian what the court was asked, so that the two stay alike.
func (d *desk) bothKnow(who string, r record.Request) error {
	_, err := d.keyholder("custodian", who).Ask(context.Background(), d.sign(who, record.TypeRequest, r))
	return err
}

// clocks are off by more than five minutes, one after the other.
func (d *desk) clocks() []bad {
	ahead := func(party string, seconds int64, f func() error) func() error {
		return func() error {
			d.skew[party].Store(seconds)
			defer d.skew[party].Store(0)
			return f()
		}
	}
	fresh := func() error { // a collector that remembers no status
		cfg := d.collectorConfig("collector-two")
		c, err := collector.Open(cfg)
		d.check(err)
		defer c.Close()
		out, err := c.Seal(context.Background(), []collector.Item{d.item(nil)}, nil)
		if err == nil {
			err = out[0].Err
		}
		return err
	}
	half := func() error { _, err := d.release(d.approved, "investigator"); return err }
	any := []problem.Kind{problem.Unavailable, problem.Denied}
	return []bad{
		{"the court's clock is ahead: sealing", any, nil, ahead("court", 400, fresh)},
		{"the custodian's clock is behind: sealing", any, nil, ahead("custodian", -400, fresh)},
		{"the court's clock is ahead: release", any, nil, ahead("court", 400, half)},
		{"the custodian's clock is behind: release", any, nil, ahead("custodian", -400, half)},
		{"the vault's clock is ahead: deposit", any, nil, ahead("vault", 400, func() error { _, err := d.vault("collector").Reserve(context.Background(), nonce(), 1); return err })},
		{"one's own clock is ahead", any, nil, func() error {
			now := d.now
			d.now = func() time.Time { return now().Add(400 * time.Second) }
			defer func() { d.now = now }()
			return half()
		}},
	}
}

// TestAKeyholderRestoredFromYesterday puts the court's rows of before a revocation back: nothing is released until the court
// has learned of it again, and then nothing either, but another order works as before.
func TestAKeyholderRestoredFromYesterday(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	second := d.admit(d.draft("DP-0000/22", unitA, target2))
	d.check(d.c.Close())
	d.stop()
	yesterday := readRows(d, "court")
	d.serve()
	stop := record.Order{Audience: d.f.Config.Trust, Kind: record.Revocation, Profile: "ES-588ter", Court: court, Chain: record.Digest(d.unit.Order), Decided: record.Second(d.now()), Reason: "over", Nonce: nonce()}
	raw := d.sign("judge", record.TypeOrder, stop)
	for _, party := range installation.Keyholders {
		_, err := d.keyholder(party, "").Admit(context.Background(), raw)
		d.check(err)
	}
	d.stop()
	for name, content := range yesterday {
		d.check(os.WriteFile(d.f.Dir("court", name), content, 0o600))
	}
	d.serve()
	_, err := d.release(d.approved, "investigator")
	demand(t, err, []problem.Kind{problem.Denied, problem.Conflict, problem.Unavailable})
	d.check(d.admitAt(raw)) // whoever has the revocation sends it again
	_, err = d.release(d.approved, "investigator")
	demand(t, err, denied)
	// The other order: sealed, sent, listed.
	d.c = d.collector("collector")
	d.unit.Order, d.sealedN, d.approved = second, 0, record.Digest{}
	it := d.item(func(r *record.Description) { r.From, r.Target.Value = target2, target2 })
	it.Chain = second
	d.check(d.try(it))
	d.flush(d.c)
	r := d.world.reader("investigator", d.mirror(), nil)
	list, err := r.List(context.Background(), d.ask(r, reader.AskInput{Chain: second, Week: d.unit.Week, Class: seal.IndexClass}))
	d.check(err)
	if len(list.Rows) != 1 {
		t.Errorf("%d recordings of the other order", len(list.Rows))
	}
}

// readRows reads the database files of a party that does not run.
func readRows(d *desk, party string) map[string][]byte {
	files := map[string][]byte{}
	for _, name := range []string{"rows.db", "rows.db-wal", "rows.db-shm"} {
		if raw, err := os.ReadFile(d.f.Dir(party, name)); err == nil {
			files[name] = raw
		}
	}
	return files
}
