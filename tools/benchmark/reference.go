package main

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// noise fills b with bytes that no compressor shortens.
func noise(b []byte, salt byte) {
	rand.NewChaCha8([32]byte{salt}).Read(b)
}

// shaRate is what one core hashes per second of processor time, the best of five. Unlike bytes per second it does not fall, and make
// targets easier, when somebody else uses the machine.
func shaRate() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	data := make([]byte, 64<<20)
	noise(data, 1)
	best := 0.0
	for range 5 {
		before := usage(syscall.RUSAGE_THREAD)
		sha256.Sum256(data)
		best = max(best, rateOf(int64(len(data)), usage(syscall.RUSAGE_THREAD)-before))
	}
	return best
}

// diskRate is what the disk takes in files of a pack's size, each synced.
func (r *run) diskRate() (float64, error) {
	const pieces = 24
	data := make([]byte, 16<<20)
	noise(data, 2)
	began := time.Now()
	for range pieces {
		if err := writeSynced(filepath.Join(r.folder, "disk"), data); err != nil {
			return 0, err
		}
	}
	rate := rateOf(int64(pieces*len(data)), time.Since(began))
	return rate, os.Remove(filepath.Join(r.folder, "disk"))
}

func writeSynced(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// spent is the processor time that this process has used.
func spent() time.Duration { return usage(syscall.RUSAGE_SELF) }

func usage(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err) // it fails only for arguments that do not exist
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
