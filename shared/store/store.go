// Package store states what Arca asks of a database and of an object store.
//
// Both interfaces are shaped by the limits of DynamoDB and S3, so that an
// engine that satisfies the conformance suite in storetest can be replaced by
// any other without a change above. Nothing here knows an engine.
//
// Rows promises: a Get sees every Commit that returned before it began
// (strongly consistent); a Commit happens whole or not at all; what Commit
// acknowledged survives kill -9 and power loss. An engine that cannot tell
// whether a Commit landed reads back before it answers; if it still cannot
// tell it answers Unavailable, and the caller reads before it repeats.
//
// Blobs promises: an object is written once, whole, with a checksum that the
// engine verified; it is never overwritten; what Put acknowledged survives
// kill -9 and power loss.
package store

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Limits of a Rows, whatever its engine. DynamoDB counts attribute names and
// its own bookkeeping (version, expiry, commit token: under 128 bytes a row) in its
// 400 KiB per item and 4 MiB per transaction, so that much is kept free.
const (
	MaxRows       = 100                 // rows per Get and writes per Commit
	MaxRowBytes   = 400<<10 - 128       // key plus value of one row
	MaxCommitSize = 4<<20 - 128*MaxRows // keys plus values of one Commit
	MaxKeyBytes   = 512                 // a row's key, UTF-8, not empty
	MaxSegments   = 1000                // segments of a Scan
)

// Limits of a Blobs, whatever its engine.
const (
	MaxBlobKeyBytes = 256
	MaxBlobBytes    = 5 << 30 // what one S3 upload takes
	MaxList         = 1000
)

// Row is one item. Version starts at 1 and grows by one with each Put.
type Row struct {
	Key     string
	Value   []byte
	Version int64
	Expires time.Time // zero: never; whole seconds, fractions are dropped. An expired row reads as absent; expiry is not destruction.
}

// Op is what a Write does to its row.
type Op int

// The operations. Every one is conditional on Write.Version.
const (
	Put    Op = iota // store Value as version Write.Version+1
	Delete           // remove the row
	Check            // change nothing, only require the version
)

// Write is one conditional write. Version is the version that the row must
// have now; 0 means that the row must not exist (an expired row counts as
// absent; Delete needs a version). A version counter is never reused within a
// row's life; after Delete or expiry it starts again at 1.
type Write struct {
	Op      Op
	Key     string
	Value   []byte
	Version int64
	Expires time.Time
}

// Rows stores small items. Errors: problem.Invalid for a broken limit,
// problem.Conflict when a condition does not hold (nothing was written),
// problem.Unavailable when the engine did not answer in time.
type Rows interface {
	// Get returns the present rows among keys (≤ MaxRows, no duplicates).
	Get(ctx context.Context, keys ...string) (map[string]Row, error)
	// Commit applies all writes or none (1 to MaxRows, one per key, ≤ MaxCommitSize).
	Commit(ctx context.Context, writes ...Write) error
	// Scan yields every row of segment number segment (0-based) of segments,
	// in no order, each at least once, until yield returns an error, which Scan returns.
	// Rows written while a Scan runs may or may not be seen.
	Scan(ctx context.Context, segment, segments int, yield func(Row) error) error
}

// Info describes an object. SHA256 is what Put verified.
type Info struct {
	Key    string
	Size   int64
	SHA256 [32]byte
}

// Blobs stores large immutable objects. Keys are lower-case ASCII letters,
// digits, '.', '_', '-' and '/', at most 256 bytes, no empty, "." or ".." path
// element, none over 255 bytes; no key may be the folder of another (x and x/y), because a
// file system cannot hold both. Errors: problem.Conflict when the key exists, problem.Invalid when
// size or checksum do not match (nothing is stored), problem.NotFound,
// problem.Unavailable.
type Blobs interface {
	// Put stores exactly size bytes whose SHA-256 is sum, if the key is new.
	Put(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error
	// Get reads length bytes from offset; length -1 reads to the end. A range
	// that reaches outside the object is problem.Invalid. The caller closes.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	Stat(ctx context.Context, key string) (Info, error)
	// List returns up to limit (≤ 1000) objects with the prefix whose keys sort after after, in byte order.
	// SHA256 may be zero in a listing.
	List(ctx context.Context, prefix, after string, limit int) ([]Info, error)
	// Delete removes an object; deleting what is absent succeeds.
	Delete(ctx context.Context, key string) error
}

// Transfer is one HTTP request that a third party may make without credentials
// of its own, until it expires. For an upload the headers bind size and
// checksum and forbid overwriting; they must be sent exactly.
type Transfer struct {
	Method  string
	URL     string
	Header  http.Header
	Expires time.Time
}

// Presigner lets a client move an object straight to or from the object store.
type Presigner interface {
	PresignPut(ctx context.Context, key string, size int64, sum [32]byte, expires time.Time) (Transfer, error)
	PresignGet(ctx context.Context, key string, expires time.Time) (Transfer, error)
}
