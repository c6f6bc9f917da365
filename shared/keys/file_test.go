package keys_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/keys"
	"arca.example/arca/shared/keys/keystest"
	"arca.example/arca/shared/problem"
	"filippo.io/age"
)

func machine(t *testing.T) keys.Secret {
	t.Helper()
	s, err := keys.MachineSecret(keys.NewMachineSecret())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeyFileKeepsTheContractOfRoots(t *testing.T) {
	secret := machine(t)
	paths := map[keys.Roots]string{}
	keystest.Run(t, keystest.Place{
		Fresh: func(t *testing.T) keys.Roots {
			path := filepath.Join(t.TempDir(), "roots.age")
			f := newFile(t, path, secret)
			paths[f] = path
			return f
		},
		Again: func(t *testing.T, roots keys.Roots) keys.Roots { return reopen(t, paths[roots], secret) },
	})
}

func newFile(t *testing.T, path string, secret keys.Secret) *keys.File {
	t.Helper()
	f, err := keys.CreateFile(path, secret)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func reopen(t *testing.T, path string, secret keys.Secret) *keys.File {
	t.Helper()
	f, err := keys.OpenFile(path, secret)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustCreate(t *testing.T, f *keys.File, name string) keys.Root {
	t.Helper()
	r, err := f.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantKind(t *testing.T, what string, err error, kind problem.Kind) {
	t.Helper()
	if err == nil || problem.KindOf(err) != kind {
		t.Errorf("%s: %v, want %s", what, err, kind)
	}
}

// The example of the package comment opens with the key that it names.
func TestThePackageCommentsExampleOpens(t *testing.T) {
	src, err := os.ReadFile("keys.go")
	if err != nil {
		t.Fatal(err)
	}
	const marker = "0x01, nonce 12 bytes of 0x02"
	_, after, ok := strings.Cut(string(src), marker)
	if !ok {
		t.Fatal("the package comment has no example")
	}
	line := strings.TrimSpace(strings.TrimPrefix(strings.Split(after, "\n")[2], "//"))
	wrapped, err := hex.DecodeString(line)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	root := keys.RootForTest("base@00", bytes.Repeat([]byte{1}, 32))
	got, err := root.Unwrap(t.Context(), []byte("page 7"), wrapped)
	if err != nil || string(got) != "seed" {
		t.Fatalf("%q, %v; the bytes should be %x", got, err, keys.SealForTest(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 12), "page 7", "seed"))
	}
}

func TestAKeyFileThatOthersCanReadIsRefused(t *testing.T) {
	secret := machine(t)
	path := filepath.Join(t.TempDir(), "roots.age")
	newFile(t, path, secret)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("a new key file has mode %v, %v", info.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := keys.OpenFile(path, secret)
		wantKind(t, fmt.Sprintf("mode %o", mode), err, problem.Denied)
	}
	os.Chmod(path, 0o600)
	reopen(t, path, secret)

	link := filepath.Join(t.TempDir(), "link.age")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.OpenFile(link, secret); err == nil {
		t.Error("a symbolic link was followed")
	}
	if _, err := keys.OpenFile(filepath.Dir(path), secret); err == nil {
		t.Error("a folder was read as a key file")
	}
	_, err = keys.OpenFile(path+".absent", secret)
	wantKind(t, "absent", err, problem.NotFound)
}

func TestAKeyFileIsNeverReplacedByANewOne(t *testing.T) {
	secret := machine(t)
	path := filepath.Join(t.TempDir(), "roots.age")
	f := newFile(t, path, secret)
	mustCreate(t, f, "base")
	_, err := keys.CreateFile(path, secret)
	wantKind(t, "create over it", err, problem.Conflict)
	id := recovery(t)
	backup, err := f.Export(id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	_, err = keys.ImportFile(path, secret, backup, id)
	wantKind(t, "import over it", err, problem.Conflict)
	if names, _ := reopen(t, path, secret).Names(t.Context()); len(names) != 1 {
		t.Errorf("names = %v", names)
	}
	wantFolder(t, filepath.Dir(path), "roots.age", "roots.age.lock")
}

func wantFolder(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the folder holds %v, want %v", got, want)
	}
}

func TestAnotherSecretAndEveryAlteredByteAreRefused(t *testing.T) {
	secret := machine(t)
	path := filepath.Join(t.TempDir(), "roots.age")
	f := newFile(t, path, secret)
	mustCreate(t, f, "base")
	_, err := keys.OpenFile(path, machine(t))
	wantKind(t, "another secret", err, problem.Denied)

	sealed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 1
		if err := os.WriteFile(path, altered, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.OpenFile(path, secret); err == nil {
			t.Fatalf("byte %d of %d flipped and the file still opens", i, len(sealed))
		}
	}
}

func TestAWorkFactorFromTheFileCannotExhaustMemory(t *testing.T) {
	text := keys.NewMachineSecret()
	secret, err := keys.MachineSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	costly, err := secret.WithWorkFactor(13)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "roots.age")
	newFile(t, path, costly)
	_, err = keys.OpenFile(path, secret)
	wantKind(t, "factor 13 read where 10 is expected", err, problem.Denied)
	reopen(t, path, costly)
	for _, work := range []int{-1, 0, 9, 23, 31} {
		_, err := secret.WithWorkFactor(work)
		wantKind(t, fmt.Sprint("work factor ", work), err, problem.Invalid)
	}
}

func TestWeakSecretsAreRefused(t *testing.T) {
	for _, text := range []string{"", "short", "elevenchars"} {
		_, err := keys.Passphrase(text)
		wantKind(t, "passphrase "+text, err, problem.Invalid)
	}
	for _, text := range []string{"", "correct horse battery staple", keys.NewMachineSecret()[1:], keys.NewMachineSecret() + "A", keys.NewMachineSecret()[:42] + "="} {
		_, err := keys.MachineSecret(text)
		wantKind(t, "machine secret of another form", err, problem.Invalid)
	}
	human, err := keys.Passphrase("three keys for one chest")
	if err != nil {
		t.Fatal(err)
	}
	human, err = human.WithWorkFactor(12) // the default of 18 costs a second here
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "roots.age")
	newFile(t, path, human)
	reopen(t, path, human)
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(form, human); got != "[secret]" {
			t.Errorf("a secret prints as %q", got)
		}
	}
}

func TestTwoProcessesCannotUndoEachOthersRoots(t *testing.T) {
	secret := machine(t)
	path := filepath.Join(t.TempDir(), "roots.age")
	one := newFile(t, path, secret)
	two := reopen(t, path, secret)
	mustCreate(t, one, "base")
	_, err := two.Create(t.Context(), "ring-1") // two has not seen base and would drop it
	wantKind(t, "create on a stale view", err, problem.Conflict)
	three := reopen(t, path, secret)
	mustCreate(t, three, "ring-1")
	if names, _ := reopen(t, path, secret).Names(t.Context()); len(names) != 2 {
		t.Errorf("names = %v", names)
	}
	wantKind(t, "destroy on a stale view", one.Destroy(t.Context(), "base"), problem.Conflict)
}

// A change interrupted before any step leaves a file that opens, with the old
// or the new roots and no third state; only after the rename is it in doubt.
func TestAnInterruptedChangeLeavesOldOrNew(t *testing.T) {
	for _, change := range []string{"create", "destroy"} {
		for _, step := range []string{"temp", "sync temp", "rename", "sync folder", "scrub"} {
			t.Run(change+" fails before "+step, func(t *testing.T) { interruptAt(t, change, step) })
		}
	}
}

func interruptAt(t *testing.T, change, step string) {
	ctx := context.Background()
	secret := machine(t)
	path := filepath.Join(t.TempDir(), "roots.age")
	f := newFile(t, path, secret)
	base := mustCreate(t, f, "base")
	w, err := base.Wrap(ctx, nil, []byte("seed"))
	if err != nil {
		t.Fatal(err)
	}
	reached := false
	keys.FailBefore(f, func(s string) error {
		if s == step {
			reached = true
			return errors.New("power loss")
		}
		return nil
	})
	if change == "create" {
		_, err = f.Create(ctx, "ring-1")
	} else {
		err = f.Destroy(ctx, "base")
	}
	if change == "create" && step == "scrub" { // a creation leaves nothing to overwrite
		if err != nil || reached {
			t.Fatalf("a creation scrubbed: %v", err)
		}
		return
	}
	wantKind(t, change, err, problem.Unavailable)
	if !reached {
		t.Fatal("the step was never reached")
	}
	landed := step == "sync folder" || step == "scrub"
	again := reopen(t, path, secret)
	_, errBase := again.Open(ctx, "base")
	_, errRing := again.Open(ctx, "ring-1")
	if change == "create" && (errBase != nil || (errRing == nil) != landed) {
		t.Errorf("base: %v, ring-1: %v", errBase, errRing)
	}
	if change == "destroy" && (errBase == nil) == landed {
		t.Errorf("base after a destruction that landed=%v: %v", landed, errBase)
	}
	if step == "sync folder" { // a root that a power loss could take back must not be handed out
		_, err := f.Open(ctx, "ring-1")
		wantKind(t, "open in doubt", err, problem.Unavailable)
		_, err = f.Names(ctx)
		wantKind(t, "names in doubt", err, problem.Unavailable)
		_, err = f.Create(ctx, "ring-2")
		wantKind(t, "create in doubt", err, problem.Unavailable)
		wantKind(t, "destroy in doubt", f.Destroy(ctx, "base"), problem.Unavailable)
		_, err = f.Export(recovery(t).Recipient())
		wantKind(t, "export in doubt", err, problem.Unavailable)
	}
	if step == "scrub" {
		_, err := base.Unwrap(ctx, nil, w)
		wantKind(t, "a destroyed root whose old blocks remain", err, problem.Gone)
	}
	wantFolder(t, filepath.Dir(path), "roots.age", "roots.age.lock")
}

// The replaced file's own blocks are overwritten: a second name for the old
// file, taken before, holds noise afterwards. (A copy would still open, which
// is what DestroyLimits says.)
func TestDestroyOverwritesTheOldFile(t *testing.T) {
	secret := machine(t)
	dir := t.TempDir()
	path, second, copied := filepath.Join(dir, "roots.age"), filepath.Join(dir, "second"), filepath.Join(dir, "copy")
	f := newFile(t, path, secret)
	mustCreate(t, f, "ring-1")
	if err := os.Link(path, second); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Destroy(t.Context(), "ring-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.OpenFile(second, secret); err == nil {
		t.Error("the old blocks still open")
	}
	if _, err := reopen(t, copied, secret).Open(t.Context(), "ring-1"); err != nil {
		t.Errorf("the limit that DestroyLimits states is not even true: %v", err)
	}
}

func recovery(t *testing.T) *age.HybridIdentity {
	t.Helper()
	id, err := keys.NewRecoveryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestABackupBringsTheRootsBack(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "roots.age")
	f := newFile(t, path, machine(t))
	base := mustCreate(t, f, "base")
	w, err := base.Wrap(ctx, []byte("aad"), []byte("seed"))
	if err != nil {
		t.Fatal(err)
	}
	clerk, judge, stranger := recovery(t), recovery(t), recovery(t)
	backup, err := f.Export(clerk.Recipient(), judge.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []*age.HybridIdentity{clerk, judge} {
		secret := machine(t) // a restored file may have another secret
		to := filepath.Join(t.TempDir(), "restored.age")
		if _, err := keys.ImportFile(to, secret, backup, id); err != nil {
			t.Fatal(err)
		}
		r, err := reopen(t, to, secret).Open(ctx, "base")
		if err != nil || r.ID() != base.ID() {
			t.Fatalf("restored root: %v", err)
		}
		if got, err := r.Unwrap(ctx, []byte("aad"), w); err != nil || string(got) != "seed" {
			t.Errorf("restored root: %q, %v", got, err)
		}
	}
	to := filepath.Join(t.TempDir(), "restored.age")
	_, err = keys.ImportFile(to, machine(t), backup, stranger)
	wantKind(t, "a stranger's identity", err, problem.Denied)
	_, err = keys.ImportFile(to, machine(t), backup)
	wantKind(t, "no identity", err, problem.Invalid)
	for i := 0; i < len(backup); i += 7 {
		altered := bytes.Clone(backup)
		altered[i] ^= 0x10
		if _, err := keys.ImportFile(to, machine(t), altered, clerk); err == nil {
			t.Fatalf("byte %d of the backup flipped and it still opens", i)
		}
	}
	wantFolder(t, filepath.Dir(to))
}

func TestABackupGoesToPostQuantumRecipientsOnly(t *testing.T) {
	f := newFile(t, filepath.Join(t.TempDir(), "roots.age"), machine(t))
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Export(classic.Recipient())
	wantKind(t, "X25519 alone", err, problem.Invalid)
	_, err = f.Export(recovery(t).Recipient(), classic.Recipient())
	wantKind(t, "one hybrid, one not", err, problem.Invalid)
	_, err = f.Export()
	wantKind(t, "nobody", err, problem.Invalid)
}

// age's key generation never returns under fips140=only; ours refuses at once.
func TestNoRecoveryIdentityUnderFIPSOnly(t *testing.T) {
	if os.Getenv("ARCA_TEST_FIPS_ONLY") != "" {
		_, err := keys.NewRecoveryIdentity()
		wantKind(t, "recovery identity", err, problem.Unavailable)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestNoRecoveryIdentityUnderFIPSOnly$")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", "ARCA_TEST_FIPS_ONLY=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAKeyFileThatCouldNotBeReadAgainIsNotWritten(t *testing.T) {
	secret := machine(t)
	path := filepath.Join(t.TempDir(), "roots.age")
	f := newFile(t, path, secret)
	keys.FillForTest(f, 1700)
	mustCreate(t, f, "base")
	if names, err := reopen(t, path, secret).Names(t.Context()); err != nil || len(names) != 1701 {
		t.Fatalf("%d names, %v", len(names), err)
	}
	keys.FillForTest(f, 2100)
	_, err := f.Create(t.Context(), "ring-1")
	wantKind(t, "create in a full file", err, problem.Invalid)
	reopen(t, path, secret)
}

func FuzzKeyFileBody(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := keys.ReencodeForTest(b)
		if err == nil && !bytes.Equal(again, b) {
			t.Fatalf("accepted %q, which is %q in canonical form", b, again)
		}
	})
}

func TestTheFuzzCorpusIsThere(t *testing.T) {
	cases, err := filepath.Glob("testdata/fuzz/FuzzKeyFileBody/*")
	if err != nil || len(cases) == 0 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
}

const goodBody = `{"roots":{"base":{"id":"00112233445566aa","key":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}},"version":1}`

var bodySeeds = []string{
	goodBody,
	`{"roots":{},"version":1}`,
	`{"roots":null,"version":1}`,
	`{"roots":{},"version":2}`,
	`{"version":1,"roots":{}}`,
	`{"roots":{},"roots":{},"version":1}`,
	`{"roots":{},"version":1,"extra":0}`,
	`{"roots":{"base":{"id":"00112233445566AA","key":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}},"version":1}`,
	`{"roots":{"base":{"id":"00112233445566aa","key":"AQE="}},"version":1}`,
	`{"roots":{"../b":{"id":"00112233445566aa","key":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}},"version":1}`,
}

func TestOnlyTheCanonicalBodyIsAccepted(t *testing.T) {
	for i, body := range bodySeeds {
		_, err := keys.ReencodeForTest([]byte(body))
		if want := i < 2; (err == nil) != want {
			t.Errorf("%s: %v", body, err)
		}
	}
	for i := range goodBody { // another byte is another file or none
		altered := []byte(goodBody)
		altered[i] ^= 1
		if again, err := keys.ReencodeForTest(altered); err == nil && !bytes.Equal(again, altered) {
			t.Errorf("byte %d: accepted in another form", i)
		}
	}
}

func BenchmarkOpenKeyFile(b *testing.B) {
	human, _ := keys.Passphrase("three keys for one chest")
	mach, _ := keys.MachineSecret(keys.NewMachineSecret())
	for name, secret := range map[string]keys.Secret{"passphrase": human, "machine": mach} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "roots.age")
			if _, err := keys.CreateFile(path, secret); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := keys.OpenFile(path, secret); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrap(b *testing.B) {
	root := keys.RootForTest("base@00", make([]byte, 32))
	for b.Loop() {
		if _, err := root.Wrap(b.Context(), nil, make([]byte, 32)); err != nil {
			b.Fatal(err)
		}
	}
}
