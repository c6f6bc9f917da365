// Package folder keeps store.Blobs as files in a folder: the embedded default.
//
// It promises what store.Blobs promises. An object is written to a temporary
// file, hashed on the way, synced, and then linked to its name, which fails if
// the name exists; the folder is synced before Put returns. So a name appears
// with its whole, verified content or not at all, and never changes.
//
// It trusts the file system to keep what fsync acknowledged. It does not trust
// clients of its presigned URLs: a URL is bound by HMAC to method, key, size,
// checksum and expiry, and an upload through it is checked like any Put.
//
// Layout: the object pack/000000000001 is the file pack/000000000001, byte for
// byte. Unfinished uploads lie in TMP/, which no key can name because keys have
// no capital letters; Open removes them unless another process uses the folder.
package folder

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/direct"
)

const (
	temporary = "TMP"
	copyChunk = 2 << 20 // a huge page
	spares    = 4       // chunks kept for later
	knownSums = 4096    // checksums remembered from Put, so that Stat need not read the file
)

// Options of a folder. The zero value is usable.
type Options struct {
	// Base is the URL under which Handler is reachable, such as
	// "http://127.0.0.1:8080/objects/". SetBase sets it later.
	Base string
	// Secret keys the signatures of presigned URLs; nil draws one, so that URLs end with the process.
	Secret []byte
	// OnPut is called after an object became durable, however it came. It
	// plays the object-created event: an event may be lost in a crash, so whoever
	// listens must also be able to find out by Stat.
	OnPut func(key string, size int64)
	// Now is the clock for expiry of presigned URLs; nil is time.Now.
	Now func() time.Time
}

// Dir is a store.Blobs and store.Presigner in one folder. It is safe for concurrent use.
type Dir struct {
	root    string
	options Options
	lock    *os.File

	mu    sync.Mutex
	base  string
	sums  map[string][32]byte
	made  map[string]bool // folders that are known to exist durably
	spare chan []byte
}

// Open opens or creates the folder at root.
func Open(root string, options Options) (*Dir, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Secret == nil {
		options.Secret = make([]byte, 32)
		rand.Read(options.Secret) // never fails (crypto/rand)
	}
	d := &Dir{root: root, options: options, base: options.Base, sums: map[string][32]byte{}, made: map[string]bool{},
		spare: make(chan []byte, spares)}
	tmp := filepath.Join(root, temporary)
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, unavailable(err)
	}
	lock, alone, err := lockFolder(filepath.Join(tmp, "LOCK"))
	if err != nil {
		return nil, unavailable(err)
	}
	d.lock = lock
	if alone {
		if err := removeUnfinished(tmp); err != nil {
			lock.Close()
			return nil, unavailable(err)
		}
	}
	return d, nil
}

// Close releases the folder. Nothing waits to be written.
func (d *Dir) Close() error {
	for {
		select {
		case b := <-d.spare:
			direct.Free(b)
		default:
			return d.lock.Close()
		}
	}
}

// chunk gives a buffer for copying an object of the size, which release takes back. Small objects, such as the log's tiles, get one of
// their own size: a huge page for each would be cleared for nothing.
func (d *Dir) chunk(size int64) []byte {
	if size < direct.Least {
		return make([]byte, max(size, 1))
	}
	select {
	case b := <-d.spare:
		return b
	default:
		return direct.Buffer(copyChunk)
	}
}

func (d *Dir) release(chunk []byte) {
	if len(chunk) != copyChunk {
		return
	}
	select {
	case d.spare <- chunk:
	default:
		direct.Free(chunk)
	}
}

func removeUnfinished(tmp string) error {
	left, err := filepath.Glob(filepath.Join(tmp, "put-*"))
	for _, f := range left {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

func (d *Dir) path(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

// Put stores body if the key is new.
func (d *Dir) Put(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	if err := store.CheckPut(key, size); err != nil {
		return err
	}
	// Saves writing what link would refuse in the end.
	if _, err := os.Lstat(d.path(key)); err == nil {
		return exists()
	}
	temp, err := d.write(ctx, size, sum, body)
	if err != nil {
		return err
	}
	defer os.Remove(temp) // the second name of the object, or an object refused
	if err := d.publish(temp, key); err != nil {
		return err
	}
	d.remember(key, sum)
	if d.options.OnPut != nil {
		d.options.OnPut(key, size)
	}
	return nil
}

// write makes a synced temporary file of exactly the announced bytes.
func (d *Dir) write(ctx context.Context, size int64, sum [32]byte, body io.Reader) (name string, err error) {
	f, err := os.CreateTemp(filepath.Join(d.root, temporary), "put-*")
	if err != nil {
		return "", unavailable(err)
	}
	defer func() {
		if closed := f.Close(); err == nil && closed != nil {
			err = unavailable(closed)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	h := sha256.New()
	if err := d.copy(ctx, direct.NewWriter(f, size), d.chunk(size), h, store.Exactly(body, size)); err != nil {
		return "", err
	}
	if [32]byte(h.Sum(nil)) != sum {
		return "", problem.New(problem.Invalid, "the object does not have the announced checksum")
	}
	if err := f.Sync(); err != nil {
		return "", unavailable(err)
	}
	return f.Name(), nil
}

func (d *Dir) copy(ctx context.Context, f io.Writer, chunk []byte, h hash.Hash, body io.Reader) error {
	defer d.release(chunk)
	for {
		n, err := fill(chunk, body)
		h.Write(chunk[:n])
		if _, werr := f.Write(chunk[:n]); werr != nil {
			return unavailable(werr)
		}
		if ctx.Err() != nil {
			return unavailable(ctx.Err())
		}
		switch {
		case err == io.EOF:
			return nil // the body ended; Exactly has seen to it that it ended in the right place
		case problem.KindOf(err) == problem.Invalid:
			return err
		case err != nil:
			return problem.Wrap(problem.Unavailable, err, "the object's body broke off; nothing was stored; send it again")
		}
	}
}

// fill is io.ReadFull that passes the reader's own error on: a connection that
// broke off says io.ErrUnexpectedEOF and must not be taken for the end.
func fill(p []byte, r io.Reader) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// publish gives the file its name, if the name is free.
func (d *Dir) publish(temp, key string) error {
	path := d.path(key)
	if err := d.makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	// The commit point: link is atomic and refuses an existing name, where rename would replace it.
	switch err := os.Link(temp, path); {
	case errors.Is(err, fs.ErrExist):
		return exists()
	case err != nil:
		return unavailable(err)
	}
	return syncFolder(filepath.Dir(path))
}

// makeFolder creates a folder and makes its name durable, level by level.
func (d *Dir) makeFolder(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.makeFolderLocked(path)
}

func (d *Dir) makeFolderLocked(path string) error {
	if path == d.root || d.made[path] {
		return nil
	}
	if err := d.makeFolderLocked(filepath.Dir(path)); err != nil {
		return err
	}
	switch err := os.Mkdir(path, 0o700); {
	case errors.Is(err, fs.ErrExist):
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			return problem.New(problem.Invalid, "an object's key cannot continue another object's key after a '/'")
		}
	case err != nil:
		return unavailable(err)
	}
	// Also when it existed: a crash may have come between mkdir and this.
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return err
	}
	d.made[path] = true
	return nil
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return unavailable(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return unavailable(err)
	}
	return nil
}

// open opens an object's file and gives its size.
func (d *Dir) open(key string) (*os.File, int64, error) {
	if err := store.CheckBlobKey(key); err != nil {
		return nil, 0, err
	}
	f, err := os.Open(d.path(key))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, 0, absent()
	}
	if err != nil {
		return nil, 0, unavailable(err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		return f, info.Size(), nil
	}
	f.Close()
	if err == nil {
		return nil, 0, absent() // a folder
	}
	return nil, 0, unavailable(err)
}

// Get reads length bytes from offset.
func (d *Dir) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	f, size, err := d.open(key)
	if err != nil {
		return nil, err
	}
	if err = store.CheckRange(offset, length); err == nil && (offset > size || length > size-offset) {
		err = problem.New(problem.Invalid, "the range reaches outside the object")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	if length < 0 {
		length = size - offset
	}
	return section{io.NewSectionReader(f, offset, length), f}, nil
}

type section struct {
	*io.SectionReader
	io.Closer
}

// Stat gives size and checksum. The checksum is the one that Put verified while
// it is remembered, afterwards that of the bytes that lie there now.
func (d *Dir) Stat(ctx context.Context, key string) (store.Info, error) {
	f, size, err := d.open(key)
	if err != nil {
		return store.Info{}, err
	}
	defer f.Close()
	d.mu.Lock()
	sum, known := d.sums[key]
	d.mu.Unlock()
	if !known {
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return store.Info{}, unavailable(err)
		}
		sum = [32]byte(h.Sum(nil))
	}
	return store.Info{Key: key, Size: size, SHA256: sum}, nil
}

func (d *Dir) remember(key string, sum [32]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.sums) >= knownSums {
		for k := range d.sums {
			delete(d.sums, k) // any one; Stat can always read the file
			break
		}
	}
	d.sums[key] = sum
}

// Delete removes an object. Its folder stays.
func (d *Dir) Delete(ctx context.Context, key string) error {
	if err := store.CheckBlobKey(key); err != nil {
		return err
	}
	d.mu.Lock()
	delete(d.sums, key)
	d.mu.Unlock()
	path := d.path(key)
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unavailable(err)
	}
	return syncFolder(filepath.Dir(path))
}

// List lists in the byte order of keys, which is not the order of a folder
// tree: a folder sorts as its name with '/' behind it.
func (d *Dir) List(ctx context.Context, prefix, after string, limit int) ([]store.Info, error) {
	if err := store.CheckList(prefix, after, limit); err != nil {
		return nil, err
	}
	var found []store.Info
	err := d.walk("", prefix, after, limit, &found)
	return found, err
}

// walk adds the objects below the key prefix folder, which is empty or ends in '/'.
func (d *Dir) walk(folder, prefix, after string, limit int, found *[]store.Info) error {
	names, err := d.names(folder, prefix, after)
	if err != nil {
		return err
	}
	for _, key := range names {
		if len(*found) == limit {
			return nil
		}
		if strings.HasSuffix(key, "/") {
			if err := d.walk(key, prefix, after, limit, found); err != nil {
				return err
			}
			continue
		}
		info, err := os.Lstat(d.path(key))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return unavailable(err)
		}
		*found = append(*found, store.Info{Key: key, Size: info.Size()})
	}
	return nil
}

// names gives the keys of a folder's files, and its sub-folders with a '/'
// behind them, that can hold what is asked for, in byte order.
func (d *Dir) names(folder, prefix, after string) ([]string, error) {
	f, err := os.Open(d.path(folder))
	if err != nil {
		return nil, unavailable(err)
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, unavailable(err)
	}
	var names []string
	for _, e := range entries {
		key := folder + e.Name()
		switch {
		case e.IsDir() && key != temporary:
			key += "/"
			// All its keys start with key: skip it if none can match, or all lie before after.
			if (strings.HasPrefix(key, prefix) || strings.HasPrefix(prefix, key)) && (key > after || strings.HasPrefix(after, key)) {
				names = append(names, key)
			}
		case e.Type().IsRegular() && strings.HasPrefix(key, prefix) && key > after:
			names = append(names, key)
		}
	}
	slices.Sort(names)
	return names, nil
}

func exists() error {
	return problem.New(problem.Conflict, "an object with this key exists and is never overwritten")
}

func absent() error { return problem.New(problem.NotFound, "no such object") }

func unavailable(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return problem.Wrap(problem.Unavailable, err, "the object store has no space left; nothing was stored; free space and try again")
	}
	return problem.Wrap(problem.Unavailable, err, "the object store did not answer; try again")
}
