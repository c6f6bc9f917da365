package installation

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"arca.example/arca/shared/problem"
)

const lockName = "serve.lock"

// Lock holds the installation for one process that runs its parties or replaces their data. The lock is the open file's: it
// ends with the process, however that ends. Errors: problem.Conflict when another process has it.
func (f *Folder) Lock() (release func() error, err error) {
	file, err := os.OpenFile(f.Dir(lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the installation's lock file cannot be written")
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder := make([]byte, 32)
		n, _ := file.Read(holder) // who it is is a courtesy
		_ = file.Close()
		return nil, problem.New(problem.Conflict, "arca serve runs on this folder already (process %s); stop it first", strings.TrimSpace(string(holder[:n])))
	}
	if err != nil {
		_ = file.Close()
		return nil, problem.Wrap(problem.Unavailable, err, "the installation cannot be locked")
	}
	if err := file.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(file, "%d\n", os.Getpid())
	}
	return file.Close, nil
}
