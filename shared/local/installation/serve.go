package installation

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"arca.example/arca"
	"arca.example/arca/functions"
	"arca.example/arca/shared/edge"
	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/local"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/folder"
	"arca.example/arca/shared/store/sqlite"
)

// Running is an installation whose parties answer.
type Running struct {
	Folder *Folder
	closes []func(context.Context) error
}

// ServeOptions change the rhythm of a running installation, and what its parties stand on. A party is vault, court or
// custodian; the functions are asked once for each at the start, and nil leaves all as it is.
type ServeOptions struct {
	Sequence time.Duration // how often checkpoints are refreshed; zero: as the template says
	Clocks   time.Duration // how often the keyholders go over the orders' clocks; zero: as the template says
	Objects  Objects       // the vault's object store; nil: the folder vault/objects

	Clock   func(party string) func() time.Time                         // what a party takes for the time
	Rows    func(party string, rows store.Rows) store.Rows              // what stands between a party and its rows
	Network func(party string, net http.RoundTripper) http.RoundTripper // how a party reaches others
}

// Objects is an object store that gives presigned transfers. The gateway reaches one outside of this process only by
// the collector's confirmation, not by events.
type Objects interface {
	store.Blobs
	store.Presigner
}

// Serve starts the witness and the three parties, each with its own listener and stores. Errors: problem.Conflict when another
// process serves this folder.
func (f *Folder) Serve(ctx context.Context, options ServeOptions) (*Running, error) {
	release, err := f.Lock()
	if err != nil {
		return nil, err
	}
	r := &Running{Folder: f}
	r.onClose(func(context.Context) error { return release() })
	if err := r.startWitness(); err != nil {
		return nil, r.abandon(err)
	}
	for _, party := range []string{"vault", "court", "custodian"} {
		if err := r.startParty(party, options); err != nil {
			return nil, r.abandon(err)
		}
	}
	return r, nil
}

func (r *Running) abandon(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(err, r.Close(ctx))
}

// Close stops everything in the reverse order of its start and waits for what runs.
func (r *Running) Close(ctx context.Context) error {
	var all error
	for i := len(r.closes) - 1; i >= 0; i-- {
		all = errors.Join(all, r.closes[i](ctx))
	}
	r.closes = nil
	return all
}

func (r *Running) onClose(f func(context.Context) error) { r.closes = append(r.closes, f) }

func (r *Running) closer(c io.Closer) {
	r.onClose(func(context.Context) error { return c.Close() })
}

func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "an address of arca.json is in use; stop the other process, perhaps another arca serve, or change the address")
	}
	return l, nil
}

// logFile opens a party's log for appending.
func (r *Running) logFile(party, name string) (*os.File, error) {
	file, err := os.OpenFile(r.Folder.Dir(party, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "a log file of the installation cannot be written")
	}
	r.closer(file)
	return file, nil
}

func (r *Running) startWitness() error {
	process, err := r.logFile("witness", "process.log")
	if err != nil {
		return err
	}
	w := &localWitness{folder: r.Folder, report: edge.Log(process)}
	if err := w.refresh(); err != nil {
		return err
	}
	r.closer(w)
	l, err := listen(r.Folder.Addresses["witness"])
	if err != nil {
		return err
	}
	server := &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	r.onClose(server.Shutdown)
	return nil
}

// party is what one party's functions share.
type party struct {
	rows  func() (store.Rows, error)
	blobs func() (Objects, error)
	copy  func() (store.Blobs, error)
	roots func() (keys.Roots, error)
}

func (r *Running) startParty(name string, options ServeOptions) error {
	f := r.Folder
	access, err := r.logFile(name, "access.log")
	if err != nil {
		return err
	}
	process, err := r.logFile(name, "process.log")
	if err != nil {
		return err
	}
	log := edge.Log(process)
	plan, err := f.plan(name)
	if err != nil {
		return err
	}
	var host *local.Host
	p, err := r.openStores(name, options, func(key string, size int64) { _ = host.ObjectCreated(key, size) })
	if err != nil {
		return err
	}
	calls, err := r.calls(plan, p, log, options, func(ctx context.Context, function string, payload []byte) error {
		return host.Invoke(ctx, function, payload)
	})
	if err != nil {
		return err
	}
	listener, err := listen(f.Addresses[name])
	if err != nil {
		return err
	}
	o := local.Options{Plan: plan, Functions: calls, Listener: listener, AccessLog: access, Log: log, Every: map[string]time.Duration{}}
	if options.Sequence > 0 && name == "vault" {
		o.Every["sequence"] = options.Sequence
	}
	if options.Clocks > 0 && name != "vault" {
		o.Every["lapse"], o.Every["report"] = options.Clocks, options.Clocks
	}
	if name == "vault" {
		objects, err := p.blobs()
		if err != nil {
			return err
		}
		if local, ok := objects.(*folder.Dir); ok {
			o.Mounts = map[string]http.Handler{"/objects/": local.Handler()}
		}
	}
	if host, err = local.New(o); err != nil {
		return err
	}
	host.Start()
	r.onClose(host.Close)
	return nil
}

// openStores opens a party's rows, roots and, for the vault, objects.
func (r *Running) openStores(name string, options ServeOptions, created func(string, int64)) (party, error) {
	f := r.Folder
	rows, err := sqlite.Open(f.Dir(name, "rows.db"))
	if err != nil {
		return party{}, err
	}
	r.closer(rows)
	var between store.Rows = rows
	if options.Rows != nil {
		between = options.Rows(name, rows)
	}
	p := party{
		rows:  func() (store.Rows, error) { return between, nil },
		roots: sync.OnceValues(func() (keys.Roots, error) { return f.roots(name) }),
	}
	if name != "vault" {
		return p, nil
	}
	second, err := f.openCopy(f.Copy)
	if err != nil {
		return party{}, err
	}
	if second != nil {
		r.closer(second)
		p.copy = func() (store.Blobs, error) { return second, nil }
	}
	if options.Objects != nil {
		p.blobs = func() (Objects, error) { return options.Objects, nil }
		return p, nil
	}
	objects, err := folder.Open(f.Dir(name, "objects"), folder.Options{Base: f.URL(name) + "/objects/", OnPut: created})
	if err != nil {
		return party{}, err
	}
	r.closer(objects)
	p.blobs = func() (Objects, error) { return objects, nil }
	return p, nil
}

// roots opens a party's roots: in its token if it has one, else in its key file.
func (f *Folder) roots(name string) (keys.Roots, error) {
	t, err := f.token(name)
	if err != nil {
		return nil, err
	}
	if t != nil {
		return t.open()
	}
	return f.openRoots(name)
}

const (
	rootsName  = "roots.age"
	secretName = "roots.secret"
)

// calls builds every function of a plan with the party's stores.
func (r *Running) calls(plan *local.Plan, p party, log *slog.Logger, options ServeOptions, invoke func(context.Context, string, []byte) error) (map[string]local.Call, error) {
	client, now := &http.Client{Timeout: 20 * time.Second}, time.Now
	if options.Network != nil {
		client.Transport = options.Network(plan.Party, http.DefaultTransport)
	}
	if options.Clock != nil {
		now = options.Clock(plan.Party)
	}
	resources := func(edge.Env) edge.Resources {
		res := edge.Resources{Rows: p.rows, Roots: p.roots, Invoke: invoke, HTTP: client, Now: now}
		if p.blobs != nil {
			res.Blobs = func() (store.Blobs, error) { return p.blobs() }
			res.Presign = func() (store.Presigner, error) { return p.blobs() }
			res.Copy = p.copy
		}
		return res
	}
	calls := map[string]local.Call{}
	for i := range plan.Functions {
		fn := &plan.Functions[i]
		built, _, err := functions.Open(fn.Name, fn.Lookup, resources)
		if err != nil {
			return nil, err
		}
		handler, err := edge.NewHandler(built, log)
		if err != nil {
			return nil, err
		}
		calls[fn.Name] = handler.Invoke
	}
	return calls, nil
}

// plan loads the template for one party of this installation.
func (f *Folder) plan(name string) (*local.Plan, error) {
	params := map[string]string{
		"DomainName": "localhost", "CertificateArn": "arn:local", "Trust": f.Config.Trust.String(), "LogOrigin": f.LogOrigin,
		"PackBytes": strconv.Itoa(f.Pack.Size), "PackSlots": strconv.Itoa(f.Pack.Slots),
	}
	if name == "vault" {
		params["Witnesses"] = f.URL("witness")
		params["ScrubBytes"] = strconv.Itoa(scrubBytes)
		if f.Copy != "" {
			params["CopyBucket"] = "copy"
		}
		if len(f.Authorities) > 0 {
			params["Authorities"] = strings.Join(f.Authorities, ",")
		}
	} else {
		params["LedgerUrl"] = f.URL("vault")
		params["OtherUrl"] = f.URL(map[string]string{"court": "custodian", "custodian": "court"}[name])
	}
	plan, err := local.Load(arca.Template, name, params)
	if err != nil {
		return nil, err
	}
	return plan, plan.Set("ORIGIN", f.URL(name))
}
