package collector

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store/direct"
)

// disk does every write of the spool, so that tests can stop it before any of them.
type disk struct {
	fault func(step string) error // nil in production
}

func (d disk) step(name string) error {
	if d.fault == nil {
		return nil
	}
	return d.fault(name)
}

// writeFile writes a new file, which is not synced yet.
func writeFile(path string, content []byte) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := direct.NewWriter(f, int64(len(content))).Write(content); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// replace makes content the file's content, durably, or leaves the old one.
func (d disk) replace(path string, content []byte) error {
	temp := path + ".new"
	if err := d.write(temp, content); err != nil {
		_ = os.Remove(temp) // what is left is removed at the next start
		return spoolFailed(err)
	}
	return d.rename(temp, path)
}

// rename moves a synced file to its name and syncs the folder. After it the file survives power loss.
func (d disk) rename(from, to string) error {
	if err := d.move(from, to); err != nil {
		return err
	}
	return d.syncFolder(filepath.Dir(to))
}

// move is rename before the folder is synced.
func (d disk) move(from, to string) error {
	if err := d.step("rename " + filepath.Base(to)); err != nil {
		return err
	}
	return spoolFailed(os.Rename(from, to))
}

func (d disk) write(path string, content []byte) error {
	if err := d.step("write " + filepath.Base(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (d disk) syncFolder(path string) error {
	if err := d.step("sync " + filepath.Base(path)); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return spoolFailed(err)
	}
	return spoolFailed(errors.Join(f.Sync(), f.Close()))
}

// remove deletes a file; an absent one is no error.
func (d disk) remove(path string) error {
	if err := d.step("remove " + filepath.Base(path)); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return spoolFailed(err)
	}
	return nil
}

// appendLine adds a line to a file, durably. A line that a crash cut short is ended first, so that it spoils no other.
func (d disk) appendLine(path string, line []byte) error {
	if err := d.step("append " + filepath.Base(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return spoolFailed(err)
	}
	if info, statErr := f.Stat(); statErr == nil && info.Size() > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], info.Size()-1); err == nil && last[0] != '\n' {
			line = append([]byte("\n"), line...)
		}
	}
	_, err = f.Write(append(line, '\n'))
	if err == nil {
		err = f.Sync()
	}
	return spoolFailed(errors.Join(err, f.Close()))
}

// spoolFailed turns a file error into one that says what to do.
func spoolFailed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*problem.Error)):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return problem.Wrap(problem.Unavailable, err, "the spool's disk is full; what was reported as sealed is safe; free space, or send what waits with arca spool --flush, and seal the rest again")
	}
	return problem.Wrap(problem.Unavailable, err, "the spool folder cannot be read or written; check the disk and its rights; nothing that was reported as sealed is lost")
}
