// Package record holds the artefacts that the parties exchange: signed
// statements, orders, enrolments, requests, events, and their canonical bytes.
//
// It promises that an artefact has exactly one accepted byte form. Every parser
// checks the size first, parses strictly, encodes again and compares byte for
// byte; a statement's hash is therefore a name for its meaning. It trusts no
// input and does no I/O.
//
// # Canonical JSON
//
// RFC 8785 (JCS), UTF-8, no duplicate and no unknown members, at most 256 KiB.
// Times are RFC 3339 in UTC with whole seconds ("2026-11-22T10:00:00Z"),
// digests are 64 lower-case hexadecimal digits.
//
// # Statements
//
// A statement is a JWS in compact form (RFC 7515) over canonical JSON:
//
//	BASE64URL(header) "." BASE64URL(payload) "." BASE64URL(signature)
//
// The header is canonical JSON with exactly the members alg (EdDSA or ES384,
// s ≤ n/2), iat (seconds since 1970), kid (KeyID of the author) and typ (one of the
// Type constants), and for a court with certificates x5c and x5t#S256, the
// names of JAdES B-B (ETSI TS 119 182-1). Base64 is strict: no padding, no
// stray bits. The hash of a statement is the SHA-256 of its signing input,
// header "." payload, so that it does not depend on the signature's randomness.
//
//	{"alg":"EdDSA","iat":1795341600,"kid":"5f0c…","typ":"arca-request"}
//
// A joint statement is the list of two or more statements with one payload, each by
// another author.
package record
