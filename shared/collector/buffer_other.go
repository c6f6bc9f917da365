//go:build !unix

package collector

// newBuffer gives a pack's buffer.
func newBuffer(size int) []byte { return make([]byte, size) }

// freeBuffer leaves it to the garbage collector.
func freeBuffer([]byte) {}
