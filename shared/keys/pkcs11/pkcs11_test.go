//go:build pkcs11

package pkcs11

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/keys/keystest"
	"arca.example/arca/shared/problem"
	p11 "github.com/miekg/pkcs11"
)

const pin, label = "123456", "arca test"

var modules = []string{
	"/usr/lib/softhsm/libsofthsm2.so",
	"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so",
	"/opt/homebrew/lib/softhsm/libsofthsm2.so",
}

// softHSM makes one token for the whole test process (the library reads its
// configuration once) and returns its module.
var softHSM = sync.OnceValues(func() (module string, err error) {
	candidates := modules
	if m := os.Getenv("ARCA_SOFTHSM"); m != "" { // a library at another place
		candidates = []string{m}
	}
	for _, m := range candidates {
		if _, statErr := os.Stat(m); statErr == nil {
			module = m
			break
		}
	}
	if module == "" {
		return "", errors.New("libsofthsm2.so was not found")
	}
	dir, err := os.MkdirTemp("", "arca-softhsm-")
	if err != nil {
		return "", err
	}
	tokens, conf := filepath.Join(dir, "tokens"), filepath.Join(dir, "softhsm2.conf")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", tokens), 0o600); err != nil {
		return "", err
	}
	os.Setenv("SOFTHSM2_CONF", conf)
	scratch = dir
	out, err := exec.Command("softhsm2-util", "--module", module, "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "87654321").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("softhsm2-util: %w: %s", err, out)
	}
	return module, nil
})

var (
	scratch  string
	announce sync.Once // one SKIPPED line per process, not one per test
)

func TestMain(m *testing.M) {
	code := m.Run()
	if scratch != "" {
		os.RemoveAll(scratch)
	}
	os.Exit(code)
}

// config gives a token or skips loudly; under CI a missing engine fails.
func config(t *testing.T) Config {
	t.Helper()
	module, err := softHSM()
	if err != nil {
		const line = "SKIPPED shared/keys/pkcs11: SoftHSM2 is missing; install it with: apt-get update && apt-get install -y softhsm2"
		announce.Do(func() {
			fmt.Fprintln(os.Stderr, line)
			if path := os.Getenv("ARCA_SKIPPED"); path != "" {
				f, openErr := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
				if openErr != nil {
					t.Fatal(openErr)
				}
				fmt.Fprintln(f, line)
				f.Close()
			}
		})
		if os.Getenv("CI") != "" {
			t.Fatalf("%s (%v)", line, err)
		}
		t.Skipf("%s (%v)", line, err)
	}
	return Config{Module: module, Token: label, PIN: pin}
}

// empty opens the token and removes what an earlier test left.
func empty(t *testing.T) *Token {
	t.Helper()
	token, err := Open(config(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { token.Close() })
	names, err := token.Names(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := token.Destroy(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return token
}

func TestATokenKeepsTheContractOfRoots(t *testing.T) {
	keystest.Run(t, keystest.Place{
		Fresh: func(t *testing.T) keys.Roots { return empty(t) },
		// C_Initialize belongs to the process, so "a new process" is a second
		// connection that has lost everything but the token.
		Again: func(t *testing.T, r keys.Roots) keys.Roots {
			token := r.(*Token)
			if err := token.library.CloseAllSessions(token.slot); err != nil {
				t.Fatal(err)
			}
			if err := token.library.Finalize(); err != nil {
				t.Fatal(err)
			}
			return r
		},
	})
}

func wantKind(t *testing.T, what string, err error, kind problem.Kind) {
	t.Helper()
	if err == nil || problem.KindOf(err) != kind {
		t.Errorf("%s: %v, want %s", what, err, kind)
	}
}

func TestALostSessionLoginOrLibraryIsReplaced(t *testing.T) {
	token := empty(t)
	root, err := token.Create(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	w, err := root.Wrap(t.Context(), nil, []byte("seed"))
	if err != nil {
		t.Fatal(err)
	}
	losses := map[string]func() error{
		"all sessions closed": func() error { return token.library.CloseAllSessions(token.slot) },
		"one session closed":  func() error { return token.library.CloseSession(token.idle[len(token.idle)-1]) },
		"logged out":          func() error { return token.library.Logout(token.login) },
		"library finalised":   func() error { return token.library.Finalize() },
	}
	for name, lose := range losses {
		for what, use := range map[string]func() error{
			"unwrap": func() error { _, err := root.Unwrap(t.Context(), nil, w); return err },
			"wrap":   func() error { _, err := root.Wrap(t.Context(), nil, []byte("x")); return err },
			"open":   func() error { _, err := token.Open(t.Context(), "base"); return err },
			"create": func() error {
				_, err := token.Create(t.Context(), "ring-1")
				return errors.Join(err, token.Destroy(t.Context(), "ring-1"))
			},
		} {
			if err := lose(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := use(); err != nil {
				t.Errorf("%s after %s: %v", what, name, err)
			}
		}
	}
	if names, err := token.Names(t.Context()); err != nil || strings.Join(names, " ") != "base" {
		t.Errorf("names %v, %v", names, err)
	}
}

func TestSessionsLostUnderLoadLoseNoCall(t *testing.T) {
	token := empty(t)
	root, err := token.Create(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				plain := fmt.Sprintf("secret %d of %d", i, worker)
				w, err := root.Wrap(t.Context(), nil, []byte(plain))
				if problem.KindOf(err) == problem.Unavailable && err != nil {
					continue // lost twice in one call: an honest answer, and nothing was harmed
				}
				if err != nil {
					t.Errorf("wrap: %v", err)
					return
				}
				got, err := root.Unwrap(t.Context(), nil, w)
				if problem.KindOf(err) == problem.Unavailable && err != nil {
					continue
				}
				if err != nil || string(got) != plain {
					t.Errorf("unwrap: %q, %v", got, err)
					return
				}
			}
		})
	}
	for range 20 {
		token.library.CloseAllSessions(token.slot)
	}
	close(stop)
	wg.Wait()
	if _, err := root.Wrap(t.Context(), nil, []byte("after")); err != nil {
		t.Errorf("after the storm: %v", err)
	}
}

func TestTheTokenNeverGivesTheKeyAway(t *testing.T) {
	token := empty(t)
	if _, err := token.Create(t.Context(), "base"); err != nil {
		t.Fatal(err)
	}
	err := token.with(func(s p11.SessionHandle) error {
		objects, err := token.find(s, rootClass(p11.NewAttribute(p11.CKA_LABEL, "base")))
		if err != nil || len(objects) != 1 {
			return fmt.Errorf("%d objects, %v", len(objects), err)
		}
		if got, err := token.library.GetAttributeValue(s, objects[0], []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE, nil)}); err == nil {
			t.Errorf("the token gave %d bytes of the key", len(got[0].Value))
		}
		if err := token.library.SetAttributeValue(s, objects[0], []*p11.Attribute{p11.NewAttribute(p11.CKA_EXTRACTABLE, true)}); err == nil {
			t.Error("the key was made extractable")
		}
		if err := token.library.SetAttributeValue(s, objects[0], []*p11.Attribute{p11.NewAttribute(p11.CKA_SENSITIVE, false)}); err == nil {
			t.Error("the key was made readable")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Weakened twins: keys that someone put into the token beforehand, each weak in one way.
func TestAWeakKeyInTheTokenIsRefused(t *testing.T) {
	good := func() map[uint]any {
		return map[uint]any{p11.CKA_SENSITIVE: true, p11.CKA_EXTRACTABLE: false, p11.CKA_VALUE_LEN: 32, p11.CKA_ID: []byte("12345678")}
	}
	for name, weaken := range map[string]func(map[uint]any){
		"extractable":    func(a map[uint]any) { a[p11.CKA_EXTRACTABLE] = true },
		"not sensitive":  func(a map[uint]any) { a[p11.CKA_SENSITIVE] = false },
		"of 128 bits":    func(a map[uint]any) { a[p11.CKA_VALUE_LEN] = 16 },
		"without our id": func(a map[uint]any) { a[p11.CKA_ID] = []byte("1") },
		"imported":       func(a map[uint]any) { delete(a, p11.CKA_VALUE_LEN); a[p11.CKA_VALUE] = make([]byte, 32) },
		"(good)":         func(a map[uint]any) {},
	} {
		t.Run(name, func(t *testing.T) {
			token := empty(t)
			attributes := good()
			weaken(attributes)
			if err := plant(token, attributes); err != nil {
				t.Fatal(err)
			}
			_, err := token.Open(t.Context(), "base")
			if name == "(good)" {
				if err != nil {
					t.Errorf("the twin without a weakness is refused: %v", err)
				}
				return
			}
			wantKind(t, "open", err, problem.Denied)
			_, err = token.Create(t.Context(), "base")
			wantKind(t, "create beside it", err, problem.Conflict)
		})
	}
}

func plant(token *Token, attributes map[uint]any) error {
	template := rootClass(p11.NewAttribute(p11.CKA_LABEL, "base"), p11.NewAttribute(p11.CKA_ENCRYPT, true), p11.NewAttribute(p11.CKA_DECRYPT, true))
	for kind, value := range attributes {
		template = append(template, p11.NewAttribute(kind, value))
	}
	return token.with(func(s p11.SessionHandle) error {
		if _, ok := attributes[p11.CKA_VALUE]; ok {
			_, err := token.library.CreateObject(s, template)
			return err
		}
		_, err := token.library.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)}, template)
		return err
	})
}

func TestTwoKeysOfOneNameAreNotGuessedBetween(t *testing.T) {
	token := empty(t)
	if _, err := token.Create(t.Context(), "base"); err != nil {
		t.Fatal(err)
	}
	if err := plant(token, map[uint]any{p11.CKA_SENSITIVE: true, p11.CKA_EXTRACTABLE: false, p11.CKA_VALUE_LEN: 32, p11.CKA_ID: []byte("12345678")}); err != nil {
		t.Fatal(err)
	}
	_, err := token.Open(t.Context(), "base")
	wantKind(t, "open", err, problem.Conflict)
}

func TestAWrongConfigurationIsRefused(t *testing.T) {
	c := config(t)
	for name, wrong := range map[string]Config{
		"no module": {Token: c.Token, PIN: c.PIN}, "no token": {Module: c.Module, PIN: c.PIN}, "no PIN": {Module: c.Module, Token: c.Token},
	} {
		_, err := Open(wrong)
		wantKind(t, name, err, problem.Invalid)
	}
	_, err := Open(Config{Module: "/nowhere/lib.so", Token: c.Token, PIN: c.PIN})
	wantKind(t, "no such library", err, problem.Unavailable)
	_, err = Open(Config{Module: c.Module, Token: "another", PIN: c.PIN})
	wantKind(t, "no such token", err, problem.Unavailable)
	_, err = Open(Config{Module: c.Module, Token: c.Token, PIN: "000000"})
	wantKind(t, "wrong PIN", err, problem.Denied)
}

func TestAClosedTokenAnswersUnavailable(t *testing.T) {
	token := empty(t)
	root, err := token.Create(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	if err := token.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = root.Wrap(t.Context(), nil, []byte("x"))
	wantKind(t, "wrap", err, problem.Unavailable)
	if err := token.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func BenchmarkWrap(b *testing.B) {
	module, err := softHSM()
	if err != nil {
		b.Skip(err)
	}
	token, err := Open(Config{Module: module, Token: label, PIN: pin})
	if err != nil {
		b.Fatal(err)
	}
	defer token.Close()
	token.Destroy(b.Context(), "base")
	root, err := token.Create(b.Context(), "base")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := root.Wrap(b.Context(), nil, make([]byte, 32)); err != nil {
			b.Fatal(err)
		}
	}
}
