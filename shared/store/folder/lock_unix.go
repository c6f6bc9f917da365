//go:build unix

package folder

import (
	"os"
	"syscall"
)

// lockFolder marks the folder as used until the file is closed or the process
// dies, and says whether this process is the only one. Only then are unfinished
// uploads nobody's.
func lockFolder(path string) (f *os.File, alone bool, err error) {
	if f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, false, err
	}
	alone = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH); err != nil {
		f.Close()
		return nil, false, err
	}
	return f, alone, nil
}
