package keys

import (
	"crypto/fips140"
	"slices"

	"arca.example/arca/shared/problem"
	"filippo.io/age"
)

// NewRecoveryIdentity draws an X25519+ML-KEM-768 age identity; its String is
// the secret that belongs in a safe, its Recipient what Export takes.
func NewRecoveryIdentity() (*age.HybridIdentity, error) {
	if fips140.Enforced() {
		// age retries its key generation until it succeeds, which under
		// GODEBUG=fips140=only is never. Refusing beats hanging.
		return nil, problem.New(problem.Unavailable, "recovery identities cannot be made under fips140=only; make them with age-keygen -pq on another machine and pass the recipient here")
	}
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return nil, problem.Wrap(problem.Internal, err, "the recovery identity could not be made")
	}
	return id, nil
}

// Export encrypts all roots to recovery identities, each of which alone can
// read them. Only hybrid recipients are taken: a backup lies for years, and
// what was encrypted to X25519 alone opens for whoever has a quantum computer
// by then. A backup outlives Destroy: make a new one after each destruction and
// destroy the old ones, and list them where the ring lists its copies.
func (f *File) Export(recipients ...age.Recipient) ([]byte, error) {
	notHybrid := func(r age.Recipient) bool { _, ok := r.(*age.HybridRecipient); return !ok }
	if len(recipients) == 0 || slices.ContainsFunc(recipients, notHybrid) {
		return nil, problem.New(problem.Invalid, "name at least one recovery recipient, each of them post-quantum (it begins with age1pq1)")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return nil, f.inDoubt()
	}
	out, err := encrypt(f.roots, recipients...)
	if err != nil {
		return nil, problem.Wrap(problem.Internal, err, "the backup could not be encrypted")
	}
	return out, nil
}

// ImportFile makes a new key file from a backup; problem.Conflict when the path
// exists. It never merges: an old backup merged into a live file would bring
// back roots that were destroyed.
func ImportFile(path string, secret Secret, backup []byte, identities ...age.Identity) (*File, error) {
	if len(backup) > maxFileBytes {
		return nil, problem.New(problem.Invalid, "the backup is larger than a backup of root keys can be")
	}
	if len(identities) == 0 {
		return nil, problem.New(problem.Invalid, "name the recovery identity that opens the backup")
	}
	plain, err := decrypt(backup, "the backup does not open: it is for other recovery identities, or it was altered", identities...)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	roots, err := parseBody(plain)
	if err != nil {
		return nil, err
	}
	return newFile(path, secret, roots)
}
