// Package bag is the container of a disclosure bundle: a ZIP file that is also a
// valid BagIt 1.0 bag (RFC 8493) and has exactly one byte form for its files.
//
// It promises that whoever writes the same files gets the same bytes, in
// constant memory whatever their size, and that Open and Check together accept no
// file in which any byte differs from what Writer made of the same files: the
// layout is computed again from names, sizes and checksums and compared byte for
// byte, and every byte of content is under two hashes. Archivers read it as an
// ordinary ZIP, and BagIt tools, once unpacked, as an ordinary bag. Whose bag it
// is, the caller says: the last file, Signature, carries a signature over the hashes
// of both tag manifests, and they cover everything else.
//
// It trusts SHA-256 and SHA-512. It knows nothing of recordings.
//
// # Files, in this order
//
//	bagit.txt                 "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
//	data/…                    the payload, ascending by the bytes of its paths
//	bag-info.txt              the caller's lines, then Payload-Oxum: <octets>.<files>
//	manifest-sha256.txt       <hash>  <path> of each payload file, in their order
//	manifest-sha512.txt       the same
//	tagmanifest-sha256.txt    of bag-info.txt, bagit.txt and both manifests, in this order
//	tagmanifest-sha512.txt    the same
//	bundle.jws                the signature; in no manifest
//
// Paths are of a-z A-Z 0-9 . _ - and /, at most 200 bytes, no part empty, "." or
// "..". There is no fetch.txt and no directory entry.
//
// # ZIP
//
// Files follow each other from the first byte on, then their central records,
// then the end record, and nothing else: no comment, no data descriptor, no
// encryption, no compression (method 0), times 1980-01-01 00:00:00, made by Unix with mode
// 0100644, version 2.0 (4.5 where a zip64 field stands). A zip64 extra field
// stands exactly where a size, or in the central record an offset, reaches 2³²-1, with
// both sizes or the offset or all three; the zip64 end records stand exactly where the count of
// files reaches 65,535 or the directory's size or offset 2³²-1.
package bag

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"

	"arca.example/arca/shared/problem"
)

// Limits of a bag. A larger one is refused before anything of it is read.
const (
	MaxFiles = 100_000
	MaxSize  = 1 << 42  // bytes of all of it
	MaxTag   = 32 << 20 // bytes of a tag file: a manifest of MaxFiles paths fits
	maxPath  = 200
)

// The names of the tag files.
const (
	declarationName = "bagit.txt"
	infoName        = "bag-info.txt"
	manifest256     = "manifest-sha256.txt"
	manifest512     = "manifest-sha512.txt"
	tags256         = "tagmanifest-sha256.txt"
	tags512         = "tagmanifest-sha512.txt"
	// Signature is the name of the last file.
	Signature = "bundle.jws"
	// Payload is what the path of every payload file begins with.
	Payload = "data/"
)

const declaration = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

// before and after are the tag files around the payload, in their order.
var (
	before = []string{declarationName}
	after  = []string{infoName, manifest256, manifest512, tags256, tags512, Signature}
)

// Sum is the pair of hashes of a file.
type Sum struct {
	SHA256 [sha256.Size]byte
	SHA512 [sha512.Size]byte
}

// sumOf hashes a small file.
func sumOf(b []byte) Sum { return Sum{sha256.Sum256(b), sha512.Sum512(b)} }

// Seal is what the signature is over: the hashes of the two tag manifests.
type Seal struct {
	Tags256 [sha256.Size]byte // SHA-256 of tagmanifest-sha256.txt
	Tags512 [sha512.Size]byte // SHA-512 of tagmanifest-sha512.txt
}

// Line is a line of bag-info.txt.
type Line struct{ Label, Value string }

// Entry is a file of a bag.
type Entry struct {
	Path string
	Size int64
	Sum  Sum
}

// checkPath refuses every path that does not mean the same on every system.
func checkPath(path string) error {
	bad := problem.New(problem.Invalid, "a path in a bundle is of a-z A-Z 0-9 . _ - and /, has at most %d bytes and no part that is empty, \".\" or \"..\"", maxPath)
	if path == "" || len(path) > maxPath {
		return bad
	}
	for _, c := range []byte(path) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' && c != '/' {
			return bad
		}
	}
	for _, part := range strings.Split(path, "/") {
		if part == "" || part == "." || part == ".." {
			return bad
		}
	}
	return nil
}

// info gives bag-info.txt.
func info(lines []Line, payload []Entry) []byte {
	var b strings.Builder
	var octets int64
	for _, l := range lines {
		fmt.Fprintf(&b, "%s: %s\n", l.Label, l.Value)
	}
	for _, e := range payload {
		octets += e.Size
	}
	fmt.Fprintf(&b, "Payload-Oxum: %d.%d\n", octets, len(payload))
	return []byte(b.String())
}

// manifests gives the two manifests of some files.
func manifests(files []Entry) (sha256s, sha512s []byte) {
	for _, e := range files {
		sha256s = fmt.Appendf(sha256s, "%s  %s\n", hex.EncodeToString(e.Sum.SHA256[:]), e.Path)
		sha512s = fmt.Appendf(sha512s, "%s  %s\n", hex.EncodeToString(e.Sum.SHA512[:]), e.Path)
	}
	return sha256s, sha512s
}

// tagFiles gives all tag files but the signature, of a payload, by name, and what is signed.
func tagFiles(lines []Line, payload []Entry) (map[string][]byte, Seal) {
	tags := map[string][]byte{declarationName: []byte(declaration), infoName: info(lines, payload)}
	tags[manifest256], tags[manifest512] = manifests(payload)
	var listed []Entry
	for _, name := range []string{infoName, declarationName, manifest256, manifest512} {
		listed = append(listed, Entry{Path: name, Sum: sumOf(tags[name])})
	}
	tags[tags256], tags[tags512] = manifests(listed)
	return tags, Seal{sha256.Sum256(tags[tags256]), sha512.Sum512(tags[tags512])}
}

// altered is the refusal of a bag that Writer did not make like this.
func altered(format string, args ...any) error {
	return problem.New(problem.Invalid, "the bundle was altered: "+format, args...)
}
