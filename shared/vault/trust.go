package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/store"
)

// Names of the rows of the first of something, and of what follows it.
const (
	logSeedRow = "log-key"    // wrapped by the vault's root
	logKeyRow  = "log-public" // verifier key
	trustRow   = "trust"
)

func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	return fmt.Sprintf("%s/%d", name, n)
}

// rowsFrom gives the rows name, name/2, name/3 … up to the first that is missing.
func (v *Vault) rowsFrom(ctx context.Context, name string) ([]store.Row, error) {
	const atOnce = 8
	var list []store.Row
	for {
		var names []string
		for n := range atOnce {
			names = append(names, numbered(name, len(list)+1+n))
		}
		have, err := v.cfg.Rows.Get(ctx, names...)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			row, ok := have[name]
			if !ok {
				return list, nil
			}
			list = append(list, row)
		}
	}
}

// LogSigner opens the log's first signing key, making it on first use. Only the sequence function has the root for it. Of two first
// starts at once one wins and the other reads its key.
func (v *Vault) LogSigner(ctx context.Context, roots keys.Roots, origin string) (note.Signer, error) {
	for range 3 {
		signers, err := v.logSigners(ctx, roots, origin)
		if err != nil {
			return nil, err
		}
		if len(signers) > 0 {
			return signers[0].Signer, nil
		}
		if _, err := v.makeLogKey(ctx, roots, origin, 1); err != nil && problem.KindOf(err) != problem.Conflict {
			return nil, err
		}
	}
	return nil, problem.New(problem.Unavailable, "the log's key cannot be written; try again")
}

// NextLogKey makes the key that the next trust file is to name, a new one each time: one that had lain ready could have been stolen with the one
// in use. It signs nothing before that file is in force.
func (v *Vault) NextLogKey(ctx context.Context, roots keys.Roots, origin string) (string, error) {
	for range 3 {
		have, err := v.rowsFrom(ctx, logSeedRow)
		if err != nil {
			return "", err
		}
		key, err := v.makeLogKey(ctx, roots, origin, len(have)+1)
		if err == nil || problem.KindOf(err) != problem.Conflict {
			return key, err
		}
	}
	return "", problem.New(problem.Unavailable, "the log's key cannot be written; try again")
}

// signingKey is a key of the log with the verifier key that a trust file names.
type signingKey struct {
	note.Signer
	vkey string
}

func (v *Vault) logSigners(ctx context.Context, roots keys.Roots, origin string) ([]signingKey, error) {
	root, err := keys.OpenOrCreate(ctx, roots, "base")
	if err != nil {
		return nil, err
	}
	rows, err := v.rowsFrom(ctx, logSeedRow)
	if err != nil {
		return nil, err
	}
	var list []signingKey
	for _, row := range rows {
		seed, err := root.Unwrap(ctx, logKeyAAD(origin), row.Value)
		if err != nil {
			return nil, err
		}
		signer, vkey, err := logSigner(seed, origin)
		if err != nil {
			return nil, err
		}
		list = append(list, signingKey{signer, vkey})
	}
	return list, nil
}

func logKeyAAD(origin string) []byte { return []byte("arca/v1/log-key/" + origin) }

// makeLogKey makes key number n, unless there is one.
func (v *Vault) makeLogKey(ctx context.Context, roots keys.Roots, origin string, n int) (string, error) {
	root, err := keys.OpenOrCreate(ctx, roots, "base")
	if err != nil {
		return "", err
	}
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // crypto/rand does not fail
	_, vkey, err := logSigner(seed, origin)
	if err != nil {
		return "", err
	}
	wrapped, err := root.Wrap(ctx, logKeyAAD(origin), seed)
	if err != nil {
		return "", err
	}
	return vkey, v.cfg.Rows.Commit(ctx,
		store.Write{Op: store.Put, Key: numbered(logSeedRow, n), Value: wrapped},
		store.Write{Op: store.Put, Key: numbered(logKeyRow, n), Value: []byte(vkey)})
}

func logSigner(seed []byte, origin string) (note.Signer, string, error) {
	key, err := record.SignerFromSeed(seed)
	if err != nil {
		return nil, "", err
	}
	return ledger.NewLogSigner(origin, key.Ed25519())
}

// LogKeys are the log's verifier keys, oldest first; the last is the one that the next trust file may name. Errors: problem.Unavailable until
// sequence has run once.
func (v *Vault) LogKeys(ctx context.Context) ([]string, error) {
	rows, err := v.rowsFrom(ctx, logKeyRow)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, row := range rows {
		list = append(list, string(row.Value))
	}
	if len(list) > 0 {
		return list, nil
	}
	if v.cfg.Sequence != nil {
		_ = v.cfg.Sequence(ctx) // the schedule runs it within a minute in any case
	}
	return nil, problem.New(problem.Unavailable, "the log's key is being made; try again in a minute")
}

// LogKey is the verifier key in use, and the one that was made last for a trust file that is not in force yet, if there is one.
func (v *Vault) LogKey(ctx context.Context) (inUse, next string, err error) {
	list, err := v.LogKeys(ctx)
	if err != nil {
		return "", "", err
	}
	inUse = list[0]
	if t, err := v.Trust(ctx); err == nil {
		inUse = t.LogKey
	} else if problem.KindOf(err) != problem.Unavailable {
		return "", "", err
	}
	if last := list[len(list)-1]; last != inUse {
		next = last
	}
	return inUse, next, nil
}

// TrustChain gives every trust file from the first on, as signed.
func (v *Vault) TrustChain(ctx context.Context) (record.TrustChain, error) {
	rows, err := v.rowsFrom(ctx, trustRow)
	if err != nil {
		return nil, err
	}
	return parseTrustRows(rows)
}

func parseTrustRows(rows []store.Row) (record.TrustChain, error) {
	var chain record.TrustChain
	for i, row := range rows {
		var link record.TrustLink
		into := any(&link)
		if i == 0 {
			into = &link.Trust
		}
		if err := record.UnmarshalStored(row.Value, into); err != nil {
			return nil, problem.Wrap(problem.Internal, err, "a stored trust file cannot be read; tell the operator")
		}
		chain = append(chain, link)
	}
	return chain, nil
}

// Trust gives the trust file in force. Errors: problem.Unavailable before the first one.
func (v *Vault) Trust(ctx context.Context) (*record.Trust, error) {
	rows, err := v.rowsFrom(ctx, trustRow)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, problem.New(problem.Unavailable, "this vault has no trust file yet; the operator sends it with PUT /v1/vault/trust")
	}
	var read strings.Builder
	for _, row := range rows {
		read.Write(row.Value)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.trust == nil || v.read != read.String() {
		chain, err := parseTrustRows(rows)
		if err != nil {
			return nil, err
		}
		t, err := v.openTrust(chain)
		if err != nil {
			return nil, err
		}
		v.trust, v.read, v.log, v.writes = t, read.String(), nil, nil
	}
	return v.trust, nil
}

func (v *Vault) openTrust(chain record.TrustChain) (*record.Trust, error) {
	if v.cfg.Fingerprint.IsZero() {
		return nil, problem.New(problem.Unavailable, "this vault was started without the fingerprint of its trust file (TRUST); set it and start again")
	}
	return ledger.OpenTrust(chain, v.cfg.Fingerprint)
}

// PutTrust takes a trust file: the first, which must match the pin, or the one that follows those here, with its proven log entry. It must name a key of
// this vault's log and its packs' shape. Commit point: the row; from then on the log is signed with that key.
func (v *Vault) PutTrust(ctx context.Context, link record.TrustLink) error {
	chain, err := v.TrustChain(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(chain, func(l record.TrustLink) bool { return slices.Equal(l.Trust, link.Trust) })
	if at >= 0 {
		return nil // it is here
	}
	t, err := v.openTrust(append(slices.Clip(chain), link))
	if err != nil {
		return err
	}
	list, err := v.LogKeys(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(list, t.LogKey) || t.Pack.Size != v.cfg.Geometry.Size || t.Pack.Slots != v.cfg.Geometry.Slots {
		return problem.New(problem.Denied, "the trust file names another log or another shape of packs than this vault's; read them with GET /v1/vault")
	}
	stored := any(link)
	if len(chain) == 0 {
		stored = link.Trust
	}
	raw, err := record.Marshal(stored)
	if err != nil {
		return err
	}
	return v.cfg.Rows.Commit(ctx, store.Write{Op: store.Put, Key: numbered(trustRow, len(chain)+1), Value: raw})
}

// Ledger gives the log for adding and reading; it cannot sign.
func (v *Vault) Ledger(ctx context.Context) (*Ledger, error) {
	t, err := v.Trust(ctx)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.log != nil && v.trust == t {
		return v.log, nil
	}
	verifier, err := ledger.VerifierOf(t)
	if err != nil {
		return nil, err
	}
	log, err := newLedger(v.cfg.Rows, v.cfg.Blobs, noSigner(t.LogOrigin), verifier, nil, v.cfg.Now)
	if err == nil && v.trust == t {
		v.log = log
	}
	return log, err
}

// Sequencer gives the log for sequencing under the trust file in force. list has the witnesses' addresses: see addresses.
func (v *Vault) Sequencer(ctx context.Context, roots keys.Roots, client *http.Client, list []string) (*Ledger, error) {
	t, err := v.Trust(ctx)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	known := v.writes
	if v.trust != t {
		known = nil
	}
	v.mu.Unlock()
	if known != nil {
		return known, nil
	}
	made, err := v.newSequencer(ctx, t, roots, client, list)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.trust == t {
		v.writes = made
	}
	return made, nil
}

func (v *Vault) newSequencer(ctx context.Context, t *record.Trust, roots keys.Roots, client *http.Client, list []string) (*Ledger, error) {
	verifier, err := ledger.VerifierOf(t)
	if err != nil {
		return nil, err
	}
	signers, err := v.logSigners(ctx, roots, t.LogOrigin)
	if err != nil {
		return nil, err
	}
	of := func(vkey string) note.Signer {
		for _, s := range signers {
			if s.vkey == vkey {
				return s.Signer
			}
		}
		return nil
	}
	policy := verifier.Policy()
	names := policy.Names()
	urls, ok := addresses(names, list)
	if !ok {
		return nil, problem.New(problem.Unavailable, "WITNESSES must list one address per witness of the trust file, in its order or each as name=address; set it and start again")
	}
	var witnesses []Witness
	for i, name := range names {
		witnesses = append(witnesses, RemoteWitness{Called: name, Keys: policy.KeysOf(name), URL: urls[i], Client: client})
	}
	l, err := newLedger(v.cfg.Rows, v.cfg.Blobs, of(t.LogKey), verifier, witnesses, v.cfg.Now)
	if err != nil {
		return nil, err
	}
	for i, e := range slices.Backward(t.Eras()) {
		if e.LogKey != t.LogKey {
			l.before = of(e.LogKey)
			l.beside, _ = t.EndOf(i)
			break
		}
	}
	return l, nil
}

// addresses gives one address per name. A list names them as name=address, in any order, and may name others, which a trust file that is not in
// force yet will need; or it has just the addresses, in the names' order.
func addresses(names, list []string) ([]string, bool) {
	named := map[string]string{}
	for _, entry := range list {
		if name, url, ok := strings.Cut(entry, "=http"); ok {
			named[name] = "http" + url
		}
	}
	if len(named) == 0 {
		return list, len(list) == len(names)
	}
	var urls []string
	for _, name := range names {
		if named[name] == "" {
			return nil, false
		}
		urls = append(urls, named[name])
	}
	return urls, len(named) == len(list)
}

// noSigner has the log's name and not its key.
type noSigner string

func (n noSigner) Name() string    { return string(n) }
func (n noSigner) KeyHash() uint32 { return 0 }
func (n noSigner) Sign([]byte) ([]byte, error) {
	return nil, errors.New("this function does not hold the log's key")
}

// signers are the keys that sign a checkpoint now: the one in force, and in front of its end the one before.
func (l *Ledger) signers() []note.Signer {
	if l.before != nil && l.now().Before(l.beside) {
		return []note.Signer{l.signer, l.before}
	}
	return []note.Signer{l.signer}
}
