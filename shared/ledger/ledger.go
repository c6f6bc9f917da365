// Package ledger is Arca's tamper-evident log as arithmetic: entries, tiles,
// checkpoints, proofs, cosignatures and the wire format of the witness
// protocol. It keeps no state and, but for the one HTTP call of AddCheckpoint,
// does no I/O.
//
// It promises that whoever holds an event, its random value, a proof and a
// Policy learns offline whether the event stands in the one history that k of
// n witnesses have seen, and when they saw it. It trusts SHA-256, Ed25519
// or ML-DSA-44, the keys that the Policy names, and that fewer than k of the witnesses lie. It
// does not trust the log, the storage or the network: every artefact is
// size-checked, parsed, encoded again and compared byte for byte, so that
// there is exactly one way to write each.
//
// # Entry
//
//	entry = HMAC-SHA-256(key = r[32], canonical event bytes)     32 bytes
//	leaf  = SHA-256(0x00 ‖ entry)                                RFC 6962
//
// # Tiles (C2SP tlog-tiles, height 8)
//
//	tile/<L>/<N>[.p/<W>]         W × 32 bytes: hashes of level 8·L
//	tile/entries/<N>[.p/<W>]     W × (uint16 0x0020 ‖ entry[32])
//
// N is written in groups of three digits, all but the last behind an x:
// 1234067 is x001/x234/067. W stands only on partial tiles, 1 to 255.
//
// # Checkpoint (C2SP tlog-checkpoint, a signed note)
//
//	vault.example/log
//	3
//	7LpVROjVNQYPR1CmOFZ3j0Vqe5nOwgvAPGPhqUlNKLk=
//
//	— vault.example/log <base64 of keyhash[4] ‖ Ed25519[64]>
//	— witness-1.example <base64 of keyhash[4] ‖ time[8] ‖ Ed25519[64]>
//	— witness-1.example <base64 of keyhash[4] ‖ time[8] ‖ ML-DSA-44[2420]>
//
// No extension lines. The log's signature is first, then the witnesses' in the
// order of the Policy's keys, nobody else's, no key's twice. A witness may sign
// with Ed25519 (algorithm 0x04), ML-DSA-44 (0x06) or both; it counts once. An
// Ed25519 cosignature signs "cosignature/v1\ntime <unix seconds>\n" followed by the
// note's text. An ML-DSA-44 cosignature signs, with an empty context,
//
//	"subtree/v1\n\x00" ‖ len u8 ‖ witness's name ‖ time u64 ‖ len u8 ‖ origin ‖
//	start u64 = 0 ‖ end u64 = tree size ‖ root[32]
//
// # Proof (C2SP tlog-proof, no extra line)
//
//	c2sp.org/tlog-proof@v1
//	index 1
//	<base64 hash>            zero to 63 lines, leaf's sibling first
//
//	<checkpoint>
//
// # Witness request (C2SP tlog-witness, add-checkpoint)
//
//	old 1
//	<base64 hash>            zero to 63 lines of consistency proof
//
//	<checkpoint with the log's signature>
package ledger

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"arca.example/arca/shared/problem"
)

// Why a checkpoint or a proof is refused. Every refusal wraps exactly one of
// these, so that a verifier can say which.
var (
	// ErrAltered: it is not, byte for byte, what log and witnesses signed.
	ErrAltered = errors.New("altered")
	// ErrUnwitnessed: the log signed it, but fewer witnesses than the quorum did.
	ErrUnwitnessed = errors.New("not yet witnessed")
	// ErrUnknownRoots: it is signed, or also signed, by keys that the policy does not name.
	ErrUnknownRoots = errors.New("unknown roots")
	// ErrStale: it was true once, but its cosignatures are too old for this use.
	ErrStale = errors.New("stale")
	// ErrClock: the witnesses' clocks, or theirs and ours, are more than MaxSkew apart.
	ErrClock = errors.New("clocks disagree")
)

// Entry is what the log knows of an event: 32 bytes that reveal nothing of it.
type Entry [sha256.Size]byte

// Leaf is the entry's leaf hash (RFC 6962, section 2.1).
func (e Entry) Leaf() tlog.Hash {
	var leaf [1 + len(Entry{})]byte // 0x00 ‖ entry
	copy(leaf[1:], e[:])
	return sha256.Sum256(leaf[:])
}

// String gives the entry in hexadecimal; an entry is public.
func (e Entry) String() string { return fmt.Sprintf("%x", e[:]) }

// ParseEntry reads an entry from exactly 32 bytes.
func ParseEntry(b []byte) (Entry, error) {
	if len(b) != sha256.Size {
		return Entry{}, problem.New(problem.Invalid, "a log entry has exactly 32 bytes")
	}
	return Entry(b), nil
}

// Opening is what an entry commits to: the canonical bytes of an event and the
// random value that hides them. Who relies on an entry stores its opening.
type Opening struct {
	Event  []byte
	Random [32]byte
}

// String keeps an opening out of logs: with it anyone could read the event.
func (Opening) String() string { return "ledger.Opening(hidden)" }

// GoString is String.
func (o Opening) GoString() string { return o.String() }

// Commit gives the entry of an opening. HMAC with a key of exactly one block
// half hides the event as long as Random is not known, and binds it as long as
// SHA-256 is collision resistant: a key of fixed length leaves no second
// (key, message) pair that HMAC's key padding would treat alike.
func Commit(o Opening) Entry {
	mac := hmac.New(sha256.New, o.Random[:])
	mac.Write(o.Event)
	return Entry(mac.Sum(nil))
}

// refusal is an error of one of the reasons above.
func refusal(reason error, format string, args ...any) error {
	kind := problem.Invalid
	switch reason {
	case ErrUnwitnessed, ErrStale, ErrClock:
		kind = problem.Unavailable
	case ErrUnknownRoots:
		kind = problem.Denied
	}
	return problem.Wrap(kind, reason, format, args...)
}
