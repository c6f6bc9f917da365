package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestDependencies holds what makes the verifier trustworthy by reading: it links nothing that stores, serves or holds keys.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Fields(string(out))
	if len(list) < 50 {
		t.Fatalf("only %d packages listed", len(list))
	}
	for _, name := range list {
		for _, banned := range []string{"aws", "/keyholder", "/vault", "/store", "/collector", "/reader", "/mirror", "/keys", "/local", "/functions",
			"cobra", "sqlite", "cedar"} {
			if strings.Contains(name, banned) {
				t.Errorf("arca-verify links %s", name)
			}
		}
	}
}
