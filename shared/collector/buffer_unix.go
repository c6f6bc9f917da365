//go:build unix

package collector

import "syscall"

// newBuffer gives a pack's buffer outside the heap: the collector of garbage would otherwise let as much
// garbage pile up as the buffers take. It starts at a page, as direct I/O wants it.
func newBuffer(size int) []byte {
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size)
	}
	return b
}

// freeBuffer gives it back. Nobody may use it afterwards.
func freeBuffer(b []byte) { _ = syscall.Munmap(b) } // fails, harmlessly, for one from the heap
