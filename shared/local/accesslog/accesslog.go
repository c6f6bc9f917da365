// Package accesslog reads the vault's access log as somebody would who wants to learn from it, and
// says whether it holds anything that the design does not allow: calls other than ticks, log entries and their
// proofs, timestamps, the state of storage, and packs; callers other than court, custodian, collectors and mirrors; a part of a pack; a pack out
// of number order.
//
// It trusts the log to be complete, which the gateway that writes it sees to. The order of packs is judged for one
// mirror: a transfer carries no name, so the fetches of two mirrors cannot be told apart.
//
// A line is a JSON object:
//
//	{"method":"GET","url":"/v1/packs?from=1","headers":{"Arca-Proof":["…"]},"status":200}
package accesslog

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"arca.example/arca/shared/record"
)

// Seen is what a log showed that is allowed.
type Seen struct {
	Lines   int
	Stored  int    // packs that were uploaded
	Fetched uint64 // packs 1 to Fetched were downloaded, whole and in this order
}

// call is one line.
type call struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Headers http.Header `json:"headers"`
	Status  int         `json:"status"`
}

// What the vault is asked, by whom: nothing else may stand in its access log.
var (
	signedCalls = regexp.MustCompile(`^(POST /v1/packs|POST /v1/packs/\d+/(upload|arrived)|GET /v1/packs(/\d+|\?from=\d+)?|POST /v1/entries|` +
		`GET /v1/proofs/[0-9a-f]{64}|GET /v1/checkpoint|GET /v1/consistency\?from=\d+|GET /v1/(stamps|scrub)\?from=\d+|GET /v1/tile/[0-9a-z/.x]+)$`)
	setUp     = regexp.MustCompile(`^(GET /v1/vault|PUT /v1/vault/trust|POST /v1/principals)$`)
	transfers = regexp.MustCompile(`^(GET|PUT) /objects/pack/(\d{12})\?`)
)

// Check reads a whole log. principals are the keys that the vault knows, with what they are.
func Check(log io.Reader, principals map[record.KeyID]string) (Seen, error) {
	var seen Seen
	scanner := bufio.NewScanner(log)
	scanner.Buffer(nil, 1<<20)
	for ; scanner.Scan(); seen.Lines++ {
		var c call
		if err := json.Unmarshal(scanner.Bytes(), &c); err != nil {
			return seen, fmt.Errorf("line %d of the access log: %w", seen.Lines+1, err)
		}
		if err := seen.judge(c, principals); err != nil {
			return seen, fmt.Errorf("line %d of the access log: %w", seen.Lines+1, err)
		}
	}
	return seen, scanner.Err()
}

func (s *Seen) judge(c call, principals map[record.KeyID]string) error {
	u, err := url.Parse(c.URL)
	if err != nil {
		return err
	}
	what := c.Method + " " + u.RequestURI()
	if m := transfers.FindStringSubmatch(what); m != nil {
		return s.transfer(c, m)
	}
	if setUp.MatchString(what) {
		return nil
	}
	if !signedCalls.MatchString(what) {
		return fmt.Errorf("%s is not a call that the vault may get", what)
	}
	st, err := record.Peek(c.Headers.Get(record.ProofHeader))
	if err != nil {
		return fmt.Errorf("%s: nobody signed it", what)
	}
	if principals[st.Author] == "" {
		return fmt.Errorf("%s: by a key that is none of the four kinds of principals", what)
	}
	return nil
}

// transfer demands that packs are fetched whole and in number order.
func (s *Seen) transfer(c call, m []string) error {
	if c.Headers.Get("Range") != "" {
		return fmt.Errorf("a part of a pack was asked for")
	}
	n, err := strconv.ParseUint(m[2], 10, 64)
	if err != nil {
		return err
	}
	if m[1] == http.MethodPut {
		s.Stored++
		return nil
	}
	if n != s.Fetched+1 {
		return fmt.Errorf("pack %d was fetched after pack %d", n, s.Fetched)
	}
	s.Fetched = n
	return nil
}
