package keys

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"filippo.io/age"
)

// Limits of a key file.
const (
	maxFileBytes = 256 << 10 // encrypted or not (record.Unmarshal's limit); a root takes about 95, so there is room for some 2,000
	ageOverhead  = 64 << 10  // header, one tag per 64 KiB; a backup has a stanza of 2 KiB per recipient
	rootBytes    = 32
	idBytes      = 8
)

// File keeps roots in one file, encrypted with age's scrypt recipient, mode
// 0600. Inside is canonical JSON:
//
//	{"roots":{"base":{"id":"00112233445566aa","key":"<base64 of 32 bytes>"}},"version":1}
//
// The file is read once, when it is opened; the roots then live in memory, so
// that no request pays for scrypt. Each change writes a whole new file beside
// the old one, syncs it, renames it over the old one and syncs the folder:
// after the rename the change exists. A change first compares the file with
// what this process last read or wrote, under a lock on "<path>.lock", so two
// processes cannot undo each other's.
type File struct {
	path   string
	secret Secret
	step   func(string) error // fault injection: called before each step of a replacement; nil outside tests

	mu     sync.Mutex
	sum    [sha256.Size]byte // of the file as this process knows it
	roots  map[string]*softRoot
	broken error // set when a replacement ended in doubt; every later call refuses
}

type fileBody struct {
	Roots   map[string]fileRoot `json:"roots"`
	Version int                 `json:"version"`
}

type fileRoot struct {
	ID  string `json:"id"`
	Key []byte `json:"key"`
}

var _ Roots = (*File)(nil)

// CreateFile makes a key file without roots; problem.Conflict when the path exists.
func CreateFile(path string, secret Secret) (*File, error) {
	return newFile(path, secret, map[string]*softRoot{})
}

// OpenFile reads a key file. It refuses a file that its group or others may
// read, one that is not a regular file, and one that the secret does not open.
func OpenFile(path string, secret Secret) (*File, error) {
	sealed, err := readGuarded(path)
	if err != nil {
		return nil, err
	}
	plain, err := openScrypt(sealed, secret)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	roots, err := parseBody(plain)
	if err != nil {
		return nil, err
	}
	return &File{path: path, secret: secret, sum: sha256.Sum256(sealed), roots: roots}, nil
}

// readGuarded reads a small file after checking who else could.
func readGuarded(path string) ([]byte, error) {
	// O_NOFOLLOW: a link would let another folder's owner choose the file.
	h, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.Wrap(problem.NotFound, err, "there is no key file at the configured path; create it with arca init, or restore it from its backup")
	} else if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the key file cannot be opened; check its path and its owner")
	}
	defer h.Close()
	info, err := h.Stat() // of the open handle, so that what is checked is what is read
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the key file cannot be read")
	}
	if !info.Mode().IsRegular() {
		return nil, problem.New(problem.Denied, "the key file is not a regular file")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, problem.New(problem.Denied, "the key file can be read or written by other users; run chmod 600 on it, and treat its roots as seen if that was not meant")
	}
	b, err := io.ReadAll(io.LimitReader(h, maxFileBytes+1))
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the key file cannot be read")
	}
	if len(b) > maxFileBytes {
		return nil, problem.New(problem.Invalid, "the key file is larger than a key file can be")
	}
	return b, nil
}

func openScrypt(sealed []byte, secret Secret) ([]byte, error) {
	id, err := age.NewScryptIdentity(secret.text)
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the key file needs its secret")
	}
	id.SetMaxWorkFactor(secret.work + slackWork)
	return decrypt(sealed, "the key file does not open: wrong secret, or the file was altered", id)
}

func decrypt(sealed []byte, refusal string, ids ...age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	if err != nil {
		return nil, problem.Wrap(problem.Denied, err, "%s", refusal)
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil || len(plain) > maxFileBytes {
		return nil, problem.Wrap(problem.Denied, err, "%s", refusal)
	}
	return plain, nil
}

// parseBody accepts the canonical form only.
func parseBody(plain []byte) (map[string]*softRoot, error) {
	refuse := func(cause error) error {
		return problem.Wrap(problem.Invalid, cause, "the key file opens but its content is not a list of root keys of version 1")
	}
	var body fileBody
	if err := record.Unmarshal(plain, &body); err != nil {
		return nil, refuse(err)
	}
	if body.Version != 1 || body.Roots == nil {
		return nil, refuse(errors.New("another version"))
	}
	roots := map[string]*softRoot{}
	for name, r := range body.Roots {
		id, err := hex.DecodeString(r.ID)
		if err != nil || len(id) != idBytes || hex.EncodeToString(id) != r.ID || len(r.Key) != rootBytes || CheckName(name) != nil {
			return nil, refuse(errors.New("a root has a wrong name or size"))
		}
		roots[name] = newSoftRoot(name+"@"+r.ID, r.Key)
	}
	return roots, nil
}

// encodeBody encodes roots canonically.
func encodeBody(roots map[string]*softRoot) ([]byte, error) {
	body := fileBody{Roots: map[string]fileRoot{}, Version: 1}
	for name, r := range roots {
		body.Roots[name] = fileRoot{ID: r.id[len(name)+1:], Key: r.key}
	}
	return record.Marshal(body)
}

func (f *File) seal(roots map[string]*softRoot) ([]byte, error) {
	r, err := age.NewScryptRecipient(f.secret.text)
	if err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the key file needs a secret")
	}
	r.SetWorkFactor(f.secret.work)
	return encrypt(roots, r)
}

func encrypt(roots map[string]*softRoot, to ...age.Recipient) ([]byte, error) {
	plain, err := encodeBody(roots)
	if err != nil {
		return nil, fmt.Errorf("encode roots: %w", err)
	}
	defer clear(plain)
	if len(plain) > maxFileBytes-ageOverhead { // what could not be read again must not be written
		return nil, problem.New(problem.Invalid, "the key file is full; destroy roots that are no longer needed")
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, fmt.Errorf("encrypt roots: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("encrypt roots: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypt roots: %w", err)
	}
	return out.Bytes(), nil
}

// Open returns a root from memory.
func (f *File) Open(ctx context.Context, name string) (Root, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return nil, f.inDoubt()
	}
	if r, ok := f.roots[name]; ok {
		return r, nil
	}
	return nil, ErrAbsent()
}

// Create adds a root and returns it once it is durable.
func (f *File) Create(ctx context.Context, name string) (Root, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.roots[name]; ok {
		return nil, ErrTaken()
	}
	id, key := make([]byte, idBytes), make([]byte, rootBytes)
	rand.Read(id) // never fails: the runtime stops the process instead
	rand.Read(key)
	next := copyRoots(f.roots)
	next[name] = newSoftRoot(name+"@"+hex.EncodeToString(id), key)
	if err := f.replace(next, false); err != nil {
		return nil, err
	}
	return next[name], nil
}

// Destroy writes the file without the root, overwrites the old file's blocks
// once and forgets the key in memory. See DestroyLimits.
func (f *File) Destroy(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.roots[name]
	if !ok {
		return ErrAbsent()
	}
	next := copyRoots(f.roots)
	delete(next, name)
	err := f.replace(next, true)
	if f.roots[name] == nil { // also when only the overwriting of old blocks failed
		r.forget()
	}
	return err
}

// Names lists the roots.
func (f *File) Names(ctx context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return nil, f.inDoubt()
	}
	return sortedNames(f.roots), nil
}

// DestroyLimits is honest about file systems.
func (f *File) DestroyLimits() string {
	return "The root is gone from the key file and the old file's blocks were overwritten once. A file system cannot promise more: " +
		"flash translation layers, journals, copy-on-write, snapshots and backups may keep the old encrypted file, and whoever has such a copy and the file's secret still has the root."
}

func (f *File) inDoubt() error {
	return problem.Wrap(problem.Unavailable, f.broken, "the last change of the key file ended in doubt; nothing was lost; restart this process so that it reads the file again")
}

func copyRoots(roots map[string]*softRoot) map[string]*softRoot {
	next := make(map[string]*softRoot, len(roots)+1)
	for name, r := range roots {
		next[name] = r
	}
	return next
}

func sortedNames(roots map[string]*softRoot) []string {
	names := make([]string, 0, len(roots))
	for name := range roots {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Format redacts under every verb.
func (f *File) Format(s fmt.State, _ rune) {
	io.WriteString(s, "key file "+filepath.Base(f.path)+" "+redacted)
}

// LogValue redacts in logs.
func (f *File) LogValue() slog.Value { return slog.StringValue("key file " + redacted) }

// MarshalText redacts in every encoding.
func (f *File) MarshalText() ([]byte, error) { return []byte("key file " + redacted), nil }
