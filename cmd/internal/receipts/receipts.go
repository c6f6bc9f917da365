// Package receipts is the verifying command: it reads receipts and a pinned trust
// file and says what they prove. arca verify and arca-verify are the same code.
//
// It needs no network and no installation. It trusts the trust file's fingerprint,
// which its user compares with court and custodian, and package bundle.
package receipts

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// Verified is what one receipt proves.
type Verified struct {
	File           string             `json:"file"`
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

// ReadTrust reads a trust file and verifies it against its pinned fingerprint.
func ReadTrust(path string, fingerprint record.Digest) (*record.Trust, error) {
	raw, err := read(path, record.MaxBytes)
	if err != nil {
		return nil, err
	}
	var joint record.Joint
	if err := record.Unmarshal(raw, &joint); err != nil {
		return nil, err
	}
	return record.OpenTrust(joint, fingerprint)
}

// Verify checks the receipt in a file.
func Verify(trust *record.Trust, fingerprint record.Digest, path string) (Verified, error) {
	raw, err := read(path, bundle.MaxReceipt)
	if err != nil {
		return Verified{File: path}, err
	}
	r, err := bundle.VerifyReceipt(trust, fingerprint, raw)
	if err != nil {
		return Verified{File: path}, err
	}
	return Verified{
		File: path, Recording: r.Recording.String(), Name: r.Name, Order: record.Digest(r.Unit.Order).String(), Week: r.Unit.Week,
		Compartment: r.Unit.Compartment, Classification: r.Unit.Classification, Batch: r.Batch.String(), Number: r.Number,
		Members: r.Members, Collector: r.Collector, Packs: r.Packs, Logged: r.Logged.UTC(), Court: r.Noted[0].UTC(), Custodian: r.Noted[1].UTC(),
	}, nil
}

// read reads a file of at most limit bytes.
func read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.Wrap(problem.NotFound, err, "there is no such file")
	}
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the file cannot be read")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the file cannot be read")
	}
	if int64(len(raw)) > limit {
		return nil, problem.New(problem.Invalid, "the file is larger than anything of its kind")
	}
	if len(raw) == 0 {
		return nil, problem.New(problem.Invalid, "the file is empty")
	}
	return raw, nil
}
