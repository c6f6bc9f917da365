package bundle_test

import (
	"fmt"
	"strings"
	"testing"

	"filippo.io/age"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// extended adds an extension to the order.
func (w *world) extended() record.Digest {
	from := w.now.AddDate(0, 1, 0)
	raw := must(record.Sign(w.judge, record.TypeOrder, w.now, record.Order{Audience: w.vault.Fingerprint, Chain: w.chain, Court: "Court One", Decided: w.now, Kind: record.Extension,
		Previous: record.HashStatement(w.members[1]), Profile: "ES-588ter", Reason: "more deliveries", Sequence: 2, AccessEnd: w.now.AddDate(1, 0, 0),
		Capture: record.Window{From: from, Until: from.AddDate(0, 1, 0)}}))
	w.members = append(w.members, raw)
	return record.HashStatement(raw)
}

// casual is a source for another case, with the requests for the order and its extension.
func casual(t *testing.T) (*world, *bundle.Source, record.Digest) {
	w := newWorld(t)
	extension := w.extended()
	ids := w.seal("Meet at nine.")
	w.journal()
	in := w.source(ids[0])
	in.Order.Status = w.knowing(extension)
	in.Casual = &bundle.Casual{Case: "DP-0000/99", Court: "Court Two", Secret: true}
	in.Petitions = map[record.Digest][]byte{w.chain: []byte("the initial request"), extension: []byte("the request for the extension")}
	return w, in, extension
}

// knowing is both keyholders' word on the extended order.
func (w *world) knowing(extension record.Digest) []string {
	return w.status(func(_ *record.Status, c *record.ChainStatus) {
		c.Head, c.Capture.Until = extension, w.now.AddDate(0, 1, 0).AddDate(0, 1, 0)
	})
}

func TestACopyForAnotherCaseCarriesEveryRequestAndOrder(t *testing.T) {
	w, in, extension := casual(t)
	raw := w.make(in)
	got, err := w.verify(raw)
	check(t, err)
	if c := got.Casual; c == nil || c.Case != "DP-0000/99" || c.Court != "Court Two" || !c.Secret || len(c.Petitions) != 2 || !strings.Contains(c.Article, "579 bis") {
		t.Fatalf("%+v", got.Casual)
	}
	if shown := strings.Join(got.Shown, "\n"); !strings.Contains(shown, `a copy for "DP-0000/99" of "Court Two"`) || !strings.Contains(shown, "2 documents") {
		t.Error(shown)
	}
	// What one of the orders has no request for is refused, by name and article.
	for _, tc := range []struct {
		without record.Digest
		says    string
	}{{w.chain, "the initial request"}, {extension, "the request for the extension"}} {
		_, in, _ := casual(t)
		delete(in.Petitions, tc.without)
		err := bundle.Make(&memory{}, w.clerk, w.now, in)
		if problem.KindOf(err) != problem.Invalid || !strings.Contains(problem.MessageOf(err), tc.says) || !strings.Contains(problem.MessageOf(err), "579 bis") {
			t.Errorf("without %s: %v", tc.says, err)
		}
	}
	_, in, _ = casual(t)
	in.Petitions[record.Digest{9}] = []byte("of another order")
	if err := bundle.Make(&memory{}, w.clerk, w.now, in); problem.KindOf(err) != problem.Invalid {
		t.Error("a request for nothing:", err)
	}
	_, in, _ = casual(t)
	in.Casual.Case = ""
	if err := bundle.Make(&memory{}, w.clerk, w.now, in); problem.KindOf(err) != problem.Invalid {
		t.Error("for no case:", err)
	}
}

// Whoever makes it with a program of their own leaves a request out, or puts another in its place, and signs the rest.
func TestACopyForAnotherCaseThatLacksSomething(t *testing.T) {
	w, in, extension := casual(t)
	raw := w.make(in)
	path := "data/petitions/" + extension.String() + ".bin"
	p := in.Petitions[extension]
	entry := fmt.Sprintf(`,{"bytes":%d,"member":"%s","sha256":"%s"}`, len(p), extension, record.HashBytes(p))
	without := w.forge(w.forge(raw, "data/index.json", entry, ""), path, "", "")
	_, err := w.verify(without)
	if bundle.VerdictOf(err) != bundle.Incomplete || !strings.Contains(problem.MessageOf(err), "the request for the extension") || !strings.Contains(problem.MessageOf(err), "579 bis") {
		t.Errorf("a request left out: %v", err)
	}
	// The twin: as an ordinary bundle the same files are whole, so only the check of requests catches it.
	ordinary := w.source(in.Recordings[0].Recording.Recording)
	ordinary.Order.Status = w.knowing(extension)
	if _, err := w.verify(w.make(ordinary)); err != nil {
		t.Errorf("the same without being for another case: %v", err)
	}
	if _, err := w.verify(w.forge(raw, path, "the request", "a question")); bundle.VerdictOf(err) != bundle.Altered {
		t.Errorf("another document: %v", err)
	}
	if _, err := w.verify(w.forge(raw, "data/index.json", record.HashBytes(p).String(), record.HashBytes([]byte("x")).String())); bundle.VerdictOf(err) != bundle.Altered {
		t.Errorf("another hash: %v", err)
	}
	// An extension is left out of the order too: both keyholders' word on the order names another head.
	w.members = w.members[:2]
	in.Order.Members = w.members
	delete(in.Petitions, extension)
	if _, err := w.verify(w.make(in)); bundle.VerdictOf(err) != bundle.Incomplete {
		t.Errorf("an extension left out with its request: %v", err)
	}
}

func TestAnEncryptedCopyForAnotherCase(t *testing.T) {
	w, in, _ := casual(t)
	identity := must(age.GenerateX25519Identity())
	in.Recipients = []string{identity.Recipient().String()}
	raw := w.make(in)
	got, err := w.verify(raw)
	check(t, err)
	if strings.Contains(string(raw), "the initial request") || !strings.Contains(strings.Join(got.NotShown, "\n"), "what the requests say") {
		t.Errorf("%q", got.NotShown)
	}
	got, err = w.verify(raw, identity)
	check(t, err)
	if strings.Contains(strings.Join(got.NotShown, "\n"), "what the requests say") {
		t.Errorf("%q", got.NotShown)
	}
}
