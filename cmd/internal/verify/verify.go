// Package verify is the verifying command: it reads bundles, receipts and whole
// logs and says what they prove. arca verify and arca-verify are the same code.
//
// It needs no network and no installation. It trusts the fingerprint of the trust
// file, which its user compares with court and custodian, and package bundle.
package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// Options say under what something is verified.
type Options struct {
	Trust       *record.Trust  // needed for receipts and logs; a bundle carries its own, which the fingerprint must name
	Fingerprint record.Digest  // zero: not pinned, and nothing is proven
	Identities  []age.Identity // a recipient's, for encrypted bundles
	Now         time.Time      // by which a bundle's timestamps are judged
}

// Kinds of what is verified.
const (
	KindBundle  = "bundle"
	KindLog     = "log"
	KindReceipt = "receipt"
	// KindDisclosure is the receipt of a bundle's disclosure.
	KindDisclosure = "disclosure"
	// KindDestruction is the certificate of a destruction.
	KindDestruction = "destruction"
	// KindEvidence is evidence that a log or its witnesses contradicted themselves.
	KindEvidence = "evidence"
)

// Result is what one file or folder proves, or why it proves nothing.
type Result struct {
	File    string            `json:"file"`
	Kind    string            `json:"kind,omitempty"`
	Verdict bundle.Verdict    `json:"verdict"`
	Line    string            `json:"line"`
	Receipt *Receipt          `json:"receipt,omitempty"`
	Bundle  *bundle.Report    `json:"bundle,omitempty"`
	Log     *bundle.LogReport `json:"log,omitempty"`

	Disclosure *bundle.Disclosed `json:"disclosure,omitempty"`
	Evidence   *Evidence         `json:"evidence,omitempty"`
	Destroyed  *bundle.Destroyed `json:"destroyed,omitempty"`

	err error
}

// Receipt is what a receipt proves.
type Receipt struct {
	Recording      string             `json:"recording"`
	Name           string             `json:"name,omitempty"`
	Order          string             `json:"order"`
	Week           string             `json:"week"`
	Compartment    string             `json:"compartment"`
	Classification string             `json:"classification"`
	Batch          string             `json:"batch"`
	Number         uint64             `json:"number"`  // of the batch among the collector's in its unit
	Members        int                `json:"members"` // recordings in the batch
	Collector      string             `json:"collector"`
	Packs          []record.PackEvent `json:"packs"`
	Logged         time.Time          `json:"logged"` // earliest cosignature over the last pack
	Court          time.Time          `json:"court"`  // when the court's keyholder signed for the note
	Custodian      time.Time          `json:"custodian"`
}

// Failure is the error of something that proves nothing, with its verdict.
type Failure struct {
	Verdict bundle.Verdict
	error
}

// Unwrap gives the error behind.
func (f Failure) Unwrap() error { return f.error }

// Each verifies files and folders and gives every result, and the first failure.
func Each(o Options, paths []string) ([]Result, error) {
	var list []Result
	var first error
	for _, path := range paths {
		r := One(o, path)
		if r.err != nil && first == nil {
			first = Failure{r.Verdict, r.err}
			if len(paths) > 1 {
				first = Failure{r.Verdict, problem.Wrap(problem.KindOf(r.err), r.err, "not everything is proven: %s", problem.MessageOf(r.err))}
			}
		}
		list = append(list, r)
	}
	return list, first
}

// One verifies one file or folder.
func One(o Options, path string) Result {
	r := Result{File: path}
	r.err = r.verify(o, path)
	r.Verdict = bundle.VerdictOf(r.err)
	if r.err != nil {
		r.Line = string(r.Verdict) + ": " + problem.MessageOf(r.err)
	}
	return r
}

func (r *Result) verify(o Options, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return missing(err)
	}
	if info.IsDir() {
		return r.log(o, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return missing(err)
	}
	defer f.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(f, head); err != nil {
		return bundle.NotKnown()
	}
	switch {
	case bytes.Equal(head, []byte("PK\x03\x04")):
		r.Kind = KindBundle
		got, err := bundle.Verify(f, info.Size(), bundle.Options{Fingerprint: o.Fingerprint, Identities: o.Identities, Now: o.Now})
		if got.Verdict != "" { // read to its end, whatever is known of its roots
			r.Bundle, r.Line = &got, got.Line
		}
		return err
	case head[0] == '{':
		return r.receipt(o, f, info.Size())
	case bytes.Equal(head, []byte("arca")):
		return r.evidence(o, f, info.Size())
	}
	return bundle.NotKnown()
}

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return problem.Wrap(problem.NotFound, err, "there is no such file")
	}
	return problem.Wrap(problem.Unavailable, err, "the file cannot be read")
}

func needsTrust(o Options) error {
	if o.Trust == nil {
		return problem.Wrap(problem.NotFound, ledger.ErrUnknownRoots, "a receipt or log is held against a trust file; give --trust FILE and --fingerprint")
	}
	return nil
}

func (r *Result) log(o Options, path string) error {
	r.Kind = KindLog
	if _, err := os.Stat(filepath.Join(path, "bundle.jws")); err == nil {
		return problem.Wrap(problem.Invalid, bundle.NotKnown(), "this is an unpacked bundle; verify the ZIP file itself, as it was handed over")
	}
	if err := needsTrust(o); err != nil {
		return err
	}
	got, err := bundle.VerifyLog(o.Trust, os.DirFS(path))
	if err == nil {
		r.Log, r.Line = &got, got.Line
	}
	return err
}

func (r *Result) receipt(o Options, f io.ReaderAt, size int64) error {
	r.Kind = KindReceipt
	if err := needsTrust(o); err != nil {
		return err
	}
	if size > bundle.MaxReceipt {
		return bundle.NotKnown()
	}
	raw := make([]byte, size)
	if _, err := f.ReadAt(raw, 0); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the file cannot be read")
	}
	if bundle.IsDisclosure(raw) {
		return r.disclosure(o, raw)
	}
	if bundle.IsDestruction(raw) {
		return r.destruction(o, raw)
	}
	got, err := bundle.VerifyReceipt(o.Trust, o.Fingerprint, raw)
	if err != nil {
		return err
	}
	r.Receipt = &Receipt{
		Recording: got.Recording.String(), Name: got.Name, Order: record.Digest(got.Unit.Order).String(), Week: got.Unit.Week,
		Compartment: got.Unit.Compartment, Classification: got.Unit.Classification, Batch: got.Batch.String(), Number: got.Number,
		Members: got.Members, Collector: got.Collector, Packs: got.Packs, Logged: got.Logged.UTC(), Court: got.Noted[0].UTC(), Custodian: got.Noted[1].UTC(),
	}
	r.Line = fmt.Sprintf("proven: recording %s was sealed by %q, is held by both keyholders, and its packs stood in the witnessed log by %s; not proven: that the packs hold it, which is the collector's word",
		r.Receipt.Recording, got.Collector, r.Receipt.Logged.Format(time.RFC3339))
	return nil
}

// disclosure verifies the receipt that stands beside a bundle.
func (r *Result) disclosure(o Options, raw []byte) error {
	r.Kind = KindDisclosure
	got, err := bundle.VerifyDisclosure(o.Trust, o.Fingerprint, raw)
	if err == nil {
		r.Disclosure = &got
		r.Line = fmt.Sprintf("proven: the disclosure of the bundle with SHA-256 %s by %q stands in both keyholders' journals, in the log that the witnesses saw by %s; not proven: that a file is that bundle, for which compare its SHA-256",
			got.Bundle, got.By, got.Witnessed.Format(time.RFC3339))
	}
	return err
}

// destruction verifies the certificate of a destruction.
func (r *Result) destruction(o Options, raw []byte) error {
	r.Kind = KindDestruction
	got, err := bundle.VerifyDestruction(o.Trust, o.Fingerprint, raw)
	if err != nil {
		return err
	}
	confirmed, copies := 0, 0
	for _, side := range got.Sides {
		confirmed += len(side.Confirmed)
		copies += len(side.Unconfirmed)
	}
	r.Destroyed = &got
	r.Line = fmt.Sprintf("proven: on the decision of %q of %s both keyholders signed that they destroyed their halves of %d recordings of order %s, in the log that the witnesses saw by %s; "+
		"not proven: what the places of their roots do not promise, and that there is no copy of a root that they do not list; %d listed copies of their roots are confirmed destroyed and %d are not",
		got.Judge, got.Decided.Format(time.DateOnly), got.Recordings, got.Chain.Short(), got.Witnessed.Format(time.RFC3339), confirmed, copies)
	return nil
}

// ParseFingerprint reads the fingerprint of a trust file, which is given whole: the beginning of one pins nothing.
func ParseFingerprint(text string) (record.Digest, error) {
	d, err := record.ParseDigest(text)
	if err != nil {
		return d, problem.Wrap(problem.Invalid, err, "a fingerprint has 64 hexadecimal digits in lower case; give it whole, as court and custodian read it out")
	}
	return d, nil
}

// ReadTrust reads a trust file, or all of an installation from the first on, and verifies them against the pinned fingerprint of the first.
func ReadTrust(path string, fingerprint record.Digest) (*record.Trust, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, missing(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, bundle.MaxReceipt+1))
	if err != nil {
		return nil, missing(err)
	}
	chain, err := record.ParseTrustChain(raw)
	if err != nil {
		return nil, err
	}
	trust, err := ledger.OpenTrust(chain, fingerprint)
	if problem.KindOf(err) == problem.Denied {
		err = Failure{bundle.UnknownRoots, err}
	}
	return trust, err
}

// ReadIdentities reads age identities: the private keys of recipients. The file is the recipient's own, as age-keygen wrote it.
func ReadIdentities(path string) ([]age.Identity, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, missing(err)
	}
	defer f.Close()
	list, err := age.ParseIdentities(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "this is no file of age keys; give the one that age-keygen wrote")
	}
	return list, nil
}

// Failed gives the failure of a result, nil if there is none.
func Failed(r Result) error {
	if r.err == nil {
		return nil
	}
	return Failure{r.Verdict, r.err}
}
