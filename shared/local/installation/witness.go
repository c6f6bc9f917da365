package installation

import (
	"bytes"
	"crypto/ed25519"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/witness"
)

// localWitness is the installation's witness. It follows the trust files of the folder: when they name another key of the log, or a key was made for
// itself, it goes on with these without a restart.
type localWitness struct {
	folder *Folder
	report *slog.Logger

	mu    sync.Mutex
	trust []byte // of which files
	keys  []ed25519.PrivateKey
	w     *witness.Witness
}

// ServeHTTP implements http.Handler.
func (l *localWitness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock() // one log asks, in turn
	if err := l.refresh(); err != nil {
		l.report.Error("the witness cannot go on with the trust files of the folder", "cause", err.Error())
		http.Error(rw, "the witness cannot read its keys", http.StatusServiceUnavailable)
		return
	}
	l.w.ServeHTTP(rw, r)
}

// Close lets go of the witness's folder.
func (l *localWitness) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w == nil {
		return nil
	}
	return l.w.Close()
}

// refresh makes the witness anew if its keys or the log's have changed. Its state is in its folder.
func (l *localWitness) refresh() error {
	raw, err := os.ReadFile(l.folder.Dir(trustName))
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the installation's trust file cannot be read")
	}
	keys, err := l.folder.witnessKeys()
	if err != nil {
		return err
	}
	if l.w != nil && bytes.Equal(raw, l.trust) && len(keys) == len(l.keys) {
		return nil
	}
	logKeys, err := l.folder.logKeys()
	if err != nil {
		return err
	}
	if l.w != nil {
		if err := l.w.Close(); err != nil {
			return err
		}
		l.w = nil
	}
	last := len(keys) - 1
	l.w, err = witness.New(witness.Options{
		Name: WitnessName, Key: keys[last], Before: keys[:last], Folder: l.folder.Dir("witness"),
		Logs: []witness.Log{{Origin: l.folder.LogOrigin, Keys: logKeys}}, Now: time.Now, Report: l.report,
	})
	l.trust, l.keys = raw, keys
	return err
}

// logKeys are the verifier keys under which the local witness follows the log: of every trust file, newest first.
func (f *Folder) logKeys() ([]string, error) {
	t, err := f.Trust()
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range slices.Backward(t.Eras()) {
		if !slices.Contains(list, e.LogKey) {
			list = append(list, e.LogKey)
		}
	}
	return list, nil
}

// witnessKeys are the local witness's keys, oldest first.
func (f *Folder) witnessKeys() ([]ed25519.PrivateKey, error) {
	var list []ed25519.PrivateKey
	for n := 1; ; n++ {
		place := []string{"witness"}
		if n > 1 {
			place = append(place, strconv.Itoa(n))
		}
		signer, err := f.Identity(place...)
		if n > 1 && problem.KindOf(err) == problem.NotFound {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, signer.Ed25519())
	}
}
