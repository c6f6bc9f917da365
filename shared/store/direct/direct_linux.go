package direct

import (
	"os"

	"golang.org/x/sys/unix"
)

// setDirect turns direct I/O of an open file on or off.
func setDirect(f *os.File, on bool) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil {
			inner = err
			return
		}
		flags &^= unix.O_DIRECT
		if on {
			flags |= unix.O_DIRECT
		}
		_, inner = unix.FcntlInt(fd, unix.F_SETFL, flags)
	})
	if err != nil {
		return err
	}
	return inner
}

// huge asks for huge pages, of which a write needs five hundred times fewer. It is a hint.
func huge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
