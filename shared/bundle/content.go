package bundle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"time"

	"filippo.io/age"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// readRecordings verifies, for each recording, what binds it to its sealing, where it lay, and, if its opening and content can be
// read, that this is the content that was sealed.
func (v *opened) readRecordings() error {
	sealings := map[record.ID]*sealing{}
	for _, r := range v.x.Recordings {
		s, ok := sealings[r.Batch]
		if !ok {
			var err error
			if s, err = v.openSealing(r.Batch); err != nil {
				return err
			}
			sealings[r.Batch] = s
		}
		shown, err := v.readRecording(r, s)
		if err != nil {
			return err
		}
		v.report.Recordings = append(v.report.Recordings, shown)
	}
	return nil
}

// sealing is a verified Sealing.
type sealing struct {
	batch
	collector   string
	members     []seal.Member
	descriptors [][32]byte
}

func (v *opened) openSealing(id record.ID) (*sealing, error) {
	var raw Sealing
	if err := v.read(sealingPath(id), &raw, maxIndex); err != nil {
		return nil, err
	}
	b, ok := v.batches[id]
	if !ok {
		return nil, incomplete("the batch of a recording is not among the batches")
	}
	out := &sealing{batch: b}
	var err error
	if out.members, err = seal.ParseMembers(raw.Members); err != nil {
		return nil, err
	}
	if len(raw.Descriptors)%sha256.Size != 0 {
		return nil, denied("the hashes of a batch's descriptors have no form")
	}
	for d := range slices.Chunk(raw.Descriptors, sha256.Size) {
		out.descriptors = append(out.descriptors, [32]byte(d))
	}
	collector := v.people[record.KeyID(b.statement.Collector)]
	out.collector = collector.Name
	if err := b.statement.VerifyParts(collector.Key.Ed25519(), b.signature, out.members, out.descriptors); err != nil {
		return nil, err
	}
	if len(raw.Receipts) == 0 {
		v.receipts++
		return out, nil
	}
	if len(raw.Receipts) != len(Parties) {
		return nil, incomplete("a keyholder's receipt of a batch is missing")
	}
	for i, party := range Parties {
		if _, err := OpenNoteReceipt(v.trust, v.x.Audience, seal.Role(party), b.statement, raw.Receipts[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (v *opened) readRecording(r Recording, s *sealing) (ShownRecording, error) {
	author := v.people[record.KeyID(s.statement.Collector)]
	out := ShownRecording{Recording: r.Recording, Sealed: s.collector, Made: !author.Of(record.Collector), Content: NotDecrypted}
	for _, p := range r.Parts {
		out.Files = append(out.Files, v.x.secret(partPath(r.Recording, p.Ending)))
	}
	if out.Made != (r.Made != "") {
		return out, denied("the index says of who sealed a recording something else than the signature under its batch")
	}
	at := slices.IndexFunc(s.members, func(m seal.Member) bool { return record.ID(m.Recording) == r.Recording })
	if at < 0 {
		return out, denied("a recording is not a member of the batch that the bundle names")
	}
	var packs []uint64
	var witnessed time.Time
	for _, p := range r.Packs {
		e, checkpoint, err := p.Verify(v.verifier)
		if err != nil {
			return out, err
		}
		packs, witnessed = append(packs, e.Number), checkpoint.Earliest.UTC()
	}
	if len(packs) == 0 {
		return out, incomplete("the log's proof of a recording's packs is missing")
	}
	if v.x.Mode == Encrypted && len(v.options.Identities) == 0 {
		return out, nil // that these are its packs is in the descriptor
	}
	out.Witnessed = witnessed
	return out, v.readOpening(r, s, at, packs, &out)
}

// readOpening verifies the descriptor by the batch's signature, the halves by the members' commitments, the description by both, and the
// content by the digest in the description.
func (v *opened) readOpening(r Recording, s *sealing, at int, packs []uint64, out *ShownRecording) error {
	var o Opening
	raw, err := v.secretFile(openingPath(r.Recording))
	if err != nil {
		return err
	}
	if err := unmarshal(raw, &o, maxIndex, "the opening of a recording"); err != nil {
		return err
	}
	d, err := seal.ParseDescriptor(o.Descriptor)
	if err != nil {
		return err
	}
	if d.Hash() != s.descriptors[at] || d.Member() != s.members[at] {
		return denied("the descriptor of a recording is not the one that the collector signed")
	}
	var lies []uint64
	for _, run := range d.Places {
		if n := len(lies); n == 0 || lies[n-1] != run.Pack {
			lies = append(lies, run.Pack)
		}
	}
	if !slices.Equal(lies, packs) {
		return denied("the packs of a recording are not those that its descriptor names")
	}
	ctx := seal.ContextOf(d.Recording, s.statement.Batch, s.statement.Unit)
	if err := v.describe(r, o, d, ctx); err != nil {
		return err
	}
	author := v.people[record.KeyID(s.statement.Collector)]
	if err := o.Description.CheckAuthor(&author, s.statement.Unit.Compartment); err != nil {
		return err
	}
	if out.Made && (r.Made != o.Description.Kind || r.Of != o.Description.Of.Recording) {
		return denied("the index says of what a person sealed something else than its description")
	}
	out.Description = &o.Description
	if !r.Whole() {
		out.Content = PartOnly
		return v.measureParts(r)
	}
	out.Content = AsSealed
	return v.content(r, o, d, ctx)
}

// measureParts compares the sizes of parts, encrypted or not, with those that the index names.
func (v *opened) measureParts(r Recording) error {
	for _, p := range r.Parts {
		from, err := v.secretReader(partPath(r.Recording, p.Ending))
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, from)
		if err != nil {
			return problem.Wrap(problem.Invalid, err, "an encrypted file was altered, or the bundle cannot be read")
		}
		if n != p.Bytes {
			return denied("a part of recording %s has another size than the index says", r.Recording)
		}
	}
	return nil
}

// key combines the two halves of a class after checking each against its commitment.
func (o Opening) key(class seal.Class, d seal.Descriptor, ctx seal.Context) (seal.RecordingKey, error) {
	halves := map[string]seal.Half{}
	for _, h := range o.Halves {
		if h.Class == string(class) && len(h.Half) == len(seal.Half{}) {
			halves[h.Party] = seal.Half(h.Half)
		}
	}
	return seal.Combine(class, ctx, d.Commitments, halves[Parties[0]], halves[Parties[1]])
}

func (v *opened) describe(r Recording, o Opening, d seal.Descriptor, ctx seal.Context) error {
	classes := []seal.Class{seal.IndexClass}
	if r.Whole() {
		classes = append(classes, seal.ContentClass)
	}
	i := 0
	for _, class := range classes {
		for _, party := range Parties {
			if i >= len(o.Halves) || o.Halves[i].Class != string(class) || o.Halves[i].Party != party {
				return incomplete("a half of a recording's keys is missing")
			}
			i++
		}
	}
	if i != len(o.Halves) {
		return denied("a recording's opening holds more than it says")
	}
	key, err := o.key(seal.IndexClass, d, ctx)
	if err != nil {
		return err
	}
	sealed, err := seal.OpenDescription(key, ctx, d.Description)
	if err != nil {
		return err
	}
	shown, err := record.Marshal(o.Description)
	if err != nil {
		return err
	}
	if !bytes.Equal(sealed, shown) {
		return denied("the description of a recording is not the one that was sealed")
	}
	return nil
}

// content holds a whole recording against the keyed digest in its description.
func (v *opened) content(r Recording, o Opening, d seal.Descriptor, ctx seal.Context) error {
	key, err := o.key(seal.ContentClass, d, ctx)
	if err != nil {
		return err
	}
	from, err := v.secretReader(partPath(r.Recording, r.Parts[0].Ending))
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(h, from)
	if err != nil {
		return problem.Wrap(problem.Invalid, err, "an encrypted file was altered, or the bundle cannot be read")
	}
	if digest := seal.ContentDigest(key, ctx, [32]byte(h.Sum(nil))); !bytes.Equal(digest[:], o.Description.Digest) || n != o.Description.Length || n != r.Parts[0].Bytes {
		return denied("the content of recording %s is not what was sealed", r.Recording)
	}
	return nil
}

// secretReader opens a file of a recording, decrypted if it is encrypted.
func (v *opened) secretReader(path string) (io.Reader, error) {
	from, err := v.bag.Content(v.x.secret(path))
	if err != nil || v.x.Mode == Clear {
		return from, err
	}
	clear, err := age.Decrypt(from, v.options.Identities...)
	if _, none := errors.AsType[*age.NoIdentityMatchError](err); none {
		return nil, problem.Wrap(problem.NotFound, err, "your key opens nothing in this bundle, which is encrypted to others; without --identity the rest is verified")
	}
	if err != nil {
		return nil, problem.Wrap(problem.Denied, err, "an encrypted file is not what age wrote")
	}
	return clear, nil
}

func (v *opened) secretFile(path string) ([]byte, error) {
	from, err := v.secretReader(path)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(from, maxIndex+1))
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "an encrypted file was altered, or the bundle cannot be read")
	}
	return raw, nil
}
