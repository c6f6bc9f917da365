// Package keystest is the one suite that every place of root keys passes.
//
// It promises that a Roots which passes keeps the contract of package keys as
// far as a caller can see; what it cannot see, each implementation's own tests
// show (file modes, token attributes, requests on the wire).
package keystest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/problem"
)

// Place makes roots to test.
type Place struct {
	// Fresh returns an empty place in which "base", "ring-1" and "ring-2" can be created.
	Fresh func(t *testing.T) keys.Roots
	// Again returns the same place as a new process would see it.
	Again func(t *testing.T, roots keys.Roots) keys.Roots
	// Stride is the step between the bytes flipped in a wrapped value; 1 flips
	// every byte. Places behind a network use more.
	Stride int
}

// Run runs the suite.
func Run(t *testing.T, p Place) {
	t.Run("wraps and unwraps, also after a restart", func(t *testing.T) { wrapsAndUnwraps(t, p) })
	t.Run("refuses another aad, another root and every altered byte", func(t *testing.T) { refusesForeign(t, p) })
	t.Run("holds its limits", func(t *testing.T) { holdsLimits(t, p) })
	t.Run("never wraps twice to the same bytes", func(t *testing.T) { neverRepeats(t, p) })
	t.Run("a name is taken once", func(t *testing.T) { takenOnce(t, p) })
	t.Run("a destroyed root stays dead", func(t *testing.T) { destroyedStaysDead(t, p) })
	t.Run("serves many at once", func(t *testing.T) { servesMany(t, p) })
	t.Run("prints no key", func(t *testing.T) { printsNoKey(t, p) })
}

func wrapsAndUnwraps(t *testing.T, p Place) {
	ctx := t.Context()
	roots := p.Fresh(t)
	wantNames(t, roots)
	base := create(t, roots, "base")
	create(t, roots, "ring-1")
	wantNames(t, roots, "base", "ring-1")

	inputs := map[string][]byte{"one byte": {7}, "a page": bytes.Repeat([]byte{0xA5}, keys.MaxPlaintext)}
	wrapped := map[string][]byte{}
	for name, plain := range inputs {
		w, err := base.Wrap(ctx, []byte(name), plain)
		if err != nil {
			t.Fatalf("wrap %s: %v", name, err)
		}
		wrapped[name] = w
	}
	again := p.Again(t, roots)
	wantNames(t, again, "base", "ring-1")
	reopened := open(t, again, "base")
	if reopened.ID() != base.ID() {
		t.Errorf("the same root has ids %q and %q", base.ID(), reopened.ID())
	}
	for name, plain := range inputs {
		for _, r := range []keys.Root{base, reopened} {
			if got, err := r.Unwrap(ctx, []byte(name), wrapped[name]); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("unwrap %s: %d bytes, %v", name, len(got), err)
			}
		}
	}
}

func refusesForeign(t *testing.T, p Place) {
	ctx := t.Context()
	roots := p.Fresh(t)
	base, ring := create(t, roots, "base"), create(t, roots, "ring-1")
	if base.ID() == ring.ID() {
		t.Error("two roots share an id")
	}
	aad := []byte("page 7")
	w := wrap(t, base, aad, "seed")
	for name, attempt := range map[string]func() ([]byte, error){
		"another aad":      func() ([]byte, error) { return base.Unwrap(ctx, []byte("page 8"), w) },
		"no aad":           func() ([]byte, error) { return base.Unwrap(ctx, nil, w) },
		"another root":     func() ([]byte, error) { return ring.Unwrap(ctx, aad, w) },
		"nothing":          func() ([]byte, error) { return base.Unwrap(ctx, aad, nil) },
		"a byte less":      func() ([]byte, error) { return base.Unwrap(ctx, aad, w[:len(w)-1]) },
		"a byte more":      func() ([]byte, error) { return base.Unwrap(ctx, aad, append(slices.Clone(w), 0)) },
		"far too many":     func() ([]byte, error) { return base.Unwrap(ctx, aad, make([]byte, 1<<16)) },
		"an aad too large": func() ([]byte, error) { return base.Unwrap(ctx, make([]byte, keys.MaxAAD+1), w) },
	} {
		wantRefused(t, name, attempt)
	}
	for i := 0; i < len(w); i += max(1, p.Stride) {
		flipped := slices.Clone(w)
		flipped[i] ^= 1 << (i % 8)
		wantRefused(t, fmt.Sprintf("byte %d of %d flipped", i, len(w)), func() ([]byte, error) { return base.Unwrap(ctx, aad, flipped) })
	}
}

func wantRefused(t *testing.T, name string, attempt func() ([]byte, error)) {
	t.Helper()
	if got, err := attempt(); problem.KindOf(err) != problem.Invalid || got != nil {
		t.Errorf("%s: got %d bytes and %v, want an invalid refusal", name, len(got), err)
	}
}

func holdsLimits(t *testing.T, p Place) {
	ctx := t.Context()
	roots := p.Fresh(t)
	base := create(t, roots, "base")
	for name, in := range map[string][2][]byte{
		"empty plaintext":     {nil, {}},
		"plaintext too large": {nil, make([]byte, keys.MaxPlaintext+1)},
		"aad too large":       {make([]byte, keys.MaxAAD+1), {1}},
	} {
		if _, err := base.Wrap(ctx, in[0], in[1]); problem.KindOf(err) != problem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "Base", "../base", "ring_1", "-ring", "ring-", "ring--1", "base\n", strings.Repeat("a", 33), "clé"} {
		if _, err := roots.Create(ctx, name); problem.KindOf(err) != problem.Invalid {
			t.Errorf("create %q: %v", name, err)
		}
		if _, err := roots.Open(ctx, name); problem.KindOf(err) != problem.Invalid {
			t.Errorf("open %q: %v", name, err)
		}
		if err := roots.Destroy(ctx, name); problem.KindOf(err) != problem.Invalid {
			t.Errorf("destroy %q: %v", name, err)
		}
	}
}

func neverRepeats(t *testing.T, p Place) {
	base := create(t, p.Fresh(t), "base")
	seen := map[string]bool{}
	for range 64 {
		w := string(wrap(t, base, []byte("aad"), "the same seed"))
		if seen[w] {
			t.Fatal("two wraps of one plaintext are equal: the nonce repeats")
		}
		seen[w] = true
	}
}

func takenOnce(t *testing.T, p Place) {
	ctx := t.Context()
	roots := p.Fresh(t)
	base := create(t, roots, "base")
	w := wrap(t, base, nil, "seed")
	for _, place := range []keys.Roots{roots, p.Again(t, roots)} {
		if _, err := place.Create(ctx, "base"); problem.KindOf(err) != problem.Conflict {
			t.Errorf("a second create: %v, want conflict", err)
		}
	}
	if got, err := open(t, roots, "base").Unwrap(ctx, nil, w); err != nil || string(got) != "seed" {
		t.Errorf("the refused create changed the root: %v", err)
	}
	if _, err := roots.Open(ctx, "ring-1"); problem.KindOf(err) != problem.NotFound {
		t.Errorf("open of an absent root: %v, want not found", err)
	}
	if err := roots.Destroy(ctx, "ring-1"); problem.KindOf(err) != problem.NotFound {
		t.Errorf("destroy of an absent root: %v, want not found", err)
	}
}

func destroyedStaysDead(t *testing.T, p Place) {
	ctx := t.Context()
	roots := p.Fresh(t)
	base, ring := create(t, roots, "base"), create(t, roots, "ring-1")
	kept, gone := wrap(t, base, nil, "kept"), wrap(t, ring, nil, "gone")
	if err := roots.Destroy(ctx, "ring-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Unwrap(ctx, nil, gone); problem.KindOf(err) != problem.Gone {
		t.Errorf("a root opened before its destruction still answers: %v", err)
	}
	if _, err := ring.Wrap(ctx, nil, []byte("x")); problem.KindOf(err) != problem.Gone {
		t.Errorf("a destroyed root still wraps: %v", err)
	}
	again := p.Again(t, roots)
	for _, place := range []keys.Roots{roots, again} {
		wantNames(t, place, "base")
		if _, err := place.Open(ctx, "ring-1"); problem.KindOf(err) != problem.NotFound {
			t.Errorf("a destroyed root opens: %v", err)
		}
		if err := place.Destroy(ctx, "ring-1"); problem.KindOf(err) != problem.NotFound {
			t.Errorf("destroyed twice: %v", err)
		}
	}
	if got, err := open(t, again, "base").Unwrap(ctx, nil, kept); err != nil || string(got) != "kept" {
		t.Errorf("the surviving root lost its values: %v", err)
	}
	// A place may refuse to reuse the name; if it allows it, it must be another key.
	twin, err := again.Create(ctx, "ring-1")
	switch problem.KindOf(err) {
	case problem.Gone, problem.Conflict:
	default:
		if err != nil {
			t.Fatalf("create after destroy: %v", err)
		}
		if _, err := twin.Unwrap(ctx, nil, gone); problem.KindOf(err) != problem.Invalid {
			t.Errorf("a new root opens what the destroyed one wrapped: %v", err)
		}
		if _, err := ring.Unwrap(ctx, nil, gone); err == nil {
			t.Error("the destroyed root came back to life with its name")
		}
		if twin.ID() == ring.ID() {
			t.Error("the new root has the destroyed one's id")
		}
	}
	if roots.DestroyLimits() == "" {
		t.Error("the place claims that its destruction has no limits")
	}
}

func servesMany(t *testing.T, p Place) {
	ctx := t.Context()
	base := create(t, p.Fresh(t), "base")
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 8 {
				aad, plain := fmt.Appendf(nil, "worker %d", worker), fmt.Sprintf("secret %d of %d", i, worker)
				w, err := base.Wrap(ctx, aad, []byte(plain))
				if err != nil {
					t.Errorf("wrap: %v", err)
					return
				}
				if got, err := base.Unwrap(ctx, aad, w); err != nil || string(got) != plain {
					t.Errorf("unwrap: %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func printsNoKey(t *testing.T, p Place) {
	roots := p.Fresh(t)
	base := create(t, roots, "base")
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	for _, holder := range []any{base, roots} {
		logger.Info("held", "holder", holder)
		b, err := json.Marshal(holder)
		if err != nil {
			b = nil // refusing to be encoded is as good
		}
		for _, form := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			log.WriteString(fmt.Sprintf(form, holder) + "\n")
		}
		log.Write(b)
	}
	for line := range strings.Lines(log.String()) {
		if !strings.Contains(line, "[secret]") {
			t.Errorf("a key holder prints as %q; it must say [secret] and nothing of itself", line)
		}
	}
}

func create(t *testing.T, roots keys.Roots, name string) keys.Root {
	t.Helper()
	r, err := roots.Create(t.Context(), name)
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return r
}

func open(t *testing.T, roots keys.Roots, name string) keys.Root {
	t.Helper()
	r, err := roots.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	return r
}

func wrap(t *testing.T, r keys.Root, aad []byte, plain string) []byte {
	t.Helper()
	w, err := r.Wrap(context.WithoutCancel(t.Context()), aad, []byte(plain))
	if err != nil {
		t.Fatalf("wrap: %v", err)
	}
	return w
}

func wantNames(t *testing.T, roots keys.Roots, want ...string) {
	t.Helper()
	got, err := roots.Names(t.Context())
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("names = %v, %v; want %v", got, err, want)
	}
}
