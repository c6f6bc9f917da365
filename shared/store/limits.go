package store

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"arca.example/arca/shared/problem"
)

// CheckGet enforces the limits of Rows.Get. Every engine calls it first, so
// that what one engine refuses no other accepts.
func CheckGet(keys []string) error {
	if len(keys) > MaxRows {
		return problem.New(problem.Invalid, "at most %d rows can be read at once", MaxRows)
	}
	seen := make(map[string]bool, len(keys))
	for _, k := range keys {
		if err := checkRowKey(k); err != nil {
			return err
		}
		if seen[k] {
			return problem.New(problem.Invalid, "a row was asked for twice in one read")
		}
		seen[k] = true
	}
	return nil
}

// CheckCommit enforces the limits of Rows.Commit.
func CheckCommit(writes []Write) error {
	if len(writes) == 0 || len(writes) > MaxRows {
		return problem.New(problem.Invalid, "a commit takes 1 to %d writes", MaxRows)
	}
	total := 0
	seen := make(map[string]bool, len(writes))
	for _, w := range writes {
		if err := checkWrite(w); err != nil {
			return err
		}
		if seen[w.Key] {
			return problem.New(problem.Invalid, "a commit names a row twice")
		}
		seen[w.Key] = true
		total += len(w.Key) + len(w.Value)
	}
	if total > MaxCommitSize {
		return problem.New(problem.Invalid, "a commit holds at most %d bytes", MaxCommitSize)
	}
	return nil
}

func checkWrite(w Write) error {
	if err := checkRowKey(w.Key); err != nil {
		return err
	}
	switch {
	case w.Version < 0:
		return problem.New(problem.Invalid, "a row's version is not negative")
	case w.Op != Put && w.Op != Delete && w.Op != Check:
		return problem.New(problem.Invalid, "unknown kind of write")
	case w.Op != Put && len(w.Value) > 0:
		return problem.New(problem.Invalid, "only a put carries a value")
	case w.Op == Delete && w.Version == 0:
		return problem.New(problem.Invalid, "a delete names the version that it removes")
	case len(w.Key)+len(w.Value) > MaxRowBytes:
		return problem.New(problem.Invalid, "a row holds at most %d bytes", MaxRowBytes)
	}
	return nil
}

func checkRowKey(k string) error {
	if k == "" || len(k) > MaxKeyBytes || !utf8.ValidString(k) {
		return problem.New(problem.Invalid, "a row's key is 1 to %d bytes of UTF-8", MaxKeyBytes)
	}
	return nil
}

// CheckScan enforces the limits of Rows.Scan.
func CheckScan(segment, segments int) error {
	if segments < 1 || segments > MaxSegments || segment < 0 || segment >= segments {
		return problem.New(problem.Invalid, "a scan has 1 to %d segments, numbered from 0", MaxSegments)
	}
	return nil
}

// CheckBlobKey enforces the form of an object's key.
func CheckBlobKey(key string) error {
	bad := problem.New(problem.Invalid, "an object's key has lower-case letters, digits, '.', '_', '-' and '/', at most %d bytes, and no empty or dot element", MaxBlobKeyBytes)
	if key == "" || len(key) > MaxBlobKeyBytes || !blobAlphabet(key) {
		return bad
	}
	for element := range strings.SplitSeq(key, "/") {
		if element == "" || element == "." || element == ".." || len(element) > 255 {
			return bad
		}
	}
	return nil
}

// CheckPut enforces the limits of Blobs.Put.
func CheckPut(key string, size int64) error {
	if err := CheckBlobKey(key); err != nil {
		return err
	}
	if size < 0 || size > MaxBlobBytes {
		return problem.New(problem.Invalid, "an object has 0 to %d bytes", int64(MaxBlobBytes))
	}
	return nil
}

// CheckList enforces the limits of Blobs.List. Prefix and after may end anywhere in a key.
func CheckList(prefix, after string, limit int) error {
	if limit < 1 || limit > MaxList {
		return problem.New(problem.Invalid, "a listing has 1 to %d objects", MaxList)
	}
	if !blobAlphabet(prefix) || !blobAlphabet(after) || len(prefix) > MaxBlobKeyBytes || len(after) > MaxBlobKeyBytes {
		return problem.New(problem.Invalid, "a listing's prefix and start are parts of an object's key")
	}
	return nil
}

// CheckRange enforces the form of a range; whether it lies inside the object, the engine knows.
func CheckRange(offset, length int64) error {
	if offset < 0 || length < -1 {
		return problem.New(problem.Invalid, "a range starts at 0 or later and has a length of 0 or more, or -1 for the rest")
	}
	return nil
}

func blobAlphabet(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' && c != '/' {
			return false
		}
	}
	return true
}

// NewRequest makes the HTTP request of a transfer. Body is nil for a download.
// Content-Length stands in Header because the signature binds it, but Go's
// client takes it from the request's own field only.
func (t Transfer) NewRequest(ctx context.Context, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, t.Method, t.URL, body)
	if err != nil {
		return nil, err
	}
	for name, values := range t.Header {
		r.Header[name] = append([]string(nil), values...)
	}
	if length := t.Header.Get("Content-Length"); length != "" && body != nil {
		if r.ContentLength, err = strconv.ParseInt(length, 10, 64); err != nil {
			return nil, err
		}
		if r.ContentLength == 0 {
			r.Body = http.NoBody
		}
	}
	return r, nil
}

// Exactly reads size bytes of r and fails unless r ends there. It holds the
// last byte back until it has seen the end, so an engine that streams it never
// completes an object from a body that is too long.
func Exactly(r io.Reader, size int64) io.Reader { return &exact{r: r, left: size} }

type exact struct {
	r     io.Reader
	left  int64
	ended bool
	err   error
}

func (e *exact) Read(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	if e.left <= 1 && !e.ended {
		return e.last(p)
	}
	if e.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.left-1 {
		p = p[:e.left-1]
	}
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF {
		err = errBodySize()
	}
	e.err = err
	return n, err
}

// last reads the last byte together with the end behind it.
func (e *exact) last(p []byte) (int, error) {
	if len(p) == 0 && e.left == 1 {
		return 0, nil
	}
	var tail [2]byte
	n, err := io.ReadFull(e.r, tail[:e.left+1])
	switch {
	case err == nil: // more bytes than announced
		e.err = errBodySize()
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		e.err = err
	case int64(n) != e.left:
		e.err = errBodySize()
	}
	if e.err != nil {
		return 0, e.err
	}
	e.ended, e.left = true, 0
	if n == 0 {
		return 0, io.EOF
	}
	return copy(p, tail[:n]), nil
}

func errBodySize() error {
	return problem.New(problem.Invalid, "the object's body has not the announced size")
}
