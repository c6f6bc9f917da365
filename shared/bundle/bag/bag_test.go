package bag

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// memory is a target and a source in memory.
type memory struct{ b []byte }

func (m *memory) Write(p []byte) (int, error) { m.b = append(m.b, p...); return len(p), nil }
func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	return copy(m.b[at:], p), nil
}

var errNotSigned = errors.New("the signature is over something else")

// sign stands for a signature: nobody here alters both a file and this.
func sign(s Seal) ([]byte, error) {
	return fmt.Appendf(nil, "signed %x %x\n", s.Tags256, s.Tags512), nil
}

func write(t testing.TB, payload map[string]string) []byte {
	t.Helper()
	m := &memory{}
	w, err := NewWriter(m)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for path := range payload {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		if err := w.AddBytes(path, []byte(payload[path])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close([]Line{{"Bagging-Date", "2026-11-26"}}, sign); err != nil {
		t.Fatal(err)
	}
	return m.b
}

// accept is the verifier under attack.
func accept(raw []byte) error {
	b, err := Open(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return err
	}
	seal, err := b.Check(nil)
	if err != nil {
		return err
	}
	have, err := b.Read(Signature, 1<<10)
	if err != nil {
		return err
	}
	if want, _ := sign(seal); !bytes.Equal(have, want) {
		return errNotSigned
	}
	return nil
}

// lenient is what a verifier on a common ZIP library would be: the same hashes and signature, and whatever layout the library takes.
func lenient(raw []byte) error {
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return err
	}
	content := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return err
		}
		if content[f.Name], err = io.ReadAll(r); err != nil {
			return err
		}
	}
	want, _ := sign(Seal{sha256.Sum256(content[tags256]), sha512.Sum512(content[tags512])})
	if !bytes.Equal(content[Signature], want) {
		return errNotSigned
	}
	return bagit(content)
}

// bagit is RFC 8493, sections 2 and 3, told again from its text: what a valid bag is.
func bagit(files map[string][]byte) error {
	if string(files["bagit.txt"]) != "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n" {
		return errors.New("no bag declaration")
	}
	if files["fetch.txt"] != nil {
		return errors.New("files are to be fetched")
	}
	seen := 0
	for name, hash := range map[string]func([]byte) string{
		"sha256": func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) },
		"sha512": func(b []byte) string { s := sha512.Sum512(b); return hex.EncodeToString(s[:]) },
	} {
		listed := map[string]string{}
		for _, manifest := range []string{"manifest-" + name + ".txt", "tagmanifest-" + name + ".txt"} {
			for line := range strings.Lines(string(files[manifest])) {
				sum, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
				if !ok || listed[path] != "" {
					return fmt.Errorf("%s lists %q twice or badly", manifest, path)
				}
				listed[path] = sum
				b, there := files[path]
				if !there || hash(b) != sum {
					return fmt.Errorf("%s is not what %s says", path, manifest)
				}
				if (strings.HasPrefix(path, "data/")) != (manifest[0] == 'm') {
					return fmt.Errorf("%s lists %s", manifest, path)
				}
			}
		}
		for path := range files {
			if strings.HasPrefix(path, "data/") {
				seen++
				if listed[path] == "" {
					return fmt.Errorf("%s is in no manifest", path)
				}
			}
		}
		for _, must := range []string{"manifest-sha256.txt", "manifest-sha512.txt", "bagit.txt", "bag-info.txt"} {
			if listed[must] == "" {
				return fmt.Errorf("%s is in no tag manifest", must)
			}
		}
	}
	if seen == 0 {
		return errors.New("no payload")
	}
	return nil
}

var small = map[string]string{"data/a.txt": "alpha", "data/b/c.txt": "", "data/z.bin": "omega"}

// mutants yields every attack on a small bag; same says whether it left the bytes as they were.
func mutants(raw []byte, other []byte, yield func(name string, b []byte)) {
	for i := range raw {
		for _, bit := range []byte{1, 0x80} {
			b := bytes.Clone(raw)
			b[i] ^= bit
			yield(fmt.Sprintf("byte %d, bit %#x", i, bit), b)
		}
	}
	for n := range raw {
		yield(fmt.Sprintf("cut to %d", n), raw[:n])
	}
	for _, tail := range []string{"\x00", "PK\x05\x06", "x", string(raw)} {
		yield("extended", append(bytes.Clone(raw), tail...))
		yield("prefixed", append([]byte(tail), raw...))
	}
	// A comment at the end, announced in the end record.
	b := append(bytes.Clone(raw), "note"...)
	b[len(raw)-2] = 4
	yield("comment", b)
	yield("another bag", append(bytes.Clone(other[:len(other)/2]), raw[len(raw)/2:]...))
}

func TestEveryByteCounts(t *testing.T) {
	raw, other := write(t, small), write(t, map[string]string{"data/a.txt": "beta", "data/z.bin": "omega"})
	if err := accept(raw); err != nil {
		t.Fatal(err)
	}
	if err := lenient(raw); err != nil {
		t.Fatal("a common reader does not take the bag: ", err)
	}
	tried, missed := 0, 0
	mutants(raw, other, func(name string, b []byte) {
		tried++
		if accept(b) == nil {
			t.Errorf("accepted: %s", name)
		}
		if lenient(b) == nil {
			missed++
		}
	})
	if tried < 3*len(raw) {
		t.Fatalf("only %d mutants", tried)
	}
	if missed == 0 {
		t.Error("the campaign does not catch a verifier that leaves the layout to its library")
	}
	t.Logf("%d mutants refused; a verifier without the strict layout accepts %d of them", tried, missed)
}

// forge writes a ZIP as somebody would who can recompute every header and checksum but not the signature.
func forge(files []file, content map[string][]byte) []byte {
	var out, directory []byte
	for i := range files {
		files[i].offset = uint64(len(out))
		out = append(append(out, files[i].local()...), content[files[i].path]...)
		directory = append(directory, files[i].central()...)
	}
	offset := uint64(len(out))
	return append(append(out, directory...), end(uint64(len(files)), uint64(len(directory)), offset)...)
}

// taken opens a bag into the parts that forge takes.
func taken(t *testing.T, raw []byte) ([]file, map[string][]byte) {
	b, err := Open(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	content := map[string][]byte{}
	for _, f := range b.files {
		content[f.path], _ = io.ReadAll(b.section(f))
	}
	return b.files, content
}

func TestForgedLayouts(t *testing.T) {
	raw := write(t, small)
	files, content := taken(t, raw)
	if !bytes.Equal(forge(slices.Clone(files), content), raw) {
		t.Fatal("the forger does not write what the writer writes")
	}
	at := func(name string) int { return slices.IndexFunc(files, func(f file) bool { return f.path == name }) }
	rename := func(i int, path string) []file {
		l := slices.Clone(files)
		content[path] = content[l[i].path]
		l[i].path = path
		return l
	}
	for name, l := range map[string][]file{
		"a file left out":           slices.Delete(slices.Clone(files), 1, 2),
		"a file twice":              slices.Insert(slices.Clone(files), 2, files[1]),
		"two files swapped":         func() []file { l := slices.Clone(files); l[1], l[2] = l[2], l[1]; return l }(),
		"tag files swapped":         func() []file { l := slices.Clone(files); n := len(l); l[n-2], l[n-3] = l[n-3], l[n-2]; return l }(),
		"a path upward":             rename(1, "data/../../x"),
		"an absolute path":          rename(1, "/etc/passwd"),
		"a backslash":               rename(1, `data\a`),
		"a file beside data":        rename(1, "other/a.txt"),
		"an empty part":             rename(1, "data//a.txt"),
		"a folder":                  rename(1, "data/a/"),
		"fetch.txt":                 rename(at("bag-info.txt"), "fetch.txt"),
		"no signature":              files[:len(files)-1],
		"nothing":                   nil,
		"a file that no one signed": rename(1, "data/aa.txt"),
	} {
		if err := accept(forge(slices.Clone(l), content)); err == nil {
			t.Errorf("accepted: %s", name)
		}
	}
}

// Fields that an archiver would act on: flags, methods, attributes, versions, times.
func TestForgedFields(t *testing.T) {
	raw := write(t, small)
	files, _ := taken(t, raw)
	local := int(files[1].offset)
	central := bytes.Index(raw, le32(nil, centralSignature))
	for name, at := range map[string]int{
		"encrypted, local": local + 6, "deflated, local": local + 8, "time, local": local + 10, "size, local": local + 18,
		"encrypted": central + 8, "deflated": central + 10, "size": central + 20, "symlink": central + 41, "another disk": central + 34, "offset": central + 42,
	} {
		for _, v := range []byte{1, 8, 0xa1, 0xff} {
			b := bytes.Clone(raw)
			if b[at] ^= v; accept(b) == nil {
				t.Errorf("accepted: %s %#x", name, v)
			}
		}
	}
}

func TestSameFilesSameBytes(t *testing.T) {
	if !bytes.Equal(write(t, small), write(t, small)) {
		t.Fatal("two bags of the same files differ")
	}
}

func TestWriterRefuses(t *testing.T) {
	for name, f := range map[string]func(w *Writer) error{
		"a path outside data": func(w *Writer) error { return w.AddBytes("x", nil) },
		"a path upward":       func(w *Writer) error { return w.AddBytes("data/../x", nil) },
		"a path twice":        func(w *Writer) error { return errors.Join(w.AddBytes("data/a", nil), w.AddBytes("data/a", nil)) },
		"paths out of order":  func(w *Writer) error { return errors.Join(w.AddBytes("data/b", nil), w.AddBytes("data/a", nil)) },
		"too few bytes": func(w *Writer) error {
			return w.Add("data/a", 2, func(to io.Writer) error { _, err := to.Write([]byte("1")); return err })
		},
		"a source that fails": func(w *Writer) error { return w.Add("data/a", 0, func(io.Writer) error { return errNotSigned }) },
		"two lines of info":   func(w *Writer) error { return w.Close([]Line{{"A", "b\nPayload-Oxum: 0.0"}}, sign) },
	} {
		w, err := NewWriter(&memory{})
		if err != nil {
			t.Fatal(err)
		}
		if f(w) == nil {
			t.Errorf("taken: %s", name)
		}
		if w.Close(nil, sign) == nil {
			t.Errorf("closed after: %s", name)
		}
	}
}

// With the borders of zip64 lowered, the same code writes and reads what files of more than 4 GiB need.
func TestZip64(t *testing.T) {
	defer func(old uint64) { full32 = old }(full32)
	payload := map[string]string{"data/a.bin": strings.Repeat("a", 3000), "data/b.bin": strings.Repeat("b", 2999), "data/c.bin": "c"}
	for _, full32 = range []uint64{1, 600, 2999, 3000, 3001, 5000, 7000, 1 << 20} {
		raw := write(t, payload)
		if err := accept(raw); err != nil {
			t.Fatalf("border %d: %v", full32, err)
		}
		if err := lenient(raw); err != nil {
			t.Fatalf("border %d: a common reader does not take it: %v", full32, err)
		}
		unzip(t, raw)
	}
	full32 = 3000
	raw := write(t, payload)
	for i := range raw {
		b := bytes.Clone(raw)
		if b[i] ^= 4; accept(b) == nil {
			t.Fatalf("accepted with byte %d changed", i)
		}
	}
}

// Other programs take the file too, where they are at hand.
func unzip(t *testing.T, raw []byte) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "bundle.zip")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tool := range [][]string{{"unzip", "-tqq", path}, {"python3", "-c", "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None and len(z.namelist())>6", path}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			t.Logf("%s is not on this machine", tool[0])
			continue
		}
		if out, err := exec.Command(tool[0], tool[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", tool[0], err, out)
		}
	}
}

func FuzzOpen(f *testing.F) {
	raw := write(f, small)
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if accept(b) == nil && !bytes.Equal(b, raw) {
			again, _ := Open(bytes.NewReader(b), int64(len(b)))
			if again == nil || len(again.files) == 0 {
				t.Fatal("accepted without files")
			}
		}
	})
}
