package collector

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Refusal is one line of refusals.jsonl: what was delivered and not sealed. It names the order and the
// file, not the identifier: what the order does not cover is kept nowhere.
type Refusal struct {
	At     time.Time     `json:"at"`
	Chain  record.Digest `json:"chain"`
	Kind   problem.Kind  `json:"kind"`
	Name   string        `json:"name,omitzero"`
	Reason string        `json:"reason"`
}

// refuse writes a refusal down. Whoever reports a refusal without being able to record it would hide it.
func (c *Collector) refuse(chain record.Digest, name string, cause error) error {
	if record.CheckName(name) != nil {
		name = "" // it was refused for its name, which could spoil the list
	}
	line, err := record.Marshal(Refusal{At: record.Second(c.cfg.Now()), Chain: chain, Kind: problem.KindOf(cause), Name: name, Reason: problem.MessageOf(cause)})
	if err != nil {
		return err
	}
	return c.disk.appendLine(c.path(refusalsFile), line)
}

// reportRefusals files at both keyholders what was refused since the last report. The count of reported lines is written after both
// have it; a report that is repeated after a crash is the same statement, which they know.
func (c *Collector) reportRefusals(ctx context.Context) error {
	list, _, err := c.Refusals()
	if err != nil {
		return err
	}
	var reported int
	if err := readStored(c.path(reportedFile), &reported); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for ; reported < len(list); reported++ {
		if err := c.report(ctx, list[reported], reported); err != nil {
			return err
		}
		count, err := record.Marshal(reported + 1)
		if err != nil {
			return err
		}
		if err := c.disk.replace(c.path(reportedFile), count); err != nil {
			return err
		}
	}
	return nil
}

// report signs one refusal. Its nonce comes from the line and its place, so that signing it again gives the same statement.
func (c *Collector) report(ctx context.Context, r Refusal, line int) error {
	if r.Chain == (record.Digest{}) {
		return nil // nobody's journal is the right one
	}
	raw, err := record.Marshal(r)
	if err != nil {
		return err
	}
	nonce := record.HashBytes(fmt.Appendf(raw, " %d", line))
	statement, err := record.Sign(c.cfg.Signer, record.TypeRefusal, r.At, record.Refusal{
		Audience: c.cfg.Fingerprint, Chain: r.Chain, Issued: r.At, Nonce: record.ID(nonce[:16]), Reason: r.Reason})
	if err != nil {
		return err
	}
	for _, role := range []seal.Role{seal.Court, seal.Custodian} {
		if err := c.call("refusal"); err != nil {
			return err
		}
		err := c.keyholder(role).FileRefusal(ctx, statement)
		if kind := problem.KindOf(err); err != nil && kind != problem.NotFound && kind != problem.Invalid {
			return err
		}
	}
	return nil
}

// Refusals reads what was refused so far, and counts lines that a crash cut short.
func (c *Collector) Refusals() (list []Refusal, torn int, err error) {
	f, err := os.Open(c.path(refusalsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, spoolFailed(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r Refusal
		if record.Unmarshal(lines.Bytes(), &r) != nil {
			torn++
			continue
		}
		list = append(list, r)
	}
	return list, torn, spoolFailed(lines.Err())
}
