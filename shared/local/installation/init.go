package installation

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store/sqlite"
	"arca.example/arca/shared/vault"
	"arca.example/arca/shared/wire"
)

// WitnessName is the name in the local witness's cosignatures.
const WitnessName = "witness.localhost"

// Options say what Init makes.
type Options struct {
	Pack record.PackShape // zero: the default, 16 MiB with 32 slots
	Tick time.Duration    // zero: 5 minutes
	// Tokens hold the roots of court and custodian, by party; a party without one gets a key file.
	Tokens map[string]Token
	// Authorities stamp the log's checkpoints; none by default.
	Authorities []Authority
}

// Init makes an installation in an empty or absent folder: keys of all parties, the trust file signed by
// court and custodian, and a collector and a mirror enrolled by both registrars. Errors: problem.Conflict when the folder is not empty.
func Init(ctx context.Context, path string, o Options) (*Folder, error) {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, problem.Wrap(problem.Unavailable, err, "the folder cannot be read")
	}
	if len(entries) > 0 {
		return nil, problem.New(problem.Conflict, "the folder is not empty; name one that is empty or does not exist")
	}
	if o.Pack.Size == 0 {
		o.Pack = record.PackShape{Size: seal.DefaultGeometry.Size, Slots: seal.DefaultGeometry.Slots}
	}
	if o.Tick == 0 {
		o.Tick = 5 * time.Minute
	}
	f := &Folder{Path: path, TickEvery: o.Tick, Config: Config{
		Version: 1, Addresses: map[string]string{}, Pack: o.Pack, Tick: o.Tick.String(),
	}}
	if err := f.Geometry().Check(); err != nil {
		return nil, err
	}
	random := seal.NewSeed()
	installation := record.ID(random[:16])
	f.LogOrigin = "arca.localhost/" + installation.String()
	if err := f.makeParties(o.Tokens); err != nil {
		return nil, err
	}
	for _, a := range o.Authorities {
		f.Authorities = append(f.Authorities, a.URL)
	}
	if err := f.makeTrust(ctx, installation, o.Authorities); err != nil {
		return nil, err
	}
	return f, f.enrolMachines(ctx)
}

// makeParties makes folders, addresses and keys.
func (f *Folder) makeParties(tokens map[string]Token) error {
	for _, dir := range []string{"vault", "court", "custodian", "collector", "mirror", "witness", "people"} {
		if err := os.MkdirAll(f.Dir(dir), 0o700); err != nil {
			return problem.Wrap(problem.Unavailable, err, "the installation's folders cannot be made")
		}
	}
	for _, party := range []string{"vault", "court", "custodian"} {
		if err := f.makeRoots(party, tokens); err != nil {
			return err
		}
	}
	for _, party := range []string{"court", "custodian"} {
		for _, office := range []string{"root", "registrar"} {
			if _, err := f.NewIdentity(party+" "+office, party, "office", office); err != nil {
				return err
			}
		}
	}
	for _, machine := range []string{"collector", "mirror", "witness"} {
		if _, err := f.NewIdentity(machine, machine); err != nil {
			return err
		}
	}
	return f.pickAddresses()
}

// pickAddresses finds free ports. They are kept, because proofs of possession are bound to them.
func (f *Folder) pickAddresses() error {
	for _, name := range []string{"vault", "court", "custodian", "witness"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return problem.Wrap(problem.Unavailable, err, "no port is free on the loopback interface")
		}
		f.Addresses[name] = l.Addr().String()
		defer l.Close() // all four are held until all are picked, so that they differ
	}
	return nil
}

// makeTrust collects the public keys that the parties made for themselves and has court and custodian sign them.
func (f *Folder) makeTrust(ctx context.Context, installation record.ID, authorities []Authority) error {
	logKey, err := f.makeLogKey(ctx)
	if err != nil {
		return err
	}
	witness, err := f.Identity("witness")
	if err != nil {
		return err
	}
	cosigners, err := ledger.NewCosigners(WitnessName, witness.Ed25519())
	if err != nil {
		return err
	}
	f.Witness = cosigners[0].VerifierKey()
	t := record.Trust{
		Installation: installation, Issued: record.Second(time.Now()), LogKey: logKey, LogOrigin: f.LogOrigin,
		Pack: f.Pack, Quorum: 1, Version: 1,
	}
	for _, c := range cosigners {
		t.Witnesses = append(t.Witnesses, c.VerifierKey())
	}
	for _, a := range authorities {
		t.Authorities = append(t.Authorities, a.Authority)
	}
	var roots []*record.Signer
	for party, into := range map[string]*record.PartyKeys{"court": &t.Court, "custodian": &t.Custodian} {
		if err := f.partyKeys(ctx, party, into); err != nil {
			return err
		}
	}
	for _, party := range []string{"court", "custodian"} {
		root, err := f.Office(party, "root")
		if err != nil {
			return err
		}
		roots = append(roots, root)
	}
	return f.signTrust(t, roots)
}

func (f *Folder) signTrust(t record.Trust, roots []*record.Signer) error {
	joint, err := record.SignJoint(record.TypeTrust, time.Now(), t, roots...)
	if err != nil {
		return err
	}
	var again record.Trust
	if f.Config.Trust, err = joint.Open(record.TypeTrust, &again, roots[0].Public(), roots[1].Public()); err != nil {
		return err
	}
	raw, err := record.Marshal(joint)
	if err != nil {
		return err
	}
	if err := writeNew(f.Dir(trustName), raw); err != nil {
		return err
	}
	config, err := json.MarshalIndent(f.Config, "", "  ")
	if err != nil {
		return err
	}
	return writeNew(f.Dir(configName), append(config, '\n'))
}

// makeLogKey has the vault make its log key, as its sequence function would.
func (f *Folder) makeLogKey(ctx context.Context) (string, error) {
	rows, err := sqlite.Open(f.Dir("vault", "rows.db"))
	if err != nil {
		return "", err
	}
	defer rows.Close()
	roots, err := f.roots("vault")
	if err != nil {
		return "", err
	}
	v := vault.New(vault.Config{Rows: rows, Now: time.Now, Geometry: f.Geometry()})
	if _, err := v.LogSigner(ctx, roots, f.LogOrigin); err != nil {
		return "", err
	}
	key, _, err := v.LogKey(ctx)
	return key, err
}

// partyKeys opens a keyholder once, which makes its online key, and reads its offices.
func (f *Folder) partyKeys(ctx context.Context, party string, into *record.PartyKeys) error {
	rows, err := sqlite.Open(f.Dir(party, "rows.db"))
	if err != nil {
		return err
	}
	defer rows.Close()
	roots, err := f.roots(party)
	if err != nil {
		return err
	}
	k, err := keyholder.Open(ctx, keyholder.Config{
		Party: seal.Role(party), Rows: rows, Roots: roots, Now: time.Now, Create: true,
		Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) { return nil, nil },
	})
	if err != nil {
		return err
	}
	into.Online = k.Online()
	for office, key := range map[string]*record.PublicKey{"root": &into.Root, "registrar": &into.Registrar} {
		signer, err := f.Office(party, office)
		if err != nil {
			return err
		}
		*key = signer.Public()
	}
	return nil
}

// enrolMachines starts the parties, hands them the trust file, and enrols collector and mirror.
func (f *Folder) enrolMachines(ctx context.Context) error {
	running, err := f.Serve(ctx, ServeOptions{})
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = running.Close(end)
	}()
	chain, err := f.TrustChain()
	if err != nil {
		return err
	}
	if err := f.Vault(nil).PutTrust(ctx, chain[0]); err != nil {
		return err
	}
	for _, party := range []string{"court", "custodian"} {
		if err := f.Keyholder(party, nil).PutTrust(ctx, chain[0]); err != nil {
			return err
		}
	}
	for _, kind := range []record.Role{record.Collector, record.Mirror} {
		signer, err := f.Identity(string(kind))
		if err != nil {
			return err
		}
		if err := f.EnrolMachine(ctx, signer.Public(), kind, "local "+string(kind)); err != nil {
			return err
		}
	}
	return nil
}

// client reaches the parties over loopback.
var client = &http.Client{Timeout: time.Minute}

// Vault gives a client of the vault; signer may be nil.
func (f *Folder) Vault(signer *record.Signer) *wire.Vault {
	return &wire.Vault{Client: wire.Client{Base: f.URL("vault"), HTTP: client, Signer: signer, Now: time.Now}}
}

// Keyholder gives a client of court or custodian; signer may be nil.
func (f *Folder) Keyholder(party string, signer *record.Signer) *wire.Keyholder {
	return &wire.Keyholder{Client: wire.Client{Base: f.URL(party), HTTP: client, Signer: signer, Now: time.Now}}
}

// EnrolMachine has both registrars enrol a collector or mirror at both keyholders and admit it at the vault.
func (f *Folder) EnrolMachine(ctx context.Context, key record.PublicKey, kind record.Role, name string) error {
	if err := f.Enrol(ctx, record.Enrolment{Key: key, Name: name, Roles: []record.Role{kind}}); err != nil {
		return err
	}
	return f.AdmitMachine(ctx, key, kind)
}

// AdmitMachine has both registrars admit a collector or mirror at the vault.
func (f *Folder) AdmitMachine(ctx context.Context, key record.PublicKey, kind record.Role) error {
	registrars, err := f.registrars()
	if err != nil {
		return err
	}
	joint, err := record.SignJoint(record.TypePrincipal, time.Now(), record.Principal{
		Audience: f.Config.Trust, Issued: record.Second(time.Now()), Key: key, Kind: string(kind),
	}, registrars...)
	if err != nil {
		return err
	}
	return f.Vault(nil).Admit(ctx, joint)
}

func (f *Folder) registrars() ([]*record.Signer, error) {
	var list []*record.Signer
	for _, party := range []string{"court", "custodian"} {
		signer, err := f.Office(party, "registrar")
		if err != nil {
			return nil, err
		}
		list = append(list, signer)
	}
	return list, nil
}

// enrolmentTerm is how long an enrolment lasts.
const enrolmentTerm = 2 * 365 * 24 * time.Hour

// Enrol signs an enrolment and registers it at both keyholders.
func (f *Folder) Enrol(ctx context.Context, e record.Enrolment) error {
	joint, err := f.SignEnrolment(e)
	if err != nil {
		return err
	}
	for _, party := range Keyholders {
		if err := f.Keyholder(party, nil).Enrol(ctx, joint); err != nil {
			return err
		}
	}
	return nil
}
