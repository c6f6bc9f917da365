package tests

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/local/accesslog"
	"arca.example/arca/shared/local/canary"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/mirror"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store/sqlite"
)

// story is a journey with all that was said and made in it.
type story struct {
	*world
	first, second record.Digest // orders
	clips         []clip
	ids           []record.ID
	requests      []record.Digest
	packs         int
}

// journeyClips are two orders' recordings in two weeks: every codec, messages, nothing at all, and one larger than a pack.
func (s *story) journeyClips() (one, two []clip) {
	now := s.recent()
	old := now.AddDate(0, 0, -7)
	call := func(chain record.Digest, number, file, codec string, start time.Time) clip {
		return clip{chain: chain, name: file, codec: codec, kind: "call", number: number, start: start, content: sample(s.tb, file)}
	}
	message := func(chain record.Digest, number, file string, start time.Time) clip {
		c := call(chain, number, file, "text", start)
		c.kind = "message"
		return c
	}
	one = []clip{
		call(s.first, target, "en_delivery_time.wav", "pcm_s16le", now.Add(-time.Minute)),
		call(s.first, target, "es_cambio_hora.alaw.wav", "alaw", now.Add(-2*time.Minute)),
		message(s.first, target, "msg_en_1.json", now.Add(-3*time.Minute)),
		call(s.first, target, "en_delivery_time.opus", "opus", old),
		{chain: s.first, name: "larger than a pack.bin", codec: "bytes", kind: "call", number: target, start: old.Add(time.Minute), content: pattern(2_500_000, 1)},
		{chain: s.first, name: "an empty recording.txt", codec: "text", kind: "message", number: target, start: old.Add(2 * time.Minute)},
	}
	two = []clip{
		call(s.second, target2, "es_hora_entrega.opus", "opus", now.Add(-time.Minute)),
		message(s.second, target2, "msg_es_1.json", now.Add(-2*time.Minute)),
		call(s.second, target2, "en_short_reminder.wav", "pcm_s16le", old),
		// The same order and week as the first collector's: two authors in one unit.
		call(s.first, target, "es_aviso_corto.wav", "pcm_s16le", now.Add(-5*time.Minute)),
	}
	return one, two
}

// sealAtOnce lets two collectors seal and send at the same time, each its own clips.
func (s *story) sealAtOnce() {
	s.tb.Helper()
	one, two := s.journeyClips()
	lists := map[string][]clip{"collector": one, s.machine("collector-two"): two}
	var all sync.WaitGroup
	var mu sync.Mutex
	for name, clips := range lists {
		c := s.collector(name)
		all.Go(func() {
			sealed := s.sealed(c, clips...)
			s.flush(c)
			mu.Lock()
			defer mu.Unlock()
			s.clips = append(s.clips, clips...)
			for _, one := range sealed {
				s.ids = append(s.ids, one.Recording)
				s.receipt(c, one)
			}
		})
	}
	all.Wait()
}

func (s *story) receipt(c *collector.Collector, one collector.Sealed) {
	raw, err := c.Receipt(context.Background(), one)
	s.check(err)
	got, err := bundle.VerifyReceipt(&s.trust, s.f.Config.Trust, raw)
	s.check(err)
	if record.ID(got.Recording) != one.Recording {
		s.tb.Error("the receipt is for another recording")
	}
}

// openAll lists every unit of a chain, opens everything and compares it.
func (s *story) openAll(chain record.Digest, who, boss string, m *mirror.Mirror) (opened int) {
	s.tb.Helper()
	var out bytes.Buffer
	r := s.reader(who, m, &out)
	for _, start := range []time.Time{s.recent(), s.recent().AddDate(0, 0, -7)} {
		in := reader.AskInput{Chain: chain, Week: seal.WeekOf(start), Class: seal.IndexClass}
		hash := s.ask(r, in)
		list, err := r.List(context.Background(), hash)
		s.check(err)
		if !list.Complete {
			s.tb.Fatalf("the listing is not complete: %+v", list.Warnings)
		}
		s.requests = append(s.requests, hash, s.granted(r, boss, in))
		for _, row := range list.Rows {
			out.Reset()
			if _, err := r.Open(context.Background(), row.ID.String(), "-", reader.Range{}); err != nil {
				s.tb.Fatalf("%s: %v", row.Name, err)
			}
			if !bytes.Equal(out.Bytes(), s.contentOf(chain, row.Name)) {
				s.tb.Errorf("%s opened with other bytes", row.Name)
			}
			opened++
		}
	}
	return opened
}

func (s *story) contentOf(chain record.Digest, name string) []byte {
	for _, c := range s.clips {
		if c.chain == chain && c.name == name {
			return c.content
		}
	}
	s.tb.Errorf("nobody sealed %q under this order", name)
	return nil
}

// TestJourney is the main job, with two orders, two collectors at once, two weeks, all codecs and several packs; then a look
// at all that the vault has.
func TestJourney(t *testing.T) {
	t.Parallel()
	s := &story{world: newWorld(t, installation.ServeOptions{})}
	s.cast()
	s.first, s.second = s.admit(s.draft("DP-0000/17", unitA, target)), s.admit(s.draft("DP-0000/18", unitB, target2))
	s.sealAtOnce()
	m := s.mirror()
	if n := s.openAll(s.first, "investigator", "supervisor", m); n != 7 {
		t.Errorf("%d recordings of the first order were opened, 7 were sealed", n)
	}
	if n := s.openAll(s.second, "stranger", "chief", m); n != 3 {
		t.Errorf("%d recordings of the second order were opened, 3 were sealed", n)
	}
	s.refusals(m)
	audited, err := m.Audit(t.Context(), nil)
	if err != nil || len(audited.Findings) > 0 || audited.Packs < 5 {
		t.Errorf("%+v, %v", audited, err)
	}
	s.packs = audited.Packs
	s.stop()
	s.lookAtTheVault()
}

// refusals shows that another unit gets nothing, and that a revoked order gives nothing to its own.
func (s *story) refusals(m *mirror.Mirror) {
	week := seal.WeekOf(s.recent())
	if _, err := s.reader("stranger", m, nil).Ask(context.Background(), reader.AskInput{Chain: s.first, Week: week, Class: seal.IndexClass, Purpose: "curiosity"}); err == nil {
		s.tb.Error("another unit's investigator may ask")
	}
	stop := record.Order{Audience: s.f.Config.Trust, Kind: record.Revocation, Profile: "ES-588ter", Court: court, Chain: s.first, Decided: record.Second(s.now()), Reason: "no longer needed", Nonce: nonce()}
	raw := s.sign("judge", record.TypeOrder, stop)
	for _, party := range installation.Keyholders {
		_, err := s.keyholder(party, "").Admit(context.Background(), raw)
		s.check(err)
	}
	for _, hash := range s.requests[:4] {
		if _, err := s.reader("investigator", m, nil).Release(context.Background(), hash); err == nil || problem.KindOf(err) == problem.Internal {
			s.tb.Errorf("after the revocation: %v", err)
		}
	}
}

// needles are what the vault must not know.
func (s *story) needles() map[string][]byte {
	n := map[string][]byte{}
	for _, text := range []string{court, unitA, unitB, target, target2, other, purpose, suspect, "DP-0000/17", "DP-0000/18", "ES-588ter",
		"investigator", "supervisor", "stranger", "auditor", "collector-two", "restricted", seal.WeekOf(s.recent()), seal.WeekOf(s.recent().AddDate(0, 0, -7))} {
		n[text] = []byte(text)
	}
	for i, d := range append(s.requests, s.first, s.second) {
		n[fmt.Sprint("hash ", i)], n[fmt.Sprint("hash, raw ", i)] = []byte(d.String()), d[:]
	}
	for i, id := range s.ids {
		n[fmt.Sprint("recording ", i)], n[fmt.Sprint("recording, raw ", i)] = []byte(id.String()), id[:]
	}
	for _, c := range s.clips {
		n["name "+c.name] = []byte(c.name)
		if len(c.content) == 0 {
			continue // the digest of nothing is in every proof of a call without a body
		}
		for i := 1; i < 4; i++ {
			n[fmt.Sprint("piece ", i, " of ", c.name)] = canary.Piece(c.content, i*len(c.content)/4)
		}
		m, s1, s256, s512 := md5.Sum(c.content), sha1.Sum(c.content), sha256.Sum256(c.content), sha512.Sum512(c.content)
		n["MD5 of "+c.name], n["SHA-1 of "+c.name], n["SHA-256 of "+c.name], n["SHA-512 of "+c.name] = m[:], s1[:], s256[:], s512[:]
	}
	return n
}

// lookAtTheVault reads every row, object and log line, and then shows that the same look finds what is planted.
func (s *story) lookAtTheVault() {
	t := s.tb
	search, err := canary.New(s.needles())
	s.check(err)
	hits, read := s.searchVault(search)
	if len(hits) > 0 {
		t.Errorf("the vault knows %+v and %d more", hits[0], len(hits)-1)
	}
	t.Logf("%d bytes of the vault were searched for %d needles", read, len(s.needles()))
	s.accessLog(true)

	leaks := map[string]string{
		"access.log":  fmt.Sprintf(`{"method":"GET","url":"/v1/packs?from=1&for=%s","headers":{},"status":200}`, target),
		"process.log": fmt.Sprintf(`{"msg":"deposited","recording":%q}`, s.ids[0].String()),
	}
	for file, line := range leaks {
		f, err := os.OpenFile(s.f.Dir("vault", file), os.O_APPEND|os.O_WRONLY, 0)
		s.check(err)
		_, err = f.WriteString(line + "\n")
		s.check(err)
		f.Close()
	}
	s.accessLog(false)
	pack := filepath.Join(s.f.Dir("vault", "objects", "pack"), fmt.Sprintf("%012d", s.packs))
	s.check(os.Chmod(pack, 0o600))
	f, err := os.OpenFile(pack, os.O_WRONLY, 0)
	s.check(err)
	_, err = f.WriteAt(canary.Piece(s.clips[0].content, len(s.clips[0].content)/2), 700_001)
	s.check(err)
	f.Close()
	found := map[string]bool{}
	hits, _ = s.searchVault(search)
	for _, h := range hits {
		found[filepath.Base(h.File)] = true
	}
	for _, file := range []string{"access.log", "process.log", filepath.Base(pack)} {
		if !found[file] {
			t.Errorf("the search does not find what was planted in %s", file)
		}
	}
}

func (s *story) searchVault(search *canary.Searcher) ([]canary.Hit, int64) {
	hits, read, err := search.Folder(s.f.Dir("vault"))
	s.check(err)
	db, err := sqlite.Open(s.f.Dir("vault", "rows.db"))
	s.check(err)
	defer db.Close()
	more, rows, err := search.Rows(context.Background(), db)
	s.check(err)
	return append(hits, more...), read + rows
}

// accessLog holds the access log against what may stand in it.
func (s *story) accessLog(clean bool) {
	s.tb.Helper()
	principals := map[record.KeyID]string{s.trust.Court.Online.ID(): "court", s.trust.Custodian.Online.ID(): "custodian"}
	for _, name := range []string{"collector", "collector-two", "mirror"} {
		principals[s.people[name].Public().ID()] = name
	}
	raw, err := os.ReadFile(s.f.Dir("vault", "access.log"))
	s.check(err)
	seen, err := accesslog.Check(strings.NewReader(string(raw)), principals)
	if clean && (err != nil || seen.Fetched != uint64(s.packs)) {
		s.tb.Errorf("the access log: %+v, %v", seen, err)
	}
	if !clean && err == nil {
		s.tb.Error("a call that tells something is not noticed in the access log")
	}
}
