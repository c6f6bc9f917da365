package ledger

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	proofHeader = "c2sp.org/tlog-proof@v1\n"
	maxPath     = 63 // hashes in a path: a tree has at most 2⁶³-1 leaves
	maxProof    = MaxNote + maxPath*(hashText+1) + 64
)

// Proof shows that an entry stands at Index of the tree of Checkpoint.
type Proof struct {
	Index      int64
	Path       []tlog.Hash
	Checkpoint []byte // a signed note
}

// Marshal gives the C2SP tlog-proof form.
func (p Proof) Marshal() []byte {
	out := make([]byte, 0, len(proofHeader)+32+len(p.Path)*(hashText+1)+len(p.Checkpoint))
	out = append(out, proofHeader...)
	out = append(out, "index "...)
	out = strconv.AppendInt(out, p.Index, 10)
	out = append(out, '\n')
	return append(appendPath(out, p.Path), p.Checkpoint...)
}

// appendPath writes a path's lines and the blank line behind them.
func appendPath(out []byte, path []tlog.Hash) []byte {
	for i := range path {
		out = base64.StdEncoding.AppendEncode(out, path[i][:])
		out = append(out, '\n')
	}
	return append(out, '\n')
}

// ParseProof reads what Marshal writes, and nothing else: an "extra" line,
// which nothing authenticates, is refused. The checkpoint inside is not yet
// verified.
func ParseProof(b []byte) (Proof, error) {
	index, path, checkpoint, err := cutProof(b, nil)
	if err != nil {
		return Proof{}, err
	}
	// Every part has one form only or is taken as it stands, so that Marshal
	// gives b again: the fuzz target and the flips hold this without its cost.
	return Proof{Index: index, Path: path, Checkpoint: checkpoint}, nil
}

// cutProof takes a proof apart, its path into room if that is enough.
func cutProof(b []byte, room []tlog.Hash) (index int64, path []tlog.Hash, checkpoint []byte, err error) {
	if len(b) > maxProof {
		return 0, nil, nil, refusal(ErrAltered, "a proof has at most %d bytes", maxProof)
	}
	rest, ok := bytes.CutPrefix(b, []byte(proofHeader+"index "))
	if !ok {
		return 0, nil, nil, refusal(ErrAltered, "a proof starts with its header and index, without an extra line")
	}
	line, rest, _ := bytes.Cut(rest, []byte("\n"))
	if index, err = parseDecimal(string(line)); err != nil {
		return 0, nil, nil, refusal(ErrAltered, "a proof's index is a plain decimal number")
	}
	path, checkpoint, err = cutPath(rest, room)
	return index, path, checkpoint, err
}

// cutPath reads path lines up to and with the blank line behind them, into room if that is enough.
func cutPath(b []byte, room []tlog.Hash) (path []tlog.Hash, rest []byte, err error) {
	path = room[:0]
	for {
		if len(b) > 0 && b[0] == '\n' {
			return path, b[1:], nil
		}
		if len(path) == maxPath || len(b) < hashText+1 || b[hashText] != '\n' {
			return nil, nil, refusal(ErrAltered, "a path is at most %d lines of one hash each and a blank line", maxPath)
		}
		h, err := parseHash(b[:hashText])
		if err != nil {
			return nil, nil, refusal(ErrAltered, "a path's hash is 32 bytes in base64")
		}
		path, b = append(path, h), b[hashText+1:]
	}
}

// VerifyInclusion checks a proof under a policy and gives the checkpoint that
// it leads to and the entry's index. Whoever has an opening passes
// Commit(opening).
func VerifyInclusion(p Policy, e Entry, proof []byte) (Checkpoint, int64, error) {
	v, err := NewVerifier(p)
	if err != nil {
		return Checkpoint{}, 0, err
	}
	return v.VerifyInclusion(e, proof)
}

// VerifyInclusion is the function of that name with a policy made ready.
func (v *Verifier) VerifyInclusion(e Entry, proof []byte) (Checkpoint, int64, error) {
	var room [maxPath]tlog.Hash // on the stack: whoever verifies verifies many
	index, path, checkpoint, err := cutProof(proof, room[:])
	if err != nil {
		return Checkpoint{}, 0, err
	}
	c, err := v.Verify(checkpoint)
	if err != nil {
		return Checkpoint{}, 0, err
	}
	if err := c.CheckInclusion(e.Leaf(), index, path); err != nil {
		return Checkpoint{}, 0, err
	}
	return c, index, nil
}
