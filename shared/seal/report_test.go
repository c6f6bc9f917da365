package seal

import (
	"bytes"
	"testing"
)

func TestAReportOpensWithBothSharesAndNothingElse(t *testing.T) {
	order, content := [32]byte{1}, []byte("fictional content")
	sealed, court, custodian := SealReport(order, "author", content)
	if got, err := OpenReport(order, "author", sealed, court, custodian); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%q %v", got, err)
	}
	opens := func(order [32]byte, author string, sealed []byte, court, custodian Share) bool {
		_, err := OpenReport(order, author, sealed, court, custodian)
		return err == nil
	}
	if opens([32]byte{2}, "author", sealed, court, custodian) || opens(order, "another", sealed, court, custodian) || opens(order, "author", sealed, custodian, court) ||
		opens(order, "author", sealed, court, Share{}) || opens(order, "author", sealed, Share{}, custodian) {
		t.Error("it opens for another order, another author, exchanged shares, or with one share")
	}
	for i := range sealed {
		sealed[i] ^= 1
		if opens(order, "author", sealed, court, custodian) {
			t.Errorf("byte %d does not count", i)
		}
		sealed[i] ^= 1
	}
	// The weakened twin: a key of one share alone opens with that share, so the check above would see it.
	twin := reportCipher(order, court, Share{}).Seal(nil, make([]byte, 12), content, reportAAD(order, "author"))
	if !opens(order, "author", twin, court, Share{}) {
		t.Error("a key of one share alone would not be seen")
	}
}
