package bundle_test

import (
	"bytes"
	"strings"
	"testing"

	"filippo.io/age"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/record"
)

// small is a world with three recordings in two batches, of which a bundle takes two.
func small(tb testing.TB) (*world, []record.ID) {
	w := newWorld(tb)
	ids := w.seal("Meet at nine.", "Bring the other one.")
	ids = append(ids, w.seal("Later.")...)
	w.journal()
	return w, ids
}

func TestBundle(t *testing.T) {
	w, ids := small(t)
	raw := w.make(w.source(ids[0], ids[2]))
	got, err := w.verify(raw)
	check(t, err)
	if got.Verdict != bundle.Proven || len(got.Recordings) != 2 || got.Members != 2 || got.Maker != "Clerk One" || got.Acts["court"] != 3 {
		t.Fatalf("%+v", got)
	}
	for _, r := range got.Recordings {
		if r.Content != bundle.AsSealed || r.Description == nil || r.Sealed != "Collector One" || !r.Witnessed.Equal(w.now) {
			t.Errorf("%+v", r)
		}
	}
	if !strings.HasPrefix(got.Omissions[0].What, "1 more recording") {
		t.Errorf("%+v", got.Omissions)
	}
	if !bytes.Equal(raw, w.make(w.source(ids[2], ids[0]))) {
		t.Error("the same source gives other bytes")
	}
	if bytes.Contains(raw, []byte("Bring the other one")) {
		t.Error("the bundle shows another recording")
	}
	page := raw[bytes.Index(raw, []byte("<!DOCTYPE")):bytes.Index(raw, []byte("</html>"))]
	if bytes.Contains(page, []byte("<script")) || !bytes.Contains(page, []byte("12025550122&lt;script&gt;")) {
		t.Errorf("the page runs what a description says, or shows nothing of it: %s", page)
	}
}

func TestEncryptedBundle(t *testing.T) {
	w, ids := small(t)
	x25519, hybrid, stranger := must(age.GenerateX25519Identity()), must(age.GenerateHybridIdentity()), must(age.GenerateX25519Identity())
	for recipient, identity := range map[string]age.Identity{x25519.Recipient().String(): x25519, hybrid.Recipient().String(): hybrid} {
		in := w.source(ids[0])
		in.Recipients = []string{recipient}
		raw := w.make(in)
		if bytes.Contains(raw, []byte("Meet at nine")) || bytes.Contains(raw, []byte("+12025550122")) {
			t.Fatal("an encrypted bundle shows content or a description")
		}
		got, err := w.verify(raw)
		check(t, err)
		if got.Recordings[0].Content != bundle.NotDecrypted || got.Recordings[0].Description != nil || !strings.Contains(got.Line, "not proven: what is in the encrypted files of 1 recording") {
			t.Errorf("%+v", got)
		}
		got, err = w.verify(raw, identity)
		check(t, err)
		if got.Recordings[0].Content != bundle.AsSealed || got.Recordings[0].Description.Name == "" {
			t.Errorf("%+v", got)
		}
		if _, err = w.verify(raw, stranger); bundle.VerdictOf(err) != bundle.Unreadable {
			t.Errorf("a stranger's key: %v", err)
		}
	}
}

// A part is not proven by the sealing, and the keys of its content stay away.
func TestPart(t *testing.T) {
	w, ids := small(t)
	in := w.source(ids[0])
	in.Recordings[0].Parts = []bundle.Part{{Bytes: 4, Ending: ".1.txt", From: 0, Until: 2000}, {Bytes: 3, Ending: ".2.txt", From: 4000, Until: 5000}}
	in.Recordings[0].Opening.Halves = in.Recordings[0].Opening.Halves[:2]
	got, err := w.verify(w.make(in))
	check(t, err)
	if got.Recordings[0].Content != bundle.PartOnly || !strings.Contains(got.Line, "not proven: the parts of 1 recording") {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(got.Omissions[1].What, "everything but 0s to 2s, 4s to 5s") {
		t.Errorf("%+v", got.Omissions)
	}
	in = w.source(ids[0])
	in.Recordings[0].Parts = []bundle.Part{{Bytes: 4, Ending: ".1.txt", From: 0, Until: 2000}}
	if _, err := w.verify(w.make(in)); err == nil {
		t.Error("a part with the keys of the whole was accepted")
	}
}

// TestWhatIsNotProven makes bundles as a clerk could who leaves out, swaps or invents, and signs it all.
func TestWhatIsNotProven(t *testing.T) {
	w, ids := small(t)
	other := newWorld(t)
	foreign := other.seal("foreign")
	for name, c := range map[string]struct {
		change func(in *bundle.Source)
		want   bundle.Verdict
	}{
		"another content":       {func(in *bundle.Source) { w.contents[ids[0]] = []byte("Meet at ten!!") }, bundle.Altered},
		"another description":   {func(in *bundle.Source) { in.Recordings[0].Opening.Description.From = "+12025550199" }, bundle.Altered},
		"a half changed":        {func(in *bundle.Source) { in.Recordings[0].Opening.Halves[2].Half = make([]byte, 32) }, bundle.Altered},
		"a half left out":       {func(in *bundle.Source) { h := &in.Recordings[0].Opening.Halves; *h = (*h)[:3] }, bundle.Incomplete},
		"another's descriptor":  {func(in *bundle.Source) { in.Recordings[0].Opening.Descriptor = w.sealed[1].Opening.Descriptor }, bundle.Altered},
		"an extension left out": {func(in *bundle.Source) { in.Order.Members = in.Order.Members[:1] }, bundle.Incomplete},
		"the first left out":    {func(in *bundle.Source) { in.Order.Members = in.Order.Members[1:] }, bundle.Altered},
		"a revocation unknown": {func(in *bundle.Source) {
			in.Order.Status = w.status(func(_ *record.Status, c *record.ChainStatus) { c.Stops = record.SetDigest([]record.Digest{{1}}) })
		}, bundle.Incomplete},
		"one keyholder's word":  {func(in *bundle.Source) { in.Order.Status = in.Order.Status[:1] }, bundle.Incomplete},
		"one keyholder's twice": {func(in *bundle.Source) { in.Order.Status[1] = in.Order.Status[0] }, bundle.Altered},
		"yesterday's word": {func(in *bundle.Source) {
			in.Order.Status = w.status(func(s *record.Status, _ *record.ChainStatus) { s.Issued = w.now.AddDate(0, 0, -1) })
		}, bundle.Altered},
		"a batch left out":      {func(in *bundle.Source) { in.Batches = in.Batches[1:] }, bundle.Incomplete},
		"the recording's batch": {func(in *bundle.Source) { in.Batches = nil }, bundle.Incomplete},
		"a batch twice":         {func(in *bundle.Source) { in.Batches = append(in.Batches[:1:1], in.Batches[0]) }, bundle.Incomplete},
		"a foreign batch":       {func(in *bundle.Source) { in.Batches = append(in.Batches[:2:2], other.batches[0]) }, bundle.Incomplete},
		"a member left out": {func(in *bundle.Source) {
			s := in.Sealings[in.Recordings[0].Batch]
			s.Members = s.Members[:144]
			in.Sealings[in.Recordings[0].Batch] = s
		}, bundle.Altered},
		"a receipt swapped": {func(in *bundle.Source) {
			s := in.Sealings[in.Recordings[0].Batch]
			s.Receipts = w.sealings[w.sealed[2].Batch].Receipts
			in.Sealings[in.Recordings[0].Batch] = s
		}, bundle.Altered},
		"one receipt": {func(in *bundle.Source) {
			s := in.Sealings[in.Recordings[0].Batch]
			s.Receipts = s.Receipts[:1]
			in.Sealings[in.Recordings[0].Batch] = s
		}, bundle.Incomplete},
		"another pack": {func(in *bundle.Source) { in.Recordings[0].Packs = w.sealed[2].Packs }, bundle.Altered},
		"no pack":      {func(in *bundle.Source) { in.Recordings[0].Packs = nil }, bundle.Incomplete},
		"an event left out": {func(in *bundle.Source) {
			c := in.Custody["court"]
			in.Custody = map[string][]bundle.LogProof{"court": {c[0], c[2]}, "custodian": in.Custody["custodian"]}
		}, bundle.Incomplete},
		"an event invented": {func(in *bundle.Source) {
			c := in.Custody["court"]
			c0 := c[0]
			c0.Random = make([]byte, 32)
			in.Custody = map[string][]bundle.LogProof{"court": {c0}, "custodian": c}
		}, bundle.Altered},
		"one journal": {func(in *bundle.Source) { in.Custody = map[string][]bundle.LogProof{"court": in.Custody["court"]} }, bundle.Incomplete},
		"a journal for the other": {func(in *bundle.Source) {
			in.Custody = map[string][]bundle.LogProof{"court": in.Custody["custodian"], "custodian": in.Custody["custodian"]}
		}, bundle.Incomplete},
		"no request":               {func(in *bundle.Source) { in.Requests = []string{} }, bundle.Incomplete},
		"another's request":        {func(in *bundle.Source) { in.Requests = other.source(foreign[0]).Requests }, bundle.Incomplete},
		"no judge's enrolment":     {func(in *bundle.Source) { in.People = []record.Joint{w.people[0], w.people[2]} }, bundle.Incomplete},
		"no collector's enrolment": {func(in *bundle.Source) { in.People = w.people[:2] }, bundle.Incomplete},
		"no maker's enrolment":     {func(in *bundle.Source) { in.People = w.people[1:] }, bundle.Altered},
		"enrolled by one side":     {func(in *bundle.Source) { in.People = append(w.people[:2:2], w.people[2][:1]) }, bundle.Altered},
		"another policy":           {func(in *bundle.Source) { in.Policy = append(bytes.Clone(in.Policy), ' ') }, bundle.Altered},
	} {
		in := w.source(ids[0], ids[1])
		for i := range in.Recordings {
			in.Recordings[i].Opening.Halves = append([]bundle.Half(nil), in.Recordings[i].Opening.Halves...)
		}
		keep := w.contents[ids[0]]
		// The recordings' order is by random ids: the change is made to the one that it names.
		if in.Recordings[0].Recording.Recording != ids[0] {
			in.Recordings[0], in.Recordings[1] = in.Recordings[1], in.Recordings[0]
		}
		c.change(in)
		m := &memory{}
		if err := bundle.Make(m, w.clerk, w.now, in); err != nil {
			t.Errorf("%s: not made: %v", name, err)
			continue
		}
		w.contents[ids[0]] = keep
		if _, err := w.verify(m.b); bundle.VerdictOf(err) != c.want {
			t.Errorf("%s: %s instead of %s: %v", name, bundle.VerdictOf(err), c.want, err)
		}
	}
}

func TestRootsAndWitnesses(t *testing.T) {
	w, ids := small(t)
	raw := w.make(w.source(ids...))
	_, err := bundle.Verify(bytes.NewReader(raw), int64(len(raw)), bundle.Options{})
	if bundle.VerdictOf(err) != bundle.UnknownRoots || !strings.Contains(err.Error(), w.vault.Fingerprint.String()) {
		t.Errorf("without a fingerprint: %v", err)
	}
	_, err = bundle.Verify(bytes.NewReader(raw), int64(len(raw)), bundle.Options{Fingerprint: record.Digest{1}})
	if bundle.VerdictOf(err) != bundle.UnknownRoots {
		t.Errorf("under another fingerprint: %v", err)
	}
	w.vault.Cosigning = 1
	in := w.source(ids[0])
	in.Recordings[0].Packs = []bundle.LogProof{w.packProof(1)}
	if _, err := w.verify(w.make(in)); bundle.VerdictOf(err) != bundle.Unwitnessed {
		t.Errorf("one witness of two: %v", err)
	}
}
