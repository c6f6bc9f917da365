package bundle_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	cosignature "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/record"
)

// files unpacks a bundle with the standard library's reader.
func files(t *testing.T, raw []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, f := range must(zip.NewReader(bytes.NewReader(raw), int64(len(raw)))).File {
		out[f.Name] = must(io.ReadAll(must(f.Open())))
	}
	return out
}

// TestInteropProofs reads what a bundle says of the log with other implementations: formats' proofs and cosignatures, note's checkpoints.
func TestInteropProofs(t *testing.T) {
	w, ids := small(t)
	in := files(t, w.make(w.source(ids[0])))
	seen := 0
	for line := range bytes.Lines(in["data/custody/court.jsonl"]) {
		var p bundle.LogProof
		check(t, record.Unmarshal(bytes.TrimSuffix(line, []byte("\n")), &p))
		var parsed proof.TLogProof
		check(t, parsed.Unmarshal([]byte(p.Proof)))
		log := must(note.NewVerifier(w.vault.Trust.LogKey))
		verifiers := []note.Verifier{log}
		for _, key := range w.vault.Trust.Witnesses {
			verifiers = append(verifiers, must(cosignature.NewVerifierForCosignatureV1(key)))
		}
		n := must(note.Open(parsed.Checkpoint, note.VerifierList(verifiers...)))
		if len(n.Sigs) != len(verifiers) || len(n.UnverifiedSigs) > 0 || !strings.HasPrefix(n.Text, w.vault.Trust.LogOrigin+"\n") {
			t.Errorf("%d signatures of %d", len(n.Sigs), len(verifiers))
		}
		seen++
	}
	if seen != 3 {
		t.Errorf("%d proofs", seen)
	}
}

// TestInteropAge decrypts what is encrypted to a recipient with the age command line, built from the module that tools/age pins.
func TestInteropAge(t *testing.T) {
	program := filepath.Join(t.TempDir(), "age")
	build := exec.Command("go", "build", "-mod=mod", "-o", program, "filippo.io/age/cmd/age")
	build.Dir = "../../tools/age"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("age does not build: %v: %s", err, out)
	}
	w, ids := small(t)
	x25519, hybrid := must(age.GenerateX25519Identity()), must(age.GenerateHybridIdentity())
	for recipient, identity := range map[string]string{x25519.Recipient().String(): x25519.String(), hybrid.Recipient().String(): hybrid.String()} {
		in := w.source(ids[0])
		in.Recipients = []string{recipient}
		dir := t.TempDir()
		key, sealed := filepath.Join(dir, "key.txt"), filepath.Join(dir, "recording.age")
		check(t, os.WriteFile(key, []byte(identity+"\n"), 0o600))
		check(t, os.WriteFile(sealed, files(t, w.make(in))["data/recordings/"+ids[0].String()+".txt.age"], 0o600))
		out, err := exec.CommandContext(context.Background(), program, "-d", "-i", key, sealed).Output()
		if err != nil || string(out) != "Meet at nine." {
			t.Errorf("%q, %v", out, err)
		}
	}
}

// TestInteropSums checks the manifests as somebody with sha256sum alone would.
func TestInteropSums(t *testing.T) {
	w, ids := small(t)
	raw := w.make(w.source(ids...))
	in := files(t, raw)
	listed := 0
	for line := range strings.Lines(string(in["manifest-sha256.txt"])) {
		sum, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if got := record.Digest(sha256.Sum256(in[path])); got.String() != sum {
			t.Errorf("%s has another sum", path)
		}
		listed++
	}
	if listed != len(in)-7 { // all but the tag files
		t.Errorf("%d files of %d are listed", listed, len(in))
	}
	for _, tool := range []string{"unzip", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not on this machine", tool)
		}
	}
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "b.zip"), raw, 0o600))
	for _, line := range []string{"unzip -qq b.zip", "sha256sum --quiet -c manifest-sha256.txt", "sha512sum --quiet -c manifest-sha512.txt", "sha256sum --quiet -c tagmanifest-sha256.txt", "sha512sum --quiet -c tagmanifest-sha512.txt"} {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", line, err, out)
		}
	}
}
