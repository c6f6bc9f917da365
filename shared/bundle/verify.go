package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"arca.example/arca/shared/bundle/bag"
	"arca.example/arca/shared/law"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Options say under what a bundle is verified.
type Options struct {
	Fingerprint record.Digest  // of the trust file, as court and custodian read it out; zero: not pinned
	Identities  []age.Identity // a recipient's, for an encrypted bundle
	Now         time.Time      // by which timestamps are judged: none may be of the future, and their certificates end
}

// Report is what a bundle proves.
type Report struct {
	Casual      *Casual          `json:"casual,omitempty"` // it is for use in another case
	Verdict     Verdict          `json:"verdict"`
	Line        string           `json:"line"` // the one line
	Fingerprint record.Digest    `json:"fingerprint"`
	Maker       string           `json:"maker"`
	Made        time.Time        `json:"made"`
	Chain       record.Digest    `json:"chain"`
	Court       string           `json:"court"`
	State       string           `json:"state"` // of the order when the bundle was made
	Mode        string           `json:"mode"`
	Reason      string           `json:"reason"`
	Recordings  []ShownRecording `json:"recordings"`
	Omissions   []ShownOmission  `json:"omissions"`
	Members     int              `json:"members"`        // order chain
	Acts        map[string]int   `json:"acts,omitempty"` // of each journal
	Timestamps  []ShownStamp     `json:"timestamps,omitempty"`
	Hash        record.Digest    `json:"hash"` // SHA-256 of the whole file, by which its disclosure is logged
	Bytes       int64            `json:"bytes"`
	Shown       []string         `json:"proven"`
	NotShown    []string         `json:"notProven"`
}

// ShownRecording is a recording of a verified bundle.
type ShownRecording struct {
	Recording   record.ID           `json:"recording"`
	Files       []string            `json:"files"`
	Description *record.Description `json:"description,omitempty"` // unless it is encrypted and no key was given
	Sealed      string              `json:"collector"`             // who sealed it
	Made        bool                `json:"made,omitempty"`        // a person did, and no collector
	Witnessed   time.Time           `json:"witnessed,omitzero"`    // earliest cosignature over its last pack, once the description shows that it is its
	Content     string              `json:"content"`               // "as sealed", or what stands in the way
}

// ShownOmission is an omission in words.
type ShownOmission struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// What ShownRecording.Content says.
const (
	AsSealed     = "as sealed"
	NotDecrypted = "not decrypted"
	PartOnly     = "a part; by the maker's word"
)

// opened is a bundle while it is verified. Everything in it was checked against the signature before it was read.
type opened struct {
	bag      *bag.Bag
	options  Options
	x        Index
	trust    *record.Trust
	verifier *ledger.Verifier
	people   map[record.KeyID]record.Enrolment
	batches  map[record.ID]batch
	joints   []record.Joint         // enrolments, as the bundle has them
	asked    map[record.Digest]bool // the maker's requests, by hash
	journals map[string][]LogProof  // by party
	report   Report
	order    []law.Member
	receipts int   // sealings without
	stamped  int64 // size of the largest tree that a timestamp covers
	// unchecked counts the statements in events by people whose enrolment is not in the bundle.
	unchecked int
	members   int
}

type batch struct {
	statement seal.Statement
	signature seal.Signature
}

// Verify checks a bundle of size bytes, offline. The report is whole only when the error is nil; VerdictOf tells which of the verdicts an error is.
func Verify(from io.ReaderAt, size int64, options Options) (Report, error) {
	b, err := bag.Open(from, size)
	if err != nil {
		return Report{}, err
	}
	v := &opened{bag: b, options: options, people: map[record.KeyID]record.Enrolment{}, batches: map[record.ID]batch{},
		asked: map[record.Digest]bool{}, journals: map[string][]LogProof{}}
	for _, step := range []func() error{v.readSigned, v.readOrder, v.readCasual, v.readBatches, v.readRequests, v.readCustody, v.readRecordings, v.readTimestamps, v.readOmissions} {
		if err := step(); err != nil {
			return v.report, err
		}
	}
	v.report.Bytes = size
	if v.report.Hash, err = hashAll(from, size); err != nil {
		return v.report, err
	}
	ours, err := v.forPeople()
	if err != nil {
		return v.report, err
	}
	v.conclude(ours)
	if options.Fingerprint.IsZero() {
		v.report.Verdict = UnknownRoots
		return v.report, unknownRoots("the bundle is whole in itself, but nothing says that its roots are the right ones; compare the fingerprint %s with court and custodian, and give it with --fingerprint", v.report.Fingerprint)
	}
	return v.report, nil
}

func hashAll(from io.ReaderAt, size int64) (record.Digest, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(from, 0, size)); err != nil {
		return record.Digest{}, problem.Wrap(problem.Unavailable, err, "the bundle cannot be read")
	}
	return record.Digest(h.Sum(nil)), nil
}

// readSigned goes from the bytes to the maker's signature over all of them, under the roots. Nothing else is looked at before.
func (v *opened) readSigned() error {
	sums, err := v.bag.Check(nil)
	if err != nil {
		return err
	}
	if err := v.readTrust(); err != nil {
		return err
	}
	raw, err := v.bag.Read(indexPath, maxIndex)
	if err != nil {
		return err
	}
	if err := unmarshal(raw, &v.x, maxIndex, "the index of a bundle"); err != nil {
		return err
	}
	if err := v.x.Validate(); err != nil {
		return err
	}
	if v.x.Audience != v.report.Fingerprint {
		return denied("the bundle's index is of another installation than its trust file")
	}
	if err := v.readPeople(); err != nil {
		return err
	}
	signature, err := v.bag.Read(bag.Signature, record.MaxBytes)
	if err != nil {
		return err
	}
	maker, ok := v.people[v.x.Maker]
	if !ok {
		return denied("nobody whom the registrars enrolled has made this bundle")
	}
	var signed Signed
	if _, err := record.Open(string(signature), TypeBundle, maker.Key, &signed); err != nil {
		return err
	}
	want := Signed{Audience: v.x.Audience, Index: record.HashBytes(raw), Issued: v.x.Issued, Tags256: sums.Tags256, Tags512: sums.Tags512[:], Version: Version}
	if signed.Audience != want.Audience || signed.Index != want.Index || !signed.Issued.Equal(want.Issued) || signed.Tags256 != want.Tags256 ||
		!bytes.Equal(signed.Tags512, want.Tags512) || signed.Version != want.Version {
		return denied("the maker of the bundle signed other files than these")
	}
	if v.x.Issued.Before(maker.Issued) || !v.x.Issued.Before(maker.Expires) {
		return denied("the maker's enrolment was not in force when the bundle was made")
	}
	v.report.Maker, v.report.Made, v.report.Chain, v.report.Mode, v.report.Reason = maker.Name, v.x.Issued, v.x.Chain, v.x.Mode, v.x.Reason
	return v.fileList()
}

// fileList compares the files with those that the index leads to.
func (v *opened) fileList() error {
	var have []string
	for _, e := range v.bag.Payload() {
		have = append(have, e.Path)
	}
	if !slices.Equal(have, v.x.paths()) {
		return incomplete("the bundle's files are not those that its index names")
	}
	return nil
}

// readTrust opens the trust file under the pinned fingerprint, or, without one, under its own.
func (v *opened) readTrust() error {
	raw, err := v.bag.Read(trustPath, maxIndex)
	if err != nil {
		return err
	}
	chain, err := record.ParseTrustChain(raw)
	if err != nil {
		return err
	}
	if len(chain[0].Trust) == 0 {
		return denied("the bundle's trust file is empty")
	}
	st, err := record.Peek(chain[0].Trust[0])
	if err != nil {
		return err
	}
	v.report.Fingerprint = record.HashBytes(st.Payload)
	if pin := v.options.Fingerprint; !pin.IsZero() && pin != v.report.Fingerprint {
		return unknownRoots("the bundle was made under another trust file than the one that you named; it names %s", v.report.Fingerprint)
	}
	if v.trust, err = ledger.OpenTrust(chain, v.report.Fingerprint); err != nil {
		return err
	}
	if v.verifier, err = ledger.VerifierOf(v.trust); err != nil {
		return err
	}
	policy, err := v.bag.Read(policyPath, record.MaxBytes)
	if err == nil && !bytes.Equal(policy, v.verifier.Policy().Marshal()) {
		err = denied("the bundle's witness policy is not that of its trust file")
	}
	return err
}

func (v *opened) read(path string, into any, limit int64) error {
	raw, err := v.bag.Read(path, limit)
	if err != nil {
		return err
	}
	return unmarshal(raw, into, int(limit), path)
}

func (v *opened) readPeople() error {
	if err := v.read(peoplePath, &v.joints, maxIndex); err != nil {
		return err
	}
	for _, joint := range v.joints {
		e, _, err := v.trust.OpenEnrolment(v.x.Audience, joint)
		if err != nil {
			return err
		}
		if _, twice := v.people[e.Key.ID()]; twice {
			return denied("the bundle holds two enrolments of one key")
		}
		v.people[e.Key.ID()] = e
	}
	return nil
}

// readOrder verifies every member by a judge of the court and that both keyholders, asked when the bundle was made, knew no other.
func (v *opened) readOrder() error {
	var o Order
	if err := v.read(orderPath, &o, maxIndex); err != nil {
		return err
	}
	var members []law.Member
	for _, raw := range o.Members {
		m, err := v.openMember(raw)
		if err != nil {
			return err
		}
		members = append(members, m)
	}
	state, err := law.Read(members)
	if err != nil {
		return err
	}
	if state.Chain != v.x.Chain || state.Audience != v.x.Audience {
		return denied("the order in the bundle is not the one that its index names")
	}
	if len(o.Status) != len(Parties) {
		return incomplete("a keyholder's word on the order is missing")
	}
	for i, party := range Parties {
		if err := v.openStatus(o.Status[i], party, state); err != nil {
			return err
		}
	}
	v.report.Members, v.report.Court, v.order = len(members), state.Court, members
	return nil
}

func (v *opened) openMember(raw string) (m law.Member, err error) {
	peek, err := record.Peek(raw)
	if err != nil {
		return m, err
	}
	author, ok := v.people[peek.Author]
	if !ok {
		return m, incomplete("the enrolment of a judge who signed a member of the order is missing")
	}
	st, err := record.Open(raw, record.TypeOrder, author.Key, &m.Order)
	if err != nil {
		return m, err
	}
	if m.Hash = st.Hash; law.MaySign(&m.Order, &author) != nil {
		return m, denied("a member of the order was signed by somebody who may not: no judge, or one of another court")
	}
	return m, m.Order.Validate()
}

// maxStatusAge is how old a keyholder's word on the order may be when the bundle is signed.
const maxStatusAge = time.Hour

func (v *opened) openStatus(raw, party string, state law.State) error {
	var s record.Status
	if _, err := v.trust.OpenKept(raw, record.TypeStatus, party, &s); err != nil {
		return err
	}
	age := v.x.Issued.Sub(s.Issued)
	if !s.Answers(party, v.x.Audience, s.Nonce, v.x.Chain) || age > maxStatusAge || age < -ledger.MaxSkew {
		return denied("the %s's word on the order is on another, or of another time", party)
	}
	c := s.Chains[0]
	if c.Head != state.Head || c.Stops != record.SetDigest(state.Stops) || !c.AccessEnd.Equal(state.AccessEnd) || c.Capture != state.Capture {
		return incomplete("the %s knew other members of the order than the bundle holds", party)
	}
	if v.report.State != "" && v.report.State != c.State {
		return incomplete("court and custodian do not say the same of the order: %q and %q", v.report.State, c.State)
	}
	v.report.State = c.State
	return nil
}

// readBatches verifies every batch that the bundle shows to exist, by its author, and that each author's are without gap from the first. Authors are
// collectors, and the people of the case for what they sealed themselves (record.Description.CheckAuthor).
func (v *opened) readBatches() error {
	var list []Batch
	if err := v.read(unitsPath, &list, maxIndex); err != nil {
		return err
	}
	last := map[string]seal.Statement{}
	for _, one := range list {
		st, err := seal.ParseStatement(one.Statement)
		if err != nil {
			return err
		}
		collector, ok := v.people[record.KeyID(st.Collector)]
		if !ok || collector.Of(record.Mirror) || collector.Key.Ed25519() == nil {
			return incomplete("the enrolment of the author of a batch is missing")
		}
		if !collector.Of(record.Collector) && st.Members != 1 {
			return denied("a batch of several recordings is signed by nobody who is enrolled as a collector")
		}
		if len(one.Signature) != len(seal.Signature{}) {
			return denied("a batch's signature has another length")
		}
		b := batch{st, seal.Signature(one.Signature)}
		if err := st.Verify(collector.Key.Ed25519(), b.signature); err != nil {
			return err
		}
		line := st.Collector.String() + string(st.Unit.Bytes())
		if before, ok := last[line]; ok && !st.Follows(before) || !ok && st.Number != 1 {
			return incomplete("a batch of %q is missing before number %d", collector.Name, st.Number)
		}
		if _, twice := v.batches[record.ID(st.Batch)]; twice || record.Digest(st.Unit.Order) != v.x.Chain {
			return denied("a batch is of another order, or in the bundle twice")
		}
		last[line], v.batches[record.ID(st.Batch)] = st, b
		v.members += int(st.Members)
	}
	return nil
}

// readRequests verifies that the maker asked for what is in the bundle.
func (v *opened) readRequests() error {
	asked := map[record.ID]bool{}
	units := map[seal.Unit]bool{}
	for _, raw := range v.x.Requests {
		var q record.Request
		st, err := record.Open(raw, record.TypeRequest, v.people[v.x.Maker].Key, &q)
		if err != nil {
			return err
		}
		if err := q.Validate(); err != nil {
			return err
		}
		if q.Audience != v.x.Audience || q.Chain != v.x.Chain {
			return denied("a request in the bundle is for another order")
		}
		if q.Issued.After(v.x.Issued) {
			return denied("a request in the bundle is younger than the bundle")
		}
		v.asked[st.Hash] = true
		if q.Class == string(seal.ContentClass) && len(q.Recordings) == 0 {
			units[seal.Unit{Order: q.Chain, Week: q.Week, Compartment: q.Compartment, Classification: q.Classification}] = true
		}
		for _, ref := range q.Recordings {
			asked[ref.Recording] = asked[ref.Recording] || q.Class == string(seal.ContentClass)
		}
	}
	for _, r := range v.x.Recordings {
		if !asked[r.Recording] && !units[v.batches[r.Batch].statement.Unit] {
			return incomplete("the request under which a recording was opened is missing")
		}
	}
	return nil
}

// readOmissions holds what the index says is left out against what the rest shows to be.
func (v *opened) readOmissions() error {
	stated := slices.Clone(v.x.Omissions)
	for i := range stated {
		v.report.Omissions = append(v.report.Omissions, ShownOmission{omissionText(stated[i]), stated[i].Reason})
		stated[i].Reason = ""
	}
	if n := len(stated); n > 0 && stated[n-1].What == OmitWeeks {
		stated = stated[:n-1]
	}
	have, err := json.Marshal(stated)
	if err != nil {
		return err
	}
	want, err := json.Marshal(v.x.omitted(v.members, v.receipts, later(v.x.Recordings, v.stamped)))
	if err != nil {
		return err
	}
	if !bytes.Equal(have, want) {
		return incomplete("something is left out of the bundle that its index does not state")
	}
	return nil
}

// conclude says in words what was proven, and what was not. ours: the page for people is the one that this version makes.
func (v *opened) conclude(ours bool) {
	r := &v.report
	whole, hidden, parts, made := 0, 0, 0, 0
	for _, s := range r.Recordings {
		if s.Made {
			made++
		}
		switch s.Content {
		case AsSealed:
			whole++
		case NotDecrypted:
			hidden++
		default:
			parts++
		}
	}
	add := func(list *[]string, format string, args ...any) { *list = append(*list, fmt.Sprintf(format, args...)) }
	add(&r.Shown, "made by %q, enrolled by those who enrol here, and not one byte changed since", r.Maker)
	if n := len(r.Recordings) - made; n > 0 {
		add(&r.Shown, "%s sealed by enrolled collectors", count(n, "recording"))
	}
	if made > 0 {
		add(&r.Shown, "%s sealed by people of the case and no collector: notes, transcripts or recordings sealed again", count(made, "recording"))
		add(&r.NotShown, "that what people sealed says what they opened: for that there is their signature")
	}
	if hidden == 0 {
		add(&r.Shown, "their packs stood in the witnessed log when it says")
	}
	if whole > 0 {
		add(&r.Shown, "%s byte for byte what was sealed", count(whole, "recording"))
	}
	add(&r.Shown, "the order of %q with %s, all that both keyholders knew within the hour before the time that the bundle names", r.Court, count(r.Members, "member"))
	if v.x.Custody {
		add(&r.Shown, "both keyholders' journals of the case without a gap from the first act to the last that is here (%d and %d acts), each act in the witnessed log, among them the release of every recording",
			r.Acts[Parties[0]], r.Acts[Parties[1]])
		if v.unchecked > 0 {
			add(&r.NotShown, "that %s in the journals were signed by whom they name: their authors' enrolments are not in the bundle", count(v.unchecked, "statement"))
		}
		add(&r.NotShown, "that nothing was journalled after the last acts that are here: ask court and custodian, or compare with the receipt of the disclosure")
	} else {
		add(&r.NotShown, "that collectors sealed no batch after the last of each that is here: without the keyholders' journals only a gap between batches shows")
	}
	add(&r.NotShown, "when it was made: that is its maker's word; the receipt of the disclosure has the witnesses'")
	if !ours {
		add(&r.NotShown, "what page.html and VERIFY.txt say: they are not those that this version makes of what was verified; read this report instead")
	}
	if hidden > 0 {
		add(&r.NotShown, "what %s, and which packs those are in: only a recipient can see that, with --identity", encryptedHold(hidden))
	}
	if parts > 0 {
		add(&r.NotShown, "that the parts of %s are as sealed: for a part there is the maker's word alone", count(parts, "recording"))
	}
	if v.receipts > 0 {
		add(&r.NotShown, "that both keyholders signed for %s", count(v.receipts, "batch"))
	}
	v.concludeTimestamps(add)
	if r.Casual != nil {
		v.concludeCasual(add)
	}
	add(&r.NotShown, "what happened before the collector sealed, and who spoke")
	add(&r.NotShown, "that this disclosure was itself logged: that stands in the receipt beside it")
	r.Verdict = Proven
	r.Line = fmt.Sprintf("proven: %s of %s byte for byte as sealed, the order with %s, what is left out is stated", itoa(whole), count(len(r.Recordings), "recording"), count(r.Members, "member"))
	if hidden > 0 {
		r.Line += "; not proven: what " + encryptedHold(hidden)
	}
	if parts > 0 {
		r.Line += "; not proven: the parts of " + count(parts, "recording")
	}
	if !ours {
		r.Line += "; not proven: what its page for people says"
	}
}

func encryptedHold(n int) string { return "is in the encrypted files of " + count(n, "recording") }

// count writes a number with its noun.
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "ch"):
		return itoa(n) + " " + noun + "es"
	}
	return itoa(n) + " " + noun + "s"
}
