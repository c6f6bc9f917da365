//go:build !linux

package main

import "runtime"

// onCores runs f with so many processors of the Go scheduler: other systems have no common way to keep threads on a core.
func onCores(n int, f func() error) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	return f()
}
