package collector

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

// directAlign is what every Linux file system accepts for buffer, offset and length of direct I/O.
const directAlign = 4096

// writeFile writes a new file. Where the file system can, it writes past the page cache: a pack is read again only
// once, when it is sent, and copying it into fresh pages costs more processor time than encrypting it.
func writeFile(path string, content []byte) (*os.File, error) {
	const flags = os.O_CREATE | os.O_TRUNC | os.O_WRONLY
	// Only a hint that decides between two ways to write the same bytes: the kernel checks alignment itself.
	if len(content)%directAlign == 0 && uintptr(unsafe.Pointer(unsafe.SliceData(content)))%directAlign == 0 {
		f, err := os.OpenFile(path, flags|syscall.O_DIRECT, 0o600)
		if err == nil {
			if _, err = f.Write(content); err == nil {
				return f, nil
			}
			f.Close()
		}
		if !errors.Is(err, syscall.EINVAL) {
			return nil, err
		}
	}
	return writePlain(path, content)
}
