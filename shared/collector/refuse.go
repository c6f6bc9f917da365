package collector

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
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
