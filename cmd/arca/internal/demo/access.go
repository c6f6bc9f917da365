package demo

import (
	"fmt"
	"os"
	"path/filepath"

	"arca.example/arca/shared/local/accesslog"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/record"
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
	seen, err := accesslog.Check(file, principals)
	if err != nil {
		return err
	}
	if seen.Fetched == 0 {
		return fmt.Errorf("the access log shows nothing")
	}
	s.saw("%d lines of its access log: ticks, log entries and whole packs 1 to %d in order, by court, custodian, collector and mirror, and nothing else", seen.Lines, seen.Fetched)
	return nil
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
