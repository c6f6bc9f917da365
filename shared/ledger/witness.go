package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/problem"
)

// Limits of the witness protocol, in bytes.
const (
	MaxRequest  = MaxNote + maxPath*(hashText+1) + 64
	MaxResponse = 16 << 10
)

// SizeType is the media type of a 409 that names the witness's size.
const SizeType = "text/x.tlog.size"

// Request is the body of add-checkpoint (C2SP tlog-witness): a checkpoint and
// the proof that it continues the tree of size Old.
type Request struct {
	Old        int64
	Path       []tlog.Hash
	Checkpoint []byte
}

// Marshal gives the request's wire form.
func (r Request) Marshal() []byte {
	out := fmt.Appendf(nil, "old %d\n", r.Old)
	return append(appendPath(out, r.Path), r.Checkpoint...)
}

// ParseRequest reads what Marshal writes. The checkpoint is not yet verified.
func ParseRequest(b []byte) (Request, error) {
	bad := problem.New(problem.Invalid, "a witness request is an old size line, at most %d proof lines, a blank line and a checkpoint", maxPath)
	rest, ok := bytes.CutPrefix(b, []byte("old "))
	if !ok || len(b) > MaxRequest {
		return Request{}, bad
	}
	line, rest, _ := bytes.Cut(rest, []byte("\n"))
	old, err := parseDecimal(string(line))
	if err != nil {
		return Request{}, bad
	}
	path, rest, err := cutPath(rest, nil)
	if err != nil || len(rest) == 0 {
		return Request{}, bad
	}
	r := Request{Old: old, Path: path, Checkpoint: rest}
	if !bytes.Equal(r.Marshal(), b) {
		return Request{}, bad
	}
	return r, nil
}

// SizeConflict is a witness's answer that it last cosigned another size than
// the request's old size.
type SizeConflict struct{ Size int64 }

// Error says what to do.
func (e *SizeConflict) Error() string {
	return fmt.Sprintf("the witness stands at size %d; prove consistency from there", e.Size)
}

// ErrFork is a witness's answer that it has cosigned another tree than the
// checkpoint's: proof that the log has, or had, two histories.
var ErrFork = errors.New("the witness has seen another history")

// ParseCosignatures finds, in a witness's 200 answer, the valid signature lines of
// the keys vkeys on a checkpoint: at least one, at most one of each key.
func ParseCosignatures(checkpoint, body []byte, vkeys []string) (string, error) {
	text, _, ok := splitNote(checkpoint)
	if !ok || len(body) > MaxResponse {
		return "", problem.New(problem.Invalid, "the checkpoint or the witness's answer is malformed")
	}
	var known []note.Verifier
	for _, vkey := range vkeys {
		if _, _, _, err := parseVerifierKey(vkey, algCosignature, algMLDSA44); err != nil {
			return "", problem.Wrap(problem.Invalid, err, "the witness's key is malformed")
		}
		v, err := newCosignatureVerifier(vkey)
		if err != nil {
			return "", err
		}
		known = append(known, v)
	}
	n, err := note.Open([]byte(string(text)+"\n"+string(body)), note.VerifierList(known...))
	if err != nil {
		return "", problem.Wrap(problem.Invalid, err, "the witness's answer holds no valid cosignature of its key")
	}
	var lines strings.Builder
	for _, sig := range n.Sigs {
		raw, err := strictBase64.DecodeString(sig.Base64)
		if err != nil {
			return "", problem.New(problem.Invalid, "the witness's cosignature is not in its one canonical form")
		}
		lines.WriteString(signatureLine(sig.Name, raw))
	}
	return lines.String(), nil
}
