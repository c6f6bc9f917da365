// Package functionstest runs the functions of all three parties in one
// process, each reached only as AWS would reach it: an HTTP call becomes an API
// Gateway event, an asynchronous call becomes a delivery that is repeated, a
// stored object becomes an object-created event.
//
// Stores are SQLite and a folder, or whatever the test gives. People, offices
// and witness have keys from fixed seeds; with a fixed clock and Fixed, so has
// everything else, and an event that was signed once verifies for ever.
//
// A World accuses: an event, answer or header that AWS would not carry fails
// the test (see limits.go), and so does an answer that the caller of a party
// would take for the party's own failure.
//
// It is for tests; nothing that keeps anything imports it.
package functionstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"

	arca "arca.example/arca"
	"arca.example/arca/functions"
	"arca.example/arca/functions/internal/party"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/local"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/stamp/stamptest"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/fault"
	"arca.example/arca/shared/store/folder"
	"arca.example/arca/shared/store/sqlite"
	"arca.example/arca/shared/wire"
	"arca.example/arca/shared/witness"
)

// Geometry is the shape of the packs of every world.
var Geometry = seal.TinyGeometry

// Parties are the three deployments, vault first: the others need it.
var Parties = []string{"vault", "court", "custodian"}

// Keyholders are the two that hold halves.
var Keyholders = []string{"court", "custodian"}

const (
	logOrigin   = "log.test"
	witnessName = "witness.test"
)

// Options of a world.
type Options struct {
	// Dir keeps the witness's state, the trust file and, unless Resources is given, the stores.
	Dir string
	// Now is everybody's clock.
	Now func() time.Time
	// Fixed draws all randomness from seeds, so that two worlds are the same byte for byte. Not with Resources that call out.
	Fixed bool
	// Resources gives a function's stores and roots; nil: SQLite and a folder in Dir. HTTP and Invoke are the world's
	// unless Invoke is given too.
	Resources func(edge.Env) edge.Resources
	// Stamped names two time-stamping authorities in the trust file. They live as long as the world.
	Stamped bool
	// Params are more parameters and resource values of the template, as local.Load takes them.
	Params map[string]string
}

// World is three parties and a witness. It is safe for concurrent use once founded.
type World struct {
	T       *testing.T
	Options Options
	Trust   record.Trust
	Hash    record.Digest // of the trust file: the audience of every statement
	Log     *LogBuffer
	// Authorities stamp; none unless Options.Stamped.
	Authorities []*stamptest.Authority
	// Advance moves everybody's clock; a test that has one of its own puts its own in place.
	Advance func(time.Duration)

	plans    map[string]*local.Plan
	calls    map[string]map[string]local.Call // party → function
	muxes    map[string]*http.ServeMux
	stores   map[string]stores
	desks    map[string]edge.Env // of a function of each keyholder that makes no keys
	witness  *witness.Witness
	closes   []func() error
	queue    deliveries
	capture  func([]byte) // sees the next payload instead of a function
	state    journeyState
	attempts int // how often a call is made while the answer is "unavailable"
}

// stores are one party's, opened once.
type stores struct {
	rows  store.Rows
	blobs *folder.Dir
	copy  *folder.Dir
	roots keys.Roots
}

// Open starts a world in o.Dir: a new one, or the one whose trust file lies there.
func Open(t *testing.T, o Options) *World {
	t.Helper()
	w := &World{T: t, Options: o, Log: &LogBuffer{}, stores: map[string]stores{}, attempts: 1}
	w.Options.Now = func() time.Time { return o.Now().Add(w.state.Ahead) }
	w.Advance = func(d time.Duration) { w.state.Ahead += d; w.saveState() }
	w.Seed("open")
	w.openWitnessFolder()
	if o.Resources == nil {
		for _, party := range Parties {
			w.openStores(party)
		}
	}
	if o.Stamped {
		for _, name := range []string{"authority-1", "authority-2"} {
			w.Authorities = append(w.Authorities, stamptest.New(t, name, w.Options.Now))
		}
	}
	raw, err := os.ReadFile(w.path("trust.json"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		t.Fatal(err)
	default:
		w.readTrust(raw)
	}
	w.loadState()
	w.start()
	t.Cleanup(w.Close)
	return w
}

func (w *World) path(parts ...string) string {
	return filepath.Join(append([]string{w.Options.Dir}, parts...)...)
}

func (w *World) must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatalf("%v\n%s", err, w.Log)
	}
}

// Seed makes all that is drawn from here on depend on label alone, in a fixed world. A change in what one
// step draws therefore changes nothing of the next.
func (w *World) Seed(label string) {
	if w.Options.Fixed {
		h := sha256.Sum256([]byte("fiction " + label))
		cryptotest.SetGlobalRandom(w.T, binary.BigEndian.Uint64(h[:]))
	}
}

// Signer is a person's or office's key, from its name.
func Signer(name string) *record.Signer {
	seed := sha256.Sum256([]byte("fictitious key of " + name))
	s, err := record.SignerFromSeed(seed[:])
	if err != nil {
		panic(err) // a hash has the length of a seed
	}
	return s
}

// nonce is an identifier from a label, so that a statement that is made again is the same statement.
func nonce(label string) record.ID {
	h := sha256.Sum256([]byte("nonce " + label))
	return record.ID(h[:16])
}

func (w *World) now() time.Time { return record.Second(w.Options.Now()) }

func (w *World) openWitnessFolder() {
	for _, dir := range append([]string{"witness"}, Parties...) {
		w.must(os.MkdirAll(w.path(dir), 0o700))
	}
}

func (w *World) openStores(party string) {
	var s stores
	rows, err := sqlite.Open(w.path(party, "rows.db"))
	w.must(err)
	w.closes = append(w.closes, rows.Close)
	s.rows = fault.CrashRows(rows)
	secret, err := keys.MachineSecret("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	w.must(err)
	file := w.path(party, "roots.age")
	if _, err := os.Stat(file); err == nil {
		s.roots, err = keys.OpenFile(file, secret)
		w.must(err)
	} else {
		s.roots, err = keys.CreateFile(file, secret)
		w.must(err)
	}
	if party == "vault" {
		s.blobs, err = folder.Open(w.path(party, "objects"), folder.Options{Base: Origin(party) + "/objects/", Secret: bytes.Repeat([]byte{7}, 32), Now: w.Options.Now})
		w.must(err)
		w.closes = append(w.closes, s.blobs.Close)
		s.copy, err = folder.Open(w.path(party, "copy"), folder.Options{Base: Origin(party) + "/copy/", Secret: bytes.Repeat([]byte{8}, 32), Now: w.Options.Now})
		w.must(err)
		w.closes = append(w.closes, s.copy.Close)
	}
	w.stores[party] = s
}

// Origin is a party's base URL.
func Origin(party string) string { return "https://" + party + ".test" }

// plan reads the template as the deployment of one party would.
func (w *World) plan(party string) *local.Plan {
	params := map[string]string{
		"DomainName": party + ".test", "CertificateArn": "arn:aws:acm:fiction", "Trust": w.Hash.String(), "LogOrigin": logOrigin,
		"PackBytes": strconv.Itoa(Geometry.Size), "PackSlots": strconv.Itoa(Geometry.Slots),
	}
	if party == "vault" {
		params["Witnesses"], params["CopyBucket"] = "https://witness.test", "copy"
		if w.Options.Stamped {
			params["Authorities"] = "http://authority-1.test/tsa,http://authority-2.test/tsa"
		}
	} else {
		params["LedgerUrl"], params["OtherUrl"] = Origin("vault"), Origin(other(party))
		params["Warn"] = "report=20d" // more than the order's first report is away, so that there is something to tell
	}
	for name, value := range w.Options.Params {
		params[name] = value
	}
	plan, err := local.Load(arca.Template, party, params)
	w.must(err)
	return plan
}

func other(party string) string {
	if party == "court" {
		return "custodian"
	}
	return "court"
}

// start builds every function anew, as after a deployment: no memory of earlier calls is left.
func (w *World) start() {
	w.plans, w.calls, w.muxes = map[string]*local.Plan{}, map[string]map[string]local.Call{}, map[string]*http.ServeMux{}
	w.desks = map[string]edge.Env{}
	for _, party := range Parties {
		plan := w.plan(party)
		w.plans[party], w.calls[party], w.muxes[party] = plan, map[string]local.Call{}, http.NewServeMux()
		for i := range plan.Functions {
			f := &plan.Functions[i]
			built, env, err := functions.Open(f.Name, f.Lookup, w.resources(party))
			w.must(err)
			if f.Name == "orders" {
				w.desks[party] = env
			}
			handler, err := edge.NewHandler(built, w.logger())
			w.must(err)
			w.calls[party][f.Name] = handler.Invoke
			for _, r := range f.Routes {
				w.muxes[party].HandleFunc(r.Pattern, func(out http.ResponseWriter, in *http.Request) { w.gateway(out, in, party, f, r) })
			}
		}
	}
	if blobs := w.stores["vault"].blobs; blobs != nil {
		w.muxes["vault"].Handle("/objects/", blobs.Handler())
	}
}

func (w *World) logger() *slog.Logger { return edge.Log(w.Log) }

// resources gives a function of a party its stores.
func (w *World) resources(party string) func(edge.Env) edge.Resources {
	return func(env edge.Env) edge.Resources {
		var r edge.Resources
		if w.Options.Resources != nil {
			r = w.Options.Resources(env)
		} else {
			s := w.stores[party]
			r.Rows = func() (store.Rows, error) { return s.rows, nil }
			r.Roots = func() (keys.Roots, error) { return s.roots, nil }
			if s.blobs != nil {
				r.Blobs = func() (store.Blobs, error) { return fault.CrashBlobs(s.blobs), nil }
				r.Presign = func() (store.Presigner, error) { return s.blobs, nil }
				r.Copy = func() (store.Blobs, error) { return s.copy, nil }
			}
		}
		r.HTTP, r.Now = w.HTTP(), w.Options.Now
		if r.Invoke == nil {
			r.Invoke = func(_ context.Context, function string, payload []byte) error {
				return w.Deliver(party, function, payload)
			}
		}
		return r
	}
}

// HTTP reaches the parties and the witness in process, and object stores by network.
func (w *World) HTTP() *http.Client { return &http.Client{Transport: w, Timeout: time.Minute} }

// Vault calls the vault as somebody; the empty name signs nothing.
func (w *World) Vault(who string) *wire.Vault { return &wire.Vault{Client: w.client("vault", who)} }

// VaultOf calls the vault as a keyholder, with the key that its functions hold.
func (w *World) VaultOf(keyholder string) *wire.Vault {
	w.T.Helper()
	k, err := party.Keyholder(w.desks[keyholder])(w.T.Context())
	w.must(err)
	v := w.Vault("")
	v.Signer = k.Signer()
	return v
}

// Keyholder calls court or custodian as somebody; the empty name signs nothing.
func (w *World) Keyholder(party, who string) *wire.Keyholder {
	return &wire.Keyholder{Client: w.client(party, who)}
}

func (w *World) client(party, who string) wire.Client {
	c := wire.Client{Base: Origin(party), HTTP: w.HTTP(), Now: w.Options.Now}
	if who != "" {
		c.Signer = Signer(who)
	}
	return c
}

// Found makes the parties' keys and the trust file in the order of a real deployment: the keys are asked for, the file
// is signed, the stacks are updated with its fingerprint, and each takes the file.
func (w *World) Found() *World {
	w.T.Helper()
	w.Trust = record.Trust{
		Installation: nonce("installation"), Issued: w.now(), LogOrigin: logOrigin, Quorum: 1, Version: 1,
		Pack: record.PackShape{Size: Geometry.Size, Slots: Geometry.Slots}, Witnesses: []string{w.cosigner().VerifierKey()},
	}
	for party, into := range map[string]*record.PartyKeys{"court": &w.Trust.Court, "custodian": &w.Trust.Custodian} {
		w.Seed("found " + party)
		id, err := again(w, func() (wire.KeyholderIdentity, error) { return w.Keyholder(party, "").Identity(w.T.Context()) })
		w.must(err)
		into.Online, err = record.ParsePublicKey(id.Online)
		w.must(err)
		into.Root, into.Registrar = Signer(party+" root").Public(), Signer(party+" registrar").Public()
	}
	w.Seed("found vault")
	w.Tick("vault", "sequence")
	id, err := again(w, func() (wire.VaultIdentity, error) { return w.Vault("").Identity(w.T.Context()) })
	w.must(err)
	w.Trust.LogKey = id.LogKey
	for _, a := range w.Authorities {
		w.Trust.Authorities = append(w.Trust.Authorities, a.Record())
	}
	joint, err := record.SignJoint(record.TypeTrust, w.now(), w.Trust, Signer("court root"), Signer("custodian root"))
	w.must(err)
	raw, err := record.Marshal(joint)
	w.must(err)
	w.must(os.WriteFile(w.path("trust.json"), raw, 0o600))
	w.readTrust(raw)
	w.Restart()
	w.Seed("take trust")
	w.must(w.Try(func() error { return w.Vault("").PutTrust(w.T.Context(), record.TrustLink{Trust: joint}) }))
	for _, party := range Keyholders {
		w.must(w.Try(func() error { return w.Keyholder(party, "").PutTrust(w.T.Context(), record.TrustLink{Trust: joint}) }))
	}
	return w
}

func (w *World) readTrust(raw []byte) {
	var joint record.Joint
	w.must(record.Unmarshal(raw, &joint))
	st, err := record.Peek(joint[0])
	w.must(err)
	w.must(record.Unmarshal(st.Payload, &w.Trust))
	var again record.Trust
	w.Hash, err = joint.Open(record.TypeTrust, &again, w.Trust.Court.Root, w.Trust.Custodian.Root)
	w.must(err)
	w.openWitness()
}

// Restart starts every function anew, without what it remembered.
func (w *World) Restart() { w.start() }

func (w *World) cosigner() *ledger.Cosigner {
	c, err := ledger.NewCosigner(witnessName, Signer("witness").Ed25519())
	w.must(err)
	return c
}

func (w *World) openWitness() {
	x, err := witness.New(witness.Options{
		Name: witnessName, Key: Signer("witness").Ed25519(), Folder: w.path("witness"), Now: w.Options.Now, Report: w.logger(),
		Logs: []witness.Log{{Origin: logOrigin, Keys: []string{w.Trust.LogKey}}},
	})
	w.must(err)
	w.witness = x
	w.closes = append(w.closes, x.Close)
}

// Close ends the world and lets its folder go.
func (w *World) Close() {
	for i := len(w.closes) - 1; i >= 0; i-- {
		if err := w.closes[i](); err != nil {
			w.T.Error(err)
		}
	}
	w.closes = nil
}

// LogBuffer keeps the functions' log lines.
type LogBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (l *LogBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String gives the last lines.
func (l *LogBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.b.Bytes()
	return string(b[max(0, len(b)-6000):])
}

// journeyState is what a world remembers of its journey from one process to the next.
type journeyState struct {
	Ahead time.Duration     `json:"ahead"` // of Options.Now, by Advance
	First uint64            `json:"first"`
	Slots record.Digest     `json:"slots"`
	Whole record.Digest     `json:"whole"`
	Notes map[string][]byte `json:"notes"`
}

func (w *World) loadState() {
	raw, err := os.ReadFile(w.path("journey.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	w.must(err)
	w.must(json.Unmarshal(raw, &w.state))
}

func (w *World) saveState() {
	raw, err := json.Marshal(w.state)
	w.must(err)
	w.must(os.WriteFile(w.path("journey.json"), raw, 0o600))
}
