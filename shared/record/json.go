package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"arca.example/arca/shared/problem"
)

// MaxBytes is the largest artefact that Unmarshal and Open accept.
const MaxBytes = 256 << 10

// Marshal gives the canonical JSON of v (RFC 8785). It fails only on values
// that JSON cannot hold.
func Marshal(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	canonical := jsontext.Value(b)
	if err := canonical.Canonicalize(); err != nil {
		return nil, err
	}
	return canonical, nil
}

// Unmarshal reads canonical JSON into v and refuses everything else with
// problem.Invalid: over-long input, unknown or duplicate members, and any byte
// form but the canonical one.
func Unmarshal(b []byte, v any) error {
	if len(b) > MaxBytes {
		return problem.New(problem.Invalid, "the artefact is larger than %d bytes; send it as the tools write it", MaxBytes)
	}
	if err := json.Unmarshal(b, v, json.RejectUnknownMembers(true)); err != nil {
		return problem.Wrap(problem.Invalid, err, "the artefact is not the JSON that is expected here; create it with the arca tools of the same version")
	}
	again, err := Marshal(v)
	if err != nil {
		return problem.Wrap(problem.Invalid, err, "the artefact has no canonical form")
	}
	if !bytes.Equal(again, b) {
		return problem.New(problem.Invalid, "the artefact is not in canonical form (RFC 8785); it may have been altered on the way")
	}
	return nil
}

// Digest is a SHA-256. Its text form is 64 lower-case hexadecimal digits.
type Digest [32]byte

// String gives the text form.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short gives the first eight digits, for tables that people read.
func (d Digest) Short() string { return d.String()[:8] }

// IsZero reports whether d is unset.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText gives the text form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads exactly the text form.
func (d *Digest) UnmarshalText(text []byte) error {
	return unhex(d[:], text, "digest")
}

// ParseDigest reads the text form. Errors: problem.Invalid.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	err := d.UnmarshalText([]byte(s))
	return d, err
}

// SetDigest hashes a set of digests independently of its order: what a Status says of the stops of a chain.
func SetDigest(set []Digest) Digest {
	sorted := slices.SortedFunc(slices.Values(set), func(a, b Digest) int { return slices.Compare(a[:], b[:]) })
	h := sha256.New()
	for _, d := range slices.Compact(sorted) {
		h.Write(d[:])
	}
	return Digest(h.Sum(nil))
}

// ID is the 16-byte random name of a recording, a batch or a nonce. Its text form is 32
// lower-case hexadecimal digits.
type ID [16]byte

// String gives the text form.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText gives the text form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads exactly the text form.
func (id *ID) UnmarshalText(text []byte) error { return unhex(id[:], text, "identifier") }

// ParseID reads the text form. Errors: problem.Invalid.
func ParseID(s string) (ID, error) {
	var id ID
	err := id.UnmarshalText([]byte(s))
	return id, err
}

func unhex(dst, text []byte, what string) error {
	if len(text) != 2*len(dst) {
		return problem.New(problem.Invalid, "a %s has %d hexadecimal digits", what, 2*len(dst))
	}
	var raw [64]byte
	n, err := hex.Decode(raw[:], text)
	if err != nil || n != len(dst) || hex.EncodeToString(raw[:n]) != string(text) {
		return problem.New(problem.Invalid, "a %s has %d lower-case hexadecimal digits and nothing else", what, 2*len(dst))
	}
	copy(dst, raw[:n])
	return nil
}

// Second cuts t to the precision and zone that artefacts use.
func Second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// checkTimes refuses times that Marshal would write in another form on another machine.
func checkTimes(times ...time.Time) error {
	for _, t := range times {
		if !t.Equal(t.Truncate(time.Second)) || t.Location() != time.UTC {
			return problem.New(problem.Invalid, "times are whole seconds in UTC, as in 2026-11-22T10:00:00Z")
		}
	}
	return nil
}

var _ fmt.Stringer = Digest{}

// UnmarshalStored is Unmarshal for what this party itself stored, which may be as large as a row.
func UnmarshalStored(b []byte, v any) error {
	return json.Unmarshal(b, v, json.RejectUnknownMembers(true))
}
