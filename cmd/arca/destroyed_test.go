package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"arca.example/arca/functions/functionstest"
	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/wire"
)

// reached is an installation's folder by whose addresses somebody reaches the functions of a world, with calls that have no body.
func reached(t *testing.T, w *functionstest.World, who string) *installation.Folder {
	f := &installation.Folder{Path: t.TempDir(), Config: installation.Config{Addresses: map[string]string{}, Trust: w.Hash}}
	for _, party := range installation.Keyholders {
		server := httptest.NewServer(http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
			call, err := http.NewRequestWithContext(r.Context(), r.Method, functionstest.Origin(party)+r.URL.RequestURI(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			if err := wire.SignCall(functionstest.Signer(who), call, nil, time.Now()); err != nil { // a proof names the origin, which is another here
				t.Error(err)
			}
			answer, err := w.RoundTrip(call)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			to.WriteHeader(answer.StatusCode)
			_, _ = io.Copy(to, answer.Body)
		}))
		t.Cleanup(server.Close)
		f.Addresses[party] = server.Listener.Addr().String()
	}
	raw, err := os.ReadFile(w.Options.Dir + "/trust.json")
	if err == nil {
		err = os.WriteFile(f.Dir("trust.json"), raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A destruction is carried out at the functions of both keyholders, after the time in which it can be taken back; arca destroyed -o writes the
// certificate, arca verify accepts it, and it says of each keyholder which copy of the destroyed root is confirmed destroyed and which is not.
func TestDestroyedWritesACertificateThatVerifies(t *testing.T) {
	const ago = 20 * 24 * time.Hour
	w := functionstest.Open(t, functionstest.Options{Dir: t.TempDir(), Now: func() time.Time { return time.Now().Add(-ago) }}).Found()
	w.EnrolAll()
	functionstest.Condemned(w)
	for _, party := range installation.Keyholders {
		w.Copies(party)
		if err := w.Destroy(party); err != nil {
			t.Fatal(err)
		}
	}
	w.Advance(time.Until(w.Options.Now()) * -1) // to now, which is when the command is run
	w.Sequence()

	f, folder := reached(t, w, "judge"), t.TempDir()
	var out bytes.Buffer
	a := &app{now: time.Now, streams: streams{out: &out, err: io.Discard}}
	if err := a.destroyed(t.Context(), f, actor{"judge", functionstest.Signer("judge")}, w.Chain(), folder); err != nil {
		t.Fatal(err, out.String())
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 1 || strings.Count(out.String(), "destroyed") < 2 || !strings.Contains(out.String(), "certificate: "+folder) {
		t.Fatalf("%v %v\n%s", files, err, out.String())
	}
	path := folder + "/" + files[0].Name()
	out.Reset()
	args := []string{"verify", path, "--trust", f.Dir("trust.json"), "--fingerprint", w.Hash.String()}
	if code := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &out}); code != 0 {
		t.Fatalf("verify gives %d: %s", code, out.String())
	}
	if !strings.Contains(out.String(), "2 listed copies of their roots are confirmed destroyed and 2 are not") {
		t.Error(out.String())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := bundle.VerifyDestruction(&w.Trust, w.Hash, raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range got.Sides {
		if len(side.Confirmed) != 1 || side.Confirmed[0].Name != "in the old safe" || len(side.Unconfirmed) != 1 || side.Unconfirmed[0].Name != "in the safe" {
			t.Errorf("%+v", side)
		}
	}
}
