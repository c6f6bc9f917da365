// Package installation is Arca on one machine: a folder with one folder per party, and
// the three parties running in one process from it.
//
//	arca.json          addresses, pack shape, tick, fingerprint of the trust file
//	trust.json         the trust file, signed by court and custodian; later, all of them from the first on
//	vault/             what a storage provider would hold and see, nothing else:
//	                   rows.db, objects/, roots.age with its secret (its KMS), access.log, process.log
//	court/ custodian/  rows.db, roots.age, access.log, process.log, and office/: root and registrar keys,
//	                   a later one in root-2, registrar-3 …
//	collector/         identity.json, spool
//	mirror/            identity.json, packs
//	witness/           identity.json, state
//	people/NAME/       identity.json, requests, caches
//
// Every handler runs behind a gateway whose routes and schedules are read from
// template.yaml, so what is true here is true of the deployment. The folder's private
// keys are files of mode 0600; offices and people would keep theirs on cards or elsewhere.
package installation

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// Config is arca.json.
type Config struct {
	Version   int               `json:"version"`
	Addresses map[string]string `json:"addresses"` // vault, court, custodian, witness: 127.0.0.1:port
	// Authorities are the addresses of the time-stamping authorities that the trust file names, in its order. None: no timestamps,
	// and the vault calls nobody outside this machine.
	Authorities []string `json:"authorities,omitempty"`
	LogOrigin   string   `json:"logOrigin"`
	// Copy is a folder with a second copy of vault/objects, from which scrub repairs; relative to the installation. Empty: none.
	Copy    string           `json:"copy,omitempty"`
	Pack    record.PackShape `json:"pack"`
	Tick    string           `json:"tick"` // how often the collector sends a pack
	Trust   record.Digest    `json:"trust"`
	Witness string           `json:"witness"` // verifier key
}

// Folder is an installation's folder.
type Folder struct {
	Path string
	Config
	TickEvery time.Duration
}

const (
	configName   = "arca.json"
	trustName    = "trust.json"
	identityName = "identity.json"
)

// Geometry is the shape of the installation's packs.
func (f *Folder) Geometry() seal.Geometry {
	return seal.Geometry{Size: f.Pack.Size, Slots: f.Pack.Slots}
}

// URL is a party's base URL.
func (f *Folder) URL(party string) string { return "http://" + f.Addresses[party] }

// Dir is a folder of the installation.
func (f *Folder) Dir(parts ...string) string {
	return filepath.Join(append([]string{f.Path}, parts...)...)
}

// OpenFolder reads an installation. Errors: problem.NotFound when there is none at path.
func OpenFolder(path string) (*Folder, error) {
	raw, err := os.ReadFile(filepath.Join(path, configName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.NotFound, "there is no installation in this folder; make one with: arca init DIR")
	}
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the installation's arca.json cannot be read")
	}
	f := &Folder{Path: path}
	if err := json.Unmarshal(raw, &f.Config); err != nil {
		return nil, problem.Wrap(problem.Invalid, err, "the installation's arca.json is not what arca init wrote")
	}
	if f.Version != 1 {
		return nil, problem.New(problem.Invalid, "the installation was made by another version of arca")
	}
	if f.TickEvery, err = time.ParseDuration(f.Tick); err != nil || f.TickEvery < time.Second {
		return nil, problem.New(problem.Invalid, "the tick in arca.json is a time of at least 1s, as 5m")
	}
	return f, f.Geometry().Check()
}

// identity is a key on disk.
type identity struct {
	Key  record.PublicKey `json:"key"`
	Name string           `json:"name"`
	Seed []byte           `json:"seed"`
}

var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// CheckName refuses names that are not one plain folder name.
func CheckName(name string) error {
	if !nameRule.MatchString(name) {
		return problem.New(problem.Invalid, "a name has 1 to 63 lower-case letters, digits, dots, hyphens and underscores, and starts with a letter or digit")
	}
	return nil
}

// NewIdentity makes a key in a folder of the installation. Errors: problem.Conflict if there is one.
func (f *Folder) NewIdentity(name string, parts ...string) (*record.Signer, error) {
	signer, err := record.NewSigner()
	if err != nil {
		return nil, err
	}
	dir := f.Dir(parts...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the folder for the key cannot be made")
	}
	raw, err := record.Marshal(identity{Key: signer.Public(), Name: name, Seed: signer.Seed()})
	if err != nil {
		return nil, err
	}
	return signer, writeNew(filepath.Join(dir, identityName), raw)
}

// Identity reads a key.
func (f *Folder) Identity(parts ...string) (*record.Signer, error) {
	signer, _, err := readIdentity(filepath.Join(f.Dir(parts...), identityName))
	return signer, err
}

func readIdentity(path string) (*record.Signer, string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", problem.New(problem.NotFound, "there is no such identity here; make one with: arca enrol")
	}
	if err != nil {
		return nil, "", problem.Wrap(problem.Unavailable, err, "the identity cannot be read")
	}
	var id identity
	if err := record.Unmarshal(raw, &id); err != nil {
		return nil, "", err
	}
	signer, err := record.SignerFromSeed(id.Seed)
	if err != nil {
		return nil, "", err
	}
	if !signer.Public().Equal(id.Key) {
		return nil, "", problem.New(problem.Invalid, "the identity file is damaged: its key does not fit its seed")
	}
	return signer, id.Name, nil
}

// Person reads the key of somebody in people/.
func (f *Folder) Person(name string) (*record.Signer, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	signer, err := f.Identity("people", name)
	if problem.KindOf(err) == problem.NotFound {
		return nil, f.unknown(name)
	}
	return signer, err
}

// unknown says who is here, for a name that nobody here has.
func (f *Folder) unknown(name string) error {
	const shown = 12
	names, err := f.People()
	if err != nil || len(names) == 0 {
		return problem.New(problem.NotFound, "nobody here is called %s; make an identity with: arca enrol NAME --role ROLE", name)
	}
	list, more := names[:min(len(names), shown)], ""
	if len(names) > shown {
		more = " and others"
	}
	return problem.New(problem.NotFound, "nobody here is called %s; here are %s%s; another identity is made with: arca enrol NAME --role ROLE",
		name, strings.Join(list, ", "), more)
}

// People lists the names in people/.
func (f *Folder) People() ([]string, error) {
	entries, err := os.ReadDir(f.Dir("people"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if _, statErr := os.Stat(f.Dir("people", e.Name(), identityName)); statErr == nil {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// writeNew writes a private file that must not exist, durably.
func writeNew(path string, raw []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return problem.New(problem.Conflict, "this exists already; nothing was changed")
	}
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the file cannot be written")
	}
	defer file.Close()
	if _, err := file.Write(raw); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the file cannot be written")
	}
	if err := file.Sync(); err != nil {
		return problem.Wrap(problem.Unavailable, err, "the file cannot be written")
	}
	return file.Close()
}
