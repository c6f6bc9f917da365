package bundle

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"io"
	"slices"
	"strconv"
	"time"

	"filippo.io/age"

	"arca.example/arca/shared/bundle/bag"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Source is everything that a bundle is made of. Whoever gathers it has verified it; Verify will do so again.
type Source struct {
	Trust      record.TrustChain
	Policy     []byte // ledger.Policy of the trust file in force
	People     []record.Joint
	Chain      record.Digest
	Order      Order
	Batches    []Batch // every batch that is known of the recordings' weeks
	Sealings   map[record.ID]Sealing
	Recordings []SourceRecording
	Requests   []string
	Custody    map[string][]LogProof // by party; nil when the maker may not read the journals
	Timestamps []Timestamp           // see AddTimestamps
	stamped    int64                 // size of the largest tree that they cover

	Reason     string
	Recipients []string          // age recipients; none: in clear
	Why        map[string]string // reasons for what is left out, by Omission.What; DefaultWhy otherwise
	Weeks      []string          // of the order, of which the bundle shows nothing

	Casual    *Casual                  // for use in another case; its petitions are filled in
	Petitions map[record.Digest][]byte // the requests to the judge, by the member that decided on each
}

// SourceRecording is one recording with its content.
type SourceRecording struct {
	Recording
	Opening Opening
	Content func(part Part, to io.Writer) error
}

func itoa(n int) string { return strconv.Itoa(n) }

// Make writes a bundle, in memory that does not grow with the recordings. The same source, signer and time give the same bytes,
// except where age draws randomness and where a P-384 key signs.
func Make(to bag.Target, signer *record.Signer, now time.Time, in *Source) error {
	x, err := in.index(signer.Public().ID(), record.Second(now))
	if err != nil {
		return err
	}
	w, err := bag.NewWriter(to)
	if err != nil {
		return err
	}
	files, err := in.files(x)
	if err != nil {
		return err
	}
	for _, path := range x.paths() {
		if f, ok := files[path]; ok {
			err = w.AddBytes(path, f)
		} else {
			err = in.addPart(w, x, path)
		}
		if err != nil {
			return err
		}
	}
	lines := []bag.Line{{Label: "Bag-Software-Agent", Value: "arca"}, {Label: "Bagging-Date", Value: x.Issued.Format(time.DateOnly)},
		{Label: "External-Identifier", Value: in.Chain.String()}}
	return w.Close(lines, func(s bag.Seal) ([]byte, error) {
		signed := Signed{Audience: x.Audience, Index: sha256.Sum256(files[indexPath]), Issued: x.Issued, Tags256: s.Tags256, Tags512: s.Tags512[:], Version: Version}
		raw, err := record.Sign(signer, TypeBundle, x.Issued, signed)
		return []byte(raw), err
	})
}

// index fills the index, omissions included, and puts the source in the order in which it is written.
func (in *Source) index(maker record.KeyID, now time.Time) (*Index, error) {
	slices.SortFunc(in.Recordings, func(a, b SourceRecording) int {
		return cmp.Compare(a.Recording.Recording.String(), b.Recording.Recording.String())
	})
	st, err := record.Peek(in.Trust[0].Trust[0])
	if err != nil {
		return nil, err
	}
	x := &Index{Audience: record.HashBytes(st.Payload), Chain: in.Chain, Custody: in.Custody != nil, Issued: now, Maker: maker, Mode: Clear,
		Reason: in.Reason, Recipients: in.Recipients, Requests: in.Requests, Version: Version}
	if len(in.Recipients) > 0 {
		x.Mode = Encrypted
	}
	x.Recordings, x.Timestamps = in.recordings(), len(in.Timestamps) > 0
	members, err := countMembers(in.Batches)
	if err != nil {
		return nil, err
	}
	without := 0
	for _, s := range in.Sealings {
		if len(s.Receipts) == 0 {
			without++
		}
	}
	x.Omissions = x.omitted(members, without, later(x.Recordings, in.stamped))
	if len(in.Weeks) > 0 {
		x.Omissions = append(x.Omissions, Omission{What: OmitWeeks, Weeks: in.Weeks})
	}
	for i := range x.Omissions {
		x.Omissions[i].Reason = cmp.Or(in.Why[x.Omissions[i].What], DefaultWhy[x.Omissions[i].What])
	}
	if in.Casual != nil {
		if x.Casual, err = in.casual(); err != nil {
			return nil, err
		}
	}
	return x, x.Validate()
}

func (in *Source) recordings() (list []Recording) {
	for _, r := range in.Recordings {
		list = append(list, r.Recording)
	}
	return list
}

// omitted lists, without reasons, what the rest of a bundle shows to be left out.
func (x *Index) omitted(members, withoutReceipts, unstamped int) (list []Omission) {
	if n := members - len(x.Recordings); n > 0 {
		list = append(list, Omission{What: OmitRecordings, Count: n})
	}
	for _, r := range x.Recordings {
		if !r.Whole() {
			o := Omission{What: OmitSeconds, Recording: r.Recording}
			for _, p := range r.Parts {
				o.Kept = append(o.Kept, Span{p.From, p.Until})
			}
			list = append(list, o)
		}
	}
	if n := x.untranscribed(); n > 0 {
		list = append(list, Omission{What: OmitTranscripts, Count: n})
	}
	if !x.Custody {
		list = append(list, Omission{What: OmitCustody})
	}
	if withoutReceipts > 0 {
		list = append(list, Omission{What: OmitReceipts, Count: withoutReceipts})
	}
	if !x.Timestamps {
		list = append(list, Omission{What: OmitTimestamps})
	} else if unstamped > 0 {
		list = append(list, Omission{What: OmitTimestamps, Count: unstamped})
	}
	return list
}

// untranscribed counts the recordings, notes and transcripts apart, of which the bundle has no transcript.
func (x *Index) untranscribed() (n int) {
	for _, r := range x.Recordings {
		transcript := func(t Recording) bool { return t.Made == record.KindTranscript && t.Of == r.Recording }
		if (r.Made == "" || r.Made == record.KindResealed) && !slices.ContainsFunc(x.Recordings, transcript) {
			n++
		}
	}
	return n
}

func countMembers(batches []Batch) (n int, err error) {
	for _, b := range batches {
		st, err := seal.ParseStatement(b.Statement)
		if err != nil {
			return 0, err
		}
		n += int(st.Members)
	}
	return n, nil
}

// files gives the content of every file that fits into memory.
func (in *Source) files(x *Index) (map[string][]byte, error) {
	out := map[string][]byte{policyPath: in.Policy}
	put := func(path string, v any, err error) error {
		if err != nil {
			return err
		}
		out[path], err = record.Marshal(v)
		return err
	}
	err := put(indexPath, x, nil)
	for path, v := range map[string]any{orderPath: in.Order, peoplePath: in.People, unitsPath: in.Batches} {
		err = put(path, v, err)
	}
	if x.Timestamps {
		err = put(timestampsPath, in.Timestamps, err)
	}
	for batch, s := range in.Sealings {
		err = put(sealingPath(batch), s, err)
	}
	for _, r := range in.Recordings {
		if err = put(openingPath(r.Recording.Recording), r.Opening, err); err == nil && x.Mode == Encrypted {
			err = in.encryptFile(out, openingPath(r.Recording.Recording))
		}
	}
	for _, party := range Parties {
		if x.Custody && err == nil {
			out[custodyPath(party)], err = jsonLines(in.Custody[party])
		}
	}
	if x.Casual != nil && err == nil {
		err = in.petitions(x, out)
	}
	if err != nil {
		return nil, err
	}
	if out[trustPath], err = in.Trust.Bytes(); err != nil {
		return nil, err
	}
	out[verifyPath] = verifyText(x)
	out[pagePath], err = page(x, in)
	return out, err
}

func jsonLines(list []LogProof) ([]byte, error) {
	var out []byte
	for _, p := range list {
		line, err := record.Marshal(p)
		if err != nil {
			return nil, err
		}
		out = append(append(out, line...), '\n')
	}
	return out, nil
}

func (in *Source) encryptFile(files map[string][]byte, path string) error {
	e, err := in.encryption()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := e.write(&b, func(w io.Writer) error { _, err := w.Write(files[path]); return err }); err != nil {
		return err
	}
	delete(files, path)
	files[path+ageEnding] = b.Bytes()
	return nil
}

// addPart writes a file of a recording, encrypted if there are recipients.
func (in *Source) addPart(w *bag.Writer, x *Index, path string) error {
	for _, r := range in.Recordings {
		for _, p := range r.Parts {
			if x.secret(partPath(r.Recording.Recording, p.Ending)) != path {
				continue
			}
			fill := func(to io.Writer) error { return r.Content(p, to) }
			if x.Mode == Clear {
				return w.Add(path, p.Bytes, fill)
			}
			e, err := in.encryption()
			if err != nil {
				return err
			}
			return w.Add(path, e.size(p.Bytes), func(to io.Writer) error { return e.write(to, fill) })
		}
	}
	return problem.New(problem.Internal, "a file of the bundle has no content")
}

// encryption is one age file whose header is made before its size is announced.
type encryption struct {
	head   bytes.Buffer
	to     io.Writer // nil while the header is written
	stream io.WriteCloser
}

func (e *encryption) Write(b []byte) (int, error) {
	if e.to == nil {
		return e.head.Write(b)
	}
	return e.to.Write(b)
}

func (in *Source) encryption() (*encryption, error) {
	recipients, err := ParseRecipients(in.Recipients)
	if err != nil {
		return nil, err
	}
	e := &encryption{}
	e.stream, err = age.Encrypt(e, recipients...)
	return e, err
}

// ageChunk is how many bytes age seals at once, each with a tag of 16.
const ageChunk = 64 << 10

// size is what an age file of n bytes takes: header and nonce, which are written, and chunks, of which there is at least one.
func (e *encryption) size(n int64) int64 {
	return int64(e.head.Len()) + n + 16*max(1, (n+ageChunk-1)/ageChunk)
}

func (e *encryption) write(to io.Writer, fill func(io.Writer) error) error {
	e.to = to
	if _, err := to.Write(e.head.Bytes()); err != nil {
		return err
	}
	if err := fill(e.stream); err != nil {
		return err
	}
	return e.stream.Close()
}

// ParseRecipients reads age's public keys: age1… (X25519) and age1pq1… (X25519 with ML-KEM-768), not mixed, because a file is only as safe as the
// weakest of its keys. Errors: problem.Invalid.
func ParseRecipients(list []string) ([]age.Recipient, error) {
	var out []age.Recipient
	for _, s := range list {
		var r age.Recipient
		r, err := age.ParseHybridRecipient(s)
		if err != nil {
			r, err = age.ParseX25519Recipient(s)
		}
		if err != nil {
			return nil, problem.Wrap(problem.Invalid, err, "a recipient is an age public key, age1… or age1pq1…; ask them for it: age-keygen -y KEYFILE")
		}
		out = append(out, r)
	}
	return out, nil
}

// AddReceipt takes both keyholders' words on a batch from a collector's receipt, verified, if it is one of the bundle's batches.
func (in *Source) AddReceipt(trust *record.Trust, audience record.Digest, raw []byte) error {
	got, err := VerifyReceipt(trust, audience, raw)
	if err != nil {
		return err
	}
	s, ok := in.Sealings[got.Batch]
	if !ok || len(s.Receipts) > 0 {
		return nil
	}
	r, err := parseReceipt(raw)
	if err != nil {
		return err
	}
	s.Receipts = []string{r.Court, r.Custodian}
	in.Sealings[got.Batch] = s
	return nil
}
