package seal

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// parsers are all parsers of the package, each as parse-then-encode.
var parsers = map[string]func([]byte) ([]byte, error){
	"ParseUnit":       func(b []byte) ([]byte, error) { u, err := ParseUnit(b); return u.Bytes(), err },
	"ParseDescriptor": func(b []byte) ([]byte, error) { d, err := ParseDescriptor(b); return d.Bytes(), err },
	"ParseStatement":  func(b []byte) ([]byte, error) { s, err := ParseStatement(b); return s.Bytes(), err },
	"ParseTrailer":    func(b []byte) ([]byte, error) { t, err := parseTrailer(b); return t.bytes(), err },
	"ParseSlot":       func(b []byte) ([]byte, error) { s, err := parseSlot(b); return s.bytes(), err },
	"ParseNote": func(b []byte) ([]byte, error) {
		n, err := ParseNote(b)
		if err != nil {
			return nil, err
		}
		return n.Bytes(), nil
	},
	"ParsePackKey": func(b []byte) ([]byte, error) { n, err := ParsePackKey(string(b)); return []byte(PackKey(n)), err },
	"ParseRecordingID": func(b []byte) ([]byte, error) {
		id, err := ParseRecordingID(string(b))
		return []byte(id.String()), err
	},
	"ParsePublicKey": func(b []byte) ([]byte, error) {
		k, err := ParsePublicKey(b)
		if err != nil {
			return nil, err
		}
		return k.Bytes(), nil
	},
}

// fuzzParser: what parses encodes to the very same bytes.
func fuzzParser(f *testing.F, name string) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, err := parsers[name](b); err == nil && !bytes.Equal(out, b) {
			t.Fatalf("%x parses and encodes to %x", b, out)
		}
	})
}

func FuzzParseUnit(f *testing.F)        { fuzzParser(f, "ParseUnit") }
func FuzzParseDescriptor(f *testing.F)  { fuzzParser(f, "ParseDescriptor") }
func FuzzParseStatement(f *testing.F)   { fuzzParser(f, "ParseStatement") }
func FuzzParseTrailer(f *testing.F)     { fuzzParser(f, "ParseTrailer") }
func FuzzParseSlot(f *testing.F)        { fuzzParser(f, "ParseSlot") }
func FuzzParseNote(f *testing.F)        { fuzzParser(f, "ParseNote") }
func FuzzParsePackKey(f *testing.F)     { fuzzParser(f, "ParsePackKey") }
func FuzzParseRecordingID(f *testing.F) { fuzzParser(f, "ParseRecordingID") }
func FuzzParsePublicKey(f *testing.F)   { fuzzParser(f, "ParsePublicKey") }

func FuzzParseMembers(f *testing.F) {
	f.Add(AppendMember(nil, Member{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if members, err := ParseMembers(b); err == nil && !bytes.Equal(appendMembers(nil, members), b) {
			t.Fatalf("%x has a second form", b)
		}
	})
}

// FuzzOpenDescriptors feeds an area whose trailer is the attacker's.
func FuzzOpenDescriptors(f *testing.F) {
	slot := testSlot()
	f.Fuzz(func(t *testing.T, b []byte) {
		area := newGCM(slot.Key).Seal(nil, areaNonce(trailerDomain, 0), b, slot.Batch[:])
		s := slot
		s.Area = Area{70000, uint32(len(area)), uint32(len(area))}
		if _, err := s.OpenDescriptors(area, nil); err == nil {
			t.Fatal("a batch without descriptors was accepted")
		}
	})
}

// seeds are one valid input per target; -update writes them as the corpus,
// with a few spoilt ones beside.
func seeds(t *testing.T) map[string][]byte {
	w := newWorld(t)
	_, l := w.listing(t)
	n := must(w.signed.Note(Custodian))
	n.Members = n.Members[:2]
	tr := trailer{[]uint32{300, 400}, w.signed.Statement, w.signed.Signature}
	slot := testSlot()
	return map[string][]byte{
		"ParseUnit": testUnit().Bytes(), "ParseDescriptor": l.Descriptors[0].Bytes(), "ParseStatement": w.signed.Statement.Bytes(),
		"ParseTrailer": tr.bytes(), "ParseSlot": slot.bytes(), "ParseNote": n.Bytes(), "ParsePackKey": []byte(PackKey(42)),
		"ParseRecordingID": []byte(RecordingID{1}.String()), "ParsePublicKey": w.court.PublicKey().Bytes(), "OpenDescriptors": tr.bytes(),
	}
}

// TestCorporaLoad: every target has a corpus, and its parser takes at least one case of it.
func TestCorporaLoad(t *testing.T) {
	if *update {
		writeCorpora(t)
	}
	targets := maps.Clone(parsers)
	targets["OpenDescriptors"] = parsers["ParseTrailer"]
	for name, parse := range targets {
		files, _ := filepath.Glob(filepath.Join("testdata", "fuzz", "Fuzz"+name, "*"))
		accepted := 0
		for _, file := range files {
			text := string(must(os.ReadFile(file)))
			quoted, ok := strings.CutPrefix(text, "go test fuzz v1\n[]byte(")
			b, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(quoted), ")"))
			if !ok || err != nil {
				t.Fatalf("%s is no corpus file", file)
			}
			if _, err := parse([]byte(b)); err == nil {
				accepted++
			}
		}
		if len(files) < 2 || accepted == 0 {
			t.Errorf("Fuzz%s: %d cases, %d valid", name, len(files), accepted)
		}
	}
}

func writeCorpora(t *testing.T) {
	for name, valid := range seeds(t) {
		dir := filepath.Join("testdata", "fuzz", "Fuzz"+name)
		check(os.MkdirAll(dir, 0o755))
		flipped := bytes.Clone(valid)
		flipped[len(flipped)/3] ^= 0x40
		for file, b := range map[string][]byte{
			"valid": valid, "short": valid[:len(valid)-1], "long": append(bytes.Clone(valid), 0), "flipped": flipped, "empty": nil,
			"huge-count": append(bytes.Clone(valid[:len(valid)/2]), bytes.Repeat([]byte{0xFF}, 40)...),
		} {
			check(os.WriteFile(filepath.Join(dir, file), fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", b), 0o644))
		}
	}
}
