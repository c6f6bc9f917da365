package wire

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/ledger"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// A malicious party sends a keyholder, which calls it from inside its own network, on to an address of its choice.
func TestAPartyCannotSendItsCallersElsewhere(t *testing.T) {
	reached := 0
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer inside.Close()
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inside.URL+"/admin", status)
		}))
		key, err := record.NewSigner()
		if err != nil {
			t.Fatal(err)
		}
		v := &Vault{Client{Base: vault.URL, HTTP: http.DefaultClient, Signer: key, Now: time.Now}}
		if err := v.Add(t.Context(), ledger.Entry{1}); problem.KindOf(err) != problem.Unavailable {
			t.Errorf("%d: an entry was added: %v", status, err)
		}
		if _, err := v.Checkpoint(t.Context()); problem.KindOf(err) != problem.Unavailable {
			t.Errorf("%d: a checkpoint came: %v", status, err)
		}
		vault.Close()
	}
	if reached > 0 {
		t.Fatalf("the address inside was called %d times", reached)
	}
}

// What a party says of its refusal is shown to people and passed on: it must be one plain line of a kind that exists.
func TestAPartysRefusalIsOnePlainLine(t *testing.T) {
	for name, body := range map[string]string{
		"terminal control":   `{"kind":"denied","detail":"\u001b]0;x\u0007\u001b[2Jnothing to see"}`,
		"a second line":      `{"kind":"denied","detail":"no\nRECORDING OPENED"}`,
		"bidirectional":      `{"kind":"denied","detail":"\u202eelif"}`,
		"a kind of its own":  `{"kind":"granted","detail":"all is well"}`,
		"more than a screen": `{"kind":"denied","detail":"` + strings.Repeat("x", 1001) + `"}`,
	} {
		party := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, body)
		}))
		v := &Vault{Client{Base: party.URL, HTTP: http.DefaultClient, Now: time.Now}}
		_, err := v.Checkpoint(t.Context())
		if problem.KindOf(err) != problem.Unavailable || !strings.Contains(problem.MessageOf(err), "status 403 and no explanation") {
			t.Errorf("%s: %q (%s)", name, problem.MessageOf(err), problem.KindOf(err))
		}
		party.Close()
	}
}
