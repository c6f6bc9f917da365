package mirror

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/wire"
)

// Vault is what a mirror needs of the vault; *wire.Vault satisfies it. Nothing that it answers is believed.
type Vault interface {
	// Packs lists arrived packs from a number on, without a gap, and the lowest number never given out.
	Packs(ctx context.Context, from uint64) (wire.Packs, error)
	// Download gives the transfer of a whole pack.
	Download(ctx context.Context, number uint64) (store.Transfer, error)
	// Proof gives an entry's tlog-proof; problem.Unavailable or Conflict while it is not under a witnessed checkpoint.
	Proof(ctx context.Context, entry ledger.Entry) ([]byte, error)
	// Checkpoint gives the newest cosigned checkpoint.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Consistency gives path lines from a size, a blank line, and the newest cosigned checkpoint.
	Consistency(ctx context.Context, from int64) ([]byte, error)
	// Tile gives a tile of the log by its C2SP path.
	Tile(ctx context.Context, path string) ([]byte, error)
}

// Config is what a mirror is given.
type Config struct {
	Folder string           // the mirror's own; made on the first Sync
	Trust  record.Trust     // pinned: log, witnesses, shape of packs
	Vault  Vault            // for Sync only; nil where only packs are read
	HTTP   *http.Client     // moves packs; for Sync only
	Now    func() time.Time // this machine's clock

	// Patience is how long Sync waits while another process fills the folder; zero does not wait.
	Patience time.Duration
}

// Mirror is safe for concurrent use. Of several processes on one folder one may Sync while all read.
type Mirror struct {
	cfg      Config
	geometry seal.Geometry
	verifier *ledger.Verifier
	judge    judge

	mu       sync.Mutex
	verified map[uint64][32]byte // slot areas of this process: number → SHA-256, as witnessed
	top      uint64              // a number whose row was seen to exist
	file     *os.File            // the pack that was read last
	fileOf   uint64
}

// Open checks the configuration. It touches no file.
func Open(cfg Config) (*Mirror, error) {
	if cfg.Folder == "" || cfg.Now == nil {
		return nil, problem.New(problem.Invalid, "a mirror needs a folder and a clock")
	}
	if err := cfg.Trust.Validate(); err != nil {
		return nil, err
	}
	g := seal.Geometry{Size: cfg.Trust.Pack.Size, Slots: cfg.Trust.Pack.Slots}
	if err := g.Check(); err != nil {
		return nil, err
	}
	v, err := ledger.VerifierOf(&cfg.Trust)
	if err != nil {
		return nil, err
	}
	return &Mirror{cfg: cfg, geometry: g, verifier: v, judge: strict{v, g}, verified: map[uint64][32]byte{}}, nil
}

// Geometry is the shape of every pack.
func (m *Mirror) Geometry() seal.Geometry { return m.geometry }

// Close lets go of the open pack. The mirror may be used again.
func (m *Mirror) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closeFile()
}

func (m *Mirror) closeFile() error {
	if m.file == nil {
		return nil
	}
	f := m.file
	m.file = nil
	return f.Close()
}

// Last gives the number of the newest mirrored pack, 0 when there is none. It relies on rows having no gap, which
// Sync keeps and Audit checks.
func (m *Mirror) Last() (uint64, error) {
	m.mu.Lock()
	low := m.top
	m.mu.Unlock()
	has := func(n uint64) (bool, error) {
		_, err := os.Stat(m.rowPath(n))
		if os.IsNotExist(err) {
			return false, nil
		}
		return err == nil, failed(err, "read the mirror's index")
	}
	// Gallop up from the last known row, then bisect: a few looks however many packs there are.
	step := uint64(1)
	for {
		ok, err := has(low + step)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		low, step = low+step, step*2
	}
	for high := low + step; high-low > 1; {
		middle := low + (high-low)/2
		ok, err := has(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.top = max(m.top, low)
	return low, nil
}

func (m *Mirror) path(parts ...string) string {
	return filepath.Join(append([]string{m.cfg.Folder}, parts...)...)
}

// failed wraps an error of this machine's files; nil stays nil. The cause names the path, which is for the log.
func failed(err error, what string) error {
	if err == nil {
		return nil
	}
	return problem.Wrap(problem.Unavailable, err, "this machine could not %s; make room or repair the folder and run again, nothing is lost", what)
}

// Folder is where the mirror is.
func (m *Mirror) Folder() string { return m.cfg.Folder }
