//go:build !unix

package witness

import "errors"

// lockFolder refuses where no lock is known that a killed process gives up.
func lockFolder(string) (func() error, error) {
	return nil, errors.New("a witness runs on Unix systems only")
}
