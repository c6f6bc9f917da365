package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
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

// AddCheckpoint asks the witness at url (its submission prefix) to cosign and
// gives its signature lines, one for each of vkeys that it holds; lines by other
// keys are ignored. Errors: *SizeConflict, ErrFork, and problem.Unavailable,
// problem.Denied or problem.Invalid for the rest. The client's timeout bounds
// the call besides ctx.
func AddCheckpoint(ctx context.Context, client *http.Client, url string, vkeys []string, r Request) (string, error) {
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+"/add-checkpoint", bytes.NewReader(r.Marshal()))
	if err != nil {
		return "", problem.Wrap(problem.Invalid, err, "the witness's address is malformed")
	}
	post.Header.Set("Content-Type", "application/octet-stream")
	once := *client
	// A witness does not move: following a redirect would let whoever answers
	// in its place send the log elsewhere.
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := once.Do(post)
	if err != nil {
		return "", problem.Wrap(problem.Unavailable, err, "the witness cannot be reached; it will be asked again")
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, MaxResponse+1))
	if err != nil {
		return "", problem.Wrap(problem.Unavailable, err, "the witness's answer was cut off; it will be asked again")
	}
	if len(body) > MaxResponse {
		return "", problem.New(problem.Invalid, "the witness's answer is longer than %d bytes", MaxResponse)
	}
	if answer.StatusCode != http.StatusOK {
		return "", witnessRefusal(answer, body)
	}
	return ParseCosignatures(r.Checkpoint, body, vkeys)
}

func witnessRefusal(answer *http.Response, body []byte) error {
	switch code := answer.StatusCode; {
	case code == http.StatusConflict && answer.Header.Get("Content-Type") == SizeType:
		size, err := parseDecimal(strings.TrimSuffix(string(body), "\n"))
		if err != nil || fmt.Sprintf("%d\n", size) != string(body) {
			return problem.New(problem.Invalid, "the witness's answer does not follow the protocol")
		}
		return &SizeConflict{Size: size}
	case code == http.StatusConflict:
		return problem.Wrap(problem.Conflict, ErrFork, "the witness has cosigned another history of this log; tell the operator")
	case code == http.StatusForbidden:
		return problem.New(problem.Denied, "the witness does not accept the log's key")
	case code == http.StatusNotFound:
		return problem.New(problem.NotFound, "the witness does not know this log's origin")
	case code == http.StatusUnprocessableEntity:
		return problem.New(problem.Invalid, "the witness found the consistency proof wrong")
	case code == http.StatusBadRequest:
		return problem.New(problem.Invalid, "the witness found the request malformed")
	default:
		return problem.New(problem.Unavailable, "the witness answered with HTTP status %d; it will be asked again", code)
	}
}

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
