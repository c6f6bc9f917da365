package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"arca.example/arca/shared/problem"
)

// newFile writes the first version of a key file, if the path is new.
func newFile(path string, secret Secret, roots map[string]*softRoot) (*File, error) {
	f := &File{path: path, secret: secret, roots: roots}
	sealed, err := f.seal(roots)
	if err != nil {
		return nil, err
	}
	f.sum = sha256.Sum256(sealed)
	temp, err := f.writeTemp(sealed)
	if err != nil {
		return nil, unwritten(err)
	}
	defer os.Remove(temp)
	// Link, unlike rename, refuses an existing name: a key file is never replaced by an empty one.
	if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return nil, problem.Wrap(problem.Conflict, err, "a key file exists at this path; open it, or choose another path")
	} else if err != nil {
		return nil, unwritten(err)
	}
	// After this line the file exists.
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the key file was made, but its folder could not be synced to disk; open it instead of making it again")
	}
	return f, nil
}

// replace makes roots the file's content and then f's. The caller holds f.mu.
// An error before the rename changes nothing. An error after it leaves in doubt
// what a power loss would leave, so f refuses everything from then on: a root
// that might vanish must not wrap anything. With overwrite the old file's
// blocks are overwritten once the new file is durable.
func (f *File) replace(roots map[string]*softRoot, overwrite bool) error {
	if f.broken != nil {
		return f.inDoubt()
	}
	unlock, err := lockFile(f.path + ".lock")
	if err != nil {
		return unwritten(err)
	}
	defer unlock()
	if err := f.unchanged(); err != nil {
		return err
	}
	sealed, err := f.seal(roots)
	if err != nil {
		return err
	}
	temp, err := f.writeTemp(sealed)
	if err != nil {
		return unwritten(err)
	}
	defer os.Remove(temp) // gone after the rename; a leftover otherwise
	old, err := os.OpenFile(f.path, os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return unwritten(err)
	}
	defer old.Close()
	if err := f.at("rename"); err != nil {
		return unwritten(err)
	}
	if err := os.Rename(temp, f.path); err != nil {
		return unwritten(err)
	}
	if err := errors.Join(f.at("sync folder"), syncFolder(filepath.Dir(f.path))); err != nil {
		f.broken = err
		return f.inDoubt()
	}
	// After this line the new content exists, whatever happens.
	f.sum, f.roots = sha256.Sum256(sealed), roots
	if !overwrite {
		return nil
	}
	return f.scrub(old)
}

// unchanged refuses when another process changed the file since f read it.
func (f *File) unchanged() error {
	now, err := readGuarded(f.path)
	if err != nil {
		return err
	}
	if sha256.Sum256(now) != f.sum {
		return problem.New(problem.Conflict, "another process changed the key file; restart this one so that it reads the file again")
	}
	return nil
}

func (f *File) writeTemp(sealed []byte) (string, error) {
	if err := f.at("temp"); err != nil {
		return "", err
	}
	h, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.path)+".new-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = h.Write(sealed)
	err = errors.Join(err, f.at("sync temp"), h.Sync(), h.Close())
	if err != nil {
		os.Remove(h.Name())
		return "", err
	}
	return h.Name(), nil
}

// scrub overwrites the replaced file, whose name is gone, with random bytes.
// On an in-place file system that removes the old ciphertext; DestroyLimits
// says where it does not.
func (f *File) scrub(old *os.File) error {
	err := f.at("scrub")
	if info, statErr := old.Stat(); err == nil && statErr == nil {
		noise := make([]byte, info.Size())
		rand.Read(noise)
		_, err = old.WriteAt(noise, 0)
		err = errors.Join(err, old.Sync())
	} else {
		err = errors.Join(err, statErr)
	}
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the key file was replaced, but its old blocks could not be overwritten; treat the old file as still readable")
	}
	return nil
}

func (f *File) at(step string) error {
	if f.step == nil {
		return nil
	}
	return f.step(step)
}

func unwritten(cause error) error {
	return problem.Wrap(problem.Unavailable, cause, "the key file could not be written; nothing changed; check space and permissions of its folder")
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockFile takes an advisory lock that the system drops with the process.
func lockFile(path string) (unlock func(), err error) {
	h, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(h.Fd()), syscall.LOCK_EX); err != nil {
		h.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return func() { h.Close() }, nil
}
