package record_test

import (
	"strings"
	"testing"
	"time"

	"arca.example/arca/shared/record"
)

func TestReceiptsOfOneCallStandAlone(t *testing.T) {
	key, err := record.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2031, 1, 13, 9, 0, 0, 0, time.UTC)
	holds := func(raw string, statement record.Digest) bool {
		signed, way, err := record.SplitReceipt(raw)
		if err != nil {
			return false
		}
		var r record.Receipt
		_, err = record.Open(signed, record.TypeReceipt, key.Public(), &r)
		return err == nil && r.Holds(statement, way)
	}
	for _, count := range []int{1, 2, 31, record.MaxReceipts} {
		var statements []record.Digest
		for i := range count {
			statements = append(statements, record.HashBytes([]byte{byte(i)}))
		}
		receipts, err := record.SignReceipts(key, at, record.Receipt{Audience: record.Digest{1}, Issued: at, Party: "court"}, statements...)
		if err != nil || len(receipts) != count {
			t.Fatal(len(receipts), err)
		}
		for i, raw := range receipts {
			// One length whatever the number of notes: a receipt does not tell how many others there are.
			if len(raw) != len(receipts[0]) || strings.Count(raw, ".") != 3 {
				t.Errorf("receipt %d of %d has %d bytes", i, count, len(raw))
			}
			for j, statement := range statements {
				if holds(raw, statement) != (i == j) {
					t.Errorf("receipt %d of %d for note %d: %v", i, count, j, i != j)
				}
			}
		}
		raw := []byte(receipts[0])
		for i := range raw {
			raw[i] ^= 1 << (i % 7)
			if holds(string(raw), statements[0]) {
				t.Errorf("byte %d may be changed", i)
			}
			raw[i] ^= 1 << (i % 7)
		}
		// A node of the tree does not pass for a note, nor a note for a node.
		_, way, err := record.SplitReceipt(receipts[0])
		if err != nil {
			t.Fatal(err)
		}
		if holds(receipts[0], record.Digest(way[1:33])) {
			t.Error("a neighbour passes for a note")
		}
	}
	if _, err := record.SignReceipts(key, at, record.Receipt{}, make([]record.Digest, record.MaxReceipts+1)...); err == nil {
		t.Error("more receipts than a tree has leaves")
	}
}

func FuzzSplitReceipt(f *testing.F) {
	key, err := record.NewSigner()
	if err != nil {
		f.Fatal(err)
	}
	receipts, err := record.SignReceipts(key, time.Unix(0, 0).UTC(), record.Receipt{Issued: time.Unix(0, 0).UTC(), Party: "court"}, record.Digest{1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(receipts[0])
	f.Add("..")
	f.Fuzz(func(t *testing.T, raw string) {
		if signed, way, err := record.SplitReceipt(raw); err == nil {
			if again, _, err := record.SplitReceipt(signed + raw[len(signed):]); err != nil || again != signed || len(way) != 161 {
				t.Error("a receipt is read in two ways")
			}
		}
	})
}
