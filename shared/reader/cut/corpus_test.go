package cut

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// unquoted gives the bytes of a corpus file's first value.
func unquoted(t *testing.T, file string) string {
	lines := strings.Split(file, "\n")
	if len(lines) < 2 || !strings.HasPrefix(lines[1], "[]byte(") {
		t.Fatal("not a corpus file")
	}
	s, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(lines[1], "[]byte("), ")"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWriteCorpus makes the corpus anew from the samples: ARCA_WRITE_CORPUS=1 go test -run TestWriteCorpus
func TestWriteCorpus(t *testing.T) {
	if os.Getenv("ARCA_WRITE_CORPUS") == "" {
		return
	}
	folder := "testdata/fuzz/FuzzCut"
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(name string, b []byte, from, to int64) {
		text := "go test fuzz v1\n[]byte(" + strconv.QuoteToASCII(string(b)) + ")\nint64(" + strconv.FormatInt(from, 10) + ")\nint64(" + strconv.FormatInt(to, 10) + ")\n"
		// QuoteToASCII turns invalid UTF-8 into \x escapes, which is the form that the fuzzer reads.
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	opus := read(t, "es_hora_entrega.opus")
	short, err := run(opus, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	wav, err := run(read(t, "es_aviso_corto.wav"), 0, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	alaw, err := run(read(t, "en_address_check.alaw.wav"), 0, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	put("opus", short, 0, 0)
	put("opus-span", short, 300, 420)
	put("opus-cut", short[:len(short)-7], 0, 0)
	put("wav", wav, 10, 30)
	put("wav-odd", wav[:len(wav)-1], 0, 0)
	put("alaw", alaw, 5, 6)
	put("empty", nil, 0, 0)
}
