package mirror

import (
	"os"
	"path/filepath"
)

// replace writes content under a name so that after a crash the name holds the old content or the new, whole.
func (m *Mirror) replace(path string, content []byte) error {
	temp := m.path("incoming", filepath.Base(path)+".new")
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return failed(err, "write in the mirror's folder")
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		os.Remove(temp)
		return failed(err, "write in the mirror's folder")
	}
	return rename(temp, path)
}

// rename moves a synced file to its name and makes that durable.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return failed(err, "write in the mirror's folder")
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return failed(err, "write in the mirror's folder")
	}
	defer dir.Close()
	return failed(dir.Sync(), "write in the mirror's folder")
}

// prepare makes the folders and forgets what an interrupted Sync left half fetched.
func (m *Mirror) prepare() error {
	for _, name := range []string{"packs", "index", "incoming", "evidence"} {
		if err := os.MkdirAll(m.path(name), 0o700); err != nil {
			return failed(err, "make the mirror's folder")
		}
	}
	left, err := os.ReadDir(m.path("incoming"))
	if err != nil {
		return failed(err, "read the mirror's folder")
	}
	for _, f := range left {
		if err := os.Remove(m.path("incoming", f.Name())); err != nil {
			return failed(err, "empty the mirror's incoming folder")
		}
	}
	return nil
}
