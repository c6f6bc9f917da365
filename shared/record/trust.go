package record

import (
	"errors"
	"slices"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
)

// Limits of a chain of trust files.
const (
	MaxTrusts     = 64              // files of one installation
	MaxOverlap    = 30 * 24         // hours
	maxTrustChain = 16 << 20        // bytes
	trustSkew     = 5 * time.Minute // clocks that differ (design, "Time")
)

// TrustLink is one trust file of a chain. From the second on it carries the log entry by which it took force: the court's event of kind
// trust, with what opens and proves it under the log and witnesses of its predecessor. A link without Entry was signed and is not in force.
type TrustLink struct {
	Entry *TrustEntry `json:"entry,omitempty"`
	Trust Joint       `json:"trust"`
}

// TrustEntry opens and proves the log entry of a trust file.
type TrustEntry struct {
	Event  []byte `json:"event"`
	Proof  string `json:"proof,omitzero"` // C2SP tlog-proof
	Random []byte `json:"random"`
}

// TrustChain is an installation's trust files from the first on.
type TrustChain []TrustLink

// Joints are the files as they were signed.
func (c TrustChain) Joints() []Joint {
	var list []Joint
	for _, l := range c {
		list = append(list, l.Trust)
	}
	return list
}

// Bytes is the chain's one form: the first file alone is its own form, so that an installation whose keys never changed has a plain trust file.
func (c TrustChain) Bytes() ([]byte, error) {
	if len(c) == 1 && c[0].Entry == nil {
		return Marshal(c[0].Trust)
	}
	return Marshal(c)
}

// ParseTrustChain reads what Bytes writes. Nothing of it is verified.
func ParseTrustChain(raw []byte) (TrustChain, error) {
	if strings.HasPrefix(string(raw), `["`) {
		var only Joint
		err := Unmarshal(raw, &only)
		return TrustChain{{Trust: only}}, err
	}
	var c TrustChain
	err := problem.New(problem.Invalid, "it is longer than %d bytes", maxTrustChain)
	if len(raw) <= maxTrustChain {
		err = UnmarshalStored(raw, &c)
	}
	if again, encodeErr := Marshal(c); err != nil || encodeErr != nil || string(again) != string(raw) {
		return nil, problem.Wrap(problem.Invalid, err, "this is no trust file, nor a chain of them, in its canonical form; fetch it again")
	}
	if len(c) < 2 || len(c) > MaxTrusts {
		return nil, problem.New(problem.Invalid, "a chain of trust files has 2 to %d of them; the first alone is its own form", MaxTrusts)
	}
	return c, nil
}

// Era is a trust file with when it took force, which is for package ledger to find out.
type Era struct {
	*Trust
	Hash   Digest
	Begins int64     // the smallest tree under it: behind its log entry; 0 for the first file
	Seen   int64     // the tree under which its predecessor's witnesses saw that entry
	At     time.Time // when they saw it, by the earliest of them; zero for the first file
}

// InForce gives the newest file of a verified chain, which knows those before it.
func InForce(eras []Era) *Trust {
	t := *eras[len(eras)-1].Trust
	t.eras = eras
	return &t
}

// Eras lists the files from the first to this one. A file that was opened alone is the only one.
func (t *Trust) Eras() []Era {
	if t.eras != nil {
		return t.eras
	}
	return []Era{{Trust: t}}
}

// Counting gives the files whose keys count at an instant, newest first: the one in force then, those before it for as long as every
// later one says, and, because clocks differ, a file from five minutes before it took force.
func (t *Trust) Counting(at time.Time) []*Trust {
	var list []*Trust
	eras := t.Eras()
	for i, e := range eras {
		begun := i == 0 || !at.Before(e.At.Add(-trustSkew))
		ends, replaced := t.EndOf(i)
		ended := replaced && at.After(ends)
		if begun && !ended {
			list = append(list, e.Trust)
		}
	}
	slices.Reverse(list)
	return list
}

// overlap is how long the predecessor's keys count beside this file's.
func (t *Trust) overlap() time.Duration { return time.Duration(t.Overlap) * time.Hour }

// Beside tells until when the predecessor's keys count beside this file's; zero if it has none, or none that counts any more.
func (e Era) Beside() time.Time {
	if e.At.IsZero() {
		return time.Time{}
	}
	return e.At.Add(e.overlap())
}

// EndOf is until when the keys of file number i of Eras count, once it was replaced. Any later file may cut the time short: a key that it takes out
// as stolen may stand in several before.
func (t *Trust) EndOf(i int) (ends time.Time, replaced bool) {
	for _, later := range t.Eras()[i+1:] {
		if end := later.Beside(); !replaced || end.Before(ends) {
			ends, replaced = end, true
		}
	}
	return ends, replaced
}

// OpenOnline opens a statement by the online key of a party ("court" or "custodian") that counts at an instant. For what was just
// asked for that is now: a key that was replaced must not be able to date its word back.
func (t *Trust) OpenOnline(raw string, typ Type, party string, at time.Time, v any) (Statement, error) {
	st, err := Peek(raw)
	if err != nil {
		return Statement{}, err
	}
	files := t.Counting(at)
	for _, f := range files {
		if key := f.Party(party).Online; key.ID() == st.Author {
			return Open(raw, typ, key, v)
		}
	}
	for _, e := range t.Eras() {
		switch st.Author {
		case e.Party(party).Online.ID():
			return Statement{}, problem.New(problem.Denied, "this was signed with a key of the %s that does not count at that time: it was replaced, or was not yet in force", party)
		case e.Court.Online.ID(), e.Custodian.Online.ID():
			return Statement{}, problem.New(problem.Denied, "this was signed by the other keyholder, not by the %s", party)
		}
	}
	return Statement{}, problem.Wrap(problem.Denied, ErrForeignKey,
		"this was signed with another key than those that the trust files name for the %s; if it is newer than they, fetch them again", party)
}

// ErrForeignKey says that a statement's key stands in none of the trust files: it is another installation's, or the files are not all there are.
var ErrForeignKey = errors.New("a key that the trust files do not name")

// OpenKept is OpenOnline at the time that the statement itself names, for what was verified when it came and was kept since.
func (t *Trust) OpenKept(raw string, typ Type, party string, v any) (Statement, error) {
	st, err := Peek(raw)
	if err != nil {
		return Statement{}, err
	}
	return t.OpenOnline(raw, typ, party, st.Signed, v)
}

// Online tells which party's online key counts at an instant; "" if none of that id does.
func (t *Trust) Online(id KeyID, at time.Time) (party string, key PublicKey) {
	for _, f := range t.Counting(at) {
		for _, party := range []string{"court", "custodian"} {
			if key := f.Party(party).Online; key.ID() == id {
				return party, key
			}
		}
	}
	return "", PublicKey{}
}

// Lapsed tells of a judge's or clerk's enrolment whether the court's root that signed it has been replaced and counts no more: they descend from it
// alone, so they are enrolled again by the new one or lapse.
func (t *Trust) Lapsed(e *Enrolment, joint Joint, at time.Time) bool {
	if !e.FromCourtRoot() || len(joint) != 1 {
		return false
	}
	st, err := Peek(joint[0])
	return err != nil || !slices.ContainsFunc(t.Counting(at), func(f *Trust) bool { return f.Court.Root.ID() == st.Author })
}

// VersionSaid is the version as a Status carries it: absent for the first file.
func (t *Trust) VersionSaid() int {
	if t.Version == 1 {
		return 0
	}
	return t.Version
}

// OpenTrusts verifies the signatures of a chain of trust files, the first of which is pinned by its fingerprint. Each later file names its
// predecessor's hash and the next version, keeps installation, log origin and pack shape, brings back no key that was replaced, and is signed by
// four roots: both of its predecessor and both of its own, each once. Whether the files are in force, the log tells (package ledger).
func OpenTrusts(chain []Joint, fingerprint Digest) ([]Era, error) {
	if len(chain) == 0 || len(chain) > MaxTrusts {
		return nil, problem.New(problem.Invalid, "an installation has 1 to %d trust files; fetch them again", MaxTrusts)
	}
	first, err := OpenTrust(chain[0], fingerprint)
	if err != nil {
		return nil, err
	}
	eras := []Era{{Trust: first, Hash: fingerprint}}
	for _, joint := range chain[1:] {
		next, hash, err := openSuccessor(eras, joint)
		if err != nil {
			return nil, err
		}
		eras = append(eras, Era{Trust: next, Hash: hash})
	}
	return eras, nil
}

// openSuccessor verifies a file against those before it.
func openSuccessor(before []Era, joint Joint) (*Trust, Digest, error) {
	var claimed, next Trust
	if len(joint) == 0 {
		return nil, Digest{}, problem.New(problem.Invalid, "a trust file of the chain is empty; fetch it again")
	}
	st, err := Peek(joint[0])
	if err != nil {
		return nil, Digest{}, err
	}
	if err := Unmarshal(st.Payload, &claimed); err != nil {
		return nil, Digest{}, err
	}
	last := before[len(before)-1]
	hash, err := joint.Open(TypeTrust, &next, FourRoots(last.Trust, &claimed)...)
	if err != nil {
		return nil, Digest{}, problem.Wrap(problem.KindOf(err), err, "a trust file is followed only by one that both roots before it and both of its own have signed, in this order: %s", problem.MessageOf(err))
	}
	return &next, hash, CheckSuccessor(before, &next)
}

// FourRoots are the keys that must sign next, in order, each once.
func FourRoots(last, next *Trust) []PublicKey {
	var keys []PublicKey
	for _, key := range []PublicKey{last.Court.Root, last.Custodian.Root, next.Court.Root, next.Custodian.Root} {
		if !slices.ContainsFunc(keys, key.Equal) {
			keys = append(keys, key)
		}
	}
	return keys
}

// CheckSuccessor checks what a file says against those before it, signatures aside.
func CheckSuccessor(before []Era, next *Trust) error {
	if err := next.Validate(); err != nil {
		return err
	}
	last := before[len(before)-1]
	if next.Version != last.Version+1 || next.Previous != last.Hash {
		return problem.New(problem.Denied, "a trust file does not follow the one before it: it names another version or predecessor, so one is missing, or there are two of one version")
	}
	if next.Installation != last.Installation || next.LogOrigin != last.LogOrigin || next.Pack != last.Pack {
		return problem.New(problem.Denied, "a trust file keeps installation, log origin and pack shape of the one before it; for others a new installation is made")
	}
	if next.Issued.Before(last.Issued) {
		return problem.New(problem.Denied, "a trust file is not older than the one before it; set the clock of the machine that made it")
	}
	was := last.keys()
	for _, key := range next.keys() {
		used := func(e Era) bool { return slices.Contains(e.keys(), key) }
		if !slices.Contains(was, key) && slices.ContainsFunc(before, used) {
			return problem.New(problem.Denied, "a trust file brings back a key that was replaced before; make a new one")
		}
	}
	return checkPlaces(last.Trust, next)
}

// checkPlaces refuses a key that moves from one place to another: what it signed in the one would count in the other.
func checkPlaces(last, next *Trust) error {
	was, is := last.places(), next.places()
	for place, key := range is {
		for other, before := range was {
			if key == before && place != other {
				return problem.New(problem.Denied, "a key of the trust file before stands in another place in this one; make a key of its own for each place")
			}
		}
	}
	return nil
}

func (t *Trust) places() map[string]string {
	return map[string]string{
		"court online": t.Court.Online.String(), "court registrar": t.Court.Registrar.String(), "court root": t.Court.Root.String(),
		"custodian online": t.Custodian.Online.String(), "custodian registrar": t.Custodian.Registrar.String(), "custodian root": t.Custodian.Root.String(),
	}
}

// keys lists every key that a file names, as text.
func (t *Trust) keys() []string {
	list := append([]string{t.LogKey}, t.Witnesses...)
	for _, key := range t.places() {
		list = append(list, key)
	}
	return list
}

// Extends tells whether a chain begins with all of a shorter one, byte for byte in what was signed. If it does not, and is not a beginning of
// it either, there are two successors of one version. Errors: problem.Conflict, naming both.
func (c TrustChain) Extends(old TrustChain) (bool, error) {
	for i := range min(len(c), len(old)) {
		a, b := payloadHash(c[i].Trust), payloadHash(old[i].Trust)
		if a != b {
			return false, problem.New(problem.Conflict,
				"there are two trust files of version %d, %s and %s: court and custodian have signed both, or somebody holds their roots; stop, and show both files to court and custodian", i+1, a, b)
		}
	}
	return len(c) >= len(old), nil
}

func payloadHash(j Joint) Digest {
	if len(j) == 0 {
		return Digest{}
	}
	st, err := Peek(j[0])
	if err != nil {
		return Digest{}
	}
	return HashBytes(st.Payload)
}
