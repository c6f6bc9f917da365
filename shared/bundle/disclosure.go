package bundle

import (
	"slices"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Version is the one version of bundles that exists.
const Version = 1

// TypeBundle is the maker's signature under a bundle, see Signed.
const TypeBundle record.Type = "arca-bundle"

// How a bundle carries recordings.
const (
	Clear     = "clear"
	Encrypted = "encrypted"
)

// The files of a bundle's payload, beside those of recordings.
const (
	indexPath  = "data/index.json"
	orderPath  = "data/order.json"
	pagePath   = "data/page.html"
	peoplePath = "data/people.json"
	policyPath = "data/witness-policy.json"
	trustPath  = "data/trust.json"
	// timestampsPath is there if the index says so.
	timestampsPath = "data/timestamps.json"
	unitsPath      = "data/batches.json"
	verifyPath     = "data/VERIFY.txt"
	ageEnding      = ".age"
)

// maxIndex bounds what is read into memory of a bundle, per file, in bytes.
const maxIndex = 64 << 20

// Parties are the keyholders, in the order in which they are named.
var Parties = []string{string(seal.Court), string(seal.Custodian)}

func custodyPath(party string) string        { return "data/custody/" + party + ".jsonl" }
func sealingPath(batch record.ID) string     { return "data/sealings/" + batch.String() + ".json" }
func openingPath(id record.ID) string        { return "data/openings/" + id.String() + ".json" }
func partPath(id record.ID, n string) string { return "data/recordings/" + id.String() + n }

// Index is data/index.json: what the bundle is, what is in it, and what is not.
type Index struct {
	Audience   record.Digest `json:"aud"`
	Casual     *Casual       `json:"casual,omitzero"` // it is for use in another case
	Chain      record.Digest `json:"chain"`
	Custody    bool          `json:"custody"` // both keyholders' journals of the case are in it
	Issued     time.Time     `json:"iat"`
	Maker      record.KeyID  `json:"maker"`
	Mode       string        `json:"mode"` // Clear or Encrypted
	Omissions  []Omission    `json:"omissions"`
	Reason     string        `json:"reason"` // what it was made for: who ordered it, and how
	Recipients []string      `json:"recipients,omitempty"`
	Recordings []Recording   `json:"recordings"`
	Requests   []string      `json:"requests"`            // the maker's requests under which the recordings were opened
	Timestamps bool          `json:"timestamps,omitzero"` // there are timestamps in it
	Version    int           `json:"version"`
}

// Recording is what the index says of a recording.
type Recording struct {
	Batch     record.ID  `json:"batch"`
	Made      string     `json:"made,omitzero"` // note, transcript or resealed: sealed by a person and no collector
	Of        record.ID  `json:"of,omitzero"`   // what they made it from
	Packs     []LogProof `json:"packs"`         // the packs that hold it, in order
	Parts     []Part     `json:"parts"`
	Recording record.ID  `json:"recording"`
}

// Part is a file of a recording: the whole of it, or some of its seconds.
type Part struct {
	Bytes  int64  `json:"bytes"`          // in clear
	Ending string `json:"ending"`         // .wav, or .1.wav, .2.wav … for seconds
	From   int64  `json:"from,omitzero"`  // milliseconds
	Until  int64  `json:"until,omitzero"` // milliseconds; 0 with From 0: the whole
}

func (p Part) whole() bool { return p.From == 0 && p.Until == 0 }

// Whole tells whether all of a recording is in the bundle, so that its content can be held against what was sealed.
func (r Recording) Whole() bool { return len(r.Parts) == 1 && r.Parts[0].whole() }

// Omission is something that belongs to the case and is not in the bundle. What a reader can compute from the rest is
// compared: nothing is left out silently.
type Omission struct {
	Count     int       `json:"count,omitzero"`
	Kept      []Span    `json:"kept,omitempty"` // of a recording that is not whole
	Reason    string    `json:"reason"`
	Recording record.ID `json:"recording,omitzero"`
	Weeks     []string  `json:"weeks,omitempty"`
	What      string    `json:"what"`
}

// Span is a stretch of a recording in milliseconds.
type Span struct {
	From  int64 `json:"from"`
	Until int64 `json:"until"`
}

// What is omitted.
const (
	OmitRecordings  = "recordings"  // of the weeks that the bundle shows: Count of them
	OmitSeconds     = "seconds"     // of Recording, all but Kept
	OmitTranscripts = "transcripts" // of Count recordings of which no transcript is in the bundle
	OmitCustody     = "custody"     // the keyholders' journals
	OmitReceipts    = "receipts"    // both keyholders' receipts, of Count batches
	OmitTimestamps  = "timestamps"  // RFC 3161; with Count: of so many recordings
	OmitWeeks       = "weeks"       // Weeks of the order of which the bundle shows nothing
)

// Order is data/order.json: every member of the chain as signed, and both keyholders' word, given when the bundle was made, that there is none beside them.
type Order struct {
	Members []string `json:"members"`
	Status  []string `json:"status"` // court, custodian
}

// Batch is what shows that a batch exists and how many recordings it has.
type Batch struct {
	Signature []byte `json:"signature"`
	Statement []byte `json:"statement"`
}

// Sealing is what binds recordings to their sealing: all members of their batch by id and commitments, the hashes of its descriptors, and
// both keyholders' receipts of the note. Its statement stands among the batches.
type Sealing struct {
	Descriptors []byte   `json:"descriptors"`        // SHA-256 of each, 32 bytes each, in the members' order
	Members     []byte   `json:"members"`            // 144 bytes each, see package seal
	Receipts    []string `json:"receipts,omitempty"` // court, custodian
}

// Opening lets whoever has it open one recording again, and no other: the halves of its keys. Those of the content are
// there only when all of the content is.
type Opening struct {
	Description record.Description `json:"description"`
	Descriptor  []byte             `json:"descriptor"`
	Halves      []Half             `json:"halves"` // court/index, custodian/index, court/content, custodian/content
}

// Half is one half of one of a recording's keys.
type Half struct {
	Class string `json:"class"`
	Half  []byte `json:"half"`
	Party string `json:"party"`
}

// Signed is the payload of bundle.jws: with the two tag manifests it covers every byte of the bundle.
type Signed struct {
	Audience record.Digest `json:"aud"`
	Index    record.Digest `json:"index"` // SHA-256 of data/index.json
	Issued   time.Time     `json:"iat"`
	Tags256  record.Digest `json:"tagmanifestSHA256"` // SHA-256 of tagmanifest-sha256.txt
	Tags512  []byte        `json:"tagmanifestSHA512"` // SHA-512 of tagmanifest-sha512.txt
	Version  int           `json:"version"`
}

// Validate checks form. Errors: problem.Invalid.
func (x *Index) Validate() error {
	if x.Version != Version {
		return problem.New(problem.Invalid, "this version knows bundles of version %d only; use the arca-verify that came out with it", Version)
	}
	if x.Mode != Clear && x.Mode != Encrypted || (x.Mode == Encrypted) != (len(x.Recipients) > 0) {
		return problem.New(problem.Invalid, "a bundle is in clear, or encrypted to at least one recipient")
	}
	if x.Reason == "" || len(x.Recordings) == 0 || !x.Issued.Equal(record.Second(x.Issued)) {
		return problem.New(problem.Invalid, "a bundle has a reason, a date and at least one recording")
	}
	texts := []string{x.Reason}
	for _, o := range x.Omissions {
		if o.Reason == "" {
			return problem.New(problem.Invalid, "say why something is left out")
		}
		texts = append(texts, o.Reason)
	}
	for _, t := range append(texts, x.Recipients...) {
		if err := record.CheckText(t); err != nil {
			return err
		}
	}
	if x.Casual != nil {
		if err := x.Casual.validate(); err != nil {
			return err
		}
	}
	return x.validateRecordings()
}

func (x *Index) validateRecordings() error {
	for i, r := range x.Recordings {
		if i > 0 && x.Recordings[i-1].Recording.String() >= r.Recording.String() {
			return problem.New(problem.Invalid, "a bundle's recordings are in the order of their ids, each once")
		}
		if len(r.Parts) == 0 {
			return problem.New(problem.Invalid, "a recording of a bundle has at least one file")
		}
		var last int64
		for _, p := range r.Parts {
			if !slices.Contains(endings(len(r.Parts)), p.Ending) || p.Bytes < 0 || p.From < last || !p.whole() && p.Until <= p.From || p.whole() && len(r.Parts) > 1 {
				return problem.New(problem.Invalid, "a recording's files are the whole of it, or stretches of it in order")
			}
			last = p.Until
		}
	}
	return nil
}

// maxParts is how many stretches of one recording a bundle takes.
const maxParts = 100

// kindEndings are the endings of content files.
var kindEndings = []string{".bin", ".json", ".opus", ".txt", ".wav"}

// endings lists what files of n parts may end in.
func endings(n int) (list []string) {
	for _, kind := range kindEndings {
		list = append(list, kind)
		for i := range min(n, maxParts) {
			list = append(list, PartEnding(i+1, kind))
		}
	}
	return list
}

// paths lists every payload file that a bundle with this index has, sorted.
func (x *Index) paths() []string {
	list := []string{indexPath, orderPath, pagePath, peoplePath, policyPath, trustPath, unitsPath, verifyPath}
	seen := map[record.ID]bool{}
	if x.Custody {
		for _, party := range Parties {
			list = append(list, custodyPath(party))
		}
	}
	if x.Timestamps {
		list = append(list, timestampsPath)
	}
	if x.Casual != nil {
		for _, p := range x.Casual.Petitions {
			list = append(list, x.secret(petitionPath(p.Member)))
		}
	}
	for _, r := range x.Recordings {
		if !seen[r.Batch] {
			list, seen[r.Batch] = append(list, sealingPath(r.Batch)), true
		}
		list = append(list, x.secret(openingPath(r.Recording)))
		for _, p := range r.Parts {
			list = append(list, x.secret(partPath(r.Recording, p.Ending)))
		}
	}
	slices.Sort(list)
	return list
}

// secret gives the path of a file that is encrypted to the recipients if there are any.
func (x *Index) secret(path string) string {
	if x.Mode == Encrypted {
		return path + ageEnding
	}
	return path
}

// PartEnding is what the file of the nth stretch of a recording ends in.
func PartEnding(n int, kind string) string { return "." + itoa(n) + kind }
