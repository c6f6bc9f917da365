//go:build !linux

package collector

import "os"

// writeFile writes a new file.
func writeFile(path string, content []byte) (*os.File, error) { return writePlain(path, content) }
