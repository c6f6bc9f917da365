package installation_test

import (
	"os"
	"path/filepath"
	"testing"

	"arca.example/arca/shared/local/installation"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// TestEnrolmentBesideIdentity reads a filed enrolment, and refuses every altered byte of it and one signed by too few.
func TestEnrolmentBesideIdentity(t *testing.T) {
	f, err := installation.Init(t.Context(), filepath.Join(t.TempDir(), "box"), installation.Options{})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := f.NewIdentity("ines", "people", "ines")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Enrolment("people", "ines"); problem.KindOf(err) != problem.NotFound {
		t.Fatal(err)
	}
	joint, err := f.SignEnrolment(record.Enrolment{Key: signer.Public(), Name: "ines", Roles: []record.Role{record.Investigator}, PoliceUnit: "Unit A"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.KeepEnrolment(joint, "people", "ines"); err != nil {
		t.Fatal(err)
	}
	e, err := f.Enrolment("people", "ines")
	if err != nil || e.Name != "ines" || !e.Of(record.Investigator) {
		t.Fatal(e, err)
	}
	if _, err := f.OpenEnrolment(joint[:1]); err == nil {
		t.Error("one registrar's signature was enough")
	}
	path := f.Dir("people", "ines", "enrolment.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range raw {
		altered := append([]byte(nil), raw...)
		altered[at] ^= 1
		if err := os.WriteFile(path, altered, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Enrolment("people", "ines"); err == nil {
			t.Fatalf("byte %d of the enrolment was changed and nobody saw it", at)
		}
	}
}

// TestLock lets one process serve a folder.
func TestLock(t *testing.T) {
	f := &installation.Folder{Path: t.TempDir()}
	release, err := f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lock(); problem.KindOf(err) != problem.Conflict {
		t.Fatal(err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	again, err := f.Lock()
	if err != nil {
		t.Fatal("a released lock is not free:", err)
	}
	_ = again()
}

// TestAdopt replaces nothing that holds files of its own.
func TestAdopt(t *testing.T) {
	f := &installation.Folder{Path: t.TempDir()}
	made := func(name, file string) string {
		dir := f.Dir(name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	made("court", "rows.db")
	made("court", "access.log")
	fresh := made(".restore-1", "rows.db")
	if err := f.Adopt("court", fresh); problem.KindOf(err) != problem.Conflict {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(fresh, "rows.db"), f.Dir("court", "access.log")} {
		if _, err := os.Stat(path); err != nil {
			t.Error("a refusal moved something:", err)
		}
	}
	if err := os.Remove(f.Dir("court", "rows.db")); err != nil {
		t.Fatal(err)
	}
	made("court", "access.log")
	if err := f.Adopt("court", fresh); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rows.db", "access.log"} {
		if _, err := os.Stat(f.Dir("court", name)); err != nil {
			t.Error(err)
		}
	}
}
