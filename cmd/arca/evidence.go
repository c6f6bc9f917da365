package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
)

// evidenceAnswer is what a file of evidence proves.
type evidenceAnswer struct {
	File    string          `json:"file"`
	Kind    string          `json:"kind"`
	Origin  string          `json:"origin"`
	First   statementAnswer `json:"first"`
	Second  statementAnswer `json:"second"`
	Accused []accusedAnswer `json:"accused"`
}

type statementAnswer struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
}

type accusedAnswer struct {
	Name   string     `json:"name"`
	Key    string     `json:"key"`
	Role   string     `json:"role"`  // log or witness
	Known  bool       `json:"known"` // the trust file names the key
	First  *time.Time `json:"first,omitempty"`
	Second *time.Time `json:"second,omitempty"`
}

// isEvidence says whether a file is meant to be evidence against a log or its witnesses. What cannot be read is none.
func isEvidence(path string) bool {
	b, err := readEvidence(path)
	return err == nil && ledger.IsEvidence(b)
}

func readEvidence(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.Wrap(problem.NotFound, err, "there is no such file")
	}
	var b []byte
	if err == nil {
		b, err = io.ReadAll(io.LimitReader(f, ledger.MaxEvidence+1))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the file cannot be read")
	}
	return b, nil
}

// verifyEvidence says who has contradicted themselves. It needs no trust file; one says whose the keys are.
func (a *app) verifyEvidence(path string, keys *ledger.Verifier) error {
	b, err := readEvidence(path)
	if err != nil {
		return err
	}
	e, err := ledger.ParseEvidence(b)
	if err != nil {
		return problem.Wrap(problem.KindOf(err), err, "this is no evidence of anything: %s", problem.MessageOf(err))
	}
	out := evidenceAnswer{File: path, Kind: e.Kind, Origin: e.First.Origin,
		First: statementAnswer{e.First.Size, e.First.Root.String()}, Second: statementAnswer{e.Second.Size, e.Second.Root.String()}}
	known := map[string]bool{}
	if keys != nil {
		for _, one := range e.KnownTo(keys) {
			known[one.Key] = true
		}
	}
	for _, one := range e.Accused {
		told := accusedAnswer{Name: one.Name, Key: one.Key, Role: "log", Known: known[one.Key]}
		if !one.Log {
			told.Role, told.First, told.Second = "witness", &one.First, &one.Second
		}
		out.Accused = append(out.Accused, told)
	}
	return a.show(out, out.write)
}

// evidenceSays is what each kind proves.
var evidenceSays = map[string]string{
	ledger.KindFork:     "proven: these keys signed two trees of the log %q of which neither contains the other",
	ledger.KindRollback: "proven: these keys cosigned a tree of the log %q, and later a smaller one as the largest that they had seen",
}

func (out evidenceAnswer) write(p *page) {
	p.line(evidenceSays[out.Kind], out.Origin)
	p.line("  first:  size %d, root %s", out.First.Size, out.First.Root)
	p.line("  second: size %d, root %s", out.Second.Size, out.Second.Root)
	for _, one := range out.Accused {
		times := ""
		if one.First != nil {
			times = ", first at " + when(*one.First) + ", second at " + when(*one.Second)
		}
		whose := "; the trust file does not name this key, or none was given: whose it is, is not proven"
		if one.Known {
			whose = "; the trust file names this key"
		}
		p.line("  %s %s%s%s", one.Role, one.Name, times, whose)
		if !one.Known {
			p.line("    %s", strings.TrimPrefix(one.Key, one.Name+"+"))
		}
	}
}

// evidencePolicy gives the policy to hold accused keys against, nil where there is neither installation nor trust file.
func (a *app) evidencePolicy(trust, fingerprint string) (*ledger.Verifier, error) {
	named, _, err := a.pinned(trust, fingerprint)
	if err != nil {
		if trust == "" && a.dir == "" && problem.KindOf(err) == problem.NotFound {
			return nil, nil
		}
		return nil, err
	}
	verifier, err := ledger.VerifierOf(named)
	return verifier, err
}
