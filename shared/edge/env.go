package edge

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/store"
)

// Party is the deployment that a function belongs to.
type Party string

// The parties that run functions.
const (
	Vault     Party = "vault"
	Court     Party = "court"
	Custodian Party = "custodian"
)

// Keyholder tells whether the party holds half of every key.
func (p Party) Keyholder() bool { return p == Court || p == Custodian }

// Env is the configuration of one function, read once at start by ReadEnv.
// Fields that the function did not ask for are zero.
type Env struct {
	// Function is the Handler name, from _HANDLER.
	Function string

	Party     Party             // PARTY: vault, court or custodian
	Origin    string            // ORIGIN: this party's own base URL, no trailing slash; proofs of possession are bound to it
	Region    string            // AWS_REGION
	Table     string            // TABLE: the party's DynamoDB table
	Bucket    string            // BUCKET: the vault's object store
	RootKeys  map[string]string // ROOTS: KMS keys of the party's roots, "base=ARN,ring-1=ARN"
	Trust     [32]byte          // TRUST: fingerprint (SHA-256) of the first trust file, in hex
	Log       string            // LOG: the log's origin line, as checkpoints carry it
	Witnesses []string          // WITNESSES: base URLs of the witnesses that sequence asks for cosignatures, separated by commas, or each as name=URL
	// AUTHORITIES: addresses of the time-stamping authorities, in the trust file's order, or the word none
	Authorities []string

	Ledger    string // LEDGER: the vault's base URL
	Other     string // OTHER: the other keyholder's base URL
	Sequence  string // SEQUENCE: name of the function that puts pending entries into the log
	Units     string // UNITS: name of the function that makes unit keys
	CopyFrom  string // COPY: bucket with a second copy of what is in BUCKET, or the word none (then empty)
	PackBytes int64  // PACK_BYTES: size of every pack of this vault
	PackSlots int    // PACK_SLOTS: header slots of every pack of this vault
	Scrub     int64  // SCRUB_BYTES: about how much one run of scrub reads
	// WARN: how long before it is due a clock is warned of, as report=5d,told=12h, or the word profile (then empty)
	Warn map[string]time.Duration

	Resources
}

// Resources is what a function reaches beyond its own memory. The bootstrap
// fills it with AWS clients, the local parties with SQLite and folders. Every
// member is a function that opens on first use and is safe to call from
// several requests at once: a start opens nothing.
type Resources struct {
	Rows    func() (store.Rows, error)
	Blobs   func() (store.Blobs, error)
	Presign func() (store.Presigner, error)
	Copy    func() (store.Blobs, error) // the second copy; nil if there is none
	Roots   func() (keys.Roots, error)
	// Invoke makes another function of this party run soon, with
	// AskedPayload for example. It returns when the request to run is
	// accepted, not when the function has run.
	Invoke func(ctx context.Context, function string, payload []byte) error
	// HTTP reaches the other parties. It has a timeout.
	HTTP *http.Client
	// Now is the machine's clock. Witnesses, not this, decide what time it is.
	Now func() time.Time
}

// Setting is the name of an environment variable that a function may ask for.
type Setting string

// The settings. PARTY, ORIGIN and AWS_REGION are always required and not listed
// by functions.
const (
	SetParty     Setting = "PARTY"
	SetOrigin    Setting = "ORIGIN"
	SetRegion    Setting = "AWS_REGION"
	SetTable     Setting = "TABLE"
	SetBucket    Setting = "BUCKET"
	SetRoots     Setting = "ROOTS"
	SetTrust     Setting = "TRUST"
	SetLog       Setting = "LOG"
	SetWitnesses Setting = "WITNESSES"
	SetAuthority Setting = "AUTHORITIES"
	SetLedger    Setting = "LEDGER"
	SetOther     Setting = "OTHER"
	SetSequence  Setting = "SEQUENCE"
	SetUnits     Setting = "UNITS"
	SetCopy      Setting = "COPY"
	SetScrub     Setting = "SCRUB_BYTES"
	SetPackBytes Setting = "PACK_BYTES"
	SetPackSlots Setting = "PACK_SLOTS"
	SetWarn      Setting = "WARN"
)

// settings says for each variable why a function needs it and how it is read.
var settings = map[Setting]struct {
	why  string
	read func(*Env, string) error
}{
	SetParty:     {"decides which keys, rows and routes are this party's", readParty},
	SetOrigin:    {"proofs of possession are bound to this party's own URL", func(e *Env, v string) (err error) { e.Origin, err = baseURL(v); return }},
	SetRegion:    {"DynamoDB, S3 and KMS are called in one region", text(func(e *Env) *string { return &e.Region })},
	SetTable:     {"rows are kept there", text(func(e *Env) *string { return &e.Table })},
	SetBucket:    {"packs and log tiles are kept there", text(func(e *Env) *string { return &e.Bucket })},
	SetRoots:     {"this party's secrets are sealed to these keys", readRoots},
	SetTrust:     {"the first trust file is accepted only with this fingerprint", readTrust},
	SetLog:       {"checkpoints of another log must be refused", text(func(e *Env) *string { return &e.Log })},
	SetWitnesses: {"a checkpoint without cosignatures opens nothing", readWitnesses},
	SetAuthority: {"the log's checkpoints are stamped there; none if nobody stamps", readAuthorities},
	SetLedger:    {"requests and releases are logged there", func(e *Env, v string) (err error) { e.Ledger, err = baseURL(v); return }},
	SetOther:     {"nothing is released without the other keyholder's status", func(e *Env, v string) (err error) { e.Other, err = baseURL(v); return }},
	SetSequence:  {"an entry must become provable within seconds", text(func(e *Env) *string { return &e.Sequence })},
	SetUnits:     {"an admitted order needs unit keys at once", text(func(e *Env) *string { return &e.Units })},
	SetCopy:      {"what is damaged is repaired from there; none if there is no second copy", readCopy},
	SetScrub:     {"a run must end before its time does", readScrub},
	SetPackBytes: {"all packs of a vault have one size", readPackBytes},
	SetPackSlots: {"all packs of a vault have one layout", readPackSlots},
	SetWarn:      {"whom a term concerns is told before it ends; profile leaves it to the statute profile", readWarn},
}

// Always are the settings that every function has without asking.
var Always = []Setting{SetParty, SetOrigin, SetRegion}

// ReadEnv reads the settings that function needs, and Always, through
// lookup (os.LookupEnv, or a plan's environment). All that is missing or
// malformed is reported at once, each by name and reason, never by value.
func ReadEnv(function string, lookup func(string) (string, bool), needs ...Setting) (Env, error) {
	env := Env{Function: function}
	var wrong []error
	for _, name := range slices.Concat(Always, needs) {
		s, known := settings[name]
		if !known {
			wrong = append(wrong, fmt.Errorf("%s is not a setting of Arca", name))
			continue
		}
		value, ok := lookup(string(name))
		if !ok || value == "" {
			wrong = append(wrong, fmt.Errorf("%s is not set: %s", name, s.why))
			continue
		}
		if err := s.read(&env, value); err != nil {
			wrong = append(wrong, fmt.Errorf("%s %w: %s", name, err, s.why))
		}
	}
	if len(wrong) > 0 {
		return Env{}, fmt.Errorf("function %s does not start: %w", function, errors.Join(wrong...))
	}
	return env, nil
}

func text(field func(*Env) *string) func(*Env, string) error {
	return func(e *Env, v string) error { *field(e) = v; return nil }
}

func readParty(e *Env, v string) error {
	e.Party = Party(v)
	if !slices.Contains([]Party{Vault, Court, Custodian}, e.Party) {
		return errors.New("must be vault, court or custodian")
	}
	return nil
}

func readTrust(e *Env, v string) error {
	b, err := hex.DecodeString(v)
	if err != nil || len(b) != len(e.Trust) {
		return errors.New("must be 64 hexadecimal digits")
	}
	copy(e.Trust[:], b)
	return nil
}

func readRoots(e *Env, v string) error {
	e.RootKeys = map[string]string{}
	for part := range strings.SplitSeq(v, ",") {
		name, key, ok := strings.Cut(part, "=")
		if _, twice := e.RootKeys[name]; !ok || twice || name == "" || key == "" {
			return errors.New("must be name=key pairs separated by commas")
		}
		e.RootKeys[name] = key
	}
	return nil
}

func readWitnesses(e *Env, v string) error {
	for part := range strings.SplitSeq(v, ",") {
		name, address := named(strings.TrimSpace(part))
		u, err := baseURL(address)
		if err != nil {
			return err
		}
		e.Witnesses = append(e.Witnesses, name+u)
	}
	return nil
}

// readAuthorities takes plain http too: authorities are often reached so, and a token proves itself.
func readAuthorities(e *Env, v string) error {
	if v == "none" {
		return nil
	}
	for part := range strings.SplitSeq(v, ",") {
		name, address := named(strings.TrimSpace(part))
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
			return errors.New("must be none, or http or https URLs separated by commas")
		}
		e.Authorities = append(e.Authorities, name+u.String())
	}
	return nil
}

// named cuts the name= before an address off, if there is one.
func named(entry string) (name, address string) {
	if i := strings.Index(entry, "=http"); i > 0 && !strings.Contains(entry[:i], "/") {
		return entry[:i+1], entry[i+1:]
	}
	return "", entry
}

func readCopy(e *Env, v string) error {
	if v != "none" {
		e.CopyFrom = v
	}
	return nil
}

func readScrub(e *Env, v string) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1<<20 || n > 1<<44 {
		return errors.New("must be a number of bytes from 1 MiB to 16 TiB")
	}
	e.Scrub = n
	return nil
}

var warnForm = regexp.MustCompile(`^([a-z0-9-]+)=([0-9]{1,3})([dh])$`)

func readWarn(e *Env, v string) error {
	if v == "profile" {
		return nil
	}
	e.Warn = map[string]time.Duration{}
	for part := range strings.SplitSeq(v, ",") {
		m := warnForm.FindStringSubmatch(part)
		if m == nil {
			return errors.New("must be profile, or clocks with days or hours, as report=5d,told=12h")
		}
		if _, twice := e.Warn[m[1]]; twice {
			return errors.New("must name each clock once")
		}
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return err
		}
		e.Warn[m[1]] = time.Duration(n) * map[string]time.Duration{"d": 24 * time.Hour, "h": time.Hour}[m[3]]
	}
	return nil
}

func readPackBytes(e *Env, v string) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1<<20 || n > 1<<30 {
		return errors.New("must be a number of bytes from 1 MiB to 1 GiB")
	}
	e.PackBytes = n
	return nil
}

func readPackSlots(e *Env, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 1024 {
		return errors.New("must be a number from 1 to 1024")
	}
	e.PackSlots = n
	return nil
}

// baseURL accepts scheme, host and an optional path, and nothing that a join
// with a path would silently drop.
func baseURL(v string) (string, error) {
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(v, "/") {
		return "", errors.New("must be a base URL without a trailing slash")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return "", errors.New("must be https (http only on this machine)")
	}
	return v, nil
}

func loopback(host string) bool {
	return host == "127.0.0.1" || host == "::1" || host == "localhost"
}
