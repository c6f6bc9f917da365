package demo

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/record"
)

// call is one line of the vault's access log.
type call struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Headers http.Header `json:"headers"`
	Status  int         `json:"status"`
}

// What the vault is asked, by whom: nothing else may stand in its access log.
var (
	signedCalls = regexp.MustCompile(`^(POST /v1/packs|POST /v1/packs/\d+/(upload|arrived)|GET /v1/packs(/\d+|\?from=\d+)?|POST /v1/entries|` +
		`GET /v1/proofs/[0-9a-f]{64}|GET /v1/checkpoint|GET /v1/consistency\?from=\d+|GET /v1/tile/[0-9a-z/.x]+)$`)
	setUp     = regexp.MustCompile(`^(GET /v1/vault|PUT /v1/vault/trust|POST /v1/principals)$`)
	transfers = regexp.MustCompile(`^(GET|PUT) /objects/pack/(\d{12})\?`)
)

// access reads the vault's access log: ticks, whole packs in order, and log entries, by court, custodian, collector and mirror.
func (s *story) access() error {
	principals, err := s.principals()
	if err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(s.dir, "vault", "access.log"))
	if err != nil {
		return err
	}
	defer file.Close()
	lines, fetched := 0, uint64(0)
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for ; scanner.Scan(); lines++ {
		var c call
		if err := json.Unmarshal(scanner.Bytes(), &c); err != nil {
			return fmt.Errorf("line %d of the access log: %w", lines+1, err)
		}
		if fetched, err = checkCall(c, principals, fetched); err != nil {
			return fmt.Errorf("line %d of the access log: %w", lines+1, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	if lines == 0 || fetched == 0 {
		return fmt.Errorf("the access log shows nothing")
	}
	s.saw("%d lines of its access log: ticks, log entries and whole packs 1 to %d in order, by court, custodian, collector and mirror, and nothing else", lines, fetched)
	return nil
}

func checkCall(c call, principals map[record.KeyID]string, fetched uint64) (uint64, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return fetched, err
	}
	what := c.Method + " " + u.RequestURI()
	if m := transfers.FindStringSubmatch(what); m != nil {
		return inOrder(c, m, fetched)
	}
	if setUp.MatchString(what) {
		return fetched, nil
	}
	if !signedCalls.MatchString(what) {
		return fetched, fmt.Errorf("%s is not a call that the vault may get", what)
	}
	proof := c.Headers.Get(record.ProofHeader)
	st, err := record.Peek(proof)
	if err != nil {
		return fetched, fmt.Errorf("%s: nobody signed it", what)
	}
	if principals[st.Author] == "" {
		return fetched, fmt.Errorf("%s: by a key that is none of the four kinds of principals", what)
	}
	return fetched, nil
}

// inOrder demands that packs are fetched whole and in number order.
func inOrder(c call, m []string, fetched uint64) (uint64, error) {
	if c.Headers.Get("Range") != "" {
		return fetched, fmt.Errorf("a part of a pack was asked for")
	}
	n, err := strconv.ParseUint(m[2], 10, 64)
	if err != nil || m[1] == http.MethodPut {
		return fetched, err
	}
	if n != fetched+1 {
		return fetched, fmt.Errorf("pack %d was fetched after pack %d", n, fetched)
	}
	return n, nil
}

// principals are the keys that the vault knows.
func (s *story) principals() (map[record.KeyID]string, error) {
	f, err := installation.OpenFolder(s.dir)
	if err != nil {
		return nil, err
	}
	trust, err := f.Trust()
	if err != nil {
		return nil, err
	}
	known := map[record.KeyID]string{trust.Court.Online.ID(): "court", trust.Custodian.Online.ID(): "custodian"}
	for _, machine := range []string{"collector", "mirror"} {
		signer, err := f.Identity(machine)
		if err != nil {
			return nil, err
		}
		known[signer.Public().ID()] = machine
	}
	return known, nil
}
