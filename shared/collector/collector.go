package collector

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/direct"
	"arca.example/arca/shared/wire"
)

// Vault is what a collector asks of the vault; *wire.Vault does it. Every call may be repeated.
type Vault interface {
	Reserve(ctx context.Context, nonce record.ID, count int) (uint64, error)
	Upload(ctx context.Context, n uint64, pack, slots record.Digest) (store.Transfer, error)
	Arrived(ctx context.Context, n uint64) error
	Packs(ctx context.Context, from uint64) (wire.Packs, error)
	Proof(ctx context.Context, entry ledger.Entry) ([]byte, error)
}

// Keyholder is what a collector asks of each keyholder; *wire.Keyholder does it. Every call may be repeated.
type Keyholder interface {
	Order(ctx context.Context, chain record.Digest) (wire.Order, error)
	Status(ctx context.Context, nonce record.ID, chains ...record.Digest) (string, error)
	StatusAndMembers(ctx context.Context, nonce record.ID, chains ...record.Digest) (string, [][]string, error)
	Units(ctx context.Context, asks ...wire.UnitAsk) (statement string, refused []error, err error)
	FileNotes(ctx context.Context, notes ...[]byte) (receipts []string, refused []error, err error)
	FileRefusal(ctx context.Context, statement string) error
	FileAct(ctx context.Context, statement string) error
	CloseUnit(ctx context.Context, statement string) error
	UnitKeys(ctx context.Context, chain record.Digest) ([]string, error)
	People(ctx context.Context) (wire.People, error)
}

// Config is what a collector is started with. Only HTTP, Now and Enrolment may be left out.
type Config struct {
	Folder      string            // the spool; one collector's alone
	Signer      *record.Signer    // Ed25519, enrolled as a collector
	Trust       record.TrustChain // the trust files from the first on
	Fingerprint record.Digest     // the first one's pinned hash, the audience of every statement
	Vault       Vault
	Court       Keyholder
	Custodian   Keyholder
	HTTP        *http.Client     // for uploads, which need no credentials
	Now         func() time.Time // the clock
	Enrolment   record.Joint     // this collector's, for receipts; otherwise asked of the court
	Owner       record.KeyID     // whose spool it is, when a machine without their key deposits from it (Deposit); zero: Signer's

	fault func(step string) error // stops the process's writes and calls, in tests
}

// Collector seals, spools and sends. It is safe for concurrent use: one goroutine may seal while another sends.
type Collector struct {
	cfg      Config
	trust    *record.Trust
	geometry seal.Geometry
	verifier *ledger.Verifier
	disk     disk
	unlock   func() error
	sealing  sync.Mutex // one Seal at a time
	sending  sync.Mutex // one Flush or Tick at a time
	saving   sync.Mutex // one state file at a time
	orders   orderCache
	buffers  [][]byte // pack buffers between two calls of Seal
	broken   error    // why nothing more is sealed by this process; under sealing

	mu        sync.Mutex // guards what follows
	numbers   numbers
	handed    map[uint64]bool // numbers that a Seal or Tick under way has in hand
	entries   map[uint64]*entry
	heads     map[seal.Unit]head
	closed    map[seal.Unit]string // units of which nothing more will come, with the signed word
	enrolment record.Joint
}

// maxSkew is how far a keyholder's clock and ours may differ (design, "Time").
const maxSkew = 5 * time.Minute

// Open takes the spool folder, makes it if it is new, and puts right what an interrupted run left. Errors:
// problem.Invalid for an incomplete Config, problem.Denied for a foreign trust file or spool,
// problem.Unavailable when another process has the folder or the disk fails.
func Open(cfg Config) (*Collector, error) {
	if cfg.Folder == "" || cfg.Vault == nil || cfg.Court == nil || cfg.Custodian == nil || cfg.Signer == nil {
		return nil, problem.New(problem.Invalid, "a collector needs a folder, its key, the vault and both keyholders")
	}
	if cfg.Signer.Ed25519() == nil {
		return nil, problem.New(problem.Invalid, "a collector's key is Ed25519; make one with arca enrol --role collector")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 10 * time.Minute}
	}
	trust, err := ledger.OpenTrust(cfg.Trust, cfg.Fingerprint)
	if err != nil {
		return nil, err
	}
	c := &Collector{cfg: cfg, trust: trust, geometry: seal.Geometry{Size: trust.Pack.Size, Slots: trust.Pack.Slots},
		disk: disk{cfg.fault}, handed: map[uint64]bool{}, enrolment: cfg.Enrolment}
	if err := c.geometry.Check(); err != nil {
		return nil, err
	}
	if c.verifier, err = ledger.VerifierOf(trust); err != nil {
		return nil, err
	}
	for _, sub := range []string{packFolder, provenFolder} {
		if err := os.MkdirAll(filepath.Join(cfg.Folder, sub), 0o700); err != nil {
			return nil, spoolFailed(err)
		}
	}
	if c.unlock, err = lockFolder(cfg.Folder); err != nil {
		return nil, err
	}
	if err := c.recover(); err != nil {
		c.unlock()
		return nil, err
	}
	return c, nil
}

// Close waits for a Seal under way and lets go of the folder. Nothing waits to be written. The Collector is of no use afterwards.
func (c *Collector) Close() error {
	c.sealing.Lock()
	defer c.sealing.Unlock()
	for _, b := range c.buffers {
		direct.Free(b)
	}
	c.buffers = nil
	if c.broken == nil {
		c.broken = problem.New(problem.Unavailable, "the collector was closed")
	}
	return c.unlock()
}

// Geometry is the shape of the packs.
func (c *Collector) Geometry() seal.Geometry { return c.geometry }

func (c *Collector) path(parts ...string) string {
	return filepath.Join(append([]string{c.cfg.Folder}, parts...)...)
}

// call is a fault point before a call to another party.
func (c *Collector) call(name string) error { return c.disk.step("call " + name) }

func (c *Collector) keyholder(role seal.Role) Keyholder {
	if role == seal.Court {
		return c.cfg.Court
	}
	return c.cfg.Custodian
}

// ownEnrolment gives the enrolment that receipts carry, verified.
func (c *Collector) ownEnrolment(ctx context.Context) (record.Joint, error) {
	c.mu.Lock()
	joint := c.enrolment
	c.mu.Unlock()
	if joint != nil {
		return joint, nil
	}
	people, err := c.cfg.Court.People(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range people.People {
		e, err := bundle.OpenCollector(c.trust, c.cfg.Fingerprint, p.Enrolment)
		if err == nil && e.Key.Equal(c.cfg.Signer.Public()) {
			c.mu.Lock()
			c.enrolment = p.Enrolment
			c.mu.Unlock()
			return p.Enrolment, nil
		}
	}
	return nil, problem.New(problem.Denied, "this collector's key is not enrolled by both registrars; enrol it with arca enrol --role collector")
}
