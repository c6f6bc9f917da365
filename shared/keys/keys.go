// Package keys holds a keyholder's root keys and lets nothing else touch them.
//
// A root wraps small secrets (a page key of the shred ring, the key of the
// sealed rows, a unit's seed) and never leaves its place: a key file that only
// this process reads, an AWS KMS key (package kms) or an AES key inside a
// PKCS#11 token (package pkcs11). All three pass one suite, package keystest.
//
// Promise: what Wrap returned opens only under the same root and the same aad,
// and any changed byte is refused. After Destroy no process that asks this
// place again gets the root; whether the root is also gone from the medium
// depends on the medium, and each implementation says so in DestroyLimits.
//
// Trust: the process's memory, the operating system's file permissions, and for
// KMS and PKCS#11 the service or device. Names of roots are not secret.
//
// Roots have names such as "base" and "ring-1"; a ring's generation is part of
// its name, so a name is used for one root in its life. Creating a destroyed
// name again either fails or makes another key that opens nothing of the first.
//
// Wrapped by a key file or a token, for aad and a plaintext of n bytes:
//
//	1 byte   0x01
//	12 bytes random nonce
//	n bytes  AES-256-GCM ciphertext
//	16 bytes tag
//
// with AAD = lp("arca/v1/root") lp(aad), lp(x) = uint32 length ‖ x. A random
// 96-bit nonce is safe for 2^32 wraps under one key (NIST SP 800-38D, 8.3);
// roots wrap keys, not data, and stay far below that. Example, key 32 bytes of
// 0x01, nonce 12 bytes of 0x02, aad "page 7", plaintext "seed":
//
//	0102020202020202020202020274b3ac2db9c4e06b80f1197788625258583dd42b
package keys

import (
	"context"
	"encoding/binary"
	"regexp"

	"arca.example/arca/shared/problem"
)

// Limits of every Root.
const (
	MaxPlaintext = 4 << 10 // bytes per Wrap, at least 1 (the limit of KMS Encrypt)
	MaxAAD       = 4 << 10 // bytes
)

// Root is one root key. It is safe for concurrent use. Errors: problem.Invalid
// for a broken limit and for a wrapped value that this root did not make for
// this aad (one message for all such causes, so that it is no oracle),
// problem.Gone once the root is destroyed, problem.Unavailable when the place
// did not answer.
type Root interface {
	// ID names this very key, not only its name: a root that was destroyed and
	// created again has another. It is not secret.
	ID() string
	Wrap(ctx context.Context, aad, plaintext []byte) ([]byte, error)
	Unwrap(ctx context.Context, aad, wrapped []byte) ([]byte, error)
}

// Roots is a place that keeps root keys. What Create acknowledged survives
// kill -9 and power loss.
type Roots interface {
	// Open returns the root of that name or problem.NotFound.
	Open(ctx context.Context, name string) (Root, error)
	// Create makes a new root; problem.Conflict when the name is taken. A Create
	// that answers Unavailable may have landed: Open tells.
	Create(ctx context.Context, name string) (Root, error)
	// Destroy removes a root; a name that is absent is problem.NotFound. Roots
	// opened earlier stop working.
	Destroy(ctx context.Context, name string) error
	// Names lists the roots that Open would return, sorted.
	Names(ctx context.Context) ([]string, error)
	// DestroyLimits says in one or two sentences what Destroy does not promise
	// here; a certificate of destruction quotes it.
	DestroyLimits() string
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// CheckName accepts lower-case words and numbers joined by single dashes, at most 32 bytes.
func CheckName(name string) error {
	if len(name) > 32 || !nameForm.MatchString(name) {
		return problem.New(problem.Invalid, "the name of a root key is lower-case words joined by dashes, at most 32 characters, for example ring-1")
	}
	return nil
}

// CheckWrap holds the limits of a Wrap.
func CheckWrap(aad, plaintext []byte) error {
	if len(aad) > MaxAAD || len(plaintext) == 0 || len(plaintext) > MaxPlaintext {
		return problem.New(problem.Invalid, "a root key wraps 1 to %d bytes with at most %d bytes of associated data", MaxPlaintext, MaxAAD)
	}
	return nil
}

// ErrNotOurs is the one answer to a wrapped value that does not open.
func ErrNotOurs(cause error) error {
	return problem.Wrap(problem.Invalid, cause, "this value was not wrapped by this root key for this purpose, or it was altered")
}

// ErrTaken is the answer of Create to a name that exists.
func ErrTaken() error {
	return problem.New(problem.Conflict, "a root key of this name exists; open it, or choose the next generation's name")
}

// ErrAbsent is the answer to a name that does not exist.
func ErrAbsent() error {
	return problem.New(problem.NotFound, "there is no root key of this name here; create it first, or check the configuration")
}

// ErrDestroyed is the answer of a root that was destroyed after it was opened.
func ErrDestroyed() error {
	return problem.New(problem.Gone, "this root key was destroyed; what it wrapped cannot be opened again")
}

// BoundAAD is the AAD of the package comment's layout.
func BoundAAD(aad []byte) []byte {
	const domain = "arca/v1/root"
	out := binary.BigEndian.AppendUint32(nil, uint32(len(domain)))
	out = append(out, domain...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(aad)))
	return append(out, aad...)
}
