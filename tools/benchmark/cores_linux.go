package main

import (
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// onCores runs f on so many of the machine's cores: the kernel keeps every thread of this process there. GOMAXPROCS stays at two, as cmd/arca sees
// to: a thread that waits for the disk should not hold up one that computes.
func onCores(n int, f func() error) error {
	var all, few unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	for cpu := 0; cpu < len(all)*64 && few.Count() < n; cpu++ {
		if all.IsSet(cpu) {
			few.Set(cpu)
		}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(n, 2)))
	if err := everyThread(&few); err != nil {
		return err
	}
	err := f()
	if back := everyThread(&all); err == nil {
		err = back
	}
	return err
}

// everyThread moves all threads. New ones inherit; one that starts meanwhile is met by the second round.
func everyThread(set *unix.CPUSet) error {
	for range 2 {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range tasks {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			if err := unix.SchedSetaffinity(id, set); err != nil && err != unix.ESRCH {
				return err
			}
		}
	}
	return nil
}
