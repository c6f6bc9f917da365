//go:build !unix

package collector

import "arca.example/arca/shared/problem"

// lockFolder refuses where no lock is known that a killed process gives up.
func lockFolder(string) (func() error, error) {
	return nil, problem.New(problem.Invalid, "a collector runs on Unix systems only")
}
