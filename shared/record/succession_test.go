package record_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// dynasty is an installation whose trust files follow each other.
type dynasty struct {
	t     *testing.T
	keys  map[string]*record.Signer // by public key
	files []record.Trust
	chain []record.Joint
}

func (d *dynasty) key() record.PublicKey {
	s := signer(d.t)
	d.keys[s.Public().String()] = s
	return s.Public()
}

func newDynasty(t *testing.T) *dynasty {
	d := &dynasty{t: t, keys: map[string]*record.Signer{}}
	keys := func() record.PartyKeys {
		return record.PartyKeys{Online: d.key(), Registrar: d.key(), Root: d.key()}
	}
	d.add(record.Trust{Court: keys(), Custodian: keys(), Installation: record.ID{1}, Issued: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), LogKey: "log+1+a", LogOrigin: "log",
		Pack: record.PackShape{Size: 1 << 20, Slots: 8}, Quorum: 1, Version: 1, Witnesses: []string{"w+1+a"}})
	return d
}

// next is the file that would follow, with something changed.
func (d *dynasty) next(change func(*record.Trust)) record.Trust {
	n := d.files[len(d.files)-1]
	n.Version, n.Previous, n.Issued = n.Version+1, d.hash(len(d.chain)-1), n.Issued.Add(time.Hour)
	change(&n)
	return n
}

func (d *dynasty) hash(i int) record.Digest {
	st, err := record.Peek(d.chain[i][0])
	if err != nil {
		d.t.Fatal(err)
	}
	return record.HashBytes(st.Payload)
}

// sign signs with the roots of a file and of the one before it, or with those that are named.
func (d *dynasty) sign(n record.Trust, by ...record.PublicKey) record.Joint {
	if by == nil {
		last := &n
		if len(d.files) > 0 {
			last = &d.files[len(d.files)-1]
		}
		by = record.FourRoots(last, &n)
	}
	var signers []*record.Signer
	for _, key := range by {
		signers = append(signers, d.keys[key.String()])
	}
	joint, err := record.SignJoint(record.TypeTrust, n.Issued, n, signers...)
	if err != nil {
		d.t.Fatal(err)
	}
	return joint
}

func (d *dynasty) add(n record.Trust) {
	d.chain = append(d.chain, d.sign(n))
	d.files = append(d.files, n)
}

func (d *dynasty) open(more ...record.Joint) error {
	_, err := record.OpenTrusts(append(slices.Clone(d.chain), more...), d.hash(0))
	return err
}

// TestSuccession: the four roots follow each other in any number of files, and nothing else does.
func TestSuccession(t *testing.T) {
	d := newDynasty(t)
	old := d.files[0]
	d.add(d.next(func(n *record.Trust) { n.Court.Root, n.Custodian.Online, n.Overlap = d.key(), d.key(), 24 }))
	d.add(d.next(func(n *record.Trust) { n.Custodian.Root, n.LogKey = d.key(), "log+2+b" }))
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	last := d.files[len(d.files)-1]
	plain := d.next(func(*record.Trust) {})
	changed := d.next(func(n *record.Trust) { n.Court.Root = d.key() })
	for name, bad := range map[string]record.Joint{
		"the court alone":                             d.sign(plain, last.Court.Root),
		"the custodian alone":                         d.sign(plain, last.Custodian.Root),
		"the new roots alone":                         d.sign(changed, changed.Court.Root, changed.Custodian.Root),
		"the old roots alone":                         d.sign(changed, last.Court.Root, last.Custodian.Root),
		"a root that was replaced":                    d.sign(plain, old.Court.Root, last.Custodian.Root),
		"another order of signatures":                 d.sign(changed, changed.Court.Root, last.Court.Root, last.Custodian.Root),
		"nobody":                                      {},
		"a gap in the versions":                       d.sign(d.next(func(n *record.Trust) { n.Version++ })),
		"the first version again":                     d.chain[0],
		"the last version again":                      d.chain[2],
		"another predecessor":                         d.sign(d.next(func(n *record.Trust) { n.Previous = d.hash(0) })),
		"another installation":                        d.sign(d.next(func(n *record.Trust) { n.Installation = record.ID{2} })),
		"another log":                                 d.sign(d.next(func(n *record.Trust) { n.LogOrigin = "elsewhere" })),
		"another shape of packs":                      d.sign(d.next(func(n *record.Trust) { n.Pack.Slots++ })),
		"an earlier date":                             d.sign(d.next(func(n *record.Trust) { n.Issued = old.Issued })),
		"a key that was replaced":                     d.sign(d.next(func(n *record.Trust) { n.Custodian.Online = old.Custodian.Online })),
		"a log key that was replaced":                 d.sign(d.next(func(n *record.Trust) { n.LogKey = old.LogKey })),
		"an online key as registrar":                  d.sign(d.next(func(n *record.Trust) { n.Court.Registrar, n.Court.Online = n.Court.Online, d.key() })),
		"the court's online key as the custodian's":   d.sign(d.next(func(n *record.Trust) { n.Custodian.Online, n.Court.Online = n.Court.Online, d.key() })),
		"an overlap of more than a month":             d.sign(d.next(func(n *record.Trust) { n.Overlap = record.MaxOverlap + 1 })),
		"a quorum that its witnesses cannot reach":    d.sign(d.next(func(n *record.Trust) { n.Quorum = 2 })),
		"somebody else's signature under one's place": d.sign(plain, last.Court.Registrar, last.Custodian.Root),
	} {
		if err := d.open(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := d.open(d.sign(plain)); err != nil {
		t.Errorf("the control: %v", err)
	}
	if _, err := record.OpenTrusts(d.chain[1:], d.hash(1)); err == nil {
		t.Error("a chain without its first file is accepted")
	}
	if _, err := record.OpenTrusts(d.chain, d.hash(1)); err == nil {
		t.Error("a chain whose first file is not the pinned one is accepted")
	}
}

// TestATwinOfATrustFileIsAFork: whoever knows one file of a version and is shown another stops, and both are named.
func TestATwinOfATrustFileIsAFork(t *testing.T) {
	d := newDynasty(t)
	link := func(j record.Joint) record.TrustLink { return record.TrustLink{Trust: j} }
	first := link(d.chain[0])
	one := d.sign(d.next(func(n *record.Trust) { n.Court.Online = d.key() }))
	other := d.sign(d.next(func(n *record.Trust) { n.Court.Online = d.key() }))
	known := record.TrustChain{first, link(one)}
	for _, shown := range []record.TrustChain{{first, link(other)}, {first, link(other), link(one)}} {
		_, err := shown.Extends(known)
		if problem.KindOf(err) != problem.Conflict || !strings.Contains(problem.MessageOf(err), "version 2") {
			t.Errorf("a fork: %v", err)
		}
	}
	if longer, err := known.Extends(record.TrustChain{first}); err != nil || !longer {
		t.Errorf("a longer chain: %v %v", longer, err)
	}
	if longer, err := (record.TrustChain{first}).Extends(known); err != nil || longer {
		t.Errorf("a shorter chain: %v %v", longer, err)
	}
}

// reign gives the newest file of three: the second an hour after the first with an overlap, the third an hour later with none.
func reign(t *testing.T) (d *dynasty, now *record.Trust, start time.Time) {
	d = newDynasty(t)
	d.add(d.next(func(n *record.Trust) {
		n.Court, n.Custodian, n.Overlap = record.PartyKeys{Online: d.key(), Registrar: d.key(), Root: d.key()}, record.PartyKeys{Online: d.key(), Registrar: d.key(), Root: d.key()}, 24
	}))
	d.add(d.next(func(n *record.Trust) { n.Court.Online, n.Custodian.Registrar, n.Overlap = d.key(), d.key(), 0 }))
	eras, err := record.OpenTrusts(d.chain, d.hash(0))
	if err != nil {
		t.Fatal(err)
	}
	start = d.files[0].Issued
	eras[1].At, eras[2].At = start.Add(time.Hour), start.Add(2*time.Hour)
	return d, record.InForce(eras), start
}

// TestAnOnlineKeyCountsInItsTime: what a replaced key signs after its end is refused, and what it signed before still verifies.
func TestAnOnlineKeyCountsInItsTime(t *testing.T) {
	d, now, start := reign(t)
	says := func(file int, at time.Time) string {
		raw, err := record.Sign(d.keys[d.files[file].Court.Online.String()], record.TypeReceipt, at, record.Receipt{Issued: at})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for _, c := range []struct {
		name string
		file int
		at   time.Duration
		ok   bool
	}{
		{"the first, in its time", 0, 30 * time.Minute, true},
		{"the first, in the overlap", 0, 90 * time.Minute, true},
		{"the first, in an overlap that the third cut off", 0, 2*time.Hour + time.Minute, false},
		{"the second, before its time", 1, 50 * time.Minute, false},
		{"the second, before its time but for a clock", 1, 56 * time.Minute, true},
		{"the second, in its time", 1, 90 * time.Minute, true},
		{"the second, after the third without overlap", 1, 2*time.Hour + time.Minute, false},
		{"the third", 2, 1000 * time.Hour, true},
	} {
		at := start.Add(c.at)
		if _, err := now.OpenKept(says(c.file, at), record.TypeReceipt, "court", nil); (err == nil) != c.ok {
			t.Errorf("%s, kept: %v", c.name, err)
		}
		if _, err := now.OpenOnline(says(c.file, at), record.TypeReceipt, "court", at, nil); (err == nil) != c.ok {
			t.Errorf("%s, asked for: %v", c.name, err)
		}
		if _, err := now.OpenKept(says(c.file, at), record.TypeReceipt, "custodian", nil); err == nil {
			t.Errorf("%s: passes as the custodian's", c.name)
		}
	}
	// The thief of an old key dates its word back.
	late := start.Add(3 * time.Hour)
	if _, err := now.OpenOnline(says(1, start.Add(90*time.Minute)), record.TypeReceipt, "court", late, nil); problem.KindOf(err) != problem.Denied {
		t.Errorf("what was just asked for, dated back: %v", err)
	}
	stranger, err := record.Sign(signer(t), record.TypeReceipt, late, record.Receipt{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := now.OpenKept(stranger, record.TypeReceipt, "court", nil); problem.KindOf(err) != problem.Denied {
		t.Errorf("a stranger's key: %v", err)
	}
}

// TestARegistrarCountsInItsTime: the same of enrolments, and of judges, who lapse with the root that made them.
func TestARegistrarCountsInItsTime(t *testing.T) {
	d, now, start := reign(t)
	audience := d.hash(0)
	enrol := func(file int, at time.Time, role record.Role) record.Joint {
		f := d.files[file]
		e := record.Enrolment{Audience: audience, Expires: at.AddDate(1, 0, 0), Issued: at, Key: signer(t).Public(), Name: "somebody", Roles: []record.Role{role}}
		by := []*record.Signer{d.keys[f.Court.Registrar.String()], d.keys[f.Custodian.Registrar.String()]}
		if role == record.Judge {
			by = []*record.Signer{d.keys[f.Court.Root.String()]}
		}
		joint, err := record.SignJoint(record.TypeEnrolment, at, e, by...)
		if err != nil {
			t.Fatal(err)
		}
		return joint
	}
	late := start.Add(3 * time.Hour)
	for _, role := range []record.Role{record.Supervisor, record.Judge} {
		early := enrol(0, start.Add(time.Minute), role)
		e, _, err := now.OpenEnrolment(audience, early)
		if err != nil {
			t.Errorf("%s enrolled before: %v", role, err)
		}
		if _, _, err := now.OpenEnrolmentAt(audience, early, late); err == nil {
			t.Errorf("%s, dated back, is admitted after the end of the keys", role)
		}
		if _, _, err := now.OpenEnrolment(audience, enrol(0, late, role)); err == nil {
			t.Errorf("%s enrolled by keys that were replaced", role)
		}
		if lapsed := now.Lapsed(&e, early, late); lapsed != (role == record.Judge) {
			t.Errorf("%s lapsed: %v", role, lapsed)
		}
		if now.Lapsed(&e, early, start.Add(90*time.Minute)) {
			t.Errorf("%s lapsed within the overlap", role)
		}
		if _, _, err := now.OpenEnrolmentAt(audience, enrol(2, late, role), late); err != nil {
			t.Errorf("%s enrolled by the keys in force: %v", role, err)
		}
	}
	if lapsed := now.Lapsed(&record.Enrolment{Roles: []record.Role{record.Judge}}, enrol(1, start.Add(90*time.Minute), record.Judge), late); lapsed {
		t.Error("a judge lapses though the court's root stayed") // the third file kept it
	}
}

func signer(t *testing.T) *record.Signer {
	t.Helper()
	s, err := record.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
