//go:build !unix

package direct

// Buffer gives size bytes of zeros.
func Buffer(size int) []byte { return make([]byte, size) }

// Free leaves a Buffer to the garbage collector.
func Free([]byte) {}
