package tests

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/vault"
	"arca.example/arca/shared/wire"
)

// handovers are artefacts that travel between machines in answer to what they have just done.
func (s *station) handovers() []scenario {
	call := regexp.MustCompile
	return []scenario{
		{name: "a note's receipt to the collector", call: call(`^court POST /v1/notes$`), into: json1[wire.Receipts], act: s.noteReceipt()},
		{name: "an upload's transfer to the collector", call: call(`^vault POST /v1/packs/\d+/upload$`), act: s.upload(), checked: true},
		{name: "the custodian's unit keys to the court", call: call(`^custodian GET /v1/units`), into: json1[wire.SignedList], act: s.exchange("court", "custodian")},
		{name: "the court's unit keys to the custodian", call: call(`^court GET /v1/units`), into: json1[wire.SignedList], act: s.exchange("custodian", "court")},
	}
}

// cosignatures are what travels between vault and witness, on a line of their own: the vault's sequencer goes on meanwhile.
func (s *station) cosignatures() (*line, []scenario) {
	own, call := &line{}, regexp.MustCompile(`^witness POST /add-checkpoint$`)
	own.names(s.f.Addresses)
	act := s.cosign(&http.Client{Transport: own.on(http.DefaultTransport)})
	return own, []scenario{
		{name: "a checkpoint to the witness", question: true, call: call, act: act},
		// A witness with several keys answers with several lines: one that is altered is left out, and the others stand.
		{name: "a cosignature to the vault", call: call, act: act, checked: true},
	}
}

// noteReceipt files a note that is on file already and verifies the receipt as a collector does.
func (s *station) noteReceipt() func(context.Context) error {
	raw := s.note()
	note := must(seal.ParseNote(raw))
	return func(ctx context.Context) error {
		receipt, err := s.keyholder("court", "collector").FileNote(ctx, raw)
		if err == nil {
			_, err = bundle.OpenNoteReceipt(&s.trust, s.f.Config.Trust, seal.Court, note.Statement, receipt)
		}
		return err
	}
}

// cosign shows the witness the newest checkpoint again, as the vault does every minute; anew, when a newer one came in between.
func (s *station) cosign(client *http.Client) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		for range 20 {
			err = s.cosignOnce(ctx, client)
			if _, behind := errors.AsType[*ledger.SizeConflict](err); !behind {
				return err
			}
			pause()
		}
		return problem.Wrap(problem.Unavailable, err, "the witness stands at another size; try again")
	}
}

func (s *station) cosignOnce(ctx context.Context, client *http.Client) error {
	signed, err := s.vault("mirror").Checkpoint(ctx)
	if err != nil {
		return err
	}
	c, err := must(ledger.NewVerifier(ledger.PolicyOf(&s.trust))).Verify(signed)
	s.check(err)
	body, signatures, _ := strings.Cut(string(signed), "\n\n")
	var own strings.Builder // the log's own signature: what others signed already the witness does not read
	for line := range strings.Lines(signatures) {
		if strings.HasPrefix(line, "— "+s.trust.LogOrigin+" ") {
			own.WriteString(line)
		}
	}
	name, _, _ := strings.Cut(s.trust.Witnesses[0], "+") // the installation has one witness
	w := vault.RemoteWitness{Client: client, URL: s.f.URL("witness"), Called: name, Keys: s.trust.Witnesses}
	_, err = w.AddCheckpoint(ctx, ledger.Request{Old: c.Size, Checkpoint: []byte(body + "\n\n" + own.String())})
	return err
}

// upload is a collector, started anew, who seals and sends. What Flush calls sent is in the witnessed log as it was sealed, whatever
// transfer was given; if it fails it must succeed when it is tried again.
func (s *station) upload() func(context.Context) error {
	name := s.machine("uploader")
	return func(ctx context.Context) error {
		c, err := collector.Open(s.collectorConfig(name))
		s.check(err)
		defer c.Close()
		s.sealed(c, clip{chain: record.Digest(s.unit.Order), name: "x", codec: "text", kind: "message", number: target, start: s.recent(), content: []byte("x")})
		first := c.Flush(ctx)
		if first != nil {
			s.l.pass(func() { s.flush(c) })
		}
		return first
	}
}

// exchange has one keyholder complete a unit with the other's signed list. Every try needs a unit that is not complete.
func (s *station) exchange(asks, other string) func(context.Context) error {
	next := s.freshUnits()
	return func(ctx context.Context) error {
		ask := next()
		unit := func(party string) error {
			_, refused, err := s.keyholder(party, "collector").Units(ctx, ask)
			if err == nil {
				err = refused[0]
			}
			return err
		}
		s.l.pass(func() {
			for _, party := range []string{other, asks, other}[:map[string]int{"court": 1, "custodian": 3}[asks]] {
				s.check(unit(party))
			}
		})
		for range 5 { // what the other side does not give at this moment is asked for again
			if err := unit(asks); err != nil || s.exchanged(asks, ask) {
				return err
			}
			pause()
		}
		return problem.New(problem.Unavailable, "the list was not taken; it is asked for again")
	}
}

// exchanged tells by a party's list of a unit's keys whether it has taken the other's: the court's hands the find secret over, the
// custodian's says that it is held.
func (s *station) exchanged(party string, ask wire.UnitAsk) bool {
	chain := must(record.ParseDigest(ask.Chain))
	list, err := s.keyholder(party, "collector").UnitKeys(context.Background(), chain)
	s.check(err)
	for _, raw := range list {
		for _, key := range must(record.OpenUnitKeys(raw, &s.trust, s.f.Config.Trust, party, time.Now())) {
			if key.Week == ask.Week && key.Compartment == ask.Compartment {
				return len(key.SealedFind) > 0 || !key.FindHeld.IsZero()
			}
		}
	}
	return false
}

// freshUnits gives units of which nobody has keys.
func (s *station) freshUnits() func() wire.UnitAsk {
	var asks []wire.UnitAsk
	for range 6 {
		o := s.draft("DP-0000/23", unitA, target)
		chain := s.admit(o)
		for at := o.Capture.From; at.Before(o.Capture.Until); at = at.Add(7 * 24 * time.Hour) {
			asks = append(asks, wire.UnitAsk{Chain: chain.String(), Classification: o.Classification, Compartment: "privileged", Week: seal.WeekOf(at)})
		}
	}
	return func() wire.UnitAsk {
		if len(asks) == 0 {
			s.tb.Fatal("no unit is left without keys")
		}
		ask := asks[0]
		asks = asks[1:]
		return ask
	}
}

// pass lets everything through while f runs.
func (l *line) pass(f func()) {
	l.mu.Lock()
	was := l.call
	l.call = nil
	l.mu.Unlock()
	f()
	l.mu.Lock()
	l.call = was
	l.mu.Unlock()
}

// TestHandoverFlipCampaign flips bytes of what machines hand each other: it is refused, or taken back to what was meant.
func TestHandoverFlipCampaign(t *testing.T) {
	t.Parallel()
	c, s := newCampaign(t), newStation(t)
	c.full = false // every try needs another unit, pack or cosignature
	all := func(l *line, list []scenario) {
		for _, sc := range list {
			tried, accepted := l.run(t, c, sc, 20)
			if accepted > 0 {
				t.Errorf("%s: %d of %d altered ones are taken", sc.name, accepted, tried)
			}
			t.Logf("%s: %d flips", sc.name, tried)
		}
	}
	all(s.cosignatures())
	all(s.l, s.handovers())
	// The twin reads a receipt without verifying it.
	raw := s.note()
	twin := scenario{name: "a twin that does not verify receipts", call: regexp.MustCompile(`^court POST /v1/notes$`), into: json1[wire.Receipts], act: func(ctx context.Context) error {
		_, err := s.keyholder("court", "collector").FileNote(ctx, raw)
		return err
	}}
	if tried, accepted := s.l.run(t, c, twin, 40); accepted == 0 {
		t.Errorf("%s: none of %d altered ones is taken; the campaign proves nothing", twin.name, tried)
	}
}

// answers are what the court tells from its rows besides a release.
func (o *office) answers() map[string]func(context.Context) (any, error) {
	ask := wire.UnitAsk{Chain: record.Digest(o.unit.Order).String(), Classification: o.unit.Classification, Compartment: o.unit.Compartment, Week: o.unit.Week}
	return map[string]func(context.Context) (any, error){
		"the journal": func(ctx context.Context) (any, error) {
			page, err := o.keyholder("court", "auditor").Log(ctx, record.Digest(o.unit.Order), 1)
			var events [][]byte
			for _, e := range page.Events {
				events = append(events, e.Event, e.Random)
			}
			return events, err
		},
		"the inbox":  func(ctx context.Context) (any, error) { return o.keyholder("court", "supervisor").Inbox(ctx, 1) },
		"the orders": func(ctx context.Context) (any, error) { return o.keyholder("court", "investigator").Orders(ctx) },
		"the people": func(ctx context.Context) (any, error) { return o.keyholder("court", "auditor").People(ctx) },
		"a unit's keys": func(ctx context.Context) (any, error) {
			raw, refused, err := o.keyholder("court", "collector").Units(ctx, ask)
			if err == nil {
				err = refused[0]
			}
			if err != nil {
				return nil, err
			}
			return record.OpenUnitKeys(raw, &o.trust, o.f.Config.Trust, "court", time.Now())
		},
		"a status": func(ctx context.Context) (any, error) {
			raw, err := o.keyholder("court", "collector").Status(ctx, record.ID{1}, record.Digest(o.unit.Order))
			if err != nil {
				return nil, err
			}
			var s record.Status
			_, err = record.Open(raw, record.TypeStatus, o.trust.Court.Online, &s)
			s.Issued = time.Time{}
			return s, err
		},
	}
}

// TestAnswerRowFlipCampaign flips bytes of every row of the court that its other answers rest on.
func TestAnswerRowFlipCampaign(t *testing.T) {
	t.Parallel()
	c, o := newCampaign(t), newOffice(t)
	for what, answer := range o.answers() {
		o.p.reset()
		good, err := answer(t.Context())
		o.check(err)
		rows, flips := o.p.rows(), 0
		for key, row := range rows {
			for _, x := range c.flips(len(row.Value), 2) {
				var got any
				var err error
				touched := o.p.with(key, func(r store.Row) (store.Row, bool) {
					r.Value = slices.Clone(r.Value)
					r.Value[x.at%len(r.Value)] ^= x.bit
					return r, true
				}, func() { got, err = answer(t.Context()) })
				flips++
				switch {
				case err != nil && unclear(err) != "":
					t.Errorf("%s, row %s, byte %d: %s", what, key[:7], x.at, unclear(err))
				case err == nil && (touched || plain(got) != plain(good)):
					t.Errorf("%s, row %s, byte %d: an answer rests on an altered row", what, key[:7], x.at)
				}
			}
		}
		if flips == 0 {
			t.Errorf("%s rests on no row", what)
		}
		t.Logf("%s: %d flips in %d rows", what, flips, len(rows))
	}
}

func plain(v any) string { return string(must(json.Marshal(v))) }
