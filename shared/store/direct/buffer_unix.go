//go:build unix

package direct

import "syscall"

// Buffer gives size bytes of zeros outside the heap: the collector of garbage would otherwise let as much garbage pile up as
// the buffers take. They start at a page. Whoever takes one gives it back with Free.
func Buffer(size int) []byte {
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size)
	}
	huge(b)
	return b
}

// Free gives a Buffer back, at its whole length. Nobody may use it afterwards.
func Free(b []byte) { _ = syscall.Munmap(b[:cap(b)]) } // fails, harmlessly, for one from the heap
