package kms

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/keys/keystest"
	"arca.example/arca/shared/keys/kms/kmstest"
	"arca.example/arca/shared/problem"
	"github.com/aws/aws-sdk-go-v2/aws"
)

func rootsOf(t *testing.T, s *kmstest.StandIn, names map[string]string) *Roots {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return rootsAt(t, server, names)
}

func rootsAt(t *testing.T, server *httptest.Server, names map[string]string) *Roots {
	t.Helper()
	r, err := New(Config{Region: "eu-south-2", Endpoint: server.URL, HTTP: server.Client(), Keys: names, Retries: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "fiction", SecretAccessKey: "fiction"}, nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var names = map[string]string{"base": "id-base", "ring-1": "id-ring-1", "ring-2": "id-ring-2"}

func TestKMSKeepsTheContractOfRoots(t *testing.T) {
	servers := map[keys.Roots]*httptest.Server{}
	keystest.Run(t, keystest.Place{
		Fresh: func(t *testing.T) keys.Roots {
			server := httptest.NewServer(kmstest.New(t, "id-base", "id-ring-1", "id-ring-2"))
			t.Cleanup(server.Close)
			r := rootsAt(t, server, names)
			servers[r] = server
			return r
		},
		Again: func(t *testing.T, r keys.Roots) keys.Roots { return rootsAt(t, servers[r], names) },
	})
}

func wantKind(t *testing.T, what string, err error, kind problem.Kind) {
	t.Helper()
	if err == nil || problem.KindOf(err) != kind {
		t.Errorf("%s: %v, want %s", what, err, kind)
	}
}

func TestTheContextCarriesAHashAndNotTheAAD(t *testing.T) {
	s := kmstest.New(t, "id-base")
	r := rootsOf(t, s, map[string]string{"base": "id-base"})
	root, err := r.Create(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Wrap(t.Context(), []byte("page 7"), []byte("seed")); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(s.Contexts)
	// SHA-256 of "page 7", computed outside this program.
	if want := "[map[arca-aad:biwelu4+S/5dIBz2mXo55TTodTIMyRT7Ai/OIl7AoGc= arca-root:base]]"; got != want {
		t.Errorf("context %s, want %s", got, want)
	}
}

// The weakened twin: against a service that ignores the context the suite's
// check on foreign aad must fail, so the binding rests on the context alone.
func TestWithoutTheContextAForeignAADWouldOpen(t *testing.T) {
	s := kmstest.New(t, "id-base")
	s.Lax = true
	root, err := rootsOf(t, s, map[string]string{"base": "id-base"}).Create(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	w, err := root.Wrap(t.Context(), []byte("page 7"), []byte("seed"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Unwrap(t.Context(), []byte("page 8"), w); err != nil {
		t.Errorf("the twin refuses too (%v), so the suite does not test the context", err)
	}
}

func TestCreatingADestroyedGenerationAgainIsGone(t *testing.T) {
	s := kmstest.New(t, "id-ring-1")
	r := rootsOf(t, s, map[string]string{"ring-1": "id-ring-1"})
	if _, err := r.Create(t.Context(), "ring-1"); err != nil {
		t.Fatal(err)
	}
	if err := r.Destroy(t.Context(), "ring-1"); err != nil {
		t.Fatal(err)
	}
	_, err := r.Create(t.Context(), "ring-1")
	wantKind(t, "create again", err, problem.Gone)
}

func TestAKeyThatKMSMadeIsOpenedButNotDestroyed(t *testing.T) {
	s := kmstest.New(t, "id-base")
	*s.Keys["id-base"] = kmstest.Key{ID: "id-base", Origin: "AWS_KMS", State: "Enabled", Spec: "SYMMETRIC_DEFAULT", Material: make([]byte, 32)}
	r := rootsOf(t, s, map[string]string{"base": "id-base"})
	root, err := r.Open(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Wrap(t.Context(), nil, []byte("seed")); err != nil {
		t.Error(err)
	}
	wantKind(t, "destroy", r.Destroy(t.Context(), "base"), problem.Invalid)
	if slices.Contains(s.Calls, "DeleteImportedKeyMaterial") {
		t.Error("the deletion was tried all the same")
	}
}

func TestStatesAndErrorsOfKMSGetAKind(t *testing.T) {
	for state, kind := range map[string]problem.Kind{"PendingDeletion": problem.NotFound, "Disabled": problem.Unavailable, "Unavailable": problem.Unavailable} {
		s := kmstest.New(t, "id-base")
		s.Keys["id-base"].State = state
		r := rootsOf(t, s, map[string]string{"base": "id-base"})
		_, err := r.Open(t.Context(), "base")
		wantKind(t, "open of a key that is "+state, err, kind)
		_, err = r.Create(t.Context(), "base")
		wantKind(t, "create of a key that is "+state, err, problem.Conflict)
	}
	for code, kind := range map[string]problem.Kind{
		"AccessDeniedException": problem.Denied, "NotFoundException": problem.NotFound, "ThrottlingException": problem.Unavailable,
		"KMSInternalException": problem.Unavailable, "DependencyTimeoutException": problem.Unavailable, "SomethingNew": problem.Unavailable,
	} {
		s := kmstest.New(t, "id-base")
		r := rootsOf(t, s, map[string]string{"base": "id-base"})
		root, err := r.Create(t.Context(), "base")
		if err != nil {
			t.Fatal(err)
		}
		s.Fail = func(string) string { return code }
		_, err = root.Wrap(t.Context(), nil, []byte("x"))
		wantKind(t, code+" on wrap", err, kind)
		_, err = r.Open(t.Context(), "base")
		wantKind(t, code+" on open", err, kind)
		if kind == problem.Unavailable {
			wantKind(t, code+" on destroy", r.Destroy(t.Context(), "base"), kind)
		}
	}
}

// Failed-but-landed: the import happened, the answer was lost. The caller reads
// and finds the root; creating again is refused.
func TestAnImportWhoseAnswerWasLostHasLanded(t *testing.T) {
	s := kmstest.New(t, "id-ring-1")
	r := rootsOf(t, s, map[string]string{"ring-1": "id-ring-1"})
	s.Fail = func(op string) string {
		if op == "ImportKeyMaterial" {
			return "DependencyTimeoutException"
		}
		return ""
	}
	_, err := r.Create(t.Context(), "ring-1")
	wantKind(t, "create", err, problem.Unavailable)
	s.Fail = nil
	if _, err := r.Open(t.Context(), "ring-1"); err != nil {
		t.Errorf("open after the lost answer: %v", err)
	}
	_, err = r.Create(t.Context(), "ring-1")
	wantKind(t, "create again", err, problem.Conflict)
}

func TestTheClientIsBuiltAtTheFirstCall(t *testing.T) {
	s := kmstest.New(t, "id-base")
	r := rootsOf(t, s, map[string]string{"base": "id-base"})
	if len(s.Calls) != 0 {
		t.Errorf("New called %v", s.Calls)
	}
	if _, err := r.Create(t.Context(), "base"); err != nil {
		t.Fatal(err)
	}
	want := []string{"DescribeKey", "GetParametersForImport", "ImportKeyMaterial", "DescribeKey"}
	if !slices.Equal(s.Calls, want) {
		t.Errorf("calls %v, want %v", s.Calls, want)
	}
}

func TestAnIncompleteConfigurationIsRefused(t *testing.T) {
	credentials := aws.AnonymousCredentials{}
	for name, c := range map[string]Config{
		"no region":           {Credentials: credentials, Keys: map[string]string{"base": "id"}},
		"no credentials":      {Region: "eu-south-2", Keys: map[string]string{"base": "id"}},
		"no keys":             {Region: "eu-south-2", Credentials: credentials},
		"an empty id":         {Region: "eu-south-2", Credentials: credentials, Keys: map[string]string{"base": ""}},
		"an alias":            {Region: "eu-south-2", Credentials: credentials, Keys: map[string]string{"base": "alias/base"}},
		"a wrong name":        {Region: "eu-south-2", Credentials: credentials, Keys: map[string]string{"Base": "id"}},
		"one id for two keys": {Region: "eu-south-2", Credentials: credentials, Keys: map[string]string{"base": "id", "ring-1": "id"}},
	} {
		_, err := New(c)
		wantKind(t, name, err, problem.Invalid)
	}
}

func TestAnAsymmetricKeyIsRefused(t *testing.T) {
	s := kmstest.New(t, "id-base")
	s.Keys["id-base"].Spec = "RSA_2048"
	_, err := rootsOf(t, s, map[string]string{"base": "id-base"}).Open(t.Context(), "base")
	wantKind(t, "open", err, problem.Invalid)
}
