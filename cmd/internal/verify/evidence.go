package verify

import (
	"fmt"
	"io"
	"strings"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
)

// Evidence is what a file of evidence proves, with or without a trust file; one says whose the keys are.
type Evidence struct {
	Kind    string    `json:"kind"` // fork or rollback
	Origin  string    `json:"origin"`
	Accused []Accused `json:"accused"`
}

// Accused is who signed both statements.
type Accused struct {
	Name  string `json:"name"`
	Key   string `json:"key"`
	Role  string `json:"role"`  // log or witness
	Known bool   `json:"known"` // the trust file names the key
}

// evidence verifies a proof of misbehaviour. What it proves is no good news, but it is proven.
func (r *Result) evidence(o Options, f io.ReaderAt, size int64) error {
	if size > ledger.MaxEvidence {
		return bundle.NotKnown()
	}
	raw := make([]byte, size)
	if _, err := f.ReadAt(raw, 0); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the file cannot be read")
	}
	if !ledger.IsEvidence(raw) {
		return bundle.NotKnown()
	}
	r.Kind = KindEvidence
	e, err := ledger.ParseEvidence(raw)
	if err != nil {
		return problem.Wrap(problem.KindOf(err), err, "this is no evidence of anything: %s", problem.MessageOf(err))
	}
	known := map[string]bool{}
	if o.Trust != nil {
		verifier, err := ledger.VerifierOf(o.Trust)
		if err != nil {
			return err
		}
		for _, one := range e.KnownTo(verifier) {
			known[one.Key] = true
		}
	}
	r.Evidence = &Evidence{Kind: e.Kind, Origin: e.First.Origin}
	var names []string
	strangers := 0
	for _, one := range e.Accused {
		told := Accused{Name: one.Name, Key: one.Key, Role: "witness", Known: known[one.Key]}
		if one.Log {
			told.Role = "log"
		}
		if !told.Known {
			strangers++
		}
		names = append(names, told.Role+" "+told.Name)
		r.Evidence.Accused = append(r.Evidence.Accused, told)
	}
	r.Line = fmt.Sprintf(evidenceSays[e.Kind], e.First.Origin, strings.Join(names, ", "))
	if strangers > 0 {
		r.Line += fmt.Sprintf("; not proven: whose %d of these keys are, which the trust file given does not name, if one was given", strangers)
	}
	return nil
}

// evidenceSays is what each kind proves.
var evidenceSays = map[string]string{
	ledger.KindFork:     "proven: two trees of the log %q of which neither contains the other were signed by %s",
	ledger.KindRollback: "proven: a tree of the log %q, and later a smaller one as the largest that they had seen, were cosigned by %s",
}
