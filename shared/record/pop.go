package record

import (
	"crypto/sha256"
	"time"

	"arca.example/arca/shared/problem"
)

// ProofHeader carries the proof of possession of an HTTP call.
const ProofHeader = "Arca-Proof"

// Proof binds one HTTP call to its caller's key: host, method, path with query, body and minute. There is
// nothing in it that would serve for another call, so no bearer secret exists.
type Proof struct {
	Body   Digest `json:"body"` // SHA-256 of the body, of the empty string if there is none
	Method string `json:"method"`
	Minute int64  `json:"minute"` // minutes since 1970
	URL    string `json:"url"`    // absolute: scheme, host, path and query as sent
}

// maxSkew is the clock difference that Arca tolerates anywhere (design, "Time").
const maxSkew = 5 * time.Minute

// SignProof makes the proof of an outgoing call.
func SignProof(s *Signer, method, url string, body []byte, now time.Time) (string, error) {
	return Sign(s, TypeProof, now, Proof{Body: sha256.Sum256(body), Method: method, Minute: now.Unix() / 60, URL: url})
}

// Call is what a server knows of an incoming call.
type Call struct {
	Proof  string // the header's value
	Method string
	URL    string // the server's own origin, then path and query as received
	Body   []byte
}

// Caller gives the key id that a call claims, still unproven.
func (c Call) Caller() (KeyID, error) {
	if c.Proof == "" {
		return KeyID{}, problem.New(problem.Denied, "the call carries no %s header; use the arca tools", ProofHeader)
	}
	st, err := Peek(c.Proof)
	if err != nil {
		return KeyID{}, err
	}
	return st.Author, nil
}

// Verify proves that the call was made by the key, for this server, now. A call that the key did not sign is refused as
// one by an unknown key is.
func (c Call) Verify(key PublicKey, now time.Time) error {
	var p Proof
	if _, err := OpenKnown(c.Proof, TypeProof, key, &p); err != nil {
		return err
	}
	if p.Method != c.Method || p.URL != c.URL || p.Body != Digest(sha256.Sum256(c.Body)) {
		return problem.New(problem.Denied, "the proof of possession is for another call; make a new one")
	}
	if skew := now.Sub(time.Unix(p.Minute*60, 0)); skew > maxSkew || skew < -maxSkew {
		return problem.New(problem.Denied, "the clocks of caller and server differ by more than five minutes; set them")
	}
	return nil
}
