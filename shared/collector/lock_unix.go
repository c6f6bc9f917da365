//go:build unix

package collector

import (
	"os"
	"path/filepath"
	"syscall"

	"arca.example/arca/shared/problem"
)

// lockFolder takes the folder for this process. The kernel lets go of the lock
// when the process ends, however it ends.
func lockFolder(folder string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(folder, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, spoolFailed(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, problem.Wrap(problem.Unavailable, err, "another process works in this spool folder; wait until it is done, or use a second collector with a folder and key of its own")
	}
	return f.Close, nil
}
