// Package pkcs11 keeps root keys in a PKCS#11 token. It is built with the tag
// "pkcs11" and cgo; without the tag the package is empty.
//
// It promises the contract of package keys: each root is one AES-256 key object
// that the token generated (CKA_LOCAL), that cannot leave it (CKA_SENSITIVE and
// CKA_ALWAYS_SENSITIVE true, CKA_EXTRACTABLE false, CKA_NEVER_EXTRACTABLE true),
// labelled with the root's name and carrying a random CKA_ID of 8 bytes. Open
// checks these attributes and refuses a key that lacks one. Values are wrapped
// with CKM_AES_GCM, 12-byte IV, 128-bit tag, in the layout of package keys.
//
// It trusts the token and its library, which run inside this process; for
// SoftHSM, which keeps its keys in files, that is no more than a key file.
//
// Sessions are opened as needed, pooled and shared by one login. A call that
// fails because its session, login or token was lost drops them all, logs in
// again and tries once more; the operations are safe to repeat because wrapping
// has no effect in the token and creation looks for its label first. Objects
// are looked up at each call, so a key destroyed by another process is noticed.
//
// The library's C_Initialize belongs to the process: open one token per module
// and process, and Close it when done.
package pkcs11
