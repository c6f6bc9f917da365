package installation

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

const enrolmentName = "enrolment.json"

// Keyholders are the two parties that hold halves, in the order in which they are asked.
var Keyholders = []string{"court", "custodian"}

// SignEnrolment signs an enrolment by those who must, and fills in audience and times.
func (f *Folder) SignEnrolment(e record.Enrolment) (record.Joint, error) {
	now := record.Second(time.Now())
	e.Audience, e.Issued, e.Expires = f.Config.Trust, now, now.Add(enrolmentTerm)
	if err := e.Validate(); err != nil {
		return nil, err
	}
	signers, err := f.registrars()
	if e.FromCourtRoot() {
		var root *record.Signer
		root, err = f.Office("court", "root")
		signers = []*record.Signer{root}
	}
	if err != nil {
		return nil, err
	}
	return record.SignJoint(record.TypeEnrolment, now, e, signers...)
}

// KeepEnrolment files an enrolment beside the identity that it is for.
func (f *Folder) KeepEnrolment(joint record.Joint, parts ...string) error {
	raw, err := record.Marshal(joint)
	if err != nil {
		return err
	}
	return Replace(filepath.Join(f.Dir(parts...), enrolmentName), raw)
}

// Enrolment reads the enrolment filed beside an identity and verifies it under the trust file. Errors: problem.NotFound
// when there is none.
func (f *Folder) Enrolment(parts ...string) (record.Enrolment, error) {
	var e record.Enrolment
	raw, err := os.ReadFile(filepath.Join(f.Dir(parts...), enrolmentName))
	if errors.Is(err, fs.ErrNotExist) {
		return e, problem.New(problem.NotFound, "no enrolment is filed beside this identity; enrol it with: arca enrol")
	}
	if err != nil {
		return e, problem.Wrap(problem.Unavailable, err, "the enrolment cannot be read")
	}
	var joint record.Joint
	if err := record.Unmarshal(raw, &joint); err != nil {
		return e, err
	}
	return f.OpenEnrolment(joint)
}

// OpenEnrolment verifies an enrolment under the trust file: by both registrars, or by the court's root for judges and clerks.
func (f *Folder) OpenEnrolment(joint record.Joint) (record.Enrolment, error) {
	var e record.Enrolment
	trust, err := f.Trust()
	if err != nil {
		return e, err
	}
	e, _, err = trust.OpenEnrolment(f.Config.Trust, joint)
	return e, err
}

// Replace writes a private file in one step: readers see the old content or the new.
func Replace(path string, raw []byte) error {
	unwritable := func(err error) error {
		return problem.Wrap(problem.Unavailable, err, "the file cannot be written")
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return unwritable(err)
	}
	defer os.Remove(file.Name()) // gone after the rename
	_, err = file.Write(raw)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return unwritable(err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return unwritable(err)
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes renames in a folder durable.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the folder cannot be synced to disk")
	}
	return nil
}

// CreateIdentity makes a key in a file of its own, for a party that is not part of an installation, as a witness elsewhere.
func CreateIdentity(path, name string) (*record.Signer, error) {
	signer, err := record.NewSigner()
	if err != nil {
		return nil, err
	}
	raw, err := record.Marshal(identity{Key: signer.Public(), Name: name, Seed: signer.Seed()})
	if err != nil {
		return nil, err
	}
	return signer, writeNew(path, raw)
}

// ReadIdentity reads such a file: the key and the name it was made for.
func ReadIdentity(path string) (*record.Signer, string, error) { return readIdentity(path) }

// Reach asks a party for its identity and gives how far its clock is ahead of ours. The clock comes from the
// answer's Date, so it is exact to a second and a claim: what counts as time anywhere is the witnesses'.
func (f *Folder) Reach(ctx context.Context, party string) (ahead time.Duration, err error) {
	path := "/v1/keyholder"
	if party == "vault" {
		path = "/v1/vault"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL(party)+path, nil)
	if err != nil {
		return 0, problem.Wrap(problem.Invalid, err, "the party's address in arca.json is not a URL")
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, problem.Wrap(problem.Unavailable, err, "the party cannot be reached; start it with: arca serve")
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, problem.New(problem.Unavailable, "the party answers with status %d", res.StatusCode)
	}
	at, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return 0, problem.Wrap(problem.Unavailable, err, "the party's answer carries no date")
	}
	return at.Sub(time.Now().Truncate(time.Second)), nil
}
