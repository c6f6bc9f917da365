package keyholder

import (
	"testing"

	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
)

// A note fits the act that named it only with its author, its unit and its one recording; a check that leaves one of them out takes a forged one.
func TestANoteFitsItsActInEverything(t *testing.T) {
	u := seal.Unit{Order: [32]byte{1}, Week: "2026-W47", Compartment: "main", Classification: "secret"}
	other := u
	other.Compartment = "clerk"
	row := madeRow{Author: record.KeyID{1}, Recording: record.ID{2}, Unit: u.Bytes()}
	note := func(u seal.Unit, ids ...byte) *seal.Note {
		n := &seal.Note{Statement: seal.Statement{Unit: u}}
		for _, id := range ids {
			n.Members = append(n.Members, seal.Member{Recording: seal.RecordingID{id}})
		}
		return n
	}
	if !row.fits(record.KeyID{1}, note(u, 2)) {
		t.Fatal("its own note does not fit")
	}
	forged := []struct {
		author record.KeyID
		note   *seal.Note
	}{{record.KeyID{9}, note(u, 2)}, {record.KeyID{1}, note(other, 2)}, {record.KeyID{1}, note(u, 3)}, {record.KeyID{1}, note(u, 2, 3)}, {record.KeyID{1}, note(u)}}
	for i, f := range forged {
		if row.fits(f.author, f.note) {
			t.Errorf("forged note %d fits", i)
		}
	}
	for name, twin := range map[string]func(record.KeyID, *seal.Note) bool{
		"without the author": func(_ record.KeyID, n *seal.Note) bool { return row.fits(row.Author, n) },
		"without the unit": func(a record.KeyID, n *seal.Note) bool {
			return row.fits(a, &seal.Note{Statement: seal.Statement{Unit: u}, Members: n.Members})
		},
		"without the recording": func(a record.KeyID, n *seal.Note) bool {
			return len(n.Members) == 1 && row.fits(a, note(n.Statement.Unit, 2))
		},
		"without the count": func(a record.KeyID, n *seal.Note) bool {
			return len(n.Members) > 0 && row.fits(a, &seal.Note{Statement: n.Statement, Members: n.Members[:1]})
		},
	} {
		caught := false
		for _, f := range forged {
			caught = caught || twin(f.author, f.note)
		}
		if !caught {
			t.Errorf("%s, and no forged note passes", name)
		}
	}
}
