package bundle_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/bundle/bag"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// forge makes a bundle as the clerk could with a program of their own: one file says something else, or is left out if instead is "", and all is hashed
// and signed anew.
func (w *world) forge(raw []byte, path, instead, says string) []byte {
	w.tb.Helper()
	old := must(bag.Open(bytes.NewReader(raw), int64(len(raw))))
	must(old.Check(nil))
	m := &memory{}
	to := must(bag.NewWriter(m))
	var index []byte
	for _, e := range old.Payload() {
		b := must(old.Read(e.Path, 1<<30))
		if e.Path == path && instead == "" {
			continue
		}
		if e.Path == path {
			changed := bytes.Replace(b, []byte(instead), []byte(says), 1)
			if bytes.Equal(changed, b) {
				w.tb.Fatalf("%s does not say %s", path, instead)
			}
			b = changed
		}
		if e.Path == "data/index.json" {
			index = b
		}
		check(w.tb, to.AddBytes(e.Path, b))
	}
	check(w.tb, to.Close(nil, func(s bag.Seal) ([]byte, error) {
		signed, err := record.Sign(w.clerk, bundle.TypeBundle, w.now, bundle.Signed{Audience: w.vault.Fingerprint, Index: record.HashBytes(index), Issued: w.now,
			Tags256: s.Tags256, Tags512: s.Tags512[:], Version: bundle.Version})
		return []byte(signed), err
	}))
	return m.b
}

// TestACutOffTail: numbers without a gap say nothing of what comes after the last. Whoever makes the bundle leaves out a collector's last
// batch, or the ends of both journals, and signs the rest.
func TestACutOffTail(t *testing.T) {
	w, ids := small(t)
	in := w.source(ids[0])
	in.Batches = in.Batches[:1]
	if _, err := w.verify(w.make(in)); bundle.VerdictOf(err) != bundle.Incomplete {
		t.Errorf("the last batch left out, which both journals tell of: %v", err)
	}
	in = w.source(ids[0])
	cut := map[string][]bundle.LogProof{}
	for party, events := range w.custody {
		cut[party] = events[:len(events)-1]
	}
	in.Custody = cut
	if _, err := w.verify(w.make(in)); bundle.VerdictOf(err) != bundle.Incomplete {
		t.Errorf("journals cut off before the release: %v", err)
	}
	in = w.source(ids[0])
	in.Custody, in.Batches = nil, in.Batches[:1]
	got, err := w.verify(w.make(in))
	check(t, err)
	if !strings.Contains(strings.Join(got.NotShown, "\n"), "no batch after the last") {
		t.Errorf("without journals a cut off tail cannot be seen, and nothing says so: %q", got.NotShown)
	}
}

// TestABatchOfAnotherUnit: a batch that journals tell of, in a unit of which the bundle shows nothing, is among what is left out or nothing is proven.
func TestABatchOfAnotherUnit(t *testing.T) {
	w, ids := small(t)
	shown := len(w.batches)
	w.unit.Compartment, w.last = "privileged", seal.Statement{}
	w.seal("To counsel.")
	w.unit.Compartment = "main"
	w.custody = map[string][]bundle.LogProof{}
	w.journal()
	in := w.source(ids[0])
	in.Batches = in.Batches[:shown]
	if _, err := w.verify(w.make(in)); bundle.VerdictOf(err) != bundle.Incomplete {
		t.Errorf("a privileged batch that nobody states: %v", err)
	}
	in.Weeks = []string{w.unit.Week}
	if _, err := w.verify(w.make(in)); err != nil {
		t.Errorf("stated: %v", err)
	}
}

// TestAnotherPack: without a recipient's key nobody sees which packs an encrypted recording lies in, so nothing is said of when it was witnessed.
func TestAnotherPack(t *testing.T) {
	w, ids := small(t)
	identity := must(age.GenerateX25519Identity())
	in := w.source(ids[2])
	in.Recipients = []string{identity.Recipient().String()}
	in.Recordings[0].Packs = w.sealed[0].Packs
	raw := w.make(in)
	got, err := w.verify(raw)
	check(t, err)
	if !got.Recordings[0].Witnessed.IsZero() || strings.Contains(strings.Join(got.Shown, "\n"), "packs") {
		t.Errorf("another recording's pack and hour pass for this one's: %+v", got)
	}
	if _, err := w.verify(raw, identity); bundle.VerdictOf(err) != bundle.Altered {
		t.Errorf("with the key: %v", err)
	}
}

// TestAPageThatLies: a clerk's own program can write what it likes on the page that people read.
func TestAPageThatLies(t *testing.T) {
	w, ids := small(t)
	in := w.source(ids[0])
	got, err := w.verify(w.make(in))
	check(t, err)
	if strings.Contains(got.Line, "page for people") {
		t.Fatalf("an honest page: %s", got.Line)
	}
	got, err = w.verify(w.forge(w.make(in), "data/page.html", "12025550122", "12025550133"))
	check(t, err)
	if !strings.Contains(got.Line, "not proven: what its page for people says") {
		t.Errorf("the page names another number, and the verifier says: %s", got.Line)
	}
}

// TestTwoWords: court and custodian must say the same of the order, and not of a time after the bundle.
func TestTwoWords(t *testing.T) {
	w, ids := small(t)
	in := w.source(ids[0])
	in.Order.Status[0] = w.status(func(_ *record.Status, c *record.ChainStatus) { c.State = "suspended" })[0]
	if _, err := w.verify(w.make(in)); bundle.VerdictOf(err) != bundle.Incomplete {
		t.Errorf("the court says suspended, the custodian in force: %v", err)
	}
	in = w.source(ids[0])
	w.now = w.now.Add(-30 * 60e9)
	if _, err := w.verify(w.make(in)); bundle.VerdictOf(err) != bundle.Altered {
		t.Errorf("a bundle dated half an hour before the words and the request in it: %v", err)
	}
}

// TestPartsOfAnotherSize: the index says how large a part is, in an encrypted bundle too.
func TestPartsOfAnotherSize(t *testing.T) {
	w, ids := small(t)
	in := w.source(ids[0])
	in.Recordings[0].Parts = []bundle.Part{{Bytes: 4, Ending: ".1.txt", From: 0, Until: 2000}}
	in.Recordings[0].Opening.Halves = in.Recordings[0].Opening.Halves[:2]
	raw := w.make(in)
	if _, err := w.verify(raw); err != nil {
		t.Error(err)
	}
	if _, err := w.verify(w.forge(raw, "data/index.json", `"bytes":4`, `"bytes":9`)); bundle.VerdictOf(err) != bundle.Altered {
		t.Errorf("a part of 4 bytes that the index gives 9: %v", err)
	}
}

// TestOneDisclosureForAnother: the same file was handed to two parties. A receipt of the court's entry on one and the custodian's on the other says neither.
func TestOneDisclosureForAnother(t *testing.T) {
	w, ids := small(t)
	hash := record.HashBytes(w.make(w.source(ids[0])))
	acts := map[string][]bundle.LogProof{}
	for _, to := range []string{"defence", "a newspaper"} {
		act := record.Act{Audience: w.vault.Fingerprint, Bundle: hash, Chain: w.chain, Issued: w.now, Kind: record.EventDisclosed, Nonce: record.ID{byte(len(to))}, Reason: "ordered",
			Recordings: []record.Reference{{Batch: w.sealed[0].Batch, Recording: ids[0]}}, Request: record.HashStatement(w.request(w.sealed...)), Result: record.Completed, To: to}
		for _, party := range bundle.Parties {
			w.event(party, record.EventDisclosed, record.StatementEvent{By: w.clerk.Public().ID(), Request: act.Request, Statement: must(record.Sign(w.clerk, record.TypeAct, w.now, act))})
			acts[to] = append(acts[to], w.custody[party][len(w.custody[party])-1])
		}
	}
	verify := func(events ...bundle.LogProof) (bundle.Disclosed, error) {
		return bundle.VerifyDisclosure(&w.vault.Trust, w.vault.Fingerprint, must(record.Marshal(bundle.Disclosure{Audience: w.vault.Fingerprint, Bundle: hash,
			Enrolment: w.people[0], Events: events, Version: bundle.Version})))
	}
	got, err := verify(acts["defence"]...)
	if check(t, err); got.To != "defence" {
		t.Errorf("%+v", got)
	}
	if got, err := verify(acts["a newspaper"][0], acts["defence"][1]); err == nil {
		t.Errorf("a receipt of two disclosures says one: %+v", got)
	}
}

// TestEveryByteOfADisclosuresReceiptCounts: no byte of FILE.disclosed.json can be changed, taken away or added.
func TestEveryByteOfADisclosuresReceiptCounts(t *testing.T) {
	w, ids := small(t)
	hash := record.HashBytes(w.make(w.source(ids[0])))
	act := record.Act{Audience: w.vault.Fingerprint, Bundle: hash, Chain: w.chain, Issued: w.now, Kind: record.EventDisclosed, Nonce: record.ID{1}, Reason: "ordered",
		Recordings: []record.Reference{{Batch: w.sealed[0].Batch, Recording: ids[0]}}, Request: record.HashStatement(w.request(w.sealed...)), Result: record.Completed, To: "defence"}
	d := bundle.Disclosure{Audience: w.vault.Fingerprint, Bundle: hash, Enrolment: w.people[0], Version: bundle.Version}
	for _, party := range bundle.Parties {
		w.event(party, record.EventDisclosed, record.StatementEvent{By: w.clerk.Public().ID(), Request: act.Request, Statement: must(record.Sign(w.clerk, record.TypeAct, w.now, act))})
		d.Events = append(d.Events, w.custody[party][len(w.custody[party])-1])
	}
	raw := must(record.Marshal(d))
	verify := func(raw []byte) error {
		_, err := bundle.VerifyDisclosure(&w.vault.Trust, w.vault.Fingerprint, raw)
		return err
	}
	check(t, verify(raw))
	for i := rand.IntN(4); i < len(raw); i += 4 { // a quarter of them, another each time
		raw[i] ^= 1 << (i % 8)
		if verify(raw) == nil {
			t.Fatalf("byte %d of %d may be changed", i, len(raw))
		}
		raw[i] ^= 1 << (i % 8)
	}
	for _, n := range []int{0, 1, len(raw) / 2, len(raw) - 1} {
		if verify(raw[:n]) == nil {
			t.Errorf("cut at %d", n)
		}
	}
	if verify(append(raw, '\n')) == nil {
		t.Error("extended")
	}
}

// TestWhatAJournalSaysThatSomebodySigned: a statement inside an event is held against the key of whom it names, not only its place in the log.
func TestWhatAJournalSaysThatSomebodySigned(t *testing.T) {
	act := func(w *world) string {
		return must(record.Sign(w.clerk, record.TypeAct, w.now, record.Act{Kind: record.EventFound}))
	}
	for name, c := range map[string]struct {
		say func(w *world) (by record.KeyID, statement string)
		ok  bool
	}{
		"signed": {func(w *world) (record.KeyID, string) { return w.clerk.Public().ID(), act(w) }, true},
		"altered": {func(w *world) (record.KeyID, string) {
			s := act(w)
			return w.clerk.Public().ID(), s[:len(s)-86] + strings.Repeat("A", 86)
		}, false},
		"no statement at all": {func(w *world) (record.KeyID, string) { return w.clerk.Public().ID(), "word of mouth" }, false},
		"in another's name":   {func(w *world) (record.KeyID, string) { return w.collector.Public().ID(), act(w) }, false},
		"by a stranger": {func(w *world) (record.KeyID, string) {
			s := must(record.NewSigner())
			return s.Public().ID(), must(record.Sign(s, record.TypeAct, w.now, record.Act{Kind: record.EventFound}))
		}, true}, // counted as not checked
	} {
		w, ids := small(t)
		by, statement := c.say(w)
		for _, party := range bundle.Parties {
			w.event(party, record.EventFound, record.StatementEvent{By: by, Statement: statement})
		}
		report, err := w.verify(w.make(w.source(ids[0])))
		if (err == nil) != c.ok || err != nil && bundle.VerdictOf(err) != bundle.Altered {
			t.Errorf("%s: %v", name, err)
		}
		told := slices.ContainsFunc(report.NotShown, func(line string) bool { return strings.Contains(line, "enrolments are not in the bundle") })
		if err == nil && told != (name == "by a stranger") {
			t.Errorf("%s: %v", name, report.NotShown)
		}
	}
}
