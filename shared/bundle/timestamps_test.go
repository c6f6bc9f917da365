package bundle_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/stamp"
	"arca.example/arca/shared/stamp/stamptest"
)

// stamping is a world whose vault has its checkpoints stamped by two authorities.
type stamping struct {
	*world
	authorities []*stamptest.Authority
	verifier    *stamp.Verifier
	list        []stamp.Stamp
	calls       int
}

func newStamping(tb testing.TB) *stamping {
	s := &stamping{world: newWorldWith(tb, func(w *world) {
		for _, name := range []string{"one", "two"} {
			w.authorities = append(w.authorities, stamptest.New(tb, name, func() time.Time { return w.now }))
			w.vault.Trust.Authorities = append(w.vault.Trust.Authorities, w.authorities[len(w.authorities)-1].Record())
		}
		w.vault.Resign(tb)
	})}
	s.authorities = s.world.authorities
	s.verifier = must(stamp.New(s.vault.Trust.Authorities, must(ledger.VerifierOf(&s.vault.Trust))))
	return s
}

// hour passes, and then each of some authorities stamps the checkpoint of now.
func (s *stamping) hour(places ...int) {
	s.now = s.now.Add(time.Hour)
	for _, at := range places {
		checkpoint := must(s.vault.Checkpoint(context.Background()))
		n := uint64(len(s.list) + 1)
		q := must(s.verifier.Ask(at, checkpoint, [16]byte{1, byte(n)}))
		token, facts, err := s.verifier.Answer(q, s.authorities[at].Reply(q.DER), s.now)
		check(s.tb, err)
		one := stamp.Stamp{Number: n, Checkpoint: checkpoint, Token: token, Event: must(stamp.Pinned(n, facts.Authority, token, checkpoint)), Random: randomOf("stamp", int(n))}
		s.list = append(s.list, one)
		s.vault.Log(one.Entry())
	}
}

// Stamps implements bundle.StampSource.
func (s *stamping) Stamps(_ context.Context, from uint64) ([]stamp.Stamp, uint64, error) {
	s.calls++
	next := uint64(len(s.list) + 1)
	if from >= next {
		return nil, next, nil
	}
	return slices.Clone(s.list[from-1 : min(from+16, next)-1]), next, nil
}

func (s *stamping) Proof(ctx context.Context, e ledger.Entry) ([]byte, error) {
	return s.vault.Proof(ctx, e)
}

func (s *stamping) Tile(ctx context.Context, path string) ([]byte, error) {
	return s.vault.Tile(ctx, path)
}

// stamped is the source of a bundle with its timestamps.
func (s *stamping) stamped(ids ...record.ID) *bundle.Source {
	in := s.source(ids...)
	check(s.tb, in.AddTimestamps(context.Background(), &s.vault.Trust, s, s.now))
	return in
}

func (s *stamping) verifyAt(raw []byte, now time.Time) (bundle.Report, error) {
	return bundle.Verify(bytes.NewReader(raw), int64(len(raw)), bundle.Options{Fingerprint: s.vault.Fingerprint, Now: now})
}

func numbers(in *bundle.Source) (list []uint64) {
	for _, t := range in.Timestamps {
		list = append(list, t.Number)
	}
	return list
}

// TestTimestampsInABundle makes bundles of a week in which authorities stamp every hour or sometimes do not.
func TestTimestampsInABundle(t *testing.T) {
	s := newStamping(t)
	s.hour(0, 1) // before anything was sealed
	ids := s.seal("Meet at nine.", "Bring the other one.")
	s.hour(1) // number 3; the first authority was down
	between := s.now
	for range 30 {
		s.hour(0, 1)
	}
	ids = append(ids, s.seal("Later.")...)
	s.journal()

	in := s.stamped(ids[0])
	if got := numbers(in); !slices.Equal(got, []uint64{3, 4}) {
		t.Errorf("first over the recording: %v", got)
	}
	if s.calls > 15 {
		t.Errorf("%d calls to the vault for %d timestamps", s.calls, len(s.list))
	}
	raw := s.make(in)
	got, err := s.verifyAt(raw, s.now)
	check(t, err)
	if len(got.Timestamps) != 2 || !got.Timestamps[0].Time.Equal(between) || got.Timestamps[0].Authority != "two" || got.Timestamps[0].Recordings != 1 || got.Timestamps[0].Ended {
		t.Errorf("%+v", got.Timestamps)
	}
	if slices.ContainsFunc(got.Omissions, func(o bundle.ShownOmission) bool { return strings.Contains(o.What, "RFC 3161") }) {
		t.Errorf("left out: %+v", got.Omissions)
	}

	// The last recording is younger than any timestamp; with the newest the others are still covered.
	in = s.stamped(ids[0], ids[2])
	if got := numbers(in); !slices.Equal(got, []uint64{62, 63}) {
		t.Errorf("newest: %v", got)
	}
	got, err = s.verifyAt(s.make(in), s.now)
	check(t, err)
	if !slices.ContainsFunc(got.Omissions, func(o bundle.ShownOmission) bool {
		return o.What == "timestamps by authorities (RFC 3161) of 1 recording"
	}) {
		t.Errorf("%+v", got.Omissions)
	}
	if in = s.stamped(ids[2]); len(in.Timestamps) != 0 {
		t.Errorf("timestamps that cover nothing: %v", numbers(in))
	}
	got, err = s.verifyAt(s.make(in), s.now)
	check(t, err)
	if len(got.Timestamps) != 0 || got.Omissions[len(got.Omissions)-1].What != "timestamps by authorities (RFC 3161)" {
		t.Errorf("%+v", got)
	}

	// Years later the bundle still proves all but this.
	got, err = s.verifyAt(raw, s.now.AddDate(3, 0, 0))
	check(t, err)
	said := func(list []string) bool {
		return slices.ContainsFunc(list, func(l string) bool { return strings.Contains(l, "time-stamping authority") })
	}
	if !got.Timestamps[0].Ended || said(got.Shown) || !said(got.NotShown) {
		t.Errorf("%+v", got)
	}
	if _, err := s.verifyAt(raw, s.now.AddDate(0, -1, 0)); bundle.VerdictOf(err) != bundle.Unwitnessed {
		t.Errorf("a timestamp of the future: %v", err)
	}
}

// TestTimestampsThatShowNothing changes what a maker signs: what each timestamp stamps, what it covers, and what is said of them.
func TestTimestampsThatShowNothing(t *testing.T) {
	s := newStamping(t)
	ids := s.seal("Meet at nine.", "Bring the other one.")
	s.hour(0, 1)
	ids = append(ids, s.seal("Later.")...)
	s.hour(0, 1)
	s.journal()
	earlier := s.stamped(ids[0])
	for name, c := range map[string]struct {
		change func(*bundle.Source)
		want   bundle.Verdict
	}{
		"as it is":                   {func(*bundle.Source) {}, bundle.Proven},
		"in another order":           {func(in *bundle.Source) { slices.Reverse(in.Timestamps) }, bundle.Altered},
		"one twice":                  {func(in *bundle.Source) { in.Timestamps[1] = in.Timestamps[0] }, bundle.Altered},
		"a pack left out":            {func(in *bundle.Source) { in.Timestamps[0].Covers = in.Timestamps[0].Covers[1:] }, bundle.Incomplete},
		"no pack":                    {func(in *bundle.Source) { in.Timestamps[0].Covers = nil }, bundle.Incomplete},
		"a pack too many":            {func(in *bundle.Source) { c := &in.Timestamps[0].Covers; *c = append(*c, bundle.Covered{Pack: 99}) }, bundle.Incomplete},
		"a path cut short":           {func(in *bundle.Source) { p := &in.Timestamps[0].Covers[0].Path; *p = (*p)[:len(*p)-32] }, bundle.Altered},
		"a path of no form":          {func(in *bundle.Source) { p := &in.Timestamps[0].Covers[0].Path; *p = (*p)[:len(*p)-1] }, bundle.Altered},
		"another pack's path":        {func(in *bundle.Source) { c := in.Timestamps[0].Covers; c[0].Path, c[1].Path = c[1].Path, c[0].Path }, bundle.Altered},
		"another's token":            {func(in *bundle.Source) { in.Timestamps[0].Token = in.Timestamps[1].Token }, bundle.Altered},
		"an altered token":           {func(in *bundle.Source) { in.Timestamps[0].Token[len(in.Timestamps[0].Token)-1] ^= 1 }, bundle.Altered},
		"another's pin":              {func(in *bundle.Source) { in.Timestamps[0].Pin = in.Timestamps[1].Pin }, bundle.Altered},
		"a pin that is not logged":   {func(in *bundle.Source) { in.Timestamps[0].Pin.Random = make([]byte, 32) }, bundle.Altered},
		"another number":             {func(in *bundle.Source) { in.Timestamps[0].Number-- }, bundle.Altered},
		"a token on an earlier tree": {func(in *bundle.Source) { in.Timestamps[0].Token = earlier.Timestamps[0].Token }, bundle.Altered},
		"an earlier tree, with the paths of this": {func(in *bundle.Source) {
			covers := in.Timestamps[0].Covers[:1]
			in.Timestamps[0] = earlier.Timestamps[0]
			in.Timestamps[0].Covers = covers
		}, bundle.Altered},
		"none, and it is not said": {func(in *bundle.Source) { in.Timestamps = []bundle.Timestamp{} }, bundle.Proven}, // Make says it
	} {
		in := s.stamped(ids[0], ids[2])
		for i := range in.Timestamps { // what is changed is this bundle's own
			in.Timestamps[i].Token = bytes.Clone(in.Timestamps[i].Token)
		}
		c.change(in)
		_, err := s.verifyAt(s.make(in), s.now)
		if got := bundle.VerdictOf(err); got != c.want {
			t.Errorf("%s: %s (%v)", name, got, err)
		}
	}
}

// TestATimestampOfAStranger uses a token of an authority that the trust file does not name.
func TestATimestampOfAStranger(t *testing.T) {
	s := newStamping(t)
	ids := s.seal("Meet at nine.")
	s.hour(0)
	s.journal()
	in := s.stamped(ids[0])
	stranger := stamptest.New(t, "one", func() time.Time { return s.now })
	theirs := must(stamp.New([]record.Authority{stranger.Record()}, must(ledger.VerifierOf(&s.vault.Trust))))
	q := must(theirs.Ask(0, []byte(in.Timestamps[0].Checkpoint), [16]byte{1}))
	token, _, err := theirs.Answer(q, stranger.Reply(q.DER), s.now)
	check(t, err)
	one := stamp.Stamp{Number: 1, Event: must(stamp.Pinned(1, "one", token, []byte(in.Timestamps[0].Checkpoint))), Random: randomOf("stranger", 1)}
	s.vault.Log(one.Entry())
	in.Timestamps[0].Token, in.Timestamps[0].Pin = token, s.prove(one.Event, one.Random[:])
	if _, err := s.verifyAt(s.make(in), s.now); bundle.VerdictOf(err) != bundle.UnknownRoots {
		t.Errorf("%v", err)
	}
}

// TestTimestampCampaign flips bits in everything that a timestamp holds, in bundles that their maker signs all the same.
func TestTimestampCampaign(t *testing.T) {
	s := newStamping(t)
	ids := append(s.seal("Meet at nine."), s.seal("Later.")...) // so that there is a path
	s.hour(0)
	s.journal()
	s.custody = nil // smaller, so that more can be tried
	tried := 0
	for name, field := range map[string]func(*bundle.Timestamp, func([]byte) []byte){
		"checkpoint": func(one *bundle.Timestamp, flip func([]byte) []byte) {
			one.Checkpoint = string(flip([]byte(one.Checkpoint)))
		},
		"token":      func(one *bundle.Timestamp, flip func([]byte) []byte) { one.Token = flip(one.Token) },
		"path":       func(one *bundle.Timestamp, flip func([]byte) []byte) { one.Covers[0].Path = flip(one.Covers[0].Path) },
		"pin event":  func(one *bundle.Timestamp, flip func([]byte) []byte) { one.Pin.Event = flip(one.Pin.Event) },
		"pin random": func(one *bundle.Timestamp, flip func([]byte) []byte) { one.Pin.Random = flip(one.Pin.Random) },
		"pin proof": func(one *bundle.Timestamp, flip func([]byte) []byte) {
			one.Pin.Proof = string(flip([]byte(one.Pin.Proof)))
		},
	} {
		for at, length := 0, 1; at < length; at += 7 {
			in := s.stamped(ids[0])
			field(&in.Timestamps[0], func(b []byte) []byte {
				b, length = bytes.Clone(b), len(b)
				b[at] ^= 1 << (at % 7) // not the eighth bit, which would make text no text
				return b
			})
			tried++
			m := &memory{}
			if err := bundle.Make(m, s.clerk, s.now, in); err != nil {
				continue // what is no UTF-8 any more is not even written
			}
			if _, err := s.verifyAt(m.b, s.now); err == nil {
				t.Errorf("%s, byte %d: accepted", name, at)
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d tried", tried)
	}
	t.Logf("%d mutants", tried)
}
