package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/mirror"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/folder"
	"arca.example/arca/shared/wire"
)

// world is an installation whose parties run in this process.
type world struct {
	*installation.Folder
	run     *run
	running *installation.Running
	people  map[string]*record.Signer
	http    *http.Client
}

// The fictional people, court and number.
const (
	court  = "Court of Instruction One"
	unit   = "Unit Alpha, Judicial Police"
	target = "+12025550111"
)

// newWorld sets up an installation with the default packs and enrols people.
func (r *run) newWorld(name string, objects installation.Objects) (*world, error) {
	f, err := installation.Init(r.ctx, filepath.Join(r.folder, name), installation.Options{})
	if err != nil {
		return nil, err
	}
	if err := moveObjects(r.ctx, f, objects); err != nil {
		return nil, err
	}
	w := &world{Folder: f, run: r, people: map[string]*record.Signer{}, http: &http.Client{Timeout: 10 * time.Minute}}
	if w.running, err = f.Serve(r.ctx, installation.ServeOptions{Objects: objects}); err != nil {
		return nil, err
	}
	for name, e := range map[string]record.Enrolment{
		"judge":        {Roles: []record.Role{record.Judge}, Court: court},
		"investigator": {Roles: []record.Role{record.Investigator}, PoliceUnit: unit},
		"supervisor":   {Roles: []record.Role{record.Supervisor}, PoliceUnit: unit},
	} {
		s, err := f.NewIdentity(name, "people", name)
		if err != nil {
			return w, err
		}
		e.Key, e.Name, e.Clearance = s.Public(), name, "secret"
		if err := f.Enrol(r.ctx, e); err != nil {
			return w, err
		}
		w.people[name] = s
	}
	return w, nil
}

// moveObjects hands the log's first tiles, which setting up has written to the folder, to another object store.
func moveObjects(ctx context.Context, f *installation.Folder, objects installation.Objects) error {
	if objects == nil {
		return nil
	}
	from, err := folder.Open(f.Dir("vault", "objects"), folder.Options{})
	if err != nil {
		return err
	}
	defer from.Close()
	list, err := from.List(ctx, "", "", store.MaxList)
	if err != nil {
		return err
	}
	for _, o := range list {
		info, err := from.Stat(ctx, o.Key)
		if err != nil {
			return err
		}
		body, err := from.Get(ctx, o.Key, 0, -1)
		if err != nil {
			return err
		}
		if err := errors.Join(objects.Put(ctx, o.Key, info.Size, info.SHA256, body), body.Close()); err != nil {
			return err
		}
	}
	return nil
}

// close stops the parties and removes all that they kept.
func (w *world) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := w.running.Close(ctx); err != nil {
		return err
	}
	return os.RemoveAll(w.Path)
}

// admit has a judge sign an order and both keyholders admit it.
func (w *world) admit(number int) (record.Digest, error) {
	now := record.Second(time.Now())
	order := record.Order{
		Audience: w.Config.Trust, Kind: record.Authorisation, Profile: "ES-588ter", Court: court, Case: fmt.Sprintf("bench-%d", number), PoliceUnit: unit,
		Classification: "restricted", Decided: now.Add(-2 * time.Hour), Capture: record.Window{From: now.Add(-time.Hour), Until: now.AddDate(0, 1, 0)}, AccessEnd: now.AddDate(0, 2, 0),
		Scope: record.Scope{Identifiers: []record.Identifier{{Kind: "msisdn", Value: target}}, Kinds: []string{"call", "message"}},
		Grounds: record.Grounds{Offence: "a fictional offence", Indicia: "fictional indicia", Persons: []string{"a person"}, Extent: "content", Motivation: "reasons",
			Duration: "1 month", Purpose: "a purpose", Obliged: "a fictional operator"},
		Reports: record.Reports{Form: "written", EveryDays: 15},
	}
	_, _ = rand.Read(order.Nonce[:]) // crypto/rand does not fail
	raw, err := record.Sign(w.people["judge"], record.TypeOrder, now, order)
	if err != nil {
		return record.Digest{}, err
	}
	for _, party := range installation.Keyholders {
		if _, err := w.Keyholder(party, nil).Admit(w.run.ctx, raw); err != nil {
			return record.Digest{}, fmt.Errorf("%s: %w", party, err)
		}
	}
	return record.HashStatement(raw), nil
}

// collector opens the spool.
func (w *world) collector() (*collector.Collector, error) {
	signer, err := w.Identity("collector")
	if err != nil {
		return nil, err
	}
	trust, err := w.TrustChain()
	if err != nil {
		return nil, err
	}
	return collector.Open(collector.Config{
		Folder: w.Dir("collector"), Signer: signer, Trust: trust, Fingerprint: w.Config.Trust, Vault: w.Vault(signer),
		Court: w.Keyholder("court", signer), Custodian: w.Keyholder("custodian", signer), HTTP: w.http,
	})
}

// item describes a file as a call that began a minute ago.
func item(chain record.Digest, path string, size int64, start time.Time) collector.Item {
	return collector.Item{Chain: chain, Size: size, Open: func() (io.ReadCloser, error) { return os.Open(path) },
		Description: record.Description{Codec: "bytes", Start: start, End: start.Add(30 * time.Second), From: target, To: "+12025550122", Kind: "call", Name: filepath.Base(path)}}
}

// callStart is when the calls that are sealed now began.
func callStart() time.Time { return record.Second(time.Now()).Add(-time.Minute).UTC() }

// firstError is the first thing that went wrong in sealing.
func firstError(results []collector.Sealed, err error) error {
	for _, s := range results {
		if err == nil && s.Err != nil {
			err = s.Err
		}
	}
	return err
}

// settle waits until both keyholders have made the units of orders that they admitted, which in practice happened weeks
// ago, and until the work that admitting left behind is done.
func (w *world) settle(chains []record.Digest, start time.Time) error {
	signer, err := w.Identity("collector")
	if err != nil {
		return err
	}
	for range 2 { // in the second round each finds what the other has published
		for _, chain := range chains {
			for _, party := range installation.Keyholders {
				ask := wire.UnitAsk{Chain: chain.String(), Classification: "restricted", Compartment: "main", Week: seal.WeekOf(start)}
				if _, _, err := w.Keyholder(party, signer).Units(w.run.ctx, ask); err != nil {
					return fmt.Errorf("unit at %s: %w", party, err)
				}
			}
		}
	}
	const step = 500 * time.Millisecond
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); {
		before := spent()
		time.Sleep(step)
		if spent()-before < step/20 {
			return nil
		}
	}
	return errors.New("the parties do not come to rest")
}

// mirror opens the mirror in a folder of the installation, for fetching too.
func (w *world) mirror() (*mirror.Mirror, error) {
	signer, err := w.Identity("mirror")
	if err != nil {
		return nil, err
	}
	trust, err := w.Trust()
	if err != nil {
		return nil, err
	}
	return mirror.Open(mirror.Config{Folder: w.Dir("mirror"), Trust: *trust, Now: time.Now, Vault: w.Vault(signer), HTTP: w.http})
}

// reader opens a person's reading side, as a new process would.
func (w *world) reader(name string, m reader.Mirror, out io.Writer) (*reader.Reader, error) {
	trust, err := w.Trust()
	if err != nil {
		return nil, err
	}
	signer := w.people[name]
	return reader.Open(reader.Config{
		Identity: signer, Folder: w.Dir("people", name), Trust: *trust, Fingerprint: w.Config.Trust, Mirror: m,
		Court: w.Keyholder("court", signer), Custodian: w.Keyholder("custodian", signer), Now: time.Now, Stdout: out, Patience: 20 * time.Second,
	})
}

// stored is how many bytes lie under a folder.
func stored(folder string) (total int64, err error) {
	err = filepath.Walk(folder, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return err
	})
	return total, err
}
