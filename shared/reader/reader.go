package reader

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/wire"
)

// Keyholder is what a reader asks of court or custodian; *wire.Keyholder satisfies it. Signed answers are verified here.
type Keyholder interface {
	Ask(ctx context.Context, statement string) (wire.Named, error)
	Decide(ctx context.Context, statement string) error
	FileAct(ctx context.Context, statement string) error
	Inbox(ctx context.Context, from int64) (wire.Inbox, error)
	Request(ctx context.Context, hash record.Digest) (wire.Asked, error)
	Release(ctx context.Context, request record.Digest, from int) (string, error)
	People(ctx context.Context) (wire.People, error)
	Order(ctx context.Context, chain record.Digest) (wire.Order, error)
	Orders(ctx context.Context) (wire.Orders, error)
	StatusAndMembers(ctx context.Context, nonce record.ID, chains ...record.Digest) (string, [][]string, error)
	Log(ctx context.Context, chain record.Digest, from int64) (wire.Log, error)
}

// Mirror is where packs are read; *mirror.Mirror satisfies it.
type Mirror interface {
	seal.Source
	// SlotArea gives a pack's slot area only after it was held against the witnessed log.
	SlotArea(number uint64) ([]byte, error)
	// Opening gives a pack's event with what opens and proves its log entry.
	Opening(number uint64) (event, random, proof []byte, err error)
	// Last gives the newest mirrored number; all before it are mirrored.
	Last() (uint64, error)
}

// Config is what a reader is given.
type Config struct {
	Identity    *record.Signer
	Folder      string        // people/NAME
	Trust       record.Trust  // pinned
	Fingerprint record.Digest // of the trust file: the audience of every statement
	Court       Keyholder
	Custodian   Keyholder
	Mirror      Mirror // nil where nothing is listed or opened
	Now         func() time.Time
	Stdout      io.Writer     // what Open writes to for "-"
	Patience    time.Duration // how long to wait for the log; 0 means 5 seconds

	// Progress is told while Open writes: bytes written, and of how many at most. It may be nil.
	Progress func(done, total int64)
}

// Reader is one person's. Safe for concurrent use.
type Reader struct {
	cfg      Config
	geometry seal.Geometry

	queue  sync.Mutex // held while acts are queued or filed
	mu     sync.Mutex
	people map[record.KeyID]record.Enrolment // verified, of this process
	joints map[record.KeyID]record.Joint     // the same, as signed
}

// Open checks the configuration and makes the reader's folders.
func Open(cfg Config) (*Reader, error) {
	if cfg.Identity == nil || cfg.Folder == "" || cfg.Now == nil || cfg.Court == nil || cfg.Custodian == nil || cfg.Fingerprint.IsZero() {
		return nil, problem.New(problem.Invalid, "a reader needs an identity, a folder, a pinned trust file, both keyholders and a clock")
	}
	if err := cfg.Trust.Validate(); err != nil {
		return nil, err
	}
	g := seal.Geometry{Size: cfg.Trust.Pack.Size, Slots: cfg.Trust.Pack.Slots}
	if err := g.Check(); err != nil {
		return nil, err
	}
	if cfg.Patience == 0 {
		cfg.Patience = 5 * time.Second
	}
	for _, name := range []string{"requests", "decisions", "cache", actsFolder} {
		if err := os.MkdirAll(filepath.Join(cfg.Folder, name), 0o700); err != nil {
			return nil, failed(err)
		}
	}
	return &Reader{cfg: cfg, geometry: g, people: map[record.KeyID]record.Enrolment{}, joints: map[record.KeyID]record.Joint{}}, nil
}

func (r *Reader) now() time.Time { return record.Second(r.cfg.Now()) }

func (r *Reader) path(parts ...string) string {
	return filepath.Join(append([]string{r.cfg.Folder}, parts...)...)
}

// Parties in the order in which they are named.
var parties = []seal.Role{seal.Court, seal.Custodian}

func (r *Reader) keyholder(role seal.Role) Keyholder {
	if role == seal.Court {
		return r.cfg.Court
	}
	return r.cfg.Custodian
}

// write puts content under a name so that a crash leaves the old content or the new, whole, and the new is durable.
func (r *Reader) write(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // made with mode 0600
	if err != nil {
		return failed(err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return failed(err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return failed(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return failed(err)
	}
	return nil
}

// failed wraps an error of this machine's files. The path in the cause is for the log.
func failed(err error) error {
	return problem.Wrap(problem.Unavailable, err, "this machine could not read or write a file; make room or repair the folder and try again")
}

// pause waits before another look, longer each time.
func pause(ctx context.Context, attempt int) error {
	select {
	case <-ctx.Done():
		return problem.Wrap(problem.Unavailable, ctx.Err(), "the answer did not come in time; try again")
	case <-time.After(min(25*time.Millisecond<<min(attempt, 5), 500*time.Millisecond)):
		return nil
	}
}
