//go:build pkcs11

package pkcs11

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"arca.example/arca/shared/problem"
	p11 "github.com/miekg/pkcs11"
)

// Config says which token holds the roots.
type Config struct {
	Module string // path of the PKCS#11 library
	Token  string // label of the token
	PIN    string // the user PIN
}

// Token is one token, logged in. It is safe for concurrent use.
type Token struct {
	config  Config
	library *p11.Ctx

	create sync.Mutex // one creation or destruction at a time in this process

	mu         sync.Mutex
	idle       []p11.SessionHandle
	login      p11.SessionHandle // held open: the login lasts as long as any session
	loggedIn   bool
	generation int // grows with each login; sessions of an earlier one are dead
	slot       uint
	closed     bool

	initialised bool // by this Token, which then also finalises
}

// maxIdle bounds the sessions that wait for work; a token may allow few.
const maxIdle = 8

// Open loads the library, finds the token and logs in.
func Open(c Config) (*Token, error) {
	if c.Module == "" || c.Token == "" || c.PIN == "" {
		return nil, problem.New(problem.Invalid, "a PKCS#11 token needs the path of its library, the token's label and the user PIN; set all three in the configuration")
	}
	library := p11.New(c.Module)
	if library == nil {
		return nil, problem.New(problem.Unavailable, "the PKCS#11 library cannot be loaded; check its path")
	}
	t := &Token{config: c, library: library}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.connect(); err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

// Close logs out and unloads the library. Roots answer Unavailable afterwards.
func (t *Token) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	t.library.CloseAllSessions(t.slot) // logs out
	return t.release()
}

// release gives back the library; it is finalised only by who initialised it.
func (t *Token) release() error {
	var err error
	if t.initialised {
		err = t.library.Finalize()
	}
	t.library.Destroy()
	return err
}

// connect initialises the library if needed, finds the token and logs in. The caller holds t.mu.
func (t *Token) connect() error {
	switch err := t.library.Initialize(); {
	case err == nil:
		t.initialised = true
	case !is(err, p11.CKR_CRYPTOKI_ALREADY_INITIALIZED):
		return unavailable(err)
	}
	slot, err := t.findSlot()
	if err != nil {
		return err
	}
	s, err := t.library.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	if err != nil {
		return unavailable(err)
	}
	if err := t.library.Login(s, p11.CKU_USER, t.config.PIN); err != nil && !is(err, p11.CKR_USER_ALREADY_LOGGED_IN) {
		t.library.CloseSession(s)
		if is(err, p11.CKR_PIN_INCORRECT, p11.CKR_PIN_LOCKED, p11.CKR_PIN_LEN_RANGE, p11.CKR_PIN_INVALID) {
			return problem.Wrap(problem.Denied, err, "the token refuses the PIN; correct the configuration before its tries run out")
		}
		return unavailable(err)
	}
	t.slot, t.login, t.loggedIn = slot, s, true
	t.generation++
	return nil
}

// findSlot finds the one token of the configured label; two would be a guess.
func (t *Token) findSlot() (uint, error) {
	slots, err := t.library.GetSlotList(true)
	if err != nil {
		return 0, unavailable(err)
	}
	var found []uint
	for _, slot := range slots {
		if info, err := t.library.GetTokenInfo(slot); err == nil && info.Label == t.config.Token {
			found = append(found, slot)
		}
	}
	if len(found) != 1 {
		return 0, problem.Wrap(problem.Unavailable, fmt.Errorf("%d tokens of that label", len(found)), "there is not exactly one token of the configured label; plug it in or correct the configuration")
	}
	return found[0], nil
}

// with runs do in a session. When the session, the login or the token was lost
// it logs in again and runs do once more.
func (t *Token) with(do func(p11.SessionHandle) error) error {
	s, generation, err := t.take()
	if err == nil {
		err = do(s)
		if err == nil || !lost(err) {
			t.give(s, generation)
			return err
		}
	} else if !lost(err) {
		return err
	}
	if err := t.reconnect(generation); err != nil {
		return err
	}
	if s, generation, err = t.take(); err != nil {
		return unavailable(err)
	}
	if err = do(s); err != nil && lost(err) {
		return unavailable(err) // the session is not given back
	}
	t.give(s, generation)
	return err
}

func (t *Token) take() (p11.SessionHandle, int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, 0, problem.New(problem.Unavailable, "the token was closed; start the process again")
	}
	if !t.loggedIn {
		return 0, t.generation, p11.Error(p11.CKR_USER_NOT_LOGGED_IN)
	}
	if n := len(t.idle); n > 0 {
		s := t.idle[n-1]
		t.idle = t.idle[:n-1]
		return s, t.generation, nil
	}
	s, err := t.library.OpenSession(t.slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	if err != nil && !lost(err) {
		err = unavailable(err)
	}
	return s, t.generation, err
}

func (t *Token) give(s p11.SessionHandle, generation int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if generation != t.generation || t.closed {
		return // a dead session; closing its number might close another's
	}
	if len(t.idle) >= maxIdle {
		t.library.CloseSession(s)
		return
	}
	t.idle = append(t.idle, s)
}

// reconnect replaces the login that a caller saw fail, unless another caller has done so.
func (t *Token) reconnect(seen int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.generation != seen {
		return nil
	}
	t.idle, t.loggedIn = nil, false
	t.library.CloseAllSessions(t.slot) // whatever is left; the error says nothing new
	err := t.connect()
	if err != nil && t.initialised {
		// Some modules recover from a removed device only by starting over.
		t.library.Finalize()
		err = t.connect()
	}
	return err
}

func lost(err error) bool {
	return is(err, p11.CKR_SESSION_HANDLE_INVALID, p11.CKR_SESSION_CLOSED, p11.CKR_USER_NOT_LOGGED_IN, p11.CKR_TOKEN_NOT_PRESENT,
		p11.CKR_DEVICE_REMOVED, p11.CKR_DEVICE_ERROR, p11.CKR_TOKEN_NOT_RECOGNIZED, p11.CKR_CRYPTOKI_NOT_INITIALIZED, p11.CKR_SLOT_ID_INVALID)
}

func is(err error, codes ...uint) bool {
	e, ok := errors.AsType[p11.Error](err)
	for _, code := range codes {
		if ok && uint(e) == code {
			return true
		}
	}
	return false
}

func unavailable(cause error) error {
	if _, ok := errors.AsType[*problem.Error](cause); ok {
		return cause
	}
	return problem.Wrap(problem.Unavailable, cause, "the token did not answer; nothing was lost; check that it is plugged in and try again")
}

const redacted = "[secret]"

// Format redacts the PIN under every verb.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, "token "+c.Token+" "+redacted) }

// LogValue redacts in logs.
func (c Config) LogValue() slog.Value { return slog.StringValue("token " + c.Token + " " + redacted) }

// MarshalText redacts in every encoding.
func (c Config) MarshalText() ([]byte, error) {
	return []byte("token " + c.Token + " " + redacted), nil
}

// Format redacts under every verb.
func (t *Token) Format(f fmt.State, verb rune) { t.config.Format(f, verb) }

// LogValue redacts in logs.
func (t *Token) LogValue() slog.Value { return t.config.LogValue() }

// MarshalText redacts in every encoding.
func (t *Token) MarshalText() ([]byte, error) { return t.config.MarshalText() }
