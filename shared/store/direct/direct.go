// Package direct writes large files past the page cache, where the file system can.
//
// A pack of 16 MiB is written once and read once, if at all. Copying it into fresh pages of the page cache takes more
// processor time than hashing it: 12 to 28 ms against 9 were measured, and 1 to 2 with direct I/O out of huge pages
// (docs/decisions/2026-11-26-direct-io.md). What a Writer promises is what a file promises, no less: bytes are
// durable after Sync, and a file system that refuses direct I/O gets plain writes of the same bytes.
package direct

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

// Align is what every Linux file system accepts for buffer, offset and length of direct I/O, in bytes.
const Align = 4096

// Least is the size from which it is worth while, in bytes. Smaller files are soon read again.
const Least = 1 << 20

// Writer writes one new file from its beginning. Not safe for concurrent use.
type Writer struct {
	f      *os.File
	direct bool
}

// NewWriter takes over writing of f, which stays the caller's to sync and close. size is what will be written.
func NewWriter(f *os.File, size int64) *Writer {
	return &Writer{f: f, direct: size >= Least && setDirect(f, true) == nil}
}

// Write writes p. As long as all pieces come from a Buffer and are multiples of Align they go straight to the disk; the
// first that does not ends that for the rest of the file.
func (w *Writer) Write(p []byte) (int, error) {
	if w.direct && aligned(p) {
		n, err := w.f.Write(p)
		if !errors.Is(err, syscall.EINVAL) || n > 0 {
			return n, err
		}
		// Only the kernel knows what the file system wants; it has written nothing.
	}
	if w.direct {
		w.direct = false
		if err := setDirect(w.f, false); err != nil {
			return 0, err
		}
	}
	return w.f.Write(p)
}

// aligned decides between two ways to write the same bytes: the kernel checks for itself.
func aligned(p []byte) bool {
	return len(p)%Align == 0 && uintptr(unsafe.Pointer(unsafe.SliceData(p)))%Align == 0
}
