package vault

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"arca.example/arca/shared/ledger"
)

// Whoever runs the log must be allowed to where it lies, and nowhere else: a right to another prefix is an outage on the real service
// that no local store shows.
func TestRightsReachTheTiles(t *testing.T) {
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	prefix, _, _ := strings.Cut(blobKey(ledger.Tile{Width: 1}), "/0/")
	for _, actions := range []string{`["s3:GetObject"]`, `["s3:GetObject", "s3:PutObject"]`} {
		if want := fmt.Sprintf(`Action: %s, Resource: !Sub "${Bucket.Arn}/%s/*"`, actions, prefix); !strings.Contains(string(template), want) {
			t.Errorf("no role in the template has: %s", want)
		}
	}
}
