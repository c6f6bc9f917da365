package installation

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"arca.example/arca/shared/keyholder"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store/sqlite"
	"arca.example/arca/shared/vault"
)

// Trust reads the trust files and verifies them from the fingerprint in arca.json on. It gives the one in force.
func (f *Folder) Trust() (*record.Trust, error) {
	chain, err := f.TrustChain()
	if err != nil {
		return nil, err
	}
	return ledger.OpenTrust(chain, f.Config.Trust)
}

// TrustChain reads the trust files as they were signed.
func (f *Folder) TrustChain() (record.TrustChain, error) {
	raw, err := os.ReadFile(f.Dir(trustName))
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the installation's trust file cannot be read")
	}
	return record.ParseTrustChain(raw)
}

// FollowTrust asks the keyholders for trust files that took force since, verifies them from the pin on and keeps them. A party that cannot be
// reached says nothing; two files of one version are an error that names both.
func (f *Folder) FollowTrust(ctx context.Context) error {
	for _, party := range Keyholders {
		theirs, err := f.Keyholder(party, nil).Trust(ctx)
		if kind := problem.KindOf(err); err != nil && (kind == problem.Unavailable || kind == problem.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if n := len(theirs); n > 1 && theirs[n-1].Entry != nil && theirs[n-1].Entry.Proof == "" {
			theirs = theirs[:n-1] // signed, not yet in force
		}
		if err := f.keepTrust(theirs); err != nil {
			return err
		}
	}
	return nil
}

// keepTrust replaces the trust files by more of them.
func (f *Folder) keepTrust(theirs record.TrustChain) error {
	ours, err := f.TrustChain()
	if err != nil {
		return err
	}
	if longer, err := theirs.Extends(ours); err != nil || !longer || len(theirs) == len(ours) {
		return err
	}
	if _, err := ledger.OpenTrust(theirs, f.Config.Trust); err != nil {
		return err
	}
	raw, err := theirs.Bytes()
	if err != nil {
		return err
	}
	return Replace(f.Dir(trustName), raw)
}

// The places of a trust file that a change may name, beside witness.
const (
	placeLog     = "log"
	placeWitness = "witness"
)

// TrustChange says what the next trust file has that the one in force has not.
type TrustChange struct {
	New         []string          // places whose key is made in this folder: court.online, custodian.root, log, witness …
	Keys        map[string]string // places with keys that were made elsewhere
	Witnesses   []string          // all verifier keys, in order; nil: as before
	Quorum      int               // 0: as before
	Authorities []Authority       // to add
	Overlap     time.Duration     // whole hours
}

// TrustDraft is a trust file while it is signed.
type TrustDraft struct {
	Signatures record.Joint `json:"signatures"`
	Trust      record.Trust `json:"trust"`
}

// DraftTrust makes the next trust file, unsigned, and the new keys that it names.
func (f *Folder) DraftTrust(ctx context.Context, change TrustChange) (TrustDraft, error) {
	now, err := f.Trust()
	if err != nil {
		return TrustDraft{}, err
	}
	eras := now.Eras()
	next := *eras[len(eras)-1].Trust
	next.Version, next.Previous, next.Issued = now.Version+1, eras[len(eras)-1].Hash, record.Second(time.Now())
	next.Overlap = int(change.Overlap / time.Hour)
	if time.Duration(next.Overlap)*time.Hour != change.Overlap {
		return TrustDraft{}, problem.New(problem.Invalid, "the overlap is a number of whole hours, as 24h, or 0")
	}
	for _, place := range change.New {
		if err := f.newKey(ctx, &next, place); err != nil {
			return TrustDraft{}, err
		}
	}
	for place, text := range change.Keys {
		if err := setKey(&next, place, text); err != nil {
			return TrustDraft{}, err
		}
	}
	if change.Witnesses != nil {
		next.Witnesses = change.Witnesses
	}
	if change.Quorum > 0 {
		next.Quorum = change.Quorum
	}
	next.Authorities = slices.Clone(next.Authorities)
	for _, a := range change.Authorities {
		next.Authorities = append(next.Authorities, a.Authority)
	}
	if err := record.CheckSuccessor(eras, &next); err != nil {
		return TrustDraft{}, err
	}
	_, err = ledger.NewVerifier(ledger.PolicyOf(&next))
	return TrustDraft{Signatures: record.Joint{}, Trust: next}, err
}

// setKey puts a key in its place.
func setKey(t *record.Trust, place, text string) error {
	if place == placeLog {
		t.LogKey = text
		return nil
	}
	into, err := keyAt(t, place)
	if err != nil {
		return err
	}
	*into, err = record.ParsePublicKey(text)
	return err
}

func keyAt(t *record.Trust, place string) (*record.PublicKey, error) {
	party, office, _ := strings.Cut(place, ".")
	keys := map[string]*record.PartyKeys{"court": &t.Court, "custodian": &t.Custodian}[party]
	if keys != nil {
		switch office {
		case "online":
			return &keys.Online, nil
		case "registrar":
			return &keys.Registrar, nil
		case "root":
			return &keys.Root, nil
		}
	}
	return nil, problem.New(problem.Invalid, "a key's place is court or custodian with .online, .registrar or .root, or log, or witness; as court.online")
}

// newKey makes a key for a place, where its party keeps it.
func (f *Folder) newKey(ctx context.Context, t *record.Trust, place string) error {
	switch place {
	case placeLog:
		key, err := f.nextLogKey(ctx)
		t.LogKey = key
		return err
	case placeWitness:
		return f.nextWitness(t)
	}
	into, err := keyAt(t, place)
	if err != nil {
		return err
	}
	party, office, _ := strings.Cut(place, ".")
	if office == "online" {
		*into, err = f.nextOnline(ctx, party)
		return err
	}
	// A ceremony that was given up leaves a key behind, which is not used.
	for n := t.Version; ; n++ {
		signer, err := f.NewIdentity(party+" "+office, party, "office", office+"-"+strconv.Itoa(n))
		if problem.KindOf(err) == problem.Conflict && err != nil {
			continue
		}
		if err == nil {
			*into = signer.Public()
		}
		return err
	}
}

func (f *Folder) nextOnline(ctx context.Context, party string) (record.PublicKey, error) {
	rows, err := sqlite.Open(f.Dir(party, "rows.db"))
	if err != nil {
		return record.PublicKey{}, err
	}
	defer rows.Close()
	roots, err := f.roots(party)
	if err != nil {
		return record.PublicKey{}, err
	}
	k, err := keyholder.Open(ctx, keyholder.Config{
		Party: seal.Role(party), Rows: rows, Roots: roots, Fingerprint: f.Config.Trust, Now: time.Now,
		Connect: func(*record.Signer) (keyholder.Log, keyholder.Peer) { return nil, nil },
	})
	if err != nil {
		return record.PublicKey{}, err
	}
	return k.NextOnline(ctx)
}

func (f *Folder) nextLogKey(ctx context.Context) (string, error) {
	rows, err := sqlite.Open(f.Dir("vault", "rows.db"))
	if err != nil {
		return "", err
	}
	defer rows.Close()
	roots, err := f.roots("vault")
	if err != nil {
		return "", err
	}
	v := vault.New(vault.Config{Rows: rows, Now: time.Now, Geometry: f.Geometry(), Fingerprint: f.Config.Trust})
	return v.NextLogKey(ctx, roots, f.LogOrigin)
}

// nextWitness makes another key for the local witness and names it in place of those that it had.
func (f *Folder) nextWitness(t *record.Trust) error {
	keys, err := f.witnessKeys()
	if err != nil {
		return err
	}
	signer, err := f.NewIdentity("witness", "witness", strconv.Itoa(len(keys)+1))
	if err != nil {
		return err
	}
	made, err := ledger.NewCosigners(WitnessName, signer.Ed25519())
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(slices.Clone(t.Witnesses), func(key string) bool { return strings.HasPrefix(key, WitnessName+"+") })
	for _, c := range made {
		list = append(list, c.VerifierKey())
	}
	t.Witnesses = list
	return nil
}

// SignTrust adds a party's signatures to a draft: by its root in force and by its new one, as far as they are in this folder and missing.
func (f *Folder) SignTrust(d TrustDraft, party string) (TrustDraft, error) {
	now, err := f.Trust()
	if err != nil {
		return d, err
	}
	if err := record.CheckSuccessor(now.Eras(), &d.Trust); err != nil {
		return d, err
	}
	roots, err := f.offices(party, "root")
	if err != nil {
		return d, err
	}
	var all record.Joint
	signed := false
	for _, key := range record.FourRoots(now, &d.Trust) {
		at := slices.IndexFunc(d.Signatures, func(raw string) bool {
			st, err := record.Peek(raw)
			return err == nil && st.Author == key.ID()
		})
		if at >= 0 {
			all = append(all, d.Signatures[at])
			continue
		}
		for _, root := range roots {
			if root.Public().Equal(key) {
				raw, err := record.Sign(root, record.TypeTrust, time.Now(), d.Trust)
				if err != nil {
					return d, err
				}
				all, signed = append(all, raw), true
			}
		}
	}
	if !signed && len(all) == len(d.Signatures) && !slices.ContainsFunc(roots, func(s *record.Signer) bool { return s.Public().Equal(now.Party(party).Root) }) {
		return d, problem.New(problem.NotFound, "the root key of the %s is not in this folder", party)
	}
	d.Signatures = all
	return d, nil
}

// offices are the keys of an office that are in this folder: the first and every later one.
func (f *Folder) offices(party, office string) ([]*record.Signer, error) {
	places, err := filepath.Glob(f.Dir(party, "office", office+"*"))
	if err != nil {
		return nil, err
	}
	var list []*record.Signer
	for _, place := range places {
		signer, err := f.Identity(party, "office", filepath.Base(place))
		if err != nil {
			return nil, err
		}
		list = append(list, signer)
	}
	return list, nil
}

// Office reads the root or registrar key of court or custodian that the trust file in force names.
func (f *Folder) Office(party, office string) (*record.Signer, error) {
	list, err := f.offices(party, office)
	if err != nil {
		return nil, err
	}
	if len(list) == 1 {
		return list[0], nil
	}
	t, err := f.Trust()
	if err != nil {
		return nil, err
	}
	key, err := keyAt(t, party+"."+office)
	if err != nil {
		return nil, err
	}
	for _, signer := range list {
		if signer.Public().Equal(*key) {
			return signer, nil
		}
	}
	return nil, problem.New(problem.NotFound, "the %s key of the %s that the trust file names is not in this folder", office, party)
}

// PutTrust puts a signed trust file in force: the court logs it, the witnesses see that, and vault, custodian and court are given the proof, in this
// order, so that the log is signed with the keys that the keyholders will ask for. Cut off anywhere, it goes on when it is done again.
func (f *Folder) PutTrust(ctx context.Context, joint record.Joint) error {
	chain, err := f.TrustChain()
	if err != nil {
		return err
	}
	court := f.Keyholder("court", nil)
	if err := court.PutTrust(ctx, record.TrustLink{Trust: joint}); err != nil {
		return err
	}
	theirs, err := court.Trust(ctx)
	if err != nil {
		return err
	}
	if _, err := theirs.Extends(append(slices.Clip(chain), record.TrustLink{Trust: joint})[:min(len(theirs), len(chain)+1)]); err != nil {
		return err
	}
	last := &theirs[len(theirs)-1]
	if last.Entry != nil && last.Entry.Proof == "" {
		if last.Entry.Proof, err = f.awaitProof(ctx, last.Entry); err != nil {
			return err
		}
	}
	if _, err := ledger.OpenTrust(theirs, f.Config.Trust); err != nil {
		return err
	}
	if err := f.Vault(nil).PutTrust(ctx, *last); err != nil {
		return err
	}
	for _, party := range []string{"custodian", "court"} {
		if err := f.Keyholder(party, nil).PutTrust(ctx, *last); err != nil {
			return err
		}
	}
	return f.keepTrust(theirs)
}

// awaitProof waits until witnesses have seen an entry.
func (f *Folder) awaitProof(ctx context.Context, entry *record.TrustEntry) (string, error) {
	if len(entry.Random) != 32 {
		return "", problem.New(problem.Invalid, "the court's log entry of the trust file has no form; tell the court's operator")
	}
	leaf := ledger.Commit(ledger.Opening{Event: entry.Event, Random: [32]byte(entry.Random)})
	for end := time.Now().Add(2 * time.Minute); ; {
		proof, err := f.Vault(nil).Proof(ctx, leaf)
		if err == nil || problem.KindOf(err) != problem.Conflict || time.Now().After(end) {
			return string(proof), err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
