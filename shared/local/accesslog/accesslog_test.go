package accesslog

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/record"
	"arca.example/arca/shared/wire"
)

func signed(t *testing.T, s *record.Signer) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://vault.test/v1/checkpoint", nil)
	if err := wire.SignCall(s, r, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`"headers":{%q:[%q]}`, http.CanonicalHeaderKey(record.ProofHeader), r.Header.Get(record.ProofHeader))
}

func line(call, headers string) string {
	method, url, _ := strings.Cut(call, " ")
	return fmt.Sprintf(`{"method":%q,"url":%q,%s,"status":200}`, method, url, headers)
}

func TestWhatTheVaultMayBeAskedAndWhatNot(t *testing.T) {
	collector, err := record.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	reader, err := record.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	known := map[record.KeyID]string{collector.Public().ID(): "collector"}
	by, nobody := signed(t, collector), `"headers":{}`
	allowed := []string{
		line("PUT /v1/vault/trust", nobody), line("POST /v1/packs", by), line("PUT /objects/pack/000000000001?sig=x", nobody),
		line("GET /v1/packs?from=1", by), line("GET /objects/pack/000000000001?sig=x", nobody), line("GET /objects/pack/000000000002?sig=x", nobody),
	}
	seen, err := Check(strings.NewReader(strings.Join(allowed, "\n")), known)
	if err != nil || seen != (Seen{Lines: 6, Stored: 1, Fetched: 2}) {
		t.Fatalf("%+v, %v", seen, err)
	}
	for name, bad := range map[string]string{
		"a call that does not exist":    line("GET /v1/search?who=x", by),
		"a query that says more":        line("GET /v1/packs?from=1&for=x", by),
		"nobody":                        line("GET /v1/checkpoint", nobody),
		"a reader":                      line("GET /v1/checkpoint", signed(t, reader)),
		"a part of a pack":              line("GET /objects/pack/000000000003?sig=x", `"headers":{"Range":["bytes=0-1"]}`),
		"a pack out of order":           line("GET /objects/pack/000000000004?sig=x", nobody),
		"a pack fetched a second time":  line("GET /objects/pack/000000000002?sig=x", nobody),
		"a line that is not an account": "GET /v1/checkpoint",
	} {
		if _, err := Check(strings.NewReader(strings.Join(append(allowed[:6:6], bad), "\n")), known); err == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}
