package installation

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/stamp"
)

// Authority is a time-stamping authority with its address.
type Authority struct {
	record.Authority
	URL string
}

// ReadAuthorities reads the file that arca init takes with --authorities. Roots are PEM files beside it.
func ReadAuthorities(path string) ([]Authority, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the file with the time-stamping authorities cannot be read")
	}
	var listed []struct{ Name, Policy, Root, URL string }
	if err := json.Unmarshal(raw, &listed); err != nil {
		return nil, problem.Wrap(problem.Invalid, err, `the file with the authorities reads [{"name": …, "url": …, "root": "FILE.pem", "policy": OPTIONAL}, …]`)
	}
	var list []Authority
	var records []record.Authority
	for i, l := range listed {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(path), l.Root))
		block, _ := pem.Decode(text)
		if err != nil || block == nil || block.Type != "CERTIFICATE" {
			return nil, problem.Wrap(problem.Invalid, err, "authority %d: its root must be a file with a certificate in PEM", i+1)
		}
		a := record.Authority{Name: l.Name, Policy: l.Policy, Root: block.Bytes}
		list, records = append(list, Authority{a, l.URL}), append(records, a)
	}
	_, err = stamp.New(records, nil) // only the check of their form
	return list, err
}
