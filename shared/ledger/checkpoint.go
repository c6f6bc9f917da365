package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/mldsa"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// MaxNote is the longest checkpoint that anyone here reads, in bytes.
const MaxNote = 64 << 10

// Signature algorithms of signed notes (C2SP signed-note, tlog-cosignature).
const (
	algEd25519     = 1
	algCosignature = 4 // Ed25519 with a time
	algMLDSA44     = 6 // ML-DSA-44 with a time
)

// Tree is what a checkpoint's three lines say.
type Tree struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

// Text gives the checkpoint's body, which is what log and witnesses sign.
func (t Tree) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", t.Origin, t.Size, t.Root)
}

var emptyRoot = tlog.Hash(sha256.Sum256(nil))

// EmptyRoot is the root of a tree without entries.
func EmptyRoot() tlog.Hash { return emptyRoot }

// ParseTree reads a checkpoint's body: exactly three lines, no extension.
func ParseTree(text string) (Tree, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(text) > MaxNote || len(lines) != 4 || lines[3] != "" {
		return Tree{}, refusal(ErrAltered, "a checkpoint's body has exactly three lines")
	}
	size, err := parseDecimal(lines[1])
	if err != nil {
		return Tree{}, refusal(ErrAltered, "a checkpoint's size is a plain decimal number")
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return Tree{}, refusal(ErrAltered, "a checkpoint's root is 32 bytes in base64")
	}
	t := Tree{Origin: lines[0], Size: size, Root: root}
	if !validName(t.Origin) || t.Text() != text || size == 0 && root != emptyRoot {
		return Tree{}, refusal(ErrAltered, "a checkpoint's body is not in its one canonical form")
	}
	return t, nil
}

// parseDecimal reads a number from 0 to 2⁶³-1 without sign or leading zeros.
func parseDecimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, strconv.ErrSyntax
	}
	return n, nil
}

// hashText is the length of a hash in base64.
const hashText = 44

var strictBase64 = base64.StdEncoding.Strict()

// parseHash reads 32 bytes of base64 in their one form. The strict decoder
// refuses stray bits behind the last byte; it skips line breaks, but then too
// few characters are left of the fixed length for 32 bytes.
func parseHash[T string | []byte](s T) (h tlog.Hash, err error) {
	if len(s) != hashText {
		return h, strconv.ErrSyntax
	}
	var raw [sha256.Size + 1]byte
	n, err := strictBase64.Decode(raw[:], []byte(s))
	if err != nil || n != sha256.Size {
		return h, strconv.ErrSyntax
	}
	return tlog.Hash(raw[:n]), nil
}

// SignTree makes the checkpoint that a log publishes and offers to witnesses: signed with its key and, while that rolls over, with the one before
// as well, for witnesses that know only that one yet.
func SignTree(t Tree, signers ...note.Signer) ([]byte, error) {
	for _, signer := range signers {
		if signer.Name() != t.Origin {
			return nil, problem.New(problem.Invalid, "the log's key must carry the log's origin as its name")
		}
	}
	signed, err := note.Sign(&note.Note{Text: t.Text()}, signers...)
	if err != nil {
		return nil, problem.Wrap(problem.Internal, err, "the checkpoint could not be signed")
	}
	return signed, nil
}

// OpenTree verifies a log's signature on a checkpoint and reads it. Other
// signatures are ignored: this is the view of a witness, which must not care
// who else has signed. Readers use Policy.
func OpenTree(signed []byte, known ...note.Verifier) (Tree, error) {
	if len(signed) > MaxNote {
		return Tree{}, refusal(ErrAltered, "a checkpoint has at most %d bytes", MaxNote)
	}
	n, err := note.Open(signed, note.VerifierList(known...))
	if err != nil {
		return Tree{}, noteRefusal(err)
	}
	return ParseTree(n.Text)
}

func noteRefusal(err error) error {
	switch err.(type) {
	case *note.UnverifiedNoteError:
		return refusal(ErrUnknownRoots, "the checkpoint is not signed by the log that was expected")
	case *note.InvalidSignatureError:
		return refusal(ErrAltered, "a signature on the checkpoint does not fit its text")
	}
	return refusal(ErrAltered, "the checkpoint is not a signed note")
}

func signatureLine(name string, sig []byte) string {
	return "— " + name + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
}

// logSigner is an Ed25519 note.Signer that holds a key instead of a string of it.
type logSigner struct {
	origin string
	key    ed25519.PrivateKey
}

// NewLogSigner makes the signer of a log and the verifier key for its Policy.
func NewLogSigner(origin string, key ed25519.PrivateKey) (note.Signer, string, error) {
	if !validName(origin) || len(key) != ed25519.PrivateKeySize {
		return nil, "", problem.New(problem.Invalid, "a log needs an origin without spaces or '+' and an Ed25519 key")
	}
	return logSigner{origin, key}, verifierKey(origin, algEd25519, key.Public().(ed25519.PublicKey)), nil
}

func (s logSigner) Name() string { return s.origin }
func (s logSigner) KeyHash() uint32 {
	return keyHash(s.origin, algEd25519, s.key.Public().(ed25519.PublicKey))
}
func (s logSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// String keeps the key out of logs.
func (s logSigner) String() string { return "ledger.logSigner(" + s.origin + ")" }

// GoString is String.
func (s logSigner) GoString() string { return s.String() }

func keyHash(name string, alg byte, key []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"+string(rune(alg))), key...))
	return binary.BigEndian.Uint32(sum[:])
}

func verifierKey(name string, alg byte, key []byte) string {
	return fmt.Sprintf("%s+%08x+%s", name, keyHash(name, alg, key), base64.StdEncoding.EncodeToString(append([]byte{alg}, key...)))
}

// parseVerifierKey reads name, algorithm and public key of a verifier key of one of
// the given algorithms, in its one canonical form: the library takes the key hash on
// faith, and keys under which anybody can sign.
func parseVerifierKey(vkey string, algs ...byte) (name string, alg byte, key []byte, err error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, b64, _ := strings.Cut(rest, "+")
	raw, err := strictBase64.DecodeString(b64)
	if err != nil || !validName(name) || len(raw) == 0 || !slices.Contains(algs, raw[0]) {
		return "", 0, nil, strconv.ErrSyntax
	}
	alg, key = raw[0], raw[1:]
	if verifierKey(name, alg, key) != vkey || weakKey(alg, key) {
		return "", 0, nil, strconv.ErrSyntax
	}
	return name, alg, key, nil
}

// weakKey says whether a key has the wrong length, or anybody can sign for it.
func weakKey(alg byte, key []byte) bool {
	if alg == algMLDSA44 {
		return len(key) != mldsa.MLDSA44PublicKeySize || weakMLDSA(key)
	}
	return len(key) != ed25519.PublicKeySize || record.SmallOrder(key)
}

// maxName bounds origins and witness names, in bytes (tlog-cosignature allows 255).
const maxName = 255

func validName(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.Contains(name, "+") &&
		strings.IndexFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) < 0
}

// splitNote cuts a note at the blank line before its signatures.
func splitNote(signed []byte) (text, signatures []byte, ok bool) {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	if i < 0 {
		return nil, nil, false
	}
	return signed[:i+1], signed[i+2:], true
}

// WithoutCosignatures cuts a checkpoint that OpenTree has accepted to the log's own
// signatures: the lines under the origin's name.
func WithoutCosignatures(signed []byte) []byte {
	text, lines, _ := splitNote(signed)
	origin, _, _ := bytes.Cut(text, []byte("\n"))
	out := append(bytes.Clone(text), '\n')
	for line := range bytes.Lines(lines) {
		if bytes.HasPrefix(line, slices.Concat([]byte("— "), origin, []byte(" "))) {
			out = append(out, line...)
		}
	}
	return out
}
