// Package witness is an independent witness of transparency logs: it cosigns a
// checkpoint only if it continues the last one that it cosigned.
//
// It promises, for each log by its origin, never to have signed two trees of
// which neither contains the other, nor a smaller tree later than a larger one, across
// crashes at any point: the new state, its time included, is on the disk before a
// cosignature leaves the process. It trusts its disk
// not to be rolled back and its own key; it does not trust the log, nor
// whoever sends requests, who need no credentials: the log's signature is the
// only thing that admits a checkpoint. It learns sizes and roots, nothing else.
//
// # Protocol (C2SP tlog-witness)
//
//	POST /add-checkpoint    200 cosignature lines, Ed25519 and ML-DSA-44
//	                        400 malformed, or old size beyond the checkpoint's
//	                        403 the log's signature is missing or wrong
//	                        404 unknown origin
//	                        409 text/x.tlog.size: the size last cosigned;
//	                            another type: same size, another root
//	                        422 the consistency proof is wrong
//	                        503 the state could not be stored
//	GET /checkpoint         200 the checkpoint last cosigned, with those cosignatures,
//	                            so that others can compare; ?origin= names the log,
//	                            where the witness follows several
//	                        404 unknown origin, or nothing cosigned yet
//
// # State
//
// One file per log, <folder>/<SHA-256 of the origin, hex>.checkpoint: the last
// checkpoint that was cosigned, as the log signed it, with the cosignatures. It
// is replaced by fsync, rename and fsync of the folder. A file that does not parse
// or is not signed by the log stops the witness from starting: an empty state would let a log
// start again from nothing. The folder is locked while a witness runs on it.
//
// A log that signs another tree of the size last cosigned has convicted itself, and one that offers a larger tree with a
// proof that leads from another beginning: the evidence is kept as <folder>/evidence-<hash>.txt (ledger.Evidence), at most 16 of them.
package witness

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
)

// Log is a log that the witness follows.
type Log struct {
	Origin string   // its origin line
	Keys   []string // verifier keys, any of which may sign; more than one while a key rolls over
}

// Options configure a Witness. Every field but Before and Report is required.
type Options struct {
	Name   string               // the name in its cosignatures
	Key    ed25519.PrivateKey   // its cosigning key, of which its ML-DSA-44 key is derived (ledger.NewCosigners)
	Before []ed25519.PrivateKey // keys of the same name that it still signs with, while it rolls over, oldest first; of them the last counts
	Folder string               // where its state lives; must exist
	Logs   []Log
	Now    func() time.Time
	Report *slog.Logger // operator's log: refusals and failures; nil discards
}

// Witness is an http.Handler. Close it to release its folder.
type Witness struct {
	cosigners []*ledger.Cosigner
	now       func() time.Time
	report    *slog.Logger
	logs      map[string]*state
	mux       *http.ServeMux
	unlock    func() error
}

// state is one log's last cosigned checkpoint. mu orders requests of one log:
// comparing and replacing must be one step, or two requests could fork it.
type state struct {
	mu        sync.Mutex
	keys      []note.Verifier
	verifiers []*ledger.Verifier // per key of the log: that log with this witness alone
	path      string
	tree      ledger.Tree // zero: nothing cosigned yet
	note      []byte      // what the file holds
	signed    time.Time   // time of the last cosignature
	store     func(path string, content []byte) error
}

// maxBefore is how many keys beside the newest sign: a policy names at most four keys of a witness, and an answer has a limit.
const maxBefore = 1

// New reads the state of every log and refuses to start if any is damaged.
func New(o Options) (*Witness, error) {
	cosigners, err := ledger.NewCosigners(o.Name, o.Key)
	if err != nil {
		return nil, err
	}
	for _, key := range o.Before[max(0, len(o.Before)-maxBefore):] {
		more, err := ledger.NewCosigners(o.Name, key)
		if err != nil {
			return nil, err
		}
		cosigners = append(cosigners, more...)
	}
	if o.Now == nil || o.Folder == "" || len(o.Logs) == 0 {
		return nil, problem.New(problem.Invalid, "a witness needs a clock, a folder and at least one log")
	}
	unlock, err := lockFolder(o.Folder)
	if err != nil {
		return nil, problem.Wrap(problem.Unavailable, err, "the witness's folder is missing, or another witness runs on it")
	}
	w := &Witness{cosigners: cosigners, now: o.Now, report: o.Report, logs: map[string]*state{}, mux: http.NewServeMux(), unlock: unlock}
	if w.report == nil {
		w.report = slog.New(slog.DiscardHandler)
	}
	w.mux.HandleFunc("POST /add-checkpoint", w.addCheckpoint)
	w.mux.HandleFunc("GET /checkpoint", w.lastCheckpoint)
	for _, l := range o.Logs {
		if err := w.follow(o.Folder, l); err != nil {
			return nil, errors.Join(err, unlock())
		}
	}
	return w, nil
}

func (w *Witness) follow(folder string, l Log) error {
	if l.Origin == "" || len(l.Keys) == 0 || w.logs[l.Origin] != nil {
		return problem.New(problem.Invalid, "each log needs an origin of its own and at least one key")
	}
	name := sha256.Sum256([]byte(l.Origin))
	s := &state{path: filepath.Join(folder, hex.EncodeToString(name[:])+".checkpoint"), store: replaceFile}
	for _, key := range l.Keys {
		v, err := note.NewVerifier(key)
		if err != nil || v.Name() != l.Origin {
			return problem.New(problem.Invalid, "a log's verifier key must be Ed25519 and carry the log's origin as its name")
		}
		alone, err := ledger.NewVerifier(ledger.Policy{Origin: l.Origin, Log: key, Witnesses: w.VerifierKeys(), Quorum: 1})
		if err != nil {
			return err
		}
		s.keys, s.verifiers = append(s.keys, v), append(s.verifiers, alone)
	}
	signed, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		w.logs[l.Origin] = s
		return nil
	}
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the witness's state cannot be read")
	}
	if err := s.resume(signed, l.Origin); err != nil {
		return problem.Wrap(problem.Invalid, err, "the witness's state is damaged; restore it, an empty one would forget what was cosigned")
	}
	w.logs[l.Origin] = s
	return nil
}

// resume takes the state up from its file. One without cosignatures is of an earlier version, which did not keep them.
func (s *state) resume(signed []byte, origin string) error {
	tree, err := ledger.OpenTree(signed, s.keys...)
	if err != nil {
		return err
	}
	if tree.Origin != origin {
		return ledger.ErrAltered
	}
	for _, v := range s.verifiers {
		at, err := v.LastCosigned(signed)
		if err == nil && at.After(s.signed) {
			s.signed = at
		} else if errors.Is(err, ledger.ErrAltered) {
			return err
		}
	}
	s.tree, s.note = tree, signed
	return nil
}

// VerifierKeys gives the witness's public keys as a ledger.Policy lists them: Ed25519, then ML-DSA-44.
func (w *Witness) VerifierKeys() []string {
	var keys []string
	for _, c := range w.cosigners {
		keys = append(keys, c.VerifierKey())
	}
	return keys
}

// Close lets another witness use the folder.
func (w *Witness) Close() error { return w.unlock() }

// ServeHTTP implements http.Handler.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.mux.ServeHTTP(rw, r) }

// Server gives an HTTP server for a witness whose limits hold off slow and
// oversized clients.
func Server(address string, h http.Handler) *http.Server {
	return &http.Server{
		Addr: address, Handler: h,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

// refused is an answer other than 200.
type refused struct {
	status int
	media  string
	body   string
}

func (r *refused) Error() string { return fmt.Sprintf("%d: %s", r.status, r.body) }

func refuse(status int, text string) error {
	return &refused{status: status, media: "text/plain; charset=utf-8", body: text + "\n"}
}

func (w *Witness) addCheckpoint(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, ledger.MaxRequest))
	if err != nil {
		err = refuse(http.StatusBadRequest, "the request is too long or was cut off")
	}
	var line string
	if err == nil {
		line, err = w.cosign(body)
	}
	if err == nil {
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(rw, line)
		return
	}
	answer, ok := errors.AsType[*refused](err)
	if !ok {
		answer = &refused{status: http.StatusServiceUnavailable, media: "text/plain; charset=utf-8", body: "the witness could not store its state; nothing was cosigned\n"}
	}
	w.report.Warn("checkpoint refused", "status", answer.status, "cause", err.Error())
	rw.Header().Set("Content-Type", answer.media)
	rw.WriteHeader(answer.status)
	io.WriteString(rw, answer.body)
}

// cosign does the whole of add-checkpoint on a request's body.
func (w *Witness) cosign(body []byte) (string, error) {
	r, err := ledger.ParseRequest(body)
	if err != nil {
		return "", refuse(http.StatusBadRequest, problem.MessageOf(err))
	}
	// The origin only selects the log; nothing is believed before its signature.
	origin, _, _ := bytes.Cut(r.Checkpoint, []byte("\n"))
	s := w.logs[string(origin)]
	if s == nil {
		return "", refuse(http.StatusNotFound, "this witness does not follow that log")
	}
	tree, err := ledger.OpenTree(r.Checkpoint, s.keys...)
	if err != nil {
		return "", refuse(http.StatusForbidden, problem.MessageOf(err))
	}
	if tree.Origin != string(origin) || r.Old > tree.Size {
		return "", refuse(http.StatusBadRequest, "the old size lies beyond the checkpoint's")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return w.advance(s, r, tree)
}

// advance is called with s.mu held and a checkpoint that the log has signed.
func (w *Witness) advance(s *state, r ledger.Request, tree ledger.Tree) (string, error) {
	if r.Old != s.tree.Size {
		return "", &refused{status: http.StatusConflict, media: ledger.SizeType, body: fmt.Sprintf("%d\n", s.tree.Size)}
	}
	if s.tree.Origin != "" {
		if tree.Size == s.tree.Size && tree.Root != s.tree.Root {
			w.convict(s, r, tree)
			return "", refuse(http.StatusConflict, "another tree of this size was cosigned")
		}
		if err := tree.CheckConsistency(s.tree, r.Path); err != nil {
			w.convict(s, r, tree)
			return "", refuse(http.StatusUnprocessableEntity, problem.MessageOf(err))
		}
	} else if len(r.Path) > 0 {
		return "", refuse(http.StatusUnprocessableEntity, "the proof from size 0 is empty")
	}
	now := w.now()
	if now.Before(s.signed) {
		return "", fmt.Errorf("this machine's clock went back by %v", s.signed.Sub(now))
	}
	var lines strings.Builder
	for _, c := range w.cosigners {
		lines.WriteString(c.Cosign(tree, now).Line)
	}
	signed := append(ledger.WithoutCosignatures(r.Checkpoint), lines.String()...)
	if err := s.store(s.path, signed); err != nil {
		return "", err // nothing was cosigned, whether or not the file changed
	}
	s.tree, s.note, s.signed = tree, signed, now
	return lines.String(), nil
}

// maxEvidence is how many proofs against one witness's logs are kept: one is enough, and a log could make any number.
const maxEvidence = 16

// convict keeps what proves that the log has signed two trees of one size, or a larger one of which its own proof shows that it began with something
// else. That it cannot be kept changes no answer.
func (w *Witness) convict(s *state, r ledger.Request, tree ledger.Tree) {
	folder := filepath.Dir(s.path)
	kept, err := filepath.Glob(filepath.Join(folder, "evidence-*.txt"))
	if err != nil || len(kept) >= maxEvidence {
		return
	}
	for _, v := range s.verifiers {
		var e *ledger.Evidence
		var err error
		if tree.Size == s.tree.Size {
			e, err = v.Contradiction(s.note, r.Checkpoint, nil) // trees of one size need no hashes
		} else {
			e, err = v.Shown(s.note, r.Checkpoint, r.Path)
		}
		if err != nil || e == nil {
			continue // signed by different keys of the log
		}
		b := e.Marshal()
		sum := sha256.Sum256(b)
		path := filepath.Join(folder, fmt.Sprintf("evidence-%x.txt", sum[:8]))
		if err := replaceFile(path, b); err != nil {
			w.report.Error("evidence could not be kept", "cause", err.Error())
			return
		}
		w.report.Error("the log has signed two histories; arca verify checks the evidence", "file", filepath.Base(path))
		return
	}
}

// lastCheckpoint shows what was cosigned last.
func (w *Witness) lastCheckpoint(rw http.ResponseWriter, r *http.Request) {
	s := w.logs[r.URL.Query().Get("origin")]
	if len(w.logs) == 1 && !r.URL.Query().Has("origin") {
		for _, s = range w.logs {
		}
	}
	if s == nil {
		http.Error(rw, "this witness does not follow that log; name one with ?origin=", http.StatusNotFound)
		return
	}
	s.mu.Lock()
	signed := s.note
	s.mu.Unlock()
	if signed == nil {
		http.Error(rw, "nothing has been cosigned yet", http.StatusNotFound)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	rw.Write(signed)
}

// replaceFile makes content the file's content, durably, or leaves the old one.
func replaceFile(path string, content []byte) error {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already once it was renamed
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close()) // after this the state survives power loss
}
