//go:build !unix

package mirror

import "errors"

// lockFolder refuses where no lock is known that a killed process gives up.
func lockFolder(string) (func() error, error) {
	return nil, errors.New("a mirror is filled on Unix systems only")
}
